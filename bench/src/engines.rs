//! The engines, one file each.

pub mod cairn;
pub mod cairn_storage;
pub mod fjall;
#[cfg(feature = "storage")]
pub mod lmdb;
pub mod redb;
#[cfg(feature = "storage")]
pub mod rocksdb;
pub mod sqlite;
