//! `sum` with PostgreSQL's result types: BIGINT sums are NUMERIC, so that they do not wrap around; smaller integers
//! sum to BIGINT, floats to DOUBLE PRECISION. The work is DataFusion's.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use datafusion::error::Result;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use crate::Error;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sum {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl Sum {
    pub(crate) fn new() -> Self {
        Self { inner: sum_udaf(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[ArrowType]) -> Result<Vec<ArrowType>> {
        let [ty] = types else {
            return Err(Error::new("42883", "function sum takes one argument").into());
        };
        Ok(vec![match ty {
            ArrowType::Int8 | ArrowType::Int16 | ArrowType::Int32 | ArrowType::UInt8 | ArrowType::UInt16 => {
                ArrowType::Int64
            }
            ArrowType::Int64 | ArrowType::UInt32 | ArrowType::UInt64 => ArrowType::Decimal128(20, 0),
            ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 | ArrowType::Null => {
                ArrowType::Float64
            }
            ArrowType::Decimal128(..) | ArrowType::Decimal256(..) | ArrowType::Duration(_) => ty.clone(),
            other => {
                let name = cairn_types::DataType::from_arrow(other).sql_name();
                return Err(Error::new("42883", format!("function sum({name}) does not exist"))
                    .with_hint("No function matches the given name and argument types.")
                    .into());
            }
        }])
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        self.inner.return_type(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
