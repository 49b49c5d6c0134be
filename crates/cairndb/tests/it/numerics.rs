//! NUMERIC without parameters: values outlive their database's closing with all of their digits, in rows, keys and indexes, and
//! pass through the public API.

use cairndb::{Database, Decimal, params};

const TABLES: &str = "
    CREATE TABLE t (x numeric PRIMARY KEY, y numeric, z numeric[]);
    CREATE INDEX t_y ON t (y DESC);
    INSERT INTO t VALUES
        (1.50, '0.000000000000000000000000000000000001', ARRAY[1.0, 2]),
        (2, '99999999999999999999999999999999999999', NULL),
        (-0.10, 'NaN', '{NaN,1.00}'),
        (100, '-Infinity', '{}');
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
    assert_eq!(
        rows(&db, "SELECT * FROM t ORDER BY x"),
        [
            "-0.10 NaN {NaN,1.00}",
            "1.50 0.000000000000000000000000000000000001 {1.0,2}",
            "2 99999999999999999999999999999999999999 NULL",
            "100 -Infinity {}"
        ]
    );
    assert_eq!(rows(&db, "SELECT x FROM t WHERE x = 1.500"), ["1.50"]);
    assert_eq!(rows(&db, "SELECT y FROM t WHERE y = 'NaN'"), ["NaN"]);
    assert_eq!(rows(&db, "SELECT x FROM t WHERE y > 0 ORDER BY y"), ["1.50", "2", "-0.10"]);
    let code = |sql: &str| db.execute(sql, &[]).unwrap_err().sqlstate().to_owned();
    assert_eq!(code("INSERT INTO t VALUES (2.000)"), "23505");
    assert_eq!(code("INSERT INTO t VALUES ('1e38')"), "22003");
    assert_eq!(code("INSERT INTO t VALUES ('1e-37')"), "22003");
}

#[test]
fn they_pass_as_parameters_and_results() {
    let db = Database::in_memory().unwrap();
    db.execute("CREATE TABLE t (x numeric)", &[]).unwrap();
    let number = Decimal::parse("12.3400").unwrap();
    db.execute("INSERT INTO t VALUES ($1)", params![number]).unwrap();
    let found = db.query("SELECT x FROM t WHERE x = $1", params![Decimal::new(1234, 2)]).unwrap();
    let found = found.collect_rows().unwrap();
    let back: Decimal = found[0].get(0).unwrap();
    assert_eq!(back.to_string(), "12.3400");
}
