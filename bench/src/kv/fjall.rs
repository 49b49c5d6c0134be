//! fjall: one keyspace, `PersistMode::SyncData` with every write.

use std::path::Path;

use anyhow::{Result, ensure};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use crate::CACHE_BYTES;
use crate::kv::{Engine, Key, Put, Value};

pub struct Fjall {
    database: Database,
    keyspace: Keyspace,
}

impl Fjall {
    pub fn open(directory: &Path) -> Result<Self> {
        let database = Database::builder(directory.join("fjall")).cache_size(CACHE_BYTES as u64).open()?;
        let keyspace = database.keyspace("kv", KeyspaceCreateOptions::default)?;
        Ok(Self { database, keyspace })
    }
}

impl Engine for Fjall {
    fn write(&self, rows: &mut dyn Iterator<Item = (Key, Value)>) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, value) in rows {
            batch.insert(&self.keyspace, &key[..], &value[..]);
        }
        Ok(batch.commit()?)
    }

    fn get(&self, keys: &[Key]) -> Result<usize> {
        let snapshot = self.database.snapshot();
        let mut found = 0;
        for key in keys {
            if let Some(value) = snapshot.get(&self.keyspace, key)? {
                ensure!(value.len() == 100, "wrong value");
                found += 1;
            }
        }
        Ok(found)
    }

    fn range(&self, starts: &[Key], limit: usize) -> Result<usize> {
        let snapshot = self.database.snapshot();
        let mut read = 0;
        for start in starts {
            for row in snapshot.range(&self.keyspace, &start[..]..).take(limit) {
                read += usize::from(row.value()?.len() == 100);
            }
        }
        Ok(read)
    }

    fn writer(&self) -> Result<Put<'_>> {
        Ok(Box::new(|key, value| self.write(&mut std::iter::once((*key, *value)))))
    }

    fn settle(&self) -> Result<()> {
        self.keyspace.rotate_memtable_and_wait()?;
        while self.database.active_compactions() > 0 {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Ok(())
    }
}
