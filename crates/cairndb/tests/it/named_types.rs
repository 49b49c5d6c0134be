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
