//! SQLite: a table without row ids, WAL, a connection for each thread. `synchronous = FULL`, or `OFF`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use rusqlite::{Connection, Statement};

use crate::data::{Key, Row};
use crate::engine::{Engine, Session, Setup, View, Work};

pub struct Sqlite {
    path: PathBuf,
    setup: Setup,
}

impl Sqlite {
    pub fn open(directory: &Path, setup: &Setup) -> Result<Self> {
        let sqlite = Self { path: directory.join("kv.sqlite"), setup: *setup };
        sqlite.connect()?.execute_batch(
            "CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID",
        )?;
        Ok(sqlite)
    }

    fn connect(&self) -> Result<Connection> {
        connect(&self.path, self.setup.sync, self.setup.cache_bytes / self.setup.threads.max(1))
    }
}

/// A connection with the settings that every measurement uses.
pub fn connect(path: &Path, sync: bool, cache_bytes: usize) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", if sync { "FULL" } else { "OFF" })?;
    connection.pragma_update(None, "cache_size", -((cache_bytes >> 10) as i64))?;
    Ok(connection)
}

impl Engine for Sqlite {
    fn run(&self, view: View, work: Work<'_>) -> Result<()> {
        let connection = self.connect()?;
        let snapshot = view == View::Snapshot;
        if snapshot {
            connection.execute_batch("BEGIN")?;
        }
        work(&mut SqliteSession {
            begin_reading: connection.prepare("BEGIN")?,
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            commit: connection.prepare("COMMIT")?,
            get: connection.prepare("SELECT v FROM kv WHERE k = ?1")?,
            scan: connection.prepare("SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k LIMIT ?2")?,
            put: connection.prepare("INSERT OR REPLACE INTO kv VALUES (?1, ?2)")?,
            delete: connection.prepare("DELETE FROM kv WHERE k = ?1")?,
        })?;
        if snapshot {
            connection.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let connection = self.connect()?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}

struct SqliteSession<'a> {
    begin_reading: Statement<'a>,
    begin: Statement<'a>,
    commit: Statement<'a>,
    get: Statement<'a>,
    scan: Statement<'a>,
    put: Statement<'a>,
    delete: Statement<'a>,
}

impl Session for SqliteSession<'_> {
    fn get(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let mut rows = self.get.query([&key[..]])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        seen(row.get_ref(0)?.as_blob()?);
        Ok(true)
    }

    fn scan(&mut self, start: &[u8], limit: usize, seen: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let mut rows = self.scan.query((start, limit.min(i64::MAX as usize) as i64))?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            seen(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            read += 1;
        }
        Ok(read)
    }

    fn write(&mut self, rows: &[Row]) -> Result<()> {
        let one = rows.len() == 1;
        if !one {
            self.begin.execute([])?;
        }
        for row in rows {
            match &row.value {
                Some(value) => self.put.execute((&row.key[..], &value[..]))?,
                None => self.delete.execute([&row.key[..]])?,
            };
        }
        if !one {
            self.commit.execute([])?;
        }
        Ok(())
    }

    fn update(&mut self, reads: &[Key], keys: &[Key], change: &mut dyn FnMut(&mut Vec<u8>)) -> Result<bool> {
        self.begin.execute([])?;
        for key in reads {
            ensure!(self.get(key, &mut |_| {})?, "a key is missing");
        }
        for key in keys {
            let mut value = Vec::new();
            let found = self.get(key, &mut |bytes| value.extend_from_slice(bytes))?;
            ensure!(found, "a key is missing");
            change(&mut value);
            self.put.execute((&key[..], &value[..]))?;
        }
        self.commit.execute([])?;
        Ok(true)
    }

    fn get_in_transaction(&mut self, key: &Key, seen: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.begin_reading.execute([])?;
        let found = self.get(key, seen)?;
        self.commit.execute([])?;
        Ok(found)
    }
}
