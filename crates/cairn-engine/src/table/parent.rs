//! FOREIGN KEY from the child's side: the parent row must be there, and stay there until this transaction commits.
//!
//! I1: the parent's key must still be there at commit, so that a transaction that deletes or moves the parent row and this
//! one cannot both commit, at any isolation level; other changes of the parent row do not matter. At the locking levels
//! the key is locked FOR KEY SHARE before it is looked for: whoever deletes it is waited for, or waits.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use cairn_storage::{Isolation, KeyLock, ObjectLock};
use cairn_types::key::{self, KeyOrder};
use cairn_types::{DataType, Value};

use super::check::{key_text, object, places};
use super::partition;
use crate::catalog::{Catalog, ColumnId, ForeignKey, IndexId, Table};
use crate::error::{Error, Result, Violation};
use crate::key_space;
use crate::transaction::{Transaction, Writer};

/// How a parent's unique key is encoded from values in the order of the foreign key's columns.
pub(super) struct ParentKey {
    /// Of a partitioned parent, which has no rows itself: how the partition is found.
    partitioned: Option<Partitioned>,
    prefix: [u8; key_space::PREFIX_BYTES],
    /// For each key column: its place in the foreign key, its type and order.
    columns: Vec<(usize, DataType, KeyOrder)>,
}

/// A partitioned parent and its key.
struct Partitioned {
    catalog: Arc<Catalog>,
    parent: Arc<Table>,
    index: IndexId,
    columns: Vec<ColumnId>,
}

impl Partitioned {
    /// What the key of a row with these values begins with; `None` where there is no partition for it.
    fn prefix(&self, values: &[Value]) -> Option<[u8; key_space::PREFIX_BYTES]> {
        let mut table = &self.parent;
        while table.is_partitioned() {
            let partitions = self.catalog.partitions(table);
            let mut key = Vec::with_capacity(partitions.key().len());
            for (name, ty) in partitions.key() {
                let id = self.parent.column(name).ok()?.id;
                let at = self.columns.iter().position(|column| *column == id)?;
                key.push(values[at].clone().fit(ty).ok()?);
            }
            table = self.catalog.table_by_id(partitions.find(&key)?)?;
        }
        let index = partition::index_in(&self.catalog, &self.parent, table, self.index)?;
        Some(key_space::prefix(table.id, index))
    }
}

/// The unique key of `parent` on exactly those columns, in any order: 0 = the primary key.
pub(crate) fn unique_key_on(parent: &Table, columns: &[ColumnId]) -> Option<IndexId> {
    let same = |key: &mut dyn Iterator<Item = ColumnId>| {
        let key: Vec<ColumnId> = key.collect();
        key.len() == columns.len() && columns.iter().all(|c| key.contains(c))
    };
    if same(&mut parent.primary_key.iter().copied()) {
        return Some(0);
    }
    let mut unique = parent.indexes.iter().filter(|i| i.is_always_unique() && i.is_plain());
    unique.find(|i| same(&mut i.columns.iter().map(|c| c.column))).map(|i| i.id)
}

impl ParentKey {
    pub(super) fn new(
        catalog: &Arc<Catalog>,
        parent: &Arc<Table>,
        foreign_key: &ForeignKey,
    ) -> Result<ParentKey> {
        let missing = || Error::corrupt("catalog", "foreign key without the parent's unique key");
        let index = unique_key_on(parent, &foreign_key.parent_columns).ok_or_else(missing)?;
        let mut columns = Vec::new();
        for (column, order) in parent.index_key(index).ok_or_else(missing)? {
            let at = foreign_key.parent_columns.iter().position(|c| *c == column.id).ok_or_else(missing)?;
            columns.push((at, column.ty.clone(), order));
        }
        let partitioned = parent.is_partitioned().then(|| Partitioned {
            catalog: catalog.clone(),
            parent: parent.clone(),
            index,
            columns: foreign_key.parent_columns.clone(),
        });
        Ok(ParentKey { partitioned, prefix: key_space::prefix(parent.id, index), columns })
    }

    /// The whole key of the parent's entry for these values, none of them NULL; `None` where a value does not fit
    /// the parent's type, so that no parent can have it.
    pub(super) fn encode(&self, values: &[Value], out: &mut Vec<u8>) -> bool {
        out.clear();
        let prefix = match &self.partitioned {
            None => self.prefix,
            Some(own) => match own.prefix(values) {
                Some(prefix) => prefix,
                None => return false,
            },
        };
        out.extend_from_slice(&prefix);
        self.columns.iter().all(|(at, ty, order)| {
            let value = values[*at].clone().fit(ty);
            value.is_ok_and(|value| key::encode_value(&value, ty, *order, out).is_ok())
        })
    }

    /// As [`ParentKey::encode`], straight from the child's columns where their types are the parent's.
    fn encode_cells(
        &self,
        batch: &RecordBatch,
        places: &[usize],
        types: &[&DataType],
        row: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let same = self.partitioned.is_none() && self.columns.iter().all(|(at, ty, _)| ty == types[*at]);
        if !same {
            let cells = places.iter().zip(types);
            let values: Vec<Value> =
                cells.map(|(p, ty)| Value::from_array(batch.column(*p).as_ref(), row, ty)).collect();
            return self.encode(&values, out);
        }
        out.clear();
        out.extend_from_slice(&self.prefix);
        self.columns.iter().all(|(at, ty, order)| {
            key::encode_cell(batch.column(places[*at]).as_ref(), row, ty, *order, out).is_ok()
        })
    }
}

/// Rows of one INSERT that refer to rows of their own table which are not there yet: a later batch of the statement may
/// bring them. PostgreSQL checks foreign keys when a statement ends; so does [`PendingForeignKeys::check`].
#[derive(Debug, Default)]
pub struct PendingForeignKeys {
    /// Parent keys that were missing, and what to say of the first row that refers to each.
    missing: HashMap<Vec<u8>, Error>,
}

impl PendingForeignKeys {
    /// Checks what was left open, at the end of the statement.
    ///
    /// # Errors
    /// [`Error::Constraint`] (23503) where a parent row is still missing; the caller then takes the statement back.
    pub fn check(&mut self, txn: &Transaction) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        txn.write("INSERT", |writer| {
            for (key, error) in self.missing.drain() {
                writer.claim(&key, KeyLock::KeyShare)?;
                if writer.txn_ref().get_latest(&key)?.is_none() {
                    return Err(missing(writer, &key, error)?);
                }
                writer.txn().guard_exists(&key);
            }
            Ok(())
        })
    }
}

/// Checks that each new row's parents are there. `changed` limits the check to foreign keys with a column in it.
pub(super) fn check(
    writer: &mut Writer<'_>,
    table: &Table,
    batch: &RecordBatch,
    changed: Option<&[usize]>,
    mut pending: Option<&mut PendingForeignKeys>,
) -> Result<()> {
    for foreign_key in &table.foreign_keys {
        let places = places(table, &foreign_key.columns);
        let concerned = changed.is_none_or(|changed| places.iter().any(|p| changed.contains(p)));
        if concerned {
            check_key(writer, table, foreign_key, &places, batch, pending.as_deref_mut())?;
        }
    }
    Ok(())
}

/// Checks one foreign key for all rows of the batch (all live columns).
pub(crate) fn check_key(
    writer: &mut Writer<'_>,
    table: &Table,
    foreign_key: &ForeignKey,
    places: &[usize],
    batch: &RecordBatch,
    mut pending: Option<&mut PendingForeignKeys>,
) -> Result<()> {
    let parent = writer.catalog.table_by_id(foreign_key.parent).cloned();
    let parent = parent.ok_or_else(|| Error::corrupt("catalog", "foreign key to a missing table"))?;
    let parent_key = ParentKey::new(&writer.catalog, &parent, foreign_key)?;
    let types: Vec<&DataType> = places.iter().map(|p| &table.live_column(*p).ty).collect();
    let mut known: HashSet<Vec<u8>> = HashSet::new();
    let mut key = Vec::new();
    for row in 0..batch.num_rows() {
        // MATCH SIMPLE: a row with a NULL in the key refers to nothing.
        if places.iter().any(|p| batch.column(*p).is_null(row)) {
            continue;
        }
        let encoded = parent_key.encode_cells(batch, places, &types, row, &mut key);
        if encoded && known.contains(&key) {
            continue;
        }
        if encoded {
            writer.claim(&key, KeyLock::KeyShare)?;
        }
        if !encoded || writer.txn_ref().get_latest(&key)?.is_none() {
            let error = not_present(table, foreign_key, &parent, batch, row, places);
            if writer.deferred().is_deferred(table.id, foreign_key) {
                let values = super::statement::row_values(table, batch, places, row);
                writer.defer_child(table, foreign_key, values, error);
                continue;
            }
            match pending.as_deref_mut() {
                Some(pending) if encoded && parent.id == table.id => {
                    pending.missing.entry(key.clone()).or_insert(error);
                    continue;
                }
                _ if encoded => return Err(missing(writer, &key, error)?),
                _ => return Err(error),
            }
        }
        writer.txn().guard_exists(&key);
        known.insert(key.clone());
    }
    if !known.is_empty() {
        writer.guard_table(parent.id, ObjectLock::RowShare)?;
    }
    Ok(())
}

/// What to say of a parent that is not there: at Repeatable Read one that the snapshot has was deleted meanwhile, and the
/// transaction is to be run again, as in PostgreSQL.
fn missing(writer: &Writer<'_>, key: &[u8], error: Error) -> Result<Error> {
    let seen =
        writer.txn_ref().isolation() == Isolation::RepeatableRead && writer.txn_ref().get(key)?.is_some();
    let reason = "another transaction deleted the row that is referred to";
    Ok(if seen { Error::Conflict { reason: reason.to_owned() } } else { error })
}

fn not_present(
    table: &Table,
    foreign_key: &ForeignKey,
    parent: &Table,
    batch: &RecordBatch,
    row: usize,
    places: &[usize],
) -> Error {
    let key = key_text(table, batch.columns(), row, places);
    Error::Constraint {
        violation: Violation::ForeignKey,
        message: format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
            table.name, foreign_key.name
        ),
        detail: Some(format!("Key {key} is not present in table \"{}\".", parent.name)),
        object: object(table, None, Some(&foreign_key.name)),
    }
}
