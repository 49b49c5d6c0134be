//! CREATE, DROP and RENAME INDEX.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use cairn_storage::{Direction, KeyRange};

use super::name;
use super::spec::IndexSpec;
use super::table::table_by_id;
use super::{constraint, find, partition};
use crate::catalog::{
    Column, ColumnId, IndexColumn, IndexDescriptor, IndexExpression, IndexId, IndexPredicate, ObjectId, Table,
};
use crate::error::{Error, Result, Violation};
use crate::key_space;
use crate::table::check;
use crate::table::codec::{IndexCodec, Keys};
use crate::table::late_unique::LateKeys;
use crate::table::unique::first_taken;
use crate::transaction::{Transaction, Writer};

/// Rows whose entries are sorted and written together while an index is built.
const BUILD_ROWS: usize = 1 << 16;

impl Transaction {
    /// CREATE [UNIQUE] INDEX, built on the rows that are there.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`], [`Error::InvalidDefinition`] (42704), [`Error::Constraint`] (23505)
    /// where two rows have the same key.
    pub fn create_index(&self, spec: &IndexSpec) -> Result<IndexId> {
        self.create_index_with(spec, true)
    }

    /// CREATE INDEX … ON ONLY: partitions get their part of it by [`Transaction::attach_index`], or when they are made.
    ///
    /// # Errors
    /// As [`Transaction::create_index`].
    pub fn create_index_only(&self, spec: &IndexSpec) -> Result<IndexId> {
        self.create_index_with(spec, false)
    }

    fn create_index_with(&self, spec: &IndexSpec, with_partitions: bool) -> Result<IndexId> {
        self.write("CREATE INDEX", |writer| {
            let table = find(writer, &spec.schema, &spec.table)?;
            let mut columns = Vec::new();
            let mut expressions = Vec::new();
            for column in &spec.columns {
                let id = match &column.expression {
                    Some(expression) => {
                        constraint::indexable(&expression.ty, &spec.kind)?;
                        expressions.push(IndexExpression {
                            sql: expression.sql.clone(),
                            ty: expression.ty.clone(),
                            columns: included(&table, &expression.columns)?,
                        });
                        IndexColumn::EXPRESSION
                    }
                    None => {
                        let found = defined(&table, &column.column)?;
                        constraint::indexable(&found.ty, &spec.kind)?;
                        found.id
                    }
                };
                let (descending, nulls_first) = (column.descending, column.nulls_first);
                columns.push(IndexColumn { column: id, descending, nulls_first });
            }
            let predicate = match &spec.predicate {
                Some(predicate) => Some(IndexPredicate {
                    sql: predicate.sql.clone(),
                    columns: included(&table, &predicate.columns)?,
                }),
                None => None,
            };
            for name in &spec.include {
                constraint::indexable(&defined(&table, name)?.ty, &spec.kind)?;
            }
            let name = match &spec.name {
                Some(name) => {
                    name::free(&writer.catalog, &spec.schema, name)?;
                    name.clone()
                }
                None => {
                    let names = spec.columns.iter().map(|c| &c.column).chain(&spec.include);
                    let names: Vec<&str> = names.map(String::as_str).collect();
                    let taken = |name: &str| writer.catalog.name_taken(&spec.schema, name);
                    name::choose(&spec.table, &names.join("_"), "idx", taken)
                }
            };
            if spec.unique {
                let key: Vec<ColumnId> = columns.iter().map(|column| column.column).collect();
                partition::check_unique(&table, &key, "UNIQUE")?;
            }
            let index = IndexDescriptor {
                kind: spec.kind.clone(),
                unique: spec.unique,
                expressions,
                predicate,
                include: included(&table, &spec.include)?,
                nulls_not_distinct: spec.nulls_not_distinct,
                ..IndexDescriptor::on(table.next_index, name, columns)
            };
            let id = build(writer, &table, index)?;
            if with_partitions {
                partition::hand_down(writer, table.id)?;
            }
            Ok(id)
        })
    }

    /// ALTER INDEX … ATTACH PARTITION: an index of a partition stands for one of its table.
    ///
    /// # Errors
    /// [`Error::Undefined`]; [`Error::InvalidDefinition`] (55000, 42P17, 42809) for one that cannot.
    pub fn attach_index(&self, above: (&str, &str), below: (&str, &str)) -> Result<()> {
        self.write("ALTER INDEX", |writer| partition::attach_index(writer, above, below))
    }

    /// DROP INDEX. The index of a constraint goes with its constraint only.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::WrongObjectType`], [`Error::DependentObjects`].
    pub fn drop_index(&self, schema: &str, index: &str, cascade: bool) -> Result<()> {
        self.write("DROP INDEX", |writer| {
            let (table, id) = writer.catalog.index(schema, index)?;
            let descriptor = table.index_by_id(id).cloned();
            if let Some(above) = partition::index_above(writer, &table, id) {
                return Err(Error::InvalidDefinition {
                    sqlstate: "2BP01",
                    message: format!("cannot drop index {index} because index {above} requires it"),
                    detail: None,
                    hint: Some(format!("You can drop index {above} instead.")),
                });
            }
            match descriptor.filter(|i| !i.constraint) {
                None => Err(Error::InvalidDefinition {
                    sqlstate: "2BP01",
                    message: format!(
                        "cannot drop index {index} because constraint {index} on table {} requires it",
                        table.name
                    ),
                    detail: None,
                    hint: Some(format!("You can drop constraint {index} on table {} instead.", table.name)),
                }),
                Some(descriptor) => {
                    if descriptor.unique && descriptor.is_plain() {
                        let columns: Vec<_> = descriptor.columns.iter().map(|c| c.column).collect();
                        constraint::drop_referring(writer, &table, &columns, index, cascade)?;
                    }
                    remove(writer, table.id, id)
                }
            }
        })
    }

    /// REINDEX: the entries of an index are written anew. (Those of a primary key are the rows themselves.)
    ///
    /// # Errors
    /// [`Error::Undefined`]; [`Error::Constraint`] (23505) where a unique index did not agree with its rows.
    pub fn rebuild_index(&self, schema: &str, index: &str) -> Result<()> {
        self.write("REINDEX", |writer| {
            let (table, id) = writer.catalog.index(schema, index)?;
            if id == 0 {
                return Ok(());
            }
            writer.lock_definition(table.id)?;
            let (start, end) = key_space::index_span(table.id, id);
            writer.txn().delete_range(&start, &end)?;
            // Whoever writes rows meanwhile does not commit beside it.
            let table = writer.put_table(table.descriptor().clone())?;
            fill(writer, &table, id)
        })
    }

    /// ALTER INDEX … RENAME TO; a constraint of the same name follows.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`].
    pub fn rename_index(&self, schema: &str, index: &str, new_name: &str) -> Result<()> {
        self.write("ALTER INDEX", |writer| {
            let (table, id) = writer.catalog.index(schema, index)?;
            name::free(&writer.catalog, schema, new_name)?;
            let mut descriptor = table.descriptor().clone();
            if id == 0 {
                descriptor.primary_key_name = new_name.to_owned();
            }
            for index in descriptor.indexes.iter_mut().filter(|i| i.id == id) {
                index.name = new_name.to_owned();
            }
            descriptor.move_comment(index, new_name);
            writer.put_table(descriptor)?;
            Ok(())
        })
    }
}

fn defined<'t>(table: &'t Table, name: &str) -> Result<&'t Column> {
    table.column(name).map_err(|_| Error::Undefined {
        kind: crate::error::ObjectKind::Column,
        message: format!("column \"{name}\" does not exist"),
    })
}

/// The ids of those columns.
pub(super) fn included(table: &Table, names: &[String]) -> Result<Vec<ColumnId>> {
    names.iter().map(|name| Ok(defined(table, name)?.id)).collect()
}

/// Adds an index to a table, and its entries for all rows.
pub(super) fn build(writer: &mut Writer<'_>, table: &Arc<Table>, index: IndexDescriptor) -> Result<IndexId> {
    let id = index.id;
    let mut descriptor = table.descriptor().clone();
    let next = descriptor.next_index.checked_add(1);
    descriptor.next_index =
        next.ok_or_else(|| Error::definition("54000", "too many indexes were ever made on this table"))?;
    descriptor.indexes.push(index);
    let table = writer.put_table(descriptor)?;
    fill(writer, &table, id)?;
    Ok(id)
}

/// Writes the entries of an index that has none.
fn fill(writer: &mut Writer<'_>, table: &Arc<Table>, id: IndexId) -> Result<()> {
    writer.guard_rows(table.id);
    let codec = table.codec()?;
    let descriptor = table.index_by_id(id).ok_or_else(|| missing(id))?;
    let index = codec.index(id)?;
    let places: Vec<usize> = (0..table.live_columns().len()).collect();
    let mut decoder = codec.decoder(table, &places)?;
    let mut scan =
        writer.view().scan_raw(key_space::absolute(table.id, 0, &KeyRange::all()), Direction::Forward);
    let mut keys = Keys::default();
    loop {
        let entry = scan.next()?;
        let ended = entry.is_none();
        if let Some((key, row)) = entry {
            decoder.push(row)?;
            keys.push(key);
            if keys.len() < BUILD_ROWS {
                continue;
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(keys.len()));
        let schema = table.arrow_schema().clone();
        let batch = RecordBatch::try_new_with_options(schema, decoder.finish()?, &options)?;
        let cells = codec.cells(writer.database.expressions(), table, &batch, Some(id))?;
        let entries = index.entries(&cells, &keys)?;
        let order = entries.order();
        if index.shape.unique
            && let Some(row) = first_taken(writer, &entries.keys, &order, |row| entries.exclusive[row])?
        {
            return Err(duplicated(table, index, descriptor, &cells, row));
        }
        for row in order {
            let row = row as usize;
            writer.txn().put(entries.keys.get(row), entries.values.get(row))?;
        }
        if descriptor.deferrable.is_some() {
            let late = LateKeys::of(index, &cells, &entries, &keys, 0..keys.len());
            if let Some(row) = late.first_doubled(writer)? {
                return Err(duplicated(table, index, descriptor, &cells, row));
            }
        }
        if ended {
            return Ok(());
        }
        keys = Keys::default();
    }
}

fn duplicated(
    table: &Table,
    index: &IndexCodec,
    descriptor: &IndexDescriptor,
    cells: &[ArrayRef],
    row: usize,
) -> Error {
    let name = &descriptor.name;
    let key = check::entry_text(table, index, descriptor, cells, row);
    Error::Constraint {
        violation: Violation::Unique,
        message: format!("could not create unique index \"{name}\""),
        detail: Some(format!("Key {key} is duplicated.")),
        object: check::object(table, None, Some(name)),
    }
}

fn missing(id: IndexId) -> Error {
    Error::corrupt("catalog", format!("index {id} is missing"))
}

/// Takes an index and its entries away, and those of partitions that stand for it.
pub(super) fn remove(writer: &mut Writer<'_>, table: ObjectId, index: IndexId) -> Result<()> {
    for (own, below) in partition::counterparts(writer, table, index) {
        remove(writer, own.id, below)?;
    }
    let table = table_by_id(writer, table)?;
    let mut descriptor = table.descriptor().clone();
    descriptor.indexes.retain(|i| i.id != index);
    if let Some(own) = &mut descriptor.partition {
        own.indexes.retain(|(_, below)| *below != index);
    }
    let (start, end) = key_space::index_span(table.id, index);
    // First, so that entries of those it waits for are deleted too, and are no conflict.
    writer.lock_definition(table.id)?;
    writer.txn().delete_range(&start, &end)?;
    writer.put_table(descriptor)?;
    Ok(())
}
