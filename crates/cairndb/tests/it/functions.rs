//! Functions from Rust closures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cairndb::{DataType, Database, Value, Volatility};

fn with_twice() -> Database {
    let db = Database::in_memory().unwrap();
    let twice = |args: &[Value]| match args[0].as_i64() {
        Some(13) => Err("no thirteen here".to_owned()),
        Some(n) => Ok(Value::Integer((n * 2) as i32)),
        None => Err("no number".to_owned()),
    };
    db.create_function("twice", &[DataType::Integer], DataType::Integer, Volatility::Immutable, twice)
        .unwrap();
    db
}

fn numbers(db: &Database, sql: &str) -> Vec<Option<i32>> {
    let rows = db.query(sql, &[]).unwrap().collect_rows().unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

#[test]
fn they_are_called_wherever_an_expression_stands() {
    let db = with_twice();
    assert_eq!(numbers(&db, "select twice(n) from (values (1), (null), (3)) v(n)"), [Some(2), None, Some(6)]);
    db.execute(
        "create table t (a int check (twice(a) < 100), b int generated always as (twice(a)) stored, \
         c int default twice(21))",
        &[],
    )
    .unwrap();
    db.execute("create index on t (twice(a))", &[]).unwrap();
    db.execute("insert into t (a) values (5), (6)", &[]).unwrap();
    assert_eq!(numbers(&db, "select b from t where twice(a) = 12 and c = 42"), [Some(12)]);
    let error = db.execute("insert into t (a) values (50)", &[]).unwrap_err();
    assert_eq!(error.sqlstate(), "23514");
    db.verify().unwrap();
}

#[test]
fn their_errors_are_errors_of_the_statement() {
    let db = with_twice();
    let error = db
        .query("select twice(n::int) from generate_series(1, 20) g(n)", &[])
        .and_then(|rows| rows.collect_rows());
    let error = error.unwrap_err();
    assert_eq!((error.sqlstate(), error.message()), ("38000", "no thirteen here"));
    let wrong = |_: &[Value]| Ok(Value::from("text"));
    db.create_function("wrong", &[], DataType::Integer, Volatility::Volatile, wrong).unwrap();
    let error = db.query("select wrong()", &[]).and_then(|rows| rows.collect_rows()).unwrap_err();
    assert_eq!(error.sqlstate(), "39000");
    for name in ["twice", "lower", "sum"] {
        let again =
            db.create_function(name, &[], DataType::Integer, Volatility::Volatile, |_| Ok(Value::Null));
        assert_eq!(again.unwrap_err().sqlstate(), "42723", "{name}");
    }
    assert_eq!(db.query("select thrice(1)", &[]).map(drop).unwrap_err().sqlstate(), "42883");
    let volatile = db.execute("create table t (a int, b int generated always as (wrong()) stored)", &[]);
    assert_eq!(volatile.unwrap_err().sqlstate(), "42P17");
}

#[test]
fn volatile_ones_are_called_for_each_row_and_each_time() {
    let db = Database::in_memory().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&calls);
    let next = move |_: &[Value]| Ok(Value::Integer(own.fetch_add(1, Ordering::Relaxed) as i32));
    db.create_function("next", &[], DataType::Integer, Volatility::Volatile, next).unwrap();
    let mut seen = numbers(&db, "select next() from generate_series(1, 5)");
    seen.extend(numbers(&db, "select next() from generate_series(1, 5)"));
    seen.sort();
    assert_eq!(seen, (0..10).map(Some).collect::<Vec<_>>());
}
