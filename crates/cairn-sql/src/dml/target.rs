//! The table that a statement of DML changes.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use cairn_engine::Table;
use cairn_engine::catalog::Relation;
use sqlparser::ast::{BinaryOperator, Expr, Ident, ObjectName};

use super::default::parse_expr;
use super::relations::arrow_error;
use crate::context::Context;
use crate::parse::only;
use crate::session::variables::fold;
use crate::{Error, Result, catalog, trigger};

/// Finds the table to be changed.
///
/// # Errors
/// `42P01`, `3F000`; `42809`/`55000` for what is not a table.
pub(crate) fn find(context: &Context, name: &ObjectName, verb: &str) -> Result<Arc<Table>> {
    let all = context.catalog()?;
    let (schema, table) = catalog::resolve_name(context, &all, name)?;
    if catalog::is_store(&all, &schema, &table) {
        return Err(Error::unsupported(format!("{verb} on the key-value space \"store\""))
            .with_hint("Use put and delete of the key-value API."));
    }
    match all.relation(&schema, &table) {
        Some(Relation::Table(found)) if found.materialized.is_some() => {
            Err(Error::new("42809", format!("cannot change materialized view \"{table}\"")))
        }
        Some(Relation::Table(found))
            if found.is_partitioned() && only::is_only(name) && !matches!(verb, "UPDATE" | "DELETE") =>
        {
            Err(Error::unsupported(format!("{verb} of ONLY a partitioned table")))
        }
        Some(Relation::Table(found)) => Ok(found),
        Some(Relation::View(view)) if let Some(rows) = trigger::view::as_table(&view, verb) => Ok(rows),
        Some(Relation::View(_)) if verb == "MERGE" => {
            Err(Error::new("0A000", format!("cannot execute MERGE on relation \"{table}\""))
                .with_detail("This operation is not supported for views."))
        }
        Some(Relation::View(_)) => {
            let (what, how) = match verb {
                "INSERT" => ("insert into", "inserting into"),
                "UPDATE" => ("update", "updating"),
                "COPY" => ("copy to", "copying to"),
                _ => ("delete from", "deleting from"),
            };
            Err(Error::new("55000", format!("cannot {what} view \"{table}\"")).with_hint(format!(
                "Views are read-only; to enable {how} the data change the table beneath."
            )))
        }
        Some(Relation::Sequence(_)) => {
            Err(Error::new("42809", format!("cannot change sequence \"{table}\"")))
        }
        Some(Relation::Index(..)) => Err(Error::new("42809", format!("\"{table}\" is an index"))),
        None if matches!(schema.as_str(), "pg_catalog" | "information_schema") => {
            Err(Error::new("42501", format!("permission denied for table {table}")))
        }
        None => {
            let shown = if name.0.len() > 1 { format!("{schema}.{table}") } else { table };
            Err(Error::new("42P01", format!("relation \"{shown}\" does not exist")))
        }
    }
}

/// The condition of an UPDATE or DELETE: ONLY a partitioned table has no rows.
pub(super) fn selection(table: &Table, name: &ObjectName, given: Option<&Expr>) -> Result<Option<Expr>> {
    if !table.is_partitioned() || !only::is_only(name) {
        return Ok(given.cloned());
    }
    let none = parse_expr("false")?;
    Ok(Some(match given {
        Some(given) => Expr::BinaryOp {
            left: Box::new(none),
            op: BinaryOperator::And,
            right: Box::new(Expr::Nested(Box::new(given.clone()))),
        },
        None => none,
    }))
}

/// The place of a column named in a column list or SET.
///
/// # Errors
/// `42703`.
pub(crate) fn column_place(table: &Table, ident: &Ident) -> Result<usize> {
    let name = fold(ident);
    table.column_place(&name).ok_or_else(|| {
        Error::new("42703", format!("column \"{name}\" of relation \"{}\" does not exist", table.name))
    })
}

/// The column that `name` stands for in SET or a column list: its last part, after an optional table.
pub(crate) fn column_ident(name: &ObjectName) -> Result<&Ident> {
    match name.0.last().and_then(|part| part.as_ident()) {
        Some(ident) => Ok(ident),
        None => Err(Error::new("42601", format!("invalid column name {name}"))),
    }
}

/// A batch of all live columns of `table`.
pub(crate) fn batch_of(table: &Table, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    batch_with(relaxed(table), columns, rows)
}

/// A batch of that schema.
pub(crate) fn batch_with(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(arrow_error)
}

/// The table's schema with every column nullable: whether NULL is allowed is the engine's to check, in its words.
pub(crate) fn relaxed(table: &Table) -> SchemaRef {
    let fields: Vec<_> =
        table.arrow_schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    Arc::new(arrow::datatypes::Schema::new(fields))
}
