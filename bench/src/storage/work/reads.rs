//! Reading a loaded store: known keys, absent keys, ranges, everything; and opening it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Run, check_get, check_scan, in_session};
use crate::data::{self, Random};
use crate::engine::{Engine, Session, View};
use crate::meter;

/// Rows of a range.
const RANGE: usize = 100;

pub fn read(run: &mut Run<'_>) -> Result<()> {
    let mut setup = run.sizes.hot_setup();
    setup.threads = 2;
    meter::warm_files(run.directory)?;
    let engine = run.open(&setup)?;
    let engine = engine.as_ref();
    // Every row once, so that caches are full; measured again at the end.
    scan(run, engine)?;
    for (figure, threads) in [("get_1", 1), ("get_2", 2)] {
        known(run, engine, figure, threads)?;
    }
    absent(run, engine)?;
    ranges(run, engine)?;
    scan(run, engine)
}

/// Reads in `threads` threads, each from a snapshot; `step` is one operation.
fn rate(
    run: &Run<'_>,
    engine: &dyn Engine,
    threads: usize,
    step: &(dyn Fn(&mut dyn Session, &mut Random) -> Result<()> + Sync),
) -> Result<f64> {
    meter::rate(threads, run.sizes.time("warm"), run.sizes.time("seconds"), &|thread, phase| {
        in_session(engine, View::Snapshot, |session| {
            let (mut random, mut count) = (Random::new(thread as u64), 0);
            while phase.next(&mut count) {
                step(session, &mut random)?;
            }
            Ok(count)
        })
    })
}

fn known(run: &mut Run<'_>, engine: &dyn Engine, figure: &str, threads: usize) -> Result<()> {
    let (rows, shape) = (run.sizes.get("keys"), run.sizes.shape("value"));
    let rate = rate(run, engine, threads, &|session, random| {
        check_get(session, &data::random_key(random.below(rows)), shape)
    })?;
    run.put(figure, rate);
    Ok(())
}

fn absent(run: &mut Run<'_>, engine: &dyn Engine) -> Result<()> {
    let rows = run.sizes.get("keys");
    let rate = rate(run, engine, 1, &|session, random| {
        let key = data::random_key(rows + random.below(1 << 40));
        ensure!(!session.get(&key, &mut |_| {})?, "a key was found that was never written");
        Ok(())
    })?;
    run.put("absent", rate);
    Ok(())
}

fn ranges(run: &mut Run<'_>, engine: &dyn Engine) -> Result<()> {
    let (rows, shape) = (run.sizes.get("keys"), run.sizes.shape("value"));
    let (done, short) = (AtomicU64::new(0), AtomicU64::new(0));
    let rate = rate(run, engine, 1, &|session, random| {
        let start = data::random_key(random.below(rows));
        let (mut first, mut bytes) = (None, 0);
        let read = session.scan(&start, RANGE, &mut |key, value| {
            first.get_or_insert_with(|| data::number(key));
            bytes += value.len();
        })?;
        ensure!(first == Some(data::number(&start)), "a range begins elsewhere");
        ensure!(bytes == read * shape.bytes, "a range has wrong values");
        done.fetch_add(1, Ordering::Relaxed);
        short.fetch_add(u64::from(read != RANGE), Ordering::Relaxed);
        Ok(())
    })?;
    // Those that begin among the last keys.
    let (done, short) = (done.into_inner(), short.into_inner());
    ensure!(short <= 10 + done * 2 * RANGE as u64 / rows.max(1), "{short} of {done} ranges are short");
    run.put("range", rate);
    Ok(())
}

fn scan(run: &mut Run<'_>, engine: &dyn Engine) -> Result<()> {
    let (rows, shape) = (run.sizes.get("keys"), run.sizes.shape("value"));
    let (seconds, found) = in_session(engine, View::Snapshot, |session| {
        let began = Instant::now();
        let (found, _) = check_scan(session, shape)?;
        Ok((began.elapsed().as_secs_f64(), found))
    })?;
    ensure!(found == rows, "{found} of {rows} rows scanned");
    run.put("scan", found as f64 / seconds);
    Ok(())
}

pub fn open_again(run: &mut Run<'_>) -> Result<()> {
    let shape = run.sizes.shape("value");
    let began = Instant::now();
    let engine = run.open(&run.sizes.setup(false))?;
    let seconds = in_session(engine.as_ref(), View::Latest, |session| {
        check_get(session, &data::random_key(run.sizes.get("keys") / 2), shape)?;
        Ok(began.elapsed().as_secs_f64())
    })?;
    run.put("ms", seconds * 1e3);
    Ok(())
}
