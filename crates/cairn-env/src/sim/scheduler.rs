//! Background tasks of the simulation: all on the thread that calls, one step at a time, chosen by the seed.
//!
//! Steps run at yield points (sometimes) and while somebody waits on a signal (always). A step may itself
//! reach a yield point or wait: then other tasks run inside it, never itself.
//!
//! Lock order: the scheduler's state, then the world. Neither is held while a step runs or is dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::world::World;
use crate::signal::{Signal, SignalCore};
use crate::tasks::{Step, Task, TaskHandle, Tasks};

/// Steps after which a wait is taken to be a livelock.
const WAIT_STEPS_MAX: u64 = 200_000;

/// The tasks of one process.
#[derive(Debug)]
pub(super) struct SimTasks {
    inner: Arc<Scheduler>,
}

#[derive(Debug)]
struct Scheduler {
    world: Arc<Mutex<World>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<u64, Slot>,
    next: u64,
}

struct Slot {
    name: String,
    /// Taken out while it runs.
    step: Option<Box<dyn FnMut() -> Step + Send>>,
    due: Due,
    woken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Now,
    At(u64),
    WhenWoken,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("name", &self.name).field("due", &self.due).finish_non_exhaustive()
    }
}

impl SimTasks {
    pub(super) fn new(world: Arc<Mutex<World>>) -> SimTasks {
        SimTasks { inner: Arc::new(Scheduler { world, state: Mutex::default() }) }
    }
}

impl Scheduler {
    /// Runs one step of a task that is ready, chosen by the seed. With `advance`, where none is ready, the
    /// clock is moved to the first that waits for a moment. False: there is nothing to run.
    fn run_one(&self, advance: bool) -> bool {
        let (number, mut step) = {
            let mut state = self.state.lock();
            let mut world = self.world.lock();
            let mut ready = state.ready(world.nanos);
            if ready.is_empty() && advance {
                let Some(first) = state.first_due() else { return false };
                world.nanos = world.nanos.max(first);
                ready = state.ready(world.nanos);
            }
            let Some(number) = world.random.pick(&ready).copied() else { return false };
            world.note(number);
            let Some(slot) = state.slots.get_mut(&number) else { return false };
            slot.woken = false;
            let Some(step) = slot.step.take() else { return false };
            (number, step)
        };
        let wanted = step();
        let now = self.world.lock().nanos;
        let mut finished = None;
        {
            let mut state = self.state.lock();
            match state.slots.get_mut(&number) {
                Some(slot) if wanted != Step::Done => {
                    slot.step = Some(step);
                    slot.due = match wanted {
                        _ if slot.woken => Due::Now,
                        Step::IdleFor(time) => Due::At(now.saturating_add(time.as_nanos() as u64)),
                        Step::Idle => Due::WhenWoken,
                        Step::Again | Step::Done => Due::Now,
                    };
                }
                _ => finished = Some((step, state.slots.remove(&number))),
            }
        }
        drop(finished);
        true
    }
}

impl State {
    /// The first moment that a task waits for.
    fn first_due(&self) -> Option<u64> {
        let waiting = self.slots.values().filter(|slot| slot.step.is_some());
        let moments = waiting.filter_map(|slot| match slot.due {
            Due::At(nanos) => Some(nanos),
            Due::Now | Due::WhenWoken => None,
        });
        moments.min()
    }

    fn ready(&self, now: u64) -> Vec<u64> {
        let ready = self.slots.iter().filter(|(_, slot)| {
            slot.step.is_some()
                && match slot.due {
                    Due::Now => true,
                    Due::At(nanos) => nanos <= now,
                    Due::WhenWoken => false,
                }
        });
        ready.map(|(number, _)| *number).collect()
    }
}

impl Tasks for SimTasks {
    fn spawn(&self, name: &str, step: Box<dyn FnMut() -> Step + Send>) -> io::Result<Task> {
        let mut state = self.inner.state.lock();
        let number = state.next;
        state.next += 1;
        let slot = Slot { name: name.to_owned(), step: Some(step), due: Due::Now, woken: false };
        state.slots.insert(number, slot);
        Ok(Task::new(Arc::new(SimTask { scheduler: Arc::downgrade(&self.inner), number })))
    }

    fn yield_point(&self) {
        let (steps, advance) = {
            let mut world = self.inner.world.lock();
            let rate = world.options.yield_one_in;
            if !world.random.one_in(rate) {
                return;
            }
            (world.random.between(1, 4), world.random.one_in(8))
        };
        for _ in 0..steps {
            if !self.inner.run_one(advance) {
                return;
            }
        }
    }

    fn parallelism(&self) -> usize {
        2
    }

    fn signal(&self) -> Signal {
        Signal::new(Arc::new(SimSignal { scheduler: Arc::clone(&self.inner) }))
    }
}

/// Holds the scheduler weakly: a step's closure may own tasks.
#[derive(Debug)]
struct SimTask {
    scheduler: Weak<Scheduler>,
    number: u64,
}

impl TaskHandle for SimTask {
    fn wake(&self) {
        if let Some(scheduler) = self.scheduler.upgrade()
            && let Some(slot) = scheduler.state.lock().slots.get_mut(&self.number)
        {
            slot.woken = true;
            slot.due = Due::Now;
        }
    }

    fn stop(&self) {
        // A step that runs now, further up this very stack, is dropped when it returns.
        let slot = self.scheduler.upgrade().and_then(|it| it.state.lock().slots.remove(&self.number));
        drop(slot);
    }
}

#[derive(Debug)]
struct SimSignal {
    scheduler: Arc<Scheduler>,
}

impl SignalCore for SimSignal {
    fn notify_all(&self) {}

    fn wait_until(&self, cond: &mut dyn FnMut() -> bool) {
        for _ in 0..WAIT_STEPS_MAX {
            if cond() {
                return;
            }
            if !self.scheduler.run_one(true) {
                // The last step may have made it true.
                assert!(cond(), "simulation deadlock: no task can run; {:?}", self.scheduler.state.lock());
                return;
            }
        }
        panic!("simulation livelock: tasks run and run; {:?}", self.scheduler.state.lock());
    }

    fn wait_for(&self, cond: &mut dyn FnMut() -> bool, timeout: Duration) -> bool {
        let end = self.scheduler.world.lock().nanos.saturating_add(timeout.as_nanos() as u64);
        loop {
            if cond() {
                return true;
            }
            if self.scheduler.world.lock().nanos >= end {
                return false;
            }
            // Nobody else runs here: without a task that is ready, time is all that moves.
            if !self.scheduler.run_one(false) {
                let due = self.scheduler.state.lock().first_due();
                let mut world = self.scheduler.world.lock();
                world.nanos = world.nanos.max(due.map_or(end, |due| due.min(end)));
            }
        }
    }
}
