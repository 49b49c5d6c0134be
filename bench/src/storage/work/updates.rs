//! Transactions that read and write four random keys. Every commit adds one to the counters of its values, so that
//! a lost update is found at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};

use super::{Run, check_scan, filler, in_session, write_all};
use crate::data::{self, Key, Random};
use crate::engine::{Engine, Session, Setup, View};
use crate::meter::{self, Phase};

/// Keys of a transaction.
const KEYS: usize = 4;

/// Rows of the store.
pub fn rows(run: &Run<'_>) -> u64 {
    (run.sizes.get("keys") / 5).max(100)
}

pub fn prepare(run: &mut Run<'_>) -> Result<()> {
    let (rows, shape) = (rows(run), run.sizes.shape("value"));
    let engine = run.open(&run.sizes.setup(false))?;
    in_session(engine.as_ref(), View::Latest, |session| {
        write_all(session, rows, run.sizes.get("batch"), filler(data::random_key, shape), |_| Ok(()))
    })?;
    engine.flush()?;
    meter::settle(super::load::QUIET, run.sizes.time("settle"))?;
    Ok(())
}

pub fn update(run: &mut Run<'_>) -> Result<()> {
    let ledger = Ledger::open(run)?;
    let engine = run.open(&Setup { threads: 2, ..ledger.setup(run) })?;
    for (figure, threads) in [("rmw_1", 1), ("rmw_2", 2)] {
        let work = Updates { reads: 0, writes: KEYS, draw: &|random| random.below(ledger.rows) };
        let rates = rates(run, engine.as_ref(), &ledger, threads, work)?;
        run.put(figure, rates.commits);
        run.put(&format!("{figure}_conflicts"), rates.retries);
    }
    drop(engine);
    ledger.close(run)
}

/// What the counters of a store should come to.
pub struct Ledger {
    rows: u64,
    before: u64,
    committed: AtomicU64,
}

impl Ledger {
    /// Counts what is there.
    pub fn open(run: &Run<'_>) -> Result<Self> {
        let rows = rows(run);
        Ok(Self { rows, before: count(run, rows)?, committed: AtomicU64::new(0) })
    }

    /// How a store for updates is opened.
    pub fn setup(&self, run: &Run<'_>) -> Setup {
        Setup { updates: true, ..run.sizes.setup(false) }
    }

    /// Notes that so many keys were written.
    pub fn note(&self, keys: u64) {
        self.committed.fetch_add(keys, Ordering::Relaxed);
    }

    /// Counts again, with the store closed; no figures are left where an update is missing.
    pub fn close(self, run: &mut Run<'_>) -> Result<()> {
        let (counted, expected) = (count(run, self.rows)? - self.before, self.committed.into_inner());
        if counted != expected {
            run.figures.clear();
        }
        ensure!(counted == expected, "{counted} updates are there, {expected} were committed");
        Ok(())
    }
}

fn count(run: &Run<'_>, rows: u64) -> Result<u64> {
    let (engine, shape) = (run.open(&run.sizes.setup(false))?, run.sizes.shape("value"));
    let (found, counters) =
        in_session(engine.as_ref(), View::Snapshot, |session| check_scan(session, shape))?;
    ensure!(found == rows, "{found} of {rows} rows are there");
    Ok(counters)
}

/// How a transaction looks: it reads so many keys, and reads and writes so many others.
#[derive(Clone, Copy)]
pub struct Updates<'a> {
    pub reads: usize,
    pub writes: usize,
    pub draw: &'a (dyn Fn(&mut Random) -> u64 + Sync),
}

impl Updates<'_> {
    /// Different keys; those read and those written ascend, so that writers do not wait in a circle.
    fn keys(&self, random: &mut Random) -> (Vec<Key>, Vec<Key>) {
        let mut keys: Vec<Key> = Vec::with_capacity(self.reads + self.writes);
        while keys.len() < self.reads + self.writes {
            let key = data::random_key((self.draw)(random));
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let mut reads = keys.split_off(self.writes);
        keys.sort_unstable();
        reads.sort_unstable();
        (reads, keys)
    }

    /// Runs transactions, each until it is committed, and notes them; gives how many were counted. `retries` counts what
    /// was in vain, run again at once.
    pub fn work(
        &self,
        session: &mut dyn Session,
        random: &mut Random,
        phase: &Phase,
        ledger: &Ledger,
        retries: &AtomicU64,
    ) -> Result<u64> {
        let (mut count, mut done, mut in_vain) = (0, 0, 0);
        while phase.next(&mut count) {
            let (reads, keys) = self.keys(random);
            while !session.update(&reads, &keys, &mut |value| data::count_up(value))? {
                in_vain += 1;
            }
            done += 1;
        }
        ledger.note(done * self.writes as u64);
        retries.fetch_add(in_vain, Ordering::Relaxed);
        Ok(count)
    }
}

/// What threads did together.
pub struct Rates {
    /// Commits a second.
    pub commits: f64,
    /// Transactions that were run again, warming up included.
    pub retries: f64,
}

/// Runs transactions in so many threads.
pub fn rates(
    run: &Run<'_>,
    engine: &dyn Engine,
    ledger: &Ledger,
    threads: usize,
    updates: Updates<'_>,
) -> Result<Rates> {
    let retries = AtomicU64::new(0);
    let (warm, time) = (run.sizes.time("warm"), run.sizes.time("seconds"));
    let commits = meter::rate(threads, warm, time, &|thread, phase| {
        in_session(engine, View::Latest, |session| {
            let mut random = Random::new(run.sizes.get("run") << 16 | (threads * 64 + thread) as u64);
            updates.work(session, &mut random, phase, ledger, &retries)
        })
    })?;
    Ok(Rates { commits, retries: retries.into_inner() as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_transaction_differ_and_ascend() {
        let mut random = Random::new(7);
        // From so few keys that most draws meet one that was drawn before.
        let updates = Updates { reads: 3, writes: 2, draw: &|random| random.below(6) };
        for _ in 0..1000 {
            let (reads, keys) = updates.keys(&mut random);
            assert!(reads.is_sorted() && keys.is_sorted());
            let all: std::collections::HashSet<Key> = reads.iter().chain(&keys).copied().collect();
            assert_eq!((reads.len(), keys.len(), all.len()), (3, 2, 5));
        }
    }
}
