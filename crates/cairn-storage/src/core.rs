//! The shared heart of an open store: the sources of reads, the snapshot registry, the locks.
//!
//! Lock order: `close_outcome` → `copying` → `flush_lock` → `write` → `sync_lock` → `changing`; the queue's and
//! the registry's locks are innermost and held for a few instructions. Nobody waits on a signal or yields with any of them held.
//! `write` is held across the group's append and fsync, because the log has one writer; `sync_lock` around
//! every fsync of the log, so that a failure is seen by whoever syncs next. Locks held over I/O are
//! `cairn_env::Lock`, which the simulation can see.
//!
//! Invariants:
//! - I1: a commit is published only after it is in the active memtable and as durable as it asked.
//! - I2: a poisoned store writes nothing more to its files.
//! - I3: the memtables of `Sources` are in commit order; everything in one is newer than what is in the
//!   next, and than the version.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use cairn_env::{Env, FileLock, Lock, Signal};
use parking_lot::Mutex;

use crate::background::Background;
use crate::commit::Writer;
use crate::commit_queue::Queue;
use crate::error::{Error, Result};
use crate::history::History;
use crate::key::{CommitSeq, Cursor, Kind, RangeTombstone};
use crate::locks::LockTable;
use crate::memtable::Memtable;
use crate::options::Options;
use crate::past::Snapshots;
use crate::range::KeyRange;
use crate::stats::CommitCounters;
use crate::tree::Tree;
use crate::version::{Lookup, Version};
use crate::wal::upkeep::Upkeep;

/// Where reads come from, at one moment.
#[derive(Clone)]
pub(crate) struct Sources {
    /// Takes the commits.
    pub(crate) active: Arc<Memtable>,
    /// Full ones that wait to be flushed, newest first.
    pub(crate) immutable: Vec<Arc<Memtable>>,
    /// The SSTs.
    pub(crate) version: Arc<Version>,
}

impl Sources {
    /// The memtables, newest first.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        std::iter::once(&self.active).chain(&self.immutable)
    }

    /// The value of `key` at `seq`.
    pub(crate) fn get(&self, key: &[u8], seq: CommitSeq) -> Result<Option<Bytes>> {
        for table in self.memtables() {
            let cover = table.newest_covering(key, |cover| cover <= seq);
            if let Some(entry) = table.get(key, seq) {
                let hidden = entry.kind == Kind::Delete || cover.is_some_and(|cover| cover > entry.seq);
                return Ok((!hidden).then_some(entry.value));
            }
            if cover.is_some() {
                // I3: what lies deeper is older.
                return Ok(None);
            }
        }
        Ok(match self.version.get(key, seq)? {
            Lookup::Found { value, .. } => Some(value),
            Lookup::Separated { .. } | Lookup::Deleted { .. } | Lookup::Missing => None,
        })
    }

    /// Adds a cursor for each source that may hold a key of the range, and the range tombstones.
    pub(crate) fn collect(
        &self,
        range: &KeyRange,
        cursors: &mut Vec<Box<dyn Cursor>>,
        tombstones: &mut Vec<RangeTombstone>,
    ) -> Result<()> {
        for table in self.memtables().filter(|table| !table.is_empty() || Arc::ptr_eq(table, &self.active)) {
            cursors.push(Box::new(table.cursor()));
            if table.has_tombstones() {
                tombstones.append(&mut table.tombstones());
            }
        }
        cursors.append(&mut self.version.cursors(range)?);
        tombstones.append(&mut self.version.tombstones(range)?);
        Ok(())
    }

    /// Whether `key` was changed by a commit newer than `seq`.
    pub(crate) fn key_changed_since(&self, key: &[u8], seq: CommitSeq) -> Result<bool> {
        for table in self.memtables().filter(|table| table.seq_max() > seq) {
            if table.newest_change(key).is_some_and(|change| change > seq) {
                return Ok(true);
            }
        }
        Ok(self.version.newest_seq(key, seq)?.is_some_and(|change| change > seq))
    }

    /// Whether a key of `range` was changed by a commit newer than `seq`.
    pub(crate) fn range_changed_since(&self, range: &KeyRange, seq: CommitSeq) -> Result<bool> {
        if range.is_empty() {
            return Ok(false);
        }
        if self.memtables().any(|table| table.changed_since(range, seq)) {
            return Ok(true);
        }
        self.version.changed_since(range, seq)
    }
}

/// An open store without its handle.
pub(crate) struct Core {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) tree: Tree,
    /// Read by every lookup: without a lock and without a count that threads would share.
    sources: ArcSwap<Sources>,
    /// Held by who replaces them.
    changing: Mutex<()>,
    pub(crate) snapshots: Snapshots,
    pub(crate) locks: Arc<LockTable>,
    pub(crate) queue: Mutex<Queue>,
    pub(crate) commits: CommitCounters,
    pub(crate) write: Lock<Writer>,
    pub(crate) upkeep: Arc<Upkeep>,
    pub(crate) sync_lock: Lock<()>,
    /// Held while a checkpoint is made: closing waits for it, because the next holder may remove its files.
    pub(crate) copying: Lock<()>,
    pub(crate) flush_lock: Lock<()>,
    poison: Mutex<Option<String>>,
    poisoned: AtomicBool,
    pub(crate) closed: AtomicBool,
    /// How closing ended; held while it goes on, so that whoever closes too waits for it.
    pub(crate) close_outcome: Lock<Option<Result<()>>>,
    /// Told when a flush or compaction made room, failed, or the store is closed; while it is being closed, also
    /// when the last awaited commit is done.
    pub(crate) room: Signal,
    /// The last failure of background work, until it succeeds again.
    pub(crate) background_error: Mutex<Option<Error>>,
    pub(crate) background: Mutex<Option<Background>>,
    pub(crate) file_lock: Mutex<Option<Box<dyn FileLock>>>,
    next_txn: AtomicU64,
    /// Something was written since the last time of rest.
    pub(crate) rest_due: AtomicBool,
    /// The compaction task does the jobs of a time of rest.
    pub(crate) resting: AtomicBool,
    /// Commits wait for the background sync.
    pub(crate) sync_due: AtomicBool,
    /// What recovery read of the log is not in SSTs yet, because the disk is full: reads work, and nothing is
    /// written before that is done.
    pub(crate) recovering: AtomicBool,
}

/// What recovery found, for `Core::new`.
pub(crate) struct Parts {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) tree: Tree,
    pub(crate) sources: Sources,
    pub(crate) writer: Writer,
    pub(crate) last_seq: CommitSeq,
    /// No version that a commit from this one on saw was dropped.
    pub(crate) kept_from: CommitSeq,
    pub(crate) history: Option<History>,
    pub(crate) last_txn_id: u64,
    pub(crate) file_lock: Box<dyn FileLock>,
    /// The memtables are to be flushed before anything is written.
    pub(crate) recovering: bool,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Core {
        let room = parts.env.signal();
        let snapshots =
            Snapshots::new(&parts.env, &parts.options, parts.last_seq, parts.kept_from, parts.history);
        let locks = Arc::new(LockTable::new(&parts.env, parts.options.lock_bytes_max));
        Core {
            env: parts.env,
            dir: parts.dir,
            options: parts.options,
            tree: parts.tree,
            sources: ArcSwap::from_pointee(parts.sources),
            changing: Mutex::default(),
            snapshots,
            locks,
            queue: Mutex::new(Queue::default()),
            commits: CommitCounters::default(),
            upkeep: Arc::clone(parts.writer.log.upkeep()),
            write: Lock::new(parts.writer),
            sync_lock: Lock::new(()),
            copying: Lock::new(()),
            flush_lock: Lock::new(()),
            poison: Mutex::new(None),
            poisoned: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            close_outcome: Lock::new(None),
            room,
            background_error: Mutex::new(None),
            background: Mutex::new(None),
            file_lock: Mutex::new(Some(parts.file_lock)),
            next_txn: AtomicU64::new(parts.last_txn_id + 1),
            // What an earlier run left may want settling.
            rest_due: AtomicBool::new(true),
            resting: AtomicBool::new(false),
            sync_due: AtomicBool::new(false),
            recovering: AtomicBool::new(parts.recovering),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// A transaction id that this database has not used for a commit.
    pub(crate) fn next_txn_id(&self) -> u64 {
        self.next_txn.fetch_add(1, Ordering::Relaxed)
    }

    /// The sources as they are now, to be kept.
    pub(crate) fn sources(&self) -> Arc<Sources> {
        self.sources.load_full()
    }

    /// The sources as they are now, for a lookup.
    #[inline]
    pub(crate) fn borrow_sources(&self) -> arc_swap::Guard<Arc<Sources>> {
        self.sources.load()
    }

    /// Replaces the sources. `change` is quick.
    pub(crate) fn change_sources(&self, change: impl FnOnce(&mut Sources)) {
        let _changing = self.changing.lock();
        let mut sources = Sources::clone(&self.sources.load());
        change(&mut sources);
        self.sources.store(Arc::new(sources));
    }

    /// The value of `key` at `seq`, which must be registered.
    pub(crate) fn get(&self, key: &[u8], seq: CommitSeq) -> Result<Option<Bytes>> {
        let sources = self.borrow_sources();
        self.snapshots.check(seq)?;
        sources.get(key, seq)
    }

    pub(crate) fn acquire_snapshot(&self) -> CommitSeq {
        self.snapshots.acquire()
    }

    pub(crate) fn release_snapshot(&self, seq: CommitSeq) {
        self.snapshots.release(seq);
    }

    /// Refuses everything but reads from now on (I2).
    pub(crate) fn poison(&self, cause: &Error) -> Error {
        let cause = match cause {
            Error::Poisoned { cause } => cause.clone(),
            other => other.to_string(),
        };
        let cause = self.poison.lock().get_or_insert(cause).clone();
        self.poisoned.store(true, Ordering::Release);
        Error::Poisoned { cause }
    }

    /// Poisons the store if the error says that what is on the disk is unknown; closes files where handles lacked.
    pub(crate) fn note_error(&self, error: &Error) {
        self.tree.make_handles_free(error);
        if matches!(error, Error::Poisoned { .. }) {
            self.poison(error);
        }
    }

    /// Fails on a poisoned store. What was begun before the store was closed is still finished.
    pub(crate) fn check_sound(&self) -> Result<()> {
        if self.poisoned.load(Ordering::Acquire) {
            let cause = self.poison.lock().clone().unwrap_or_default();
            return Err(Error::Poisoned { cause });
        }
        Ok(())
    }

    /// Fails on a closed or poisoned store.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.check_sound()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        Ok(())
    }
}
