//! Deferred foreign keys: what a statement finds missing is looked at again when the transaction commits, or when SET
//! CONSTRAINTS says so.
//!
//! I1: a transaction commits only when nothing that was put off is wrong: each parent key that a child was written without,
//! or that went while a child may refer to it, is there, or no child refers to it.
//! I2: what was put off stays put off when a savepoint takes its cause back: looking again does no harm.

use std::collections::HashMap;

use cairn_storage::{KeyLock, ObjectLock};
use cairn_types::Value;

use super::children;
use super::late_unique::LateCheck;
use super::parent::ParentKey;
use crate::catalog::{ForeignKey, ObjectId, Table};
use crate::error::{Error, Result};
use crate::transaction::{Transaction, Writer};

/// Keys of one foreign key to be looked at.
#[derive(Clone, Debug)]
struct Check {
    child: ObjectId,
    foreign_key: String,
    keys: Vec<Vec<Value>>,
    /// What to say of a child without its parent; without it, what is said of a parent that is gone.
    error: Option<Error>,
}

/// What a transaction has put off, and until when.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    checks: Vec<Check>,
    /// Unique keys that two rows had.
    pub(super) late: Vec<LateCheck>,
    /// SET CONSTRAINTS ALL: whether deferred.
    all: Option<bool>,
    /// SET CONSTRAINTS of single ones, by child table and name.
    named: HashMap<(ObjectId, String), bool>,
}

impl Deferred {
    /// Whether a foreign key is looked at only later.
    pub(crate) fn is_deferred(&self, child: ObjectId, key: &ForeignKey) -> bool {
        self.is_late(child, &key.name, key.deferrable.then_some(key.initially_deferred))
    }

    /// The same of any constraint: `deferrable` says whether it is INITIALLY DEFERRED, if it can be put off at all.
    pub(crate) fn is_late(&self, table: ObjectId, name: &str, deferrable: Option<bool>) -> bool {
        let Some(initially) = deferrable else { return false };
        if self.named.is_empty() && self.all.is_none() {
            return initially;
        }
        let named = self.named.get(&(table, name.to_owned())).copied();
        named.or(self.all).unwrap_or(initially)
    }
}

impl Writer<'_> {
    /// Puts off the check that a child's row has its parent.
    pub(super) fn defer_child(&mut self, child: &Table, key: &ForeignKey, values: Vec<Value>, error: Error) {
        let (child, foreign_key) = (child.id, key.name.clone());
        self.deferred().checks.push(Check { child, foreign_key, keys: vec![values], error: Some(error) });
    }

    /// Puts off the check that no child refers to parents that are gone.
    pub(super) fn defer_gone(&mut self, child: &Table, key: &ForeignKey, keys: Vec<Vec<Value>>) {
        let (child, foreign_key) = (child.id, key.name.clone());
        self.deferred().checks.push(Check { child, foreign_key, keys, error: None });
    }

    fn look_again(&mut self, check: Check) -> Result<()> {
        // The table or the constraint may be gone by now, and with it what there was to keep.
        let Some(child) = self.catalog.table_by_id(check.child).cloned() else { return Ok(()) };
        let Some(key) = child.foreign_key(&check.foreign_key).cloned() else { return Ok(()) };
        let Some(error) = check.error else { return children::refuse(self, &child, &key, check.keys) };
        let parent = self.catalog.table_by_id(key.parent).cloned();
        let parent = parent.ok_or_else(|| Error::corrupt("catalog", "foreign key to a missing table"))?;
        let parent_key = ParentKey::new(&self.catalog, &parent, &key)?;
        let mut whole = Vec::new();
        for values in check.keys {
            if parent_key.encode(&values, &mut whole) {
                self.claim(&whole, KeyLock::KeyShare)?;
                if self.txn_ref().get_latest(&whole)?.is_some() {
                    self.txn().guard_exists(&whole);
                    self.guard_table(parent.id, ObjectLock::RowShare)?;
                    continue;
                }
            }
            if children::has_referring(self, &child, &key, &[values])? {
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Transaction {
    /// SET CONSTRAINTS: puts foreign keys and unique keys off or looks at them now, until the end of the transaction. `names` are
    /// tables (of foreign keys the child) and names of constraints; none: all that can be put off.
    ///
    /// # Errors
    /// [`Error::Constraint`] (23503) where what was put off is wrong: nothing is set then.
    pub fn set_constraints(&self, names: Option<&[(ObjectId, String)]>, deferred: bool) -> Result<()> {
        self.write("SET CONSTRAINTS", |writer| {
            let state = writer.deferred();
            let before = (state.all, state.named.clone());
            match names {
                None => {
                    state.named.clear();
                    state.all = Some(deferred);
                }
                Some(names) => state.named.extend(names.iter().map(|name| (name.clone(), deferred))),
            }
            let done = if deferred { Ok(()) } else { writer.check_due() };
            if done.is_err() {
                let state = writer.deferred();
                (state.all, state.named) = before;
            }
            done
        })
    }

    /// Looks at all that was put off; the commit does so itself.
    ///
    /// # Errors
    /// [`Error::Constraint`] (23503).
    pub fn check_deferred(&self) -> Result<()> {
        if !self.has_deferred()? {
            return Ok(());
        }
        self.write("COMMIT", |writer| {
            let late = std::mem::take(&mut writer.deferred().late);
            late.into_iter().try_for_each(|check| check.check(writer))?;
            let checks = std::mem::take(&mut writer.deferred().checks);
            checks.into_iter().try_for_each(|check| writer.look_again(check))
        })
    }

    fn has_deferred(&self) -> Result<bool> {
        let state = self.lock()?;
        Ok(!state.deferred.checks.is_empty() || !state.deferred.late.is_empty())
    }
}

impl Writer<'_> {
    /// Looks at what is put off no longer.
    fn check_due(&mut self) -> Result<()> {
        let checks = self.deferred().checks.clone();
        let mut kept = Vec::new();
        for check in checks {
            let key =
                self.catalog.table_by_id(check.child).and_then(|table| table.foreign_key(&check.foreign_key));
            match key.cloned() {
                Some(key) if self.deferred().is_deferred(check.child, &key) => kept.push(check),
                _ => self.look_again(check)?,
            }
        }
        self.deferred().checks = kept;
        let mut kept = Vec::new();
        for check in self.deferred().late.clone() {
            let table = self.catalog.table_by_id(check.table);
            let index = table.and_then(|table| table.index_by_name(&check.index));
            let deferrable = index.and_then(|index| index.deferrable);
            if self.deferred().is_late(check.table, &check.index, deferrable) {
                kept.push(check);
            } else {
                check.check(self)?;
            }
        }
        self.deferred().late = kept;
        Ok(())
    }
}
