//! `information_schema`: the standard's picture of the catalog.

use cairn_engine::Catalog;
use cairn_engine::catalog::{
    BOOTSTRAP, CheckOption, ReferentialAction, STORE, Table, TypeDescriptor, ViewDescriptor,
};
use cairn_types::{Coded, DataType, Value};

use super::DATABASE;
use super::column_type::ColumnType;
use super::information_privileges as privileges;
use super::pg_catalog::programs;
use super::system::{Rows, SystemTable, optional, text, yes_no};
use crate::Result;
use crate::context::Context;
use crate::dml::updatable::writable_columns;
use crate::privileges::{may_know, shown};
use crate::session::temporary::is_temporary;
use crate::trigger::view::as_table;

const T: ColumnType = ColumnType::Text;
const I: ColumnType = ColumnType::Int4;

/// The tables of this schema.
pub(crate) const TABLES: &[SystemTable] = &[
    SystemTable {
        name: "schemata",
        columns: &[("catalog_name", T), ("schema_name", T), ("schema_owner", T)],
        rows: |_, catalog| {
            let owner = |id| shown::owner_name(catalog, id);
            let own = catalog.schemas().map(|schema| (schema.name.clone(), owner(schema.id)));
            let fixed = ["information_schema", "pg_catalog"].map(|name| (name.to_owned(), owner(BOOTSTRAP)));
            Ok(own.chain(fixed).map(|(name, owner)| vec![text(DATABASE), text(name), owner]).collect())
        },
    },
    SystemTable {
        name: "tables",
        columns: &[
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("table_type", T),
            ("is_insertable_into", T),
        ],
        rows: tables,
    },
    SystemTable {
        name: "routines",
        columns: &[
            ("specific_catalog", T),
            ("specific_schema", T),
            ("specific_name", T),
            ("routine_catalog", T),
            ("routine_schema", T),
            ("routine_name", T),
            ("routine_type", T),
            ("data_type", T),
            ("routine_body", T),
            ("routine_definition", T),
            ("external_language", T),
            ("is_deterministic", T),
            ("sql_data_access", T),
            ("is_null_call", T),
        ],
        rows: programs::routines,
    },
    SystemTable {
        name: "parameters",
        columns: &[
            ("specific_catalog", T),
            ("specific_schema", T),
            ("specific_name", T),
            ("ordinal_position", I),
            ("parameter_mode", T),
            ("parameter_name", T),
            ("data_type", T),
            ("parameter_default", T),
        ],
        rows: programs::parameters,
    },
    SystemTable {
        name: "triggers",
        columns: &[
            ("trigger_catalog", T),
            ("trigger_schema", T),
            ("trigger_name", T),
            ("event_manipulation", T),
            ("event_object_catalog", T),
            ("event_object_schema", T),
            ("event_object_table", T),
            ("action_condition", T),
            ("action_statement", T),
            ("action_orientation", T),
            ("action_timing", T),
            ("action_reference_old_table", T),
            ("action_reference_new_table", T),
        ],
        rows: programs::information_schema_triggers,
    },
    SystemTable {
        name: "columns",
        columns: &[
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("column_name", T),
            ("ordinal_position", I),
            ("column_default", T),
            ("is_nullable", T),
            ("data_type", T),
            ("character_maximum_length", I),
            ("numeric_precision", I),
            ("numeric_scale", I),
            ("datetime_precision", I),
            ("udt_name", T),
            ("domain_schema", T),
            ("domain_name", T),
            ("is_identity", T),
            ("identity_generation", T),
            ("is_generated", T),
            ("is_updatable", T),
        ],
        rows: columns,
    },
    SystemTable {
        name: "views",
        columns: &[
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("view_definition", T),
            ("check_option", T),
            ("is_updatable", T),
            ("is_insertable_into", T),
            ("is_trigger_updatable", T),
            ("is_trigger_deletable", T),
            ("is_trigger_insertable_into", T),
        ],
        rows: |context, catalog| {
            Ok(catalog
                .views()
                .filter(|view| may_know(context, view.id))
                .map(|view| {
                    let writable = writable_columns(context, view).contains(&true);
                    let instead = |verb: &str| as_table(view, verb).is_some();
                    vec![
                        text(DATABASE),
                        text(&view.schema),
                        text(&view.name),
                        text(super::view::definition(view, &context.scope.settings.search_path)),
                        text(match view.options.check {
                            None => "NONE",
                            Some(CheckOption::Local) => "LOCAL",
                            Some(CheckOption::Cascaded) => "CASCADED",
                        }),
                        yes_no(writable),
                        yes_no(writable),
                        yes_no(instead("UPDATE")),
                        yes_no(instead("DELETE")),
                        yes_no(instead("INSERT")),
                    ]
                })
                .collect())
        },
    },
    SystemTable {
        name: "table_constraints",
        columns: &[
            ("constraint_catalog", T),
            ("constraint_schema", T),
            ("constraint_name", T),
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("constraint_type", T),
            ("is_deferrable", T),
            ("initially_deferred", T),
        ],
        rows: table_constraints,
    },
    SystemTable {
        name: "key_column_usage",
        columns: &[
            ("constraint_catalog", T),
            ("constraint_schema", T),
            ("constraint_name", T),
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("column_name", T),
            ("ordinal_position", I),
            ("position_in_unique_constraint", I),
        ],
        rows: key_column_usage,
    },
    SystemTable {
        name: "constraint_column_usage",
        columns: &[
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("column_name", T),
            ("constraint_catalog", T),
            ("constraint_schema", T),
            ("constraint_name", T),
        ],
        rows: constraint_column_usage,
    },
    SystemTable {
        name: "referential_constraints",
        columns: &[
            ("constraint_catalog", T),
            ("constraint_schema", T),
            ("constraint_name", T),
            ("unique_constraint_catalog", T),
            ("unique_constraint_schema", T),
            ("unique_constraint_name", T),
            ("match_option", T),
            ("update_rule", T),
            ("delete_rule", T),
        ],
        rows: referential_constraints,
    },
    SystemTable {
        name: "check_constraints",
        columns: &[
            ("constraint_catalog", T),
            ("constraint_schema", T),
            ("constraint_name", T),
            ("check_clause", T),
        ],
        rows: |_, catalog| {
            Ok(catalog
                .tables()
                .flat_map(|table| {
                    table.checks.iter().map(|check| {
                        vec![
                            text(DATABASE),
                            text(&table.schema),
                            text(&check.name),
                            text(crate::parse::shown::shown(&check.sql)),
                        ]
                    })
                })
                .collect())
        },
    },
    privileges::TABLE_PRIVILEGES,
    privileges::ROLE_TABLE_GRANTS,
    privileges::COLUMN_PRIVILEGES,
    privileges::USAGE_PRIVILEGES,
    privileges::ROUTINE_PRIVILEGES,
    privileges::ENABLED_ROLES,
    privileges::APPLICABLE_ROLES,
    SystemTable {
        name: "sequences",
        columns: &[
            ("sequence_catalog", T),
            ("sequence_schema", T),
            ("sequence_name", T),
            ("data_type", T),
            ("start_value", T),
            ("minimum_value", T),
            ("maximum_value", T),
            ("increment", T),
            ("cycle_option", T),
        ],
        rows: |_, catalog| {
            Ok(catalog
                .sequences()
                .map(|s| {
                    vec![
                        text(DATABASE),
                        text(&s.schema),
                        text(&s.name),
                        text(s.ty.base_name()),
                        text(s.start.to_string()),
                        text(s.min.to_string()),
                        text(s.max.to_string()),
                        text(s.increment.to_string()),
                        yes_no(s.cycle),
                    ]
                })
                .collect())
        },
    },
];

fn tables(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let row = |schema: &str, name: &str, kind: &str, writable: bool| {
        vec![text(DATABASE), text(schema), text(name), text(kind), yes_no(writable)]
    };
    let kind = |schema: &str| match is_temporary(schema) {
        true => "LOCAL TEMPORARY",
        false => "BASE TABLE",
    };
    let known = |id: u32| may_know(context, id);
    let tables = catalog.tables().filter(|table| table.materialized.is_none() && known(table.id));
    let mut rows: Rows = tables.map(|t| row(&t.schema, &t.name, kind(&t.schema), true)).collect();
    rows.push(row("pg_catalog", STORE, "BASE TABLE", false));
    let writable = |view: &ViewDescriptor| writable_columns(context, view).contains(&true);
    let views = catalog.views().filter(|view| known(view.id));
    rows.extend(views.map(|v| row(&v.schema, &v.name, "VIEW", writable(v))));
    for schema in ["pg_catalog", "information_schema"] {
        let kind = if schema == "pg_catalog" { "BASE TABLE" } else { "VIEW" };
        rows.extend(super::system::tables(schema).iter().map(|t| row(schema, t.name, kind, false)));
    }
    Ok(rows)
}

/// A row of `columns`.
struct ColumnRow<'a> {
    schema: &'a str,
    table: &'a str,
    name: &'a str,
    position: usize,
    default: Option<&'a str>,
    path: &'a [String],
    nullable: bool,
    ty: &'a DataType,
    domain: Option<&'a TypeDescriptor>,
    identity: Option<bool>,
    generated: bool,
    writable: bool,
}

impl ColumnRow<'_> {
    fn values(&self) -> Vec<Value> {
        let length = match self.ty {
            DataType::Varchar(Some(n)) | DataType::Char(n) => Value::Integer(*n as i32),
            _ => Value::Null,
        };
        let (precision, scale) = match self.ty {
            DataType::SmallInt => (Some(16), Some(0)),
            DataType::Integer => (Some(32), Some(0)),
            DataType::BigInt => (Some(64), Some(0)),
            DataType::Real => (Some(24), None),
            DataType::Double => (Some(53), None),
            DataType::Numeric(Some((p, s))) => (Some(i32::from(*p)), Some(i32::from(*s))),
            _ => (None, None),
        };
        let datetime = match self.ty {
            DataType::Date => Value::Integer(0),
            DataType::Time(digits)
            | DataType::Timestamp(digits)
            | DataType::TimestampTz(digits)
            | DataType::Coded(Coded::TimeTz(digits)) => Value::Integer(digits.map_or(6, i32::from)),
            DataType::Interval(limit) => Value::Integer(limit.and_then(|l| l.digits()).map_or(6, i32::from)),
            _ => Value::Null,
        };
        let integer = |n: Option<i32>| n.map_or(Value::Null, Value::Integer);
        vec![
            text(DATABASE),
            text(self.schema),
            text(self.table),
            text(self.name),
            Value::Integer(self.position as i32),
            self.default.map_or(Value::Null, |sql| text(crate::dml::default::shown(sql, self.path))),
            yes_no(self.nullable),
            text(match self.ty {
                DataType::Array(_) => "ARRAY",
                DataType::Coded(Coded::Enum(_) | Coded::Composite(_)) => "USER-DEFINED",
                ty => ty.base_name(),
            }),
            length,
            integer(precision),
            integer(scale),
            datetime,
            text(self.ty.pg_name()),
            optional(self.domain.map(|domain| domain.schema.as_str())),
            optional(self.domain.map(|domain| domain.name.as_str())),
            yes_no(self.identity.is_some()),
            self.identity.map_or(Value::Null, |always| text(if always { "ALWAYS" } else { "BY DEFAULT" })),
            text(if self.generated { "ALWAYS" } else { "NEVER" }),
            yes_no(self.writable),
        ]
    }
}

fn columns(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables().filter(|table| may_know(context, table.id)) {
        for (position, column) in table.live_columns().enumerate() {
            rows.push(
                ColumnRow {
                    path: &context.scope.settings.search_path,
                    schema: &table.schema,
                    table: &table.name,
                    name: &column.name,
                    position: position + 1,
                    default: column.default.as_deref(),
                    nullable: column.nullable,
                    ty: &column.ty,
                    domain: column.domain.and_then(|id| catalog.type_by_id(id)).map(|domain| &**domain),
                    identity: column.identity.map(|identity| identity.always),
                    generated: column.generated.is_some(),
                    writable: true,
                }
                .values(),
            );
        }
    }
    let mut plain = |schema: &str,
                     table: &str,
                     all: &mut dyn Iterator<Item = (&str, &DataType, Option<&str>)>,
                     writes: &[bool]| {
        for (position, (name, ty, default)) in all.enumerate() {
            let writable = writes.get(position).copied().unwrap_or(false);
            let position = position + 1;
            let (nullable, identity) = (true, None);
            let generated = false;
            let row = ColumnRow {
                path: &context.scope.settings.search_path,
                schema,
                table,
                name,
                position,
                default,
                nullable,
                ty,
                domain: None,
                identity,
                generated,
                writable,
            };
            rows.push(row.values());
        }
    };
    for view in catalog.views().filter(|view| may_know(context, view.id)) {
        plain(
            &view.schema,
            &view.name,
            &mut view.columns.iter().map(|c| (c.name.as_str(), &c.ty, c.default.as_deref())),
            &writable_columns(context, view),
        );
    }
    plain(
        "pg_catalog",
        STORE,
        &mut [("key", &DataType::Text, None), ("value", &DataType::Text, None)].into_iter(),
        &[],
    );
    for schema in ["pg_catalog", "information_schema"] {
        for table in super::system::tables(schema) {
            let columns: Vec<_> = table.columns.iter().map(|(name, ty)| (*name, ty.data_type())).collect();
            plain(schema, table.name, &mut columns.iter().map(|(name, ty)| (*name, ty, None)), &[]);
        }
    }
    Ok(rows)
}

/// A table's keys: name, kind, columns.
pub(super) fn keys(table: &Table) -> Vec<(String, &'static str, Vec<String>)> {
    let names = |places: &[usize]| places.iter().map(|p| table.live_column(*p).name.clone()).collect();
    let mut keys = Vec::new();
    if !table.has_hidden_key() {
        keys.push((table.primary_key_name.clone(), "PRIMARY KEY", names(&table.primary_key_places())));
    }
    for index in table.indexes.iter().filter(|index| index.constraint) {
        let places: Vec<usize> = index.columns.iter().filter_map(|c| table.place_of(c.column)).collect();
        let kind = if index.primary { "PRIMARY KEY" } else { "UNIQUE" };
        keys.push((index.name.clone(), kind, names(&places)));
    }
    keys
}

fn table_constraints(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        let mut push = |name: &str, kind: &str, (deferrable, deferred): (bool, bool)| {
            rows.push(vec![
                text(DATABASE),
                text(&table.schema),
                text(name),
                text(DATABASE),
                text(&table.schema),
                text(&table.name),
                text(kind),
                yes_no(deferrable),
                yes_no(deferred),
            ]);
        };
        for (name, kind, _) in keys(table) {
            let late = table.index_by_name(&name).and_then(|index| index.deferrable);
            push(&name, kind, (late.is_some(), late == Some(true)));
        }
        for key in &table.foreign_keys {
            push(&key.name, "FOREIGN KEY", (key.deferrable, key.initially_deferred));
        }
        for check in &table.checks {
            push(&check.name, "CHECK", (false, false));
        }
    }
    Ok(rows)
}

fn key_column_usage(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        let mut push = |constraint: &str, columns: &[String], foreign: bool| {
            for (position, column) in columns.iter().enumerate() {
                let position = position as i32 + 1;
                rows.push(vec![
                    text(DATABASE),
                    text(&table.schema),
                    text(constraint),
                    text(DATABASE),
                    text(&table.schema),
                    text(&table.name),
                    text(column),
                    Value::Integer(position),
                    if foreign { Value::Integer(position) } else { Value::Null },
                ]);
            }
        };
        for (name, _, columns) in keys(table) {
            push(&name, &columns, false);
        }
        for key in &table.foreign_keys {
            let columns: Vec<String> =
                key.columns.iter().filter_map(|id| Some(table.column_by_id(*id)?.name.clone())).collect();
            push(&key.name, &columns, true);
        }
    }
    Ok(rows)
}

fn constraint_column_usage(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        let mut push = |of: &Table, column: &str, constraint: &str| {
            rows.push(vec![
                text(DATABASE),
                text(&of.schema),
                text(&of.name),
                text(column),
                text(DATABASE),
                text(&table.schema),
                text(constraint),
            ]);
        };
        for (name, _, columns) in keys(table) {
            for column in columns {
                push(table, &column, &name);
            }
        }
        for key in &table.foreign_keys {
            let Some(parent) = catalog.table_by_id(key.parent) else { continue };
            for column in key.parent_columns.iter().filter_map(|id| parent.column_by_id(*id)) {
                push(parent, &column.name, &key.name);
            }
        }
        for check in &table.checks {
            for column in check.columns.iter().filter_map(|id| table.column_by_id(*id)) {
                push(table, &column.name, &check.name);
            }
        }
    }
    Ok(rows)
}

fn rule(action: ReferentialAction) -> Value {
    text(action_name(action))
}

/// An action in SQL.
pub(super) fn action_name(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "NO ACTION",
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    }
}

fn referential_constraints(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        for key in &table.foreign_keys {
            let parent = catalog.table_by_id(key.parent);
            let unique = parent.and_then(|parent| {
                if parent.primary_key == key.parent_columns {
                    return Some(parent.primary_key_name.clone());
                }
                let same = |index: &&cairn_engine::catalog::IndexDescriptor| {
                    index.unique
                        && index.is_plain()
                        && index.columns.iter().map(|c| c.column).eq(key.parent_columns.iter().copied())
                };
                parent.indexes.iter().find(same).map(|index| index.name.clone())
            });
            rows.push(vec![
                text(DATABASE),
                text(&table.schema),
                text(&key.name),
                text(DATABASE),
                parent.map_or(Value::Null, |parent| text(&parent.schema)),
                optional(unique.as_deref()),
                text("NONE"),
                rule(key.on_update),
                rule(key.on_delete),
            ]);
        }
    }
    Ok(rows)
}
