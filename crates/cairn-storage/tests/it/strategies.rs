//! Strategies of compaction: what each promises, and that parts of the tree with their own stay apart. That
//! answers are right under all of them is the business of the model and crash tests, which draw them.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use cairn_env::Env;
use cairn_env::sim::{SimOptions, Simulation};
use cairn_storage::{Compaction, KeyRange, Options, Store, SyncMode, TreeStats, WriteBatch};

fn options(compaction: Compaction) -> Options {
    let mut options = Options::default();
    options.compaction = compaction;
    options.sync = SyncMode::None;
    options.memtable_bytes = 64 << 10;
    options.level1_bytes = 256 << 10;
    options.level_ratio = 4;
    options.target_file_bytes = 64 << 10;
    options.l0_slow_files = 4;
    options.background = false;
    options
}

fn key(prefix: &str, number: u64) -> Vec<u8> {
    format!("{prefix}/{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes()
}

fn fill(store: &Store, prefix: &str, keys: std::ops::Range<u64>) {
    for number in keys {
        let mut batch = WriteBatch::new();
        batch.put(&key(prefix, number), &number.to_le_bytes().repeat(12)).unwrap();
        store.write(batch, None).unwrap();
    }
}

fn check(store: &Store, prefix: &str, keys: std::ops::Range<u64>) {
    for number in keys {
        assert_eq!(store.get(&key(prefix, number)).unwrap().unwrap(), number.to_le_bytes().repeat(12));
    }
}

fn load(compaction: Compaction) -> TreeStats {
    let store = Store::open(&Env::memory(), "/db".as_ref(), options(compaction)).unwrap();
    fill(&store, "k", 0..30_000);
    check(&store, "k", 0..30_000);
    assert!(store.verify().unwrap().is_sound());
    store.stats().tree
}

#[test]
fn tiered_writes_less_and_leveled_has_fewer_runs() {
    // What is told of the work is consistent with itself.
    let [leveled, tiered] = [Compaction::Leveled, Compaction::Tiered].map(load);
    let told = |stats: &TreeStats| {
        let (write, read) = (stats.write_amplification(), stats.read_amplification());
        format!("{}: write {write:.2}, runs {read}, space {:.2}", stats.strategy, stats.space_amplification())
    };
    println!("{}\n{}", told(&leveled), told(&tiered));
    assert!(tiered.write_amplification() < 0.8 * leveled.write_amplification());
    for stats in [&leveled, &tiered] {
        assert!(stats.compaction_read_bytes >= stats.compacted_bytes / 2 && stats.waiting_files <= 4);
        assert!(stats.flush_micros > 0 && stats.compaction_micros > 0 && stats.open_files > 0);
    }
    assert!(tiered.read_amplification() <= 4 + 6 && leveled.read_amplification() <= 4 + 6);
}

#[test]
fn windows_of_time_stay_apart() {
    let simulation = Simulation::new(SimOptions::new(3));
    let env = simulation.env();
    let hour = Duration::from_secs(3600);
    let store = Store::open(&env, "/db".as_ref(), options(Compaction::TimeWindow(hour))).unwrap();
    const WINDOWS: u64 = 6;
    for window in 0..WINDOWS {
        fill(&store, "k", window * 2_000..(window + 1) * 2_000);
        store.flush().unwrap();
        env.clock().sleep(hour);
    }
    // One more commit and flush make the store look at its work.
    fill(&store, "k", WINDOWS * 2_000..WINDOWS * 2_000 + 1_000);
    store.flush().unwrap();
    fill(&store, "k", WINDOWS * 2_000 + 1_000..WINDOWS * 2_000 + 3_000);
    store.flush().unwrap();
    let stats = store.stats().tree;
    assert!(stats.levels[1..].iter().all(|level| level.files == 0), "windows do not go down: {stats:?}");
    let files = stats.levels[0].files;
    assert!((WINDOWS..WINDOWS + 8).contains(&files), "one run for each window: {files}");
    assert!(stats.write_amplification() < 3.5, "{}", stats.write_amplification());
    check(&store, "k", 0..WINDOWS * 2_000 + 3_000);
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn prefixes_are_compacted_in_their_own_way() {
    let env = Env::memory();
    let mut rules = options(Compaction::Leveled);
    rules.compaction_rules =
        vec![(b"log/".to_vec(), Compaction::Tiered), (b"x".to_vec(), Compaction::Leveled)];
    // First without rules, so that there are files over the borders.
    let store = Store::open(&env, "/db".as_ref(), options(Compaction::Leveled)).unwrap();
    for prefix in ["a", "log", "x", "z"] {
        fill(&store, prefix, 0..1_000);
    }
    store.close().unwrap();
    let store = Store::open(&env, "/db".as_ref(), rules).unwrap();
    for step in 0..10u64 {
        for prefix in ["a", "log", "x", "z"] {
            fill(&store, prefix, 1_000 + step * 300..1_300 + step * 300);
        }
    }
    store.compact(KeyRange::prefix(b"x")).unwrap();
    for prefix in ["a", "log", "x", "z"] {
        check(&store, prefix, 0..4_000);
    }
    // A dropped prefix falls in whole files: they hold nothing else.
    let mut batch = WriteBatch::new();
    batch.delete_range(b"log/", b"log0").unwrap();
    store.write(batch, None).unwrap();
    let before = store.stats().tree;
    store.flush().unwrap();
    store.compact(KeyRange::all()).unwrap();
    let after = store.stats().tree;
    let entries = |stats: &TreeStats| stats.levels.iter().map(|level| level.entries).sum::<u64>();
    assert!(entries(&before) >= 15_000 && entries(&after) == 12_000, "{before:?} {after:?}");
    for prefix in ["a", "x", "z"] {
        check(&store, prefix, 0..4_000);
    }
    assert_eq!(store.get(&key("log", 5)).unwrap(), None);
    assert!(store.verify().unwrap().is_sound());
    let nested = vec![(b"a".to_vec(), Compaction::Tiered), (b"ab".to_vec(), Compaction::Tiered)];
    let mut wrong = options(Compaction::Leveled);
    wrong.compaction_rules = nested;
    assert!(Store::open(&env, "/other".as_ref(), wrong).is_err());
}

#[test]
fn workers_share_a_compaction() {
    let mut options = options(Compaction::Leveled);
    options.compaction_workers = 3;
    options.level1_bytes = 8 << 20;
    options.l0_compaction_files = 100;
    options.l0_slow_files = 100;
    options.l0_stop_files = 100;
    let store = Store::open(&Env::memory(), "/db".as_ref(), options).unwrap();
    fill(&store, "k", 0..20_000);
    let mut batch = WriteBatch::new();
    batch.delete_range(b"k/4", b"k/b").unwrap();
    store.write(batch, None).unwrap();
    store.compact(KeyRange::all()).unwrap();
    assert!(store.stats().tree.levels[1].files >= 3);
    for number in 0..20_000 {
        let key = key("k", number);
        let deleted = key.as_slice() >= b"k/4".as_slice() && key.as_slice() < b"k/b".as_slice();
        assert_eq!(store.get(&key).unwrap().is_none(), deleted);
    }
    assert!(store.verify().unwrap().is_sound());
}
