//! redb: one table, `Durability::Immediate`.

use std::path::Path;

use anyhow::{Result, ensure};
use redb::{Database, ReadableDatabase, TableDefinition};

use crate::CACHE_BYTES;
use crate::kv::{Engine, Key, Put, Value};

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("kv");

pub struct Redb(Database);

impl Redb {
    pub fn open(directory: &Path) -> Result<Self> {
        Ok(Self(Database::builder().set_cache_size(CACHE_BYTES).create(directory.join("kv.redb"))?))
    }
}

impl Engine for Redb {
    fn write(&self, rows: &mut dyn Iterator<Item = (Key, Value)>) -> Result<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in rows {
                table.insert(&key[..], &value[..])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, keys: &[Key]) -> Result<usize> {
        let transaction = self.0.begin_read()?;
        let table = transaction.open_table(TABLE)?;
        let mut found = 0;
        for key in keys {
            if let Some(value) = table.get(&key[..])? {
                ensure!(value.value().len() == 100, "wrong value");
                found += 1;
            }
        }
        Ok(found)
    }

    fn range(&self, starts: &[Key], limit: usize) -> Result<usize> {
        let transaction = self.0.begin_read()?;
        let table = transaction.open_table(TABLE)?;
        let mut read = 0;
        for start in starts {
            for row in table.range(&start[..]..)?.take(limit) {
                read += usize::from(row?.1.value().len() == 100);
            }
        }
        Ok(read)
    }

    fn writer(&self) -> Result<Put<'_>> {
        Ok(Box::new(|key, value| self.write(&mut std::iter::once((*key, *value)))))
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }
}
