//! LIKE in CREATE TABLE: columns of another relation, with what of it is asked for.

use cairn_engine::Catalog;
use cairn_engine::catalog::{Privileges, Relation, Table};
use cairn_engine::ddl::{
    ColumnSpec, CommentTarget, ConstraintSpec, ExpressionSpec, Generation, SequenceOptions, TableSpec,
};
use sqlparser::ast::{ColumnDef, ObjectName};

use super::index;
use crate::catalog;
use crate::context::Context;
use crate::parse::likes::{self, Including};
use crate::{Error, Result};

/// The relation of a LIKE.
fn source(context: &Context, all: &Catalog, name: &ObjectName) -> Result<Relation> {
    let (schema, relation) = catalog::resolve_name(context, all, name)?;
    match all.relation(&schema, &relation) {
        Some(found @ (Relation::Table(_) | Relation::View(_))) => {
            crate::privileges::require_relation(context, &found, Privileges::SELECT)?;
            Ok(found)
        }
        Some(_) => {
            let message = format!("relation \"{relation}\" is invalid in LIKE clause");
            Err(Error::new("42809", message))
        }
        None => Err(Error::new("42P01", format!("relation \"{name}\" does not exist"))),
    }
}

/// Adds what a LIKE takes over to a table that is to be made, where `def` is one.
///
/// # Errors
/// `42P01`, `42809`.
pub(super) fn add(context: &Context, all: &Catalog, def: &ColumnDef, spec: &mut TableSpec) -> Result<bool> {
    let Some((name, including)) = likes::read(def)? else { return Ok(false) };
    match source(context, all, &name)? {
        Relation::View(view) => {
            let columns = view.columns.iter();
            spec.columns
                .extend(columns.map(|column| ColumnSpec::new(column.name.clone(), column.ty.clone())));
        }
        Relation::Table(table) => {
            columns(all, &table, including, spec)?;
            constraints(&table, including, spec);
        }
        _ => return Err(Error::internal("LIKE of what is no table")),
    }
    Ok(true)
}

fn columns(all: &Catalog, table: &Table, including: Including, spec: &mut TableSpec) -> Result<()> {
    let name_of = |id: &u32| table.column_by_id(*id).map(|column| column.name.clone());
    for column in table.live_columns() {
        let mut copy = ColumnSpec::new(column.name.clone(), column.ty.clone());
        copy.nullable = column.nullable;
        copy.domain = column.domain;
        if including.defaults && column.generated.is_none() {
            copy.default.clone_from(&column.default);
        }
        if let Some(generated) = column.generated.as_ref().filter(|_| including.generated) {
            copy.expression = Some(ExpressionSpec {
                sql: generated.sql.clone(),
                ty: column.ty.clone(),
                columns: generated.columns.iter().filter_map(name_of).collect(),
            });
        }
        if let Some(identity) = column.identity.filter(|_| including.identity) {
            let sequence = all.sequence_by_id(identity.sequence);
            let sequence = sequence.ok_or_else(|| Error::internal("a sequence is gone"))?;
            let options = SequenceOptions {
                ty: Some(sequence.ty.clone()),
                start: Some(sequence.start),
                increment: Some(sequence.increment),
                min: Some(Some(sequence.min)),
                max: Some(Some(sequence.max)),
                cache: Some(sequence.cache),
                cycle: Some(sequence.cycle),
                restart: None,
            };
            copy.generation = Some(Generation::Identity { always: identity.always, options });
        }
        spec.columns.push(copy);
    }
    Ok(())
}

fn constraints(table: &Table, including: Including, spec: &mut TableSpec) {
    let name_of = |id: &u32| table.column_by_id(*id).map(|column| column.name.clone());
    if including.constraints {
        for check in &table.checks {
            spec.constraints.push(ConstraintSpec::Check {
                name: Some(check.name.clone()),
                sql: check.sql.clone(),
                columns: check.columns.iter().filter_map(name_of).collect(),
                not_valid: false,
            });
        }
    }
    if !including.indexes {
        return;
    }
    if !table.primary_key.is_empty() {
        let columns = table.primary_key.iter().filter_map(name_of).collect();
        spec.constraints.push(ConstraintSpec::PrimaryKey { name: None, columns, deferrable: None });
    }
    for index in table.indexes.iter().filter(|index| index.constraint) {
        let columns = index.columns.iter().filter_map(|column| name_of(&column.column)).collect();
        spec.constraints.push(match index.primary {
            true => ConstraintSpec::PrimaryKey { name: None, columns, deferrable: index.deferrable },
            false => ConstraintSpec::Unique {
                name: None,
                columns,
                nulls_not_distinct: index.nulls_not_distinct,
                include: index.include.iter().filter_map(name_of).collect(),
                deferrable: index.deferrable,
            },
        });
    }
}

/// Makes the indexes and comments that a table takes over, when it is there.
///
/// # Errors
/// Those of making them.
pub(super) fn finish(context: &Context, defs: &[ColumnDef], made: &Table) -> Result<()> {
    for def in defs {
        let Some((name, including)) = likes::read(def)? else { continue };
        let all = context.catalog()?;
        let Relation::Table(source) = source(context, &all, &name)? else { continue };
        if including.indexes {
            for own in source.indexes.iter().filter(|index| !index.constraint) {
                let mut spec = index::spec_of(context, &source, own)?;
                spec.name = None;
                spec.schema.clone_from(&made.schema);
                spec.table.clone_from(&made.name);
                context.txn().create_index(&spec)?;
            }
        }
        if including.comments {
            for column in source.live_columns().filter(|column| column.comment.is_some()) {
                let target =
                    CommentTarget::Column(made.schema.clone(), made.name.clone(), column.name.clone());
                context.txn().comment(&target, column.comment.clone())?;
            }
        }
    }
    Ok(())
}
