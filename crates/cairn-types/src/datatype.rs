//! SQL types: their names as PostgreSQL writes and reads them, and their permanent catalog code.
//!
//! The catalog code is one byte and, for types with parameters, the parameters after it. The numbers
//! stand in `docs/format/key.md` and never change.

use crate::coded::Coded;
use crate::error::TypeError;
use crate::interval::IntervalLimit;

/// Largest precision of NUMERIC(p,s).
pub const NUMERIC_PRECISION_MAX: u8 = 38;
/// What NUMERIC without parameters once was: code 7 of the catalog.
const NUMERIC_BEFORE: (u8, i8) = (38, 10);
/// Largest n of VARCHAR(n) and CHAR(n), PostgreSQL's.
pub const CHARACTER_LENGTH_MAX: u32 = 10_485_760;
/// Most digits of a second that times have; more are taken for as many, as PostgreSQL does.
pub const SECOND_DIGITS_MAX: u8 = 6;
/// Most dimensions of an array, PostgreSQL's.
pub const ARRAY_DIMENSIONS_MAX: usize = 6;

/// A SQL type with its parameters.
///
/// ```
/// use cairn_types::DataType;
/// assert_eq!(DataType::parse("varchar(10)"), Some(DataType::Varchar(Some(10))));
/// assert_eq!(DataType::TimestampTz(None).sql_name(), "timestamp with time zone");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    /// BOOLEAN.
    Boolean,
    /// SMALLINT, 16 bits.
    SmallInt,
    /// INTEGER, 32 bits.
    Integer,
    /// BIGINT, 64 bits.
    BigInt,
    /// REAL, IEEE single.
    Real,
    /// DOUBLE PRECISION, IEEE double.
    Double,
    /// NUMERIC(precision, scale) with precision ≤ 38 and 0 ≤ scale ≤ precision (negative scales come only
    /// from computed columns); without parameters every value has its own scale, and may be NaN or infinite
    /// ([`crate::decimal::wide`]).
    Numeric(Option<(u8, i8)>),
    /// TEXT.
    Text,
    /// VARCHAR(n), n in characters.
    Varchar(Option<u32>),
    /// CHAR(n): blank-padded to n characters, compared without trailing blanks.
    Char(u32),
    /// BYTEA.
    Bytea,
    /// DATE: days since 1970-01-01.
    Date,
    /// TIME(n): microseconds since midnight, rounded to n digits of a second.
    Time(Option<u8>),
    /// TIMESTAMP(n): microseconds since 1970-01-01 00:00.
    Timestamp(Option<u8>),
    /// TIMESTAMPTZ(n): microseconds since 1970-01-01 00:00 UTC.
    TimestampTz(Option<u8>),
    /// INTERVAL with its fields and digits: months, days, nanoseconds.
    Interval(Option<IntervalLimit>),
    /// UUID.
    Uuid,
    /// JSON: text as given, checked.
    Json,
    /// JSONB: text as PostgreSQL prints it.
    Jsonb,
    /// Array of any other type; an array of arrays is a further dimension.
    Array(Box<DataType>),
    /// A type whose values are byte codes in the values' order: enums, ranges, addresses, bit strings,
    /// composite types.
    Coded(Coded),
}

impl DataType {
    /// The name as PostgreSQL's `format_type` gives it: `character varying(10)`, `integer[]`.
    #[must_use]
    pub fn sql_name(&self) -> String {
        match self {
            Self::Numeric(Some((p, s))) => format!("numeric({p},{s})"),
            Self::Varchar(Some(n)) => format!("character varying({n})"),
            Self::Char(n) => format!("character({n})"),
            Self::Time(Some(n)) => format!("time({n}) without time zone"),
            Self::Timestamp(Some(n)) => format!("timestamp({n}) without time zone"),
            Self::TimestampTz(Some(n)) => format!("timestamp({n}) with time zone"),
            Self::Interval(Some(limit)) => format!("interval{limit}"),
            Self::Array(element) => format!("{}[]", element.sql_name()),
            Self::Coded(coded) => coded.sql_name(),
            _ => self.base_name().to_owned(),
        }
    }

    /// All that there is to know of the type, as text from which [`DataType::parse`] makes it again: the SQL name but
    /// for enums and composite types, whose labels and fields it holds.
    #[must_use]
    pub fn signature(&self) -> String {
        match self {
            Self::Array(element) => format!("{}[]", element.signature()),
            Self::Coded(coded) => coded.signature(),
            _ => self.sql_name(),
        }
    }

    /// The name without parameters, as error messages of PostgreSQL use it: `numeric`, `character varying`.
    /// For an array the element's.
    #[must_use]
    pub fn base_name(&self) -> &str {
        match self {
            Self::Boolean => "boolean",
            Self::SmallInt => "smallint",
            Self::Integer => "integer",
            Self::BigInt => "bigint",
            Self::Real => "real",
            Self::Double => "double precision",
            Self::Numeric(_) => "numeric",
            Self::Text => "text",
            Self::Varchar(_) => "character varying",
            Self::Char(_) => "character",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time(_) => "time without time zone",
            Self::Timestamp(_) => "timestamp without time zone",
            Self::TimestampTz(_) => "timestamp with time zone",
            Self::Interval(_) => "interval",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Coded(coded) => coded.name(),
            Self::Array(element) => element.base_name(),
        }
    }

    /// PostgreSQL's internal name (`pg_type.typname`): `int4`, `varchar`, `_int4`.
    #[must_use]
    pub fn pg_name(&self) -> String {
        let name = match self {
            Self::Boolean => "bool",
            Self::SmallInt => "int2",
            Self::Integer => "int4",
            Self::BigInt => "int8",
            Self::Real => "float4",
            Self::Double => "float8",
            Self::Varchar(_) => "varchar",
            Self::Char(_) => "bpchar",
            Self::Time(_) => "time",
            Self::Timestamp(_) => "timestamp",
            Self::TimestampTz(_) => "timestamptz",
            Self::Coded(coded) => coded.pg_name(),
            Self::Array(element) => {
                let mut inner = element.as_ref();
                while let Self::Array(next) = inner {
                    inner = next;
                }
                return format!("_{}", inner.pg_name());
            }
            _ => self.base_name(),
        };
        name.to_owned()
    }

    /// PostgreSQL's object number of the type (`pg_type.oid`); arrays of one element type share one.
    #[must_use]
    pub fn pg_oid(&self) -> u32 {
        match self {
            Self::Boolean => 16,
            Self::SmallInt => 21,
            Self::Integer => 23,
            Self::BigInt => 20,
            Self::Real => 700,
            Self::Double => 701,
            Self::Numeric(_) => 1700,
            Self::Text => 25,
            Self::Varchar(_) => 1043,
            Self::Char(_) => 1042,
            Self::Bytea => 17,
            Self::Date => 1082,
            Self::Time(_) => 1083,
            Self::Timestamp(_) => 1114,
            Self::TimestampTz(_) => 1184,
            Self::Interval(_) => 1186,
            Self::Uuid => 2950,
            Self::Json => 114,
            Self::Jsonb => 3802,
            Self::Coded(coded) => coded.pg_oids().0,
            Self::Array(element) => element.array_oid(),
        }
    }

    fn array_oid(&self) -> u32 {
        match self {
            Self::Boolean => 1000,
            Self::SmallInt => 1005,
            Self::Integer => 1007,
            Self::BigInt => 1016,
            Self::Real => 1021,
            Self::Double => 1022,
            Self::Numeric(_) => 1231,
            Self::Text => 1009,
            Self::Varchar(_) => 1015,
            Self::Char(_) => 1014,
            Self::Bytea => 1001,
            Self::Date => 1182,
            Self::Time(_) => 1183,
            Self::Timestamp(_) => 1115,
            Self::TimestampTz(_) => 1185,
            Self::Interval(_) => 1187,
            Self::Uuid => 2951,
            Self::Json => 199,
            Self::Jsonb => 3807,
            Self::Coded(coded) => coded.pg_oids().1,
            Self::Array(element) => element.array_oid(),
        }
    }

    /// Whether values can stand in a key. JSON and JSONB cannot (nor arrays of them).
    #[must_use]
    pub fn is_indexable(&self) -> bool {
        match self {
            Self::Json | Self::Jsonb => false,
            Self::Array(element) => element.is_indexable(),
            Self::Coded(Coded::Composite(ty)) => ty.live().all(|(_, field)| field.ty.is_indexable()),
            _ => true,
        }
    }

    /// Whether a value decoded from its key is the value itself: false for types of which several forms
    /// compare as equal (0 and -0, `1 mon` and `30 days`, 1.0 and 1.00).
    #[must_use]
    pub fn is_key_exact(&self) -> bool {
        match self {
            Self::Real
            | Self::Double
            | Self::Interval(_)
            | Self::Json
            | Self::Jsonb
            | Self::Numeric(None) => false,
            Self::Array(element) => element.is_key_exact(),
            _ => true,
        }
    }

    /// Whether the type is one of TEXT, VARCHAR and CHAR.
    #[must_use]
    pub fn is_character(&self) -> bool {
        matches!(self, Self::Text | Self::Varchar(_) | Self::Char(_))
    }

    /// Whether the type is a number.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        matches!(
            self,
            Self::SmallInt | Self::Integer | Self::BigInt | Self::Real | Self::Double | Self::Numeric(_)
        )
    }

    /// The same without digits of a second and fields of an interval: what expressions are of.
    #[must_use]
    pub fn without_limit(self) -> Self {
        match self {
            Self::Time(_) => Self::Time(None),
            Self::Timestamp(_) => Self::Timestamp(None),
            Self::TimestampTz(_) => Self::TimestampTz(None),
            Self::Interval(_) => Self::Interval(None),
            Self::Coded(coded @ Coded::TimeTz(_)) => Self::Coded(coded.without_length()),
            Self::Array(element) => Self::Array(Box::new(element.without_limit())),
            other => other,
        }
    }

    /// Reads any of PostgreSQL's spellings (`int4`, `float8`, `character varying(10)`, `timestamptz`,
    /// `double  precision`, `int[]`, `integer array`), in any case. `None` for everything else: unknown names,
    /// parameters out of range, precisions of times below 0, and `serial`, which is no type.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Signatures keep their case.
        let words = match text.starts_with("cairn.") {
            true => text.to_owned(),
            false => text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase(),
        };
        let mut rest = words.as_str();
        let mut dimensions = 0;
        loop {
            rest = rest.trim_end();
            if let Some(head) = rest.strip_suffix(']') {
                let open = head.rfind('[')?;
                if !head[open + 1..].bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                rest = &rest[..open];
            } else if let Some(head) = rest.strip_suffix(" array") {
                rest = head;
            } else {
                break;
            }
            dimensions += 1;
            if dimensions > ARRAY_DIMENSIONS_MAX {
                return None;
            }
        }
        let mut parsed = Self::parse_scalar(rest)?;
        for _ in 0..dimensions {
            parsed = Self::Array(Box::new(parsed));
        }
        Some(parsed)
    }

    fn parse_scalar(text: &str) -> Option<Self> {
        let text = text.strip_prefix("pg_catalog.").unwrap_or(text);
        if let Some(coded) = Coded::parse_signature(text) {
            return Some(Self::Coded(coded));
        }
        let (name, parameters) = split_parameters(text)?;
        let one = || match parameters.as_slice() {
            [] => Some(None),
            [n] => u32::try_from(*n).ok().filter(|n| (1..=CHARACTER_LENGTH_MAX).contains(n)).map(Some),
            _ => None,
        };
        let digits = || second_digits(&parameters);
        let parsed = match name.as_str() {
            "numeric" | "decimal" | "dec" => return Self::numeric_from(&parameters),
            "varchar" | "character varying" | "char varying" => return Some(Self::Varchar(one()?)),
            "char" | "character" => return Some(Self::Char(one()?.unwrap_or(1))),
            "bpchar" => return one()?.map_or(Some(Self::Text), |n| Some(Self::Char(n))),
            "float" => {
                return match parameters.as_slice() {
                    [] | [25..=53] => Some(Self::Double),
                    [1..=24] => Some(Self::Real),
                    _ => None,
                };
            }
            "time" | "time without time zone" => return Some(Self::Time(digits()?)),
            "timestamp" | "timestamp without time zone" => return Some(Self::Timestamp(digits()?)),
            "timestamptz" | "timestamp with time zone" => return Some(Self::TimestampTz(digits()?)),
            name if name == "interval" || name.starts_with("interval ") => {
                return IntervalLimit::parse(&name["interval".len()..], digits()?).map(Self::Interval);
            }
            "bool" | "boolean" => Self::Boolean,
            "smallint" | "int2" => Self::SmallInt,
            "int" | "integer" | "int4" => Self::Integer,
            "bigint" | "int8" | "oid" => Self::BigInt,
            "real" | "float4" => Self::Real,
            "double precision" | "float8" | "double" => Self::Double,
            "text" | "string" | "name" => Self::Text,
            "bytea" | "blob" => Self::Bytea,
            "date" => Self::Date,
            "uuid" => Self::Uuid,
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            _ => return None,
        };
        parameters.is_empty().then_some(parsed)
    }

    fn numeric_from(parameters: &[i64]) -> Option<Self> {
        let (precision, scale) = match parameters {
            [] => return Some(Self::Numeric(None)),
            [p] => (*p, 0),
            [p, s] => (*p, *s),
            _ => return None,
        };
        let in_range = (1..=i64::from(NUMERIC_PRECISION_MAX)).contains(&precision);
        let scaled = (-i64::from(NUMERIC_PRECISION_MAX)..=precision).contains(&scale);
        (in_range && scaled).then_some(Self::Numeric(Some((precision as u8, scale as i8))))
    }

    /// Appends the catalog code: a tag byte and the parameters, little-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Boolean => out.push(1),
            Self::SmallInt => out.push(2),
            Self::Integer => out.push(3),
            Self::BigInt => out.push(4),
            Self::Real => out.push(5),
            Self::Double => out.push(6),
            Self::Numeric(None) => out.push(22),
            Self::Numeric(Some((p, s))) => out.extend_from_slice(&[8, *p, s.to_le_bytes()[0]]),
            Self::Text => out.push(9),
            Self::Varchar(None) => out.push(10),
            Self::Varchar(Some(n)) => {
                out.push(11);
                out.extend_from_slice(&n.to_le_bytes());
            }
            Self::Char(n) => {
                out.push(12);
                out.extend_from_slice(&n.to_le_bytes());
            }
            Self::Bytea => out.push(13),
            Self::Date => out.push(14),
            Self::Time(None) => out.push(15),
            Self::Time(Some(n)) => out.extend_from_slice(&[24, *n]),
            Self::Timestamp(None) => out.push(16),
            Self::Timestamp(Some(n)) => out.extend_from_slice(&[25, *n]),
            Self::TimestampTz(None) => out.push(17),
            Self::TimestampTz(Some(n)) => out.extend_from_slice(&[26, *n]),
            Self::Interval(None) => out.push(18),
            Self::Interval(Some(limit)) => {
                out.push(27);
                out.extend_from_slice(&limit.to_code());
            }
            Self::Uuid => out.push(19),
            Self::Json => out.push(20),
            Self::Jsonb => out.push(21),
            Self::Coded(coded) => {
                out.push(33);
                coded.encode(out);
            }
            Self::Array(element) => {
                out.push(32);
                element.encode(out);
            }
        }
    }

    /// Reads a catalog code from the front of `bytes` and moves `bytes` behind it.
    ///
    /// # Errors
    /// [`TypeError::Corrupt`] where the code is cut short, the tag is unknown, or a parameter is out of range.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, TypeError> {
        let mut dimensions = 0;
        while bytes.first() == Some(&32) {
            *bytes = &bytes[1..];
            dimensions += 1;
            if dimensions > ARRAY_DIMENSIONS_MAX {
                return Err(TypeError::corrupt("type", dimensions, "array of too many dimensions"));
            }
        }
        let mut decoded = Self::decode_scalar(bytes)?;
        for _ in 0..dimensions {
            decoded = Self::Array(Box::new(decoded));
        }
        Ok(decoded)
    }

    fn decode_scalar(bytes: &mut &[u8]) -> Result<Self, TypeError> {
        let short = || TypeError::corrupt("type", 0, "cut short");
        let (&tag, rest) = bytes.split_first().ok_or_else(short)?;
        *bytes = rest;
        if tag == 33 {
            return Coded::decode(bytes).map(Self::Coded);
        }
        let mut length = || -> Result<u32, TypeError> {
            let (head, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
            *bytes = rest;
            let n = u32::from_le_bytes(*head);
            if (1..=CHARACTER_LENGTH_MAX).contains(&n) {
                Ok(n)
            } else {
                Err(TypeError::corrupt("type", 1, format!("length {n} out of range")))
            }
        };
        Ok(match tag {
            1 => Self::Boolean,
            2 => Self::SmallInt,
            3 => Self::Integer,
            4 => Self::BigInt,
            5 => Self::Real,
            6 => Self::Double,
            7 => Self::Numeric(Some(NUMERIC_BEFORE)),
            8 => {
                let (head, rest) = bytes.split_first_chunk::<2>().ok_or_else(short)?;
                *bytes = rest;
                let parameters = [i64::from(head[0]), i64::from(i8::from_le_bytes([head[1]]))];
                Self::numeric_from(&parameters)
                    .ok_or_else(|| TypeError::corrupt("type", 1, "numeric parameters out of range"))?
            }
            9 => Self::Text,
            10 => Self::Varchar(None),
            11 => Self::Varchar(Some(length()?)),
            12 => Self::Char(length()?),
            13 => Self::Bytea,
            14 => Self::Date,
            15 => Self::Time(None),
            16 => Self::Timestamp(None),
            17 => Self::TimestampTz(None),
            18 => Self::Interval(None),
            19 => Self::Uuid,
            20 => Self::Json,
            21 => Self::Jsonb,
            22 => Self::Numeric(None),
            24..=26 => {
                let (&n, rest) = bytes.split_first().ok_or_else(short)?;
                *bytes = rest;
                if n > SECOND_DIGITS_MAX {
                    return Err(TypeError::corrupt("type", 1, format!("{n} digits of a second")));
                }
                match tag {
                    24 => Self::Time(Some(n)),
                    25 => Self::Timestamp(Some(n)),
                    _ => Self::TimestampTz(Some(n)),
                }
            }
            27 => {
                let (head, rest) = bytes.split_first_chunk::<2>().ok_or_else(short)?;
                *bytes = rest;
                let limit = IntervalLimit::from_code(*head);
                Self::Interval(Some(
                    limit.ok_or_else(|| TypeError::corrupt("type", 1, "fields of an interval"))?,
                ))
            }
            _ => return Err(TypeError::corrupt("type", 0, format!("unknown tag {tag}"))),
        })
    }
}

impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sql_name())
    }
}

/// The digits of a second that a type's parameters say.
pub(crate) fn second_digits(parameters: &[i64]) -> Option<Option<u8>> {
    match parameters {
        [] => Some(None),
        [n] if *n >= 0 => Some(Some((*n).min(i64::from(SECOND_DIGITS_MAX)) as u8)),
        _ => None,
    }
}

/// Splits `timestamp (6) with time zone` into its words and its parameters.
pub(crate) fn split_parameters(text: &str) -> Option<(String, Vec<i64>)> {
    let Some(open) = text.find('(') else {
        return Some((text.trim().to_owned(), Vec::new()));
    };
    let close = open + text[open..].find(')')?;
    let parameters =
        text[open + 1..close].split(',').map(|p| p.trim().parse().ok()).collect::<Option<Vec<i64>>>()?;
    let tail = text[close + 1..].trim();
    let mut name = text[..open].trim().to_owned();
    if !tail.is_empty() {
        name.push(' ');
        name.push_str(tail);
    }
    Some((name, parameters))
}
