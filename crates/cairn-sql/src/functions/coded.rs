//! The code of a value of a coded type: the key by which ORDER BY goes. As text, in hexadecimal digits, it is in the same
//! order: windows are ordered by types that frames know.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::nullif;
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::Error;

/// The function's name.
pub(crate) const NAME: &str = "cairn_code";
/// The same as text.
pub(crate) const TEXT_NAME: &str = "cairn_code_text";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Code {
    text: bool,
    signature: Signature,
}

/// The functions.
pub(super) fn functions() -> [ScalarUDF; 2] {
    [false, true]
        .map(|text| ScalarUDF::from(Code { text, signature: Signature::any(1, Volatility::Immutable) }))
}

/// The codes of an array in hexadecimal digits.
fn in_text(codes: &ArrayRef) -> ArrayRef {
    let digits = codes
        .as_binary::<i32>()
        .iter()
        .map(|code| code.map(|code| code.iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
    Arc::new(digits.collect::<StringArray>())
}

impl ScalarUDFImpl for Code {
    fn name(&self) -> &str {
        if self.text { TEXT_NAME } else { NAME }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> datafusion::error::Result<ArrowType> {
        Ok(if self.text { ArrowType::Utf8 } else { ArrowType::Binary })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let Some(value) = args.args.first() else { return Err(Error::internal("no value").into()) };
        let constant = matches!(value, ColumnarValue::Scalar(_));
        let array = value.to_array(if constant { 1 } else { args.number_rows })?;
        let Some(parts) = array.as_struct_opt() else {
            return Err(Error::internal("a value without a code").into());
        };
        let codes = match array.nulls() {
            None => Arc::clone(parts.column(0)),
            Some(nulls) => {
                let missing = arrow::array::BooleanArray::new(!nulls.inner(), None);
                nullif(parts.column(0), &missing)?
            }
        };
        let codes = if self.text { in_text(&codes) } else { codes };
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&codes, 0)?));
        }
        Ok(ColumnarValue::Array(codes))
    }
}
