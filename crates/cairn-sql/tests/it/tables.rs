//! Queries over tables: access paths, order, points, catalog, files, transactions.

use cairn_sql::Session;

use crate::support::{fails, lines, ok, session};

/// 20,000 flights from five places, one in ten without delay known.
fn flights() -> Session {
    let mut s = session();
    ok(&mut s, "CREATE TABLE flights (id int PRIMARY KEY, dest text NOT NULL, delay int, at timestamptz)");
    ok(
        &mut s,
        "INSERT INTO flights SELECT n, (ARRAY['BOS','LAX','JFK','SEA','ATL'])[n % 5 + 1], \
         CASE WHEN n % 10 = 0 THEN NULL ELSE n % 7 - 3 END, \
         TIMESTAMPTZ '2013-01-01 00:00:00+00' + n * INTERVAL '1 minute' FROM generate_series(1, 20000) AS s(n)",
    );
    ok(&mut s, "CREATE INDEX flights_dest ON flights (dest, delay)");
    s
}

fn plan(s: &mut Session, sql: &str) -> String {
    ok(s, &format!("EXPLAIN (FORMAT tree) {sql}")).join("\n")
}

#[test]
fn indexes_are_used_where_they_help() {
    let mut s = flights();
    let cases = [
        ("SELECT * FROM flights WHERE id = 5", "using primary key (id = 5)"),
        ("SELECT * FROM flights WHERE id > 10 AND id <= 20", "using primary key ("),
        ("SELECT * FROM flights WHERE dest = 'BOS' AND delay = 2", "using index flights_dest ("),
        ("SELECT dest, delay FROM flights WHERE dest = 'BOS'", "using index flights_dest (dest = 'BOS')"),
        ("SELECT * FROM flights WHERE delay = 2", "flights full"),
        ("SELECT * FROM flights", "flights full"),
    ];
    for (sql, part) in cases {
        let plan = plan(&mut s, sql);
        assert!(
            plan.contains(&format!("TableScan: flights {}", part.trim_start_matches("flights "))),
            "{sql}\n{plan}"
        );
    }
    assert!(!plan(&mut s, "SELECT * FROM flights ORDER BY id DESC LIMIT 3").contains("Sort"));
}

#[test]
fn every_access_path_gives_the_same_rows() {
    let mut s = flights();
    let conditions = [
        "id = 77",
        "id IN (1, 5, 19999, 30000)",
        "id BETWEEN 100 AND 120",
        "id < 3 OR id = 50",
        "dest = 'BOS' AND delay = -3",
        "dest = 'BOS' AND delay IS NULL",
        "dest = 'BOS' AND delay > 1",
        "dest LIKE 'B%' AND delay BETWEEN -1 AND 1",
        "dest IN ('BOS', 'XXX') AND delay = 0",
        "dest > 'JFK' AND id < 1000",
        "dest = 'NOSUCH'",
    ];
    for condition in conditions {
        let by_index = ok(&mut s, &format!("SELECT id FROM flights WHERE {condition} ORDER BY id"));
        // An expression over the columns hides them from the choice of an index.
        let hidden = condition
            .replace("id ", "id + 0 ")
            .replace("dest ", "dest || '' ")
            .replace("delay ", "delay + 0 ");
        let by_scan = ok(&mut s, &format!("SELECT id FROM flights WHERE {hidden} ORDER BY id"));
        assert_eq!(by_index, by_scan, "{condition}");
    }
}

#[test]
fn points_are_read_from_cached_plans() {
    let mut s = flights();
    for _ in 0..3 {
        let rows = s.query("SELECT dest, id AS n FROM flights WHERE id = $1", &[7.into()]).unwrap();
        assert_eq!(rows.columns().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["dest", "n"]);
        assert_eq!(lines(rows).unwrap(), ["JFK|7"]);
    }
    let sql = "SELECT dest FROM flights WHERE id = $1";
    for (value, expected) in [(7.into(), vec!["JFK"]), ("7".into(), vec!["JFK"]), (99_999.into(), vec![])] {
        let value: cairn_types::Value = value;
        assert_eq!(lines(s.query(sql, &[value]).unwrap()).unwrap(), expected);
    }
    assert!(lines(s.query(sql, &[cairn_types::Value::Null]).unwrap()).unwrap().is_empty());
    assert!(lines(s.query(sql, &[5_000_000_000i64.into()]).unwrap()).unwrap().is_empty());
    ok(&mut s, "BEGIN");
    ok(&mut s, "UPDATE flights SET dest = 'NEW' WHERE id = 7");
    assert_eq!(lines(s.query(sql, &[7.into()]).unwrap()).unwrap(), ["NEW"]);
    ok(&mut s, "ROLLBACK");
    assert_eq!(lines(s.query(sql, &[7.into()]).unwrap()).unwrap(), ["JFK"]);
    ok(&mut s, "ALTER TABLE flights RENAME COLUMN dest TO place");
    assert_eq!(s.query(sql, &[7.into()]).unwrap_err().sqlstate(), "42703");
}

#[test]
fn sums_do_not_wrap() {
    let mut s = session();
    assert_eq!(
        ok(&mut s, "SELECT sum(n) FROM (VALUES (9223372036854775807), (9223372036854775807)) v(n)"),
        ["18446744073709551614"]
    );
    assert_eq!(
        ok(&mut s, "SELECT pg_typeof(sum(n)), pg_typeof(sum(n::bigint)) FROM (VALUES (1)) v(n)"),
        ["bigint|numeric"]
    );
}

#[test]
fn sets_and_exists_in_select_lists() {
    let mut s = flights();
    assert_eq!(ok(&mut s, "SELECT generate_series(1, 3)"), ["1", "2", "3"]);
    assert_eq!(
        ok(&mut s, "SELECT EXISTS (SELECT 1 FROM flights WHERE id = 1), NOT EXISTS (SELECT 1 FROM flights)"),
        ["t|f"]
    );
    assert_eq!(ok(&mut s, "SELECT 2 ^ 3, ~5, 6 & 3, 6 | 1, 1 << 3"), ["8|-6|2|7|8"]);
}

#[test]
fn views_and_catalog() {
    let mut s = flights();
    ok(&mut s, "CREATE VIEW late AS SELECT dest, count(*) AS n FROM flights WHERE delay > 0 GROUP BY dest");
    assert_eq!(ok(&mut s, "SELECT count(*) FROM late"), ["5"]);
    assert_eq!(
        ok(
            &mut s,
            "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        ),
        ["flights|BASE TABLE", "late|VIEW"]
    );
    assert_eq!(
        ok(&mut s, "SELECT indexdef FROM pg_indexes WHERE indexname = 'flights_dest'"),
        ["CREATE INDEX flights_dest ON public.flights USING btree (dest, delay)"]
    );
    assert_eq!(fails(&mut s, "SELECT * FROM flights_dest").0, "42809");
}

#[test]
fn a_script_runs_statement_by_statement() {
    let mut s = session();
    let text = "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2);\nSELECT count(*) FROM t; SELECT nosuch FROM t; SELECT 1";
    let results: Vec<_> = s.execute_script(text).collect();
    assert_eq!(results.len(), 4);
    let error = results[3].as_ref().unwrap_err();
    assert_eq!(error.sqlstate(), "42703");
    let at = error.position().unwrap();
    assert!(text[at - 1..].starts_with("nosuch"), "{at}");
}

#[test]
fn read_only_and_isolation() {
    let mut s = flights();
    ok(&mut s, "BEGIN READ ONLY");
    assert_eq!(fails(&mut s, "DELETE FROM flights").0, "25006");
    ok(&mut s, "ROLLBACK");
    let engine = crate::support::engine();
    let (mut a, mut b) = (engine.session(), engine.session());
    ok(&mut a, "CREATE TABLE t (k int PRIMARY KEY, v int)");
    ok(&mut a, "INSERT INTO t VALUES (1, 0)");
    ok(&mut a, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    ok(&mut b, "BEGIN");
    assert_eq!(ok(&mut a, "SELECT v FROM t"), ["0"]);
    ok(&mut b, "UPDATE t SET v = 1");
    ok(&mut b, "COMMIT");
    assert_eq!(ok(&mut a, "SELECT v FROM t"), ["0"]);
    assert_eq!(fails(&mut a, "UPDATE t SET v = 2").0, "40001");
    ok(&mut a, "ROLLBACK");
    ok(&mut a, "BEGIN");
    assert_eq!(ok(&mut a, "SELECT v FROM t"), ["1"]);
    ok(&mut b, "UPDATE t SET v = 3");
    assert_eq!(ok(&mut a, "SELECT v FROM t"), ["3"]);
    ok(&mut a, "UPDATE t SET v = v + 1");
    ok(&mut a, "COMMIT");
    assert_eq!(ok(&mut b, "SELECT v FROM t"), ["4"]);
}

#[test]
fn levels_by_name() {
    let engine = crate::support::engine();
    let mut s = engine.session();
    for level in ["read uncommitted", "read committed", "repeatable read", "snapshot", "serializable"] {
        ok(&mut s, &format!("BEGIN ISOLATION LEVEL {level}"));
        assert_eq!(ok(&mut s, "SHOW transaction_isolation"), [level]);
        ok(&mut s, "COMMIT");
        ok(&mut s, &format!("SET default_transaction_isolation = '{level}'"));
        ok(&mut s, "BEGIN");
        assert_eq!(ok(&mut s, "SHOW transaction_isolation"), [level]);
        ok(&mut s, "ROLLBACK");
    }
    ok(&mut s, "RESET default_transaction_isolation");
    assert_eq!(ok(&mut s, "SHOW default_transaction_isolation"), ["read committed"]);
}

#[test]
fn a_kept_plan_reads_the_state_of_its_statement() {
    let engine = crate::support::engine();
    let (mut a, mut b) = (engine.session(), engine.session());
    ok(&mut a, "CREATE TABLE t (k int PRIMARY KEY, v int)");
    ok(&mut a, "INSERT INTO t VALUES (1, 0), (2, 0)");
    ok(&mut a, "BEGIN");
    let sql = "SELECT x.v + y.v FROM t x JOIN t y ON x.k = y.k + 1";
    for round in 0..4 {
        let rows = a.query(sql, &[]).unwrap();
        ok(&mut b, "UPDATE t SET v = v + 1");
        ok(&mut a, "SELECT 1");
        let batches = rows.collect().unwrap();
        let sum = arrow::util::display::array_value_to_string(batches[0].column(0), 0).unwrap();
        assert_eq!(sum, (2 * round).to_string());
    }
    ok(&mut a, "COMMIT");
}

#[test]
fn results_stream_and_can_be_dropped() {
    let mut s = flights();
    let mut rows = s.query("SELECT a.id FROM flights a CROSS JOIN flights b", &[]).unwrap();
    assert!(rows.next_batch().unwrap().is_some());
    drop(rows);
    assert_eq!(ok(&mut s, "SELECT 1"), ["1"]);
    ok(&mut s, "SET statement_timeout = '50ms'");
    assert_eq!(fails(&mut s, "SELECT a.id FROM flights a CROSS JOIN flights b").0, "57014");
}
