//! `pg_catalog`: the tables that `\d`, drivers and ORMs read. Object ids are the engine's; indexes and
//! constraints, which have none of their own, get theirs from their table's.

use std::collections::BTreeMap;

use cairn_engine::Catalog;
use cairn_engine::catalog::{ForeignKey, IndexDescriptor, PUBLIC, STORE, Table};
use cairn_types::{DataType, Value};

use super::DATABASE;
use super::information_schema::{action_name, keys};
use super::system::{Rows, SystemTable, optional, text};
use crate::Result;
use crate::context::{Context, Scope};
use crate::functions::system::USER;
use crate::functions::text::quote_ident;

const T: DataType = DataType::Text;
const O: DataType = DataType::BigInt;
const B: DataType = DataType::Boolean;
const I: DataType = DataType::Integer;

/// The id of `pg_catalog`.
const PG_CATALOG_ID: i64 = 11;
/// The id of `information_schema`.
const INFORMATION_SCHEMA_ID: i64 = 12;
/// The id of the key-value space's table.
pub(super) const STORE_ID: i64 = 900;
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
        ],
        rows: pg_class,
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
        rows: pg_attribute,
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
        rows: pg_type,
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
        ],
        rows: pg_index,
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
        rows: pg_constraint,
    },
    SystemTable {
        name: "pg_tables",
        columns: &[("schemaname", T), ("tablename", T), ("tableowner", T), ("hasindexes", B)],
        rows: |_, catalog| {
            let own = catalog.tables().map(|t| {
                let indexed = !t.has_hidden_key() || !t.indexes.is_empty();
                vec![text(&t.schema), text(&t.name), text(USER), Value::Boolean(indexed)]
            });
            let store = vec![text(PUBLIC), text(STORE), text(USER), Value::Boolean(false)];
            Ok(own.chain(std::iter::once(store)).collect())
        },
    },
    SystemTable {
        name: "pg_views",
        columns: &[("schemaname", T), ("viewname", T), ("viewowner", T), ("definition", T)],
        rows: |_, catalog| {
            Ok(catalog
                .views()
                .map(|v| vec![text(&v.schema), text(&v.name), text(USER), text(&v.sql)])
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
                    all_indexes(table).into_iter().map(|index| {
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
    super::locks::PG_LOCKS,
    super::snapshots::CAIRN_SNAPSHOTS,
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
        name: "pg_description",
        columns: &[("objoid", O), ("classoid", O), ("objsubid", I), ("description", T)],
        rows: pg_description,
    },
];

pub(super) fn derived(table: u32, offset: i64) -> i64 {
    DERIVED_ID + i64::from(table) * 65_536 + offset
}

/// An index as the catalog tables show it; the primary key has id 0.
struct Index {
    id: u16,
    name: String,
    unique: bool,
    primary: bool,
    /// Place and order text of each column.
    columns: Vec<(usize, &'static str)>,
    kind: String,
}

impl Index {
    fn definition(&self, table: &Table) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(place, order)| format!("{}{order}", quote_ident(&table.live_column(*place).name)))
            .collect();
        format!(
            "CREATE {}INDEX {} ON {}.{} USING {} ({})",
            if self.unique { "UNIQUE " } else { "" },
            quote_ident(&self.name),
            quote_ident(&table.schema),
            quote_ident(&table.name),
            self.kind,
            columns.join(", ")
        )
    }
}

fn all_indexes(table: &Table) -> Vec<Index> {
    let mut all = Vec::new();
    if !table.has_hidden_key() {
        all.push(Index {
            id: 0,
            name: table.primary_key_name.clone(),
            unique: true,
            primary: true,
            columns: table.primary_key_places().into_iter().map(|place| (place, "")).collect(),
            kind: "btree".to_owned(),
        });
    }
    all.extend(table.indexes.iter().map(|index| secondary(table, index)));
    all
}

fn secondary(table: &Table, index: &IndexDescriptor) -> Index {
    let columns = index
        .columns
        .iter()
        .filter_map(|c| {
            let order = match (c.descending, c.nulls_first) {
                (false, false) => "",
                (false, true) => " NULLS FIRST",
                (true, true) => " DESC",
                (true, false) => " DESC NULLS LAST",
            };
            Some((table.place_of(c.column)?, order))
        })
        .collect();
    Index {
        id: index.id,
        name: index.name.clone(),
        unique: index.unique,
        primary: false,
        columns,
        kind: index.kind.clone(),
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
        .flat_map(|schema| super::system::tables(schema).iter().map(move |table| (schema, table)))
        .enumerate()
        .map(|(at, (schema, table))| (100 + at as i64, schema, table))
}

fn pg_class(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let schemas = schema_ids(catalog);
    let mut rows = Rows::new();
    let mut push =
        |id: i64, name: &str, schema: &str, kind: &str, columns: usize, rest: (f32, bool, usize)| {
            rows.push(vec![
                Value::BigInt(id),
                text(name),
                schemas.get(schema).map_or(Value::Null, |id| Value::BigInt(*id)),
                Value::BigInt(0),
                Value::BigInt(10),
                Value::BigInt(match kind {
                    "i" => 403,
                    "r" => 2,
                    _ => 0,
                }),
                Value::Real(rest.0),
                Value::Boolean(rest.1),
                text(kind),
                Value::SmallInt(columns as i16),
                Value::SmallInt(rest.2 as i16),
                Value::Boolean(false),
                Value::Boolean(false),
                Value::Boolean(false),
                Value::Boolean(false),
                Value::Boolean(false),
                text("p"),
                text("d"),
                Value::BigInt(0),
                Value::Null,
            ]);
        };
    for table in catalog.tables() {
        let indexes = all_indexes(table);
        let estimate = context.scope.shared.database.approximate_rows(table.id) as f32;
        let columns = table.live_columns().len();
        let rest = (estimate, !indexes.is_empty(), table.checks.len());
        push(i64::from(table.id), &table.name, &table.schema, "r", columns, rest);
        for index in indexes {
            let id = derived(table.id, i64::from(index.id));
            push(id, &index.name, &table.schema, "i", index.columns.len(), (estimate, false, 0));
        }
    }
    for view in catalog.views() {
        push(i64::from(view.id), &view.name, &view.schema, "v", view.columns.len(), (0.0, false, 0));
    }
    for sequence in catalog.sequences() {
        push(i64::from(sequence.id), &sequence.name, &sequence.schema, "S", 0, (1.0, false, 0));
    }
    push(STORE_ID, STORE, PUBLIC, "r", 2, (0.0, false, 0));
    for (id, schema, table) in system_tables() {
        let kind = if schema == "pg_catalog" { "r" } else { "v" };
        push(id, table.name, schema, kind, table.columns.len(), (0.0, false, 0));
    }
    Ok(rows)
}

/// The type modifier: what `format_type` needs to print parameters.
fn modifier(ty: &DataType) -> i32 {
    match ty {
        DataType::Varchar(Some(n)) | DataType::Char(n) => *n as i32 + 4,
        DataType::Numeric(Some((p, s))) => ((i32::from(*p) << 16) | i32::from(*s)) + 4,
        DataType::Array(item) => modifier(item),
        _ => -1,
    }
}

fn length(ty: &DataType) -> i16 {
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

fn pg_attribute(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    let mut push = |relation: i64, name: &str, number: usize, ty: &DataType, flags: (bool, bool, &str)| {
        rows.push(vec![
            Value::BigInt(relation),
            text(name),
            Value::BigInt(i64::from(ty.pg_oid())),
            Value::SmallInt(length(ty)),
            Value::SmallInt(number as i16),
            Value::Integer(modifier(ty)),
            Value::Boolean(flags.0),
            Value::Boolean(flags.1),
            Value::Boolean(false),
            text(flags.2),
            text(""),
            Value::BigInt(0),
        ]);
    };
    for table in catalog.tables() {
        for (at, column) in table.live_columns().enumerate() {
            let identity = match column.identity {
                Some(identity) if identity.always => "a",
                Some(_) => "d",
                None => "",
            };
            let flags = (!column.nullable, column.default.is_some(), identity);
            push(i64::from(table.id), &column.name, at + 1, &column.ty, flags);
        }
        for index in all_indexes(table) {
            for (at, (place, _)) in index.columns.iter().enumerate() {
                let column = table.live_column(*place);
                let relation = derived(table.id, i64::from(index.id));
                push(relation, &column.name, at + 1, &column.ty, (false, false, ""));
            }
        }
    }
    for view in catalog.views() {
        for (at, column) in view.columns.iter().enumerate() {
            push(i64::from(view.id), &column.name, at + 1, &column.ty, (false, false, ""));
        }
    }
    push(STORE_ID, "key", 1, &T, (true, false, ""));
    push(STORE_ID, "value", 2, &T, (true, false, ""));
    for (id, _, table) in system_tables() {
        for (at, (name, ty)) in table.columns.iter().enumerate() {
            push(id, name, at + 1, ty, (false, false, ""));
        }
    }
    Ok(rows)
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

fn pg_type(_context: &Context, _catalog: &Catalog) -> Result<Rows> {
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

fn pg_index(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        for index in all_indexes(table) {
            let key: Vec<String> = index.columns.iter().map(|(place, _)| (place + 1).to_string()).collect();
            rows.push(vec![
                Value::BigInt(derived(table.id, i64::from(index.id))),
                Value::BigInt(i64::from(table.id)),
                Value::SmallInt(index.columns.len() as i16),
                Value::Boolean(index.unique),
                Value::Boolean(index.primary),
                Value::Boolean(false),
                Value::Boolean(false),
                Value::Boolean(true),
                Value::Boolean(false),
                text(key.join(" ")),
            ]);
        }
    }
    Ok(rows)
}

/// A constraint: id, name, kind as in `contype`, its index, the foreign key.
struct Constraint<'t> {
    id: i64,
    name: String,
    kind: &'static str,
    index: i64,
    foreign: Option<&'t ForeignKey>,
    definition: String,
}

fn constraints<'t>(catalog: &Catalog, table: &'t Table) -> Vec<Constraint<'t>> {
    let mut all = Vec::new();
    let mut next = CONSTRAINT_OFFSET;
    let mut id = || {
        next += 1;
        derived(table.id, next)
    };
    for (name, kind, columns) in keys(table) {
        let index = table.index_by_name(&name).map_or(0, |index| i64::from(index.id));
        let columns: Vec<String> = columns.iter().map(|c| quote_ident(c)).collect();
        all.push(Constraint {
            id: id(),
            definition: format!("{kind} ({})", columns.join(", ")),
            name,
            kind: if kind == "UNIQUE" { "u" } else { "p" },
            index: derived(table.id, index),
            foreign: None,
        });
    }
    for check in &table.checks {
        all.push(Constraint {
            id: id(),
            name: check.name.clone(),
            kind: "c",
            index: 0,
            foreign: None,
            definition: format!("CHECK ({})", check.sql),
        });
    }
    for key in &table.foreign_keys {
        all.push(Constraint {
            id: id(),
            name: key.name.clone(),
            kind: "f",
            index: 0,
            foreign: Some(key),
            definition: foreign_definition(catalog, table, key),
        });
    }
    all
}

fn foreign_definition(catalog: &Catalog, table: &Table, key: &ForeignKey) -> String {
    let list = |of: &Table, ids: &[u32]| {
        ids.iter()
            .filter_map(|id| Some(quote_ident(&of.column_by_id(*id)?.name)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some(parent) = catalog.table_by_id(key.parent) else { return String::new() };
    let mut text = format!(
        "FOREIGN KEY ({}) REFERENCES {}({})",
        list(table, &key.columns),
        if parent.schema == PUBLIC {
            quote_ident(&parent.name)
        } else {
            format!("{}.{}", quote_ident(&parent.schema), quote_ident(&parent.name))
        },
        list(parent, &key.parent_columns)
    );
    for (clause, action) in [(" ON UPDATE ", key.on_update), (" ON DELETE ", key.on_delete)] {
        if action_name(action) != "NO ACTION" {
            text.push_str(clause);
            text.push_str(action_name(action));
        }
    }
    text
}

fn action_code(name: &str) -> &'static str {
    match name {
        "RESTRICT" => "r",
        "CASCADE" => "c",
        "SET NULL" => "n",
        "SET DEFAULT" => "d",
        _ => "a",
    }
}

fn pg_constraint(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let schemas = schema_ids(catalog);
    let mut rows = Rows::new();
    for table in catalog.tables() {
        for constraint in constraints(catalog, table) {
            let action = |get: fn(&ForeignKey) -> &'static str| text(constraint.foreign.map_or(" ", get));
            rows.push(vec![
                Value::BigInt(constraint.id),
                text(&constraint.name),
                schemas.get(table.schema.as_str()).map_or(Value::Null, |id| Value::BigInt(*id)),
                text(constraint.kind),
                Value::Boolean(false),
                Value::Boolean(false),
                Value::Boolean(true),
                Value::BigInt(i64::from(table.id)),
                Value::BigInt(constraint.index),
                Value::BigInt(constraint.foreign.map_or(0, |key| i64::from(key.parent))),
                action(|key| action_code(action_name(key.on_update))),
                action(|key| action_code(action_name(key.on_delete))),
            ]);
        }
    }
    Ok(rows)
}

fn pg_description(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    let mut push = |object: u32, part: i32, comment: &Option<String>| {
        if comment.is_some() {
            rows.push(vec![
                Value::BigInt(i64::from(object)),
                Value::BigInt(0),
                Value::Integer(part),
                optional(comment.as_deref()),
            ]);
        }
    };
    for table in catalog.tables() {
        push(table.id, 0, &table.comment);
        for (at, column) in table.live_columns().enumerate() {
            push(table.id, at as i32 + 1, &column.comment);
        }
    }
    for view in catalog.views() {
        push(view.id, 0, &view.comment);
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

/// Whether a relation is found by its bare name.
pub(crate) fn is_visible(scope: &Scope, oid: i64) -> Result<bool> {
    let catalog = scope.txn.catalog();
    let named = |id: i64| {
        let id = u32::try_from(id).ok()?;
        let table = catalog.table_by_id(id).map(|t| (t.schema.clone(), t.name.clone()));
        let view = || catalog.view_by_id(id).map(|v| (v.schema.clone(), v.name.clone()));
        let sequence = || catalog.sequence_by_id(id).map(|s| (s.schema.clone(), s.name.clone()));
        table.or_else(view).or_else(sequence)
    };
    if oid == STORE_ID {
        return Ok(true);
    }
    if oid >= DERIVED_ID {
        return is_visible(scope, (oid - DERIVED_ID) / 65_536);
    }
    let Some((schema, name)) = named(oid) else {
        return Ok(system_tables().any(|(id, schema, _)| id == oid && schema == "pg_catalog"));
    };
    let first = scope.settings.search_path.iter().find(|s| catalog.relation(s, &name).is_some());
    Ok(first == Some(&schema))
}

/// CREATE INDEX of an index.
pub(crate) fn index_definition(scope: &Scope, oid: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let Some((table, offset)) = derived_parts(&catalog, oid) else { return Ok(None) };
    Ok(all_indexes(&table).iter().find(|i| i64::from(i.id) == offset).map(|i| i.definition(&table)))
}

/// A constraint's clause.
pub(crate) fn constraint_definition(scope: &Scope, oid: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let Some((table, _)) = derived_parts(&catalog, oid) else { return Ok(None) };
    Ok(constraints(&catalog, &table).into_iter().find(|c| c.id == oid).map(|c| c.definition))
}

fn derived_parts(catalog: &Catalog, oid: i64) -> Option<(std::sync::Arc<Table>, i64)> {
    let own = oid.checked_sub(DERIVED_ID).filter(|own| *own >= 0)?;
    let table = catalog.table_by_id(u32::try_from(own / 65_536).ok()?)?;
    Some((std::sync::Arc::clone(table), own % 65_536))
}

/// A view's query.
pub(crate) fn view_definition(scope: &Scope, oid: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let view = u32::try_from(oid).ok().and_then(|id| catalog.view_by_id(id).cloned());
    Ok(view.map(|view| format!(" {};", view.sql)))
}
