//! How a database is opened and how a transaction runs.

use std::path::PathBuf;
use std::time::Duration;

use cairn_storage::{Options, SyncMode};

/// What concurrent transactions may see of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IsolationLevel {
    /// As `ReadCommitted`, which allows nothing more: PostgreSQL's READ UNCOMMITTED.
    ReadUncommitted,
    /// Each call (each statement of SQL) sees what is committed when it begins. A write waits for the transaction that has
    /// written the key before, and goes on when that has ended. PostgreSQL's READ COMMITTED.
    ReadCommitted,
    /// All reads come from one snapshot. A write waits for the transaction that has written the key before, and fails with
    /// a conflict if that one, or another since the snapshot, has committed. PostgreSQL's REPEATABLE READ.
    RepeatableRead,
    /// Optimistic: all reads come from one snapshot and nothing waits before the commit; of two transactions that write
    /// the same key or row, the second to commit fails with a conflict.
    #[default]
    Snapshot,
    /// As `Snapshot`, and the commit fails with a conflict if anything the transaction read was changed by
    /// another one meanwhile: the outcome is that of running the transactions one after the other. One that only
    /// reads never fails.
    Serializable,
}

impl From<IsolationLevel> for cairn_storage::Isolation {
    fn from(level: IsolationLevel) -> Self {
        match level {
            IsolationLevel::ReadUncommitted | IsolationLevel::ReadCommitted => {
                cairn_storage::Isolation::ReadCommitted
            }
            IsolationLevel::RepeatableRead => cairn_storage::Isolation::RepeatableRead,
            IsolationLevel::Snapshot => cairn_storage::Isolation::Snapshot,
            IsolationLevel::Serializable => cairn_storage::Isolation::Serializable,
        }
    }
}

/// How a database is opened; for [`Database::open_with`].
///
/// ```
/// use cairndb::{Database, OpenOptions, SyncMode};
/// let directory = tempfile::tempdir().unwrap();
/// let options = OpenOptions::new().sync(SyncMode::Async).cache_bytes(64 << 20);
/// let db = Database::open_with(directory.path().join("trips.db"), options)?;
/// db.put(b"key", b"value")?;
/// # Ok::<(), cairndb::Error>(())
/// ```
///
/// [`Database::open_with`]: crate::Database::open_with
#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub(crate) storage: Options,
    #[cfg_attr(not(feature = "sql"), allow(dead_code))]
    pub(crate) query_memory_bytes: Option<usize>,
    #[cfg_attr(not(feature = "sql"), allow(dead_code))]
    pub(crate) temporary_directory: Option<PathBuf>,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

impl OpenOptions {
    /// The defaults: created if missing, every commit durable.
    pub fn new() -> OpenOptions {
        OpenOptions { storage: Options::default(), query_memory_bytes: None, temporary_directory: None }
    }

    /// Whether to create the database where there is none; default true.
    #[must_use]
    pub fn create_if_missing(mut self, create: bool) -> OpenOptions {
        self.storage.create_if_missing = create;
        self
    }

    /// What a commit waits for before it is acknowledged; default [`SyncMode::Sync`], which loses nothing
    /// on a power cut.
    #[must_use]
    pub fn sync(mut self, mode: SyncMode) -> OpenOptions {
        self.storage.sync = mode;
        self
    }

    /// Memory of the storage engine: writes not yet in sorted files, cached blocks, filters and indexes; at least
    /// 1 MiB. Default a quarter of the memory of the machine or of the control group, whichever is less, and at
    /// most 512 MiB. Queries have [`OpenOptions::query_memory_bytes`] besides.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: usize) -> OpenOptions {
        self.storage.memory_bytes = Some(bytes);
        self
    }

    /// Memory for blocks, filters and indexes read from files, whatever [`OpenOptions::memory_bytes`] would leave
    /// for them; that is the default.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> OpenOptions {
        self.storage.cache_bytes = Some(bytes);
        self
    }

    /// Memory for writes before they are put into a sorted file; up to three times as much may be in use.
    /// Default 64 MiB, at least 4 KiB, never more than an eighth of [`OpenOptions::memory_bytes`].
    #[must_use]
    pub fn memtable_bytes(mut self, bytes: usize) -> OpenOptions {
        self.storage.memtable_bytes = bytes;
        self
    }

    /// Puts the files of the lower levels, most of the data of a big database, into a second directory, on a slower
    /// disk perhaps; an absolute path, missing or empty at first. Default none: all lies in one directory. The
    /// database remembers it; see `slow_path` of the storage engine's options for moving it and giving it up.
    #[must_use]
    pub fn slow_directory(mut self, directory: impl Into<PathBuf>) -> OpenOptions {
        self.storage.slow_path = Some(directory.into());
        self
    }

    /// The first level, 1 to 6, whose files go to [`OpenOptions::slow_directory`]; default 3: the levels above hold
    /// up to some 2.8 GiB.
    #[must_use]
    pub fn slow_level(mut self, level: usize) -> OpenOptions {
        self.storage.slow_level = level;
        self
    }

    /// Whether to read sorted files through memory mappings; default false. Saves system calls; the answers are the
    /// same. A disk that cannot read a page then ends the process (SIGBUS) instead of giving an error.
    #[must_use]
    pub fn mmap_reads(mut self, mapped: bool) -> OpenOptions {
        self.storage.mmap_reads = mapped;
        self
    }

    /// Sorted files kept open at once; default 512, at least 8, never more than half of what the process may open.
    #[must_use]
    pub fn open_files_max(mut self, files: usize) -> OpenOptions {
        self.storage.open_files_max = files;
        self
    }

    /// Length of the log that opening after a crash would have to read; default 1 GiB, never less than 128 MiB.
    /// Writes not yet in sorted files are put there early to keep it.
    #[must_use]
    pub fn wal_bytes_max(mut self, bytes: u64) -> OpenOptions {
        self.storage.wal_bytes_max = bytes;
        self
    }

    /// Greatest size of the writes of one transaction; default 2 GiB.
    #[must_use]
    pub fn transaction_bytes_max(mut self, bytes: usize) -> OpenOptions {
        self.storage.transaction_bytes_max = bytes;
        self
    }

    /// How long all versions are kept at least, for [`Database::snapshot_at`](crate::Database::snapshot_at); default only as
    /// long as somebody reads them. What is overwritten or deleted takes space until then. Closing, opening and crashes do
    /// not shorten it; what a run without it dropped is gone.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> OpenOptions {
        self.storage.retention = Some(retention);
        self
    }

    /// A snapshot or transaction older than this keeps no versions from being dropped any more; once some were, its reads
    /// and its commit fail (SQLSTATE `72000`). Default: it keeps them for as long as it lives.
    /// [`Stats::oldest_snapshot_age`](crate::Stats::oldest_snapshot_age) shows forgotten readers.
    #[must_use]
    pub fn snapshot_age_max(mut self, age: Duration) -> OpenOptions {
        self.storage.snapshot_age_max = Some(age);
        self
    }

    /// Memory for locks, some 300 bytes each. A transaction with a quarter of it locks whole tables instead of rows where
    /// nobody else uses them; with half of it, or when it is full, writes go on without locks, and meet conflicts at commit.
    /// Default 64 MiB, at least 64 KiB.
    #[must_use]
    pub fn lock_bytes_max(mut self, bytes: usize) -> OpenOptions {
        self.storage.lock_bytes_max = bytes;
        self
    }

    /// Memory for commits begun with [`Transaction::commit_async`](crate::Transaction::commit_async) that are not done;
    /// default 256 MiB. Beyond it they fail at once with class `Conflict` and SQLSTATE `53400`: nothing was done, run the
    /// transaction again when others are through. Without effect in a build with SQL, where each has a thread.
    #[must_use]
    pub fn awaited_bytes_max(mut self, bytes: usize) -> OpenOptions {
        self.storage.awaited_bytes_max = bytes;
        self
    }

    /// Memory that all queries may use together; sorts, joins and aggregates go to temporary files before
    /// they need more. Default 1 GiB. Without effect in a build without SQL.
    #[must_use]
    pub fn query_memory_bytes(mut self, bytes: usize) -> OpenOptions {
        self.query_memory_bytes = Some(bytes);
        self
    }

    /// Where queries put temporary files; default the system's directory for them. Without effect in a
    /// build without SQL.
    #[must_use]
    pub fn temporary_directory(mut self, directory: impl Into<PathBuf>) -> OpenOptions {
        self.temporary_directory = Some(directory.into());
        self
    }
}
