//! Histories under the simulated scheduler: a seed decides the interleaving, the crashes and the recoveries, and
//! the history of all lives together is judged. What a crash left without an answer is of unknown outcome.
//!
//! `CAIRN_SEED` replays a seed and prints its history; `CAIRN_SEEDS` and `CAIRN_FIRST_SEED` set which run.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cairn_env::sim::{SimOptions, Simulation};
use cairn_env::{Env, SeededRandom};
use cairn_history::{
    AnomalyKind, Client, Failure, Found, History, Key, Outcome, Plan, Planned, Shape, Ticks, Transaction,
    Value, Workload, run,
};
use cairn_storage::{Direction, Error, Isolation, KeyLock, KeyRange, Store, SyncMode, Txn, TxnOptions};
use cairn_testkit::histories::{expected, judge, lost_append};
use cairn_testkit::interleave::ScriptLevel;

use crate::model::{for_seeds_by, small_options};

const SEEDS: u64 = 400;
/// Taken in turn.
const LEVELS: [Isolation; 4] =
    [Isolation::Snapshot, Isolation::Serializable, Isolation::RepeatableRead, Isolation::ReadCommitted];
const DIR: &str = "/db";
/// One commit in so many finds all that was committed before in files.
const FLUSHED: u64 = 8;

/// What all seeds together showed.
static SKEWS: AtomicU64 = AtomicU64::new(0);
static SINGLE: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);
static UNKNOWN: AtomicU64 = AtomicU64::new(0);
static COMMITTED: AtomicU64 = AtomicU64::new(0);

#[test]
fn simulated_histories_show_what_their_level_permits() {
    for_seeds_by(4, "isolation", SEEDS, |seed| {
        let isolation = LEVELS[(seed % 4) as usize];
        let history = record(seed, isolation);
        if std::env::var_os("CAIRN_SEED").is_some() {
            eprintln!("{isolation:?}\n{history}");
        }
        if seed % 50 == 7 {
            assert_eq!(history, record(seed, isolation), "the same seed gave another history");
        }
        judge_history(&history, isolation);
    });
    let [single, lost, skews, unknown, committed] =
        [&SINGLE, &LOST, &SKEWS, &UNKNOWN, &COMMITTED].map(|count| count.load(Ordering::Relaxed));
    eprintln!(
        "isolation: {committed} commits, {unknown} of unknown outcome; histories with write skew: {skews}; at Read \
         Committed with G-single: {single}, with updates lost that went by what was read before: {lost}"
    );
    if ["CAIRN_SEED", "CAIRN_SEEDS"].iter().all(|name| std::env::var_os(name).is_none()) {
        let least = [single, lost, skews, unknown].into_iter().min();
        assert!(least > Some(0), "the simulation does not reach everything");
    }
}

/// The table of `docs/isolation.md`; and at every level all that was acknowledged is in the lists at the end.
fn judge_history(history: &History, isolation: Isolation) {
    let level = match isolation {
        Isolation::ReadCommitted => ScriptLevel::ReadCommitted,
        Isolation::Snapshot | Isolation::RepeatableRead => ScriptLevel::RepeatableRead,
        Isolation::Serializable => ScriptLevel::Serializable,
    };
    let verdict = judge(&format!("{isolation:?}"), &expected(level), history).unwrap();
    if isolation == Isolation::ReadCommitted {
        SINGLE.fetch_add(u64::from(verdict.has(AnomalyKind::GSingle)), Ordering::Relaxed);
        LOST.fetch_add(u64::from(verdict.has(AnomalyKind::LostUpdate)), Ordering::Relaxed);
    } else {
        SKEWS.fetch_add(u64::from(!verdict.is_clean()), Ordering::Relaxed);
    }
    for transaction in &history.transactions {
        match transaction.outcome {
            Outcome::Committed => COMMITTED.fetch_add(1, Ordering::Relaxed),
            Outcome::Unknown => UNKNOWN.fetch_add(1, Ordering::Relaxed),
            Outcome::Aborted => 0,
        };
    }
    assert_eq!(lost_append(history), None, "{isolation:?}");
}

/// One client adds to a number under a lock, another optimistically: whoever waits for a lock is never refused, and
/// nothing is lost.
#[test]
fn optimistic_commits_do_not_break_in_on_locks() {
    const ROUNDS: u64 = 8;
    for_seeds_by(4, "locks", 150, |seed| {
        let mut random = SeededRandom::new(seed);
        let mut sim = SimOptions::new(seed);
        sim.fibers = true;
        sim.yield_one_in = [1, 2, 4][random.below(3) as usize];
        let simulation = Simulation::new(sim);
        let env = simulation.env();
        let store = Store::open(&env, Path::new(DIR), small_options(&mut random)).unwrap();
        let refused = Arc::new(AtomicU64::new(0));
        let clients =
            [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable].map(|isolation| {
                let (env, store, refused) = (env.clone(), store.clone(), Arc::clone(&refused));
                Box::new(move || {
                    for _ in 0..ROUNDS {
                        while let Err(error) = add_one(&env, &store, isolation) {
                            assert!(
                                matches!(error, Error::Conflict { .. }) && !isolation.is_locking(),
                                "{isolation:?}: {error}"
                            );
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }) as Box<dyn FnOnce() + Send>
            });
        simulation.run_clients(clients.into());
        let value = store.snapshot().get(b"n").unwrap().unwrap();
        assert_eq!(u64::from_le_bytes(value[..].try_into().unwrap()), 3 * ROUNDS);
    });
}

fn add_one(env: &Env, store: &Store, isolation: Isolation) -> cairn_storage::Result<()> {
    let options = TxnOptions { isolation, sync: Some(SyncMode::Sync), ..TxnOptions::default() };
    let mut txn = store.begin(options);
    txn.claim(b"n", KeyLock::NoKeyUpdate)?;
    // Others have their time to break in.
    env.tasks().yield_point();
    let old = txn.get_latest(b"n")?.map_or(0, |bytes| u64::from_le_bytes(bytes[..].try_into().unwrap()));
    txn.put(b"n", &(old + 1).to_le_bytes())?;
    env.tasks().yield_point();
    txn.commit().map(drop)
}

/// Runs the lives of one seed.
fn record(seed: u64, isolation: Isolation) -> History {
    let mut random = SeededRandom::new(seed ^ 0x0150_1a7e);
    let mut sim = SimOptions::new(seed);
    sim.fibers = true;
    sim.yield_one_in = [1, 2, 4][random.below(3) as usize];
    sim.switch_one_in = [0, 1, 4, 16][random.below(4) as usize];
    let simulation = Arc::new(Simulation::new(sim));
    let options = small_options(&mut random);
    let shape =
        Shape { keys: random.between(2, 8), transactions_per_key: random.between(2, 10), ..Shape::default() };
    let workload = Workload::new(seed, shape);
    let ticks = Arc::new(Ticks::default());
    let (next, mut processes) = (Arc::new(AtomicU64::new(0)), 0);
    let history: Arc<Mutex<History>> = Arc::default();
    for _ in 0..random.between(1, 3) {
        let env = simulation.env();
        let ends = random.one_in(2);
        if ends {
            let far = 1 << random.between(4, 9);
            let after = random.between(1, far);
            if random.one_in(3) { simulation.kill_after(after) } else { simulation.crash_after(after) }
        }
        if let Ok(store) = Store::open(&env, Path::new(DIR), options.clone()) {
            let transactions = random.between(4, 24);
            let clients = (0..random.between(2, 5)).map(|_| -> Box<dyn FnOnce() + Send> {
                processes += 1;
                let random = SeededRandom::new(seed ^ u64::from(processes) << 32);
                let mut client = StoreClient::new(&simulation, &env, &store, workload, isolation, random);
                let (ticks, next, history) = (Arc::clone(&ticks), Arc::clone(&next), Arc::clone(&history));
                Box::new(move || {
                    for _ in 0..transactions {
                        let plan = workload.plan(next.fetch_add(1, Ordering::Relaxed));
                        let transaction: Transaction = run(&mut client, &plan, processes, &ticks);
                        history.lock().unwrap().transactions.push(transaction);
                        if client.simulation.is_off() {
                            return;
                        }
                    }
                })
            });
            simulation.run_clients(clients.collect());
            drop(store);
        } else {
            assert!(simulation.is_off(), "open fails without cause");
        }
        simulation.cancel_crash();
        simulation.restart();
    }
    let env = simulation.env();
    let store = Store::open(&env, Path::new(DIR), options).unwrap();
    let end = workload.keys_end(next.load(Ordering::Relaxed));
    let all = Plan { operations: vec![Planned::Scan(0, end)], rolls_back: false };
    let mut reader = StoreClient::new(&simulation, &env, &store, workload, isolation, random);
    let last = run(&mut reader, &all, processes + 1, &ticks);
    assert_eq!(last.outcome, Outcome::Committed);
    let mut history = std::mem::take(&mut *history.lock().unwrap());
    history.transactions.push(last);
    history
}

/// A client of the store: a list is its values, eight bytes each; a register is its value.
struct StoreClient {
    simulation: Arc<Simulation>,
    env: Env,
    store: Store,
    workload: Workload,
    isolation: Isolation,
    txn: Option<Txn>,
    random: SeededRandom,
}

impl StoreClient {
    fn new(
        simulation: &Arc<Simulation>,
        env: &Env,
        store: &Store,
        workload: Workload,
        isolation: Isolation,
        random: SeededRandom,
    ) -> StoreClient {
        let (simulation, env, store) = (Arc::clone(simulation), env.clone(), store.clone());
        StoreClient { simulation, env, store, workload, isolation, txn: None, random }
    }

    fn sorted<T>(&self, result: cairn_storage::Result<T>) -> Result<T, Failure> {
        match result {
            Ok(value) => Ok(value),
            Err(Error::Conflict { .. } | Error::Deadlock { .. }) => Err(Failure::Aborted),
            Err(_) if self.simulation.is_off() => Err(Failure::Unknown),
            Err(error) => panic!("it fails without cause: {error}"),
        }
    }

    fn txn(&mut self) -> &mut Txn {
        self.env.tasks().yield_point();
        self.txn.as_mut().expect("begun")
    }

    /// The transaction at the beginning of a statement.
    fn statement(&mut self) -> &mut Txn {
        let txn = self.txn();
        txn.begin_statement();
        txn
    }

    fn decoded(&self, key: Key, bytes: &[u8]) -> Found {
        let mut values = bytes.chunks_exact(8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap()));
        if self.workload.is_register(key) {
            Found::Register(values.next())
        } else {
            Found::List(values.collect())
        }
    }
}

impl Client for StoreClient {
    fn begin(&mut self) -> Result<(), Failure> {
        self.env.tasks().yield_point();
        let options = TxnOptions { isolation: self.isolation, sync: Some(SyncMode::Sync), client_token: 0 };
        self.txn = Some(self.store.begin(options));
        Ok(())
    }

    fn append(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        // At the locking levels whoever writes meanwhile is waited for, and what it left is gone by; under Repeatable
        // Read it is a conflict.
        let claimed = self.statement().claim_unchanged(&key.to_be_bytes(), KeyLock::NoKeyUpdate);
        self.sorted(claimed)?;
        let found = self.txn().get_latest(&key.to_be_bytes());
        let mut list = self.sorted(found)?.map(|list| list.to_vec()).unwrap_or_default();
        list.extend(value.to_le_bytes());
        let done = self.txn().put(&key.to_be_bytes(), &list);
        self.sorted(done)
    }

    fn write(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        let claimed = self.statement().claim_unchanged(&key.to_be_bytes(), KeyLock::NoKeyUpdate);
        self.sorted(claimed)?;
        let done = self.txn().put(&key.to_be_bytes(), &value.to_le_bytes());
        self.sorted(done)
    }

    fn read(&mut self, key: Key) -> Result<Found, Failure> {
        let found = self.statement().get(&key.to_be_bytes());
        Ok(self.decoded(key, &self.sorted(found)?.unwrap_or_default()))
    }

    fn scan(&mut self, first: Key, end: Key) -> Result<Vec<(Key, Found)>, Failure> {
        // One direction or the other.
        let direction = if first.is_multiple_of(2) { Direction::Forward } else { Direction::Reverse };
        let range = KeyRange::half_open(&first.to_be_bytes(), &end.to_be_bytes());
        let mut scan = self.statement().scan(range, direction);
        let mut found = Vec::new();
        loop {
            let entry = scan.next().map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())));
            let Some((key, value)) = self.sorted(entry)? else { return Ok(found) };
            let key = u64::from_be_bytes(key[..].try_into().unwrap());
            found.push((key, self.decoded(key, &value)));
        }
    }

    fn commit(&mut self) -> Result<(), Failure> {
        if self.random.one_in(FLUSHED) {
            let flushed = self.store.flush();
            self.sorted(flushed)?;
        }
        let done = self.txn.take().expect("begun").commit();
        self.sorted(done).map(drop)
    }

    fn rollback(&mut self) {
        if let Some(txn) = self.txn.take() {
            txn.rollback();
        }
    }
}
