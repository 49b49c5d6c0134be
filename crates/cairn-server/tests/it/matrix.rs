//! Role, object, operation and protocol: who may do what, whichever way the statement comes.

use cairndb::{Outcome, Session};

use crate::support::{Client, start};

/// An operation on an object, and the privilege that it needs alone.
struct Operation {
    /// As GRANT … ON names it.
    object: &'static str,
    needs: &'static str,
    sql: &'static str,
}

const fn op(object: &'static str, needs: &'static str, sql: &'static str) -> Operation {
    Operation { object, needs, sql }
}

const OPERATIONS: &[Operation] = &[
    op("t", "SELECT", "SELECT b FROM t WHERE a = 1"),
    op("t", "SELECT", "SELECT count(*) FROM t"),
    op("t", "SELECT", "SELECT * FROM t ORDER BY b LIMIT 1"),
    op("t", "SELECT", "EXPLAIN SELECT * FROM t"),
    op("t", "INSERT", "INSERT INTO t VALUES (50, 'x')"),
    op("t", "INSERT", "INSERT INTO t SELECT 51, 'x'"),
    op("t", "UPDATE", "UPDATE t SET b = 'x'"),
    op("t", "DELETE", "DELETE FROM t"),
    op("t", "TRUNCATE", "TRUNCATE t"),
    op("t", "REFERENCES", "CREATE TABLE work.r (a int REFERENCES t)"),
    op("t", "TRIGGER", "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION work.fires()"),
    op("t", "MAINTAIN", "REINDEX TABLE t"),
    op("v", "SELECT", "SELECT * FROM v"),
    op("v", "INSERT", "INSERT INTO v VALUES (52, 'x')"),
    op("v", "UPDATE", "UPDATE v SET b = 'x'"),
    op("v", "DELETE", "DELETE FROM v"),
    op("m", "SELECT", "SELECT * FROM m"),
    op("m", "MAINTAIN", "REFRESH MATERIALIZED VIEW m"),
    op("k", "SELECT", "SELECT b FROM k WHERE a = 1"),
    op("k", "SELECT", "SELECT * FROM k"),
    op("k", "INSERT", "INSERT INTO k VALUES (1, 'x')"),
    op("k", "UPDATE", "UPDATE k SET b = 'x'"),
    op("k", "DELETE", "DELETE FROM k"),
    op("SEQUENCE q", "USAGE", "SELECT currval('q')"),
    op("SEQUENCE q", "SELECT", "SELECT last_value FROM q"),
    op("SEQUENCE q", "UPDATE", "SELECT setval('q', 7)"),
    op("FUNCTION f(int)", "EXECUTE", "SELECT f(1)"),
    op("FUNCTION f(int)", "EXECUTE", "SELECT f(generate_series) FROM generate_series(1, 3)"),
    op("FUNCTION rows()", "EXECUTE", "SELECT * FROM rows()"),
    op("PROCEDURE p()", "EXECUTE", "CALL p()"),
    op("SCHEMA s", "USAGE", "SELECT * FROM s.open"),
    op("SCHEMA s", "USAGE", "SELECT s.g()"),
    op("SCHEMA s", "CREATE", "CREATE TABLE s.made (a int)"),
    op("TYPE mood", "USAGE", "CREATE TABLE work.moods (a mood)"),
    op("DATABASE cairn", "CREATE", "CREATE SCHEMA made"),
    op("DATABASE cairn", "TEMPORARY", "CREATE TEMPORARY TABLE made (a int)"),
];

/// Privileges of a kind of object.
fn privileges(object: &str) -> &'static [&'static str] {
    match object.split(' ').next() {
        Some("SEQUENCE") => &["USAGE", "SELECT", "UPDATE"],
        Some("FUNCTION" | "PROCEDURE") => &["EXECUTE"],
        Some("SCHEMA") => &["USAGE", "CREATE"],
        Some("TYPE") => &["USAGE"],
        Some("DATABASE") => &["CREATE", "TEMPORARY"],
        _ => &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"],
    }
}

const SETUP: &[&str] = &[
    "CREATE ROLE keeper",
    "CREATE USER holder PASSWORD 'x'",
    "CREATE ROLE crew",
    "CREATE USER member PASSWORD 'x' IN ROLE crew",
    "CREATE USER outsider PASSWORD 'x'",
    "GRANT crew TO outsider WITH INHERIT FALSE",
    "CREATE USER stranger PASSWORD 'x'",
    "CREATE USER boss PASSWORD 'x' SUPERUSER",
    "CREATE USER owner PASSWORD 'x' IN ROLE keeper",
    "CREATE SCHEMA work",
    "GRANT ALL ON SCHEMA work TO PUBLIC",
    "CREATE SCHEMA s AUTHORIZATION keeper",
    "CREATE TABLE t (a int PRIMARY KEY, b text)",
    "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
    "CREATE TABLE k (a int, b text)",
    "ALTER TABLE k ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON k USING (a < 2)",
    "CREATE VIEW v AS SELECT a, b FROM t",
    "CREATE MATERIALIZED VIEW m AS SELECT a, b FROM t",
    "CREATE SEQUENCE q",
    "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'",
    "CREATE FUNCTION rows() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1'",
    "CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION work.fires() RETURNS trigger LANGUAGE sql AS 'SELECT NEW.a AS a'",
    "CREATE TYPE mood AS ENUM ('good')",
    "CREATE TABLE s.open (a int)",
    "CREATE FUNCTION s.g() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "GRANT SELECT ON s.open TO PUBLIC",
    "ALTER TABLE t OWNER TO keeper",
    "ALTER TABLE k OWNER TO keeper",
    "ALTER VIEW v OWNER TO keeper",
    "ALTER MATERIALIZED VIEW m OWNER TO keeper",
    "ALTER SEQUENCE q OWNER TO keeper",
    "ALTER FUNCTION f(int) OWNER TO keeper",
    "ALTER FUNCTION rows() OWNER TO keeper",
    "ALTER PROCEDURE p() OWNER TO keeper",
    "ALTER TYPE mood OWNER TO keeper",
    "ALTER DATABASE cairn OWNER TO keeper",
    "REVOKE ALL ON FUNCTION f(int), rows() FROM PUBLIC",
    "REVOKE ALL ON PROCEDURE p() FROM PUBLIC",
    "REVOKE ALL ON TYPE mood FROM PUBLIC",
    "REVOKE TEMPORARY ON DATABASE cairn FROM PUBLIC",
];

/// One role, on each way.
struct Ways {
    name: &'static str,
    embedded: Session,
    simple: Client,
    extended: Client,
}

impl Ways {
    /// Runs a statement in a block that is rolled back; the SQLSTATE of what each way says.
    async fn try_all(&mut self, sql: &str) -> [Option<String>; 3] {
        let run = |session: &mut Session, sql: &str| match session.run(sql) {
            Ok(Outcome::Rows(rows)) => rows.collect_rows().map(drop),
            Ok(Outcome::Command { .. }) => Ok(()),
            Err(error) => Err(error),
        };
        run(&mut self.embedded, "BEGIN").unwrap();
        let embedded = run(&mut self.embedded, sql).err().map(|error| error.sqlstate().to_owned());
        run(&mut self.embedded, "ROLLBACK").unwrap();
        self.simple.query("BEGIN").await.unwrap();
        let simple = self.simple.query(sql).await.err();
        self.simple.query("ROLLBACK").await.unwrap();
        self.extended.extended("BEGIN").await.unwrap();
        let extended = self.extended.extended(sql).await.err();
        self.extended.extended("ROLLBACK").await.unwrap();
        [embedded, simple, extended]
    }
}

#[tokio::test]
async fn each_role_may_on_every_way_what_it_may() {
    let server = start(|_| {}).await;
    for sql in SETUP {
        server.database.execute(sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let mut roles = Vec::new();
    for name in ["holder", "member", "outsider", "stranger", "owner", "boss"] {
        let mut embedded = server.database.session();
        embedded.begin_as(name).unwrap();
        let simple = server.client_as(name, "x").await.unwrap();
        let extended = server.client_as(name, "x").await.unwrap();
        let mut ways = Ways { name, embedded, simple, extended };
        // What currval gives.
        server.database.execute("GRANT USAGE ON SEQUENCE q TO PUBLIC", &[]).unwrap();
        let sql = "SELECT nextval('q')";
        ways.embedded.run(sql).unwrap();
        ways.simple.query(sql).await.unwrap();
        ways.extended.extended(sql).await.unwrap();
        server.database.execute("REVOKE USAGE ON SEQUENCE q FROM PUBLIC", &[]).unwrap();
        roles.push(ways);
    }
    let mut looked = 0;
    for Operation { object, needs, sql } in OPERATIONS {
        for given in privileges(object) {
            for grantee in ["holder", "crew"] {
                server.database.execute(&format!("GRANT {given} ON {object} TO {grantee}"), &[]).unwrap();
            }
            // The value of a sequence may be asked for with either.
            let enough = given == needs || sql.contains("currval") && *given == "SELECT";
            for role in &mut roles {
                let may = match role.name {
                    "owner" | "boss" => true,
                    "holder" | "member" => enough,
                    _ => false,
                };
                let expected = if may { None } else { Some("42501".to_owned()) };
                let found = role.try_all(sql).await;
                let name = role.name;
                assert!(found.iter().all(|own| *own == expected), "{name} with {given}: {sql}: {found:?}");
                looked += found.len();
            }
            for grantee in ["holder", "crew"] {
                server.database.execute(&format!("REVOKE {given} ON {object} FROM {grantee}"), &[]).unwrap();
            }
        }
    }
    assert!(looked > 2_000, "{looked}");
    server.stop().await;
}

/// Statements that were prepared as one role run as another.
#[tokio::test]
async fn a_prepared_statement_runs_as_who_runs_it() {
    use crate::support::message;
    let server = start(|_| {}).await;
    for sql in [
        "CREATE USER ann PASSWORD 'x'",
        "CREATE ROLE clerk",
        "GRANT clerk TO ann WITH INHERIT FALSE",
        "CREATE TABLE t (a int PRIMARY KEY, b text)",
        "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
        "GRANT SELECT, UPDATE, INSERT, DELETE ON t TO clerk",
    ] {
        server.database.execute(sql, &[]).unwrap();
    }
    let mut ann = server.client_as("ann", "x").await.unwrap();
    let statements = [
        "SELECT b FROM t WHERE a = 1",
        "SELECT b FROM t",
        "UPDATE t SET b = 'x' WHERE a = 1",
        "INSERT INTO t VALUES (9, 'nine') ON CONFLICT (a) DO NOTHING",
        "DELETE FROM t WHERE a = 77",
    ];
    ann.query("SET ROLE clerk").await.unwrap();
    for (at, sql) in statements.iter().enumerate() {
        let mut all = message(b'P', format!("s{at}\0{sql}\0\0\0").as_bytes());
        all.extend(message(b'S', &[]));
        ann.send(&all).await;
        ann.until_ready().await.unwrap();
    }
    for _ in 0..4 {
        for (role, expected) in [("clerk", None), ("none", Some("42501".to_owned()))] {
            ann.query(&format!("SET ROLE {role}")).await.unwrap();
            for (at, sql) in statements.iter().enumerate() {
                let mut all = message(b'B', format!("\0s{at}\0\0\0\0\0\0\0").as_bytes());
                all.extend(message(b'E', &[0, 0, 0, 0, 0]));
                all.extend(message(b'S', &[]));
                ann.send(&all).await;
                assert_eq!(ann.until_ready().await.err(), expected, "{role}: {sql}");
                assert_eq!(ann.query(sql).await.err(), expected, "{role}: {sql}");
            }
        }
    }
    server.stop().await;
}
