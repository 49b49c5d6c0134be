//! Mapping between SQL types and Arrow types and fields.
//!
//! A field carries the SQL type's name in its metadata (`cairn.type`) where the type shares its Arrow type
//! with another (JSON and TEXT), so that it survives a way through Arrow. Where the metadata is missing or
//! disagrees with the Arrow type (a computed column that inherited it), the Arrow type decides.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Fields, IntervalUnit, TimeUnit};

use crate::coded::Coded;
use crate::datatype::{DataType, NUMERIC_PRECISION_MAX};
use crate::decimal::wide;

/// Metadata key that holds the SQL name of a field's type.
pub const TYPE_METADATA_KEY: &str = "cairn.type";
const EXTENSION_KEY: &str = "ARROW:extension:name";
const EXTENSION_METADATA_KEY: &str = "ARROW:extension:metadata";

impl DataType {
    /// The Arrow type in which values of this type stand in batches.
    #[must_use]
    pub fn to_arrow(&self) -> ArrowType {
        match self {
            Self::Boolean => ArrowType::Boolean,
            Self::SmallInt => ArrowType::Int16,
            Self::Integer => ArrowType::Int32,
            Self::BigInt => ArrowType::Int64,
            Self::Real => ArrowType::Float32,
            Self::Double => ArrowType::Float64,
            Self::Numeric(Some((precision, scale))) => ArrowType::Decimal128(*precision, *scale),
            Self::Numeric(None) => wide::ARROW,
            Self::Text | Self::Varchar(_) | Self::Char(_) | Self::Json | Self::Jsonb => ArrowType::Utf8,
            Self::Bytea => ArrowType::Binary,
            Self::Date => ArrowType::Date32,
            Self::Time(_) => ArrowType::Time64(TimeUnit::Microsecond),
            Self::Timestamp(_) => ArrowType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz(_) => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval(_) => ArrowType::Interval(IntervalUnit::MonthDayNano),
            Self::Uuid => ArrowType::FixedSizeBinary(16),
            Self::Coded(coded) => ArrowType::Struct(Fields::from(vec![coded_field(coded)])),
            Self::Array(element) => {
                ArrowType::List(Arc::new(Field::new_list_field(element.to_arrow(), true)))
            }
        }
    }

    /// A field of this type with the metadata that brings the type back ([`DataType::from_field`]): none where the
    /// Arrow type alone does, so that a cast and a plain column of one type are fields alike.
    #[must_use]
    pub fn to_field(&self, name: impl Into<String>, nullable: bool) -> Field {
        let arrow = self.to_arrow();
        let mut metadata = HashMap::new();
        if Self::from_arrow(&arrow) != *self {
            metadata.insert(TYPE_METADATA_KEY.to_owned(), self.signature());
        }
        match self {
            Self::Uuid => {
                metadata.insert(EXTENSION_KEY.to_owned(), "arrow.uuid".to_owned());
            }
            Self::Json | Self::Jsonb => {
                metadata.insert(EXTENSION_KEY.to_owned(), "arrow.json".to_owned());
                metadata.insert(EXTENSION_METADATA_KEY.to_owned(), String::new());
            }
            _ => {}
        }
        Field::new(name, arrow, nullable).with_metadata(metadata)
    }

    /// The SQL type of a field: by its metadata where that agrees with the Arrow type, else by the Arrow
    /// extension name, else by the Arrow type alone. Defined for every field: what has no SQL type of its own
    /// (structs, maps, unions) is TEXT.
    #[must_use]
    pub fn from_field(field: &Field) -> Self {
        let by_arrow = Self::from_arrow(field.data_type());
        if let Some(named) = field.metadata().get(TYPE_METADATA_KEY).and_then(|name| Self::parse(name))
            && agrees(&named, field.data_type())
        {
            return named;
        }
        match field.metadata().get(EXTENSION_KEY).map(String::as_str) {
            Some("arrow.uuid") if matches!(field.data_type(), ArrowType::FixedSizeBinary(16)) => Self::Uuid,
            Some("arrow.json") if by_arrow == Self::Text => Self::Json,
            _ => by_arrow,
        }
    }

    /// The SQL type nearest to an Arrow type. `Decimal256(76, 38)` is NUMERIC without parameters, 16 bytes of
    /// fixed size are a UUID, unsigned 64-bit integers NUMERIC(20,0).
    #[must_use]
    pub fn from_arrow(arrow: &ArrowType) -> Self {
        match arrow {
            ArrowType::Boolean => Self::Boolean,
            ArrowType::Int8 | ArrowType::Int16 | ArrowType::UInt8 => Self::SmallInt,
            ArrowType::Int32 | ArrowType::UInt16 => Self::Integer,
            ArrowType::Int64 | ArrowType::UInt32 => Self::BigInt,
            ArrowType::UInt64 => Self::Numeric(Some((20, 0))),
            ArrowType::Float16 | ArrowType::Float32 => Self::Real,
            ArrowType::Float64 => Self::Double,
            ArrowType::Decimal256(wide::PRECISION, wide::SCALE) => Self::Numeric(None),
            ArrowType::Decimal32(p, s)
            | ArrowType::Decimal64(p, s)
            | ArrowType::Decimal128(p, s)
            | ArrowType::Decimal256(p, s) => {
                Self::Numeric(Some(((*p).min(NUMERIC_PRECISION_MAX), (*s).min(NUMERIC_PRECISION_MAX as i8))))
            }
            ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => Self::Bytea,
            ArrowType::FixedSizeBinary(16) => Self::Uuid,
            ArrowType::FixedSizeBinary(_) => Self::Bytea,
            ArrowType::Date32 => Self::Date,
            ArrowType::Date64 => Self::Timestamp(None),
            ArrowType::Time32(_) | ArrowType::Time64(_) => Self::Time(None),
            ArrowType::Timestamp(_, None) => Self::Timestamp(None),
            ArrowType::Timestamp(_, Some(_)) => Self::TimestampTz(None),
            ArrowType::Interval(_) | ArrowType::Duration(_) => Self::Interval(None),
            ArrowType::Dictionary(_, values) => Self::from_arrow(values),
            ArrowType::RunEndEncoded(_, values) => Self::from_field(values),
            ArrowType::List(item)
            | ArrowType::LargeList(item)
            | ArrowType::ListView(item)
            | ArrowType::LargeListView(item)
            | ArrowType::FixedSizeList(item, _) => Self::Array(Box::new(Self::from_field(item))),
            ArrowType::Struct(fields) => coded_of(fields).map_or(Self::Text, Self::Coded),
            _ => Self::Text,
        }
    }
}

/// Whether a column of the Arrow type can hold what the SQL type promises.
fn agrees(named: &DataType, arrow: &ArrowType) -> bool {
    match (named, arrow) {
        (_, ArrowType::Dictionary(_, values)) => agrees(named, values),
        (_, ArrowType::RunEndEncoded(_, values)) => agrees(named, values.data_type()),
        (
            DataType::Text | DataType::Varchar(_) | DataType::Char(_) | DataType::Json | DataType::Jsonb,
            ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View,
        )
        | (DataType::Bytea, ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView) => true,
        (
            DataType::Array(element),
            ArrowType::List(item) | ArrowType::LargeList(item) | ArrowType::FixedSizeList(item, _),
        ) => agrees(element, item.data_type()),
        (DataType::TimestampTz(_), ArrowType::Timestamp(TimeUnit::Microsecond, Some(_))) => true,
        (DataType::Coded(coded), ArrowType::Struct(fields)) => {
            coded_of(fields).is_some_and(|own| own == coded.without_length())
        }
        _ => named.to_arrow() == *arrow,
    }
}

/// The one column of the struct in which a coded type stands.
fn coded_field(coded: &Coded) -> Field {
    Field::new(coded.arrow_name(), ArrowType::Binary, true)
}

/// The coded type that a struct of these columns is.
pub(crate) fn coded_of(fields: &Fields) -> Option<Coded> {
    match fields.as_ref() {
        [field] if *field.data_type() == ArrowType::Binary => Coded::from_arrow_name(field.name()),
        _ => None,
    }
}

/// Whether a struct of these columns is a coded type.
pub(crate) fn is_coded(fields: &Fields) -> bool {
    matches!(fields.as_ref(), [field] if *field.data_type() == ArrowType::Binary
        && field.name().starts_with(crate::coded::ARROW_PREFIX))
}
