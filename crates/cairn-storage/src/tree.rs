//! The on-disk part of the store: a manifest over levels of SSTs.
//!
//! ```text
//! flush / compaction: write SSTs ─▶ sync each ─▶ sync directory ─▶ manifest edit (synced)
//!                       ─▶ new version installed ─▶ old files unlinked when unused
//! ```
//! Invariants:
//! - I1: files are durable, names included, before an edit names them.
//! - I2: the state in memory changes only after the edit is durable; after any failure the old state
//!   stays usable and the work can be tried again.
//! - I3: file numbers are never used twice: at open the counter starts behind every number that the
//!   manifest or the directory knows.
//! - I4: where it is unknown whether an edit is durable, files that it names stay until a new manifest
//!   is current; so do, at open, those that it removes.
//! - I5: what the log does not contradict is in the manifest's first record, without which it is refused: that a first
//!   segment is not needed any more, and the files of an ingest. Damage that cuts the manifest back to the end of another
//!   record is told by the log, or by files that are gone.
//!
//! Lock order: `compaction` (held over a whole job, with its I/O: one compaction at a time), `flushing`
//! (held over a flush, so that edits of flushes are in order), `manifest` (held over the sync of an
//! edit), `version` (a pointer).

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use cairn_env::{Env, Lock};
use parking_lot::RwLock;

use crate::blob::{BlobFile, Blobs, blob_path};
use crate::cache::BlockCache;
use crate::compaction::groups::{borders, waiting_files};
use crate::compaction::limiter::RateLimiter;
use crate::compaction::rewrite::{Below, Outputs, Retention, Span, Target, rewrite};
use crate::error::{Error, Result};
use crate::handles::{Handles, lacks_handles};
use crate::key::{CommitSeq, Cursor, SEQ_MAX};
use crate::manifest::format::{Edit, FileMeta, LEVELS};
use crate::manifest::identity::{
    FileName, IDENTITY, manifest_path, parse_name, point_current, prepare_current, read_current,
    read_identity, sync_dir, write_current, write_identity,
};
use crate::manifest::log::{ManifestLog, Replayed, State, replay};
use crate::memtable::Memtable;
use crate::options::Options;
use crate::past::Kept;
use crate::places::{MAIN, Places, SECOND};
use crate::sst::format::FileId;
use crate::stats::{Counters, timed};
use crate::tombstone::Fragments;
use crate::version::{TableCache, TableFile, Version};

/// A manifest longer than this, and longer than four times the state it amounts to, is begun anew.
const MANIFEST_BYTES: u64 = 1 << 20;

/// What the rest of the store needs to know at open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeState {
    /// The next file number to be given out.
    pub(crate) next_file: u64,
    /// Every commit up to this one is in the tree.
    pub(crate) last_seq: CommitSeq,
    /// The oldest log segment that is still needed; 0 where none was written yet (a new database, a
    /// checkpoint).
    pub(crate) log_floor: u64,
    /// The epoch of the writer.
    pub(crate) epoch: u64,
    /// Every commit up to this one must be found, in the tree or in the log.
    pub(crate) durable_seq: CommitSeq,
    /// What every commit from this one on saw is still there; `None`: not known.
    pub(crate) kept_from: Option<CommitSeq>,
    /// Commits in the tree and when they were made.
    pub(crate) times: Vec<(u64, CommitSeq)>,
    /// Names the database.
    pub(crate) database_id: [u8; 16],
}

/// How hard writers should be held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// Not at all.
    None,
    /// A little each.
    Slow,
    /// Until compaction has caught up.
    Stop,
}

/// The manifest and what belongs to it.
#[derive(Debug)]
pub(crate) struct ManifestState {
    log: ManifestLog,
    state: State,
    /// Length of the manifest when it was begun.
    begun_len: u64,
    /// The floor of the log in its first record (I5).
    begun_floor: u64,
    /// I4: files of edits whose fate is unknown.
    uncertain: Vec<PathBuf>,
    /// Files found at opening that belong to nothing; gone after [`Tree::remove_orphans`].
    orphans: Vec<PathBuf>,
    /// Takes no more edits: the directory may be another's.
    shut: bool,
}

/// The on-disk part of a store.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    pub(crate) places: Places,
    pub(crate) options: Options,
    pub(crate) database: [u8; 16],
    pub(crate) blocks: Arc<BlockCache>,
    pub(crate) tables: Arc<TableCache>,
    next_file: AtomicU64,
    version: RwLock<Arc<Version>>,
    manifest: Lock<ManifestState>,
    flushing: Lock<()>,
    pub(crate) compaction: Lock<()>,
    pub(crate) compactions: AtomicU64,
    pub(crate) compacted_bytes: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) flushed_bytes: AtomicU64,
    stop: AtomicBool,
    /// Files that wait for compaction, as the strategies count them.
    pub(crate) waiting: AtomicUsize,
    /// The part of the tree that is asked for a job first.
    pub(crate) turn: AtomicUsize,
    pub(crate) limiter: RateLimiter,
    pub(crate) counters: Counters,
}

impl Tree {
    /// Creates a database in an existing directory that holds none, or one whose creation was cut short.
    /// The caller holds the lock.
    ///
    /// # Errors
    /// `Io`, `DiskFull`: what was begun is begun anew by the next creation.
    pub(crate) fn create(env: &Env, dir: &Path, options: &Options) -> Result<(Tree, TreeState)> {
        // What a creation left that was cut short is in the way.
        let names = env.files().list(dir).map_err(|e| Error::io("list", dir, e))?;
        let mut next_file = 1;
        for name in names {
            let path = dir.join(&name);
            match parse_name(&name) {
                Some(FileName::Manifest(number)) => {
                    next_file = next_file.max(number.saturating_add(1));
                    env.files().remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
                }
                Some(FileName::Temporary) => {
                    env.files().remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
                }
                _ => {}
            }
        }
        let mut database = [0; 16];
        env.random().fill(&mut database);
        let id = FileId { number: next_file, database };
        let state = State { next_file: next_file + 1, epoch: 1, kept_from: Some(0), ..State::default() };
        write_identity(env, dir, database)?;
        ManifestLog::create(env, dir, id, &state)?;
        sync_dir(env, dir)?;
        write_current(env, dir, id)?;
        if let Some(parent) = dir.parent() {
            // The name of the directory itself; where it cannot be synced (a root, a foreign owner),
            // the database is no less sound.
            let _ = env.files().sync_dir(parent);
        }
        Tree::open(env, dir, options)
    }

    /// Opens the tree of a database: reads the manifest and checks that its files are there. A file of
    /// another length is opened all the same: reads of it fail, reads of the others do not. What belongs
    /// to nothing stays until [`Tree::remove_orphans`].
    ///
    /// # Errors
    /// `Corrupt`, `NewerFormat`, `Io`.
    pub(crate) fn open(env: &Env, dir: &Path, options: &Options) -> Result<(Tree, TreeState)> {
        let options = options.clone().with_memory_shared(env);
        let capacity = options.cache_bytes.expect("I: sharing the memory gives the cache a size");
        let blocks = Arc::new(BlockCache::new(capacity, options.eviction));
        let identity = dir.join(IDENTITY);
        if !env.files().exists(&identity).map_err(|e| Error::io("look at", &identity, e))? {
            return Err(Error::corrupt(&identity, 0, "expected the file, found none"));
        }
        let database = read_identity(env, dir, &mut Vec::new())?;
        let id = read_current(env, dir, database)?;
        let replayed = replay(env, dir, id)?;
        let mut state = replayed.state.clone();
        let names = env.files().list(dir).map_err(|e| Error::io("list", dir, e))?;
        let places = Places::open(env, dir, database, &state, &options)?;
        let in_second = places.names_in_second(env)?;
        for name in names.iter().chain(&in_second) {
            if let Some(FileName::Sst(n) | FileName::Wal(n) | FileName::Manifest(n) | FileName::Blob(n)) =
                parse_name(name)
            {
                state.next_file = state.next_file.max(n.saturating_add(1));
            }
        }
        let handles = Handles::new(env, options.open_files_max, options.mmap_reads);
        let tables = Arc::new(TableCache::new(
            env.clone(),
            Arc::clone(&blocks),
            Arc::clone(&handles),
            options.readahead_bytes.min(options.stream_bytes()),
        ));
        let levels = open_levels(env, &places, &state, database, &tables)?;
        let files = open_blobs(env, dir, &state, database, &blocks, &handles)?;
        let version = Version::new(levels, files);
        version.check_order().map_err(|what| Error::corrupt(&manifest_path(dir, id.number), 0, what))?;
        let found = Found { names: &names, in_second: &in_second, places: &places };
        let manifest = go_on(env, dir, id, &replayed, &mut state, &found)?;
        let told = TreeState {
            next_file: state.next_file,
            last_seq: state.last_seq,
            log_floor: state.log_floor,
            epoch: state.epoch,
            durable_seq: state.durable_seq,
            kept_from: state.kept_from,
            times: state.times.clone(),
            database_id: database,
        };
        let waiting = waiting_files(&version, &options);
        let limiter = RateLimiter::new(options.compaction_bytes_per_second);
        let tree = Tree {
            env: env.clone(),
            dir: dir.to_path_buf(),
            places,
            options,
            database,
            blocks,
            tables,
            next_file: AtomicU64::new(state.next_file),
            version: RwLock::new(Arc::new(version)),
            manifest: Lock::new(manifest),
            flushing: Lock::new(()),
            compaction: Lock::new(()),
            compactions: AtomicU64::new(0),
            compacted_bytes: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            flushed_bytes: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            waiting: AtomicUsize::new(waiting),
            turn: AtomicUsize::new(0),
            limiter,
            counters: Counters::default(),
        };
        Ok((tree, told))
    }

    /// Removes SSTs and manifests that belong to nothing, and what replacements left. Best effort: what
    /// stays is tried again at the next open. To be called once after opening, when the log has been read
    /// and agrees with the manifest: until then an orphan may be what a damaged manifest forgot, which
    /// `repair` can still save.
    pub(crate) fn remove_orphans(&self) {
        let mut orphans = std::mem::take(&mut self.manifest.lock().orphans);
        remove_files(&self.env, &mut orphans);
    }

    /// A number for a new file of any kind, never given out before (I3).
    pub(crate) fn new_file_number(&self) -> u64 {
        self.next_file.fetch_add(1, Ordering::Relaxed)
    }

    /// The time that files are stamped with.
    pub(crate) fn now_micros(&self) -> u64 {
        self.env.clock().wall_micros().max(0) as u64
    }

    /// A number and the path of a new SST of a level.
    pub(crate) fn new_sst(&self, level: usize) -> (u64, PathBuf) {
        let number = self.new_file_number();
        (number, self.places.sst(self.places.of_level(level), number))
    }

    /// The files at this moment.
    #[inline]
    pub(crate) fn version(&self) -> Arc<Version> {
        Arc::clone(&self.version.read())
    }

    /// The files at this moment, with the last commit that is in them.
    pub(crate) fn version_and_state(&self) -> (Arc<Version>, State) {
        let manifest = self.manifest.lock();
        (self.version(), manifest.state.clone())
    }

    /// Runs `look` while the manifest cannot change; gives the version of that moment and what `look` gave.
    pub(crate) fn with_manifest_held<T>(
        &self,
        look: impl FnOnce() -> Result<T>,
    ) -> Result<(Arc<Version>, T)> {
        let _held = self.manifest.lock();
        Ok((self.version(), look()?))
    }

    /// Writes a memtable to level 0 and records how far the log is now in the tree.
    ///
    /// Every commit in it is newer than those in the tree. `log_floor` is the oldest log segment still
    /// needed afterwards, `last_seq` the newest commit in the memtable.
    ///
    /// # Errors
    /// After any error nothing has changed; the flush can be tried again.
    pub(crate) fn flush(
        &self,
        table: &Memtable,
        log_floor: u64,
        last_seq: CommitSeq,
        kept: Kept,
    ) -> Result<()> {
        let _one_at_a_time = self.flushing.lock();
        self.mend_manifest()?;
        let version = self.version();
        let new_file = || self.new_sst(0);
        let mut layout = self.options.layout(0, version.bottom());
        if stands_alone(table, &version)? {
            // It will be moved to the bottom as it is.
            layout.filter_bits = self.options.filters.bottom;
        }
        let target = Target {
            versions_kept: &self.counters.versions_kept,
            env: &self.env,
            layout,
            separation: self.options.separation(version.blobs(), BTreeSet::new()),
            database: self.database,
            dir: &self.dir,
            new_file: &new_file,
            file_bytes: u64::MAX,
            stop: &AtomicBool::new(false),
            written_micros: self.now_micros(),
            throttle: &|_| {},
            borders: &borders(&self.options),
            grandparents: &[],
        };
        let fragments = Fragments::build(&table.tombstones());
        let retention = Retention::new(&[kept.oldest]);
        let outputs = timed(&self.env, &self.counters.flush_micros, || {
            let (below, all) = (Below::unknown(), Span::default());
            rewrite(&target, &mut table.cursor(), &fragments, &retention, &below, &all)
        })?;
        let bytes = outputs.bytes();
        let edit = Edit {
            last_seq: Some(last_seq),
            log_floor: Some(log_floor),
            kept_from: Some(kept.from),
            times: kept.times,
            ..Edit::default()
        };
        self.install(edit, 0, outputs)?;
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.flushed_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// The newest commit in the tree of which the time is recorded.
    pub(crate) fn newest_time(&self) -> CommitSeq {
        self.manifest.lock().state.times.last().map_or(0, |(_, seq)| *seq)
    }

    /// Bytes of all SSTs and blob files.
    pub(crate) fn file_bytes(&self) -> u64 {
        let version = self.version();
        let blobs: u64 = version.blobs().files().map(|file| file.meta().file_len).sum();
        version.files().map(|(_, file)| file.meta().file_len).sum::<u64>() + blobs
    }

    /// Records the oldest log segment still needed, and that every commit up to `last_seq` is in the tree;
    /// nothing is written where both are known.
    pub(crate) fn set_log_floor(&self, log_floor: u64, last_seq: CommitSeq) -> Result<()> {
        let mut manifest = self.manifest.lock();
        if (manifest.state.log_floor, manifest.state.last_seq) == (log_floor, last_seq) {
            return Ok(());
        }
        self.mend(&mut manifest)?;
        let edit = Edit { log_floor: Some(log_floor), last_seq: Some(last_seq), ..Edit::default() };
        self.commit_edit(&mut manifest, edit)
    }

    /// Sees to it that the manifest begins with a floor of the log, before a first segment goes (I5).
    pub(crate) fn anchor_log_floor(&self) -> Result<()> {
        let mut manifest = self.manifest.lock();
        if manifest.begun_floor > 0 || manifest.state.log_floor == 0 {
            // Where the manifest was only found, one before it may come back, which needs the segment.
            return manifest.log.settle_name(&self.env, &self.dir);
        }
        self.anchor(&mut manifest)
    }

    /// Makes the present state the first record of a new manifest (I5).
    fn anchor(&self, manifest: &mut ManifestState) -> Result<()> {
        if manifest.shut {
            return Err(Error::Closed);
        }
        // After an error CURRENT may name either.
        self.renew_manifest(manifest).inspect_err(|_| manifest.log.give_up())
    }

    /// Makes rows that no log has part of the tree (I5); the log has shown their commit.
    pub(crate) fn install_ingest(&self, edit: Edit, level: usize, outputs: Outputs) -> Result<()> {
        self.install(edit, level, outputs)?;
        // They are there; where this fails, the next edit does it.
        let _ = self.anchor(&mut self.manifest.lock());
        Ok(())
    }

    /// Records a new epoch.
    #[cfg(test)]
    pub(crate) fn set_epoch(&self, epoch: u64) -> Result<()> {
        self.edit_files(Edit { epoch: Some(epoch), ..Edit::default() })
    }

    /// Applies an edit that adds no new file.
    pub(crate) fn edit_files(&self, edit: Edit) -> Result<()> {
        let mut manifest = self.manifest.lock();
        self.mend(&mut manifest)?;
        self.commit_edit(&mut manifest, edit)
    }

    /// Makes written files part of the tree, at `level`, together with what else the edit says (I1, I2).
    pub(crate) fn install(&self, mut edit: Edit, level: usize, outputs: Outputs) -> Result<()> {
        if !outputs.files().is_empty() {
            sync_dir(&self.env, &self.dir)?;
        }
        let placed = outputs.files().iter().map(|(meta, path)| {
            let place = self.places.of_path(path);
            FileMeta { place, ..meta.clone() }
        });
        let placed: Vec<FileMeta> = placed.collect();
        if let Some(second) = self.places.second().filter(|_| placed.iter().any(|meta| meta.place == SECOND))
        {
            sync_dir(&self.env, second)?;
        }
        edit.added.extend(placed.into_iter().map(|meta| (level as u8, meta)));
        edit.blobs_added.extend(outputs.blobs().iter().map(|(meta, _)| meta.clone()));
        let mut manifest = self.manifest.lock();
        self.mend(&mut manifest)?;
        // From here on an error does not say whether the edit is durable: the files stay (I4).
        let files = outputs.keep();
        let result = self.commit_edit(&mut manifest, edit);
        if result.is_err() {
            manifest.uncertain.extend(files);
        }
        result
    }

    /// Appends an edit, then changes state and version.
    fn commit_edit(&self, manifest: &mut ManifestState, mut edit: Edit) -> Result<()> {
        edit.next_file = Some(self.next_file.load(Ordering::Relaxed));
        let mut state = manifest.state.clone();
        state.apply(&edit).map_err(|what| {
            Error::corrupt(&manifest_path(&self.dir, manifest.log.id().number), manifest.log.len(), what)
        })?;
        // The last user of a blob file takes it along.
        let unused = state.unused_blobs();
        for number in &unused {
            state.blobs.remove(number);
        }
        edit.blobs_removed.extend(unused);
        manifest.log.append(&self.env, &edit)?;
        manifest.state = state;
        self.install_version(&edit);
        if is_long(manifest.log.len(), manifest.begun_len) {
            // The edit is done; a new manifest is housekeeping, tried again with the next edit.
            let _ = self.anchor(manifest);
        }
        Ok(())
    }

    fn install_version(&self, edit: &Edit) {
        if edit.added.is_empty() && edit.removed.is_empty() {
            return;
        }
        let old = self.version();
        let mut levels: [Vec<Arc<TableFile>>; LEVELS] = old.levels().clone();
        let mut gone = Vec::new();
        for (level, number) in &edit.removed {
            let files = &mut levels[usize::from(*level)];
            if let Some(at) = files.iter().position(|file| file.meta().number == *number) {
                gone.push(files.remove(at));
            }
        }
        for (level, meta) in &edit.added {
            // A file that only changes its level stays the same object: it is not to be unlinked.
            let moved = gone.iter().position(|file| file.meta().number == meta.number);
            let file = match moved {
                Some(at) => gone.remove(at),
                None => self.table_file(meta.clone()),
            };
            levels[usize::from(*level)].push(file);
        }
        let mut blobs = Blobs::clone(old.blobs());
        for meta in &edit.blobs_added {
            let id = FileId { number: meta.number, database: self.database };
            let handles = self.tables.handles();
            blobs.insert(BlobFile::new(meta.clone(), &self.dir, id, &self.env, &self.blocks, handles));
        }
        let gone_blobs: Vec<_> =
            edit.blobs_removed.iter().filter_map(|&number| blobs.remove(number)).collect();
        let version = Version::new(levels, blobs);
        self.waiting.store(waiting_files(&version, &self.options), Ordering::Relaxed);
        *self.version.write() = Arc::new(version);
        for file in gone {
            file.mark_obsolete();
        }
        for file in gone_blobs {
            file.mark_obsolete();
        }
    }

    fn table_file(&self, meta: FileMeta) -> Arc<TableFile> {
        let id = FileId { number: meta.number, database: self.database };
        let path = self.places.sst(meta.place, id.number);
        TableFile::new(meta, path, id, Arc::clone(&self.tables))
    }

    /// Begins a new manifest if the current one failed.
    fn mend_manifest(&self) -> Result<()> {
        self.mend(&mut self.manifest.lock())
    }

    pub(crate) fn mend(&self, manifest: &mut ManifestState) -> Result<()> {
        if manifest.shut {
            return Err(Error::Closed);
        }
        if manifest.log.is_failed() { self.renew_manifest(manifest) } else { Ok(()) }
    }

    fn renew_manifest(&self, manifest: &mut ManifestState) -> Result<()> {
        let id = FileId { number: self.new_file_number(), database: self.database };
        let mut state = manifest.state.clone();
        state.next_file = self.next_file.load(Ordering::Relaxed);
        let old = manifest_path(&self.dir, manifest.log.id().number);
        // After an error CURRENT may name either manifest; both are the same state, and both stay.
        let begun = begin_manifest(&self.env, &self.dir, id, &state);
        let log = begun.inspect_err(|_| manifest.uncertain.push(manifest_path(&self.dir, id.number)))?;
        (manifest.begun_len, manifest.begun_floor) = (log.len(), state.log_floor);
        manifest.log = log;
        manifest.state = state;
        let _ = self.env.files().remove_file(&old);
        remove_files(&self.env, &mut manifest.uncertain);
        Ok(())
    }

    /// Has a compaction that runs give up, with `Closed`, and later ones not begin. Flushes are not touched.
    pub(crate) fn stop_compactions(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Closes some files where an operation failed for want of a handle: the next try finds one.
    pub(crate) fn make_handles_free(&self, error: &Error) {
        if lacks_handles(error) {
            self.tables.handles().make_room();
        }
    }

    /// Whether compactions are to give up.
    pub(crate) fn stopping(&self) -> &AtomicBool {
        &self.stop
    }

    /// How hard writers should be held back.
    pub(crate) fn pressure(&self) -> Pressure {
        match self.waiting.load(Ordering::Relaxed) {
            n if n >= self.options.l0_stop_files => Pressure::Stop,
            n if n >= self.options.l0_slow_files => Pressure::Slow,
            _ => Pressure::None,
        }
    }

    /// Notes that every commit up to `durable_seq` is durable in the tree or the log, and makes everything
    /// that was written durable; the tree is not used afterwards.
    pub(crate) fn close(&self, durable_seq: CommitSeq) -> Result<()> {
        let mut manifest = self.manifest.lock();
        if durable_seq > manifest.state.durable_seq {
            self.mend(&mut manifest)?;
            self.commit_edit(&mut manifest, Edit { durable_seq: Some(durable_seq), ..Edit::default() })?;
        }
        manifest.log.close()
    }

    /// Refuses every later edit: readers may go on, whoever still writes comes too late.
    pub(crate) fn shut(&self) {
        self.tables.handles().note_closed();
        self.manifest.lock().shut = true;
    }
}

/// Writes a manifest with a whole state and makes it current. After an error `CURRENT` may name either
/// manifest, except where the new one is gone again.
pub(crate) fn begin_manifest(env: &Env, dir: &Path, id: FileId, state: &State) -> Result<ManifestLog> {
    let log = ManifestLog::create(env, dir, id, state)?;
    if let Err(error) = sync_dir(env, dir).and_then(|()| prepare_current(env, dir, id)) {
        // A full disk must not fill up with manifests that nothing names.
        let _ = env.files().remove_file(&manifest_path(dir, id.number));
        return Err(error);
    }
    point_current(env, dir)?;
    Ok(log)
}

/// What the directories of a database hold.
struct Found<'a> {
    names: &'a [String],
    in_second: &'a [String],
    places: &'a Places,
}

/// At open: goes on with the manifest that was read, or with a new one where it is too long or its last edits
/// may be in the page cache only. Where there is no space for a new one, the first edit begins it.
fn go_on(
    env: &Env,
    dir: &Path,
    id: FileId,
    replayed: &Replayed,
    state: &mut State,
    found: &Found<'_>,
) -> Result<ManifestState> {
    let state_len = ManifestLog::begun_len(id, state);
    let mut uncertain = Vec::new();
    if !replayed.is_durable || is_long(replayed.file_len, state_len) {
        let new = FileId { number: state.next_file, database: id.database };
        state.next_file += 1;
        match begin_manifest(env, dir, new, state) {
            Ok(log) => {
                let orphans = orphans(dir, found, state, new.number);
                let (begun_len, begun_floor, state) = (log.len(), state.log_floor, state.clone());
                return Ok(ManifestState {
                    begun_len,
                    begun_floor,
                    log,
                    state,
                    uncertain,
                    orphans,
                    shut: false,
                });
            }
            Err(Error::DiskFull { .. }) => uncertain.push(manifest_path(dir, new.number)),
            Err(error) => return Err(error),
        }
    }
    let mut log = ManifestLog::adopt(env, dir, id, replayed)?;
    if state.log_floor == 0 {
        // No segment was ever begun, so nobody may have made CURRENT durable: a segment without it would be
        // taken for a database that lost it.
        log.settle_name(env, dir)?;
    }
    let is_current = uncertain.is_empty();
    let mut orphans = orphans(dir, found, state, id.number);
    if !is_current {
        log.give_up();
    }
    // Once no other state than this one can come back, what it does not name can go.
    if !is_current || !orphans.is_empty() && log.settle_name(env, dir).is_err() {
        uncertain.append(&mut orphans);
    }
    Ok(ManifestState {
        begun_len: state_len,
        begun_floor: replayed.begun_floor,
        log,
        state: state.clone(),
        uncertain,
        orphans,
        shut: false,
    })
}

/// Whether no file has keys between the first and the last of a memtable, as where keys come in order.
fn stands_alone(table: &Memtable, version: &Version) -> Result<bool> {
    let (mut first, mut last) = (table.cursor(), table.cursor());
    first.seek(b"", SEQ_MAX)?;
    last.seek_last_before(None)?;
    if !first.valid() || !table.tombstones().is_empty() {
        return Ok(false);
    }
    Ok(version.files().all(|(_, file)| {
        let meta = file.meta();
        meta.ends_before(first.key()) || meta.properties.smallest[..] > *last.key()
    }))
}

/// Removes files, best effort.
fn remove_files(env: &Env, files: &mut Vec<PathBuf>) {
    for path in files.drain(..) {
        let _ = env.files().remove_file(&path);
    }
}

/// Whether a manifest is to be begun anew.
fn is_long(len: u64, begun_len: u64) -> bool {
    len > MANIFEST_BYTES.max(4 * begun_len)
}

/// Checks that a file is there.
fn check_there(env: &Env, path: &Path) -> Result<()> {
    match env.files().metadata(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::corrupt(path, 0, "expected the file, found none"))
        }
        Err(e) => Err(Error::io("look at", path, e)),
    }
}

/// The files of a state, each checked to be there. (Its length is checked when it is first read.)
fn open_levels(
    env: &Env,
    places: &Places,
    state: &State,
    database: [u8; 16],
    tables: &Arc<TableCache>,
) -> Result<[Vec<Arc<TableFile>>; LEVELS]> {
    let mut levels: [Vec<Arc<TableFile>>; LEVELS] = Default::default();
    for (level, files) in state.levels.iter().enumerate() {
        for meta in files {
            let path = places.sst(meta.place, meta.number);
            check_there(env, &path)?;
            let id = FileId { number: meta.number, database };
            levels[level].push(TableFile::new(meta.clone(), path, id, Arc::clone(tables)));
        }
    }
    Ok(levels)
}

/// The blob files of a state, each checked to be there.
fn open_blobs(
    env: &Env,
    dir: &Path,
    state: &State,
    database: [u8; 16],
    cache: &Arc<BlockCache>,
    handles: &Arc<Handles>,
) -> Result<Blobs> {
    let mut blobs = Blobs::new(dir);
    for meta in state.blobs.values() {
        let path = blob_path(dir, meta.number);
        check_there(env, &path)?;
        let id = FileId { number: meta.number, database };
        blobs.insert(BlobFile::new(meta.clone(), dir, id, env, cache, handles));
    }
    Ok(blobs)
}

/// SSTs and manifests that belong to nothing, and what replacements left. Removing them is best effort: what
/// stays is tried again at the next open.
fn orphans(dir: &Path, found: &Found<'_>, state: &State, manifest: u64) -> Vec<PathBuf> {
    let live_in = |place: u8| -> HashSet<u64> {
        state.levels.iter().flatten().filter(|file| file.place == place).map(|file| file.number).collect()
    };
    let (live, live_in_second) = (live_in(MAIN), live_in(SECOND));
    let belongs_to_nothing = |name: &&String| match parse_name(name) {
        Some(FileName::Sst(number)) => !live.contains(&number),
        Some(FileName::Blob(number)) => !state.blobs.contains_key(&number),
        Some(FileName::Manifest(number)) => number != manifest,
        Some(FileName::Temporary) => true,
        _ => false,
    };
    let here = found.names.iter().filter(belongs_to_nothing).map(|name| dir.join(name));
    let second = found.places.second().unwrap_or(dir);
    let there = found.in_second.iter().filter(|name| match parse_name(name) {
        Some(FileName::Sst(number)) => !live_in_second.contains(&number),
        Some(FileName::Temporary) => true,
        _ => false,
    });
    here.chain(there.map(|name| second.join(name))).collect()
}
