//! Which share of rows a condition of a physical plan keeps.
//!
//! Terms of AND count as independent, but the ends of one column's range; what is not understood keeps a third.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use cairn_engine::catalog::{ColumnStatistics, TableStatistics};
use cairn_types::Value;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr,
    Literal, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, split_conjunction};

use super::values::{EQUAL, Known, ONE_END};
use crate::functions::keys::keyed;
use crate::scan::bounds::{after_prefix, like_prefix, value_of};

/// What is kept by a condition of which nothing is known.
const UNKNOWN: f64 = 1.0 / 3.0;
/// What LIKE keeps that begins with a wildcard.
const MATCHES: f64 = 0.05;

/// What is known of a column of a node's output.
#[derive(Clone, Default)]
pub(crate) struct ColumnEstimate {
    /// Distinct values.
    pub(crate) distinct: f64,
    /// Bytes of a value.
    pub(crate) width: f64,
    /// Of the table's column that it comes from.
    pub(crate) origin: Option<Arc<Origin>>,
}

/// A column of a table.
pub(crate) struct Origin {
    /// The table's statistics, and which of the columns it is.
    pub(crate) statistics: Option<(Arc<TableStatistics>, usize)>,
    pub(crate) rows: f64,
    pub(crate) unique: bool,
    pub(crate) field: arrow::datatypes::Field,
}

impl Origin {
    fn column(&self) -> Option<&ColumnStatistics> {
        self.statistics.as_ref().and_then(|(table, at)| table.columns.get(*at))
    }

    pub(crate) fn known(&self) -> Known<'_> {
        Known { statistics: self.column(), rows: self.rows, unique: self.unique }
    }
}

/// The share of rows for which a condition over these columns is true.
pub(crate) fn selectivity(condition: &Arc<dyn PhysicalExpr>, columns: &[ColumnEstimate]) -> f64 {
    let mut ranges: BTreeMap<usize, (Bound<Value>, Bound<Value>)> = BTreeMap::new();
    let mut share = 1.0;
    for term in split_conjunction(condition) {
        match range(term, columns) {
            Some((column, low, high)) => {
                let (lower, upper) = ranges.entry(column).or_insert((Bound::Unbounded, Bound::Unbounded));
                if !matches!(low, Bound::Unbounded) {
                    *lower = low;
                }
                if !matches!(high, Bound::Unbounded) {
                    *upper = high;
                }
            }
            None => share *= term_selectivity(term, columns),
        }
    }
    for (column, (lower, upper)) in ranges {
        share *= known(columns, column).map_or(ONE_END, |known| known.within(&lower, &upper));
    }
    share.clamp(0.0, 1.0)
}

fn known(columns: &[ColumnEstimate], at: usize) -> Option<Known<'_>> {
    columns.get(at)?.origin.as_deref().map(Origin::known)
}

/// A column's place, below casts that only widen it and keys.
fn column_of(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        return column_of(cast.expr());
    }
    keyed(expr).downcast_ref::<Column>().map(Column::index)
}

fn literal_of(expr: &Arc<dyn PhysicalExpr>) -> Option<&ScalarValue> {
    expr.downcast_ref::<Literal>().map(Literal::value)
}

/// Whether an expression has one value for all rows, which is not known yet.
fn is_constant(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.downcast_ref::<ScalarFunctionExpr>().is_some_and(|call| call.args().is_empty())
}

fn value(columns: &[ColumnEstimate], at: usize, scalar: &ScalarValue) -> Option<Value> {
    let origin = columns.get(at)?.origin.as_deref()?;
    value_of(&origin.field, scalar).filter(|value| !value.is_null())
}

/// A comparison of a column with a value, its column on the left.
fn comparison(expr: &Arc<dyn PhysicalExpr>) -> Option<(usize, Operator, &Arc<dyn PhysicalExpr>)> {
    let binary = expr.downcast_ref::<BinaryExpr>()?;
    let plain = |expr: &Arc<dyn PhysicalExpr>| literal_of(expr).is_some() || is_constant(expr);
    match (column_of(binary.left()), column_of(binary.right())) {
        (Some(column), None) if plain(binary.right()) => Some((column, *binary.op(), binary.right())),
        (None, Some(column)) if plain(binary.left()) => Some((column, binary.op().swap()?, binary.left())),
        _ => None,
    }
}

/// The bounds that a term sets to a column.
fn range(
    expr: &Arc<dyn PhysicalExpr>,
    columns: &[ColumnEstimate],
) -> Option<(usize, Bound<Value>, Bound<Value>)> {
    let (column, op, other) = comparison(expr)?;
    let value = value(columns, column, literal_of(other)?)?;
    let (lower, upper) = match op {
        Operator::Lt => (Bound::Unbounded, Bound::Excluded(value)),
        Operator::LtEq => (Bound::Unbounded, Bound::Included(value)),
        Operator::Gt => (Bound::Excluded(value), Bound::Unbounded),
        Operator::GtEq => (Bound::Included(value), Bound::Unbounded),
        _ => return None,
    };
    Some((column, lower, upper))
}

fn term_selectivity(expr: &Arc<dyn PhysicalExpr>, columns: &[ColumnEstimate]) -> f64 {
    if let Some((column, op, other)) = comparison(expr) {
        let value = literal_of(other).and_then(|scalar| value(columns, column, scalar));
        let equal = known(columns, column).map_or_else(
            || 1.0 / columns.get(column).map_or(1.0 / EQUAL, |column| column.distinct.max(1.0)),
            |known| known.equal(value.as_ref()),
        );
        return match op {
            Operator::Eq | Operator::IsNotDistinctFrom => equal,
            Operator::NotEq | Operator::IsDistinctFrom => 1.0 - equal,
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => ONE_END,
            _ => UNKNOWN,
        };
    }
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        let of = |side: &Arc<dyn PhysicalExpr>| selectivity(side, columns);
        return match binary.op() {
            Operator::And => selectivity(expr, columns),
            Operator::Or => {
                let (left, right) = (of(binary.left()), of(binary.right()));
                left + right - left * right
            }
            Operator::Eq => match (column_of(binary.left()), column_of(binary.right())) {
                (Some(left), Some(right)) => {
                    let distinct = |at: usize| columns.get(at).map_or(1.0, |column| column.distinct);
                    1.0 / distinct(left).max(distinct(right)).max(1.0)
                }
                _ => EQUAL,
            },
            _ => UNKNOWN,
        };
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return 1.0 - selectivity(not.arg(), columns);
    }
    if let Some(test) = expr.downcast_ref::<IsNullExpr>() {
        return null(test.arg(), columns);
    }
    if let Some(test) = expr.downcast_ref::<IsNotNullExpr>() {
        return 1.0 - null(test.arg(), columns);
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        return in_list(list, columns);
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        return self::like(like, columns);
    }
    if let Some(literal) = literal_of(expr) {
        return if *literal == ScalarValue::Boolean(Some(true)) { 1.0 } else { 0.0 };
    }
    if let Some(column) = column_of(expr) {
        let equal = |known: Known<'_>| match known.statistics {
            Some(_) => known.equal(Some(&Value::Boolean(true))),
            None => 0.5,
        };
        return known(columns, column).map_or(0.5, equal);
    }
    if expr.downcast_ref::<DynamicFilterPhysicalExpr>().is_some() {
        // What a join tells is in the join's own estimate.
        return 1.0;
    }
    UNKNOWN
}

fn null(arg: &Arc<dyn PhysicalExpr>, columns: &[ColumnEstimate]) -> f64 {
    column_of(arg).and_then(|column| known(columns, column)).map_or(EQUAL, |known| known.null())
}

fn in_list(list: &InListExpr, columns: &[ColumnEstimate]) -> f64 {
    let column = column_of(list.expr());
    let of = |item: &Arc<dyn PhysicalExpr>| {
        let Some(column) = column else { return EQUAL };
        let value = literal_of(item).and_then(|scalar| value(columns, column, scalar));
        known(columns, column).map_or(EQUAL, |known| known.equal(value.as_ref()))
    };
    let share: f64 = list.list().iter().map(of).sum::<f64>().min(1.0);
    if list.negated() { 1.0 - share } else { share }
}

fn like(like: &LikeExpr, columns: &[ColumnEstimate]) -> f64 {
    let pattern = match literal_of(like.pattern()) {
        Some(ScalarValue::Utf8(Some(pattern))) if !like.case_insensitive() => Some(pattern.as_str()),
        _ => None,
    };
    let known = column_of(like.expr()).and_then(|column| known(columns, column));
    let share = match (pattern.and_then(|pattern| like_prefix(pattern, '\\')), known) {
        (Some(prefix), Some(known)) if known.statistics.is_some() => {
            let is_all = pattern.is_some_and(|p| !p.contains(['%', '_', '\\']));
            if is_all {
                known.equal(Some(&Value::Text(prefix)))
            } else {
                let upper =
                    after_prefix(&prefix).map_or(Bound::Unbounded, |end| Bound::Excluded(Value::Text(end)));
                let rest = pattern.map_or("", |pattern| &pattern[prefix.len().min(pattern.len())..]);
                let within = known.within(&Bound::Included(Value::Text(prefix)), &upper);
                if rest == "%" { within } else { within * 0.5 }
            }
        }
        (Some(_), _) => MATCHES / 5.0,
        (None, _) => MATCHES,
    };
    if like.negated() { 1.0 - share } else { share }
}
