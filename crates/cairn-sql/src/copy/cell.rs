//! Cells of text into typed Arrow arrays.
//!
//! A [`ColumnSink`] parses the usual spelling of each type straight from bytes; whatever it does not know at once
//! goes to [`Value::parse_text`], which has PostgreSQL's whole syntax and words its errors. So the quick paths are
//! only quick: they never accept what the slow one refuses, nor read it otherwise.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use cairn_types::datetime::{Zone, parse_timestamptz, round_moment};
use cairn_types::{DataType, TypeError, Value};

/// Builds one column of a batch from text.
pub(super) struct ColumnSink {
    ty: DataType,
    zone: Zone,
    values: Values,
    valid: Vec<bool>,
    nulls: usize,
}

enum Values {
    Boolean(Vec<bool>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Date(Vec<i32>),
    Time(Vec<i64>),
    Timestamp(Vec<i64>),
    Uuid(Vec<u8>),
    /// Text; `max` bytes go in unchecked, longer ones are counted in characters.
    Text {
        offsets: Vec<i32>,
        bytes: Vec<u8>,
        max: usize,
    },
    Binary {
        offsets: Vec<i32>,
        bytes: Vec<u8>,
    },
    General(Vec<Value>),
}

impl ColumnSink {
    /// For a column of type `ty`.
    pub(super) fn new(ty: &DataType, rows: usize) -> ColumnSink {
        let offsets = || {
            let mut offsets = Vec::with_capacity(rows + 1);
            offsets.push(0);
            offsets
        };
        let values = match ty {
            DataType::Boolean => Values::Boolean(Vec::with_capacity(rows)),
            DataType::SmallInt => Values::Int16(Vec::with_capacity(rows)),
            DataType::Integer => Values::Int32(Vec::with_capacity(rows)),
            DataType::BigInt => Values::Int64(Vec::with_capacity(rows)),
            DataType::Real => Values::Float32(Vec::with_capacity(rows)),
            DataType::Double => Values::Float64(Vec::with_capacity(rows)),
            DataType::Date => Values::Date(Vec::with_capacity(rows)),
            DataType::Time(_) => Values::Time(Vec::with_capacity(rows)),
            DataType::Timestamp(_) | DataType::TimestampTz(_) => Values::Timestamp(Vec::with_capacity(rows)),
            DataType::Uuid => Values::Uuid(Vec::with_capacity(rows * 16)),
            DataType::Text | DataType::Varchar(None) => {
                Values::Text { offsets: offsets(), bytes: Vec::new(), max: usize::MAX }
            }
            DataType::Varchar(Some(n)) => {
                Values::Text { offsets: offsets(), bytes: Vec::new(), max: *n as usize }
            }
            DataType::Bytea => Values::Binary { offsets: offsets(), bytes: Vec::new() },
            _ => Values::General(Vec::with_capacity(rows)),
        };
        ColumnSink { ty: ty.clone(), zone: Zone::UTC, values, valid: Vec::with_capacity(rows), nulls: 0 }
    }

    /// Local time for TIMESTAMPTZ is that of `zone`.
    pub(super) fn in_zone(mut self, zone: Zone) -> ColumnSink {
        self.zone = zone;
        self
    }

    /// Bytes held for variable-length values; a batch is cut before offsets overflow.
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.values {
            Values::Text { bytes, .. } | Values::Binary { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// Adds NULL.
    pub(super) fn push_null(&mut self) {
        self.valid.push(false);
        self.nulls += 1;
        match &mut self.values {
            Values::Boolean(v) => v.push(false),
            Values::Int16(v) => v.push(0),
            Values::Int32(v) | Values::Date(v) => v.push(0),
            Values::Int64(v) | Values::Time(v) | Values::Timestamp(v) => v.push(0),
            Values::Float32(v) => v.push(0.0),
            Values::Float64(v) => v.push(0.0),
            Values::Uuid(v) => v.extend_from_slice(&[0; 16]),
            Values::Text { offsets, bytes, .. } | Values::Binary { offsets, bytes } => {
                offsets.push(bytes.len() as i32)
            }
            Values::General(v) => v.push(Value::Null),
        }
    }

    /// Adds the value that `cell` spells.
    ///
    /// # Errors
    /// As [`Value::parse_text`]; nothing was added.
    #[inline]
    pub(super) fn push(&mut self, cell: &[u8]) -> Result<(), TypeError> {
        let quick = match &mut self.values {
            Values::Int16(v) => integer(cell).and_then(|n| i16::try_from(n).ok()).map(|n| v.push(n)),
            Values::Int32(v) => integer(cell).and_then(|n| i32::try_from(n).ok()).map(|n| v.push(n)),
            Values::Int64(v) => integer(cell).map(|n| v.push(n)),
            Values::Float32(v) => float(cell).and_then(|_| ascii(cell)?.parse().ok()).map(|f| v.push(f)),
            Values::Float64(v) => float(cell).map(|f| v.push(f)),
            Values::Text { offsets, bytes, max } if cell.len() <= *max => {
                bytes.extend_from_slice(cell);
                offsets.push(bytes.len() as i32);
                Some(())
            }
            Values::Boolean(v) => match cell {
                b"t" | b"true" | b"TRUE" | b"True" => Some(true),
                b"f" | b"false" | b"FALSE" | b"False" => Some(false),
                _ => None,
            }
            .map(|b| v.push(b)),
            Values::Date(v) => date(cell).map(|d| v.push(d)),
            Values::Timestamp(_) if matches!(self.ty, DataType::TimestampTz(_)) && self.zone != Zone::UTC => {
                None
            }
            Values::Timestamp(v) => {
                let (instant, digits) = match self.ty {
                    DataType::TimestampTz(digits) => (true, digits),
                    DataType::Timestamp(digits) => (false, digits),
                    _ => (false, None),
                };
                timestamp(cell, instant).map(|t| v.push(round_moment(t, digits)))
            }
            _ => None,
        };
        match quick {
            Some(()) => {
                self.valid.push(true);
                Ok(())
            }
            None => self.push_slow(cell),
        }
    }

    #[cold]
    fn push_slow(&mut self, cell: &[u8]) -> Result<(), TypeError> {
        let text = std::str::from_utf8(cell).map_err(|_| TypeError::InvalidUtf8)?;
        let value = match self.ty {
            DataType::TimestampTz(_) => {
                Value::TimestampTz(parse_timestamptz(text, self.zone)?).fit(&self.ty)?
            }
            _ => Value::parse_text(text, &self.ty)?,
        };
        self.push_value(value)
    }

    /// Adds a value that is of the column's type already.
    pub(super) fn push_value(&mut self, value: Value) -> Result<(), TypeError> {
        match (&mut self.values, value) {
            (_, Value::Null) => {
                self.push_null();
                return Ok(());
            }
            (Values::Boolean(v), Value::Boolean(b)) => v.push(b),
            (Values::Int16(v), Value::SmallInt(n)) => v.push(n),
            (Values::Int32(v), Value::Integer(n)) => v.push(n),
            (Values::Int64(v), Value::BigInt(n)) => v.push(n),
            (Values::Float32(v), Value::Real(n)) => v.push(n),
            (Values::Float64(v), Value::Double(n)) => v.push(n),
            (Values::Date(v), Value::Date(n)) => v.push(n),
            (Values::Time(v), Value::Time(n)) => v.push(n),
            (Values::Timestamp(v), Value::Timestamp(n) | Value::TimestampTz(n)) => v.push(n),
            (Values::Uuid(v), Value::Uuid(u)) => v.extend_from_slice(&u),
            (Values::Text { offsets, bytes, .. }, Value::Text(t)) => {
                bytes.extend_from_slice(t.as_bytes());
                offsets.push(bytes.len() as i32);
            }
            (Values::Binary { offsets, bytes }, Value::Bytea(b)) => {
                bytes.extend_from_slice(&b);
                offsets.push(bytes.len() as i32);
            }
            (Values::General(v), value) => v.push(value),
            (_, value) => {
                let found = format!("{value:?}");
                return Err(TypeError::Mismatch { expected: self.ty.sql_name(), found });
            }
        }
        self.valid.push(true);
        Ok(())
    }

    /// The array of all rows; the sink is empty after it.
    ///
    /// # Errors
    /// `22021` where text is not UTF-8; the row is found with [`ColumnSink::first_invalid_utf8`] before.
    pub(super) fn finish(self) -> Result<ArrayRef, TypeError> {
        let nulls = (self.nulls > 0).then(|| NullBuffer::from(self.valid));
        Ok(match self.values {
            Values::Boolean(v) => Arc::new(BooleanArray::new(BooleanBuffer::from(v), nulls)),
            Values::Int16(v) => Arc::new(Int16Array::new(v.into(), nulls)),
            Values::Int32(v) => Arc::new(Int32Array::new(v.into(), nulls)),
            Values::Int64(v) => Arc::new(Int64Array::new(v.into(), nulls)),
            Values::Float32(v) => Arc::new(Float32Array::new(v.into(), nulls)),
            Values::Float64(v) => Arc::new(Float64Array::new(v.into(), nulls)),
            Values::Date(v) => Arc::new(Date32Array::new(v.into(), nulls)),
            Values::Time(v) => Arc::new(Time64MicrosecondArray::new(v.into(), nulls)),
            Values::Timestamp(v) => {
                let array = TimestampMicrosecondArray::new(v.into(), nulls);
                match self.ty {
                    DataType::TimestampTz(_) => Arc::new(array.with_timezone("UTC")),
                    _ => Arc::new(array),
                }
            }
            Values::Uuid(v) => Arc::new(
                FixedSizeBinaryArray::try_new(16, Buffer::from_vec(v), nulls)
                    .map_err(|_| TypeError::InvalidUtf8)?,
            ),
            Values::Text { offsets, bytes, .. } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(
                    StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls)
                        .map_err(|_| TypeError::InvalidUtf8)?,
                )
            }
            Values::Binary { offsets, bytes } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(
                    BinaryArray::try_new(offsets, Buffer::from_vec(bytes), nulls)
                        .map_err(|_| TypeError::InvalidUtf8)?,
                )
            }
            Values::General(values) => Value::to_array(&values, &self.ty)?,
        })
    }

    /// The first row whose text is not UTF-8, and its bytes.
    pub(super) fn first_invalid_utf8(&self) -> Option<(usize, &[u8])> {
        let Values::Text { offsets, bytes, .. } = &self.values else { return None };
        if std::str::from_utf8(bytes).is_ok() {
            // Cells cut within a character are still wrong: their neighbours made them whole.
            let cut = |&&at: &&i32| (bytes.get(at as usize).copied().unwrap_or(0) & 0xc0) == 0x80;
            offsets.iter().find(cut)?;
        }
        offsets
            .windows(2)
            .map(|w| &bytes[w[0] as usize..w[1] as usize])
            .enumerate()
            .find(|(_, cell)| std::str::from_utf8(cell).is_err())
    }
}

fn ascii(cell: &[u8]) -> Option<&str> {
    std::str::from_utf8(cell).ok()
}

/// `-?[0-9]{1,18}`.
#[inline]
pub(super) fn integer(cell: &[u8]) -> Option<i64> {
    let (negative, digits) = match cell {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut number = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(if negative { -number } else { number })
}

/// A decimal number that a double holds without over- or underflow.
#[inline]
pub(super) fn float(cell: &[u8]) -> Option<f64> {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    if digits.len() <= 15 && !digits.is_empty() {
        // Exact: the digits and the power of ten are both exact doubles (Clinger's fast path).
        let mut mantissa = 0u64;
        let mut point = None;
        let mut plain = true;
        for (i, byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
                b'.' if point.is_none() => point = Some(i),
                _ => plain = false,
            }
        }
        if plain && digits != b"." {
            let value = match point {
                Some(i) => mantissa as f64 / POWERS_OF_TEN[digits.len() - 1 - i],
                None => mantissa as f64,
            };
            return Some(if digits.len() < cell.len() { -value } else { value });
        }
    }
    if !cell.first().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.')) {
        return None;
    }
    let value: f64 = ascii(cell)?.parse().ok()?;
    (value.is_normal() || value == 0.0 && cell.iter().all(|b| matches!(b, b'0' | b'.' | b'-' | b'+')))
        .then_some(value)
}

const POWERS_OF_TEN: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

fn two(cell: &[u8], at: usize) -> Option<i64> {
    let (a, b) = (cell[at].wrapping_sub(b'0'), cell[at + 1].wrapping_sub(b'0'));
    (a <= 9 && b <= 9).then(|| i64::from(a) * 10 + i64::from(b))
}

/// `YYYY-MM-DD`, from year 1, as days since 1970.
#[inline]
pub(super) fn date(cell: &[u8]) -> Option<i32> {
    if cell.len() != 10 || cell[4] != b'-' || cell[7] != b'-' {
        return None;
    }
    let year = two(cell, 0)? * 100 + two(cell, 2)?;
    let (month, day) = (two(cell, 5)?, two(cell, 8)?);
    if year == 0 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    // Days from civil (H. Hinnant): years begin in March, so that the leap day is last.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y / 400;
    let year_of_era = y - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some((era * 146_097 + day_of_era - 719_468) as i32)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `YYYY-MM-DD[ T]HH:MM[:SS[.ffffff]]`, with `Z`, `+00` or `+00:00` after it if `zoned`; microseconds since 1970.
/// Without a zone it is UTC, as the database has it by default.
#[inline]
pub(super) fn timestamp(cell: &[u8], zoned: bool) -> Option<i64> {
    if cell.len() < 16 {
        return None;
    }
    let days = i64::from(date(&cell[..10])?);
    if cell[10] != b' ' && cell[10] != b'T' {
        return None;
    }
    let clock = match zoned {
        true => [b"Z".as_slice(), b"+00:00", b"+00"]
            .iter()
            .find_map(|z| cell[11..].strip_suffix(*z))
            .unwrap_or(&cell[11..]),
        false => &cell[11..],
    };
    Some(days * 86_400_000_000 + clock_micros(clock)?)
}

/// `HH:MM[:SS[.ffffff]]`.
pub(super) fn clock_micros(clock: &[u8]) -> Option<i64> {
    if clock.len() < 5 || clock[2] != b':' {
        return None;
    }
    let (hour, minute) = (two(clock, 0)?, two(clock, 3)?);
    let mut micros = 0;
    let second = match clock.len() {
        5 => 0,
        8.. if clock[5] == b':' => {
            let fraction = &clock[8..];
            if let [b'.', digits @ ..] = fraction {
                if digits.is_empty() || digits.len() > 6 {
                    return None;
                }
                micros = integer(digits).filter(|n| *n >= 0)? * 10_i64.pow(6 - digits.len() as u32);
            } else if !fraction.is_empty() {
                return None;
            }
            two(clock, 6)?
        }
        _ => return None,
    };
    (hour < 24 && minute < 60 && second < 60)
        .then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quick_paths_agree_with_the_slow_one() {
        let cells = [
            "0",
            "-0",
            "7",
            "-12",
            "1234567890123456789",
            "1.5",
            "-0.25",
            ".5",
            "5.",
            "1e3",
            "abc",
            "",
            " 7",
            "2013-01-01",
            "2012-02-29",
            "2013-02-29",
            "1969-12-31",
            "0001-01-01",
            "9999-12-31",
            "2013-01-01 05:06:07",
            "2013-01-01T05:06",
            "2013-01-01 05:06:07.25",
            "2013-01-01 24:00:00",
            "2013-01-01 05:06:07Z",
            "2013-01-01 05:06:07+00",
            "2013-01-01T10:00:00Z",
            "t",
            "false",
            "yes",
            "123456789.123456",
            "1e400",
            "1e-400",
            "NaN",
            "0x10",
        ];
        let types = [
            DataType::SmallInt,
            DataType::Integer,
            DataType::BigInt,
            DataType::Real,
            DataType::Double,
            DataType::Date,
            DataType::Timestamp(None),
            DataType::TimestampTz(None),
            DataType::Boolean,
            DataType::Text,
            DataType::Varchar(Some(3)),
        ];
        for ty in &types {
            for cell in cells {
                let mut sink = ColumnSink::new(ty, 1);
                let quick = sink.push(cell.as_bytes());
                match Value::parse_text(cell, ty) {
                    Ok(value) => {
                        assert!(quick.is_ok(), "{cell} as {ty:?}: {quick:?}");
                        let array = sink.finish().unwrap();
                        let want = Value::to_array(&[value], ty).unwrap();
                        assert_eq!(&array, &want, "{cell} as {ty:?}");
                    }
                    Err(error) => assert_eq!(quick.unwrap_err(), error, "{cell} as {ty:?}"),
                }
            }
        }
    }

    #[test]
    fn invalid_utf8_is_found() {
        let mut sink = ColumnSink::new(&DataType::Text, 2);
        sink.push(b"ok").unwrap();
        sink.push(b"\xff").unwrap();
        assert_eq!(sink.first_invalid_utf8(), Some((1, b"\xff".as_slice())));
        let mut cut = ColumnSink::new(&DataType::Text, 2);
        cut.push(b"\xc3").unwrap();
        cut.push(b"\xa4").unwrap();
        assert_eq!(cut.first_invalid_utf8().map(|f| f.0), Some(0));
    }
}
