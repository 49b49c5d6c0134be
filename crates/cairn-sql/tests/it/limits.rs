//! Big operators: they end with the statement's time, spill or fail cleanly under a small memory budget, and go on afterwards.

use cairn_engine::Database;
use cairn_sql::{Engine, Session, SqlOptions};

use crate::support::{fails, ok, run, session};

fn with_memory(bytes: usize) -> Session {
    let mut options = SqlOptions::default();
    options.memory_bytes_max = bytes;
    options.parallelism = 2;
    Engine::new(Database::in_memory().unwrap(), options).unwrap().session()
}

/// One operator each that gives nothing before it has had many rows: far more than any time is enough for.
const ENDLESS: [&str; 11] = [
    "SELECT count(*) FROM generate_series(1, 1000000000000000000)",
    "SELECT n FROM generate_series(1, 1000000000) AS s(n) ORDER BY n % 1000, n LIMIT 3",
    "SELECT sum(n) FROM generate_series(1, 1000000000) AS s(n) GROUP BY n % 7",
    "SELECT count(*) FROM generate_series(1, 300000) AS a(n) CROSS JOIN generate_series(1, 300000) AS b(m)",
    "SELECT count(*) FROM generate_series(1, 300000) AS a(n) JOIN generate_series(1, 300000) AS b(m) ON n + m > 7",
    "SELECT count(*) FROM generate_series(1, 300000) AS a(n) JOIN generate_series(1, 300000) AS b(m) ON n % 2 = m % 2",
    // Joins that compare and give nothing.
    "SELECT count(*) FROM generate_series(1, 300000) AS a(n) JOIN generate_series(1, 300000) AS b(m) ON n + m < 0",
    "SELECT count(*) FROM generate_series(1, 300000) AS a(n) LEFT JOIN generate_series(1, 300000) AS b(m) ON n + m < 0",
    "SELECT count(*) FROM generate_series(1, 300000) AS a(n) JOIN generate_series(1, 300000) AS b(m) \
     ON n % 2 = m % 2 AND n + m < 0",
    "SELECT max(s) FROM (SELECT sum(n) OVER (ORDER BY n ROWS BETWEEN 100000 PRECEDING AND CURRENT ROW) AS s \
     FROM generate_series(1, 1000000000) AS t(n)) AS w",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 1000000000) SELECT max(n) FROM r",
];

#[test]
fn every_operator_ends_with_the_statements_time() {
    let mut s = session();
    ok(&mut s, "SET statement_timeout = '50ms'");
    for sql in ENDLESS {
        assert_eq!(fails(&mut s, sql).0, "57014", "{sql}");
    }
    assert_eq!(ok(&mut s, "SELECT 1"), ["1"]);
}

/// With one worker: what goes on keeps the next statement from its turn.
#[test]
fn nothing_of_a_join_goes_on_after_its_statement() {
    let mut options = SqlOptions::default();
    options.parallelism = 1;
    let mut s = Engine::new(Database::in_memory().unwrap(), options).unwrap().session();
    for sql in &ENDLESS[4..9] {
        ok(&mut s, "SET statement_timeout = '50ms'");
        assert_eq!(fails(&mut s, sql).0, "57014", "{sql}");
        ok(&mut s, "SET statement_timeout = 0");
        assert_eq!(ok(&mut s, "SELECT count(*) FROM generate_series(1, 10)"), ["10"]);
        // Nor after its reader.
        drop(s.query(sql, &[]).unwrap());
        assert_eq!(ok(&mut s, "SELECT count(*) FROM generate_series(1, 10)"), ["10"]);
    }
}

#[test]
fn a_series_without_end_streams() {
    let mut s = session();
    let sql = "SELECT n FROM generate_series(1, 1000000000000000000) AS s(n) LIMIT 2";
    assert_eq!(ok(&mut s, sql), ["1", "2"]);
}

/// Statements of a million rows, with their answers.
const MILLION: [(&str, &str); 8] = [
    (
        "SELECT sum(n * m) FROM (SELECT n, row_number() OVER (ORDER BY n % 1000, n) AS m \
         FROM generate_series(1, 1000000) AS s(n) ORDER BY n % 777, n OFFSET 0) AS t",
        "250166667000250000",
    ),
    (
        "SELECT count(*), sum(c) FROM (SELECT n % 500000 AS k, count(*) AS c FROM generate_series(1, 1000000) AS s(n) \
         GROUP BY 1) AS t",
        "500000|1000000",
    ),
    (
        "SELECT count(*), sum(a.n) FROM generate_series(1, 1000000) AS a(n) \
         JOIN generate_series(1, 1000000) AS b(m) ON a.n = b.m",
        "1000000|500000500000",
    ),
    (
        "SELECT max(s) FROM (SELECT sum(n) OVER (PARTITION BY n % 10 ORDER BY n) AS s \
         FROM generate_series(1, 1000000) AS t(n)) AS w",
        "50000500000",
    ),
    ("SELECT n FROM generate_series(1, 1000000) AS s(n) ORDER BY n % 777, n OFFSET 999999", "999998"),
    ("SELECT cardinality(array_agg(n)) FROM generate_series(1, 1000000) AS s(n)", "1000000"),
    (
        "SELECT count(*), sum(cardinality(a)) FROM (SELECT n % 1000 AS k, array_agg(n) AS a \
         FROM generate_series(1, 1000000) AS s(n) GROUP BY 1) AS t",
        "1000|1000000",
    ),
    ("SELECT count(*) FROM (SELECT DISTINCT n * 2 FROM generate_series(1, 1000000) AS s(n)) AS t", "1000000"),
];

fn spills(bytes: usize) {
    let mut s = with_memory(bytes);
    for (sql, answer) in MILLION {
        assert_eq!(ok(&mut s, sql), [answer], "{bytes}");
    }
}

#[test]
fn twenty_megabytes_are_enough_for_a_million_rows() {
    spills(20 << 20);
}

#[test]
fn eight_megabytes_are_enough_for_a_million_rows() {
    spills(8 << 20);
}

/// Keys of sorted batches take memory too, which was kept back by nobody.
#[test]
fn a_sort_of_more_than_the_memory_spills_whatever_the_memory() {
    let mut s = with_memory(70 << 20);
    let sql = "SELECT n FROM generate_series(1, 3000000) AS s(n) ORDER BY n % 777, n OFFSET 2999999";
    assert_eq!(ok(&mut s, sql), ["2999996"]);
}

#[test]
fn one_megabyte_is_enough_for_a_sort() {
    let mut s = with_memory(1 << 20);
    let sql = "SELECT n FROM generate_series(1, 1000000) AS s(n) ORDER BY n % 777, n OFFSET 999999";
    assert_eq!(ok(&mut s, sql), ["999998"]);
}

#[test]
fn a_table_of_1600_columns() {
    let mut s = session();
    let columns: Vec<String> = (0..1600).map(|n| format!("c{n} int")).collect();
    ok(&mut s, &format!("CREATE TABLE wide ({})", columns.join(", ")));
    let values: Vec<String> = (0..1600).map(|n| n.to_string()).collect();
    ok(&mut s, &format!("INSERT INTO wide VALUES ({})", values.join(", ")));
    ok(&mut s, "UPDATE wide SET c1599 = c1598 + 2 WHERE c3 = 3");
    assert_eq!(ok(&mut s, "SELECT c0, c800, c1599 FROM wide WHERE c1000 = 1000"), ["0|800|1600"]);
    let columns: Vec<String> = (0..1601).map(|n| format!("c{n} int")).collect();
    assert_eq!(fails(&mut s, &format!("CREATE TABLE wider ({})", columns.join(", "))).0, "54011");
}

#[test]
fn patterns_do_not_explode() {
    let mut s = session();
    let text = "a".repeat(5_000);
    for pattern in ["%a%a%a%a%a%a%a%a%a%a%b", "_%_%_%_%_%_%_%_%_%_%b"] {
        assert_eq!(ok(&mut s, &format!("SELECT '{text}' LIKE '{pattern}'")), ["f"]);
        assert_eq!(ok(&mut s, &format!("SELECT '{text}' ILIKE '{pattern}'")), ["f"]);
        assert_eq!(ok(&mut s, &format!("SELECT x LIKE '{pattern}' FROM (VALUES ('{text}')) AS v(x)")), ["f"]);
    }
    for pattern in ["(a+)+b", "(a|a)*b", "(a|aa)+$b", "(.*a){20}b", "(a?){60}a{60}b"] {
        let sql = format!("SELECT x ~ '^{pattern}' FROM (VALUES ('{text}')) AS v(x)");
        assert_eq!(ok(&mut s, &sql), ["f"], "{pattern}");
    }
    let state =
        run(&mut s, "SELECT 'a' ~ '((((a{100}){100}){100}){100}){100}'").map_err(|e| e.sqlstate().to_owned());
    assert!(matches!(state.as_ref().map_err(String::as_str), Err("2201B")), "{state:?}");
}

/// Plans that are kept begin on the caller's thread, whose stack may be small: deep expressions do not.
#[test]
// The size of the stack is what is tested.
#[allow(clippy::disallowed_methods)]
fn kept_plans_of_deep_expressions_spare_small_stacks() {
    let run = || {
        let mut s = crate::support::session();
        crate::support::ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int)");
        crate::support::ok(&mut s, "INSERT INTO t VALUES (1, 2), (2, 3)");
        for depth in [20, 900] {
            let nested = |of: &str| format!("{}{of}{}", "abs(".repeat(depth), ")".repeat(depth));
            for sql in [
                format!("SELECT {} FROM t WHERE id = 1", nested("n")),
                format!("SELECT n FROM t WHERE {} = 2", nested("n")),
                format!("SELECT sum({}) FROM t WHERE id < 2", nested("n")),
                format!("UPDATE t SET n = {} WHERE id = 1 RETURNING n", nested("n")),
                format!(
                    "SELECT {} FROM t WHERE id = 1",
                    format!("-(n - {}", "(n - ".repeat(depth)) + "n" + &")".repeat(depth + 1)
                ),
            ] {
                for _ in 0..3 {
                    match crate::support::run(&mut s, &sql) {
                        Ok(rows) => assert_eq!(rows.len(), 1),
                        Err(error) => assert_eq!(error.sqlstate(), "54001", "{}", error.message()),
                    }
                }
            }
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}
