//! The lock table alone: against a simple reference, and what waiting does on threads and in the simulation.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cairn_env::sim::{SimOptions, Simulation};
use cairn_env::{Env, Lock, SeededRandom};

use super::held::Taken;
use super::mode::{KeyLock, LockMode};
use super::table::{Attempt, LockOwner, Request, Scope, Waiter};
use super::*;
use crate::error::Error;
use crate::range::KeyRange;

fn table(env: &Env) -> Arc<LockTable> {
    Arc::new(LockTable::new(env, 8 << 20))
}

fn seed() -> u64 {
    let seed = std::env::var("CAIRN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("CAIRN_SEED={seed}");
    seed
}

fn key(number: u64) -> [u8; 1] {
    [number as u8]
}

/// One target of the reference: who holds what, and who waits, in order.
#[derive(Default)]
struct Reference {
    held: Vec<(LockOwner, LockMode)>,
    queue: Vec<(LockOwner, LockMode)>,
}

impl Reference {
    fn is_free(&self, owner: LockOwner, mode: LockMode) -> bool {
        self.held.iter().all(|(other, held)| *other == owner || !held.conflicts_with(mode))
    }

    fn can_take(&self, owner: LockOwner, mode: LockMode) -> bool {
        let passes = self.held.iter().any(|(other, _)| *other == owner)
            || self.queue.iter().all(|(_, waiting)| !waiting.conflicts_with(mode));
        self.is_free(owner, mode) && passes
    }

    fn wait(&mut self, owner: LockOwner, mode: LockMode) {
        let own: Vec<LockMode> = self.held.iter().filter(|(o, _)| *o == owner).map(|(_, m)| *m).collect();
        let at = self.queue.iter().position(|(_, other)| own.iter().any(|m| m.conflicts_with(*other)));
        self.queue.insert(at.unwrap_or(self.queue.len()), (owner, mode));
    }

    fn promote(&mut self) {
        let mut ahead: Vec<LockMode> = Vec::new();
        for (owner, mode) in std::mem::take(&mut self.queue) {
            if self.is_free(owner, mode) && ahead.iter().all(|other| !other.conflicts_with(mode)) {
                if !self.held.contains(&(owner, mode)) {
                    self.held.push((owner, mode));
                }
            } else {
                ahead.push(mode);
                self.queue.push((owner, mode));
            }
        }
    }

    fn release(&mut self, owner: LockOwner) {
        self.held.retain(|(other, _)| *other != owner);
        self.promote();
    }

    fn give_up(&mut self, owner: LockOwner) {
        self.queue.retain(|(other, _)| *other != owner);
        self.promote();
    }
}

/// Who holds a key, and how.
type Holders = BTreeMap<u64, Vec<(u64, LockMode)>>;

/// Random requests, releases and withdrawals on a few targets, without threads: after each step the table says what
/// the reference says, held and waited for, in the same order.
#[test]
fn the_table_does_what_the_reference_does() {
    let mut random = SeededRandom::new(seed());
    for _ in 0..400 {
        let table = table(&Env::memory());
        let mut reference: BTreeMap<u64, Reference> = BTreeMap::new();
        let mut waiting: BTreeMap<LockOwner, (u64, Arc<Waiter>)> = BTreeMap::new();
        for _ in 0..60 {
            let (owner, number) = (random.below(6), random.below(3));
            let objects = number == 2;
            let mode = LockMode::ALL
                [random.below(4) as usize + if objects { 4 + random.below(5) as usize } else { 0 }];
            let (bytes, object) = (key(number), number);
            let name = if objects { Name::Object(object) } else { Name::Key(&bytes) };
            let request = Request { owner, name, id: name.id(), mode, scope: Scope::Transaction };
            if let Some((at, waiter)) = waiting.get(&owner).cloned() {
                if waiter.granted.load(Ordering::SeqCst) {
                    waiting.remove(&owner);
                } else if random.below(3) == 0 {
                    assert!(table.leave(&waiter));
                    reference.get_mut(&at).unwrap().give_up(owner);
                    waiting.remove(&owner);
                }
                continue;
            }
            let target = reference.entry(number).or_default();
            if random.below(3) == 0 {
                table.release(owner, request.id, u16::MAX, Scope::Transaction);
                target.release(owner);
            } else if target.can_take(owner, mode) {
                assert_eq!(table.attempt(&request), Attempt::Granted);
                if !target.held.contains(&(owner, mode)) {
                    target.held.push((owner, mode));
                }
            } else {
                let signal = Env::memory().signal();
                let (id, scope, granted) = (request.id, Scope::Transaction, Default::default());
                let waiter = Arc::new(Waiter { owner, id, mode, scope, granted, signal });
                assert_eq!(table.attempt_or_enqueue(&request, &waiter), Attempt::Busy);
                target.wait(owner, mode);
                waiting.insert(owner, (number, waiter));
            }
            compare(&table, &reference);
        }
        for owner in 0..6 {
            if let Some((_, waiter)) = waiting.get(&owner) {
                table.leave(waiter);
            }
        }
        for (owner, number) in (0..6).flat_map(|owner| (0..3).map(move |number| (owner, number))) {
            let bytes = key(number);
            let name = if number == 2 { Name::Object(number) } else { Name::Key(&bytes) };
            table.release(owner, name.id(), u16::MAX, Scope::Transaction);
        }
        assert!(table.list().is_empty() && table.bytes() == 0, "{:?} {}", table.list(), table.bytes());
    }
}

fn compare(table: &LockTable, reference: &BTreeMap<u64, Reference>) {
    let mut wanted: Vec<(u64, LockOwner, String, bool)> = Vec::new();
    for (number, target) in reference {
        wanted.extend(target.held.iter().map(|(owner, mode)| (*number, *owner, mode.to_string(), true)));
        wanted.extend(target.queue.iter().map(|(owner, mode)| (*number, *owner, mode.to_string(), false)));
    }
    let number = |target: &LockTarget| match target {
        LockTarget::Key(key) => u64::from(key[0]),
        LockTarget::Object(number) => *number,
        LockTarget::Range(_) | LockTarget::Advisory(_) => panic!("none was locked"),
    };
    let found = table.list();
    let mut found: Vec<_> = found
        .iter()
        .map(|lock| (number(&lock.target), lock.owner, lock.mode.to_string(), lock.granted))
        .collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

fn block() -> Patience<'static> {
    Patience::default()
}

/// Two and three transactions in a circle: exactly one gets an error, at once, and it names the circle.
#[test]
fn a_circle_has_exactly_one_victim() {
    for members in 2..5u64 {
        let table = table(&Env::memory());
        let victims = Arc::new(AtomicU64::new(0));
        let barrier = std::sync::Barrier::new(members as usize);
        std::thread::scope(|threads| {
            for own in 0..members {
                let (table, victims, barrier) = (&table, &victims, &barrier);
                threads.spawn(move || {
                    let mut locks = HeldLocks::new(table, own);
                    let update = LockMode::Key(KeyLock::Update);
                    locks.take(Name::Key(&key(own)), update, &block()).unwrap();
                    barrier.wait();
                    match locks.take(Name::Key(&key((own + 1) % members)), update, &block()) {
                        Ok(taken) => assert_eq!(taken, Taken::Now),
                        Err(Error::Deadlock { waits }) => {
                            victims.fetch_add(1, Ordering::SeqCst);
                            assert_eq!(waits.len() as u64, members);
                            assert_eq!((waits[0].waiter, waits[waits.len() - 1].blocker), (own, own));
                            let next = |pair: &[LockWait]| pair[0].blocker == pair[1].waiter;
                            assert!(waits.windows(2).all(next), "{waits:?}");
                            let (to, line) = ((own + 1) % members, waits[0].to_string());
                            assert_eq!(
                                line,
                                format!(
                                    "Transaction {own} waits for For Update on key \"\\x0{to}\"; \
                                     blocked by transaction {to}."
                                )
                            );
                        }
                        Err(error) => panic!("{error}"),
                    }
                });
            }
        });
        assert_eq!(victims.load(Ordering::SeqCst), 1);
        assert!(table.list().is_empty() && !table.is_used());
    }
}

/// Two who share a key and both want it for themselves: an upgrade that cannot be.
#[test]
fn two_upgrades_of_one_key_are_a_deadlock_and_one_upgrade_goes_first() {
    let simulation = Simulation::new(SimOptions { fibers: true, ..SimOptions::new(seed()) });
    let env = simulation.env();
    let table = table(&env);
    let outcomes = Arc::new(Lock::new(Vec::new()));
    let client = |own: u64, first: KeyLock, then: Option<KeyLock>, pause: u64| -> Box<dyn FnOnce() + Send> {
        let (table, env, outcomes) = (Arc::clone(&table), env.clone(), Arc::clone(&outcomes));
        Box::new(move || {
            let mut locks = HeldLocks::new(&table, own);
            env.clock().sleep(Duration::from_millis(pause));
            locks.take(Name::Key(b"k"), LockMode::Key(first), &block()).unwrap();
            env.clock().sleep(Duration::from_millis(10));
            let answer = then.map(|mode| locks.take(Name::Key(b"k"), LockMode::Key(mode), &block()));
            let ok = !matches!(answer, Some(Err(Error::Deadlock { .. })));
            outcomes.lock().push((own, ok));
        })
    };
    let (share, update) = (KeyLock::Share, KeyLock::Update);
    simulation.run_clients(vec![client(1, share, Some(update), 0), client(2, share, Some(update), 1)]);
    // The second to ask closes the circle; the first goes on when that one has gone.
    assert_eq!(*outcomes.lock(), [(2, false), (1, true)]);
    outcomes.lock().clear();
    // 3 holds a share; 4 waits for an update in vain; 3's upgrade passes it.
    simulation.run_clients(vec![client(3, share, Some(update), 0), client(4, update, None, 5)]);
    assert_eq!(*outcomes.lock(), [(3, true), (4, true)]);
    assert!(table.list().is_empty());
}

#[test]
fn waits_end_by_time_by_cancellation_or_not_at_all() {
    let simulation = Simulation::new(SimOptions { fibers: true, ..SimOptions::new(seed()) });
    let env = simulation.env();
    let table = table(&env);
    let mode = LockMode::Key(KeyLock::NoKeyUpdate);
    let mut holder = HeldLocks::new(&table, 1);
    holder.take(Name::Key(b"k"), mode, &block()).unwrap();
    let mut other = HeldLocks::new(&table, 2);
    let patience = Patience { wait: Wait::NoWait, ..block() };
    let error = other.take(Name::Key(b"k"), mode, &patience).unwrap_err();
    assert!(matches!(&error, Error::LockNotAvailable { holder: Some(1), .. }), "{error}");
    assert_eq!(error.to_string(), "could not obtain lock on key \"k\"");
    let patience = Patience { wait: Wait::SkipLocked, ..block() };
    assert_eq!(other.take(Name::Key(b"k"), mode, &patience).unwrap(), Taken::Skipped);
    let before = env.clock().monotonic_nanos();
    let patience = Patience { timeout: Some(Duration::from_secs(7)), ..block() };
    let error = other.take(Name::Key(b"k"), mode, &patience).unwrap_err();
    assert!(matches!(error, Error::LockTimeout { .. }), "{error}");
    assert_eq!((env.clock().monotonic_nanos() - before) / 1_000_000_000, 7);
    let cancel = CancelHandle::default();
    let (trip, pause) = (cancel.clone(), env.clone());
    let waiter = Arc::clone(&table);
    simulation.run_clients(vec![
        Box::new(move || {
            let mut other = HeldLocks::new(&waiter, 3);
            let patience = Patience { cancel: Some(&cancel), ..Patience::default() };
            let error = other.take(Name::Key(b"k"), mode, &patience).unwrap_err();
            assert!(matches!(error, Error::Cancelled), "{error}");
        }),
        Box::new(move || {
            pause.clock().sleep(Duration::from_millis(3));
            trip.cancel();
        }),
    ]);
    assert_eq!(table.list().len(), 1);
    // A key that is not locked against the mode asked for is shared.
    let shared = LockMode::Key(KeyLock::KeyShare);
    assert_eq!(other.take(Name::Key(b"k"), shared, &block()).unwrap(), Taken::Now);
    assert_eq!(other.take(Name::Key(b"k"), shared, &block()).unwrap(), Taken::Before);
}

/// Who has a key keeps a range away, who has the range every key of it, long ones too; an own range is no obstacle.
#[test]
fn ranges_and_keys_exclude_each_other() {
    let table = table(&Env::memory());
    let (mut a, mut b) = (HeldLocks::new(&table, 1), HeldLocks::new(&table, 2));
    let skip = Patience { wait: Wait::SkipLocked, ..block() };
    let update = LockMode::Key(KeyLock::Update);
    let share = LockMode::Key(KeyLock::KeyShare);
    let long = |last: u8| [&[b'm'; 200][..], &[last]].concat();
    a.take(Name::Key(&long(1)), share, &block()).unwrap();
    let around = KeyRange::half_open(b"c", b"p");
    assert_eq!(b.take_range(&around, &skip).unwrap(), Taken::Skipped);
    assert_eq!(b.take_range(&KeyRange::half_open(b"c", b"m"), &skip).unwrap(), Taken::Now);
    assert_eq!(b.take_range(&KeyRange::half_open(b"d", b"e"), &skip).unwrap(), Taken::Before);
    assert_eq!(a.take(Name::Key(b"d"), share, &skip).unwrap(), Taken::Skipped);
    assert_eq!(a.take_range(&KeyRange::half_open(b"a", b"ca"), &skip).unwrap(), Taken::Skipped);
    assert_eq!(a.take(Name::Key(b"m"), update, &skip).unwrap(), Taken::Now);
    assert_eq!(b.take(Name::Key(b"d"), update, &skip).unwrap(), Taken::Now);
    let error = a.take(Name::Key(b"e"), share, &Patience { wait: Wait::NoWait, ..block() }).unwrap_err();
    assert_eq!(error.to_string(), "could not obtain lock on keys from \"c\" to \"m\"");
    // Going back to a savepoint gives a range back.
    let position = a.position();
    assert_eq!(a.take_range(&KeyRange::half_open(b"q", b"z"), &skip).unwrap(), Taken::Now);
    assert!(a.has_range_of(b"r") && !a.has_range_of(b"d"));
    assert_eq!(b.take(Name::Key(b"r"), share, &skip).unwrap(), Taken::Skipped);
    a.release_from(position);
    assert!(!a.has_range_of(b"r"));
    assert_eq!(b.take(Name::Key(b"r"), share, &skip).unwrap(), Taken::Now);
    drop((a, b));
    assert!(table.bytes() == 0 && table.list().is_empty() && !table.is_used());
}

#[test]
fn memory_for_locks_is_bounded_and_given_back() {
    let table = Arc::new(LockTable::new(&Env::memory(), 256 << 10));
    let mut locks = HeldLocks::new(&table, 1);
    let mode = LockMode::Key(KeyLock::Update);
    let taken = (0..10_000u32).filter(|n| locks.take(Name::Key(&n.to_be_bytes()), mode, &block()).is_ok());
    let taken = taken.count();
    assert!((500..1_100).contains(&taken), "{taken}");
    assert!(table.bytes() < (256 << 10) + 64 * 512, "{}", table.bytes());
    // What is held already costs nothing more, and a shared hold by another is charged too.
    assert_eq!(locks.take(Name::Key(&0u32.to_be_bytes()), mode, &block()).unwrap(), Taken::Before);
    drop(locks);
    assert!(table.bytes() == 0 && table.list().is_empty() && !table.is_used());
}

/// Clients take random locks, some of them several, in the simulation: never two that exclude each other, no client
/// waits for ever, deadlocks end, and the seed tells the history.
#[test]
fn random_histories_are_safe_live_and_replayable() {
    let first = seed();
    let mut met = 0;
    for seed in first..first + 60 {
        let history = run_history(seed);
        met += history.1;
        assert_eq!(history, run_history(seed), "seed {seed} is not replayable");
    }
    assert!(met > 0, "no history met a deadlock");
}

/// Who held what, as the clients saw it, and how many met a deadlock.
fn run_history(seed: u64) -> (Vec<(u64, u64, bool)>, u64) {
    let simulation = Simulation::new(SimOptions { fibers: true, yield_one_in: 2, ..SimOptions::new(seed) });
    let env = simulation.env();
    let table = table(&env);
    let history = Arc::new(Lock::new(Vec::new()));
    let holders: Arc<Lock<Holders>> = Arc::default();
    let deadlocks = Arc::new(AtomicU64::new(0));
    let client = |own: u64| -> Box<dyn FnOnce() + Send> {
        let (table, env, history) = (Arc::clone(&table), env.clone(), Arc::clone(&history));
        let (holders, deadlocks) = (Arc::clone(&holders), Arc::clone(&deadlocks));
        Box::new(move || {
            let mut random = SeededRandom::new(seed * 100 + own);
            for round in 0..8 {
                let owner = own * 100 + round;
                let mut locks = HeldLocks::new(&table, owner);
                for _ in 0..random.between(1, 4) {
                    let (target, mode) = (random.below(4), LockMode::ALL[random.below(4) as usize]);
                    let timeout = (random.below(4) == 0).then_some(Duration::from_millis(own));
                    let patience = Patience { timeout, ..Patience::default() };
                    // One in five locks a range of keys.
                    let end = if random.below(5) == 0 { random.between(target + 1, 4) } else { target };
                    let range = KeyRange::half_open(&key(target), &key(end));
                    let taken = match range.is_empty() {
                        true => locks.take(Name::Key(&key(target)), mode, &patience),
                        false => locks.take_range(&range, &patience),
                    };
                    match taken {
                        Ok(_) => {}
                        Err(Error::LockTimeout { .. }) => break,
                        Err(Error::Deadlock { .. }) => {
                            deadlocks.fetch_add(1, Ordering::SeqCst);
                            break;
                        }
                        Err(error) => panic!("{error}"),
                    }
                    let mut holders = holders.lock();
                    let mode = if range.is_empty() { mode } else { LockMode::Key(KeyLock::Update) };
                    for target in target..end.max(target + 1) {
                        let here = holders.entry(target).or_default();
                        let excluded =
                            here.iter().find(|(other, held)| *other != owner && held.conflicts_with(mode));
                        assert!(excluded.is_none(), "{owner} has {mode} of {target} beside {excluded:?}");
                        here.push((owner, mode));
                    }
                    history.lock().push((owner, target, true));
                    drop(holders);
                    env.tasks().yield_point();
                }
                env.clock().sleep(Duration::from_micros(random.below(3_000)));
                holders.lock().values_mut().for_each(|here| here.retain(|(other, _)| *other != owner));
                history.lock().push((owner, 0, false));
                drop(locks);
            }
        })
    };
    simulation.run_clients((1..5).map(client).collect());
    assert!(table.list().is_empty() && table.bytes() == 0);
    let history = history.lock().clone();
    (history, deadlocks.load(Ordering::SeqCst))
}
