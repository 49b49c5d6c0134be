//! The process killed in the middle of its writes: what was acknowledged is there, and nothing in part.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use super::run::{Place, Random, cairn, command, spawn};

/// Kills in one run of the test.
const ROUNDS: u64 = 12;

#[test]
fn acknowledged_rows_survive_kill_nine() {
    let place = Place::new();
    place.sql("CREATE TABLE t (id bigint PRIMARY KEY, half int NOT NULL, pad text); CREATE INDEX t_half ON t (half)");
    let mut random = Random::new();
    let mut acknowledged = 0u64;
    for round in 0..ROUNDS {
        let mut child = spawn(command().arg(place.db()));
        let mut stdin = child.stdin.take().unwrap();
        let out = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            BufReader::new(out)
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| line.parse::<u64>().ok())
                .max()
        });
        let first = acknowledged + 1;
        let writer = std::thread::spawn(move || {
            for id in (first..).step_by(2) {
                // Two rows and a key a transaction: never one without the others.
                let sql = format!(
                    "BEGIN; INSERT INTO t VALUES ({id}, 1, repeat('x', 300)); \
                     INSERT INTO t VALUES ({next}, 2, 'y'); COMMIT; SELECT {next} AS done;\n",
                    next = id + 1
                );
                if stdin.write_all(sql.as_bytes()).is_err() {
                    break;
                }
            }
        });
        std::thread::sleep(Duration::from_millis(150 + random.below(400)));
        child.kill().unwrap();
        child.wait().unwrap();
        let told = reader.join().unwrap().unwrap_or(0);
        writer.join().unwrap();
        let sql = "SELECT count(*) AS n, coalesce(max(id), 0) AS m, \
                   count(*) FILTER (WHERE half = 1) AS a, count(*) FILTER (WHERE half = 2) AS b FROM t";
        let out = cairn([place.db().as_str(), sql]).ok();
        let figures: Vec<u64> = out.lines().nth(1).unwrap().split(',').map(|n| n.parse().unwrap()).collect();
        let [count, most, first_halves, second_halves] = figures[..] else { panic!("{out}") };
        assert!(most >= told, "round {round}: {told} was acknowledged, {most} is there");
        assert_eq!(count, most, "round {round}: no row is missing");
        assert_eq!(first_halves, second_halves, "round {round}: transactions are whole");
        let by_index = cairn([place.db().as_str(), "SELECT count(*) AS n FROM t WHERE half = 2"]).ok();
        assert_eq!(by_index, format!("n\n{second_halves}\n"), "round {round}: the index agrees");
        acknowledged = most;
    }
    assert!(acknowledged > 0, "no round wrote anything");
    assert!(cairn(["verify", &place.db()]).ok().contains("no damage"));
}
