//! PostgreSQL's text input and output of every type: of [`Value`]s, and of cells of Arrow columns.
//!
//! I1. `parse(print(v)) = v` for every value of every type (floats included: shortest digits that read back).
//!
//! Refused with a clear error instead of being wrong: `infinity` as a date or timestamp, words that depend on the
//! clock (`now`), NaN and infinities as NUMERIC, array bounds other than 1.

mod array;

use std::fmt::Write;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types as at;
use arrow_schema::{DataType as ArrowType, TimeUnit};

use crate::codes;
use crate::column::ColumnBuilder;
use crate::datatype::DataType;
use crate::datetime::{self, Zone};
use crate::decimal::Decimal;
use crate::error::TypeError;
use crate::float;
use crate::json;
use crate::value::{Value, fit_text};

impl Value {
    /// The text as PostgreSQL prints a value of `ty` (TIMESTAMPTZ in UTC); NULL gives the empty text.
    #[must_use]
    pub fn to_text(&self, ty: &DataType) -> String {
        let mut out = String::new();
        self.write_text(ty, &mut out);
        out
    }

    /// Appends what [`Value::to_text`] gives.
    pub fn write_text(&self, ty: &DataType, out: &mut String) {
        self.write_text_in(ty, Zone::UTC, out);
    }

    /// Appends the text as a session in `zone` sees it: TIMESTAMPTZ, also within arrays, as the zone's clock shows it.
    pub fn write_text_in(&self, ty: &DataType, zone: Zone, out: &mut String) {
        match self {
            Self::Null => {}
            Self::Boolean(v) => out.push(if *v { 't' } else { 'f' }),
            Self::SmallInt(v) => drop(write!(out, "{v}")),
            Self::Integer(v) => drop(write!(out, "{v}")),
            Self::BigInt(v) => drop(write!(out, "{v}")),
            Self::Real(v) => float::write_f32(*v, out),
            Self::Double(v) => float::write_f64(*v, out),
            Self::Numeric(v) => v.write(out),
            Self::Text(v) | Self::Json(v) | Self::Jsonb(v) => out.push_str(v),
            Self::Bytea(v) => write_bytea(v, out),
            Self::Date(v) => datetime::write_date(*v, out),
            Self::Time(v) => datetime::write_time(*v, out),
            Self::Timestamp(v) => datetime::write_timestamp(*v, out),
            Self::TimestampTz(v) => datetime::write_timestamptz(*v, zone.offset_at(*v), out),
            Self::Interval(v) => datetime::write_interval(*v, out),
            Self::Uuid(v) => write_uuid(v, out),
            Self::Array(values) => array::write(values, ty, zone, out),
            Self::Coded { ty, code } => codes::write(ty, code, zone, out),
        }
    }

    /// Reads PostgreSQL's input syntax of `ty`; TIMESTAMPTZ without zone is in UTC. Parameters are applied: the
    /// scale of NUMERIC(p,s) by rounding, the length of VARCHAR(n) and CHAR(n).
    ///
    /// # Errors
    /// With PostgreSQL's words and SQLSTATE where the text is not of the type's form or out of its range.
    ///
    /// ```
    /// use cairn_types::{DataType, Value};
    /// assert_eq!(Value::parse_text(" 42 ", &DataType::Integer).unwrap(), Value::from(42));
    /// ```
    pub fn parse_text(text: &str, ty: &DataType) -> Result<Self, TypeError> {
        Ok(match ty {
            DataType::Boolean => Self::Boolean(parse_boolean(text)?),
            DataType::SmallInt => Self::SmallInt(parse_integer(text, ty)?),
            DataType::Integer => Self::Integer(parse_integer(text, ty)?),
            DataType::BigInt => Self::BigInt(parse_integer(text, ty)?),
            DataType::Real => Self::Real(float::parse_f32(text)?),
            DataType::Double => Self::Double(float::parse_f64(text)?),
            DataType::Numeric(_) => Self::Numeric(ty.fit_decimal(Decimal::parse(text)?)?),
            DataType::Text | DataType::Varchar(None) => Self::Text(text.to_owned()),
            DataType::Varchar(_) | DataType::Char(_) => Self::Text(fit_text(text.to_owned(), ty)?),
            DataType::Bytea => Self::Bytea(parse_bytea(text)?),
            DataType::Date => Self::Date(datetime::parse_date(text)?),
            DataType::Time(digits) => Self::Time(datetime::round_time(datetime::parse_time(text)?, *digits)),
            DataType::Timestamp(digits) => {
                Self::Timestamp(datetime::round_moment(datetime::parse_timestamp(text)?, *digits))
            }
            DataType::TimestampTz(digits) => Self::TimestampTz(datetime::round_moment(
                datetime::parse_timestamptz(text, Zone::UTC)?,
                *digits,
            )),
            DataType::Interval(limit) => Self::Interval(datetime::parse_interval_within(text, *limit)?),
            DataType::Uuid => Self::Uuid(parse_uuid(text)?),
            DataType::Json => {
                json::validate(text)?;
                Self::Json(text.to_owned())
            }
            DataType::Jsonb => Self::Jsonb(json::normalise(text)?),
            DataType::Array(element) => Self::Array(array::parse(text, element)?),
            DataType::Coded(coded) => {
                Self::Coded { ty: coded.clone(), code: codes::parse(coded, text, Zone::UTC)? }
            }
        })
    }
}

/// Appends the text of one cell of a result column as PostgreSQL prints it; nothing for NULL. Every Arrow type that a
/// query can produce is printed. Instants are shown by the clock of the zone that the Arrow type names.
///
/// # Panics
/// If `row` is not below the array's length.
pub fn format_cell(array: &dyn Array, row: usize, ty: &DataType, out: &mut String) {
    if array.is_null(row) {
        return;
    }
    match array.data_type() {
        ArrowType::Int16 => drop(write!(out, "{}", array.as_primitive::<at::Int16Type>().value(row))),
        ArrowType::Int32 => drop(write!(out, "{}", array.as_primitive::<at::Int32Type>().value(row))),
        ArrowType::Int64 => drop(write!(out, "{}", array.as_primitive::<at::Int64Type>().value(row))),
        ArrowType::Float64 => float::write_f64(array.as_primitive::<at::Float64Type>().value(row), out),
        ArrowType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        ArrowType::Utf8View => out.push_str(array.as_string_view().value(row)),
        ArrowType::Boolean => out.push(if array.as_boolean().value(row) { 't' } else { 'f' }),
        ArrowType::Date32 => datetime::write_date(array.as_primitive::<at::Date32Type>().value(row), out),
        ArrowType::Timestamp(TimeUnit::Microsecond, None) => {
            datetime::write_timestamp(array.as_primitive::<at::TimestampMicrosecondType>().value(row), out);
        }
        ArrowType::Timestamp(TimeUnit::Microsecond, Some(zone)) => {
            let micros = array.as_primitive::<at::TimestampMicrosecondType>().value(row);
            datetime::write_timestamptz(micros, named_zone(zone).offset_at(micros), out);
        }
        ArrowType::Binary => write_bytea(array.as_binary::<i32>().value(row), out),
        other => Value::from_array(array, row, ty).write_text_in(ty, zone_within(other), out),
    }
}

/// The zone of an Arrow type, UTC where its name says nothing to us.
fn named_zone(name: &str) -> Zone {
    match name {
        "UTC" | "+00:00" => Zone::UTC,
        name => Zone::parse(name).unwrap_or(Zone::UTC),
    }
}

/// The zone of the instants that a list holds.
fn zone_within(ty: &ArrowType) -> Zone {
    match ty {
        ArrowType::Timestamp(_, Some(zone)) => named_zone(zone),
        ArrowType::List(item) | ArrowType::LargeList(item) | ArrowType::FixedSizeList(item, _) => {
            zone_within(item.data_type())
        }
        _ => Zone::UTC,
    }
}

/// Reads one cell and appends it to its column: the inverse of [`format_cell`], with fast ways for the types that
/// bulk loads are made of.
///
/// # Errors
/// As [`Value::parse_text`]; the column is then as before.
pub fn parse_cell(text: &str, ty: &DataType, column: &mut ColumnBuilder) -> Result<(), TypeError> {
    match (ty, column) {
        (DataType::Integer, ColumnBuilder::Integer(b)) => b.append_value(parse_integer(text, ty)?),
        (DataType::BigInt, ColumnBuilder::BigInt(b)) => b.append_value(parse_integer(text, ty)?),
        (DataType::SmallInt, ColumnBuilder::SmallInt(b)) => b.append_value(parse_integer(text, ty)?),
        (DataType::Double, ColumnBuilder::Double(b)) => b.append_value(float::parse_f64(text)?),
        (DataType::Text | DataType::Varchar(None), ColumnBuilder::Bytes(b)) => b.push(text.as_bytes())?,
        (DataType::Date, ColumnBuilder::Date(b)) => b.append_value(datetime::parse_date(text)?),
        (DataType::Timestamp(None), ColumnBuilder::Timestamp(b)) => {
            b.append_value(datetime::parse_timestamp(text)?)
        }
        (DataType::TimestampTz(None), ColumnBuilder::Timestamp(b)) => {
            b.append_value(datetime::parse_timestamptz(text, Zone::UTC)?);
        }
        (_, column) => column.push(&Value::parse_text(text, ty)?)?,
    }
    Ok(())
}

fn invalid(text: &str, ty: &DataType) -> TypeError {
    TypeError::InvalidText { type_name: ty.base_name().to_owned(), input: text.to_owned() }
}

fn parse_boolean(text: &str) -> Result<bool, TypeError> {
    let word = text.trim_ascii().to_ascii_lowercase();
    let begins = |whole: &str| !word.is_empty() && whole.starts_with(word.as_str());
    if begins("true") || begins("yes") || word == "on" || word == "1" {
        Ok(true)
    } else if begins("false") || begins("no") || word == "of" || word == "off" || word == "0" {
        Ok(false)
    } else {
        Err(invalid(text, &DataType::Boolean))
    }
}

/// Reads an integer: decimal fast, else with PostgreSQL 16's `0x`, `0o`, `0b` and underscores.
fn parse_integer<T: TryFrom<i64>>(text: &str, ty: &DataType) -> Result<T, TypeError> {
    let wide = short_decimal(text.as_bytes()).map_or_else(|| long_integer(text, ty), Ok)?;
    T::try_from(wide).map_err(|_| out_of_range(text, ty))
}

fn out_of_range(text: &str, ty: &DataType) -> TypeError {
    TypeError::OutOfRange { type_name: ty.base_name().to_owned(), input: text.to_owned() }
}

/// Up to 18 decimal digits with a minus sign at most.
#[inline]
fn short_decimal(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut n = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        n = n * 10 + i64::from(digit);
    }
    Some(if negative { -n } else { n })
}

fn long_integer(text: &str, ty: &DataType) -> Result<i64, TypeError> {
    let trimmed = text.trim_ascii();
    let (negative, digits) = match trimmed.strip_prefix(['-', '+']) {
        Some(rest) => (trimmed.starts_with('-'), rest),
        None => (false, trimmed),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ => (10, lower.as_str()),
    };
    let prefixed = radix != 10;
    let underscores =
        digits.contains("__") || digits.ends_with('_') || (digits.starts_with('_') && !prefixed);
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    if underscores || digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(invalid(text, ty));
    }
    let magnitude = i128::from_str_radix(&digits, radix).map_err(|_| out_of_range(text, ty))?;
    i64::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| out_of_range(text, ty))
}

fn write_bytea(bytes: &[u8], out: &mut String) {
    out.reserve(2 + 2 * bytes.len());
    out.push_str("\\x");
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
}

/// Reads `\x` and hexadecimal digits, or the older form with `\\` and `\ooo`.
fn parse_bytea(text: &str) -> Result<Vec<u8>, TypeError> {
    let bad = || invalid(text, &DataType::Bytea);
    let hex = |digit: u8| char::from(digit).to_digit(16).map(|n| n as u8);
    if let Some(digits) = text.strip_prefix("\\x") {
        if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_hexdigit() && !c.is_ascii_whitespace()) {
            return Err(TypeError::InvalidHex { what: format!("digit: \"{wrong}\"") });
        }
        let digits: Vec<u8> = digits.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let pairs = digits.chunks(2).map(|pair| match *pair {
            [high, low] => Some(hex(high)? << 4 | hex(low)?),
            _ => None,
        });
        let odd = || TypeError::InvalidHex { what: "data: odd number of digits".to_owned() };
        return pairs.collect::<Option<_>>().ok_or_else(odd);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match *rest {
            [b'\\', ref tail @ ..] => {
                out.push(b'\\');
                rest = tail;
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ref tail @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => return Err(bad()),
        }
    }
    Ok(out)
}

fn write_uuid(bytes: &[u8; 16], out: &mut String) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    out.push_str(uuid::Uuid::from_bytes(*bytes).hyphenated().encode_lower(&mut text));
}

/// Reads 32 hexadecimal digits, a hyphen allowed after each four, braces around them allowed.
fn parse_uuid(text: &str) -> Result<[u8; 16], TypeError> {
    let bad = || invalid(text, &DataType::Uuid);
    let trimmed = text.trim_ascii();
    let inner = match trimmed.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(bad)?,
        None => trimmed,
    };
    let mut bytes = [0u8; 16];
    let mut digits = 0;
    let mut hyphen = true;
    for c in inner.bytes() {
        if c == b'-' && !hyphen && digits % 4 == 0 && digits < 32 {
            hyphen = true;
            continue;
        }
        let digit = char::from(c).to_digit(16).filter(|_| digits < 32).ok_or_else(bad)? as u8;
        bytes[digits / 2] = bytes[digits / 2] << 4 | digit;
        digits += 1;
        hyphen = false;
    }
    (digits == 32 && !hyphen).then_some(bytes).ok_or_else(bad)
}
