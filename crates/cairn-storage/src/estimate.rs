//! Sizes and borders of key ranges, from the indexes of the files.
//!
//! Guarantees: cheap (no data block is read) and rough: memtables do not count, a file that cannot be
//! read is left out, shadowed versions count.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;
use crate::range::KeyRange;
use crate::tree::Tree;
use crate::version::{TableFile, in_range};

/// Separators of a file's pieces in key order, and the bytes of each piece.
fn pieces(file: &Arc<TableFile>, fine: bool) -> Result<(Vec<Bytes>, u64)> {
    let table = file.table()?;
    let top = table.top();
    let mut borders = Vec::new();
    for partition in 0..top.len() {
        if fine {
            let leaf = table.leaf(partition)?.index();
            borders.extend((0..leaf.len()).map(|at| Bytes::from(leaf.separator(at))));
        } else {
            borders.push(Bytes::from(top.separator(partition)));
        }
    }
    let bytes = file.meta().file_len / (borders.len() as u64).max(1);
    Ok((borders, bytes))
}

impl Tree {
    /// Bytes on disk of a range, roughly.
    pub(crate) fn approximate_bytes(&self, range: &KeyRange) -> u64 {
        let version = self.version();
        let mut total = 0;
        for (_, file) in version.files().filter(|(_, file)| in_range(file.meta(), range)) {
            let facts = &file.meta().properties;
            if range.contains(&facts.smallest) && range.contains(&facts.largest) {
                total += file.meta().file_len;
            } else if let Ok((borders, bytes)) = pieces(file, true) {
                let start = range.start_key();
                let from = borders.partition_point(|border| border < &start);
                let to = borders.partition_point(|border| !range.is_past_end(border));
                // The piece in which the range ends counts by half.
                let whole = to.saturating_sub(from) as u64 * bytes;
                total += whole + if to < borders.len() && to >= from { bytes / 2 } else { 0 };
            }
        }
        total
    }

    /// At most `parts - 1` ascending keys inside the range that cut it into parts of similar size.
    pub(crate) fn split_points(&self, range: &KeyRange, parts: usize) -> Vec<Bytes> {
        if parts < 2 {
            return Vec::new();
        }
        let version = self.version();
        let files: Vec<_> =
            version.files().map(|(_, file)| file).filter(|file| in_range(file.meta(), range)).collect();
        let fine = files.len() < 4 * parts;
        let mut weighed: Vec<(Bytes, u64)> = Vec::new();
        for file in files {
            if let Ok((borders, bytes)) = pieces(file, fine) {
                weighed.extend(borders.into_iter().map(|border| (border, bytes)));
            }
        }
        let start = range.start_key();
        weighed.retain(|(border, _)| *border > start && range.contains(border));
        weighed.sort();
        let total: u64 = weighed.iter().map(|(_, bytes)| bytes).sum();
        let mut points: Vec<Bytes> = Vec::new();
        let mut passed = 0;
        for (border, bytes) in weighed {
            passed += bytes;
            let due = passed * parts as u64 / total.max(1);
            if due as usize > points.len() && points.len() + 1 < parts && points.last() != Some(&border) {
                points.push(border);
            }
        }
        points
    }
}
