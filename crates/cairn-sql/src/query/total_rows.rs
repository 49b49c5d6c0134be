//! A condition without columns stays above an aggregate that gives a row for no rows: `SELECT count(*) FROM (SELECT min(a) FROM t) x WHERE
//! random() < 0`. The query engine takes it for one on the groups and moves it below, where it takes rows from the aggregate but not
//! the aggregate's own. A LIMIT that limits nothing, which no condition passes, keeps it where it is.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, Limit, LogicalPlan, lit};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule, which is to come before [`TotalRows::BEFORE`].
#[derive(Debug)]
pub(crate) struct TotalRows;

impl TotalRows {
    /// The rule that moves conditions down.
    pub(crate) const BEFORE: &str = "push_down_filter";
}

impl OptimizerRule for TotalRows {
    fn name(&self) -> &str {
        "total_rows"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        guarded(plan, false)
    }
}

/// `above`: whether a condition without columns may come down to the plan.
fn guarded(plan: LogicalPlan, above: bool) -> Result<Transformed<LogicalPlan>> {
    let above = match &plan {
        LogicalPlan::Filter(filter) => above || is_without_columns(&filter.predicate),
        LogicalPlan::Join(join) => above || join.filter.as_ref().is_some_and(is_without_columns),
        LogicalPlan::Limit(_) => false,
        _ => above,
    };
    let wraps = above && matches!(&plan, LogicalPlan::Aggregate(aggregate) if gives_total(aggregate));
    let plan = plan.map_children(|child| guarded(child, above))?;
    if !wraps {
        return Ok(plan);
    }
    let input = std::sync::Arc::new(plan.data);
    Ok(Transformed::yes(LogicalPlan::Limit(Limit {
        skip: None,
        fetch: Some(Box::new(lit(i64::MAX))),
        input,
    })))
}

fn is_without_columns(condition: &Expr) -> bool {
    split_conjunction(condition).into_iter().any(|term| term.column_refs().is_empty())
}

/// Whether an aggregate has a row for all its input, also where that is empty.
fn gives_total(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.is_empty()
        || aggregate.group_expr.iter().any(|key| match key {
            Expr::GroupingSet(GroupingSet::Rollup(_) | GroupingSet::Cube(_)) => true,
            Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => sets.iter().any(Vec::is_empty),
            _ => false,
        })
}
