//! CairnDB's storage engine alone, below tables and transactions over them. Sync modes as for `cairn`.

use std::ops::Bound;
use std::path::Path;

use anyhow::{Context, Result};
use cairn_env::Env;
use cairn_storage::{Direction, Error, KeyRange, Options, Snapshot, Store, SyncMode, TxnOptions, WriteBatch};

use crate::data::{Key, Row};
use crate::engine::{Engine, Session, Setup, View, Work};

pub struct CairnStorage(Store);

impl CairnStorage {
    pub fn open(directory: &Path, setup: &Setup) -> Result<Self> {
        let mut options = Options::default();
        options.cache_bytes = Some(setup.cache_bytes);
        options.sync = if setup.sync { SyncMode::Sync } else { SyncMode::Async };
        Ok(Self(Store::open(&Env::os(), &directory.join("store"), options)?))
    }
}

impl Engine for CairnStorage {
    fn run(&self, view: View, work: Work<'_>) -> Result<()> {
        let snapshot = (view == View::Snapshot).then(|| self.0.snapshot());
        work(&mut StorageSession { store: &self.0, snapshot })
    }

    fn flush(&self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

struct StorageSession<'a> {
    store: &'a Store,
    snapshot: Option<Snapshot>,
}

impl Session for StorageSession<'_> {
    fn get(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = match &self.snapshot {
            Some(snapshot) => snapshot.get(key)?,
            None => self.store.get(key)?,
        };
        Ok(value.inspect(|value| seen(value)).is_some())
    }

    fn scan(&mut self, start: &[u8], limit: usize, seen: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let range = KeyRange::new(Bound::Included(start.to_vec().into()), Bound::Unbounded);
        let mut scan = match &self.snapshot {
            Some(snapshot) => snapshot.scan(range, Direction::Forward),
            None => self.store.snapshot().scan(range, Direction::Forward),
        };
        let each = |key: &[u8], value: &[u8]| {
            seen(key, value);
            true
        };
        Ok(scan.next_many(limit, each)?)
    }

    fn write(&mut self, rows: &[Row]) -> Result<()> {
        let mut batch = WriteBatch::new();
        for row in rows {
            match &row.value {
                Some(value) => batch.put(&row.key, value)?,
                None => batch.delete(&row.key)?,
            }
        }
        self.store.write(batch, None)?;
        Ok(())
    }

    fn update(&mut self, reads: &[Key], keys: &[Key], change: &mut dyn FnMut(&mut Vec<u8>)) -> Result<bool> {
        let mut transaction = self.store.begin(TxnOptions::default());
        for key in reads {
            transaction.get(key)?.context("a key is missing")?;
        }
        for key in keys {
            let mut value = transaction.get(key)?.context("a key is missing")?.to_vec();
            change(&mut value);
            transaction.put(key, &value)?;
        }
        match transaction.commit() {
            Ok(_) => Ok(true),
            Err(Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn get_in_transaction(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let transaction = self.store.begin(TxnOptions::default());
        let value = transaction.get(key)?;
        transaction.commit()?;
        Ok(value.inspect(|value| seen(value)).is_some())
    }
}
