//! The cache over flushes and compactions: keys that are read stay in memory while their files are replaced, and what
//! nobody reads is not loaded.
#![allow(clippy::unwrap_used)]

use cairn_env::Env;
use cairn_storage::{Direction, KeyRange, Options, Store, SyncMode, WriteBatch};

const KEYS: u64 = 20_000;

fn store() -> Store {
    let mut options = Options::default();
    options.sync = SyncMode::None;
    options.cache_bytes = Some(16 << 20);
    options.background = false;
    let store = Store::open(&Env::memory(), "/db".as_ref(), options).unwrap();
    write(&store, 0..KEYS);
    store.flush().unwrap();
    store.compact(KeyRange::all()).unwrap();
    store
}

fn write(store: &Store, keys: impl Iterator<Item = u64>) {
    let mut batch = WriteBatch::new();
    for key in keys {
        let word =
            |n: u64| (key * 13 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(n | 1);
        let value: Vec<u8> = (1..13).flat_map(|n| word(n).to_le_bytes()).collect();
        batch.put(&key.to_be_bytes(), &value).unwrap();
    }
    store.write(batch, None).unwrap();
}

fn read(store: &Store, keys: std::ops::Range<u64>) {
    let snapshot = store.snapshot();
    for key in keys {
        assert!(snapshot.get(&key.to_be_bytes()).unwrap().is_some());
    }
}

/// Data blocks, index leaves and filters that reads did not find in memory.
fn misses(store: &Store) -> (u64, u64) {
    let cache = store.stats().tree.cache;
    (cache.misses, cache.metadata_misses)
}

#[test]
fn keys_that_are_read_stay_in_memory() {
    let store = store();
    read(&store, 0..KEYS / 2);
    read(&store, 0..KEYS / 2);
    let before = misses(&store);
    assert!(before.0 > 100, "{before:?}");
    write(&store, (0..KEYS).step_by(3));
    store.flush().unwrap();
    read(&store, 0..KEYS / 2);
    let flushed = misses(&store);
    store.compact(KeyRange::all()).unwrap();
    read(&store, 0..KEYS / 2);
    let compacted = misses(&store);
    // The last block of the first half is not read for the greater part; the leaf of a new file is not counted as hers.
    assert!(
        flushed.0 - before.0 <= 2 && compacted.0 - flushed.0 <= 2,
        "{before:?} {flushed:?} {compacted:?}"
    );
    assert!(compacted.1 - before.1 <= 6, "{before:?} {flushed:?} {compacted:?}");
}

#[test]
fn what_nobody_reads_is_not_loaded() {
    let store = store();
    read(&store, 0..KEYS / 4);
    read(&store, 0..KEYS / 4);
    // A scan uses each block once.
    let mut scan = store.snapshot().scan(KeyRange::all(), Direction::Forward);
    while scan.next().unwrap().is_some() {}
    write(&store, (0..KEYS).step_by(3));
    store.flush().unwrap();
    store.compact(KeyRange::all()).unwrap();
    let before = misses(&store).0;
    read(&store, 0..KEYS / 4);
    let read_before = misses(&store).0 - before;
    read(&store, KEYS / 4..KEYS);
    let only_scanned = misses(&store).0 - before - read_before;
    assert!(read_before <= 2 && only_scanned > 300, "{read_before} {only_scanned}");
}
