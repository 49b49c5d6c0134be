//! The database, its places, its languages and its parameters.

use cairn_engine::Catalog;
use cairn_engine::catalog::DATABASE_ID;
use cairn_types::Value;

use super::USER_ID;
use super::programs::{INTERNAL_LANGUAGE_OID, SQL_LANGUAGE_OID};
use crate::catalog::DATABASE;
use crate::catalog::column_type::ColumnType::{Bool, Char, Int4, Name, Oid, Text, TextList};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, text};
use crate::context::Context;
use crate::privileges::shown;
use crate::session::settings::Settings;

/// `pg_language`.
pub(super) const PG_LANGUAGE: SystemTable =
    SystemTable { name: "pg_language", columns: LANGUAGE, rows: |_, _| Ok(languages()) };
/// `pg_database`.
pub(super) const PG_DATABASE: SystemTable =
    SystemTable { name: "pg_database", columns: DATABASES, rows: |_, catalog| Ok(databases(catalog)) };
/// `pg_tablespace`.
pub(super) const PG_TABLESPACE: SystemTable =
    SystemTable { name: "pg_tablespace", columns: TABLESPACE, rows: |_, _| Ok(tablespaces()) };
/// `pg_settings`.
pub(super) const PG_SETTINGS: SystemTable =
    SystemTable { name: "pg_settings", columns: SETTINGS, rows: |context, _| Ok(settings(context)) };

/// The number of the one database.
pub(in crate::catalog) const DATABASE_OID: i64 = 1;
/// PostgreSQL's number of the tablespace `pg_default`.
const DEFAULT_TABLESPACE_OID: i64 = 1663;

const LANGUAGE: Columns = &[
    ("oid", Oid),
    ("lanname", Name),
    ("lanowner", Oid),
    ("lanispl", Bool),
    ("lanpltrusted", Bool),
    ("lanplcallfoid", Oid),
    ("laninline", Oid),
    ("lanvalidator", Oid),
    ("lanacl", TextList),
];
// The last column is what PostgreSQL called datlocale before version 17: psql of before asks for it.
const DATABASES: Columns = &[
    ("oid", Oid),
    ("datname", Name),
    ("datdba", Oid),
    ("encoding", Int4),
    ("datlocprovider", Char),
    ("datistemplate", Bool),
    ("datallowconn", Bool),
    ("dathasloginevt", Bool),
    ("datconnlimit", Int4),
    ("datfrozenxid", Oid),
    ("datminmxid", Oid),
    ("dattablespace", Oid),
    ("datcollate", Text),
    ("datctype", Text),
    ("datlocale", Text),
    ("daticurules", Text),
    ("datcollversion", Text),
    ("datacl", TextList),
    ("daticulocale", Text),
];
const TABLESPACE: Columns =
    &[("oid", Oid), ("spcname", Name), ("spcowner", Oid), ("spcacl", TextList), ("spcoptions", TextList)];
const SETTINGS: Columns = &[
    ("name", Text),
    ("setting", Text),
    ("unit", Text),
    ("category", Text),
    ("short_desc", Text),
    ("extra_desc", Text),
    ("context", Text),
    ("vartype", Text),
    ("source", Text),
    ("min_val", Text),
    ("max_val", Text),
    ("enumvals", TextList),
    ("boot_val", Text),
    ("reset_val", Text),
    ("sourcefile", Text),
    ("sourceline", Int4),
    ("pending_restart", Bool),
];

fn languages() -> Rows {
    let row = |id: i64, name: &str, trusted: bool| {
        named(
            LANGUAGE,
            [
                ("oid", oid(id)),
                ("lanname", text(name)),
                ("lanowner", oid(USER_ID)),
                ("lanispl", Value::Boolean(false)),
                ("lanpltrusted", Value::Boolean(trusted)),
                ("lanplcallfoid", oid(0)),
                ("laninline", oid(0)),
                ("lanvalidator", oid(0)),
            ],
        )
    };
    vec![row(INTERNAL_LANGUAGE_OID, "internal", false), row(SQL_LANGUAGE_OID, "sql", true)]
}

fn databases(catalog: &Catalog) -> Rows {
    vec![named(
        DATABASES,
        [
            ("oid", oid(DATABASE_OID)),
            ("datname", text(DATABASE)),
            ("datdba", shown::owner(catalog, DATABASE_ID)),
            // UTF8.
            ("encoding", Value::Integer(6)),
            ("datlocprovider", text("c")),
            ("datistemplate", Value::Boolean(false)),
            ("datallowconn", Value::Boolean(true)),
            ("dathasloginevt", Value::Boolean(false)),
            ("datconnlimit", Value::Integer(-1)),
            ("datfrozenxid", oid(0)),
            ("datminmxid", oid(0)),
            ("dattablespace", oid(DEFAULT_TABLESPACE_OID)),
            ("datcollate", text("C")),
            ("datctype", text("C")),
            ("datacl", shown::acl_of(catalog, DATABASE_ID)),
        ],
    )]
}

fn tablespaces() -> Rows {
    let row = |id: i64, name: &str| {
        named(TABLESPACE, [("oid", oid(id)), ("spcname", text(name)), ("spcowner", oid(USER_ID))])
    };
    vec![row(DEFAULT_TABLESPACE_OID, "pg_default"), row(1664, "pg_global")]
}

fn settings(context: &Context) -> Rows {
    let first = Settings::default().all();
    let row = |(at, (name, value, description)): (usize, (&'static str, String, &'static str))| {
        let default = first.get(at).map_or_else(String::new, |own| own.1.clone());
        let fixed = name.starts_with("server_") || name == "integer_datetimes";
        let source = if value == default { "default" } else { "session" };
        named(
            SETTINGS,
            [
                ("name", text(name)),
                ("setting", text(value)),
                ("category", text("")),
                ("short_desc", text(description)),
                ("context", text(if fixed { "internal" } else { "user" })),
                ("vartype", text(if matches!(&*default, "on" | "off") { "bool" } else { "string" })),
                ("source", text(source)),
                ("boot_val", text(&default)),
                ("reset_val", text(default)),
                ("pending_restart", Value::Boolean(false)),
            ],
        )
    };
    context.scope.settings.all().into_iter().enumerate().map(row).collect()
}
