//! Running the triggers of one statement on one table.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use bytes::Bytes;
use cairn_engine::catalog::{RoutineDescriptor, TriggerDescriptor, TriggerTiming};
use cairn_engine::{Table, table};
use cairn_types::Value;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use sqlparser::ast::Expr;

use super::row::{Code, Given};
use crate::context::{Body as Surroundings, Context, Modified};
use crate::dml::default::parse_expr;
use crate::dml::relations::{self, Relation, arrow_error, concat};
use crate::dml::target::{batch_of, relaxed};
use crate::routine::run_as;
use crate::{Error, Result};

/// What happens to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Insert,
    Update,
    Delete,
    Truncate,
}

impl Event {
    fn word(self) -> &'static str {
        match self {
            Event::Insert => "INSERT",
            Event::Update => "UPDATE",
            Event::Delete => "DELETE",
            Event::Truncate => "TRUNCATE",
        }
    }

    fn is_of(self, trigger: &TriggerDescriptor) -> bool {
        let events = trigger.events;
        match self {
            Event::Insert => events.insert,
            Event::Update => events.update,
            Event::Delete => events.delete,
            Event::Truncate => events.truncate,
        }
    }
}

/// A trigger with its function.
struct Ready {
    trigger: TriggerDescriptor,
    function: Arc<RoutineDescriptor>,
    when: Option<Expr>,
}

/// The triggers that a statement sets off on a table.
pub(crate) struct Firing<'c> {
    context: &'c Context,
    table: Arc<Table>,
    event: Event,
    all: Vec<Ready>,
    begun: bool,
    /// Rows before and after the change, for AFTER triggers.
    old: Vec<RecordBatch>,
    new: Vec<RecordBatch>,
    /// Rows of any table that BEFORE ROW triggers changed.
    written: Arc<Modified>,
}

impl<'c> Firing<'c> {
    /// Those of a table for an event; `changed` are the places that SET names. `None` where there are none.
    pub(crate) fn of(
        context: &'c Context,
        table: &Arc<Table>,
        event: Event,
        changed: &[usize],
    ) -> Result<Option<Firing<'c>>> {
        if table.triggers.is_empty() {
            return Ok(None);
        }
        let catalog = context.catalog()?;
        let named = |trigger: &TriggerDescriptor| {
            event != Event::Update
                || trigger.columns.is_empty()
                || changed.iter().any(|place| trigger.columns.contains(&table.live_column(*place).id))
        };
        let mut all = Vec::new();
        for trigger in table.triggers.iter().filter(|t| t.enabled && event.is_of(t) && named(t)) {
            let function = catalog.routine_by_id(trigger.function).cloned();
            let function = function.ok_or_else(|| Error::internal("a trigger without its function"))?;
            let when = trigger.when.as_deref().map(parse_expr).transpose()?;
            all.push(Ready { trigger: trigger.clone(), function, when });
        }
        if all.is_empty() {
            return Ok(None);
        }
        Ok(Some(Firing {
            context,
            table: Arc::clone(table),
            event,
            all,
            begun: false,
            old: Vec::new(),
            new: Vec::new(),
            written: Arc::default(),
        }))
    }

    fn at(&self, timing: TriggerTiming, per_row: bool) -> impl Iterator<Item = &Ready> {
        self.all.iter().filter(move |r| r.trigger.timing == timing && r.trigger.per_row == per_row)
    }

    /// Whether rows are looked at before they are written.
    pub(crate) fn has_before_rows(&self) -> bool {
        self.at(TriggerTiming::Before, true).next().is_some()
    }

    /// Whether the change is done by triggers and by nothing else.
    pub(crate) fn is_instead(&self) -> bool {
        self.at(TriggerTiming::InsteadOf, true).next().is_some()
    }

    /// Whether rows are wanted after they are written.
    pub(crate) fn wants_rows(&self) -> bool {
        self.at(TriggerTiming::After, true).next().is_some()
            || self.all.iter().any(|r| r.trigger.old_table.is_some() || r.trigger.new_table.is_some())
    }

    /// BEFORE STATEMENT, once.
    pub(crate) fn begin(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        self.statement(TriggerTiming::Before)
    }

    fn statement(&self, timing: TriggerTiming) -> Result<()> {
        for ready in self.at(timing, false) {
            if let Some(when) = &ready.when
                && !condition(self.context, &self.table, when, None, None, 1)?.value(0)
            {
                continue;
            }
            let surroundings = self.surroundings(ready)?;
            let code = self.code(ready, &surroundings)?;
            code.run(
                &run_as(self.context, &ready.function)?,
                &self.table,
                &ready.trigger,
                self.event.word(),
                (None, None),
                surroundings,
            )?;
        }
        Ok(())
    }

    fn surroundings(&self, ready: &Ready) -> Result<Surroundings> {
        let mut transitions = Vec::new();
        let sides = [(&ready.trigger.old_table, &self.old), (&ready.trigger.new_table, &self.new)];
        for (name, rows) in sides {
            if let Some(name) = name {
                transitions.push((name.clone(), memory(&self.table, rows)?));
            }
        }
        Ok(Surroundings { depth: 0, triggers: 1, nested: true, transitions, written: None })
    }

    /// The function's body; its names mean what they mean with those surroundings.
    fn code(&self, ready: &Ready, surroundings: &Surroundings) -> Result<Code> {
        let surroundings = Surroundings { depth: self.context.scope.depth(), ..surroundings.clone() };
        let context = run_as(self.context, &ready.function)?;
        let context = Context { scope: Arc::new(context.scope.in_body(surroundings)) };
        Code::read(&context, &self.table, &ready.trigger, &ready.function)
    }

    /// BEFORE ROW (or INSTEAD OF): the rows that go on, as they are now, and which of those given they are.
    pub(crate) fn before_rows(
        &self,
        old: Option<&RecordBatch>,
        new: Option<&RecordBatch>,
    ) -> Result<(Option<RecordBatch>, BooleanArray)> {
        let count = new.or(old).map_or(0, RecordBatch::num_rows);
        let timing = if self.is_instead() { TriggerTiming::InsteadOf } else { TriggerTiming::Before };
        let all: Vec<&Ready> = self.at(timing, true).collect();
        let mut kept = vec![true; count];
        if all.is_empty() {
            return Ok((new.cloned(), BooleanArray::from(kept)));
        }
        let surroundings = Surroundings {
            depth: 0,
            triggers: 1,
            nested: true,
            transitions: Vec::new(),
            written: Some(Arc::clone(&self.written)),
        };
        let codes = all.iter().map(|ready| self.code(ready, &surroundings)).collect::<Result<Vec<_>>>()?;
        let olds = old.map(|rows| cells(&self.table, rows));
        let mut news = new.map(|rows| cells(&self.table, rows));
        for row in 0..count {
            for (ready, code) in all.iter().zip(&codes) {
                let old_row = olds.as_ref().map(|rows| rows[row].as_slice());
                let new_row = news.as_ref().map(|rows| rows[row].as_slice());
                if !self.holds(ready, old_row, new_row)? {
                    continue;
                }
                let rows = (old_row, new_row);
                let word = self.event.word();
                let surroundings = surroundings.clone();
                let context = &run_as(self.context, &ready.function)?;
                match code.run(context, &self.table, &ready.trigger, word, rows, surroundings)? {
                    Given::Unchanged => {}
                    Given::Nothing => {
                        kept[row] = false;
                        break;
                    }
                    Given::Row(values) => {
                        if let Some(rows) = &mut news {
                            rows[row] = values;
                        }
                    }
                }
            }
        }
        let kept = BooleanArray::from(kept);
        let decides = codes.iter().any(Code::decides);
        let Some(before) = new else { return Ok((None, kept)) };
        let rows = match decides {
            true => batch(&self.table, &news.unwrap_or_default())?,
            false => before.clone(),
        };
        Ok((Some(filter_record_batch(&rows, &kept).map_err(arrow_error)?), kept))
    }

    fn holds(&self, ready: &Ready, old: Option<&[Value]>, new: Option<&[Value]>) -> Result<bool> {
        let Some(when) = &ready.when else { return Ok(true) };
        let one = |row: Option<&[Value]>| row.map(|row| batch(&self.table, &[row.to_vec()])).transpose();
        let (old, new) = (one(old)?, one(new)?);
        Ok(condition(self.context, &self.table, when, old.as_ref(), new.as_ref(), 1)?.value(0))
    }

    /// Refuses to overwrite what a BEFORE ROW trigger did to one of the rows (I2).
    pub(crate) fn check_untouched(&self, keys: &[Bytes]) -> Result<()> {
        let written = self.written.lock();
        match keys.iter().any(|key| written.contains(&(self.table.id, key.clone()))) {
            true => Err(Error::new(
                "27000",
                "tuple to be updated was already modified by an operation triggered by the current command",
            )
            .with_hint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.")),
            false => Ok(()),
        }
    }

    /// Notes rows that were changed.
    pub(crate) fn changed(&mut self, old: Option<RecordBatch>, new: Option<RecordBatch>) {
        if self.wants_rows() {
            self.old.extend(old);
            self.new.extend(new);
        }
    }

    /// AFTER ROW for all rows that were changed, then AFTER STATEMENT.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.finish_rows()?;
        self.finish_statement()
    }

    /// AFTER STATEMENT.
    pub(crate) fn finish_statement(&mut self) -> Result<()> {
        self.statement(TriggerTiming::After)
    }

    /// AFTER ROW.
    pub(crate) fn finish_rows(&mut self) -> Result<()> {
        self.begin()?;
        let rows: usize = [&self.old, &self.new]
            .into_iter()
            .map(|batches| batches.iter().map(RecordBatch::num_rows).sum())
            .max()
            .unwrap_or(0);
        let all: Vec<&Ready> = self.at(TriggerTiming::After, true).collect();
        match all.is_empty() || rows == 0 {
            true => Ok(()),
            false => self.after_rows(&all, rows),
        }
    }

    fn after_rows(&self, all: &[&Ready], rows: usize) -> Result<()> {
        let schema = relaxed(&self.table);
        let whole = |batches: &Vec<RecordBatch>| -> Result<Option<RecordBatch>> {
            let batches = batches.iter().map(|b| batch_of(&self.table, b.columns().to_vec(), b.num_rows()));
            let batches = batches.collect::<Result<Vec<_>>>()?;
            if batches.is_empty() { Ok(None) } else { concat(&schema, &batches).map(Some) }
        };
        let (old, new) = (whole(&self.old)?, whole(&self.new)?);
        let mut runs = Vec::with_capacity(all.len());
        for ready in all {
            let surroundings = self.surroundings(ready)?;
            let code = self.code(ready, &surroundings)?;
            let holds = match &ready.when {
                Some(when) => condition(self.context, &self.table, when, old.as_ref(), new.as_ref(), rows)?,
                None => BooleanArray::from(vec![true; rows]),
            };
            runs.push((ready, code, surroundings, holds));
        }
        let (olds, news) =
            (old.map(|rows| cells(&self.table, &rows)), new.map(|rows| cells(&self.table, &rows)));
        for row in 0..rows {
            for (ready, code, surroundings, holds) in &runs {
                if !holds.value(row) {
                    continue;
                }
                let sides = (
                    olds.as_ref().map(|rows| rows[row].as_slice()),
                    news.as_ref().map(|rows| rows[row].as_slice()),
                );
                let word = self.event.word();
                code.run(self.context, &self.table, &ready.trigger, word, sides, surroundings.clone())?;
            }
        }
        Ok(())
    }
}

/// The places of columns in which two batches of a table differ.
pub(crate) fn differing(old: &RecordBatch, new: &RecordBatch) -> Vec<usize> {
    let same = |place: &usize| old.column(*place).to_data() == new.column(*place).to_data();
    (0..new.num_columns()).filter(|place| !same(place)).collect()
}

/// For which rows a WHEN condition holds.
pub(super) fn condition(
    context: &Context,
    table: &Table,
    when: &Expr,
    old: Option<&RecordBatch>,
    new: Option<&RecordBatch>,
    rows: usize,
) -> Result<BooleanArray> {
    let empty = || RecordBatch::new_empty(relaxed(table));
    let side =
        |alias: &str, rows: RecordBatch| Relation { alias: alias.to_owned(), rows, in_wildcard: false };
    let mut sides = Vec::new();
    match (old, new) {
        (None, None) if rows == 0 => sides.extend([side("old", empty()), side("new", empty())]),
        (None, None) => {
            let schema = Arc::new(arrow::datatypes::Schema::new(vec![arrow::datatypes::Field::new(
                "__cairn_one",
                arrow::datatypes::DataType::Int64,
                false,
            )]));
            let one = Arc::new(arrow::array::Int64Array::from_iter_values(0..rows as i64));
            let rows = RecordBatch::try_new(schema, vec![one]).map_err(arrow_error)?;
            sides.push(side("__cairn_statement", rows));
        }
        (old, new) => {
            sides.extend(old.map(|rows| side("old", rows.clone())));
            sides.extend(new.map(|rows| side("new", rows.clone())));
        }
    }
    let values = relations::evaluate(context, &sides, &[relations::item(when.clone(), "__cairn_when")])?;
    let value = values.column(0);
    if value.data_type().is_null() {
        return Ok(BooleanArray::from(vec![false; rows]));
    }
    let Some(holds) = value.as_boolean_opt() else {
        return Err(Error::new("42804", "argument of WHEN must be type boolean"));
    };
    Ok((0..holds.len()).map(|row| Some(holds.is_valid(row) && holds.value(row))).collect())
}

/// The rows of a batch as values.
fn cells(table: &Table, rows: &RecordBatch) -> Vec<Vec<Value>> {
    let columns: Vec<_> = table.live_columns().collect();
    let cell = |row: usize, at: usize| Value::from_array(rows.column(at).as_ref(), row, &columns[at].ty);
    (0..rows.num_rows()).map(|row| (0..columns.len()).map(|at| cell(row, at)).collect()).collect()
}

/// Values as a batch of a table's columns.
fn batch(table: &Table, rows: &[Vec<Value>]) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(table.live_columns().len());
    for (at, column) in table.live_columns().enumerate() {
        let cells: Vec<Value> = rows.iter().map(|row| row[at].clone()).collect();
        columns.push(Value::to_array(&cells, &column.ty)?);
    }
    batch_of(table, columns, rows.len())
}

fn memory(table: &Table, rows: &[RecordBatch]) -> Result<Arc<dyn TableProvider>> {
    let rows = rows.iter().map(|b| batch_of(table, b.columns().to_vec(), b.num_rows()));
    Ok(Arc::new(MemTable::try_new(relaxed(table), vec![rows.collect::<Result<Vec<_>>>()?])?))
}

/// Generated columns anew, as triggers may have changed what they are made of.
pub(crate) fn regenerated(context: &Context, table: &Table, rows: RecordBatch) -> Result<RecordBatch> {
    Ok(table::with_generated(context.txn(), table, rows)?)
}
