//! Who waits for whom, and what it finds then. The clients of one world act at known simulated milliseconds.

use super::*;
use cairn_engine::table::RowLock;
use cairn_engine::{AdvisoryKey, KeyLock, ObjectLock, Wait};
use std::time::Duration;

fn client(work: impl FnOnce(&Here) + Send + 'static) -> Client {
    Box::new(work)
}

/// `v` = 11 at millisecond 0, ended at 10.
fn first(commits: bool) -> Client {
    client(move |here| {
        let txn = here.begin(Isolation::ReadCommitted);
        update(&txn, "t", 1, Some(11)).unwrap();
        here.pause(10);
        here.say("first ends");
        if commits {
            txn.commit().unwrap();
        } else {
            txn.rollback();
        }
    })
}

#[test]
fn a_writer_waits_and_goes_on_from_what_it_finds() {
    let world = World::new(1);
    for (isolation, commits, wanted, left) in [
        (Isolation::ReadCommitted, true, "ok", 111),
        (Isolation::ReadCommitted, false, "ok", 110),
        (Isolation::RepeatableRead, true, "40001", 11),
        (Isolation::RepeatableRead, false, "ok", 110),
        // Optimistic ones wait at their commit.
        (Isolation::Snapshot, true, "40001", 11),
        (Isolation::Snapshot, false, "ok", 110),
        (Isolation::Serializable, true, "40001", 11),
        (Isolation::Serializable, false, "ok", 110),
    ] {
        let reset = begin(&world.db, Isolation::Snapshot);
        update(&reset, "t", 1, Some(10)).unwrap();
        reset.commit().unwrap();
        let second = client(move |here| {
            here.pause(5);
            let txn = here.begin(isolation);
            // UPDATE t SET v = v + 100 WHERE id = 1, as a session runs it.
            let table = table_of(&txn, "t");
            let old = read(&txn, "t", 1).unwrap().unwrap();
            assert_eq!(old, 10);
            let done = if isolation.is_locking() {
                table::lock_rows(&txn, &table, &[row_key(1)], KeyLock::NoKeyUpdate, Wait::Block).and_then(
                    |locked| {
                        let old = match locked.rows[0] {
                            RowLock::Changed => {
                                let now = table::get(&locked.view, &table, &[row_key(1)], &[1])?;
                                match Value::from_array(now.batch.column(0).as_ref(), 0, &DataType::Integer) {
                                    Value::Integer(v) => v,
                                    other => panic!("{other:?}"),
                                }
                            }
                            _ => old,
                        };
                        update(&txn, "t", 1, Some(old + 100))
                    },
                )
            } else {
                update(&txn, "t", 1, Some(old + 100))
            };
            let outcome = outcome(&done.and_then(|_| txn.commit()));
            here.say(format!("second: {outcome}"));
        });
        let lines = world.run(vec![first(commits), second]);
        assert_eq!(lines, ["first ends".to_owned(), format!("second: {wanted}")], "{isolation:?} {commits}");
        let after = begin(&world.db, Isolation::Snapshot);
        assert_eq!(read(&after, "t", 1).unwrap(), Some(left), "{isolation:?} {commits}");
    }
}

#[test]
fn keys_wait_as_rows_do_and_readers_never() {
    let world = World::new(2);
    for isolation in LEVELS {
        let lines = world.run(vec![
            client(|here| {
                let txn = here.begin(Isolation::ReadCommitted);
                txn.put(b"k", b"1").unwrap();
                update(&txn, "t", 2, Some(1)).unwrap();
                here.pause(10);
                here.say("first ends");
                txn.commit().unwrap();
            }),
            client(move |here| {
                here.pause(3);
                let txn = here.begin(isolation);
                txn.get(b"k").unwrap();
                keys(&txn);
                read(&txn, "t", 2).unwrap();
                txn.commit().unwrap();
                here.say("reader done");
            }),
            client(move |here| {
                here.pause(5);
                let txn = here.begin(isolation);
                let done = txn.put(b"k", b"2").and_then(|()| txn.commit());
                here.say(format!("second: {}", outcome(&done)));
            }),
        ]);
        let wanted = if isolation == Isolation::ReadCommitted { "second: ok" } else { "second: 40001" };
        assert_eq!(lines, ["reader done", "first ends", wanted], "{isolation:?}");
    }
    // Read, add, write: with the lock taken first nothing is lost.
    let add = |pause| {
        client(move |here| {
            here.pause(pause);
            let txn = here.begin(Isolation::ReadCommitted);
            let old = txn.get_for_update(b"n").unwrap().map_or(0, |bytes| bytes[0]);
            here.pause(7);
            txn.put(b"n", &[old + 1]).unwrap();
            txn.commit().unwrap();
        })
    };
    world.run((0..5).map(add).collect());
    assert_eq!(world.db.view().unwrap().get(b"n").unwrap().as_deref(), Some(&[5][..]));
}

#[test]
fn a_deadlock_of_rows_has_one_victim_and_says_who_waits_for_whom() {
    let world = World::new(3);
    let crosswise = |isolation, mine: i32, other: i32, pause| {
        client(move |here| {
            let txn = here.begin(isolation);
            update(&txn, "t", mine, Some(mine)).unwrap();
            here.pause(pause);
            let before = here.env.clock().monotonic_nanos();
            let done = statement(&txn, || update(&txn, "t", other, Some(mine)));
            if let Err(error @ Error::Deadlock { .. }) = &done {
                assert!(error.is_retryable());
                assert!(here.env.clock().monotonic_nanos() - before < 1_000_000, "found at once");
                let detail = error.detail().unwrap();
                let owner = txn.lock_owner().unwrap();
                assert!(
                    detail.starts_with(&format!("Transaction {owner} waits for For No Key Update on row "))
                );
                assert_eq!(detail.lines().count(), 2, "{detail}");
            }
            here.say(outcome(&done.and_then(|_| txn.commit())));
        })
    };
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let lines = world.run(vec![crosswise(isolation, 1, 2, 5), crosswise(isolation, 2, 1, 10)]);
        // The victim gives way; then Read Committed goes on, and Repeatable Read too, since it rolled back.
        assert_eq!(lines, ["40P01", "ok"], "{isolation:?}");
    }
}

#[test]
fn nowait_skip_locked_timeouts_and_cancellation() {
    let world = World::new(4);
    let lines = world.run(vec![
        first(true),
        client(|here| {
            here.pause(1);
            let txn = here.begin(Isolation::ReadCommitted);
            let table = table_of(&txn, "t");
            let ids = [row_key(1), row_key(2)];
            let nowait = table::lock_rows(&txn, &table, &ids, KeyLock::Update, Wait::NoWait).unwrap_err();
            assert_eq!(nowait.sqlstate(), "55P03");
            assert_eq!(nowait.to_string(), "could not obtain lock on row in relation \"t\"");
            let skip = table::lock_rows(&txn, &table, &ids, KeyLock::Update, Wait::SkipLocked).unwrap();
            assert_eq!(skip.rows, [RowLock::Skipped, RowLock::Unchanged]);
            txn.set_lock_timeout(Some(Duration::from_millis(2))).unwrap();
            assert_eq!(outcome(&update(&txn, "t", 1, None)), "55P03");
            here.say("timed out");
        }),
        client(|here| {
            here.pause(1);
            let session = here.db.session();
            let cancel = session.cancel_handle();
            let options = TxnOptions { isolation: Isolation::RepeatableRead, ..Default::default() };
            let txn = here.db.begin_in(&session, options).unwrap();
            let task = here.env.tasks();
            let mut pauses = 0;
            let env = here.env.clone();
            let trip = Box::new(move || {
                pauses += 1;
                if pauses == 1 {
                    return cairn_env::Step::IdleFor(Duration::from_millis(5));
                }
                let _ = &env;
                cancel.cancel();
                cairn_env::Step::Done
            });
            let task = task.spawn("canceller", trip).unwrap();
            assert_eq!(outcome(&update(&txn, "t", 1, None)), "57014");
            here.say("cancelled");
            session.cancel_handle().reset();
            drop(task);
            txn.rollback();
        }),
    ]);
    assert_eq!(lines, ["timed out", "cancelled", "first ends"]);
}

#[test]
fn definitions_and_rows_wait_for_each_other() {
    let world = World::new(5);
    let isolation = Isolation::ReadCommitted;
    let lines = world.run(vec![
        client(move |here| {
            let txn = here.begin(isolation);
            insert(&txn, "t", 7, Some(70)).unwrap();
            here.pause(10);
            here.say("rows");
            txn.commit().unwrap();
        }),
        client(move |here| {
            here.pause(5);
            let txn = here.begin(isolation);
            txn.create_index(&unique_index("v")).unwrap();
            here.pause(20);
            here.say("index");
            txn.commit().unwrap();
        }),
        client(move |here| {
            // Waits for the index, which it does not know yet: the statement has to begin anew.
            here.pause(15);
            let txn = here.begin(isolation);
            let table = table_of(&txn, "t");
            assert!(txn.lock_table(table.id, ObjectLock::RowExclusive, Wait::Block).unwrap());
            txn.begin_statement().unwrap();
            assert_eq!(table_of(&txn, "t").indexes.len(), 1);
            assert_eq!(outcome(&insert(&txn, "t", 8, Some(70))), "23505");
            insert(&txn, "t", 8, Some(80)).unwrap();
            txn.commit().unwrap();
            here.say("more rows");
        }),
    ]);
    assert_eq!(lines, ["rows", "index", "more rows"]);
}

pub(crate) fn unique_index(column: &str) -> cairn_engine::ddl::IndexSpec {
    let columns = vec![cairn_engine::ddl::IndexColumnSpec::ascending(column)];
    let (schema, table, kind) = ("public".into(), "t".into(), "btree".into());
    cairn_engine::ddl::IndexSpec {
        schema,
        table,
        name: None,
        kind,
        columns,
        unique: true,
        ..Default::default()
    }
}

#[test]
fn advisory_locks_of_sessions_and_transactions() {
    let db = database(&Env::memory());
    let (a, b) = (db.session(), db.session());
    let key = AdvisoryKey::One(-5);
    let options = TxnOptions::default();
    let txn = db.begin_in(&a, options).unwrap();
    assert!(txn.lock_advisory(key, false, Wait::NoWait).unwrap());
    // One owner: the session and its transaction do not exclude each other, and end apart.
    assert!(a.lock_advisory(key, false, Wait::NoWait).unwrap());
    assert!(a.lock_advisory(key, false, Wait::NoWait).unwrap());
    txn.commit().unwrap();
    assert!(!b.lock_advisory(key, true, Wait::SkipLocked).unwrap());
    assert!(b.lock_advisory(AdvisoryKey::Two(-1, -5), false, Wait::SkipLocked).unwrap());
    assert!(a.unlock_advisory(key, false));
    assert!(!b.lock_advisory(key, true, Wait::SkipLocked).unwrap(), "taken twice, given back once");
    assert!(a.unlock_advisory(key, false) && !a.unlock_advisory(key, false));
    assert!(b.lock_advisory(key, true, Wait::SkipLocked).unwrap());
    assert!(a.lock_advisory(key, true, Wait::SkipLocked).unwrap());
    let listed = db.locks();
    assert_eq!(listed.iter().filter(|lock| lock.session && lock.granted).count(), 3, "{listed:?}");
    drop(b);
    a.unlock_all();
    assert!(db.locks().is_empty());
}

#[test]
fn the_list_of_locks_tells_who_waits_for_whom() {
    let world = World::new(6);
    world.run(vec![
        first(true),
        client(|here| {
            here.pause(1);
            let txn = here.begin(Isolation::ReadCommitted);
            statement(&txn, || update(&txn, "t", 1, Some(5))).unwrap();
            txn.commit().unwrap();
        }),
        client(|here| {
            here.pause(2);
            let locks = here.db.locks();
            let waiting: Vec<_> = locks.iter().filter(|lock| !lock.granted).collect();
            assert_eq!(waiting.len(), 1, "{locks:?}");
            let holder = locks.iter().find(|lock| lock.granted && lock.target == waiting[0].target).unwrap();
            assert_eq!(waiting[0].blocked_by, [holder.owner]);
            let thing = cairn_engine::LockedThing::of(&holder.target);
            let table = here.db.catalog().table("public", "t").unwrap();
            let row = cairn_engine::LockedThing::Row { table: table.id, index: 0, key: row_key(1) };
            assert_eq!(thing, row, "{thing}");
            assert!(here.db.stats().lock_bytes > 0);
        }),
    ]);
}
