//! Which commit was the newest at a time: samples of the commits of the retention, in memory.
//!
//! Guarantee: what is answered for a time is a commit not newer than it, and no commit that is older than the time by more
//! than a granule is left out: a millisecond, or a 65536th of the retention where that is longer. The same time gives the
//! same commit while the store is open.
//!
//! The manifest has the samples of what is in SSTs, the log the time of every commit: opening puts them together.

use std::cmp::Ordering;
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
    /// With the commits of earlier runs whose times are known.
    pub(crate) fn new(retention: Duration, times: &[(u64, CommitSeq)]) -> History {
        let retention = u64::try_from(retention.as_micros()).unwrap_or(u64::MAX);
        let granule = (retention / GRANULES).max(GRANULE_MICROS_MIN);
        let last = times.last().copied().unwrap_or_default();
        History { retention, granule, samples: times.iter().copied().collect(), last }
    }

    /// Everything is read back: the newest commit is `seq`, if none is known then as of now. What a crash took is
    /// forgotten.
    pub(crate) fn begin(&mut self, now: u64, seq: CommitSeq) {
        while self.samples.back().is_some_and(|(_, sampled)| *sampled > seq) {
            self.samples.pop_back();
        }
        if self.last.1 > seq {
            self.last = self.samples.back().copied().unwrap_or_default();
        }
        if self.last.1 < seq || self.last.0 == 0 {
            self.note(now, seq);
        }
        if self.samples.is_empty() {
            self.samples.push_back(self.last);
        }
    }

    /// The samples after a commit and up to `seq`, with that: what is to be recorded when these are durable. All
    /// up to `seq` were made by `now`.
    pub(crate) fn between(&self, after: CommitSeq, seq: CommitSeq, now: u64) -> Vec<(u64, CommitSeq)> {
        let (first, end) = (self.behind(after), self.behind(seq));
        let mut times: Vec<_> = self.samples.range(first..end.max(first)).copied().collect();
        if seq > times.last().map_or(after, |(_, sampled)| *sampled) {
            let micros = match self.last.1.cmp(&seq) {
                Ordering::Less => now.max(self.last.0),
                Ordering::Equal => self.last.0,
                // Not sampled: it came within a granule of the sample before.
                Ordering::Greater => {
                    let before = end.checked_sub(1).map_or(0, |at| self.samples[at].0);
                    before.saturating_add(self.granule).min(self.last.0)
                }
            };
            times.push((micros, seq));
        }
        times
    }

    /// The number of samples up to a commit.
    fn behind(&self, seq: CommitSeq) -> usize {
        self.samples.partition_point(|(_, sampled)| *sampled <= seq)
    }

    /// A commit; they come in order, their times do not go back.
    pub(crate) fn note(&mut self, micros: u64, seq: CommitSeq) {
        let (begun, sampled) = self.samples.back().copied().unwrap_or_default();
        if self.last.1 > sampled && (micros >= begun.saturating_add(self.granule) || self.samples.is_empty())
        {
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

    /// The commit from which on all versions are kept, if those from `floor` on are there; older samples are forgotten.
    pub(crate) fn horizon(&mut self, now: u64, floor: CommitSeq) -> CommitSeq {
        let since = now.saturating_sub(self.retention);
        while self.samples.get(1).is_some_and(|(time, _)| *time <= since) {
            self.samples.pop_front();
        }
        self.seq_at(since).unwrap_or(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lead_to_commits_within_a_granule() {
        let mut history = History::new(Duration::from_secs(1), &[]);
        history.begin(1_000_000, 5);
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
        assert_eq!(history.horizon(1_900_000, 3), 3);
        let horizon = history.horizon(2_200_000, 3);
        assert!((5 + 1_985..=5 + 2_000).contains(&horizon), "{horizon}");
        assert_eq!(history.seq_at(1_100_000), None);
        assert_eq!(history.horizon(20_000_000, 3), 6_000);
        assert!(history.samples.len() < 3);
    }

    #[test]
    fn what_is_recorded_leads_to_the_same_commits() {
        let mut history = History::new(Duration::from_secs(1), &[]);
        history.begin(1_000_000, 0);
        let mut recorded = Vec::new();
        for n in 1..=3_000u64 {
            history.note(1_000_000 + n * 150, n);
            if n % 500 == 0 {
                let after = recorded.last().map_or(0, |(_, seq)| *seq);
                recorded.extend(history.between(after, n, 0));
            }
        }
        // The last ones are in the log only.
        let mut again = History::new(Duration::from_secs(1), &recorded);
        for n in 3_001..=3_100u64 {
            for history in [&mut history, &mut again] {
                history.note(1_000_000 + n * 150, n);
            }
        }
        again.begin(9_000_000, 3_100);
        for micros in (1_002_000..1_470_000).step_by(41) {
            let (before, after) = (history.seq_at(micros), again.seq_at(micros));
            assert!(
                before.zip(after).is_some_and(|(a, b)| a.abs_diff(b) < 8),
                "{micros}: {before:?} {after:?}"
            );
        }
        // A crash took the last hundred.
        let mut cut = History::new(Duration::from_secs(1), &recorded);
        cut.begin(9_000_000, 2_400);
        assert!(cut.seq_at(1_400_000).is_some_and(|seq| seq <= 2_400));
        assert_eq!(cut.seq_at(9_000_000), Some(2_400));
        assert_eq!(history.between(3_100, 3_102, 5_000_000), [(5_000_000, 3_102)]);
        assert_eq!(history.between(3_000, 3_100, 0).last(), Some(&(1_000_000 + 3_100 * 150, 3_100)));
        // Of a commit between two samples the time is known to a granule.
        let (micros, seq) = *history.between(1_000, 1_234, 0).last().expect("a sample");
        assert!(seq == 1_234 && micros.abs_diff(1_000_000 + 1_234 * 150) <= 1_000, "{micros}");
    }
}
