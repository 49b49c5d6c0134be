//! Changes that foreign keys ask for in tables with triggers: done here, with the triggers.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use bytes::Bytes;
use cairn_engine::Table;
use cairn_engine::table::{self, FollowUp, Left};

use super::fire::{Event, Firing, differing, regenerated};
use crate::Result;
use crate::context::Context;
use crate::dml::relations::arrow_error;

/// Does what a statement left, and what follows from it.
///
/// # Errors
/// Those of triggers, and of [`table::finish_statement`].
pub(crate) fn follow(context: &Context, mut left: Left) -> Result<()> {
    let mut work: VecDeque<FollowUp> = std::mem::take(&mut left.follow_ups).into();
    while let Some(change) = work.pop_front() {
        let mut more = match change {
            FollowUp::Delete { table, keys } => delete(context, &table, keys)?,
            FollowUp::Update { table, keys, new, places } => update(context, &table, keys, new, &places)?,
        };
        work.extend(std::mem::take(&mut more.follow_ups));
        left.add(more);
    }
    Ok(table::finish_statement(context.txn(), left)?)
}

/// The rows of those keys that are still there, as they are now.
fn current(
    context: &Context,
    table: &Table,
    keys: &[Bytes],
) -> Result<(Vec<Bytes>, RecordBatch, Vec<usize>)> {
    let all: Vec<usize> = (0..table.live_columns().len()).collect();
    let fetched = table::get(&context.txn().view()?, table, keys, &all)?;
    let keys = fetched.found.iter().map(|at| keys[*at].clone()).collect();
    Ok((keys, fetched.batch, fetched.found))
}

fn kept_keys(keys: Vec<Bytes>, kept: &arrow::array::BooleanArray) -> Vec<Bytes> {
    keys.into_iter().enumerate().filter(|(at, _)| kept.value(*at)).map(|(_, key)| key).collect()
}

fn delete(context: &Context, table: &Arc<Table>, keys: Vec<Bytes>) -> Result<Left> {
    let mut firing = Firing::of(context, table, Event::Delete, &[])?;
    let (mut keys, mut old, _) = current(context, table, &keys)?;
    if let Some(firing) = &mut firing {
        firing.begin()?;
        let (_, kept) = firing.before_rows(Some(&old), None)?;
        keys = kept_keys(keys, &kept);
        old = filter_record_batch(&old, &kept).map_err(arrow_error)?;
        firing.check_untouched(&keys)?;
    }
    let (_, left) = table::delete_with(context.txn(), table, &keys, false)?;
    context.note_modified(table.id, &keys);
    finish(firing, Some(old), None)?;
    Ok(left)
}

fn update(
    context: &Context,
    table: &Arc<Table>,
    keys: Vec<Bytes>,
    new: RecordBatch,
    places: &[usize],
) -> Result<Left> {
    let mut firing = Firing::of(context, table, Event::Update, places)?;
    let (mut keys, mut old, found) = current(context, table, &keys)?;
    let rows = arrow::array::UInt64Array::from_iter_values(found.iter().map(|at| *at as u64));
    let mut new = arrow::compute::take_record_batch(&new, &rows).map_err(arrow_error)?;
    let mut changed = places.to_vec();
    if let Some(firing) = &mut firing {
        firing.begin()?;
        if firing.has_before_rows() {
            let (changed_rows, kept) = firing.before_rows(Some(&old), Some(&new))?;
            new = changed_rows.unwrap_or(new);
            keys = kept_keys(keys, &kept);
            old = filter_record_batch(&old, &kept).map_err(arrow_error)?;
            firing.check_untouched(&keys)?;
            new = regenerated(context, table, new)?;
            changed.extend(differing(&old, &new));
        }
    }
    let (_, left) = table::update_with(context.txn(), table, &keys, &new, &changed, false)?;
    context.note_modified(table.id, &keys);
    finish(firing, Some(old), Some(new))?;
    Ok(left)
}

fn finish(firing: Option<Firing<'_>>, old: Option<RecordBatch>, new: Option<RecordBatch>) -> Result<()> {
    let Some(mut firing) = firing else { return Ok(()) };
    firing.changed(old, new);
    firing.finish()
}
