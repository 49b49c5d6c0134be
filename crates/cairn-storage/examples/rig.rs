//! The process that the rigs of `cargo xtask power-cut`, `kill` and `soak` start, cut and kill.
//!
//! ```text
//! rig write DIR MODE SEED     commits until it dies; says `acked WRITER NUMBER` for each commit acknowledged
//! rig check DIR SEED          opens, compares, verifies; says `found WRITER COUNT` for each writer
//! rig soak DIR SECONDS SEED   churns; says `sample SECONDS RSS FDS DISK LIVE` (bytes) now and then
//! ```
//! MODE: `sync` (every commit), `mixed` (sync and async), `none` (deliberately unsafe: nothing is synced).
//!
//! Each of several writers numbers its commits 0, 1, 2 …; a commit writes two keys far from each other, deletes an
//! older third and rewrites a shared one. So a missing, halved, doubled or reordered commit shows.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cairn_env::{Env, SeededRandom};
use cairn_storage::{Direction, KeyRange, Options, Store, SyncMode, WriteBatch};

const WRITERS: u64 = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["write", dir, mode, seed] => write(Path::new(dir), mode, seed.parse().unwrap()),
        ["check", dir, seed] => check(Path::new(dir), seed.parse().unwrap()),
        ["soak", dir, seconds, seed] => {
            soak(Path::new(dir), seconds.parse().unwrap(), seed.parse().unwrap());
        }
        _ => panic!("usage: rig write DIR MODE SEED | rig check DIR SEED | rig soak DIR SECONDS SEED"),
    }
}

/// Small sizes, so that seconds of writing fill memtables, segments and levels.
fn options(seed: u64) -> Options {
    let mut random = SeededRandom::new(seed);
    let mut options = Options::default();
    options.memtable_bytes = 64 << 10 << random.below(4);
    options.wal_segment_bytes = 64 << 10 << random.below(4);
    options.wal_allocate_bytes = [4 << 10, 64 << 10, 4 << 20][random.below(3) as usize];
    options.level1_bytes = 512 << 10;
    options.target_file_bytes = 128 << 10;
    options.cache_bytes = Some(1 << 20);
    options
}

fn open(dir: &Path, seed: u64) -> Store {
    Store::open(&Env::os(), dir, options(seed)).unwrap()
}

fn keys(writer: u64, number: u64) -> [Vec<u8>; 2] {
    ["a", "z"].map(|side| format!("{side}/{writer}/{number:010}").into_bytes())
}

fn temporary(writer: u64, number: u64) -> Vec<u8> {
    format!("m/{writer}/{number:010}").into_bytes()
}

fn value(writer: u64, number: u64) -> Vec<u8> {
    let len = 20 + (number * 37 + writer * 11) % 900;
    (0..len).map(|at| (number ^ writer << 5 ^ at) as u8).collect()
}

fn write(dir: &Path, mode: &str, seed: u64) {
    let store = open(dir, seed);
    let counts = counts(&store);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || write_on(store, writer, counts[writer as usize], mode));
        }
    });
}

fn write_on(store: &Store, writer: u64, first: u64, mode: &str) {
    for number in first.. {
        let mut batch = WriteBatch::new();
        for key in keys(writer, number) {
            batch.put(&key, &value(writer, number)).unwrap();
        }
        batch.put(&temporary(writer, number), b"soon gone").unwrap();
        if number >= 3 {
            batch.delete(&temporary(writer, number - 3)).unwrap();
        }
        batch.put(b"shared", &number.to_le_bytes()).unwrap();
        let sync = match mode {
            "sync" => SyncMode::Sync,
            "none" => SyncMode::None,
            _ if number.is_multiple_of(3) => SyncMode::Async,
            _ => SyncMode::Sync,
        };
        store.write(batch, Some(sync)).unwrap();
        let line = format!("acked {writer} {number}\n");
        // A reader that is gone ends the writer.
        if std::io::stdout().write_all(line.as_bytes()).is_err() {
            std::process::exit(0);
        }
    }
}

/// How many commits of each writer are there; panics on any that is missing in the middle, halved or changed.
fn counts(store: &Store) -> [u64; WRITERS as usize] {
    let snapshot = store.snapshot();
    let mut counts = [0; WRITERS as usize];
    for writer in 0..WRITERS {
        let [first, second] = ["a", "z"].map(|side| {
            let prefix = format!("{side}/{writer}/");
            let mut scan = snapshot.scan(KeyRange::prefix(prefix.as_bytes()), Direction::Forward);
            let mut count = 0;
            while let Some((key, found)) = scan.next().unwrap() {
                let number: u64 = String::from_utf8_lossy(&key[prefix.len()..]).parse().unwrap();
                assert_eq!(number, count, "a commit of writer {writer} is missing in the middle");
                assert!(
                    found == value(writer, number),
                    "commit {number} of writer {writer} has another value"
                );
                count += 1;
            }
            count
        });
        assert_eq!(first, second, "half a commit of writer {writer}");
        let mut scan = snapshot.scan(KeyRange::prefix(format!("m/{writer}/").as_bytes()), Direction::Forward);
        let mut left = 0;
        while scan.next().unwrap().is_some() {
            left += 1;
        }
        assert_eq!(left, first.min(3), "deletes of writer {writer} are missing");
        counts[writer as usize] = first;
    }
    counts
}

fn check(dir: &Path, seed: u64) {
    let store = open(dir, seed);
    let counts = counts(&store);
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "verify finds {:?}", report.damage);
    for (writer, count) in counts.iter().enumerate() {
        println!("found {writer} {count}");
    }
    if seed.is_multiple_of(2) {
        store.close().unwrap();
    } else {
        // As if killed again: the next writer recovers what this one recovered.
        std::process::exit(0);
    }
}

fn soak(dir: &Path, seconds: u64, seed: u64) {
    let mut options = options(seed);
    options.memtable_bytes = 4 << 20;
    options.wal_segment_bytes = 4 << 20;
    options.level1_bytes = 16 << 20;
    options.target_file_bytes = 4 << 20;
    options.cache_bytes = Some(8 << 20);
    let store = Store::open(&Env::os(), dir, options).unwrap();
    let started = Instant::now();
    let done = AtomicBool::new(false);
    let live = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (store, done) = (&store, &done);
            scope.spawn(move || churn(store, SeededRandom::new(seed << 8 | thread), done));
        }
        while started.elapsed() < Duration::from_secs(seconds) {
            std::thread::sleep(Duration::from_secs(5));
            live.store(live_bytes(&store), Ordering::Relaxed);
            println!(
                "sample {} {} {} {} {}",
                started.elapsed().as_secs(),
                resident_bytes(),
                std::fs::read_dir("/proc/self/fd").unwrap().count(),
                disk_bytes(dir),
                live.load(Ordering::Relaxed)
            );
        }
        done.store(true, Ordering::Release);
    });
    assert!(store.verify().unwrap().is_sound());
    store.close().unwrap();
}

/// Puts, deletes, range deletes, reads and scans on 200,000 keys.
fn churn(store: &Store, mut random: SeededRandom, done: &AtomicBool) {
    let key = |number: u64| format!("key/{number:08}").into_bytes();
    let mut kept = Vec::new();
    while !done.load(Ordering::Acquire) {
        let number = random.below(200_000);
        match random.below(100) {
            0..70 => {
                let mut batch = WriteBatch::new();
                for at in 0..random.between(1, 8) {
                    let len = random.between(20, 400) as usize;
                    batch.put(&key((number + at * 977) % 200_000), &vec![number as u8; len]).unwrap();
                }
                let sync = if random.one_in(50) { SyncMode::Sync } else { SyncMode::Async };
                store.write(batch, Some(sync)).unwrap();
            }
            70..80 => {
                let mut batch = WriteBatch::new();
                batch.delete(&key(number)).unwrap();
                store.write(batch, Some(SyncMode::Async)).unwrap();
            }
            80 => {
                let mut batch = WriteBatch::new();
                batch.delete_range(&key(number), &key(number + 50)).unwrap();
                store.write(batch, Some(SyncMode::Async)).unwrap();
            }
            81..95 => drop(store.get(&key(number)).unwrap()),
            95..99 => {
                let snapshot = store.snapshot();
                let mut scan = snapshot.scan(KeyRange::half_open(&key(number), b"z"), Direction::Forward);
                for _ in 0..100 {
                    if scan.next().unwrap().is_none() {
                        break;
                    }
                }
            }
            _ => {
                // Some snapshots live for a while.
                kept.push(store.snapshot());
                if kept.len() > 8 {
                    kept.remove(0);
                }
            }
        }
    }
}

fn live_bytes(store: &Store) -> u64 {
    let snapshot = store.snapshot();
    let mut scan = snapshot.scan(KeyRange::all(), Direction::Forward);
    let mut bytes = 0;
    while let Some((key, value)) = scan.next().unwrap() {
        bytes += (key.len() + value.len()) as u64;
    }
    bytes
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn disk_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap();
    // A file may go while it is looked at.
    files.filter_map(|entry| entry.ok()?.metadata().ok()).map(|file| file.len()).sum()
}
