//! Subqueries that run once per outer value: on one thread, within their time and within their memory.
//! Their answers are in `tests/sql/subqueries.slt`.

use crate::support::{fails, ok};
use cairn_engine::Database;
use cairn_sql::{Engine, SqlOptions};

fn engine(change: impl FnOnce(&mut SqlOptions)) -> Engine {
    let mut options = SqlOptions::default();
    change(&mut options);
    Engine::new(Database::in_memory().expect("a database in memory"), options).expect("an engine")
}

const TABLE: &str = "CREATE TABLE n AS SELECT g AS a, g % 7 AS b FROM generate_series(1, 2000) AS s (g)";

#[test]
fn nested_subqueries_finish_on_one_thread() {
    let engine = engine(|options| options.parallelism = 1);
    let mut session = engine.session();
    ok(&mut session, TABLE);
    let nested = "SELECT sum((SELECT count(*) FROM n x WHERE x.a < t.b + \
                  (SELECT max(y.b) FROM n y WHERE y.b > x.b AND y.a < t.b + 10))) FROM n t WHERE t.a <= 40";
    let flat = "SELECT sum(c) FROM (SELECT t.a, count(*) FILTER (WHERE x.a < t.b + m.m) AS c FROM n t CROSS JOIN n x \
                JOIN (SELECT t.b AS tb, x.b AS xb, max(y.b) AS m FROM (SELECT DISTINCT b FROM n) t \
                CROSS JOIN (SELECT DISTINCT b FROM n) x JOIN n y ON y.b > x.b AND y.a < t.b + 10 GROUP BY 1, 2) m \
                ON m.tb = t.b AND m.xb = x.b WHERE t.a <= 40 GROUP BY t.a) s";
    assert_eq!(ok(&mut session, nested), ok(&mut session, flat));
}

#[test]
fn results_larger_than_a_batch_come_whole() {
    let engine = engine(|_| {});
    let mut session = engine.session();
    ok(&mut session, TABLE);
    let counted = ok(
        &mut session,
        "SELECT count(*), sum(s.a) FROM n t, LATERAL (SELECT x.a FROM n x WHERE x.a > t.a AND x.a <= t.a + t.b) s",
    );
    let joined =
        ok(&mut session, "SELECT count(*), sum(x.a) FROM n t JOIN n x ON x.a > t.a AND x.a <= t.a + t.b");
    assert_eq!(counted, joined);
}

#[test]
fn they_end_with_the_statements_time() {
    let engine = engine(|_| {});
    let mut session = engine.session();
    ok(&mut session, TABLE);
    ok(&mut session, "SET statement_timeout = 1");
    let slow = "SELECT sum((SELECT count(*) FROM n x WHERE x.a > t.a)) FROM n t";
    assert_eq!(fails(&mut session, slow).0, "57014");
    ok(&mut session, "SET statement_timeout = 0");
    assert_eq!(ok(&mut session, slow), ["1999000"]);
}

#[test]
fn rows_beyond_memory_are_an_error() {
    let engine = engine(|options| options.memory_bytes_max = 8 << 20);
    let mut session = engine.session();
    ok(&mut session, TABLE);
    let wide = "SELECT count(*) FROM n t, LATERAL (SELECT x.a, repeat('x', 1000) AS w FROM n x WHERE x.a > t.a LIMIT 1900) s \
                WHERE length(s.w) > 5";
    assert_eq!(fails(&mut session, wide).0, "53200");
    assert_eq!(ok(&mut session, "SELECT 1"), ["1"]);
}

#[test]
fn a_snapshot_serves_the_whole_statement() {
    let engine = engine(|_| {});
    let mut session = engine.session();
    ok(&mut session, "CREATE TABLE t (a int PRIMARY KEY, b int)");
    ok(&mut session, "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)");
    ok(&mut session, "INSERT INTO t SELECT a + 10, (SELECT count(*) FROM t x WHERE x.a <= t.a) FROM t");
    let all = ok(&mut session, "SELECT a, b FROM t ORDER BY a");
    assert_eq!(all, ["1|1", "2|2", "3|3", "11|1", "12|2", "13|3"]);
    ok(&mut session, "BEGIN");
    let mut open =
        session.query("SELECT (SELECT count(*) FROM t x WHERE x.a < t.a) FROM t", &[]).expect("rows");
    ok(&mut session, "DELETE FROM t");
    let mut seen = 0;
    while let Some(batch) = open.next_batch().expect("a batch") {
        let column = batch.column(0).as_any().downcast_ref::<arrow::array::Int64Array>().expect("counts");
        seen += column.iter().flatten().sum::<i64>();
    }
    assert_eq!(seen, 15);
}

#[test]
fn a_text_that_runs_again_sees_what_has_changed() {
    let engine = engine(|_| {});
    let mut session = engine.session();
    ok(&mut session, "CREATE TABLE t (a int PRIMARY KEY)");
    let text = "SELECT a, (SELECT count(*) FROM t x WHERE x.a < t.a) FROM t ORDER BY a";
    for n in 0..6 {
        ok(&mut session, &format!("INSERT INTO t VALUES ({})", 10 - n));
        let counts: Vec<String> = (0..=n).map(|at| format!("{}|{at}", 10 - n + at)).collect();
        assert_eq!(ok(&mut session, text), counts);
    }
}
