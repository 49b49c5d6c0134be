//! Which commits can be read: the newest visible one, and those that snapshots hold.
//!
//! Guarantees: taking a snapshot costs a short lock that only readers and the start of a flush or compaction
//! share; who reads the newest commit without a snapshot takes no lock.
//!
//! Invariants (checked by `models/`):
//! - I1: a sequence is read and registered under one lock, so that [`Registry::readable`] never leaves out a
//!   snapshot that is handed out later and is older than all that it named.
//! - I2: what was done before a commit was published is seen by whoever reads that it is the newest.

use std::collections::BTreeMap;

use crate::key::CommitSeq;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// The newest visible commit, and the sequences that are being read.
pub(crate) struct Registry {
    newest: AtomicU64,
    held: Mutex<BTreeMap<CommitSeq, usize>>,
}

impl Registry {
    /// Nothing held; commits up to `newest` are visible.
    pub(crate) fn new(newest: CommitSeq) -> Registry {
        Registry { newest: AtomicU64::new(newest), held: Mutex::new(BTreeMap::new()) }
    }

    /// The newest visible commit.
    pub(crate) fn newest(&self) -> CommitSeq {
        self.newest.load(Ordering::Acquire)
    }

    /// Makes a commit visible, and with it all before. One thread at a time, in ascending order.
    pub(crate) fn publish(&self, seq: CommitSeq) {
        self.newest.store(seq, Ordering::Release);
    }

    /// Registers the newest visible commit.
    pub(crate) fn acquire(&self) -> CommitSeq {
        let mut held = self.held.lock();
        let seq = self.newest();
        *held.entry(seq).or_insert(0) += 1;
        seq
    }

    pub(crate) fn release(&self, seq: CommitSeq) {
        let mut held = self.held.lock();
        if let Some(count) = held.get_mut(&seq) {
            *count -= 1;
            if *count == 0 {
                held.remove(&seq);
            }
        }
    }

    /// The sequences that must stay readable, ascending: those held, and the newest visible one.
    pub(crate) fn readable(&self) -> Vec<CommitSeq> {
        let held = self.held.lock();
        let newest = self.newest();
        let mut seqs: Vec<CommitSeq> = held.keys().copied().collect();
        if seqs.last() != Some(&newest) {
            seqs.push(newest);
        }
        seqs
    }

    /// Number of different sequences held.
    pub(crate) fn len(&self) -> usize {
        self.held.lock().len()
    }
}
