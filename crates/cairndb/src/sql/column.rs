//! The columns of a result.

use std::sync::Arc;

use cairn_types::DataType;

use crate::{Error, ErrorClass, Result};

/// A column of a result: its name and SQL type.
///
/// ```
/// use cairndb::{DataType, Database};
/// let rows = Database::in_memory()?.query("SELECT 1::integer AS one, 'a' AS letter", &[])?;
/// let columns = rows.columns();
/// assert_eq!((columns[0].name(), columns[0].data_type()), ("one", &DataType::Integer));
/// assert_eq!(columns[1].type_name(), "text");
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    name: String,
    data_type: DataType,
    told: Option<u32>,
}

impl Column {
    pub(crate) fn new(name: String, data_type: DataType) -> Column {
        Column { name, data_type, told: None }
    }

    /// The name, as the statement gives it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SQL type.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// PostgreSQL's number of the type; of columns of `pg_catalog` that of `name`, `"char"`, `oid` and `oid[]`
    /// where PostgreSQL has these.
    pub fn type_oid(&self) -> u32 {
        self.told.unwrap_or_else(|| self.data_type.pg_oid())
    }

    /// The type as PostgreSQL spells it, such as `character varying(10)`.
    pub fn type_name(&self) -> String {
        self.data_type.sql_name()
    }
}

/// The columns of one result, shared by its rows.
#[derive(Clone, Debug)]
pub(crate) struct Columns(Arc<[Column]>);

impl Columns {
    pub(crate) fn new(columns: &[cairn_sql::Column]) -> Columns {
        let own =
            |c: &cairn_sql::Column| Column { name: c.name.clone(), data_type: c.ty.clone(), told: c.told };
        Columns(columns.iter().map(own).collect())
    }

    pub(crate) fn all(&self) -> &[Column] {
        &self.0
    }
}

/// The place of a name among columns: exactly so, else without regard to case.
pub(crate) fn place(columns: &[Column], name: &str) -> Result<usize> {
    columns
        .iter()
        .position(|c| c.name == name)
        .or_else(|| columns.iter().position(|c| c.name.eq_ignore_ascii_case(name)))
        .ok_or_else(|| Error::new(ErrorClass::User, "42703", format!("the result has no column \"{name}\"")))
}
