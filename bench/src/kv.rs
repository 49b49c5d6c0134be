//! Key-value work: keys of 16 bytes, values of 100 bytes that compress to about half, one process for each run.
//!
//! Every write transaction is durable when it returns, for every engine: one `fdatasync` or `fsync` at least.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::data::{self, Key, Row, Shape, mix, random_key, sequential_key};
use crate::engine::{Engine, Setup, View, in_session, open};
use crate::page::Table;
use crate::{CACHE_BYTES, Plan, meter};

/// Named figures of one run.
pub type Figures = BTreeMap<String, f64>;

/// The engines, ours first.
pub const PEERS: [&str; 5] = ["cairndb", "cairn-storage", "sqlite", "redb", "fjall"];

/// 50 random bytes and 50 equal ones.
const VALUES: Shape = Shape { bytes: 100, random_percent: 50 };

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
    let engine = open(peer, directory, &setup(if case == "commit_16" { 16 } else { 1 }))?;
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

fn setup(threads: usize) -> Setup {
    Setup { sync: true, cache_bytes: CACHE_BYTES, big_values: false, threads, updates: false }
}

fn row(key: fn(u64) -> Key, i: u64) -> Row {
    Row { key: key(i), value: Some(VALUES.value(i)) }
}

/// Loads `rows` random keys in key order, in transactions of 10,000 rows.
fn prepare(peer: &str, directory: &Path, rows: u64) -> Result<()> {
    let mut numbers: Vec<u64> = (0..rows).collect();
    numbers.sort_unstable_by_key(|i| mix(*i));
    let engine = open(peer, directory, &setup(1))?;
    in_session(engine.as_ref(), View::Latest, |session| {
        for batch in numbers.chunks(10_000) {
            let rows: Vec<Row> = batch.iter().map(|i| row(random_key, *i)).collect();
            session.write(&rows)?;
        }
        Ok(())
    })?;
    engine.flush()?;
    meter::settle(Duration::from_millis(700), Duration::from_secs(60)).map(drop)
}

fn insert(engine: &dyn Engine, batch: u64, random: bool) -> Result<f64> {
    const ROWS: u64 = 100_000;
    let key = if random { random_key } else { sequential_key };
    let rows: Vec<Row> = (0..ROWS).map(|i| row(key, i)).collect();
    in_session(engine, View::Latest, |session| {
        let began = Instant::now();
        for rows in rows.chunks(batch as usize) {
            session.write(rows)?;
        }
        Ok(ROWS as f64 / began.elapsed().as_secs_f64())
    })
}

/// Random keys among the first `rows`, from a seed.
fn some_keys(rows: u64, count: u64, seed: u64) -> Vec<Key> {
    (0..count).map(|i| random_key(mix(i ^ seed << 32) % rows)).collect()
}

/// Reads the keys from one snapshot; how many a second.
fn read_all(engine: &dyn Engine, keys: &[Key]) -> Result<f64> {
    in_session(engine, View::Snapshot, |session| {
        let (mut found, began) = (0, Instant::now());
        for key in keys {
            session.get(key, &mut |value| found += usize::from(VALUES.fits(data::number(key), value)))?;
        }
        let elapsed = began.elapsed().as_secs_f64();
        ensure!(found == keys.len(), "{found} of {} keys found with their values", keys.len());
        Ok(found as f64 / elapsed)
    })
}

fn get(engine: &dyn Engine, rows: u64, quick: bool) -> Result<f64> {
    let count = if quick { 100_000 } else { 500_000 };
    read_all(engine, &some_keys(rows, count, 1))?;
    read_all(engine, &some_keys(rows, count, 2))
}

/// Reads 100 rows from each start on, from one snapshot; how many ranges a second.
fn range_all(engine: &dyn Engine, starts: &[Key]) -> Result<f64> {
    in_session(engine, View::Snapshot, |session| {
        let (mut read, began) = (0, Instant::now());
        for start in starts {
            session.scan(start, 100, &mut |_, value| read += usize::from(value.len() == VALUES.bytes))?;
        }
        let elapsed = began.elapsed().as_secs_f64();
        ensure!(read > starts.len() * 99, "only {read} rows read");
        Ok(starts.len() as f64 / elapsed)
    })
}

fn range(engine: &dyn Engine, rows: u64, quick: bool) -> Result<f64> {
    let count = if quick { 5_000 } else { 30_000 };
    range_all(engine, &some_keys(rows, count, 3))?;
    range_all(engine, &some_keys(rows, count, 4))
}

fn commit(engine: &dyn Engine, threads: u64, quick: bool) -> Result<f64> {
    let time = Duration::from_secs(if quick { 1 } else { 3 });
    meter::rate(threads as usize, Duration::from_millis(200), time, &|thread, phase| {
        in_session(engine, View::Latest, |session| {
            let (mut i, mut count) = ((thread as u64) << 32, 0);
            while phase.next(&mut count) {
                session.write(&[row(random_key, i)])?;
                i += 1;
            }
            Ok(count)
        })
    })
}
