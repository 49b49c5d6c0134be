//! Key code: values as bytes whose byte order is the values' order, each value delimiting itself, so that the
//! codes of several columns can stand one after the other. Byte table: `docs/format/key.md`.
//!
//! I1. For values a, b of one type and one [`KeyOrder`]: `memcmp(code(a), code(b))` is a's order to b as
//! [`Value::compare_as`] gives it, turned round where descending; NULL stands where the order says.
//! I2. No code is a prefix of another code of the same type and order.
//! I3. Decoding is total: bytes that no encoder wrote give [`TypeError::Corrupt`].

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types as at;
use arrow_schema::DataType as ArrowType;

use crate::datatype::DataType;
use crate::decimal::{Decimal, code};
use crate::error::TypeError;
use crate::interval::Interval;
use crate::value::{Value, pad_blanks};

const NULL_FIRST: u8 = 0x00;
const PRESENT: u8 = 0x80;
const NULL_LAST: u8 = 0xFF;
/// Ends a text or byte string; a zero byte inside is `ZERO ESCAPED`.
const ZERO: u8 = 0x00;
const END: u8 = 0x01;
const ESCAPED: u8 = 0xFF;
/// Ends an array; below every element's first byte.
const ARRAY_END: u8 = 0x00;

/// How one column of a key is ordered. The default is ascending with NULLs last, as in SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct KeyOrder {
    /// From the greatest value to the least.
    pub descending: bool,
    /// NULL before every value, whichever the direction.
    pub nulls_first: bool,
}

impl KeyOrder {
    /// Ascending, NULLs last.
    pub const ASCENDING: Self = Self { descending: false, nulls_first: false };
    /// Descending, NULLs first: what `DESC` alone means.
    pub const DESCENDING: Self = Self { descending: true, nulls_first: true };

    fn null_tag(self) -> u8 {
        if self.nulls_first { NULL_FIRST } else { NULL_LAST }
    }

    fn mask(self) -> u8 {
        if self.descending { 0xFF } else { 0 }
    }
}

/// Appends the code of `value`, a value of type `ty`.
///
/// # Errors
/// [`TypeError::NotIndexable`] for JSON, [`TypeError::Mismatch`] for a value of another type,
/// [`TypeError::Inexact`] for a number that the type's scale cannot hold and [`TypeError::TypeRange`] for an
/// integer beyond the type (a caller that builds a bound of a range must then compare otherwise). `out` is then
/// as before.
pub fn encode_value(
    value: &Value,
    ty: &DataType,
    order: KeyOrder,
    out: &mut Vec<u8>,
) -> Result<(), TypeError> {
    if value.is_null() {
        return encode_null(ty, order, out);
    }
    let start = out.len();
    out.push(PRESENT);
    match put_body(value, ty, out) {
        Ok(()) => {
            invert(&mut out[start + 1..], order);
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

fn encode_null(ty: &DataType, order: KeyOrder, out: &mut Vec<u8>) -> Result<(), TypeError> {
    // Within a composite value every type has a place.
    if !ty.is_indexable() && !matches!(ty, DataType::Coded(_)) {
        return Err(TypeError::NotIndexable { type_name: ty.sql_name() });
    }
    out.push(order.null_tag());
    Ok(())
}

#[inline]
fn invert(bytes: &mut [u8], order: KeyOrder) {
    if order.descending {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Appends the code of the cell `row` of a column that holds `ty` in the Arrow type of [`DataType::to_arrow`];
/// other Arrow types go through a [`Value`].
///
/// # Errors
/// As [`encode_value`].
///
/// # Panics
/// If `row` is not below the array's length.
pub fn encode_cell(
    array: &dyn Array,
    row: usize,
    ty: &DataType,
    order: KeyOrder,
    out: &mut Vec<u8>,
) -> Result<(), TypeError> {
    if array.is_null(row) {
        return encode_null(ty, order, out);
    }
    let start = out.len();
    out.push(PRESENT);
    match (ty, array.data_type()) {
        (DataType::Integer, ArrowType::Int32) => {
            put_i32(array.as_primitive::<at::Int32Type>().value(row), out)
        }
        (DataType::BigInt, ArrowType::Int64) => {
            put_i64(array.as_primitive::<at::Int64Type>().value(row), out)
        }
        (DataType::SmallInt, ArrowType::Int16) => {
            put_i16(array.as_primitive::<at::Int16Type>().value(row), out)
        }
        (DataType::Date, ArrowType::Date32) => {
            put_i32(array.as_primitive::<at::Date32Type>().value(row), out)
        }
        (
            DataType::Timestamp(_) | DataType::TimestampTz(_),
            ArrowType::Timestamp(arrow_schema::TimeUnit::Microsecond, _),
        ) => {
            put_i64(array.as_primitive::<at::TimestampMicrosecondType>().value(row), out);
        }
        (DataType::Text | DataType::Varchar(_), ArrowType::Utf8) => {
            put_bytes(array.as_string::<i32>().value(row).as_bytes(), out);
        }
        (DataType::Bytea, ArrowType::Binary) => put_bytes(array.as_binary::<i32>().value(row), out),
        (DataType::Uuid, ArrowType::FixedSizeBinary(16)) => {
            out.extend_from_slice(array.as_fixed_size_binary().value(row));
        }
        _ => {
            out.truncate(start);
            return encode_value(&Value::from_array(array, row, ty), ty, order, out);
        }
    }
    invert(&mut out[start + 1..], order);
    Ok(())
}

fn put_i16(n: i16, out: &mut Vec<u8>) {
    out.extend_from_slice(&((n as u16) ^ 0x8000).to_be_bytes());
}

fn put_i32(n: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&((n as u32) ^ 0x8000_0000).to_be_bytes());
}

fn put_i64(n: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&((n as u64) ^ (1 << 63)).to_be_bytes());
}

fn put_i128(n: i128, out: &mut Vec<u8>) {
    out.extend_from_slice(&((n as u128) ^ (1 << 127)).to_be_bytes());
}

/// Zero for -0, one bit pattern for every NaN, then sign and magnitude made monotonic.
fn float_bits(x: f64) -> u64 {
    let bits = if x.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { (x + 0.0).to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn float_bits_32(x: f32) -> u32 {
    let bits = if x.is_nan() { f32::NAN.to_bits() & !(1 << 31) } else { (x + 0.0).to_bits() };
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn put_bytes(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let Some(zero) = bytes.iter().position(|byte| *byte == ZERO) {
        out.extend_from_slice(&bytes[..zero]);
        out.extend_from_slice(&[ZERO, ESCAPED]);
        bytes = &bytes[zero + 1..];
    }
    out.extend_from_slice(bytes);
    out.extend_from_slice(&[ZERO, END]);
}

/// The code of a value that is not NULL, ascending, without its tag.
fn put_body(value: &Value, ty: &DataType, out: &mut Vec<u8>) -> Result<(), TypeError> {
    let range = || TypeError::TypeRange { type_name: ty.base_name().to_owned() };
    match (ty, value) {
        (DataType::Boolean, Value::Boolean(v)) => out.push(u8::from(*v)),
        (DataType::SmallInt, v) if v.as_i64().is_some() => {
            put_i16(v.as_i64().and_then(|n| i16::try_from(n).ok()).ok_or_else(range)?, out);
        }
        (DataType::Integer, v) if v.as_i64().is_some() => {
            put_i32(v.as_i64().and_then(|n| i32::try_from(n).ok()).ok_or_else(range)?, out);
        }
        (DataType::BigInt, v) if v.as_i64().is_some() => put_i64(v.as_i64().ok_or_else(range)?, out),
        (DataType::Real, Value::Real(v)) => out.extend_from_slice(&float_bits_32(*v).to_be_bytes()),
        (DataType::Double, v) if v.as_f64().is_some() => {
            out.extend_from_slice(&float_bits(v.as_f64().ok_or_else(range)?).to_be_bytes());
        }
        (DataType::Numeric(parameters), Value::Numeric(v)) => put_numeric(*v, *parameters, ty, out)?,
        (DataType::Numeric(parameters), v) if v.as_i64().is_some() => {
            put_numeric(Decimal::from(v.as_i64().ok_or_else(range)?), *parameters, ty, out)?;
        }
        (DataType::Text | DataType::Varchar(_), Value::Text(v)) => put_bytes(v.as_bytes(), out),
        (DataType::Char(_), Value::Text(v)) => put_bytes(v.trim_end_matches(' ').as_bytes(), out),
        (DataType::Bytea, Value::Bytea(v)) => put_bytes(v, out),
        (DataType::Date, Value::Date(v)) => put_i32(*v, out),
        (DataType::Time(_), Value::Time(v))
        | (DataType::Timestamp(_), Value::Timestamp(v))
        | (DataType::TimestampTz(_), Value::TimestampTz(v)) => put_i64(*v, out),
        (DataType::Interval(_), Value::Interval(v)) => put_i128(v.comparison_nanos(), out),
        (DataType::Uuid, Value::Uuid(v)) => out.extend_from_slice(v),
        (DataType::Array(element), Value::Array(values)) => {
            for value in values {
                encode_value(value, element, KeyOrder::ASCENDING, out)?;
            }
            out.push(ARRAY_END);
        }
        (DataType::Coded(own), Value::Coded { ty, code }) if own.is_kind_of(ty) => put_bytes(code, out),
        (ty, _) if !ty.is_indexable() => return Err(TypeError::NotIndexable { type_name: ty.sql_name() }),
        (ty, value) => {
            let found = value.data_type().map_or_else(|| "unknown".to_owned(), |own| own.sql_name());
            return Err(TypeError::Mismatch { expected: ty.sql_name(), found });
        }
    }
    Ok(())
}

/// All numbers of a column of NUMERIC(p,s) have its scale in their key, so the integers alone decide. Without parameters
/// the key has no scale.
fn put_numeric(
    value: Decimal,
    parameters: Option<(u8, i8)>,
    ty: &DataType,
    out: &mut Vec<u8>,
) -> Result<(), TypeError> {
    let Some((precision, scale)) = parameters else {
        code::put_key(value, out);
        return Ok(());
    };
    let exact = value.rescale_exact(scale).and_then(Decimal::narrow);
    let Some(exact) = exact.filter(|exact| precision > 18 || i64::try_from(*exact).is_ok()) else {
        return Err(TypeError::Inexact { type_name: ty.sql_name(), value: value.to_string() });
    };
    if precision <= 18 {
        put_i64(exact as i64, out);
    } else {
        put_i128(exact, out);
    }
    Ok(())
}

/// Reads the code of one value of type `ty` from the front of `bytes` and moves `bytes` behind it. Of values that
/// compare as equal one form comes back: 0 for -0, one NaN, an interval in days, a NUMERIC without zeros at its end ([`DataType::is_key_exact`]).
///
/// # Errors
/// [`TypeError::Corrupt`] where no encoder wrote these bytes; `bytes` is then anywhere.
pub fn decode_value(bytes: &mut &[u8], ty: &DataType, order: KeyOrder) -> Result<Value, TypeError> {
    let mut reader = Reader { bytes, mask: 0 };
    let tag = reader.byte()?;
    if tag == order.null_tag() {
        *bytes = reader.bytes;
        return Ok(Value::Null);
    }
    if tag != PRESENT {
        return Err(TypeError::corrupt("key", 0, format!("tag {tag:#04x}")));
    }
    reader.mask = order.mask();
    let value = reader.body(ty)?;
    *bytes = reader.bytes;
    Ok(value)
}

/// Moves `bytes` behind the code of one value without decoding it.
///
/// # Errors
/// As [`decode_value`].
pub fn skip_value(bytes: &mut &[u8], ty: &DataType, order: KeyOrder) -> Result<(), TypeError> {
    decode_value(bytes, ty, order).map(drop)
}

/// Reads bytes through the mask of a descending column.
struct Reader<'a> {
    bytes: &'a [u8],
    mask: u8,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, TypeError> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TypeError> {
        let (head, rest) =
            self.bytes.split_first_chunk::<N>().ok_or_else(|| TypeError::corrupt("key", 0, "cut short"))?;
        self.bytes = rest;
        Ok(head.map(|byte| byte ^ self.mask))
    }

    fn i64(&mut self) -> Result<i64, TypeError> {
        Ok((u64::from_be_bytes(self.array()?) ^ (1 << 63)) as i64)
    }

    fn i128(&mut self) -> Result<i128, TypeError> {
        Ok((u128::from_be_bytes(self.array()?) ^ (1 << 127)) as i128)
    }

    fn i32(&mut self) -> Result<i32, TypeError> {
        Ok((u32::from_be_bytes(self.array()?) ^ 0x8000_0000) as i32)
    }

    fn text(&mut self) -> Result<String, TypeError> {
        String::from_utf8(self.escaped()?).map_err(|_| TypeError::InvalidUtf8)
    }

    fn escaped(&mut self) -> Result<Vec<u8>, TypeError> {
        let mut out = Vec::new();
        loop {
            let zero = ZERO ^ self.mask;
            let at = self.bytes.iter().position(|byte| *byte == zero);
            let at = at.ok_or_else(|| TypeError::corrupt("key", 0, "text without an end"))?;
            out.extend(self.bytes[..at].iter().map(|byte| byte ^ self.mask));
            self.bytes = &self.bytes[at + 1..];
            match self.byte()? {
                END => return Ok(out),
                ESCAPED => out.push(ZERO),
                other => return Err(TypeError::corrupt("key", at, format!("escape {other:#04x}"))),
            }
        }
    }

    fn body(&mut self, ty: &DataType) -> Result<Value, TypeError> {
        Ok(match ty {
            DataType::Boolean => match self.byte()? {
                0 => Value::Boolean(false),
                1 => Value::Boolean(true),
                other => return Err(TypeError::corrupt("key", 1, format!("boolean {other}"))),
            },
            DataType::SmallInt => Value::SmallInt((u16::from_be_bytes(self.array()?) ^ 0x8000) as i16),
            DataType::Integer => Value::Integer(self.i32()?),
            DataType::BigInt => Value::BigInt(self.i64()?),
            DataType::Real => {
                let bits = u32::from_be_bytes(self.array()?);
                let x = f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits });
                if float_bits_32(x) != bits {
                    return Err(TypeError::corrupt("key", 1, "a form of 0 or NaN that no key has"));
                }
                Value::Real(x)
            }
            DataType::Double => {
                let bits = u64::from_be_bytes(self.array()?);
                let x = f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits });
                if float_bits(x) != bits {
                    return Err(TypeError::corrupt("key", 1, "a form of 0 or NaN that no key has"));
                }
                Value::Double(x)
            }
            DataType::Numeric(None) => Value::Numeric(code::of_key(|| self.byte())?),
            DataType::Numeric(Some((precision, scale))) => {
                let unscaled = if *precision <= 18 { i128::from(self.i64()?) } else { self.i128()? };
                Value::Numeric(Decimal::new(unscaled, *scale))
            }
            DataType::Text | DataType::Varchar(_) => Value::Text(self.text()?),
            DataType::Char(n) => {
                let mut text = self.text()?;
                pad_blanks(&mut text, *n as usize);
                Value::Text(text)
            }
            DataType::Bytea => Value::Bytea(self.escaped()?),
            DataType::Coded(ty) => Value::Coded { ty: ty.clone(), code: self.escaped()? },
            DataType::Date => Value::Date(self.i32()?),
            DataType::Time(_) => Value::Time(self.i64()?),
            DataType::Timestamp(_) => Value::Timestamp(self.i64()?),
            DataType::TimestampTz(_) => Value::TimestampTz(self.i64()?),
            DataType::Interval(_) => Value::Interval(
                Interval::from_comparison_nanos(self.i128()?)
                    .ok_or_else(|| TypeError::corrupt("key", 1, "interval out of range"))?,
            ),
            DataType::Uuid => Value::Uuid(self.array()?),
            DataType::Array(element) => {
                let mut values = Vec::new();
                loop {
                    let tag = self.byte()?;
                    match tag {
                        ARRAY_END => return Ok(Value::Array(values)),
                        NULL_LAST => values.push(Value::Null),
                        PRESENT => values.push(self.body(element)?),
                        other => {
                            return Err(TypeError::corrupt("key", 0, format!("element tag {other:#04x}")));
                        }
                    }
                }
            }
            DataType::Json | DataType::Jsonb => {
                return Err(TypeError::NotIndexable { type_name: ty.sql_name() });
            }
        })
    }
}
