//! Outer, semi and anti joins with a table: its rows are looked up by a key or index where that is cheaper than to read it.

use std::sync::Arc;

use datafusion::common::{JoinSide, JoinType, NullEquality, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::utils::JoinFilter;

use super::build::picked;
use super::flatten::{Leaf, moved};
use super::{Planner, order};
use crate::query::index_join::{IndexJoinExec, Inner};
use crate::scan::access::FETCH_COST;
use crate::scan::narrow::{LIST_MAX, leads};
use crate::statistics::estimate::{OPERATION, ROW};

/// The join that looks up what `join` would read, where that is cheaper; `None` for inner joins, which are part of a group.
pub(super) fn looked_up(
    planner: &mut Planner<'_>,
    join: &HashJoinExec,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let (kind, of_left) = match join.join_type() {
        JoinType::Left => (JoinType::Left, true),
        JoinType::LeftSemi => (JoinType::LeftSemi, true),
        JoinType::LeftAnti => (JoinType::LeftAnti, true),
        JoinType::Right => (JoinType::Left, false),
        JoinType::RightSemi => (JoinType::LeftSemi, false),
        JoinType::RightAnti => (JoinType::LeftAnti, false),
        _ => return Ok(None),
    };
    let plain = !join.null_aware
        && join.null_equality() == NullEquality::NullEqualsNothing
        && join.fetch().is_none()
        && planner.methods.nestloop
        && planner.methods.indexscan;
    let (outer, inner) = if of_left { (join.left(), join.right()) } else { (join.right(), join.left()) };
    let Some(leaf) = Leaf::of(inner).filter(|_| plain) else { return Ok(None) };
    let Some(scan) = leaf.table_scan().filter(|scan| scan.can_look_up()) else { return Ok(None) };
    let column = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Column>().map(Column::index);
    let pair = |(l, r): &(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)| {
        let (l, r) = (column(l)?, column(r)?);
        Some(if of_left { (l, r) } else { (r, l) })
    };
    let Some(mut keys) = join.on().iter().map(pair).collect::<Option<Vec<_>>>() else { return Ok(None) };
    // An index on the key with the most values, as it finds the fewest rows.
    let (first, second) = (planner.estimates.of(outer), planner.estimates.of(inner));
    // Of the whole table: what is looked up meets its conditions afterwards.
    let table = planner.estimates.of(&leaf.scan);
    let distinct = |at: usize| {
        let column = leaf.columns.get(at).and_then(|at| table.columns.get(*at));
        column.map_or(1.0, |column| column.distinct.max(1.0))
    };
    let led = |(_, at): &(usize, usize)| {
        let place = scan.place_of_output(*leaf.columns.get(*at)?)?;
        leads(scan.table(), place).filter(|_| scan.table().live_column(place).ty.is_key_exact())
    };
    let by = keys.iter().enumerate().filter_map(|(at, key)| Some((at, led(key)?, distinct(key.1))));
    let Some((place, index, own)) = by.max_by(|a, b| a.2.total_cmp(&b.2)) else { return Ok(None) };
    keys.swap(0, place);
    let table_rows = scan.estimate().before;
    let values = first.columns.get(keys[0].0).map_or(first.rows, |column| column.distinct).min(first.rows);
    let found = values * table_rows / own;
    let each = if index == 0 { order::KEY_COST } else { FETCH_COST };
    // The hash join tells the scan of so few values, whatever its kind, and may run without streams.
    let narrows = values <= LIST_MAX as f64 && found <= table_rows / FETCH_COST;
    let looking = first.rows * (ROW + OPERATION) + found * (each * ROW + OPERATION);
    let kept = first.rows.min(second.rows) * ROW;
    let reading = second.cost + kept + (first.rows + second.rows) * OPERATION;
    if narrows || looking >= reading {
        return Ok(None);
    }
    let filter = join.filter().map(|filter| condition(filter, outer, of_left)).transpose()?;
    let terms = leaf.terms;
    let condition = (!terms.is_empty()).then(|| datafusion::physical_expr::conjunction(terms));
    let inner_width = leaf.columns.len();
    let fields = inner.schema().fields().clone();
    let inner = Inner { index, condition, columns: leaf.columns, fields };
    let outer_width = outer.schema().fields().len();
    let plan = IndexJoinExec::new(Arc::clone(outer), leaf.scan, inner, keys, filter, kind);
    // A RIGHT JOIN gives the columns of its first side first.
    let all: Vec<usize> = match *join.join_type() {
        JoinType::Right => (outer_width..outer_width + inner_width).chain(0..outer_width).collect(),
        _ => (0..plan.schema().fields().len()).collect(),
    };
    let wanted = match &join.projection {
        Some(places) => places.iter().map(|at| all[*at]).collect(),
        None => all,
    };
    let whole = wanted.iter().copied().eq(0..plan.schema().fields().len());
    picked(Arc::new(plan), (!whole).then_some(wanted)).map(Some)
}

/// The condition of a join, over the columns of the first side and behind them those of the second.
fn condition(
    filter: &JoinFilter,
    outer: &Arc<dyn ExecutionPlan>,
    of_left: bool,
) -> Result<Arc<dyn PhysicalExpr>> {
    let width = outer.schema().fields().len();
    let of_outer = if of_left { JoinSide::Left } else { JoinSide::Right };
    moved(filter.expression(), |at| {
        let place = &filter.column_indices()[at];
        if place.side == of_outer { place.index } else { width + place.index }
    })
}
