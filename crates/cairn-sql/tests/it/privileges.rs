//! Privileges by role, object, operation and path: the general way, remembered point statements, kept plans, prepared
//! statements; and attempts to get around them.

use cairn_engine::{Database, Options};
use cairn_env::Env;
use cairn_sql::{Engine, Session, SqlOptions};
use cairn_types::Value;

use crate::support::{engine, fails, lines, ok, run, session};

/// Statements on the table `t`, and the privilege that each needs alone.
const OPERATIONS: &[(&str, &str)] = &[
    ("SELECT", "SELECT b FROM t WHERE a = 1"),
    ("SELECT", "SELECT * FROM t"),
    ("SELECT", "SELECT count(*) FROM t"),
    ("SELECT", "SELECT t1.b FROM t t1, t t2 WHERE t1.a = t2.a"),
    ("SELECT", "SELECT (SELECT max(c) FROM t)"),
    ("SELECT", "WITH w AS (SELECT * FROM t) SELECT count(*) FROM w"),
    ("SELECT", "EXPLAIN SELECT * FROM t"),
    ("SELECT", "SELECT * FROM t TABLESAMPLE BERNOULLI (50)"),
    ("INSERT", "INSERT INTO t VALUES (nextval('numbers')::int, 'n', 1)"),
    ("INSERT", "INSERT INTO t (a) SELECT nextval('numbers')::int"),
    ("UPDATE", "UPDATE t SET c = 5"),
    ("DELETE", "DELETE FROM t"),
    ("TRUNCATE", "TRUNCATE t"),
];

const PRIVILEGES: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];

fn setup() -> Engine {
    let engine = engine();
    let mut s = engine.session();
    for sql in [
        "CREATE ROLE r",
        "CREATE ROLE q",
        "CREATE SEQUENCE numbers START 100",
        "GRANT USAGE ON SEQUENCE numbers TO PUBLIC",
        "CREATE TABLE t (a int PRIMARY KEY, b text, c int)",
        "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2)",
    ] {
        ok(&mut s, sql);
    }
    engine
}

#[test]
fn each_operation_needs_its_privilege_on_every_path() {
    let engine = setup();
    let mut boss = engine.session();
    let mut s = engine.session();
    s.begin_as("r").unwrap();
    for (needed, sql) in OPERATIONS {
        for given in PRIVILEGES {
            ok(&mut boss, &format!("GRANT {given} ON t TO r"));
            // The third time a plan that was kept runs.
            for _ in 0..3 {
                match run(&mut s, sql) {
                    Ok(_) => assert_eq!(given, needed, "{sql}"),
                    Err(error) => {
                        assert_ne!(given, needed, "{sql}: {error:?}");
                        assert_eq!(error.sqlstate(), "42501", "{sql}");
                        assert_eq!(error.message(), "permission denied for table t", "{sql}");
                    }
                }
            }
            ok(&mut boss, &format!("REVOKE {given} ON t FROM r"));
            assert_eq!(fails(&mut s, sql).0, "42501", "{sql}");
            ok(&mut boss, "DELETE FROM t WHERE a > 2");
            ok(&mut boss, "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2) ON CONFLICT DO NOTHING");
        }
    }
}

#[test]
fn kept_statements_are_of_one_role() {
    let engine = setup();
    let mut boss = engine.session();
    ok(&mut boss, "GRANT SELECT, INSERT, UPDATE, DELETE ON t TO r");
    for sql in [
        "SELECT b FROM t WHERE a = 1",
        "SELECT b, c FROM t WHERE c > 0",
        "INSERT INTO t VALUES (77, 'x', 1) ON CONFLICT (a) DO UPDATE SET c = 1",
        "UPDATE t SET c = 7 WHERE a = 1",
        "DELETE FROM t WHERE a = 99",
    ] {
        let mut s = engine.session();
        for _ in 0..3 {
            ok(&mut boss, sql);
            ok(&mut s, "SET ROLE r");
            ok(&mut s, sql);
            ok(&mut s, "SET ROLE q");
            assert_eq!(
                fails(&mut s, sql),
                ("42501".to_owned(), "permission denied for table t".to_owned()),
                "{sql}"
            );
        }
    }
}

#[test]
fn prepared_statements_are_looked_at_when_they_run() {
    let engine = setup();
    let mut boss = engine.session();
    ok(&mut boss, "GRANT SELECT ON t TO r");
    let mut s = engine.session();
    s.begin_as("r").unwrap();
    let prepared = s.prepare("SELECT b FROM t WHERE a = $1").unwrap();
    let one = [Value::Integer(1)];
    for _ in 0..3 {
        let cairn_sql::StatementResult::Rows(rows) = s.execute_prepared(&prepared, &one).unwrap() else {
            panic!("no rows")
        };
        assert_eq!(lines(rows).unwrap(), ["one"]);
    }
    ok(&mut s, "PREPARE p AS SELECT b FROM t WHERE a = $1");
    assert_eq!(ok(&mut s, "EXECUTE p (1)"), ["one"]);
    ok(&mut boss, "REVOKE SELECT ON t FROM r");
    assert_eq!(s.execute_prepared(&prepared, &one).unwrap_err().sqlstate(), "42501");
    assert_eq!(fails(&mut s, "EXECUTE p (1)").0, "42501");
    assert_eq!(s.prepare("SELECT b FROM t WHERE a = $1").unwrap_err().sqlstate(), "42501");
}

#[test]
fn grants_are_part_of_their_transaction() {
    let engine = setup();
    let mut boss = engine.session();
    let mut s = engine.session();
    s.begin_as("r").unwrap();
    ok(&mut boss, "BEGIN");
    ok(&mut boss, "GRANT SELECT ON t TO r");
    assert_eq!(fails(&mut s, "SELECT b FROM t WHERE a = 1").0, "42501");
    ok(&mut boss, "SET LOCAL ROLE r");
    assert_eq!(ok(&mut boss, "SELECT b FROM t WHERE a = 1"), ["one"]);
    ok(&mut boss, "ROLLBACK");
    assert_eq!(fails(&mut s, "SELECT b FROM t WHERE a = 1").0, "42501");
    assert_eq!(ok(&mut boss, "SELECT current_user"), ["cairn"]);
}

/// Everything that a role has tried, and what it found.
fn denied(s: &mut Session, sql: &str) {
    let (state, message) = fails(s, sql);
    assert!(matches!(state.as_str(), "42501" | "0A000"), "{sql}: {state} {message}");
}

#[test]
fn there_is_no_way_around() {
    let engine = setup();
    let mut boss = engine.session();
    for sql in [
        "CREATE TABLE secret (word text)",
        "INSERT INTO secret VALUES ('xyzzy')",
        "CREATE SCHEMA own AUTHORIZATION r",
        "CREATE SCHEMA hidden",
        "CREATE TABLE hidden.t (a int, b text)",
        "INSERT INTO hidden.t VALUES (1, 'hidden')",
        "GRANT USAGE ON SCHEMA hidden TO r",
        "CREATE VIEW shown AS SELECT a, b FROM t",
        "GRANT SELECT, UPDATE ON shown TO r",
        "CREATE FUNCTION count_secrets() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM secret'",
        "CREATE FUNCTION who() RETURNS text LANGUAGE sql AS 'SELECT current_user'",
        "CREATE FUNCTION who_made() RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT current_user'",
    ] {
        ok(&mut boss, sql);
    }
    let mut s = engine.session();
    s.begin_as("r").unwrap();
    denied(&mut s, "SELECT * FROM secret");
    // What the definer allows, and no more.
    assert_eq!(ok(&mut s, "SELECT count_secrets()"), ["1"]);
    assert_eq!(ok(&mut s, "SELECT who(), who_made(), current_user"), ["r|cairn|r"]);
    // Functions, views, defaults, checks, generated columns, triggers and policies of one's own run as oneself.
    ok(&mut s, "SET search_path = own, public");
    ok(&mut s, "CREATE FUNCTION peek() RETURNS text LANGUAGE sql AS 'SELECT word FROM public.secret'");
    denied(&mut s, "SELECT peek()");
    ok(&mut s, "CREATE VIEW peeked AS SELECT * FROM public.secret");
    denied(&mut s, "SELECT * FROM peeked");
    ok(&mut s, "GRANT SELECT ON peeked TO PUBLIC");
    // Its owner may not: nor may, through it, one who may.
    denied(&mut boss, "SELECT * FROM own.peeked");
    ok(&mut s, "CREATE TABLE trap (a int, b text DEFAULT peek())");
    denied(&mut s, "INSERT INTO trap (a) VALUES (1)");
    // Only immutable expressions are CHECKs.
    assert_eq!(fails(&mut s, "CREATE TABLE checked (a int, CHECK (own.peek() IS NOT NULL))").0, "0A000");
    ok(&mut s, "CREATE TABLE mine (a int)");
    ok(&mut s, "INSERT INTO mine VALUES (1)");
    ok(&mut s, "ALTER TABLE mine ENABLE ROW LEVEL SECURITY");
    ok(&mut s, "ALTER TABLE mine FORCE ROW LEVEL SECURITY");
    ok(&mut s, "CREATE POLICY p ON mine USING (peek() IS NOT NULL)");
    denied(&mut s, "SELECT * FROM mine");
    // A search path leads a view to no other table.
    ok(&mut s, "SET search_path = hidden, public");
    assert_eq!(ok(&mut s, "SELECT b FROM public.shown WHERE a = 1"), ["one"]);
    denied(&mut s, "SELECT * FROM hidden.t");
    // Roles that are not one's own.
    for sql in [
        "SET ROLE cairn",
        "SET ROLE q",
        "SET SESSION AUTHORIZATION cairn",
        "SET role TO cairn",
        "SELECT set_config('role', 'cairn', true)",
        "ALTER ROLE r SUPERUSER",
        "ALTER ROLE r BYPASSRLS",
        "ALTER ROLE r CREATEROLE",
        "ALTER ROLE cairn PASSWORD 'x'",
        "CREATE ROLE z",
        "GRANT cairn TO r",
        "GRANT q TO r",
        "GRANT pg_read_all_data TO r",
        "ALTER TABLE secret OWNER TO r",
        "ALTER FUNCTION peek() OWNER TO cairn",
        "ALTER FUNCTION public.count_secrets() SECURITY INVOKER",
        "CREATE OR REPLACE FUNCTION public.who() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
        "CREATE OR REPLACE VIEW public.shown AS SELECT 1 AS a, word AS b FROM public.secret",
        "CREATE TRIGGER z BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION who()",
        "CREATE TABLE own.refers (a int REFERENCES t)",
        "CREATE TABLE own.taken (LIKE secret)",
        "CREATE TABLE own.copied AS SELECT * FROM secret",
        "CREATE MATERIALIZED VIEW own.kept AS SELECT * FROM secret",
        "COPY secret TO STDOUT",
        "COPY (SELECT * FROM secret) TO STDOUT",
        "INSERT INTO own.mine SELECT 1 FROM secret",
        "DELETE FROM own.mine USING secret",
        "UPDATE own.mine SET a = 1 FROM secret",
        "MERGE INTO own.mine USING secret ON true WHEN MATCHED THEN DELETE",
        "SELECT * FROM store",
        "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM secret",
        "PREPARE z AS SELECT * FROM secret",
        "EXPLAIN ANALYZE SELECT * FROM secret",
        "SELECT * FROM secret FOR UPDATE",
        "REASSIGN OWNED BY cairn TO r",
        "DROP OWNED BY q",
        "DROP ROLE q",
        "COMMENT ON ROLE q IS 'x'",
        "ALTER DEFAULT PRIVILEGES FOR ROLE cairn GRANT SELECT ON TABLES TO r",
        "SELECT rolpassword FROM pg_authid",
        "SELECT passwd FROM pg_shadow",
    ] {
        ok(&mut s, "SET search_path = own, public");
        let result = run(&mut s, sql);
        let error = result.err().unwrap_or_else(|| panic!("{sql} was let through"));
        assert!(
            matches!(error.sqlstate(), "42501" | "2BP01" | "0A000" | "42601"),
            "{sql}: {} {}",
            error.sqlstate(),
            error.message()
        );
    }
    // A view is changed as its owner, and no further.
    ok(&mut s, "SET search_path = public");
    ok(&mut s, "UPDATE shown SET b = 'changed' WHERE a = 1");
    denied(&mut s, "UPDATE t SET b = 'changed' WHERE a = 1");
    denied(&mut s, "DELETE FROM shown WHERE a = 1");
    assert_eq!(ok(&mut boss, "SELECT b FROM t WHERE a = 1"), ["changed"]);
}

/// Names that the planner makes for itself say as whom a table is read: nobody else may say them.
#[test]
fn names_of_our_own_making_cannot_be_said() {
    let engine = setup();
    let mut boss = engine.session();
    ok(&mut boss, "CREATE SCHEMA own AUTHORIZATION r");
    let mut s = engine.session();
    s.begin_as("r").unwrap();
    let named = "SELECT * FROM \"\u{1}row_key:r:10\".public.t";
    for sql in [
        named.to_owned(),
        "SELECT * FROM \"\u{1}only\".t".to_owned(),
        "SELECT * FROM \"\u{1}file\".\"/etc/passwd\"".to_owned(),
        "SELECT 'it''s' FROM \"\u{1}row_key:r:10\".public.t".to_owned(),
        "SELECT $a$ ' $a$ FROM \"\u{1}row_key:r:10\".public.t".to_owned(),
        format!("DELETE FROM own.x USING ({named}) AS y"),
        format!("CREATE VIEW own.v AS {named}"),
        format!("CREATE MATERIALIZED VIEW own.m AS {named}"),
        format!("CREATE TABLE own.c AS {named}"),
        format!("PREPARE p AS {named}"),
        format!("COPY ({named}) TO STDOUT"),
        format!("CREATE FUNCTION own.f() RETURNS SETOF t LANGUAGE sql AS $f${named}$f$"),
        format!(
            "CREATE FUNCTION own.f() RETURNS bigint LANGUAGE sql AS $f$SELECT count(*) FROM ({named}) x$f$"
        ),
        format!("DO LANGUAGE sql $f${named}$f$"),
        "SELECT * FROM U&\"\\0001row_key:r:10\".public.t".to_owned(),
    ] {
        let (state, message) = fails(&mut s, &sql);
        assert!(matches!(state.as_str(), "42602" | "42601"), "{sql}: {state} {message}");
    }
    // A text may have the character.
    assert_eq!(ok(&mut s, "SELECT length('\u{1}row_key'), length(E'\u{1}'), length($a$\u{1}$a$)"), ["8|1|1"]);
}

#[test]
fn security_definers_set_their_search_path() {
    let engine = setup();
    let mut boss = engine.session();
    for sql in [
        "CREATE SCHEMA own AUTHORIZATION r",
        "CREATE TABLE list (n int)",
        "CREATE FUNCTION many() RETURNS bigint SECURITY DEFINER SET search_path = public LANGUAGE sql AS 'SELECT count(*) FROM list'",
    ] {
        ok(&mut boss, sql);
    }
    let mut s = engine.session();
    s.begin_as("r").unwrap();
    ok(&mut s, "CREATE TABLE own.list (n int)");
    ok(&mut s, "INSERT INTO own.list VALUES (1), (2)");
    ok(&mut s, "SET search_path = own, public");
    assert_eq!(ok(&mut s, "SELECT many(), (SELECT count(*) FROM list)"), ["0|2"]);
    assert_eq!(ok(&mut s, "SHOW search_path"), ["own, public"]);
    assert_eq!(
        ok(&mut s, "SELECT prosecdef, proconfig FROM pg_proc WHERE proname = 'many'"),
        ["t|{search_path=public}"]
    );
}

#[test]
fn policies_hold_on_every_path() {
    let engine = setup();
    let mut boss = engine.session();
    for sql in [
        "GRANT SELECT, INSERT, UPDATE, DELETE ON t TO r",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY low ON t USING (a < 2)",
    ] {
        ok(&mut boss, sql);
    }
    let mut s = engine.session();
    s.begin_as("r").unwrap();
    for _ in 0..3 {
        // The same texts as the one whom no policy concerns.
        assert_eq!(ok(&mut boss, "SELECT b FROM t WHERE a = 2"), ["two"]);
        assert!(ok(&mut s, "SELECT b FROM t WHERE a = 2").is_empty());
        assert_eq!(ok(&mut s, "SELECT b FROM t WHERE a = 1"), ["one"]);
        assert_eq!(ok(&mut boss, "UPDATE t SET c = 2 WHERE a = 2"), ["UPDATE 1"]);
        assert_eq!(ok(&mut s, "UPDATE t SET c = 2 WHERE a = 2"), ["UPDATE 0"]);
        assert_eq!(ok(&mut s, "DELETE FROM t WHERE a = 2"), ["DELETE 0"]);
        assert_eq!(fails(&mut s, "INSERT INTO t VALUES (5, 'x', 1)").0, "42501");
        assert_eq!(fails(&mut s, "UPDATE t SET a = 9 WHERE a = 1").0, "42501");
        let two = [Value::Integer(2)];
        let rows = s.query("SELECT b FROM t WHERE a = $1", &two).unwrap();
        assert!(lines(rows).unwrap().is_empty());
        assert_eq!(lines(boss.query("SELECT b FROM t WHERE a = $1", &two).unwrap()).unwrap(), ["two"]);
    }
    assert_eq!(ok(&mut s, "SELECT x.a FROM t x JOIN t y ON x.a <= y.a"), ["1"]);
    assert_eq!(ok(&mut s, "SELECT count(*) FROM t"), ["1"]);
    assert_eq!(ok(&mut s, "SELECT a FROM t TABLESAMPLE BERNOULLI (100)"), ["1"]);
    assert_eq!(
        fails(&mut s, "MERGE INTO t USING (VALUES (1)) v(x) ON a = x WHEN MATCHED THEN UPDATE SET a = 7").0,
        "42501"
    );
    ok(&mut s, "BEGIN");
    ok(&mut s, "DECLARE c CURSOR FOR SELECT a FROM t");
    assert_eq!(ok(&mut s, "FETCH ALL FROM c"), ["1"]);
    ok(&mut s, "COMMIT");
    // Conditions are not computed on what is kept back.
    assert_eq!(ok(&mut s, "SELECT a FROM t WHERE 1 / (a - 2) < 5"), ["1"]);
    assert_eq!(ok(&mut s, "SELECT a FROM t WHERE b::text = 'one' AND a::text::int / (a - 2) < 5"), ["1"]);
    assert_eq!(fails(&mut boss, "SELECT a FROM t WHERE 1 / (a - 2) < 5").0, "22012");
}

#[test]
fn barriers_of_views_hold() {
    let mut s = session();
    for sql in [
        "CREATE ROLE r",
        "CREATE TABLE t (a int, b text)",
        "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
        "CREATE VIEW v WITH (security_barrier) AS SELECT * FROM t WHERE a = 1",
        "GRANT SELECT ON v TO r",
        "SET ROLE r",
    ] {
        ok(&mut s, sql);
    }
    assert_eq!(ok(&mut s, "SELECT b FROM v WHERE 1 / (a - 2) < 5"), ["one"]);
}

#[test]
fn the_past_is_read_with_the_privileges_of_now() {
    let mut options = Options::default();
    options.retention = Some(std::time::Duration::from_secs(3600));
    let database = Database::open(&Env::memory(), std::path::Path::new("db"), options).unwrap();
    let engine = Engine::new(database, SqlOptions::default()).unwrap();
    let mut boss = engine.session();
    for sql in ["CREATE ROLE r", "CREATE TABLE t (a int PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"] {
        ok(&mut boss, sql);
    }
    let past = "SELECT a FROM t AS OF SYSTEM TIME now() ORDER BY a";
    assert_eq!(ok(&mut boss, past), ["1", "2"]);
    let mut s = engine.session();
    s.begin_as("r").unwrap();
    assert_eq!(fails(&mut s, past).0, "42501");
    ok(&mut boss, "GRANT SELECT ON t TO r");
    assert_eq!(ok(&mut s, past), ["1", "2"]);
    ok(&mut boss, "ALTER TABLE t ENABLE ROW LEVEL SECURITY");
    ok(&mut boss, "CREATE POLICY low ON t USING (a < 2)");
    assert_eq!(ok(&mut s, past), ["1"]);
    ok(&mut boss, "REVOKE SELECT ON t FROM r");
    assert_eq!(fails(&mut s, past).0, "42501");
}

#[test]
fn roles_and_privileges_outlive_their_database() {
    let env = Env::memory();
    let open = || {
        let database = Database::open(&env, std::path::Path::new("db"), Options::default()).unwrap();
        Engine::new(database, SqlOptions::default()).unwrap()
    };
    let first = open();
    let mut s = first.session();
    for sql in [
        "CREATE USER r PASSWORD 'x' VALID UNTIL 'infinity'",
        "ALTER ROLE r SET statement_timeout = '7s'",
        "CREATE ROLE g",
        "GRANT g TO r",
        "CREATE TABLE t (a int, b int)",
        "INSERT INTO t VALUES (1, 2)",
        "GRANT SELECT (a) ON t TO g WITH GRANT OPTION",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON t USING (a = 1)",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO g",
        "CREATE FUNCTION f() RETURNS text SECURITY DEFINER SET search_path = public LANGUAGE sql AS 'SELECT current_user'",
    ] {
        ok(&mut s, sql);
    }
    let state = "SELECT rolname, rolpassword IS NOT NULL, rolvaliduntil FROM pg_authid WHERE rolname IN ('r', 'g') ORDER BY 1";
    let before = ok(&mut s, state);
    drop(s);
    first.database().close().unwrap();
    drop(first);
    let second = open();
    let mut s = second.session();
    assert_eq!(ok(&mut s, state), before);
    assert_eq!(ok(&mut s, "SELECT prosecdef FROM pg_proc WHERE proname = 'f'"), ["t"]);
    let mut r = second.session();
    r.begin_as("r").unwrap();
    assert_eq!(ok(&mut r, "SHOW statement_timeout"), ["7s"]);
    assert_eq!(ok(&mut r, "SELECT a FROM t"), ["1"]);
    assert_eq!(fails(&mut r, "SELECT b FROM t").0, "42501");
    assert_eq!(ok(&mut r, "SELECT f()"), ["cairn"]);
    assert_eq!(ok(&mut s, "SELECT policyname FROM pg_policies"), ["p"]);
}
