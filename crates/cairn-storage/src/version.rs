//! The set of files at one moment: immutable, shared, read without a lock.
//!
//! A reader holds an `Arc<Version>`; flushes and compactions install a new one. A file that a new
//! version no longer names is marked obsolete, and unlinked when the last version that names it goes.
//!
//! Invariants:
//! - I1: level 0 holds files newest first; below, files of a level do not overlap and stand in key order.
//! - I2: of one key, every entry in a newer level-0 file or a higher level is newer than every entry
//!   in an older file or a lower level; so the first file that knows a key decides.
//! - I3: a file is unlinked only when it is obsolete and nothing holds it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use cairn_env::Env;

use crate::blob::Blobs;
use crate::cache::BlockCache;
use crate::error::{Error, Result};
use crate::handles::{Handles, Holder};
use crate::key::{CommitSeq, Cursor, Kind, RangeTombstone, SEQ_LAST};
use crate::level_cursor::LevelCursor;
use crate::manifest::format::{FileMeta, LEVELS};
use crate::range::KeyRange;
use crate::sst::cursor::TableCursor;
use crate::sst::filter::{self, FilterCounts, FilterStats};
use crate::sst::format::FileId;
use crate::sst::reader::Table;
use crate::sst::source::Source;

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// The newest visible version.
    Found {
        /// Its value.
        value: Bytes,
        /// The commit that wrote it.
        seq: CommitSeq,
    },
    /// The newest visible version, its value in a blob file.
    Separated {
        /// Where it lies.
        pointer: Bytes,
        /// The commit that wrote it.
        seq: CommitSeq,
    },
    /// The newest visible version is a delete, of the key or of a range.
    Deleted {
        /// The commit that deleted.
        seq: CommitSeq,
    },
    /// Nothing is known of the key.
    Missing,
}

/// What the SSTs of a store share.
#[derive(Debug)]
pub(crate) struct TableCache {
    env: Env,
    blocks: Arc<BlockCache>,
    handles: Arc<Handles>,
    readahead_bytes: usize,
}

impl TableCache {
    pub(crate) fn new(
        env: Env,
        blocks: Arc<BlockCache>,
        handles: Arc<Handles>,
        readahead_bytes: usize,
    ) -> TableCache {
        TableCache { env, blocks, handles, readahead_bytes }
    }

    /// The open files.
    pub(crate) fn handles(&self) -> &Arc<Handles> {
        &self.handles
    }
}

/// A file of the tree: opened when first read, unlinked when obsolete and unused (I3).
#[derive(Debug)]
pub(crate) struct TableFile {
    meta: FileMeta,
    path: PathBuf,
    id: FileId,
    tables: Arc<TableCache>,
    table: ArcSwapOption<Table>,
    used: AtomicBool,
    filter_counts: Arc<FilterCounts>,
    obsolete: AtomicBool,
}

impl TableFile {
    /// A file that the manifest names.
    pub(crate) fn new(meta: FileMeta, path: PathBuf, id: FileId, tables: Arc<TableCache>) -> Arc<TableFile> {
        Arc::new(TableFile {
            meta,
            path,
            id,
            tables,
            table: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            filter_counts: Arc::default(),
            obsolete: AtomicBool::new(false),
        })
    }

    /// What the manifest says of it.
    pub(crate) fn meta(&self) -> &FileMeta {
        &self.meta
    }

    /// Its path.
    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// What its filters did.
    pub(crate) fn filter_counts(&self) -> FilterStats {
        self.filter_counts.stats()
    }

    /// The file is to be unlinked when nothing uses it any more.
    pub(crate) fn mark_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// The open table, to be kept.
    pub(crate) fn table(self: &Arc<Self>) -> Result<Arc<Table>> {
        self.with_table(Arc::clone)
    }

    /// The table, if it is open.
    pub(crate) fn open_table(&self) -> Option<Arc<Table>> {
        self.table.load_full()
    }

    /// Looks into the open table.
    #[inline]
    fn with_table<T>(self: &Arc<Self>, look: impl FnOnce(&Arc<Table>) -> T) -> Result<T> {
        if let Some(table) = &*self.table.load() {
            if !self.used.load(Ordering::Relaxed) {
                self.used.store(true, Ordering::Relaxed);
            }
            return Ok(look(table));
        }
        Ok(look(&self.open()?))
    }

    #[cold]
    fn open(self: &Arc<Self>) -> Result<Arc<Table>> {
        let blocks = Arc::clone(&self.tables.blocks);
        self.check_len()?;
        let file = self.tables.handles.open(&self.path)?;
        let source = Source::new(file, &self.path, self.id)?;
        let table = Table::read(source, blocks, Arc::clone(&self.filter_counts))?;
        if table.content_hash() != self.meta.content_hash
            || *table.properties() != self.meta.stored_properties()
        {
            let what = "the file is not the one that the manifest names".to_string();
            return Err(Error::corrupt(&self.path, table.source().len - 4096, what));
        }
        let table = Arc::new(table.shifted(self.meta.seq_shift).with_readahead(self.tables.readahead_bytes));
        let none: Option<Arc<Table>> = None;
        if let Some(first) = &*self.table.compare_and_swap(&none, Some(Arc::clone(&table))) {
            return Ok(Arc::clone(first));
        }
        let holder: Weak<TableFile> = Arc::downgrade(self);
        self.tables.handles.enter(holder);
        Ok(table)
    }

    /// Whether the file is as long as the manifest says: a cut or a lost file is told as such.
    fn check_len(&self) -> Result<()> {
        let (found, expected) = match self.tables.env.files().metadata(&self.path) {
            Ok(found) => (found.len, self.meta.file_len),
            Err(e) => return Err(self.tables.handles.refuse("look at", &self.path, e)),
        };
        if found == expected {
            return Ok(());
        }
        let what = format!("expected {expected} bytes, found {found}");
        Err(Error::corrupt(&self.path, found.min(expected), what))
    }

    /// The newest entry of `key` in this file that is not newer than `seq`, range tombstones included.
    fn lookup(self: &Arc<Self>, key: &[u8], hash: u64, seq: CommitSeq) -> Result<Lookup> {
        self.with_table(|table| self.lookup_in(table, key, hash, seq))?
    }

    fn lookup_in(&self, table: &Table, key: &[u8], hash: u64, seq: CommitSeq) -> Result<Lookup> {
        let found = table.get(key, hash, seq)?;
        if self.meta.properties.range_tombstones > 0
            && let Some(deleted) = table.fragments().newest_covering(key, seq)
            && found.as_ref().is_none_or(|found| found.seq < deleted)
        {
            return Ok(Lookup::Deleted { seq: deleted });
        }
        Ok(match found {
            Some(found) if found.kind == Kind::Put => Lookup::Found { value: found.value, seq: found.seq },
            Some(found) if found.kind == Kind::Blob => {
                Lookup::Separated { pointer: found.value, seq: found.seq }
            }
            Some(found) => Lookup::Deleted { seq: found.seq },
            None => Lookup::Missing,
        })
    }
}

impl Drop for TableFile {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Acquire) {
            // No manifest names the file; if it cannot be removed now, the next open does it.
            let _ = self.tables.env.files().remove_file(&self.path);
        }
    }
}

impl Holder for TableFile {
    fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    fn close(&self) {
        self.table.store(None);
    }
}

/// A list of files by level.
#[derive(Debug, Default)]
pub(crate) struct Version {
    levels: [Vec<Arc<TableFile>>; LEVELS],
    blobs: Arc<Blobs>,
    has_tombstones: bool,
}

impl Version {
    /// A version from files by level, in any order.
    pub(crate) fn new(mut levels: [Vec<Arc<TableFile>>; LEVELS], blobs: Blobs) -> Version {
        levels[0].sort_by(|a, b| {
            let age = |file: &TableFile| (file.meta.properties.max_seq, file.meta.number);
            age(b).cmp(&age(a))
        });
        for level in &mut levels[1..] {
            level.sort_by(|a, b| a.meta.properties.smallest.cmp(&b.meta.properties.smallest));
        }
        let has_tombstones = levels.iter().flatten().any(|file| file.meta.properties.range_tombstones > 0);
        Version { levels, blobs: Arc::new(blobs), has_tombstones }
    }

    /// Checks I1 for files below level 0; what is wrong is told.
    pub(crate) fn check_order(&self) -> Result<(), String> {
        for (number, level) in self.levels.iter().enumerate().skip(1) {
            for pair in level.windows(2) {
                if pair[0].meta.overlaps(&pair[1].meta) {
                    let (a, b) = (pair[0].meta.number, pair[1].meta.number);
                    return Err(format!("files {a} and {b} of level {number} overlap"));
                }
            }
        }
        Ok(())
    }

    /// The blob files.
    pub(crate) fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    /// The files of a level.
    pub(crate) fn level(&self, level: usize) -> &[Arc<TableFile>] {
        &self.levels[level]
    }

    /// All levels.
    pub(crate) fn levels(&self) -> &[Vec<Arc<TableFile>>; LEVELS] {
        &self.levels
    }

    /// The deepest level that holds a file, 1 at least.
    pub(crate) fn bottom(&self) -> usize {
        (1..LEVELS).rev().find(|&level| !self.levels[level].is_empty()).unwrap_or(1)
    }

    /// Every file with its level.
    pub(crate) fn files(&self) -> impl Iterator<Item = (usize, &Arc<TableFile>)> {
        self.levels.iter().enumerate().flat_map(|(level, files)| files.iter().map(move |file| (level, file)))
    }

    /// Whether any file has range tombstones.
    pub(crate) fn has_tombstones(&self) -> bool {
        self.has_tombstones
    }

    /// The files that may hold `key`, newest entries first (I2).
    #[inline]
    fn candidates<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a Arc<TableFile>> {
        let newest = self.levels[0].iter().filter(move |file| file.meta.holds(key));
        let below = self.levels[1..].iter().filter_map(move |level| {
            let at = level.partition_point(|file| file.meta.ends_before(key));
            level.get(at).filter(|file| file.meta.holds(key))
        });
        newest.chain(below)
    }

    /// The newest version of `key` that is not newer than `seq`.
    pub(crate) fn get(&self, key: &[u8], seq: CommitSeq) -> Result<Lookup> {
        let mut hash = None;
        for file in self.candidates(key) {
            if file.meta.properties.min_seq > seq {
                continue;
            }
            let hash = *hash.get_or_insert_with(|| filter::hash(key));
            match file.lookup(key, hash, seq)? {
                Lookup::Missing => {}
                Lookup::Separated { pointer, seq } => {
                    return Ok(Lookup::Found { value: self.blobs.get(&pointer)?, seq });
                }
                decided => return Ok(decided),
            }
        }
        Ok(Lookup::Missing)
    }

    /// The newest commit that changed `key` after `newer_than`, by a write, a delete or a range delete.
    pub(crate) fn newest_seq(&self, key: &[u8], newer_than: CommitSeq) -> Result<Option<CommitSeq>> {
        for file in self.candidates(key) {
            if file.meta.properties.max_seq <= newer_than {
                continue;
            }
            match file.lookup(key, filter::hash(key), SEQ_LAST)? {
                Lookup::Found { seq, .. } | Lookup::Separated { seq, .. } | Lookup::Deleted { seq } => {
                    return Ok(Some(seq).filter(|&seq| seq > newer_than));
                }
                Lookup::Missing => {}
            }
        }
        Ok(None)
    }

    /// Whether a commit after `seq` changed any key of the range.
    pub(crate) fn changed_since(&self, range: &KeyRange, seq: CommitSeq) -> Result<bool> {
        for (_, file) in self.files() {
            if file.meta.properties.max_seq <= seq || !in_range(&file.meta, range) {
                continue;
            }
            let table = file.table()?;
            let deleted = table.fragments().pieces().iter().any(|piece| {
                range.overlaps(&piece.start, Some(&piece.end)) && piece.seqs.iter().any(|&at| at > seq)
            });
            if deleted {
                return Ok(true);
            }
            let mut cursor = TableCursor::new(table);
            cursor.seek(&range.start_key(), SEQ_LAST)?;
            while cursor.valid() && !range.is_past_end(cursor.key()) {
                if cursor.seq() > seq {
                    return Ok(true);
                }
                cursor.next()?;
            }
        }
        Ok(false)
    }

    /// Cursors that together hold every entry of the range, newest first, and maybe entries beside it.
    pub(crate) fn cursors(&self, range: &KeyRange) -> Result<Vec<Box<dyn Cursor>>> {
        let mut cursors: Vec<Box<dyn Cursor>> = Vec::new();
        for file in self.levels[0].iter().filter(|file| in_range(&file.meta, range)) {
            cursors.push(Box::new(TableCursor::new(file.table()?)));
        }
        for level in &self.levels[1..] {
            let files = files_in_range(level, range);
            match files {
                [] => {}
                [one] => cursors.push(Box::new(TableCursor::new(one.table()?))),
                more => cursors.push(Box::new(LevelCursor::new(more.to_vec(), None))),
            }
        }
        Ok(cursors)
    }

    /// The range tombstones that reach into the range.
    pub(crate) fn tombstones(&self, range: &KeyRange) -> Result<Vec<RangeTombstone>> {
        let mut found = Vec::new();
        if !self.has_tombstones {
            return Ok(found);
        }
        for (_, file) in self.files() {
            if file.meta.properties.range_tombstones > 0 && in_range(&file.meta, range) {
                for piece in file.table()?.fragments().pieces() {
                    if range.overlaps(&piece.start, Some(&piece.end)) {
                        found.extend(piece.seqs.iter().map(|&seq| RangeTombstone {
                            start: piece.start.clone(),
                            end: piece.end.clone(),
                            seq,
                        }));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Whether a file may hold a key of the range.
pub(crate) fn in_range(meta: &FileMeta, range: &KeyRange) -> bool {
    let start = range.start_key();
    !meta.ends_before(&start) && !range.is_past_end(&meta.properties.smallest)
}

/// The files of a sorted level that may hold a key of the range.
pub(crate) fn files_in_range<'a>(level: &'a [Arc<TableFile>], range: &KeyRange) -> &'a [Arc<TableFile>] {
    let start = range.start_key();
    let from = level.partition_point(|file| file.meta.ends_before(&start));
    let to = level.partition_point(|file| !range.is_past_end(&file.meta.properties.smallest));
    &level[from..to.max(from)]
}
