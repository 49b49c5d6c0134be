//! One value of any SQL type, with a total order and conversions from Rust's types.
//!
//! I1. The order is total and agrees with the key code (`docs/format/key.md`): NULL last, NaN above every
//! other float and equal to itself, -0 equal to 0, numbers of different scale by value, intervals by span.

use std::cmp::Ordering;

use crate::coded::Coded;
use crate::datatype::DataType;
use crate::datetime;
use crate::decimal::Decimal;
use crate::error::TypeError;
use crate::interval::Interval;

/// A value. Text, VARCHAR and CHAR are all [`Value::Text`].
///
/// ```
/// use cairn_types::Value;
/// assert_eq!(Value::from("a"), Value::Text("a".into()));
/// assert!(Value::Null > Value::from(1));
/// ```
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// NULL of any type.
    #[default]
    Null,
    /// BOOLEAN.
    Boolean(bool),
    /// SMALLINT.
    SmallInt(i16),
    /// INTEGER.
    Integer(i32),
    /// BIGINT.
    BigInt(i64),
    /// REAL.
    Real(f32),
    /// DOUBLE PRECISION.
    Double(f64),
    /// NUMERIC.
    Numeric(Decimal),
    /// TEXT, VARCHAR(n), CHAR(n).
    Text(String),
    /// BYTEA.
    Bytea(Vec<u8>),
    /// DATE: days since 1970-01-01.
    Date(i32),
    /// TIME: microseconds since midnight.
    Time(i64),
    /// TIMESTAMP: microseconds since 1970-01-01 00:00.
    Timestamp(i64),
    /// TIMESTAMPTZ: microseconds since 1970-01-01 00:00 UTC.
    TimestampTz(i64),
    /// INTERVAL.
    Interval(Interval),
    /// UUID.
    Uuid([u8; 16]),
    /// JSON text.
    Json(String),
    /// JSONB text in normal form.
    Jsonb(String),
    /// Array.
    Array(Vec<Value>),
    /// A value of a coded type ([`crate::codes`]).
    Coded {
        /// The type.
        ty: Coded,
        /// The value's code.
        code: Vec<u8>,
    },
}

impl Value {
    /// Whether this is NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The type of this value without parameters; `None` for NULL. An array's is that of its first element
    /// that is not NULL, TEXT where there is none.
    #[must_use]
    pub fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Self::Null => return None,
            Self::Boolean(_) => DataType::Boolean,
            Self::SmallInt(_) => DataType::SmallInt,
            Self::Integer(_) => DataType::Integer,
            Self::BigInt(_) => DataType::BigInt,
            Self::Real(_) => DataType::Real,
            Self::Double(_) => DataType::Double,
            Self::Numeric(_) => DataType::Numeric(None),
            Self::Text(_) => DataType::Text,
            Self::Bytea(_) => DataType::Bytea,
            Self::Date(_) => DataType::Date,
            Self::Time(_) => DataType::Time(None),
            Self::Timestamp(_) => DataType::Timestamp(None),
            Self::TimestampTz(_) => DataType::TimestampTz(None),
            Self::Interval(_) => DataType::Interval(None),
            Self::Uuid(_) => DataType::Uuid,
            Self::Json(_) => DataType::Json,
            Self::Jsonb(_) => DataType::Jsonb,
            Self::Coded { ty, .. } => DataType::Coded(ty.clone()),
            Self::Array(elements) => {
                DataType::Array(Box::new(elements.iter().find_map(Self::data_type).unwrap_or(DataType::Text)))
            }
        })
    }

    /// Compares two values of one type as that type does. It differs from `cmp` only for CHAR(n), which
    /// compares without trailing blanks.
    #[must_use]
    pub fn compare_as(&self, other: &Self, ty: &DataType) -> Ordering {
        match (self, other, ty) {
            (Self::Text(a), Self::Text(b), DataType::Char(_)) => {
                a.trim_end_matches(' ').as_bytes().cmp(b.trim_end_matches(' ').as_bytes())
            }
            (Self::Array(a), Self::Array(b), DataType::Array(element)) => {
                let pairs = a.iter().zip(b).map(|(a, b)| a.compare_as(b, element));
                pairs.into_iter().find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            _ => self.cmp(other),
        }
    }

    /// Converts to the variant and the parameters of `ty` as an assignment to a column does: integers of any
    /// width, integer to float and numeric, rounding to the scale of NUMERIC(p,s) and the digits of times, lengths of VARCHAR(n) (blanks
    /// beyond n are cut, anything else is an error), blank-padding of CHAR(n), text to JSON.
    ///
    /// # Errors
    /// [`TypeError::Mismatch`] where there is no such conversion, and range and length errors.
    pub fn fit(self, ty: &DataType) -> Result<Self, TypeError> {
        let range = || TypeError::TypeRange { type_name: ty.base_name().to_owned() };
        Ok(match (self, ty) {
            (Self::Null, _) => Self::Null,
            (Self::SmallInt(n), _) if ty.is_numeric() => return fit_integer(i64::from(n), ty),
            (Self::Integer(n), _) if ty.is_numeric() => return fit_integer(i64::from(n), ty),
            (Self::BigInt(n), _) if ty.is_numeric() => return fit_integer(n, ty),
            (value @ Self::Real(_), DataType::Real) | (value @ Self::Double(_), DataType::Double) => value,
            (Self::Real(x), DataType::Double) => Self::Double(f64::from(x)),
            (Self::Double(x), DataType::Real) => {
                let narrow = x as f32;
                if (narrow.is_infinite() && x.is_finite()) || (narrow == 0.0 && x != 0.0) {
                    return Err(range());
                }
                Self::Real(narrow)
            }
            (Self::Numeric(n), DataType::Numeric(_)) => Self::Numeric(ty.fit_decimal(n)?),
            (Self::Numeric(n), DataType::Double) => Self::Double(n.to_f64()),
            (Self::Numeric(n), DataType::Real) => Self::Real(n.to_f64() as f32),
            (Self::Text(text), _) if ty.is_character() => Self::Text(fit_text(text, ty)?),
            (Self::Text(text) | Self::Json(text), DataType::Json) => Self::Json(text),
            (Self::Array(elements), DataType::Array(element)) => {
                Self::Array(elements.into_iter().map(|v| v.fit(element)).collect::<Result<_, _>>()?)
            }
            (Self::Coded { ty: own, code }, DataType::Coded(to)) if own.is_kind_of(to) => {
                Self::Coded { code: crate::codes::fit(to, code)?, ty: to.clone() }
            }
            (Self::Time(t), DataType::Time(digits)) => Self::Time(datetime::round_time(t, *digits)),
            (Self::Timestamp(t), DataType::Timestamp(digits)) => {
                Self::Timestamp(datetime::round_moment(t, *digits))
            }
            (Self::TimestampTz(t), DataType::TimestampTz(digits)) => {
                Self::TimestampTz(datetime::round_moment(t, *digits))
            }
            (Self::Interval(i), DataType::Interval(limit)) => {
                Self::Interval(limit.map_or(i, |limit| limit.apply(i)))
            }
            (value, _) if value.data_type().is_some_and(|own| own == *ty) => value,
            (value, _) => {
                return Err(TypeError::Mismatch {
                    expected: ty.sql_name(),
                    found: value.data_type().map_or_else(|| "unknown".to_owned(), |own| own.sql_name()),
                });
            }
        })
    }

    /// Position of the variant in the order of variants; integers share one, and floats.
    fn rank(&self) -> u8 {
        match self {
            Self::Boolean(_) => 1,
            Self::SmallInt(_) | Self::Integer(_) | Self::BigInt(_) => 2,
            Self::Real(_) | Self::Double(_) => 3,
            Self::Numeric(_) => 4,
            Self::Text(_) => 5,
            Self::Bytea(_) => 6,
            Self::Date(_) => 7,
            Self::Time(_) => 8,
            Self::Timestamp(_) => 9,
            Self::TimestampTz(_) => 10,
            Self::Interval(_) => 11,
            Self::Uuid(_) => 12,
            Self::Json(_) => 13,
            Self::Jsonb(_) => 14,
            Self::Array(_) => 15,
            Self::Coded { .. } => 16,
            Self::Null => u8::MAX,
        }
    }

    /// The integer in any of the three integer variants.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::SmallInt(n) => Some(i64::from(*n)),
            Self::Integer(n) => Some(i64::from(*n)),
            Self::BigInt(n) => Some(*n),
            _ => None,
        }
    }

    /// The number in either of the two float variants.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Real(x) => Some(f64::from(*x)),
            Self::Double(x) => Some(*x),
            _ => None,
        }
    }

    /// The text of TEXT, JSON and JSONB.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Json(text) | Self::Jsonb(text) => Some(text),
            _ => None,
        }
    }
}

/// PostgreSQL's order of floats: NaN above all and equal to itself, -0 equal to 0.
#[must_use]
pub fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn fit_integer(n: i64, ty: &DataType) -> Result<Value, TypeError> {
    let range = || TypeError::TypeRange { type_name: ty.base_name().to_owned() };
    Ok(match ty {
        DataType::SmallInt => Value::SmallInt(i16::try_from(n).map_err(|_| range())?),
        DataType::Integer => Value::Integer(i32::try_from(n).map_err(|_| range())?),
        DataType::BigInt => Value::BigInt(n),
        DataType::Real => Value::Real(n as f32),
        DataType::Double => Value::Double(n as f64),
        _ => Value::Numeric(ty.fit_decimal(Decimal::from(n))?),
    })
}

/// Applies the length of VARCHAR(n) and CHAR(n), counted in characters.
pub(crate) fn fit_text(mut text: String, ty: &DataType) -> Result<String, TypeError> {
    let (limit, padded) = match ty {
        DataType::Varchar(Some(n)) => (*n as usize, false),
        DataType::Char(n) => (*n as usize, true),
        _ => return Ok(text),
    };
    if text.len() > limit
        && let Some((at, _)) = text.char_indices().nth(limit)
    {
        if text[at..].bytes().any(|b| b != b' ') {
            return Err(TypeError::TooLong { type_name: ty.sql_name() });
        }
        text.truncate(at);
    }
    if padded {
        pad_blanks(&mut text, limit);
    }
    Ok(text)
}

/// Pads with blanks to `length` characters.
pub(crate) fn pad_blanks(text: &mut String, length: usize) {
    let characters = text.chars().count();
    text.extend(std::iter::repeat_n(' ', length.saturating_sub(characters)));
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Numeric(a), Self::Numeric(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b))
            | (Self::Json(a), Self::Json(b))
            | (Self::Jsonb(a), Self::Jsonb(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Bytea(a), Self::Bytea(b)) => a.cmp(b),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b))
            | (Self::Timestamp(a), Self::Timestamp(b))
            | (Self::TimestampTz(a), Self::TimestampTz(b)) => a.cmp(b),
            (Self::Interval(a), Self::Interval(b)) => a.cmp(b),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            (Self::Array(a), Self::Array(b)) => a.cmp(b),
            (Self::Coded { code: a, .. }, Self::Coded { code: b, .. }) => a.cmp(b),
            _ => match (self.as_i64(), other.as_i64(), self.as_f64(), other.as_f64()) {
                (Some(a), Some(b), _, _) => a.cmp(&b),
                (_, _, Some(a), Some(b)) => compare_floats(a, b),
                _ => self.rank().cmp(&other.rank()),
            },
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

macro_rules! from {
    ($($source:ty => $variant:expr),* $(,)?) => {
        $(impl From<$source> for Value {
            fn from(value: $source) -> Self {
                $variant(value)
            }
        })*
    };
}

from! {
    bool => Value::Boolean,
    i16 => Value::SmallInt,
    i32 => Value::Integer,
    i64 => Value::BigInt,
    f32 => Value::Real,
    f64 => Value::Double,
    Decimal => Value::Numeric,
    String => Value::Text,
    Vec<u8> => Value::Bytea,
    Interval => Value::Interval,
    Vec<Value> => Value::Array,
    &str => |text: &str| Value::Text(text.to_owned()),
    &String => |text: &String| Value::Text(text.clone()),
    &[u8] => |bytes: &[u8]| Value::Bytea(bytes.to_vec()),
    i8 => |n| Value::SmallInt(i16::from(n)),
    u8 => |n| Value::SmallInt(i16::from(n)),
    u16 => |n| Value::Integer(i32::from(n)),
    u32 => |n| Value::BigInt(i64::from(n)),
    uuid::Uuid => |id: uuid::Uuid| Value::Uuid(id.into_bytes()),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
