//! Reading rows by their keys.

use arrow_array::{BinaryArray, RecordBatch};
use bytes::Bytes;

use super::codec::Keys;
use super::partition;
use crate::catalog::{IndexId, Table};
use crate::error::Result;
use crate::key_space::{self, PREFIX_BYTES};
use crate::transaction::Writer;
use crate::view::ReadView;

/// The answer of [`get`].
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The rows found, in the order of the keys asked for.
    pub batch: RecordBatch,
    /// For each row of `batch` the place of its key among those asked for.
    pub found: Vec<usize>,
}

/// Reads the rows of those row keys; keys that are not there are passed over. `projection` = places among the live
/// columns.
///
/// # Errors
/// [`crate::Error::Storage`], [`crate::Error::Corrupt`].
pub fn get(view: &ReadView, table: &Table, keys: &[Bytes], projection: &[usize]) -> Result<Fetched> {
    if table.is_partitioned() {
        return partition::get_rows(view, table, keys, projection);
    }
    let codec = table.codec()?;
    let mut projected = codec.projected(table, projection)?;
    let mut found = Vec::with_capacity(keys.len());
    let mut key = codec.prefix.to_vec();
    for (i, row_key) in keys.iter().enumerate() {
        key.truncate(PREFIX_BYTES);
        key.extend_from_slice(row_key);
        if let Some(row) = view.get_raw(&key)? {
            projected.push(&row)?;
            found.push(i);
        }
    }
    Ok(Fetched { batch: projected.finish()?, found })
}

/// The row key that a unique index has under a whole key without NULL, which is given encoded in the index's order.
///
/// # Errors
/// [`crate::Error::Storage`], [`crate::Error::Corrupt`].
pub fn row_key_of(view: &ReadView, table: &Table, index: IndexId, key: &[u8]) -> Result<Option<Bytes>> {
    let codec = table.codec()?.index(index)?;
    let entry = key_space::key(table.id, index, key);
    match view.get_raw(&entry)? {
        Some(value) => Ok(Some(Bytes::copy_from_slice(codec.row_key(&entry, &value)?))),
        None => Ok(None),
    }
}

/// Rows as they are in a transaction now: all live columns, and their whole keys.
pub(super) struct Current {
    pub(super) batch: RecordBatch,
    pub(super) keys: Keys,
    /// For each row its place among the keys asked for.
    pub(super) found: Vec<usize>,
}

/// Reads the rows of those row keys inside a write; of keys given twice the first counts.
pub(super) fn current(writer: &Writer<'_>, table: &Table, row_keys: &[Bytes]) -> Result<Current> {
    let codec = table.codec()?;
    let all: Vec<usize> = (0..table.live_columns().len()).collect();
    let mut projected = codec.projected(table, &all)?;
    let mut keys = Keys::with_capacity(row_keys.len(), row_keys.len() * 24);
    let mut found = Vec::with_capacity(row_keys.len());
    let mut seen =
        std::collections::HashSet::with_capacity(if row_keys.len() > 1 { row_keys.len() } else { 0 });
    let mut key = codec.prefix.to_vec();
    for (i, row_key) in row_keys.iter().enumerate() {
        if row_keys.len() > 1 && !seen.insert(row_key) {
            continue;
        }
        writer.txn_ref().check_cancelled()?;
        key.truncate(PREFIX_BYTES);
        key.extend_from_slice(row_key);
        if let Some(row) = writer.txn_ref().get_latest(&key)? {
            projected.push(&row)?;
            keys.push(&key);
            found.push(i);
        }
    }
    Ok(Current { batch: projected.finish()?, keys, found })
}

/// The row keys in a `__row_key` column: one allocation for all.
pub fn row_keys(column: &BinaryArray) -> Vec<Bytes> {
    let values = Bytes::copy_from_slice(column.value_data());
    let offsets = column.value_offsets();
    offsets.windows(2).map(|pair| values.slice(pair[0] as usize..pair[1] as usize)).collect()
}
