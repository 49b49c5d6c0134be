//! Statements that run again: plans kept between executions, joins that look up values in an index.

use crate::support::{engine, lines, ok, session};
use cairn_sql::Session;

/// Runs a query often enough that its plan is kept, and gives the last answer.
fn thrice(s: &mut Session, sql: &str) -> Vec<String> {
    ok(s, sql);
    ok(s, sql);
    ok(s, sql)
}

#[test]
fn a_kept_plan_sees_what_changed() {
    let engine = engine();
    let mut s = engine.session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int, word text)");
    ok(&mut s, "INSERT INTO t SELECT i, i % 10, 'w' || i FROM generate_series(1, 1000) AS g(i)");
    let sql = "SELECT n, count(*), min(word) FROM t WHERE n < 2 GROUP BY n ORDER BY n";
    assert_eq!(thrice(&mut s, sql), ["0|100|w10", "1|100|w1"]);
    ok(&mut s, "DELETE FROM t WHERE id = 10");
    assert_eq!(ok(&mut s, sql), ["0|99|w100", "1|100|w1"]);

    // Own writes, and their end.
    ok(&mut s, "BEGIN");
    ok(&mut s, "INSERT INTO t VALUES (2000, 0, 'a')");
    assert_eq!(ok(&mut s, sql)[0], "0|100|a");
    let mut other = engine.session();
    assert_eq!(ok(&mut other, sql)[0], "0|99|w100");
    ok(&mut s, "ROLLBACK");
    assert_eq!(ok(&mut s, sql)[0], "0|99|w100");

    // A block's snapshot.
    ok(&mut s, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    assert_eq!(ok(&mut s, sql)[0], "0|99|w100");
    ok(&mut other, "UPDATE t SET word = 'b' WHERE id = 20");
    assert_eq!(ok(&mut s, sql)[0], "0|99|w100");
    assert_eq!(ok(&mut other, sql)[0], "0|99|b");
    ok(&mut s, "COMMIT");
    assert_eq!(ok(&mut s, sql)[0], "0|99|b");
}

/// What a join has told the filter of its other side in one execution does not count in the next.
#[test]
fn a_kept_join_sees_what_changed() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, grp int)");
    ok(&mut s, "CREATE TABLE u (id int PRIMARY KEY, t int, kind int)");
    ok(&mut s, "CREATE INDEX u_kind ON u (kind)");
    ok(&mut s, "INSERT INTO t SELECT i, i % 50 FROM generate_series(1, 1000) AS g(i)");
    ok(&mut s, "INSERT INTO u SELECT i, i, i % 100 FROM generate_series(1, 5000) AS g(i)");
    let sql = "SELECT u.id FROM t JOIN u ON u.t = t.id WHERE t.grp = 7 AND u.kind = 57 ORDER BY u.id";
    let first = thrice(&mut s, sql);
    assert_eq!(first.len(), 10);
    ok(&mut s, "INSERT INTO t VALUES (2057, 7), (-5, 7)");
    ok(&mut s, "INSERT INTO u VALUES (-1, -5, 57)");
    let later = ok(&mut s, sql);
    assert_eq!((later.len(), later[0].as_str(), later[11].as_str()), (12, "-1", "2057"));
}

#[test]
fn a_kept_plan_ends_with_definitions_and_settings() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, at timestamptz)");
    ok(&mut s, "INSERT INTO t VALUES (1, '2020-06-01 12:00:00+00')");
    assert_eq!(thrice(&mut s, "SELECT * FROM t"), ["1|2020-06-01 12:00:00+00"]);
    ok(&mut s, "ALTER TABLE t ADD COLUMN more text DEFAULT 'x'");
    assert_eq!(ok(&mut s, "SELECT * FROM t"), ["1|2020-06-01 12:00:00+00|x"]);
    let zoned = "SELECT at::text FROM t";
    assert_eq!(thrice(&mut s, zoned), ["2020-06-01 12:00:00+00"]);
    ok(&mut s, "SET TIME ZONE 'Europe/Berlin'");
    assert_eq!(ok(&mut s, zoned), ["2020-06-01 14:00:00+02"]);
    ok(&mut s, "CREATE SCHEMA other");
    ok(&mut s, "CREATE TABLE other.t (id int)");
    ok(&mut s, "SET search_path TO other");
    assert_eq!(ok(&mut s, "SELECT * FROM t"), Vec::<String>::new());
    ok(&mut s, "DROP TABLE other.t");
    ok(&mut s, "SET search_path TO public");
    assert_eq!(thrice(&mut s, "SELECT id FROM t"), ["1"]);
    ok(&mut s, "DROP TABLE t");
    assert_eq!(crate::support::fails(&mut s, "SELECT id FROM t").0, "42P01");
}

#[test]
fn what_is_not_the_same_twice_is_not_kept() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY)");
    ok(&mut s, "INSERT INTO t VALUES (1)");
    ok(&mut s, "CREATE SEQUENCE q");
    assert_eq!(thrice(&mut s, "SELECT nextval('q'), id FROM t"), ["3|1"]);
    let uuid = "SELECT gen_random_uuid() FROM t";
    assert_ne!(thrice(&mut s, uuid), ok(&mut s, uuid));
    ok(&mut s, "BEGIN");
    let now = thrice(&mut s, "SELECT now(), id FROM t");
    ok(&mut s, "COMMIT");
    assert_ne!(now, ok(&mut s, "SELECT now(), id FROM t"));
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(thrice(&mut s, tables), ["1"]);
    ok(&mut s, "CREATE TABLE u (id int)");
    assert_eq!(ok(&mut s, tables), ["2"]);
}

#[test]
fn a_kept_plan_serves_many_at_once() {
    let engine = engine();
    let mut s = engine.session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int)");
    ok(&mut s, "INSERT INTO t SELECT i, i % 7 FROM generate_series(1, 5000) AS g(i)");
    let sql = "SELECT a.n, count(*) FROM t a JOIN t b ON a.id = b.id + 1 GROUP BY a.n ORDER BY a.n";
    let expected = thrice(&mut s, sql);
    // Results left half read, then others in threads.
    let mut left = s.query(sql, &[]).unwrap();
    left.next_batch().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut own = engine.session();
                for _ in 0..10 {
                    assert_eq!(ok(&mut own, sql), expected);
                }
            });
        }
    });
    drop(left);
    assert_eq!(ok(&mut s, sql), expected);
}

#[test]
fn a_kept_plan_repeats_its_error() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int)");
    ok(&mut s, "INSERT INTO t VALUES (1, 1), (2, 0)");
    let sql = "SELECT 10 / n FROM t ORDER BY id";
    for _ in 0..4 {
        assert_eq!(crate::support::fails(&mut s, sql).0, "22012");
    }
    ok(&mut s, "UPDATE t SET n = 5 WHERE n = 0");
    assert_eq!(thrice(&mut s, sql), ["10", "2"]);
    ok(&mut s, "UPDATE t SET n = 0 WHERE id = 1");
    ok(&mut s, "BEGIN");
    assert_eq!(crate::support::fails(&mut s, sql).0, "22012");
    assert_eq!(crate::support::fails(&mut s, "SELECT 1").0, "25P02");
    ok(&mut s, "ROLLBACK");
}

/// Joins over an index give what they give without it, whatever was written last.
#[test]
fn joins_by_index_equal_joins_without() {
    let engine = engine();
    let mut s = engine.session();
    for table in ["with_index", "without"] {
        ok(&mut s, &format!("CREATE TABLE {table} (id int PRIMARY KEY, k text, n int)"));
        let rows = "SELECT i, CASE WHEN i % 11 = 0 THEN NULL ELSE 'k' || (i % 700) END, i % 13";
        ok(&mut s, &format!("INSERT INTO {table} {rows} FROM generate_series(1, 40000) AS g(i)"));
    }
    ok(&mut s, "CREATE INDEX by_k ON with_index (k, n)");
    ok(&mut s, "CREATE TABLE few (k text, w int)");
    ok(&mut s, "INSERT INTO few VALUES ('k1', 1), ('k1', 2), ('k699', 3), (NULL, 4), ('nowhere', 5)");
    let joins = [
        "SELECT b.id, b.n, f.w FROM few f JOIN big b ON b.k = f.k ORDER BY b.id, f.w",
        "SELECT b.id FROM few f JOIN big b ON b.k = f.k WHERE f.w = 3 AND b.id < 20000 ORDER BY b.id",
        "SELECT b.id, f.w FROM few f LEFT JOIN big b ON b.k = f.k ORDER BY b.id NULLS LAST, f.w LIMIT 20",
        "SELECT b.id, f.w FROM few f RIGHT JOIN big b ON b.k = f.k WHERE b.id < 50 ORDER BY b.id, f.w",
        "SELECT count(*), sum(f.w) FROM few f FULL JOIN big b ON b.k = f.k",
        "SELECT count(*) FROM big b WHERE b.k IN (SELECT k FROM few)",
        "SELECT count(*) FROM big b WHERE b.k NOT IN (SELECT k FROM few WHERE k IS NOT NULL)",
        "SELECT count(*) FROM big b WHERE NOT EXISTS (SELECT 1 FROM few f WHERE f.k = b.k)",
        "SELECT f.k FROM few f WHERE EXISTS (SELECT 1 FROM big b WHERE f.k = b.k AND b.n = 3) ORDER BY f.k",
        "SELECT count(*) FROM few f JOIN big b ON b.k IS NOT DISTINCT FROM f.k",
        "SELECT b.id, c.id FROM few f JOIN big b ON b.k = f.k JOIN big c ON c.id = b.id ORDER BY b.id, f.w",
        "SELECT max(b.id) FROM few f JOIN big b ON b.k = f.k AND b.n = f.w",
    ];
    let mut changes = [
        "",
        "UPDATE big SET k = 'nowhere' WHERE id % 1000 = 7",
        "DELETE FROM big WHERE k = 'k1' AND id > 3000",
        "BEGIN; INSERT INTO big VALUES (50000, 'k699', 1), (0, 'k1', 1)",
    ]
    .into_iter()
    .peekable();
    while let Some(change) = changes.next() {
        for table in ["with_index", "without"] {
            for sql in
                change.split("; ").filter(|sql| !sql.is_empty() && (*sql != "BEGIN" || table == "without"))
            {
                ok(&mut s, &sql.replace("big", table));
            }
        }
        for sql in joins {
            let [with, without] = ["with_index", "without"].map(|table| sql.replace("big", table));
            for _ in 0..3 {
                assert_eq!(ok(&mut s, &with), ok(&mut s, &without), "{with}");
            }
        }
        if changes.peek().is_none() {
            ok(&mut s, "ROLLBACK");
        }
    }
    let explained = lines(
        s.query(&format!("EXPLAIN (ANALYZE, FORMAT tree) {}", joins[0].replace("big", "with_index")), &[])
            .unwrap(),
    );
    let scan = explained.unwrap().into_iter().find(|line| line.contains("with_index")).unwrap();
    assert!(scan.contains("by index by_k when the join has few values"), "{scan}");
    // 40,000 / 700 rows of each of two values, less those that are NULL or were changed.
    let read: u64 = scan.split("actual rows=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(read < 200, "{scan}");
}

#[test]
fn select_lists_wait_for_the_limit() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int, word text)");
    ok(&mut s, "INSERT INTO t SELECT i, (i * 7919) % 1000, 'w' || i FROM generate_series(1, 1000) AS g(i)");
    assert_eq!(
        ok(&mut s, "SELECT upper(word) || n, n FROM t ORDER BY n DESC, id LIMIT 2"),
        ["W321|999", "W642|998"].map(|line| {
            let (word, n) = line.split_once('|').unwrap();
            format!("{word}{n}|{n}")
        })
    );
    assert_eq!(ok(&mut s, "SELECT n % 10 AS d, -id AS m FROM t ORDER BY d, m LIMIT 1 OFFSET 1"), ["0|-990"]);
    let plan = ok(&mut s, "EXPLAIN (FORMAT tree) SELECT upper(word) FROM t ORDER BY n LIMIT 3").join("\n");
    let (sort, projection) = (plan.find("SortExec").unwrap(), plan.find("upper").unwrap());
    assert!(projection < sort, "{plan}");
}

/// What a session calls by a name that is its own goes to no other session's plan, nor theirs to it.
#[test]
fn temporary_tables_do_not_share_plans() {
    let engine = engine();
    let (mut own, mut other) = (engine.session(), engine.session());
    ok(&mut own, "CREATE TABLE t (id int PRIMARY KEY, n int)");
    ok(&mut own, "INSERT INTO t VALUES (1, 10), (2, 20)");
    ok(&mut own, "CREATE TEMP TABLE t (id int PRIMARY KEY, n int)");
    ok(&mut own, "INSERT INTO t VALUES (1, 11)");
    for _ in 0..4 {
        for sql in ["SELECT n FROM t WHERE id = 1", "SELECT n FROM t ORDER BY id LIMIT 1"] {
            assert_eq!(ok(&mut other, sql), ["10"], "{sql}");
            assert_eq!(ok(&mut own, sql), ["11"], "{sql}");
        }
        let change = "UPDATE t SET n = n WHERE id = 2";
        assert_eq!(
            (ok(&mut other, change), ok(&mut own, change)),
            (vec!["UPDATE 1".into()], vec!["UPDATE 0".into()])
        );
    }
}
