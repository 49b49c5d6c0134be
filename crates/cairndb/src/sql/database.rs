//! SQL on [`Database`]: each call is a transaction of its own, run again by itself after a conflict.

use std::sync::Arc;

use cairn_engine::Catalog;
use cairn_env::Env;
use cairn_sql::StatementResult;
use cairn_sql::copy::CopyOptions;
use cairn_types::Value;

use super::session::Outcome;
use crate::{Column, Database, Error, ErrorClass, Params, Result, Rows, Statement, ToSql};

/// SQL. Each statement is a transaction of its own; for several in one use
/// [`begin_transaction`](Database::begin_transaction) or [`transact`](Database::transact), for `SET` and
/// `BEGIN` as text a [`session`](Database::session).
impl Database {
    /// Runs one statement, its parameters written `$1`, `$2` …, and gives its rows.
    ///
    /// ```
    /// use cairndb::Database;
    /// let db = Database::in_memory()?;
    /// db.execute("CREATE TABLE trips (id INTEGER PRIMARY KEY, place TEXT)", &[])?;
    /// db.execute("INSERT INTO trips VALUES ($1, $2), (2, 'Rome')", &[&1, &"Oslo"])?;
    /// for row in db.query("SELECT place FROM trips ORDER BY id", &[])? {
    ///     println!("{}", row?.get::<String>("place")?);
    /// }
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// Whatever the statement meets, with PostgreSQL's fields.
    pub fn query(&self, sql: &str, params: &[&dyn ToSql]) -> Result<Rows> {
        self.query_with(sql, params)
    }

    /// [`Database::query`] with parameters of any kind: a list of one type, [`Value`]s, or
    /// [`named!`](crate::named) ones (`:name`).
    ///
    /// # Errors
    /// As [`Database::query`].
    pub fn query_with(&self, sql: &str, params: impl Params) -> Result<Rows> {
        Ok(Outcome::rows(self.run_once(sql, &params)?))
    }

    /// Runs one statement, its parameters written `$1`, `$2` …; gives the number of rows affected.
    ///
    /// # Errors
    /// As [`Database::query`].
    pub fn execute(&self, sql: &str, params: &[&dyn ToSql]) -> Result<u64> {
        self.execute_with(sql, params)
    }

    /// [`Database::execute`] with parameters of any kind, as [`Database::query_with`].
    ///
    /// # Errors
    /// As [`Database::query`].
    pub fn execute_with(&self, sql: &str, params: impl Params) -> Result<u64> {
        Outcome::affected(self.run_once(sql, &params)?)
    }

    /// Runs the statements of a text one after the other, up to the first error. BEGIN and COMMIT may stand
    /// in it; a block left open at the end is rolled back and an error. Rows of queries are thrown away.
    ///
    /// ```
    /// use cairndb::Database;
    /// let db = Database::in_memory()?;
    /// db.execute_batch("BEGIN; CREATE TABLE a (x INTEGER); CREATE TABLE b (y INTEGER); COMMIT;")?;
    /// assert_eq!(db.catalog().tables().count(), 2);
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// That of the first statement that fails, its position counted in the whole text; statements before it
    /// have had their effect unless BEGIN came before them.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        let mut session = self.shared.engine.session();
        for result in session.execute_script(sql) {
            Outcome::affected(result?)?;
        }
        left_idle(&session)
    }

    /// Parses and plans a statement, to run it often.
    ///
    /// # Errors
    /// What is wrong with the statement, and SQLSTATE `42P18` where the type of a parameter cannot be told.
    pub fn prepare(&self, sql: &str) -> Result<Statement> {
        let prepared = self.shared.engine.session().prepare(sql)?;
        Ok(Statement::new(self.clone(), prepared))
    }

    /// All definitions (tables, columns, indexes, views, sequences) as of now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.kernel.0.catalog()
    }

    /// The columns of a file (CSV, JSON lines, Parquet; plain or compressed) as COPY would read it: their names,
    /// and the types found in its first 8 MiB or as `options.sample_bytes` says.
    ///
    /// ```
    /// use cairndb::{Database, copy::CopyOptions};
    /// let directory = tempfile::tempdir().unwrap();
    /// let path = directory.path().join("trips.csv");
    /// std::fs::write(&path, "id,place\n1,Oslo\n").unwrap();
    /// let db = Database::open(directory.path().join("db"))?;
    /// let columns = db.file_columns(path.to_str().unwrap(), &CopyOptions::default())?;
    /// assert_eq!(columns[0].type_name(), "bigint");
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the file cannot be opened, is empty or is not of its format.
    pub fn file_columns(&self, path: &str, options: &CopyOptions) -> Result<Vec<Column>> {
        // Also a database in memory reads the files of the system.
        let reader =
            cairn_sql::copy::open_reader(&Env::os(), path, options).map_err(cairn_sql::Error::from)?;
        Ok(reader.columns().iter().map(|c| Column::new(c.name.clone(), c.ty.clone())).collect())
    }

    /// A session for one statement.
    pub(crate) fn session_once(&self) -> cairn_sql::Session {
        self.shared.engine.session()
    }

    fn run_once(&self, sql: &str, params: &impl Params) -> Result<StatementResult> {
        let values = values(sql, params)?;
        let mut session = self.session_once();
        let result = session.execute(sql, &values)?;
        left_idle(&session)?;
        Ok(result)
    }
}

/// The values of the parameters of a statement that is not prepared.
pub(crate) fn values(sql: &str, params: &impl Params) -> Result<Vec<Value>> {
    if params.is_named() { params.values(&cairn_sql::parameter_names(sql)) } else { params.values(&[]) }
}

/// Refuses to leave a transaction block behind that nobody could end.
pub(crate) fn left_idle(session: &cairn_sql::Session) -> Result<()> {
    if session.transaction_status() == 'I' {
        return Ok(());
    }
    let error = Error::new(ErrorClass::User, "25001", "a transaction block was left open and is rolled back");
    Err(error.with_hint("Use begin_transaction, transact or session."))
}
