//! `pg_type`, and what other tables say of types.

use cairn_engine::Catalog;
use cairn_types::{DataType, Value};

use super::PG_CATALOG_ID;
use crate::Result;
use crate::catalog::system::{Rows, text};
use crate::context::Context;

/// The type modifier: what `format_type` needs to print parameters.
pub(super) fn modifier(ty: &DataType) -> i32 {
    match ty {
        DataType::Varchar(Some(n)) | DataType::Char(n) => *n as i32 + 4,
        DataType::Numeric(Some((p, s))) => ((i32::from(*p) << 16) | i32::from(*s)) + 4,
        DataType::Array(item) => modifier(item),
        _ => -1,
    }
}

pub(super) fn length(ty: &DataType) -> i16 {
    match ty {
        DataType::Boolean => 1,
        DataType::SmallInt => 2,
        DataType::Integer | DataType::Real | DataType::Date => 4,
        DataType::BigInt
        | DataType::Double
        | DataType::Time
        | DataType::Timestamp
        | DataType::TimestampTz => 8,
        DataType::Interval | DataType::Uuid => 16,
        _ => -1,
    }
}

/// The types without parameters.
fn base_types() -> Vec<DataType> {
    use DataType as D;
    vec![
        D::Boolean,
        D::SmallInt,
        D::Integer,
        D::BigInt,
        D::Real,
        D::Double,
        D::Numeric(None),
        D::Text,
        D::Varchar(None),
        D::Char(1),
        D::Bytea,
        D::Date,
        D::Time,
        D::Timestamp,
        D::TimestampTz,
        D::Interval,
        D::Uuid,
        D::Json,
        D::Jsonb,
    ]
}

fn category(ty: &DataType) -> &'static str {
    match ty {
        DataType::Boolean => "B",
        ty if ty.is_numeric() => "N",
        ty if ty.is_character() => "S",
        DataType::Date | DataType::Time | DataType::Timestamp | DataType::TimestampTz => "D",
        DataType::Interval => "T",
        DataType::Array(_) => "A",
        _ => "U",
    }
}

pub(super) fn pg_type(_context: &Context, _catalog: &Catalog) -> Result<Rows> {
    let row = |ty: &DataType, element: u32, array: u32| {
        vec![
            Value::BigInt(i64::from(ty.pg_oid())),
            text(ty.pg_name()),
            Value::BigInt(PG_CATALOG_ID),
            Value::SmallInt(length(ty)),
            text("b"),
            text(category(ty)),
            Value::BigInt(i64::from(element)),
            Value::BigInt(i64::from(array)),
            Value::BigInt(0),
            Value::BigInt(0),
            Value::Integer(-1),
            Value::Boolean(false),
        ]
    };
    let mut rows = Rows::new();
    for ty in base_types() {
        let array = DataType::Array(Box::new(ty.clone()));
        rows.push(row(&ty, 0, array.pg_oid()));
        rows.push(row(&array, ty.pg_oid(), 0));
    }
    Ok(rows)
}

/// A type's name with its parameters, by its id and modifier.
pub(crate) fn format_type(oid: i64, modifier: i64) -> String {
    let with = |ty: DataType| match (&ty, modifier) {
        (_, m) if m < 4 => ty.sql_name(),
        (DataType::Varchar(_), m) => DataType::Varchar(Some((m - 4) as u32)).sql_name(),
        (DataType::Char(_), m) => DataType::Char((m - 4) as u32).sql_name(),
        (DataType::Numeric(_), m) => {
            DataType::Numeric(Some((((m - 4) >> 16) as u8, ((m - 4) & 0xffff) as i8))).sql_name()
        }
        _ => ty.sql_name(),
    };
    for ty in base_types() {
        if i64::from(ty.pg_oid()) == oid {
            return match (&ty, modifier) {
                (DataType::Char(_), m) if m < 4 => "character".to_owned(),
                _ => with(ty),
            };
        }
        if i64::from(DataType::Array(Box::new(ty.clone())).pg_oid()) == oid {
            return format!("{}[]", with(ty));
        }
    }
    "???".to_owned()
}
