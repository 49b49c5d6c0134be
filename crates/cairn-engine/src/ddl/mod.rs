//! DDL: methods of [`Transaction`] that change the catalog (and the data that must change with it).
mod spec;
pub use spec::{Backfill, ColumnSpec, CommentTarget, ConstraintSpec, Generation, IndexColumnSpec, IndexSpec, SequenceOptions, TableSpec, ViewSpec};

use std::sync::Arc;
use cairn_types::DataType;
use crate::catalog::{ObjectId, Table, ViewDescriptor, SequenceDescriptor, IndexId};
use crate::error::Result;
use crate::transaction::Transaction;

/// IF [NOT] EXISTS is the caller's: look in `catalog()` first.
#[allow(missing_docs)]
impl Transaction {
    pub fn create_schema(&self, name: &str) -> Result<ObjectId> { todo!() }
    pub fn drop_schema(&self, name: &str, cascade: bool) -> Result<()> { todo!() }
    pub fn create_table(&self, spec: TableSpec) -> Result<Arc<Table>> { todo!() }
    /// All at once, so that tables that refer to each other go together.
    pub fn drop_tables(&self, tables: &[(&str, &str)], cascade: bool) -> Result<()> { todo!() }
    pub fn rename_table(&self, schema: &str, table: &str, new_name: &str) -> Result<()> { todo!() }
    pub fn set_table_schema(&self, schema: &str, table: &str, new_schema: &str) -> Result<()> { todo!() }
    pub fn add_column(&self, schema: &str, table: &str, column: ColumnSpec, backfill: Backfill) -> Result<()> { todo!() }
    pub fn drop_column(&self, schema: &str, table: &str, column: &str, cascade: bool) -> Result<()> { todo!() }
    pub fn rename_column(&self, schema: &str, table: &str, column: &str, new_name: &str) -> Result<()> { todo!() }
    pub fn set_default(&self, schema: &str, table: &str, column: &str, sql: Option<String>) -> Result<()> { todo!() }
    /// SET NOT NULL checks the rows; DROP NOT NULL.
    pub fn set_not_null(&self, schema: &str, table: &str, column: &str, not_null: bool) -> Result<()> { todo!() }
    /// SET DATA TYPE: empties the table and returns it with the new type; the caller, who took a `view()` and the old
    /// `Table` before, scans the old rows through them, casts, and inserts them again with `table::insert`.
    pub fn rewrite_column_type(&self, schema: &str, table: &str, column: &str, ty: DataType) -> Result<Arc<Table>> { todo!() }
    pub fn add_constraint(&self, schema: &str, table: &str, constraint: ConstraintSpec) -> Result<()> { todo!() }
    pub fn drop_constraint(&self, schema: &str, table: &str, name: &str, cascade: bool) -> Result<()> { todo!() }
    pub fn rename_constraint(&self, schema: &str, table: &str, name: &str, new_name: &str) -> Result<()> { todo!() }
    pub fn create_index(&self, spec: IndexSpec) -> Result<IndexId> { todo!() }
    pub fn drop_index(&self, schema: &str, index: &str) -> Result<()> { todo!() }
    pub fn rename_index(&self, schema: &str, index: &str, new_name: &str) -> Result<()> { todo!() }
    pub fn create_view(&self, spec: ViewSpec) -> Result<Arc<ViewDescriptor>> { todo!() }
    pub fn drop_views(&self, views: &[(&str, &str)], cascade: bool) -> Result<()> { todo!() }
    pub fn rename_view(&self, schema: &str, view: &str, new_name: &str) -> Result<()> { todo!() }
    pub fn create_sequence(&self, schema: &str, name: &str, options: SequenceOptions) -> Result<Arc<SequenceDescriptor>> { todo!() }
    pub fn alter_sequence(&self, schema: &str, name: &str, options: SequenceOptions) -> Result<()> { todo!() }
    /// OWNED BY schema.table.column; `None` = OWNED BY NONE.
    pub fn set_sequence_owner(&self, schema: &str, name: &str, owner: Option<(&str, &str, &str)>) -> Result<()> { todo!() }
    pub fn rename_sequence(&self, schema: &str, name: &str, new_name: &str) -> Result<()> { todo!() }
    pub fn drop_sequences(&self, sequences: &[(&str, &str)], cascade: bool) -> Result<()> { todo!() }
    pub fn comment(&self, target: &CommentTarget, text: Option<String>) -> Result<()> { todo!() }
}
