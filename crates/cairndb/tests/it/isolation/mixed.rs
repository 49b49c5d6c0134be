//! A client whose transactions go over rows of two tables and keys together: of four keys in a row all are keys of the
//! key-value space, or rows of the first table by their primary key, or rows of the second by a unique one, in turn.

use std::time::Duration;

use cairn_history::{Client, Failure, Found, Key, Plan, Planned, Value, Workload};
use cairn_testkit::interleave::ScriptLevel;
use cairndb::{Database, IsolationLevel, Transaction};

/// The levels, as they are named in histories, and what the table says of them.
pub(crate) const LEVELS: [(&str, IsolationLevel, ScriptLevel); 4] = [
    ("read-committed", IsolationLevel::ReadCommitted, ScriptLevel::ReadCommitted),
    ("repeatable-read", IsolationLevel::RepeatableRead, ScriptLevel::RepeatableRead),
    ("snapshot", IsolationLevel::Snapshot, ScriptLevel::RepeatableRead),
    ("serializable", IsolationLevel::Serializable, ScriptLevel::Serializable),
];

const TABLES: [&str; 2] = [
    "create table if not exists first (key bigint primary key, value text)",
    "create table if not exists second (id bigint generated always as identity primary key, \
     key bigint not null unique, value text)",
];

/// So many keys in a row lie in one place.
const BLOCK: u64 = 4;

/// Where a key lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Keys,
    Table(&'static str),
}

fn place(key: Key) -> Place {
    match key / BLOCK % 3 {
        0 => Place::Table("first"),
        1 => Place::Keys,
        _ => Place::Table("second"),
    }
}

fn bytes(key: Key) -> Vec<u8> {
    [&b"mixed/"[..], &key.to_be_bytes()].concat()
}

/// Makes the tables where they are not there.
pub(crate) fn set_up(db: &Database) -> cairndb::Result<()> {
    TABLES.iter().try_for_each(|sql| db.execute(sql, &[]).map(drop))
}

/// What a client at Read Committed can keep to: a statement has one snapshot, and reads one place.
pub(crate) fn by_statements(plan: Plan, level: IsolationLevel) -> Plan {
    let mut operations = Vec::new();
    for operation in plan.operations {
        match operation {
            Planned::Scan(mut first, end) if level == IsolationLevel::ReadCommitted => {
                while first < end {
                    let next = end.min((first / BLOCK + 1) * BLOCK);
                    operations.push(Planned::Scan(first, next));
                    first = next;
                }
            }
            other => operations.push(other),
        }
    }
    Plan { operations, ..plan }
}

/// The client.
pub(crate) struct Mixed<'d> {
    pub(crate) db: &'d Database,
    pub(crate) workload: Workload,
    /// Of the transactions begun from now on.
    pub(crate) level: IsolationLevel,
    /// Whether the machine is down: then an error says nothing.
    pub(crate) is_off: &'d (dyn Fn() -> bool + Sync),
    pub(crate) txn: Option<Transaction>,
}

impl<'d> Mixed<'d> {
    pub(crate) fn new(
        db: &'d Database,
        workload: Workload,
        level: IsolationLevel,
        is_off: &'d (dyn Fn() -> bool + Sync),
    ) -> Mixed<'d> {
        Mixed { db, workload, level, is_off, txn: None }
    }

    fn sorted<T>(&self, result: cairndb::Result<T>) -> Result<T, Failure> {
        match result {
            Ok(value) => Ok(value),
            Err(error) if error.is_retryable() => Err(Failure::Aborted),
            Err(_) if (self.is_off)() => Err(Failure::Unknown),
            Err(error) => panic!("{} {error}", error.sqlstate()),
        }
    }

    fn txn(&self) -> &Transaction {
        self.txn.as_ref().expect("begun")
    }

    fn found(&self, key: Key, text: &str) -> Found {
        let mut values = text.split_whitespace().map(|value| value.parse().unwrap());
        if self.workload.is_register(key) {
            Found::Register(values.next())
        } else {
            Found::List(values.collect())
        }
    }

    fn set(&self, key: Key, value: Value, append: bool) -> Result<(), Failure> {
        let Place::Table(table) = place(key) else { return self.put(key, value, append) };
        let new = if append { format!("{table}.value || ' {value}'") } else { format!("'{value}'") };
        let sql = format!(
            "insert into {table} (key, value) values ({key}, '{value}') on conflict (key) do update set value = {new}"
        );
        self.sorted(self.txn().execute(&sql, &[]).map(drop))
    }

    fn put(&self, key: Key, value: Value, append: bool) -> Result<(), Failure> {
        let old = match (append, self.level) {
            (false, _) => None,
            // What a write depends on must be locked before it is read.
            (true, IsolationLevel::ReadCommitted) => self.sorted(self.txn().get_for_update(bytes(key)))?,
            (true, _) => self.sorted(self.txn().get(bytes(key)))?,
        };
        let old = String::from_utf8(old.unwrap_or_default().to_vec()).unwrap();
        self.sorted(self.txn().put(bytes(key), format!("{old} {value}")))
    }

    fn rows(&self, sql: &str) -> Result<Vec<(Key, Found)>, Failure> {
        let rows = self.sorted(self.txn().query(sql, &[]).and_then(|rows| rows.collect_rows()))?;
        let entry = |row: &cairndb::Row| {
            let key = row.get::<i64>(0).unwrap() as Key;
            (key, self.found(key, &row.get::<String>(1).unwrap()))
        };
        Ok(rows.iter().map(entry).collect())
    }
}

impl Client for Mixed<'_> {
    fn begin(&mut self) -> Result<(), Failure> {
        self.txn = Some(self.sorted(self.db.begin_transaction(self.level))?);
        Ok(())
    }

    fn append(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        self.set(key, value, true)
    }

    fn write(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        self.set(key, value, false)
    }

    fn read(&mut self, key: Key) -> Result<Found, Failure> {
        // Without a pause a transaction is over before another one has begun, on few processors.
        std::thread::sleep(Duration::from_micros(1));
        let found = match place(key) {
            Place::Keys => {
                let value = self.sorted(self.txn().get(bytes(key)))?.unwrap_or_default();
                Some(self.found(key, std::str::from_utf8(&value).unwrap()))
            }
            Place::Table(table) => {
                let found = self.rows(&format!("select key, value from {table} where key = {key}"))?;
                found.into_iter().next().map(|(_, found)| found)
            }
        };
        Ok(found.unwrap_or_else(|| self.found(key, "")))
    }

    /// One query of both tables, and one range of keys; of several places only where all is of one snapshot.
    fn scan(&mut self, first: Key, end: Key) -> Result<Vec<(Key, Found)>, Failure> {
        let places: Vec<Place> =
            (first / BLOCK..=(end.max(first + 1) - 1) / BLOCK).map(|b| place(b * BLOCK)).collect();
        let queries: Vec<String> = ["first", "second"]
            .into_iter()
            .filter(|table| places.contains(&Place::Table(table)))
            .map(|table| format!("select key, value from {table} where key >= {first} and key < {end}"))
            .collect();
        let mut found = match queries.is_empty() {
            true => Vec::new(),
            false => self.rows(&queries.join(" union all "))?,
        };
        if places.contains(&Place::Keys) {
            for entry in self.sorted(self.txn().get_range(bytes(first)..bytes(end)))? {
                let (key, value) = self.sorted(entry)?;
                let key = u64::from_be_bytes(key[key.len() - 8..].try_into().unwrap());
                found.push((key, self.found(key, std::str::from_utf8(&value).unwrap())));
            }
        }
        Ok(found)
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let txn = self.txn.take().expect("begun");
        self.sorted(txn.commit().map(drop))
    }

    fn rollback(&mut self) {
        drop(self.txn.take());
    }
}
