//! One row of a result.

use std::sync::Arc;

use arrow_array::RecordBatch;
use cairn_types::Value;

use super::column::Columns;
use crate::{Cell, Column, Error, ErrorClass, FromSql, Result};

/// How a column is named: by its place from 0, or by its name.
///
/// ```
/// use cairndb::Database;
/// let mut rows = Database::in_memory()?.query("SELECT 7 AS seven", &[])?;
/// let row = rows.one()?;
/// assert_eq!(row.get::<i32>(0)?, row.get::<i32>("seven")?);
/// # Ok::<(), cairndb::Error>(())
/// ```
pub trait ColumnIndex {
    /// The place among the columns.
    ///
    /// # Errors
    /// SQLSTATE `42703` when there is no such column.
    fn place(&self, columns: &[Column]) -> Result<usize>;
}

impl ColumnIndex for usize {
    fn place(&self, columns: &[Column]) -> Result<usize> {
        if *self < columns.len() {
            return Ok(*self);
        }
        let message = format!("the result has {} columns, there is no column {self}", columns.len());
        Err(Error::new(ErrorClass::User, "42703", message))
    }
}

impl ColumnIndex for &str {
    fn place(&self, columns: &[Column]) -> Result<usize> {
        super::column::place(columns, self)
    }
}

impl ColumnIndex for &String {
    fn place(&self, columns: &[Column]) -> Result<usize> {
        super::column::place(columns, self)
    }
}

/// A row of a result; cheap to clone, and independent of the [`Rows`](crate::Rows) it came from.
///
/// ```
/// use cairndb::Database;
/// let mut rows = Database::in_memory()?.query("SELECT 1 AS id, NULL::text AS note", &[])?;
/// let row = rows.one()?;
/// assert_eq!(row.get::<i64>("id")?, 1);
/// assert_eq!(row.get::<Option<String>>("note")?, None);
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone)]
pub struct Row {
    pub(crate) columns: Columns,
    pub(crate) batch: Arc<RecordBatch>,
    pub(crate) at: usize,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = f.debug_map();
        for (place, column) in self.columns().iter().enumerate() {
            map.entry(&column.name(), &self.at(place).value());
        }
        map.finish()
    }
}

impl Row {
    /// The value of a column as `T`. Conversions are exact or fail; NULL needs `Option`.
    ///
    /// # Errors
    /// Those of [`FromSql::from_sql`], with the column's name, and `42703` when there is no such column.
    pub fn get<T: FromSql>(&self, column: impl ColumnIndex) -> Result<T> {
        let place = column.place(self.columns())?;
        T::from_sql(self.at(place)).map_err(|error| self.in_column(&error, place))
    }

    /// The value of a column, unconverted.
    ///
    /// # Errors
    /// `42703` when there is no such column.
    pub fn cell(&self, column: impl ColumnIndex) -> Result<Cell<'_>> {
        Ok(self.at(column.place(self.columns())?))
    }

    /// The text of a column as PostgreSQL prints it, of any type; `None` for NULL.
    ///
    /// # Errors
    /// `42703` when there is no such column.
    pub fn text(&self, column: impl ColumnIndex) -> Result<Option<String>> {
        Ok(self.cell(column)?.text())
    }

    /// All values, in order.
    pub fn values(&self) -> Vec<Value> {
        (0..self.columns().len()).map(|place| self.at(place).value()).collect()
    }

    /// The columns of the result.
    pub fn columns(&self) -> &[Column] {
        self.columns.all()
    }

    fn at(&self, place: usize) -> Cell<'_> {
        let data_type = self.columns.all()[place].data_type();
        Cell { array: self.batch.column(place).as_ref(), row: self.at, data_type }
    }

    fn in_column(&self, error: &Error, place: usize) -> Error {
        let message = format!("column \"{}\": {}", self.columns()[place].name(), error.message());
        Error::new(error.class(), error.sqlstate(), message)
    }
}
