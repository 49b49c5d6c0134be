//! Loading many rows in batches until the background work has come to rest.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Run, check_sample, filler, in_session, key_of, write_all};
use crate::data::Key;
use crate::engine::View;
use crate::meter;

/// Rest of this length ends the settling; it is not counted.
pub const QUIET: Duration = Duration::from_millis(700);

pub fn load(run: &mut Run<'_>, random: bool) -> Result<()> {
    let (rows, shape, key) = (run.sizes.get("keys"), run.sizes.shape("value"), key_of(random));
    let engine = run.open(&run.sizes.setup(false))?;
    let written = meter::written_bytes()?;
    let began = Instant::now();
    in_session(engine.as_ref(), View::Latest, |session| {
        write_all(session, rows, run.sizes.get("batch"), filler(key, shape), |_| Ok(()))
    })?;
    let accepted = began.elapsed().as_secs_f64();
    engine.flush()?;
    let settled = meter::settle(QUIET, run.sizes.time("settle"))?;
    let (written, size) = (meter::written_bytes()? - written, meter::disk_bytes(run.directory)?);
    in_session(engine.as_ref(), View::Latest, |session| check_sample(session, rows, key, shape))?;
    let user_bytes = rows as f64 * (size_of::<Key>() + shape.bytes) as f64;
    run.put("rate", rows as f64 / (settled - began).as_secs_f64());
    run.put("accepted", rows as f64 / accepted);
    run.put("write_amp", written as f64 / user_bytes);
    run.put("size", size as f64 / f64::from(1 << 20));
    Ok(())
}
