//! The whole primary key of one row in a condition: `k = $1 AND l = 'x'`, read without any planning.
//!
//! I1: only what PostgreSQL compares without any conversion is taken; for all else there is no key, and the statement goes
//! the general way.

use bytes::Bytes;
use cairn_engine::Table;
use cairn_types::key::{KeyOrder, encode_value};
use cairn_types::{DataType, Value};
use sqlparser::ast::{BinaryOperator, Expr, Value as Literal};

use crate::session::variables::fold;

/// Where the values of a primary key come from, in the key's order.
pub(crate) struct PointKey(Vec<(DataType, Source)>);

/// Where a value comes from.
enum Source {
    /// `$n`, counted from 0.
    Parameter(usize),
    Literal(Value),
}

impl PointKey {
    /// The key that a condition gives, if it is one and nothing else. `known_as`: the name that qualifies columns.
    pub(crate) fn of(table: &Table, known_as: &str, condition: &Expr) -> Option<PointKey> {
        if table.has_hidden_key() {
            return None;
        }
        let mut found = Vec::new();
        if !equalities(condition, &|expr| place_of(table, known_as, expr), &mut found) {
            return None;
        }
        let places = table.primary_key_places();
        if found.len() != places.len() {
            return None;
        }
        let part = |place: usize| {
            let ty = &table.live_column(place).ty;
            let (_, expr) = found.iter().find(|(at, _)| *at == place)?;
            Some((ty.clone(), source(expr, ty)?))
        };
        places.into_iter().map(part).collect::<Option<Vec<_>>>().map(PointKey)
    }

    /// The key, encoded; `None` where a parameter is not of the column's type or cannot be in it.
    pub(crate) fn encode(&self, parameters: &[Value]) -> Option<Bytes> {
        let mut key = Vec::with_capacity(32);
        for (ty, source) in &self.0 {
            let value = match source {
                Source::Literal(value) => value,
                Source::Parameter(at) => parameters.get(*at).filter(|value| is_of(value, ty))?,
            };
            encode_value(value, ty, KeyOrder::ASCENDING, &mut key).ok()?;
        }
        Some(key.into())
    }
}

/// The place of the column that an expression names.
pub(crate) fn place_of(table: &Table, known_as: &str, expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Identifier(ident) => table.column_place(&fold(ident)),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [qualifier, ident] if fold(qualifier) == known_as => table.column_place(&fold(ident)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a value stands for itself in a column of that type, without any conversion of PostgreSQL's.
pub(crate) fn is_of(value: &Value, ty: &DataType) -> bool {
    matches!(
        (value, ty),
        (
            Value::SmallInt(_) | Value::Integer(_) | Value::BigInt(_),
            DataType::SmallInt | DataType::Integer | DataType::BigInt
        ) | (Value::Text(_), DataType::Text | DataType::Varchar(_))
            | (Value::Uuid(_), DataType::Uuid)
            | (Value::Date(_), DataType::Date)
            | (Value::Timestamp(_), DataType::Timestamp(None))
            | (Value::TimestampTz(_), DataType::TimestampTz(None))
            | (Value::Boolean(_), DataType::Boolean)
            | (Value::Bytea(_), DataType::Bytea)
    )
}

/// Takes a conjunction of `column = value` apart; false where it is anything else.
fn equalities<'e>(
    expr: &'e Expr,
    column: &impl Fn(&Expr) -> Option<usize>,
    found: &mut Vec<(usize, &'e Expr)>,
) -> bool {
    match expr {
        Expr::Nested(inner) => equalities(inner, column, found),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            equalities(left, column, found) && equalities(right, column, found)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            let pair = match (column(left), column(right)) {
                (Some(place), None) => (place, &**right),
                (None, Some(place)) => (place, &**left),
                _ => return false,
            };
            if found.iter().any(|(place, _)| *place == pair.0) {
                return false;
            }
            found.push(pair);
            true
        }
        _ => false,
    }
}

/// A parameter, or a literal as a value of the column's type.
fn source(expr: &Expr, ty: &DataType) -> Option<Source> {
    let Expr::Value(value) = expr else { return None };
    match &value.value {
        Literal::Placeholder(name) => {
            let number: usize = name.strip_prefix('$')?.parse().ok()?;
            Some(Source::Parameter(number.checked_sub(1)?))
        }
        Literal::Number(number, _) => {
            let value = Value::BigInt(number.parse().ok()?);
            is_of(&value, ty).then_some(Source::Literal(value))
        }
        Literal::SingleQuotedString(text) if matches!(ty, DataType::Text | DataType::Varchar(_)) => {
            Some(Source::Literal(Value::Text(text.clone())))
        }
        _ => None,
    }
}
