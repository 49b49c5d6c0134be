//! Writing.

use std::ops::Bound;

use super::{EPOCH_DAYS, EPOCH_MICROS, FAMILY_V4, JSONB_VERSION, numeric, range_flags};
use crate::coded::{Coded, RangeKind};
use crate::codes::{self, Bits, Network, Range, ZonedTime};
use crate::composite::CompositeType;
use crate::datatype::DataType;
use crate::datetime::{Zone, is_infinite, is_infinite_date};
use crate::error::TypeError;
use crate::value::Value;

impl Value {
    /// Appends PostgreSQL's binary form of a value of `ty`, without a length; nothing for NULL.
    ///
    /// # Errors
    /// `22P03` where the stored code of a coded type cannot be read, and `54000` for arrays beyond 2 GiB.
    pub fn write_binary(&self, ty: &DataType, out: &mut Vec<u8>) -> Result<(), TypeError> {
        match self {
            Self::Null => {}
            Self::Boolean(v) => out.push(u8::from(*v)),
            Self::SmallInt(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::Integer(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::BigInt(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::Real(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::Double(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::Numeric(v) => numeric::write(*v, out),
            Self::Text(v) | Self::Json(v) => out.extend_from_slice(v.as_bytes()),
            Self::Jsonb(v) => {
                out.push(JSONB_VERSION);
                out.extend_from_slice(v.as_bytes());
            }
            Self::Bytea(v) => out.extend_from_slice(v),
            Self::Date(v) if is_infinite_date(*v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::Date(v) => out.extend_from_slice(&v.saturating_sub(EPOCH_DAYS).to_be_bytes()),
            Self::Time(v) => out.extend_from_slice(&v.to_be_bytes()),
            Self::Timestamp(v) | Self::TimestampTz(v) if is_infinite(*v) => {
                out.extend_from_slice(&v.to_be_bytes());
            }
            Self::Timestamp(v) | Self::TimestampTz(v) => {
                out.extend_from_slice(&v.saturating_sub(EPOCH_MICROS).to_be_bytes());
            }
            Self::Interval(v) => {
                out.extend_from_slice(&(v.nanos / 1000).to_be_bytes());
                out.extend_from_slice(&v.days.to_be_bytes());
                out.extend_from_slice(&v.months.to_be_bytes());
            }
            Self::Uuid(v) => out.extend_from_slice(v),
            Self::Array(values) => array(values, ty, out)?,
            Self::Coded { ty, code } => coded(ty, code, out)?,
        }
        Ok(())
    }
}

/// Appends a length of four bytes and what `write` appends, or -1 for NULL.
fn sized(value: &Value, ty: &DataType, out: &mut Vec<u8>) -> Result<(), TypeError> {
    if value.is_null() {
        out.extend_from_slice(&(-1i32).to_be_bytes());
        return Ok(());
    }
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    value.write_binary(ty, out)?;
    let length = i32::try_from(out.len() - at - 4)
        .map_err(|_| TypeError::invalid("54000", "a value is too long for PostgreSQL's binary format"))?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn array(values: &[Value], ty: &DataType, out: &mut Vec<u8>) -> Result<(), TypeError> {
    let mut element = ty;
    while let DataType::Array(inner) = element {
        element = inner;
    }
    // The dimensions are those of the first element of each level: all are alike.
    let mut sizes = Vec::new();
    let mut level = values;
    while !level.is_empty() {
        sizes.push(level.len());
        match level.first() {
            Some(Value::Array(inner)) => level = inner,
            _ => break,
        }
    }
    out.extend_from_slice(&(sizes.len() as i32).to_be_bytes());
    let flags = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&element.pg_oid().to_be_bytes());
    for size in sizes {
        let size = i32::try_from(size).map_err(|_| TypeError::invalid("54000", "an array is too long"))?;
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
    }
    let mut nulls = false;
    elements(values, element, &mut nulls, out)?;
    out[flags + 3] = u8::from(nulls);
    Ok(())
}

fn elements(values: &[Value], ty: &DataType, nulls: &mut bool, out: &mut Vec<u8>) -> Result<(), TypeError> {
    for value in values {
        match value {
            Value::Array(inner) => elements(inner, ty, nulls, out)?,
            value => {
                *nulls |= value.is_null();
                sized(value, ty, out)?;
            }
        }
    }
    Ok(())
}

fn coded(ty: &Coded, code: &[u8], out: &mut Vec<u8>) -> Result<(), TypeError> {
    let unreadable = || TypeError::invalid("22P03", "a stored value cannot be read");
    match ty {
        Coded::Range(kind) => range(&Range::from_code(code, *kind).ok_or_else(unreadable)?, *kind, out)?,
        Coded::Inet | Coded::Cidr => {
            let network = Network::from_code(code).ok_or_else(unreadable)?;
            let bytes = network.bytes();
            let family = FAMILY_V4 + u8::from(bytes.len() > 4);
            out.extend_from_slice(&[family, network.bits(), u8::from(*ty == Coded::Cidr), bytes.len() as u8]);
            out.extend_from_slice(bytes);
        }
        Coded::MacAddr | Coded::MacAddr8 => out.extend_from_slice(code),
        Coded::TimeTz(_) => {
            // The zone counts westward there.
            let time = ZonedTime::from_code(code).ok_or_else(unreadable)?;
            out.extend_from_slice(&time.micros.to_be_bytes());
            out.extend_from_slice(&(-time.offset).to_be_bytes());
        }
        Coded::Bit(_) | Coded::VarBit(_) => {
            let bits = Bits::from_code(code).ok_or_else(unreadable)?;
            out.extend_from_slice(&(bits.len() as i32).to_be_bytes());
            out.extend_from_slice(bits.bytes());
        }
        Coded::Composite(ty) => {
            composite(ty, &codes::composite::decode(ty, code).ok_or_else(unreadable)?, out)?
        }
        // Enums, and whatever PostgreSQL sends as its text.
        Coded::Enum(_) => {
            let mut text = String::new();
            codes::write(ty, code, Zone::UTC, &mut text);
            out.extend_from_slice(text.as_bytes());
        }
    }
    Ok(())
}

fn range(range: &Range, kind: RangeKind, out: &mut Vec<u8>) -> Result<(), TypeError> {
    let Some((lower, upper)) = range.bounds() else {
        out.push(range_flags::EMPTY);
        return Ok(());
    };
    out.push(
        match lower {
            Bound::Included(_) => range_flags::LOWER_INCLUDED,
            Bound::Excluded(_) => 0,
            Bound::Unbounded => range_flags::LOWER_UNBOUNDED,
        } | match upper {
            Bound::Included(_) => range_flags::UPPER_INCLUDED,
            Bound::Excluded(_) => 0,
            Bound::Unbounded => range_flags::UPPER_UNBOUNDED,
        },
    );
    for bound in [lower, upper] {
        if let Bound::Included(value) | Bound::Excluded(value) = bound {
            sized(value, &kind.element(), out)?;
        }
    }
    Ok(())
}

fn composite(ty: &CompositeType, values: &[Value], out: &mut Vec<u8>) -> Result<(), TypeError> {
    out.extend_from_slice(&(ty.live().count() as i32).to_be_bytes());
    for (place, field) in ty.live() {
        out.extend_from_slice(&field.ty.pg_oid().to_be_bytes());
        sized(values.get(place).unwrap_or(&Value::Null), &field.ty, out)?;
    }
    Ok(())
}
