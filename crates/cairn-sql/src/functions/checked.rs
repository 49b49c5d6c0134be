//! Functions of numbers where the query engine's differ from PostgreSQL's: arguments without a result are an error
//! instead of NaN or infinity, and `round` of a float takes the even neighbour of a half.
//!
//! [`guard`] is called for every scalar function of a plan once its types are known.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType as ArrowType, FieldRef, Float64Type};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast,
};

use crate::{Error, Result};

/// What is checked, or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Check {
    /// Above zero.
    Logarithm,
    /// Not infinite.
    Finite,
    /// From -1 to 1.
    Arc,
    /// Rounds to the nearest integer, halves to the even one.
    RoundEven,
}

/// Puts the check that a function needs around its arguments; `None` where it needs none.
pub(crate) fn guard(function: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    if !matches!(function.func.name(), "log2" | "acos" | "asin" | "sin" | "cos" | "tan" | "cot" | "round") {
        return None;
    }
    let is_guarded = |expr: &Expr| matches!(expr, Expr::ScalarFunction(f) if f.func.name() == NAME);
    if function.args.iter().any(is_guarded) {
        return None;
    }
    let is_float = |expr: &Expr| matches!(expr.get_type(schema), Ok(ArrowType::Float64 | ArrowType::Float32));
    let mut args = function.args.clone();
    match (function.func.name(), args.as_mut_slice()) {
        ("log2", args) => {
            args.iter_mut().for_each(|arg| *arg = call(Check::Logarithm, vec![std::mem::take(arg)]));
        }
        ("sin" | "cos" | "tan" | "cot", [arg]) => *arg = call(Check::Finite, vec![std::mem::take(arg)]),
        ("acos" | "asin", [arg]) => *arg = call(Check::Arc, vec![std::mem::take(arg)]),
        ("round", [arg]) if is_float(arg) => {
            return Some(call(Check::RoundEven, vec![cast(std::mem::take(arg), ArrowType::Float64)]));
        }
        _ => return None,
    }
    Some(Expr::ScalarFunction(ScalarFunction { func: Arc::clone(&function.func), args }))
}

const NAME: &str = "cairn_checked";

fn call(check: Check, args: Vec<Expr>) -> Expr {
    static ALL: LazyLock<Vec<(Check, Arc<ScalarUDF>)>> = LazyLock::new(|| {
        [Check::Logarithm, Check::Finite, Check::Arc, Check::RoundEven]
            .map(|check| {
                let signature = Signature::variadic_any(Volatility::Immutable);
                (check, Arc::new(ScalarUDF::from(Checked { check, signature })))
            })
            .to_vec()
    });
    let function = ALL.iter().find(|(known, _)| *known == check).map(|(_, function)| Arc::clone(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function.expect("every check is in ALL"), args))
}

/// The first argument, checked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    check: Check,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(types.first().cloned().unwrap_or(ArrowType::Float64))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(Arc::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let rows = args.number_rows;
        let numbers = args
            .args
            .iter()
            .map(|arg| {
                let array = arg.to_array(rows)?;
                Ok(arrow::compute::cast(&array, &ArrowType::Float64)?)
            })
            .collect::<DataFusionResult<Vec<ArrayRef>>>()?;
        let first: &Float64Array = numbers[0].as_primitive();
        if self.check == Check::RoundEven {
            let rounded: ArrayRef = Arc::new(first.unary::<_, Float64Type>(f64::round_ties_even));
            return Ok(match &args.args[0] {
                ColumnarValue::Array(_) => ColumnarValue::Array(rounded),
                ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&rounded, 0)?),
            });
        }
        for row in (0..first.len()).filter(|row| first.is_valid(*row)) {
            self.check(first.value(row))?;
        }
        let mut args = args.args;
        Ok(args.swap_remove(0))
    }
}

impl Checked {
    fn check(&self, x: f64) -> Result<()> {
        let (state, message) = match self.check {
            Check::Logarithm if x == 0.0 => ("2201E", "cannot take logarithm of zero"),
            Check::Logarithm if x < 0.0 => ("2201E", "cannot take logarithm of a negative number"),
            Check::Finite if x.is_infinite() => ("22003", "input is out of range"),
            Check::Arc if x.abs() > 1.0 => ("22003", "input is out of range"),
            _ => return Ok(()),
        };
        Err(Error::new(state, message))
    }
}
