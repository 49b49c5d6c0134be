//! Plans as EXPLAIN shows them: a golden one for each kind of choice (`tests/plans`), and its other forms.

use std::path::Path;

use cairn_engine::Database;
use cairn_sql::{Engine, Session, SqlOptions};
use cairn_testkit::slt;

use crate::slt::outcome;
use crate::support::ok;

/// A session whose plans divide nothing between threads.
fn session() -> Session {
    let options = SqlOptions::default();
    let engine = Engine::new(Database::in_memory().unwrap(), one_thread(options)).unwrap();
    engine.session()
}

fn one_thread(mut options: SqlOptions) -> SqlOptions {
    options.parallelism = 1;
    options
}

#[test]
fn each_kind_of_choice_has_its_plan() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/plans");
    let mut failures = String::new();
    for (name, text) in slt::files(&dir).unwrap() {
        let mut s = session();
        if let Err(report) = slt::run_text(&name, &text, &mut |_: &str, sql: &str| outcome(&mut s, sql)) {
            failures.push_str(&report);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Text without what differs from run to run.
fn settled(lines: &[String]) -> Vec<String> {
    let figure = |word: &str| word.parse::<f64>().is_ok() || word.contains("..");
    let clean = |line: &String| {
        let words = line.split(' ').map(|word| {
            let (label, value) = word.split_once('=').unwrap_or(("", word));
            if label.ends_with("time") || (label.is_empty() && figure(value)) { "#" } else { word }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    lines.iter().map(clean).collect()
}

#[test]
fn explain_analyze_tells_rows_and_times() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int)");
    ok(&mut s, "INSERT INTO t SELECT i, i % 10 FROM generate_series(1, 1000) AS g(i)");
    ok(&mut s, "ANALYZE t");
    let lines = ok(&mut s, "EXPLAIN ANALYZE SELECT * FROM t WHERE id <= 100 AND n = 3");
    assert!(lines[0].starts_with("Index Scan using t_pkey on t  (cost=0.00.."), "{lines:?}");
    assert!(lines[0].ends_with(" rows=10 loops=1)"), "{lines:?}");
    assert_eq!(
        lines[1..4],
        ["  Index Cond: (id <= 100)", "  Filter: (n = 3)", "  Rows Removed by Filter: 90"]
    );
    assert_eq!(settled(&lines[4..]), ["Planning Time: # ms", "Execution Time: # ms"]);
    let lines = ok(
        &mut s,
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT n FROM t ORDER BY n LIMIT 2",
    );
    let expected = [
        "Limit (actual rows=2 loops=1)",
        "  ->  Sort (actual rows=2 loops=1)",
        "        Sort Key: n",
        "        ->  Seq Scan on t (actual rows=1000 loops=1)",
    ];
    let squeezed: Vec<String> = lines.iter().map(|line| line.replace("  (", " (")).collect();
    let shown: Vec<&String> = squeezed.iter().filter(|line| !line.contains("Memory")).collect();
    assert_eq!(shown, expected.iter().collect::<Vec<_>>());
    let lines = ok(&mut s, "EXPLAIN (ANALYZE, COSTS OFF) UPDATE t SET n = 0 WHERE id = 5");
    assert!(lines[0].starts_with("Update on t  (actual time="), "{lines:?}");
    assert_eq!(lines[1], "  ->  Index Scan using t_pkey on t");
    assert_eq!(ok(&mut s, "SELECT n FROM t WHERE id = 5"), ["0"]);
    let lines = ok(&mut s, "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM t");
    assert!(lines.iter().any(|line| line.starts_with("  Buffers: shared hit=")), "{lines:?}");
}

#[test]
fn explain_in_json() {
    let mut s = session();
    ok(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int)");
    let lines = ok(&mut s, "EXPLAIN (FORMAT json, COSTS OFF) SELECT n FROM t WHERE id = 1 ORDER BY n DESC");
    let text = lines.join("\n");
    let expected = r#"[
  {
    "Plan": {
      "Node Type": "Index Scan",
      "Parallel Aware": false,
      "Async Capable": false,
      "Scan Direction": "Forward",
      "Index Name": "t_pkey",
      "Relation Name": "t",
      "Alias": "t",
      "Index Cond": "(id = 1)"
    }
  }
]"#;
    assert!(text.contains("\"Node Type\""), "{text}");
    let own = ok(&mut s, "EXPLAIN (FORMAT json, COSTS OFF) SELECT n FROM t WHERE id = 1").join("\n");
    assert_eq!(own.replace("\\n", "\n"), expected);
    let plan = ok(&mut s, "SELECT '[{\"a\": 1}]'::json -> 0 ->> 'a'");
    assert_eq!(plan, ["1"]);
}
