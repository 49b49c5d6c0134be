//! DROP FUNCTION, PROCEDURE and ROUTINE.

use std::ops::ControlFlow;
use std::sync::Arc;

use cairn_engine::Catalog;
use cairn_engine::catalog::{IndexDescriptor, ObjectId, RoutineDescriptor, RoutineKind, TypeKind};
use sqlparser::ast::{DataType as SqlType, Expr, ObjectName, Visit};

use super::define::name_of;
use super::named;
use super::syntax::DropRoutines;
use crate::context::Context;
use crate::functions::overload::type_name;
use crate::parse::types::data_type;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result, ddl, dml, parse};

/// Runs one.
pub(super) fn run(context: &Context, drop: &DropRoutines) -> Result<StatementResult> {
    let catalog = context.catalog()?;
    let word = word_of(drop.kind);
    let mut ids: Vec<ObjectId> = Vec::new();
    for (name, types) in &drop.targets {
        match find(context, &catalog, drop.kind, word, name, types.as_deref())? {
            Some(routine) => {
                crate::privileges::require_routine_owner(context, &routine, true)?;
                if !ids.contains(&routine.id) {
                    refuse_used(context, &catalog, &routine, drop.cascade)?;
                    ids.push(routine.id);
                }
            }
            None if drop.if_exists => {
                let shown = signature(name, types.as_deref());
                ddl::notice(context, "00000", format!("{word} {shown} does not exist, skipping"));
            }
            None => return Err(not_found(word, name, types.as_deref())),
        }
    }
    context.txn().drop_routines(&ids, drop.cascade)?;
    Ok(StatementResult::command(format!("DROP {}", word.to_uppercase())))
}

/// The word for a kind of routine.
pub(super) fn word_of(kind: Option<RoutineKind>) -> &'static str {
    match kind {
        Some(RoutineKind::Function) => "function",
        Some(RoutineKind::Procedure) => "procedure",
        None => "routine",
    }
}

/// What is said of a routine that is not there.
pub(super) fn not_found(word: &str, name: &ObjectName, types: Option<&[SqlType]>) -> Error {
    let shown = signature(name, types);
    match types {
        Some(_) => Error::new("42883", format!("{word} {shown} does not exist")),
        None => Error::new("42883", format!("could not find a {word} named \"{shown}\"")),
    }
}

fn signature(name: &ObjectName, types: Option<&[SqlType]>) -> String {
    match types {
        None => name.to_string(),
        Some(types) => {
            let names = types.iter().map(|ty| match data_type(ty) {
                Ok(ty) => type_name(&ty),
                Err(_) => ty.to_string(),
            });
            format!("{name}({})", names.collect::<Vec<_>>().join(","))
        }
    }
}

/// The routine of that name, kind and types of inputs, if they are given.
pub(super) fn find(
    context: &Context,
    catalog: &Catalog,
    kind: Option<RoutineKind>,
    word: &str,
    name: &ObjectName,
    types: Option<&[SqlType]>,
) -> Result<Option<Arc<RoutineDescriptor>>> {
    let (schema, bare) = name_of(name)?;
    let mut found = named(context, catalog, schema.as_deref(), &bare);
    if let Some(types) = types {
        let types = types.iter().map(|ty| super::define::type_of(context, ty)).collect::<Result<Vec<_>>>()?;
        found.retain(|routine| {
            let own: Vec<String> = routine.inputs().map(|input| type_name(&input.ty)).collect();
            own == types.iter().map(type_name).collect::<Vec<_>>()
        });
    }
    let other = |routine: &Arc<RoutineDescriptor>| kind.is_some_and(|kind| routine.kind != kind);
    if types.is_some()
        && let Some(wrong) = found.iter().find(|routine| other(routine))
    {
        return Err(Error::new("42809", format!("{} is not a {word}", wrong.signature())));
    }
    found.retain(|routine| !other(routine));
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(Error::new("42725", format!("{word} name \"{name}\" is not unique"))
            .with_hint(format!("Specify the argument list to select the {word} unambiguously."))),
    }
}

/// The same where it must be there.
///
/// # Errors
/// `42883`, `42725`, `42809`.
pub(crate) fn required(
    context: &Context,
    kind: Option<RoutineKind>,
    name: &ObjectName,
    types: Option<&[SqlType]>,
) -> Result<Arc<RoutineDescriptor>> {
    let word = word_of(kind);
    let found = find(context, &*context.catalog()?, kind, word, name, types)?;
    found.ok_or_else(|| not_found(word, name, types))
}

/// What calls a routine.
pub(super) enum User {
    Default { table: (String, String), column: String },
    Generated { table: (String, String), column: String },
    Check { table: (String, String), name: String },
    Index { schema: String, name: String },
    Domain { name: String },
    View { schema: String, name: String },
    Policy { table: ObjectId, name: String },
}

/// What calls a routine, with a line for each.
pub(super) fn users(catalog: &Catalog, routine: &RoutineDescriptor) -> Vec<(String, User)> {
    let mut users = Vec::new();
    let on = format!("depends on {} {}", routine.word(), routine.signature());
    let names = |sql: &str| dml::default::parse_expr(sql).is_ok_and(|expr| calls(&expr, &routine.name));
    for table in catalog.tables() {
        let own = || (table.schema.clone(), table.name.clone());
        let shown = &table.name;
        for column in table.live_columns() {
            let name = &column.name;
            if column.default.as_deref().is_some_and(names) {
                let line = format!("default value for column {name} of table {shown} {on}");
                users.push((line, User::Default { table: own(), column: name.clone() }));
            }
            if column.generated.as_ref().is_some_and(|generated| names(&generated.sql)) {
                let line = format!("column {name} of table {shown} {on}");
                users.push((line, User::Generated { table: own(), column: name.clone() }));
            }
        }
        for check in table.checks.iter().filter(|check| names(&check.sql)) {
            let line = format!("constraint {} on table {shown} {on}", check.name);
            users.push((line, User::Check { table: own(), name: check.name.clone() }));
        }
        let keyed = |index: &&IndexDescriptor| {
            index.expressions.iter().any(|own| names(&own.sql))
                || index.predicate.as_ref().is_some_and(|own| names(&own.sql))
        };
        for index in table.indexes.iter().filter(keyed) {
            let (schema, name) = (table.schema.clone(), index.name.clone());
            users.push((format!("index {name} {on}"), User::Index { schema, name }));
        }
    }
    for ty in catalog.types() {
        let TypeKind::Domain { default, checks, .. } = &ty.kind else { continue };
        if default.as_deref().is_some_and(names) || checks.iter().any(|check| names(&check.sql)) {
            users.push((format!("type {} {on}", ty.sql_name()), User::Domain { name: ty.sql_name() }));
        }
    }
    for view in catalog.views() {
        if parse::parse_text(&view.sql).is_ok_and(|query| calls(&query, &routine.name)) {
            let (schema, name) = (view.schema.clone(), view.name.clone());
            users.push((format!("view {name} {on}"), User::View { schema, name }));
        }
    }
    for access in catalog.all_access() {
        for own in &access.policies {
            if own.using.as_deref().is_some_and(names) || own.check.as_deref().is_some_and(names) {
                let table =
                    catalog.table_by_id(access.id).map(|table| table.name.clone()).unwrap_or_default();
                let line = format!("policy {} on table {table} {on}", own.name);
                users.push((line, User::Policy { table: access.id, name: own.name.clone() }));
            }
        }
    }
    users
}

/// Refuses what would leave a default or a view without its function.
fn refuse_used(
    context: &Context,
    catalog: &Catalog,
    routine: &RoutineDescriptor,
    cascade: bool,
) -> Result<()> {
    let (word, shown) = (routine.word(), routine.signature());
    let users = users(catalog, routine);
    if users.is_empty() {
        return Ok(());
    }
    if !cascade {
        let lines: Vec<&str> = users.iter().map(|(line, _)| line.as_str()).collect();
        return Err(Error::new(
            "2BP01",
            format!("cannot drop {word} {shown} because other objects depend on it"),
        )
        .with_detail(lines.join("\n"))
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    let txn = context.txn();
    for (_, user) in &users {
        match user {
            User::Default { table: (schema, table), column } => {
                txn.set_default(schema, table, column, None)?;
            }
            // What is a partition's, too, has gone with its table's.
            User::Generated { table: (schema, table), column } => {
                if context.catalog()?.table(schema, table)?.column_place(column).is_some() {
                    txn.drop_column(schema, table, column, true)?;
                }
            }
            User::Check { table: (schema, table), name } => {
                let own = context.catalog()?.table(schema, table)?;
                if own.checks.iter().any(|check| check.name == *name) {
                    txn.drop_constraint(schema, table, name, true)?;
                }
            }
            User::Index { schema, name } => {
                // It may have gone with a column.
                if context.catalog()?.index(schema, name).is_ok() {
                    txn.drop_index(schema, name, true)?;
                }
            }
            User::Domain { name } => {
                let what = format!("DROP ... CASCADE of {word} {shown} that the domain {name} uses");
                return Err(Error::unsupported(what).with_hint("Alter the domain first."));
            }
            User::Policy { table, name } => crate::privileges::policies::forget(context, *table, name)?,
            User::View { schema, name } => {
                // It may have gone with another one.
                if context.catalog()?.view(schema, name).is_ok() {
                    txn.drop_views(&[(schema, name)], true)?;
                }
            }
        }
    }
    Ok(())
}

/// The names of the functions that an expression calls, each with its schema where it is given.
pub(crate) fn called(within: &impl Visit) -> Vec<String> {
    struct Called(Vec<String>);
    impl sqlparser::ast::Visitor for Called {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(call) = expr {
                let parts: Vec<String> =
                    call.name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
                self.0.push(parts.join("."));
            }
            ControlFlow::Continue(())
        }
    }
    let mut called = Called(Vec::new());
    // It never breaks off.
    let _ = within.visit(&mut called);
    called.0
}

/// Whether a function of that name is called.
fn calls(within: &impl Visit, name: &str) -> bool {
    struct Calls<'n>(&'n str);
    impl sqlparser::ast::Visitor for Calls<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(call) if is_named(&call.name, self.0) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
        fn pre_visit_table_factor(&mut self, factor: &sqlparser::ast::TableFactor) -> ControlFlow<()> {
            use sqlparser::ast::TableFactor as T;
            match factor {
                T::Table { name, args: Some(_), .. } | T::Function { name, .. } if is_named(name, self.0) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    within.visit(&mut Calls(name)).is_break()
}

fn is_named(name: &ObjectName, wanted: &str) -> bool {
    name.0.last().and_then(|part| part.as_ident()).is_some_and(|ident| fold(ident) == wanted)
}
