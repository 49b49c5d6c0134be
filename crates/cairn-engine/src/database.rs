//! One open database: the store with its catalog, sequences and estimates.
//!
//! The directory belongs to one process at a time; within it a [`Database`] is cloned freely. Lock order among the
//! parts: sequences' and catalogs' locks are leaves; nothing else is taken while they are held but the store.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow_array::{ArrayRef, RecordBatch};
use cairn_env::Env;
use cairn_storage::{
    AsOf, CommitSeq, KeyRange, LockInfo, LockSession, Options, SnapshotInfo, Stats, Store, SyncMode, Txn,
    VerifyReport,
};

use crate::catalog::store::Catalogs;
use crate::catalog::{Catalog, IndexId, ObjectId, Table};
use crate::error::{Error, Result};
use crate::estimate::Estimates;
use crate::key_batch::KeyBatch;
use crate::key_space;
use crate::notification::{Hub, Listener};
use crate::sequence::Sequences;
use crate::statistics::Statistics;
use crate::transaction::{RowChanges, Transaction, TxnOptions};
use crate::view::{ReadView, Source};

/// A row that a CHECK constraint refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFailure {
    /// The row's place in the batch.
    pub row: usize,
    /// The constraint's place in `table.checks`.
    pub check: usize,
}

/// How expressions, which are SQL text here, are evaluated: `cairn-sql` gives this to the database once.
///
/// Calls may be made while a transaction's lock is held: an implementation must not write through the transaction
/// (`nextval` and `catalog` are allowed).
pub trait Expressions: Send + Sync {
    /// The first row of the batch (live columns of `table`) for which one of its CHECKs, given by their places in
    /// `table.checks`, is false (NULL passes).
    ///
    /// # Errors
    /// Whatever evaluating fails with.
    fn check(&self, table: &Table, checks: &[usize], rows: &RecordBatch) -> Result<Option<CheckFailure>>;

    /// The default of the live column at `place`, for `rows` rows (ON DELETE SET DEFAULT); NULLs where it has none.
    ///
    /// # Errors
    /// Whatever evaluating fails with.
    fn default(&self, table: &Table, place: usize, rows: usize) -> Result<ArrayRef>;

    /// The values of the generated columns, in the order of [`Table::generated_places`], for the rows of a batch (live
    /// columns of `table`; what stands in the generated ones does not matter).
    ///
    /// # Errors
    /// Whatever evaluating fails with. The default knows no expressions.
    fn generated(&self, table: &Table, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let _ = rows;
        Err(Error::InvalidArgument(format!("generated columns of table \"{}\" need SQL", table.name)))
    }

    /// What an index holds that is no column, for the rows of a batch (live columns of `table`): its expressions, of
    /// their types, and last, where it is partial, whether its condition holds (Boolean; NULL = not).
    ///
    /// # Errors
    /// Whatever evaluating fails with. The default knows no expressions.
    fn index_cells(&self, table: &Table, index: IndexId, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let _ = rows;
        Err(Error::InvalidArgument(format!("index {index} of table \"{}\" needs SQL", table.name)))
    }
}

/// An open database. Clones are handles to the same one; the last to go closes it.
///
/// ```
/// let db = cairn_engine::Database::in_memory()?;
/// let txn = db.begin(Default::default())?;
/// txn.put(b"key", b"value")?;
/// txn.commit()?;
/// assert_eq!(db.view()?.get(b"key")?.as_deref(), Some(&b"value"[..]));
/// # Ok::<(), cairn_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) catalogs: Catalogs,
    pub(crate) sequences: Sequences,
    pub(crate) estimates: Estimates,
    pub(crate) statistics: Statistics,
    pub(crate) hub: Arc<Hub>,
    expressions: OnceLock<Arc<dyn Expressions>>,
    env: Env,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn expressions(&self) -> Option<&Arc<dyn Expressions>> {
        self.expressions.get()
    }

    /// A transaction has committed that changed rows and statistics so.
    pub(crate) fn changed(&self, rows: &HashMap<ObjectId, RowChanges>, analyzed: &HashSet<ObjectId>) {
        self.estimates.change(rows);
        if !analyzed.is_empty() {
            self.statistics.committed(analyzed);
        }
        self.statistics.change(rows.iter().map(|(table, change)| (*table, change.touched)));
    }

    /// Writes down what is kept in memory only and is better kept: exact positions of sequences, row estimates.
    fn settle(&self) -> Result<()> {
        let catalog = self.catalogs.latest();
        let known = |id, generation| catalog.sequence_by_id(id).is_some_and(|s| s.generation == generation);
        self.sequences.settle(&self.store, known)?;
        self.estimates.keep(&self.store, |id| catalog.table_by_id(id).is_some())?;
        self.statistics.keep(&self.store, |id| catalog.table_by_id(id).is_some());
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A store that is closed or poisoned refuses; then the logged positions, which lie ahead, hold.
        let _ = self.settle();
    }
}

impl Database {
    /// Opens the database in `dir`, and makes one where there is none (unless the options forbid).
    ///
    /// # Errors
    /// [`Error::Storage`]: in use, no database, a newer format, damage, an input/output error.
    pub fn open(env: &Env, dir: &Path, options: Options) -> Result<Database> {
        let store = Store::open(env, dir, options)?;
        let catalogs = Catalogs::open(&store)?;
        let inner = Inner {
            store,
            catalogs,
            sequences: Sequences::default(),
            estimates: Estimates::default(),
            statistics: Statistics::default(),
            hub: Arc::default(),
            expressions: OnceLock::new(),
            env: env.clone(),
        };
        Ok(Database { inner: Arc::new(inner) })
    }

    /// A database in memory, gone with its last handle.
    ///
    /// # Errors
    /// As [`Database::open`]; not in practice.
    pub fn in_memory() -> Result<Database> {
        Database::open(&Env::memory(), Path::new("/memory"), Options::default())
    }

    /// Begins a transaction on the latest commit.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn begin(&self, options: TxnOptions) -> Result<Transaction> {
        self.started(self.inner.store.begin(options.storage()), options)
    }

    /// Commits a batch: it depends on nothing read, so it meets no conflict; it waits for transactions that have locked
    /// keys of it. `None` is the database's own sync mode.
    ///
    /// # Errors
    /// [`Error::Storage`]: too large, a full disk, an input/output error, closed.
    pub fn write(&self, batch: KeyBatch, sync: Option<SyncMode>) -> Result<CommitSeq> {
        Ok(self.inner.store.write(batch.0, sync)?)
    }

    /// As [`Database::begin`], in a session: the transaction's locks are the session's, with its lock timeout and its
    /// [`LockSession::cancel_handle`].
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn begin_in(&self, session: &LockSession, options: TxnOptions) -> Result<Transaction> {
        self.started(self.inner.store.begin_in(session, options.storage()), options)
    }

    /// A new session: what holds advisory locks beyond transactions.
    pub fn session(&self) -> LockSession {
        self.inner.store.session()
    }

    /// A new listener, which [`Transaction::listen`] has listen on channels.
    pub fn listener(&self) -> Arc<Listener> {
        Listener::new(&self.inner.hub)
    }

    /// How full the room is for messages that listeners have not taken, from 0 to 1.
    pub fn notifications_usage(&self) -> f64 {
        self.inner.hub.usage()
    }

    /// Who holds and who waits for which lock. Not of one instant. [`crate::LockedThing::of`] tells what a target is.
    pub fn locks(&self) -> Vec<LockInfo> {
        self.inner.store.locks()
    }

    fn started(&self, txn: Txn, options: TxnOptions) -> Result<Transaction> {
        let catalog = self.inner.catalogs.of_txn(&txn)?;
        Ok(Transaction::new(self.inner.clone(), txn, catalog, options))
    }

    /// The latest commit, to read from without a transaction.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn view(&self) -> Result<ReadView> {
        let snapshot = self.inner.store.snapshot();
        let catalog = self.inner.catalogs.of_snapshot(&snapshot)?;
        Ok(ReadView::new(Source::Snapshot(snapshot), catalog, self.inner.store.clone()))
    }

    /// The database as it was, rows and definitions: after a commit, or at a time ([`Options::retention`]).
    ///
    /// # Errors
    /// [`Error::Storage`]: 72000 where it is too old; for the future, and for a time without a retention.
    pub fn snapshot_at(&self, as_of: AsOf) -> Result<ReadView> {
        let snapshot = self.inner.store.snapshot_at(as_of)?;
        if snapshot.get(&key_space::schema_version_key())?.is_none() {
            // Before the database's own first commit.
            return Err(cairn_storage::Error::SnapshotTooOld.into());
        }
        let catalog = self.inner.catalogs.of_snapshot(&snapshot)?;
        Ok(ReadView::new(Source::Snapshot(snapshot), catalog, self.inner.store.clone()))
    }

    /// What is being read at, oldest first: who keeps old versions, and for how long.
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        self.inner.store.snapshots()
    }

    /// The definitions of the latest commit.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalogs.latest()
    }

    /// Gives the database the means to evaluate expressions; only the first call counts, and says so with `true`.
    pub fn set_expressions(&self, expressions: Arc<dyn Expressions>) -> bool {
        self.inner.expressions.set(expressions).is_ok()
    }

    /// The environment that it was opened in.
    pub fn env(&self) -> &Env {
        &self.inner.env
    }

    /// About how many rows a table has: counted up to some thousands, sampled above, kept current by commits.
    pub fn approximate_rows(&self, table: ObjectId) -> u64 {
        self.inner.estimates.rows(&self.inner.store, table)
    }

    /// About how many bytes an index of a table takes, on disk and in memory; index 0 holds the rows.
    pub fn approximate_bytes(&self, table: ObjectId, index: IndexId) -> u64 {
        let range = crate::key_space::absolute(table, index, &cairn_storage::KeyRange::all());
        self.inner.store.approximate_size(&range).bytes
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn of(inner: &Arc<Inner>) -> Database {
        Database { inner: Arc::clone(inner) }
    }

    /// Writes what is in memory to sorted files.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn flush(&self) -> Result<()> {
        Ok(self.inner.store.flush()?)
    }

    /// Waits until every acknowledged commit is on stable storage.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn sync(&self) -> Result<()> {
        Ok(self.inner.store.sync()?)
    }

    /// Merges all sorted files, and gives back the space of what was deleted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn compact(&self) -> Result<()> {
        Ok(self.inner.store.compact(KeyRange::all())?)
    }

    /// Merges the sorted files of one table and its indexes, and gives back the space of what was deleted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn compact_table(&self, table: ObjectId) -> Result<()> {
        let (start, end) = key_space::table_span(table);
        Ok(self.inner.store.compact(KeyRange::half_open(&start, &end))?)
    }

    /// Makes a copy of the database as of now in the new directory `dir`.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn checkpoint(&self, dir: &Path) -> Result<CommitSeq> {
        self.inner.settle()?;
        Ok(self.inner.store.checkpoint(dir)?)
    }

    /// Checks every file, then (see [`crate::verify`]) that all indexes agree with the rows.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Corrupt`] at the first index that disagrees.
    pub fn verify(&self) -> Result<VerifyReport> {
        let report = self.inner.store.verify()?;
        crate::verify::indexes_of(&self.view()?, self.inner.expressions())?;
        Ok(report)
    }

    /// Checks every file of a database that nobody has open, and lists all damage.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn verify_dir(env: &Env, dir: &Path) -> Result<VerifyReport> {
        Ok(Store::verify_dir(env, dir)?)
    }

    /// Figures of the store.
    pub fn stats(&self) -> Stats {
        self.inner.store.stats()
    }

    /// The latest commit.
    pub fn last_committed(&self) -> CommitSeq {
        self.inner.store.last_committed()
    }

    /// Syncs and closes the store. Other handles, transactions and views get errors from then on.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn close(&self) -> Result<()> {
        match self.inner.settle() {
            Ok(()) | Err(Error::Storage(cairn_storage::Error::Closed)) => {}
            Err(e) => return Err(e),
        }
        Ok(self.inner.store.clone().close()?)
    }
}
