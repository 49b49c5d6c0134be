//! UPDATE: rows replaced, moved where their key changes, with the index entries that change.
//!
//! Uniqueness is judged when all rows of the call have left their old places, so `SET id = id + 1` works whatever the
//! order of the rows.

use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use cairn_storage::{KeyLock, ObjectLock};

use super::check;
use super::children;
use super::codec::{Codec, Entries, IndexCodec, Keys};
use super::late_unique::LateKeys;
use super::parent;
use super::partition;
use super::read::current;
use super::statement::{Statement, references};
use super::unique::{self, first_taken};
use crate::catalog::Table;
use crate::error::{Error, Result};
use crate::transaction::{Transaction, Writer};

/// Replaces the rows of those row keys by the rows of `new` (all live columns; row i for key i), with all that foreign
/// keys of other tables say. `changed` = the places of all columns that may differ from the old rows. Of a key given
/// twice the first counts. Returns how many of the rows were there.
///
/// # Errors
/// [`Error::Constraint`], [`Error::InvalidArgument`] for a batch of other columns, [`Error::Storage`]. Nothing is
/// changed then.
pub fn update(
    txn: &Transaction,
    table: &Table,
    keys: &[Bytes],
    new: &RecordBatch,
    changed: &[usize],
) -> Result<usize> {
    check::shape(table, new)?;
    if new.num_rows() != keys.len() {
        let (rows, keys) = (new.num_rows(), keys.len());
        return Err(Error::InvalidArgument(format!("{rows} rows for {keys} row keys")));
    }
    if table.is_partitioned() {
        partition::check_new_rows(txn, table, keys, new, changed)?;
    } else {
        check::rows(&txn.database, table, new, Some(changed))?;
        partition::check_update(&txn.catalog(), table, new, changed)?;
    }
    txn.write("UPDATE", |writer| {
        let mut statement = Statement::default();
        let updated = rows(writer, table, keys, new, changed, &mut statement, true)?;
        statement.finish(writer)?;
        Ok(updated)
    })
}

/// Updates rows of one table; what follows from it is put into `statement`. `direct`: as [`Writer::claim_rows`].
#[allow(clippy::too_many_arguments)]
pub(super) fn rows(
    writer: &mut Writer<'_>,
    table: &Table,
    row_keys: &[Bytes],
    new: &RecordBatch,
    changed: &[usize],
    statement: &mut Statement,
    direct: bool,
) -> Result<usize> {
    if table.is_partitioned() {
        return partition::update_rows(writer, table, row_keys, new, changed, statement, direct);
    }
    let codec = table.codec()?;
    writer.guard_table(table.id, ObjectLock::RowExclusive)?;
    writer.claim_rows(&codec.prefix, row_keys, lock_mode(codec, changed), direct)?;
    let old = current(writer, table, row_keys)?;
    writer.count_updated(table.id, old.found.len());
    let picked;
    let new = if old.found.len() == new.num_rows() {
        new
    } else {
        picked = take(table, new, &old.found)?;
        &picked
    };
    let moves = codec.key.iter().any(|(place, _)| changed.contains(place));
    let new_keys = if moves { Some(codec.row_keys(new, 0)?) } else { None };
    let keys = new_keys.as_ref().unwrap_or(&old.keys);
    let touched = |index: &IndexCodec| moves || index.reads.iter().any(|place| changed.contains(place));
    let sides = match codec.indexes.iter().any(touched) {
        true => {
            let expressions = writer.database.expressions();
            let before = codec.cells(expressions, table, &old.batch, None)?;
            Some((before, codec.cells(expressions, table, new, None)?))
        }
        false => None,
    };
    let work = match &sides {
        Some((before, after)) => index_changes(codec, before, after, &old.keys, keys, touched)?,
        None => Vec::new(),
    };
    for change in work.iter().filter(|change| codec.indexes[change.index].shape.unique) {
        let (gone, come) = (&change.old, &change.new);
        unique::claim(writer, &gone.keys, &change.rows, KeyLock::Update, |row| gone.exclusive[row])?;
        unique::claim(writer, &come.keys, &change.rows, KeyLock::NoKeyUpdate, |row| come.exclusive[row])?;
    }
    if let Some((before, after)) = &sides {
        for change in work.iter().filter(|change| table.indexes[change.index].deferrable.is_some()) {
            let index = &codec.indexes[change.index];
            let rows = || change.rows.iter().map(|row| *row as usize);
            LateKeys::of(index, before, &change.old, &old.keys, rows()).claim(writer)?;
            LateKeys::of(index, after, &change.new, keys, rows()).claim(writer)?;
        }
    }
    if let Some(keys) = &new_keys {
        unique::claim(writer, keys, &keys.order(), KeyLock::NoKeyUpdate, |_| true)?;
    }
    leave(writer, &old.keys, new_keys.as_ref(), &work)?;
    let after = sides.as_ref().map_or(&[][..], |(_, after)| after);
    arrive(writer, table, codec, new, after, keys, moves, &old.keys, work)?;
    parent::check(writer, table, new, Some(changed), None)?;
    if keys.len() > 0 {
        for reference in references(writer, table) {
            let referred = check::places(table, &reference.foreign_key.parent_columns);
            if referred.iter().any(|place| changed.contains(place)) {
                children::follow(writer, table, &reference, &old.batch, Some(new), statement)?;
            }
        }
    }
    Ok(old.found.len())
}

/// How [`update`] locks the rows of which those columns change: for who locks them before ([`super::lock_rows`]).
///
/// # Errors
/// [`Error::Corrupt`], [`Error::Data`]: a definition that makes no sense.
pub fn update_lock(table: &Table, changed: &[usize]) -> Result<KeyLock> {
    Ok(lock_mode(table.codec()?, changed))
}

/// How rows are locked of which those columns change: as PostgreSQL does, more strongly where a unique key is among them.
pub(super) fn lock_mode(codec: &Codec, changed: &[usize]) -> KeyLock {
    let keys = codec.indexes.iter().filter(|index| index.shape.unique && index.is_plain());
    let unique = keys.flat_map(|index| &index.places);
    match codec.key.iter().map(|(place, _)| place).chain(unique).any(|place| changed.contains(place)) {
        true => KeyLock::Update,
        false => KeyLock::NoKeyUpdate,
    }
}

/// The old and new entries of one index, where any differ.
struct IndexChange {
    /// The place in `codec.indexes`.
    index: usize,
    old: Entries,
    new: Entries,
    /// Rows whose entry differs.
    rows: Vec<u32>,
}

fn index_changes(
    codec: &Codec,
    old: &[ArrayRef],
    new: &[ArrayRef],
    old_keys: &Keys,
    new_keys: &Keys,
    touched: impl Fn(&IndexCodec) -> bool,
) -> Result<Vec<IndexChange>> {
    let mut changes = Vec::new();
    for (i, index) in codec.indexes.iter().enumerate().filter(|(_, index)| touched(index)) {
        let before = index.entries(old, old_keys)?;
        let after = index.entries(new, new_keys)?;
        let differs = |row: &u32| {
            let row = *row as usize;
            before.keys.get(row) != after.keys.get(row) || before.values.get(row) != after.values.get(row)
        };
        let rows = (0..new_keys.len() as u32).filter(differs).collect();
        changes.push(IndexChange { index: i, old: before, new: after, rows });
    }
    Ok(changes)
}

/// Deletes the entries that change, and the rows that move.
fn leave(
    writer: &mut Writer<'_>,
    old_keys: &Keys,
    new_keys: Option<&Keys>,
    work: &[IndexChange],
) -> Result<()> {
    for change in work {
        for row in change.rows.iter().map(|row| *row as usize).filter(|row| change.old.has(*row)) {
            writer.txn().delete(change.old.keys.get(row))?;
        }
    }
    let Some(new_keys) = new_keys else { return Ok(()) };
    for row in 0..old_keys.len() {
        if old_keys.get(row) != new_keys.get(row) {
            writer.txn().delete(old_keys.get(row))?;
        }
    }
    Ok(())
}

/// Checks the new keys, and writes rows and entries to their new places.
#[allow(clippy::too_many_arguments)]
fn arrive(
    writer: &mut Writer<'_>,
    table: &Table,
    codec: &Codec,
    new: &RecordBatch,
    cells: &[ArrayRef],
    keys: &Keys,
    moves: bool,
    old_keys: &Keys,
    work: Vec<IndexChange>,
) -> Result<()> {
    let order = keys.order();
    if moves {
        let moved = |row: usize| old_keys.get(row) != keys.get(row);
        if let Some(row) = first_taken(writer, keys, &order, moved)? {
            let places = table.primary_key_places();
            return Err(check::duplicate_key(table, &table.primary_key_name, new.columns(), row, &places));
        }
    }
    for mut change in work {
        let (index, descriptor) = (&codec.indexes[change.index], &table.indexes[change.index]);
        let entries = &change.new;
        change.rows.sort_by(|a, b| entries.keys.get(*a as usize).cmp(entries.keys.get(*b as usize)));
        if index.shape.unique
            && let Some(row) = first_taken(writer, &entries.keys, &change.rows, |row| entries.exclusive[row])?
        {
            return Err(check::duplicate_entry(table, index, descriptor, cells, row));
        }
        for row in change.rows.iter().map(|row| *row as usize).filter(|row| entries.has(*row)) {
            writer.txn().put(entries.keys.get(row), entries.values.get(row))?;
        }
        if descriptor.deferrable.is_some() {
            let rows = change.rows.iter().map(|row| *row as usize);
            let late = LateKeys::of(index, cells, entries, keys, rows);
            late.settle(writer, table, index, descriptor, cells)?;
        }
    }
    super::insert::put_rows(writer, codec, new, keys, &order)
}

/// The rows of a batch at those places.
fn take(table: &Table, batch: &RecordBatch, rows: &[usize]) -> Result<RecordBatch> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (place, column) in table.live_columns().enumerate() {
        let cells = batch.column(place);
        let mut builder = cairn_types::ColumnBuilder::with_capacity(&column.ty, rows.len());
        for row in rows {
            builder.push(&cairn_types::Value::from_array(cells.as_ref(), *row, &column.ty))?;
        }
        columns.push(builder.finish()?);
    }
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}
