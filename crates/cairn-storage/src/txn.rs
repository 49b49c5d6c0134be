//! Transactions: reads from one snapshot, own writes on top, validated and made durable at commit.
//!
//! Guarantees: nothing is visible to others before `commit` returns; dropping a transaction rolls it back.
//! Conflicts are found at commit, never by waiting.

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::check_entry;
use crate::commit::Request;
use crate::commit_queue::CommitHandle;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::key::{CommitSeq, Kind};
use crate::options::{Direction, Isolation, SyncMode, TxnOptions};
use crate::range::KeyRange;
use crate::reads::{Checks, ReadSet};
use crate::snapshot::{Hold, Snapshot};
use crate::visible::{Scan, Visibility};
use crate::write_set::{OwnView, WriteSet};

/// A place in a transaction to roll back to. It stays good after a rollback to it, and is void after a
/// rollback to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Savepoint {
    position: u64,
    txn: u64,
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
    writes: WriteSet,
    reads: Option<Arc<ReadSet>>,
    guards: Checks,
    sync: SyncMode,
    client_token: u64,
    schema_version: u64,
    id: u64,
}

impl Txn {
    pub(crate) fn begin(core: &Arc<Core>, options: TxnOptions) -> Txn {
        let reads = match options.isolation {
            Isolation::Snapshot => None,
            Isolation::Serializable => Some(Arc::new(ReadSet::default())),
        };
        Txn {
            hold: Arc::new(Hold::new(core)),
            writes: WriteSet::new(),
            reads,
            guards: Checks::default(),
            sync: options.sync.unwrap_or(core.options().sync),
            client_token: options.client_token,
            schema_version: 0,
            id: core.next_txn_id(),
        }
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
    /// [`Error::KeyTooLarge`], [`Error::ValueTooLarge`], [`Error::TransactionTooLarge`]; the transaction
    /// goes on without the write.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.check_room(key.len() + value.len())?;
        self.writes.put(key, value)
    }

    /// Deletes `key`; it need not be there.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
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

    /// Has the commit fail with a conflict if another transaction changed `key` after this one's snapshot,
    /// at any isolation level.
    pub fn guard_key(&mut self, key: &[u8]) {
        self.guards.keys.push(Bytes::copy_from_slice(key));
    }

    /// As [`Txn::guard_key`], for every key of a range, absent ones included.
    pub fn guard_range(&mut self, range: &KeyRange) {
        self.guards.ranges.push(range.clone());
    }

    /// A place to roll back to.
    pub fn savepoint(&mut self) -> Savepoint {
        Savepoint { position: self.writes.position(), txn: self.id }
    }

    /// Undoes the writes since the savepoint. Reads and guards stay in force.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a savepoint of another transaction.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        if savepoint.txn != self.id || savepoint.position > self.writes.position() {
            return Err(Error::InvalidArgument("the savepoint belongs to another transaction".to_string()));
        }
        self.writes.rollback_to(savepoint.position);
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
    /// [`Error::Conflict`]: run the transaction again. [`Error::DiskFull`]: nothing happened.
    /// [`Error::Io`], [`Error::Poisoned`]: whether the commit is durable is known when the store is opened
    /// again. [`Error::Closed`].
    pub fn commit(self) -> Result<CommitSeq> {
        if self.writes.is_empty() {
            return Ok(self.hold.seq());
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
    /// itself does all the work and gives a handle that is done. Queued commits are held in memory, in any number
    /// ([`crate::CommitStats::waiting`]): await some before beginning more.
    ///
    /// # Errors
    /// The handle gives those of [`Txn::commit`].
    pub fn commit_async(self) -> CommitHandle {
        if self.writes.is_empty() {
            return CommitHandle::done(Ok(self.hold.seq()));
        }
        let (hold, mut request) = self.into_request();
        request.hold = Some(Arc::clone(&hold));
        hold.core().commit_async(request)
    }

    fn into_request(self) -> (Arc<Hold>, Request) {
        let record = self.writes.encode();
        let mut checks = self.guards;
        if let Some(reads) = &self.reads {
            checks.append(reads.checks());
        }
        let request = Request {
            record,
            snapshot: Some(self.hold.seq()),
            checks,
            sync: self.sync,
            client_token: self.client_token,
            schema_version: self.schema_version,
            txn_id: self.id,
            hold: None,
            begun: 0,
        };
        (self.hold, request)
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
        match self.reads {
            Some(_) => Isolation::Serializable,
            None => Isolation::Snapshot,
        }
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

fn get(hold: &Arc<Hold>, own: &OwnView, reads: Option<&ReadSet>, key: &[u8]) -> Result<Option<Bytes>> {
    if !own.is_empty() {
        let (entry, cover) = (own.get(key), own.covering(key));
        if let Some(entry) = entry.filter(|entry| cover.is_none_or(|cover| cover < entry.seq)) {
            return Ok((entry.kind == Kind::Put).then_some(entry.value));
        }
        if cover.is_some() {
            return Ok(None);
        }
    }
    if let Some(reads) = reads {
        reads.add_key(key);
    }
    hold.core().get(key, hold.seq())
}
