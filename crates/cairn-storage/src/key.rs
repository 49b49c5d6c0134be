//! Internal keys and the cursor over them: the order that memtables, SSTs and merges share.
//!
//! An entry is (user key, commit sequence, kind, value). Entries are ordered by user key ascending
//! (plain byte order), then by sequence DESCENDING, then by kind. Sequence and kind are packed in a
//! *trailer*, `!((seq << 8) | kind)`, so that ascending trailers are descending sequences; it is stored
//! big-endian behind the user key. Compare as (user key, trailer), never the concatenation.
//!
//! Invariants:
//! - I1: a (user key, sequence) pair names one entry; a commit holds each key at most once.
//! - I2: an entry is hidden by a range tombstone that covers its key and has a greater sequence. At an
//!   equal sequence the entry survives: a commit's entries are those its own range deletes left.

use bytes::Bytes;

use crate::error::Result;
use crate::sst::block::Block;

/// The number of a commit: 1, 2, 3 and so on, in commit order. 0 is before the first commit.
pub type CommitSeq = u64;

/// Greatest commit sequence: 8 bits of the trailer are the kind, and the upper half of the rest is for
/// operations inside a transaction.
pub(crate) const SEQ_MAX: CommitSeq = (1 << 55) - 1;

/// Greatest sequence that a trailer can hold; a seek with it finds the newest entry of a key.
pub(crate) const SEQ_LAST: CommitSeq = (1 << 56) - 1;

/// What an entry says about its key. The numbers are permanent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The key has this value.
    Put = 1,
    /// The key is deleted.
    Delete = 2,
    /// The key has a value that lies in a blob file; the entry's value is the pointer to it. In SSTs only.
    Blob = 3,
}

impl Kind {
    /// The kind of a number in a memtable or a log; neither has pointers.
    pub(crate) fn from_u8(kind: u8) -> Option<Kind> {
        match kind {
            1 => Some(Kind::Put),
            2 => Some(Kind::Delete),
            _ => None,
        }
    }
}

/// Packs sequence and kind so that ascending trailers are descending sequences.
pub(crate) fn trailer(seq: CommitSeq, kind: Kind) -> u64 {
    debug_assert!(seq <= SEQ_LAST);
    !((seq << 8) | kind as u64)
}

/// The trailer that sorts before every entry of its key with this sequence or a lower one.
pub(crate) fn seek_trailer(seq: CommitSeq) -> u64 {
    !((seq << 8) | 0xff)
}

/// The sequence in a trailer.
pub(crate) fn trailer_seq(trailer: u64) -> CommitSeq {
    !trailer >> 8
}

/// The kind in a trailer; `None` where the byte is none.
pub(crate) fn trailer_kind(trailer: u64) -> Option<Kind> {
    Kind::from_u8((!trailer & 0xff) as u8)
}

/// All keys from `start` up to, without, `end` were deleted by commit `seq` (see I2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RangeTombstone {
    /// First key deleted.
    pub(crate) start: Bytes,
    /// First key behind, never at or before `start`.
    pub(crate) end: Bytes,
    /// The commit that deleted.
    pub(crate) seq: CommitSeq,
}

impl RangeTombstone {
    /// Whether the tombstone's range holds `key`.
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        &self.start[..] <= key && key < &self.end[..]
    }
}

/// A position in an ordered run of entries. A cursor begins nowhere (not valid) and has to be moved by
/// a seek; moving past either end makes it not valid. After an error it is not valid.
///
/// What `key` and `value` return lives until the next move.
pub(crate) trait Cursor: Send {
    /// Moves to the first entry at or behind (`key`, `seq`) in the order of entries: the newest version
    /// of `key` that is not newer than `seq`, else the first entry of the next key.
    fn seek(&mut self, key: &[u8], seq: CommitSeq) -> Result<()>;

    /// Moves to the last entry with a user key before `key`; `None` moves to the very last entry.
    fn seek_last_before(&mut self, key: Option<&[u8]>) -> Result<()>;

    /// Moves one entry on. The cursor must be valid.
    fn next(&mut self) -> Result<()>;

    /// Moves one entry back. The cursor must be valid.
    fn prev(&mut self) -> Result<()>;

    /// Whether the cursor stands on an entry; the accessors may be called only then.
    fn valid(&self) -> bool;

    /// The user key.
    fn key(&self) -> &[u8];

    /// The commit that wrote the entry.
    fn seq(&self) -> CommitSeq;

    /// What the entry says.
    fn kind(&self) -> Kind;

    /// The value; empty for a delete.
    fn value(&self) -> &[u8];

    /// The value as shared bytes, without a copy where the source allows it.
    fn value_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.value())
    }

    /// The entries from here on that lie side by side in memory, for a reader that takes many at once;
    /// `None` from sources that have no such thing. The cursor must be valid.
    fn run(&mut self) -> Option<Run<'_>> {
        None
    }
}

/// Entries of a block from a cursor's position on. The cursor moves with [`Run::stand_on`] only.
pub(crate) struct Run<'c> {
    pub(crate) block: &'c Block,
    /// The cursor's row.
    pub(crate) row: &'c mut usize,
    /// The cursor's key: the block's common prefix and what is behind it.
    pub(crate) key: &'c mut Vec<u8>,
}

impl Run<'_> {
    /// Moves the cursor to a row of the block.
    #[inline]
    pub(crate) fn stand_on(&mut self, row: usize) {
        *self.row = row;
        self.key.truncate(self.block.common().len());
        self.key.extend_from_slice(self.block.rest(row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_key_then_newest_first() {
        let old = (b"a".as_slice(), trailer(1, Kind::Put));
        let new = (b"a".as_slice(), trailer(2, Kind::Delete));
        let longer = (b"a\0".as_slice(), trailer(9, Kind::Put));
        assert!(new < old && old < longer);
        assert!(seek_trailer(2) <= new.1 && seek_trailer(1) > new.1 && seek_trailer(1) <= old.1);
        assert_eq!((trailer_seq(new.1), trailer_kind(new.1)), (2, Some(Kind::Delete)));
        assert_eq!(trailer_seq(seek_trailer(SEQ_LAST)), SEQ_LAST);
    }
}
