//! Key ranges with strategies of their own: the tree taken apart by the prefixes of
//! [`Options::compaction_rules`], each part compacted as if it were alone.
//!
//! Every file written is cut at the borders of the rules, so that each lies in one part. Files from a time
//! with other rules may reach over a border; they are rewritten first.
//!
//! Invariants:
//! - I1: a part sees only its own files, and no job of it takes or writes a key of another part.

use std::sync::Arc;

use bytes::Bytes;

use super::leveled::overlapping;
use super::{Job, situation};
use crate::blob::Blobs;
use crate::manifest::format::{FileMeta, LEVELS};
use crate::options::{Compaction, Options};
use crate::version::{TableFile, Version};

/// One part of the tree.
#[derive(Debug)]
pub(crate) struct Group {
    /// How it is compacted.
    pub(crate) compaction: Compaction,
    /// Its files.
    pub(crate) view: Version,
}

/// The tree by parts.
#[derive(Debug)]
pub(crate) enum Groups {
    /// No file reaches over a border.
    Apart(Vec<Group>),
    /// A file does: this puts it right.
    Mixed(Job),
}

/// The first keys of the parts but the first, ascending: where files are cut.
pub(crate) fn borders(options: &Options) -> Vec<Bytes> {
    let mut borders = Vec::new();
    for (prefix, _) in &options.compaction_rules {
        borders.push(Bytes::copy_from_slice(prefix));
        borders.extend(end_of_prefix(prefix));
    }
    borders.retain(|border| !border.is_empty());
    borders.sort();
    borders.dedup();
    borders
}

/// The first key behind all that begin with the prefix; `None` where there is none.
fn end_of_prefix(prefix: &[u8]) -> Option<Bytes> {
    let kept = prefix.iter().rposition(|&byte| byte < 0xff)?;
    let mut end = prefix[..=kept].to_vec();
    end[kept] += 1;
    Some(Bytes::from(end))
}

/// Which interval between borders a file lies in; `None` where it reaches over a border.
fn interval(borders: &[Bytes], meta: &FileMeta) -> Option<usize> {
    let at = borders.partition_point(|border| *border <= meta.properties.smallest);
    match borders.get(at) {
        Some(border) if !meta.ends_before(border) => None,
        _ => Some(at),
    }
}

/// Takes a version apart: one part for each interval between borders.
pub(crate) fn split(version: &Version, options: &Options) -> Groups {
    let borders = borders(options);
    let mut parts: Vec<[Vec<Arc<TableFile>>; LEVELS]> = Vec::new();
    parts.resize_with(borders.len() + 1, Default::default);
    for (level, file) in version.files() {
        match interval(&borders, file.meta()) {
            Some(at) => parts[at][level].push(Arc::clone(file)),
            None => return Groups::Mixed(mixed_job(version, level, file)),
        }
    }
    let starts = std::iter::once(Bytes::new()).chain(borders);
    let groups = starts.zip(parts).map(|(start, levels)| {
        let rule = options.compaction_rules.iter().find(|(prefix, _)| start.starts_with(prefix));
        let compaction = rule.map_or(options.compaction, |(_, compaction)| *compaction);
        Group { compaction, view: Version::new(levels, Blobs::default()) }
    });
    Groups::Apart(groups.collect())
}

/// Rewrites a file that reaches over a border: level 0 as a whole, another in its place.
fn mixed_job(version: &Version, level: usize, file: &Arc<TableFile>) -> Job {
    let inputs = if level == 0 {
        let newer = version.level(0).to_vec();
        let older = overlapping(version, 1, &newer);
        vec![(0, newer), (1, older)]
    } else {
        vec![(level, vec![Arc::clone(file)])]
    };
    Job { inputs, output_level: level.max(1), is_move: false }
}

/// Files for which writers may have to wait: the most of any part.
pub(crate) fn waiting_files(version: &Version, options: &Options) -> usize {
    let leveled_only = options.compaction_rules.is_empty() && options.compaction == Compaction::Leveled;
    if leveled_only {
        return version.level(0).len();
    }
    match split(version, options) {
        Groups::Mixed(_) => version.level(0).len(),
        Groups::Apart(groups) => {
            let waiting = groups.iter().map(|group| {
                let situation = situation(options, group.compaction, 0);
                group.compaction.strategy().waiting_files(&group.view, &situation)
            });
            waiting.max().unwrap_or(0)
        }
    }
}

/// The levels below the output of a job that could hold what it must not forget; for level 0 also the files
/// there that are older than the job's.
pub(crate) fn below(version: &Version, job: &Job) -> Vec<Vec<Arc<TableFile>>> {
    let mut levels = Vec::new();
    if job.output_level == 0 {
        let inputs: Vec<u64> = job.files().map(|file| file.meta().number).collect();
        let last = version.level(0).iter().rposition(|file| inputs.contains(&file.meta().number));
        let older = version.level(0).iter().skip(last.map_or(0, |last| last + 1));
        levels.extend(older.map(|file| vec![Arc::clone(file)]));
    }
    levels.extend(version.levels()[(job.output_level + 1).min(LEVELS)..].iter().cloned());
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_the_ends_of_prefixes() {
        let rule = |prefix: &[u8]| (prefix.to_vec(), Compaction::Tiered);
        let rules = vec![rule(b"b"), rule(b"a\xff"), rule(b"\xff")];
        let options = Options { compaction_rules: rules, ..Options::default() };
        let wanted: [&[u8]; 4] = [b"a\xff", b"b", b"c", b"\xff"];
        assert_eq!(borders(&options), wanted);
    }
}
