//! Computed keys of GROUPING SETS, ROLLUP and CUBE are computed below their aggregate: within sets of keys an expression that is rewritten
//! would lose the name by which those above know it, and `grouping(key)` its likeness to the key.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder};

/// The plan with such keys as columns.
pub(super) fn as_columns(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => of_aggregate(aggregate),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

fn of_aggregate(aggregate: Aggregate) -> DataFusionResult<Transformed<LogicalPlan>> {
    let keys = computed(&aggregate);
    if keys.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let input = aggregate.input.schema().columns().into_iter().map(Expr::Column);
    let named = keys.iter().map(|key| key.clone().alias(key.schema_name().to_string()));
    let below = LogicalPlanBuilder::new_from_arc(Arc::clone(&aggregate.input)).project(input.chain(named))?;
    let groups = aggregate.group_expr.iter().map(|group| with_columns(group.clone(), &keys));
    let groups = groups.collect::<DataFusionResult<Vec<_>>>()?;
    let values = aggregate.aggr_expr.iter().map(|value| in_grouping(value.clone(), &keys));
    let values = values.collect::<DataFusionResult<Vec<_>>>()?;
    let made = Aggregate::try_new(Arc::new(below.build()?), groups, values)?;
    Ok(match made.schema.columns() == aggregate.schema.columns() {
        true => Transformed::yes(LogicalPlan::Aggregate(made)),
        false => Transformed::no(LogicalPlan::Aggregate(aggregate)),
    })
}

/// The keys within sets that are no columns: constants, too, as the query engine takes a key that is one for constant in all groups.
fn computed(aggregate: &Aggregate) -> Vec<Expr> {
    let schema = aggregate.input.schema();
    let mut keys: Vec<Expr> = Vec::new();
    for group in &aggregate.group_expr {
        let Expr::GroupingSet(sets) = group else { continue };
        for key in sets.distinct_expr() {
            let plain = matches!(key, Expr::Column(_) | Expr::Alias(_));
            let named = || schema.has_column_with_unqualified_name(&key.schema_name().to_string());
            if !plain && !keys.contains(key) && !named() {
                keys.push(key.clone());
            }
        }
    }
    keys
}

/// An expression with columns in the place of keys.
fn with_columns(expr: Expr, keys: &[Expr]) -> DataFusionResult<Expr> {
    let replaced = expr.transform_down(|part| match keys.contains(&part) {
        true => {
            let column = Column::new_unqualified(part.schema_name().to_string());
            Ok(Transformed::new(Expr::Column(column), true, TreeNodeRecursion::Jump))
        }
        false => Ok(Transformed::no(part)),
    })?;
    Ok(replaced.data)
}

/// `grouping(key)` of columns.
fn in_grouping(expr: Expr, keys: &[Expr]) -> DataFusionResult<Expr> {
    let replaced = expr.transform_up(|part| match part {
        Expr::AggregateFunction(AggregateFunction { func, mut params }) if func.name() == "grouping" => {
            params.args = params
                .args
                .into_iter()
                .map(|arg| with_columns(arg, keys))
                .collect::<DataFusionResult<_>>()?;
            Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}
