//! The figures of a tree: what its levels, blob files and cache hold, and what was done since it was opened.

use std::sync::atomic::Ordering;

use crate::cache::CacheStats;
use crate::sst::filter::FilterStats;
use crate::tree::Tree;
use crate::version::Version;

impl Tree {
    /// Counters since the tree was opened, and what it holds.
    pub(crate) fn stats(&self) -> TreeStats {
        let version = self.version();
        let levels = version.levels().iter().map(|files| LevelStats {
            files: files.len() as u64,
            bytes: files.iter().map(|file| file.meta().file_len).sum(),
            entries: files.iter().map(|file| file.meta().properties.entries).sum(),
            filters: files.iter().map(|file| file.filter_counts()).sum(),
        });
        TreeStats {
            strategy: self.options.compaction.strategy().name(),
            levels: levels.collect(),
            cache: self.blocks.stats(),
            flushes: self.flushes.load(Ordering::Relaxed),
            flushed_bytes: self.flushed_bytes.load(Ordering::Relaxed),
            compactions: self.compactions.load(Ordering::Relaxed),
            compacted_bytes: self.compacted_bytes.load(Ordering::Relaxed),
            flush_micros: self.counters.flush_micros.load(Ordering::Relaxed),
            compaction_micros: self.counters.compaction_micros.load(Ordering::Relaxed),
            compaction_read_bytes: self.counters.compaction_read_bytes.load(Ordering::Relaxed),
            waiting_files: self.waiting.load(Ordering::Relaxed) as u64,
            ingests: self.counters.ingests.load(Ordering::Relaxed),
            ingested_bytes: self.counters.ingested_bytes.load(Ordering::Relaxed),
            open_files: self.tables.handles().count(),
            blobs: BlobStats::of(&version),
        }
    }
}

/// Size of one level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LevelStats {
    /// Files.
    pub files: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// Entries in them: all versions, puts and deletes.
    pub entries: u64,
    /// What their filters did for point lookups, since the store was opened or the file was written.
    pub filters: FilterStats,
}

/// What the tree holds, and counters since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeStats {
    /// How compaction chooses its work.
    pub strategy: &'static str,
    /// By level, 0 first.
    pub levels: Vec<LevelStats>,
    /// The block cache.
    pub cache: CacheStats,
    /// Memtables flushed.
    pub flushes: u64,
    /// Bytes written by flushes.
    pub flushed_bytes: u64,
    /// Compaction jobs done.
    pub compactions: u64,
    /// Bytes written by compactions.
    pub compacted_bytes: u64,
    /// Time that flushes took, and the syncs in them.
    pub flush_micros: u64,
    /// Time that compactions took, waits of the rate limiter in them too.
    pub compaction_micros: u64,
    /// Bytes of the files that compactions read.
    pub compaction_read_bytes: u64,
    /// Files that wait for compaction, as the strategies count them; writers are slowed at
    /// [`crate::Options::l0_slow_files`].
    pub waiting_files: u64,
    /// Ingests done.
    pub ingests: u64,
    /// Bytes written by ingests.
    pub ingested_bytes: u64,
    /// SSTs and blob files that are open, at most [`crate::Options::open_files_max`].
    pub open_files: u64,
    /// The blob files.
    pub blobs: BlobStats,
}

impl TreeStats {
    /// Bytes written to SSTs and blob files for each byte that a memtable or an ingest gave to them; the log,
    /// which takes every other commit once, comes on top. 1 where nothing was written.
    pub fn write_amplification(&self) -> f64 {
        let given = self.flushed_bytes + self.ingested_bytes;
        if given == 0 { 1.0 } else { (given + self.compacted_bytes) as f64 / given as f64 }
    }

    /// Runs that a lookup of an absent key has to pass, by their filters mostly: the files of level 0 and
    /// the levels below that hold any.
    pub fn read_amplification(&self) -> u64 {
        let below = self.levels.iter().skip(1).filter(|level| level.files > 0).count() as u64;
        self.levels.first().map_or(0, |level| level.files) + below
    }

    /// Bytes on disk for each byte of the deepest run and of values in use, which hold what is not replaced
    /// yet by something newer above: an upper bound where data is only added. 1 where there is nothing.
    pub fn space_amplification(&self) -> f64 {
        let all: u64 = self.levels.iter().map(|level| level.bytes).sum::<u64>() + self.blobs.bytes;
        let deepest = self.levels.iter().rfind(|level| level.files > 0).map_or(0, |level| level.bytes);
        let live = deepest + self.blobs.bytes - self.blobs.garbage_bytes;
        if live == 0 { 1.0 } else { all as f64 / live as f64 }
    }
}

/// What the blob files hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobStats {
    /// Files.
    pub files: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// Values in them, those that nothing uses any more too.
    pub values: u64,
    /// Bytes that nothing uses any more.
    pub garbage_bytes: u64,
}

impl BlobStats {
    fn of(version: &Version) -> BlobStats {
        let metas = || version.blobs().files().map(|file| file.meta());
        let uses = version.files().flat_map(|(_, file)| &file.meta().blobs);
        let used: u64 = uses.map(|one| one.bytes).sum();
        BlobStats {
            files: metas().count() as u64,
            bytes: metas().map(|meta| meta.file_len).sum(),
            values: metas().map(|meta| meta.records).sum(),
            garbage_bytes: metas().map(|meta| meta.record_bytes()).sum::<u64>().saturating_sub(used),
        }
    }
}
