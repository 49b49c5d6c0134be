//! A constant picture of the database to read from, on any thread.
//!
//! I1: what a view shows never changes: the snapshot of its transaction with the writes made until the view was
//! taken. It stays good after its transaction has ended.
//! I2: reads through a view of a serializable transaction are validated when that commits (the store sees to it).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use cairn_storage::{
    CommitSeq, Direction, KeyRange, OwnedScan, ReadView as StorageView, Scan, Snapshot, Store,
};

use crate::catalog::Catalog;
use crate::error::Result;
use crate::key_space::{self, PREFIX_BYTES, STORE_TABLE};

#[derive(Clone)]
pub(crate) enum Source {
    Txn(StorageView, CommitSeq),
    Snapshot(Snapshot),
}

/// A constant picture to read from: `Send + Sync + Clone`, never blocked by writers and never blocking them.
///
/// ```
/// use cairn_engine::{Database, Direction, KeyRange};
/// let db = Database::in_memory()?;
/// let txn = db.begin(Default::default())?;
/// txn.put(b"a", b"1")?;
/// let view = txn.view()?;
/// txn.put(b"a", b"2")?;
/// assert_eq!(view.get(b"a")?.as_deref(), Some(&b"1"[..]));
/// # Ok::<(), cairn_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct ReadView {
    source: Source,
    catalog: Arc<Catalog>,
    store: Store,
}

impl fmt::Debug for ReadView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadView").field("catalog_version", &self.catalog.version()).finish_non_exhaustive()
    }
}

impl ReadView {
    pub(crate) fn new(source: Source, catalog: Arc<Catalog>, store: Store) -> ReadView {
        ReadView { source, catalog, store }
    }

    /// The definitions that this view goes by.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The value of a key of the key-value space.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.get_raw(&key_space::key(STORE_TABLE, 0, key))
    }

    /// The entries of a range of the key-value space.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub fn scan(&self, range: KeyRange, direction: Direction) -> Result<KvScan> {
        let range = key_space::absolute(STORE_TABLE, 0, &range);
        Ok(KvScan::new(self.scan_raw(range, direction)))
    }

    pub(crate) fn get_raw(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(match &self.source {
            Source::Txn(view, _) => view.get(key)?,
            Source::Snapshot(snapshot) => snapshot.get(key)?,
        })
    }

    pub(crate) fn scan_raw(&self, range: KeyRange, direction: Direction) -> Scan {
        match &self.source {
            Source::Txn(view, _) => view.scan(range, direction),
            Source::Snapshot(snapshot) => snapshot.scan(range, direction),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The commit that this view shows (own writes of its transaction come on top).
    pub fn sequence(&self) -> CommitSeq {
        match &self.source {
            Source::Txn(_, sequence) => *sequence,
            Source::Snapshot(snapshot) => snapshot.seq(),
        }
    }
}

/// A scan of the key-value space: an iterator of `Result<(Bytes, Bytes)>`, `Send`. [`KvScan::next_entry`] lends the
/// entries without copying.
pub struct KvScan {
    scan: OwnedScan,
}

impl fmt::Debug for KvScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvScan").finish_non_exhaustive()
    }
}

impl KvScan {
    pub(crate) fn new(scan: Scan) -> KvScan {
        KvScan { scan: scan.owned().stripped(PREFIX_BYTES) }
    }

    /// The next entry, lent until the next call.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        Ok(self.scan.next_entry()?)
    }
}

impl Iterator for KvScan {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.scan.next()?.map_err(Into::into))
    }
}
