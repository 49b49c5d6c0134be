//! The database: catalog, tables, constraints, transactions over keys, rows and definitions.
//!
//! Knows `cairn-storage` (ordered bytes), `cairn-index` (access methods), `cairn-types` (values); has never heard of
//! SQL parsing, DataFusion, sockets or async. Expressions are SQL text here, evaluated through [`Expressions`].

#![forbid(unsafe_code)]

mod error;
pub mod catalog;
mod view;
mod transaction;
pub mod table;
pub mod ddl;
mod database;

pub use cairn_storage::{CommitSeq, Direction, Isolation, KeyRange, Options, Stats, SyncMode, VerifyReport};
pub use catalog::{Catalog, Table};
pub use database::{CheckFailure, Database, Expressions};
pub use error::{Error, ErrorObject, ObjectKind, Result, Violation};
pub use transaction::{Savepoint, Transaction, TxnOptions};
pub use view::{KvScan, ReadView};
