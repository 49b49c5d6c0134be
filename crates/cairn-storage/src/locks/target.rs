//! What can be locked.
//!
//! I1: two targets that are not equal have different ids, but for a collision of 126 hashed bits; that costs a needless
//! wait, no more: what a transaction may commit is decided by validation, not by locks.

use std::fmt;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use crate::range::KeyRange;

/// So many bytes of a key are kept for listings and messages.
pub(crate) const SHOWN_BYTES: usize = 96;

/// What is locked, for listings and messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LockTarget {
    /// A key; of a long one its first 96 bytes.
    Key(Bytes),
    /// All keys of a range.
    Range(KeyRange),
    /// An object of the layer above, such as a table.
    Object(u64),
    /// A number that only those who use it give a meaning.
    Advisory(AdvisoryKey),
}

/// The number of an advisory lock: one of 64 bits, or two of 32; the two kinds never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AdvisoryKey {
    /// One number.
    One(i64),
    /// Two.
    Two(i32, i32),
}

/// A target without owning it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name<'a> {
    Key(&'a [u8]),
    /// A range, by the number that it has as long as it is locked.
    Range {
        number: u64,
        range: &'a KeyRange,
    },
    Object(u64),
    Advisory(AdvisoryKey),
}

/// Names a target (I1): its kind in the two highest bits, then a hash or the number itself.
pub(crate) type TargetId = u128;

impl Name<'_> {
    pub(crate) fn id(self) -> TargetId {
        match self {
            Name::Key(key) => xxh3_128(key) >> 2,
            Name::Object(number) => 1 << 126 | u128::from(number),
            Name::Range { number, .. } => 1 << 126 | 1 << 125 | u128::from(number),
            Name::Advisory(AdvisoryKey::One(number)) => 2 << 126 | u128::from(number as u64),
            Name::Advisory(AdvisoryKey::Two(a, b)) => {
                3 << 126 | u128::from(a as u32) << 32 | u128::from(b as u32)
            }
        }
    }

    pub(crate) fn to_target(self) -> LockTarget {
        match self {
            Name::Key(key) => LockTarget::Key(Bytes::copy_from_slice(&key[..key.len().min(SHOWN_BYTES)])),
            Name::Range { range, .. } => LockTarget::Range(range.clone()),
            Name::Object(number) => LockTarget::Object(number),
            Name::Advisory(key) => LockTarget::Advisory(key),
        }
    }
}

impl LockTarget {
    /// Bytes that it holds on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            LockTarget::Key(key) => key.len(),
            LockTarget::Range(range) => range.start_key().len() + range.end_key().map_or(0, |end| end.len()),
            LockTarget::Object(_) | LockTarget::Advisory(_) => 0,
        }
    }
}

impl fmt::Display for LockTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockTarget::Key(key) => write!(f, "key \"{}\"", key.escape_ascii()),
            LockTarget::Range(range) => {
                write!(f, "keys from \"{}\"", range.start_key().escape_ascii())?;
                range.end_key().map_or(Ok(()), |end| write!(f, " to \"{}\"", end.escape_ascii()))
            }
            LockTarget::Object(number) => write!(f, "object {number}"),
            LockTarget::Advisory(AdvisoryKey::One(number)) => write!(f, "advisory lock [{number}]"),
            LockTarget::Advisory(AdvisoryKey::Two(a, b)) => write!(f, "advisory lock [{a},{b}]"),
        }
    }
}
