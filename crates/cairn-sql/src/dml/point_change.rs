//! UPDATE and DELETE of one row by its whole primary key, or that of a unique index, planned once: `UPDATE t SET n = n + $1 WHERE id = $2`.
//!
//! Literals and parameters alone are read as the column's type, as INSERT does; other expressions over the row and the
//! parameters are compiled to physical expressions, the same that the general way would run. What is left for each
//! execution is to read the row, evaluate, and call the engine, on the caller's thread.
//!
//! I1: in a compiled expression a parameter is a column of the type that its value had; values of other types, NULL, and
//! text, whose type its place decides, go the general way.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use bytes::Bytes;
use cairn_engine::table::RowLock;
use cairn_engine::{Error as EngineError, KeyLock, ReadView, Table, Wait, table};
use cairn_types::{ColumnBuilder, DataType, Value};
use datafusion::physical_expr::PhysicalExpr;
use sqlparser::ast::{
    Delete, Expr, FromTable, Query, Statement, TableWithJoins, Update, Value as Literal, VisitMut, VisitorMut,
};

use super::assign::assign_array;
use super::relations::{self, quoted};
use super::target::{self, batch_with, relaxed};
use super::update::{NewValue, assignments, changed_table};
use super::{literal, point};
use crate::Result;
use crate::context::Context;
use crate::query::point_key::PointKey;

/// Begins the names of the columns that parameters are.
const PARAMETER: &str = "__cairn_parameter_";

/// A remembered UPDATE or DELETE.
pub(crate) struct PointChange {
    pub(crate) table: Arc<Table>,
    key: PointKey,
    change: Change,
}

enum Change {
    Delete,
    Update(Assignments),
}

struct Assignments {
    /// What each column assigned gets, by its place.
    new: Vec<(usize, New)>,
    /// Their places.
    changed: Vec<usize>,
    /// That of the table's rows.
    schema: SchemaRef,
    /// The columns that compiled expressions see: the table's, then the parameters'.
    inputs: SchemaRef,
    /// The parameters in them, counted from 0, with their types.
    parameters: BTreeMap<usize, DataType>,
}

enum New {
    /// A literal or parameter.
    Given(Box<Expr>),
    /// An expression and its type.
    Computed(Arc<dyn PhysicalExpr>, DataType),
}

/// The plan of a statement that has just run, if it is of this kind.
pub(super) fn plan(context: &Context, sql: &str, statement: &Statement) -> Result<Option<PointChange>> {
    match statement {
        Statement::Update(update) => plan_update(context, sql, update),
        Statement::Delete(delete) => plan_delete(context, delete),
        _ => Ok(None),
    }
}

/// The table, what qualifies its columns, and the key.
fn target_of(
    context: &Context,
    factor: &TableWithJoins,
    selection: Option<&Expr>,
    verb: &str,
) -> Result<Option<(Arc<Table>, String, PointKey)>> {
    let Some(selection) = selection else { return Ok(None) };
    let (name, alias) = changed_table(factor)?;
    let table = target::find(context, name, verb)?;
    // Row keys of partitioned tables are not made of their primary keys alone.
    if table.is_partitioned() {
        return Ok(None);
    }
    if context.txn().catalog().row_security(context.role(), table.id).is_some() {
        return Ok(None);
    }
    let all = context.catalog()?;
    let followed = all.children(table.id).next().is_some();
    if !table.triggers.is_empty() || followed && all.tables().any(|table| !table.triggers.is_empty()) {
        return Ok(None);
    }
    let alias = alias.unwrap_or_else(|| table.name.clone());
    let key = PointKey::of(&table, &alias, selection);
    Ok(key.map(|key| (table, alias, key)))
}

fn plan_delete(context: &Context, delete: &Delete) -> Result<Option<PointChange>> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let ([factor], None, None) = (from.as_slice(), &delete.using, &delete.returning) else { return Ok(None) };
    let target = target_of(context, factor, delete.selection.as_ref(), "DELETE")?;
    Ok(target.map(|(table, _, key)| PointChange { table, key, change: Change::Delete }))
}

fn plan_update(context: &Context, sql: &str, update: &Update) -> Result<Option<PointChange>> {
    if update.from.is_some() || update.returning.is_some() {
        return Ok(None);
    }
    let Some((table, alias, key)) = target_of(context, &update.table, update.selection.as_ref(), "UPDATE")?
    else {
        return Ok(None);
    };
    if !table.generated_places().is_empty() {
        return Ok(None);
    }
    let (mut new, mut exprs) = (Vec::new(), Vec::new());
    let list = super::composite::assignments(&table, &alias, &update.assignments)?;
    for assigned in assignments(context, &table, &list)? {
        let NewValue::Expr(expr) = assigned.value else { return Ok(None) };
        if point::is_literal(&expr) {
            new.push((assigned.place, New::Given(expr)));
        } else {
            exprs.push((assigned.place, *expr));
        }
    }
    // Compiling is worth it for what runs again.
    if !exprs.is_empty() && !context.scope.shared.reuse.is_seen(sql) {
        return Ok(None);
    }
    let Some((parameters, exprs)) = with_columns(&context.scope.params, exprs) else { return Ok(None) };
    let schema = relaxed(&table);
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    fields.extend(parameters.iter().map(|(at, ty)| Arc::new(ty.to_field(format!("{PARAMETER}{at}"), false))));
    let inputs = Arc::new(Schema::new(fields));
    for (place, expr) in exprs {
        match relations::compile(context, &alias, &inputs, expr)? {
            Some(compiled) if compiled.is_immutable => {
                new.push((place, New::Computed(compiled.expr, compiled.ty)))
            }
            _ => return Ok(None),
        }
    }
    let changed = new.iter().map(|(place, _)| *place).collect();
    let change = Change::Update(Assignments { new, changed, schema, inputs, parameters });
    Ok(Some(PointChange { table, key, change }))
}

/// Parameters with their types, counted from 0.
type Parameters = BTreeMap<usize, DataType>;

/// The expressions with columns in the place of parameters; `None` where one has a subquery or a parameter of I1.
fn with_columns(values: &[Value], mut exprs: Vec<(usize, Expr)>) -> Option<(Parameters, Vec<(usize, Expr)>)> {
    struct Columns<'v> {
        values: &'v [Value],
        found: Parameters,
    }
    impl VisitorMut for Columns<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
            let Literal::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
            let number = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
            let at = number.and_then(|n| n.checked_sub(1));
            let typed = at.and_then(|at| Some((at, type_of(self.values.get(at)?)?)));
            let Some((at, ty)) = typed else { return ControlFlow::Break(()) };
            self.found.insert(at, ty);
            *expr = Expr::Identifier(quoted(&format!("{PARAMETER}{at}")));
            ControlFlow::Continue(())
        }
    }
    let mut columns = Columns { values, found: Parameters::new() };
    for (_, expr) in &mut exprs {
        if VisitMut::visit(expr, &mut columns).is_break() {
            return None;
        }
    }
    Some((columns.found, exprs))
}

/// The type of a parameter that can be a column (I1).
fn type_of(value: &Value) -> Option<DataType> {
    let is_typed = matches!(
        value,
        Value::SmallInt(_)
            | Value::Integer(_)
            | Value::BigInt(_)
            | Value::Real(_)
            | Value::Double(_)
            | Value::Numeric(_)
            | Value::Boolean(_)
            | Value::Date(_)
            | Value::Time(_)
            | Value::Timestamp(_)
            | Value::TimestampTz(_)
            | Value::Interval(_)
            | Value::Uuid(_)
    );
    if is_typed { value.data_type() } else { None }
}

impl PointChange {
    /// Changes the row; how many there were. `None` where the statement must go the general way: nothing has happened.
    ///
    /// # Errors
    /// As any UPDATE or DELETE.
    pub(super) fn run(&self, context: &Context) -> Result<Option<u64>> {
        let Some(key) = self.key.encode(&context.scope.params) else { return Ok(None) };
        let given = match &self.change {
            Change::Delete => Vec::new(),
            Change::Update(assignments) => {
                let params = &context.scope.params;
                let is_alike =
                    |(at, ty): (&usize, &DataType)| params.get(*at).and_then(type_of).as_ref() == Some(ty);
                if !assignments.parameters.iter().all(is_alike) {
                    return Ok(None);
                }
                // What does not fit is an error, which the general way words, perhaps even where no row is met.
                let Ok(given) = assignments.given(context, &self.table) else { return Ok(None) };
                given
            }
        };
        let txn = context.txn();
        let view = txn.view()?;
        let Some(row) = self.key.row_key(&view, &self.table, key.clone())? else { return Ok(Some(0)) };
        match self.change_row(context, &view, &row, &given)? {
            Ok(rows) => return Ok(Some(rows as u64)),
            Err(EngineError::RowsChanged) => {}
            Err(error) => return Err(error.into()),
        }
        // Somebody else has changed it: locked, it is looked at as it is now, if it still has the key.
        let mode = match &self.change {
            Change::Delete => KeyLock::Update,
            Change::Update(assignments) => table::update_lock(&self.table, &assignments.changed)?,
        };
        let locked = table::lock_rows(txn, &self.table, std::slice::from_ref(&row), mode, Wait::Block)?;
        let still = self.key.row_key(&locked.view, &self.table, key)?;
        if locked.rows == [RowLock::Gone] || still.as_ref() != Some(&row) {
            return Ok(Some(0));
        }
        Ok(Some(self.change_row(context, &locked.view, &row, &given)?? as u64))
    }

    /// The command's word.
    pub(super) fn verb(&self) -> &'static str {
        match self.change {
            Change::Delete => "DELETE",
            Change::Update(_) => "UPDATE",
        }
    }

    /// Changes the row of a row key as a view shows it; how many there were.
    fn change_row(
        &self,
        context: &Context,
        view: &ReadView,
        row: &Bytes,
        given: &[Option<ArrayRef>],
    ) -> Result<std::result::Result<usize, EngineError>> {
        let keys = std::slice::from_ref(row);
        let assignments = match &self.change {
            Change::Delete => {
                if table::get(view, &self.table, keys, &[])?.found.is_empty() {
                    return Ok(Ok(0));
                }
                return Ok(table::delete(context.txn(), &self.table, keys));
            }
            Change::Update(assignments) => assignments,
        };
        let all: Vec<usize> = (0..self.table.live_columns().len()).collect();
        let old = table::get(view, &self.table, keys, &all)?;
        if old.found.is_empty() {
            return Ok(Ok(0));
        }
        let new = assignments.new_row(context, &self.table, &old.batch, given)?;
        Ok(table::update(context.txn(), &self.table, keys, &new, &assignments.changed))
    }
}

impl Assignments {
    /// The literals and parameters as values of their columns, `None` in the place of others.
    fn given(&self, context: &Context, table: &Table) -> Result<Vec<Option<ArrayRef>>> {
        let (params, zone) = (&context.scope.params, context.zone());
        let one = |(place, new): &(usize, New)| {
            let New::Given(expr) = new else { return Ok(None) };
            let column = table.live_column(*place);
            let value = literal::value(expr, &column.ty, &column.name, params, zone)?;
            single(&column.ty, &value.unwrap_or(Value::Null)).map(Some)
        };
        self.new.iter().map(one).collect()
    }

    /// The row as it becomes.
    fn new_row(
        &self,
        context: &Context,
        table: &Table,
        old: &RecordBatch,
        given: &[Option<ArrayRef>],
    ) -> Result<RecordBatch> {
        let mut columns = old.columns().to_vec();
        let mut inputs = columns.clone();
        for (at, ty) in &self.parameters {
            inputs.push(single(ty, context.scope.params.get(*at).unwrap_or(&Value::Null))?);
        }
        let inputs = batch_with(Arc::clone(&self.inputs), inputs, 1)?;
        for ((place, new), given) in self.new.iter().zip(given) {
            let column = table.live_column(*place);
            columns[*place] = match (new, given) {
                (_, Some(given)) => Arc::clone(given),
                (New::Computed(expr, from), None) => {
                    let value = expr.evaluate(&inputs)?.into_array(1)?;
                    assign_array(&value, from, &column.ty, &column.name, false, context.zone())?
                }
                (New::Given(_), None) => return Err(crate::Error::internal("a value given has none")),
            };
        }
        batch_with(Arc::clone(&self.schema), columns, 1)
    }
}

/// A column of one value.
fn single(ty: &DataType, value: &Value) -> Result<ArrayRef> {
    let mut builder = ColumnBuilder::with_capacity(ty, 1);
    builder.push(value)?;
    Ok(builder.finish()?)
}
