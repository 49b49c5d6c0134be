//! Expressions of DML over rows that are already in memory: RETURNING, ON CONFLICT DO UPDATE, UPDATE … FROM.
//!
//! Each side (`t`, `excluded`, a FROM item) becomes an in-memory table; sides are joined by the row's number, so that
//! qualified and unqualified names mean what they mean in PostgreSQL, and DataFusion evaluates them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use cairn_types::DataType;
use datafusion::common::DFSchema;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement,
    TableAlias, TableFactor, TableWithJoins, WildcardAdditionalOptions,
};

use crate::context::Context;
use crate::query::plan::Planner;
use crate::session::variables::fold;
use crate::{Error, Result, parse};

/// The column that numbers the rows.
const ROW_NUMBER: &str = "__cairn_n";

/// One side: a name and its rows.
#[derive(Clone)]
pub(crate) struct Relation {
    /// What expressions call it.
    pub(crate) alias: String,
    /// Its rows; all sides have equally many, in the same order.
    pub(crate) rows: RecordBatch,
    /// Whether `*` means its columns too.
    pub(crate) in_wildcard: bool,
}

/// A query with nothing in it yet: `SELECT FROM`.
pub(crate) fn empty_query() -> Result<Query> {
    match parse::parse_text("SELECT 1")? {
        Statement::Query(query) => {
            let mut query = *query;
            let select = select_of(&mut query)?;
            select.projection.clear();
            Ok(query)
        }
        _ => Err(Error::internal("a query did not parse as one")),
    }
}

/// The SELECT of a plain query.
pub(crate) fn select_of(query: &mut Query) -> Result<&mut Select> {
    match &mut *query.body {
        SetExpr::Select(select) => Ok(select),
        _ => Err(Error::internal("a query is no SELECT")),
    }
}

/// A quoted identifier.
pub(crate) fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// A table in FROM under an alias.
pub(crate) fn table_factor(name: ObjectName, alias: &str) -> Result<TableFactor> {
    // The parser fills the many fields that this dialect has no use for.
    let mut query = match parse::parse_text("SELECT 1 FROM x AS y")? {
        Statement::Query(query) => *query,
        _ => return Err(Error::internal("a query did not parse as one")),
    };
    let select = select_of(&mut query)?;
    let mut from = select.from.pop().ok_or_else(|| Error::internal("no FROM"))?;
    if let TableFactor::Table { name: place, alias: Some(TableAlias { name: called, .. }), .. } =
        &mut from.relation
    {
        *place = name;
        *called = quoted(alias);
    }
    Ok(from.relation)
}

/// `expr AS "alias"`.
pub(crate) fn item(expr: Expr, alias: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: quoted(alias) }
}

/// `alias.*`.
pub(crate) fn wildcard_of(alias: &str) -> SelectItem {
    SelectItem::QualifiedWildcard(
        SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![quoted(alias)])),
        WildcardAdditionalOptions::default(),
    )
}

/// `"alias"."column"`.
pub(crate) fn column(alias: &str, name: &str) -> Expr {
    Expr::CompoundIdentifier(vec![quoted(alias), quoted(name)])
}

/// Plans `SELECT items FROM relations [WHERE …]`, the relations joined row by row.
pub(crate) fn plan(
    context: &Context,
    relations: &[Relation],
    items: &[SelectItem],
    with: Option<&sqlparser::ast::With>,
) -> Result<LogicalPlan> {
    let state = crate::query::state::of(context);
    let planner = Planner::new(context, &state)?;
    let mut query = empty_query()?;
    query.with = with.cloned();
    let numbered = relations.len() > 1;
    let select = select_of(&mut query)?;
    select.projection = expand(relations, items)?;
    for (i, relation) in relations.iter().enumerate() {
        let name = format!("__cairn_rows_{i}");
        planner.add_source(&name, memory(&relation.rows, numbered)?);
        let relation_factor = table_factor(ObjectName::from(vec![quoted(&name)]), &relation.alias)?;
        select.from.push(TableWithJoins { relation: relation_factor, joins: Vec::new() });
        if i > 0 {
            let equal = Expr::BinaryOp {
                left: Box::new(column(&relations[0].alias, ROW_NUMBER)),
                op: sqlparser::ast::BinaryOperator::Eq,
                right: Box::new(column(&relation.alias, ROW_NUMBER)),
            };
            select.selection = Some(match select.selection.take() {
                None => equal,
                Some(before) => Expr::BinaryOp {
                    left: Box::new(before),
                    op: sqlparser::ast::BinaryOperator::And,
                    right: Box::new(equal),
                },
            });
        }
    }
    planner.query(query)
}

/// An expression made ready for many rows.
pub(crate) struct Compiled {
    pub(crate) expr: Arc<dyn PhysicalExpr>,
    pub(crate) ty: DataType,
    /// Whether it gives the same for the same row, today and tomorrow.
    pub(crate) is_immutable: bool,
}

/// Compiles an expression over those columns, which `alias` qualifies; `None` where it is more than an expression.
pub(crate) fn compile(
    context: &Context,
    alias: &str,
    columns: &SchemaRef,
    expr: Expr,
) -> Result<Option<Compiled>> {
    let rows = RecordBatch::new_empty(Arc::clone(columns));
    let side = Relation { alias: alias.to_owned(), rows, in_wildcard: false };
    let planned = plan(context, &[side], &[item(expr, "value")], None)?;
    let state = crate::query::state::of(context);
    let options = state.config_options();
    let analyzed = state.analyzer().execute_and_check(planned, options, |_, _| {})?;
    let called = crate::routine::function::is_called(&analyzed)?;
    let LogicalPlan::Projection(projection) = &analyzed else { return Ok(None) };
    let [value] = projection.expr.as_slice() else { return Ok(None) };
    if !matches!(&*projection.input, LogicalPlan::TableScan(_) | LogicalPlan::SubqueryAlias(_)) {
        return Ok(None);
    }
    let ty = DataType::from_field(analyzed.schema().field(0));
    let schema = Arc::new(DFSchema::try_from_qualified_schema(alias, columns)?);
    let is_immutable = crate::query::reuse::is_immutable(&analyzed);
    let mut value = value.clone().unalias();
    if is_immutable || called {
        // Some functions exist only until they are simplified, those in SQL among them.
        let info = SimplifyContext::builder()
            .with_schema(Arc::clone(&schema))
            .with_config_options(Arc::clone(options))
            .build();
        value = ExprSimplifier::new(info).simplify(value)?;
    }
    if called && crate::routine::function::is_called_in(&value)? {
        return Ok(None);
    }
    Ok(Some(Compiled { expr: state.create_physical_expr(value, &schema)?, ty, is_immutable }))
}

/// The same with one value a row, in the order of the rows.
pub(crate) fn evaluate(
    context: &Context,
    relations: &[Relation],
    items: &[SelectItem],
) -> Result<RecordBatch> {
    let rows = relations.first().map_or(0, |r| r.rows.num_rows());
    let numbered = relations.len() > 1;
    let mut items = items.to_vec();
    if numbered {
        items.push(item(column(&relations[0].alias, ROW_NUMBER), ROW_NUMBER));
    }
    let plan = plan(context, relations, &items, None)?;
    let (schema, batches) = context.collect(plan)?;
    let all = concat(&schema, &batches)?;
    if all.num_rows() != rows {
        return Err(Error::internal("an expression lost rows"));
    }
    if !numbered {
        return Ok(all);
    }
    let last = all.num_columns() - 1;
    let order = arrow::compute::sort_to_indices(all.column(last), None, None).map_err(arrow_error)?;
    let kept: Vec<usize> = (0..last).collect();
    let values = all.project(&kept).map_err(arrow_error)?;
    arrow::compute::take_record_batch(&values, &order).map_err(arrow_error)
}

/// All batches as one.
pub(crate) fn concat(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch> {
    match batches {
        [one] => Ok(one.clone()),
        _ => arrow::compute::concat_batches(schema, batches).map_err(arrow_error),
    }
}

/// An Arrow kernel that failed on data of our own making.
pub(crate) fn arrow_error(error: arrow::error::ArrowError) -> Error {
    Error::internal(error.to_string())
}

fn memory(rows: &RecordBatch, numbered: bool) -> Result<Arc<dyn datafusion::catalog::TableProvider>> {
    let mut fields: Vec<Arc<Field>> =
        rows.schema().fields().iter().map(|f| Arc::new(Field::clone(f).with_nullable(true))).collect();
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    if numbered {
        fields.push(Arc::new(Field::new(ROW_NUMBER, ArrowType::Int64, false)));
        columns.push(Arc::new(Int64Array::from_iter_values(0..rows.num_rows() as i64)));
    }
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let batch =
        RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options).map_err(arrow_error)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// Writes `*` and `t.*` out, so that the row number does not show.
fn expand(relations: &[Relation], items: &[SelectItem]) -> Result<Vec<SelectItem>> {
    let columns_of = |relation: &Relation| -> Vec<SelectItem> {
        let names = relation.rows.schema();
        names.fields().iter().map(|f| SelectItem::UnnamedExpr(column(&relation.alias, f.name()))).collect()
    };
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        match item {
            SelectItem::Wildcard(options) if *options == WildcardAdditionalOptions::default() => {
                out.extend(relations.iter().filter(|r| r.in_wildcard).flat_map(columns_of));
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
                if *options == WildcardAdditionalOptions::default() =>
            {
                let alias = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                let found = relations.iter().find(|r| r.alias == alias).ok_or_else(|| {
                    Error::new("42P01", format!("missing FROM-clause entry for table \"{alias}\""))
                })?;
                out.extend(columns_of(found));
            }
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                return Err(Error::unsupported("options of * in this place"));
            }
            other => out.push(other.clone()),
        }
    }
    Ok(out)
}
