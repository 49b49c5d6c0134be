//! What a transaction read or guards: validated at commit.
//!
//! Guarantees: an absent key counts like a present one; a scan counts for the part of its range that it
//! went through, and for the whole range while it is still open.

use std::ops::Bound;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::key::CommitSeq;
use crate::options::Direction;
use crate::range::KeyRange;

/// What a transaction relies on at any isolation level.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) what: Guarded,
    /// The commit as of which it was looked at.
    pub(crate) since: CommitSeq,
}

/// See [`Guard`].
#[derive(Debug)]
pub(crate) enum Guarded {
    /// The key is as it was.
    Key(Bytes),
    /// So is every key of the range, absent ones included.
    Range(KeyRange),
    /// The key has a value, whatever it is.
    Exists(Bytes),
}

/// Keys and ranges that must not have changed since the snapshot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    pub(crate) keys: Vec<Bytes>,
    pub(crate) ranges: Vec<KeyRange>,
}

/// The reads of a serializable transaction, shared with its views and scans.
#[derive(Debug, Default)]
pub(crate) struct ReadSet {
    checks: Mutex<Checks>,
}

impl ReadSet {
    pub(crate) fn add_key(&self, key: &[u8]) {
        let mut checks = self.checks.lock();
        // A statement often asks for one key several times in a row.
        if checks.keys.last().is_none_or(|last| last != key) {
            checks.keys.push(Bytes::copy_from_slice(key));
        }
    }

    /// Notes a range about to be scanned; the number serves `narrow`.
    pub(crate) fn add_range(&self, range: KeyRange) -> usize {
        let mut checks = self.checks.lock();
        checks.ranges.push(range);
        checks.ranges.len() - 1
    }

    /// Narrows a scanned range to what was gone through, up to `last`.
    pub(crate) fn narrow(&self, number: usize, direction: Direction, last: &[u8]) {
        let mut checks = self.checks.lock();
        if let Some(range) = checks.ranges.get_mut(number) {
            let last = Bound::Included(Bytes::copy_from_slice(last));
            match direction {
                Direction::Forward => range.end = last,
                Direction::Reverse => range.start = last,
            }
        }
    }

    /// A range that was opened and never read from.
    pub(crate) fn forget(&self, number: usize) {
        if let Some(range) = self.checks.lock().ranges.get_mut(number) {
            *range = KeyRange::half_open(b"", b"");
        }
    }

    /// What was read so far.
    pub(crate) fn checks(&self) -> Checks {
        self.checks.lock().clone()
    }
}
