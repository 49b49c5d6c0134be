//! The type of a parameter beside an operator of JSON, arrays and other types that the planner does not know: as PostgreSQL
//! tells it. For operators of numbers, texts and times the query engine does.

use std::sync::Arc;

use cairn_types::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::planner::RawBinaryExpr;
use datafusion::logical_expr::{Expr, ExprSchemable};
use sqlparser::ast::BinaryOperator;

use crate::functions::sql_type;

/// Gives a parameter that stands on one side, and has no type, that which the other side asks for.
pub(super) fn tell(raw: &mut RawBinaryExpr, schema: &DFSchema) {
    let (one, other) = match (is_open(&raw.left), is_open(&raw.right)) {
        (true, false) => (&mut raw.left, &raw.right),
        (false, true) => (&mut raw.right, &raw.left),
        _ => return,
    };
    let Ok((_, field)) = other.to_field(schema) else { return };
    let Some(ty) = beside(&sql_type(&field), &raw.op) else { return };
    if let Expr::Placeholder(Placeholder { id, field }) = one {
        *field = Some(Arc::new(ty.to_field(id.as_str(), true)));
    }
}

fn is_open(expr: &Expr) -> bool {
    matches!(expr, Expr::Placeholder(Placeholder { field: None, .. }))
}

/// What stands beside a value of a type; `None` where the query engine knows.
fn beside(ty: &DataType, op: &BinaryOperator) -> Option<DataType> {
    use BinaryOperator as Op;
    match ty {
        DataType::Json | DataType::Jsonb => Some(match op {
            Op::Arrow | Op::LongArrow | Op::Question | Op::Minus => DataType::Text,
            Op::HashArrow | Op::HashLongArrow | Op::HashMinus | Op::QuestionPipe | Op::QuestionAnd => {
                DataType::Array(Box::new(DataType::Text))
            }
            _ => ty.clone(),
        }),
        DataType::Array(_) | DataType::Coded(_) => Some(ty.clone()),
        DataType::Interval(_) if matches!(op, Op::Multiply | Op::Divide) => Some(DataType::Double),
        DataType::Timestamp(_) | DataType::TimestampTz(_) | DataType::Time(_) | DataType::Interval(_)
            if matches!(op, Op::Plus) =>
        {
            Some(DataType::Interval(None))
        }
        _ => None,
    }
}
