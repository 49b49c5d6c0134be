//! Rows into a table: what INSERT, COPY FROM and CREATE TABLE AS share.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array};
use cairn_engine::Table;
use cairn_engine::catalog::ObjectId;
use cairn_engine::table::{self, OnConflict};
use sqlparser::ast::Expr;

use super::conflict::{self, Conflict};
use super::default::Default;
use super::relations::{self, Relation, arrow_error};
use super::target::batch_of;
use crate::Result;
use crate::context::Context;
use crate::privileges::policies::{self, Written};
use crate::trigger::{Event, Firing};

/// Takes batches of given columns, adds defaults, and inserts.
pub(crate) struct Inserter<'c> {
    context: &'c Context,
    table: Arc<Table>,
    /// Places of the columns that batches bring, in their order.
    given: Vec<usize>,
    /// Defaults of the others.
    defaults: Vec<(usize, Default)>,
    conflict: Option<Conflict<'c>>,
    /// Which of the rows given are meant.
    condition: Option<Expr>,
    keep_rows: bool,
    /// Triggers of INSERT.
    firing: Option<Firing<'c>>,
    /// Whether the owner of the triggers is another, who ends the statement.
    is_part: bool,
    /// Whose policies new rows have to meet, and whether they have to be seen, too.
    role: (ObjectId, bool),
    /// Rows inserted or updated.
    pub(crate) count: u64,
    /// They, if wanted.
    pub(crate) rows: Vec<RecordBatch>,
    /// Which rows of each batch triggers let through.
    pub(crate) kept: Vec<BooleanArray>,
}

impl<'c> Inserter<'c> {
    /// For batches of the columns at `given`.
    pub(crate) fn new(context: &'c Context, table: Arc<Table>, given: Vec<usize>) -> Result<Inserter<'c>> {
        let firing = Firing::of(context, &table, Event::Insert, &[])?;
        Ok(Inserter { firing, ..Inserter::without_triggers(context, table, given)? })
    }

    /// The same with triggers that another one has begun and will end.
    pub(crate) fn with_firing(
        context: &'c Context,
        table: Arc<Table>,
        given: Vec<usize>,
        firing: Option<Firing<'c>>,
    ) -> Result<Inserter<'c>> {
        Ok(Inserter { firing, is_part: true, ..Inserter::without_triggers(context, table, given)? })
    }

    fn without_triggers(context: &'c Context, table: Arc<Table>, given: Vec<usize>) -> Result<Inserter<'c>> {
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
            condition: None,
            keep_rows: false,
            firing: None,
            is_part: false,
            role: (context.role(), false),
            count: 0,
            rows: Vec::new(),
            kept: Vec::new(),
        })
    }

    /// With an ON CONFLICT clause.
    pub(crate) fn on_conflict(self, conflict: Option<Conflict<'c>>) -> Inserter<'c> {
        Inserter { conflict, ..self }
    }

    /// With the policies of that role; `selects`: its SELECT is needed, too.
    pub(crate) fn written_as(self, role: ObjectId, selects: bool) -> Inserter<'c> {
        Inserter { role: (role, selects), ..self }
    }

    /// Only rows for which a condition over the table's columns holds, defaults included.
    pub(crate) fn only_where(self, condition: Option<Expr>) -> Inserter<'c> {
        Inserter { condition, ..self }
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
        let batch = match &self.condition {
            Some(condition) => {
                let batch = table::with_generated(self.context.txn(), &self.table, batch)?;
                let side =
                    Relation { alias: self.table.name.clone(), rows: batch.clone(), in_wildcard: false };
                let items = [relations::item(condition.clone(), "value")];
                let values = relations::evaluate(self.context, &[side], &items)?;
                let holds = |row: usize| {
                    values.column(0).as_boolean_opt().is_some_and(|v| v.is_valid(row) && v.value(row))
                };
                let kept: BooleanArray = (0..batch.num_rows()).map(|row| Some(holds(row))).collect();
                arrow::compute::filter_record_batch(&batch, &kept).map_err(arrow_error)?
            }
            None => batch,
        };
        self.begin()?;
        let batch = match &self.firing {
            Some(firing) => {
                let (given, kept) = firing.before_rows(None, Some(&batch))?;
                self.kept.push(kept);
                given.unwrap_or(batch)
            }
            None => batch,
        };
        if self.firing.as_ref().is_some_and(Firing::is_instead) {
            self.count += batch.num_rows() as u64;
            if self.keep_rows {
                self.rows.push(batch);
            }
            return Ok(());
        }
        self.insert(table::with_generated(self.context.txn(), &self.table, batch)?)
    }

    fn begin(&mut self) -> Result<()> {
        self.firings().try_for_each(Firing::begin)
    }

    /// The statement ends: AFTER triggers run.
    ///
    /// # Errors
    /// Theirs.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.begin()?;
        if self.is_part {
            return Ok(());
        }
        let mut all: Vec<&mut Firing<'c>> = self.firings().collect();
        all.reverse();
        all.iter_mut().try_for_each(|firing| firing.finish_rows())?;
        all.iter_mut().try_for_each(|firing| firing.finish_statement())
    }

    /// The triggers of INSERT and of DO UPDATE.
    fn firings(&mut self) -> impl Iterator<Item = &mut Firing<'c>> {
        self.firing.as_mut().into_iter().chain(self.conflict.as_mut().and_then(Conflict::firing))
    }

    /// Gives the triggers back to who has begun them.
    pub(crate) fn into_firing(self) -> Option<Firing<'c>> {
        self.firing
    }

    fn insert(&mut self, batch: RecordBatch) -> Result<()> {
        let (role, selects) = self.role;
        policies::verify(self.context, role, &self.table, (Written::Inserted, selects), &batch)?;
        let mode = self.conflict.as_ref().map_or(OnConflict::Error, |conflict| conflict.mode());
        let inserted = table::insert(self.context.txn(), &self.table, &batch, mode)?;
        self.count += inserted.rows as u64;
        let updated = match &mut self.conflict {
            Some(conflict) => {
                conflict::check_visible(self.context, &self.table, &inserted)?;
                conflict.apply(self.context, &self.table, role, (&batch, &inserted))?
            }
            None => None,
        };
        self.count += updated.as_ref().map_or(0, |(rows, _)| rows.num_rows() as u64);
        if let Some(firing) = self.firing.as_mut().filter(|firing| firing.wants_rows()) {
            let mut fresh = vec![true; batch.num_rows()];
            inserted.conflicts.iter().for_each(|c| fresh[c.row] = false);
            let rows = arrow::compute::filter_record_batch(&batch, &BooleanArray::from(fresh));
            firing.changed(None, Some(rows.map_err(arrow_error)?));
        }
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
