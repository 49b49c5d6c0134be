//! What is done when nobody has written for a while: the log gives way to SSTs, and what newer versions and
//! deletes hide gives back its space.
//!
//! ```text
//! commit ─▶ due ─▶ the flush task looks every `rest_after` ─▶ no commit since the last look ─▶ settle the log
//!                                                                      └─▶ compaction task: jobs of the rest
//! ```
//! Guarantees: it is not begun while commits come; it costs at most about ten bytes written for each byte that
//! was committed since the last time, because little is left alone beside much.

use std::sync::atomic::Ordering;

use cairn_env::Step;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::key::CommitSeq;

/// A shorter log is left as it is: reading it again takes a few milliseconds.
const LOG_BYTES_MIN: u64 = 1 << 20;
/// So is one that is less than this part of the tree.
const LOG_PART: u64 = 20;
/// A longer log is not left to the next open: reading this much takes about 20 ms.
const LOG_BYTES_CLOSED: u64 = 4 << 20;

impl Core {
    /// Something was written: a time of rest is to be waited for.
    #[inline]
    pub(crate) fn note_activity(&self) {
        if !self.rest_due.load(Ordering::Relaxed) && !self.rest_due.swap(true, Ordering::AcqRel) {
            self.wake_flush();
        }
    }

    /// Looks whether there was a commit since the last look; settles where there was none.
    pub(crate) fn rest_step(&self, watched: &mut Option<CommitSeq>) -> Step {
        let pause = self.options.rest_after;
        if pause.is_zero() || !self.rest_due.load(Ordering::Acquire) || self.closed.load(Ordering::Acquire) {
            return Step::Idle;
        }
        let newest = self.snapshots.newest();
        if *watched != Some(newest) {
            *watched = Some(newest);
            return Step::IdleFor(pause);
        }
        *watched = None;
        self.rest_due.store(false, Ordering::Release);
        match self.settle_log() {
            Ok(_) => {
                self.give_log_back();
                self.resting.store(true, Ordering::Release);
                self.wake_compaction();
            }
            Err(Error::DiskFull { .. }) => {
                // Tried again, until there is room.
                self.rest_due.store(true, Ordering::Release);
                return Step::IdleFor(pause);
            }
            Err(error) => {
                self.note_error(&error);
                *self.background_error.lock() = Some(error);
            }
        }
        Step::Idle
    }

    /// Before closing: lets a log go that the next open would read for long.
    pub(crate) fn settle_log_to_close(&self) -> Result<()> {
        if self.upkeep.bytes() < LOG_BYTES_CLOSED.min(self.options.wal_segment_bytes / 4) {
            return Ok(());
        }
        self.flush_all()?;
        self.leave_log()
    }

    /// Flushes what is committed and lets the log go, if it is long for itself and beside the tree; whether it was.
    pub(crate) fn settle_log(&self) -> Result<bool> {
        let log = self.upkeep.bytes();
        if log < LOG_BYTES_MIN.min(self.options.wal_segment_bytes / 4)
            || log * LOG_PART < self.tree.file_bytes()
        {
            return Ok(false);
        }
        self.flush_all()?;
        self.leave_log()?;
        Ok(true)
    }

    /// Flushes because a client asks for it: then a long log is not needed any more either.
    pub(crate) fn flush_and_settle(&self) -> Result<()> {
        self.flush_all()?;
        match self.settle_log() {
            Ok(true) => self.give_log_back(),
            // Everything is in SSTs all the same.
            Ok(false) | Err(Error::DiskFull { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Removes spare segments and what is allocated for the next records.
    fn give_log_back(&self) {
        self.remove_segments(self.upkeep.take_all_spare().into_iter());
        self.write.lock().log.trim();
    }

    /// One compaction that only a time of rest asks for; false where there is none, or the rest is over.
    pub(crate) fn compact_at_rest(&self) -> Result<bool> {
        if !self.resting.load(Ordering::Acquire) {
            return Ok(false);
        }
        let goes_on = !self.rest_due.load(Ordering::Acquire)
            && self.tree.compact_step_at_rest(&self.snapshots.readable())?;
        if goes_on {
            self.install_version();
        } else {
            self.resting.store(false, Ordering::Release);
        }
        Ok(goes_on)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cairn_env::Env;

    use crate::{KeyRange, Options, Store, WriteBatch};

    fn rest(store: &Store) {
        let core = store.core();
        core.rest_due.store(false, super::Ordering::Release);
        core.settle_log().unwrap();
        core.give_log_back();
        core.resting.store(true, super::Ordering::Release);
        while core.compact_at_rest().unwrap() {}
    }

    fn live_bytes(store: &Store) -> u64 {
        let stats = store.stats();
        stats.wal_bytes + stats.tree.levels.iter().map(|level| level.bytes).sum::<u64>()
    }

    #[test]
    fn overwritten_and_deleted_rows_give_their_space_back() {
        let (memtable_bytes, wal_segment_bytes) = (1 << 20, 1 << 20);
        let options = Options { background: false, memtable_bytes, wal_segment_bytes, ..Options::default() };
        let store = Store::open(&Env::memory(), "/db".as_ref(), options).unwrap();
        for round in 0..5u8 {
            for number in 0..20u32 {
                let mut batch = WriteBatch::new();
                for key in number * 1000..(number + 1) * 1000 {
                    let value: Vec<u8> = (0..100).map(|at| (key * at) as u8 ^ round).collect();
                    batch.put(&key.to_be_bytes(), &value).unwrap();
                }
                store.write(batch, None).unwrap();
            }
        }
        let live = 20_000 * 104;
        assert!(live_bytes(&store) > live * 3 / 2, "{}", live_bytes(&store));
        rest(&store);
        assert!(live_bytes(&store) < live * 6 / 5, "{:?}", store.stats());
        let mut batch = WriteBatch::new();
        (0..20_000u32).for_each(|key| batch.delete(&key.to_be_bytes()).unwrap());
        store.write(batch, None).unwrap();
        rest(&store);
        assert!(live_bytes(&store) < 100_000, "{}", live_bytes(&store));
        assert!(store.snapshot().scan(KeyRange::all(), crate::Direction::Forward).next().unwrap().is_none());
        // A little more is not worth rewriting anything.
        let compactions = store.stats().tree.compactions;
        let mut one = WriteBatch::new();
        one.put(b"k", b"v").unwrap();
        store.write(one, None).unwrap();
        rest(&store);
        assert_eq!((store.stats().tree.compactions, store.stats().memtable_entries), (compactions, 1));
    }
}
