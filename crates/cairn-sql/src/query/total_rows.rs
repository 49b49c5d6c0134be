//! A condition without columns stays above an aggregate that gives a row for no rows: `SELECT count(*) FROM (SELECT min(a) FROM t) x WHERE
//! random() < 0`. The query engine takes it for one on the groups and moves it below, where it takes rows from the aggregate but not
//! the aggregate's own. So may be a condition on columns which are constant below. A LIMIT that limits nothing, which no condition
//! passes, keeps it where it is.

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
        guarded(plan, Above::default())
    }
}

/// What may come down to a plan.
#[derive(Debug, Clone, Copy, Default)]
struct Above {
    /// A condition.
    condition: bool,
    /// A condition without columns, or one that loses them to constants on its way.
    without_columns: bool,
}

impl Above {
    /// What may come down to the children of a plan.
    fn below(self, plan: &LogicalPlan) -> Above {
        let of = |condition: &Expr| Above {
            condition: true,
            without_columns: self.without_columns || is_without_columns(condition),
        };
        match plan {
            LogicalPlan::Filter(filter) => of(&filter.predicate),
            LogicalPlan::Join(join) => join.filter.as_ref().map_or(self, of),
            LogicalPlan::Projection(projection) => {
                let constant = projection.expr.iter().any(|expr| expr.column_refs().is_empty());
                Above { without_columns: self.without_columns || self.condition && constant, ..self }
            }
            LogicalPlan::Limit(_) => Above::default(),
            _ => self,
        }
    }
}

fn guarded(plan: LogicalPlan, above: Above) -> Result<Transformed<LogicalPlan>> {
    let wraps =
        above.without_columns && matches!(&plan, LogicalPlan::Aggregate(aggregate) if gives_total(aggregate));
    let below = above.below(&plan);
    let plan = plan.map_children(|child| guarded(child, below))?;
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
pub(super) fn gives_total(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.is_empty()
        || aggregate.group_expr.iter().any(|key| match key {
            Expr::GroupingSet(GroupingSet::Rollup(_) | GroupingSet::Cube(_)) => true,
            Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => sets.iter().any(Vec::is_empty),
            _ => false,
        })
}
