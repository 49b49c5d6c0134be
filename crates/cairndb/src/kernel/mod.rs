//! The layer that this crate stands on: the engine where there is SQL, else the ordered store alone. Both
//! offer the same few calls on the key-value space, with the same bytes on disk.

#[cfg(not(feature = "sql"))]
mod store;
#[cfg(feature = "sql")]
mod tables;

#[cfg(not(feature = "sql"))]
pub(crate) use store::{Batch, Database, Savepoint, Scan, Transaction, View};
#[cfg(feature = "sql")]
pub(crate) use tables::{Batch, Database, Savepoint, Scan, Transaction, View};

/// How a transaction begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Begin {
    pub(crate) isolation: cairn_storage::Isolation,
    pub(crate) sync: Option<cairn_storage::SyncMode>,
}
