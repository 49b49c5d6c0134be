//! INSERT of literal or parameter rows without planning and without parsing it twice.
//!
//! A text of this kind is remembered with its table's definition: what is left for each execution is to read the
//! parameters as the columns' types, add defaults and call the engine.

use std::collections::HashMap;
use std::sync::Arc;

use cairn_engine::Table;
use cairn_types::{ColumnBuilder, Value};
use parking_lot::Mutex;
use sqlparser::ast::{Expr, Insert, Statement, TableObject};

use super::default::Default;
use super::target::batch_of;
use super::{insert, literal, target};
use crate::Result;
use crate::context::Context;

/// Texts that are remembered.
const REMEMBERED_MAX: usize = 256;
/// Longest text that is remembered, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The remembered texts of one database.
#[derive(Default)]
pub(crate) struct PointInserts {
    by_text: Mutex<HashMap<String, Arc<PointInsert>>>,
}

/// An INSERT … VALUES of literals, parameters and DEFAULT.
pub(crate) struct PointInsert {
    version: u64,
    search_path: Vec<String>,
    table: Arc<Table>,
    /// For each row, for each live column, what it gets.
    rows: Vec<Vec<Cell>>,
}

enum Cell {
    /// A literal or parameter.
    Given(Box<Expr>),
    Default(Default),
}

impl PointInserts {
    /// The plan of that text, if it is remembered and nothing has changed since.
    pub(crate) fn get(&self, context: &Context, sql: &str) -> Result<Option<Arc<PointInsert>>> {
        let Some(found) = self.by_text.lock().get(sql).cloned() else { return Ok(None) };
        let current = found.version == context.catalog_version()
            && found.search_path == context.scope.settings.search_path;
        if !current {
            self.by_text.lock().remove(sql);
        }
        Ok(current.then_some(found))
    }

    /// Whether that text is remembered, perhaps for another schema version.
    pub(crate) fn knows(&self, sql: &str) -> bool {
        sql.len() <= TEXT_BYTES_MAX && self.by_text.lock().contains_key(sql)
    }

    /// Remembers a statement that has run, if it is of this kind.
    pub(crate) fn remember(&self, context: &Context, sql: &str, statement: &Statement) -> Result<()> {
        if sql.len() > TEXT_BYTES_MAX || context.txn().has_ddl() {
            return Ok(());
        }
        let Statement::Insert(insert) = statement else { return Ok(()) };
        if self.by_text.lock().get(sql).is_some_and(|known| known.version == context.catalog_version()) {
            return Ok(());
        }
        if let Some(plan) = plan(context, insert)? {
            let mut all = self.by_text.lock();
            if all.len() >= REMEMBERED_MAX {
                all.clear();
            }
            all.insert(sql.to_owned(), Arc::new(plan));
        }
        Ok(())
    }
}

fn plan(context: &Context, statement: &Insert) -> Result<Option<PointInsert>> {
    let (TableObject::TableName(name), None, None) = (&statement.table, &statement.on, &statement.returning)
    else {
        return Ok(None);
    };
    if !statement.optimizer_hints.is_empty() {
        return Ok(None);
    }
    let Some(values) = statement.source.as_deref().and_then(insert::values_of) else { return Ok(None) };
    let table = target::find(context, name, "INSERT")?;
    let given = insert::columns(&table, statement)?;
    let mut rows = Vec::with_capacity(values.len());
    for value in values {
        let mut cells = Vec::with_capacity(table.live_columns().len());
        for (place, column) in table.live_columns().enumerate() {
            let expr = given.iter().position(|p| *p == place).and_then(|at| value.content.get(at));
            cells.push(match expr {
                Some(expr) if !literal::is_default(expr) => {
                    if !is_literal(expr) || column.identity.is_some_and(|i| i.always) {
                        return Ok(None);
                    }
                    Cell::Given(Box::new(expr.clone()))
                }
                _ => match Default::of(context, column)? {
                    Default::Expression(_) => return Ok(None),
                    default => Cell::Default(default),
                },
            });
        }
        rows.push(cells);
    }
    let search_path = context.scope.settings.search_path.clone();
    Ok(Some(PointInsert { version: context.catalog_version(), search_path, table, rows }))
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_literal(inner),
        Expr::Value(_) => true,
        Expr::UnaryOp { expr, .. } => matches!(&**expr, Expr::Value(_)),
        _ => false,
    }
}

impl PointInsert {
    /// The table inserted into.
    pub(crate) fn table_id(&self) -> cairn_engine::catalog::ObjectId {
        self.table.id
    }

    /// Inserts the rows; returns how many.
    ///
    /// # Errors
    /// As any INSERT.
    pub(crate) fn run(&self, context: &Context) -> Result<u64> {
        let (params, zone) = (&context.scope.params, context.zone());
        let columns: Vec<_> = self.table.live_columns().collect();
        let mut builders: Vec<ColumnBuilder> =
            columns.iter().map(|c| ColumnBuilder::with_capacity(&c.ty, self.rows.len())).collect();
        for cells in &self.rows {
            for ((cell, column), builder) in cells.iter().zip(&columns).zip(&mut builders) {
                let value = match cell {
                    Cell::Given(expr) => {
                        literal::value(expr, &column.ty, &column.name, params, zone)?.unwrap_or(Value::Null)
                    }
                    Cell::Default(default) => default.value(context, column)?,
                };
                builder.push(&value)?;
            }
        }
        let arrays =
            builders.iter_mut().map(ColumnBuilder::finish).collect::<std::result::Result<Vec<_>, _>>()?;
        let batch = batch_of(&self.table, arrays, self.rows.len())?;
        let inserted = cairn_engine::table::insert(
            context.txn(),
            &self.table,
            &batch,
            cairn_engine::table::OnConflict::Error,
        )?;
        Ok(inserted.rows as u64)
    }
}
