//! CairnDB through its public API. `SyncMode::Sync`, or `SyncMode::Async` where no fsync is asked for.

use std::path::Path;

use anyhow::{Context, Result};
use cairndb::{Database, IsolationLevel, OpenOptions, Snapshot, SyncMode, WriteBatch};

use crate::data::{Key, Row};
use crate::engine::{Engine, Session, Setup, View, Work};

pub struct Cairn(Database);

impl Cairn {
    pub fn open(directory: &Path, setup: &Setup) -> Result<Self> {
        let sync = if setup.sync { SyncMode::Sync } else { SyncMode::Async };
        let options = OpenOptions::new().cache_bytes(setup.cache_bytes).sync(sync);
        Ok(Self(Database::open_with(directory.join("cairn"), options)?))
    }
}

impl Engine for Cairn {
    fn run(&self, view: View, work: Work<'_>) -> Result<()> {
        let snapshot = if view == View::Snapshot { Some(self.0.snapshot()?) } else { None };
        work(&mut CairnSession { database: &self.0, snapshot })
    }

    fn flush(&self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

struct CairnSession<'a> {
    database: &'a Database,
    snapshot: Option<Snapshot>,
}

impl Session for CairnSession<'_> {
    fn get(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = match &self.snapshot {
            Some(snapshot) => snapshot.get(key)?,
            None => self.database.get(key)?,
        };
        Ok(value.inspect(|value| seen(value)).is_some())
    }

    fn scan(&mut self, start: &[u8], limit: usize, seen: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let mut rows = match &self.snapshot {
            Some(snapshot) => snapshot.get_range(start.to_vec()..)?,
            None => self.database.get_range(start.to_vec()..)?,
        };
        let mut read = 0;
        while read < limit
            && let Some((key, value)) = rows.next_entry()?
        {
            seen(key, value);
            read += 1;
        }
        Ok(read)
    }

    fn write(&mut self, rows: &[Row]) -> Result<()> {
        if let [Row { key, value: Some(value) }] = rows {
            return Ok(self.database.put(key, value)?);
        }
        let mut batch = WriteBatch::new();
        for row in rows {
            match &row.value {
                Some(value) => batch.put(row.key, value)?,
                None => batch.delete(row.key)?,
            }
        }
        self.database.write(batch)?;
        Ok(())
    }

    fn update(&mut self, keys: &[Key], change: &mut dyn FnMut(&mut Vec<u8>)) -> Result<bool> {
        let transaction = self.database.begin_transaction(IsolationLevel::Snapshot)?;
        for key in keys {
            let mut value = transaction.get(key)?.context("a key is missing")?.to_vec();
            change(&mut value);
            transaction.put(key, value)?;
        }
        match transaction.commit() {
            Ok(_) => Ok(true),
            Err(error) if error.is_retryable() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
