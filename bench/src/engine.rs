//! What every engine has to do for the key-value and storage halves: one file each under `engines`, and one line
//! in [`open`].

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::data::{Key, Row};
use crate::engines;

/// How a store is opened: the same for all.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Every commit is on stable storage when it returns; else it is with the operating system, or, where an
    /// engine does not have that, nearer to it than not.
    pub sync: bool,
    /// Bytes of cache.
    pub cache_bytes: usize,
    /// Values are big: engines that keep big values apart do so.
    pub big_values: bool,
    /// How many threads use it, for engines with a cache for each.
    pub threads: usize,
    /// Sessions are asked for [`Session::update`].
    pub updates: bool,
}

/// What a session reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// One snapshot, taken at the beginning.
    Snapshot,
    /// The newest state, again with each call.
    Latest,
}

/// Work in one session.
pub type Work<'a> = &'a mut dyn FnMut(&mut dyn Session) -> Result<()>;

/// An open store, used by any number of threads.
pub trait Engine: Sync {
    /// Runs work in this thread's session.
    fn run(&self, view: View, work: Work<'_>) -> Result<()>;
    /// Brings what was written to its place at rest, durably. Work in the background may go on.
    fn flush(&self) -> Result<()>;
}

/// One thread's access.
pub trait Session {
    /// Looks a key up and shows its value; whether it was there.
    fn get(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool>;
    /// Shows up to `limit` rows from `start` on; how many there were.
    fn scan(&mut self, start: &[u8], limit: usize, seen: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize>;
    /// Writes the rows as one atomic commit, whatever others write.
    fn write(&mut self, rows: &[Row]) -> Result<()>;
    /// In one transaction reads `reads`, which at a serializable level (or by locks, where that is how an engine gets
    /// there) are as read when it commits, and reads, changes and writes `keys`; whether it was committed, and not in
    /// conflict with another. Both ascend and are there.
    fn update(&mut self, reads: &[Key], keys: &[Key], change: &mut dyn FnMut(&mut Vec<u8>)) -> Result<bool>;
    /// [`Session::get`] in a transaction of its own, begun and ended.
    fn get_in_transaction(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool>;
    /// Has updates be serializable, or not; false where the engine has no such choice.
    fn set_serializable(&mut self, _serializable: bool) -> bool {
        false
    }
}

/// Opens the store of an engine, made where there is none.
pub fn open(engine: &str, directory: &Path, setup: &Setup) -> Result<Box<dyn Engine>> {
    std::fs::create_dir_all(directory)?;
    Ok(match engine {
        "cairndb" | "cairndb-ser" | "cairndb-rr" | "cairndb-rc" => {
            Box::new(engines::cairn::Cairn::open(directory, setup, engine)?)
        }
        "cairn-storage" => Box::new(engines::cairn_storage::CairnStorage::open(directory, setup)?),
        #[cfg(feature = "storage")]
        "rocksdb" => Box::new(engines::rocksdb::Rocks::open(directory, setup, false)?),
        #[cfg(feature = "storage")]
        "rocksdb-ptx" => Box::new(engines::rocksdb::Rocks::open(directory, setup, true)?),
        "fjall" => Box::new(engines::fjall::Fjall::open(directory, setup)?),
        "redb" => Box::new(engines::redb::Redb::open(directory, setup)?),
        #[cfg(feature = "storage")]
        "lmdb" => Box::new(engines::lmdb::Lmdb::open(directory, setup)?),
        "sqlite" => Box::new(engines::sqlite::Sqlite::open(directory, setup)?),
        other => bail!("no engine named {other}"),
    })
}

/// Runs work in a session of this thread and gives its result.
pub fn in_session<T>(
    engine: &dyn Engine,
    view: View,
    work: impl FnOnce(&mut dyn Session) -> Result<T>,
) -> Result<T> {
    let (mut work, mut outcome) = (Some(work), None);
    engine.run(view, &mut |session| {
        if let Some(work) = work.take() {
            outcome = Some(work(session)?);
        }
        Ok(())
    })?;
    outcome.context("the engine did not run the work")
}
