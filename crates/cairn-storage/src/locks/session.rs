//! A session: what holds locks beyond its transactions.
//!
//! I1: a lock taken n times is held until it was given back n times, as PostgreSQL's session-level advisory locks are.
//! I2: a session and its transactions are one owner: they never wait for each other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::mode::{LockMode, ObjectLock};
use super::table::{LockOwner, LockTable, Request, Scope};
use super::target::{AdvisoryKey, Name};
use super::wait::{CancelHandle, Patience, Wait};
use crate::error::Result;

/// How an advisory lock is held.
pub(crate) fn advisory_mode(shared: bool) -> LockMode {
    LockMode::Object(if shared { ObjectLock::Share } else { ObjectLock::Exclusive })
}

/// A client's session: the owner of its transactions' locks and of advisory locks that outlive them. Dropping it gives
/// back what it holds.
///
/// ```
/// use cairn_storage::{AdvisoryKey, Options, Store, Wait};
/// let store = Store::open(&cairn_env::Env::memory(), "/db".as_ref(), Options::default())?;
/// let (a, b) = (store.session(), store.session());
/// let key = AdvisoryKey::One(7);
/// assert!(a.lock_advisory(key, false, Wait::Block)?);
/// assert!(!b.lock_advisory(key, false, Wait::SkipLocked)?);
/// assert!(a.unlock_advisory(key, false) && !a.unlock_advisory(key, false));
/// assert!(b.lock_advisory(key, false, Wait::SkipLocked)?);
/// # Ok::<(), cairn_storage::Error>(())
/// ```
#[derive(Debug)]
pub struct LockSession {
    table: Arc<LockTable>,
    id: LockOwner,
    cancel: CancelHandle,
    timeout: Mutex<Option<Duration>>,
    counts: Mutex<HashMap<(AdvisoryKey, bool), u32>>,
}

impl LockSession {
    pub(crate) fn new(table: &Arc<LockTable>, id: LockOwner) -> LockSession {
        LockSession {
            table: Arc::clone(table),
            id,
            cancel: CancelHandle::default(),
            timeout: Mutex::new(None),
            counts: Mutex::default(),
        }
    }

    /// Its number among the owners of locks.
    pub fn id(&self) -> LockOwner {
        self.id
    }

    /// Ends its waits, and those of the transactions begun in it.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// How long it waits for a lock; `None`, the default, is for ever.
    pub fn set_lock_timeout(&self, timeout: Option<Duration>) {
        *self.timeout.lock() = timeout;
    }

    pub(crate) fn lock_timeout(&self) -> Option<Duration> {
        *self.timeout.lock()
    }

    /// Takes an advisory lock until it is given back or the session ends; false where it is skipped.
    ///
    /// # Errors
    /// [`crate::Error::Deadlock`], [`crate::Error::LockTimeout`], [`crate::Error::LockNotAvailable`] (with
    /// [`Wait::NoWait`]), [`crate::Error::Cancelled`], [`crate::Error::LocksFull`].
    pub fn lock_advisory(&self, key: AdvisoryKey, shared: bool, wait: Wait) -> Result<bool> {
        let name = Name::Advisory(key);
        let mode = advisory_mode(shared);
        let request = Request { owner: self.id, name, id: name.id(), mode, scope: Scope::Session };
        let patience = Patience { wait, timeout: self.lock_timeout(), cancel: Some(&self.cancel) };
        let taken = self.table.acquire(&request, &patience)?;
        if taken {
            *self.counts.lock().entry((key, shared)).or_default() += 1;
        }
        Ok(taken)
    }

    /// Gives an advisory lock back once; false where this session does not hold it so.
    pub fn unlock_advisory(&self, key: AdvisoryKey, shared: bool) -> bool {
        let mut counts = self.counts.lock();
        let Some(count) = counts.get_mut(&(key, shared)) else { return false };
        *count -= 1;
        if *count == 0 {
            counts.remove(&(key, shared));
            self.release(key, shared);
        }
        true
    }

    /// Gives back all advisory locks of the session.
    pub fn unlock_all(&self) {
        for ((key, shared), _) in self.counts.lock().drain() {
            self.release(key, shared);
        }
    }

    fn release(&self, key: AdvisoryKey, shared: bool) {
        let mode = advisory_mode(shared);
        self.table.release(self.id, Name::Advisory(key).id(), mode.bit(), Scope::Session);
    }
}

impl Drop for LockSession {
    fn drop(&mut self) {
        self.unlock_all();
    }
}
