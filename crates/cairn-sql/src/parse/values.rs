//! String literals and NULLs in a VALUES list take the type of the column that another row gives it, as PostgreSQL has it: the
//! planner would find two types, or make all of it text.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{CaseWhen, CastKind, DataType, Expr, Query, SetExpr, Value};

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
                let column = || values.rows.iter().filter_map(|row| row.get(at));
                let ty = column().find_map(type_of).cloned();
                let like = column().find(|expr| is_computed(expr)).cloned();
                for expr in values.rows.iter_mut().filter_map(|row| row.get_mut(at)) {
                    if is_literal(expr) {
                        give_type(expr, ty.as_ref(), like.as_ref());
                    }
                }
            }
        }
        _ => {}
    }
}

/// Gives a literal a type, or that of another value.
fn give_type(literal: &mut Expr, ty: Option<&DataType>, like: Option<&Expr>) {
    let expr = std::mem::replace(literal, Expr::Value(Value::Null.into()));
    *literal = match (ty, like) {
        (Some(ty), _) => Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(expr),
            data_type: ty.clone(),
            array: false,
            format: None,
        },
        // The type of a function is known later.
        (None, Some(like)) => Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen { condition: Expr::Value(Value::Boolean(true).into()), result: expr }],
            else_result: Some(Box::new(like.clone())),
        },
        (None, None) => expr,
    };
}

/// Whether an expression may have a type that Arrow has no word for, of which the planner finds NULL to be another one.
fn is_computed(expr: &Expr) -> bool {
    match expr {
        Expr::Function(_) | Expr::Case { .. } => true,
        Expr::Nested(inner) => is_computed(inner),
        _ => false,
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
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_) | Value::Null))
}
