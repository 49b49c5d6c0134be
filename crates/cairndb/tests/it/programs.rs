//! Functions, procedures and triggers in SQL: they outlive the process, and their effects are those of their statement.

use cairndb::{Database, Outcome};

fn texts(db: &Database, sql: &str) -> Vec<String> {
    let rows = db.query(sql, &[]).unwrap().collect_rows().unwrap();
    rows.iter()
        .map(|row| row.get::<Option<String>>(0).unwrap().unwrap_or_else(|| "NULL".to_owned()))
        .collect()
}

fn run(db: &Database, statements: &[&str]) {
    for sql in statements {
        db.execute(sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

const DEFINITIONS: &[&str] = &[
    "create table t (id int primary key, v int)",
    "create table log (n serial primary key, what text)",
    "create view shown as select id, v from t",
    "create function twice(x int, y int default 1) returns int language sql immutable strict as 'select x * 2 + y'",
    "create function rows_above(lo int) returns table (a int, b text) language sql stable \
     as 'select id, v::text from t where id > lo order by id'",
    "create function counted() returns bigint begin atomic select count(*) from t; end",
    "create procedure fill(inout n int) language sql \
     as 'insert into t select g, g from generate_series(1, n) g; select n + 1'",
    "create function tell() returns trigger language sql \
     as $$ insert into log (what) values (TG_OP || ' ' || coalesce(NEW.id, OLD.id) || ' ' || TG_ARGV[1]) $$",
    "create trigger told after insert or delete or update of v on t for each row when (true) \
     execute function tell('x')",
    "create trigger instead instead of delete on shown for each row execute function tell('view')",
];

#[test]
fn definitions_are_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let seen = |db: &Database| {
        let mut all = texts(
            db,
            "select proname || array_to_string(proargtypes, ' ') || prosrc || provolatile::text from pg_proc order by oid",
        );
        all.extend(texts(db, "select tgname || tgtype || tgenabled from pg_trigger order by oid"));
        all
    };
    let before = {
        let db = Database::open(&path).unwrap();
        run(&db, DEFINITIONS);
        run(&db, &["call fill(3)", "alter table t disable trigger told", "delete from t where id = 3"]);
        seen(&db)
    };
    let db = Database::open(&path).unwrap();
    assert_eq!(seen(&db), before);
    assert_eq!(texts(&db, "select twice(4)::text"), ["9"]);
    assert_eq!(texts(&db, "select b from rows_above(1)"), ["2"]);
    assert_eq!(texts(&db, "select counted()::text"), ["2"]);
    run(
        &db,
        &[
            "alter table t enable trigger told",
            "update t set v = 7 where id = 1",
            "delete from shown where id = 2",
        ],
    );
    assert_eq!(
        texts(&db, "select what from log order by n"),
        ["INSERT 1 x", "INSERT 2 x", "INSERT 3 x", "UPDATE 1 x", "DELETE 2 view"]
    );
    let error = db.execute("drop table t", &[]).unwrap_err();
    assert_eq!(error.sqlstate(), "2BP01");
    db.verify().unwrap();
}

#[test]
fn rollback_takes_definitions_and_effects_back() {
    let db = Database::in_memory().unwrap();
    run(&db, &DEFINITIONS[..2]);
    let mut session = db.session();
    session.run("begin").unwrap();
    for sql in &DEFINITIONS[2..] {
        session.run(sql).unwrap();
    }
    session.run("insert into t values (1, 1)").unwrap();
    session.run("savepoint s").unwrap();
    session.run("drop function tell() cascade").unwrap();
    session.run("insert into t values (2, 2)").unwrap();
    session.run("rollback to s").unwrap();
    session.run("insert into t values (3, 3)").unwrap();
    let Outcome::Rows(rows) = session.run("select what from log order by n").unwrap() else {
        panic!("a query gives rows");
    };
    let told: Vec<String> = rows.collect_rows().unwrap().iter().map(|row| row.get(0).unwrap()).collect();
    assert_eq!(told, ["INSERT 1 x", "INSERT 3 x"]);
    session.run("rollback").unwrap();
    let own = "select proname from pg_proc where pronamespace = 'public'::regnamespace";
    assert_eq!(texts(&db, own), [""; 0]);
    assert_eq!(texts(&db, "select what from log"), [""; 0]);
    assert_eq!(texts(&db, "select id::text from t"), [""; 0]);
    db.verify().unwrap();
}

#[test]
fn statements_that_run_again_set_off_triggers_each_time() {
    let db = Database::in_memory().unwrap();
    run(&db, DEFINITIONS);
    // The same texts, so that the point path would take them.
    for round in 0..3i32 {
        for sql in [
            "insert into t values ($1, 0)",
            "update t set v = 1 where id = $1",
            "delete from t where id = $1",
        ] {
            db.execute(sql, &[&round]).unwrap();
        }
    }
    assert_eq!(texts(&db, "select count(*)::text from log"), ["9"]);
    run(&db, &["create table parent (id int primary key)", "insert into parent values (1), (2), (3)"]);
    run(&db, &["delete from log", "alter table t add p int references parent on delete cascade"]);
    run(&db, &["insert into t values (1, 0, 1), (2, 0, 2), (3, 0, 3)"]);
    for parent in 1..=3i32 {
        db.execute("delete from parent where id = $1", &[&parent]).unwrap();
    }
    assert_eq!(
        texts(&db, "select what from log order by n"),
        ["INSERT 1 x", "INSERT 2 x", "INSERT 3 x", "DELETE 1 x", "DELETE 2 x", "DELETE 3 x"]
    );
}

#[test]
fn copy_sets_off_triggers() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rows.csv");
    std::fs::write(&file, "1,10\n2,20\n").unwrap();
    let db = Database::in_memory().unwrap();
    run(&db, DEFINITIONS);
    db.execute(&format!("copy t from '{}' with (format csv)", file.display()), &[]).unwrap();
    assert_eq!(texts(&db, "select what from log order by n"), ["INSERT 1 x", "INSERT 2 x"]);
}

#[test]
fn a_function_does_not_move_the_snapshot_of_its_statement() {
    let db = Database::in_memory().unwrap();
    run(
        &db,
        &[
            "create table t (id int primary key, v int)",
            "create table other (id int primary key, v int)",
            "insert into t values (1, 1)",
            "insert into other values (1, 0)",
            "create function touch(x int) returns int language sql as \
             'update other set v = v + 1 where id = 1; select x + 1'",
        ],
    );
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let db = db.clone();
            std::thread::spawn(move || {
                for _ in 0..10 {
                    db.execute("update t set v = touch(v) where id = 1", &[]).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // An update that is looked at again calls the function again, as in PostgreSQL.
    assert_eq!(texts(&db, "select v::text from t"), ["41"], "no update is lost");
    let touched: i64 = texts(&db, "select v::text from other")[0].parse().unwrap();
    assert!(touched >= 40, "{touched}");
}
