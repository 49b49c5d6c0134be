//! SQLite: the same SQL where it has it, `NAME.sqlite.sql` where the example words a question for it.

use std::io::{BufRead, BufReader};
use std::time::Instant;

use anyhow::{Result, bail};
use rusqlite::Connection;
use rusqlite::types::Null;

use crate::CACHE_BYTES;
use crate::engines::sqlite::connect;
use crate::kv::Figures;
use crate::sql::points::{self, Point};
use crate::sql::{Example, FLIGHTS, ROWS, TABLES, TPCH, Work, median};

pub fn measure(case: &str, work: &Work<'_>) -> Result<Figures> {
    let mut connection = connect(&work.directory.join("bench.sqlite"), true, CACHE_BYTES)?;
    let mut figures = Figures::new();
    match case {
        "insert" => drop(figures.insert("rate".to_owned(), insert(&mut connection, work)?)),
        "select" => drop(figures.insert("rate".to_owned(), select(&mut connection, work)?)),
        "unprepared" => drop(figures.insert("rate".to_owned(), unprepared(&mut connection, work)?)),
        "load" => {
            tables(&mut connection, work, &Example { tables: &TABLES[..4], ..FLIGHTS })?;
            let began = Instant::now();
            load(&mut connection, work, &FLIGHTS, "flights")?;
            figures.insert("seconds".to_owned(), began.elapsed().as_secs_f64());
        }
        // It reads no compressed files.
        "load_gz" => {}
        "questions" | "tpch" => {
            let example = if case == "tpch" { TPCH } else { FLIGHTS };
            let began = Instant::now();
            tables(&mut connection, work, &example)?;
            connection.execute_batch(example.indexes)?;
            connection.execute_batch("ANALYZE")?;
            figures.insert("loaded".to_owned(), began.elapsed().as_secs_f64());
            for (name, sql) in example.questions(true)? {
                // Some questions use functions that it lacks.
                let Ok(rows) = answer(&connection, &sql) else { continue };
                let runs = (0..work.rounds()).map(|_| {
                    let began = Instant::now();
                    answer(&connection, &sql)?;
                    Ok(began.elapsed().as_secs_f64())
                });
                figures.insert(name.clone(), median(runs.collect::<Result<_>>()?));
                figures.insert(format!("{name} rows"), rows as f64);
            }
        }
        other => match Point::named(other) {
            Some(point) => drop(figures.insert("rate".to_owned(), measure_point(&mut connection, point)?)),
            None => bail!("no case named {other}"),
        },
    }
    Ok(figures)
}

fn tables(connection: &mut Connection, work: &Work<'_>, example: &Example) -> Result<()> {
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.execute_batch(&example.schema()?)?;
    example.tables.iter().try_for_each(|table| load(connection, work, example, table))
}

/// Reads a CSV file  and inserts it in one transaction.
fn load(connection: &mut Connection, work: &Work<'_>, example: &Example, table: &str) -> Result<()> {
    let file = std::fs::File::open(work.data.join(format!("{table}.csv")))?;
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let columns = line.split(',').count();
    let transaction = connection.transaction()?;
    {
        let places = vec!["?"; columns].join(",");
        let mut insert = transaction.prepare(&format!("INSERT INTO {table} VALUES ({places})"))?;
        line.clear();
        while lines.read_line(&mut line)? > 0 {
            for (i, field) in fields(line.trim_end_matches(['\n', '\r'])).enumerate() {
                match field {
                    text if text == example.null => insert.raw_bind_parameter(i + 1, Null)?,
                    text => insert.raw_bind_parameter(i + 1, text)?,
                }
            }
            insert.raw_execute()?;
            line.clear();
        }
    }
    Ok(transaction.commit()?)
}

/// The fields of a line; a field in quotes may hold commas.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let (field, next) = match text.strip_prefix('"').and_then(|inner| inner.split_once('"')) {
            Some((field, after)) => (field, after.strip_prefix(',')),
            None => text.split_once(',').map_or((text, None), |(field, next)| (field, Some(next))),
        };
        rest = next;
        Some(field)
    })
}

/// Runs a question and reads every value of its answer.
fn answer(connection: &Connection, sql: &str) -> Result<usize> {
    let mut statement = connection.prepare_cached(sql.trim().trim_end_matches(';'))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut read = 0;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            std::hint::black_box(row.get_ref(column)?);
        }
        read += 1;
    }
    Ok(read)
}

const TABLE: &str = "CREATE TABLE t (id integer PRIMARY KEY, name text, amount double precision)";

fn insert(connection: &mut Connection, work: &Work<'_>) -> Result<f64> {
    connection.execute_batch(TABLE)?;
    let rows = work.inserts();
    let began = Instant::now();
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO t VALUES (?1, ?2, ?3)")?;
        for i in 0..rows {
            insert.execute((i, format!("name {i}"), i as f64 / 8.0))?;
        }
    }
    transaction.commit()?;
    Ok(rows as f64 / began.elapsed().as_secs_f64())
}

fn fill(connection: &Connection) -> Result<()> {
    connection.execute_batch(TABLE)?;
    let fill = "WITH RECURSIVE g(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM g WHERE i + 1 < ?1)
        INSERT INTO t SELECT i, 'name ' || i, i / 8.0 FROM g";
    connection.execute(fill, [ROWS])?;
    Ok(())
}

fn unprepared(connection: &mut Connection, work: &Work<'_>) -> Result<f64> {
    fill(connection)?;
    let read = |count: i64| -> Result<()> {
        for i in 0..count {
            let text = format!("SELECT name, amount FROM t WHERE id = {}", i * 7919 % ROWS);
            let row = connection
                .query_row(&text, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, f64>(1)?)))?;
            std::hint::black_box(row);
        }
        Ok(())
    };
    read(work.selects())?;
    let began = Instant::now();
    read(work.selects())?;
    Ok(work.selects() as f64 / began.elapsed().as_secs_f64())
}

fn select(connection: &mut Connection, work: &Work<'_>) -> Result<f64> {
    fill(connection)?;
    let mut statement = connection.prepare("SELECT name, amount FROM t WHERE id = ?1")?;
    let mut read = |count: i64| -> Result<()> {
        for i in 0..count {
            let row = statement
                .query_row([i * 7919 % ROWS], |row| Ok((row.get::<_, String>(0)?, row.get::<_, f64>(1)?)))?;
            std::hint::black_box(row);
        }
        Ok(())
    };
    read(work.selects())?;
    let began = Instant::now();
    read(work.selects())?;
    Ok(work.selects() as f64 / began.elapsed().as_secs_f64())
}

/// A short statement, in one transaction where it writes.
fn measure_point(connection: &mut Connection, point: &Point) -> Result<f64> {
    let series = |count: i64| {
        format!("WITH RECURSIVE g(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM g WHERE i + 1 < {count})")
    };
    connection.execute_batch(&points::tables(series))?;
    let transaction = connection.transaction()?;
    let rate = {
        let mut statement = transaction.prepare(point.sql)?;
        let columns = statement.column_count();
        point.measure(|key, more| {
            if point.writes {
                return Ok(statement.execute((key, more[0]))?);
            }
            let mut rows = statement.query([key])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                (0..columns).try_for_each(|column| {
                    row.get_ref(column).map(|value| _ = std::hint::black_box(value))
                })?;
                count += 1;
            }
            Ok(count)
        })?
    };
    transaction.commit()?;
    Ok(rate)
}
