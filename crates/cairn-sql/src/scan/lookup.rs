//! Reading rows of a scan's table by values that a join has found.

use arrow::array::RecordBatch;
use cairn_engine::catalog::IndexId;
use cairn_engine::table::{self, Access, Bounds, Match, ScanRequest};
use cairn_types::Value;
use datafusion::execution::TaskContext;

use super::exec::{Source, TableScanExec};
use crate::context::ScopeExtension;
use crate::{Error, Result};

impl TableScanExec {
    /// Whether rows may be looked up in the place of reading the table whole: nothing else tells what is read.
    pub(crate) fn can_look_up(&self) -> bool {
        matches!(self.choice.access, Access::Full)
            && self.choice.bitmap.is_none()
            && self.spec.template.is_none()
            && self.spec.slot.is_none()
            && self.spec.limit.is_none()
            && !self.spec.reverse
            && !self.spec.with_row_key
            && self.spec.shown.is_none()
    }

    /// The place among the live columns of an output column.
    pub(crate) fn place_of_output(&self, at: usize) -> Option<usize> {
        let place = *self.spec.wanted.get(at)?;
        (place < self.spec.table.live_columns().len()).then_some(place)
    }

    /// The rows whose column, which leads that index (0 = the key), has one of these values.
    pub(crate) fn look_up(
        &self,
        task: &TaskContext,
        index: IndexId,
        values: Vec<Value>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
        let scope = ScopeExtension::of(task.session_config().options())?;
        let view = match &self.spec.source {
            Source::View(view) => view.clone(),
            Source::Statement => {
                let view = scope.view.get().cloned();
                view.ok_or_else(|| Error::internal("a kept plan ran without a view"))?
            }
        };
        let bounds: Vec<Bounds> = values
            .into_iter()
            .map(|value| Bounds { equal: vec![Match::Equal(value)], ..Bounds::default() })
            .collect();
        let table = &self.spec.table;
        let access = match index {
            0 => table::primary_access(table, &bounds)?,
            index => table::index_access(table, index, &bounds)?,
        };
        let mut request = ScanRequest::new(access, self.spec.wanted.clone());
        request.batch_rows = task.session_config().batch_size();
        let schema = self.schema.clone();
        let rows = table::scan(&view, table, request)?;
        Ok(rows.map(move |batch| {
            // The statement's transaction lives as long as its rows are read.
            let _scope = &scope;
            let batch = batch.map_err(Error::from)?;
            batch.with_schema(schema.clone()).map_err(|error| Error::internal(error.to_string()))
        }))
    }
}
