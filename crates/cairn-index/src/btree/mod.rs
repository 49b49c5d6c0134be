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
