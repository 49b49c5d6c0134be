//! CREATE INDEX, ALTER INDEX, REINDEX.

use cairn_engine::catalog::{IndexDescriptor, Relation};
use cairn_engine::ddl::{ExpressionSpec, IndexColumnSpec, IndexSpec};
use cairn_engine::{Catalog, Table};
use cairn_types::DataType;
use sqlparser::ast::{AlterIndexOperation, CreateIndex, Expr, IndexColumn, IndexType, ObjectName};

use super::names::{self, Kind};
use super::{expression, notice};
use crate::catalog::pg_catalog;
use crate::context::Context;
use crate::dml::default::parse_expr;
use crate::parse::only;
use crate::parse::rewrite::column_name;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result, privileges};

/// CREATE [UNIQUE] INDEX. CONCURRENTLY builds at once: building never blocks readers here.
pub(super) fn create(context: &Context, create: &CreateIndex) -> Result<StatementResult> {
    super::storage::of_index(context, &create.with)?;
    if !create.index_options.is_empty() || !create.alter_options.is_empty() {
        return Err(Error::unsupported("a storage option of CREATE INDEX"));
    }
    let kind = kind(create)?;
    let catalog = context.catalog()?;
    let kind_of = match names::find(context, &catalog, &create.table_name, Kind::Materialized) {
        Ok(Some(_)) => Kind::Materialized,
        _ => Kind::Table,
    };
    let (schema, table, relation) = names::require(context, &catalog, &create.table_name, kind_of)?;
    let Relation::Table(found) = relation else { return Err(Error::internal("a table is no table")) };
    if create.concurrently && found.is_partitioned() {
        let message = format!("cannot create index on partitioned table \"{table}\" concurrently");
        return Err(Error::new("0A000", message));
    }
    let name =
        create.name.as_ref().and_then(|n| n.0.last()).and_then(|part| part.as_ident()).map(names::stored);
    if let Some(name) = &name
        && create.if_not_exists
        && catalog.relation(&schema, name).is_some()
    {
        notice(context, "42P07", format!("relation \"{name}\" already exists, skipping"));
        return Ok(StatementResult::command("CREATE INDEX"));
    }
    let columns = create.columns.iter().map(|column| key_column(context, &found, column));
    let predicate = match &create.predicate {
        Some(predicate) => Some(condition(context, &found, predicate)?),
        None => None,
    };
    let spec = IndexSpec {
        columns: columns.collect::<Result<_>>()?,
        predicate,
        schema,
        table,
        name,
        kind,
        unique: create.unique,
        nulls_not_distinct: create.nulls_distinct == Some(false),
        include: create.include.iter().map(fold).collect(),
    };
    match only::is_only(&create.table_name) {
        true => context.txn().create_index_only(&spec)?,
        false => context.txn().create_index(&spec)?,
    };
    Ok(StatementResult::command("CREATE INDEX"))
}

/// The access method, and what PostgreSQL refuses of it.
fn kind(create: &CreateIndex) -> Result<String> {
    let name = match &create.using {
        None | Some(IndexType::BTree) => return Ok("btree".to_owned()),
        Some(other) => other.to_string().to_ascii_lowercase(),
    };
    let refused =
        |what: &str| Err(Error::new("0A000", format!("access method \"hash\" does not support {what}")));
    match name.as_str() {
        "hash" => {
            if create.unique {
                return refused("unique indexes");
            }
            if !create.include.is_empty() {
                return refused("included columns");
            }
            if create.columns.len() > 1 {
                return refused("multicolumn indexes");
            }
            let options = create.columns.iter().map(|column| &column.column.options);
            if options.clone().any(|options| options.asc.is_some()) {
                return refused("ASC/DESC options");
            }
            if options.clone().any(|options| options.nulls_first.is_some()) {
                return refused("NULLS FIRST/LAST options");
            }
            Ok(name)
        }
        "gin" | "gist" | "spgist" | "brin" | "bloom" => {
            Err(Error::unsupported(format!("access method \"{name}\"")).with_hint("Use btree."))
        }
        _ => Err(Error::new("42704", format!("access method \"{name}\" does not exist"))),
    }
}

fn key_column(context: &Context, table: &Table, column: &IndexColumn) -> Result<IndexColumnSpec> {
    let order = &column.column;
    if order.with_fill.is_some() {
        return Err(Error::unsupported("WITH FILL"));
    }
    let descending = order.options.asc == Some(false);
    let nulls_first = order.options.nulls_first.unwrap_or(descending);
    let spec = match &order.expr {
        Expr::Identifier(ident) => {
            IndexColumnSpec { column: fold(ident), expression: None, descending, nulls_first }
        }
        expr => IndexColumnSpec {
            column: label(expr),
            expression: Some(expression::immutable(context, table, expr, "index expression")?),
            descending,
            nulls_first,
        },
    };
    if let Some(class) = column.operator_class.as_ref().and_then(|name| name.0.last()?.as_ident()) {
        let ty = match &spec.expression {
            Some(own) => Some(own.ty.clone()),
            None => table.live_columns().find(|own| own.name == spec.column).map(|own| own.ty.clone()),
        };
        // A column that is not there is told by what makes the index.
        if let Some(ty) = ty {
            pg_catalog::accept_class(&fold(class), &ty)?;
        }
    }
    Ok(spec)
}

/// What stands for an expression in the index's name, as PostgreSQL chooses it.
fn label(expr: &Expr) -> String {
    match column_name(expr) {
        name if name == "?column?" => "expr".to_owned(),
        name => name,
    }
}

/// The WHERE of a partial index.
fn condition(context: &Context, table: &Table, predicate: &Expr) -> Result<ExpressionSpec> {
    let spec = expression::immutable(context, table, predicate, "index predicate")?;
    match spec.ty {
        DataType::Boolean => Ok(spec),
        other => {
            let ty = other.sql_name();
            Err(Error::new("42804", format!("argument of WHERE must be type boolean, not type {ty}")))
        }
    }
}

/// What makes an index again, of the table as it is now.
pub(super) fn spec_of(context: &Context, table: &Table, index: &IndexDescriptor) -> Result<IndexSpec> {
    let name_of = |id: u32| table.column_by_id(id).map(|column| column.name.clone()).unwrap_or_default();
    let mut columns = Vec::new();
    for (column, expression) in index.key_parts() {
        let (column_name, expression) = match expression {
            Some(own) => {
                let expr = parse_expr(&own.sql)?;
                let read = expression::immutable(context, table, &expr, "index expression")?;
                (label(&expr), Some(read))
            }
            None => (name_of(column.column), None),
        };
        let (descending, nulls_first) = (column.descending, column.nulls_first);
        columns.push(IndexColumnSpec { column: column_name, expression, descending, nulls_first });
    }
    let predicate = match &index.predicate {
        Some(own) => Some(condition(context, table, &parse_expr(&own.sql)?)?),
        None => None,
    };
    Ok(IndexSpec {
        schema: table.schema.clone(),
        table: table.name.clone(),
        name: Some(index.name.clone()),
        kind: index.kind.clone(),
        columns,
        unique: index.unique,
        nulls_not_distinct: index.nulls_not_distinct,
        include: index.include.iter().map(|id| name_of(*id)).collect(),
        predicate,
    })
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

/// A relation that the role may have put in order.
fn maintained(context: &Context, catalog: &Catalog, name: &ObjectName, kind: Kind) -> Result<Relation> {
    let found = names::find_any(context, catalog, name, kind)?;
    let (.., relation) = found.ok_or_else(|| names::missing(name, kind, true))?;
    if !privileges::may_maintain(context, &relation) {
        privileges::require_owner(context, &relation)?;
    }
    Ok(relation)
}

/// REINDEX INDEX, TABLE, SCHEMA, DATABASE and SYSTEM: the entries of indexes are written anew, those of partitions too.
pub(super) fn rebuild(context: &Context, kind: &str, name: Option<&ObjectName>) -> Result<StatementResult> {
    let catalog = context.catalog()?;
    let missing = || Error::new("42601", format!("syntax error: REINDEX {kind} needs a name"));
    let bare =
        |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    let (mut tables, mut only) = (Vec::new(), None);
    match kind {
        "INDEX" => match maintained(context, &catalog, name.ok_or_else(missing)?, Kind::Index)? {
            // The indexes of its partitions have the entries.
            Relation::Index(table, _) if table.is_partitioned() => tables.push(table),
            Relation::Index(table, id) => {
                only = Some(id);
                tables.push(table);
            }
            _ => return Err(Error::internal("an index is no index")),
        },
        "TABLE" => match maintained(context, &catalog, name.ok_or_else(missing)?, Kind::Table)? {
            Relation::Table(table) => tables.push(table),
            _ => return Err(Error::internal("a table is no table")),
        },
        "SCHEMA" => {
            let schema = bare(name.ok_or_else(missing)?);
            if catalog.schema(&schema).is_none() {
                return Err(Error::new("3F000", format!("schema \"{schema}\" does not exist")));
            }
            privileges::require_schema_owner(context, &schema)?;
            tables.extend(catalog.tables().filter(|table| table.schema == schema).cloned());
        }
        "DATABASE" => {
            if name.is_some_and(|name| bare(name) != crate::catalog::DATABASE) {
                return Err(Error::new("0A000", "can only reindex the currently open database"));
            }
            privileges::require_database_owner(context)?;
            tables.extend(catalog.tables().cloned());
        }
        // What is computed has no indexes.
        "SYSTEM" => {}
        other => return Err(Error::unsupported(format!("REINDEX {other}"))),
    }
    let below: Vec<_> = tables.iter().flat_map(|table| catalog.descendants(table.id)).collect();
    tables.extend(below);
    for table in tables {
        for index in table.indexes.iter().filter(|index| only.is_none_or(|id| id == index.id)) {
            context.txn().rebuild_index(&table.schema, &index.name)?;
        }
    }
    Ok(StatementResult::command("REINDEX"))
}
