//! BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE and SET TRANSACTION.

use std::sync::Arc;

use cairn_engine::{LockSession, Savepoint, Transaction, TxnOptions};
use parking_lot::Mutex;
use sqlparser::ast::{TransactionAccessMode, TransactionIsolationLevel, TransactionMode};

use super::State;
use super::settings::{Level, Settings};
use crate::engine::Shared;
use crate::results::StatementResult;
use crate::{Error, Result};

/// An open transaction block.
pub(crate) struct Block {
    pub(crate) txn: Arc<Transaction>,
    pub(crate) failed: bool,
    /// Whether a statement has run: then the isolation level is fixed, and the snapshot taken.
    pub(crate) used: bool,
    pub(crate) start_us: i64,
    savepoints: Vec<(String, Savepoint)>,
    /// Settings before the block, restored by ROLLBACK; those of SET LOCAL end with the block.
    settings_before: Arc<Settings>,
    /// Settings that outlive the block when it commits.
    pub(crate) settings_session: Arc<Settings>,
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
    match block.txn.commit() {
        Ok(_) => state.settings = block.settings_session,
        Err(error) => {
            state.settings = block.settings_before;
            return Err(error.into());
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
}

/// SAVEPOINT.
pub(crate) fn savepoint(state: &mut State, name: &str) -> Result<StatementResult> {
    let block = state
        .block
        .as_mut()
        .ok_or_else(|| Error::new("25P01", "SAVEPOINT can only be used in transaction blocks"))?;
    let savepoint = block.txn.savepoint()?;
    block.savepoints.push((name.to_owned(), savepoint));
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
    block.txn.rollback_to(block.savepoints[at].1)?;
    block.failed = false;
    Ok(StatementResult::command("ROLLBACK"))
}

fn find(block: &Block, name: &str) -> Result<usize> {
    block
        .savepoints
        .iter()
        .rposition(|(n, _)| n == name)
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
    if !block.used && block.savepoints.is_empty() {
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
