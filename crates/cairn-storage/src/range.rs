//! Ranges of keys.
//!
//! Guarantees: a [`KeyRange`] is plain data; an empty or inverted range is legal and holds nothing.

use std::ops::Bound;

use bytes::Bytes;

/// A range of keys in byte order.
///
/// ```
/// use cairn_storage::KeyRange;
/// let range = KeyRange::prefix(b"user:");
/// assert!(range.contains(b"user:7") && !range.contains(b"usher"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// Where the range begins.
    pub start: Bound<Bytes>,
    /// Where the range ends.
    pub end: Bound<Bytes>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> KeyRange {
        KeyRange { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// A range from two bounds.
    pub fn new(start: Bound<Bytes>, end: Bound<Bytes>) -> KeyRange {
        KeyRange { start, end }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        let end = match prefix_end(prefix) {
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        KeyRange { start: Bound::Included(Bytes::copy_from_slice(prefix)), end }
    }

    /// The keys from `start` up to, without, `end`.
    pub fn half_open(start: &[u8], end: &[u8]) -> KeyRange {
        KeyRange {
            start: Bound::Included(Bytes::copy_from_slice(start)),
            end: Bound::Excluded(Bytes::copy_from_slice(end)),
        }
    }

    /// One key.
    pub fn key(key: &[u8]) -> KeyRange {
        let key = Bytes::copy_from_slice(key);
        KeyRange { start: Bound::Included(key.clone()), end: Bound::Included(key) }
    }

    /// Whether the range holds `key`.
    pub fn contains(&self, key: &[u8]) -> bool {
        !self.is_before_start(key) && !self.is_past_end(key)
    }

    /// Whether `key` lies before the range.
    pub fn is_before_start(&self, key: &[u8]) -> bool {
        match &self.start {
            Bound::Included(start) => key < &start[..],
            Bound::Excluded(start) => key <= &start[..],
            Bound::Unbounded => false,
        }
    }

    /// Whether `key` lies behind the range.
    pub fn is_past_end(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Included(end) => key > &end[..],
            Bound::Excluded(end) => key >= &end[..],
            Bound::Unbounded => false,
        }
    }

    /// Whether no key at all can be in the range.
    pub fn is_empty(&self) -> bool {
        self.end_key().is_some_and(|end| self.start_key() >= end)
    }

    /// The first key that could be in the range, as an included bound: the key after an excluded
    /// bound is that key followed by a zero byte.
    pub fn start_key(&self) -> Bytes {
        match &self.start {
            Bound::Included(start) => start.clone(),
            Bound::Excluded(start) => successor(start),
            Bound::Unbounded => Bytes::new(),
        }
    }

    /// The first key behind the range as an excluded bound; `None` where the range has no end.
    pub fn end_key(&self) -> Option<Bytes> {
        match &self.end {
            Bound::Included(end) => Some(successor(end)),
            Bound::Excluded(end) => Some(end.clone()),
            Bound::Unbounded => None,
        }
    }

    /// Whether the range has a key in common with `[start, end)`, where `None` is no end.
    pub fn overlaps(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        if end.is_some_and(|end| start >= end) {
            return false;
        }
        let before = end.is_some_and(|end| match &self.start {
            Bound::Included(own) => end <= &own[..],
            // The first key of the range is `own` followed by a zero byte.
            Bound::Excluded(own) => end <= &successor(own)[..],
            Bound::Unbounded => false,
        });
        !before && !self.is_past_end(start) && !self.is_empty()
    }
}

/// The key that follows `key` at once.
pub(crate) fn successor(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    Bytes::from(next)
}

/// The first key behind all keys with this prefix; `None` where there is none (only 0xff bytes).
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(Bytes::from(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_of_ff_has_no_end() {
        assert_eq!(KeyRange::prefix(&[0xff, 0xff]).end, Bound::Unbounded);
        assert_eq!(KeyRange::prefix(&[1, 0xff]).end, Bound::Excluded(Bytes::from_static(&[2])));
        assert_eq!(KeyRange::prefix(b""), KeyRange::new(Bound::Included(Bytes::new()), Bound::Unbounded));
    }

    #[test]
    fn bounds_and_overlap() {
        let range = KeyRange::new(
            Bound::Excluded(Bytes::from_static(b"b")),
            Bound::Included(Bytes::from_static(b"d")),
        );
        assert!(!range.contains(b"b") && range.contains(b"b\0") && range.contains(b"d"));
        assert!(!range.contains(b"d\0"));
        assert!(!range.overlaps(b"a", Some(b"b")));
        assert!(!range.overlaps(b"a", Some(b"b\0")));
        assert!(range.overlaps(b"a", Some(b"b\0\0")));
        assert!(range.overlaps(b"d", None) && !range.overlaps(b"d\0", None));
        assert!(KeyRange::half_open(b"b", b"b").is_empty());
        assert!(KeyRange::half_open(b"c", b"b").is_empty());
        assert!(!KeyRange::key(b"b").is_empty());
    }
}
