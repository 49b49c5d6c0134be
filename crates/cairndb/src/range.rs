//! Ranges of keys, and what reading one yields.

use std::ops::{Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use bytes::Bytes;
use cairn_storage::KeyRange;

use crate::Result;
use crate::kernel;

/// What stands for a range of keys: Rust's ranges of anything that is bytes, and [`KeyRange`].
///
/// ```
/// use cairndb::{Database, KeyRange};
/// let db = Database::in_memory()?;
/// db.put(b"user:1", b"Ann")?;
/// db.put(b"user:2", b"Bob")?;
/// assert_eq!(db.get_range("user:1".."user:2")?.count(), 1);
/// assert_eq!(db.get_range(KeyRange::prefix(b"user:"))?.count(), 2);
/// assert_eq!(db.get_range(..)?.count(), 2);
/// # Ok::<(), cairndb::Error>(())
/// ```
pub trait IntoKeyRange {
    /// The range of keys.
    fn into_key_range(self) -> KeyRange;
}

impl IntoKeyRange for KeyRange {
    fn into_key_range(self) -> KeyRange {
        self
    }
}

impl IntoKeyRange for RangeFull {
    fn into_key_range(self) -> KeyRange {
        KeyRange::all()
    }
}

fn bounds<K: AsRef<[u8]>>(range: &impl RangeBounds<K>) -> KeyRange {
    let owned = |bound: Bound<&K>| bound.map(|key| Bytes::copy_from_slice(key.as_ref()));
    KeyRange::new(owned(range.start_bound()), owned(range.end_bound()))
}

macro_rules! into_key_range {
    ($($range:ident),*) => {$(
        impl<K: AsRef<[u8]>> IntoKeyRange for $range<K> {
            fn into_key_range(self) -> KeyRange {
                bounds(&self)
            }
        }
    )*};
}

into_key_range!(Range, RangeFrom, RangeInclusive, RangeTo, RangeToInclusive);

impl<K: AsRef<[u8]>> IntoKeyRange for (Bound<K>, Bound<K>) {
    fn into_key_range(self) -> KeyRange {
        bounds(&self)
    }
}

/// Keys and values in order, read as the iterator advances; what it shows does not change by later writes.
///
/// Each item is a `Result`, because reading a file can fail; after an error the iterator is at its end.
///
/// ```
/// use cairndb::Database;
/// let db = Database::in_memory()?;
/// db.put(b"a", b"1")?;
/// for entry in db.get_range("a".."b")? {
///     let (key, value) = entry?;
///     assert_eq!((&key[..], &value[..]), (&b"a"[..], &b"1"[..]));
/// }
/// # Ok::<(), cairndb::Error>(())
/// ```
pub struct KeyValues {
    scan: Option<kernel::Scan>,
}

impl std::fmt::Debug for KeyValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyValues").finish_non_exhaustive()
    }
}

impl KeyValues {
    pub(crate) fn new(scan: kernel::Scan) -> KeyValues {
        KeyValues { scan: Some(scan) }
    }

    /// The next entry, lent and not copied: the quickest way through many entries. `None` at the end.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        match &mut self.scan {
            None => Ok(None),
            Some(scan) => scan.next_entry(),
        }
    }
}

impl Iterator for KeyValues {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.scan.as_mut()?.next_owned();
        if !matches!(next, Ok(Some(_))) {
            self.scan = None;
        }
        next.transpose()
    }
}
