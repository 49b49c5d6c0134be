//! Opening a store whose process was killed while it loaded. The loading process says in a file how many rows were
//! acknowledged; all of them have to be there.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use super::{Run, Setup, check_get, filler, in_session, write_all};
use crate::data::{self, Row};
use crate::engine::View;
use crate::meter;

fn progress_path(directory: &Path) -> PathBuf {
    directory.join("acknowledged")
}

/// Rows acknowledged so far.
pub fn progress_of(directory: &Path) -> u64 {
    let bytes = std::fs::read(progress_path(directory)).unwrap_or_default();
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// redb loses on a kill what was not committed durably: there a commit is durable.
fn setup(run: &Run<'_>) -> Setup {
    run.sizes.setup(run.engine == "redb")
}

/// Loads until it is killed.
pub fn load(run: &mut Run<'_>) -> Result<()> {
    let engine = run.open(&setup(run))?;
    let progress = File::create(progress_path(run.directory))?;
    in_session(engine.as_ref(), View::Latest, |session| {
        let filler = filler(data::random_key, run.sizes.shape("value"));
        write_all(session, u64::MAX, run.sizes.get("batch"), filler, |written| {
            progress.write_all_at(&written.to_le_bytes(), 0).context("writing the progress")
        })
    })
}

/// Opens, reads and writes; the time until both were possible.
pub fn recover(run: &mut Run<'_>) -> Result<()> {
    let (rows, shape) = (progress_of(run.directory), run.sizes.shape("value"));
    let log_bytes = meter::length_of(run.directory, log_suffixes(run.engine))?;
    let began = Instant::now();
    let engine = run.open(&setup(run))?;
    in_session(engine.as_ref(), View::Latest, |session| {
        let new = 1 << 50;
        check_get(session, &data::random_key(0), shape)?;
        session.write(&[Row { key: data::random_key(new), value: Some(shape.value(new)) }])?;
        let milliseconds = began.elapsed().as_secs_f64() * 1e3;
        for i in (0..rows).step_by(7).chain([rows - 1]) {
            check_get(session, &data::random_key(i), shape)?;
        }
        run.figures.insert("ms".to_owned(), milliseconds);
        if log_bytes > 0 {
            run.figures.insert("log".to_owned(), log_bytes as f64 / f64::from(1 << 20));
            run.figures.insert("ms_per_64".to_owned(), milliseconds * f64::from(64 << 20) / log_bytes as f64);
        }
        Ok(())
    })
}

/// The files that are an engine's write-ahead log, by the end of their names; none where it has none.
fn log_suffixes(engine: &str) -> &'static [&'static str] {
    match engine {
        "cairndb" | "cairn-storage" => &[".wal"],
        #[cfg(feature = "storage")]
        "rocksdb" => &[".log"],
        "fjall" => &[".jnl"],
        "sqlite" => &["-wal"],
        _ => &[],
    }
}
