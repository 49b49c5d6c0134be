//! Power cuts: after each, the tables are those of the last acknowledged commit, or of the one that was under way;
//! indexes agree with rows; and no sequence gives a value again that a row has.
//!
//! `CAIRN_SEED` replays a seed.

use std::path::Path;

use cairn_engine::ddl::{ColumnSpec, Generation, SequenceOptions, TableSpec};
use cairn_engine::table::{self, OnConflict};
use cairn_engine::{Database, Error, Result, SyncMode, TxnOptions};
use cairn_env::sim::{SimOptions, Simulation};
use cairn_types::{DataType, Value};

use crate::model::{State, check, index, make, small_options, transaction};
use crate::support::{Random, all_rows, batch, seed};

const SEEDS: u64 = 300;

#[test]
fn indexes_and_rows_agree_after_a_crash() {
    let first = seed(1);
    for seed in first..first + SEEDS {
        let ran = std::panic::catch_unwind(|| run(seed));
        if let Err(panic) = ran {
            println!("failed with CAIRN_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

struct Found {
    state: State,
    /// The ids that the rows of `log` have.
    log: Vec<i64>,
}

fn run(seed: u64) {
    let simulation = Simulation::new(SimOptions::new(seed));
    let mut random = Random(seed);
    let mut acknowledged = Found { state: State::new(), log: Vec::new() };
    let mut env = simulation.env();
    loop {
        // The first tables must be there before anything can be cut off.
        let db = Database::open(&env, Path::new("/db"), small_options()).unwrap();
        if db.catalog().table("public", "t").is_err() {
            make(&db).unwrap();
            make_log(&db).unwrap();
        }
        simulation.crash_after(1 + random.below(120));
        let pending = live(&db, &mut acknowledged, &mut random);
        drop(db);
        if !simulation.is_off() {
            simulation.crash();
        }
        env = simulation.restart();
        let db = Database::open(&env, Path::new("/db"), small_options()).unwrap();
        let found = read(&db);
        let is_pending = pending.is_some_and(|p| p.state == found.state && p.log == found.log);
        let is_acknowledged = acknowledged.state == found.state && acknowledged.log == found.log;
        assert!(is_acknowledged || is_pending, "seed {seed}: neither the acknowledged state nor the next");
        check(&db, &found.state, &mut random);
        acknowledged = found;
        db.close().unwrap();
        env = simulation.restart();
        if random.below(3) == 0 {
            return;
        }
    }
}

fn make_log(db: &Database) -> Result<()> {
    let txn = db.begin(TxnOptions::default())?;
    let generation = Some(Generation::Identity { always: true, options: SequenceOptions::default() });
    let id = ColumnSpec { generation, ..ColumnSpec::new("id", DataType::BigInt) };
    txn.create_table(TableSpec {
        schema: "public".into(),
        name: "log".into(),
        columns: vec![id],
        constraints: vec![],
        ..Default::default()
    })?;
    txn.commit()?;
    Ok(())
}

/// Works until the power goes; gives the state that the commit under way would have made.
fn live(db: &Database, acknowledged: &mut Found, random: &mut Random) -> Option<Found> {
    loop {
        if random.below(3) == 0 {
            let mut log = acknowledged.log.clone();
            match append(db, &mut log) {
                Ok(()) => acknowledged.log = log,
                Err(_) => return Some(Found { state: acknowledged.state.clone(), log }),
            }
        }
        let mut guess = Random(random.0);
        match transaction(db, &acknowledged.state, random) {
            Ok((state, _)) => acknowledged.state = state,
            Err(Error::Storage(_)) => {
                // The same work on a database in memory gives what the commit would have made.
                let shadow = shadow(db, &acknowledged.state);
                let state = transaction(&shadow, &acknowledged.state, &mut guess).ok()?.0;
                return Some(Found { state, log: acknowledged.log.clone() });
            }
            Err(e) => panic!("{e}"),
        }
        if random.below(10) == 0 && db.flush().is_err() {
            return None;
        }
    }
}

fn append(db: &Database, log: &mut Vec<i64>) -> Result<()> {
    let txn = db.begin(TxnOptions { sync: Some(SyncMode::Sync), ..Default::default() })?;
    let table = txn.catalog().table("public", "log")?;
    let sequence = table.column("id")?.identity.unwrap().sequence;
    let ids = txn.nextval_many(sequence, 1 + log.len() % 3)?;
    assert!(ids.iter().all(|id| !log.contains(id)), "a value given twice: {ids:?}");
    let rows: Vec<Vec<Value>> = ids.iter().map(|id| vec![Value::BigInt(*id)]).collect();
    table::insert(&txn, &table, &batch(&table, &rows), OnConflict::Error)?;
    log.extend(ids);
    txn.commit()?;
    Ok(())
}

/// A database with the same definitions and rows, so that the same random numbers do the same work.
fn shadow(original: &Database, state: &State) -> Database {
    let db = Database::in_memory().unwrap();
    make(&db).unwrap();
    let txn = db.begin(TxnOptions::default()).unwrap();
    let table = original.catalog().table("public", "t").unwrap();
    if table.index_by_name("by_ba").is_some() {
        index(&txn, "by_ba", &["b", "a"], false).unwrap();
    }
    let table = txn.catalog().table("public", "t").unwrap();
    let rows: Vec<Vec<Value>> = state
        .iter()
        .map(|(id, (a, b))| vec![Value::Integer(*id), Value::from(*a), Value::from(*b)])
        .collect();
    table::insert(&txn, &table, &batch(&table, &rows), OnConflict::Error).unwrap();
    txn.commit().unwrap();
    db
}

fn read(db: &Database) -> Found {
    let view = db.view().unwrap();
    let table = view.catalog().table("public", "t").unwrap();
    let int = |value: &Value| value.as_i64().map(|v| v as i32);
    let rows = all_rows(&view, &table).unwrap();
    let state = rows.iter().map(|r| (int(&r[0]).unwrap(), (int(&r[1]), int(&r[2])))).collect();
    let log = view.catalog().table("public", "log").unwrap();
    let log = all_rows(&view, &log).unwrap().iter().map(|r| r[0].as_i64().unwrap()).collect();
    Found { state, log }
}
