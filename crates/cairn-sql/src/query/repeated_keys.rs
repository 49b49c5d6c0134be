//! ORDER BY within an aggregate says each key once: of `array_agg(a ORDER BY b, b)`, and of the first values that DISTINCT ON
//! becomes, the query engine keeps one of two equal keys in one place and counts both in another. This is an optimizer rule,
//! as keys may only become equal when they are simplified (`b, b + 0`).

use std::collections::HashSet;
use std::sync::Arc;

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
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        let input = Arc::clone(&aggregate.input);
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let once = expr.transform_up(|expr| once(expr, &input))?;
            Ok(if once.transformed { once.update_data(|expr| name.restore(expr)) } else { once })
        })
    }
}

fn once(expr: Expr, input: &LogicalPlan) -> DataFusionResult<Transformed<Expr>> {
    let Expr::AggregateFunction(mut function) = expr else { return Ok(Transformed::no(expr)) };
    let order = &mut function.params.order_by;
    let before = order.len();
    let (mut seen, mut kept) = (HashSet::with_capacity(before), Vec::with_capacity(before));
    for key in std::mem::take(order) {
        if seen.insert(meaning(key.expr.clone(), input)?) {
            kept.push(key);
        }
    }
    *order = kept;
    let changed = order.len() < before;
    Ok(Transformed::new_transformed(Expr::AggregateFunction(function), changed))
}

/// A key in terms of what a projection below computes, which may be taken away later, and without the names that keys keep which
/// were made simpler.
fn meaning(key: Expr, input: &LogicalPlan) -> DataFusionResult<Expr> {
    let key = key.unalias_nested().data;
    let LogicalPlan::Projection(projection) = input else { return Ok(key) };
    let meaning = key.transform_up(|part| {
        let Expr::Column(column) = &part else { return Ok(Transformed::no(part)) };
        Ok(match projection.schema.maybe_index_of_column(column) {
            Some(at) => Transformed::yes(projection.expr[at].clone().unalias_nested().data),
            None => Transformed::no(part),
        })
    })?;
    Ok(meaning.data)
}
