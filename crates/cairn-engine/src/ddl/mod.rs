//! DDL: methods of [`Transaction`] that change definitions, and the data that must change with them.
//!
//! All of it is transactional: seen at once by its own transaction, by others from its commit on, taken back by
//! rollback and savepoints. IF [NOT] EXISTS is the caller's, who looks into [`Transaction::catalog`] first.
//!
//! I1: DDL that goes by the rows of a table (an index built, a constraint checked) guards all its rows, so that no
//! other transaction's rows come in between; DML guards the descriptor, so that none goes by an old definition.
//! I2: two transactions with DDL conflict, as both rely on the schema version. Those at the levels that wait do so instead, but
//! where each changes tables of its own ([`lock`]).

mod access;
mod column;
mod comment;
mod composite;
mod constraint;
mod index;
pub(crate) mod lock;
mod name;
mod partition;
mod program;
mod removal;
mod schema;
mod sequence;
mod spec;
mod table;
mod types;
mod view;

pub use composite::AttributeChange;
pub use lock::Definitions;
pub(crate) use name::rename_in_sql;
pub(crate) use sequence::restart_sequence;
pub use spec::{
    Backfill, ColumnSpec, CommentTarget, ConstraintSpec, ExpressionSpec, Generation, IndexColumnSpec,
    IndexSpec, PartitionBySpec, PartitionOfSpec, SequenceOptions, TableSpec, ViewChange, ViewSpec,
};
pub use types::LabelPlace;

use cairn_storage::KeyRange;

use crate::catalog::{ColumnId, ObjectId, Table};
use crate::error::{Error, Result};
use crate::key_space::{self, FIRST_USER_ID};
use crate::transaction::Writer;

impl Writer<'_> {
    /// An id for a new object; never given again, even where this transaction does not commit.
    fn new_id(&self) -> Result<ObjectId> {
        let id = self.database.sequences.count(&self.database.store, 0, u64::from(FIRST_USER_ID), 1)?;
        let full = || Error::definition("54000", "too many objects were ever made in this database");
        ObjectId::try_from(id).map_err(|_| full())
    }

    /// I1: a row that another transaction writes meanwhile makes the commit fail.
    pub(crate) fn guard_rows(&mut self, table: ObjectId) {
        self.txn().guard_range(&key_space::absolute(table, 0, &KeyRange::all()));
    }
}

/// Refuses what would break the text of views that read `object` (its column, where one is given).
fn not_read_by_views(
    writer: &Writer<'_>,
    object: ObjectId,
    column: Option<ColumnId>,
    verb: &str,
    what: &str,
) -> Result<()> {
    let reads = |view: &&std::sync::Arc<crate::catalog::ViewDescriptor>| {
        view.depends_on.iter().any(|d| {
            d.object == object && column.is_none_or(|c| d.columns.is_empty() || d.columns.contains(&c))
        })
    };
    match writer.catalog.views().find(reads) {
        Some(view) => Err(Error::Unsupported {
            message: format!("cannot {verb} {what} because view \"{}\" uses it", view.name),
        }),
        None => Ok(()),
    }?;
    let reads = |table: &&std::sync::Arc<Table>| {
        table.materialized.as_ref().is_some_and(|own| own.depends_on.iter().any(|d| d.object == object))
    };
    match writer.catalog.tables().find(reads) {
        Some(view) => Err(Error::Unsupported {
            message: format!("cannot {verb} {what} because materialized view \"{}\" uses it", view.name),
        }),
        None => Ok(()),
    }
}

/// The table, to be changed.
fn find(writer: &mut Writer<'_>, schema: &str, table: &str) -> Result<std::sync::Arc<Table>> {
    let table = writer.catalog.table(schema, table)?;
    writer.lock_definition(table.id)?;
    Ok(table)
}
