//! What a store holds and has done, for people and monitors.

use std::sync::atomic::Ordering;

use crate::core::Core;
use crate::key::CommitSeq;
use crate::tree::TreeStats;

/// A look at the store; the parts are read one after another, not at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The newest visible commit.
    pub last_committed: CommitSeq,
    /// The oldest commit that a snapshot or transaction still reads at.
    pub oldest_snapshot: CommitSeq,
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
    /// Log bytes that wait in the process ([`crate::SyncMode::None`]).
    pub wal_pending_bytes: usize,
    /// Whether the store refuses writes until it is opened again.
    pub poisoned: bool,
    /// The failure that background work last met, if it has not succeeded since.
    pub background_error: Option<String>,
    /// The SSTs, the block cache, flushes and compactions.
    pub tree: TreeStats,
}

impl Core {
    pub(crate) fn stats(&self) -> Stats {
        let sources = self.sources();
        let readable = self.snapshots.readable(&self.visible);
        Stats {
            last_committed: self.visible.load(Ordering::Acquire),
            oldest_snapshot: readable.first().copied().unwrap_or(0),
            snapshots: self.snapshots.len(),
            memtable_bytes: sources.active.memory_bytes(),
            memtable_entries: sources.active.len(),
            immutable_memtables: sources.immutable.len(),
            immutable_bytes: sources.immutable.iter().map(|table| table.memory_bytes()).sum(),
            wal_pending_bytes: self.write.lock().log.pending_bytes(),
            poisoned: matches!(self.check_writable(), Err(crate::Error::Poisoned { .. })),
            background_error: self.background_error.lock().as_ref().map(ToString::to_string),
            tree: self.tree.stats(),
        }
    }
}
