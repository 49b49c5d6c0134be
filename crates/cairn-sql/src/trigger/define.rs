//! CREATE and DROP TRIGGER, ENABLE and DISABLE TRIGGER.

use std::sync::Arc;

use cairn_engine::catalog::{Privileges, Relation, Returns, RoutineKind, TriggerDescriptor, TriggerTiming};
use cairn_engine::{Catalog, Table};
use sqlparser::ast::ObjectName;

use super::row;
use super::syntax::{CreateTrigger, DropTrigger, EnableTrigger, RenameTrigger};
use crate::context::Context;
use crate::ddl::{self, names};
use crate::results::StatementResult;
use crate::routine::{define, named};
use crate::{Error, Result, catalog, privileges};

fn invalid(message: impl Into<String>) -> Error {
    Error::new("42P17", message)
}

/// The table, or the view as one, that triggers are of.
fn relation(context: &Context, name: &ObjectName) -> Result<Option<(Arc<Table>, bool)>> {
    let all = context.catalog()?;
    let (schema, relation) = catalog::resolve_name(context, &all, name)?;
    names::writable_schema(&schema)?;
    match all.relation(&schema, &relation) {
        Some(Relation::Table(table)) => Ok(Some((table, false))),
        Some(Relation::View(view)) => Ok(Some((Arc::new(Table::of_view(&view)), true))),
        Some(_) => Err(Error::new("42809", format!("relation \"{relation}\" cannot have triggers"))),
        None => Ok(None),
    }
}

/// What a table, or a view as one, is.
fn as_relation(all: &Catalog, table: &Arc<Table>) -> Relation {
    match all.view_by_id(table.id) {
        Some(view) => Relation::View(Arc::clone(view)),
        None => Relation::Table(Arc::clone(table)),
    }
}

fn missing(name: &ObjectName) -> Error {
    Error::new("42P01", format!("relation \"{name}\" does not exist"))
}

/// CREATE [OR REPLACE] TRIGGER.
pub(crate) fn create(context: &Context, create: &CreateTrigger) -> Result<StatementResult> {
    let (table, is_view) = relation(context, &create.table)?.ok_or_else(|| missing(&create.table))?;
    let all = context.catalog()?;
    let own = as_relation(&all, &table);
    privileges::require_relation(context, &own, Privileges::TRIGGER)?;
    if create.replace && table.triggers.iter().any(|own| own.name == names::stored(&create.name)) {
        privileges::require_owner(context, &own)?;
    }
    refuse(create, &table, is_view)?;
    let (schema, name) = define::name_of(&create.function)?;
    let found = named(context, &all, schema.as_deref(), &name);
    let function = found.iter().find(|f| f.kind == RoutineKind::Function && f.inputs().next().is_none());
    let Some(function) = function else {
        return Err(Error::new("42883", format!("function {name}() does not exist")));
    };
    privileges::require_execute(context, function)?;
    if function.returns != Returns::Trigger {
        return Err(Error::new("42P17", format!("function {name} must return type trigger")));
    }
    let mut columns = Vec::new();
    for ident in &create.columns {
        let place = crate::dml::target::column_place(&table, ident)?;
        let id = table.live_column(place).id;
        if columns.contains(&id) {
            let name = &table.live_column(place).name;
            return Err(Error::new("42701", format!("column \"{name}\" specified more than once")));
        }
        columns.push(id);
    }
    let trigger = TriggerDescriptor {
        name: names::stored(&create.name),
        timing: create.timing,
        events: create.events,
        columns,
        per_row: create.per_row,
        old_table: create.old_table.as_ref().map(names::stored),
        new_table: create.new_table.as_ref().map(names::stored),
        when: create.when.as_ref().map(|when| catalog::view::bound_expr(context, when)).transpose()?,
        function: function.id,
        arguments: create.arguments.clone(),
        enabled: true,
    };
    row::check(context, &table, &trigger, function)?;
    context.txn().create_trigger(table.id, trigger, create.replace)?;
    Ok(StatementResult::command("CREATE TRIGGER"))
}

/// Refuses what PostgreSQL refuses.
fn refuse(create: &CreateTrigger, table: &Table, is_view: bool) -> Result<()> {
    let (name, events) = (&table.name, create.events);
    let transition = create.old_table.is_some() || create.new_table.is_some();
    let instead = create.timing == TriggerTiming::InsteadOf;
    if is_view && create.per_row && !instead {
        return Err(Error::new("42809", format!("\"{name}\" is a view"))
            .with_detail("Views cannot have row-level BEFORE or AFTER triggers."));
    }
    if is_view && events.truncate {
        return Err(Error::new("42809", format!("\"{name}\" is a view"))
            .with_detail("Views cannot have TRUNCATE triggers."));
    }
    if is_view && !instead {
        return Err(Error::unsupported("BEFORE and AFTER triggers of views"));
    }
    if !is_view && instead {
        return Err(Error::new("42809", format!("\"{name}\" is a table"))
            .with_detail("Tables cannot have INSTEAD OF triggers."));
    }
    if instead && !create.per_row {
        return Err(Error::new("0A000", "INSTEAD OF triggers must be FOR EACH ROW"));
    }
    if instead && create.when.is_some() {
        return Err(Error::new("0A000", "INSTEAD OF triggers cannot have WHEN conditions"));
    }
    if instead && !create.columns.is_empty() {
        return Err(Error::new("0A000", "INSTEAD OF triggers cannot have column lists"));
    }
    if events.truncate && create.per_row {
        return Err(Error::new("0A000", "TRUNCATE FOR EACH ROW triggers are not supported"));
    }
    if !transition {
        return Ok(());
    }
    if create.timing != TriggerTiming::After {
        return Err(invalid("transition table name can only be specified for an AFTER trigger"));
    }
    if events.truncate {
        return Err(Error::new("0A000", "TRUNCATE triggers cannot specify transition tables"));
    }
    let several =
        [events.insert, events.update, events.delete].into_iter().filter(|event| *event).count() > 1;
    if several {
        return Err(Error::new(
            "0A000",
            "transition tables cannot be specified for triggers with more than one event",
        ));
    }
    if !create.columns.is_empty() {
        return Err(Error::new(
            "0A000",
            "transition tables cannot be specified for triggers with column lists",
        ));
    }
    if create.new_table.is_some() && !events.insert && !events.update {
        return Err(invalid("NEW TABLE can only be specified for an INSERT or UPDATE trigger"));
    }
    if create.old_table.is_some() && !events.delete && !events.update {
        return Err(invalid("OLD TABLE can only be specified for a DELETE or UPDATE trigger"));
    }
    if create.old_table.is_some() && create.old_table == create.new_table {
        return Err(invalid("OLD TABLE name and NEW TABLE name cannot be the same"));
    }
    Ok(())
}

/// DROP TRIGGER.
pub(crate) fn drop(context: &Context, drop: &DropTrigger) -> Result<StatementResult> {
    let done = || Ok(StatementResult::command("DROP TRIGGER"));
    let name = names::stored(&drop.name);
    match relation(context, &drop.table)? {
        None if drop.if_exists => {
            ddl::notice(context, "00000", format!("relation \"{}\" does not exist, skipping", drop.table));
        }
        None => return Err(missing(&drop.table)),
        Some((table, _)) => {
            if drop.if_exists && !table.triggers.iter().any(|trigger| trigger.name == name) {
                let message =
                    format!("trigger \"{name}\" for relation \"{}\" does not exist, skipping", table.name);
                ddl::notice(context, "00000", message);
                return done();
            }
            privileges::require_owner(context, &as_relation(&*context.catalog()?, &table))?;
            context.txn().drop_trigger(table.id, &name)?;
        }
    }
    done()
}

/// ALTER TRIGGER … RENAME TO.
pub(crate) fn rename(context: &Context, rename: &RenameTrigger) -> Result<StatementResult> {
    let Some((table, _)) = relation(context, &rename.table)? else { return Err(missing(&rename.table)) };
    privileges::require_owner(context, &as_relation(&*context.catalog()?, &table))?;
    context.txn().rename_trigger(table.id, &names::stored(&rename.name), &names::stored(&rename.new))?;
    Ok(StatementResult::command("ALTER TRIGGER"))
}

/// ALTER TABLE … ENABLE or DISABLE TRIGGER.
pub(crate) fn enable(context: &Context, enable: &EnableTrigger) -> Result<StatementResult> {
    let done = || Ok(StatementResult::command("ALTER TABLE"));
    let Some((table, _)) = relation(context, &enable.table)? else {
        if enable.if_exists {
            ddl::notice(context, "00000", format!("relation \"{}\" does not exist, skipping", enable.table));
            return done();
        }
        return Err(missing(&enable.table));
    };
    privileges::require_owner(context, &as_relation(&*context.catalog()?, &table))?;
    let name = enable.name.as_ref().map(names::stored);
    context.txn().enable_trigger(table.id, name.as_deref(), enable.enabled)?;
    done()
}
