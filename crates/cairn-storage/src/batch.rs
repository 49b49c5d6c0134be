//! A batch of blind writes: appended, ordered once, committed as a whole.
//!
//! Guarantees: the last write of a key counts; a range delete takes the batch's earlier writes in its range
//! and leaves the later ones.

use crate::error::{Error, Result};
use crate::key::RangeTombstone;
use crate::options::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::tombstone::Fragments;
use crate::wal::format::EFFECT_BYTES;
use crate::wal::{Effect, RecordBuffer};

/// Writes for [`crate::Store::write`]: atomic, and without any check for conflicts.
///
/// ```
/// let mut batch = cairn_storage::WriteBatch::new();
/// batch.put(b"key", b"value")?;
/// batch.delete(b"other")?;
/// assert_eq!(batch.len(), 2);
/// # Ok::<(), cairn_storage::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    bytes: Vec<u8>,
    entries: Vec<Place>,
    ranges: Vec<(usize, RangeTombstone)>,
    writes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    op: usize,
    start: usize,
    key_len: usize,
    /// `None` for a delete.
    value_len: Option<usize>,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    /// [`Error::KeyTooLarge`], [`Error::ValueTooLarge`].
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_entry(key, value)?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.push(start, key.len(), Some(value.len()));
        Ok(())
    }

    /// Deletes `key`.
    ///
    /// # Errors
    /// [`Error::KeyTooLarge`].
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        check_entry(key, b"")?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.push(start, key.len(), None);
        Ok(())
    }

    /// Deletes the keys from `start` up to, without, `end`.
    ///
    /// # Errors
    /// [`Error::KeyTooLarge`].
    pub fn delete_range(&mut self, start: &[u8], end: &[u8]) -> Result<()> {
        check_entry(start, b"")?;
        check_entry(end, b"")?;
        self.writes += 1;
        if start < end {
            let (start, end) = (start.to_vec().into(), end.to_vec().into());
            self.ranges.push((self.writes, RangeTombstone { start, end, seq: self.writes as u64 }));
        }
        Ok(())
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.writes
    }

    /// Whether there is no write.
    pub fn is_empty(&self) -> bool {
        self.writes == 0
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
            + self.ranges.iter().map(|(_, range)| range.start.len() + range.end.len()).sum::<usize>()
    }

    fn push(&mut self, start: usize, key_len: usize, value_len: Option<usize>) {
        self.writes += 1;
        self.entries.push(Place { op: self.writes, start, key_len, value_len });
    }

    fn key(&self, place: &Place) -> &[u8] {
        &self.bytes[place.start..place.start + place.key_len]
    }

    /// The resolved effects, range deletes first, keys ascending and each once.
    pub(crate) fn encode(&self) -> RecordBuffer {
        let mut record = RecordBuffer::with_capacity(self.bytes.len() + (self.writes + 1) * EFFECT_BYTES);
        for (_, range) in &self.ranges {
            record.push(Effect::DeleteRange { start: &range.start, end: &range.end });
        }
        let ranges: Vec<RangeTombstone> = self.ranges.iter().map(|(_, range)| range.clone()).collect();
        let fragments = Fragments::build(&ranges);
        let ascends = self.entries.windows(2).all(|pair| self.key(&pair[0]) < self.key(&pair[1]));
        let mut sorted = self.entries.clone();
        if !ascends {
            sorted.sort_unstable_by(|a, b| self.key(a).cmp(self.key(b)).then(b.op.cmp(&a.op)));
            sorted.dedup_by(|later, first| self.key(later) == self.key(first));
        }
        for place in &sorted {
            let key = self.key(place);
            if fragments.newest_covering(key, u64::MAX).is_some_and(|op| op > place.op as u64) {
                continue;
            }
            record.push(match place.value_len {
                Some(len) => {
                    let at = place.start + place.key_len;
                    Effect::Put { key, value: &self.bytes[at..at + len] }
                }
                None => Effect::Delete { key },
            });
        }
        record
    }
}

/// Refuses keys and values over the limits.
pub(crate) fn check_entry(key: &[u8], value: &[u8]) -> Result<()> {
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::KeyTooLarge { len: key.len(), max: KEY_BYTES_MAX });
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(Error::ValueTooLarge { len: value.len(), max: VALUE_BYTES_MAX });
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_counts() {
        let mut batch = WriteBatch::new();
        batch.put(b"b", b"1").unwrap();
        batch.put(b"c", b"1").unwrap();
        batch.delete_range(b"a", b"c").unwrap();
        batch.put(b"a", b"2").unwrap();
        batch.put(b"a", b"3").unwrap();
        batch.delete(b"c").unwrap();
        let record = batch.encode();
        let effects: Vec<_> = record.iter().map(|effect| effect.unwrap()).collect();
        assert_eq!(
            effects,
            [
                Effect::DeleteRange { start: b"a", end: b"c" },
                Effect::Put { key: b"a", value: b"3" },
                Effect::Delete { key: b"c" },
            ]
        );
        assert!(batch.put(&vec![0; KEY_BYTES_MAX + 1], b"").is_err());
    }
}
