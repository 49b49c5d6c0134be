//! UPDATE and DELETE of one row by its whole primary key, or that of a unique index, planned once: `UPDATE t SET n = n + $1 WHERE id = $2`.
//!
//! Literals and parameters alone are read as the column's type, as INSERT does; other expressions over the row and the
//! parameters are compiled to physical expressions, the same that the general way would run. What is left for each
//! execution is to read the row, evaluate, and call the engine, on the caller's thread. Where nothing but the row is concerned
//! its new values replace the old ones in its code ([`RowUpdate`]); else it goes through a batch of one row.
//!
//! I1: in a compiled expression a parameter is a column of the type that its value had; values of other types, NULL, and
//! text, whose type its place decides, go the general way.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use bytes::Bytes;
use cairn_engine::table::{OldRow, RowLock, RowUpdate, WhichRow};
use cairn_engine::{Error as EngineError, KeyLock, ReadView, Table, Wait, table};
use cairn_types::{DataType, Value};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use sqlparser::ast::{
    Delete, Expr, FromTable, Query, Statement, TableWithJoins, Update, Value as Literal, VisitMut, VisitorMut,
};

use super::assign::assign_array;
use super::relations::{self, quoted};
use super::target::{self, batch_with, relaxed};
use super::update::{Assigned, NewValue, assignments, changed_table};
use super::{literal, point};
use crate::Result;
use crate::context::Context;
use crate::query::point_key::PointKey;
use crate::session::variables::fold;

/// Begins the names of the columns that parameters are.
const PARAMETER: &str = "__cairn_parameter_";
/// Begins the names of the columns of a row proposed for insertion.
const PROPOSED: &str = "__cairn_proposed_";

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

/// What the columns of a row get.
pub(super) struct Assignments {
    /// What each column assigned gets, by its place.
    new: Vec<(usize, New)>,
    /// Their places.
    changed: Vec<usize>,
    /// That of the table's rows.
    schema: SchemaRef,
    /// The columns that compiled expressions see, and what they are.
    inputs: SchemaRef,
    sources: Vec<Source>,
    /// The parameters in them, counted from 0, with their types.
    parameters: Parameters,
    /// Where only the row is concerned.
    single: Option<RowUpdate>,
}

enum New {
    /// A literal or parameter.
    Given(Box<Expr>),
    /// The value of the row proposed for insertion, at that place.
    Proposed(usize),
    /// An expression and its type.
    Computed(Arc<dyn PhysicalExpr>, DataType),
}

/// What a column of a compiled expression's input is.
enum Source {
    /// The table's column at that place.
    Column(usize),
    Parameter(usize, DataType),
    /// The column at that place of the row proposed for insertion.
    Proposed(usize),
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
    let assignments = compiled(context, &table, &alias, new, Columns::new(context), exprs)?;
    Ok(assignments.map(|assignments| PointChange { table, key, change: Change::Update(assignments) }))
}

/// What DO UPDATE of an INSERT of one row does, where it concerns the row alone; `None` where it must go the general way.
pub(super) fn of_conflict(
    context: &Context,
    table: &Table,
    alias: &str,
    assigned: Vec<Assigned>,
) -> Result<Option<Assignments>> {
    let (mut new, mut exprs) = (Vec::new(), Vec::new());
    for assigned in assigned {
        let NewValue::Expr(expr) = assigned.value else { return Ok(None) };
        let place = assigned.place;
        match proposed(table, &expr) {
            Some(from) if table.live_column(from).ty == table.live_column(place).ty => {
                new.push((place, New::Proposed(from)));
            }
            _ if point::is_literal(&expr) => new.push((place, New::Given(expr))),
            _ => exprs.push((place, *expr)),
        }
    }
    let assignments = compiled(context, table, alias, new, Columns::beside_proposed(context, table), exprs)?;
    Ok(assignments.filter(|assignments| assignments.single.is_some()))
}

/// The place of the column of `excluded` that an expression is.
fn proposed(table: &Table, expr: &Expr) -> Option<usize> {
    match expr {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [row, column] if fold(row) == "excluded" => table.column_place(&fold(column)),
            _ => None,
        },
        _ => None,
    }
}

/// Compiles the expressions, each for the column at its place; `None` where one cannot be.
fn compiled(
    context: &Context,
    table: &Table,
    alias: &str,
    mut new: Vec<(usize, New)>,
    mut columns: Columns<'_>,
    mut exprs: Vec<(usize, Expr)>,
) -> Result<Option<Assignments>> {
    for (_, expr) in &mut exprs {
        if VisitMut::visit(expr, &mut columns).is_break() {
            return Ok(None);
        }
    }
    let Columns { parameters, proposed, .. } = columns;
    let schema = relaxed(table);
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    let mut all: Vec<Source> = (0..fields.len()).map(Source::Column).collect();
    for (at, ty) in &parameters {
        fields.push(Arc::new(ty.to_field(format!("{PARAMETER}{at}"), false)));
        all.push(Source::Parameter(*at, ty.clone()));
    }
    for place in proposed {
        fields.push(Arc::new(table.live_column(place).ty.to_field(format!("{PROPOSED}{place}"), true)));
        all.push(Source::Proposed(place));
    }
    let fields = Arc::new(Schema::new(fields));
    let mut computed = Vec::new();
    for (place, expr) in exprs {
        match relations::compile(context, alias, &fields, expr)? {
            Some(compiled) if compiled.is_immutable => computed.push((place, compiled.expr, compiled.ty)),
            _ => return Ok(None),
        }
    }
    // Only what they read is given to them.
    let read: BTreeSet<usize> =
        computed.iter().flat_map(|(_, expr, _)| collect_columns(expr)).map(|column| column.index()).collect();
    let inputs = Arc::new(fields.project(&read.iter().copied().collect::<Vec<_>>())?);
    let numbered = all.into_iter().enumerate();
    let sources = numbered.filter(|(at, _)| read.contains(at)).map(|(_, source)| source).collect();
    for (place, expr, ty) in computed {
        new.push((place, New::Computed(reassign_expr_columns(expr, &inputs)?, ty)));
    }
    let changed: Vec<usize> = new.iter().map(|(place, _)| *place).collect();
    let single = RowUpdate::of(table, &changed)?;
    Ok(Some(Assignments { new, changed, schema, inputs, sources, parameters, single }))
}

/// Parameters with their types, counted from 0.
type Parameters = BTreeMap<usize, DataType>;

/// Puts columns in the place of parameters, and of `excluded`; ends at a subquery and at a parameter of I1.
struct Columns<'c> {
    values: &'c [Value],
    /// The table, where there is a row proposed for insertion.
    beside: Option<&'c Table>,
    parameters: Parameters,
    proposed: BTreeSet<usize>,
}

impl<'c> Columns<'c> {
    fn new(context: &'c Context) -> Columns<'c> {
        let values = &context.scope.params;
        Columns { values, beside: None, parameters: Parameters::new(), proposed: BTreeSet::new() }
    }

    fn beside_proposed(context: &'c Context, table: &'c Table) -> Columns<'c> {
        Columns { beside: Some(table), ..Columns::new(context) }
    }
}

impl VisitorMut for Columns<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(table) = self.beside {
            if let Some(place) = proposed(table, expr) {
                self.proposed.insert(place);
                *expr = Expr::Identifier(quoted(&format!("{PROPOSED}{place}")));
                return ControlFlow::Continue(());
            }
            // Without a table a name may be of either row, which is an error.
            if matches!(expr, Expr::Identifier(_)) {
                return ControlFlow::Break(());
            }
        }
        let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
        let Literal::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        let number = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
        let at = number.and_then(|n| n.checked_sub(1));
        let typed = at.and_then(|at| Some((at, type_of(self.values.get(at)?)?)));
        let Some((at, ty)) = typed else { return ControlFlow::Break(()) };
        self.parameters.insert(at, ty);
        *expr = Expr::Identifier(quoted(&format!("{PARAMETER}{at}")));
        ControlFlow::Continue(())
    }
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
            Change::Update(assignments) => match assignments.given(context, &self.table) {
                Some(given) => given,
                None => return Ok(None),
            },
        };
        if let Change::Update(assignments) = &self.change
            && let Some(single) = &assignments.single
            && self.key.is_primary()
        {
            let new = |row: &OldRow<'_>| assignments.new_values(context, &self.table, row, &[], &given);
            match single.run(context.txn(), &self.table, &key, WhichRow::OfStatement, new) {
                Ok(Some(rows)) => return Ok(Some(rows as u64)),
                Ok(None) | Err(EngineError::RowsChanged) => {}
                Err(error) => return Err(error.into()),
            }
        }
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
        given: &[Option<Value>],
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
    /// Updates the row in the way of one that is proposed for insertion; how many there were. `None` where the statement must go
    /// the general way: nothing has happened.
    ///
    /// # Errors
    /// As any UPDATE.
    pub(super) fn run_on_conflict(
        &self,
        context: &Context,
        table: &Table,
        key: &[u8],
        row: &[Value],
    ) -> Result<Option<usize>> {
        let (Some(single), Some(given)) = (&self.single, self.given(context, table)) else { return Ok(None) };
        let new = |old: &OldRow<'_>| self.new_values(context, table, old, row, &given);
        Ok(single.run(context.txn(), table, key, WhichRow::Newest, new)?)
    }

    /// The literals and parameters as values of their columns, `None` in the place of others. `None` where the statement must go
    /// the general way: what does not fit is an error there, perhaps even where no row is met.
    fn given(&self, context: &Context, table: &Table) -> Option<Vec<Option<Value>>> {
        let (params, zone) = (&context.scope.params, context.zone());
        let is_alike = |(at, ty): (&usize, &DataType)| params.get(*at).and_then(type_of).as_ref() == Some(ty);
        if !self.parameters.iter().all(is_alike) {
            return None;
        }
        let one = |(place, new): &(usize, New)| {
            let New::Given(expr) = new else { return Some(None) };
            let column = table.live_column(*place);
            let value = literal::value(expr, &column.ty, &column.name, params, zone).ok()?;
            Some(Some(value.unwrap_or(Value::Null)))
        };
        self.new.iter().map(one).collect()
    }

    /// The new values of a row, in the order of the columns assigned; `None` where the general way is to word what is wrong.
    fn new_values(
        &self,
        context: &Context,
        table: &Table,
        row: &OldRow<'_>,
        proposed: &[Value],
        given: &[Option<Value>],
    ) -> std::result::Result<Option<Vec<Value>>, EngineError> {
        let mut columns = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            let column = match source {
                Source::Column(place) => {
                    Value::to_array(&[row.value(*place)?], &table.live_column(*place).ty)?
                }
                Source::Parameter(at, ty) => parameter(context, *at, ty)?,
                Source::Proposed(place) => {
                    Value::to_array(&proposed[*place..=*place], &table.live_column(*place).ty)?
                }
            };
            columns.push(column);
        }
        let mut values = Vec::with_capacity(self.new.len());
        let Ok(inputs) = batch_with(Arc::clone(&self.inputs), columns, 1) else { return Ok(None) };
        for ((place, new), given) in self.new.iter().zip(given) {
            values.push(match (new, given) {
                (_, Some(given)) => given.clone(),
                (New::Proposed(from), None) => proposed[*from].clone(),
                (new, None) => {
                    let Ok(array) = new.evaluate(context, table, *place, &inputs) else { return Ok(None) };
                    Value::from_array(array.as_ref(), 0, &table.live_column(*place).ty)
                }
            });
        }
        Ok(Some(values))
    }

    /// The row as it becomes.
    fn new_row(
        &self,
        context: &Context,
        table: &Table,
        old: &RecordBatch,
        given: &[Option<Value>],
    ) -> Result<RecordBatch> {
        let mut columns = old.columns().to_vec();
        let input = |source: &Source| match source {
            Source::Column(place) => Ok(Arc::clone(&columns[*place])),
            Source::Parameter(at, ty) => parameter(context, *at, ty),
            Source::Proposed(_) => Err(EngineError::InvalidArgument("an UPDATE proposes no row".to_owned())),
        };
        let inputs = self.sources.iter().map(input).collect::<std::result::Result<Vec<_>, EngineError>>()?;
        let inputs = batch_with(Arc::clone(&self.inputs), inputs, 1)?;
        for ((place, new), given) in self.new.iter().zip(given) {
            columns[*place] = match given {
                Some(given) => Value::to_array(std::slice::from_ref(given), &table.live_column(*place).ty)?,
                None => new.evaluate(context, table, *place, &inputs)?,
            };
        }
        batch_with(Arc::clone(&self.schema), columns, 1)
    }
}

impl New {
    /// The value of an expression for the column at that place.
    fn evaluate(
        &self,
        context: &Context,
        table: &Table,
        place: usize,
        inputs: &RecordBatch,
    ) -> Result<ArrayRef> {
        let New::Computed(expr, from) = self else {
            return Err(crate::Error::internal("a value given has none"));
        };
        let column = table.live_column(place);
        let value = expr.evaluate(inputs)?.into_array(1)?;
        assign_array(&value, from, &column.ty, &column.name, false, context.zone())
    }
}

/// A parameter as a column.
fn parameter(context: &Context, at: usize, ty: &DataType) -> std::result::Result<ArrayRef, EngineError> {
    let value = context.scope.params.get(at).unwrap_or(&Value::Null);
    Ok(Value::to_array(std::slice::from_ref(value), ty)?)
}
