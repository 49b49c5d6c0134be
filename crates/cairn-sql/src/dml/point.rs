//! Writes of rows that the statement names, without planning and without parsing it twice: INSERT of literals and
//! parameters, with ON CONFLICT too, UPDATE and DELETE by primary key ([`super::point_change`]).
//!
//! A text of this kind is remembered with its table's definition. What is left of an INSERT for each execution is to
//! read the parameters as the columns' types, add defaults and call the engine.
//!
//! I1: a plan is used only at the schema version and under the settings at which it was made.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use cairn_engine::table::RowInsert;
use cairn_engine::{Isolation, Table};
use cairn_types::key::{KeyOrder, encode_value};
use cairn_types::{ColumnBuilder, Value};
use parking_lot::Mutex;
use sqlparser::ast::{Expr, Insert, OnInsert, Statement, TableObject, Value as Literal, Visit, Visitor};

use super::conflict::Conflict;
use super::default::Default;
use super::inserter::Inserter;
use super::point_change::{self, Assignments, PointChange};
use super::target::{batch_with, relaxed};
use super::update::{Assigned, NewValue};
use super::{insert, literal, target};
use crate::Result;
use crate::context::Context;
use crate::results::StatementResult;
use crate::session::settings::Settings;
use crate::session::variables::fold;

/// Texts that are remembered.
const REMEMBERED_MAX: usize = 256;
/// Longest text that is remembered, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The remembered texts of one database.
#[derive(Default)]
pub(crate) struct PointWrites {
    by_text: Mutex<HashMap<String, Arc<PointWrite>>>,
    hits: AtomicU64,
}

/// A statement that writes rows it names.
pub(crate) struct PointWrite {
    version: u64,
    settings: Arc<Settings>,
    kind: Kind,
}

enum Kind {
    Insert(Box<PointInsert>),
    Change(PointChange),
}

/// An INSERT … VALUES of literals, parameters, DEFAULT, and what [`Default::recognised`] knows.
struct PointInsert {
    table: Arc<Table>,
    /// That of its rows.
    schema: SchemaRef,
    /// For each row, for each live column, what it gets.
    rows: Vec<Vec<Cell>>,
    /// ON CONFLICT, without parameters, and what the table goes by in it.
    on: Option<Box<(OnInsert, String)>>,
    /// Where there is one row, which concerns nothing else.
    single: Option<RowInsert>,
    /// What ON CONFLICT (key) DO UPDATE does then, if it too concerns the row alone.
    update: Option<Assignments>,
}

enum Cell {
    /// A literal or parameter.
    Given(Box<Expr>),
    Default(Default),
}

impl PointWrites {
    /// The plan of that text, if it is remembered and nothing has changed since.
    pub(crate) fn get(&self, context: &Context, sql: &str) -> Option<Arc<PointWrite>> {
        let found = self.by_text.lock().get(sql).cloned()?;
        let current =
            found.version == context.catalog_version() && found.settings.plans_like(&context.scope.settings);
        if !current {
            self.by_text.lock().remove(sql);
        }
        self.hits.fetch_add(u64::from(current), Ordering::Relaxed);
        current.then_some(found)
    }

    /// Texts that are remembered, and how often one served.
    pub(crate) fn usage(&self) -> (usize, u64) {
        (self.by_text.lock().len(), self.hits.load(Ordering::Relaxed))
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
        let version = context.catalog_version();
        if self.by_text.lock().get(sql).is_some_and(|known| known.version == version) {
            return Ok(());
        }
        let kind = match statement {
            Statement::Insert(insert) => plan(context, sql, insert)?.map(Box::new).map(Kind::Insert),
            // What cannot be planned with typed parameters goes the general way.
            other => point_change::plan(context, sql, other).ok().flatten().map(Kind::Change),
        };
        if let Some(kind) = kind {
            let settings = Arc::clone(&context.scope.settings);
            let mut all = self.by_text.lock();
            if all.len() >= REMEMBERED_MAX {
                all.clear();
            }
            all.insert(sql.to_owned(), Arc::new(PointWrite { version, settings, kind }));
        }
        Ok(())
    }
}

impl PointWrite {
    /// The table written to.
    pub(crate) fn table_id(&self) -> cairn_engine::catalog::ObjectId {
        match &self.kind {
            Kind::Insert(insert) => insert.table.id,
            Kind::Change(change) => change.table.id,
        }
    }

    /// Whether it writes by one call of the engine, so that nothing has happened where it fails.
    pub(crate) fn is_one_call(&self) -> bool {
        match &self.kind {
            Kind::Insert(insert) => insert.on.is_none(),
            Kind::Change(_) => true,
        }
    }

    /// Writes; `None` where the statement must go the general way, and nothing has happened.
    ///
    /// # Errors
    /// As the statement.
    pub(crate) fn run(&self, context: &Context) -> Result<Option<StatementResult>> {
        Ok(match &self.kind {
            Kind::Insert(insert) => {
                let rows = insert.run(context)?;
                Some(StatementResult::Command { tag: format!("INSERT 0 {rows}"), rows })
            }
            Kind::Change(change) => change.run(context)?.map(|rows| {
                let tag = format!("{} {rows}", change.verb());
                StatementResult::Command { tag, rows }
            }),
        })
    }
}

fn plan(context: &Context, sql: &str, statement: &Insert) -> Result<Option<PointInsert>> {
    let (TableObject::TableName(name), None) = (&statement.table, &statement.returning) else {
        return Ok(None);
    };
    if statement.on.as_ref().is_some_and(has_parameters) || !statement.optimizer_hints.is_empty() {
        return Ok(None);
    }
    let Some(values) = statement.source.as_deref().and_then(insert::values_of) else { return Ok(None) };
    // A view is none.
    let Ok(table) = target::find(context, name, "INSERT") else { return Ok(None) };
    if context.txn().catalog().row_security(context.role(), table.id).is_some() {
        return Ok(None);
    }
    if !table.generated_places().is_empty() || !table.triggers.is_empty() {
        return Ok(None);
    }
    if super::composite::insert(&table, statement)?.is_some() {
        return Ok(None);
    }
    let given = insert::columns(&table, statement)?;
    let mut rows = Vec::with_capacity(values.len());
    for value in values {
        let mut cells = Vec::with_capacity(table.live_columns().len());
        for (place, column) in table.live_columns().enumerate() {
            let expr = given.iter().position(|p| *p == place).and_then(|at| value.content.get(at));
            cells.push(match expr {
                Some(expr) if !literal::is_default(expr) => {
                    if column.identity.is_some_and(|i| i.always) {
                        return Ok(None);
                    }
                    if is_literal(expr) {
                        Cell::Given(Box::new(expr.clone()))
                    } else {
                        let Some(made) = Default::recognised(context, expr, column)? else { return Ok(None) };
                        Cell::Default(made)
                    }
                }
                _ => match Default::of(context, column)? {
                    Default::Expression(_) => return Ok(None),
                    default => Cell::Default(default),
                },
            });
        }
        rows.push(cells);
    }
    let schema = relaxed(&table);
    let alias = statement.table_alias.as_ref().map_or_else(|| table.name.clone(), |alias| fold(&alias.alias));
    let single = match rows.len() {
        1 => RowInsert::of(&table)?,
        _ => None,
    };
    let mut update = None;
    if let (Some(on), true) = (&statement.on, single.is_some() && !table.has_hidden_key()) {
        let assigned = Conflict::read(context, &table, &alias, on)?.into_assigned();
        let is_simple = |assigned: &Vec<Assigned>| {
            let is_copied =
                |assigned: &Assigned| matches!(&assigned.value, NewValue::Expr(expr) if !is_computed(expr));
            assigned.iter().all(is_copied)
        };
        // Compiling is worth it for what runs again.
        if assigned.as_ref().is_some_and(|all| !is_simple(all) && !context.scope.shared.reuse.is_seen(sql)) {
            return Ok(None);
        }
        if let Some(assigned) = assigned {
            update = point_change::of_conflict(context, &table, &alias, assigned).ok().flatten();
        }
    }
    let on = statement.on.clone().map(|on| Box::new((on, alias)));
    Ok(Some(PointInsert { table, schema, rows, on, single, update }))
}

/// Whether a value is more than a literal, a parameter or a column.
fn is_computed(expr: &Expr) -> bool {
    !is_literal(expr) && !matches!(expr, Expr::CompoundIdentifier(_))
}

/// Whether a clause has parameters.
fn has_parameters(clause: &OnInsert) -> bool {
    struct Found;
    impl Visitor for Found {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Value(value) if matches!(value.value, Literal::Placeholder(_)) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    clause.visit(&mut Found).is_break()
}

/// Whether an expression is a literal or parameter, and nothing else.
pub(super) fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_literal(inner),
        Expr::Value(_) => true,
        Expr::UnaryOp { expr, .. } => matches!(&**expr, Expr::Value(_)),
        _ => false,
    }
}

impl PointInsert {
    /// Inserts the rows; returns how many.
    ///
    /// # Errors
    /// As any INSERT.
    fn run(&self, context: &Context) -> Result<u64> {
        let (params, zone) = (&context.scope.params, context.zone());
        let columns: Vec<_> = self.table.live_columns().collect();
        let mut rows: Vec<Vec<Value>> = Vec::with_capacity(self.rows.len());
        for cells in &self.rows {
            let mut row = Vec::with_capacity(columns.len());
            for (cell, column) in cells.iter().zip(&columns) {
                row.push(match cell {
                    Cell::Given(expr) => {
                        literal::value(expr, &column.ty, &column.name, params, zone)?.unwrap_or(Value::Null)
                    }
                    Cell::Default(default) => default.value(context, column)?,
                });
            }
            rows.push(row);
        }
        if let [row] = rows.as_slice()
            && self.run_single(context, row)?
        {
            return Ok(1);
        }
        let mut arrays = Vec::with_capacity(columns.len());
        for (place, column) in columns.iter().enumerate() {
            let mut builder = ColumnBuilder::with_capacity(&column.ty, rows.len());
            rows.iter().try_for_each(|row| builder.push(&row[place]))?;
            arrays.push(builder.finish()?);
        }
        if let Some((on, alias)) = self.on.as_deref() {
            let conflict = Conflict::read(context, &self.table, alias, on)?;
            let given = (0..columns.len()).collect();
            let inserter = Inserter::new(context, Arc::clone(&self.table), given)?;
            let mut inserter = inserter.on_conflict(Some(conflict));
            inserter.push(arrays, self.rows.len())?;
            return Ok(inserter.count);
        }
        let batch = batch_with(Arc::clone(&self.schema), arrays, self.rows.len())?;
        let inserted = cairn_engine::table::insert(
            context.txn(),
            &self.table,
            &batch,
            cairn_engine::table::OnConflict::Error,
        )?;
        Ok(inserted.rows as u64)
    }

    /// Inserts a row, or updates the one in its way, where nothing else is concerned; whether it has.
    fn run_single(&self, context: &Context, row: &[Value]) -> Result<bool> {
        let Some(single) = &self.single else { return Ok(false) };
        if self.on.is_none() {
            return Ok(single.run(context.txn(), &self.table, row)?.is_some());
        }
        // Under Repeatable Read a row that the snapshot does not have is an error.
        let Some(update) =
            self.update.as_ref().filter(|_| context.txn().options().isolation != Isolation::RepeatableRead)
        else {
            return Ok(false);
        };
        if !single.accepts(&self.table, row)? {
            return Ok(false);
        }
        let mut key = Vec::with_capacity(32);
        for place in self.table.primary_key_places() {
            let ty = &self.table.live_column(place).ty;
            if encode_value(&row[place], ty, KeyOrder::ASCENDING, &mut key).is_err() {
                return Ok(false);
            }
        }
        match update.run_on_conflict(context, &self.table, &key, row)? {
            Some(0) => Ok(single.run(context.txn(), &self.table, row)?.is_some()),
            updated => Ok(updated.is_some()),
        }
    }
}
