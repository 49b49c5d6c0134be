//! Outer, semi and anti joins that look up the rows of a table give what the same joins give without.

use crate::support::{ok, session};

const TABLES: [&str; 5] = [
    "CREATE TABLE big (id int PRIMARY KEY, k int, g int, v int)",
    "CREATE INDEX big_k ON big (k)",
    "INSERT INTO big SELECT i, CASE WHEN i % 50 = 0 THEN NULL ELSE i / 2 END, i % 3, i * 7 % 1000 FROM generate_series(1, 40000) AS s(i)",
    "CREATE TABLE few (id int PRIMARY KEY, k int, g int, v int)",
    // Some without a partner, some without a key, some with the same one.
    "INSERT INTO few SELECT i, CASE WHEN i % 40 = 0 THEN NULL ELSE i * 17 % 30000 END, i % 4, i * 3 % 1000 FROM generate_series(1, 1600) AS s(i)",
];

/// Queries, with the joins that their plans show.
const QUERIES: [(&str, &str); 14] = [
    (
        "SELECT count(*), sum(id) FROM few WHERE EXISTS (SELECT 1 FROM big WHERE big.k = few.k)",
        "Nested Loop Semi Join",
    ),
    (
        "SELECT count(*), sum(id) FROM few WHERE NOT EXISTS (SELECT 1 FROM big WHERE big.k = few.k)",
        "Nested Loop Anti Join",
    ),
    (
        "SELECT count(*), sum(id) FROM few WHERE k IN (SELECT k FROM big WHERE v < 500)",
        "Nested Loop Semi Join",
    ),
    (
        "SELECT count(*), sum(id) FROM few WHERE NOT EXISTS (SELECT 1 FROM big WHERE big.k = few.k AND big.v < few.v)",
        "Nested Loop Anti Join",
    ),
    (
        "SELECT count(*), sum(id) FROM few WHERE EXISTS (SELECT 1 FROM big WHERE big.k = few.k AND big.g = few.g AND big.v % 2 = 0)",
        "Nested Loop Semi Join",
    ),
    (
        "SELECT count(*), count(big.id), sum(big.v) FROM few LEFT JOIN big ON big.k = few.k",
        "Nested Loop Left Join",
    ),
    (
        "SELECT count(*), count(big.id), sum(big.v) FROM few LEFT JOIN big ON big.k = few.k AND big.v > few.v AND few.g = 1",
        "Nested Loop Left Join",
    ),
    (
        "SELECT count(*), count(big.id), sum(big.v) FROM few LEFT JOIN big ON big.k = few.k AND big.v < 300 WHERE few.id > 3",
        "Nested Loop Left Join",
    ),
    (
        "SELECT few.id, big.id, few.v, big.v FROM big RIGHT JOIN few ON big.k = few.k ORDER BY 1, 2",
        "Nested Loop Left Join",
    ),
    ("SELECT few.id, big.v FROM few LEFT JOIN big ON big.id = few.k ORDER BY 1", "Nested Loop Left Join"),
    (
        "SELECT few.v FROM few LEFT JOIN big ON big.id = few.k WHERE big.id IS NULL ORDER BY 1",
        "Nested Loop Left Join",
    ),
    (
        "SELECT count(*) FROM few WHERE EXISTS (SELECT 1 FROM big WHERE big.id = few.k AND big.g = few.g)",
        "Nested Loop Semi Join",
    ),
    (
        "SELECT g, count(*) FROM few WHERE NOT EXISTS (SELECT 1 FROM big WHERE big.id = few.k) GROUP BY g ORDER BY g",
        "Nested Loop Anti Join",
    ),
    (
        "SELECT count(*) FROM few JOIN big AS b ON b.id = few.k LEFT JOIN big AS c ON c.k = b.k AND c.id <> b.id WHERE c.id IS NULL",
        "Nested Loop",
    ),
];

#[test]
fn joins_that_look_up_give_what_others_give() {
    let mut s = session();
    for sql in TABLES {
        ok(&mut s, sql);
    }
    ok(&mut s, "ANALYZE");
    let mut looked_up = Vec::new();
    for (sql, join) in QUERIES {
        let plan = ok(&mut s, &format!("EXPLAIN {sql}")).join("\n");
        looked_up.push(plan.contains(join));
        ok(&mut s, "SET enable_nestloop = off");
        let without = ok(&mut s, &format!("EXPLAIN {sql}")).join("\n");
        assert!(!without.contains("Nested Loop"), "{sql}\n{without}");
        let expected = ok(&mut s, sql);
        ok(&mut s, "RESET enable_nestloop");
        assert_eq!(ok(&mut s, sql), expected, "{sql}");
        assert_eq!(ok(&mut s, sql), expected, "kept: {sql}");
        // In a plan whose first side comes in several batches and parts.
        ok(&mut s, "SET enable_seqscan = off");
        assert_eq!(ok(&mut s, sql), expected, "{sql}");
        ok(&mut s, "RESET enable_seqscan");
    }
    // Which of them is a matter of costs; most of them, or this test says nothing.
    assert!(looked_up.iter().filter(|yes| **yes).count() >= 8, "{looked_up:?}");
}

#[test]
fn an_aggregate_reads_the_keys_that_a_join_has() {
    let mut s = session();
    for sql in TABLES {
        ok(&mut s, sql);
    }
    ok(&mut s, "ANALYZE");
    for sql in [
        "SELECT few.id FROM few WHERE few.id < 20 AND few.v <= (SELECT min(v) FROM big WHERE big.k = few.k) ORDER BY 1",
        "SELECT few.id FROM few WHERE few.id < 200 AND few.v = (SELECT min(v) FROM big WHERE big.k = few.k) ORDER BY 1",
        "SELECT few.id FROM few WHERE few.id < 60 AND few.v > (SELECT sum(v) FROM big WHERE big.k = few.k AND big.g = few.g) ORDER BY 1",
        "SELECT few.id, c FROM few LEFT JOIN (SELECT k, g, count(*) AS c FROM big GROUP BY k, g) AS b ON b.k = few.k AND b.g = few.g AND b.c = few.id \
         WHERE few.id < 30 ORDER BY 1, 2",
    ] {
        let tree = ok(&mut s, &format!("EXPLAIN (ANALYZE, FORMAT tree) {sql}"));
        let scan = tree.iter().find(|line| line.contains("TableScan: big")).unwrap();
        let rows = scan.split("(actual rows=").nth(1).unwrap().split(' ').next().unwrap();
        assert!(rows.parse::<u64>().unwrap() < 1000, "{sql}\n{}", tree.join("\n"));
        let kept = ok(&mut s, sql);
        ok(&mut s, "SET cairn.decorrelate = off");
        assert_eq!(ok(&mut s, sql), kept, "{sql}");
        ok(&mut s, "RESET cairn.decorrelate");
    }
}
