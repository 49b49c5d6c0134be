//! Decoding rows: a projection of many rows into Arrow columns, or one row into values.

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use crate::column::ColumnBuilder;
use crate::datatype::DataType;
use crate::error::TypeError;
use crate::row::layout::{Layout, Parts};
use crate::row::list::{push_fixed, push_variable, value_of_fixed, value_of_variable};
use crate::value::Value;

/// One column of a table as its rows hold it.
#[derive(Debug, Clone)]
pub struct RowColumn {
    /// Its place in the row.
    pub ordinal: usize,
    /// Its type.
    pub ty: DataType,
    /// Its value in rows that were written before the column was added; `None` is NULL.
    pub missing: Option<Value>,
}

/// Decodes the projected columns of many rows into Arrow columns.
///
/// ```
/// use cairn_types::row::{RowColumn, RowDecoder, RowEncoder};
/// use cairn_types::{DataType, Value};
/// let mut row = Vec::new();
/// let encoder = RowEncoder::new(&[DataType::Integer, DataType::Text]).unwrap();
/// encoder.encode_values(&[Value::from(7), Value::from("x")], &mut row).unwrap();
/// let columns = [DataType::Integer, DataType::Text].into_iter().enumerate();
/// let columns: Vec<_> = columns.map(|(ordinal, ty)| RowColumn { ordinal, ty, missing: None }).collect();
/// let mut decoder = RowDecoder::new(&columns, &[1]).unwrap();
/// decoder.push(&row).unwrap();
/// assert_eq!(Value::from_array(&decoder.finish().unwrap()[0], 0, &DataType::Text), Value::from("x"));
/// ```
#[derive(Debug)]
pub struct RowDecoder {
    layout: Layout,
    outputs: Vec<Output>,
    rows: usize,
}

#[derive(Debug)]
struct Output {
    column: ColumnBuilder,
    ty: DataType,
    ordinal: usize,
    offsets: [usize; 2],
    /// Slots of the end of the variable column before this one.
    previous: [Option<usize>; 2],
    width: usize,
    missing: Value,
}

impl RowDecoder {
    /// A decoder of the columns `columns[projection[..]]`, in that order. `columns` names every place of the row
    /// (dropped columns too, because the places of later ones depend on their types), in any order.
    ///
    /// # Errors
    /// [`TypeError::Mismatch`] where the ordinals are not 0, 1, 2 … each once, or the projection is out of range;
    /// [`TypeError::Unsupported`] for too many columns.
    pub fn new(columns: &[RowColumn], projection: &[usize]) -> Result<Self, TypeError> {
        let mut places = vec![None; columns.len()];
        for column in columns {
            match places.get_mut(column.ordinal) {
                Some(place @ None) => *place = Some(&column.ty),
                _ => return Err(bad_columns()),
            }
        }
        let layout = Layout::new(places.iter().filter_map(|place| *place))?;
        let mut outputs = Vec::with_capacity(projection.len());
        for &index in projection {
            let RowColumn { ordinal, ty, missing } = columns.get(index).ok_or_else(bad_columns)?.clone();
            let offsets = [layout.offsets[0][ordinal], layout.offsets[1][ordinal]];
            let previous = layout.previous[ordinal];
            outputs.push(Output {
                column: ColumnBuilder::new(&ty),
                ty,
                ordinal,
                offsets,
                previous: [0, 1].map(|form: usize| previous.map(|before| layout.offsets[form][before])),
                width: layout.widths[ordinal],
                missing: missing.unwrap_or(Value::Null),
            });
        }
        Ok(Self { layout, outputs, rows: 0 })
    }

    /// Rows appended since the last [`RowDecoder::finish`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no row was appended since the last [`RowDecoder::finish`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends one row.
    ///
    /// # Errors
    /// [`TypeError::Corrupt`] where the bytes are no row of this table, [`TypeError::Unsupported`] beyond 2 GiB of
    /// text in one column. The decoder is then of no further use.
    #[inline]
    pub fn push(&mut self, row: &[u8]) -> Result<(), TypeError> {
        let parts = Parts::split(row, &self.layout)?;
        for output in &mut self.outputs {
            output.push(&parts)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The columns of all rows appended; the decoder is empty again and can go on.
    ///
    /// # Errors
    /// [`TypeError::InvalidUtf8`] where a text column held no UTF-8.
    pub fn finish(&mut self) -> Result<Vec<ArrayRef>, TypeError> {
        self.rows = 0;
        self.outputs.iter_mut().map(|output| output.column.finish()).collect()
    }

    /// As [`RowDecoder::finish`], as a batch of `schema`, which may have no column at all.
    ///
    /// # Errors
    /// As [`RowDecoder::finish`], and [`TypeError::Mismatch`] where the columns do not fit `schema`.
    pub fn finish_batch(&mut self, schema: &SchemaRef) -> Result<RecordBatch, TypeError> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let columns = self.finish()?;
        RecordBatch::try_new_with_options(SchemaRef::clone(schema), columns, &options).map_err(|error| {
            TypeError::Mismatch { expected: "the schema".to_owned(), found: error.to_string() }
        })
    }
}

impl Output {
    #[inline]
    fn push(&mut self, parts: &Parts<'_>) -> Result<(), TypeError> {
        if self.ordinal >= parts.columns {
            return self.column.push(&self.missing);
        }
        if parts.is_null(self.ordinal) {
            self.column.push_null();
            return Ok(());
        }
        let at = self.offsets[parts.form];
        if self.width > 0 {
            push_fixed(&mut self.column, &parts.fixed[at..at + self.width])
        } else {
            let bytes = parts.variable_at(at, self.previous[parts.form])?;
            push_variable(&mut self.column, &self.ty, bytes)
        }
    }
}

fn bad_columns() -> TypeError {
    TypeError::Mismatch {
        expected: "columns with the ordinals 0, 1, 2 …".to_owned(),
        found: "gaps, repetitions or a projection out of range".to_owned(),
    }
}

/// Decodes one row into values, one for each column that it holds (fewer than `types` where the row is older than a
/// column).
///
/// # Errors
/// [`TypeError::Corrupt`] and [`TypeError::InvalidUtf8`] where the bytes are no row of these types.
pub fn decode_row(row: &[u8], types: &[DataType]) -> Result<Vec<Value>, TypeError> {
    let layout = Layout::new(types.iter())?;
    let parts = Parts::split(row, &layout)?;
    let mut values = Vec::with_capacity(parts.columns);
    let mut end = 0;
    for (ordinal, ty) in types.iter().enumerate().take(parts.columns) {
        let at = layout.offsets[parts.form][ordinal];
        let width = layout.widths[ordinal];
        let bytes = if width > 0 {
            &parts.fixed[at..at + width]
        } else {
            let previous = layout.previous[ordinal].map(|before| layout.offsets[parts.form][before]);
            end = parts.end_at(at);
            parts.variable_at(at, previous)?
        };
        values.push(match (parts.is_null(ordinal), width) {
            (true, _) => Value::Null,
            (false, 0) => value_of_variable(ty, bytes)?,
            (false, _) => value_of_fixed(ty, bytes)?,
        });
    }
    if end != parts.variable.len() {
        let detail = format!("variable section of {} bytes ends at {end}", parts.variable.len());
        return Err(TypeError::corrupt("row", row.len(), detail));
    }
    Ok(values)
}
