//! SQLite: a table without row ids, WAL, `synchronous = FULL`.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Result, ensure};
use rusqlite::Connection;

use crate::CACHE_BYTES;
use crate::kv::{Engine, Key, Put, Value};

pub struct Sqlite {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// A connection with the settings that every measurement uses.
pub fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(60))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -((CACHE_BYTES >> 10) as i64))?;
    Ok(connection)
}

impl Sqlite {
    pub fn open(directory: &Path) -> Result<Self> {
        let path = directory.join("kv.sqlite");
        let connection = connect(&path)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID",
        )?;
        Ok(Self { path, connection: Mutex::new(connection) })
    }

    fn locked(&self) -> Result<std::sync::MutexGuard<'_, Connection>> {
        self.connection.lock().map_err(|_| anyhow::anyhow!("a holder of the connection panicked"))
    }
}

const PUT: &str = "INSERT OR REPLACE INTO kv VALUES (?1, ?2)";

impl Engine for Sqlite {
    fn write(&self, rows: &mut dyn Iterator<Item = (Key, Value)>) -> Result<()> {
        let mut connection = self.locked()?;
        let transaction = connection.transaction()?;
        {
            let mut put = transaction.prepare_cached(PUT)?;
            for (key, value) in rows {
                put.execute((&key[..], &value[..]))?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, keys: &[Key]) -> Result<usize> {
        let mut connection = self.locked()?;
        let transaction = connection.transaction()?;
        let mut get = transaction.prepare_cached("SELECT v FROM kv WHERE k = ?1")?;
        let mut found = 0;
        for key in keys {
            let mut rows = get.query([&key[..]])?;
            if let Some(row) = rows.next()? {
                ensure!(row.get_ref(0)?.as_blob()?.len() == 100, "wrong value");
                found += 1;
            }
        }
        Ok(found)
    }

    fn range(&self, starts: &[Key], limit: usize) -> Result<usize> {
        let mut connection = self.locked()?;
        let transaction = connection.transaction()?;
        let mut scan = transaction.prepare_cached("SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k LIMIT ?2")?;
        let mut read = 0;
        for start in starts {
            let mut rows = scan.query((&start[..], limit as i64))?;
            while let Some(row) = rows.next()? {
                read += usize::from(row.get_ref(1)?.as_blob()?.len() == 100);
            }
        }
        Ok(read)
    }

    fn writer(&self) -> Result<Put<'_>> {
        let connection = connect(&self.path)?;
        Ok(Box::new(move |key, value| {
            connection.prepare_cached(PUT)?.execute((&key[..], &value[..]))?;
            Ok(())
        }))
    }

    fn settle(&self) -> Result<()> {
        self.locked()?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}
