//! About how many rows a table has, for the planner: a count in memory, moved by each commit.
//!
//! A number here is never part of a transaction, so it costs no conflict. It is counted or estimated when first asked
//! for, kept at a clean close (as a hint), and off by what commits do while it is being counted.

use std::collections::HashMap;

use cairn_storage::{Direction, KeyRange, Store, SyncMode, WriteBatch};
use parking_lot::Mutex;

use crate::catalog::ObjectId;
use crate::error::Result;
use crate::key_space::{absolute, object_key, section};
use crate::transaction::RowChanges;

/// Tables up to this size are counted, of larger ones the entries are estimated.
const COUNTED_ROWS_MAX: u64 = 4096;

#[derive(Debug, Default)]
pub(crate) struct Estimates {
    rows: Mutex<HashMap<ObjectId, i64>>,
}

impl Estimates {
    pub(crate) fn rows(&self, store: &Store, table: ObjectId) -> u64 {
        if let Some(rows) = self.rows.lock().get(&table) {
            return (*rows).max(0) as u64;
        }
        // An estimate that cannot be made is 0: the query itself will report what is wrong with the store.
        let rows = kept(store, table).or_else(|| estimate(store, table).ok()).unwrap_or(0);
        self.rows.lock().insert(table, rows as i64);
        rows
    }

    /// A table was made: it begins with no rows.
    pub(crate) fn created(&self, table: ObjectId) {
        self.rows.lock().entry(table).or_insert(0);
    }

    /// A transaction with these changes has committed.
    pub(crate) fn change(&self, changes: &HashMap<ObjectId, RowChanges>) {
        if changes.is_empty() {
            return;
        }
        let mut rows = self.rows.lock();
        for (table, change) in changes {
            if let Some(rows) = rows.get_mut(table) {
                *rows = rows.saturating_add(change.net).max(0);
            }
        }
    }

    /// Keeps the numbers for the next open. `known` tells which tables still exist.
    pub(crate) fn keep(&self, store: &Store, known: impl Fn(ObjectId) -> bool) -> Result<()> {
        let mut batch = WriteBatch::new();
        for (table, rows) in self.rows.lock().iter().filter(|(table, _)| known(**table)) {
            batch.put(&object_key(section::ESTIMATES, *table), &rows.to_le_bytes())?;
        }
        if !batch.is_empty() {
            store.write(batch, Some(SyncMode::None))?;
        }
        Ok(())
    }
}

fn kept(store: &Store, table: ObjectId) -> Option<u64> {
    let bytes = store.snapshot().get(&object_key(section::ESTIMATES, table)).ok()??;
    let rows = i64::from_le_bytes(<[u8; 8]>::try_from(&bytes[..]).ok()?);
    // Small tables are cheap to count, and a small number kept from long ago misleads the planner most.
    (rows > COUNTED_ROWS_MAX as i64).then_some(rows as u64)
}

fn estimate(store: &Store, table: ObjectId) -> Result<u64> {
    let range = absolute(table, 0, &KeyRange::all());
    let mut scan = store.snapshot().scan(range.clone(), Direction::Forward);
    let mut rows = 0;
    while scan.next()?.is_some() {
        rows += 1;
        if rows == COUNTED_ROWS_MAX {
            return Ok(store.approximate_size(&range).entries.max(rows));
        }
    }
    Ok(rows)
}
