//! The locks of one transaction: released together at its end, or from a savepoint on.
//!
//! I1: every hold of the transaction's scope in the table is listed here once; dropping this gives all of them back.
//! I2: `since` of a key is the newest commit that was visible when the key was first locked against writers: between that
//! and the end of the transaction no transaction that takes locks changes the key.

use std::sync::Arc;

use super::mode::{KeyLock, LockMode, Modes, ObjectLock};
use super::ranges::RangeLock;
use super::table::{ByTarget, ENTRY_BYTES, LockOwner, LockTable, Request, Scope};
use super::target::{LockTarget, Name, TargetId};
use super::wait::{Patience, Wait};
use crate::error::{Error, Result};
use crate::key::CommitSeq;
use crate::range::KeyRange;

/// About what a lock on a key takes.
const LOCK_BYTES: usize = ENTRY_BYTES + 32;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hold {
    modes: Modes,
    pub(crate) since: Option<CommitSeq>,
}

/// What a transaction holds.
#[derive(Debug)]
pub(crate) struct HeldLocks {
    table: Arc<LockTable>,
    owner: LockOwner,
    holds: ByTarget<Hold>,
    /// What was added, in order: for savepoints.
    log: Vec<(TargetId, Modes)>,
    /// Ranges, in the order in which they were taken; each has its entry in the log.
    ranges: Vec<Arc<RangeLock>>,
    /// Counted as a user of the table.
    counted: bool,
}

/// The answer to [`HeldLocks::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was held before, at least as strongly.
    Before,
    Now,
    Skipped,
}

impl HeldLocks {
    pub(crate) fn new(table: &Arc<LockTable>, owner: LockOwner) -> HeldLocks {
        HeldLocks {
            table: Arc::clone(table),
            owner,
            holds: ByTarget::default(),
            log: Vec::new(),
            ranges: Vec::new(),
            counted: false,
        }
    }

    /// Takes a lock until the end of the transaction. From the first on others ask for locks that they would do without.
    pub(crate) fn take(&mut self, name: Name<'_>, mode: LockMode, patience: &Patience<'_>) -> Result<Taken> {
        let id = name.id();
        if self.covers(id, mode) {
            return Ok(Taken::Before);
        }
        self.become_user();
        let taken = self.acquire(name, id, mode, patience)?;
        self.table.await_passers();
        Ok(if taken { Taken::Now } else { Taken::Skipped })
    }

    fn become_user(&mut self) {
        if !self.counted {
            self.counted = true;
            self.table.add_user();
        }
    }

    /// Locks all keys of a range, those that are not there too, against every lock of others, until the end of the
    /// transaction: waits for whoever has one.
    pub(crate) fn take_range(&mut self, range: &KeyRange, patience: &Patience<'_>) -> Result<Taken> {
        if self.ranges.iter().any(|own| own.covers(range)) {
            return Ok(Taken::Before);
        }
        // Nobody is to wait for a range, however shortly, that is not to be had.
        if patience.wait == Wait::SkipLocked && !self.table.keys_within(self.owner, range).is_empty() {
            return Ok(Taken::Skipped);
        }
        self.become_user();
        let taken = self.enter_range(range, patience);
        self.table.await_passers();
        taken
    }

    /// [`HeldLocks::take_range`] for the time of the commit, where there is memory for it.
    pub(crate) fn take_range_in_passing(&mut self, range: &KeyRange, patience: &Patience<'_>) -> Result<()> {
        match self.enter_range(range, patience) {
            Ok(_) | Err(Error::LocksFull { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn enter_range(&mut self, range: &KeyRange, patience: &Patience<'_>) -> Result<Taken> {
        let Some(lock) = self.table.enter_range(self.owner, range, patience)? else {
            return Ok(Taken::Skipped);
        };
        let position = self.log.len();
        self.log.push((lock.id(), LockMode::Object(ObjectLock::Exclusive).bit()));
        self.ranges.push(lock);
        let emptied = self.await_keys(range, patience);
        if !matches!(emptied, Ok(true)) {
            self.release_from(position);
        }
        Ok(if emptied? { Taken::Now } else { Taken::Skipped })
    }

    /// Waits for those who have locked keys of an own range; there are no new ones. False where it is skipped.
    fn await_keys(&self, range: &KeyRange, patience: &Patience<'_>) -> Result<bool> {
        let mode = LockMode::Key(KeyLock::Update);
        for (id, target) in self.table.keys_within(self.owner, range) {
            let LockTarget::Key(shown) = &target else { continue };
            let held = self.holds.get(&id).is_some_and(|hold| hold.modes & mode.bit() != 0);
            let name = Name::Key(shown);
            let request = Request { owner: self.owner, name, id, mode, scope: Scope::Transaction };
            if !self.table.acquire(&request, patience)? {
                return Ok(false);
            }
            if !held {
                self.table.release(self.owner, id, mode.bit(), Scope::Transaction);
            }
        }
        Ok(true)
    }

    /// Whether a key lies in a range that is held.
    pub(crate) fn has_range_of(&self, key: &[u8]) -> bool {
        self.ranges.iter().any(|own| own.range.contains(key))
    }

    /// How many locks it has, and how many it is to have at most so that others find memory for theirs.
    pub(crate) fn count_and_share(&self) -> (usize, usize) {
        (self.log.len(), self.table.bytes_max / (2 * LOCK_BYTES))
    }

    /// Takes a lock on a key for the time of the commit, where there is memory for it. Others need not know of it.
    pub(crate) fn take_in_passing(
        &mut self,
        key: &[u8],
        mode: KeyLock,
        patience: &Patience<'_>,
    ) -> Result<()> {
        let (name, mode) = (Name::Key(key), LockMode::Key(mode));
        let id = name.id();
        if self.covers(id, mode) {
            return Ok(());
        }
        match self.acquire(name, id, mode, patience) {
            Ok(_) | Err(Error::LocksFull { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether a mode at least as strong is held.
    pub(crate) fn covers(&self, id: TargetId, mode: LockMode) -> bool {
        self.holds.get(&id).is_some_and(|hold| {
            let covered = LockMode::of(hold.modes).fold(0, |all, mode| all | mode.conflicting());
            mode.conflicting() & !covered == 0
        })
    }

    /// False where it is skipped.
    fn acquire(
        &mut self,
        name: Name<'_>,
        id: TargetId,
        mode: LockMode,
        patience: &Patience<'_>,
    ) -> Result<bool> {
        let request = Request { owner: self.owner, name, id, mode, scope: Scope::Transaction };
        let is_new = !self.holds.contains_key(&id);
        while self.table.acquire(&request, patience)? {
            // Whoever locks a range waits for those who had a key of it before.
            let range = if is_new { self.table.range_against(self.owner, name) } else { None };
            let Some(range) = range else {
                self.holds.entry(id).or_default().modes |= mode.bit();
                self.log.push((id, mode.bit()));
                return Ok(true);
            };
            self.table.release(self.owner, id, mode.bit(), Scope::Transaction);
            if !self.table.await_range(self.owner, &range, patience)? {
                break;
            }
        }
        Ok(false)
    }

    /// Notes the newest visible commit for a key just locked (I2), which `visible` reads after the lock was taken.
    pub(crate) fn note_since(&mut self, id: TargetId, mode: KeyLock, visible: CommitSeq) {
        if mode.excludes_writers()
            && let Some(hold) = self.holds.get_mut(&id)
        {
            hold.since.get_or_insert(visible);
        }
    }

    /// Whether a key is locked against writers (I2): then a stronger lock finds it as it was.
    pub(crate) fn is_firm(&self, id: TargetId) -> bool {
        self.holds.get(&id).is_some_and(|hold| hold.since.is_some())
    }

    /// What is known of the keys (I2), for the validation of the commit; afterwards only giving back is left to do.
    pub(crate) fn take_holds(&mut self) -> ByTarget<Hold> {
        std::mem::take(&mut self.holds)
    }

    /// A place to go back to.
    pub(crate) fn position(&self) -> usize {
        self.log.len()
    }

    /// Gives back what was taken since.
    pub(crate) fn release_from(&mut self, position: usize) {
        while self.log.len() > position
            && let Some((id, modes)) = self.log.pop()
        {
            if let Some(range) = self.ranges.pop_if(|range| range.id() == id) {
                self.table.leave_range(&range);
            }
            if let Some(hold) = self.holds.get_mut(&id) {
                hold.modes &= !modes;
                let writers = LockMode::Key(KeyLock::Share).bit() | LockMode::Key(KeyLock::NoKeyUpdate).bit();
                if hold.modes & (writers | LockMode::Key(KeyLock::Update).bit()) == 0 {
                    hold.since = None;
                }
                if hold.modes == 0 {
                    self.holds.remove(&id);
                }
            }
            self.table.release(self.owner, id, modes, Scope::Transaction);
        }
    }
}

impl Drop for HeldLocks {
    fn drop(&mut self) {
        self.release_from(0);
        if self.counted {
            self.table.remove_user();
        }
    }
}
