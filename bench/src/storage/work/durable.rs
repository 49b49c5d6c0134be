//! Single durable puts by several threads, and what the disk can do.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::Result;

use super::{Run, check_get, in_session};
use crate::data::{self, Key, Row};
use crate::engine::View;
use crate::meter;

/// Threads, and the figure's name.
const THREADS: [(usize, &str); 3] = [(1, "put_1"), (8, "put_8"), (32, "put_32")];

pub fn puts(run: &mut Run<'_>) -> Result<()> {
    if run.engine == "bare" {
        return bare(run);
    }
    let shape = run.sizes.shape("value");
    let mut setup = run.sizes.setup(true);
    setup.threads = 32;
    let engine = run.open(&setup)?;
    let engine = engine.as_ref();
    for (round, (threads, figure)) in THREADS.into_iter().enumerate() {
        let base = |thread: usize| (round as u64) << 56 | (thread as u64) << 40;
        let rate =
            meter::rate(threads, run.sizes.time("warm") / 2, run.sizes.time("seconds"), &|thread, phase| {
                in_session(engine, View::Latest, |session| {
                    let (mut i, mut count) = (base(thread), 0);
                    while phase.next(&mut count) {
                        session.write(&[Row { key: data::random_key(i), value: Some(shape.value(i)) }])?;
                        i += 1;
                    }
                    // The first and the last are there.
                    check_get(session, &data::random_key(base(thread)), shape)?;
                    check_get(session, &data::random_key(i - 1), shape)?;
                    Ok(count)
                })
            })?;
        run.put(figure, rate);
    }
    Ok(())
}

/// Appends as many bytes to a file as a log record would have, each followed by `fdatasync`.
fn bare(run: &mut Run<'_>) -> Result<()> {
    std::fs::create_dir_all(run.directory)?;
    let path = run.directory.join("bare");
    let record = vec![7u8; size_of::<Key>() + run.sizes.shape("value").bytes + 24];
    let rate = meter::rate(1, run.sizes.time("warm") / 2, run.sizes.time("seconds"), &|_, phase| {
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        let mut count = 0;
        while phase.next(&mut count) {
            file.write_all(&record)?;
            file.sync_data()?;
        }
        Ok(count)
    })?;
    run.put("put_1", rate);
    Ok(())
}
