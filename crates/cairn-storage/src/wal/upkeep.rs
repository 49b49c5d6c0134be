//! What becomes of segments that nobody needs, and how long the log is: shared by the writer, which begins segments,
//! and whoever moves the floor.
//!
//! ```text
//! needed ── floor moves behind it ──▶ spare (a few) ── renamed, written again ──▶ needed
//!                                └──▶ removed
//! ```
//! A spare segment keeps its file: writing to it again allocates nothing, so that a sync of its data need not sync
//! any of the file system's own. Why what is left in it is never taken for new: docs/format/wal.md, "Recycling".
//!
//! Invariants:
//! - I1: a spare segment has a number below the floor that is durable in the manifest: a recovery that finds it
//!   under its old name leaves it alone.
//! - I2: only segments that this process began become spare: what an earlier one left is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// See the module.
#[derive(Debug)]
pub(crate) struct Upkeep {
    state: Mutex<State>,
    spare_max: usize,
    /// Bytes of the sealed segments that are needed.
    sealed: AtomicU64,
    /// Bytes of the one that is written.
    current: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    spare: BTreeSet<u64>,
    /// The first segment that this process began.
    own_from: Option<u64>,
    /// The length of each sealed segment that is needed.
    sealed: BTreeMap<u64, u64>,
}

impl Upkeep {
    /// Keeps at most so many spare segments; `found` are those of earlier processes that are needed, with their
    /// lengths.
    pub(crate) fn new(spare_max: usize, found: &[(u64, u64)]) -> Upkeep {
        let sealed: BTreeMap<u64, u64> = found.iter().copied().collect();
        let bytes = sealed.values().sum();
        let state = State { sealed, ..State::default() };
        Upkeep {
            state: Mutex::new(state),
            spare_max,
            sealed: AtomicU64::new(bytes),
            current: AtomicU64::new(0),
        }
    }

    /// Whether sealed segments keep their length, to be written again.
    pub(super) fn keeps_files(&self) -> bool {
        self.spare_max > 0
    }

    /// A segment was begun.
    pub(super) fn note_begun(&self, segment: u64) {
        self.state.lock().own_from.get_or_insert(segment);
    }

    /// The segment that is written is so long.
    pub(super) fn note_length(&self, bytes: u64) {
        self.current.store(bytes, Ordering::Relaxed);
    }

    /// The segment that was written is sealed.
    pub(super) fn note_sealed(&self, segment: u64, bytes: u64) {
        let mut state = self.state.lock();
        state.sealed.insert(segment, bytes);
        self.sealed.store(state.sealed.values().sum(), Ordering::Relaxed);
        self.current.store(0, Ordering::Relaxed);
    }

    /// Everything below `floor` is not needed any more, durably.
    pub(crate) fn note_floor(&self, floor: u64) {
        let mut state = self.state.lock();
        state.sealed = state.sealed.split_off(&floor);
        self.sealed.store(state.sealed.values().sum(), Ordering::Relaxed);
    }

    /// Bytes of the log that a recovery would have to read.
    pub(crate) fn bytes(&self) -> u64 {
        self.sealed.load(Ordering::Relaxed) + self.current.load(Ordering::Relaxed)
    }

    /// Whether a segment that is not needed any more (I1) is kept as a spare one; else it is to be removed.
    pub(crate) fn keep(&self, segment: u64) -> bool {
        let mut state = self.state.lock();
        let is_own = state.own_from.is_some_and(|first| segment >= first);
        let keep = state.spare.contains(&segment) || is_own && state.spare.len() < self.spare_max;
        if keep {
            state.spare.insert(segment);
        }
        keep
    }

    /// Takes out a spare segment to be written again. It may be gone from the disk.
    pub(super) fn take_spare(&self) -> Option<u64> {
        self.state.lock().spare.pop_first()
    }

    /// Takes out all spare segments, to be removed.
    pub(crate) fn take_all_spare(&self) -> BTreeSet<u64> {
        std::mem::take(&mut self.state.lock().spare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_segments_are_kept_up_to_the_limit() {
        let upkeep = Upkeep::new(2, &[(3, 100), (4, 50)]);
        assert_eq!(upkeep.bytes(), 150);
        upkeep.note_begun(7);
        upkeep.note_length(10);
        upkeep.note_sealed(7, 80);
        upkeep.note_begun(8);
        upkeep.note_length(5);
        assert_eq!(upkeep.bytes(), 235);
        upkeep.note_floor(8);
        assert_eq!(upkeep.bytes(), 5);
        // I2: not those of others.
        assert!(!upkeep.keep(4));
        assert!(upkeep.keep(7) && upkeep.keep(8) && !upkeep.keep(9) && upkeep.keep(7));
        assert_eq!((upkeep.take_spare(), upkeep.take_spare(), upkeep.take_spare()), (Some(7), Some(8), None));
        assert!(upkeep.keep(9));
        assert_eq!(upkeep.take_all_spare().len(), 1);
        assert!(!Upkeep::new(0, &[]).keep(9));
    }
}
