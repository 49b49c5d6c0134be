//! Locks on ranges of keys: for deleting a range, and in the place of very many locks on its keys.
//!
//! A range is registered before its owner looks for others who have keys in it, and whoever takes a lock on a key looks for
//! ranges afterwards; so one of the two sees the other. The owner of the range waits for those who have a key; who has
//! just taken one gives it back and waits for the range, unless it had a lock on that key before.
//!
//! Lock order: the list of ranges, then one shard. It is held for a few instructions; nobody waits with it held.
//!
//! Invariants:
//! - I1: ranges of two owners have no key in common.
//! - I2: an owner holds its range's target as long as the range is in the list: what waits for a range waits there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::mode::{LockMode, ObjectLock};
use super::table::{Attempt, LockOwner, LockTable, Request, Scope};
use super::target::{LockTarget, Name, SHOWN_BYTES, TargetId};
use super::wait::Patience;
use crate::error::{Error, Result};
use crate::range::KeyRange;

/// How the target of a range is held by its owner, and wanted for a moment by those who wait for it.
const HELD: LockMode = LockMode::Object(ObjectLock::Exclusive);
const AWAITED: LockMode = LockMode::Object(ObjectLock::Share);

/// A range that somebody has locked.
#[derive(Debug)]
pub(crate) struct RangeLock {
    number: u64,
    owner: LockOwner,
    pub(super) range: KeyRange,
}

impl RangeLock {
    fn name(&self) -> Name<'_> {
        Name::Range { number: self.number, range: &self.range }
    }

    pub(super) fn id(&self) -> TargetId {
        self.name().id()
    }

    /// Whether it holds all keys of another range.
    pub(super) fn covers(&self, range: &KeyRange) -> bool {
        let ends_before = match (range.end_key(), self.range.end_key()) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(inner), Some(outer)) => inner <= outer,
        };
        ends_before && range.start_key() >= self.range.start_key()
    }
}

/// All locked ranges of a store; few.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// How many there are: who locks a key looks at this alone, mostly.
    count: AtomicUsize,
    next: AtomicU64,
    all: Mutex<Vec<Arc<RangeLock>>>,
}

impl LockTable {
    /// Enters a range, waiting for those that overlap; none where it is skipped. Whoever has a key in it is still to be
    /// waited for.
    pub(super) fn enter_range(
        &self,
        owner: LockOwner,
        range: &KeyRange,
        patience: &Patience<'_>,
    ) -> Result<Option<Arc<RangeLock>>> {
        let (start, end) = (range.start_key(), range.end_key());
        let overlaps =
            |other: &&Arc<RangeLock>| other.owner != owner && other.range.overlaps(&start, end.as_deref());
        loop {
            let in_the_way = {
                let mut all = self.ranges.all.lock();
                match all.iter().find(overlaps) {
                    Some(other) => Arc::clone(other),
                    None => {
                        let number = self.ranges.next.fetch_add(1, Ordering::Relaxed);
                        let lock = Arc::new(RangeLock { number, owner, range: range.clone() });
                        if self.attempt(&self.request(owner, &lock, HELD)) == Attempt::Full {
                            return Err(Error::LocksFull { max: self.bytes_max });
                        }
                        all.push(Arc::clone(&lock));
                        self.ranges.count.store(all.len(), Ordering::SeqCst);
                        return Ok(Some(lock));
                    }
                }
            };
            if !self.await_range(owner, &in_the_way, patience)? {
                return Ok(None);
            }
        }
    }

    /// Takes a range out, before its target is given back (I2).
    pub(super) fn leave_range(&self, lock: &RangeLock) {
        let mut all = self.ranges.all.lock();
        all.retain(|other| other.number != lock.number);
        self.ranges.count.store(all.len(), Ordering::SeqCst);
    }

    /// The range of another owner that a key lies in.
    pub(super) fn range_against(&self, owner: LockOwner, name: Name<'_>) -> Option<Arc<RangeLock>> {
        let Name::Key(key) = name else { return None };
        if self.ranges.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let all = self.ranges.all.lock();
        all.iter().find(|lock| lock.owner != owner && lock.range.contains(key)).cloned()
    }

    /// Waits until a range is given back; false where it is skipped.
    pub(super) fn await_range(
        &self,
        owner: LockOwner,
        lock: &RangeLock,
        patience: &Patience<'_>,
    ) -> Result<bool> {
        let request = self.request(owner, lock, AWAITED);
        let free = self.acquire(&request, patience)?;
        if free {
            self.release(owner, request.id, AWAITED.bit(), Scope::Transaction);
        }
        Ok(free)
    }

    fn request<'a>(&self, owner: LockOwner, lock: &'a RangeLock, mode: LockMode) -> Request<'a> {
        Request { owner, name: lock.name(), id: lock.id(), mode, scope: Scope::Transaction }
    }

    /// The keys of a range that others have locked. Of a long key only its beginning is known: it counts where it may lie
    /// in the range.
    pub(super) fn keys_within(&self, owner: LockOwner, range: &KeyRange) -> Vec<(TargetId, LockTarget)> {
        let may_hold = |shown: &[u8]| match shown.len() < SHOWN_BYTES {
            true => range.contains(shown),
            false => range.overlaps(shown, KeyRange::prefix(shown).end_key().as_deref()),
        };
        let mut found = Vec::new();
        self.each_held_by_others(owner, |id, target| {
            if let LockTarget::Key(shown) = target
                && may_hold(shown)
            {
                found.push((id, target.clone()));
            }
        });
        found
    }
}
