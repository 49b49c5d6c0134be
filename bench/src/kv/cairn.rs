//! CairnDB through its public API.

use std::path::Path;

use anyhow::{Result, ensure};
use cairndb::{Database, IsolationLevel, OpenOptions};

use crate::CACHE_BYTES;
use crate::kv::{Engine, Key, Put, Value};

pub struct Cairn(Database);

impl Cairn {
    pub fn open(directory: &Path) -> Result<Self> {
        Ok(Self(Database::open_with(directory.join("cairn"), OpenOptions::new().cache_bytes(CACHE_BYTES))?))
    }
}

impl Engine for Cairn {
    fn write(&self, rows: &mut dyn Iterator<Item = (Key, Value)>) -> Result<()> {
        let transaction = self.0.begin_transaction(IsolationLevel::Snapshot)?;
        for (key, value) in rows {
            transaction.put(key, value)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn get(&self, keys: &[Key]) -> Result<usize> {
        let snapshot = self.0.snapshot()?;
        let mut found = 0;
        for key in keys {
            if let Some(value) = snapshot.get(key)? {
                ensure!(value.len() == 100, "wrong value");
                found += 1;
            }
        }
        Ok(found)
    }

    fn range(&self, starts: &[Key], limit: usize) -> Result<usize> {
        let snapshot = self.0.snapshot()?;
        let mut read = 0;
        for start in starts {
            for row in snapshot.get_range(start.to_vec()..)?.take(limit) {
                read += usize::from(row?.1.len() == 100);
            }
        }
        Ok(read)
    }

    fn writer(&self) -> Result<Put<'_>> {
        Ok(Box::new(|key, value| Ok(self.0.put(key, value).map(drop)?)))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}
