//! Prints what the store does in a second on this machine: bulk inserts, durable commits, reads, scans.
//!
//! `cargo run --release -p cairn-storage --example kv_bench [-- DIRECTORY [ROWS]]`. The durable rows stand
//! beside the same number of appends with `fdatasync` to a preallocated file, which they cannot beat.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use cairn_env::{Env, OpenMode, SeededRandom};
use cairn_storage::{Direction, Isolation, KeyRange, Options, Store, SyncMode, TxnOptions, WriteBatch};

const VALUE: [u8; 100] = [b'v'; 100];

fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

fn sequential(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

fn value(random: &mut SeededRandom) -> [u8; 100] {
    // Half of it compresses.
    let mut value = VALUE;
    random.fill(&mut value[..50]);
    value
}

/// Prints a figure: the rate by the clock, and the processor time of this thread for each, which a busy
/// machine does not blur.
fn line(what: &str, count: u64, start: &Start) {
    let (took, cpu) = (start.clock.elapsed(), cpu_nanos() - start.cpu);
    let rate = count as f64 / took.as_secs_f64();
    let (each, cpu) = (took.as_secs_f64() * 1e6 / count as f64, cpu as f64 / 1e3 / count as f64);
    println!("{what:<46} {rate:>12.0} /s {each:>10.2} us each, {cpu:>8.2} us of processor");
}

struct Start {
    clock: Instant,
    cpu: u64,
}

fn begin() -> Start {
    Start { clock: Instant::now(), cpu: cpu_nanos() }
}

/// Time that this thread has run; 0 where the system does not tell.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

struct Bench {
    env: Env,
    dir: PathBuf,
    rows: u64,
}

impl Bench {
    fn open(&self, name: &str, sync: SyncMode) -> Store {
        let dir = self.dir.join(name);
        let _ = std::fs::remove_dir_all(&dir);
        let mut options = Options::default();
        options.sync = sync;
        Store::open(&self.env, &dir, options).unwrap()
    }

    fn bulk(&self) {
        for (what, make) in [("random", key as fn(u64) -> [u8; 16]), ("ascending", sequential)] {
            for round in 0..3 {
                let store = self.open("bulk", SyncMode::None);
                let start = begin();
                let mut txn = store.begin(TxnOptions::default());
                for number in 0..100_000 {
                    txn.put(&make(number), &VALUE).unwrap();
                }
                if round == 2 {
                    line(&format!("insert 100k, one txn, {what}: the puts"), 100_000, &start);
                }
                txn.commit().unwrap();
                if round == 2 {
                    line("  with the commit", 100_000, &start);
                    store.sync().unwrap();
                    line("  with a sync at the end", 100_000, &start);
                }
            }
        }
        for (what, make) in [("random", key as fn(u64) -> [u8; 16]), ("ascending", sequential)] {
            let store = self.open("batch", SyncMode::None);
            let start = begin();
            for group in 0..100 {
                let mut batch = WriteBatch::new();
                for number in 0..1000 {
                    batch.put(&make(group * 1000 + number), &VALUE).unwrap();
                }
                store.write(batch, None).unwrap();
            }
            line(&format!("insert 100k, batches of 1000, {what}"), 100_000, &start);
        }
    }

    fn physical(&self) {
        let path = self.dir.join("raw");
        let file = self.env.files().open(&path, OpenMode::Create).unwrap();
        file.allocate(4 << 20).unwrap();
        file.sync_all().unwrap();
        let start = begin();
        for number in 0..2000u64 {
            file.write_all_at(&[7; 200], number * 200).unwrap();
            file.sync_data().unwrap();
        }
        line("append + fdatasync, preallocated file", 2000, &start);
    }

    fn durable(&self) {
        for threads in [1u64, 2, 4, 8, 16, 32] {
            let store = self.open("durable", SyncMode::Sync);
            let each = 3000 / threads.min(4);
            let start = begin();
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let store = &store;
                    scope.spawn(move || {
                        for number in 0..each {
                            let mut txn = store.begin(TxnOptions::default());
                            txn.put(&key(thread << 32 | number), &VALUE).unwrap();
                            txn.commit().unwrap();
                        }
                    });
                }
            });
            line(&format!("durable put, {threads} threads"), each * threads, &start);
        }
    }

    fn reads(&self) {
        let store = self.open("reads", SyncMode::None);
        let mut random = SeededRandom::new(1);
        let start = begin();
        for group in 0..self.rows / 1000 {
            let mut batch = WriteBatch::new();
            for number in 0..1000 {
                batch.put(&key(group * 1000 + number), &value(&mut random)).unwrap();
            }
            store.write(batch, None).unwrap();
        }
        line("load, batches of 1000", self.rows, &start);
        let start = begin();
        store.flush().unwrap();
        store.compact(KeyRange::all()).unwrap();
        line("  flush and compact", self.rows, &start);
        self.read_from(&store, "SSTs");
        let small = self.open("memory", SyncMode::None);
        for group in 0..100 {
            let mut batch = WriteBatch::new();
            for number in 0..1000 {
                batch.put(&key(group * 1000 + number), &value(&mut random)).unwrap();
            }
            small.write(batch, None).unwrap();
        }
        Bench { env: self.env.clone(), dir: self.dir.clone(), rows: 100_000 }.read_from(&small, "memtable");
    }

    fn read_from(&self, store: &Store, from: &str) {
        let mut random = SeededRandom::new(2);
        for _ in 0..2 {
            let start = begin();
            for _ in 0..200_000 {
                assert!(store.get(&key(random.below(self.rows))).unwrap().is_some());
            }
            line(&format!("get, {from}, {} rows", self.rows), 200_000, &start);
        }
        let snapshot = store.snapshot();
        let start = begin();
        for _ in 0..100_000 {
            assert!(snapshot.get(&key(self.rows + random.below(self.rows))).unwrap().is_none());
        }
        line(&format!("get of a missing key, {from}"), 100_000, &start);
        for direction in [Direction::Forward, Direction::Reverse] {
            let start = begin();
            let mut scan = snapshot.scan(KeyRange::all(), direction);
            let mut rows = 0;
            while scan.next().unwrap().is_some() {
                rows += 1;
            }
            assert_eq!(rows, self.rows);
            line(&format!("full scan, {direction:?}, {from}"), rows, &start);
        }
        let start = begin();
        for _ in 0..10_000 {
            let range = KeyRange::new(
                std::ops::Bound::Included(key(random.below(self.rows)).to_vec().into()),
                std::ops::Bound::Unbounded,
            );
            let mut scan = snapshot.scan(range, Direction::Forward);
            for _ in 0..100 {
                if scan.next().unwrap().is_none() {
                    break;
                }
            }
        }
        line(&format!("range of 100 rows, {from}"), 10_000, &start);
    }

    fn transactions(&self) {
        let store = self.open("txn", SyncMode::None);
        let mut batch = WriteBatch::new();
        for number in 0..100_000 {
            batch.put(&key(number), &VALUE).unwrap();
        }
        store.write(batch, None).unwrap();
        for (isolation, threads) in
            [(Isolation::Snapshot, 1u64), (Isolation::Serializable, 1), (Isolation::Snapshot, 4)]
        {
            if threads == 1 {
                let start = begin();
                read_modify_write(&store, 0, isolation);
                line(&format!("read-modify-write of 4 keys, {isolation:?}"), 20_000, &start);
                continue;
            }
            let start = begin();
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let store = &store;
                    scope.spawn(move || read_modify_write(store, thread, isolation));
                }
            });
            let what = format!("read-modify-write of 4 keys, {isolation:?}, {threads} threads");
            line(&what, 20_000 * threads, &start);
        }
    }
}

fn read_modify_write(store: &Store, seed: u64, isolation: Isolation) {
    let mut random = SeededRandom::new(seed);
    for _ in 0..20_000 {
        let mut txn = store.begin(TxnOptions { isolation, ..TxnOptions::default() });
        for _ in 0..4 {
            let key = key(random.below(100_000));
            let value = txn.get(&key).unwrap().unwrap();
            txn.put(&key, &value).unwrap();
        }
        // A conflict counts as done: there are few.
        let _ = txn.commit();
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map_or_else(|| std::env::temp_dir().join("cairn-kv-bench"), PathBuf::from);
    let rows = arguments.next().map_or(1_000_000, |rows| rows.parse().unwrap());
    std::fs::create_dir_all(&dir).unwrap();
    let only = arguments.next().unwrap_or_default();
    let bench = Bench { env: Env::os(), dir: Path::new(&dir).to_path_buf(), rows };
    type Part = fn(&Bench);
    let parts: [(&str, Part); 5] = [
        ("bulk", Bench::bulk),
        ("physical", Bench::physical),
        ("durable", Bench::durable),
        ("transactions", Bench::transactions),
        ("reads", Bench::reads),
    ];
    for (name, part) in parts {
        if only.is_empty() || only == name {
            part(&bench);
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
