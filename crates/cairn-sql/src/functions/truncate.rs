//! `date_trunc`: the query engine's, which counts in nanoseconds, as far as these reach (1677 to 2262), and ours beyond.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType as ArrowType, FieldRef, TimeUnit, TimestampMicrosecondType};
use cairn_types::DataType;
use cairn_types::datetime::{Zone, is_infinite};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::functions::datetime::date_trunc;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::datetime::{truncated, unknown};

/// The function.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(DateTrunc { inner: date_trunc() })
}

/// Whether a moment among these is infinite.
fn has_infinite(moments: &ColumnarValue) -> bool {
    match moments {
        ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(Some(at), _)) => is_infinite(*at),
        ColumnarValue::Array(array) => array
            .as_primitive_opt::<TimestampMicrosecondType>()
            .is_some_and(|moments| moments.iter().flatten().any(is_infinite)),
        ColumnarValue::Scalar(_) => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc {
    inner: Arc<ScalarUDF>,
}

impl DateTrunc {
    /// By the calendar; `None` where the arguments are not a unit and moments in UTC.
    fn by_calendar(args: &ScalarFunctionArgs) -> DataFusionResult<Option<ColumnarValue>> {
        let [units, moments] = args.args.as_slice() else { return Ok(None) };
        let ColumnarValue::Scalar(ScalarValue::Utf8(Some(unit))) = units else {
            return Self::row_by_row(args, units, moments);
        };
        let one = matches!(moments, ColumnarValue::Scalar(_));
        let array = moments.to_array(if one { 1 } else { args.number_rows })?;
        let ArrowType::Timestamp(TimeUnit::Microsecond, zone) = array.data_type().clone() else {
            return Ok(None);
        };
        let moments = array.as_primitive::<TimestampMicrosecondType>();
        if truncated(unit, 0, Zone::UTC)?.is_none() {
            return Ok(None);
        }
        let cut = moments.try_unary::<_, TimestampMicrosecondType, crate::Error>(|utc| {
            Ok(truncated(unit, utc, Zone::UTC)?.unwrap_or(utc))
        })?;
        let cut = Arc::new(cut.with_timezone_opt(zone)) as ArrayRef;
        Ok(Some(match one {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&cut, 0)?),
            false => ColumnarValue::Array(cut),
        }))
    }
}

impl DateTrunc {
    /// The same with a unit for each row.
    fn row_by_row(
        args: &ScalarFunctionArgs,
        units: &ColumnarValue,
        moments: &ColumnarValue,
    ) -> DataFusionResult<Option<ColumnarValue>> {
        let (units, moments) = (units.to_array(args.number_rows)?, moments.to_array(args.number_rows)?);
        let ArrowType::Timestamp(TimeUnit::Microsecond, zone) = moments.data_type().clone() else {
            return Ok(None);
        };
        let Some(units) = units.as_string_opt::<i32>() else { return Ok(None) };
        let pairs = units.iter().zip(moments.as_primitive::<TimestampMicrosecondType>());
        let cut = pairs.map(|(unit, utc)| match (unit, utc) {
            (Some(unit), Some(utc)) => match truncated(unit, utc, Zone::UTC)? {
                Some(cut) => Ok(Some(cut)),
                None => {
                    let ty =
                        if zone.is_some() { DataType::TimestampTz(None) } else { DataType::Timestamp(None) };
                    Err(unknown(&unit.to_lowercase(), &ty))
                }
            },
            _ => Ok(None),
        });
        let cut: TimestampMicrosecondArray = cut.collect::<Result<_, crate::Error>>()?;
        Ok(Some(ColumnarValue::Array(Arc::new(cut.with_timezone_opt(zone)))))
    }
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let kept = args.clone();
        if has_infinite(&args.args[1]) {
            return Self::by_calendar(&kept)?
                .ok_or_else(|| crate::Error::internal("a moment expected").into());
        }
        self.inner.invoke_with_args(args).or_else(|error| Self::by_calendar(&kept)?.ok_or(error))
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> DataFusionResult<SortProperties> {
        self.inner.output_ordering(inputs)
    }
}
