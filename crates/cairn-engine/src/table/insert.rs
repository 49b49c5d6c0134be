//! INSERT: rows and index entries of a batch, keys checked first.
//!
//! Keys are sorted before they are written, so that the write set is filled in order, and a whole batch is checked
//! against what is there with one scan where it lies behind it.

use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use cairn_index::Entry;
use cairn_storage::{KeyLock, ObjectLock};

use super::check;
use super::codec::{Codec, Keys};
use super::late_unique::LateKeys;
use super::parent::{self, PendingForeignKeys};
use super::partition;
use super::request::{ConflictTarget, Inserted, OnConflict, RowConflict};
use super::unique::{self, first_taken};
use crate::catalog::Table;
use crate::error::Result;
use crate::key_space::PREFIX_BYTES;
use crate::transaction::{Transaction, Writer};

/// Inserts the rows of a batch: all, or (with [`OnConflict::DoNothing`] and [`OnConflict::Report`]) those whose keys
/// are free. NOT NULL, CHECK, PRIMARY KEY, UNIQUE and FOREIGN KEY are checked here; defaults are the caller's.
///
/// # Errors
/// [`crate::Error::Constraint`], [`crate::Error::InvalidArgument`] for a batch of other columns,
/// [`crate::Error::Storage`]. Nothing is inserted then.
pub fn insert(
    txn: &Transaction,
    table: &Table,
    batch: &RecordBatch,
    on_conflict: OnConflict,
) -> Result<Inserted> {
    insert_part(txn, table, batch, on_conflict, None)
}

/// As [`insert`], for one batch of several of one statement: rows may refer to rows of their own table that a later
/// batch brings. The caller ends the statement with [`PendingForeignKeys::check`].
///
/// # Errors
/// As [`insert`].
pub fn insert_batch(
    txn: &Transaction,
    table: &Table,
    batch: &RecordBatch,
    on_conflict: OnConflict,
    pending: &mut PendingForeignKeys,
) -> Result<Inserted> {
    insert_part(txn, table, batch, on_conflict, Some(pending))
}

fn insert_part(
    txn: &Transaction,
    table: &Table,
    batch: &RecordBatch,
    on_conflict: OnConflict,
    pending: Option<&mut PendingForeignKeys>,
) -> Result<Inserted> {
    check::shape(table, batch)?;
    if batch.num_rows() == 0 {
        txn.check_writable("INSERT")?;
        return Ok(Inserted::default());
    }
    if table.is_partitioned() {
        let routed = partition::route(txn, table, batch)?;
        return txn
            .write("INSERT", |writer| partition::insert_rows(writer, table, routed, on_conflict, pending));
    }
    check::rows(&txn.database, table, batch, None)?;
    if table.partition.is_some() {
        partition::check_bounds(&txn.catalog(), table, batch)?;
    }
    txn.write("INSERT", |writer| into(writer, table, batch, on_conflict, pending))
}

/// Inserts rows that are known to keep NOT NULL and CHECK.
pub(super) fn into(
    writer: &mut Writer<'_>,
    table: &Table,
    batch: &RecordBatch,
    on_conflict: OnConflict,
    pending: Option<&mut PendingForeignKeys>,
) -> Result<Inserted> {
    writer.guard_table(table.id, ObjectLock::RowExclusive)?;
    let inserted = match on_conflict {
        OnConflict::Error => insert_all(writer, table, batch)?,
        OnConflict::DoNothing { target } => insert_free(writer, table, batch, target, false)?,
        OnConflict::Report { target } => insert_free(writer, table, batch, target, true)?,
    };
    writer.count_rows(table.id, inserted.rows as i64);
    parent::check(writer, table, batch, None, pending)?;
    Ok(inserted)
}

fn new_keys(writer: &Writer<'_>, table: &Table, codec: &Codec, batch: &RecordBatch) -> Result<Keys> {
    let first = if table.has_hidden_key() {
        let rows = batch.num_rows() as u64;
        writer.database.sequences.count(&writer.database.store, table.id, 1, rows)?
    } else {
        0
    };
    codec.row_keys(batch, first)
}

/// Inserts rows that are known to keep all constraints but uniqueness: a table is being rewritten.
pub(crate) fn insert_raw(writer: &mut Writer<'_>, table: &Table, batch: &RecordBatch) -> Result<()> {
    insert_all(writer, table, batch).map(|_| ())
}

fn insert_all(writer: &mut Writer<'_>, table: &Table, batch: &RecordBatch) -> Result<Inserted> {
    let codec = table.codec()?;
    let keys = new_keys(writer, table, codec, batch)?;
    let order = keys.order();
    if !table.has_hidden_key() {
        unique::claim(writer, &keys, &order, KeyLock::NoKeyUpdate, |_| true)?;
    }
    if !table.has_hidden_key()
        && let Some(row) = first_taken(writer, &keys, &order, |_| true)?
    {
        let places = table.primary_key_places();
        return Err(check::duplicate_key(table, &table.primary_key_name, batch.columns(), row, &places));
    }
    put_entries(writer, table, codec, batch, &keys)?;
    put_rows(writer, codec, batch, &keys, &order)?;
    Ok(Inserted { rows: batch.num_rows(), ..Inserted::default() })
}

/// Checks and writes the index entries of all rows. Nothing is written of an index before its keys are checked.
pub(super) fn put_entries(
    writer: &mut Writer<'_>,
    table: &Table,
    codec: &Codec,
    batch: &RecordBatch,
    keys: &Keys,
) -> Result<()> {
    let cells = codec.cells(writer.database.expressions(), table, batch, None)?;
    for (index, descriptor) in codec.indexes.iter().zip(&table.indexes) {
        let entries = index.entries(&cells, keys)?;
        let order = entries.order();
        let mut late = LateKeys::default();
        if descriptor.deferrable.is_some() {
            late = LateKeys::of(index, &cells, &entries, keys, 0..keys.len());
            late.claim(writer)?;
        }
        if index.shape.unique {
            unique::claim(writer, &entries.keys, &order, KeyLock::NoKeyUpdate, |row| entries.exclusive[row])?;
        }
        if index.shape.unique
            && let Some(row) = first_taken(writer, &entries.keys, &order, |row| entries.exclusive[row])?
        {
            return Err(check::duplicate_entry(table, index, descriptor, &cells, row));
        }
        for row in order {
            let row = row as usize;
            writer.txn().put(entries.keys.get(row), entries.values.get(row))?;
        }
        if descriptor.deferrable.is_some() {
            late.settle(writer, table, index, descriptor, &cells)?;
        }
    }
    Ok(())
}

/// Writes all rows, in the order given.
pub(super) fn put_rows(
    writer: &mut Writer<'_>,
    codec: &Codec,
    batch: &RecordBatch,
    keys: &Keys,
    order: &[u32],
) -> Result<()> {
    let rows = codec.encoder.bind(batch)?;
    let mut value = Vec::with_capacity(256);
    for row in order {
        let row = *row as usize;
        value.clear();
        rows.encode(row, &mut value)?;
        writer.txn().put(keys.get(row), &value)?;
    }
    Ok(())
}

/// Row by row: those whose keys are free are inserted, and later rows see them.
fn insert_free(
    writer: &mut Writer<'_>,
    table: &Table,
    batch: &RecordBatch,
    target: ConflictTarget,
    with_keys: bool,
) -> Result<Inserted> {
    let codec = table.codec()?;
    let keys = new_keys(writer, table, codec, batch)?;
    let rows = codec.encoder.bind(batch)?;
    let cells = codec.cells(writer.database.expressions(), table, batch, None)?;
    let mut entries = vec![Entry::default(); codec.indexes.len()];
    let mut value = Vec::new();
    let mut answer = Inserted::default();
    for row in 0..batch.num_rows() {
        let key = keys.get(row);
        let row_key = &key[PREFIX_BYTES..];
        let mut late: Vec<(usize, LateKeys)> = Vec::new();
        for (at, (index, entry)) in codec.indexes.iter().zip(&mut entries).enumerate() {
            index.entry(&cells, row, row_key, entry)?;
            if table.indexes[at].deferrable.is_some() {
                let mut own = LateKeys::default();
                own.push(index, &cells, row, &entry.key, row_key);
                own.claim(writer)?;
                late.push((at, own));
            }
        }
        if !table.has_hidden_key() {
            writer.claim(key, KeyLock::NoKeyUpdate)?;
        }
        for entry in entries.iter().filter(|entry| entry.exclusive) {
            writer.claim(&entry.key, KeyLock::NoKeyUpdate)?;
        }
        if let Some(existing) = existing(writer, table, codec, &cells, row, key, &entries, target)? {
            answer.conflicts.push(RowConflict { row, existing });
            continue;
        }
        value.clear();
        rows.encode(row, &mut value)?;
        writer.txn().put(key, &value)?;
        for entry in entries.iter().filter(|entry| !entry.key.is_empty()) {
            writer.txn().put(&entry.key, &entry.value)?;
        }
        for (at, late) in late {
            late.settle(writer, table, &codec.indexes[at], &table.indexes[at], &cells)?;
        }
        answer.rows += 1;
        if with_keys {
            answer.keys.push(Bytes::copy_from_slice(row_key));
        }
    }
    Ok(answer)
}

/// The row key of the row that has a key of this row, where `target` means that key; an error where it means another.
#[allow(clippy::too_many_arguments)]
fn existing(
    writer: &Writer<'_>,
    table: &Table,
    codec: &Codec,
    cells: &[ArrayRef],
    row: usize,
    key: &[u8],
    entries: &[Entry],
    target: ConflictTarget,
) -> Result<Option<Bytes>> {
    let mut refused = None;
    let mut existing = None;
    if !table.has_hidden_key() && writer.txn_ref().get_latest(key)?.is_some() {
        if matches!(target, ConflictTarget::Any | ConflictTarget::PrimaryKey) {
            existing = Some(Bytes::copy_from_slice(&key[PREFIX_BYTES..]));
        } else {
            let places = table.primary_key_places();
            refused = Some(check::duplicate_key(table, &table.primary_key_name, cells, row, &places));
        }
    }
    let indexes = codec.indexes.iter().zip(&table.indexes).zip(entries);
    for ((index, descriptor), entry) in indexes.filter(|(_, entry)| entry.exclusive) {
        if existing.is_some() {
            break;
        }
        let Some(found) = writer.txn_ref().get_latest(&entry.key)? else { continue };
        if target == ConflictTarget::Any || target == ConflictTarget::Index(index.id) {
            let row_key = index.row_key(&entry.key, &found)?;
            existing = Some(Bytes::copy_from_slice(row_key));
        } else if refused.is_none() {
            refused = Some(check::duplicate_entry(table, index, descriptor, cells, row));
        }
    }
    match (existing, refused) {
        (Some(existing), _) => Ok(Some(existing)),
        (None, Some(refused)) => Err(refused),
        (None, None) => Ok(None),
    }
}
