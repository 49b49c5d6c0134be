//! `sum` with PostgreSQL's result types: BIGINT sums are NUMERIC, so that they do not wrap around; smaller integers
//! sum to BIGINT, floats to DOUBLE PRECISION. The work is DataFusion's.
//!
//! I1: coercion is idempotent, because the planner coerces more than once: INTEGER stays INTEGER in the plan and is
//! widened here, batch by batch ([`Widened`]). Were it cast to BIGINT there, the second round would make it NUMERIC.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
    Volatility,
};

use cairn_types::decimal::wide::ARROW;

use super::average::{INTERVAL, IntervalTotal, of_intervals, of_wide, state_fields};
use super::distinct::Distinct;
use super::wide::is_wide;
use super::wide_sum::{self, WideDistinct, WideTotals, WideWindow};
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
                ArrowType::Int32
            }
            ArrowType::Int64 | ArrowType::UInt32 | ArrowType::UInt64 => ArrowType::Decimal128(20, 0),
            ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 | ArrowType::Null => {
                ArrowType::Float64
            }
            ArrowType::Decimal256(..) => ARROW,
            ArrowType::Decimal128(..) | ArrowType::Duration(_) => ty.clone(),
            interval if *interval == INTERVAL => INTERVAL,
            other => {
                let name = cairn_types::DataType::from_arrow(other).sql_name();
                return Err(Error::new("42883", format!("function sum({name}) does not exist"))
                    .with_hint("No function matches the given name and argument types.")
                    .into());
            }
        }])
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        match types {
            [ArrowType::Int32] => Ok(ArrowType::Int64),
            [interval] if *interval == INTERVAL => Ok(INTERVAL),
            [wide] if is_wide(wide) => Ok(ARROW),
            other => self.inner.return_type(other),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if of_intervals(args.expr_fields) {
            let own = Box::new(IntervalTotal::new(false));
            return Ok(if args.is_distinct { Box::new(Distinct::new(own, args.expr_fields)) } else { own });
        }
        if of_wide(args.expr_fields) {
            return Ok(match args.is_distinct {
                true => Box::new(WideDistinct::new(false)),
                false => Box::new(WideTotals::single(false)),
            });
        }
        let widen = is_integer(&args);
        let inner = self.inner.accumulator(args)?;
        Ok(if widen { Box::new(Widened(inner)) } else { inner })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if of_intervals(args.input_fields) {
            return Ok(match args.is_distinct {
                true => Distinct::state_fields(args.name, args.input_fields),
                false => state_fields(args.name),
            });
        }
        if of_wide(args.input_fields) {
            return Ok(match args.is_distinct {
                true => WideDistinct::state_fields(args.name),
                false => wide_sum::state_fields(args.name),
            });
        }
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        if of_wide(args.expr_fields) {
            return !args.is_distinct;
        }
        !of_intervals(args.expr_fields) && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        if of_wide(args.expr_fields) {
            return Ok(Box::new(WideTotals::new(false)));
        }
        let widen = is_integer(&args);
        let inner = self.inner.create_groups_accumulator(args)?;
        Ok(if widen { Box::new(Widened(inner)) } else { inner })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if of_intervals(args.expr_fields) {
            return Ok(Box::new(IntervalTotal::new(false)));
        }
        if of_wide(args.expr_fields) {
            return Ok(Box::new(WideWindow::new(false)));
        }
        let widen = is_integer(&args);
        let inner = self.inner.create_sliding_accumulator(args)?;
        Ok(if widen { Box::new(Widened(inner)) } else { inner })
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn is_integer(args: &AccumulatorArgs<'_>) -> bool {
    args.expr_fields.first().is_some_and(|field| *field.data_type() == ArrowType::Int32)
}

/// An accumulator of BIGINT that is fed INTEGER.
#[derive(Debug)]
struct Widened<A>(A);

fn widen(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    values.iter().map(|array| Ok(cast(array, &ArrowType::Int64)?)).collect()
}

impl Accumulator for Widened<Box<dyn Accumulator>> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&widen(values)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(&widen(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }
}

impl GroupsAccumulator for Widened<Box<dyn GroupsAccumulator>> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.0.update_batch(&widen(values)?, groups, filter, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.0.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit_to)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.0.merge_batch(states, groups, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(&widen(values)?, filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
