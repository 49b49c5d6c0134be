//! Rows of a data block: a slot array, searched in place (decision 0003, `docs/format/sst.md`).
//!
//! ```text
//! header 32 B | common key prefix | prefix u32[n] | offset [n+1] | key length [n] | tag [n] | rows
//! ```
//! The key prefix that all rows share is stored once; a row is `rest of key ++ value`. `prefix[i]` is
//! the first four bytes of the rest as a big-endian number, so that a search touches a few lines of
//! memory; offsets, key lengths and tags are as narrow as the block allows, or absent where constant.
//! A block in memory is an `Arc<[u8]>`, maybe longer than the block, so that reference count, header, common prefix and the first
//! search prefixes lie next to each other.
//!
//! Guarantees: I1: [`Block::check`] checks every offset and length once, so that reads afterwards stay
//! inside the block whatever the bytes are. Rows are never copied: values are slices of the block.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;

use crate::blob::format::POINTER;
use crate::fields::{u16_at, u32_at, u64_at};
use crate::key::{CommitSeq, Kind};
use crate::options::KEY_BYTES_MAX;

const HEADER: usize = 32;
/// Values up to this length are copied out of their block.
const COPIED_VALUE_MAX: usize = 512;

/// Sequence and kind in one number, ascending with the sequence.
fn tag(seq: CommitSeq, kind: Kind) -> u64 {
    seq << 2 | kind as u64
}

fn search_prefix(rest: &[u8]) -> u32 {
    match rest {
        [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
        short => {
            let mut field = [0; 4];
            field[..short.len()].copy_from_slice(short);
            u32::from_be_bytes(field)
        }
    }
}

#[inline]
fn narrow(bytes: &[u8], at: usize, width: u8, i: usize) -> u64 {
    match width {
        0 => 0,
        1 => u64::from(bytes[at + i]),
        2 => u64::from(u16_at(bytes, at + 2 * i)),
        4 => u64::from(u32_at(bytes, at + 4 * i)),
        _ => u64_at(bytes, at + 8 * i),
    }
}

fn width_of(max: u64) -> u8 {
    match max {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

fn put_narrow(out: &mut Vec<u8>, width: u8, value: u64) {
    out.extend_from_slice(&value.to_le_bytes()[..width as usize]);
}

/// A data block over its bytes: `Arc<[u8]>` to keep it, `&[u8]` to look at it.
#[derive(Debug, Clone)]
pub(crate) struct Block<D = Arc<[u8]>> {
    data: D,
    rows: u32,
    common: u32,
    offsets_at: u32,
    key_lens_at: u32,
    tags_at: u32,
    rows_at: u32,
    key_len: u32,
    offset_width: u8,
    key_len_width: u8,
    tag_width: u8,
    base_tag: u64,
}

impl Block<Arc<[u8]>> {
    /// The value of row `i`: a short one is copied, which is cheaper than touching the block's reference
    /// count for long and does not keep the block alive for a few bytes; a long one shares its memory.
    pub(crate) fn value_bytes(&self, i: usize) -> Bytes {
        value_bytes(self, &self.data, i)
    }

    /// Reads the header of bytes that were checked by [`Block::check`].
    #[inline]
    pub(crate) fn open(data: Arc<[u8]>) -> Block<Arc<[u8]>> {
        Block::layout(data)
    }
}

/// Part of a block that is kept alive.
struct Shared {
    data: Arc<[u8]>,
    range: std::ops::Range<usize>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.data[self.range.clone()]
    }
}

/// The value of row `i` of `block`, whose bytes `data` holds; see [`Block::value_bytes`].
pub(crate) fn value_bytes<D: AsRef<[u8]>>(block: &Block<D>, data: &Arc<[u8]>, i: usize) -> Bytes {
    let value = block.value(i);
    if value.len() <= COPIED_VALUE_MAX {
        return Bytes::copy_from_slice(value);
    }
    let end = block.offset(i + 1);
    Bytes::from_owner(Shared { data: Arc::clone(data), range: end - value.len()..end })
}

impl<D: AsRef<[u8]>> Block<D> {
    /// Checks the body of a data block (I1).
    pub(crate) fn check(data: D) -> Result<Block<D>, String> {
        let bytes = data.as_ref();
        if bytes.len() < HEADER {
            return Err(format!("a data block of {} bytes has no header", bytes.len()));
        }
        let n = u64::from(u32_at(bytes, 0));
        let common = u64::from(u32_at(bytes, 4));
        let [offset_width, key_len_width, tag_width, zero] = [bytes[20], bytes[21], bytes[22], bytes[23]];
        let widths_known = matches!(offset_width, 2 | 4)
            && matches!(key_len_width, 0 | 1 | 2 | 4)
            && matches!(tag_width, 0 | 1 | 2 | 4 | 8);
        if n == 0 || zero != 0 || !widths_known || u64_at(bytes, 24) != 0 {
            return Err("the header of the data block is not understood".into());
        }
        let tables =
            (n + 1) * u64::from(offset_width) + n * (4 + u64::from(key_len_width) + u64::from(tag_width));
        if HEADER as u64 + common + tables > bytes.len() as u64 {
            return Err(format!("the tables of {n} rows do not fit {} bytes", bytes.len()));
        }
        let block = Block::layout(data);
        block.check_rows()?;
        Ok(block)
    }

    /// Finds the tables by the header; the bytes were checked.
    #[inline]
    pub(crate) fn layout(data: D) -> Block<D> {
        let bytes = data.as_ref();
        let (rows, common) = (u32_at(bytes, 0), u32_at(bytes, 4));
        let [offset_width, key_len_width, tag_width] = [bytes[20], bytes[21], bytes[22]];
        let offsets_at = HEADER as u32 + common + 4 * rows;
        let key_lens_at = offsets_at + u32::from(offset_width) * (rows + 1);
        let tags_at = key_lens_at + u32::from(key_len_width) * rows;
        let rows_at = tags_at + u32::from(tag_width) * rows;
        let (base_tag, key_len) = (u64_at(bytes, 8), u32_at(bytes, 16));
        Block {
            data,
            rows,
            common,
            offsets_at,
            key_lens_at,
            tags_at,
            rows_at,
            key_len,
            offset_width,
            key_len_width,
            tag_width,
            base_tag,
        }
    }

    /// The block with so much added to the sequence of every row.
    #[inline]
    pub(crate) fn shifted(mut self, seq_shift: CommitSeq) -> Block<D> {
        self.base_tag = self.base_tag.wrapping_add(seq_shift << 2);
        self
    }

    #[inline]
    fn data(&self) -> &[u8] {
        self.data.as_ref()
    }

    /// I1: offsets rise and end with the block, and each key lies inside its row.
    fn check_rows(&self) -> Result<(), String> {
        let common = self.common as usize;
        let mut start = self.offset(0);
        if start != self.rows_at as usize {
            return Err("the first row does not start behind the tables".into());
        }
        for i in 0..self.rows as usize {
            let end = self.offset(i + 1);
            let key_len = self.key_len_of(i);
            let kind = self.tag(i) & 3;
            if end < start
                || end - start < key_len
                || common + key_len > KEY_BYTES_MAX
                || kind == 0
                || kind == Kind::Blob as u64 && end - start - key_len != POINTER
            {
                return Err(format!("row {i} of the data block is not sound"));
            }
            start = end;
        }
        if start != self.data().len() {
            return Err("the last row does not end with the block".into());
        }
        Ok(())
    }

    #[inline]
    fn offset(&self, i: usize) -> usize {
        let at = self.offsets_at as usize;
        self.rows_at as usize
            + if self.offset_width == 2 {
                u16_at(self.data(), at + 2 * i) as usize
            } else {
                u32_at(self.data(), at + 4 * i) as usize
            }
    }

    #[inline]
    fn key_len_of(&self, i: usize) -> usize {
        self.key_len as usize + narrow(self.data(), self.key_lens_at as usize, self.key_len_width, i) as usize
    }

    #[inline]
    fn tag(&self, i: usize) -> u64 {
        self.base_tag.wrapping_add(narrow(self.data(), self.tags_at as usize, self.tag_width, i))
    }

    /// Number of rows, at least 1.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.rows as usize
    }

    /// What every key of the block begins with.
    #[inline]
    pub(crate) fn common(&self) -> &[u8] {
        &self.data()[HEADER..HEADER + self.common as usize]
    }

    /// The key of row `i` behind the common prefix.
    #[inline]
    pub(crate) fn rest(&self, i: usize) -> &[u8] {
        let start = self.offset(i);
        &self.data()[start..start + self.key_len_of(i)]
    }

    /// The value of row `i`.
    #[inline]
    pub(crate) fn value(&self, i: usize) -> &[u8] {
        &self.data()[self.offset(i) + self.key_len_of(i)..self.offset(i + 1)]
    }

    /// The commit sequence of row `i`.
    #[inline]
    pub(crate) fn seq(&self, i: usize) -> CommitSeq {
        self.tag(i) >> 2
    }

    /// What row `i` does.
    #[inline]
    pub(crate) fn kind(&self, i: usize) -> Kind {
        match self.tag(i) & 3 {
            1 => Kind::Put,
            3 => Kind::Blob,
            _ => Kind::Delete,
        }
    }

    /// Whether row `i` has this user key.
    #[inline]
    pub(crate) fn has_key(&self, i: usize, key: &[u8]) -> bool {
        let common = self.common();
        key.len() >= common.len() && &key[common.len()..] == self.rest(i) && key.starts_with(common)
    }

    /// Whether rows `i` and `j` are versions of one key.
    #[inline]
    pub(crate) fn is_same_key(&self, i: usize, j: usize) -> bool {
        let prefixes = HEADER + self.common as usize;
        u32_at(self.data(), prefixes + 4 * i) == u32_at(self.data(), prefixes + 4 * j)
            && self.rest(i) == self.rest(j)
    }

    /// The first row at or after `(key, seq)`: user keys ascend, versions of one descend. `len()`
    /// where there is none.
    pub(crate) fn lower_bound(&self, key: &[u8], seq: CommitSeq) -> usize {
        let common = self.common();
        let n = self.len();
        let head = key.len().min(common.len());
        match key[..head].cmp(&common[..head]) {
            Ordering::Less => return 0,
            Ordering::Greater => return n,
            Ordering::Equal if head < common.len() => return 0,
            Ordering::Equal => {}
        }
        let rest = &key[head..];
        let wanted = search_prefix(rest);
        let start = HEADER + self.common as usize;
        let prefixes = &self.data()[start..start + 4 * n];
        let mut low = first_not_below(prefixes, wanted);
        // Rows that share the four bytes are compared whole.
        let mut high = low;
        let mut step = 1;
        while high < n && u32_at(prefixes, 4 * high) == wanted {
            if self.row_before(high, rest, seq) {
                low = high + 1;
            } else {
                break;
            }
            high += step;
            step *= 2;
        }
        let mut high = high.min(n);
        while low < high {
            let middle = low + (high - low) / 2;
            let below = u32_at(prefixes, 4 * middle) == wanted && self.row_before(middle, rest, seq);
            if below {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Whether row `i` lies before `(rest, seq)`.
    #[inline]
    fn row_before(&self, i: usize, rest: &[u8], seq: CommitSeq) -> bool {
        match self.rest(i).cmp(rest) {
            Ordering::Less => true,
            Ordering::Equal => self.seq(i) > seq,
            Ordering::Greater => false,
        }
    }
}

/// The first of the sorted `u32` numbers that is not below `wanted`: binary search down to a few
/// lines of memory, then a count that the compiler turns into vector code.
#[inline]
fn first_not_below(prefixes: &[u8], wanted: u32) -> usize {
    let (mut start, mut len) = (0, prefixes.len() / 4);
    while len > 128 {
        let half = len / 2;
        if u32_at(prefixes, 4 * (start + half)) < wanted {
            start += half;
            len -= half;
        } else {
            len = half;
        }
    }
    let mut below = 0u32;
    for field in prefixes[4 * start..4 * (start + len)].as_chunks::<4>().0 {
        below += u32::from(u32::from_le_bytes(*field) < wanted);
    }
    start + below as usize
}

#[derive(Debug, Clone, Copy)]
struct Row {
    start: usize,
    key_len: usize,
    end: usize,
    tag: u64,
}

/// Collects rows in order and lays blocks out.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    arena: Vec<u8>,
    rows: Vec<Row>,
}

impl BlockBuilder {
    /// Adds a row behind the last one.
    pub(crate) fn add(&mut self, key: &[u8], seq: CommitSeq, kind: Kind, value: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(value);
        self.rows.push(Row { start, key_len: key.len(), end: self.arena.len(), tag: tag(seq, kind) });
    }

    /// Rows collected.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// About the length of a block of all rows.
    pub(crate) fn estimate(&self) -> usize {
        HEADER + self.arena.len() + 8 * self.rows.len()
    }

    /// [`BlockBuilder::estimate`] for the first `n` rows.
    pub(crate) fn estimate_of(&self, n: usize) -> usize {
        HEADER + self.rows[..n].last().map_or(0, |row| row.end) + 8 * n
    }

    /// The user key of row `i`.
    pub(crate) fn key(&self, i: usize) -> &[u8] {
        let row = self.rows[i];
        &self.arena[row.start..row.start + row.key_len]
    }

    /// Lays out the first `n` rows (at least 1) in `out`.
    pub(crate) fn encode(&self, n: usize, out: &mut Vec<u8>) {
        out.clear();
        let rows = &self.rows[..n];
        let common = common_len(self.key(0), self.key(n - 1));
        let (mut least, mut most) = (usize::MAX, 0);
        let (mut base_tag, mut top_tag) = (u64::MAX, 0);
        let mut data_len = 0;
        for row in rows {
            least = least.min(row.key_len - common);
            most = most.max(row.key_len - common);
            base_tag = base_tag.min(row.tag);
            top_tag = top_tag.max(row.tag);
            data_len += row.end - row.start - common;
        }
        let offset_width = if data_len <= 0xffff { 2 } else { 4 };
        let key_len_width = width_of((most - least) as u64);
        let tag_width = width_of(top_tag - base_tag);
        out.extend_from_slice(&(n as u32).to_le_bytes());
        out.extend_from_slice(&(common as u32).to_le_bytes());
        out.extend_from_slice(&base_tag.to_le_bytes());
        out.extend_from_slice(&(least as u32).to_le_bytes());
        out.extend_from_slice(&[offset_width, key_len_width, tag_width, 0]);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.key(0)[..common]);
        for row in rows {
            let rest = &self.arena[row.start + common..row.start + row.key_len];
            out.extend_from_slice(&search_prefix(rest).to_le_bytes());
        }
        let mut offset = 0;
        for row in rows {
            put_narrow(out, offset_width, offset);
            offset += (row.end - row.start - common) as u64;
        }
        put_narrow(out, offset_width, offset);
        for row in rows {
            put_narrow(out, key_len_width, (row.key_len - common - least) as u64);
        }
        for row in rows {
            put_narrow(out, tag_width, row.tag - base_tag);
        }
        for row in rows {
            out.extend_from_slice(&self.arena[row.start + common..row.end]);
        }
    }

    /// Forgets the first `n` rows.
    pub(crate) fn remove(&mut self, n: usize) {
        if n == self.rows.len() {
            self.rows.clear();
            self.arena.clear();
            return;
        }
        let cut = self.rows[n].start;
        self.arena.drain(..cut);
        self.rows.drain(..n);
        for row in &mut self.rows {
            row.start -= cut;
            row.end -= cut;
        }
    }
}

/// Length of the common prefix of two keys.
pub(crate) fn common_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(rows: &[(&[u8], u64, Kind, &[u8])]) -> Block {
        let mut builder = BlockBuilder::default();
        for (key, seq, kind, value) in rows {
            builder.add(key, *seq, *kind, value);
        }
        let mut out = Vec::new();
        builder.encode(builder.len(), &mut out);
        Block::check(Arc::from(out)).expect("a block just built is sound")
    }

    #[test]
    fn finds_versions_and_gaps() {
        let block = block(&[
            (b"aa", 9, Kind::Put, b"1"),
            (b"aa", 4, Kind::Delete, b""),
            (b"aab", 7, Kind::Put, b"22"),
            (b"aac", 7, Kind::Put, b"333"),
        ]);
        assert_eq!(block.common(), b"aa");
        assert_eq!(block.lower_bound(b"aa", u64::MAX), 0);
        assert_eq!(block.lower_bound(b"aa", 8), 1);
        assert_eq!(block.lower_bound(b"aa", 4), 1);
        assert_eq!(block.lower_bound(b"aa", 3), 2);
        assert_eq!(block.lower_bound(b"a", 3), 0);
        assert_eq!(block.lower_bound(b"aabx", 3), 3);
        assert_eq!(block.lower_bound(b"b", 3), 4);
        assert_eq!((block.seq(1), block.kind(1), block.value(3)), (4, Kind::Delete, &b"333"[..]));
        assert!(block.has_key(2, b"aab") && !block.has_key(2, b"aac") && !block.has_key(0, b"a"));
    }

    #[test]
    fn any_bytes_parse_or_are_refused() {
        let mut builder = BlockBuilder::default();
        for i in 0..20u32 {
            builder.add(&i.to_be_bytes(), u64::from(i), Kind::Put, &[7; 9]);
        }
        let mut good = Vec::new();
        builder.encode(20, &mut good);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                if let Ok(block) = Block::check(&bad[..]) {
                    for i in 0..block.len() {
                        let _ = (block.rest(i), block.value(i), block.seq(i), block.kind(i));
                    }
                    let _ = block.lower_bound(&[0, 0, 0, 9], 3);
                }
            }
        }
        for len in 0..good.len() {
            assert!(Block::check(&good[..len]).is_err());
        }
    }
}
