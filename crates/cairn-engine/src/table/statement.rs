//! One UPDATE or DELETE with all that its foreign keys bring about.
//!
//! The work is a queue, not a recursion: a chain of rows that each refer to the next may be as long as it likes.
//!
//! I1: when a statement has ended well, no child row refers to a key that it took away: rows that refer with NO
//! ACTION are looked for at the end, when all other actions are done.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use cairn_types::{DataType, Value};

use super::children::{self, References};
use super::follow::FollowUp;
use super::read::current;
use super::{delete, partition, update};
use crate::catalog::{ForeignKey, Table};
use crate::error::{Error, Result};
use crate::transaction::Writer;

/// What a child's columns get.
pub(super) enum NewValues {
    Null,
    Default,
    /// For each row key a value for each column.
    Given(Vec<Vec<Value>>),
}

/// What is still to be done.
enum Work {
    Delete { table: Arc<Table>, keys: Vec<Bytes> },
    Assign { table: Arc<Table>, keys: Vec<Bytes>, places: Vec<usize>, values: NewValues },
}

/// Parent keys that are gone, whose children must be gone too at the end.
#[derive(Debug)]
pub(super) struct Gone {
    child: Arc<Table>,
    foreign_key: ForeignKey,
    keys: Vec<Vec<Value>>,
}

impl Gone {
    /// No child refers to the keys.
    pub(super) fn check(self, writer: &mut Writer<'_>) -> Result<()> {
        let (child, key) = (&self.child, &self.foreign_key);
        if writer.deferred().is_deferred(child.id, key) {
            writer.defer_gone(child, key, self.keys);
            return Ok(());
        }
        children::refuse(writer, &self.child, &self.foreign_key, self.keys)
    }
}

#[derive(Default)]
pub(super) struct Statement {
    work: VecDeque<Work>,
    gone: Vec<Gone>,
    /// Whether changes of tables with triggers are left to the caller.
    leaves: bool,
    left: Vec<FollowUp>,
}

impl Statement {
    /// A statement that leaves changes of tables with triggers to its caller.
    pub(super) fn leaving() -> Statement {
        Statement { leaves: true, ..Statement::default() }
    }

    pub(super) fn delete(&mut self, table: Arc<Table>, keys: Vec<Bytes>) {
        self.work.push_back(Work::Delete { table, keys });
    }

    pub(super) fn assign(
        &mut self,
        table: Arc<Table>,
        keys: Vec<Bytes>,
        places: Vec<usize>,
        values: NewValues,
    ) {
        self.work.push_back(Work::Assign { table, keys, places, values });
    }

    pub(super) fn check_at_end(&mut self, child: Arc<Table>, foreign_key: ForeignKey, keys: Vec<Vec<Value>>) {
        self.gone.push(Gone { child, foreign_key, keys });
    }

    /// Does all the work, and what it brings about, then checks I1.
    pub(super) fn finish(mut self, writer: &mut Writer<'_>) -> Result<()> {
        self.work_off(writer)?;
        self.gone.into_iter().try_for_each(|gone| gone.check(writer))
    }

    /// The same; what it leaves to the caller. I1 is checked where there is nothing to leave.
    pub(super) fn finish_leaving(mut self, writer: &mut Writer<'_>) -> Result<(Vec<FollowUp>, Vec<Gone>)> {
        self.work_off(writer)?;
        if !self.left.is_empty() {
            return Ok((self.left, self.gone));
        }
        self.gone.into_iter().try_for_each(|gone| gone.check(writer))?;
        Ok((Vec::new(), Vec::new()))
    }

    fn work_off(&mut self, writer: &mut Writer<'_>) -> Result<()> {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Delete { table, keys } if self.is_left(&table) => {
                    self.left.push(FollowUp::Delete { table, keys });
                }
                Work::Delete { table, keys } => {
                    delete::rows(writer, &table, &keys, self, false)?;
                }
                Work::Assign { table, keys, places, values } => {
                    let (keys, batch) = assigned(writer, &table, &keys, &places, &values)?;
                    let batch = super::generated::fill(writer.database, &table, batch)?;
                    let places: Vec<usize> = places.into_iter().chain(table.generated_places()).collect();
                    if self.is_left(&table) {
                        self.left.push(FollowUp::Update { table, keys, new: batch, places });
                        continue;
                    }
                    super::check::rows(writer.database, &table, &batch, Some(&places))?;
                    let moved = partition::of_topmost(&writer.catalog, &table, &keys, &batch, &places)?;
                    if let Some((top, keys, new, places)) = moved {
                        update::rows(writer, &top, &keys, &new, &places, self, false)?;
                        continue;
                    }
                    update::rows(writer, &table, &keys, &batch, &places, self, false)?;
                }
            }
        }
        Ok(())
    }

    fn is_left(&self, table: &Table) -> bool {
        self.leaves && !table.triggers.is_empty()
    }
}

/// The rows of those keys with some columns replaced.
fn assigned(
    writer: &Writer<'_>,
    table: &Table,
    keys: &[Bytes],
    places: &[usize],
    values: &NewValues,
) -> Result<(Vec<Bytes>, RecordBatch)> {
    let rows = current(writer, table, keys)?;
    let count = rows.found.len();
    let mut columns: Vec<ArrayRef> = rows.batch.columns().to_vec();
    for (i, place) in places.iter().enumerate() {
        let ty: &DataType = &table.live_column(*place).ty;
        columns[*place] = match values {
            NewValues::Null => Value::to_array(&vec![Value::Null; count], ty)?,
            NewValues::Default if table.live_column(*place).default.is_none() => {
                Value::to_array(&vec![Value::Null; count], ty)?
            }
            NewValues::Default => {
                let expressions = writer.database.expressions().ok_or_else(|| {
                    Error::InvalidArgument(format!("a default of table \"{}\" needs SQL", table.name))
                })?;
                expressions.default(table, *place, count)?
            }
            NewValues::Given(values) => {
                let cells = rows.found.iter().map(|row| values[*row][i].clone().fit(ty));
                Value::to_array(&cells.collect::<Result<Vec<_>, _>>()?, ty)?
            }
        };
    }
    let keys = rows.found.iter().map(|i| keys[*i].clone()).collect();
    // The plain schema: a column that may not be NULL is refused by the check of rows, with its proper message.
    let fields = table.arrow_schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    let schema = Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()));
    Ok((keys, RecordBatch::try_new(schema, columns)?))
}

/// The distinct keys (without NULL) among those rows, and for each the row it is of.
pub(super) struct KeySet {
    pub(super) keys: Vec<Vec<Value>>,
    pub(super) rows: Vec<usize>,
}

impl KeySet {
    /// From the columns at `places` of the rows for which `wanted` holds.
    pub(super) fn of(
        table: &Table,
        batch: &RecordBatch,
        places: &[usize],
        wanted: impl Fn(usize) -> bool,
    ) -> KeySet {
        let mut set = KeySet { keys: Vec::new(), rows: Vec::new() };
        for row in (0..batch.num_rows()).filter(|row| wanted(*row)) {
            let values = row_values(table, batch, places, row);
            if !values.iter().any(Value::is_null) {
                set.keys.push(values);
                set.rows.push(row);
            }
        }
        set
    }
}

/// The values of some columns of one row.
pub(super) fn row_values(table: &Table, batch: &RecordBatch, places: &[usize], row: usize) -> Vec<Value> {
    let cell =
        |place: &usize| Value::from_array(batch.column(*place).as_ref(), row, &table.live_column(*place).ty);
    places.iter().map(cell).collect()
}

/// The children that refer to those keys of `parent`, a foreign key at a time.
pub(super) fn references(writer: &Writer<'_>, parent: &Table) -> Vec<References> {
    let catalog = &writer.catalog;
    let own = |(child, key): (&Arc<Table>, &ForeignKey)| References {
        child: child.clone(),
        foreign_key: key.clone(),
    };
    let mut all: Vec<References> = catalog.children(parent.id).map(own).collect();
    // What refers to a table that this one is a partition of refers to its rows, by the partition's own columns.
    for above in catalog.ancestors(parent) {
        for (child, key) in catalog.children(above.id) {
            let names = key.parent_columns.iter().filter_map(|id| above.column_by_id(*id));
            let columns = names.filter_map(|column| Some(parent.column(&column.name).ok()?.id)).collect();
            let foreign_key = ForeignKey { parent: parent.id, parent_columns: columns, ..key.clone() };
            all.push(References { child: child.clone(), foreign_key });
        }
    }
    all
}
