//! An aggregate within a subquery over nothing but columns of a query around it belongs to that query, as the standard has it:
//! `SELECT (SELECT max(a.x) FROM b) FROM a` gives one row. The query engine would aggregate the subquery's rows; so it is refused.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::Error;

/// Refuses a plan with such an aggregate.
pub(crate) fn refuse(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node
            && let Some(outer) = aggregate.aggr_expr.iter().find(|expr| is_outer(expr))
        {
            let what = format!("{}, an aggregate over columns of an outer query only", outer.schema_name());
            return Err(Error::unsupported(what).into());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(plan)
}

fn is_outer(expr: &Expr) -> bool {
    expr.contains_outer() && expr.column_refs().is_empty()
}
