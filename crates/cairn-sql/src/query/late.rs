//! A physical rule: what a SELECT list computes is computed after ORDER BY … LIMIT, for the rows that are left,
//! where the order does not need it. (PostgreSQL does so for expensive expressions.)
//!
//! ```text
//! Sort(TopK)  ─▶  Projection [a, f(b)]  ─▶  input
//! becomes   Projection [a, f(b)]  ─▶  Sort(TopK)  ─▶  input
//! ```
//!
//! Guarantees: the same rows in the same order and partitions. An error in a row that LIMIT cuts off does not
//! happen.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;

/// See the module.
#[derive(Debug)]
pub(crate) struct LateProjection;

impl PhysicalOptimizerRule for LateProjection {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_down(|node| {
            let swapped = match node.downcast_ref::<SortExec>() {
                Some(sort) => swap(sort)?,
                None => None,
            };
            Ok(swapped.map_or_else(|| Transformed::no(node), Transformed::yes))
        })?;
        Ok(rewritten.data)
    }

    fn name(&self) -> &str {
        "late_projection"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The projection above the sort; `None` where the order needs what it computes, or it computes nothing.
fn swap(sort: &SortExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(fetch) = sort.fetch() else { return Ok(None) };
    let Some(projection) = sort.input().downcast_ref::<ProjectionExec>() else { return Ok(None) };
    let computes = projection.expr().iter().any(|item| {
        item.expr.downcast_ref::<Column>().is_none() && item.expr.downcast_ref::<Literal>().is_none()
    });
    if !computes {
        return Ok(None);
    }
    let mut keys = Vec::new();
    for key in sort.expr() {
        let Some(expr) = below(&key.expr, projection)? else { return Ok(None) };
        keys.push(PhysicalSortExpr::new(expr, key.options));
    }
    let Some(keys) = LexOrdering::new(keys) else { return Ok(None) };
    let sorted = SortExec::new(keys, Arc::clone(projection.input()))
        .with_fetch(Some(fetch))
        .with_preserve_partitioning(sort.preserve_partitioning());
    let late = ProjectionExec::try_new(projection.expr().to_vec(), Arc::new(sorted))?;
    Ok(Some(Arc::new(late)))
}

/// An expression over the projection's output as one over its input; `None` where it needs a computed column.
fn below(expr: &Arc<dyn PhysicalExpr>, projection: &ProjectionExec) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let mut plain = true;
    let rewritten = Arc::clone(expr).transform_up(|node| {
        let Some(column) = node.downcast_ref::<Column>() else { return Ok(Transformed::no(node)) };
        match projection.expr().get(column.index()) {
            Some(item) if item.expr.downcast_ref::<Column>().is_some() => {
                Ok(Transformed::yes(Arc::clone(&item.expr)))
            }
            _ => {
                plain = false;
                Ok(Transformed::no(node))
            }
        }
    })?;
    Ok(plain.then_some(rewritten.data))
}
