//! Transactions: reads from one snapshot, own writes on top, validated and made durable at commit.
//!
//! Guarantees: nothing is visible to others before `commit` returns; dropping a transaction rolls it back and gives
//! its locks back. Conflicts are found at commit; at the locking levels (see [`Isolation::is_locking`]) writers that use
//! [`Txn::claim`] wait for each other before, and meet none.
//!
//! Invariants:
//! - I1: what is written is validated against a commit that is not newer than what the write was decided by: the
//!   snapshot; or for a key locked against writers the commit that was the newest when it was locked.
//! - I2: locks are given back after the commit is visible, so that whoever waited for them sees it.
//! - I3: the record of a transaction is encoded and read by this process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::batch::check_entry;
use crate::commit::{Kept, Request};
use crate::commit_queue::CommitHandle;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::key::{CommitSeq, Kind};
use crate::locks::{
    AdvisoryKey, ByTarget, CancelHandle, HeldLocks, KeyLock, LockMode, LockOwner, LockSession, Name,
    ObjectLock, Patience, Taken, Wait, advisory_mode,
};
use crate::options::{Direction, Isolation, SyncMode, TxnOptions};
use crate::range::KeyRange;
use crate::reads::{Checks, Guard, Guarded, ReadSet};
use crate::snapshot::{Hold, Snapshot};
use crate::visible::{Scan, Visibility};
use crate::wal::{Effect, RecordBuffer};
use crate::write_set::{OwnView, WriteSet};

/// A place in a transaction to roll back to. It stays good after a rollback to it, and is void after a
/// rollback to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Savepoint {
    position: u64,
    locks: usize,
    txn: u64,
}

/// The answer to [`Txn::lock_key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// The transaction had the lock, a stronger one, or one that kept writers away before: what it then learned holds.
    Before,
    /// It has it now, and the key is as its snapshot shows it.
    Unchanged,
    /// It has it now, and another transaction has changed the key since the snapshot.
    Changed,
    /// Another transaction has it ([`Wait::SkipLocked`]).
    Skipped,
}

/// A transaction. `Send` and `Sync`; writes need `&mut`.
///
/// ```
/// use cairn_storage::{Error, Options, Store};
/// let store = Store::open(&cairn_env::Env::memory(), "/db".as_ref(), Options::default())?;
/// let (mut a, mut b) = (store.begin(Default::default()), store.begin(Default::default()));
/// a.put(b"k", b"a")?;
/// b.put(b"k", b"b")?;
/// a.commit()?;
/// assert!(matches!(b.commit(), Err(Error::Conflict { .. })));
/// # Ok::<(), cairn_storage::Error>(())
/// ```
pub struct Txn {
    hold: Arc<Hold>,
    /// The snapshot of the first statement that locked or wrote, where that is not `hold`: keeps the changes since then
    /// from being forgotten before the commit is validated.
    base: Option<Arc<Hold>>,
    writes: WriteSet,
    isolation: Isolation,
    reads: Option<Arc<ReadSet>>,
    guards: Vec<Guard>,
    locks: Option<Box<HeldLocks>>,
    owner: LockOwner,
    lock_timeout: Option<Duration>,
    /// It fails where it would wait for a lock.
    impatient: bool,
    cancel: Option<CancelHandle>,
    /// The newest commit when a lock was last taken.
    locked_at: CommitSeq,
    /// So many locks are many, where not half of what it may have.
    many_locks: usize,
    /// A key was claimed without a lock, as there was no memory for it: the oldest snapshot that it was so at.
    unlocked_since: Option<CommitSeq>,
    sync: SyncMode,
    client_token: u64,
    schema_version: u64,
    id: u64,
}

impl Txn {
    pub(crate) fn begin(core: &Arc<Core>, options: TxnOptions) -> Txn {
        let reads = match options.isolation {
            Isolation::ReadCommitted | Isolation::RepeatableRead | Isolation::Snapshot => None,
            Isolation::Serializable => Some(Arc::new(ReadSet::default())),
        };
        let id = core.next_txn_id();
        Txn {
            hold: Arc::new(Hold::new(core)),
            base: None,
            writes: WriteSet::new(),
            isolation: options.isolation,
            reads,
            guards: Vec::new(),
            locks: None,
            owner: id,
            lock_timeout: None,
            impatient: false,
            cancel: None,
            locked_at: 0,
            many_locks: 0,
            unlocked_since: None,
            sync: options.sync.unwrap_or(core.options().sync),
            client_token: options.client_token,
            schema_version: 0,
            id,
        }
    }

    /// Its locks are the session's until it ends.
    pub(crate) fn in_session(mut self, session: &LockSession) -> Txn {
        self.owner = session.id();
        self.lock_timeout = session.lock_timeout();
        self.cancel = Some(session.cancel_handle());
        self
    }

    fn check_room(&self, more: usize) -> Result<()> {
        let (len, max) = (self.writes.bytes() + more, self.hold.core().options().transaction_bytes_max);
        if len > max {
            return Err(Error::TransactionTooLarge { len, max });
        }
        Ok(())
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    /// [`Error::KeyTooLarge`], [`Error::ValueTooLarge`], [`Error::TransactionTooLarge`], [`Error::Cancelled`]; the
    /// transaction goes on without the write.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.check_cancelled()?;
        self.check_room(key.len() + value.len())?;
        self.writes.put(key, value)
    }

    /// Deletes `key`; it need not be there.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.check_cancelled()?;
        self.check_room(key.len())?;
        self.writes.delete(key)
    }

    /// Deletes the keys from `start` up to, without, `end`, at a cost that does not depend on their number.
    /// An empty or inverted range deletes nothing. The whole range counts as written: a commit of another
    /// transaction into it is a conflict.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub fn delete_range(&mut self, start: &[u8], end: &[u8]) -> Result<()> {
        check_entry(start, b"")?;
        check_entry(end, b"")?;
        if start < end {
            self.check_room(start.len() + end.len())?;
            if self.isolation == Isolation::ReadCommitted {
                // What comes into the range after this statement is not what it deletes.
                self.guard_range(&KeyRange::half_open(start, end));
            }
            self.writes.delete_range(start, end);
        }
        Ok(())
    }

    /// The value of `key`: the transaction's own, else the snapshot's.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Corrupt`] from reading an SST.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        get(&self.hold, &self.writes.view_for(key), self.reads.as_deref(), key)
    }

    /// Goes through a range: own writes up to now over the snapshot.
    pub fn scan(&self, range: KeyRange, direction: Direction) -> Scan {
        self.read_view().scan(range, direction)
    }

    /// Has the commit fail with a conflict if another transaction changed `key` after this one's snapshot (at the locking
    /// levels: after the last lock it took, where that is later), at any isolation level.
    pub fn guard_key(&mut self, key: &[u8]) {
        self.guard(Guarded::Key(Bytes::copy_from_slice(key)));
    }

    /// As [`Txn::guard_key`], for what was read as of the commit `since`.
    pub fn guard_key_since(&mut self, key: &[u8], since: CommitSeq) {
        self.guards.push(Guard { what: Guarded::Key(Bytes::copy_from_slice(key)), since });
    }

    /// As [`Txn::guard_key`], for every key of a range, absent ones included.
    pub fn guard_range(&mut self, range: &KeyRange) {
        self.guard(Guarded::Range(range.clone()));
    }

    /// Has the commit fail with a conflict if `key` has no value then.
    pub fn guard_exists(&mut self, key: &[u8]) {
        self.guard(Guarded::Exists(Bytes::copy_from_slice(key)));
    }

    fn guard(&mut self, what: Guarded) {
        let since = self.checked_at();
        self.guards.push(Guard { what, since });
    }

    /// As of which commit what is looked at now ([`Txn::get_latest`]) is known.
    fn checked_at(&self) -> CommitSeq {
        match self.isolation {
            Isolation::ReadCommitted => self.locked_at.max(self.hold.seq()),
            _ => self.hold.seq(),
        }
    }

    /// A place to roll back to.
    pub fn savepoint(&mut self) -> Savepoint {
        let locks = self.locks.as_ref().map_or(0, |locks| locks.position());
        Savepoint { position: self.writes.position(), locks, txn: self.id }
    }

    /// Undoes the writes since the savepoint, and gives back the locks taken since. Reads and guards stay in force.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a savepoint of another transaction.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        if savepoint.txn != self.id || savepoint.position > self.writes.position() {
            return Err(Error::InvalidArgument("the savepoint belongs to another transaction".to_string()));
        }
        self.writes.rollback_to(savepoint.position);
        self.many_locks = 0;
        if let Some(locks) = &mut self.locks {
            locks.release_from(savepoint.locks);
        }
        Ok(())
    }

    /// What the transaction sees now, for reading elsewhere while it writes on.
    pub fn read_view(&self) -> ReadView {
        ReadView { hold: Arc::clone(&self.hold), own: self.writes.view(), reads: self.reads.clone() }
    }

    /// Notes the schema version in the commit's log record.
    pub fn set_schema_version(&mut self, version: u64) {
        self.schema_version = version;
    }

    /// Changes what the commit waits for.
    pub fn set_sync(&mut self, sync: SyncMode) {
        self.sync = sync;
    }

    /// Validates the transaction and makes it durable (as its sync mode says) and visible. Without writes
    /// this is free, returns the snapshot's sequence, and never conflicts: what was read is consistent as
    /// of the snapshot.
    ///
    /// # Errors
    /// [`Error::Conflict`]: run the transaction again. [`Error::DiskFull`], [`Error::Io`]: nothing happened.
    /// [`Error::Poisoned`]: whether the commit is there is known when the store is opened again. [`Error::Closed`].
    pub fn commit(mut self) -> Result<CommitSeq> {
        if self.writes.is_empty() {
            return Ok(self.hold.seq());
        }
        self.check_age()?;
        let core = Arc::clone(self.hold.core());
        let passer = if self.isolation.is_locking() { None } else { core.locks.pass_by() };
        if passer.is_none() {
            self.lock_for_commit()?;
        }
        // The write set goes before the wait, the snapshot after it: validation needs its versions.
        let (hold, request) = self.into_request();
        hold.core().commit(request)
    }

    /// As [`Txn::commit`], without blocking: the commit is queued for the next group, and the handle, a future,
    /// gives the outcome. Nothing is visible to others, and no conflict found, before its turn; commits of one
    /// thread are done in the order in which they were begun. It goes on when the handle is dropped.
    ///
    /// A background task leads where no blocking commit does; with [`crate::Options::background`] off, this call
    /// itself does all the work and gives a handle that is done. Queued commits are held in memory
    /// ([`crate::CommitStats::waiting`]), up to [`crate::Options::awaited_bytes_max`]. Locks end when it is visible; an
    /// optimistic transaction does not wait for those of others, as [`Txn::commit`] does: validation decides.
    ///
    /// # Errors
    /// The handle gives those of [`Txn::commit`], and [`Error::CommitsFull`] at once: await some, then run it again.
    pub fn commit_async(self) -> CommitHandle {
        if self.writes.is_empty() {
            return CommitHandle::done(Ok(self.hold.seq()));
        }
        if let Err(error) = self.check_age() {
            return CommitHandle::done(Err(error));
        }
        let (hold, mut request) = self.into_request();
        let kept = request.hold.get_or_insert_default();
        kept.snapshot.get_or_insert(Arc::clone(&hold));
        hold.core().commit_async(request)
    }

    fn into_request(mut self) -> (Arc<Hold>, Request) {
        let record = self.writes.take_record();
        let base = self.unlocked_since.unwrap_or(self.checked_at());
        let mut locks = self.locks.take();
        let holds = locks.as_mut().map_or_else(ByTarget::default, |locks| locks.take_holds());
        let needed = self.base.is_some() || locks.is_some();
        let kept = needed.then_some(Kept { snapshot: self.base, locks });
        let request = Request {
            record,
            snapshot: Some(base),
            checks: self.reads.as_ref().map_or_else(Checks::default, |reads| reads.checks()),
            guards: self.guards,
            holds,
            sync: self.sync,
            client_token: self.client_token,
            schema_version: self.schema_version,
            txn_id: self.id,
            hold: kept,
            begun: 0,
        };
        (self.hold, request)
    }

    /// What changed since a snapshot whose versions are gone cannot be told any more.
    fn check_age(&self) -> Result<()> {
        let oldest = self.base.as_ref().unwrap_or(&self.hold);
        oldest.core().snapshots.check(oldest.seq())
    }

    /// Forgets the transaction, as dropping it does.
    pub fn rollback(self) {}

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Bytes that the writes hold, rolled back ones included.
    pub fn write_bytes(&self) -> usize {
        self.writes.bytes()
    }

    /// The commit that the transaction reads at.
    pub fn snapshot_seq(&self) -> CommitSeq {
        self.hold.seq()
    }

    /// The isolation level.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }
}

/// Statements and locks.
impl Txn {
    /// A statement begins: under [`Isolation::ReadCommitted`] reads see all that is committed now; otherwise nothing
    /// happens. Views and scans made before stay as they are.
    /// Whether reads see anything new by it.
    pub fn begin_statement(&mut self) -> bool {
        self.isolation == Isolation::ReadCommitted && self.move_snapshot()
    }

    /// Takes the snapshot anew, at any level: where the first statement comes long after the transaction was begun.
    /// What was read before is forgotten, so nothing may have been decided by it. Once something was written or guarded,
    /// nothing happens. Whether reads see anything new by it.
    pub fn renew_snapshot(&mut self) -> bool {
        if !self.writes.is_empty() || !self.guards.is_empty() {
            return false;
        }
        if self.reads.is_some() {
            self.reads = Some(Arc::default());
        }
        self.move_snapshot()
    }

    fn move_snapshot(&mut self) -> bool {
        let core = self.hold.core();
        let moves = core.snapshots.newest() > self.hold.seq();
        if moves {
            let newer = Arc::new(Hold::new(core));
            let older = std::mem::replace(&mut self.hold, newer);
            if self.locks.is_some() || !self.writes.is_empty() || !self.guards.is_empty() {
                // What was locked or relied on since then is validated against commits since then.
                self.base.get_or_insert(older);
            }
        }
        moves
    }

    /// Whether another transaction has changed `key` after this one's snapshot.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Corrupt`] from reading an SST.
    pub fn is_changed(&self, key: &[u8]) -> Result<bool> {
        let (core, seq) = (self.hold.core(), self.hold.seq());
        Ok(core.snapshots.newest() > seq && core.borrow_sources().key_changed_since(key, seq)?)
    }

    /// Locks a key until the end of the transaction, at any isolation level. Readers are not concerned.
    ///
    /// # Errors
    /// [`Error::Deadlock`], [`Error::LockTimeout`], [`Error::LockNotAvailable`] (with [`Wait::NoWait`]),
    /// [`Error::Cancelled`], [`Error::LocksFull`]; [`Error::Io`] and [`Error::Corrupt`] from looking whether it changed.
    pub fn lock_key(&mut self, key: &[u8], mode: KeyLock, wait: Wait) -> Result<Locked> {
        if self.locks.as_ref().is_some_and(|locks| locks.has_range_of(key)) && !self.is_changed(key)? {
            return Ok(Locked::Unchanged);
        }
        let id = Name::Key(key).id();
        let firm = self.locks.as_ref().is_some_and(|locks| locks.is_firm(id));
        match self.take(Name::Key(key), LockMode::Key(mode), wait)? {
            Taken::Before => return Ok(Locked::Before),
            Taken::Skipped => return Ok(Locked::Skipped),
            Taken::Now if firm => return Ok(Locked::Before),
            Taken::Now => {}
        }
        let core = self.hold.core();
        // Read after the lock was taken: whoever had it before is visible.
        let visible = core.snapshots.newest();
        self.locked_at = self.locked_at.max(visible);
        if let Some(locks) = &mut self.locks {
            locks.note_since(id, mode, visible);
        }
        Ok(if self.is_changed(key)? { Locked::Changed } else { Locked::Unchanged })
    }

    /// At the locking levels: locks a key that is about to be written, waiting for whoever has it. Without memory for
    /// locks it goes on without, and the commit is validated as at the other levels, where this does nothing.
    ///
    /// # Errors
    /// As [`Txn::lock_key`], without [`Error::LocksFull`].
    pub fn claim(&mut self, key: &[u8], mode: KeyLock) -> Result<Locked> {
        if !self.isolation.is_locking() {
            return Ok(Locked::Before);
        }
        self.check_cancelled()?;
        let is_full = self.locks.as_ref().is_some_and(|locks| {
            let (count, share) = locks.count_and_share();
            count >= share && !locks.has_range_of(key)
        });
        match is_full {
            true => self.claim_without_lock(key),
            false => match self.lock_key(key, mode, Wait::Block) {
                Err(Error::LocksFull { .. }) => self.claim_without_lock(key),
                other => other,
            },
        }
    }

    fn claim_without_lock(&mut self, key: &[u8]) -> Result<Locked> {
        let seq = self.hold.seq();
        self.unlocked_since.get_or_insert(seq);
        Ok(if self.is_changed(key)? { Locked::Changed } else { Locked::Unchanged })
    }

    /// Locks all keys of a range, those that are not there too, until the end of the transaction: nobody else takes a lock
    /// on one of them, and whoever has one is waited for. Readers are not concerned. Costs a look through all locks that
    /// are held.
    ///
    /// # Errors
    /// As [`Txn::lock_key`].
    pub fn lock_range(&mut self, range: &KeyRange, wait: Wait) -> Result<Locked> {
        if range.is_empty() {
            return Ok(Locked::Before);
        }
        let wait = self.patient(wait);
        let table = &self.hold.core().locks;
        let locks = self.locks.get_or_insert_with(|| Box::new(HeldLocks::new(table, self.owner)));
        let patience = Patience { wait, timeout: self.lock_timeout, cancel: self.cancel.as_ref() };
        match locks.take_range(range, &patience)? {
            Taken::Before => return Ok(Locked::Before),
            Taken::Skipped => return Ok(Locked::Skipped),
            Taken::Now => {}
        }
        let (core, seq) = (self.hold.core(), self.hold.seq());
        let visible = core.snapshots.newest();
        self.locked_at = self.locked_at.max(visible);
        let changed = visible > seq && core.borrow_sources().range_changed_since(range, seq)?;
        Ok(if changed { Locked::Changed } else { Locked::Unchanged })
    }

    /// At the locking levels: locks a range that is about to be deleted, waiting for whoever has a key of it. Under
    /// [`Isolation::RepeatableRead`] one that has changed since the snapshot is a conflict. Without memory for locks it goes
    /// on without, and the commit is validated as at the other levels, where this does nothing.
    ///
    /// # Errors
    /// As [`Txn::lock_key`], without [`Error::LocksFull`]; [`Error::Conflict`].
    pub fn claim_range(&mut self, range: &KeyRange) -> Result<()> {
        if !self.isolation.is_locking() {
            return Ok(());
        }
        match self.lock_range(range, Wait::Block) {
            Ok(Locked::Changed) if self.isolation != Isolation::ReadCommitted => {
                Err(Error::Conflict { reason: "another transaction wrote into the same range".to_string() })
            }
            Ok(_) | Err(Error::LocksFull { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the transaction has so many locks that it had better lock whole ranges ([`Txn::lock_range`]) than more keys:
    /// half of what it may have. Says so again each time that there are an eighth more.
    pub fn has_many_locks(&mut self) -> bool {
        let Some((count, share)) = self.locks.as_ref().map(|locks| locks.count_and_share()) else {
            return false;
        };
        let many = count >= self.many_locks.max(share / 2);
        if many {
            self.many_locks = count + share / 16 + 1;
        }
        many
    }

    /// As [`Txn::claim`] for a write that goes by what the snapshot shows: under [`Isolation::RepeatableRead`] a key that
    /// has changed since is a conflict now, not at commit.
    ///
    /// # Errors
    /// As [`Txn::claim`], and [`Error::Conflict`].
    pub fn claim_unchanged(&mut self, key: &[u8], mode: KeyLock) -> Result<Locked> {
        let claimed = match self.claim(key, mode)? {
            // Claimed before for a write that did not go by the snapshot.
            Locked::Before if self.isolation == Isolation::RepeatableRead && self.is_changed(key)? => {
                Locked::Changed
            }
            other => other,
        };
        match claimed {
            Locked::Changed if self.isolation != Isolation::ReadCommitted => {
                Err(Error::Conflict { reason: "another transaction wrote the same key".to_string() })
            }
            other => Ok(other),
        }
    }

    /// Locks an object of the layer above until the end of the transaction; false where it is skipped.
    ///
    /// # Errors
    /// As [`Txn::lock_key`].
    pub fn lock_object(&mut self, object: u64, mode: ObjectLock, wait: Wait) -> Result<bool> {
        self.lock_other(Name::Object(object), LockMode::Object(mode), wait)
    }

    /// Whether it has locked an object at least so strongly.
    pub fn holds_object(&self, object: u64, mode: ObjectLock) -> bool {
        self.locks
            .as_ref()
            .is_some_and(|locks| locks.covers(Name::Object(object).id(), LockMode::Object(mode)))
    }

    /// Takes an advisory lock until the end of the transaction; false where it is skipped.
    ///
    /// # Errors
    /// As [`Txn::lock_key`].
    pub fn lock_advisory(&mut self, key: AdvisoryKey, shared: bool, wait: Wait) -> Result<bool> {
        self.lock_other(Name::Advisory(key), advisory_mode(shared), wait)
    }

    fn lock_other(&mut self, name: Name<'_>, mode: LockMode, wait: Wait) -> Result<bool> {
        let taken = self.take(name, mode, wait)?;
        if taken == Taken::Now {
            self.locked_at = self.locked_at.max(self.hold.core().snapshots.newest());
        }
        Ok(taken != Taken::Skipped)
    }

    /// What to do where a lock is not free, where it is asked to do this.
    fn patient(&self, wait: Wait) -> Wait {
        if self.impatient && wait == Wait::Block { Wait::NoWait } else { wait }
    }

    fn take(&mut self, name: Name<'_>, mode: LockMode, wait: Wait) -> Result<Taken> {
        let wait = self.patient(wait);
        let table = &self.hold.core().locks;
        let locks = self.locks.get_or_insert_with(|| Box::new(HeldLocks::new(table, self.owner)));
        let patience = Patience { wait, timeout: self.lock_timeout, cancel: self.cancel.as_ref() };
        locks.take(name, mode, &patience)
    }

    /// Where others hold locks, a transaction that took none for its writes does so for the time of its commit: it waits
    /// for them instead of breaking in on them.
    fn lock_for_commit(&mut self) -> Result<()> {
        if self.isolation.is_locking() {
            return Ok(());
        }
        let table = &self.hold.core().locks;
        let locks = self.locks.get_or_insert_with(|| Box::new(HeldLocks::new(table, self.owner)));
        let patience =
            Patience { wait: Wait::Block, timeout: self.lock_timeout, cancel: self.cancel.as_ref() };
        for guard in &self.guards {
            if let Guarded::Exists(key) = &guard.what {
                locks.take_in_passing(key, KeyLock::KeyShare, &patience)?;
            }
        }
        lock_writes(locks, &self.writes.encode(), &patience)
    }

    /// The value of `key` that a constraint goes by: at the locking levels own writes over what is committed now, else as
    /// [`Txn::get`]. Under a lock it stays so.
    ///
    /// # Errors
    /// As [`Txn::get`].
    pub fn get_latest(&self, key: &[u8]) -> Result<Option<Bytes>> {
        if !self.isolation.is_locking() {
            return self.get(key);
        }
        if let Some(own) = own_value(&self.writes.view_for(key), key) {
            return Ok(own);
        }
        // Sources first: what the newest sequence needs is in them.
        let core = self.hold.core();
        let sources = core.borrow_sources();
        sources.get(key, core.snapshots.newest())
    }

    /// As [`Txn::get_latest`], for a range.
    pub fn scan_latest(&self, range: KeyRange, direction: Direction) -> Scan {
        self.latest_view().scan(range, direction)
    }

    /// What [`Txn::get_latest`] goes by, as a constant view.
    pub fn latest_view(&self) -> ReadView {
        let mut view = self.read_view();
        if self.isolation.is_locking() {
            view.hold = Arc::new(Hold::new(self.hold.core()));
        }
        view
    }

    /// How long it waits for a lock; `None`, the default, is for ever (in a session: what the session says).
    pub fn set_lock_timeout(&mut self, timeout: Option<Duration>) {
        self.lock_timeout = timeout;
    }

    /// Has what would wait for a lock fail with [`Error::LockNotAvailable`] from now on, or wait again. The commit waits in any case.
    ///
    /// ```
    /// use cairn_storage::{Error, Isolation, KeyLock, Options, Store, TxnOptions, Wait};
    /// let store = Store::open(&cairn_env::Env::memory(), "/db".as_ref(), Options::default())?;
    /// let options = TxnOptions { isolation: Isolation::ReadCommitted, ..TxnOptions::default() };
    /// let (mut a, mut b) = (store.begin(options.clone()), store.begin(options));
    /// a.lock_key(b"k", KeyLock::Update, Wait::Block)?;
    /// b.set_impatient(true);
    /// assert!(matches!(b.lock_key(b"k", KeyLock::Update, Wait::Block), Err(Error::LockNotAvailable { .. })));
    /// drop(a);
    /// b.lock_key(b"k", KeyLock::Update, Wait::Block)?;
    /// # Ok::<(), cairn_storage::Error>(())
    /// ```
    pub fn set_impatient(&mut self, impatient: bool) {
        self.impatient = impatient;
    }

    /// For work that takes long: whether its handle was tripped.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn check_cancelled(&self) -> Result<()> {
        match &self.cancel {
            Some(cancel) if cancel.is_cancelled() => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }

    /// Ends its waits and its writing from another thread.
    pub fn cancel_handle(&mut self) -> CancelHandle {
        self.cancel.get_or_insert_default().clone()
    }

    /// Its number in [`crate::Store::locks`].
    pub fn lock_owner(&self) -> LockOwner {
        self.owner
    }
}

impl std::fmt::Debug for Txn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Txn")
            .field("snapshot", &self.hold.seq())
            .field("write_bytes", &self.writes.bytes())
            .finish_non_exhaustive()
    }
}

/// What a transaction saw at a moment: its snapshot and the writes it had made. Constant, cheap to clone,
/// `Send` and `Sync`. Under serializable isolation its reads are the transaction's reads, as long as they
/// come before the commit.
#[derive(Clone)]
pub struct ReadView {
    hold: Arc<Hold>,
    own: OwnView,
    reads: Option<Arc<ReadSet>>,
}

impl ReadView {
    /// The value of `key`.
    ///
    /// # Errors
    /// As [`Txn::get`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        get(&self.hold, &self.own, self.reads.as_deref(), key)
    }

    /// Goes through a range in the given direction.
    pub fn scan(&self, range: KeyRange, direction: Direction) -> Scan {
        let own = (!self.own.is_empty()).then(|| self.own.clone());
        let visibility = Visibility { snapshot: self.hold.seq(), own };
        Scan::open(&self.hold, range, direction, visibility, self.reads.clone())
    }

    /// The same view without the transaction's own writes.
    pub fn without_writes(&self) -> ReadView {
        let own = WriteSet::new().view();
        ReadView { hold: Arc::clone(&self.hold), own, reads: self.reads.clone() }
    }

    /// The commit that the view reads at.
    pub fn snapshot_seq(&self) -> CommitSeq {
        self.hold.seq()
    }
}

impl From<Snapshot> for ReadView {
    /// A view without own writes.
    fn from(snapshot: Snapshot) -> ReadView {
        ReadView { hold: Arc::clone(snapshot.hold()), own: WriteSet::new().view(), reads: None }
    }
}

impl std::fmt::Debug for ReadView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadView").field("snapshot", &self.hold.seq()).finish_non_exhaustive()
    }
}

/// Locks the keys that a record writes, for the time of its commit.
pub(crate) fn lock_writes(
    locks: &mut HeldLocks,
    record: &RecordBuffer,
    patience: &Patience<'_>,
) -> Result<()> {
    for effect in record.iter() {
        match effect.expect("I3: the record was encoded by this process") {
            Effect::Put { key, .. } => locks.take_in_passing(key, KeyLock::NoKeyUpdate, patience)?,
            Effect::Delete { key } => locks.take_in_passing(key, KeyLock::Update, patience)?,
            Effect::DeleteRange { start, end } => {
                locks.take_range_in_passing(&KeyRange::half_open(start, end), patience)?;
            }
        }
    }
    Ok(())
}

fn get(hold: &Arc<Hold>, own: &OwnView, reads: Option<&ReadSet>, key: &[u8]) -> Result<Option<Bytes>> {
    if let Some(own) = own_value(own, key) {
        return Ok(own);
    }
    if let Some(reads) = reads {
        reads.add_key(key);
    }
    hold.core().get(key, hold.seq())
}

/// What the transaction itself has made of `key`; `None` where it has not touched it.
fn own_value(own: &OwnView, key: &[u8]) -> Option<Option<Bytes>> {
    if !own.is_empty() {
        let (entry, cover) = (own.get(key), own.covering(key));
        if let Some(entry) = entry.filter(|entry| cover.is_none_or(|cover| cover < entry.seq)) {
            return Some((entry.kind == Kind::Put).then_some(entry.value));
        }
        return cover.map(|_| None);
    }
    None
}
