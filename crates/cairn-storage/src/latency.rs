//! How long things take: histograms that cost one atomic addition per entry.
//!
//! Guarantees: a percentile is never less than the true one, and at most an eighth more; memory is fixed (4 KiB).

use std::sync::atomic::{AtomicU64, Ordering};

/// Steps within a power of two, as a power of two.
const STEP_BITS: u32 = 3;
const STEPS: usize = 1 << STEP_BITS;
/// Buckets for every number of 64 bits.
const BUCKETS: usize = (64 - STEP_BITS as usize) * STEPS + STEPS;

/// Counts durations by length, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Histogram { buckets, sum: AtomicU64::new(0), max: AtomicU64::new(0) }
    }
}

/// How long something took, in nanoseconds, since the store was opened. All 0 where nothing happened yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// How often it happened.
    pub count: u64,
    /// The mean.
    pub mean_nanos: u64,
    /// Half took at most this long (up to an eighth too much).
    pub p50_nanos: u64,
    /// 99 of 100 took at most this long (up to an eighth too much).
    pub p99_nanos: u64,
    /// The longest.
    pub max_nanos: u64,
}

fn bucket_of(nanos: u64) -> usize {
    if nanos < STEPS as u64 {
        return nanos as usize;
    }
    let shift = 63 - nanos.leading_zeros() - STEP_BITS;
    (shift as usize + 1) * STEPS + ((nanos >> shift) as usize & (STEPS - 1))
}

/// The greatest number that falls into a bucket.
fn upper(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let shift = bucket / STEPS - 1;
    let lower = ((STEPS + bucket % STEPS) as u64) << shift;
    lower + ((1 << shift) - 1)
}

impl Histogram {
    pub(crate) fn note(&self, nanos: u64) {
        self.buckets[bucket_of(nanos)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(nanos, Ordering::Relaxed);
        self.max.fetch_max(nanos, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn latency(&self) -> Latency {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let (count, max_nanos) = (counts.iter().sum::<u64>(), self.max.load(Ordering::Relaxed));
        let percentile = |part: u64| {
            let mut left = (count * part).div_ceil(100);
            let bucket = counts.iter().position(|&here| {
                left = left.saturating_sub(here);
                left == 0
            });
            bucket.map_or(0, upper).min(max_nanos)
        };
        if count == 0 {
            return Latency::default();
        }
        Latency {
            count,
            mean_nanos: self.sum.load(Ordering::Relaxed) / count,
            p50_nanos: percentile(50),
            p99_nanos: percentile(99),
            max_nanos,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_consecutive_and_close() {
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(upper(BUCKETS - 1), u64::MAX);
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(upper(bucket)), bucket);
            if bucket + 1 < BUCKETS {
                let next = upper(bucket) + 1;
                assert_eq!(bucket_of(next), bucket + 1);
                assert!(upper(bucket + 1) - next <= next / STEPS as u64);
            }
        }
    }

    #[test]
    fn percentiles_are_those_of_the_numbers() {
        let histogram = Histogram::default();
        assert_eq!(histogram.latency(), Latency::default());
        (1..=1000u64).for_each(|n| histogram.note(n * 1000));
        let latency = histogram.latency();
        assert_eq!((latency.count, latency.mean_nanos, latency.max_nanos), (1000, 500_500, 1_000_000));
        assert!((500_000..=562_500).contains(&latency.p50_nanos), "{latency:?}");
        assert!((990_000..=1_000_000).contains(&latency.p99_nanos), "{latency:?}");
    }
}
