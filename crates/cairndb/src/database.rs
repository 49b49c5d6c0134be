//! An open database: keys, transactions, and the care of the directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_env::Env;
use cairn_storage::{
    AsOf, CommitSeq, Direction, LockInfo, RepairReport, SnapshotInfo, Stats, SyncMode, VerifyReport,
};

use crate::kernel::{self, Begin};
use crate::{
    Error, IntoKeyRange, IsolationLevel, KeyValues, OpenOptions, Result, Snapshot, Transaction, WriteBatch,
};

/// How often [`Database::transact`] runs a closure whose transaction meets conflicts.
const ATTEMPTS_MAX: u32 = 30;

/// The pauses between the attempts double from this one on, each chosen at random up to that length.
const FIRST_PAUSE: Duration = Duration::from_micros(100);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// An open database. Clones are handles to the same one; it is closed when the last of them and of its
/// transactions is dropped.
///
/// Every call may be made from any thread at any time; readers and writers do not wait for each other.
///
/// ```
/// use cairndb::Database;
/// let db = Database::in_memory()?;
/// db.put("user:1", "Ann")?;
/// assert_eq!(db.get("user:1")?.as_deref(), Some(&b"Ann"[..]));
/// db.delete("user:1")?;
/// assert!(db.get("user:1")?.is_none());
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone)]
pub struct Database {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) kernel: kernel::Database,
    #[cfg(feature = "sql")]
    pub(crate) engine: cairn_sql::Engine,
    env: Env,
    path: Option<PathBuf>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

/// Opening and closing.
impl Database {
    /// Opens the database in a directory; creates it where there is none. One process at a time has it open.
    ///
    /// After a crash every acknowledged commit is there and no other is there in part.
    ///
    /// # Errors
    /// Class `User` for a path that holds something else or a newer format, `Unavailable` when another
    /// process has it open or permission is missing, `Corrupt` when a file is damaged. Nothing is changed then.
    pub fn open(path: impl AsRef<Path>) -> Result<Database> {
        Database::open_with(path, OpenOptions::new())
    }

    /// [`Database::open`] with options.
    ///
    /// # Errors
    /// As [`Database::open`], and class `User` for options that cannot work.
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Database> {
        Database::open_in(&Env::os(), path.as_ref(), Some(path.as_ref().to_path_buf()), options)
    }

    /// A new database that lives in memory and is gone with its last handle.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn in_memory() -> Result<Database> {
        let options = OpenOptions::new().sync(SyncMode::None);
        Database::open_in(&Env::memory(), Path::new("/memory"), None, options)
    }

    /// As [`Database::open_with`], in another world than the operating system's: for tests with crashes.
    ///
    /// # Errors
    /// As [`Database::open_with`].
    #[doc(hidden)]
    pub fn open_in_env(env: &Env, path: &Path, options: OpenOptions) -> Result<Database> {
        Database::open_in(env, path, Some(path.to_path_buf()), options)
    }

    fn open_in(env: &Env, path: &Path, shown: Option<PathBuf>, options: OpenOptions) -> Result<Database> {
        #[cfg(feature = "sql")]
        let sql_options = crate::sql::options(&options);
        let kernel = kernel::Database::open(env, path, options.storage)?;
        #[cfg(feature = "sql")]
        let engine = cairn_sql::Engine::new(kernel.0.clone(), sql_options)?;
        let shared = Shared {
            kernel,
            #[cfg(feature = "sql")]
            engine,
            env: env.clone(),
            path: shown,
        };
        Ok(Database { shared: Arc::new(shared) })
    }

    /// The directory; `None` for a database in memory.
    pub fn path(&self) -> Option<&Path> {
        self.shared.path.as_deref()
    }

    /// Makes everything durable and stops the background work; calls on other handles fail from then on.
    /// Dropping the last handle does the same, but cannot tell of errors.
    ///
    /// # Errors
    /// When what was not yet durable cannot be made so.
    pub fn close(self) -> Result<()> {
        self.shared.kernel.close()
    }
}

/// Keys and values. Each call is a transaction of its own.
impl Database {
    /// The value of a key.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.shared.kernel.view()?.get(key.as_ref())
    }

    /// Sets the value of a key, durable when it returns. To write many, use a [`WriteBatch`] or a transaction.
    ///
    /// # Errors
    /// Class `User` when the key is over 64 KiB or the value over 1 GiB, `Unavailable` on a full disk.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let mut batch = WriteBatch::new();
        batch.put(key, value)?;
        self.write(batch).map(drop)
    }

    /// Removes a key; nothing happens when it is not there.
    ///
    /// # Errors
    /// As [`Database::put`].
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<()> {
        let mut batch = WriteBatch::new();
        batch.delete(key)?;
        self.write(batch).map(drop)
    }

    /// Removes all keys of a range at once.
    ///
    /// # Errors
    /// As [`Database::put`].
    pub fn delete_range(&self, range: impl IntoKeyRange) -> Result<()> {
        let mut batch = WriteBatch::new();
        batch.delete_range(range)?;
        self.write(batch).map(drop)
    }

    /// The entries of a range in ascending order, from a snapshot taken now.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub fn get_range(&self, range: impl IntoKeyRange) -> Result<KeyValues> {
        Ok(KeyValues::new(self.shared.kernel.view()?.scan(range.into_key_range(), Direction::Forward)?))
    }

    /// The entries of a range in descending order.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub fn get_range_reverse(&self, range: impl IntoKeyRange) -> Result<KeyValues> {
        Ok(KeyValues::new(self.shared.kernel.view()?.scan(range.into_key_range(), Direction::Reverse)?))
    }

    /// A picture of the keys as they are now.
    ///
    /// # Errors
    /// When the database is closed.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot { view: self.shared.kernel.view()? })
    }

    /// The keys as they were: after a commit, or at a time, which needs [`OpenOptions::retention`]. A commit can be read
    /// at as long as its versions are there.
    ///
    /// ```
    /// use cairndb::{AsOf, Database, OpenOptions};
    /// let directory = tempfile::tempdir().unwrap();
    /// let options = OpenOptions::new().retention(std::time::Duration::from_secs(3600));
    /// let db = Database::open_with(directory.path().join("db"), options)?;
    /// db.put("k", "old")?;
    /// let then = db.stats().last_committed;
    /// db.put("k", "new")?;
    /// assert_eq!(db.snapshot_at(AsOf::Commit(then))?.get("k")?.unwrap(), "old");
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// SQLSTATE `72000` when it is too long ago, or in a run without a retention; `22023` for the future, and for a time
    /// without a retention.
    pub fn snapshot_at(&self, as_of: AsOf) -> Result<Snapshot> {
        Ok(Snapshot { view: self.shared.kernel.view_at(as_of)? })
    }
}

/// Transactions.
impl Database {
    /// Begins a transaction on a snapshot taken now.
    ///
    /// # Errors
    /// When the database is closed.
    pub fn begin_transaction(&self, level: IsolationLevel) -> Result<Transaction> {
        let kernel = self.shared.kernel.begin(Begin { isolation: level.into(), sync: None })?;
        Ok(Transaction::new(self.clone(), kernel))
    }

    /// Who holds and who waits for which lock of the key-value space: the key (of a long one its first 88 bytes, of a range
    /// its start), and the lock. Not of one instant.
    pub fn key_locks(&self) -> Vec<(Bytes, LockInfo)> {
        self.shared.kernel.locks()
    }

    /// Runs `work` in a serializable transaction and commits it; after a conflict all of it is run again, up
    /// to 30 times with growing pauses. An error of `work` rolls back and is returned.
    ///
    /// `work` may run several times, so let it change nothing but the transaction.
    ///
    /// ```
    /// use cairndb::Database;
    /// let db = Database::in_memory()?;
    /// let count = db.transact(|tx| {
    ///     let count = tx.get("count")?.map_or(0, |bytes| bytes[0]) + 1;
    ///     tx.put("count", [count])?;
    ///     Ok(count)
    /// })?;
    /// assert_eq!(count, 1);
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `work`, those of [`Transaction::commit`], and class `Conflict` when the last attempt met one too.
    pub fn transact<T>(&self, mut work: impl FnMut(&Transaction) -> Result<T>) -> Result<T> {
        self.retry(|| {
            let tx = self.begin_transaction(IsolationLevel::Serializable)?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        })
    }

    /// Runs `attempt` until it meets no conflict, at most [`ATTEMPTS_MAX`] times.
    fn retry<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let mut pause = FIRST_PAUSE;
        let mut attempts = 1;
        loop {
            match attempt() {
                Err(error) if error.is_retryable() && attempts < ATTEMPTS_MAX => {}
                outcome => return outcome,
            }
            let nanos = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX).max(1);
            self.shared.env.clock().sleep(Duration::from_nanos(self.shared.env.random().next_u64() % nanos));
            pause = (pause * 2).min(PAUSE_MAX);
            attempts += 1;
        }
    }
}

/// Care of the directory.
impl Database {
    /// Puts everything written so far into sorted files and waits for it. Needed only before measuring, and
    /// to make the next open quicker.
    ///
    /// # Errors
    /// Class `Unavailable` when a file cannot be written.
    pub fn flush(&self) -> Result<()> {
        self.shared.kernel.flush()
    }

    /// Makes all commits so far durable; for databases opened with [`SyncMode::Async`] or [`SyncMode::None`].
    ///
    /// # Errors
    /// Class `Unavailable` when the system cannot do it; the database then refuses writes until reopened.
    pub fn sync(&self) -> Result<()> {
        self.shared.kernel.sync()
    }

    /// Merges all sorted files and drops what was deleted. The background does the same bit by bit.
    ///
    /// # Errors
    /// Class `Unavailable` when a file cannot be written.
    pub fn compact(&self) -> Result<()> {
        self.shared.kernel.compact()
    }

    /// Makes a copy of the database in a new directory, as of now, while it stays open. Files are linked
    /// where that is possible, so it is quick and takes little space. Gives the commit that it is of.
    ///
    /// ```
    /// use cairndb::Database;
    /// let directory = tempfile::tempdir().unwrap();
    /// let db = Database::open(directory.path().join("db"))?;
    /// db.put("key", "value")?;
    /// db.checkpoint(directory.path().join("copy"))?;
    /// let copy = Database::open(directory.path().join("copy"))?;
    /// assert_eq!(copy.get("key")?.as_deref(), Some(&b"value"[..]));
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the directory exists already or cannot be written.
    pub fn checkpoint(&self, directory: impl AsRef<Path>) -> Result<CommitSeq> {
        self.shared.kernel.checkpoint(directory.as_ref())
    }

    /// Reads everything and checks checksums, order and structure, indexes against rows. What is found is in the
    /// report; an error means that the check itself could not be done.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.shared.kernel.verify()
    }

    /// [`Database::verify`] for a database that is not open, which also works on one too damaged to open.
    ///
    /// # Errors
    /// When the path holds no database or the files cannot be read.
    pub fn verify_path(path: impl AsRef<Path>) -> Result<VerifyReport> {
        kernel::Database::verify_dir(&Env::os(), path.as_ref())
    }

    /// Repairs a database that is not open: a new one of all that is undamaged takes its place, and the damaged one
    /// is renamed, to `PATH.damaged`, and kept as it is. What could not be saved is in the report. A sound database
    /// is left alone. Needs room for a copy of the data. The keys in the report are as they are stored, with the prefix
    /// of their table. `docs/damage-and-repair.md` says more.
    ///
    /// # Errors
    /// When the path holds no database, it is open, its files cannot be read, or there is no room.
    pub fn repair_path(path: impl AsRef<Path>) -> Result<RepairReport> {
        Ok(cairn_storage::Store::repair(&Env::os(), path.as_ref())?)
    }

    /// What is being read at, oldest first: who keeps old versions, and for how long. In SQL `cairn_snapshots`.
    ///
    /// ```
    /// use cairndb::Database;
    /// let db = Database::in_memory()?;
    /// let _forgotten = db.snapshot()?;
    /// db.put("k", "v")?;
    /// let oldest = db.snapshots()[0];
    /// assert!(oldest.seq < db.stats().last_committed && oldest.holders == 1);
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        self.shared.kernel.snapshots()
    }

    /// Sizes and counts. Cheap.
    pub fn stats(&self) -> Stats {
        self.shared.kernel.stats()
    }
}

/// A statement about this crate that the compiler checks.
const _: () = {
    const fn shareable<T: Clone + Send + Sync>() {}
    shareable::<Database>();
    shareable::<Error>();
    const fn sendable<T: Send + Sync>() {}
    sendable::<Transaction>();
    sendable::<Snapshot>();
};
