//! Commits that are awaited: handles as futures, what happens when they are dropped, and the figures of commits.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;

use cairn_env::sim::{Fault, Repeat, SimOptions, Simulation};
use cairn_env::{Env, SeededRandom};
use cairn_storage::{CommitHandle, Error, KeyLock, Options, Store, SyncMode, Wait, WriteBatch};

use crate::model::{block_on, small_options};

fn batch(key: &[u8], value: &[u8]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, value).unwrap();
    batch
}

fn simulated(seed: u64) -> (Simulation, Store) {
    let mut options = SimOptions::new(seed);
    options.fibers = true;
    let simulation = Simulation::new(options);
    let store = Store::open(&simulation.env(), Path::new("/db"), Options::default()).unwrap();
    (simulation, store)
}

#[test]
fn many_commits_of_one_thread_share_a_sync() {
    let (simulation, store) = simulated(1);
    let before = store.stats().commits;
    let handles: Vec<CommitHandle> =
        (0..10u8).map(|i| store.write_async(batch(&[i], b"value"), Some(SyncMode::Sync))).collect();
    assert_eq!(store.stats().commits.waiting, 10);
    assert_eq!(store.last_committed(), 0, "nothing was waited for");
    let seqs: Vec<u64> =
        handles.into_iter().map(|handle| block_on(&simulation.env(), handle).unwrap()).collect();
    assert_eq!(seqs, (1..=10).collect::<Vec<u64>>(), "in the order in which they were begun");
    let after = store.stats().commits;
    assert_eq!((after.commits, after.groups, after.largest_group, after.waiting), (10, 1, 10, 0));
    assert_eq!(after.mean_group(), 10.0);
    assert_eq!(after.latency.count, 10);
    assert!(after.latency.p50_nanos > 0 && after.latency.p99_nanos <= after.latency.max_nanos);
    // The first segment's header, and the group.
    assert_eq!(after.syncs.count - before.syncs.count, 2);
    assert!(after.log_bytes > before.log_bytes + 10 * 72);
    store.close().unwrap();
}

#[test]
fn a_dropped_handle_drops_no_commit() {
    for background in [true, false] {
        let env = Env::memory();
        let mut options = Options::default();
        options.background = background;
        let store = Store::open(&env, Path::new("/db"), options.clone()).unwrap();
        for i in 0..50u8 {
            let handle = store.write_async(batch(&[i], b"value"), None);
            assert!(background || handle.is_done());
            drop(handle);
        }
        // Closing waits for them.
        store.clone().close().unwrap();
        assert!(matches!(store.write_async(batch(b"late", b""), None).wait(), Err(Error::Closed)));
        drop(store);
        let store = Store::open(&env, Path::new("/db"), options).unwrap();
        assert!((0..50u8).all(|i| store.get(&[i]).unwrap().is_some()));
    }
}

#[test]
fn the_outcome_is_that_of_a_commit() {
    let env = Env::memory();
    let store = Store::open(&env, Path::new("/db"), Options::default()).unwrap();
    let (mut a, mut b) = (store.begin(Default::default()), store.begin(Default::default()));
    a.put(b"k", b"a").unwrap();
    b.put(b"k", b"b").unwrap();
    let empty = store.begin(Default::default()).commit_async();
    assert!(empty.is_done());
    let (first, second) = (a.commit_async(), b.commit_async());
    let mut second = pin!(second);
    assert!(matches!(block_on(&env, second.as_mut()), Err(Error::Conflict { .. })));
    // Asked again it says the same.
    assert!(matches!(block_on(&env, second.as_mut()), Err(Error::Conflict { .. })));
    assert!(second.is_done());
    assert_eq!(first.wait().unwrap(), 1);
    assert_eq!(empty.wait().unwrap(), 0);
    assert_eq!(store.stats().snapshots, 0, "no commit keeps its snapshot");
}

/// Beyond the bound a commit is refused at once, leaves nothing behind, and succeeds when others are through.
#[test]
fn what_is_queued_is_bounded() {
    let mut sim = SimOptions::new(3);
    sim.fibers = true;
    let simulation = Simulation::new(sim);
    let mut options = Options::default();
    options.awaited_bytes_max = 4000;
    let store = Store::open(&simulation.env(), Path::new("/db"), options).unwrap();
    // Alone it may be longer than the bound.
    let long = store.write_async(batch(b"long", &[0; 5000]), None);
    assert!(!long.is_done());
    assert!(matches!(store.write_async(batch(b"x", b""), None).wait(), Err(Error::CommitsFull { .. })));
    long.wait().unwrap();
    assert_eq!(store.stats().commits.waiting_bytes, 0);

    let (mut begun, mut held) = (Vec::new(), 0);
    let refused = loop {
        let key = [begun.len() as u8];
        let mut txn = store.begin(Default::default());
        txn.lock_key(&key, KeyLock::Update, Wait::NoWait).unwrap();
        txn.put(&key, &[0; 100]).unwrap();
        let handle = txn.commit_async();
        if handle.is_done() {
            break handle.wait().unwrap_err();
        }
        begun.push(handle);
        held = store.stats().commits.waiting_bytes;
    };
    let Error::CommitsFull { waiting, max: 4000 } = refused else { panic!("{refused}") };
    assert!(held <= 4000 && waiting > 4000 && begun.len() > 5, "{held} held, {} begun", begun.len());
    assert_eq!(store.stats().commits.waiting, begun.len() as u64);
    let next = [begun.len() as u8];
    // What was refused gave its lock and its snapshot back.
    let mut again = store.begin(Default::default());
    again.lock_key(&next, KeyLock::Update, Wait::NoWait).unwrap();
    assert_eq!(again.get(&next).unwrap(), None);
    again.put(&next, b"again").unwrap();
    for handle in begun {
        handle.wait().unwrap();
    }
    again.commit_async().wait().unwrap();
    let stats = store.stats();
    assert_eq!((stats.commits.waiting, stats.commits.waiting_bytes, stats.snapshots), (0, 0, 0));
    assert_eq!(store.get(&next).unwrap().as_deref(), Some(&b"again"[..]));
}

#[test]
fn a_failed_sync_reaches_every_handle() {
    let (simulation, store) = simulated(2);
    store.write(batch(b"first", b""), None).unwrap();
    let handles: Vec<CommitHandle> = (0..5u8).map(|i| store.write_async(batch(&[i], b""), None)).collect();
    simulation.fail_nth(1, Fault::FsyncFails, Repeat::Once);
    for handle in handles {
        assert!(matches!(handle.wait(), Err(Error::Poisoned { .. })));
    }
    simulation.clear_faults();
    assert!(matches!(store.write_async(batch(b"k", b""), None).wait(), Err(Error::Poisoned { .. })));
    assert_eq!(store.stats().commits.commits, 1);
}

/// Real threads: awaited and blocking commits beside each other, each counted once.
#[test]
fn awaiting_and_blocking_threads_share_groups() {
    for (seed, env) in (0..6).map(|seed| (seed, Env::memory())) {
        let mut options = small_options(&mut SeededRandom::new(seed));
        options.sync = SyncMode::Sync;
        let store = Store::open(&env, Path::new("/db"), options).unwrap();
        let mut commits = BTreeMap::new();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4u8)
                .map(|thread| {
                    let (store, env) = (store.clone(), env.clone());
                    scope.spawn(move || {
                        let mut seqs = Vec::new();
                        for round in 0..60u8 {
                            let key = [thread, round];
                            if thread % 2 == 0 {
                                seqs.push(store.write(batch(&key, b"v"), None).unwrap());
                            } else {
                                let two =
                                    [0, 1].map(|i| store.write_async(batch(&[thread, round, i], b"v"), None));
                                for handle in two {
                                    seqs.push(block_on(&env, handle).unwrap());
                                }
                            }
                        }
                        assert!(seqs.is_sorted(), "one thread's commits are in its order");
                        seqs
                    })
                })
                .collect();
            for thread in threads {
                commits.extend(thread.join().unwrap().into_iter().map(|seq| (seq, ())));
            }
        });
        assert_eq!(commits.len(), 2 * 60 + 2 * 120);
        let stats = store.stats().commits;
        assert_eq!(stats.commits, commits.len() as u64);
        assert!(stats.groups <= stats.commits && stats.waiting == 0);
        assert_eq!(store.last_committed(), commits.len() as u64);
    }
}
