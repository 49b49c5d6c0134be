//! A SQLite database: all its tables with their columns, keys, foreign keys and indexes; rows are counted on
//! both sides and compared.
//!
//! SQLite's columns hold values of any type, so a column's type here is the declared one only if all its
//! values are of it; else the narrowest that holds all of them (I2: no value changes).
//!
//! ```text
//! plan (definitions, types from values) → CREATE TABLE → rows → CREATE INDEX → foreign keys → counts → COMMIT
//! ```
//! I1: everything is one transaction: an error leaves nothing behind.

use std::path::Path;

use anyhow::{Context, anyhow};
use cairndb::{Database, IsolationLevel, Transaction, Value};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::told;
use crate::commands::quoted;
use crate::failure::{Failure, Outcome};
use crate::progress::Progress;

mod plan;

use plan::{Column, Plan, Table};

/// Rows between two looks of the progress line.
const PROGRESS_ROWS: u64 = 1_000;

/// Rows that one INSERT carries.
const ROWS_PER_INSERT: usize = 64;

/// Parameters that one INSERT carries at most.
const PARAMETERS_MAX: usize = 2_000;

/// Imports all tables.
pub(super) fn import(db: &Database, path: &Path) -> Outcome {
    let source =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .with_context(|| format!("cannot open {}", path.display()))?;
    let plan = Plan::read(&source).with_context(|| format!("cannot read {}", path.display()))?;
    for skipped in &plan.skipped {
        eprintln!("WARNING:  {skipped}");
    }
    let tx = db.begin_transaction(IsolationLevel::Snapshot)?;
    let mut loaded = Vec::with_capacity(plan.tables.len());
    for table in &plan.tables {
        run(&tx, &table.create())?;
        loaded.push(rows(&tx, &source, table)?);
    }
    for table in &plan.tables {
        for index in table.indexes() {
            run(&tx, &index)?;
        }
    }
    for table in &plan.tables {
        for key in table.foreign_keys(&plan) {
            run(&tx, &key)?;
        }
    }
    for (table, rows) in plan.tables.iter().zip(&loaded) {
        compare(&tx, table, *rows)?;
    }
    tx.commit()?;
    for (table, rows) in plan.tables.iter().zip(&loaded) {
        told(*rows, &table.name);
    }
    Ok(())
}

fn run(tx: &Transaction, sql: &str) -> Outcome<u64> {
    tx.execute(sql, &[]).map_err(|error| Failure::statement(error, sql))
}

/// Copies the rows of one table; gives their number.
fn rows(tx: &Transaction, source: &Connection, table: &Table) -> Outcome<u64> {
    let progress = Progress::rows(&format!("importing {}", table.name), table.rows);
    let outcome = copy(tx, source, table, &progress);
    progress.finish();
    outcome
}

fn copy(tx: &Transaction, source: &Connection, table: &Table, progress: &Progress) -> Outcome<u64> {
    let reading = || format!("cannot read table {}", table.name);
    let mut select = source.prepare(&table.select()).with_context(reading)?;
    let mut from = select.query([]).with_context(reading)?;
    let width = table.columns.len();
    let group = (PARAMETERS_MAX / width.max(1)).clamp(1, ROWS_PER_INSERT);
    let full = insert_sql(table, group);
    let mut values = Vec::with_capacity(group * width);
    let mut count = 0u64;
    while let Some(row) = from.next().with_context(reading)? {
        count += 1;
        for (place, column) in table.columns.iter().enumerate() {
            let value = row.get_ref(place).with_context(reading)?;
            let place = || format!("table {}, row {count}, column {}", table.name, column.name);
            values.push(convert(value, column).with_context(place)?);
        }
        if values.len() == group * width {
            insert(tx, &full, std::mem::take(&mut values))?;
        }
        if count.is_multiple_of(PROGRESS_ROWS) {
            progress.advance(PROGRESS_ROWS);
        }
    }
    if !values.is_empty() {
        insert(tx, &insert_sql(table, values.len() / width), values)?;
    }
    Ok(count)
}

fn insert(tx: &Transaction, sql: &str, values: Vec<Value>) -> Outcome {
    tx.execute_with(sql, values).map_err(|error| Failure::statement(error, sql))?;
    Ok(())
}

/// An INSERT of so many rows, each value a parameter.
fn insert_sql(table: &Table, rows: usize) -> String {
    let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    let width = columns.len();
    let group = |row: usize| {
        let slots: Vec<String> = (1..=width).map(|slot| format!("${}", row * width + slot)).collect();
        format!("({})", slots.join(", "))
    };
    let groups: Vec<String> = (0..rows).map(group).collect();
    format!("INSERT INTO {} ({}) VALUES {}", quoted(&table.name), columns.join(", "), groups.join(", "))
}

/// The value as the column's type (I2).
fn convert(value: ValueRef<'_>, column: &Column) -> anyhow::Result<Value> {
    let text = |bytes: &[u8]| -> anyhow::Result<String> {
        let text = std::str::from_utf8(bytes).map_err(|_| anyhow!("the text is not UTF-8"))?;
        if text.contains('\0') {
            return Err(anyhow!("the text has a zero character, which text cannot hold"));
        }
        Ok(text.to_owned())
    };
    Ok(match (value, column.ty) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(n), plan::Type::BigInt) => Value::BigInt(n),
        (ValueRef::Integer(n), plan::Type::Boolean) => Value::Boolean(n != 0),
        (ValueRef::Integer(n), plan::Type::Double) => Value::Double(n as f64),
        (ValueRef::Integer(n), plan::Type::Text) => Value::Text(n.to_string()),
        (ValueRef::Real(x), plan::Type::Double) => Value::Double(x),
        (ValueRef::Real(x), plan::Type::Text) => Value::Text(real_text(x)),
        (ValueRef::Text(bytes), plan::Type::Text) => Value::Text(text(bytes)?),
        (ValueRef::Text(bytes), plan::Type::Bytea) => Value::Bytea(bytes.to_vec()),
        (ValueRef::Text(bytes), plan::Type::Date | plan::Type::Timestamp) => {
            Value::parse_text(&text(bytes)?, &column.ty.data_type())?
        }
        (ValueRef::Blob(bytes), plan::Type::Bytea) => Value::Bytea(bytes.to_vec()),
        (other, ty) => return Err(anyhow!("a {:?} does not fit {}", other.data_type(), ty.sql())),
    })
}

/// A REAL in a text column, as SQLite prints it: with a point.
fn real_text(x: f64) -> String {
    let text = x.to_string();
    if text.contains(['.', 'e', 'N', 'i']) { text } else { format!("{text}.0") }
}

/// The rows that were read are those that are there.
fn compare(tx: &Transaction, table: &Table, copied: u64) -> Outcome {
    let sql = format!("SELECT count(*) FROM {}", quoted(&table.name));
    let found: u64 = tx.query(&sql, &[])?.one()?.get(0)?;
    if found == table.rows && copied == table.rows {
        return Ok(());
    }
    let name = &table.name;
    Err(anyhow!("table {name} has {} rows in SQLite, {copied} were read and {found} stored", table.rows)
        .into())
}
