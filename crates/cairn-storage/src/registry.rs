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
    held: Mutex<BTreeMap<CommitSeq, Holding>>,
}

/// Who reads at a commit.
#[derive(Clone, Copy)]
pub(crate) struct Holding {
    pub(crate) count: usize,
    /// Since when it is held without a break, as the first holder said.
    pub(crate) since: u64,
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
    #[cfg(test)]
    pub(crate) fn acquire(&self) -> CommitSeq {
        self.acquire_since(|| 0)
    }

    /// Registers the newest visible commit; `now` is asked where nobody else holds it.
    pub(crate) fn acquire_since(&self, now: impl FnOnce() -> u64) -> CommitSeq {
        let mut held = self.held.lock();
        let seq = self.newest();
        held.entry(seq).or_insert_with(|| Holding { count: 0, since: now() }).count += 1;
        seq
    }

    /// Registers an older commit, of which the caller knows that its versions are there and stay.
    pub(crate) fn hold(&self, seq: CommitSeq, now: u64) {
        self.held.lock().entry(seq).or_insert(Holding { count: 0, since: now }).count += 1;
    }

    /// What is held, ascending.
    pub(crate) fn holdings(&self) -> Vec<(CommitSeq, Holding)> {
        self.held.lock().iter().map(|(seq, holding)| (*seq, *holding)).collect()
    }

    pub(crate) fn release(&self, seq: CommitSeq) {
        let mut held = self.held.lock();
        if let Some(holding) = held.get_mut(&seq) {
            holding.count -= 1;
            if holding.count == 0 {
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
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.held.lock().len()
    }
}
