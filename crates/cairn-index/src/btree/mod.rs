//! The ordered index: entries are plain keys, so that the store's order is the index's order.
//!
//! ```text
//! unique, no NULL in the key   key = encoded columns               value = row key
//! unique, with NULL            key = encoded columns ++ row key    value = row key
//! not unique                   key = encoded columns ++ row key    value = length of the row key, u16 LE
//! ```
//! With included columns the value is the length of the row key, u16 LE; then, in a unique index, the row key; then the
//! included columns in key code, ascending, NULLs last.
//!
//! I1: rows that collide in a unique index have the same entry key, so that two transactions that insert them
//! write one key, and the store lets only one commit.
//! I2: NULLs never collide, unless the index says that they are not distinct: a key with a NULL carries the row key.

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
        entry.exclusive = shape.unique && (!has_null || shape.nulls_not_distinct);
        if !entry.exclusive {
            entry.key.extend_from_slice(row_key);
        }
        if !shape.unique || !shape.include.is_empty() {
            let length =
                u16::try_from(row_key.len()).map_err(|_| Error::Corrupt("row key above 65535 bytes"))?;
            entry.value.extend_from_slice(&length.to_le_bytes());
        }
        if shape.unique {
            entry.value.extend_from_slice(row_key);
        }
        for (column, cell) in shape.include.iter().zip(&cells[shape.columns.len()..]) {
            key::encode_cell(*cell, row, &column.ty, column.order, &mut entry.value)?;
        }
        Ok(())
    }

    fn split_entry<'a>(
        &self,
        shape: &IndexShape,
        key: &'a [u8],
        value: &'a [u8],
    ) -> Result<(&'a [u8], &'a [u8])> {
        if shape.unique && shape.include.is_empty() {
            // Keys with a NULL end with the row key; decoding the columns never reaches it.
            return Ok((key, value));
        }
        let (length, rest) = row_key_length(shape, value)?;
        if shape.unique {
            let row_key = rest.get(..length).ok_or(Error::Corrupt("row key longer than the value"))?;
            return Ok((key, row_key));
        }
        let at = key.len().checked_sub(length).ok_or(Error::Corrupt("row key longer than the entry"))?;
        Ok(key.split_at(at))
    }

    fn included<'a>(&self, shape: &IndexShape, value: &'a [u8]) -> Result<&'a [u8]> {
        if shape.include.is_empty() {
            return Ok(&[]);
        }
        let (length, rest) = row_key_length(shape, value)?;
        let own = if shape.unique { length } else { 0 };
        rest.get(own..).ok_or(Error::Corrupt("row key longer than the value"))
    }

    fn range(&self, shape: &IndexShape, bounds: &Bounds) -> Result<Option<KeyRange>> {
        key_range(&shape.columns, bounds)
    }
}

/// The length of the row key, which begins a value, and what follows it.
fn row_key_length<'a>(shape: &IndexShape, value: &'a [u8]) -> Result<(usize, &'a [u8])> {
    let (length, rest) = value.split_first_chunk::<2>().ok_or(Error::Corrupt("value is not 2 bytes"))?;
    if shape.include.is_empty() && !rest.is_empty() {
        return Err(Error::Corrupt("value is not 2 bytes"));
    }
    Ok((usize::from(u16::from_le_bytes(*length)), rest))
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
        let shape =
            IndexShape { columns: vec![column], unique, nulls_not_distinct: false, include: Vec::new() };
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
    fn included_columns_lie_in_the_value_and_nulls_may_collide() {
        let column = KeyColumn { ty: DataType::Integer, order: KeyOrder::ASCENDING };
        let cells = Int32Array::from(vec![Some(1), None]);
        for unique in [true, false] {
            let (columns, include) = (vec![column.clone()], vec![column.clone()]);
            let shape = IndexShape { columns, unique, nulls_not_distinct: true, include };
            for row in [0, 1] {
                let mut entry = Entry::default();
                BTREE.encode_entry(&shape, &[&cells, &cells], row, b"rk", &mut entry).unwrap();
                assert_eq!(entry.exclusive, unique);
                assert_eq!(BTREE.split_entry(&shape, &entry.key, &entry.value).unwrap().1, b"rk");
                let included = BTREE.included(&shape, &entry.value).unwrap();
                let expected: &[u8] = if row == 0 { b"\x80\x80\0\0\x01" } else { b"\xFF" };
                assert_eq!(included, expected);
                let head: &[u8] = if unique { b"\x02\0rk" } else { b"\x02\0" };
                assert_eq!(entry.value, [head, expected].concat());
            }
            assert!(BTREE.split_entry(&shape, b"k", b"\xFF\xFF").is_err());
        }
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
