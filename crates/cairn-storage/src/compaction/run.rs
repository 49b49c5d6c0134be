//! Running compactions on a tree: one job a step, whole files dropped, ranges compacted by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::Included;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;

use super::groups::{Groups, below, borders, split};
use super::leveled::{overlapping, push_down};
use super::rewrite::{Below, Outputs, Retention, Span, Target, rewrite};
use super::{Job, Situation, Strategy, situation};
use crate::error::{Error, Result};
use crate::key::{CommitSeq, Cursor, RangeTombstone};
use crate::level_cursor::LevelCursor;
use crate::manifest::format::{Edit, LEVELS};
use crate::merge::MergeCursor;
use crate::options::Compaction;
use crate::range::KeyRange;
use crate::sst::cursor::TableCursor;
use crate::stats::timed;
use crate::tombstone::Fragments;
use crate::tree::{Pressure, Tree};
use crate::version::{TableFile, Version, files_in_range, in_range};

/// A range is compacted by hand in jobs of about so many input bytes.
const MANUAL_JOB_BYTES: u64 = 1 << 30;

/// How a strategy is asked for a job.
type Choose = fn(&dyn Strategy, &Version, &Situation<'_>) -> Option<Job>;

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
        let job = self
            .pick_job(&version, |strategy, view, situation| strategy.pick(view, situation))
            .or_else(|| self.blob_job(&version));
        match job {
            Some(job) => self.run_job(&version, job, &retention).map(|()| true),
            None => Ok(false),
        }
    }

    /// Does a piece of compaction that pays only when nobody writes; false where there is none.
    ///
    /// # Errors
    /// As [`Tree::compact_step`].
    pub(crate) fn compact_step_at_rest(&self, snapshots: &[CommitSeq]) -> Result<bool> {
        let _one_at_a_time = self.compaction.lock();
        let version = self.version();
        match self.pick_job(&version, |strategy, view, situation| strategy.pick_at_rest(view, situation)) {
            Some(job) => self.run_job(&version, job, &Retention::new(snapshots)).map(|()| true),
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
        edit.kept_from = retention.kept_from();
        self.edit_files(edit)?;
        self.compactions.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// The most urgent job of the part of the tree whose turn it is, or of the next that has one.
    fn pick_job(&self, version: &Version, choose: Choose) -> Option<Job> {
        let now = self.now_micros();
        let pick = |view: &Version, compaction: Compaction| {
            choose(compaction.strategy(), view, &situation(&self.options, compaction, now))
        };
        if self.options.compaction_rules.is_empty() {
            return pick(version, self.options.compaction);
        }
        match split(version, &self.options) {
            Groups::Mixed(job) => Some(job),
            Groups::Apart(groups) => {
                let first = self.turn.fetch_add(1, Ordering::Relaxed) % groups.len();
                let turns = groups[first..].iter().chain(&groups[..first]);
                turns.into_iter().find_map(|group| pick(&group.view, group.compaction))
            }
        }
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
        let place = self.places.of_level(job.output_level);
        if job.is_move && job.files().all(|file| file.meta().place == place) {
            let files = job.inputs.iter().flat_map(|(_, files)| files);
            edit.added = files.map(|file| (job.output_level as u8, file.meta().clone())).collect();
            self.edit_files(edit)?;
            self.compactions.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let below = Below::levels(below(version, &job));
        let grandparents = match version.levels().get(job.output_level + 1) {
            Some(_) if job.output_level > 0 => {
                let all: Vec<_> = job.inputs.iter().flat_map(|(_, files)| files.iter().cloned()).collect();
                overlapping(version, job.output_level + 1, &all)
            }
            _ => Vec::new(),
        };
        let mut layout = self.options.layout(job.output_level, version.bottom().max(job.output_level));
        layout.blobs |= version.blobs().files().next().is_some();
        let mut moved = self.wasteful_blobs(version);
        moved.retain(|&number| job.uses_blob(number));
        let new_file = || -> (u64, PathBuf) { self.new_sst(job.output_level) };
        let hurry = || self.pressure() != Pressure::None || self.stopping().load(Ordering::Relaxed);
        let throttle = |bytes: u64| self.limiter.take(&self.env, bytes, hurry);
        let target = Target {
            versions_kept: &self.counters.versions_kept,
            env: &self.env,
            layout,
            separation: self.options.separation(version.blobs(), moved),
            database: self.database,
            dir: &self.dir,
            new_file: &new_file,
            // In level 0 a file is a run.
            file_bytes: if job.output_level == 0 { u64::MAX } else { self.options.target_file_bytes },
            stop: self.stopping(),
            written_micros: job.files().map(|file| file.meta().written_micros).max().unwrap_or(0),
            throttle: &throttle,
            borders: &borders(&self.options),
            grandparents: &grandparents,
        };
        let tombstones = input_tombstones(&job)?;
        let read: u64 = job.files().map(|file| file.meta().file_len).sum();
        self.counters.compaction_read_bytes.fetch_add(read, Ordering::Relaxed);
        let outputs = timed(&self.env, &self.counters.compaction_micros, || {
            self.rewrite_spans(&job, &target, &tombstones, retention, &below)
        })?;
        let bytes = outputs.bytes();
        edit.kept_from = retention.kept_from();
        self.install(edit, job.output_level, outputs)?;
        self.compactions.fetch_add(1, Ordering::Relaxed);
        self.compacted_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Tree {
    /// Runs a job, a big one in several spans side by side.
    fn rewrite_spans(
        &self,
        job: &Job,
        target: &Target<'_>,
        tombstones: &Fragments,
        retention: &Retention,
        below: &Below,
    ) -> Result<Outputs> {
        let window_bytes = self.options.stream_bytes();
        let run = |span: &Span| {
            let mut merged = open_inputs(job, window_bytes)?;
            rewrite(target, &mut merged, tombstones, retention, below, span)
        };
        let spans = self.spans(job)?;
        let done: Vec<Mutex<Result<Outputs>>> =
            spans.iter().map(|_| Mutex::new(Err(Error::Closed))).collect();
        let workers = spans.iter().zip(&done).map(|(span, done)| {
            let work = || *done.lock() = run(span);
            Box::new(work) as Box<dyn FnOnce() + Send>
        });
        self.env.tasks().run_all(workers.collect());
        let mut results = done.into_iter().map(Mutex::into_inner);
        // Whatever an early return leaves in the iterator removes its files.
        let mut all = results.next().unwrap_or(Err(Error::Closed))?;
        for result in results {
            all.append(result?);
        }
        Ok(all)
    }

    /// Cuts the keys of a job into spans of similar size, one where it is small.
    fn spans(&self, job: &Job) -> Result<Vec<Span>> {
        let bytes: u64 = job.files().map(|file| file.meta().file_len).sum();
        let most = match self.options.compaction_workers {
            0 => (self.env.tasks().parallelism() / 2).clamp(1, 4),
            workers => workers,
        };
        let parts = most.min((bytes / (2 * self.options.target_file_bytes).max(1)) as usize);
        if parts < 2 || job.output_level == 0 {
            return Ok(vec![Span::default()]);
        }
        let mut borders: Vec<(Bytes, u64)> = Vec::new();
        for file in job.files() {
            let table = file.table()?;
            let weight = file.meta().file_len / (table.top().len() as u64).max(1);
            let separators = (0..table.top().len()).map(|at| table.top().separator(at).into());
            borders.extend(separators.map(|separator| (separator, weight)));
        }
        borders.sort();
        let (mut spans, mut start, mut passed) = (Vec::new(), Bytes::new(), 0);
        for (border, weight) in borders {
            passed += weight;
            let due = passed.saturating_mul(parts as u64) / bytes.max(1);
            if due as usize > spans.len() && spans.len() + 1 < parts && border > start {
                spans.push(Span { start: start.clone(), end: Some(border.clone()) });
                start = border;
            }
        }
        spans.push(Span { start, end: None });
        Ok(spans)
    }
}

/// The range tombstones of all inputs.
fn input_tombstones(job: &Job) -> Result<Fragments> {
    let mut tombstones = Vec::new();
    for file in job.files().filter(|file| file.meta().properties.range_tombstones > 0) {
        for piece in file.table()?.fragments().pieces() {
            tombstones.extend(piece.seqs.iter().map(|&seq| RangeTombstone {
                start: piece.start.clone(),
                end: piece.end.clone(),
                seq,
            }));
        }
    }
    Ok(Fragments::build(&tombstones))
}

/// One cursor over all inputs, read beside the block cache,
fn open_inputs(job: &Job, window_bytes: usize) -> Result<MergeCursor> {
    let mut cursors: Vec<Box<dyn Cursor>> = Vec::new();
    for (level, files) in &job.inputs {
        if *level == 0 {
            for file in files {
                cursors.push(Box::new(TableCursor::streaming(file.table()?, window_bytes)));
            }
        } else if !files.is_empty() {
            cursors.push(Box::new(LevelCursor::new(files.clone(), Some(window_bytes))));
        }
    }
    Ok(MergeCursor::new(cursors))
}
