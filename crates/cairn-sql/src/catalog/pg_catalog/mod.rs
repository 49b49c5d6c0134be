//! `pg_catalog`: the tables that `\d`, drivers and ORMs read. Object ids are the engine's; indexes and
//! constraints, which have none of their own, get theirs from their table's.

mod absent;
mod access;
mod constraints;
mod counters;
mod definitions;
mod depend;
mod indexes;
pub(crate) mod inspect;
mod numbers;
pub(crate) mod objects;
mod partitions;
pub(super) mod programs;
mod relations;
mod roles;
mod sequences;
mod server;
mod traits;
mod types;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use cairn_engine::Catalog;
use cairn_engine::catalog::{Class, PUBLIC, STORE, Table};
use cairn_types::Value;

pub(crate) use access::accept_class;
pub(crate) use constraints::constraint_definition;
pub(crate) use definitions::{
    function_arguments, function_definition, function_identity, function_result, trigger_definition,
};
pub(crate) use indexes::{index_column, index_definition};
pub(crate) use partitions::key_definition;
pub(crate) use relations::view_definition;
pub(in crate::catalog) use server::DATABASE_OID;
pub(crate) use types::{format_type, type_of};

use super::column_type::ColumnType;
use super::system::{SystemTable, text};
use crate::privileges::shown;

const T: ColumnType = ColumnType::Text;
const N: ColumnType = ColumnType::Name;
const O: ColumnType = ColumnType::Oid;
const B: ColumnType = ColumnType::Bool;
const I: ColumnType = ColumnType::Int4;
const S: ColumnType = ColumnType::Int2;

/// The id of the one user.
const USER_ID: i64 = 10;
/// The id of `pg_catalog`.
const PG_CATALOG_ID: i64 = 11;
/// The id of `information_schema`.
const INFORMATION_SCHEMA_ID: i64 = 12;
/// The id of the key-value space's table.
pub(in crate::catalog) const STORE_ID: i64 = 900;
/// Ids of indexes, constraints and what else belongs to an object begin here, those of types behind them.
const DERIVED_ID: i64 = 1 << 30;
/// How many there are: of objects whose ids are a multiple of `DERIVED_IDS / PLACES` apart, one at most may live.
const DERIVED_IDS: i64 = 1 << 30;
/// How many an object has, more than a table's columns. Each of the catalog's tables has its own: an index and a
/// constraint may have the same.
const PLACES: i64 = 1 << 11;

/// The tables of this schema.
pub(crate) fn tables() -> &'static [SystemTable] {
    static ALL: LazyLock<Vec<SystemTable>> =
        LazyLock::new(|| [TABLES, absent::TABLES, counters::TABLES].concat());
    &ALL
}

/// Those of its tables that are views in PostgreSQL.
const VIEWS: &[&str] = &[
    "pg_stats",
    "pg_tables",
    "pg_matviews",
    "pg_views",
    "pg_indexes",
    "pg_sequences",
    "pg_roles",
    "pg_user",
    "pg_shadow",
    "pg_group",
    "pg_settings",
    "pg_locks",
    "pg_rules",
    "pg_policies",
    "pg_seclabels",
    "pg_user_mappings",
    "pg_available_extensions",
    "pg_available_extension_versions",
    "pg_prepared_xacts",
    "pg_publication_tables",
    "pg_replication_slots",
    "pg_stats_ext",
    "pg_stats_ext_exprs",
    "cairn_snapshots",
    "cairn_plans",
];

/// Whether a computed table is a view in `pg_class`.
pub(in crate::catalog) fn is_view(schema: &str, name: &str) -> bool {
    schema != "pg_catalog"
        || VIEWS.contains(&name)
        || name.starts_with("pg_stat_")
        || name.starts_with("pg_statio_")
}

const TABLES: &[SystemTable] = &[
    SystemTable {
        name: "pg_namespace",
        columns: &[("oid", O), ("nspname", N), ("nspowner", O), ("nspacl", ColumnType::TextList)],
        rows: |_, catalog| {
            let row = |id: i64, name: &str, owner: Value, acl: Value| {
                vec![Value::BigInt(id), text(name), owner, acl]
            };
            let own = catalog.schemas().map(|s| {
                let acl = (Class::Schema, s.id);
                // What the schema `public` has is not what a new one has.
                let acl = match s.name == PUBLIC {
                    true => shown::acl(catalog, Some(&catalog.acl(acl))),
                    false => shown::acl_of(catalog, s.id),
                };
                row(i64::from(s.id), &s.name, shown::owner(catalog, s.id), acl)
            });
            let user = || Value::BigInt(USER_ID);
            let fixed = [(PG_CATALOG_ID, "pg_catalog"), (INFORMATION_SCHEMA_ID, "information_schema")]
                .map(|(id, name)| row(id, name, user(), Value::Null));
            Ok(own.chain(fixed).collect())
        },
    },
    relations::PG_CLASS,
    relations::PG_ATTRIBUTE,
    SystemTable {
        name: "pg_attrdef",
        columns: &[("oid", O), ("adrelid", O), ("adnum", S), ("adbin", T)],
        rows: |context, catalog| {
            let path = &context.scope.settings.search_path;
            Ok(catalog
                .tables()
                .flat_map(|table| {
                    table.live_columns().enumerate().filter_map(|(at, column)| {
                        let generated = column.generated.as_ref().map(|own| own.sql.as_str());
                        let default = column.default.as_deref().or(generated)?;
                        let number = at as i16 + 1;
                        Some(vec![
                            Value::BigInt(default_id(table.id, at)),
                            Value::BigInt(i64::from(table.id)),
                            Value::SmallInt(number),
                            text(crate::parse::bound::unbound(default, path)),
                        ])
                    })
                })
                .collect())
        },
    },
    types::PG_TYPE,
    types::PG_RANGE,
    SystemTable {
        name: "pg_enum",
        columns: &[("oid", O), ("enumtypid", O), ("enumsortorder", ColumnType::Float4), ("enumlabel", N)],
        rows: types::pg_enum,
    },
    indexes::PG_INDEX,
    constraints::PG_CONSTRAINT,
    programs::PG_PROC,
    programs::PG_TRIGGER,
    server::PG_LANGUAGE,
    crate::statistics::shown::PG_STATS,
    SystemTable {
        name: "pg_tables",
        columns: &[
            ("schemaname", N),
            ("tablename", N),
            ("tableowner", N),
            ("tablespace", N),
            ("hasindexes", B),
            ("hasrules", B),
            ("hastriggers", B),
            ("rowsecurity", B),
        ],
        rows: |_, catalog| {
            let row = |(id, schema, name): (u32, &str, &str), indexed: bool, triggers: bool| {
                let secured = catalog.access(id).is_some_and(|access| access.row_security);
                vec![
                    text(schema),
                    text(name),
                    shown::owner_name(catalog, id),
                    Value::Null,
                    Value::Boolean(indexed),
                    Value::Boolean(false),
                    Value::Boolean(triggers),
                    Value::Boolean(secured),
                ]
            };
            let own = catalog.tables().filter(|t| t.materialized.is_none()).map(|t| {
                let keys = !t.foreign_keys.is_empty() || catalog.children(t.id).next().is_some();
                let indexed = !t.has_hidden_key() || !t.indexes.is_empty();
                row((t.id, &t.schema, &t.name), indexed, keys || !t.triggers.is_empty())
            });
            let store = row((STORE_ID as u32, "pg_catalog", STORE), false, false);
            Ok(own.chain(std::iter::once(store)).collect())
        },
    },
    SystemTable {
        name: "pg_matviews",
        columns: &[
            ("schemaname", N),
            ("matviewname", N),
            ("matviewowner", N),
            ("tablespace", N),
            ("hasindexes", B),
            ("ispopulated", B),
            ("definition", T),
        ],
        rows: |context, catalog| {
            let path = &context.scope.settings.search_path;
            let own = catalog.tables().filter_map(|t| t.materialized.as_ref().map(|own| (t, own)));
            Ok(own
                .map(|(t, own)| {
                    vec![
                        text(&t.schema),
                        text(&t.name),
                        shown::owner_name(catalog, t.id),
                        Value::Null,
                        Value::Boolean(!t.indexes.is_empty()),
                        Value::Boolean(own.populated),
                        text(format!("{};", crate::catalog::view::shown(&own.sql, path))),
                    ]
                })
                .collect())
        },
    },
    SystemTable {
        name: "pg_views",
        columns: &[("schemaname", N), ("viewname", N), ("viewowner", N), ("definition", T)],
        rows: |context, catalog| {
            Ok(catalog
                .views()
                .map(|v| {
                    vec![
                        text(&v.schema),
                        text(&v.name),
                        shown::owner_name(catalog, v.id),
                        text(crate::catalog::view::definition(v, &context.scope.settings.search_path)),
                    ]
                })
                .collect())
        },
    },
    SystemTable {
        name: "pg_indexes",
        columns: &[("schemaname", N), ("tablename", N), ("indexname", N), ("tablespace", N), ("indexdef", T)],
        rows: |_, catalog| {
            Ok(catalog
                .tables()
                .flat_map(|table| {
                    indexes::all_indexes(table).into_iter().map(|index| {
                        vec![
                            text(&table.schema),
                            text(&table.name),
                            text(&index.name),
                            Value::Null,
                            text(index.definition(table)),
                        ]
                    })
                })
                .collect())
        },
    },
    sequences::PG_SEQUENCES,
    server::PG_DATABASE,
    server::PG_TABLESPACE,
    roles::PG_ROLES,
    roles::PG_AUTHID,
    roles::PG_USER,
    roles::PG_SHADOW,
    roles::PG_GROUP,
    roles::PG_AUTH_MEMBERS,
    roles::PG_DB_ROLE_SETTING,
    roles::PG_DEFAULT_ACL,
    roles::PG_POLICY,
    roles::PG_POLICIES,
    server::PG_SETTINGS,
    depend::PG_DEPEND,
    depend::PG_REWRITE,
    depend::PG_RULES,
    sequences::PG_SEQUENCE,
    crate::catalog::activity::PG_STAT_ACTIVITY,
    crate::catalog::locks::PG_LOCKS,
    crate::catalog::snapshots::CAIRN_SNAPSHOTS,
    crate::catalog::plans::CAIRN_PLANS,
    access::PG_AM,
    access::PG_OPCLASS,
    access::PG_OPFAMILY,
    access::PG_COLLATION,
    SystemTable {
        name: "pg_inherits",
        columns: &[("inhrelid", O), ("inhparent", O), ("inhseqno", I), ("inhdetachpending", B)],
        rows: partitions::pg_inherits,
    },
    SystemTable {
        name: "pg_partitioned_table",
        columns: &[
            ("partrelid", O),
            ("partstrat", ColumnType::Char),
            ("partnatts", S),
            ("partdefid", O),
            ("partattrs", ColumnType::Int2Vector),
            ("partclass", ColumnType::OidVector),
            ("partcollation", ColumnType::OidVector),
            ("partexprs", T),
        ],
        rows: partitions::pg_partitioned_table,
    },
    SystemTable {
        name: "pg_description",
        columns: &[("objoid", O), ("classoid", O), ("objsubid", I), ("description", T)],
        rows: relations::pg_description,
    },
];

/// The number of what belongs to an object and has a place there: see decision 0025.
pub(in crate::catalog) fn derived(object: u32, place: i64) -> i64 {
    DERIVED_ID + (i64::from(object) * PLACES + place) % DERIVED_IDS
}

/// The number of the default of a table's column at a place.
fn default_id(table: u32, at: usize) -> i64 {
    derived(table, at as i64)
}

/// The number of a table of `pg_catalog`: what `tableoid` is for its rows.
pub(crate) fn class_id(name: &str) -> i64 {
    system_tables().find(|own| own.1 == "pg_catalog" && own.2.name == name).map_or(0, |own| own.0)
}

/// Whether a table of which the rows are built in has a row of that number.
pub(crate) fn is_listed(table: &str, id: i64) -> bool {
    match table {
        "pg_collation" => access::has_collation(id),
        "pg_opclass" => access::has_class(id),
        "pg_opfamily" => access::has_family(id),
        _ => false,
    }
}

fn schema_ids(catalog: &Catalog) -> BTreeMap<&str, i64> {
    let mut ids: BTreeMap<&str, i64> =
        catalog.schemas().map(|s| (s.name.as_str(), i64::from(s.id))).collect();
    ids.insert("pg_catalog", PG_CATALOG_ID);
    ids.insert("information_schema", INFORMATION_SCHEMA_ID);
    ids
}

fn system_tables() -> impl Iterator<Item = (i64, &'static str, &'static SystemTable)> {
    ["pg_catalog", "information_schema"]
        .into_iter()
        .flat_map(|schema| crate::catalog::system::tables(schema).iter().map(move |table| (schema, table)))
        .enumerate()
        .map(|(at, (schema, table))| {
            (numbers::of(schema, table.name).unwrap_or(100 + at as i64), schema, table)
        })
}

/// The table, and the place there, that a number was derived from.
fn derived_parts(catalog: &Catalog, oid: i64) -> Option<(std::sync::Arc<Table>, i64)> {
    let own = oid.checked_sub(DERIVED_ID).filter(|own| (0..DERIVED_IDS).contains(own))?;
    let first = u32::try_from(own / PLACES).ok()?;
    let apart = |id: u32| i64::from(id.abs_diff(first)) % (DERIVED_IDS / PLACES) == 0;
    let table = catalog.table_by_id(first);
    let table = table.or_else(|| catalog.tables().find(|table| apart(table.id)))?;
    Some((std::sync::Arc::clone(table), own % PLACES))
}
