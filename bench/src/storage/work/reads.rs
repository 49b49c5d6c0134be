//! Reading a loaded store: known keys, absent keys, ranges, everything; and opening it.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Run, check_get, check_scan, in_session};
use crate::data::{self, Random};
use crate::engine::View;
use crate::meter;

/// Rows of a range.
const RANGE: usize = 100;

pub fn read(run: &mut Run<'_>) -> Result<()> {
    let (rows, shape) = (run.sizes.get("keys"), run.sizes.shape("value"));
    let (warm, time) = (run.sizes.time("warm"), run.sizes.time("seconds"));
    let mut setup = run.sizes.setup(false);
    setup.threads = 2;
    meter::warm_files(run.directory)?;
    let engine = run.open(&setup)?;
    let engine = engine.as_ref();
    for (figure, threads) in [("get_1", 1), ("get_2", 2)] {
        let rate = meter::rate(threads, warm, time, &|thread, phase| {
            in_session(engine, View::Snapshot, |session| {
                let (mut random, mut count) = (Random::new(thread as u64), 0);
                while phase.next(&mut count) {
                    check_get(session, &data::random_key(random.below(rows)), shape)?;
                }
                Ok(count)
            })
        })?;
        run.put(figure, rate);
    }
    let rate = meter::rate(1, warm, time, &|_, phase| {
        in_session(engine, View::Snapshot, |session| {
            let (mut random, mut count) = (Random::new(7), 0);
            while phase.next(&mut count) {
                let absent = data::random_key(rows + random.below(1 << 40));
                ensure!(!session.get(&absent, &mut |_| {})?, "a key was found that was never written");
            }
            Ok(count)
        })
    })?;
    run.put("absent", rate);
    let rate = meter::rate(1, warm, time, &|_, phase| {
        in_session(engine, View::Snapshot, |session| {
            let (mut random, mut count, mut short) = (Random::new(8), 0, 0u64);
            let mut done = 0u64;
            while phase.next(&mut count) {
                let start = data::random_key(random.below(rows));
                let (mut first, mut bytes) = (None, 0);
                let read = session.scan(&start, RANGE, &mut |key, value| {
                    if first.is_none() {
                        first = Some(data::number(key));
                    }
                    bytes += value.len();
                })?;
                ensure!(first == Some(data::number(&start)), "a range begins elsewhere");
                ensure!(bytes == read * shape.bytes, "a range has wrong values");
                short += u64::from(read != RANGE);
                done += 1;
            }
            ensure!(short <= 2 + done * 2 * RANGE as u64 / rows.max(1), "{short} of {done} ranges are short");
            Ok(count)
        })
    })?;
    run.put("range", rate);
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
