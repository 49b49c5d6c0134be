//! Which columns of a query's result have the digits of NUMERIC(p, s) because a column or a cast says so. Constants and what is
//! computed have digits of their own here, but not in PostgreSQL: a table made of the query holds any NUMERIC in them.

use cairn_types::DataType;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use crate::functions::cast;

/// The type of a table's column that is made of the column at that place of a query.
pub(crate) fn column_type(plan: &LogicalPlan, at: usize, ty: &DataType) -> DataType {
    match ty {
        DataType::Numeric(Some(_)) if !says(plan, at) => DataType::Numeric(None),
        other => other.clone(),
    }
}

fn says(plan: &LogicalPlan, at: usize) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Projection(own) => own.expr.get(at).is_some_and(|expr| expr_says(expr, &own.input)),
        LogicalPlan::SubqueryAlias(own) => says(&own.input, at),
        LogicalPlan::Filter(own) => says(&own.input, at),
        LogicalPlan::Sort(own) => says(&own.input, at),
        LogicalPlan::Limit(own) => says(&own.input, at),
        LogicalPlan::Distinct(Distinct::All(input)) => says(input, at),
        LogicalPlan::Union(own) => own.inputs.iter().all(|input| says(input, at)),
        LogicalPlan::Window(own) => at < own.input.schema().fields().len() && says(&own.input, at),
        LogicalPlan::Aggregate(own) => own.group_expr.get(at).is_some_and(|expr| expr_says(expr, &own.input)),
        LogicalPlan::Join(own) => match at.checked_sub(own.left.schema().fields().len()) {
            None => says(&own.left, at),
            Some(at) => says(&own.right, at),
        },
        _ => false,
    }
}

fn expr_says(expr: &Expr, input: &LogicalPlan) -> bool {
    match expr {
        Expr::Alias(alias) => expr_says(&alias.expr, input),
        Expr::Column(column) => input.schema().index_of_column(column).is_ok_and(|at| says(input, at)),
        Expr::ScalarFunction(call) => call.func.name() == cast::NAME,
        _ => false,
    }
}
