//! DELETE and TRUNCATE.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cairn_storage::{KeyLock, ObjectLock};

use super::children;
use super::late_unique::LateKeys;
use super::partition;
use super::read::{Current, current};
use super::statement::{Statement, references};
use super::unique;
use crate::catalog::{ObjectId, Table};
use crate::error::{Error, Result};
use crate::key_space::{self, PREFIX_BYTES};
use crate::sequence::Position;
use crate::transaction::{Transaction, Writer};

/// Deletes the rows of those row keys, with all that foreign keys of other tables say, and returns how many of them
/// were there (children not counted).
///
/// # Errors
/// [`Error::Constraint`] where a child row still refers to one, [`Error::Storage`]. Nothing is deleted then.
pub fn delete(txn: &Transaction, table: &Table, keys: &[Bytes]) -> Result<usize> {
    txn.write("DELETE", |writer| {
        let mut statement = Statement::default();
        let deleted = rows(writer, table, keys, &mut statement, true)?;
        statement.finish(writer)?;
        Ok(deleted)
    })
}

/// Deletes rows of one table; what follows from it is put into `statement`. `direct`: as [`Writer::claim_rows`].
pub(super) fn rows(
    writer: &mut Writer<'_>,
    table: &Table,
    row_keys: &[Bytes],
    statement: &mut Statement,
    direct: bool,
) -> Result<usize> {
    if table.is_partitioned() {
        return partition::delete_rows(writer, table, row_keys, statement, direct);
    }
    let old = take_out(writer, table, row_keys, direct)?;
    let deleted = old.keys.len();
    if deleted > 0 {
        for reference in references(writer, table) {
            children::follow(writer, table, &reference, &old.batch, None, statement)?;
        }
    }
    Ok(deleted)
}

/// Deletes rows with their index entries, and says what they were; foreign keys that refer to them are the caller's.
pub(super) fn take_out(
    writer: &mut Writer<'_>,
    table: &Table,
    row_keys: &[Bytes],
    direct: bool,
) -> Result<Current> {
    let codec = table.codec()?;
    writer.guard_table(table.id, ObjectLock::RowExclusive)?;
    writer.claim_rows(&codec.prefix, row_keys, KeyLock::Update, direct)?;
    let old = current(writer, table, row_keys)?;
    let cells = codec.cells(writer.database.expressions(), table, &old.batch, None)?;
    for (index, descriptor) in codec.indexes.iter().zip(&table.indexes) {
        let entries = index.entries(&cells, &old.keys)?;
        if descriptor.deferrable.is_some() {
            LateKeys::of(index, &cells, &entries, &old.keys, 0..old.keys.len()).claim(writer)?;
        }
        if index.shape.unique {
            let order = entries.order();
            unique::claim(writer, &entries.keys, &order, KeyLock::Update, |row| entries.exclusive[row])?;
        }
        for row in (0..entries.keys.len()).filter(|row| entries.has(*row)) {
            writer.txn().delete(entries.keys.get(row))?;
        }
    }
    for row in 0..old.keys.len() {
        writer.txn().delete(old.keys.get(row))?;
    }
    writer.count_rows(table.id, -(old.keys.len() as i64));
    Ok(old)
}

/// Deletes all rows of those tables, at a cost that does not depend on how many there are. Tables that refer to them
/// must be among them too, or go along with `cascade`. With `restart_identity` their sequences begin again.
///
/// # Errors
/// [`Error::Unsupported`] (0A000, as PostgreSQL) where another table refers to one of them, [`Error::Storage`].
pub fn truncate(txn: &Transaction, tables: &[&Table], restart_identity: bool, cascade: bool) -> Result<()> {
    txn.write("TRUNCATE TABLE", |writer| {
        let parts = |id: ObjectId| writer.catalog.descendants(id).into_iter().map(|own| own.id);
        let mut ids: BTreeSet<ObjectId> = tables.iter().flat_map(|t| parts(t.id).chain([t.id])).collect();
        let mut next: Vec<ObjectId> = ids.iter().copied().collect();
        while let Some(id) = next.pop() {
            for own in writer.catalog.descendants(id) {
                if ids.insert(own.id) {
                    next.push(own.id);
                }
            }
            let Some(own) = writer.catalog.table_by_id(id) else { continue };
            let above = writer.catalog.ancestors(own).into_iter().map(|own| own.id);
            let referring: Vec<_> = above.chain([id]).flat_map(|id| writer.catalog.children(id)).collect();
            for (child, key) in referring {
                if ids.contains(&child.id) {
                    continue;
                }
                if !cascade {
                    return Err(referred_to(&writer.catalog, id, child, &key.name));
                }
                ids.insert(child.id);
                next.push(child.id);
            }
        }
        for id in ids {
            let table = writer.catalog.table_by_id(id).cloned();
            let table = table.ok_or_else(|| Error::InvalidArgument(format!("no table {id}")))?;
            empty(writer, &table)?;
            if restart_identity {
                let owned: Vec<_> = writer.catalog.owned_sequences(id).cloned().collect();
                for sequence in owned {
                    crate::ddl::restart_sequence(writer, &sequence, Position::start(&sequence))?;
                }
            }
        }
        Ok(())
    })
}

/// Deletes all rows and index entries of one table.
pub(crate) fn empty(writer: &mut Writer<'_>, table: &Arc<Table>) -> Result<()> {
    if writer.is_locking() {
        writer.lock_definition(table.id)?;
    }
    writer.guard_table(table.id, ObjectLock::RowExclusive)?;
    // A child that comes in between refers to a row that is gone: its guard of the parent's key finds that.
    let (start, end) = key_space::table_span(table.id);
    writer.txn().delete_range(&start, &end)?;
    let rows = writer.database.estimates.rows(&writer.database.store, table.id) as i64;
    writer.count_rows(table.id, -rows);
    debug_assert!(start.len() == PREFIX_BYTES);
    Ok(())
}

fn referred_to(catalog: &crate::catalog::Catalog, parent: ObjectId, child: &Table, key: &str) -> Error {
    let parent = catalog.table_by_id(parent).map_or("", |t| t.name.as_str());
    Error::InvalidDefinition {
        sqlstate: "0A000",
        message: "cannot truncate a table referenced in a foreign key constraint".to_owned(),
        detail: Some(format!("Table \"{}\" references \"{parent}\" (constraint \"{key}\").", child.name)),
        hint: Some(format!(
            "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
            child.name
        )),
    }
}
