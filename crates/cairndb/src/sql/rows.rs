//! The rows of a result, streamed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::Stream;

use super::column::Columns;
use crate::{Column, Error, ErrorClass, Result, Row};

/// The rows of a result: an iterator of `Result<Row>`; for async callers [`next_async`](Rows::next_async) and
/// [`stream`](Rows::stream).
///
/// Rows are made as they are read, a few thousand ahead, so a result larger than memory works. They are
/// those of the moment at which the statement ran. Dropping it ends the query.
///
/// ```
/// use cairndb::Database;
/// let db = Database::in_memory()?;
/// let mut sum = 0;
/// for row in db.query("SELECT n FROM generate_series(1, 100000) AS t(n)", &[])? {
///     sum += row?.get::<i64>("n")?;
/// }
/// assert_eq!(sum, 5_000_050_000);
/// # Ok::<(), cairndb::Error>(())
/// ```
pub struct Rows {
    columns: Columns,
    schema: SchemaRef,
    /// `None` while a future has it, and after an error.
    results: Option<cairn_sql::Results>,
    reading: Option<Reading>,
    batch: Option<Arc<RecordBatch>>,
    at: usize,
    /// The command tag and the rows affected, once the results are gone.
    done: (String, u64),
}

/// A read under way, which gives the results back with what it read.
type Reading =
    Pin<Box<dyn Future<Output = (cairn_sql::Results, cairn_sql::Result<Option<RecordBatch>>)> + Send>>;

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("columns", &self.columns()).finish_non_exhaustive()
    }
}

impl Rows {
    pub(crate) fn new(results: cairn_sql::Results) -> Rows {
        let columns = Columns::new(results.columns());
        let schema = SchemaRef::clone(results.schema());
        let done = (results.tag(), results.rows_affected());
        Rows { columns, schema, results: Some(results), reading: None, batch: None, at: 0, done }
    }

    /// The rows of a statement that has none.
    pub(crate) fn none(tag: String, rows: u64) -> Rows {
        let schema = SchemaRef::new(arrow_schema::Schema::empty());
        let columns = Columns::new(&[]);
        Rows { columns, schema, results: None, reading: None, batch: None, at: 0, done: (tag, rows) }
    }

    /// PostgreSQL's command tag, such as `INSERT 0 2` for an INSERT … RETURNING; that of a SELECT counts the
    /// rows read so far.
    pub fn tag(&self) -> String {
        self.results.as_ref().map_or_else(|| self.done.0.clone(), cairn_sql::Results::tag)
    }

    /// Rows that the statement inserted, updated or deleted; for a SELECT those read so far.
    pub fn rows_affected(&self) -> u64 {
        self.results.as_ref().map_or(self.done.1, cairn_sql::Results::rows_affected)
    }

    /// The columns, known before the first row.
    pub fn columns(&self) -> &[Column] {
        self.columns.all()
    }

    /// The Arrow schema of the batches; the metadata key `cairn.type` of a field names its SQL type.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The only row of the result.
    ///
    /// # Errors
    /// SQLSTATE `P0002` when there is none, `P0003` when there are more, and whatever the query meets.
    pub fn one(&mut self) -> Result<Row> {
        let row =
            self.next().ok_or_else(|| Error::new(ErrorClass::User, "P0002", "the result is empty"))??;
        match self.next().transpose()? {
            None => Ok(row),
            Some(_) => Err(Error::new(ErrorClass::User, "P0003", "the result has more than one row")),
        }
    }

    /// The next batch of rows as Arrow arrays, without any copying; `None` at the end. Rows that the iterator
    /// has given out already are not in it.
    ///
    /// # Errors
    /// Whatever the query meets; the result is at its end then.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(rest) = self.take_current() {
            return Ok(Some(rest));
        }
        self.read()
    }

    /// The rows as Arrow batches: an iterator of `Result<RecordBatch>`.
    pub fn batches(self) -> Batches {
        Batches { rows: self }
    }

    /// The rows as a `futures::Stream` of `Result<Row>`.
    pub fn stream(self) -> RowStream {
        RowStream { rows: self }
    }

    /// Reads everything, for results that are known to be small.
    ///
    /// # Errors
    /// Whatever the query meets.
    pub fn collect_rows(self) -> Result<Vec<Row>> {
        self.collect()
    }

    /// The next row, for async callers without `futures::StreamExt`.
    ///
    /// # Errors
    /// Whatever the query meets; the result is at its end then.
    pub async fn next_async(&mut self) -> Result<Option<Row>> {
        std::future::poll_fn(|context| self.poll_row(context)).await.transpose()
    }

    /// The next batch, for async callers; as [`Rows::next_batch`].
    ///
    /// # Errors
    /// Whatever the query meets; the result is at its end then.
    pub async fn next_batch_async(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(rest) = self.take_current() {
            return Ok(Some(rest));
        }
        std::future::poll_fn(|context| self.poll_read(context)).await
    }

    /// What is left of the batch that rows are being given out of.
    fn take_current(&mut self) -> Option<RecordBatch> {
        let batch = self.batch.take()?;
        let left = batch.num_rows().saturating_sub(self.at);
        (left > 0).then(|| batch.slice(self.at, left))
    }

    fn current_row(&mut self) -> Option<Row> {
        let batch = self.batch.as_ref()?;
        if self.at == batch.num_rows() {
            self.batch = None;
            return None;
        }
        let row = Row { columns: self.columns.clone(), batch: Arc::clone(batch), at: self.at };
        self.at += 1;
        Some(row)
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(results) = self.results.as_mut() else { return Ok(None) };
            match results.next_batch() {
                Ok(Some(batch)) if batch.num_rows() == 0 => {}
                Ok(next) => return Ok(next),
                Err(error) => {
                    self.results = None;
                    return Err(error.into());
                }
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<RecordBatch>>> {
        loop {
            if self.reading.is_none() {
                let Some(mut results) = self.results.take() else { return Poll::Ready(Ok(None)) };
                self.reading = Some(Box::pin(async move {
                    let next = results.next_batch_async().await;
                    (results, next)
                }));
            }
            let Some(reading) = self.reading.as_mut() else { continue };
            let Poll::Ready((results, next)) = reading.as_mut().poll(context) else { return Poll::Pending };
            self.reading = None;
            match next {
                Ok(next) => {
                    self.results = Some(results);
                    if next.as_ref().is_none_or(|batch| batch.num_rows() > 0) {
                        return Poll::Ready(Ok(next));
                    }
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll_row(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Row>>> {
        loop {
            if let Some(row) = self.current_row() {
                return Poll::Ready(Some(Ok(row)));
            }
            match self.poll_read(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(None)) => return Poll::Ready(None),
                Poll::Ready(Ok(Some(batch))) => {
                    self.batch = Some(Arc::new(batch));
                    self.at = 0;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        loop {
            if let Some(row) = self.current_row() {
                return Some(Ok(row));
            }
            match self.read() {
                Ok(None) => return None,
                Ok(Some(batch)) => {
                    self.batch = Some(Arc::new(batch));
                    self.at = 0;
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The rows of a result as a `futures::Stream`, from [`Rows::stream`].
///
/// ```
/// # use futures::executor::block_on;
/// use cairndb::Database;
/// use futures::StreamExt;
/// # block_on(async {
/// let db = Database::in_memory()?;
/// let mut rows = db.query_async("SELECT 1 AS one", &[]).await?.stream();
/// while let Some(row) = rows.next().await {
///     assert_eq!(row?.get::<i64>("one")?, 1);
/// }
/// # Ok::<(), cairndb::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct RowStream {
    rows: Rows,
}

impl Stream for RowStream {
    type Item = Result<Row>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Row>>> {
        self.rows.poll_row(context)
    }
}

/// The Arrow batches of a result, from [`Rows::batches`].
///
/// ```
/// use cairndb::Database;
/// let db = Database::in_memory()?;
/// let mut rows = 0;
/// for batch in db.query("SELECT * FROM generate_series(1, 1000)", &[])?.batches() {
///     rows += batch?.num_rows();
/// }
/// assert_eq!(rows, 1000);
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Debug)]
pub struct Batches {
    rows: Rows,
}

impl Batches {
    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        self.rows.schema()
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.rows.next_batch().transpose()
    }
}
