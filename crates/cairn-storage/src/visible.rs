//! Scans: the merge of all sources, reduced to what a reader may see.
//!
//! Of each key's versions the newest that the reader accepts counts; it is hidden by being a delete, or by
//! an accepted range tombstone that is newer. Own writes of a transaction take part as one more source,
//! with sequences above every commit.
//!
//! Invariants:
//! - I1: sources may hold an entry twice (memtable and the SST just flushed from it): equal versions are
//!   one.
//! - I2: forward, the merge stands on the entry returned, or on a later one of a run that was decided to be
//!   hidden; in reverse, before all versions of its key.

use std::sync::Arc;

use bytes::Bytes;

use crate::blob::Blobs;
use crate::error::{Error, Result};
use crate::key::{CommitSeq, Cursor, Kind, RangeTombstone, SEQ_LAST};
use crate::merge::MergeCursor;
use crate::options::Direction;
use crate::owned_scan::OwnedScan;
use crate::range::{KeyRange, successor};
use crate::reads::ReadSet;
use crate::snapshot::Hold;
use crate::tombstone::Fragments;
use crate::write_set::OwnView;

/// Which versions a reader accepts.
#[derive(Clone)]
pub(crate) struct Visibility {
    pub(crate) snapshot: CommitSeq,
    pub(crate) own: Option<OwnView>,
}

impl Visibility {
    pub(crate) fn accepts(&self, seq: CommitSeq) -> bool {
        seq <= self.snapshot || self.own.as_ref().is_some_and(|own| own.accepts(seq))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The merge has to seek the start (or end) of the range.
    Start,
    /// The merge stands before what is to be looked at next.
    Ready,
    /// Forward: the merge stands on the entry that was returned.
    On,
    /// Nothing is left, or an error came.
    Done,
}

/// A forward scan that takes entries side by side from one block, without asking the merge for each.
struct RunState {
    /// The first row of the block that does not belong to the run; 0 = there is no run.
    end: usize,
    /// Steps through the merge until the next attempt to find a run.
    wait: u32,
    /// Steps to wait after an attempt that was not worth it.
    patience: u32,
    /// `Scan::key` is not that of the entry that the merge stands on.
    stale_key: bool,
}

impl Default for RunState {
    fn default() -> RunState {
        // The first entry alone is often all that is wanted.
        RunState { end: 0, wait: 2, patience: 1, stale_key: false }
    }
}

/// Entries that make a run worth its search.
const RUN_MIN: usize = 4;
/// Steps over versions of one key before the rest of them is leapt over: a key may have been written thousands of
/// times since the last flush.
const STEPS_MAX: u32 = 8;
/// Steps between attempts at most, where sources are mixed row by row.
const RUN_PATIENCE_MAX: u32 = 64;

/// How far a scan of a serializable transaction got.
struct ReadMark {
    reads: Arc<ReadSet>,
    number: usize,
    /// Whether `seek` was used.
    moved: bool,
}

/// Goes through the visible entries of a range, one way.
///
/// A lending iterator: what `next` returns lives until the next call. [`Scan::owned`] makes an
/// `Iterator`. It may outlive its transaction and move to another thread. Cost: opening one looks at
/// every overlapping file; a step is a merge step.
///
/// ```
/// use cairn_storage::{Direction, KeyRange, Options, Store};
/// let store = Store::open(&cairn_env::Env::memory(), "/db".as_ref(), Options::default())?;
/// let mut txn = store.begin(Default::default());
/// txn.put(b"a", b"1")?;
/// txn.put(b"b", b"2")?;
/// txn.commit()?;
/// let mut scan = store.snapshot().scan(KeyRange::all(), Direction::Reverse);
/// assert_eq!(scan.next()?, Some((&b"b"[..], &b"2"[..])));
/// # Ok::<(), cairn_storage::Error>(())
/// ```
pub struct Scan {
    merge: MergeCursor,
    range: KeyRange,
    /// The first key behind the range.
    end: Option<Bytes>,
    direction: Direction,
    visibility: Visibility,
    covers: Fragments,
    state: State,
    key: Vec<u8>,
    value: Bytes,
    /// The value of the entry that the merge stands on is in `value`, from a blob file.
    separated: bool,
    run: RunState,
    blobs: Arc<Blobs>,
    /// Why a source could not be opened; told by the next move.
    failed: Option<Error>,
    mark: Option<ReadMark>,
    // Keeps the snapshot registered.
    _hold: Arc<Hold>,
}

impl Scan {
    pub(crate) fn open(
        hold: &Arc<Hold>,
        range: KeyRange,
        direction: Direction,
        visibility: Visibility,
        reads: Option<Arc<ReadSet>>,
    ) -> Scan {
        let mark = reads.map(|reads| {
            let number = reads.add_range(range.clone());
            ReadMark { reads, number, moved: false }
        });
        let sources = hold.core().sources();
        let mut cursors = Vec::new();
        let mut tombstones: Vec<RangeTombstone> = Vec::new();
        let empty = range.is_empty();
        let mut failed = None;
        if !empty {
            if let Some(own) = visibility.own.as_ref().filter(|own| !own.is_empty()) {
                cursors.extend(own.cursor());
                tombstones.extend(own.tombstones());
            }
            failed = hold.core().snapshots.check(hold.seq()).err();
            if failed.is_none() {
                failed = sources.collect(&range, &mut cursors, &mut tombstones).err();
            }
            tombstones.retain(|t| visibility.accepts(t.seq) && range.overlaps(&t.start, Some(&t.end)));
        }
        Scan {
            merge: MergeCursor::new(cursors),
            end: range.end_key(),
            range,
            direction,
            visibility,
            covers: Fragments::build(&tombstones),
            state: if empty { State::Done } else { State::Start },
            key: Vec::new(),
            value: Bytes::new(),
            separated: false,
            run: RunState::default(),
            blobs: Arc::clone(sources.version.blobs()),
            failed,
            mark,
            _hold: Arc::clone(hold),
        }
    }

    /// The next entry, or `None` at the end.
    ///
    /// # Errors
    /// [`crate::Error::Io`] and [`crate::Error::Corrupt`] from reading an SST; the scan is at its end then.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        if !self.step()? {
            return Ok(None);
        }
        Ok(Some(match self.direction {
            Direction::Forward if self.separated => (self.merge.key(), &self.value),
            Direction::Forward => (self.merge.key(), self.merge.value()),
            Direction::Reverse => (&self.key, &self.value),
        }))
    }

    /// As [`Scan::next`], with shared bytes; the value is not copied where it lies in a cached block.
    ///
    /// # Errors
    /// As [`Scan::next`].
    pub fn next_bytes(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        if !self.step()? {
            return Ok(None);
        }
        Ok(Some(match self.direction {
            Direction::Forward if self.separated => {
                (Bytes::copy_from_slice(self.merge.key()), self.value.clone())
            }
            Direction::Forward => (Bytes::copy_from_slice(self.merge.key()), self.merge.value_bytes()),
            Direction::Reverse => (Bytes::copy_from_slice(&self.key), self.value.clone()),
        }))
    }

    /// Gives up to `most` of the next entries to `each`, until it says to stop; how many it got. As
    /// [`Scan::next`] for each, but where entries lie side by side in a block they are taken from there.
    ///
    /// # Errors
    /// As [`Scan::next`].
    pub fn next_many(&mut self, most: usize, mut each: impl FnMut(&[u8], &[u8]) -> bool) -> Result<usize> {
        let mut given = 0;
        while given < most {
            let Some((key, value)) = self.next()? else { break };
            given += 1;
            if !each(key, value) {
                break;
            }
            if given < most && self.direction == Direction::Forward && self.covers.is_empty() {
                let (more, stopped) = self.give_run(most - given, &mut each);
                given += more;
                if stopped {
                    break;
                }
            }
        }
        Ok(given)
    }

    /// To the next entry: inside the run, or by the merge.
    #[inline]
    fn step(&mut self) -> Result<bool> {
        if self.run.end > 0 && self.step_in_run() {
            return Ok(true);
        }
        let found = self.advance()?;
        if found && self.direction == Direction::Forward && self.covers.is_empty() {
            self.run.wait -= 1;
            if self.run.wait == 0 {
                self.find_run();
            }
        }
        Ok(found)
    }

    /// Looks whether the entries behind this one are a run.
    fn find_run(&mut self) {
        let len = self.run_end().map_or(0, |(row, end)| {
            self.run.end = end;
            end.saturating_sub(row)
        });
        self.run.patience = if len < RUN_MIN { (2 * self.run.patience).min(RUN_PATIENCE_MAX) } else { 1 };
        self.run.wait = self.run.patience;
        if len < RUN_MIN {
            self.run.end = 0;
        }
    }

    /// The row that the merge stands on, and the first row of its block that is not before all that other
    /// sources have, or behind the range.
    fn run_end(&mut self) -> Option<(usize, usize)> {
        let (run, other) = self.merge.forward_run()?;
        let mut end = run.block.len();
        for bound in [other, self.end.as_deref()].into_iter().flatten() {
            end = end.min(run.block.lower_bound(bound, SEQ_LAST));
        }
        Some((*run.row, end))
    }

    /// To the next entry of the run; false where a step of the merge has to decide. The merge stands on the
    /// last entry that was decided (I2).
    fn step_in_run(&mut self) -> bool {
        let Some(mut run) = self.merge.run() else { return false };
        let (block, first) = (run.block, *run.row);
        let (mut decided, mut found) = (first, false);
        while decided + 1 < self.run.end && !found {
            let row = decided + 1;
            if !block.is_same_key(decided, row) {
                // Too new: an older version may count. Long values: a step reads them.
                if !self.visibility.accepts(block.seq(row)) || block.kind(row) == Kind::Blob {
                    break;
                }
                found = block.kind(row) == Kind::Put;
            }
            decided = row;
        }
        if decided != first {
            run.stand_on(decided);
            self.run.stale_key = true;
        }
        if found {
            self.separated = false;
        } else {
            self.run.end = 0;
        }
        found
    }

    /// Has `key` be that of the entry that the merge stands on.
    fn refresh_key(&mut self) {
        if std::mem::take(&mut self.run.stale_key) {
            self.key.clear();
            self.key.extend_from_slice(self.merge.key());
        }
    }

    /// Gives the entries behind the one that was returned, as far as they are in its block and nothing comes
    /// between them. The merge stands on the last entry that was decided (I2); how many were given, and
    /// whether `each` said to stop.
    fn give_run(&mut self, most: usize, each: &mut impl FnMut(&[u8], &[u8]) -> bool) -> (usize, bool) {
        let Some((first, end)) = self.run_end() else { return (0, false) };
        let Some(mut run) = self.merge.run() else { return (0, false) };
        let block = run.block;
        let (mut given, mut stopped) = (0, false);
        // Every row up to here was decided: it was given, or is hidden.
        let mut decided = first;
        while decided + 1 < end && given < most && !stopped {
            let row = decided + 1;
            if !block.is_same_key(decided, row) {
                if !self.visibility.accepts(block.seq(row)) {
                    // Too new: an older version may count, which a step finds.
                    break;
                }
                if block.kind(row) == Kind::Blob {
                    // A step reads the value.
                    break;
                }
                if block.kind(row) == Kind::Put {
                    run.stand_on(row);
                    given += 1;
                    stopped = !each(run.key, block.value(row));
                }
            }
            decided = row;
        }
        if decided != first {
            run.stand_on(decided);
            self.run.stale_key = true;
        }
        (given, stopped)
    }

    /// Moves so that the next entry returned is the first at or behind `key` in the direction of the scan
    /// (in reverse: the last at or before it), inside the range.
    ///
    /// # Errors
    /// As [`Scan::next`].
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        if self.range.is_empty() {
            return Ok(());
        }
        if let Some(mark) = &mut self.mark {
            // Not worth following: the whole range counts as read.
            mark.moved = true;
        }
        self.state = State::Done;
        self.run = RunState::default();
        match self.direction {
            Direction::Forward => {
                let start = self.range.start_key();
                self.merge.seek(if key < &start[..] { &start } else { key }, SEQ_LAST)?;
            }
            Direction::Reverse => {
                let behind = successor(key);
                let end = self.range.end_key().filter(|end| *end < behind).unwrap_or(behind);
                self.merge.seek_last_before(Some(&end))?;
            }
        }
        self.state = State::Ready;
        Ok(())
    }

    /// An iterator over owned entries.
    pub fn owned(self) -> OwnedScan {
        OwnedScan::new(self)
    }

    fn advance(&mut self) -> Result<bool> {
        let state = std::mem::replace(&mut self.state, State::Done);
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match (state, self.direction) {
            (State::Done, _) => return Ok(false),
            (State::Start, Direction::Forward) => self.merge.seek(&self.range.start_key(), SEQ_LAST)?,
            (State::Start, Direction::Reverse) => {
                self.merge.seek_last_before(self.range.end_key().as_deref())?;
            }
            (State::On, _) => self.skip_versions()?,
            (State::Ready, _) => {}
        }
        let found = match self.direction {
            Direction::Forward => self.find_forward()?,
            Direction::Reverse => self.find_reverse()?,
        };
        match (found, self.direction) {
            (true, Direction::Forward) => self.state = State::On,
            (true, Direction::Reverse) => self.state = State::Ready,
            (false, _) => self.finish(),
        }
        Ok(found)
    }

    /// Moves behind the remaining versions of the current key.
    fn skip_versions(&mut self) -> Result<()> {
        self.refresh_key();
        for _ in 0..STEPS_MAX {
            self.merge.next()?;
            if !self.merge.valid() || self.merge.key() != &self.key[..] {
                return Ok(());
            }
        }
        self.merge.leap(&self.key, 0)
    }

    /// Forward: moves from a version that is not accepted to the next that may be, or behind the key.
    fn skip_newer(&mut self) -> Result<()> {
        self.key.clear();
        self.key.extend_from_slice(self.merge.key());
        for _ in 0..STEPS_MAX {
            self.merge.next()?;
            let is_newer = self.merge.valid()
                && !self.visibility.accepts(self.merge.seq())
                && self.merge.key() == &self.key[..];
            if !is_newer {
                return Ok(());
            }
        }
        self.merge.leap(&self.key, self.visibility.snapshot)
    }

    fn is_hidden(&self, key: &[u8], seq: CommitSeq) -> bool {
        !self.covers.is_empty() && self.covers.newest_covering(key, SEQ_LAST).is_some_and(|cover| cover > seq)
    }

    fn find_forward(&mut self) -> Result<bool> {
        while self.merge.valid() && !self.range.is_past_end(self.merge.key()) {
            if !self.visibility.accepts(self.merge.seq()) {
                self.skip_newer()?;
                continue;
            }
            self.key.clear();
            self.key.extend_from_slice(self.merge.key());
            let kind = self.merge.kind();
            if kind != Kind::Delete && !self.is_hidden(&self.key, self.merge.seq()) {
                self.separated = kind == Kind::Blob;
                if self.separated {
                    self.value = self.blobs.get(self.merge.value())?;
                }
                return Ok(true);
            }
            self.skip_versions()?;
        }
        Ok(false)
    }

    fn find_reverse(&mut self) -> Result<bool> {
        while self.merge.valid() && !self.range.is_before_start(self.merge.key()) {
            self.key.clear();
            self.key.extend_from_slice(self.merge.key());
            // Oldest version first: the last one accepted is the newest.
            let (mut found, mut steps) = (None, 0);
            while self.merge.valid() && self.merge.key() == &self.key[..] {
                if steps == STEPS_MAX {
                    found = self.seek_newest()?;
                    break;
                }
                if self.visibility.accepts(self.merge.seq()) {
                    found = Some(self.version_here());
                }
                self.merge.prev()?;
                steps += 1;
            }
            if let Some((seq, kind, value)) = found
                && kind != Kind::Delete
                && !self.is_hidden(&self.key, seq)
            {
                self.value = if kind == Kind::Blob { self.blobs.get(&value)? } else { value };
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// In reverse, from among the versions of `key`: the newest that is accepted. The merge stands before all of
    /// them then.
    #[cold]
    fn seek_newest(&mut self) -> Result<Option<(CommitSeq, Kind, Bytes)>> {
        self.merge.seek(&self.key, SEQ_LAST)?;
        let mut found = None;
        while found.is_none() && self.merge.valid() && self.merge.key() == &self.key[..] {
            if self.visibility.accepts(self.merge.seq()) {
                found = Some(self.version_here());
            } else {
                // Leaves `key` as it is.
                self.skip_newer()?;
            }
        }
        self.merge.seek_last_before(Some(&self.key))?;
        Ok(found)
    }

    fn version_here(&self) -> (CommitSeq, Kind, Bytes) {
        (self.merge.seq(), self.merge.kind(), self.merge.value_bytes())
    }

    /// At the end the whole range was read: the mark stays as it is.
    fn finish(&mut self) {
        self.mark = None;
        self.value = Bytes::new();
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        if self.mark.is_none() {
            return;
        }
        if self.state == State::On {
            self.refresh_key();
        }
        let Some(mark) = &self.mark else { return };
        match self.state {
            State::Start => mark.reads.forget(mark.number),
            State::On | State::Ready if !mark.moved => {
                mark.reads.narrow(mark.number, self.direction, &self.key);
            }
            // Sought, or stopped by an error.
            _ => {}
        }
    }
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Scan { range, direction, state, .. } = self;
        f.debug_struct("Scan")
            .field("range", range)
            .field("direction", direction)
            .field("state", state)
            .finish_non_exhaustive()
    }
}
