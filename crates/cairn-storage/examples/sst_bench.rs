//! Figures for sorted files and the block cache, through the public API.
//!
//! `cargo run --release -p cairn-storage --example sst_bench [rows] [compressible bytes of 100]`: loads
//! rows of 16-byte random keys and 100-byte values, flushes, compacts, then reads. What flush and
//! compaction cost is told in bytes of keys and values, not bytes on disk. Times are those of the CPU.

use std::path::Path;

use cairn_env::{Env, OpenMode, SeededRandom};
use cairn_storage::{Direction, KeyRange, Options, Result, Store, SyncMode, WriteBatch};

const VALUE: usize = 100;

/// As the engine makes them: partition, table, index, then the row's key.
fn key(i: u64) -> [u8; 16] {
    let mut key = [0, 0, 0, 0, 0, 7, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    // A bijection of the number: random order, no duplicates.
    let mixed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xd6e8_feb8_6659_fd93);
    key[8..].copy_from_slice(&mixed.to_be_bytes());
    key
}

struct Bench {
    env: Env,
}

impl Bench {
    /// Time that this thread has run: other work on the machine does not count. Wall time where the
    /// system does not tell.
    fn nanos(&self) -> u64 {
        let told = (|| {
            let file =
                self.env.files().open(Path::new("/proc/thread-self/schedstat"), OpenMode::Read).ok()?;
            let mut text = [0; 64];
            let len = file.read_at(&mut text, 0).ok()?;
            std::str::from_utf8(&text[..len]).ok()?.split(' ').next()?.parse().ok()
        })();
        told.unwrap_or_else(|| self.env.clock().monotonic_nanos())
    }

    fn time<T>(&self, what: &str, units: u64, unit: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = self.nanos();
        let result = work()?;
        let nanos = (self.nanos() - start).max(1);
        let per_second = units as f64 * 1e3 / nanos as f64;
        println!(
            "{what:<28} {:>9.1} ms {:>10.1} ns/{unit} {per_second:>9.2} M{unit}/s",
            nanos as f64 / 1e6,
            nanos as f64 / units as f64
        );
        Ok(result)
    }
}

fn load(store: &Store, rows: u64, compressible: usize) -> Result<()> {
    let mut random = SeededRandom::new(1);
    let mut value = [b'v'; VALUE];
    let mut i = 0;
    while i < rows {
        let mut batch = WriteBatch::new();
        for _ in 0..1_000 {
            for chunk in value[compressible..].chunks_mut(8) {
                let word = random.next().to_le_bytes();
                chunk.copy_from_slice(&word[..chunk.len()]);
            }
            batch.put(&key(i), &value)?;
            i += 1;
        }
        store.write(batch, Some(SyncMode::None))?;
    }
    Ok(())
}

fn count(store: &Store, direction: Direction) -> Result<u64> {
    let mut scan = store.snapshot().scan(KeyRange::all(), direction);
    let (mut rows, mut bytes) = (0, 0);
    while let Some((key, value)) = scan.next()? {
        rows += 1;
        bytes += key.len() + value.len();
    }
    std::hint::black_box(bytes);
    Ok(rows)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().unwrap_or(0));
    let rows = arguments.next().unwrap_or(1_000_000).next_multiple_of(1_000);
    let compressible = (arguments.next().unwrap_or(50) as usize).min(VALUE);
    let env = Env::os();
    let path = std::env::temp_dir().join(format!("cairn-sst-bench-{}", std::process::id()));
    let dir: &Path = &path;
    let bench = Bench { env: env.clone() };
    let mut options = Options::default();
    options.background = false;
    options.cache_bytes = Some(2 << 30);
    options.memtable_bytes = 64 << 20;
    let raw_bytes = rows * (16 + VALUE as u64);
    println!("{rows} rows, {} MB, {compressible} of {VALUE} value bytes compressible", raw_bytes / 1_000_000);
    let store = Store::open(&env, dir, options)?;
    bench.time("load (log, memtable, flush)", rows, "row", || load(&store, rows, compressible))?;
    bench.time("flush of the rest", raw_bytes, "B", || store.flush())?;
    bench.time("compact", raw_bytes, "B", || store.compact(KeyRange::all()))?;
    bench.time("compact again", raw_bytes, "B", || store.compact(KeyRange::all()))?;
    bench.time("scan, cold", rows, "row", || count(&store, Direction::Forward))?;
    bench.time("scan", rows, "row", || count(&store, Direction::Forward))?;
    bench.time("scan back", rows, "row", || count(&store, Direction::Reverse))?;
    let gets = 1_000_000;
    let snapshot = store.snapshot();
    for what in ["get, first", "get"] {
        let mut random = SeededRandom::new(2);
        bench.time(what, gets, "get", || {
            for _ in 0..gets {
                let found = snapshot.get(&key(random.next() % rows))?;
                assert!(found.is_some(), "every key is there");
            }
            Ok(())
        })?;
    }
    let mut random = SeededRandom::new(3);
    bench.time("get, missing", gets, "get", || {
        for _ in 0..gets {
            let found = snapshot.get(&key(rows + random.next() % rows))?;
            assert!(found.is_none(), "the key is not there");
        }
        Ok(())
    })?;
    bench.time("range of 100", gets / 10, "range", || {
        for _ in 0..gets / 10 {
            let start = key(random.next() % rows);
            let mut scan = snapshot.scan(
                KeyRange::new(std::ops::Bound::Included(start.to_vec().into()), std::ops::Bound::Unbounded),
                Direction::Forward,
            );
            for _ in 0..100 {
                std::hint::black_box(scan.next()?);
            }
        }
        Ok(())
    })?;
    bench.time("verify", raw_bytes, "B", || store.verify())?;
    println!("{:#?}", store.stats());
    drop(snapshot);
    store.close()?;
    for name in env.files().list(dir).unwrap_or_default() {
        let _ = env.files().remove_file(&dir.join(name));
    }
    let _ = env.files().remove_dir(dir);
    Ok(())
}
