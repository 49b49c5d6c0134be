//! Partitions: bounds that fit together, ATTACH and DETACH, and what partitions take over from their table.
//!
//! I1: a partition has the columns of its table, by name and type, and no others; each index, key, CHECK and FOREIGN KEY of
//! the table has its counterpart in it.
//! I2: bounds are changed together with the descriptor of the table and of its default partition, so that whoever writes rows
//! by the old ones does not commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::spec::{ConstraintSpec, PartitionBySpec};
use super::table::table_by_id;
use super::{constraint, find, index, name};
use crate::catalog::{
    Column, ColumnId, ForeignKey, IndexColumn, IndexDescriptor, IndexExpression, IndexId, IndexPredicate,
    ObjectId, PartitionBound, PartitionOf, PartitionStrategy, Partitioning, Table, TableDescriptor,
    TriggerDescriptor,
};
use crate::error::{Error, ObjectKind, Result, Violation};
use crate::table::{self, ScanRequest, check, partition};
use crate::transaction::{Transaction, Writer};

impl Transaction {
    /// ALTER TABLE … ATTACH PARTITION; each pair is a schema and a name. The rows of the partition are checked, and those
    /// of the default partition, which may be the new one's.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::InvalidDefinition`] (42P16, 42P17, 42804, 42809), [`Error::Constraint`] (23514).
    pub fn attach_partition(
        &self,
        table: (&str, &str),
        partition: (&str, &str),
        bound: PartitionBound,
    ) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let parent = find(writer, table.0, table.1)?;
            let child = find(writer, partition.0, partition.1)?;
            attach(writer, &parent, &child, bound, false)
        })
    }

    /// ALTER TABLE … DETACH PARTITION: the partition becomes a table of its own, with its rows, indexes and constraints.
    ///
    /// # Errors
    /// [`Error::Undefined`] (42P01) where it is no partition of the table, [`Error::Constraint`] (23503) where foreign keys
    /// refer to its rows.
    pub fn detach_partition(&self, table: (&str, &str), partition: (&str, &str)) -> Result<()> {
        self.write("ALTER TABLE", |writer| {
            let parent = find(writer, table.0, table.1)?;
            require_partitioned(&parent)?;
            let child = find(writer, partition.0, partition.1)?;
            if child.partition.as_ref().is_none_or(|own| own.parent != parent.id) {
                let message =
                    format!("relation \"{}\" is not a partition of relation \"{}\"", child.name, parent.name);
                return Err(Error::Undefined { kind: ObjectKind::Relation, message });
            }
            for leaf in leaves(writer, &child) {
                table::check_unreferred(writer, &leaf)?;
            }
            // Row triggers were the table's.
            let of_statements = |own: &Table| own.triggers.iter().filter(|t| !t.per_row).cloned().collect();
            let triggers = of_statements(&child);
            writer.put_table(TableDescriptor { partition: None, triggers, ..child.descriptor().clone() })?;
            for own in writer.catalog.descendants(child.id) {
                let triggers = of_statements(&own);
                writer.put_table(TableDescriptor { triggers, ..own.descriptor().clone() })?;
            }
            renew(writer, &parent)
        })
    }
}

fn require_partitioned(table: &Table) -> Result<()> {
    match table.is_partitioned() {
        true => Ok(()),
        false => Err(Error::definition("42P17", format!("table \"{}\" is not partitioned", table.name))),
    }
}

/// The tables that hold the rows of this one.
fn leaves(writer: &Writer<'_>, table: &Arc<Table>) -> Vec<Arc<Table>> {
    if !table.is_partitioned() {
        return vec![table.clone()];
    }
    writer.catalog.descendants(table.id).into_iter().filter(|own| !own.is_partitioned()).collect()
}

/// I2.
fn renew(writer: &mut Writer<'_>, parent: &Arc<Table>) -> Result<()> {
    let parent = table_by_id(writer, parent.id)?;
    writer.put_table(parent.descriptor().clone())?;
    if let Some(default) = writer.catalog.partitions(&parent).default() {
        let default = table_by_id(writer, default)?;
        for leaf in leaves(writer, &default) {
            writer.lock_definition(leaf.id)?;
            writer.put_table(leaf.descriptor().clone())?;
        }
    }
    Ok(())
}

/// The key that PARTITION BY names.
pub(super) fn partitioning(table: &TableDescriptor, spec: &PartitionBySpec) -> Result<Partitioning> {
    if spec.strategy == PartitionStrategy::List && spec.columns.len() > 1 {
        let message = "cannot use \"list\" partition strategy with more than one column";
        return Err(Error::definition("42P17", message));
    }
    let mut columns = Vec::new();
    for name in &spec.columns {
        let found = table.columns.iter().find(|column| !column.dropped && column.name == *name);
        let Some(column) = found else {
            let message = format!("column \"{name}\" named in partition key does not exist");
            return Err(Error::definition("42703", message));
        };
        if column.generated.is_some() {
            return Err(Error::InvalidDefinition {
                sqlstate: "42P17",
                message: "cannot use generated column in partition key".to_owned(),
                detail: Some(format!("Column \"{name}\" is a generated column.")),
                hint: None,
            });
        }
        constraint::indexable(&column.ty, "btree")?;
        columns.push(column.id);
    }
    Ok(Partitioning { strategy: spec.strategy, columns })
}

/// A key that is to be unique has the whole partition key in it: rows of several partitions are never compared.
pub(super) fn check_unique(table: &Table, columns: &[ColumnId], what: &str) -> Result<()> {
    let Some(own) = &table.partitioning else { return Ok(()) };
    let Some(missing) = own.columns.iter().find(|id| !columns.contains(id)) else { return Ok(()) };
    let column = table.column_by_id(*missing).map_or("", |column| column.name.as_str());
    Err(Error::InvalidDefinition {
        sqlstate: "0A000",
        message: "unique constraint on partitioned table must include all partitioning columns".to_owned(),
        detail: Some(format!(
            "{what} constraint on table \"{}\" lacks column \"{column}\" which is part of the partition key.",
            table.name
        )),
        hint: None,
    })
}

/// Makes `child` a partition; `fresh`: it has just been made for that, and has no rows.
pub(super) fn attach(
    writer: &mut Writer<'_>,
    parent: &Arc<Table>,
    child: &Arc<Table>,
    bound: PartitionBound,
    fresh: bool,
) -> Result<()> {
    require_partitioned(parent)?;
    refuse(writer, parent, child)?;
    check_no_more_columns(parent, child)?;
    check_bound(writer, parent, &child.name, &bound)?;
    check_columns(parent, child)?;
    let key = writer.catalog.partitions(parent).key();
    let types = key.iter().map(|(_, ty)| ty.clone()).collect();
    let own = PartitionOf { parent: parent.id, types, bound, indexes: Vec::new() };
    writer.put_table(TableDescriptor { partition: Some(own), ..child.descriptor().clone() })?;
    complete(writer, parent.id, child.id, fresh)?;
    if !fresh {
        let child = table_by_id(writer, child.id)?;
        for leaf in leaves(writer, &child) {
            each_batch(writer, &leaf, |writer, batch| {
                match partition::stranger(&writer.catalog, &leaf, batch) {
                    None => Ok(()),
                    Some(_) => Err(violated(
                        &child,
                        format!(
                            "partition constraint of relation \"{}\" is violated by some row",
                            child.name
                        ),
                    )),
                }
            })?;
        }
    }
    check_default(writer, parent, child)?;
    renew(writer, parent)
}

fn refuse(writer: &Writer<'_>, parent: &Arc<Table>, child: &Arc<Table>) -> Result<()> {
    if child.partition.is_some() {
        return Err(Error::definition("42809", format!("\"{}\" is already a partition", child.name)));
    }
    let circular =
        child.id == parent.id || writer.catalog.ancestors(parent).iter().any(|own| own.id == child.id);
    if circular {
        return Err(Error::InvalidDefinition {
            sqlstate: "42P07",
            message: "circular inheritance not allowed".to_owned(),
            detail: Some(format!("\"{}\" is already a child of \"{}\".", parent.name, child.name)),
            hint: None,
        });
    }
    if child.materialized.is_some() {
        let message = format!("\"{}\" is not a table", child.name);
        return Err(Error::definition("42809", message));
    }
    if child.triggers.iter().any(|trigger| trigger.per_row) {
        let message = format!("attaching table \"{}\", which has row triggers, as a partition", child.name);
        return Err(Error::Unsupported { message: format!("{message} is not supported") });
    }
    Ok(())
}

/// I1: no other columns.
fn check_no_more_columns(parent: &Table, child: &Table) -> Result<()> {
    if let Some(extra) = child.live_columns().find(|column| parent.column_place(&column.name).is_none()) {
        return Err(Error::InvalidDefinition {
            sqlstate: "42804",
            message: format!(
                "table \"{}\" contains column \"{}\" not found in parent \"{}\"",
                child.name, extra.name, parent.name
            ),
            detail: Some("The new partition may contain only the columns present in parent.".to_owned()),
            hint: None,
        });
    }
    Ok(())
}

/// I1: all columns.
fn check_columns(parent: &Table, child: &Table) -> Result<()> {
    let refuse = |message: String| Err(Error::definition("42804", message));
    for column in parent.live_columns() {
        let name = &column.name;
        let Some(own) = child.column_place(name).map(|place| child.live_column(place)) else {
            return refuse(format!("child table is missing column \"{name}\""));
        };
        if own.ty != column.ty || own.domain != column.domain {
            return refuse(format!(
                "child table \"{}\" has different type for column \"{name}\"",
                child.name
            ));
        }
        if !column.nullable && own.nullable {
            return refuse(format!("column \"{name}\" in child table must be marked NOT NULL"));
        }
        let expression = |column: &Column| column.generated.as_ref().map(|own| own.sql.clone());
        match (expression(column), expression(own)) {
            (Some(_), None) => {
                return refuse(format!("column \"{name}\" in child table must be a generated column"));
            }
            (None, Some(_)) => {
                return refuse(format!("column \"{name}\" in child table must not be a generated column"));
            }
            (a, b) if a != b => {
                return refuse(format!(
                    "column \"{name}\" in child table has a conflicting generation expression"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The bound makes sense, and meets no other one.
fn check_bound(writer: &Writer<'_>, parent: &Table, name: &str, bound: &PartitionBound) -> Result<()> {
    let refuse = |state, message: String| Err(Error::definition(state, message));
    let catalog = &writer.catalog;
    let name_of = |id: ObjectId| catalog.table_by_id(id).map_or("", |own| own.name.as_str());
    let partitions = catalog.partitions(parent);
    let strategy = parent.partitioning.as_ref().map(|own| own.strategy);
    match (bound, strategy) {
        (PartitionBound::Default, Some(PartitionStrategy::Hash)) => {
            return refuse("42P16", "a hash-partitioned table may not have a default partition".to_owned());
        }
        (PartitionBound::Default, _) => {
            if let Some(default) = partitions.default() {
                let default = name_of(default);
                let message =
                    format!("partition \"{name}\" conflicts with existing default partition \"{default}\"");
                return refuse("42P17", message);
            }
            return Ok(());
        }
        (PartitionBound::Range { from, to }, Some(PartitionStrategy::Range)) => {
            if from >= to {
                let (from, to) = (bound_text(parent, from), bound_text(parent, to));
                return Err(Error::InvalidDefinition {
                    sqlstate: "42P17",
                    message: format!("empty range bound specified for partition \"{name}\""),
                    detail: Some(format!(
                        "Specified lower bound {from} is greater than or equal to upper bound {to}."
                    )),
                    hint: None,
                });
            }
        }
        (PartitionBound::Hash { modulus, .. }, Some(PartitionStrategy::Hash)) => {
            for (id, other) in partitions.all() {
                let PartitionBound::Hash { modulus: known, .. } = other else { continue };
                let divides = if modulus >= known { modulus % known } else { known % modulus };
                if divides == 0 {
                    continue;
                }
                let how = if modulus >= known { "divisible by" } else { "a factor of" };
                return Err(Error::InvalidDefinition {
                    sqlstate: "42P17",
                    message: "every hash partition modulus must be a factor of the next larger modulus"
                        .to_owned(),
                    detail: Some(format!(
                        "The new modulus {modulus} is not {how} {known}, the modulus of existing partition \"{}\".",
                        name_of(*id)
                    )),
                    hint: None,
                });
            }
        }
        (PartitionBound::List(_), Some(PartitionStrategy::List)) => {}
        (_, Some(strategy)) => {
            let message = format!("invalid bound specification for a {} partition", strategy.word());
            return refuse("42P16", message);
        }
        (_, None) => return require_partitioned(parent),
    }
    match partitions.all().iter().find(|(_, other)| bound.overlaps(other)) {
        None => Ok(()),
        Some((id, _)) => {
            let other = name_of(*id);
            refuse("42P17", format!("partition \"{name}\" would overlap partition \"{other}\""))
        }
    }
}

fn bound_text(parent: &Table, ends: &[crate::catalog::RangeEnd]) -> String {
    use crate::catalog::RangeEnd;
    let columns = parent.partitioning.iter().flat_map(|own| &own.columns);
    let types = columns.filter_map(|id| parent.column_by_id(*id)).map(|column| &column.ty);
    let cells = ends.iter().zip(types).map(|(end, ty)| match end {
        RangeEnd::Min => "MINVALUE".to_owned(),
        RangeEnd::Value(value) => crate::table::bound_literal(value, ty),
        RangeEnd::Max => "MAXVALUE".to_owned(),
    });
    format!("({})", cells.collect::<Vec<_>>().join(", "))
}

/// Gives a partition the indexes, keys and constraints of its table that it does not have. A CHECK must be there already
/// unless the partition is `fresh`.
pub(super) fn complete(
    writer: &mut Writer<'_>,
    parent: ObjectId,
    child: ObjectId,
    fresh: bool,
) -> Result<()> {
    let table = table_by_id(writer, parent)?;
    for own in &table.checks {
        let child = table_by_id(writer, child)?;
        match child.checks.iter().find(|other| other.name == own.name) {
            Some(other) if other.sql == own.sql => continue,
            Some(_) => {
                let message = format!(
                    "child table \"{}\" has different definition for check constraint \"{}\"",
                    child.name, own.name
                );
                return Err(Error::definition("42804", message));
            }
            None if !fresh => {
                let message = format!("child table is missing constraint \"{}\"", own.name);
                return Err(Error::definition("42804", message));
            }
            None => {}
        }
        let spec = ConstraintSpec::Check {
            name: Some(own.name.clone()),
            sql: own.sql.clone(),
            columns: names_of(&table, &own.columns),
            not_valid: own.not_valid,
        };
        constraint::add(writer, child.id, spec)?;
    }
    complete_keys(writer, &table, child)?;
    for own in &table.foreign_keys {
        complete_foreign_key(writer, &table, child, own)?;
    }
    complete_triggers(writer, &table, child)
}

/// Row triggers of a table are its partitions', too: whoever writes rows of a partition itself fires those.
fn complete_triggers(writer: &mut Writer<'_>, table: &Table, child: ObjectId) -> Result<()> {
    let own = table_by_id(writer, child)?;
    let mut triggers = own.triggers.clone();
    triggers.retain(|trigger| !trigger.per_row);
    for trigger in table.triggers.iter().filter(|trigger| trigger.per_row) {
        if triggers.iter().any(|other| other.name == trigger.name) {
            let message =
                format!("trigger \"{}\" for relation \"{}\" already exists", trigger.name, own.name);
            return Err(Error::definition("42710", message));
        }
        let columns = ids_in(table, &own, &trigger.columns)?;
        triggers.push(TriggerDescriptor { columns, ..trigger.clone() });
    }
    triggers.sort_by(|a, b| a.name.cmp(&b.name));
    if triggers != own.triggers {
        writer.put_table(TableDescriptor { triggers, ..own.descriptor().clone() })?;
        hand_down(writer, child)?;
    }
    Ok(())
}

fn names_of(table: &Table, columns: &[ColumnId]) -> Vec<String> {
    columns.iter().filter_map(|id| table.column_by_id(*id)).map(|column| column.name.clone()).collect()
}

/// Those columns of `from` in `to`.
fn ids_in(from: &Table, to: &Table, columns: &[ColumnId]) -> Result<Vec<ColumnId>> {
    names_of(from, columns).iter().map(|name| Ok(to.column(name)?.id)).collect()
}

fn complete_foreign_key(
    writer: &mut Writer<'_>,
    table: &Table,
    child: ObjectId,
    own: &ForeignKey,
) -> Result<()> {
    let child = table_by_id(writer, child)?;
    let columns = ids_in(table, &child, &own.columns)?;
    let same = |key: &ForeignKey| {
        key.columns == columns && key.parent == own.parent && key.parent_columns == own.parent_columns
    };
    if child.foreign_keys.iter().any(|key| key.name == own.name && same(key)) {
        return Ok(());
    }
    let referred = table_by_id(writer, own.parent)?;
    let spec = ConstraintSpec::ForeignKey {
        name: Some(own.name.clone()),
        columns: names_of(table, &own.columns),
        parent: (referred.schema.clone(), referred.name.clone()),
        parent_columns: names_of(&referred, &own.parent_columns),
        on_delete: own.on_delete,
        on_update: own.on_update,
        not_valid: own.not_valid,
        deferrable: own.deferrable.then_some(own.initially_deferred),
    };
    constraint::add(writer, child.id, spec)
}

fn complete_keys(writer: &mut Writer<'_>, table: &Table, child: ObjectId) -> Result<()> {
    let links = |child: &Table| child.partition.as_ref().map(|own| own.indexes.clone()).unwrap_or_default();
    let own = table_by_id(writer, child)?;
    if !table.primary_key.is_empty() && !links(&own).iter().any(|(parent, _)| *parent == 0) {
        if own.primary_key.is_empty() {
            let columns = names_of(table, &table.primary_key);
            constraint::add(
                writer,
                child,
                ConstraintSpec::PrimaryKey { name: None, columns, deferrable: None },
            )?;
        } else if names_of(&own, &own.primary_key) != names_of(table, &table.primary_key) {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", own.name);
            return Err(Error::definition("42P16", message));
        }
        link(writer, child, 0, 0)?;
    }
    for index in &table.indexes {
        let own = table_by_id(writer, child)?;
        let known = links(&own);
        if known.iter().any(|(parent, _)| *parent == index.id) {
            continue;
        }
        let wanted = index_in(table, &own, index)?;
        let same = |other: &&IndexDescriptor| {
            !known.iter().any(|(_, own)| *own == other.id) && stands_for(other, &wanted)
        };
        let id = match own.indexes.iter().find(same) {
            Some(found) => found.id,
            None => {
                let wanted = IndexDescriptor { name: index_name(writer, &own, &wanted), ..wanted };
                let id = index::build(writer, &own, wanted)?;
                hand_down(writer, child)?;
                id
            }
        };
        link(writer, child, index.id, id)?;
    }
    Ok(())
}

/// Whether an index of a partition is what is wanted for one of its table.
fn stands_for(own: &IndexDescriptor, wanted: &IndexDescriptor) -> bool {
    let bare = |index: &IndexDescriptor| IndexDescriptor {
        id: 0,
        name: String::new(),
        constraint: false,
        comment: None,
        ..index.clone()
    };
    (!wanted.constraint || own.constraint) && bare(own) == bare(wanted)
}

/// ALTER INDEX … ATTACH PARTITION, of indexes by schema and name.
pub(super) fn attach_index(writer: &mut Writer<'_>, above: (&str, &str), below: (&str, &str)) -> Result<()> {
    let (table, parent_index) = writer.catalog.index(above.0, above.1)?;
    let (child, index) = writer.catalog.index(below.0, below.1)?;
    if !table.is_partitioned() {
        let message =
            format!("ALTER action ATTACH PARTITION cannot be performed on relation \"{}\"", above.1);
        return Err(Error::InvalidDefinition {
            sqlstate: "42809",
            message,
            detail: Some("This operation is not supported for indexes.".to_owned()),
            hint: None,
        });
    }
    let refuse = |sqlstate, detail: String| {
        let message = format!("cannot attach index \"{}\" as a partition of index \"{}\"", below.1, above.1);
        Err(Error::InvalidDefinition { sqlstate, message, detail: Some(detail), hint: None })
    };
    let links = match &child.partition {
        Some(own) if own.parent == table.id => own.indexes.clone(),
        _ => {
            let detail = format!(
                "Index \"{}\" is not an index on any partition of table \"{}\".",
                below.1, table.name
            );
            return refuse("55000", detail);
        }
    };
    if links.contains(&(parent_index, index)) {
        return Ok(());
    }
    if links.iter().any(|(parent, _)| *parent == parent_index) {
        let detail = format!("Another index is already attached for partition \"{}\".", child.name);
        return refuse("55000", detail);
    }
    if let Some((other, _)) = links.iter().find(|(_, own)| *own == index) {
        let other = table.index_by_id(*other).map(|index| index.name.clone()).unwrap_or_default();
        return refuse("55000", format!("Index \"{}\" is already attached to index \"{other}\".", below.1));
    }
    let fits = match (table.index_by_id(parent_index), child.index_by_id(index)) {
        (Some(wanted), Some(own)) => stands_for(own, &index_in(&table, &child, wanted)?),
        (None, None) => names_of(&child, &child.primary_key) == names_of(&table, &table.primary_key),
        _ => false,
    };
    if !fits {
        return refuse("42P17", "The index definitions do not match.".to_owned());
    }
    writer.lock_definition(child.id)?;
    link(writer, child.id, parent_index, index)
}

/// Gives all partitions of a table what it has got.
pub(super) fn hand_down(writer: &mut Writer<'_>, table: ObjectId) -> Result<()> {
    let all: Vec<ObjectId> = writer.catalog.partition_tables(table).map(|own| own.id).collect();
    all.into_iter().try_for_each(|child| complete(writer, table, child, true))
}

/// An index of a table as one of its partition's.
fn index_in(table: &Table, child: &Table, index: &IndexDescriptor) -> Result<IndexDescriptor> {
    let mut columns = Vec::new();
    for column in &index.columns {
        let id = match column.column {
            IndexColumn::EXPRESSION => IndexColumn::EXPRESSION,
            id => ids_in(table, child, &[id])?[0],
        };
        columns.push(IndexColumn { column: id, ..*column });
    }
    let mut expressions = Vec::new();
    for own in &index.expressions {
        expressions.push(IndexExpression { columns: ids_in(table, child, &own.columns)?, ..own.clone() });
    }
    let predicate = match &index.predicate {
        Some(own) => Some(IndexPredicate { columns: ids_in(table, child, &own.columns)?, ..own.clone() }),
        None => None,
    };
    let part = |(column, expression): (&IndexColumn, Option<&IndexExpression>)| match expression {
        Some(_) => "expr".to_owned(),
        None => table.column_by_id(column.column).map(|own| own.name.clone()).unwrap_or_default(),
    };
    let parts: Vec<String> = index.key_parts().map(part).chain(names_of(table, &index.include)).collect();
    Ok(IndexDescriptor {
        id: child.next_index,
        name: parts.join("_"),
        comment: None,
        columns,
        expressions,
        predicate,
        include: ids_in(table, child, &index.include)?,
        ..index.clone()
    })
}

/// The name of an index that a partition gets, from what its columns are called.
pub(super) fn index_name(writer: &Writer<'_>, child: &Table, index: &IndexDescriptor) -> String {
    let taken = |name: &str| writer.catalog.name_taken(&child.schema, name) || child.has_constraint(name);
    name::choose(&child.name, &index.name, if index.constraint { "key" } else { "idx" }, taken)
}

fn link(writer: &mut Writer<'_>, child: ObjectId, parent_index: IndexId, index: IndexId) -> Result<()> {
    let child = table_by_id(writer, child)?;
    let mut descriptor = child.descriptor().clone();
    if let Some(own) = &mut descriptor.partition {
        own.indexes.push((parent_index, index));
    }
    writer.put_table(descriptor)?;
    Ok(())
}

/// The index of the table above that this one stands for, by name.
pub(super) fn index_above(writer: &Writer<'_>, table: &Table, index: IndexId) -> Option<String> {
    let own = table.partition.as_ref()?;
    let parent = writer.catalog.table_by_id(own.parent)?;
    let (above, _) = own.indexes.iter().find(|(_, below)| *below == index)?;
    match above {
        0 => Some(parent.primary_key_name.clone()).filter(|name| !name.is_empty()),
        above => parent.index_by_id(*above).map(|index| index.name.clone()),
    }
}

/// Whether a constraint is there because the table above has it.
pub(super) fn is_inherited(writer: &Writer<'_>, table: &Table, name: &str) -> bool {
    let Some(own) = &table.partition else { return false };
    let Some(parent) = writer.catalog.table_by_id(own.parent) else { return false };
    let index = match table.primary_key_name == name && !table.primary_key.is_empty() {
        true => Some(0),
        false => table.indexes.iter().find(|index| index.constraint && index.name == name).map(|i| i.id),
    };
    match index {
        Some(index) => index_above(writer, table, index).is_some(),
        None => {
            parent.checks.iter().any(|check| check.name == name)
                || parent.foreign_keys.iter().any(|key| key.name == name)
        }
    }
}

/// The partitions of a table with the index of each that stands for one of the table's.
pub(super) fn counterparts(
    writer: &Writer<'_>,
    table: ObjectId,
    index: IndexId,
) -> Vec<(Arc<Table>, IndexId)> {
    let of = |own: &Arc<Table>| {
        let links = &own.partition.as_ref()?.indexes;
        links.iter().find(|(above, _)| *above == index).map(|(_, below)| (own.clone(), *below))
    };
    writer.catalog.partition_tables(table).filter_map(of).collect()
}

/// Rows of the default partition do not belong to the new one.
fn check_default(writer: &mut Writer<'_>, parent: &Arc<Table>, child: &Arc<Table>) -> Result<()> {
    let parent = table_by_id(writer, parent.id)?;
    let Some(default) = writer.catalog.partitions(&parent).default().filter(|id| *id != child.id) else {
        return Ok(());
    };
    let default = table_by_id(writer, default)?;
    for leaf in leaves(writer, &default) {
        each_batch(writer, &leaf, |writer, batch| {
            let partitions = writer.catalog.partitions(&parent);
            match partition::strangers_to(partitions, default.id, &leaf, batch) {
                None => Ok(()),
                Some(_) => Err(violated(
                    &default,
                    format!(
                        "updated partition constraint for default partition \"{}\" would be violated by some row",
                        default.name
                    ),
                )),
            }
        })?;
    }
    Ok(())
}

fn violated(table: &Table, message: String) -> Error {
    Error::Constraint {
        violation: Violation::Check,
        message,
        detail: None,
        object: check::object(table, None, None),
    }
}

/// Looks at all rows of a table, which nobody else changes meanwhile.
fn each_batch(
    writer: &mut Writer<'_>,
    table: &Arc<Table>,
    look: impl Fn(&Writer<'_>, &RecordBatch) -> Result<()>,
) -> Result<()> {
    writer.guard_rows(table.id);
    let all: Vec<usize> = (0..table.live_columns().len()).collect();
    for batch in table::scan(&writer.view(), table, ScanRequest::full(all))? {
        writer.txn_ref().check_cancelled()?;
        look(writer, &batch?)?;
    }
    Ok(())
}

/// Adds the partitions of the tables to be dropped.
pub(super) fn with_partitions(writer: &Writer<'_>, tables: &mut BTreeSet<ObjectId>) {
    let below: Vec<ObjectId> =
        tables.iter().flat_map(|id| writer.catalog.descendants(*id)).map(|own| own.id).collect();
    tables.extend(below);
}
