//! Signals on threads: a count of notifications under a mutex, and a condition variable.
//!
//! Invariant (checked by `models/`):
//! - I1: the count moves under the mutex, so that a waiter has either not looked at its condition yet, or waits.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::signal::SignalCore;
use crate::sync::{Condvar, Mutex, spin_loop};

/// How often a waiter looks before it sleeps, and the pauses between two looks: together about 20 µs.
const LOOKS: u32 = 64;
const PAUSES: u32 = 10;

/// How many may look at once: they leave a processor to those whom they wait for.
static LOOKING_MAX: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(0, |processors| processors.get() - 1));

/// How many look.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
pub(crate) struct OsSignal {
    epoch: Mutex<u64>,
    changed: Condvar,
}

impl OsSignal {
    pub(crate) fn new() -> OsSignal {
        OsSignal { epoch: Mutex::new(0), changed: Condvar::new() }
    }
}

impl SignalCore for OsSignal {
    fn notify_all(&self) {
        *self.epoch.lock() += 1;
        self.changed.notify_all();
    }

    fn wait_until(&self, cond: &mut dyn FnMut() -> bool) {
        loop {
            let seen = *self.epoch.lock();
            if cond() {
                return;
            }
            let mut epoch = self.epoch.lock();
            while *epoch == seen {
                self.changed.wait(&mut epoch);
            }
        }
    }

    fn wait_until_soon(&self, cond: &mut dyn FnMut() -> bool) {
        if LOOKING.fetch_add(1, Ordering::Relaxed) < *LOOKING_MAX {
            for _ in 0..LOOKS {
                if cond() {
                    LOOKING.fetch_sub(1, Ordering::Relaxed);
                    return;
                }
                for _ in 0..PAUSES {
                    spin_loop();
                }
            }
        }
        LOOKING.fetch_sub(1, Ordering::Relaxed);
        self.wait_until(cond);
    }

    fn wait_for(&self, cond: &mut dyn FnMut() -> bool, timeout: Duration) -> bool {
        // A time that the clock cannot count to is never reached.
        let Some(end) = Instant::now().checked_add(timeout) else {
            self.wait_until(cond);
            return true;
        };
        loop {
            let seen = *self.epoch.lock();
            if cond() {
                return true;
            }
            let mut epoch = self.epoch.lock();
            while *epoch == seen {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() || self.changed.wait_for(&mut epoch, left).timed_out() {
                    drop(epoch);
                    return cond();
                }
            }
        }
    }
}
