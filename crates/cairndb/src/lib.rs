//! CairnDB: keys, rows and SQL in one crash-safe embedded database.
//!
//! ```
//! use cairndb::{Database, IsolationLevel};
//! # fn main() -> Result<(), cairndb::Error> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path().join("trips.db");
//! let db = Database::open(path)?;
//! db.put(b"user:1", b"Ann")?;
//!
//! let tx = db.begin_transaction(IsolationLevel::Serializable)?;
//! tx.put(b"key", b"value")?;
//! tx.commit()?; // or tx.rollback()?
//! # Ok(())
//! # }
//! ```
//!
//! With SQL, which is on by default, tables and keys share transactions: see [`Database`] and the guide,
//! `docs/guide/embedded.md`.
//!
//! - [`Database`] is `Clone + Send + Sync`; clones share one open directory, which is closed with the last.
//! - Commits are durable when they return, unless [`OpenOptions::sync`] says otherwise.
//! - Every call blocks; those named `…_async` do not.
//! - `default-features = false` leaves keys, transactions and snapshots, without SQL and its dependencies.
//!
//! Modules, bottom-up: `error`, `options`, `kernel` (the layer below), `range`, `snapshot`, `transaction`,
//! `database`, `sql`.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod error;
mod options;

mod kernel;

mod range;
mod snapshot;
mod transaction;

mod batch;
mod database;

#[cfg(feature = "sql")]
mod sql;

pub use batch::WriteBatch;
pub use bytes::Bytes;
pub use cairn_storage::{
    AsOf, CancelHandle, CommitSeq, CommitStats, Damage, KeyLock, KeyRange, Latency, LevelStats, LockInfo,
    LockMode, LockOwner, LockTarget, Loss, ObjectLock, RepairReport, SnapshotInfo, Stats, SyncMode,
    VerifyReport, Wait,
};
pub use database::Database;
pub use error::{Error, ErrorClass, Result};
pub use options::{IsolationLevel, OpenOptions};
pub use range::{IntoKeyRange, KeyValues};
pub use snapshot::Snapshot;
pub use transaction::{Savepoint, Transaction};

#[cfg(feature = "sql")]
pub use sql::*;

/// Columnar memory: the types of [`Rows::batches`], so that a caller needs no
/// dependency of the same version.
#[cfg(feature = "sql")]
pub mod arrow {
    pub use arrow_array::*;
    pub use arrow_schema as schema;
}

/// Definitions of tables, columns, indexes, views and sequences, as [`Database::catalog`] gives them.
#[cfg(feature = "sql")]
pub use cairn_engine::catalog;

/// How files are read and written: the options of [`Database::file_columns`], and the streams of [`Session::copy_async`].
#[cfg(feature = "sql")]
pub mod copy {
    pub use crate::sql::row_writer::RowWriter;
    pub use cairn_sql::copy::{Begun, Columns, Compression, CopyOptions, Encoding, Format, Header, Streams};
    pub use cairn_sql::copy::{write_json_string, write_json_value};
}

/// The chapters of the guide, so that their examples are compiled and run as tests.
#[cfg(all(doctest, feature = "sql"))]
#[doc = include_str!("../../../docs/guide/embedded.md")]
mod guide {}

/// The same for the page on privileges.
#[cfg(all(doctest, feature = "sql"))]
#[doc = include_str!("../../../docs/guide/privileges.md")]
mod privileges {}

/// The same for the project's first page.
#[cfg(all(doctest, feature = "sql"))]
#[doc = include_str!("../../../README.md")]
mod readme {}
