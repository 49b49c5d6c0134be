//! A constant picture to read from, on any thread.
use std::sync::Arc;
use bytes::Bytes;
use cairn_storage::{Direction, KeyRange};
use crate::catalog::Catalog;
use crate::error::Result;
/// `Send + Sync + Clone`.
#[derive(Clone)]
pub struct ReadView { }
#[allow(missing_docs)]
impl ReadView {
    pub fn catalog(&self) -> &Arc<Catalog> { todo!() }
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> { todo!() }
    pub fn scan(&self, range: KeyRange, direction: Direction) -> Result<KvScan> { todo!() }
}
/// A scan of the key-value space; also `Iterator<Item = Result<(Bytes, Bytes)>>`. `Send`.
pub struct KvScan { }
impl KvScan {
    /// The next entry, lent.
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> { todo!() }
}
