//! Array values in the variable section: `count u32 | null bits | fixed elements`, or for elements of
//! variable length `count u32 | null bits | end u32 each | bytes`. Also single values in fixed width.

use crate::column::ColumnBuilder;
use crate::datatype::DataType;
use crate::decimal::{Decimal, code};
use crate::error::TypeError;
use crate::interval::Interval;
use crate::row::layout::{fixed_width, null_bytes, numeric_width};
use crate::value::Value;

/// Appends a value of fixed width; NULL as zeros.
pub(super) fn put_fixed(value: &Value, ty: &DataType, out: &mut Vec<u8>) -> Result<(), TypeError> {
    match (ty, value) {
        (_, Value::Null) => out.extend(std::iter::repeat_n(0, fixed_width(ty).unwrap_or(0))),
        (DataType::Boolean, Value::Boolean(v)) => out.push(u8::from(*v)),
        (DataType::SmallInt, Value::SmallInt(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (DataType::Integer, Value::Integer(v)) | (DataType::Date, Value::Date(v)) => {
            out.extend_from_slice(&v.to_le_bytes());
        }
        (DataType::BigInt, Value::BigInt(v))
        | (DataType::Time(_), Value::Time(v))
        | (DataType::Timestamp(_), Value::Timestamp(v))
        | (DataType::TimestampTz(_), Value::TimestampTz(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (DataType::Real, Value::Real(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (DataType::Double, Value::Double(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (DataType::Numeric(Some((precision, scale))), Value::Numeric(v)) => {
            let unscaled = v.fit(*precision, *scale)?.narrow().ok_or_else(|| mismatch(ty, value))?;
            out.extend_from_slice(&unscaled.to_le_bytes()[..numeric_width(*precision)]);
        }
        (DataType::Interval(_), Value::Interval(v)) => out.extend_from_slice(&interval_bytes(*v)),
        (DataType::Uuid, Value::Uuid(v)) => out.extend_from_slice(v),
        (DataType::SmallInt | DataType::Integer | DataType::BigInt, v) if v.as_i64().is_some() => {
            return put_fixed(&v.clone().fit(ty)?, ty, out);
        }
        (ty, value) => return Err(mismatch(ty, value)),
    }
    Ok(())
}

pub(super) fn interval_bytes(v: Interval) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&v.months.to_le_bytes());
    bytes[4..8].copy_from_slice(&v.days.to_le_bytes());
    bytes[8..].copy_from_slice(&v.nanos.to_le_bytes());
    bytes
}

/// Appends a value of variable length; nothing for NULL.
pub(super) fn put_variable(value: &Value, ty: &DataType, out: &mut Vec<u8>) -> Result<(), TypeError> {
    match (ty, value) {
        (_, Value::Null) => {}
        (DataType::Bytea, Value::Bytea(bytes)) => out.extend_from_slice(bytes),
        (DataType::Array(element), Value::Array(values)) => put_list(values, element, out)?,
        (DataType::Coded(own), Value::Coded { ty, code }) if own.is_kind_of(ty) => {
            out.extend_from_slice(code)
        }
        (DataType::Numeric(None), Value::Numeric(v)) => code::put_row(v.fit_wide()?, out),
        (DataType::Numeric(None), v) if v.as_i64().is_some() => {
            code::put_row(Decimal::from(v.as_i64().unwrap_or_default()), out);
        }
        (DataType::Bytea | DataType::Array(_) | DataType::Coded(_) | DataType::Numeric(None), value) => {
            return Err(mismatch(ty, value));
        }
        (_, Value::Text(text) | Value::Json(text) | Value::Jsonb(text)) => {
            out.extend_from_slice(text.as_bytes())
        }
        (ty, value) => return Err(mismatch(ty, value)),
    }
    Ok(())
}

fn put_list(values: &[Value], element: &DataType, out: &mut Vec<u8>) -> Result<(), TypeError> {
    let too_long = || TypeError::Unsupported { what: "an array of more than 4 GiB".to_owned() };
    let count = u32::try_from(values.len()).map_err(|_| too_long())?;
    out.extend_from_slice(&count.to_le_bytes());
    let nulls = out.len();
    out.resize(nulls + null_bytes(values.len()), 0);
    for (i, _) in values.iter().enumerate().filter(|(_, value)| value.is_null()) {
        out[nulls + i / 8] |= 1 << (i % 8);
    }
    if fixed_width(element).is_some() {
        return values.iter().try_for_each(|value| put_fixed(value, element, out));
    }
    let ends = out.len();
    let data = ends + 4 * values.len();
    out.resize(data, 0);
    for (i, value) in values.iter().enumerate() {
        put_variable(value, element, out)?;
        let end = u32::try_from(out.len() - data).map_err(|_| too_long())?;
        out[ends + 4 * i..ends + 4 * i + 4].copy_from_slice(&end.to_le_bytes());
    }
    Ok(())
}

fn mismatch(ty: &DataType, value: &Value) -> TypeError {
    let found = value.data_type().map_or_else(|| "unknown".to_owned(), |own| own.sql_name());
    TypeError::Mismatch { expected: ty.sql_name(), found }
}

fn short() -> TypeError {
    TypeError::corrupt("row", 0, "value cut short")
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], TypeError> {
    bytes.first_chunk::<N>().copied().ok_or_else(short)
}

fn boolean(byte: u8) -> Result<bool, TypeError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(TypeError::corrupt("row", 0, format!("boolean {other}"))),
    }
}

/// The value that stands in `bytes`, of the width of `ty`.
pub(super) fn value_of_fixed(ty: &DataType, bytes: &[u8]) -> Result<Value, TypeError> {
    Ok(match ty {
        DataType::Boolean => Value::Boolean(boolean(array::<1>(bytes)?[0])?),
        DataType::SmallInt => Value::SmallInt(i16::from_le_bytes(array(bytes)?)),
        DataType::Integer => Value::Integer(i32::from_le_bytes(array(bytes)?)),
        DataType::Date => Value::Date(i32::from_le_bytes(array(bytes)?)),
        DataType::BigInt => Value::BigInt(i64::from_le_bytes(array(bytes)?)),
        DataType::Time(_) => Value::Time(i64::from_le_bytes(array(bytes)?)),
        DataType::Timestamp(_) => Value::Timestamp(i64::from_le_bytes(array(bytes)?)),
        DataType::TimestampTz(_) => Value::TimestampTz(i64::from_le_bytes(array(bytes)?)),
        DataType::Real => Value::Real(f32::from_le_bytes(array(bytes)?)),
        DataType::Double => Value::Double(f64::from_le_bytes(array(bytes)?)),
        DataType::Numeric(Some((precision, scale))) => {
            Value::Numeric(Decimal::new(unscaled(*precision, bytes)?, *scale))
        }
        DataType::Interval(_) => {
            let bytes: [u8; 16] = array(bytes)?;
            Value::Interval(Interval {
                months: i32::from_le_bytes(array(&bytes)?),
                days: i32::from_le_bytes(array(&bytes[4..])?),
                nanos: i64::from_le_bytes(array(&bytes[8..])?),
            })
        }
        DataType::Uuid => Value::Uuid(array(bytes)?),
        _ => return Err(short()),
    })
}

/// The digits of a number, checked against its precision's bound.
#[inline]
pub(super) fn unscaled(precision: u8, bytes: &[u8]) -> Result<i128, TypeError> {
    Ok(if numeric_width(precision) == 8 {
        i128::from(i64::from_le_bytes(array(bytes)?))
    } else {
        i128::from_le_bytes(array(bytes)?)
    })
}

/// The value of variable length that `bytes` are.
pub(super) fn value_of_variable(ty: &DataType, bytes: &[u8]) -> Result<Value, TypeError> {
    let text = || std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| TypeError::InvalidUtf8);
    Ok(match ty {
        DataType::Numeric(None) => Value::Numeric(code::of_row(bytes)?),
        DataType::Bytea => Value::Bytea(bytes.to_vec()),
        DataType::Json => Value::Json(text()?),
        DataType::Jsonb => Value::Jsonb(text()?),
        DataType::Coded(ty) => Value::Coded { ty: ty.clone(), code: bytes.to_vec() },
        DataType::Array(element) => {
            let list = List::split(element, bytes)?;
            let values = (0..list.count).map(|i| match list.element(i)? {
                None => Ok(Value::Null),
                Some(bytes) if list.width.is_some() => value_of_fixed(element, bytes),
                Some(bytes) => value_of_variable(element, bytes),
            });
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        _ => Value::Text(text()?),
    })
}

/// Appends a value of fixed width to its column.
pub(super) fn push_fixed(column: &mut ColumnBuilder, bytes: &[u8]) -> Result<(), TypeError> {
    match column {
        ColumnBuilder::Boolean(b) => b.append_value(boolean(array::<1>(bytes)?[0])?),
        ColumnBuilder::SmallInt(b) => b.append_value(i16::from_le_bytes(array(bytes)?)),
        ColumnBuilder::Integer(b) => b.append_value(i32::from_le_bytes(array(bytes)?)),
        ColumnBuilder::Date(b) => b.append_value(i32::from_le_bytes(array(bytes)?)),
        ColumnBuilder::BigInt(b) => b.append_value(i64::from_le_bytes(array(bytes)?)),
        ColumnBuilder::Time(b) => b.append_value(i64::from_le_bytes(array(bytes)?)),
        ColumnBuilder::Timestamp(b) => b.append_value(i64::from_le_bytes(array(bytes)?)),
        ColumnBuilder::Real(b) => b.append_value(f32::from_le_bytes(array(bytes)?)),
        ColumnBuilder::Double(b) => b.append_value(f64::from_le_bytes(array(bytes)?)),
        ColumnBuilder::Numeric(b, precision, _) => b.append_value(unscaled(*precision, bytes)?),
        ColumnBuilder::Interval(b) => {
            let Value::Interval(v) = value_of_fixed(&DataType::Interval(None), bytes)? else {
                return Err(short());
            };
            b.append_value(arrow_buffer::IntervalMonthDayNano::new(v.months, v.days, v.nanos));
        }
        ColumnBuilder::Uuid(b) => b.append_value(array::<16>(bytes)?).map_err(|_| short())?,
        ColumnBuilder::Bytes(_)
        | ColumnBuilder::Array(_)
        | ColumnBuilder::Coded(_)
        | ColumnBuilder::Wide(_) => {
            return Err(short());
        }
    }
    Ok(())
}

/// Appends a value of variable length to its column.
pub(super) fn push_variable(
    column: &mut ColumnBuilder,
    ty: &DataType,
    bytes: &[u8],
) -> Result<(), TypeError> {
    match (column, ty) {
        (ColumnBuilder::Bytes(b), _) => b.push(bytes),
        (ColumnBuilder::Coded(column), _) => column.push(bytes),
        (ColumnBuilder::Wide(b), _) => {
            b.append_value(code::of_row(bytes)?.to_wide()?);
            Ok(())
        }
        (ColumnBuilder::Array(list), DataType::Array(element)) => {
            let parts = List::split(element, bytes)?;
            for i in 0..parts.count {
                match parts.element(i)? {
                    None => list.element.push_null(),
                    Some(bytes) if parts.width.is_some() => push_fixed(&mut list.element, bytes)?,
                    Some(bytes) => push_variable(&mut list.element, element, bytes)?,
                }
            }
            list.close(true)
        }
        _ => Err(short()),
    }
}

/// An encoded array cut into its parts; the count is checked against the bytes there are.
struct List<'a> {
    count: usize,
    width: Option<usize>,
    nulls: &'a [u8],
    slots: &'a [u8],
    data: &'a [u8],
}

impl<'a> List<'a> {
    fn split(element: &DataType, bytes: &'a [u8]) -> Result<Self, TypeError> {
        let (head, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
        let count = u32::from_le_bytes(*head) as usize;
        let width = fixed_width(element);
        let (nulls, rest) = rest.split_at_checked(null_bytes(count)).ok_or_else(short)?;
        let slot_bytes = count.checked_mul(width.unwrap_or(4)).ok_or_else(short)?;
        let (slots, data) = rest.split_at_checked(slot_bytes).ok_or_else(short)?;
        Ok(Self { count, width, nulls, slots, data })
    }

    fn end(&self, i: usize) -> usize {
        let slot = &self.slots[4 * i..4 * i + 4];
        u32::from_le_bytes([slot[0], slot[1], slot[2], slot[3]]) as usize
    }

    fn element(&self, i: usize) -> Result<Option<&'a [u8]>, TypeError> {
        if self.nulls[i / 8] & (1 << (i % 8)) != 0 {
            return Ok(None);
        }
        if let Some(width) = self.width {
            return Ok(Some(&self.slots[i * width..(i + 1) * width]));
        }
        let start = if i == 0 { 0 } else { self.end(i - 1) };
        self.data.get(start..self.end(i)).map(Some).ok_or_else(short)
    }
}
