//! The key-value space: reads of own writes, ranges, savepoints, limits.

use cairn_engine::{Database, Direction, Error, Isolation, KeyRange, TxnOptions};

use crate::support::begin;

#[test]
fn own_writes_ranges_and_savepoints() {
    let db = Database::in_memory().unwrap();
    let txn = begin(&db);
    for key in [b"user:1", b"user:2", b"user:3", b"zone:1"] {
        txn.put(key, b"x").unwrap();
    }
    let savepoint = txn.savepoint().unwrap();
    txn.delete_range(&KeyRange::prefix(b"user:")).unwrap();
    assert_eq!(txn.scan(KeyRange::all(), Direction::Forward).unwrap().count(), 1);
    txn.rollback_to(savepoint).unwrap();
    let keys: Vec<_> = txn
        .scan(KeyRange::prefix(b"user:"), Direction::Reverse)
        .unwrap()
        .map(|entry| entry.unwrap().0)
        .collect();
    assert_eq!(keys, [&b"user:3"[..], b"user:2", b"user:1"]);
    txn.commit().unwrap();
    assert!(matches!(txn.commit(), Err(Error::TransactionEnded)));
    let view = db.view().unwrap();
    assert_eq!(view.scan(KeyRange::all(), Direction::Forward).unwrap().count(), 4);
    assert_eq!(view.get(b"zone:1").unwrap().as_deref(), Some(&b"x"[..]));
}

#[test]
fn the_space_is_bounded_by_its_prefix() {
    let db = Database::in_memory().unwrap();
    let txn = begin(&db);
    txn.put(b"", b"empty").unwrap();
    txn.put(&[0xFF; 100], b"high").unwrap();
    assert_eq!(txn.scan(KeyRange::all(), Direction::Forward).unwrap().count(), 2);
    txn.delete_range(&KeyRange::all()).unwrap();
    assert_eq!(txn.scan(KeyRange::all(), Direction::Forward).unwrap().count(), 0);
    txn.commit().unwrap();
    assert!(db.catalog().schema("public").is_some());
    assert!(db.view().unwrap().catalog().schema("public").is_some());
}

#[test]
fn limits_and_read_only() {
    let db = Database::in_memory().unwrap();
    let txn = begin(&db);
    txn.put(&vec![1; 64 * 1024], b"x").unwrap();
    let error = txn.put(&vec![1; 64 * 1024 + 1], b"x").unwrap_err();
    assert_eq!(error.sqlstate(), "54000");
    let reader = db.begin(TxnOptions { read_only: true, ..Default::default() }).unwrap();
    assert_eq!(reader.put(b"a", b"b").unwrap_err().sqlstate(), "25006");
    assert_eq!(reader.create_schema("s").unwrap_err().sqlstate(), "25006");
    reader.commit().unwrap();
}

#[test]
fn serializable_reads_through_views_are_validated() {
    let db = Database::in_memory().unwrap();
    let options = TxnOptions { isolation: Isolation::Serializable, ..Default::default() };
    let (a, b) = (db.begin(options).unwrap(), db.begin(options).unwrap());
    assert_eq!(a.view().unwrap().scan(KeyRange::all(), Direction::Forward).unwrap().count(), 0);
    assert_eq!(b.view().unwrap().scan(KeyRange::all(), Direction::Forward).unwrap().count(), 0);
    a.put(b"a", b"").unwrap();
    b.put(b"b", b"").unwrap();
    a.commit().unwrap();
    let error = b.commit().unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(error.sqlstate(), "40001");
}
