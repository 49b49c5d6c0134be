//! `x op ANY (array)` and `x op ALL (array)` with three truth values: where no element decides and one compares to NULL,
//! the answer is NULL. Where the array is constant, `=` ANY and `<>` ALL are lists, which indexes know.

use std::cmp::Ordering;

use arrow::array::Array;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use cairn_types::{DataType as T, Value};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::json::tree::{Node, sort_key};
use super::overload::{Args, Code, Kind, Overload, Overloaded, Returns};
use crate::{Error, Result};

/// A comparison with each element.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantified {
    inner: Overloaded,
    /// Whether a constant array makes it a list: `Some(negated)`.
    list: Option<bool>,
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let one = |name: &'static str, symbol: &'static str, list: Option<bool>, code: Code| {
        let overloads =
            vec![Overload::new(vec![Kind::Element, Kind::Array], Returns::Is(T::Boolean), code).with_nulls()];
        let inner = Overloaded::new(name, overloads, Volatility::Immutable).of_operator(symbol);
        ScalarUDF::from(Quantified { inner, list })
    };
    vec![
        one("cairn_any_eq", "=", Some(false), |args| test(args, false, Ordering::is_eq)),
        one("cairn_any_ne", "<>", None, |args| test(args, false, Ordering::is_ne)),
        one("cairn_any_lt", "<", None, |args| test(args, false, Ordering::is_lt)),
        one("cairn_any_le", "<=", None, |args| test(args, false, Ordering::is_le)),
        one("cairn_any_gt", ">", None, |args| test(args, false, Ordering::is_gt)),
        one("cairn_any_ge", ">=", None, |args| test(args, false, Ordering::is_ge)),
        one("cairn_all_eq", "=", None, |args| test(args, true, Ordering::is_eq)),
        one("cairn_all_ne", "<>", Some(true), |args| test(args, true, Ordering::is_ne)),
        one("cairn_all_lt", "<", None, |args| test(args, true, Ordering::is_lt)),
        one("cairn_all_le", "<=", None, |args| test(args, true, Ordering::is_le)),
        one("cairn_all_gt", ">", None, |args| test(args, true, Ordering::is_gt)),
        one("cairn_all_ge", ">=", None, |args| test(args, true, Ordering::is_ge)),
    ]
}

fn test(args: &Args<'_>, all: bool, holds: fn(Ordering) -> bool) -> Result<Value> {
    let Value::Array(items) = &args.values[1] else { return Ok(Value::Null) };
    let left = &args.values[0];
    let mut unknown = false;
    for item in super::array::flat(items) {
        if left.is_null() || item.is_null() {
            unknown = true;
        } else if holds(compare(left, item)?) != all {
            return Ok(Value::Boolean(!all));
        }
    }
    Ok(if unknown { Value::Null } else { Value::Boolean(all) })
}

/// The order of two values that are not NULL: JSONB's is not that of its texts.
fn compare(left: &Value, right: &Value) -> Result<Ordering> {
    Ok(match (left, right) {
        (Value::Jsonb(a), Value::Jsonb(b)) if a != b => {
            sort_key(&Node::parse(a)?).cmp(&sort_key(&Node::parse(b)?))
        }
        _ => left.cmp(right),
    })
}

/// Whether values are equal where Arrow's are: JSONB's `1.0` is `1`, and blanks at the end of CHAR(n) do not count.
fn is_by_bytes(field: &Field) -> bool {
    !matches!(super::sql_type(field), T::Jsonb | T::Char(_) | T::Coded(_))
}

/// The elements of a constant array as literals of a type; `None` where they are no plain values.
fn literals(array: &ScalarValue, wanted: &ArrowType) -> Option<Vec<Expr>> {
    let ScalarValue::List(list) = array else { return None };
    if list.is_null(0) {
        return None;
    }
    let items = list.value(0);
    let plain = |ty: &ArrowType| ty.is_integer() || matches!(ty, ArrowType::Utf8 | ArrowType::Date32);
    let same = items.data_type() == wanted || items.data_type().is_integer() && wanted.is_integer();
    if !same || !plain(wanted) || items.is_empty() {
        return None;
    }
    (0..items.len())
        .map(|at| {
            let value = ScalarValue::try_from_array(&items, at).ok()?;
            let value = if value.data_type() == *wanted { value } else { value.cast_to(wanted).ok()? };
            Some(Expr::Literal(value, None))
        })
        .collect()
}

impl ScalarUDFImpl for Quantified {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(ArrowType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        if let Some(right) = args.arg_fields.get(1)
            && !right.data_type().is_null()
            && !matches!(right.data_type(), ArrowType::List(_))
            && !(args.scalar_arguments[1].is_some() && *right.data_type() == ArrowType::Utf8)
        {
            return Err(Error::new("42809", "op ANY/ALL (array) requires array on right side").into());
        }
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn simplify(&self, mut args: Vec<Expr>, info: &SimplifyContext) -> DataFusionResult<ExprSimplifyResult> {
        if let (Some(negated), [left, Expr::Literal(array, _)]) = (self.list, args.as_slice())
            && let (_, field) = left.to_field(info.schema())?
            && is_by_bytes(&field)
            && let Some(list) = literals(array, field.data_type())
        {
            let expr = Box::new(args.swap_remove(0));
            return Ok(ExprSimplifyResult::Simplified(Expr::InList(InList { expr, list, negated })));
        }
        Ok(ExprSimplifyResult::Original(args))
    }
}
