//! What types parameters have that nobody declared, and the columns of statements with them: as PostgreSQL says.

use cairn_sql::Session;

use crate::support::{ok, session};

/// The parameters' types, then the columns', as PREPARE finds them.
fn described(session: &mut Session, sql: &str) -> String {
    let prepared = session.prepare(sql).unwrap_or_else(|error| panic!("{sql}\n  {error:?}"));
    let types = prepared.parameter_types().iter().map(|ty| ty.sql_name());
    let columns = prepared.columns().iter().map(|column| column.ty.sql_name());
    let joined = |all: Vec<String>| all.join(", ");
    format!("{} -> {}", joined(types.collect()), joined(columns.collect()))
}

/// The same statements were prepared by PostgreSQL 15.
const STATEMENTS: &[(&str, &str)] = &[
    ("UPDATE pt SET b = b + $1 WHERE id = $2", "bigint, integer -> "),
    ("UPDATE pt SET b = b * $1, n = n - $2, t = t || $3 WHERE id = $4", "bigint, numeric, text, integer -> "),
    ("UPDATE pt SET (s, t) = ($1, $2) WHERE d < $3", "smallint, text, date -> "),
    ("UPDATE pt SET t = upper($1), n = coalesce($2, n)", "text, numeric -> "),
    (
        "UPDATE pt SET t = pu.w || $1 FROM pu WHERE pu.pt_id = pt.id AND pu.w = $2 RETURNING pt.id + $3",
        "text, text, integer -> integer",
    ),
    (
        "UPDATE pt AS x SET ts = x.ts + $1, tm = $2 WHERE x.u = $3",
        "interval, timestamp without time zone, uuid -> ",
    ),
    ("UPDATE pv SET t = $1, n = $2 WHERE id = $3", "text, numeric, integer -> "),
    ("DELETE FROM pt WHERE f > $1 AND r < $2", "double precision, real -> "),
    ("DELETE FROM pt USING pu WHERE pu.w = $1 AND pt.b = $2 RETURNING pt.id", "text, bigint -> integer"),
    (
        "INSERT INTO pt (id, n, t) VALUES ($1, $2 + 1, lower($3)), ($4, $5, $6)",
        "integer, integer, text, integer, numeric, text -> ",
    ),
    ("INSERT INTO pt (id, j, a) SELECT $1, $2, $3", "integer, jsonb, integer[] -> "),
    ("INSERT INTO pt (id, t) SELECT id + $1, w FROM pu WHERE w = $2", "integer, text -> "),
    (
        "INSERT INTO pt (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = pt.n + $3, t = $4 WHERE pt.b < $5 RETURNING t || $6",
        "integer, numeric, numeric, text, bigint, text -> text",
    ),
    ("INSERT INTO pv (id, t) VALUES ($1, $2)", "integer, text -> "),
    (
        "MERGE INTO pt USING pu ON pt.id = pu.pt_id AND pu.w = $1 WHEN MATCHED AND pt.b > $2 THEN UPDATE SET n = $3, t = t || $4 \
         WHEN NOT MATCHED THEN INSERT (id, t) VALUES ($5, $6)",
        "text, bigint, numeric, text, integer, text -> ",
    ),
    (
        "WITH c AS (SELECT id FROM pt WHERE id = $1) UPDATE pt SET t = $2, b = b + $3 FROM c WHERE c.id = pt.id RETURNING c.id",
        "integer, text, bigint -> integer",
    ),
    (
        "WITH c AS (SELECT pt.id, w FROM pu JOIN pt ON pu.pt_id = pt.id WHERE w IN ($1, $2)) INSERT INTO pt (id, t) SELECT c.id + $3, c.w FROM c",
        "text, text, integer -> ",
    ),
    (
        "WITH c AS (SELECT id FROM pt WHERE b > $1) DELETE FROM pt WHERE id = (SELECT c.id FROM c) AND n < $2",
        "bigint, numeric -> ",
    ),
    ("SELECT id FROM pt WHERE id = ANY($1) AND $2 = ANY(ta)", "integer[], text -> integer"),
    (
        "SELECT id FROM pt WHERE ts > now() - $1::interval LIMIT $2 OFFSET $3",
        "interval, bigint, bigint -> integer",
    ),
    (
        "SELECT coalesce($1, id), coalesce(t, $2), nullif(id, $3), greatest(d, $4) FROM pt",
        "integer, text, integer, date -> integer, text, integer, date",
    ),
    (
        "SELECT CASE WHEN $1 THEN id ELSE $2 END, CASE id WHEN $3 THEN 'x' END FROM pt",
        "boolean, integer, integer -> integer, text",
    ),
    (
        "SELECT j -> $1, j ->> $2, j @> $3, j ? $4, j #> $5 FROM pt",
        "text, text, jsonb, text, text[] -> jsonb, text, boolean, boolean, jsonb",
    ),
    ("SELECT $1::int + $2, ($3::numeric)::text", "integer, integer, numeric -> integer, text"),
    (
        "SELECT lower($1), length($2), abs($3), round(n, $4), power(f, $5) FROM pt",
        "text, text, double precision, integer, double precision -> text, integer, double precision, numeric, double precision",
    ),
    (
        "SELECT to_char(ts, $1), date_trunc($2, ts), extract(year FROM $3::date) > 1 FROM pt",
        "text, text, date -> text, timestamp with time zone, boolean",
    ),
    ("SELECT id FROM pt UNION SELECT $1", "integer -> integer"),
    (
        "SELECT string_agg(t, $1), count(*) FILTER (WHERE id > $2) FROM pt HAVING count(*) > $3",
        "text, integer, bigint -> text, bigint",
    ),
    (
        "SELECT to_timestamp($1), make_date($2, 1, 1), unnest($3::int[])",
        "double precision, integer, integer[] -> timestamp with time zone, date, integer",
    ),
    ("VALUES ($1::int, $2), (1, 'x')", "integer, text -> integer, text"),
    ("SELECT iv * $1, a || $2 FROM pt", "double precision, integer[] -> interval, integer[]"),
    (
        "WITH x AS (SELECT * FROM pt WHERE b = $1) SELECT id FROM x WHERE id > $2",
        "bigint, integer -> integer",
    ),
    ("EXPLAIN SELECT * FROM pt WHERE id = $1", "integer -> text"),
];

#[test]
fn parameters_have_the_types_of_their_places() {
    let mut s = session();
    for sql in [
        "CREATE TABLE pt (id int PRIMARY KEY, s smallint, b bigint, n numeric(8,2), t text, d date, ts timestamptz, tm timestamp, \
         iv interval, j jsonb, a int[], ta text[], u uuid, f float8, r real, bo boolean)",
        "CREATE TABLE pu (id int PRIMARY KEY, pt_id int, w text)",
        "CREATE VIEW pv AS SELECT id, t, n FROM pt",
    ] {
        ok(&mut s, sql);
    }
    let wrong: Vec<String> = STATEMENTS
        .iter()
        .filter_map(|(sql, expected)| {
            let found = described(&mut s, sql);
            (found != *expected).then(|| format!("{sql}\n  {found}\n  {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is told of a statement is what it takes.
#[test]
fn what_is_prepared_runs_with_values_of_those_types() {
    use cairn_types::Value;
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int, j jsonb)");
    ok(
        &mut s,
        "INSERT INTO t SELECT i, i * 10, jsonb_build_object('a', i) FROM generate_series(1, 5) AS g(i)",
    );
    let list = Value::Array(vec![Value::Integer(2), Value::Integer(4)]);
    let cases: [(&str, Vec<Value>, &[&str]); 4] = [
        ("SELECT id FROM t WHERE id = ANY($1) ORDER BY id LIMIT $2", vec![list, Value::BigInt(1)], &["2"]),
        (
            "SELECT j -> $1 FROM t WHERE coalesce($2, n) = 20",
            vec![Value::Text("a".into()), Value::Null],
            &["2"],
        ),
        (
            "SELECT CASE WHEN $1 THEN n ELSE $2 END FROM t WHERE id = 1",
            vec![Value::Boolean(false), Value::Integer(7)],
            &["7"],
        ),
        (
            "UPDATE t SET n = n + $1 WHERE id = $2 RETURNING n",
            vec![Value::Integer(1), Value::Integer(1)],
            &["11"],
        ),
    ];
    for (sql, values, expected) in cases {
        let prepared = s.prepare(sql).unwrap();
        assert_eq!(prepared.parameter_types().len(), values.len());
        let rows = match s.execute_prepared(&prepared, &values).unwrap() {
            cairn_sql::StatementResult::Rows(rows) => crate::support::lines(rows).unwrap(),
            cairn_sql::StatementResult::Command { tag, .. } => vec![tag],
        };
        assert_eq!(rows, expected, "{sql}");
    }
}

/// Numbers of objects are BIGINT here; clients are told `oid` and `oid[]`.
#[test]
fn numbers_of_objects_are_told_as_such() {
    let mut session = session();
    let told = |session: &mut Session, sql: &str| {
        let prepared = session.prepare(sql).unwrap();
        let columns: Vec<_> = prepared.columns().iter().map(|column| column.told).collect();
        (prepared.parameters_told().to_vec(), columns)
    };
    for (sql, parameters, columns) in [
        (
            "SELECT oid, relname, relkind FROM pg_class WHERE oid = $1",
            vec![Some(26)],
            [Some(26), Some(19), Some(18)],
        ),
        (
            "SELECT typelem, array_agg(oid), count(*) FROM pg_type WHERE oid = ANY($1::oid[]) GROUP BY 1",
            vec![Some(1028)],
            [Some(26), Some(1028), None],
        ),
        (
            "WITH RECURSIVE r(a, b, c) AS (SELECT oid, CASE WHEN typtype = 'b' THEN typelem END, typtype FROM pg_type WHERE oid = $1 \
             UNION ALL SELECT t.oid, t.typelem, t.typtype FROM r, pg_type t WHERE t.oid = r.b) SELECT DISTINCT * FROM r",
            vec![Some(26)],
            [Some(26), Some(26), Some(18)],
        ),
        (
            "SELECT $1::oid, coalesce((SELECT max(oid) FROM pg_class), 0::oid), 'pg_class'::regclass::oid + 1",
            vec![Some(26)],
            [Some(26), Some(26), None],
        ),
    ] {
        assert_eq!(told(&mut session, sql), (parameters, columns.to_vec()), "{sql}");
    }
}
