//! The shape in which results leave: PostgreSQL's names and our Arrow types, whatever DataFusion computed in
//! (views of strings, unsigned integers, nanoseconds).

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use cairn_types::{ColumnBuilder, DataType, Value};

use crate::catalog::column_type::{self, TOLD_KEY, VECTOR};
use crate::{Error, Result};

/// Separates a column's name from what makes it unique within a plan.
pub(crate) const UNIQUE_MARK: char = '\u{1}';

/// Turns batches of a plan into batches of a result.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    schema: SchemaRef,
    convert: Arc<[bool]>,
}

impl Output {
    /// The output of a plan with this schema.
    pub(crate) fn of(plan: &Schema) -> Self {
        let fields: Vec<Field> = plan.fields().iter().map(|field| leaving(field)).collect();
        let convert =
            plan.fields().iter().zip(&fields).map(|(from, to)| from.data_type() != to.data_type()).collect();
        Self { schema: Arc::new(Schema::new(fields)), convert }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    pub(crate) fn convert(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
        for (index, column) in batch.columns().iter().enumerate() {
            let target = self.schema.field(index).data_type();
            if self.convert.get(index).copied().unwrap_or(false) || column.data_type() != target {
                columns.push(converted(column, self.schema.field(index))?);
            } else {
                columns.push(Arc::clone(column));
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        // Nullability in plans is an estimate: fields that claim not to be null are relaxed by the schema.
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::internal(error.to_string()))
    }
}

/// A plan's column as it leaves: with what clients are told of those of `pg_catalog`.
fn leaving(field: &Field) -> Field {
    let name = display_name(field.name());
    if column_type::is_vector(field) {
        return DataType::Text.to_field(name, field.is_nullable());
    }
    match field.metadata().get(TOLD_KEY) {
        Some(told) if told != VECTOR => {
            column_type::telling(data_type(field).to_field(name, field.is_nullable()), told)
        }
        _ => data_type(field).to_field(name, field.is_nullable()),
    }
}

/// A list of numbers as PostgreSQL shows an `int2vector`.
fn vector(column: &ArrayRef) -> Result<ArrayRef> {
    let ty = DataType::from_arrow(column.data_type());
    let mut texts = ColumnBuilder::with_capacity(&DataType::Text, column.len());
    for row in 0..column.len() {
        texts.push(&match Value::from_array(column, row, &ty) {
            Value::Array(items) => {
                let items: Vec<String> =
                    items.iter().filter_map(Value::as_i64).map(|n| n.to_string()).collect();
                Value::Text(items.join(" "))
            }
            other => other,
        })?;
    }
    Ok(texts.finish()?)
}

/// A column in the Arrow type of a field; rows in their text form.
fn converted(column: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    let (target, own) = (field.data_type(), column.data_type());
    let numbers = |item: &Field| matches!(item.data_type(), ArrowType::Int16 | ArrowType::Int64);
    if matches!(own, ArrowType::List(item) if numbers(item)) && !matches!(target, ArrowType::List(_)) {
        return vector(column);
    }
    let nested = matches!(own, ArrowType::Struct(_))
        || matches!(own, ArrowType::List(item) if matches!(item.data_type(), ArrowType::Struct(_)));
    if !nested {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        return cast_with_options(column, target, &options).map_err(Error::from);
    }
    let ty = DataType::from_field(field);
    let mut texts = ColumnBuilder::with_capacity(&ty, column.len());
    for row in 0..column.len() {
        texts.push(&Value::from_array(column, row, &ty))?;
    }
    Ok(texts.finish()?)
}

/// A column's name without what makes it unique.
pub(crate) fn display_name(name: &str) -> &str {
    name.split(UNIQUE_MARK).next().unwrap_or(name)
}

/// The SQL type of a plan's column.
pub(crate) fn data_type(field: &Field) -> DataType {
    match field.data_type() {
        ArrowType::UInt8 | ArrowType::Int8 => DataType::SmallInt,
        ArrowType::UInt16 => DataType::Integer,
        ArrowType::UInt32 | ArrowType::UInt64 => DataType::BigInt,
        ArrowType::List(item) | ArrowType::LargeList(item) | ArrowType::FixedSizeList(item, _)
            if !field.metadata().contains_key("cairn.type") =>
        {
            DataType::Array(Box::new(data_type(item)))
        }
        ArrowType::Dictionary(_, value) => DataType::from_arrow(value),
        _ => DataType::from_field(field),
    }
}
