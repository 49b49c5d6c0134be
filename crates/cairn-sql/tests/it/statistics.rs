//! ANALYZE, statistics that come on their own, and what they change.

use cairn_sql::Session;

use crate::support::{engine, ok, session};

fn tree(s: &mut Session, sql: &str) -> String {
    ok(s, &format!("EXPLAIN (FORMAT tree) {sql}")).join("\n")
}

const ROWS: &str = "SELECT i, CASE WHEN i % 100 < 98 THEN 'common' ELSE 'rare' || i % 7 END, i % 10, \
                    CASE WHEN i % 4 = 0 THEN NULL ELSE i END FROM generate_series(1, 2000) AS g(i)";

fn table(s: &mut Session) {
    ok(s, "CREATE TABLE t (id int PRIMARY KEY, kind text, small int, often int)");
    ok(s, &format!("INSERT INTO t {ROWS}"));
}

#[test]
fn what_analyze_finds() {
    let mut s = session();
    table(&mut s);
    assert_eq!(ok(&mut s, "SELECT reltuples FROM pg_class WHERE relname = 't'"), ["-1"]);
    ok(&mut s, "ANALYZE t (kind, small)");
    let names = "SELECT attname FROM pg_stats WHERE tablename = 't' ORDER BY 1";
    assert_eq!(ok(&mut s, names), ["kind", "small"]);
    ok(&mut s, "ANALYZE");
    assert_eq!(ok(&mut s, "SELECT reltuples, relpages > 0 FROM pg_class WHERE relname = 't'"), ["2000|t"]);
    let one = |s: &mut Session, what: &str, column: &str| {
        ok(s, &format!("SELECT {what} FROM pg_stats WHERE tablename = 't' AND attname = '{column}'"))
            .remove(0)
    };
    assert_eq!(one(&mut s, "n_distinct, null_frac, correlation", "id"), "-1|0|1");
    assert_eq!(one(&mut s, "null_frac", "often"), "0.25");
    assert_eq!(one(&mut s, "n_distinct, avg_width", "small"), "10|4");
    assert!(one(&mut s, "most_common_vals", "kind").starts_with("{common,"));
    assert!(one(&mut s, "most_common_freqs", "kind").starts_with("{0.98,"));
    assert!(one(&mut s, "histogram_bounds", "id").starts_with("{1,20,40"));
}

#[test]
fn statistics_are_transactional_and_go_with_their_columns() {
    let engine = engine();
    let mut s = engine.session();
    let mut other = engine.session();
    table(&mut s);
    let count = "SELECT count(*) FROM pg_stats WHERE tablename IN ('t', 'u')";
    ok(&mut s, "BEGIN");
    ok(&mut s, "ANALYZE t");
    assert_eq!((ok(&mut s, count), ok(&mut other, count)), (vec!["4".to_owned()], vec!["0".to_owned()]));
    ok(&mut s, "ROLLBACK");
    assert_eq!(ok(&mut s, count), ["0"]);
    ok(&mut s, "ANALYZE t");
    assert_eq!(ok(&mut other, count), ["4"]);
    ok(&mut s, "ALTER TABLE t DROP COLUMN often");
    assert_eq!(ok(&mut other, count), ["3"]);
    ok(&mut s, "ALTER TABLE t ALTER COLUMN small TYPE bigint");
    assert_eq!(ok(&mut other, count), ["2"]);
    ok(&mut s, "ALTER TABLE t RENAME TO u");
    assert_eq!(ok(&mut other, count), ["2"]);
    ok(&mut s, "DROP TABLE u");
    assert_eq!(ok(&mut other, count), ["0"]);
}

#[test]
fn statistics_choose_the_path() {
    let mut s = session();
    table(&mut s);
    ok(&mut s, "CREATE INDEX t_kind ON t (kind)");
    let rare = "SELECT * FROM t WHERE kind = 'rare3'";
    let common = "SELECT * FROM t WHERE kind = 'common'";
    assert!(tree(&mut s, rare).contains("using index t_kind"));
    // 98 in 100 rows are faster read whole.
    assert!(tree(&mut s, common).contains("t full"), "{}", tree(&mut s, common));
    assert_eq!(ok(&mut s, &common.replace('*', "count(*)")), ["1960"]);
    assert!(tree(&mut s, "SELECT * FROM t WHERE kind LIKE 'rare%'").contains("using index t_kind"));
}

/// Statistics come when a query is planned after much has changed, and kept plans go.
#[test]
fn changes_are_counted() {
    let mut s = session();
    table(&mut s);
    ok(&mut s, "CREATE INDEX t_kind ON t (kind)");
    let sql = "SELECT count(*) FROM t WHERE kind = 'new' AND small < 100";
    for _ in 0..3 {
        assert_eq!(ok(&mut s, sql), ["0"]);
    }
    let rows = "SELECT reltuples FROM pg_class WHERE relname = 't'";
    assert_eq!(ok(&mut s, rows), ["2000"]);
    assert!(tree(&mut s, sql).contains("using index t_kind"));
    ok(&mut s, "UPDATE t SET kind = 'new' WHERE id <= 200");
    assert_eq!(ok(&mut s, sql), ["200"]);
    ok(&mut s, "UPDATE t SET kind = 'new' WHERE id > 200");
    assert_eq!(ok(&mut s, sql), ["2000"]);
    let values = "SELECT most_common_vals, n_distinct FROM pg_stats WHERE attname = 'kind'";
    assert_eq!(ok(&mut s, values), ["{new}|1"]);
    assert!(tree(&mut s, sql).contains("t full"));
    // Little is not enough.
    ok(&mut s, "DELETE FROM t WHERE id <= 100");
    assert_eq!(ok(&mut s, sql), ["1900"]);
    assert_eq!(ok(&mut s, rows), ["2000"]);
}

#[test]
fn what_analyze_refuses() {
    let mut s = session();
    table(&mut s);
    ok(&mut s, "CREATE VIEW v AS SELECT 1");
    for (sql, code) in [
        ("ANALYZE nowhere", "42P01"),
        ("ANALYZE t (nothing)", "42703"),
        ("ANALYZE t (id, id)", "42701"),
        ("ANALYZE TABLE t", "42601"),
        ("ANALYZE (nonsense) t", "42601"),
        ("VACUUM t (id)", "0A000"),
    ] {
        assert_eq!(s.query(sql, &[]).unwrap_err().sqlstate(), code, "{sql}");
    }
    assert_eq!(ok(&mut s, "ANALYZE v"), ["ANALYZE"]);
}

#[test]
fn large_tables_are_sampled() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE big (id int PRIMARY KEY, grp int, word text)");
    let rows = "SELECT i, i % 500, 'w' || i % 9 FROM generate_series(1, 80000) AS g(i)";
    ok(&mut s, &format!("INSERT INTO big {rows}"));
    ok(&mut s, "ANALYZE big");
    let of = |s: &mut Session, what: &str, column: &str| {
        let found =
            ok(s, &format!("SELECT {what} FROM pg_stats WHERE tablename = 'big' AND attname = '{column}'"));
        found[0].parse::<f64>().unwrap()
    };
    assert!((of(&mut s, "n_distinct", "grp") - 500.0).abs() < 50.0);
    assert_eq!(of(&mut s, "n_distinct", "id"), -1.0);
    assert_eq!(of(&mut s, "n_distinct", "word"), 9.0);
    let middle = of(&mut s, "split_part(trim('{}' FROM histogram_bounds), ',', 51)", "id");
    assert!((middle - 40_000.0).abs() < 500.0, "{middle}");
}
