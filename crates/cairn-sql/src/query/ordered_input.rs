//! Aggregates that put values in a row take them in the order of their input, where the query says one: `SELECT array_agg(x) FROM
//! (SELECT … ORDER BY …) s`. A physical optimizer rule has the sort below such an aggregate kept, which nothing else asks for.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::Distribution;
use datafusion::physical_expr_common::sort_expr::OrderingRequirements;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::output_requirements::OutputRequirementExec;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

/// Aggregates whose result depends on the order of their input.
const IN_ORDER: &[&str] = &[
    "array_agg",
    "first",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "last",
    "string_agg",
];

/// The rule.
#[derive(Debug)]
pub(crate) struct OrderedInput;

impl PhysicalOptimizerRule for OrderedInput {
    fn name(&self) -> &str {
        "ordered_input"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| {
            let Some(aggregate) = node.downcast_ref::<AggregateExec>() else {
                return Ok(Transformed::no(node));
            };
            let takes_order = aggregate
                .aggr_expr()
                .iter()
                .any(|one| one.order_bys().is_empty() && IN_ORDER.contains(&one.fun().name()));
            if !takes_order {
                return Ok(Transformed::no(node));
            }
            match with_sort_kept(aggregate.input())? {
                Some(input) => {
                    Ok(Transformed::yes(Arc::clone(&node).replace_children(vec![input], recompute())?))
                }
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(rewritten.data)
    }
}

/// The plan with the sort kept that gives it its order, if one does.
fn with_sort_kept(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        let ordering = OrderingRequirements::from(sort.expr().clone());
        let kept = OutputRequirementExec::new(
            Arc::clone(plan),
            Some(ordering),
            Distribution::SinglePartition,
            sort.fetch(),
        );
        return Ok(Some(Arc::new(kept)));
    }
    let (children, maintains) = (plan.children(), plan.maintains_input_order());
    let ([child], [true]) = (children.as_slice(), maintains.as_slice()) else { return Ok(None) };
    match with_sort_kept(child)? {
        Some(child) => Ok(Some(Arc::clone(plan).replace_children(vec![child], recompute())?)),
        None => Ok(None),
    }
}

fn recompute() -> ReplaceChildrenOptions {
    ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute)
}
