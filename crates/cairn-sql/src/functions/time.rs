//! Dates and times: the clock's functions, AT TIME ZONE, arithmetic, `age`.

use arrow::datatypes::DataType as ArrowType;
use cairn_types::codes::ZonedTime;
use cairn_types::datetime::{self, Zone};
use cairn_types::{DataType, Interval, Value};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{Call, Simple, Takes};
use crate::context::ScopeExtension;
use crate::{Error, Result};

const DAY_US: i64 = 86_400_000_000;

/// The canonical name of a time zone.
pub(crate) fn find_zone(name: &str) -> Option<String> {
    match Zone::parse(name).ok()? {
        Zone::Place(place) => Some(place.name().to_owned()),
        Zone::Fixed(_) => Some(name.to_owned()),
    }
}

fn session_zone(call: &Call<'_>) -> Result<Zone> {
    Ok(ScopeExtension::of(&call.args.config_options)?.zone())
}

/// Microseconds with as many digits of a second as the argument says, six at most.
fn rounded(call: &Call<'_>, micros: i64) -> Result<i64> {
    let digits = if call.values.is_empty() { 6 } else { call.integer(0)? };
    let digits = u32::try_from(digits).map_err(|_| {
        Error::new("22023", format!("TIMESTAMP({digits}) WITH TIME ZONE precision must not be negative"))
    })?;
    let unit = 10i64.pow(6 - digits.min(6));
    Ok((micros + unit / 2).div_euclid(unit) * unit)
}

/// Registers them.
pub(crate) fn functions() -> Vec<ScalarUDF> {
    use DataType as T;
    let stable = Volatility::Stable;
    let none = || Takes::Exact(Vec::new());
    let whole = || Takes::OneOf(vec![Vec::new(), vec![T::Integer]]);
    vec![
        Simple::new("now", none(), T::TimestampTz(None), stable, |call| {
            Ok(Value::TimestampTz(ScopeExtension::of(&call.args.config_options)?.transaction_start_us))
        })
        .alias("current_timestamp")
        .alias("transaction_timestamp"),
        Simple::new("statement_timestamp", none(), T::TimestampTz(None), stable, |call| {
            Ok(Value::TimestampTz(ScopeExtension::of(&call.args.config_options)?.statement_start_us))
        }),
        Simple::new("clock_timestamp", none(), T::TimestampTz(None), Volatility::Volatile, |call| {
            Ok(Value::TimestampTz(ScopeExtension::of(&call.args.config_options)?.shared.now_us()))
        }),
        Simple::new("localtimestamp", none(), T::Timestamp(None), stable, |call| {
            let now = ScopeExtension::of(&call.args.config_options)?.transaction_start_us;
            Ok(Value::Timestamp(local(now, session_zone(call)?)))
        }),
        Simple::new("cairn_localtime", whole(), T::Time(None), stable, |call| {
            let now = ScopeExtension::of(&call.args.config_options)?.transaction_start_us;
            Ok(Value::Time(rounded(call, local(now, session_zone(call)?))?.rem_euclid(DAY_US)))
        }),
        Simple::new("cairn_current_time", whole(), super::zoned_time::TYPE, stable, |call| {
            let now = ScopeExtension::of(&call.args.config_options)?.transaction_start_us;
            let zone = session_zone(call)?;
            let micros = rounded(call, local(now, zone).rem_euclid(DAY_US))?;
            Ok(super::zoned_time::value(ZonedTime { micros, offset: zone.offset_at(now) }))
        }),
        Simple::new("cairn_current_timestamp", whole(), T::TimestampTz(None), stable, |call| {
            let now = ScopeExtension::of(&call.args.config_options)?.transaction_start_us;
            rounded(call, now).map(Value::TimestampTz)
        }),
        Simple::new("cairn_localtimestamp", whole(), T::Timestamp(None), stable, |call| {
            let now = ScopeExtension::of(&call.args.config_options)?.transaction_start_us;
            rounded(call, local(now, session_zone(call)?)).map(Value::Timestamp)
        }),
        Simple::new("current_date", none(), T::Date, stable, |call| {
            let now = ScopeExtension::of(&call.args.config_options)?.transaction_start_us;
            Ok(Value::Date(local(now, session_zone(call)?).div_euclid(DAY_US) as i32))
        }),
        Simple::new(
            "cairn_elapsed",
            Takes::Exact(vec![T::Timestamp(None), T::Timestamp(None)]),
            T::Interval(None),
            Volatility::Immutable,
            elapsed,
        ),
        Simple::new(
            "cairn_date_at_time",
            Takes::OneOf(vec![vec![T::Date, T::Time(None)], vec![T::Time(None), T::Date]]),
            T::Timestamp(None),
            Volatility::Immutable,
            |call| match (&call.values[0], &call.values[1]) {
                (Value::Date(days), Value::Time(clock)) | (Value::Time(clock), Value::Date(days)) => {
                    let at = match datetime::midnight(*days) {
                        Some(start) if datetime::is_infinite(start) => Some(start),
                        start => start.and_then(|start| start.checked_add(*clock)),
                    };
                    at.map(Value::Timestamp)
                        .ok_or_else(|| Error::new("22008", "date out of range for timestamp"))
                }
                _ => Err(Error::internal("a date and a time expected")),
            },
        ),
        Simple::new(
            "cairn_scale_interval",
            Takes::Exact(vec![T::Interval(None), T::Double]),
            T::Interval(None),
            Volatility::Immutable,
            scale_interval,
        ),
        Simple::new(
            "cairn_divide_interval",
            Takes::Exact(vec![T::Interval(None), T::Double]),
            T::Interval(None),
            Volatility::Immutable,
            divide_interval,
        ),
        Simple::new(
            "cairn_add_days",
            Takes::Exact(vec![T::Date, T::BigInt]),
            T::Date,
            Volatility::Immutable,
            add_days,
        ),
        Simple::new(
            "cairn_days_between",
            Takes::Exact(vec![T::Date, T::Date]),
            T::Integer,
            Volatility::Immutable,
            days_between,
        ),
        Simple::new(
            "cairn_shift_time",
            Takes::Exact(vec![T::Time(None), T::Interval(None)]),
            T::Time(None),
            Volatility::Immutable,
            shift_time,
        ),
        Simple::new("age", Takes::Variadic, T::Interval(None), stable, age),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .chain([ScalarUDF::from(AtTimeZone::new())])
    .collect()
}

/// `cairn_at_time_zone(t, zone)`: local time from TIMESTAMPTZ, TIMESTAMPTZ from local time.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AtTimeZone {
    signature: Signature,
}

impl AtTimeZone {
    fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        "cairn_at_time_zone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> datafusion::error::Result<ArrowType> {
        match types.first() {
            Some(ty) if *ty == super::zoned_time::TYPE.to_arrow() => Ok(ty.clone()),
            // A TIME is of the session's zone.
            Some(ArrowType::Time64(_)) => Ok(super::zoned_time::TYPE.to_arrow()),
            Some(ArrowType::Timestamp(_, Some(_))) => Ok(DataType::Timestamp(None).to_arrow()),
            Some(ArrowType::Timestamp(_, None) | ArrowType::Date32) => {
                Ok(DataType::TimestampTz(None).to_arrow())
            }
            _ => Err(Error::new("42883", "function timezone does not exist for these types").into()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let result = super::sql_type(&args.return_field);
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| super::sql_type(field)).collect();
        super::rows(&args, &result, |args, row| {
            let values = super::row_values(args, &types, row)?;
            if values.iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            at_time_zone(&Call { values: &values, args })
        })
    }
}

/// The interval between two moments: whole days and the rest.
fn elapsed(call: &Call<'_>) -> Result<Value> {
    let (Value::Timestamp(later), Value::Timestamp(earlier)) = (&call.values[0], &call.values[1]) else {
        return Err(Error::internal("two timestamps expected"));
    };
    if datetime::is_infinite(*later) || datetime::is_infinite(*earlier) {
        return Err(Error::new("22008", "cannot subtract infinite timestamps"));
    }
    let micros = later.checked_sub(*earlier).ok_or_else(|| Error::new("22008", "interval out of range"))?;
    let days = micros / DAY_US;
    let nanos = (micros % DAY_US) * 1000;
    Ok(Value::Interval(Interval { months: 0, days: days as i32, nanos }))
}

fn scale_interval(call: &Call<'_>) -> Result<Value> {
    let (Value::Interval(interval), Some(factor)) = (&call.values[0], call.values[1].as_f64()) else {
        return Err(Error::internal("an interval and a number expected"));
    };
    if !factor.is_finite() {
        return Err(Error::new("22008", "interval out of range"));
    }
    Ok(Value::Interval(scaled(*interval, |x| x * factor)))
}

/// An interval whose fields are changed, as by a factor: fractions of months become days of 30, fractions of days become time.
pub(super) fn scaled(interval: Interval, change: impl Fn(f64) -> f64) -> Interval {
    // To microseconds, as PostgreSQL does against what floats get wrong.
    let rounded = |x: f64| (x * 1e6).round_ties_even() / 1e6;
    let months = change(f64::from(interval.months));
    let days = change(f64::from(interval.days));
    let month_days = rounded((months - months.trunc()) * 30.0);
    let day_seconds = 86_400.0;
    let mut seconds = rounded((days - days.trunc() + month_days - month_days.trunc()) * day_seconds);
    let mut whole = days.trunc();
    if seconds.abs() >= day_seconds {
        let more = (seconds / day_seconds).trunc();
        whole += more;
        seconds -= more * day_seconds;
    }
    let micros = (change(interval.nanos as f64 / 1000.0) + seconds * 1e6).round_ties_even();
    Interval {
        months: months.trunc() as i32,
        days: (whole + month_days.trunc()) as i32,
        nanos: (micros as i64).saturating_mul(1000),
    }
}

fn divide_interval(call: &Call<'_>) -> Result<Value> {
    let Value::Interval(interval) = &call.values[0] else {
        return Err(Error::internal("an interval expected"));
    };
    match call.values[1].as_f64().unwrap_or(f64::NAN) {
        0.0 => Err(Error::new("22012", "division by zero")),
        divisor => Ok(Value::Interval(scaled(*interval, |x| x / divisor))),
    }
}

fn add_days(call: &Call<'_>) -> Result<Value> {
    let (Value::Date(date), days) = (&call.values[0], call.integer(1)?) else {
        return Err(Error::internal("a date expected"));
    };
    if datetime::is_infinite_date(*date) {
        return Ok(Value::Date(*date));
    }
    let sum = i64::from(*date).checked_add(days).and_then(|sum| i32::try_from(sum).ok());
    sum.map(Value::Date).ok_or_else(|| Error::new("22008", "date out of range"))
}

fn days_between(call: &Call<'_>) -> Result<Value> {
    match (&call.values[0], &call.values[1]) {
        (Value::Date(later), Value::Date(earlier))
            if datetime::is_infinite_date(*later) || datetime::is_infinite_date(*earlier) =>
        {
            Err(Error::new("22008", "cannot subtract infinite dates"))
        }
        (Value::Date(later), Value::Date(earlier)) => Ok(Value::Integer(later.wrapping_sub(*earlier))),
        _ => Err(Error::internal("two dates expected")),
    }
}

fn shift_time(call: &Call<'_>) -> Result<Value> {
    match (&call.values[0], &call.values[1]) {
        (Value::Time(time), Value::Interval(by)) => {
            Ok(Value::Time((time + by.nanos / 1000).rem_euclid(DAY_US)))
        }
        _ => Err(Error::internal("a time and an interval expected")),
    }
}

/// The zone of a name in AT TIME ZONE.
///
/// # Errors
/// `22023` where there is none.
pub(super) fn named_zone(name: &str) -> Result<Zone> {
    Ok(match Zone::parse(name)? {
        // A bare offset is POSIX's: it counts westward.
        Zone::Fixed(seconds) if name.trim_start().starts_with(['+', '-']) => Zone::Fixed(-seconds),
        zone => zone,
    })
}

fn local(utc_us: i64, zone: Zone) -> i64 {
    zone.local(utc_us)
}

/// AT TIME ZONE, in both directions.
fn at_time_zone(call: &Call<'_>) -> Result<Value> {
    let zone = match &call.values[1] {
        Value::Interval(by) if by.months == 0 && by.days == 0 => {
            Zone::Fixed((by.nanos / 1_000_000_000) as i32)
        }
        Value::Interval(_) => {
            return Err(Error::new("22023", "interval time zone must not include months or days"));
        }
        _ => named_zone(call.text(1)?)?,
    };
    match &call.values[0] {
        Value::TimestampTz(t) => Ok(Value::Timestamp(local(*t, zone))),
        Value::Date(d) => {
            let midnight = datetime::midnight(*d)
                .ok_or_else(|| Error::new("22008", "date out of range for timestamp"))?;
            Ok(Value::TimestampTz(
                zone.to_utc(midnight).ok_or_else(|| Error::new("22008", "timestamp out of range"))?,
            ))
        }
        Value::Timestamp(t) => Ok(Value::TimestampTz(
            zone.to_utc(*t).ok_or_else(|| Error::new("22008", "timestamp out of range"))?,
        )),
        value => {
            let scope = ScopeExtension::of(&call.args.config_options)?;
            let now = scope.transaction_start_us;
            let own = match value {
                Value::Time(micros) => {
                    Some(ZonedTime { micros: *micros, offset: scope.zone().offset_at(now) })
                }
                value => super::zoned_time::of(value),
            };
            let own = own.ok_or_else(|| Error::new("42804", "AT TIME ZONE needs a timestamp"))?;
            Ok(super::zoned_time::value(own.at_offset(zone.offset_at(now))))
        }
    }
}

fn age(call: &Call<'_>) -> Result<Value> {
    let zone = session_zone(call)?;
    let moment = |value: &Value| match value {
        Value::Timestamp(t) => Ok(*t),
        Value::TimestampTz(t) => Ok(local(*t, zone)),
        Value::Date(d) => {
            datetime::midnight(*d).ok_or_else(|| Error::new("22008", "date out of range for timestamp"))
        }
        _ => Err(Error::new("42804", "age needs timestamps")),
    };
    let infinite = |value: &Value| moment(value).is_ok_and(datetime::is_infinite);
    if call.values.iter().any(infinite) {
        return Err(Error::unsupported("age of an infinite moment"));
    }
    let (later, earlier) = match call.values {
        [later, earlier] => (moment(later)?, moment(earlier)?),
        [earlier] => {
            let now = ScopeExtension::of(&call.args.config_options)?.transaction_start_us;
            let today = local(now, zone).div_euclid(DAY_US) * DAY_US;
            (today, moment(earlier)?)
        }
        _ => return Err(Error::internal("age takes one or two arguments")),
    };
    Ok(Value::Interval(symbolic_age(later, earlier)))
}

/// Years, months and days by the calendar, then the time.
fn symbolic_age(later: i64, earlier: i64) -> Interval {
    let (negative, later, earlier) =
        if later < earlier { (true, earlier, later) } else { (false, later, earlier) };
    let (mut y, mut m, mut d) = parts(later);
    let (y0, m0, d0) = parts(earlier);
    let mut time = later.rem_euclid(DAY_US) - earlier.rem_euclid(DAY_US);
    if time < 0 {
        time += DAY_US;
        d -= 1;
    }
    if d < d0 {
        d += i64::from(datetime::days_of_month(y0, m0 as u32));
        m -= 1;
    }
    if m < m0 {
        m += 12;
        y -= 1;
    }
    let sign = if negative { -1 } else { 1 };
    Interval {
        months: (((y - y0) * 12 + m - m0) * sign) as i32,
        days: ((d - d0) * sign) as i32,
        nanos: time * 1000 * sign,
    }
}

fn parts(micros: i64) -> (i64, i64, i64) {
    let (year, month, day) = datetime::civil_from_days(micros.div_euclid(DAY_US));
    (year, i64::from(month), i64::from(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let at = |y, m, d| datetime::days_from_civil(y, m, d) * DAY_US;
        let age = symbolic_age(at(2001, 4, 10), at(1957, 6, 13));
        assert_eq!((age.months, age.days), (43 * 12 + 9, 27));
    }
}
