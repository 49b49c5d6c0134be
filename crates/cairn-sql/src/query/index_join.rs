//! A join that looks up the rows of its second side, a table, by a key or index: for a batch of rows of the first side at a
//! time. Inner, left, semi and anti joins.
//!
//! Guarantees: the rows of a hash join over the same sides, in no order. Bounded by the batches: what is looked up streams past
//! the rows that asked for it, so nothing is read beyond what a LIMIT above wants but for the batch at hand.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{Fields, Schema, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use cairn_engine::catalog::IndexId;
use cairn_types::Value;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinType, Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::StreamExt;

use crate::scan::exec::TableScanExec;

/// Rows of the first side whose keys are looked up together.
const CHUNK_ROWS: usize = 1024;

/// How the second side is read.
#[derive(Debug, Clone)]
pub(crate) struct Inner {
    /// The index that leads with the first key; 0 = the table's key.
    pub(crate) index: IndexId,
    /// Over the scan's columns.
    pub(crate) condition: Option<Arc<dyn PhysicalExpr>>,
    /// Which of the scan's columns are given.
    pub(crate) columns: Vec<usize>,
    /// What the second side calls them: it may have given the scan's columns other names.
    pub(crate) fields: Fields,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct IndexJoinExec {
    outer: Arc<dyn ExecutionPlan>,
    /// A scan, perhaps below wrappers; it is never run itself.
    scan: Arc<dyn ExecutionPlan>,
    pub(crate) inner: Inner,
    /// Columns that are equal: of the first side, and among [`Inner::columns`].
    pub(crate) keys: Vec<(usize, usize)>,
    /// Over the columns of both sides.
    pub(crate) filter: Option<Arc<dyn PhysicalExpr>>,
    /// Inner, Left, LeftSemi or LeftAnti.
    pub(crate) kind: JoinType,
    /// The columns of both sides.
    pairs: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl IndexJoinExec {
    pub(crate) fn new(
        outer: Arc<dyn ExecutionPlan>,
        scan: Arc<dyn ExecutionPlan>,
        inner: Inner,
        keys: Vec<(usize, usize)>,
        filter: Option<Arc<dyn PhysicalExpr>>,
        kind: JoinType,
    ) -> IndexJoinExec {
        let left = outer.schema();
        let given = inner.fields.iter().map(|field| match kind {
            JoinType::Left => Arc::new(field.as_ref().clone().with_nullable(true)),
            _ => Arc::clone(field),
        });
        let fields: Vec<_> = left.fields().iter().cloned().chain(given).collect();
        let pairs = Arc::new(Schema::new_with_metadata(fields, left.metadata().clone()));
        let schema = match kind {
            JoinType::LeftSemi | JoinType::LeftAnti => left,
            _ => Arc::clone(&pairs),
        };
        let parts = outer.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(parts),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let (properties, metrics) = (Arc::new(properties), ExecutionPlanMetricsSet::new());
        IndexJoinExec { outer, scan, inner, keys, filter, kind, pairs, properties, metrics }
    }

    pub(crate) fn outer(&self) -> &Arc<dyn ExecutionPlan> {
        &self.outer
    }

    /// The scan that stands for the second side.
    pub(crate) fn scan(&self) -> Option<&TableScanExec> {
        let mut node = &self.scan;
        loop {
            if let Some(scan) = node.downcast_ref::<TableScanExec>() {
                return Some(scan);
            }
            node = node.children().first().copied()?;
        }
    }

    /// The plan of the second side.
    pub(crate) fn inner_plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.scan
    }
}

impl DisplayAs for IndexJoinExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IndexJoin: {}, on={:?}, index={}", self.kind, self.keys, self.inner.index)
    }
}

impl ExecutionPlan for IndexJoinExec {
    fn name(&self) -> &str {
        "IndexJoin"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.outer, &self.scan]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false, false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in self.inner.condition.iter().chain(&self.filter) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([outer, scan]) = <[_; 2]>::try_from(children) else {
            return internal_err!("an index join has two sides");
        };
        let (inner, keys, filter) = (self.inner.clone(), self.keys.clone(), self.filter.clone());
        Ok(Arc::new(IndexJoinExec::new(outer, scan, inner, keys, filter, self.kind)))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(scan) = self.scan() else { return internal_err!("an index join without a scan") };
        let Some(place) = self.keys.first().and_then(|(_, at)| scan.place_of_output(self.inner.columns[*at]))
        else {
            return internal_err!("an index join without a key");
        };
        let outer = self.outer.execute(partition, Arc::clone(&task))?;
        let fields =
            self.keys.iter().map(|(at, _)| SortField::new(outer.schema().field(*at).data_type().clone()));
        let lookup = Arc::new(Lookup {
            ty: scan.table().live_column(place).ty.clone(),
            scan: scan.clone(),
            inner: self.inner.clone(),
            keys: self.keys.clone(),
            filter: self.filter.clone(),
            rows: RowConverter::new(fields.collect())?,
            kind: self.kind,
            schema: self.schema(),
            pairs: Arc::clone(&self.pairs),
            looked_up: MetricBuilder::new(&self.metrics).counter("looked_up", partition),
            task,
        });
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let batches = outer.flat_map(move |batch| {
            let joined: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match batch {
                Ok(batch) => Box::new(Arc::clone(&lookup).joined(batch)),
                Err(error) => Box::new(std::iter::once(Err(error))),
            };
            futures::stream::iter(joined)
        });
        let batches = batches.inspect(move |batch| {
            if let Ok(batch) = batch {
                baseline.record_output(batch.num_rows());
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let mut fresh = Self::clone(&self);
        fresh.metrics = ExecutionPlanMetricsSet::new();
        Ok(Arc::new(fresh))
    }
}

/// One execution of a part.
struct Lookup {
    scan: TableScanExec,
    inner: Inner,
    ty: cairn_types::DataType,
    keys: Vec<(usize, usize)>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    rows: RowConverter,
    kind: JoinType,
    schema: SchemaRef,
    pairs: SchemaRef,
    looked_up: Count,
    task: Arc<TaskContext>,
}

impl Lookup {
    /// The rows that join those of a batch.
    fn joined(self: Arc<Self>, batch: RecordBatch) -> impl Iterator<Item = Result<RecordBatch>> + Send {
        let starts = (0..batch.num_rows()).step_by(CHUNK_ROWS);
        starts.flat_map(move |start| {
            let chunk = batch.slice(start, CHUNK_ROWS.min(batch.num_rows() - start));
            let found: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> =
                match Arc::clone(&self).chunk(chunk) {
                    Ok(found) => Box::new(found),
                    Err(error) => Box::new(std::iter::once(Err(error))),
                };
            found
        })
    }

    fn chunk(self: Arc<Self>, outer: RecordBatch) -> Result<Chunk> {
        let keys: Vec<ArrayRef> = self.keys.iter().map(|(at, _)| Arc::clone(outer.column(*at))).collect();
        let rows = self.rows.convert_columns(&keys)?;
        let mut wanted: HashMap<OwnedRow, Vec<u32>> = HashMap::new();
        let mut values = Vec::new();
        for row in 0..outer.num_rows() {
            // NULL joins nothing.
            if keys.iter().any(|key| key.is_null(row)) {
                continue;
            }
            let of_key = wanted.entry(rows.row(row).owned()).or_default();
            if of_key.is_empty() {
                values.push(Value::from_array(&*keys[0], row, &self.ty));
            }
            of_key.push(row as u32);
        }
        values.sort();
        values.dedup();
        let found: Option<Found> = match values.is_empty() {
            true => None,
            false => Some(Box::new(self.scan.look_up(&self.task, self.inner.index, values)?)),
        };
        let matched = vec![false; outer.num_rows()];
        Ok(Chunk { lookup: self, outer, wanted, found, matched, ended: false })
    }

    /// The pairs of rows of the first side and of a batch of the second: the rows of the first side, and the columns of both,
    /// which semi and anti joins need not have.
    fn pairs(
        &self,
        outer: &RecordBatch,
        wanted: &HashMap<OwnedRow, Vec<u32>>,
        batch: &RecordBatch,
    ) -> Result<(UInt32Array, Option<RecordBatch>)> {
        self.looked_up.add(batch.num_rows());
        let kept;
        let batch = match &self.inner.condition {
            Some(condition) => {
                kept = filter_record_batch(batch, &holds(condition, batch)?)?;
                &kept
            }
            None => batch,
        };
        let inner = batch.project(&self.inner.columns)?;
        let keys: Vec<ArrayRef> = self.keys.iter().map(|(_, at)| Arc::clone(inner.column(*at))).collect();
        let rows = self.rows.convert_columns(&keys)?;
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for row in 0..inner.num_rows() {
            if keys.iter().any(|key| key.is_null(row)) {
                continue;
            }
            for of_outer in wanted.get(&rows.row(row).owned()).into_iter().flatten() {
                left.push(*of_outer);
                right.push(row as u32);
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(left.len()));
        let (left, right) = (UInt32Array::from(left), UInt32Array::from(right));
        if self.gives_outer() && self.filter.is_none() {
            return Ok((left, None));
        }
        let of_outer = outer.columns().iter().map(|column| take(column, &left, None));
        let of_inner = inner.columns().iter().map(|column| take(column, &right, None));
        let columns = of_outer.chain(of_inner).collect::<std::result::Result<Vec<_>, _>>()?;
        let joined = RecordBatch::try_new_with_options(Arc::clone(&self.pairs), columns, &options)?;
        match &self.filter {
            Some(filter) => {
                let passes = holds(filter, &joined)?;
                let left = arrow::compute::filter(&left, &passes)?.as_primitive().clone();
                Ok((left, Some(filter_record_batch(&joined, &passes)?)))
            }
            None => Ok((left, Some(joined))),
        }
    }

    /// Whether rows of the first side alone are what the join gives.
    fn gives_outer(&self) -> bool {
        matches!(self.kind, JoinType::LeftSemi | JoinType::LeftAnti)
    }
}

/// What is looked up.
type Found = Box<dyn Iterator<Item = crate::Result<RecordBatch>> + Send>;

/// Rows of the first side that are looked up together, and what has been found of them.
struct Chunk {
    lookup: Arc<Lookup>,
    outer: RecordBatch,
    /// The rows of each key.
    wanted: HashMap<OwnedRow, Vec<u32>>,
    found: Option<Found>,
    /// The rows that have a partner.
    matched: Vec<bool>,
    ended: bool,
}

impl Iterator for Chunk {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let step = match self.found.as_mut().and_then(Iterator::next) {
                Some(batch) => batch.map_err(DataFusionError::from).and_then(|batch| self.found(&batch)),
                None => {
                    self.ended = true;
                    self.rest()
                }
            };
            match step {
                Ok(Some(batch)) if batch.num_rows() > 0 => return Some(Ok(batch)),
                Ok(_) => {}
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl Chunk {
    fn found(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        let (rows, joined) = self.lookup.pairs(&self.outer, &self.wanted, batch)?;
        for row in rows.values() {
            self.matched[*row as usize] = true;
        }
        Ok(joined.filter(|_| !self.lookup.gives_outer()))
    }

    /// What is given when all has been found.
    fn rest(&self) -> Result<Option<RecordBatch>> {
        let of = |matched: bool| -> BooleanArray {
            self.matched.iter().map(|own| Some(*own == matched)).collect()
        };
        match self.lookup.kind {
            JoinType::LeftSemi => Ok(Some(filter_record_batch(&self.outer, &of(true))?)),
            JoinType::LeftAnti => Ok(Some(filter_record_batch(&self.outer, &of(false))?)),
            JoinType::Left => {
                let alone = filter_record_batch(&self.outer, &of(false))?;
                let missing = self.lookup.schema.fields().iter().skip(alone.num_columns());
                let missing = missing.map(|field| new_null_array(field.data_type(), alone.num_rows()));
                let columns = alone.columns().iter().cloned().chain(missing).collect();
                let options = RecordBatchOptions::new().with_row_count(Some(alone.num_rows()));
                let schema = Arc::clone(&self.lookup.schema);
                Ok(Some(RecordBatch::try_new_with_options(schema, columns, &options)?))
            }
            _ => Ok(None),
        }
    }
}

fn holds(condition: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let found = condition.evaluate(batch)?.into_array(batch.num_rows())?;
    Ok(as_boolean_array(&found)?.clone())
}
