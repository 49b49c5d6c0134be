//! Coded types: types whose values are byte strings (*codes*) in the order of the values. Enums, ranges, network
//! addresses, bit strings and composite types are coded; what the bytes say is [`crate::codes`]' business.
//!
//! I1. The Arrow type of a coded type is a struct of one binary column whose name is the type's
//!     ([`Coded::arrow_name`]): so the type survives whatever a query does with its values, without metadata.
//! I2. `Coded::parse_signature(t.signature()) = t`.

use std::fmt::Write;
use std::sync::Arc;

use crate::composite::{CompositeType, RECORD};
use crate::datatype::{SECOND_DIGITS_MAX, second_digits, split_parameters};
use crate::error::TypeError;

/// Begins the name of the struct's column (I1).
pub(crate) const ARROW_PREFIX: &str = "cairn:";
/// Begins the signature of an enum.
const ENUM_PREFIX: &str = "cairn.enum:";
/// Begins the signature of a composite type.
const COMPOSITE_PREFIX: &str = "cairn.row:";
/// Added to the id in the catalog, it is the object number of a type that users have made, or of the rows of a table: no
/// number of a type of the system's own.
pub const MADE_TYPES: u32 = 1 << 29;
/// Longest BIT(n), PostgreSQL's.
pub const BITS_MAX: u32 = 83_886_080;

/// A coded type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coded {
    /// CREATE TYPE … AS ENUM.
    Enum(Arc<EnumType>),
    /// INT4RANGE and its kin.
    Range(RangeKind),
    /// INET: an address with or without a network.
    Inet,
    /// CIDR: a network.
    Cidr,
    /// MACADDR.
    MacAddr,
    /// MACADDR8.
    MacAddr8,
    /// TIME(n) WITH TIME ZONE, rounded to n digits of a second.
    TimeTz(Option<u8>),
    /// BIT(n), n bits; without n any number of them, as operators give them.
    Bit(Option<u32>),
    /// BIT VARYING(n), at most n bits.
    VarBit(Option<u32>),
    /// CREATE TYPE … AS (…), the rows of a table, ROW(…).
    Composite(Arc<CompositeType>),
}

/// The range types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum RangeKind {
    Int4,
    Int8,
    Num,
    Date,
    Ts,
    TsTz,
}

impl RangeKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Int4, Self::Int8, Self::Num, Self::Date, Self::Ts, Self::TsTz];

    /// PostgreSQL's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int4 => "int4range",
            Self::Int8 => "int8range",
            Self::Num => "numrange",
            Self::Date => "daterange",
            Self::Ts => "tsrange",
            Self::TsTz => "tstzrange",
        }
    }
}

/// A label of an enum and its place: places are compared as numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct EnumLabel {
    /// Its place among the labels; never changes, and never NaN or -0.
    pub order: f64,
    /// The label.
    pub text: String,
}

/// An enum: its name and its labels by their order.
#[derive(Debug, Clone, PartialEq)]
pub struct EnumType {
    /// The id in the catalog.
    pub id: u32,
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
    /// The labels, by order.
    pub labels: Vec<EnumLabel>,
}

impl Eq for EnumType {}

impl std::hash::Hash for EnumType {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.labels.len().hash(state);
    }
}

impl EnumType {
    /// The name as SQL writes it: with its schema unless that is `public`.
    #[must_use]
    pub fn sql_name(&self) -> String {
        match self.schema.as_str() {
            "public" | "" => quoted(&self.name),
            schema => format!("{}.{}", quoted(schema), quoted(&self.name)),
        }
    }

    /// The code of a label.
    #[must_use]
    pub fn code_of(&self, label: &str) -> Option<Vec<u8>> {
        self.labels.iter().find(|known| known.text == label).map(|known| order_code(known.order).to_vec())
    }

    /// The label of a code.
    #[must_use]
    pub fn label_of(&self, code: &[u8]) -> Option<&str> {
        let known = self.labels.iter().find(|known| order_code(known.order) == code);
        known.map(|label| label.text.as_str())
    }
}

/// The code of a label's place: eight bytes in the order of the numbers.
#[must_use]
pub fn order_code(order: f64) -> [u8; 8] {
    let bits = order.to_bits();
    (if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }).to_be_bytes()
}

/// A name as it stands in SQL: quoted where it must be.
pub(crate) fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

impl Coded {
    /// The name with its parameters, as `format_type` gives it.
    #[must_use]
    pub fn sql_name(&self) -> String {
        match self {
            Self::Enum(ty) => ty.sql_name(),
            Self::Composite(ty) => ty.sql_name(),
            Self::Bit(Some(n)) => format!("bit({n})"),
            Self::VarBit(Some(n)) => format!("bit varying({n})"),
            Self::TimeTz(Some(n)) => format!("time({n}) with time zone"),
            _ => self.name().to_owned(),
        }
    }

    /// The name without parameters.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Enum(ty) => &ty.name,
            Self::Composite(ty) => &ty.name,
            Self::Range(kind) => kind.name(),
            Self::Inet => "inet",
            Self::Cidr => "cidr",
            Self::MacAddr => "macaddr",
            Self::MacAddr8 => "macaddr8",
            Self::TimeTz(_) => "time with time zone",
            Self::Bit(_) => "bit",
            Self::VarBit(_) => "bit varying",
        }
    }

    /// PostgreSQL's internal name (`pg_type.typname`).
    #[must_use]
    pub fn pg_name(&self) -> &str {
        match self {
            Self::VarBit(_) => "varbit",
            Self::TimeTz(_) => "timetz",
            _ => self.name(),
        }
    }

    /// PostgreSQL's object numbers of the type and of its array. Those of an enum and a composite type are
    /// its id in the catalog above [`MADE_TYPES`], and that above 2^30.
    #[must_use]
    pub fn pg_oids(&self) -> (u32, u32) {
        match self {
            Self::Enum(ty) => (ty.id | MADE_TYPES, ty.id | MADE_TYPES | 1 << 30),
            Self::Composite(ty) if ty.id == RECORD => (RECORD, 2287),
            Self::Composite(ty) => (ty.id | MADE_TYPES, ty.id | MADE_TYPES | 1 << 30),
            Self::Range(RangeKind::Int4) => (3904, 3905),
            Self::Range(RangeKind::Num) => (3906, 3907),
            Self::Range(RangeKind::Ts) => (3908, 3909),
            Self::Range(RangeKind::TsTz) => (3910, 3911),
            Self::Range(RangeKind::Date) => (3912, 3913),
            Self::Range(RangeKind::Int8) => (3926, 3927),
            Self::Inet => (869, 1041),
            Self::Cidr => (650, 651),
            Self::MacAddr => (829, 1040),
            Self::MacAddr8 => (774, 775),
            Self::TimeTz(_) => (1266, 1270),
            Self::Bit(_) => (1560, 1561),
            Self::VarBit(_) => (1562, 1563),
        }
    }

    /// Whether values of both have the same codes: the same type but for a length.
    #[must_use]
    pub fn is_kind_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bit(_), Self::Bit(_))
            | (Self::VarBit(_), Self::VarBit(_))
            | (Self::TimeTz(_), Self::TimeTz(_)) => true,
            (Self::Enum(a), Self::Enum(b)) => a.id == b.id,
            (Self::Composite(a), Self::Composite(b)) => a.is_kind_of(b),
            (a, b) => a == b,
        }
    }

    /// The same without a length.
    #[must_use]
    pub fn without_length(&self) -> Self {
        match self {
            Self::Bit(_) => Self::Bit(None),
            Self::VarBit(_) => Self::VarBit(None),
            Self::TimeTz(_) => Self::TimeTz(None),
            other => other.clone(),
        }
    }

    /// The name of the struct's column (I1).
    #[must_use]
    pub fn arrow_name(&self) -> String {
        format!("{ARROW_PREFIX}{}", self.without_length().signature())
    }

    /// The type of a struct's column of that name.
    #[must_use]
    pub fn from_arrow_name(name: &str) -> Option<Self> {
        Self::parse_signature(name.strip_prefix(ARROW_PREFIX)?)
    }

    /// All that there is to know of the type, as text without quotes and blanks but in SQL's own names (I2).
    #[must_use]
    pub fn signature(&self) -> String {
        match self {
            Self::Enum(ty) => {
                let mut out = format!("{ENUM_PREFIX}{}:", ty.id);
                escape(&ty.schema, &mut out);
                out.push(':');
                escape(&ty.name, &mut out);
                for label in &ty.labels {
                    let _ = write!(out, ":{:x}=", label.order.to_bits());
                    escape(&label.text, &mut out);
                }
                out
            }
            Self::Composite(ty) => {
                let mut out = COMPOSITE_PREFIX.to_owned();
                ty.signature(&mut out);
                out
            }
            // What `bit` alone means is BIT(1).
            Self::Bit(None) => "bit(0)".to_owned(),
            _ => self.sql_name(),
        }
    }

    /// Reads a signature, and the SQL names of the types that are PostgreSQL's own, in lower case.
    #[must_use]
    pub fn parse_signature(text: &str) -> Option<Self> {
        if let Some(parts) = text.strip_prefix(ENUM_PREFIX) {
            return parse_enum(parts).map(|ty| Self::Enum(Arc::new(ty)));
        }
        if let Some(parts) = text.strip_prefix(COMPOSITE_PREFIX) {
            return CompositeType::parse(parts).map(|ty| Self::Composite(Arc::new(ty)));
        }
        if let Some(kind) = RangeKind::ALL.into_iter().find(|kind| kind.name() == text) {
            return Some(Self::Range(kind));
        }
        Some(match text {
            "inet" => Self::Inet,
            "cidr" => Self::Cidr,
            "macaddr" => Self::MacAddr,
            "macaddr8" => Self::MacAddr8,
            "bit" => Self::Bit(Some(1)),
            "bit varying" | "varbit" => Self::VarBit(None),
            _ => {
                if let Some((name, parameters)) = split_parameters(text)
                    && matches!(name.as_str(), "timetz" | "time with time zone")
                {
                    return second_digits(&parameters).map(Self::TimeTz);
                }
                let (name, length) = text.strip_suffix(')')?.split_once('(')?;
                let length: u32 = length.trim().parse().ok()?;
                match name.trim() {
                    "bit" if length == 0 => Self::Bit(None),
                    "bit" if length <= BITS_MAX => Self::Bit(Some(length)),
                    "bit varying" | "varbit" if (1..=BITS_MAX).contains(&length) => {
                        Self::VarBit(Some(length))
                    }
                    _ => return None,
                }
            }
        })
    }

    /// Appends the catalog code without its tag: a number for the type, and its parameter as u32.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let (kind, parameter) = match self {
            Self::Enum(ty) => (1, ty.id),
            Self::Range(range) => {
                let number = match range {
                    RangeKind::Int4 => 2,
                    RangeKind::Int8 => 3,
                    RangeKind::Num => 4,
                    RangeKind::Date => 5,
                    RangeKind::Ts => 6,
                    RangeKind::TsTz => 7,
                };
                (number, 0)
            }
            Self::Inet => (8, 0),
            Self::Cidr => (9, 0),
            Self::MacAddr => (10, 0),
            Self::Bit(n) => (11, n.unwrap_or(0)),
            Self::VarBit(n) => (12, n.unwrap_or(0)),
            Self::Composite(ty) => (13, ty.id),
            Self::MacAddr8 => (14, 0),
            // 0 is no digits, as with bits: one more than the digits otherwise.
            Self::TimeTz(digits) => (15, digits.map_or(0, |digits| u32::from(digits) + 1)),
        };
        out.push(kind);
        out.extend_from_slice(&u32::to_le_bytes(parameter));
    }

    /// Reads the catalog code. An enum and a composite type have their id alone; what else there is stands in
    /// their own entry.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Result<Self, TypeError> {
        let short = || TypeError::corrupt("type", 1, "cut short");
        let (head, rest) = bytes.split_first_chunk::<5>().ok_or_else(short)?;
        *bytes = rest;
        let n = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let range = |kind| if n == 0 { Ok(Self::Range(kind)) } else { Err(short()) };
        let length = (n > 0).then_some(n);
        Ok(match head[0] {
            1 => Self::Enum(Arc::new(EnumType {
                id: n,
                schema: String::new(),
                name: String::new(),
                labels: Vec::new(),
            })),
            2 => range(RangeKind::Int4)?,
            3 => range(RangeKind::Int8)?,
            4 => range(RangeKind::Num)?,
            5 => range(RangeKind::Date)?,
            6 => range(RangeKind::Ts)?,
            7 => range(RangeKind::TsTz)?,
            8 if n == 0 => Self::Inet,
            9 if n == 0 => Self::Cidr,
            10 if n == 0 => Self::MacAddr,
            11 if n <= BITS_MAX => Self::Bit(length),
            12 if n <= BITS_MAX => Self::VarBit(length),
            14 if n == 0 => Self::MacAddr8,
            15 if n == 0 => Self::TimeTz(None),
            15 if n <= u32::from(SECOND_DIGITS_MAX) + 1 => Self::TimeTz(Some((n - 1) as u8)),
            13 => Self::Composite(Arc::new(CompositeType {
                id: n,
                schema: String::new(),
                name: String::new(),
                fields: Vec::new(),
            })),
            other => return Err(TypeError::corrupt("type", 1, format!("coded type {other} of {n}"))),
        })
    }
}

/// Letters, digits and `_` stand for themselves, every other byte is `%` and two hexadecimal digits.
pub(crate) fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
}

pub(crate) fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn parse_enum(parts: &str) -> Option<EnumType> {
    let mut parts = parts.split(':');
    let id = parts.next()?.parse().ok()?;
    let schema = unescape(parts.next()?)?;
    let name = unescape(parts.next()?)?;
    let labels = parts.map(|part| {
        let (order, text) = part.split_once('=')?;
        let order = f64::from_bits(u64::from_str_radix(order, 16).ok()?);
        Some(EnumLabel { order, text: unescape(text)? })
    });
    Some(EnumType { id, schema, name, labels: labels.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::composite::CompositeField;
    use crate::datatype::DataType;

    #[test]
    fn signatures_come_back() {
        let label = |order, text: &str| EnumLabel { order, text: text.to_owned() };
        let ty = EnumType {
            id: 1007,
            schema: "S x".to_owned(),
            name: "a\"b:c=%".to_owned(),
            labels: vec![label(-1.5, "née"), label(0.0, ""), label(2.0, "a=b:c'")],
        };
        let ty = Coded::Enum(Arc::new(ty));
        let field = |name: &str, ty, dropped| CompositeField { name: name.to_owned(), ty, dropped };
        let inner = CompositeType {
            id: 1008,
            schema: "public".to_owned(),
            name: "i".to_owned(),
            fields: vec![
                field("a b", DataType::Coded(ty.clone()), false),
                field("!", DataType::Numeric(Some((5, 2))), true),
            ],
        };
        let inner = DataType::Coded(Coded::Composite(Arc::new(inner)));
        let outer = CompositeType::record([("f1".to_owned(), DataType::Array(Box::new(inner)))]);
        let all = [
            ty,
            Coded::Composite(outer),
            Coded::Range(RangeKind::TsTz),
            Coded::Inet,
            Coded::Bit(None),
            Coded::Bit(Some(7)),
            Coded::VarBit(None),
            Coded::VarBit(Some(7)),
        ];
        for coded in all {
            assert_eq!(Coded::parse_signature(&coded.signature()).unwrap(), coded);
            assert!(!coded.signature().contains('"'));
            let arrow = Coded::from_arrow_name(&coded.arrow_name()).unwrap();
            assert_eq!(arrow, coded.without_length());
        }
    }

    #[test]
    fn places_are_ordered_as_numbers() {
        let orders = [-2.0, -1.5, 0.0, 0.25, 1.0, 1e9];
        assert!(orders.windows(2).all(|pair| order_code(pair[0]) < order_code(pair[1])));
    }
}
