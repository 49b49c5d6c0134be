//! The memtable: the newest entries, in memory, ordered, readable while they are written.
//!
//! Point lookups walk the list, or where many are made find the key in a hash directory beside it, which they make in
//! passing.
//!
//! Guarantees: inserts may come from several threads, reads take no lock (but a shared one where there
//! are range tombstones). What is in a memtable with a sequence above the published one is invisible,
//! because readers bring their own sequence.
//!
//! The same structure holds a transaction's own writes (`write_set`), with operation numbers in the place
//! of sequences.

mod arena;
mod directory;
mod skiplist;
mod tombstones;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::error::Result;
use crate::estimate::RangeSize;
use crate::key::{
    CommitSeq, Cursor, Kind, RangeTombstone, SEQ_LAST, seek_trailer, trailer, trailer_kind, trailer_seq,
};
use crate::range::KeyRange;

pub(crate) use skiplist::{Hint, TOGETHER};
use skiplist::{Skiplist, Walker};
use tombstones::Tombstones;

/// Values up to this size are copied out by a read; longer ones are shared, which keeps the memtable.
const COPY_BYTES_MAX: usize = 4096;

const KIND_KNOWN: &str = "I4: a memtable's trailers are made by `trailer`";

/// A version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) seq: CommitSeq,
    pub(crate) kind: Kind,
    pub(crate) value: Bytes,
}

/// A version to be added.
pub(crate) struct Write<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) seq: CommitSeq,
    pub(crate) kind: Kind,
    pub(crate) value: &'a [u8],
}

/// Where one writer inserted last ([`Memtable::insert_together`]).
#[derive(Default)]
pub(crate) struct Hints {
    hints: [Hint; TOGETHER],
    last: usize,
}

/// The table.
pub(crate) struct Memtable {
    list: Arc<Skiplist>,
    tombstones: Tombstones,
    seq_max: AtomicU64,
    first_segment: AtomicU64,
}

impl Default for Memtable {
    fn default() -> Memtable {
        Memtable::new()
    }
}

impl Memtable {
    pub(crate) fn new() -> Memtable {
        Memtable::over(Skiplist::new())
    }

    /// The memtable to follow a full one: with a directory of its keys if that was asked for many.
    pub(crate) fn after(full: &Memtable) -> Memtable {
        let list = Skiplist::new();
        if full.list.is_asked() {
            list.set_directory(full.list.len());
        }
        Memtable::over(list)
    }

    fn over(list: Skiplist) -> Memtable {
        Memtable {
            list: Arc::new(list),
            tombstones: Tombstones::new(),
            seq_max: AtomicU64::new(0),
            first_segment: AtomicU64::new(0),
        }
    }

    /// Adds a version. The pair (key, seq) must be new.
    pub(crate) fn insert(&self, key: &[u8], seq: CommitSeq, kind: Kind, value: &[u8], hint: &mut Hint) {
        self.list.insert(key, trailer(seq, kind), value, hint);
        self.seq_max.fetch_max(seq, Ordering::Release);
    }

    /// Adds versions; of each [`TOGETHER`] those far from each other cost little more than one.
    pub(crate) fn insert_together(&self, writes: &[Write<'_>], hints: &mut Hints) {
        for writes in writes.chunks(TOGETHER) {
            self.insert_chunk(writes, hints);
        }
    }

    fn insert_chunk(&self, writes: &[Write<'_>], hints: &mut Hints) {
        let position = |write: &Write<'_>| trailer(write.seq, write.kind);
        let near =
            |write: &Write<'_>| self.list.is_near(write.key, position(write), &hints.hints[hints.last]);
        if writes.len() < 2 || writes.first().is_some_and(near) {
            let hint = &mut hints.hints[hints.last];
            writes.iter().for_each(|write| self.insert(write.key, write.seq, write.kind, write.value, hint));
            return;
        }
        self.list.search_together(writes.iter().map(|write| (write.key, position(write))), &mut hints.hints);
        for (write, hint) in writes.iter().zip(&mut hints.hints) {
            self.insert(write.key, write.seq, write.kind, write.value, hint);
        }
        hints.last = writes.len() - 1;
    }

    /// Adds a range tombstone; an empty range is ignored.
    pub(crate) fn delete_range(&self, start: &[u8], end: &[u8], seq: CommitSeq) {
        if start < end {
            self.tombstones.add(RangeTombstone {
                start: Bytes::copy_from_slice(start),
                end: Bytes::copy_from_slice(end),
                seq,
            });
        }
        self.seq_max.fetch_max(seq, Ordering::Release);
    }

    /// The newest version of `key` that is not newer than `seq`; range tombstones are not consulted.
    pub(crate) fn get(&self, key: &[u8], seq: CommitSeq) -> Option<Entry> {
        let found = self.list.find(key, seek_trailer(seq))?;
        let kind = trailer_kind(found.trailer).expect(KIND_KNOWN);
        let value = if found.value.len() <= COPY_BYTES_MAX {
            Bytes::copy_from_slice(found.value)
        } else {
            let mut walker = Walker::new(Arc::clone(&self.list));
            walker.seek(key, found.trailer);
            Bytes::from_owner(walker.value_owner())
        };
        Some(Entry { seq: trailer_seq(found.trailer), kind, value })
    }

    /// The newest range tombstone over `key` that `accept` takes.
    pub(crate) fn newest_covering(
        &self,
        key: &[u8],
        accept: impl Fn(CommitSeq) -> bool,
    ) -> Option<CommitSeq> {
        self.tombstones.newest_covering(key, accept)
    }

    /// The newest change of `key`, by an entry or a range tombstone.
    pub(crate) fn newest_change(&self, key: &[u8]) -> Option<CommitSeq> {
        let entry = self.list.find(key, seek_trailer(SEQ_LAST));
        let entry = entry.map(|found| trailer_seq(found.trailer));
        entry.max(self.newest_covering(key, |_| true))
    }

    /// Whether a key of `range` was changed by a commit newer than `seq`.
    pub(crate) fn changed_since(&self, range: &KeyRange, seq: CommitSeq) -> bool {
        if self.seq_max() <= seq || range.is_empty() {
            return false;
        }
        if self.tombstones.any_overlapping(range, |tombstone| tombstone > seq) {
            return true;
        }
        let mut walker = Walker::new(Arc::clone(&self.list));
        walker.seek(&range.start_key(), 0);
        while walker.valid() && !range.is_past_end(walker.key()) {
            if trailer_seq(walker.trailer()) > seq {
                return true;
            }
            walker.next();
        }
        false
    }

    /// All range tombstones.
    pub(crate) fn tombstones(&self) -> Vec<RangeTombstone> {
        self.tombstones.all()
    }

    /// Whether there are range tombstones.
    pub(crate) fn has_tombstones(&self) -> bool {
        !self.tombstones.is_empty()
    }

    /// Whether nothing is in the table.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.len() == 0 && self.tombstones.is_empty()
    }

    /// Number of entries, range tombstones apart.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Memory held, roughly.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.list.allocated() + self.tombstones.memory_bytes()
    }

    /// Bytes of keys and values.
    pub(crate) fn data_bytes(&self) -> usize {
        self.list.data_bytes()
    }

    /// The newest sequence in the table.
    pub(crate) fn seq_max(&self) -> CommitSeq {
        self.seq_max.load(Ordering::Acquire)
    }

    /// The log segment with the table's first record; 0 as long as there is none.
    pub(crate) fn first_segment(&self) -> u64 {
        self.first_segment.load(Ordering::Acquire)
    }

    /// Notes the log segment of a record about to be applied; only the first counts.
    pub(crate) fn note_segment(&self, segment: u64) {
        // Only a failure (already noted) is ignored.
        let _ = self.first_segment.compare_exchange(0, segment, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Some keys of a range in order, and what each stands for: from the list's upper levels, so that a few
    /// hundred steps do whatever the size.
    pub(crate) fn pieces(&self, range: &KeyRange) -> (Vec<Bytes>, RangeSize) {
        if range.is_empty() || self.list.len() == 0 {
            return (Vec::new(), RangeSize::default());
        }
        let (keys, entries) = self.list.sample(&range.start_key(), |key| range.is_past_end(key));
        let bytes = entries * (self.data_bytes() / self.len().max(1)) as u64;
        (keys.into_iter().map(Bytes::copy_from_slice).collect(), RangeSize { bytes, entries })
    }

    /// A cursor over the entries; it sees entries inserted meanwhile.
    pub(crate) fn cursor(&self) -> MemCursor {
        MemCursor { walker: Walker::new(Arc::clone(&self.list)) }
    }
}

/// A cursor over a memtable, which it keeps alive.
pub(crate) struct MemCursor {
    walker: Walker,
}

impl MemCursor {
    /// To the first entry.
    pub(crate) fn rewind(&mut self) {
        self.walker.seek_first();
    }

    /// As `next`, which cannot fail here.
    pub(crate) fn advance(&mut self) {
        self.walker.next();
    }
}

impl Cursor for MemCursor {
    fn seek(&mut self, key: &[u8], seq: CommitSeq) -> Result<()> {
        self.walker.seek(key, seek_trailer(seq));
        Ok(())
    }

    fn seek_last_before(&mut self, key: Option<&[u8]>) -> Result<()> {
        self.walker.seek_last_before(key);
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.walker.next();
        Ok(())
    }

    fn prev(&mut self) -> Result<()> {
        self.walker.prev();
        Ok(())
    }

    fn valid(&self) -> bool {
        self.walker.valid()
    }

    fn key(&self) -> &[u8] {
        self.walker.key()
    }

    fn seq(&self) -> CommitSeq {
        trailer_seq(self.walker.trailer())
    }

    fn kind(&self) -> Kind {
        trailer_kind(self.walker.trailer()).expect(KIND_KNOWN)
    }

    fn value(&self) -> &[u8] {
        self.walker.value()
    }

    fn value_bytes(&self) -> Bytes {
        let value = self.walker.value();
        if value.len() <= COPY_BYTES_MAX {
            Bytes::copy_from_slice(value)
        } else {
            Bytes::from_owner(self.walker.value_owner())
        }
    }
}

#[cfg(test)]
mod tests;
