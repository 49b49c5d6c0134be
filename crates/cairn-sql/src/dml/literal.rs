//! Literals and parameters, read as the type of the column they go to without any planning.

use cairn_types::datetime::{Zone, parse_timestamptz};
use cairn_types::{DataType, Value};
use sqlparser::ast::{self, Expr, UnaryOperator};

use super::assign::assign_value;
use crate::{Error, Result};

/// Whether an expression is the word DEFAULT.
pub(crate) fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

/// Whether an expression's type is not known by itself: a string, NULL or a parameter.
pub(crate) fn is_unknown(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_unknown(inner),
        Expr::Value(value) => matches!(
            value.value,
            ast::Value::SingleQuotedString(_)
                | ast::Value::EscapedStringLiteral(_)
                | ast::Value::DollarQuotedString(_)
                | ast::Value::NationalStringLiteral(_)
                | ast::Value::UnicodeStringLiteral(_)
                | ast::Value::Null
                | ast::Value::Placeholder(_)
        ),
        _ => false,
    }
}

/// The value of a literal or parameter in a column of type `ty`; `None` if it is another kind of expression. Local time
/// is that of `zone`.
///
/// # Errors
/// As assignment: `22P02`, `22003`, `22001`, `42804`; `42P02` for a parameter that has no value.
pub(crate) fn value(
    expr: &Expr,
    ty: &DataType,
    column: &str,
    params: &[Value],
    zone: Zone,
) -> Result<Option<Value>> {
    match expr {
        Expr::Nested(inner) => value(inner, ty, column, params, zone),
        Expr::Value(literal) => plain(&literal.value, ty, column, params, zone),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(literal) => match &literal.value {
                ast::Value::Number(digits, _) => number(&format!("-{digits}"), ty, column).map(Some),
                _ => Ok(None),
            },
            _ => Ok(None),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => match &**expr {
            Expr::Value(literal) if matches!(literal.value, ast::Value::Number(..)) => {
                value(expr, ty, column, params, zone)
            }
            _ => Ok(None),
        },
        Expr::TypedString(typed) => {
            let own = match crate::parse::types::data_type(&typed.data_type) {
                Ok(own) => own,
                Err(_) => return Ok(None),
            };
            match string(&typed.value.value) {
                Some(text) => assign_value(parse(text, &own, zone)?, ty, column, false, zone).map(Some),
                None => Ok(None),
            }
        }
        // 'x'::type into a column of that very type; other casts are left to the planner.
        Expr::Cast {
            kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
            expr,
            data_type,
            format: None,
            ..
        } => {
            let text = match &**expr {
                Expr::Value(literal) => string(&literal.value),
                _ => None,
            };
            match (text, crate::parse::types::data_type(data_type)) {
                (Some(text), Ok(own)) if own == *ty && !ty.is_character() => Ok(Some(parse(text, ty, zone)?)),
                _ => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

fn string(value: &ast::Value) -> Option<&str> {
    match value {
        ast::Value::SingleQuotedString(text)
        | ast::Value::EscapedStringLiteral(text)
        | ast::Value::NationalStringLiteral(text)
        | ast::Value::UnicodeStringLiteral(text) => Some(text),
        ast::Value::DollarQuotedString(text) => Some(&text.value),
        _ => None,
    }
}

/// Text as a value of a type.
pub(crate) fn parse(text: &str, ty: &DataType, zone: Zone) -> Result<Value> {
    match ty {
        DataType::TimestampTz(_) => Ok(Value::TimestampTz(parse_timestamptz(text, zone)?).fit(ty)?),
        DataType::Coded(coded) => {
            let code = cairn_types::codes::parse(coded, text, zone)?;
            Ok(Value::Coded { ty: coded.clone(), code })
        }
        ty => Ok(Value::parse_text(text, ty)?),
    }
}

fn plain(
    literal: &ast::Value,
    ty: &DataType,
    column: &str,
    params: &[Value],
    zone: Zone,
) -> Result<Option<Value>> {
    match literal {
        ast::Value::Null => Ok(Some(Value::Null)),
        ast::Value::Boolean(on) => assign_value(Value::Boolean(*on), ty, column, false, zone).map(Some),
        ast::Value::Number(digits, _) => number(digits, ty, column).map(Some),
        ast::Value::Placeholder(name) => {
            let at = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
            match at.and_then(|n| n.checked_sub(1)).and_then(|n| params.get(n)) {
                Some(given) => assign_value(given.clone(), ty, column, true, zone).map(Some),
                None => Err(Error::new("42P02", format!("there is no parameter {name}"))),
            }
        }
        other => match string(other) {
            Some(text) => Ok(Some(parse(text, ty, zone)?)),
            None => Ok(None),
        },
    }
}

fn number(digits: &str, ty: &DataType, column: &str) -> Result<Value> {
    if let Ok(n) = digits.parse::<i64>() {
        let value = i32::try_from(n).map_or(Value::BigInt(n), Value::Integer);
        return assign_value(value, ty, column, false, Zone::UTC);
    }
    match ty {
        // Read at once in the column's own precision: NUMERIC without parameters would cut digits first.
        // Plain digits keep their zeros: 1.50 is '1.50'.
        _ if ty.is_character() && !digits.contains(['e', 'E']) => Ok(Value::Text(digits.to_owned()).fit(ty)?),
        DataType::Numeric(_) => Ok(Value::parse_text(digits, ty)?),
        // It is a NUMERIC first, which has no -0.
        DataType::Real | DataType::Double => Ok(match Value::parse_text(digits, ty)? {
            Value::Real(x) => Value::Real(x + 0.0),
            Value::Double(x) => Value::Double(x + 0.0),
            other => other,
        }),
        _ => {
            let exact = cairn_types::Decimal::parse(digits)?;
            assign_value(Value::Numeric(exact), ty, column, false, Zone::UTC)
        }
    }
}
