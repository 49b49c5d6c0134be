//! Blind writes to the key-value space, committed as a whole.

use cairn_storage::{KeyRange, WriteBatch};

use crate::error::Result;
use crate::key_space::{self, STORE_TABLE};
use crate::transaction::check_key;

/// Writes to many keys for [`crate::Database::write`].
#[derive(Clone, Debug, Default)]
pub struct KeyBatch(pub(crate) WriteBatch);

impl KeyBatch {
    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`crate::Error::Storage`]: key or value are too long.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        Ok(self.0.put_prefixed(&key_space::prefix(STORE_TABLE, 0), key, value)?)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// As [`KeyBatch::put`].
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        check_key(key)?;
        Ok(self.0.delete(&key_space::key(STORE_TABLE, 0, key))?)
    }

    /// Removes all keys of a range.
    ///
    /// # Errors
    /// As [`KeyBatch::put`].
    pub fn delete_range(&mut self, range: &KeyRange) -> Result<()> {
        let range = key_space::absolute(STORE_TABLE, 0, range);
        match range.end_key() {
            Some(end) if !range.is_empty() => Ok(self.0.delete_range(&range.start_key(), &end)?),
            _ => Ok(()),
        }
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no write.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
