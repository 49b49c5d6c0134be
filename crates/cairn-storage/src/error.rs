//! What can go wrong in the store: one error type, made of what a caller can do differently.
//!
//! Guarantees: every variant is cloneable (a failed group commit hands the same error to each of its
//! members), messages are lower-case, and places (file, offset) are fields.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::locks::{LockOwner, LockTarget, LockWait};

/// The result of a storage operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in the store.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, a verb: "read", "write", "sync" and so on.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// No space is left for what was to be written. Nothing acknowledged is lost, reads go on, and
    /// commits work again when there is space.
    #[error("no space left on the disk for {}", path.display())]
    DiskFull {
        /// The file or directory.
        path: PathBuf,
    },
    /// A file is damaged: what was read is not what was written.
    #[error("{} is damaged at offset {offset}: {what}", file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Where in the file the damage was found.
        offset: u64,
        /// What was expected, and what was found.
        what: String,
    },
    /// The path holds something, but no database.
    #[error("{} is not a CairnDB database: {reason}", path.display())]
    NotADatabase {
        /// The path that was opened.
        path: PathBuf,
        /// Why it is none.
        reason: String,
    },
    /// The database was written by a newer program.
    #[error(
        "{} has format version {found}; this program reads up to version {supported}",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version that this program reads.
        supported: u32,
    },
    /// The database needs something that this program was built without.
    #[error("{} needs {what}", path.display())]
    NotBuiltIn {
        /// The file.
        path: PathBuf,
        /// What it needs.
        what: &'static str,
    },
    /// Another process, or another handle of this one, has the database open.
    #[error("the database {} is in use", path.display())]
    Locked {
        /// The database directory.
        path: PathBuf,
    },
    /// There is no database, and `create_if_missing` is off.
    #[error("there is no database at {}", path.display())]
    NotFound {
        /// The path that was opened.
        path: PathBuf,
    },
    /// Another transaction committed what this one depends on; run the transaction again.
    #[error("the transaction conflicts with another one: {reason}")]
    Conflict {
        /// What was in conflict.
        reason: String,
    },
    /// Transactions wait for each other in a circle, and this one was chosen to give way; run it again.
    #[error("deadlock detected")]
    Deadlock {
        /// The circle: each waits for the next, the last for the first.
        waits: Vec<LockWait>,
    },
    /// A lock is taken, and the caller did not want to wait.
    #[error("could not obtain lock on {target}")]
    LockNotAvailable {
        /// What is locked.
        target: LockTarget,
        /// Who has it, where that could still be seen.
        holder: Option<LockOwner>,
    },
    /// A lock was not free within the transaction's lock timeout.
    #[error("canceling statement due to lock timeout on {target}")]
    LockTimeout {
        /// What is locked.
        target: LockTarget,
    },
    /// A wait was ended by a [`crate::CancelHandle`].
    #[error("canceling statement due to user request")]
    Cancelled,
    /// Locks take all the memory that they may.
    #[error("locks take all of their {max} bytes")]
    LocksFull {
        /// [`crate::Options::lock_bytes_max`].
        max: usize,
    },
    /// Too much is waiting to be committed ([`crate::Txn::commit_async`]): nothing happened; await commits begun before,
    /// then run the transaction again.
    #[error("commits that are awaited hold {waiting} bytes; the limit is {max}")]
    CommitsFull {
        /// Bytes that wait, and this commit's.
        waiting: usize,
        /// [`crate::Options::awaited_bytes_max`].
        max: usize,
    },
    /// What the snapshot would show is gone: it is older than the retention, or than snapshots may be.
    #[error("snapshot too old")]
    SnapshotTooOld,
    /// A key is longer than the limit.
    #[error("the key has {len} bytes; the limit is {max}")]
    KeyTooLarge {
        /// Length given.
        len: usize,
        /// Greatest length allowed.
        max: usize,
    },
    /// A value is longer than the limit.
    #[error("the value has {len} bytes; the limit is {max}")]
    ValueTooLarge {
        /// Length given.
        len: usize,
        /// Greatest length allowed.
        max: usize,
    },
    /// A transaction writes more than the limit of the options.
    #[error("the transaction writes {len} bytes; the limit is {max}")]
    TransactionTooLarge {
        /// Bytes that the transaction would hold.
        len: usize,
        /// Greatest size allowed.
        max: usize,
    },
    /// An earlier failure (an fsync above all) leaves unknown what is on the disk. The store answers
    /// reads and refuses writes until it is opened again.
    #[error("the store refuses writes until it is opened again: {cause}")]
    Poisoned {
        /// The earlier failure.
        cause: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// An argument or an option makes no sense.
    #[error("{0}")]
    InvalidArgument(String),
}

impl Error {
    /// An I/O failure with its place; a full disk becomes [`Error::DiskFull`].
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::DiskFull { path: path.to_path_buf() }
            }
            _ => Error::Io { operation, path: path.to_path_buf(), source: Arc::new(source) },
        }
    }

    /// Damage at a place; `what` says what was expected and found.
    pub(crate) fn corrupt(file: &Path, offset: u64, what: impl Into<String>) -> Error {
        Error::Corrupt { file: file.to_path_buf(), offset, what: what.into() }
    }
}
