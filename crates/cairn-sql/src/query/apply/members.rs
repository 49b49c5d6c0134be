//! `x IN (SELECT …)` as a look into a set: the subquery runs once for each combination of outer columns that it mentions, not
//! once for each `x`. Only for types whose values are equal where their bits are.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType as ArrowType;
use cairn_types::DataType;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast};

use crate::functions::sql_type;

/// The values of a column.
pub(super) struct Members {
    values: HashSet<ScalarValue>,
    has_null: bool,
    /// About what it takes in memory.
    pub(super) bytes: usize,
}

impl Members {
    pub(super) fn of<'a>(columns: impl Iterator<Item = &'a ArrayRef>) -> DataFusionResult<Self> {
        let mut members = Members { values: HashSet::new(), has_null: false, bytes: 64 };
        for column in columns {
            for row in 0..column.len() {
                if column.is_null(row) {
                    members.has_null = true;
                    continue;
                }
                let value = ScalarValue::try_from_array(column, row)?;
                let bytes = value.size();
                if members.values.insert(value) {
                    members.bytes += bytes + 16;
                }
            }
        }
        Ok(members)
    }

    /// Whether a value is among them; `None` where that is unknown.
    pub(super) fn holds(&self, value: &ScalarValue) -> Option<bool> {
        if self.values.is_empty() && !self.has_null {
            return Some(false);
        }
        if value.is_null() {
            return None;
        }
        match self.values.contains(value) {
            true => Some(true),
            false if self.has_null => None,
            false => Some(false),
        }
    }
}

/// The type in which an expression and the only column of a plan are compared bit by bit; `None` for other types.
pub(super) fn common_type(
    expr: &Expr,
    schema: &DFSchema,
    plan: &LogicalPlan,
) -> DataFusionResult<Option<ArrowType>> {
    use DataType as T;
    if plan.schema().fields().len() != 1 {
        return Ok(None);
    }
    let (_, field) = expr.to_field(schema)?;
    let (left, right) = (sql_type(&field), sql_type(plan.schema().field(0)));
    let is_integer = |ty: &T| matches!(ty, T::SmallInt | T::Integer | T::BigInt);
    let is_text = |ty: &T| matches!(ty, T::Text | T::Varchar(_));
    Ok(match (&left, &right) {
        (a, b) if is_integer(a) && is_integer(b) => Some(ArrowType::Int64),
        (a, b) if is_text(a) && is_text(b) => Some(ArrowType::Utf8),
        (T::Boolean, T::Boolean) | (T::Date, T::Date) | (T::Timestamp(_), T::Timestamp(_)) => {
            Some(left.to_arrow())
        }
        _ => None,
    })
}

/// The expression in that type.
pub(super) fn as_type(expr: Expr, schema: &DFSchema, ty: &ArrowType) -> DataFusionResult<Expr> {
    Ok(if expr.get_type(schema)? == *ty { expr } else { cast(expr, ty.clone()) })
}

/// The plan with its column in that type.
pub(super) fn of_type(plan: LogicalPlan, ty: &ArrowType) -> DataFusionResult<LogicalPlan> {
    let (qualifier, field) = plan.schema().qualified_field(0);
    if field.data_type() == ty {
        return Ok(plan);
    }
    let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
    LogicalPlanBuilder::from(plan).project(vec![cast(column, ty.clone()).alias("member")])?.build()
}
