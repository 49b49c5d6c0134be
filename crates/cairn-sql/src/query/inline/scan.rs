//! The scan of a compiled plan: one access, whatever parts the plan's own scan has.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cairn_engine::table::{self, Access, ScanRequest, TableScan};
use cairn_engine::{Direction, Table};

use super::{Run, shaped};
use crate::scan::exec::TableScanExec;
use crate::{Error, Result};

/// Rows that are read first where the plan says nothing of how many are wanted.
const ROWS_FIRST: usize = 64;
/// Rows in a batch at most.
const ROWS_BATCH: usize = 1024;

/// See the module.
pub(super) struct ScanNode {
    table: Arc<Table>,
    /// Places of the columns that are read.
    read: Vec<usize>,
    with: Source,
    is_whole: bool,
    limit: Option<usize>,
    first: usize,
    direction: Direction,
    schema: SchemaRef,
}

/// Where the access comes from.
enum Source {
    Always(Access),
    /// The statement's access of that number.
    Slot(usize),
}

impl ScanNode {
    /// A scan of a kept plan; `None` where row keys are wanted, which only statements that write want, and where several indexes
    /// give the rows.
    pub(super) fn of(scan: &TableScanExec) -> Option<ScanNode> {
        let spec = scan.spec();
        if spec.with_row_key || scan.choice().bitmap.is_some() {
            return None;
        }
        Some(ScanNode {
            table: Arc::clone(&spec.table),
            read: spec.wanted.clone(),
            with: match spec.slot {
                Some(slot) => Source::Slot(slot),
                None => Source::Always(scan.choice().access.clone()),
            },
            is_whole: matches!(scan.choice().access, Access::Full),
            limit: spec.limit,
            first: spec.wanted_rows.unwrap_or(ROWS_FIRST),
            direction: if spec.reverse { Direction::Reverse } else { Direction::Forward },
            schema: datafusion::physical_plan::ExecutionPlan::schema(scan),
        })
    }

    /// The same scan of some of its columns only, with the names of that schema.
    pub(super) fn of_columns(mut self, columns: &[usize], schema: SchemaRef) -> ScanNode {
        self.read = columns.iter().filter_map(|at| self.read.get(*at)).copied().collect();
        self.schema = schema;
        self
    }

    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The place in the table of a column that is read.
    pub(super) fn place_of(&self, output: usize) -> Option<usize> {
        self.read.get(output).copied()
    }

    /// Whether it reads all rows, whatever the parameters are.
    pub(super) fn reads_all(&self) -> bool {
        self.is_whole && self.limit.is_none() && self.direction == Direction::Forward
    }

    pub(super) fn open(&self, run: &Run<'_>, told: Option<&Access>) -> Result<TableScan> {
        let access = match (told, &self.with) {
            (Some(access), _) | (None, Source::Always(access)) => access,
            (None, Source::Slot(slot)) => {
                let access = run.accesses.get(*slot);
                access.ok_or_else(|| Error::internal("a kept plan ran without its accesses"))?
            }
        };
        let mut request = ScanRequest::new(access.clone(), self.read.as_slice());
        request.limit = self.limit;
        request.direction = self.direction;
        request.first_batch_rows = self.first;
        request.batch_rows = ROWS_BATCH.max(self.first);
        table::scan(run.view, &self.table, request).map_err(Error::from)
    }

    /// A batch of the engine's with the plan's names.
    pub(super) fn shaped(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let (_, columns, _) = batch.into_parts();
        shaped(&self.schema, columns, rows)
    }
}
