//! Rows into a table: what INSERT, COPY FROM and CREATE TABLE AS share.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use cairn_engine::Table;
use cairn_engine::table::{self, OnConflict};

use super::conflict::{self, Conflict};
use super::default::Default;
use super::relations::arrow_error;
use super::target::batch_of;
use crate::Result;
use crate::context::Context;

/// Takes batches of given columns, adds defaults, and inserts.
pub(crate) struct Inserter<'c> {
    context: &'c Context,
    table: Arc<Table>,
    /// Places of the columns that batches bring, in their order.
    given: Vec<usize>,
    /// Defaults of the others.
    defaults: Vec<(usize, Default)>,
    conflict: Option<Conflict>,
    keep_rows: bool,
    /// Rows inserted or updated.
    pub(crate) count: u64,
    /// They, if wanted.
    pub(crate) rows: Vec<RecordBatch>,
}

impl<'c> Inserter<'c> {
    /// For batches of the columns at `given`.
    pub(crate) fn new(context: &'c Context, table: Arc<Table>, given: Vec<usize>) -> Result<Inserter<'c>> {
        let mut defaults = Vec::new();
        for (place, column) in table.live_columns().enumerate() {
            if !given.contains(&place) {
                defaults.push((place, Default::of(context, column)?));
            }
        }
        Ok(Inserter {
            context,
            table,
            given,
            defaults,
            conflict: None,
            keep_rows: false,
            count: 0,
            rows: Vec::new(),
        })
    }

    /// With an ON CONFLICT clause.
    pub(crate) fn on_conflict(self, conflict: Option<Conflict>) -> Inserter<'c> {
        Inserter { conflict, ..self }
    }

    /// Remembers the rows for RETURNING.
    pub(crate) fn keeping_rows(self, keep_rows: bool) -> Inserter<'c> {
        Inserter { keep_rows, ..self }
    }

    /// Inserts rows whose given columns are `columns`, of the table's types.
    ///
    /// # Errors
    /// Constraint violations (`23xxx`), those of defaults, those of the engine.
    pub(crate) fn push(&mut self, columns: Vec<ArrayRef>, rows: usize) -> Result<()> {
        let mut all: Vec<Option<ArrayRef>> = vec![None; self.table.live_columns().len()];
        for (place, array) in self.given.iter().zip(columns) {
            all[*place] = Some(array);
        }
        for (place, default) in &self.defaults {
            all[*place] = Some(default.array(self.context, self.table.live_column(*place), rows)?);
        }
        let batch = batch_of(&self.table, all.into_iter().flatten().collect(), rows)?;
        self.insert(table::with_generated(self.context.txn(), &self.table, batch)?)
    }

    fn insert(&mut self, batch: RecordBatch) -> Result<()> {
        let mode = self.conflict.as_ref().map_or(OnConflict::Error, Conflict::mode);
        let inserted = table::insert(self.context.txn(), &self.table, &batch, mode)?;
        self.count += inserted.rows as u64;
        let updated = match &mut self.conflict {
            Some(conflict) => {
                conflict::check_visible(self.context, &self.table, &inserted)?;
                conflict.apply(self.context, &self.table, &batch, &inserted)?
            }
            None => None,
        };
        self.count += updated.as_ref().map_or(0, |(rows, _)| rows.num_rows() as u64);
        if !self.keep_rows {
            return Ok(());
        }
        if inserted.conflicts.is_empty() {
            self.rows.push(batch);
            return Ok(());
        }
        let mut fresh = vec![true; batch.num_rows()];
        inserted.conflicts.iter().for_each(|c| fresh[c.row] = false);
        let mut order: Vec<usize> = (0..fresh.len()).filter(|n| fresh[*n]).collect();
        let mut rows =
            arrow::compute::filter_record_batch(&batch, &BooleanArray::from(fresh)).map_err(arrow_error)?;
        if let Some((more, places)) = updated {
            order.extend(places);
            rows = arrow::compute::concat_batches(&rows.schema(), [&rows, &more]).map_err(arrow_error)?;
            let mut sorted: Vec<u64> = (0..order.len() as u64).collect();
            sorted.sort_by_key(|n| order[*n as usize]);
            rows =
                arrow::compute::take_record_batch(&rows, &UInt64Array::from(sorted)).map_err(arrow_error)?;
        }
        if rows.num_rows() > 0 {
            self.rows.push(rows);
        }
        Ok(())
    }
}
