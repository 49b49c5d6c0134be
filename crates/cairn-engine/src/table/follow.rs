//! What foreign keys bring about in tables with triggers: it is handed to the caller, who runs the triggers.
//!
//! ```text
//!   delete_with(parent) ─→ rows of child tables without triggers: done ─┐
//!                      └→ [`FollowUp`] for those with triggers ─→ caller: triggers, delete_with(child) …
//!   finish_statement ←─ when all follow-ups are done: no child refers to a key that is gone
//! ```

use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;

use super::statement::{Gone, Statement};
use super::{check, delete, partition, update};
use crate::catalog::Table;
use crate::error::{Error, Result};
use crate::transaction::Transaction;

/// A change of rows that a foreign key asks for.
#[derive(Debug)]
pub enum FollowUp {
    /// ON DELETE CASCADE.
    Delete {
        /// The child table.
        table: Arc<Table>,
        /// Its rows.
        keys: Vec<Bytes>,
    },
    /// The other actions.
    Update {
        /// The child table.
        table: Arc<Table>,
        /// Its rows.
        keys: Vec<Bytes>,
        /// The rows as they are to become.
        new: RecordBatch,
        /// The places of the columns that change.
        places: Vec<usize>,
    },
}

/// What is left to be done of a statement. Unless it is nothing, end with [`finish_statement`].
#[derive(Debug, Default)]
pub struct Left {
    /// Changes of tables with triggers, in order.
    pub follow_ups: Vec<FollowUp>,
    gone: Vec<Gone>,
}

impl Left {
    /// Takes up what another call left.
    pub fn add(&mut self, other: Left) {
        self.follow_ups.extend(other.follow_ups);
        self.gone.extend(other.gone);
    }
}

/// As [`super::delete`], but changes of child tables with triggers are left to the caller. `direct` is false for rows
/// that foreign keys led to.
///
/// # Errors
/// As [`super::delete`].
pub fn delete_with(txn: &Transaction, table: &Table, keys: &[Bytes], direct: bool) -> Result<(usize, Left)> {
    txn.write("DELETE", |writer| {
        let mut statement = Statement::leaving();
        let deleted = delete::rows(writer, table, keys, &mut statement, direct)?;
        Ok((deleted, statement.finish_leaving(writer)?.into()))
    })
}

/// As [`super::update`], but changes of child tables with triggers are left to the caller.
///
/// # Errors
/// As [`super::update`].
pub fn update_with(
    txn: &Transaction,
    table: &Table,
    keys: &[Bytes],
    new: &RecordBatch,
    changed: &[usize],
    direct: bool,
) -> Result<(usize, Left)> {
    check::shape(table, new)?;
    if new.num_rows() != keys.len() {
        let (rows, keys) = (new.num_rows(), keys.len());
        return Err(Error::InvalidArgument(format!("{rows} rows for {keys} row keys")));
    }
    if table.is_partitioned() {
        partition::check_new_rows(txn, table, keys, new, changed)?;
    } else {
        check::rows(&txn.database, table, new, Some(changed))?;
        partition::check_update(&txn.catalog(), table, new, changed)?;
    }
    txn.write("UPDATE", |writer| {
        let mut statement = Statement::leaving();
        let updated = update::rows(writer, table, keys, new, changed, &mut statement, direct)?;
        Ok((updated, statement.finish_leaving(writer)?.into()))
    })
}

impl From<(Vec<FollowUp>, Vec<Gone>)> for Left {
    fn from((follow_ups, gone): (Vec<FollowUp>, Vec<Gone>)) -> Left {
        Left { follow_ups, gone }
    }
}

/// Checks, when all follow-ups are done, that no child row refers to a key that is gone.
///
/// # Errors
/// [`Error::Constraint`].
pub fn finish_statement(txn: &Transaction, left: Left) -> Result<()> {
    if left.gone.is_empty() {
        return Ok(());
    }
    txn.write("DELETE", |writer| {
        for gone in left.gone {
            gone.check(writer)?;
        }
        Ok(())
    })
}
