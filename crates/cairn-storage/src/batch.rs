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

/// Memory that an emptied batch keeps.
const KEEP_BYTES: usize = 1 << 20;

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

    /// The key of the put or delete with this number.
    pub(crate) fn key_at(&self, number: usize) -> Option<&[u8]> {
        self.entries.get(number).map(|place| self.key(place))
    }

    /// Forgets the writes and keeps the memory for the next ones.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEEP_BYTES);
        self.entries.clear();
        self.entries.shrink_to(KEEP_BYTES / size_of::<Place>());
        self.ranges.clear();
        self.writes = 0;
    }

    /// The puts and deletes, by key, the last write of a key first: the number of the write (from 0), the
    /// key, and the value unless it is a delete. Only for a batch without range deletes.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = (u64, &[u8], Option<&[u8]>)> {
        debug_assert!(self.ranges.is_empty());
        self.order().into_iter().map(|at| {
            let place = &self.entries[at as usize];
            (place.op as u64 - 1, self.key(place), self.value(place))
        })
    }

    fn value(&self, place: &Place) -> Option<&[u8]> {
        let at = place.start + place.key_len;
        place.value_len.map(|len| &self.bytes[at..at + len])
    }

    /// The places of the entries in the order of `sorted`.
    ///
    /// Sorts by the eight bytes behind what all keys have in common, which stand beside the place, so that
    /// few comparisons have to look at keys: memory is the cost here.
    fn order(&self) -> Vec<u32> {
        let entries = &self.entries;
        assert!(entries.len() <= u32::MAX as usize, "the transaction limit is below 2^32 writes");
        let mut order: Vec<u32> = (0..entries.len() as u32).collect();
        if entries.windows(2).all(|pair| self.key(&pair[0]) < self.key(&pair[1])) {
            return order;
        }
        let first = self.key(&entries[0]);
        let common = entries.iter().fold(first.len(), |common, place| {
            let key = self.key(place);
            first[..common].iter().zip(key).take_while(|(a, b)| a == b).count()
        });
        let prefix = |place: &Place| {
            let rest = &self.key(place)[common..];
            let mut bytes = [0; 8];
            let len = rest.len().min(8);
            bytes[..len].copy_from_slice(&rest[..len]);
            u64::from_be_bytes(bytes)
        };
        let mut keyed: Vec<(u64, u32)> =
            entries.iter().zip(0..).map(|(place, at)| (prefix(place), at)).collect();
        keyed.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| {
                let (first, second) = (&entries[a.1 as usize], &entries[b.1 as usize]);
                self.key(first)[common..].cmp(&self.key(second)[common..]).then(b.1.cmp(&a.1))
            })
        });
        for (place, (_, at)) in order.iter_mut().zip(keyed) {
            *place = at;
        }
        order
    }

    /// The resolved effects, range deletes first, keys ascending and each once.
    pub(crate) fn encode(&self) -> RecordBuffer {
        let mut record = RecordBuffer::with_capacity(self.bytes.len() + (self.writes + 1) * EFFECT_BYTES);
        for (_, range) in &self.ranges {
            record.push(Effect::DeleteRange { start: &range.start, end: &range.end });
        }
        let ranges: Vec<RangeTombstone> = self.ranges.iter().map(|(_, range)| range.clone()).collect();
        let fragments = Fragments::build(&ranges);
        let mut previous: Option<&[u8]> = None;
        for at in self.order() {
            let place = &self.entries[at as usize];
            let key = self.key(place);
            if previous == Some(key) {
                continue;
            }
            previous = Some(key);
            let cover = fragments.newest_covering(key, u64::MAX);
            if cover.is_some_and(|op| op > place.op as u64) {
                continue;
            }
            record.push(match self.value(place) {
                Some(value) => Effect::Put { key, value },
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
