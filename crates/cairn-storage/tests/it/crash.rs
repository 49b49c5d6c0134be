//! The crash test: random operations on the simulated file system, a power cut or a kill at a random file
//! operation (also during recovery), reopening, and comparing with the model.
//!
//! After a crash the store shows a prefix of the commits in their order: with every commit that was
//! acknowledged under `SyncMode::Sync` or before a successful `sync` or `flush`, and each commit whole or not
//! at all. `CAIRN_SEED` replays a seed, `CAIRN_SEEDS` sets how many run.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_env::Env;
use cairn_env::SeededRandom;
use cairn_env::sim::{Fault, Repeat, SimOptions, Simulation};
use cairn_storage::{
    Error, Isolation, KeyRange, Options, Result, Savepoint, Snapshot, Store, SyncMode, Txn, TxnOptions,
};

use crate::model::{
    History, State, Values, Write, batch_of, check_all, check_some, everything, for_seeds, random_key,
    random_mode, random_range, random_write, small_options,
};
use crate::rig::{count, say, seen};

const SEEDS: u64 = 3_000;

/// Seeds that once failed, beside those that run anyway.
const FAILED_BEFORE: [u64; 8] = [11484, 12704, 15562, 16026, 16306, 16931, 17145, 17373];

#[test]
fn acknowledged_commits_survive_every_crash() {
    for seed in FAILED_BEFORE {
        run(seed);
    }
    for_seeds("crash", SEEDS, |seed| {
        let trace = run(seed);
        if seed % 100 == 7 {
            assert_eq!(trace, run(seed), "the same seed gave another run");
        }
    });
    eprintln!("crash test: {SEEN:?}");
    SEEN.assert_all_happened();
}

seen! {
    commits,
    conflicts,
    flushes,
    compactions,
    checkpoints,
    power_cuts,
    cuts_while_opening,
    kills,
    unacknowledged_kept,
    unacknowledged_lost,
    unsynced_lost,
}

/// The test has teeth: a disk whose syncs do nothing is found out.
#[test]
fn a_disk_that_lies_is_noticed() {
    let noticed = (0..60).filter(|seed| std::panic::catch_unwind(|| run_on(*seed, true)).is_err()).count();
    assert!(noticed > 0, "60 seeds on a lying disk and nothing was missed");
}

fn run(seed: u64) -> u64 {
    run_on(seed, false)
}

/// One seed: a few lives of one database. Gives the trace hash.
fn run_on(seed: u64, lying_disk: bool) -> u64 {
    let mut rig = Rig::new(seed);
    rig.lying_disk = lying_disk;
    for _ in 0..rig.random.between(2, 5) {
        rig.live();
    }
    rig.last_rites();
    rig.simulation.trace_hash()
}

struct Rig {
    simulation: Simulation,
    random: SeededRandom,
    values: Values,
    options: Options,
    dir: PathBuf,
    history: History,
    /// Checkpoints that were acknowledged, and what they hold.
    checkpoints: Vec<(PathBuf, Arc<State>)>,
    checkpoint_count: u64,
    /// How many commits the next opening must show at least.
    floor: usize,
    /// The last start followed a power cut: what is found then is on the disk.
    after_cut: bool,
    lying_disk: bool,
    talks: bool,
}

/// Why an operation ended: the machine is off. Any other error is a failure of the test.
struct Off;

impl Rig {
    fn new(seed: u64) -> Rig {
        let mut random = SeededRandom::new(seed ^ 0x00c0_ffee);
        let mut sim = SimOptions::new(seed);
        sim.short_one_in = [0, 8, 64][random.below(3) as usize];
        sim.yield_one_in = [0, 1, 2, 8][random.below(4) as usize];
        let dir = if random.one_in(4) { "/deep/down/db" } else { "/db" };
        let long_one_in = [4, 20, 1000][random.below(3) as usize];
        let options = small_options(&mut random);
        Rig {
            simulation: Simulation::new(sim),
            random,
            values: Values::new(long_one_in, seed % 16 == 5),
            options,
            dir: PathBuf::from(dir),
            history: History::new(),
            checkpoints: Vec::new(),
            checkpoint_count: 0,
            floor: 0,
            after_cut: false,
            lying_disk: false,
            talks: std::env::var_os("CAIRN_SEED").is_some(),
        }
    }

    /// Sorts out a result: an error is fine only when the power was cut.
    fn fine<T>(&self, what: &str, result: Result<T>) -> Result<T, Off> {
        match result {
            Ok(value) => Ok(value),
            Err(error) if self.simulation.is_off() => {
                say!(self, "{what}: off: {error}");
                Err(Off)
            }
            Err(error) => panic!("{what} failed without cause: {error}"),
        }
    }

    /// Opens the database, through any number of crashes in recovery, and compares.
    fn open(&mut self) -> (Env, Store) {
        loop {
            let env = self.simulation.env();
            if self.lying_disk {
                self.simulation.fail_nth(1, Fault::SyncLies, Repeat::Sticky);
            }
            if self.random.one_in(4) {
                self.simulation.crash_after(self.random.between(1, 40));
            }
            let opened = Store::open(&env, &self.dir, self.options.clone());
            let Ok(store) = self.fine("open", opened) else {
                count(&SEEN.cuts_while_opening, 1);
                self.boot();
                continue;
            };
            let found = everything(&store.snapshot());
            let Ok(found) = self.fine("scan", found) else {
                drop(store);
                self.boot();
                continue;
            };
            let (acknowledged, tried) = (self.history.acknowledged, self.history.states.len() - 1);
            self.history.recover(&found, self.floor);
            let kept = self.history.acknowledged;
            count(&SEEN.unacknowledged_kept, u64::from(tried > acknowledged && kept == tried));
            count(&SEEN.unacknowledged_lost, u64::from(tried > acknowledged && kept < tried));
            count(&SEEN.unsynced_lost, acknowledged.saturating_sub(kept) as u64);
            say!(self, "open: {} commits, {} were the least", self.history.acknowledged, self.floor);
            if self.after_cut {
                self.history.all_durable();
            }
            let checked = check_all(&store.snapshot(), self.history.now());
            if self.fine("check", checked).is_err() {
                drop(store);
                self.boot();
                continue;
            }
            self.simulation.cancel_crash();
            return (env, store);
        }
    }

    /// Starts the machine or, if it runs, the process again.
    fn boot(&mut self) {
        let off = self.simulation.is_off();
        count(if off { &SEEN.power_cuts } else { &SEEN.kills }, 1);
        say!(self, "boot after a {}", if off { "power cut" } else { "kill" });
        self.simulation.restart();
        self.floor = if off { self.history.durable } else { self.history.written };
        self.after_cut = off;
    }

    fn live(&mut self) {
        let (env, store) = self.open();
        if self.random.one_in(8) {
            // Other sizes in each life: what one wrote the other must read.
            self.options = small_options(&mut self.random);
        }
        if !self.random.one_in(5) {
            let far = 1 << self.random.between(2, 10);
            self.simulation.crash_after(self.random.between(1, far));
        }
        let most = 1 << self.random.between(2, 7);
        let steps = self.random.between(1, most);
        let mut session = Session { env, store, pending: None, snapshots: Vec::new() };
        for _ in 0..steps {
            if self.step(&mut session).is_err() {
                break;
            }
        }
        let Session { store, pending, snapshots, .. } = session;
        let stats = store.stats();
        count(&SEEN.flushes, stats.tree.flushes);
        count(&SEEN.compactions, stats.tree.compactions);
        drop((pending, snapshots));
        match self.random.below(4) {
            0 => self.simulation.crash(),
            1 => {}
            // A store that failed to close is closed: it would say so, and nothing more.
            _ if self.simulation.is_off() => {}
            _ => {
                say!(self, "close");
                let closed = store.clone().close();
                if self.fine("close", closed).is_ok() {
                    self.history.all_durable();
                }
            }
        }
        if self.random.one_in(2) {
            drop(store);
            self.boot();
        } else {
            // The process dies without any last word.
            self.boot();
            drop(store);
        }
    }

    fn step(&mut self, session: &mut Session) -> Result<(), Off> {
        session.env.tasks().yield_point();
        let store = session.store.clone();
        match self.random.below(32) {
            0 => self.ingest(&store),
            1..=7 => self.write_batch(&store),
            8..=15 => self.transaction(&store),
            16..=18 => self.pending(session),
            19..=20 => {
                let checked = check_some(&store.snapshot(), self.history.now(), &mut self.random);
                self.fine("read", checked).map(drop)
            }
            21 => {
                let checked = check_all(&store.snapshot(), self.history.now());
                self.fine("scan", checked)
            }
            22..=23 => self.snapshots(session),
            24 | 25 => {
                let flush = self.random.one_in(2);
                say!(self, "{}", if flush { "flush" } else { "sync" });
                let done = if flush { store.flush() } else { store.sync() };
                self.fine("flush or sync", done)?;
                self.history.all_durable();
                Ok(())
            }
            26 => {
                let range =
                    if self.random.one_in(2) { KeyRange::all() } else { random_range(&mut self.random) };
                say!(self, "compact {range:?}");
                let done = store.compact(range);
                self.fine("compact", done)
            }
            27 => self.checkpoint(session),
            28 => {
                let report = store.verify();
                let report = self.fine("verify", report)?;
                assert!(report.is_sound(), "verify finds {report:?}");
                Ok(())
            }
            29 => self.reopen(session),
            30 => {
                let range = random_range(&mut self.random);
                store.stats();
                store.approximate_size(&range);
                let points = store.split_points(&range, 4);
                assert!(points.iter().all(|point| range.contains(point)), "a split point outside");
                assert!(points.windows(2).all(|pair| pair[0] < pair[1]), "split points out of order");
                Ok(())
            }
            _ => {
                session.env.clock().sleep(self.options.async_interval);
                session.env.tasks().yield_point();
                Ok(())
            }
        }
    }

    /// Judges a commit and notes it in the history.
    fn committed<T>(&mut self, what: &str, mode: SyncMode, result: Result<T>) -> Result<(), Off> {
        say!(self, "{what} {mode:?}, commit {}", self.history.acknowledged + 1);
        self.fine(what, result)?;
        self.history.acknowledge(mode);
        count(&SEEN.commits, 1);
        Ok(())
    }

    fn write_batch(&mut self, store: &Store) -> Result<(), Off> {
        let writes: Vec<Write> = (0..self.random.between(1, 6))
            .map(|_| random_write(&mut self.random, &mut self.values))
            .collect();
        let batch = batch_of(&writes);
        let mode = random_mode(&mut self.random);
        self.history.attempt(writes);
        let result = store.write(batch, Some(mode));
        self.committed("write", mode, result)
    }

    fn ingest(&mut self, store: &Store) -> Result<(), Off> {
        let mut rows = State::new();
        for _ in 0..self.random.between(1, 40) {
            rows.insert(random_key(&mut self.random), self.values.next(&mut self.random));
        }
        let writes = rows.iter().map(|(key, value)| Write::Put(key.clone(), value.clone())).collect();
        self.history.attempt(writes);
        let result = store.ingest(rows.into_iter().map(Ok));
        // It waits for itself only: what was committed before may still be on its way to the disk.
        self.committed("ingest", SyncMode::Sync, result)
    }

    fn begin(&mut self, store: &Store) -> Open {
        let isolation = if self.random.one_in(2) { Isolation::Snapshot } else { Isolation::Serializable };
        let mode = random_mode(&mut self.random);
        let options = TxnOptions { isolation, sync: Some(mode), client_token: self.random.next() };
        Open {
            txn: store.begin(options),
            mode,
            view: State::clone(self.history.now()),
            writes: Vec::new(),
            reads: Vec::new(),
            own_reads: Vec::new(),
            serializable: isolation == Isolation::Serializable,
            began: self.history.acknowledged,
            savepoints: Vec::new(),
        }
    }

    /// A transaction from beginning to end with nobody in between.
    fn transaction(&mut self, store: &Store) -> Result<(), Off> {
        let mut open = self.begin(store);
        for _ in 0..self.random.between(1, 8) {
            let done = open.act(&mut self.random, &mut self.values);
            self.fine("transaction", done)?;
        }
        self.finish(open)
    }

    /// Moves a transaction on that lives beside others.
    fn pending(&mut self, session: &mut Session) -> Result<(), Off> {
        let mut open = match session.pending.take() {
            Some(open) => open,
            None => self.begin(&session.store),
        };
        let done = open.act(&mut self.random, &mut self.values);
        self.fine("transaction", done)?;
        if self.random.one_in(3) {
            return self.finish(open);
        }
        session.pending = Some(open);
        Ok(())
    }

    fn finish(&mut self, open: Open) -> Result<(), Off> {
        let mut open = open;
        if self.random.one_in(4) {
            let checked = check_all(&open.txn, &open.view);
            self.fine("transaction scan", checked)?;
            open.reads.push(KeyRange::all());
        }
        let Open { txn, mode, writes, reads, own_reads, serializable, began, .. } = open;
        if self.random.one_in(8) {
            txn.rollback();
            return Ok(());
        }
        if writes.is_empty() {
            let done = txn.commit();
            return self.fine("read-only commit", done).map(drop);
        }
        let others: Vec<Write> =
            self.history.writes[began..].iter().flat_map(|writes| writes.iter().cloned()).collect();
        let own: Vec<KeyRange> = writes.iter().map(Write::range).collect();
        let touched = |ranges: &[KeyRange], other: &Write| ranges.iter().any(|range| other.touches(range));
        let watched: &[KeyRange] = if serializable { &reads } else { &[] };
        let softly: &[KeyRange] = if serializable { &own_reads } else { &[] };
        let may = others
            .iter()
            .any(|other| touched(&own, other) || touched(watched, other) || touched(softly, other));
        let must = others
            .iter()
            .filter(|other| matches!(other, Write::Put(..)))
            .any(|other| touched(&own, other) || touched(watched, other));
        self.history.attempt(writes);
        match txn.commit() {
            Err(Error::Conflict { reason }) => {
                assert!(may, "conflict without cause: {reason}");
                count(&SEEN.conflicts, 1);
                self.history.refuse();
                Ok(())
            }
            result => {
                assert!(result.is_err() || !must, "a conflict was not seen");
                self.committed("commit", mode, result)
            }
        }
    }

    fn snapshots(&mut self, session: &mut Session) -> Result<(), Off> {
        if session.snapshots.len() < 3 && self.random.one_in(2) {
            session.snapshots.push((session.store.snapshot(), Arc::clone(self.history.now())));
            return Ok(());
        }
        let at = self.random.below(session.snapshots.len() as u64) as usize;
        if let Some((snapshot, state)) = session.snapshots.get(at) {
            let checked = check_all(snapshot, state);
            self.fine("old snapshot", checked)?;
            if self.random.one_in(2) {
                session.snapshots.swap_remove(at);
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self, session: &Session) -> Result<(), Off> {
        self.checkpoint_count += 1;
        let dir = PathBuf::from(format!("/checkpoint{}", self.checkpoint_count));
        say!(self, "checkpoint");
        let done = session.store.checkpoint(&dir);
        self.fine("checkpoint", done)?;
        count(&SEEN.checkpoints, 1);
        self.checkpoints.push((dir, Arc::clone(self.history.now())));
        Ok(())
    }

    fn reopen(&mut self, session: &mut Session) -> Result<(), Off> {
        session.pending = None;
        session.snapshots.clear();
        say!(self, "close and reopen");
        let closed = session.store.clone().close();
        self.fine("close", closed)?;
        self.history.all_durable();
        let opened = Store::open(&session.env, &self.dir, self.options.clone());
        session.store = self.fine("reopen", opened)?;
        let found = everything(&session.store.snapshot());
        let found = self.fine("scan", found)?;
        self.history.recover(&found, self.history.durable);
        self.history.all_durable();
        Ok(())
    }

    /// Everything must be right when the storms are over.
    fn last_rites(&mut self) {
        self.simulation.restart();
        let env = self.simulation.env();
        let store = Store::open(&env, &self.dir, self.options.clone()).unwrap();
        self.history.recover(&everything(&store.snapshot()).unwrap(), self.floor);
        check_all(&store.snapshot(), self.history.now()).unwrap();
        let report = store.verify().unwrap();
        assert!(report.is_sound(), "verify finds {report:?}");
        store.compact(KeyRange::all()).unwrap();
        check_all(&store.snapshot(), self.history.now()).unwrap();
        store.close().unwrap();
        let report = Store::verify_dir(&env, &self.dir).unwrap();
        assert!(report.is_sound(), "verify of the closed database finds {report:?}");
        let store = Store::open(&env, &self.dir, self.options.clone()).unwrap();
        check_all(&store.snapshot(), self.history.now()).unwrap();
        drop(store);
        for (dir, state) in std::mem::take(&mut self.checkpoints) {
            check_checkpoint(&env, &dir, &self.options, &state);
        }
    }
}

fn check_checkpoint(env: &Env, dir: &Path, options: &Options, state: &State) {
    let mut options = options.clone();
    options.create_if_missing = false;
    let store = Store::open(env, dir, options).unwrap();
    check_all(&store.snapshot(), state).unwrap();
    store.close().unwrap();
    let report = Store::verify_dir(env, dir).unwrap();
    assert!(report.is_sound(), "verify of a checkpoint finds {report:?}");
}

/// What one life holds on to.
struct Session {
    env: Env,
    store: Store,
    pending: Option<Open>,
    snapshots: Vec<(Snapshot, Arc<State>)>,
}

/// A transaction with its model.
struct Open {
    txn: Txn,
    mode: SyncMode,
    view: State,
    writes: Vec<Write>,
    reads: Vec<KeyRange>,
    /// Reads that own writes may have answered: they need not count.
    own_reads: Vec<KeyRange>,
    serializable: bool,
    began: usize,
    savepoints: Vec<(Savepoint, State, usize)>,
}

impl Open {
    fn act(&mut self, random: &mut SeededRandom, values: &mut Values) -> Result<()> {
        match random.below(12) {
            0 | 1 => {
                let range = check_some(&self.txn, &self.view, random)?;
                let own = self.writes.iter().any(|write| write.touches(&range));
                if own { self.own_reads.push(range) } else { self.reads.push(range) }
            }
            2 => {
                let savepoint = self.txn.savepoint();
                self.savepoints.push((savepoint, self.view.clone(), self.writes.len()));
            }
            3 => {
                let at = random.below(self.savepoints.len() as u64) as usize;
                if at < self.savepoints.len() {
                    self.savepoints.truncate(at + 1);
                    if let Some((savepoint, view, writes)) = self.savepoints.pop() {
                        self.txn.rollback_to(savepoint)?;
                        self.view = view;
                        self.writes.truncate(writes);
                    }
                }
            }
            4 => {
                let view = self.txn.read_view();
                let before = self.view.clone();
                let write = Write::Put(random_key(random), values.next(random));
                self.write(write)?;
                check_all(&view, &before)?;
                self.reads.push(KeyRange::all());
            }
            _ => {
                let write = random_write(random, values);
                self.write(write)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, write: Write) -> Result<()> {
        match &write {
            Write::Put(key, value) => self.txn.put(key, value)?,
            Write::Delete(key) => self.txn.delete(key)?,
            Write::DeleteRange(start, end) => self.txn.delete_range(start, end)?,
        }
        write.apply(&mut self.view);
        self.writes.push(write);
        Ok(())
    }
}
