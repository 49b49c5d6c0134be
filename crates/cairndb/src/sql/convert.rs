//! Values between SQL and Rust: [`ToSql`] for parameters, [`FromSql`] for results.
//!
//! Conversions are exact or they fail: an integer that does not fit, or text asked for as a number, is an
//! error and never a wrong value.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_schema::DataType as ArrowType;
use cairn_types::{DataType, Decimal, Interval, Value};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{Error, ErrorClass, Result};

/// A Rust value that can stand for a parameter.
///
/// For the integers and floats of Rust, `bool`, text, bytes, [`Value`], [`Decimal`], `Uuid`, chrono's dates and
/// times, `Vec` of these as an array, `Option` of these with `None` for NULL.
///
/// ```
/// use cairndb::{Database, ToSql, Value, params};
/// struct Meters(f64);
/// impl ToSql for Meters {
///     fn to_sql(&self) -> Value {
///         Value::Double(self.0)
///     }
/// }
/// let mut rows = Database::in_memory()?.query_with("SELECT $1 + 1.0", params![Meters(2.5)])?;
/// assert_eq!(rows.one()?.get::<f64>(0)?, 3.5);
/// # Ok::<(), cairndb::Error>(())
/// ```
pub trait ToSql {
    /// The SQL value.
    fn to_sql(&self) -> Value;
}

/// A Rust value that a result's value can become.
///
/// For the same types as [`ToSql`]; `Option<T>` accepts NULL, every other type refuses it.
///
/// ```
/// use cairndb::{Cell, Database, FromSql, Result};
/// struct Meters(f64);
/// impl FromSql for Meters {
///     fn from_sql(cell: Cell<'_>) -> Result<Meters> {
///         f64::from_sql(cell).map(Meters)
///     }
/// }
/// let mut rows = Database::in_memory()?.query("SELECT 2.5::double precision", &[])?;
/// assert_eq!(rows.one()?.get::<Meters>(0)?.0, 2.5);
/// # Ok::<(), cairndb::Error>(())
/// ```
pub trait FromSql: Sized {
    /// Converts one value.
    ///
    /// # Errors
    /// SQLSTATE `22002` for NULL, `22003` for a number out of range, `42804` for a type that does not convert.
    fn from_sql(cell: Cell<'_>) -> Result<Self>;
}

/// One value of a result, still in its column.
///
/// ```
/// use cairndb::{Database, Value};
/// let mut rows = Database::in_memory()?.query("SELECT true", &[])?;
/// let row = rows.one()?;
/// let cell = row.cell(0)?;
/// assert!(!cell.is_null() && cell.value() == Value::Boolean(true));
/// assert_eq!(cell.text().as_deref(), Some("t"));
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    pub(crate) array: &'a dyn Array,
    pub(crate) row: usize,
    pub(crate) data_type: &'a DataType,
}

impl Cell<'_> {
    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        self.array.is_null(self.row) || self.array.data_type().is_null()
    }

    /// Its SQL type.
    pub fn data_type(&self) -> &DataType {
        self.data_type
    }

    /// The value of whatever type.
    pub fn value(&self) -> Value {
        if self.is_null() { Value::Null } else { Value::from_array(self.array, self.row, self.data_type) }
    }

    /// The text as PostgreSQL prints it, of any type; `None` for NULL.
    pub fn text(&self) -> Option<String> {
        if self.is_null() {
            return None;
        }
        let mut text = String::new();
        cairn_types::text::format_cell(self.array, self.row, self.data_type, &mut text);
        Some(text)
    }

    fn present(&self, wanted: &str) -> Result<()> {
        if self.is_null() {
            let message = format!("the value is NULL; ask for Option<{wanted}>");
            return Err(Error::new(ErrorClass::User, "22002", message));
        }
        Ok(())
    }

    fn mismatch(&self, wanted: &str) -> Error {
        let message = format!("a value of type {} is no {wanted}", self.data_type.sql_name());
        Error::new(ErrorClass::User, "42804", message)
    }

    fn out_of_range(&self, wanted: &str) -> Error {
        let text = self.text().unwrap_or_default();
        Error::new(ErrorClass::User, "22003", format!("the value {text} is out of range for {wanted}"))
    }

    fn integer(&self, wanted: &str) -> Result<i128> {
        self.present(wanted)?;
        Ok(match self.array.data_type() {
            ArrowType::Int64 => self.array.as_primitive::<Int64Type>().value(self.row).into(),
            ArrowType::Int32 => self.array.as_primitive::<Int32Type>().value(self.row).into(),
            ArrowType::Int16 => self.array.as_primitive::<Int16Type>().value(self.row).into(),
            _ => match self.value() {
                Value::Numeric(decimal) => whole(decimal).ok_or_else(|| self.out_of_range(wanted))?,
                value => value.as_i64().ok_or_else(|| self.mismatch(wanted))?.into(),
            },
        })
    }
}

/// The integer that a decimal is, if it is one.
fn whole(decimal: Decimal) -> Option<i128> {
    decimal.rescale_exact(0)?.narrow()
}

macro_rules! integers {
    ($($rust:ty => $variant:ident),*) => {$(
        impl ToSql for $rust {
            fn to_sql(&self) -> Value {
                Value::$variant((*self).into())
            }
        }
        impl FromSql for $rust {
            fn from_sql(cell: Cell<'_>) -> Result<$rust> {
                let wide = cell.integer(stringify!($rust))?;
                wide.try_into().map_err(|_| cell.out_of_range(stringify!($rust)))
            }
        }
    )*};
}

integers!(i8 => SmallInt, i16 => SmallInt, u8 => SmallInt, i32 => Integer, u16 => Integer, i64 => BigInt, u32 => BigInt);

impl ToSql for u64 {
    /// NUMERIC where it does not fit BIGINT.
    fn to_sql(&self) -> Value {
        match i64::try_from(*self) {
            Ok(small) => Value::BigInt(small),
            Err(_) => Value::Numeric(Decimal::new((*self).into(), 0)),
        }
    }
}

impl FromSql for u64 {
    fn from_sql(cell: Cell<'_>) -> Result<u64> {
        cell.integer("u64")?.try_into().map_err(|_| cell.out_of_range("u64"))
    }
}

impl ToSql for usize {
    fn to_sql(&self) -> Value {
        (*self as u64).to_sql()
    }
}

impl FromSql for usize {
    fn from_sql(cell: Cell<'_>) -> Result<usize> {
        cell.integer("usize")?.try_into().map_err(|_| cell.out_of_range("usize"))
    }
}

impl FromSql for f64 {
    fn from_sql(cell: Cell<'_>) -> Result<f64> {
        cell.present("f64")?;
        if *cell.array.data_type() == ArrowType::Float64 {
            return Ok(cell.array.as_primitive::<Float64Type>().value(cell.row));
        }
        match cell.value() {
            Value::Numeric(decimal) => Ok(decimal.to_f64()),
            Value::SmallInt(n) => Ok(n.into()),
            Value::Integer(n) => Ok(n.into()),
            Value::BigInt(n) if n.unsigned_abs() <= 1 << 53 => Ok(n as f64),
            Value::BigInt(_) => Err(cell.out_of_range("f64")),
            value => value.as_f64().ok_or_else(|| cell.mismatch("f64")),
        }
    }
}

impl FromSql for f32 {
    fn from_sql(cell: Cell<'_>) -> Result<f32> {
        cell.present("f32")?;
        match cell.value() {
            Value::Real(x) => Ok(x),
            Value::SmallInt(n) => Ok(n.into()),
            _ => Err(cell.mismatch("f32")),
        }
    }
}

macro_rules! to_sql {
    ($($rust:ty, $this:ident => $value:expr;)*) => {$(
        impl ToSql for $rust {
            fn to_sql(&self) -> Value {
                let $this = self;
                $value
            }
        }
    )*};
}

to_sql! {
    bool, this => Value::Boolean(*this);
    f32, this => Value::Real(*this);
    f64, this => Value::Double(*this);
    str, this => Value::Text(this.to_owned());
    String, this => Value::Text(this.clone());
    std::borrow::Cow<'_, str>, this => Value::Text(this.to_string());
    [u8], this => Value::Bytea(this.to_vec());
    Vec<u8>, this => Value::Bytea(this.clone());
    bytes::Bytes, this => Value::Bytea(this.to_vec());
    Value, this => this.clone();
    Decimal, this => Value::Numeric(*this);
    Interval, this => Value::Interval(*this);
    Uuid, this => Value::Uuid(*this.as_bytes());
    NaiveDate, this => Value::Date(days(*this));
    NaiveTime, this => Value::Time((*this - NaiveTime::MIN).num_microseconds().unwrap_or(0));
    NaiveDateTime, this => Value::Timestamp(this.and_utc().timestamp_micros());
    DateTime<Utc>, this => Value::TimestampTz(this.timestamp_micros());
}

/// 24:00:00 is a time in SQL and not in chrono.
fn time(micros: i64) -> Option<NaiveTime> {
    let of_day = (0..86_400_000_000).contains(&micros);
    of_day.then(|| NaiveTime::MIN.overflowing_add_signed(TimeDelta::microseconds(micros)).0)
}

fn days(date: NaiveDate) -> i32 {
    // chrono's dates are within 2^28 days of 1970.
    (date - NaiveDate::default()).num_days() as i32
}

impl<const N: usize> ToSql for [u8; N] {
    fn to_sql(&self) -> Value {
        Value::Bytea(self.to_vec())
    }
}

impl<T: ToSql + ?Sized> ToSql for &T {
    fn to_sql(&self) -> Value {
        (**self).to_sql()
    }
}

impl<T: ToSql> ToSql for Option<T> {
    fn to_sql(&self) -> Value {
        self.as_ref().map_or(Value::Null, ToSql::to_sql)
    }
}

impl<T: ToSql> ToSql for Vec<Option<T>> {
    fn to_sql(&self) -> Value {
        Value::Array(self.iter().map(ToSql::to_sql).collect())
    }
}

macro_rules! arrays {
    ($($rust:ty),*) => {$(
        impl ToSql for Vec<$rust> {
            fn to_sql(&self) -> Value {
                Value::Array(self.iter().map(ToSql::to_sql).collect())
            }
        }
    )*};
}

arrays!(bool, i16, i32, i64, f32, f64, String, &str, Uuid, NaiveDate, NaiveDateTime, DateTime<Utc>);

macro_rules! from_sql {
    ($($rust:ty, $name:literal, $cell:ident { $($pattern:pat => $value:expr),* $(,)? })*) => {$(
        impl FromSql for $rust {
            fn from_sql($cell: Cell<'_>) -> Result<$rust> {
                $cell.present($name)?;
                match $cell.value() {
                    $($pattern => $value,)*
                    _ => Err($cell.mismatch($name)),
                }
            }
        }
    )*};
}

from_sql! {
    bool, "bool", cell { Value::Boolean(b) => Ok(b) }
    String, "String", cell {
        Value::Text(text) | Value::Json(text) | Value::Jsonb(text) => Ok(text),
        value @ Value::Coded { .. } => Ok(value.to_text(cell.data_type())),
    }
    Vec<u8>, "Vec<u8>", cell { Value::Bytea(bytes) => Ok(bytes) }
    bytes::Bytes, "Bytes", cell { Value::Bytea(bytes) => Ok(bytes.into()) }
    Decimal, "Decimal", cell {
        Value::Numeric(decimal) => Ok(decimal),
        Value::SmallInt(n) => Ok(Decimal::new(n.into(), 0)),
        Value::Integer(n) => Ok(Decimal::new(n.into(), 0)),
        Value::BigInt(n) => Ok(Decimal::new(n.into(), 0)),
    }
    Interval, "Interval", cell { Value::Interval(interval) => Ok(interval) }
    Uuid, "Uuid", cell { Value::Uuid(bytes) => Ok(Uuid::from_bytes(bytes)) }
    NaiveDate, "NaiveDate", cell {
        Value::Date(days) => NaiveDate::default()
            .checked_add_signed(TimeDelta::days(days.into()))
            .ok_or_else(|| cell.out_of_range("NaiveDate")),
    }
    NaiveTime, "NaiveTime", cell {
        Value::Time(micros) => time(micros).ok_or_else(|| cell.out_of_range("NaiveTime")),
    }
    NaiveDateTime, "NaiveDateTime", cell {
        Value::Timestamp(micros) => DateTime::from_timestamp_micros(micros)
            .map(|t| t.naive_utc())
            .ok_or_else(|| cell.out_of_range("NaiveDateTime")),
    }
    DateTime<Utc>, "DateTime<Utc>", cell {
        Value::TimestampTz(micros) => DateTime::from_timestamp_micros(micros)
            .ok_or_else(|| cell.out_of_range("DateTime<Utc>")),
    }
}

impl FromSql for Value {
    fn from_sql(cell: Cell<'_>) -> Result<Value> {
        Ok(cell.value())
    }
}

impl<T: FromSql> FromSql for Option<T> {
    fn from_sql(cell: Cell<'_>) -> Result<Option<T>> {
        if cell.is_null() { Ok(None) } else { T::from_sql(cell).map(Some) }
    }
}

/// The elements of an array.
fn elements<T: FromSql>(cell: Cell<'_>) -> Result<Vec<T>> {
    cell.present("Vec")?;
    let DataType::Array(element) = cell.data_type else { return Err(cell.mismatch("array")) };
    let Some(list) = cell.array.as_list_opt::<i32>() else { return Err(cell.mismatch("array")) };
    let items = list.value(cell.row);
    (0..items.len()).map(|row| T::from_sql(Cell { array: items.as_ref(), row, data_type: element })).collect()
}

impl<T: FromSql> FromSql for Vec<Option<T>> {
    fn from_sql(cell: Cell<'_>) -> Result<Vec<Option<T>>> {
        elements(cell)
    }
}

macro_rules! from_arrays {
    ($($rust:ty),*) => {$(
        impl FromSql for Vec<$rust> {
            fn from_sql(cell: Cell<'_>) -> Result<Vec<$rust>> {
                elements(cell)
            }
        }
    )*};
}

from_arrays!(bool, i16, i32, i64, f32, f64, String, Uuid, NaiveDate, NaiveDateTime, DateTime<Utc>, Value);
