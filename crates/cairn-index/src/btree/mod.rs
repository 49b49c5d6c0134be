//! The ordered index: entries are plain keys, so that the store's order is the index's order.
//!
//! ```text
//! unique, no NULL in the key   key = encoded columns               value = row key
//! unique, with NULL            key = encoded columns ++ row key    value = row key
//! not unique                   key = encoded columns ++ row key    value = length of the row key, u16 LE
//! ```
//! I1: rows that collide in a unique index have the same entry key, so that two transactions that insert them
//! write one key, and the store lets only one commit.
//! I2: NULLs never collide: a key with a NULL carries the row key.

use arrow_array::Array;
use cairn_storage::KeyRange;
use cairn_types::{DataType, key};

use crate::bounds::{Bounds, key_range};
use crate::error::{Error, Result};
use crate::{AccessMethod, Capabilities, Entry, IndexShape};

/// The kind `btree`.
pub(crate) const BTREE: BTree = BTree;

/// See the module.
pub(crate) struct BTree;

impl AccessMethod for BTree {
    fn name(&self) -> &'static str {
        "btree"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { equality: true, range: true, ordered: true, unique: true, covering: true }
    }

    fn accepts(&self, ty: &DataType) -> bool {
        ty.is_indexable()
    }

    fn encode_entry(
        &self,
        shape: &IndexShape,
        cells: &[&dyn Array],
        row: usize,
        row_key: &[u8],
        entry: &mut Entry,
    ) -> Result<()> {
        let mut has_null = false;
        for (column, cell) in shape.columns.iter().zip(cells) {
            has_null |= cell.is_null(row);
            key::encode_cell(*cell, row, &column.ty, column.order, &mut entry.key)?;
        }
        entry.value.clear();
        entry.exclusive = shape.unique && !has_null;
        if !entry.exclusive {
            entry.key.extend_from_slice(row_key);
        }
        if shape.unique {
            entry.value.extend_from_slice(row_key);
        } else {
            let length =
                u16::try_from(row_key.len()).map_err(|_| Error::Corrupt("row key above 65535 bytes"))?;
            entry.value.extend_from_slice(&length.to_le_bytes());
        }
        Ok(())
    }

    fn split_entry<'a>(
        &self,
        shape: &IndexShape,
        key: &'a [u8],
        value: &'a [u8],
    ) -> Result<(&'a [u8], &'a [u8])> {
        if shape.unique {
            // Keys with a NULL end with the row key; decoding the columns never reaches it.
            return Ok((key, value));
        }
        let length: [u8; 2] = value.try_into().map_err(|_| Error::Corrupt("value is not 2 bytes"))?;
        let at = key.len().checked_sub(usize::from(u16::from_le_bytes(length)));
        let at = at.ok_or(Error::Corrupt("row key longer than the entry"))?;
        Ok(key.split_at(at))
    }

    fn range(&self, shape: &IndexShape, bounds: &Bounds) -> Result<Option<KeyRange>> {
        key_range(&shape.columns, bounds)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow_array::Int32Array;
    use cairn_types::key::KeyOrder;

    use super::*;
    use crate::KeyColumn;

    fn entry(unique: bool, row: usize) -> (IndexShape, Entry) {
        let column = KeyColumn { ty: DataType::Integer, order: KeyOrder::ASCENDING };
        let shape = IndexShape { columns: vec![column], unique };
        let cells = Int32Array::from(vec![Some(1), None]);
        let mut entry = Entry { key: b"P".to_vec(), ..Entry::default() };
        BTREE.encode_entry(&shape, &[&cells], row, b"rk", &mut entry).unwrap();
        (shape, entry)
    }

    #[test]
    fn golden_bytes() {
        let (_, exclusive) = entry(true, 0);
        assert_eq!((&exclusive.key[..], &exclusive.value[..]), (&b"P\x80\x80\0\0\x01"[..], &b"rk"[..]));
        assert!(exclusive.exclusive);
        let (_, null) = entry(true, 1);
        assert_eq!((&null.key[..], &null.value[..]), (&b"P\xFFrk"[..], &b"rk"[..]));
        assert!(!null.exclusive);
        let (_, shared) = entry(false, 0);
        assert_eq!((&shared.key[..], &shared.value[..]), (&b"P\x80\x80\0\0\x01rk"[..], &b"\x02\0"[..]));
    }

    #[test]
    fn entries_come_apart_and_damage_is_an_error() {
        for (unique, row) in [(true, 0), (true, 1), (false, 0), (false, 1)] {
            let (shape, entry) = entry(unique, row);
            let (_, row_key) = BTREE.split_entry(&shape, &entry.key[1..], &entry.value).unwrap();
            assert_eq!(row_key, b"rk");
        }
        let (shape, entry) = entry(false, 0);
        assert!(BTREE.split_entry(&shape, &entry.key, b"\xFF\xFF").is_err());
        assert!(BTREE.split_entry(&shape, &entry.key, b"\x01").is_err());
    }
}
