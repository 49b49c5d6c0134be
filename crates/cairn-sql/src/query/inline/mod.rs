//! Kept plans that read few rows, run on the caller's thread without DataFusion's streams.
//!
//! A plan that is kept ([`super::reuse`]) is compiled once into a tree of [`Node`]s with the same expressions; an execution
//! pulls batches through it. Streams, their metrics and the renewal of operators cost some 20 µs for each execution of the
//! other way.
//!
//! Compiled are scans, filters, projections, limits, sorts, hash joins and aggregates without groups, and what only moves
//! batches between threads; a plan with any other node runs as it did before.
//!
//! Guarantees: the same rows as the streams give, in the same order where the query asks for one.
//! I1: an execution reads at most [`ROWS_MAX`] rows and about [`BYTES_MAX`] bytes, and in no join have more than so many pairs of
//! rows equal keys, by much; one that would need more ends without any effect, and the plan's streams run instead.
//! I2: nodes hold nothing of an execution.

mod aggregate;
mod compile;
mod join;
mod scan;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch};
use arrow::datatypes::SchemaRef;
use cairn_engine::ReadView;
use cairn_engine::table::{Access, TableScan};
use cairn_types::DataType;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};

use self::aggregate::Aggregates;
use self::join::JoinNode;
use self::scan::ScanNode;
use crate::{Error, Result};

/// Rows that an execution reads at most.
const ROWS_MAX: usize = 4096;
/// Bytes of batches that an execution reads at most.
const BYTES_MAX: usize = 1 << 20;
/// Executions that may need more than that, before the plan is left to streams for good.
const ABANDONED_MAX: u32 = 4;

/// See the module.
pub(crate) struct InlinePlan {
    root: Node,
    abandoned: AtomicU32,
}

/// A compiled operator.
enum Node {
    Scan(ScanNode),
    Filter { input: Box<Node>, predicate: Arc<dyn PhysicalExpr>, projection: Option<Arc<[usize]>> },
    Project { input: Box<Node>, exprs: Vec<Arc<dyn PhysicalExpr>>, schema: SchemaRef },
    Columns { input: Box<Node>, columns: Vec<usize>, schema: SchemaRef },
    Limit { input: Box<Node>, skip: usize, fetch: Option<usize> },
    Sort { input: Box<Node>, by: LexOrdering, fetch: Option<usize>, schema: SchemaRef },
    Aggregate { input: Box<Node>, aggregates: Aggregates },
    Join(JoinNode),
}

/// What an execution reads from, and how much more it may read (I1).
pub(crate) struct Run<'r> {
    view: &'r ReadView,
    accesses: &'r [Access],
    rows_left: usize,
    bytes_left: usize,
    is_abandoned: bool,
}

impl InlinePlan {
    /// Whether executions are worth trying.
    pub(crate) fn is_worth_it(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) < ABANDONED_MAX
    }

    /// The plan's batches. `accesses` are those of its scans with parameters, by their numbers. `None` where it read too
    /// much (I1).
    pub(crate) fn run(&self, view: &ReadView, accesses: &[Access]) -> Result<Option<Vec<RecordBatch>>> {
        let mut run = Run { view, accesses, rows_left: ROWS_MAX, bytes_left: BYTES_MAX, is_abandoned: false };
        let mut stream = Stream::open(&self.root, &run, None)?;
        let mut batches = Vec::with_capacity(1);
        while let Some(batch) = stream.next(&mut run)? {
            if batch.num_rows() > 0 {
                batches.push(batch);
            }
        }
        if run.is_abandoned {
            self.abandoned.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        }
        Ok(Some(batches))
    }
}

/// A node at work.
enum Stream<'p> {
    Scan { node: &'p ScanNode, scan: Option<Box<TableScan>> },
    Through { node: &'p Node, input: Box<Stream<'p>> },
    Limit { input: Box<Stream<'p>>, skip: usize, left: usize },
    Whole { node: &'p Node, input: Option<Box<Stream<'p>>> },
    Join(Option<&'p JoinNode>),
}

impl<'p> Stream<'p> {
    /// `told`: what the scan below is to read instead of its own access.
    fn open(node: &'p Node, run: &Run<'_>, told: Option<&Access>) -> Result<Stream<'p>> {
        let below = |input: &'p Node| Stream::open(input, run, told).map(Box::new);
        Ok(match node {
            Node::Scan(scan) => Stream::Scan { node: scan, scan: Some(Box::new(scan.open(run, told)?)) },
            Node::Filter { input, .. } | Node::Project { input, .. } | Node::Columns { input, .. } => {
                Stream::Through { node, input: below(input)? }
            }
            Node::Limit { input, skip, fetch } => {
                Stream::Limit { input: below(input)?, skip: *skip, left: fetch.unwrap_or(usize::MAX) }
            }
            Node::Sort { input, .. } | Node::Aggregate { input, .. } => {
                Stream::Whole { node, input: Some(below(input)?) }
            }
            Node::Join(join) => Stream::Join(Some(join)),
        })
    }

    /// The next batch; `None` at the end, and where the execution is abandoned.
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<RecordBatch>> {
        match self {
            Stream::Scan { node, scan } => {
                let Some(batch) = scan.as_mut().and_then(Iterator::next).transpose()? else {
                    return Ok(None);
                };
                if !run.may_hold(&batch) {
                    *scan = None;
                    return Ok(None);
                }
                Ok(Some(node.shaped(batch)?))
            }
            Stream::Through { node, input } => {
                let batch = input.next(run)?;
                batch.map(|batch| node.through(batch)).transpose()
            }
            Stream::Limit { input, skip, left } => limited(input, skip, left, run),
            Stream::Whole { node, input } => match input.take() {
                Some(input) => node.whole(*input, run),
                None => Ok(None),
            },
            Stream::Join(join) => match join.take() {
                Some(join) => join.run(run),
                None => Ok(None),
            },
        }
    }
}

impl Run<'_> {
    /// Whether the execution may go on with that batch (I1).
    fn may_hold(&mut self, batch: &RecordBatch) -> bool {
        let rows = self.rows_left.checked_sub(batch.num_rows());
        let bytes = self.bytes_left.checked_sub(batch.get_array_memory_size());
        match (rows, bytes) {
            (Some(rows), Some(bytes)) => {
                (self.rows_left, self.bytes_left) = (rows, bytes);
                true
            }
            _ => {
                self.is_abandoned = true;
                false
            }
        }
    }
}

fn limited(
    input: &mut Stream<'_>,
    skip: &mut usize,
    left: &mut usize,
    run: &mut Run<'_>,
) -> Result<Option<RecordBatch>> {
    while *left > 0 {
        let Some(batch) = input.next(run)? else { break };
        let passed = batch.num_rows().min(*skip);
        *skip -= passed;
        let taken = (batch.num_rows() - passed).min(*left);
        if taken > 0 {
            *left -= taken;
            return Ok(Some(match taken == batch.num_rows() {
                true => batch,
                false => batch.slice(passed, taken),
            }));
        }
    }
    Ok(None)
}

impl Node {
    /// What becomes of a batch by itself.
    fn through(&self, batch: RecordBatch) -> Result<RecordBatch> {
        match self {
            Node::Filter { predicate, projection, .. } => {
                let kept = filtered(predicate, batch)?;
                match projection {
                    Some(columns) => kept.project(columns).map_err(Error::from),
                    None => Ok(kept),
                }
            }
            Node::Project { exprs, schema, .. } => {
                let rows = batch.num_rows();
                let column = |expr: &Arc<dyn PhysicalExpr>| -> Result<ArrayRef> {
                    expr.evaluate(&batch).and_then(|value| value.into_array(rows)).map_err(Error::from)
                };
                shaped(schema, exprs.iter().map(column).collect::<Result<_>>()?, rows)
            }
            Node::Columns { columns, schema, .. } => {
                let rows = batch.num_rows();
                shaped(schema, columns.iter().map(|at| Arc::clone(batch.column(*at))).collect(), rows)
            }
            _ => Err(Error::internal("an operator that needs its whole input was given a batch")),
        }
    }

    /// What becomes of all batches together.
    fn whole(&self, mut input: Stream<'_>, run: &mut Run<'_>) -> Result<Option<RecordBatch>> {
        match self {
            Node::Sort { by, fetch, schema, .. } => {
                let mut batches = Vec::new();
                while let Some(batch) = input.next(run)? {
                    batches.push(batch);
                }
                let batch = concat_batches(schema, &batches)?;
                let columns = by
                    .iter()
                    .map(|sort| sort.evaluate_to_sort_column(&batch))
                    .collect::<datafusion::error::Result<Vec<_>>>()?;
                let order: UInt32Array = lexsort_to_indices(&columns, *fetch)?;
                Ok(Some(take_record_batch(&batch, &order)?))
            }
            Node::Aggregate { aggregates, .. } => {
                let mut running = aggregates.begin()?;
                while let Some(batch) = input.next(run)? {
                    aggregates.update(&mut running, &batch)?;
                }
                aggregates.finish(running).map(Some)
            }
            _ => Err(Error::internal("an operator of single batches was given its whole input")),
        }
    }
}

/// The rows of a batch for which a condition is true.
fn filtered(predicate: &Arc<dyn PhysicalExpr>, batch: RecordBatch) -> Result<RecordBatch> {
    let told = predicate.evaluate(&batch)?.into_array(batch.num_rows())?;
    let Some(told) = told.as_any().downcast_ref::<BooleanArray>() else {
        return Err(Error::internal("a condition is no boolean"));
    };
    if told.null_count() == 0 && told.true_count() == batch.num_rows() {
        return Ok(batch);
    }
    filter_record_batch(&batch, told).map_err(Error::from)
}

/// A batch of these columns.
fn shaped(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(Error::from)
}

/// Whether two values of a type are equal, and in order, where their keys are.
fn compares_as_key(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::SmallInt
            | DataType::Integer
            | DataType::BigInt
            | DataType::Text
            | DataType::Varchar(_)
            | DataType::Uuid
            | DataType::Date
            | DataType::Timestamp(_)
            | DataType::TimestampTz(_)
            | DataType::Boolean
    )
}
