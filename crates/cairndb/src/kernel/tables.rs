//! The key-value space through the engine, in one transaction with tables.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_engine::LockedThing;
use cairn_env::Env;
use cairn_storage::{
    AsOf, CancelHandle, CommitSeq, Direction, KeyLock, KeyRange, LockInfo, LockOwner, SnapshotInfo, Stats,
    SyncMode, VerifyReport, Wait,
};

use super::Begin;
use crate::Result;

#[derive(Clone)]
pub(crate) struct Database(pub(crate) cairn_engine::Database);

impl Database {
    pub(crate) fn open(env: &Env, path: &Path, options: cairn_storage::Options) -> Result<Database> {
        Ok(Database(cairn_engine::Database::open(env, path, options)?))
    }

    pub(crate) fn begin(&self, begin: Begin) -> Result<Transaction> {
        let options = cairn_engine::TxnOptions {
            isolation: begin.isolation,
            sync: begin.sync,
            ..cairn_engine::TxnOptions::default()
        };
        Ok(Transaction(Arc::new(self.0.begin(options)?)))
    }

    pub(crate) fn view(&self) -> Result<View> {
        Ok(View(self.0.view()?))
    }

    pub(crate) fn view_at(&self, as_of: AsOf) -> Result<View> {
        Ok(View(self.0.snapshot_at(as_of)?))
    }

    /// Locks of keys, without their prefix.
    pub(crate) fn locks(&self) -> Vec<(Bytes, LockInfo)> {
        let key = |lock: LockInfo| match LockedThing::of(&lock.target) {
            LockedThing::Key(key) | LockedThing::Keys(key, _) => Some((key, lock)),
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
        Ok(self.0.compact()?)
    }

    pub(crate) fn checkpoint(&self, directory: &Path) -> Result<CommitSeq> {
        Ok(self.0.checkpoint(directory)?)
    }

    pub(crate) fn verify(&self) -> Result<VerifyReport> {
        Ok(self.0.verify()?)
    }

    pub(crate) fn verify_dir(env: &Env, path: &Path) -> Result<VerifyReport> {
        Ok(cairn_engine::Database::verify_dir(env, path)?)
    }

    pub(crate) fn snapshots(&self) -> Vec<SnapshotInfo> {
        self.0.snapshots()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.0.stats()
    }

    pub(crate) fn close(&self) -> Result<()> {
        Ok(self.0.close()?)
    }
}

/// Blind writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch(cairn_engine::KeyBatch);

impl Batch {
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.put(key, value)?)
    }

    pub(crate) fn delete(&mut self, key: &[u8]) -> Result<()> {
        Ok(self.0.delete(key)?)
    }

    pub(crate) fn delete_range(&mut self, range: &KeyRange) -> Result<()> {
        Ok(self.0.delete_range(range)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Clone)]
pub(crate) struct Transaction(pub(crate) Arc<cairn_engine::Transaction>);

#[derive(Clone, Debug)]
pub(crate) struct Savepoint(cairn_engine::Savepoint);

impl Transaction {
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.0.get(key)?)
    }

    pub(crate) fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.put(key, value)?)
    }

    pub(crate) fn delete(&self, key: &[u8]) -> Result<()> {
        Ok(self.0.delete(key)?)
    }

    pub(crate) fn delete_range(&self, range: &KeyRange) -> Result<()> {
        Ok(self.0.delete_range(range)?)
    }

    pub(crate) fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan> {
        Ok(Scan(self.0.scan(range, direction)?))
    }

    pub(crate) fn lock_key(&self, key: &[u8], mode: KeyLock, wait: Wait) -> Result<bool> {
        Ok(self.0.lock_key(key, mode, wait)?)
    }

    pub(crate) fn set_lock_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        Ok(self.0.set_lock_timeout(timeout)?)
    }

    pub(crate) fn cancel_handle(&self) -> Result<CancelHandle> {
        Ok(self.0.cancel_handle()?)
    }

    pub(crate) fn lock_owner(&self) -> Result<LockOwner> {
        Ok(self.0.lock_owner()?)
    }

    pub(crate) fn savepoint(&self) -> Result<Savepoint> {
        Ok(Savepoint(self.0.savepoint()?))
    }

    pub(crate) fn rollback_to(&self, savepoint: &Savepoint) -> Result<()> {
        Ok(self.0.rollback_to(savepoint.0)?)
    }

    pub(crate) fn set_sync(&self, sync: SyncMode) -> Result<()> {
        Ok(self.0.set_sync(sync)?)
    }

    pub(crate) fn commit(&self) -> Result<CommitSeq> {
        Ok(self.0.commit()?)
    }

    pub(crate) fn rollback(&self) {
        self.0.rollback();
    }
}

#[derive(Clone)]
pub(crate) struct View(cairn_engine::ReadView);

impl View {
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.0.get(key)?)
    }

    pub(crate) fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan> {
        Ok(Scan(self.0.scan(range, direction)?))
    }
}

pub(crate) struct Scan(cairn_engine::KvScan);

impl Scan {
    pub(crate) fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        Ok(self.0.next_entry()?)
    }

    pub(crate) fn next_owned(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        Ok(self.0.next().transpose()?)
    }
}
