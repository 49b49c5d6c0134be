//! Snapshots: the right to read the store as of a commit.
//!
//! Guarantees: taking one costs a short lock that only readers and the start of a flush or compaction
//! share; versions that a registered snapshot can see are kept.
//!
//! Invariants:
//! - I1: a sequence is read and registered under the registry's lock, so that `oldest` is never above a
//!   snapshot that is handed out later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::core::Core;
use crate::error::Result;
use crate::key::CommitSeq;
use crate::options::Direction;
use crate::range::KeyRange;
use crate::visible::{Scan, Visibility};

/// The sequences that are being read.
#[derive(Default)]
pub(crate) struct Registry {
    held: Mutex<BTreeMap<CommitSeq, usize>>,
}

impl Registry {
    /// Registers the newest visible commit.
    pub(crate) fn acquire(&self, visible: &AtomicU64) -> CommitSeq {
        let mut held = self.held.lock();
        let seq = visible.load(Ordering::Acquire);
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
    pub(crate) fn readable(&self, visible: &AtomicU64) -> Vec<CommitSeq> {
        let held = self.held.lock();
        let newest = visible.load(Ordering::Acquire);
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

/// A registered sequence; released on drop.
pub(crate) struct Hold {
    core: Arc<Core>,
    seq: CommitSeq,
}

impl Hold {
    pub(crate) fn new(core: &Arc<Core>) -> Hold {
        let seq = core.acquire_snapshot();
        Hold { core: Arc::clone(core), seq }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn seq(&self) -> CommitSeq {
        self.seq
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.core.release_snapshot(self.seq);
    }
}

/// The store as of a commit. Clones are cheap; `Send` and `Sync`. It keeps old versions from being removed
/// and the store's memory alive, but does not keep the store open.
///
/// ```
/// use cairn_storage::{Options, Store};
/// let env = cairn_env::Env::memory();
/// let store = Store::open(&env, "/db".as_ref(), Options::default())?;
/// let before = store.snapshot();
/// let mut txn = store.begin(Default::default());
/// txn.put(b"k", b"v")?;
/// txn.commit()?;
/// assert_eq!(before.get(b"k")?, None);
/// assert_eq!(store.snapshot().get(b"k")?.as_deref(), Some(&b"v"[..]));
/// # Ok::<(), cairn_storage::Error>(())
/// ```
#[derive(Clone)]
pub struct Snapshot {
    hold: Arc<Hold>,
}

impl Snapshot {
    pub(crate) fn new(core: &Arc<Core>) -> Snapshot {
        Snapshot { hold: Arc::new(Hold::new(core)) }
    }

    /// The commit that the snapshot shows.
    pub fn seq(&self) -> CommitSeq {
        self.hold.seq()
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`crate::Error::Io`] and [`crate::Error::Corrupt`] from reading an SST.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.hold.core().get(key, self.hold.seq())
    }

    /// Goes through a range in the given direction.
    pub fn scan(&self, range: KeyRange, direction: Direction) -> Scan {
        Scan::open(&self.hold, range, direction, Visibility { snapshot: self.hold.seq(), own: None }, None)
    }

    pub(crate) fn hold(&self) -> &Arc<Hold> {
        &self.hold
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("seq", &self.seq()).finish_non_exhaustive()
    }
}
