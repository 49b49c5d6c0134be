//! Time: the wall clock, a monotonic clock and sleeping.
//!
//! Guarantee: `monotonic_nanos` never goes back; `wall_micros` may (somebody sets the clock).

use std::fmt::Debug;
use std::time::Duration;

/// Source of time.
pub trait Clock: Send + Sync + Debug {
    /// Microseconds since 1970-01-01 00:00 UTC. May jump either way.
    fn wall_micros(&self) -> i64;

    /// Nanoseconds since some fixed moment before; never decreases.
    fn monotonic_nanos(&self) -> u64;

    /// Waits at least this long. In the simulation time is moved on and nothing waits.
    fn sleep(&self, duration: Duration);
}
