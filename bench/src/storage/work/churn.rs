//! Overwriting few keys often and deleting them: the space that is left when nobody asks for it back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Run, check_scan, in_session, write_all};
use crate::data::{self, Key, Random};
use crate::engine::{Engine, View};
use crate::meter;

/// Rest that ends the waiting: engines may wait some seconds themselves before they tidy up.
const QUIET: Duration = Duration::from_secs(6);

pub fn churn(run: &mut Run<'_>) -> Result<()> {
    let (writes, shape) = (run.sizes.get("keys"), run.sizes.shape("value"));
    let (keys, batch) = ((writes / 5).max(1), run.sizes.get("batch"));
    let wait = run.sizes.time("settle").min(Duration::from_secs(30));
    let engine = run.open(&run.sizes.setup(false))?;
    let engine = engine.as_ref();
    let live = keys as f64 * (size_of::<Key>() + shape.bytes) as f64;
    let began = Instant::now();
    in_session(engine, View::Latest, |session| {
        let mut random = Random::new(5);
        write_all(
            session,
            keys + writes,
            batch,
            |i, row| {
                let number = if i < keys { i } else { random.below(keys) };
                row.key = data::random_key(number);
                shape.fill(number, i, row.value.get_or_insert_default());
            },
            |_| Ok(()),
        )
    })?;
    let seconds = began.elapsed().as_secs_f64();
    rest(run, engine, wait)?;
    let size = meter::disk_bytes(run.directory)?;
    in_session(engine, View::Latest, |session| {
        let (found, _) = check_scan(session, shape)?;
        ensure!(found == keys, "{found} of {keys} rows are there");
        let delete = |i, row: &mut super::Row| {
            row.key = data::random_key(i);
            row.value = None;
        };
        write_all(session, keys, batch, delete, |_| Ok(()))
    })?;
    rest(run, engine, wait)?;
    let deleted = meter::disk_bytes(run.directory)?;
    let left = in_session(engine, View::Latest, |session| session.scan(&[], usize::MAX, &mut |_, _| {}))?;
    ensure!(left == 0, "{left} rows are left");
    run.put("rate", (keys + writes) as f64 / seconds);
    run.put("size", size as f64 / live);
    run.put("deleted", deleted as f64 / live);
    Ok(())
}

/// redb has nothing on the disk before a durable commit; the others get no help.
fn rest(run: &Run<'_>, engine: &dyn Engine, wait: Duration) -> Result<()> {
    if run.engine == "redb" {
        engine.flush()?;
    }
    meter::settle(QUIET, wait).map(drop)
}
