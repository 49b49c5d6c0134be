//! What a statement takes and gives: parameter types and result columns, without running it; and the values of
//! constant expressions.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::Array;
use cairn_types::{DataType, Value};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr as Planned, LogicalPlan};
use sqlparser::ast::{
    AssignmentTarget, Expr, Ident, Insert, ObjectName, Query, SelectItem, SetExpr, Statement, TableFactor,
    TableObject, TableWithJoins, Value as Literal,
};

use super::plan::Planner;
use crate::context::Context;
use crate::functions::sql_type;
use crate::results::Column;
use crate::session::variables::fold;
use crate::{Error, Result, catalog, parse};

/// The parameter types and result columns of a statement; `declared` are the types that are known of parameters.
pub(crate) fn statement(
    context: &Context,
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<(Vec<DataType>, Vec<Column>)> {
    let unlocked = super::nested::without(statement);
    let statement = unlocked.as_ref().unwrap_or(statement);
    if let Some(read) = crate::dml::with::described(statement)? {
        // A parameter may stand in any of the parts: the first that tells its type tells it.
        let (mut types, columns) = self::statement(context, &read, declared)?;
        for part in crate::dml::with::statements(statement) {
            let (more, _) = self::statement(context, part, declared)?;
            for (n, ty) in more.into_iter().enumerate() {
                match types.get_mut(n) {
                    Some(known) if *known == DataType::Text => *known = ty,
                    Some(_) => {}
                    None => types.push(ty),
                }
            }
        }
        return Ok((types, columns));
    }
    let count = parse::parameters::count(statement).max(declared.len());
    let mut types: BTreeMap<usize, DataType> =
        declared.iter().enumerate().filter_map(|(at, ty)| Some((at + 1, ty.clone()?))).collect();
    let columns = match statement {
        Statement::Query(query) => of_query(context, query, &mut types)?,
        Statement::Insert(insert) => of_insert(context, insert, &mut types)?,
        Statement::Update(update) => {
            let table = table_of(context, &update.table)?;
            for assignment in &update.assignments {
                if let AssignmentTarget::ColumnName(name) = &assignment.target
                    && let Some(place) = last_name(name).and_then(|name| table.column_place(&name))
                {
                    note(&assignment.value, &table.live_column(place).ty, &mut types);
                }
            }
            condition(context, &update.table, update.selection.as_ref(), &mut types);
            returning(context, &update.table, update.returning.as_deref())?
        }
        Statement::Delete(delete) => {
            let tables = match &delete.from {
                sqlparser::ast::FromTable::WithFromKeyword(tables)
                | sqlparser::ast::FromTable::WithoutKeyword(tables) => tables,
            };
            let Some(table) = tables.first() else { return Ok((Vec::new(), Vec::new())) };
            condition(context, table, delete.selection.as_ref(), &mut types);
            returning(context, table, delete.returning.as_deref())?
        }
        Statement::Merge(merge) => match crate::dml::merge_returning::described(merge) {
            None => Vec::new(),
            Some(items) => {
                let list = items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let text = format!("SELECT {list} FROM {}, {}", merge.source, merge.table);
                let Statement::Query(query) = parse::parse_text(&text)? else {
                    return Err(Error::internal("a query was expected"));
                };
                output_columns(&plan(context, &query)?)
            }
        },
        Statement::Explain { .. } => vec![Column::new("QUERY PLAN", DataType::Text)],
        _ => Vec::new(),
    };
    let types = (1..=count).map(|number| types.remove(&number).unwrap_or(DataType::Text)).collect();
    Ok((types, columns))
}

fn of_query(context: &Context, query: &Query, types: &mut BTreeMap<usize, DataType>) -> Result<Vec<Column>> {
    let state = super::state::of(context);
    let last = types.keys().next_back().copied().unwrap_or(0);
    let declared = (1..=last)
        .map(|number| types.get(&number).map(|ty| Arc::new(ty.to_field(format!("${number}"), true))));
    let plan = Planner::new(context, &state)?.query_with(query.clone(), declared.collect())?;
    collect_types(&plan, types)?;
    Ok(output_columns(&plan))
}

fn plan(context: &Context, query: &Query) -> Result<LogicalPlan> {
    let state = super::state::of(context);
    Planner::new(context, &state)?.query(query.clone())
}

/// The columns of a plan as they leave.
pub(crate) fn output_columns(plan: &LogicalPlan) -> Vec<Column> {
    let output = super::output::Output::of(plan.schema().as_arrow());
    let schema = output.schema();
    schema.fields().iter().map(|field| Column::of(field)).collect()
}

/// Of a parameter whose type nobody declared the first place that tells one counts.
fn collect_types(plan: &LogicalPlan, types: &mut BTreeMap<usize, DataType>) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Planned::Placeholder(Placeholder { id, field: Some(field) }) = part
                    && let Some(number) = id.strip_prefix('$').and_then(|number| number.parse().ok())
                {
                    types.entry(number).or_insert_with(|| sql_type(field));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

fn last_name(name: &ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(fold)
}

/// Notes the type of a parameter that stands for a column's value.
fn note(expr: &Expr, ty: &DataType, types: &mut BTreeMap<usize, DataType>) {
    if let Expr::Value(value) = expr
        && let Literal::Placeholder(name) = &value.value
        && let Some(number) = name.strip_prefix('$').and_then(|n| n.parse().ok())
    {
        types.entry(number).or_insert_with(|| ty.clone());
    }
}

fn table_of(context: &Context, table: &TableWithJoins) -> Result<std::sync::Arc<cairn_engine::Table>> {
    match &table.relation {
        TableFactor::Table { name, .. } => by_name(context, name),
        _ => Err(Error::unsupported("this target of a statement")),
    }
}

fn by_name(context: &Context, name: &ObjectName) -> Result<std::sync::Arc<cairn_engine::Table>> {
    let all = context.catalog()?;
    let (schema, table) = catalog::resolve_name(context, &all, name)?;
    // A view that is changed has the columns that it shows.
    match all.view(&schema, &table) {
        Ok(view) => Ok(Arc::new(cairn_engine::Table::of_view(&view))),
        Err(_) => Ok(all.table(&schema, &table)?),
    }
}

/// Parameters of a WHERE, as far as a SELECT with it tells.
fn condition(
    context: &Context,
    table: &TableWithJoins,
    selection: Option<&Expr>,
    types: &mut BTreeMap<usize, DataType>,
) {
    let Some(selection) = selection else { return };
    let sql = format!("SELECT 1 FROM {table} WHERE {selection}");
    // What cannot be planned here will be reported when the statement runs.
    if let Ok(Statement::Query(query)) = parse::parse_text(&sql)
        && let Ok(plan) = plan(context, &query)
    {
        let _ = collect_types(&plan, types);
    }
}

fn returning(context: &Context, table: &TableWithJoins, items: Option<&[SelectItem]>) -> Result<Vec<Column>> {
    let Some(items) = items else { return Ok(Vec::new()) };
    let list = items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let Statement::Query(query) = parse::parse_text(&format!("SELECT {list} FROM {table}"))? else {
        return Err(Error::internal("a query was expected"));
    };
    Ok(output_columns(&plan(context, &query)?))
}

fn of_insert(
    context: &Context,
    insert: &Insert,
    types: &mut BTreeMap<usize, DataType>,
) -> Result<Vec<Column>> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(Error::unsupported("INSERT into anything but a table"));
    };
    let table = by_name(context, name)?;
    let places: Vec<usize> = if insert.columns.is_empty() {
        (0..table.live_columns().len()).collect()
    } else {
        insert
            .columns
            .iter()
            .map(|column| {
                let name = column_ident(column);
                table.column(&name)?;
                Ok(table.column_place(&name).unwrap_or_default())
            })
            .collect::<Result<_>>()?
    };
    if let Some(source) = &insert.source {
        if let SetExpr::Values(values) = &*source.body {
            for row in &values.rows {
                for (expr, place) in row.content.iter().zip(&places) {
                    note(expr, &table.live_column(*place).ty, types);
                }
            }
        } else {
            of_query(context, source, types)?;
        }
    }
    let Some(items) = &insert.returning else { return Ok(Vec::new()) };
    let list = items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let Statement::Query(query) = parse::parse_text(&format!("SELECT {list} FROM {name}"))? else {
        return Err(Error::internal("a query was expected"));
    };
    Ok(output_columns(&plan(context, &query)?))
}

fn column_ident(name: &ObjectName) -> String {
    last_name(name).unwrap_or_default()
}

/// The values of constant expressions, converted to types.
pub(crate) fn constants(context: &Context, exprs: &[Expr], types: &[DataType]) -> Result<Vec<Value>> {
    if exprs.is_empty() {
        return Ok(Vec::new());
    }
    let items: Vec<String> = exprs
        .iter()
        .zip(types)
        .enumerate()
        .map(|(at, (expr, ty))| {
            let alias = Ident::with_quote('"', format!("c{at}"));
            format!("CAST({expr} AS {}) AS {alias}", ty.sql_name())
        })
        .collect();
    let Statement::Query(query) = parse::parse_text(&format!("SELECT {}", items.join(", ")))? else {
        return Err(Error::internal("a query was expected"));
    };
    let (schema, batches) = context.collect(context.plan_query(&query)?)?;
    let batch = batches
        .iter()
        .find(|batch| batch.num_rows() > 0)
        .ok_or_else(|| Error::internal("constants without a row"))?;
    Ok(batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            Value::from_array(column.as_ref() as &dyn Array, 0, &DataType::from_field(field))
        })
        .collect())
}
