//! SELECT of one row by its whole primary key, or that of a unique index, planned once: `SELECT a, b FROM t WHERE k = $1`.
//!
//! Such a text is remembered with its table, the places of the columns wanted and where the key's values come
//! from (parameters or literals). What is left for each execution is to encode the key and read the row, on the
//! caller's thread. Everything that this form does not fit exactly goes the general way, which gives the same
//! rows: a parameter of another type, one that the key's type cannot hold, a failed block.
//!
//! I1: a plan is used only at the schema version and search path at which it was made.

use std::sync::Arc;

use cairn_engine::catalog::ObjectId;
use cairn_engine::{ReadView, Table, table};
use cairn_types::Value;
use parking_lot::Mutex;
use sqlparser::ast::{Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, Statement, TableFactor};

use super::output::Output;
use super::point_key::{PointKey, place_of};
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
    /// Whose privileges have been looked at.
    role: ObjectId,
    table: Arc<Table>,
    key: PointKey,
    /// Places of the columns wanted.
    projection: Vec<usize>,
    output: Output,
    columns: Arc<[Column]>,
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
    if plan.role != state.settings.identity.current || plan.search_path != state.settings.search_path {
        return None;
    }
    plan.run(&view, parameters).transpose()
}

impl PointPlan {
    fn run(&self, view: &ReadView, parameters: &[Value]) -> Result<Option<StatementResult>> {
        let Some(key) = self.key.encode(parameters) else { return Ok(None) };
        let row_key = self.key.row_key(view, &self.table, key)?;
        let fetched = table::get(view, &self.table, row_key.as_slice(), &self.projection)?;
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

/// Remembers a statement that has just run, if it is of this kind.
pub(crate) fn remember(context: &Context, sql: &str, statement: &Statement) -> Result<()> {
    let Statement::Query(query) = statement else { return Ok(()) };
    let shared = &context.scope.shared;
    // Within a transaction that has changed definitions the version is of nobody else's.
    if sql.len() > TEXT_BYTES_MAX || context.txn().has_ddl() {
        return Ok(());
    }
    let version = context.catalog_version();
    if shared.plans.has(sql, version) {
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
        TableFactor::Table { name, alias, args: None, sample: None, with_ordinality: false, .. }
            if plain && bare && from.joins.is_empty() =>
        {
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
    if name.0.len() == 1 && catalog::is_system_table(&relation) {
        return Ok(None);
    }
    // Row keys of partitioned tables are not made of their primary keys alone.
    if table.is_partitioned() {
        return Ok(None);
    }
    let role = context.role();
    if context.txn().catalog().row_security(role, table.id).is_some() {
        return Ok(None);
    }
    let column = |expr: &Expr| place_of(&table, &known_as, expr);
    let Some(selection) = &select.selection else { return Ok(None) };
    let Some(key) = PointKey::of(&table, &known_as, selection) else { return Ok(None) };
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
    Ok(Some(PointPlan { search_path, role, table, key, projection, output, columns }))
}
