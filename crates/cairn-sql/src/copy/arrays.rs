//! Columns that come or go as Arrow arrays, in Parquet files and Arrow streams: those of a file into the table's, and a result's into
//! types that such files have.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Field, Fields, Schema, SchemaRef};
use cairn_types::DataType;
use cairn_types::text::format_cell;

use super::cell::ColumnSink;
use super::error::{CopyError, Place, Result};
use super::reader::{Target, TargetColumn, refuse_type};

/// The columns of a file as those that are wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) target: Target,
    /// The place of each in the file.
    pub(super) places: Vec<usize>,
    schema: SchemaRef,
    rows: u64,
}

impl Wanted {
    /// The file's own columns without `target`, else the target's, found by name.
    pub(super) fn new(path: &str, fields: &Fields, target: Option<&Target>) -> Result<Wanted> {
        let wanted = match target {
            Some(target) => target.clone(),
            None => {
                let column = |f: &Arc<arrow::datatypes::Field>| {
                    Ok(TargetColumn { name: f.name().clone(), ty: sql_type(path, f)? })
                };
                Target {
                    name: path.rsplit('/').next().unwrap_or(path).to_owned(),
                    columns: fields.iter().map(column).collect::<Result<_>>()?,
                }
            }
        };
        let mut places = Vec::new();
        for column in &wanted.columns {
            let exact = fields.iter().position(|f| *f.name() == column.name);
            let found =
                exact.or_else(|| fields.iter().position(|f| f.name().eq_ignore_ascii_case(&column.name)));
            match found {
                Some(place) => places.push(place),
                None => {
                    let name = &column.name;
                    return Err(CopyError::new("22P04", format!("file \"{path}\" has no column \"{name}\"")));
                }
            }
        }
        let schema = wanted.arrow_schema();
        Ok(Wanted { target: wanted, places, schema, rows: 0 })
    }

    /// A batch of the wanted columns; `place` gives where the file's column is in `batch`.
    pub(super) fn convert(
        &mut self,
        batch: &RecordBatch,
        place: impl Fn(usize) -> Option<usize>,
    ) -> Result<RecordBatch> {
        let mut arrays = Vec::with_capacity(self.places.len());
        for (column, root) in self.target.columns.iter().zip(&self.places) {
            let array = place(*root)
                .map(|at| batch.column(at))
                .ok_or_else(|| CopyError::new("XX000", format!("column \"{}\" was not read", column.name)))?;
            arrays.push(self.convert_column(array, column)?);
        }
        self.rows += batch.num_rows() as u64;
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|e| CopyError::new("XX000", e.to_string()))
    }

    fn convert_column(&self, array: &ArrayRef, column: &TargetColumn) -> Result<ArrayRef> {
        let want = column.ty.to_arrow();
        let texts = matches!(array.data_type(), ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View);
        if *array.data_type() == want
            && (!texts || matches!(column.ty, DataType::Text | DataType::Varchar(None)))
        {
            return Ok(Arc::clone(array));
        }
        if texts && !matches!(column.ty, DataType::Text) || want == ArrowType::Utf8 && !texts {
            return self.through_text(array, column);
        }
        if column.ty == DataType::Numeric(None) && DataType::from_arrow(array.data_type()).is_numeric() {
            let wide = crate::functions::wide::widen(array);
            return wide.map(|wide| Arc::new(wide) as ArrayRef).map_err(|e| {
                CopyError::new("22003", format!("column \"{}\" does not fit type numeric", column.name))
                    .with_detail(e.to_string())
            });
        }
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(array, &want, &strict).map_err(|e| {
            let message = format!("column \"{}\" does not fit type {}", column.name, column.ty.sql_name());
            CopyError::new("22003", message).with_detail(e.to_string())
        })
    }

    /// Each cell as text, read as if it stood in a CSV file.
    fn through_text(&self, array: &ArrayRef, column: &TargetColumn) -> Result<ArrayRef> {
        let from = DataType::from_arrow(array.data_type());
        let array = match from.to_arrow() == *array.data_type() {
            true => Arc::clone(array),
            false => {
                cast_with_options(array, &from.to_arrow(), &CastOptions { safe: false, ..Default::default() })
                    .map_err(|e| CopyError::new("22P04", e.to_string()))?
            }
        };
        let mut sink = ColumnSink::new(&column.ty, array.len());
        let strings = array.as_string_opt::<i32>();
        let mut text = String::new();
        for row in 0..array.len() {
            if array.is_null(row) {
                sink.push_null();
                continue;
            }
            let cell = match strings {
                Some(strings) => strings.value(row),
                None => {
                    text.clear();
                    format_cell(&array, row, &from, &mut text);
                    &text
                }
            };
            sink.push(cell.as_bytes()).map_err(|e| {
                let (name, line) = (self.target.name.as_str(), self.rows + row as u64 + 1);
                refuse_type(&e).at(&Place {
                    name,
                    line,
                    column: Some(&column.name),
                    data: Some(cell.as_bytes()),
                })
            })?;
        }
        sink.finish().map_err(|e| refuse_type(&e))
    }
}

/// The SQL type of a column; structs and maps are refused rather than flattened by guess.
fn sql_type(path: &str, field: &arrow::datatypes::Field) -> Result<DataType> {
    match field.data_type() {
        ArrowType::Struct(_) | ArrowType::Map(..) | ArrowType::Union(..) => {
            Err(CopyError::unsupported(format!(
                "column \"{}\" of file \"{path}\" has type {}, which is not supported",
                field.name(),
                field.data_type()
            )))
        }
        _ => Ok(DataType::from_field(field)),
    }
}

/// The columns of a result as a file has them: those of types that Arrow does not know are text.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) schema: SchemaRef,
}

impl Shown {
    pub(super) fn new(schema: &SchemaRef) -> Shown {
        let text = |field: &Field| Field::new(field.name(), ArrowType::Utf8, field.is_nullable());
        let fields = schema.fields().iter().map(|field| match is_coded(field) {
            true => Arc::new(text(field)),
            false => Arc::clone(field),
        });
        Shown { schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())) }
    }

    pub(super) fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch.columns().iter().zip(batch.schema_ref().fields());
        let columns = columns.map(|(column, field)| match is_coded(field) {
            true => in_text(column, field),
            false => Arc::clone(column),
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())
            .map_err(|e| CopyError::new("XX000", e.to_string()))
    }
}

/// Whether a column is of a type that Arrow does not know, a coded one or NUMERIC without parameters, or of arrays of one.
fn is_coded(field: &Field) -> bool {
    let mut ty = DataType::from_field(field);
    while let DataType::Array(element) = ty {
        ty = *element;
    }
    matches!(ty, DataType::Coded(_) | DataType::Numeric(None))
}

/// A column in PostgreSQL's text form.
fn in_text(column: &ArrayRef, field: &Field) -> ArrayRef {
    let ty = DataType::from_field(field);
    let cells = (0..column.len()).map(|row| {
        (!column.is_null(row)).then(|| {
            let mut text = String::new();
            format_cell(column.as_ref(), row, &ty, &mut text);
            text
        })
    });
    Arc::new(cells.collect::<StringArray>())
}
