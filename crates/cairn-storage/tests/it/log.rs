//! The log's files: how long it may get, and segments that are written again.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cairn_env::sim::{SimOptions, Simulation};
use cairn_env::{Env, SeededRandom};
use cairn_storage::{Options, Store, SyncMode, WriteBatch};

fn options() -> Options {
    let mut options = Options::default();
    options.wal_segment_bytes = 64 << 10;
    options.wal_allocate_bytes = 16 << 10;
    options.sync = SyncMode::Async;
    options
}

fn put(store: &Store, key: u64, len: usize) {
    let mut batch = WriteBatch::new();
    batch.put(&key.to_be_bytes(), &vec![key as u8; len]).unwrap();
    store.write(batch, None).unwrap();
}

fn check(store: &Store, keys: u64, len: usize) {
    for key in 0..keys {
        assert_eq!(store.get(&key.to_be_bytes()).unwrap().as_deref(), Some(&vec![key as u8; len][..]));
    }
}

/// The memtable would take all of it: only the log asks for a flush.
#[test]
fn the_log_is_bounded() {
    for background in [true, false] {
        let mut options = options();
        options.wal_bytes_max = 256 << 10;
        options.background = background;
        let store = Store::open(&Env::memory(), Path::new("/db"), options).unwrap();
        for key in 0..4000 {
            put(&store, key, 500);
            let needed = store.stats().wal_needed_bytes;
            assert!(needed < (256 + 2) << 10, "{needed} bytes of log after commit {key}");
        }
        let stats = store.stats();
        assert!(stats.tree.flushes > 5, "{} flushes", stats.tree.flushes);
        assert!(stats.commits.log_bytes > 8 * (256 << 10));
        check(&store, 4000, 500);
        // The least bound is two segments, whatever is asked for.
        store.close().unwrap();
    }
}

#[test]
fn segments_are_written_again() {
    for spare in [0, 1, 3] {
        let mut options = options();
        options.memtable_bytes = 32 << 10;
        options.wal_recycle_segments = spare;
        let env = Env::memory();
        let store = Store::open(&env, Path::new("/db"), options.clone()).unwrap();
        for key in 0..3000 {
            put(&store, key, 300);
        }
        let commits = store.stats().commits;
        assert!(commits.segments_created + commits.segments_recycled > 10, "{commits:?}");
        assert_eq!(commits.segments_recycled > 5, spare > 0, "{commits:?}");
        check(&store, 3000, 300);
        assert!(store.verify().unwrap().is_sound());
        store.close().unwrap();
        let names = env.files().list(Path::new("/db")).unwrap();
        let left = names.iter().filter(|name| name.ends_with(".wal")).count();
        assert!(left <= 2, "spare segments are gone with a close: {names:?}");
        let store = Store::open(&env, Path::new("/db"), options).unwrap();
        check(&store, 3000, 300);
    }
}

/// Power cuts at every few operations while segments go round: what was synced is there, and nothing older comes
/// back from a file that was written before. All records have one length, so that old ones fit the places of new.
#[test]
fn nothing_old_comes_back_from_a_recycled_segment() {
    let mut recycled = 0;
    for seed in 0..150 {
        let mut random = SeededRandom::new(seed);
        let simulation = Simulation::new(SimOptions::new(seed));
        let mut options = options();
        options.wal_segment_bytes = 4096;
        options.memtable_bytes = 4096;
        options.wal_recycle_segments = 1 + seed as usize % 3;
        options.sync = SyncMode::Sync;
        let dir = Path::new("/db");
        let (mut synced, mut tried) = (0, 0);
        for _ in 0..3 {
            let store = Store::open(&simulation.env(), dir, options.clone()).unwrap();
            let found = store.last_committed();
            assert!(found >= synced && found <= tried, "{synced} to {tried} commits expected, found {found}");
            let value = store.get(b"the key").unwrap();
            assert_eq!(value.as_deref(), (found > 0).then(|| found.to_be_bytes()).as_ref().map(|it| &it[..]));
            (synced, tried) = (found, found);
            simulation.crash_after(random.between(50, 400));
            loop {
                tried += 1;
                let mut batch = WriteBatch::new();
                batch.put(b"the key", &tried.to_be_bytes()).unwrap();
                batch.put(&(tried % 7).to_be_bytes(), &[7; 100]).unwrap();
                if store.write(batch, None).is_err() {
                    break;
                }
                synced = tried;
            }
            recycled += store.stats().commits.segments_recycled;
            drop(store);
            simulation.restart();
        }
    }
    assert!(recycled > 500, "{recycled} segments were written again");
}
