//! SQL through the public API: rows, parameters, statements, transactions shared with keys, async.

use std::io::Cursor;
use std::sync::{Arc, Mutex};

use cairndb::{
    DataType, Database, ErrorClass, IndexOptions, IsolationLevel, OpenOptions, Outcome, SessionStatus, ToSql,
    Value, named, params,
};
use futures::StreamExt;
use futures::executor::block_on;

fn people() -> Database {
    let db = Database::in_memory().unwrap();
    db.execute("CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, height double precision)", &[])
        .unwrap();
    db.execute("INSERT INTO people VALUES (1, 'Ann', 1.7), (2, 'Bob', NULL)", &[]).unwrap();
    db
}

fn count(db: &Database, table: &str) -> i64 {
    db.query(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().one().unwrap().get(0).unwrap()
}

#[test]
fn values_come_out_as_they_went_in() {
    let db = Database::in_memory().unwrap();
    db.execute(
        "CREATE TABLE v (a smallint, b int, c bigint, d real, e double precision, f numeric(10,2), g text, h bytea, \
         i boolean, j date, k timestamp, l timestamptz, m uuid, n int[], o jsonb, p interval, q time)",
        &[],
    )
    .unwrap();
    let at = chrono::DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
    let id = uuid::Uuid::from_u128(7);
    let values: &[&dyn ToSql] = &[
        &1i16,
        &2i32,
        &3i64,
        &0.5f32,
        &0.25f64,
        &"12.50",
        &"té'xt",
        &vec![0u8, 255],
        &true,
        &at.date_naive(),
        &at.naive_utc(),
        &at,
        &id,
        &vec![1i32, 2],
        &r#"{"b":1,"a":[2]}"#,
        &"1 day 02:00:00",
        &at.naive_utc().time(),
    ];
    let slots: Vec<String> = (1..=values.len()).map(|n| format!("${n}")).collect();
    db.execute(&format!("INSERT INTO v VALUES ({})", slots.join(", ")), values).unwrap();
    let row = db.query("SELECT * FROM v", &[]).unwrap().one().unwrap();
    assert_eq!(
        (row.get::<i16>("a").unwrap(), row.get::<i32>("b").unwrap(), row.get::<i64>("c").unwrap()),
        (1, 2, 3)
    );
    assert_eq!((row.get::<f32>("d").unwrap(), row.get::<f64>("e").unwrap()), (0.5, 0.25));
    assert_eq!((row.text("f").unwrap().unwrap(), row.get::<f64>("f").unwrap()), ("12.50".to_owned(), 12.5));
    assert_eq!(row.get::<String>("g").unwrap(), "té'xt");
    assert_eq!(row.get::<Vec<u8>>("h").unwrap(), [0, 255]);
    assert!(row.get::<bool>("i").unwrap());
    assert_eq!(row.get::<chrono::NaiveDate>("j").unwrap(), at.date_naive());
    assert_eq!(row.get::<chrono::NaiveDateTime>("k").unwrap(), at.naive_utc());
    assert_eq!(row.get::<chrono::DateTime<chrono::Utc>>("l").unwrap(), at);
    assert_eq!(row.get::<uuid::Uuid>("m").unwrap(), id);
    assert_eq!(row.get::<Vec<i32>>("n").unwrap(), [1, 2]);
    assert_eq!(row.get::<String>("o").unwrap(), r#"{"a": [2], "b": 1}"#);
    assert_eq!(row.get::<cairndb::Interval>("p").unwrap().days, 1);
    assert_eq!(row.get::<chrono::NaiveTime>("q").unwrap(), at.naive_utc().time());
}

#[test]
fn conversions_are_exact_or_fail() {
    let db = people();
    let row = db
        .query("SELECT 300 AS n, 'x' AS t, NULL::int AS z, 4000000000::bigint AS w", &[])
        .unwrap()
        .one()
        .unwrap();
    assert_eq!(row.get::<u8>("n").unwrap_err().sqlstate(), "22003");
    assert_eq!(row.get::<i32>("w").unwrap_err().sqlstate(), "22003");
    assert_eq!(row.get::<i64>("t").unwrap_err().sqlstate(), "42804");
    let error = row.get::<i64>("z").unwrap_err();
    assert_eq!(error.sqlstate(), "22002");
    assert!(error.message().contains("\"z\"") && error.message().contains("Option"), "{error}");
    assert_eq!(row.get::<Option<i64>>("z").unwrap(), None);
    assert_eq!(row.get::<i64>("missing").unwrap_err().sqlstate(), "42703");
    assert_eq!(row.get::<i64>(9).unwrap_err().sqlstate(), "42703");
    assert_eq!(row.values()[2], Value::Null);
    assert_eq!(row.columns()[3].data_type(), &DataType::BigInt);
}

#[test]
fn parameters_by_number_by_name_and_by_binding() {
    let db = people();
    let name = |rows: cairndb::Result<cairndb::Rows>| rows.unwrap().one().unwrap().get::<String>(0).unwrap();
    assert_eq!(name(db.query("SELECT name FROM people WHERE id = $1", &[&2])), "Bob");
    assert_eq!(name(db.query_with("SELECT name FROM people WHERE id = ?", [1])), "Ann");
    assert_eq!(name(db.query_with("SELECT name FROM people WHERE id = :id", named! { ":id" => 1 })), "Ann");
    assert_eq!(name(db.query_with("SELECT name FROM people WHERE id = $1", params![2])), "Bob");
    assert_eq!(
        db.query_with("SELECT :a", named! { "b" => 1 }).unwrap_err().sqlstate(),
        "42P02",
        "a name that the statement lacks"
    );
    let mut statement = db.prepare("SELECT name FROM people WHERE id = :id AND name = :name").unwrap();
    assert_eq!(statement.query_bound().unwrap_err().sqlstate(), "42P02");
    statement.bind("id", 1).unwrap().bind(2, "Ann").unwrap();
    assert_eq!(name(statement.query_bound()), "Ann");
    assert!(statement.bind(3, 1).is_err());
    assert_eq!(statement.columns()[0].name(), "name");
    assert!(db.query("SELECT $1 + $2", &[&1]).is_err(), "a value is missing");
}

#[test]
fn keys_and_rows_share_one_transaction() {
    let db = people();
    let tx = db.begin_transaction(IsolationLevel::Serializable).unwrap();
    tx.put("people:last", "3").unwrap();
    assert_eq!(tx.execute("INSERT INTO people VALUES ($1, $2, $3)", &[&3, &"Cy", &None::<f64>]).unwrap(), 1);
    let seen = "SELECT key, value FROM store WHERE key = 'people:last'";
    assert_eq!(tx.query(seen, &[]).unwrap().count(), 1, "SQL sees the transaction's key");
    assert_eq!(db.query(seen, &[]).unwrap().count(), 0);
    assert_eq!(count(&db, "people"), 2);
    tx.rollback().unwrap();
    assert!(db.get("people:last").unwrap().is_none());
    db.transact(|tx| {
        tx.execute("INSERT INTO people VALUES (3, 'Cy')", &[])?;
        tx.put("people:last", "3")
    })
    .unwrap();
    assert_eq!((count(&db, "people"), db.get("people:last").unwrap().is_some()), (3, true));
}

#[test]
fn a_failed_statement_is_undone_and_the_transaction_goes_on() {
    let db = people();
    let tx = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    tx.execute("INSERT INTO people VALUES (3, 'Cy')", &[]).unwrap();
    let error = tx.execute("INSERT INTO people VALUES (4, 'Di'), (1, 'again')", &[]).unwrap_err();
    assert_eq!(error.sqlstate(), "23505");
    assert_eq!(error.detail(), Some("Key (id)=(1) already exists."));
    assert_eq!((error.table(), error.constraint()), (Some("people"), Some("people_pkey")));
    tx.execute("INSERT INTO people VALUES (5, 'Ed')", &[]).unwrap();
    tx.commit().unwrap();
    let ids: Vec<i32> = db
        .query("SELECT id FROM people ORDER BY id", &[])
        .unwrap()
        .map(|row| row.unwrap().get(0).unwrap())
        .collect();
    assert_eq!(ids, [1, 2, 3, 5]);
}

#[test]
fn savepoints_undo_rows_and_definitions() {
    let db = people();
    let tx = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    let savepoint = tx.savepoint().unwrap();
    tx.execute("CREATE TABLE extra (a int)", &[]).unwrap();
    tx.execute("DELETE FROM people", &[]).unwrap();
    assert!(tx.catalog().relation("public", "extra").is_some());
    tx.rollback_to(&savepoint).unwrap();
    assert!(tx.query("SELECT * FROM extra", &[]).is_err());
    tx.commit().unwrap();
    assert_eq!(count(&db, "people"), 2);
}

#[test]
fn a_transaction_is_ended_by_its_methods_only() {
    let db = people();
    let tx = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    for sql in ["COMMIT", " -- a remark\n rollback;", "BEGIN", "ABORT"] {
        assert_eq!(tx.execute(sql, &[]).unwrap_err().sqlstate(), "2D000", "{sql}");
    }
    tx.execute("SAVEPOINT s", &[]).unwrap();
    tx.execute("DELETE FROM people", &[]).unwrap();
    tx.execute("ROLLBACK TO SAVEPOINT s", &[]).unwrap();
    tx.commit().unwrap();
    assert_eq!(count(&db, "people"), 2);
    assert_eq!(db.execute("BEGIN", &[]).unwrap_err().sqlstate(), "25001");
}

#[test]
fn a_prepared_statement_runs_in_and_out_of_transactions() {
    let db = people();
    let insert = db.prepare("INSERT INTO people (id, name) VALUES ($1, $2)").unwrap();
    assert_eq!(insert.parameter_types().len(), 2);
    insert.execute(&[&10, &"J"]).unwrap();
    let tx = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
    for id in 11..15 {
        assert_eq!(tx.execute_prepared(&insert, params![id, "K"]).unwrap(), 1);
    }
    tx.rollback().unwrap();
    assert_eq!(count(&db, "people"), 3);
    db.execute("ALTER TABLE people ADD COLUMN extra int", &[]).unwrap();
    insert.execute(&[&16, &"after a change of the table"]).unwrap();
    assert!(insert.execute(&[&16, &"again"]).is_err());
}

#[test]
fn rows_stream_and_may_be_left() {
    let db = Database::in_memory().unwrap();
    let mut rows = db
        .query("SELECT a.n FROM generate_series(1, 100000) a(n), generate_series(1, 100000) b(n)", &[])
        .unwrap();
    for _ in 0..10_000 {
        assert!(rows.next().unwrap().is_ok());
    }
    drop(rows);
    let error = db.query("SELECT 1 WHERE false", &[]).unwrap().one().unwrap_err();
    assert_eq!(error.sqlstate(), "P0002");
    assert_eq!(db.query("VALUES (1), (2)", &[]).unwrap().one().unwrap_err().sqlstate(), "P0003");
}

#[test]
fn batches_are_arrow_and_complete() {
    let db = Database::in_memory().unwrap();
    let mut rows = db.query("SELECT n FROM generate_series(1, 50000) AS t(n)", &[]).unwrap();
    let first: i64 = rows.next().unwrap().unwrap().get(0).unwrap();
    let rest: usize = rows.batches().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!((first, rest), (1, 49_999));
}

#[test]
fn a_script_stops_at_its_first_error() {
    let db = people();
    let error = db
        .execute_batch("INSERT INTO people VALUES (7, 'G'); SELECT nope; INSERT INTO people VALUES (8, 'H')")
        .unwrap_err();
    assert_eq!((error.sqlstate(), error.position()), ("42703", Some(44)));
    assert_eq!(count(&db, "people"), 3);
    let error = db.execute_batch("BEGIN; INSERT INTO people VALUES (9, 'I')").unwrap_err();
    assert_eq!(error.sqlstate(), "25001");
    assert_eq!(count(&db, "people"), 3, "what was left open is rolled back");
}

#[test]
fn indexes_by_methods() {
    let db = people();
    db.create_index("people_name", "people", &["name", "id"], IndexOptions::new()).unwrap();
    db.create_index("people_name", "people", &["name"], IndexOptions::new().if_not_exists(true)).unwrap();
    let found = db.list_indexes().unwrap();
    let index = found.iter().find(|index| index.name == "people_name").unwrap();
    assert_eq!((index.table.as_str(), index.unique, index.primary), ("people", false, false));
    assert_eq!(index.columns, ["name", "id"]);
    db.execute("INSERT INTO people VALUES (3, 'Ann')", &[]).unwrap();
    let error = db.create_index("u", "people", &["name"], IndexOptions::new().unique(true)).unwrap_err();
    assert_eq!(error.sqlstate(), "23505");
    db.drop_index("people_name").unwrap();
    assert_eq!(db.drop_index("people_name").unwrap_err().class(), ErrorClass::User);
}

#[test]
fn sessions_keep_blocks_settings_and_notices() {
    let db = people();
    let mut session = db.session();
    session.run("BEGIN").unwrap();
    session.run("INSERT INTO people VALUES (3, 'Cy')").unwrap();
    assert!(session.run("SELECT nope").is_err());
    assert_eq!(session.status(), SessionStatus::Failed);
    assert_eq!(session.run("SELECT 1").unwrap_err().sqlstate(), "25P02");
    session.run("ROLLBACK").unwrap();
    assert_eq!((session.status(), count(&db, "people")), (SessionStatus::Idle, 2));
    session.run("CREATE TABLE IF NOT EXISTS people (x int)").unwrap();
    assert!(session.take_notices()[0].contains("already exists"));
    assert!(session.take_notices().is_empty());
}

#[derive(Clone, Default)]
pub(crate) struct Shared(pub(crate) Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn copy_goes_through_readers_and_writers() {
    let db = people();
    let mut session = db.session();
    let rows = session
        .copy_in("COPY people FROM STDIN WITH (FORMAT csv)", Cursor::new("3,Cy,1.5\n4,Di,\n"))
        .unwrap();
    assert_eq!(rows, 2);
    let out = Shared::default();
    session.copy_out("COPY (SELECT id FROM people ORDER BY id) TO STDOUT", out.clone()).unwrap();
    assert_eq!(*out.0.lock().unwrap(), b"1\n2\n3\n4\n");
    let error = session
        .copy_in("COPY people FROM STDIN WITH (FORMAT csv)", Cursor::new("5,E,1\nx,F,2\n"))
        .unwrap_err();
    assert!(error.detail().is_some_and(|detail| detail.contains("line 2")), "{error:?}");
    assert_eq!(count(&db, "people"), 4);
    match session.run("SELECT 1").unwrap() {
        Outcome::Rows(rows) => assert_eq!(rows.count(), 1),
        Outcome::Command { tag, .. } => panic!("{tag}"),
    }
}

#[test]
fn the_async_face_does_the_same() {
    block_on(async {
        let db = people();
        assert_eq!(db.execute_async("INSERT INTO people VALUES ($1, $2)", &[&3, &"Cy"]).await.unwrap(), 1);
        let names: Vec<String> = db
            .query_async("SELECT name FROM people ORDER BY id", &[])
            .await
            .unwrap()
            .stream()
            .map(|row| row.unwrap().get(0).unwrap())
            .collect()
            .await;
        assert_eq!(names, ["Ann", "Bob", "Cy"]);
        let tx = db.begin_transaction(IsolationLevel::Snapshot).unwrap();
        tx.execute_with_async("DELETE FROM people WHERE id = :id", named! { "id" => 1 }).await.unwrap();
        tx.put("deleted", "1").unwrap();
        let mut rows = tx.query_with_async("SELECT count(*) FROM people", ()).await.unwrap();
        assert_eq!(rows.next_async().await.unwrap().unwrap().get::<i64>(0).unwrap(), 2);
        tx.commit_async().await.unwrap();
        assert!(db.get("deleted").unwrap().is_some());
        let statement = db.prepare("SELECT name FROM people WHERE id = $1").unwrap();
        let mut rows = statement.query_with_async([2]).await.unwrap();
        assert_eq!(rows.next_batch_async().await.unwrap().unwrap().num_rows(), 1);
        assert!(rows.next_batch_async().await.unwrap().is_none());
        assert_eq!(db.query_async("SELECT nope", &[]).await.unwrap_err().sqlstate(), "42703");
    });
}

#[test]
fn threads_share_a_database() {
    let db = people();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let db = db.clone();
            scope.spawn(move || {
                for i in 0..25 {
                    let id = 100 + thread * 100 + i;
                    db.execute("INSERT INTO people VALUES ($1, $2)", &[&id, &format!("p{id}")]).unwrap();
                    assert!(count(&db, "people") > 2);
                }
            });
        }
    });
    assert_eq!(count(&db, "people"), 102);
}

#[test]
fn the_keys_are_where_the_build_without_sql_looks_for_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = Database::open(&path).unwrap();
    db.put("key", "value").unwrap();
    db.close().unwrap();
    let env = cairn_env::Env::os();
    let store = cairn_storage::Store::open(&env, &path, cairn_storage::Options::default()).unwrap();
    let value = store.snapshot().get(b"\0\0\0\0\0\x01\0\0key").unwrap();
    assert_eq!(value.as_deref(), Some(&b"value"[..]));
}

/// A sort and a grouping many times larger than the memory for queries go to temporary files, which are gone at
/// the end; what cannot is refused, and the database goes on.
#[test]
fn queries_larger_than_their_memory_spill_or_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let options = OpenOptions::new().query_memory_bytes(12 << 20).temporary_directory(&temporary);
    let db = Database::open_with(directory.path().join("db"), options).unwrap();
    let numbers = "SELECT i, md5(i::text) AS word FROM generate_series(1, 400000) AS g(i)";
    let sorted = format!("SELECT word FROM ({numbers}) AS n ORDER BY word");
    let mut last = String::new();
    let mut count = 0;
    for row in db.query(&sorted, &[]).unwrap() {
        let word: String = row.unwrap().get(0).unwrap();
        assert!(last <= word, "{last} before {word}");
        last = word;
        count += 1;
    }
    assert_eq!(count, 400_000);
    let grouped =
        format!("SELECT count(*) FROM (SELECT word, count(*) FROM ({numbers}) AS n GROUP BY word) AS g");
    let groups: i64 = db.query(&grouped, &[]).unwrap().next().unwrap().unwrap().get(0).unwrap();
    assert_eq!(groups, 400_000);
    let wide = format!("SELECT length(string_agg(word || word, '')) FROM ({numbers}) AS n");
    let error = db.query(&wide, &[]).and_then(|mut rows| rows.next().unwrap().map(drop)).unwrap_err();
    assert_eq!(error.sqlstate(), "53200", "{error}");
    assert_eq!(
        std::fs::read_dir(&temporary).unwrap().flat_map(|entry| files(&entry.unwrap().path())).count(),
        0
    );
    db.put("key", "value").unwrap();
    assert_eq!(db.get("key").unwrap().as_deref(), Some(&b"value"[..]));
}

/// The files in a folder, or none where it is gone by now.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder)
        .map_or_else(|_| Vec::new(), |entries| entries.flatten().map(|e| e.path()).collect())
}

/// The table can be written only when the statement that was left behind has ended, and its transaction with it.
#[test]
fn an_async_call_that_is_dropped_is_cancelled() {
    let db = people();
    for id in 10..30 {
        let mut session = db.session();
        session.run("BEGIN").unwrap();
        session.run("LOCK TABLE people IN ACCESS EXCLUSIVE MODE").unwrap();
        let mut call = Box::pin(session.run_async("SELECT count(*) FROM generate_series(1, 100000000000)"));
        // It has begun, or is about to.
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
        drop(call);
        drop(session);
        db.execute("INSERT INTO people VALUES ($1, 'x')", &[&id]).unwrap();
    }
    assert_eq!(count(&db, "people"), 22);
}
