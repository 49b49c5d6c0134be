//! Appending to the log. One writer at a time (the commit leader, under its lock).
//!
//! ```text
//! file:    header │ records written and maybe synced │ (preallocated zeros)
//!                                                    ▲ written
//! pending:                                           │ acknowledged without sync │ staged │
//!                                                                                ▲ mark
//! ```
//! `stage` puts records behind `pending`; `write` hands all of it to the operating system, or, when that
//! fails, takes the staged ones away again and cuts the file back to `written`.
//!
//! Invariants:
//! - I1: a failed append leaves file and buffer as they were before the records were staged; where that
//!   cannot be made sure the log is broken for good (`Error::Poisoned`).
//! - I2: a segment is created only when the one before it is sealed and synced; records are appended only
//!   when header and directory entry are synced.
//! - I3: fsync is never tried again after it failed: the caller poisons the store.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_env::{Env, File, OpenMode};

use crate::error::{Error, Result};
use crate::latency::Histogram;
use crate::options::Options;

use super::format::{HEADER_BYTES, Identity, RecordBuffer, RecordHeader, SegmentHeader, file_name};
use super::reader::seal;
use super::upkeep::Upkeep;

/// A record of at least this size goes to the file from its own buffer.
const DIRECT_BYTES: usize = 64 * 1024;

/// Capacity that an idle buffer may keep.
const KEEP_BYTES: usize = 2 << 20;

/// A segment with more records than this, none of them needed, is left for a new one.
const LEFT_BYTES: u64 = 1 << 20;

struct Segment {
    number: u64,
    path: PathBuf,
    file: Arc<dyn File>,
    /// End of what was acknowledged and handed to the operating system.
    written: u64,
    /// End of what was handed over, staged records included.
    tail: u64,
    synced: u64,
    allocated: u64,
    may_allocate: bool,
}

/// The appending end of the log.
pub(crate) struct LogWriter {
    env: Env,
    dir: PathBuf,
    meter: Arc<Meter>,
    upkeep: Arc<Upkeep>,
    identity: Identity,
    segment_bytes: u64,
    allocate_bytes: u64,
    current: Option<Segment>,
    /// A number that was taken and holds no commit: the next segment gets it.
    reserved: Option<u64>,
    pending: Vec<u8>,
    mark: usize,
    last_seq: u64,
}

/// What the log did since the store was opened.
#[derive(Debug)]
pub(crate) struct Meter {
    env: Env,
    pub(crate) bytes: AtomicU64,
    pub(crate) created: AtomicU64,
    pub(crate) recycled: AtomicU64,
    pub(crate) syncs: Histogram,
}

impl Meter {
    fn new(env: &Env) -> Meter {
        let [bytes, created, recycled] = [0; 3].map(AtomicU64::new);
        Meter { env: env.clone(), bytes, created, recycled, syncs: Histogram::default() }
    }

    fn wrote(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Runs a sync and notes how long it took.
    fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let begun = self.env.clock().monotonic_nanos();
        let result = sync();
        self.syncs.note(self.env.clock().monotonic_nanos().saturating_sub(begun));
        result
    }
}

/// A sync that can run without the writer's lock.
pub(crate) struct SyncJob {
    meter: Arc<Meter>,
    file: Arc<dyn File>,
    path: PathBuf,
    number: u64,
    upto: u64,
}

impl SyncJob {
    /// Syncs. A failure must poison the store (I3).
    pub(crate) fn run(&self) -> Result<()> {
        self.meter.sync(|| self.file.sync_data()).map_err(|e| Error::io("sync", &self.path, e))
    }
}

impl LogWriter {
    pub(crate) fn new(
        env: &Env,
        dir: &Path,
        identity: Identity,
        options: &Options,
        upkeep: Upkeep,
        reserved: Option<u64>,
        last_seq: u64,
    ) -> LogWriter {
        LogWriter {
            env: env.clone(),
            dir: dir.to_path_buf(),
            meter: Arc::new(Meter::new(env)),
            upkeep: Arc::new(upkeep),
            identity,
            segment_bytes: options.wal_segment_bytes,
            allocate_bytes: options.wal_allocate_bytes,
            current: None,
            reserved,
            pending: Vec::new(),
            mark: 0,
            last_seq,
        }
    }

    /// How long the log is, and what is kept of it.
    pub(crate) fn upkeep(&self) -> &Arc<Upkeep> {
        &self.upkeep
    }

    /// What the log did.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// The segment that is written, if there is one.
    pub(crate) fn current(&self) -> Option<u64> {
        self.current.as_ref().map(|segment| segment.number)
    }

    /// The segment that the next record goes to, created if there is none.
    pub(crate) fn ensure_segment(&mut self, new_number: impl FnOnce() -> u64) -> Result<u64> {
        if let Some(segment) = &self.current {
            return Ok(segment.number);
        }
        let number = self.reserved.unwrap_or_else(new_number);
        // Kept until the segment is there: a file without commits must not stay between two segments.
        self.reserved = Some(number);
        self.create_segment(number)?;
        self.reserved = None;
        Ok(number)
    }

    /// The first segment that records from now on need: where the current one holds many it is left for a new one,
    /// so that these can go.
    pub(crate) fn leave_segment(&mut self, new_number: impl FnOnce() -> u64) -> Result<u64> {
        let long = LEFT_BYTES.min(self.segment_bytes / 4);
        if self.current.as_ref().is_some_and(|segment| segment.written > long) {
            self.seal_segment(self.upkeep.keeps_files())?;
        }
        self.ensure_segment(new_number)
    }

    /// Gives back what is allocated behind the records. Best effort: it only costs space.
    pub(crate) fn trim(&mut self) {
        let Some(segment) = self.current.as_mut().filter(|segment| segment.allocated > segment.tail) else {
            return;
        };
        if segment.file.set_len(segment.tail).is_ok() {
            segment.allocated = segment.tail;
        }
    }

    /// Makes sure of a segment with room for `len` bytes: a full one is sealed and a new one begun. Call it
    /// before the first record of a batch is staged.
    pub(crate) fn prepare(&mut self, len: usize, new_number: impl FnOnce() -> u64) -> Result<u64> {
        debug_assert_eq!(self.mark, self.pending.len());
        if let Some(segment) = &self.current {
            let end = segment.tail + self.pending.len() as u64;
            let holds_records = end > HEADER_BYTES as u64;
            if holds_records && end + len as u64 > self.segment_bytes {
                self.seal_segment(self.upkeep.keeps_files())?;
            }
        }
        self.ensure_segment(new_number)
    }

    /// Adds a commit's record behind those staged before. `header.synced_offset` is filled in here.
    pub(crate) fn stage(&mut self, record: &mut RecordBuffer, mut header: RecordHeader) -> Result<()> {
        let segment = self.current.as_mut().expect("I2: `prepare` made a segment");
        header.synced_offset = segment.synced;
        header.epoch = self.identity.epoch;
        let offset = segment.tail + self.pending.len() as u64;
        let len = record.len();
        let bytes = record.finish(&header, &self.identity, segment.number, offset);
        let staged = if self.pending.is_empty() && bytes.len() >= DIRECT_BYTES {
            segment.reserve(segment.tail + bytes.len() as u64, self.allocate_bytes, self.segment_bytes);
            let written = segment.file.write_all_at(bytes, offset);
            if written.is_ok() {
                segment.tail += bytes.len() as u64;
                self.meter.wrote(bytes.len());
            }
            written.map_err(|e| Error::io("write", &segment.path, e))
        } else {
            self.pending.extend_from_slice(bytes);
            Ok(())
        };
        // After an error too: its effects are still looked at.
        record.unfinish(len);
        staged
    }

    /// Hands everything staged and pending to the operating system.
    pub(crate) fn write(&mut self) -> Result<()> {
        let Some(segment) = self.current.as_mut() else { return Ok(()) };
        if !self.pending.is_empty() {
            let end = segment.tail + self.pending.len() as u64;
            segment.reserve(end, self.allocate_bytes, self.segment_bytes);
            segment
                .file
                .write_all_at(&self.pending, segment.tail)
                .map_err(|e| Error::io("write", &segment.path, e))?;
            segment.tail = end;
            self.meter.wrote(self.pending.len());
            self.pending.clear();
            self.pending.shrink_to(KEEP_BYTES);
        }
        segment.written = segment.tail;
        self.upkeep.note_length(segment.written);
        self.mark = 0;
        Ok(())
    }

    /// Accepts what was staged without handing it over; `accept_last_seq` follows.
    pub(crate) fn keep_pending(&mut self) {
        if let Some(segment) = self.current.as_mut() {
            segment.written = segment.tail;
        }
        self.mark = self.pending.len();
    }

    /// Bytes that wait in the process.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Notes the last commit that was accepted: a seal and the next segment's header name it.
    pub(crate) fn accept_last_seq(&mut self, seq: u64) {
        self.last_seq = seq;
    }

    /// Takes the staged records away again after a failed `stage` or `write` (I1).
    pub(crate) fn undo(&mut self) -> Result<()> {
        self.pending.truncate(self.mark);
        let Some(segment) = self.current.as_mut() else { return Ok(()) };
        segment.tail = segment.written;
        segment.allocated = segment.written;
        segment.may_allocate = false;
        // Synced at once: a cut that a crash undoes would bring back commits whose failure was reported.
        let cut = segment.file.set_len(segment.written).and_then(|()| segment.file.sync_all());
        cut.map_err(|e| Error::Poisoned {
            cause: format!("cannot take back a failed append to {}: {e}", segment.path.display()),
        })?;
        segment.synced = segment.written;
        Ok(())
    }

    /// The sync that is due, if any; `write` first. Run it with or without the lock, then `note_synced`.
    pub(crate) fn sync_job(&self) -> Option<SyncJob> {
        let segment = self.current.as_ref().filter(|segment| segment.synced < segment.written)?;
        Some(SyncJob {
            meter: Arc::clone(&self.meter),
            file: Arc::clone(&segment.file),
            path: segment.path.clone(),
            number: segment.number,
            upto: segment.written,
        })
    }

    /// Notes that a sync succeeded.
    pub(crate) fn note_synced(&mut self, job: &SyncJob) {
        if let Some(segment) = self.current.as_mut().filter(|segment| segment.number == job.number) {
            segment.synced = segment.synced.max(job.upto);
        }
    }

    /// Ends the current segment: all written, synced, sealed, synced. Without one nothing happens; one without
    /// a record is just left: it is begun again. What is allocated behind the seal is given back, unless the file
    /// is to be written again.
    pub(crate) fn seal_segment(&mut self, keeps_file: bool) -> Result<()> {
        if self.current.is_none() {
            return Ok(());
        }
        self.write()?;
        if self.current.as_ref().is_some_and(|segment| segment.written == HEADER_BYTES as u64) {
            // No seal without a record: after a failed sync it could be read from the page cache, and only
            // a commit later than the last clean close tells that it is not to be trusted.
            self.current = None;
            return Ok(());
        }
        if let Some(job) = self.sync_job() {
            job.run().map_err(|e| poisoned(&e))?;
            self.note_synced(&job);
        }
        let Some(segment) = self.current.as_mut() else { return Ok(()) };
        let seal = seal(&self.identity, segment.number, segment.written, self.last_seq);
        let end = segment.written + seal.len() as u64;
        let (file, path) = (&segment.file, &segment.path);
        if let Err(e) = file.write_all_at(&seal, segment.written) {
            let error = Error::io("write", path, e);
            self.undo()?;
            return Err(error);
        }
        self.meter.wrote(seal.len());
        let cut = if keeps_file { Ok(()) } else { file.set_len(end) };
        cut.and_then(|()| self.meter.sync(|| file.sync_all()))
            .map_err(|e| poisoned(&Error::io("sync", path, e)))?;
        self.upkeep.note_sealed(segment.number, end);
        self.current = None;
        Ok(())
    }

    fn create_segment(&mut self, number: u64) -> Result<()> {
        let path = self.dir.join(file_name(number));
        let header = SegmentHeader { segment: number, identity: self.identity, first_seq: self.last_seq + 1 };
        let files = self.env.files();
        let (file, allocated) = match self.recycle(&path) {
            Some(recycled) => {
                self.meter.recycled.fetch_add(1, Ordering::Relaxed);
                recycled
            }
            // Not `CreateNew`: an earlier try may have left the file behind, without any record.
            None => {
                let file = files.open(&path, OpenMode::Create).map_err(|e| Error::io("create", &path, e))?;
                self.meter.created.fetch_add(1, Ordering::Relaxed);
                (file, 0)
            }
        };
        let mut segment = Segment {
            number,
            path,
            file,
            written: HEADER_BYTES as u64,
            tail: HEADER_BYTES as u64,
            synced: HEADER_BYTES as u64,
            allocated,
            may_allocate: true,
        };
        segment.reserve(HEADER_BYTES as u64, self.allocate_bytes, self.segment_bytes);
        let (file, path) = (&segment.file, &segment.path);
        file.write_all_at(&header.encode(), 0).map_err(|e| Error::io("write", path, e))?;
        self.meter.wrote(HEADER_BYTES);
        self.meter.sync(|| file.sync_all()).map_err(|e| poisoned(&Error::io("sync", path, e)))?;
        files.sync_dir(&self.dir).map_err(|e| poisoned(&Error::io("sync", &self.dir, e)))?;
        self.upkeep.note_begun(number);
        self.upkeep.note_length(HEADER_BYTES as u64);
        self.current = Some(segment);
        Ok(())
    }

    /// Gives a spare segment this path; the file with its length. `None` where there is none, or it cannot be had:
    /// then a new file does.
    fn recycle(&self, path: &Path) -> Option<(Arc<dyn File>, u64)> {
        let spare = self.dir.join(file_name(self.upkeep.take_spare()?));
        let files = self.env.files();
        files.rename(&spare, path).ok()?;
        let file = files.open(path, OpenMode::ReadWrite).ok()?;
        let len = file.len().ok()?;
        Some((file, len))
    }
}

impl Segment {
    /// Preallocates so that the file reaches `end`. It is only for speed: failure is no error.
    fn reserve(&mut self, end: u64, step: u64, segment_bytes: u64) {
        if end <= self.allocated || !self.may_allocate {
            return;
        }
        let goal = (self.allocated + step).max(end).min(segment_bytes.max(end));
        match self.file.allocate(goal) {
            Ok(()) => self.allocated = goal,
            Err(_) => self.may_allocate = false,
        }
    }
}

fn poisoned(error: &Error) -> Error {
    Error::Poisoned { cause: error.to_string() }
}
