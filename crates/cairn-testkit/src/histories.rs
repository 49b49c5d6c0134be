//! Histories of real databases: clients on threads, the expected table, and a client that speaks SQL.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_history::{
    AnomalyKind, Client, Failure, Found, History, Key, Level, Operation, Outcome as Ending, Plan, Planned,
    Ticks, Value, Verdict, Workload, check, run,
};

use crate::interleave::{ScriptLevel, Session};
use crate::slt::Outcome;

/// What histories of a level may show.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Must not be violated.
    pub keeps: Level,
    /// All that may be found.
    pub permitted: &'static [AnomalyKind],
    /// What must be found, or the workload is not sharp enough to find anything.
    pub seen: &'static [AnomalyKind],
}

/// The expected table. Read committed is PostgreSQL's: each statement has a snapshot that holds all that was
/// acknowledged before it.
pub fn expected(level: ScriptLevel) -> Expected {
    match level {
        ScriptLevel::ReadCommitted => Expected {
            keeps: Level::MonotonicAtomicView,
            permitted: &[
                AnomalyKind::LostUpdate,
                AnomalyKind::GSingle,
                AnomalyKind::Pmp,
                AnomalyKind::GNonadjacent,
                AnomalyKind::LongFork,
                AnomalyKind::G2Item,
                AnomalyKind::G2,
            ],
            seen: &[AnomalyKind::GSingle, AnomalyKind::LostUpdate, AnomalyKind::G2Item],
        },
        ScriptLevel::RepeatableRead => Expected {
            keeps: Level::StrongSnapshot,
            permitted: &[AnomalyKind::G2Item, AnomalyKind::G2],
            seen: &[AnomalyKind::G2Item, AnomalyKind::G2],
        },
        ScriptLevel::Serializable => Expected { keeps: Level::StrictSerializable, permitted: &[], seen: &[] },
    }
}

/// Runs clients on threads until so many transactions are committed, and then reads everything once.
pub fn record<C: Client>(
    workload: &Workload,
    commits: u64,
    clients: u64,
    client: impl Fn(u64) -> C + Sync,
) -> History {
    let (ticks, next, committed) = (Ticks::default(), AtomicU64::new(0), AtomicU64::new(0));
    let work = |process: u64| {
        let mut client = client(process);
        let mut own = Vec::new();
        while committed.load(Ordering::Relaxed) < commits {
            let plan = workload.plan(next.fetch_add(1, Ordering::Relaxed));
            let transaction = run(&mut client, &plan, process as u32, &ticks);
            committed.fetch_add(u64::from(transaction.outcome == Ending::Committed), Ordering::Relaxed);
            own.push(transaction);
        }
        own
    };
    let mut history = History::default();
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..clients).map(|process| scope.spawn(move || work(process))).collect();
        for thread in threads {
            match thread.join() {
                Ok(own) => history.transactions.extend(own),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    let end = workload.keys_end(next.load(Ordering::Relaxed));
    let all = Plan { operations: vec![Planned::Scan(0, end)], rolls_back: false };
    history.transactions.push(run(&mut client(clients), &all, clients as u32, &ticks));
    history
}

/// What a history shows, where it is what the table permits.
///
/// # Errors
/// A report, where it is not.
pub fn judge(what: &str, expected: &Expected, history: &History) -> Result<Verdict, String> {
    let verdict = check(history).map_err(|malformed| format!("{what}: {malformed}"))?;
    let foreign = verdict.counts.keys().any(|(kind, _)| !expected.permitted.contains(kind));
    if foreign || verdict.violates(expected.keeps) {
        return Err(format!("{what} shows what it must not: {verdict}"));
    }
    Ok(verdict)
}

/// The first append of a committed transaction that the last transaction, which scans all keys, does not find.
pub fn lost_append(history: &History) -> Option<String> {
    let last = history.transactions.last().and_then(|transaction| transaction.operations.last());
    let Some(Operation::Scan { found, .. }) = last else {
        panic!("a history ends with a reading of all keys");
    };
    let there: HashMap<Key, &Found> = found.iter().map(|(key, found)| (*key, found)).collect();
    let is_there = |key: &Key, value: &Value| match there.get(key) {
        Some(Found::List(values)) => values.contains(value),
        _ => false,
    };
    let committed = history.transactions.iter().filter(|txn| txn.outcome == Ending::Committed);
    let mut appends = committed.flat_map(|txn| txn.operations.iter().map(move |operation| (txn, operation)));
    let lost = appends.find(
        |(_, operation)| matches!(operation, Operation::Append { key, value } if !is_there(key, value)),
    );
    lost.map(|(txn, operation)| format!("{operation} of {txn} is lost"))
}

/// What of the table's must-haves no verdict has.
pub fn unseen(expected: &Expected, verdicts: &[Verdict]) -> Vec<AnomalyKind> {
    let seen = |kind: &&AnomalyKind| verdicts.iter().any(|verdict| verdict.has(**kind));
    expected.seen.iter().filter(|kind| !seen(kind)).copied().collect()
}

/// A client that keeps lists and registers in a table, through a session. A list is text, its values apart by blanks.
pub struct SqlClient {
    session: Box<dyn Session>,
    workload: Workload,
    level: ScriptLevel,
}

impl SqlClient {
    /// Makes the table.
    pub const SETUP: &'static str =
        "create table history (key bigint primary key, list text, register bigint)";

    /// A client over a session of its own.
    pub fn new(session: Box<dyn Session>, workload: Workload, level: ScriptLevel) -> SqlClient {
        SqlClient { session, workload, level }
    }

    fn ask(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        match self.session.execute(sql) {
            Outcome::Rows(rows) => Ok(rows),
            Outcome::Command(_) => Ok(Vec::new()),
            // A conflict or a deadlock is an answer; anything else is a failure of the test.
            Outcome::Error(state, _) if ["40001", "40P01"].contains(&state.as_str()) => Err(Failure::Aborted),
            Outcome::Error(state, message) => panic!("{sql}: {state} {message}"),
        }
    }

    fn found(&self, key: Key, list: Option<&str>, register: Option<&str>) -> Found {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("key {key} holds {text}"));
        let text = |cell: Option<&str>| cell.filter(|text| *text != "NULL").map(str::to_owned);
        match self.workload.is_register(key) {
            true => Found::Register(text(register).map(|text| number(&text))),
            false => Found::List(text(list).unwrap_or_default().split_whitespace().map(number).collect()),
        }
    }
}

impl Client for SqlClient {
    fn begin(&mut self) -> Result<(), Failure> {
        self.ask(&format!("begin isolation level {}", self.level.sql())).map(drop)
    }

    fn append(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        self.ask(&format!(
            "insert into history (key, list) values ({key}, '{value}') \
             on conflict (key) do update set list = history.list || ' {value}'"
        ))
        .map(drop)
    }

    fn write(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        self.ask(&format!(
            "insert into history (key, register) values ({key}, {value}) \
             on conflict (key) do update set register = {value}"
        ))
        .map(drop)
    }

    fn read(&mut self, key: Key) -> Result<Found, Failure> {
        let rows = self.ask(&format!("select list, register from history where key = {key}"))?;
        let cell = |at: usize| rows.first().and_then(|row| row[at].as_deref());
        Ok(self.found(key, cell(0), cell(1)))
    }

    fn scan(&mut self, first: Key, end: Key) -> Result<Vec<(Key, Found)>, Failure> {
        let sql = format!("select key, list, register from history where key >= {first} and key < {end}");
        let rows = self.ask(&sql)?;
        let entry = |row: &Vec<Option<String>>| {
            let key = row[0].as_deref().and_then(|key| key.parse().ok()).expect("a key is a number");
            (key, self.found(key, row[1].as_deref(), row[2].as_deref()))
        };
        Ok(rows.iter().map(entry).collect())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.ask("commit").map(drop)
    }

    fn rollback(&mut self) {
        // Where the session ended the transaction itself there is nothing to take back.
        let _ = self.session.execute("rollback");
    }
}
