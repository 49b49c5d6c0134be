//! Indexes as `pg_index` and `pg_indexes` show them.

use cairn_engine::Catalog;
use cairn_engine::catalog::{IndexDescriptor, Table};
use cairn_types::{DataType, Value};

use super::{derived, derived_parts};
use crate::Result;
use crate::catalog::system::{Rows, text};
use crate::context::{Context, Scope};
use crate::functions::text::quote_ident;

/// An index as the catalog tables show it; the primary key has id 0.
pub(super) struct Index {
    pub(super) id: u16,
    pub(super) name: String,
    pub(super) unique: bool,
    pub(super) primary: bool,
    /// Whether uniqueness is looked at at once.
    immediate: bool,
    /// The key's columns.
    pub(super) columns: Vec<Part>,
    /// Places of the included columns.
    pub(super) include: Vec<usize>,
    pub(super) kind: String,
    nulls_not_distinct: bool,
    predicate: Option<String>,
}

/// A column of a key.
pub(super) struct Part {
    /// Its place; `None` for an expression.
    pub(super) place: Option<usize>,
    /// What it is called among the index's attributes.
    pub(super) name: String,
    pub(super) ty: DataType,
    /// How it is written.
    text: String,
}

impl Index {
    pub(super) fn definition(&self, table: &Table) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|part| part.text.as_str()).collect();
        let mut text = format!(
            "CREATE {}INDEX {} ON {}.{} USING {} ({})",
            if self.unique { "UNIQUE " } else { "" },
            quote_ident(&self.name),
            quote_ident(&table.schema),
            quote_ident(&table.name),
            self.kind,
            columns.join(", ")
        );
        if !self.include.is_empty() {
            let names = self.include.iter().map(|place| quote_ident(&table.live_column(*place).name));
            text.push_str(&format!(" INCLUDE ({})", names.collect::<Vec<_>>().join(", ")));
        }
        if self.nulls_not_distinct {
            text.push_str(" NULLS NOT DISTINCT");
        }
        if let Some(predicate) = &self.predicate {
            let bare = predicate.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            text.push_str(&if bare {
                format!(" WHERE {predicate}")
            } else {
                format!(" WHERE ({predicate})")
            });
        }
        text
    }

    /// All its columns: name, type, and the place in the table of those that are columns of it.
    pub(super) fn attributes(&self, table: &Table) -> Vec<(String, DataType, Option<usize>)> {
        let key = self.columns.iter().map(|part| (part.name.clone(), part.ty.clone(), part.place));
        let include = self.include.iter().map(|place| {
            let column = table.live_column(*place);
            (column.name.clone(), column.ty.clone(), Some(*place))
        });
        key.chain(include).collect()
    }
}

fn column_part(table: &Table, place: usize, order: &str) -> Part {
    let column = table.live_column(place);
    let text = format!("{}{order}", quote_ident(&column.name));
    Part { place: Some(place), name: column.name.clone(), ty: column.ty.clone(), text }
}

pub(super) fn all_indexes(table: &Table) -> Vec<Index> {
    let mut all = Vec::new();
    if !table.has_hidden_key() {
        all.push(Index {
            id: 0,
            name: table.primary_key_name.clone(),
            unique: true,
            primary: true,
            immediate: true,
            columns: table.primary_key_places().into_iter().map(|p| column_part(table, p, "")).collect(),
            include: Vec::new(),
            kind: "btree".to_owned(),
            nulls_not_distinct: false,
            predicate: None,
        });
    }
    all.extend(table.indexes.iter().map(|index| secondary(table, index)));
    all
}

fn secondary(table: &Table, index: &IndexDescriptor) -> Index {
    let columns = index
        .key_parts()
        .filter_map(|(column, expression)| {
            let order = match (column.descending, column.nulls_first) {
                (false, false) => "",
                (false, true) => " NULLS FIRST",
                (true, true) => " DESC",
                (true, false) => " DESC NULLS LAST",
            };
            let Some(own) = expression else {
                return table.place_of(column.column).map(|place| column_part(table, place, order));
            };
            let bare = own.sql.ends_with(')') && own.sql.starts_with(|c: char| c.is_ascii_alphabetic());
            let text = if bare { format!("{}{order}", own.sql) } else { format!("({}){order}", own.sql) };
            let label = own.sql.split('(').next().filter(|_| bare).unwrap_or("expr").to_owned();
            Some(Part { place: None, name: label, ty: own.ty.clone(), text })
        })
        .collect();
    Index {
        id: index.id,
        name: index.name.clone(),
        unique: index.unique,
        primary: index.primary,
        immediate: index.deferrable.is_none(),
        columns,
        include: index.include.iter().filter_map(|id| table.place_of(*id)).collect(),
        kind: index.kind.clone(),
        nulls_not_distinct: index.nulls_not_distinct,
        predicate: index.predicate.as_ref().map(|predicate| predicate.sql.clone()),
    }
}

pub(super) fn pg_index(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        for index in all_indexes(table) {
            let attributes = index.attributes(table);
            let number = |place: Option<usize>| place.map_or(0, |place| place + 1).to_string();
            let key: Vec<String> = attributes.iter().map(|(.., place)| number(*place)).collect();
            rows.push(vec![
                Value::BigInt(derived(table.id, i64::from(index.id))),
                Value::BigInt(i64::from(table.id)),
                Value::SmallInt(attributes.len() as i16),
                Value::Boolean(index.unique),
                Value::Boolean(index.primary),
                Value::Boolean(false),
                Value::Boolean(false),
                Value::Boolean(true),
                Value::Boolean(false),
                text(key.join(" ")),
                Value::Boolean(index.immediate),
            ]);
        }
    }
    Ok(rows)
}

/// CREATE INDEX of an index.
pub(crate) fn index_definition(scope: &Scope, oid: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let Some((table, offset)) = derived_parts(&catalog, oid) else { return Ok(None) };
    Ok(all_indexes(&table).iter().find(|i| i64::from(i.id) == offset).map(|i| i.definition(&table)))
}
