//! Statistics over the engine's own interface: kept, found again, counted anew.

use std::path::Path;

use cairn_engine::table::{self, OnConflict};
use cairn_engine::{Database, Options};
use cairn_env::Env;
use cairn_types::{DataType, Value};

use crate::support::{batch, begin, simple_table};

fn open(env: &Env) -> Database {
    Database::open(env, Path::new("/db"), Options::default()).unwrap()
}

fn insert(db: &Database, from: i32, count: i32) {
    let txn = begin(db);
    let t = txn.catalog().table("public", "t").unwrap();
    let row =
        |id: i32| vec![Value::Integer(id), if id % 5 == 0 { Value::Null } else { Value::Integer(id % 3) }];
    let rows: Vec<_> = (from..from + count).map(row).collect();
    table::insert(&txn, &t, &batch(&t, &rows), OnConflict::Error).unwrap();
    txn.commit().unwrap();
}

fn create(db: &Database) {
    let txn = begin(db);
    simple_table(&txn, "t", &[("n", DataType::Integer)]).unwrap();
    txn.commit().unwrap();
}

#[test]
fn statistics_survive_reopening() {
    let env = Env::memory();
    let db = open(&env);
    create(&db);
    insert(&db, 0, 1000);
    let t = db.catalog().table("public", "t").unwrap();
    assert!(db.statistics(&t).is_none());
    let txn = begin(&db);
    txn.analyze(&t, &[1]).unwrap();
    assert_eq!(txn.statistics(&t).unwrap().unwrap().columns.len(), 1);
    assert!(db.statistics(&t).is_none());
    txn.commit().unwrap();
    let found = db.statistics(&t).unwrap();
    assert_eq!((found.rows, found.columns[0].null_fraction, found.columns[0].distinct), (1000.0, 0.2, 3.0));
    db.close().unwrap();
    let db = open(&env);
    assert_eq!(*db.statistics(&t).unwrap(), *found);
    // Those that come on their own are kept at a clean close.
    insert(&db, 1000, 500);
    assert!(db.refresh_statistics(t.id).unwrap());
    let found = db.statistics(&t).unwrap();
    assert_eq!((found.rows, found.columns.len()), (1500.0, 2));
    db.close().unwrap();
    let db = open(&env);
    assert_eq!(*db.statistics(&t).unwrap(), *found);
}

#[test]
fn they_are_due_after_a_tenth_has_changed() {
    let db = Database::in_memory().unwrap();
    create(&db);
    insert(&db, 0, 50);
    let t = db.catalog().table("public", "t").unwrap();
    assert!(!db.refresh_statistics(t.id).unwrap());
    insert(&db, 50, 950);
    assert!(db.refresh_statistics(t.id).unwrap());
    let version = db.statistics_version(t.id);
    insert(&db, 1000, 150);
    assert!(!db.refresh_statistics(t.id).unwrap());
    assert_eq!(db.statistics_version(t.id), version);
    insert(&db, 1150, 1);
    assert_ne!(db.statistics_version(t.id), version);
    assert!(db.refresh_statistics(t.id).unwrap());
    assert_eq!(db.statistics(&t).unwrap().rows, 1151.0);
}

/// Two that analyze the same table: the second to commit loses, as with any key.
#[test]
fn statistics_are_written_like_rows() {
    let db = Database::in_memory().unwrap();
    create(&db);
    insert(&db, 0, 100);
    let t = db.catalog().table("public", "t").unwrap();
    let (one, two) = (begin(&db), begin(&db));
    one.analyze(&t, &[0]).unwrap();
    two.analyze(&t, &[1]).unwrap();
    one.commit().unwrap();
    assert!(two.commit().is_err());
    // A savepoint takes them back.
    let three = begin(&db);
    let savepoint = three.savepoint().unwrap();
    three.analyze(&t, &[0, 1]).unwrap();
    assert_eq!(three.statistics(&t).unwrap().unwrap().columns.len(), 2);
    three.rollback_to(savepoint).unwrap();
    assert_eq!(three.statistics(&t).unwrap().unwrap().columns.len(), 1);
}
