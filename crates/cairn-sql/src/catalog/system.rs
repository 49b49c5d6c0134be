//! Tables that are computed from the catalog when a query asks for them: `pg_catalog` and
//! `information_schema`. They are small and live in memory for the statement.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use cairn_engine::Catalog;
use cairn_engine::catalog::SequenceDescriptor;
use cairn_types::Value;
use datafusion::catalog::{MemTable, TableProvider};

use super::column_type::ColumnType;
use super::{information_schema, pg_catalog};
use crate::context::Context;
use crate::{Error, Result};

/// Rows of a computed table.
pub(crate) type Rows = Vec<Vec<Value>>;

/// Names and types of a computed table's columns.
pub(crate) type Columns = &'static [(&'static str, ColumnType)];

/// A computed table: its name, columns, and how its rows are found.
#[derive(Clone, Copy)]
pub(crate) struct SystemTable {
    pub(crate) name: &'static str,
    pub(crate) columns: Columns,
    pub(crate) rows: fn(&Context, &Catalog) -> Result<Rows>,
}

impl SystemTable {
    /// A table of which there is nothing to say here.
    pub(crate) const fn empty(name: &'static str, columns: Columns) -> Self {
        Self { name, columns, rows: |_, _| Ok(Rows::new()) }
    }
}

/// The computed tables of a schema.
pub(crate) fn tables(schema: &str) -> &'static [SystemTable] {
    match schema {
        "pg_catalog" => pg_catalog::tables(),
        "information_schema" => information_schema::tables(),
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
fn provider(columns: &[(&str, ColumnType)], rows: Rows) -> Result<Arc<dyn TableProvider>> {
    let fields: Vec<_> = columns.iter().map(|(name, ty)| ty.field(name)).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let arrays = columns
        .iter()
        .enumerate()
        .map(|(at, (_, ty))| {
            let values: Vec<Value> =
                rows.iter().map(|row| row.get(at).cloned().unwrap_or(Value::Null)).collect();
            Ok(Value::to_array(&values, &ty.data_type())?)
        })
        .collect::<Result<Vec<_>>>()?;
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// What a sequence has as a table.
pub(crate) const SEQUENCE_COLUMNS: Columns =
    &[("last_value", ColumnType::Int8), ("log_cnt", ColumnType::Int8), ("is_called", ColumnType::Bool)];

/// A sequence as a table of one row.
pub(super) fn sequence(context: &Context, sequence: &SequenceDescriptor) -> Result<Arc<dyn TableProvider>> {
    let (last, is_called) = context.txn().sequence_state(sequence.id)?;
    let row = vec![Value::BigInt(last), Value::BigInt(0), Value::Boolean(is_called)];
    provider(SEQUENCE_COLUMNS, vec![row])
}

/// Gives a row's column another value.
pub(crate) fn set(row: &mut [Value], columns: Columns, name: &str, value: Value) {
    if let Some(at) = columns.iter().position(|(own, _)| *own == name) {
        row[at] = value;
    }
}

/// A row by its columns' names, which are told in their order; the others are NULL.
pub(crate) fn named<'n>(columns: Columns, values: impl IntoIterator<Item = (&'n str, Value)>) -> Vec<Value> {
    let mut row = vec![Value::Null; columns.len()];
    let mut at = 0;
    for (name, value) in values {
        match columns[at..].iter().position(|(own, _)| *own == name) {
            Some(more) => {
                at += more;
                row[at] = value;
            }
            None => debug_assert!(false, "column {name} is missing, or comes too late"),
        }
    }
    row
}

/// An object number.
pub(crate) fn oid(id: impl Into<i64>) -> Value {
    Value::BigInt(id.into())
}

/// A list of texts; NULL where there is none.
pub(crate) fn texts(list: impl IntoIterator<Item = String>) -> Value {
    let list: Vec<Value> = list.into_iter().map(Value::Text).collect();
    if list.is_empty() { Value::Null } else { Value::Array(list) }
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
