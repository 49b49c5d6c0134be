//! Sizes and borders of key ranges, from the indexes of the files and the upper levels of the memtables.
//!
//! Guarantees: cheap (no data block is read) and rough: a file that cannot be read is left out, shadowed
//! versions count.

use std::sync::Arc;

use bytes::Bytes;

use crate::core::Sources;
use crate::error::Result;
use crate::range::KeyRange;
use crate::version::{TableFile, in_range};

/// About how much a key range holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RangeSize {
    /// Bytes on disk, and in the memtables what is not there yet.
    pub bytes: u64,
    /// Entries: all versions, deletes too.
    pub entries: u64,
}

impl RangeSize {
    fn add(&mut self, other: RangeSize) {
        self.bytes += other.bytes;
        self.entries += other.entries;
    }
}

/// Separators of a file's pieces in key order, and the size of each piece.
fn pieces(file: &Arc<TableFile>, fine: bool) -> Result<(Vec<Bytes>, RangeSize)> {
    let table = file.table()?;
    let top = table.top();
    let mut borders = Vec::new();
    for partition in 0..top.len() {
        if fine {
            let leaf = table.leaf(partition)?;
            borders.extend((0..leaf.index().len()).map(|at| Bytes::from(leaf.index().separator(at))));
        } else {
            borders.push(Bytes::from(top.separator(partition)));
        }
    }
    let count = (borders.len() as u64).max(1);
    let entries = file.meta().properties.entries.div_ceil(count);
    Ok((borders, RangeSize { bytes: file.meta().file_len / count, entries }))
}

fn of_file(file: &Arc<TableFile>, range: &KeyRange) -> RangeSize {
    let facts = &file.meta().properties;
    if range.contains(&facts.smallest) && range.contains(&facts.largest) {
        return RangeSize { bytes: file.meta().file_len, entries: facts.entries };
    }
    let Ok((borders, piece)) = pieces(file, true) else { return RangeSize::default() };
    let start = range.start_key();
    let from = borders.partition_point(|border| border < &start);
    let to = borders.partition_point(|border| !range.is_past_end(border));
    // The piece in which the range ends counts by half.
    let halves = 2 * to.saturating_sub(from) as u64 + u64::from(to < borders.len() && to >= from);
    RangeSize { bytes: piece.bytes * halves / 2, entries: piece.entries * halves / 2 }
}

impl Sources {
    /// What a range holds.
    pub(crate) fn approximate_size(&self, range: &KeyRange) -> RangeSize {
        let mut total = RangeSize::default();
        for (_, file) in self.version.files().filter(|(_, file)| in_range(file.meta(), range)) {
            total.add(of_file(file, range));
        }
        for table in self.memtables() {
            let (keys, each) = table.pieces(range);
            let count = keys.len() as u64;
            total.add(RangeSize { bytes: each.bytes * count, entries: each.entries * count });
        }
        total
    }

    /// At most `parts - 1` ascending keys inside the range that cut it into parts of similar size.
    pub(crate) fn split_points(&self, range: &KeyRange, parts: usize) -> Vec<Bytes> {
        if parts < 2 || range.is_empty() {
            return Vec::new();
        }
        let files: Vec<_> =
            self.version.files().map(|(_, file)| file).filter(|file| in_range(file.meta(), range)).collect();
        let fine = files.len() < 4 * parts;
        let mut weighed: Vec<(Bytes, u64)> = Vec::new();
        for file in files {
            if let Ok((borders, piece)) = pieces(file, fine) {
                weighed.extend(borders.into_iter().map(|border| (border, piece.entries)));
            }
        }
        for table in self.memtables() {
            let (keys, each) = table.pieces(range);
            weighed.extend(keys.into_iter().map(|key| (key, each.entries)));
        }
        let start = range.start_key();
        weighed.retain(|(border, _)| *border > start && range.contains(border));
        weighed.sort();
        let total: u64 = weighed.iter().map(|(_, entries)| entries).sum();
        let mut points: Vec<Bytes> = Vec::new();
        let mut passed = 0;
        for (border, entries) in weighed {
            passed += entries;
            let due = passed * parts as u64 / total.max(1);
            if due as usize > points.len() && points.len() + 1 < parts && points.last() != Some(&border) {
                points.push(border);
            }
        }
        points
    }
}
