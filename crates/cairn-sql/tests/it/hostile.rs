//! No text ends the process: one test for each shape that does so to an unguarded planner. What is refused is
//! refused with 54001, what is promised to work works.

use crate::support::{fails, ok, run, session};

fn refused(sql: &str) {
    let (state, message) = fails(&mut session(), sql);
    assert_eq!(state, "54001", "{message}");
}

/// Works or fails, but ends.
fn survives(sql: &str) {
    let _ = run(&mut session(), sql);
}

fn chain(first: &str, link: &str, count: usize) -> String {
    let mut sql = String::with_capacity(first.len() + link.len() * count);
    sql.push_str(first);
    for _ in 0..count {
        sql.push_str(link);
    }
    sql
}

fn nested(open: &str, inner: &str, close: &str, count: usize) -> String {
    format!("{}{inner}{}", open.repeat(count), close.repeat(count))
}

#[test]
fn an_or_chain_of_ten_thousand_terms_works() {
    let terms: Vec<String> = (0..10_000).map(|n| format!("n = {n}")).collect();
    let sql = format!("SELECT count(*) FROM generate_series(1, 20000) AS s(n) WHERE {}", terms.join(" OR "));
    assert_eq!(ok(&mut session(), &sql), ["9999"]);
}

#[test]
fn an_and_chain_of_a_thousand_terms_works() {
    let sql = format!(
        "SELECT count(*) FROM generate_series(1, 10) AS s(n) WHERE {}",
        (0..1_000).map(|n| format!("n <> {}", n + 5)).collect::<Vec<_>>().join(" AND ")
    );
    assert_eq!(ok(&mut session(), &sql), ["4"]);
}

#[test]
fn longer_logical_chains_are_refused() {
    refused(&chain("SELECT 1 WHERE 1 = 1", " OR 1 = 2", 20_000));
    refused(&chain("SELECT 1 WHERE 1 = 1", " AND 1 = 2", 200_000));
}

#[test]
fn depth_200_works() {
    let mut session = session();
    assert_eq!(ok(&mut session, &format!("SELECT {}", nested("(", "1", ")", 200))), ["1"]);
    assert_eq!(ok(&mut session, &format!("SELECT {}", nested("(1 + ", "1", ")", 200))), ["201"]);
    assert_eq!(
        ok(&mut session, &format!("SELECT {}", nested("CASE WHEN true THEN ", "1", " END", 200))),
        ["1"]
    );

    assert_eq!(ok(&mut session, &format!("SELECT {}", nested("lower(", "'A'", ")", 200))), ["a"]);
    assert_eq!(ok(&mut session, &format!("SELECT {}true", "NOT ".repeat(200))), ["t"]);
    let tables = nested("(", "(SELECT 1 AS a) x", ")", 30);
    survives(&format!("SELECT * FROM {tables}"));
}

#[test]
fn brackets() {
    refused(&format!("SELECT {}", nested("(", "1", ")", 100_000)));
    refused(&format!("SELECT {}", "(".repeat(1 << 20)));
    survives(&format!("SELECT 1{}", ")".repeat(1 << 20)));
    refused(&format!("SELECT {}", nested("abs(", "1", ")", 50_000)));
}

#[test]
fn arithmetic_chains() {
    assert_eq!(ok(&mut session(), &chain("SELECT 1", "+1", 250)), ["251"]);
    refused(&chain("SELECT 1", "+1", 5_000));
    refused(&chain("SELECT 1", "+1", 1_000_000));
    refused(&chain("SELECT 'a'", "||'a'", 100_000));
    refused(&chain("SELECT 1", " = 1", 100_000));
}

#[test]
fn prefix_chains() {
    refused(&format!("SELECT {}true", "NOT ".repeat(100_000)));
    refused(&format!("SELECT {}1", "- ".repeat(100_000)));
    refused(&format!("SELECT {}1", "+ ".repeat(100_000)));
    refused(&format!("SELECT {}1", "~ ".repeat(100_000)));
    survives(&format!("SELECT {}1", "-".repeat(1 << 20)));
    refused(&format!("SELECT {}'1 day'", "INTERVAL ".repeat(50_000)));
}

#[test]
fn postfix_chains() {
    refused(&chain("SELECT 1", "::int", 50_000));
    refused(&chain("SELECT 1", " IS NULL", 50_000));
    refused(&chain("SELECT a", "[1]", 50_000));
    refused(&chain("SELECT 'a'", " COLLATE \"C\"", 50_000));
    refused(&chain("SELECT 1", " BETWEEN 1 AND 1", 50_000));
    survives(&chain("SELECT a", ".a", 50_000));
}

#[test]
fn cases() {
    refused(&format!("SELECT {}", nested("CASE WHEN true THEN ", "1", " END", 20_000)));
    refused(&"SELECT CASE ".repeat(50_000));
    let whens: String = (0..2_000).map(|n| format!(" WHEN n = {n} THEN {n}")).collect();
    let sql = format!("SELECT max(CASE{whens} END) FROM generate_series(1, 10) AS s(n)");
    assert_eq!(ok(&mut session(), &sql), ["10"]);
}

#[test]
fn unions() {
    assert_eq!(
        ok(
            &mut session(),
            &format!("SELECT count(*) FROM ({}) x", chain("SELECT 1", " UNION ALL SELECT 1", 300))
        ),
        ["301"]
    );
    let mut s = session();
    let text = format!("SELECT count(*) FROM ({}) x", chain("SELECT 1", " UNION ALL SELECT 1", 2_000));
    assert_eq!(ok(&mut s, &text), ["2001"]);
    assert_eq!(ok(&mut s, &chain("SELECT 1", " UNION SELECT 1", 2_000)), ["1"]);
    refused(&chain("SELECT 1", " UNION ALL SELECT 1 UNION SELECT 1", 2_000));
    refused(&chain("SELECT 1", " EXCEPT SELECT 1", 2_000));
    refused(&chain("SELECT 1", " UNION SELECT 1", 100_000));
    refused(&chain("SELECT 1", " EXCEPT SELECT 1", 100_000));
    refused(&chain("SELECT 1", " INTERSECT SELECT 1", 100_000));
}

#[test]
fn subqueries() {
    assert_eq!(ok(&mut session(), &format!("SELECT {}", nested("(SELECT ", "1", ")", 64))), ["1"]);
    let correlated = |count: usize| {
        let open: String = (1..=count)
            .map(|n| format!("(SELECT max(a{n}.n) FROM t a{n} WHERE a{n}.n <= a{}.n AND a{n}.n = ", n - 1))
            .collect();
        format!("SELECT count(*) FROM t a0 WHERE a0.n = {open}a0.n{}", ")".repeat(count))
    };
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (n int)");
    ok(&mut s, "INSERT INTO t VALUES (1), (2)");
    assert_eq!(ok(&mut s, &correlated(3)), ["2"]);
    assert_eq!(ok(&mut s, &correlated(40)), ["2"]);
    let exists = nested("EXISTS (SELECT 1 FROM t WHERE ", "n = 2", ")", 40);
    assert_eq!(ok(&mut s, &format!("SELECT n FROM t WHERE {exists} ORDER BY n")), ["1", "2"]);
    survives(&format!("SELECT * FROM {}", nested("(SELECT * FROM ", "generate_series(1,1)", ") x", 200)));
    refused(&format!("SELECT {}", nested("(SELECT ", "1", ")", 100)));
    refused(&format!("SELECT {}", nested("(SELECT ", "1", ")", 10_000)));
    refused(&format!("SELECT * FROM {}", nested("(SELECT * FROM ", "t", ") x", 10_000)));
    refused(&format!("SELECT 1 WHERE {}", nested("EXISTS (SELECT 1 WHERE ", "true", ")", 10_000)));
}

#[test]
fn joins() {
    refused(&chain("SELECT 1 FROM t", " JOIN t USING (a)", 10_000));
    refused(&chain("SELECT 1 FROM t", " CROSS JOIN t", 10_000));
    refused(&chain("SELECT 1 FROM t", ", t", 10_000));
    refused(&format!("SELECT 1 FROM {}", nested("(t JOIN ", "t", " ON true)", 10_000)));
}

#[test]
fn lists() {
    let list = |item: fn(i32) -> String| (0..1_000_000).map(item).collect::<Vec<_>>().join(",");
    let mut s = session();
    let series = "SELECT count(*), count(*) FILTER (WHERE";
    let from = ") FROM generate_series(-9, 1000009) AS s(n)";
    let numbers = list(|n| n.to_string());
    assert_eq!(ok(&mut s, &format!("{series} n IN ({numbers}){from}")), ["1000019|1000000"]);
    assert_eq!(ok(&mut s, &format!("{series} n + 0 NOT IN ({numbers}){from}")), ["1000019|19"]);
    let texts = list(|n| format!("'{n},\\'''"));
    let text = "n::text || ',' || chr(92) || chr(39)";
    assert_eq!(ok(&mut s, &format!("{series} {text} IN ({texts}){from}")), ["1000019|1000000"]);
    assert_eq!(ok(&mut s, &format!("SELECT NULL::int IN ({numbers}), 5 NOT IN ({numbers})")), ["NULL|f"]);
    // Of another type, and shorter: as any list.
    let dates: Vec<String> = (0..3_000).map(|n| format!("'{}-01-01'", 1000 + n % 1000)).collect();
    let sql = format!("SELECT DATE '1500-01-01' IN ({0}), DATE '1500-01-02' IN ({0})", dates.join(", "));
    assert_eq!(ok(&mut s, &sql), ["t|f"]);
    let numbers = (0..3_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(ok(&mut s, &format!("SELECT 1.5 IN ({numbers}), 4.0 IN ({numbers})")), ["f|t"]);
    let rows: Vec<String> = (0..20_000).map(|n| format!("({n})")).collect();
    assert_eq!(
        ok(&mut session(), &format!("SELECT count(*) FROM (VALUES {}) v(a)", rows.join(","))),
        ["20000"]
    );
}

#[test]
fn arrays() {
    refused(&format!("SELECT {}", nested("ARRAY[", "1", "]", 50_000)));
    refused(&format!("SELECT 1::int{}", "[]".repeat(100_000)));
    survives(&format!("SELECT '{}'::int[]", nested("{", "1", "}", 100_000)));
    survives(&format!("SELECT '{}'::json", nested("[", "1", "]", 1_000_000)));
}

#[test]
fn statements_in_statements() {
    refused(&format!("{}SELECT 1", "EXPLAIN ".repeat(100_000)));
    survives(&format!("{}SELECT 1", "PREPARE a AS ".repeat(50_000)));
    survives(&format!("{}SELECT 1{}", "WITH a AS (".repeat(200), ") SELECT 1".repeat(200)));
    refused(&format!("{}SELECT 1", "WITH a AS (".repeat(20_000)));
}

#[test]
fn sixteen_mebibytes_of_anything() {
    for unit in ["x ", "1,", "'", "$$", "/*", ";", "\u{1F600}", "SELECT ", "a.", ":a "] {
        let text = unit.repeat((16 << 20) / unit.len());
        survives(&format!("SELECT {text}"));
    }
    survives(&"\u{0}".repeat(16 << 20));
}

#[test]
fn garbage_by_seed() {
    let seed: u64 = std::env::var("CAIRN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    eprintln!("CAIRN_SEED={seed}");
    let words = [
        "SELECT",
        "FROM",
        "(",
        ")",
        "WHERE",
        "1",
        "'a'",
        "+",
        "-",
        "AND",
        "OR",
        "NOT",
        "CASE",
        "WHEN",
        "END",
        ",",
        "t",
        "*",
        "UNION",
        "ALL",
        "[",
        "]",
        "::",
        "int",
        "IN",
        "BETWEEN",
        "NULL",
        "JOIN",
        "ON",
        "GROUP",
        "BY",
        ";",
        "VALUES",
        "INSERT",
        "INTO",
        "$1",
        "\"",
        "'",
        "OVER",
        "PARTITION",
        "ORDER",
        "LIMIT",
        "INTERVAL",
        "EXISTS",
    ];
    let mut state = seed;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % below
    };
    let mut session = session();
    for _ in 0..400 {
        let length = 1 + next(40);
        let text: Vec<&str> = (0..length).map(|_| words[next(words.len())]).collect();
        let _ = run(&mut session, &text.join(" "));
    }
    assert_eq!(ok(&mut session, "ROLLBACK"), ["ROLLBACK"]);
    assert_eq!(ok(&mut session, "SELECT 1"), ["1"]);
}
