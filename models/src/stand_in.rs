//! The rest of the store, as the commit queue sees it: a `Core` whose commits are numbers in a vector.
//!
//! A group is served under no lock of its own: the cell notices where two lead at a time.
// One thread at a time runs a model, whatever its types say.
#![allow(unsafe_code, clippy::arc_with_non_send_sync)]

pub(crate) mod key {
    pub type CommitSeq = u64;
}

pub(crate) mod options {
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) enum SyncMode {
        Sync,
    }
}

pub(crate) mod error {
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Error {
        Closed,
        CommitsFull { waiting: usize, max: usize },
    }

    pub type Result<T> = std::result::Result<T, Error>;
}

pub(crate) mod commit {
    use super::options::SyncMode;

    /// A number to be committed.
    pub(crate) struct Request {
        pub(crate) record: Number,
        pub(crate) sync: SyncMode,
        pub(crate) hold: Option<()>,
        pub(crate) begun: u64,
    }

    pub(crate) struct Number(pub(crate) u64);

    impl Number {
        pub(crate) fn effects(&self) -> u64 {
            1
        }

        pub(crate) fn padded_len(&self) -> usize {
            8
        }
    }

    impl Request {
        pub(crate) fn of(number: u64) -> Request {
            Request { record: Number(number), sync: SyncMode::Sync, hold: None, begun: 0 }
        }
    }
}

pub(crate) mod core {
    use std::sync::Arc;

    use loom::cell::UnsafeCell;

    use super::commit::Request;
    use super::error::Result;
    use crate::commit_queue::Queue;
    use crate::os_signal::OsSignal;
    use crate::registry::Registry;
    use crate::signal::Signal;
    use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

    pub(crate) struct Core {
        pub(crate) queue: Mutex<Queue>,
        pub(crate) snapshots: Registry,
        pub(crate) room: Signal,
        pub(crate) env: Env,
        pub(crate) commits: Counters,
        pub(crate) options: Options,
        /// What was committed, in order.
        log: UnsafeCell<Vec<u64>>,
        /// The task that leads awaited commits, where there is one.
        task: Option<Task>,
    }

    /// A task as `cairn_env` promises it: a wake that comes while it steps makes it step once more.
    struct Task {
        wakes: AtomicU64,
        stopped: AtomicBool,
        signal: Signal,
    }

    pub(crate) struct Env;

    pub(crate) struct Options {
        pub(crate) awaited_bytes_max: usize,
    }

    pub(crate) struct Counters {
        pub(crate) latency: Env,
    }

    impl Env {
        pub(crate) fn clock(&self) -> &Env {
            self
        }

        pub(crate) fn monotonic_nanos(&self) -> u64 {
            0
        }

        pub(crate) fn note(&self, _nanos: u64) {}

        pub(crate) fn signal(&self) -> Signal {
            Signal::new(Arc::new(OsSignal::new()))
        }
    }

    impl Core {
        pub(crate) fn new(background: bool) -> Arc<Core> {
            let task = background.then(|| Task {
                wakes: AtomicU64::new(0),
                stopped: AtomicBool::new(false),
                signal: Env.signal(),
            });
            Arc::new(Core {
                queue: Mutex::default(),
                snapshots: Registry::new(0),
                room: Env.signal(),
                env: Env,
                commits: Counters { latency: Env },
                options: Options { awaited_bytes_max: usize::MAX },
                log: UnsafeCell::new(Vec::new()),
                task,
            })
        }

        /// What the task does until it is stopped.
        pub(crate) fn run_task(self: &Arc<Core>) {
            let Some(task) = &self.task else { return };
            loop {
                let seen = task.wakes.load(Ordering::Acquire);
                if self.lead_awaited() {
                    continue;
                }
                let mut stopped = false;
                task.signal.wait_until(|| {
                    stopped = task.stopped.load(Ordering::Acquire);
                    stopped || task.wakes.load(Ordering::Acquire) != seen
                });
                if stopped {
                    return;
                }
            }
        }

        pub(crate) fn stop_task(&self) {
            if let Some(task) = &self.task {
                task.stopped.store(true, Ordering::Release);
                task.signal.notify_all();
            }
        }

        pub(crate) fn wake_commit(&self) -> bool {
            let Some(task) = &self.task else { return false };
            task.wakes.fetch_add(1, Ordering::AcqRel);
            task.signal.notify_all();
            true
        }

        pub(crate) fn check_writable(&self) -> Result<()> {
            Ok(())
        }

        pub(crate) fn finish_recovery(&self) -> Result<()> {
            Ok(())
        }

        pub(crate) fn wait_for_room(&self) -> Result<()> {
            Ok(())
        }

        pub(crate) fn commit_group(self: &Arc<Core>, requests: &mut [Box<Request>]) -> Vec<Result<u64>> {
            // SAFETY: one leader at a time; the checker panics where that is not so.
            self.log.with_mut(|log| {
                unsafe { &mut *log }.extend(requests.iter().map(|request| request.record.0));
            });
            let last = self.committed().len() as u64;
            self.snapshots.publish(last);
            (last - requests.len() as u64 + 1..=last).map(Ok).collect()
        }

        /// The numbers in order; for the leader, or when no other thread is left.
        pub(crate) fn committed(&self) -> Vec<u64> {
            // SAFETY: as above.
            self.log.with(|log| unsafe { &*log }.clone())
        }
    }
}
