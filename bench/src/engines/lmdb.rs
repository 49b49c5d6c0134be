//! LMDB through heed: the unnamed database. Its default, or `MDB_NOSYNC` where no fsync is asked for.

use std::ops::Bound;
use std::path::Path;

use anyhow::{Context, Result};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, WithoutTls};

use crate::data::{Key, Row};
use crate::engine::{Engine, Session, Setup, View, Work};

/// Address space, not memory and not disk.
const MAP_BYTES: usize = 256 << 30;

type Table = Database<'static, Bytes, Bytes>;

pub struct Lmdb {
    environment: Env<WithoutTls>,
    table: Table,
}

impl Lmdb {
    pub fn open(directory: &Path, setup: &Setup) -> Result<Self> {
        let path = directory.join("lmdb");
        std::fs::create_dir_all(&path)?;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_BYTES).max_readers(64);
        // SAFETY: no other process or mapping touches the directory; without syncs only a crash of the machine
        // could leave a torn file, and the directory does not outlive the run.
        let environment = unsafe {
            if !setup.sync {
                options.flags(EnvFlags::NO_SYNC);
            }
            options.open(&path)?
        };
        let transaction = environment.write_txn()?;
        let table = environment
            .create_databases_and_commit(transaction, |opener, transaction| {
                opener.create_database::<Bytes, Bytes>(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
            })?
            .unwrap_commit();
        Ok(Self { environment, table })
    }
}

impl Engine for Lmdb {
    fn run(&self, view: View, work: Work<'_>) -> Result<()> {
        let snapshot = if view == View::Snapshot { Some(self.environment.read_txn()?) } else { None };
        work(&mut LmdbSession { lmdb: self, snapshot })
    }

    fn flush(&self) -> Result<()> {
        Ok(self.environment.force_sync()?)
    }
}

struct LmdbSession<'a> {
    lmdb: &'a Lmdb,
    snapshot: Option<RoTxn<'a, WithoutTls>>,
}

impl LmdbSession<'_> {
    fn scan_in(
        &self,
        transaction: &RoTxn<'_, WithoutTls>,
        start: &[u8],
        limit: usize,
        seen: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        let range = (Bound::Included(start), Bound::Unbounded);
        let mut read = 0;
        for row in self.lmdb.table.range(transaction, &range)?.take(limit) {
            let (key, value) = row?;
            seen(key, value);
            read += 1;
        }
        Ok(read)
    }
}

impl Session for LmdbSession<'_> {
    fn get(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let table = &self.lmdb.table;
        Ok(match &self.snapshot {
            Some(transaction) => table.get(transaction, key)?.inspect(|value| seen(value)).is_some(),
            None => {
                let transaction = self.lmdb.environment.read_txn()?;
                table.get(&transaction, key)?.inspect(|value| seen(value)).is_some()
            }
        })
    }

    fn scan(&mut self, start: &[u8], limit: usize, seen: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        // LMDB refuses an empty key.
        let start = if start.is_empty() { &[0][..] } else { start };
        match &self.snapshot {
            Some(transaction) => self.scan_in(transaction, start, limit, seen),
            None => self.scan_in(&self.lmdb.environment.read_txn()?, start, limit, seen),
        }
    }

    fn write(&mut self, rows: &[Row]) -> Result<()> {
        let mut transaction = self.lmdb.environment.write_txn()?;
        for row in rows {
            match &row.value {
                Some(value) => self.lmdb.table.put(&mut transaction, &row.key, value)?,
                None => drop(self.lmdb.table.delete(&mut transaction, &row.key)?),
            }
        }
        Ok(transaction.commit()?)
    }

    fn update(&mut self, reads: &[Key], keys: &[Key], change: &mut dyn FnMut(&mut Vec<u8>)) -> Result<bool> {
        let table = &self.lmdb.table;
        let mut transaction = self.lmdb.environment.write_txn()?;
        for key in reads {
            table.get(&transaction, key)?.context("a key is missing")?;
        }
        for key in keys {
            let mut value = table.get(&transaction, key)?.context("a key is missing")?.to_vec();
            change(&mut value);
            table.put(&mut transaction, key, &value)?;
        }
        transaction.commit()?;
        Ok(true)
    }

    fn get_in_transaction(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let transaction = self.lmdb.environment.read_txn()?;
        Ok(self.lmdb.table.get(&transaction, key)?.inspect(|value| seen(value)).is_some())
    }
}
