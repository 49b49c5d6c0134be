//! The types of recursive CTEs: the query engine brings the columns of the recursive term to the types of the other one,
//! whatever they are; where these have no room for them, PostgreSQL has an error.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, RecursiveQuery};

use crate::Error;
use crate::functions::overload::{common, type_name};
use crate::functions::sql_type;

/// The plan, whose recursive terms have the types of the others.
pub(super) fn check(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::RecursiveQuery(query) = node {
            check_one(query)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(plan)
}

fn check_one(query: &RecursiveQuery) -> DataFusionResult<()> {
    let LogicalPlan::Projection(term) = &*query.recursive_term else { return Ok(()) };
    for (at, expr) in term.expr.iter().enumerate() {
        let Expr::Cast(cast) = expr.clone().unalias() else { continue };
        if cast.expr.column_refs().is_empty() {
            continue;
        }
        let from = sql_type(&cast.expr.to_field(term.input.schema())?.1);
        let to = sql_type(query.static_term.schema().field(at));
        let met = common(&from, &to);
        if met.as_ref().is_some_and(|met| met.base_name() != to.base_name()) {
            let (to, met) = (type_name(&to), met.as_ref().map(type_name).unwrap_or_default());
            let message = format!(
                "recursive query \"{}\" column {} has type {to} in non-recursive term but type {met} overall",
                query.name,
                at + 1
            );
            return Err(Error::new("42804", message)
                .with_hint("Cast the output of the non-recursive term to the correct type.")
                .into());
        }
    }
    Ok(())
}
