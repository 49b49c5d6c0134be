//! Physical expressions as PostgreSQL shows them: `(a = 5)`, `(b ~~ 'x%'::text)`.
//!
//! Columns are shown by what they are computed from, as far as it is known. Values are shown as SQL shows them, never in the
//! form that the query engine keeps them in.

use std::sync::Arc;

use arrow::datatypes::Field;
use cairn_types::{DataType, Value};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNotNullExpr, IsNullExpr,
    LikeExpr, Literal, NegativeExpr, NotExpr, TryCastExpr,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr, ScalarFunctionExpr};

use crate::query::output::UNIQUE_MARK;

/// Longer texts are cut.
const TEXT_MAX: usize = 1000;

/// An expression over columns that are shown so.
pub(super) fn show(expr: &Arc<dyn PhysicalExpr>, names: &[String]) -> String {
    let text = shown(expr, names);
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Several conditions as one.
pub(super) fn all(terms: &[String]) -> String {
    match terms {
        [one] => one.clone(),
        many => format!("({})", many.join(" AND ")),
    }
}

/// A sort key.
pub(super) fn sort_key(key: &PhysicalSortExpr, names: &[String]) -> String {
    let mut text = bare(&show(crate::functions::keys::keyed(&key.expr), names));
    if key.options.descending {
        text.push_str(" DESC");
    }
    if key.options.nulls_first != key.options.descending {
        text.push_str(if key.options.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
    }
    text
}

/// A text without brackets around all of it.
pub(super) fn bare(text: &str) -> String {
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    inner.filter(|inner| !inner.contains(['(', ')'])).unwrap_or(text).to_owned()
}

/// What a name of the query engine is called.
pub(super) fn clean(name: &str) -> String {
    name.replace(UNIQUE_MARK, "#")
}

fn shown(expr: &Arc<dyn PhysicalExpr>, names: &[String]) -> String {
    let of = |expr: &Arc<dyn PhysicalExpr>| shown(expr, names);
    if let Some(column) = expr.downcast_ref::<Column>() {
        return names.get(column.index()).cloned().unwrap_or_else(|| clean(column.name()));
    }
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        return value(literal.value());
    }
    if let Some(text) = list(expr, names) {
        return text;
    }
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return format!("({} {} {})", of(binary.left()), binary.op(), of(binary.right()));
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        let items: Vec<String> = list.list().iter().map(of).collect();
        let (op, word) = if list.negated() { ("<>", "ALL") } else { ("=", "ANY") };
        return format!("({} {op} {word} (ARRAY[{}]))", of(list.expr()), items.join(", "));
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        let op = match (like.negated(), like.case_insensitive()) {
            (false, false) => "~~",
            (true, false) => "!~~",
            (false, true) => "~~*",
            (true, true) => "!~~*",
        };
        return format!("({} {op} {})", of(like.expr()), of(like.pattern()));
    }
    if let Some(test) = expr.downcast_ref::<IsNullExpr>() {
        return format!("({} IS NULL)", of(test.arg()));
    }
    if let Some(test) = expr.downcast_ref::<IsNotNullExpr>() {
        return format!("({} IS NOT NULL)", of(test.arg()));
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return format!("(NOT {})", of(not.arg()));
    }
    if let Some(negative) = expr.downcast_ref::<NegativeExpr>() {
        return format!("(- {})", of(negative.arg()));
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let ty = DataType::from_field(cast.target_field());
        return format!("({})::{}", of(cast.expr()), ty.sql_name().to_lowercase());
    }
    if let Some(cast) = expr.downcast_ref::<TryCastExpr>() {
        return of(cast.expr());
    }
    if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
        // A value with its type.
        if let (crate::functions::alike::TYPED, Some(value)) = (call.name(), call.args().first()) {
            return of(value);
        }
        if let Some(number) = crate::query::slots::slot_of(call.fun()) {
            return format!("${}", number + 1);
        }
        let args: Vec<String> = call.args().iter().map(of).collect();
        return format!("{}({})", clean(call.name().split('(').next().unwrap_or_default()), args.join(", "));
    }
    if let Some(case) = expr.downcast_ref::<CaseExpr>() {
        return self::case(case, names);
    }
    if expr.downcast_ref::<DynamicFilterPhysicalExpr>().is_some() {
        return "(what the join tells)".to_owned();
    }
    clean(&expr.to_string())
}

fn case(case: &CaseExpr, names: &[String]) -> String {
    let mut text = "CASE".to_owned();
    if let Some(of) = case.expr() {
        text.push_str(&format!(" {}", shown(of, names)));
    }
    for (when, then) in case.when_then_expr() {
        text.push_str(&format!(" WHEN {} THEN {}", shown(when, names), shown(then, names)));
    }
    if let Some(other) = case.else_expr() {
        text.push_str(&format!(" ELSE {}", shown(other, names)));
    }
    text + " END"
}

/// A list of values that one thing is compared with, also where the query engine has made an OR of it.
fn list(expr: &Arc<dyn PhysicalExpr>, names: &[String]) -> Option<String> {
    let (of, items, negated) = match expr.downcast_ref::<InListExpr>() {
        Some(list) => (list.expr(), list.list().iter().collect(), list.negated()),
        None => {
            let either = expr.downcast_ref::<BinaryExpr>().filter(|binary| *binary.op() == Operator::Or)?;
            let (mut open, mut items, mut of) = (vec![either.right(), either.left()], Vec::new(), None);
            while let Some(term) = open.pop() {
                let term = term.downcast_ref::<BinaryExpr>()?;
                match term.op() {
                    Operator::Or => open.extend([term.right(), term.left()]),
                    Operator::Eq => {
                        let known = of.get_or_insert(term.left());
                        if !(**known).eq(term.left()) {
                            return None;
                        }
                        items.push(term.right());
                    }
                    _ => return None,
                }
            }
            (of?, items, false)
        }
    };
    let values: Option<Vec<&ScalarValue>> =
        items.iter().map(|item| item.downcast_ref::<Literal>().map(Literal::value)).collect();
    let values = values?;
    let ty = DataType::from_field(&Field::new("", values.first()?.data_type(), true));
    let value =
        |scalar: &&ScalarValue| scalar.to_array().ok().map(|array| Value::from_array(&*array, 0, &ty));
    let values: Option<Vec<Value>> = values.iter().map(value).collect();
    let array = DataType::Array(Box::new(ty.clone()));
    let text = Value::Array(values?).to_text(&array).replace('\'', "''");
    let (op, word) = if negated { ("<>", "ALL") } else { ("=", "ANY") };
    Some(format!("({} {op} {word} ('{text}'::{}[]))", shown(of, names), ty.sql_name().to_lowercase()))
}

/// A value as SQL text.
fn value(scalar: &ScalarValue) -> String {
    if scalar.is_null() {
        return "NULL".to_owned();
    }
    let ty = DataType::from_field(&Field::new("", scalar.data_type(), true));
    let text = match scalar.to_array() {
        Ok(array) => Value::from_array(&*array, 0, &ty).to_text(&ty),
        Err(_) => return scalar.to_string(),
    };
    match ty {
        DataType::Boolean => if text == "t" || text == "true" { "true" } else { "false" }.to_owned(),
        DataType::SmallInt | DataType::Integer | DataType::BigInt | DataType::Real | DataType::Double => text,
        DataType::Numeric { .. } => text,
        _ => format!("'{}'::{}", text.replace('\'', "''"), ty.sql_name().to_lowercase()),
    }
}
