//! Arithmetic as PostgreSQL does it: integers that overflow are an error (`22003`) instead of wrapping around,
//! division by zero is one for floats too (`22012`), and the quotient of numerics has 16 digits after the point
//! or more. `query::operators` puts these functions in place of `+ - * / %`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, PrimitiveArray, Scalar};
use arrow::compute::kernels::{arity::try_binary, numeric};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Decimal128Type, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type,
};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::{Error, Result};

/// Digits after the point of a quotient of numerics, at least.
pub(crate) const QUOTIENT_SCALE_MIN: i8 = 16;

/// An arithmetic operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    const ALL: [Self; 5] = [Self::Add, Self::Subtract, Self::Multiply, Self::Divide, Self::Remainder];

    fn name(self) -> &'static str {
        match self {
            Self::Add => "cairn_add",
            Self::Subtract => "cairn_subtract",
            Self::Multiply => "cairn_multiply",
            Self::Divide => "cairn_divide",
            Self::Remainder => "cairn_remainder",
        }
    }
}

/// The function of an operator. Both arguments have one type: an integer, a float, or (division only) numeric.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Operation {
    operator: Arithmetic,
    signature: Signature,
}

impl Operation {
    fn new(operator: Arithmetic) -> Self {
        Self { operator, signature: Signature::any(2, Volatility::Immutable) }
    }
}

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    Arithmetic::ALL.into_iter().map(|operator| ScalarUDF::from(Operation::new(operator))).collect()
}

/// The function of one operator.
pub(crate) fn function(operator: Arithmetic) -> Arc<ScalarUDF> {
    use std::sync::OnceLock;
    static ALL: OnceLock<Vec<(Arithmetic, Arc<ScalarUDF>)>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        Arithmetic::ALL.into_iter().map(|o| (o, Arc::new(ScalarUDF::from(Operation::new(o))))).collect()
    });
    all.iter()
        .find(|(o, _)| *o == operator)
        .map(|(_, function)| Arc::clone(function))
        .expect("every operator is in ALL")
}

/// The value of an operation on constants of one type; `None` where it fails.
pub(crate) fn evaluate(operator: Arithmetic, values: &[ScalarValue]) -> Option<ScalarValue> {
    let types: Vec<ArrowType> = values.iter().map(ScalarValue::data_type).collect();
    let operation = Operation::new(operator);
    let result = operation.return_type(&types).ok()?;
    let [left, right] = values else { return None };
    let (left, right) = (Scalar::new(left.to_array().ok()?), Scalar::new(right.to_array().ok()?));
    let array = operation.compute(&left, &right, &result).ok()?;
    ScalarValue::try_from_array(&array, 0).ok()
}

impl ScalarUDFImpl for Operation {
    fn name(&self) -> &str {
        self.operator.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> datafusion::error::Result<ArrowType> {
        match (types, self.operator) {
            ([ArrowType::Decimal128(_, left), ArrowType::Decimal128(_, right)], Arithmetic::Divide) => {
                Ok(ArrowType::Decimal128(38, (*left).max(*right).max(QUOTIENT_SCALE_MIN)))
            }
            ([left, right], _) if left == right => Ok(left.clone()),
            _ => Err(Error::internal("operands of one type expected").into()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let result = args.return_field.data_type();
        let scalar = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let datums = args
            .args
            .iter()
            .map(|arg| -> datafusion::error::Result<Box<dyn Datum>> {
                Ok(match arg {
                    ColumnarValue::Array(array) => Box::new(Arc::clone(array)),
                    ColumnarValue::Scalar(value) => Box::new(Scalar::new(value.to_array()?)),
                })
            })
            .collect::<datafusion::error::Result<Vec<_>>>()?;
        let array = self.compute(&*datums[0], &*datums[1], result)?;
        if scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

impl Operation {
    fn compute(&self, left: &dyn Datum, right: &dyn Datum, result: &ArrowType) -> Result<ArrayRef> {
        let name = match result {
            ArrowType::Int16 => "smallint",
            ArrowType::Int32 => "integer",
            ArrowType::Int64 => "bigint",
            _ => "value",
        };
        let overflow = |error: arrow::error::ArrowError| match error {
            arrow::error::ArrowError::DivideByZero => Error::new("22012", "division by zero"),
            _ => Error::new("22003", format!("{name} out of range")),
        };
        match self.operator {
            Arithmetic::Add => numeric::add(left, right).map_err(overflow),
            Arithmetic::Subtract => numeric::sub(left, right).map_err(overflow),
            Arithmetic::Multiply => numeric::mul(left, right).map_err(overflow),
            Arithmetic::Divide | Arithmetic::Remainder => {
                let divisor = right.get().0;
                if has_zero(divisor) && divides(left.get().0, divisor) {
                    return Err(Error::new("22012", "division by zero"));
                }
                match (self.operator, result) {
                    (Arithmetic::Divide, ArrowType::Decimal128(_, scale)) => quotient(left, right, *scale)
                        .map_err(|_| Error::new("22003", "numeric field overflow")),
                    (Arithmetic::Divide, _) => numeric::div(left, right).map_err(overflow),
                    // The least integer by -1 has no quotient, but a remainder of 0.
                    _ => numeric::rem(left, right).map_err(overflow),
                }
            }
        }
    }
}

/// Whether any dividend is not NULL; a NULL by zero is NULL.
fn divides(dividend: &dyn Array, divisor: &dyn Array) -> bool {
    if dividend.len() == divisor.len() && dividend.len() > 1 {
        return (0..divisor.len()).any(|row| is_zero(divisor, row) && dividend.is_valid(row));
    }
    dividend.null_count() < dividend.len()
}

fn has_zero(array: &dyn Array) -> bool {
    match array.data_type() {
        ArrowType::Int16 => any_zero::<Int16Type>(array),
        ArrowType::Int32 => any_zero::<Int32Type>(array),
        ArrowType::Int64 => any_zero::<Int64Type>(array),
        ArrowType::Float32 => any_zero::<Float32Type>(array),
        ArrowType::Float64 => any_zero::<Float64Type>(array),
        ArrowType::Decimal128(..) => any_zero::<Decimal128Type>(array),
        _ => false,
    }
}

fn any_zero<T: ArrowPrimitiveType>(array: &dyn Array) -> bool {
    let array: &PrimitiveArray<T> = array.as_primitive();
    array.iter().any(|value| value.is_some_and(|v| v == T::Native::default()))
}

fn is_zero(array: &dyn Array, row: usize) -> bool {
    array.is_valid(row) && has_zero(&array.slice(row, 1))
}

/// Numerics divided with `scale` digits after the point, rounded half away from zero.
fn quotient(left: &dyn Datum, right: &dyn Datum, scale: i8) -> Result<ArrayRef> {
    let scale_of = |array: &dyn Array| match array.data_type() {
        ArrowType::Decimal128(_, scale) => i32::from(*scale),
        _ => 0,
    };
    let ((a, a_one), (b, b_one)) = (left.get(), right.get());
    let shift = i32::from(scale) + scale_of(b) - scale_of(a);
    let factor = u32::try_from(shift).ok().and_then(|shift| 10i128.checked_pow(shift));
    let overflow = || Error::new("22003", "numeric field overflow");
    let factor = factor.ok_or_else(overflow)?;
    let (a, b): (&PrimitiveArray<Decimal128Type>, &PrimitiveArray<Decimal128Type>) =
        (a.as_primitive(), b.as_primitive());
    let each = |a: i128, factor: i128, b: i128| {
        divide(a, factor, b).ok_or_else(|| arrow::error::ArrowError::ArithmeticOverflow("numeric".to_owned()))
    };
    let array: PrimitiveArray<Decimal128Type> = match (a_one, b_one) {
        (true, _) if a.is_null(0) => PrimitiveArray::new_null(b.len()),
        (_, true) if b.is_null(0) => PrimitiveArray::new_null(a.len()),
        (true, false) => b.try_unary(|value| each(a.value(0), factor, value)).map_err(|_| overflow())?,
        (false, true) => {
            // Shortened once, so that most products below fit 64 bits.
            let shared = greatest_common_divisor(factor, b.value(0)).max(1);
            let (factor, divisor) = (factor / shared, b.value(0) / shared);
            a.try_unary(|value| each(value, factor, divisor)).map_err(|_| overflow())?
        }
        _ => try_binary(a, b, |a, b| each(a, factor, b)).map_err(|_| overflow())?,
    };
    let array = array.with_precision_and_scale(38, scale).map_err(|_| overflow())?;
    Ok(Arc::new(array))
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::try_from(a).unwrap_or(1)
}

/// `dividend * factor / divisor`, rounded half away from zero; `None` where it or `divisor` is out of range.
fn divide(dividend: i128, factor: i128, divisor: i128) -> Option<i128> {
    if let Some(scaled) = dividend.checked_mul(factor) {
        // Most numbers: one division, in 64 bits where they fit.
        let (quotient, rest) = match (i64::try_from(scaled), i64::try_from(divisor)) {
            (Ok(scaled), Ok(divisor)) if divisor != -1 => {
                let quotient = scaled.checked_div(divisor)?;
                (i128::from(quotient), i128::from(scaled - quotient * divisor))
            }
            _ => {
                let quotient = scaled.checked_div(divisor)?;
                (quotient, scaled - quotient * divisor)
            }
        };
        return away_from_zero(quotient, rest, scaled, divisor);
    }
    // Whole part first, then digit by digit.
    let whole = dividend.checked_div(divisor)?;
    let (mut fraction, mut rest, mut left) = (0i128, dividend.checked_rem(divisor)?, factor);
    while left > 1 {
        rest = rest.checked_mul(10)?;
        fraction = fraction.checked_mul(10)?.checked_add(rest / divisor)?;
        rest %= divisor;
        left /= 10;
    }
    away_from_zero(whole.checked_mul(factor)?.checked_add(fraction)?, rest, dividend, divisor)
}

/// A quotient that was cut off, rounded by what was left.
fn away_from_zero(quotient: i128, rest: i128, dividend: i128, divisor: i128) -> Option<i128> {
    if rest.unsigned_abs().checked_mul(2)? < divisor.unsigned_abs() {
        return Some(quotient);
    }
    quotient.checked_add(if (dividend < 0) == (divisor < 0) { 1 } else { -1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_round_half_away_from_zero() {
        assert_eq!(divide(1, 10, 3), Some(3));
        assert_eq!(divide(1, 10, 4), Some(3));
        assert_eq!(divide(-1, 10, 4), Some(-3));
        assert_eq!(divide(2, 10, 3), Some(7));
        assert_eq!(divide(10, 1, 5), Some(2));
        assert_eq!(divide(5, 0, 0), None);
        // Out of 64 bits, and out of 128 on the way.
        let ten = |n: u32| 10i128.pow(n);
        assert_eq!(divide(2 * ten(20), ten(3), 3 * ten(20)), Some(667));
        assert_eq!(divide(-2 * ten(36), ten(3), 3 * ten(36)), Some(-667));
        assert_eq!(divide(2 * ten(37), ten(9), -ten(37)), Some(-2 * ten(9)));
        assert_eq!(divide(ten(37), ten(9), 1), None);
    }
}
