//! Indexes as `pg_index` and `pg_indexes` show them.

use cairn_engine::Catalog;
use cairn_engine::catalog::{IndexDescriptor, Table};
use cairn_types::{DataType, Value};

use super::access::class_of;
use super::traits::collation;
use super::{derived, derived_parts};
use crate::Result;
use crate::catalog::column_type::ColumnType::{Bool, Int2, Int2Vector, Oid, OidVector, Text};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, optional};
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
    /// As in `indoption`: 1 for DESC, 2 for NULLS FIRST.
    options: i16,
}

impl Part {
    /// An expression without its order.
    fn bare(&self) -> &str {
        let text = self.text.trim_end_matches(" NULLS FIRST").trim_end_matches(" NULLS LAST");
        text.trim_end_matches(" DESC")
    }
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
    let options = options_of(order);
    Part { place: Some(place), name: column.name.clone(), ty: column.ty.clone(), text, options }
}

/// The bits of `indoption`.
fn options_of(order: &str) -> i16 {
    match order {
        " NULLS FIRST" => 2,
        " DESC" => 3,
        " DESC NULLS LAST" => 1,
        _ => 0,
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
            let options = options_of(order);
            Some(Part { place: None, name: label, ty: own.ty.clone(), text, options })
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

/// `pg_index`.
pub(super) const PG_INDEX: SystemTable = SystemTable { name: "pg_index", columns: INDEX, rows: pg_index };

const INDEX: Columns = &[
    ("indexrelid", Oid),
    ("indrelid", Oid),
    ("indnatts", Int2),
    ("indnkeyatts", Int2),
    ("indisunique", Bool),
    ("indnullsnotdistinct", Bool),
    ("indisprimary", Bool),
    ("indisexclusion", Bool),
    ("indimmediate", Bool),
    ("indisclustered", Bool),
    ("indisvalid", Bool),
    ("indcheckxmin", Bool),
    ("indisready", Bool),
    ("indislive", Bool),
    ("indisreplident", Bool),
    ("indkey", Int2Vector),
    ("indcollation", OidVector),
    ("indclass", OidVector),
    ("indoption", Int2Vector),
    ("indexprs", Text),
    ("indpred", Text),
];

fn pg_index(_context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        for index in all_indexes(table) {
            let attributes = index.attributes(table);
            let number = |place: Option<usize>| Value::SmallInt(place.map_or(0, |place| place as i16 + 1));
            let key = &attributes[..index.columns.len().min(attributes.len())];
            let flag = Value::Boolean;
            let expressions: Vec<&str> =
                index.columns.iter().filter(|part| part.place.is_none()).map(|part| part.bare()).collect();
            let options = index.columns.iter().map(|part| Value::SmallInt(part.options));
            rows.push(named(
                INDEX,
                [
                    ("indexrelid", oid(derived(table.id, i64::from(index.id)))),
                    ("indrelid", oid(table.id)),
                    ("indnatts", Value::SmallInt(attributes.len() as i16)),
                    ("indnkeyatts", Value::SmallInt(key.len() as i16)),
                    ("indisunique", flag(index.unique)),
                    ("indnullsnotdistinct", flag(index.nulls_not_distinct)),
                    ("indisprimary", flag(index.primary)),
                    ("indisexclusion", flag(false)),
                    ("indimmediate", flag(index.immediate)),
                    ("indisclustered", flag(false)),
                    ("indisvalid", flag(true)),
                    ("indcheckxmin", flag(false)),
                    ("indisready", flag(true)),
                    ("indislive", flag(true)),
                    ("indisreplident", flag(false)),
                    ("indkey", Value::Array(attributes.iter().map(|own| number(own.2)).collect())),
                    ("indcollation", Value::Array(key.iter().map(|own| oid(collation(&own.1))).collect())),
                    ("indclass", Value::Array(key.iter().map(|own| oid(class_of(&own.1))).collect())),
                    ("indoption", Value::Array(options.collect())),
                    (
                        "indexprs",
                        optional(Some(expressions.join(", ").as_str()).filter(|all| !all.is_empty())),
                    ),
                    ("indpred", optional(index.predicate.as_deref())),
                ],
            ));
        }
    }
    Ok(rows)
}

/// CREATE INDEX of an index.
pub(crate) fn index_definition(scope: &Scope, id: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let Some((table, offset)) = derived_parts(&catalog, id) else { return Ok(None) };
    Ok(all_indexes(&table).iter().find(|i| i64::from(i.id) == offset).map(|i| i.definition(&table)))
}

/// A column of an index as CREATE INDEX writes it, without its order; `None` where there is no such column.
pub(crate) fn index_column(scope: &Scope, id: i64, number: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    let Some((table, offset)) = derived_parts(&catalog, id) else { return Ok(None) };
    let Some(at) = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)) else {
        return Ok(None);
    };
    let all = all_indexes(&table);
    let Some(index) = all.iter().find(|index| i64::from(index.id) == offset) else { return Ok(None) };
    if let Some(part) = index.columns.get(at) {
        return Ok(Some(part.bare().to_owned()));
    }
    let included = index.include.get(at - index.columns.len());
    Ok(included.map(|place| quote_ident(&table.live_column(*place).name)))
}
