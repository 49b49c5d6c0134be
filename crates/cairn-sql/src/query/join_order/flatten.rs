//! Taking a group of inner joins apart.
//!
//! Columns of the relations are numbered through, one relation after the other: a *global* number is a column's for all
//! orders. Conditions are physical expressions whose columns have global numbers as their places.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinSide, JoinType, NullEquality, Result};
use datafusion::logical_expr::Volatility;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, JoinOnRef, NestedLoopJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::projection::ProjectionExec;

use super::Planner;
use crate::query::slots;
use crate::scan::exec::TableScanExec;

/// Relations of a group at most: sets of them are bits of a number.
const RELATIONS_MAX: usize = 60;

/// What is joined.
pub(super) struct Relation {
    pub(super) plan: Arc<dyn ExecutionPlan>,
    /// The global number of its first column.
    pub(super) first: usize,
}

/// A condition that is no equality of two columns.
pub(super) struct Condition {
    pub(super) expr: Arc<dyn PhysicalExpr>,
    pub(super) columns: BTreeSet<usize>,
    /// The relations that it needs.
    pub(super) relations: u64,
}

/// Inner joins without an order.
#[derive(Default)]
pub(super) struct Group {
    pub(super) relations: Vec<Relation>,
    pub(super) conditions: Vec<Condition>,
    /// Columns that are equal.
    pub(super) pairs: Vec<(usize, usize)>,
    columns: usize,
}

impl Group {
    /// The relation that has a column.
    pub(super) fn relation_of(&self, column: usize) -> usize {
        self.relations.partition_point(|relation| relation.first <= column) - 1
    }

    fn add_condition(&mut self, expr: Arc<dyn PhysicalExpr>) {
        for term in split_conjunction(&expr) {
            let columns: BTreeSet<usize> = columns_of(term);
            let relations = columns.iter().map(|column| 1 << self.relation_of(*column)).fold(0, |a, b| a | b);
            self.conditions.push(Condition { expr: Arc::clone(term), columns, relations });
        }
    }
}

/// The places of an expression's columns.
pub(super) fn columns_of(expr: &Arc<dyn PhysicalExpr>) -> BTreeSet<usize> {
    datafusion::physical_expr::utils::collect_columns(expr).iter().map(Column::index).collect()
}

/// An expression with other places of its columns.
pub(super) fn moved(
    expr: &Arc<dyn PhysicalExpr>,
    place: impl Fn(usize) -> usize,
) -> Result<Arc<dyn PhysicalExpr>> {
    let moved = Arc::clone(expr).transform_up(|part| match part.downcast_ref::<Column>() {
        Some(column) => {
            Ok(Transformed::yes(Arc::new(Column::new(column.name(), place(column.index()))) as Arc<_>))
        }
        None => Ok(Transformed::no(part)),
    })?;
    Ok(moved.data)
}

/// Whether an expression may be evaluated more or less often: the value of a slot may.
fn is_settled(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let volatile = expr.exists(|part| {
        Ok(part.downcast_ref::<ScalarFunctionExpr>().is_some_and(|call| {
            call.fun().signature().volatility == Volatility::Volatile && slots::slot_of(call.fun()).is_none()
        }))
    });
    matches!(volatile, Ok(false))
}

fn column_pairs(on: JoinOnRef<'_>) -> Option<Vec<(usize, usize)>> {
    let place = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Column>().map(Column::index);
    on.iter().map(|(left, right)| Some((place(left)?, place(right)?))).collect()
}

/// An inner join, in one form.
struct Join<'p> {
    left: &'p Arc<dyn ExecutionPlan>,
    right: &'p Arc<dyn ExecutionPlan>,
    on: Vec<(usize, usize)>,
    filter: Option<&'p JoinFilter>,
    projection: Option<&'p [usize]>,
}

/// The join that a node is, where its order is free.
fn join_of(node: &Arc<dyn ExecutionPlan>) -> Option<Join<'_>> {
    let plain = NullEquality::NullEqualsNothing;
    let join = if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        let free = *join.join_type() == JoinType::Inner
            && join.null_equality() == plain
            && !join.null_aware
            && join.fetch().is_none();
        if !free {
            return None;
        }
        let (on, projection) = (column_pairs(join.on())?, join.projection.as_deref());
        Join { left: join.left(), right: join.right(), on, filter: join.filter(), projection }
    } else if let Some(join) = node.downcast_ref::<SortMergeJoinExec>() {
        if join.join_type() != JoinType::Inner || join.null_equality() != plain {
            return None;
        }
        let (on, filter) = (column_pairs(join.on())?, join.filter().as_ref());
        Join { left: join.left(), right: join.right(), on, filter, projection: None }
    } else if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        if *join.join_type() != JoinType::Inner {
            return None;
        }
        let projection = join.projection().as_deref();
        Join { left: join.left(), right: join.right(), on: Vec::new(), filter: join.filter(), projection }
    } else {
        let join = node.downcast_ref::<CrossJoinExec>()?;
        Join { left: join.left(), right: join.right(), on: Vec::new(), filter: None, projection: None }
    };
    join.filter.is_none_or(|filter| is_settled(filter.expression())).then_some(join)
}

/// An input and the columns that are picked of it; all where none are named.
type Passed<'p> = (&'p Arc<dyn ExecutionPlan>, Option<Vec<usize>>);

/// The input of a node that only picks columns, and which it picks; or filters.
fn passed(node: &Arc<dyn ExecutionPlan>) -> Option<Passed<'_>> {
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let place = |item: &datafusion::physical_plan::projection::ProjectionExpr| {
            item.expr.downcast_ref::<Column>().map(Column::index)
        };
        let places = projection.expr().iter().map(place).collect::<Option<Vec<usize>>>()?;
        return Some((projection.input(), Some(places)));
    }
    let filter = node.downcast_ref::<FilterExec>()?;
    let free = filter.fetch().is_none() && is_settled(filter.predicate());
    free.then(|| (filter.input(), filter.projection().as_ref().map(|places| places.to_vec())))
}

/// Relations of the group that a node is the top of.
fn relations(node: &Arc<dyn ExecutionPlan>) -> usize {
    if let Some(join) = join_of(node) {
        return relations(join.left) + relations(join.right);
    }
    match passed(node) {
        Some((input, _)) => relations(input),
        None => 1,
    }
}

/// Whether a node is the top of a group of inner joins whose order is free.
pub(super) fn is_join(node: &Arc<dyn ExecutionPlan>) -> bool {
    join_of(node).is_some() && relations(node) <= RELATIONS_MAX
}

/// Adds what a node joins to the group; the global numbers of its output columns.
pub(super) fn flatten(
    planner: &mut Planner<'_>,
    node: &Arc<dyn ExecutionPlan>,
    group: &mut Group,
) -> Result<Vec<usize>> {
    if let Some(join) = join_of(node) {
        let left = flatten(planner, join.left, group)?;
        let right = flatten(planner, join.right, group)?;
        group.pairs.extend(join.on.iter().map(|(l, r)| (left[*l], right[*r])));
        if let Some(filter) = join.filter {
            let places = filter.column_indices();
            let expr = moved(filter.expression(), |at| match places[at].side {
                JoinSide::Left => left[places[at].index],
                _ => right[places[at].index],
            })?;
            group.add_condition(expr);
        }
        let both: Vec<usize> = left.into_iter().chain(right).collect();
        return Ok(match join.projection {
            Some(places) => places.iter().map(|at| both[*at]).collect(),
            None => both,
        });
    }
    if let Some((input, places)) = passed(node)
        && relations(input) > 1
    {
        let below = flatten(planner, input, group)?;
        if let Some(filter) = node.downcast_ref::<FilterExec>() {
            group.add_condition(moved(filter.predicate(), |at| below[at])?);
        }
        return Ok(match places {
            Some(places) => places.iter().map(|at| below[*at]).collect(),
            None => below,
        });
    }
    let plan = planner.plan(node)?;
    let (first, width) = (group.columns, plan.schema().fields().len());
    group.columns += width;
    group.relations.push(Relation { plan, first });
    Ok((first..first + width).collect())
}

/// A relation that is a scan, below filters and picked columns.
pub(super) struct Leaf {
    pub(super) scan: Arc<dyn ExecutionPlan>,
    /// Conditions over the scan's columns.
    pub(super) terms: Vec<Arc<dyn PhysicalExpr>>,
    /// The relation's columns, among the scan's.
    pub(super) columns: Vec<usize>,
}

impl Leaf {
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>) -> Option<Leaf> {
        if plan.downcast_ref::<TableScanExec>().is_some() {
            let columns = (0..plan.schema().fields().len()).collect();
            return Some(Leaf { scan: Arc::clone(plan), terms: Vec::new(), columns });
        }
        let (input, places) = passed(plan)?;
        let mut leaf = Leaf::of(input)?;
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            leaf.terms.push(moved(filter.predicate(), |at| leaf.columns[at]).ok()?);
        }
        if let Some(places) = places {
            leaf.columns = places.iter().map(|at| leaf.columns[*at]).collect();
        }
        Some(leaf)
    }

    pub(super) fn table_scan(&self) -> Option<&TableScanExec> {
        self.scan.downcast_ref()
    }
}
