//! The database: definitions, tables, constraints, and transactions over keys, rows and definitions at once.
//!
//! Knows `cairn-storage` (ordered bytes), `cairn-index` (access methods) and `cairn-types` (values); has never heard
//! of SQL parsing, DataFusion, sockets or async. Expressions are SQL text here, evaluated through [`Expressions`].
//!
//! A row travels down once: [`table::insert`] checks the batch, encodes row keys, rows and index entries, and puts
//! them into the write set of the [`Transaction`]; commit is the store's. It comes back through [`table::scan`].

#![forbid(unsafe_code)]

pub mod catalog;
mod database;
pub mod ddl;
mod error;
mod estimate;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod key_batch;
mod key_space;
mod lock;
mod notification;
mod sequence;
mod statistics;
pub mod table;
mod transaction;
pub mod verify;
mod view;

pub use cairn_storage::{
    AdvisoryKey, AsOf, CancelHandle, CommitSeq, Direction, Isolation, KeyLock, KeyRange, LockInfo, LockMode,
    LockOwner, LockSession, LockTarget, ObjectLock, Options, SnapshotInfo, Stats, SyncMode, VerifyReport,
    Wait,
};
pub use catalog::{Catalog, Table};
pub use database::{CheckFailure, Database, Expressions};
pub use error::{Error, ErrorObject, ObjectKind, Result, Violation};
pub use key_batch::KeyBatch;
pub use lock::LockedThing;
pub use notification::{Listener, Notification};
pub use transaction::{KEY_BYTES_MAX, PinnedStatement, Savepoint, Transaction, TxnOptions};
pub use view::{KvScan, ReadView};
