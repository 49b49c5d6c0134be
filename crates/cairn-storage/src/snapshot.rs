//! Snapshots: the right to read the store as of a commit.
//!
//! Guarantee: versions that a snapshot can see are kept as long as it lives; see [`crate::registry`].

use std::sync::Arc;

use bytes::Bytes;

use crate::core::Core;
use crate::error::Result;
use crate::history::AsOf;
use crate::key::CommitSeq;
use crate::options::Direction;
use crate::range::KeyRange;
use crate::visible::{Scan, Visibility};

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

    pub(crate) fn new_at(core: &Arc<Core>, as_of: AsOf) -> Result<Hold> {
        let seq = core.snapshots.acquire_at(as_of)?;
        Ok(Hold { core: Arc::clone(core), seq })
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

    pub(crate) fn new_at(core: &Arc<Core>, as_of: AsOf) -> Result<Snapshot> {
        Ok(Snapshot { hold: Arc::new(Hold::new_at(core, as_of)?) })
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
