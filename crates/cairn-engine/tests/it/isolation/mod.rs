//! Isolation levels and locks: what each level shows, who waits for whom, what waiters find, constraints under
//! concurrency at every level, and random mixed histories.

mod constraints;
mod histories;
mod levels;
mod ranges;
mod waits;

use std::sync::Arc;

use cairn_engine::table::{self, OnConflict};
use cairn_engine::{Database, Error, Isolation, KeyRange, Result, Table, Transaction, TxnOptions};
use cairn_env::sim::{SimOptions, Simulation};
use cairn_env::{Env, Lock};
use cairn_types::key::{self, KeyOrder};
use cairn_types::{DataType, Value};

use crate::support::{batch, simple_table};

pub(crate) const LEVELS: [Isolation; 4] =
    [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Snapshot, Isolation::Serializable];

pub(crate) fn begin(db: &Database, isolation: Isolation) -> Transaction {
    db.begin(TxnOptions { isolation, ..Default::default() }).unwrap()
}

pub(crate) fn row_key(id: i32) -> bytes::Bytes {
    let mut out = Vec::new();
    key::encode_value(&Value::Integer(id), &DataType::Integer, KeyOrder::ASCENDING, &mut out).unwrap();
    out.into()
}

pub(crate) fn table_of(txn: &Transaction, name: &str) -> Arc<Table> {
    txn.catalog().table("public", name).unwrap()
}

pub(crate) fn insert(txn: &Transaction, name: &str, id: i32, v: Option<i32>) -> Result<()> {
    let table = table_of(txn, name);
    let rows = batch(&table, &[vec![Value::from(id), Value::from(v)]]);
    table::insert(txn, &table, &rows, OnConflict::Error).map(drop)
}

/// Sets `v` of a row; how many rows there were.
pub(crate) fn update(txn: &Transaction, name: &str, id: i32, v: Option<i32>) -> Result<usize> {
    let table = table_of(txn, name);
    let rows = batch(&table, &[vec![Value::from(id), Value::from(v)]]);
    table::update(txn, &table, &[row_key(id)], &rows, &[1])
}

pub(crate) fn delete(txn: &Transaction, name: &str, id: i32) -> Result<usize> {
    let table = table_of(txn, name);
    table::delete(txn, &table, &[row_key(id)])
}

/// `v` of a row, as the transaction's statement sees it.
pub(crate) fn read(txn: &Transaction, name: &str, id: i32) -> Result<Option<i32>> {
    let table = table_of(txn, name);
    let fetched = table::get(&txn.view()?, &table, &[row_key(id)], &[1])?;
    if fetched.found.is_empty() {
        return Ok(None);
    }
    match Value::from_array(fetched.batch.column(0).as_ref(), 0, &DataType::Integer) {
        Value::Integer(v) => Ok(Some(v)),
        _ => Ok(None),
    }
}

/// The table `t` with `v` = 10 × `id` for the ids 1 to 3.
pub(crate) fn database(env: &Env) -> Database {
    let db = Database::open(env, "/db".as_ref(), Default::default()).unwrap();
    let txn = begin(&db, Isolation::Snapshot);
    simple_table(&txn, "t", &[("v", DataType::Integer)]).unwrap();
    for id in 1..4 {
        insert(&txn, "t", id, Some(id * 10)).unwrap();
    }
    txn.commit().unwrap();
    db
}

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Lock<Vec<String>>>);

impl Log {
    pub(crate) fn say(&self, what: impl Into<String>) {
        self.0.lock().push(what.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// Clients of one simulated world, each with its own pauses in simulated milliseconds: so the order of what they do is
/// known, whoever waits.
pub(crate) struct World {
    // Closed before its world ends.
    pub(crate) db: Database,
    pub(crate) log: Log,
    simulation: Simulation,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let simulation = Simulation::new(SimOptions { fibers: true, ..SimOptions::new(seed) });
        let db = database(&simulation.env());
        World { simulation, db, log: Log::default() }
    }

    pub(crate) fn run(&self, clients: Vec<Client>) -> Vec<String> {
        let clients = clients.into_iter().map(|client| -> Box<dyn FnOnce() + Send> {
            let here = Here { db: self.db.clone(), env: self.simulation.env(), log: self.log.clone() };
            Box::new(move || client(&here))
        });
        self.simulation.run_clients(clients.collect());
        let (locks, lines) = (self.db.locks(), self.log.lines());
        assert!(locks.is_empty(), "{locks:?}");
        self.log.0.lock().clear();
        cairn_engine::verify::indexes(&self.db.view().unwrap()).unwrap();
        lines
    }
}

pub(crate) type Client = Box<dyn FnOnce(&Here) + Send>;

pub(crate) struct Here {
    pub(crate) db: Database,
    pub(crate) env: Env,
    pub(crate) log: Log,
}

impl Here {
    /// Sleeps until this simulated millisecond of the run.
    pub(crate) fn pause(&self, millis: u64) {
        self.env.clock().sleep(std::time::Duration::from_millis(millis));
    }

    pub(crate) fn begin(&self, isolation: Isolation) -> Transaction {
        begin(&self.db, isolation)
    }

    pub(crate) fn say(&self, what: impl Into<String>) {
        self.log.say(what);
    }
}

/// `ok`, or the SQLSTATE.
pub(crate) fn outcome<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.sqlstate(),
    }
}

/// All keys and values of the key-value space, as text.
pub(crate) fn keys(txn: &Transaction) -> Vec<(String, String)> {
    let text = |bytes: bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let scan = txn.scan(KeyRange::all(), Default::default()).unwrap();
    scan.map(|entry| entry.map(|(key, value)| (text(key), text(value))).unwrap()).collect()
}

/// Runs a statement under Read Committed as a session does: again on a new snapshot where rows had changed.
pub(crate) fn statement<T>(txn: &Transaction, mut work: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        txn.begin_statement()?;
        match work() {
            Err(Error::RowsChanged) => {}
            other => return other,
        }
    }
}
