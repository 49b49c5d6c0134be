//! Partitioned tables do what plain tables do: under random DML, in kept plans, with two sessions, through crashes.
#![allow(clippy::disallowed_methods)]

use std::cell::RefCell;
use std::path::Path;

use cairn_engine::{Database, Options};
use cairn_env::SeededRandom;
use cairn_env::sim::{SimOptions, Simulation};
use cairn_sql::{Engine, Session, SqlOptions};
use cairn_types::Value;

use crate::support::{engine, fails, lines, ok, run, session};

/// The seed of a random test: `CAIRN_SEED` or the one given.
fn seed(default: u64) -> u64 {
    let seed = std::env::var("CAIRN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    println!("CAIRN_SEED={seed}");
    seed
}

type Dice = RefCell<SeededRandom>;

fn dice(seed: u64) -> Dice {
    RefCell::new(SeededRandom::new(seed))
}

fn below(random: &Dice, n: u64) -> u64 {
    random.borrow_mut().below(n)
}

const COLUMNS: &str = "a int, b int, c text, d numeric(6, 2)";

/// A table divided in one of several ways, called `part`.
fn divided(session: &mut Session, way: u64) {
    let by = ["RANGE (a)", "LIST (a)", "HASH (a)", "RANGE (a, b)"][way as usize];
    ok(session, &format!("CREATE TABLE part ({COLUMNS}) PARTITION BY {by}"));
    let partitions: &[&str] = match way {
        0 => &[
            "PARTITION OF part FOR VALUES FROM (MINVALUE) TO (10)",
            "PARTITION OF part FOR VALUES FROM (10) TO (20) PARTITION BY LIST (b)",
            "PARTITION OF p1 FOR VALUES IN (0, 1, NULL)",
            "PARTITION OF p1 DEFAULT",
            "PARTITION OF part DEFAULT",
        ],
        1 => &[
            "PARTITION OF part FOR VALUES IN (1, 2, 3, 4, 5)",
            "PARTITION OF part FOR VALUES IN (NULL, 20, 21, 22)",
            "PARTITION OF part DEFAULT PARTITION BY HASH (b)",
            "PARTITION OF p2 FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
            "PARTITION OF p2 FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        ],
        2 => &[
            "PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 0)",
            "PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 1)",
            "PARTITION OF part FOR VALUES WITH (MODULUS 6, REMAINDER 2)",
            "PARTITION OF part FOR VALUES WITH (MODULUS 6, REMAINDER 5)",
        ],
        _ => &[
            "PARTITION OF part FOR VALUES FROM (MINVALUE, MINVALUE) TO (5, 5)",
            "PARTITION OF part FOR VALUES FROM (5, 5) TO (5, MAXVALUE)",
            "PARTITION OF part FOR VALUES FROM (6, MINVALUE) TO (25, 3)",
            "PARTITION OF part DEFAULT",
        ],
    };
    for (at, text) in partitions.iter().enumerate() {
        ok(session, &format!("CREATE TABLE p{at} {text}"));
    }
    // One with its columns in another order.
    if way == 0 {
        ok(session, "CREATE TABLE other (gone int, d numeric(6, 2), c text, b int, a int)");
        ok(session, "ALTER TABLE other DROP COLUMN gone");
        ok(session, "ALTER TABLE part ATTACH PARTITION other FOR VALUES FROM (20) TO (30)");
    }
}

fn value(random: &Dice, most: u64) -> String {
    match below(random, 15) {
        0 => "NULL".to_owned(),
        _ => below(random, most).to_string(),
    }
}

fn condition(random: &Dice) -> String {
    let (n, m) = (below(random, 35), below(random, 35));
    match below(random, 10) {
        0 => format!("a = {n}"),
        1 => format!("a IN ({n}, {m})"),
        2 => format!("a >= {n} AND a < {m}"),
        3 => format!("a > {n}"),
        4 => "a IS NULL".to_owned(),
        5 => format!("b = {} AND a < {n}", n % 10),
        6 => format!("a = {n} OR b = {}", m % 10),
        7 => format!("a BETWEEN {n} AND {m}"),
        8 => format!("a = {n} AND b >= {}", m % 10),
        _ => format!("c LIKE '{}%'", n % 10),
    }
}

/// A statement over the table `{t}`.
fn statement(random: &Dice, keyed: bool) -> String {
    let rows = |random: &Dice| {
        let row = |_| {
            let (a, b) = if keyed {
                (below(random, 35).to_string(), below(random, 10).to_string())
            } else {
                (value(random, 35), value(random, 10))
            };
            format!("({a}, {b}, '{}', {})", below(random, 1000), value(random, 100))
        };
        (0..1 + below(random, 6)).map(row).collect::<Vec<_>>().join(", ")
    };
    let found = condition(random);
    match below(random, if keyed { 12 } else { 8 }) {
        0 | 1 => format!("INSERT INTO {{t}} VALUES {}", rows(random)),
        2 => format!("UPDATE {{t}} SET a = a + {} WHERE {found}", below(random, 9)),
        3 => format!("UPDATE {{t}} SET c = c || 'x', d = d + 1 WHERE {found}"),
        4 => format!("DELETE FROM {{t}} WHERE {found} AND b < {}", below(random, 10)),
        5 => format!("UPDATE {{t}} SET a = (a * 7 + {}) % 35, b = b + 1 WHERE {found}", below(random, 9)),
        6 => format!(
            "UPDATE {{t}} SET a = s.n FROM (VALUES (1, 9), (2, 19)) AS s (m, n) WHERE {{t}}.a = s.m AND {found}"
        ),
        7 => format!(
            "DELETE FROM {{t}} USING (VALUES (3), (13), (23)) AS s (m) WHERE {{t}}.a = s.m AND {found}"
        ),
        8 | 9 => format!(
            "INSERT INTO {{t}} VALUES {} ON CONFLICT (a, b) DO UPDATE SET c = excluded.c || '!', a = {{t}}.a + {}",
            rows(random),
            10 * below(random, 2)
        ),
        10 => format!("INSERT INTO {{t}} VALUES {} ON CONFLICT DO NOTHING", rows(random)),
        _ => format!(
            "MERGE INTO {{t}} USING (VALUES ({}, {}), ({}, {})) AS s (a, b) ON {{t}}.a = s.a AND {{t}}.b = s.b \
             WHEN MATCHED AND s.a > 20 THEN DELETE WHEN MATCHED THEN UPDATE SET a = s.a + 5 \
             WHEN NOT MATCHED THEN INSERT VALUES (s.a, s.b, 'm', 0)",
            below(random, 30),
            below(random, 5),
            below(random, 30),
            5 + below(random, 5)
        ),
    }
}

/// The same statements over a partitioned and a plain table give the same answers, row counts and errors.
#[test]
fn random_dml_agrees_with_a_plain_table() {
    let first = seed(1);
    for seed in first..first + 4 {
        let random = dice(seed);
        let mut session = session();
        divided(&mut session, seed % 4);
        ok(&mut session, &format!("CREATE TABLE plain ({COLUMNS})"));
        let keyed = seed % 2 == 0;
        for table in ["part", "plain"] {
            if keyed {
                ok(&mut session, &format!("ALTER TABLE {table} ADD PRIMARY KEY (a, b)"));
            }
            ok(&mut session, &format!("CREATE INDEX {table}_b ON {table} (b)"));
            ok(&mut session, &format!("ALTER TABLE {table} ADD CHECK (a < 60)"));
        }
        for step in 0..16 {
            let text = statement(&random, keyed);
            let mut outcome = |table: &str| match run(&mut session, &text.replace("{t}", table)) {
                Ok(tag) => tag,
                Err(error) => vec![error.sqlstate().to_owned()],
            };
            let (part, plain) = (outcome("part"), outcome("plain"));
            assert_eq!(part, plain, "seed {seed}, step {step}: {text}");
            let found = condition(&random);
            for query in [
                format!("SELECT * FROM {{t}} WHERE {found} ORDER BY a, b, c, d"),
                "SELECT * FROM {t} ORDER BY a, b, c, d".to_owned(),
                format!("SELECT b, count(*), sum(d) FROM {{t}} WHERE {found} GROUP BY b ORDER BY b"),
                format!("SELECT a FROM {{t}} WHERE {found} ORDER BY a DESC, b LIMIT 3"),
            ] {
                let part = ok(&mut session, &query.replace("{t}", "part"));
                let plain = ok(&mut session, &query.replace("{t}", "plain"));
                assert_eq!(part, plain, "seed {seed}, step {step}: {query} after {text}");
            }
        }
        each_row_where_it_belongs(&mut session);
    }
}

/// Rows are in partitions whose bounds they are within: each partition, attached again, passes the check of its rows.
fn each_row_where_it_belongs(session: &mut Session) {
    let bounds = ok(
        session,
        "SELECT c.relname, p.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits \
         JOIN pg_class c ON c.oid = inhrelid JOIN pg_class p ON p.oid = inhparent \
         WHERE c.relkind IN ('r', 'p') ORDER BY 1",
    );
    for line in bounds {
        let parts: Vec<&str> = line.split('|').collect();
        ok(session, &format!("ALTER TABLE {} DETACH PARTITION {}", parts[1], parts[0]));
        ok(session, &format!("ALTER TABLE {} ATTACH PARTITION {} {}", parts[1], parts[0], parts[2]));
    }
}

#[test]
fn kept_plans_prune_by_each_value() {
    let mut session = session();
    divided(&mut session, 0);
    ok(&mut session, "CREATE INDEX ON part (b)");
    ok(
        &mut session,
        "INSERT INTO part SELECT n % 35, n % 7, 'c' || n, n / 10.0 FROM generate_series(1, 2000) AS g(n)",
    );
    for (query, parameters) in [
        ("SELECT count(*), sum(b) FROM part WHERE a = $1", 1),
        ("SELECT count(*), sum(b) FROM part WHERE a >= $1 AND a < $2", 2),
        ("SELECT count(*), sum(b) FROM part WHERE a IN ($1, $2) OR b = $1", 2),
        ("SELECT count(*) FROM part WHERE b = $1 AND a > $2", 2),
    ] {
        for n in 0..36i32 {
            let values = [n, 35 - n];
            let mut text = query.to_owned();
            for (at, value) in values.iter().enumerate().take(parameters) {
                text = text.replace(&format!("${}", at + 1), &value.to_string());
            }
            let wanted = ok(&mut session, &text);
            let values: Vec<Value> = values[..parameters].iter().map(|n| Value::from(*n)).collect();
            let found = session.query(query, &values).unwrap();
            assert_eq!(lines(found).unwrap(), wanted, "{query} with {values:?}");
        }
    }
    let plan = ok(&mut session, "EXPLAIN SELECT * FROM part WHERE a = 25").join("\n");
    assert!(plan.contains("other") && !plan.contains("p0") && !plan.contains("Union"), "{plan}");
    let plan = ok(&mut session, "EXPLAIN SELECT * FROM part WHERE a < 15 AND b = 5").join("\n");
    assert!(
        plan.contains("p0") && plan.contains("p3") && !plan.contains("p2") && !plan.contains("other"),
        "{plan}"
    );
    let plan = ok(&mut session, "EXPLAIN SELECT * FROM part WHERE a = 1 AND a = 2").join("\n");
    assert!(plan.contains("Result") && !plan.contains("Scan"), "{plan}");
}

#[test]
fn two_sessions_see_rows_move() {
    let engine = engine();
    let (mut one, mut two) = (engine.session(), engine.session());
    ok(&mut one, "CREATE TABLE t (k int, v int, PRIMARY KEY (k)) PARTITION BY RANGE (k)");
    ok(&mut one, "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)");
    ok(&mut one, "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)");
    ok(&mut one, "INSERT INTO t VALUES (1, 1), (2, 2), (11, 11)");
    // Until a change is committed, others see what was; then what is.
    ok(&mut one, "BEGIN");
    ok(&mut one, "UPDATE t SET k = 12 WHERE k = 1");
    assert_eq!(ok(&mut two, "SELECT k FROM t ORDER BY k"), ["1", "2", "11"]);
    ok(&mut one, "COMMIT");
    assert_eq!(ok(&mut two, "SELECT k FROM t2 ORDER BY k"), ["11", "12"]);
    // A snapshot is one for all partitions.
    ok(&mut two, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    assert_eq!(ok(&mut two, "SELECT count(*) FROM t"), ["3"]);
    ok(&mut one, "UPDATE t SET k = 3 WHERE k = 12");
    assert_eq!(ok(&mut two, "SELECT k FROM t ORDER BY k"), ["2", "11", "12"]);
    assert_eq!(fails(&mut two, "UPDATE t SET v = 0 WHERE k = 12").0, "40001");
    ok(&mut two, "ROLLBACK");
    // Locked rows of a partition are locked for those who come by the table.
    ok(&mut one, "BEGIN");
    assert_eq!(ok(&mut one, "SELECT v FROM t1 WHERE k = 2 FOR UPDATE"), ["2"]);
    assert_eq!(ok(&mut two, "SELECT k FROM t ORDER BY k FOR UPDATE SKIP LOCKED"), ["3", "11"]);
    assert_eq!(fails(&mut two, "SELECT k FROM t WHERE k = 2 FOR UPDATE NOWAIT").0, "55P03");
    ok(&mut one, "COMMIT");
}

/// A change that waits for another goes by the row's newest version, and finds the partition that it then belongs to.
#[test]
fn a_waiting_update_goes_by_the_newest_row() {
    let engine = engine();
    let mut one = engine.session();
    ok(&mut one, "CREATE TABLE t (k int, v int) PARTITION BY RANGE (v)");
    ok(&mut one, "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10)");
    ok(&mut one, "CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (100)");
    ok(&mut one, "INSERT INTO t SELECT n, 1 FROM generate_series(1, 5) AS g(n)");
    ok(&mut one, "BEGIN");
    ok(&mut one, "UPDATE t SET v = v + 7 WHERE k = 3");
    let mut two = engine.session();
    let waiting = std::thread::spawn(move || ok(&mut two, "UPDATE t SET v = v + 5 WHERE k = 3"));
    std::thread::sleep(std::time::Duration::from_millis(100));
    ok(&mut one, "COMMIT");
    assert_eq!(waiting.join().unwrap(), ["UPDATE 1"]);
    assert_eq!(ok(&mut one, "SELECT k, v FROM high"), ["3|13"]);
    assert_eq!(ok(&mut one, "SELECT count(*) FROM low"), ["4"]);
}

/// A row is not placed by bounds that another transaction changes meanwhile.
#[test]
fn attaching_and_inserting_exclude_each_other() {
    for level in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        let engine = engine();
        let (mut one, mut two) = (engine.session(), engine.session());
        ok(&mut one, "CREATE TABLE t (k int) PARTITION BY LIST (k)");
        ok(&mut one, "CREATE TABLE rest PARTITION OF t DEFAULT");
        ok(&mut one, "CREATE TABLE five (k int)");
        ok(&mut two, &format!("BEGIN ISOLATION LEVEL {level}"));
        ok(&mut two, "INSERT INTO t VALUES (5)");
        let attaching = std::thread::spawn(move || {
            let done = run(&mut one, "ALTER TABLE t ATTACH PARTITION five FOR VALUES IN (5)");
            (one, done.map_err(|error| error.sqlstate().to_owned()))
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        let committed = run(&mut two, "COMMIT").is_ok();
        let (mut one, attached) = attaching.join().unwrap();
        assert_ne!(committed, attached.is_ok(), "{level}: {attached:?}");
        let rest = ok(&mut one, "SELECT k FROM rest");
        assert_eq!(rest.len(), usize::from(committed), "{level}");
        if committed {
            assert_eq!(ok(&mut one, "SELECT k FROM t WHERE k = 5"), ["5"]);
        }
    }
}

fn open(simulation: &Simulation) -> Engine {
    let db = Database::open(&simulation.env(), Path::new("/db"), Options::default()).unwrap();
    Engine::new(db, SqlOptions::default()).unwrap()
}

/// Partitions come and go with power cuts in between: each statement is there as a whole or not at all.
#[test]
fn partitions_live_through_crashes() {
    let first = seed(1);
    for seed in first..first + 4 {
        let random = dice(seed);
        let simulation = Simulation::new(SimOptions::new(seed));
        let mut engine = open(&simulation);
        let mut session = engine.session();
        ok(&mut session, "CREATE TABLE t (k int PRIMARY KEY, v int) PARTITION BY RANGE (k)");
        ok(&mut session, "CREATE TABLE rest PARTITION OF t DEFAULT");
        ok(&mut session, "CREATE INDEX t_v ON t (v)");
        for round in 0..12 {
            simulation.crash_after(5 + below(&random, 60));
            for step in 0..8 {
                let n = below(&random, 5);
                let (name, low) = (format!("p{n}"), n * 10);
                let text = match below(&random, 6) {
                    0 => format!(
                        "CREATE TABLE {name} PARTITION OF t FOR VALUES FROM ({low}) TO ({})",
                        low + 10
                    ),
                    1 => format!("DROP TABLE {name}"),
                    2 => format!(
                        "BEGIN; ALTER TABLE t DETACH PARTITION {name}; INSERT INTO t SELECT * FROM {name}; DROP TABLE {name}; COMMIT"
                    ),
                    3 => format!(
                        "UPDATE t SET k = (k * 7 + {n}) % 53 + 1000 * (k / 1000 + 1) WHERE v % 5 = {n} AND k < 1000"
                    ),
                    4 => format!("DELETE FROM t WHERE v % 3 = {}", n % 3),
                    _ => format!(
                        "INSERT INTO t SELECT n, {step} + n FROM generate_series({low}, {low} + 14) AS g(n) ON CONFLICT DO NOTHING"
                    ),
                };
                for part in text.split("; ") {
                    if run(&mut session, part).is_err() {
                        let _ = run(&mut session, "ROLLBACK");
                        break;
                    }
                }
            }
            drop(session);
            drop(engine);
            if !simulation.is_off() {
                simulation.crash();
            }
            let _ = simulation.restart();
            engine = open(&simulation);
            session = engine.session();
            let rows = ok(&mut session, "SELECT k, v FROM t ORDER BY k");
            let by_index = ok(&mut session, "SELECT k, v FROM t WHERE v >= 0 ORDER BY k");
            assert_eq!(rows, by_index, "seed {seed}, round {round}");
            each_row_where_it_belongs(&mut session);
            for row in rows.iter().step_by(7) {
                let key = row.split('|').next().unwrap();
                assert_eq!(
                    ok(&mut session, &format!("SELECT k, v FROM t WHERE k = {key}")),
                    std::slice::from_ref(row)
                );
            }
        }
    }
}
