//! DROP FUNCTION, PROCEDURE and ROUTINE.

use std::ops::ControlFlow;
use std::sync::Arc;

use cairn_engine::Catalog;
use cairn_engine::catalog::{ObjectId, RoutineDescriptor, RoutineKind};
use sqlparser::ast::{DataType as SqlType, Expr, ObjectName, Visit};

use super::define::name_of;
use super::named;
use super::syntax::DropRoutines;
use crate::context::Context;
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
                Ok(ty) => ty.base_name().to_owned(),
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
        let types = types.iter().map(data_type).collect::<Result<Vec<_>>>()?;
        found.retain(|routine| {
            let own: Vec<&str> = routine.inputs().map(|input| input.ty.base_name()).collect();
            own == types.iter().map(|ty| ty.base_name()).collect::<Vec<_>>()
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

/// Defaults and views that call a routine: a line for each, and the views.
pub(super) fn users(catalog: &Catalog, routine: &RoutineDescriptor) -> (Vec<String>, Vec<(String, String)>) {
    let mut users = Vec::new();
    let (word, shown) = (routine.word(), routine.signature());
    for table in catalog.tables() {
        for column in table.live_columns() {
            if let Some(default) = &column.default
                && dml::default::parse_expr(default).is_ok_and(|expr| calls(&expr, &routine.name))
            {
                users.push(format!(
                    "default value for column {} of table {} depends on {word} {shown}",
                    column.name, table.name
                ));
            }
        }
    }
    let mut views = Vec::new();
    for view in catalog.views() {
        if parse::parse_text(&view.sql).is_ok_and(|query| calls(&query, &routine.name)) {
            users.push(format!("view {} depends on {word} {shown}", view.name));
            views.push((view.schema.clone(), view.name.clone()));
        }
    }
    (users, views)
}

/// Refuses what would leave a default or a view without its function.
fn refuse_used(
    context: &Context,
    catalog: &Catalog,
    routine: &RoutineDescriptor,
    cascade: bool,
) -> Result<()> {
    let (word, shown) = (routine.word(), routine.signature());
    let (users, views) = users(catalog, routine);
    if users.is_empty() {
        return Ok(());
    }
    if !cascade {
        return Err(Error::new(
            "2BP01",
            format!("cannot drop {word} {shown} because other objects depend on it"),
        )
        .with_detail(users.join("\n"))
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    if users.len() > views.len() {
        return Err(Error::unsupported(format!("DROP ... CASCADE of {word} {shown} that a default uses"))
            .with_hint("Drop the default first."));
    }
    let views: Vec<(&str, &str)> = views.iter().map(|(s, n)| (s.as_str(), n.as_str())).collect();
    Ok(context.txn().drop_views(&views, true)?)
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
