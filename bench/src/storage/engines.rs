//! The engines, one file each.

pub mod cairn;
pub mod cairn_storage;
pub mod fjall;
pub mod lmdb;
pub mod redb;
pub mod rocksdb;
pub mod sqlite;
