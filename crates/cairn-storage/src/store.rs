//! The store: the crate's front door.
//!
//! Guarantees: see [`Store`]. Everything here hands on to the parts: reads to `core` and `visible`, writes
//! to `commit`, files to `tree`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use cairn_env::Env;

use crate::background::Background;
use crate::batch::WriteBatch;
use crate::commit::{Kept, Request};
use crate::commit_queue::CommitHandle;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::estimate::RangeSize;
use crate::history::AsOf;
use crate::key::CommitSeq;
use crate::locks::{ByTarget, HeldLocks, LockInfo, LockSession, Patience};
use crate::options::{Options, SyncMode, TxnOptions};
use crate::past::SnapshotInfo;
use crate::range::KeyRange;
use crate::reads::Checks;
use crate::recovery;
use crate::repair::{self, RepairReport};
use crate::snapshot::Snapshot;
use crate::stats::Stats;
use crate::txn::{Txn, lock_writes};
use crate::verify::{VerifyReport, verify_log};
use crate::wal::Identity;

/// An open store. Clones are the same store; `Send` and `Sync`.
///
/// The last clone dropped, or [`Store::close`], stops the background work, syncs and closes the log.
/// Transactions and snapshots may outlive it: they read on, but cannot commit.
///
/// ```
/// use cairn_storage::{Options, Store};
/// let store = Store::open(&cairn_env::Env::memory(), "/db".as_ref(), Options::default())?;
/// let mut txn = store.begin(Default::default());
/// txn.put(b"key", b"value")?;
/// txn.commit()?;
/// assert_eq!(store.get(b"key")?.as_deref(), Some(&b"value"[..]));
/// store.close()?;
/// # Ok::<(), cairn_storage::Error>(())
/// ```
#[derive(Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

/// Closes the store when the last clone goes.
struct Handle {
    core: Arc<Core>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Nobody is left to be told; `close` is for those who want to know.
        let _ = self.core.close();
    }
}

impl Store {
    /// Opens the database in the directory `dir`, or creates one. One holder at a time, also within a
    /// process. Recovery reads the log since the last flush: at most a few memtables' worth. After a clean
    /// close nothing is written. On a full disk an existing database opens too: reads work, and writes give
    /// [`Error::DiskFull`] until there is space; no reopening is needed then.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADatabase`], [`Error::NewerFormat`], [`Error::Locked`],
    /// [`Error::Corrupt`], [`Error::Io`], [`Error::DiskFull`], [`Error::InvalidArgument`] (options).
    pub fn open(env: &Env, dir: &Path, options: Options) -> Result<Store> {
        let core = recovery::open(env, dir, options)?;
        // From here on a failure closes the store again.
        let store = Store { handle: Arc::new(Handle { core: Arc::clone(&core) }) };
        if core.options().background {
            let background = Background::start(&core)?;
            *core.background.lock() = Some(background);
        }
        Ok(store)
    }

    /// Begins a transaction at the newest commit.
    pub fn begin(&self, options: TxnOptions) -> Txn {
        Txn::begin(&self.handle.core, options)
    }

    /// Begins a transaction in a session: both are one owner of locks.
    pub fn begin_in(&self, session: &LockSession, options: TxnOptions) -> Txn {
        Txn::begin(&self.handle.core, options).in_session(session)
    }

    /// A new session, for locks that outlive transactions. It may outlive the store.
    pub fn session(&self) -> LockSession {
        let core = &self.handle.core;
        LockSession::new(&core.locks, core.next_txn_id())
    }

    /// Who holds and who waits for which lock, by owner. Not of one instant: the table is gone through part by part.
    pub fn locks(&self) -> Vec<LockInfo> {
        self.handle.core.locks.list()
    }

    /// The store as of the newest commit.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.handle.core)
    }

    /// The store as it was: after a commit, or at a time ([`crate::Options::retention`]). A commit may be read at as long
    /// as its versions are there, retention or not.
    ///
    /// # Errors
    /// [`Error::SnapshotTooOld`] where versions may be gone, or the time was before the store was opened;
    /// [`Error::InvalidArgument`] for the future, and for a time without a retention.
    pub fn snapshot_at(&self, as_of: AsOf) -> Result<Snapshot> {
        Snapshot::new_at(&self.handle.core, as_of)
    }

    /// What is being read at, oldest first: who keeps old versions, and for how long.
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        self.handle.core.snapshots.list()
    }

    /// The newest value of `key`.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Corrupt`] from reading an SST.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        // Sources first: what they hold stays, and the newest commit then is not older than they are, so no version
        // that this sequence needs can have been dropped from them. No snapshot has to be registered.
        let sources = self.handle.core.borrow_sources();
        sources.get(key, self.handle.core.snapshots.newest())
    }

    /// Commits a batch without any check for conflicts: it wins over everything before it. It waits for transactions
    /// that have locked keys of it. An empty batch costs nothing and returns the newest sequence.
    ///
    /// # Errors
    /// As [`Txn::commit`], without [`Error::Conflict`] and [`Error::Deadlock`]; [`Error::TransactionTooLarge`].
    pub fn write(&self, batch: WriteBatch, sync: Option<SyncMode>) -> Result<CommitSeq> {
        let core = &self.handle.core;
        let mut request = batch_request(core, batch, sync)?;
        let passer = core.locks.pass_by();
        if passer.is_none() {
            let locks = lock_batch(core, &request)?;
            request.hold = Some(Kept { snapshot: None, locks: Some(Box::new(locks)) });
        }
        core.commit(request)
    }

    /// As [`Store::write`], without blocking and without waiting for locks: see [`Txn::commit_async`].
    ///
    /// # Errors
    /// The handle gives those of [`Store::write`], and [`Error::CommitsFull`].
    pub fn write_async(&self, batch: WriteBatch, sync: Option<SyncMode>) -> CommitHandle {
        let core = &self.handle.core;
        match batch_request(core, batch, sync) {
            Ok(request) => core.commit_async(request),
            Err(error) => CommitHandle::done(Err(error)),
        }
    }

    /// Loads rows with ascending keys as one commit, without the log: they are written straight to sorted
    /// files, several times faster than by [`Store::write`], and without a bound on their number. As `write` it
    /// wins over everything before it; transactions that read or wrote keys of its range conflict with it.
    /// The memtables are flushed before. Others commit meanwhile; they wait for a few syncs at the end. Durable when it returns; after a crash before that, all of it is there or
    /// nothing. Nothing to load costs nothing and returns the newest sequence.
    ///
    /// ```
    /// use cairn_storage::{Options, Store};
    /// let store = Store::open(&cairn_env::Env::memory(), "/db".as_ref(), Options::default())?;
    /// store.ingest((0..1000u32).map(|i| Ok((i.to_be_bytes().to_vec().into(), "value".into()))))?;
    /// assert_eq!(store.get(&7u32.to_be_bytes())?.as_deref(), Some(&b"value"[..]));
    /// # Ok::<(), cairn_storage::Error>(())
    /// ```
    ///
    /// # Errors
    /// What an item is an error of; [`Error::InvalidArgument`] where a key is not behind the one before it;
    /// [`Error::KeyTooLarge`], [`Error::ValueTooLarge`]; otherwise as [`Store::flush`].
    pub fn ingest(
        &self,
        rows: impl IntoIterator<Item = Result<(Bytes, Bytes)>, IntoIter: Send>,
    ) -> Result<CommitSeq> {
        let core = &self.handle.core;
        core.ingest(rows.into_iter()).inspect_err(|error| core.note_error(error))
    }

    /// Writes everything committed so far to SSTs, durably. A log that is long beside them is let go.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DiskFull`], [`Error::Poisoned`], [`Error::Closed`].
    pub fn flush(&self) -> Result<()> {
        self.handle.core.flush_and_settle()
    }

    /// Makes everything committed so far durable, whatever its sync mode.
    ///
    /// # Errors
    /// As [`Store::flush`].
    pub fn sync(&self) -> Result<()> {
        self.handle.core.finish_recovery()?;
        self.handle.core.sync_log()
    }

    /// Flushes, then compacts the files of a range to the bottom: versions that no snapshot needs and
    /// deleted keys are gone from it.
    ///
    /// # Errors
    /// As [`Store::flush`], and [`Error::Corrupt`].
    pub fn compact(&self, range: KeyRange) -> Result<()> {
        let core = &self.handle.core;
        core.flush_all()?;
        let result = core.tree.compact_range(&range, &core.snapshots.readable());
        core.install_version();
        result.inspect_err(|error| core.note_error(error))
    }

    /// Makes a consistent copy of the database in `dir` (missing or empty, on the same file system: SSTs
    /// are linked, not copied). Returns the commit it holds. Commits go on meanwhile.
    ///
    /// # Errors
    /// As [`Store::flush`]; [`Error::InvalidArgument`] where `dir` is not empty.
    pub fn checkpoint(&self, dir: &Path) -> Result<CommitSeq> {
        let core = &self.handle.core;
        core.flush_all()?;
        let _copying = core.copying.lock();
        if core.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        core.tree.checkpoint(dir)
    }

    /// Reads and checks every file of the open database. Damage is collected, not repaired.
    ///
    /// # Errors
    /// [`Error::Io`] where a file cannot be read; damage is in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        let core = &self.handle.core;
        let mut report = core.tree.verify()?;
        // No segment is removed while the log is read; commits go on behind what is read.
        let _flushing = core.flush_lock.lock();
        let (_, state) = core.tree.version_and_state();
        let identity = Identity { database_id: core.tree.database, epoch: state.epoch };
        verify_log(&core.env, &core.dir, &identity, &state, &mut report)?;
        Ok(report)
    }

    /// Reads and checks every file of a database that nobody has open. Nothing is changed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADatabase`], [`Error::NewerFormat`], [`Error::Locked`],
    /// [`Error::Io`]; damage is in the report.
    pub fn verify_dir(env: &Env, dir: &Path) -> Result<VerifyReport> {
        recovery::verify(env, dir)
    }

    /// Repairs a database that nobody has open: a new store of all that is undamaged takes its place. The
    /// damaged one is renamed (`DIR.damaged`) and otherwise left as it is; remove it when nothing in it is
    /// missed. A sound database is left alone. Needs room for a copy of the data.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADatabase`], [`Error::Locked`], [`Error::NewerFormat`],
    /// [`Error::DiskFull`], [`Error::Io`]; [`Error::Corrupt`] where no file tells which database this is.
    /// After an error the database is where it was; `DIR.repairing` may be left over.
    pub fn repair(env: &Env, dir: &Path) -> Result<RepairReport> {
        repair::repair(env, dir)
    }

    /// Counters and sizes.
    pub fn stats(&self) -> Stats {
        self.handle.core.stats()
    }

    /// The directory of the database.
    pub fn dir(&self) -> &Path {
        &self.handle.core.dir
    }

    /// The sequence of the newest visible commit.
    pub fn last_committed(&self) -> CommitSeq {
        self.handle.core.snapshots.newest()
    }

    /// At most `parts - 1` keys that cut `range` into parts of similar size, from the files' indexes and a
    /// sample of the memtables. Cheap: no data is read.
    pub fn split_points(&self, range: &KeyRange, parts: usize) -> Vec<Bytes> {
        self.handle.core.sources().split_points(range, parts)
    }

    /// About how much `range` holds, all versions counted. Cheap: no data is read.
    pub fn approximate_size(&self, range: &KeyRange) -> RangeSize {
        self.handle.core.sources().approximate_size(range)
    }

    /// Waits for the commits that were begun without waiting ([`Txn::commit_async`]), stops the background work,
    /// makes everything committed durable, closes the log. Other clones,
    /// transactions and snapshots can only read from then on; [`Error::Closed`] where another holder of the
    /// directory has removed what they would read. Closing twice is fine: the second call waits for
    /// the first and returns the same.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DiskFull`], [`Error::Poisoned`]: commits that were not synced may be lost, or those that
    /// were found at opening after an unclean end and could not be flushed since.
    pub fn close(self) -> Result<()> {
        self.handle.core.close()
    }
}

/// The request of a batch, whose memory is free for the memtable when the request is made.
fn batch_request(core: &Core, batch: WriteBatch, sync: Option<SyncMode>) -> Result<Request> {
    let (len, max) = (batch.bytes(), core.options().transaction_bytes_max);
    if len > max {
        return Err(Error::TransactionTooLarge { len, max });
    }
    Ok(Request {
        record: batch.into_record(),
        snapshot: None,
        checks: Checks::default(),
        guards: Vec::new(),
        holds: ByTarget::default(),
        sync: sync.unwrap_or(core.options().sync),
        client_token: 0,
        schema_version: 0,
        txn_id: core.next_txn_id(),
        hold: None,
        begun: 0,
    })
}

/// The locks of a batch's keys, for the time of its commit.
fn lock_batch(core: &Core, request: &Request) -> Result<HeldLocks> {
    loop {
        let mut locks = HeldLocks::new(&core.locks, request.txn_id);
        match lock_writes(&mut locks, &request.record, &Patience::default()) {
            Ok(()) => return Ok(locks),
            // Nothing was read and nothing written: it gives way, and begins anew.
            Err(Error::Deadlock { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.handle.core.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// What is behind the handle, for tests of parts.
    #[cfg(test)]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.handle.core
    }
}

impl Core {
    pub(crate) fn close(&self) -> Result<()> {
        self.finish_awaited();
        let mut recovered = Ok(());
        if !self.closed.load(Ordering::Acquire) {
            recovered = self.finish_recovery();
            // Best effort, so that the next open need not read a long log; what fails here fails again below.
            let _ = self.settle_log_to_close();
        }
        let mut outcome = self.close_outcome.lock();
        if let Some(outcome) = &*outcome {
            return outcome.clone();
        }
        let writable = self.check_writable();
        self.closed.store(true, Ordering::Release);
        self.room.notify_all();
        self.tree.stop_compactions();
        // Dropped outside the lock: joining waits for steps that may look at it.
        let background = self.background.lock().take();
        drop(background);
        // Nobody writes to the directory any more, or copies it, when the next holder gets it.
        let _copying = self.copying.lock();
        let _compacting = self.tree.compaction.lock();
        let _flushing = self.flush_lock.lock();
        let result = match writable {
            // What was read from the log may be in the page cache only: nothing makes sure of it but the flush.
            Ok(()) if self.recovering.load(Ordering::Acquire) => self.tree.close(0).and(recovered),
            Ok(()) => self.close_log(),
            Err(error) => Err(error),
        };
        self.tree.shut();
        *self.file_lock.lock() = None;
        *outcome = Some(result.clone());
        result
    }

    /// The caller holds the flush lock. Not called while recovery is unfinished: then the log is as it was found,
    /// the next open reads it again, and nothing is said of how much of it is durable.
    fn close_log(&self) -> Result<()> {
        let mut writer = self.write.lock();
        self.check_sound()?;
        if let Err(error) = writer.log.write() {
            // Best effort: the tail is torn for the next open, which tolerates it.
            let _ = writer.log.undo();
            return Err(error);
        }
        let _syncing = self.sync_lock.lock();
        if let Some(job) = writer.log.sync_job() {
            job.run()?;
            writer.log.note_synced(&job);
        }
        match writer.log.seal_segment(false) {
            // All commits are durable; the seal only helps to tell damage from a torn tail.
            Ok(()) | Err(Error::DiskFull { .. }) => {}
            Err(error) => return Err(error),
        }
        // Their space is given back.
        self.remove_segments(self.upkeep.take_all_spare().into_iter());
        // All is durable: a full disk only costs the note of it.
        match self.tree.close(self.snapshots.newest()) {
            Err(Error::DiskFull { .. }) => Ok(()),
            other => other,
        }
    }
}
