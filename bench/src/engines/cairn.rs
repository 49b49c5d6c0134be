//! CairnDB through its public API, updates at one of its isolation levels. `SyncMode::Sync`, or `SyncMode::Async` where
//! no fsync is asked for.

use std::path::Path;

use anyhow::Result;
use cairndb::{Database, IsolationLevel, OpenOptions, Snapshot, SyncMode, WriteBatch};

use crate::data::{Key, Row};
use crate::engine::{Engine, Session, Setup, View, Work};

pub struct Cairn {
    database: Database,
    level: IsolationLevel,
}

impl Cairn {
    /// `name` says at which level updates run: `cairndb` alone is Snapshot.
    pub fn open(directory: &Path, setup: &Setup, name: &str) -> Result<Self> {
        let level = match name {
            "cairndb-ser" => IsolationLevel::Serializable,
            "cairndb-rr" => IsolationLevel::RepeatableRead,
            "cairndb-rc" => IsolationLevel::ReadCommitted,
            _ => IsolationLevel::Snapshot,
        };
        let sync = if setup.sync { SyncMode::Sync } else { SyncMode::Async };
        let options = OpenOptions::new().cache_bytes(setup.cache_bytes).sync(sync);
        Ok(Self { database: Database::open_with(directory.join("cairn"), options)?, level })
    }
}

impl Engine for Cairn {
    fn run(&self, view: View, work: Work<'_>) -> Result<()> {
        let snapshot = if view == View::Snapshot { Some(self.database.snapshot()?) } else { None };
        work(&mut CairnSession { database: &self.database, level: self.level, snapshot })
    }

    fn flush(&self) -> Result<()> {
        Ok(self.database.flush()?)
    }
}

struct CairnSession<'a> {
    database: &'a Database,
    level: IsolationLevel,
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

    fn update(&mut self, reads: &[Key], keys: &[Key], change: &mut dyn FnMut(&mut Vec<u8>)) -> Result<bool> {
        match update(self.database, self.level, reads, keys, change) {
            Ok(()) => Ok(true),
            Err(error) if error.is_retryable() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn get_in_transaction(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let transaction = self.database.begin_transaction(self.level)?;
        let value = transaction.get(key)?;
        transaction.commit()?;
        Ok(value.inspect(|value| seen(value)).is_some())
    }

    fn set_serializable(&mut self, serializable: bool) -> bool {
        self.level = if serializable { IsolationLevel::Serializable } else { IsolationLevel::Snapshot };
        true
    }
}

/// At the levels that wait, what is written is locked before it is read.
fn update(
    database: &Database,
    level: IsolationLevel,
    reads: &[Key],
    keys: &[Key],
    change: &mut dyn FnMut(&mut Vec<u8>),
) -> cairndb::Result<()> {
    let locks = matches!(level, IsolationLevel::ReadCommitted | IsolationLevel::RepeatableRead);
    let transaction = database.begin_transaction(level)?;
    for key in reads {
        transaction.get(key)?.expect("every key is there");
    }
    for key in keys {
        let value = if locks { transaction.get_for_update(key)? } else { transaction.get(key)? };
        let mut value = value.expect("every key is there").to_vec();
        change(&mut value);
        transaction.put(key, value)?;
    }
    transaction.commit()?;
    Ok(())
}
