//! CairnDB through its public API.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use cairndb::{Database, IsolationLevel, OpenOptions, Statement};

use crate::CACHE_BYTES;
use crate::kv::Figures;
use crate::sql::points::{self, Point};
use crate::sql::{Example, FLIGHTS, ROWS, TABLES, TPCH, Work, median};

pub fn measure(case: &str, work: &Work<'_>) -> Result<Figures> {
    let options = OpenOptions::new().cache_bytes(CACHE_BYTES);
    let db = Database::open_with(work.directory.join("cairn"), options)?;
    let mut figures = Figures::new();
    match case {
        "insert" => drop(figures.insert("rate".to_owned(), insert(&db, work)?)),
        "select" => drop(figures.insert("rate".to_owned(), select(&db, work)?)),
        "unprepared" => drop(figures.insert("rate".to_owned(), unprepared(&db, work)?)),
        "load" | "load_gz" => {
            tables(&db, work, &Example { tables: &TABLES[..4], ..FLIGHTS })?;
            let began = Instant::now();
            load(
                &db,
                work,
                &FLIGHTS,
                "flights",
                if case == "load" { "flights.csv" } else { "flights.csv.gz" },
            )?;
            figures.insert("seconds".to_owned(), began.elapsed().as_secs_f64());
        }
        "questions" | "tpch" => {
            let example = if case == "tpch" { TPCH } else { FLIGHTS };
            let began = Instant::now();
            tables(&db, work, &example)?;
            db.execute_batch(example.indexes)?;
            db.execute_batch("ANALYZE")?;
            figures.insert("loaded".to_owned(), began.elapsed().as_secs_f64());
            for (name, sql) in example.questions(false)? {
                let statement = db.prepare(&sql)?;
                let rows = answer(&statement)?;
                let runs = (0..work.rounds()).map(|_| {
                    let began = Instant::now();
                    answer(&statement)?;
                    Ok(began.elapsed().as_secs_f64())
                });
                figures.insert(name.clone(), median(runs.collect::<Result<_>>()?));
                figures.insert(format!("{name} rows"), rows as f64);
            }
        }
        other => match Point::named(other) {
            Some(point) => drop(figures.insert("rate".to_owned(), measure_point(&db, point)?)),
            None => bail!("no case named {other}"),
        },
    }
    Ok(figures)
}

fn tables(db: &Database, work: &Work<'_>, example: &Example) -> Result<()> {
    db.execute_batch(&example.schema()?)?;
    example.tables.iter().try_for_each(|table| load(db, work, example, table, &format!("{table}.csv")))
}

fn load(db: &Database, work: &Work<'_>, example: &Example, table: &str, file: &str) -> Result<()> {
    let (path, null) = (work.data.join(file), example.null);
    let sql = format!("COPY {table} FROM '{}' WITH (FORMAT csv, HEADER, NULL '{null}')", path.display());
    let rows = db.execute(&sql, &[])?;
    ensure!(rows > 0, "nothing was loaded from {file}");
    Ok(())
}

/// Runs a question and reads every batch of its answer.
fn answer(statement: &Statement) -> Result<usize> {
    let mut answer = statement.query(&[])?;
    let mut rows = 0;
    while let Some(batch) = answer.next_batch()? {
        rows += batch.num_rows();
    }
    Ok(rows)
}

const TABLE: &str = "CREATE TABLE t (id integer PRIMARY KEY, name text, amount double precision)";

fn insert(db: &Database, work: &Work<'_>) -> Result<f64> {
    db.execute(TABLE, &[])?;
    let rows = work.inserts();
    let statement = db.prepare("INSERT INTO t VALUES ($1, $2, $3)")?;
    let began = Instant::now();
    let transaction = db.begin_transaction(IsolationLevel::Snapshot)?;
    for i in 0..rows {
        transaction
            .execute_prepared(&statement, cairndb::params![i as i32, format!("name {i}"), i as f64 / 8.0])?;
    }
    transaction.commit()?;
    Ok(rows as f64 / began.elapsed().as_secs_f64())
}

fn fill(db: &Database) -> Result<()> {
    db.execute(TABLE, &[])?;
    let fill = format!(
        "INSERT INTO t SELECT i::integer, 'name ' || i, i / 8.0::double precision FROM generate_series(0, {}) AS g(i)",
        ROWS - 1
    );
    db.execute(&fill, &[])?;
    Ok(())
}

fn unprepared(db: &Database, work: &Work<'_>) -> Result<f64> {
    fill(db)?;
    let read = |count: i64| -> Result<()> {
        for i in 0..count {
            let mut rows =
                db.query(&format!("SELECT name, amount FROM t WHERE id = {}", i * 7919 % ROWS), &[])?;
            ensure!(rows.next_batch()?.is_some_and(|batch| batch.num_rows() == 1), "one row");
        }
        Ok(())
    };
    read(work.selects())?;
    let began = Instant::now();
    read(work.selects())?;
    Ok(work.selects() as f64 / began.elapsed().as_secs_f64())
}

fn select(db: &Database, work: &Work<'_>) -> Result<f64> {
    fill(db)?;
    let statement = db.prepare("SELECT name, amount FROM t WHERE id = $1")?;
    let read = |count: i64| -> Result<()> {
        for i in 0..count {
            let mut rows = statement.query(cairndb::params![(i * 7919 % ROWS) as i32])?;
            ensure!(rows.next_batch()?.is_some_and(|batch| batch.num_rows() == 1), "one row");
        }
        Ok(())
    };
    read(work.selects())?;
    let began = Instant::now();
    read(work.selects())?;
    Ok(work.selects() as f64 / began.elapsed().as_secs_f64())
}

/// A short statement, in one transaction where it writes.
fn measure_point(db: &Database, point: &Point) -> Result<f64> {
    let series = |count: i64| {
        format!("WITH g(i) AS (SELECT x::integer FROM generate_series(0, {}) AS s(x))", count - 1)
    };
    db.execute_batch(&points::tables(series))?;
    let statement = db.prepare(point.sql)?;
    if !point.writes {
        return point.measure(|key, _| {
            let mut rows = statement.query(cairndb::params![key as i32])?;
            let mut count = 0;
            while let Some(batch) = rows.next_batch()? {
                count += batch.num_rows();
            }
            Ok(count)
        });
    }
    let transaction = db.begin_transaction(IsolationLevel::ReadCommitted)?;
    let rate = point.measure(|key, more| {
        let rows = transaction.execute_prepared(&statement, cairndb::params![key as i32, more[0]])?;
        Ok(rows as usize)
    })?;
    transaction.commit()?;
    Ok(rate)
}
