//! DROP: what goes, what depends on it, and whether that may go too.
//!
//! I1: after a removal the catalog names nothing that is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{
    ObjectId, Returns, RoutineDescriptor, SchemaDescriptor, SequenceDescriptor, Table, TypeDescriptor,
    ViewDescriptor,
};
use crate::error::{Error, Result};
use crate::key_space;
use crate::transaction::Writer;

/// The word for a table.
fn kind_of(table: &Table) -> &'static str {
    if table.materialized.is_some() { "materialized view" } else { "table" }
}

/// A set of objects to be dropped together.
#[derive(Default)]
pub(super) struct Removal {
    /// What was asked for, for the message: the first object.
    subject: Option<String>,
    schemas: Vec<Arc<SchemaDescriptor>>,
    tables: BTreeSet<ObjectId>,
    views: BTreeSet<ObjectId>,
    sequences: BTreeSet<ObjectId>,
    routines: BTreeSet<ObjectId>,
    /// Triggers of tables and views that stay: (relation, name).
    triggers: BTreeSet<(ObjectId, String)>,
    types: BTreeSet<ObjectId>,
    /// Columns whose defaults go: (table, column).
    defaults: BTreeSet<(ObjectId, u32)>,
    /// Constraints of tables that stay: (table, name).
    foreign_keys: BTreeSet<(ObjectId, String)>,
    /// Columns that have rows of tables that go: schema, table, column.
    columns: Vec<(String, String, String)>,
    /// What goes only with CASCADE, one line each.
    dependents: Vec<String>,
}

impl Removal {
    pub(super) fn table(&mut self, table: &Table) {
        self.subject.get_or_insert_with(|| format!("{} {}", kind_of(table), table.name));
        self.tables.insert(table.id);
    }

    pub(super) fn view(&mut self, view: &ViewDescriptor) {
        self.subject.get_or_insert_with(|| format!("view {}", view.name));
        self.views.insert(view.id);
    }

    pub(super) fn sequence(&mut self, sequence: &SequenceDescriptor) {
        self.subject.get_or_insert_with(|| format!("sequence {}", sequence.name));
        self.sequences.insert(sequence.id);
    }

    pub(super) fn routine(&mut self, routine: &RoutineDescriptor) {
        self.subject.get_or_insert_with(|| format!("{} {}", routine.word(), routine.signature()));
        self.routines.insert(routine.id);
    }

    /// A schema with all that is in it.
    pub(super) fn schema(&mut self, writer: &Writer<'_>, schema: &Arc<SchemaDescriptor>) {
        let name = schema.name.as_str();
        self.subject.get_or_insert_with(|| format!("schema {name}"));
        for table in writer.catalog.tables().filter(|t| t.schema == name) {
            self.tables.insert(table.id);
            self.dependents.push(format!("table {name}.{} depends on schema {name}", table.name));
        }
        for view in writer.catalog.views().filter(|v| v.schema == name) {
            self.views.insert(view.id);
            self.dependents.push(format!("view {name}.{} depends on schema {name}", view.name));
        }
        for sequence in writer.catalog.sequences().filter(|s| s.schema == name) {
            self.sequences.insert(sequence.id);
            if sequence.owned_by.is_none() {
                let sequence = &sequence.name;
                self.dependents.push(format!("sequence {name}.{sequence} depends on schema {name}"));
            }
        }
        for routine in writer.catalog.routines().filter(|r| r.schema == name) {
            self.routines.insert(routine.id);
            let (word, signature) = (routine.word(), routine.signature());
            self.dependents.push(format!("{word} {name}.{signature} depends on schema {name}"));
        }
        for ty in writer.catalog.types().filter(|ty| ty.schema == name) {
            self.types.insert(ty.id);
            self.dependents.push(format!("type {name}.{} depends on schema {name}", ty.name));
        }
        self.schemas.push(schema.clone());
    }

    /// Views that read the object, and those that read them.
    pub(super) fn views_on(&mut self, writer: &Writer<'_>, object: ObjectId, subject: &str) {
        for view in writer.catalog.dependent_views(object) {
            if self.views.insert(view.id) {
                self.dependents.push(format!("view {} depends on {subject}", view.name));
                self.views_on(writer, view.id, &format!("view {}", view.name));
            }
        }
        let reads = |table: &&Arc<Table>| {
            table.materialized.as_ref().is_some_and(|own| own.depends_on.iter().any(|d| d.object == object))
        };
        for table in writer.catalog.tables().filter(reads) {
            if self.tables.insert(table.id) {
                self.dependents.push(format!("materialized view {} depends on {subject}", table.name));
                self.views_on(writer, table.id, &format!("materialized view {}", table.name));
            }
        }
    }

    /// Drops everything, or says what depends on it.
    pub(super) fn run(mut self, writer: &mut Writer<'_>, cascade: bool) -> Result<()> {
        self.close(writer);
        if !cascade && !self.dependents.is_empty() {
            let subject = self.subject.unwrap_or_default();
            return Err(Error::DependentObjects {
                message: format!("cannot drop {subject} because other objects depend on it"),
                detail: self.dependents.join("\n"),
            });
        }
        for view in &self.views {
            writer.remove_view(*view)?;
        }
        for routine in &self.routines {
            writer.remove_routine(*routine)?;
        }
        self.strip(writer)?;
        for (schema, table, column) in &self.columns {
            super::column::drop_column(writer, schema, table, column, true)?;
        }
        for id in &self.tables {
            let (start, end) = key_space::table_span(*id);
            writer.lock_definition(*id)?;
            writer.txn().delete_range(&start, &end)?;
            writer.remove_table(*id)?;
        }
        for sequence in &self.sequences {
            writer.remove_sequence(*sequence)?;
        }
        for id in &self.types {
            if let Some(ty) = writer.catalog.type_by_id(*id).cloned() {
                super::types::drop_type(writer, &ty, true)?;
            }
        }
        for schema in &self.schemas {
            super::access::drop_schema(writer, schema.id)?;
            writer.remove_schema(schema)?;
        }
        Ok(())
    }

    /// Adds what depends on what is to go.
    fn close(&mut self, writer: &Writer<'_>) {
        let catalog = writer.catalog.clone();
        super::partition::with_partitions(writer, &mut self.tables);
        for id in self.tables.clone() {
            let Some(table) = catalog.table_by_id(id) else { continue };
            self.views_on(writer, id, &format!("{} {}", kind_of(table), table.name));
            let above = catalog.ancestors(table).into_iter().map(|own| own.id);
            let above: Vec<ObjectId> = above.filter(|own| !self.tables.contains(own)).chain([id]).collect();
            for (child, key) in above.iter().flat_map(|id| catalog.children(*id)) {
                if !self.tables.contains(&child.id) {
                    self.foreign_keys.insert((child.id, key.name.clone()));
                    self.dependents.push(format!(
                        "constraint {} on table {} depends on table {}",
                        key.name, child.name, table.name
                    ));
                }
            }
            self.sequences.extend(catalog.owned_sequences(id).map(|s| s.id));
            self.close_rows(writer, table);
        }
        for id in self.views.clone() {
            if let Some(view) = catalog.view_by_id(id) {
                self.views_on(writer, id, &format!("view {}", view.name));
            }
        }
        self.close_routines(writer);
        for id in self.sequences.clone() {
            let Some(sequence) = catalog.sequence_by_id(id) else { continue };
            let default = super::name::nextval_default(&sequence.schema, &sequence.name);
            for table in catalog.tables().filter(|t| !self.tables.contains(&t.id)) {
                for column in table.live_columns().filter(|c| c.default.as_deref() == Some(&default)) {
                    self.defaults.insert((table.id, column.id));
                    self.dependents.push(format!(
                        "default value for column {} of table {} depends on sequence {}",
                        column.name, table.name, sequence.name
                    ));
                }
            }
        }
    }

    /// What is made of the rows of a table that goes.
    fn close_rows(&mut self, writer: &Writer<'_>, table: &Table) {
        let rows = TypeDescriptor::of_rows(table);
        let goes = |own: &Table| self.tables.contains(&own.id);
        let mut dependents = Vec::new();
        let (columns, more) = super::types::columns_and_views(writer, &rows, &goes, &mut dependents);
        self.dependents.extend(dependents);
        self.columns.extend(columns);
        self.tables.extend(more.tables);
        self.views.extend(more.views);
        let of = |ty: &cairn_types::DataType| crate::catalog::types::named_type_of(ty) == Some(table.id);
        for routine in writer.catalog.routines().filter(|routine| routine.types().any(of)) {
            if self.routines.insert(routine.id) {
                let (word, signature) = (routine.word(), routine.signature());
                self.dependents.push(format!("{word} {signature} depends on type {}", rows.sql_name()));
            }
        }
    }

    /// Routines that cannot do without what goes, and triggers of relations that stay.
    fn close_routines(&mut self, writer: &Writer<'_>) {
        let catalog = writer.catalog.clone();
        for routine in catalog.routines() {
            let of_rows = match routine.returns {
                Returns::Relation { object, .. } => Some(object),
                _ => None,
            };
            let gone = |id: &ObjectId| self.tables.contains(id) || self.views.contains(id);
            let Some(id) = routine.depends_on.iter().copied().chain(of_rows).find(gone) else { continue };
            if self.routines.insert(routine.id) {
                let subject = match (catalog.table_by_id(id), catalog.view_by_id(id)) {
                    (Some(table), _) => format!("table {}", table.name),
                    (None, Some(view)) => format!("view {}", view.name),
                    (None, None) => continue,
                };
                let (word, signature) = (routine.word(), routine.signature());
                self.dependents.push(format!("{word} {signature} depends on {subject}"));
            }
        }
        let tables = catalog.tables().map(|t| (t.id, "table", &t.name, &t.triggers));
        let views = catalog.views().map(|v| (v.id, "view", &v.name, &v.triggers));
        for (id, kind, name, triggers) in tables.chain(views) {
            if self.tables.contains(&id) || self.views.contains(&id) {
                continue;
            }
            for trigger in triggers.iter().filter(|t| self.routines.contains(&t.function)) {
                let Some(function) = catalog.routine_by_id(trigger.function) else { continue };
                self.triggers.insert((id, trigger.name.clone()));
                self.dependents.push(format!(
                    "trigger {} on {kind} {name} depends on function {}",
                    trigger.name,
                    function.signature()
                ));
            }
        }
    }

    /// Takes constraints, defaults and triggers off what stays.
    fn strip(&self, writer: &mut Writer<'_>) -> Result<()> {
        let keys = self.foreign_keys.iter().map(|(table, _)| *table);
        let stripped: BTreeSet<ObjectId> = keys
            .chain(self.defaults.iter().map(|(table, _)| *table))
            .chain(self.triggers.iter().map(|(relation, _)| *relation))
            .collect();
        for id in stripped {
            if let Some(view) = writer.catalog.view_by_id(id) {
                let mut view = ViewDescriptor::clone(view);
                view.triggers.retain(|t| !self.triggers.contains(&(id, t.name.clone())));
                writer.put_view(view)?;
                continue;
            }
            let Some(table) = writer.catalog.table_by_id(id) else { continue };
            let mut table = table.descriptor().clone();
            table.triggers.retain(|t| !self.triggers.contains(&(id, t.name.clone())));
            table.foreign_keys.retain(|k| !self.foreign_keys.contains(&(id, k.name.clone())));
            for column in &mut table.columns {
                if self.defaults.contains(&(id, column.id)) {
                    column.default = None;
                }
            }
            writer.put_table(table)?;
        }
        Ok(())
    }
}
