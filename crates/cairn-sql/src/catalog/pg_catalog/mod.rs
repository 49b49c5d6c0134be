//! `pg_catalog`: the tables that `\d`, drivers and ORMs read. Object ids are the engine's; indexes and
//! constraints, which have none of their own, get theirs from their table's.

mod constraints;
mod indexes;
pub(crate) mod objects;
mod partitions;
pub(super) mod programs;
mod relations;
mod types;

use std::collections::BTreeMap;

use cairn_engine::Catalog;
use cairn_engine::catalog::{PUBLIC, STORE, Table};
use cairn_types::{DataType, Value};

pub(crate) use constraints::constraint_definition;
pub(crate) use indexes::index_definition;
pub(crate) use partitions::key_definition;
pub(crate) use relations::view_definition;
pub(crate) use types::{format_type, type_of};

use super::DATABASE;
use super::system::{SystemTable, text};
use crate::functions::system::USER;

const T: DataType = DataType::Text;
const O: DataType = DataType::BigInt;
const B: DataType = DataType::Boolean;
const I: DataType = DataType::Integer;

/// The id of `pg_catalog`.
const PG_CATALOG_ID: i64 = 11;
/// The id of `information_schema`.
const INFORMATION_SCHEMA_ID: i64 = 12;
/// The id of the key-value space's table.
pub(in crate::catalog) const STORE_ID: i64 = 900;
/// Ids of indexes and constraints begin here; each table has 65,536 of them.
const DERIVED_ID: i64 = 1 << 32;
/// Within a table's derived ids: constraints that are no indexes.
const CONSTRAINT_OFFSET: i64 = 1 << 15;

/// The tables of this schema.
pub(crate) const TABLES: &[SystemTable] = &[
    SystemTable {
        name: "pg_namespace",
        columns: &[("oid", O), ("nspname", T), ("nspowner", O), ("nspacl", T)],
        rows: |_, catalog| {
            let own = catalog.schemas().map(|s| (i64::from(s.id), s.name.clone()));
            let fixed = [(PG_CATALOG_ID, "pg_catalog"), (INFORMATION_SCHEMA_ID, "information_schema")]
                .map(|(id, name)| (id, name.to_owned()));
            Ok(own
                .chain(fixed)
                .map(|(id, name)| vec![Value::BigInt(id), text(name), Value::BigInt(10), Value::Null])
                .collect())
        },
    },
    SystemTable {
        name: "pg_class",
        columns: &[
            ("oid", O),
            ("relname", T),
            ("relnamespace", O),
            ("reltype", O),
            ("relowner", O),
            ("relam", O),
            ("relpages", I),
            ("reltuples", DataType::Real),
            ("relhasindex", B),
            ("relkind", T),
            ("relnatts", DataType::SmallInt),
            ("relchecks", DataType::SmallInt),
            ("relhasrules", B),
            ("relhastriggers", B),
            ("relrowsecurity", B),
            ("relforcerowsecurity", B),
            ("relispartition", B),
            ("relpersistence", T),
            ("relreplident", T),
            ("reltablespace", O),
            ("reloptions", T),
            ("relpartbound", T),
        ],
        rows: relations::pg_class,
    },
    SystemTable {
        name: "pg_attribute",
        columns: &[
            ("attrelid", O),
            ("attname", T),
            ("atttypid", O),
            ("attlen", DataType::SmallInt),
            ("attnum", DataType::SmallInt),
            ("atttypmod", I),
            ("attnotnull", B),
            ("atthasdef", B),
            ("attisdropped", B),
            ("attidentity", T),
            ("attgenerated", T),
            ("attcollation", O),
        ],
        rows: relations::pg_attribute,
    },
    SystemTable {
        name: "pg_attrdef",
        columns: &[("oid", O), ("adrelid", O), ("adnum", DataType::SmallInt), ("adbin", T)],
        rows: |_, catalog| {
            Ok(catalog
                .tables()
                .flat_map(|table| {
                    table.live_columns().enumerate().filter_map(|(at, column)| {
                        let default = column.default.as_deref()?;
                        let number = at as i16 + 1;
                        Some(vec![
                            Value::BigInt(derived(table.id, CONSTRAINT_OFFSET * 3 / 2 + i64::from(number))),
                            Value::BigInt(i64::from(table.id)),
                            Value::SmallInt(number),
                            text(default),
                        ])
                    })
                })
                .collect())
        },
    },
    SystemTable {
        name: "pg_type",
        columns: &[
            ("oid", O),
            ("typname", T),
            ("typnamespace", O),
            ("typlen", DataType::SmallInt),
            ("typtype", T),
            ("typcategory", T),
            ("typelem", O),
            ("typarray", O),
            ("typrelid", O),
            ("typbasetype", O),
            ("typtypmod", I),
            ("typnotnull", B),
        ],
        rows: types::pg_type,
    },
    SystemTable {
        name: "pg_enum",
        columns: &[("oid", O), ("enumtypid", O), ("enumsortorder", DataType::Real), ("enumlabel", T)],
        rows: types::pg_enum,
    },
    SystemTable {
        name: "pg_index",
        columns: &[
            ("indexrelid", O),
            ("indrelid", O),
            ("indnatts", DataType::SmallInt),
            ("indisunique", B),
            ("indisprimary", B),
            ("indisexclusion", B),
            ("indisclustered", B),
            ("indisvalid", B),
            ("indisreplident", B),
            ("indkey", DataType::Text),
            ("indimmediate", B),
        ],
        rows: indexes::pg_index,
    },
    SystemTable {
        name: "pg_constraint",
        columns: &[
            ("oid", O),
            ("conname", T),
            ("connamespace", O),
            ("contype", T),
            ("condeferrable", B),
            ("condeferred", B),
            ("convalidated", B),
            ("conrelid", O),
            ("conindid", O),
            ("confrelid", O),
            ("confupdtype", T),
            ("confdeltype", T),
        ],
        rows: constraints::pg_constraint,
    },
    SystemTable {
        name: "pg_proc",
        columns: &[
            ("oid", O),
            ("proname", T),
            ("pronamespace", O),
            ("proowner", O),
            ("prolang", O),
            ("prokind", T),
            ("proisstrict", B),
            ("proretset", B),
            ("provolatile", T),
            ("pronargs", DataType::SmallInt),
            ("pronargdefaults", DataType::SmallInt),
            ("prorettype", O),
            ("proargtypes", T),
            ("proargmodes", T),
            ("proargnames", T),
            ("prosrc", T),
        ],
        rows: programs::pg_proc,
    },
    SystemTable {
        name: "pg_trigger",
        columns: &[
            ("oid", O),
            ("tgrelid", O),
            ("tgparentid", O),
            ("tgname", T),
            ("tgfoid", O),
            ("tgtype", DataType::SmallInt),
            ("tgenabled", T),
            ("tgisinternal", B),
            ("tgnargs", DataType::SmallInt),
            ("tgattr", T),
            ("tgqual", T),
            ("tgoldtable", T),
            ("tgnewtable", T),
        ],
        rows: programs::pg_trigger,
    },
    SystemTable {
        name: "pg_language",
        columns: &[("oid", O), ("lanname", T), ("lanowner", O), ("lanispl", B), ("lanpltrusted", B)],
        rows: |_, _| {
            let row = |oid: i64, name: &str| {
                vec![
                    Value::BigInt(oid),
                    text(name),
                    Value::BigInt(10),
                    Value::Boolean(false),
                    Value::Boolean(true),
                ]
            };
            Ok(vec![row(14, "sql")])
        },
    },
    crate::statistics::shown::PG_STATS,
    SystemTable {
        name: "pg_tables",
        columns: &[("schemaname", T), ("tablename", T), ("tableowner", T), ("hasindexes", B)],
        rows: |_, catalog| {
            let own = catalog.tables().filter(|t| t.materialized.is_none()).map(|t| {
                let indexed = !t.has_hidden_key() || !t.indexes.is_empty();
                vec![text(&t.schema), text(&t.name), text(USER), Value::Boolean(indexed)]
            });
            let store = vec![text(PUBLIC), text(STORE), text(USER), Value::Boolean(false)];
            Ok(own.chain(std::iter::once(store)).collect())
        },
    },
    SystemTable {
        name: "pg_matviews",
        columns: &[
            ("schemaname", T),
            ("matviewname", T),
            ("matviewowner", T),
            ("tablespace", T),
            ("hasindexes", B),
            ("ispopulated", B),
            ("definition", T),
        ],
        rows: |_, catalog| {
            let own = catalog.tables().filter_map(|t| t.materialized.as_ref().map(|own| (t, own)));
            Ok(own
                .map(|(t, own)| {
                    vec![
                        text(&t.schema),
                        text(&t.name),
                        text(USER),
                        Value::Null,
                        Value::Boolean(!t.indexes.is_empty()),
                        Value::Boolean(own.populated),
                        text(format!("{};", crate::parse::shown::shown(&own.sql))),
                    ]
                })
                .collect())
        },
    },
    SystemTable {
        name: "pg_views",
        columns: &[("schemaname", T), ("viewname", T), ("viewowner", T), ("definition", T)],
        rows: |_, catalog| {
            Ok(catalog
                .views()
                .map(|v| {
                    vec![
                        text(&v.schema),
                        text(&v.name),
                        text(USER),
                        text(crate::catalog::view::definition(v)),
                    ]
                })
                .collect())
        },
    },
    SystemTable {
        name: "pg_indexes",
        columns: &[("schemaname", T), ("tablename", T), ("indexname", T), ("tablespace", T), ("indexdef", T)],
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
    SystemTable {
        name: "pg_sequences",
        columns: &[
            ("schemaname", T),
            ("sequencename", T),
            ("sequenceowner", T),
            ("data_type", T),
            ("start_value", O),
            ("min_value", O),
            ("max_value", O),
            ("increment_by", O),
            ("cycle", B),
            ("cache_size", O),
        ],
        rows: |_, catalog| {
            Ok(catalog
                .sequences()
                .map(|s| {
                    vec![
                        text(&s.schema),
                        text(&s.name),
                        text(USER),
                        text(s.ty.base_name()),
                        Value::BigInt(s.start),
                        Value::BigInt(s.min),
                        Value::BigInt(s.max),
                        Value::BigInt(s.increment),
                        Value::Boolean(s.cycle),
                        Value::BigInt(s.cache),
                    ]
                })
                .collect())
        },
    },
    SystemTable {
        name: "pg_database",
        columns: &[
            ("oid", O),
            ("datname", T),
            ("datdba", O),
            ("encoding", I),
            ("datcollate", T),
            ("datctype", T),
        ],
        rows: |_, _| {
            Ok(vec![vec![
                Value::BigInt(1),
                text(DATABASE),
                Value::BigInt(10),
                Value::Integer(6),
                text("C"),
                text("C"),
            ]])
        },
    },
    SystemTable {
        name: "pg_roles",
        columns: &[("oid", O), ("rolname", T), ("rolsuper", B), ("rolcanlogin", B)],
        rows: |_, _| {
            Ok(vec![vec![Value::BigInt(10), text(USER), Value::Boolean(true), Value::Boolean(true)]])
        },
    },
    SystemTable {
        name: "pg_settings",
        columns: &[("name", T), ("setting", T), ("short_desc", T)],
        rows: |context, _| {
            let all = context.scope.settings.all();
            Ok(all
                .into_iter()
                .map(|(name, value, description)| vec![text(name), text(value), text(description)])
                .collect())
        },
    },
    crate::catalog::locks::PG_LOCKS,
    crate::catalog::snapshots::CAIRN_SNAPSHOTS,
    crate::catalog::plans::CAIRN_PLANS,
    SystemTable {
        name: "pg_am",
        columns: &[("oid", O), ("amname", T), ("amtype", T)],
        rows: |_, _| {
            Ok(vec![
                vec![Value::BigInt(2), text("heap"), text("t")],
                vec![Value::BigInt(403), text("btree"), text("i")],
            ])
        },
    },
    SystemTable {
        name: "pg_inherits",
        columns: &[("inhrelid", O), ("inhparent", O), ("inhseqno", I), ("inhdetachpending", B)],
        rows: partitions::pg_inherits,
    },
    SystemTable {
        name: "pg_partitioned_table",
        columns: &[
            ("partrelid", O),
            ("partstrat", T),
            ("partnatts", DataType::SmallInt),
            ("partdefid", O),
            ("partattrs", T),
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

pub(in crate::catalog) fn derived(table: u32, offset: i64) -> i64 {
    DERIVED_ID + i64::from(table) * 65_536 + offset
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
        .map(|(at, (schema, table))| (100 + at as i64, schema, table))
}

fn derived_parts(catalog: &Catalog, oid: i64) -> Option<(std::sync::Arc<Table>, i64)> {
    let own = oid.checked_sub(DERIVED_ID).filter(|own| *own >= 0)?;
    let table = catalog.table_by_id(u32::try_from(own / 65_536).ok()?)?;
    Some((std::sync::Arc::clone(table), own % 65_536))
}
