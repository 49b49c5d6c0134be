//! Views: SQL text with what it gives and what it reads.

use std::sync::Arc;

use super::name;
use super::removal::Removal;
use super::spec::{ViewChange, ViewSpec};
use crate::catalog::{Relation, ViewDescriptor};
use crate::error::{Error, ObjectKind, Result};
use crate::transaction::Transaction;

impl Transaction {
    /// CREATE [OR REPLACE] VIEW.
    ///
    /// # Errors
    /// [`Error::Duplicate`], [`Error::WrongObjectType`] and [`Error::InvalidDefinition`] (42P16) for a replacement that
    /// does not keep the old columns, [`Error::Undefined`] (schema).
    pub fn create_view(&self, spec: &ViewSpec) -> Result<Arc<ViewDescriptor>> {
        self.write("CREATE VIEW", |writer| {
            name::usable_schema(&writer.catalog, &spec.schema)?;
            let old = match writer.catalog.relation(&spec.schema, &spec.name) {
                Some(Relation::View(old)) if spec.replace => Some(old),
                Some(_) if spec.replace => {
                    return Err(Error::WrongObjectType { name: spec.name.clone(), expected: "view" });
                }
                _ => {
                    name::free(&writer.catalog, &spec.schema, &spec.name)?;
                    None
                }
            };
            for column in &spec.columns {
                super::composite::not_record(&column.name, &column.ty)?;
            }
            if let Some(old) = &old {
                keeps_columns(old, spec)?;
            }
            let mut columns = spec.columns.clone();
            for (column, old) in columns.iter_mut().zip(old.iter().flat_map(|old| &old.columns)) {
                column.default = old.default.clone();
            }
            let id = match &old {
                Some(old) => old.id,
                None => writer.new_id()?,
            };
            writer.put_view(ViewDescriptor {
                id,
                schema: spec.schema.clone(),
                name: spec.name.clone(),
                sql: spec.sql.clone(),
                columns,
                depends_on: spec.depends_on.clone(),
                triggers: old.as_ref().map(|old| old.triggers.clone()).unwrap_or_default(),
                comment: old.and_then(|old| old.comment.clone()),
                options: spec.options,
            })?;
            writer.catalog.view(&spec.schema, &spec.name)
        })
    }

    /// DROP VIEW. Views that read them go with `cascade`.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::WrongObjectType`], [`Error::DependentObjects`].
    pub fn drop_views(&self, views: &[(&str, &str)], cascade: bool) -> Result<()> {
        self.write("DROP VIEW", |writer| {
            let mut removal = Removal::default();
            for (schema, name) in views {
                removal.view(&*writer.catalog.view(schema, name)?);
            }
            removal.run(writer, cascade)
        })
    }

    /// ALTER VIEW … SET SCHEMA.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`], [`Error::Unsupported`] where another view reads it.
    pub fn set_view_schema(&self, schema: &str, view: &str, new_schema: &str) -> Result<()> {
        self.write("ALTER VIEW", |writer| {
            let old = writer.catalog.view(schema, view)?;
            name::usable_schema(&writer.catalog, new_schema)?;
            if schema == new_schema {
                return Ok(());
            }
            super::not_read_by_views(writer, old.id, None, "move", &format!("view \"{view}\""))?;
            name::free(&writer.catalog, new_schema, view)?;
            writer.put_view(ViewDescriptor { schema: new_schema.to_owned(), ..(*old).clone() })
        })
    }

    /// ALTER VIEW … RENAME COLUMN, ALTER COLUMN … SET and DROP DEFAULT, SET and RESET.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`], [`Error::Unsupported`] where another view reads the column renamed.
    pub fn change_view(&self, schema: &str, view: &str, change: &ViewChange) -> Result<()> {
        self.write("ALTER VIEW", |writer| {
            let old = writer.catalog.view(schema, view)?;
            let new = match change {
                ViewChange::RenameColumn { column, new_name } => {
                    let new = with_renamed(&old, column, new_name)?;
                    super::not_read_by_views(
                        writer,
                        old.id,
                        None,
                        "rename",
                        &format!("column \"{column}\""),
                    )?;
                    new
                }
                ViewChange::Default { column, sql } => {
                    let mut new = (*old).clone();
                    let Some(own) = new.columns.iter_mut().find(|own| own.name == *column) else {
                        let message = format!("column \"{column}\" of relation \"{view}\" does not exist");
                        return Err(Error::Undefined { kind: ObjectKind::Column, message });
                    };
                    own.default = sql.clone();
                    new
                }
                ViewChange::Options(options) => ViewDescriptor { options: *options, ..(*old).clone() },
            };
            writer.put_view(new)
        })
    }

    /// ALTER VIEW … RENAME TO.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`], [`Error::Unsupported`] where another view reads it.
    pub fn rename_view(&self, schema: &str, view: &str, new_name: &str) -> Result<()> {
        self.write("ALTER VIEW", |writer| {
            let old = writer.catalog.view(schema, view)?;
            name::free(&writer.catalog, schema, new_name)?;
            super::not_read_by_views(writer, old.id, None, "rename", &format!("view \"{view}\""))?;
            writer.put_view(ViewDescriptor { name: new_name.to_owned(), ..(*old).clone() })
        })
    }
}

/// The descriptor with a column called otherwise.
fn with_renamed(old: &ViewDescriptor, column: &str, new_name: &str) -> Result<ViewDescriptor> {
    let Some(at) = old.columns.iter().position(|own| own.name == column) else {
        let message = format!("column \"{column}\" does not exist");
        return Err(Error::Undefined { kind: ObjectKind::Column, message });
    };
    if old.columns.iter().any(|own| own.name == new_name) {
        return Err(Error::duplicate_in(ObjectKind::Column, new_name, &old.name));
    }
    let mut new = old.clone();
    for condition in new.triggers.iter_mut().filter_map(|trigger| trigger.when.as_mut()) {
        *condition = name::rename_in_sql(condition, column, new_name);
    }
    new.columns[at].name = new_name.to_owned();
    Ok(new)
}

/// A replacement gives the old columns first, with their names and types.
fn keeps_columns(old: &ViewDescriptor, new: &ViewSpec) -> Result<()> {
    let refuse = |message: String| Err(Error::definition("42P16", message));
    if new.columns.len() < old.columns.len() {
        return refuse("cannot drop columns from view".to_owned());
    }
    for (old, new) in old.columns.iter().zip(&new.columns) {
        if old.name != new.name {
            return refuse(format!("cannot change name of view column \"{}\" to \"{}\"", old.name, new.name));
        }
        if old.ty != new.ty {
            return refuse(format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                old.name,
                old.ty.sql_name(),
                new.ty.sql_name()
            ));
        }
    }
    Ok(())
}
