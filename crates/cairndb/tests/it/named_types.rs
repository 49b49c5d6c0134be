//! Enums, domains, ranges, addresses and bit strings: they outlive their database's closing, in rows, keys, indexes and
//! conditions, and pass through the public API as values and as text.

use std::io::Cursor;

use cairndb::{Database, Value, params};

use crate::sql::Shared;

const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    CREATE DOMAIN small AS int DEFAULT 3 CHECK (VALUE < 10);
    CREATE TABLE t (m mood PRIMARY KEY, s small, r int4range, a inet, b bit(3), past mood[]);
    CREATE INDEX t_r ON t (r);
    CREATE INDEX t_a ON t (a DESC);
    INSERT INTO t VALUES ('happy', 1, '[1,5]', '10.0.0.1/8', '101', '{sad,ok}'), ('sad', 2, '(,7)', '::1', '000', NULL);
    ALTER TYPE mood ADD VALUE 'meh' AFTER 'sad';
    INSERT INTO t (m, r) VALUES ('meh', 'empty');
";

fn rows(db: &Database, sql: &str) -> Vec<String> {
    let rows = db.query(sql, &[]).unwrap();
    let width = rows.columns().len();
    let text = |row: cairndb::Row| -> String {
        let cells = (0..width).map(|at| row.text(at).unwrap().unwrap_or_else(|| "NULL".to_owned()));
        cells.collect::<Vec<_>>().join(" ")
    };
    rows.collect_rows().unwrap().into_iter().map(text).collect()
}

fn code(db: &Database, sql: &str) -> String {
    db.execute(sql, &[]).unwrap_err().sqlstate().to_owned()
}

#[test]
fn they_are_there_when_the_database_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    {
        let db = Database::open(&path).unwrap();
        db.execute_batch(TABLES).unwrap();
        db.close().unwrap();
    }
    let db = Database::open(&path).unwrap();
    let all = rows(&db, "SELECT * FROM t ORDER BY m");
    assert_eq!(
        all,
        ["sad 2 (,7) ::1 000 NULL", "meh 3 empty NULL NULL NULL", "happy 1 [1,6) 10.0.0.1/8 101 {sad,ok}"]
    );
    assert_eq!(rows(&db, "SELECT m FROM t WHERE m > 'sad' ORDER BY m DESC"), ["happy", "meh"]);
    assert_eq!(rows(&db, "SELECT m FROM t WHERE r = '[1,6)'"), ["happy"]);
    assert_eq!(rows(&db, "SELECT m FROM t WHERE a > '10.0.0.0/8' ORDER BY a"), ["happy", "sad"]);
    assert_eq!(rows(&db, "SELECT enum_range(NULL::mood)"), ["{sad,meh,ok,happy}"]);
    assert_eq!(code(&db, "INSERT INTO t (m, s) VALUES ('ok', 10)"), "23514");
    assert_eq!(code(&db, "INSERT INTO t (m) VALUES ('angry')"), "22P02");
    assert_eq!(code(&db, "INSERT INTO t (m) VALUES ('meh')"), "23505");
    assert_eq!(code(&db, "DROP TYPE mood"), "2BP01");
    db.execute("ALTER DOMAIN small ADD CHECK (VALUE <> 5)", &[]).unwrap();
    db.close().unwrap();
    let db = Database::open(&path).unwrap();
    assert_eq!(code(&db, "UPDATE t SET s = 5 WHERE m = 'sad'"), "23514");
    assert_eq!(rows(&db, "SELECT 4::small"), ["4"]);
}

#[test]
fn they_pass_through_the_api() {
    let db = Database::in_memory().unwrap();
    db.execute_batch(TABLES).unwrap();
    db.execute("INSERT INTO t VALUES ($1, $2, $3, $4, $5)", params!["ok", 4, "[2,3]", "1.2.3.4", "011"])
        .unwrap();
    let row = db.query_with("SELECT m, r, a, b FROM t WHERE m = $1", params!["ok"]).unwrap().one().unwrap();
    assert_eq!(row.get::<String>(0).unwrap(), "ok");
    assert_eq!(row.get::<String>("r").unwrap(), "[2,4)");
    let value = row.get::<Value>("a").unwrap();
    db.execute("UPDATE t SET a = $1 WHERE m = 'sad'", params![value]).unwrap();
    assert_eq!(rows(&db, "SELECT a FROM t WHERE m = 'sad'"), ["1.2.3.4"]);
    let mut session = db.session();
    let out = Shared::default();
    let query = "COPY (SELECT m, r, a, b, past FROM t ORDER BY m) TO STDOUT WITH (FORMAT csv)";
    session.copy_out(query, out.clone()).unwrap();
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    assert_eq!(
        text,
        "sad,\"(,7)\",1.2.3.4,000,\nmeh,empty,,,\nok,\"[2,4)\",1.2.3.4,011,\nhappy,\"[1,6)\",10.0.0.1/8,101,\"{sad,ok}\"\n"
    );
    db.execute("DELETE FROM t", &[]).unwrap();
    session.copy_in("COPY t (m, r, a, b, past) FROM STDIN WITH (FORMAT csv)", Cursor::new(text)).unwrap();
    assert_eq!(rows(&db, "SELECT m, r, past FROM t ORDER BY m DESC LIMIT 1"), ["happy [1,6) {sad,ok}"]);
}

const COMPOSITES: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TYPE addr AS (street text, zip int, m mood);
    CREATE TYPE pair AS (l addr, past addr[]);
    CREATE TABLE home (a addr PRIMARY KEY, p pair);
    CREATE INDEX home_p ON home (p);
    INSERT INTO home VALUES (ROW('x', 1, 'ok'), ROW(ROW('l', 2, NULL), ARRAY[ROW('q', 3, 'sad')::addr])), (ROW('w', NULL, NULL), NULL);
    ALTER TYPE addr ADD ATTRIBUTE country text;
    CREATE TABLE sold (what home);
    INSERT INTO sold SELECT home FROM home;
    ALTER TABLE home ADD COLUMN n int;
    UPDATE home SET a.country = 'pt' WHERE (a).zip = 1;
";

/// What a crash leaves: the files as they are while the database is open.
fn copied(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copied(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn composite_values_outlive_closing_and_crashes() {
    let dir = tempfile::tempdir().unwrap();
    let (path, crashed) = (dir.path().join("db"), dir.path().join("crashed"));
    let check = |db: &Database| {
        let all = rows(db, "SELECT a, p, n FROM home ORDER BY a");
        let first = r#"(w,,,) NULL NULL"#;
        let second = r#"(x,1,ok,pt) ("(l,2,,)","{""(q,3,sad,)""}") NULL"#;
        assert_eq!(all, [first, second]);
        assert_eq!(
            rows(db, "SELECT ((p).past[1]).m FROM home WHERE a > ROW('x', 0, NULL, NULL)::addr"),
            ["sad"]
        );
        assert_eq!(
            rows(db, "SELECT (a).zip FROM home WHERE p = '(\"(l,2,,)\",\"{\"\"(q,3,sad,)\"\"}\")'"),
            ["1"]
        );
        assert_eq!(
            rows(db, "SELECT (what).n IS NULL, ((what).a).street FROM sold ORDER BY 2"),
            ["t w", "t x"]
        );
        assert_eq!(code(db, "INSERT INTO home (a) VALUES (ROW('w', NULL, NULL, NULL))"), "23505");
        assert_eq!(code(db, "ALTER TYPE addr DROP ATTRIBUTE zip"), "0A000");
        assert_eq!(code(db, "ALTER TABLE home DROP COLUMN n"), "0A000");
        assert_eq!(code(db, "DROP TYPE addr"), "2BP01");
        assert_eq!(code(db, "DROP TABLE home"), "2BP01");
    };
    let db = Database::open(&path).unwrap();
    db.execute_batch(COMPOSITES).unwrap();
    copied(&path, &crashed);
    db.close().unwrap();
    check(&Database::open(&crashed).unwrap());
    let db = Database::open(&path).unwrap();
    check(&db);
    db.execute_batch("DROP TABLE home CASCADE; ALTER TYPE addr DROP ATTRIBUTE zip; DROP TYPE addr CASCADE")
        .unwrap();
    assert_eq!(rows(&db, "SELECT count(*) FROM information_schema.columns WHERE table_name = 'sold'"), ["0"]);
    assert_eq!(rows(&db, "SELECT '()'::pair"), ["()"]);
}

#[test]
fn times_are_there_when_the_database_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    {
        let db = Database::open(&path).unwrap();
        db.execute_batch(
            "CREATE TABLE t (z timetz(1) PRIMARY KEY, a timestamp(3), d date, i interval day to second(2), m macaddr8);
             CREATE INDEX t_a ON t (a);
             CREATE FUNCTION total(VARIADIC n int[]) RETURNS int LANGUAGE sql AS 'SELECT cardinality(n)';
             INSERT INTO t VALUES ('10:00:00.16+02', '2020-01-01 00:00:00.0006', '-infinity', '1 day 1.239 s', '08002b0102030405'),
                ('08:00+00', 'infinity', 'infinity', NULL, NULL);",
        )
        .unwrap();
        db.close().unwrap();
    }
    let db = Database::open(&path).unwrap();
    assert_eq!(
        rows(&db, "SELECT * FROM t ORDER BY z"),
        [
            "08:00:00+00 infinity infinity NULL NULL",
            "10:00:00.2+02 2020-01-01 00:00:00.001 -infinity 1 day 00:00:01.24 08:00:2b:01:02:03:04:05"
        ]
    );
    assert_eq!(rows(&db, "SELECT z FROM t WHERE a = '2020-01-01 00:00:00.001'"), ["10:00:00.2+02"]);
    db.execute("INSERT INTO t (z, a) VALUES ('01:00+00', '2021-01-01 00:00:00.1239')", &[]).unwrap();
    assert_eq!(rows(&db, "SELECT a FROM t WHERE z = '01:00+00'"), ["2021-01-01 00:00:00.124"]);
    assert_eq!(rows(&db, "SELECT total(1, 2, 3), total(VARIADIC '{4}'::int[])"), ["3 1"]);
}
