//! String literals in a VALUES list take the type of the column that another row gives it, as PostgreSQL has it: the
//! planner would find two types, or make all of it text.

use sqlparser::ast::{CastKind, DataType, Expr, Query, SetExpr, Value};

/// Gives the literals of a query's VALUES their types.
pub(crate) fn adopt(query: &mut Query) {
    in_body(&mut query.body);
}

fn in_body(body: &mut SetExpr) {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            in_body(left);
            in_body(right);
        }
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.len());
            for at in 0..width {
                let ty = values.rows.iter().find_map(|row| row.get(at).and_then(type_of)).cloned();
                let Some(ty) = ty else { continue };
                for row in &mut values.rows {
                    if let Some(expr) = row.get_mut(at).filter(|expr| is_literal(expr)) {
                        let literal = std::mem::replace(expr, Expr::Value(Value::Null.into()));
                        *expr = Expr::Cast {
                            kind: CastKind::Cast,
                            expr: Box::new(literal),
                            data_type: ty.clone(),
                            array: false,
                            format: None,
                        };
                    }
                }
            }
        }
        _ => {}
    }
}

fn type_of(expr: &Expr) -> Option<&DataType> {
    match expr {
        Expr::Cast { data_type, .. } => Some(data_type),
        Expr::TypedString(typed) => Some(&typed.data_type),
        Expr::Nested(inner) => type_of(inner),
        _ => None,
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}
