//! Background work: poll-driven workers, so that the same code runs on threads and in the simulation.
//!
//! ```text
//!            Again                wake / time is up
//!   running ───────▶ running   idle ───────▶ running
//!   running ── Idle, IdleFor ──▶ idle
//!   running ── Done, or stop ──▶ gone
//! ```
//!
//! Invariants:
//! - I1: a step never runs twice at the same time.
//! - I2: a wake that comes while the step runs makes it run once more.
//! - I3: after `Task::stop` (or drop) returned the step is not running and its closure is dropped, unless it
//!   was called from within that very step: then both hold as soon as that step returns.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::signal::Signal;

/// What a worker wants after one bounded piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do now.
    Again,
    /// Nothing to do until woken.
    Idle,
    /// Nothing to do until woken or until this much time has passed.
    IdleFor(Duration),
    /// Never call again.
    Done,
}

/// Runner of background work.
pub trait Tasks: Send + Sync + Debug {
    /// Starts a worker that calls `step` until it says [`Step::Done`] or is stopped. The first call comes
    /// without a wake. A step that panics ends its worker.
    ///
    /// # Errors
    /// Whatever the system reports when it has no thread to give.
    fn spawn(&self, name: &str, step: Box<dyn FnMut() -> Step + Send>) -> io::Result<Task>;

    /// Runs all jobs, and returns when every one is done. On threads side by side, one of them on the calling
    /// thread; otherwise, as in the simulation, one after the other in their order. Locks that are held over
    /// the call must not be wanted by the jobs.
    ///
    /// # Panics
    /// Where a job does.
    fn run_all(&self, jobs: Vec<Box<dyn FnOnce() + Send + '_>>) {
        for job in jobs {
            job();
        }
    }

    /// Called by foreground code where it holds no lock. On threads: nothing. In the simulation background
    /// steps may run here, chosen by the seed.
    fn yield_point(&self);

    /// How many threads can run at once, at least 1.
    fn parallelism(&self) -> usize;

    /// A new signal whose waiters leave the processor to these tasks.
    fn signal(&self) -> Signal;
}

/// What an implementation of tasks provides for one worker. Callers use [`Task`].
pub trait TaskHandle: Send + Sync + Debug {
    /// See [`Task::wake`].
    fn wake(&self);

    /// Stops and joins; called once or more.
    fn stop(&self);
}

/// A running worker. Dropping it stops and joins.
#[derive(Debug)]
pub struct Task {
    handle: Arc<dyn TaskHandle>,
}

impl Task {
    /// A task over an implementation.
    pub fn new(handle: Arc<dyn TaskHandle>) -> Task {
        Task { handle }
    }

    /// Has the worker take a step soon. Never blocks for long; any number of wakes may be one step.
    pub fn wake(&self) {
        self.handle.wake();
    }

    /// Stops the worker after its current step and waits for that.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.stop();
    }
}
