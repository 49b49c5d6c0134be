//! What each level shows and refuses, one transaction's steps between another's, on one thread: nothing here waits.

use super::*;
use cairn_engine::ddl::Definitions;
use cairn_engine::{KeyLock, Wait};

fn open() -> Database {
    database(&Env::memory())
}

#[test]
fn a_statement_of_read_committed_sees_what_is_committed_when_it_begins() {
    for isolation in LEVELS {
        let db = open();
        let reader = begin(&db, isolation);
        assert_eq!(read(&reader, "t", 1).unwrap(), Some(10));
        let view = reader.view().unwrap();
        let writer = begin(&db, isolation);
        assert_eq!(update(&writer, "t", 1, Some(11)).unwrap(), 1);
        writer.put(b"k", b"1").unwrap();
        reader.begin_statement().unwrap();
        // G1a: what is not committed is not seen at any level.
        assert_eq!(read(&reader, "t", 1).unwrap(), Some(10));
        assert_eq!(reader.get(b"k").unwrap(), None);
        writer.commit().unwrap();
        assert_eq!(read(&reader, "t", 1).unwrap(), Some(10), "{isolation:?}: a statement keeps its snapshot");
        let committed = isolation == Isolation::ReadCommitted;
        assert_eq!(reader.get(b"k").unwrap().is_some(), committed, "{isolation:?}");
        assert_eq!(keys(&reader).len(), usize::from(committed));
        reader.begin_statement().unwrap();
        assert_eq!(read(&reader, "t", 1).unwrap(), Some(if committed { 11 } else { 10 }), "{isolation:?}");
        assert!(view.get(b"k").unwrap().is_none(), "views stay as they are");
        reader.commit().unwrap();
    }
}

#[test]
fn a_statement_of_read_committed_sees_new_definitions() {
    let db = open();
    let reader = begin(&db, Isolation::ReadCommitted);
    let savepoint = reader.savepoint().unwrap();
    let ddl = begin(&db, Isolation::ReadCommitted);
    simple_table(&ddl, "new", &[("v", DataType::Integer)]).unwrap();
    ddl.commit().unwrap();
    assert!(reader.catalog().table("public", "new").is_err());
    reader.begin_statement().unwrap();
    assert!(reader.catalog().table("public", "new").is_ok());
    // Going back to a savepoint from before does not bring the old definitions back.
    reader.rollback_to(savepoint).unwrap();
    insert(&reader, "new", 1, None).unwrap();
    reader.commit().unwrap();
    // DDL of two transactions, side by side, does not lose any of it.
    let (a, b) = (begin(&db, Isolation::ReadCommitted), begin(&db, Isolation::ReadCommitted));
    for (txn, name) in [(&a, "a"), (&b, "b")] {
        txn.lock_definitions(Definitions::Own(&[("public".to_owned(), name.to_owned())])).unwrap();
        simple_table(txn, name, &[]).unwrap();
    }
    a.commit().unwrap();
    b.begin_statement().unwrap();
    assert!(b.catalog().table("public", "b").is_ok() && b.catalog().table("public", "a").is_ok());
    b.commit().unwrap();
    let both = |catalog: &cairn_engine::Catalog| {
        ["a", "b", "new"].iter().all(|name| catalog.table("public", name).is_ok())
    };
    assert!(both(&db.catalog()) && both(&begin(&db, Isolation::Snapshot).catalog()));
    // A name that it has taken away it may give again.
    let again = begin(&db, Isolation::ReadCommitted);
    again.lock_definitions(Definitions::Own(&[("public".to_owned(), "x".to_owned())])).unwrap();
    again.rename_table("public", "a", "x").unwrap();
    simple_table(&again, "a", &[]).unwrap();
    again.commit().unwrap();
    assert!(both(&db.catalog()) && db.catalog().table("public", "x").is_ok());
    // At the levels that do not wait the second is refused.
    let (a, b) = (begin(&db, Isolation::Snapshot), begin(&db, Isolation::Serializable));
    simple_table(&a, "c", &[]).unwrap();
    simple_table(&b, "d", &[]).unwrap();
    a.commit().unwrap();
    assert_eq!(outcome(&b.commit()), "40001");
}

/// P4: two read a value, both write it.
#[test]
fn lost_updates() {
    for isolation in LEVELS {
        let db = open();
        let (a, b) = (begin(&db, isolation), begin(&db, isolation));
        assert_eq!((read(&a, "t", 1).unwrap(), read(&b, "t", 1).unwrap()), (Some(10), Some(10)));
        assert_eq!(update(&a, "t", 1, Some(11)).unwrap(), 1);
        a.commit().unwrap();
        // As a session does it: the statement of Read Committed begins anew and finds what `a` left.
        let second = statement(&b, || update(&b, "t", 1, Some(12))).and_then(|_| b.commit());
        let wanted = if isolation == Isolation::ReadCommitted { "ok" } else { "40001" };
        assert_eq!(outcome(&second), wanted, "{isolation:?}");
        // Without a new statement the level says so instead of overwriting.
        let (a, b) = (begin(&db, isolation), begin(&db, isolation));
        update(&a, "t", 2, Some(21)).unwrap();
        a.commit().unwrap();
        let second = update(&b, "t", 2, Some(22)).and_then(|_| b.commit().map(|_| 0));
        assert_eq!(outcome(&second), "40001");
        let rows_changed = matches!(second, Err(Error::RowsChanged));
        assert_eq!(rows_changed, isolation == Isolation::ReadCommitted);
    }
}

/// Rows that changed are told by `lock_rows`, and then written as they are now.
#[test]
fn changed_rows_are_locked_told_and_looked_at_again() {
    let db = open();
    let (a, b) = (begin(&db, Isolation::ReadCommitted), begin(&db, Isolation::ReadCommitted));
    update(&a, "t", 1, Some(11)).unwrap();
    delete(&a, "t", 2).unwrap();
    a.commit().unwrap();
    let table = table_of(&b, "t");
    let ids = [row_key(1), row_key(2), row_key(3)];
    let lock = || table::lock_rows(&b, &table, &ids, KeyLock::NoKeyUpdate, Wait::Block).unwrap();
    let locked = lock();
    use cairn_engine::table::RowLock::{Changed, Gone, Unchanged};
    assert_eq!(locked.rows, [Changed, Gone, Unchanged]);
    let now = table::get(&locked.view, &table, &ids, &[1]).unwrap();
    assert_eq!(now.found, [0, 2]);
    assert_eq!(Value::from_array(now.batch.column(0).as_ref(), 0, &DataType::Integer), Value::Integer(11));
    // Asked again within the statement it says the same; in the next statement nothing has changed.
    assert_eq!(lock().rows, [Changed, Gone, Unchanged]);
    assert_eq!(update(&b, "t", 1, Some(12)).unwrap(), 1);
    assert_eq!(delete(&b, "t", 2).unwrap(), 0);
    b.begin_statement().unwrap();
    assert!(table::lock_rows(&b, &table, &ids[..1], KeyLock::Update, Wait::Block).unwrap().are_unchanged());
    b.commit().unwrap();
    let c = begin(&db, Isolation::Snapshot);
    assert_eq!((read(&c, "t", 1).unwrap(), read(&c, "t", 2).unwrap()), (Some(12), None));
    for isolation in [Isolation::RepeatableRead, Isolation::Snapshot, Isolation::Serializable] {
        let late = begin(&db, isolation);
        let first = begin(&db, Isolation::ReadCommitted);
        update(&first, "t", 3, Some(31)).unwrap();
        first.commit().unwrap();
        let refused = table::lock_rows(&late, &table, &ids[2..], KeyLock::Share, Wait::Block);
        assert_eq!(outcome(&refused), "40001", "{isolation:?}");
    }
}

/// Write skew over keys and over rows, by key and by predicate, is refused at Serializable only.
#[test]
fn write_skew_and_phantoms() {
    for isolation in LEVELS {
        let serializable = isolation == Isolation::Serializable;
        let db = open();
        let (a, b) = (begin(&db, isolation), begin(&db, isolation));
        for txn in [&a, &b] {
            txn.begin_statement().unwrap();
            assert_eq!((read(txn, "t", 1).unwrap(), read(txn, "t", 2).unwrap()), (Some(10), Some(20)));
        }
        update(&a, "t", 1, Some(-10)).unwrap();
        update(&b, "t", 2, Some(-20)).unwrap();
        a.commit().unwrap();
        assert_eq!(b.commit().is_err(), serializable, "{isolation:?}: G2-item");
        let (a, b) = (begin(&db, isolation), begin(&db, isolation));
        for (txn, key) in [(&a, b"a"), (&b, b"b")] {
            assert!(keys(txn).is_empty());
            txn.put(key, b"1").unwrap();
        }
        a.commit().unwrap();
        assert_eq!(b.commit().is_err(), serializable, "{isolation:?}: G2");
    }
}

/// A reader that writes nothing goes through at any level, whatever others do meanwhile, and sees one state.
#[test]
fn a_read_only_serializable_transaction_never_fails() {
    let db = open();
    let reader = begin(&db, Isolation::Serializable);
    assert_eq!(read(&reader, "t", 1).unwrap(), Some(10));
    for v in 0..5 {
        let writer = begin(&db, Isolation::Serializable);
        update(&writer, "t", 1, Some(v)).unwrap();
        update(&writer, "t", 2, Some(v)).unwrap();
        writer.commit().unwrap();
    }
    assert_eq!((read(&reader, "t", 1).unwrap(), read(&reader, "t", 2).unwrap()), (Some(10), Some(20)));
    assert!(db.locks().is_empty());
    reader.commit().unwrap();
}

#[test]
fn savepoints_give_back_the_locks_taken_since() {
    let db = open();
    let a = begin(&db, Isolation::ReadCommitted);
    update(&a, "t", 1, Some(11)).unwrap();
    let outer = a.savepoint().unwrap();
    update(&a, "t", 2, Some(21)).unwrap();
    let inner = a.savepoint().unwrap();
    update(&a, "t", 3, Some(31)).unwrap();
    delete(&a, "t", 1).unwrap();
    let table = table_of(&a, "t");
    let free = |id: i32| {
        let other = begin(&db, Isolation::ReadCommitted);
        table::lock_rows(&other, &table, &[row_key(id)], KeyLock::KeyShare, Wait::NoWait).is_ok()
    };
    // FOR KEY SHARE goes with updates that leave the key alone, not with a delete.
    assert!(!free(1) && free(2) && free(3));
    let taken = |id: i32| {
        let other = begin(&db, Isolation::ReadCommitted);
        let locked = table::lock_rows(&other, &table, &[row_key(id)], KeyLock::Share, Wait::NoWait);
        outcome(&locked)
    };
    a.rollback_to(inner).unwrap();
    assert!(free(1), "only the update of 1 is left");
    assert_eq!((taken(1), taken(2), taken(3)), ("55P03", "55P03", "ok"));
    // A released savepoint keeps its locks; going back to the outer one gives them back.
    let released = a.savepoint().unwrap();
    update(&a, "t", 3, Some(32)).unwrap();
    a.release(released);
    assert_eq!(taken(3), "55P03");
    a.rollback_to(outer).unwrap();
    assert_eq!((taken(1), taken(2), taken(3)), ("55P03", "ok", "ok"));
    // A statement that fails gives back what it took.
    assert_eq!(outcome(&insert(&a, "t", 3, None)), "23505");
    assert_eq!(taken(3), "ok");
    drop(a);
    assert_eq!(taken(1), "ok");
    assert!(db.locks().is_empty());
}

#[test]
fn a_panic_frees_everything() {
    let db = open();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let a = begin(&db, Isolation::RepeatableRead);
        update(&a, "t", 1, Some(11)).unwrap();
        a.put(b"k", b"v").unwrap();
        assert_eq!(db.locks().len(), 3);
        panic!("on purpose");
    }));
    assert!(panicked.is_err() && db.locks().is_empty());
    let b = begin(&db, Isolation::RepeatableRead);
    assert_eq!(update(&b, "t", 1, Some(12)).unwrap(), 1);
    b.commit().unwrap();
}

#[test]
fn the_past_has_its_own_rows_and_definitions() {
    let db = open();
    let then = db.last_committed();
    let txn = begin(&db, Isolation::RepeatableRead);
    delete(&txn, "t", 1).unwrap();
    txn.rename_column("public", "t", "v", "w").unwrap();
    txn.commit().unwrap();
    let past = db.snapshot_at(cairn_engine::AsOf::Commit(then)).unwrap();
    let table = past.catalog().table("public", "t").unwrap();
    assert!(table.column("v").is_ok() && table.column("w").is_err());
    assert_eq!(crate::support::all_rows(&past, &table).unwrap().len(), 3);
    assert_eq!(db.snapshots().len(), 1);
    assert_eq!(outcome(&db.snapshot_at(cairn_engine::AsOf::Commit(then + 100))), "XX000");
    drop(past);
    db.flush().unwrap();
    db.compact().unwrap();
    assert_eq!(outcome(&db.snapshot_at(cairn_engine::AsOf::Commit(then))), "72000");
}
