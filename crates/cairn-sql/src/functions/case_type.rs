//! `cairn_case_type(value, …)`: the value with the type that is common to all arguments, of which no other is computed. Stands
//! for the first result of a CASE ([`crate::parse::case_type`]) until the plan is simplified.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::other::get_coerce_type_for_case_expression;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast,
};

/// The function.
pub(crate) const NAME: &str = "cairn_case_type";

/// The function as the planner finds it.
pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![ScalarUDF::from(CaseType { signature: Signature::variadic_any(Volatility::Immutable) })]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CaseType {
    signature: Signature,
}

/// The field of what is common; that of the first where nothing is.
fn common(fields: &[FieldRef]) -> FieldRef {
    let types: Vec<ArrowType> =
        fields.iter().map(|field| field.data_type().clone()).filter(|ty| !ty.is_null()).collect();
    let Some(ty) = get_coerce_type_for_case_expression(&types, None) else { return Arc::clone(&fields[0]) };
    let like = fields.iter().find(|field| *field.data_type() == ty);
    match like {
        Some(field) => Arc::new(Field::clone(field).with_nullable(true)),
        None => Arc::new(Field::new("case", ty, true)),
    }
}

impl ScalarUDFImpl for CaseType {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        Ok(get_coerce_type_for_case_expression(types, None).unwrap_or_else(|| types[0].clone()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(common(args.arg_fields))
    }

    fn simplify(&self, mut args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let schema: &DFSchema = info.schema();
        let fields: Vec<FieldRef> =
            args.iter().map(|arg| Ok(arg.to_field(schema)?.1)).collect::<Result<_>>()?;
        let ty = common(&fields).data_type().clone();
        let value = args.swap_remove(0);
        Ok(ExprSimplifyResult::Simplified(match *fields[0].data_type() == ty {
            true => value,
            false => cast(value, ty),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args[0].cast_to(args.return_field.data_type(), None)
    }
}
