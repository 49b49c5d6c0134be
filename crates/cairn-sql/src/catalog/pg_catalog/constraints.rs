//! Constraints as `pg_constraint` shows them.

use cairn_engine::Catalog;
use cairn_engine::catalog::{ForeignKey, PUBLIC, Table, TypeKind};
use cairn_types::Value;

use super::types::type_oid;
use super::{derived, derived_parts, schema_ids};
use crate::Result;
use crate::catalog::column_type::ColumnType::{Bool, Char, Int2, Int2List, Name, Oid, OidList, Text};
use crate::catalog::information_schema::{action_name, keys};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, optional, text};
use crate::context::{Context, Scope};
use crate::functions::text::quote_ident;
use crate::parse::shown::condition;

/// A constraint: id, name, kind as in `contype`, its index, the foreign key.
pub(super) struct Constraint<'t> {
    pub(super) id: i64,
    pub(super) name: String,
    kind: &'static str,
    pub(super) index: i64,
    pub(super) foreign: Option<&'t ForeignKey>,
    /// DEFERRABLE: whether INITIALLY DEFERRED too.
    late: Option<bool>,
    /// Its clause; that of CHECK follows from its condition.
    definition: String,
    valid: bool,
    /// Numbers of its columns.
    pub(super) columns: Vec<i16>,
    /// The condition of CHECK.
    condition: Option<&'t str>,
}

/// The numbers of columns in a table.
fn numbers(table: &Table, ids: impl IntoIterator<Item = u32>) -> Vec<i16> {
    ids.into_iter().filter_map(|id| table.place_of(id)).map(|place| place as i16 + 1).collect()
}

/// The index that a foreign key leans on; 0 where there is none.
fn referenced_index(catalog: &Catalog, key: &ForeignKey) -> i64 {
    let Some(parent) = catalog.table_by_id(key.parent) else { return 0 };
    if parent.primary_key == key.parent_columns {
        return derived(parent.id, 0);
    }
    let same = |index: &&cairn_engine::catalog::IndexDescriptor| {
        index.unique && index.columns.iter().map(|own| own.column).eq(key.parent_columns.iter().copied())
    };
    parent.indexes.iter().find(same).map_or(0, |index| derived(parent.id, i64::from(index.id)))
}

pub(super) fn constraints<'t>(catalog: &Catalog, table: &'t Table) -> Vec<Constraint<'t>> {
    let mut all = Vec::new();
    let mut next = 0;
    let mut id = || {
        next += 1;
        derived(table.id, next)
    };
    for (name, kind, columns) in keys(table) {
        let late = table.index_by_name(&name).and_then(|index| index.deferrable);
        let index = table.index_by_name(&name).map_or(0, |index| i64::from(index.id));
        let together = table.index_by_name(&name).is_some_and(|index| index.nulls_not_distinct);
        let place = |name: &String| table.live_columns().position(|own| own.name == *name);
        let own = columns.iter().filter_map(place).map(|place| place as i16 + 1).collect();
        let columns: Vec<String> = columns.iter().map(|c| quote_ident(c)).collect();
        all.push(Constraint {
            id: id(),
            definition: format!(
                "{kind}{} ({}){}{}",
                if together { " NULLS NOT DISTINCT" } else { "" },
                columns.join(", "),
                if late.is_some() { " DEFERRABLE" } else { "" },
                if late == Some(true) { " INITIALLY DEFERRED" } else { "" }
            ),
            late,
            name,
            kind: if kind == "UNIQUE" { "u" } else { "p" },
            index: derived(table.id, index),
            foreign: None,
            valid: true,
            columns: own,
            condition: None,
        });
    }
    for check in &table.checks {
        all.push(Constraint {
            id: id(),
            name: check.name.clone(),
            kind: "c",
            index: 0,
            foreign: None,
            late: None,
            definition: String::new(),
            valid: !check.not_valid,
            columns: numbers(table, check.columns.iter().copied()),
            condition: Some(&check.sql),
        });
    }
    for key in &table.foreign_keys {
        all.push(Constraint {
            id: id(),
            name: key.name.clone(),
            kind: "f",
            index: referenced_index(catalog, key),
            foreign: Some(key),
            late: key.deferrable.then_some(key.initially_deferred),
            definition: foreign_definition(catalog, &[PUBLIC.to_owned()], table, key),
            valid: !key.not_valid,
            columns: numbers(table, key.columns.iter().copied()),
            condition: None,
        });
    }
    all
}

fn foreign_definition(catalog: &Catalog, path: &[String], table: &Table, key: &ForeignKey) -> String {
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
        if path.contains(&parent.schema) {
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
    if key.deferrable {
        text.push_str(" DEFERRABLE");
    }
    if key.initially_deferred {
        text.push_str(" INITIALLY DEFERRED");
    }
    if key.not_valid {
        text.push_str(" NOT VALID");
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

/// `pg_constraint`.
pub(super) const PG_CONSTRAINT: SystemTable =
    SystemTable { name: "pg_constraint", columns: CONSTRAINT, rows: pg_constraint };

const CONSTRAINT: Columns = &[
    ("oid", Oid),
    ("conname", Name),
    ("connamespace", Oid),
    ("contype", Char),
    ("condeferrable", Bool),
    ("condeferred", Bool),
    ("convalidated", Bool),
    ("conrelid", Oid),
    ("contypid", Oid),
    ("conindid", Oid),
    ("conparentid", Oid),
    ("confrelid", Oid),
    ("confupdtype", Char),
    ("confdeltype", Char),
    ("confmatchtype", Char),
    ("conislocal", Bool),
    ("coninhcount", Int2),
    ("connoinherit", Bool),
    ("conkey", Int2List),
    ("confkey", Int2List),
    ("conpfeqop", OidList),
    ("conppeqop", OidList),
    ("conffeqop", OidList),
    ("confdelsetcols", Int2List),
    ("conexclop", OidList),
    ("conbin", Text),
];

/// The number of a domain's constraint.
pub(super) fn of_domain_id(domain: u32, at: usize) -> i64 {
    derived(domain, 1 + at as i64)
}

fn list(numbers: Vec<i16>) -> Value {
    match numbers.is_empty() {
        true => Value::Null,
        false => Value::Array(numbers.into_iter().map(Value::SmallInt).collect()),
    }
}

fn pg_constraint(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let schemas = schema_ids(catalog);
    let namespace = |name: &str| schemas.get(name).map_or(Value::Null, |id| oid(*id));
    let mut rows = Rows::new();
    let flag = Value::Boolean;
    for table in catalog.tables() {
        for own in constraints(catalog, table) {
            let action = |get: fn(&ForeignKey) -> &'static str| text(own.foreign.map_or(" ", get));
            let parent = own.foreign.and_then(|key| Some((key, catalog.table_by_id(key.parent)?)));
            let referenced = parent
                .map_or_else(Vec::new, |(key, table)| numbers(table, key.parent_columns.iter().copied()));
            rows.push(named(
                CONSTRAINT,
                [
                    ("oid", oid(own.id)),
                    ("conname", text(&own.name)),
                    ("connamespace", namespace(&table.schema)),
                    ("contype", text(own.kind)),
                    ("condeferrable", flag(own.late.is_some())),
                    ("condeferred", flag(own.late == Some(true))),
                    ("convalidated", flag(own.valid)),
                    ("conrelid", oid(table.id)),
                    ("contypid", oid(0)),
                    ("conindid", oid(own.index)),
                    ("conparentid", oid(0)),
                    ("confrelid", oid(own.foreign.map_or(0, |key| i64::from(key.parent)))),
                    ("confupdtype", action(|key| action_code(action_name(key.on_update)))),
                    ("confdeltype", action(|key| action_code(action_name(key.on_delete)))),
                    ("confmatchtype", text(if own.foreign.is_some() { "s" } else { " " })),
                    ("conislocal", flag(true)),
                    ("coninhcount", Value::SmallInt(0)),
                    ("connoinherit", flag(own.kind != "c")),
                    ("conkey", list(own.columns)),
                    ("confkey", list(referenced)),
                    ("conbin", optional(own.condition)),
                ],
            ));
        }
    }
    for ty in catalog.types() {
        let TypeKind::Domain { checks, .. } = &ty.kind else { continue };
        for (at, check) in checks.iter().enumerate() {
            rows.push(named(
                CONSTRAINT,
                [
                    ("oid", oid(of_domain_id(ty.id, at))),
                    ("conname", text(&check.name)),
                    ("connamespace", namespace(&ty.schema)),
                    ("contype", text("c")),
                    ("condeferrable", flag(false)),
                    ("condeferred", flag(false)),
                    ("convalidated", flag(!check.not_valid)),
                    ("conrelid", oid(0)),
                    ("contypid", oid(type_oid(ty.id))),
                    ("conindid", oid(0)),
                    ("conparentid", oid(0)),
                    ("confrelid", oid(0)),
                    ("confupdtype", text(" ")),
                    ("confdeltype", text(" ")),
                    ("confmatchtype", text(" ")),
                    ("conislocal", flag(true)),
                    ("coninhcount", Value::SmallInt(0)),
                    ("connoinherit", flag(false)),
                    ("conbin", text(&check.sql)),
                ],
            ));
        }
    }
    Ok(rows)
}

/// The clause of a CHECK.
fn check_definition(sql: &str, not_valid: bool, pretty: bool) -> String {
    let late = if not_valid { " NOT VALID" } else { "" };
    format!("CHECK ({}){late}", condition(sql, pretty))
}

/// A constraint's clause; `pretty` with no more brackets than needed.
pub(crate) fn constraint_definition(scope: &Scope, id: i64, pretty: bool) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    if let Some((table, _)) = derived_parts(&catalog, id) {
        let found = constraints(&catalog, &table).into_iter().find(|c| c.id == id);
        return Ok(found.map(|own| match (own.foreign, own.condition) {
            (Some(key), _) => foreign_definition(&catalog, &scope.settings.search_path, &table, key),
            (None, Some(sql)) => check_definition(sql, !own.valid, pretty),
            (None, None) => own.definition,
        }));
    }
    let of_domain = catalog.types().find_map(|ty| {
        let TypeKind::Domain { checks, .. } = &ty.kind else { return None };
        checks.iter().enumerate().find(|(at, _)| of_domain_id(ty.id, *at) == id).map(|(_, check)| check)
    });
    Ok(of_domain.map(|check| check_definition(&check.sql, check.not_valid, pretty)))
}
