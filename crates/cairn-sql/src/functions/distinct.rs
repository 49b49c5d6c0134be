//! DISTINCT of aggregates that know nothing of it: each value, or each pair, is handed on once.
//!
//! I1: values that are equal are one, as in DISTINCT elsewhere: -0 and 0, NaN and NaN, INTERVALs of equal length.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use cairn_types::Interval;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate as aggregates;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Distinct {
    inner: Box<dyn Accumulator>,
    types: Vec<ArrowType>,
    seen: HashSet<Vec<ScalarValue>>,
    /// The values that were handed on, a column for each argument.
    values: Vec<Vec<ScalarValue>>,
}

impl Distinct {
    /// Around an accumulator of those arguments.
    pub(super) fn new(inner: Box<dyn Accumulator>, arguments: &[FieldRef]) -> Distinct {
        let types: Vec<ArrowType> = arguments.iter().map(|field| field.data_type().clone()).collect();
        let values = types.iter().map(|_| Vec::new()).collect();
        Distinct { inner, types, seen: HashSet::new(), values }
    }

    /// The states: for each argument the values, each row once.
    pub(super) fn state_fields(name: &str, arguments: &[FieldRef]) -> Vec<FieldRef> {
        let list = |(at, argument): (usize, &FieldRef)| {
            let item = Arc::new(Field::new_list_field(argument.data_type().clone(), true));
            Arc::new(Field::new(format!("{name}[values {at}]"), ArrowType::List(item), true))
        };
        arguments.iter().enumerate().map(list).collect()
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        let mut new = Vec::new();
        for row in 0..rows {
            let cells = values.iter().map(|column| ScalarValue::try_from_array(column, row));
            let cells = cells.collect::<Result<Vec<_>>>()?;
            if self.seen.insert(cells.iter().cloned().map(key).collect()) {
                new.push(row as u64);
                self.values.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
            }
        }
        if new.len() == rows {
            return self.inner.update_batch(values);
        }
        let new = UInt64Array::from(new);
        let fewer = values.iter().map(|column| take(column, &new, None));
        self.inner.update_batch(&fewer.collect::<std::result::Result<Vec<_>, _>>()?)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.inner.evaluate()
    }

    fn size(&self) -> usize {
        let each = self.types.len() * 2 * size_of::<ScalarValue>() + size_of::<Vec<ScalarValue>>();
        size_of_val(self) + self.inner.size() + self.seen.capacity() * each
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = |(values, ty): (&Vec<ScalarValue>, &ArrowType)| {
            ScalarValue::List(ScalarValue::new_list_nullable(values, ty))
        };
        Ok(self.values.iter().zip(&self.types).map(list).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(first) = states.first() else { return Ok(()) };
        for row in (0..first.len()).filter(|row| first.is_valid(*row)) {
            let lists: Vec<ArrayRef> = states.iter().map(|state| state.as_list::<i32>().value(row)).collect();
            self.update_batch(&lists)?;
        }
        Ok(())
    }
}

/// What is the same for values that are equal (I1).
fn key(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Float64(Some(v)) if v.is_nan() => ScalarValue::Float64(Some(f64::NAN)),
        // -0 + 0 = 0.
        ScalarValue::Float64(Some(v)) => ScalarValue::Float64(Some(v + 0.0)),
        ScalarValue::Float32(Some(v)) if v.is_nan() => ScalarValue::Float32(Some(f32::NAN)),
        // -0 + 0 = 0.
        ScalarValue::Float32(Some(v)) => ScalarValue::Float32(Some(v + 0.0)),
        ScalarValue::IntervalMonthDayNano(Some(v)) => {
            let own = Interval { months: v.months, days: v.days, nanos: v.nanoseconds };
            ScalarValue::Decimal128(Some(own.comparison_nanos()), 38, 0)
        }
        // The digits shown are no part of a NUMERIC's value.
        ScalarValue::Decimal256(Some(raw), precision, scale) => {
            ScalarValue::Decimal256(Some(cairn_types::decimal::wide::key(raw)), precision, scale)
        }
        other => other,
    }
}

/// The query engine's aggregates of pairs, with DISTINCT.
pub(super) fn functions() -> Vec<AggregateUDF> {
    let all = [
        aggregates::correlation::corr_udaf(),
        aggregates::covariance::covar_samp_udaf(),
        aggregates::covariance::covar_pop_udaf(),
        aggregates::regr::regr_slope_udaf(),
        aggregates::regr::regr_intercept_udaf(),
        aggregates::regr::regr_count_udaf(),
        aggregates::regr::regr_r2_udaf(),
        aggregates::regr::regr_avgx_udaf(),
        aggregates::regr::regr_avgy_udaf(),
        aggregates::regr::regr_sxx_udaf(),
        aggregates::regr::regr_syy_udaf(),
        aggregates::regr::regr_sxy_udaf(),
    ];
    all.into_iter().map(|inner| AggregateUDF::from(OfPairs { inner })).collect()
}

/// One of them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfPairs {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for OfPairs {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[ArrowType]) -> Result<Vec<ArrowType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        self.inner.return_type(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let (is_distinct, arguments) = (args.is_distinct, args.expr_fields);
        let inner = self.inner.accumulator(args)?;
        Ok(if is_distinct { Box::new(Distinct::new(inner, arguments)) } else { inner })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        match args.is_distinct {
            true => Ok(Distinct::state_fields(args.name, args.input_fields)),
            false => self.inner.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn default_value(&self, ty: &ArrowType) -> Result<ScalarValue> {
        self.inner.default_value(ty)
    }
}
