//! `pg_type`, and what other tables say of types.

use std::sync::Arc;

use cairn_engine::Catalog;
use cairn_engine::catalog::{ObjectId, TypeDescriptor, TypeKind};
use cairn_types::coded::MADE_TYPES;
use cairn_types::composite::RECORD;
use cairn_types::datatype::SECOND_DIGITS_MAX;
use cairn_types::{Coded, DataType, IntervalLimit, RangeKind, Value};

use super::PG_CATALOG_ID;
use crate::Result;
use crate::catalog::system::{Rows, text};
use crate::context::Context;

/// The type modifier: what `format_type` needs to print parameters.
pub(super) fn modifier(ty: &DataType) -> i32 {
    match ty {
        DataType::Varchar(Some(n)) | DataType::Char(n) => *n as i32 + 4,
        DataType::Numeric(Some((p, s))) => ((i32::from(*p) << 16) | i32::from(*s)) + 4,
        DataType::Coded(Coded::Bit(Some(n)) | Coded::VarBit(Some(n))) => *n as i32,
        DataType::Time(Some(n))
        | DataType::Timestamp(Some(n))
        | DataType::TimestampTz(Some(n))
        | DataType::Coded(Coded::TimeTz(Some(n))) => i32::from(*n),
        DataType::Interval(Some(limit)) => limit.modifier(),
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
        | DataType::Time(_)
        | DataType::Timestamp(_)
        | DataType::TimestampTz(_) => 8,
        DataType::Interval(_) | DataType::Uuid => 16,
        DataType::Coded(coded) => match coded {
            Coded::Enum(_) => 4,
            Coded::MacAddr => 6,
            Coded::MacAddr8 => 8,
            Coded::TimeTz(_) => 12,
            _ => -1,
        },
        _ => -1,
    }
}

/// The types without parameters.
fn base_types() -> Vec<DataType> {
    use DataType as D;
    let coded = RangeKind::ALL.into_iter().map(Coded::Range).chain([
        Coded::Inet,
        Coded::Cidr,
        Coded::MacAddr,
        Coded::MacAddr8,
        Coded::TimeTz(None),
        Coded::Bit(None),
        Coded::VarBit(None),
    ]);
    let coded = coded.map(D::Coded);
    [
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
        D::Time(None),
        D::Timestamp(None),
        D::TimestampTz(None),
        D::Interval(None),
        D::Uuid,
        D::Json,
        D::Jsonb,
    ]
    .into_iter()
    .chain(coded)
    .collect()
}

fn category(ty: &DataType) -> &'static str {
    match ty {
        DataType::Boolean => "B",
        ty if ty.is_numeric() => "N",
        ty if ty.is_character() => "S",
        DataType::Date | DataType::Time(_) | DataType::Timestamp(_) | DataType::TimestampTz(_) => "D",
        DataType::Interval(_) => "T",
        DataType::Array(_) => "A",
        DataType::Coded(coded) => match coded {
            Coded::Enum(_) => "E",
            Coded::Range(_) => "R",
            Coded::Inet | Coded::Cidr => "I",
            Coded::TimeTz(_) => "D",
            Coded::Bit(_) | Coded::VarBit(_) => "V",
            Coded::Composite(own) if own.id == RECORD => "P",
            Coded::Composite(_) => "C",
            _ => "U",
        },
        _ => "U",
    }
}

pub(super) fn pg_type(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let row = |ty: &DataType, element: u32, array: u32| {
        vec![
            Value::BigInt(i64::from(ty.pg_oid())),
            text(ty.pg_name()),
            Value::BigInt(PG_CATALOG_ID),
            Value::SmallInt(length(ty)),
            text(if matches!(ty, DataType::Coded(Coded::Range(_))) { "r" } else { "b" }),
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
    let schemas = super::schema_ids(catalog);
    for made in catalog.types() {
        let namespace = Value::BigInt(schemas.get(made.schema.as_str()).copied().unwrap_or_default());
        let ty = made.data_type();
        let TypeKind::Domain { nullable, .. } = &made.kind else {
            let kind = if matches!(made.kind, TypeKind::Enum(_)) { "e" } else { "c" };
            rows.extend(with_array(&row, &ty, namespace, kind));
            continue;
        };
        let mut own = row(&ty, 0, 0);
        own[0] = Value::BigInt(type_oid(made.id));
        (own[1], own[2], own[4]) = (text(&made.name), namespace, text("d"));
        own[9] = Value::BigInt(i64::from(ty.pg_oid()));
        (own[10], own[11]) = (Value::Integer(modifier(&ty)), Value::Boolean(!nullable));
        rows.push(own);
    }
    for table in catalog.tables() {
        let namespace = Value::BigInt(schemas.get(table.schema.as_str()).copied().unwrap_or_default());
        rows.extend(with_array(&row, &TypeDescriptor::of_rows(table).data_type(), namespace, "c"));
    }
    Ok(rows)
}

/// A type and its array.
fn with_array(
    row: &dyn Fn(&DataType, u32, u32) -> Vec<Value>,
    ty: &DataType,
    namespace: Value,
    kind: &str,
) -> [Vec<Value>; 2] {
    let array = DataType::Array(Box::new(ty.clone()));
    let mut own = row(ty, 0, array.pg_oid());
    (own[2], own[4]) = (namespace.clone(), text(kind));
    if kind == "c" {
        // The relation that lists the fields.
        let id = ty.pg_oid() & !MADE_TYPES;
        own[8] = Value::BigInt(i64::from(id));
    }
    let mut of_it = row(&array, ty.pg_oid(), 0);
    of_it[2] = namespace;
    [own, of_it]
}

/// `pg_enum`: the labels of enums.
pub(super) fn pg_enum(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for ty in catalog.types() {
        let TypeKind::Enum(labels) = &ty.kind else { continue };
        for (at, label) in labels.iter().enumerate() {
            rows.push(vec![
                Value::BigInt(super::derived(ty.id, at as i64)),
                Value::BigInt(type_oid(ty.id)),
                Value::Real(label.order as f32),
                text(&label.text),
            ]);
        }
    }
    Ok(rows)
}

/// The object number of a type that users have made, or of a table's rows.
pub(super) fn type_oid(id: ObjectId) -> i64 {
    i64::from(id | MADE_TYPES)
}

/// The type of that number that users have made, or of a table's rows.
pub(super) fn made_type(catalog: &Catalog, oid: i64) -> Option<Arc<TypeDescriptor>> {
    let id = u32::try_from(oid).ok().filter(|oid| oid & MADE_TYPES != 0)? ^ MADE_TYPES;
    let rows = || catalog.table_by_id(id).map(|table| Arc::new(TypeDescriptor::of_rows(table)));
    catalog.type_by_id(id).cloned().or_else(rows)
}

/// The type of that object number; `None` for those that there are not, and for those whose values are told by their form
/// alone (`unknown`). Names and object numbers are what their values are shown as.
pub(crate) fn type_of(catalog: &Catalog, oid: u32) -> Option<DataType> {
    let array = 1 << 30;
    match oid {
        // "char", name, cstring.
        18 | 19 | 2275 => return Some(DataType::Text),
        // oid, xid, cid, regproc, regclass, regtype, regnamespace, regrole.
        26 | 28 | 29 | 24 | 2205 | 2206 | 4089 | 4096 => return Some(DataType::BigInt),
        _ => {}
    }
    let list = |ty: DataType| DataType::Array(Box::new(ty));
    if let Some(ty) = made_type(catalog, i64::from(oid)) {
        return Some(ty.data_type());
    }
    if oid & array != 0
        && let Some(ty) = made_type(catalog, i64::from(oid ^ array))
    {
        return Some(list(ty.data_type()));
    }
    base_types().into_iter().find_map(|ty| {
        let whole = if ty == DataType::Char(1) { DataType::Text } else { ty.clone() };
        if ty.pg_oid() == oid {
            return Some(whole);
        }
        (list(ty).pg_oid() == oid).then(|| list(whole))
    })
}

/// A type's name with its parameters, by its id and modifier.
pub(crate) fn format_type(catalog: &Catalog, oid: i64, modifier: i64) -> String {
    let array = 1 << 30;
    if let Some(ty) = made_type(catalog, oid) {
        return ty.sql_name();
    }
    if let Some(ty) = Some(oid).filter(|oid| oid & array != 0).and_then(|oid| made_type(catalog, oid ^ array))
    {
        return format!("{}[]", ty.sql_name());
    }
    if oid == i64::from(RECORD) {
        return "record".to_owned();
    }
    let digits = u8::try_from(modifier).ok().filter(|n| *n <= SECOND_DIGITS_MAX);
    let with = |ty: DataType| match (&ty, modifier) {
        (DataType::Time(_), _) => DataType::Time(digits).sql_name(),
        (DataType::Timestamp(_), _) => DataType::Timestamp(digits).sql_name(),
        (DataType::TimestampTz(_), _) => DataType::TimestampTz(digits).sql_name(),
        (DataType::Coded(Coded::TimeTz(_)), _) => DataType::Coded(Coded::TimeTz(digits)).sql_name(),
        (DataType::Interval(_), m) => {
            let limit = i32::try_from(m).ok().filter(|m| *m >= 0).and_then(IntervalLimit::of_modifier);
            DataType::Interval(limit).sql_name()
        }
        (DataType::Coded(_), m) if m < 1 => ty.sql_name(),
        (ty, m) if m < 4 && !matches!(ty, DataType::Coded(_)) => ty.sql_name(),
        (DataType::Varchar(_), m) => DataType::Varchar(Some((m - 4) as u32)).sql_name(),
        (DataType::Coded(Coded::Bit(_)), m) => DataType::Coded(Coded::Bit(Some(m as u32))).sql_name(),
        (DataType::Coded(Coded::VarBit(_)), m) => DataType::Coded(Coded::VarBit(Some(m as u32))).sql_name(),
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
