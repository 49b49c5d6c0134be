//! A transaction over everything: keys, rows, definitions.
use std::sync::Arc;
use bytes::Bytes;
use cairn_storage::{CommitSeq, Direction, Isolation, KeyRange, SyncMode};
use crate::catalog::{Catalog, ObjectId};
use crate::error::Result;
use crate::view::{KvScan, ReadView};

/// How a transaction begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct TxnOptions { pub isolation: Isolation, pub sync: Option<SyncMode>, pub read_only: bool, pub client_token: u64 }
/// `Send + Sync`; all methods take `&self`; dropping rolls back.
pub struct Transaction { }
/// A place to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(u64);
#[allow(missing_docs)]
impl Transaction {
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> { todo!() }
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> { todo!() }
    pub fn delete(&self, key: &[u8]) -> Result<()> { todo!() }
    pub fn delete_range(&self, range: &KeyRange) -> Result<()> { todo!() }
    pub fn scan(&self, range: KeyRange, direction: Direction) -> Result<KvScan> { todo!() }
    pub fn catalog(&self) -> Result<Arc<Catalog>> { todo!() }
    pub fn view(&self) -> Result<ReadView> { todo!() }
    pub fn savepoint(&self) -> Result<Savepoint> { todo!() }
    /// The savepoint itself stays usable; later ones are gone.
    pub fn rollback_to(&self, savepoint: Savepoint) -> Result<()> { todo!() }
    pub fn commit(&self) -> Result<CommitSeq> { todo!() }
    pub fn rollback(&self) { todo!() }
    pub fn is_active(&self) -> bool { todo!() }
    pub fn has_writes(&self) -> bool { todo!() }
    pub fn has_ddl(&self) -> bool { todo!() }
    pub fn isolation(&self) -> Isolation { todo!() }
    pub fn set_sync(&self, sync: SyncMode) -> Result<()> { todo!() }
    /// Never goes back, does not wait for commit, does not roll back. `n` values at once: first value; then + increment.
    pub fn nextval(&self, sequence: ObjectId) -> Result<i64> { todo!() }
    /// `n` values (bulk inserts).
    pub fn nextval_many(&self, sequence: ObjectId, n: usize) -> Result<Vec<i64>> { todo!() }
    pub fn setval(&self, sequence: ObjectId, value: i64, is_called: bool) -> Result<()> { todo!() }
}
