//! Prepared statements.

use cairn_types::{DataType, Value};

use super::column::Columns;
use super::params::missing;
use super::session::Outcome;
use crate::{Column, Database, Params, Result, Rows, ToSql};

/// A statement that has been parsed and planned, to be run often. Cheap to clone; it stays valid through
/// changes of the schema, to which it is fitted when it next runs.
///
/// ```
/// use cairndb::Database;
/// let db = Database::in_memory()?;
/// db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)", &[])?;
/// let mut insert = db.prepare("INSERT INTO t VALUES (:id, :name)")?;
/// insert.execute(&[&1, &"Ann"])?;
/// insert.bind(":id", 2)?.bind(":name", "Bob")?;
/// assert_eq!(insert.execute_bound()?, 1);
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone)]
pub struct Statement {
    pub(crate) db: Database,
    pub(crate) prepared: cairn_sql::Prepared,
    columns: Columns,
    names: Vec<String>,
    bound: Vec<Option<Value>>,
}

impl std::fmt::Debug for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statement").field("sql", &self.sql()).finish_non_exhaustive()
    }
}

/// Names a parameter for [`Statement::bind`]: its number from 1, or its name.
pub trait ParameterIndex {
    /// The place, from 0.
    ///
    /// # Errors
    /// SQLSTATE `42P02` when the statement has no such parameter.
    fn place(&self, names: &[String], count: usize) -> Result<usize>;
}

impl ParameterIndex for usize {
    fn place(&self, _: &[String], count: usize) -> Result<usize> {
        match self.checked_sub(1) {
            Some(place) if place < count => Ok(place),
            _ => Err(missing(format!("the statement has no parameter ${self}"))),
        }
    }
}

impl ParameterIndex for &str {
    fn place(&self, names: &[String], _: usize) -> Result<usize> {
        let plain = self.trim_start_matches([':', '@', '$']);
        names
            .iter()
            .position(|name| name == plain)
            .ok_or_else(|| missing(format!("the statement has no parameter \"{self}\"")))
    }
}

impl Statement {
    pub(crate) fn new(db: Database, prepared: cairn_sql::Prepared) -> Statement {
        let names = cairn_sql::parameter_names(prepared.sql());
        let bound = vec![None; prepared.parameter_types().len()];
        Statement { db, columns: Columns::new(prepared.columns()), names, bound, prepared }
    }

    /// The text it was prepared from.
    pub fn sql(&self) -> &str {
        self.prepared.sql()
    }

    /// The columns of its result; empty for a statement without rows.
    pub fn columns(&self) -> &[Column] {
        self.columns.all()
    }

    /// The types of its parameters, `$1` first.
    pub fn parameter_types(&self) -> &[DataType] {
        self.prepared.parameter_types()
    }

    /// Sets a parameter for [`Statement::query_bound`] and [`Statement::execute_bound`]; it keeps its value from run to run.
    ///
    /// # Errors
    /// SQLSTATE `42P02` when the statement has no such parameter.
    pub fn bind(&mut self, parameter: impl ParameterIndex, value: impl ToSql) -> Result<&mut Statement> {
        let place = parameter.place(&self.names, self.bound.len())?;
        self.bound[place] = Some(value.to_sql());
        Ok(self)
    }

    /// Runs it and gives its rows.
    ///
    /// # Errors
    /// Whatever the statement meets.
    pub fn query(&self, params: &[&dyn ToSql]) -> Result<Rows> {
        self.query_with(params)
    }

    /// [`Statement::query`] with parameters of any kind, [`named!`](crate::named) ones too.
    ///
    /// # Errors
    /// Whatever the statement meets.
    pub fn query_with(&self, params: impl Params) -> Result<Rows> {
        Ok(Outcome::rows(self.run(&self.values(&params)?)?))
    }

    /// Runs it; gives the number of rows affected.
    ///
    /// # Errors
    /// Whatever the statement meets.
    pub fn execute(&self, params: &[&dyn ToSql]) -> Result<u64> {
        self.execute_with(params)
    }

    /// [`Statement::execute`] with parameters of any kind, [`named!`](crate::named) ones too.
    ///
    /// # Errors
    /// Whatever the statement meets.
    pub fn execute_with(&self, params: impl Params) -> Result<u64> {
        Outcome::affected(self.run(&self.values(&params)?)?)
    }

    /// Runs it with the bound values and gives its rows.
    ///
    /// # Errors
    /// SQLSTATE `42P02` when a parameter has no value, and whatever the statement meets.
    pub fn query_bound(&self) -> Result<Rows> {
        Ok(Outcome::rows(self.run(&self.bound_values()?)?))
    }

    /// Runs it with the bound values; gives the number of rows affected.
    ///
    /// # Errors
    /// As [`Statement::query_bound`].
    pub fn execute_bound(&self) -> Result<u64> {
        Outcome::affected(self.run(&self.bound_values()?)?)
    }

    fn run(&self, values: &[Value]) -> Result<cairn_sql::StatementResult> {
        Ok(self.db.session_once().execute_prepared(&self.prepared, values)?)
    }

    pub(crate) fn values(&self, params: &impl Params) -> Result<Vec<Value>> {
        params.values(&self.names)
    }

    fn bound_values(&self) -> Result<Vec<Value>> {
        self.bound
            .iter()
            .enumerate()
            .map(|(place, value)| {
                value.clone().ok_or_else(|| match self.names.get(place) {
                    Some(name) => missing(format!("parameter \":{name}\" has no value")),
                    None => missing(format!("parameter ${} has no value", place + 1)),
                })
            })
            .collect()
    }
}
