//! Locks on definitions: which DDL waits for which.
//!
//! I1: at the levels that wait, whoever changes definitions holds the lock on all of them, alone (EXCLUSIVE) or together with
//! others who each change tables of their own ([`Definitions::Own`], ROW EXCLUSIVE); at the other levels he takes it, alone, for
//! the time of his commit. So nobody who changes what others rely on (views, foreign keys, schemas) does so beside anybody.
//! I2: those who change definitions together go by the newest ones when they take the lock, and keep apart by locks on the
//! names that they use and make, and on their tables. What they changed is guarded, so that a lock left out is a conflict.

use std::hash::Hasher;

use cairn_storage::{Isolation, ObjectLock, Wait};

use crate::catalog::{ObjectId, TableDescriptor};
use crate::error::{Error, Result};
use crate::key_space::{self, CATALOG, section};
use crate::transaction::{Transaction, Writer};

/// What of the definitions DDL is about to use or change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definitions<'a> {
    /// Anything.
    All,
    /// Tables and sequences that nothing else depends on, and names to be given, as (schema, name). At other levels than Read
    /// Committed it means all.
    Own(&'a [(String, String)]),
}

/// What a name is locked as: far behind the numbers of tables.
fn name_object(schema: &str, name: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(schema.as_bytes());
    hasher.write_u8(0);
    hasher.write(name.as_bytes());
    hasher.finish() | NAME
}

/// The bit that tells names from tables among locked objects.
pub(crate) const NAME: u64 = 1 << 63;

impl Transaction {
    /// At the locking levels: locks definitions before they are looked at and changed, and waits for other open
    /// transactions that use or change them; afterwards, under Read Committed, a statement begins, with all that was
    /// waited for.
    ///
    /// # Errors
    /// As [`Transaction::lock_table`].
    pub fn lock_definitions(&self, what: Definitions<'_>) -> Result<()> {
        let isolation = self.options().isolation;
        if !isolation.is_locking() {
            return Ok(());
        }
        let all = u64::from(CATALOG);
        match what {
            Definitions::Own(names) if isolation == Isolation::ReadCommitted => {
                let mut state = self.lock()?;
                state.txn.lock_object(all, ObjectLock::RowExclusive, Wait::Block)?;
                let mut objects: Vec<u64> =
                    names.iter().map(|(schema, name)| name_object(schema, name)).collect();
                // In one order, so that two do not wait for each other.
                objects.sort_unstable();
                for object in objects {
                    state.txn.lock_object(object, ObjectLock::AccessExclusive, Wait::Block)?;
                }
            }
            _ => {
                self.lock()?.txn.lock_object(all, ObjectLock::Exclusive, Wait::Block)?;
            }
        }
        self.begin_statement()
    }
}

impl Writer<'_> {
    /// Whether definitions are changed beside others (I2).
    fn is_beside_others(&self) -> bool {
        self.isolation() == Isolation::ReadCommitted
            && self.txn_ref().holds_object(u64::from(CATALOG), ObjectLock::RowExclusive)
    }

    /// Before definitions are changed: whoever did not ask for the lock gets it now, and is validated as of what was read
    /// before (I1).
    pub(crate) fn begin_definitions(&mut self) -> Result<()> {
        if !self.is_locking() || self.is_beside_others() {
            return Ok(());
        }
        self.txn().lock_object(u64::from(CATALOG), ObjectLock::Exclusive, Wait::Block)?;
        self.guard_version();
        Ok(())
    }

    /// A table that is changed is as it was looked at, or the commit fails.
    pub(crate) fn guard_definition(&mut self, table: ObjectId) {
        if self.is_beside_others() {
            self.guard_since_base(&key_space::object_key(section::TABLES, table));
        }
    }

    /// All names that a table takes and has not taken yet.
    pub(crate) fn claim_table_names(&mut self, table: &TableDescriptor) -> Result<()> {
        if !self.is_beside_others() {
            return Ok(());
        }
        let key = (!table.primary_key.is_empty()).then_some(&table.primary_key_name);
        let names =
            std::iter::once(&table.name).chain(key).chain(table.indexes.iter().map(|index| &index.name));
        for name in names {
            self.claim_name(&table.schema, name)?;
        }
        Ok(())
    }

    /// A name that is about to be given: nobody else gives it before this transaction ends (I2). One that was there before
    /// was taken away by this transaction, and is taken for everybody else.
    pub(crate) fn claim_name(&mut self, schema: &str, name: &str) -> Result<()> {
        let object = name_object(schema, name);
        if !self.is_beside_others()
            || self.catalog.relation(schema, name).is_some()
            || self.base().relation(schema, name).is_some()
            || self.txn_ref().holds_object(object, ObjectLock::AccessExclusive)
        {
            return Ok(());
        }
        self.txn().lock_object(object, ObjectLock::AccessExclusive, Wait::Block)?;
        let newest = self.database.catalogs.of_snapshot(&self.database.store.snapshot())?;
        match newest.relation(schema, name) {
            Some(_) => {
                Err(Error::Conflict { reason: format!("another transaction has made relation \"{name}\"") })
            }
            None => Ok(()),
        }
    }
}
