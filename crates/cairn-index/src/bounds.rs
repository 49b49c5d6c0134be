//! From conditions on a key's columns to a range of encoded keys.
//!
//! I1: the range holds exactly the keys whose leading columns match: the key code is self-delimiting, so all keys
//! with the same leading values share their encoding as a prefix, and nothing else does.
//! I2: a range on a column never holds its NULLs, as SQL's comparisons are never true of NULL.

use std::ops::Bound;

use bytes::Bytes;
use cairn_storage::KeyRange;
use cairn_types::{Value, key};

use crate::KeyColumn;
use crate::error::{Error, Result};

/// What a leading key column must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Match {
    /// `column = value`; no row matches when the value is NULL.
    Equal(Value),
    /// `column IS NULL`.
    IsNull,
}

/// The rows wanted, in terms of a key's columns: some leading ones fixed, the next one in a range. Values must be
/// of the columns' types. A range with both ends unbounded on the next column holds its NULLs too.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// What the leading columns must be, in key order.
    pub equal: Vec<Match>,
    /// The least value of the next column, in the value's order (not the key's, where that is DESC).
    pub lower: Bound<Value>,
    /// The greatest value of the next column.
    pub upper: Bound<Value>,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { equal: Vec::new(), lower: Bound::Unbounded, upper: Bound::Unbounded }
    }
}

impl Bounds {
    /// Leading columns equal to these values.
    pub fn equal(values: impl IntoIterator<Item = Value>) -> Bounds {
        Bounds { equal: values.into_iter().map(Match::Equal).collect(), ..Bounds::default() }
    }

    fn is_range(&self) -> bool {
        !matches!((&self.lower, &self.upper), (Bound::Unbounded, Bound::Unbounded))
    }
}

/// The keys that `bounds` holds; `None` where it can hold none. A bound by NULL holds nothing.
///
/// # Errors
/// [`Error::Type`] where a value is not of its column's type, [`Error::TooManyBounds`].
pub fn key_range(columns: &[KeyColumn], bounds: &Bounds) -> Result<Option<KeyRange>> {
    let used = bounds.equal.len() + usize::from(bounds.is_range());
    if used > columns.len() {
        return Err(Error::TooManyBounds { bounds: used, columns: columns.len() });
    }
    let mut prefix = Vec::new();
    for (column, wanted) in columns.iter().zip(&bounds.equal) {
        let value = match wanted {
            Match::Equal(Value::Null) => return Ok(None),
            Match::Equal(value) => value,
            Match::IsNull => &Value::Null,
        };
        key::encode_value(value, &column.ty, column.order, &mut prefix)?;
    }
    if !bounds.is_range() {
        return Ok(Some(if prefix.is_empty() { KeyRange::all() } else { KeyRange::prefix(&prefix) }));
    }
    range_on(&prefix, &columns[bounds.equal.len()], &bounds.lower, &bounds.upper)
}

fn range_on(
    prefix: &[u8],
    column: &KeyColumn,
    lower: &Bound<Value>,
    upper: &Bound<Value>,
) -> Result<Option<KeyRange>> {
    if is_null(lower) || is_null(upper) {
        return Ok(None);
    }
    let encode = |value: &Value| -> Result<Vec<u8>> {
        let mut out = prefix.to_vec();
        key::encode_value(value, &column.ty, column.order, &mut out)?;
        Ok(out)
    };
    let (first, last) = if column.order.descending { (upper, lower) } else { (lower, upper) };
    let null = encode(&Value::Null)?;
    let start = match first {
        Bound::Included(value) => Bound::Included(Bytes::from(encode(value)?)),
        Bound::Excluded(value) => after(&encode(value)?),
        Bound::Unbounded if column.order.nulls_first => after(&null),
        Bound::Unbounded => Bound::Included(Bytes::copy_from_slice(prefix)),
    };
    let end = match last {
        Bound::Included(value) => before_end(&encode(value)?),
        Bound::Excluded(value) => Bound::Excluded(Bytes::from(encode(value)?)),
        Bound::Unbounded if column.order.nulls_first => before_end(prefix),
        Bound::Unbounded => Bound::Excluded(Bytes::from(null)),
    };
    let range = KeyRange::new(start, end);
    Ok((!range.is_empty()).then_some(range))
}

fn is_null(bound: &Bound<Value>) -> bool {
    matches!(bound, Bound::Included(Value::Null) | Bound::Excluded(Value::Null))
}

/// The first key behind all keys that begin with `encoded`.
fn after(encoded: &[u8]) -> Bound<Bytes> {
    match KeyRange::prefix(encoded).end {
        Bound::Excluded(end) => Bound::Included(end),
        // All bytes 0xFF: no encoded value is (tags are below 0xFF), so there is nothing behind.
        other => other,
    }
}

/// An end that still holds all keys that begin with `encoded`.
fn before_end(encoded: &[u8]) -> Bound<Bytes> {
    if encoded.is_empty() { Bound::Unbounded } else { KeyRange::prefix(encoded).end }
}
