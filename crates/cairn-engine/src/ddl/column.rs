//! ALTER TABLE for one column.

use std::sync::Arc;

use arrow_array::Array;
use cairn_types::{DataType, Value};

use super::name;
use super::removal::Removal;
use super::spec::{Backfill, ColumnSpec, Generation, SequenceOptions};
use super::table::{add_column, owned_sequence, table_by_id};
use super::{constraint, find, not_read_by_views, sequence};
use crate::catalog::{Column, ColumnId, Identity, Table, TableDescriptor};
use crate::error::{Error, ErrorObject, ObjectKind, Result, Violation};
use crate::table::{self, ScanRequest};
use crate::transaction::{Transaction, Writer};

impl Transaction {
    /// ADD COLUMN. Rows that are there get `backfill` without being rewritten. A default that differs from row to row
    /// (SERIAL, `random()`) is the caller's: add the column nullable, update the rows, then SET NOT NULL.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`] (42701), [`Error::Constraint`] (23502) for a NOT NULL column without
    /// value where there are rows.
    pub fn add_column(
        &self,
        schema: &str,
        table: &str,
        column: ColumnSpec,
        backfill: Backfill,
    ) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            if old.column_place(&column.name).is_some() {
                return Err(Error::duplicate_in(ObjectKind::Column, &column.name, table));
            }
            let mut descriptor = old.descriptor().clone();
            let mut column = column;
            let expression = column.expression.take().map(|own| (column.name.clone(), own));
            let created = add_column(writer, &mut descriptor, column)?;
            super::table::generate(&mut descriptor, expression)?;
            let added = descriptor.columns.last_mut();
            let added = added.ok_or_else(|| Error::corrupt("catalog", "the column just made is missing"))?;
            if let Backfill::Value(value) = backfill
                && !value.is_null()
            {
                added.missing = Some(value.fit(&added.ty)?);
            }
            if !added.nullable && added.missing.is_none() && !is_empty(writer, &old)? {
                return Err(contains_null(&old, added));
            }
            if !added.nullable {
                writer.guard_rows(old.id);
            }
            writer.put_table(descriptor)?;
            if let Some(created) = created {
                sequence::create(writer, created)?;
            }
            Ok(())
        })
    }

    /// DROP COLUMN. Indexes and constraints of the table with it go too; views and foreign keys of other tables that
    /// depend on it with `cascade`.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::DependentObjects`].
    pub fn drop_column(&self, schema: &str, table: &str, column: &str, cascade: bool) -> Result<()> {
        self.write("ALTER TABLE", |writer| drop_column(writer, schema, table, column, cascade))
    }

    /// RENAME COLUMN; CHECKs follow.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`], [`Error::Unsupported`] where a view reads it.
    pub fn rename_column(&self, schema: &str, table: &str, column: &str, new_name: &str) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            let id = old.column(column)?.id;
            if old.column_place(new_name).is_some() {
                return Err(Error::duplicate_in(ObjectKind::Column, new_name, table));
            }
            not_read_by_views(writer, old.id, Some(id), "rename", &format!("column \"{column}\""))?;
            if writer.catalog.column_with(old.id).is_some() {
                super::composite::unspelled(&writer.catalog, column)?;
            }
            let mut descriptor = old.descriptor().clone();
            for check in &mut descriptor.checks {
                if check.columns.is_empty() || check.columns.contains(&id) {
                    check.sql = name::rename_in_sql(&check.sql, column, new_name);
                }
            }
            for generated in descriptor.columns.iter_mut().filter_map(|c| c.generated.as_mut()) {
                if generated.columns.contains(&id) {
                    generated.sql = name::rename_in_sql(&generated.sql, column, new_name);
                }
            }
            for index in descriptor.indexes.iter_mut().filter(|index| index.uses(id)) {
                for expression in &mut index.expressions {
                    expression.sql = name::rename_in_sql(&expression.sql, column, new_name);
                }
                if let Some(predicate) = &mut index.predicate {
                    predicate.sql = name::rename_in_sql(&predicate.sql, column, new_name);
                }
            }
            for condition in descriptor.triggers.iter_mut().filter_map(|t| t.when.as_mut()) {
                *condition = name::rename_in_sql(condition, column, new_name);
            }
            column_mut(&mut descriptor, id)?.name = new_name.to_owned();
            let table = writer.put_table(descriptor)?.id;
            super::access::rename_column(writer, table, id, column, new_name)
        })
    }

    /// SET DEFAULT (SQL text) or DROP DEFAULT (`None`).
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`] (42601) for an identity column.
    pub fn set_default(&self, schema: &str, table: &str, column: &str, sql: Option<String>) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            let found = old.column(column)?;
            if found.identity.is_some() {
                let message = format!("column \"{column}\" of relation \"{table}\" is an identity column");
                return Err(Error::definition("42601", message));
            }
            let mut descriptor = old.descriptor().clone();
            column_mut(&mut descriptor, found.id)?.default = sql;
            writer.put_table(descriptor)?;
            Ok(())
        })
    }

    /// SET NOT NULL, which checks the rows, or DROP NOT NULL.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Constraint`] (23502), [`Error::InvalidDefinition`] (42P16) for a column of the
    /// primary key.
    pub fn set_not_null(&self, schema: &str, table: &str, column: &str, not_null: bool) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            let found = old.column(column)?;
            let refuse = |what: String| Err(Error::definition("42P16", what));
            if !not_null && old.primary_key.contains(&found.id) {
                return refuse(format!("column \"{column}\" is in a primary key"));
            }
            if !not_null && found.identity.is_some() {
                let message = format!("column \"{column}\" of relation \"{table}\" is an identity column");
                return Err(Error::definition("42601", message));
            }
            set_not_null(writer, &old, &[found.id], not_null)?;
            Ok(())
        })
    }

    /// SET DATA TYPE, the part that is the engine's: empties the table and gives it with the new type. The caller, who
    /// took a [`Transaction::view`] and the old [`Table`] before, scans the old rows through them, casts, and inserts
    /// them again with [`crate::table::insert`].
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Unsupported`] where a view reads the column.
    pub fn rewrite_column_type(
        &self,
        schema: &str,
        table: &str,
        column: &str,
        ty: &DataType,
    ) -> Result<Arc<Table>> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            let id = old.column(column)?.id;
            not_read_by_views(writer, old.id, Some(id), "alter type of", &format!("column \"{column}\""))?;
            super::composite::rows_unused(&writer.catalog, &old)?;
            super::composite::not_itself(&old, ty)?;
            let uses =
                |c: &&Column| !c.dropped && c.generated.as_ref().is_some_and(|g| g.columns.contains(&id));
            if let Some(generated) = old.columns.iter().find(uses) {
                return Err(Error::InvalidDefinition {
                    sqlstate: "0A000",
                    message: "cannot alter type of a column used by a generated column".to_owned(),
                    detail: Some(format!(
                        "Column \"{column}\" is used by generated column \"{}\".",
                        generated.name
                    )),
                    hint: None,
                });
            }
            if old.primary_key.contains(&id)
                || old
                    .indexes
                    .iter()
                    .any(|i| i.columns.iter().any(|c| c.column == id) || i.include.contains(&id))
            {
                constraint::indexable(ty, "btree")?;
            }
            writer.guard_rows(old.id);
            table::empty(writer, &old)?;
            let mut descriptor = old.descriptor().clone();
            let changed = column_mut(&mut descriptor, id)?;
            changed.ty = ty.clone();
            // All rows are written anew, so none is older than a column.
            descriptor.columns.iter_mut().for_each(|c| c.missing = None);
            writer.put_table(descriptor)
        })
    }

    /// DROP EXPRESSION: the column stays, with its values, and is an ordinary one.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`] (55000) where it is no generated column.
    pub fn drop_expression(&self, schema: &str, table: &str, column: &str) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            let found = old.column(column)?;
            if found.generated.is_none() {
                let message =
                    format!("column \"{column}\" of relation \"{table}\" is not a stored generated column");
                return Err(Error::definition("55000", message));
            }
            let mut descriptor = old.descriptor().clone();
            column_mut(&mut descriptor, found.id)?.generated = None;
            writer.put_table(descriptor)?;
            Ok(())
        })
    }

    /// ADD GENERATED AS IDENTITY: the column gets a sequence of its own. Rows that are there keep their values.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`]: 55000 for a column that may be NULL, has a default or is an identity
    /// column already; 22023 for one that is no integer.
    pub fn add_identity(
        &self,
        schema: &str,
        table: &str,
        column: &str,
        always: bool,
        options: SequenceOptions,
    ) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            let found = old.column(column)?.clone();
            let wrong = |what: &str| {
                let message = format!("column \"{column}\" of relation \"{table}\" {what}");
                Err(Error::definition("55000", message))
            };
            if found.nullable {
                return wrong("must be declared NOT NULL before identity can be added");
            }
            if found.identity.is_some() {
                return wrong("is already an identity column");
            }
            if found.default.is_some() || found.generated.is_some() {
                return wrong("already has a default value");
            }
            let mut descriptor = old.descriptor().clone();
            let generation = Generation::Identity { always, options };
            let own = owned_sequence(writer, &descriptor, &found, &generation)?;
            column_mut(&mut descriptor, found.id)?.identity = Some(Identity { always, sequence: own.id });
            writer.put_table(descriptor)?;
            writer.put_sequence(own)
        })
    }

    /// SET GENERATED ALWAYS or BY DEFAULT of an identity column.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`] (55000) where it is no identity column.
    pub fn set_identity(&self, schema: &str, table: &str, column: &str, always: bool) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            let found = old.column(column)?;
            let mut descriptor = old.descriptor().clone();
            match &mut column_mut(&mut descriptor, found.id)?.identity {
                Some(identity) => identity.always = always,
                None => {
                    let message =
                        format!("column \"{column}\" of relation \"{table}\" is not an identity column");
                    return Err(Error::definition("55000", message));
                }
            }
            writer.put_table(descriptor)?;
            Ok(())
        })
    }

    /// DROP IDENTITY: the column stays, with its values, and its sequence goes.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`] (55000) where it is no identity column.
    pub fn drop_identity(&self, schema: &str, table: &str, column: &str) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            let found = old.column(column)?;
            let Some(identity) = found.identity else {
                let message =
                    format!("column \"{column}\" of relation \"{table}\" is not an identity column");
                return Err(Error::definition("55000", message));
            };
            let mut descriptor = old.descriptor().clone();
            column_mut(&mut descriptor, found.id)?.identity = None;
            writer.put_table(descriptor)?;
            writer.remove_sequence(identity.sequence)
        })
    }
}

/// NOT NULL on or off for those columns; the new table.
pub(super) fn set_not_null(
    writer: &mut Writer<'_>,
    table: &Arc<Table>,
    columns: &[ColumnId],
    not_null: bool,
) -> Result<Arc<Table>> {
    let mut descriptor = table.descriptor().clone();
    let mut to_check = Vec::new();
    for id in columns {
        let column = column_mut(&mut descriptor, *id)?;
        if not_null && column.nullable {
            to_check.extend(table.place_of(*id));
        }
        column.nullable = !not_null;
    }
    if !to_check.is_empty() {
        writer.guard_rows(table.id);
        for batch in table::scan(&writer.view(), table, ScanRequest::full(to_check.clone()))? {
            writer.txn_ref().check_cancelled()?;
            let batch = batch?;
            for (i, place) in to_check.iter().enumerate() {
                if batch.column(i).null_count() > 0 {
                    return Err(contains_null(table, table.live_column(*place)));
                }
            }
        }
    }
    writer.put_table(descriptor)
}

pub(super) fn is_empty(writer: &Writer<'_>, table: &Table) -> Result<bool> {
    let request = ScanRequest { limit: Some(1), ..ScanRequest::full([]) };
    Ok(table::scan(&writer.view(), table, request)?.next().transpose()?.is_none())
}

fn contains_null(table: &Table, column: &Column) -> Error {
    Error::Constraint {
        violation: Violation::NotNull,
        message: format!("column \"{}\" of relation \"{}\" contains null values", column.name, table.name),
        detail: None,
        object: Box::new(ErrorObject {
            schema: Some(table.schema.clone()),
            table: Some(table.name.clone()),
            column: Some(column.name.clone()),
            constraint: None,
        }),
    }
}

pub(super) fn column_mut(table: &mut TableDescriptor, id: ColumnId) -> Result<&mut Column> {
    let name = table.name.clone();
    let column = table.columns.iter_mut().find(|c| c.id == id);
    column.ok_or_else(|| Error::corrupt("catalog", format!("column {id} of table {name} is missing")))
}

pub(super) fn drop_column(
    writer: &mut Writer<'_>,
    schema: &str,
    table: &str,
    column: &str,
    cascade: bool,
) -> Result<()> {
    let old = find(writer, schema, table)?;
    let id = old.column(column)?.id;
    super::composite::rows_unused(&writer.catalog, &old)?;
    let subject = format!("column {column} of table {table}");
    let mut dependents = Vec::new();
    let mut views = Removal::default();
    let reading = |view: &&Arc<crate::catalog::ViewDescriptor>| {
        let mut uses = view.depends_on.iter().filter(|d| d.object == old.id);
        uses.any(|d| d.columns.is_empty() || d.columns.contains(&id))
    };
    let reading: Vec<_> = writer.catalog.views().filter(reading).cloned().collect();
    for view in &reading {
        dependents.push(format!("view {} depends on {subject}", view.name));
        views.view(view);
    }
    let keeping = |view: &&Arc<Table>| {
        view.materialized.as_ref().is_some_and(|own| own.depends_on.iter().any(|d| d.object == old.id))
    };
    let keeping: Vec<_> = writer.catalog.tables().filter(keeping).cloned().collect();
    for view in &keeping {
        dependents.push(format!("materialized view {} depends on {subject}", view.name));
        views.table(view);
    }
    let referring: Vec<(String, String, String)> = writer
        .catalog
        .children(old.id)
        .filter(|(child, key)| key.parent_columns.contains(&id) && child.id != old.id)
        .map(|(child, key)| (child.schema.clone(), child.name.clone(), key.name.clone()))
        .collect();
    for (_, child, key) in &referring {
        dependents.push(format!("constraint {key} on table {child} depends on {subject}"));
    }
    let uses = |c: &&Column| !c.dropped && c.generated.as_ref().is_some_and(|g| g.columns.contains(&id));
    let generated: Vec<String> = old.columns.iter().filter(uses).map(|c| c.name.clone()).collect();
    for name in &generated {
        dependents.push(format!("column {name} of table {table} depends on {subject}"));
    }
    for trigger in old.triggers.iter().filter(|trigger| trigger.columns.contains(&id)) {
        dependents.push(format!("trigger {} on table {table} depends on {subject}", trigger.name));
    }
    for policy in super::access::policies_on(&writer.catalog, old.id, id) {
        dependents.push(format!("policy {policy} on table {table} depends on {subject}"));
    }
    if !cascade && !dependents.is_empty() {
        return Err(Error::DependentObjects {
            message: format!("cannot drop {subject} because other objects depend on it"),
            detail: dependents.join("\n"),
        });
    }
    views.run(writer, true)?;
    for name in &generated {
        drop_column(writer, schema, table, name, true)?;
    }
    let old = table_by_id(writer, old.id)?;
    for (schema, child, key) in &referring {
        constraint::drop(writer, schema, child, key, true)?;
    }
    if old.primary_key.contains(&id) {
        constraint::drop(writer, schema, table, &old.primary_key_name, true)?;
    }
    let with_column = |i: &&crate::catalog::IndexDescriptor| i.uses(id);
    for index in old.indexes.iter().filter(with_column) {
        super::index::remove(writer, old.id, index.id)?;
    }
    let table = table_by_id(writer, old.id)?;
    let mut descriptor = table.descriptor().clone();
    descriptor.checks.retain(|c| !c.columns.contains(&id));
    descriptor.triggers.retain(|trigger| !trigger.columns.contains(&id));
    let own = old.id;
    descriptor
        .foreign_keys
        .retain(|k| !k.columns.contains(&id) && (k.parent != own || !k.parent_columns.contains(&id)));
    let gone = column_mut(&mut descriptor, id)?;
    gone.name = String::new();
    gone.dropped = true;
    gone.nullable = true;
    gone.default = None;
    gone.identity = None;
    gone.generated = None;
    gone.comment = None;
    gone.missing = None::<Value>;
    writer.put_table(descriptor)?;
    super::access::drop_column(writer, own, id)?;
    let owned: Vec<_> =
        writer.catalog.owned_sequences(own).filter(|s| s.owned_by == Some((own, id))).map(|s| s.id).collect();
    for sequence in owned {
        writer.remove_sequence(sequence)?;
    }
    Ok(())
}
