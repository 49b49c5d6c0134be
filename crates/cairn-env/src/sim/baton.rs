//! Concurrent fibers: clients and background tasks on threads of their own, of which exactly one runs at a
//! time. The baton says which; it changes hands where the running fiber gives it up, and the seed chooses who
//! is next.
//!
//! ```text
//!             pause, yield_point (by seed)            chosen
//!   running ─────────────────────────────▶ ready ───────────────▶ running
//!   running ── signal, lock, sleep, join, idle task ─▶ waiting ── told, or time is up ─▶ ready
//! ```
//! The baton changes hands before file operations that change something, at yield points, while asleep, and
//! where a fiber must wait: for a signal, for a [`crate::Lock`], for another fiber's end.
//!
//! Invariants:
//! - I1: between two such places a fiber runs alone, so every run is told by the seed; real time, thread
//!   identity and the system's scheduler have no say.
//! - I2: a waiting fiber becomes ready only by being told or by simulated time: a wakeup that somebody forgot
//!   is a deadlock, and a deadlock is reported with the seed and ends the process.
//! - I3: nothing blocks while it holds the baton, except a lock that the simulation does not know (see
//!   [`crate::Lock`]); that is reported after five minutes, and ends the process.
//!
//! Lock order: the baton's state, then the world. Neither is held while a fiber runs its own code.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::world::World;
use crate::signal::{Signal, SignalCore};
use crate::tasks::{Step, Task, TaskHandle, Tasks};

/// A fiber that holds the baton for so many times so long is taken to be stuck. One time is not enough: a
/// machine that was suspended wakes up with its clocks moved on.
const STUCK: Duration = Duration::from_secs(100);
const STUCK_TIMES: u32 = 3;
/// So often the baton may change hands until all have ended after one panicked.
const LAST_TURNS: u64 = 1_000_000;

thread_local! {
    /// The fiber that this thread is.
    static FIBER: RefCell<Option<Fiber>> = const { RefCell::new(None) };
}

/// What a fiber waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// Nothing: it can run.
    Run,
    /// A moment.
    Until(u64),
    /// A wake, or a moment: a task between two steps.
    Idle(u64),
    Signal(u64),
    /// A signal, or a moment.
    SignalUntil(u64, u64),
    Lock(usize),
    Join(u64),
}

/// Never, as a moment.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct Slot {
    name: String,
    want: Want,
    /// A task was woken since its step began.
    woken: bool,
    /// A task is to end.
    stopping: bool,
    turn: Arc<Turn>,
}

/// Where a fiber's thread waits for the baton.
#[derive(Debug, Default)]
struct Turn {
    mine: Mutex<bool>,
    given: Condvar,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<u64, Slot>,
    next: u64,
    /// Who has the baton, and how often it has changed hands.
    running: u64,
    turns: u64,
    /// What a fiber's panic said first.
    panic: Option<Box<dyn Any + Send>>,
    /// The turn by which all must have ended, because one panicked.
    last_turn: Option<u64>,
    /// The simulation is over: threads left behind stay parked.
    over: bool,
}

/// The scheduler of one simulation's fibers.
#[derive(Debug)]
pub(super) struct Baton {
    world: Arc<Mutex<World>>,
    state: Mutex<State>,
}

/// A fiber, as its own thread sees it.
#[derive(Clone, Debug)]
struct Fiber {
    baton: Arc<Baton>,
    number: u64,
}

fn current() -> Option<Fiber> {
    FIBER.with(|fiber| fiber.borrow().clone())
}

/// Whether this thread is a fiber of a simulation.
pub(crate) fn is_fiber() -> bool {
    FIBER.with(|fiber| fiber.borrow().is_some())
}

/// A fiber that found a lock taken gives its turn away until it was released.
pub(crate) fn wait_for_lock(place: usize) {
    if let Some(fiber) = current() {
        fiber.baton.switch(fiber.number, Want::Lock(place));
    }
}

/// Tells the fibers that wait for a lock.
pub(crate) fn released(place: usize) {
    if let Some(fiber) = current() {
        fiber.baton.tell(|want| want == Want::Lock(place));
    }
}

/// Before a file operation: others may run, by seed.
pub(super) fn pause() {
    let Some(fiber) = current() else { return };
    let switches = {
        let mut world = fiber.baton.world.lock();
        let rate = world.options.switch_one_in;
        world.random.one_in(rate)
    };
    if switches {
        fiber.baton.switch(fiber.number, Want::Run);
    }
}

/// Waits in simulated time; false if this thread is no fiber.
pub(super) fn sleep(duration: Duration) -> bool {
    let Some(fiber) = current() else { return false };
    let until = fiber.baton.moment(duration);
    fiber.baton.switch(fiber.number, Want::Until(until));
    true
}

impl Baton {
    /// A scheduler whose first fiber is the calling thread; it has the baton.
    pub(super) fn new(world: Arc<Mutex<World>>) -> Arc<Baton> {
        let baton = Arc::new(Baton { world, state: Mutex::default() });
        let (number, _) = baton.add("root");
        FIBER.with(|fiber| *fiber.borrow_mut() = Some(Fiber { baton: Arc::clone(&baton), number }));
        baton
    }

    /// The simulation is dropped: this thread is no fiber any more, and fibers left behind never run again.
    pub(super) fn end(&self) -> Option<Box<dyn Any + Send>> {
        FIBER.with(|fiber| {
            let mut fiber = fiber.borrow_mut();
            if fiber.as_ref().is_some_and(|fiber| std::ptr::eq(&*fiber.baton, self)) {
                *fiber = None;
            }
        });
        let mut state = self.state.lock();
        state.over = true;
        state.panic.take()
    }

    /// Takes what a fiber's panic said.
    pub(super) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        let mut state = self.state.lock();
        state.last_turn = None;
        state.panic.take()
    }

    /// A fiber panicked: the process is killed, and the others are to end.
    fn note_panic(&self, panic: Box<dyn Any + Send>) {
        self.world.lock().killed = true;
        let mut state = self.state.lock();
        let last = state.turns + LAST_TURNS;
        state.last_turn.get_or_insert(last);
        state.panic.get_or_insert(panic);
    }

    fn moment(&self, duration: Duration) -> u64 {
        self.world.lock().nanos.saturating_add(duration.as_nanos() as u64)
    }

    fn add(&self, name: &str) -> (u64, Arc<Turn>) {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        let turn = Arc::new(Turn::default());
        let slot = Slot {
            name: name.to_owned(),
            want: Want::Run,
            woken: false,
            stopping: false,
            turn: Arc::clone(&turn),
        };
        state.slots.insert(number, slot);
        (number, turn)
    }

    /// Starts a fiber; it runs when it is chosen.
    fn start(self: &Arc<Self>, name: &str, body: impl FnOnce(&Fiber) + Send + 'static) -> io::Result<u64> {
        let (number, turn) = self.add(name);
        let fiber = Fiber { baton: Arc::clone(self), number };
        #[allow(clippy::disallowed_methods)] // This crate gives threads to everybody else.
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            FIBER.with(|own| *own.borrow_mut() = Some(fiber.clone()));
            fiber.baton.wait_turn(&turn);
            // The body drops all that it owns before the baton goes on.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(&fiber))) {
                fiber.baton.note_panic(panic);
            }
            fiber.baton.finish(fiber.number);
        });
        if let Err(error) = started {
            self.state.lock().slots.remove(&number);
            return Err(error);
        }
        Ok(number)
    }

    /// Runs clients beside the calling fiber, which waits for the end of all.
    pub(super) fn run_all(self: &Arc<Self>, clients: Vec<Box<dyn FnOnce() + Send>>) -> io::Result<()> {
        let Some(own) = current() else { return Ok(()) };
        let mut numbers = Vec::new();
        for client in clients {
            numbers.push(self.start("client", move |_| client())?);
        }
        for number in numbers {
            self.join(own.number, number);
        }
        Ok(())
    }

    /// Makes fibers ready whose want is told.
    fn tell(&self, told: impl Fn(Want) -> bool) {
        for slot in self.state.lock().slots.values_mut() {
            if told(slot.want) {
                slot.want = Want::Run;
            }
        }
    }

    fn join(&self, own: u64, number: u64) {
        while self.state.lock().slots.contains_key(&number) {
            self.switch(own, Want::Join(number));
        }
    }

    /// Gives the baton to a fiber that can run, perhaps the caller, and returns when it has come back.
    fn switch(&self, own: u64, want: Want) {
        let turn = {
            let mut state = self.state.lock();
            if let Some(slot) = state.slots.get_mut(&own) {
                slot.want = want;
            }
            let next = self.choose(&mut state);
            if next == own {
                return;
            }
            state.hand(next);
            state.slots.get(&own).map(|slot| Arc::clone(&slot.turn))
        };
        if let Some(turn) = turn {
            self.wait_turn(&turn);
        }
    }

    /// The end of a fiber: the baton goes to another.
    fn finish(&self, own: u64) {
        FIBER.with(|fiber| *fiber.borrow_mut() = None);
        let mut state = self.state.lock();
        state.slots.remove(&own);
        for slot in state.slots.values_mut() {
            if slot.want == Want::Join(own) {
                slot.want = Want::Run;
            }
        }
        if !state.slots.is_empty() {
            let next = self.choose(&mut state);
            state.hand(next);
        }
    }

    /// Who runs next; where nobody can, time moves on to the first that waits for a moment.
    fn choose(&self, state: &mut State) -> u64 {
        let mut world = self.world.lock();
        let mut ready = state.ready(world.nanos);
        if ready.is_empty() {
            let moments = state.slots.values().filter_map(|slot| match slot.want {
                Want::Until(moment) | Want::Idle(moment) | Want::SignalUntil(_, moment) => Some(moment),
                _ => None,
            });
            world.nanos = world.nanos.max(moments.min().unwrap_or(NEVER));
            if world.nanos == NEVER {
                give_up(&format!("seed {}: deadlock: {}", world.options.seed, state.describe()));
            }
            ready = state.ready(world.nanos);
        }
        if state.last_turn.is_some_and(|last| state.turns > last) {
            let (seed, who) = (world.options.seed, state.describe());
            give_up(&format!("seed {seed}: a fiber panicked, see above, and others never end: {who}"));
        }
        let at = world.random.below(ready.len() as u64) as usize;
        let next = ready[at];
        world.note(next);
        if let Some(slot) = state.slots.get_mut(&next) {
            slot.want = Want::Run;
        }
        next
    }

    fn wait_turn(&self, turn: &Turn) {
        let (mut before, mut idle) = (self.state.lock().turns, 0);
        let mut mine = turn.mine.lock();
        while !*mine {
            if turn.given.wait_for(&mut mine, STUCK).timed_out() && !*mine {
                // Unlocked, because whoever hands the baton over holds the state.
                MutexGuard::unlocked(&mut mine, || self.check_progress(&mut before, &mut idle));
            }
        }
        *mine = false;
    }

    /// Ends the process if the baton has not changed hands for too long.
    fn check_progress(&self, before: &mut u64, idle: &mut u32) {
        let state = self.state.lock();
        *idle = if state.turns == *before && !state.over { *idle + 1 } else { 0 };
        *before = state.turns;
        if *idle == STUCK_TIMES {
            let seed = self.world.lock().options.seed;
            give_up(&format!(
                "seed {seed}: a fiber has held the baton for five minutes: it blocks on a lock that is no \
                 `cairn_env::Lock`, or never ends: {}",
                state.describe()
            ));
        }
    }
}

/// Reports what cannot be gone on from. Straight to the error output: a test's capture would be lost.
fn give_up(what: &str) -> ! {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "simulation: {what}");
    std::process::abort()
}

impl State {
    /// Who waits for what, for a report.
    fn describe(&self) -> String {
        let one = |(number, slot): (&u64, &Slot)| format!("{} {number}: {:?}", slot.name, slot.want);
        let all = self.slots.iter().map(one).collect::<Vec<_>>().join(", ");
        format!("{} has the baton of {all}", self.running)
    }

    fn ready(&self, now: u64) -> Vec<u64> {
        let can_run = |slot: &Slot| match slot.want {
            Want::Run => true,
            Want::Until(moment) | Want::Idle(moment) | Want::SignalUntil(_, moment) => moment <= now,
            Want::Signal(_) | Want::Lock(_) | Want::Join(_) => false,
        };
        self.slots.iter().filter(|(_, slot)| can_run(slot)).map(|(number, _)| *number).collect()
    }

    fn hand(&mut self, next: u64) {
        self.turns += 1;
        self.running = next;
        if let Some(slot) = self.slots.get(&next) {
            *slot.turn.mine.lock() = true;
            slot.turn.given.notify_one();
        }
    }
}

/// Tasks as fibers.
#[derive(Debug)]
pub(super) struct FiberTasks {
    pub(super) baton: Arc<Baton>,
}

/// A task's fiber: steps until it is done or stopped.
fn run_task(fiber: &Fiber, mut step: Box<dyn FnMut() -> Step + Send>) {
    let Fiber { baton, number } = fiber;
    let slot = |look: &mut dyn FnMut(&mut Slot)| baton.state.lock().slots.get_mut(number).map(look);
    loop {
        let mut stopping = true;
        slot(&mut |slot| {
            slot.woken = false;
            stopping = slot.stopping;
        });
        if stopping {
            return;
        }
        let until = match step() {
            Step::Again => 0,
            Step::Idle => NEVER,
            Step::IdleFor(duration) => baton.moment(duration),
            Step::Done => return,
        };
        let mut wanted = until > 0;
        slot(&mut |slot| wanted &= !slot.woken && !slot.stopping);
        baton.switch(*number, if wanted { Want::Idle(until) } else { Want::Run });
    }
}

impl Tasks for FiberTasks {
    fn spawn(&self, name: &str, step: Box<dyn FnMut() -> Step + Send>) -> io::Result<Task> {
        let number = self.baton.start(name, move |fiber| run_task(fiber, step))?;
        Ok(Task::new(Arc::new(FiberTask { baton: Arc::downgrade(&self.baton), number })))
    }

    fn yield_point(&self) {
        let Some(fiber) = current() else { return };
        let yields = {
            let mut world = fiber.baton.world.lock();
            let rate = world.options.yield_one_in;
            world.random.one_in(rate)
        };
        if yields {
            fiber.baton.switch(fiber.number, Want::Run);
        }
    }

    fn parallelism(&self) -> usize {
        2
    }

    fn signal(&self) -> Signal {
        let mut state = self.baton.state.lock();
        let number = state.next;
        state.next += 1;
        Signal::new(Arc::new(FiberSignal { baton: Arc::clone(&self.baton), number }))
    }
}

/// Holds the baton weakly: a fiber's closure may own tasks.
#[derive(Debug)]
struct FiberTask {
    baton: Weak<Baton>,
    number: u64,
}

impl TaskHandle for FiberTask {
    fn wake(&self) {
        if let Some(baton) = self.baton.upgrade()
            && let Some(slot) = baton.state.lock().slots.get_mut(&self.number)
        {
            slot.woken = true;
            if matches!(slot.want, Want::Idle(_)) {
                slot.want = Want::Run;
            }
        }
    }

    fn stop(&self) {
        let Some(baton) = self.baton.upgrade() else { return };
        {
            let mut state = baton.state.lock();
            let Some(slot) = state.slots.get_mut(&self.number) else { return };
            slot.stopping = true;
            if matches!(slot.want, Want::Idle(_)) {
                slot.want = Want::Run;
            }
        }
        match current() {
            // From within that very step: it ends when the step returns.
            Some(own) if own.number == self.number => {}
            Some(own) => baton.join(own.number, self.number),
            // The simulation is over.
            None => {}
        }
    }
}

#[derive(Debug)]
struct FiberSignal {
    baton: Arc<Baton>,
    number: u64,
}

impl SignalCore for FiberSignal {
    fn notify_all(&self) {
        self.baton.tell(|want| match want {
            Want::Signal(number) | Want::SignalUntil(number, _) => number == self.number,
            _ => false,
        });
    }

    fn wait_until(&self, cond: &mut dyn FnMut() -> bool) {
        let Some(own) = current() else { return };
        while !cond() {
            self.baton.switch(own.number, Want::Signal(self.number));
        }
    }

    fn wait_for(&self, cond: &mut dyn FnMut() -> bool, timeout: Duration) -> bool {
        let Some(own) = current() else { return cond() };
        let end = self.baton.moment(timeout);
        while !cond() {
            if self.baton.moment(Duration::ZERO) >= end {
                return false;
            }
            self.baton.switch(own.number, Want::SignalUntil(self.number, end));
        }
        true
    }
}
