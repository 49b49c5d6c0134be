//! Access methods, their operator classes, and collations. Numbers are PostgreSQL's.

use cairn_types::{Coded, DataType, Value};

use super::{PG_CATALOG_ID, USER_ID};
use crate::catalog::column_type::ColumnType::{Bool, Char, Int4, Name, Oid, Text};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, optional, text};
use crate::{Error, Result};

/// The access method of tables.
pub(super) const HEAP: i64 = 2;
const BTREE: i64 = 403;
/// The collation of names, by bytes.
pub(super) const C_COLLATION: i64 = 950;

/// `pg_am`.
pub(super) const PG_AM: SystemTable = SystemTable { name: "pg_am", columns: AM, rows: |_, _| Ok(methods()) };
/// `pg_opclass`.
pub(super) const PG_OPCLASS: SystemTable =
    SystemTable { name: "pg_opclass", columns: OPCLASS, rows: |_, _| Ok(classes()) };
/// `pg_opfamily`.
pub(super) const PG_OPFAMILY: SystemTable =
    SystemTable { name: "pg_opfamily", columns: OPFAMILY, rows: |_, _| Ok(families()) };
/// `pg_collation`.
pub(super) const PG_COLLATION: SystemTable =
    SystemTable { name: "pg_collation", columns: COLLATION, rows: |_, _| Ok(collations()) };

const AM: Columns = &[("oid", Oid), ("amname", Name), ("amhandler", Oid), ("amtype", Char)];
const OPCLASS: Columns = &[
    ("oid", Oid),
    ("opcmethod", Oid),
    ("opcname", Name),
    ("opcnamespace", Oid),
    ("opcowner", Oid),
    ("opcfamily", Oid),
    ("opcintype", Oid),
    ("opcdefault", Bool),
    ("opckeytype", Oid),
];
const OPFAMILY: Columns =
    &[("oid", Oid), ("opfmethod", Oid), ("opfname", Name), ("opfnamespace", Oid), ("opfowner", Oid)];
const COLLATION: Columns = &[
    ("oid", Oid),
    ("collname", Name),
    ("collnamespace", Oid),
    ("collowner", Oid),
    ("collprovider", Char),
    ("collisdeterministic", Bool),
    ("collencoding", Int4),
    ("collcollate", Text),
    ("collctype", Text),
    ("colllocale", Text),
    ("collicurules", Text),
    ("collversion", Text),
    ("colliculocale", Text),
];

/// The kinds of indexes.
const INDEX_METHODS: &[(i64, &str)] = &[(BTREE, "btree"), (405, "hash")];

/// The number of an access method of indexes.
pub(super) fn method_id(name: &str) -> i64 {
    INDEX_METHODS.iter().find(|own| own.1 == name).map_or(0, |own| own.0)
}

fn methods() -> Rows {
    let row = |id: i64, name: &str, kind: &str| {
        named(AM, [("oid", oid(id)), ("amname", text(name)), ("amhandler", oid(0)), ("amtype", text(kind))])
    };
    let indexes = INDEX_METHODS.iter().map(|(id, name)| row(*id, name, "i"));
    std::iter::once(row(HEAP, "heap", "t")).chain(indexes).collect()
}

/// An operator class of B-trees: number, name, family, the family's name, type, whether it is the type's own.
type Class = (i64, &'static str, i64, &'static str, u32, bool);

#[rustfmt::skip]
const CLASSES: &[Class] = &[
    (1978, "int4_ops", 1976, "integer_ops", 23, true),
    (1979, "int2_ops", 1976, "integer_ops", 21, true),
    (1981, "oid_ops", 1989, "oid_ops", 26, true),
    (3122, "date_ops", 434, "datetime_ops", 1082, true),
    (3123, "float8_ops", 1970, "float_ops", 701, true),
    (3124, "int8_ops", 1976, "integer_ops", 20, true),
    (3125, "numeric_ops", 1988, "numeric_ops", 1700, true),
    (3126, "text_ops", 1994, "text_ops", 25, true),
    (3127, "timestamptz_ops", 434, "datetime_ops", 1184, true),
    (3128, "timestamp_ops", 434, "datetime_ops", 1114, true),
    (10000, "array_ops", 397, "array_ops", 2277, true),
    (10002, "bit_ops", 423, "bit_ops", 1560, true),
    (10003, "bool_ops", 424, "bool_ops", 16, true),
    (10004, "bpchar_ops", 426, "bpchar_ops", 1042, true),
    (10006, "bytea_ops", 428, "bytea_ops", 17, true),
    (10009, "cidr_ops", 1974, "network_ops", 869, false),
    (10012, "float4_ops", 1970, "float_ops", 700, true),
    (10015, "inet_ops", 1974, "network_ops", 869, true),
    (10022, "interval_ops", 1982, "interval_ops", 1186, true),
    (10024, "macaddr_ops", 1984, "macaddr_ops", 829, true),
    (10034, "record_ops", 2994, "record_ops", 2249, true),
    (10038, "time_ops", 1996, "time_ops", 1083, true),
    (10043, "varbit_ops", 2002, "varbit_ops", 1562, true),
    (10044, "varchar_ops", 1994, "text_ops", 25, false),
    (10065, "uuid_ops", 2968, "uuid_ops", 2950, true),
    (10069, "enum_ops", 3522, "enum_ops", 3500, true),
    (10076, "range_ops", 3901, "range_ops", 3831, true),
];

/// The operator class of a type's values in an index.
pub(super) fn class_of(ty: &DataType) -> i64 {
    let name = match ty {
        DataType::Array(_) => "array_ops".to_owned(),
        DataType::Coded(Coded::Enum(_)) => "enum_ops".to_owned(),
        DataType::Coded(Coded::Range(_)) => "range_ops".to_owned(),
        DataType::Coded(Coded::Composite(_)) => "record_ops".to_owned(),
        DataType::Varchar(_) => "text_ops".to_owned(),
        DataType::Coded(Coded::Cidr) => "inet_ops".to_owned(),
        other => format!("{}_ops", other.pg_name()),
    };
    CLASSES.iter().find(|own| own.1 == name).map_or(0, |own| own.0)
}

/// Whether an index over values of a type may be given an operator class: that of the type, or one of those for patterns, which ask
/// for the order of bytes that texts have here anyway.
///
/// # Errors
/// `42704` for the name of none, `42804` for one of other types.
pub(crate) fn accept_class(name: &str, ty: &DataType) -> Result<()> {
    let of_patterns = match name {
        "text_pattern_ops" | "varchar_pattern_ops" => {
            Some(matches!(ty, DataType::Text | DataType::Varchar(_)))
        }
        "bpchar_pattern_ops" => Some(matches!(ty, DataType::Char(_))),
        _ => None,
    };
    let fits = match (of_patterns, CLASSES.iter().find(|own| own.1 == name)) {
        (Some(fits), _) => fits,
        (None, Some(own)) => {
            let of_type = class_of(ty);
            let text = matches!(ty, DataType::Text | DataType::Varchar(_)) && name == "varchar_ops";
            let network = matches!(ty, DataType::Coded(Coded::Inet | Coded::Cidr)) && name == "cidr_ops";
            own.0 == of_type || text || network
        }
        (None, None) => {
            let message = format!("operator class \"{name}\" does not exist for access method \"btree\"");
            return Err(Error::new("42704", message));
        }
    };
    if fits {
        return Ok(());
    }
    let message = format!("operator class \"{name}\" does not accept data type {}", ty.base_name());
    Err(Error::new("42804", message))
}

fn classes() -> Rows {
    let row = |own: &Class| {
        named(
            OPCLASS,
            [
                ("oid", oid(own.0)),
                ("opcmethod", oid(BTREE)),
                ("opcname", text(own.1)),
                ("opcnamespace", oid(PG_CATALOG_ID)),
                ("opcowner", oid(USER_ID)),
                ("opcfamily", oid(own.2)),
                ("opcintype", oid(own.4)),
                ("opcdefault", Value::Boolean(own.5)),
                ("opckeytype", oid(0)),
            ],
        )
    };
    CLASSES.iter().map(row).collect()
}

fn families() -> Rows {
    let mut all: Vec<(i64, &str)> = CLASSES.iter().map(|own| (own.2, own.3)).collect();
    all.sort_unstable();
    all.dedup();
    let row = |(id, name): (i64, &str)| {
        named(
            OPFAMILY,
            [
                ("oid", oid(id)),
                ("opfmethod", oid(BTREE)),
                ("opfname", text(name)),
                ("opfnamespace", oid(PG_CATALOG_ID)),
                ("opfowner", oid(USER_ID)),
            ],
        )
    };
    all.into_iter().map(row).collect()
}

fn collations() -> Rows {
    let row = |(id, name, provider, encoding, locale): (i64, &str, &str, i32, Option<&str>)| {
        named(
            COLLATION,
            [
                ("oid", oid(id)),
                ("collname", text(name)),
                ("collnamespace", oid(PG_CATALOG_ID)),
                ("collowner", oid(USER_ID)),
                ("collprovider", text(provider)),
                ("collisdeterministic", Value::Boolean(true)),
                ("collencoding", Value::Integer(encoding)),
                ("collcollate", optional(locale)),
                ("collctype", optional(locale)),
            ],
        )
    };
    COLLATIONS.iter().copied().map(row).collect()
}

/// Number, name, provider, encoding, locale.
const COLLATIONS: &[(i64, &str, &str, i32, Option<&str>)] = &[
    (100, "default", "d", -1, None),
    (C_COLLATION, "C", "c", -1, Some("C")),
    (951, "POSIX", "c", -1, Some("POSIX")),
    (962, "ucs_basic", "c", 6, Some("C")),
];

/// The number of a collation.
pub(super) fn collation_id(name: &str) -> Option<i64> {
    COLLATIONS.iter().find(|own| own.1 == name).map(|own| own.0)
}

/// The name of a collation.
pub(super) fn collation_name(id: i64) -> Option<&'static str> {
    COLLATIONS.iter().find(|own| own.0 == id).map(|own| own.1)
}

pub(super) fn has_collation(id: i64) -> bool {
    COLLATIONS.iter().any(|own| own.0 == id)
}

pub(super) fn has_class(id: i64) -> bool {
    CLASSES.iter().any(|own| own.0 == id)
}

pub(super) fn has_family(id: i64) -> bool {
    CLASSES.iter().any(|own| own.2 == id)
}
