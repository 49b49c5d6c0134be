//! CREATE TABLE, CREATE TABLE AS, CREATE SCHEMA.

use cairn_engine::catalog::Privileges;
use cairn_engine::ddl::{ColumnSpec, ConstraintSpec, TableSpec};
use cairn_engine::{Catalog, Table};
use cairn_types::DataType;
use sqlparser::ast::{
    self, CreateTable, CreateTableOptions, HiveDistributionStyle, OnCommit, Query, SchemaName,
};

use super::{column, like, names, notice, partition};
use crate::context::Context;
use crate::dml::assign::assign_array;
use crate::dml::inserter::Inserter;
use crate::query::declared::column_type;
use crate::results::StatementResult;
use crate::session::temporary;
use crate::{Error, Result, privileges};

/// CREATE TABLE.
pub(super) fn table(context: &Context, create: &CreateTable) -> Result<StatementResult> {
    refuse(context, create)?;
    let catalog = context.catalog()?;
    let (schema, name) = names::for_creation_of(context, &catalog, &create.name, create.temporary)?;
    let catalog = context.catalog()?;
    let tag = if create.query.is_some() { "CREATE TABLE AS" } else { "CREATE TABLE" };
    if create.if_not_exists && catalog.relation(&schema, &name).is_some() {
        notice(context, "42P07", format!("relation \"{name}\" already exists, skipping"));
        return Ok(StatementResult::command(tag));
    }
    if let Some(query) = &create.query {
        if create.partition_by.is_some() || create.partition_of.is_some() {
            return Err(Error::new("42601", "syntax error: CREATE TABLE AS makes no partitioned table"));
        }
        return from_query(context, create, query, schema, name);
    }
    let partition_by = partition::by(create)?;
    let spec = match &create.partition_of {
        Some(parent) => partition::spec(context, &catalog, create, parent, schema, name)?,
        None => spec(context, &catalog, create, schema, name)?,
    };
    let mut spec = TableSpec { partition_by, ..spec };
    for constraint in &mut spec.constraints {
        if let ConstraintSpec::ForeignKey { parent, .. } = constraint {
            // A name that nothing has yet is the table's own.
            if parent.1 == spec.name && catalog.relation(&parent.0, &parent.1).is_none() {
                parent.0.clone_from(&spec.schema);
            }
            temporary::check_reference(&spec.schema, &parent.0)?;
        }
    }
    let made = context.txn().create_table(spec)?;
    like::finish(context, &create.columns, &made)?;
    on_commit(context, create, &made)?;
    Ok(StatementResult::command(tag))
}

fn spec(
    context: &Context,
    catalog: &Catalog,
    create: &CreateTable,
    schema: String,
    name: String,
) -> Result<TableSpec> {
    let mut spec = TableSpec { schema, name: name.clone(), ..TableSpec::default() };
    let mut checks = Vec::new();
    let mut expressions = Vec::new();
    for def in &create.columns {
        if like::add(context, catalog, def, &mut spec)? {
            continue;
        }
        let defined = column::define(context, &name, def)?;
        expressions.extend(defined.expression.map(|expr| (spec.columns.len(), expr)));
        spec.columns.push(defined.column);
        spec.constraints.extend(defined.constraints);
        checks.extend(defined.checks);
    }
    for constraint in &create.constraints {
        let (constraint, check) = column::constraint(context, constraint)?;
        spec.constraints.push(constraint);
        checks.extend(check);
    }
    for constraint in &spec.constraints {
        if let ConstraintSpec::PrimaryKey { columns, .. } = constraint {
            for column in &mut spec.columns {
                column.nullable &= !columns.contains(&column.name);
            }
        }
    }
    // The engine says so too, but only after the checks have been planned over columns of one name.
    for (n, column) in spec.columns.iter().enumerate() {
        if spec.columns[..n].iter().any(|c| c.name == column.name) {
            return Err(Error::new("42701", format!("column \"{}\" specified more than once", column.name)));
        }
    }
    let columns: Vec<(String, DataType)> =
        spec.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
    for check in &checks {
        column::validate_check(context, &name, &columns, check)?;
    }
    let generated: Vec<String> = expressions.iter().map(|(at, _)| spec.columns[*at].name.clone()).collect();
    for (at, expr) in &expressions {
        let read = column::generated(context, &name, &columns, &generated, &spec.columns[*at], expr)?;
        spec.columns[*at].expression = Some(read);
    }
    keep_columns_of_checks(&mut spec.constraints, &columns);
    Ok(spec)
}

/// Of the names in a CHECK only columns count.
pub(super) fn keep_columns_of_checks(constraints: &mut [ConstraintSpec], columns: &[(String, DataType)]) {
    for constraint in constraints {
        if let ConstraintSpec::Check { columns: named, .. } = constraint {
            named.retain(|name| columns.iter().any(|(column, _)| column == name));
        }
    }
}

fn from_query(
    context: &Context,
    create: &CreateTable,
    query: &Query,
    schema: String,
    name: String,
) -> Result<StatementResult> {
    if !create.constraints.is_empty() || create.columns.iter().any(|c| !c.options.is_empty()) {
        return Err(Error::new("42601", "syntax error: CREATE TABLE AS takes column names only"));
    }
    let plan = context.plan_query(query)?;
    let mut results = context.run(plan.clone())?;
    let types: Vec<DataType> = results.columns().iter().map(|c| c.ty.clone()).collect();
    if create.columns.len() > types.len() {
        return Err(Error::new("42601", "too many column names were specified"));
    }
    let mut spec = TableSpec { schema, name, ..TableSpec::default() };
    for (n, column) in results.columns().iter().enumerate() {
        let name = create.columns.get(n).map_or_else(|| column.name.clone(), |def| names::stored(&def.name));
        if let Some(def) = create.columns.get(n)
            && def.data_type != ast::DataType::Unspecified
        {
            return Err(Error::new("42601", format!("syntax error at or near \"{}\"", def.data_type)));
        }
        spec.columns.push(ColumnSpec::new(name, column_type(&plan, n, &column.ty)));
    }
    let table = context.txn().create_table(spec)?;
    on_commit(context, create, &table)?;
    let mut inserter = Inserter::new(context, std::sync::Arc::clone(&table), (0..types.len()).collect())?;
    while let Some(batch) = results.next_batch()? {
        let mut columns = Vec::with_capacity(types.len());
        for (i, ty) in types.iter().enumerate() {
            let column = table.live_column(i);
            columns.push(assign_array(batch.column(i), ty, &column.ty, &column.name, false, context.zone())?);
        }
        inserter.push(columns, batch.num_rows())?;
    }
    Ok(StatementResult::Command { tag: format!("SELECT {}", inserter.count), rows: inserter.count })
}

/// Notes what ON COMMIT says.
fn on_commit(context: &Context, create: &CreateTable, table: &Table) -> Result<()> {
    let action = match &create.on_commit {
        None => return Ok(()),
        Some(_) if !temporary::is_temporary(&table.schema) => {
            return Err(Error::new("42P16", "ON COMMIT can only be used on temporary tables"));
        }
        Some(OnCommit::PreserveRows) => return Ok(()),
        Some(OnCommit::DeleteRows) => temporary::OnCommit::DeleteRows,
        Some(OnCommit::Drop) => temporary::OnCommit::Drop,
    };
    temporary::note(context, table.id, action);
    Ok(())
}

fn refuse(context: &Context, create: &CreateTable) -> Result<()> {
    let refused = |given: bool, what: &str| match given {
        true => Err(Error::unsupported(what)),
        false => Ok(()),
    };
    refused(create.global.is_some(), "GLOBAL and LOCAL of a temporary table")?;
    refused(create.or_replace, "CREATE OR REPLACE TABLE")?;
    refused(create.external, "an external table")?;
    refused(
        create.transient || create.volatile || create.dynamic || create.iceberg || create.snapshot,
        "this kind of table",
    )?;
    match &create.table_options {
        CreateTableOptions::None => {}
        CreateTableOptions::With(options) => super::storage::of_table(context, options)?,
        _ => return Err(Error::unsupported("a storage option of CREATE TABLE")),
    }
    refused(create.inherits.is_some(), "table inheritance")?;
    refused(create.like.is_some(), "LIKE outside of the parentheses of CREATE TABLE")?;
    refused(
        create.hive_distribution != HiveDistributionStyle::NONE
            || create.hive_formats.as_ref().is_some_and(|f| {
                f.row_format.is_some()
                    || f.serde_properties.is_some()
                    || f.storage.is_some()
                    || f.location.is_some()
            })
            || create.file_format.is_some()
            || create.location.is_some()
            || create.without_rowid
            || create.clone.is_some()
            || create.version.is_some()
            || create.comment.is_some()
            || create.on_cluster.is_some()
            || create.primary_key.is_some()
            || create.order_by.is_some()
            || create.cluster_by.is_some()
            || create.clustered_by.is_some()
            || create.strict
            || create.copy_grants
            || create.default_ddl_collation.is_some()
            || create.with_tags.is_some(),
        "this clause of CREATE TABLE",
    )
}

/// CREATE SCHEMA.
pub(crate) fn schema(context: &Context, name: &SchemaName, if_not_exists: bool) -> Result<StatementResult> {
    let SchemaName::Simple(name) = name else {
        return Err(Error::unsupported("CREATE SCHEMA AUTHORIZATION"));
    };
    let name = match name.0.as_slice() {
        [part] => part.as_ident().map(names::stored).unwrap_or_default(),
        _ => return Err(Error::new("42601", format!("invalid schema name {name}"))),
    };
    if context.catalog()?.schema(&name).is_some() && if_not_exists {
        notice(context, "42P06", format!("schema \"{name}\" already exists, skipping"));
        return Ok(StatementResult::command("CREATE SCHEMA"));
    }
    if name.starts_with("pg_") || name == "information_schema" {
        return Err(Error::new("42939", format!("unacceptable schema name \"{name}\""))
            .with_detail("The prefix \"pg_\" is reserved for system schemas."));
    }
    privileges::require_database(context, Privileges::CREATE, || {
        privileges::denied("database", crate::catalog::DATABASE)
    })?;
    context.txn().create_schema(&name)?;
    Ok(StatementResult::command("CREATE SCHEMA"))
}
