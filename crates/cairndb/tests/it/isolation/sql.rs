//! SQL sessions: golden scripts, histories, soaks; and histories of transactions over rows and keys together.

use std::path::Path;

use cairn_history::{Client, Failure, Found, Key, Shape, Value, Workload};
use cairn_testkit::histories::{SqlClient, expected, judge, record};
use cairn_testkit::interleave::{Conflicts, ScriptLevel, Session, run_script, scripts};
use cairn_testkit::slt::Outcome;
use cairn_testkit::soak;
use cairndb::{Database, IsolationLevel, Transaction};

/// How sessions of a level meet: as PostgreSQL's, but for Serializable, where nobody waits and conflicts show at the commit
/// (decision 0011).
fn conflicts(level: ScriptLevel) -> Conflicts {
    match level {
        ScriptLevel::ReadCommitted | ScriptLevel::RepeatableRead => Conflicts::Wait,
        ScriptLevel::Serializable => Conflicts::AtCommit,
    }
}

/// Scripts about waiting, which sessions at Serializable do not follow: another one of the two is refused or waits, or with
/// another error.
const ABOUT_WAITING: [&str; 5] =
    ["first-updater-rolls-back", "for-update-changed", "for-update-join", "foreign-key-race", "unique-race"];

struct SqlSession(cairndb::Session);

impl Session for SqlSession {
    fn execute(&mut self, sql: &str) -> Outcome {
        let rows = match self.0.run(sql) {
            Ok(cairndb::Outcome::Command { rows, .. }) => return Outcome::Command(rows),
            Ok(cairndb::Outcome::Rows(rows)) => rows.collect_rows(),
            Err(error) => Err(error),
        };
        match rows {
            Ok(rows) => Outcome::Rows(rows.iter().map(cells).collect()),
            Err(error) => Outcome::Error(error.sqlstate().to_owned(), error.to_string()),
        }
    }
}

fn cells(row: &cairndb::Row) -> Vec<Option<String>> {
    (0..row.columns().len()).map(|column| row.text(column).unwrap()).collect()
}

fn open(db: &Database) -> Box<dyn Session> {
    Box::new(SqlSession(db.session()))
}

/// `CAIRN_SCRIPT` chooses those whose name begins so.
#[test]
fn scripts_go_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/isolation");
    let mut reports = Vec::new();
    let chosen = std::env::var("CAIRN_SCRIPT").unwrap_or_default();
    for (name, text) in scripts(&directory).unwrap() {
        if !name.starts_with(&chosen) {
            continue;
        }
        for level in ScriptLevel::ALL {
            if level == ScriptLevel::Serializable && ABOUT_WAITING.contains(&name.as_str()) {
                continue;
            }
            let db = Database::in_memory().unwrap();
            if let Err(report) = run_script(&name, &text, level, conflicts(level), &mut || open(&db)) {
                reports.push(report);
            }
        }
    }
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

#[test]
fn histories_of_sessions_show_what_their_level_permits() {
    for level in ScriptLevel::ALL {
        let db = Database::in_memory().unwrap();
        db.execute(SqlClient::SETUP, &[]).unwrap();
        let workload = Workload::new(super::number("CAIRN_SEED", 1), Shape::default());
        let commits = super::number("CAIRN_TRANSACTIONS", 150);
        let history = record(&workload, commits, 4, |_| SqlClient::new(open(&db), workload, level));
        judge(level.sql(), &expected(level), &history).unwrap();
    }
}

#[test]
fn histories_of_rows_and_keys_show_what_their_level_permits() {
    // Not at Read Committed: what reads rows and keys is two statements there.
    for (level, table) in [
        (IsolationLevel::RepeatableRead, ScriptLevel::RepeatableRead),
        (IsolationLevel::Snapshot, ScriptLevel::RepeatableRead),
        (IsolationLevel::Serializable, ScriptLevel::Serializable),
    ] {
        let db = Database::in_memory().unwrap();
        db.execute(SqlClient::SETUP, &[]).unwrap();
        let workload = Workload::new(super::number("CAIRN_SEED", 1), Shape::default());
        let commits = super::number("CAIRN_TRANSACTIONS", 150);
        let client = |_| Mixed { db: &db, workload, level, txn: None };
        let history = record(&workload, commits, 4, client);
        judge(&format!("{level:?}, rows and keys"), &expected(table), &history).unwrap();
    }
}

#[test]
fn soaks_of_sessions_keep_their_rules() {
    for level in ScriptLevel::ALL {
        let db = Database::in_memory().unwrap();
        let open = || open(&db);
        let (bank, on_call) = (soak::bank(&open, level, 3, 40), soak::on_call(&open, level, 3, 40));
        println!("{}: bank {bank:?}, on call {on_call:?}", level.sql());
        assert_eq!(bank.broken, 0, "money was made or lost: {bank:?}");
        assert!(level != ScriptLevel::Serializable || on_call.broken == 0, "nobody was on call: {on_call:?}");
    }
}

/// A client whose even keys are keys and whose odd keys are rows, in one transaction.
struct Mixed<'d> {
    db: &'d Database,
    workload: Workload,
    level: IsolationLevel,
    txn: Option<Transaction>,
}

fn sorted<T>(result: cairndb::Result<T>) -> Result<T, Failure> {
    match result {
        Ok(value) => Ok(value),
        Err(error) if error.is_retryable() => Err(Failure::Aborted),
        Err(error) => panic!("{error}"),
    }
}

fn bytes(key: Key) -> Vec<u8> {
    [&b"mixed/"[..], &key.to_be_bytes()].concat()
}

impl Mixed<'_> {
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
        if key.is_multiple_of(2) {
            let old = if append { sorted(self.txn().get(bytes(key)))? } else { None };
            let old = String::from_utf8(old.unwrap_or_default().to_vec()).unwrap();
            return sorted(self.txn().put(bytes(key), format!("{old} {value}")));
        }
        let new = if append { format!("history.list || ' {value}'") } else { format!("'{value}'") };
        let sql = format!(
            "insert into history (key, list) values ({key}, '{value}') on conflict (key) do update set list = {new}"
        );
        sorted(self.txn().execute(&sql, &[]).map(drop))
    }

    fn rows(&self, first: Key, end: Key) -> Result<Vec<(Key, Found)>, Failure> {
        let sql = format!("select key, list from history where key >= {first} and key < {end}");
        let rows = sorted(self.txn().query(&sql, &[]).and_then(|rows| rows.collect_rows()))?;
        let entry = |row: &cairndb::Row| {
            let key = row.get::<i64>(0).unwrap() as Key;
            (key, self.found(key, &row.get::<String>(1).unwrap()))
        };
        Ok(rows.iter().map(entry).collect())
    }
}

impl Client for Mixed<'_> {
    fn begin(&mut self) -> Result<(), Failure> {
        self.txn = Some(sorted(self.db.begin_transaction(self.level))?);
        Ok(())
    }

    fn append(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        self.set(key, value, true)
    }

    fn write(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        self.set(key, value, false)
    }

    fn read(&mut self, key: Key) -> Result<Found, Failure> {
        let found = match key.is_multiple_of(2) {
            true => {
                let value = sorted(self.txn().get(bytes(key)))?.unwrap_or_default();
                Some(self.found(key, std::str::from_utf8(&value).unwrap()))
            }
            false => self.rows(key, key + 1)?.pop().map(|(_, found)| found),
        };
        Ok(found.unwrap_or_else(|| self.found(key, "")))
    }

    fn scan(&mut self, first: Key, end: Key) -> Result<Vec<(Key, Found)>, Failure> {
        let mut found = self.rows(first, end)?;
        for entry in sorted(self.txn().get_range(bytes(first)..bytes(end)))? {
            let (key, value) = sorted(entry)?;
            let key = u64::from_be_bytes(key[key.len() - 8..].try_into().unwrap());
            found.push((key, self.found(key, std::str::from_utf8(&value).unwrap())));
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
