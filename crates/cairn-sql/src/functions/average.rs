//! `avg`: of integers and NUMERIC exactly ([`super::exact_average`]), of intervals, of floats by DataFusion. And the accumulator of intervals, which `sum` uses as well.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DataType as ArrowType, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit,
};
use cairn_types::Interval;
use cairn_types::decimal::wide::ARROW;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::distinct::Distinct;
use super::exact_average::{self, ExactAverage};
use super::time::scaled;
use super::wide::is_wide;
use super::wide_sum::{self, WideDistinct, WideTotals, WideWindow};
use crate::Error;

/// The Arrow type of intervals.
pub(super) const INTERVAL: ArrowType = ArrowType::Interval(IntervalUnit::MonthDayNano);

/// Whether an aggregate is one of intervals.
pub(super) fn of_intervals(fields: &[FieldRef]) -> bool {
    fields.first().is_some_and(|field| *field.data_type() == INTERVAL)
}

/// Whether an aggregate is one of NUMERIC without parameters.
pub(super) fn of_wide(fields: &[FieldRef]) -> bool {
    fields.first().is_some_and(|field| is_wide(field.data_type()))
}

fn argument(fields: &[FieldRef]) -> Option<&ArrowType> {
    fields.first().map(|field| field.data_type())
}

/// The states of [`IntervalTotal`]: the sum, and how many there were.
pub(super) fn state_fields(name: &str) -> Vec<FieldRef> {
    let field = |part: &str, ty| Arc::new(Field::new(format!("{name}[{part}]"), ty, true));
    vec![field("sum", INTERVAL), field("count", ArrowType::Int64)]
}

/// Adds intervals up, and takes them off again where a window moves on.
#[derive(Debug, Default)]
pub(super) struct IntervalTotal {
    average: bool,
    count: i64,
    months: i64,
    days: i64,
    nanos: i128,
}

impl IntervalTotal {
    /// Of `avg` or of `sum`.
    pub(super) fn new(average: bool) -> Self {
        Self { average, ..Self::default() }
    }

    fn add(&mut self, values: &ArrayRef, sign: i64) {
        let values = values.as_primitive::<IntervalMonthDayNanoType>();
        for value in values.iter().flatten() {
            self.count += sign;
            self.months += i64::from(value.months) * sign;
            self.days += i64::from(value.days) * sign;
            self.nanos += i128::from(value.nanoseconds) * i128::from(sign);
        }
    }

    fn total(&self) -> Result<Interval> {
        let out_of_range = || Error::new("22008", "interval out of range");
        Ok(Interval {
            months: i32::try_from(self.months).map_err(|_| out_of_range())?,
            days: i32::try_from(self.days).map_err(|_| out_of_range())?,
            nanos: i64::try_from(self.nanos).map_err(|_| out_of_range())?,
        })
    }
}

fn scalar(value: Option<Interval>) -> ScalarValue {
    ScalarValue::IntervalMonthDayNano(value.map(|v| IntervalMonthDayNano::new(v.months, v.days, v.nanos)))
}

impl Accumulator for IntervalTotal {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], 1);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], -1);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return Ok(scalar(None));
        }
        let total = self.total()?;
        Ok(scalar(Some(if self.average { scaled(total, |x| x / self.count as f64) } else { total })))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![scalar(Some(self.total()?)), ScalarValue::Int64(Some(self.count))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[1].as_primitive::<Int64Type>();
        let before = self.count;
        self.add(&states[0], 1);
        self.count = before + counts.iter().flatten().sum::<i64>();
        Ok(())
    }
}

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Average {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl Average {
    pub(crate) fn new() -> Self {
        Self { inner: avg_udaf(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Average {
    fn name(&self) -> &str {
        "avg"
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[ArrowType]) -> Result<Vec<ArrowType>> {
        let name = |ty: &ArrowType| cairn_types::DataType::from_arrow(ty).sql_name();
        match types {
            [
                ArrowType::Int64
                | ArrowType::Decimal32(..)
                | ArrowType::Decimal64(..)
                | ArrowType::Decimal128(..)
                | ArrowType::Duration(_)
                | ArrowType::Interval(IntervalUnit::MonthDayNano),
            ] => Ok(types.to_vec()),
            [ArrowType::Decimal256(..)] => Ok(vec![ARROW]),
            [ArrowType::UInt64] => Ok(vec![ArrowType::Decimal128(20, 0)]),
            [ty] if ty.is_integer() => Ok(vec![ArrowType::Int64]),
            [ty] if ty.is_numeric() || ty.is_null() => Ok(vec![ArrowType::Float64]),
            _ => {
                let names: Vec<String> = types.iter().map(name).collect();
                let message = format!("function avg({}) does not exist", names.join(", "));
                Err(Error::new("42883", message)
                    .with_hint("No function matches the given name and argument types.")
                    .into())
            }
        }
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        match types.first() {
            Some(ty) if *ty == INTERVAL => Ok(INTERVAL),
            Some(ty) if is_wide(ty) => Ok(ARROW),
            Some(ty) => match exact_average::result_type(ty) {
                Some(exact) => Ok(exact),
                None => self.inner.return_type(types),
            },
            None => self.inner.return_type(types),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if of_wide(args.expr_fields) {
            return Ok(match args.is_distinct {
                true => Box::new(WideDistinct::new(true)),
                false => Box::new(WideTotals::single(true)),
            });
        }
        let own: Box<dyn Accumulator> = match argument(args.expr_fields).and_then(ExactAverage::single) {
            Some(exact) => Box::new(exact),
            None if of_intervals(args.expr_fields) => Box::new(IntervalTotal::new(true)),
            None => return self.inner.accumulator(args),
        };
        Ok(if args.is_distinct { Box::new(Distinct::new(own, args.expr_fields)) } else { own })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if of_wide(args.input_fields) {
            return Ok(match args.is_distinct {
                true => WideDistinct::state_fields(args.name),
                false => wide_sum::state_fields(args.name),
            });
        }
        let exact = argument(args.input_fields).filter(|ty| exact_average::result_type(ty).is_some());
        if args.is_distinct && (exact.is_some() || of_intervals(args.input_fields)) {
            return Ok(Distinct::state_fields(args.name, args.input_fields));
        }
        if let Some(ty) = exact {
            return Ok(exact_average::state_fields(args.name, ty));
        }
        match of_intervals(args.input_fields) {
            true => Ok(state_fields(args.name)),
            false => self.inner.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        if of_wide(args.expr_fields) {
            return !args.is_distinct;
        }
        if argument(args.expr_fields).is_some_and(|ty| exact_average::result_type(ty).is_some()) {
            return !args.is_distinct;
        }
        !of_intervals(args.expr_fields) && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        if of_wide(args.expr_fields) {
            return Ok(Box::new(WideTotals::new(true)));
        }
        if let Some(exact) = argument(args.expr_fields).and_then(ExactAverage::of) {
            return Ok(Box::new(exact));
        }
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if of_wide(args.expr_fields) {
            return Ok(Box::new(WideWindow::new(true)));
        }
        if let Some(exact) = argument(args.expr_fields).and_then(ExactAverage::single) {
            return Ok(Box::new(exact));
        }
        match of_intervals(args.expr_fields) {
            true => Ok(Box::new(IntervalTotal::new(true))),
            false => self.inner.create_sliding_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
