//! A bound on the bytes that background work writes in a second, so that foreground reads and syncs keep the
//! disk.
//!
//! Guarantees: over any second the work takes at most what is allowed and one piece; it never waits while
//! writers wait for it, nor while the store is being closed.

use std::time::Duration;

use cairn_env::Env;
use parking_lot::Mutex;

/// Longest wait before the reason to wait is looked at again.
const SLICE: Duration = Duration::from_millis(10);

/// The bound, shared by all workers of a store.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    bytes_per_second: u64,
    /// When what was taken so far is paid for, in nanoseconds of the monotonic clock.
    paid_at: Mutex<u64>,
}

impl RateLimiter {
    /// A bound; 0 is none.
    pub(crate) fn new(bytes_per_second: u64) -> RateLimiter {
        RateLimiter { bytes_per_second, paid_at: Mutex::new(0) }
    }

    /// Takes `bytes`, and waits for those taken before; `hurry` ends the wait.
    pub(crate) fn take(&self, env: &Env, bytes: u64, hurry: impl Fn() -> bool) {
        if self.bytes_per_second == 0 || hurry() {
            return;
        }
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let start = {
            let mut paid_at = self.paid_at.lock();
            let start = env.clock().monotonic_nanos().max(*paid_at);
            *paid_at = start.saturating_add(nanos as u64);
            start
        };
        loop {
            let wait = Duration::from_nanos(start.saturating_sub(env.clock().monotonic_nanos()));
            if wait.is_zero() || hurry() {
                return;
            }
            env.clock().sleep(wait.min(SLICE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_what_was_taken_and_no_longer() {
        let simulation = cairn_env::sim::Simulation::new(cairn_env::sim::SimOptions::new(1));
        let env = simulation.env();
        let limiter = RateLimiter::new(1_000_000);
        let start = env.clock().monotonic_nanos();
        for _ in 0..20 {
            limiter.take(&env, 100_000, || false);
        }
        // The first is free, each other waits for the one before it.
        let took = env.clock().monotonic_nanos() - start;
        assert!((1_900_000_000..2_100_000_000).contains(&took), "{took}");
        limiter.take(&env, 1 << 40, || true);
        RateLimiter::new(0).take(&env, 1 << 40, || false);
        assert!(env.clock().monotonic_nanos() - start < 2_200_000_000);
    }
}
