//! Keys by which values are ordered and told apart where the query engine's own order differs from SQL's: -0 is 0 and one
//! NaN stands for all, and arrays compare by their elements with NULL last. And what row keys tell: the partition.
//!
//! I1. A key is in the order of the values, and equal where they are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::datatypes::{DataType as ArrowType, Float32Type, Float64Type};
use cairn_types::key::{self, KeyOrder};
use cairn_types::{DataType as T, Value};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::json::tree::{Node, sort_key};
use super::overload::{Args, Kind, Overload, Returns, function, is};
use crate::parse::table_ids::OF_ROW_KEY;
use crate::{Error, Result};

/// The key of a number of either float type.
pub(crate) const FLOAT: &str = "cairn_float_key";
/// The key of an array.
pub(crate) const ARRAY: &str = "cairn_array_key";
/// The same in hexadecimal digits: windows are ordered by types that frames know.
pub(crate) const ARRAY_TEXT: &str = "cairn_array_key_text";

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let array = |name, returns, code| function(name, vec![Overload::new(vec![Kind::Array], returns, code)]);
    vec![
        ScalarUDF::from(FloatKey { signature: Signature::any(1, Volatility::Immutable) }),
        function(
            OF_ROW_KEY,
            vec![Overload::new(vec![is(T::Bytea)], Returns::Is(T::BigInt), |args| match &args.values[0] {
                Value::Bytea(key) => Ok(key
                    .first_chunk::<4>()
                    .map_or(Value::Null, |id| Value::BigInt(i64::from(u32::from_be_bytes(*id))))),
                _ => Ok(Value::Null),
            })],
        ),
        array(ARRAY, Returns::Is(T::Bytea), |args| key_of(args).map(Value::Bytea)),
        array(ARRAY_TEXT, Returns::Is(T::Text), |args| {
            Ok(Value::Text(key_of(args)?.iter().map(|byte| format!("{byte:02x}")).collect()))
        }),
    ]
}

fn key_of(args: &Args<'_>) -> Result<Vec<u8>> {
    let mut key = Vec::new();
    let (value, ty) = comparable(args.values[0].clone(), &args.types[0])?;
    key::encode_value(&value, &ty, KeyOrder::ASCENDING, &mut key)?;
    Ok(key)
}

/// JSONB by its sort keys, NUMERIC with all the digits that its elements have.
fn comparable(value: Value, ty: &T) -> Result<(Value, T)> {
    let T::Array(element) = ty else { return Ok((value, ty.clone())) };
    let Value::Array(items) = value else { return Ok((value, ty.clone())) };
    let mut wanted = match &**element {
        T::Jsonb => T::Bytea,
        // Elements of any scale have one form of key.
        T::Numeric(_) => T::Numeric(None),
        other => other.clone(),
    };
    let mut keys = Vec::with_capacity(items.len());
    for item in items {
        keys.push(match (item, &**element) {
            (Value::Jsonb(text), T::Jsonb) => Value::Bytea(sort_key(&Node::parse(&text)?)),
            (inner @ Value::Array(_), T::Array(_)) => {
                let (inner, ty) = comparable(inner, element)?;
                wanted = ty;
                inner
            }
            (item, _) => item,
        });
    }
    Ok((Value::Array(keys), T::Array(Box::new(wanted))))
}

/// A float with one zero and one NaN.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FloatKey {
    signature: Signature,
}

fn normal(x: f64) -> f64 {
    if x.is_nan() { f64::NAN } else { x + 0.0 }
}

fn normal_real(x: f32) -> f32 {
    if x.is_nan() { f32::NAN } else { x + 0.0 }
}

impl ScalarUDFImpl for FloatKey {
    fn name(&self) -> &str {
        FLOAT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(types.first().cloned().unwrap_or(ArrowType::Float64))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Ok(match args.args.first() {
            Some(ColumnarValue::Scalar(ScalarValue::Float64(x))) => {
                ColumnarValue::Scalar(ScalarValue::Float64(x.map(normal)))
            }
            Some(ColumnarValue::Scalar(ScalarValue::Float32(x))) => {
                ColumnarValue::Scalar(ScalarValue::Float32(x.map(normal_real)))
            }
            Some(ColumnarValue::Array(array)) => ColumnarValue::Array(match array.data_type() {
                ArrowType::Float64 => {
                    let keys: Float64Array = array.as_primitive::<Float64Type>().unary(normal);
                    Arc::new(keys) as ArrayRef
                }
                ArrowType::Float32 => {
                    let keys: Float32Array = array.as_primitive::<Float32Type>().unary(normal_real);
                    Arc::new(keys) as ArrayRef
                }
                _ => return Err(Error::internal("a float expected").into()),
            }),
            _ => return Err(Error::internal("a float expected").into()),
        })
    }

    // What is in the values' order is in that of the keys.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> DataFusionResult<SortProperties> {
        Ok(inputs.first().map_or(SortProperties::Unordered, |input| input.sort_properties))
    }

    fn preserves_lex_ordering(&self, _inputs: &[ExprProperties]) -> DataFusionResult<bool> {
        Ok(true)
    }
}

/// What an expression of a sort is a key of, or the expression itself.
pub(crate) fn keyed(expr: &Arc<dyn PhysicalExpr>) -> &Arc<dyn PhysicalExpr> {
    match expr.downcast_ref::<ScalarFunctionExpr>() {
        Some(call) if matches!(call.fun().name(), FLOAT | super::wide::KEY) => {
            call.args().first().unwrap_or(expr)
        }
        _ => expr,
    }
}
