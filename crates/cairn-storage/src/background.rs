//! Work beside the foreground: flushing memtables, compacting, syncing; and how writers wait for it.
//!
//! Guarantees: a step is one bounded job. A failure is kept for the writers that would wait for the job
//! (they try it themselves and get the error) and tried again later; a store whose disk was full goes on
//! by itself once there is space.
//!
//! Invariants:
//! - I0: whoever makes room tells `room`, also foreground calls: a writer may wait for just that.
//! - I1: a memtable leaves the sources in the same change that brings the version with its SST.
//! - I2: the log is synced up to a memtable's last commit before its SST is published, so the log is
//!   always complete.
//! - I3: a log segment is removed only when the manifest's floor is durable behind it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cairn_env::{Step, Task};

use crate::commit::Writer;
use crate::core::{Core, Sources};
use crate::error::{Error, Result};
use crate::key::CommitSeq;
use crate::memtable::Memtable;
use crate::stats::timed;
use crate::tree::Pressure;
use crate::wal;

/// Wait before background work that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How long a writer is held up at a time when level 0 is getting long.
const SLOW: Duration = Duration::from_millis(1);

/// The running workers. Dropping it stops and joins them.
pub(crate) struct Background {
    flush: Task,
    compaction: Task,
    sync: Task,
    commit: Task,
}

impl Background {
    /// Starts the workers.
    pub(crate) fn start(core: &Arc<Core>) -> Result<Background> {
        let spawn = |name: &str, step: Box<dyn FnMut() -> Step + Send>| {
            core.env.tasks().spawn(name, step).map_err(|e| Error::io("start a worker for", &core.dir, e))
        };
        let flush = {
            let core = Arc::clone(core);
            let mut watched = None;
            spawn("cairn-flush", Box::new(move || core.flush_step(&mut watched)))?
        };
        let compaction = {
            let core = Arc::clone(core);
            spawn("cairn-compact", Box::new(move || core.compaction_step()))?
        };
        let sync = {
            let core = Arc::clone(core);
            let mut armed = false;
            spawn("cairn-sync", Box::new(move || core.sync_step(&mut armed)))?
        };
        let commit = {
            let core = Arc::clone(core);
            let step = move || if core.lead_awaited() { Step::Again } else { Step::Idle };
            spawn("cairn-commit", Box::new(step))?
        };
        Ok(Background { flush, compaction, sync, commit })
    }
}

impl Core {
    /// Under the lock, not with a clone: whoever closes must be the one who joins the workers. False where there
    /// are no workers.
    fn with_background(&self, act: impl FnOnce(&Background)) -> bool {
        self.background.lock().as_ref().map(act).is_some()
    }

    pub(crate) fn wake_flush(&self) {
        self.with_background(|background| background.flush.wake());
    }

    pub(crate) fn wake_compaction(&self) {
        self.with_background(|background| background.compaction.wake());
    }

    /// Has the task that leads awaited commits look at the queue; false where there is none.
    pub(crate) fn wake_commit(&self) -> bool {
        self.with_background(|background| background.commit.wake())
    }

    pub(crate) fn wake_sync(&self) {
        self.with_background(|background| background.sync.wake());
    }

    fn flush_step(&self, watched: &mut Option<CommitSeq>) -> Step {
        match self.background_result(self.finish_recovery().and_then(|()| self.flush_oldest())) {
            Step::Idle => self.rest_step(watched),
            busy => busy,
        }
    }

    fn compaction_step(&self) -> Step {
        self.background_result(match self.compact_once() {
            Ok(false) => self.compact_at_rest(),
            other => other,
        })
    }

    fn background_result(&self, result: Result<bool>) -> Step {
        if self.closed.load(Ordering::Acquire) {
            return Step::Idle;
        }
        let step = match result {
            Ok(worked) => {
                *self.background_error.lock() = None;
                if worked { Step::Again } else { Step::Idle }
            }
            Err(error) => {
                self.note_error(&error);
                *self.background_error.lock() = Some(error);
                Step::IdleFor(RETRY)
            }
        };
        self.room.notify_all();
        step
    }

    /// Waits one interval after the first unsynced commit, then syncs.
    fn sync_step(&self, armed: &mut bool) -> Step {
        if !self.sync_due.load(Ordering::Acquire) || self.closed.load(Ordering::Acquire) {
            return Step::Idle;
        }
        if !*armed {
            *armed = true;
            return Step::IdleFor(self.options.async_interval);
        }
        *armed = false;
        self.sync_due.store(false, Ordering::Release);
        match self.sync_log() {
            Ok(()) => Step::Idle,
            Err(Error::DiskFull { .. }) => {
                self.sync_due.store(true, Ordering::Release);
                Step::IdleFor(RETRY)
            }
            // Poisoned by now, or closed.
            Err(_) => Step::Idle,
        }
    }

    /// Makes every commit so far durable, without keeping writers out while the disk works.
    pub(crate) fn sync_log(&self) -> Result<()> {
        let job = {
            let mut writer = self.write.lock();
            self.check_writable()?;
            self.write_log(&mut writer)?;
            writer.log.sync_job()
        };
        let Some(job) = job else { return Ok(()) };
        {
            let _syncing = self.sync_lock.lock();
            self.check_writable()?;
            job.run().map_err(|error| self.poison(&error))?;
        }
        self.write.lock().log.note_synced(&job);
        Ok(())
    }

    /// Hands what is pending of the log to the operating system.
    pub(crate) fn write_log(&self, writer: &mut Writer) -> Result<()> {
        writer.log.write().map_err(|error| self.undo_log(writer, error))
    }

    /// Takes back what was staged of the log after a failure; where that fails too the store is poisoned. Gives the
    /// error to tell: one other than [`Error::Poisoned`] means that nothing of it is there.
    pub(crate) fn undo_log(&self, writer: &mut Writer, error: Error) -> Error {
        self.note_error(&error);
        let undone =
            self.check_sound().and_then(|()| writer.log.undo().map_err(|broken| self.poison(&broken)));
        undone.err().unwrap_or(error)
    }

    /// Puts a full active memtable among the immutable ones, or one that keeps too long a log from going. The
    /// caller holds the write lock.
    pub(crate) fn rotate_full_memtable(&self, sources: &Sources, writer: &Writer) {
        let active = &sources.active;
        if active.is_empty() {
            return;
        }
        // Half of what is allowed: commits go on while it is flushed. Only what is in an earlier segment than the
        // one that is written now keeps any from going.
        let is_long = self.upkeep.bytes() >= self.options.wal_bytes_allowed() / 2
            && sources.immutable.is_empty()
            && writer.log.current().is_some_and(|current| active.first_segment() < current);
        if is_long || active.memory_bytes() >= self.options.memtable_bytes {
            self.rotate_memtable();
        }
    }

    /// Puts the active memtable among the immutable ones. The caller holds the write lock.
    pub(crate) fn rotate_memtable(&self) {
        let fresh = Arc::new(Memtable::after(&self.sources().active));
        self.change_sources(|sources| {
            let full = std::mem::replace(&mut sources.active, fresh);
            sources.immutable.insert(0, full);
        });
        self.wake_flush();
    }

    /// Writes the oldest immutable memtable to SSTs; false where there is none.
    pub(crate) fn flush_oldest(&self) -> Result<bool> {
        let _flushing = self.flush_lock.lock();
        self.flush_oldest_held()
    }

    /// As [`Core::flush_oldest`]; the caller holds the flush lock.
    fn flush_oldest_held(&self) -> Result<bool> {
        let sources = self.sources();
        let Some(table) = sources.immutable.last() else { return Ok(false) };
        self.sync_log()?;
        let floor = self.log_floor_without(table)?;
        self.flush_table(table, floor)?;
        Ok(true)
    }

    /// Writes the oldest immutable memtable, of which the log is synced and needed from `floor` on without it.
    /// The caller holds the flush lock.
    pub(crate) fn flush_table(&self, table: &Arc<Memtable>, floor: u64) -> Result<()> {
        let kept = self.snapshots.kept(table.seq_max(), self.tree.newest_time());
        self.tree.flush(table, floor, table.seq_max(), kept)?;
        self.warm_new_files();
        self.change_sources(|sources| {
            sources.immutable.retain(|other| !Arc::ptr_eq(other, table));
            sources.version = self.tree.version();
        });
        self.room.notify_all();
        self.remove_segments_below(floor);
        self.wake_compaction();
        Ok(())
    }

    /// Flushes what recovery read and moves the floor of the log behind the segments of earlier runs. Before
    /// that is done nothing is committed; done once, it costs a look at a flag.
    pub(crate) fn finish_recovery(&self) -> Result<()> {
        if !self.recovering.load(Ordering::Acquire) {
            return Ok(());
        }
        let _flushing = self.flush_lock.lock();
        if !self.recovering.load(Ordering::Acquire) {
            return Ok(());
        }
        self.check_writable()?;
        let finished = (|| {
            while self.flush_oldest_held()? {}
            self.leave_old_log()
        })();
        finished.inspect_err(|error| self.note_error(error))?;
        self.recovering.store(false, Ordering::Release);
        Ok(())
    }

    /// Moves the floor of the log behind everything committed, if it is in SSTs and nobody commits more.
    pub(crate) fn leave_log(&self) -> Result<()> {
        let _flushing = self.flush_lock.lock();
        // Held throughout: the manifest is to say that everything up to the last commit is in SSTs.
        let mut writer = self.write.lock();
        self.check_writable()?;
        let sources = self.sources();
        if sources.memtables().any(|table| !table.is_empty()) {
            return Ok(());
        }
        let floor = writer
            .log
            .leave_segment(|| self.tree.new_file_number())
            .inspect_err(|error| self.note_error(error))?;
        self.tree.set_log_floor(floor, writer.last_seq)?;
        self.remove_segments_below(floor);
        Ok(())
    }

    /// Moves the floor of the log behind the segments that no memtable needs. The caller holds the flush lock.
    fn leave_old_log(&self) -> Result<()> {
        let floor = self.log_floor_without(&self.sources().active)?;
        self.tree.set_log_floor(floor, self.snapshots.newest())?;
        self.remove_segments_below(floor);
        Ok(())
    }

    /// The first segment that memtables other than `flushed` need.
    fn log_floor_without(&self, flushed: &Arc<Memtable>) -> Result<u64> {
        self.log_floor(&mut self.write.lock(), flushed)
    }

    /// As above, for who has the writer.
    pub(crate) fn log_floor(&self, writer: &mut Writer, flushed: &Arc<Memtable>) -> Result<u64> {
        let sources = self.sources();
        let needed = sources
            .memtables()
            .filter(|table| !Arc::ptr_eq(table, flushed))
            .map(|table| table.first_segment())
            .filter(|&segment| segment > 0)
            .min();
        match needed {
            Some(segment) => Ok(segment),
            None => match writer.log.ensure_segment(|| self.tree.new_file_number()) {
                Ok(segment) => Ok(segment),
                Err(error) => {
                    self.note_error(&error);
                    Err(error)
                }
            },
        }
    }

    /// Removes the segments that nobody needs, or keeps them to be written again; the manifest's floor is durable.
    pub(crate) fn remove_segments_below(&self, floor: u64) {
        self.upkeep.note_floor(floor);
        let Ok(mut unneeded) = wal::list_segments(&self.env, &self.dir) else { return };
        unneeded.retain(|&segment| segment < floor);
        if !unneeded.is_empty() && self.tree.anchor_log_floor().is_err() {
            return;
        }
        self.remove_segments(unneeded.into_iter().filter(|&segment| !self.upkeep.keep(segment)));
    }

    /// Best effort: a segment left behind goes at the next open.
    pub(crate) fn remove_segments(&self, segments: impl Iterator<Item = u64>) {
        for segment in segments {
            let path = self.dir.join(wal::format::file_name(segment));
            let _ = self.env.files().remove_file(&path);
        }
    }

    /// One compaction; false where there is nothing to do.
    pub(crate) fn compact_once(&self) -> Result<bool> {
        self.check_writable()?;
        let worked = self.tree.compact_step(&self.snapshots.readable())?;
        if worked {
            self.install_version();
        }
        Ok(worked)
    }

    /// Shows readers the tree's newest version.
    pub(crate) fn install_version(&self) {
        self.warm_new_files();
        self.change_sources(|sources| sources.version = self.tree.version());
        self.room.notify_all();
    }

    /// Flushes everything committed so far.
    pub(crate) fn flush_all(&self) -> Result<()> {
        self.finish_recovery()?;
        {
            let _writer = self.write.lock();
            self.check_writable()?;
            if !self.sources().active.is_empty() {
                self.rotate_memtable();
            }
        }
        loop {
            match self.flush_oldest() {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    self.note_error(&error);
                    return Err(error);
                }
            }
        }
    }

    fn needs_room(&self) -> Option<Pressure> {
        let sources = self.sources();
        let full = sources.active.memory_bytes() >= self.options.memtable_bytes
            && sources.immutable.len() >= self.options.immutable_memtables_max
            || !sources.immutable.is_empty() && self.upkeep.bytes() >= self.options.wal_bytes_allowed();
        match self.tree.pressure() {
            _ if full => Some(Pressure::Stop),
            Pressure::None => None,
            other => Some(other),
        }
    }

    /// Holds a writer up while too much waits to be flushed or compacted. Call it without locks.
    pub(crate) fn wait_for_room(&self) -> Result<()> {
        self.env.tasks().yield_point();
        match self.needs_room() {
            None => return Ok(()),
            Some(Pressure::Stop) => {}
            Some(_) => {
                self.tree.counters.slowdowns.fetch_add(1, Ordering::Relaxed);
                if self.options.background {
                    self.wake_compaction();
                    self.env.clock().sleep(SLOW);
                } else {
                    self.compact_once()?;
                }
                return Ok(());
            }
        }
        self.tree.counters.stalls.fetch_add(1, Ordering::Relaxed);
        timed(&self.env, &self.tree.counters.stall_micros, || self.wait_for_work())
    }

    /// Waits until a flush or compaction has made room, or does it.
    fn wait_for_work(&self) -> Result<()> {
        while self.needs_room() == Some(Pressure::Stop) {
            self.check_writable()?;
            let failed = self.background_error.lock().is_some();
            if !self.options.background || failed {
                let (flushed, compacted) = (self.flush_oldest()?, self.compact_once()?);
                if !flushed && !compacted {
                    return Ok(());
                }
                continue;
            }
            self.wake_flush();
            self.wake_compaction();
            self.room.wait_until(|| {
                self.needs_room() != Some(Pressure::Stop)
                    || self.background_error.lock().is_some()
                    || self.check_writable().is_err()
            });
        }
        Ok(())
    }
}
