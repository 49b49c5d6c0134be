//! redb: one table. `Durability::Immediate`, or `Durability::None`.

use std::path::Path;

use anyhow::{Context, Result};
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

use crate::data::{Key, Row};
use crate::engine::{Engine, Session, Setup, View, Work};

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("kv");

pub struct Redb {
    database: Database,
    durability: Durability,
}

impl Redb {
    pub fn open(directory: &Path, setup: &Setup) -> Result<Self> {
        let database =
            Database::builder().set_cache_size(setup.cache_bytes).create(directory.join("kv.redb"))?;
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        transaction.commit()?;
        Ok(Self { database, durability: if setup.sync { Durability::Immediate } else { Durability::None } })
    }

    fn begin(&self) -> Result<redb::WriteTransaction> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability)?;
        Ok(transaction)
    }

    fn table(&self) -> Result<Table> {
        Ok(self.database.begin_read()?.open_table(TABLE)?)
    }
}

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

impl Engine for Redb {
    fn run(&self, view: View, work: Work<'_>) -> Result<()> {
        let snapshot = if view == View::Snapshot { Some(self.table()?) } else { None };
        work(&mut RedbSession { redb: self, snapshot })
    }

    fn flush(&self) -> Result<()> {
        // Makes the commits before it durable.
        Ok(self.database.begin_write()?.commit()?)
    }
}

struct RedbSession<'a> {
    redb: &'a Redb,
    snapshot: Option<Table>,
}

fn get_in(table: &Table, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
    Ok(table.get(&key[..])?.inspect(|value| seen(value.value())).is_some())
}

fn scan_in(table: &Table, start: &[u8], limit: usize, seen: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
    let mut read = 0;
    for row in table.range(start..)?.take(limit) {
        let (key, value) = row?;
        seen(key.value(), value.value());
        read += 1;
    }
    Ok(read)
}

impl Session for RedbSession<'_> {
    fn get(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        match &self.snapshot {
            Some(table) => get_in(table, key, seen),
            None => get_in(&self.redb.table()?, key, seen),
        }
    }

    fn scan(&mut self, start: &[u8], limit: usize, seen: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        match &self.snapshot {
            Some(table) => scan_in(table, start, limit, seen),
            None => scan_in(&self.redb.table()?, start, limit, seen),
        }
    }

    fn write(&mut self, rows: &[Row]) -> Result<()> {
        let transaction = self.redb.begin()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for row in rows {
                match &row.value {
                    Some(value) => drop(table.insert(&row.key[..], &value[..])?),
                    None => drop(table.remove(&row.key[..])?),
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn update(&mut self, reads: &[Key], keys: &[Key], change: &mut dyn FnMut(&mut Vec<u8>)) -> Result<bool> {
        let transaction = self.redb.begin()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for key in reads {
                table.get(&key[..])?.context("a key is missing")?;
            }
            for key in keys {
                let mut value = table.get(&key[..])?.context("a key is missing")?.value().to_vec();
                change(&mut value);
                table.insert(&key[..], &value[..])?;
            }
        }
        transaction.commit()?;
        Ok(true)
    }

    fn get_in_transaction(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        get_in(&self.redb.table()?, key, seen)
    }
}
