//! ORDER BY within an aggregate says each key once: of `array_agg(a ORDER BY b, b)`, and of the first values that DISTINCT ON
//! becomes, the query engine keeps one of two equal keys in one place and counts both in another. This is an optimizer rule,
//! as keys may only become equal when they are simplified (`b, b + 0`).

use std::collections::HashSet;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule.
#[derive(Debug)]
pub(super) struct RepeatedKeys;

impl OptimizerRule for RepeatedKeys {
    fn name(&self) -> &str {
        "repeated_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> DataFusionResult<Transformed<LogicalPlan>> {
        if !matches!(plan, LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::no(plan));
        }
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let once = expr.transform_up(|expr| Ok(once(expr)))?;
            Ok(if once.transformed { once.update_data(|expr| name.restore(expr)) } else { once })
        })
    }
}

fn once(expr: Expr) -> Transformed<Expr> {
    let Expr::AggregateFunction(mut function) = expr else { return Transformed::no(expr) };
    let order = &mut function.params.order_by;
    let before = order.len();
    let mut seen = HashSet::with_capacity(before);
    order.retain(|key| seen.insert(key.expr.clone()));
    let changed = order.len() < before;
    Transformed::new_transformed(Expr::AggregateFunction(function), changed)
}
