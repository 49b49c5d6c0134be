//! ALTER TYPE of composite types.
//!
//! I1: a field is dropped or gets another type only where no column of a table has values of the type; so the fields of all
//!     stored values are the first ones of their type.

use std::sync::Arc;

use cairn_types::composite::{FIELDS_MAX, RECORD};
use cairn_types::{CompositeField, DataType};

use super::name::quoted;
use super::types::find;
use crate::catalog::types::is_or_has;
use crate::catalog::{Catalog, Table, TypeDescriptor, TypeKind};
use crate::error::{Error, Result};
use crate::transaction::{Transaction, Writer};

/// One action of ALTER TYPE on a composite type.
#[derive(Clone, Debug)]
pub enum AttributeChange {
    /// ADD ATTRIBUTE.
    Add(String, DataType),
    /// DROP ATTRIBUTE.
    Drop(String),
    /// ALTER ATTRIBUTE … TYPE.
    Retype(String, DataType),
    /// RENAME ATTRIBUTE … TO.
    Rename(String, String),
}

impl Transaction {
    /// ALTER TYPE … ADD | DROP | ALTER | RENAME ATTRIBUTE.
    ///
    /// # Errors
    /// [`Error::Undefined`]; [`Error::InvalidDefinition`]: 42701, 42703, 42809, 42P16, 0A000 where columns of tables or
    /// definitions stand against it.
    pub fn alter_composite(&self, schema: &str, ty: &str, changes: &[AttributeChange]) -> Result<()> {
        self.write("ALTER TYPE", |writer| {
            let mut new = (*find(writer, schema, ty)?).clone();
            for change in changes {
                apply(writer, &mut new, change)?;
            }
            writer.put_type(new)
        })
    }
}

fn fields_of(ty: &mut TypeDescriptor) -> Result<&mut Vec<CompositeField>> {
    match &mut ty.kind {
        TypeKind::Composite(fields) => Ok(fields),
        _ => Err(Error::definition("42809", format!("\"{}\" is not a composite type", ty.name))),
    }
}

fn place(fields: &[CompositeField], ty: &str, name: &str) -> Result<usize> {
    fields.iter().position(|field| !field.dropped && field.name == name).ok_or_else(|| {
        Error::definition("42703", format!("column \"{name}\" of relation \"{ty}\" does not exist"))
    })
}

fn absent(fields: &[CompositeField], ty: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::definition("42601", "zero-length delimited identifier"));
    }
    match fields.iter().any(|field| !field.dropped && field.name == name) {
        true => {
            Err(Error::definition("42701", format!("column \"{name}\" of relation \"{ty}\" already exists")))
        }
        false => Ok(()),
    }
}

fn apply(writer: &Writer<'_>, ty: &mut TypeDescriptor, change: &AttributeChange) -> Result<()> {
    let (id, of) = (ty.id, ty.name.clone());
    let itself =
        || Error::definition("42P16", format!("composite type {of} cannot be made a member of itself"));
    let fields = fields_of(ty)?;
    match change {
        AttributeChange::Add(name, new) => {
            absent(fields, &of, name)?;
            if is_or_has(new, id) {
                return Err(itself());
            }
            if fields.len() >= FIELDS_MAX {
                let message = format!("tables can have at most {FIELDS_MAX} columns");
                return Err(Error::definition("54011", message));
            }
            fields.push(CompositeField { name: name.clone(), ty: new.clone(), dropped: false });
        }
        AttributeChange::Drop(name) => {
            let at = place(fields, &of, name)?;
            unused(&writer.catalog, id, &format!("cannot drop column {name} of composite type {of}"))?;
            fields[at] = CompositeField { name: String::new(), dropped: true, ..fields[at].clone() };
        }
        AttributeChange::Retype(name, new) => {
            let at = place(fields, &of, name)?;
            if is_or_has(new, id) {
                return Err(itself());
            }
            unused(&writer.catalog, id, &format!("cannot alter type \"{of}\""))?;
            fields[at].ty = new.clone();
        }
        AttributeChange::Rename(from, to) => {
            let missing = |_| Error::definition("42703", format!("column \"{from}\" does not exist"));
            let at = place(fields, &of, from).map_err(missing)?;
            absent(fields, &of, to)?;
            unspelled(&writer.catalog, from)?;
            fields[at].name.clone_from(to);
        }
    }
    Ok(())
}

/// I1.
fn unused(catalog: &Catalog, id: u32, what: &str) -> Result<()> {
    match catalog.column_with(id) {
        Some(column) => {
            Err(Error::definition("0A000", format!("{what} because column \"{column}\" uses it")))
        }
        None => Ok(()),
    }
}

/// Refuses what would break the text of definitions that take a field of that name out of something.
pub(super) fn unspelled(catalog: &Catalog, field: &str) -> Result<()> {
    let name = quoted(field);
    let spells = |sql: &str| {
        sql.match_indices(&name).any(|(at, _)| {
            let behind = sql[at + name.len()..].chars().next();
            (sql[..at].ends_with(").") || sql[..at].ends_with("]."))
                && !behind.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    };
    let refused = |of: &str| {
        Err(Error::Unsupported {
            message: format!("cannot rename attribute \"{field}\" because {of} names one"),
        })
    };
    if let Some(view) = catalog.views().find(|view| spells(&view.sql)) {
        return refused(&format!("view \"{}\"", view.name));
    }
    match catalog.tables().find(|table| texts(table).any(&spells)) {
        Some(table) => refused(&format!("table \"{}\"", table.name)),
        None => Ok(()),
    }
}

/// The expressions and queries of a table's definition.
fn texts(table: &Arc<Table>) -> impl Iterator<Item = &str> {
    let columns = table.live_columns().flat_map(|column| {
        column.default.as_deref().into_iter().chain(column.generated.as_ref().map(|own| own.sql.as_str()))
    });
    let indexes = table.indexes.iter().flat_map(|index| {
        let expressions = index.expressions.iter().map(|own| own.sql.as_str());
        expressions.chain(index.predicate.as_ref().map(|own| own.sql.as_str()))
    });
    let checks = table.checks.iter().map(|check| check.sql.as_str());
    let query = table.materialized.as_ref().map(|own| own.sql.as_str());
    columns.chain(indexes).chain(checks).chain(query)
}

/// Takes a field of a type away that is to go.
pub(super) fn drop_attribute(writer: &mut Writer<'_>, ty: &TypeDescriptor, field: &str) -> Result<()> {
    let Some(mut new) = writer.catalog.type_by_id(ty.id).map(|ty| (**ty).clone()) else { return Ok(()) };
    apply(writer, &mut new, &AttributeChange::Drop(field.to_owned()))?;
    writer.put_type(new)
}

/// Refuses a change of a table of whose rows columns are made.
pub(super) fn rows_unused(catalog: &Catalog, table: &Table) -> Result<()> {
    match catalog.column_with(table.id) {
        Some(column) => {
            let name = &table.name;
            let message =
                format!("cannot alter table \"{name}\" because column \"{column}\" uses its row type");
            Err(Error::definition("0A000", message))
        }
        None => Ok(()),
    }
}

/// Refuses what would have values of a row that no type names: its fields stand nowhere.
pub(super) fn not_record(column: &str, ty: &DataType) -> Result<()> {
    if is_or_has(ty, RECORD) {
        return Err(Error::definition("42P16", format!("column \"{column}\" has pseudo-type record")));
    }
    Ok(())
}

/// Refuses a column of a table of which its type has rows.
pub(super) fn not_itself(table: &crate::catalog::TableDescriptor, ty: &DataType) -> Result<()> {
    if is_or_has(ty, table.id) {
        let message = format!("composite type {} cannot be made a member of itself", table.name);
        return Err(Error::definition("42P16", message));
    }
    Ok(())
}
