//! RocksDB: one column family. `WriteOptions::sync`, or the log with the operating system.
//! Updates: `OptimisticTransactionDB`, or `TransactionDB`, with `get_for_update`.
//!
//! What differs from its defaults, to its favour: the cache (its default is 8 MiB), bloom filters of 10 bits (none),
//! LZ4 (Snappy), dynamic level sizes (its default since 8.4), BlobDB from 4 KiB on where values are big.

use std::path::Path;

use anyhow::{Context, Result, bail};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBPinnableSlice, ErrorKind, OptimisticTransactionDB,
    OptimisticTransactionOptions, Options, ReadOptions, SnapshotWithThreadMode, Transaction, TransactionDB,
    TransactionDBOptions, TransactionOptions, WriteBatch, WriteOptions,
};

use crate::data::{Key, Row};
use crate::engine::{Engine, Session, Setup, View, Work};

pub struct Rocks {
    store: Store,
    sync: bool,
}

enum Store {
    Plain(DB),
    Optimistic(OptimisticTransactionDB),
    Pessimistic(TransactionDB),
}

fn options(setup: &Setup) -> Result<Options> {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(setup.cache_bytes)?);
    table.set_bloom_filter(10.0, false);
    table.set_format_version(5);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    if setup.big_values {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(4096);
        options.set_blob_compression_type(DBCompressionType::Lz4);
        options.set_enable_blob_gc(true);
    }
    Ok(options)
}

impl Rocks {
    pub fn open(directory: &Path, setup: &Setup, pessimistic: bool) -> Result<Self> {
        let (path, options) = (directory.join("rocksdb"), options(setup)?);
        let store = match (setup.updates, pessimistic) {
            (false, _) => Store::Plain(DB::open(&options, path)?),
            (true, false) => Store::Optimistic(OptimisticTransactionDB::open(&options, path)?),
            (true, true) => {
                Store::Pessimistic(TransactionDB::open(&options, &TransactionDBOptions::default(), path)?)
            }
        };
        Ok(Self { store, sync: setup.sync })
    }

    fn write_options(&self) -> WriteOptions {
        let mut options = WriteOptions::default();
        options.set_sync(self.sync);
        options
    }
}

impl Engine for Rocks {
    fn run(&self, view: View, work: Work<'_>) -> Result<()> {
        let options = self.write_options();
        let database = match &self.store {
            Store::Plain(database) => database,
            Store::Optimistic(_) | Store::Pessimistic(_) => {
                return work(&mut Updates { rocks: self, options });
            }
        };
        let snapshot = (view == View::Snapshot).then(|| database.snapshot());
        let gets = read_options(snapshot.as_ref());
        work(&mut RocksSession { database, snapshot: snapshot.as_ref(), gets, options })
    }

    fn flush(&self) -> Result<()> {
        match &self.store {
            Store::Plain(database) => Ok(database.flush()?),
            _ => bail!("a store for updates is not flushed"),
        }
    }
}

/// The version of RocksDB, which its C interface does not tell, but every store does.
pub fn version() -> Option<String> {
    let directory = std::env::temp_dir().join(format!("cairn-bench-version-{}", std::process::id()));
    drop(DB::open_default(&directory).ok()?);
    let texts = std::fs::read_dir(&directory)
        .ok()?
        .filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
    let line = |text: String| {
        text.lines().find_map(|line| line.trim().strip_prefix("rocksdb_version=").map(str::to_owned))
    };
    let version = texts.filter_map(line).next();
    let _ = std::fs::remove_dir_all(&directory);
    version
}

struct RocksSession<'a> {
    database: &'a DB,
    snapshot: Option<&'a SnapshotWithThreadMode<'a, DB>>,
    gets: ReadOptions,
    options: WriteOptions,
}

fn read_options(snapshot: Option<&SnapshotWithThreadMode<'_, DB>>) -> ReadOptions {
    let mut options = ReadOptions::default();
    if let Some(snapshot) = snapshot {
        options.set_snapshot(snapshot);
    }
    options
}

impl Session for RocksSession<'_> {
    fn get(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.database.get_pinned_opt(key, &self.gets)?;
        Ok(value.inspect(|value| seen(value)).is_some())
    }

    fn scan(&mut self, start: &[u8], limit: usize, seen: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let mut rows = self.database.raw_iterator_opt(read_options(self.snapshot));
        rows.seek(start);
        let mut read = 0;
        while read < limit
            && let Some((key, value)) = rows.item()
        {
            seen(key, value);
            read += 1;
            rows.next();
        }
        rows.status()?;
        Ok(read)
    }

    fn write(&mut self, rows: &[Row]) -> Result<()> {
        if let [Row { key, value: Some(value) }] = rows {
            return Ok(self.database.put_opt(key, value, &self.options)?);
        }
        let mut batch = WriteBatch::default();
        for row in rows {
            match &row.value {
                Some(value) => batch.put(row.key, value),
                None => batch.delete(row.key),
            }
        }
        Ok(self.database.write_opt(batch, &self.options)?)
    }

    fn update(&mut self, _: &[Key], _: &[Key], _: &mut dyn FnMut(&mut Vec<u8>)) -> Result<bool> {
        bail!("not opened for updates")
    }

    fn get_in_transaction(&mut self, _: &Key, _: &mut dyn FnMut(&[u8])) -> Result<bool> {
        bail!("not opened for updates")
    }
}

struct Updates<'a> {
    rocks: &'a Rocks,
    options: WriteOptions,
}

fn update_in<D>(
    transaction: &Transaction<'_, D>,
    reads: &[Key],
    keys: &[Key],
    change: &mut dyn FnMut(&mut Vec<u8>),
) -> Result<(), Failure> {
    for key in reads {
        // What is read plainly may have changed when it commits.
        let value: Option<DBPinnableSlice<'_>> = transaction.get_pinned_for_update(key, true)?;
        value.ok_or(Failure::Missing)?;
    }
    for key in keys {
        let value: Option<DBPinnableSlice<'_>> = transaction.get_pinned_for_update(key, true)?;
        let mut value = value.ok_or(Failure::Missing)?.to_vec();
        change(&mut value);
        transaction.put(key, value)?;
    }
    Ok(())
}

fn get_and_commit<D>(
    transaction: Transaction<'_, D>,
    key: &Key,
    seen: &mut dyn FnMut(&[u8]),
) -> Result<bool, rocksdb::Error> {
    let found = transaction.get_pinned(key)?.inspect(|value| seen(value)).is_some();
    transaction.commit()?;
    Ok(found)
}

enum Failure {
    Missing,
    Rocks(rocksdb::Error),
}

impl From<rocksdb::Error> for Failure {
    fn from(error: rocksdb::Error) -> Self {
        Self::Rocks(error)
    }
}

impl Session for Updates<'_> {
    fn get(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = match &self.rocks.store {
            Store::Plain(_) => return None.context("not opened for updates"),
            Store::Optimistic(database) => database.get_pinned(key)?,
            Store::Pessimistic(database) => database.get_pinned(key)?,
        };
        Ok(value.inspect(|value| seen(value)).is_some())
    }

    fn scan(&mut self, _: &[u8], _: usize, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        bail!("opened for updates only")
    }

    fn write(&mut self, rows: &[Row]) -> Result<()> {
        for row in rows {
            let value = row.value.as_ref().context("opened for updates only")?;
            match &self.rocks.store {
                Store::Plain(_) => return None.context("not opened for updates"),
                Store::Optimistic(database) => database.put_opt(row.key, value, &self.options)?,
                Store::Pessimistic(database) => database.put_opt(row.key, value, &self.options)?,
            }
        }
        Ok(())
    }

    fn update(&mut self, reads: &[Key], keys: &[Key], change: &mut dyn FnMut(&mut Vec<u8>)) -> Result<bool> {
        let outcome = match &self.rocks.store {
            Store::Plain(_) => return None.context("not opened for updates"),
            Store::Optimistic(database) => {
                let transaction =
                    database.transaction_opt(&self.options, &OptimisticTransactionOptions::default());
                update_in(&transaction, reads, keys, change).and_then(|()| Ok(transaction.commit()?))
            }
            Store::Pessimistic(database) => {
                let transaction = database.transaction_opt(&self.options, &TransactionOptions::default());
                update_in(&transaction, reads, keys, change).and_then(|()| Ok(transaction.commit()?))
            }
        };
        match outcome {
            Ok(()) => Ok(true),
            Err(Failure::Missing) => bail!("a key is missing"),
            Err(Failure::Rocks(error)) => match error.kind() {
                ErrorKind::Busy | ErrorKind::TryAgain | ErrorKind::TimedOut => Ok(false),
                _ => Err(error.into()),
            },
        }
    }

    fn get_in_transaction(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        match &self.rocks.store {
            Store::Plain(_) => None.context("not opened for updates"),
            Store::Optimistic(database) => {
                let options = OptimisticTransactionOptions::default();
                Ok(get_and_commit(database.transaction_opt(&self.options, &options), key, seen)?)
            }
            Store::Pessimistic(database) => {
                let options = TransactionOptions::default();
                Ok(get_and_commit(database.transaction_opt(&self.options, &options), key, seen)?)
            }
        }
    }
}
