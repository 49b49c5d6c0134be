//! `pg_type`, and what other tables say of types.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_engine::Catalog;
use cairn_engine::catalog::{ObjectId, TypeDescriptor, TypeKind};
use cairn_types::coded::MADE_TYPES;
use cairn_types::composite::RECORD;
use cairn_types::datatype::SECOND_DIGITS_MAX;
use cairn_types::{Coded, DataType, IntervalLimit, RangeKind, Value};

use super::access::C_COLLATION;
use super::traits::{Traits, collation, dimensions, function_id, named_as, stored_as};
use super::{PG_CATALOG_ID, USER_ID};
use crate::Result;
use crate::catalog::column_type::ColumnType::{Bool, Char, Int2, Int4, Name, Oid, Text, TextList};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, optional, set, text};
use crate::context::Context;
use crate::functions::text::quote_ident;
use crate::privileges::shown;

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

/// `pg_type`.
pub(super) const PG_TYPE: SystemTable = SystemTable { name: "pg_type", columns: TYPE, rows: pg_type };
/// `pg_range`.
pub(super) const PG_RANGE: SystemTable =
    SystemTable { name: "pg_range", columns: RANGE, rows: |_, _| Ok(ranges()) };

const TYPE: Columns = &[
    ("oid", Oid),
    ("typname", Name),
    ("typnamespace", Oid),
    ("typowner", Oid),
    ("typlen", Int2),
    ("typbyval", Bool),
    ("typtype", Char),
    ("typcategory", Char),
    ("typispreferred", Bool),
    ("typisdefined", Bool),
    ("typdelim", Char),
    ("typrelid", Oid),
    ("typsubscript", Oid),
    ("typelem", Oid),
    ("typarray", Oid),
    ("typinput", Oid),
    ("typoutput", Oid),
    ("typreceive", Oid),
    ("typsend", Oid),
    ("typmodin", Oid),
    ("typmodout", Oid),
    ("typanalyze", Oid),
    ("typalign", Char),
    ("typstorage", Char),
    ("typnotnull", Bool),
    ("typbasetype", Oid),
    ("typtypmod", Int4),
    ("typndims", Int4),
    ("typcollation", Oid),
    ("typdefaultbin", Text),
    ("typdefault", Text),
    ("typacl", TextList),
];

const RANGE: Columns = &[
    ("rngtypid", Oid),
    ("rngsubtype", Oid),
    ("rngmultitypid", Oid),
    ("rngcollation", Oid),
    ("rngsubopc", Oid),
    ("rngcanonical", Oid),
    ("rngsubdiff", Oid),
];

/// The number of a type of [`SPECIAL`].
pub(super) fn special_id(name: &str) -> Option<i64> {
    SPECIAL.iter().find(|own| own.1 == name).map(|own| i64::from(own.0))
}

/// Types that stand for others here, or that only functions have: number, name, `typtype`, category, element, array.
const SPECIAL: &[(u32, &str, &str, &str, u32, u32)] = &[
    (18, "char", "b", "Z", 0, 1002),
    (19, "name", "b", "S", 18, 1003),
    (22, "int2vector", "b", "A", 21, 1006),
    (24, "regproc", "b", "N", 0, 1008),
    (26, "oid", "b", "N", 0, 1028),
    (28, "xid", "b", "U", 0, 1011),
    (29, "cid", "b", "U", 0, 1012),
    (30, "oidvector", "b", "A", 26, 1013),
    (705, "unknown", "p", "X", 0, 0),
    (2202, "regprocedure", "b", "N", 0, 2207),
    (2205, "regclass", "b", "N", 0, 2210),
    (2206, "regtype", "b", "N", 0, 2211),
    (2249, "record", "p", "P", 0, 2287),
    (2275, "cstring", "p", "P", 0, 1263),
    (2276, "any", "p", "P", 0, 0),
    (2277, "anyarray", "p", "P", 0, 0),
    (2278, "void", "p", "P", 0, 0),
    (2279, "trigger", "p", "P", 0, 0),
    (2281, "internal", "p", "P", 0, 0),
    (2283, "anyelement", "p", "P", 0, 0),
    (4089, "regnamespace", "b", "N", 0, 4090),
    (4096, "regrole", "b", "N", 0, 4097),
];

/// A special type's name as SQL writes it.
fn special_name(name: &str) -> &str {
    match name {
        "char" => "\"char\"",
        "any" => "\"any\"",
        other => other,
    }
}

/// What `pg_type` says of a type.
struct TypeRow<'a> {
    id: i64,
    name: &'a str,
    namespace: i64,
    kind: &'a str,
    category: &'a str,
    relation: i64,
    element: i64,
    array: i64,
    not_null: bool,
    base: i64,
    modifier: i32,
    dimensions: i16,
    collation: i64,
    default: Option<&'a str>,
    traits: Traits,
}

impl<'a> TypeRow<'a> {
    fn of(ty: &DataType, name: &'a str, namespace: i64, kind: &'a str) -> Self {
        Self {
            id: i64::from(ty.pg_oid()),
            name,
            namespace,
            kind,
            category: category(ty),
            relation: 0,
            element: 0,
            array: 0,
            not_null: false,
            base: 0,
            modifier: -1,
            dimensions: 0,
            collation: collation(ty),
            default: None,
            traits: stored_as(ty),
        }
    }

    /// A type and its array.
    fn with_array(mut self, ty: &DataType) -> [Vec<Value>; 2] {
        let array = DataType::Array(Box::new(ty.clone()));
        let name = array.pg_name();
        let of_it = TypeRow { element: self.id, ..TypeRow::of(&array, &name, self.namespace, "b") }.values();
        self.array = i64::from(array.pg_oid());
        [self.values(), of_it]
    }

    fn values(&self) -> Vec<Value> {
        let function = |at: usize| oid(function_id(self.traits.functions[at]));
        let preferred = ["bool", "text", "float8", "timestamptz", "interval", "inet", "varbit", "oid"]
            .contains(&self.name);
        named(
            TYPE,
            [
                ("oid", oid(self.id)),
                ("typname", text(self.name)),
                ("typnamespace", oid(self.namespace)),
                ("typowner", oid(USER_ID)),
                ("typlen", Value::SmallInt(self.traits.length)),
                ("typbyval", Value::Boolean(self.traits.by_value)),
                ("typtype", text(self.kind)),
                ("typcategory", text(self.category)),
                ("typispreferred", Value::Boolean(preferred)),
                ("typisdefined", Value::Boolean(true)),
                ("typdelim", text(",")),
                ("typrelid", oid(self.relation)),
                ("typsubscript", oid(0)),
                ("typelem", oid(self.element)),
                ("typarray", oid(self.array)),
                ("typinput", function(0)),
                ("typoutput", function(1)),
                ("typreceive", function(2)),
                ("typsend", function(3)),
                ("typmodin", function(4)),
                ("typmodout", function(5)),
                ("typanalyze", oid(0)),
                ("typalign", text(self.traits.align)),
                ("typstorage", text(self.traits.storage)),
                ("typnotnull", Value::Boolean(self.not_null)),
                ("typbasetype", oid(self.base)),
                ("typtypmod", Value::Integer(self.modifier)),
                ("typndims", Value::Integer(i32::from(self.dimensions))),
                ("typcollation", oid(self.collation)),
                ("typdefaultbin", optional(self.default)),
                ("typdefault", optional(self.default)),
            ],
        )
    }
}

fn pg_type(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for ty in base_types() {
        let kind = if matches!(ty, DataType::Coded(Coded::Range(_))) { "r" } else { "b" };
        let name = ty.pg_name();
        rows.extend(TypeRow::of(&ty, &name, PG_CATALOG_ID, kind).with_array(&ty));
    }
    for (id, name, kind, category, element, array) in SPECIAL {
        let array_name = format!("_{name}");
        let own = TypeRow {
            id: i64::from(*id),
            category,
            element: i64::from(*element),
            array: i64::from(*array),
            collation: if *id == 19 { C_COLLATION } else { 0 },
            traits: named_as(name),
            ..TypeRow::of(&DataType::BigInt, name, PG_CATALOG_ID, kind)
        };
        rows.push(own.values());
        if *array != 0 {
            let list = DataType::Array(Box::new(DataType::BigInt));
            let of_it = TypeRow {
                id: i64::from(*array),
                element: i64::from(*id),
                collation: own.collation,
                ..TypeRow::of(&list, &array_name, PG_CATALOG_ID, if *id == 2249 { "p" } else { "b" })
            };
            rows.push(of_it.values());
        }
    }
    let schemas = super::schema_ids(catalog);
    let namespace = |schema: &str| schemas.get(schema).copied().unwrap_or_default();
    for made in catalog.types() {
        let ty = made.data_type();
        match &made.kind {
            TypeKind::Enum(_) => {
                rows.extend(TypeRow::of(&ty, &made.name, namespace(&made.schema), "e").with_array(&ty));
            }
            TypeKind::Composite(_) => rows.extend(of_relation(&ty, &made.name, namespace(&made.schema))),
            TypeKind::Domain { nullable, default, .. } => {
                let own = TypeRow {
                    id: type_oid(made.id),
                    not_null: !nullable,
                    base: i64::from(ty.pg_oid()),
                    modifier: modifier(&ty),
                    dimensions: dimensions(&ty),
                    default: default.as_deref(),
                    ..TypeRow::of(&ty, &made.name, namespace(&made.schema), "d")
                };
                rows.push(own.values());
            }
        }
    }
    for table in catalog.tables() {
        let ty = TypeDescriptor::of_rows(table).data_type();
        rows.extend(of_relation(&ty, &table.name, namespace(&table.schema)));
    }
    // Those that users made have owners.
    let made = catalog.types().map(|ty| (type_oid(ty.id), ty.id));
    let owned: BTreeMap<i64, u32> =
        made.chain(catalog.tables().map(|table| (type_oid(table.id), table.id))).collect();
    for row in &mut rows {
        let id = row.first().and_then(Value::as_i64).and_then(|id| owned.get(&id));
        if let Some(id) = id {
            set(row, TYPE, "typowner", shown::owner(catalog, *id));
            if catalog.type_by_id(*id).is_some() {
                set(row, TYPE, "typacl", shown::acl_of(catalog, *id));
            }
        }
    }
    Ok(rows)
}

/// The type of a relation's rows, and its array.
fn of_relation(ty: &DataType, name: &str, namespace: i64) -> [Vec<Value>; 2] {
    let mut own = TypeRow::of(ty, name, namespace, "c");
    own.relation = i64::from(ty.pg_oid() & !MADE_TYPES);
    own.with_array(ty)
}

/// The ranges; there are no multiranges here.
fn ranges() -> Rows {
    let own = |kind: RangeKind| {
        let (subtype, operators) = match kind {
            RangeKind::Int4 => (DataType::Integer, 1978),
            RangeKind::Int8 => (DataType::BigInt, 3124),
            RangeKind::Num => (DataType::Numeric(None), 3125),
            RangeKind::Ts => (DataType::Timestamp(None), 3128),
            RangeKind::TsTz => (DataType::TimestampTz(None), 3127),
            RangeKind::Date => (DataType::Date, 3122),
        };
        let ty = DataType::Coded(Coded::Range(kind));
        named(
            RANGE,
            [
                ("rngtypid", oid(ty.pg_oid())),
                ("rngsubtype", oid(subtype.pg_oid())),
                ("rngmultitypid", oid(0)),
                ("rngcollation", oid(0)),
                ("rngsubopc", oid(operators)),
                ("rngcanonical", oid(0)),
                ("rngsubdiff", oid(0)),
            ],
        )
    };
    RangeKind::ALL.into_iter().map(own).collect()
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
pub(crate) fn format_type(catalog: &Catalog, path: &[String], oid: i64, modifier: i64) -> String {
    let array = 1 << 30;
    let named = |ty: &TypeDescriptor| match path.contains(&ty.schema) {
        true => quote_ident(&ty.name),
        false => format!("{}.{}", quote_ident(&ty.schema), quote_ident(&ty.name)),
    };
    if let Some(ty) = made_type(catalog, oid) {
        return named(&ty);
    }
    if let Some(ty) = Some(oid).filter(|oid| oid & array != 0).and_then(|oid| made_type(catalog, oid ^ array))
    {
        return format!("{}[]", named(&ty));
    }
    if let Some(own) = SPECIAL.iter().find(|own| i64::from(own.0) == oid) {
        return special_name(own.1).to_owned();
    }
    if let Some(own) = SPECIAL.iter().find(|own| own.5 != 0 && i64::from(own.5) == oid) {
        return format!("{}[]", special_name(own.1));
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
