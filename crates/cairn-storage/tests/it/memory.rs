//! The memory limit holds: a child process works on a database many times the limit, and its peak resident
//! memory, as the kernel counts it, stays under `memory_bytes` and 16 MiB of its own.
//!
//! `CAIRN_MEMORY_DATA_MIB` sets the size of the database of `a_big_database_fits_its_memory_too`
//! (ignored in the ordinary run; 2,048 by default).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

use cairn_env::{Env, SeededRandom};
use cairn_storage::{Direction, KeyRange, Options, Store, SyncMode, WriteBatch};

const DIR: &str = "CAIRN_MEMORY_DIR";
const DATA_MIB: &str = "CAIRN_MEMORY_DATA_MIB";
const MEMORY_MIB: u64 = 64;
const OVERHEAD_MIB: u64 = 16;
const VALUE_BYTES: u64 = 400;

fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The greatest resident memory of this process so far, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn fill(store: &Store, rows: u64, random: &mut SeededRandom) {
    let mut value = [0; VALUE_BYTES as usize];
    for start in (0..rows).step_by(200) {
        let mut batch = WriteBatch::new();
        for number in start..(start + 200).min(rows) {
            random.fill(&mut value);
            value[..8].copy_from_slice(&number.to_le_bytes());
            batch.put(&key(number), &value).unwrap();
        }
        store.write(batch, None).unwrap();
    }
}

/// Random gets, present and absent, overwrites, deletes, short and long scans.
fn mix(store: &Store, rows: u64, steps: u64, random: &mut SeededRandom) {
    for step in 0..steps {
        let number = random.below(rows);
        match random.below(16) {
            0 => assert_eq!(store.get(&key(rows + number)).unwrap(), None),
            1 => {
                let mut batch = WriteBatch::new();
                batch.put(&key(number), &[&number.to_le_bytes()[..], &[7; 300]].concat()).unwrap();
                store.write(batch, None).unwrap();
            }
            2 if step % 8 == 0 => {
                let range =
                    KeyRange::new(std::ops::Bound::Included(bytes(&key(number))), KeyRange::all().end);
                let mut scan = store.snapshot().scan(range, Direction::Forward);
                let most = if step % 512 == 0 { 20_000 } else { 100 };
                for _ in 0..most {
                    if scan.next().unwrap().is_none() {
                        break;
                    }
                }
            }
            _ => {
                let value = store.get(&key(number)).unwrap().expect("the key is there");
                assert_eq!(value[..8], number.to_le_bytes());
            }
        }
    }
}

fn bytes(key: &[u8]) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(key)
}

/// The child.
#[test]
#[ignore = "run by the tests below"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let data_mib: u64 = std::env::var(DATA_MIB).unwrap().parse().unwrap();
    let before = peak_kib();
    let mut options = Options::default();
    options.memory_bytes = Some((MEMORY_MIB << 20) as usize);
    options.sync = SyncMode::None;
    let rows = (data_mib << 20) / VALUE_BYTES;
    let mut random = SeededRandom::new(1);
    let store = Store::open(&Env::os(), Path::new(&dir), options.clone()).unwrap();
    fill(&store, rows, &mut random);
    let filled = peak_kib();
    mix(&store, rows, rows / 8, &mut random);
    // The whole of it once, beside the cache's pieces.
    let mut scan = store.snapshot().scan(KeyRange::all(), Direction::Forward);
    let mut count = 0;
    while scan.next().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, rows);
    drop(scan);
    let cache = store.stats().tree.cache;
    assert!(cache.bytes + cache.pinned_bytes <= cache.capacity, "{cache:?}");
    assert!(cache.index_bytes > 0 && cache.filter_bytes > 0, "indexes and filters are charged: {cache:?}");
    store.close().unwrap();
    let store = Store::open(&Env::os(), Path::new(&dir), options).unwrap();
    mix(&store, rows, rows / 16, &mut random);
    store.close().unwrap();
    println!("\npeak {} KiB, {filled} after filling, {before} before, {cache:?}", peak_kib());
    let bound = (MEMORY_MIB + OVERHEAD_MIB) << 10;
    assert!(peak_kib() < bound, "{} KiB are more than {bound}", peak_kib());
}

fn run(data_mib: u64) {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["memory::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir.path().join("db"))
        .env(DATA_MIB, data_mib.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{}", text.lines().filter(|line| line.starts_with("peak")).collect::<String>());
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_database_greater_than_the_memory_fits_it() {
    run(192);
}

#[test]
#[ignore = "takes minutes: `cargo xtask memory`"]
fn a_big_database_fits_its_memory_too() {
    let data_mib = std::env::var(DATA_MIB).ok().and_then(|text| text.parse().ok());
    run(data_mib.unwrap_or(2048));
}
