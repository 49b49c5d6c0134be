//! Ordered bytes made versioned and crash-safe: the storage engine of CairnDB.
//!
//! One ordered key space per directory. A [`Store`] gives snapshots, transactions (snapshot isolation
//! or serializable, with savepoints and range deletes), a write-ahead log with group commit, memtables,
//! sorted files with leveled compaction, checkpoints and verification. It knows bytes only.
//!
//! A key travels down once: `txn` collects, `commit` validates and numbers, `wal` makes durable,
//! `memtable` makes readable, `tree` (levels of SSTs under a manifest) takes over after a flush.
//! A read comes back up: memtables, then SSTs, through `visible`, which applies MVCC.

#![deny(unsafe_code)]

mod background;
mod batch;
mod blob;
mod cache;
mod checkpoint;
mod commit;
mod commit_lead;
mod commit_queue;
mod compaction;
mod core;
mod error;
mod estimate;
mod fields;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod handles;
mod history;
mod ingest;
mod key;
mod latency;
mod level_cursor;
mod locks;
mod manifest;
mod memory;
mod memtable;
mod merge;
mod options;
mod owned_scan;
mod past;
mod places;
mod range;
mod reads;
mod recovery;
mod registry;
mod repair;
mod rest;
mod snapshot;
mod sst;
mod stats;
mod store;
#[cfg(test)]
mod stress_tests;
mod sync;
mod tombstone;
mod tree;
#[cfg(test)]
mod tree_fault_tests;
mod tree_stats;
#[cfg(test)]
mod tree_tests;
mod txn;
mod verify;
mod version;
mod visible;
mod wal;
mod warm;
mod write_set;

pub use batch::WriteBatch;
pub use cache::CacheStats;
pub use commit_queue::CommitHandle;
pub use error::{Error, Result};
pub use estimate::RangeSize;
pub use history::AsOf;
pub use key::CommitSeq;
pub use latency::Latency;
pub use locks::{
    AdvisoryKey, CancelHandle, KeyLock, LockInfo, LockMode, LockOwner, LockSession, LockTarget, LockWait,
    ObjectLock, Wait,
};
pub use options::{
    Compaction, Compression, Direction, Eviction, FilterTiers, Isolation, KEY_BYTES_MAX, Options, SyncMode,
    TxnOptions, VALUE_BYTES_MAX,
};
pub use owned_scan::OwnedScan;
pub use past::SnapshotInfo;
pub use range::KeyRange;
pub use repair::{Loss, RepairReport};
pub use snapshot::Snapshot;
pub use sst::filter::FilterStats;
pub use stats::{CommitStats, Stats};
pub use store::Store;
pub use tree_stats::{BlobStats, LevelStats, TreeStats};
pub use txn::{Locked, ReadView, Savepoint, Txn};
pub use verify::{Damage, VerifyReport};
pub use visible::Scan;
