//! Joins of few rows with an aggregate: what a correlated aggregate becomes, such as `cost = (SELECT min(cost) … WHERE key = …)`.
//! The join tells its second side which values it has; that reaches the aggregate's input only if it is about groups' keys.
//! So keys that are no groups' keys become a condition of the join.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::{JoinSide, JoinType, NullEquality, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::conjunction;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExec, HashJoinExecBuilder};
use datafusion::physical_plan::projection::ProjectionExec;

/// Places of a plan's output that are keys of the groups of an aggregate below.
fn group_keys(plan: &Arc<dyn ExecutionPlan>) -> Option<Vec<usize>> {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let keys = aggregate.group_expr();
        return (keys.is_single() && !keys.is_empty()).then(|| (0..keys.expr().len()).collect());
    }
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    let below = group_keys(projection.input())?;
    let place = |(at, item): (usize, &datafusion::physical_plan::projection::ProjectionExpr)| {
        let column = item.expr.downcast_ref::<Column>()?.index();
        below.contains(&column).then_some((at, column))
    };
    let kept: Vec<(usize, usize)> = projection.expr().iter().enumerate().filter_map(place).collect();
    let all = below.iter().all(|key| kept.iter().any(|(_, column)| column == key));
    all.then(|| kept.into_iter().map(|(at, _)| at).collect())
}

/// The join with only groups' keys as its keys, where its second side is an aggregate and it has others too.
pub(super) fn keyed_by_groups(join: &HashJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let kind = *join.join_type();
    let told = matches!(kind, JoinType::Inner | JoinType::LeftSemi | JoinType::Left | JoinType::LeftAnti);
    if !told || join.null_aware || join.null_equality() != NullEquality::NullEqualsNothing {
        return Ok(None);
    }
    let Some(groups) = group_keys(join.right()) else { return Ok(None) };
    let place = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Column>().map(Column::index);
    let of_group = |(_, r): &&(_, Arc<dyn PhysicalExpr>)| place(r).is_some_and(|at| groups.contains(&at));
    let (on, others): (Vec<_>, Vec<_>) = join.on().iter().partition(of_group);
    // All keys of the groups: then a row meets one row at most.
    let whole = groups.iter().all(|group| on.iter().any(|(_, r)| place(r) == Some(*group)));
    if others.is_empty() || !whole {
        return Ok(None);
    }
    let (left, right) = (join.left().schema(), join.right().schema());
    let (mut places, mut fields) = (Vec::new(), Vec::new());
    let mut terms = Vec::new();
    if let Some(filter) = join.filter() {
        places.extend(filter.column_indices().iter().cloned());
        fields.extend(filter.schema().fields().iter().cloned());
        terms.push(Arc::clone(filter.expression()));
    }
    for (l, r) in others {
        let (Some(l), Some(r)) = (place(l), place(r)) else { return Ok(None) };
        // What a hash join takes for equal and a comparison does not are signs of zero.
        let (of_left, of_right) = (left.field(l).data_type(), right.field(r).data_type());
        if of_left != of_right || of_left.is_floating() || of_left.is_nested() || of_left.is_null() {
            return Ok(None);
        }
        let mut column = |side: JoinSide, index: usize, schema: &Schema| {
            let field = schema.field(index).clone();
            let column = Arc::new(Column::new(field.name(), places.len())) as Arc<dyn PhysicalExpr>;
            places.push(ColumnIndex { index, side });
            fields.push(Arc::new(field));
            column
        };
        let (l, r) = (column(JoinSide::Left, l, &left), column(JoinSide::Right, r, &right));
        terms.push(Arc::new(BinaryExpr::new(l, Operator::Eq, r)));
    }
    let filter = JoinFilter::new(conjunction(terms), places, Arc::new(Schema::new(fields)));
    let on = on.into_iter().cloned().collect();
    let built = HashJoinExecBuilder::new(Arc::clone(join.left()), Arc::clone(join.right()), on, kind)
        .with_filter(Some(filter))
        .with_projection(join.projection.as_ref().map(|places| places.to_vec()))
        .with_partition_mode(*join.partition_mode());
    Ok(Some(Arc::new(built.build()?)))
}
