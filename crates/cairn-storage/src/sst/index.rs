//! The two levels of the block index: `Top` finds the partition, its `Leaf` finds the data block.
//!
//! An entry is a separator (a user key at or behind the last key of what it points to, before the
//! first key of the next) and one handle (leaf: the data block) or two (top: leaf, filter). A search
//! runs over the separators' first eight bytes behind their common prefix, as numbers; whole
//! separators are compared only where these are equal.
//!
//! Guarantees: I1: [`Index::parse`] checks every length and handle once; reads stay inside afterwards.

use std::cmp::Ordering;

use bytes::Bytes;

use super::block::common_len;
use super::format::Handle;
use crate::fields::{u32_at, u64_at};

const HEADER: usize = 16;

fn search_prefix(rest: &[u8]) -> u64 {
    let mut field = [0; 8];
    let len = rest.len().min(8);
    field[..len].copy_from_slice(&rest[..len]);
    u64::from_be_bytes(field)
}

/// A parsed index block.
#[derive(Debug)]
pub(crate) struct Index {
    data: Bytes,
    entries: usize,
    handles: usize,
    handles_at: usize,
    offsets_at: usize,
    common_at: usize,
    keys_at: usize,
}

impl Index {
    /// Checks and takes over the body of an index block with `handles` handles per entry, of a file
    /// of `file_len` bytes.
    pub(crate) fn parse(data: Bytes, handles: usize, file_len: u64) -> Result<Index, String> {
        if data.len() < HEADER {
            return Err(format!("an index block of {} bytes has no header", data.len()));
        }
        let entries = u32_at(&data, 0) as usize;
        let common = u32_at(&data, 4) as usize;
        if u32_at(&data, 8) as usize != handles || u32_at(&data, 12) != 0 {
            return Err("the header of the index block is not understood".into());
        }
        let handles_at = HEADER as u64 + 8 * entries as u64;
        let offsets_at = handles_at + (8 * handles * entries) as u64;
        let common_at = offsets_at + 4 * (entries as u64 + 1);
        let keys_at = common_at + common as u64;
        if keys_at > data.len() as u64 {
            return Err(format!("the tables of {entries} entries do not fit {} bytes", data.len()));
        }
        let index = Index {
            entries,
            handles,
            handles_at: handles_at as usize,
            offsets_at: offsets_at as usize,
            common_at: common_at as usize,
            keys_at: keys_at as usize,
            data,
        };
        let mut start = index.key_offset(0);
        if start != index.keys_at {
            return Err("the first separator does not start behind the tables".into());
        }
        for i in 0..entries {
            let end = index.key_offset(i + 1);
            // Only the second handle (the filter) may be absent.
            let sound = (0..handles).all(|which| {
                let handle = index.handle(i, which);
                handle.is_inside(file_len) || (which > 0 && handle.pages == 0)
            });
            if end < start || !sound {
                return Err(format!("entry {i} of the index block is not sound"));
            }
            start = end;
        }
        if start != index.data.len() {
            return Err("the last separator does not end with the block".into());
        }
        Ok(index)
    }

    #[inline]
    fn key_offset(&self, i: usize) -> usize {
        self.keys_at + u32_at(&self.data, self.offsets_at + 4 * i) as usize
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Number of entries.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Handle `which` of entry `i`.
    #[inline]
    pub(crate) fn handle(&self, i: usize, which: usize) -> Handle {
        let at = self.handles_at + 8 * (self.handles * i + which);
        Handle { page: u32_at(&self.data, at), pages: u32_at(&self.data, at + 4) }
    }

    fn rest(&self, i: usize) -> &[u8] {
        &self.data[self.key_offset(i)..self.key_offset(i + 1)]
    }

    fn common(&self) -> &[u8] {
        &self.data[self.common_at..self.keys_at]
    }

    /// Whether the separator of entry `i` is this key.
    #[inline]
    pub(crate) fn is_separator(&self, i: usize, key: &[u8]) -> bool {
        let common = self.common();
        key.len() >= common.len() && &key[common.len()..] == self.rest(i) && key.starts_with(common)
    }

    /// The separator of entry `i`.
    pub(crate) fn separator(&self, i: usize) -> Vec<u8> {
        [self.common(), self.rest(i)].concat()
    }

    /// The first entry whose separator is at or behind `key`; `len()` where there is none.
    #[inline]
    pub(crate) fn lower_bound(&self, key: &[u8]) -> usize {
        let common = self.common();
        let head = key.len().min(common.len());
        match key[..head].cmp(&common[..head]) {
            Ordering::Less => return 0,
            Ordering::Greater => return self.entries,
            Ordering::Equal if head < common.len() => return 0,
            Ordering::Equal => {}
        }
        let rest = &key[head..];
        let wanted = search_prefix(rest);
        let prefixes = &self.data[HEADER..HEADER + 8 * self.entries];
        let (mut start, mut len) = (0, self.entries);
        while len > 1 {
            let half = len / 2;
            start += if u64_at(prefixes, 8 * (start + half - 1)) < wanted { half } else { 0 };
            len -= half;
        }
        if start < self.entries && u64_at(prefixes, 8 * start) < wanted {
            start += 1;
        }
        if start == self.entries || u64_at(prefixes, 8 * start) != wanted {
            return start;
        }
        // Separators that share the eight bytes are compared whole.
        let mut end = self.entries;
        while start < end {
            let middle = start + (end - start) / 2;
            if u64_at(prefixes, 8 * middle) == wanted && self.rest(middle) < rest {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }
}

/// Collects index entries and lays an index block out.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    keys: Vec<u8>,
    ends: Vec<usize>,
    handles: Vec<Handle>,
}

impl IndexBuilder {
    /// Adds an entry behind the last one.
    pub(crate) fn add(&mut self, separator: &[u8], handles: &[Handle]) {
        self.keys.extend_from_slice(separator);
        self.ends.push(self.keys.len());
        self.handles.extend_from_slice(handles);
    }

    /// About the length of the block.
    pub(crate) fn estimate(&self) -> usize {
        HEADER + 20 * self.ends.len() + self.keys.len()
    }

    fn key(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.keys[start..self.ends[i]]
    }

    /// The last separator; empty where there is none.
    pub(crate) fn last_separator(&self) -> &[u8] {
        if self.ends.is_empty() { b"" } else { self.key(self.ends.len() - 1) }
    }

    /// Lays the block out with `handles` handles per entry, and starts anew.
    pub(crate) fn finish(&mut self, handles: usize) -> Vec<u8> {
        let n = self.ends.len();
        let common = if n == 0 { 0 } else { common_len(self.key(0), self.key(n - 1)) };
        let mut out = Vec::with_capacity(self.estimate() + 8 * handles * n);
        for field in [n, common, handles, 0] {
            out.extend_from_slice(&(field as u32).to_le_bytes());
        }
        for i in 0..n {
            out.extend_from_slice(&search_prefix(&self.key(i)[common..]).to_le_bytes());
        }
        for handle in &self.handles {
            out.extend_from_slice(&handle.page.to_le_bytes());
            out.extend_from_slice(&handle.pages.to_le_bytes());
        }
        let mut offset = 0u32;
        for i in 0..n {
            out.extend_from_slice(&offset.to_le_bytes());
            offset += (self.key(i).len() - common) as u32;
        }
        out.extend_from_slice(&offset.to_le_bytes());
        if n > 0 {
            out.extend_from_slice(&self.key(0)[..common]);
        }
        for i in 0..n {
            out.extend_from_slice(&self.key(i)[common..]);
        }
        *self = IndexBuilder::default();
        out
    }
}

/// A short key at or behind `last` and before `next`.
pub(crate) fn separator(last: &[u8], next: &[u8]) -> Vec<u8> {
    let common = common_len(last, next);
    // `next[..=common]` is behind `last`, as `last` ends there or has a smaller byte; it is before
    // `next` only where `next` goes on.
    if common + 1 < next.len() && common + 1 < last.len() { next[..=common].to_vec() } else { last.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_lie_between() {
        let keys: [&[u8]; 9] =
            [b"", b"\0", b"a", b"a\0", b"ab", b"abcdef", b"abd", b"abdzzz", b"b\xff\xff\xff"];
        for (i, last) in keys.iter().enumerate() {
            assert_eq!(separator(last, last), last.to_vec());
            for next in &keys[i + 1..] {
                let between = separator(last, next);
                assert!(&between[..] >= *last && &between[..] < *next, "{last:?} {next:?} {between:?}");
            }
        }
    }

    #[test]
    fn finds_like_a_linear_search() {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for i in 0..300u32 {
            let mut key = b"table-with-a-long-name".to_vec();
            key.extend_from_slice(&(i / 7 * 3).to_be_bytes());
            key.extend_from_slice(&vec![b'x'; (i % 7) as usize]);
            keys.push(key);
        }
        let mut builder = IndexBuilder::default();
        for (i, key) in keys.iter().enumerate() {
            builder.add(key, &[Handle { page: i as u32 + 1, pages: 1 }]);
        }
        let body = Bytes::from(builder.finish(1));
        let index = Index::parse(body.clone(), 1, 1 << 30).expect("an index just built is sound");
        let mut probes = keys.clone();
        probes.extend(keys.iter().map(|key| [&key[..], b"\0"].concat()));
        probes.extend(keys.iter().map(|key| key[..key.len() - 1].to_vec()));
        probes.extend([b"".to_vec(), b"z".to_vec(), b"table".to_vec()]);
        for probe in &probes {
            let expected = keys.partition_point(|key| key < probe);
            assert_eq!(index.lower_bound(probe), expected, "{probe:?}");
        }
        assert_eq!(index.separator(17), keys[17]);
        for len in 0..body.len() {
            assert!(Index::parse(body.slice(..len), 1, 1 << 30).is_err());
        }
    }
}
