//! COMMENT ON.

use super::column::column_mut;
use super::find;
use super::spec::CommentTarget;
use crate::catalog::{SchemaDescriptor, SequenceDescriptor, TableDescriptor, TypeDescriptor, ViewDescriptor};
use crate::error::{Error, ObjectKind, Result};
use crate::transaction::Transaction;

impl Transaction {
    /// COMMENT ON … IS a text, or NULL (`None`).
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::WrongObjectType`].
    pub fn comment(&self, target: &CommentTarget, text: Option<String>) -> Result<()> {
        self.write("COMMENT", |writer| {
            match target {
                CommentTarget::Schema(name) => {
                    let old = writer.catalog.schema(name).cloned();
                    let old = old.ok_or_else(|| Error::undefined(ObjectKind::Schema, name))?;
                    writer.put_schema(SchemaDescriptor { comment: text, ..(*old).clone() })?;
                }
                CommentTarget::Table(schema, name) => {
                    let old = find(writer, schema, name)?;
                    writer.put_table(TableDescriptor { comment: text, ..old.descriptor().clone() })?;
                }
                CommentTarget::Column(schema, table, column) => {
                    let old = find(writer, schema, table)?;
                    let id = old.column(column)?.id;
                    let mut new = old.descriptor().clone();
                    column_mut(&mut new, id)?.comment = text;
                    writer.put_table(new)?;
                }
                CommentTarget::Constraint(schema, table, name) => {
                    let old = find(writer, schema, table)?;
                    if !old.has_constraint(name) {
                        let message = format!("constraint \"{name}\" for table \"{table}\" does not exist");
                        return Err(Error::Undefined { kind: ObjectKind::Constraint, message });
                    }
                    let mut new = old.descriptor().clone();
                    match text {
                        Some(text) => new.constraint_comments.insert(name.clone(), text),
                        None => new.constraint_comments.remove(name),
                    };
                    writer.put_table(new)?;
                }
                CommentTarget::Index(schema, name) => {
                    let (table, id) = writer.catalog.index(schema, name)?;
                    let mut new = table.descriptor().clone();
                    new.indexes.iter_mut().filter(|i| i.id == id).for_each(|i| i.comment = text.clone());
                    writer.put_table(new)?;
                }
                CommentTarget::View(schema, name) => {
                    let old = writer.catalog.view(schema, name)?;
                    writer.put_view(ViewDescriptor { comment: text, ..(*old).clone() })?;
                }
                CommentTarget::Type(schema, name) => {
                    let old = super::types::find(writer, schema, name)?;
                    writer.put_type(TypeDescriptor { comment: text, ..(*old).clone() })?;
                }
                CommentTarget::Sequence(schema, name) => {
                    let old = writer.catalog.sequence(schema, name)?;
                    writer.put_sequence(SequenceDescriptor { comment: text, ..(*old).clone() })?;
                }
            }
            Ok(())
        })
    }
}
