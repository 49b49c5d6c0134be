//! Big values: written in small batches until rest, then read.

use std::time::Instant;

use anyhow::Result;

use super::load::QUIET;
use super::{Run, check_get, filler, in_session, write_all};
use crate::data::{self, Random};
use crate::engine::View;
use crate::meter;

/// Rows of a batch.
const BATCH: u64 = 20;

pub fn big(run: &mut Run<'_>) -> Result<()> {
    let (rows, shape) = (run.sizes.get("big-rows"), run.sizes.shape("big-value"));
    let mut setup = run.sizes.setup(false);
    setup.big_values = true;
    let engine = run.open(&setup)?;
    let engine = engine.as_ref();
    let began = Instant::now();
    in_session(engine, View::Latest, |session| {
        write_all(session, rows, BATCH, filler(data::random_key, shape), |_| Ok(()))
    })?;
    engine.flush()?;
    let settled = meter::settle(QUIET, run.sizes.time("settle"))?;
    run.put("write", rows as f64 / (settled - began).as_secs_f64());
    run.put("size", meter::disk_bytes(run.directory)? as f64 / f64::from(1 << 20));
    let rate = meter::rate(1, run.sizes.time("warm"), run.sizes.time("seconds"), &|_, phase| {
        in_session(engine, View::Snapshot, |session| {
            let (mut random, mut count) = (Random::new(3), 0);
            while phase.next(&mut count) {
                check_get(session, &data::random_key(random.below(rows)), shape)?;
            }
            Ok(count)
        })
    })?;
    run.put("read", rate);
    Ok(())
}
