//! The values of a statement's parameters.

use cairn_types::Value;

use crate::{Result, ToSql};

/// Makes a list of parameters of different types: `params![1, "Oslo", None::<f64>]`.
///
/// ```
/// use cairndb::{Database, params};
/// let mut rows = Database::in_memory()?.query_with("SELECT $1 + $2", params![1, 2])?;
/// assert_eq!(rows.one()?.get::<i64>(0)?, 3);
/// # Ok::<(), cairndb::Error>(())
/// ```
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::ToSql),*] as &[&dyn $crate::ToSql]
    };
}

/// Makes a list of named parameters: `named! { ":id" => 1, ":place" => "Oslo" }`; the colon may be left out.
///
/// ```
/// use cairndb::{Database, named};
/// let db = Database::in_memory()?;
/// let mut rows = db.query_with("SELECT :a || :b || :a", named! { ":a" => "x", ":b" => "y" })?;
/// assert_eq!(rows.one()?.get::<String>(0)?, "xyx");
/// # Ok::<(), cairndb::Error>(())
/// ```
#[macro_export]
macro_rules! named {
    ($($name:expr => $value:expr),* $(,)?) => {
        &[$(($name, &$value as &dyn $crate::ToSql)),*] as &[(&str, &dyn $crate::ToSql)]
    };
}

/// What can be given as parameters: [`params!`](crate::params), [`named!`](crate::named), an array, slice or
/// vector of values of one type, or `()` for none.
///
/// ```
/// use cairndb::Database;
/// let db = Database::in_memory()?;
/// assert_eq!(db.query_with("SELECT $1 * $2", [6, 7])?.one()?.get::<i64>(0)?, 42);
/// # Ok::<(), cairndb::Error>(())
/// ```
pub trait Params {
    /// The values in the order of `$1`, `$2` …; `names` are those of the statement, without their colon, in
    /// order of appearance (empty for a statement with numbered parameters).
    ///
    /// # Errors
    /// SQLSTATE `42P02` for a name that the statement does not have or that was not given.
    fn values(&self, names: &[String]) -> Result<Vec<Value>>;

    /// Whether the names of the statement are needed.
    fn is_named(&self) -> bool {
        false
    }
}

impl Params for () {
    fn values(&self, _: &[String]) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }
}

impl<T: ToSql> Params for &[T] {
    fn values(&self, _: &[String]) -> Result<Vec<Value>> {
        Ok(self.iter().map(ToSql::to_sql).collect())
    }
}

impl<T: ToSql, const N: usize> Params for [T; N] {
    fn values(&self, names: &[String]) -> Result<Vec<Value>> {
        self.as_slice().values(names)
    }
}

impl<T: ToSql, const N: usize> Params for &[T; N] {
    fn values(&self, names: &[String]) -> Result<Vec<Value>> {
        self.as_slice().values(names)
    }
}

impl<T: ToSql> Params for Vec<T> {
    fn values(&self, names: &[String]) -> Result<Vec<Value>> {
        self.as_slice().values(names)
    }
}

impl<T: ToSql> Params for &Vec<T> {
    fn values(&self, names: &[String]) -> Result<Vec<Value>> {
        self.as_slice().values(names)
    }
}

impl Params for &[(&str, &dyn ToSql)] {
    fn values(&self, names: &[String]) -> Result<Vec<Value>> {
        let plain = |name: &str| name.trim_start_matches([':', '@', '$']).to_owned();
        for (name, _) in *self {
            if !names.iter().any(|own| *own == plain(name)) {
                return Err(missing(format!("the statement has no parameter \"{name}\"")));
            }
        }
        names
            .iter()
            .map(|own| {
                let given = self.iter().find(|(name, _)| plain(name) == *own);
                given
                    .map(|(_, value)| value.to_sql())
                    .ok_or_else(|| missing(format!("parameter \":{own}\" has no value")))
            })
            .collect()
    }

    fn is_named(&self) -> bool {
        true
    }
}

pub(crate) fn missing(message: String) -> crate::Error {
    crate::Error::new(crate::ErrorClass::User, "42P02", message)
}
