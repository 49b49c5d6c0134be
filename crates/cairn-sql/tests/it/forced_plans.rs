//! Plans that settings force give the answers of the one that is chosen: over generated tables and queries.

use cairn_env::SeededRandom;

use crate::support::{ok, session};

const TABLES: &[&str] = &[
    "CREATE TABLE a (id int PRIMARY KEY, grp int, n int, word text, x double precision)",
    "CREATE INDEX a_grp ON a (grp)",
    "CREATE INDEX a_n ON a (n DESC)",
    "CREATE INDEX a_word ON a (word) INCLUDE (n)",
    "INSERT INTO a SELECT i, i * 7 % 41, i * 13 % 97, CASE WHEN i % 9 = 0 THEN NULL ELSE 'w' || i % 23 END, \
     CASE WHEN i % 50 = 0 THEN 'NaN'::float8 ELSE (i / 8.0)::float8 END FROM generate_series(1, 900) AS g(i)",
    "CREATE TABLE b (id int PRIMARY KEY, of_a int, kind int)",
    "CREATE INDEX b_a ON b (of_a)",
    "CREATE INDEX b_kind ON b (kind)",
    "INSERT INTO b SELECT i, CASE WHEN i % 11 = 0 THEN NULL ELSE i * 3 % 1000 END, i % 12 \
     FROM generate_series(1, 1500) AS g(i)",
    "CREATE TABLE c (k int, v text, PRIMARY KEY (k, v))",
    "INSERT INTO c SELECT i % 41, 'v' || i FROM generate_series(1, 400) AS g(i)",
    "ANALYZE",
];

/// `$n`: a number of its column's range.
const QUERIES: &[&str] = &[
    "SELECT * FROM a WHERE id = $900",
    "SELECT id, word FROM a WHERE grp = $41 AND n > $97",
    "SELECT id FROM a WHERE grp = $41 AND n = $97",
    "SELECT id, x FROM a WHERE grp = $41 OR n = $97",
    "SELECT id FROM a WHERE grp IN ($41, $41, $41) OR word = 'w3' OR n BETWEEN $97 AND 20",
    "SELECT id FROM a WHERE (grp = $41 OR n < 5) AND word LIKE 'w1%'",
    "SELECT word, n FROM a WHERE word = 'w7'",
    "SELECT count(*), sum(n) FROM a WHERE word LIKE 'w2%' AND grp < $41",
    "SELECT id, n FROM a WHERE n IS NOT NULL AND grp <> $41 ORDER BY n DESC, id LIMIT 10",
    "SELECT n FROM a ORDER BY n LIMIT 12",
    "SELECT n FROM a WHERE grp > $41 ORDER BY n DESC LIMIT 9",
    "SELECT word FROM a ORDER BY word NULLS FIRST LIMIT 120",
    "SELECT a.id, b.id FROM a JOIN b ON b.of_a = a.id WHERE a.grp = $41",
    "SELECT a.id, b.kind FROM a LEFT JOIN b ON b.of_a = a.id AND b.kind = $12 WHERE a.n = $97",
    "SELECT count(*), min(c.v) FROM a JOIN b ON b.of_a = a.id JOIN c ON c.k = a.grp WHERE b.kind = $12 AND a.n < 50",
    "SELECT a.grp, count(*) FROM a, b, c WHERE a.id = b.of_a AND c.k = b.kind GROUP BY a.grp",
    "SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.of_a = a.id AND b.kind = $12)",
    "SELECT a.id FROM a WHERE a.grp NOT IN (SELECT k FROM c WHERE v > 'v3') AND a.n < $97",
    "SELECT a.id, c.v FROM a FULL JOIN c ON c.k = a.id WHERE a.id IS NULL OR a.id < 20",
    "SELECT x.id, y.id FROM a x JOIN a y ON x.n = y.n AND x.id < y.id WHERE x.grp = $41",
    "SELECT x.id, y.id FROM a x JOIN a y ON x.n + 1 = y.n AND x.grp > y.grp WHERE x.id < 60",
    "SELECT x.id, b.id FROM a x JOIN b ON b.kind < x.n WHERE x.id < 8 AND b.id < 40",
];

const FORCED: &[&str] = &[
    "enable_seqscan",
    "enable_indexscan",
    "enable_bitmapscan",
    "enable_hashjoin",
    "enable_nestloop",
    "enable_sort",
    "cairn.join_order",
    "cairn.decorrelate",
    "cairn.plan_cache",
];

fn filled(random: &mut SeededRandom, query: &str) -> String {
    let mut parts = query.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let below: u64 = part[..digits].parse().unwrap();
        out.push_str(&random.below(below).to_string());
        out.push_str(&part[digits..]);
    }
    out
}

#[test]
fn forced_plans_give_equal_answers() {
    let seed = std::env::var("CAIRN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(19);
    println!("CAIRN_SEED={seed}");
    let mut random = SeededRandom::new(seed);
    let mut s = session();
    for sql in TABLES {
        ok(&mut s, sql);
    }
    for round in 0..4 {
        for query in QUERIES {
            let sql = filled(&mut random, query);
            let mut answers = Vec::new();
            for forced in std::iter::once(None).chain(FORCED.iter().map(Some)) {
                // After the first round two at a time.
                let also = FORCED[random.below(FORCED.len() as u64) as usize];
                let names: Vec<&str> = match (forced, round) {
                    (None, _) => Vec::new(),
                    (Some(name), 0) => vec![name],
                    (Some(name), _) => vec![name, also],
                };
                names.iter().for_each(|name| drop(ok(&mut s, &format!("SET {name} = off"))));
                let mut rows = ok(&mut s, &sql);
                names.iter().for_each(|name| drop(ok(&mut s, &format!("RESET {name}"))));
                if !sql.contains("ORDER BY") {
                    rows.sort();
                }
                answers.push((names, rows));
            }
            let (_, first) = &answers[0];
            for (names, rows) in &answers {
                assert_eq!(rows, first, "{sql} without {names:?}");
            }
        }
    }
}
