//! The types of the columns of computed tables: PostgreSQL's name for each, and the type that stands for it here.

use std::collections::HashMap;

use arrow::datatypes::{DataType as ArrowType, Field};
use cairn_types::{Coded, DataType};

/// Says of a field which of PostgreSQL's types it is told as.
pub(crate) const TOLD_KEY: &str = "cairn.told";
/// The number of PostgreSQL's type `name`.
pub(crate) const NAME_ID: u32 = 19;
/// The number of PostgreSQL's type `oid`.
pub(crate) const OID_ID: u32 = 26;
/// That of lists of them.
pub(crate) const OID_LIST_ID: u32 = 1028;
/// Under that key: the list is shown as its numbers with blanks between them.
pub(crate) const VECTOR: &str = "vector";

/// The number of PostgreSQL's type that clients are told of a result's field, where it is another than the field's own.
pub(crate) fn told(field: &Field) -> Option<u32> {
    let told = field.metadata().get(TOLD_KEY)?.parse().ok()?;
    // A conversion may have kept the mark.
    let fits = match told {
        OID_ID => *field.data_type() == ArrowType::Int64,
        OID_LIST_ID => {
            matches!(field.data_type(), ArrowType::List(item) if *item.data_type() == ArrowType::Int64)
        }
        _ => matches!(field.data_type(), ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View),
    };
    fits.then_some(told)
}

/// Whether a field holds `int2vector` or `oidvector`: its elements count from 0.
pub(crate) fn is_vector(field: &Field) -> bool {
    matches!(field.data_type(), ArrowType::List(_))
        && field.metadata().get(TOLD_KEY).is_some_and(|told| told == VECTOR)
}

/// A field with what clients are told of it.
pub(crate) fn telling(field: Field, told: impl ToString) -> Field {
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    metadata.insert(TOLD_KEY.to_owned(), told.to_string());
    field.with_metadata(metadata)
}

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Bytea,
    Timestamptz,
    Inet,
    /// A name: TEXT here.
    Name,
    /// One letter: TEXT here.
    Char,
    /// The number of an object, of a function (`regproc`) or of a transaction: BIGINT here.
    Oid,
    /// Numbers that are shown with blanks between them.
    Int2Vector,
    OidVector,
    Int2List,
    OidList,
    TextList,
}

impl ColumnType {
    /// The type of its values.
    pub(crate) fn data_type(self) -> DataType {
        let list = |ty: DataType| DataType::Array(Box::new(ty));
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::SmallInt,
            Self::Int4 => DataType::Integer,
            Self::Int8 | Self::Oid => DataType::BigInt,
            Self::Float4 => DataType::Real,
            Self::Float8 => DataType::Double,
            Self::Text | Self::Name | Self::Char => DataType::Text,
            Self::Bytea => DataType::Bytea,
            Self::Timestamptz => DataType::TimestampTz(None),
            Self::Inet => DataType::Coded(Coded::Inet),
            Self::Int2Vector | Self::Int2List => list(DataType::SmallInt),
            Self::OidVector | Self::OidList => list(DataType::BigInt),
            Self::TextList => list(DataType::Text),
        }
    }

    /// What clients are told, where it is another than the type of the values.
    fn told(self) -> Option<&'static str> {
        match self {
            Self::Char => Some("18"),
            Self::Name => Some("19"),
            Self::Oid => Some("26"),
            Self::OidList => Some("1028"),
            Self::Int2Vector | Self::OidVector => Some(VECTOR),
            _ => None,
        }
    }

    /// A column of the type.
    pub(super) fn field(self, name: &str) -> Field {
        let field = self.data_type().to_field(name, true);
        match self.told() {
            Some(told) => telling(field, told),
            None => field,
        }
    }
}
