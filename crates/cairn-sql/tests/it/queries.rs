//! Queries without tables: names, types, arithmetic, casts, settings, errors.

use crate::support::{fails, names, ok, session};

#[test]
fn columns_have_postgresqls_names() {
    let mut s = session();
    let sql = "SELECT count(*), count(1), sum(n), max(n) + 1, n::text, 1, 'a', CASE WHEN true THEN 1 END, \
               lower('A'), upper('b') AS \"Up\", extract(year FROM DATE '2020-01-01'), true, NULL::int \
               FROM generate_series(1, 1) AS s(n) GROUP BY n";
    assert_eq!(
        names(&mut s, sql),
        [
            "count", "count", "sum", "?column?", "n", "?column?", "?column?", "case", "lower", "Up",
            "extract", "bool", "int4"
        ]
    );
    assert_eq!(names(&mut s, "SELECT n, n FROM generate_series(1, 1) AS s(n)"), ["n", "n"]);
    assert_eq!(ok(&mut s, "SELECT count FROM (SELECT count(*) FROM generate_series(1, 3)) x"), ["3"]);
}

#[test]
fn arithmetic_is_checked() {
    let mut s = session();
    assert_eq!(ok(&mut s, "SELECT 7 / 2, -7 / 2, 7 % 3, 2 * 3, 7.0 / 2"), ["3|-3|1|6|3.5000000000000000"]);
    assert_eq!(fails(&mut s, "SELECT 1 / 0"), ("22012".to_owned(), "division by zero".to_owned()));
    assert_eq!(fails(&mut s, "SELECT 1.0::double precision / 0").0, "22012");
    assert_eq!(
        fails(&mut s, "SELECT 9223372036854775807 + 1"),
        ("22003".to_owned(), "bigint out of range".to_owned())
    );
    assert_eq!(fails(&mut s, "SELECT 2147483647::int + 1").1, "integer out of range");
    assert_eq!(ok(&mut s, "SELECT 0.1 + 0.2, 1.5 * 2, 10 / 4.0"), ["0.3|3.0|2.5000000000000000"]);
    assert_eq!(ok(&mut s, "SELECT NULL::int + 1, 1 / NULL::int"), ["NULL|NULL"]);
}

#[test]
fn integers_of_any_width_divide_numerics() {
    let mut s = session();
    for ty in ["smallint", "int", "bigint"] {
        let from = format!("(SELECT n::{ty} AS n FROM (VALUES (7), (NULL), (-8)) AS v(n)) AS w");
        assert_eq!(
            ok(&mut s, &format!("SELECT n / 1.5, 2.0 / n, n / n::numeric FROM {from}")),
            [
                "4.6666666666666667|0.28571428571428571429|1.00000000000000000000",
                "NULL|NULL|NULL",
                "-5.3333333333333333|-0.25000000000000000000|1.00000000000000000000"
            ],
            "{ty}"
        );
        assert_eq!(fails(&mut s, &format!("SELECT 1.0 / (n - n) FROM {from}")).0, "22012");
    }
    // A bound BIGINT stays one.
    let rows = s.query("SELECT $1 * 1000, $1 / 2.0", &[cairn_types::Value::BigInt(3_000_000)]).unwrap();
    assert_eq!(crate::support::lines(rows).unwrap(), ["3000000000|1500000.000000000000"]);
}

#[test]
fn casts_are_postgresqls() {
    let mut s = session();
    assert_eq!(
        ok(
            &mut s,
            "SELECT '42'::int, 2.5::int, 3.5::int, 'yes'::boolean, 1.999::numeric(4,2), 'abc'::varchar(2)"
        ),
        ["42|3|4|t|2.00|ab"]
    );
    assert_eq!(ok(&mut s, "SELECT 2.5::float8::int, true::text, 12::text || 'x'"), ["2|true|12x"]);
    assert_eq!(
        ok(
            &mut s,
            "SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '\\xdeadbeef'::bytea, '{\"b\":1,\"a\":2}'::jsonb"
        ),
        ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|\\xdeadbeef|{\"a\": 2, \"b\": 1}"]
    );
    assert_eq!(
        fails(&mut s, "SELECT 'abc'::int"),
        ("22P02".to_owned(), "invalid input syntax for type integer: \"abc\"".to_owned())
    );
    assert_eq!(
        fails(&mut s, "SELECT 100000::smallint"),
        ("22003".to_owned(), "smallint out of range".to_owned())
    );
    assert_eq!(fails(&mut s, "SELECT 1::nosuch").0, "42704");
    assert_eq!(ok(&mut s, "SELECT '{1,2,NULL}'::int[], ARRAY[1,2]"), ["{1,2,NULL}|{1,2}"]);
    assert_eq!(ok(&mut s, "SELECT '5' = 5, '2020-01-02' > DATE '2020-01-01'"), ["t|t"]);
}

#[test]
fn dates_and_intervals() {
    let mut s = session();
    assert_eq!(
        ok(
            &mut s,
            "SELECT DATE '2020-01-31' + 1, DATE '2020-03-01' - DATE '2020-02-01', DATE '2020-01-31' + INTERVAL '1 month'"
        ),
        ["2020-02-01|29|2020-02-29 00:00:00"]
    );
    assert_eq!(
        ok(
            &mut s,
            "SELECT TIMESTAMP '2020-01-02 03:00:00' - TIMESTAMP '2020-01-01 00:00:00', INTERVAL '1 day' * 2"
        ),
        ["1 day 03:00:00|2 days"]
    );
    assert_eq!(
        ok(
            &mut s,
            "SELECT TIMESTAMPTZ '2020-07-01 12:00:00+00' AT TIME ZONE 'America/New_York', to_char(DATE '2020-02-03', 'YYYY/MM/DD Dy')"
        ),
        ["2020-07-01 08:00:00|2020/02/03 Mon"]
    );
    assert_eq!(
        ok(
            &mut s,
            "SELECT extract(year FROM TIMESTAMP '2020-05-06 07:08:09'), date_trunc('month', TIMESTAMP '2020-05-06 07:08:09')"
        ),
        ["2020|2020-05-01 00:00:00"]
    );
}

#[test]
fn nulls_sort_last_and_first_when_descending() {
    let mut s = session();
    let from = "FROM (VALUES (1), (NULL), (2)) v(a)";
    assert_eq!(ok(&mut s, &format!("SELECT a {from} ORDER BY a")), ["1", "2", "NULL"]);
    assert_eq!(ok(&mut s, &format!("SELECT a {from} ORDER BY a DESC")), ["NULL", "2", "1"]);
    assert_eq!(
        ok(&mut s, &format!("SELECT a {from} ORDER BY a DESC NULLS LAST FETCH FIRST 2 ROWS ONLY")),
        ["2", "1"]
    );
}

#[test]
fn ctes_windows_sets_and_grouping() {
    let mut s = session();
    assert_eq!(
        ok(
            &mut s,
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r"
        ),
        ["15"]
    );
    assert_eq!(
        ok(
            &mut s,
            "SELECT n, sum(n) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), row_number() OVER w FROM generate_series(1, 3) AS s(n) WINDOW w AS (ORDER BY n DESC) ORDER BY n"
        ),
        ["1|1|3", "2|3|2", "3|5|1"]
    );
    assert_eq!(ok(&mut s, "SELECT 1 UNION SELECT 2 EXCEPT SELECT 1"), ["2"]);
    assert_eq!(
        ok(
            &mut s,
            "SELECT n % 2 AS odd, count(*) FROM generate_series(1, 5) AS s(n) GROUP BY GROUPING SETS ((n % 2), ()) ORDER BY odd"
        ),
        ["0|2", "1|3", "NULL|5"]
    );
    assert_eq!(
        ok(&mut s, "SELECT DISTINCT lower(a) FROM (VALUES ('B'), ('a'), ('b')) v(a) ORDER BY lower(a)"),
        ["a", "b"]
    );
    assert_eq!(
        ok(
            &mut s,
            "SELECT (SELECT count(*) FROM (VALUES (1), (2), (3)) t(m) WHERE m = n) FROM (VALUES (1), (4)) s(n) ORDER BY 1 DESC"
        ),
        ["1", "0"]
    );
}

#[test]
fn settings() {
    let mut s = session();
    assert_eq!(ok(&mut s, "SHOW transaction_isolation"), ["read committed"]);
    assert_eq!(ok(&mut s, "SET timezone = 'America/New_York'"), ["SET"]);
    assert_eq!(ok(&mut s, "SHOW TIME ZONE"), ["America/New_York"]);
    assert_eq!(ok(&mut s, "SELECT '2020-07-01 12:00:00'::timestamptz"), ["2020-07-01 12:00:00-04"]);
    assert_eq!(ok(&mut s, "RESET timezone"), ["RESET"]);
    assert_eq!(fails(&mut s, "SET nosuch = 1").0, "42704");
    assert_eq!(fails(&mut s, "SHOW nosuch").0, "42704");
    assert_eq!(
        ok(&mut s, "SELECT current_schema(), current_database(), current_user"),
        ["public|cairn|cairn"]
    );
    assert_eq!(
        ok(&mut s, "SELECT pg_typeof(1), pg_typeof('a'::text), pg_typeof(1.5)"),
        ["integer|text|numeric"]
    );
}

#[test]
fn transactions_fail_until_rolled_back() {
    let mut s = session();
    assert_eq!(ok(&mut s, "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"), ["BEGIN"]);
    assert_eq!(ok(&mut s, "SHOW transaction_isolation"), ["serializable"]);
    assert_eq!(fails(&mut s, "SELECT nosuch").0, "42703");
    assert_eq!(fails(&mut s, "SELECT 1").0, "25P02");
    assert_eq!(s.transaction_status(), 'E');
    assert_eq!(ok(&mut s, "COMMIT"), ["ROLLBACK"]);
    assert_eq!(ok(&mut s, "SELECT 1"), ["1"]);
    ok(&mut s, "BEGIN");
    ok(&mut s, "SAVEPOINT a");
    assert_eq!(fails(&mut s, "SELECT 1/0").0, "22012");
    assert_eq!(ok(&mut s, "ROLLBACK TO a"), ["ROLLBACK"]);
    assert_eq!(ok(&mut s, "SELECT 1"), ["1"]);
    assert_eq!(fails(&mut s, "RELEASE nosuch").0, "3B001");
    ok(&mut s, "ROLLBACK");
}

#[test]
fn prepared_statements() {
    let mut s = session();
    ok(&mut s, "PREPARE p (int, text) AS SELECT $1 + 1, $2");
    assert_eq!(ok(&mut s, "EXECUTE p(41, 'x')"), ["42|x"]);
    assert_eq!(fails(&mut s, "EXECUTE p(1)").0, "42601");
    assert_eq!(fails(&mut s, "PREPARE p AS SELECT 1").0, "42P05");
    ok(&mut s, "DEALLOCATE p");
    assert_eq!(fails(&mut s, "EXECUTE p(1)").0, "26000");
    let prepared = s.prepare("SELECT n FROM generate_series(1, 3) AS s(n) WHERE n = $1").unwrap();
    assert_eq!(prepared.parameter_types().len(), 1);
    assert_eq!(prepared.columns()[0].name, "n");
    let rows = s.query("SELECT ? + ?", &[1.into(), 2.into()]).unwrap();
    assert_eq!(crate::support::lines(rows).unwrap(), ["3"]);
    let rows = s.query("SELECT :b || :a || :b", &["x".into(), "y".into()]).unwrap();
    assert_eq!(crate::support::lines(rows).unwrap(), ["xyx"]);
}

#[test]
fn errors_are_postgresqls() {
    let mut s = session();
    let cases = [
        ("SELEC 1", "42601", "syntax error at or near \"SELEC\""),
        ("SELECT * FROM nosuch", "42P01", "relation \"nosuch\" does not exist"),
        ("SELECT * FROM a.b", "42P01", "relation \"a.b\" does not exist"),
        ("SELECT nosuch", "42703", "column \"nosuch\" does not exist"),
        ("SELECT v.x FROM (VALUES (1)) v(a)", "42703", "column v.x does not exist"),
        ("SELECT * FROM store FOR UPDATE", "0A000", "FOR UPDATE on what is no table is not supported"),
        (
            "SELECT * FROM store TABLESAMPLE BERNOULLI (10)",
            "0A000",
            "TABLESAMPLE on what is no table is not supported",
        ),
        (
            "SELECT 1 FETCH FIRST 1 ROWS WITH TIES",
            "42601",
            "WITH TIES cannot be specified without ORDER BY clause",
        ),
    ];
    for (sql, state, message) in cases {
        assert_eq!(fails(&mut s, sql), (state.to_owned(), message.to_owned()), "{sql}");
    }
    assert_eq!(fails(&mut s, "SELECT nosuch(1)").0, "42883");
    assert_eq!(fails(&mut s, "SELECT a, count(*) FROM (VALUES (1, 2)) v(a, b)").0, "42803");
    let error = s.execute("SELECT 1,\n  nosuch", &[]).unwrap_err();
    assert_eq!(error.position(), Some(13));
}

#[test]
fn the_store_is_a_table() {
    let engine = crate::support::engine();
    let txn = engine.database().begin(Default::default()).unwrap();
    for (key, value) in [("user:1", "ann"), ("user:2", "bob"), ("other", "x")] {
        txn.put(key.as_bytes(), value.as_bytes()).unwrap();
    }
    txn.put(b"\xff\x01", b"\x00").unwrap();
    txn.commit().unwrap();
    let mut s = engine.session();
    assert_eq!(
        ok(&mut s, "SELECT key, value FROM store WHERE key LIKE 'user:%' ORDER BY value DESC LIMIT 10"),
        ["user:2|bob", "user:1|ann"]
    );
    assert_eq!(ok(&mut s, "SELECT value FROM store WHERE key = 'other'"), ["x"]);
    assert_eq!(ok(&mut s, "SELECT key, value FROM store WHERE key = '\\xff01'"), ["\\xff01|\\x00"]);
    assert_eq!(ok(&mut s, "SELECT count(*) FROM store"), ["4"]);
    let plan = ok(&mut s, "EXPLAIN (FORMAT tree) SELECT key FROM store WHERE key LIKE 'user:%'").join("\n");
    assert!(plan.contains("TableScan: store using key"), "{plan}");
}
