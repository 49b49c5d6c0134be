//! What a statement gives back: rows, streamed, or the tag of a command.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cairn_types::DataType;

use crate::Result;
use crate::runtime::block_on;

/// Batches that wait between the query's threads and its reader.
const QUEUED_BATCHES_MAX: usize = 4;

/// A column of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The name as PostgreSQL would give it.
    pub name: String,
    /// The SQL type.
    pub ty: DataType,
}

/// The outcome of one statement.
#[derive(Debug)]
pub enum StatementResult {
    /// Rows, to be read to the end or dropped.
    Rows(Results),
    /// A statement without rows.
    Command {
        /// PostgreSQL's command tag, such as `INSERT 0 3` or `CREATE TABLE`.
        tag: String,
        /// Rows affected, 0 where that has no meaning.
        rows: u64,
    },
}

impl StatementResult {
    /// A command's outcome without a row count.
    pub fn command(tag: impl Into<String>) -> Self {
        Self::Command { tag: tag.into(), rows: 0 }
    }
}

/// A stream of record batches. Dropping it cancels the query.
///
/// The rows are those of the snapshot at which the statement ran; later writes do not show. The tag says
/// what the statement was (`SELECT`, `INSERT 0` …) for those with RETURNING.
pub struct Results {
    schema: SchemaRef,
    columns: Arc<[Column]>,
    source: Source,
    tag: Option<(String, u64)>,
    rows: u64,
    on_error: Option<Box<dyn FnOnce() + Send + Sync>>,
}

enum Source {
    Batches(std::vec::IntoIter<RecordBatch>),
    Channel(tokio::sync::mpsc::Receiver<Result<RecordBatch>>),
}

impl std::fmt::Debug for Results {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Results").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// The sending half of a streamed result.
pub(crate) type BatchSender = tokio::sync::mpsc::Sender<Result<RecordBatch>>;

impl Results {
    /// Rows that are already here.
    pub(crate) fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let columns = columns_of(&schema);
        Self {
            schema,
            columns,
            source: Source::Batches(batches.into_iter()),
            tag: None,
            rows: 0,
            on_error: None,
        }
    }

    /// The same with columns known before.
    pub(crate) fn from_parts(schema: SchemaRef, columns: Arc<[Column]>, batches: Vec<RecordBatch>) -> Self {
        Self {
            schema,
            columns,
            source: Source::Batches(batches.into_iter()),
            tag: None,
            rows: 0,
            on_error: None,
        }
    }

    /// Rows that a task will send.
    pub(crate) fn channel(schema: SchemaRef) -> (Self, BatchSender) {
        let (send, receive) = tokio::sync::mpsc::channel(QUEUED_BATCHES_MAX);
        let columns = columns_of(&schema);
        (Self { schema, columns, source: Source::Channel(receive), tag: None, rows: 0, on_error: None }, send)
    }

    /// Gives the tag of the statement that returned these rows, e.g. `INSERT 0 2`, and its row count.
    #[must_use]
    pub(crate) fn with_tag(mut self, tag: impl Into<String>, rows: u64) -> Self {
        self.tag = Some((tag.into(), rows));
        self
    }

    /// Has `hook` called when the stream fails.
    #[must_use]
    pub(crate) fn on_error(mut self, hook: impl FnOnce() + Send + Sync + 'static) -> Self {
        self.on_error = Some(Box::new(hook));
        self
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The Arrow schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// PostgreSQL's command tag; for a SELECT complete only at the end of the rows.
    pub fn tag(&self) -> String {
        match &self.tag {
            Some((tag, _)) => tag.clone(),
            None => format!("SELECT {}", self.rows),
        }
    }

    /// Rows affected by the statement: those read so far for a SELECT.
    pub fn rows_affected(&self) -> u64 {
        self.tag.as_ref().map_or(self.rows, |(_, rows)| *rows)
    }

    /// The next batch, waiting for it; `None` at the end.
    ///
    /// # Errors
    /// Whatever the query meets while it runs; the stream is at its end afterwards.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let next = match &mut self.source {
            Source::Batches(batches) => batches.next(),
            Source::Channel(receive) => match block_on(receive.recv()) {
                None => None,
                Some(Ok(batch)) => Some(batch),
                Some(Err(error)) => return Err(self.fail(error)),
            },
        };
        self.count(next.as_ref());
        Ok(next)
    }

    /// The next batch for an async caller; `None` at the end.
    ///
    /// # Errors
    /// As [`Results::next_batch`].
    pub async fn next_batch_async(&mut self) -> Result<Option<RecordBatch>> {
        let next = match &mut self.source {
            Source::Batches(batches) => batches.next(),
            Source::Channel(receive) => match receive.recv().await {
                None => None,
                Some(Ok(batch)) => Some(batch),
                Some(Err(error)) => return Err(self.fail(error)),
            },
        };
        self.count(next.as_ref());
        Ok(next)
    }

    /// All remaining batches.
    ///
    /// # Errors
    /// As [`Results::next_batch`].
    pub fn collect(mut self) -> Result<Vec<RecordBatch>> {
        let mut all = Vec::new();
        while let Some(batch) = self.next_batch()? {
            all.push(batch);
        }
        Ok(all)
    }

    fn count(&mut self, batch: Option<&RecordBatch>) {
        self.rows += batch.map_or(0, |b| b.num_rows() as u64);
    }

    fn fail(&mut self, error: crate::Error) -> crate::Error {
        self.source = Source::Batches(Vec::new().into_iter());
        if let Some(hook) = self.on_error.take() {
            hook();
        }
        error
    }
}

/// The SQL columns of an Arrow schema.
pub(crate) fn columns_of(schema: &SchemaRef) -> Arc<[Column]> {
    schema.fields().iter().map(|f| Column { name: f.name().clone(), ty: DataType::from_field(f) }).collect()
}
