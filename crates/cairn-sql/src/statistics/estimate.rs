//! How many rows each node of a physical plan gives, how wide they are and what they cost, from statistics.
//!
//! Costs are in PostgreSQL's unit, a page read in sequence, with its constants; reading a row by its key from an index
//! entry costs as much as eight rows in key order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Schema};
use datafusion::common::{JoinSide, JoinType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, JoinOnRef, NestedLoopJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::UnionExec;

use super::conditions::{ColumnEstimate, selectivity};
use crate::functions::keys::keyed;
use crate::query::index_join::IndexJoinExec;
use crate::query::interrupt::condition_of;
use crate::scan::access::FETCH_COST;
use crate::scan::exec::TableScanExec;

/// A row that passes an operator.
pub(crate) const ROW: f64 = 0.01;
/// An operation on a row.
pub(crate) const OPERATION: f64 = 0.0025;
/// Rows of a source that tells nothing.
const ROWS_UNKNOWN: f64 = 1000.0;
/// Distinct values of what is computed.
const DISTINCT_UNKNOWN: f64 = 200.0;

/// What is expected of a node.
#[derive(Clone, Default)]
pub(crate) struct Estimate {
    pub(crate) rows: f64,
    /// What a filter right above keeps its share of: a scan has used conditions of it already.
    pub(crate) before: f64,
    /// Cost before the first row.
    pub(crate) startup: f64,
    /// Cost of all rows.
    pub(crate) cost: f64,
    pub(crate) columns: Vec<ColumnEstimate>,
}

impl Estimate {
    /// Bytes of a row.
    pub(crate) fn width(&self) -> f64 {
        self.columns.iter().fold(0.0, |sum, column| sum + column.width)
    }

    /// No more rows than so many, and no more distinct values than rows.
    pub(crate) fn cut(mut self, rows: f64) -> Estimate {
        let rows = rows.max(1.0);
        for column in &mut self.columns {
            column.distinct = remaining(column.distinct, self.rows, rows);
        }
        (self.rows, self.before) = (rows, rows);
        self
    }

    /// With other columns: their places in this one.
    pub(crate) fn projected(mut self, places: &[usize]) -> Estimate {
        self.columns = places.iter().map(|at| self.columns.get(*at).cloned().unwrap_or_default()).collect();
        self
    }
}

/// Distinct values that are left when of `before` rows so many are.
fn remaining(distinct: f64, before: f64, after: f64) -> f64 {
    if after >= before || distinct <= 1.0 {
        return distinct.min(after.max(1.0));
    }
    // Each value has so many rows, all of which must go.
    let each = (before / distinct).max(1.0);
    (distinct * (1.0 - (1.0 - after / before).powf(each))).clamp(1.0, after.max(1.0))
}

/// Estimates of the nodes of plans. Keeps the nodes, so that no other one comes to their places.
#[derive(Default)]
pub(crate) struct Estimates(HashMap<usize, (Arc<dyn ExecutionPlan>, Arc<Estimate>)>);

impl Estimates {
    /// That of a node.
    pub(crate) fn of(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Arc<Estimate> {
        let key = Arc::as_ptr(plan).cast::<()>() as usize;
        if let Some((_, known)) = self.0.get(&key) {
            return Arc::clone(known);
        }
        let made = Arc::new(self.make(plan));
        self.0.insert(key, (Arc::clone(plan), Arc::clone(&made)));
        made
    }

    fn make(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Estimate {
        if let Some(scan) = plan.downcast_ref::<TableScanExec>() {
            return scan.estimate();
        }
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            return self.filter(filter);
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            return self.projection(projection);
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            let joined = self.join(join.left(), join.right(), join.on(), join.filter(), *join.join_type());
            return with_projection(joined, join.projection.as_deref());
        }
        if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
            return self.join(join.left(), join.right(), join.on(), join.filter().as_ref(), join.join_type());
        }
        if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            let joined = self.join(join.left(), join.right(), &[], join.filter(), *join.join_type());
            return with_projection(joined, join.projection().as_deref());
        }
        if let Some(join) = plan.downcast_ref::<CrossJoinExec>() {
            return self.join(join.left(), join.right(), &[], None, JoinType::Inner);
        }
        if let Some(join) = plan.downcast_ref::<IndexJoinExec>() {
            return self.index_join(join);
        }
        if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
            return self.aggregate(aggregate);
        }
        self.other(plan)
    }

    fn filter(&mut self, filter: &FilterExec) -> Estimate {
        let input = self.of(filter.input());
        let kept = selectivity(filter.predicate(), &input.columns);
        let rows = (input.before * kept).min(input.rows);
        let terms = datafusion::physical_expr::split_conjunction(filter.predicate()).len() as f64;
        let cost = input.cost + input.rows * OPERATION * terms;
        let cut = Estimate::clone(&input).cut(rows);
        with_projection(Estimate { cost, ..cut }, filter.projection().as_deref())
    }

    fn projection(&mut self, projection: &ProjectionExec) -> Estimate {
        let input = self.of(projection.input());
        let schema = projection.schema();
        let columns = projection.expr().iter().zip(schema.fields()).map(|(item, field)| {
            let column =
                keyed(&item.expr).downcast_ref::<Column>().and_then(|c| input.columns.get(c.index()));
            column.cloned().unwrap_or_else(|| unknown(field.data_type(), input.rows))
        });
        let before = input.rows;
        Estimate { columns: columns.collect(), before, ..Estimate::clone(&input) }
    }

    fn join(
        &mut self,
        left: &Arc<dyn ExecutionPlan>,
        right: &Arc<dyn ExecutionPlan>,
        on: JoinOnRef<'_>,
        filter: Option<&JoinFilter>,
        kind: JoinType,
    ) -> Estimate {
        let (left, right) = (self.of(left), self.of(right));
        let distinct = |side: &Estimate, expr: &Arc<dyn PhysicalExpr>| {
            let column = keyed(expr).downcast_ref::<Column>().and_then(|c| side.columns.get(c.index()));
            column.map_or(DISTINCT_UNKNOWN.min(side.rows), |column| column.distinct).max(1.0)
        };
        let keys: Vec<(f64, f64)> =
            on.iter().map(|(l, r)| (distinct(&left, l), distinct(&right, r))).collect();
        let kept = filter.map_or(1.0, |filter| {
            let side = |of: &JoinSide, at: usize| match of {
                JoinSide::Left => left.columns.get(at),
                _ => right.columns.get(at),
            };
            let columns: Vec<ColumnEstimate> = filter
                .column_indices()
                .iter()
                .map(|place| side(&place.side, place.index).cloned().unwrap_or_default())
                .collect();
            selectivity(condition_of(filter.expression()), &columns)
        });
        let inner = (left.rows * right.rows * joined_share(&keys, left.rows, right.rows) * kept).max(1.0);
        // Rows of one side that have a partner on the other.
        let matched = |own: f64, l: f64, r: f64| own * (r / l).min(1.0) * kept.max(0.1);
        let (dl, dr) = keys.iter().fold((1.0, 1.0), |(dl, dr), (l, r)| (dl * l, dr * r));
        let (of_left, of_right) = (matched(left.rows, dl, dr), matched(right.rows, dr, dl));
        let rows = match kind {
            JoinType::Inner => inner,
            JoinType::Left => inner.max(left.rows),
            JoinType::Right => inner.max(right.rows),
            JoinType::Full => inner.max(left.rows).max(right.rows),
            JoinType::LeftSemi => of_left.min(inner),
            JoinType::RightSemi => of_right.min(inner),
            JoinType::LeftAnti => left.rows - of_left.min(left.rows),
            JoinType::RightAnti => right.rows - of_right.min(right.rows),
            JoinType::LeftMark => left.rows,
            JoinType::RightMark => right.rows,
        }
        .max(1.0);
        let mut columns = Vec::new();
        if !matches!(kind, JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark) {
            columns.extend(left.columns.iter().cloned());
        }
        if !matches!(kind, JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark) {
            columns.extend(right.columns.iter().cloned());
        }
        if matches!(kind, JoinType::LeftMark | JoinType::RightMark) {
            columns.push(ColumnEstimate { distinct: 2.0, width: 1.0, origin: None });
        }
        let work = match on.is_empty() {
            true => left.rows * right.rows * OPERATION,
            false => left.rows * ROW + right.rows * OPERATION * on.len() as f64,
        };
        let startup = left.cost + left.rows * ROW;
        let cost = left.cost + right.cost + work + rows * ROW;
        for column in &mut columns {
            column.distinct = column.distinct.min(rows);
        }
        Estimate { rows, before: rows, startup, cost, columns }
    }

    fn index_join(&mut self, join: &IndexJoinExec) -> Estimate {
        let (outer, scan) = (self.of(join.outer()), self.of(join.inner_plan()));
        let kept = join.inner.condition.as_ref().map_or(1.0, |c| selectivity(c, &scan.columns));
        let rows = (scan.before * kept).min(scan.rows);
        let inner = Estimate::clone(&scan).cut(rows).projected(&join.inner.columns);
        let distinct = |side: &Estimate, at: usize| side.columns.get(at).map_or(1.0, |c| c.distinct.max(1.0));
        let keys: Vec<(f64, f64)> =
            join.keys.iter().map(|(l, r)| (distinct(&outer, *l), distinct(&inner, *r))).collect();
        let columns: Vec<ColumnEstimate> = outer.columns.iter().chain(&inner.columns).cloned().collect();
        let passed = join.filter.as_ref().map_or(1.0, |filter| selectivity(filter, &columns));
        let pairs = (outer.rows * inner.rows * joined_share(&keys, outer.rows, inner.rows) * passed).max(1.0);
        let partners = keys.iter().map(|(l, r)| (r / l).min(1.0)).fold(passed.max(0.1), |a, b| a * b);
        let matched = (outer.rows * partners).min(pairs);
        let rows = match join.kind {
            JoinType::Left => pairs.max(outer.rows),
            JoinType::LeftSemi => matched,
            JoinType::LeftAnti => outer.rows - matched,
            _ => pairs,
        }
        .max(1.0);
        let columns = columns.into_iter().take(join.schema().fields().len()).collect();
        let found = keys.first().map_or(rows, |(values, own)| values * scan.before / own);
        let cost = outer.cost + found * FETCH_COST * ROW + rows * ROW;
        let mut joined = Estimate { rows, before: rows, startup: outer.startup, cost, columns };
        joined.columns.iter_mut().for_each(|column| column.distinct = column.distinct.min(rows));
        joined
    }

    fn aggregate(&mut self, aggregate: &AggregateExec) -> Estimate {
        let input = self.of(aggregate.input());
        let keys = aggregate.group_expr().expr();
        let places: Vec<Option<usize>> =
            keys.iter().map(|(expr, _)| keyed(expr).downcast_ref::<Column>().map(Column::index)).collect();
        let of = |at: &Option<usize>| match at.and_then(|at| input.columns.get(at)) {
            Some(column) => column.distinct.max(1.0),
            None => DISTINCT_UNKNOWN,
        };
        let groups = places.iter().map(of).product::<f64>().clamp(1.0, input.rows.max(1.0));
        let sets = aggregate.group_expr().groups().len().max(1) as f64;
        let rows = if keys.is_empty() { 1.0 } else { groups * sets };
        let schema = aggregate.schema();
        let columns = schema.fields().iter().enumerate().map(|(at, field)| {
            let key = places.get(at).copied().flatten().and_then(|at| input.columns.get(at)).cloned();
            key.unwrap_or_else(|| unknown(field.data_type(), rows))
        });
        let columns = columns.collect();
        let operations = (keys.len() + aggregate.aggr_expr().len()).max(1) as f64;
        let startup = input.cost + input.rows * OPERATION * operations;
        Estimate { rows, before: rows, startup, cost: startup + rows * ROW, columns }
    }

    fn other(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Estimate {
        let schema = plan.schema();
        let children: Vec<Arc<Estimate>> = plan.children().into_iter().map(|child| self.of(child)).collect();
        if plan.downcast_ref::<UnionExec>().is_some() {
            let sum = |of: fn(&Estimate) -> f64| children.iter().map(|child| of(child)).sum::<f64>();
            let columns = children.first().map(|child| child.columns.clone()).unwrap_or_default();
            let (rows, cost) = (sum(|c| c.rows), sum(|c| c.cost));
            return Estimate { rows, before: rows, startup: 0.0, cost, columns };
        }
        let [input] = children.as_slice() else {
            let rows = match children.is_empty() {
                true => source_rows(plan),
                false => children.iter().map(|child| child.rows).fold(1.0, f64::max),
            };
            let cost = children.iter().map(|child| child.cost).sum::<f64>() + rows * ROW;
            return Estimate {
                rows,
                before: rows,
                startup: 0.0,
                cost,
                columns: unknown_columns(&schema, rows),
            };
        };
        let mut estimate = Estimate::clone(input);
        estimate.before = input.rows;
        if schema.fields().len() > estimate.columns.len() {
            let more = schema.fields().iter().skip(estimate.columns.len());
            let more: Vec<_> = more.map(|field| unknown(field.data_type(), input.rows)).collect();
            estimate.columns.extend(more);
            estimate.cost += input.rows * ROW;
        } else if schema.fields().len() < estimate.columns.len() {
            estimate.columns = unknown_columns(&schema, input.rows);
        }
        if plan.downcast_ref::<SortExec>().is_some() {
            let kept = plan.fetch().map_or(input.rows, |fetch| (fetch as f64).min(input.rows));
            estimate.startup = input.cost + 2.0 * OPERATION * input.rows * kept.max(2.0).log2();
            estimate.cost = estimate.startup + OPERATION * kept;
        }
        if let Some(limit) = plan.downcast_ref::<GlobalLimitExec>() {
            let left = (input.rows - limit.skip() as f64).max(1.0);
            let rows = limit.fetch().map_or(left, |fetch| left.min(fetch as f64));
            return limited(estimate, rows, limit.skip() as f64 + rows);
        }
        if let Some(limit) = plan.downcast_ref::<LocalLimitExec>() {
            let rows = estimate.rows.min(limit.fetch() as f64);
            return limited(estimate, rows, rows);
        }
        match plan.fetch() {
            Some(fetch) => {
                let rows = estimate.rows.min(fetch as f64);
                estimate.cut(rows)
            }
            None => estimate,
        }
    }
}

/// Of an estimate the first rows: what they cost of it.
fn limited(estimate: Estimate, rows: f64, read: f64) -> Estimate {
    let share = (read / estimate.rows.max(1.0)).min(1.0);
    let cost = estimate.startup + (estimate.cost - estimate.startup) * share;
    Estimate { cost, ..estimate.cut(rows) }
}

/// The share of pairs of rows that agree in all keys, with so many distinct values on each side. Keys of several columns have
/// no more values than there are rows.
pub(crate) fn joined_share(keys: &[(f64, f64)], left: f64, right: f64) -> f64 {
    let (dl, dr) = keys.iter().fold((1.0, 1.0), |(dl, dr), (l, r)| (dl * l, dr * r));
    let dl: f64 = if keys.len() > 1 { f64::min(dl, left) } else { dl };
    let dr: f64 = if keys.len() > 1 { f64::min(dr, right) } else { dr };
    1.0 / dl.max(dr).max(1.0)
}

fn with_projection(estimate: Estimate, projection: Option<&[usize]>) -> Estimate {
    match projection {
        Some(places) => estimate.projected(places),
        None => estimate,
    }
}

fn source_rows(plan: &Arc<dyn ExecutionPlan>) -> f64 {
    let known = StatisticsContext::new().compute(&**plan, &StatisticsArgs::new()).ok();
    let rows = known.and_then(|known| known.num_rows.get_value().copied());
    let named = matches!(plan.name(), "PlaceholderRowExec" | "EmptyExec");
    rows.map_or(if named { 1.0 } else { ROWS_UNKNOWN }, |rows| (rows as f64).max(1.0))
}

fn unknown_columns(schema: &Schema, rows: f64) -> Vec<ColumnEstimate> {
    schema.fields().iter().map(|field| unknown(field.data_type(), rows)).collect()
}

/// A column of which only the type is known.
pub(crate) fn unknown(ty: &ArrowType, rows: f64) -> ColumnEstimate {
    let width = ty.primitive_width().map_or(32.0, |width| width as f64);
    let distinct = if *ty == ArrowType::Boolean { 2.0 } else { DISTINCT_UNKNOWN };
    ColumnEstimate { distinct: distinct.min(rows.max(1.0)), width, origin: None }
}
