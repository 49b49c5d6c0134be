//! UPDATE and DELETE of one row by its primary key, or that of a unique index, run from a remembered plan: they do what the
//! general way does.

use cairn_env::SeededRandom;
use cairn_sql::{Session, StatementResult};
use cairn_types::Value;

use crate::support::{engine, fails, ok, session};

const TABLES: &[&str] = &[
    "CREATE TABLE parents (id int PRIMARY KEY)",
    "INSERT INTO parents SELECT * FROM generate_series(1, 20)",
    "CREATE TABLE t (id int OWN KEY, small smallint, n int CHECK (n <> 13), big bigint, x double precision, \
     price numeric(8, 2), word text, code varchar(6) UNIQUE, parent int REFERENCES parents, at timestamptz, on_day date)",
    "CREATE INDEX t_n ON t (n)",
    "INSERT INTO t SELECT i, i, i * 100, i, i / 3.0, i + 0.25, 'w' || i, 'c' || i, i % 20 + 1, \
     timestamptz '2026-01-01 00:00:00+00' + i * interval '1 hour', date '2026-01-01' + i FROM generate_series(1, 40) AS g(i)",
    "CREATE TABLE children (id int PRIMARY KEY, t_id int REFERENCES t (id) ON UPDATE CASCADE ON DELETE SET NULL)",
    "INSERT INTO children SELECT i, i * 3 FROM generate_series(1, 12) AS g(i)",
];

/// What makes `id` the key: what stands in the table, and what is added later.
const KEYS: &[(&str, Option<&str>)] = &[
    ("PRIMARY KEY", None),
    // Rows lie under row ids then.
    ("NOT NULL", Some("ALTER TABLE t ADD PRIMARY KEY (id)")),
    ("", Some("CREATE UNIQUE INDEX t_id ON t (id DESC NULLS LAST) INCLUDE (n)")),
    ("UNIQUE", Some("ALTER TABLE t ADD PRIMARY KEY (n, id)")),
];

/// The parts of SET, with the kinds of their parameters.
const SETS: &[(&str, &[Kind])] = &[
    ("n = n + $2", &[Kind::Integer]),
    ("n = $2", &[Kind::Any]),
    ("small = small + $2", &[Kind::Integer]),
    ("big = big * $2 - n, x = x / $3", &[Kind::Integer, Kind::Integer]),
    ("price = price * $2", &[Kind::Number]),
    ("n = n % $2, word = word || '!'", &[Kind::Integer]),
    ("word = $2, n = CASE WHEN n > $3 THEN 0 ELSE n END", &[Kind::Any, Kind::Integer]),
    ("word = upper(word) || n::text || $2", &[Kind::Integer]),
    ("code = $2", &[Kind::Any]),
    ("code = 'c1'", &[]),
    ("parent = parent + $2", &[Kind::Integer]),
    ("id = id + $2", &[Kind::Integer]),
    ("at = at + interval '1 day', on_day = $2", &[Kind::Any]),
    ("on_day = on_day + $2", &[Kind::Integer]),
    ("x = $2 + $2 * x", &[Kind::Number]),
    ("word = NULL, n = -n, price = 1.005", &[]),
    ("n = coalesce($2, n)", &[Kind::Any]),
    ("n = (SELECT max(id) FROM parents)", &[]),
    ("x = random() * 0", &[]),
];

#[derive(Clone, Copy)]
enum Kind {
    Integer,
    Number,
    /// Text, NULL and others too.
    Any,
}

fn value(kind: Kind, random: &mut SeededRandom) -> Value {
    let integer = |random: &mut SeededRandom| match random.below(4) {
        0 => Value::SmallInt(random.below(5) as i16),
        1 => Value::BigInt([0, 3, -7, 1 << 40][random.below(4) as usize]),
        2 => Value::Integer([i32::MAX, 1, -1][random.below(3) as usize]),
        _ => Value::Integer(random.below(30) as i32),
    };
    match kind {
        Kind::Integer => integer(random),
        Kind::Number => match random.below(3) {
            0 => Value::Double([0.5, f64::NAN, 1e300][random.below(3) as usize]),
            1 => Value::Numeric(
                cairn_types::Decimal::parse(["1.5", "0.001", "100000"][random.below(3) as usize]).unwrap(),
            ),
            _ => integer(random),
        },
        Kind::Any => match random.below(4) {
            0 => Value::Null,
            1 => Value::Text(
                ["17", "c5", "too long for it", "2026-02-30", "2026-03-01"][random.below(5) as usize]
                    .to_owned(),
            ),
            2 => Value::Date(random.below(20_000) as i32),
            _ => integer(random),
        },
    }
}

/// What a statement gave, in words.
fn outcome(session: &mut Session, sql: &str, parameters: &[Value]) -> String {
    match session.execute(sql, parameters) {
        Ok(StatementResult::Command { tag, rows }) => format!("{tag} ({rows})"),
        Ok(StatementResult::Rows(_)) => "rows".to_owned(),
        Err(error) => format!("{} {}", error.sqlstate(), error.message()),
    }
}

fn contents(session: &mut Session) -> Vec<String> {
    let mut all = ok(session, "SELECT * FROM t ORDER BY id");
    all.extend(ok(session, "SELECT id FROM t WHERE n >= 0 ORDER BY n, id"));
    all.extend(ok(session, "SELECT * FROM children ORDER BY id"));
    all
}

#[test]
fn the_short_way_equals_the_general_one() {
    let seed = std::env::var("CAIRN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("CAIRN_SEED={seed}");
    for (key, later) in KEYS {
        println!("{key} {later:?}");
        compare(&mut SeededRandom::new(seed), key, *later);
    }
}

/// Runs generated changes both ways.
fn compare(random: &mut SeededRandom, key: &str, later: Option<&str>) {
    let (mut short, mut general) = (session(), session());
    for sql in TABLES {
        let sql = sql.replace("OWN KEY", key);
        for session in [&mut short, &mut general] {
            ok(session, &sql);
            if let Some(later) = later.filter(|_| sql.starts_with("CREATE TABLE t")) {
                ok(session, later);
            }
        }
    }
    let (mut done, mut refused) = (0, 0);
    for round in 0..200 {
        let (set, kinds) = SETS[random.below(SETS.len() as u64) as usize];
        let mut parameters = vec![match random.below(12) {
            0 => Value::BigInt(1 << 40),
            1 => Value::Null,
            2 => Value::Text("5".into()),
            _ => Value::Integer(random.below(45) as i32),
        }];
        parameters.extend(kinds.iter().map(|kind| value(*kind, random)));
        let change = match random.below(8) {
            0 => {
                parameters.truncate(1);
                "DELETE FROM t".to_owned()
            }
            _ => format!("UPDATE t SET {set}"),
        };
        if random.one_in(4) {
            for session in [&mut short, &mut general] {
                ok(session, "BEGIN");
            }
        }
        let expected = outcome(&mut general, &format!("{change} WHERE id = $1 AND id = id"), &parameters);
        let given = outcome(&mut short, &format!("{change} WHERE id = $1"), &parameters);
        assert_eq!(given, expected, "round {round}: {change} {parameters:?}");
        if given.ends_with("(1)") {
            done += 1
        } else {
            refused += 1
        }
        if short.transaction_status() != 'I' {
            assert_eq!(short.transaction_status(), general.transaction_status());
            let end = if random.one_in(2) { "COMMIT" } else { "ROLLBACK" };
            assert_eq!(outcome(&mut short, end, &[]), outcome(&mut general, end, &[]));
        }
        if round % 20 == 0 {
            assert_eq!(contents(&mut short), contents(&mut general), "round {round}");
            for session in [&mut short, &mut general] {
                // What was deleted comes back.
                ok(
                    session,
                    "INSERT INTO t (id, n, code) SELECT i, 100 * i, 'c' || i FROM generate_series(1, 40) AS g(i) \
                             ON CONFLICT DO NOTHING",
                );
            }
        }
    }
    assert_eq!(contents(&mut short), contents(&mut general));
    assert!(done > 30 && refused > 30, "{done} rows changed, {refused} refused or not there");
    let hits = ok(&mut short, "SELECT hits > 50 FROM cairn_plans WHERE kind = 'point writes'");
    assert_eq!(hits, ["t"]);
}

#[test]
fn a_remembered_change_ends_with_the_definition() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int)");
    ok(&mut s, "INSERT INTO t VALUES (1, 1), (2, 2)");
    let change = "UPDATE t SET n = n + 1 WHERE id = 1";
    for _ in 0..4 {
        assert_eq!(ok(&mut s, change), ["UPDATE 1"]);
    }
    ok(&mut s, "ALTER TABLE t ADD CONSTRAINT small CHECK (n < 6)");
    assert_eq!(fails(&mut s, change).0, "23514");
    ok(&mut s, "ALTER TABLE t DROP CONSTRAINT small");
    ok(&mut s, "CREATE UNIQUE INDEX ON t (n)");
    ok(&mut s, "UPDATE t SET n = 6 WHERE id = 2");
    assert_eq!(fails(&mut s, change).0, "23505");
    ok(&mut s, "BEGIN READ ONLY");
    assert_eq!(fails(&mut s, change).0, "25006");
    ok(&mut s, "ROLLBACK");
    ok(&mut s, "CREATE SCHEMA other");
    ok(&mut s, "CREATE TABLE other.t (id int PRIMARY KEY, n text)");
    ok(&mut s, "SET search_path TO other");
    assert_eq!(fails(&mut s, change).0, "42883");
    let delete = "DELETE FROM public.t WHERE id = 1";
    assert_eq!([ok(&mut s, delete), ok(&mut s, delete)], [["DELETE 1"], ["DELETE 0"]]);
}

/// Increments by several sessions side by side: none is lost, whatever the level.
#[test]
fn changes_side_by_side_lose_nothing() {
    let levels = ["read committed", "repeatable read", "serializable"];
    let keys = [None, Some("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD UNIQUE (id)")];
    for (level, key) in levels.into_iter().flat_map(|level| keys.map(|key| (level, key))) {
        let engine = engine();
        let mut s = engine.session();
        ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int)");
        if let Some(key) = key {
            ok(&mut s, key);
        }
        ok(&mut s, "INSERT INTO t SELECT i, 0 FROM generate_series(1, 3) AS g(i)");
        std::thread::scope(|scope| {
            for client in 0..3u64 {
                let mut session = engine.session();
                scope.spawn(move || {
                    ok(&mut session, &format!("SET default_transaction_isolation = '{level}'"));
                    let mut random = SeededRandom::new(client);
                    let mut left = 100;
                    while left > 0 {
                        let key = Value::Integer(1 + random.below(3) as i32);
                        let sql = "UPDATE t SET n = n + $2 WHERE id = $1";
                        match session.execute(sql, &[key, Value::Integer(1)]) {
                            Ok(StatementResult::Command { rows: 1, .. }) => left -= 1,
                            Err(error) if error.sqlstate() == "40001" => {}
                            other => panic!("{other:?}"),
                        }
                    }
                });
            }
        });
        assert_eq!(ok(&mut s, "SELECT sum(n) FROM t"), ["300"], "{level} {key:?}");
    }
}

/// Somebody else gives the row another key, and another row its key, while an UPDATE by the key waits.
#[test]
fn a_key_that_moves_is_looked_for_again() {
    let engine = engine();
    let (mut s, mut other) = (engine.session(), engine.session());
    ok(&mut s, "CREATE TABLE t (id int, n int)");
    ok(&mut s, "CREATE UNIQUE INDEX ON t (id)");
    ok(&mut s, "INSERT INTO t VALUES (1, 10), (2, 20)");
    let change = "UPDATE t SET n = n + 1 WHERE id = 1";
    for _ in 0..3 {
        ok(&mut s, change);
    }
    ok(&mut other, "BEGIN ISOLATION LEVEL READ COMMITTED");
    ok(&mut other, "UPDATE t SET id = 3 WHERE id = 1");
    let (sender, started) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            ok(&mut s, "BEGIN ISOLATION LEVEL READ COMMITTED");
            sender.send(()).unwrap();
            let done = ok(&mut s, change);
            ok(&mut s, "COMMIT");
            done
        });
        started.recv().unwrap();
        ok(&mut other, "UPDATE t SET n = 0 WHERE id = 3");
        ok(&mut other, "COMMIT");
        // Whether it waited or came later: there is no row 1 any more.
        assert_eq!(waiting.join().unwrap(), ["UPDATE 0"]);
    });
    assert_eq!(ok(&mut engine.session(), "SELECT * FROM t ORDER BY id"), ["2|20", "3|0"]);
}

/// Counters that several sessions make and raise: none is lost, whatever the level.
#[test]
fn upserts_side_by_side_lose_nothing() {
    for level in ["read committed", "repeatable read", "serializable"] {
        let engine = engine();
        ok(&mut engine.session(), "CREATE TABLE t (id int PRIMARY KEY, n int)");
        std::thread::scope(|scope| {
            for client in 0..3u64 {
                let mut session = engine.session();
                scope.spawn(move || {
                    ok(&mut session, &format!("SET default_transaction_isolation = '{level}'"));
                    let mut random = SeededRandom::new(client);
                    let mut left = 100;
                    while left > 0 {
                        let key = Value::Integer(1 + random.below(20) as i32);
                        let sql = "INSERT INTO t VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n";
                        match session.execute(sql, &[key, Value::Integer(1)]) {
                            Ok(StatementResult::Command { rows: 1, .. }) => left -= 1,
                            Err(error) if error.sqlstate() == "40001" => {}
                            other => panic!("{other:?}"),
                        }
                    }
                });
            }
        });
        assert_eq!(ok(&mut engine.session(), "SELECT sum(n) FROM t"), ["300"], "{level}");
    }
}

/// INSERT … ON CONFLICT of values runs from a remembered text, too.
#[test]
fn upserts_equal_the_general_way() {
    let seed = std::env::var("CAIRN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("CAIRN_SEED={seed}");
    let mut random = SeededRandom::new(seed);
    let (mut short, mut general) = (session(), session());
    for sql in [
        "CREATE TABLE t (id int PRIMARY KEY, code text UNIQUE, n int DEFAULT 7 CHECK (n < 50), twice int GENERATED ALWAYS AS (n * 2) STORED)",
        "CREATE TABLE u (id int PRIMARY KEY, code text UNIQUE, n int DEFAULT 7 CHECK (n < 50))",
        // Rows that stand by themselves.
        "CREATE TABLE v (id int, code varchar(4), n smallint NOT NULL DEFAULT 7, price numeric(5, 2), note char(6) DEFAULT 'x', PRIMARY KEY (id))",
        "CREATE TABLE w (n int DEFAULT 7, dropped int, code text, id bigint PRIMARY KEY, price numeric)",
        "ALTER TABLE w DROP COLUMN dropped",
        "INSERT INTO w VALUES (1, 'old', 3, 1.50), (2, NULL, 4, NULL)",
        "ALTER TABLE w ADD COLUMN note text DEFAULT 'later'",
        "CREATE INDEX w_code ON w (code DESC) INCLUDE (n)",
        "CREATE UNIQUE INDEX ON w (code, id)",
    ] {
        ok(&mut short, sql);
        ok(&mut general, sql);
    }
    let clauses = [
        "ON CONFLICT (id) DO UPDATE SET n = excluded.n",
        "ON CONFLICT (id) DO UPDATE SET n = x.n + excluded.n, code = excluded.code WHERE x.n <> 13",
        "ON CONFLICT (code) DO UPDATE SET id = excluded.id",
        "ON CONFLICT (code) DO NOTHING",
        "ON CONFLICT DO NOTHING",
        "ON CONFLICT ON CONSTRAINT u_pkey DO UPDATE SET (n, code) = (1, 'one')",
        "ON CONFLICT (id) DO UPDATE SET n = (SELECT count(*) FROM t)",
        "ON CONFLICT (id) DO UPDATE SET n = x.n + excluded.n",
        "ON CONFLICT (id) DO UPDATE SET n = excluded.n * 1000 + x.id",
        "ON CONFLICT (id) DO UPDATE SET code = excluded.code || x.code, n = NULL",
        "ON CONFLICT (id) DO UPDATE SET n = excluded.n, code = 'set'",
        "ON CONFLICT (id) DO UPDATE SET id = excluded.id",
        "ON CONFLICT (id) DO UPDATE SET id = x.id + 5",
        "ON CONFLICT (id) DO UPDATE SET n = n + 1",
        "",
    ];
    let others = [
        "ON CONFLICT (id) DO UPDATE SET price = x.price * 2 + excluded.n, n = excluded.n",
        "ON CONFLICT (id) DO UPDATE SET note = excluded.code, price = x.n / 3.0",
        "ON CONFLICT (id) DO UPDATE SET note = x.note || excluded.note || excluded.n",
        "ON CONFLICT (id) DO UPDATE SET price = DEFAULT, note = DEFAULT",
        "ON CONFLICT (id) DO UPDATE SET note = NULL, price = 1.005",
    ];
    for round in 0..600 {
        let mut clause = clauses[random.below(clauses.len() as u64) as usize];
        let table = ["t", "u", "u", "v", "v", "w"][random.below(6) as usize];
        if matches!(table, "v" | "w") && random.one_in(2) {
            clause = others[random.below(others.len() as u64) as usize];
        }
        let rows =
            ["($1, $2, $3)", "($1, $2, DEFAULT)", "($1, $2, $3), (5, 'five', 5)"][random.below(3) as usize];
        let sql = format!("INSERT INTO {table} AS x (id, code, n) VALUES {rows} {clause}");
        let parameters = [
            if random.one_in(9) { Value::Null } else { Value::Integer(random.below(12) as i32) },
            match random.below(8) {
                0 => Value::Null,
                at => Value::Text(
                    ["a", "b", "five", "c", "long \u{e4}\u{e4}", "", "a"][at as usize - 1].to_owned(),
                ),
            },
            match random.below(12) {
                0 => Value::Null,
                1 => Value::BigInt(70_000),
                2 => Value::Text("12".into()),
                _ => Value::Integer(random.below(60) as i32),
            },
        ];
        let parameters = if rows.contains("$3") { &parameters[..] } else { &parameters[..2] };
        let expected = outcome(&mut general, &format!("{sql} /* {round} */"), parameters);
        assert_eq!(outcome(&mut short, &sql, parameters), expected, "round {round}: {sql} {parameters:?}");
        if random.one_in(10) {
            for session in [&mut short, &mut general] {
                for table in ["u", "v", "w"] {
                    ok(session, &format!("DELETE FROM {table} WHERE id % 2 = 0"));
                }
            }
        }
    }
    for table in ["t", "u", "v", "w"] {
        let all = format!("SELECT * FROM {table} ORDER BY id");
        assert_eq!(ok(&mut short, &all), ok(&mut general, &all));
    }
    let by_index = "SELECT code, id, n FROM w WHERE code >= '' ORDER BY code DESC, id";
    assert_eq!(ok(&mut short, by_index), ok(&mut general, by_index));
    let hits = ok(&mut short, "SELECT hits > 50 FROM cairn_plans WHERE kind = 'point writes'");
    assert_eq!(hits, ["t"]);
}
