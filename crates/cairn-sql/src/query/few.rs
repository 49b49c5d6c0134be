//! A physical rule: a scan below LIMIT reads so many rows first, and not a whole batch of them.
//!
//! Conditions stay above scans, so the limit does not reach them; but where an index gives what a condition asks for, nearly
//! all rows that are read pass.
//!
//! Guarantees: only the sizes of batches change.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;

use crate::scan::exec::TableScanExec;

/// Rows that are read first at least.
const ROWS_MIN: usize = 16;
/// More rows are no reason to read less than a batch.
const ROWS_MAX: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct FewRows;

impl PhysicalOptimizerRule for FewRows {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let told = plan.transform_down(|node| {
            let Some(rows) = wanted(&node).filter(|rows| *rows < ROWS_MAX) else {
                return Ok(Transformed::no(node));
            };
            Ok(match told(&node, rows.max(ROWS_MIN))? {
                Some(told) => Transformed::yes(told),
                None => Transformed::no(node),
            })
        })?;
        Ok(told.data)
    }

    fn name(&self) -> &str {
        "few_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// How many rows a node asks for. (A sort asks for all, whatever it gives.)
fn wanted(node: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    if let Some(limit) = node.downcast_ref::<GlobalLimitExec>() {
        return limit.fetch().map(|fetch| fetch.saturating_add(limit.skip()));
    }
    if node.downcast_ref::<SortExec>().is_some() {
        return None;
    }
    node.fetch()
}

/// The node with the scan below told, where only filters and projections lie between.
fn told(node: &Arc<dyn ExecutionPlan>, rows: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(scan) = node.downcast_ref::<TableScanExec>() {
        return Ok(Some(Arc::new(scan.wanting(rows))));
    }
    let passes = node.downcast_ref::<FilterExec>().is_some()
        || node.downcast_ref::<ProjectionExec>().is_some()
        || node.downcast_ref::<GlobalLimitExec>().is_some();
    let children = node.children();
    let ([input], true) = (children.as_slice(), passes) else { return Ok(None) };
    match told(input, rows)? {
        Some(input) => replace_children_if_necessary(Arc::clone(node), vec![input]).map(Some),
        None => Ok(None),
    }
}
