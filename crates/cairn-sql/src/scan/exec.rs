//! The plan node that reads a table through one access path, one partition per part of the key range.
//!
//! Rows come in key order within a partition, and partitions are in key order; the node tells DataFusion so,
//! that sorts by a key's columns fall away. A sort against the key order turns the scan around.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryBuilder, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use cairn_engine::table::{self, Access, ROW_KEY, ScanRequest, TableScan};
use cairn_engine::{Direction, ReadView, Table};
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_err};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SortOrderPushdownResult,
};

use super::access::{Choice, Size};
use super::bitmap::Bitmap;
use super::narrow::Narrowing;
use super::template::Template;
use crate::context::ScopeExtension;
use crate::functions::keys::keyed;
use crate::{Error, Result};

/// What to read.
#[derive(Clone)]
pub(crate) struct TableScanSpec {
    pub(crate) table: Arc<Table>,
    pub(crate) source: Source,
    /// Of a partition that is read as part of its table.
    pub(crate) shown: Option<Shown>,
    /// Places among the live columns, in output order; the number of live columns stands for the row key.
    pub(crate) wanted: Vec<usize>,
    pub(crate) with_row_key: bool,
    pub(crate) limit: Option<usize>,
    pub(crate) reverse: bool,
    /// How many rows are wanted of those that pass the filters above, where that is known.
    pub(crate) wanted_rows: Option<usize>,
    /// Set where the conditions hold parameters.
    pub(crate) template: Option<Arc<Template>>,
    /// Which of the statement's accesses it reads, of a kept plan with parameters.
    pub(crate) slot: Option<usize>,
    /// Whether a join may have it read by an index.
    pub(crate) narrows: bool,
    /// The table when the plan was made.
    pub(crate) size: Size,
    /// What the query calls the table, where that is known and another name.
    pub(crate) alias: Option<Arc<str>>,
    /// Whether it is one of several partitions that are read for a table.
    pub(crate) is_one_of_several: bool,
}

/// How the rows of a partition are shown as rows of the table that it is a part of.
#[derive(Clone)]
pub(crate) struct Shown {
    /// The fields of the partition's columns, in its own order.
    pub(crate) fields: SchemaRef,
    /// What row keys begin with.
    pub(crate) key_prefix: [u8; 4],
}

/// Where a scan takes what it reads from.
#[derive(Clone)]
pub(crate) enum Source {
    /// This view.
    View(ReadView),
    /// The view of the statement that runs the plan, which is kept from an earlier one.
    Statement,
}

/// The scan of a table.
#[derive(Clone)]
pub(crate) struct TableScanExec {
    pub(super) spec: TableScanSpec,
    pub(super) choice: Choice,
    pub(super) parts: Vec<Access>,
    /// Set where a join may tell which rows are worth reading.
    narrowing: Option<Narrowing>,
    pub(super) schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl std::fmt::Debug for TableScanExec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableScanExec").field("table", &self.spec.table.name).finish_non_exhaustive()
    }
}

impl TableScanExec {
    pub(crate) fn new(spec: TableScanSpec, choice: Choice, parts: Vec<Access>) -> Result<Self> {
        let schema = schema(&spec);
        let properties = Arc::new(properties(&spec, &choice, parts.len(), &schema)?);
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { spec, choice, parts, narrowing: None, schema, properties, metrics })
    }

    /// The table, the index (0 = rows) and the conditions that the access path uses.
    pub(crate) fn describe(&self) -> String {
        let table = &self.spec.table;
        let mut text = if table.schema == "public" {
            table.name.clone()
        } else {
            format!("{}.{}", table.schema, table.name)
        };
        match (&self.choice.access, self.choice.index) {
            _ if self.choice.bitmap.is_some() => text.push_str(" using several indexes"),
            (Access::Full, _) => text.push_str(" full"),
            (_, 0) => text.push_str(" using primary key"),
            (_, index) => {
                text.push_str(" using index ");
                text.push_str(table.index_by_id(index).map_or("?", |i| i.name.as_str()));
            }
        }
        if !self.choice.conditions.is_empty() {
            text.push_str(&format!(" ({})", self.choice.conditions.join(" AND ")));
        }
        if let Some(narrowing) = &self.narrowing {
            let by = table.index_by_id(narrowing.index);
            let by = by.map_or("primary key".to_owned(), |index| format!("index {}", index.name));
            text.push_str(&format!(", or by {by} when the join has few values"));
        }
        if self.spec.reverse {
            text.push_str(" backward");
        }
        if let Some(limit) = self.spec.limit {
            text.push_str(&format!(" limit {limit}"));
        }
        text
    }

    /// The table that is read.
    pub(crate) fn table(&self) -> &Arc<Table> {
        &self.spec.table
    }

    /// What it reads.
    pub(crate) fn spec(&self) -> &TableScanSpec {
        &self.spec
    }

    /// The way that was chosen.
    pub(crate) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// The same scan for a plan that is kept; its accesses are those of that number where parameters tell them.
    pub(crate) fn detached(&self, slot: Option<usize>) -> Self {
        let mut detached = self.clone();
        detached.spec.source = Source::Statement;
        detached.spec.slot = slot;
        detached
    }

    /// The same scan, of which few rows are wanted.
    pub(crate) fn wanting(&self, rows: usize) -> Self {
        let mut wanting = self.clone();
        wanting.spec.wanted_rows = Some(rows);
        wanting
    }

    /// Whether a join may tell it what to read.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.narrowing.is_some()
    }

    /// The access, and of which index (0 = the rows).
    pub(crate) fn way(&self) -> (&Access, cairn_engine::catalog::IndexId) {
        (&self.choice.access, self.choice.index)
    }

    /// Several indexes that give the rows.
    pub(crate) fn bitmap(&self) -> Option<&Bitmap> {
        self.choice.bitmap.as_ref()
    }

    /// The conditions that the access uses, in SQL.
    pub(crate) fn conditions(&self) -> &[String] {
        &self.choice.conditions
    }

    /// Whether rows come against the order of the key.
    pub(crate) fn is_reverse(&self) -> bool {
        self.spec.reverse
    }

    /// The index (0 = the key) that a join may have it read by.
    pub(crate) fn narrowed_by(&self) -> Option<cairn_engine::catalog::IndexId> {
        self.narrowing.as_ref().map(|narrowing| narrowing.index)
    }

    /// What makes its access path for other parameters.
    pub(crate) fn template(&self) -> Option<&Arc<Template>> {
        self.spec.template.as_ref()
    }

    /// Estimated rows.
    pub(crate) fn estimated_rows(&self) -> u64 {
        let rows = self.choice.rows.round() as u64;
        self.spec.limit.map_or(rows, |limit| rows.min(limit as u64)).max(1)
    }
}

/// The batches' schema.
fn schema(spec: &TableScanSpec) -> SchemaRef {
    let table = spec.shown.as_ref().map_or(spec.table.arrow_schema(), |shown| &shown.fields);
    let fields: Vec<_> = spec
        .wanted
        .iter()
        .map(|place| match table.fields().get(*place) {
            Some(field) => Arc::clone(field),
            None => {
                Arc::new(arrow::datatypes::Field::new(ROW_KEY, arrow::datatypes::DataType::Binary, false))
            }
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// The order of the rows, as far as the columns read go. Columns fixed by the access are constants and skipped.
fn ordering(spec: &TableScanSpec, choice: &Choice, schema: &Schema) -> Vec<PhysicalSortExpr> {
    if !choice.ordered {
        return Vec::new();
    }
    let Some(key) = spec.table.index_key(choice.index) else { return Vec::new() };
    let mut ordering = Vec::new();
    for (at, (column, order)) in key.iter().enumerate() {
        let Ok(index) = schema.index_of(&column.name) else {
            if at < choice.fixed {
                continue;
            }
            break;
        };
        if at < choice.fixed {
            continue;
        }
        let options = SortOptions {
            descending: order.descending != spec.reverse,
            nulls_first: order.nulls_first != spec.reverse,
        };
        ordering.push(PhysicalSortExpr::new(Arc::new(Column::new(&column.name, index)), options));
    }
    ordering
}

fn properties(
    spec: &TableScanSpec,
    choice: &Choice,
    partitions: usize,
    schema: &SchemaRef,
) -> Result<PlanProperties> {
    let mut equivalence = EquivalenceProperties::new(Arc::clone(schema));
    if let Some(ordering) = LexOrdering::new(ordering(spec, choice, schema)) {
        equivalence.add_ordering(ordering);
    }
    Ok(PlanProperties::new(
        equivalence,
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

impl DisplayAs for TableScanExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TableScan: {}", self.describe())
    }
}

impl ExecutionPlan for TableScanExec {
    fn name(&self) -> &str {
        "TableScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        // A join fills its filter only where it finds it below.
        match &self.narrowing {
            Some(narrowing) => f(&narrowing.filter()),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        task: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let part = match partition {
            _ if self.spec.reverse => self.parts.len().checked_sub(partition + 1),
            _ => Some(partition),
        };
        // Only statements run scans: the scope is there.
        let scope = ScopeExtension::of(task.session_config().options())?;
        let parts = match self.spec.slot {
            None => &self.parts,
            Some(slot) => match scope.slots.get().and_then(|slots| slots.accesses(slot)) {
                Some(parts) => parts,
                None => return internal_err!("a kept plan ran without its accesses"),
            },
        };
        let Some(access) = part.and_then(|part| parts.get(part)).cloned() else {
            return internal_err!("the scan has no partition {partition}");
        };
        let view = match &self.spec.source {
            Source::View(view) => view.clone(),
            Source::Statement => {
                let view = scope.view.get().cloned();
                view.ok_or_else(|| Error::internal("a kept plan ran without a view"))?
            }
        };
        let mut request = ScanRequest::new(access, self.read());
        request.with_row_key = self.spec.with_row_key;
        request.limit = self.spec.limit;
        request.batch_rows = task.session_config().batch_size();
        if let Some(rows) = self.spec.wanted_rows {
            request.first_batch_rows = rows;
        }
        if self.spec.reverse {
            request.direction = Direction::Reverse;
        }
        let mut scan = Opening {
            view,
            table: Arc::clone(&self.spec.table),
            narrowing: self.narrowing.clone(),
            narrowed: MetricBuilder::new(&self.metrics).counter("narrowed", partition),
            bitmap: self.choice.bitmap.clone(),
            rows: self.choice.rows,
            request: Some(request),
            scan: None,
        };
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let reorder = self.reorder();
        let schema = Arc::clone(&self.schema);
        let key_prefix = match &self.spec.shown {
            Some(shown) if self.spec.with_row_key => Some(shown.key_prefix),
            _ => None,
        };
        let batches = std::iter::from_fn(move || -> Option<DataFusionResult<RecordBatch>> {
            let _timer = baseline.elapsed_compute().timer();
            let shaped = scan.next()?.map_err(Into::into).and_then(|batch| {
                let batch = match &key_prefix {
                    Some(prefix) => with_prefix(&batch, prefix)?,
                    None => batch,
                };
                let batch = match &reorder {
                    Some(order) => batch.project(order)?,
                    None => batch,
                };
                Ok(batch.with_schema(Arc::clone(&schema))?)
            });
            if let Ok(batch) = &shaped {
                baseline.record_output(batch.num_rows());
            }
            Some(shaped)
        });
        // The scope keeps the transaction alive as long as its view is read.
        let held = HoldScope { batches, _scope: scope };
        let stream = futures::stream::iter(held);
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn partition_statistics(&self, partition: Option<usize>) -> DataFusionResult<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        let rows = self.estimated_rows() as usize;
        statistics.num_rows = Precision::Inexact(match partition {
            Some(_) => rows.div_ceil(self.parts.len().max(1)),
            None => rows,
        });
        Ok(Arc::new(statistics))
    }

    fn supports_limit_pushdown(&self) -> bool {
        false
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let mut limited = self.clone();
        limited.spec.limit = limit;
        Some(Arc::new(limited))
    }

    fn fetch(&self) -> Option<usize> {
        // Each partition stops there by itself: that bounds the whole only where there is one.
        if self.parts.len() == 1 { self.spec.limit } else { None }
    }

    fn reset_state(self: Arc<Self>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let mut fresh = Self::clone(&self);
        fresh.metrics = ExecutionPlanMetricsSet::new();
        // What the join told belongs to the execution; a new filter comes with the next.
        fresh.narrowing = None;
        Ok(Arc::new(fresh))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> DataFusionResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let narrowing = match (&phase, &self.choice.access, self.spec.reverse) {
            (FilterPushdownPhase::Post, Access::Full | Access::Primary(_), false) if self.spec.narrows => {
                result
                    .parent_filters
                    .iter()
                    .find_map(|filter| Narrowing::of(&filter.filter, &self.spec.table, &self.spec.wanted))
            }
            _ => None,
        };
        // The join checks every row again: nothing is taken off its hands.
        let propagation = FilterPushdownPropagation::if_any(result);
        Ok(match narrowing.filter(|_| self.narrowing.is_none() && self.spec.limit.is_none()) {
            None => propagation,
            Some(narrowing) => {
                let mut narrowed = self.clone();
                narrowed.narrowing = Some(narrowing);
                propagation.with_updated_node(Arc::new(narrowed) as Arc<dyn ExecutionPlan>)
            }
        })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> DataFusionResult<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let mut reversed = self.spec.clone();
        reversed.reverse = !reversed.reverse;
        let own = ordering(&reversed, &self.choice, &self.schema);
        let fits = order.len() <= own.len()
            && order.iter().zip(&own).all(|(wanted, own)| {
                keyed(&wanted.expr).eq(&own.expr)
                    && wanted.options.descending == own.options.descending
                    && (wanted.options.nulls_first == own.options.nulls_first
                        || !wanted.expr.nullable(&self.schema).unwrap_or(true))
            });
        if !fits {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        let scan = TableScanExec::new(reversed, self.choice.clone(), self.parts.clone())?;
        Ok(SortOrderPushdownResult::Exact { inner: Arc::new(scan) })
    }
}

impl TableScanExec {
    /// Places to read, without the row key.
    fn read(&self) -> Vec<usize> {
        let columns = self.spec.table.arrow_schema().fields().len();
        self.spec.wanted.iter().copied().filter(|place| *place < columns).collect()
    }

    /// Where the row key is not wanted last, the order of the output in terms of the scan's columns.
    fn reorder(&self) -> Option<Vec<usize>> {
        let columns = self.spec.table.arrow_schema().fields().len();
        let at = self.spec.wanted.iter().position(|place| *place == columns)?;
        if at + 1 == self.spec.wanted.len() {
            return None;
        }
        let last = self.spec.wanted.len() - 1;
        Some(
            (0..=last)
                .map(|i| {
                    if i < at {
                        i
                    } else if i == at {
                        last
                    } else {
                        i - 1
                    }
                })
                .collect(),
        )
    }
}

/// The row keys, which come last, with that in front of them.
fn with_prefix(batch: &RecordBatch, prefix: &[u8]) -> DataFusionResult<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    let Some(keys) = columns.pop() else { return internal_err!("a scan without row keys") };
    let Some(keys) = keys.as_binary_opt::<i32>() else { return internal_err!("row keys are not binary") };
    let mut prefixed = BinaryBuilder::with_capacity(keys.len(), keys.value_data().len() + keys.len() * 4);
    let mut key = Vec::new();
    for at in 0..keys.len() {
        key.clear();
        key.extend_from_slice(prefix);
        key.extend_from_slice(keys.value(at));
        prefixed.append_value(&key);
    }
    columns.push(Arc::new(prefixed.finish()));
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

/// A scan that opens when its first batch is asked for: by then a join above has read its other side.
struct Opening {
    view: ReadView,
    table: Arc<Table>,
    narrowing: Option<Narrowing>,
    narrowed: Count,
    bitmap: Option<Bitmap>,
    rows: f64,
    request: Option<ScanRequest>,
    scan: Option<TableScan>,
}

impl Opening {
    fn open(&mut self, mut request: ScanRequest) -> Result<TableScan> {
        if let Some(narrowing) = &self.narrowing
            && let Some(access) = narrowing.access(&self.view, &self.table, &request.access, self.rows)?
        {
            request.access = access;
            self.narrowed.add(1);
        } else if let Some(bitmap) = &self.bitmap
            && let Some(access) = bitmap.access(&self.view, &self.table)?
        {
            request.access = access;
        }
        Ok(table::scan(&self.view, &self.table, request)?)
    }
}

impl Iterator for Opening {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(request) = self.request.take() {
            match self.open(request) {
                Ok(scan) => self.scan = Some(scan),
                Err(error) => return Some(Err(error)),
            }
        }
        self.scan.as_mut()?.next().map(|batch| batch.map_err(Error::from))
    }
}

/// An iterator over batches that keeps the statement's scope.
struct HoldScope<I> {
    batches: I,
    _scope: Arc<crate::context::Scope>,
}

impl<I: Iterator> Iterator for HoldScope<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.batches.next()
    }
}
