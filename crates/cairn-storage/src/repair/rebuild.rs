//! Merges everything that was saved into a new store.
//!
//! - I1: what a damaged file gave is written to an SST of its own first, so that no more than one damaged file
//!   or log segment is in memory at a time.
//! - I2: all sources are merged whole, so that it does not matter which level an SST was in.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cairn_env::Env;
use parking_lot::Mutex;

use super::Loss;
use super::log::{LogFacts, salvage_segment};
use super::survey::Survey;
use super::table::salvage;
use super::values::{Inline, blobs_in};
use crate::blob::Blobs;
use crate::cache::BlockCache;
use crate::compaction::rewrite::{Below, Outputs, Retention, Separation, Span, Target, rewrite};
use crate::error::{Error, Result};
use crate::key::{CommitSeq, Cursor, RangeTombstone};
use crate::manifest::format::LEVELS;
use crate::manifest::identity::{sst_path, sync_dir, write_identity};
use crate::manifest::log::State;
use crate::memory::STREAM_BYTES_MAX;
use crate::memtable::Memtable;
use crate::merge::MergeCursor;
use crate::options::{Eviction, Options};
use crate::range::KeyRange;
use crate::sst::cursor::TableCursor;
use crate::sst::format::FileId;
use crate::sst::reader::Table;
use crate::sst::verify::verify_sst;
use crate::tombstone::Fragments;
use crate::tree::begin_manifest;
use crate::wal::format::file_name;

/// What the new store holds, and what it does not.
#[derive(Debug)]
pub(super) struct Rebuilt {
    pub(super) lost: Vec<Loss>,
    pub(super) entries: u64,
    pub(super) last_seq: CommitSeq,
}

struct Rebuild<'a> {
    env: &'a Env,
    to: &'a Path,
    survey: &'a Survey,
    options: Options,
    next_file: AtomicU64,
    stop: AtomicBool,
    tables: Vec<Arc<Table>>,
    /// SSTs of what damaged files gave (I1), removed again when dropped.
    runs: Vec<Outputs>,
    lost: Vec<Loss>,
    seq_max: CommitSeq,
    blobs: Arc<Blobs>,
}

/// Writes the new store in `to`, which is empty but for the lock.
pub(super) fn rebuild(env: &Env, from: &Path, to: &Path, survey: &Survey) -> Result<Rebuilt> {
    let mut rebuild = Rebuild {
        env,
        to,
        survey,
        options: Options::default(),
        next_file: AtomicU64::new(survey.next_file),
        stop: AtomicBool::new(false),
        tables: Vec::new(),
        runs: Vec::new(),
        lost: Vec::new(),
        seq_max: survey.flushed_seq,
        blobs: Arc::new(blobs_in(env, from, survey.database)?),
    };
    rebuild.note_absent();
    for sst in &survey.ssts {
        rebuild.add_sst(&sst.path, sst.id)?;
    }
    let epoch = rebuild.add_log(from)?;
    rebuild.finish(epoch)
}

impl Rebuild<'_> {
    /// Lists the files that are not there, or not ours.
    fn note_absent(&mut self) {
        for meta in &self.survey.missing {
            let facts = &meta.properties;
            self.seq_max = self.seq_max.max(facts.max_seq);
            self.lost.push(Loss {
                file: self.survey.places.sst(meta.place, meta.number),
                offset: 0,
                keys: KeyRange::new(
                    std::ops::Bound::Included(facts.smallest.clone()),
                    std::ops::Bound::Included(facts.largest.clone()),
                ),
                commits: None,
                what: "the whole file, which is missing".to_owned(),
            });
        }
        for path in &self.survey.foreign {
            self.lost.push(Loss {
                file: path.clone(),
                offset: 0,
                keys: KeyRange::all(),
                commits: None,
                what: "the whole file, which belongs to another database".to_owned(),
            });
        }
    }

    fn add_sst(&mut self, path: &Path, id: FileId) -> Result<()> {
        let checked = verify_sst(self.env, path, id);
        if checked.damage.is_empty() {
            return self.add_table(path, id);
        }
        if let Some(Error::NewerFormat { .. } | Error::Io { .. }) = checked.damage.first() {
            // Not damage: nothing is decided about what cannot be read.
            return Err(checked.damage[0].clone());
        }
        let salvaged = salvage(self.env, path, id, self.survey.metas.get(&id.number), &self.blobs)?;
        self.lost.extend(salvaged.lost);
        self.add_run(&salvaged.table)
    }

    fn add_table(&mut self, path: &Path, id: FileId) -> Result<()> {
        let cache = Arc::new(BlockCache::new(0, Eviction::default()));
        let meta = self.survey.metas.get(&id.number);
        let shift = meta.map_or(0, |meta| meta.seq_shift);
        let table = Table::open(self.env, path, id, cache, Arc::default())?.shifted(shift);
        let facts = table.properties();
        if facts.max_seq == 0 && shift == 0 {
            self.lost.push(Loss {
                file: path.to_path_buf(),
                offset: 0,
                keys: KeyRange::new(
                    std::ops::Bound::Included(facts.smallest.clone()),
                    std::ops::Bound::Included(facts.largest.clone()),
                ),
                commits: None,
                what: "the commit of ingested rows, which count as the oldest of their keys".to_owned(),
            });
        }
        self.seq_max = self.seq_max.max(facts.max_seq + shift);
        self.tables.push(Arc::new(table));
        Ok(())
    }

    /// Writes what was saved of one file to an SST (I1).
    fn add_run(&mut self, saved: &Memtable) -> Result<()> {
        if saved.is_empty() {
            return Ok(());
        }
        let fragments = Fragments::build(&saved.tombstones());
        let keep_all = Retention::new(&[]);
        let outputs = self.write(&mut saved.cursor(), &fragments, &keep_all, &Below::unknown(), u64::MAX)?;
        let written: Vec<(u64, PathBuf)> =
            outputs.files().iter().map(|(meta, path)| (meta.number, path.clone())).collect();
        self.runs.push(outputs);
        for (number, path) in written {
            self.add_table(&path, FileId { number, database: self.survey.database })?;
        }
        Ok(())
    }

    fn write(
        &self,
        cursor: &mut dyn Cursor,
        fragments: &Fragments,
        retention: &Retention,
        below: &Below,
        file_bytes: u64,
    ) -> Result<Outputs> {
        let new_file = || {
            let number = self.next_file.fetch_add(1, Ordering::Relaxed);
            (number, sst_path(self.to, number))
        };
        let target = Target {
            versions_kept: &AtomicU64::new(0),
            env: self.env,
            layout: self.options.layout(LEVELS - 1, LEVELS - 1),
            separation: Separation::default(),
            database: self.survey.database,
            dir: self.to,
            new_file: &new_file,
            file_bytes,
            stop: &self.stop,
            written_micros: 0,
            throttle: &|_| {},
            borders: &[],
            grandparents: &[],
        };
        rewrite(&target, cursor, fragments, retention, below, &Span::default())
    }

    /// Adds the commits that only the log has; gives the epoch.
    fn add_log(&mut self, from: &Path) -> Result<u64> {
        let in_ssts = self.seq_max;
        let mut facts = LogFacts::default();
        for (path, number) in &self.survey.segments {
            let table = Memtable::new();
            let database = self.survey.database;
            salvage_segment(self.env, (path, *number), database, in_ssts, &table, &mut facts)?;
            self.add_run(&table)?;
        }
        let last = facts.last_seq.max(self.survey.durable_seq);
        let floor = self.survey.state.as_ref().map_or(1, |state| state.log_floor.max(1));
        let first = self.survey.segments.first().map(|(path, _)| path.clone());
        let nowhere = first.unwrap_or_else(|| from.join(file_name(floor)));
        self.lost.extend(facts.losses(in_ssts + 1, last, &nowhere));
        self.seq_max = self.seq_max.max(last);
        let proven = self.survey.durable_seq >= self.seq_max.max(1);
        if !self.survey.end_known && !proven {
            // No manifest says how far the log went: that nothing is behind its end cannot be known.
            let (file, offset) = facts.end().unwrap_or((nowhere, 0));
            let commits = Some((self.seq_max + 1, CommitSeq::MAX));
            let what = format!("commits behind {}, if there were any", self.seq_max);
            self.lost.push(Loss { file, offset, keys: KeyRange::all(), commits, what });
        }
        Ok(facts.epoch.max(self.survey.epoch))
    }

    /// Merges all sources (I2) and makes the result a store.
    fn finish(mut self, epoch: u64) -> Result<Rebuilt> {
        let mut deleted = Vec::new();
        let values_lost = Arc::new(Mutex::new(Vec::new()));
        let mut cursors: Vec<Box<dyn Cursor>> = Vec::new();
        for table in &self.tables {
            for piece in table.fragments().pieces() {
                deleted.extend(piece.seqs.iter().map(|&seq| RangeTombstone {
                    start: piece.start.clone(),
                    end: piece.end.clone(),
                    seq,
                }));
            }
            let rows = Box::new(TableCursor::streaming(Arc::clone(table), STREAM_BYTES_MAX));
            cursors.push(Box::new(Inline::new(rows, &self.blobs, &values_lost)));
        }
        let newest = Retention::new(&[self.seq_max]);
        let bottom = Below::levels(Vec::new());
        let file_bytes = self.options.target_file_bytes;
        let mut merge = MergeCursor::new(cursors);
        let outputs = self.write(&mut merge, &Fragments::build(&deleted), &newest, &bottom, file_bytes)?;
        drop(merge);
        self.lost.append(&mut values_lost.lock());
        self.tables.clear();
        self.runs.clear();
        let mut state =
            State { last_seq: self.seq_max, durable_seq: self.seq_max, epoch, ..State::default() };
        state.levels[LEVELS - 1] = outputs.files().iter().map(|(meta, _)| meta.clone()).collect();
        let entries = state.levels[LEVELS - 1].iter().map(|meta| meta.properties.entries).sum();
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        state.next_file = number + 1;
        write_identity(self.env, self.to, self.survey.database)?;
        sync_dir(self.env, self.to)?;
        let manifest = FileId { number, database: self.survey.database };
        begin_manifest(self.env, self.to, manifest, &state)?;
        outputs.keep();
        Ok(Rebuilt { lost: self.lost, entries, last_seq: self.seq_max })
    }
}
