//! What a WHERE says of single columns: equalities, ranges, lists. Conditions that say nothing usable are left
//! to the filter above the scan, which checks every condition again anyway.

use std::ops::Bound;

use arrow::datatypes::DataType as ArrowType;
use cairn_types::{DataType, Value};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, Operator};

/// Longest IN list that is turned into key ranges.
const LIST_MAX: usize = 1024;

/// The values that a column may have.
#[derive(Debug, Clone)]
pub(crate) enum Restriction {
    /// One of these; none of them NULL.
    OneOf(Vec<Value>),
    /// NULL.
    Null,
    /// Between these, not NULL.
    Range(Bound<Value>, Bound<Value>),
}

/// Whether a condition can be used for key bounds at all: asked before the scan is planned.
pub(crate) fn is_usable(condition: &Expr, schema: &arrow::datatypes::Schema) -> bool {
    let mut columns = Columns::new(schema);
    columns.add(&with_values(condition));
    !columns.restrictions.is_empty()
}

/// A literal as a value of a column's type; `None` where it is not exactly one.
pub(crate) fn value_of(field: &arrow::datatypes::Field, scalar: &ScalarValue) -> Option<Value> {
    let ty = DataType::from_field(field);
    // A NUMERIC is found by its key, whatever its scale.
    if !ty.is_key_exact() && ty != DataType::Numeric(None) {
        return None;
    }
    if scalar.is_null() {
        return Some(Value::Null);
    }
    let own = if scalar.data_type() == *field.data_type() {
        scalar.clone()
    } else {
        let cast = scalar.cast_to(field.data_type()).ok()?;
        if cast.cast_to(&scalar.data_type()).ok()? != *scalar {
            return None;
        }
        cast
    };
    Some(Value::from_array(&*own.to_array().ok()?, 0, &ty))
}

/// A condition with any values in the place of parameters, which get theirs before the scan is planned.
fn with_values(condition: &Expr) -> Expr {
    let replaced = condition.clone().transform_up(|expr| match &expr {
        Expr::Placeholder(placeholder) => {
            let ty = placeholder.field.as_ref().map(|field| field.data_type());
            match ty.map(ScalarValue::new_default) {
                Some(Ok(value)) => Ok(Transformed::yes(Expr::Literal(value, None))),
                _ => Ok(Transformed::no(expr)),
            }
        }
        _ => Ok(Transformed::no(expr)),
    });
    replaced.map_or_else(|_| condition.clone(), |replaced| replaced.data)
}

/// Restrictions by column name, with the conditions that made them.
pub(crate) struct Columns<'s> {
    schema: &'s arrow::datatypes::Schema,
    /// Whether conditions are described.
    described: bool,
    pub(crate) restrictions: Vec<(usize, Restriction, String)>,
}

impl<'s> Columns<'s> {
    pub(crate) fn new(schema: &'s arrow::datatypes::Schema) -> Self {
        Self { schema, described: true, restrictions: Vec::new() }
    }

    /// The same without descriptions of the conditions, which take time.
    pub(crate) fn silent(schema: &'s arrow::datatypes::Schema) -> Self {
        Self { described: false, ..Self::new(schema) }
    }

    /// Takes a condition apart.
    pub(crate) fn add(&mut self, condition: &Expr) {
        match condition {
            Expr::BinaryExpr(binary) if binary.op == Operator::And => {
                self.add(&binary.left);
                self.add(&binary.right);
            }
            Expr::BinaryExpr(binary) if binary.op == Operator::Or => self.add_or(condition),
            Expr::BinaryExpr(binary) => {
                if let (Some(column), Some(value)) = (self.column(&binary.left), literal(&binary.right)) {
                    self.compare(column, binary.op, value, condition);
                } else if let (Some(value), Some(column)) =
                    (literal(&binary.left), self.column(&binary.right))
                    && let Some(op) = binary.op.swap()
                {
                    self.compare(column, op, value, condition);
                }
            }
            Expr::Between(between) if !between.negated => {
                if let (Some(column), Some(low), Some(high)) =
                    (self.column(&between.expr), literal(&between.low), literal(&between.high))
                {
                    self.compare(column, Operator::GtEq, low, condition);
                    self.compare(column, Operator::LtEq, high, condition);
                }
            }
            Expr::InList(list) if !list.negated && list.list.len() <= LIST_MAX => {
                let Some(column) = self.column(&list.expr) else { return };
                let values: Option<Vec<Value>> =
                    list.list.iter().map(|item| self.value(column, literal(item)?)).collect();
                if let Some(values) = values {
                    self.one_of(column, values, condition);
                }
            }
            Expr::IsNull(inner) => {
                if let Some(column) = self.column(inner) {
                    self.push(column, Restriction::Null, condition);
                }
            }
            Expr::Like(like) if !like.negated && !like.case_insensitive => {
                if let (Some(column), Some(ScalarValue::Utf8(Some(pattern)))) =
                    (self.column(&like.expr), literal(&like.pattern))
                    && *self.schema.field(column).data_type() == ArrowType::Utf8
                {
                    self.like(column, pattern, like.escape_char, condition);
                }
            }
            Expr::Column(_) => {
                // A boolean column by itself.
                if let Some(column) = self.column(condition)
                    && *self.schema.field(column).data_type() == ArrowType::Boolean
                {
                    self.one_of(column, vec![Value::Boolean(true)], condition);
                }
            }
            Expr::Not(inner) => {
                if let Some(column) = self.column(inner)
                    && *self.schema.field(column).data_type() == ArrowType::Boolean
                {
                    self.one_of(column, vec![Value::Boolean(false)], condition);
                }
            }
            _ => {}
        }
    }

    /// `c = 1 OR c = 2 …` is a list.
    fn add_or(&mut self, condition: &Expr) {
        let mut terms = vec![condition];
        let mut values = Vec::new();
        let mut of = None;
        while let Some(term) = terms.pop() {
            let Expr::BinaryExpr(binary) = term else { return };
            match binary.op {
                Operator::Or => terms.extend([&*binary.right, &*binary.left]),
                Operator::Eq => {
                    let side = match (self.column(&binary.left), literal(&binary.right)) {
                        (Some(column), Some(value)) => Some((column, value)),
                        _ => self.column(&binary.right).zip(literal(&binary.left)),
                    };
                    let Some((column, value)) = side else { return };
                    if *of.get_or_insert(column) != column || values.len() >= LIST_MAX {
                        return;
                    }
                    let Some(value) = self.value(column, value) else { return };
                    values.push(value);
                }
                _ => return,
            }
        }
        if let Some(column) = of {
            self.one_of(column, values, condition);
        }
    }

    fn column(&self, expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Column(column) => self.schema.index_of(&column.name).ok(),
            other => self.column(of_key(other)?),
        }
    }

    /// The literal as a value of the column's type; `None` where it is not exactly one.
    fn value(&self, column: usize, scalar: &ScalarValue) -> Option<Value> {
        value_of(self.schema.field(column), scalar)
    }

    fn compare(&mut self, column: usize, op: Operator, scalar: &ScalarValue, condition: &Expr) {
        let Some(value) = self.value(column, scalar) else { return };
        if value == Value::Null {
            return;
        }
        let restriction = match op {
            Operator::Eq => Restriction::OneOf(vec![value]),
            Operator::Lt => Restriction::Range(Bound::Unbounded, Bound::Excluded(value)),
            Operator::LtEq => Restriction::Range(Bound::Unbounded, Bound::Included(value)),
            Operator::Gt => Restriction::Range(Bound::Excluded(value), Bound::Unbounded),
            Operator::GtEq => Restriction::Range(Bound::Included(value), Bound::Unbounded),
            _ => return,
        };
        self.push(column, restriction, condition);
    }

    fn one_of(&mut self, column: usize, mut values: Vec<Value>, condition: &Expr) {
        values.retain(|value| *value != Value::Null);
        values.sort();
        values.dedup();
        self.push(column, Restriction::OneOf(values), condition);
    }

    fn like(&mut self, column: usize, pattern: &str, escape: Option<char>, condition: &Expr) {
        let Some(prefix) = like_prefix(pattern, escape.unwrap_or('\\')) else { return };
        if !matches!(DataType::from_field(self.schema.field(column)), DataType::Text | DataType::Varchar(_)) {
            return;
        }
        let upper = match after_prefix(&prefix) {
            Some(upper) => Bound::Excluded(Value::Text(upper)),
            None => Bound::Unbounded,
        };
        self.push(column, Restriction::Range(Bound::Included(Value::Text(prefix)), upper), condition);
    }

    fn push(&mut self, column: usize, restriction: Restriction, condition: &Expr) {
        let description = if self.described { super::access::describe(condition) } else { String::new() };
        self.restrictions.push((column, restriction, description));
    }
}

/// What a LIKE pattern begins with; `None` where it begins with a wildcard.
pub(crate) fn like_prefix(pattern: &str, escape: char) -> Option<String> {
    let mut prefix = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character == escape {
            prefix.push(characters.next()?);
        } else if character == '%' || character == '_' {
            break;
        } else {
            prefix.push(character);
        }
    }
    (!prefix.is_empty()).then_some(prefix)
}

/// The least string after all strings with that prefix; `None` where there is none.
pub(crate) fn after_prefix(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        let next = match last as u32 {
            0xD7FF => char::from_u32(0xE000),
            code => char::from_u32(code + 1),
        };
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// The literal of an expression.
fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(scalar, _) => Some(scalar),
        other => literal(of_key(other)?),
    }
}

/// What a NUMERIC's key is made of: it stands for it where values are looked up.
fn of_key(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == crate::functions::wide::KEY => call.args.first(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn prefixes() {
        assert_eq!(like_prefix("user:%", '\\').unwrap(), "user:");
        assert_eq!(like_prefix("a\\%b_c", '\\').unwrap(), "a%b");
        assert!(like_prefix("%x", '\\').is_none());
        assert_eq!(after_prefix("user:").unwrap(), "user;");
        assert_eq!(after_prefix("a\u{10FFFF}").unwrap(), "b");
        assert!(after_prefix("\u{10FFFF}").is_none());
    }
}
