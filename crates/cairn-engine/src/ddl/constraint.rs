//! ADD, DROP and RENAME CONSTRAINT.

use std::sync::Arc;

use cairn_types::DataType;

use super::column::{is_empty, set_not_null};
use super::name;
use super::spec::ConstraintSpec;
use super::table::{column_ids, table_by_id};
use super::{find, index, partition};
use crate::catalog::{
    Check, ColumnId, ForeignKey, IndexColumn, IndexDescriptor, ObjectId, Table, TableDescriptor,
};
use crate::error::{Error, ObjectKind, Result, Violation};
use crate::table::{self, ScanRequest, check, parent};
use crate::transaction::{Transaction, Writer};

impl Transaction {
    /// ADD CONSTRAINT; the rows that are there are checked.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`], [`Error::InvalidDefinition`], [`Error::Constraint`].
    pub fn add_constraint(&self, schema: &str, table: &str, constraint: ConstraintSpec) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let table = find(writer, schema, table)?;
            add(writer, table.id, constraint)
        })
    }

    /// DROP CONSTRAINT; foreign keys that refer to a dropped key go with `cascade`.
    ///
    /// # Errors
    /// [`Error::Undefined`] (42704), [`Error::DependentObjects`].
    pub fn drop_constraint(&self, schema: &str, table: &str, name: &str, cascade: bool) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let own = find(writer, schema, table)?;
            if partition::is_inherited(writer, &own, name) {
                let message = format!("cannot drop inherited constraint \"{name}\" of relation \"{table}\"");
                return Err(Error::definition("42P16", message));
            }
            drop(writer, schema, table, name, cascade)
        })
    }

    /// VALIDATE CONSTRAINT: a CHECK or FOREIGN KEY that was added NOT VALID.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`] (42809) for another kind, [`Error::Constraint`] where a row does
    /// not keep it.
    pub fn validate_constraint(&self, schema: &str, table: &str, name: &str) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let table = find(writer, schema, table)?;
            for own in writer.catalog.descendants(table.id) {
                validate(writer, &own, name)?;
            }
            validate(writer, &table, name)
        })
    }

    /// ALTER CONSTRAINT: a foreign key of the table and of its partitions is DEFERRABLE (whether INITIALLY DEFERRED) or not.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`] (42809) for another constraint.
    pub fn set_deferrable(
        &self,
        schema: &str,
        table: &str,
        name: &str,
        deferrable: Option<bool>,
    ) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let table = find(writer, schema, table)?;
            if !table.foreign_keys.iter().any(|key| key.name == name) {
                let named = table.checks.iter().any(|check| check.name == name)
                    || table.indexes.iter().any(|index| index.constraint && index.name == name)
                    || !table.primary_key.is_empty() && table.primary_key_name == name;
                let what = format!("constraint \"{name}\" of relation \"{}\"", table.name);
                return Err(match named {
                    true => Error::definition("42809", format!("{what} is not a foreign key constraint")),
                    false => Error::definition("42704", format!("{what} does not exist")),
                });
            }
            for own in writer.catalog.descendants(table.id).into_iter().chain([table]) {
                let mut descriptor = own.descriptor().clone();
                for key in descriptor.foreign_keys.iter_mut().filter(|key| key.name == name) {
                    key.deferrable = deferrable.is_some();
                    key.initially_deferred = deferrable == Some(true);
                }
                writer.put_table(descriptor)?;
            }
            Ok(())
        })
    }

    /// ADD CONSTRAINT … UNIQUE USING INDEX: a unique index becomes that of a constraint, and takes its name.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Duplicate`], [`Error::InvalidDefinition`] (42809, 55000) for an index that cannot.
    pub fn unique_using_index(
        &self,
        schema: &str,
        table: &str,
        index: &str,
        name: Option<&str>,
    ) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let table = find(writer, schema, table)?;
            let mut descriptor = table.descriptor().clone();
            let missing = || Error::definition("42704", format!("index \"{index}\" does not exist"));
            let own = descriptor.indexes.iter_mut().find(|i| i.name == index).ok_or_else(missing)?;
            let refuse = |state, message: String| Err(Error::definition(state, message));
            if own.constraint {
                return refuse("55000", format!("index \"{index}\" is already associated with a constraint"));
            }
            if !own.unique {
                return refuse("42809", format!("\"{index}\" is not a unique index"));
            }
            if !own.expressions.is_empty() {
                return refuse("42809", format!("index \"{index}\" contains expressions"));
            }
            if own.predicate.is_some() {
                return refuse("42809", format!("\"{index}\" is a partial index"));
            }
            if own.columns.iter().any(|c| c.descending || c.nulls_first) {
                return refuse(
                    "42809",
                    format!("index \"{index}\" column number 1 does not have default sorting behavior"),
                );
            }
            if let Some(name) = name.filter(|name| *name != index) {
                if table.has_constraint(name) {
                    return Err(Error::duplicate_in(ObjectKind::Constraint, name, &table.name));
                }
                name::free(&writer.catalog, schema, name)?;
                own.name = name.to_owned();
            }
            own.constraint = true;
            writer.put_table(descriptor)?;
            Ok(())
        })
    }

    /// RENAME CONSTRAINT.
    ///
    /// # Errors
    /// [`Error::Undefined`] (42704), [`Error::Duplicate`].
    pub fn rename_constraint(&self, schema: &str, table: &str, name: &str, new_name: &str) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let old = find(writer, schema, table)?;
            if !old.has_constraint(name) {
                return Err(Error::undefined_constraint(table, name));
            }
            if old.has_constraint(new_name) {
                return Err(Error::duplicate_in(ObjectKind::Constraint, new_name, table));
            }
            if partition::is_inherited(writer, &old, name) && !is_index(&old, name) {
                let message = format!("cannot rename inherited constraint \"{name}\"");
                return Err(Error::definition("42P16", message));
            }
            if !is_index(&old, name) {
                for own in writer.catalog.descendants(old.id) {
                    let mut new = own.descriptor().clone();
                    let checks = new.checks.iter_mut().map(|check| &mut check.name);
                    let keys = new.foreign_keys.iter_mut().map(|key| &mut key.name);
                    checks.chain(keys).filter(|own| *own == name).for_each(|own| *own = new_name.to_owned());
                    new.move_comment(name, new_name);
                    writer.put_table(new)?;
                }
            }
            let mut new = old.descriptor().clone();
            if !new.primary_key.is_empty() && new.primary_key_name == name {
                name::free(&writer.catalog, schema, new_name)?;
                new.primary_key_name = new_name.to_owned();
            }
            for index in new.indexes.iter_mut().filter(|i| i.constraint && i.name == name) {
                name::free(&writer.catalog, schema, new_name)?;
                index.name = new_name.to_owned();
            }
            new.checks.iter_mut().filter(|c| c.name == name).for_each(|c| c.name = new_name.to_owned());
            new.foreign_keys.iter_mut().filter(|k| k.name == name).for_each(|k| k.name = new_name.to_owned());
            new.move_comment(name, new_name);
            writer.put_table(new)?;
            Ok(())
        })
    }
}

/// Adds a constraint to the table of that id, and to its partitions.
pub(super) fn add(writer: &mut Writer<'_>, id: ObjectId, constraint: ConstraintSpec) -> Result<()> {
    add_here(writer, id, constraint)?;
    partition::hand_down(writer, id)
}

fn add_here(writer: &mut Writer<'_>, id: ObjectId, constraint: ConstraintSpec) -> Result<()> {
    let table = table_by_id(writer, id)?;
    match constraint {
        ConstraintSpec::PrimaryKey { name, columns, deferrable: None } => {
            add_primary_key(writer, &table, name, &columns)
        }
        ConstraintSpec::PrimaryKey { name, columns, deferrable } => {
            let table = not_keyed(&table)?;
            let ids = key_columns(table, &columns, "primary key")?;
            let name = constraint_name(writer, table, name, &[], "pkey", true)?;
            let table = set_not_null(writer, table, &ids, true)?;
            let index =
                IndexDescriptor { deferrable, primary: true, ..IndexDescriptor::on(0, name, Vec::new()) };
            add_unique(writer, &table, None, &columns, &[], index)
        }
        ConstraintSpec::Unique { name, columns, nulls_not_distinct, include, deferrable } => {
            let index =
                IndexDescriptor { nulls_not_distinct, deferrable, ..IndexDescriptor::on(0, "", Vec::new()) };
            add_unique(writer, &table, name, &columns, &include, index)
        }
        ConstraintSpec::Check { name, sql, columns, not_valid } => {
            add_check(writer, &table, name, sql, &columns, not_valid)
        }
        ConstraintSpec::ForeignKey {
            name,
            columns,
            parent,
            parent_columns,
            on_delete,
            on_update,
            not_valid,
            deferrable,
        } => {
            let key = ForeignKey {
                name: String::new(),
                columns: Vec::new(),
                parent: 0,
                parent_columns: Vec::new(),
                on_delete,
                on_update,
                not_valid,
                deferrable: deferrable.is_some(),
                initially_deferred: deferrable == Some(true),
            };
            add_foreign_key(writer, &table, name, &columns, &parent, &parent_columns, key)
        }
    }
}

/// Columns of that type can be in an index of that kind.
pub(super) fn indexable(ty: &DataType, kind: &str) -> Result<()> {
    super::composite::not_record("row", ty)?;
    let method = cairn_index::kind(kind);
    let method = method
        .ok_or_else(|| Error::definition("42704", format!("access method \"{kind}\" does not exist")))?;
    if method.accepts(ty) {
        return Ok(());
    }
    Err(Error::InvalidDefinition {
        sqlstate: "42704",
        message: format!(
            "data type {} has no default operator class for access method \"{kind}\"",
            ty.sql_name()
        ),
        detail: None,
        hint: Some(
            "You must specify an operator class for the index or define a default operator class for the data type."
                .to_owned(),
        ),
    })
}

/// The key's columns, once each, of types that can be indexed.
fn key_columns(table: &Table, names: &[String], what: &str) -> Result<Vec<ColumnId>> {
    let mut ids: Vec<ColumnId> = Vec::new();
    for name in names {
        let column = table.column(name).map_err(|_| {
            let message = format!("column \"{name}\" named in key does not exist");
            Error::Undefined { kind: ObjectKind::Column, message }
        })?;
        indexable(&column.ty, "btree")?;
        if ids.contains(&column.id) {
            let message = format!("column \"{name}\" appears twice in {what} constraint");
            return Err(Error::Duplicate { kind: ObjectKind::Column, message });
        }
        ids.push(column.id);
    }
    Ok(ids)
}

/// The name given, if it is free, or one that is.
fn constraint_name(
    writer: &Writer<'_>,
    table: &Table,
    given: Option<String>,
    columns: &[String],
    label: &str,
    is_relation: bool,
) -> Result<String> {
    let used = |name: &str| {
        table.has_constraint(name) || (is_relation && writer.catalog.name_taken(&table.schema, name))
    };
    match given {
        Some(name) if table.has_constraint(&name) => {
            Err(Error::duplicate_in(ObjectKind::Constraint, &name, &table.name))
        }
        Some(name) if is_relation && writer.catalog.name_taken(&table.schema, &name) => {
            Err(Error::duplicate(ObjectKind::Relation, &name))
        }
        Some(name) => Ok(name),
        None => Ok(name::choose(&table.name, &columns.join("_"), label, used)),
    }
}

/// A table gets a primary key once.
fn not_keyed(table: &Arc<Table>) -> Result<&Arc<Table>> {
    if !table.primary_key.is_empty() || table.indexes.iter().any(|index| index.primary) {
        let message = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
        return Err(Error::definition("42P16", message));
    }
    Ok(table)
}

fn add_primary_key(
    writer: &mut Writer<'_>,
    table: &Arc<Table>,
    name: Option<String>,
    columns: &[String],
) -> Result<()> {
    let table = not_keyed(table)?;
    let ids = key_columns(table, columns, "primary key")?;
    partition::check_unique(table, &ids, "PRIMARY KEY")?;
    let name = constraint_name(writer, table, name, &[], "pkey", true)?;
    let table = set_not_null(writer, table, &ids, true)?;
    let new =
        TableDescriptor { primary_key: ids, primary_key_name: name.clone(), ..table.descriptor().clone() };
    rekey(writer, &table, new, &name)
}

/// Gives the rows of a table new row keys: those of the primary key that `new` has, or hidden ones.
fn rekey(writer: &mut Writer<'_>, old: &Arc<Table>, new: TableDescriptor, key_name: &str) -> Result<()> {
    writer.guard_rows(old.id);
    if is_empty(writer, old)? {
        writer.put_table(new)?;
        return Ok(());
    }
    let before = writer.view();
    table::empty(writer, old)?;
    let new = writer.put_table(new)?;
    let columns: Vec<usize> = (0..old.live_columns().len()).collect();
    let mut rows = 0;
    for batch in table::scan(&before, old, ScanRequest::full(columns))? {
        let batch = batch?;
        rows += batch.num_rows();
        table::insert_raw(writer, &new, &batch).map_err(|e| not_unique(e, key_name))?;
    }
    writer.count_rows(new.id, rows as i64);
    Ok(())
}

/// A duplicate found while a key was being made, in the words for that.
pub(super) fn not_unique(e: Error, name: &str) -> Error {
    match e {
        Error::Constraint { violation: Violation::Unique, detail, mut object, .. } => {
            object.constraint = Some(name.to_owned());
            Error::Constraint {
                violation: Violation::Unique,
                message: format!("could not create unique index \"{name}\""),
                detail: detail.map(|d| d.replace(" already exists.", " is duplicated.")),
                object,
            }
        }
        other => other,
    }
}

/// `index` says what the new one is but for its columns, and its name where that is chosen already.
fn add_unique(
    writer: &mut Writer<'_>,
    table: &Arc<Table>,
    name: Option<String>,
    columns: &[String],
    include: &[String],
    index: IndexDescriptor,
) -> Result<()> {
    if index.deferrable.is_some() && (table.is_partitioned() || table.partition.is_some()) {
        let message = "deferrable unique and primary keys of partitioned tables are not supported";
        return Err(Error::Unsupported { message: message.to_owned() });
    }
    let ids = key_columns(table, columns, "unique")?;
    partition::check_unique(table, &ids, "UNIQUE")?;
    let named: Vec<String> = columns.iter().chain(include).cloned().collect();
    let name = match index.name.is_empty() {
        true => constraint_name(writer, table, name, &named, "key", true)?,
        false => index.name.clone(),
    };
    let index = IndexDescriptor {
        id: table.next_index,
        name,
        columns: ids.into_iter().map(IndexColumn::ascending).collect(),
        unique: true,
        constraint: true,
        include: index::included(table, include)?,
        ..index
    };
    index::build(writer, table, index).map(|_| ())
}

fn add_check(
    writer: &mut Writer<'_>,
    table: &Arc<Table>,
    name: Option<String>,
    sql: String,
    columns: &[String],
    not_valid: bool,
) -> Result<()> {
    let ids = column_ids(table, columns)?;
    let one = if columns.len() == 1 { columns } else { &[] };
    let name = constraint_name(writer, table, name, one, "check", false)?;
    let mut descriptor = table.descriptor().clone();
    descriptor.checks.push(Check { name: name.clone(), sql, columns: ids, not_valid });
    let added = descriptor.checks.len() - 1;
    let new = writer.put_table(descriptor)?;
    if not_valid { Ok(()) } else { check_all(writer, &new, added) }
}

/// Whether a constraint of that name is an index.
fn is_index(table: &Table, name: &str) -> bool {
    table.primary_key_name == name || table.indexes.iter().any(|index| index.constraint && index.name == name)
}

/// All rows of a table against one of its CHECKs.
fn check_all(writer: &mut Writer<'_>, new: &Arc<Table>, added: usize) -> Result<()> {
    let name = &new.checks[added].name;
    writer.guard_rows(new.id);
    let all: Vec<usize> = (0..new.live_columns().len()).collect();
    for batch in table::scan(&writer.view(), new, ScanRequest::full(all))? {
        writer.txn_ref().check_cancelled()?;
        check::check_constraints(writer.database, new, &[added], &batch?).map_err(|e| match e {
            Error::Constraint { violation: Violation::Check, object, .. } => Error::Constraint {
                violation: Violation::Check,
                message: format!(
                    "check constraint \"{name}\" of relation \"{}\" is violated by some row",
                    new.name
                ),
                detail: None,
                object,
            },
            other => other,
        })?;
    }
    Ok(())
}

/// `key` says what the new one is but for its name and what it is of.
fn add_foreign_key(
    writer: &mut Writer<'_>,
    table: &Arc<Table>,
    name: Option<String>,
    columns: &[String],
    (parent_schema, parent_name): &(String, String),
    parent_columns: &[String],
    key: ForeignKey,
) -> Result<()> {
    let not_valid = key.not_valid;
    let ids = column_ids(table, columns).map_err(|_| {
        let missing = columns.iter().find(|name| table.column(name).is_err());
        let missing = missing.map_or("", String::as_str);
        let message = format!("column \"{missing}\" referenced in foreign key constraint does not exist");
        Error::Undefined { kind: ObjectKind::Column, message }
    })?;
    let parent = find(writer, parent_schema, parent_name)?;
    let late = |columns: Option<&[ColumnId]>| {
        parent.indexes.iter().filter(|index| index.deferrable.is_some()).any(|index| match columns {
            None => index.primary,
            Some(ids) => {
                index.columns.len() == ids.len() && index.columns.iter().all(|c| ids.contains(&c.column))
            }
        })
    };
    let refuse_late = |what: &str| {
        let message = format!("cannot use a deferrable {what} for referenced table \"{parent_name}\"");
        Err(Error::definition("55000", message))
    };
    if parent_columns.is_empty() && late(None) {
        return refuse_late("primary key");
    }
    let parent_ids = if parent_columns.is_empty() {
        parent.primary_key.clone()
    } else {
        column_ids(&parent, parent_columns)?
    };
    if parent_ids.is_empty() {
        let message = format!("there is no primary key for referenced table \"{parent_name}\"");
        return Err(Error::definition("42704", message));
    }
    if parent_ids.len() != ids.len() {
        let message = "number of referencing and referenced columns for foreign key disagree";
        return Err(Error::definition("42830", message));
    }
    if parent::unique_key_on(&parent, &parent_ids).is_none() {
        if late(Some(&parent_ids)) {
            return refuse_late("unique constraint");
        }
        let message = format!(
            "there is no unique constraint matching given keys for referenced table \"{parent_name}\""
        );
        return Err(Error::definition("42830", message));
    }
    let name = constraint_name(writer, table, name, columns, "fkey", false)?;
    check_types(table, &ids, &parent, &parent_ids, &name)?;
    let key = ForeignKey { name, columns: ids, parent: parent.id, parent_columns: parent_ids, ..key };
    let mut descriptor = table.descriptor().clone();
    descriptor.foreign_keys.push(key.clone());
    let new = writer.put_table(descriptor)?;
    if parent.id != table.id {
        // Written again, so that a transaction that deletes parents and does not know of the key conflicts.
        writer.put_table(parent.descriptor().clone())?;
    }
    if not_valid { Ok(()) } else { check_rows(writer, &new, &key) }
}

/// Marks a constraint as kept by all rows, after looking at them.
fn validate(writer: &mut Writer<'_>, table: &Arc<Table>, name: &str) -> Result<()> {
    let mut descriptor = table.descriptor().clone();
    if let Some(at) = table.checks.iter().position(|check| check.name == name) {
        if table.checks[at].not_valid {
            check_all(writer, table, at)?;
        }
        descriptor.checks[at].not_valid = false;
    } else if let Some(at) = table.foreign_keys.iter().position(|key| key.name == name) {
        if table.foreign_keys[at].not_valid {
            check_rows(writer, table, &table.foreign_keys[at])?;
        }
        descriptor.foreign_keys[at].not_valid = false;
    } else if table.has_constraint(name) {
        return Err(Error::definition(
            "42809",
            format!(
                "constraint \"{name}\" of relation \"{}\" is not a foreign key or check constraint",
                table.name
            ),
        ));
    } else {
        return Err(Error::undefined_constraint(&table.name, name));
    }
    writer.put_table(descriptor)?;
    Ok(())
}

/// Each pair of columns can hold the same keys.
fn check_types(
    table: &Table,
    ids: &[ColumnId],
    parent: &Table,
    parent_ids: &[ColumnId],
    name: &str,
) -> Result<()> {
    for (child, other) in ids.iter().zip(parent_ids) {
        let (Some(child), Some(other)) = (table.column_by_id(*child), parent.column_by_id(*other)) else {
            continue;
        };
        if !comparable(&child.ty, &other.ty) {
            return Err(Error::InvalidDefinition {
                sqlstate: "42804",
                message: format!("foreign key constraint \"{name}\" cannot be implemented"),
                detail: Some(format!(
                    "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                    child.name,
                    other.name,
                    child.ty.sql_name(),
                    other.ty.sql_name()
                )),
                hint: None,
            });
        }
    }
    Ok(())
}

/// All rows of a table against a new foreign key.
fn check_rows(writer: &mut Writer<'_>, table: &Arc<Table>, key: &ForeignKey) -> Result<()> {
    if is_empty(writer, table)? {
        return Ok(());
    }
    writer.guard_rows(table.id);
    let places = check::places(table, &key.columns);
    let all: Vec<usize> = (0..table.live_columns().len()).collect();
    for batch in table::scan(&writer.view(), table, ScanRequest::full(all))? {
        writer.txn_ref().check_cancelled()?;
        parent::check_key(writer, table, key, &places, &batch?, None)?;
    }
    Ok(())
}

/// Whether values of the two types can be the same key.
fn comparable(a: &DataType, b: &DataType) -> bool {
    let exact = |ty: &DataType| {
        matches!(ty, DataType::SmallInt | DataType::Integer | DataType::BigInt | DataType::Numeric(_))
    };
    let text = |ty: &DataType| matches!(ty, DataType::Text | DataType::Varchar(_) | DataType::Char(_));
    a == b || (exact(a) && exact(b)) || (text(a) && text(b))
}

/// Drops the constraint of that name.
pub(super) fn drop(
    writer: &mut Writer<'_>,
    schema: &str,
    table: &str,
    name: &str,
    cascade: bool,
) -> Result<()> {
    let old = find(writer, schema, table)?;
    if !old.has_constraint(name) {
        return Err(Error::undefined_constraint(table, name));
    }
    if !old.primary_key.is_empty() && old.primary_key_name == name {
        for (own, _) in partition::counterparts(writer, old.id, 0) {
            drop(writer, &own.schema, &own.name, &own.primary_key_name, cascade)?;
        }
        drop_referring(writer, &old, &old.primary_key, name, cascade)?;
        let old = table_by_id(writer, old.id)?;
        let new = TableDescriptor {
            primary_key: Vec::new(),
            primary_key_name: String::new(),
            ..old.descriptor().clone()
        };
        return rekey(writer, &old, new, name);
    }
    if let Some(index) = old.indexes.iter().find(|i| i.constraint && i.name == name) {
        let columns: Vec<ColumnId> = index.columns.iter().map(|c| c.column).collect();
        drop_referring(writer, &old, &columns, name, cascade)?;
        return index::remove(writer, old.id, index.id);
    }
    let below: Vec<Arc<Table>> = writer.catalog.partition_tables(old.id).cloned().collect();
    for own in below.iter().filter(|own| own.has_constraint(name)) {
        drop(writer, &own.schema, &own.name, name, cascade)?;
    }
    let mut new = old.descriptor().clone();
    new.checks.retain(|c| c.name != name);
    new.foreign_keys.retain(|k| k.name != name);
    writer.put_table(new)?;
    Ok(())
}

/// Foreign keys that refer to that key, and to no other key on the same columns, go, or are in the way.
pub(super) fn drop_referring(
    writer: &mut Writer<'_>,
    table: &Table,
    columns: &[ColumnId],
    name: &str,
    cascade: bool,
) -> Result<()> {
    let refers = |key: &ForeignKey| {
        key.parent_columns.len() == columns.len() && key.parent_columns.iter().all(|c| columns.contains(c))
    };
    let referring: Vec<(Arc<Table>, String)> = writer
        .catalog
        .children(table.id)
        .filter(|(_, key)| refers(key))
        .map(|(child, key)| (child.clone(), key.name.clone()))
        .collect();
    if referring.is_empty() {
        return Ok(());
    }
    if !cascade {
        let line = |(child, key): &(Arc<Table>, String)| {
            format!("constraint {key} on table {} depends on index {name}", child.name)
        };
        return Err(Error::DependentObjects {
            message: format!(
                "cannot drop constraint {name} on table {} because other objects depend on it",
                table.name
            ),
            detail: referring.iter().map(line).collect::<Vec<_>>().join("\n"),
        });
    }
    for (child, key) in referring {
        let child = table_by_id(writer, child.id)?;
        let mut descriptor = child.descriptor().clone();
        descriptor.foreign_keys.retain(|k| k.name != key);
        writer.put_table(descriptor)?;
    }
    Ok(())
}
