//! BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE, SET TRANSACTION and LOCK TABLE.

use std::sync::Arc;

use cairn_engine::catalog::{Privileges, Relation};
use cairn_engine::{LockSession, ObjectLock, Savepoint, Table, Transaction, TxnOptions, Wait};
use parking_lot::Mutex;
use sqlparser::ast::{
    Lock, LockTableMode, ObjectName, TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
};

use super::State;
use super::settings::{Level, Settings};
use crate::context::Context;
use crate::engine::Shared;
use crate::results::StatementResult;
use crate::{Error, Result, catalog, privileges};

/// An open transaction block.
pub(crate) struct Block {
    pub(crate) txn: Arc<Transaction>,
    pub(crate) failed: bool,
    /// Whether a statement has run: then the isolation level is fixed, and the snapshot taken.
    pub(crate) used: bool,
    /// Whether LOCK TABLE has: then the level is fixed too.
    locked: bool,
    /// Begun elsewhere, as a `Transaction` of the API.
    adopted: bool,
    /// The lock timeout that the transaction has.
    lock_timeout_ms: u64,
    pub(crate) start_us: i64,
    savepoints: Vec<Saved>,
    /// Settings before the block, restored by ROLLBACK; those of SET LOCAL end with the block.
    settings_before: Arc<Settings>,
    /// Settings that outlive the block when it commits.
    pub(crate) settings_session: Arc<Settings>,
}

/// A savepoint, and the settings as they were: those of the block and those that outlive it.
struct Saved {
    name: String,
    savepoint: Savepoint,
    settings: (Arc<Settings>, Arc<Settings>),
}

impl Block {
    /// Savepoints that are set.
    pub(crate) fn savepoint_count(&self) -> usize {
        self.savepoints.len()
    }
}

/// What a list of modes asks for.
#[derive(Default)]
pub(crate) struct Modes {
    pub(crate) isolation: Option<Level>,
    pub(crate) read_only: Option<bool>,
}

impl Modes {
    /// Reads the modes of BEGIN or SET TRANSACTION.
    pub(crate) fn read(modes: &[TransactionMode]) -> Result<Self> {
        let mut read = Self::default();
        for mode in modes {
            match mode {
                TransactionMode::AccessMode(TransactionAccessMode::ReadOnly) => read.read_only = Some(true),
                TransactionMode::AccessMode(TransactionAccessMode::ReadWrite) => read.read_only = Some(false),
                TransactionMode::IsolationLevel(level) => {
                    read.isolation = Some(match level {
                        TransactionIsolationLevel::ReadUncommitted => Level::ReadUncommitted,
                        TransactionIsolationLevel::ReadCommitted => Level::ReadCommitted,
                        TransactionIsolationLevel::RepeatableRead => Level::RepeatableRead,
                        TransactionIsolationLevel::Serializable => Level::Serializable,
                        TransactionIsolationLevel::Snapshot => Level::Snapshot,
                    });
                }
            }
        }
        Ok(read)
    }
}

/// Begins a transaction with the session's defaults; its locks are the session's.
pub(crate) fn begin_engine(
    shared: &Shared,
    locks: &LockSession,
    settings: &Settings,
    modes: &Modes,
) -> Result<Arc<Transaction>> {
    let options = TxnOptions {
        isolation: modes.isolation.unwrap_or(settings.default_isolation).isolation(),
        read_only: modes.read_only.unwrap_or(settings.default_read_only),
        sync: settings.synchronous_commit,
        ..TxnOptions::default()
    };
    locks.set_lock_timeout(settings.lock_timeout());
    Ok(Arc::new(shared.database.begin_in(locks, options)?))
}

/// BEGIN.
pub(crate) fn begin(
    shared: &Shared,
    state: &mut State,
    modes: &[TransactionMode],
) -> Result<StatementResult> {
    if state.block.is_some() {
        // PostgreSQL warns and goes on.
        return Ok(StatementResult::command("BEGIN"));
    }
    let modes = Modes::read(modes)?;
    let txn = begin_engine(shared, &state.locks, &state.settings, &modes)?;
    open(shared, state, txn, &modes);
    Ok(StatementResult::command("BEGIN"))
}

fn open(shared: &Shared, state: &mut State, txn: Arc<Transaction>, modes: &Modes) {
    let before = Arc::clone(&state.settings);
    let mut settings = Settings::clone(&before);
    settings.transaction_isolation = modes.isolation.unwrap_or(before.default_isolation);
    settings.transaction_read_only = modes.read_only.unwrap_or(before.default_read_only);
    state.settings = Arc::new(settings);
    state.block = Some(Block {
        txn,
        failed: false,
        used: false,
        locked: false,
        adopted: false,
        lock_timeout_ms: before.lock_timeout_ms,
        start_us: shared.now_us(),
        savepoints: Vec::new(),
        settings_session: Arc::clone(&before),
        settings_before: before,
    });
}

/// Opens a block over a transaction begun outside.
pub(crate) fn adopt(shared: &Shared, state: &Mutex<State>, txn: Arc<Transaction>) -> Result<()> {
    let mut state = state.lock();
    if state.block.is_some() {
        return Err(Error::new("25001", "there is already a transaction in progress"));
    }
    let options = *txn.options();
    let modes = Modes { isolation: Some(options.isolation.into()), read_only: Some(options.read_only) };
    open(shared, &mut state, txn, &modes);
    if let Some(block) = &mut state.block {
        // Its snapshot is that of its beginning, and others may have read from it.
        block.used = true;
        block.adopted = true;
        // It has what it was given; a setting of the session goes before that.
        block.lock_timeout_ms = 0;
    }
    Ok(())
}

/// COMMIT; a failed block is rolled back, as its tag says.
pub(crate) fn commit(shared: &Shared, state: &mut State, chain: bool) -> Result<StatementResult> {
    let Some(block) = state.block.take() else {
        return no_block(chain, "COMMIT");
    };
    let modes = chained(state);
    if block.failed {
        state.settings = block.settings_before;
        block.txn.rollback();
        if chain {
            let txn = begin_engine(shared, &state.locks, &state.settings, &modes)?;
            open(shared, state, txn, &modes);
        }
        return Ok(StatementResult::command("ROLLBACK"));
    }
    match super::temporary::before_commit(state, &block.txn).and_then(|()| Ok(block.txn.commit()?)) {
        Ok(_) => state.settings = block.settings_session,
        Err(error) => {
            block.txn.rollback();
            state.settings = block.settings_before;
            return Err(error);
        }
    }
    if chain {
        let txn = begin_engine(shared, &state.locks, &state.settings, &modes)?;
        open(shared, state, txn, &modes);
    }
    Ok(StatementResult::command("COMMIT"))
}

/// ROLLBACK.
pub(crate) fn rollback(shared: &Shared, state: &mut State, chain: bool) -> Result<StatementResult> {
    let Some(block) = state.block.take() else {
        return no_block(chain, "ROLLBACK");
    };
    let modes = chained(state);
    state.settings = block.settings_before;
    block.txn.rollback();
    if chain {
        let txn = begin_engine(shared, &state.locks, &state.settings, &modes)?;
        open(shared, state, txn, &modes);
    }
    Ok(StatementResult::command("ROLLBACK"))
}

fn chained(state: &State) -> Modes {
    Modes {
        isolation: Some(state.settings.transaction_isolation),
        read_only: Some(state.settings.transaction_read_only),
    }
}

fn no_block(chain: bool, tag: &str) -> Result<StatementResult> {
    if chain {
        return Err(Error::new("25P01", format!("{tag} AND CHAIN can only be used in transaction blocks")));
    }
    // PostgreSQL warns and goes on.
    Ok(StatementResult::command(tag))
}

impl Block {
    /// A statement begins: at Read Committed it sees what is committed now, at the other levels what was committed
    /// when the first statement began.
    pub(crate) fn begin_statement(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.used, true) {
            true => self.txn.begin_statement()?,
            false => self.txn.renew_snapshot()?,
        }
        Ok(())
    }

    /// A statement has failed. What the block did since its last savepoint is undone and the locks are given back, now and
    /// not at its end, as in PostgreSQL. A transaction of the API goes on.
    pub(crate) fn fail(&mut self) {
        if std::mem::replace(&mut self.failed, true) || self.adopted {
            return;
        }
        match self.savepoints.last() {
            Some(own) if self.txn.rollback_to(own.savepoint).is_ok() => {}
            _ => self.txn.rollback(),
        }
    }

    /// Has the transaction wait for locks as long as the session says now.
    pub(crate) fn set_lock_timeout(&mut self, settings: &Settings) -> Result<()> {
        if std::mem::replace(&mut self.lock_timeout_ms, settings.lock_timeout_ms) != settings.lock_timeout_ms
        {
            self.txn.set_lock_timeout(settings.lock_timeout())?;
        }
        Ok(())
    }

    /// Whether the transaction was begun elsewhere.
    pub(crate) fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// Rolls it back; the session's settings are those of before.
    pub(crate) fn end(self) -> Arc<Settings> {
        self.txn.rollback();
        self.settings_before
    }
}

/// SAVEPOINT.
pub(crate) fn savepoint(state: &mut State, name: &str) -> Result<StatementResult> {
    let block = state
        .block
        .as_mut()
        .ok_or_else(|| Error::new("25P01", "SAVEPOINT can only be used in transaction blocks"))?;
    let savepoint = block.txn.savepoint()?;
    let settings = (Arc::clone(&state.settings), Arc::clone(&block.settings_session));
    block.savepoints.push(Saved { name: name.to_owned(), savepoint, settings });
    Ok(StatementResult::command("SAVEPOINT"))
}

/// RELEASE SAVEPOINT: forgets it and those made after it; what they did stays.
pub(crate) fn release(state: &mut State, name: &str) -> Result<StatementResult> {
    let block = state
        .block
        .as_mut()
        .ok_or_else(|| Error::new("25P01", "RELEASE SAVEPOINT can only be used in transaction blocks"))?;
    let at = find(block, name)?;
    block.savepoints.truncate(at);
    Ok(StatementResult::command("RELEASE"))
}

/// ROLLBACK TO SAVEPOINT: also what a failed block is brought back with. The savepoint stays.
pub(crate) fn rollback_to(state: &mut State, name: &str) -> Result<StatementResult> {
    let block = state
        .block
        .as_mut()
        .ok_or_else(|| Error::new("25P01", "ROLLBACK TO SAVEPOINT can only be used in transaction blocks"))?;
    let at = find(block, name)?;
    block.savepoints.truncate(at + 1);
    block.txn.rollback_to(block.savepoints[at].savepoint)?;
    block.failed = false;
    let (mut now, mut lasting) = block.savepoints[at].settings.clone();
    if !Arc::ptr_eq(&now, &state.settings) {
        Arc::make_mut(&mut now).know_custom(&state.settings);
        Arc::make_mut(&mut lasting).know_custom(&state.settings);
        state.settings = now;
        block.settings_session = lasting;
    }
    Ok(StatementResult::command("ROLLBACK"))
}

fn find(block: &Block, name: &str) -> Result<usize> {
    block
        .savepoints
        .iter()
        .rposition(|own| own.name == name)
        .ok_or_else(|| Error::new("3B001", format!("savepoint \"{name}\" does not exist")))
}

/// SET TRANSACTION: only before the first statement of a block.
pub(crate) fn set_transaction(
    shared: &Shared,
    state: &mut State,
    modes: &[TransactionMode],
) -> Result<StatementResult> {
    let modes = Modes::read(modes)?;
    let Some(block) = state.block.as_mut() else {
        return Ok(StatementResult::command("SET"));
    };
    let isolation = modes.isolation.unwrap_or(state.settings.transaction_isolation);
    if block.used && isolation != state.settings.transaction_isolation {
        return Err(Error::new("25001", "SET TRANSACTION ISOLATION LEVEL must be called before any query"));
    }
    let read_only = modes.read_only.unwrap_or(state.settings.transaction_read_only);
    if block.used && !read_only && state.settings.transaction_read_only {
        return Err(Error::new("25001", "transaction read-write mode must be set before any query"));
    }
    if block.locked && isolation != state.settings.transaction_isolation {
        return Err(Error::new("25001", "SET TRANSACTION ISOLATION LEVEL must be called before LOCK TABLE"));
    }
    if !block.used && !block.locked && block.savepoints.is_empty() {
        block.txn.rollback();
        let modes = Modes { isolation: Some(isolation), read_only: Some(read_only) };
        block.txn = begin_engine(shared, &state.locks, &state.settings, &modes)?;
    }
    let mut settings = Settings::clone(&state.settings);
    settings.transaction_isolation = isolation;
    settings.transaction_read_only = read_only;
    state.settings = Arc::new(settings);
    Ok(StatementResult::command("SET"))
}

/// LOCK TABLE. Readers are not concerned: they take no locks.
pub(crate) fn lock_tables(context: &Context, state: &mut State, lock: &Lock) -> Result<StatementResult> {
    let Some(block) = state.block.as_mut() else {
        return Err(Error::new("25P01", "LOCK TABLE can only be used in transaction blocks"));
    };
    block.locked = true;
    let mode = match lock.lock_mode.as_ref().unwrap_or(&LockTableMode::AccessExclusive) {
        LockTableMode::AccessShare => ObjectLock::AccessShare,
        LockTableMode::RowShare => ObjectLock::RowShare,
        LockTableMode::RowExclusive => ObjectLock::RowExclusive,
        LockTableMode::ShareUpdateExclusive => ObjectLock::ShareUpdateExclusive,
        LockTableMode::Share => ObjectLock::Share,
        LockTableMode::ShareRowExclusive => ObjectLock::ShareRowExclusive,
        LockTableMode::Exclusive => ObjectLock::Exclusive,
        LockTableMode::AccessExclusive => ObjectLock::AccessExclusive,
    };
    let wait = if lock.nowait { Wait::NoWait } else { Wait::Block };
    for target in &lock.tables {
        loop {
            block.look_around()?;
            let table = find_table(context, &target.name)?;
            privileges::schemas::require_of(context, &target.name)?;
            privileges::require_any(context, &Relation::Table(Arc::clone(&table)), asks(mode))?;
            block.txn.lock_table(table.id, mode, wait).map_err(|error| match error {
                cairn_engine::Error::Storage(_) if error.sqlstate() == "55P03" && lock.nowait => {
                    let name = &table.name;
                    Error::new("55P03", format!("could not obtain lock on relation \"{name}\""))
                }
                other => other.into(),
            })?;
            // While it waited the name may have come to mean another table.
            block.look_around()?;
            if find_table(context, &target.name)?.id == table.id {
                break;
            }
        }
    }
    Ok(StatementResult::command("LOCK TABLE"))
}

/// The privileges of which one lets lock a table.
fn asks(mode: ObjectLock) -> Privileges {
    use Privileges as P;
    let strong = P::UPDATE | P::DELETE | P::TRUNCATE | P::MAINTAIN;
    match mode {
        ObjectLock::AccessShare => strong | P::SELECT | P::INSERT,
        ObjectLock::RowShare | ObjectLock::RowExclusive => strong | P::INSERT,
        _ => strong,
    }
}

impl Block {
    /// Sees the definitions as they are now, as far as the level and what was read permit. No statement begins by it.
    fn look_around(&mut self) -> Result<()> {
        match self.used {
            true => self.txn.begin_statement()?,
            false => self.txn.renew_snapshot()?,
        }
        Ok(())
    }
}

fn find_table(context: &Context, name: &ObjectName) -> Result<Arc<Table>> {
    let all = context.catalog()?;
    let (schema, table) = catalog::resolve_name(context, &all, name)?;
    match all.relation(&schema, &table) {
        Some(Relation::Table(table)) => Ok(table),
        Some(Relation::View(_)) => Err(Error::unsupported("LOCK TABLE of a view")),
        Some(_) => Err(Error::new("42809", format!("\"{table}\" is not a table or view"))),
        None => Err(Error::new("42P01", format!("relation \"{name}\" does not exist"))),
    }
}
