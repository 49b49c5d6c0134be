//! The commit queue under real threads, from a seed: commits are numbered without gaps or doubles, each is seen by
//! whoever was told of it, none is ever seen in half, snapshots do not move, and a reopened store has them all.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use cairn_env::{Env, SeededRandom};
use cairn_storage::{KeyRange, Store, SyncMode, WriteBatch};

use crate::model::small_options;

const WRITERS: u64 = 6;
const COMMITS: u64 = 120;

/// Two keys far from each other that every commit writes with the same value.
const PAIR: [&[u8]; 2] = [b"a/pair", b"z/pair"];

#[test]
fn commits_are_whole_numbered_and_seen() {
    for seed in 0..4 {
        let env = Env::memory();
        let dir = Path::new("/db");
        let store = Store::open(&env, dir, small_options(&mut SeededRandom::new(seed))).unwrap();
        let commits: Mutex<BTreeMap<u64, Vec<u8>>> = Mutex::default();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (store, commits) = (&store, &commits);
                    scope.spawn(move || write(store, seed, writer, commits))
                })
                .collect();
            scope.spawn(|| read(&store, &done));
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    store.flush().unwrap();
                    store.compact(KeyRange::all()).unwrap();
                }
            });
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::Release);
        });
        let commits = commits.into_inner().unwrap();
        assert_eq!(commits.len() as u64, WRITERS * COMMITS, "a number was given twice");
        assert_eq!(commits.keys().copied().collect::<Vec<_>>(), (1..=WRITERS * COMMITS).collect::<Vec<_>>());
        store.close().unwrap();
        let store = Store::open(&env, dir, small_options(&mut SeededRandom::new(seed + 1))).unwrap();
        let last = commits.values().next_back().unwrap();
        assert!(PAIR.iter().all(|key| store.get(key).unwrap().as_deref() == Some(&last[..])));
        for own in commits.values() {
            assert_eq!(store.get(own).unwrap().as_deref(), Some(&own[..]));
        }
    }
}

fn write(store: &Store, seed: u64, writer: u64, commits: &Mutex<BTreeMap<u64, Vec<u8>>>) {
    let mut random = SeededRandom::new(seed << 16 | writer);
    let mut last = 0;
    for number in 0..COMMITS {
        let own = format!("m/{writer}/{number}").into_bytes();
        let mut batch = WriteBatch::new();
        for key in PAIR {
            batch.put(key, &own).unwrap();
        }
        batch.put(&own, &own).unwrap();
        let mode = [SyncMode::Sync, SyncMode::Async, SyncMode::None][random.below(3) as usize];
        let seq = store.write(batch, Some(mode)).unwrap();
        assert!(seq > last, "a thread's commits are in its order");
        assert!(store.last_committed() >= seq, "told, but not visible");
        assert_eq!(store.get(&own).unwrap().as_deref(), Some(&own[..]), "a commit does not see itself");
        last = seq;
        assert!(commits.lock().unwrap().insert(seq, own).is_none(), "commit {seq} twice");
    }
}

fn read(store: &Store, done: &AtomicBool) {
    let mut newest = 0;
    while !done.load(Ordering::Acquire) {
        let snapshot = store.snapshot();
        assert!(snapshot.seq() >= newest, "what was visible is gone");
        newest = snapshot.seq();
        let first = snapshot.get(PAIR[0]).unwrap();
        for _ in 0..3 {
            assert_eq!(snapshot.get(PAIR[1]).unwrap(), first, "half a commit, or a snapshot that moves");
        }
    }
}
