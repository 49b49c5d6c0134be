//! Key-value work: keys of 16 bytes, values of 100 bytes that compress to about half, one process for each run.
//!
//! Every write transaction is durable when it returns, for every engine: one `fdatasync` or `fsync` at least.

mod cairn;
mod cairn_storage;
mod fjall;
mod redb;
mod sqlite;

#[cfg(feature = "sql")]
pub use sqlite::connect as sqlite_connect;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::Plan;
use crate::page::Table;

/// Named figures of one run.
pub type Figures = BTreeMap<String, f64>;
/// A key.
pub type Key = [u8; 16];
/// A value.
pub type Value = [u8; 100];
/// Puts one row durably; one for each thread.
pub type Put<'a> = Box<dyn FnMut(&Key, &Value) -> Result<()> + Send + 'a>;

/// The engines, ours first.
pub const PEERS: [&str; 5] = ["cairndb", "cairn-storage", "sqlite", "redb", "fjall"];

/// An open engine.
pub trait Engine: Sync {
    /// Writes rows as one durable transaction.
    fn write(&self, rows: &mut dyn Iterator<Item = (Key, Value)>) -> Result<()>;
    /// Reads each key from one snapshot; how many were found.
    fn get(&self, keys: &[Key]) -> Result<usize>;
    /// Reads up to `limit` rows from each start on, from one snapshot; how many rows were read.
    fn range(&self, starts: &[Key], limit: usize) -> Result<usize>;
    /// A writer of single durable rows.
    fn writer(&self) -> Result<Put<'_>>;
    /// Brings what was written to its place at rest.
    fn settle(&self) -> Result<()>;
}

fn open(peer: &str, directory: &Path) -> Result<Box<dyn Engine>> {
    std::fs::create_dir_all(directory)?;
    Ok(match peer {
        "cairndb" => Box::new(cairn::Cairn::open(directory)?),
        "cairn-storage" => Box::new(cairn_storage::CairnStorage::open(directory)?),
        "sqlite" => Box::new(sqlite::Sqlite::open(directory)?),
        "redb" => Box::new(redb::Redb::open(directory)?),
        "fjall" => Box::new(fjall::Fjall::open(directory)?),
        other => bail!("no engine named {other}"),
    })
}

/// What is measured: name, description, unit. Figures are rates: more is better.
const CASES: [(&str, &str, &str); 10] = [
    ("insert_txn_seq", "insert 100k rows, one transaction, keys in order", "rows/s"),
    ("insert_txn_rand", "insert 100k rows, one transaction, random keys", "rows/s"),
    ("insert_batch_seq", "insert 100k rows, 1,000 a transaction, keys in order", "rows/s"),
    ("insert_batch_rand", "insert 100k rows, 1,000 a transaction, random keys", "rows/s"),
    ("get_1m", "read random keys of 1M", "reads/s"),
    ("range_1m", "100-row ranges of 1M", "ranges/s"),
    ("get_5m", "read random keys of 5M", "reads/s"),
    ("range_5m", "100-row ranges of 5M", "ranges/s"),
    ("commit_1", "single durable puts, 1 thread", "commits/s"),
    ("commit_16", "single durable puts, 16 threads", "commits/s"),
];

/// Runs all cases and gives their table.
pub fn run(plan: &Plan) -> Result<Table> {
    let peers: Vec<&str> = PEERS.into_iter().filter(|peer| plan.wants_peer(peer)).collect();
    let mut table = Table::new("key-value", &peers, 2);
    for (size, rows) in [("none", 0), ("1m", 1_000_000), ("5m", 5_000_000)] {
        let of_size = |case: &str| (size == "none") == !(case.ends_with("1m") || case.ends_with("5m"));
        let cases = CASES.iter().filter(|(case, ..)| plan.wants_case(case) && of_size(case));
        let cases: Vec<_> = cases.filter(|(case, ..)| size == "none" || case.ends_with(size)).collect();
        if cases.is_empty() || (plan.quick && size == "5m" && plan.cases.is_empty()) {
            continue;
        }
        if rows > 0 {
            for peer in &peers {
                let began = Instant::now();
                crate::in_child(
                    "kv",
                    peer,
                    &format!("prepare_{rows}"),
                    &plan.directory.join(peer).join(size),
                    plan.quick,
                )?;
                eprintln!("{peer}: {rows} rows prepared in {:.1} s", began.elapsed().as_secs_f64());
            }
        }
        for (case, description, unit) in cases {
            let mut figures = vec![Vec::new(); peers.len()];
            for run in 0..plan.runs {
                for (peer, figures) in peers.iter().zip(&mut figures) {
                    let fresh = plan.directory.join(peer).join(format!("{case}-{run}"));
                    let directory =
                        if rows > 0 { plan.directory.join(peer).join(size) } else { fresh.clone() };
                    let run = crate::in_child("kv", peer, case, &directory, plan.quick)?;
                    figures.push(*run.get("rate").context("no rate")?);
                    if rows == 0 {
                        std::fs::remove_dir_all(&fresh)?;
                    }
                }
            }
            table.push_rates(case, description, unit, figures);
            table.print_last();
        }
        for peer in &peers {
            let _ = std::fs::remove_dir_all(plan.directory.join(peer).join(size));
        }
    }
    Ok(table)
}

/// One run in this process.
pub fn measure(peer: &str, case: &str, directory: &Path, quick: bool) -> Result<Figures> {
    if let Some(rows) = case.strip_prefix("prepare_") {
        prepare(peer, directory, rows.parse()?)?;
        return Ok(Figures::from([("rate".to_owned(), 0.0)]));
    }
    let engine = open(peer, directory)?;
    let rate = match case {
        "insert_txn_seq" => insert(engine.as_ref(), 100_000, false)?,
        "insert_txn_rand" => insert(engine.as_ref(), 100_000, true)?,
        "insert_batch_seq" => insert(engine.as_ref(), 1000, false)?,
        "insert_batch_rand" => insert(engine.as_ref(), 1000, true)?,
        "get_1m" => get(engine.as_ref(), 1_000_000, quick)?,
        "get_5m" => get(engine.as_ref(), 5_000_000, quick)?,
        "range_1m" => range(engine.as_ref(), 1_000_000, quick)?,
        "range_5m" => range(engine.as_ref(), 5_000_000, quick)?,
        "commit_1" => commit(engine.as_ref(), 1, quick)?,
        "commit_16" => commit(engine.as_ref(), 16, quick)?,
        other => bail!("no case named {other}"),
    };
    Ok(Figures::from([("rate".to_owned(), rate)]))
}

/// SplitMix64's finish: a bijection, so that keys differ.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn key(high: u64, low: u64) -> Key {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&high.to_be_bytes());
    key[8..].copy_from_slice(&low.to_be_bytes());
    key
}

/// The `i`th random key.
fn random_key(i: u64) -> Key {
    key(mix(i), i)
}

/// 50 random bytes and 50 equal ones.
fn value(i: u64) -> Value {
    let mut value = [b'v'; 100];
    for (word, bytes) in value[..50].chunks_mut(8).enumerate() {
        bytes.copy_from_slice(&mix(i ^ (word as u64) << 40).to_le_bytes()[..bytes.len()]);
    }
    value
}

/// Loads `rows` random keys in key order, in transactions of 10,000 rows.
fn prepare(peer: &str, directory: &Path, rows: u64) -> Result<()> {
    let mut numbers: Vec<u64> = (0..rows).collect();
    numbers.sort_unstable_by_key(|i| mix(*i));
    let engine = open(peer, directory)?;
    for batch in numbers.chunks(10_000) {
        engine.write(&mut batch.iter().map(|i| (random_key(*i), value(*i))))?;
    }
    engine.settle()
}

fn insert(engine: &dyn Engine, batch: u64, random: bool) -> Result<f64> {
    const ROWS: u64 = 100_000;
    let began = Instant::now();
    for first in (0..ROWS).step_by(batch as usize) {
        let row = |i| (if random { random_key(i) } else { key(0, i) }, value(i));
        engine.write(&mut (first..first + batch).map(row))?;
    }
    Ok(ROWS as f64 / began.elapsed().as_secs_f64())
}

/// Random keys among the first `rows`, from a seed.
fn some_keys(rows: u64, count: u64, seed: u64) -> Vec<Key> {
    (0..count).map(|i| random_key(mix(i ^ seed << 32) % rows)).collect()
}

fn get(engine: &dyn Engine, rows: u64, quick: bool) -> Result<f64> {
    let count = if quick { 100_000 } else { 500_000 };
    engine.get(&some_keys(rows, count, 1))?;
    let keys = some_keys(rows, count, 2);
    let began = Instant::now();
    let found = engine.get(&keys)?;
    let elapsed = began.elapsed().as_secs_f64();
    ensure!(found == keys.len(), "{found} of {} keys found", keys.len());
    Ok(found as f64 / elapsed)
}

fn range(engine: &dyn Engine, rows: u64, quick: bool) -> Result<f64> {
    let count = if quick { 5_000 } else { 30_000 };
    engine.range(&some_keys(rows, count, 3), 100)?;
    let starts = some_keys(rows, count, 4);
    let began = Instant::now();
    let read = engine.range(&starts, 100)?;
    let elapsed = began.elapsed().as_secs_f64();
    ensure!(read > starts.len() * 99, "only {read} rows read");
    Ok(starts.len() as f64 / elapsed)
}

fn commit(engine: &dyn Engine, threads: u64, quick: bool) -> Result<f64> {
    let time = Duration::from_secs(if quick { 1 } else { 3 });
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    // Warm: files made, first pages written.
    let mut put = engine.writer()?;
    for i in 0..100 {
        put(&random_key(1 << 40 | i), &value(i))?;
    }
    drop(put);
    let began = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (stop, done) = (&stop, &done);
                scope.spawn(move || -> Result<()> {
                    let mut put = engine.writer()?;
                    let mut i = thread << 32;
                    while !stop.load(Ordering::Relaxed) {
                        put(&random_key(i), &value(i))?;
                        done.fetch_add(1, Ordering::Relaxed);
                        i += 1;
                    }
                    Ok(())
                })
            })
            .collect();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        }
        Ok(())
    })?;
    Ok(done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}
