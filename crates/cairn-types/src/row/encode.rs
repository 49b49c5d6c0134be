//! Encoding rows of Arrow batches, and rows of values.

use arrow_array::cast::AsArray;
use arrow_array::types as at;
use arrow_array::{Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, RecordBatch, StringViewArray};
use arrow_buffer::{IntervalMonthDayNano, NullBuffer};
use arrow_schema::DataType as ArrowType;

use crate::datatype::DataType;
use crate::error::TypeError;
use crate::interval::Interval;
use crate::row::layout::{
    FORM_NARROW, FORM_WIDE, HEAD_BYTES, Layout, fixed_width, null_bytes, numeric_width,
};
use crate::row::list::{interval_bytes, put_fixed, put_variable};
use crate::value::Value;

/// One place in a row: its type and the batch column that fills it, none for a dropped column (NULL).
#[derive(Debug, Clone)]
pub struct RowSlot {
    /// Type of the place.
    pub ty: DataType,
    /// Index of the column in the batch.
    pub input: Option<usize>,
}

/// Encodes rows of one table.
///
/// ```
/// use cairn_types::row::{RowEncoder, decode_row};
/// use cairn_types::{DataType, Value};
/// let types = [DataType::Integer, DataType::Text];
/// let encoder = RowEncoder::new(&types).unwrap();
/// let mut row = Vec::new();
/// encoder.encode_values(&[Value::from(7), Value::from("x")], &mut row).unwrap();
/// assert_eq!(decode_row(&row, &types).unwrap()[1], Value::from("x"));
/// ```
#[derive(Debug, Clone)]
pub struct RowEncoder {
    pub(super) slots: Vec<RowSlot>,
    pub(super) layout: Layout,
}

impl RowEncoder {
    /// An encoder of rows whose columns are the batch's, in order.
    ///
    /// # Errors
    /// [`TypeError::Unsupported`] for more than [`crate::row::COLUMNS_MAX`] columns.
    pub fn new(types: &[DataType]) -> Result<Self, TypeError> {
        Self::with_slots(
            types.iter().enumerate().map(|(i, ty)| RowSlot { ty: ty.clone(), input: Some(i) }).collect(),
        )
    }

    /// An encoder of rows with any assignment of batch columns to places.
    ///
    /// # Errors
    /// As [`RowEncoder::new`].
    pub fn with_slots(slots: Vec<RowSlot>) -> Result<Self, TypeError> {
        let layout = Layout::new(slots.iter().map(|slot| &slot.ty))?;
        Ok(Self { slots, layout })
    }

    /// Prepares a batch: its columns are checked and taken apart once.
    ///
    /// # Errors
    /// [`TypeError::Mismatch`] where a column has not the Arrow type of its place.
    pub fn bind<'a>(&'a self, batch: &'a RecordBatch) -> Result<BoundRows<'a>, TypeError> {
        self.bind_columns(batch.columns(), batch.num_rows())
    }

    /// As [`RowEncoder::bind`], for bare columns of `rows` rows each.
    ///
    /// # Errors
    /// As [`RowEncoder::bind`].
    pub fn bind_columns<'a>(
        &'a self,
        columns: &'a [ArrayRef],
        rows: usize,
    ) -> Result<BoundRows<'a>, TypeError> {
        let mut cells = Vec::with_capacity(self.slots.len());
        for (ordinal, slot) in self.slots.iter().enumerate() {
            let Some(input) = slot.input else {
                cells.push(BoundCell::of(ordinal, Source::Dropped, None, &self.layout));
                continue;
            };
            let found =
                || columns.get(input).map_or_else(|| "nothing".to_owned(), |c| c.data_type().to_string());
            let column = columns.get(input).filter(|column| column.len() == rows);
            let source = column.and_then(|column| Source::of(column.as_ref(), &slot.ty));
            let (Some(column), Some(source)) = (column, source) else {
                return Err(TypeError::Mismatch { expected: slot.ty.sql_name(), found: found() });
            };
            let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
            cells.push(BoundCell::of(ordinal, source, nulls, &self.layout));
        }
        let columns = self.slots.len();
        let null_bytes = null_bytes(columns);
        Ok(BoundRows {
            cells,
            columns: columns as u16,
            null_bytes,
            fixed_bytes: [self.layout.offsets[0][columns], self.layout.offsets[1][columns]],
            rows,
        })
    }

    /// Appends one row given as values, one for each batch column.
    ///
    /// # Errors
    /// [`TypeError::Mismatch`] where a value is not of its column's type; range errors; then `out` is as before.
    pub fn encode_values(&self, values: &[Value], out: &mut Vec<u8>) -> Result<(), TypeError> {
        let start = out.len();
        let mut done = self.try_values(values, 0, out);
        if matches!(done, Ok(false)) {
            out.truncate(start);
            done = self.try_values(values, 1, out);
        }
        match done {
            Ok(true) => Ok(()),
            Ok(false) => {
                out.truncate(start);
                Err(row_too_long())
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    /// Encodes in one form; `false` where the variable section is too long for it.
    fn try_values(&self, values: &[Value], form: usize, out: &mut Vec<u8>) -> Result<bool, TypeError> {
        let columns = self.slots.len();
        let start = out.len();
        let nulls = start + HEAD_BYTES;
        let fixed = nulls + null_bytes(columns);
        let variable = fixed + self.layout.offsets[form][columns];
        out.resize(variable, 0);
        put_head(&mut out[start..], form, columns as u16);
        let mut scratch = Vec::with_capacity(16);
        for (ordinal, slot) in self.slots.iter().enumerate() {
            let value = slot.input.and_then(|input| values.get(input)).unwrap_or(&Value::Null);
            let at = fixed + self.layout.offsets[form][ordinal];
            if value.is_null() {
                out[nulls + ordinal / 8] |= 1 << (ordinal % 8);
            }
            if fixed_width(&slot.ty).is_some() {
                scratch.clear();
                put_fixed(value, &slot.ty, &mut scratch)?;
                out[at..at + scratch.len()].copy_from_slice(&scratch);
            } else {
                put_variable(value, &slot.ty, out)?;
                let end = out.len() - variable;
                if !put_end(out, at, end, form) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// The rows of one batch, ready to be encoded.
#[derive(Debug)]
pub struct BoundRows<'a> {
    cells: Vec<BoundCell<'a>>,
    columns: u16,
    null_bytes: usize,
    fixed_bytes: [usize; 2],
    rows: usize,
}

impl BoundRows<'_> {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends the code of `row` to `out`.
    ///
    /// # Errors
    /// Range errors of numbers that break their column's precision; then `out` is as before.
    ///
    /// # Panics
    /// If `row` is not below [`BoundRows::len`].
    #[inline]
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) -> Result<(), TypeError> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let start = out.len();
        let mut done = self.try_encode::<0>(row, out);
        if matches!(done, Ok(false)) {
            out.truncate(start);
            done = self.try_encode::<1>(row, out);
        }
        match done {
            Ok(true) => Ok(()),
            Ok(false) => {
                out.truncate(start);
                Err(row_too_long())
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    fn try_encode<const FORM: usize>(&self, row: usize, out: &mut Vec<u8>) -> Result<bool, TypeError> {
        let start = out.len();
        let nulls = start + HEAD_BYTES;
        let fixed = nulls + self.null_bytes;
        let variable = fixed + self.fixed_bytes[FORM];
        out.resize(variable, 0);
        put_head(&mut out[start..], FORM, self.columns);
        for cell in &self.cells {
            let at = fixed + cell.offsets[FORM];
            if cell.is_null(row) {
                out[nulls + cell.null_byte] |= cell.null_mask;
                if cell.variable {
                    let end = out.len() - variable;
                    if !put_end(out, at, end, FORM) {
                        return Ok(false);
                    }
                }
                continue;
            }
            match &cell.source {
                Source::Dropped => {}
                Source::Boolean(array) => out[at] = u8::from(array.value(row)),
                Source::Int16(values) => put(out, at, values[row].to_le_bytes()),
                Source::Int32(values) => put(out, at, values[row].to_le_bytes()),
                Source::Int64(values) => put(out, at, values[row].to_le_bytes()),
                Source::Float32(values) => put(out, at, values[row].to_le_bytes()),
                Source::Float64(values) => put(out, at, values[row].to_le_bytes()),
                Source::Decimal64(values) => {
                    let narrow = i64::try_from(values[row])
                        .map_err(|_| TypeError::TypeRange { type_name: "numeric".to_owned() })?;
                    put(out, at, narrow.to_le_bytes());
                }
                Source::Decimal128(values) => put(out, at, values[row].to_le_bytes()),
                Source::Interval(values) => {
                    let v = values[row];
                    let interval = Interval { months: v.months, days: v.days, nanos: v.nanoseconds };
                    put(out, at, interval_bytes(interval));
                }
                Source::Uuid(array) => out[at..at + 16].copy_from_slice(array.value(row)),
                variable_source => {
                    variable_source.put_variable(row, out)?;
                    let end = out.len() - variable;
                    if !put_end(out, at, end, FORM) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

#[inline]
fn put<const N: usize>(out: &mut [u8], at: usize, bytes: [u8; N]) {
    out[at..at + N].copy_from_slice(&bytes);
}

fn put_head(out: &mut [u8], form: usize, columns: u16) {
    let [low, high] = columns.to_le_bytes();
    out[..HEAD_BYTES].copy_from_slice(&[if form == 0 { FORM_NARROW } else { FORM_WIDE }, low, high]);
}

/// Writes an end offset; `false` where it does not fit the form.
#[inline]
pub(super) fn put_end(out: &mut [u8], at: usize, end: usize, form: usize) -> bool {
    if form == 0 {
        let Ok(end) = u16::try_from(end) else { return false };
        put(out, at, end.to_le_bytes());
    } else {
        let Ok(end) = u32::try_from(end) else { return false };
        put(out, at, end.to_le_bytes());
    }
    true
}

fn row_too_long() -> TypeError {
    TypeError::Unsupported { what: "a row of more than 4 GiB".to_owned() }
}

/// One column of a batch and its place in the row.
#[derive(Debug)]
struct BoundCell<'a> {
    source: Source<'a>,
    nulls: Option<&'a NullBuffer>,
    offsets: [usize; 2],
    null_byte: usize,
    null_mask: u8,
    variable: bool,
}

impl<'a> BoundCell<'a> {
    fn of(ordinal: usize, source: Source<'a>, nulls: Option<&'a NullBuffer>, layout: &Layout) -> Self {
        Self {
            source,
            nulls,
            offsets: [layout.offsets[0][ordinal], layout.offsets[1][ordinal]],
            null_byte: ordinal / 8,
            null_mask: 1 << (ordinal % 8),
            variable: layout.widths[ordinal] == 0,
        }
    }

    #[inline]
    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row)) || matches!(self.source, Source::Dropped)
    }
}

/// A column of a batch by its physical form.
#[derive(Debug)]
enum Source<'a> {
    Dropped,
    Boolean(&'a BooleanArray),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal64(&'a [i128]),
    Decimal128(&'a [i128]),
    Interval(&'a [IntervalMonthDayNano]),
    Uuid(&'a FixedSizeBinaryArray),
    Bytes { offsets: &'a [i32], data: &'a [u8] },
    TextView(&'a StringViewArray),
    Other { array: &'a dyn Array, ty: DataType },
}

impl<'a> Source<'a> {
    /// The source of a column for a place of type `ty`; `None` where the Arrow type is another.
    fn of(array: &'a dyn Array, ty: &DataType) -> Option<Self> {
        let wanted = ty.to_arrow();
        let same = *array.data_type() == wanted
            || matches!((array.data_type(), &wanted), (ArrowType::Utf8View, ArrowType::Utf8))
            || matches!((array.data_type(), &wanted), (ArrowType::List(a), ArrowType::List(b)) if a.data_type() == b.data_type());
        if !same {
            return None;
        }
        Some(match array.data_type() {
            ArrowType::Boolean => Self::Boolean(array.as_boolean()),
            ArrowType::Int16 => Self::Int16(array.as_primitive::<at::Int16Type>().values()),
            ArrowType::Int32 => Self::Int32(array.as_primitive::<at::Int32Type>().values()),
            ArrowType::Date32 => Self::Int32(array.as_primitive::<at::Date32Type>().values()),
            ArrowType::Int64 => Self::Int64(array.as_primitive::<at::Int64Type>().values()),
            ArrowType::Time64(_) => Self::Int64(array.as_primitive::<at::Time64MicrosecondType>().values()),
            ArrowType::Timestamp(..) => {
                Self::Int64(array.as_primitive::<at::TimestampMicrosecondType>().values())
            }
            ArrowType::Float32 => Self::Float32(array.as_primitive::<at::Float32Type>().values()),
            ArrowType::Float64 => Self::Float64(array.as_primitive::<at::Float64Type>().values()),
            ArrowType::Decimal128(precision, _) => {
                let values = array.as_primitive::<at::Decimal128Type>().values();
                if numeric_width(*precision) == 8 {
                    Self::Decimal64(values)
                } else {
                    Self::Decimal128(values)
                }
            }
            ArrowType::Interval(_) => {
                Self::Interval(array.as_primitive::<at::IntervalMonthDayNanoType>().values())
            }
            ArrowType::FixedSizeBinary(_) => Self::Uuid(array.as_fixed_size_binary()),
            ArrowType::Utf8 => {
                let strings = array.as_string::<i32>();
                Self::Bytes { offsets: strings.value_offsets(), data: strings.value_data() }
            }
            ArrowType::Binary => {
                let bytes = array.as_binary::<i32>();
                Self::Bytes { offsets: bytes.value_offsets(), data: bytes.value_data() }
            }
            ArrowType::Utf8View => Self::TextView(array.as_string_view()),
            _ => Self::Other { array, ty: ty.clone() },
        })
    }

    #[inline]
    fn put_variable(&self, row: usize, out: &mut Vec<u8>) -> Result<(), TypeError> {
        match self {
            Self::Bytes { offsets, data } => {
                out.extend_from_slice(&data[offsets[row] as usize..offsets[row + 1] as usize]);
            }
            Self::TextView(array) => out.extend_from_slice(array.value(row).as_bytes()),
            Self::Other { array, ty } => put_variable(&Value::from_array(*array, row, ty), ty, out)?,
            _ => {}
        }
        Ok(())
    }
}
