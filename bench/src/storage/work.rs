//! The workloads, each run in a process of its own.

mod big;
mod bulk;
mod churn;
mod durable;
mod load;
mod reads;
mod recovery;
mod transactions;
mod updates;
mod ycsb;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::data::{self, Key, Random, Row, Shape};
use crate::engine::{Engine, Session, Setup, in_session, open};

pub use recovery::progress_of;

/// Named figures of one run.
pub type Figures = BTreeMap<String, f64>;

/// How much there is to do; settable on the command line as `--name number`.
#[derive(Debug, Clone)]
pub struct Sizes(BTreeMap<String, f64>);

/// Names, defaults, sizes of `--quick`, meanings.
const SIZES: [(&str, f64, f64, &str); 15] = [
    (
        "keys",
        5e6,
        300e3,
        "rows of the loads and reads; overwrites; a fifth of them for churn, updates and transactions",
    ),
    ("value", 100.0, 100.0, "bytes of a value, at least 16"),
    ("random", 50.0, 50.0, "percent of each value that does not compress"),
    ("cache", 256.0, 256.0, "MiB of cache"),
    ("hot-cache", 4096.0, 1024.0, "MiB of cache for reads and YCSB, which are to be hot"),
    ("bulk", 100e3, 100e3, "rows of the bulk inserts"),
    ("batch", 1000.0, 1000.0, "rows of a batch"),
    ("big-rows", 50e3, 3e3, "rows with big values"),
    ("big-value", 16384.0, 16384.0, "bytes of a big value"),
    ("records", 2e6, 100e3, "records of YCSB"),
    ("record", 1000.0, 1000.0, "bytes of a record of YCSB"),
    ("seconds", 1.0, 0.5, "that a loop bounded in time is counted"),
    ("warm", 0.5, 0.3, "seconds before it is counted"),
    ("settle", 60.0, 20.0, "seconds that background work gets to come to rest, at most"),
    ("run", 0.0, 0.0, "the number of the run, set by the harness"),
];

impl Sizes {
    pub fn new(quick: bool) -> Self {
        Self(
            SIZES
                .iter()
                .map(|(name, full, small, _)| ((*name).to_owned(), if quick { *small } else { *full }))
                .collect(),
        )
    }

    /// Sets one; an error names those that there are.
    pub fn set(&mut self, name: &str, value: f64) -> Result<()> {
        match self.0.get_mut(name) {
            Some(size) => *size = value,
            None => bail!("unknown option --{name}; sizes: {}", help()),
        }
        ensure!(value >= 0.0, "--{name} must not be negative");
        Ok(())
    }

    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default() as u64
    }

    fn time(&self, name: &str) -> Duration {
        Duration::from_secs_f64(self.0.get(name).copied().unwrap_or_default())
    }

    fn shape(&self, name: &str) -> Shape {
        let bytes = (self.get(name) as usize).max(data::VALUE_BYTES_MIN);
        Shape { bytes, random_percent: self.get("random").min(100) as usize }
    }

    fn setup(&self, sync: bool) -> Setup {
        let cache_bytes = (self.get("cache") as usize) << 20;
        Setup { sync, cache_bytes, big_values: false, threads: 1, updates: false }
    }

    /// For work on data that is all in memory: as LMDB has it in the page cache, the others in caches of their own.
    fn hot_setup(&self) -> Setup {
        Setup { cache_bytes: (self.get("hot-cache") as usize) << 20, ..self.setup(false) }
    }

    /// For the child process.
    pub fn encode(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
    }

    pub fn decode(text: &str) -> Result<Self> {
        let pair = |part: &str| -> Result<(String, f64)> {
            let (name, value) = part.split_once('=').context("a size is NAME=NUMBER")?;
            Ok((name.to_owned(), value.parse()?))
        };
        Ok(Self(text.split(',').map(pair).collect::<Result<_>>()?))
    }
}

/// The sizes and what they mean.
pub fn help() -> String {
    let line = |(name, full, small, what): &(&str, f64, f64, &str)| {
        format!("\n  --{name} N  (default {full}, quick {small}): {what}")
    };
    SIZES.iter().filter(|(name, ..)| *name != "run").map(line).collect()
}

/// What one run works with.
pub struct Run<'a> {
    pub engine: &'a str,
    pub directory: &'a Path,
    pub sizes: &'a Sizes,
    /// Filled as the run goes on, so that what was measured before an error is kept.
    pub figures: &'a mut Figures,
}

impl Run<'_> {
    fn put(&mut self, name: &str, figure: f64) {
        self.figures.insert(name.to_owned(), figure);
    }

    fn open(&self, setup: &Setup) -> Result<Box<dyn Engine>> {
        open(self.engine, self.directory, setup)
    }
}

/// Runs a case in this process.
pub fn measure(case: &str, run: &mut Run<'_>) -> Result<()> {
    match case {
        "bulk_one_seq" => bulk::insert(run, true, false),
        "bulk_one_rand" => bulk::insert(run, true, true),
        "bulk_batch_seq" => bulk::insert(run, false, false),
        "bulk_batch_rand" => bulk::insert(run, false, true),
        "load_seq" => load::load(run, false),
        "load_rand" => load::load(run, true),
        "reads" => reads::read(run),
        "open" => reads::open_again(run),
        "durable" => durable::puts(run),
        "churn" => churn::churn(run),
        "big" => big::big(run),
        "prepare_updates" => updates::prepare(run),
        "updates" => updates::update(run),
        "txn_rate" => transactions::rate(run, ""),
        "txn_levels" => transactions::levels(run),
        "txn_reads" => transactions::reads(run),
        "txn_durable" => transactions::durable(run),
        "prepare_ycsb" => ycsb::prepare(run),
        "ycsb" => ycsb::work(run, "cbafe"),
        "recovery_load" => recovery::load(run),
        "recovery" => recovery::recover(run),
        // For profiles: some workloads alone.
        other => match (other.strip_prefix("ycsb_"), other.strip_prefix("txn_rate_")) {
            (Some(workloads), _) => ycsb::work(run, workloads),
            (_, Some(figure)) => transactions::rate(run, figure),
            (None, None) => bail!("no case named {other}"),
        },
    }
}

/// The key of number `i` in one of the two orders.
fn key_of(random: bool) -> fn(u64) -> Key {
    if random { data::random_key } else { data::sequential_key }
}

/// Writes rows `0..rows` in batches, the memory of a batch used again.
fn write_all(
    session: &mut dyn Session,
    rows: u64,
    batch: u64,
    mut fill: impl FnMut(u64, &mut Row),
    mut written: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let empty = Row { key: Key::default(), value: Some(Vec::new()) };
    let mut buffer = vec![empty; batch.clamp(1, rows.max(1)) as usize];
    let mut next = 0;
    while next < rows {
        let len = (buffer.len() as u64).min(rows - next) as usize;
        for (row, i) in buffer[..len].iter_mut().zip(next..) {
            fill(i, row);
        }
        session.write(&buffer[..len])?;
        next += len as u64;
        written(next)?;
    }
    Ok(())
}

/// Fills rows with keys of an order and fitting values.
fn filler(key: fn(u64) -> Key, shape: Shape) -> impl FnMut(u64, &mut Row) {
    move |i, row| {
        row.key = key(i);
        shape.fill(i, 0, row.value.get_or_insert_default());
    }
}

/// Reads one key and checks its value.
fn check_get(session: &mut dyn Session, key: &Key, shape: Shape) -> Result<()> {
    let mut fits = false;
    let found = session.get(key, &mut |value| fits = shape.fits(data::number(key), value))?;
    ensure!(found, "key {} is missing", data::number(key));
    ensure!(fits, "key {} has a wrong value", data::number(key));
    Ok(())
}

/// Reads a sample of rows `0..rows` and checks them.
fn check_sample(session: &mut dyn Session, rows: u64, key: fn(u64) -> Key, shape: Shape) -> Result<()> {
    let mut random = Random::new(99);
    for _ in 0..rows.min(10_000) {
        check_get(session, &key(random.below(rows)), shape)?;
    }
    Ok(())
}

/// Scans everything: rows, the sum of the counters; every value is checked.
fn check_scan(session: &mut dyn Session, shape: Shape) -> Result<(u64, u64)> {
    let (mut numbers, mut counters, mut wrong) = (0u64, 0u64, 0);
    let rows = session.scan(&[], usize::MAX, &mut |key, value| {
        let number = data::number(key);
        numbers = numbers.wrapping_add(number);
        counters = counters.wrapping_add(data::counter(value));
        wrong += usize::from(!shape.fits(number, value));
    })?;
    ensure!(wrong == 0, "{wrong} of {rows} rows have a wrong value");
    let rows = rows as u64;
    let expected = (0..rows).fold(0u64, |sum, i| sum.wrapping_add(i));
    ensure!(numbers == expected, "the {rows} rows are not those that were written");
    Ok((rows, counters))
}
