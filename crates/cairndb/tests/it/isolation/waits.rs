//! SQL sessions that wait: what they find then, that nothing is lost or done twice, and that nobody's thread is missing.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use cairndb::{Database, Outcome, Session};
use futures::task::LocalSpawnExt;

fn run(session: &mut Session, sql: &str) -> Result<Vec<String>, String> {
    let rows = match session.run(sql) {
        Ok(Outcome::Command { .. }) => return Ok(Vec::new()),
        Ok(Outcome::Rows(rows)) => rows.collect_rows(),
        Err(error) => Err(error),
    };
    let text = |row: &cairndb::Row| row.text(0).unwrap().unwrap_or_default();
    rows.map(|rows| rows.iter().map(text).collect()).map_err(|error| error.sqlstate().to_owned())
}

fn table() -> Database {
    let db = Database::in_memory().unwrap();
    db.execute("create table t (id int primary key, v int)", &[]).unwrap();
    db.execute("insert into t values (1, 0), (2, 0)", &[]).unwrap();
    db
}

#[test]
fn increments_of_single_statements_and_blocks_are_never_lost_nor_refused() {
    let db = table();
    std::thread::scope(|threads| {
        for own in 0..4 {
            let db = &db;
            threads.spawn(move || {
                let mut session = db.session();
                for _ in 0..25 {
                    if own % 2 == 0 {
                        run(&mut session, "update t set v = v + 1 where id = 1").unwrap();
                        continue;
                    }
                    run(&mut session, "begin").unwrap();
                    run(&mut session, "select v from t where id = 1 for no key update").unwrap();
                    run(
                        &mut session,
                        "insert into t values (1, 9) on conflict (id) do update set v = t.v + 1",
                    )
                    .unwrap();
                    run(&mut session, "commit").unwrap();
                }
            });
        }
    });
    assert_eq!(run(&mut db.session(), "select v from t where id = 1").unwrap(), ["100"]);
}

#[test]
fn each_job_of_a_queue_is_taken_once() {
    let db = Database::in_memory().unwrap();
    db.execute("create table jobs (id int primary key)", &[]).unwrap();
    db.execute("insert into jobs select * from generate_series(1, 60)", &[]).unwrap();
    let taken = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut session = db.session();
                loop {
                    let job = run(
                        &mut session,
                        "delete from jobs where id = \
                         (select id from jobs order by id limit 1 for update skip locked) returning id",
                    )
                    .unwrap();
                    match job.first() {
                        Some(job) => taken.lock().unwrap().push(job.parse::<u32>().unwrap()),
                        // All are taken, though some may not be gone yet.
                        None => return,
                    }
                }
            });
        }
    });
    let taken = taken.into_inner().unwrap();
    assert_eq!(taken.len(), 60, "{taken:?}");
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), (1..=60).collect());
}

#[test]
fn a_block_that_idles_too_long_is_rolled_back_and_gives_its_locks_back() {
    let db = table();
    let (mut idle, mut other) = (db.session(), db.session());
    for sql in [
        "begin",
        "select pg_advisory_lock(1)",
        "update t set v = 7",
        "set idle_in_transaction_session_timeout = 50",
    ] {
        run(&mut idle, sql).unwrap();
    }
    // It waits until the time of the other is over.
    assert_eq!(run(&mut other, "select v from t where id = 1 for update").unwrap(), ["0"]);
    assert_eq!(run(&mut other, "select pg_advisory_lock(1)").unwrap(), [""]);
    assert_eq!(run(&mut idle, "select v from t"), Err("25P03".to_owned()));
    assert_eq!(run(&mut idle, "select v from t where id = 1").unwrap(), ["0"]);
    assert_eq!(run(&mut idle, "show idle_in_transaction_session_timeout").unwrap(), ["0"]);
}

/// Waiting tasks block neither the executor's only thread nor those on which queries run, however many wait.
#[test]
fn tasks_of_one_thread_may_all_wait() {
    let db = table();
    let mut holder = db.session();
    for sql in ["begin", "select pg_advisory_lock(1)", "update t set v = v + 1"] {
        run(&mut holder, sql).unwrap();
    }
    let (mut pool, done) = (futures::executor::LocalPool::new(), AtomicU32::new(0));
    let done: &'static AtomicU32 = Box::leak(Box::new(done));
    for n in 0..24 {
        let db = db.clone();
        let waiter = async move {
            let sql = if n % 2 == 0 { "update t set v = v + 1" } else { "select pg_advisory_lock(1)" };
            let mut session = db.session();
            session.run_async(sql).await.unwrap();
            done.fetch_add(1, Ordering::SeqCst);
        };
        pool.spawner().spawn_local(waiter).unwrap();
    }
    pool.run_until_stalled();
    assert_eq!(done.load(Ordering::SeqCst), 0);
    pool.spawner()
        .spawn_local(async move {
            holder.run_async("commit").await.unwrap();
            holder.run_async("select pg_advisory_unlock(1)").await.unwrap();
        })
        .unwrap();
    pool.run();
    assert_eq!(done.load(Ordering::SeqCst), 24);
    assert_eq!(run(&mut db.session(), "select v from t where id = 1").unwrap(), ["13"]);
    assert_eq!(run(&mut db.session(), "select count(*) from pg_locks").unwrap(), ["0"]);
}

#[test]
fn who_waits_for_whom_is_shown() {
    let db = table();
    let (mut holder, mut waiter) = (db.session(), db.session());
    run(&mut holder, "begin").unwrap();
    run(&mut holder, "select id from t where id = 1 for update").unwrap();
    let [holds, waits] =
        [&mut holder, &mut waiter].map(|session| run(session, "select pg_backend_pid()").unwrap());
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| run(&mut waiter, "update t set v = 1 where id = 1"));
        let mut looker = db.session();
        let blockers = format!("select pg_blocking_pids({})", waits[0]);
        while run(&mut looker, &blockers).unwrap() != [format!("{{{}}}", holds[0])] {
            std::thread::yield_now();
        }
        let waiting_for = "select mode from pg_locks where not granted";
        assert_eq!(run(&mut looker, waiting_for).unwrap(), ["For No Key Update"]);
        run(&mut holder, "commit").unwrap();
        waiting.join().unwrap().unwrap();
    });
}

/// Blocks that change definitions of different tables do so side by side, and all of it is there afterwards, also when the
/// database is opened again.
#[test]
fn definitions_of_different_tables_do_not_conflict() {
    let directory = tempfile::tempdir().unwrap();
    let options = || cairndb::OpenOptions::new().sync(cairndb::SyncMode::None);
    let db = Database::open_with(directory.path().join("db"), options()).unwrap();
    let mut keeper = db.session();
    run(&mut keeper, "begin").unwrap();
    run(&mut keeper, "create table kept (id serial primary key)").unwrap();
    std::thread::scope(|threads| {
        for own in 0..3 {
            let db = &db;
            threads.spawn(move || {
                let mut session = db.session();
                for round in 0..4 {
                    let name = format!("own_{own}_{round}");
                    for sql in [
                        "begin",
                        &format!("create table {name} (id int primary key, v int unique)"),
                        &format!("insert into {name} select n, n from generate_series(1, 20) s(n)"),
                        &format!("create index on {name} (v)"),
                        "commit",
                        &format!("alter table {name} add column w int default 3"),
                        &format!("create table {name}_last (id serial primary key)"),
                        &format!("drop table {name}"),
                    ] {
                        run(&mut session, sql).unwrap_or_else(|state| panic!("{sql}: {state}"));
                    }
                }
            });
        }
    });
    // Others commit definitions while this block has its own open: it sees theirs and they not its.
    let seen = "select count(*) from pg_tables where tablename like 'own%' or tablename = 'kept'";
    assert_eq!(run(&mut db.session(), seen).unwrap(), ["12"]);
    assert_eq!(run(&mut keeper, seen).unwrap(), ["13"]);
    run(&mut keeper, "insert into own_0_0_last default values").unwrap();
    run(&mut keeper, "commit").unwrap();
    assert_eq!(run(&mut db.session(), seen).unwrap(), ["13"]);
    let names = |db: &Database| -> Vec<String> {
        db.catalog().tables().map(|table| format!("{} {:?}", table.name, table.indexes)).collect()
    };
    let before = names(&db);
    db.verify().unwrap();
    drop(keeper);
    db.close().unwrap();
    let db = Database::open_with(directory.path().join("db"), options()).unwrap();
    assert_eq!((names(&db), run(&mut db.session(), seen).unwrap()), (before, vec!["13".to_owned()]));
}

/// A name that another block has given is waited for, and taken then; what concerns several tables waits for all.
#[test]
fn names_and_what_concerns_others_are_waited_for() {
    let db = table();
    for (first, second, wanted) in [
        ("create table n (id int primary key)", "create table n (id int)", Err("42P07".to_owned())),
        ("create table m (id int primary key)", "create table if not exists m (id int)", Ok(Vec::new())),
        ("create table a (b_c serial)", "create table a_b (c serial)", Ok(Vec::new())),
        ("alter table t rename to u", "create table u (id int)", Err("42P07".to_owned())),
        ("drop table u", "create view v as select id from u", Err("42P01".to_owned())),
        ("create table p (id int primary key)", "create table c (id int references p)", Ok(Vec::new())),
        ("create schema s", "create table s.x (id int)", Ok(Vec::new())),
    ] {
        let (mut one, mut two) = (db.session(), db.session());
        run(&mut one, "begin").unwrap();
        run(&mut one, first).unwrap();
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| run(&mut two, second));
            let mut looker = db.session();
            while run(&mut looker, "select count(*) from pg_locks where not granted").unwrap() != ["1"] {
                assert!(!waiting.is_finished(), "{second} does not wait");
                std::thread::yield_now();
            }
            run(&mut one, "commit").unwrap();
            assert_eq!(waiting.join().unwrap(), wanted, "{second}");
        });
    }
    let sequences =
        "select count(distinct sequencename) from pg_sequences where sequencename like 'a_b_c_seq%'";
    assert_eq!(run(&mut db.session(), sequences).unwrap(), ["2"]);
    db.verify().unwrap();
}

/// Definitions of a table change while others write it: nobody is refused, no row and no index entry is lost.
#[test]
fn definitions_and_rows_of_one_table_change_together() {
    let db = table();
    std::thread::scope(|threads| {
        for own in 0..2 {
            let db = &db;
            threads.spawn(move || {
                let mut session = db.session();
                for n in 0..15 {
                    let id = 100 + 2 * n + own;
                    run(&mut session, "update t set v = v + 1 where id = 1").unwrap();
                    run(&mut session, &format!("insert into t (id, v) values ({id}, {id})")).unwrap();
                    run(&mut session, "begin").unwrap();
                    run(&mut session, &format!("delete from t where id = {}", id - 4)).unwrap();
                    run(&mut session, "update t set v = v + 1 where id = 1").unwrap();
                    run(&mut session, "commit").unwrap();
                }
            });
        }
        let mut session = db.session();
        for round in 0..6 {
            run(&mut session, &format!("alter table t add column c{round} int default {round}")).unwrap();
            run(&mut session, "create index by_v on t (v)").unwrap();
            run(&mut session, &format!("alter table t drop column c{round}")).unwrap();
            run(&mut session, "drop index by_v").unwrap();
        }
        run(&mut session, "create unique index by_both on t (v, id)").unwrap();
    });
    let mut session = db.session();
    assert_eq!(run(&mut session, "select v from t where id = 1").unwrap(), ["60"]);
    assert_eq!(run(&mut session, "select count(*) from t").unwrap(), ["6"]);
    db.verify().unwrap();
}

/// COPY in a block locks its table before it looks at it, as INSERT does: it waits for DDL and goes by what that made.
#[test]
fn copy_waits_for_definitions() {
    let db = table();
    let (mut ddl, mut copy) = (db.session(), db.session());
    run(&mut ddl, "begin").unwrap();
    run(&mut ddl, "alter table t add column w int default 7").unwrap();
    run(&mut copy, "begin").unwrap();
    // Its snapshot is older than the definition.
    run(&mut copy, "select v from t where id = 1").unwrap();
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| {
            let data = std::io::Cursor::new("3,30\n4,40\n");
            copy.copy_in("copy t (id, v) from stdin with (format csv)", data)
        });
        let mut looker = db.session();
        while run(&mut looker, "select count(*) from pg_locks where not granted").unwrap() != ["1"] {
            std::thread::yield_now();
        }
        run(&mut ddl, "commit").unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), 2);
    });
    run(&mut copy, "commit").unwrap();
    let found = run(&mut db.session(), "select id || ' ' || v || ' ' || w from t where id > 2 order by id");
    assert_eq!(found.unwrap(), ["3 30 7", "4 40 7"]);
}

/// Bulk loads take part of the memory for locks, whatever their size, and a key of theirs is waited for all the same.
/// `CAIRN_ROWS` sets how many rows.
#[test]
fn bulk_loads_stay_within_the_memory_for_locks() {
    const LOCK_BYTES: usize = 256 << 10;
    let rows = super::number("CAIRN_ROWS", 12_000);
    let directory = tempfile::tempdir().unwrap();
    let options = cairndb::OpenOptions::new().lock_bytes_max(LOCK_BYTES).sync(cairndb::SyncMode::None);
    let db = Database::open_with(directory.path().join("db"), options).unwrap();
    let mut other = db.session();
    run(&mut other, "create table other (id int primary key)").unwrap();
    run(&mut other, "insert into other values (1)").unwrap();
    for copies in [false, true] {
        run(&mut other, "create table big (id int primary key, v text unique)").unwrap();
        let mut load = db.session();
        run(&mut load, "begin").unwrap();
        let begun = std::time::Instant::now();
        if copies {
            let text: String = (1..=rows).map(|n| format!("{n},v{n}\n")).collect();
            let data = std::io::Cursor::new(text);
            assert_eq!(load.copy_in("copy big from stdin with (format csv)", data).unwrap(), rows);
        } else {
            let sql = format!("insert into big select n, 'v' || n from generate_series(1, {rows}) s(n)");
            run(&mut load, &sql).unwrap();
        }
        let held = db.stats().lock_bytes;
        println!("copies: {copies}, {rows} rows: {held} bytes of locks, {:?}", begun.elapsed());
        assert!(held <= LOCK_BYTES / 2, "{held}");
        run(&mut other, "begin").unwrap();
        assert_eq!(run(&mut other, "select id from other for update").unwrap(), ["1"]);
        run(&mut other, "set lock_timeout = 20").unwrap();
        let taken = format!("insert into big values ({}, 'v{rows}')", rows + 1);
        assert_eq!(run(&mut other, &taken), Err("55P03".to_owned()));
        run(&mut other, "rollback").unwrap();
        run(&mut load, "commit").unwrap();
        assert_eq!(run(&mut other, &taken), Err("23505".to_owned()));
        run(&mut other, "drop table big").unwrap();
    }
}
