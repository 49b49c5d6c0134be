//! Background tasks on threads, one each, parked on a condition variable between steps.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle, ThreadId};

use parking_lot::{Condvar, Mutex};

use super::signal::OsSignal;
use crate::signal::Signal;
use crate::tasks::{Step, Task, TaskHandle, Tasks};

/// Tasks as threads of the process.
#[derive(Debug)]
pub(crate) struct OsTasks;

impl Tasks for OsTasks {
    fn spawn(&self, name: &str, step: Box<dyn FnMut() -> Step + Send>) -> io::Result<Task> {
        let worker = Arc::new(Worker {
            state: Mutex::new(State { epoch: 0, stopping: false }),
            changed: Condvar::new(),
            thread: Mutex::new(None),
        });
        let inside = Arc::clone(&worker);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || inside.run(step))?;
        *worker.thread.lock() = Some(thread);
        Ok(Task::new(worker))
    }

    fn run_all(&self, mut jobs: Vec<Box<dyn FnOnce() + Send + '_>>) {
        let Some(own) = jobs.pop() else { return };
        thread::scope(|scope| {
            for job in jobs {
                scope.spawn(job);
            }
            own();
        });
    }

    fn yield_point(&self) {}

    fn parallelism(&self) -> usize {
        thread::available_parallelism().map_or(1, usize::from)
    }

    fn signal(&self) -> Signal {
        Signal::new(Arc::new(OsSignal::new()))
    }
}

#[derive(Debug)]
struct Worker {
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct State {
    /// Counts wakes, so that one that comes while the step runs is not lost (I2 of the task module).
    epoch: u64,
    stopping: bool,
}

impl Worker {
    fn run(&self, mut step: Box<dyn FnMut() -> Step + Send>) {
        loop {
            let seen = {
                let state = self.state.lock();
                if state.stopping {
                    return;
                }
                state.epoch
            };
            match step() {
                Step::Again => {}
                Step::Idle => {
                    let mut state = self.state.lock();
                    while state.epoch == seen && !state.stopping {
                        self.changed.wait(&mut state);
                    }
                }
                Step::IdleFor(duration) => {
                    // A spurious early return only costs one more step.
                    let mut state = self.state.lock();
                    if state.epoch == seen && !state.stopping {
                        self.changed.wait_for(&mut state, duration);
                    }
                }
                Step::Done => return,
            }
        }
    }
}

impl TaskHandle for Worker {
    fn wake(&self) {
        self.state.lock().epoch += 1;
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let own: ThreadId = thread::current().id();
            if thread.thread().id() != own {
                // A step that panicked has ended its worker and was reported by the panic hook.
                let _ = thread.join();
            }
        }
    }
}
