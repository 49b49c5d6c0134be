//! Statements end when they are cancelled, in whatever they are about, and leave nothing behind. `cargo xtask cancel` measures
//! how long that takes.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cairn_sql::{Session, StatementCancel};

use crate::support::{ok, run, session};

/// Rows of the table `big`.
fn rows() -> usize {
    std::env::var("CAIRN_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(40_000)
}

fn prepared(rows: usize) -> (Session, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut s = session();
    let file = directory.path().join("big.csv").display().to_string();
    for sql in [
        "CREATE TABLE big (id int PRIMARY KEY, a int, b text)".to_owned(),
        format!(
            "INSERT INTO big SELECT i, (i * 7919::bigint % 1000003)::int, 'text number ' || i FROM generate_series(1, {rows}) AS g(i)"
        ),
        "CREATE TABLE src (id int PRIMARY KEY, a int)".to_owned(),
        format!("INSERT INTO src SELECT i * 2, i FROM generate_series(1, {rows}) AS g(i)"),
        "CREATE TABLE dst (id int, a int, b text)".to_owned(),
        "CREATE MATERIALIZED VIEW mv AS SELECT a % 1000 AS k, count(*) AS c FROM big GROUP BY 1".to_owned(),
        "CREATE MATERIALIZED VIEW whole AS SELECT id, a FROM big WITH NO DATA".to_owned(),
        format!("COPY big TO '{file}' (FORMAT csv)"),
    ] {
        ok(&mut s, &sql);
    }
    (s, directory)
}

/// Statements that take long, one for each thing that statements are about; `{dir}` is a directory with `big.csv`.
const STATEMENTS: [&str; 38] = [
    "COPY dst FROM '{dir}/big.csv' (FORMAT csv)",
    "COPY (SELECT * FROM big, generate_series(1, 20)) TO '{dir}/out.csv' (FORMAT csv)",
    "CREATE INDEX ON big (a)",
    "CREATE UNIQUE INDEX ON big (b, a)",
    "UPDATE big SET a = a + 1",
    "UPDATE big SET id = id + 1000000",
    "DELETE FROM big WHERE id > 10",
    "INSERT INTO dst SELECT * FROM big",
    "INSERT INTO big SELECT * FROM big ON CONFLICT (id) DO UPDATE SET a = excluded.a + 1",
    "MERGE INTO big USING src ON src.id = big.id WHEN MATCHED THEN UPDATE SET a = src.a \
     WHEN NOT MATCHED THEN INSERT VALUES (src.id, src.a, '')",
    "ANALYZE",
    "REFRESH MATERIALIZED VIEW whole",
    "CREATE MATERIALIZED VIEW more AS SELECT a.id FROM big AS a JOIN big AS b ON a.a <> b.a",
    "CREATE TABLE made AS SELECT * FROM big, generate_series(1, 10)",
    "ALTER TABLE big ADD CHECK (length(repeat(b, 20)) > 0)",
    "ALTER TABLE big ALTER COLUMN b SET NOT NULL, ALTER COLUMN a TYPE bigint USING a + 1",
    "ALTER TABLE src ADD FOREIGN KEY (a) REFERENCES big",
    "DO LANGUAGE sql $$ UPDATE big SET a = a + 1; UPDATE big SET a = a + 1 $$",
    "SELECT * FROM big ORDER BY b DESC, a OFFSET 10000000",
    "SELECT a, count(*) FROM big, generate_series(1, 40) GROUP BY GROUPING SETS ((a), (b), (a, b), ()) OFFSET 10000000",
    "SELECT DISTINCT b || n FROM big, generate_series(1, 40) AS s(n) OFFSET 10000000",
    "SELECT sum(a) OVER (ORDER BY b ROWS BETWEEN 10000 PRECEDING AND CURRENT ROW) FROM big OFFSET 10000000",
    "SELECT count(*) FROM big AS x, big AS y WHERE x.a < y.a",
    "SELECT (SELECT count(*) FROM big AS y WHERE y.a % 7 < x.a % 10) FROM big AS x OFFSET 10000000",
    "SELECT b FROM big EXCEPT SELECT b || n FROM big, generate_series(1, 40) AS s(n) OFFSET 10000000",
    "SELECT array_length(array_agg(n ORDER BY n % 1000), 1) FROM generate_series(1, 30000000) AS s(n)",
    "SELECT length(string_agg(b, ',')) FROM big, generate_series(1, 100)",
    "SELECT jsonb_agg(b) FROM big, generate_series(1, 100)",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM big, generate_series(1, 100)",
    "SELECT count(*) FROM generate_series(1, 1000000000000000000)",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n + 1 FROM r WHERE n < 100000000) SELECT count(*) FROM r",
    "SELECT sum(length(regexp_replace(repeat(b, 200), '(a|b|c|[0-9])+', 'x', 'g'))) FROM big",
    "SELECT count(*) FROM big WHERE repeat(b, 300) ~ '(t|e|x)*z.*y'",
    "SELECT max(length(repeat(b, 20000))) FROM big",
    "SELECT sum(length(lpad(b, 100000, 'ab'))) FROM big",
    "SELECT max(length(replace(repeat(b, 2000), 'e', 'three'))) FROM big",
    "{joins}",
];

/// The text of one of them.
fn text(sql: &str, directory: &tempfile::TempDir) -> String {
    // Planning alone: more joins than can be ordered by trying all.
    let tables: Vec<String> = (0..60).map(|at| format!("big AS t{at}")).collect();
    let equal: Vec<String> = (1..60).map(|at| format!("t{at}.a = t{}.id", at - 1)).collect();
    let joins = format!("SELECT count(*) FROM {} WHERE {}", tables.join(", "), equal.join(" AND "));
    sql.replace("{dir}", &directory.path().display().to_string()).replace("{joins}", &joins)
}

/// Runs a statement while somebody else says again and again that it is to end: what it gave, if it was not ended.
fn cancelled(session: &mut Session, sql: &str) -> Option<String> {
    let (handle, done) = (session.cancel_handle(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                handle.cancel();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let outcome = run(session, sql);
        done.store(true, Ordering::Relaxed);
        match outcome {
            Err(error) if error.sqlstate() == "57014" => None,
            Err(error) => Some(format!("{} {error:?}", error.sqlstate())),
            Ok(lines) => Some(format!("{} lines", lines.len())),
        }
    })
}

/// Cancels a query that has returned; how reading its rows ends.
fn cancelled_while_read(session: &mut Session, sql: &str) -> String {
    let handle = session.cancel_handle();
    let rows = session.query(sql, &[]).unwrap();
    handle.cancel();
    match crate::support::lines(rows) {
        Err(error) => error.sqlstate().to_owned(),
        Ok(lines) => format!("{} lines", lines.len()),
    }
}

#[test]
fn every_statement_ends_when_it_is_cancelled() {
    let (mut s, directory) = prepared(rows());
    let state = "SELECT (SELECT count(*) FROM big), (SELECT sum(a) FROM big), (SELECT sum(id) FROM big), \
                 (SELECT count(*) FROM src), (SELECT count(*) FROM dst), (SELECT count(*) FROM mv)";
    let before = ok(&mut s, state);
    for sql in STATEMENTS {
        let sql = text(sql, &directory);
        if let Some(outcome) = cancelled(&mut s, &sql) {
            panic!("{sql}\n  ended with {outcome}");
        }
        // The session goes on, and nothing was done.
        assert_eq!(ok(&mut s, state), before, "{sql}");
        // Queries return before they have run: their operators end, too; the second time those of a plan that was kept.
        for _ in 0..2 {
            if sql.starts_with("SELECT") || sql.starts_with("WITH") {
                assert_eq!(cancelled_while_read(&mut s, &sql), "57014", "{sql}");
            }
        }
    }
    ok(&mut s, "BEGIN");
    assert_eq!(cancelled(&mut s, "UPDATE big SET a = a + 1"), None);
    assert_eq!(crate::support::fails(&mut s, "SELECT 1").0, "25P02");
    ok(&mut s, "ROLLBACK");
}

/// So does one that runs from a remembered plan and waits for a row, in a block and outside.
#[test]
fn a_change_by_key_that_waits_is_cancelled() {
    let engine = crate::support::engine();
    let (mut s, mut other) = (engine.session(), engine.session());
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int)");
    ok(&mut s, "INSERT INTO t VALUES (1, 0)");
    let change = "UPDATE t SET n = n + 1 WHERE id = 1";
    for _ in 0..3 {
        ok(&mut s, change);
    }
    let used = "SELECT hits FROM cairn_plans WHERE kind = 'point writes'";
    let before = ok(&mut s, used);
    ok(&mut other, "BEGIN");
    ok(&mut other, "SELECT * FROM t FOR UPDATE");
    assert_eq!(cancelled(&mut s, change), None);
    ok(&mut s, "BEGIN");
    assert_eq!(cancelled(&mut s, change), None);
    assert_eq!(crate::support::fails(&mut s, "SELECT 1").0, "25P02");
    ok(&mut s, "ROLLBACK");
    ok(&mut other, "COMMIT");
    assert_ne!(ok(&mut s, used), before);
    ok(&mut s, change);
    assert_eq!(ok(&mut s, "SELECT n FROM t"), ["4"]);
}

#[test]
fn a_cancellation_without_a_statement_does_nothing() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY)");
    let handle = s.cancel_handle();
    for id in 0..4 {
        handle.cancel();
        ok(&mut s, &format!("INSERT INTO t VALUES ({id})"));
        handle.cancel();
        assert_eq!(ok(&mut s, "SELECT count(*) FROM t"), [(id + 1).to_string()]);
    }
}

/// How long after its cancellation a statement returns, in milliseconds; none where it was over before.
fn measured(session: &mut Session, handle: &StatementCancel, sql: &str, after: Duration) -> Option<f64> {
    let (asked, done) = (std::sync::Mutex::new(None), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(after);
            *asked.lock().unwrap() = Some(Instant::now());
            while !done.load(Ordering::Relaxed) {
                handle.cancel();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let outcome = run(session, sql);
        let ended = Instant::now();
        done.store(true, Ordering::Relaxed);
        let asked = (*asked.lock().unwrap())?;
        outcome.is_err().then(|| ended.duration_since(asked).as_secs_f64() * 1e3)
    })
}

/// Prints a table; it asserts nothing of times.
#[test]
#[ignore = "a measurement: cargo xtask cancel"]
fn how_long_it_takes_to_end() {
    let (mut s, directory) = prepared(rows());
    let handle = s.cancel_handle();
    println!("milliseconds from the cancellation to the end, cancelled after 20, 100, 250, 500 and 1000 ms");
    for sql in STATEMENTS {
        let sql = text(sql, &directory);
        let mut times = Vec::new();
        for after in [20, 100, 250, 500, 1000] {
            ok(&mut s, "BEGIN");
            let time = measured(&mut s, &handle, &sql, Duration::from_millis(after));
            ok(&mut s, "ROLLBACK");
            times.push(time.map_or_else(|| "     –".to_owned(), |time| format!("{time:6.1}")));
        }
        println!("{}  {}", times.join(" "), &sql[..sql.len().min(100)]);
    }
}
