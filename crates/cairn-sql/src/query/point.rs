//! SELECT of one row by its whole primary key, planned once: `SELECT a, b FROM t WHERE k = $1`.
//!
//! Such a text is remembered with its table, the places of the columns wanted and where the key's values come
//! from (parameters or literals). What is left for each execution is to encode the key and read the row, on the
//! caller's thread. Everything that this form does not fit exactly goes the general way, which gives the same
//! rows: a parameter of another type, one that the key's type cannot hold, a failed block.
//!
//! I1: a plan is used only at the schema version and search path at which it was made.

use std::sync::Arc;

use cairn_engine::{ReadView, Table, table};
use cairn_types::key::{KeyOrder, encode_value};
use cairn_types::{DataType, Value};
use parking_lot::Mutex;
use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    Value as Literal,
};

use super::output::Output;
use crate::context::Context;
use crate::engine::Shared;
use crate::results::{Column, Results, StatementResult, columns_of};
use crate::session::State;
use crate::session::variables::fold;
use crate::{Error, Result, catalog};

/// Longest text that is remembered, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// A remembered statement.
pub(crate) struct PointPlan {
    search_path: Vec<String>,
    table: Arc<Table>,
    /// For each column of the primary key: its type and its value.
    key: Vec<(DataType, Source)>,
    /// Places of the columns wanted.
    projection: Vec<usize>,
    output: Output,
    columns: Arc<[Column]>,
}

/// Where a value comes from.
enum Source {
    /// `$n`, counted from 0.
    Parameter(usize),
    Literal(Value),
}

/// Runs a statement from its plan, on the caller's thread; `None` where it must go the general way.
pub(crate) fn run(
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    sql: &str,
    parameters: &[Value],
) -> Option<Result<StatementResult>> {
    if !shared.plans.knows(sql) {
        return None;
    }
    let mut state = state.lock();
    let view = match &mut state.block {
        Some(block) if block.failed => return None,
        Some(block) => block.begin_statement().and_then(|()| Ok(block.txn.view()?)),
        None => shared.database.view().map_err(Error::from),
    };
    let view = match view {
        Ok(view) => view,
        Err(error) => return Some(Err(error)),
    };
    let plan = shared.plans.get(sql, view.catalog().version())?;
    if plan.search_path != state.settings.search_path {
        return None;
    }
    plan.run(&view, parameters).transpose()
}

impl PointPlan {
    fn run(&self, view: &ReadView, parameters: &[Value]) -> Result<Option<StatementResult>> {
        let mut key = Vec::with_capacity(32);
        for (ty, source) in &self.key {
            let value = match source {
                Source::Literal(value) => value,
                Source::Parameter(at) => match parameters.get(*at) {
                    Some(value) if is_of(value, ty) => value,
                    _ => return Ok(None),
                },
            };
            if encode_value(value, ty, KeyOrder::ASCENDING, &mut key).is_err() {
                return Ok(None);
            }
        }
        let fetched = table::get(view, &self.table, &[key.into()], &self.projection)?;
        let batches = match fetched.batch.num_rows() {
            0 => Vec::new(),
            _ => vec![self.output.convert(&fetched.batch)?],
        };
        Ok(Some(StatementResult::Rows(Results::from_parts(
            self.output.schema(),
            Arc::clone(&self.columns),
            batches,
        ))))
    }
}

/// Whether a value stands for itself in a column of that type, without any conversion of PostgreSQL's.
fn is_of(value: &Value, ty: &DataType) -> bool {
    matches!(
        (value, ty),
        (
            Value::SmallInt(_) | Value::Integer(_) | Value::BigInt(_),
            DataType::SmallInt | DataType::Integer | DataType::BigInt
        ) | (Value::Text(_), DataType::Text | DataType::Varchar(_))
            | (Value::Uuid(_), DataType::Uuid)
            | (Value::Date(_), DataType::Date)
            | (Value::Timestamp(_), DataType::Timestamp)
            | (Value::TimestampTz(_), DataType::TimestampTz)
            | (Value::Boolean(_), DataType::Boolean)
            | (Value::Bytea(_), DataType::Bytea)
    )
}

/// Remembers a statement that has just run, if it is of this kind.
pub(crate) fn remember(context: &Context, sql: &str, statement: &Statement) -> Result<()> {
    let Statement::Query(query) = statement else { return Ok(()) };
    let shared = &context.scope.shared;
    // Within a transaction that has changed definitions the version is of nobody else's.
    if sql.len() > TEXT_BYTES_MAX || context.txn().has_ddl() {
        return Ok(());
    }
    let version = context.catalog_version();
    if shared.plans.get(sql, version).is_some() {
        return Ok(());
    }
    if let Some(plan) = plan(context, query)? {
        shared.plans.put(sql, version, Arc::new(plan));
    }
    Ok(())
}

/// The only table of a query that does nothing but filter and choose columns.
fn simple_select(query: &Query) -> Option<(&Select, &sqlparser::ast::ObjectName, Option<String>)> {
    let plain = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty();
    let SetExpr::Select(select) = &*query.body else { return None };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
    let bare = select.distinct.is_none()
        && !grouped
        && select.having.is_none()
        && select.qualify.is_none()
        && select.named_window.is_empty();
    let [from] = select.from.as_slice() else { return None };
    match &from.relation {
        TableFactor::Table { name, alias, args: None, .. } if plain && bare && from.joins.is_empty() => {
            if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
                return None;
            }
            let last = name.0.last()?.as_ident()?;
            if last.quote_style == Some('\'') {
                return None;
            }
            let known_as = alias.as_ref().map_or_else(|| fold(last), |alias| fold(&alias.name));
            Some((select, name, Some(known_as)))
        }
        _ => None,
    }
}

fn plan(context: &Context, query: &Query) -> Result<Option<PointPlan>> {
    let Some((select, name, Some(known_as))) = simple_select(query) else { return Ok(None) };
    let catalog = context.catalog()?;
    let Ok((schema, relation)) = catalog::resolve_name(context, &catalog, name) else { return Ok(None) };
    let Ok(table) = catalog.table(&schema, &relation) else { return Ok(None) };
    if table.has_hidden_key() || name.0.len() == 1 && catalog::is_system_table(&relation) {
        return Ok(None);
    }
    let column = |expr: &Expr| match expr {
        Expr::Identifier(ident) => table.column_place(&fold(ident)),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [qualifier, ident] if fold(qualifier) == known_as => table.column_place(&fold(ident)),
            _ => None,
        },
        _ => None,
    };
    let Some(selection) = &select.selection else { return Ok(None) };
    let mut found: Vec<(usize, &Expr)> = Vec::new();
    if !equalities(selection, &column, &mut found) {
        return Ok(None);
    }
    let places = table.primary_key_places();
    if found.len() != places.len() {
        return Ok(None);
    }
    let mut key = Vec::new();
    for place in places {
        let ty = &table.live_column(place).ty;
        let Some((_, expr)) = found.iter().find(|(at, _)| *at == place) else { return Ok(None) };
        let Some(source) = source(expr, ty) else { return Ok(None) };
        key.push((ty.clone(), source));
    }
    let mut projection = Vec::new();
    let mut names = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::Wildcard(_) => {
                for (place, column) in table.live_columns().enumerate() {
                    projection.push(place);
                    names.push(column.name.clone());
                }
            }
            SelectItem::UnnamedExpr(expr) => match column(expr) {
                Some(place) => {
                    projection.push(place);
                    names.push(table.live_column(place).name.clone());
                }
                None => return Ok(None),
            },
            SelectItem::ExprWithAlias { expr, alias } => match column(expr) {
                Some(place) => {
                    projection.push(place);
                    names.push(fold(alias));
                }
                None => return Ok(None),
            },
            _ => return Ok(None),
        }
    }
    let fields: Vec<_> = projection
        .iter()
        .zip(&names)
        .map(|(place, name)| {
            let column = table.live_column(*place);
            column.ty.to_field(name, column.nullable)
        })
        .collect();
    let output = Output::of(&arrow::datatypes::Schema::new(fields));
    let columns = columns_of(&output.schema());
    let search_path = context.scope.settings.search_path.clone();
    Ok(Some(PointPlan { search_path, table, key, projection, output, columns }))
}

/// Takes a conjunction of `column = value` apart; false where it is anything else.
fn equalities<'e>(
    expr: &'e Expr,
    column: &impl Fn(&Expr) -> Option<usize>,
    found: &mut Vec<(usize, &'e Expr)>,
) -> bool {
    match expr {
        Expr::Nested(inner) => equalities(inner, column, found),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            equalities(left, column, found) && equalities(right, column, found)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            let pair = match (column(left), column(right)) {
                (Some(place), None) => (place, &**right),
                (None, Some(place)) => (place, &**left),
                _ => return false,
            };
            if found.iter().any(|(place, _)| *place == pair.0) {
                return false;
            }
            found.push(pair);
            true
        }
        _ => false,
    }
}

/// A parameter, or a literal as a value of the column's type.
fn source(expr: &Expr, ty: &DataType) -> Option<Source> {
    let Expr::Value(value) = expr else { return None };
    match &value.value {
        Literal::Placeholder(name) => {
            let number: usize = name.strip_prefix('$')?.parse().ok()?;
            Some(Source::Parameter(number.checked_sub(1)?))
        }
        Literal::Number(number, _) => {
            let value = Value::BigInt(number.parse().ok()?);
            is_of(&value, ty).then_some(Source::Literal(value))
        }
        Literal::SingleQuotedString(text) if matches!(ty, DataType::Text | DataType::Varchar(_)) => {
            Some(Source::Literal(Value::Text(text.clone())))
        }
        _ => None,
    }
}
