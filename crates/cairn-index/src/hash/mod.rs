//! `USING hash`: equality on one column. Entries are laid out as those of the ordered index (`btree`), which finds equal
//! keys as fast; that they are in order is not promised, so that another layout may come under the same name.

use arrow_array::Array;
use cairn_storage::KeyRange;
use cairn_types::DataType;

use crate::bounds::Bounds;
use crate::btree::BTREE;
use crate::error::Result;
use crate::{AccessMethod, Capabilities, Entry, IndexShape};

/// The kind `hash`.
pub(crate) const HASH: Hash = Hash;

/// See the module.
pub(crate) struct Hash;

impl AccessMethod for Hash {
    fn name(&self) -> &'static str {
        "hash"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { equality: true, range: false, ordered: false, unique: false, covering: false }
    }

    fn accepts(&self, ty: &DataType) -> bool {
        BTREE.accepts(ty)
    }

    fn encode_entry(
        &self,
        shape: &IndexShape,
        cells: &[&dyn Array],
        row: usize,
        row_key: &[u8],
        entry: &mut Entry,
    ) -> Result<()> {
        BTREE.encode_entry(shape, cells, row, row_key, entry)
    }

    fn split_entry<'a>(
        &self,
        shape: &IndexShape,
        key: &'a [u8],
        value: &'a [u8],
    ) -> Result<(&'a [u8], &'a [u8])> {
        BTREE.split_entry(shape, key, value)
    }

    fn included<'a>(&self, shape: &IndexShape, value: &'a [u8]) -> Result<&'a [u8]> {
        BTREE.included(shape, value)
    }

    fn range(&self, shape: &IndexShape, bounds: &Bounds) -> Result<Option<KeyRange>> {
        BTREE.range(shape, bounds)
    }
}
