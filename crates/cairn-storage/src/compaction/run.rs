//! Running compactions on a tree: one job a step, whole files dropped, ranges compacted by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::Included;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::leveled::{overlapping, push_down};
use super::rewrite::{Below, Retention, Target, rewrite};
use super::{Job, STRATEGIES};
use crate::error::Result;
use crate::key::{CommitSeq, Cursor, RangeTombstone};
use crate::level_cursor::LevelCursor;
use crate::manifest::format::{Edit, LEVELS};
use crate::merge::MergeCursor;
use crate::range::KeyRange;
use crate::sst::cursor::TableCursor;
use crate::tombstone::Fragments;
use crate::tree::Tree;
use crate::version::{TableFile, Version, files_in_range, in_range};

/// A range is compacted by hand in jobs of about so many input bytes.
const MANUAL_JOB_BYTES: u64 = 1 << 30;

impl Tree {
    /// Does the most urgent piece of compaction; false where there is nothing to do. `snapshots` are
    /// every live snapshot and the newest visible sequence.
    ///
    /// # Errors
    /// After any error nothing has changed; the step can be tried again.
    pub(crate) fn compact_step(&self, snapshots: &[CommitSeq]) -> Result<bool> {
        let _one_at_a_time = self.compaction.lock();
        let retention = Retention::new(snapshots);
        let version = self.version();
        if self.drop_deleted_files(&version, &retention)? {
            return Ok(true);
        }
        let job = STRATEGIES[0].pick(&version, &self.options).or_else(|| self.blob_job(&version));
        match job {
            Some(job) => self.run_job(&version, job, &retention).map(|()| true),
            None => Ok(false),
        }
    }

    /// Compacts the files of a range to the lowest level that has any, so that versions and deletes that
    /// no snapshot needs are gone.
    ///
    /// # Errors
    /// What was done before an error stays done.
    pub(crate) fn compact_range(&self, range: &KeyRange, snapshots: &[CommitSeq]) -> Result<()> {
        let _one_at_a_time = self.compaction.lock();
        let retention = Retention::new(snapshots);
        while self.drop_deleted_files(&self.version(), &retention)? {}
        for level in 0..LEVELS - 1 {
            if level >= self.version().bottom() && level > 0 {
                break;
            }
            self.push_range_down(level, range, &retention)?;
        }
        self.rewrite_bottom(self.version().bottom(), range, &retention)
    }

    fn push_range_down(&self, level: usize, range: &KeyRange, retention: &Retention) -> Result<()> {
        // Numbers below this were there at the start: new files of the level are not taken again.
        let end = self.new_file_number();
        loop {
            let version = self.version();
            let files: Vec<Arc<TableFile>> = if level == 0 {
                // Level 0 is pushed from its oldest file that matters to nothing newer: all of it.
                let wanted = version.level(0).iter().any(|file| in_range(file.meta(), range));
                if wanted { version.level(0).to_vec() } else { Vec::new() }
            } else {
                let mut bytes = 0;
                let within = files_in_range(version.level(level), range).iter();
                within
                    .filter(|file| file.meta().number < end)
                    .take_while(|file| {
                        let take = bytes < MANUAL_JOB_BYTES;
                        bytes += file.meta().file_len;
                        take
                    })
                    .cloned()
                    .collect()
            };
            if files.is_empty() {
                return Ok(());
            }
            let job = push_down(&version, level, files, &self.options);
            self.run_job(&version, job, retention)?;
            if level == 0 {
                return Ok(());
            }
        }
    }

    /// Rewrites files of the lowest level that hold deletes or old versions, in place.
    fn rewrite_bottom(&self, level: usize, range: &KeyRange, retention: &Retention) -> Result<()> {
        let version = self.version();
        let wasteful = self.wasteful_blobs(&version);
        for file in files_in_range(version.level(level), range) {
            let facts = &file.meta().properties;
            let wasteful = file.meta().blobs.iter().any(|one| wasteful.contains(&one.number));
            let useful =
                wasteful || facts.deletes > 0 || facts.range_tombstones > 0 || facts.entries > facts.keys;
            if useful && retention.seen_by_all(facts.min_seq) {
                let inputs = vec![(level, vec![Arc::clone(file)])];
                let job = Job { inputs, output_level: level, is_move: false };
                self.run_job(&self.version(), job, retention)?;
            }
        }
        Ok(())
    }

    /// Drops files that lie whole in a range tombstone which every snapshot sees, unread.
    fn drop_deleted_files(&self, version: &Version, retention: &Retention) -> Result<bool> {
        if !version.has_tombstones() {
            return Ok(false);
        }
        let mut edit = Edit::default();
        let deleting: Vec<_> =
            version.files().filter(|(_, file)| file.meta().properties.range_tombstones > 0).collect();
        for (level, file) in version.files() {
            let facts = &file.meta().properties;
            let range = KeyRange::new(Included(facts.smallest.clone()), Included(facts.largest.clone()));
            for (_, newer) in &deleting {
                let other = &newer.meta().properties;
                // The file's own tombstones are no reason to drop it.
                if other.max_seq <= facts.max_seq
                    || newer.meta().number == file.meta().number
                    || !in_range(newer.meta(), &range)
                {
                    continue;
                }
                let table = newer.table()?;
                let covered = table.fragments().pieces().iter().any(|piece| {
                    piece.start <= facts.smallest
                        && (facts.largest < piece.end
                            || (facts.largest_excluded && facts.largest == piece.end))
                        && piece.seqs.iter().any(|&seq| seq > facts.max_seq && retention.seen_by_all(seq))
                });
                if covered {
                    edit.removed.push((level as u8, file.meta().number));
                    break;
                }
            }
        }
        if edit.removed.is_empty() {
            return Ok(false);
        }
        self.edit_files(edit)?;
        self.compactions.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// The blob files of which too much is garbage.
    fn wasteful_blobs(&self, version: &Version) -> BTreeSet<u64> {
        let mut used: BTreeMap<u64, u64> = BTreeMap::new();
        for one in version.files().flat_map(|(_, file)| &file.meta().blobs) {
            *used.entry(one.number).or_default() += one.bytes;
        }
        let percent = u64::from(self.options.blob_garbage_percent);
        let metas = version.blobs().files().map(|file| file.meta());
        let wasteful = metas.filter(|meta| {
            let all = meta.record_bytes();
            let garbage = all.saturating_sub(used.get(&meta.number).copied().unwrap_or(0));
            garbage > 0 && garbage.saturating_mul(100) >= percent.saturating_mul(all)
        });
        wasteful.map(|meta| meta.number).collect()
    }

    /// Empties a wasteful blob file: rewrites a file that uses it, in place. Files of level 0 are left to the
    /// strategy: what lies below one of them is not known to a job in place.
    fn blob_job(&self, version: &Version) -> Option<Job> {
        let wasteful = self.wasteful_blobs(version);
        if wasteful.is_empty() {
            return None;
        }
        let (level, file) = version.files().find(|(level, file)| {
            *level > 0 && file.meta().blobs.iter().any(|one| wasteful.contains(&one.number))
        })?;
        let inputs = vec![(level, vec![Arc::clone(file)])];
        Some(Job { inputs, output_level: level, is_move: false })
    }

    fn run_job(&self, version: &Version, job: Job, retention: &Retention) -> Result<()> {
        let mut edit = Edit::default();
        for (level, files) in &job.inputs {
            edit.removed.extend(files.iter().map(|file| (*level as u8, file.meta().number)));
        }
        if job.is_move {
            let files = job.inputs.iter().flat_map(|(_, files)| files);
            edit.added = files.map(|file| (job.output_level as u8, file.meta().clone())).collect();
            self.edit_files(edit)?;
            self.compactions.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let below = Below::levels(version.levels()[job.output_level + 1..].to_vec());
        let grandparents = match version.levels().get(job.output_level + 1) {
            Some(_) => {
                let all: Vec<_> = job.inputs.iter().flat_map(|(_, files)| files.iter().cloned()).collect();
                overlapping(version, job.output_level + 1, &all)
            }
            None => Vec::new(),
        };
        let mut layout = self.options.layout(job.output_level, version.bottom().max(job.output_level));
        layout.blobs |= version.blobs().files().next().is_some();
        let mut moved = self.wasteful_blobs(version);
        moved.retain(|&number| job.uses_blob(number));
        let new_file = || -> (u64, PathBuf) { self.new_sst() };
        let target = Target {
            env: &self.env,
            layout,
            separation: self.options.separation(version.blobs(), moved),
            database: self.database,
            new_file: &new_file,
            file_bytes: self.options.target_file_bytes,
            stop: self.stopping(),
            grandparents: &grandparents,
        };
        let (mut merged, tombstones) = open_inputs(&job, self.options.stream_bytes())?;
        let outputs = rewrite(&target, &mut merged, &tombstones, retention, &below)?;
        let bytes = outputs.bytes();
        drop(merged);
        self.install(edit, job.output_level, outputs)?;
        self.compactions.fetch_add(1, Ordering::Relaxed);
        self.compacted_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// One cursor over all inputs, read beside the block cache, and their range tombstones.
fn open_inputs(job: &Job, window_bytes: usize) -> Result<(MergeCursor, Fragments)> {
    let mut cursors: Vec<Box<dyn Cursor>> = Vec::new();
    let mut tombstones = Vec::new();
    for (level, files) in &job.inputs {
        if *level == 0 {
            for file in files {
                cursors.push(Box::new(TableCursor::streaming(file.table()?, window_bytes)));
            }
        } else if !files.is_empty() {
            cursors.push(Box::new(LevelCursor::new(files.clone(), Some(window_bytes))));
        }
        for file in files.iter().filter(|file| file.meta().properties.range_tombstones > 0) {
            for piece in file.table()?.fragments().pieces() {
                tombstones.extend(piece.seqs.iter().map(|&seq| RangeTombstone {
                    start: piece.start.clone(),
                    end: piece.end.clone(),
                    seq,
                }));
            }
        }
    }
    Ok((MergeCursor::new(cursors), Fragments::build(&tombstones)))
}
