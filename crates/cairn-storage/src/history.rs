//! Which commit was the newest at a time: samples of the commits of the retention, in memory.
//!
//! Guarantee: what is answered for a time is a commit not newer than it, and no commit that is older than the time by more
//! than a granule is left out: a millisecond, or a 65536th of the retention where that is longer. The same time gives the
//! same commit while the store is open. After it is opened again only times since then are known.

use std::collections::VecDeque;
use std::time::Duration;

use crate::key::CommitSeq;

/// A moment of the past to read at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// After this commit.
    Commit(CommitSeq),
    /// At this time: microseconds since 1970-01-01 00:00 UTC.
    Micros(i64),
}

/// Samples, at most about two for each granule of the retention.
const GRANULES: u64 = 65_536;
const GRANULE_MICROS_MIN: u64 = 1_000;

/// See the module.
pub(crate) struct History {
    retention: u64,
    granule: u64,
    /// Time and commit, ascending.
    samples: VecDeque<(u64, CommitSeq)>,
    /// The newest commit.
    last: (u64, CommitSeq),
}

impl History {
    pub(crate) fn new(retention: Duration, now: u64, seq: CommitSeq) -> History {
        let retention = u64::try_from(retention.as_micros()).unwrap_or(u64::MAX);
        let granule = (retention / GRANULES).max(GRANULE_MICROS_MIN);
        History { retention, granule, samples: VecDeque::from([(now, seq)]), last: (now, seq) }
    }

    /// A commit; they come in order, their times do not go back.
    pub(crate) fn note(&mut self, micros: u64, seq: CommitSeq) {
        let (begun, sampled) = self.samples.back().copied().unwrap_or_default();
        if micros >= begun.saturating_add(self.granule) && self.last.1 > sampled {
            self.samples.push_back(self.last);
        }
        // A clock that was set back while the store was closed must not make times go back.
        self.last = (micros.max(self.last.0), seq);
    }

    /// The newest commit at that time; `None` before the first that is known.
    pub(crate) fn seq_at(&self, micros: u64) -> Option<CommitSeq> {
        if micros >= self.last.0 {
            return Some(self.last.1);
        }
        let behind = self.samples.partition_point(|(time, _)| *time <= micros);
        Some(self.samples[behind.checked_sub(1)?].1)
    }

    /// The commit from which on all versions are kept; older samples are forgotten.
    pub(crate) fn horizon(&mut self, now: u64) -> CommitSeq {
        let since = now.saturating_sub(self.retention);
        while self.samples.get(1).is_some_and(|(time, _)| *time <= since) {
            self.samples.pop_front();
        }
        match self.seq_at(since) {
            Some(seq) => seq,
            None => self.samples.front().map_or(self.last.1, |(_, seq)| *seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lead_to_commits_within_a_granule() {
        let mut history = History::new(Duration::from_secs(1), 1_000_000, 5);
        assert_eq!((history.seq_at(999_999), history.seq_at(1_000_000)), (None, Some(5)));
        // A commit every 100 µs: every time gives one that is not newer, and less than a granule older.
        for n in 1..=5_000u64 {
            history.note(1_000_000 + n * 100, 5 + n);
        }
        for micros in (1_000_000..1_500_000).step_by(37) {
            let seq = history.seq_at(micros).expect("known");
            let made = 1_000_000 + (seq - 5) * 100;
            assert!(made <= micros && micros - made < 1_000 + 100, "{seq} for {micros}");
        }
        // A pause: the last commit before it counts all the while.
        history.note(9_000_000, 6_000);
        assert_eq!((history.seq_at(8_999_999), history.seq_at(9_000_000)), (Some(5_005), Some(6_000)));
        assert_eq!(history.horizon(1_900_000), 5);
        let horizon = history.horizon(2_200_000);
        assert!((5 + 1_985..=5 + 2_000).contains(&horizon), "{horizon}");
        assert_eq!(history.seq_at(1_100_000), None);
        assert_eq!(history.horizon(20_000_000), 6_000);
        assert!(history.samples.len() < 3);
    }
}
