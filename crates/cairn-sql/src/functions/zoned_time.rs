//! TIME WITH TIME ZONE: casts, arithmetic, by the clock of another zone.

use cairn_types::codes::ZonedTime;
use cairn_types::datetime::{MICROS_PER_DAY, Zone, is_infinite, midnight};
use cairn_types::{Coded, DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;

use super::overload::{Args, Overload, Returns, function, is};
use crate::{Error, Result};

/// The type.
pub(crate) const TYPE: T = T::Coded(Coded::TimeTz(None));

/// A time as a value.
pub(crate) fn value(time: ZonedTime) -> Value {
    Value::Coded { ty: Coded::TimeTz(None), code: time.to_code() }
}

/// The time of a value.
pub(crate) fn of(value: &Value) -> Option<ZonedTime> {
    match value {
        Value::Coded { ty: Coded::TimeTz(_), code } => ZonedTime::from_code(code),
        _ => None,
    }
}

/// A cast to the type, or of it to TIME; `None` for any other. What has no zone is of `zone`.
pub(super) fn cast(from: &Value, ty: &T, zone: Zone) -> Option<Value> {
    match (from, ty) {
        (own @ Value::Coded { .. }, T::Time(_)) => of(own).map(|time| Value::Time(time.micros)),
        (own @ Value::Coded { .. }, T::Coded(Coded::TimeTz(_))) => of(own).map(value),
        (Value::Time(micros), T::Coded(Coded::TimeTz(_))) => {
            Some(value(ZonedTime { micros: *micros, offset: zone.offset_at(0) }))
        }
        (Value::TimestampTz(t), T::Coded(Coded::TimeTz(_))) if is_infinite(*t) => Some(Value::Null),
        (Value::TimestampTz(t), T::Coded(Coded::TimeTz(_))) => {
            let offset = zone.offset_at(*t);
            Some(value(ZonedTime { micros: zone.local(*t).rem_euclid(MICROS_PER_DAY), offset }))
        }
        _ => None,
    }
}

/// Whether a value is one that [`cast`] makes one of that type.
pub(crate) fn converts(value: &Value, ty: &T) -> bool {
    match ty {
        T::Time(_) => of(value).is_some(),
        _ => matches!(value, Value::Time(_) | Value::TimestampTz(_)),
    }
}

fn time(args: &Args<'_>, at: usize) -> Result<ZonedTime> {
    let found = args.values.get(at).and_then(of);
    found.ok_or_else(|| Error::internal("a time with a zone expected"))
}

fn moved(args: &Args<'_>, sign: i64) -> Result<Value> {
    let own = time(args, 0)?;
    let by = args.interval(1)?;
    let micros = own.micros.wrapping_add(sign * (by.nanos / 1000)).rem_euclid(MICROS_PER_DAY);
    Ok(value(ZonedTime { micros, ..own }))
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let shift = |name: &'static str, code| {
        function(name, vec![Overload::new(vec![is(TYPE), is(T::Interval(None))], Returns::Is(TYPE), code)])
    };
    vec![
        shift("cairn_timetz_add", |args| moved(args, 1)),
        shift("cairn_timetz_subtract", |args| moved(args, -1)),
        function(
            "cairn_date_at_timetz",
            vec![Overload::new(vec![is(T::Date), is(TYPE)], Returns::Is(T::TimestampTz(None)), |args| {
                let Value::Date(date) = args.values[0] else {
                    return Err(Error::internal("a date expected"));
                };
                let own = time(args, 1)?;
                let start = midnight(date).filter(|start| !is_infinite(*start));
                let at = start.and_then(|start| start.checked_add(own.micros));
                let utc = at.and_then(|at| at.checked_sub(i64::from(own.offset) * 1_000_000));
                utc.map(Value::TimestampTz)
                    .ok_or_else(|| Error::new("22008", "date out of range for timestamp"))
            })],
        ),
    ]
}
