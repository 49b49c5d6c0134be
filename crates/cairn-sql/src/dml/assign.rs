//! Assignment: a value of one type into a column of another, as PostgreSQL's assignment casts do it.
//!
//! I1. What PostgreSQL refuses without an explicit cast (text into an integer column) is refused here with `42804`;
//!     literals and parameters, whose type is not known yet, are read as the column's type instead.
//! I2. Nothing is cut or rounded silently but what PostgreSQL cuts or rounds: digits beyond a scale, blanks beyond
//!     VARCHAR(n).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::DataType as ArrowType;
use cairn_types::datetime::{Zone, date_of, is_infinite, midnight, parse_timestamptz};
use cairn_types::{Coded, ColumnBuilder, DataType, Decimal, Interval, TypeError, Value};

use crate::{Error, Result};

const DAY_MICROS: i64 = 86_400_000_000;

/// A column's values converted to the column's type. `unknown` says that they come from literals or parameters.
///
/// # Errors
/// `42804` where there is no assignment cast, `22xxx` where a value does not fit.
pub(crate) fn assign_array(
    array: &ArrayRef,
    from: &DataType,
    to: &DataType,
    column: &str,
    unknown: bool,
    zone: Zone,
) -> Result<ArrayRef> {
    let want = to.to_arrow();
    if *array.data_type() == ArrowType::Null {
        return Ok(new_null_array(&want, array.len()));
    }
    let same = from == to
        || matches!(
            (from, to),
            (DataType::Varchar(_) | DataType::Text, DataType::Text | DataType::Varchar(None))
        );
    if same && *array.data_type() == want {
        return Ok(Arc::clone(array));
    }
    if !unknown && !is_assignable(from, to) {
        return Err(mismatch(column, to, from));
    }
    if array.null_count() == array.len() {
        return Ok(new_null_array(&want, array.len()));
    }
    let mut builder = ColumnBuilder::with_capacity(to, array.len());
    for row in 0..array.len() {
        let value = match (Value::from_array(array, row, from), from, to) {
            // The blanks that fill up CHAR(n) are not part of the text.
            (Value::Text(text), DataType::Char(_), DataType::Text | DataType::Varchar(_)) => {
                Value::Text(text.trim_end_matches(' ').to_owned())
            }
            (value, ..) => value,
        };
        builder.push(&convert(value, to, column, unknown, zone)?)?;
    }
    Ok(builder.finish()?)
}

/// A value converted to the type of a column.
///
/// # Errors
/// As [`assign_array`].
pub(crate) fn assign_value(
    value: Value,
    to: &DataType,
    column: &str,
    unknown: bool,
    zone: Zone,
) -> Result<Value> {
    if let Some(from) = value.data_type()
        && !unknown
        && !is_assignable(&from, to)
    {
        return Err(mismatch(column, to, &from));
    }
    convert(value, to, column, unknown, zone)
}

fn mismatch(column: &str, to: &DataType, from: &DataType) -> Error {
    if let (DataType::Coded(Coded::Composite(_)), DataType::Coded(Coded::Composite(_))) = (from, to) {
        return crate::functions::cast::not_allowed(from, to);
    }
    let (to, from) = (to.sql_name(), from.sql_name());
    Error::new("42804", format!("column \"{column}\" is of type {to} but expression is of type {from}"))
        .with_hint("You will need to rewrite or cast the expression.")
}

/// Whether an assignment cast exists.
pub(crate) fn is_assignable(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if to.is_character() {
        return true;
    }
    match (from, to) {
        (f, t) if f.is_numeric() && t.is_numeric() => true,
        (T::Date | T::Timestamp(_) | T::TimestampTz(_), T::Date | T::Timestamp(_) | T::TimestampTz(_)) => {
            true
        }
        (T::Timestamp(_) | T::TimestampTz(_) | T::Interval(_), T::Time(_)) | (T::Time(_), T::Interval(_)) => {
            true
        }
        (T::Coded(Coded::TimeTz(_)), T::Time(_)) => true,
        (T::Time(_) | T::TimestampTz(_), T::Coded(Coded::TimeTz(_))) => true,
        (T::Json | T::Jsonb, T::Json | T::Jsonb) => true,
        // Types that functions hand over as text.
        (T::Text | T::Varchar(_), T::Json | T::Jsonb | T::Uuid | T::Interval(_) | T::Bytea) => true,
        (T::Text | T::Varchar(_), T::Array(_)) => true,
        (T::Array(f), T::Array(t)) => is_assignable(f, t),
        (T::Coded(f), T::Coded(t)) => crate::functions::cast::castable(f, t),
        (f, t) => f.base_name() == t.base_name(),
    }
}

/// PostgreSQL's words for a number that does not fit.
fn out_of_range(to: &DataType) -> Error {
    TypeError::TypeRange { type_name: to.base_name().to_owned() }.into()
}

fn integer(n: i64, to: &DataType) -> Result<Value> {
    match to {
        DataType::SmallInt => i16::try_from(n).map(Value::SmallInt).map_err(|_| out_of_range(to)),
        DataType::Integer => i32::try_from(n).map(Value::Integer).map_err(|_| out_of_range(to)),
        _ => Ok(Value::BigInt(n)),
    }
}

fn float_to_integer(x: f64, to: &DataType) -> Result<Value> {
    let rounded = x.round_ties_even();
    // 2^63 itself is a double and no i64.
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        return Err(out_of_range(to));
    }
    integer(rounded as i64, to)
}

fn decimal_to_integer(n: Decimal, to: &DataType) -> Result<Value> {
    if !n.is_finite() {
        return Err(crate::functions::cast::no_integer(n, to));
    }
    integer(n.to_i64().ok_or_else(|| out_of_range(to))?, to)
}

fn convert(value: Value, to: &DataType, column: &str, unknown: bool, zone: Zone) -> Result<Value> {
    use DataType as T;
    use Value as V;
    let is_int = matches!(to, T::SmallInt | T::Integer | T::BigInt);
    let column_type = to;
    Ok(match (value, to) {
        (V::Null, _) => V::Null,
        (V::SmallInt(n), _) if is_int => integer(i64::from(n), to)?,
        (V::Integer(n), _) if is_int => integer(i64::from(n), to)?,
        (V::BigInt(n), _) if is_int => integer(n, to)?,
        (V::Real(x), _) if is_int => float_to_integer(f64::from(x), to)?,
        (V::Double(x), _) if is_int => float_to_integer(x, to)?,
        (V::Numeric(n), _) if is_int => decimal_to_integer(n, to)?,
        (v @ (V::Real(_) | V::Double(_)), T::Numeric(_)) => crate::functions::cast::float_to_numeric(&v, to)?,
        (V::Text(t), T::Json | T::Jsonb | T::Uuid | T::Interval(_) | T::Bytea | T::Array(_)) => {
            V::parse_text(&t, to)?
        }
        (V::Json(t) | V::Jsonb(t), T::Json | T::Jsonb) => V::parse_text(&t, to)?,
        (V::Text(t), T::TimestampTz(_)) if unknown => V::TimestampTz(parse_timestamptz(&t, zone)?).fit(to)?,
        (V::Text(t), T::Coded(Coded::TimeTz(_))) if unknown => {
            crate::functions::cast::convert(V::Text(t), &T::Text, to, zone)?.fit(to)?
        }
        (V::Text(t), _) if unknown && !to.is_character() => V::parse_text(&t, to)?,
        (V::Text(t), _) => V::Text(t).fit(to)?,
        (v, _) if to.is_character() => {
            let text = match &v {
                V::Boolean(b) => b.to_string(),
                other => {
                    let mut text = String::new();
                    other.write_text_in(&other.data_type().unwrap_or(T::Text), zone, &mut text);
                    text
                }
            };
            V::Text(text).fit(to)?
        }
        (V::Date(d), T::Timestamp(_)) => V::Timestamp(days(d, to)?),
        (V::Date(d), T::TimestampTz(_)) => V::TimestampTz(instant(days(d, to)?, to, zone)?),
        (V::TimestampTz(t), T::Timestamp(_) | T::Date | T::Time(_)) => {
            convert(V::Timestamp(zone.local(t)), to, column, unknown, zone)?
        }
        (V::Timestamp(t), T::Date) => V::Date(date_of(t)),
        (V::Timestamp(t), T::TimestampTz(_)) => V::TimestampTz(instant(t, to, zone)?).fit(to)?,
        (V::Timestamp(t), T::Time(_)) if is_infinite(t) => V::Null,
        (V::Timestamp(t), T::Time(_)) => V::Time(t.rem_euclid(DAY_MICROS)).fit(to)?,
        (V::Time(t), T::Interval(_)) => {
            V::Interval(Interval { months: 0, days: 0, nanos: t * 1000 }).fit(to)?
        }
        (V::Interval(i), T::Time(_)) => V::Time((i.nanos / 1000).rem_euclid(DAY_MICROS)).fit(to)?,
        (v, T::Coded(Coded::TimeTz(_)) | T::Time(_)) if crate::functions::zoned_time::converts(&v, to) => {
            let from = v.data_type().unwrap_or(T::Text);
            crate::functions::cast::convert(v, &from, to, zone)?.fit(to)?
        }
        (V::Coded { ty, code }, T::Coded(to)) if !ty.is_kind_of(to) => {
            // Bit strings keep their length, which the column's must be; addresses become networks.
            let to = to.without_length();
            let from = T::Coded(ty.clone());
            crate::functions::cast::convert(V::Coded { ty, code }, &from, &T::Coded(to), zone)?
                .fit(column_type)?
        }
        (V::Array(items), T::Array(element)) => V::Array(
            items
                .into_iter()
                .map(|item| convert(item, element, column, unknown, zone))
                .collect::<Result<_>>()?,
        ),
        (v, _) => {
            let from = v.data_type();
            v.fit(to).map_err(|e| match (&e, from) {
                (TypeError::Mismatch { .. }, Some(from)) => mismatch(column, to, &from),
                _ => e.into(),
            })?
        }
    })
}

/// The instant at which the session's clock shows a local time.
fn instant(local_micros: i64, to: &DataType, zone: Zone) -> Result<i64> {
    zone.to_utc(local_micros).ok_or_else(|| out_of_range(to))
}

fn days(days: i32, to: &DataType) -> Result<i64> {
    midnight(days).ok_or_else(|| out_of_range(to))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn state(value: Value, to: DataType) -> std::result::Result<Value, &'static str> {
        assign_value(value, &to, "c", false, Zone::UTC).map_err(|e| e.sqlstate())
    }

    #[test]
    fn assignment_follows_postgresql() {
        assert_eq!(state(Value::BigInt(40000), DataType::SmallInt).unwrap_err(), "22003");
        assert_eq!(state(Value::Double(2.5), DataType::Integer).unwrap(), Value::Integer(2));
        let numeric = Value::Numeric(Decimal::parse("2.5").unwrap());
        assert_eq!(state(numeric, DataType::Integer).unwrap(), Value::Integer(3));
        assert_eq!(state(Value::Text("abc".into()), DataType::Varchar(Some(2))).unwrap_err(), "22001");
        assert_eq!(state(Value::Text("1".into()), DataType::Integer).unwrap_err(), "42804");
        assert_eq!(state(Value::Boolean(true), DataType::Integer).unwrap_err(), "42804");
        assert_eq!(state(Value::Integer(7), DataType::Text).unwrap(), Value::Text("7".into()));
        assert_eq!(state(Value::Timestamp(-1), DataType::Date).unwrap(), Value::Date(-1));
        let unknown = assign_value(Value::Text("12".into()), &DataType::Integer, "c", true, Zone::UTC);
        assert_eq!(unknown.unwrap(), Value::Integer(12));
    }
}
