//! The order of joins: the plan that is chosen, beside all (or many) orders tried, by the rows that flow through operators.

use cairn_sql::Session;

use crate::support::{ok, session};

/// A query of many tables: `id` is the key of each.
struct Shape {
    name: &'static str,
    /// Name, rows, columns with their expressions over `i`.
    tables: &'static [(&'static str, u32, &'static str)],
    joins: &'static [(&'static str, &'static str)],
    filters: &'static [&'static str],
}

/// Orders that are tried at most.
const ORDERS_MAX: usize = 120;

const SHAPES: &[Shape] = &[
    Shape {
        name: "chain",
        tables: &[
            ("a", 1000, "i % 200 AS x"),
            ("b", 200, "i % 50 AS x"),
            ("c", 2000, "i % 20 AS x"),
            ("d", 20, "i % 10 AS x"),
            ("e", 10, "i AS x"),
        ],
        joins: &[("a.x", "b.id"), ("b.x", "c.x"), ("c.id", "d.id"), ("d.x", "e.id")],
        filters: &["e.x = 3"],
    },
    Shape {
        name: "star",
        tables: &[
            ("f", 3000, "i % 100 AS x, i % 60 AS y, i % 30 AS z, i % 10 AS w"),
            ("g", 100, "i % 5 AS v"),
            ("h", 60, "i % 30 AS v"),
            ("k", 30, "i % 2 AS v"),
            ("l", 10, "i AS v"),
        ],
        joins: &[("f.x", "g.id"), ("f.y", "h.id"), ("f.z", "k.id"), ("f.w", "l.id")],
        filters: &["h.v = 3", "g.v = 1", "k.v = 1"],
    },
    Shape {
        name: "clique",
        tables: &[
            ("m", 400, "i % 40 AS x"),
            ("n", 80, "i % 40 AS x"),
            ("o", 800, "i % 40 AS x"),
            ("p", 20, "i AS x"),
        ],
        joins: &[("m.x", "n.x"), ("n.x", "o.x"), ("o.x", "p.x"), ("m.x", "p.x"), ("m.x", "o.x")],
        filters: &["o.id < 100", "p.x < 5"],
    },
    Shape {
        name: "snowflake",
        tables: &[
            ("s", 2500, "i % 50 AS x, i % 40 AS y"),
            ("t", 50, "i % 10 AS x"),
            ("u", 10, "i % 3 AS v"),
            ("v", 40, "i % 8 AS x"),
            ("w", 8, "i AS v"),
        ],
        joins: &[("s.x", "t.id"), ("t.x", "u.id"), ("s.y", "v.id"), ("v.x", "w.id")],
        filters: &["u.v = 1", "w.v = 2"],
    },
    Shape {
        name: "skew",
        tables: &[
            ("q", 2000, "CASE WHEN i % 10 < 9 THEN 1 ELSE i % 100 END AS x, i % 300 AS y"),
            ("r", 100, "i % 4 AS v"),
            ("y", 300, "CASE WHEN i % 20 = 0 THEN i % 7 ELSE 9 END AS v"),
            ("z", 1200, "CASE WHEN i < 1000 THEN 5 ELSE i % 100 END AS x"),
        ],
        joins: &[("q.x", "r.id"), ("q.y", "y.id"), ("r.id", "z.x")],
        filters: &["y.v = 3", "r.v = 1"],
    },
];

fn create(s: &mut Session, shape: &Shape) {
    for (table, rows, columns) in shape.tables {
        let select = format!("SELECT i AS id, {columns} FROM generate_series(1, {rows}) AS g(i)");
        ok(s, &format!("CREATE TABLE {table} AS {select}"));
        ok(s, &format!("ANALYZE {table}"));
    }
}

/// The query with its tables in this order; `None` where one of them joins nothing before it.
fn query(shape: &Shape, order: &[usize]) -> Option<String> {
    let names: Vec<&str> = order.iter().map(|at| shape.tables[*at].0).collect();
    let table = |column: &str| column.split('.').next().unwrap().to_owned();
    let mut sql = format!("SELECT count(*) FROM {}", names[0]);
    for (at, name) in names.iter().enumerate().skip(1) {
        let before = &names[..at];
        let terms: Vec<String> = shape
            .joins
            .iter()
            .filter(|(l, r)| {
                let (l, r) = (table(l), table(r));
                (l == *name && before.contains(&r.as_str())) || (r == *name && before.contains(&l.as_str()))
            })
            .map(|(l, r)| format!("{l} = {r}"))
            .collect();
        if terms.is_empty() {
            return None;
        }
        sql.push_str(&format!(" JOIN {name} ON {}", terms.join(" AND ")));
    }
    Some(format!("{sql} WHERE {}", shape.filters.join(" AND ")))
}

/// Rows that flow through the operators of a plan.
fn work(s: &mut Session, sql: &str) -> u64 {
    let lines = ok(s, &format!("EXPLAIN (ANALYZE, FORMAT tree) {sql}"));
    let rows = |line: &String| line.split("actual rows=").nth(1)?.split(' ').next()?.parse::<u64>().ok();
    lines.iter().filter_map(rows).sum()
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for _ in 0..count {
        all = all
            .iter()
            .flat_map(|order: &Vec<usize>| {
                let free = (0..count).filter(|at| !order.contains(at));
                free.map(|at| order.iter().copied().chain([at]).collect()).collect::<Vec<Vec<usize>>>()
            })
            .collect();
    }
    all
}

#[test]
fn no_plan_costs_twice_the_best() {
    for shape in SHAPES {
        let mut s = session();
        create(&mut s, shape);
        let tables: Vec<usize> = (0..shape.tables.len()).collect();
        let own = query(shape, &tables).unwrap();
        let chosen = work(&mut s, &own);
        let answer = ok(&mut s, &own);
        ok(&mut s, "SET cairn.join_order = off");
        let tried: Vec<String> =
            orders(tables.len()).iter().filter_map(|order| query(shape, order)).take(ORDERS_MAX).collect();
        let mut works = Vec::new();
        for sql in &tried {
            works.push(work(&mut s, sql));
        }
        assert_eq!(ok(&mut s, tried.last().unwrap()), answer, "{}", shape.name);
        let (best, worst) = (works.iter().min().unwrap(), works.iter().max().unwrap());
        println!("{}: chosen {chosen}, best {best}, worst {worst} of {} orders", shape.name, works.len());
        assert!(chosen <= 2 * best, "{}: chosen {chosen}, best {best}", shape.name);
    }
}

/// More relations than of which all orders are looked at, and a set that nothing connects.
#[test]
fn many_relations_and_products() {
    let mut s = session();
    let mut from = Vec::new();
    let mut terms = Vec::new();
    for at in 0..14 {
        ok(&mut s, &format!("CREATE TABLE t{at} (id int PRIMARY KEY, x int)"));
        let rows = 20 + 10 * (at % 4);
        ok(
            &mut s,
            &format!("INSERT INTO t{at} SELECT i, i % 20 + 1 FROM generate_series(1, {rows}) AS g(i)"),
        );
        from.push(format!("t{at}"));
        if at > 0 {
            terms.push(format!("t{}.x = t{at}.id", at - 1));
        }
    }
    let sql = format!("SELECT count(*), sum(t13.x) FROM {} WHERE {}", from.join(", "), terms.join(" AND "));
    let answer = ok(&mut s, &sql);
    assert_eq!(answer, ["20|210"]);
    ok(&mut s, "SET cairn.join_order = off");
    assert_eq!(ok(&mut s, &sql), answer);
    ok(&mut s, "SET cairn.join_order = on");
    let product = "SELECT count(*) FROM t0, t1, t4, t5 WHERE t0.x = t1.id AND t4.x = t5.id AND t4.id < 3";
    assert_eq!(ok(&mut s, product), ["40"]);
    // Columns of one relation that are equal because others are; conditions over three; none at all.
    let closed = "SELECT count(*) FROM t0 JOIN t1 ON t0.id = t1.id JOIN t2 ON t2.x = t1.id AND t2.x = t0.id";
    assert_eq!(ok(&mut s, closed), ["40"]);
    let three =
        "SELECT count(*) FROM t0, t1, t2 WHERE t0.id = t1.id AND t1.id = t2.id AND t0.x + t1.x < t2.x + 5";
    assert_eq!(ok(&mut s, three), ["4"]);
    assert_eq!(
        ok(&mut s, "SELECT count(*) FROM t0, t1, t2 WHERE t0.id < 3 AND t1.id < 4 AND t2.id < 5"),
        ["24"]
    );
    let columns = "SELECT * FROM t2 JOIN t1 ON t1.id = t2.x JOIN t0 ON t0.id = t1.x WHERE t2.id = 7";
    assert_eq!(ok(&mut s, columns), ["7|8|8|9|9|10"]);
}

/// Outer and semi joins stay where they are.
#[test]
fn outer_joins_are_fixed_points() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE a (id int PRIMARY KEY, x int)");
    ok(&mut s, "CREATE TABLE b (id int PRIMARY KEY, of_a int)");
    ok(&mut s, "CREATE TABLE c (id int PRIMARY KEY, of_b int)");
    ok(&mut s, "CREATE TABLE d (id int PRIMARY KEY, of_a int)");
    ok(&mut s, "INSERT INTO a SELECT i, i % 5 FROM generate_series(1, 100) AS g(i)");
    ok(&mut s, "INSERT INTO b SELECT i, i * 2 FROM generate_series(1, 80) AS g(i)");
    ok(&mut s, "INSERT INTO c SELECT i, i * 3 FROM generate_series(1, 60) AS g(i)");
    ok(&mut s, "INSERT INTO d SELECT i, i % 50 FROM generate_series(1, 200) AS g(i)");
    let queries = [
        "SELECT count(*), count(b.id), count(d.id) FROM a LEFT JOIN b ON b.of_a = a.id JOIN d ON d.of_a = a.id WHERE a.x = 1",
        "SELECT count(*) FROM a JOIN b ON b.of_a = a.id LEFT JOIN c ON c.of_b = b.id JOIN d ON d.of_a = a.id",
        "SELECT count(*) FROM d JOIN a ON d.of_a = a.id WHERE EXISTS (SELECT 1 FROM b JOIN c ON c.of_b = b.id WHERE b.of_a = a.id)",
        "SELECT count(*) FROM d JOIN a ON d.of_a = a.id AND NOT EXISTS (SELECT 1 FROM b WHERE b.of_a = a.id)",
        "SELECT count(*) FROM a FULL JOIN b ON b.of_a = a.id JOIN d ON d.of_a = coalesce(a.id, b.id)",
    ];
    let expected = ["40|20|40", "96", "32", "100", "196"];
    let found: Vec<String> = queries.iter().map(|sql| ok(&mut s, sql).join("/")).collect();
    ok(&mut s, "SET cairn.join_order = off");
    let written: Vec<String> = queries.iter().map(|sql| ok(&mut s, sql).join("/")).collect();
    assert_eq!(found, written);
    assert_eq!(found, expected);
}

/// Joins of more values than a hash join tells its scans look rows up, and give what other joins give.
#[test]
fn joins_that_look_rows_up_agree_with_others() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE few (id int PRIMARY KEY, big int, kind int)");
    ok(&mut s, "CREATE TABLE big (id int PRIMARY KEY, few int, n int)");
    ok(&mut s, "CREATE INDEX big_few ON big (few)");
    let few = "SELECT i, CASE WHEN i % 50 = 0 THEN NULL ELSE i * 7 % 31000 END, i % 5";
    ok(&mut s, &format!("INSERT INTO few {few} FROM generate_series(1, 1500) AS g(i)"));
    let big = "SELECT i, CASE WHEN i % 100 = 0 THEN NULL ELSE i % 15000 END, i % 10";
    ok(&mut s, &format!("INSERT INTO big {big} FROM generate_series(1, 30000) AS g(i)"));
    ok(&mut s, "ANALYZE");
    let queries = [
        "SELECT count(*), sum(big.n), min(few.id) FROM few JOIN big ON big.id = few.big",
        "SELECT count(*), sum(big.id), sum(few.big) FROM few JOIN big ON big.few = few.id AND big.n > few.kind \
         WHERE big.n < 8",
        "SELECT few.id, big.id, big.n FROM few JOIN big ON big.few = few.id ORDER BY big.id, few.id LIMIT 20",
    ];
    let mut counts = Vec::new();
    for sql in queries {
        let plan = ok(&mut s, &format!("EXPLAIN (FORMAT tree) {sql}")).join("\n");
        assert!(plan.contains("IndexJoin"), "{plan}");
        let found = ok(&mut s, sql);
        ok(&mut s, "SET enable_nestloop = off");
        assert_eq!(ok(&mut s, sql), found, "{sql}");
        ok(&mut s, "RESET enable_nestloop");
        counts.push(found[0].split('|').next().unwrap().parse::<u64>().unwrap());
    }
    // From a plan that is kept.
    for _ in 0..3 {
        ok(&mut s, queries[0]);
    }
    ok(&mut s, "INSERT INTO few VALUES (2000, 5, 1)");
    let found = ok(&mut s, queries[0]);
    assert!(found[0].starts_with(&format!("{}|", counts[0] + 1)), "{found:?}");
}
