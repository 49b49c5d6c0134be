//! Statements that differ in their literals share a plan: they give and do what they do when each is planned by itself.

use cairn_env::SeededRandom;
use cairn_sql::{Session, StatementResult};

use crate::support::{fails, lines, ok, session};

const TABLES: &[&str] = &[
    "CREATE TABLE t (id int PRIMARY KEY, grp int, big bigint, small smallint, x double precision, price numeric(8, 2), \
     word text, code varchar(8) UNIQUE, pad char(4), on_day date, at timestamptz, flag boolean, who uuid, doc jsonb)",
    "CREATE INDEX t_grp ON t (grp, id)",
    "CREATE INDEX t_day ON t (on_day)",
    "INSERT INTO t SELECT i, i % 7, i * 1000, i % 100, i / 7.0, i / 4.0, 'w' || i % 5, 'c' || i, 'p' || i % 9, \
     date '2026-01-01' + i % 90, timestamptz '2026-01-01 00:00:00+00' + i * interval '1 hour', i % 3 = 0, \
     ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid, '{\"a\": 1}' FROM generate_series(1, 200) AS g(i)",
    "UPDATE t SET word = NULL, price = NULL, on_day = NULL WHERE id % 11 = 0",
    "CREATE TABLE u (id int PRIMARY KEY, t int, name text)",
    "INSERT INTO u SELECT i, i * 7 % 200, 'u' || i FROM generate_series(1, 100) AS g(i)",
];

/// Statements; `#` is a literal of any kind, `%` a small number, `&` a string.
const STATEMENTS: &[&str] = &[
    "SELECT id, word FROM t WHERE id = #",
    "SELECT * FROM t WHERE id = %",
    "SELECT id FROM t WHERE grp = % AND id > % ORDER BY 1 DESC LIMIT 3",
    "SELECT id, 5 AS five, '5' FROM t WHERE big = # ORDER BY id",
    "SELECT id FROM t WHERE id IN (%, %, #) ORDER BY id",
    "SELECT count(*), sum(big) FROM t WHERE id BETWEEN % AND # AND word <> &",
    "SELECT id FROM t WHERE word = & AND grp < # ORDER BY id LIMIT 4 OFFSET 1",
    "SELECT id FROM t WHERE pad = & ORDER BY id LIMIT 2",
    "SELECT id FROM t WHERE on_day = '2026-02-0%' ORDER BY id",
    "SELECT id FROM t WHERE on_day >= # ORDER BY on_day, id LIMIT 5",
    "SELECT id FROM t WHERE who = '00000000-0000-0000-0000-00000000000%'",
    "SELECT id FROM t WHERE price = # OR x = # ORDER BY id",
    "SELECT id FROM t WHERE at > # ORDER BY id LIMIT 2",
    "SELECT id FROM t WHERE doc = # ORDER BY id LIMIT 2",
    "SELECT t.id, u.name FROM t JOIN u ON u.t = t.id WHERE t.id = % ORDER BY 2",
    "SELECT grp, count(*) FROM t WHERE small > # GROUP BY 1 HAVING count(*) > 2 ORDER BY 1",
    "SELECT CASE WHEN id = % THEN 'is' ELSE 'not' END, # FROM t WHERE id <= % ORDER BY 1",
    "SELECT id FROM t WHERE flag = # ORDER BY id LIMIT 2",
    "INSERT INTO t (id, grp, word, code) VALUES (#, %, &, #)",
    "INSERT INTO t (id, grp, word, pad, price, on_day) VALUES (10%, %, &, #, #, '2026-03-0%'), (20%, -1, NULL, &, 1.005, NULL)",
    "INSERT INTO t (id, word, flag) VALUES (%, &, #) ON CONFLICT (id) DO UPDATE SET word = excluded.word || '!', grp = 3",
    "INSERT INTO t (id, big, small) VALUES (30%, #, #) ON CONFLICT DO NOTHING",
    "UPDATE t SET grp = #, word = & WHERE id = %",
    "UPDATE t SET x = x + #, price = # WHERE id = #",
    "UPDATE t SET pad = &, on_day = # WHERE id = %",
    "UPDATE t SET small = small + 1 WHERE grp = % AND id < #",
    "DELETE FROM t WHERE id = #",
    "DELETE FROM t WHERE id = % AND word = & RETURNING id, word",
];

fn literal(what: char, random: &mut SeededRandom) -> String {
    let number = |random: &mut SeededRandom| random.below(9).to_string();
    let text = |random: &mut SeededRandom| {
        let texts = [
            "'w1'",
            "'w3'",
            "'it''s'",
            "''",
            "'5'",
            "'p4'",
            "'2026-02-03'",
            "'long text'",
            "'c7'",
            "'t'",
            "'Ü'",
        ];
        texts[random.below(texts.len() as u64) as usize].to_owned()
    };
    match what {
        '%' => number(random),
        '&' => text(random),
        _ => match random.below(10) {
            0 => "NULL".to_owned(),
            1 => "6000000000".to_owned(),
            2 => "1.5".to_owned(),
            3 => "-3".to_owned(),
            4 => "true".to_owned(),
            5 => (100 + random.below(120)).to_string(),
            6 | 7 => text(random),
            _ => number(random),
        },
    }
}

fn with_literals(statement: &str, random: &mut SeededRandom) -> String {
    let mut text = String::new();
    for part in statement.chars() {
        match part {
            '#' | '%' | '&' => text.push_str(&literal(part, random)),
            other => text.push(other),
        }
    }
    text
}

fn outcome(session: &mut Session, sql: &str) -> String {
    let result = session.execute(sql, &[]).and_then(|result| match result {
        StatementResult::Rows(rows) => {
            let columns: Vec<String> =
                rows.columns().iter().map(|c| format!("{} {:?}", c.name, c.ty)).collect();
            Ok(format!("{columns:?} {:?}", lines(rows)?))
        }
        StatementResult::Command { tag, .. } => Ok(tag),
    });
    result.unwrap_or_else(|error| {
        format!("{} {} {:?} {:?}", error.sqlstate(), error.message(), error.detail(), error.position())
    })
}

fn hits(session: &mut Session) -> Vec<i64> {
    ok(session, "SELECT hits FROM pg_catalog.cairn_plans").iter().map(|hits| hits.parse().unwrap()).collect()
}

#[test]
fn a_shared_plan_does_what_an_own_one_does() {
    let seed = std::env::var("CAIRN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("CAIRN_SEED={seed}");
    let mut random = SeededRandom::new(seed);
    let (mut shared, mut own) = (session(), session());
    ok(&mut own, "SET cairn.plan_cache = off");
    ok(&mut own, "SET cairn.point_path = off");
    for sql in TABLES {
        ok(&mut shared, sql);
        ok(&mut own, sql);
    }
    for round in 0..60 {
        for statement in STATEMENTS {
            let sql = with_literals(statement, &mut random);
            assert_eq!(outcome(&mut shared, &sql), outcome(&mut own, &sql), "round {round}: {sql}");
        }
        let all = "SELECT * FROM t ORDER BY id";
        assert_eq!(outcome(&mut shared, all), outcome(&mut own, all), "round {round}");
    }
    println!("{:?} from plans", hits(&mut shared));
    assert_eq!(hits(&mut own), [0; 4]);
}

/// Each form of statement is found again with other literals.
#[test]
fn other_literals_find_the_plan() {
    let mut s = session();
    for sql in TABLES {
        ok(&mut s, sql);
    }
    for statement in [
        "SELECT word FROM t WHERE id = %",
        "SELECT id FROM t WHERE grp = % ORDER BY id",
        "SELECT count(*) FROM t WHERE on_day = '2026-02-0%'",
        "SELECT u.name FROM u JOIN t ON t.id = u.t WHERE u.id = %",
        "SELECT id FROM t WHERE id IN (%, 17)",
        "INSERT INTO u VALUES (100%, %, 'n%')",
        "UPDATE u SET name = 'm%' WHERE id = %",
        "UPDATE u SET t = t + 1 WHERE id = %",
        "DELETE FROM u WHERE id = %",
        "INSERT INTO u VALUES (%, 1, 'x%') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    ] {
        let before: i64 = hits(&mut s).iter().sum();
        for number in 1..9 {
            ok(&mut s, &statement.replace('%', &number.to_string()));
        }
        let served = hits(&mut s).iter().sum::<i64>() - before;
        assert!(served >= 5, "{statement}: {served} of 8 from a plan");
    }
}

/// EXECUTE runs from the plans of its statement.
#[test]
fn execute_finds_the_plan() {
    let mut s = session();
    for sql in TABLES {
        ok(&mut s, sql);
    }
    ok(&mut s, "PREPARE one (int, text) AS SELECT id, word FROM t WHERE id = $1 AND word = $2");
    ok(&mut s, "PREPARE two AS SELECT count(*) FROM t WHERE grp = $1");
    ok(&mut s, "PREPARE three AS UPDATE u SET name = $2 WHERE id = $1");
    ok(&mut s, "PREPARE four AS SELECT 4");
    let before: i64 = hits(&mut s).iter().sum();
    for i in 1..20 {
        let own = ok(&mut s, &format!("SELECT id, word FROM t WHERE id = {i} AND word = 'w1' /* {i} */"));
        assert_eq!(ok(&mut s, &format!("EXECUTE one ({i}, 'w1');")), own);
        assert_eq!(ok(&mut s, "execute two(3)"), ["29"]);
        assert_eq!(ok(&mut s, &format!("EXECUTE three({i}, 'it''s {i}')")), ["UPDATE 1"]);
        assert_eq!(ok(&mut s, &format!("SELECT name FROM u WHERE id = {i}")), [format!("it's {i}")]);
        assert_eq!(ok(&mut s, "EXECUTE four"), ["4"]);
    }
    assert!(hits(&mut s).iter().sum::<i64>() - before > 50);
    // Everything else goes the general way, with its errors.
    assert_eq!(ok(&mut s, "EXECUTE two(1 + 2)"), ["29"]);
    assert_eq!(ok(&mut s, "EXECUTE two(NULL)"), ["0"]);
    assert_eq!(ok(&mut s, "EXECUTE two('3')"), ["29"]);
    for (sql, code) in [
        ("EXECUTE two", "42601"),
        ("EXECUTE two(1, 2)", "42601"),
        ("EXECUTE two('x')", "22P02"),
        ("EXECUTE two(99999999999)", "22003"),
        ("EXECUTE none(1)", "26000"),
        ("EXECUTE two(1", "42601"),
    ] {
        assert_eq!(fails(&mut s, sql).0, code, "{sql}");
    }
    ok(&mut s, "DEALLOCATE two");
    assert_eq!(fails(&mut s, "EXECUTE two(3)").0, "26000");
}
