//! The whole key of one row in a condition: `k = $1 AND l = 'x'`, read without any planning. It is the primary key, or the
//! columns of a unique index.
//!
//! I1: only what PostgreSQL compares without any conversion is taken; for all else there is no key, and the statement goes
//! the general way.

use bytes::Bytes;
use cairn_engine::catalog::{IndexDescriptor, IndexId};
use cairn_engine::{ReadView, Table, table};
use cairn_types::key::{KeyOrder, encode_value};
use cairn_types::{DataType, Value};
use sqlparser::ast::{BinaryOperator, Expr, Value as Literal};

use crate::Result;
use crate::session::variables::fold;

/// Where the values of a key come from.
pub(crate) struct PointKey {
    /// In the key's order.
    parts: Vec<Part>,
    /// The unique index that it is of; that of the rows themselves otherwise.
    index: Option<IndexId>,
}

struct Part {
    ty: DataType,
    order: KeyOrder,
    source: Source,
}

/// Where a value comes from.
enum Source {
    /// `$n`, counted from 0.
    Parameter(usize),
    Literal(Value),
}

impl PointKey {
    /// The key that a condition gives, if it is one and nothing else. `known_as`: the name that qualifies columns.
    pub(crate) fn of(table: &Table, known_as: &str, condition: &Expr) -> Option<PointKey> {
        let mut found = Vec::new();
        if !equalities(condition, &|expr| place_of(table, known_as, expr), &mut found) {
            return None;
        }
        let part = |place: usize, order: KeyOrder| {
            let ty = &table.live_column(place).ty;
            let (_, expr) = found.iter().find(|(at, _)| *at == place)?;
            Some(Part { ty: ty.clone(), order, source: source(expr, ty)? })
        };
        let primary = if table.has_hidden_key() { Vec::new() } else { table.primary_key_places() };
        if !primary.is_empty() && primary.len() == found.len() {
            let parts: Option<Vec<Part>> =
                primary.into_iter().map(|place| part(place, KeyOrder::ASCENDING)).collect();
            if let Some(parts) = parts {
                return Some(PointKey { parts, index: None });
            }
        }
        let of_index = |index: &IndexDescriptor| {
            if !leads_to_one(index) || index.columns.len() != found.len() {
                return None;
            }
            let parts = index.columns.iter().map(|column| {
                let order = KeyOrder { descending: column.descending, nulls_first: column.nulls_first };
                part(table.place_of(column.column)?, order)
            });
            Some(PointKey { parts: parts.collect::<Option<Vec<_>>>()?, index: Some(index.id) })
        };
        table.indexes.iter().find_map(of_index)
    }

    /// The key, encoded; `None` where a parameter is not of the column's type or cannot be in it.
    pub(crate) fn encode(&self, parameters: &[Value]) -> Option<Bytes> {
        let mut key = Vec::with_capacity(32);
        for Part { ty, order, source } in &self.parts {
            let value = match source {
                Source::Literal(value) => value,
                Source::Parameter(at) => parameters.get(*at).filter(|value| is_of(value, ty))?,
            };
            encode_value(value, ty, *order, &mut key).ok()?;
        }
        Some(key.into())
    }

    /// Whether it is the primary key, in whose order the rows lie: encoded, it is the row key.
    pub(crate) fn is_primary(&self) -> bool {
        self.index.is_none()
    }

    /// The row key of the row that has this key, encoded; `None` where the view has no such row (a row key may lead to none,
    /// too).
    ///
    /// # Errors
    /// Of reading.
    pub(crate) fn row_key(&self, view: &ReadView, table: &Table, key: Bytes) -> Result<Option<Bytes>> {
        match self.index {
            None => Ok(Some(key)),
            Some(index) => Ok(table::row_key_of(view, table, index, &key)?),
        }
    }
}

/// Whether values for all columns of an index lead to one row at most, whatever the row.
fn leads_to_one(index: &IndexDescriptor) -> bool {
    index.kind == "btree"
        && index.is_always_unique()
        && index.predicate.is_none()
        && index.expressions.is_empty()
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
