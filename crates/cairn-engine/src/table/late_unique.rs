//! UNIQUE and PRIMARY KEY constraints that are DEFERRABLE: rows may have one key for a while.
//!
//! The index of such a constraint is stored as one that is not unique. Keys that rows take are looked at when the call that
//! wrote them has done all its work, or, where the constraint is deferred, when the transaction commits.
//!
//! I1: a transaction that commits leaves no two rows with one key: each key that it has given to a row was looked at behind its
//! last write of that key, and nobody else has given it to a row since (the key's entries are guarded; at the locking levels
//! the key is claimed, by who takes it and by who gives it up).

use arrow_array::{Array, ArrayRef};
use cairn_storage::{Direction, KeyLock, KeyRange};

use super::check;
use super::codec::{Entries, IndexCodec, Keys};
use crate::catalog::{IndexDescriptor, ObjectId, Table};
use crate::error::{Error, Result};
use crate::key_space::PREFIX_BYTES;
use crate::transaction::Writer;

/// The keys that rows of a batch have in the index of a deferrable constraint: the row's place, and what all entries with
/// that key begin with.
#[derive(Debug, Default)]
pub(crate) struct LateKeys(Vec<(usize, Vec<u8>)>);

impl LateKeys {
    /// Those of some rows of a batch; rows with a NULL have none, unless NULLs are not distinct.
    pub(crate) fn of(
        index: &IndexCodec,
        cells: &[ArrayRef],
        entries: &Entries,
        keys: &Keys,
        rows: impl IntoIterator<Item = usize>,
    ) -> LateKeys {
        let mut late = LateKeys::default();
        for row in rows {
            late.push(index, cells, row, entries.keys.get(row), &keys.get(row)[PREFIX_BYTES..]);
        }
        late
    }

    /// Adds that of one row, from its entry's whole key.
    pub(crate) fn push(
        &mut self,
        index: &IndexCodec,
        cells: &[ArrayRef],
        row: usize,
        entry: &[u8],
        row_key: &[u8],
    ) {
        let has_null = index.places.iter().any(|place| cells[*place].is_null(row));
        if !entry.is_empty() && (!has_null || index.shape.nulls_not_distinct) {
            self.0.push((row, entry[..entry.len() - row_key.len()].to_vec()));
        }
    }

    /// Whoever takes or gives up one of these keys waits for this transaction, or does not commit beside it.
    pub(crate) fn claim(&mut self, writer: &mut Writer<'_>) -> Result<()> {
        self.0.sort_by(|a, b| a.1.cmp(&b.1));
        for (_, key) in &self.0 {
            writer.claim(key, KeyLock::NoKeyUpdate)?;
            writer.txn().guard_range(&KeyRange::prefix(key));
        }
        Ok(())
    }

    /// The first row whose key another row has, too.
    pub(crate) fn first_doubled(&self, writer: &Writer<'_>) -> Result<Option<usize>> {
        let mut doubled: Option<usize> = None;
        for (row, key) in &self.0 {
            if is_doubled(writer, key)? {
                doubled = Some(doubled.map_or(*row, |before| before.min(*row)));
            }
        }
        Ok(doubled)
    }

    /// Looks at the keys now, or notes that they are to be looked at.
    pub(crate) fn settle(
        self,
        writer: &mut Writer<'_>,
        table: &Table,
        index: &IndexCodec,
        descriptor: &IndexDescriptor,
        cells: &[ArrayRef],
    ) -> Result<()> {
        let deferred = writer.deferred().is_late(table.id, &descriptor.name, descriptor.deferrable);
        if !deferred {
            return match self.first_doubled(writer)? {
                Some(row) => Err(check::duplicate_entry(table, index, descriptor, cells, row)),
                None => Ok(()),
            };
        }
        for (row, key) in self.0 {
            if is_doubled(writer, &key)? {
                let error = check::duplicate_entry(table, index, descriptor, cells, row);
                let name = descriptor.name.clone();
                writer.deferred().late.push(LateCheck { table: table.id, index: name, key, error });
            }
        }
        Ok(())
    }
}

fn is_doubled(writer: &Writer<'_>, key: &[u8]) -> Result<bool> {
    let mut scan = writer.txn_ref().scan_latest(KeyRange::prefix(key), Direction::Forward);
    Ok(scan.next()?.is_some() && scan.next()?.is_some())
}

/// A key that two rows had when it was written.
#[derive(Clone, Debug)]
pub(crate) struct LateCheck {
    pub(crate) table: ObjectId,
    pub(crate) index: String,
    key: Vec<u8>,
    error: Error,
}

impl LateCheck {
    /// Looks again.
    pub(crate) fn check(self, writer: &Writer<'_>) -> Result<()> {
        // The table or the constraint may be gone by now, and with it what there was to keep.
        let table = writer.catalog.table_by_id(self.table);
        let is_there = table.is_some_and(|table| table.index_by_name(&self.index).is_some());
        if is_there && is_doubled(writer, &self.key)? { Err(self.error) } else { Ok(()) }
    }
}
