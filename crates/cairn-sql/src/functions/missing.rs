//! Functions that do not exist: found by the planner all the same, so that the error can name the types of the
//! arguments as PostgreSQL does.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use crate::Error;

/// The function of a name that means nothing.
pub(crate) fn function(name: &str) -> Arc<ScalarUDF> {
    let signature =
        Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Volatile);
    Arc::new(ScalarUDF::from(Missing { name: name.to_owned(), signature }))
}

/// `42883` for a call with arguments of these types; a literal string's is not known.
pub(crate) fn error(name: &str, types: &[String]) -> Error {
    Error::new("42883", format!("function {name}({}) does not exist", types.join(", "))).with_hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Missing {
    name: String,
    signature: Signature,
}

impl ScalarUDFImpl for Missing {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Err(error(&self.name, &[]).into())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let types: Vec<String> = args
            .arg_fields
            .iter()
            .zip(args.scalar_arguments)
            .map(|(field, constant)| match field.data_type() {
                ArrowType::Utf8 if constant.is_some() => "unknown".to_owned(),
                ArrowType::Null => "unknown".to_owned(),
                _ => super::sql_type(field).base_name().to_owned(),
            })
            .collect();
        Err(error(&self.name, &types).into())
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Err(error(&self.name, &[]).into())
    }
}
