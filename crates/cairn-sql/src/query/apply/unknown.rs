//! Where the query engine would take what is unknown of `x IN (SELECT …)` for false, and that makes a difference.
//!
//! ```text
//!   WHERE x IN (…)   WHERE NOT x IN (…)   WHERE x IN (…) OR a < 3     no difference: NULL keeps no row
//!   WHERE (x IN (…)) IS NULL              WHERE NOT x IN (…) OR a < 3  a difference
//! ```
//! An IN that is no condition by itself becomes a join that marks rows, whose mark is true or false.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{merge_schema, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

/// Whether a plan has an IN for which it makes a difference. Of one in a list that is not known: conditions may come to it.
pub(crate) fn is_told(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        let schema = || merge_schema(&node.inputs());
        match node {
            LogicalPlan::Filter(filter) => found |= matters(&filter.predicate, &schema())?,
            LogicalPlan::Join(join) => {
                if let Some(condition) = &join.filter {
                    found |= matters(condition, &schema())?;
                }
            }
            other => {
                other.apply_expressions(|expr| {
                    found |= expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_))))?;
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether it makes a difference for a condition over columns of `schema`.
pub(super) fn matters(condition: &Expr, schema: &DFSchema) -> DataFusionResult<bool> {
    for part in split_conjunction(condition) {
        let whole = match part {
            Expr::Not(inner) => matches!(**inner, Expr::InSubquery(_)),
            part => matches!(part, Expr::InSubquery(_)),
        };
        if !whole && within(part, schema)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The same for a part that stands under AND and OR.
fn within(part: &Expr, schema: &DFSchema) -> DataFusionResult<bool> {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            Ok(within(left, schema)? || within(right, schema)?)
        }
        Expr::InSubquery(own) if !own.negated => Ok(false),
        other => {
            other.exists(|expr| Ok(matches!(expr, Expr::InSubquery(own) if may_be_unknown(own, schema))))
        }
    }
}

fn may_be_unknown(own: &InSubquery, schema: &DFSchema) -> bool {
    let nullable = |plan: &LogicalPlan| plan.schema().fields().iter().any(|field| field.is_nullable());
    own.expr.nullable(schema).unwrap_or(true) || nullable(&own.subquery.subquery)
}
