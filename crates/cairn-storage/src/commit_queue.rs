//! The queue of commits: places in it, and how whoever has one learns the outcome, blocking or awaiting.
//!
//! ```text
//! blocking:  Waiting ─▶ Taken ─▶ Done          or Waiting ─▶ Lead: its own thread leads
//! awaited:   Waiting ─▶ Taken ─▶ Done ─▶ wakers woken
//! ```
//! Invariants:
//! - I1: a ticket whose request was taken is done in the end, with a result or an error; nobody waits for ever.
//! - I2: an awaited ticket never gets the lead: nobody may be there to take it.
//! - I3: the waker is taken out under the lock under which the state becomes `Done`: no wakeup is lost.
//! - I4: an awaited ticket's `held` is in the queue's sum from when it is queued until its outcome is known.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::commit::Request;
use crate::error::{Error, Result};
use crate::key::CommitSeq;
use crate::options::SyncMode;
use crate::sync::{AtomicBool, Mutex, Ordering, Signal};

/// Who waits for the leader.
#[derive(Default)]
pub(crate) struct Queue {
    /// Somebody leads.
    pub(crate) led: bool,
    pub(crate) waiting: Vec<Arc<Ticket>>,
    /// Awaited commits that are not done.
    pub(crate) awaited: usize,
    /// What these hold (I4).
    pub(crate) awaited_bytes: usize,
    /// The store is being closed: no more awaited commits are begun.
    pub(crate) closing: bool,
}

impl Queue {
    /// Takes out the next who can lead: the first with a thread.
    pub(crate) fn take_leader(&mut self) -> Option<Arc<Ticket>> {
        let at = self.waiting.iter().position(|ticket| !ticket.awaited)?;
        Some(self.waiting.remove(at))
    }
}

/// Charged for an awaited commit beside its record.
const AWAITED_BYTES: usize = 256;

/// A place in the queue.
pub(crate) struct Ticket {
    slot: Mutex<Slot>,
    signal: Signal,
    /// No thread waits with it.
    pub(crate) awaited: bool,
    /// Bytes charged for it, where it is awaited.
    pub(crate) held: usize,
    /// The commit waits for no fsync of its own.
    quick: bool,
    /// The state is `Lead` or `Done`.
    settled: AtomicBool,
}

struct Slot {
    state: State,
    waker: Option<Waker>,
}

enum State {
    Waiting(Box<Request>),
    /// The leader works on it.
    Taken,
    /// The holder is the next leader.
    Lead(Box<Request>),
    Done(Result<CommitSeq>),
}

impl Ticket {
    pub(crate) fn new(request: Box<Request>, signal: Signal, awaited: bool) -> Arc<Ticket> {
        let quick = request.sync != SyncMode::Sync;
        let held = if awaited { AWAITED_BYTES + request.record.padded_len() } else { 0 };
        let slot = Slot { state: State::Waiting(request), waker: None };
        Arc::new(Ticket {
            slot: Mutex::new(slot),
            signal,
            awaited,
            held,
            quick,
            settled: AtomicBool::new(false),
        })
    }

    fn set(&self, state: State) {
        let waker = {
            let mut slot = self.slot.lock();
            slot.state = state;
            slot.waker.take()
        };
        self.settled.store(true, Ordering::Release);
        self.signal.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Tells the outcome.
    pub(crate) fn finish(&self, result: Result<CommitSeq>) {
        self.set(State::Done(result));
    }

    /// Gives the lead to whoever waits, with the request.
    pub(crate) fn give_lead(&self, request: Box<Request>) {
        self.set(State::Lead(request));
    }

    /// The request, for the leader.
    pub(crate) fn take(&self) -> Option<Box<Request>> {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut slot.state, State::Taken) {
            State::Waiting(request) => Some(request),
            other => {
                slot.state = other;
                None
            }
        }
    }

    /// Waits for the result, or for the lead.
    pub(crate) fn wait(&self) -> std::result::Result<Result<CommitSeq>, Box<Request>> {
        let mut outcome = None;
        let mut look = || {
            if !self.settled.load(Ordering::Acquire) {
                return false;
            }
            let mut slot = self.slot.lock();
            match std::mem::replace(&mut slot.state, State::Taken) {
                State::Done(result) => {
                    outcome = Some(Ok(result.clone()));
                    slot.state = State::Done(result);
                }
                State::Lead(request) => outcome = Some(Err(request)),
                other => slot.state = other,
            }
            outcome.is_some()
        };
        if self.quick {
            self.signal.wait_until_soon(&mut look);
        } else {
            self.signal.wait_until(&mut look);
        }
        outcome.unwrap_or(Ok(Err(Error::Closed)))
    }

    fn outcome(&self) -> Option<Result<CommitSeq>> {
        match &self.slot.lock().state {
            State::Done(result) => Some(result.clone()),
            _ => None,
        }
    }
}

/// A commit under way, from [`crate::Txn::commit_async`] or [`crate::Store::write_async`]: a future, for any
/// executor, and something to wait for without one. `Send` and `Sync`.
///
/// The commit was begun when the handle was made and needs no polling: dropping the handle only forgets the
/// outcome. [`crate::Store::close`] waits for it. It gives the commit's sequence, also when asked again.
///
/// ```
/// use cairn_storage::{Options, Store, WriteBatch};
/// let store = Store::open(&cairn_env::Env::memory(), "/db".as_ref(), Options::default())?;
/// let handles: Vec<_> = (0..10u8).map(|i| {
///     let mut batch = WriteBatch::new();
///     batch.put(&[i], b"value").map(|()| store.write_async(batch, None))
/// }).collect::<Result<_, _>>()?;
/// // All ten are under way, and share a few fsyncs.
/// for handle in handles {
///     handle.wait()?; // or handle.await
/// }
/// # Ok::<(), cairn_storage::Error>(())
/// ```
#[must_use = "whether the commit succeeded is known from its handle only"]
pub struct CommitHandle {
    place: Place,
}

enum Place {
    Done(Result<CommitSeq>),
    Queued(Arc<Ticket>),
}

impl CommitHandle {
    pub(crate) fn done(result: Result<CommitSeq>) -> CommitHandle {
        CommitHandle { place: Place::Done(result) }
    }

    pub(crate) fn queued(ticket: Arc<Ticket>) -> CommitHandle {
        CommitHandle { place: Place::Queued(ticket) }
    }

    /// Blocks until the commit is done. A thread that wants nothing else is better served by
    /// [`crate::Txn::commit`], which needs no other thread.
    ///
    /// # Errors
    /// As [`crate::Txn::commit`].
    pub fn wait(self) -> Result<CommitSeq> {
        match self.place {
            Place::Done(result) => result,
            // I2: it never gets the lead.
            Place::Queued(ticket) => ticket.wait().unwrap_or(Err(Error::Closed)),
        }
    }

    /// Whether the outcome is known.
    pub fn is_done(&self) -> bool {
        match &self.place {
            Place::Done(_) => true,
            Place::Queued(ticket) => ticket.outcome().is_some(),
        }
    }
}

impl Future for CommitHandle {
    type Output = Result<CommitSeq>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<CommitSeq>> {
        let ticket = match &self.place {
            Place::Done(result) => return Poll::Ready(result.clone()),
            Place::Queued(ticket) => ticket,
        };
        let mut slot = ticket.slot.lock();
        if let State::Done(result) = &slot.state {
            return Poll::Ready(result.clone());
        }
        match &slot.waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => slot.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl std::fmt::Debug for CommitHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitHandle").field("is_done", &self.is_done()).finish_non_exhaustive()
    }
}
