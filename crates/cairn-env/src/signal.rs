//! Signals: how foreground code waits for something that another thread or a background task brings about.
//!
//! Guarantee: no lost wakeup. If the condition is made true before `notify_all` is called, every waiter that
//! began before or after sees it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// What an implementation of signals provides. Callers use [`Signal`].
pub trait SignalCore: Send + Sync + Debug {
    /// Has every waiter check its condition again.
    fn notify_all(&self);

    /// Returns when `cond` has returned true.
    fn wait_until(&self, cond: &mut dyn FnMut() -> bool);

    /// As `wait_until`, for what is about to happen.
    fn wait_until_soon(&self, cond: &mut dyn FnMut() -> bool) {
        self.wait_until(cond);
    }

    /// Returns when `cond` has returned true, or after this time; what `cond` said last.
    fn wait_for(&self, cond: &mut dyn FnMut() -> bool, timeout: Duration) -> bool;
}

/// A place to wait at. Clones are the same place. Made by [`crate::Env::signal`].
///
/// ```
/// # use std::sync::atomic::{AtomicBool, Ordering};
/// let signal = cairn_env::Env::memory().signal();
/// let ready = AtomicBool::new(true);
/// signal.notify_all();
/// signal.wait_until(|| ready.load(Ordering::Acquire));
/// ```
#[derive(Clone, Debug)]
pub struct Signal {
    core: Arc<dyn SignalCore>,
}

impl Signal {
    /// A signal over an implementation.
    pub fn new(core: Arc<dyn SignalCore>) -> Signal {
        Signal { core }
    }

    /// Has every waiter check its condition again. Make the condition true first. Cheap if nobody waits.
    pub fn notify_all(&self) {
        self.core.notify_all();
    }

    /// Blocks until `cond` is true; it is checked first at once, then after each notification, without any
    /// lock of this signal held. Hold no lock that the other side needs.
    ///
    /// # Panics
    /// In the simulation, with "simulation deadlock", when no background task can make it true.
    pub fn wait_until(&self, mut cond: impl FnMut() -> bool) {
        self.core.wait_until(&mut cond);
    }

    /// As [`Signal::wait_until`], for what a running thread brings about within microseconds: the operating
    /// system's threads look again and again for about 20 µs before they sleep, because waking one takes longer (at once only so
    /// many that a processor is left to those they wait for).
    pub fn wait_until_soon(&self, mut cond: impl FnMut() -> bool) {
        self.core.wait_until_soon(&mut cond);
    }

    /// As [`Signal::wait_until`], for at most this long; whether `cond` is true. In the simulation the time is
    /// the simulated one.
    pub fn wait_for(&self, mut cond: impl FnMut() -> bool, timeout: Duration) -> bool {
        self.core.wait_for(&mut cond, timeout)
    }
}
