//! The filters of a tree of several levels: no key is ever denied, and few absent ones pass.
#![allow(clippy::unwrap_used)]

use cairn_env::Env;
use cairn_storage::{FilterStats, KeyRange, Options, Store, SyncMode, WriteBatch};

/// Keys in the store: enough for three levels below level 0.
const KEYS: u64 = 60_000;

fn key(number: u64) -> Vec<u8> {
    format!("key{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes()
}

fn filled() -> Store {
    let mut options = Options::default();
    options.sync = SyncMode::None;
    options.memtable_bytes = 256 << 10;
    options.level1_bytes = 192 << 10;
    options.level_ratio = 3;
    options.l0_slow_files = 4;
    options.target_file_bytes = 256 << 10;
    options.background = false;
    let store = Store::open(&Env::memory(), "/db".as_ref(), options).unwrap();
    for start in (0..KEYS).step_by(500) {
        let mut batch = WriteBatch::new();
        for number in start..start + 500 {
            batch.put(&key(number), &number.to_le_bytes().repeat(8)).unwrap();
        }
        store.write(batch, None).unwrap();
    }
    store.flush().unwrap();
    store
}

/// A scan of everything asks the file for many blocks at once.
#[test]
fn scans_read_ahead() {
    let store = filled();
    store.compact(KeyRange::all()).unwrap();
    let before = store.stats().tree.cache;
    let mut scan = store.snapshot().scan(KeyRange::all(), cairn_storage::Direction::Forward);
    let mut rows = 0;
    while scan.next().unwrap().is_some() {
        rows += 1;
    }
    assert_eq!(rows, KEYS);
    let after = store.stats().tree.cache;
    let (blocks, reads) = (after.misses - before.misses, after.readaheads - before.readaheads);
    println!("{blocks} blocks with {reads} reads ahead");
    assert!(blocks > 500 && reads > 0 && reads < blocks / 4, "{blocks} blocks, {reads} reads");
}

fn sum(store: &Store) -> FilterStats {
    store.stats().tree.levels.iter().map(|level| level.filters).sum()
}

#[test]
fn absent_keys_pass_as_seldom_as_the_tiers_promise() {
    let store = filled();
    let levels = store.stats().tree.levels;
    let used = levels.iter().skip(1).filter(|level| level.files > 0).count();
    assert!(used >= 3, "the test wants three levels, got {levels:?}");
    for number in KEYS..2 * KEYS {
        assert_eq!(store.get(&key(number)).unwrap(), None);
    }
    let stats = store.stats().tree.levels;
    for (number, level) in stats.iter().enumerate() {
        let filters = level.filters;
        println!("level {number}: {filters:?}, rate {:.5}", filters.false_positive_rate());
        assert_eq!(filters.positives, 0, "none of the keys is there");
        // Below level 0 a file may be from a time when its level was the deepest.
        let rate_max = if number == 0 { 0.001 } else { 0.03 };
        assert!(filters.false_positive_rate() <= rate_max, "level {number}: {filters:?}");
    }
    assert!(sum(&store).negatives >= KEYS, "the filters were asked");
    for number in 0..KEYS {
        assert!(store.get(&key(number)).unwrap().is_some(), "a filter denied key {number}");
    }
    assert!(sum(&store).positives > KEYS / 2);
    store.compact(KeyRange::all()).unwrap();
    for number in (0..KEYS).step_by(3) {
        assert!(store.get(&key(number)).unwrap().is_some(), "a filter denied key {number}");
    }
}
