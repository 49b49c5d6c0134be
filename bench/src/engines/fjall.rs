//! fjall: one keyspace. `PersistMode::SyncData` with every commit, or `Buffer`, its default: with the operating system.
//! Updates: `OptimisticTxDatabase`.

use std::path::Path;

use anyhow::{Context, Result};
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OptimisticTxDatabase,
    OptimisticTxKeyspace, PersistMode, Readable, Snapshot,
};

use crate::data::{Key, Row};
use crate::engine::{Engine, Session, Setup, View, Work};

pub struct Fjall {
    database: Database,
    keyspace: Keyspace,
    optimistic: Option<(OptimisticTxDatabase, OptimisticTxKeyspace)>,
    durability: PersistMode,
}

impl Fjall {
    pub fn open(directory: &Path, setup: &Setup) -> Result<Self> {
        let path = directory.join("fjall");
        let durability = if setup.sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let cache = setup.cache_bytes as u64;
        let options = || {
            let separation = setup.big_values.then(KvSeparationOptions::default);
            KeyspaceCreateOptions::default().with_kv_separation(separation)
        };
        if setup.updates {
            let optimistic = OptimisticTxDatabase::builder(path).cache_size(cache).open()?;
            let keyspace = optimistic.keyspace("kv", options)?;
            return Ok(Self {
                database: optimistic.inner().clone(),
                keyspace: keyspace.inner().clone(),
                optimistic: Some((optimistic, keyspace)),
                durability,
            });
        }
        let database = Database::builder(path).cache_size(cache).open()?;
        let keyspace = database.keyspace("kv", options)?;
        Ok(Self { database, keyspace, optimistic: None, durability })
    }
}

impl Engine for Fjall {
    fn run(&self, view: View, work: Work<'_>) -> Result<()> {
        let snapshot = (view == View::Snapshot).then(|| self.database.snapshot());
        work(&mut FjallSession { fjall: self, snapshot })
    }

    fn flush(&self) -> Result<()> {
        Ok(self.keyspace.rotate_memtable_and_wait()?)
    }
}

struct FjallSession<'a> {
    fjall: &'a Fjall,
    snapshot: Option<Snapshot>,
}

impl Session for FjallSession<'_> {
    fn get(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = match &self.snapshot {
            Some(snapshot) => snapshot.get(&self.fjall.keyspace, key)?,
            None => self.fjall.keyspace.get(key)?,
        };
        Ok(value.inspect(|value| seen(value)).is_some())
    }

    fn scan(&mut self, start: &[u8], limit: usize, seen: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let rows = match &self.snapshot {
            Some(snapshot) => snapshot.range(&self.fjall.keyspace, start..),
            None => self.fjall.keyspace.range(start..),
        };
        let mut read = 0;
        for row in rows.take(limit) {
            let (key, value) = row.into_inner()?;
            seen(&key, &value);
            read += 1;
        }
        Ok(read)
    }

    fn write(&mut self, rows: &[Row]) -> Result<()> {
        let keyspace = &self.fjall.keyspace;
        if let ([Row { key, value: Some(value) }], PersistMode::Buffer) = (rows, self.fjall.durability) {
            return Ok(keyspace.insert(&key[..], &value[..])?);
        }
        let mut batch = self.fjall.database.batch().durability(Some(self.fjall.durability));
        for row in rows {
            match &row.value {
                Some(value) => batch.insert(keyspace, &row.key[..], &value[..]),
                None => batch.remove(keyspace, &row.key[..]),
            }
        }
        Ok(batch.commit()?)
    }

    fn update(&mut self, reads: &[Key], keys: &[Key], change: &mut dyn FnMut(&mut Vec<u8>)) -> Result<bool> {
        let (database, keyspace) = self.fjall.optimistic.as_ref().context("not opened for updates")?;
        let mut transaction = database.write_tx()?.durability(Some(self.fjall.durability));
        for key in reads {
            transaction.get(keyspace, key)?.context("a key is missing")?;
        }
        for key in keys {
            let mut value = transaction.get(keyspace, key)?.context("a key is missing")?.to_vec();
            change(&mut value);
            transaction.insert(keyspace, &key[..], value);
        }
        Ok(transaction.commit()?.is_ok())
    }

    fn get_in_transaction(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.fjall.database.snapshot().get(&self.fjall.keyspace, key)?;
        Ok(value.inspect(|value| seen(value)).is_some())
    }
}
