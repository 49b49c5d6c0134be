//! `named_struct('a', x, 'b', y)`: a row of named values, which keep their types: JSON, VARCHAR, UUID and the like are fields of Arrow's
//! types that say so in their metadata, which the query engine's function forgets.

use std::sync::Arc;

use arrow::array::StructArray;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::Error;

/// The function.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(NamedRow { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NamedRow {
    signature: Signature,
}

fn wrong() -> DataFusionError {
    Error::internal("a row needs names beside its values").into()
}

impl ScalarUDFImpl for NamedRow {
    fn name(&self) -> &str {
        "named_struct"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> Result<ArrowType> {
        Err(wrong())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let pairs = args.arg_fields.chunks(2).zip(args.scalar_arguments.chunks(2));
        let field = |(fields, values): (&[FieldRef], &[Option<&ScalarValue>])| match (fields, values) {
            ([_, field], [Some(name), _]) => {
                let name = name.try_as_str().flatten().ok_or_else(wrong)?;
                Ok(Arc::new(Field::clone(field).with_name(name).with_nullable(true)))
            }
            _ => Err(wrong()),
        };
        let fields: Fields = pairs.map(field).collect::<Result<Vec<FieldRef>>>()?.into();
        Ok(Arc::new(Field::new(self.name(), ArrowType::Struct(fields), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ArrowType::Struct(fields) = args.return_field.data_type() else { return Err(wrong()) };
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let values: Vec<ColumnarValue> = args.args.into_iter().skip(1).step_by(2).collect();
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = values.into_iter().map(|value| value.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let array = StructArray::try_new_with_length(fields.clone(), arrays, None, rows)?;
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::Struct(Arc::new(array)))),
            false => Ok(ColumnarValue::Array(Arc::new(array))),
        }
    }
}
