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
    /// The puts and deletes as they came: already the record to be committed where their keys ascend.
    effects: RecordBuffer,
    entries: Vec<Place>,
    /// The sequence of a tombstone is the number of puts and deletes before it.
    ranges: Vec<RangeTombstone>,
    writes: usize,
    /// The keys do not ascend, or one has several writes.
    is_unordered: bool,
}

/// Where a key and a value are.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    key_len: u32,
    /// `DELETE` for a delete.
    value_len: u32,
}

/// In the place of a value's length; values are shorter.
const DELETE: u32 = u32::MAX;

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
        self.put_prefixed(b"", key, value)
    }

    /// As [`WriteBatch::put`] of the key that is `prefix` and then `key`.
    ///
    /// # Errors
    /// As [`WriteBatch::put`].
    pub fn put_prefixed(&mut self, prefix: &[u8], key: &[u8], value: &[u8]) -> Result<()> {
        let key_len = prefix.len() + key.len();
        check_lengths(key_len, value.len())?;
        let start = self.effects.push_put([prefix, key], value);
        self.note(start, key_len, value.len() as u32);
        Ok(())
    }

    /// Deletes `key`.
    ///
    /// # Errors
    /// [`Error::KeyTooLarge`].
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        check_entry(key, b"")?;
        let start = self.effects.push(Effect::Delete { key });
        self.note(start, key.len(), DELETE);
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
            self.ranges.push(RangeTombstone { start, end, seq: self.entries.len() as u64 });
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
        self.effects.effect_bytes() - EFFECT_BYTES * self.entries.len()
            + self.ranges.iter().map(|range| range.start.len() + range.end.len()).sum::<usize>()
    }

    #[inline]
    fn note(&mut self, start: usize, key_len: usize, value_len: u32) {
        let place = Place { start, key_len: key_len as u32, value_len };
        let ascends = |last: &Place| self.key(last) < self.key(&place);
        self.is_unordered = self.is_unordered || !self.entries.last().is_none_or(ascends);
        self.entries.push(place);
        self.writes += 1;
    }

    fn key(&self, place: &Place) -> &[u8] {
        self.effects.slice(place.start, place.key_len as usize)
    }

    fn value(&self, place: &Place) -> Option<&[u8]> {
        let at = place.start + place.key_len as usize;
        (place.value_len != DELETE).then(|| self.effects.slice(at, place.value_len as usize))
    }

    /// The key of the put or delete with this number.
    pub(crate) fn key_at(&self, number: usize) -> Option<&[u8]> {
        self.entries.get(number).map(|place| self.key(place))
    }

    /// Forgets the writes and keeps the memory for the next ones.
    pub(crate) fn clear(&mut self) {
        self.effects.clear(KEEP_BYTES);
        self.entries.clear();
        self.entries.shrink_to(KEEP_BYTES / size_of::<Place>());
        self.ranges.clear();
        self.writes = 0;
        self.is_unordered = false;
    }

    /// The puts and deletes, by key, the last write of a key first: the number of the write (from 0), the
    /// key, and the value unless it is a delete. Only for a batch without range deletes.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = (u64, &[u8], Option<&[u8]>)> {
        debug_assert!(self.ranges.is_empty());
        self.order().into_iter().map(|at| {
            let place = &self.entries[at as usize];
            (u64::from(at), self.key(place), self.value(place))
        })
    }

    /// The places of the entries in the order of `sorted`.
    ///
    /// Sorts by the eight bytes behind what all keys have in common, which stand beside the place, so that
    /// few comparisons have to look at keys: memory is the cost here.
    fn order(&self) -> Vec<u32> {
        let entries = &self.entries;
        assert!(entries.len() <= u32::MAX as usize, "the transaction limit is below 2^32 writes");
        let mut order: Vec<u32> = (0..entries.len() as u32).collect();
        if !self.is_unordered {
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
    pub(crate) fn into_record(self) -> RecordBuffer {
        if self.is_record() { self.effects } else { self.record() }
    }

    /// Whether the effects as they came are the resolved ones.
    fn is_record(&self) -> bool {
        self.ranges.is_empty() && !self.is_unordered && self.writes > 0
    }

    /// As [`WriteBatch::into_record`].
    pub(crate) fn record(&self) -> RecordBuffer {
        if self.is_record() {
            return self.effects.clone();
        }
        let mut record = RecordBuffer::with_capacity(self.bytes() + (self.writes + 1) * EFFECT_BYTES);
        for range in &self.ranges {
            record.push(Effect::DeleteRange { start: &range.start, end: &range.end });
        }
        let fragments = Fragments::build(&self.ranges);
        let mut previous: Option<&[u8]> = None;
        for at in self.order() {
            let place = &self.entries[at as usize];
            let key = self.key(place);
            if previous == Some(key) {
                continue;
            }
            previous = Some(key);
            let cover = fragments.newest_covering(key, u64::MAX);
            if cover.is_some_and(|before| u64::from(at) < before) {
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
    check_lengths(key.len(), value.len())
}

fn check_lengths(key: usize, value: usize) -> Result<()> {
    if key > KEY_BYTES_MAX {
        return Err(Error::KeyTooLarge { len: key, max: KEY_BYTES_MAX });
    }
    if value > VALUE_BYTES_MAX {
        return Err(Error::ValueTooLarge { len: value, max: VALUE_BYTES_MAX });
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
        let record = batch.record();
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
