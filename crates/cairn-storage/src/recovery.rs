//! Opening a store: find it or create it, lock it, read manifest and log, finish what a crash left.
//!
//! Order: lock → manifest → log from its floor → (after an unclean end) recovered memtables flushed, the
//! floor moved behind the old segments → leftovers removed → workers started.
//!
//! Invariants:
//! - I1: nothing in the directory is changed before the lock is held, and nothing at all in a directory
//!   that is not (the beginning of) a database.
//! - I2: after an unclean end what the log gave is flushed to SSTs before new commits: what a failed fsync
//!   left only in the page cache is not built upon. Where the disk is too full for it, the store opens all the
//!   same, for reading: the first write that finds space does the flush.

use std::path::Path;
use std::sync::Arc;

use cairn_env::{Env, FileLock};

use crate::batch::WriteBatch;
use crate::commit::{CLOCK_COUNTER_BITS, Writer};
use crate::core::{Core, Parts, Sources};
use crate::error::{Error, Result};
use crate::history::History;
use crate::key::{CommitSeq, Kind};
use crate::manifest::identity::{CURRENT, FileName, create_dir, parse_name};
use crate::memtable::{Hint, Memtable};
use crate::options::Options;
use crate::tree::{Tree, TreeState};
use crate::verify::{VerifyReport, verify_closed};
use crate::wal::upkeep::Upkeep;
use crate::wal::{self, Effect, Identity, Log, LogWriter};

/// File name of the lock.
pub(crate) const LOCK: &str = "LOCK";

/// Old segments that a clean open tolerates before it flushes what they hold.
const SEGMENTS_MAX: usize = 4;
/// Writes of the log that are sorted at once.
const GATHERED_BYTES_MAX: usize = 16 << 20;

/// Opens or creates the store and starts its workers.
pub(crate) fn open(env: &Env, dir: &Path, options: Options) -> Result<Arc<Core>> {
    options.validate()?;
    let options = options.with_memory_shared(env);
    if look(env, dir)? == Found::Nothing {
        if !options.create_if_missing {
            return Err(Error::NotFound { path: dir.to_path_buf() });
        }
        create_dir(env, dir)?;
    }
    let file_lock = lock(env, dir)?;
    // Another process may have created it between the look and the lock.
    let (tree, state) = match look(env, dir)? {
        Found::Database => Tree::open(env, dir, &options)?,
        Found::Nothing => Tree::create(env, dir, &options)?,
    };
    let recovered = read_back(env, dir, &options, &state)?;
    // Manifest and log agree: what neither names is nobody's.
    tree.remove_orphans();
    let core = assemble(env, dir, options, tree, &state, recovered, file_lock)?;
    Ok(Arc::new(core))
}

/// Verifies a database that nobody has open.
pub(crate) fn verify(env: &Env, dir: &Path) -> Result<VerifyReport> {
    match look(env, dir) {
        Ok(Found::Nothing) => return Err(Error::NotFound { path: dir.to_path_buf() }),
        Ok(Found::Database) => {}
        // A part is missing: verification tells which.
        Err(Error::Corrupt { .. }) => {}
        Err(error) => return Err(error),
    }
    let _lock = lock(env, dir)?;
    verify_closed(env, dir)
}

/// What a path holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Database,
    /// Nothing, or a creation that was cut short.
    Nothing,
}

/// Tells a database from an empty place; everything else is refused (I1).
fn look(env: &Env, dir: &Path) -> Result<Found> {
    let refuse = |reason: String| Err(Error::NotADatabase { path: dir.to_path_buf(), reason });
    match env.files().metadata(dir) {
        Ok(metadata) if !metadata.is_dir => {
            return refuse("it is a file, a database is a directory".to_string());
        }
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(Error::io("look at", dir, e)),
    }
    let names = env.files().list(dir).map_err(|e| Error::io("list", dir, e))?;
    if names.iter().any(|name| name == CURRENT) {
        return Ok(Found::Database);
    }
    for name in &names {
        match parse_name(name) {
            Some(FileName::Sst(_) | FileName::Wal(_) | FileName::Blob(_)) => {
                let what = format!("the file expected, it is missing, though there is {name}");
                return Err(Error::corrupt(&dir.join(CURRENT), 0, what));
            }
            Some(_) => {}
            None => return refuse(format!("there are other files in it, such as {name}")),
        }
    }
    Ok(Found::Nothing)
}

/// Takes the lock of a database directory.
pub(crate) fn lock(env: &Env, dir: &Path) -> Result<Box<dyn FileLock>> {
    let path = dir.join(LOCK);
    match env.files().lock_exclusive(&path) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(Error::Locked { path: dir.to_path_buf() }),
        Err(error) => Err(Error::io("lock", &path, error)),
    }
}

/// The log, read into memtables.
struct Recovered {
    identity: Identity,
    log: Log,
    /// Newest first; the first takes new commits.
    memtables: Vec<Arc<Memtable>>,
    /// When commits were made, where there is a retention.
    history: Option<History>,
    /// Whether the log is as a clean close left it, all of it durable.
    was_clean: bool,
}

/// Turns the log's effects into memtables: gathers some, sorts them, and inserts each beside the one before.
struct Replay {
    /// Newest first.
    memtables: Vec<Arc<Memtable>>,
    hint: Hint,
    gathered: WriteBatch,
    /// The commit of each gathered write.
    seqs: Vec<CommitSeq>,
    gathered_bytes_max: usize,
    memtable_bytes: usize,
}

impl Replay {
    fn new(options: &Options) -> Replay {
        Replay {
            memtables: vec![Arc::new(Memtable::new())],
            hint: Hint::default(),
            gathered: WriteBatch::new(),
            seqs: Vec::new(),
            gathered_bytes_max: (options.memtable_bytes / 4).min(GATHERED_BYTES_MAX),
            memtable_bytes: options.memtable_bytes,
        }
    }

    fn begin_record(&mut self, segment: u64) {
        if self.gathered.bytes() >= self.gathered_bytes_max {
            self.settle();
        }
        if self.memtables[0].memory_bytes() >= self.memtable_bytes {
            self.settle();
            self.memtables.insert(0, Arc::new(Memtable::new()));
        }
        self.memtables[0].note_segment(segment);
    }

    fn add(&mut self, seq: CommitSeq, effect: Effect<'_>) -> Result<()> {
        match effect {
            Effect::Put { key, value } => self.gathered.put(key, value)?,
            Effect::Delete { key } => self.gathered.delete(key)?,
            Effect::DeleteRange { start, end } => {
                self.memtables[0].delete_range(start, end, seq);
                return Ok(());
            }
        }
        self.seqs.push(seq);
        Ok(())
    }

    fn settle(&mut self) {
        for (write, key, value) in self.gathered.sorted() {
            let (kind, value) = value.map_or((Kind::Delete, &b""[..]), |value| (Kind::Put, value));
            self.memtables[0].insert(key, self.seqs[write as usize], kind, value, &mut self.hint);
        }
        self.gathered.clear();
        self.seqs.clear();
    }

    fn finish(mut self) -> Vec<Arc<Memtable>> {
        self.settle();
        self.memtables
    }
}

fn read_back(env: &Env, dir: &Path, options: &Options, state: &TreeState) -> Result<Recovered> {
    let identity = Identity { database_id: state.database_id, epoch: state.epoch };
    let mut replay = Replay::new(options);
    let mut history = options.retention.map(|retention| History::new(retention, &state.times));
    let log = wal::read_log(env, dir, &identity, state.log_floor, state.last_seq, &mut |segment, record| {
        if record.header.seq <= state.last_seq {
            return Ok(());
        }
        replay.begin_record(segment);
        if let Some(history) = &mut history {
            history.note(record.header.time >> CLOCK_COUNTER_BITS, record.header.seq);
        }
        for effect in record.effects() {
            // The reader adds the place.
            let effect = effect.map_err(|what| Error::corrupt(dir, 0, what))?;
            replay.add(record.header.seq, effect)?;
        }
        Ok(())
    })?;
    let memtables = replay.finish();
    log.check_reaches(dir, state.log_floor, state.durable_seq)?;
    // A seal may be in the page cache only; that a close went through to the end is known from the manifest.
    let was_clean = log.is_sealed && state.durable_seq >= log.last_seq;
    Ok(Recovered { identity, log, memtables, history, was_clean })
}

fn assemble(
    env: &Env,
    dir: &Path,
    options: Options,
    tree: Tree,
    state: &TreeState,
    recovered: Recovered,
    file_lock: Box<dyn FileLock>,
) -> Result<Core> {
    let Recovered { identity, log, mut memtables, history, was_clean } = recovered;
    let len = |segment: &u64| {
        let path = dir.join(wal::format::file_name(*segment));
        (*segment, env.files().metadata(&path).map_or(0, |metadata| metadata.len))
    };
    let found: Vec<(u64, u64)> = log.segments.iter().map(len).collect();
    let upkeep = Upkeep::new(options.wal_recycle_segments, &found);
    let writer = LogWriter::new(env, dir, identity, &options, upkeep, log.unborn, log.last_seq);
    let has_data = memtables.iter().any(|table| !table.is_empty());
    let flush = !was_clean || has_data && (memtables.len() > 1 || log.segments.len() > SEGMENTS_MAX);
    let active = if flush { Arc::new(Memtable::new()) } else { memtables.remove(0) };
    memtables.retain(|table| !table.is_empty());
    let sources = Sources { active, immutable: memtables, version: tree.version() };
    let core = Core::new(Parts {
        env: env.clone(),
        dir: dir.to_path_buf(),
        options,
        tree,
        sources,
        writer: Writer::new(writer, log.last_seq, log.last_time),
        last_seq: log.last_seq,
        kept_from: state.kept_from.map_or(log.last_seq, |kept| kept.min(log.last_seq)),
        history,
        last_txn_id: log.last_txn_id,
        file_lock,
        recovering: flush,
    });
    if flush {
        match core.finish_recovery() {
            Ok(()) | Err(Error::DiskFull { .. }) => {}
            Err(error) => return Err(error),
        }
    } else {
        core.remove_segments_below(state.log_floor);
    }
    Ok(core)
}
