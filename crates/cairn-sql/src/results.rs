//! What a statement gives back: rows, streamed, or the tag of a command.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions, make_array};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Schema, SchemaRef};
use cairn_types::DataType;
use cairn_types::datetime::Zone;

use crate::Result;
use crate::query::interrupt::OnDrop;
use crate::runtime::block_on;
use crate::session::activity::Active;

/// Batches that wait between the query's threads and its reader.
const QUEUED_BATCHES_MAX: usize = 4;

/// A column of a result. Two are equal that have the same name and type, wherever they come from.
#[derive(Debug, Clone)]
pub struct Column {
    /// The name as PostgreSQL would give it.
    pub name: String,
    /// The SQL type.
    pub ty: DataType,
    /// PostgreSQL's number of the type that stands in its place in PostgreSQL's catalogs: `name`, `"char"`.
    pub told: Option<u32>,
    /// Of a statement that was described: the table and the number of its column, from 1, where it is one as it stands there.
    pub origin: Option<(u32, i16)>,
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.ty, self.told) == (&other.name, &other.ty, other.told)
    }
}

impl Column {
    /// A column of a type.
    pub fn new(name: impl Into<String>, ty: DataType) -> Self {
        Self { name: name.into(), ty, told: None, origin: None }
    }

    /// The column that a field of a result is.
    pub(crate) fn of(field: &arrow::datatypes::Field) -> Self {
        let told = crate::catalog::column_type::told(field);
        Self { name: field.name().clone(), ty: DataType::from_field(field), told, origin: None }
    }
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
    /// Whether the schema names another zone than the batches from the source do.
    rezoned: bool,
    /// What still runs for these rows ends with them.
    _interrupts: Option<Box<OnDrop>>,
    /// The session is at work while they are read.
    active: Option<Box<Active>>,
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
            rezoned: false,
            _interrupts: None,
            active: None,
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
            rezoned: false,
            _interrupts: None,
            active: None,
        }
    }

    /// Rows that a task will send.
    pub(crate) fn channel(schema: SchemaRef) -> (Self, BatchSender) {
        let (send, receive) = tokio::sync::mpsc::channel(QUEUED_BATCHES_MAX);
        let columns = columns_of(&schema);
        let source = Source::Channel(receive);
        (
            Self {
                schema,
                columns,
                source,
                tag: None,
                rows: 0,
                on_error: None,
                rezoned: false,
                _interrupts: None,
                active: None,
            },
            send,
        )
    }

    /// Has the query end with its reader, also in the midst of a join.
    #[must_use]
    pub(crate) fn interrupting(mut self, looks: OnDrop) -> Self {
        self._interrupts = Some(Box::new(looks));
        self
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

    /// The same, which has the session be shown at work until they have been read or dropped.
    #[must_use]
    pub(crate) fn keeping(mut self, active: Active) -> Self {
        self.active = Some(Box::new(active));
        self
    }

    /// The same without the hook: for a reader that holds what the hook would lock.
    #[must_use]
    pub(crate) fn without_hook(mut self) -> Self {
        self.on_error = None;
        self
    }

    /// Has the instants (TIMESTAMPTZ) shown by the clock of `zone`: the name goes into the Arrow types, from which
    /// [`cairn_types::text::format_cell`] takes it. The instants stay what they are.
    #[must_use]
    pub(crate) fn in_zone(mut self, zone: &str) -> Self {
        if zone == "UTC" || !self.schema.fields().iter().any(|field| holds_instants(field.data_type())) {
            return self;
        }
        // Abbreviations mean nothing to Arrow, offsets do.
        let offset = match Zone::parse(zone) {
            Ok(Zone::Fixed(seconds)) => offset_name(seconds),
            _ => zone.to_owned(),
        };
        let fields: Vec<FieldRef> = self.schema.fields().iter().map(|field| rezone(field, &offset)).collect();
        self.schema = Arc::new(Schema::new_with_metadata(fields, self.schema.metadata().clone()));
        self.rezoned = true;
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
        if next.is_none() {
            self.active = None;
        }
        self.shown(next)
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
        if next.is_none() {
            self.active = None;
        }
        self.shown(next)
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

    /// A batch of the source as a batch of the schema.
    fn shown(&self, batch: Option<RecordBatch>) -> Result<Option<RecordBatch>> {
        let (Some(batch), true) = (&batch, self.rezoned) else { return Ok(batch) };
        let wrong = |error: arrow::error::ArrowError| crate::Error::internal(error.to_string());
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| {
                if column.data_type() == field.data_type() {
                    return Ok(Arc::clone(column));
                }
                // The types differ in names of zones only, which no buffer depends on.
                let data = retyped(column.to_data(), field.data_type()).map_err(wrong)?;
                Ok(make_array(data))
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map(Some)
            .map_err(wrong)
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

/// `+05:30`.
fn offset_name(seconds: i32) -> String {
    let (sign, distance) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let mut name = format!("{sign}{:02}:{:02}", distance / 3600, distance / 60 % 60);
    if distance % 60 != 0 {
        name.push_str(&format!(":{:02}", distance % 60));
    }
    name
}

fn holds_instants(ty: &ArrowType) -> bool {
    match ty {
        ArrowType::Timestamp(_, Some(_)) => true,
        ArrowType::List(item) => holds_instants(item.data_type()),
        _ => false,
    }
}

fn rezone(field: &FieldRef, zone: &str) -> FieldRef {
    let ty = match field.data_type() {
        ArrowType::Timestamp(unit, Some(_)) => ArrowType::Timestamp(*unit, Some(zone.into())),
        ArrowType::List(item) if holds_instants(item.data_type()) => ArrowType::List(rezone(item, zone)),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(ty))
}

/// The same buffers under a type that differs in names of zones only.
fn retyped(
    data: arrow::array::ArrayData,
    ty: &ArrowType,
) -> std::result::Result<arrow::array::ArrayData, arrow::error::ArrowError> {
    let mut builder = data.clone().into_builder().data_type(ty.clone());
    if let ArrowType::List(item) = ty {
        let children = data.child_data().iter().map(|child| retyped(child.clone(), item.data_type()));
        builder = builder.child_data(children.collect::<std::result::Result<_, _>>()?);
    }
    builder.build()
}

/// The SQL columns of an Arrow schema.
pub(crate) fn columns_of(schema: &SchemaRef) -> Arc<[Column]> {
    schema.fields().iter().map(|field| Column::of(field)).collect()
}
