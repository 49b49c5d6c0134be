//! Joins that make many rows of few pause now and then: the query engine lets what reads a table pause, but a join gives
//! batch after batch from what it has read once, and neither a timeout nor other queries got a turn meanwhile. What computes
//! long texts gets its rows in pieces ([`super::slices`]).

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// The rule.
#[derive(Debug)]
pub(crate) struct Pauses;

impl PhysicalOptimizerRule for Pauses {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        super::interrupt::look()?;
        let pausing = plan.transform_up(|node| {
            let sliced = super::slices::sliced(Arc::clone(&node))?;
            match sliced.name() {
                "CrossJoinExec" | "NestedLoopJoinExec" | "HashJoinExec" | "SortMergeJoinExec"
                | "UnnestExec" | "IndexJoin" => {
                    let node = super::interrupt::watch(sliced)?;
                    Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>))
                }
                _ if Arc::ptr_eq(&sliced, &node) => Ok(Transformed::no(node)),
                _ => Ok(Transformed::yes(sliced)),
            }
        })?;
        Ok(pausing.data)
    }

    fn name(&self) -> &str {
        "pauses"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
