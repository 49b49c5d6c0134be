//! A physical rule: ORDER BY … LIMIT by an index that has the order, in the place of a sort of the whole table.
//!
//! A sort that keeps few rows, above filters, picked columns and a scan of a whole table, reads the table by the index instead
//! where so few rows are expected to be read until enough have passed the filters that it costs less. What gives the order then
//! falls away by the rules that follow.
//!
//! Guarantees: the same rows; among rows that are equal in the sort's key others may come, as with any sort.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;

use crate::context::ScopeExtension;
use crate::functions::keys::keyed;
use crate::scan::exec::TableScanExec;
use crate::statistics::estimate::Estimates;

/// See the module.
#[derive(Debug)]
pub(crate) struct IndexOrder;

impl PhysicalOptimizerRule for IndexOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let methods = ScopeExtension::of(config).map(|scope| scope.settings.methods.clone());
        let methods = methods.unwrap_or_default();
        if !methods.indexscan {
            return Ok(plan);
        }
        let mut estimates = Estimates::default();
        let ordered = plan.transform_down(|node| {
            let Some(sort) = node.downcast_ref::<SortExec>() else { return Ok(Transformed::no(node)) };
            let Some(fetch) = sort.fetch() else { return Ok(Transformed::no(node)) };
            let keys: Option<Vec<(usize, &PhysicalSortExpr)>> = sort
                .expr()
                .iter()
                .map(|key| Some((keyed(&key.expr).downcast_ref::<Column>()?.index(), key)))
                .collect();
            let Some(keys) = keys else { return Ok(Transformed::no(node)) };
            let before = estimates.of(&node).cost;
            let passed = estimates.of(sort.input()).rows;
            let limit = if methods.sort { before } else { f64::MAX };
            let wanted = Wanted { fetch: fetch as f64, passed, limit };
            Ok(match below(sort.input(), &keys, &wanted)? {
                Some(input) => Transformed::yes(replace_children_if_necessary(node, vec![input])?),
                None => Transformed::no(node),
            })
        })?;
        Ok(ordered.data)
    }

    fn name(&self) -> &str {
        "index_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What is wanted of a scan in order.
struct Wanted {
    /// Rows that the sort keeps.
    fetch: f64,
    /// Rows that pass the filters, of all.
    passed: f64,
    /// What it may cost.
    limit: f64,
}

/// The input of a sort with its scan in the sort's order, where that is cheaper.
fn below(
    node: &Arc<dyn ExecutionPlan>,
    keys: &[(usize, &PhysicalSortExpr)],
    wanted: &Wanted,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(scan) = node.downcast_ref::<TableScanExec>() {
        let keys: Vec<_> = keys.iter().map(|(at, key)| (*at, key.options)).collect();
        let Some(ordered) = scan.in_order(&keys) else { return Ok(None) };
        let estimate = ordered.estimate();
        let read = (wanted.fetch / wanted.passed.max(1.0)).min(1.0);
        return Ok((estimate.cost * read < wanted.limit).then(|| Arc::new(ordered) as Arc<dyn ExecutionPlan>));
    }
    let input = if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let moved: Option<Vec<(usize, &PhysicalSortExpr)>> = keys
            .iter()
            .map(|(at, key)| Some((projection.expr().get(*at)?.expr.downcast_ref::<Column>()?.index(), *key)))
            .collect();
        match moved {
            Some(moved) => below(projection.input(), &moved, wanted)?,
            None => None,
        }
    } else if let Some(filter) = node.downcast_ref::<FilterExec>() {
        let places = filter.projection();
        let moved: Option<Vec<(usize, &PhysicalSortExpr)>> = keys
            .iter()
            .map(|(at, key)| match places {
                Some(places) => Some((*places.get(*at)?, *key)),
                None => Some((*at, *key)),
            })
            .collect();
        match moved {
            Some(moved) => below(filter.input(), &moved, wanted)?,
            None => None,
        }
    } else {
        None
    };
    match input {
        Some(input) => replace_children_if_necessary(Arc::clone(node), vec![input]).map(Some),
        None => Ok(None),
    }
}
