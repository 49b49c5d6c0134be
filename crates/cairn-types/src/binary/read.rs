//! Reading.

use std::ops::Bound;

use super::{DEPTH_MAX, EPOCH_DAYS, EPOCH_MICROS, FAMILY_V4, JSONB_VERSION, numeric, range_flags};
use crate::coded::{Coded, RangeKind};
use crate::codes::{self, Bits, Network, Range, ZonedTime};
use crate::composite::CompositeType;
use crate::datatype::{ARRAY_DIMENSIONS_MAX, DataType};
use crate::datetime::{MICROS_PER_DAY, Zone, is_infinite, is_infinite_date, round_moment, round_time};
use crate::error::TypeError;
use crate::interval::Interval;
use crate::json;
use crate::value::Value;

impl Value {
    /// Reads PostgreSQL's binary form of a value of `ty`. Parameters are applied, as [`Value::parse_text`] does.
    ///
    /// # Errors
    /// `22P03` where the bytes are not of the type's form, and what [`Value::parse_text`] says of values.
    ///
    /// ```
    /// use cairn_types::{DataType, Value};
    /// assert_eq!(Value::parse_binary(&[0, 0, 0, 42], &DataType::Integer).unwrap(), Value::from(42));
    /// ```
    pub fn parse_binary(bytes: &[u8], ty: &DataType) -> Result<Self, TypeError> {
        read(bytes, ty, 0)
    }
}

/// The bytes of a message, from the front.
pub(super) struct Reader<'a>(&'a [u8]);

fn incorrect() -> TypeError {
    TypeError::invalid("22P03", "incorrect binary data format")
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], TypeError> {
        let (head, tail) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| TypeError::invalid("08P01", "insufficient data left in message"))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TypeError> {
        self.take(N)?.try_into().map_err(|_| incorrect())
    }

    fn u8(&mut self) -> Result<u8, TypeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, TypeError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32, TypeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, TypeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// A value behind its length; NULL where that is -1.
    fn sized(&mut self, ty: &DataType, depth: usize) -> Result<Value, TypeError> {
        match self.i32()? {
            -1 => Ok(Value::Null),
            length => read(self.take(usize::try_from(length).map_err(|_| incorrect())?)?, ty, depth + 1),
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, TypeError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(TypeError::InvalidUtf8),
    }
}

fn read(bytes: &[u8], ty: &DataType, depth: usize) -> Result<Value, TypeError> {
    if depth > DEPTH_MAX {
        return Err(TypeError::invalid("54001", "values stand too deep within each other"));
    }
    let mut from = Reader(bytes);
    let value = match ty {
        DataType::Boolean => Value::Boolean(from.u8()? != 0),
        DataType::SmallInt => Value::SmallInt(from.i16()?),
        DataType::Integer => Value::Integer(from.i32()?),
        DataType::BigInt => Value::BigInt(from.i64()?),
        DataType::Real => Value::Real(f32::from_be_bytes(from.array()?)),
        DataType::Double => Value::Double(f64::from_be_bytes(from.array()?)),
        DataType::Numeric(_) => Value::Numeric(ty.fit_decimal(numeric::read(&mut from)?)?),
        DataType::Text | DataType::Varchar(_) | DataType::Char(_) => {
            Value::parse_text(text(from.rest())?, ty)?
        }
        DataType::Bytea => Value::Bytea(from.rest().to_vec()),
        DataType::Date => {
            let days = from.i32()?;
            let own = if is_infinite_date(days) { Some(days) } else { days.checked_add(EPOCH_DAYS) };
            Value::Date(own.ok_or_else(|| range_error(ty))?)
        }
        DataType::Time(digits) => match from.i64()? {
            micros @ 0..=86_400_000_000 => Value::Time(round_time(micros, *digits)),
            _ => return Err(range_error(ty)),
        },
        DataType::Timestamp(digits) => Value::Timestamp(round_moment(moment(&mut from, ty)?, *digits)),
        DataType::TimestampTz(digits) => Value::TimestampTz(round_moment(moment(&mut from, ty)?, *digits)),
        DataType::Interval(limit) => {
            let nanos = from.i64()?.checked_mul(1000).ok_or_else(|| range_error(ty))?;
            let days = from.i32()?;
            let interval = Interval { months: from.i32()?, days, nanos };
            Value::Interval(limit.map_or(interval, |limit| limit.apply(interval)))
        }
        DataType::Uuid => Value::Uuid(from.array()?),
        DataType::Json => {
            let text = text(from.rest())?;
            json::validate(text)?;
            Value::Json(text.to_owned())
        }
        DataType::Jsonb => {
            let version = from.u8()?;
            if version != JSONB_VERSION {
                let message = format!("unsupported jsonb version number {version}");
                return Err(TypeError::invalid("XX000", message));
            }
            Value::Jsonb(json::normalise(text(from.rest())?)?)
        }
        DataType::Array(_) => array(&mut from, ty, depth)?,
        DataType::Coded(coded) => Value::Coded { ty: coded.clone(), code: code(&mut from, coded, depth)? },
    };
    if from.left() > 0 {
        return Err(incorrect());
    }
    Ok(value)
}

fn range_error(ty: &DataType) -> TypeError {
    TypeError::invalid("22008", format!("{} out of range", ty.base_name()))
}

fn moment(from: &mut Reader<'_>, ty: &DataType) -> Result<i64, TypeError> {
    let micros = from.i64()?;
    let own = if is_infinite(micros) { Some(micros) } else { micros.checked_add(EPOCH_MICROS) };
    own.ok_or_else(|| range_error(ty))
}

fn array(from: &mut Reader<'_>, ty: &DataType, depth: usize) -> Result<Value, TypeError> {
    let (mut element, mut declared) = (ty, 0);
    while let DataType::Array(inner) = element {
        (element, declared) = (inner, declared + 1);
    }
    let dimensions = usize::try_from(from.i32()?).map_err(|_| incorrect())?;
    if dimensions > ARRAY_DIMENSIONS_MAX {
        let message = format!(
            "number of array dimensions ({dimensions}) exceeds the maximum allowed ({ARRAY_DIMENSIONS_MAX})"
        );
        return Err(TypeError::invalid("54000", message));
    }
    if dimensions > declared {
        let what = format!("an array of more dimensions than {} declares", ty.sql_name());
        return Err(TypeError::Unsupported { what });
    }
    if !matches!(from.i32()?, 0 | 1) {
        return Err(TypeError::invalid("22P03", "invalid array flags"));
    }
    let given = from.i32()? as u32;
    if given != element.pg_oid() && !matches!(element, DataType::Coded(_)) {
        let message =
            format!("binary data has array element type {given} instead of expected {}", element.pg_oid());
        return Err(TypeError::invalid("42804", message));
    }
    let mut sizes = Vec::with_capacity(dimensions);
    let mut count = usize::from(dimensions > 0);
    for _ in 0..dimensions {
        let size = usize::try_from(from.i32()?).map_err(|_| incorrect())?;
        if from.i32()? != 1 {
            return Err(TypeError::Unsupported {
                what: "an array whose first subscript is not 1".to_owned(),
            });
        }
        count = count.saturating_mul(size);
        sizes.push(size);
    }
    // Each element has a length of four bytes.
    if count > from.left() / 4 {
        return Err(TypeError::invalid("08P01", "insufficient data left in message"));
    }
    if count == 0 {
        return Ok(Value::Array(Vec::new()));
    }
    level(from, &sizes, element, depth)
}

fn level(
    from: &mut Reader<'_>,
    sizes: &[usize],
    element: &DataType,
    depth: usize,
) -> Result<Value, TypeError> {
    let Some((size, inner)) = sizes.split_first() else { return from.sized(element, depth) };
    let values = (0..*size).map(|_| level(from, inner, element, depth));
    Ok(Value::Array(values.collect::<Result<_, _>>()?))
}

fn code(from: &mut Reader<'_>, ty: &Coded, depth: usize) -> Result<Vec<u8>, TypeError> {
    match ty {
        Coded::Range(kind) => range(from, *kind, depth)?.to_code(*kind),
        Coded::Inet | Coded::Cidr => {
            let [family, bits, _, length] = from.array()?;
            let v4 = (FAMILY_V4, 4);
            let v6 = (FAMILY_V4 + 1, 16);
            if (family, length) != v4 && (family, length) != v6 {
                let name = ty.pg_name();
                return Err(TypeError::invalid(
                    "22P03",
                    format!("invalid address family in external \"{name}\" value"),
                ));
            }
            let network = Network::new(from.take(usize::from(length))?.to_vec(), bits).ok_or_else(|| {
                TypeError::invalid("22P03", format!("invalid bits in external \"{}\" value", ty.pg_name()))
            })?;
            if *ty == Coded::Cidr && network.network().bytes() != network.bytes() {
                return Err(TypeError::Invalid {
                    sqlstate: "22P03",
                    message: "invalid external \"cidr\" value".to_owned(),
                    detail: Some("Value has bits set to right of mask.".to_owned()),
                });
            }
            Ok(network.to_code())
        }
        Coded::MacAddr => Ok(from.array::<6>()?.to_vec()),
        Coded::MacAddr8 => Ok(from.array::<8>()?.to_vec()),
        Coded::TimeTz(digits) => {
            let micros = from.i64()?;
            let offset = from.i32()?.checked_neg().filter(|offset| offset.abs() < ZonedTime::OFFSET_END);
            match offset.filter(|_| (0..=MICROS_PER_DAY).contains(&micros)) {
                Some(offset) => Ok(ZonedTime { micros, offset }.rounded(*digits).to_code()),
                None => Err(TypeError::invalid("22008", "time out of range")),
            }
        }
        Coded::Bit(_) | Coded::VarBit(_) => {
            let length = usize::try_from(from.i32()?)
                .map_err(|_| TypeError::invalid("22P03", "invalid length in external bit string"))?;
            let bytes = from.take(length.div_ceil(8))?;
            let bits = (0..length).map(|at| bytes[at / 8] & (0x80 >> (at % 8)) != 0);
            codes::fit(ty, bits.collect::<Bits>().to_code())
        }
        Coded::Composite(ty) => composite(from, ty, depth),
        Coded::Enum(_) => codes::parse(ty, text(from.rest())?, Zone::UTC),
    }
}

fn range(from: &mut Reader<'_>, kind: RangeKind, depth: usize) -> Result<Range, TypeError> {
    let flags = from.u8()?;
    if flags & range_flags::EMPTY != 0 {
        return Ok(Range::Empty);
    }
    let mut bound = |unbounded: u8, included: u8| {
        if flags & unbounded != 0 {
            return Ok(Bound::Unbounded);
        }
        match from.sized(&kind.element(), depth)? {
            Value::Null => Err(incorrect()),
            value if flags & included != 0 => Ok(Bound::Included(value)),
            value => Ok(Bound::Excluded(value)),
        }
    };
    let lower = bound(range_flags::LOWER_UNBOUNDED, range_flags::LOWER_INCLUDED)?;
    let upper = bound(range_flags::UPPER_UNBOUNDED, range_flags::UPPER_INCLUDED)?;
    Range::new(kind, lower, upper)
}

fn composite(from: &mut Reader<'_>, ty: &CompositeType, depth: usize) -> Result<Vec<u8>, TypeError> {
    let count = from.i32()?;
    let expected = ty.live().count();
    if usize::try_from(count) != Ok(expected) {
        let message = format!("wrong number of columns: {count}, expected {expected}");
        return Err(TypeError::invalid("42804", message));
    }
    let mut values = vec![Value::Null; ty.fields.len()];
    for (place, field) in ty.live() {
        let given = from.i32()? as u32;
        if given != field.ty.pg_oid() {
            let message = format!(
                "binary data has type {given} instead of expected {} in record column {}",
                field.ty.pg_oid(),
                place + 1
            );
            return Err(TypeError::invalid("42804", message));
        }
        values[place] = from.sized(&field.ty, depth)?;
    }
    codes::composite::encode(ty, &values)
}
