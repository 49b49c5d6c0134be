//! INSERT … VALUES, SELECT, DEFAULT VALUES.

use std::sync::Arc;

use arrow::array::ArrayRef;
use cairn_engine::Table;
use cairn_engine::catalog::ObjectId;
use cairn_types::datetime::Zone;
use cairn_types::{ColumnBuilder, DataType, Value};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use sqlparser::ast::{Expr, Insert, Query, SelectItem, SetExpr, TableObject, With};

use super::assign::{assign_array, assign_value};
use super::conflict::Conflict;
use super::default::Default;
use super::inserter::Inserter;
use super::relations::{self, select_of};
use super::{check_option, literal, returning, target, updatable};
use crate::context::Context;
use crate::parse::names::Overriding;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result};

/// Expressions evaluated by one plan.
const EXPRESSIONS_PER_PLAN: usize = 64;

/// Runs an INSERT.
pub(super) fn run(context: &Context, insert: &Insert, with: Option<&With>) -> Result<StatementResult> {
    refuse(insert)?;
    let beneath = updatable::insert(context, insert, with)?;
    let role = beneath.as_ref().map_or_else(|| context.role(), |said| said.role);
    let checks = beneath.as_ref().map_or(&[][..], |said| &said.checks);
    let insert = beneath.as_ref().map_or(insert, |said| &said.statement);
    let TableObject::TableName(name) = &insert.table else {
        return Err(Error::unsupported("INSERT into anything but a table"));
    };
    let table = target::find(context, name, "INSERT")?;
    let alias = insert.table_alias.as_ref().map_or_else(|| table.name.clone(), |a| fold(&a.alias));
    let whole = super::composite::insert(&table, insert)?;
    let insert = whole.as_ref().unwrap_or(insert);
    let given = columns(&table, insert)?;
    let conflict = match &insert.on {
        Some(_) if crate::trigger::view::is_view(context, &table)? => {
            return Err(Error::unsupported("INSERT ... ON CONFLICT into a view"));
        }
        Some(clause) => Some(Conflict::read(context, &table, &alias, clause)?),
        None => None,
    };
    let keep = insert.returning.is_some() || !checks.is_empty();
    let selects = insert.returning.is_some() || conflict.as_ref().is_some_and(Conflict::selects);
    let overriding = Overriding::of(insert);
    let target = Target { table: &table, given: &given, listed: !insert.columns.is_empty(), overriding };
    let start = |given: Vec<usize>| -> Result<Inserter<'_>> {
        let inserter = Inserter::new(context, Arc::clone(&table), given)?;
        Ok(inserter.keeping_rows(keep).written_as(role, selects))
    };
    let mut inserter = match insert.source.as_deref() {
        None => {
            let mut inserter = start(Vec::new())?.on_conflict(conflict);
            inserter.push(Vec::new(), 1)?;
            inserter
        }
        Some(query) => match values_of(query) {
            Some(rows) => {
                let (columns, width) = target.values(context, rows, with)?;
                let mut inserter = start(given[..width].to_vec())?.on_conflict(conflict);
                inserter.push(columns, rows.len())?;
                inserter
            }
            None => {
                let mut query = query.clone();
                merge_with(&mut query, with)?;
                target.select(context, query, conflict, (keep, role, selects))?
            }
        },
    };
    check_option::verify(context, checks, &table, &alias, &inserter.rows)?;
    inserter.finish()?;
    let (count, rows) = (inserter.count, std::mem::take(&mut inserter.rows));
    let answer = match &insert.returning {
        Some(items) => Some((items.as_slice(), vec![returning::relation(&table, &alias, &rows)?])),
        None => None,
    };
    returning::finish(context, "INSERT", count, answer)
}

/// Refuses what other dialects have.
pub(super) fn refuse(insert: &Insert) -> Result<()> {
    let foreign = insert.or.is_some()
        || insert.ignore
        || insert.overwrite
        || insert.replace_into
        || insert.priority.is_some()
        || insert.partitioned.is_some()
        || !insert.after_columns.is_empty()
        || !insert.assignments.is_empty()
        || insert.insert_alias.is_some()
        || insert.settings.is_some()
        || insert.format_clause.is_some()
        || insert.output.is_some()
        || insert.multi_table_insert_type.is_some()
        || !insert.multi_table_into_clauses.is_empty()
        || !insert.multi_table_when_clauses.is_empty()
        || insert.multi_table_else_clause.is_some();
    match foreign {
        true => Err(Error::new("42601", "syntax error in INSERT: a clause of another dialect").with_hint(
            "PostgreSQL's form is INSERT INTO table (columns) VALUES ... ON CONFLICT ... RETURNING ...",
        )),
        false => Ok(()),
    }
}

/// The places that the statement names, or all.
pub(super) fn columns(table: &Table, insert: &Insert) -> Result<Vec<usize>> {
    if insert.columns.is_empty() {
        return Ok((0..table.live_columns().len()).collect());
    }
    let mut places = Vec::with_capacity(insert.columns.len());
    for name in &insert.columns {
        let ident = target::column_ident(name)?;
        let place = target::column_place(table, ident)?;
        if places.contains(&place) {
            return Err(Error::new("42701", format!("column \"{}\" specified more than once", fold(ident))));
        }
        places.push(place);
    }
    Ok(places)
}

/// The rows of a plain VALUES.
pub(super) fn values_of(query: &Query) -> Option<&[sqlparser::ast::Parens<Vec<Expr>>]> {
    let plain = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none();
    match &*query.body {
        SetExpr::Values(values) if plain => Some(&values.rows),
        _ => None,
    }
}

fn merge_with(query: &mut Query, with: Option<&With>) -> Result<()> {
    let Some(outer) = with else { return Ok(()) };
    match &mut query.with {
        None => query.with = Some(outer.clone()),
        Some(inner) => {
            inner.recursive |= outer.recursive;
            let own = std::mem::take(&mut inner.cte_tables);
            inner.cte_tables = outer.cte_tables.iter().cloned().chain(own).collect();
        }
    }
    Ok(())
}

/// Refuses a value for a GENERATED ALWAYS column.
pub(super) fn refuse_generated(table: &Table, place: usize) -> Result<()> {
    let column = table.live_column(place);
    if column.generated.is_some() {
        let name = &column.name;
        return Err(Error::new("428C9", format!("cannot insert a non-DEFAULT value into column \"{name}\""))
            .with_detail(format!("Column \"{name}\" is a generated column.")));
    }
    match column.identity {
        Some(identity) if identity.always => {
            let name = &column.name;
            Err(Error::new("428C9", format!("cannot insert a non-DEFAULT value into column \"{name}\""))
                .with_detail(format!("Column \"{name}\" is an identity column defined as GENERATED ALWAYS."))
                .with_hint("Use OVERRIDING SYSTEM VALUE to override."))
        }
        _ => Ok(()),
    }
}

/// Where the values go.
struct Target<'t> {
    table: &'t Arc<Table>,
    given: &'t [usize],
    listed: bool,
    overriding: Option<Overriding>,
}

impl Target<'_> {
    /// Whether a column takes the next value of its sequence whatever is given (OVERRIDING USER VALUE).
    fn draws(&self, place: usize) -> bool {
        self.overriding == Some(Overriding::User) && self.table.live_column(place).identity.is_some()
    }

    fn refuse_generated(&self, place: usize) -> Result<()> {
        match self.overriding {
            Some(_) if self.table.live_column(place).generated.is_none() => Ok(()),
            _ => refuse_generated(self.table, place),
        }
    }

    fn check_width(&self, width: usize) -> Result<()> {
        if width > self.given.len() {
            return Err(Error::new("42601", "INSERT has more expressions than target columns"));
        }
        if width < self.given.len() && self.listed {
            return Err(Error::new("42601", "INSERT has more target columns than expressions"));
        }
        Ok(())
    }

    /// The columns of VALUES, and how many there are.
    fn values(
        &self,
        context: &Context,
        rows: &[sqlparser::ast::Parens<Vec<Expr>>],
        with: Option<&With>,
    ) -> Result<(Vec<ArrayRef>, usize)> {
        let width = rows.first().map_or(0, |r| r.content.len());
        if rows.iter().any(|r| r.content.len() != width) {
            return Err(Error::new("42601", "VALUES lists must all be the same length"));
        }
        self.check_width(width)?;
        let (params, zone) = (&context.scope.params, context.zone());
        let mut cells: Vec<Vec<Value>> = (0..width).map(|_| Vec::with_capacity(rows.len())).collect();
        let mut pending: Vec<(usize, usize, &Expr)> = Vec::new();
        let mut defaults: Vec<Option<Default>> = vec![None; width];
        for (n, row) in rows.iter().enumerate() {
            for (i, expr) in row.content.iter().enumerate() {
                let column = self.table.live_column(self.given[i]);
                let value = if self.draws(self.given[i]) || literal::is_default(expr) {
                    if defaults[i].is_none() {
                        defaults[i] = Some(Default::of(context, column)?);
                    }
                    defaults[i].as_ref().map_or(Ok(Value::Null), |d| d.value(context, column))?
                } else {
                    self.refuse_generated(self.given[i])?;
                    literal::value(expr, &column.ty, &column.name, params, zone)?.unwrap_or_else(|| {
                        pending.push((n, i, expr));
                        Value::Null
                    })
                };
                cells[i].push(value);
            }
        }
        for chunk in pending.chunks(EXPRESSIONS_PER_PLAN) {
            let exprs: Vec<&Expr> = chunk.iter().map(|(_, _, expr)| *expr).collect();
            let values = evaluate(context, &exprs, with)?;
            for ((n, i, expr), (value, from)) in chunk.iter().zip(values) {
                let column = self.table.live_column(self.given[*i]);
                cells[*i][*n] = assign(value, &from, column, literal::is_unknown(expr), zone)?;
            }
        }
        let mut columns = Vec::with_capacity(width);
        for (i, values) in cells.iter().enumerate() {
            let ty = &self.table.live_column(self.given[i]).ty;
            let mut builder = ColumnBuilder::with_capacity(ty, values.len());
            for value in values {
                builder.push(value)?;
            }
            columns.push(builder.finish()?);
        }
        Ok((columns, width))
    }

    /// Inserts the rows of a query.
    fn select<'c>(
        &self,
        context: &'c Context,
        query: Query,
        conflict: Option<Conflict<'c>>,
        (keep, role, selects): (bool, ObjectId, bool),
    ) -> Result<Inserter<'c>> {
        let unknown = unknown_columns(&query);
        let plan = context.plan_query(&query)?;
        let width = plan.schema().fields().len();
        self.check_width(width)?;
        let given = &self.given[..width];
        for place in given {
            self.refuse_generated(*place)?;
        }
        let taken = given.iter().copied().filter(|place| !self.draws(*place)).collect();
        let mut inserter =
            Inserter::new(context, Arc::clone(self.table), taken)?.on_conflict(conflict).keeping_rows(keep);
        inserter = inserter.written_as(role, selects);
        // Nor must what triggers do.
        let at_once = !self.table.triggers.is_empty()
            || reads(&plan, &self.table.name)?
            || crate::routine::function::has_effects(&plan)?;
        let mut results = context.run(plan)?;
        let zone = context.zone();
        let types: Vec<DataType> = results.columns().iter().map(|c| c.ty.clone()).collect();
        // What a statement inserts must not come back as its own input.
        let mut batches = Vec::new();
        while let Some(batch) = results.next_batch()? {
            match at_once {
                true => batches.push(batch),
                false => self.push(&mut inserter, &batch, &types, &unknown, zone)?,
            }
        }
        for batch in batches {
            self.push(&mut inserter, &batch, &types, &unknown, zone)?;
        }
        Ok(inserter)
    }

    fn push(
        &self,
        inserter: &mut Inserter<'_>,
        batch: &arrow::array::RecordBatch,
        types: &[DataType],
        unknown: &[bool],
        zone: Zone,
    ) -> Result<()> {
        let mut columns = Vec::with_capacity(types.len());
        for (i, from) in types.iter().enumerate() {
            if self.draws(self.given[i]) {
                continue;
            }
            let column = self.table.live_column(self.given[i]);
            let literal = unknown.get(i).copied().unwrap_or(false);
            columns.push(assign_array(batch.column(i), from, &column.ty, &column.name, literal, zone)?);
        }
        inserter.push(columns, batch.num_rows())
    }
}

fn assign(
    value: Value,
    from: &DataType,
    column: &cairn_engine::catalog::Column,
    unknown: bool,
    zone: Zone,
) -> Result<Value> {
    // The expression's type decides, not the value's: VARCHAR and TEXT values look alike.
    if !unknown && !value.is_null() && !super::assign::is_assignable(from, &column.ty) {
        let array = Value::to_array(std::slice::from_ref(&value), from)?;
        assign_array(&array, from, &column.ty, &column.name, false, zone)?;
    }
    assign_value(value, &column.ty, &column.name, true, zone)
}

/// The values and types of expressions over nothing.
fn evaluate(context: &Context, exprs: &[&Expr], with: Option<&With>) -> Result<Vec<(Value, DataType)>> {
    let mut query = relations::empty_query()?;
    query.with = with.cloned();
    select_of(&mut query)?.projection = exprs
        .iter()
        .enumerate()
        .map(|(n, expr)| relations::item(Expr::clone(expr), &format!("v{n}")))
        .collect::<Vec<SelectItem>>();
    let (schema, batches) = context.collect(context.plan_query(&query)?)?;
    let row =
        batches.iter().find(|b| b.num_rows() > 0).ok_or_else(|| Error::internal("VALUES gave no row"))?;
    Ok(schema
        .fields()
        .iter()
        .enumerate()
        .map(|(i, field)| {
            let ty = DataType::from_field(field);
            (Value::from_array(row.column(i), 0, &ty), ty)
        })
        .collect())
}

/// Which columns of a query are bare literals or parameters.
fn unknown_columns(query: &Query) -> Vec<bool> {
    match &*query.body {
        SetExpr::Select(select) => select
            .projection
            .iter()
            .map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    literal::is_unknown(expr)
                }
                _ => false,
            })
            .collect(),
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |r| r.content.len());
            let all =
                |i: usize| values.rows.iter().all(|r| r.content.get(i).is_some_and(literal::is_unknown));
            (0..width).map(all).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a plan may read a table of that name; views have been replaced by what they read.
fn reads(plan: &LogicalPlan, table: &str) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found |= scan.table_name.table() == table;
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
