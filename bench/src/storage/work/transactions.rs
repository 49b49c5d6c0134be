//! Transactions beside each other: under little and much contention, beside readers, and durable. What the store holds in
//! the end is counted, so that a lost update is found.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::updates::{Ledger, Updates, rates, rows};
use super::{Run, check_get, filler, in_session, write_all};
use crate::data::{self, Key, Random, Zipf};
use crate::engine::{Setup, View};
use crate::meter;

/// Keys of a transaction that reads what it writes.
const KEYS: usize = 4;
/// Keys that are much wanted.
const HOT: u64 = 1000;
/// Threads of both kinds of load, with the names of their figures.
const UNIFORM: [(usize, &str); 4] = [(1, "rmw_1"), (2, "rmw_2"), (4, "rmw_4"), (16, "rmw_16")];
const ZIPF: [(usize, &str); 3] = [(1, "zipf_1"), (4, "zipf_4"), (16, "zipf_16")];
/// What is compared in one process takes turns, so often.
const ROUNDS: usize = 5;

/// Commits a second by threads: all figures, or those whose names begin so. The store is opened for each number of
/// threads, as some share out their cache.
pub fn rate(run: &mut Run<'_>, only: &str) -> Result<()> {
    let (ledger, rows) = (Ledger::open(run)?, rows(run));
    let open = |run: &Run<'_>, threads| run.open(&Setup { threads, ..ledger.setup(run) });
    let uniform = |random: &mut Random| random.below(rows);
    for (threads, figure) in UNIFORM.into_iter().filter(|(_, figure)| figure.starts_with(only)) {
        let engine = open(run, threads)?;
        let work = Updates { reads: 0, writes: KEYS, draw: &uniform };
        let commits = rates(run, engine.as_ref(), &ledger, threads, work)?.commits;
        run.put(figure, commits);
    }
    if "mixed_2".starts_with(only) {
        let engine = open(run, 2)?;
        let work = Updates { reads: 8, writes: 2, draw: &uniform };
        let commits = rates(run, engine.as_ref(), &ledger, 2, work)?.commits;
        run.put("mixed_2", commits);
    }
    let zipf = Zipf::new(HOT.min(rows));
    let mut alone = 0.0;
    for (threads, figure) in ZIPF.into_iter().filter(|(_, figure)| figure.starts_with(only)) {
        let engine = open(run, threads)?;
        let work = Updates { reads: 0, writes: KEYS, draw: &|random| zipf.draw(random) };
        let rates = rates(run, engine.as_ref(), &ledger, threads, work)?;
        run.put(figure, rates.commits);
        let all = rates.commits * (run.sizes.time("seconds") + run.sizes.time("warm")).as_secs_f64();
        run.put(&format!("{figure}_retries"), rates.retries / all.max(1.0));
        if threads == 1 {
            alone = rates.commits;
        } else {
            run.put(&format!("{figure}_kept"), rates.commits / alone);
        }
    }
    ledger.close(run)
}

/// What being serializable costs, in turns with Snapshot on the same store; for those that have both.
pub fn levels(run: &mut Run<'_>) -> Result<()> {
    const THREADS: usize = 2;
    let (ledger, rows) = (Ledger::open(run)?, rows(run));
    let engine = run.open(&Setup { threads: THREADS, ..ledger.setup(run) })?;
    let (retries, time) = (AtomicU64::new(0), run.sizes.time("seconds") / 2);
    for (figure, reads, writes) in [("ser_rmw", 0, KEYS), ("ser_mixed", 8, 2)] {
        let work = Updates { reads, writes, draw: &|random| random.below(rows) };
        let mut commits = [0.0; 2];
        for round in 0..2 * ROUNDS {
            let serializable = round % 2 == 1;
            let warm = if round == 0 { run.sizes.time("warm") } else { Duration::from_millis(50) };
            commits[round % 2] += meter::rate(THREADS, warm, time, &|thread, phase| {
                in_session(engine.as_ref(), View::Latest, |session| {
                    ensure!(session.set_serializable(serializable), "it has one level");
                    let seed = run.sizes.get("run") << 16 | (round * 64 + thread) as u64;
                    work.work(session, &mut Random::new(seed), phase, &ledger, &retries)
                })
            })?;
        }
        run.put(figure, commits[0] / commits[1]);
    }
    drop(engine);
    ledger.close(run)
}

/// Reads: in a transaction beside bare ones, and beside a writer.
pub fn reads(run: &mut Run<'_>) -> Result<()> {
    let ledger = Ledger::open(run)?;
    let opened = run.open(&Setup { threads: 2, ..ledger.setup(run) })?;
    let engine = opened.as_ref();
    let (rows, shape) = (rows(run), run.sizes.shape("value"));
    let time = run.sizes.time("seconds") / 2;
    let mut reads = [0.0; 2];
    for round in 0..2 * ROUNDS {
        let warm = if round == 0 { run.sizes.time("warm") } else { Duration::from_millis(50) };
        reads[round % 2] += meter::rate(1, warm, time, &|_, phase| {
            in_session(engine, View::Latest, |session| {
                let (mut random, mut count) = (Random::new(round as u64), 0);
                while phase.next(&mut count) {
                    let (i, mut fits) = (random.below(rows), false);
                    let (key, mut seen) = (data::random_key(i), |value: &[u8]| fits = shape.fits(i, value));
                    let found = match round % 2 {
                        0 => session.get(&key, &mut seen)?,
                        _ => session.get_in_transaction(&key, &mut seen)?,
                    };
                    ensure!(found && fits, "key {i} is missing or has a wrong value");
                }
                Ok(count)
            })
        })? / ROUNDS as f64;
    }
    run.put("get", reads[0]);
    run.put("get_txn", reads[1]);
    run.put("get_txn_cost", reads[0] / reads[1]);
    let alone = beside(run, engine, &ledger, false)?;
    let under_writer = beside(run, engine, &ledger, true)?;
    run.put("p99_alone", alone.as_nanos() as f64 / 1e3);
    run.put("p99_writer", under_writer.as_nanos() as f64 / 1e3);
    run.put("p99_ratio", under_writer.as_secs_f64() / alone.as_secs_f64());
    drop(opened);
    ledger.close(run)
}

/// The 99th percentile of a reader's times, alone or beside a writer that never pauses.
fn beside(
    run: &Run<'_>,
    engine: &dyn crate::engine::Engine,
    ledger: &Ledger,
    writer: bool,
) -> Result<Duration> {
    let (rows, shape, retries) = (rows(run), run.sizes.shape("value"), AtomicU64::new(0));
    let times = Mutex::new(Vec::with_capacity(4 << 20));
    let threads = 1 + usize::from(writer);
    let time = run.sizes.time("seconds") * 2;
    meter::rate(threads, run.sizes.time("warm"), time, &|thread, phase| {
        in_session(engine, View::Latest, |session| {
            let mut random = Random::new(run.sizes.get("run") << 16 | (threads * 64 + thread) as u64);
            if thread > 0 {
                let work = Updates { reads: 0, writes: KEYS, draw: &|random| random.below(rows) };
                return work.work(session, &mut random, phase, ledger, &retries);
            }
            let mut times = times.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let (mut count, mut last) = (0, Duration::ZERO);
            while phase.next(&mut count) {
                if count > times.len() as u64 {
                    times.push(last);
                }
                let key = data::random_key(random.below(rows));
                let began = Instant::now();
                check_get(session, &key, shape)?;
                last = began.elapsed();
            }
            Ok(count)
        })
    })?;
    let mut times = times.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    ensure!(times.len() >= 100, "only {} reads", times.len());
    let at = times.len() * 99 / 100;
    Ok(*times.select_nth_unstable(at).1)
}

/// How long one thread's transactions take that are on stable storage when they return; `bare` only appends what a log
/// record of one would have, and calls `fdatasync`.
pub fn durable(run: &mut Run<'_>) -> Result<()> {
    let shape = run.sizes.shape("value");
    if run.engine == "bare" {
        std::fs::create_dir_all(run.directory)?;
        let mut file = OpenOptions::new().create(true).append(true).open(run.directory.join("bare"))?;
        let record = vec![7u8; KEYS * (size_of::<Key>() + shape.bytes) + 64];
        return timed(run, &mut || {
            file.write_all(&record)?;
            Ok(file.sync_data()?)
        });
    }
    // Few rows, so that all is in memory.
    let rows = (rows(run) / 50).max(100);
    let setup = Setup { updates: true, ..run.sizes.setup(true) };
    let plain = run.open(&Setup { updates: false, ..setup })?;
    in_session(plain.as_ref(), View::Latest, |session| {
        write_all(session, rows, run.sizes.get("batch"), filler(data::random_key, shape), |_| Ok(()))
    })?;
    drop(plain);
    let engine = run.open(&setup)?;
    let mut random = Random::new(run.sizes.get("run"));
    in_session(engine.as_ref(), View::Latest, |session| {
        timed(run, &mut || {
            let mut keys = [(); KEYS].map(|()| data::random_key(random.below(rows)));
            keys.sort_unstable();
            while keys.windows(2).any(|pair| pair[0] == pair[1]) {
                keys = [(); KEYS].map(|()| data::random_key(random.below(rows)));
                keys.sort_unstable();
            }
            ensure!(session.update(&[], &keys, &mut |value| data::count_up(value))?, "alone, and refused");
            Ok(())
        })
    })
}

/// The median time of `work`, after some to warm up.
fn timed(run: &mut Run<'_>, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let (warm, time) = (run.sizes.time("warm"), run.sizes.time("seconds"));
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < warm + time {
        let (at, is_warm) = (Instant::now(), began.elapsed() >= warm);
        work()?;
        if is_warm {
            times.push(at.elapsed());
        }
    }
    ensure!(!times.is_empty(), "not one in the time");
    let middle = times.len() / 2;
    let median = *times.select_nth_unstable(middle).1;
    run.put("micros", median.as_nanos() as f64 / 1e3);
    Ok(())
}
