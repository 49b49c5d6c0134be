//! A small database as bytes, with what it holds: what the damage tests damage, open and repair.
//!
//! - I1: commit number `i` (sequence `i`) made `states[i]` of `states[i - 1]`; `states[0]` is empty.
//! - I2: the files are those of a database that was closed (`closed`) or whose machine lost power.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cairn_env::sim::{SimOptions, Simulation};
use cairn_env::{Env, OpenMode, SeededRandom};
use cairn_storage::{Direction, Error, KeyRange, Options, Snapshot, Store, SyncMode};

use crate::model::{KEYS, State, Values, Write, batch_of, key, random_write, small_options};

/// Where the database lies in every simulated world.
pub(crate) const DIR: &str = "/dbs/db";

/// File names with their bytes.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// A database as bytes, and what it holds.
pub(crate) struct Image {
    pub(crate) files: Files,
    pub(crate) commits: Vec<Vec<Write>>,
    pub(crate) states: Vec<State>,
    /// Commits up to this one are in SSTs for sure.
    pub(crate) flushed: usize,
    pub(crate) closed: bool,
    pub(crate) options: Options,
}

impl Image {
    /// The database of a seed: one in four lost power, the others were closed.
    pub(crate) fn build(seed: u64) -> Image {
        Image::build_of(seed, false)
    }

    /// As [`Image::build`], with rows that were ingested: only the manifest tells their commit, which a repair without it
    /// says.
    pub(crate) fn build_with_ingests(seed: u64) -> Image {
        Image::build_of(seed, true)
    }

    fn build_of(seed: u64, ingests: bool) -> Image {
        let mut random = SeededRandom::new(seed ^ 0xda3a_9e00);
        let mut options = small_options(&mut random);
        let simulation = Simulation::new(SimOptions { short_one_in: 0, ..SimOptions::new(seed) });
        let env = simulation.env();
        let mut values = Values::new(6, seed % 16 == 5);
        let store = Store::open(&env, Path::new(DIR), options.clone()).unwrap();
        options.create_if_missing = false;
        let mut image = Image {
            files: Vec::new(),
            commits: Vec::new(),
            states: vec![State::new()],
            flushed: 0,
            closed: !seed.is_multiple_of(4),
            options,
        };
        for _ in 0..random.between(20, 120) {
            let writes: Vec<Write> =
                (0..random.between(1, 4)).map(|_| random_write(&mut random, &mut values)).collect();
            image.commit(&store, writes);
            env.tasks().yield_point();
            if ingests && random.one_in(30) {
                image.ingest(&store, &mut random, &mut values);
            }
            if random.one_in(12) {
                store.flush().unwrap();
                image.flushed = image.commits.len();
            }
            if random.one_in(40) {
                store.compact(KeyRange::all()).unwrap();
                image.flushed = image.commits.len();
            }
        }
        if image.closed {
            store.close().unwrap();
        } else {
            simulation.crash();
            simulation.restart();
        }
        for name in simulation.list(Path::new(DIR)).unwrap() {
            let bytes = simulation.read_file(&Path::new(DIR).join(&name)).unwrap();
            image.files.push((name, bytes));
        }
        image
    }

    fn commit(&mut self, store: &Store, writes: Vec<Write>) {
        store.write(batch_of(&writes), Some(SyncMode::Sync)).unwrap();
        self.note(writes);
        assert_eq!(store.last_committed(), self.commits.len() as u64, "I1");
    }

    fn note(&mut self, writes: Vec<Write>) {
        let mut state = self.states.last().unwrap().clone();
        writes.iter().for_each(|write| write.apply(&mut state));
        self.commits.push(writes);
        self.states.push(state);
    }

    /// Loads some rows; everything before is in SSTs then.
    fn ingest(&mut self, store: &Store, random: &mut SeededRandom, values: &mut Values) {
        let mut rows = State::new();
        for _ in 0..random.between(1, 8) {
            rows.insert(key(random.below(KEYS)), values.next(random));
        }
        store.ingest(rows.clone().into_iter().map(Ok)).unwrap();
        let writes: Vec<Write> = rows.into_iter().map(|(key, value)| Write::Put(key, value)).collect();
        self.note(writes);
        self.flushed = self.commits.len();
        assert_eq!(store.last_committed(), self.commits.len() as u64, "I1");
    }

    /// What all commits together made.
    pub(crate) fn state(&self) -> &State {
        self.states.last().unwrap()
    }
}

/// A world of its own that holds these files.
pub(crate) fn world(files: &Files) -> Env {
    let env = Env::memory();
    env.files().create_dir_all(Path::new(DIR)).unwrap();
    for (name, bytes) in files {
        let path = Path::new(DIR).join(name);
        env.files().open(&path, OpenMode::Create).unwrap().write_all_at(bytes, 0).unwrap();
    }
    env
}

/// As [`world`], on the simulated file system, where background work runs by the seed.
pub(crate) fn simulated_world(files: &Files, seed: u64) -> Env {
    let simulation =
        Simulation::new(SimOptions { short_one_in: 0, yield_one_in: 1, ..SimOptions::new(seed) });
    let env = simulation.env();
    env.files().create_dir_all(Path::new(DIR)).unwrap();
    for (name, bytes) in files {
        simulation.write_file(&Path::new(DIR).join(name), bytes).unwrap();
    }
    env
}

/// What reading a whole database gave.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Numbers of the keys that could not be read.
    pub(crate) failed: BTreeSet<u64>,
    /// The files that errors named.
    pub(crate) named: BTreeSet<PathBuf>,
    /// Whether any read failed.
    pub(crate) any: bool,
}

impl Reading {
    fn note(&mut self, error: &Error, context: &str) {
        self.any = true;
        self.named.insert(place(error, context));
    }
}

/// The file that an error names: damage is told with file and offset, and in no other way.
pub(crate) fn place(error: &Error, context: &str) -> PathBuf {
    match error {
        Error::Corrupt { file, what, .. } if file.starts_with(DIR) && !what.is_empty() => file.clone(),
        other => panic!("{context}: the error names no place: {other:?}"),
    }
}

/// Reads every key by lookup and by a scan of its own, and everything by a scan in each direction: each
/// answer is right or an error.
pub(crate) fn read_everything(snapshot: &Snapshot, state: &State, context: &str) -> Reading {
    let mut reading = Reading::default();
    for number in 0..KEYS {
        let key = key(number);
        match snapshot.get(&key) {
            Ok(found) => assert!(found.as_ref() == state.get(&key), "{context}: wrong value of {key:?}"),
            Err(error) => {
                reading.note(&error, context);
                reading.failed.insert(number);
            }
        }
        match snapshot.scan(KeyRange::key(&key), Direction::Forward).next() {
            Ok(found) => {
                let found = found.map(|(_, value)| value);
                assert!(found == state.get(&key).map(|v| &v[..]), "{context}: wrong scan of {key:?}");
            }
            Err(error) => {
                reading.note(&error, context);
                reading.failed.insert(number);
            }
        }
    }
    for direction in [Direction::Forward, Direction::Reverse] {
        scan_everything(snapshot, state, direction, &mut reading, context);
    }
    reading
}

fn scan_everything(
    snapshot: &Snapshot,
    state: &State,
    direction: Direction,
    reading: &mut Reading,
    context: &str,
) {
    let mut scan = snapshot.scan(KeyRange::all(), direction);
    let mut wanted: Vec<_> = state.iter().collect();
    if direction == Direction::Reverse {
        wanted.reverse();
    }
    let mut wanted = wanted.into_iter();
    loop {
        match scan.next() {
            Ok(Some((key, value))) => {
                let right = wanted.next().is_some_and(|(k, v)| k == key && v == value);
                assert!(right, "{context}: wrong entry in the {direction:?} scan at {key:?}");
            }
            Ok(None) => {
                assert!(wanted.next().is_none(), "{context}: the {direction:?} scan ends early");
                return;
            }
            Err(error) => return reading.note(&error, context),
        }
    }
}
