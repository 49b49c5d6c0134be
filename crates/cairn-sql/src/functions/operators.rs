//! Arithmetic as PostgreSQL does it: integers that overflow are an error (`22003`) instead of wrapping around,
//! division by zero is one for floats too (`22012`), NUMERIC without parameters is computed by [`super::wide`]. `query::operators` puts these functions in place of `+ - * / %`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, PrimitiveArray, Scalar};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
};
use cairn_types::Decimal;
use cairn_types::decimal::wide;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::wide::is_wide;
use crate::{Error, Result};

/// Operations within each other that are named in full.
const NAMED_DEPTH_MAX: u32 = 8;

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
            // Both sides of any other operation are of the result's type, unless one is a NUMERIC.
            let exact = matches!(right, ArrowType::Decimal128(..) | ArrowType::Decimal256(..));
            match (operator, right.is_floating()) {
                (_, true) => Some(right),
                (_, false) if exact => Some(wide::ARROW),
                (Arithmetic::Divide, _) => None,
                _ => {
                    let left = shallow_type(function.args.first()?)?;
                    Some(if left == right { right } else { wide::ARROW })
                }
            }
        }
        _ => None,
    }
}

/// The function of an operator. Both arguments have one type, an integer or a float; or they are numbers of which one is
/// NUMERIC.
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
        let exact = |ty: &ArrowType| matches!(ty, ArrowType::Decimal128(..) | ArrowType::Decimal256(..));
        match types {
            [left, right] if exact(left) || exact(right) => Ok(wide::ARROW),
            [left, right] if left == right => Ok(left.clone()),
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
        if is_wide(result) {
            return super::wide::compute(self.operator, left, right);
        }
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
                match self.operator {
                    Arithmetic::Divide => numeric::div(left, right).map_err(overflow),
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

/// The quotient of two constants, in a type with its digits where there is one.
fn constant_quotient(dividend: (i128, i8), divisor: (i128, i8)) -> Option<ScalarValue> {
    let quotient = Decimal::new(dividend.0, dividend.1).over(Decimal::new(divisor.0, divisor.1)).ok()?;
    let fits = quotient.narrow().filter(|value| value.unsigned_abs() < 10u128.pow(38));
    fits.map(|value| ScalarValue::Decimal128(Some(value), 38, quotient.scale))
}
