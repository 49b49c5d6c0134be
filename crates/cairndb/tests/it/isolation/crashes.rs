//! Histories of rows and keys through crashes: the power is cut, or the process killed, at a random file operation, the
//! database opened again on what is left, and the history of all lives judged as one. Clients are threads, so a seed
//! decides what is done and where it ends, not how transactions meet.
//!
//! `CAIRN_SEED` runs one seed, `CAIRN_SEEDS` and `CAIRN_FIRST_SEED` set which run.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_env::SeededRandom;
use cairn_env::sim::{SimOptions, Simulation};
use cairn_history::{History, Outcome, Plan, Planned, Shape, Ticks, Transaction, Workload, run};
use cairn_testkit::histories::{expected, judge, lost_append};
use cairn_testkit::interleave::ScriptLevel;
use cairndb::{Database, IsolationLevel, OpenOptions, SyncMode};

use super::mixed::{LEVELS, Mixed, by_statements, set_up};
use super::number;

const SEEDS: u64 = 12;
const DIR: &str = "/db";

/// A transaction, and the level that it ran at.
type Leveled = (IsolationLevel, Transaction);

/// A history of transactions at several levels. The last of them reads everything.
#[derive(Default)]
pub(crate) struct Mixture(pub(crate) Vec<Leveled>);

impl Mixture {
    /// Judges it. Each transaction has what its own level promises, whatever the others run at: without the reads of
    /// weaker ones, nothing may be seen that the level forbids.
    pub(crate) fn judge(&self, what: &str) -> Result<(), String> {
        let whole = History { transactions: self.0.iter().map(|(_, txn)| txn.clone()).collect() };
        match lost_append(&whole) {
            Some(lost) => Err(format!("{what}: {lost}")),
            None => self.judge_order(what),
        }
    }

    /// What the checker alone says.
    fn judge_order(&self, what: &str) -> Result<(), String> {
        for table in ScriptLevel::ALL {
            let strong = |level: &IsolationLevel| {
                LEVELS.iter().any(|(_, known, of)| known == level && rank(*of) >= rank(table))
            };
            let transactions =
                self.0.iter().map(|(level, txn)| if strong(level) { txn.clone() } else { blind(txn) });
            let history = History { transactions: transactions.collect() };
            judge(&format!("{what}, as {} saw it", table.sql()), &expected(table), &history)?;
        }
        Ok(())
    }

    pub(crate) fn count(&self, outcome: Outcome) -> u64 {
        self.0.iter().filter(|(_, txn)| txn.outcome == outcome).count() as u64
    }
}

fn rank(level: ScriptLevel) -> usize {
    ScriptLevel::ALL.iter().position(|other| *other == level).unwrap()
}

/// A transaction's writes alone.
fn blind(txn: &Transaction) -> Transaction {
    use cairn_history::Operation::{Append, Write};
    let writes = txn.operations.iter().filter(|operation| matches!(operation, Append { .. } | Write { .. }));
    Transaction { operations: writes.cloned().collect(), ..txn.clone() }
}

/// Reads everything, when nobody writes.
pub(crate) fn read_all(
    db: &Database,
    workload: Workload,
    planned: u64,
    process: u32,
    ticks: &Ticks,
) -> Leveled {
    let level = IsolationLevel::Serializable;
    let all = Plan { operations: vec![Planned::Scan(0, workload.keys_end(planned))], rolls_back: false };
    let last = run(&mut Mixed::new(db, workload, level, &|| false), &all, process, ticks);
    assert_eq!(last.outcome, Outcome::Committed);
    (level, last)
}

struct Lives {
    simulation: Simulation,
    options: OpenOptions,
    workload: Workload,
    /// Taken at random by each transaction.
    levels: Vec<IsolationLevel>,
    ticks: Ticks,
    next: AtomicU64,
    processes: u32,
    mixture: Mutex<Mixture>,
    /// Whether commits wait until they are on the disk.
    safe: bool,
}

impl Lives {
    fn new(seed: u64, random: &mut SeededRandom, safe: bool) -> Lives {
        let all: Vec<IsolationLevel> = LEVELS.iter().map(|(_, level, _)| *level).collect();
        // Each level by itself, then all together.
        let levels = all.get(seed as usize % 5).map_or(all.clone(), |level| vec![*level]);
        let memtable = if random.one_in(2) && safe { 8 << 10 } else { 1 << 20 };
        let sync = if safe { SyncMode::Sync } else { SyncMode::None };
        let shape = Shape {
            keys: random.between(4, 12),
            transactions_per_key: random.between(2, 8),
            ..Shape::default()
        };
        Lives {
            simulation: Simulation::new(SimOptions::new(seed)),
            options: OpenOptions::new().sync(sync).memtable_bytes(memtable),
            workload: Workload::new(seed, shape),
            levels,
            ticks: Ticks::default(),
            next: AtomicU64::new(0),
            processes: 0,
            mixture: Mutex::default(),
            safe,
        }
    }

    fn open(&self) -> cairndb::Result<Database> {
        Database::open_in_env(&self.simulation.env_on_threads(), Path::new(DIR), self.options.clone())
    }

    /// One life of the database; it may end at any change of a file.
    fn live(&mut self, random: &mut SeededRandom) {
        if random.one_in(8) && self.safe {
            self.end_soon(random, 30);
        }
        let opened = self.open().and_then(|db| set_up(&db).map(|()| db));
        let Ok(db) = opened else {
            assert!(self.simulation.is_off(), "it cannot be opened: {opened:?}");
            return;
        };
        if self.safe {
            self.end_soon(random, 120);
        }
        let (clients, transactions) = (random.between(2, 5), random.between(4, 12));
        let seeds: Vec<u64> = (0..clients).map(|_| random.next()).collect();
        std::thread::scope(|threads| {
            for (process, seed) in (self.processes..).zip(seeds) {
                let (lives, db) = (&*self, &db);
                threads.spawn(move || lives.work(db, process, transactions, SeededRandom::new(seed)));
            }
        });
        self.processes += clients as u32;
        if !self.safe {
            // Before it is closed, which would make everything safe.
            self.simulation.crash();
        }
    }

    fn end_soon(&self, random: &mut SeededRandom, changes_max: u64) {
        let after = random.between(1, changes_max);
        if random.one_in(3) { self.simulation.kill_after(after) } else { self.simulation.crash_after(after) }
    }

    fn work(&self, db: &Database, process: u32, transactions: u64, mut random: SeededRandom) {
        let is_off = || self.simulation.is_off();
        let mut client = Mixed::new(db, self.workload, self.levels[0], &is_off);
        for _ in 0..transactions {
            client.level = self.levels[random.below(self.levels.len() as u64) as usize];
            let plan = self.workload.plan(self.next.fetch_add(1, Ordering::Relaxed));
            let plan = by_statements(plan, client.level);
            let transaction = run(&mut client, &plan, process, &self.ticks);
            self.mixture.lock().unwrap().0.push((client.level, transaction));
            if is_off() {
                return;
            }
        }
    }
}

/// The history of a seed.
fn record(seed: u64, safe: bool) -> Mixture {
    let mut random = SeededRandom::new(seed ^ 0x0c4a_54e5);
    let mut lives = Lives::new(seed, &mut random, safe);
    for _ in 0..random.between(2, 4) {
        lives.live(&mut random);
        lives.simulation.cancel_crash();
        if lives.simulation.is_powered() && random.one_in(2) {
            lives.simulation.crash();
        }
        lives.simulation.restart();
    }
    let db = lives.open().unwrap();
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "seed {seed}: {report:?}");
    set_up(&db).unwrap();
    let planned = lives.next.load(Ordering::Relaxed);
    let last = read_all(&db, lives.workload, planned, lives.processes, &lives.ticks);
    let mut mixture = lives.mixture.into_inner().unwrap();
    mixture.0.push(last);
    mixture
}

#[test]
fn histories_of_rows_and_keys_through_crashes() {
    let first = number("CAIRN_FIRST_SEED", number("CAIRN_SEED", 1));
    let seeds = if std::env::var_os("CAIRN_SEED").is_some() { 1 } else { number("CAIRN_SEEDS", SEEDS) };
    let (mut committed, mut unknown, mut aborted) = (0, 0, 0);
    for seed in first..first + seeds {
        let mixture = record(seed, true);
        let judged = mixture.judge(&format!("seed {seed}"));
        if let Err(report) = judged {
            panic!("{report}");
        }
        committed += mixture.count(Outcome::Committed);
        unknown += mixture.count(Outcome::Unknown);
        aborted += mixture.count(Outcome::Aborted);
    }
    println!(
        "{seeds} seeds: {committed} commits, {unknown} of unknown outcome, {aborted} aborted, nothing lost"
    );
    assert!(seeds < SEEDS || unknown > 0, "no crash met a commit");
}

/// The rig has teeth: commits that were acknowledged before they were on the disk are lost by a power cut, and missed.
#[test]
fn lost_commits_are_found() {
    for seed in 1..=4 {
        let mixture = record(seed, false);
        assert!(mixture.judge("").is_err(), "seed {seed}: nobody missed them");
        assert!(mixture.judge_order("").is_err(), "seed {seed}: the checker did not see it");
    }
}
