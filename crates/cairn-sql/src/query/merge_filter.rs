//! A physical rule: the condition of a merge join names its left columns first.
//!
//! The query engine hands a merge join's condition the columns of the left side and then those of the right one, whatever
//! order the condition has them in, and never evaluates a condition without columns. So the condition is said in that
//! order, and one without columns gets one that it does not look at.
//!
//! Guarantees: the condition's meaning stays.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinSide, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::SortMergeJoinExec;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};

/// See the module.
#[derive(Debug)]
pub(crate) struct MergeFilter;

impl PhysicalOptimizerRule for MergeFilter {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let ordered = plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<SortMergeJoinExec>() else {
                return Ok(Transformed::no(node));
            };
            let Some(filter) = join.filter.as_ref() else { return Ok(Transformed::no(node)) };
            let Some(filter) = ordered(filter, join)? else { return Ok(Transformed::no(node)) };
            let join = SortMergeJoinExec::try_new(
                Arc::clone(&join.left),
                Arc::clone(&join.right),
                join.on.clone(),
                Some(filter),
                join.join_type,
                join.sort_options.clone(),
                join.null_equality,
            )?;
            Ok(Transformed::yes(Arc::new(join) as Arc<dyn ExecutionPlan>))
        })?;
        Ok(ordered.data)
    }

    fn name(&self) -> &str {
        "merge_filter"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The condition with its columns in order; `None` where they are.
fn ordered(filter: &JoinFilter, join: &SortMergeJoinExec) -> Result<Option<JoinFilter>> {
    let indices = filter.column_indices();
    if indices.is_empty() {
        return Ok(Some(with_a_column(filter, join)));
    }
    let mut places: Vec<usize> = (0..indices.len()).collect();
    places.sort_by_key(|place| indices[*place].side != JoinSide::Left);
    if places.iter().enumerate().all(|(at, place)| at == *place) {
        return Ok(None);
    }
    let moved = Arc::clone(filter.expression()).transform_up(|expr| {
        let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
        let at = places.iter().position(|place| *place == column.index()).unwrap_or(column.index());
        Ok(Transformed::yes(Arc::new(Column::new(column.name(), at)) as Arc<dyn PhysicalExpr>))
    })?;
    let fields: Vec<Field> = places.iter().map(|place| filter.schema().field(*place).clone()).collect();
    let indices = places.iter().map(|place| indices[*place].clone()).collect();
    Ok(Some(JoinFilter::new(moved.data, indices, Arc::new(Schema::new(fields)))))
}

/// A condition that looks at no column, given one: the join's first.
fn with_a_column(filter: &JoinFilter, join: &SortMergeJoinExec) -> JoinFilter {
    let (schema, side) = match join.left.schema().fields().is_empty() {
        false => (join.left.schema(), JoinSide::Left),
        true => (join.right.schema(), JoinSide::Right),
    };
    let schema = Arc::new(Schema::new(vec![schema.field(0).clone()]));
    JoinFilter::new(Arc::clone(filter.expression()), vec![ColumnIndex { index: 0, side }], schema)
}
