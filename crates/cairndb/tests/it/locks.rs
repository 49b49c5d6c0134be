//! Isolation levels and locks over keys, on real threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cairndb::{Database, ErrorClass, IsolationLevel, KeyLock, Wait, WriteBatch};

const LEVELS: [IsolationLevel; 5] = [
    IsolationLevel::ReadUncommitted,
    IsolationLevel::ReadCommitted,
    IsolationLevel::RepeatableRead,
    IsolationLevel::Snapshot,
    IsolationLevel::Serializable,
];

#[test]
fn what_each_level_sees_of_another_commit() {
    for level in LEVELS {
        let db = Database::in_memory().unwrap();
        db.put("k", "old").unwrap();
        let tx = db.begin_transaction(level).unwrap();
        assert_eq!(tx.get("k").unwrap().unwrap(), "old");
        let other = db.begin_transaction(level).unwrap();
        other.put("k", "new").unwrap();
        assert_eq!(tx.get("k").unwrap().unwrap(), "old", "{level:?}: not committed");
        other.commit().unwrap();
        let each_call = matches!(level, IsolationLevel::ReadUncommitted | IsolationLevel::ReadCommitted);
        assert_eq!(tx.get("k").unwrap().unwrap(), if each_call { "new" } else { "old" }, "{level:?}");
        let scanned = tx.get_range(..).unwrap().next().unwrap().unwrap().1;
        assert_eq!(scanned, if each_call { "new" } else { "old" }, "{level:?}");
        // The write after the other's commit: Repeatable Read says so now, the optimistic levels at commit.
        let put = tx.put("k", "mine");
        assert_eq!(put.is_err(), level == IsolationLevel::RepeatableRead, "{level:?}");
        if put.is_ok() {
            let refused = tx.commit().is_err();
            let optimistic = matches!(level, IsolationLevel::Snapshot | IsolationLevel::Serializable);
            assert_eq!(refused, optimistic, "{level:?}");
        }
    }
}

/// Threads add to one number under a lock, others with `transact`, others by plain calls on other keys: nothing is lost.
#[test]
fn waiting_and_retrying_writers_lose_nothing() {
    let db = Database::in_memory().unwrap();
    let number =
        |bytes: Option<cairndb::Bytes>| bytes.map_or(0, |b| u32::from_le_bytes(b[..].try_into().unwrap()));
    std::thread::scope(|threads| {
        for own in 0..4 {
            let db = &db;
            threads.spawn(move || {
                for round in 0..50u32 {
                    if own % 2 == 0 {
                        let level = IsolationLevel::ReadCommitted;
                        let tx = db.begin_transaction(level).unwrap();
                        let n = number(tx.get_for_update("n").unwrap());
                        tx.put("n", (n + 1).to_le_bytes()).unwrap();
                        tx.commit().unwrap();
                    } else {
                        // More patience than `transact` has by itself: the lockers above never give way.
                        let add = |tx: &cairndb::Transaction| {
                            let n = number(tx.get("n")?);
                            tx.put("n", (n + 1).to_le_bytes())
                        };
                        while let Err(error) = db.transact(add) {
                            assert!(error.is_retryable(), "{error}");
                        }
                    }
                    db.put([own as u8, 1], round.to_le_bytes()).unwrap();
                }
            });
        }
    });
    assert_eq!(number(db.get("n").unwrap()), 200);
    assert!(db.key_locks().is_empty());
}

#[test]
fn a_deadlock_ends_one_and_the_other_goes_on() {
    let db = Database::in_memory().unwrap();
    let (barrier, victims) = (Barrier::new(2), AtomicU32::new(0));
    std::thread::scope(|threads| {
        for (mine, other) in [("a", "b"), ("b", "a")] {
            let (db, barrier, victims) = (&db, &barrier, &victims);
            threads.spawn(move || {
                let tx = db.begin_transaction(IsolationLevel::ReadCommitted).unwrap();
                tx.put(mine, "1").unwrap();
                barrier.wait();
                match tx.put(other, "1") {
                    Ok(()) => drop(tx.commit().unwrap()),
                    Err(error) => {
                        assert_eq!((error.sqlstate(), error.class()), ("40P01", ErrorClass::Conflict));
                        let owner = tx.lock_owner().unwrap();
                        let start = format!("Transaction {owner} waits for For No Key Update on key ");
                        assert!(error.detail().unwrap().starts_with(&start), "{error}");
                        victims.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(victims.load(Ordering::SeqCst), 1);
}

#[test]
fn waits_can_be_avoided_bounded_and_cancelled() {
    let db = Database::in_memory().unwrap();
    let holder = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    assert!(holder.lock_key("k", KeyLock::Share, Wait::Block).unwrap());
    let tx = db.begin_transaction(IsolationLevel::ReadCommitted).unwrap();
    assert!(tx.lock_key("k", KeyLock::Share, Wait::NoWait).unwrap(), "shared");
    assert!(!tx.lock_key("k", KeyLock::Update, Wait::SkipLocked).unwrap());
    assert_eq!(tx.lock_key("k", KeyLock::Update, Wait::NoWait).unwrap_err().sqlstate(), "55P03");
    tx.set_lock_timeout(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(tx.put("k", "v").unwrap_err().sqlstate(), "55P03");
    tx.set_lock_timeout(None).unwrap();
    let cancel = tx.cancel_handle().unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| cancel.cancel());
        assert_eq!(tx.put("k", "v").unwrap_err().sqlstate(), "57014");
    });
    let held = db.key_locks();
    assert!(held.iter().all(|(key, lock)| key == "k" && lock.granted) && held.len() == 2, "{held:?}");
    // Going back to a savepoint gives back what was locked since.
    let savepoint = holder.savepoint().unwrap();
    holder.put("other", "1").unwrap();
    assert!(holder.lock_key("third", KeyLock::Update, Wait::Block).unwrap());
    assert_eq!(db.key_locks().len(), 3);
    holder.rollback_to(&savepoint).unwrap();
    assert_eq!(db.key_locks().len(), 2);
    drop(holder);
    cancel.reset();
    tx.put("k", "v").unwrap();
    tx.commit().unwrap();
    assert_eq!(db.get("k").unwrap().unwrap(), "v");
}

/// Batches of both keys against lockers of both, in the other order: nobody is refused, and each batch shows whole.
#[test]
fn batches_wait_for_whoever_has_locked() {
    let db = Database::in_memory().unwrap();
    let both = |value: &str| {
        let mut batch = WriteBatch::new();
        batch.put("b", value).unwrap();
        batch.put("a", value).unwrap();
        batch
    };
    db.write(both("start")).unwrap();
    // Held up, it is seen waiting; then it wins.
    let tx = db.begin_transaction(IsolationLevel::ReadCommitted).unwrap();
    tx.put("a", "locked").unwrap();
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| db.write(both("batch")).unwrap());
        while db.key_locks().iter().all(|(_, lock)| lock.granted) {
            std::thread::yield_now();
        }
        let seen = tx.commit().unwrap();
        assert!(waiting.join().unwrap() > seen);
    });
    assert_eq!(
        (db.get("a").unwrap().unwrap(), db.get("b").unwrap().unwrap()),
        ("batch".into(), "batch".into())
    );
    std::thread::scope(|threads| {
        for own in 0..4 {
            let (db, both) = (&db, &both);
            threads.spawn(move || {
                for round in 0..50 {
                    let name = format!("{own}.{round}");
                    if own % 2 == 0 {
                        db.write(both(&name)).unwrap();
                        continue;
                    }
                    let tx = db.begin_transaction(IsolationLevel::ReadCommitted).unwrap();
                    let taken = tx.put("b", &name).and_then(|()| tx.put("a", &name));
                    match taken {
                        Ok(()) => drop(tx.commit().unwrap()),
                        // Against a batch that has one and waits for the other, whoever comes last gives way.
                        Err(error) => assert_eq!(error.sqlstate(), "40P01", "{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(db.get("a").unwrap(), db.get("b").unwrap());
    assert!(db.key_locks().is_empty());
}
