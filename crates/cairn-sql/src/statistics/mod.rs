//! What is known of tables' values (ANALYZE, and on its own where much has changed), and what follows from it for plans:
//! how many rows a condition keeps ([`values`], [`conditions`]), how many each part of a plan gives ([`estimate`]).
//!
//! Guarantees: estimates choose between plans, never between answers.

pub(crate) mod conditions;
pub(crate) mod estimate;
pub(crate) mod maintenance;
pub(crate) mod shown;
pub(crate) mod values;

use std::collections::HashSet;
use std::sync::Arc;

use cairn_engine::catalog::{Relation, TableStatistics};
use cairn_engine::{Catalog, Table};
use sqlparser::ast::Ident;

use crate::context::Context;
use crate::{Error, Result, privileges};

/// ANALYZE of every table that the session may see.
fn analyze_all(context: &Context, catalog: &Catalog) -> Result<()> {
    for table in catalog.tables() {
        let own = !crate::session::temporary::is_temporary(&table.schema)
            || table.schema == context.scope.temporary_schema();
        let relation = Relation::Table(Arc::clone(table));
        if own && !table.is_partitioned() && privileges::may_maintain(context, &relation) {
            context.txn().analyze(table, &all(table))?;
        }
    }
    Ok(())
}

/// ANALYZE of a table, or of columns of it. The rows of a partitioned table are those of its partitions.
fn analyze_table(context: &Context, catalog: &Catalog, table: &Arc<Table>, columns: &[Ident]) -> Result<()> {
    places(table, columns)?;
    let below = catalog.descendants(table.id);
    for own in std::iter::once(table).chain(&below).filter(|own| !own.is_partitioned()) {
        context.txn().analyze(own, &places(own, columns)?)?;
    }
    Ok(())
}

fn all(table: &Table) -> Vec<usize> {
    (0..table.live_columns().len()).collect()
}

/// The places of the columns named; of all where none are.
fn places(table: &Table, columns: &[Ident]) -> Result<Vec<usize>> {
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
