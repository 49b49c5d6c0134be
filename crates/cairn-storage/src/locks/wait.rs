//! Waiting for a lock, and the wait-for graph that finds deadlocks before anybody waits in one.
//!
//! Every wait begins and ends (but for being granted) under the graph's lock. Whoever begins one looks for a way from
//! those that hold it up back to itself. A cycle can only be closed by a new wait, since a lock that is granted is granted
//! to somebody who then does not wait; so one look at the beginning of each wait finds every deadlock, at once, and ends
//! exactly one of those in it: the one that came last.
//!
//! A cycle that goes through the queue only (the newcomer is held up by nobody who *has* the lock, but by somebody ahead
//! who waits for the newcomer) is resolved by letting the newcomer pass.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cairn_env::Signal;
use parking_lot::Mutex;

use super::mode::LockMode;
use super::table::{Attempt, LockOwner, LockTable, Request, Waiter};
use super::target::LockTarget;
use crate::error::{Error, Result};

/// What to do where a lock is not free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Wait, for at most the transaction's lock timeout.
    #[default]
    Block,
    /// Fail with [`Error::LockNotAvailable`].
    NoWait,
    /// Go on without it.
    SkipLocked,
}

/// Ends what a transaction or session does (its waits, its writing) from another thread. Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct CancelHandle {
    inner: Arc<Cancel>,
}

#[derive(Debug, Default)]
struct Cancel {
    tripped: AtomicBool,
    waits_at: Mutex<Option<Signal>>,
}

impl CancelHandle {
    /// Has the present wait or write, or the next one, end with [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.inner.tripped.store(true, Ordering::SeqCst);
        let signal = self.inner.waits_at.lock().clone();
        if let Some(signal) = signal {
            signal.notify_all();
        }
    }

    /// Whether it was tripped and not reset.
    pub fn is_cancelled(&self) -> bool {
        self.inner.tripped.load(Ordering::SeqCst)
    }

    /// For the next statement.
    pub fn reset(&self) {
        self.inner.tripped.store(false, Ordering::SeqCst);
    }

    fn wait_at(&self, signal: Option<Signal>) {
        *self.inner.waits_at.lock() = signal;
    }
}

/// One line of a deadlock's report: who waits for what, and who holds it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockWait {
    /// The transaction or session that waits.
    pub waiter: LockOwner,
    /// How it wants the target.
    pub mode: LockMode,
    /// What it waits for.
    pub target: LockTarget,
    /// The transaction or session that has it, or comes first.
    pub blocker: LockOwner,
}

impl fmt::Display for LockWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LockWait { waiter, mode, target, blocker } = self;
        write!(f, "Transaction {waiter} waits for {mode} on {target}; blocked by transaction {blocker}.")
    }
}

/// Who waits. An owner waits once at a time, mostly; its threads may wait each.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    waiting: HashMap<LockOwner, Vec<Arc<Waiter>>>,
}

impl Graph {
    fn add(&mut self, waiter: &Arc<Waiter>) {
        self.waiting.entry(waiter.owner).or_default().push(Arc::clone(waiter));
    }

    fn remove(&mut self, waiter: &Arc<Waiter>) {
        if let Some(waiters) = self.waiting.get_mut(&waiter.owner) {
            waiters.retain(|other| !Arc::ptr_eq(other, waiter));
            if waiters.is_empty() {
                self.waiting.remove(&waiter.owner);
            }
        }
    }
}

/// How long, and until whose word, somebody waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience<'a> {
    pub(crate) wait: Wait,
    pub(crate) timeout: Option<Duration>,
    pub(crate) cancel: Option<&'a CancelHandle>,
}

impl LockTable {
    /// Takes a lock; false where it is skipped.
    pub(crate) fn acquire(&self, request: &Request<'_>, patience: &Patience<'_>) -> Result<bool> {
        match self.attempt(request) {
            Attempt::Granted => Ok(true),
            Attempt::Full => Err(Error::LocksFull { max: self.bytes_max }),
            Attempt::Busy => match patience.wait {
                Wait::SkipLocked => Ok(false),
                Wait::NoWait => Err(self.not_available(request)),
                Wait::Block => self.wait(request, patience).map(|()| true),
            },
        }
    }

    fn not_available(&self, request: &Request<'_>) -> Error {
        Error::LockNotAvailable { target: request.name.to_target(), holder: self.holder_of(request) }
    }

    #[cold]
    fn wait(&self, request: &Request<'_>, patience: &Patience<'_>) -> Result<()> {
        let waiter = Arc::new(Waiter {
            owner: request.owner,
            id: request.id,
            mode: request.mode,
            scope: request.scope,
            granted: AtomicBool::new(false),
            signal: self.env.signal(),
        });
        {
            let mut graph = self.graph.lock();
            match self.attempt_or_enqueue(request, &waiter) {
                Attempt::Granted => return Ok(()),
                Attempt::Full => return Err(Error::LocksFull { max: self.bytes_max }),
                Attempt::Busy => graph.add(&waiter),
            }
            if let Some(waits) = self.find_cycle(&graph, &waiter) {
                graph.remove(&waiter);
                if self.pass(&waiter) || !self.leave(&waiter) {
                    return Ok(());
                }
                return Err(Error::Deadlock { waits });
            }
        }
        if let Some(cancel) = patience.cancel {
            cancel.wait_at(Some(waiter.signal.clone()));
        }
        let cancelled = || patience.cancel.is_some_and(CancelHandle::is_cancelled);
        let done = || waiter.granted.load(Ordering::Acquire) || cancelled();
        match patience.timeout {
            Some(timeout) => {
                waiter.signal.wait_for(done, timeout);
            }
            None => waiter.signal.wait_until_soon(done),
        }
        if let Some(cancel) = patience.cancel {
            cancel.wait_at(None);
        }
        let mut graph = self.graph.lock();
        graph.remove(&waiter);
        if waiter.granted.load(Ordering::Acquire) || !self.leave(&waiter) {
            return Ok(());
        }
        match cancelled() {
            true => Err(Error::Cancelled),
            false => Err(Error::LockTimeout { target: request.name.to_target() }),
        }
    }

    /// The shortest way from a new waiter back to itself.
    fn find_cycle(&self, graph: &Graph, new: &Arc<Waiter>) -> Option<Vec<LockWait>> {
        // By whom and by what wait each owner was reached.
        let mut reached: HashMap<LockOwner, LockWait> = HashMap::new();
        let mut next: VecDeque<LockOwner> = VecDeque::from([new.owner]);
        while let Some(owner) = next.pop_front() {
            for waiter in graph.waiting.get(&owner).into_iter().flatten() {
                // The new wait is the one that may close a cycle; others of its owner's threads have been looked at.
                if owner == new.owner && !Arc::ptr_eq(waiter, new) {
                    continue;
                }
                let Some((target, blockers)) = self.blockers(waiter) else { continue };
                for to in blockers {
                    let (mode, target) = (waiter.mode, target.clone());
                    let edge = LockWait { waiter: owner, mode, target, blocker: to };
                    if to == new.owner {
                        return Some(way(&reached, edge, new.owner));
                    }
                    if let std::collections::hash_map::Entry::Vacant(place) = reached.entry(to) {
                        place.insert(edge);
                        next.push_back(to);
                    }
                }
            }
        }
        None
    }
}

/// The cycle that `last` closes, from its beginning.
fn way(reached: &HashMap<LockOwner, LockWait>, last: LockWait, start: LockOwner) -> Vec<LockWait> {
    let mut cycle = vec![last];
    while let Some(edge) =
        cycle.last().filter(|edge| edge.waiter != start).and_then(|e| reached.get(&e.waiter))
    {
        cycle.push(edge.clone());
    }
    cycle.reverse();
    cycle
}
