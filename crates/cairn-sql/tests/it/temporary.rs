//! Temporary tables between sessions, at their end, and after a crash.

use cairn_engine::Database;
use cairn_engine::ddl::{ColumnSpec, TableSpec};
use cairn_sql::{Engine, SqlOptions};
use cairn_types::DataType;

use crate::support::{engine, ok, run};

#[test]
fn they_are_hidden_from_others_and_go_with_their_session() {
    let engine = engine();
    let (mut one, mut two) = (engine.session(), engine.session());
    ok(&mut one, "CREATE TABLE t (a int PRIMARY KEY)");
    ok(&mut one, "INSERT INTO t VALUES (1)");
    // Kept plans of both sessions, before and after the name means another table.
    for session in [&mut one, &mut two] {
        for _ in 0..3 {
            assert_eq!(ok(session, "SELECT a FROM t WHERE a = 1"), ["1"]);
            assert_eq!(ok(session, "SELECT count(*) FROM t"), ["1"]);
        }
    }
    ok(&mut one, "CREATE TEMP TABLE t (a int PRIMARY KEY)");
    ok(&mut one, "CREATE TEMP TABLE own (a serial, b int)");
    ok(&mut two, "CREATE TEMP TABLE own (c text)");
    for _ in 0..3 {
        assert_eq!(ok(&mut one, "SELECT a FROM t WHERE a = 1"), [""; 0]);
        assert_eq!(ok(&mut one, "SELECT count(*) FROM t"), ["0"]);
        assert_eq!(ok(&mut two, "SELECT a FROM t WHERE a = 1"), ["1"]);
        assert_eq!(ok(&mut two, "SELECT count(*) FROM t"), ["1"]);
        ok(&mut two, "UPDATE t SET a = a WHERE a = 1");
    }
    ok(&mut one, "INSERT INTO t VALUES (7)");
    ok(&mut one, "INSERT INTO own (b) VALUES (5)");
    ok(&mut two, "INSERT INTO own VALUES ('x')");
    assert_eq!(ok(&mut one, "SELECT * FROM own"), ["1|5"]);
    assert_eq!(ok(&mut two, "SELECT * FROM own"), ["x"]);
    assert_eq!(
        ok(&mut two, "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'"),
        ["3"]
    );
    ok(&mut one, "BEGIN");
    ok(&mut one, "INSERT INTO t VALUES (8)");
    drop(one);
    assert_eq!(
        ok(&mut two, "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'"),
        ["1"]
    );
    assert_eq!(ok(&mut two, "SELECT * FROM own"), ["x"]);
    drop(two);
    assert!(engine.database().catalog().schemas().all(|schema| !schema.name.starts_with("pg_temp")));
    let mut three = engine.session();
    assert_eq!(run(&mut three, "SELECT * FROM own").unwrap_err().sqlstate(), "42P01");
    assert_eq!(ok(&mut three, "SELECT a FROM t"), ["1"]);
    engine.database().verify().unwrap();
}

#[test]
fn what_a_crash_leaves_is_gone_when_the_database_is_opened() {
    let database = Database::in_memory().unwrap();
    let txn = database.begin(Default::default()).unwrap();
    txn.create_temporary_schema("pg_temp_77").unwrap();
    let columns = vec![ColumnSpec::new("a", DataType::Integer)];
    let spec = TableSpec { schema: "pg_temp_77".into(), name: "left".into(), columns, ..Default::default() };
    txn.create_table(spec).unwrap();
    txn.commit().unwrap();
    let engine = Engine::new(database, SqlOptions::default()).unwrap();
    assert!(engine.database().catalog().schema("pg_temp_77").is_none());
    assert_eq!(engine.database().catalog().tables().count(), 0);
}
