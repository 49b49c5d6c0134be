//! A physical rule in the place of DataFusion's choice of join sides: the order of inner joins, by statistics.
//!
//! A group of inner joins, seen through projections of columns and filters, is taken apart into relations, classes of equal
//! columns and conditions ([`flatten`]); the cheapest order is found ([`order`]) and built ([`build`]). Other joins stay where
//! they are; groups on their sides are put in order for themselves, and their smaller side is the one that is kept in memory,
//! or rows of their second side are looked up ([`lookup`]). A join of few rows with an aggregate tells it of its keys
//! ([`grouped`]).
//!
//! I1: the same rows, with the same columns in the same order. The order of rows is nobody's concern yet: the rule runs before
//! sorts are placed.

mod build;
mod flatten;
mod grouped;
mod lookup;
mod order;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode};

use self::flatten::Group;
use crate::context::ScopeExtension;
use crate::scan::narrow::LIST_MAX;
use crate::session::methods::Methods;
use crate::statistics::estimate::{Estimate, Estimates};

/// The name of the rule that this one stands for.
pub(crate) const REPLACED: &str = "join_selection";

/// See the module.
#[derive(Debug)]
pub(crate) struct JoinOrder;

impl PhysicalOptimizerRule for JoinOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let methods = ScopeExtension::of(config).map(|scope| scope.settings.methods.clone());
        let methods = methods.unwrap_or_default();
        Planner { config, methods, estimates: Estimates::default() }.plan(&plan)
    }

    fn name(&self) -> &str {
        "join_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// One run of the rule.
struct Planner<'c> {
    config: &'c ConfigOptions,
    methods: Methods,
    estimates: Estimates,
}

impl Planner<'_> {
    fn plan(&mut self, node: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if self.methods.join_order && flatten::is_join(node) {
            let mut group = Group::default();
            let output = flatten::flatten(self, node, &mut group)?;
            // Two relations have sides, no order.
            if group.relations.len() > 1 {
                return self.ordered(node, &group, &output);
            }
        }
        let children: Vec<Arc<dyn ExecutionPlan>> =
            node.children().into_iter().map(|child| self.plan(child)).collect::<Result<_>>()?;
        let node = match children.is_empty() {
            true => Arc::clone(node),
            false => replace_children_if_necessary(Arc::clone(node), children)?,
        };
        self.with_sides(node)
    }

    fn ordered(
        &mut self,
        node: &Arc<dyn ExecutionPlan>,
        group: &Group,
        output: &[usize],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let estimates: Vec<Arc<Estimate>> =
            group.relations.iter().map(|relation| self.estimates.of(&relation.plan)).collect();
        let graph = order::Graph::new(group, &estimates, &self.methods);
        let tree = graph.best();
        build::build(self, node, group, &graph, &tree, output)
    }

    /// How the side that is kept in memory is read: as one, or cut into parts by the keys.
    fn mode(&self, rows: f64) -> PartitionMode {
        let few = rows < self.config.optimizer.hash_join_single_partition_threshold_rows as f64;
        match few || self.config.execution.target_partitions == 1 {
            true => PartitionMode::CollectLeft,
            false => PartitionMode::Partitioned,
        }
    }

    /// A join whose smaller side is on the left, which is kept in memory.
    fn with_sides(&mut self, node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let mut sizes = |left: &Arc<dyn ExecutionPlan>, right: &Arc<dyn ExecutionPlan>| {
            let size = |estimate: &Estimate| estimate.rows * (estimate.width() + 16.0);
            let (left, right) = (self.estimates.of(left), self.estimates.of(right));
            (size(&left) > size(&right), left.rows, right.rows)
        };
        if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            if !self.config.optimizer.prefer_hash_join
                && let Some(merge) = build::merged(join)?
            {
                return Ok(merge);
            }
            let (swap, left, right) = sizes(join.left(), join.right());
            if let Some(join) = lookup::looked_up(self, join)? {
                return Ok(join);
            }
            if swap && join.join_type().supports_swap() && !join.null_aware {
                return told(join.swap_inputs(self.mode(right))?, right);
            }
            let mode = if join.null_aware { PartitionMode::CollectLeft } else { self.mode(left) };
            return told(Arc::new(join.builder().with_partition_mode(mode).build()?), left);
        }
        if let Some(join) = node.downcast_ref::<CrossJoinExec>()
            && sizes(join.left(), join.right()).0
        {
            return join.swap_inputs();
        }
        if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
            && join.join_type().supports_swap()
            && sizes(join.left(), join.right()).0
        {
            return join.swap_inputs();
        }
        Ok(node)
    }
}

/// A join whose first side has so many rows: what it tells its second side should reach the input of an aggregate there.
fn told(node: Arc<dyn ExecutionPlan>, rows: f64) -> Result<Arc<dyn ExecutionPlan>> {
    if rows <= TELLS_MAX
        && let Some(join) = node.downcast_ref::<HashJoinExec>()
        && let Some(keyed) = grouped::keyed_by_groups(join)?
    {
        return Ok(keyed);
    }
    Ok(node)
}

/// Rows that may have values few enough to be told.
const TELLS_MAX: f64 = 4.0 * LIST_MAX as f64;
