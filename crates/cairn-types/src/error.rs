//! The one error of this crate: what a caller can do differently is a variant, words are PostgreSQL's.

use thiserror::Error;

/// What is wrong with a text, a value or an encoded form.
///
/// [`TypeError::sqlstate`] gives PostgreSQL's code, `Display` its primary message (lower case, no full
/// stop), [`TypeError::detail`] its detail line where there is one.
///
/// ```
/// use cairn_types::{DataType, TypeError, Value};
/// let error = TypeError::InvalidText { type_name: "integer".into(), input: "abc".into() };
/// assert_eq!(error.to_string(), "invalid input syntax for type integer: \"abc\"");
/// assert_eq!(error.sqlstate(), "22P02");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TypeError {
    /// The text is not of the type's form (22P02).
    #[error("invalid input syntax for type {type_name}: \"{input}\"")]
    InvalidText {
        /// SQL name of the type.
        type_name: String,
        /// The text as given.
        input: String,
    },
    /// The text is not a date, time or interval (22007).
    #[error("invalid input syntax for type {type_name}: \"{input}\"")]
    InvalidDatetime {
        /// SQL name of the type.
        type_name: String,
        /// The text as given.
        input: String,
    },
    /// A field of a date or time is outside its range, as month 13 (22008).
    #[error("date/time field value out of range: \"{input}\"")]
    DatetimeField {
        /// The text as given.
        input: String,
    },
    /// The date, timestamp or interval as a whole cannot be represented (22008).
    #[error("{type_name} out of range: \"{input}\"")]
    DatetimeRange {
        /// `date`, `timestamp` or `interval`.
        type_name: String,
        /// The text as given.
        input: String,
    },
    /// A time zone that is not known (22023).
    #[error("time zone \"{zone}\" not recognized")]
    TimeZone {
        /// The zone as given.
        zone: String,
    },
    /// The number does not fit the type (22003).
    #[error("value \"{input}\" is out of range for type {type_name}")]
    OutOfRange {
        /// SQL name of the type.
        type_name: String,
        /// The number as given.
        input: String,
    },
    /// The number does not fit the type, with no text at hand (22003).
    #[error("{type_name} out of range")]
    TypeRange {
        /// SQL name of the type.
        type_name: String,
    },
    /// The number has more digits than NUMERIC(p,s) holds (22003).
    #[error("numeric field overflow")]
    NumericOverflow {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// More digits than any NUMERIC here holds: 38 (22003).
    #[error("value overflows numeric format")]
    NumericFormat,
    /// The text is longer than VARCHAR(n) or CHAR(n) allows (22001).
    #[error("value too long for type {type_name}")]
    TooLong {
        /// SQL name of the type with its length.
        type_name: String,
    },
    /// Not the hexadecimal form of bytes (22023).
    #[error("invalid hexadecimal {what}")]
    InvalidHex {
        /// The digit, or that one is missing.
        what: String,
    },
    /// Not an array literal (22P02).
    #[error("malformed array literal: \"{input}\"")]
    MalformedArray {
        /// The text as given.
        input: String,
        /// What is wrong.
        detail: String,
    },
    /// Not JSON (22P02).
    #[error("invalid input syntax for type {type_name}")]
    InvalidJson {
        /// `json` or `jsonb`.
        type_name: String,
        /// What is wrong and where.
        detail: String,
    },
    /// A text or value that the rules of its own type refuse, with that type's code and words.
    #[error("{message}")]
    Invalid {
        /// The code.
        sqlstate: &'static str,
        /// What is wrong.
        message: String,
        /// The detail line.
        detail: Option<String>,
    },
    /// Bytes that are not UTF-8 (22021).
    #[error("invalid byte sequence for encoding \"UTF8\"")]
    InvalidUtf8,
    /// A value or Arrow array of another type than wanted (42804).
    #[error("expected a value of type {expected}, found {found}")]
    Mismatch {
        /// The type that was wanted.
        expected: String,
        /// What came.
        found: String,
    },
    /// Values of this type cannot stand in a key (42704, as PostgreSQL says of a missing operator class).
    #[error("data type {type_name} has no default operator class for access method \"btree\"")]
    NotIndexable {
        /// SQL name of the type.
        type_name: String,
    },
    /// The value has no exact form in the key's type, as 1.234 in NUMERIC(5,2) (22003).
    #[error("value {value} is not exact in type {type_name}")]
    Inexact {
        /// SQL name of the type.
        type_name: String,
        /// The value as text.
        value: String,
    },
    /// Understood and not supported (0A000).
    #[error("{what} is not supported")]
    Unsupported {
        /// What is not supported.
        what: String,
    },
    /// Encoded bytes that no encoder wrote (XX001).
    #[error("corrupt {what} code at byte {offset}: {detail}")]
    Corrupt {
        /// `row`, `key` or `type`.
        what: &'static str,
        /// Offset in the encoded form.
        offset: usize,
        /// What was expected and found.
        detail: String,
    },
}

impl TypeError {
    /// The five-character SQLSTATE that PostgreSQL gives for this error.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Invalid { sqlstate, .. } => sqlstate,
            Self::InvalidHex { .. } => "22023",
            Self::InvalidText { .. } | Self::MalformedArray { .. } | Self::InvalidJson { .. } => "22P02",
            Self::InvalidDatetime { .. } => "22007",
            Self::DatetimeField { .. } | Self::DatetimeRange { .. } => "22008",
            Self::TimeZone { .. } => "22023",
            Self::OutOfRange { .. }
            | Self::TypeRange { .. }
            | Self::NumericOverflow { .. }
            | Self::NumericFormat
            | Self::Inexact { .. } => "22003",
            Self::TooLong { .. } => "22001",
            Self::InvalidUtf8 => "22021",
            Self::Mismatch { .. } => "42804",
            Self::NotIndexable { .. } => "42704",
            Self::Unsupported { .. } => "0A000",
            Self::Corrupt { .. } => "XX001",
        }
    }

    /// PostgreSQL's detail line, where there is one.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::NumericOverflow { precision, scale } => {
                let whole = i16::from(*precision) - i16::from(*scale);
                let bound = if whole > 0 { format!("10^{whole}") } else { "1".to_owned() };
                Some(format!(
                    "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
                ))
            }
            Self::NumericFormat => {
                Some("A numeric value holds at most 38 digits before the point and 36 after it.".to_owned())
            }
            Self::MalformedArray { detail, .. } | Self::InvalidJson { detail, .. } => Some(detail.clone()),
            Self::Invalid { detail, .. } => detail.clone(),
            _ => None,
        }
    }

    /// Shorthand for a refusal with its code.
    pub(crate) fn invalid(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { sqlstate, message: message.into(), detail: None }
    }

    /// Shorthand of the decoders.
    pub(crate) fn corrupt(what: &'static str, offset: usize, detail: impl Into<String>) -> Self {
        Self::Corrupt { what, offset, detail: detail.into() }
    }
}
