//! Transactions that read and write four random keys. Every commit adds one to the counters of its values, so that
//! a lost update is found at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};

use super::{Run, check_scan, filler, in_session, write_all};
use crate::data::{self, Key, Random};
use crate::engine::View;
use crate::meter;

/// Keys of a transaction.
const KEYS: usize = 4;

pub fn prepare(run: &mut Run<'_>) -> Result<()> {
    let (rows, shape) = ((run.sizes.get("keys") / 5).max(100), run.sizes.shape("value"));
    let engine = run.open(&run.sizes.setup(false))?;
    in_session(engine.as_ref(), View::Latest, |session| {
        write_all(session, rows, run.sizes.get("batch"), filler(data::random_key, shape), |_| Ok(()))
    })?;
    engine.flush()?;
    meter::settle(super::load::QUIET, run.sizes.time("settle"))?;
    Ok(())
}

pub fn update(run: &mut Run<'_>) -> Result<()> {
    let (rows, shape) = ((run.sizes.get("keys") / 5).max(100), run.sizes.shape("value"));
    let mut setup = run.sizes.setup(false);
    setup.threads = 2;
    let count_all = |run: &Run<'_>| -> Result<u64> {
        let engine = run.open(&run.sizes.setup(false))?;
        let (found, counters) =
            in_session(engine.as_ref(), View::Snapshot, |session| check_scan(session, shape))?;
        ensure!(found == rows, "{found} of {rows} rows are there");
        Ok(counters)
    };
    let before = count_all(run)?;
    let committed = AtomicU64::new(0);
    setup.updates = true;
    let engine = run.open(&setup)?;
    for (figure, threads) in [("rmw_1", 1), ("rmw_2", 2)] {
        let conflicts = AtomicU64::new(0);
        let rate =
            meter::rate(threads, run.sizes.time("warm"), run.sizes.time("seconds"), &|thread, phase| {
                in_session(engine.as_ref(), View::Latest, |session| {
                    let seed = run.sizes.get("run") << 8 | (threads * 4 + thread) as u64;
                    let (mut random, mut count, mut done) = (Random::new(seed), 0, 0u64);
                    while phase.next(&mut count) {
                        let keys = some_keys(&mut random, rows);
                        while !session.update(&keys, &mut |value| data::count_up(value))? {
                            conflicts.fetch_add(1, Ordering::Relaxed);
                        }
                        done += 1;
                    }
                    committed.fetch_add(done, Ordering::Relaxed);
                    Ok(count)
                })
            })?;
        run.put(figure, rate);
        run.put(&format!("{figure}_conflicts"), conflicts.load(Ordering::Relaxed) as f64);
    }
    drop(engine);
    let counted = count_all(run)? - before;
    let expected = committed.load(Ordering::Relaxed) * KEYS as u64;
    if counted != expected {
        run.figures.clear();
    }
    ensure!(counted == expected, "{counted} updates are there, {expected} were committed");
    Ok(())
}

/// Different keys, ascending: no two transactions wait for each other.
fn some_keys(random: &mut Random, rows: u64) -> [Key; KEYS] {
    loop {
        let mut keys = [(); KEYS].map(|()| data::random_key(random.below(rows)));
        keys.sort_unstable();
        if keys.windows(2).all(|pair| pair[0] != pair[1]) {
            return keys;
        }
    }
}
