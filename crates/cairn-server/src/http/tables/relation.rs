//! The table that an address names, out of the catalog as the session sees it.

use std::sync::Arc;

use cairndb::catalog::{Catalog, Column, Relation as Entry, Table};
use cairndb::{DataType, Session};

use super::super::problem::Problem;

/// Where names without a schema are looked for.
const SCHEMA: &str = "public";

/// A table or view with its place in the catalog.
#[derive(Clone)]
pub(in super::super) struct Relation {
    pub(in super::super) table: Arc<Table>,
    pub(super) catalog: Arc<Catalog>,
}

/// A name as SQL has it between double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// How rows of another table are found for one of this one.
pub(super) struct Link {
    /// The other one.
    pub(super) other: Relation,
    /// Columns of this table beside those of the other.
    pub(super) pairs: Vec<(String, String)>,
    /// Whether there may be several.
    pub(super) many: bool,
}

impl Relation {
    /// The one that a request names: `table`, or `schema.table`.
    pub(in super::super) fn named(session: &Session, name: &str) -> Result<Relation, Problem> {
        let catalog = session.catalog();
        let whole = of_catalog(&catalog, SCHEMA, name);
        let parted = || name.split_once('.').and_then(|(schema, name)| of_catalog(&catalog, schema, name));
        let table = whole.or_else(parted);
        let missing = || Problem::new(404, "42P01", format!("relation \"{name}\" does not exist"));
        Ok(Relation { table: table.ok_or_else(missing)?, catalog })
    }

    /// Its name in SQL.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.table.schema), quoted(&self.table.name))
    }

    /// A column.
    pub(super) fn column(&self, name: &str) -> Result<&Column, Problem> {
        let missing = || {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", self.table.name);
            Problem::new(400, "42703", message)
        };
        self.table.live_columns().find(|column| column.name == name).ok_or_else(missing)
    }

    pub(super) fn type_of(&self, name: &str) -> Result<&DataType, Problem> {
        Ok(&self.column(name)?.ty)
    }

    /// Whether a row that says nothing of a column has a value there.
    pub(in super::super) fn has_default(&self, column: &Column) -> bool {
        column.default.is_some() || column.identity.is_some() || column.generated.is_some()
    }

    /// The names of the primary key's columns; empty where there is none.
    pub(in super::super) fn key(&self) -> Vec<&str> {
        let name = |id: &_| self.table.column_by_id(*id).map(|column| column.name.as_str());
        self.table.primary_key.iter().filter_map(name).collect()
    }

    /// The way to another table: by the foreign key between the two, of which there has to be one; `by` names it where there are
    /// more.
    pub(super) fn link(&self, other: &str, by: Option<&str>) -> Result<Link, Problem> {
        let mut found: Vec<(String, Link)> = Vec::new();
        for key in &self.table.foreign_keys {
            let parent = self.catalog.table_by_id(key.parent).filter(|parent| parent.name == other);
            if let Some(parent) = parent {
                let pairs = pairs(&self.table, &key.columns, parent, &key.parent_columns);
                found.push((key.name.clone(), self.to(parent, pairs, false)));
            }
        }
        for (child, key) in self.catalog.children(self.table.id).filter(|(child, _)| child.name == other) {
            let pairs = pairs(&self.table, &key.parent_columns, child, &key.columns);
            found.push((key.name.clone(), self.to(child, pairs, true)));
        }
        found.retain(|(name, _)| by.is_none_or(|by| by == name));
        let this = &self.table.name;
        if found.len() > 1 {
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("there is more than one foreign key between \"{this}\" and \"{other}\"");
            let hint = format!("Name one: {other}!{}(…). There are {}.", names[0], names.join(", "));
            return Err(Problem::new(400, "42P10", message).with_hint(&hint));
        }
        let missing = || {
            Problem::new(400, "42P10", format!("there is no foreign key between \"{this}\" and \"{other}\""))
        };
        found.pop().map(|(_, link)| link).ok_or_else(missing)
    }

    fn to(&self, other: &Arc<Table>, pairs: Vec<(String, String)>, many: bool) -> Link {
        let other = Relation { table: Arc::clone(other), catalog: Arc::clone(&self.catalog) };
        Link { other, pairs, many }
    }
}

fn of_catalog(catalog: &Catalog, schema: &str, name: &str) -> Option<Arc<Table>> {
    match catalog.relation(schema, name)? {
        Entry::Table(table) => Some(table),
        Entry::View(view) => Some(Arc::new(Table::of_view(&view))),
        _ => None,
    }
}

/// The names of columns that stand beside each other.
fn pairs(
    own: &Table,
    columns: &[cairndb::catalog::ColumnId],
    other: &Table,
    theirs: &[cairndb::catalog::ColumnId],
) -> Vec<(String, String)> {
    let name = |table: &Table, id| table.column_by_id(id).map(|column| column.name.clone());
    columns.iter().zip(theirs).filter_map(|(a, b)| Some((name(own, *a)?, name(other, *b)?))).collect()
}
