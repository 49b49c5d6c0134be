//! A client of the key-value API that keeps lists and registers: a list is its values, eight bytes each; a register
//! is its value.

use std::time::Duration;

use cairn_history::{Client, Failure, Found, Key, Value, Workload};
use cairndb::{Database, IsolationLevel, Transaction};

/// One client.
pub(crate) struct Keys<'d> {
    db: &'d Database,
    workload: Workload,
    level: IsolationLevel,
    txn: Option<Transaction>,
    /// Decides where the client lets others go on.
    calls: u64,
}

impl<'d> Keys<'d> {
    pub(crate) fn new(db: &'d Database, workload: Workload, level: IsolationLevel, process: u64) -> Keys<'d> {
        Keys { db, workload, level, txn: None, calls: process }
    }

    fn txn(&mut self) -> &Transaction {
        // Without a pause a transaction is over before another one has begun, on few processors.
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            std::thread::sleep(Duration::from_micros(1));
        }
        self.txn.as_ref().expect("begun")
    }

    fn found(&self, bytes: Option<&[u8]>) -> Found {
        let mut values = bytes
            .unwrap_or_default()
            .chunks_exact(8)
            .map(|eight| u64::from_le_bytes(eight.try_into().unwrap()));
        Found::List(values.by_ref().collect())
    }

    fn decoded(&self, key: Key, bytes: Option<&[u8]>) -> Found {
        match self.found(bytes) {
            Found::List(values) if self.workload.is_register(key) => Found::Register(values.first().copied()),
            list => list,
        }
    }
}

/// A conflict is an answer; everything else is a failure of the test.
fn sorted<T>(result: cairndb::Result<T>) -> Result<T, Failure> {
    match result {
        Ok(value) => Ok(value),
        Err(error) if error.is_retryable() => Err(Failure::Aborted),
        Err(error) => panic!("{error}"),
    }
}

fn bytes(key: Key) -> Vec<u8> {
    [&b"history/"[..], &key.to_be_bytes()].concat()
}

impl Client for Keys<'_> {
    fn begin(&mut self) -> Result<(), Failure> {
        self.txn = Some(sorted(self.db.begin_transaction(self.level))?);
        Ok(())
    }

    fn append(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        // At Read Committed what a write depends on must be locked before it is read.
        let old = match self.level {
            IsolationLevel::ReadCommitted => self.txn().get_for_update(bytes(key)),
            _ => self.txn().get(bytes(key)),
        };
        let mut list = sorted(old)?.map(|list| list.to_vec()).unwrap_or_default();
        list.extend(value.to_le_bytes());
        sorted(self.txn().put(bytes(key), list))
    }

    fn write(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        sorted(self.txn().put(bytes(key), value.to_le_bytes()))
    }

    fn read(&mut self, key: Key) -> Result<Found, Failure> {
        let value = sorted(self.txn().get(bytes(key)))?;
        Ok(self.decoded(key, value.as_deref()))
    }

    fn scan(&mut self, first: Key, end: Key) -> Result<Vec<(Key, Found)>, Failure> {
        let entries = sorted(self.txn().get_range(bytes(first)..bytes(end)))?;
        let mut found = Vec::new();
        for entry in entries {
            let (key, value) = sorted(entry)?;
            let key = u64::from_be_bytes(key[key.len() - 8..].try_into().unwrap());
            found.push((key, self.decoded(key, Some(&value))));
        }
        Ok(found)
    }

    fn commit(&mut self) -> Result<(), Failure> {
        sorted(self.txn.take().expect("begun").commit().map(drop))
    }

    fn rollback(&mut self) {
        drop(self.txn.take());
    }
}
