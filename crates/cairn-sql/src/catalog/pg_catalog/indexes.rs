//! Indexes as `pg_index` and `pg_indexes` show them.

use cairn_engine::Catalog;
use cairn_engine::catalog::{IndexDescriptor, Table};
use cairn_types::Value;

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
    /// Place and order text of each column.
    pub(super) columns: Vec<(usize, &'static str)>,
    pub(super) kind: String,
}

impl Index {
    pub(super) fn definition(&self, table: &Table) -> String {
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

pub(super) fn all_indexes(table: &Table) -> Vec<Index> {
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

pub(super) fn pg_index(_context: &Context, catalog: &Catalog) -> Result<Rows> {
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

/// CREATE INDEX of an index.
pub(crate) fn index_definition(scope: &Scope, oid: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let Some((table, offset)) = derived_parts(&catalog, oid) else { return Ok(None) };
    Ok(all_indexes(&table).iter().find(|i| i64::from(i.id) == offset).map(|i| i.definition(&table)))
}
