//! How a store is opened and how a transaction runs: every bound of the store in one place.
//!
//! Guarantees: the defaults are good for a general workload on a small machine; [`Options::validate`]
//! refuses combinations that cannot work.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::blob::Blobs;
use crate::compaction::rewrite::Separation;
use crate::error::{Error, Result};
use crate::sst::writer::Layout;

/// Greatest length of a key in bytes: 64 KiB for the user's part, and 64 bytes for prefixes and
/// suffixes that the engine adds.
pub const KEY_BYTES_MAX: usize = 64 * 1024 + 64;

/// Greatest length of a value in bytes: 1 GiB.
pub const VALUE_BYTES_MAX: usize = 1 << 30;

/// Greatest number of filter bits per key.
const FILTER_BITS_MAX: u32 = 64;

/// What a commit waits for before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// The log is on stable storage (one `fdatasync` for all commits of a group).
    #[default]
    Sync,
    /// The log is with the operating system; it is synced in the background after
    /// [`Options::async_interval`]. A crash of the process loses nothing, a power cut loses at most
    /// the last commits, never one from the middle.
    Async,
    /// The log is in a buffer of the process, written when [`Options::wal_buffer_bytes`] wait, or
    /// with the next synced commit, `sync`, `flush` or `close`. A crash loses at most the last
    /// commits, never one from the middle.
    None,
}

/// What concurrent transactions may see of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// A new snapshot for each statement ([`crate::Txn::begin_statement`]); a write waits for whoever wrote the key
    /// before, then goes on from what that one left.
    ReadCommitted,
    /// Reads come from one snapshot; a write waits for whoever wrote the key before, and conflicts at once if that
    /// one committed.
    RepeatableRead,
    /// Reads come from one snapshot; nothing waits: of two transactions that write one key the first to commit wins.
    #[default]
    Snapshot,
    /// As `Snapshot`, and the keys and ranges read are validated at commit: the result is that of
    /// some serial order (the commit order).
    Serializable,
}

impl Isolation {
    /// Whether writes take locks as they are made, and so wait for each other; else conflicts show at commit.
    pub fn is_locking(self) -> bool {
        matches!(self, Isolation::ReadCommitted | Isolation::RepeatableRead)
    }
}

/// The order of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Ascending keys.
    #[default]
    Forward,
    /// Descending keys.
    Reverse,
}

/// How a transaction runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct TxnOptions {
    /// The isolation level; `Snapshot` by default.
    pub isolation: Isolation,
    /// What the commit waits for; `None` takes the store's [`Options::sync`].
    pub sync: Option<SyncMode>,
    /// A number of the client's, written to the log with the commit.
    pub client_token: u64,
}

/// How files are merged in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compaction {
    /// Each level is one sorted run, a multiple of the one above: lookups and scans look into few runs, little
    /// space is wasted, each byte is rewritten about ten times. For reads, and for mixed work.
    #[default]
    Leveled,
    /// Runs of similar size are merged: each byte is rewritten a few times, at up to seven runs and, for a
    /// while, twice the space. For much writing.
    Tiered,
    /// As [`Compaction::Tiered`] inside windows of time of this length (by the clock when a memtable is flushed;
    /// at least a microsecond), which never mix: for data that is written once and deleted by age.
    TimeWindow(Duration),
}

/// How the blocks of a file are compressed. Files keep what they were written with until compaction rewrites
/// them; every build reads what it can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4: about 1 GB/s to write and 3 GB/s to read on one core.
    #[default]
    Lz4,
    /// Zstandard with a level from 1 to 19: smaller by a tenth (half-random values) to almost a half (JSON)
    /// than LZ4, two to three times slower to write at level 1 and slower with every level, slower to read by
    /// up to three times. For builds with the feature `zstd`; others refuse it, and refuse to read it with
    /// [`Error::NotBuiltIn`].
    Zstd(i32),
}

/// What the cache gives up first when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Eviction {
    /// What was used once only, then what was not used for long: a scan does not flush what is used again
    /// and again.
    #[default]
    S3Fifo,
    /// What was not used for the longest time.
    Lru,
    /// What was used the least, where old uses count less and less.
    Lfu,
}

/// Bits per key of the filters that spare point lookups the reading of a block, by how far the level of a
/// file lies above the deepest level that holds files. Every lookup of an absent key has to pass all levels,
/// and each level is a tenth of the next: dense filters above cost little memory and spare most.
///
/// 0 writes no filter; the limit is 64. False positives: 2.4 % at 8 bits, 1 % at 10, 0.09 % at 16, under
/// 0.002 % at 32 and above. Files keep the filters that they were written with until compaction rewrites them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterTiers {
    /// Level 0 and all levels but the two deepest; default 32.
    pub upper: u32,
    /// The level above the deepest; default 16.
    pub middle: u32,
    /// The deepest level, most of the data; default 8.
    pub bottom: u32,
}

impl Default for FilterTiers {
    fn default() -> FilterTiers {
        FilterTiers { upper: 32, middle: 16, bottom: 8 }
    }
}

impl FilterTiers {
    /// Bits per key for files of `level` where `bottom` is the deepest level with files.
    pub(crate) fn bits(&self, level: usize, bottom: usize) -> u32 {
        match bottom.saturating_sub(level) {
            _ if level == 0 => self.upper,
            0 => self.bottom,
            1 => self.middle,
            _ => self.upper,
        }
    }
}

/// How a store is opened. All sizes are in bytes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Create the database where there is none; default true.
    pub create_if_missing: bool,
    /// What a commit waits for by default; default [`SyncMode::Sync`].
    pub sync: SyncMode,
    /// Longest time before an [`SyncMode::Async`] commit is synced; default 100 ms.
    pub async_interval: Duration,
    /// Greatest size of one transaction's writes; default 2 GiB.
    pub transaction_bytes_max: usize,
    /// What locks may take, some 300 bytes each; beyond it writes go on without locks, validated at commit only, and
    /// locks asked for explicitly fail with [`Error::LocksFull`]; default 64 MiB, at least 64 KiB.
    pub lock_bytes_max: usize,
    /// What commits begun with [`crate::Txn::commit_async`] and [`crate::Store::write_async`] may hold until they are done:
    /// their records and some 256 bytes each; default 256 MiB. Beyond it they fail with [`Error::CommitsFull`], but for
    /// one that nothing else is waiting with.
    pub awaited_bytes_max: usize,
    /// All versions are kept for at least this long, for [`crate::Store::snapshot_at`]; `None`, the default, keeps what
    /// snapshots and transactions read. What is overwritten takes space until then. Of earlier
    /// runs without a retention the times are not known.
    pub retention: Option<Duration>,
    /// A snapshot or transaction that is older than this does not keep versions from being dropped; once some were, its
    /// reads and its commit fail with [`Error::SnapshotTooOld`]. `None`, the default, lets it keep them for ever.
    pub snapshot_age_max: Option<Duration>,
    /// A memtable of this size is flushed to an SST; default 64 MiB, and never more than an eighth of
    /// [`Options::memory_bytes`].
    pub memtable_bytes: usize,
    /// Memtables waiting to be flushed before writers are stopped; default 2.
    pub immutable_memtables_max: usize,
    /// Size of a log segment; a longer record makes a longer segment; default 64 MiB, and never more than an eighth
    /// of [`Options::memory_bytes`], because recovery reads a segment at once.
    pub wal_segment_bytes: u64,
    /// The log file is preallocated in steps of this size; default 4 MiB.
    pub wal_allocate_bytes: u64,
    /// Log segments kept, when they are no longer needed, to be written again; default 1, at most 64. A sync of a
    /// file that was written before need not wait for the file system to allocate anything; each costs the space of
    /// a segment until the store is closed. 0 removes them at once.
    pub wal_recycle_segments: usize,
    /// Greatest length of the log that a recovery would read; default 1 GiB, and never less than two segments
    /// ([`Options::wal_segment_bytes`]). At half of it the memtable that keeps the oldest segment from going is
    /// flushed, full or not; at all of it commits wait for that. A group of commits may go beyond it, and files may
    /// be longer by what is preallocated and kept.
    pub wal_bytes_max: u64,
    /// Greatest size of unwritten log under [`SyncMode::None`]; default 1 MiB.
    pub wal_buffer_bytes: usize,
    /// What memtables, cached blocks, filters and indexes may use together, with an eighth set aside for
    /// compaction and the log; at least 1 MiB. `None` is a quarter of the memory of the machine or of the
    /// control group, whichever is less, and at most 512 MiB. [`Options::memtable_bytes`] is brought down to an
    /// eighth of it, and the cache gets what the memtables leave, a quarter at least.
    pub memory_bytes: Option<usize>,
    /// Size of the cache of blocks, filters and indexes, whatever [`Options::memory_bytes`] would leave for
    /// it; `None`, the default, is that. 0 caches nothing: then each lookup reads filter and index too.
    pub cache_bytes: Option<usize>,
    /// What the cache gives up first; default [`Eviction::S3Fifo`].
    pub eviction: Eviction,
    /// How blocks are compressed, by level; the last entry holds for all levels below it. Default LZ4
    /// everywhere. Not empty. A block is stored as it is where that saves no page of 4 KiB.
    pub compression: Vec<Compression>,
    /// Size of a block on disk aimed at, a multiple of 4 KiB; default 4 KiB.
    pub block_bytes: usize,
    /// Filter bits per key, by level; default 32, 16 and 8.
    pub filters: FilterTiers,
    /// Values of this length and longer are kept in blob files beside the SSTs, so that compaction does not
    /// rewrite them; 0 keeps all values in the SSTs; default 4096, from which on reading
    /// gains much and scanning loses nothing. Values are separated when a memtable is
    /// flushed or an SST rewritten; those in blob files stay there whatever the option says.
    pub blob_bytes_min: usize,
    /// A blob file of which this part is not used any more (in percent, 1 to 100) is emptied by compaction:
    /// what is still used moves to a new file. Less gives space back sooner, and writes more; default 25.
    pub blob_garbage_percent: u32,
    /// Size of a blob file aimed at; default 256 MiB.
    pub blob_file_bytes: u64,
    /// How files are merged; default [`Compaction::Leveled`].
    pub compaction: Compaction,
    /// Prefixes of keys that are compacted in another way, apart from all others; no prefix may begin with
    /// another. Default none, at most 64. Changed rules take hold as files are rewritten, which begins at once.
    pub compaction_rules: Vec<(Vec<u8>, Compaction)>,
    /// Workers of one big compaction, each for a range of its keys; 0, the default, is half the processors,
    /// from 1 to 4.
    pub compaction_workers: usize,
    /// Bytes that compactions may write in a second, 0 = any number; default 0. Not kept while writers wait for
    /// a compaction; flushes are never slowed.
    pub compaction_bytes_per_second: u64,
    /// A forward scan that goes on from block to block reads so many bytes at once, beginning with 32 KiB and
    /// doubling; 0 reads block by block; default 256 KiB, and never more than a 512th of
    /// [`Options::memory_bytes`] or less than 32 KiB.
    pub readahead_bytes: usize,
    /// A second directory, on a slower disk perhaps, for the SSTs of [`Options::slow_level`] and below; default
    /// `None`. An absolute path, missing or empty at first, of no other database. Log, blob files and upper levels
    /// stay in the database's directory, which remembers the second one: opened without this option, files in it are
    /// read where they are, and compaction brings them back in time. After moving the directory (with the database
    /// closed) say here where it is. Opening fails where it is missing and files lie in it. A checkpoint is one
    /// directory, with copies of these files where they cannot be linked; copy a database by one, because copies
    /// of its directory alone would share the second.
    pub slow_path: Option<PathBuf>,
    /// The first level whose new SSTs go to [`Options::slow_path`]; default 3, from 1 to 6. Each level holds
    /// [`Options::level_ratio`] times the one above: the levels 0 to 2 hold up to some 2.8 GiB by default.
    pub slow_level: usize,
    /// SSTs and blob files kept open at once; default 512, at least 8, and never more than half of what the process
    /// may open (`RLIMIT_NOFILE`). The longest unused are closed first. What scans and compactions read at the
    /// moment stays open beside them; the log and the manifest need a few more.
    pub open_files_max: usize,
    /// Read SSTs and blob files through memory mappings; default false. Saves a system call where a block is not in
    /// the cache but in the system's; the answers are the same, and damage is found and told the same way. Mapped
    /// pages count as the process's resident memory, though the system takes them back when it needs them. A disk
    /// that cannot read a page, or another program that cuts a file, ends the process (SIGBUS) instead of giving an
    /// error: that is why it is off.
    pub mmap_reads: bool,
    /// Files in level 0 that start a compaction; default 4.
    pub l0_compaction_files: usize,
    /// Files in level 0 from which writers are slowed; default 12.
    pub l0_slow_files: usize,
    /// Files in level 0 at which writers wait; default 24.
    pub l0_stop_files: usize,
    /// Size of level 1; default 256 MiB.
    pub level1_bytes: u64,
    /// Size of each level as a multiple of the one above; default 10.
    pub level_ratio: u64,
    /// Size of an SST aimed at; default 64 MiB.
    pub target_file_bytes: u64,
    /// When nothing was committed for this long, the background flushes and compacts what is not worth it under
    /// load: the log goes, old versions and deletes give back their space; 0 = never; default 3 s.
    pub rest_after: Duration,
    /// Flush and compact in background tasks; default true. Off, the work is done only by `flush`
    /// and `compact` and by a writer that would have to wait for it.
    pub background: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            create_if_missing: true,
            sync: SyncMode::Sync,
            async_interval: Duration::from_millis(100),
            transaction_bytes_max: 2 << 30,
            lock_bytes_max: 64 << 20,
            awaited_bytes_max: 256 << 20,
            retention: None,
            snapshot_age_max: None,
            memtable_bytes: 64 << 20,
            immutable_memtables_max: 2,
            wal_segment_bytes: 64 << 20,
            wal_allocate_bytes: 4 << 20,
            wal_recycle_segments: 1,
            wal_bytes_max: 1 << 30,
            wal_buffer_bytes: 1 << 20,
            memory_bytes: None,
            cache_bytes: None,
            eviction: Eviction::default(),
            compression: vec![Compression::Lz4],
            block_bytes: 4096,
            filters: FilterTiers::default(),
            blob_bytes_min: 4096,
            blob_garbage_percent: 25,
            blob_file_bytes: 256 << 20,
            compaction: Compaction::Leveled,
            compaction_rules: Vec::new(),
            compaction_workers: 0,
            compaction_bytes_per_second: 0,
            readahead_bytes: 256 << 10,
            slow_path: None,
            slow_level: 3,
            open_files_max: 512,
            mmap_reads: false,
            l0_compaction_files: 4,
            l0_slow_files: 12,
            l0_stop_files: 24,
            level1_bytes: 256 << 20,
            level_ratio: 10,
            target_file_bytes: 64 << 20,
            rest_after: Duration::from_secs(3),
            background: true,
        }
    }
}

impl Options {
    /// How a file of `level` is laid out where `bottom` is the deepest level with files.
    pub(crate) fn layout(&self, level: usize, bottom: usize) -> Layout {
        Layout {
            compression: self.compression.get(level).or(self.compression.last()).copied().unwrap_or_default(),
            block_bytes: self.block_bytes,
            filter_bits: self.filters.bits(level, bottom),
            blobs: self.blob_bytes_min > 0,
        }
    }

    /// Which values go to blob files, besides those of `moved`.
    pub(crate) fn separation(&self, blobs: &Arc<Blobs>, moved: BTreeSet<u64>) -> Separation {
        Separation {
            bytes_min: self.blob_bytes_min,
            file_bytes: self.blob_file_bytes,
            blobs: Arc::clone(blobs),
            moved,
        }
    }

    /// Length that the log may have.
    pub(crate) fn wal_bytes_allowed(&self) -> u64 {
        self.wal_bytes_max.max(2 * self.wal_segment_bytes)
    }

    /// Refuses options that cannot work.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] names the option.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::InvalidArgument(what.to_string()));
        if self.lock_bytes_max < 64 << 10 {
            return refuse("lock_bytes_max must be at least 64 KiB");
        }
        if self.memtable_bytes < 4096 {
            return refuse("memtable_bytes must be at least 4096");
        }
        if self.memory_bytes.is_some_and(|bytes| bytes < 1 << 20) {
            return refuse("memory_bytes must be at least 1 MiB");
        }
        if self.wal_segment_bytes < 4096 || self.wal_segment_bytes > 1 << 40 {
            return refuse("wal_segment_bytes must be from 4096 to 2^40");
        }
        if self.wal_allocate_bytes == 0 {
            return refuse("wal_allocate_bytes must not be 0");
        }
        if self.wal_recycle_segments > 64 {
            return refuse("wal_recycle_segments must be at most 64");
        }
        if self.slow_path.as_ref().is_some_and(|path| !path.is_absolute()) {
            return refuse("slow_path must be absolute");
        }
        if !(1..=6).contains(&self.slow_level) {
            return refuse("slow_level must be from 1 to 6");
        }
        if self.open_files_max < 8 {
            return refuse("open_files_max must be at least 8");
        }
        if self.immutable_memtables_max == 0 {
            return refuse("immutable_memtables_max must not be 0");
        }
        if self.block_bytes == 0 || !self.block_bytes.is_multiple_of(4096) || self.block_bytes > 1 << 20 {
            return refuse("block_bytes must be a multiple of 4096, at most 1 MiB");
        }
        let FilterTiers { upper, middle, bottom } = self.filters;
        if upper.max(middle).max(bottom) > FILTER_BITS_MAX {
            return refuse("filters must have at most 64 bits per key");
        }
        if self.compression.is_empty() {
            return refuse("compression must name a codec");
        }
        if let Some(why) = self.compression.iter().find_map(|compression| compression.refusal()) {
            return refuse(why);
        }
        if self.transaction_bytes_max > 3 << 30 {
            return refuse("transaction_bytes_max must be at most 3 GiB");
        }
        if self.l0_compaction_files == 0
            || self.l0_slow_files < self.l0_compaction_files
            || self.l0_stop_files < self.l0_slow_files
        {
            return refuse("level 0 limits must rise: compaction, slow, stop");
        }
        if !(1..=100).contains(&self.blob_garbage_percent) || self.blob_file_bytes == 0 {
            return refuse("blob_garbage_percent must be from 1 to 100, blob_file_bytes not 0");
        }
        let rules = &self.compaction_rules;
        let nested = rules.iter().enumerate().any(|(at, (prefix, _))| {
            rules.iter().enumerate().any(|(other, (whole, _))| at != other && whole.starts_with(prefix))
        });
        if nested || rules.len() > 64 {
            return refuse("compaction_rules must be at most 64, and no prefix may begin with another");
        }
        let all = rules.iter().map(|(_, compaction)| compaction).chain([&self.compaction]);
        if all.into_iter().any(|compaction| *compaction == Compaction::TimeWindow(Duration::ZERO)) {
            return refuse("a time window must not be empty");
        }
        if self.level1_bytes == 0 || self.level_ratio < 2 || self.target_file_bytes == 0 {
            return refuse("level1_bytes and target_file_bytes must not be 0, level_ratio at least 2");
        }
        Ok(())
    }
}
