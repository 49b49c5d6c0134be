//! A transaction over everything at once: keys, rows, definitions.
//!
//! All methods take `&self`; a mutex makes the calls of several threads follow one another. Lock order: `state`,
//! `definitions`; neither is held while expressions of `cairn-sql` run, save where a foreign key action must
//! check child rows, and none of what those may call (`catalog`, `nextval`) takes `state`.
//!
//! I1: the catalog in `definitions` is that of the snapshot plus this transaction's own DDL; `rollback_to` takes both
//! back together.
//! I2: a transaction with DDL writes the schema version key. At the levels that wait it locks that key first, for the time of
//! its commit; at the others of two such transactions one commits.
//! I4: under Read Committed a statement sees what is committed when it begins; the catalog moves with the snapshot.
//! I3: whoever writes rows of a table has guarded its descriptor key (see `Writer::guard_table`).

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cairn_storage::{
    AdvisoryKey, CancelHandle, CommitSeq, Direction, Isolation, KeyLock, KeyRange, LockOwner, Locked,
    ObjectLock, Savepoint as StorageSavepoint, SyncMode, Txn, Wait,
};
use parking_lot::{Mutex, MutexGuard};

use crate::catalog::store::Catalogs;
use crate::catalog::{BOOTSTRAP, Catalog, ObjectId};
use crate::database::Inner;
use crate::error::{Error, Result};
use crate::key_space::{self, STORE_TABLE};
use crate::notification::{Listener, Messages, Notification};
use crate::sequence::Position;
use crate::table::deferred::Deferred;
use crate::view::{KvScan, ReadView, Source};

/// The longest key of the key-value space, in bytes.
pub const KEY_BYTES_MAX: usize = 64 * 1024;

/// How a transaction begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct TxnOptions {
    /// Isolation level; default [`Isolation::Snapshot`].
    pub isolation: Isolation,
    /// What the commit waits for; `None` = as the database was opened with.
    pub sync: Option<SyncMode>,
    /// Refuse writes with 25006.
    pub read_only: bool,
    /// A number of the client's own, written to the log with the commit.
    pub client_token: u64,
}

impl TxnOptions {
    pub(crate) fn storage(&self) -> cairn_storage::TxnOptions {
        let TxnOptions { isolation, sync, client_token, .. } = *self;
        cairn_storage::TxnOptions { isolation, sync, client_token }
    }
}

/// A place to go back to within a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(u64);

/// What a transaction does to the rows of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowChanges {
    /// Rows inserted less rows deleted.
    pub(crate) net: i64,
    /// Rows inserted, updated and deleted.
    pub(crate) touched: u64,
}

struct SavepointState {
    id: u64,
    storage: StorageSavepoint,
    definitions: Definitions,
    row_changes: HashMap<ObjectId, RowChanges>,
    messages: usize,
}

/// What a transaction knows of definitions (I1).
#[derive(Clone)]
pub(crate) struct Definitions {
    pub(crate) catalog: Arc<Catalog>,
    /// Whether the catalog is not the snapshot's.
    pub(crate) changed: bool,
    /// The version of the snapshot's, which it was made from.
    of: u64,
    /// Positions of sequences that this transaction created or restarted: written when it commits.
    pub(crate) sequences: HashMap<ObjectId, Position>,
}

pub(crate) struct State {
    pub(crate) txn: Txn,
    /// The catalog that this transaction's own DDL is based on, and the commit that it is of (I4).
    base: Arc<Catalog>,
    base_seq: CommitSeq,
    savepoints: Vec<SavepointState>,
    next_savepoint: u64,
    guarded: HashSet<ObjectId>,
    /// Rows inserted less rows deleted, by table: for the estimates.
    pub(crate) row_changes: HashMap<ObjectId, RowChanges>,
    /// Tables whose statistics this transaction has written; some may have been taken back.
    pub(crate) analyzed: HashSet<ObjectId>,
    /// Foreign keys that are looked at when it commits.
    pub(crate) deferred: Deferred,
    messages: Messages,
}

impl State {
    /// Where a transaction has very many locks: tries to lock the whole table of the row just locked, so that it needs no
    /// more of them. Without waiting: while others have rows of it locked it goes on row by row.
    pub(crate) fn lock_table_of(&mut self, key: &[u8]) -> Result<()> {
        if self.txn.has_many_locks()
            && let Some(span) = key_space::table_of(key)
        {
            self.txn.lock_range(&span, Wait::SkipLocked)?;
        }
        Ok(())
    }
}

/// A transaction. `Send + Sync`; dropping it rolls it back.
///
/// ```
/// use cairn_engine::{Database, Isolation, TxnOptions};
/// let db = Database::in_memory()?;
/// let txn = db.begin(TxnOptions { isolation: Isolation::Serializable, ..Default::default() })?;
/// txn.put(b"key", b"value")?;
/// txn.commit()?;
/// # Ok::<(), cairn_engine::Error>(())
/// ```
pub struct Transaction {
    pub(crate) database: Arc<Inner>,
    state: Mutex<Option<State>>,
    pub(crate) definitions: Mutex<Definitions>,
    options: TxnOptions,
    /// Statements that go on while others run within them.
    pinned: AtomicUsize,
    /// Who owns what it makes.
    role: AtomicU32,
}

/// As long as it lives, the snapshot of its transaction does not move ([`Transaction::pin_statement`]).
#[derive(Debug)]
pub struct PinnedStatement<'a>(&'a Transaction);

impl Drop for PinnedStatement<'_> {
    fn drop(&mut self) {
        self.0.pinned.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Transaction {
    pub(crate) fn new(
        database: Arc<Inner>,
        txn: Txn,
        catalog: Arc<Catalog>,
        options: TxnOptions,
    ) -> Transaction {
        let state = State {
            base: catalog.clone(),
            base_seq: txn.snapshot_seq(),
            txn,
            savepoints: Vec::new(),
            next_savepoint: 0,
            guarded: HashSet::new(),
            row_changes: HashMap::new(),
            analyzed: HashSet::new(),
            deferred: Deferred::default(),
            messages: Messages::default(),
        };
        let of = catalog.version();
        let definitions = Definitions { catalog, changed: false, of, sequences: HashMap::new() };
        Transaction {
            database,
            state: Mutex::new(Some(state)),
            definitions: Mutex::new(definitions),
            options,
            pinned: AtomicUsize::new(0),
            role: AtomicU32::new(BOOTSTRAP),
        }
    }

    /// The value of a key of the key-value space.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`], [`Error::Storage`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let key = key_space::key(STORE_TABLE, 0, key);
        Ok(self.statement()?.txn.get(&key)?)
    }

    /// Writes a key of the key-value space: at most 64 KiB, its value at most 1 GiB.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`], [`Error::ReadOnly`], [`Error::Storage`] (too large). At the locking levels, which
    /// wait for whoever has written the key and not committed: [`Error::Conflict`] (Repeatable Read),
    /// [`Error::Deadlock`], [`Error::Storage`] (lock timeout, cancelled).
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.check_writable("put")?;
        check_key(key)?;
        let key = key_space::key(STORE_TABLE, 0, key);
        let mut state = self.statement()?;
        state.txn.claim_unchanged(&key, KeyLock::NoKeyUpdate)?;
        Ok(state.txn.put(&key, value)?)
    }

    /// Deletes a key of the key-value space; nothing happens where there is none.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.check_writable("delete")?;
        check_key(key)?;
        let key = key_space::key(STORE_TABLE, 0, key);
        let mut state = self.statement()?;
        state.txn.claim_unchanged(&key, KeyLock::Update)?;
        Ok(state.txn.delete(&key)?)
    }

    /// Deletes all keys of a range of the key-value space; costs the same however many there are. At the locking levels the
    /// range is locked: whoever has written or locked a key of it is waited for, and whoever wants to waits.
    ///
    /// # Errors
    /// As [`Transaction::put`]; under Repeatable Read [`Error::Conflict`] where a key of the range, one that was not there
    /// too, has changed since the snapshot.
    pub fn delete_range(&self, range: &KeyRange) -> Result<()> {
        self.check_writable("delete")?;
        let range = key_space::absolute(STORE_TABLE, 0, range);
        let mut state = self.statement()?;
        match range.end_key() {
            Some(end) if !range.is_empty() => {
                state.txn.claim_range(&range)?;
                Ok(state.txn.delete_range(&range.start_key(), &end)?)
            }
            _ => Ok(()),
        }
    }

    /// The entries of a range of the key-value space, own writes included; later writes do not show in it.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`].
    pub fn scan(&self, range: KeyRange, direction: Direction) -> Result<KvScan> {
        let range = key_space::absolute(STORE_TABLE, 0, &range);
        drop(self.statement()?);
        let scan = self.view()?.scan_raw(range, direction);
        Ok(KvScan::new(scan))
    }

    /// The definitions as this transaction sees them, its own DDL included.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.definitions.lock().catalog.clone()
    }

    /// A constant view of what this transaction sees now, its own writes included.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`].
    pub fn view(&self) -> Result<ReadView> {
        let state = self.lock()?;
        let source = Source::Txn(state.txn.read_view(), state.txn.snapshot_seq());
        Ok(ReadView::new(source, self.catalog(), self.database.store.clone()))
    }

    /// Marks a place to go back to. Costs nothing; releasing is not needed.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`].
    pub fn savepoint(&self) -> Result<Savepoint> {
        let mut state = self.lock()?;
        let id = state.next_savepoint;
        state.next_savepoint += 1;
        let storage = state.txn.savepoint();
        let definitions = self.definitions.lock().clone();
        let row_changes = state.row_changes.clone();
        let messages = state.messages.len();
        state.savepoints.push(SavepointState { id, storage, definitions, row_changes, messages });
        Ok(Savepoint(id))
    }

    /// Takes back all writes and DDL since the savepoint, and gives back the locks taken since. It stays usable; later ones
    /// are gone.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`], [`Error::NoSuchSavepoint`], [`Error::Storage`].
    pub fn rollback_to(&self, savepoint: Savepoint) -> Result<()> {
        let mut state = self.lock()?;
        let at = state.savepoints.iter().position(|s| s.id == savepoint.0).ok_or(Error::NoSuchSavepoint)?;
        state.savepoints.truncate(at + 1);
        let kept = &state.savepoints[at];
        let (storage, row_changes, messages) = (kept.storage, kept.row_changes.clone(), kept.messages);
        self.restore(kept.definitions.clone(), &state.base);
        state.row_changes = row_changes;
        state.messages.truncate(messages);
        state.txn.rollback_to(storage)?;
        self.follow(&state)
    }

    /// Forgets a savepoint and later ones; their writes stay. Only saves memory.
    pub fn release(&self, savepoint: Savepoint) {
        if let Some(state) = self.state.lock().as_mut() {
            state.savepoints.retain(|s| s.id < savepoint.0);
        }
    }

    /// Makes all writes and DDL of this transaction visible and durable at once, or none of them. The transaction
    /// has ended afterwards, whatever the answer.
    ///
    /// # Errors
    /// [`Error::Conflict`] where another transaction committed first, [`Error::TransactionEnded`],
    /// [`Error::TooManyNotifications`], [`Error::Storage`] (disk full, an input/output error, a poisoned store).
    pub fn commit(&self) -> Result<CommitSeq> {
        if let Err(error) = self.check_deferred() {
            self.rollback();
            return Err(error);
        }
        let mut state = self.state.lock().take().ok_or(Error::TransactionEnded)?;
        let definitions = self.definitions.lock().clone();
        for (sequence, position) in &definitions.sequences {
            if let Some(sequence) = definitions.catalog.sequence_by_id(*sequence) {
                let key = key_space::sequence_key(sequence.id, sequence.generation);
                state.txn.put(&key, &position.encode())?;
            }
        }
        if !definitions.changed {
            let txn = state.txn;
            let sequence = self.database.hub.in_order(state.messages, || Ok(txn.commit()?))?;
            self.database.changed(&state.row_changes, &state.analyzed);
            return Ok(sequence);
        }
        let all = u64::from(key_space::CATALOG);
        let newest = if self.options.isolation.is_locking() {
            // From here on nobody else commits definitions.
            state.txn.claim(&key_space::schema_version_key(), KeyLock::Update)?;
            Catalogs::newest_version(&state.txn)?
        } else {
            state.txn.lock_object(all, ObjectLock::Exclusive, Wait::Block)?;
            state.base.version()
        };
        let version = newest + 1;
        state.txn.put(&key_space::schema_version_key(), &version.to_le_bytes())?;
        state.txn.set_schema_version(version);
        let whole = (newest == definitions.of).then(|| {
            let mut catalog = (*definitions.catalog).clone();
            catalog.set_version(version);
            Arc::new(catalog)
        });
        let (txn, base, messages) = (state.txn, state.base, state.messages);
        let commit = || self.database.hub.in_order(messages, || Ok(txn.commit()?));
        let sequence = self.database.catalogs.publish(&self.database.store, whole, commit)?;
        let made = definitions.catalog.tables().filter(|t| base.table_by_id(t.id).is_none());
        made.for_each(|table| self.database.estimates.created(table.id));
        self.database.changed(&state.row_changes, &state.analyzed);
        self.database.sequences.definitions_changed();
        Ok(sequence)
    }

    /// Ends the transaction without a trace. Nothing happens where it has ended already.
    pub fn rollback(&self) {
        if let Some(state) = self.state.lock().take() {
            state.txn.rollback();
        }
    }

    /// A statement begins: under Read Committed reads and [`Transaction::catalog`] show what is committed now; at the other
    /// levels nothing happens. Calls on keys do so themselves. Views taken before stay as they are. Cheap.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`], [`Error::Storage`].
    pub fn begin_statement(&self) -> Result<()> {
        self.statement().map(drop)
    }

    /// From now on what is made belongs to that role.
    pub fn set_role(&self, role: ObjectId) {
        self.role.store(role, Ordering::Relaxed);
    }

    /// The role that what is made belongs to.
    pub fn role(&self) -> ObjectId {
        self.role.load(Ordering::Relaxed)
    }

    /// A statement begins that runs others within it: until the answer is dropped, [`Transaction::begin_statement`] does
    /// nothing, so that all of them see what the outermost one sees, and what was written since.
    pub fn pin_statement(&self) -> PinnedStatement<'_> {
        self.pinned.fetch_add(1, Ordering::SeqCst);
        PinnedStatement(self)
    }

    /// Takes the snapshot anew, at any level: PostgreSQL takes that of a block at its first statement, not at BEGIN. What
    /// was read before is forgotten, so nothing may have been decided by it; locks stay. After the first write nothing
    /// happens.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`], [`Error::Storage`].
    pub fn renew_snapshot(&self) -> Result<()> {
        let mut state = self.lock()?;
        if state.txn.renew_snapshot() {
            self.moved(&mut state)?;
        }
        Ok(())
    }

    /// Locks a key of the key-value space until the end of the transaction, at any isolation level; false where it is
    /// skipped ([`Wait::SkipLocked`]). Readers are not concerned.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the key has changed since the snapshot (not under Read Committed, which goes on with the
    /// newest value), [`Error::Deadlock`], [`Error::Storage`] (55P03: taken, or not free in time; 57014: cancelled;
    /// 53200: no memory for locks), [`Error::TransactionEnded`].
    pub fn lock_key(&self, key: &[u8], mode: KeyLock, wait: Wait) -> Result<bool> {
        check_key(key)?;
        let key = key_space::key(STORE_TABLE, 0, key);
        match self.lock()?.txn.lock_key(&key, mode, wait)? {
            Locked::Skipped => Ok(false),
            Locked::Changed if self.options.isolation != Isolation::ReadCommitted => {
                Err(Error::Conflict { reason: "another transaction wrote the same key".to_owned() })
            }
            Locked::Before | Locked::Unchanged | Locked::Changed => Ok(true),
        }
    }

    /// Locks a key for writing, then reads it: what it is now, and stays until this transaction ends.
    ///
    /// # Errors
    /// As [`Transaction::lock_key`].
    pub fn get_for_update(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.lock_key(key, KeyLock::Update, Wait::Block)?;
        self.get(key)
    }

    /// Locks a table until the end of the transaction (LOCK TABLE); false where it is skipped. Under Read Committed begin
    /// a statement afterwards: the definition may have changed while it waited.
    ///
    /// # Errors
    /// As [`Transaction::lock_key`], without [`Error::Conflict`].
    pub fn lock_table(&self, table: ObjectId, mode: ObjectLock, wait: Wait) -> Result<bool> {
        Ok(self.lock()?.txn.lock_object(u64::from(table), mode, wait)?)
    }

    /// Takes an advisory lock until the end of the transaction; false where it is skipped.
    ///
    /// # Errors
    /// As [`Transaction::lock_table`].
    pub fn lock_advisory(&self, key: AdvisoryKey, shared: bool, wait: Wait) -> Result<bool> {
        Ok(self.lock()?.txn.lock_advisory(key, shared, wait)?)
    }

    /// How long it waits for a lock; `None` is for ever, the default outside of sessions.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`].
    pub fn set_lock_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.lock()?.txn.set_lock_timeout(timeout);
        Ok(())
    }

    /// Has calls fail with [`Error::LockNotAvailable`] where they would wait for a lock, or wait again. A call that fails leaves the
    /// transaction as before it, but for locks that it has taken.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`].
    pub fn set_impatient(&self, impatient: bool) -> Result<()> {
        self.lock()?.txn.set_impatient(impatient);
        Ok(())
    }

    /// What ends its waits and its writing from another thread. Get it before: a transaction that waits answers no calls.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`].
    pub fn cancel_handle(&self) -> Result<CancelHandle> {
        Ok(self.lock()?.txn.cancel_handle())
    }

    /// Its number in [`crate::Database::locks`].
    ///
    /// # Errors
    /// [`Error::TransactionEnded`].
    pub fn lock_owner(&self) -> Result<LockOwner> {
        Ok(self.lock()?.txn.lock_owner())
    }

    /// Whether neither commit nor rollback was called yet.
    pub fn is_active(&self) -> bool {
        self.state.lock().is_some()
    }

    /// Whether there is anything to commit.
    pub fn has_writes(&self) -> bool {
        self.state.lock().as_ref().is_some_and(|state| !state.txn.is_empty() || !state.messages.is_empty())
    }

    /// Sends a message to all who listen on a channel when this transaction commits. The same message is sent once.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`], [`Error::TooManyNotifications`].
    pub fn notify(&self, channel: &str, payload: &str) -> Result<()> {
        let mut state = self.lock()?;
        let sender = state.txn.lock_owner();
        state.messages.notify(Notification { channel: channel.into(), payload: payload.into(), sender })
    }

    /// Has a listener get the messages of a channel, from this transaction's commit on and those of its own.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`].
    pub fn listen(&self, listener: &Arc<Listener>, channel: &str) -> Result<()> {
        self.lock()?.messages.listen(listener, channel);
        Ok(())
    }

    /// Ends that at the commit, for all channels where none is named. Messages that wait stay.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`].
    pub fn unlisten(&self, listener: &Arc<Listener>, channel: Option<&str>) -> Result<()> {
        self.lock()?.messages.unlisten(listener, channel);
        Ok(())
    }

    /// Whether this transaction has changed definitions.
    pub fn has_ddl(&self) -> bool {
        self.definitions.lock().changed
    }

    /// How it was begun.
    pub fn options(&self) -> &TxnOptions {
        &self.options
    }

    /// What the commit is to wait for.
    ///
    /// # Errors
    /// [`Error::TransactionEnded`].
    pub fn set_sync(&self, sync: SyncMode) -> Result<()> {
        self.lock()?.txn.set_sync(sync);
        Ok(())
    }

    /// The newest committed state (at levels that do not lock: the snapshot), own writes included.
    pub(crate) fn latest_view(&self, state: &State) -> ReadView {
        let view = state.txn.latest_view();
        let sequence = view.snapshot_seq();
        ReadView::new(Source::Txn(view, sequence), self.catalog(), self.database.store.clone())
    }

    pub(crate) fn check_writable(&self, what: &str) -> Result<()> {
        if self.options.read_only { Err(Error::ReadOnly { what: what.to_owned() }) } else { Ok(()) }
    }

    pub(crate) fn lock(&self) -> Result<parking_lot::MappedMutexGuard<'_, State>> {
        MutexGuard::try_map(self.state.lock(), Option::as_mut).map_err(|_| Error::TransactionEnded)
    }

    /// The state, at the beginning of a statement (I4).
    fn statement(&self) -> Result<parking_lot::MappedMutexGuard<'_, State>> {
        let mut state = self.lock()?;
        if self.options.isolation == Isolation::ReadCommitted && self.pinned.load(Ordering::SeqCst) == 0 {
            state.txn.begin_statement();
            if state.txn.snapshot_seq() != state.base_seq {
                self.moved(&mut state)?;
            }
        }
        Ok(state)
    }

    /// The catalog moves with the snapshot (I4).
    fn moved(&self, state: &mut State) -> Result<()> {
        state.base = self.database.catalogs.of_txn(&state.txn)?;
        state.base_seq = state.txn.snapshot_seq();
        self.follow(state)
    }

    /// Makes the catalog that of the snapshot again, with own DDL (I1).
    fn follow(&self, state: &State) -> Result<()> {
        let mut definitions = self.definitions.lock();
        if !definitions.changed {
            definitions.catalog = state.base.clone();
        } else if definitions.of != state.base.version() {
            definitions.catalog = Arc::new(self.database.catalogs.with_own(&state.txn)?);
        }
        definitions.of = state.base.version();
        Ok(())
    }

    /// Puts definitions back; the catalog of a transaction without DDL is that of its snapshot now.
    fn restore(&self, mut definitions: Definitions, base: &Arc<Catalog>) {
        if !definitions.changed {
            definitions.catalog = base.clone();
            definitions.of = base.version();
        }
        *self.definitions.lock() = definitions;
    }

    /// Runs `work` on the write set; what it wrote is taken back when it fails. `what` names the statement where
    /// the transaction is read-only.
    pub(crate) fn write<T>(&self, what: &str, work: impl FnOnce(&mut Writer<'_>) -> Result<T>) -> Result<T> {
        self.check_writable(what)?;
        let mut state = self.lock()?;
        let before = state.txn.savepoint();
        let definitions = self.definitions.lock().clone();
        let row_changes = (!state.row_changes.is_empty()).then(|| state.row_changes.clone());
        let mut writer = Writer {
            database: &self.database,
            catalog: definitions.catalog.clone(),
            transaction: self,
            state: &mut state,
        };
        let answer = work(&mut writer);
        if answer.is_err() {
            state.row_changes = row_changes.unwrap_or_default();
            self.restore(definitions, &state.base);
            state.txn.rollback_to(before)?;
        }
        answer
    }
}

pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    if key.len() > KEY_BYTES_MAX {
        let (len, max) = (key.len(), KEY_BYTES_MAX);
        return Err(Error::Storage(cairn_storage::Error::KeyTooLarge { len, max }));
    }
    Ok(())
}

/// A transaction whose lock is held, for the work of one call.
pub(crate) struct Writer<'a> {
    pub(crate) database: &'a Inner,
    /// The catalog as the transaction sees it; DDL replaces it through [`Writer::change_catalog`].
    pub(crate) catalog: Arc<Catalog>,
    transaction: &'a Transaction,
    state: &'a mut State,
}

impl Writer<'_> {
    pub(crate) fn txn(&mut self) -> &mut Txn {
        &mut self.state.txn
    }

    pub(crate) fn txn_ref(&self) -> &Txn {
        &self.state.txn
    }

    /// Who owns what is made.
    pub(crate) fn role(&self) -> ObjectId {
        self.transaction.role()
    }

    pub(crate) fn is_serializable(&self) -> bool {
        self.transaction.options.isolation == Isolation::Serializable
    }

    pub(crate) fn isolation(&self) -> Isolation {
        self.transaction.options.isolation
    }

    /// The definitions as committed, which own DDL is based on.
    pub(crate) fn base(&self) -> &Catalog {
        &self.state.base
    }

    /// The commit fails if anybody else changes definitions; once is enough.
    pub(crate) fn guard_version(&mut self) {
        if !self.transaction.definitions.lock().changed {
            self.guard_since_base(&key_space::schema_version_key());
        }
    }

    /// The commit fails if the key changes after the commit that the catalog is of.
    pub(crate) fn guard_since_base(&mut self, key: &[u8]) {
        self.state.txn.guard_key_since(key, self.state.base_seq);
    }

    /// A view of what is written so far.
    pub(crate) fn view(&self) -> ReadView {
        let source = Source::Txn(self.state.txn.read_view(), self.state.txn.snapshot_seq());
        ReadView::new(source, self.catalog.clone(), self.database.store.clone())
    }

    pub(crate) fn is_locking(&self) -> bool {
        self.transaction.options.isolation.is_locking()
    }

    /// DDL on this table by another transaction makes the commit fail (I3). At the locking levels the table is locked too,
    /// so that DDL which takes locks waits, and is waited for.
    pub(crate) fn guard_table(&mut self, table: ObjectId, mode: ObjectLock) -> Result<()> {
        let key = key_space::object_key(key_space::section::TABLES, table);
        if self.is_locking() {
            self.state.txn.lock_object(u64::from(table), mode, Wait::Block)?;
        }
        if self.state.guarded.insert(table) {
            self.state.txn.guard_key_since(&key, self.state.base_seq);
        }
        Ok(())
    }

    /// At the locking levels: waits until nobody else uses the table, which is about to be changed, then goes by the
    /// newest rows (Read Committed).
    pub(crate) fn lock_definition(&mut self, table: ObjectId) -> Result<()> {
        if self.is_locking() && self.state.base.table_by_id(table).is_some() {
            self.state.txn.lock_object(u64::from(table), ObjectLock::AccessExclusive, Wait::Block)?;
            self.state.txn.begin_statement();
        }
        Ok(())
    }

    /// At the locking levels: locks a key before it is written or relied on, and waits for whoever has it. What holds of
    /// it then is in the newest state ([`Txn::get_latest`]), not in the snapshot.
    pub(crate) fn claim(&mut self, key: &[u8], mode: KeyLock) -> Result<()> {
        self.state.txn.claim(key, mode)?;
        if mode >= KeyLock::NoKeyUpdate {
            self.state.lock_table_of(key)?;
        }
        Ok(())
    }

    /// [`Writer::claim`] for rows found by the statement. One that has changed since its snapshot is an error, but for rows
    /// that foreign keys led to (`direct` is false), which are found in the newest state.
    pub(crate) fn claim_rows(
        &mut self,
        prefix: &[u8],
        rows: &[Bytes],
        mode: KeyLock,
        direct: bool,
    ) -> Result<()> {
        if !self.is_locking() {
            return Ok(());
        }
        let mut key = prefix.to_vec();
        for row in rows {
            self.state.txn.check_cancelled()?;
            key.truncate(prefix.len());
            key.extend_from_slice(row);
            if self.claim_unchanged(&key, mode)? == Locked::Changed && direct {
                return Err(Error::RowsChanged);
            }
        }
        Ok(())
    }

    /// At the locking levels: locks a row that the statement has found, and tells whether it has changed since its snapshot.
    pub(crate) fn claim_unchanged(&mut self, key: &[u8], mode: KeyLock) -> Result<Locked> {
        let locked = self.state.txn.claim_unchanged(key, mode)?;
        if self.is_locking() {
            self.state.lock_table_of(key)?;
        }
        Ok(locked)
    }

    pub(crate) fn deferred(&mut self) -> &mut Deferred {
        &mut self.state.deferred
    }

    pub(crate) fn count_rows(&mut self, table: ObjectId, change: i64) {
        let changes = self.state.row_changes.entry(table).or_default();
        changes.net += change;
        changes.touched += change.unsigned_abs();
    }

    /// Rows that changed and stayed.
    pub(crate) fn count_updated(&mut self, table: ObjectId, rows: usize) {
        self.state.row_changes.entry(table).or_default().touched += rows as u64;
    }

    /// Statistics of the table are other ones when this transaction commits.
    pub(crate) fn note_analyzed(&mut self, table: ObjectId) {
        self.state.analyzed.insert(table);
    }

    /// Replaces the catalog; `change` works on a copy of its own.
    pub(crate) fn change_catalog<T>(&mut self, change: impl FnOnce(&mut Catalog) -> T) -> T {
        let mut definitions = self.transaction.definitions.lock();
        let catalog = Arc::make_mut(&mut self.catalog);
        let answer = change(catalog);
        catalog.set_version(self.database.catalogs.private_version());
        definitions.catalog = self.catalog.clone();
        definitions.changed = true;
        answer
    }

    /// Sets where a sequence stands, when this transaction commits.
    pub(crate) fn set_sequence_position(&mut self, sequence: ObjectId, position: Position) {
        self.transaction.definitions.lock().sequences.insert(sequence, position);
    }
}
