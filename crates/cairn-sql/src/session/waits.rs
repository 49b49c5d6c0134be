//! What a statement waits for before it looks at definitions and rows, at the levels that wait: other DDL, or DDL on the
//! table that it changes.

use cairn_engine::catalog::Relation;
use cairn_engine::ddl::Definitions;
use cairn_engine::{Catalog, ObjectLock, Wait};
use sqlparser::ast::{
    AlterTable, AlterTableOperation, ColumnDef, ColumnOption, ColumnOptionDef, CreateTable, DropBehavior,
    ObjectName, ObjectType, RenameTableNameKind, SetExpr, Statement, TableConstraint,
};

use crate::catalog::resolve_name;
use crate::context::Context;
use crate::parse::likes;
use crate::{Result, ddl, dml};

/// Has a statement wait; afterwards it begins anew, with what was waited for.
pub(crate) fn wait_for_tables(context: &Context, statement: &Statement) -> Result<()> {
    let txn = context.txn();
    if !txn.options().isolation.is_locking() {
        return Ok(());
    }
    let all = context.catalog()?;
    // What EXPLAIN ANALYZE runs waits as it would by itself.
    let statement = match statement {
        Statement::Explain { analyze: true, statement, .. } => statement,
        statement => statement,
    };
    if ddl::is_definition(statement) {
        let names = own_names(context, &all, statement).filter(|names| !have_partitions(&all, names));
        let what = names.as_deref().map_or(Definitions::All, Definitions::Own);
        return Ok(txn.lock_definitions(what)?);
    }
    let body = match statement {
        Statement::Query(query) => match &*query.body {
            SetExpr::Insert(body) | SetExpr::Update(body) | SetExpr::Delete(body) | SetExpr::Merge(body) => {
                body
            }
            _ => statement,
        },
        _ => statement,
    };
    for name in dml::with::statements(statement).chain([body]).filter_map(dml::with::changed_name) {
        // What is missing or no table is told by the statement itself.
        if let Ok((schema, table)) = resolve_name(context, &all, name)
            && let Some(Relation::Table(table)) = all.relation(&schema, &table)
            && !txn.options().read_only
        {
            txn.lock_table(table.id, ObjectLock::RowExclusive, Wait::Block)?;
            txn.begin_statement()?;
        }
    }
    Ok(())
}

/// The names that DDL uses and gives, where it concerns tables of its own and nothing that depends on others; none where it
/// may concern anything.
fn own_names(context: &Context, catalog: &Catalog, statement: &Statement) -> Option<Vec<(String, String)>> {
    // A default that names a sequence depends on it.
    if statement.to_string().to_ascii_lowercase().contains("nextval") {
        return None;
    }
    let resolved = |name: &ObjectName| resolve_name(context, catalog, name).ok();
    match statement {
        Statement::CreateTable(create) if stands_alone(create) && !create.temporary => {
            Some(vec![resolved(&create.name)?])
        }
        Statement::CreateSequence { name, owned_by: None, .. } => Some(vec![resolved(name)?]),
        Statement::CreateIndex(index) => {
            let table = resolved(&index.table_name)?;
            let own = index.name.as_ref().and_then(|name| name.0.last()?.as_ident());
            let own = own.map(|name| (table.0.clone(), crate::session::variables::fold(name)));
            Some(own.into_iter().chain([table]).collect())
        }
        Statement::AlterTable(AlterTable { name, operations, .. }) => {
            let table = resolved(name)?;
            let mut names = Vec::new();
            for operation in operations {
                names.extend(own_operation(operation)?.map(|new| (table.0.clone(), new)));
            }
            names.push(table);
            Some(names)
        }
        Statement::Drop { object_type: ObjectType::Table, names, cascade: false, .. } => {
            names.iter().map(resolved).collect()
        }
        _ => None,
    }
}

/// Whether one of the tables is partitioned or a partition: what is done to it may concern the others.
fn have_partitions(catalog: &Catalog, names: &[(String, String)]) -> bool {
    names.iter().any(|(schema, name)| match catalog.relation(schema, name) {
        Some(Relation::Table(table)) => table.is_partitioned() || table.partition.is_some(),
        _ => false,
    })
}

fn stands_alone(create: &CreateTable) -> bool {
    let foreign = |constraint: &TableConstraint| matches!(constraint, TableConstraint::ForeignKey(_));
    create.like.is_none()
        && create.partition_of.is_none()
        && !create.constraints.iter().any(foreign)
        && create.columns.iter().all(|column| !refers(&column.options) && !is_like(column))
}

fn is_like(column: &ColumnDef) -> bool {
    likes::read(column).map_or(true, |like| like.is_some())
}

fn refers(options: &[ColumnOptionDef]) -> bool {
    options.iter().any(|option| matches!(option.option, ColumnOption::ForeignKey(_)))
}

/// Whether an operation of ALTER TABLE concerns that table alone, and the name that it gives.
fn own_operation(operation: &AlterTableOperation) -> Option<Option<String>> {
    let alone = |is_alone: bool| is_alone.then_some(None);
    let restricts = |behavior: &Option<DropBehavior>| *behavior != Some(DropBehavior::Cascade);
    match operation {
        AlterTableOperation::AddColumn { column_def, .. } => alone(!refers(&column_def.options)),
        AlterTableOperation::DropColumn { drop_behavior, .. }
        | AlterTableOperation::DropConstraint { drop_behavior, .. } => alone(restricts(drop_behavior)),
        AlterTableOperation::AddConstraint { constraint, .. } => {
            use TableConstraint::{ForeignKey, PrimaryKeyUsingIndex, UniqueUsingIndex};
            alone(!matches!(constraint, ForeignKey(_) | PrimaryKeyUsingIndex(_) | UniqueUsingIndex(_)))
        }
        AlterTableOperation::AlterColumn { .. } | AlterTableOperation::RenameColumn { .. } => Some(None),
        AlterTableOperation::RenameTable { table_name: RenameTableNameKind::To(name) } => {
            let new = name.0.last()?.as_ident()?;
            Some(Some(crate::session::variables::fold(new)))
        }
        _ => None,
    }
}
