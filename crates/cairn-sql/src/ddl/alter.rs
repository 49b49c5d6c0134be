//! ALTER TABLE.

use std::sync::Arc;

use cairn_engine::Table;
use cairn_engine::catalog::Relation;
use cairn_engine::ddl::{Backfill, ColumnSpec, ConstraintSpec, Generation, SequenceOptions};
use cairn_types::{DataType, Value};
use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, DropBehavior, Expr, GeneratedAs, Ident,
    ObjectName, RenameTableNameKind, TableConstraint,
};

use super::column::{self, Defined};
use super::create::keep_columns_of_checks;
use super::names::{self, Kind};
use super::{notice, partition, retype, sequence, types, view};
use crate::context::Context;
use crate::dml::literal;
use crate::parse::named_types::{self, Named};
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result, catalog, privileges};

/// ALTER TABLE with any number of operations; the first that fails undoes them all.
pub(super) fn table(context: &Context, alter: &AlterTable) -> Result<StatementResult> {
    if alter.location.is_some() || alter.on_cluster.is_some() || alter.table_type.is_some() {
        return Err(Error::unsupported("this clause of ALTER TABLE"));
    }
    let all = context.catalog()?;
    let (schema, name) = catalog::resolve_name(context, &all, &alter.name)?;
    let found = all.relation(&schema, &name);
    if found.is_none() && alter.if_exists {
        notice(context, "00000", format!("relation \"{name}\" does not exist, skipping"));
        return Ok(StatementResult::command("ALTER TABLE"));
    }
    if let Some(found) = &found {
        privileges::require_owner(context, found)?;
    }
    if let [AlterTableOperation::RenameTable { table_name }] = alter.operations.as_slice() {
        rename(context, &schema, &name, found, table_name, &alter.name)?;
        return Ok(StatementResult::command("ALTER TABLE"));
    }
    if let (Some(Relation::View(view)), [operation]) = (&found, alter.operations.as_slice())
        && let Some(change) = of_view(operation)
    {
        view::alter(context, view, &change)?;
        return Ok(StatementResult::command("ALTER TABLE"));
    }
    names::require(context, &all, &alter.name, Kind::Table)?;
    for operation in &alter.operations {
        let catalog = context.catalog()?;
        let table = catalog.table(&schema, &name)?;
        partition::refuse(&table, &catalog, alter.only, operation)?;
        Alter { context, schema: &schema, name: &name }.run(operation)?;
        if table.is_partitioned() && !alter.only && partition::goes_down(operation) {
            for own in catalog.descendants(table.id) {
                Alter { context, schema: &own.schema, name: &own.name }.run(operation)?;
            }
        }
    }
    Ok(StatementResult::command("ALTER TABLE"))
}

/// What ALTER TABLE may do to a view.
fn of_view(operation: &AlterTableOperation) -> Option<view::Change> {
    use AlterColumnOperation as Column;
    match operation {
        AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
            let (column, new) = (old_column_name.clone(), new_column_name.clone());
            Some(view::Change::RenameColumn { column, new })
        }
        AlterTableOperation::AlterColumn { column_name, op } => {
            let value = match op {
                Column::SetDefault { value } => Some(Box::new(value.clone())),
                Column::DropDefault => None,
                _ => return None,
            };
            Some(view::Change::Default { column: column_name.clone(), value })
        }
        _ => None,
    }
}

fn rename(
    context: &Context,
    schema: &str,
    name: &str,
    found: Option<Relation>,
    to: &RenameTableNameKind,
    written: &ObjectName,
) -> Result<()> {
    names::writable_schema(schema)?;
    let (RenameTableNameKind::To(new) | RenameTableNameKind::As(new)) = to;
    let [part] = new.0.as_slice() else {
        return Err(Error::new("42601", format!("syntax error at or near \"{new}\"")));
    };
    let new = part.as_ident().map(names::stored).unwrap_or_default();
    let txn = context.txn();
    if found.is_some() {
        privileges::require_create(context, schema)?;
    }
    match found {
        Some(Relation::Table(_)) => txn.rename_table(schema, name, &new)?,
        Some(Relation::View(_)) => txn.rename_view(schema, name, &new)?,
        Some(Relation::Sequence(_)) => txn.rename_sequence(schema, name, &new)?,
        Some(Relation::Index(..)) => txn.rename_index(schema, name, &new)?,
        None => return Err(names::missing(written, Kind::Table, true)),
    }
    Ok(())
}

struct Alter<'a> {
    context: &'a Context,
    schema: &'a str,
    name: &'a str,
}

fn cascades(behavior: Option<&DropBehavior>) -> bool {
    matches!(behavior, Some(DropBehavior::Cascade))
}

impl Alter<'_> {
    fn table(&self) -> Result<Arc<Table>> {
        Ok(self.context.catalog()?.table(self.schema, self.name)?)
    }

    fn run(&self, operation: &AlterTableOperation) -> Result<()> {
        let txn = self.context.txn();
        let (schema, name) = (self.schema, self.name);
        match operation {
            AlterTableOperation::AddColumn { if_not_exists, column_def, column_position: None, .. } => {
                self.add_column(*if_not_exists, column_def)
            }
            AlterTableOperation::DropColumn { column_names, if_exists, drop_behavior, .. } => column_names
                .iter()
                .try_for_each(|column| self.drop_column(column, *if_exists, drop_behavior.as_ref())),
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                let old = fold(old_column_name);
                if self.table()?.column_place(&old).is_none() {
                    return Err(Error::new("42703", format!("column \"{old}\" does not exist")));
                }
                Ok(txn.rename_column(schema, name, &old, &names::stored(new_column_name))?)
            }
            AlterTableOperation::AlterColumn { column_name, op } => self.alter_column(column_name, op),
            AlterTableOperation::AddConstraint { constraint, not_valid } => {
                if self.using_index(constraint)? {
                    return Ok(());
                }
                let (mut spec, check) = column::constraint(self.context, constraint)?;
                match &mut spec {
                    ConstraintSpec::Check { not_valid: own, .. }
                    | ConstraintSpec::ForeignKey { not_valid: own, .. } => *own = *not_valid,
                    ConstraintSpec::PrimaryKey { .. } if *not_valid => {
                        return Err(Error::new(
                            "0A000",
                            "PRIMARY KEY constraints cannot be marked NOT VALID",
                        ));
                    }
                    ConstraintSpec::Unique { .. } if *not_valid => {
                        return Err(Error::new("0A000", "UNIQUE constraints cannot be marked NOT VALID"));
                    }
                    _ => {}
                }
                self.add_constraint(spec, check.as_ref())
            }
            AlterTableOperation::DropConstraint { if_exists, name: constraint, drop_behavior } => {
                let constraint = fold(constraint);
                if *if_exists && !self.has_constraint(&constraint)? {
                    let message = format!(
                        "constraint \"{constraint}\" of relation \"{name}\" does not exist, skipping"
                    );
                    notice(self.context, "00000", message);
                    return Ok(());
                }
                Ok(txn.drop_constraint(schema, name, &constraint, cascades(drop_behavior.as_ref()))?)
            }
            AlterTableOperation::RenameConstraint { old_name, new_name } => {
                Ok(txn.rename_constraint(schema, name, &fold(old_name), &names::stored(new_name))?)
            }
            AlterTableOperation::ValidateConstraint { name: constraint } => {
                Ok(txn.validate_constraint(schema, name, &fold(constraint))?)
            }
            AlterTableOperation::OwnerTo { new_owner } => {
                let id = self.context.catalog()?.table(schema, name)?.id;
                privileges::statement::give(self.context, id, schema, new_owner)
            }
            AlterTableOperation::EnableRowLevelSecurity
            | AlterTableOperation::DisableRowLevelSecurity
            | AlterTableOperation::ForceRowLevelSecurity
            | AlterTableOperation::NoForceRowLevelSecurity => {
                let id = self.context.catalog()?.table(schema, name)?.id;
                privileges::statement::secure(self.context, id, operation)
            }
            other => {
                let text = other.to_string();
                let words: Vec<&str> = text.split_whitespace().take(2).collect();
                Err(Error::unsupported(format!("ALTER TABLE ... {}", words.join(" "))))
            }
        }
    }

    /// ADD CONSTRAINT … USING INDEX; whether it is that.
    fn using_index(&self, constraint: &TableConstraint) -> Result<bool> {
        let (own, primary) = match constraint {
            TableConstraint::PrimaryKeyUsingIndex(own) => (own, true),
            TableConstraint::UniqueUsingIndex(own) => (own, false),
            _ => return Ok(false),
        };
        if own.characteristics.is_some() {
            return Err(Error::unsupported("a deferrable constraint"));
        }
        let (txn, schema, name) = (self.context.txn(), self.schema, self.name);
        let index = fold(&own.index_name);
        let called = own.name.as_ref().map(names::stored);
        if !primary {
            txn.unique_using_index(schema, name, &index, called.as_deref())?;
            return Ok(true);
        }
        let table = self.table()?;
        let found = table.index_by_name(&index).filter(|index| index.unique && index.is_plain());
        let Some(found) = found.filter(|index| !index.constraint && index.include.is_empty()) else {
            return Err(Error::new("42809", format!("\"{index}\" is not a unique index")));
        };
        let column = |id: u32| table.column_by_id(id).map(|column| column.name.clone()).unwrap_or_default();
        let columns = found.columns.iter().map(|part| column(part.column)).collect();
        // The rows themselves are the index of a primary key here.
        txn.drop_index(schema, &index, false)?;
        let name_of = Some(called.unwrap_or(index));
        txn.add_constraint(
            schema,
            name,
            ConstraintSpec::PrimaryKey { name: name_of, columns, deferrable: None },
        )?;
        Ok(true)
    }

    fn has_constraint(&self, constraint: &str) -> Result<bool> {
        let table = self.table()?;
        Ok((!table.primary_key.is_empty() && table.primary_key_name == constraint)
            || table.indexes.iter().any(|i| i.constraint && i.name == constraint)
            || table.checks.iter().any(|c| c.name == constraint)
            || table.foreign_keys.iter().any(|k| k.name == constraint))
    }

    fn add_constraint(&self, mut spec: ConstraintSpec, check: Option<&Expr>) -> Result<()> {
        let columns: Vec<(String, DataType)> =
            self.table()?.live_columns().map(|c| (c.name.clone(), c.ty.clone())).collect();
        if let Some(check) = check {
            column::validate_check(self.context, self.name, &columns, check)?;
        }
        keep_columns_of_checks(std::slice::from_mut(&mut spec), &columns);
        Ok(self.context.txn().add_constraint(self.schema, self.name, spec)?)
    }

    fn add_column(&self, if_not_exists: bool, def: &ColumnDef) -> Result<()> {
        let (txn, schema, name) = (self.context.txn(), self.schema, self.name);
        let Defined { mut column, constraints, checks, default, expression } =
            column::define(self.context, name, def)?;
        if self.table()?.column_place(&column.name).is_some() && if_not_exists {
            let message =
                format!("column \"{}\" of relation \"{name}\" already exists, skipping", column.name);
            notice(self.context, "42701", message);
            return Ok(());
        }
        let added = column.name.clone();
        let domain = column.domain;
        if let Some(expr) = &expression {
            let table = self.table()?;
            let others: Vec<(String, DataType)> =
                table.live_columns().map(|c| (c.name.clone(), c.ty.clone())).collect();
            let generated: Vec<String> =
                table.live_columns().filter(|c| c.generated.is_some()).map(|c| c.name.clone()).collect();
            let read = column::generated(self.context, name, &others, &generated, &column, expr)?;
            column.expression = Some(read);
        }
        let constant = match &default {
            None => Some(Value::Null),
            Some(expr) => literal::value(expr, &column.ty, &added, &[], self.context.zone())?,
        };
        // What differs from row to row, and SERIAL and IDENTITY, are filled in row by row.
        let fill = column.generation.is_some() || constant.is_none() || expression.is_some();
        let null = matches!(constant, Some(Value::Null));
        let not_null = !column.nullable && column.generation.is_none();
        if not_null && (fill || null) {
            column.nullable = true;
        }
        let generated = matches!(column.generation, Some(Generation::Serial | Generation::Identity { .. }));
        let backfill = match constant {
            Some(value) if !null && !fill => Backfill::Value(value),
            _ => Backfill::Null,
        };
        let below = self.context.catalog()?.descendants(self.table()?.id);
        if !below.is_empty() && matches!(column.generation, Some(Generation::Identity { .. })) {
            let message = "cannot recursively add identity column to table that has child tables";
            return Err(Error::new("42P16", message));
        }
        let not_null = not_null && (fill || null) && !generated;
        txn.add_column(schema, name, column.clone(), backfill.clone())?;
        if fill {
            retype::fill(self.context, &self.table()?, &added)?;
        }
        if not_null {
            txn.set_not_null(schema, name, &added, true)?;
        }
        // Partitions get the column, and then, by their table, its constraints.
        let default = self.table()?.column(&added)?.default.clone();
        let nullable = column.nullable && !generated;
        for own in below {
            let column =
                ColumnSpec { generation: None, default: default.clone(), nullable: true, ..column.clone() };
            txn.add_column(&own.schema, &own.name, column, backfill.clone())?;
            if fill {
                let own = self.context.catalog()?.table(&own.schema, &own.name)?;
                retype::fill(self.context, &own, &added)?;
            }
            if !nullable || not_null {
                txn.set_not_null(&own.schema, &own.name, &added, true)?;
            }
        }
        if domain.is_some() {
            let table = self.table()?;
            types::keeps_domain(self.context, &table, &added)?;
        }
        for constraint in constraints {
            let check = match &constraint {
                ConstraintSpec::Check { sql, .. } => checks.iter().find(|c| c.to_string() == *sql),
                _ => None,
            };
            self.add_constraint(constraint, check)?;
        }
        Ok(())
    }

    fn drop_column(&self, column: &Ident, if_exists: bool, behavior: Option<&DropBehavior>) -> Result<()> {
        let column = fold(column);
        if if_exists && self.table()?.column_place(&column).is_none() {
            let message =
                format!("column \"{column}\" of relation \"{}\" does not exist, skipping", self.name);
            notice(self.context, "00000", message);
            return Ok(());
        }
        Ok(self.context.txn().drop_column(self.schema, self.name, &column, cascades(behavior))?)
    }

    fn alter_column(&self, column: &Ident, op: &AlterColumnOperation) -> Result<()> {
        let (txn, schema, name) = (self.context.txn(), self.schema, self.name);
        let column = fold(column);
        let table = self.table()?;
        let current = table.column(&column)?;
        match op {
            AlterColumnOperation::SetNotNull => Ok(txn.set_not_null(schema, name, &column, true)?),
            AlterColumnOperation::DropNotNull => {
                let late = table.indexes.iter().find(|index| index.primary);
                let is_in_late = late.is_some_and(|index| index.uses(current.id));
                if table.primary_key.contains(&current.id) || is_in_late {
                    return Err(Error::new("42P16", format!("column \"{column}\" is in a primary key")));
                }
                if current.identity.is_some() {
                    let message = format!("column \"{column}\" of relation \"{name}\" is an identity column");
                    return Err(Error::new("42601", message));
                }
                Ok(txn.set_not_null(schema, name, &column, false)?)
            }
            AlterColumnOperation::SetDefault { value } => {
                if current.identity.is_some() {
                    let message = format!("column \"{column}\" of relation \"{name}\" is an identity column");
                    return Err(Error::new("42601", message));
                }
                column::validate_default(self.context, value, &column, &current.ty)?;
                let value = crate::dml::default::bound(self.context, value)?;
                Ok(txn.set_default(schema, name, &column, Some(value))?)
            }
            AlterColumnOperation::DropDefault => {
                if current.identity.is_some() {
                    let message = format!("column \"{column}\" of relation \"{name}\" is an identity column");
                    return Err(Error::new("42601", message)
                        .with_hint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead."));
                }
                Ok(txn.set_default(schema, name, &column, None)?)
            }
            AlterColumnOperation::SetDataType { data_type, using, .. } => {
                let Named { ty, domain } = named_types::named(self.context, data_type)?;
                if domain.is_some() || current.domain.is_some() {
                    return Err(Error::unsupported("ALTER COLUMN ... TYPE from or to a domain"));
                }
                retype::run(self.context, &table, &column, ty, using.as_ref())
            }
            AlterColumnOperation::AddGenerated { .. } if table.is_partitioned() => {
                Err(Error::unsupported("ADD GENERATED AS IDENTITY of a partitioned table"))
            }
            AlterColumnOperation::AddGenerated { generated_as, sequence_options } => {
                let always = match generated_as {
                    Some(GeneratedAs::Always) => true,
                    Some(GeneratedAs::ByDefault) => false,
                    _ => {
                        return Err(Error::new(
                            "42601",
                            "GENERATED needs ALWAYS or BY DEFAULT before AS IDENTITY",
                        ));
                    }
                };
                let mut options = SequenceOptions::default();
                sequence::options(sequence_options.as_deref().unwrap_or(&[]), &mut options)?;
                options.ty = Some(current.ty.clone());
                Ok(txn.add_identity(schema, name, &column, always, options)?)
            }
        }
    }
}
