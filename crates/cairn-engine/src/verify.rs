//! Whether all indexes agree with the rows: the same check that tests run after every crash.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use cairn_storage::{Direction, KeyRange};

use crate::catalog::Table;
use crate::database::Expressions;
use crate::error::{Error, Result};
use crate::key_space;
use crate::table::codec::{IndexCodec, Keys};
use crate::view::ReadView;

/// Rows looked at in one go.
const BATCH_ROWS: usize = 8192;

/// Reads all rows and all index entries at one view.
///
/// # Errors
/// [`Error::Corrupt`] at the first entry that is missing, wrong or too many; [`Error::Storage`];
/// [`Error::InvalidArgument`] where an index needs expressions ([`indexes_of`]).
pub fn indexes(view: &ReadView) -> Result<()> {
    indexes_of(view, None)
}

/// The same with the means to evaluate the expressions of indexes.
///
/// # Errors
/// As [`indexes`]; what evaluating fails with.
pub fn indexes_of(view: &ReadView, expressions: Option<&Arc<dyn Expressions>>) -> Result<()> {
    for table in view.catalog().tables() {
        let codec = table.codec()?;
        let mut counts: HashMap<u16, u64> = HashMap::new();
        each_batch(view, table, |columns, keys| {
            let options = RecordBatchOptions::new().with_row_count(Some(keys.len()));
            let schema = table.arrow_schema().clone();
            let batch = RecordBatch::try_new_with_options(schema, columns.to_vec(), &options)?;
            let cells = codec.cells(expressions, table, &batch, None)?;
            for index in &codec.indexes {
                *counts.entry(index.id).or_default() += present(view, table, index, &cells, keys)?;
            }
            Ok(())
        })?;
        for index in &codec.indexes {
            let range = key_space::absolute(table.id, index.id, &KeyRange::all());
            let mut scan = view.scan_raw(range, Direction::Forward);
            let mut entries = 0;
            while scan.next()?.is_some() {
                entries += 1;
            }
            let wanted = counts.get(&index.id).copied().unwrap_or_default();
            if entries != wanted {
                return Err(disagree(table, index, &format!("{entries} entries for {wanted} rows")));
            }
        }
    }
    Ok(())
}

fn each_batch(
    view: &ReadView,
    table: &Table,
    mut each: impl FnMut(&[ArrayRef], &Keys) -> Result<()>,
) -> Result<()> {
    let all: Vec<usize> = (0..table.live_columns().len()).collect();
    let mut decoder = table.codec()?.decoder(table, &all)?;
    let range = key_space::absolute(table.id, 0, &KeyRange::all());
    let mut scan = view.scan_raw(range, Direction::Forward);
    let mut keys = Keys::default();
    loop {
        let entry = scan.next()?;
        let ended = entry.is_none();
        if let Some((key, row)) = entry {
            decoder.push(row)?;
            keys.push(key);
            if keys.len() < BATCH_ROWS {
                continue;
            }
        }
        each(&decoder.finish()?, &keys)?;
        if ended {
            return Ok(());
        }
        keys = Keys::default();
    }
}

/// Whether each row's entry is there, with its value; how many there are.
fn present(
    view: &ReadView,
    table: &Table,
    index: &IndexCodec,
    cells: &[ArrayRef],
    keys: &Keys,
) -> Result<u64> {
    let entries = index.entries(cells, keys)?;
    let mut present = 0;
    for row in (0..keys.len()).filter(|row| entries.has(*row)) {
        present += 1;
        let found: Option<Bytes> = view.get_raw(entries.keys.get(row))?;
        match found {
            Some(value) if value == entries.values.get(row) => {}
            Some(_) => return Err(disagree(table, index, "an entry leads to another row")),
            None => return Err(disagree(table, index, "a row without its entry")),
        }
    }
    Ok(present)
}

fn disagree(table: &Table, index: &IndexCodec, found: &str) -> Error {
    let name = table.index_by_id(index.id).map_or("", |i| i.name.as_str());
    Error::corrupt(format!("index \"{name}\" of table \"{}\"", table.name), found)
}
