//! Inserting rows into an empty store, in one batch or several. Rows are made before the clock starts.

use std::time::Instant;

use anyhow::Result;

use super::{Row, Run, check_sample, in_session, key_of};
use crate::engine::View;

pub fn insert(run: &mut Run<'_>, one: bool, random: bool) -> Result<()> {
    let (rows, shape, key) = (run.sizes.get("bulk"), run.sizes.shape("value"), key_of(random));
    let all: Vec<Row> = (0..rows).map(|i| Row { key: key(i), value: Some(shape.value(i)) }).collect();
    let batch = if one { rows } else { run.sizes.get("batch") }.max(1);
    let engine = run.open(&run.sizes.setup(false))?;
    let seconds = in_session(engine.as_ref(), View::Latest, |session| {
        let began = Instant::now();
        for rows in all.chunks(batch as usize) {
            session.write(rows)?;
        }
        let seconds = began.elapsed().as_secs_f64();
        check_sample(session, rows, key, shape)?;
        Ok(seconds)
    })?;
    run.put("rate", rows as f64 / seconds);
    Ok(())
}
