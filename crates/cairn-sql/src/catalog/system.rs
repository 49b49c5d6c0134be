//! Tables that are computed from the catalog when a query asks for them: `pg_catalog` and
//! `information_schema`. They are small and live in memory for the statement.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use cairn_engine::Catalog;
use cairn_engine::catalog::SequenceDescriptor;
use cairn_types::{DataType, Value};
use datafusion::catalog::{MemTable, TableProvider};

use super::{information_schema, pg_catalog};
use crate::context::Context;
use crate::{Error, Result};

/// Rows of a computed table.
pub(crate) type Rows = Vec<Vec<Value>>;

/// A computed table: its name, columns, and how its rows are found.
pub(crate) struct SystemTable {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, DataType)],
    pub(crate) rows: fn(&Context, &Catalog) -> Result<Rows>,
}

/// The computed tables of a schema.
pub(crate) fn tables(schema: &str) -> &'static [SystemTable] {
    match schema {
        "pg_catalog" => pg_catalog::TABLES,
        "information_schema" => information_schema::TABLES,
        _ => &[],
    }
}

/// The computed table of that name, filled.
pub(super) fn table(
    context: &Context,
    catalog: &Catalog,
    schema: &str,
    name: &str,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let Some(table) = tables(schema).iter().find(|table| table.name == name) else { return Ok(None) };
    let rows = (table.rows)(context, catalog)?;
    Ok(Some(provider(table.columns, rows)?))
}

/// A table in memory.
fn provider(columns: &[(&str, DataType)], rows: Rows) -> Result<Arc<dyn TableProvider>> {
    let schema: SchemaRef =
        Arc::new(Schema::new(columns.iter().map(|(name, ty)| ty.to_field(*name, true)).collect::<Vec<_>>()));
    let arrays = columns
        .iter()
        .enumerate()
        .map(|(at, (_, ty))| {
            let values: Vec<Value> =
                rows.iter().map(|row| row.get(at).cloned().unwrap_or(Value::Null)).collect();
            Ok(Value::to_array(&values, ty)?)
        })
        .collect::<Result<Vec<_>>>()?;
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// A sequence as a table of one row.
pub(super) fn sequence(_context: &Context, sequence: &SequenceDescriptor) -> Result<Arc<dyn TableProvider>> {
    let columns = [
        ("start_value", DataType::BigInt),
        ("increment_by", DataType::BigInt),
        ("max_value", DataType::BigInt),
        ("min_value", DataType::BigInt),
        ("cache_size", DataType::BigInt),
        ("is_cycled", DataType::Boolean),
    ];
    let row = vec![
        Value::BigInt(sequence.start),
        Value::BigInt(sequence.increment),
        Value::BigInt(sequence.max),
        Value::BigInt(sequence.min),
        Value::BigInt(sequence.cache),
        Value::Boolean(sequence.cycle),
    ];
    provider(&columns, vec![row])
}

/// A text value.
pub(crate) fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

/// A text value or NULL.
pub(crate) fn optional(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

/// `YES` or `NO`.
pub(crate) fn yes_no(yes: bool) -> Value {
    text(if yes { "YES" } else { "NO" })
}
