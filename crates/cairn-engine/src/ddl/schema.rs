//! CREATE and DROP SCHEMA.

use super::removal::Removal;
use crate::catalog::{ObjectId, RESERVED_SCHEMAS, SchemaDescriptor};
use crate::error::{Error, ObjectKind, Result};
use crate::transaction::Transaction;

impl Transaction {
    /// CREATE SCHEMA.
    ///
    /// # Errors
    /// [`Error::Duplicate`] (42P06), [`Error::InvalidDefinition`] (42939) for a reserved name.
    pub fn create_schema(&self, name: &str) -> Result<ObjectId> {
        self.write("CREATE SCHEMA", |writer| {
            if RESERVED_SCHEMAS.contains(&name) || name.starts_with("pg_") {
                let message = format!("unacceptable schema name \"{name}\"");
                return Err(Error::definition("42939", message));
            }
            if writer.catalog.schema(name).is_some() {
                return Err(Error::duplicate(ObjectKind::Schema, name));
            }
            let id = writer.new_id()?;
            writer.put_schema(SchemaDescriptor { id, name: name.to_owned(), comment: None })?;
            Ok(id)
        })
    }

    /// Makes a schema for temporary tables, whose name users cannot give.
    ///
    /// # Errors
    /// [`Error::Duplicate`] (42P06).
    pub fn create_temporary_schema(&self, name: &str) -> Result<ObjectId> {
        self.write("CREATE TABLE", |writer| {
            if writer.catalog.schema(name).is_some() {
                return Err(Error::duplicate(ObjectKind::Schema, name));
            }
            let id = writer.new_id()?;
            writer.put_schema(SchemaDescriptor { id, name: name.to_owned(), comment: None })?;
            Ok(id)
        })
    }

    /// DROP SCHEMA; with `cascade` all that is in it goes too.
    ///
    /// # Errors
    /// [`Error::Undefined`] (3F000), [`Error::DependentObjects`].
    pub fn drop_schema(&self, name: &str, cascade: bool) -> Result<()> {
        self.write("DROP SCHEMA", |writer| {
            if RESERVED_SCHEMAS.contains(&name) {
                let message =
                    format!("cannot drop schema {name} because it is required by the database system");
                return Err(Error::definition("2BP01", message));
            }
            let schema = writer.catalog.schema(name).cloned();
            let schema = schema.ok_or_else(|| Error::undefined(ObjectKind::Schema, name))?;
            let mut removal = Removal::default();
            removal.schema(writer, &schema);
            removal.run(writer, cascade)
        })
    }
}
