//! Reading as of the past, how long versions are kept for it, and what becomes of readers that are too old.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use cairn_env::sim::{SimOptions, Simulation};
use cairn_env::{Env, SeededRandom};
use cairn_storage::{AsOf, Direction, Error, Isolation, KeyRange, Options, Store, TxnOptions};

fn options(retention: Option<u64>, age_max: Option<u64>) -> Options {
    let mut options = Options::default();
    options.background = false;
    options.retention = retention.map(Duration::from_secs);
    options.snapshot_age_max = age_max.map(Duration::from_secs);
    options
}

fn open(env: &Env, retention: Option<u64>, age_max: Option<u64>) -> Store {
    Store::open(env, "/db".as_ref(), options(retention, age_max)).unwrap()
}

fn put(store: &Store, value: u64) -> u64 {
    let mut txn = store.begin(TxnOptions::default());
    txn.put(b"k", value.to_string().as_bytes()).unwrap();
    txn.commit().unwrap()
}

fn read(store: &Store, as_of: AsOf) -> Result<Option<String>, Error> {
    let value = store.snapshot_at(as_of)?.get(b"k")?;
    Ok(value.map(|value| String::from_utf8(value.to_vec()).unwrap()))
}

fn pass(env: &Env, seconds: u64) {
    env.clock().sleep(Duration::from_secs(seconds));
}

fn is_too_old<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::SnapshotTooOld))
}

/// Commits 10 seconds apart, flushed and compacted after each: within the retention every one can be read by number and by
/// time, through point reads and scans; what is older is refused and takes no space.
#[test]
fn versions_are_kept_for_the_retention_and_not_much_longer() {
    let env = Simulation::new(SimOptions::new(3)).env();
    let store = open(&env, Some(100), None);
    let start = env.clock().wall_micros();
    let mut commits = Vec::new();
    for n in 0..40u64 {
        commits.push((n, env.clock().wall_micros(), put(&store, n)));
        pass(&env, 10);
        store.flush().unwrap();
        store.compact(KeyRange::all()).unwrap();
        let now = env.clock().wall_micros();
        for (value, time, seq) in &commits {
            let age = (now - time) / 1_000_000;
            if age <= 100 {
                let wanted = Some(value.to_string());
                assert_eq!(read(&store, AsOf::Commit(*seq)).unwrap(), wanted, "{value} after {age} s");
                // A little later than the commit, and just before the next.
                for later in [100_000, 9_900_000] {
                    assert_eq!(read(&store, AsOf::Micros(time + later)).unwrap(), wanted, "{value} {later}");
                }
                let snapshot = store.snapshot_at(AsOf::Commit(*seq)).unwrap();
                let scan = snapshot.scan(KeyRange::all(), Direction::Forward).owned();
                assert_eq!(scan.map(|entry| entry.unwrap().1).collect::<Vec<_>>(), [value.to_string()]);
            } else if age > 130 {
                assert!(is_too_old(read(&store, AsOf::Commit(*seq))), "{value} after {age} s");
                assert!(is_too_old(read(&store, AsOf::Micros(*time))), "{value} after {age} s");
            }
        }
    }
    assert!(store.stats().versions_kept > 0);
    let size = store.approximate_size(&KeyRange::all());
    assert!(size.entries <= 15, "{size:?}");
    assert!(is_too_old(read(&store, AsOf::Micros(start - 1))));
    let future = env.clock().wall_micros() + 1;
    assert!(matches!(read(&store, AsOf::Micros(future)), Err(Error::InvalidArgument(_))));
    assert!(matches!(read(&store, AsOf::Commit(1_000)), Err(Error::InvalidArgument(_))));
}

#[test]
fn without_a_retention_a_commit_can_be_read_until_its_versions_are_dropped() {
    let env = Simulation::new(SimOptions::new(4)).env();
    let store = open(&env, None, None);
    let (first, second) = (put(&store, 1), put(&store, 2));
    assert_eq!(read(&store, AsOf::Commit(first)).unwrap().as_deref(), Some("1"));
    let held = store.snapshot_at(AsOf::Commit(first)).unwrap();
    store.flush().unwrap();
    put(&store, 3);
    store.compact(KeyRange::all()).unwrap();
    // Held: so it can be taken again; the second is nobody's.
    assert_eq!(held.get(b"k").unwrap().unwrap(), "1");
    assert_eq!(read(&store, AsOf::Commit(first)).unwrap().as_deref(), Some("1"));
    assert!(is_too_old(read(&store, AsOf::Commit(second))));
    assert!(matches!(read(&store, AsOf::Micros(0)), Err(Error::InvalidArgument(_))));
    drop(held);
    assert!(is_too_old(read(&store, AsOf::Commit(first))));
    store.close().unwrap();
    // What was dropped before is not known after opening.
    let store = open(&env, Some(1_000), None);
    assert!(is_too_old(read(&store, AsOf::Commit(first))));
    assert!(is_too_old(read(&store, AsOf::Micros(0))));
}

/// Closed, crashed, flushed, compacted in between: within the retention every commit can still be read, by number and by
/// time, and what is beyond it is refused.
#[test]
fn the_past_outlives_closing_and_crashes() {
    for seed in 0..30u64 {
        let simulation = Simulation::new(SimOptions::new(seed));
        let mut env = simulation.env();
        let mut dice = SeededRandom::new(seed);
        let mut store = open(&env, Some(200), None);
        let mut commits: Vec<(u64, i64, u64)> = Vec::new();
        for n in 0..60u64 {
            commits.push((n, env.clock().wall_micros(), put(&store, n)));
            pass(&env, 1 + dice.below(8));
            match dice.below(8) {
                0 => store.flush().unwrap(),
                1 => {
                    store.flush().unwrap();
                    store.compact(KeyRange::all()).unwrap();
                }
                2 => {
                    store.close().unwrap();
                    store = open(&env, Some(200), None);
                }
                3 => {
                    // Commits wait for the disk: none is lost.
                    simulation.crash();
                    drop(store);
                    env = simulation.restart();
                    store = open(&env, Some(200), None);
                }
                _ => {}
            }
            let now = env.clock().wall_micros();
            for (at, (value, time, seq)) in commits.iter().enumerate() {
                let age = (now - time) / 1_000_000;
                let until = commits.get(at + 1).map_or(now, |(_, next, _)| *next);
                let read_at = [AsOf::Commit(*seq), AsOf::Micros(time + 100_000), AsOf::Micros(until - 1_000)];
                for as_of in read_at {
                    let found = read(&store, as_of);
                    if age <= 190 {
                        assert_eq!(
                            found.unwrap(),
                            Some(value.to_string()),
                            "seed {seed}: {as_of:?} after {age} s"
                        );
                    } else if let Ok(found) = found {
                        assert_eq!(found, Some(value.to_string()), "seed {seed}: {as_of:?} after {age} s");
                    }
                }
            }
        }
        let oldest = commits[0];
        assert!(is_too_old(read(&store, AsOf::Micros(oldest.1))), "seed {seed}");
    }
}

/// A run without a retention drops versions: the one after it does not answer for times of which it does not know.
#[test]
fn a_run_without_retention_leaves_a_gap() {
    let env = Simulation::new(SimOptions::new(9)).env();
    let store = open(&env, Some(1_000), None);
    let (first, begun) = (put(&store, 1), env.clock().wall_micros());
    pass(&env, 5);
    store.flush().unwrap();
    store.close().unwrap();
    let store = open(&env, None, None);
    put(&store, 2);
    pass(&env, 5);
    let third = put(&store, 3);
    store.flush().unwrap();
    store.compact(KeyRange::all()).unwrap();
    pass(&env, 5);
    store.close().unwrap();
    let store = open(&env, Some(1_000), None);
    assert!(is_too_old(read(&store, AsOf::Commit(first))));
    for seconds in [0, 2, 6, 9] {
        assert!(is_too_old(read(&store, AsOf::Micros(begun + seconds * 1_000_000))), "{seconds}");
    }
    assert_eq!(read(&store, AsOf::Commit(third)).unwrap().as_deref(), Some("3"));
    pass(&env, 5);
    let now = AsOf::Micros(env.clock().wall_micros());
    put(&store, 4);
    assert_eq!(read(&store, now).unwrap().as_deref(), Some("3"));
}

#[test]
fn old_readers_are_listed_and_lose_their_versions_beyond_the_cap() {
    let env = Simulation::new(SimOptions::new(5)).env();
    let store = open(&env, None, Some(60));
    put(&store, 1);
    let old = store.snapshot();
    let mut writer = store.begin(TxnOptions::default());
    writer.put(b"other", b"1").unwrap();
    let reader = store.begin(TxnOptions { isolation: Isolation::Serializable, ..TxnOptions::default() });
    let scan = old.scan(KeyRange::all(), Direction::Forward);
    put(&store, 2);
    pass(&env, 50);
    let young = store.snapshot();
    put(&store, 3);
    store.flush().unwrap();
    store.compact(KeyRange::all()).unwrap();
    assert_eq!(old.get(b"k").unwrap().unwrap(), "1");
    let listed = store.snapshots();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!((listed[0].seq, listed[0].holders >= 1, listed[0].age.as_secs()), (old.seq(), true, 50));
    assert_eq!((listed[1].seq, listed[1].age.as_secs()), (young.seq(), 0));
    let stats = store.stats();
    assert_eq!((stats.oldest_snapshot, stats.oldest_snapshot_age.as_secs()), (old.seq(), 50));
    pass(&env, 20);
    // Nothing is taken from them before versions are dropped.
    assert_eq!(old.get(b"k").unwrap().unwrap(), "1");
    put(&store, 4);
    store.flush().unwrap();
    store.compact(KeyRange::all()).unwrap();
    assert!(is_too_old(old.get(b"k")) && is_too_old(reader.get(b"k")));
    let late = old.scan(KeyRange::all(), Direction::Forward).owned().next();
    assert!(matches!(late, Some(Err(Error::SnapshotTooOld))));
    assert!(is_too_old(writer.commit()), "what changed since cannot be told");
    assert_eq!(young.get(b"k").unwrap().unwrap(), "2");
    assert!(store.snapshots()[0].expired && !store.snapshots()[1].expired);
    // A scan that was open keeps its files.
    assert_eq!(scan.owned().map(|entry| entry.unwrap().1).collect::<Vec<_>>(), ["1"]);
    reader.commit().unwrap();
    drop(old);
    assert_eq!(store.snapshots().len(), 1);
}
