//! Constraints as `pg_constraint` shows them.

use cairn_engine::Catalog;
use cairn_engine::catalog::{ForeignKey, PUBLIC, Table};
use cairn_types::Value;

use super::{CONSTRAINT_OFFSET, derived, derived_parts, schema_ids};
use crate::Result;
use crate::catalog::information_schema::{action_name, keys};
use crate::catalog::system::{Rows, text};
use crate::context::{Context, Scope};
use crate::functions::text::quote_ident;

/// A constraint: id, name, kind as in `contype`, its index, the foreign key.
struct Constraint<'t> {
    id: i64,
    name: String,
    kind: &'static str,
    index: i64,
    foreign: Option<&'t ForeignKey>,
    /// DEFERRABLE: whether INITIALLY DEFERRED too.
    late: Option<bool>,
    definition: String,
    valid: bool,
}

fn constraints<'t>(catalog: &Catalog, table: &'t Table) -> Vec<Constraint<'t>> {
    let mut all = Vec::new();
    let mut next = CONSTRAINT_OFFSET;
    let mut id = || {
        next += 1;
        derived(table.id, next)
    };
    for (name, kind, columns) in keys(table) {
        let late = table.index_by_name(&name).and_then(|index| index.deferrable);
        let index = table.index_by_name(&name).map_or(0, |index| i64::from(index.id));
        let together = table.index_by_name(&name).is_some_and(|index| index.nulls_not_distinct);
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
            definition: format!(
                "CHECK ({}){}",
                crate::parse::shown::shown(&check.sql),
                if check.not_valid { " NOT VALID" } else { "" }
            ),
            valid: !check.not_valid,
        });
    }
    for key in &table.foreign_keys {
        all.push(Constraint {
            id: id(),
            name: key.name.clone(),
            kind: "f",
            index: 0,
            foreign: Some(key),
            late: key.deferrable.then_some(key.initially_deferred),
            definition: foreign_definition(catalog, table, key),
            valid: !key.not_valid,
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

pub(super) fn pg_constraint(_context: &Context, catalog: &Catalog) -> Result<Rows> {
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
                Value::Boolean(constraint.late.is_some()),
                Value::Boolean(constraint.late == Some(true)),
                Value::Boolean(constraint.valid),
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

/// A constraint's clause.
pub(crate) fn constraint_definition(scope: &Scope, oid: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let Some((table, _)) = derived_parts(&catalog, oid) else { return Ok(None) };
    Ok(constraints(&catalog, &table).into_iter().find(|c| c.id == oid).map(|c| c.definition))
}
