//! Who commits: transactions queue, a leader takes them and serves them as one group.
//!
//! ```text
//! commit ── nobody leads ──▶ lead: validate, number, stage, write, sync, apply, publish ──▶ done
//!    └───── somebody does ─▶ wait ──▶ done (by the leader)      │
//!                               └───▶ lead (handed over) ◀──────┘ if others wait
//! ```
//! A lone committer never switches threads. The next leader is woken before the finished group's members. Commits
//! that are awaited have no thread to lead with: whoever leads takes them along, and where nobody does a
//! background task is woken that leads; without background work the thread that began them does it at once.
//!
//! Invariants (checked by `models/`):
//! - I1: one thread leads at a time.
//! - I2: who queued is taken by a leader or made one, in the end: nobody waits for ever.
//! - I3: a request is served once, and whoever asked gets its own result.

use std::sync::Arc;

use crate::commit::Request;
use crate::commit_queue::{CommitHandle, Ticket};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::key::CommitSeq;

impl Core {
    /// Commits, alone or in a group.
    pub(crate) fn commit(self: &Arc<Core>, mut request: Request) -> Result<CommitSeq> {
        self.check_writable()?;
        if request.record.effects() == 0 {
            return Ok(self.snapshots.newest());
        }
        request.begun = self.env.clock().monotonic_nanos();
        let mut request = Box::new(request);
        let ticket = {
            let mut queue = self.queue.lock();
            if queue.led {
                let ticket = Ticket::new(request, self.env.signal(), false);
                queue.waiting.push(Arc::clone(&ticket));
                ticket
            } else {
                queue.led = true;
                drop(queue);
                return self.lead_own(request);
            }
        };
        match ticket.wait() {
            Ok(result) => result,
            Err(own) => {
                request = own;
                self.lead_own(request)
            }
        }
    }

    /// Begins a commit that nobody need wait for.
    pub(crate) fn commit_async(self: &Arc<Core>, mut request: Request) -> CommitHandle {
        if let Err(error) = self.check_writable() {
            return CommitHandle::done(Err(error));
        }
        if request.record.effects() == 0 {
            return CommitHandle::done(Ok(self.snapshots.newest()));
        }
        request.begun = self.env.clock().monotonic_nanos();
        let ticket = Ticket::new(Box::new(request), self.env.signal(), true);
        let led = {
            let mut queue = self.queue.lock();
            if queue.closing {
                return CommitHandle::done(Err(Error::Closed));
            }
            let (waiting, max) = (queue.awaited_bytes + ticket.held, self.options.awaited_bytes_max);
            if queue.awaited > 0 && waiting > max {
                return CommitHandle::done(Err(Error::CommitsFull { waiting, max }));
            }
            queue.awaited += 1;
            queue.awaited_bytes = waiting;
            queue.waiting.push(Arc::clone(&ticket));
            queue.led
        };
        if !led {
            self.see_to_awaited();
        }
        CommitHandle::queued(ticket)
    }

    /// Has somebody lead who commits what is awaited.
    fn see_to_awaited(self: &Arc<Core>) {
        if !self.wake_commit() {
            while self.lead_awaited() {}
        }
    }

    /// Commits those that wait, if nobody leads; false where there is nothing to do.
    pub(crate) fn lead_awaited(self: &Arc<Core>) -> bool {
        {
            let mut queue = self.queue.lock();
            if queue.led || queue.waiting.is_empty() {
                return false;
            }
            queue.led = true;
        }
        self.lead(None);
        true
    }

    /// Returns when every awaited commit is done; later ones are refused. Call it without locks.
    pub(crate) fn finish_awaited(&self) {
        self.queue.lock().closing = true;
        self.room.wait_until(|| self.queue.lock().awaited == 0);
    }

    /// Commits the own request and those that wait.
    fn lead_own(self: &Arc<Core>, own: Box<Request>) -> Result<CommitSeq> {
        let (result, left) = self.lead(Some(own));
        if left {
            self.see_to_awaited();
        }
        result.unwrap_or(Err(Error::Closed))
    }

    /// Commits the own request and those that wait, then hands the lead over. The result of the own one, and
    /// whether there are others whom nobody leads.
    fn lead(self: &Arc<Core>, own: Option<Box<Request>>) -> (Option<Result<CommitSeq>>, bool) {
        let room = self.finish_recovery().and_then(|()| self.wait_for_room());
        let tickets = std::mem::take(&mut self.queue.lock().waiting);
        let is_own = own.is_some();
        let mut requests = Vec::with_capacity(1 + tickets.len());
        requests.extend(own);
        requests.extend(tickets.iter().filter_map(|ticket| ticket.take()));
        let results = match room {
            Ok(()) => self.commit_group(&mut requests),
            Err(error) => requests.iter().map(|_| Err(error.clone())).collect(),
        };
        let left = self.hand_over();
        self.note_commits(&requests, &results);
        // Whoever is told finds the snapshot released.
        requests.iter_mut().for_each(|request| request.hold = None);
        // Big records are freed by their own threads' turn only after the others were told.
        let mut results = results.into_iter();
        let own = if is_own { results.next() } else { None };
        // Before wakers run: one may close the store.
        self.note_done(&tickets);
        for (ticket, result) in tickets.iter().zip(results) {
            ticket.finish(result);
        }
        (own, left)
    }

    /// Notes how long the commits of a group took.
    fn note_commits(&self, requests: &[Box<Request>], results: &[Result<CommitSeq>]) {
        let now = self.env.clock().monotonic_nanos();
        let done = requests.iter().zip(results).filter(|(_, result)| result.is_ok());
        for (request, _) in done {
            self.commits.latency.note(now.saturating_sub(request.begun));
        }
    }

    /// The awaited ones of these commits are done.
    fn note_done(&self, tickets: &[Arc<Ticket>]) {
        let awaited = tickets.iter().filter(|ticket| ticket.awaited);
        let (done, bytes) = awaited.fold((0, 0), |(done, bytes), ticket| (done + 1, bytes + ticket.held));
        if done == 0 {
            return;
        }
        let closing = {
            let mut queue = self.queue.lock();
            queue.awaited -= done;
            queue.awaited_bytes -= bytes;
            queue.closing
        };
        if closing {
            self.room.notify_all();
        }
    }

    /// Whether there are others whom nobody leads.
    fn hand_over(&self) -> bool {
        let mut queue = self.queue.lock();
        let Some(next) = queue.take_leader() else {
            queue.led = false;
            return !queue.waiting.is_empty();
        };
        drop(queue);
        if let Some(request) = next.take() {
            next.give_lead(request);
        }
        false
    }
}
