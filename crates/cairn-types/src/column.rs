//! Columns: Arrow arrays to values and values to Arrow arrays.
//!
//! [`ColumnBuilder`] builds the array of one SQL type, from values or (in [`crate::row`]) straight from
//! encoded bytes. [`Value::from_array`] reads any array that DataFusion can produce, not only those that
//! [`DataType::to_arrow`] names.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, FixedSizeBinaryBuilder,
    Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types as at;
use arrow_array::{Array, ArrayRef, BinaryArray, ListArray, StringArray, StructArray};
use arrow_buffer::{Buffer, IntervalMonthDayNano, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType as ArrowType, Field, Fields, IntervalUnit, TimeUnit};

use crate::datatype::DataType;
use crate::decimal::{Decimal, wide};
use crate::error::TypeError;
use crate::interval::Interval;
use crate::value::Value;

/// Strings or byte strings under construction; UTF-8 is checked once, when the array is finished.
#[derive(Debug)]
pub struct BytesColumn {
    data: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    utf8: bool,
}

impl BytesColumn {
    fn new(utf8: bool, capacity: usize) -> Self {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        Self {
            data: Vec::with_capacity(capacity * 8),
            offsets,
            nulls: NullBufferBuilder::new(capacity),
            utf8,
        }
    }

    /// Appends one string.
    ///
    /// # Errors
    /// [`TypeError::Unsupported`] where the array would exceed 2 GiB; the column is then as before.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), TypeError> {
        let end = i32::try_from(self.data.len() + bytes.len())
            .map_err(|_| TypeError::Unsupported { what: "a column batch of more than 2 GiB".to_owned() })?;
        self.data.extend_from_slice(bytes);
        self.offsets.push(end);
        self.nulls.append_non_null();
        Ok(())
    }

    #[inline]
    pub(crate) fn push_null(&mut self) {
        self.offsets.push(self.data.len() as i32);
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef, TypeError> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let data = Buffer::from_vec(std::mem::take(&mut self.data));
        let nulls = self.nulls.finish();
        if self.utf8 {
            let array = StringArray::try_new(offsets, data, nulls).map_err(|_| TypeError::InvalidUtf8)?;
            Ok(Arc::new(array))
        } else {
            Ok(Arc::new(BinaryArray::new(offsets, data, nulls)))
        }
    }
}

/// An array of arrays under construction.
#[derive(Debug)]
pub struct ListColumn {
    pub(crate) element: Box<ColumnBuilder>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    field: Arc<Field>,
}

impl ListColumn {
    fn new(element: &DataType) -> Self {
        Self {
            element: Box::new(ColumnBuilder::with_capacity(element, 0)),
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
            field: Arc::new(Field::new_list_field(element.to_arrow(), true)),
        }
    }

    /// Closes the list of the elements appended since the last call.
    pub(crate) fn close(&mut self, valid: bool) -> Result<(), TypeError> {
        let end = i32::try_from(self.element.len()).map_err(|_| TypeError::Unsupported {
            what: "a column batch of more than 2^31 elements".to_owned(),
        })?;
        self.offsets.push(end);
        self.nulls.append(valid);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, TypeError> {
        let values = self.element.finish()?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        Ok(Arc::new(ListArray::new(Arc::clone(&self.field), offsets, values, self.nulls.finish())))
    }
}

/// Values of a coded type under construction.
#[derive(Debug)]
pub struct CodedColumn {
    pub(crate) codes: BytesColumn,
    nulls: NullBufferBuilder,
    fields: Fields,
}

impl CodedColumn {
    fn new(ty: &DataType, capacity: usize) -> Self {
        let fields = match ty.to_arrow() {
            ArrowType::Struct(fields) => fields,
            _ => Fields::empty(),
        };
        Self { codes: BytesColumn::new(false, capacity), nulls: NullBufferBuilder::new(capacity), fields }
    }

    #[inline]
    pub(crate) fn push(&mut self, code: &[u8]) -> Result<(), TypeError> {
        self.codes.push(code)?;
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_null(&mut self) {
        self.codes.push_null();
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef, TypeError> {
        let codes = self.codes.finish()?;
        Ok(Arc::new(StructArray::new(self.fields.clone(), vec![codes], self.nulls.finish())))
    }
}

/// Builds the Arrow array of one SQL type.
///
/// ```
/// use arrow_array::Array;
/// use cairn_types::{ColumnBuilder, DataType, Value};
/// let mut column = ColumnBuilder::new(&DataType::Integer);
/// column.push(&Value::Integer(7)).unwrap();
/// column.push(&Value::Null).unwrap();
/// assert_eq!(column.finish().unwrap().null_count(), 1);
/// ```
#[derive(Debug)]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum ColumnBuilder {
    Boolean(BooleanBuilder),
    SmallInt(Int16Builder),
    Integer(Int32Builder),
    BigInt(Int64Builder),
    Real(Float32Builder),
    Double(Float64Builder),
    Numeric(Decimal128Builder, u8, i8),
    Wide(Decimal256Builder),
    Bytes(BytesColumn),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Array(ListColumn),
    Coded(CodedColumn),
}

/// Runs the same expression on whichever builder there is.
macro_rules! each {
    ($self:expr, $builder:ident => $primitive:expr, bytes $bytes:ident => $on_bytes:expr, list $list:ident => $on_list:expr, coded $coded:ident => $on_coded:expr) => {
        match $self {
            ColumnBuilder::Boolean($builder) => $primitive,
            ColumnBuilder::SmallInt($builder) => $primitive,
            ColumnBuilder::Integer($builder) => $primitive,
            ColumnBuilder::BigInt($builder) => $primitive,
            ColumnBuilder::Real($builder) => $primitive,
            ColumnBuilder::Double($builder) => $primitive,
            ColumnBuilder::Numeric($builder, ..) => $primitive,
            ColumnBuilder::Wide($builder) => $primitive,
            ColumnBuilder::Date($builder) => $primitive,
            ColumnBuilder::Time($builder) => $primitive,
            ColumnBuilder::Timestamp($builder) => $primitive,
            ColumnBuilder::Interval($builder) => $primitive,
            ColumnBuilder::Uuid($builder) => $primitive,
            ColumnBuilder::Bytes($bytes) => $on_bytes,
            ColumnBuilder::Array($list) => $on_list,
            ColumnBuilder::Coded($coded) => $on_coded,
        }
    };
}

impl ColumnBuilder {
    /// An empty column of `ty`.
    #[must_use]
    pub fn new(ty: &DataType) -> Self {
        Self::with_capacity(ty, 0)
    }

    /// An empty column of `ty` with room for `capacity` values.
    #[must_use]
    pub fn with_capacity(ty: &DataType, capacity: usize) -> Self {
        match ty {
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(capacity)),
            DataType::SmallInt => Self::SmallInt(Int16Builder::with_capacity(capacity)),
            DataType::Integer => Self::Integer(Int32Builder::with_capacity(capacity)),
            DataType::BigInt => Self::BigInt(Int64Builder::with_capacity(capacity)),
            DataType::Real => Self::Real(Float32Builder::with_capacity(capacity)),
            DataType::Double => Self::Double(Float64Builder::with_capacity(capacity)),
            DataType::Numeric(None) => {
                Self::Wide(Decimal256Builder::with_capacity(capacity).with_data_type(ty.to_arrow()))
            }
            DataType::Numeric(Some((precision, scale))) => {
                let (precision, scale) = (*precision, *scale);
                let builder = Decimal128Builder::with_capacity(capacity)
                    .with_data_type(ArrowType::Decimal128(precision, scale));
                Self::Numeric(builder, precision, scale)
            }
            DataType::Text | DataType::Varchar(_) | DataType::Char(_) | DataType::Json | DataType::Jsonb => {
                Self::Bytes(BytesColumn::new(true, capacity))
            }
            DataType::Bytea => Self::Bytes(BytesColumn::new(false, capacity)),
            DataType::Date => Self::Date(Date32Builder::with_capacity(capacity)),
            DataType::Time(_) => Self::Time(Time64MicrosecondBuilder::with_capacity(capacity)),
            DataType::Timestamp(_) => Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(capacity)),
            DataType::TimestampTz(_) => Self::Timestamp(
                TimestampMicrosecondBuilder::with_capacity(capacity).with_data_type(ty.to_arrow()),
            ),
            DataType::Interval(_) => Self::Interval(IntervalMonthDayNanoBuilder::with_capacity(capacity)),
            DataType::Uuid => Self::Uuid(FixedSizeBinaryBuilder::with_capacity(capacity, 16)),
            DataType::Array(element) => Self::Array(ListColumn::new(element)),
            DataType::Coded(_) => Self::Coded(CodedColumn::new(ty, capacity)),
        }
    }

    /// How many values it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        use arrow_array::builder::ArrayBuilder;
        each!(self, b => b.len(), bytes b => b.offsets.len() - 1, list l => l.offsets.len() - 1,
            coded c => c.codes.offsets.len() - 1)
    }

    /// Whether it holds no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends NULL.
    #[inline]
    pub fn push_null(&mut self) {
        each!(self, b => b.append_null(), bytes b => b.push_null(), list l => {
            l.offsets.push(l.offsets[l.offsets.len() - 1]);
            l.nulls.append_null();
        }, coded c => c.push_null());
    }

    /// Appends a value; integers of another width and numbers of another scale are converted where that is exact
    /// in range (a number is rounded to the column's scale).
    ///
    /// # Errors
    /// [`TypeError::Mismatch`] for a value of another type, range errors, and [`TypeError::Unsupported`] beyond
    /// 2 GiB of text. The column is then as before, but for elements of an array already appended: finish nothing
    /// from it.
    pub fn push(&mut self, value: &Value) -> Result<(), TypeError> {
        match (self, value) {
            (column, Value::Null) => column.push_null(),
            (Self::Boolean(b), Value::Boolean(v)) => b.append_value(*v),
            (Self::SmallInt(b), v) if v.as_i64().is_some() => {
                b.append_value(
                    v.as_i64().and_then(|n| i16::try_from(n).ok()).ok_or_else(|| range("smallint"))?,
                );
            }
            (Self::Integer(b), v) if v.as_i64().is_some() => {
                b.append_value(
                    v.as_i64().and_then(|n| i32::try_from(n).ok()).ok_or_else(|| range("integer"))?,
                );
            }
            (Self::BigInt(b), v) if v.as_i64().is_some() => b.append_value(v.as_i64().unwrap_or_default()),
            (Self::Real(b), Value::Real(v)) => b.append_value(*v),
            (Self::Double(b), v) if v.as_f64().is_some() => b.append_value(v.as_f64().unwrap_or_default()),
            (Self::Numeric(b, precision, scale), Value::Numeric(v)) => {
                b.append_value(narrow(v.fit(*precision, *scale)?)?);
            }
            (Self::Wide(b), Value::Numeric(v)) => b.append_value(v.to_wide()?),
            (Self::Wide(b), v) if v.as_i64().is_some() => {
                b.append_value(Decimal::from(v.as_i64().unwrap_or_default()).to_wide()?);
            }
            (Self::Numeric(b, precision, scale), v) if v.as_i64().is_some() => {
                let decimal = Decimal::from(v.as_i64().unwrap_or_default());
                b.append_value(narrow(decimal.fit(*precision, *scale)?)?);
            }
            (Self::Bytes(b), Value::Text(v) | Value::Json(v) | Value::Jsonb(v)) if b.utf8 => {
                b.push(v.as_bytes())?
            }
            (Self::Bytes(b), Value::Bytea(v)) if !b.utf8 => b.push(v)?,
            (Self::Date(b), Value::Date(v)) => b.append_value(*v),
            (Self::Time(b), Value::Time(v)) => b.append_value(*v),
            (Self::Timestamp(b), Value::Timestamp(v) | Value::TimestampTz(v)) => b.append_value(*v),
            (Self::Interval(b), Value::Interval(v)) => {
                b.append_value(IntervalMonthDayNano::new(v.months, v.days, v.nanos));
            }
            (Self::Uuid(b), Value::Uuid(v)) => b.append_value(v).map_err(|_| range("uuid"))?,
            (Self::Array(list), Value::Array(elements)) => {
                for element in elements {
                    list.element.push(element)?;
                }
                list.close(true)?;
            }
            (Self::Coded(column), Value::Coded { code, .. }) => column.push(code)?,
            (column, value) => return Err(column.mismatch(value)),
        }
        Ok(())
    }

    fn mismatch(&self, value: &Value) -> TypeError {
        let expected = match self {
            Self::Boolean(_) => "boolean",
            Self::SmallInt(_) => "smallint",
            Self::Integer(_) => "integer",
            Self::BigInt(_) => "bigint",
            Self::Real(_) => "real",
            Self::Double(_) => "double precision",
            Self::Numeric(..) | Self::Wide(_) => "numeric",
            Self::Bytes(b) if b.utf8 => "text",
            Self::Bytes(_) => "bytea",
            Self::Date(_) => "date",
            Self::Time(_) => "time without time zone",
            Self::Timestamp(_) => "timestamp",
            Self::Interval(_) => "interval",
            Self::Uuid(_) => "uuid",
            Self::Array(_) => "array",
            Self::Coded(_) => "coded",
        };
        let found = value.data_type().map_or_else(|| "unknown".to_owned(), |ty| ty.sql_name());
        TypeError::Mismatch { expected: expected.to_owned(), found }
    }

    /// The array of everything appended; the column is empty again.
    ///
    /// # Errors
    /// [`TypeError::InvalidUtf8`] where encoded bytes of a text were no UTF-8.
    pub fn finish(&mut self) -> Result<ArrayRef, TypeError> {
        Ok(
            each!(self, b => Arc::new(b.finish()), bytes b => b.finish()?, list l => l.finish()?, coded c => c.finish()?),
        )
    }
}

/// The digits of a number of NUMERIC(p,s); NaN has none there.
fn narrow(number: Decimal) -> Result<i128, TypeError> {
    number
        .narrow()
        .ok_or_else(|| TypeError::Unsupported { what: "NaN in a numeric with a precision".to_owned() })
}

fn range(type_name: &str) -> TypeError {
    TypeError::TypeRange { type_name: type_name.to_owned() }
}

impl Value {
    /// The array of `values` as a column of `ty`.
    ///
    /// # Errors
    /// As [`ColumnBuilder::push`].
    pub fn to_array(values: &[Self], ty: &DataType) -> Result<ArrayRef, TypeError> {
        let mut column = ColumnBuilder::with_capacity(ty, values.len());
        for value in values {
            column.push(value)?;
        }
        column.finish()
    }

    /// The value at `row` of an array of a column of type `ty`. Any array that a query can produce is read: views,
    /// dictionaries, other widths and units. What has no value of its own (structs, maps) becomes its text.
    ///
    /// # Panics
    /// If `row` is not below the array's length.
    #[must_use]
    pub fn from_array(array: &dyn Array, row: usize, ty: &DataType) -> Self {
        assert!(row < array.len(), "row {row} of an array of {}", array.len());
        if array.is_null(row) {
            return Self::Null;
        }
        let text = |text: &str| match ty {
            DataType::Json => Self::Json(text.to_owned()),
            DataType::Jsonb => Self::Jsonb(text.to_owned()),
            _ => Self::Text(text.to_owned()),
        };
        match array.data_type() {
            ArrowType::Null => Self::Null,
            ArrowType::Boolean => Self::Boolean(array.as_boolean().value(row)),
            ArrowType::Utf8 => text(array.as_string::<i32>().value(row)),
            ArrowType::LargeUtf8 => text(array.as_string::<i64>().value(row)),
            ArrowType::Utf8View => text(array.as_string_view().value(row)),
            ArrowType::Binary => Self::Bytea(array.as_binary::<i32>().value(row).to_vec()),
            ArrowType::LargeBinary => Self::Bytea(array.as_binary::<i64>().value(row).to_vec()),
            ArrowType::BinaryView => Self::Bytea(array.as_binary_view().value(row).to_vec()),
            ArrowType::FixedSizeBinary(_) => {
                let bytes = array.as_fixed_size_binary().value(row);
                match (bytes.try_into(), ty) {
                    (Ok(id), DataType::Uuid) => Self::Uuid(id),
                    _ => Self::Bytea(bytes.to_vec()),
                }
            }
            ArrowType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let key = dictionary.normalized_keys()[row];
                Self::from_array(dictionary.values().as_ref(), key, ty)
            }
            ArrowType::Struct(fields) if crate::field::is_coded(fields) => {
                let coded = match ty {
                    DataType::Coded(coded) => Some(coded.clone()),
                    _ => crate::field::coded_of(fields),
                };
                let code = array.as_struct().column(0).as_binary::<i32>().value(row).to_vec();
                coded.map_or_else(|| Self::Bytea(code.clone()), |ty| Self::Coded { ty, code: code.clone() })
            }
            _ => from_numbers(array, row).unwrap_or_else(|| from_nested(array, row, ty)),
        }
    }
}

/// Numbers, dates and times of any Arrow width and unit.
fn from_numbers(array: &dyn Array, row: usize) -> Option<Value> {
    macro_rules! at {
        ($arrow:ty) => {
            array.as_primitive::<$arrow>().value(row)
        };
    }
    let tz =
        |micros: i64, zoned: bool| if zoned { Value::TimestampTz(micros) } else { Value::Timestamp(micros) };
    Some(match array.data_type() {
        ArrowType::Int8 => Value::SmallInt(i16::from(at!(at::Int8Type))),
        ArrowType::Int16 => Value::SmallInt(at!(at::Int16Type)),
        ArrowType::Int32 => Value::Integer(at!(at::Int32Type)),
        ArrowType::Int64 => Value::BigInt(at!(at::Int64Type)),
        ArrowType::UInt8 => Value::SmallInt(i16::from(at!(at::UInt8Type))),
        ArrowType::UInt16 => Value::Integer(i32::from(at!(at::UInt16Type))),
        ArrowType::UInt32 => Value::BigInt(i64::from(at!(at::UInt32Type))),
        ArrowType::UInt64 => Value::Numeric(Decimal::new(i128::from(at!(at::UInt64Type)), 0)),
        ArrowType::Float16 => Value::Real(at!(at::Float16Type).to_f32()),
        ArrowType::Float32 => Value::Real(at!(at::Float32Type)),
        ArrowType::Float64 => Value::Double(at!(at::Float64Type)),
        ArrowType::Decimal32(_, s) => Value::Numeric(Decimal::new(i128::from(at!(at::Decimal32Type)), *s)),
        ArrowType::Decimal64(_, s) => Value::Numeric(Decimal::new(i128::from(at!(at::Decimal64Type)), *s)),
        ArrowType::Decimal128(_, s) => Value::Numeric(Decimal::new(at!(at::Decimal128Type), *s)),
        ArrowType::Decimal256(wide::PRECISION, wide::SCALE) => {
            Value::Numeric(Decimal::from_wide(at!(at::Decimal256Type)))
        }
        ArrowType::Decimal256(_, s) => {
            Value::Numeric(Decimal { unscaled: at!(at::Decimal256Type), scale: *s })
        }
        ArrowType::Date32 => Value::Date(at!(at::Date32Type)),
        ArrowType::Date64 => Value::Timestamp(at!(at::Date64Type).saturating_mul(1000)),
        ArrowType::Time32(TimeUnit::Second) => Value::Time(i64::from(at!(at::Time32SecondType)) * 1_000_000),
        ArrowType::Time32(_) => Value::Time(i64::from(at!(at::Time32MillisecondType)) * 1000),
        ArrowType::Time64(TimeUnit::Nanosecond) => Value::Time(at!(at::Time64NanosecondType) / 1000),
        ArrowType::Time64(_) => Value::Time(at!(at::Time64MicrosecondType)),
        ArrowType::Timestamp(unit, zone) => {
            let micros = match unit {
                TimeUnit::Second => at!(at::TimestampSecondType).saturating_mul(1_000_000),
                TimeUnit::Millisecond => at!(at::TimestampMillisecondType).saturating_mul(1000),
                TimeUnit::Microsecond => at!(at::TimestampMicrosecondType),
                TimeUnit::Nanosecond => at!(at::TimestampNanosecondType).div_euclid(1000),
            };
            tz(micros, zone.is_some())
        }
        ArrowType::Interval(unit) => Value::Interval(match unit {
            IntervalUnit::YearMonth => Interval { months: at!(at::IntervalYearMonthType), days: 0, nanos: 0 },
            IntervalUnit::DayTime => {
                let span = at!(at::IntervalDayTimeType);
                Interval { months: 0, days: span.days, nanos: i64::from(span.milliseconds) * 1_000_000 }
            }
            IntervalUnit::MonthDayNano => {
                let span = at!(at::IntervalMonthDayNanoType);
                Interval { months: span.months, days: span.days, nanos: span.nanoseconds }
            }
        }),
        ArrowType::Duration(unit) => {
            let nanos = match unit {
                TimeUnit::Second => at!(at::DurationSecondType).saturating_mul(1_000_000_000),
                TimeUnit::Millisecond => at!(at::DurationMillisecondType).saturating_mul(1_000_000),
                TimeUnit::Microsecond => at!(at::DurationMicrosecondType).saturating_mul(1000),
                TimeUnit::Nanosecond => at!(at::DurationNanosecondType),
            };
            let day = crate::interval::NANOS_PER_DAY;
            Value::Interval(Interval { months: 0, days: (nanos / day) as i32, nanos: nanos % day })
        }
        _ => return None,
    })
}

/// A part of a row's text, in quotes where it must be.
fn push_part(part: &str, out: &mut String) {
    let special = |c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || c.is_ascii_whitespace();
    if !part.is_empty() && !part.contains(special) {
        out.push_str(part);
        return;
    }
    out.push('"');
    for c in part.chars() {
        if matches!(c, '"' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('"');
}

/// Lists, and the text of everything else.
fn from_nested(array: &dyn Array, row: usize, ty: &DataType) -> Value {
    let items = match array.data_type() {
        ArrowType::List(_) => array.as_list::<i32>().value(row),
        ArrowType::LargeList(_) => array.as_list::<i64>().value(row),
        ArrowType::ListView(_) => array.as_list_view::<i32>().value(row),
        ArrowType::LargeListView(_) => array.as_list_view::<i64>().value(row),
        ArrowType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        ArrowType::Struct(_) => {
            let mut text = String::from("(");
            for (i, column) in array.as_struct().columns().iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                let field = DataType::from_arrow(column.data_type());
                match Value::from_array(column.as_ref(), row, &field) {
                    Value::Null => {}
                    value => push_part(&value.to_text(&field), &mut text),
                }
            }
            text.push(')');
            return Value::Text(text);
        }
        other => return Value::Text(format!("<{other}>")),
    };
    let element = match ty {
        DataType::Array(element) => element.as_ref().clone(),
        _ => DataType::from_arrow(items.data_type()),
    };
    Value::Array((0..items.len()).map(|i| Value::from_array(items.as_ref(), i, &element)).collect())
}
