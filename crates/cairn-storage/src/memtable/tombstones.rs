//! The range tombstones of one memtable: few, added now and then, consulted by every lookup.
//!
//! Guarantees: a lookup in a table without tombstones is one atomic load. Otherwise it takes a shared lock
//! for a clone of an `Arc`, searches the cut pieces, and goes through at most [`LOOSE_MAX`] new ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::key::{CommitSeq, RangeTombstone};
use crate::range::KeyRange;
use crate::tombstone::Fragments;

/// Tombstones searched one by one before they are cut into pieces.
const LOOSE_MAX: usize = 64;

#[derive(Default)]
struct Set {
    cut: Arc<Vec<RangeTombstone>>,
    pieces: Arc<Fragments>,
    loose: Vec<RangeTombstone>,
}

/// The set of tombstones.
pub(super) struct Tombstones {
    set: RwLock<Arc<Set>>,
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl Tombstones {
    pub(super) fn new() -> Tombstones {
        Tombstones {
            set: RwLock::new(Arc::new(Set::default())),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, tombstone: RangeTombstone) {
        self.bytes.fetch_add(2 * (tombstone.start.len() + tombstone.end.len()) + 256, Ordering::Relaxed);
        let mut guard = self.set.write();
        let mut loose = guard.loose.clone();
        loose.push(tombstone);
        let set = if loose.len() > LOOSE_MAX.max(guard.cut.len() / 16) {
            let mut cut = Vec::with_capacity(guard.cut.len() + loose.len());
            cut.extend(guard.cut.iter().cloned());
            cut.append(&mut loose);
            Set { pieces: Arc::new(Fragments::build(&cut)), cut: Arc::new(cut), loose }
        } else {
            Set { cut: Arc::clone(&guard.cut), pieces: Arc::clone(&guard.pieces), loose }
        };
        *guard = Arc::new(set);
        self.count.fetch_add(1, Ordering::Release);
    }

    pub(super) fn newest_covering(
        &self,
        key: &[u8],
        accept: impl Fn(CommitSeq) -> bool,
    ) -> Option<CommitSeq> {
        if self.is_empty() {
            return None;
        }
        let set = Arc::clone(&self.set.read());
        let loose = set.loose.iter().filter(|t| t.covers(key) && accept(t.seq)).map(|t| t.seq).max();
        loose.max(set.pieces.newest_covering_where(key, &accept))
    }

    pub(super) fn any_overlapping(&self, range: &KeyRange, accept: impl Fn(CommitSeq) -> bool) -> bool {
        if self.is_empty() {
            return false;
        }
        let set = Arc::clone(&self.set.read());
        set.cut.iter().chain(&set.loose).any(|t| accept(t.seq) && range.overlaps(&t.start, Some(&t.end)))
    }

    pub(super) fn all(&self) -> Vec<RangeTombstone> {
        if self.is_empty() {
            return Vec::new();
        }
        let set = Arc::clone(&self.set.read());
        set.cut.iter().chain(&set.loose).cloned().collect()
    }
}
