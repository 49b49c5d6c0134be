//! No clause is silently dropped: for every field of the parser's statements there is a statement that shows that the
//! clause acts (it gives something else with it than without it) or is refused.
//!
//! I1: the lists of fields are complete: [`fields!`] takes each type apart without `..`, so that a field that a newer
//! parser adds does not compile until it has its line here.

use cairn_sql::Session;
use sqlparser::ast;

use crate::support::{engine, run};

/// What is shown of a field.
enum Shown {
    /// It is no clause: a token, a part that every such statement has, or one that other lines show.
    Part,
    /// The first statement without the clause, the second with it: they differ in what they give or leave behind.
    Acts(&'static str, &'static str),
    /// Refused with that SQLSTATE, or as a syntax error (`42601`) or one that is not supported (`0A000`).
    Refused(&'static str, &'static str),
    /// The dialect has no syntax for it: other dialects of the parser fill it in.
    Foreign,
}

use Shown::{Acts, Foreign, Part, Refused};

macro_rules! fields {
    ($type:path { $($field:ident: $shown:expr),* $(,)? }) => {{
        #[allow(dead_code, unused_variables)]
        fn complete(value: $type) {
            let $type { $($field),* } = value;
        }
        vec![$((concat!(stringify!($type), ".", stringify!($field)), $shown)),*]
    }};
}

macro_rules! variant {
    ($enum:ident :: $variant:ident { $($field:ident: $shown:expr),* $(,)? }) => {{
        #[allow(dead_code, unused_variables)]
        fn complete(value: ast::$enum) {
            if let ast::$enum::$variant { $($field),* } = value {}
        }
        vec![$((concat!(stringify!($enum), "::", stringify!($variant), ".", stringify!($field)), $shown)),*]
    }};
}

fn queries() -> Vec<(&'static str, Shown)> {
    let mut all = fields!(ast::Query {
        with: Acts("SELECT * FROM t", "WITH t AS (SELECT 7) SELECT * FROM t"),
        body: Part,
        order_by: Acts("SELECT id FROM t", "SELECT id FROM t ORDER BY id DESC"),
        limit_clause: Acts("SELECT id FROM t ORDER BY id", "SELECT id FROM t ORDER BY id LIMIT 1"),
        fetch: Acts("SELECT id FROM t ORDER BY id", "SELECT id FROM t ORDER BY id FETCH FIRST ROW ONLY"),
        locks: Refused("SELECT count(*) FROM t FOR UPDATE", "0A000"),
        for_clause: Refused("SELECT id FROM t FOR XML AUTO", "42601"),
        settings: Refused("SELECT id FROM t SETTINGS a = 1", "42601"),
        format_clause: Refused("SELECT id FROM t FORMAT CSV", "42601"),
        pipe_operators: Refused("FROM t |> SELECT id", "42601"),
    });
    all.extend(fields!(ast::Select {
        select_token: Part,
        optimizer_hints: Part,
        distinct: Acts("SELECT v FROM t ORDER BY v", "SELECT DISTINCT v FROM t ORDER BY v"),
        select_modifiers: Foreign,
        top: Refused("SELECT TOP 1 id FROM t", "42601"),
        top_before_distinct: Part,
        projection: Part,
        exclude: Refused("SELECT * EXCLUDE (v) FROM t", "42601"),
        into: Acts("SELECT id FROM t", "SELECT id INTO made FROM t"),
        from: Part,
        lateral_views: Refused("SELECT id FROM t LATERAL VIEW explode(a) x AS y", "42601"),
        prewhere: Refused("SELECT id FROM t PREWHERE id = 1", "42601"),
        selection: Acts("SELECT id FROM t", "SELECT id FROM t WHERE id = 2"),
        connect_by: Refused("SELECT id FROM t START WITH id = 1 CONNECT BY PRIOR id = v", "42601"),
        group_by: Acts("SELECT count(*) FROM t", "SELECT count(*) FROM t GROUP BY v ORDER BY 1"),
        cluster_by: Refused("SELECT id FROM t CLUSTER BY id", "42601"),
        distribute_by: Refused("SELECT id FROM t DISTRIBUTE BY id", "42601"),
        sort_by: Refused("SELECT id FROM t SORT BY id", "42601"),
        having: Acts(
            "SELECT v FROM t GROUP BY v ORDER BY 1",
            "SELECT v FROM t GROUP BY v HAVING count(*) > 1"
        ),
        named_window: Acts(
            "SELECT sum(id) OVER w FROM t",
            "SELECT sum(id) OVER w FROM t WINDOW w AS (ORDER BY id)"
        ),
        qualify: Acts(
            "SELECT id FROM t ORDER BY id",
            "SELECT id FROM t QUALIFY row_number() OVER (ORDER BY id) = 1"
        ),
        window_before_qualify: Part,
        value_table_mode: Refused("SELECT AS STRUCT id FROM t", "42601"),
        flavor: Refused("FROM t SELECT id", "42601"),
    }));
    all.extend(fields!(ast::With {
        with_token: Part,
        recursive: Acts(
            "WITH x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 3) SELECT * FROM x",
            "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 3) SELECT * FROM x"
        ),
        cte_tables: Part,
    }));
    all.extend(fields!(ast::Cte {
        alias: Part,
        query: Part,
        from: Refused("WITH x AS (SELECT 1) FROM t SELECT * FROM x", "42601"),
        // A hint: it changes no answer.
        materialized: Part,
        closing_paren_token: Part,
    }));
    all.extend(fields!(ast::Fetch {
        with_ties: Acts(
            "SELECT v FROM t ORDER BY v FETCH FIRST 1 ROW ONLY",
            "SELECT v FROM t ORDER BY v FETCH FIRST 1 ROW WITH TIES"
        ),
        percent: Refused("SELECT id FROM t FETCH FIRST 50 PERCENT ROWS ONLY", "0A000"),
        quantity: Acts(
            "SELECT id FROM t ORDER BY id FETCH FIRST ROW ONLY",
            "SELECT id FROM t ORDER BY id FETCH FIRST 2 ROWS ONLY"
        ),
    }));
    all.extend(fields!(ast::OrderBy {
        kind: Part,
        interpolate: Refused("SELECT id FROM t ORDER BY id WITH FILL INTERPOLATE (v)", "42601"),
    }));
    all.extend(fields!(ast::OrderByExpr {
        expr: Part,
        options: Acts("SELECT u FROM t ORDER BY u", "SELECT u FROM t ORDER BY u NULLS FIRST"),
        with_fill: Refused("SELECT id FROM t ORDER BY id WITH FILL FROM 1", "42601"),
    }));
    all.extend(fields!(ast::LockClause {
        lock_type: Part,
        of: Refused("SELECT id FROM t FOR UPDATE OF nosuch", "42P01"),
        nonblock: Part,
    }));
    all.extend(fields!(ast::Function {
        name: Part,
        uses_odbc_syntax: Refused("SELECT {fn lower('A')}", "42601"),
        parameters: Refused("SELECT quantile(0.5)(id) FROM t", "42601"),
        args: Part,
        filter: Acts("SELECT sum(id) FROM t", "SELECT sum(id) FILTER (WHERE id > 1) FROM t"),
        null_treatment: Acts(
            "SELECT first_value(u) OVER (ORDER BY id DESC) FROM t ORDER BY 1",
            "SELECT first_value(u) IGNORE NULLS OVER (ORDER BY id DESC) FROM t ORDER BY 1"
        ),
        over: Acts("SELECT sum(id) FROM t", "SELECT sum(id) OVER () FROM t"),
        within_group: Acts(
            "SELECT percentile_cont(0.5) FROM t",
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM t"
        ),
    }));
    all.extend(fields!(ast::WindowSpec {
        window_name: Part,
        partition_by: Acts(
            "SELECT count(*) OVER () FROM t ORDER BY 1",
            "SELECT count(*) OVER (PARTITION BY v) FROM t ORDER BY 1"
        ),
        order_by: Acts(
            "SELECT sum(id) OVER () FROM t ORDER BY 1",
            "SELECT sum(id) OVER (ORDER BY id) FROM t ORDER BY 1"
        ),
        window_frame: Acts(
            "SELECT sum(id) OVER (ORDER BY id) FROM t ORDER BY 1",
            "SELECT sum(id) OVER (ORDER BY id ROWS CURRENT ROW) FROM t ORDER BY 1"
        ),
    }));
    all.extend(variant!(TableFactor::Table {
        name: Part,
        alias: Acts("SELECT * FROM t ORDER BY 1", "SELECT x.id FROM t AS x ORDER BY 1"),
        args: Part,
        with_hints: Refused("SELECT id FROM t WITH (NOLOCK)", "42601"),
        version: Refused("SELECT id FROM t FOR SYSTEM_TIME AS OF now()", "42601"),
        with_ordinality: Refused("SELECT id FROM t WITH ORDINALITY", "0A000"),
        partitions: Refused("SELECT id FROM t PARTITION (p)", "42601"),
        json_path: Foreign,
        sample: Acts("SELECT count(*) FROM t", "SELECT count(*) FROM t TABLESAMPLE BERNOULLI (0)"),
        index_hints: Refused("SELECT id FROM t USE INDEX (i)", "42601"),
    }));
    all.extend(variant!(TableFactor::Derived {
        lateral: Acts(
            "SELECT x.n FROM t, (SELECT t.id AS n) x ORDER BY 1",
            "SELECT x.n FROM t, LATERAL (SELECT t.id AS n) x ORDER BY 1"
        ),
        subquery: Part,
        alias: Part,
        sample: Refused("SELECT * FROM (SELECT 1) AS x TABLESAMPLE BERNOULLI (1)", "0A000"),
    }));
    all.extend(variant!(TableFactor::UNNEST {
        alias: Part,
        array_exprs: Part,
        with_offset: Refused("SELECT * FROM unnest(ARRAY[1]) WITH OFFSET", "42601"),
        with_offset_alias: Part,
        with_ordinality: Acts(
            "SELECT * FROM unnest(ARRAY[1])",
            "SELECT * FROM unnest(ARRAY[1]) WITH ORDINALITY"
        ),
    }));
    all
}

fn changes() -> Vec<(&'static str, Shown)> {
    let mut all = fields!(ast::Insert {
        insert_token: Part,
        optimizer_hints: Acts("INSERT INTO i VALUES (9)", "INSERT INTO i OVERRIDING SYSTEM VALUE VALUES (9)"),
        or: Refused("INSERT OR REPLACE INTO t VALUES (9)", "42601"),
        ignore: Refused("INSERT IGNORE INTO t VALUES (9)", "42601"),
        into: Part,
        table: Part,
        table_alias: Acts(
            "INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET v = x.v + 1",
            "INSERT INTO t AS x VALUES (1) ON CONFLICT (id) DO UPDATE SET v = x.v + 1"
        ),
        columns: Acts("INSERT INTO t VALUES (9, 8)", "INSERT INTO t (id, u) VALUES (9, 8)"),
        overwrite: Refused("INSERT OVERWRITE TABLE t VALUES (9)", "42601"),
        source: Part,
        assignments: Refused("INSERT INTO t SET id = 9", "42601"),
        partitioned: Refused("INSERT INTO t PARTITION (v = 1) VALUES (9)", "42601"),
        after_columns: Foreign,
        has_table_keyword: Part,
        on: Acts("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"),
        returning: Acts("INSERT INTO t VALUES (9)", "INSERT INTO t VALUES (9) RETURNING id"),
        output: Refused("INSERT INTO t OUTPUT inserted.id VALUES (9)", "42601"),
        replace_into: Refused("REPLACE INTO t VALUES (9)", "42601"),
        priority: Refused("INSERT LOW_PRIORITY INTO t VALUES (9)", "42601"),
        insert_alias: Refused("INSERT INTO t VALUES (9) AS new", "42601"),
        settings: Refused("INSERT INTO t SETTINGS a = 1 VALUES (9)", "42601"),
        format_clause: Refused("INSERT INTO t FORMAT CSV", "42601"),
        multi_table_insert_type: Refused("INSERT ALL INTO t SELECT 9", "42601"),
        multi_table_into_clauses: Part,
        multi_table_when_clauses: Part,
        multi_table_else_clause: Part,
    });
    all.extend(fields!(ast::OnConflict {
        conflict_target: Acts(
            "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
            "INSERT INTO t VALUES (1) ON CONFLICT (nosuch) DO NOTHING"
        ),
        action: Part,
    }));
    all.extend(fields!(ast::Update {
        update_token: Part,
        optimizer_hints: Part,
        table: Part,
        assignments: Part,
        from: Acts("UPDATE t SET v = 5", "UPDATE t SET v = x.id + 70 FROM t x WHERE x.id = t.id"),
        selection: Acts("UPDATE t SET v = 5", "UPDATE t SET v = 5 WHERE id = 1"),
        returning: Acts("UPDATE t SET v = 5", "UPDATE t SET v = 5 RETURNING id"),
        output: Refused("UPDATE t SET v = 5 OUTPUT inserted.id", "42601"),
        or: Refused("UPDATE OR IGNORE t SET v = 5", "42601"),
        order_by: Refused("UPDATE t SET v = 5 ORDER BY id", "42601"),
        limit: Refused("UPDATE t SET v = 5 LIMIT 1", "0A000"),
    }));
    all.extend(fields!(ast::Delete {
        delete_token: Part,
        optimizer_hints: Part,
        tables: Refused("DELETE t FROM t", "42601"),
        from: Part,
        using: Acts("DELETE FROM t", "DELETE FROM t USING t x WHERE x.id = t.id AND x.id = 2"),
        selection: Acts("DELETE FROM t", "DELETE FROM t WHERE id = 1"),
        returning: Acts("DELETE FROM t", "DELETE FROM t RETURNING id"),
        output: Refused("DELETE FROM t OUTPUT deleted.id", "42601"),
        order_by: Refused("DELETE FROM t ORDER BY id", "0A000"),
        limit: Refused("DELETE FROM t LIMIT 1", "0A000"),
    }));
    all.extend(fields!(ast::Merge {
        merge_token: Part,
        optimizer_hints: Part,
        into: Part,
        table: Part,
        source: Part,
        on: Part,
        clauses: Part,
        output: Acts(
            "MERGE INTO t USING t x ON t.id = x.id WHEN MATCHED THEN DELETE",
            "MERGE INTO t USING t x ON t.id = x.id WHEN MATCHED THEN DELETE RETURNING t.id"
        ),
    }));
    all.extend(fields!(ast::MergeClause {
        when_token: Part,
        clause_kind: Acts(
            "MERGE INTO t USING t x ON t.id = x.id WHEN MATCHED THEN DELETE",
            "MERGE INTO t USING t x ON t.id = x.id WHEN NOT MATCHED BY SOURCE THEN DELETE"
        ),
        predicate: Acts(
            "MERGE INTO t USING t x ON t.id = x.id WHEN MATCHED THEN DELETE",
            "MERGE INTO t USING t x ON t.id = x.id WHEN MATCHED AND x.id = 1 THEN DELETE"
        ),
        action: Part,
    }));
    all.extend(fields!(ast::MergeInsertExpr {
        insert_token: Part,
        columns: Part,
        kind_token: Part,
        kind: Part,
        insert_predicate: Refused(
            "MERGE INTO t USING t x ON false WHEN NOT MATCHED THEN INSERT VALUES (x.id + 10) WHERE x.id = 1",
            "42601"
        ),
    }));
    all.extend(fields!(ast::MergeUpdateExpr {
        update_token: Part,
        assignments: Part,
        update_predicate: Refused(
            "MERGE INTO t USING t x ON t.id = x.id WHEN MATCHED THEN UPDATE SET v = 1 WHERE x.id = 1",
            "42601"
        ),
        delete_predicate: Refused(
            "MERGE INTO t USING t x ON t.id = x.id WHEN MATCHED THEN UPDATE SET v = 1 DELETE WHERE x.id = 1",
            "42601"
        ),
    }));
    all.extend(fields!(ast::Truncate {
        table_names: Part,
        partitions: Refused("TRUNCATE TABLE t PARTITION (v = 1)", "42601"),
        table: Part,
        if_exists: Acts("TRUNCATE nosuch", "TRUNCATE TABLE IF EXISTS nosuch"),
        identity: Acts("TRUNCATE i", "TRUNCATE i RESTART IDENTITY"),
        cascade: Acts("TRUNCATE p", "TRUNCATE p CASCADE"),
        on_cluster: Refused("TRUNCATE TABLE t ON CLUSTER c", "42601"),
    }));
    all
}

fn definitions() -> Vec<(&'static str, Shown)> {
    let mut all = fields!(ast::CreateIndex {
        name: Acts("CREATE INDEX ON t (v)", "CREATE INDEX named ON t (v)"),
        table_name: Part,
        using: Acts("CREATE INDEX x ON t (v)", "CREATE INDEX x ON t USING hash (v)"),
        columns: Part,
        unique: Acts("CREATE INDEX ON t (v)", "CREATE UNIQUE INDEX ON t (v)"),
        // Building never keeps readers away, with the word or without it.
        concurrently: Part,
        if_not_exists: Acts("CREATE INDEX there ON t (v)", "CREATE INDEX IF NOT EXISTS there ON t (v)"),
        include: Acts("CREATE INDEX x ON t (v)", "CREATE INDEX x ON t (v) INCLUDE (id)"),
        nulls_distinct: Acts(
            "CREATE UNIQUE INDEX x ON t (u)",
            "CREATE UNIQUE INDEX x ON t (u) NULLS NOT DISTINCT"
        ),
        // Said to have no effect.
        with: Refused("CREATE INDEX x ON t (v) WITH (fillfactor = 7)", "22023"),
        predicate: Acts("CREATE INDEX x ON t (v)", "CREATE INDEX x ON t (v) WHERE v > 1"),
        index_options: Refused("CREATE INDEX x ON t (v) COMMENT 'x'", "42601"),
        alter_options: Refused("CREATE INDEX x ON t (v) ALGORITHM = INPLACE", "42601"),
    });
    all.extend(fields!(ast::CreateView {
        or_alter: Refused("CREATE OR ALTER VIEW x AS SELECT 1", "42601"),
        or_replace: Acts(
            "CREATE VIEW w AS SELECT 1 AS a, 2 AS b",
            "CREATE OR REPLACE VIEW w AS SELECT 1 AS a, 2 AS b"
        ),
        materialized: Acts("CREATE VIEW x AS SELECT 1", "CREATE MATERIALIZED VIEW x AS SELECT 1"),
        secure: Refused("CREATE SECURE VIEW x AS SELECT 1", "42601"),
        name: Part,
        name_before_not_exists: Part,
        columns: Acts("CREATE VIEW x AS SELECT 1 AS a", "CREATE VIEW x (b) AS SELECT 1 AS a"),
        query: Part,
        options: Refused("CREATE VIEW x WITH (nothing) AS SELECT 1", "22023"),
        cluster_by: Refused("CREATE VIEW x CLUSTER BY (a) AS SELECT 1", "42601"),
        comment: Refused("CREATE VIEW x COMMENT = 'c' AS SELECT 1", "42601"),
        with_no_schema_binding: Refused("CREATE VIEW x AS SELECT 1 WITH NO SCHEMA BINDING", "42601"),
        if_not_exists: Refused("CREATE VIEW IF NOT EXISTS x AS SELECT 1", "0A000"),
        temporary: Acts("CREATE VIEW x AS SELECT 1", "CREATE TEMP VIEW x AS SELECT 1"),
        copy_grants: Refused("CREATE VIEW x COPY GRANTS AS SELECT 1", "42601"),
        to: Refused("CREATE VIEW x TO t AS SELECT 1", "42601"),
        params: Refused("CREATE ALGORITHM = MERGE VIEW x AS SELECT 1", "42601"),
    }));
    all.extend(fields!(ast::AlterTable {
        name: Part,
        if_exists: Acts("ALTER TABLE nosuch RENAME TO x", "ALTER TABLE IF EXISTS nosuch RENAME TO x"),
        // There is no inheritance: the table is all that there is.
        only: Part,
        operations: Part,
        location: Refused("ALTER TABLE t SET LOCATION 'x'", "42601"),
        on_cluster: Refused("ALTER TABLE t ON CLUSTER c DROP COLUMN v", "42601"),
        table_type: Refused("ALTER ICEBERG TABLE t DROP COLUMN v", "42601"),
        end_token: Part,
    }));
    all.extend(fields!(ast::CheckConstraint {
        name: Acts(
            "CREATE TABLE x (a int, CHECK (a > 0))",
            "CREATE TABLE x (a int, CONSTRAINT named CHECK (a > 0))"
        ),
        expr: Part,
        enforced: Refused("CREATE TABLE x (a int, CHECK (a > 0) NOT ENFORCED)", "0A000"),
    }));
    all.extend(fields!(ast::UniqueConstraint {
        name: Part,
        index_name: Refused("CREATE TABLE x (a int, UNIQUE KEY k (a))", "42601"),
        index_type_display: Part,
        index_type: Refused("CREATE TABLE x (a int, UNIQUE USING HASH (a))", "42601"),
        columns: Part,
        index_options: Refused("CREATE TABLE x (a int, UNIQUE (a) COMMENT 'c')", "42601"),
        characteristics: Acts(
            "CREATE TABLE x (a int, UNIQUE (a))",
            "CREATE TABLE x (a int, UNIQUE (a) DEFERRABLE INITIALLY DEFERRED)"
        ),
        nulls_distinct: Acts(
            "CREATE TABLE x (a int, UNIQUE (a))",
            "CREATE TABLE x (a int, UNIQUE NULLS NOT DISTINCT (a))"
        ),
    }));
    all.extend(fields!(ast::PrimaryKeyConstraint {
        name: Part,
        index_name: Refused("CREATE TABLE x (a int, PRIMARY KEY k (a))", "42601"),
        index_type: Refused("CREATE TABLE x (a int, PRIMARY KEY USING BTREE (a))", "42601"),
        columns: Part,
        index_options: Refused("CREATE TABLE x (a int, PRIMARY KEY (a) COMMENT 'c')", "42601"),
        characteristics: Acts(
            "CREATE TABLE x (a int, PRIMARY KEY (a))",
            "CREATE TABLE x (a int, PRIMARY KEY (a) DEFERRABLE INITIALLY DEFERRED)"
        ),
    }));
    all.extend(fields!(ast::ForeignKeyConstraint {
        name: Part,
        index_name: Refused("CREATE TABLE x (a int, FOREIGN KEY k (a) REFERENCES p (id))", "42601"),
        columns: Part,
        foreign_table: Part,
        referred_columns: Part,
        on_delete: Part,
        on_update: Part,
        match_kind: Refused("CREATE TABLE x (a int, FOREIGN KEY (a) REFERENCES p (id) MATCH FULL)", "0A000"),
        characteristics: Acts(
            "CREATE TABLE x (a int, FOREIGN KEY (a) REFERENCES p (id))",
            "CREATE TABLE x (a int, FOREIGN KEY (a) REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)"
        ),
    }));
    all
}

fn session() -> Session {
    let mut session = engine().session();
    for sql in [
        "CREATE TABLE t (id int PRIMARY KEY, v int, u int)",
        "INSERT INTO t VALUES (1, 1, NULL), (2, 1, 4), (3, 2, NULL)",
        "CREATE INDEX there ON t (u)",
        "CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY, a int)",
        "INSERT INTO i (a) VALUES (1), (2)",
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE c (id int REFERENCES p)",
        "CREATE VIEW w AS SELECT 1 AS a",
    ] {
        run(&mut session, sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }
    session
}

/// What a statement gives, and the state that it leaves.
fn outcome(sql: &str) -> Vec<String> {
    let mut session = session();
    let mut all = match run(&mut session, sql) {
        Ok(lines) => lines,
        Err(error) => vec![format!("{} {}", error.sqlstate(), error.message())],
    };
    for probe in [
        "SELECT * FROM t ORDER BY id",
        "INSERT INTO i (a) VALUES (7) RETURNING *",
        "SELECT relname, relkind, relpersistence FROM pg_class WHERE oid > 1000 ORDER BY 1, 2",
        "SELECT indexdef FROM pg_indexes ORDER BY 1",
        "SELECT conname, condeferrable, condeferred FROM pg_constraint ORDER BY 1",
        "SELECT column_name FROM information_schema.columns WHERE table_name IN ('x', 'w') ORDER BY 1",
    ] {
        all.push(run(&mut session, probe).map_or_else(|e| e.sqlstate().to_owned(), |lines| lines.join(";")));
    }
    all
}

#[test]
fn every_clause_acts_or_is_refused() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (field, shown) in queries().into_iter().chain(changes()).chain(definitions()) {
        match shown {
            Part | Foreign => {}
            Acts(without, with) => {
                count += 1;
                if outcome(without) == outcome(with) {
                    wrong.push(format!("{field}: {with} gives what {without} gives"));
                }
            }
            Refused(sql, state) => {
                count += 1;
                match run(&mut session(), sql) {
                    Err(error) if [state, "42601", "0A000"].contains(&error.sqlstate()) => {}
                    Err(error) => {
                        wrong.push(format!("{field}: {sql}: {} {}", error.sqlstate(), error.message()))
                    }
                    Ok(lines) => wrong.push(format!("{field}: {sql} gave {lines:?}")),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
