//! Range tombstones cut into pieces that do not overlap, so that a lookup is one binary search.
//!
//! Guarantees: [`Fragments`] is immutable; a lookup costs O(log n + versions of one piece); building is
//! O(n log n) for tombstones that overlap little (each piece lists every tombstone over it).

use bytes::Bytes;

use crate::key::{CommitSeq, RangeTombstone};

/// A piece of the key space with the commits that deleted it, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) start: Bytes,
    pub(crate) end: Bytes,
    pub(crate) seqs: Vec<CommitSeq>,
}

/// Range tombstones as pieces in key order (I1: pieces do not overlap and are not empty).
#[derive(Debug, Clone, Default)]
pub(crate) struct Fragments {
    pieces: Vec<Fragment>,
}

impl Fragments {
    /// Cuts the tombstones at each other's borders.
    pub(crate) fn build(tombstones: &[RangeTombstone]) -> Fragments {
        let mut sorted: Vec<&RangeTombstone> = tombstones.iter().filter(|t| t.start < t.end).collect();
        sorted.sort_by(|a, b| a.start.cmp(&b.start));
        let mut borders: Vec<&Bytes> = sorted.iter().flat_map(|t| [&t.start, &t.end]).collect();
        borders.sort();
        borders.dedup();
        let mut pieces = Vec::new();
        let mut open: Vec<&RangeTombstone> = Vec::new();
        let mut upcoming = sorted.into_iter().peekable();
        for pair in borders.windows(2) {
            let (start, end) = (pair[0], pair[1]);
            open.retain(|t| t.end > *start);
            while let Some(tombstone) = upcoming.next_if(|t| t.start == *start) {
                open.push(tombstone);
            }
            if open.is_empty() {
                continue;
            }
            let mut seqs: Vec<CommitSeq> = open.iter().map(|t| t.seq).collect();
            seqs.sort_unstable_by(|a, b| b.cmp(a));
            seqs.dedup();
            pieces.push(Fragment { start: start.clone(), end: end.clone(), seqs });
        }
        Fragments { pieces }
    }

    /// Whether there is no tombstone at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// About the bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let piece = |one: &Fragment| {
            size_of::<Fragment>() + one.start.len() + one.end.len() + size_of_val(&one.seqs[..])
        };
        self.pieces.iter().map(piece).sum()
    }

    /// The pieces in key order.
    pub(crate) fn pieces(&self) -> &[Fragment] {
        &self.pieces
    }

    /// The number of the first piece that ends behind `key`: the one that covers it, if any does.
    pub(crate) fn position(&self, key: &[u8]) -> usize {
        self.pieces.partition_point(|piece| &piece.end[..] <= key)
    }

    /// The newest commit, not newer than `seq_max`, that deleted a range with `key` in it.
    pub(crate) fn newest_covering(&self, key: &[u8], seq_max: CommitSeq) -> Option<CommitSeq> {
        self.newest_covering_where(key, |seq| seq <= seq_max)
    }

    /// The newest commit that `accept` takes and that deleted a range with `key` in it.
    pub(crate) fn newest_covering_where(
        &self,
        key: &[u8],
        accept: impl Fn(CommitSeq) -> bool,
    ) -> Option<CommitSeq> {
        let piece = self.pieces.get(self.position(key))?;
        if key < &piece.start[..] {
            return None;
        }
        piece.seqs.iter().copied().find(|&seq| accept(seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tombstone(start: &str, end: &str, seq: CommitSeq) -> RangeTombstone {
        RangeTombstone {
            start: Bytes::copy_from_slice(start.as_bytes()),
            end: Bytes::copy_from_slice(end.as_bytes()),
            seq,
        }
    }

    #[test]
    fn agrees_with_a_linear_search() {
        let all = [
            tombstone("b", "f", 5),
            tombstone("d", "k", 3),
            tombstone("d", "e", 9),
            tombstone("x", "z", 1),
            tombstone("m", "m", 8),
        ];
        let fragments = Fragments::build(&all);
        for key in "abcdefghijklmnopqrstuvwxyz".split("").filter(|k| !k.is_empty()) {
            for max in 0..12 {
                let expected =
                    all.iter().filter(|t| t.covers(key.as_bytes()) && t.seq <= max).map(|t| t.seq).max();
                assert_eq!(fragments.newest_covering(key.as_bytes(), max), expected, "{key} {max}");
            }
        }
        assert!(Fragments::build(&[]).is_empty());
    }
}
