//! TIMESTAMP and TIMESTAMPTZ moved by an interval: by Arrow's kernel, which counts in UTC; by the session's clock where that is
//! another one; and value by value where a moment is infinite or beyond the kernel's reach.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType as ArrowType, IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType};
use cairn_types::datetime::{Zone, is_infinite};
use cairn_types::{DataType, Interval};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::datetime::{add, to_utc};
use crate::context::ScopeExtension;
use crate::{Error, Result};

#[derive(Debug, PartialEq, Eq, Hash)]
struct Shift {
    /// Whether it is an instant, which is moved by the session's clock.
    instant: bool,
    back: bool,
    signature: Signature,
}

static ALL: LazyLock<[[Arc<ScalarUDF>; 2]; 2]> = LazyLock::new(|| {
    [false, true].map(|instant| {
        [false, true].map(|back| {
            let ty = if instant { DataType::TimestampTz(None) } else { DataType::Timestamp(None) };
            let types = vec![ty.to_arrow(), DataType::Interval(None).to_arrow()];
            let volatility = if instant { Volatility::Stable } else { Volatility::Immutable };
            let signature = Signature::exact(types, volatility);
            Arc::new(ScalarUDF::from(Shift { instant, back, signature }))
        })
    })
});

/// A moment moved by an interval, or back.
pub(crate) fn call(moment: Expr, interval: Expr, instant: bool, back: bool) -> Expr {
    let function = Arc::clone(&ALL[usize::from(instant)][usize::from(back)]);
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![moment, interval]))
}

impl Shift {
    fn by_value(&self, moments: &ArrayRef, intervals: &ArrayRef, zone: Zone) -> Result<ArrayRef> {
        let out_of_range = || Error::new("22008", "timestamp out of range");
        let sign = if self.back { -1 } else { 1 };
        let pairs = moments
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .zip(intervals.as_primitive::<IntervalMonthDayNanoType>());
        let moved = pairs.map(|(moment, by)| {
            let (Some(moment), Some(by)) = (moment, by) else { return Ok(None) };
            if is_infinite(moment) {
                return Ok(Some(moment));
            }
            // Months and days move the local date, the rest is time that passes.
            let mut moved = moment;
            if by.months != 0 || by.days != 0 {
                let date = Interval { months: by.months, days: by.days, nanos: 0 };
                moved = to_utc(add(zone.local(moment), date, sign).ok_or_else(out_of_range)?, zone)?;
            }
            moved.checked_add(sign * (by.nanoseconds / 1000)).map(Some).ok_or_else(out_of_range)
        });
        let moved = moved.collect::<Result<TimestampMicrosecondArray>>()?;
        let zone = match moments.data_type() {
            ArrowType::Timestamp(TimeUnit::Microsecond, zone) => zone.clone(),
            _ => None,
        };
        Ok(Arc::new(moved.with_timezone_opt(zone)))
    }
}

impl ScalarUDFImpl for Shift {
    fn name(&self) -> &str {
        match (self.instant, self.back) {
            (true, false) => "cairn_instant_plus",
            (true, true) => "cairn_instant_minus",
            (false, false) => "cairn_timestamp_plus",
            (false, true) => "cairn_timestamp_minus",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        types.first().cloned().ok_or_else(|| Error::internal("no moment").into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let zone = match self.instant {
            true => ScopeExtension::of(&args.config_options).map_or(Zone::UTC, |scope| scope.zone()),
            false => Zone::UTC,
        };
        let one = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if one { 1 } else { args.number_rows };
        let (moments, intervals) = (args.args[0].to_array(rows)?, args.args[1].to_array(rows)?);
        let kernel = if self.back { numeric::sub } else { numeric::add };
        let moved = match zone {
            Zone::UTC => kernel(&moments, &intervals).ok(),
            _ => None,
        };
        let moved = match moved {
            Some(moved) => moved,
            None => self.by_value(&moments, &intervals, zone)?,
        };
        Ok(match one {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&moved, 0)?),
            false => ColumnarValue::Array(moved),
        })
    }
}
