//! `store(key, value)`: the raw key-value space as a table of two TEXT columns.
//!
//! A key or value that is valid UTF-8 without NUL and does not begin with `\x` shows as it is; any other shows as `\x` and
//! its bytes in hexadecimal, which is how it is written to be found again. Conditions on `key` (comparisons,
//! LIKE with a prefix, IN) read only that part of the space; rows come in the order of the key's bytes.

use std::ops::Bound;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use cairn_engine::{Direction, KeyRange, ReadView};
use cairn_types::{DataType, Value};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use crate::context::{Context, Scope, ScopeExtension};
use crate::scan::bounds::{Columns, Restriction};
use crate::{Error, Result};

/// The table's schema.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        DataType::Text.to_field("key", false),
        DataType::Text.to_field("value", false),
    ]))
}

/// The provider over a transaction's picture of the space.
pub(super) fn provider(context: &Context) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(Store { view: context.view()?, schema: schema() }))
}

/// Bytes as the table shows them.
pub(crate) fn show(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with("\\x") && !text.contains('\0') => text.into(),
        _ => {
            let mut text = String::with_capacity(2 + bytes.len() * 2);
            text.push_str("\\x");
            for byte in bytes {
                text.push_str(&format!("{byte:02x}"));
            }
            text.into()
        }
    }
}

/// The bytes that show as that text; `None` where none do.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let Some(hex) = text.strip_prefix("\\x") else { return Some(text.as_bytes().to_vec()) };
    if hex.len() % 2 != 0 || !hex.is_ascii() {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}

struct Store {
    view: ReadView,
    schema: SchemaRef,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

#[async_trait]
impl TableProvider for Store {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match crate::scan::bounds::is_usable(filter, &self.schema) {
                true => TableProviderFilterPushDown::Inexact,
                false => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let (ranges, conditions) = ranges(&self.schema, filters);
        let projection = projection.cloned().unwrap_or_else(|| vec![0, 1]);
        Ok(Arc::new(StoreScan::new(self.view.clone(), ranges, conditions, projection, limit)?))
    }
}

/// Byte ranges of the keys that the conditions leave, in order, and the conditions used.
fn ranges(schema: &Schema, filters: &[Expr]) -> (Vec<KeyRange>, Vec<String>) {
    let mut columns = Columns::new(schema);
    for filter in filters {
        columns.add(filter);
    }
    let mut lower: Bound<Vec<u8>> = Bound::Unbounded;
    let mut upper: Bound<Vec<u8>> = Bound::Unbounded;
    let mut points: Option<Vec<Vec<u8>>> = None;
    let mut used = Vec::new();
    for (column, restriction, condition) in &columns.restrictions {
        if *column != 0 {
            continue;
        }
        match restriction {
            Restriction::OneOf(values) => {
                let keys: Vec<Vec<u8>> = values.iter().filter_map(|v| v.as_str().and_then(bytes)).collect();
                points = Some(match points {
                    Some(known) => known.into_iter().filter(|key| keys.contains(key)).collect(),
                    None => keys,
                });
            }
            Restriction::Range(low, high) => {
                // Keys shown in hexadecimal sort elsewhere than their bytes: a range over text can only be used
                // where no such key can be meant, that is where both ends are plain text below or above `\x`.
                let (Some(low), Some(high)) = (text_bound(low), text_bound(high)) else { continue };
                if !excludes_hexadecimal(&low, &high) {
                    continue;
                }
                if let Bound::Included(_) | Bound::Excluded(_) = low {
                    lower = low;
                }
                if let Bound::Included(_) | Bound::Excluded(_) = high {
                    upper = high;
                }
            }
            Restriction::Null => points = Some(Vec::new()),
        }
        if !used.contains(condition) {
            used.push(condition.clone());
        }
    }
    match points {
        Some(mut keys) => {
            keys.sort();
            keys.dedup();
            (keys.iter().map(|key| KeyRange::key(key)).collect(), used)
        }
        None => (vec![KeyRange::new(lower.map(Into::into), upper.map(Into::into))], used),
    }
}

fn text_bound(bound: &Bound<Value>) -> Option<Bound<Vec<u8>>> {
    Some(match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(value) => Bound::Included(value.as_str()?.as_bytes().to_vec()),
        Bound::Excluded(value) => Bound::Excluded(value.as_str()?.as_bytes().to_vec()),
    })
}

/// Whether no text that begins with `\x` lies between the bounds.
fn excludes_hexadecimal(lower: &Bound<Vec<u8>>, upper: &Bound<Vec<u8>>) -> bool {
    let above = matches!(lower, Bound::Included(l) | Bound::Excluded(l) if l.as_slice() >= b"\\y".as_slice());
    let below = matches!(upper, Bound::Included(u) if u.as_slice() < b"\\x".as_slice())
        || matches!(upper, Bound::Excluded(u) if u.as_slice() <= b"\\x".as_slice());
    above || below
}

struct StoreScan {
    view: ReadView,
    ranges: Vec<KeyRange>,
    conditions: Vec<String>,
    projection: Vec<usize>,
    limit: Option<usize>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl std::fmt::Debug for StoreScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreScan")
    }
}

impl StoreScan {
    fn new(
        view: ReadView,
        ranges: Vec<KeyRange>,
        conditions: Vec<String>,
        projection: Vec<usize>,
        limit: Option<usize>,
    ) -> Result<Self> {
        let schema = Arc::new(schema().project(&projection)?);
        let mut equivalence = EquivalenceProperties::new(Arc::clone(&schema));
        // Only a bounded scan has no keys in hexadecimal, whose text is not in the order of the bytes.
        if let (false, Ok(key)) = (conditions.is_empty(), schema.index_of("key")) {
            let sort = PhysicalSortExpr::new(Arc::new(Column::new("key", key)), SortOptions::default());
            if let Some(ordering) = LexOrdering::new(vec![sort]) {
                equivalence.add_ordering(ordering);
            }
        }
        let properties = Arc::new(PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Ok(Self { view, ranges, conditions, projection, limit, schema, properties })
    }
}

impl DisplayAs for StoreScan {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.conditions.is_empty() {
            return f.write_str("TableScan: store full");
        }
        write!(f, "TableScan: store using key ({})", self.conditions.join(" AND "))
    }
}

impl ExecutionPlan for StoreScan {
    fn name(&self) -> &str {
        "StoreScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
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
        if partition != 0 {
            return internal_err!("the scan has no partition {partition}");
        }
        let batches = Batches {
            view: self.view.clone(),
            ranges: self.ranges.clone().into_iter(),
            current: None,
            projection: self.projection.clone(),
            schema: Arc::clone(&self.schema),
            batch_rows: task.session_config().batch_size(),
            left: self.limit.unwrap_or(usize::MAX),
            _scope: ScopeExtension::of(task.session_config().options())?,
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(batches))))
    }
}

/// The rows of the ranges, batch by batch.
struct Batches {
    view: ReadView,
    ranges: std::vec::IntoIter<KeyRange>,
    current: Option<cairn_engine::KvScan>,
    projection: Vec<usize>,
    schema: SchemaRef,
    batch_rows: usize,
    left: usize,
    /// Keeps the transaction.
    _scope: Arc<Scope>,
}

impl Batches {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let (mut keys, mut values) = (StringBuilder::new(), StringBuilder::new());
        let wanted = self.batch_rows.min(self.left);
        let (want_keys, want_values) = (self.projection.contains(&0), self.projection.contains(&1));
        let mut rows = 0;
        let mut bytes = 0;
        while rows < wanted && bytes < 64 << 20 {
            let scan = match &mut self.current {
                Some(scan) => scan,
                None => match self.ranges.next() {
                    Some(range) => self.current.insert(self.view.scan(range, Direction::Forward)?),
                    None => break,
                },
            };
            match scan.next_entry()? {
                Some((key, value)) => {
                    if want_keys {
                        keys.append_value(show(key));
                    }
                    if want_values {
                        values.append_value(show(value));
                    }
                    rows += 1;
                    bytes += key.len() + value.len();
                }
                None => self.current = None,
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        self.left -= rows;
        let columns =
            self.projection
                .iter()
                .map(|column| {
                    if *column == 0 { Arc::new(keys.finish()) as ArrayRef } else { Arc::new(values.finish()) }
                })
                .collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::internal(error.to_string()))?;
        Ok(Some(batch))
    }
}

impl Iterator for Batches {
    type Item = DataFusionResult<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().map_err(Into::into).transpose()
    }
}
