//! Functions, procedures and triggers.

use std::sync::Arc;

use super::name;
use super::removal::Removal;
use crate::catalog::{
    ObjectId, Returns, RoutineDescriptor, RoutineKind, TableDescriptor, TriggerDescriptor, ViewDescriptor,
};
use crate::error::{Error, Result};
use crate::transaction::{Transaction, Writer};

impl Transaction {
    /// CREATE [OR REPLACE] FUNCTION or PROCEDURE. The id of `routine` is not looked at.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`]: 42723 where there is one that takes the same types (and `replace` is false), 42P13
    /// for a replacement that gives something else or renames an input, 42809 for one of another kind.
    pub fn create_routine(
        &self,
        routine: RoutineDescriptor,
        replace: bool,
    ) -> Result<Arc<RoutineDescriptor>> {
        self.write("CREATE FUNCTION", |writer| {
            name::usable_schema(&writer.catalog, &routine.schema)?;
            let old = writer.catalog.routines().find(|old| old.is_same_call(&routine)).cloned();
            let id = match &old {
                Some(_) if !replace => {
                    let message =
                        format!("function \"{}\" already exists with same argument types", routine.name);
                    return Err(Error::definition("42723", message));
                }
                Some(old) => {
                    keeps_call(old, &routine)?;
                    old.id
                }
                None => writer.new_id()?,
            };
            writer.put_routine(RoutineDescriptor { id, ..routine })?;
            let made = writer.catalog.routine_by_id(id).cloned();
            made.ok_or_else(|| Error::corrupt("catalog", "a routine that is not there"))
        })
    }

    /// DROP FUNCTION or PROCEDURE. Triggers that run them go with `cascade`.
    ///
    /// # Errors
    /// [`Error::DependentObjects`].
    pub fn drop_routines(&self, ids: &[ObjectId], cascade: bool) -> Result<()> {
        self.write("DROP FUNCTION", |writer| {
            let mut removal = Removal::default();
            let found: Vec<_> =
                ids.iter().filter_map(|id| writer.catalog.routine_by_id(*id).cloned()).collect();
            found.iter().for_each(|routine| removal.routine(routine));
            removal.run(writer, cascade)
        })
    }

    /// CREATE [OR REPLACE] TRIGGER on that table or view.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`] (42710) where it has one of that name.
    pub fn create_trigger(
        &self,
        relation: ObjectId,
        trigger: TriggerDescriptor,
        replace: bool,
    ) -> Result<()> {
        self.write("CREATE TRIGGER", |writer| {
            change_triggers(writer, relation, |own, triggers| {
                match triggers.iter_mut().find(|old| old.name == trigger.name) {
                    Some(old) if replace => *old = TriggerDescriptor { enabled: old.enabled, ..trigger },
                    Some(_) => {
                        let name = &trigger.name;
                        let message = format!("trigger \"{name}\" for relation \"{own}\" already exists");
                        return Err(Error::definition("42710", message));
                    }
                    None => triggers.push(trigger),
                }
                triggers.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(())
            })
        })
    }

    /// ALTER FUNCTION or PROCEDURE: the routine of that id becomes what is given.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`]: 42723 where the new schema has one of the new name that takes the same types.
    pub fn alter_routine(&self, routine: RoutineDescriptor) -> Result<()> {
        self.write("ALTER FUNCTION", |writer| {
            name::usable_schema(&writer.catalog, &routine.schema)?;
            let types = |own: &RoutineDescriptor| -> Vec<String> {
                own.inputs().map(|input| input.ty.base_name().to_owned()).collect()
            };
            let wanted = types(&routine);
            let is_taken = writer
                .catalog
                .routines_named(&routine.schema, &routine.name)
                .any(|other| other.id != routine.id && types(other) == wanted);
            if is_taken {
                let message = format!(
                    "{} {} already exists in schema \"{}\"",
                    routine.word(),
                    routine.signature(),
                    routine.schema
                );
                return Err(Error::definition("42723", message));
            }
            writer.put_routine(routine)
        })
    }

    /// ALTER TRIGGER … RENAME TO.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`]: 42704 where there is none of the old name, 42710 where there is one of the new.
    pub fn rename_trigger(&self, relation: ObjectId, name: &str, new_name: &str) -> Result<()> {
        self.write("ALTER TRIGGER", |writer| {
            change_triggers(writer, relation, |own, triggers| {
                if triggers.iter().any(|trigger| trigger.name == new_name) {
                    let message = format!("trigger \"{new_name}\" for relation \"{own}\" already exists");
                    return Err(Error::definition("42710", message));
                }
                let found = triggers.iter_mut().find(|trigger| trigger.name == name);
                found.ok_or_else(|| no_trigger(name, own))?.name = new_name.to_owned();
                triggers.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(())
            })
        })
    }

    /// DROP TRIGGER.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`] (42704) where there is none.
    pub fn drop_trigger(&self, relation: ObjectId, name: &str) -> Result<()> {
        self.write("DROP TRIGGER", |writer| {
            change_triggers(writer, relation, |own, triggers| {
                let before = triggers.len();
                triggers.retain(|trigger| trigger.name != name);
                if triggers.len() == before { Err(no_trigger(name, own)) } else { Ok(()) }
            })
        })
    }

    /// Notes whether a materialized view is filled.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a table that is none.
    pub fn set_populated(&self, view: ObjectId, populated: bool) -> Result<()> {
        self.write("REFRESH MATERIALIZED VIEW", |writer| {
            let table = writer.catalog.table_by_id(view).cloned();
            let table = table.ok_or_else(|| Error::InvalidArgument(format!("no table {view}")))?;
            let mut descriptor = table.descriptor().clone();
            match &mut descriptor.materialized {
                Some(own) if own.populated == populated => return Ok(()),
                Some(own) => own.populated = populated,
                None => return Err(Error::InvalidArgument(format!("table {view} is no view"))),
            }
            writer.put_table(descriptor)?;
            Ok(())
        })
    }

    /// ALTER TABLE … ENABLE or DISABLE TRIGGER; without a name all of them.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`] (42704) where there is none of that name.
    pub fn enable_trigger(&self, relation: ObjectId, name: Option<&str>, enabled: bool) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            change_triggers(writer, relation, |own, triggers| {
                let mut found = name.is_none();
                for trigger in triggers.iter_mut().filter(|t| name.is_none_or(|name| t.name == name)) {
                    trigger.enabled = enabled;
                    found = true;
                }
                if found { Ok(()) } else { Err(no_trigger(name.unwrap_or_default(), own)) }
            })
        })
    }
}

fn no_trigger(name: &str, relation: &str) -> Error {
    Error::definition("42704", format!("trigger \"{name}\" for table \"{relation}\" does not exist"))
}

/// Changes the triggers of a table or view.
fn change_triggers(
    writer: &mut Writer<'_>,
    relation: ObjectId,
    change: impl FnOnce(&str, &mut Vec<TriggerDescriptor>) -> Result<()>,
) -> Result<()> {
    if let Some(view) = writer.catalog.view_by_id(relation).cloned() {
        let mut triggers = view.triggers.clone();
        change(&view.name, &mut triggers)?;
        return writer.put_view(ViewDescriptor { triggers, ..(*view).clone() });
    }
    writer.lock_definition(relation)?;
    let Some(table) = writer.catalog.table_by_id(relation).cloned() else {
        return Err(Error::InvalidArgument(format!("no table {relation}")));
    };
    let mut triggers = table.triggers.clone();
    change(&table.name, &mut triggers)?;
    let is_partition = table.partition.is_some();
    let of_rows = |all: &[TriggerDescriptor]| -> Vec<TriggerDescriptor> {
        all.iter().filter(|trigger| trigger.per_row).cloned().collect()
    };
    if is_partition && of_rows(&triggers) != of_rows(&table.triggers) {
        let message = "row triggers of a partition by itself, apart from those of its table,";
        return Err(Error::Unsupported { message: format!("{message} are not supported") });
    }
    writer.put_table(TableDescriptor { triggers, ..table.descriptor().clone() })?;
    super::partition::hand_down(writer, relation)
}

/// A replacement gives what the old one gave, under the old names of inputs.
fn keeps_call(old: &RoutineDescriptor, new: &RoutineDescriptor) -> Result<()> {
    let refuse = |message: String| Err(Error::definition("42P13", message));
    if old.kind != new.kind {
        let message = format!("\"{}\" is a {}", old.name, old.word());
        return Err(Error::InvalidDefinition {
            sqlstate: "42809",
            message: "cannot change routine kind".to_owned(),
            detail: Some(format!("{message}.")),
            hint: None,
        });
    }
    let outputs = |routine: &RoutineDescriptor| -> Vec<(String, String)> {
        let out = routine.parameters.iter().filter(|p| p.is_output());
        out.map(|p| (p.name.clone(), p.ty.base_name().to_owned())).collect()
    };
    let same = match (&old.returns, &new.returns) {
        (Returns::Value { ty: a, set: b }, Returns::Value { ty: c, set: d }) => {
            a.base_name() == c.base_name() && b == d
        }
        (a, b) => a == b,
    };
    if old.kind == RoutineKind::Function && (!same || outputs(old) != outputs(new)) {
        return refuse("cannot change return type of existing function".to_owned());
    }
    for (old, new) in old.inputs().zip(new.inputs()) {
        if !old.name.is_empty() && old.name != new.name {
            return refuse(format!("cannot change name of input parameter \"{}\"", old.name));
        }
        if old.default.is_some() && new.default.is_none() {
            return refuse("cannot remove parameter defaults from existing function".to_owned());
        }
    }
    Ok(())
}
