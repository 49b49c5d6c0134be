//! Constraints, and which tables and columns they are on.

use cairn_engine::Catalog;
use cairn_engine::catalog::{ReferentialAction, Table, TypeKind};
use cairn_types::Value;

use super::{DATABASE, I, T};
use crate::Result;
use crate::catalog::system::{Rows, SystemTable, optional, text, yes_no};
use crate::context::Context;

/// The tables of this part.
pub(super) const TABLES: &[SystemTable] = &[
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
            ("enforced", T),
            ("nulls_distinct", T),
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
        rows: check_constraints,
    },
    SystemTable {
        name: "constraint_table_usage",
        columns: &[
            ("table_catalog", T),
            ("table_schema", T),
            ("table_name", T),
            ("constraint_catalog", T),
            ("constraint_schema", T),
            ("constraint_name", T),
        ],
        rows: constraint_table_usage,
    },
    SystemTable {
        name: "domain_constraints",
        columns: &[
            ("constraint_catalog", T),
            ("constraint_schema", T),
            ("constraint_name", T),
            ("domain_catalog", T),
            ("domain_schema", T),
            ("domain_name", T),
            ("is_deferrable", T),
            ("initially_deferred", T),
        ],
        rows: domain_constraints,
    },
];

/// What the constraint is called that forbids NULL in the column at a place.
fn not_null_name(catalog: &Catalog, table: &Table, place: usize) -> String {
    let schema = catalog.schemas().find(|schema| schema.name == table.schema).map_or(0, |schema| schema.id);
    format!("{schema}_{}_{}_not_null", table.id, place + 1)
}

fn check_constraints(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let row = |schema: &str, name: &str, sql: &str| {
        vec![
            text(DATABASE),
            text(schema),
            text(name),
            text(format!("({})", crate::parse::shown::condition(sql, false))),
        ]
    };
    let mut rows = Rows::new();
    for table in catalog.tables() {
        rows.extend(table.checks.iter().map(|check| row(&table.schema, &check.name, &check.sql)));
        // What forbids NULL is a constraint of the standard's, too, which is named after its place.
        let required = table.live_columns().enumerate().filter(|(_, column)| !column.nullable);
        rows.extend(required.map(|(place, column)| {
            let name = not_null_name(catalog, table, place);
            vec![
                text(DATABASE),
                text(&table.schema),
                text(name),
                text(format!("{} IS NOT NULL", column.name)),
            ]
        }));
    }
    for ty in catalog.types() {
        if let TypeKind::Domain { checks, .. } = &ty.kind {
            rows.extend(checks.iter().map(|check| row(&ty.schema, &check.name, &check.sql)));
        }
    }
    Ok(rows)
}

/// Of keys the table that has them, of foreign keys the one that they lean on.
fn constraint_table_usage(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        let mut push = |of: &Table, constraint: &str| {
            rows.push(vec![
                text(DATABASE),
                text(&of.schema),
                text(&of.name),
                text(DATABASE),
                text(&table.schema),
                text(constraint),
            ]);
        };
        keys(table).iter().for_each(|(name, ..)| push(table, name));
        for key in &table.foreign_keys {
            if let Some(parent) = catalog.table_by_id(key.parent) {
                push(parent, &key.name);
            }
        }
    }
    Ok(rows)
}

fn domain_constraints(_: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for ty in catalog.types() {
        let TypeKind::Domain { checks, .. } = &ty.kind else { continue };
        for check in checks {
            rows.push(vec![
                text(DATABASE),
                text(&ty.schema),
                text(&check.name),
                text(DATABASE),
                text(&ty.schema),
                text(&ty.name),
                yes_no(false),
                yes_no(false),
            ]);
        }
    }
    Ok(rows)
}

/// A table's keys: name, kind, columns.
pub(in crate::catalog) fn keys(table: &Table) -> Vec<(String, &'static str, Vec<String>)> {
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
        let mut push =
            |name: &str, kind: &str, (deferrable, deferred): (bool, bool), distinct: Option<bool>| {
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
                    yes_no(true),
                    distinct.map_or(Value::Null, yes_no),
                ]);
            };
        for (name, kind, _) in keys(table) {
            let late = table.index_by_name(&name).and_then(|index| index.deferrable);
            let together = table.index_by_name(&name).is_some_and(|index| index.nulls_not_distinct);
            let distinct = (kind == "UNIQUE").then_some(!together);
            push(&name, kind, (late.is_some(), late == Some(true)), distinct);
        }
        for key in &table.foreign_keys {
            push(&key.name, "FOREIGN KEY", (key.deferrable, key.initially_deferred), None);
        }
        for check in &table.checks {
            push(&check.name, "CHECK", (false, false), None);
        }
        for (place, _) in table.live_columns().enumerate().filter(|(_, column)| !column.nullable) {
            push(&not_null_name(catalog, table, place), "CHECK", (false, false), None);
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
pub(in crate::catalog) fn action_name(action: ReferentialAction) -> &'static str {
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
