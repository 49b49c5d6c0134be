//! Rows: insert, read, update, delete, with constraints and index entries in the same transaction.
//!
//! Batches are Arrow record batches of the table's live columns, in order, of exactly their Arrow types; the
//! names and metadata of the fields do not matter. A *row key* is the encoded primary key (or hidden row id).
//!
//! I1: in every transaction, at every moment between calls, the entries of every index agree with the rows.
//! I2: a call that fails leaves the transaction as it was before it.
//! I3: whoever writes rows of a table guards its descriptor, so that DDL and DML on one table exclude each other.

mod request;

pub use request::{
    Access, Bounds, ConflictTarget, Inserted, Match, OnConflict, ROW_KEY, RowConflict, ScanRequest,
};

use arrow_array::{BinaryArray, RecordBatch};
use arrow_schema::SchemaRef;
use bytes::Bytes;

use crate::catalog::{IndexId, Table};
use crate::error::Result;
use crate::transaction::Transaction;
use crate::view::ReadView;

/// Inserts the rows of a batch.
pub fn insert(txn: &Transaction, table: &Table, batch: &RecordBatch, on_conflict: OnConflict) -> Result<Inserted> { todo!() }
/// Replaces the rows of those keys by the rows of `new` (all live columns, one row a key). `changed` = places of the
/// columns that may differ. Uniqueness is checked when all rows are moved, so `SET id = id + 1` works. FK actions done.
pub fn update(txn: &Transaction, table: &Table, keys: &[Bytes], new: &RecordBatch, changed: &[usize]) -> Result<usize> { todo!() }
/// Deletes the rows of those keys (FK actions done); keys that are not there are passed over. Returns how many went.
pub fn delete(txn: &Transaction, table: &Table, keys: &[Bytes]) -> Result<usize> { todo!() }
/// Deletes all rows of those tables.
pub fn truncate(txn: &Transaction, tables: &[&Table], restart_identity: bool, cascade: bool) -> Result<()> { todo!() }
/// Reads rows by key: found rows in the order of `keys`; `found[i]` tells the place in `keys`.
pub fn get(view: &ReadView, table: &Table, keys: &[Bytes], projection: &[usize]) -> Result<Fetched> { todo!() }
/// The answer of [`get`].
pub struct Fetched { /// Rows found.
    pub batch: RecordBatch, /// For each row of the batch, its place in `keys`.
    pub found: Vec<usize> }
/// Opens a scan.
pub fn scan(view: &ReadView, table: &Table, request: ScanRequest) -> Result<TableScan> { todo!() }
/// Splits an access into at most `parts` parts, in key order, for parallel scans.
pub fn split(view: &ReadView, table: &Table, access: &Access, parts: usize) -> Vec<Access> { todo!() }
/// Access by the primary key.
pub fn primary_access(table: &Table, bounds: &[Bounds]) -> Result<Access> { todo!() }
/// Access by a secondary index.
pub fn index_access(table: &Table, index: IndexId, bounds: &[Bounds]) -> Result<Access> { todo!() }
/// Whether a scan of that index yields these columns without reading rows.
pub fn is_covered(table: &Table, index: IndexId, projection: &[usize]) -> bool { todo!() }
/// The row keys in a `__row_key` column (one allocation for all).
pub fn row_keys(column: &BinaryArray) -> Vec<Bytes> { todo!() }
/// A running scan: an iterator over `Result<RecordBatch>`; `Send`.
pub struct TableScan { schema: SchemaRef }
impl TableScan { /// Schema.
    pub fn schema(&self) -> SchemaRef { todo!() } }
impl Iterator for TableScan { type Item = Result<RecordBatch>; fn next(&mut self) -> Option<Self::Item> { todo!() } }
