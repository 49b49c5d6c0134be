//! NUMERIC without parameters by columns ([`cairn_types::decimal::wide`]): keys by which values are compared, conversion
//! from and to other numbers, arithmetic.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array, Decimal256Array, Float64Array};
use arrow::datatypes::{
    DataType as ArrowType, Decimal128Type, Decimal256Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt64Type, i256,
};
use cairn_types::decimal::wide::{self, ARROW, PRECISION, SCALE};
use cairn_types::{DataType as T, Decimal, TypeError};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::operators::Arithmetic;
use crate::{Error, Result};

/// The function that gives a value's key: equal where values are, in their order.
pub(crate) const KEY: &str = "cairn_numeric_key";
/// The function that brings any number to NUMERIC without parameters.
pub(crate) const WIDEN: &str = "cairn_widen";
/// The function of `-x`.
pub(crate) const NEGATE: &str = "cairn_numeric_negate";

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    [Kind::Key, Kind::Widen, Kind::Negate]
        .into_iter()
        .map(|kind| ScalarUDF::from(OfOne { kind, signature: Signature::any(1, Volatility::Immutable) }))
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Key,
    Widen,
    Negate,
}

/// A function of one number.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfOne {
    kind: Kind,
    signature: Signature,
}

impl OfOne {
    fn of(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let values = widen(array)?;
        Ok(match self.kind {
            Kind::Widen => Arc::new(values),
            Kind::Key => Arc::new(typed(values.unary::<_, Decimal256Type>(wide::key))),
            Kind::Negate => Arc::new(typed(values.unary::<_, Decimal256Type>(negated))),
        })
    }
}

impl ScalarUDFImpl for OfOne {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Key => KEY,
            Kind::Widen => WIDEN,
            Kind::Negate => NEGATE,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(ARROW)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Ok(match &args.args[0] {
            ColumnarValue::Array(array) => ColumnarValue::Array(self.of(array)?),
            ColumnarValue::Scalar(scalar) => {
                let array = self.of(&scalar.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
            }
        })
    }

    // What is in the values' order is in that of the keys.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> DataFusionResult<SortProperties> {
        Ok(match self.kind {
            Kind::Key => inputs.first().map_or(SortProperties::Unordered, |input| input.sort_properties),
            _ => SortProperties::Unordered,
        })
    }

    fn preserves_lex_ordering(&self, _inputs: &[ExprProperties]) -> DataFusionResult<bool> {
        Ok(self.kind == Kind::Key)
    }
}

fn overflow() -> Error {
    TypeError::NumericFormat.into()
}

/// With the type of NUMERIC without parameters.
pub(crate) fn typed(array: Decimal256Array) -> Decimal256Array {
    array.with_data_type(ARROW)
}

/// Whether it is the Arrow type of NUMERIC without parameters.
pub(crate) fn is_wide(ty: &ArrowType) -> bool {
    matches!(ty, ArrowType::Decimal256(PRECISION, SCALE))
}

fn negated(raw: i256) -> i256 {
    let number = Decimal::from_wide(raw);
    if number.is_nan() { raw } else { raw.wrapping_neg() }
}

/// The float as NUMERIC: as many digits as it is sure of.
pub(crate) fn of_float(x: f64, digits: usize) -> Result<Decimal> {
    if x.is_nan() {
        return Ok(Decimal::NAN);
    }
    if x.is_infinite() {
        return Ok(if x > 0.0 { Decimal::INFINITY } else { Decimal::NEG_INFINITY });
    }
    Ok(Decimal::parse(&format!("{x:.digits$e}"))?.normalised())
}

/// Any number as NUMERIC without parameters.
pub(crate) fn widen(array: &ArrayRef) -> Result<Decimal256Array> {
    macro_rules! integers {
        ($ty:ty) => {
            array.as_primitive::<$ty>().try_unary::<_, Decimal256Type, Error>(|n| {
                wide::of_parts(i256::from_i128(i128::from(n)), 0).ok_or_else(overflow)
            })?
        };
    }
    let floats = |array: &Float64Array, digits: usize| -> Result<Decimal256Array> {
        array.try_unary::<_, Decimal256Type, Error>(|x| Ok(of_float(x, digits)?.to_wide()?))
    };
    Ok(typed(match array.data_type() {
        ty if is_wide(ty) => array.as_primitive::<Decimal256Type>().clone(),
        ArrowType::Null => Decimal256Array::new_null(array.len()),
        ArrowType::Int8 => integers!(Int8Type),
        ArrowType::Int16 => integers!(Int16Type),
        ArrowType::Int32 => integers!(Int32Type),
        ArrowType::Int64 => integers!(Int64Type),
        ArrowType::UInt64 => integers!(UInt64Type),
        ArrowType::Decimal128(_, scale) => {
            array.as_primitive::<Decimal128Type>().try_unary::<_, Decimal256Type, Error>(|n| {
                wide::of_parts(i256::from_i128(n), *scale).ok_or_else(overflow)
            })?
        }
        ArrowType::Decimal256(_, scale) => array
            .as_primitive::<Decimal256Type>()
            .try_unary::<_, Decimal256Type, Error>(|n| wide::of_parts(n, *scale).ok_or_else(overflow))?,
        ArrowType::Float64 => floats(array.as_primitive(), 14)?,
        ArrowType::Float32 => {
            let wider = arrow::compute::cast(array, &ArrowType::Float64).map_err(Error::from)?;
            floats(wider.as_primitive(), 5)?
        }
        other => {
            let source = T::from_arrow(other);
            let cast =
                super::cast::cast(array, &source, &T::Numeric(None), cairn_types::datetime::Zone::UTC)?;
            cast.as_primitive::<Decimal256Type>().clone()
        }
    }))
}

/// The same as NUMERIC(p,s), rounded and checked.
pub(crate) fn narrow(array: &Decimal256Array, precision: u8, scale: i8) -> Result<ArrayRef> {
    let nan = || Error::unsupported("NaN in a numeric with a precision");
    let narrow: Decimal128Array = array.try_unary::<_, Decimal128Type, Error>(|raw| {
        Decimal::from_wide(raw).fit(precision, scale)?.narrow().ok_or_else(nan)
    })?;
    Ok(Arc::new(narrow.with_data_type(ArrowType::Decimal128(precision, scale))))
}

/// `+ - * / %` of any two numbers that are no floats.
pub(crate) fn compute(operator: Arithmetic, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef> {
    let (left, right) = (side(left)?, side(right)?);
    let one = |a: i256, b: i256| -> Result<i256> {
        match operator {
            Arithmetic::Add => sum(a, b),
            // NaN stays NaN.
            Arithmetic::Subtract => sum(a, if wide::is_finite(b) { b.wrapping_neg() } else { negated(b) }),
            _ => {
                let (a, b) = (Decimal::from_wide(a), Decimal::from_wide(b));
                let result = match operator {
                    Arithmetic::Multiply => a.times(b),
                    Arithmetic::Divide => a.over(b),
                    _ => a.remainder(b),
                };
                Ok(result?.to_wide()?)
            }
        }
    };
    let array = match (&left, &right) {
        // Of no rows there is none, whatever stands beside them.
        (Side::One(None, _), Side::Rows(_, count)) | (Side::Rows(_, count), Side::One(None, _)) => {
            Decimal256Array::new_null(*count)
        }
        (Side::One(None, count), Side::One(_, other))
        | (Side::One(Some(_), count), Side::One(None, other)) => Decimal256Array::new_null(*count.max(other)),
        (Side::One(Some(a), _), Side::One(Some(b), _)) => Decimal256Array::from_iter([Some(one(*a, *b)?)]),
        (Side::One(Some(a), _), Side::Rows(b, _)) => {
            b.try_unary::<_, Decimal256Type, Error>(|b| one(*a, b))?
        }
        (Side::Rows(a, _), Side::One(Some(b), _)) => {
            a.try_unary::<_, Decimal256Type, Error>(|a| one(a, *b))?
        }
        (Side::Rows(a, _), Side::Rows(b, _)) => {
            let nulls = arrow::buffer::NullBuffer::union(a.nulls(), b.nulls());
            let mut values = vec![i256::ZERO; a.len()];
            for (row, value) in values.iter_mut().enumerate() {
                if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                    *value = one(a.value(row), b.value(row))?;
                }
            }
            Decimal256Array::new(values.into(), nulls)
        }
    };
    Ok(Arc::new(typed(array)))
}

/// One side of an operation.
enum Side {
    One(Option<i256>, usize),
    Rows(Decimal256Array, usize),
}

fn side(datum: &dyn Datum) -> Result<Side> {
    let (array, one) = datum.get();
    let array = widen(&array.slice(0, array.len()))?;
    let count = array.len();
    Ok(match one {
        true => Side::One(array.is_valid(0).then(|| array.value(0)), 1),
        false => Side::Rows(array, count),
    })
}

/// The sum of two values as they stand.
fn sum(a: i256, b: i256) -> Result<i256> {
    if !wide::is_finite(a) || !wide::is_finite(b) {
        return Ok(Decimal::from_wide(a).plus(Decimal::from_wide(b))?.to_wide()?);
    }
    let ((a, shown), (b, other)) = (wide::parts(a), wide::parts(b));
    wide::join(a.wrapping_add(b), shown.max(other)).ok_or_else(overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_the_digits_that_they_are_sure_of() {
        let text = |x: f64| of_float(x, 14).map(|n| n.to_string()).expect("it fits");
        assert_eq!(text(0.1), "0.1");
        assert_eq!(text(1e20), "100000000000000000000");
        assert_eq!(text(1.0 / 3.0), "0.333333333333333");
        assert_eq!(text(f64::NEG_INFINITY), "-Infinity");
    }
}
