//! A transaction's own writes: a private memtable with operation numbers in the place of sequences, so
//! that reads see them through the same merge as committed data, and a view of an earlier moment costs no
//! copy.
//!
//! Writes first gather in a batch; only a read that could see one of them (or a range delete) moves them to
//! the memtable, in key order. A bulk load that never reads is sorted once, at commit.
//!
//! Operation n has the sequence `OWN_BASE + n`, above every commit: own writes hide committed ones.
//!
//! Invariants:
//! - I1: an operation number is used once; rolled back operations stay in the table and are skipped.
//! - I3: gathered writes are newer than everything in the memtable, and their numbers follow each other.
//! - I2: `undone` is ascending and its ranges do not touch.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use crate::batch::{WriteBatch, check_entry};
use crate::error::Result;
use crate::key::{CommitSeq, Cursor, Kind, RangeTombstone, SEQ_MAX};
use crate::memtable::{Entry, Hint, Memtable};
use crate::wal::format::EFFECT_BYTES;
use crate::wal::{Effect, RecordBuffer};

/// Sequence of operation 0.
const OWN_BASE: CommitSeq = SEQ_MAX + 1;

/// Charged for an entry beside its key and value.
const ENTRY_BYTES: usize = 32;

/// The writes, owned by the transaction.
pub(crate) struct WriteSet {
    /// Made when a read or a range delete first needs it.
    table: OnceLock<Arc<Memtable>>,
    next_op: u64,
    undone: Arc<[(u64, u64)]>,
    bytes: usize,
    gathered: Mutex<Gathered>,
}

/// Writes that are not in the memtable yet (I3).
#[derive(Default)]
struct Gathered {
    batch: WriteBatch,
    first_op: u64,
    /// Hashes of the keys of the first `hashed` writes, so that most reads need not look.
    keys: HashSet<u64, BuildHasherDefault<SameHash>>,
    hashed: usize,
    hint: Hint,
}

/// The identity: what is hashed is a hash already.
#[derive(Default)]
struct SameHash(u64);

impl Hasher for SameHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Gathered {
    /// Moves the writes to the memtable.
    fn settle(&mut self, table: &OnceLock<Arc<Memtable>>) {
        if self.batch.is_empty() {
            return;
        }
        let table = table.get_or_init(Arc::default);
        for (at, key, value) in self.batch.sorted() {
            let op = OWN_BASE + self.first_op + at;
            match value {
                Some(value) => table.insert(key, op, Kind::Put, value, &mut self.hint),
                None => table.insert(key, op, Kind::Delete, b"", &mut self.hint),
            }
        }
        self.batch.clear();
        self.keys.clear();
        self.hashed = 0;
    }

    /// Whether a write may be one of `key`.
    fn may_have(&mut self, key: &[u8]) -> bool {
        while let Some(key) = self.batch.key_at(self.hashed) {
            self.keys.insert(xxh3_64(key));
            self.hashed += 1;
        }
        !self.keys.is_empty() && self.keys.contains(&xxh3_64(key))
    }
}

/// The writes as they were at a moment; constant while the transaction writes on.
#[derive(Clone)]
pub(crate) struct OwnView {
    table: Option<Arc<Memtable>>,
    bound: u64,
    undone: Arc<[(u64, u64)]>,
}

impl WriteSet {
    pub(crate) fn new() -> WriteSet {
        WriteSet {
            table: OnceLock::new(),
            next_op: 0,
            undone: Arc::default(),
            bytes: 0,
            gathered: Mutex::new(Gathered::default()),
        }
    }

    /// The batch for operation `next_op`, which is taken.
    fn gather(&mut self, key: &[u8], value_len: usize) -> &mut WriteBatch {
        self.bytes += key.len() + value_len + ENTRY_BYTES;
        let gathered = self.gathered.get_mut();
        if gathered.batch.is_empty() {
            gathered.first_op = self.next_op;
        }
        self.next_op += 1;
        &mut gathered.batch
    }

    /// Sets a key.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_entry(key, value)?;
        self.gather(key, value.len()).put(key, value)
    }

    /// Deletes a key.
    pub(crate) fn delete(&mut self, key: &[u8]) -> Result<()> {
        check_entry(key, b"")?;
        self.gather(key, 0).delete(key)
    }

    /// Deletes a range; its ends are keys within the limits.
    pub(crate) fn delete_range(&mut self, start: &[u8], end: &[u8]) {
        self.gathered.get_mut().settle(&self.table);
        self.bytes += start.len() + end.len() + ENTRY_BYTES;
        let table = self.table.get_or_init(Arc::default);
        table.delete_range(start, end, OWN_BASE + self.next_op);
        self.next_op += 1;
    }

    /// Bytes held, rolled back writes included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of the next operation: a savepoint.
    pub(crate) fn position(&self) -> u64 {
        self.next_op
    }

    /// Undoes the operations from `position` on.
    pub(crate) fn rollback_to(&mut self, position: u64) {
        if position >= self.next_op {
            return;
        }
        let mut start = position;
        let mut undone: Vec<(u64, u64)> = Vec::with_capacity(self.undone.len() + 1);
        for &(from, to) in self.undone.iter() {
            if from < position {
                undone.push((from, to.min(position)));
            }
        }
        if let Some(last) = undone.pop_if(|last| last.1 == position) {
            start = last.0;
        }
        undone.push((start, self.next_op));
        self.undone = undone.into();
    }

    /// Whether no live operation is left.
    pub(crate) fn is_empty(&self) -> bool {
        let undone: u64 = self.undone.iter().map(|(from, to)| to - from).sum();
        undone == self.next_op
    }

    /// The writes so far, for any read.
    pub(crate) fn view(&self) -> OwnView {
        self.gathered.lock().settle(&self.table);
        self.settled_view()
    }

    /// The writes so far, for reading `key`.
    pub(crate) fn view_for(&self, key: &[u8]) -> OwnView {
        let mut gathered = self.gathered.lock();
        if gathered.may_have(key) {
            gathered.settle(&self.table);
        }
        drop(gathered);
        self.settled_view()
    }

    fn settled_view(&self) -> OwnView {
        OwnView { table: self.table.get().cloned(), bound: self.next_op, undone: Arc::clone(&self.undone) }
    }

    /// As [`WriteSet::encode`], for who needs the writes no more.
    pub(crate) fn take_record(&mut self) -> RecordBuffer {
        if self.table.get().is_some() || !self.undone.is_empty() {
            return self.encode();
        }
        std::mem::take(&mut self.gathered.get_mut().batch).into_record()
    }

    /// The resolved effects: range deletes first, then for each key its last live write unless a later
    /// range delete took it.
    pub(crate) fn encode(&self) -> RecordBuffer {
        if self.table.get().is_none() && self.undone.is_empty() {
            return self.gathered.lock().batch.record();
        }
        let view = self.view();
        let table = self.table.get_or_init(Arc::default);
        let effect_bytes = table.data_bytes() + (table.len() + 1) * EFFECT_BYTES;
        let mut record = RecordBuffer::with_capacity(effect_bytes);
        for tombstone in view.tombstones() {
            record.push(Effect::DeleteRange { start: &tombstone.start, end: &tombstone.end });
        }
        let mut cursor = table.cursor();
        let mut previous: Option<Vec<u8>> = None;
        cursor.rewind();
        while cursor.valid() {
            let (key, op) = (cursor.key(), cursor.seq());
            let is_done = previous.as_deref().is_some_and(|previous| previous == key);
            if !is_done && view.accepts(op) {
                let covered = table.newest_covering(key, |seq| view.accepts(seq));
                if covered.is_none_or(|tombstone| tombstone < op) {
                    record.push(match cursor.kind() {
                        Kind::Put | Kind::Blob => Effect::Put { key, value: cursor.value() },
                        Kind::Delete => Effect::Delete { key },
                    });
                }
                let previous = previous.get_or_insert_default();
                previous.clear();
                previous.extend_from_slice(key);
            }
            cursor.advance();
        }
        record
    }
}

impl OwnView {
    /// Whether the view contains the operation with this sequence.
    pub(crate) fn accepts(&self, seq: CommitSeq) -> bool {
        let Some(op) = seq.checked_sub(OWN_BASE) else { return false };
        op < self.bound && !self.undone.iter().any(|&(from, to)| (from..to).contains(&op))
    }

    /// Whether there is nothing to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_none()
    }

    /// The last live write of `key` itself; range deletes are told by `covering`.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Entry> {
        let table = self.table.as_ref()?;
        let mut seq = OWN_BASE + self.bound.checked_sub(1)?;
        loop {
            let entry = table.get(key, seq)?;
            if self.accepts(entry.seq) {
                return Some(entry);
            }
            seq = entry.seq - 1;
        }
    }

    /// The last live range delete over `key`.
    pub(crate) fn covering(&self, key: &[u8]) -> Option<CommitSeq> {
        self.table.as_ref()?.newest_covering(key, |seq| self.accepts(seq))
    }

    /// The live range deletes, oldest first.
    pub(crate) fn tombstones(&self) -> Vec<RangeTombstone> {
        let mut all = self.table.as_ref().map(|table| table.tombstones()).unwrap_or_default();
        all.retain(|tombstone| self.accepts(tombstone.seq));
        all.sort_by_key(|tombstone| tombstone.seq);
        all
    }

    /// A cursor over all operations; the caller skips those that the view does not accept.
    pub(crate) fn cursor(&self) -> Option<Box<dyn Cursor>> {
        Some(Box::new(self.table.as_ref()?.cursor()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn effects(set: &WriteSet) -> Vec<String> {
        let record = set.encode();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        record
            .iter()
            .map(|effect| match effect.unwrap() {
                Effect::Put { key, value } => format!("put {} {}", text(key), text(value)),
                Effect::Delete { key } => format!("delete {}", text(key)),
                Effect::DeleteRange { start, end } => format!("range {} {}", text(start), text(end)),
            })
            .collect()
    }

    #[test]
    fn the_last_live_write_of_a_key_counts() {
        let mut set = WriteSet::new();
        let put = |set: &mut WriteSet, key: &[u8], value: &[u8]| set.put(key, value).unwrap();
        put(&mut set, b"a", b"1");
        put(&mut set, b"b", b"2");
        let early = set.view();
        let savepoint = set.position();
        set.delete_range(b"a", b"c");
        put(&mut set, b"b", b"3");
        assert_eq!(effects(&set), ["range a c", "put b 3"]);
        assert_eq!(early.get(b"b").unwrap().value, "2");
        assert_eq!(early.covering(b"b"), None);
        set.rollback_to(savepoint);
        assert_eq!(effects(&set), ["put a 1", "put b 2"]);
        set.delete(b"b").unwrap();
        assert_eq!(effects(&set), ["put a 1", "delete b"]);
        set.rollback_to(0);
        assert!(set.is_empty() && effects(&set).is_empty());
        put(&mut set, b"x", b"9");
        assert_eq!(effects(&set), ["put x 9"]);
        assert_eq!(set.undone.len(), 1);
    }
}
