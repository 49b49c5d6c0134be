//! `statement_timeout` and `idle_in_transaction_session_timeout`: who acts when the time is over. Both have a timer on the
//! runtime; a lock timeout is the wait's own.
//!
//! I1: a timer or a cancellation that comes when its statement has ended, or when the next one has begun, does nothing: both
//! sides look under one lock.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use cairn_engine::CancelHandle;
use parking_lot::Mutex;

use super::State;
use crate::engine::Shared;
use crate::query::interrupt::{Looking, Token};
use crate::{Error, Result};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Over,
    Ended,
}

/// What ends the statements of a session: its own handle, and that of a transaction that it was lent.
pub(super) fn handles(state: &State) -> Result<Vec<CancelHandle>> {
    let mut handles = vec![state.locks.cancel_handle()];
    if let Some(block) = state.block.as_ref().filter(|block| block.is_adopted() && block.txn.is_active()) {
        handles.push(block.txn.cancel_handle()?);
    }
    Ok(handles)
}

/// What ends the newest statement of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<Ending>>);

#[derive(Debug, Default)]
struct Ending {
    /// Nothing is there when the statement has returned.
    handles: Vec<CancelHandle>,
    /// Ends its rows, too.
    token: Token,
}

thread_local! {
    /// Set when nobody waits any more for the statement that this thread runs for an async caller.
    static ABANDONED: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// An async call: dropped before it is done, it cancels its statement, one that has not begun yet too.
pub(super) struct Awaited {
    abandoned: Arc<AtomicBool>,
    cancel: StatementCancel,
    done: bool,
}

impl Awaited {
    pub(super) fn new(cancel: StatementCancel) -> Awaited {
        Awaited { abandoned: Arc::default(), cancel, done: false }
    }

    /// The work of the call, to be run on another thread.
    pub(super) fn job<T, J: FnOnce() -> T>(&self, job: J) -> impl FnOnce() -> T + use<T, J> {
        let abandoned = Arc::clone(&self.abandoned);
        move || {
            ABANDONED.set(Some(abandoned));
            let result = job();
            ABANDONED.set(None);
            result
        }
    }

    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if !self.done {
            // In this order: a statement that begins in between looks for it.
            self.abandoned.store(true, Ordering::SeqCst);
            self.cancel.cancel();
        }
    }
}

impl Running {
    /// A statement begins.
    pub(crate) fn begin(&self, handles: &[CancelHandle]) -> Looking {
        let (handles, token) = (handles.to_vec(), Token::default());
        let mut ending = self.0.lock();
        *ending = Ending { handles: handles.clone(), token: Arc::clone(&token) };
        if ABANDONED.with_borrow(|own| own.as_ref().is_some_and(|own| own.load(Ordering::SeqCst))) {
            token.store(true, Ordering::Relaxed);
            handles.iter().for_each(CancelHandle::cancel);
        }
        drop(ending);
        Looking::at(handles, token)
    }

    /// What is set when the statement that runs is to end, its rows included.
    pub(crate) fn token(&self) -> Token {
        Arc::clone(&self.0.lock().token)
    }

    /// The statement has returned: what was tripped for it does nothing to the next (I1).
    pub(super) fn end(&self) {
        let mut ending = self.0.lock();
        let handles = std::mem::take(&mut ending.handles);
        if ending.token.load(Ordering::Relaxed) {
            handles.iter().for_each(CancelHandle::reset);
        }
    }
}

/// Ends the statement that a session runs, from any thread; clones do the same.
#[derive(Clone, Debug)]
pub struct StatementCancel(Running);

impl StatementCancel {
    pub(super) fn new(running: &Running) -> StatementCancel {
        StatementCancel(running.clone())
    }

    /// Has the running statement end with `57014`, as soon as it looks: in its waits, between rows that it writes, between
    /// batches and steps of planning; so do the rows that it gives. Nothing happens where none runs, or where one has begun
    /// to commit.
    pub fn cancel(&self) {
        let ending = self.0.0.lock();
        ending.token.store(true, Ordering::Relaxed);
        ending.handles.iter().for_each(CancelHandle::cancel);
    }
}

/// The time of a running statement: when it is over, its waits for locks, its writing and its planning end.
pub(super) struct StatementTimer {
    stage: Arc<Mutex<Stage>>,
    cancels: Vec<CancelHandle>,
    task: tokio::task::JoinHandle<()>,
}

impl StatementTimer {
    /// Starts it where the session has a `statement_timeout`.
    pub(super) fn start(
        shared: &Shared,
        state: &State,
        cancels: Vec<CancelHandle>,
    ) -> Result<Option<StatementTimer>> {
        if state.settings.statement_timeout_ms == 0 {
            return Ok(None);
        }
        let time = Duration::from_millis(state.settings.statement_timeout_ms);
        let stage = Arc::new(Mutex::new(Stage::Running));
        let (own, handles) = (Arc::clone(&stage), cancels.clone());
        let task = shared.runtime.timers()?.spawn(async move {
            tokio::time::sleep(time).await;
            let mut stage = own.lock();
            if *stage == Stage::Running {
                *stage = Stage::Over;
                handles.iter().for_each(CancelHandle::cancel);
            }
        });
        Ok(Some(StatementTimer { stage, cancels, task }))
    }

    /// Ends it with the statement; an error that it brought about says so.
    pub(super) fn end<T>(self, result: Result<T>) -> Result<T> {
        let stage = std::mem::replace(&mut *self.stage.lock(), Stage::Ended);
        self.task.abort();
        if stage != Stage::Over {
            return result;
        }
        self.cancels.iter().for_each(CancelHandle::reset);
        result.map_err(|error| match error.sqlstate() {
            "57014" => Error::new("57014", "canceling statement due to statement timeout"),
            _ => error,
        })
    }
}

/// A session's time between two statements of a block.
#[derive(Debug, Default)]
pub(crate) struct IdleTimer {
    /// Statements begun.
    statements: u64,
    task: Option<tokio::task::JoinHandle<()>>,
    /// The time was over: the block was rolled back, and the session has not been told.
    over: bool,
}

impl IdleTimer {
    /// A statement begins.
    ///
    /// # Errors
    /// `25P03` once, when the time was over before.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.statements += 1;
        if let Some(task) = self.task.take() {
            task.abort();
        }
        match std::mem::take(&mut self.over) {
            false => Ok(()),
            true => Err(Error::new("25P03", "terminating connection due to idle-in-transaction timeout")
                .with_hint(
                    "The transaction block was rolled back and its locks released; the session goes on.",
                )),
        }
    }

    /// Whether a statement must go the way on which [`IdleTimer::stop`] is called.
    pub(super) fn is_set(&self) -> bool {
        self.over || self.task.is_some()
    }
}

/// A statement has ended: in a block the time until the next one begins.
pub(super) fn start_idle(shared: &Shared, shared_state: &Arc<Mutex<State>>, state: &mut State) {
    let ms = state.settings.idle_timeout_ms;
    if ms == 0 || state.block.as_ref().is_none_or(super::Block::is_adopted) {
        return;
    }
    let Ok(handle) = shared.runtime.handle() else { return };
    let (session, statements) = (Arc::downgrade(shared_state), state.idle.statements);
    state.idle.task = Some(handle.spawn(async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        end_idle(&session, statements);
    }));
}

/// Rolls the block back and lets its locks go, unless a statement has begun (I1).
fn end_idle(session: &Weak<Mutex<State>>, statements: u64) {
    let Some(state) = session.upgrade() else { return };
    // A statement that is running has the lock.
    let Some(mut state) = state.try_lock() else { return };
    if state.idle.statements != statements {
        return;
    }
    if let Some(block) = state.block.take() {
        state.settings = block.end();
        state.locks.unlock_all();
        state.idle.over = true;
    }
}
