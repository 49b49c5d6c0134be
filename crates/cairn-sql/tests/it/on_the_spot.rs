//! `Session::execute_now`: what waits for nothing but reads of the disk runs at once, what would wait for a lock does not and has done
//! nothing.

use cairn_sql::{Session, StatementResult};
use cairn_types::Value;

use crate::support::{engine, fails, ok};

const UPDATE: &str = "UPDATE t SET n = n + $2 WHERE id = $1";
const INSERT: &str = "INSERT INTO log (id, what) VALUES ($1, 'x')";

fn prepared(engine: &cairn_sql::Engine) -> Session {
    let mut session = engine.session();
    ok(&mut session, "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY, n int CHECK (n < 1000))");
    ok(&mut session, "CREATE TABLE IF NOT EXISTS log (id int PRIMARY KEY, what text)");
    ok(&mut session, "INSERT INTO t VALUES (1, 0), (2, 0) ON CONFLICT DO NOTHING");
    // The first runs plan them.
    for n in [-1, -2] {
        session.execute(UPDATE, &numbers(&[1, 0])).unwrap();
        session.execute(INSERT, &numbers(&[n])).unwrap();
    }
    ok(&mut session, "DELETE FROM log");
    session
}

fn numbers(all: &[i32]) -> Vec<Value> {
    all.iter().map(|n| Value::Integer(*n)).collect()
}

/// The tag of what ran at once; `None` where it did not.
fn now(session: &Session, sql: &str, values: &[i32]) -> Option<Result<String, String>> {
    Some(match session.execute_now(sql, &numbers(values))? {
        Ok(StatementResult::Command { tag, .. }) => Ok(tag),
        Ok(StatementResult::Rows(_)) => Ok("rows".to_owned()),
        Err(error) => Err(error.sqlstate().to_owned()),
    })
}

fn done(tag: &str) -> Option<Result<String, String>> {
    Some(Ok(tag.to_owned()))
}

#[test]
fn writes_within_a_block_run_at_once_and_are_its_own() {
    let engine = engine();
    let mut session = prepared(&engine);
    // Outside of a block it would have to commit.
    assert_eq!(now(&session, UPDATE, &[1, 5]), None);
    assert_eq!(now(&session, "begin ;", &[]), done("BEGIN"));
    assert_eq!(now(&session, UPDATE, &[1, 5]), done("UPDATE 1"));
    assert_eq!(now(&session, UPDATE, &[7, 5]), done("UPDATE 0"));
    assert_eq!(now(&session, INSERT, &[1]), done("INSERT 0 1"));
    let mut other = engine.session();
    assert_eq!(ok(&mut other, "SELECT n FROM t WHERE id = 1"), ["0"]);
    ok(&mut session, "ROLLBACK");
    assert_eq!(ok(&mut other, "SELECT (SELECT n FROM t WHERE id = 1), count(*) FROM log"), ["0|0"]);
}

#[test]
fn what_meets_a_lock_has_done_nothing_and_waits_the_usual_way() {
    let engine = engine();
    let mut holder = prepared(&engine);
    let mut session = prepared(&engine);
    ok(&mut holder, "BEGIN");
    assert_eq!(now(&holder, UPDATE, &[1, 10]), done("UPDATE 1"));
    assert_eq!(now(&session, "BEGIN", &[]), done("BEGIN"));
    assert_eq!(now(&session, UPDATE, &[2, 1]), done("UPDATE 1"));
    // Twice: the block goes on.
    assert_eq!(now(&session, UPDATE, &[1, 1]), None);
    assert_eq!(now(&session, UPDATE, &[1, 1]), None);
    assert_eq!(now(&session, UPDATE, &[2, 1]), done("UPDATE 1"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            // It waits, although the attempts before did not.
            let done = session.execute(UPDATE, &numbers(&[1, 1])).unwrap();
            let StatementResult::Command { tag, .. } = done else { panic!("rows") };
            ok(&mut session, "COMMIT");
            tag
        });
        while ok(&mut holder, "SELECT count(*) FROM pg_locks WHERE NOT granted") == ["0"] {
            std::thread::yield_now();
        }
        ok(&mut holder, "COMMIT");
        assert_eq!(waiting.join().unwrap(), "UPDATE 1");
    });
    assert_eq!(ok(&mut holder, "SELECT n FROM t ORDER BY id"), ["11", "2"]);
}

#[test]
fn an_error_fails_the_block() {
    let engine = engine();
    let mut session = prepared(&engine);
    ok(&mut session, "BEGIN");
    assert_eq!(now(&session, INSERT, &[1]), done("INSERT 0 1"));
    assert_eq!(now(&session, INSERT, &[1]), Some(Err("23505".to_owned())));
    assert_eq!(now(&session, UPDATE, &[1, 1]), None);
    assert_eq!(fails(&mut session, "SELECT 1").0, "25P02");
    ok(&mut session, "ROLLBACK");
    ok(&mut session, "BEGIN READ ONLY");
    assert_eq!(now(&session, UPDATE, &[1, 1]), None);
    assert_eq!(fails(&mut session, "UPDATE t SET n = 1 WHERE id = 1").0, "25006");
    ok(&mut session, "ROLLBACK");
    ok(&mut session, "SET statement_timeout = '1min'");
    assert_eq!(now(&session, "BEGIN", &[]), None);
}
