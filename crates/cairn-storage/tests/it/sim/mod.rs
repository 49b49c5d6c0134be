//! The simulation: several clients at once, the background tasks beside them, all of it interleaved by a seed
//! at every write, sync, create and rename; faults, a power cut or a kill at any of them, also in recovery.
//!
//! After every end of a life what is found must be explained by one order of the commits (see `oracle`), with
//! all that was acknowledged as durable, and so must everything that was read meanwhile. `CAIRN_SEED` replays a
//! seed, `CAIRN_SEEDS` and `CAIRN_FIRST_SEED` set which run.
#![allow(clippy::unwrap_used)]

mod client;
mod oracle;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cairn_env::sim::{Fault, Repeat, SimOptions, Simulation};
use cairn_env::{Env, SeededRandom};
use cairn_storage::{Error, KeyRange, Options, Store, SyncMode};

use self::client::{Client, Manner, Shared, Trouble};
use self::oracle::Life;
use crate::model::{
    State, Values, batch_of, check_all, everything, for_seeds_by, random_write, small_options,
};
use crate::rig::{count, say, seen};

const SEEDS: u64 = 10_000;

#[test]
fn concurrent_clients_survive_everything() {
    for_seeds_by(4, "sim", SEEDS, |seed| {
        let trace = run(seed);
        if seed % 100 == 7 {
            assert_eq!(trace, run(seed), "the same seed gave another run");
        }
    });
    eprintln!("simulation: {SEEN:?}");
    SEEN.assert_all_happened();
}

/// The test has teeth: a disk whose syncs do nothing is found out.
#[test]
fn a_disk_that_lies_is_noticed_by_the_simulation() {
    let noticed = (0..60).filter(|seed| std::panic::catch_unwind(|| run_on(*seed, true)).is_err()).count();
    assert!(noticed > 0, "60 seeds on a lying disk and nothing was missed");
}

seen! {
    commits,
    conflicts,
    awaited,
    checkpoints,
    power_cuts,
    kills,
    ends_while_opening,
    failures,
    poisoned,
    closed_by_client,
    unanswered,
    unanswered_kept,
    unsynced_lost,
}

fn run(seed: u64) -> u64 {
    run_on(seed, false)
}

/// One seed: a few lives of one database. Gives the trace hash.
fn run_on(seed: u64, lying_disk: bool) -> u64 {
    let mut rig = Rig::new(seed);
    rig.lying_disk = lying_disk;
    for _ in 0..rig.random.between(2, 4) {
        rig.live();
    }
    rig.last_rites();
    rig.simulation.trace_hash()
}

/// Small sizes, sometimes with a second directory; once it holds files it is found without being named.
fn some_options(random: &mut SeededRandom) -> Options {
    let mut options = small_options(random);
    options.slow_level = random.between(1, 3) as usize;
    options.slow_path = random.one_in(3).then(|| PathBuf::from("/slow/disk"));
    options
}

struct Rig {
    simulation: Arc<Simulation>,
    random: SeededRandom,
    options: Options,
    dir: PathBuf,
    long_one_in: u64,
    huge: bool,
    troubled: bool,
    even: bool,
    /// Some lives are about closing and opening again.
    hands_over: bool,
    /// The life that ended, or the one that runs.
    life: Arc<Mutex<Life>>,
    copies: Vec<(PathBuf, State)>,
    lives: u64,
    lying_disk: bool,
    talks: bool,
}

impl Rig {
    fn new(seed: u64) -> Rig {
        let mut random = SeededRandom::new(seed ^ 0x0005_eed5);
        let mut sim = SimOptions::new(seed);
        sim.fibers = true;
        sim.short_one_in = [0, 16, 64][random.below(3) as usize];
        sim.yield_one_in = [1, 2, 8][random.below(3) as usize];
        sim.switch_one_in = [0, 1, 4, 16, 64][random.below(5) as usize];
        let dir = if random.one_in(4) { "/deep/down/db" } else { "/db" };
        let options = some_options(&mut random);
        Rig {
            simulation: Arc::new(Simulation::new(sim)),
            options,
            dir: PathBuf::from(dir),
            long_one_in: [4, 20, 1000][random.below(3) as usize],
            huge: seed % 16 == 5,
            troubled: random.one_in(2),
            even: random.one_in(4),
            hands_over: seed % 8 == 6,
            random,
            life: Arc::default(),
            copies: Vec::new(),
            lives: 0,
            lying_disk: false,
            talks: std::env::var_os("CAIRN_SEED").is_some(),
        }
    }

    /// Plans the end of the life within so many changes: a power cut or a kill.
    fn plan_end(&mut self, within: u64) {
        let n = self.random.between(1, within);
        if self.random.one_in(3) {
            self.simulation.kill_after(n);
        } else {
            self.simulation.crash_after(n);
        }
    }

    fn shared(&self, env: &Env, store: &Store, trouble: Trouble) -> Shared {
        Shared {
            simulation: Arc::clone(&self.simulation),
            env: env.clone(),
            store: store.clone(),
            life: Arc::clone(&self.life),
            trouble,
            talks: self.talks,
            next_holder: false,
        }
    }

    /// Opens the database, through any number of ends in recovery, and judges what the last life left.
    fn open(&mut self) -> (Env, Store) {
        loop {
            let env = self.simulation.env();
            if self.lying_disk {
                self.simulation.fail_nth(1, Fault::SyncLies, Repeat::Sticky);
            }
            if self.random.one_in(4) {
                self.plan_end(40);
            }
            let mut fault = None;
            if self.troubled && self.random.one_in(4) {
                fault = Some(self.plan_fault());
            }
            let opened = Store::open(&env, &self.dir, self.options.clone());
            let hit = self.simulation.fault_hits() > 0;
            self.simulation.clear_faults();
            let found = opened.and_then(|store| {
                let snapshot = store.snapshot();
                everything(&snapshot).map(|found| (store, snapshot.seq(), found))
            });
            match found {
                Ok((store, last, found)) => {
                    self.judge(&found, last);
                    let checked = check_all(&store.snapshot(), &found);
                    if checked.is_ok() && !self.simulation.is_off() {
                        self.simulation.cancel_crash();
                        return (env, store);
                    }
                    assert!(self.simulation.is_off(), "reads fail without cause: {checked:?}");
                }
                Err(error) => {
                    let off = self.simulation.is_off();
                    assert!(off || hit, "open fails without cause ({fault:?}): {error}");
                    if !off {
                        let clean = matches!(
                            error,
                            Error::Io { .. } | Error::DiskFull { .. } | Error::Poisoned { .. }
                        );
                        assert!(clean, "not a clean error of {fault:?}: {error}");
                    }
                }
            }
            count(&SEEN.ends_while_opening, 1);
            self.boot();
        }
    }

    /// Judges what was found, and begins the next life with it.
    fn judge(&mut self, found: &State, last: u64) {
        let mut life = self.life.lock().unwrap();
        let floor = life.floor;
        say!(self, "open: commit {last}, {floor} is the least, {} without answer", life.unanswered());
        self.copies.append(&mut life.judge(found, last, floor));
        if last > life.acknowledged {
            count(&SEEN.unanswered_kept, 1);
        }
        if last < life.acknowledged {
            count(&SEEN.unsynced_lost, 1);
        }
        let durable = if life.after_cut { last } else { life.durable.min(last) };
        *life = Life::new(last, found.clone(), durable);
    }

    fn plan_fault(&mut self) -> Fault {
        let faults = [Fault::Enospc, Fault::Eio, Fault::Emfile, Fault::FsyncFails];
        let fault = faults[self.random.below(faults.len() as u64) as usize];
        let sticky = fault == Fault::Enospc || self.random.one_in(4);
        let far = 1 << self.random.between(2, 8);
        let n = self.random.between(1, far);
        self.simulation.fail_nth(n, fault, if sticky { Repeat::Sticky } else { Repeat::Once });
        fault
    }

    /// Starts the machine or, if it runs, the process again.
    fn boot(&mut self) {
        let powered = self.simulation.is_powered();
        count(if powered { &SEEN.kills } else { &SEEN.power_cuts }, 1);
        say!(self, "boot after a {}", if powered { "kill" } else { "power cut" });
        self.simulation.restart();
        let mut life = self.life.lock().unwrap();
        life.floor = if powered && !life.after_cut { life.written } else { life.durable };
        life.after_cut |= !powered;
    }

    fn trouble(&mut self) -> Trouble {
        if !self.troubled || self.random.one_in(3) {
            return Trouble::None;
        }
        match self.random.below(6) {
            0 | 1 => {
                const HUGE: u64 = u64::MAX / 2;
                self.simulation.set_capacity(HUGE);
                let used = HUGE - self.simulation.free_bytes();
                self.simulation.set_capacity(used + self.random.below(60_000));
                Trouble::Full
            }
            2 => {
                let n = self.random.between(1, 60);
                self.simulation.fail_nth(n, Fault::FlippedRead, Repeat::Once);
                Trouble::Planned(Fault::FlippedRead)
            }
            _ => Trouble::Planned(self.plan_fault()),
        }
    }

    fn live(&mut self) {
        let (env, store) = self.open();
        if self.random.one_in(8) {
            // Other sizes in each life: what one wrote the other must read.
            self.options = some_options(&mut self.random);
        }
        let trouble = self.trouble();
        if !self.random.one_in(4) {
            let far = 1 << self.random.between(3, 9);
            self.plan_end(far);
        }
        let shared = self.shared(&env, &store, trouble);
        let manner = match self.hands_over && self.random.one_in(2) {
            true => Manner::HandOver { commits: self.random.one_in(2) },
            false => Manner::Usual,
        };
        let most = 1 << self.random.between(2, 5);
        let clients: Vec<Box<dyn FnOnce() + Send>> = (0..self.random.between(1, 5))
            .map(|number| -> Box<dyn FnOnce() + Send> {
                self.lives += 1;
                let client = Client {
                    number,
                    manner,
                    shared: shared.clone(),
                    random: SeededRandom::new(self.random.next()),
                    values: Values::starting(self.lives * 10_000, self.long_one_in, self.huge),
                    even: self.even,
                    options: self.options.clone(),
                    begun: Vec::new(),
                };
                let steps = self.random.between(1, most);
                Box::new(move || client.run(steps))
            })
            .collect();
        say!(self, "{} clients, {trouble:?}, {manner:?}", clients.len());
        self.simulation.run_clients(clients);
        count(&SEEN.unanswered, self.life.lock().unwrap().unanswered() as u64);
        self.finish(&shared);
        drop(shared);
        if self.random.one_in(2) {
            drop(store);
            self.boot();
        } else {
            // The process dies without any last word.
            self.boot();
            drop(store);
        }
    }

    /// Everything is quiet: what can be said now, and how the life ends.
    fn finish(&mut self, shared: &Shared) {
        let store = &shared.store;
        self.simulation.clear_faults();
        self.simulation.set_capacity(u64::MAX);
        if !self.simulation.is_off() {
            let snapshot = store.snapshot();
            if let Ok(found) = everything(&snapshot) {
                let life = self.life.lock().unwrap();
                life.judge(&found, snapshot.seq(), life.acknowledged);
            }
        }
        let closing = self.life.lock().unwrap().closing;
        if shared.trouble == Trouble::Full && !closing && !self.simulation.is_off() {
            // A full disk ends nothing: there is room again.
            let mut values = Values::starting(9_000_000 + self.lives, 1000, false);
            let writes = vec![random_write(&mut self.random, &mut values)];
            let batch = batch_of(&writes);
            let attempt = self.life.lock().unwrap().attempt(writes);
            match store.write(batch, Some(SyncMode::Sync)) {
                Ok(seq) => self.life.lock().unwrap().acknowledge(attempt, seq, SyncMode::Sync, 0),
                Err(error) => assert!(self.simulation.is_off(), "there is room again, yet: {error}"),
            }
        }
        match self.random.below(4) {
            0 => self.simulation.crash(),
            1 => {}
            _ if self.simulation.is_off() || closing => {}
            _ => {
                say!(self, "close");
                let before = self.life.lock().unwrap().acknowledged;
                let closed = store.clone().close();
                let mut life = self.life.lock().unwrap();
                match closed {
                    Ok(()) => life.synced(before),
                    Err(error) => assert!(
                        self.simulation.is_off() || shared.trouble != Trouble::None,
                        "close fails without cause: {error}"
                    ),
                }
            }
        }
    }

    /// Everything must be right when the storms are over.
    fn last_rites(&mut self) {
        self.troubled = false;
        let (env, store) = self.open();
        let found = everything(&store.snapshot()).unwrap();
        let report = store.verify().unwrap();
        assert!(report.is_sound(), "verify finds {report:?}");
        store.compact(KeyRange::all()).unwrap();
        check_all(&store.snapshot(), &found).unwrap();
        store.close().unwrap();
        let report = Store::verify_dir(&env, &self.dir).unwrap();
        assert!(report.is_sound(), "verify of the closed database finds {report:?}");
        for (dir, state) in std::mem::take(&mut self.copies) {
            let mut options = self.options.clone();
            options.create_if_missing = false;
            // A copy lies in one directory.
            options.slow_path = None;
            let store = Store::open(&env, &dir, options).unwrap();
            check_all(&store.snapshot(), &state).unwrap();
            store.close().unwrap();
        }
    }
}
