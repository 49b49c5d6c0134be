//! Generated columns: their values follow from the other columns of the row, whoever writes it.

use arrow_array::{RecordBatch, RecordBatchOptions};

use crate::catalog::Table;
use crate::database::Inner;
use crate::error::{Error, Result};
use crate::transaction::Transaction;

/// A batch of all live columns with the generated ones as they must be. Callers that write rows with
/// [`super::insert`](super::insert()) and [`super::update`](super::update()) fill them so, before they do.
///
/// # Errors
/// What evaluating fails with; [`Error::InvalidArgument`] where nothing evaluates expressions.
pub fn with_generated(txn: &Transaction, table: &Table, batch: RecordBatch) -> Result<RecordBatch> {
    fill(&txn.database, table, batch)
}

/// The same within a write.
pub(super) fn fill(database: &Inner, table: &Table, batch: RecordBatch) -> Result<RecordBatch> {
    let places = table.generated_places();
    if places.is_empty() {
        return Ok(batch);
    }
    let expressions = database.expressions().ok_or_else(|| {
        Error::InvalidArgument(format!("generated columns of table \"{}\" need SQL", table.name))
    })?;
    let values = expressions.generated(table, &batch)?;
    let mut columns = batch.columns().to_vec();
    for (place, value) in places.into_iter().zip(values) {
        columns[place] = value;
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}
