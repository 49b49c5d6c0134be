//! Access methods: how a secondary index lays its entries into the keyspace, a folder per kind.
//!
//! A kind is found by name in [`KINDS`]; the engine and the planner ask its [`Capabilities`] and never name one.
//! To add a kind: one folder with an [`AccessMethod`], one line in [`KINDS`].
//!
//! An index entry is a key and a value, both without the keyspace prefix, which the engine puts before the key.
//! I1: an entry depends on the row's indexed cells and its row key alone, so that removing a row removes exactly
//! what inserting it put there.
//! I2: from an entry the row key is got back without reading the row.

#![forbid(unsafe_code)]

mod bounds;
mod btree;
mod error;
mod hash;

use arrow_array::Array;
use cairn_storage::KeyRange;
use cairn_types::DataType;
use cairn_types::key::KeyOrder;

pub use bounds::{Bounds, Match, key_range};
pub use error::{Error, Result};

/// One column of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyColumn {
    /// Its type.
    pub ty: DataType,
    /// Its order.
    pub order: KeyOrder,
}

/// What an access method must know of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexShape {
    /// The key's columns, in order.
    pub columns: Vec<KeyColumn>,
    /// Whether two rows may not have the same key.
    pub unique: bool,
    /// Whether NULLs count as the same for that.
    pub nulls_not_distinct: bool,
    /// Columns that entries hold besides the key.
    pub include: Vec<KeyColumn>,
}

/// What an index kind can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Answers `column = value` on leading columns.
    pub equality: bool,
    /// Answers ranges on the column after the equal ones.
    pub range: bool,
    /// A scan comes in key order.
    pub ordered: bool,
    /// Can keep keys unique.
    pub unique: bool,
    /// Entries hold the indexed columns, for scans that need no row.
    pub covering: bool,
}

/// An entry being made: buffers to be used again for the next row.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The key; what stands in it before the call (the keyspace prefix) is kept.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// Whether an entry of the same key by another row is a violation (unique, and no NULL in the key or NULLs count).
    pub exclusive: bool,
}

/// One kind of index.
pub trait AccessMethod: Send + Sync {
    /// Its name in `USING`.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether columns of that type can be indexed.
    fn accepts(&self, ty: &DataType) -> bool;

    /// Makes the entry of one row: appends to `entry.key`, replaces `entry.value` and `entry.exclusive`.
    /// `cells` are the indexed columns and then the included ones, of the shape's types.
    ///
    /// # Errors
    /// [`Error::Type`] where a cell cannot be encoded.
    fn encode_entry(
        &self,
        shape: &IndexShape,
        cells: &[&dyn Array],
        row: usize,
        row_key: &[u8],
        entry: &mut Entry,
    ) -> Result<()>;

    /// The encoded columns and the row key of an entry (key without the keyspace prefix).
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it cannot be one.
    fn split_entry<'a>(
        &self,
        shape: &IndexShape,
        key: &'a [u8],
        value: &'a [u8],
    ) -> Result<(&'a [u8], &'a [u8])>;

    /// The encoded included columns of an entry, in ascending order each.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it cannot be one.
    fn included<'a>(&self, shape: &IndexShape, value: &'a [u8]) -> Result<&'a [u8]>;

    /// The entries that `bounds` holds; `None` where it can hold none.
    ///
    /// # Errors
    /// [`Error::Type`] where a bound is not of its column's type.
    fn range(&self, shape: &IndexShape, bounds: &Bounds) -> Result<Option<KeyRange>>;
}

/// All kinds of index.
pub const KINDS: [&dyn AccessMethod; 2] = [&btree::BTREE, &hash::HASH];

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static dyn AccessMethod> {
    KINDS.into_iter().find(|kind| kind.name() == name)
}
