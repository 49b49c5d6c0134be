//! Short statements, prepared: one row or a few by key or index. Each runs for a second, in one transaction where it
//! writes, after a tenth of that to warm up.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::ROWS;

/// Rows of a group, which the secondary index finds.
const GROUP: i64 = 10;

/// A statement and what it needs.
#[derive(Debug)]
pub struct Point {
    /// What the command line calls it.
    pub name: &'static str,
    /// What the table calls it.
    pub description: &'static str,
    /// Parameters are `?1`, `?2`, which all engines read.
    pub sql: &'static str,
    /// Parameters beside the first, which is a key.
    parameters: usize,
    /// Keys there are.
    keys: i64,
    /// Rows that it gives or changes.
    pub rows: usize,
    /// It writes.
    pub writes: bool,
}

/// All of them. The goal of each is SQLite.
pub const POINTS: [Point; 6] = [
    point(
        "update",
        "update a row by primary key",
        "UPDATE t SET amount = amount + ?2 WHERE id = ?1",
        1,
        ROWS,
        1,
    )
    .writing(),
    point(
        "upsert",
        "insert or update a row",
        "INSERT INTO t VALUES (?1, 0, 'new', ?2) ON CONFLICT (id) DO UPDATE SET amount = excluded.amount",
        1,
        2 * ROWS,
        1,
    )
    .writing(),
    point(
        "by_index",
        "select 10 rows by a secondary index",
        "SELECT id, name FROM t WHERE grp = ?1",
        0,
        ROWS / GROUP,
        10,
    ),
    point(
        "range",
        "select 100 rows from a key on, in order",
        "SELECT id, name FROM t WHERE id >= ?1 ORDER BY id LIMIT 100",
        0,
        ROWS - 100,
        100,
    ),
    point(
        "count",
        "count the rows of an index's key",
        "SELECT count(*) FROM t WHERE grp = ?1",
        0,
        ROWS / GROUP,
        1,
    ),
    point(
        "join",
        "join two tables by key",
        "SELECT t.name, u.name FROM t JOIN u ON u.id = t.grp WHERE t.id = ?1",
        0,
        ROWS,
        1,
    ),
];

const fn point(
    name: &'static str,
    description: &'static str,
    sql: &'static str,
    parameters: usize,
    keys: i64,
    rows: usize,
) -> Point {
    Point { name, description, sql, parameters, keys, rows, writes: false }
}

impl Point {
    const fn writing(mut self) -> Point {
        self.writes = true;
        self
    }

    /// The statement of that name.
    pub fn named(name: &str) -> Option<&'static Point> {
        POINTS.iter().find(|point| point.name == name)
    }

    /// Executions a second. `once` is given the key and the other parameters, and tells how many rows there were.
    pub fn measure(&self, mut once: impl FnMut(i64, &[f64]) -> Result<usize>) -> Result<f64> {
        let mut run = |time: Duration, i: &mut i64| -> Result<(i64, Duration)> {
            let (began, first) = (Instant::now(), *i);
            while began.elapsed() < time {
                for _ in 0..16 {
                    let key = *i * 7919 % self.keys;
                    let rows = once(key, &[0.5][..self.parameters])?;
                    ensure!(rows == self.rows, "{}: {rows} rows of key {key}", self.name);
                    *i += 1;
                }
            }
            Ok((*i - first, began.elapsed()))
        };
        let mut i = 0;
        run(Duration::from_millis(100), &mut i)?;
        let (count, time) = run(Duration::from_secs(1), &mut i)?;
        Ok(count as f64 / time.as_secs_f64())
    }
}

/// The tables, by the engine's way to make a series of numbers `g(i)` from 0 up to, without, a number.
pub fn tables(series: impl Fn(i64) -> String) -> String {
    format!(
        "CREATE TABLE t (id integer PRIMARY KEY, grp integer, name text, amount double precision);
         CREATE TABLE u (id integer PRIMARY KEY, name text);
         INSERT INTO t {} SELECT i, i / {GROUP}, 'name ' || i, i / 8.0 FROM g;
         INSERT INTO u {} SELECT i, 'group ' || i FROM g;
         CREATE INDEX t_grp_idx ON t (grp);
         ANALYZE;",
        series(ROWS),
        series(ROWS / GROUP)
    )
}
