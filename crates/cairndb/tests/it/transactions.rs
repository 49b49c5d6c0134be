//! Transactions over keys: isolation, savepoints, conflicts, retries.

use std::sync::Barrier;

use cairndb::{Database, Error, ErrorClass, IsolationLevel};

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    let db = Database::in_memory().unwrap();
    let tx = db.begin_transaction(IsolationLevel::Serializable).unwrap();
    tx.put(b"key", b"value").unwrap();
    assert_eq!(tx.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
    assert!(db.get(b"key").unwrap().is_none());
    tx.commit().unwrap();
    assert!(db.get(b"key").unwrap().is_some());
}

#[test]
fn rollback_and_drop_leave_nothing() {
    let db = Database::in_memory().unwrap();
    let tx = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    tx.put("a", "1").unwrap();
    tx.rollback().unwrap();
    let tx = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    tx.put("b", "1").unwrap();
    drop(tx);
    assert_eq!(db.get_range(..).unwrap().count(), 0);
}

#[test]
fn savepoints_nest() {
    let db = Database::in_memory().unwrap();
    db.put("base", "0").unwrap();
    let tx = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    tx.put("a", "1").unwrap();
    let outer = tx.savepoint().unwrap();
    tx.put("b", "2").unwrap();
    tx.delete("base").unwrap();
    let inner = tx.savepoint().unwrap();
    tx.delete_range(..).unwrap();
    assert_eq!(tx.get_range(..).unwrap().count(), 0);
    tx.rollback_to(&inner).unwrap();
    assert_eq!(tx.get_range(..).unwrap().count(), 2);
    tx.rollback_to(&outer).unwrap();
    tx.put("c", "3").unwrap();
    tx.commit().unwrap();
    let keys: Vec<_> = db.get_range(..).unwrap().map(|entry| entry.unwrap().0).collect();
    assert_eq!(keys, ["a", "base", "c"]);
}

#[test]
fn the_second_writer_of_a_key_meets_a_conflict() {
    let db = Database::in_memory().unwrap();
    let first = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    let second = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    first.put("key", "1").unwrap();
    second.put("key", "2").unwrap();
    first.commit().unwrap();
    let error = second.commit().unwrap_err();
    assert!(error.is_retryable());
    assert_eq!((error.class(), error.sqlstate()), (ErrorClass::Conflict, "40001"));
    assert_eq!(db.get("key").unwrap().as_deref(), Some(&b"1"[..]));
}

/// Write skew: each reads what the other writes. Snapshot allows it, serializable must not.
#[test]
fn serializable_refuses_write_skew() {
    for (level, allowed) in [(IsolationLevel::Snapshot, true), (IsolationLevel::Serializable, false)] {
        let db = Database::in_memory().unwrap();
        db.put("x", "1").unwrap();
        db.put("y", "1").unwrap();
        let first = db.begin_transaction(level).unwrap();
        let second = db.begin_transaction(level).unwrap();
        assert_eq!(first.get_range(..).unwrap().count(), 2);
        assert!(second.get("x").unwrap().is_some());
        first.put("x", "0").unwrap();
        second.put("y", "0").unwrap();
        first.commit().unwrap();
        assert_eq!(second.commit().is_ok(), allowed, "{level:?}");
    }
}

#[test]
fn transact_counts_right_under_contention() {
    const THREADS: usize = 4;
    const ROUNDS: u64 = 50;
    let db = Database::in_memory().unwrap();
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..ROUNDS {
                    db.transact(|tx| {
                        let now =
                            tx.get("count")?.map_or(0, |b| u64::from_le_bytes(b[..].try_into().unwrap()));
                        tx.put("count", (now + 1).to_le_bytes())
                    })
                    .unwrap();
                }
            });
        }
    });
    let count = db.get("count").unwrap().unwrap();
    assert_eq!(u64::from_le_bytes(count[..].try_into().unwrap()), THREADS as u64 * ROUNDS);
}

#[test]
fn an_error_of_the_closure_rolls_back_and_comes_out() {
    let db = Database::in_memory().unwrap();
    let mut runs = 0;
    let error = db
        .transact(|tx| {
            runs += 1;
            tx.put("key", "value")?;
            Err::<(), _>(Error::user("no seats left"))
        })
        .unwrap_err();
    assert_eq!((error.message(), runs), ("no seats left", 1));
    assert!(db.get("key").unwrap().is_none());
}

#[test]
fn iterators_of_a_transaction_outlive_it() {
    let db = Database::in_memory().unwrap();
    let tx = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    tx.put("own", "1").unwrap();
    let entries = tx.get_range(..).unwrap();
    tx.put("later", "2").unwrap();
    tx.rollback().unwrap();
    assert_eq!(entries.count(), 1);
}

/// Many tasks on one thread; the same in both builds.
#[test]
fn commits_are_awaited_without_a_thread_each() {
    use futures::executor::block_on;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Database::open(&path).unwrap();
    let commit = |key: u32| {
        let tx = db.begin_transaction(IsolationLevel::Serializable).unwrap();
        tx.put(key.to_be_bytes(), b"value").unwrap();
        tx.commit_async()
    };
    let results = block_on(futures::future::join_all((0..100).map(commit)));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(db.get_range(..).unwrap().count(), 100);
    // Never polled: never committed.
    drop(commit(1000));
    let both = [0, 1].map(|_| {
        let tx = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
        tx.put(b"same", b"value").unwrap();
        tx
    });
    let mut results = block_on(futures::future::join_all(both.map(cairndb::Transaction::commit_async)));
    results.sort_by_key(Result::is_err);
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().class(), ErrorClass::Conflict);
    db.close().unwrap();
    let db = Database::open(&path).unwrap();
    assert_eq!(db.get_range(..).unwrap().count(), 101);
    assert!(db.get(1000u32.to_be_bytes()).unwrap().is_none());
}
