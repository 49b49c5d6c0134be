//! File operations that fail (the n-th, for n = 1, 2, 3 …, once and for good).
//!
//! A failing operation gives a clean error or is coped with; what was acknowledged is there after reopening,
//! what was refused is whole or absent, and absent if a later commit succeeded.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cairn_env::sim::{Fault, Repeat, SimOptions, Simulation};
use cairn_env::{Env, SeededRandom};
use cairn_storage::{Compaction, Error, KeyRange, Options, Result, Store, SyncMode, TxnOptions};

use crate::model::{
    State, Values, Write, batch_of, check_all, check_some, everything, for_seeds, random_key, random_write,
    small_options,
};

const DIR: &str = "/db";
const FAULTS: [Fault; 6] =
    [Fault::Enospc, Fault::Eio, Fault::Emfile, Fault::ShortWrite, Fault::ShortRead, Fault::FsyncFails];

#[test]
fn every_failing_operation_is_survived() {
    for_seeds("faults", 16, sweep_all);
    if std::env::var_os("CAIRN_SEED").is_none() {
        FAILED_BEFORE.into_iter().for_each(sweep_all);
    }
}

/// Seeds that once failed, beside those that run anyway.
const FAILED_BEFORE: [u64; 1] = [318];

/// One workload with every operation failing in every way, in turn.
fn sweep_all(seed: u64) {
    for fault in FAULTS {
        for repeat in [Repeat::Once, Repeat::Sticky] {
            let mut n = 1;
            while Sweep::new(seed).run(n, fault, repeat) {
                // Every early operation, then ever fewer of the later ones.
                n += 1 + n / 16 + (seed + n) % 2 * (n / 32);
            }
        }
    }
}

#[test]
fn writes_resume_when_a_full_disk_has_room_again() {
    for_seeds("full disk", 40, |seed| {
        let mut sweep = Sweep::new(seed);
        sweep.store = Some(sweep.open().unwrap());
        for _ in 0..3 {
            let used = sweep.used();
            sweep.simulation.set_capacity(used + sweep.random.below(40_000));
            let mut refused = 0;
            for _ in 0..400 {
                if sweep.write(SyncMode::Sync).is_err() {
                    refused += 1;
                }
                if refused > 3 {
                    break;
                }
            }
            let store = sweep.store.clone().unwrap();
            check_all(&store.snapshot(), &sweep.state).unwrap();
            sweep.simulation.set_capacity(u64::MAX);
            for _ in 0..20 {
                sweep.write(SyncMode::Sync).unwrap_or_else(|e| panic!("there is room again, yet: {e}"));
            }
            store.flush().unwrap_or_else(|e| panic!("there is room again, yet: {e}"));
            check_all(&store.snapshot(), &sweep.state).unwrap();
        }
        sweep.reopen_and_check(seed % 2 == 0, "disk full");
    });
}

/// However the last life ended: what is there can be read with not a byte free, writing says why it cannot,
/// and goes on by itself when there is space.
#[test]
fn a_full_disk_opens_for_reading() {
    for_seeds("open on a full disk", 200, |seed| {
        let mut sweep = Sweep::new(seed);
        for _ in 0..3 {
            sweep.store = Some(sweep.open().unwrap());
            for _ in 0..sweep.random.between(1, 60) {
                sweep.write(SyncMode::Sync).unwrap();
            }
            match sweep.random.below(3) {
                0 => sweep.store.take().unwrap().close().unwrap(),
                1 => sweep.simulation.crash(),
                _ => {}
            }
            sweep.env = sweep.simulation.restart();
            sweep.store = None;
            let used = sweep.used();
            sweep.simulation.set_capacity(used);
            for _ in 0..2 {
                // The first try of each may still find room that a removed file left.
                sweep.store = Some(sweep.open().unwrap_or_else(|e| panic!("open on a full disk: {e}")));
                let store = sweep.store.clone().unwrap();
                check_all(&store.snapshot(), &sweep.state).unwrap();
                let used = sweep.used();
                sweep.simulation.set_capacity(used);
                let refused = [
                    store.flush(),
                    sweep.write(SyncMode::Sync),
                    store.checkpoint(&sweep.fresh_copy_dir()).map(drop),
                ];
                for result in refused.into_iter().filter_map(Result::err) {
                    assert!(matches!(result, Error::DiskFull { .. }), "not the full disk's error: {result}");
                }
                assert!(store.verify().unwrap().is_sound());
                check_all(&store.snapshot(), &sweep.state).unwrap();
                if sweep.random.one_in(2) {
                    break;
                }
                drop(store);
                let closed = sweep.store.take().unwrap().close();
                assert!(matches!(closed, Ok(()) | Err(Error::DiskFull { .. })), "{closed:?}");
            }
            sweep.simulation.set_capacity(u64::MAX);
            if sweep.store.is_none() {
                sweep.store = Some(sweep.open().unwrap());
            }
            for _ in 0..10 {
                sweep.write(SyncMode::Sync).unwrap_or_else(|e| panic!("there is room again, yet: {e}"));
            }
            let store = sweep.store.clone().unwrap();
            store.flush().unwrap();
            check_all(&store.snapshot(), &sweep.state).unwrap();
            let cut = sweep.random.one_in(2);
            sweep = sweep.reopen_and_check(cut, "open on a full disk");
            sweep.store = None;
        }
    });
}

#[test]
fn opening_a_closed_database_writes_nothing() {
    let mut sweep = Sweep::new(7);
    // Nothing may be left to do in the background.
    sweep.options.compaction = Compaction::Leveled;
    sweep.options.compaction_rules.clear();
    sweep.options.blob_bytes_min = 0;
    sweep.store = Some(sweep.open().unwrap());
    for _ in 0..50 {
        sweep.write(SyncMode::Sync).unwrap();
    }
    sweep.store.as_ref().unwrap().compact(KeyRange::all()).unwrap();
    sweep.store.take().unwrap().close().unwrap();
    for _ in 0..3 {
        let before = sweep.simulation.changes();
        let store = sweep.open().unwrap();
        check_all(&store.snapshot(), &sweep.state).unwrap();
        store.close().unwrap();
        assert_eq!(sweep.simulation.changes() - before, 1, "taking the lock is all that is done");
    }
}

/// One run of a workload under one fault.
struct Sweep {
    simulation: Simulation,
    env: Env,
    random: SeededRandom,
    values: Values,
    options: Options,
    store: Option<Store>,
    /// What is acknowledged.
    state: State,
    /// Writes refused since the last success.
    refused: Vec<Vec<Write>>,
    /// Checkpoints that were tried.
    copies: u32,
}

impl Sweep {
    /// Where no checkpoint was tried before: one may have found room after all.
    fn fresh_copy_dir(&mut self) -> std::path::PathBuf {
        self.copies += 1;
        format!("/copy{}", self.copies).into()
    }

    fn new(seed: u64) -> Sweep {
        let mut random = SeededRandom::new(seed);
        let options = small_options(&mut random);
        let quiet = SimOptions { short_one_in: 0, yield_one_in: seed % 3, ..SimOptions::new(seed) };
        let simulation = Simulation::new(quiet);
        let env = simulation.env();
        let values = Values::new(6, seed % 16 == 5);
        Sweep {
            simulation,
            env,
            random,
            values,
            options,
            store: None,
            state: State::new(),
            refused: Vec::new(),
            copies: 0,
        }
    }

    fn open(&self) -> Result<Store> {
        Store::open(&self.env, Path::new(DIR), self.options.clone())
    }

    fn used(&self) -> u64 {
        const HUGE: u64 = u64::MAX / 2;
        self.simulation.set_capacity(HUGE);
        HUGE - self.simulation.free_bytes()
    }

    /// Runs the workload of the seed with the n-th operation failing. False: it was never reached.
    fn run(mut self, n: u64, fault: Fault, repeat: Repeat) -> bool {
        self.simulation.fail_nth(n, fault, repeat);
        let legal = matches!(fault, Fault::ShortRead | Fault::ShortWrite);
        let steps = self.random.between(10, 40);
        let mut failures = 0;
        for _ in 0..steps {
            if let Err(error) = self.step() {
                let context = format!("{fault:?} {repeat:?} at {n}: {error}");
                assert!(!legal, "a short read or write is no error: {context}");
                assert!(self.simulation.fault_hits() > 0, "an error without cause: {context}");
                let clean =
                    matches!(error, Error::Io { .. } | Error::DiskFull { .. } | Error::Poisoned { .. });
                assert!(clean, "not a clean error: {context}");
                failures += 1;
                if failures > 3 {
                    break;
                }
            }
        }
        let hit = self.simulation.fault_hits() > 0;
        self.simulation.clear_faults();
        if fault == Fault::Enospc
            && let Some(store) = &self.store
        {
            check_all(&store.snapshot(), &self.state).unwrap();
            self.write(SyncMode::Sync).unwrap_or_else(|e| panic!("no resuming after {repeat:?} at {n}: {e}"));
        }
        self.reopen_and_check(n.is_multiple_of(2), &format!("{fault:?} {repeat:?} at {n}"));
        hit
    }

    fn step(&mut self) -> Result<()> {
        self.env.tasks().yield_point();
        let Some(store) = self.store.clone() else {
            let store = self.open()?;
            let found = everything(&store.snapshot())?;
            self.settle(found, "reopening");
            self.store = Some(store);
            return Ok(());
        };
        match self.random.below(20) {
            0..=7 => self.write(SyncMode::Sync),
            8..=9 => self.transaction(&store),
            10..=12 => check_some(&store.snapshot(), &self.state, &mut self.random).map(drop),
            13..=14 => store.flush(),
            15 => store.compact(KeyRange::all()),
            16 => store.sync(),
            17 => store.checkpoint(Path::new(&format!("/cp{}", self.random.next()))).map(drop),
            18 => check_all(&store.snapshot(), &self.state),
            _ => {
                self.store = None;
                store.close()
            }
        }
    }

    fn write(&mut self, mode: SyncMode) -> Result<()> {
        let store = self.store.clone().unwrap();
        let writes: Vec<Write> = (0..self.random.between(1, 4))
            .map(|_| random_write(&mut self.random, &mut self.values))
            .collect();
        let result = store.write(batch_of(&writes), Some(mode)).map(drop);
        self.note(writes, result)
    }

    fn transaction(&mut self, store: &Store) -> Result<()> {
        let mut txn = store.begin(TxnOptions::default());
        let write = Write::Put(random_key(&mut self.random), self.values.next(&mut self.random));
        if let Write::Put(key, value) = &write {
            txn.get(key)?;
            txn.put(key, value)?;
        }
        let result = txn.commit().map(drop);
        self.note(vec![write], result)
    }

    fn note(&mut self, writes: Vec<Write>, result: Result<()>) -> Result<()> {
        match result {
            Ok(()) => {
                for write in &writes {
                    write.apply(&mut self.state);
                }
                self.refused.clear();
                Ok(())
            }
            Err(error) => {
                self.refused.push(writes);
                Err(error)
            }
        }
    }

    /// A reopened store shows what was acknowledged, and each refused commit whole or not at all.
    fn settle(&mut self, found: State, context: &str) {
        assert!(self.refused.len() < 8, "too many refusals to try all combinations");
        let fits = (0..1u32 << self.refused.len()).any(|kept| {
            let mut state = self.state.clone();
            for (at, writes) in self.refused.iter().enumerate() {
                if kept & (1 << at) != 0 {
                    writes.iter().for_each(|write| write.apply(&mut state));
                }
            }
            state == found
        });
        let lost = crate::model::difference(&self.state, &found);
        assert!(fits, "{context}: acknowledged data is not there, or refused data in part: {lost:?}");
        self.state = found;
        self.refused.clear();
    }

    /// Reopens after a power cut or a kill; everything must be as acknowledged, and work.
    fn reopen_and_check(mut self, cut: bool, context: &str) -> Sweep {
        if cut {
            self.simulation.crash();
        }
        self.env = self.simulation.restart();
        self.store = None;
        let store = self.open().unwrap_or_else(|e| panic!("open after {context}: {e}"));
        let found = everything(&store.snapshot()).unwrap();
        self.settle(found, context);
        self.store = Some(store);
        self.write(SyncMode::Sync).unwrap();
        let store = self.store.clone().unwrap();
        store.flush().unwrap();
        check_all(&store.snapshot(), &self.state).unwrap();
        let report = store.verify().unwrap();
        assert!(report.is_sound(), "verify finds {report:?}");
        self
    }
}
