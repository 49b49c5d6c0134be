//! How many requests may come: a bucket for each role at each address, which fills as time goes by.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets, at most; those that are full are forgotten first.
const BUCKETS_MAX: usize = 10_000;

/// All buckets.
#[derive(Default)]
pub(super) struct Rates(Mutex<HashMap<(IpAddr, String), Bucket>>);

#[derive(Clone, Copy)]
struct Bucket {
    /// Requests that may come at once.
    left: f64,
    at: Instant,
}

impl Rates {
    /// Takes a request out of its bucket; the time after which there is one again, where it is empty.
    pub(super) fn take(
        &self,
        (address, user): (IpAddr, &str),
        per_minute: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        let (most, per_second) = (f64::from(per_minute.max(1)), f64::from(per_minute.max(1)) / 60.0);
        let filled = |bucket: &Bucket| {
            let since = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.left + since * per_second).min(most)
        };
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| filled(bucket) < most);
        }
        let bucket = buckets.entry((address, user.to_owned())).or_insert(Bucket { left: most, at: now });
        let left = filled(bucket);
        *bucket = Bucket { left, at: now };
        if left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - left) / per_second));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_fill_as_time_goes_by() {
        let (rates, begin) = (Rates::default(), Instant::now());
        let take = |address: u8, user: &str, seconds: u64| {
            let address = IpAddr::from([10, 0, 0, address]);
            rates.take((address, user), 2, begin + Duration::from_secs(seconds))
        };
        assert_eq!((take(1, "ann", 0), take(1, "ann", 0)), (Ok(()), Ok(())));
        assert_eq!(take(1, "ann", 0), Err(Duration::from_secs(30)));
        assert_eq!(take(1, "ann", 20), Err(Duration::from_secs(10)));
        assert_eq!((take(1, "bob", 0), take(2, "ann", 0)), (Ok(()), Ok(())));
        assert_eq!((take(1, "ann", 31), take(1, "ann", 32).is_err()), (Ok(()), true));
        // No more than the bucket holds.
        assert_eq!(
            (take(1, "ann", 9000), take(1, "ann", 9000), take(1, "ann", 9000).is_err()),
            (Ok(()), Ok(()), true)
        );
    }
}
