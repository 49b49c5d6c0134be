//! Arithmetic as PostgreSQL does it: integers that overflow are an error (`22003`) instead of wrapping around,
//! division by zero is one for floats too (`22012`), and the quotient of numerics has 16 digits after the point
//! or more. `query::operators` puts these functions in place of `+ - * / %`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, PrimitiveArray, Scalar};
use arrow::compute::kernels::{arity::try_binary, numeric};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Decimal128Type, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type,
};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::{Error, Result};

/// Operations within each other that are named in full.
const NAMED_DEPTH_MAX: u32 = 8;

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

/// The function of one operator over these arguments. Where they are long chains themselves it has a name of its own,
/// since the planner builds the name of each part of a chain again and again.
pub(crate) fn chained(operator: Arithmetic, args: &[Expr]) -> Arc<ScalarUDF> {
    let depths: Vec<(u32, u64)> = args.iter().map(depth).collect();
    let depth = 1 + depths.iter().map(|(depth, _)| *depth).max().unwrap_or_default();
    if depth <= NAMED_DEPTH_MAX {
        return function(operator);
    }
    let mut hasher = DefaultHasher::new();
    operator.hash(&mut hasher);
    for (arg, (depth, digest)) in args.iter().zip(depths) {
        match digest {
            0 => arg.hash(&mut hasher),
            digest => (depth, digest).hash(&mut hasher),
        }
    }
    // 0 stands for none.
    let digest = hasher.finish().max(1);
    Arc::new(ScalarUDF::from(Operation { depth, digest, ..Operation::new(operator) }))
}

/// How long a chain an expression is, and its digest if it has one.
fn depth(expr: &Expr) -> (u32, u64) {
    match expr {
        Expr::Cast(cast) => depth(&cast.expr),
        Expr::ScalarFunction(call) => match call.func.inner().downcast_ref::<Operation>() {
            Some(operation) if operation.digest != 0 => (operation.depth, operation.digest),
            Some(_) => (1 + call.args.iter().map(|arg| depth(arg).0).max().unwrap_or_default(), 0),
            None => (0, 0),
        },
        _ => (0, 0),
    }
}

/// The type of an operation or a cast, told without looking at all of a long chain.
pub(crate) fn shallow_type(expr: &Expr) -> Option<ArrowType> {
    match expr {
        Expr::Cast(cast) => Some(cast.field.data_type().clone()),
        Expr::Literal(value, _) => Some(value.data_type()),
        Expr::ScalarFunction(function) => {
            let operator = function.func.inner().downcast_ref::<Operation>()?.operator;
            let right = shallow_type(function.args.get(1)?)?;
            // Both sides of any other operation are of the result's type.
            (operator != Arithmetic::Divide || right.is_floating()).then_some(right)
        }
        _ => None,
    }
}

/// The function of an operator. Both arguments have one type: an integer, a float, or (division only) numeric.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Operation {
    operator: Arithmetic,
    signature: Signature,
    /// Operations within each other, where there is a digest.
    depth: u32,
    /// Names a long chain; 0 for a short one, which is named by its arguments.
    digest: u64,
}

impl Operation {
    fn new(operator: Arithmetic) -> Self {
        Self { operator, signature: Signature::any(2, Volatility::Immutable), depth: 0, digest: 0 }
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
    if let (
        Arithmetic::Divide,
        [ScalarValue::Decimal128(Some(a), _, s), ScalarValue::Decimal128(Some(b), _, t)],
    ) = (operator, values)
    {
        return constant_quotient((*a, *s), (*b, *t));
    }
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
            ([left, right], Arithmetic::Divide)
                if matches!(
                    (left, right),
                    (ArrowType::Decimal128(..), _) | (_, ArrowType::Decimal128(..))
                ) =>
            {
                Ok(ArrowType::Decimal128(38, scale_of(left).max(scale_of(right)).max(QUOTIENT_SCALE_MIN)))
            }
            ([left, right], _) if left == right => Ok(left.clone()),
            _ => Err(Error::internal("operands of one type expected").into()),
        }
    }

    fn schema_name(&self, args: &[Expr]) -> datafusion::error::Result<String> {
        if self.digest != 0 {
            return Ok(format!("{}(#{:016x})", self.name(), self.digest));
        }
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({})", self.name(), names.join(",")))
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
        match result {
            ArrowType::Float64 => self.check_range::<Float64Type>(&*datums[0], &*datums[1], &array)?,
            ArrowType::Float32 => self.check_range::<Float32Type>(&*datums[0], &*datums[1], &array)?,
            _ => {}
        }
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

impl Operation {
    /// Finite floats have a finite result, and a product or quotient of what is not 0 is not 0.
    fn check_range<T: ArrowPrimitiveType>(
        &self,
        left: &dyn Datum,
        right: &dyn Datum,
        result: &ArrayRef,
    ) -> Result<()>
    where
        T::Native: Into<f64>,
    {
        let result: &PrimitiveArray<T> = result.as_primitive();
        let product = matches!(self.operator, Arithmetic::Multiply | Arithmetic::Divide);
        let suspect = |value: f64| value.is_infinite() || product && value == 0.0;
        let operand = |side: &dyn Datum, row: usize| -> f64 {
            let (array, one) = side.get();
            let array: &PrimitiveArray<T> = array.as_primitive();
            array.value(if one { 0 } else { row }).into()
        };
        for row in (0..result.len()).filter(|row| result.is_valid(*row)) {
            let value: f64 = result.value(row).into();
            if !suspect(value) {
                continue;
            }
            let (a, b) = (operand(left, row), operand(right, row));
            if value.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(Error::new("22003", "value out of range: overflow"));
            }
            if value == 0.0 && a != 0.0 && b != 0.0 && b.is_finite() {
                return Err(Error::new("22003", "value out of range: underflow"));
            }
        }
        Ok(())
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

/// The quotient of two constants with as many digits as PostgreSQL gives it (`select_div_scale`): 16 significant ones at
/// least, by the weights of the operands in base 10,000. A column has one scale for all its rows and cannot do so.
fn constant_quotient(dividend: (i128, i8), divisor: (i128, i8)) -> Option<ScalarValue> {
    if divisor.0 == 0 {
        return None;
    }
    let ((weight, first), (by_weight, by_first)) = (weight(dividend)?, weight(divisor)?);
    let quotient_weight = weight - by_weight - i32::from(first <= by_first);
    let wanted = i32::from(QUOTIENT_SCALE_MIN) - quotient_weight * 4;
    let scale = wanted.max(i32::from(dividend.1)).max(i32::from(divisor.1)).clamp(0, 38);
    let shift = u32::try_from(scale + i32::from(divisor.1) - i32::from(dividend.1)).ok()?;
    let value = divide(dividend.0, shift, divisor.0)?;
    let fits = value.unsigned_abs() < 10u128.pow(38);
    fits.then(|| ScalarValue::Decimal128(Some(value), 38, scale as i8))
}

/// The place of the first digit in base 10,000, 0 for that of the units, and the digit.
fn weight((unscaled, scale): (i128, i8)) -> Option<(i32, u128)> {
    let scale = i32::from(scale);
    let padding = (4 - scale.rem_euclid(4)) % 4;
    let mut rest = unscaled.unsigned_abs().checked_mul(10u128.pow(padding as u32))?;
    if rest == 0 {
        return Some((0, 0));
    }
    let mut place = -(scale + padding) / 4;
    while rest >= 10_000 {
        rest /= 10_000;
        place += 1;
    }
    Some((place, rest))
}

/// Numerics divided with `scale` digits after the point, rounded half away from zero.
fn quotient(left: &dyn Datum, right: &dyn Datum, scale: i8) -> Result<ArrayRef> {
    let ((a, a_one), (b, b_one)) = (left.get(), right.get());
    let shift = i32::from(scale) + i32::from(scale_of(b.data_type())) - i32::from(scale_of(a.data_type()));
    let overflow = || Error::new("22003", "numeric field overflow");
    let shift = u32::try_from(shift).map_err(|_| overflow())?;
    let factor = 10i128.checked_pow(shift);
    let (a, b) = (unscaled(a)?, unscaled(b)?);
    let known = |quotient: Option<i128>| {
        quotient.ok_or_else(|| arrow::error::ArrowError::ArithmeticOverflow("numeric".to_owned()))
    };
    let each = |a: i128, b: i128| known(quick(a, factor, b).or_else(|| long_division(a, shift, b)));
    let array: PrimitiveArray<Decimal128Type> = match (a_one, b_one) {
        (true, _) if a.is_null(0) => PrimitiveArray::new_null(b.len()),
        (_, true) if b.is_null(0) => PrimitiveArray::new_null(a.len()),
        (true, false) => b.try_unary(|value| each(a.value(0), value)).map_err(|_| overflow())?,
        (false, true) => {
            // Shortened once, so that most products fit 64 bits.
            let divisor = b.value(0);
            let shared = greatest_common_divisor(factor.unwrap_or(1), divisor).max(1);
            let (factor, short) = (factor.map(|factor| factor / shared), divisor / shared);
            let each = |a: i128| known(quick(a, factor, short).or_else(|| long_division(a, shift, divisor)));
            a.try_unary(each).map_err(|_| overflow())?
        }
        _ => try_binary(&a, &b, each).map_err(|_| overflow())?,
    };
    let array = array.with_precision_and_scale(38, scale).map_err(|_| overflow())?;
    Ok(Arc::new(array))
}

/// Digits after the point of a numeric or an integer.
fn scale_of(ty: &ArrowType) -> i8 {
    match ty {
        ArrowType::Decimal128(_, scale) => *scale,
        _ => 0,
    }
}

/// The digits of numerics or integers.
fn unscaled(array: &dyn Array) -> Result<PrimitiveArray<Decimal128Type>> {
    Ok(match array.data_type() {
        ArrowType::Decimal128(..) => array.as_primitive::<Decimal128Type>().clone(),
        ArrowType::Int16 => array.as_primitive::<Int16Type>().unary(i128::from),
        ArrowType::Int32 => array.as_primitive::<Int32Type>().unary(i128::from),
        ArrowType::Int64 => array.as_primitive::<Int64Type>().unary(i128::from),
        other => return Err(Error::internal(format!("division of {other}"))),
    })
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::try_from(a).unwrap_or(1)
}

/// `dividend * 10^shift / divisor`, rounded half away from zero; `None` beyond 128 bits.
fn divide(dividend: i128, shift: u32, divisor: i128) -> Option<i128> {
    quick(dividend, 10i128.checked_pow(shift), divisor).or_else(|| long_division(dividend, shift, divisor))
}

/// `dividend * factor / divisor` in one division, of 64 bits where they do, rounded half away from zero; `None` where
/// the product needs more than 128.
fn quick(dividend: i128, factor: Option<i128>, divisor: i128) -> Option<i128> {
    let scaled = dividend.checked_mul(factor?)?;
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
    let rest = rest.unsigned_abs();
    if rest < divisor.unsigned_abs() - rest {
        return Some(quotient);
    }
    quotient.checked_add(if (scaled < 0) == (divisor < 0) { 1 } else { -1 })
}

/// As [`divide`], digit by digit: for what [`quick`] cannot hold.
fn long_division(dividend: i128, shift: u32, divisor: i128) -> Option<i128> {
    let negative = (dividend < 0) != (divisor < 0);
    let (dividend, divisor) = (dividend.unsigned_abs(), divisor.unsigned_abs());
    let mut quotient = dividend.checked_div(divisor)?;
    let mut rest = dividend % divisor;
    let mut left = shift;
    while left > 0 {
        // As many digits at once as the rest has room for.
        let mut step = left;
        while step > 1 && 10u128.checked_pow(step).and_then(|factor| rest.checked_mul(factor)).is_none() {
            step /= 2;
        }
        let factor = 10u128.checked_pow(step)?;
        let scaled = rest.checked_mul(factor)?;
        quotient = quotient.checked_mul(factor)?.checked_add(scaled / divisor)?;
        rest = scaled % divisor;
        left -= step;
    }
    if rest >= divisor - rest {
        quotient = quotient.checked_add(1)?;
    }
    let quotient = i128::try_from(quotient).ok()?;
    Some(if negative { -quotient } else { quotient })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_count_in_base_ten_thousand() {
        assert_eq!(weight((1, 0)), Some((0, 1)));
        assert_eq!(weight((30, 1)), Some((0, 3)));
        assert_eq!(weight((100_000, 0)), Some((1, 10)));
        assert_eq!(weight((1, 4)), Some((-1, 1)));
        assert_eq!(weight((5, 5)), Some((-2, 5000)));
    }

    #[test]
    fn quotients_round_half_away_from_zero() {
        assert_eq!(divide(1, 1, 3), Some(3));
        assert_eq!(divide(1, 1, 4), Some(3));
        assert_eq!(divide(-1, 1, 4), Some(-3));
        assert_eq!(divide(2, 1, 3), Some(7));
        assert_eq!(divide(10, 0, 5), Some(2));
        assert_eq!(divide(5, 3, 0), None);
        assert_eq!(divide(i128::from(i64::MIN), 0, -1), Some(-i128::from(i64::MIN)));
        // Beyond what one multiplication holds, and beyond 128 bits.
        assert_eq!(divide(1, 37, 3), Some(3_333_333_333_333_333_333_333_333_333_333_333_333));
        assert_eq!(divide(2, 44, 3_000_000_000), Some(66_666_666_666_666_666_666_666_666_666_666_667));
        assert_eq!(divide(10i128.pow(37), 10, 3), None);
    }

    #[test]
    fn one_division_equals_long_division() {
        let mut random = 7u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i128::from(random as i64 >> (random % 60)) * i128::from(random >> 40)
        };
        for _ in 0..20_000 {
            let (dividend, divisor) = (next(), next());
            let shift = (next().unsigned_abs() % 20) as u32;
            if let Some(found) = quick(dividend, 10i128.checked_pow(shift), divisor) {
                assert_eq!(
                    Some(found),
                    long_division(dividend, shift, divisor),
                    "{dividend} {shift} {divisor}"
                );
            }
        }
    }
}
