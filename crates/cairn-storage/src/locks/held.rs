//! The locks of one transaction: released together at its end, or from a savepoint on.
//!
//! I1: every hold of the transaction's scope in the table is listed here once; dropping this gives all of them back.
//! I2: `since` of a key is the newest commit that was visible when the key was first locked against writers: between that
//! and the end of the transaction no transaction that takes locks changes the key.

use std::sync::Arc;

use super::mode::{KeyLock, LockMode, Modes};
use super::table::{ByTarget, LockOwner, LockTable, Request, Scope};
use super::target::{Name, TargetId};
use super::wait::Patience;
use crate::error::{Error, Result};
use crate::key::CommitSeq;

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
            counted: false,
        }
    }

    /// Takes a lock until the end of the transaction. From the first on others ask for locks that they would do without.
    pub(crate) fn take(&mut self, name: Name<'_>, mode: LockMode, patience: &Patience<'_>) -> Result<Taken> {
        let id = name.id();
        if self.covers(id, mode) {
            return Ok(Taken::Before);
        }
        if !self.counted {
            self.counted = true;
            self.table.add_user();
        }
        let taken = self.acquire(name, id, mode, patience)?;
        self.table.await_passers();
        Ok(if taken { Taken::Now } else { Taken::Skipped })
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
    fn covers(&self, id: TargetId, mode: LockMode) -> bool {
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
        let taken = self.table.acquire(&request, patience)?;
        if taken {
            self.holds.entry(id).or_default().modes |= mode.bit();
            self.log.push((id, mode.bit()));
        }
        Ok(taken)
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
