//! Expressions that definitions keep over the columns of one table: keys and conditions of indexes.

use cairn_engine::Table;
use cairn_engine::catalog::{PUBLIC, RoutineDescriptor};
use cairn_engine::ddl::ExpressionSpec;
use cairn_types::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr as Logical, ExprSchemable, LogicalPlan, Volatility};
use sqlparser::ast::Expr;

use super::column::{empty, identifiers, is_word, refuse_subquery};
use crate::context::Context;
use crate::dml::relations;
use crate::functions::cast;
use crate::{Error, Result};

/// Reads an expression of `what`, such as "index expression".
///
/// # Errors
/// `0A000` for a subquery, `42P17` for what may change from moment to moment or with the session's time zone, `42703`,
/// `42803`; whatever planning says.
pub(super) fn immutable(context: &Context, table: &Table, expr: &Expr, what: &str) -> Result<ExpressionSpec> {
    let columns: Vec<(String, DataType)> =
        table.live_columns().map(|c| (c.name.clone(), c.ty.clone())).collect();
    immutable_over(context, &table.name, &columns, expr, what)
}

/// The same over the columns of a table that is not there yet.
///
/// # Errors
/// As [`immutable`].
pub(super) fn immutable_over(
    context: &Context,
    table: &str,
    columns: &[(String, DataType)],
    expr: &Expr,
    what: &str,
) -> Result<ExpressionSpec> {
    refuse_subquery(expr, what)?;
    let side = empty(table, columns);
    let plan = relations::plan(context, &[side], &[relations::item(expr.clone(), "value")], None)?;
    let mut sets = false;
    plan.apply(|node| {
        sets |= matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
        Ok(TreeNodeRecursion::Continue)
    })?;
    if sets {
        return Err(Error::new("42803", format!("aggregate functions are not allowed in {what}s")));
    }
    let LogicalPlan::Projection(projection) = &plan else {
        return Err(Error::internal("an expression did not plan as a projection"));
    };
    let mut fixed = true;
    for planned in &projection.expr {
        planned.apply(|part| {
            fixed &= is_fixed(part);
            let zoned = part.get_type(projection.input.schema()).map(|ty| has_zone(&ty));
            fixed &= !zoned.unwrap_or(false);
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    if !fixed {
        return Err(Error::new("42P17", format!("functions in {what} must be marked IMMUTABLE")));
    }
    if crate::routine::function::is_called(&plan)? {
        only_expressions(context, table, columns, expr, what)?;
    }
    let mut named = Vec::new();
    for name in identifiers(expr) {
        match columns.iter().any(|(column, _)| *column == name) {
            true if !named.contains(&name) => named.push(name),
            true => {}
            false if name == table || is_word(&name) => {}
            false => return Err(Error::new("42703", format!("column \"{name}\" does not exist"))),
        }
    }
    let sql = match expr {
        Expr::Nested(inner) => inner.to_string(),
        other => other.to_string(),
    };
    Ok(ExpressionSpec { sql, ty: DataType::from_field(plan.schema().field(0)), columns: named })
}

/// Refuses functions in SQL that are more than an expression, or that are not found without the session's search path.
pub(super) fn only_expressions(
    context: &Context,
    table: &str,
    columns: &[(String, DataType)],
    expr: &Expr,
    what: &str,
) -> Result<()> {
    let catalog = context.catalog()?;
    for name in crate::routine::drop::called(expr) {
        let here = crate::routine::functions_named(context, &catalog, &name);
        let elsewhere = |routine: &std::sync::Arc<RoutineDescriptor>| routine.schema != PUBLIC;
        if !name.contains('.') && here.iter().any(elsewhere) {
            return Err(Error::unsupported(format!("function {name} without its schema in {what}"))
                .with_hint("Write the schema in front of the name."));
        }
    }
    let fields: Vec<_> = columns.iter().map(|(name, ty)| ty.to_field(name, true)).collect();
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(fields));
    match relations::compile(context, table, &schema, expr.clone())? {
        Some(_) => Ok(()),
        None => {
            let message = format!("a function in SQL that is more than an immutable expression in {what}");
            Err(Error::unsupported(message))
        }
    }
}

/// Whether a function gives the same for the same arguments for ever.
fn is_fixed(expr: &Logical) -> bool {
    match expr {
        Logical::ScalarFunction(call) => match call.func.signature().volatility {
            Volatility::Immutable => true,
            // A cast depends on the session where a time zone is involved, which is looked at apart.
            Volatility::Stable => call.func.name() == cast::NAME,
            Volatility::Volatile => false,
        },
        _ => true,
    }
}

fn has_zone(ty: &arrow::datatypes::DataType) -> bool {
    matches!(ty, arrow::datatypes::DataType::Timestamp(_, Some(_)))
}
