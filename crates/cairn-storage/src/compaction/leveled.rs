//! Leveled compaction: each level is one sorted run, `level_ratio` times the size of the one above.
//!
//! Level 0 is merged whole into level 1 when it has enough files. A level over its size gives the file
//! to the next one that has the least to be rewritten there for its own size. A file with nothing below
//! it is moved, not rewritten, unless it is small (many small files must come together some time).

use std::sync::Arc;

use super::{Job, Situation, Strategy};
use crate::manifest::format::{FileMeta, LEVELS};
use crate::options::Options;
use crate::version::{TableFile, Version};

/// The default strategy.
#[derive(Debug)]
pub(crate) struct Leveled;

/// The size that a level below 0 should not exceed.
pub(crate) fn level_bytes_max(level: usize, options: &Options) -> u64 {
    let power = options.level_ratio.saturating_pow(level as u32 - 1);
    options.level1_bytes.saturating_mul(power)
}

fn level_bytes(files: &[Arc<TableFile>]) -> u64 {
    files.iter().map(|file| file.meta().file_len).sum()
}

impl Strategy for Leveled {
    fn name(&self) -> &'static str {
        "leveled"
    }

    fn pick(&self, version: &Version, situation: &Situation<'_>) -> Option<Job> {
        Leveled::pick_scored(version, situation.options, true)
    }

    /// Level 0 into level 1 where it is not small beside what is rewritten, then files of many deletes down to
    /// what they delete.
    fn pick_at_rest(&self, version: &Version, situation: &Situation<'_>) -> Option<Job> {
        let options = situation.options;
        if !version.level(0).is_empty() {
            let job = level0_job(version, options);
            let older =
                job.inputs.iter().filter(|(level, _)| *level > 0).map(|(_, files)| level_bytes(files));
            let deletes: u64 = version.level(0).iter().map(|file| file.meta().properties.deletes).sum();
            let gain = level_bytes(version.level(0)) + deletes * DELETE_GAIN;
            if gain * REST_RATIO >= older.sum() {
                return Some(job);
            }
        }
        let is_deleting = |file: &&Arc<TableFile>| {
            let facts = &file.meta().properties;
            facts.deletes * 4 >= facts.entries.max(1) || facts.range_tombstones > 0
        };
        (1..LEVELS - 1).find_map(|level| {
            let hides = |file: &&Arc<TableFile>| {
                let file = std::slice::from_ref(*file);
                (level + 1..LEVELS).any(|below| !overlapping(version, below, file).is_empty())
            };
            let file = version.level(level).iter().filter(is_deleting).find(hides)?;
            Some(push_down(version, level, vec![Arc::clone(file)], options))
        })
    }
}

/// At rest so many bytes may be rewritten for each byte that is merged into them.
const REST_RATIO: u64 = 10;
/// Bytes of rows that a delete is taken to free.
const DELETE_GAIN: u64 = 64;

impl Leveled {
    /// The most urgent job that leaves level 0 alone.
    pub(crate) fn pick_below(version: &Version, options: &Options) -> Option<Job> {
        Leveled::pick_scored(version, options, false)
    }

    fn pick_scored(version: &Version, options: &Options, with_level0: bool) -> Option<Job> {
        let mut best = (1.0, None);
        let score = version.level(0).len() as f64 / options.l0_compaction_files as f64;
        if with_level0 && score >= best.0 {
            best = (score, Some(0));
        }
        // The last level has no bound.
        for level in 1..LEVELS - 1 {
            let score = level_bytes(version.level(level)) as f64 / level_bytes_max(level, options) as f64;
            if score > best.0 {
                best = (score, Some(level));
            }
        }
        match best.1? {
            0 => Some(level0_job(version, options)),
            level => file_job(version, level, options),
        }
    }
}

/// The files of `level` that overlap any of `files`' whole range.
pub(crate) fn overlapping(version: &Version, level: usize, files: &[Arc<TableFile>]) -> Vec<Arc<TableFile>> {
    let Some(hull) = hull(files) else { return Vec::new() };
    version.level(level).iter().filter(|file| file.meta().overlaps(&hull)).cloned().collect()
}

/// A description whose key range covers all of `files`.
fn hull(files: &[Arc<TableFile>]) -> Option<FileMeta> {
    let (first, rest) = files.split_first()?;
    let mut hull = first.meta().clone();
    for file in rest {
        let (range, other) = (&mut hull.properties, &file.meta().properties);
        if other.smallest < range.smallest {
            range.smallest = other.smallest.clone();
        }
        if other.largest > range.largest {
            range.largest = other.largest.clone();
            range.largest_excluded = other.largest_excluded;
        } else if other.largest == range.largest {
            range.largest_excluded &= other.largest_excluded;
        }
    }
    Some(hull)
}

/// All of level 0 into level 1; or a move of its oldest file, if it is big and alone there.
fn level0_job(version: &Version, options: &Options) -> Job {
    if let Some(oldest) = version.level(0).last() {
        let alone = std::slice::from_ref(oldest);
        let big = oldest.meta().file_len >= options.target_file_bytes / 4;
        if big && overlapping(version, 1, alone).is_empty() {
            return Job { inputs: vec![(0, alone.to_vec())], output_level: 1, is_move: true };
        }
    }
    let newer = version.level(0).to_vec();
    let older = overlapping(version, 1, &newer);
    Job { inputs: vec![(0, newer), (1, older)], output_level: 1, is_move: false }
}

/// The file of `level` that is cheapest to push down.
fn file_job(version: &Version, level: usize, options: &Options) -> Option<Job> {
    let below = version.level(level + 1);
    let cost = |file: &Arc<TableFile>| {
        let meta = file.meta();
        let from = below.partition_point(|other| other.meta().ends_before(&meta.properties.smallest));
        let rewritten: u64 = below[from..]
            .iter()
            .take_while(|other| other.meta().overlaps(meta))
            .map(|other| other.meta().file_len)
            .sum();
        // Deletes free space below: they make a file cheaper.
        let gain =
            meta.file_len + meta.properties.deletes * DELETE_GAIN + meta.properties.range_tombstones * 4096;
        (rewritten as f64 / gain as f64, meta.number)
    };
    let file = version
        .level(level)
        .iter()
        .min_by(|a, b| cost(a).partial_cmp(&cost(b)).unwrap_or(std::cmp::Ordering::Equal))?;
    Some(push_down(version, level, vec![Arc::clone(file)], options))
}

/// Pushes files of a level one down; a move where nothing is in the way.
pub(crate) fn push_down(
    version: &Version,
    level: usize,
    files: Vec<Arc<TableFile>>,
    options: &Options,
) -> Job {
    let older = overlapping(version, level + 1, &files);
    let small = files.iter().any(|file| file.meta().file_len < options.target_file_bytes / 16);
    let crowded = small && version.level(level + 1).len() > 64;
    let is_move = level > 0 && older.is_empty() && !crowded;
    Job { inputs: vec![(level, files), (level + 1, older)], output_level: level + 1, is_move }
}
