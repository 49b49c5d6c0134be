//! Rows: insert, read, update, delete, with constraints and index entries in the same transaction.
//!
//! Batches are Arrow record batches of the table's live columns, in order, of exactly their Arrow types; the
//! names and metadata of the fields do not matter. A *row key* is the encoded primary key (or hidden row id).
//!
//! I1: in every transaction, at every moment between calls, the entries of every index agree with the rows.
//! I2: a call that fails leaves the transaction as it was before it.
//! I3: whoever writes rows of a table guards its descriptor, so that DDL and DML on one table exclude each other.
//!
//! ```
//! use std::sync::Arc;
//! use cairn_engine::table::{self, OnConflict, ScanRequest};
//! use cairn_engine::{Database, ddl::{ColumnSpec, TableSpec}};
//! use cairn_types::{DataType, Value};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let txn = Database::in_memory()?.begin(Default::default())?;
//! let columns = vec![ColumnSpec::new("id", DataType::Integer)];
//! let t = txn.create_table(TableSpec { schema: "public".into(), name: "t".into(), columns, ..Default::default() })?;
//! let ids = Value::to_array(&[Value::from(1), Value::from(2)], &DataType::Integer)?;
//! let batch = arrow_array::RecordBatch::try_new(t.arrow_schema().clone(), vec![ids])?;
//! table::insert(&txn, &t, &batch, OnConflict::Error)?;
//! let mut scan = table::scan(&txn.view()?, &t, ScanRequest::full([0]))?;
//! assert_eq!(scan.next().expect("one batch")?.num_rows(), 2);
//! # Ok(()) }
//! ```

mod access;
pub(crate) mod check;
mod children;
pub(crate) mod codec;
pub(crate) mod deferred;
mod delete;
mod follow;
mod generated;
mod insert;
pub(crate) mod late_unique;
mod lock;
pub(crate) mod parent;
pub(crate) mod partition;
mod read;
mod request;
mod scan;
mod single;
mod statement;
pub(crate) mod unique;
mod update;

pub use access::{index_access, is_covered, primary_access, rows_by_index, rows_by_key, split};
pub use cairn_index::{Bounds, Match};
pub use check::failing_row;
pub(crate) use children::check_unreferred;
pub(crate) use delete::empty;
pub use delete::{delete, truncate};
pub use follow::{FollowUp, Left, delete_with, finish_statement, update_with};
pub use generated::with_generated;
pub(crate) use insert::insert_raw;
pub use insert::{insert, insert_batch};
pub use lock::{LockedRows, RowLock, lock_rows};
pub use parent::PendingForeignKeys;
pub use partition::{bound_literal, row_key_prefix};
pub use read::{Fetched, get, row_key_of, row_keys};
pub use request::{Access, ConflictTarget, Inserted, OnConflict, ROW_KEY, RowConflict, ScanRequest};
pub use scan::{TableScan, scan};
pub use single::{OldRow, RowInsert, RowUpdate, WhichRow};
pub use update::{update, update_lock};
