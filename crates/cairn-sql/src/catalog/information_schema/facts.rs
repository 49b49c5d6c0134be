//! What `information_schema` says of a type, in every table that has columns, fields or parameters.

use cairn_types::{Coded, DataType, Value};

use super::DATABASE;
use crate::catalog::system::{optional, text};

/// The longest text in bytes, as PostgreSQL tells it.
const OCTETS_MAX: i32 = 1 << 30;
/// Bytes of the longest character of UTF-8.
const CHARACTER_BYTES_MAX: i32 = 4;

/// A type as the standard describes it.
pub(super) struct Facts<'t>(pub(super) &'t DataType);

impl<'t> Facts<'t> {
    /// The type's name in the standard.
    pub(super) fn word(&self) -> &'t str {
        match self.0 {
            DataType::Array(_) => "ARRAY",
            DataType::Coded(Coded::Enum(_) | Coded::Composite(_)) => "USER-DEFINED",
            ty => ty.base_name(),
        }
    }

    /// Schema and name in PostgreSQL.
    fn udt(&self) -> (&str, String) {
        let mut element = self.0;
        while let DataType::Array(inner) = element {
            element = inner;
        }
        let schema = match element {
            DataType::Coded(Coded::Enum(own)) => &own.schema,
            DataType::Coded(Coded::Composite(own)) if !own.schema.is_empty() => &own.schema,
            _ => "pg_catalog",
        };
        (schema, self.0.pg_name())
    }

    /// The columns from `data_type` to `interval_type`.
    pub(super) fn described(&self) -> [(&'static str, Value); 8] {
        let integer = |n: Option<i32>| n.map_or(Value::Null, Value::Integer);
        let bytes = |n: u32| i32::try_from(n).ok().and_then(|n| n.checked_mul(CHARACTER_BYTES_MAX));
        let (length, octets) = match self.0 {
            DataType::Varchar(Some(n)) | DataType::Char(n) => (Some(*n as i32), bytes(*n)),
            DataType::Varchar(None) | DataType::Text => (None, Some(OCTETS_MAX)),
            DataType::Coded(Coded::Bit(n) | Coded::VarBit(n)) => (n.map(|n| n as i32), None),
            _ => (None, None),
        };
        let (precision, radix, scale) = match self.0 {
            DataType::SmallInt => (Some(16), Some(2), Some(0)),
            DataType::Integer => (Some(32), Some(2), Some(0)),
            DataType::BigInt => (Some(64), Some(2), Some(0)),
            DataType::Real => (Some(24), Some(2), None),
            DataType::Double => (Some(53), Some(2), None),
            DataType::Numeric(Some((p, s))) => (Some(i32::from(*p)), Some(10), Some(i32::from(*s))),
            DataType::Numeric(None) => (None, Some(10), None),
            _ => (None, None, None),
        };
        let mut interval = None;
        let datetime = match self.0 {
            DataType::Date => Some(0),
            DataType::Time(digits)
            | DataType::Timestamp(digits)
            | DataType::TimestampTz(digits)
            | DataType::Coded(Coded::TimeTz(digits)) => Some(digits.map_or(6, i32::from)),
            DataType::Interval(limit) => {
                interval = self.0.sql_name().strip_prefix("interval ").map(str::to_ascii_uppercase);
                Some(limit.and_then(|limit| limit.digits()).map_or(6, i32::from))
            }
            _ => None,
        };
        [
            ("data_type", text(self.word())),
            ("character_maximum_length", integer(length)),
            ("character_octet_length", integer(octets)),
            ("numeric_precision", integer(precision)),
            ("numeric_precision_radix", integer(radix)),
            ("numeric_scale", integer(scale)),
            ("datetime_precision", integer(datetime)),
            ("interval_type", optional(interval.as_deref())),
        ]
    }

    /// The three columns of PostgreSQL's name, which are called so.
    pub(super) fn named(&self, [catalog, schema, name]: [&'static str; 3]) -> [(&'static str, Value); 3] {
        let (own, called) = self.udt();
        [(catalog, text(DATABASE)), (schema, text(own)), (name, text(called))]
    }
}

/// What most tables call the columns of [`Facts::named`].
pub(super) const UDT: [&str; 3] = ["udt_catalog", "udt_schema", "udt_name"];
