//! Reading ahead: a worker parses batches while the caller inserts the ones before.
//!
//! ```text
//!   worker: inner.next() ─▶ queue (≤ QUEUED_MAX) ─▶ caller: next()
//!              ▲  idle while full                      │ wakes
//!              └───────────────────────────────────────┘
//! ```
//! I1. Order is kept; the first error is the last item.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use cairn_env::{Env, Signal, Step, Task};
use parking_lot::Mutex;

use super::error::Result;

/// Batches that wait, at most.
const QUEUED_MAX: usize = 4;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// The caller's end.
pub(super) struct Prefetch {
    shared: Arc<Shared>,
    task: Option<Task>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// The reader; the worker has it locked while it parses.
    inner: Mutex<Batches>,
    filled: Signal,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Result<RecordBatch>>,
    ended: bool,
}

impl Prefetch {
    /// Starts the worker.
    pub(super) fn start(env: &Env, inner: Batches) -> Prefetch {
        let shared =
            Arc::new(Shared { queue: Mutex::default(), inner: Mutex::new(inner), filled: env.signal() });
        let worker = Arc::clone(&shared);
        let step = move || worker.step();
        // Without a worker the caller reads by itself.
        let task = env.tasks().spawn("copy-read", Box::new(step)).ok();
        Prefetch { shared, task }
    }
}

impl Shared {
    fn step(&self) -> Step {
        {
            let queue = self.queue.lock();
            if queue.ended {
                return Step::Done;
            }
            if queue.ready.len() >= QUEUED_MAX {
                return Step::Idle;
            }
        }
        let next = self.inner.lock().next();
        let mut queue = self.queue.lock();
        match next {
            Some(batch) => {
                queue.ended = batch.is_err();
                queue.ready.push_back(batch);
            }
            None => queue.ended = true,
        }
        let ended = queue.ended;
        drop(queue);
        self.filled.notify_all();
        if ended { Step::Done } else { Step::Again }
    }
}

impl Iterator for Prefetch {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let shared = &self.shared;
        if self.task.is_none() {
            return shared.inner.lock().next();
        }
        shared.filled.wait_until(|| {
            let queue = shared.queue.lock();
            !queue.ready.is_empty() || queue.ended
        });
        let next = shared.queue.lock().ready.pop_front();
        if let Some(task) = &self.task {
            task.wake();
        }
        next
    }
}
