//! A physical rule: where a plan that was made smaller no longer has the order that an operator needs, sorts are put in.
//!
//! What takes columns away takes with them what was known of the order: a join's other column may be ordered with NULLs
//! elsewhere. The query engine checks for that and would fail.
//!
//! Guarantees: a plan that is sound stays as it is.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::ensure_requirements::EnsureRequirements;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions,
};

/// The rule.
#[derive(Debug)]
pub(crate) struct Sound;

impl PhysicalOptimizerRule for Sound {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if is_sound(&plan, config) {
            return Ok(plan);
        }
        let ensured = EnsureRequirements::new().optimize(plan, config)?;
        if is_sound(&ensured, config) {
            return Ok(ensured);
        }
        with_sorts(ensured)
    }

    fn name(&self) -> &str {
        "sound"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_sound(plan: &Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> bool {
    SanityCheckPlan::new().optimize(Arc::clone(plan), config).is_ok()
}

/// The plan with a sort below each operator that needs an order which its input has not: the query engine relies on the order that a join
/// hands on of its other side where that has changed with the columns that were taken away.
fn with_sorts(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let sorted = plan.transform_up(|node| {
        let needed = node.required_input_ordering();
        let mut children: Vec<Arc<dyn ExecutionPlan>> = node.children().into_iter().cloned().collect();
        let mut changed = false;
        for (child, needed) in children.iter_mut().zip(needed) {
            let Some(needed) = needed else { continue };
            let properties = child.equivalence_properties();
            if properties.ordering_satisfy_requirement(needed.clone().into_single())? {
                continue;
            }
            let order = LexOrdering::from(needed.into_single());
            let partitions = child.output_partitioning().partition_count();
            let sort = SortExec::new(order, Arc::clone(child)).with_preserve_partitioning(partitions > 1);
            *child = Arc::new(sort);
            changed = true;
        }
        if !changed {
            return Ok(Transformed::no(node));
        }
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        Ok(Transformed::yes(node.replace_children(children, options)?))
    })?;
    Ok(sorted.data)
}
