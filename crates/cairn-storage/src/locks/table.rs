//! The lock table: who holds what, and who waits for it in which order.
//!
//! ```text
//!   request ── compatible with holders and with those that wait ──▶ held ── release ──▶ free
//!      └────── else ─▶ waiting (FIFO; who upgrades goes first) ──▶ held, or given up (wait.rs)
//! ```
//! As in PostgreSQL a request passes waiters that it does not exclude, and one that holds the target already passes all
//! that wait for it anyway. What nobody holds costs a look into one of 64 shards and nothing else.
//!
//! Who commits without locks because nobody has any is counted while it does ([`LockTable::pass_by`]): the first to take a
//! lock waits for those under way, so that what it then reads is not written beside its lock.
//!
//! Lock order: the wait-for graph (`wait.rs`), then one shard. Both are held for a few instructions; nobody waits with
//! either held.
//!
//! Invariants:
//! - I1: two owners never hold modes of one target that exclude each other.
//! - I2: a waiter is in its queue as long as it is not granted and has not given up; whoever takes a hold away grants what
//!   has become free before the shard is unlocked.
//! - I3: entries without holders and waiters are not kept, so an idle table is empty.

use std::collections::hash_map::Entry as Place;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cairn_env::{Env, Signal};
use parking_lot::Mutex;

use super::mode::{LockMode, Modes};
use super::ranges::Ranges;
use super::target::{LockTarget, Name, TargetId};
use super::wait::Graph;

/// Shards of the table; a power of two.
const SHARDS: usize = 64;
/// Charged for a locked target beside the shown part of its key: here and in the holder's own list.
pub(super) const ENTRY_BYTES: usize = 256;
/// Charged for every further holder.
const HOLDER_BYTES: usize = 128;

/// Who holds locks: a transaction without session by its id, else the session by its id.
pub type LockOwner = u64;

/// What ends a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Transaction,
    Session,
}

/// A target and how somebody wants it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) owner: LockOwner,
    pub(crate) name: Name<'a>,
    pub(crate) id: TargetId,
    pub(crate) mode: LockMode,
    pub(crate) scope: Scope,
}

/// The answer to a request that does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Granted,
    Busy,
    /// No memory is left for locks.
    Full,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    owner: LockOwner,
    transaction: Modes,
    session: Modes,
}

impl Holder {
    fn modes(&self) -> Modes {
        self.transaction | self.session
    }

    fn of_scope(&mut self, scope: Scope) -> &mut Modes {
        match scope {
            Scope::Transaction => &mut self.transaction,
            Scope::Session => &mut self.session,
        }
    }
}

/// Somebody who waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) owner: LockOwner,
    pub(crate) id: TargetId,
    pub(crate) mode: LockMode,
    pub(crate) scope: Scope,
    /// Written with the shard locked.
    pub(crate) granted: AtomicBool,
    pub(crate) signal: Signal,
}

#[derive(Debug)]
struct Entry {
    target: LockTarget,
    holders: Vec<Holder>,
    queue: VecDeque<Arc<Waiter>>,
}

impl Entry {
    /// What all others hold.
    fn held_by_others(&self, owner: LockOwner) -> Modes {
        self.holders.iter().filter(|h| h.owner != owner).fold(0, |modes, holder| modes | holder.modes())
    }

    fn is_grantable(&self, owner: LockOwner, mode: LockMode) -> bool {
        if mode.conflicting() & self.held_by_others(owner) != 0 {
            return false;
        }
        self.queue.is_empty()
            || self.holders.iter().any(|holder| holder.owner == owner)
            || self.queue.iter().all(|w| w.owner == owner || !w.mode.conflicts_with(mode))
    }

    fn grant(&mut self, owner: LockOwner, mode: LockMode, scope: Scope) {
        let place = match self.holders.iter().position(|holder| holder.owner == owner) {
            Some(place) => place,
            None => {
                self.holders.push(Holder { owner, transaction: 0, session: 0 });
                self.holders.len() - 1
            }
        };
        *self.holders[place].of_scope(scope) |= mode.bit();
    }

    /// Puts a waiter where it belongs.
    fn enqueue(&mut self, waiter: &Arc<Waiter>) {
        let own = self.holders.iter().find(|holder| holder.owner == waiter.owner);
        let own = own.map_or(0, Holder::modes);
        let at = self.queue.iter().position(|other| other.mode.conflicting() & own != 0);
        self.queue.insert(at.unwrap_or(self.queue.len()), Arc::clone(waiter));
    }

    /// Grants what has become free (I2).
    fn promote(&mut self, woken: &mut Vec<Arc<Waiter>>) {
        let mut ahead: Modes = 0;
        let mut at = 0;
        while let Some(waiter) = self.queue.get(at) {
            let (owner, mode) = (waiter.owner, waiter.mode);
            if mode.conflicting() & (ahead | self.held_by_others(owner)) != 0 {
                ahead |= mode.bit();
                at += 1;
                continue;
            }
            let waiter = self.queue.remove(at).expect("I2: it was looked at just now");
            self.grant(owner, mode, waiter.scope);
            waiter.granted.store(true, Ordering::Release);
            woken.push(waiter);
        }
    }

    /// Who holds up the waiter at that place in the queue.
    fn blockers(&self, at: usize) -> Vec<LockOwner> {
        let waiter = &self.queue[at];
        let conflicting = waiter.mode.conflicting();
        let holders = self.holders.iter().filter(|h| h.owner != waiter.owner && h.modes() & conflicting != 0);
        let ahead = self.queue.iter().take(at);
        let ahead = ahead.filter(|w| w.owner != waiter.owner && w.mode.bit() & conflicting != 0);
        holders.map(|holder| holder.owner).chain(ahead.map(|waiter| waiter.owner)).collect()
    }

    fn is_unused(&self) -> bool {
        self.holders.is_empty() && self.queue.is_empty()
    }

    fn charge(&self) -> usize {
        ENTRY_BYTES + self.target.heap_bytes()
    }
}

/// Target ids are hashes already, or numbers that need spreading.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = spread(id);
    }
}

fn spread(id: TargetId) -> u64 {
    let mixed = (id as u64 ^ (id >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

/// A map by target.
pub(crate) type ByTarget<V> = HashMap<TargetId, V, BuildHasherDefault<Spread>>;

#[derive(Debug, Default)]
struct Shard {
    entries: ByTarget<Entry>,
    bytes: usize,
}

/// A lock that somebody holds or waits for; a row of [`crate::Store::locks`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockInfo {
    /// What is locked.
    pub target: LockTarget,
    /// The transaction or session.
    pub owner: LockOwner,
    /// How.
    pub mode: LockMode,
    /// Whether it has the lock; else it waits.
    pub granted: bool,
    /// Whether the lock outlives the transaction.
    pub session: bool,
    /// Whom a waiter waits for: holders first, then those further ahead in the queue.
    pub blocked_by: Vec<LockOwner>,
}

/// A commit that goes on without locks, as long as this lives.
#[derive(Debug)]
pub(crate) struct Passer<'a>(&'a LockTable);

impl Drop for Passer<'_> {
    fn drop(&mut self) {
        let LockTable { passers, users, passed, .. } = self.0;
        if passers.fetch_sub(1, Ordering::SeqCst) == 1 && users.load(Ordering::SeqCst) > 0 {
            passed.notify_all();
        }
    }
}

/// All locks of a store.
#[derive(Debug)]
pub(crate) struct LockTable {
    shards: Box<[Mutex<Shard>]>,
    pub(super) graph: Mutex<Graph>,
    pub(super) env: Env,
    /// Transactions and sessions that hold locks beyond their commit.
    users: AtomicUsize,
    /// Commits under way that take no locks: they began when there were no users.
    passers: AtomicUsize,
    passed: Signal,
    pub(super) ranges: Ranges,
    pub(crate) bytes_max: usize,
}

impl LockTable {
    pub(crate) fn new(env: &Env, bytes_max: usize) -> LockTable {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        LockTable {
            shards,
            graph: Mutex::default(),
            env: env.clone(),
            users: AtomicUsize::new(0),
            passers: AtomicUsize::new(0),
            passed: env.signal(),
            ranges: Ranges::default(),
            bytes_max,
        }
    }

    /// Whether anybody holds locks.
    #[cfg(test)]
    pub(crate) fn is_used(&self) -> bool {
        self.users.load(Ordering::SeqCst) > 0
    }

    /// Lets a commit do without locks, until the guard goes; none where somebody holds locks, so that it has to ask.
    pub(crate) fn pass_by(&self) -> Option<Passer<'_>> {
        self.passers.fetch_add(1, Ordering::SeqCst);
        let passer = Passer(self);
        (self.users.load(Ordering::SeqCst) == 0).then_some(passer)
    }

    /// Waits for the commits that were let pass before the caller became a user; there are no new ones.
    pub(super) fn await_passers(&self) {
        let none = || self.passers.load(Ordering::SeqCst) == 0;
        if !none() {
            self.passed.wait_until(none);
        }
    }

    pub(crate) fn add_user(&self) {
        self.users.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn remove_user(&self) {
        self.users.fetch_sub(1, Ordering::SeqCst);
    }

    fn shard(&self, id: TargetId) -> &Mutex<Shard> {
        &self.shards[(spread(id) >> 24) as usize % SHARDS]
    }

    /// Takes a lock that is free.
    pub(crate) fn attempt(&self, request: &Request<'_>) -> Attempt {
        self.attempt_in(&mut self.shard(request.id).lock(), request)
    }

    fn attempt_in(&self, shard: &mut Shard, request: &Request<'_>) -> Attempt {
        let full = shard.bytes >= self.bytes_max / SHARDS;
        let Request { owner, mode, scope, .. } = *request;
        match shard.entries.entry(request.id) {
            Place::Vacant(_) if full => Attempt::Full,
            Place::Vacant(place) => {
                let mut holder = Holder { owner, transaction: 0, session: 0 };
                *holder.of_scope(scope) = mode.bit();
                let target = request.name.to_target();
                let entry = Entry { target, holders: vec![holder], queue: VecDeque::new() };
                shard.bytes += entry.charge();
                place.insert(entry);
                Attempt::Granted
            }
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                if !entry.is_grantable(owner, mode) {
                    return Attempt::Busy;
                }
                let holders = entry.holders.len();
                if full && entry.holders.iter().all(|holder| holder.owner != owner) {
                    return Attempt::Full;
                }
                entry.grant(owner, mode, scope);
                shard.bytes += HOLDER_BYTES * (entry.holders.len() - holders);
                Attempt::Granted
            }
        }
    }

    /// As [`LockTable::attempt`]; where the lock is not free the waiter goes into the queue.
    pub(super) fn attempt_or_enqueue(&self, request: &Request<'_>, waiter: &Arc<Waiter>) -> Attempt {
        let mut shard = self.shard(request.id).lock();
        let attempt = self.attempt_in(&mut shard, request);
        if attempt == Attempt::Busy
            && let Some(entry) = shard.entries.get_mut(&request.id)
        {
            entry.enqueue(waiter);
            shard.bytes += HOLDER_BYTES;
        }
        attempt
    }

    /// Runs `work` on an entry, grants what has become free by it, and wakes those who got it.
    fn change(&self, id: TargetId, work: impl FnOnce(&mut Entry)) {
        let mut woken = Vec::new();
        let mut shard = self.shard(id).lock();
        if let Place::Occupied(mut place) = shard.entries.entry(id) {
            let entry = place.get_mut();
            let before = (entry.holders.len() + entry.queue.len()).saturating_sub(1);
            work(entry);
            if !entry.queue.is_empty() {
                entry.promote(&mut woken);
            }
            let after = (entry.holders.len() + entry.queue.len()).saturating_sub(1);
            let mut freed = HOLDER_BYTES * before.saturating_sub(after);
            if entry.is_unused() {
                freed += place.remove().charge();
            }
            shard.bytes = shard.bytes.saturating_sub(freed);
        }
        drop(shard);
        woken.iter().for_each(|waiter| waiter.signal.notify_all());
    }

    /// Gives modes back.
    pub(crate) fn release(&self, owner: LockOwner, id: TargetId, modes: Modes, scope: Scope) {
        self.change(id, |entry| {
            let Some(place) = entry.holders.iter().position(|holder| holder.owner == owner) else { return };
            *entry.holders[place].of_scope(scope) &= !modes;
            if entry.holders[place].modes() == 0 {
                entry.holders.swap_remove(place);
            }
        });
    }

    /// A waiter gives up; false where it was granted before.
    pub(super) fn leave(&self, waiter: &Arc<Waiter>) -> bool {
        let mut left = false;
        self.change(waiter.id, |entry| {
            if let Some(at) = entry.queue.iter().position(|other| Arc::ptr_eq(other, waiter)) {
                entry.queue.remove(at);
                left = true;
            }
        });
        left
    }

    /// Grants a waiter that no holder excludes, past those ahead of it; whether that was possible.
    pub(super) fn pass(&self, waiter: &Arc<Waiter>) -> bool {
        let mut passed = false;
        self.change(waiter.id, |entry| {
            let Some(at) = entry.queue.iter().position(|other| Arc::ptr_eq(other, waiter)) else { return };
            if entry.held_by_others(waiter.owner) & waiter.mode.conflicting() == 0 {
                entry.queue.remove(at);
                entry.grant(waiter.owner, waiter.mode, waiter.scope);
                waiter.granted.store(true, Ordering::Release);
                passed = true;
            }
        });
        passed
    }

    /// What a waiter waits for, and for whom; none where it does not wait any more.
    pub(super) fn blockers(&self, waiter: &Arc<Waiter>) -> Option<(LockTarget, Vec<LockOwner>)> {
        let shard = self.shard(waiter.id).lock();
        let entry = shard.entries.get(&waiter.id)?;
        let at = entry.queue.iter().position(|other| Arc::ptr_eq(other, waiter))?;
        Some((entry.target.clone(), entry.blockers(at)))
    }

    /// What excludes a request, for the message of one that does not wait.
    pub(super) fn holder_of(&self, request: &Request<'_>) -> Option<LockOwner> {
        let shard = self.shard(request.id).lock();
        let conflicting = request.mode.conflicting();
        let holders = &shard.entries.get(&request.id)?.holders;
        holders.iter().find(|h| h.owner != request.owner && h.modes() & conflicting != 0).map(|h| h.owner)
    }

    /// Shows each target that somebody else holds, shard by shard.
    pub(super) fn each_held_by_others(&self, owner: LockOwner, mut see: impl FnMut(TargetId, &LockTarget)) {
        for shard in &self.shards {
            for (id, entry) in &shard.lock().entries {
                if entry.held_by_others(owner) != 0 {
                    see(*id, &entry.target);
                }
            }
        }
    }

    /// Bytes charged for all locks.
    pub(crate) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().bytes).sum()
    }

    /// All locks held and waited for. Shard by shard, so not of one instant.
    pub(crate) fn list(&self) -> Vec<LockInfo> {
        let mut out = Vec::new();
        for shard in &self.shards {
            for entry in shard.lock().entries.values() {
                for holder in &entry.holders {
                    for (modes, session) in [(holder.transaction, false), (holder.session, true)] {
                        out.extend(LockMode::of(modes).map(|mode| LockInfo {
                            target: entry.target.clone(),
                            owner: holder.owner,
                            mode,
                            granted: true,
                            session,
                            blocked_by: Vec::new(),
                        }));
                    }
                }
                out.extend(entry.queue.iter().enumerate().map(|(at, waiter)| LockInfo {
                    target: entry.target.clone(),
                    owner: waiter.owner,
                    mode: waiter.mode,
                    granted: false,
                    session: waiter.scope == Scope::Session,
                    blocked_by: entry.blockers(at),
                }));
            }
        }
        // The shards' order is that of hashes: for people, and for tests, by owner.
        out.sort_by_key(|lock| (lock.owner, !lock.granted));
        out
    }
}
