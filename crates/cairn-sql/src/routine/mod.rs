//! Functions and procedures in SQL ([decision 0016](../../../docs/decisions/0016-programs.md)).
//!
//! ```text
//!   CREATE FUNCTION ─ syntax ─ define ─→ engine (text)          CALL ─ procedure ─┐
//!   f(x) in a query ─ rewrite ─ function (a UDF) ─ inline, or for each row ─ body ─┴─→ session::route::run
//! ```
//! I1. What a body does is part of the statement that called it: the same transaction, the same snapshot (it does not
//!     move while a statement runs), undone with it.
//! I2. Bodies nest [`DEPTH_MAX`] deep at most.

mod alter;
pub(crate) mod body;
pub(crate) mod define;
pub(crate) mod drop;
pub(crate) mod function;
pub(crate) mod names;
pub(crate) mod polymorphic;
pub(crate) mod procedure;
pub(crate) mod rewrite;
mod rows_from;
pub(crate) mod syntax;

use std::sync::Arc;

use cairn_engine::Catalog;
use cairn_engine::catalog::{Returns, RoutineDescriptor, RoutineKind, TypeDescriptor};
use cairn_types::{Coded, CompositeType, DataType};

use crate::context::Context;
use crate::functions::composite::composite;
use crate::session::settings::Settings;
use crate::{Error, Result};

/// Bodies within bodies.
pub(crate) const DEPTH_MAX: u32 = 128;

/// The routines that a name means: those of its schema, or of the first schema of the search path that has any.
pub(crate) fn named(
    context: &Context,
    catalog: &Catalog,
    schema: Option<&str>,
    name: &str,
) -> Vec<Arc<RoutineDescriptor>> {
    let of = |schema: &str| catalog.routines_named(schema, name).cloned().collect::<Vec<_>>();
    match schema {
        Some(schema) => of(schema),
        None => {
            let path = &context.scope.settings.search_path;
            path.iter().map(|schema| of(schema)).find(|found| !found.is_empty()).unwrap_or_default()
        }
    }
}

/// The functions of a name as the planner gives it, its schema before a point.
pub(crate) fn functions_named(
    context: &Context,
    catalog: &Catalog,
    name: &str,
) -> Vec<Arc<RoutineDescriptor>> {
    if catalog.routines().next().is_none() {
        return Vec::new();
    }
    let mut found = match name.split_once('.') {
        Some((schema, name)) => named(context, catalog, Some(schema), name),
        None => named(context, catalog, None, name),
    };
    found.retain(|routine| routine.kind == RoutineKind::Function);
    found
}

/// The columns of what a routine gives in FROM; a function of one value is its only column.
pub(crate) fn columns(catalog: &Catalog, routine: &RoutineDescriptor) -> Result<Vec<(String, DataType)>> {
    Ok(match &routine.returns {
        Returns::Void => vec![(routine.name.clone(), DataType::Text)],
        Returns::Trigger => Vec::new(),
        Returns::Value { ty, .. } => match composite(ty) {
            Some(own) => own.live().map(|(_, field)| (field.name.clone(), field.ty.clone())).collect(),
            None => vec![(routine.name.clone(), ty.clone())],
        },
        Returns::Rows { columns, .. } => columns.clone(),
        Returns::Relation { object, .. } => match (catalog.table_by_id(*object), catalog.view_by_id(*object))
        {
            (Some(table), _) => table.live_columns().map(|c| (c.name.clone(), c.ty.clone())).collect(),
            (None, Some(view)) => view.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect(),
            (None, None) => return Err(Error::internal("the type of a function is gone")),
        },
    })
}

/// The type of a call's value: a row of several columns is one of its table, or a record.
pub(crate) fn value_type(catalog: &Catalog, routine: &RoutineDescriptor) -> Result<DataType> {
    Ok(match &routine.returns {
        Returns::Value { ty, .. } => ty.clone(),
        Returns::Rows { columns, .. } if columns.len() == 1 => columns[0].1.clone(),
        Returns::Relation { object, .. } if catalog.table_by_id(*object).is_some() => {
            let table = catalog.table_by_id(*object);
            table.map_or(DataType::Text, |table| TypeDescriptor::of_rows(table).data_type())
        }
        Returns::Rows { .. } | Returns::Relation { .. } => {
            DataType::Coded(Coded::Composite(CompositeType::record(columns(catalog, routine)?)))
        }
        Returns::Void | Returns::Trigger => DataType::Text,
    })
}

/// As whom and with which settings a routine runs: SECURITY DEFINER and SET.
///
/// # Errors
/// What is wrong with a setting.
pub(crate) fn run_as(context: &Context, routine: &RoutineDescriptor) -> Result<Context> {
    if !routine.definer && routine.settings.is_empty() {
        return Ok(context.clone());
    }
    let mut settings = Settings::clone(&context.scope.settings);
    for (name, value) in &routine.settings {
        settings.set(name, &Settings::values_of(name, value)?)?;
    }
    if routine.definer {
        let owner = context.txn().catalog().owner(routine.id);
        settings.identity = Arc::new(settings.identity.definer(owner));
    }
    let settings = crate::privileges::with_path(context.txn(), Arc::new(settings));
    Ok(context.with_settings(settings))
}

/// Whether it gives rows and not a value.
pub(crate) fn gives_rows(routine: &RoutineDescriptor) -> bool {
    match &routine.returns {
        Returns::Rows { columns, .. } => columns.len() != 1,
        Returns::Relation { .. } => true,
        Returns::Value { ty, .. } => composite(ty).is_some(),
        Returns::Void | Returns::Trigger => false,
    }
}

/// Whether it gives rows whose columns are said where it is called.
pub(crate) fn is_record(routine: &RoutineDescriptor) -> bool {
    matches!(&routine.returns, Returns::Rows { columns, .. } if columns.is_empty())
}

/// Whether it may give more than one.
pub(crate) fn is_set(routine: &RoutineDescriptor) -> bool {
    matches!(
        routine.returns,
        Returns::Value { set: true, .. }
            | Returns::Rows { set: true, .. }
            | Returns::Relation { set: true, .. }
    )
}
