//! From conditions to ways of reaching rows, and their division for parallel scans.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Bound;

use bytes::Bytes;
use cairn_index::{Bounds, KeyColumn, key_range};
use cairn_storage::{Direction, KeyRange};
use cairn_types::key::KeyOrder;

use super::request::Access;
use crate::catalog::{IndexId, Table};
use crate::error::{Error, Result};
use crate::key_space::{self, PREFIX_BYTES};
use crate::view::ReadView;

/// Rows by the primary key: those that one of `bounds` holds. A table without primary key has no such access.
///
/// # Errors
/// [`Error::InvalidArgument`] for more bounds than columns, [`Error::Data`] for a value that is not of its column's
/// type.
pub fn primary_access(table: &Table, bounds: &[Bounds]) -> Result<Access> {
    let columns: Vec<KeyColumn> = table
        .codec()?
        .key
        .iter()
        .map(|(_, ty)| KeyColumn { ty: ty.clone(), order: KeyOrder::ASCENDING })
        .collect();
    let range = |bounds: &Bounds| -> Result<Option<KeyRange>> {
        let range = key_range(&columns, bounds)?;
        // A whole key leads to one row: it is read as such.
        Ok(match (&range, bounds.equal.len() == columns.len()) {
            (Some(KeyRange { start: Bound::Included(key), .. }), true) => Some(KeyRange::key(key)),
            _ => range,
        })
    };
    let ranges = bounds.iter().filter_map(|bounds| range(bounds).transpose());
    Ok(Access::Primary(normalise(ranges.collect::<Result<Vec<_>>>()?)))
}

/// Rows by a secondary index: those that one of `bounds` holds.
///
/// # Errors
/// As [`primary_access`].
pub fn index_access(table: &Table, index: IndexId, bounds: &[Bounds]) -> Result<Access> {
    let codec = table.codec()?.index(index)?;
    let ranges = bounds.iter().filter_map(|b| codec.method.range(&codec.shape, b).transpose());
    Ok(Access::Index { index, ranges: normalise(ranges.collect::<Result<Vec<_>, _>>()?) })
}

/// In order and without overlap.
fn normalise(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(KeyRange::start_key);
    let mut out: Vec<KeyRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let Some(last) = out.last_mut() else {
            out.push(range);
            continue;
        };
        match last.end_key() {
            None => break,
            Some(end) if range.start_key() > end => out.push(range),
            Some(end) => {
                if range.end_key().is_none_or(|other| other > end) {
                    last.end = range.end;
                }
            }
        }
    }
    out
}

impl Access {
    /// Which index of the keyspace, and which ranges of it, are read.
    pub(crate) fn parts(&self) -> (IndexId, Vec<KeyRange>) {
        match self {
            Access::Full => (0, vec![KeyRange::all()]),
            Access::Primary(ranges) => (0, ranges.clone()),
            Access::Index { index, ranges } => (*index, ranges.clone()),
            Access::Rows(keys) => (0, keys.iter().map(|key| KeyRange::key(key)).collect()),
        }
    }

    /// The row keys, where it is nothing but single rows.
    pub(super) fn single_rows(&self) -> Option<VecDeque<Bytes>> {
        let single = |range: &KeyRange| match (&range.start, &range.end) {
            (Bound::Included(start), Bound::Included(end)) if start == end => Some(start.clone()),
            _ => None,
        };
        match self {
            Access::Primary(ranges) => ranges.iter().map(single).collect(),
            Access::Rows(keys) => Some(keys.iter().cloned().collect()),
            _ => None,
        }
    }

    /// The same way of access over other ranges.
    fn with_ranges(&self, ranges: Vec<KeyRange>) -> Access {
        match self {
            Access::Full | Access::Primary(_) | Access::Rows(_) => Access::Primary(ranges),
            Access::Index { index, .. } => Access::Index { index: *index, ranges },
        }
    }

    /// Whether it can reach no row at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Access::Full => false,
            Access::Primary(ranges) | Access::Index { ranges, .. } => ranges.is_empty(),
            Access::Rows(keys) => keys.is_empty(),
        }
    }
}

/// Divides an access into at most `parts` of about equal size, in key order, for scans side by side. A small table
/// stays whole.
pub fn split(view: &ReadView, table: &Table, access: &Access, parts: usize) -> Vec<Access> {
    let (index, ranges) = access.parts();
    if parts <= 1 || ranges.is_empty() {
        return vec![access.clone()];
    }
    if ranges.len() > 1 {
        let size = ranges.len().div_ceil(parts);
        return ranges.chunks(size).map(|chunk| access.with_ranges(chunk.to_vec())).collect();
    }
    let range = &ranges[0];
    let whole = key_space::absolute(table.id, index, range);
    let mut points: Vec<Bytes> = view.store().split_points(&whole, parts);
    points.retain(|point| point.len() > PREFIX_BYTES && whole.contains(point));
    points.sort();
    points.dedup();
    if points.is_empty() {
        return vec![access.clone()];
    }
    let mut out = Vec::with_capacity(points.len() + 1);
    let mut start = range.start.clone();
    for point in points {
        let point = point.slice(PREFIX_BYTES..);
        out.push(access.with_ranges(vec![KeyRange::new(start, Bound::Excluded(point.clone()))]));
        start = Bound::Included(point);
    }
    out.push(access.with_ranges(vec![KeyRange::new(start, range.end.clone())]));
    out
}

/// The rows that entries of an index lead to, as far as they are among those of `within` (all rows, or ranges of the
/// primary key): for reading them in key order. `None` where there are more than `most`, and for an access by anything
/// else than an index.
///
/// # Errors
/// [`Error::Storage`], [`Error::Corrupt`].
pub fn rows_by_index(
    view: &ReadView,
    table: &Table,
    access: &Access,
    within: &Access,
    most: usize,
) -> Result<Option<Access>> {
    let (Access::Index { index, ranges }, (0, parts)) = (access, within.parts()) else { return Ok(None) };
    let codec = table.codec()?.index(*index)?;
    let mut keys: Vec<Bytes> = Vec::new();
    for range in ranges {
        let mut scan = view.scan_raw(key_space::absolute(table.id, *index, range), Direction::Forward);
        while let Some((entry, value)) = scan.next()? {
            let row_key = codec.row_key(entry, value)?;
            if parts.iter().any(|part| part.contains(row_key)) {
                if keys.len() == most {
                    return Ok(None);
                }
                keys.push(Bytes::copy_from_slice(row_key));
            }
        }
    }
    keys.sort_unstable();
    Ok(Some(Access::Rows(keys)))
}

/// The rows with these values of the primary key's first columns, as far as they are among those of `within` (all rows,
/// or ranges of the primary key), in key order. `None` where `within` is by an index.
///
/// # Errors
/// [`Error::InvalidArgument`], values that are not of the columns' types.
pub fn rows_by_key(table: &Table, bounds: &[Bounds], within: &Access) -> Result<Option<Access>> {
    let ((0, parts), false) = (within.parts(), matches!(within, Access::Rows(_))) else { return Ok(None) };
    let Access::Primary(wanted) = primary_access(table, bounds)? else { return Ok(None) };
    let within = |range: &KeyRange| parts.iter().filter_map(|part| both(range, part)).collect::<Vec<_>>();
    Ok(Some(Access::Primary(wanted.iter().flat_map(within).collect())))
}

/// The keys in two ranges; `None` where there are none.
fn both(a: &KeyRange, b: &KeyRange) -> Option<KeyRange> {
    let start = match (&a.start, &b.start) {
        (Bound::Unbounded, other) | (other, Bound::Unbounded) => other.clone(),
        (Bound::Included(x) | Bound::Excluded(x), Bound::Included(y) | Bound::Excluded(y)) => {
            match x.cmp(y).then_with(|| {
                matches!(a.start, Bound::Excluded(_)).cmp(&matches!(b.start, Bound::Excluded(_)))
            }) {
                Ordering::Less => b.start.clone(),
                _ => a.start.clone(),
            }
        }
    };
    let end = match (&a.end, &b.end) {
        (Bound::Unbounded, other) | (other, Bound::Unbounded) => other.clone(),
        (Bound::Included(x) | Bound::Excluded(x), Bound::Included(y) | Bound::Excluded(y)) => {
            match x
                .cmp(y)
                .then_with(|| matches!(a.end, Bound::Included(_)).cmp(&matches!(b.end, Bound::Included(_))))
            {
                Ordering::Greater => b.end.clone(),
                _ => a.end.clone(),
            }
        }
    };
    let range = KeyRange::new(start, end);
    (!range.is_empty()).then_some(range)
}

/// Whether a scan of that index (0 = the rows themselves: always) gives these columns without reading rows: it holds
/// them in a form that gives back the very value.
pub fn is_covered(table: &Table, index: IndexId, projection: &[usize]) -> Result<bool> {
    if index == 0 {
        return Ok(true);
    }
    let codec = table.codec()?;
    let index = codec.index(index)?;
    let in_index = |place: &usize| index.places.contains(place) || index.include.contains(place);
    let in_key = |place: &usize| codec.key.iter().any(|(p, _)| p == place);
    let exact = |place: &usize| table.live_column(*place).ty.is_key_exact();
    let covering = index.method.capabilities().covering;
    Ok(covering && projection.iter().all(|place| exact(place) && (in_index(place) || in_key(place))))
}

impl From<cairn_index::Error> for Error {
    fn from(e: cairn_index::Error) -> Error {
        match e {
            cairn_index::Error::Type(e) => e.into(),
            cairn_index::Error::Corrupt(found) => Error::corrupt("index entry", found),
            other => Error::InvalidArgument(other.to_string()),
        }
    }
}
