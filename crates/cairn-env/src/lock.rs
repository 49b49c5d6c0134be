//! A mutex that may be held across file operations and still lets a simulation choose who runs.
//!
//! Guarantees: on threads it is a plain mutex. In a simulation with concurrent fibers a fiber that finds it
//! taken gives its turn away instead of blocking the only thread that may run.
//!
//! Invariants:
//! - I1: a lock that is held where a simulation may switch (writing, syncing, creating, renaming, yielding,
//!   waiting) is a [`Lock`]; a mutex held for a few instructions need not be.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::sim::baton;

/// A mutex for whoever does I/O while holding it.
///
/// ```
/// let lock = cairn_env::Lock::new(1);
/// *lock.lock() += 1;
/// assert_eq!(*lock.lock(), 2);
/// ```
#[derive(Default)]
pub struct Lock<T> {
    /// Fibers that wait; always 0 on threads.
    waiters: AtomicU32,
    inner: Mutex<T>,
}

/// The right to what a [`Lock`] protects, until dropped.
pub struct LockGuard<'a, T> {
    // Dropped first: whoever is told below finds the lock free.
    inner: MutexGuard<'a, T>,
    _told: Release<'a>,
}

/// Tells the fibers that wait.
struct Release<'a>(&'a AtomicU32);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        if self.0.load(Ordering::Relaxed) > 0 {
            baton::released(self.place());
        }
    }
}

impl Release<'_> {
    /// Names the lock among all others.
    fn place(&self) -> usize {
        std::ptr::from_ref(self.0).addr()
    }
}

impl<T> Lock<T> {
    /// A lock around a value.
    pub const fn new(value: T) -> Lock<T> {
        Lock { waiters: AtomicU32::new(0), inner: Mutex::new(value) }
    }

    /// Waits for the lock and takes it. It is not reentrant.
    #[inline]
    pub fn lock(&self) -> LockGuard<'_, T> {
        let inner = match self.inner.try_lock() {
            Some(inner) => inner,
            None => self.wait(),
        };
        LockGuard { inner, _told: Release(&self.waiters) }
    }

    /// Takes the lock where nobody has it.
    #[inline]
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        let inner = self.inner.try_lock()?;
        Some(LockGuard { inner, _told: Release(&self.waiters) })
    }

    #[cold]
    fn wait(&self) -> MutexGuard<'_, T> {
        if !baton::is_fiber() {
            return self.inner.lock();
        }
        let place = std::ptr::from_ref(&self.waiters).addr();
        self.waiters.fetch_add(1, Ordering::Relaxed);
        let inner = loop {
            baton::wait_for_lock(place);
            if let Some(inner) = self.inner.try_lock() {
                break inner;
            }
        };
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        inner
    }
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
