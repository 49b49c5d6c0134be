//! What is left of a damaged log: every record whose checksum is right for its place.
//!
//! - I1: records count in the order of their sequences; a record behind a gap counts all the same.
//! - I2: commits that the SSTs hold already are left out: parts of them may have been compacted away since.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use cairn_env::Env;

use super::Loss;
use crate::commit::apply_effect;
use crate::error::Result;
use crate::key::{CommitSeq, SEQ_MAX};
use crate::manifest::identity::read_whole;
use crate::memtable::{Hint, Memtable};
use crate::range::KeyRange;
use crate::wal::format::{ALIGN, HEADER_BYTES, Record, SegmentHeader, may_follow};
use crate::wal::{Identity, RecordKind};

/// What the log told.
#[derive(Debug, Default)]
pub(super) struct LogFacts {
    /// Sequences of the commits found, as runs in file order, with the place behind each.
    runs: Vec<(RangeInclusive<CommitSeq>, PathBuf, u64)>,
    /// The newest commit that anything in the log speaks of.
    pub(super) last_seq: CommitSeq,
    /// The greatest epoch found.
    pub(super) epoch: u64,
}

/// Reads a segment's sound records with a sequence above `above` into `table`.
pub(super) fn salvage_segment(
    env: &Env,
    (path, number): (&Path, u64),
    database_id: [u8; 16],
    above: CommitSeq,
    table: &Memtable,
    facts: &mut LogFacts,
) -> Result<()> {
    let bytes = read_whole(env, path)?;
    let header = SegmentHeader::decode(&bytes).ok().map(|(header, _)| header);
    let header = header.filter(|header| header.identity.database_id == database_id);
    let segment = header.map_or(number, |header| header.segment);
    let identity = Identity { database_id, epoch: 0 };
    if let Some(header) = header {
        facts.last_seq = facts.last_seq.max(header.first_seq.saturating_sub(1).min(SEQ_MAX));
    }
    let mut hint = Hint::default();
    let mut offset = HEADER_BYTES as u64;
    let mut last = 0;
    while let Some(record) = next_record(&bytes, offset, &identity, segment) {
        let (seq, at) = (record.header.seq, offset);
        offset = record.next;
        facts.epoch = facts.epoch.max(record.header.epoch);
        if record.header.kind == RecordKind::Seal {
            facts.last_seq = facts.last_seq.max(seq.min(SEQ_MAX));
            break;
        }
        let effects: Option<Vec<_>> = record.effects().map(|effect| effect.ok()).collect();
        let Some(effects) = effects.filter(|_| seq > last && seq <= SEQ_MAX) else { continue };
        last = seq;
        facts.note(seq, path, at, offset);
        if seq > above {
            effects.into_iter().for_each(|effect| apply_effect(table, &mut hint, seq, effect));
        }
    }
    Ok(())
}

/// The first sound record at or behind `offset`.
fn next_record<'a>(bytes: &'a [u8], offset: u64, identity: &Identity, segment: u64) -> Option<Record<'a>> {
    if let Ok(record) = Record::decode(bytes, offset, identity, segment) {
        return Some(record);
    }
    let first = offset as usize + ALIGN;
    (first..bytes.len()).step_by(ALIGN).find_map(|at| {
        // Cheap first: most places cannot be the begin of a record.
        let possible = may_follow(&bytes[at..], at as u64, 0);
        possible.then(|| Record::decode(bytes, at as u64, identity, segment).ok()).flatten()
    })
}

impl LogFacts {
    fn note(&mut self, seq: CommitSeq, path: &Path, at: u64, end: u64) {
        self.last_seq = self.last_seq.max(seq);
        match self.runs.last_mut() {
            Some((run, file, behind)) if file == path && run.end() + 1 == seq && *behind <= at => {
                *run = *run.start()..=seq;
                *behind = end;
            }
            _ => self.runs.push((seq..=seq, path.to_path_buf(), end)),
        }
    }

    /// Where the newest commit found stands: file and the offset behind it.
    pub(super) fn end(&self) -> Option<(PathBuf, u64)> {
        let newest = self.runs.iter().max_by_key(|(run, ..)| *run.end());
        newest.map(|(_, path, end)| (path.clone(), *end))
    }

    /// The commits from `first` to `last` that were not found. `nowhere` is named where no segment is left.
    pub(super) fn losses(&self, first: CommitSeq, last: CommitSeq, nowhere: &Path) -> Vec<Loss> {
        let mut runs: Vec<_> = self.runs.iter().collect();
        runs.sort_by_key(|(run, ..)| *run.start());
        let begin = runs.first().map_or(nowhere, |(_, path, _)| path);
        let mut place = (begin.to_path_buf(), HEADER_BYTES as u64);
        let mut lost = Vec::new();
        let mut next = first;
        let mut lose = |from: CommitSeq, to: CommitSeq, place: &(PathBuf, u64)| {
            lost.push(Loss {
                file: place.0.clone(),
                offset: place.1,
                keys: KeyRange::all(),
                commits: Some((from, to)),
                what: format!("commits {from} to {to}: the log has them no more, nor has an SST newer ones"),
            });
        };
        for (run, path, end) in runs {
            if *run.start() > next {
                lose(next, (*run.start() - 1).min(last), &place);
            }
            next = next.max(*run.end() + 1);
            place = (path.clone(), *end);
        }
        if next <= last {
            lose(next, last, &place);
        }
        lost
    }
}
