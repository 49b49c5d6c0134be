//! What is known of tables' values (ANALYZE, and on its own where much has changed), and what follows from it for plans:
//! how many rows a condition keeps ([`values`], [`conditions`]), how many each part of a plan gives ([`estimate`]).
//!
//! Guarantees: estimates choose between plans, never between answers.

pub(crate) mod conditions;
pub(crate) mod estimate;
pub(crate) mod shown;
pub(crate) mod values;

use std::collections::HashSet;
use std::sync::Arc;

use cairn_engine::Table;
use cairn_engine::catalog::{Relation, TableStatistics};
use sqlparser::ast::Analyze;

use crate::catalog::resolve_name;
use crate::context::Context;
use crate::results::StatementResult;
use crate::{Error, Result};

/// ANALYZE [table [(columns)]].
pub(crate) fn analyze(context: &Context, analyze: &Analyze) -> Result<StatementResult> {
    let Analyze {
        table_name,
        partitions,
        for_columns,
        columns,
        cache_metadata,
        noscan,
        compute_statistics,
        has_table_keyword,
    } = analyze;
    if partitions.is_some()
        || *for_columns
        || *cache_metadata
        || *noscan
        || *compute_statistics
        || *has_table_keyword
    {
        return Err(Error::unsupported("this form of ANALYZE"));
    }
    let catalog = context.catalog()?;
    let txn = context.txn();
    let Some(name) = table_name else {
        for table in catalog.tables() {
            let own = !crate::session::temporary::is_temporary(&table.schema)
                || table.schema == context.scope.temporary_schema();
            if own && !table.is_partitioned() {
                txn.analyze(table, &all(table))?;
            }
        }
        return Ok(StatementResult::command("ANALYZE"));
    };
    let (schema, relation) = resolve_name(context, &catalog, name)?;
    match catalog.relation(&schema, &relation) {
        Some(Relation::Table(table)) => {
            places(&table, columns)?;
            // The rows of a partitioned table are those of its partitions.
            let below = catalog.descendants(table.id);
            for own in std::iter::once(&table).chain(&below).filter(|own| !own.is_partitioned()) {
                txn.analyze(own, &places(own, columns)?)?;
            }
        }
        None => catalog.table(&schema, &relation).map(drop)?,
        Some(_) => context.notice(
            "01000",
            format!("skipping \"{relation}\" --- cannot analyze non-tables or special system tables"),
        ),
    }
    Ok(StatementResult::command("ANALYZE"))
}

fn all(table: &Table) -> Vec<usize> {
    (0..table.live_columns().len()).collect()
}

/// The places of the columns named; of all where none are.
fn places(table: &Table, columns: &[sqlparser::ast::Ident]) -> Result<Vec<usize>> {
    if columns.is_empty() {
        return Ok(all(table));
    }
    let mut seen = HashSet::new();
    let mut places = Vec::new();
    for column in columns {
        let name = crate::session::variables::fold(column);
        let Some(place) = table.live_columns().position(|live| live.name == name) else {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
            return Err(Error::new("42703", message));
        };
        if !seen.insert(place) {
            let message = format!("column \"{name}\" of relation \"{}\" appears more than once", table.name);
            return Err(Error::new("42701", message));
        }
        places.push(place);
    }
    Ok(places)
}

/// The statistics of a table that a query is being planned for, made anew where that is due.
pub(crate) fn of(context: &Context, table: &Table) -> Option<Arc<TableStatistics>> {
    if context.scope.past.is_none() {
        // Where they cannot be made, the query does without; what is wrong with the store it will say itself.
        let _ = context.scope.shared.database.refresh_statistics(table.id);
    }
    context.txn().statistics(table).ok().flatten()
}
