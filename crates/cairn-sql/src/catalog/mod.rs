//! From a name in a query to something that DataFusion can scan.
//!
//! Order for an unqualified name: `pg_catalog`, then the search path. `public.store` is the raw key-value space.

mod activity;
pub(crate) mod column_type;
pub(crate) mod file;
pub(crate) mod information_schema;
pub(crate) mod locks;
pub(crate) mod pg_catalog;
mod plans;
pub(crate) mod sample;
pub(crate) mod snapshots;
pub(crate) mod store;
pub(crate) mod system;
pub(crate) mod view;

use std::sync::Arc;

use cairn_engine::Catalog;
use cairn_engine::catalog::{PUBLIC, Relation, STORE, ViewDescriptor};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use crate::context::Context;
use crate::parse::only;
use crate::scan::provider::TableScanProvider;
use crate::session::temporary;
use crate::{Error, Result};

/// The one database's name.
pub(crate) const DATABASE: &str = "cairn";
/// Marks a table reference of which the hidden row key column is wanted too.
const ROW_KEY_CATALOG: &str = "\u{1}row_key";
/// Marks a name that stands for a file; set by `parse::rewrite` on quoted names in FROM.
pub(crate) const FILE_CATALOG: &str = "\u{1}file";

/// What a name stands for.
pub(crate) enum Found {
    /// Something to scan.
    Provider(Arc<dyn TableProvider>),
    /// A view, to be planned.
    View(Arc<ViewDescriptor>),
}

/// A table's name for FROM whose scan has a last column `__row_key` (Binary): UPDATE and DELETE read it.
/// Always give it an alias.
pub(crate) fn with_row_key(schema: &str, table: &str) -> ObjectName {
    with_row_key_for(schema, table, "")
}

/// The same, with a mark that says what the rows are read for ([`crate::privileges::relations::Reads`]).
pub(crate) fn with_row_key_for(schema: &str, table: &str, mark: &str) -> ObjectName {
    let first = format!("{ROW_KEY_CATALOG}{mark}");
    ObjectName(
        [first.as_str(), schema, table]
            .map(|part| ObjectNamePart::Identifier(Ident::with_quote('"', part)))
            .to_vec(),
    )
}

/// Whether a name is one of [`with_row_key`].
pub(crate) fn is_with_row_key(name: &ObjectName) -> bool {
    name.0
        .first()
        .and_then(|part| part.as_ident())
        .is_some_and(|ident| ident.value.starts_with(ROW_KEY_CATALOG))
}

/// What the rows of one of these names are read for.
pub(crate) fn row_key_mark(name: &TableReference) -> Option<&str> {
    name.catalog()?.strip_prefix(ROW_KEY_CATALOG)
}

/// Finds what a name stands for.
///
/// # Errors
/// `42P01`, `3F000`, `42809`.
pub(crate) fn find(context: &Context, catalog: &Catalog, name: &TableReference) -> Result<Found> {
    match name {
        TableReference::Partial { schema, table } if **schema == *only::ONLY => {
            only_itself(find(context, catalog, &TableReference::bare(table.to_string())))
        }
        TableReference::Full { catalog: mark, schema, table } if **mark == *only::ONLY => {
            let name = TableReference::partial(schema.to_string(), table.to_string());
            only_itself(find(context, catalog, &name))
        }
        TableReference::Bare { table } => {
            if let Some(provider) = system::table(context, catalog, "pg_catalog", table)? {
                return Ok(Found::Provider(provider));
            }
            for schema in &context.scope.settings.search_path {
                if let Some(found) = in_schema(context, catalog, schema, table, false)? {
                    return Ok(found);
                }
            }
            Err(missing(table))
        }
        TableReference::Partial { schema, table } => {
            if **schema == *FILE_CATALOG {
                return Ok(Found::Provider(file::provider(context, table)?));
            }
            match **schema == *temporary::OWN {
                true => qualified(context, catalog, &context.scope.temporary_schema(), table, false),
                false => qualified(context, catalog, schema, table, false),
            }
        }
        TableReference::Full { catalog: database, schema, table } => match &**database {
            mark if mark.starts_with(ROW_KEY_CATALOG) => qualified(context, catalog, schema, table, true),
            DATABASE => qualified(context, catalog, schema, table, false),
            other => Err(Error::new(
                "0A000",
                format!("cross-database references are not implemented: \"{other}.{schema}.{table}\""),
            )),
        },
    }
}

/// A partitioned table without its partitions has no rows.
fn only_itself(found: Result<Found>) -> Result<Found> {
    let found = found?;
    let Found::Provider(provider) = &found else { return Ok(found) };
    let whole = (provider.as_ref() as &dyn std::any::Any).downcast_ref::<TableScanProvider>();
    Ok(match whole.is_some_and(TableScanProvider::is_partitioned) {
        true => Found::Provider(Arc::new(EmptyTable::new(provider.schema()))),
        false => found,
    })
}

fn missing(name: &str) -> Error {
    Error::new("42P01", format!("relation \"{name}\" does not exist"))
}

fn qualified(
    context: &Context,
    catalog: &Catalog,
    schema: &str,
    table: &str,
    row_key: bool,
) -> Result<Found> {
    in_schema(context, catalog, schema, table, row_key)?.ok_or_else(|| {
        // PostgreSQL says the same of a missing schema.
        missing(&format!("{schema}.{table}"))
    })
}

fn in_schema(
    context: &Context,
    catalog: &Catalog,
    schema: &str,
    name: &str,
    row_key: bool,
) -> Result<Option<Found>> {
    if let Some(provider) = system::table(context, catalog, schema, name)? {
        return Ok(Some(Found::Provider(provider)));
    }
    if is_store(catalog, schema, name) {
        return Ok(Some(Found::Provider(store::provider(context)?)));
    }
    match catalog.relation(schema, name) {
        None => Ok(None),
        Some(Relation::Table(table)) if table.materialized.as_ref().is_some_and(|own| !own.populated) => {
            Err(Error::new("55000", format!("materialized view \"{name}\" has not been populated"))
                .with_hint("Use the REFRESH MATERIALIZED VIEW command."))
        }
        Some(Relation::Table(table)) => {
            let provider = TableScanProvider::new(context, table, row_key)?;
            Ok(Some(Found::Provider(Arc::new(provider))))
        }
        Some(Relation::View(view)) => Ok(Some(Found::View(view))),
        Some(Relation::Sequence(sequence)) => {
            Ok(Some(Found::Provider(system::sequence(context, &sequence)?)))
        }
        Some(Relation::Index(..)) => Err(Error::new("42809", format!("cannot open relation \"{name}\""))
            .with_detail("This operation is not supported for indexes.")),
    }
}

/// Whether a name means the key-value space: `pg_catalog.store`, or `store` where the user has none.
pub(crate) fn is_store(catalog: &Catalog, schema: &str, name: &str) -> bool {
    name == STORE && (schema == "pg_catalog" || schema == PUBLIC && catalog.relation(PUBLIC, STORE).is_none())
}

/// Whether a name is one of a table that is computed, in that schema or in `pg_catalog`.
pub(crate) fn is_computed(schema: &str, name: &str) -> bool {
    is_system_table(name) || system::tables(schema).iter().any(|table| table.name == name)
}

/// The number of the key-value space as a table.
pub(crate) fn store_id() -> u32 {
    pg_catalog::STORE_ID as u32
}

/// Whether a name is one of a table that is computed, in that schema.
pub(crate) fn is_computed_in(schema: &str, name: &str) -> bool {
    system::tables(schema).iter().any(|table| table.name == name)
}

/// Whether a schema is computed.
pub(crate) fn is_system_schema(schema: &str) -> bool {
    !system::tables(schema).is_empty()
}

/// Whether an unqualified name is first of all a table of `pg_catalog`.
pub(crate) fn is_system_table(name: &str) -> bool {
    system::tables("pg_catalog").iter().any(|table| table.name == name)
}

/// The number of a computed table of `pg_catalog`, and its first column.
pub(crate) fn computed_id(name: &str) -> Option<(i64, &'static str)> {
    let table = system::tables("pg_catalog").iter().find(|table| table.name == name)?;
    Some((pg_catalog::class_id(name), table.columns.first()?.0))
}

/// The columns of a table that is computed, in that schema or in `pg_catalog`.
pub(crate) fn computed_columns(schema: &str, name: &str) -> Vec<String> {
    let all = ["pg_catalog", schema].into_iter().flat_map(system::tables);
    let found = all.filter(|table| table.name == name).flat_map(|table| table.columns);
    found.map(|(column, _)| (*column).to_owned()).collect()
}

/// The schema and name that an object name of DDL or DML means: as written, or the first schema of the search
/// path that has it, or the first schema of the path.
pub(crate) fn resolve_name(
    context: &Context,
    catalog: &Catalog,
    name: &ObjectName,
) -> Result<(String, String)> {
    let parts: Vec<String> = name
        .0
        .iter()
        .skip(usize::from(only::is_only(name)))
        .map(|part| part.as_ident().map_or_else(|| part.to_string(), crate::session::variables::fold))
        .collect();
    match parts.as_slice() {
        [table] => {
            let path = &context.scope.settings.search_path;
            let schema = path.iter().find(|schema| catalog.relation(schema, table).is_some());
            let schema = schema
                .or_else(|| {
                    let lasting = |schema: &&String| !temporary::is_temporary(schema);
                    path.iter().filter(lasting).find(|schema| catalog.schema(schema).is_some())
                })
                .ok_or_else(|| Error::new("3F000", "no schema has been selected to create in"))?;
            Ok((schema.clone(), table.clone()))
        }
        [schema, table] if schema == temporary::OWN => Ok((context.scope.temporary_schema(), table.clone())),
        [schema, table] => Ok((schema.clone(), table.clone())),
        [database, schema, table] if database == DATABASE => Ok((schema.clone(), table.clone())),
        _ => Err(Error::new("0A000", format!("cross-database references are not implemented: {name}"))),
    }
}
