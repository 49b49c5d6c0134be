//! `cairn_unknown('literal', value, …)`: a string literal with the type in which the values beside it meet, which are not
//! computed. Stands for literals among the arguments of COALESCE, GREATEST, LEAST and NULLIF and the results of a CASE
//! (`parse::forms`) until the plan is simplified.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use cairn_types::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast,
};

use super::{overload, sql_type};
use crate::Error;
use crate::query::operators::literal;

/// The function.
pub(crate) const NAME: &str = "cairn_unknown";

/// The function as the planner finds it.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(Unknown { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Unknown {
    signature: Signature,
}

/// The type that a literal beside those takes: TEXT where they have none in common.
fn meeting(fields: &[FieldRef]) -> DataType {
    let types = fields.iter().filter(|field| !field.data_type().is_null()).map(|field| sql_type(field));
    let mut common: Option<DataType> = None;
    for ty in types {
        common = match common {
            None => Some(ty),
            Some(other) => overload::common(&other, &ty),
        };
        if common.is_none() {
            break;
        }
    }
    match common {
        Some(ty) if !ty.is_character() => ty,
        _ => DataType::Text,
    }
}

impl ScalarUDFImpl for Unknown {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> Result<ArrowType> {
        Ok(ArrowType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(meeting(&args.arg_fields[1..]).to_field(NAME, false)))
    }

    fn simplify(&self, mut args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let schema: &DFSchema = info.schema();
        let fields: Vec<FieldRef> =
            args[1..].iter().map(|arg| Ok(arg.to_field(schema)?.1)).collect::<Result<_>>()?;
        let ty = meeting(&fields);
        let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = args.swap_remove(0) else {
            return Err(Error::internal("a literal expected").into());
        };
        let value = literal(&text, &ty)?;
        let wanted = ty.to_arrow();
        Ok(ExprSimplifyResult::Simplified(match value.get_type(schema)? == wanted {
            true => value,
            false => cast(value, wanted),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ty = sql_type(&args.return_field);
        let ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) = &args.args[0] else {
            return Err(Error::internal("a literal expected").into());
        };
        let value = cairn_types::Value::parse_text(text, &ty).map_err(Error::from)?;
        Ok(ColumnarValue::Scalar(crate::query::operators::scalar(&value, &ty)?))
    }
}
