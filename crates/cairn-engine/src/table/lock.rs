//! Locking rows before they are written, or for SELECT … FOR UPDATE and its like: how a statement under Read Committed
//! meets rows that others have changed since its snapshot.

use bytes::Bytes;
use cairn_storage::{KeyLock, Locked, ObjectLock, Wait};

use super::partition;
use crate::catalog::Table;
use crate::error::{Error, Result};
use crate::key_space::{self, PREFIX_BYTES};
use crate::transaction::Transaction;
use crate::view::ReadView;

/// What became of a row that was to be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowLock {
    /// Locked, and as the statement's snapshot shows it.
    Unchanged,
    /// Locked, and changed since: look at it again in [`LockedRows::view`], whether the statement still wants it.
    Changed,
    /// Deleted since; nothing to do with it.
    Gone,
    /// Another transaction has it ([`Wait::SkipLocked`]).
    Skipped,
}

/// The answer of [`lock_rows`].
#[derive(Clone, Debug)]
pub struct LockedRows {
    /// For each row key what became of the row.
    pub rows: Vec<RowLock>,
    /// The newest committed state with the transaction's own writes, as of when the last lock was taken.
    pub view: ReadView,
}

impl LockedRows {
    /// Whether all rows are locked and as the snapshot shows them.
    pub fn are_unchanged(&self) -> bool {
        self.rows.iter().all(|row| *row == RowLock::Unchanged)
    }
}

/// Locks the rows of those row keys until the end of the transaction, in the order given, waiting for whoever has one.
/// Afterwards [`super::update`] and [`super::delete`] take these rows as they are in the newest state.
///
/// Under Read Committed, rows that have changed are locked all the same and told as [`RowLock::Changed`]: evaluate the
/// statement's condition and new values again on the row in [`LockedRows::view`]. At the other levels they are an error.
///
/// # Errors
/// [`Error::Conflict`] where a row has changed since the snapshot (not under Read Committed), [`Error::Deadlock`],
/// [`Error::Storage`] (55P03: taken, or not free in time; 57014: cancelled; 53200: no memory for locks). Locks that
/// were taken stay until the transaction ends or goes back to a savepoint.
pub fn lock_rows(
    txn: &Transaction,
    table: &Table,
    keys: &[Bytes],
    mode: KeyLock,
    wait: Wait,
) -> Result<LockedRows> {
    let mut state = txn.lock()?;
    state.txn.lock_object(u64::from(table.id), ObjectLock::RowShare, Wait::Block)?;
    let mut rows = Vec::with_capacity(keys.len());
    let mut key = key_space::prefix(table.id, 0).to_vec();
    for row in keys {
        key.truncate(PREFIX_BYTES);
        if table.is_partitioned() {
            let (own, row) = partition::split_key(row)?;
            state.txn.lock_object(u64::from(own), ObjectLock::RowShare, Wait::Block)?;
            key.clear();
            key.extend_from_slice(&key_space::prefix(own, 0));
            key.extend_from_slice(&row);
        } else {
            key.extend_from_slice(row);
        }
        let locked = state.txn.lock_key(&key, mode, wait).map_err(|error| not_available(error, table))?;
        if mode >= KeyLock::NoKeyUpdate {
            state.lock_table_of(&key)?;
        }
        let changed = match locked {
            Locked::Skipped => {
                rows.push(RowLock::Skipped);
                continue;
            }
            // Locked by an earlier part of the statement, perhaps, after it had changed.
            Locked::Before => state.txn.is_changed(&key)?,
            Locked::Unchanged => false,
            Locked::Changed => true,
        };
        if !changed {
            rows.push(RowLock::Unchanged);
            continue;
        }
        if txn.options().isolation != cairn_storage::Isolation::ReadCommitted {
            return Err(Error::Conflict { reason: "another transaction wrote the same row".to_owned() });
        }
        let there = state.txn.get_latest(&key)?.is_some();
        rows.push(if there { RowLock::Changed } else { RowLock::Gone });
    }
    let view = txn.latest_view(&state);
    Ok(LockedRows { rows, view })
}

/// PostgreSQL's words, with the name of the table.
fn not_available(error: cairn_storage::Error, table: &Table) -> Error {
    match error {
        cairn_storage::Error::LockNotAvailable { .. } => {
            Error::LockNotAvailable { relation: table.name.clone() }
        }
        other => other.into(),
    }
}
