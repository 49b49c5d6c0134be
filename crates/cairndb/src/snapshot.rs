//! A constant picture of the database.

use bytes::Bytes;
use cairn_storage::Direction;

use crate::{IntoKeyRange, KeyValues, Result, kernel};

/// The key-value space as it was at one commit; later writes do not show. Holding one keeps what it shows
/// on disk, so do not keep it for days.
///
/// ```
/// use cairndb::Database;
/// let db = Database::in_memory()?;
/// db.put(b"key", b"old")?;
/// let snapshot = db.snapshot()?;
/// db.put(b"key", b"new")?;
/// assert_eq!(snapshot.get(b"key")?.as_deref(), Some(&b"old"[..]));
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) view: kernel::View,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Snapshot {
    /// The value of a key.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.view.get(key.as_ref())
    }

    /// The entries of a range, in ascending order.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub fn get_range(&self, range: impl IntoKeyRange) -> Result<KeyValues> {
        Ok(KeyValues::new(self.view.scan(range.into_key_range(), Direction::Forward)?))
    }

    /// The entries of a range, in descending order.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub fn get_range_reverse(&self, range: impl IntoKeyRange) -> Result<KeyValues> {
        Ok(KeyValues::new(self.view.scan(range.into_key_range(), Direction::Reverse)?))
    }
}
