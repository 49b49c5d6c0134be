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
#[derive(Clone, Debug)]
pub struct Column {
    name: String,
    data_type: DataType,
    told: Option<u32>,
    origin: Option<(u32, i16)>,
}

/// Two are equal that have the same name and type, wherever they come from.
impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.data_type, self.told) == (&other.name, &other.data_type, other.told)
    }
}

impl Column {
    pub(crate) fn new(name: String, data_type: DataType) -> Column {
        Column { name, data_type, told: None, origin: None }
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

    /// Of a prepared statement: the table (`pg_class.oid`) and the number of its column (`pg_attribute.attnum`) where it is a table's column as
    /// it stands there; `None` where it is computed.
    pub fn origin(&self) -> Option<(u32, i16)> {
        self.origin
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
        let own = |c: &cairn_sql::Column| Column {
            name: c.name.clone(),
            data_type: c.ty.clone(),
            told: c.told,
            origin: c.origin,
        };
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
