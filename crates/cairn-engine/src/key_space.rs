//! Where everything lies in the one ordered keyspace; specified in `docs/format/keyspace.md`.
//!
//! `partition u16 BE = 0 | table u32 BE | index u16 BE | key`. Table 0 is the catalog, table 1 the raw key-value
//! space, 2 to 999 are reserved, the user's tables begin at 1000.

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};
use cairn_storage::KeyRange;
use smallvec::SmallVec;

use crate::catalog::{IndexId, ObjectId};

/// The length of partition, table and index.
pub(crate) const PREFIX_BYTES: usize = 8;
/// Keys of this length and shorter are not allocated.
pub(crate) const KEY_BYTES_INLINE: usize = 128;
/// The table of the catalog.
pub(crate) const CATALOG: ObjectId = 0;
/// The table of the raw key-value space.
pub(crate) const STORE_TABLE: ObjectId = 1;
/// The schema `public`.
pub(crate) const PUBLIC_ID: ObjectId = 2;
/// The first id that the user's objects get.
pub(crate) const FIRST_USER_ID: ObjectId = 16_384;

/// The indexes of table 0.
pub(crate) mod section {
    pub(crate) const META: u16 = 0;
    pub(crate) const SCHEMAS: u16 = 1;
    pub(crate) const TABLES: u16 = 2;
    pub(crate) const VIEWS: u16 = 3;
    pub(crate) const SEQUENCES: u16 = 4;
    pub(crate) const SEQUENCE_STATES: u16 = 5;
    pub(crate) const COUNTERS: u16 = 6;
    pub(crate) const ESTIMATES: u16 = 7;
    pub(crate) const ROUTINES: u16 = 12;
    pub(crate) const TYPES: u16 = 13;
    pub(crate) const STATISTICS: u16 = 14;
    pub(crate) const ROLES: u16 = 15;
    pub(crate) const ACCESS: u16 = 16;
}

/// The prefix of one index of one table.
pub(crate) fn prefix(table: ObjectId, index: IndexId) -> [u8; PREFIX_BYTES] {
    let mut out = [0; PREFIX_BYTES];
    out[2..6].copy_from_slice(&table.to_be_bytes());
    out[6..8].copy_from_slice(&index.to_be_bytes());
    out
}

/// A whole key.
pub(crate) fn key(table: ObjectId, index: IndexId, key: &[u8]) -> SmallVec<[u8; KEY_BYTES_INLINE]> {
    let mut out = SmallVec::with_capacity(PREFIX_BYTES + key.len());
    out.extend_from_slice(&prefix(table, index));
    out.extend_from_slice(key);
    out
}

/// The key of an object of the catalog.
pub(crate) fn object_key(section: u16, id: ObjectId) -> Vec<u8> {
    key(CATALOG, section, &id.to_be_bytes()).into_vec()
}

/// The key of a sequence's position.
pub(crate) fn sequence_key(id: ObjectId, generation: u32) -> Vec<u8> {
    let mut out = object_key(section::SEQUENCE_STATES, id);
    out.extend_from_slice(&generation.to_be_bytes());
    out
}

/// The key of the schema version.
pub(crate) fn schema_version_key() -> Vec<u8> {
    key(CATALOG, section::META, b"schema_version").into_vec()
}

/// All keys of one index of one table, as start (included) and end (excluded).
pub(crate) fn index_span(table: ObjectId, index: IndexId) -> ([u8; PREFIX_BYTES], [u8; PREFIX_BYTES]) {
    let start = prefix(table, index);
    let end = match index.checked_add(1) {
        Some(next) => prefix(table, next),
        None => prefix(table + 1, 0),
    };
    (start, end)
}

/// All keys of one table.
pub(crate) fn table_span(table: ObjectId) -> ([u8; PREFIX_BYTES], [u8; PREFIX_BYTES]) {
    (prefix(table, 0), prefix(table + 1, 0))
}

/// All keys of the table that a row or index entry belongs to.
pub(crate) fn table_of(key: &[u8]) -> Option<KeyRange> {
    let [_, _, a, b, c, d, ..] = *key else { return None };
    let (start, end) = table_span(u32::from_be_bytes([a, b, c, d]));
    Some(KeyRange::half_open(&start, &end))
}

/// A range within one index of one table, as a range of the whole keyspace.
pub(crate) fn absolute(table: ObjectId, index: IndexId, range: &KeyRange) -> KeyRange {
    let (first, behind) = index_span(table, index);
    let whole = |part: &Bytes| {
        let mut out = BytesMut::with_capacity(PREFIX_BYTES + part.len());
        out.put_slice(&first);
        out.put_slice(part);
        out.freeze()
    };
    let start = match &range.start {
        Bound::Included(key) => Bound::Included(whole(key)),
        Bound::Excluded(key) => Bound::Excluded(whole(key)),
        Bound::Unbounded => Bound::Included(Bytes::copy_from_slice(&first)),
    };
    let end = match &range.end {
        Bound::Included(key) => Bound::Included(whole(key)),
        Bound::Excluded(key) => Bound::Excluded(whole(key)),
        Bound::Unbounded => Bound::Excluded(Bytes::copy_from_slice(&behind)),
    };
    KeyRange::new(start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        assert_eq!(key(1000, 2, b"k")[..], [0, 0, 0, 0, 3, 0xE8, 0, 2, b'k']);
        assert_eq!(object_key(section::TABLES, 1000), [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 3, 0xE8]);
        assert_eq!(sequence_key(1, 2), [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2]);
    }

    #[test]
    fn ranges_stay_within_their_index() {
        let all = absolute(7, 3, &KeyRange::all());
        assert!(all.contains(&key(7, 3, b"")) && all.contains(&key(7, 3, &[0xFF; 20])));
        assert!(!all.contains(&key(7, 2, &[0xFF; 20])) && !all.contains(&key(7, 4, b"")));
        assert_eq!(index_span(7, u16::MAX).1, prefix(8, 0));
    }
}
