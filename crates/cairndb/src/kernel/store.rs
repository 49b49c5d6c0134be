//! The key-value space straight on the ordered store, for builds without SQL.
//!
//! I1: keys are `STORE_PREFIX | user key`, exactly as the engine writes them (`docs/format/keyspace.md`), so
//! that both builds open each other's databases.

use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cairn_env::Env;
use cairn_storage::{
    AsOf, CancelHandle, CommitSeq, Direction, Error, Isolation, KeyLock, KeyRange, LockInfo, LockOwner,
    LockTarget, Locked, SnapshotInfo, Stats, Store, SyncMode, TxnOptions, VerifyReport, Wait,
};
use smallvec::SmallVec;

use super::Begin;
use crate::Result;

/// `partition 0 | table 1 | index 0`.
const STORE_PREFIX: [u8; 8] = [0, 0, 0, 0, 0, 1, 0, 0];

/// Greatest length of a user's key.
const USER_KEY_BYTES_MAX: usize = 64 * 1024;

/// Keys of this length and shorter are not allocated.
const KEY_BYTES_INLINE: usize = 128;

fn full(key: &[u8]) -> Result<SmallVec<[u8; KEY_BYTES_INLINE]>> {
    check_key(key)?;
    let mut full = SmallVec::with_capacity(STORE_PREFIX.len() + key.len());
    full.extend_from_slice(&STORE_PREFIX);
    full.extend_from_slice(key);
    Ok(full)
}

fn check_key(key: &[u8]) -> Result<()> {
    if key.len() > USER_KEY_BYTES_MAX {
        return Err(Error::KeyTooLarge { len: key.len(), max: USER_KEY_BYTES_MAX }.into());
    }
    Ok(())
}

fn full_range(range: &KeyRange) -> KeyRange {
    let whole = KeyRange::prefix(&STORE_PREFIX);
    let prefixed = |bound: &Bound<Bytes>, outer: Bound<Bytes>| match bound {
        Bound::Unbounded => outer,
        Bound::Included(key) => Bound::Included(Bytes::from([&STORE_PREFIX, &key[..]].concat())),
        Bound::Excluded(key) => Bound::Excluded(Bytes::from([&STORE_PREFIX, &key[..]].concat())),
    };
    KeyRange::new(prefixed(&range.start, whole.start), prefixed(&range.end, whole.end))
}

#[derive(Clone)]
pub(crate) struct Database(Store);

impl Database {
    pub(crate) fn open(env: &Env, path: &Path, options: cairn_storage::Options) -> Result<Database> {
        Ok(Database(Store::open(env, path, options)?))
    }

    pub(crate) fn begin(&self, begin: Begin) -> Result<Transaction> {
        let options = TxnOptions { isolation: begin.isolation, sync: begin.sync, ..TxnOptions::default() };
        Ok(Transaction(Mutex::new(Some(self.0.begin(options)))))
    }

    pub(crate) fn view(&self) -> Result<View> {
        Ok(View(self.0.snapshot()))
    }

    pub(crate) fn view_at(&self, as_of: AsOf) -> Result<View> {
        Ok(View(self.0.snapshot_at(as_of)?))
    }

    /// Locks of keys, without their prefix.
    pub(crate) fn locks(&self) -> Vec<(Bytes, LockInfo)> {
        let key = |lock: LockInfo| match &lock.target {
            LockTarget::Key(key) if key.starts_with(&STORE_PREFIX) => {
                Some((key.slice(STORE_PREFIX.len()..), lock))
            }
            LockTarget::Range(range) if range.start_key().starts_with(&STORE_PREFIX) => {
                Some((range.start_key().slice(STORE_PREFIX.len()..), lock))
            }
            _ => None,
        };
        self.0.locks().into_iter().filter_map(key).collect()
    }

    pub(crate) fn write(&self, batch: Batch) -> Result<CommitSeq> {
        Ok(self.0.write(batch.0, None)?)
    }

    pub(crate) fn flush(&self) -> Result<()> {
        Ok(self.0.flush()?)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.0.sync()?)
    }

    pub(crate) fn compact(&self) -> Result<()> {
        Ok(self.0.compact(KeyRange::all())?)
    }

    pub(crate) fn checkpoint(&self, directory: &Path) -> Result<CommitSeq> {
        Ok(self.0.checkpoint(directory)?)
    }

    pub(crate) fn verify(&self) -> Result<VerifyReport> {
        Ok(self.0.verify()?)
    }

    pub(crate) fn verify_dir(env: &Env, path: &Path) -> Result<VerifyReport> {
        Ok(Store::verify_dir(env, path)?)
    }

    pub(crate) fn snapshots(&self) -> Vec<SnapshotInfo> {
        self.0.snapshots()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.0.stats()
    }

    pub(crate) fn close(&self) -> Result<()> {
        Ok(self.0.clone().close()?)
    }
}

/// Blind writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch(cairn_storage::WriteBatch);

impl Batch {
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        Ok(self.0.put_prefixed(&STORE_PREFIX, key, value)?)
    }

    pub(crate) fn delete(&mut self, key: &[u8]) -> Result<()> {
        Ok(self.0.delete(&full(key)?)?)
    }

    pub(crate) fn delete_range(&mut self, range: &KeyRange) -> Result<()> {
        let range = full_range(range);
        match range.end_key() {
            Some(end) => Ok(self.0.delete_range(&range.start_key(), &end)?),
            None => Ok(()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `None` once it has ended.
pub(crate) struct Transaction(Mutex<Option<cairn_storage::Txn>>);

#[derive(Clone, Debug)]
pub(crate) struct Savepoint(cairn_storage::Savepoint);

impl Transaction {
    fn lock(&self) -> MutexGuard<'_, Option<cairn_storage::Txn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&mut cairn_storage::Txn) -> cairn_storage::Result<T>) -> Result<T> {
        match self.lock().as_mut() {
            Some(txn) => Ok(work(txn)?),
            None => Err(ended()),
        }
    }

    /// One call, which is a statement.
    fn call<T>(&self, work: impl FnOnce(&mut cairn_storage::Txn) -> cairn_storage::Result<T>) -> Result<T> {
        self.with(|txn| {
            txn.begin_statement();
            work(txn)
        })
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let key = full(key)?;
        self.call(|txn| txn.get(&key))
    }

    pub(crate) fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let key = full(key)?;
        self.call(|txn| {
            txn.claim_unchanged(&key, KeyLock::NoKeyUpdate)?;
            txn.put(&key, value)
        })
    }

    pub(crate) fn delete(&self, key: &[u8]) -> Result<()> {
        let key = full(key)?;
        self.call(|txn| {
            txn.claim_unchanged(&key, KeyLock::Update)?;
            txn.delete(&key)
        })
    }

    pub(crate) fn lock_key(&self, key: &[u8], mode: KeyLock, wait: Wait) -> Result<bool> {
        let key = full(key)?;
        self.with(|txn| match txn.lock_key(&key, mode, wait)? {
            Locked::Skipped => Ok(false),
            Locked::Changed if txn.isolation() != Isolation::ReadCommitted => {
                Err(Error::Conflict { reason: "another transaction wrote the same key".to_owned() })
            }
            Locked::Before | Locked::Unchanged | Locked::Changed => Ok(true),
        })
    }

    pub(crate) fn set_lock_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.with(|txn| {
            txn.set_lock_timeout(timeout);
            Ok(())
        })
    }

    pub(crate) fn cancel_handle(&self) -> Result<CancelHandle> {
        self.with(|txn| Ok(txn.cancel_handle()))
    }

    pub(crate) fn lock_owner(&self) -> Result<LockOwner> {
        self.with(|txn| Ok(txn.lock_owner()))
    }

    pub(crate) fn delete_range(&self, range: &KeyRange) -> Result<()> {
        let range = full_range(range);
        let Some(end) = range.end_key() else { return Ok(()) };
        self.call(|txn| {
            txn.claim_range(&range)?;
            txn.delete_range(&range.start_key(), &end)
        })
    }

    pub(crate) fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan> {
        self.call(|txn| Ok(Scan::new(txn.scan(full_range(&range), direction))))
    }

    pub(crate) fn savepoint(&self) -> Result<Savepoint> {
        self.with(|txn| Ok(Savepoint(txn.savepoint())))
    }

    pub(crate) fn rollback_to(&self, savepoint: &Savepoint) -> Result<()> {
        self.with(|txn| txn.rollback_to(savepoint.0))
    }

    pub(crate) fn set_sync(&self, sync: SyncMode) -> Result<()> {
        self.with(|txn| {
            txn.set_sync(sync);
            Ok(())
        })
    }

    pub(crate) fn commit(&self) -> Result<CommitSeq> {
        match self.lock().take() {
            Some(txn) => Ok(txn.commit()?),
            None => Err(ended()),
        }
    }

    /// Begins the commit; the handle gives the outcome.
    pub(crate) fn commit_async(&self) -> Result<cairn_storage::CommitHandle> {
        match self.lock().take() {
            Some(txn) => Ok(txn.commit_async()),
            None => Err(ended()),
        }
    }

    pub(crate) fn rollback(&self) {
        drop(self.lock().take());
    }
}

fn ended() -> crate::Error {
    crate::Error::new(crate::ErrorClass::User, "25P01", "the transaction has ended")
}

#[derive(Clone)]
pub(crate) struct View(cairn_storage::Snapshot);

impl View {
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.0.get(&full(key)?)?)
    }

    pub(crate) fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan> {
        Ok(Scan::new(self.0.scan(full_range(&range), direction)))
    }
}

pub(crate) struct Scan(cairn_storage::OwnedScan);

impl Scan {
    fn new(scan: cairn_storage::Scan) -> Scan {
        Scan(scan.owned().stripped(STORE_PREFIX.len()))
    }

    pub(crate) fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        Ok(self.0.next_entry()?)
    }

    pub(crate) fn next_owned(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        Ok(self.0.next().transpose()?)
    }
}
