//! `cairn_subscript(place, lowest, instead)`: a subscript that is computed, where it is below the lowest one something else. The query
//! engine counts such from the end; PostgreSQL finds nothing there.

use std::sync::Arc;

use arrow::compute::kernels::cmp::lt;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::cast::as_int64_array;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The function.
pub(crate) const NAME: &str = "cairn_subscript";

/// The function as the planner finds it.
pub(super) fn function() -> ScalarUDF {
    let signature = Signature::exact(vec![ArrowType::Int64; 3], Volatility::Immutable);
    ScalarUDF::from(Subscript { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Subscript {
    signature: Signature,
}

impl ScalarUDFImpl for Subscript {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> Result<ArrowType> {
        Ok(ArrowType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let places = args.args[0].to_array(args.number_rows)?;
        let lowest = args.args[1].to_array(args.number_rows)?;
        let instead = args.args[2].to_array(args.number_rows)?;
        // NULL is not below.
        let below = lt(&as_int64_array(&places)?, &as_int64_array(&lowest)?)?;
        Ok(ColumnarValue::Array(Arc::new(zip(&below, &instead, &places)?)))
    }
}
