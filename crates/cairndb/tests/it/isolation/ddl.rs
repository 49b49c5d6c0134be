//! Definitions beside writers, on real threads: indexes that are made and dropped while rows change.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cairndb::{Database, Error};

/// Rows that writers change.
const ROWS: u64 = 60;
/// How often the index is made.
const ROUNDS: u64 = 12;

fn until_done(mut work: impl FnMut() -> Result<u64, Error>) -> u64 {
    loop {
        match work() {
            Ok(count) => return count,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
}

/// Writers insert, update and delete while an index is created and dropped again and again, unique or not: each time it
/// agrees with the rows, and with one that is made when nobody writes.
#[test]
fn an_index_made_beside_writers_equals_one_made_alone() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::open(directory.path().join("db")).unwrap();
    db.execute("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, w text)", &[]).unwrap();
    let (ends, made) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|threads| {
        for writer in 0..3u64 {
            let (db, ends) = (&db, &ends);
            threads.spawn(move || {
                let mut n = writer;
                while !ends.load(Ordering::Relaxed) {
                    n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let (id, v) = ((n >> 33) % ROWS, (n >> 40) % 1000);
                    // No two rows have one v, so that a unique index can be made.
                    let v = v * ROWS + id;
                    let sql = match (n >> 60) % 4 {
                        0 => format!("DELETE FROM t WHERE id = {id}"),
                        1 => format!("UPDATE t SET v = {v} WHERE id = {id}"),
                        _ => format!(
                            "INSERT INTO t VALUES ({id}, {v}, 'w') ON CONFLICT (id) DO UPDATE SET v = {v}"
                        ),
                    };
                    until_done(|| db.execute(&sql, &[]));
                }
            });
        }
        for round in 0..ROUNDS {
            let unique = if round % 2 == 0 { "UNIQUE" } else { "" };
            until_done(|| db.execute(&format!("CREATE {unique} INDEX i ON t (v)"), &[]));
            made.fetch_add(1, Ordering::Relaxed);
            db.verify().unwrap();
            if round + 1 < ROUNDS {
                until_done(|| db.execute("DROP INDEX i", &[]));
            }
        }
        ends.store(true, Ordering::Relaxed);
    });
    assert_eq!(made.into_inner(), ROUNDS);
    db.verify().unwrap();
    let by_index = |db: &Database| -> Vec<(i64, i64)> {
        let rows = db.query("SELECT v, id FROM t WHERE v >= 0 ORDER BY v", &[]).unwrap();
        rows.collect_rows().unwrap().iter().map(|row| (row.get(0).unwrap(), row.get(1).unwrap())).collect()
    };
    let beside = by_index(&db);
    db.execute("DROP INDEX i", &[]).unwrap();
    db.execute("CREATE UNIQUE INDEX i ON t (v)", &[]).unwrap();
    assert_eq!(beside, by_index(&db));
    assert!(!beside.is_empty());
}
