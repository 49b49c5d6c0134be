//! Queries with parameters run from plans that are kept, one for all values: they give what the same query gives with
//! literals.

use cairn_env::SeededRandom;
use cairn_sql::{Session, StatementResult};
use cairn_types::{Decimal, Value};

use crate::support::{fails, lines, ok, session};

const TABLES: &[&str] = &[
    "CREATE TABLE t (id int PRIMARY KEY, grp int, big bigint, small smallint, x double precision, price numeric(8, 2), \
     word text, code varchar(8) UNIQUE, on_day date, at timestamptz, flag boolean, who uuid)",
    "CREATE INDEX t_grp ON t (grp, id)",
    "CREATE INDEX t_day ON t (on_day DESC)",
    "CREATE INDEX t_word ON t (lower(word))",
    "CREATE INDEX t_price ON t (price) WHERE price > 10",
    "INSERT INTO t SELECT i, i % 37, i::bigint * 1000000, i % 100, i / 7.0, i / 4.0, 'W' || i % 50, 'c' || i, \
     date '2026-01-01' + i % 90, timestamptz '2026-01-01 00:00:00+00' + i * interval '1 hour', i % 3 = 0, \
     ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid FROM generate_series(1, 3000) AS g(i)",
    "UPDATE t SET word = NULL, price = NULL, on_day = NULL WHERE id % 11 = 0",
    "CREATE TABLE u (id int PRIMARY KEY, t int, name text)",
    "CREATE INDEX u_t ON u (t)",
    "INSERT INTO u SELECT i, i * 7 % 3000, 'u' || i FROM generate_series(1, 2000) AS g(i)",
    "CREATE TABLE pair (a int, b text, n int, PRIMARY KEY (a, b))",
    "INSERT INTO pair SELECT i % 40, 'b' || i, i FROM generate_series(1, 1500) AS g(i)",
];

/// Parts of those that have no plan for all values.
const WITHOUT: &[&str] =
    &["lower(word) =", "LIKE $1", "$1 + 1", "price > $1", "small = $1 UNION", "WITH some"];

#[derive(Clone, Copy)]
enum Kind {
    Key,
    Group,
    Text,
    Code,
    Day,
    Number,
    Uuid,
    Flag,
    Count,
}

/// Queries, with the kinds of their parameters.
const QUERIES: &[(&str, &[Kind])] = {
    use Kind::*;
    &[
        ("SELECT id, word FROM t WHERE grp = $1 ORDER BY id", &[Group]),
        ("SELECT id FROM t WHERE grp = $1 AND id > $2 ORDER BY id DESC LIMIT 7", &[Group, Key]),
        ("SELECT id, word FROM t WHERE id >= $1 ORDER BY id LIMIT 20", &[Key]),
        ("SELECT id, word FROM t WHERE id >= $1 ORDER BY id LIMIT $2", &[Key, Count]),
        ("SELECT id FROM t WHERE id BETWEEN $1 AND $2 ORDER BY 1", &[Key, Key]),
        ("SELECT id FROM t WHERE id IN ($1, $2, 17) ORDER BY 1", &[Key, Key]),
        ("SELECT id FROM t WHERE id IN ($1, 5, $2, 17, 40, 41) ORDER BY 1", &[Key, Key]),
        (
            "SELECT count(*) FROM t WHERE grp NOT IN ($1, $2, 3, 4, 5) AND id IN ($3, 2.5, 11)",
            &[Group, Group, Key],
        ),
        ("SELECT count(*), min(x), sum(price) FROM t WHERE grp = $1", &[Group]),
        ("SELECT count(*) FROM t WHERE grp <> $1 AND grp < 5", &[Group]),
        ("SELECT t.id, u.name FROM t JOIN u ON u.t = t.id WHERE t.id = $1 ORDER BY u.id", &[Key]),
        ("SELECT t.word, u.name FROM u JOIN t ON t.id = u.t WHERE u.id = $1", &[Key]),
        (
            "SELECT t.id FROM t JOIN pair ON pair.a = t.grp WHERE t.id = $1 AND pair.b > $2 ORDER BY pair.b LIMIT 3",
            &[Key, Text],
        ),
        ("SELECT id FROM t WHERE lower(word) = $1 ORDER BY id LIMIT 5", &[Text]),
        ("SELECT id FROM t WHERE word = $1 ORDER BY id LIMIT 5", &[Text]),
        ("SELECT id FROM t WHERE code = $1", &[Code]),
        ("SELECT id FROM t WHERE code LIKE $1 ORDER BY id LIMIT 3", &[Code]),
        ("SELECT id FROM t WHERE on_day = $1 ORDER BY id", &[Day]),
        ("SELECT id FROM t WHERE on_day < $1 ORDER BY on_day DESC, id LIMIT 4", &[Day]),
        ("SELECT id FROM t WHERE price > $1 AND price > 10 ORDER BY price, id LIMIT 4", &[Number]),
        ("SELECT id FROM t WHERE x < $1 ORDER BY id LIMIT 4", &[Number]),
        ("SELECT id FROM t WHERE who = $1", &[Uuid]),
        ("SELECT count(*) FROM t WHERE flag = $1 AND grp = $2", &[Flag, Group]),
        ("SELECT id, id + $2 FROM t WHERE id = $1 OR id = $1 + 1 ORDER BY 1", &[Key, Count]),
        ("SELECT n FROM pair WHERE a = $1 AND b >= $2 ORDER BY b", &[Group, Text]),
        (
            "SELECT grp, count(*) FROM t WHERE id < $1 GROUP BY grp HAVING count(*) > $2 ORDER BY grp",
            &[Key, Count],
        ),
        ("SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t = t.id AND u.id = $1)", &[Key]),
        ("SELECT (SELECT max(name) FROM u WHERE u.t = $1)", &[Key]),
        (
            "SELECT id FROM t WHERE small = $1 UNION SELECT id FROM u WHERE t = $1 ORDER BY 1 LIMIT 9",
            &[Group],
        ),
        ("SELECT $1 = grp, id FROM t WHERE id = 7", &[Group]),
        (
            "WITH some AS (SELECT * FROM t WHERE grp = $1) SELECT a.id FROM some a JOIN some b ON b.id = a.id ORDER BY 1 LIMIT $2",
            &[Group, Count],
        ),
        (
            "SELECT t.id, u.name FROM t LEFT JOIN u ON u.t = t.id AND u.id > $2 WHERE t.grp = $1 ORDER BY 1, 2",
            &[Group, Key],
        ),
        (
            "SELECT u.id, t.word FROM u LEFT JOIN t ON t.id = u.t WHERE u.id BETWEEN $1 AND $1 ORDER BY 1",
            &[Key],
        ),
        ("SELECT t.id FROM t WHERE grp = $1 AND id IN (SELECT t FROM u) ORDER BY 1", &[Group]),
        (
            "SELECT t.id FROM t WHERE grp = $1 AND NOT EXISTS (SELECT FROM u WHERE u.t = t.id) ORDER BY 1",
            &[Group],
        ),
        (
            "SELECT u.name, p.n FROM u JOIN t ON t.id = u.t JOIN pair p ON p.a = t.grp AND p.n % 2 = 1 \
             WHERE u.id = $1 ORDER BY p.n DESC LIMIT 3 OFFSET 1",
            &[Key],
        ),
        (
            "SELECT a.n, b.n FROM pair a JOIN pair b ON b.a = a.a AND b.b = a.b WHERE a.a = $1 AND a.b < $2 ORDER BY 1",
            &[Group, Text],
        ),
        (
            "SELECT count(*), count(price), count(DISTINCT small), avg(x), min(word), max(at), bool_or(flag), \
             sum(n) FILTER (WHERE small > 50) FROM (SELECT *, id AS n FROM t) AS t WHERE on_day = $1",
            &[Day],
        ),
        ("SELECT count(*), sum(big) FROM t WHERE id > $1", &[Key]),
        // More pairs than an execution without streams may hold.
        ("SELECT count(*), max(b.b) FROM pair a JOIN pair b ON b.a = a.a WHERE a.n > $1", &[Key]),
        ("SELECT id FROM t WHERE id > $1 ORDER BY word NULLS FIRST, id LIMIT 5 OFFSET 2", &[Key]),
        ("SELECT id FROM t WHERE id > $1 AND id < $2 AND id > 20 AND id <> 40 ORDER BY id DESC", &[Key, Key]),
        ("SELECT 'v' || word, price * 2 FROM t WHERE code = $1", &[Code]),
        ("SELECT id, row_number() OVER (ORDER BY id) FROM t WHERE grp = $1 ORDER BY id LIMIT 3", &[Group]),
    ]
};

fn value(kind: Kind, random: &mut SeededRandom) -> Value {
    // Now and then something that the place does not expect.
    match random.below(14) {
        0 => return Value::Null,
        1 => return Value::BigInt([5, -1, 1 << 40][random.below(3) as usize]),
        2 => return Value::Text(["5", "x", "2026-01-05"][random.below(3) as usize].to_owned()),
        _ => {}
    }
    let below = |random: &mut SeededRandom, bound: u64| random.below(bound) as i32;
    match kind {
        Kind::Key => match random.below(3) {
            0 => Value::BigInt(i64::from(below(random, 3200))),
            1 => Value::SmallInt(below(random, 3200) as i16),
            _ => Value::Integer(below(random, 3200)),
        },
        Kind::Group => Value::Integer(below(random, 40)),
        Kind::Count => Value::BigInt(random.below(6) as i64),
        Kind::Text => Value::Text(["w7", "W7", "b12", "", "ü", "w49"][random.below(6) as usize].to_owned()),
        Kind::Code => {
            Value::Text(format!("c{}{}", random.below(300), if random.one_in(3) { "%" } else { "" }))
        }
        Kind::Day => Value::Date(9_497 + below(random, 100)),
        Kind::Number => match random.below(3) {
            0 => Value::Numeric(Decimal::parse("12.345").unwrap()),
            1 => Value::Double([f64::NAN, -0.0, 20.5][random.below(3) as usize]),
            _ => Value::Integer(below(random, 700)),
        },
        Kind::Uuid => Value::Uuid(u128::from(random.below(5000)).to_be_bytes()),
        Kind::Flag => Value::Boolean(random.one_in(2)),
    }
}

fn fitting(kind: Kind) -> Value {
    match kind {
        Kind::Key | Kind::Group => Value::Integer(7),
        Kind::Count => Value::BigInt(3),
        Kind::Text => Value::Text("w7".to_owned()),
        Kind::Code => Value::Text("c7".to_owned()),
        Kind::Day => Value::Date(9_500),
        Kind::Number => Value::Double(20.5),
        Kind::Uuid => Value::Uuid(7u128.to_be_bytes()),
        Kind::Flag => Value::Boolean(true),
    }
}

fn outcome(session: &mut Session, sql: &str, parameters: &[Value]) -> String {
    let result = session.execute(sql, parameters).and_then(|result| match result {
        StatementResult::Rows(rows) => {
            let types: Vec<String> =
                rows.columns().iter().map(|c| format!("{} {:?}", c.name, c.ty)).collect();
            Ok(format!("{types:?} {:?}", lines(rows)?))
        }
        StatementResult::Command { tag, .. } => Ok(tag),
    });
    result.unwrap_or_else(|error| format!("{} {}", error.sqlstate(), error.message()))
}

fn hits(session: &mut Session, kind: &str) -> i64 {
    ok(session, &format!("SELECT hits FROM pg_catalog.cairn_plans WHERE kind = '{kind}'"))[0].parse().unwrap()
}

#[test]
fn one_plan_serves_all_values() {
    let seed = std::env::var("CAIRN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("CAIRN_SEED={seed}");
    let mut random = SeededRandom::new(seed);
    let mut s = session();
    for sql in TABLES {
        ok(&mut s, sql);
    }
    let (before, inline) = (hits(&mut s, "plans"), hits(&mut s, "inline"));
    let mut served = 0;
    for round in 0..25 {
        if random.one_in(4) {
            ok(&mut s, "BEGIN");
            ok(&mut s, "UPDATE t SET grp = grp + 1 WHERE id % 5 = 0");
        }
        for (sql, kinds) in QUERIES {
            let parameters: Vec<Value> = kinds.iter().map(|kind| value(*kind, &mut random)).collect();
            // A text that runs for the first time is planned for its values.
            let fresh = format!("{sql} /* {round} {served} */");
            served += 1;
            let expected = outcome(&mut s, &fresh, &parameters);
            let in_block = s.transaction_status();
            let given = if in_block == 'E' { expected.clone() } else { outcome(&mut s, sql, &parameters) };
            assert_eq!(given, expected, "round {round}: {sql} {parameters:?}");
        }
        if s.transaction_status() != 'I' {
            ok(&mut s, "ROLLBACK");
        }
    }
    println!("{} of {served} from kept plans", hits(&mut s, "plans") - before);
    println!("{} of them without streams", hits(&mut s, "inline") - inline);
    // With values that fit, each text has a plan from its third execution on, or is read by a unique key without one.
    let (mut by_key, mut without, mut streamed) = (Vec::new(), Vec::new(), Vec::new());
    for (sql, kinds) in QUERIES {
        let parameters: Vec<Value> = kinds.iter().map(|kind| fitting(*kind)).collect();
        let text = format!("{sql} /* again */");
        let (before, inline) = (hits(&mut s, "plans"), hits(&mut s, "inline"));
        let keys = hits(&mut s, "point reads");
        (0..4).for_each(|_| _ = outcome(&mut s, &text, &parameters));
        if hits(&mut s, "point reads") - keys >= 2 {
            by_key.push(*sql);
        } else if hits(&mut s, "plans") - before < 2 {
            without.push(*sql);
        } else if hits(&mut s, "inline") - inline < 2 {
            streamed.push(*sql);
        }
    }
    assert_eq!(by_key, ["SELECT id FROM t WHERE code = $1"]);
    // A pattern is no comparison; a function of a column is no column; what is computed with has no slot; a plan that reads
    // all of a table because of its values serves no others; a parameter has one type.
    let expected: Vec<&str> = QUERIES
        .iter()
        .map(|(sql, _)| *sql)
        .filter(|sql| WITHOUT.iter().any(|part| sql.contains(part)))
        .collect();
    assert_eq!(without, expected);
    // Groups, windows, subqueries that are values and joins of many with many need streams.
    let expected: Vec<&str> = QUERIES
        .iter()
        .map(|(sql, _)| *sql)
        .filter(|sql| {
            ["GROUP BY", "OVER", "SELECT (SELECT", "max(b.b)"].iter().any(|part| sql.contains(part))
        })
        .collect();
    assert_eq!(streamed, expected);
}

/// A kept plan with parameters sees what its transaction sees, and ends with definitions.
#[test]
fn a_plan_with_slots_reads_the_statements_state() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int)");
    ok(&mut s, "CREATE INDEX t_n ON t (n)");
    ok(&mut s, "INSERT INTO t SELECT i, i % 100 FROM generate_series(1, 5000) AS g(i)");
    let sql = "SELECT count(*) FROM t WHERE n = $1";
    let count = |s: &mut Session, n: i32| outcome(s, sql, &[Value::Integer(n)]);
    for n in 0..5 {
        assert!(count(&mut s, n).ends_with("[\"50\"]"));
    }
    ok(&mut s, "BEGIN");
    ok(&mut s, "INSERT INTO t VALUES (6000, 3)");
    assert!(count(&mut s, 3).ends_with("[\"51\"]"));
    ok(&mut s, "ROLLBACK");
    assert!(count(&mut s, 3).ends_with("[\"50\"]"));
    ok(&mut s, "DROP INDEX t_n");
    assert!(count(&mut s, 4).ends_with("[\"50\"]"));
    ok(&mut s, "ALTER TABLE t ALTER n TYPE text USING 'v' || n");
    assert!(count(&mut s, 4).starts_with("42883"), "{}", count(&mut s, 4));
    assert!(outcome(&mut s, sql, &[Value::Text("v4".into())]).ends_with("[\"50\"]"));
    assert_eq!(fails(&mut s, sql).0, "08P01");
}
