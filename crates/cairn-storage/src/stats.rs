//! What a store holds and has done, for people and monitors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cairn_env::Env;

use crate::core::Core;
use crate::key::CommitSeq;
use crate::latency::{Histogram, Latency};
use crate::tree_stats::TreeStats;
use crate::wal;

/// A look at the store; the parts are read one after another, not at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The newest visible commit.
    pub last_committed: CommitSeq,
    /// The oldest commit that a snapshot or transaction still reads at.
    pub oldest_snapshot: CommitSeq,
    /// How long the oldest of them has been read at: a forgotten reader shows here.
    pub oldest_snapshot_age: Duration,
    /// Overwritten or deleted versions that flushes and compactions had to write again, since snapshots or the
    /// retention need them; counted since the store was opened.
    pub versions_kept: u64,
    /// Different commits that snapshots and transactions read at.
    pub snapshots: usize,
    /// Memory of the memtable that takes commits.
    pub memtable_bytes: usize,
    /// Entries in it, all versions.
    pub memtable_entries: usize,
    /// Memtables that wait to be flushed.
    pub immutable_memtables: usize,
    /// Their memory.
    pub immutable_bytes: usize,
    /// What locks take ([`crate::Options::lock_bytes_max`]).
    pub lock_bytes: usize,
    /// What memtables and the cache hold, with what is pinned.
    pub memory_used_bytes: u64,
    /// What they may hold ([`crate::Options::memory_bytes`]); `None` where only the cache was given a size.
    pub memory_allowed_bytes: Option<u64>,
    /// Times that a writer had to wait for a flush or compaction.
    pub write_stalls: u64,
    /// How long they waited, together.
    pub write_stall_micros: u64,
    /// Times that a writer was slowed a little, because files wait for compaction.
    pub write_slowdowns: u64,
    /// Log segments on disk, those kept to be written again too; 0 where the directory cannot be read.
    pub wal_segments: u64,
    /// Their length, with what is preallocated.
    pub wal_bytes: u64,
    /// Bytes of the log that a recovery would read, bounded by [`crate::Options::wal_bytes_max`].
    pub wal_needed_bytes: u64,
    /// The commits.
    pub commits: CommitStats,
    /// Log bytes that wait in the process ([`crate::SyncMode::None`]).
    pub wal_pending_bytes: usize,
    /// Whether the store refuses writes until it is opened again.
    pub poisoned: bool,
    /// The failure that background work last met, if it has not succeeded since.
    pub background_error: Option<String>,
    /// The SSTs, the block cache, flushes and compactions.
    pub tree: TreeStats,
}

/// A reader that is older deserves a warning.
const LONG_READ: Duration = Duration::from_secs(300);

impl Stats {
    /// What somebody should look at, a sentence each: writes that are refused, background work that fails, a reader
    /// that was forgotten. Empty where all is well.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.poisoned {
            warnings.push("writes are refused since a sync failed: open the database again".to_string());
        }
        if let Some(error) = &self.background_error {
            warnings.push(format!("background work fails: {error}"));
        }
        if self.oldest_snapshot_age >= LONG_READ {
            warnings.push(format!(
                "commit {} has been read at for {} s by a snapshot or transaction: what was overwritten or deleted since then \
                 is kept",
                self.oldest_snapshot,
                self.oldest_snapshot_age.as_secs()
            ));
        }
        warnings
    }
}

/// The commits since the store was opened, and the log's work for them. Ingests do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitStats {
    /// Commits that succeeded.
    pub commits: u64,
    /// Groups that they came in: each is one append to the log and at most one fsync.
    pub groups: u64,
    /// Commits of the largest group.
    pub largest_group: u64,
    /// Commits begun without waiting ([`crate::Txn::commit_async`]) that are not done yet.
    pub waiting: u64,
    /// Bytes that these hold ([`crate::Options::awaited_bytes_max`]).
    pub waiting_bytes: u64,
    /// Bytes written to the log, headers and seals of its segments included.
    pub log_bytes: u64,
    /// Segments begun in a new file.
    pub segments_created: u64,
    /// Segments begun in a file that was written before ([`crate::Options::wal_recycle_segments`]).
    pub segments_recycled: u64,
    /// How long commits took: from the call until the outcome is known, without waking up who waits for it.
    pub latency: Latency,
    /// How long the fsyncs of the log took; `count` is their number.
    pub syncs: Latency,
}

impl CommitStats {
    /// Commits that shared a write and an fsync, in the mean; 0 where there was none.
    pub fn mean_group(&self) -> f64 {
        if self.groups == 0 { 0.0 } else { self.commits as f64 / self.groups as f64 }
    }
}

/// Counters of the commits, written by leaders.
#[derive(Debug, Default)]
pub(crate) struct CommitCounters {
    commits: AtomicU64,
    groups: AtomicU64,
    largest_group: AtomicU64,
    pub(crate) latency: Histogram,
}

impl CommitCounters {
    pub(crate) fn note_group(&self, commits: u64) {
        self.commits.fetch_add(commits, Ordering::Relaxed);
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.largest_group.fetch_max(commits, Ordering::Relaxed);
    }
}

/// Counters since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) versions_kept: AtomicU64,
    pub(crate) flush_micros: AtomicU64,
    pub(crate) compaction_micros: AtomicU64,
    pub(crate) compaction_read_bytes: AtomicU64,
    pub(crate) ingests: AtomicU64,
    pub(crate) ingested_bytes: AtomicU64,
    pub(crate) stalls: AtomicU64,
    pub(crate) stall_micros: AtomicU64,
    pub(crate) slowdowns: AtomicU64,
}

/// Runs `work` and adds the time it took.
pub(crate) fn timed<T>(env: &Env, micros: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let start = env.clock().monotonic_nanos();
    let result = work();
    let took = env.clock().monotonic_nanos().saturating_sub(start);
    micros.fetch_add(took / 1_000, Ordering::Relaxed);
    result
}

impl Core {
    fn commit_stats(&self) -> CommitStats {
        let meter = Arc::clone(self.write.lock().log.meter());
        let (waiting, waiting_bytes) = {
            let queue = self.queue.lock();
            (queue.awaited as u64, queue.awaited_bytes as u64)
        };
        CommitStats {
            commits: self.commits.commits.load(Ordering::Relaxed),
            groups: self.commits.groups.load(Ordering::Relaxed),
            largest_group: self.commits.largest_group.load(Ordering::Relaxed),
            waiting,
            waiting_bytes,
            log_bytes: meter.bytes.load(Ordering::Relaxed),
            segments_created: meter.created.load(Ordering::Relaxed),
            segments_recycled: meter.recycled.load(Ordering::Relaxed),
            latency: self.commits.latency.latency(),
            syncs: meter.syncs.latency(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let sources = self.sources();
        let snapshots = self.snapshots.list();
        let memtables: u64 = sources.memtables().map(|table| table.memory_bytes() as u64).sum();
        let tree = self.tree.stats();
        let segments = wal::list_segments(&self.env, &self.dir).unwrap_or_default();
        let len = |segment: &u64| {
            let path = self.dir.join(wal::format::file_name(*segment));
            self.env.files().metadata(&path).map_or(0, |metadata| metadata.len)
        };
        let counters = &self.tree.counters;
        Stats {
            lock_bytes: self.locks.bytes(),
            memory_used_bytes: memtables + tree.cache.bytes + tree.cache.pinned_bytes,
            memory_allowed_bytes: self.options.memory_bytes.map(|bytes| bytes as u64),
            write_stalls: counters.stalls.load(Ordering::Relaxed),
            write_stall_micros: counters.stall_micros.load(Ordering::Relaxed),
            write_slowdowns: counters.slowdowns.load(Ordering::Relaxed),
            wal_segments: segments.len() as u64,
            wal_bytes: segments.iter().map(len).sum(),
            last_committed: self.snapshots.newest(),
            oldest_snapshot: snapshots.first().map_or(self.snapshots.newest(), |oldest| oldest.seq),
            snapshots: snapshots.len(),
            oldest_snapshot_age: snapshots.iter().map(|snapshot| snapshot.age).max().unwrap_or_default(),
            versions_kept: counters.versions_kept.load(Ordering::Relaxed),
            memtable_bytes: sources.active.memory_bytes(),
            memtable_entries: sources.active.len(),
            immutable_memtables: sources.immutable.len(),
            immutable_bytes: sources.immutable.iter().map(|table| table.memory_bytes()).sum(),
            wal_needed_bytes: self.upkeep.bytes(),
            commits: self.commit_stats(),
            wal_pending_bytes: self.write.lock().log.pending_bytes(),
            poisoned: matches!(self.check_writable(), Err(crate::Error::Poisoned { .. })),
            background_error: self.background_error.lock().as_ref().map(ToString::to_string),
            tree,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_say_what_is_wrong() {
        let mut stats = Stats { oldest_snapshot: 7, oldest_snapshot_age: LONG_READ / 2, ..Stats::default() };
        assert!(stats.warnings().is_empty());
        stats.oldest_snapshot_age = LONG_READ;
        stats.poisoned = true;
        stats.background_error = Some("no space".to_string());
        let warnings = stats.warnings();
        assert_eq!(warnings.len(), 3);
        assert!(warnings[2].starts_with("commit 7 has been read at for 300 s"), "{warnings:?}");
    }
}
