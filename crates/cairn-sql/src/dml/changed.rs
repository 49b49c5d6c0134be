//! UPDATE and DELETE under Read Committed on rows that others have changed since the statement began.
//!
//! The rows found are locked, which waits for whoever has one; those that changed are looked at again as they are now:
//! the same query runs over them alone, in place of the table, and the rest of the query keeps to the statement's snapshot.
//! What still fits is changed, with new values made from the newest version; the others are left alone. So a statement
//! never works on rows that came to fit its condition after it began, which is what PostgreSQL does.
//!
//! I1: locked rows do not change any more, so the statement looks again at most once.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use bytes::Bytes;
use cairn_engine::table::{self, ROW_KEY, RowLock};
use cairn_engine::{KeyLock, ReadView, Table, Wait};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use sqlparser::ast::ObjectName;

use super::relations::{arrow_error, quoted};
use super::update::{Changes, Found};
use crate::Result;
use crate::context::Context;

/// What the changed rows are called in place of their table.
const CHANGED: &str = "__cairn_changed";

/// Locks the rows found, and finds those again that have changed.
///
/// # Errors
/// `40P01`, `55P03`, `57014`, `53200`, and those of the query.
pub(super) fn look_again(
    context: &Context,
    changes: &Changes<'_>,
    found: Found,
    mode: KeyLock,
) -> Result<Found> {
    let locked = table::lock_rows(context.txn(), changes.table, &found.keys, mode, Wait::Block)?;
    let kept: BooleanArray = locked.rows.iter().map(|row| Some(*row == RowLock::Unchanged)).collect();
    let rows = found.keys.iter().zip(&locked.rows);
    let keys: Vec<Bytes> =
        rows.filter(|(_, row)| **row == RowLock::Changed).map(|(key, _)| key.clone()).collect();
    let source = newest(&locked.view, changes.table, &keys)?;
    let again = changes.find_in(context, ObjectName::from(vec![quoted(CHANGED)]), Some((CHANGED, source)))?;
    found.merged(&kept, &again)
}

/// Those rows as the view shows them, with their row keys as the last column.
pub(crate) fn newest(view: &ReadView, table: &Table, keys: &[Bytes]) -> Result<Arc<dyn TableProvider>> {
    let all: Vec<usize> = (0..table.live_columns().len()).collect();
    let fetched = table::get(view, table, keys, &all)?;
    let mut fields: Vec<_> = table.arrow_schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(ROW_KEY, ArrowType::Binary, false)));
    let row_keys: ArrayRef =
        Arc::new(BinaryArray::from_iter_values(fetched.found.iter().map(|place| &keys[*place])));
    let mut columns = fetched.batch.columns().to_vec();
    columns.push(row_keys);
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(arrow_error)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}
