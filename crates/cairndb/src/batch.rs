//! Blind writes to many keys.

use cairn_storage::CommitSeq;

use crate::{Database, IntoKeyRange, Result, kernel};

/// Writes to many keys, committed as a whole by [`Database::write`]: the cheapest way to write much. Later writes win over
/// earlier ones. Nothing is read, so there is no conflict; to decide by what is there, use a
/// [`Transaction`](crate::Transaction).
///
/// ```
/// use cairndb::{Database, WriteBatch};
/// let db = Database::in_memory()?;
/// let mut batch = WriteBatch::new();
/// for number in 0..1000u32 {
///     batch.put(number.to_be_bytes(), "value")?;
/// }
/// batch.delete_range(&b"old/"[..]..b"old0")?;
/// db.write(batch)?;
/// assert_eq!(db.get(7u32.to_be_bytes())?.unwrap(), "value");
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct WriteBatch(kernel::Batch);

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// Class `User` when the key is over 64 KiB or the value over 1 GiB; the batch is as before.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.0.put(key.as_ref(), value.as_ref())
    }

    /// Removes a key; nothing happens when it is not there.
    ///
    /// # Errors
    /// As [`WriteBatch::put`].
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        self.0.delete(key.as_ref())
    }

    /// Removes all keys of a range, at a cost that does not depend on their number.
    ///
    /// # Errors
    /// As [`WriteBatch::put`].
    pub fn delete_range(&mut self, range: impl IntoKeyRange) -> Result<()> {
        self.0.delete_range(&range.into_key_range())
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

impl Database {
    /// Commits a batch, durable when it returns. Gives the number of the commit. It waits for transactions that have
    /// locked keys of it ([`Transaction::get_for_update`](crate::Transaction::get_for_update) and the levels that wait).
    ///
    /// # Errors
    /// Class `User` when the batch is over 2 GiB, `Unavailable` on a full disk: nothing is written.
    pub fn write(&self, batch: WriteBatch) -> Result<CommitSeq> {
        self.shared.kernel.write(batch.0)
    }
}
