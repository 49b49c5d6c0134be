//! CREATE INDEX, ALTER INDEX, REINDEX.

use cairn_engine::ddl::{IndexColumnSpec, IndexSpec};
use sqlparser::ast::{AlterIndexOperation, CreateIndex, Expr, IndexType, ObjectName};

use super::names::{self, Kind};
use super::notice;
use crate::context::Context;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result};

/// CREATE [UNIQUE] INDEX. CONCURRENTLY builds at once: building never blocks readers here.
pub(super) fn create(context: &Context, create: &CreateIndex) -> Result<StatementResult> {
    if create.predicate.is_some() {
        return Err(Error::unsupported("a partial index"));
    }
    if !create.include.is_empty() {
        return Err(Error::unsupported("INCLUDE in an index"));
    }
    if create.nulls_distinct == Some(false) {
        return Err(Error::unsupported("NULLS NOT DISTINCT"));
    }
    if !create.with.is_empty() || !create.index_options.is_empty() || !create.alter_options.is_empty() {
        return Err(Error::unsupported("a storage option of CREATE INDEX"));
    }
    let kind = match &create.using {
        None | Some(IndexType::BTree) => "btree".to_owned(),
        Some(other) => {
            let name = other.to_string().to_ascii_lowercase();
            return Err(match name.as_str() {
                "hash" | "gin" | "gist" | "spgist" | "brin" | "bloom" => {
                    Error::unsupported(format!("access method \"{name}\"")).with_hint("Use btree.")
                }
                _ => Error::new("42704", format!("access method \"{name}\" does not exist")),
            });
        }
    };
    let catalog = context.catalog()?;
    let (schema, table, _) = names::require(context, &catalog, &create.table_name, Kind::Table)?;
    let name =
        create.name.as_ref().and_then(|n| n.0.last()).and_then(|part| part.as_ident()).map(names::stored);
    if let Some(name) = &name
        && create.if_not_exists
        && catalog.relation(&schema, name).is_some()
    {
        notice(context, "42P07", format!("relation \"{name}\" already exists, skipping"));
        return Ok(StatementResult::command("CREATE INDEX"));
    }
    let mut columns = Vec::with_capacity(create.columns.len());
    for column in &create.columns {
        let Expr::Identifier(ident) = &column.column.expr else {
            return Err(Error::unsupported("an index on an expression"));
        };
        if column.operator_class.is_some() {
            return Err(Error::unsupported("an operator class"));
        }
        let descending = column.column.options.asc == Some(false);
        let nulls_first = column.column.options.nulls_first.unwrap_or(descending);
        columns.push(IndexColumnSpec { column: fold(ident), descending, nulls_first });
    }
    let spec = IndexSpec { schema, table, name, kind, columns, unique: create.unique };
    context.txn().create_index(&spec)?;
    Ok(StatementResult::command("CREATE INDEX"))
}

/// ALTER INDEX … RENAME TO.
pub(super) fn alter(
    context: &Context,
    name: &ObjectName,
    operation: &AlterIndexOperation,
) -> Result<StatementResult> {
    let AlterIndexOperation::RenameIndex { index_name } = operation;
    let catalog = context.catalog()?;
    let (schema, index, _) = names::require(context, &catalog, name, Kind::Index)?;
    let new = index_name.0.last().and_then(|part| part.as_ident()).map(names::stored).unwrap_or_default();
    context.txn().rename_index(&schema, &index, &new)?;
    Ok(StatementResult::command("ALTER INDEX"))
}

/// REINDEX INDEX or TABLE: drops each secondary index and builds it again.
pub(super) fn rebuild(context: &Context, kind: &str, name: &ObjectName) -> Result<StatementResult> {
    let catalog = context.catalog()?;
    let (table, only) = match kind {
        "INDEX" => match names::require(context, &catalog, name, Kind::Index)?.2 {
            cairn_engine::catalog::Relation::Index(table, id) => (table, Some(id)),
            _ => return Err(Error::internal("an index is no index")),
        },
        "TABLE" => match names::require(context, &catalog, name, Kind::Table)?.2 {
            cairn_engine::catalog::Relation::Table(table) => (table, None),
            _ => return Err(Error::internal("a table is no table")),
        },
        other => return Err(Error::unsupported(format!("REINDEX {other}"))),
    };
    for index in table.indexes.iter().filter(|i| only.is_none_or(|id| id == i.id)) {
        if index.constraint {
            // Its constraint may be what foreign keys point to; it is checked, not taken away.
            continue;
        }
        let column = |c: &cairn_engine::catalog::IndexColumn| IndexColumnSpec {
            column: table.column_by_id(c.column).map(|column| column.name.clone()).unwrap_or_default(),
            descending: c.descending,
            nulls_first: c.nulls_first,
        };
        let spec = IndexSpec {
            schema: table.schema.clone(),
            table: table.name.clone(),
            name: Some(index.name.clone()),
            kind: index.kind.clone(),
            columns: index.columns.iter().map(column).collect(),
            unique: index.unique,
        };
        context.txn().drop_index(&table.schema, &index.name, false)?;
        context.txn().create_index(&spec)?;
    }
    Ok(StatementResult::command("REINDEX"))
}
