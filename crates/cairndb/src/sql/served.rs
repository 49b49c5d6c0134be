//! What a server needs of a session: statements with declared parameter types, values as they came in, reads without a change
//! of thread, and what the client has to be told.

use cairn_sql::copy::Streams;
use cairn_sql::{ClientAddress, StatementCancel};
use cairn_types::{DataType, Value};

use super::column::Columns;
use crate::{Column, Outcome, Result, Session};

/// A statement that a session has planned.
///
/// ```
/// use cairndb::{Database, DataType};
/// # use futures::executor::block_on;
/// let mut session = Database::in_memory()?.session();
/// let prepared = block_on(session.prepare_async("SELECT $1 + 1 AS n", &[Some(DataType::BigInt)]))?;
/// assert_eq!(prepared.parameter_types(), [DataType::BigInt]);
/// assert_eq!(prepared.columns()[0].name(), "n");
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Prepared {
    inner: cairn_sql::Prepared,
    columns: Columns,
}

impl Prepared {
    /// The text.
    pub fn sql(&self) -> &str {
        self.inner.sql()
    }

    /// The types of the parameters, `$1` first.
    pub fn parameter_types(&self) -> &[DataType] {
        self.inner.parameter_types()
    }

    /// PostgreSQL's numbers of the parameters' types, `$1` first: that of `oid` or of lists of them (26, 1028) where a
    /// parameter of [`DataType::BigInt`] stands for the number of an object, as `$1` of `attrelid = $1`.
    pub fn parameter_type_oids(&self) -> Vec<u32> {
        let types = self.inner.parameter_types().iter().zip(self.inner.parameters_told());
        types.map(|(ty, told)| told.unwrap_or_else(|| ty.pg_oid())).collect()
    }

    /// The columns of the result; empty for a statement without rows.
    pub fn columns(&self) -> &[Column] {
        self.columns.all()
    }
}

/// What a statement had to say that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// PostgreSQL's code: `00000` for a notice, class `01` for warnings.
    pub sqlstate: &'static str,
    /// The message.
    pub message: String,
}

impl Session {
    /// Plans a statement; `types` are those of parameters whose type the caller gives.
    ///
    /// # Errors
    /// What is wrong with the statement.
    pub async fn prepare_async(&mut self, sql: &str, types: &[Option<DataType>]) -> Result<Prepared> {
        let inner = self.inner.prepare_async(sql, types).await?;
        Ok(Prepared { columns: Columns::new(inner.columns()), inner })
    }

    /// Gives a prepared statement a name among those of PREPARE: EXECUTE, EXPLAIN EXECUTE and DEALLOCATE find it.
    ///
    /// # Errors
    /// `42P05` where another one has the name.
    pub fn name_prepared(&mut self, name: &str, prepared: &Prepared) -> Result<()> {
        Ok(self.inner.name_prepared(name, &prepared.inner)?)
    }

    /// The statement of that name, of PREPARE or of [`Session::name_prepared`].
    pub fn named_prepared(&self, name: &str) -> Option<Prepared> {
        let inner = self.inner.named_prepared(name)?;
        Some(Prepared { columns: Columns::new(inner.columns()), inner })
    }

    /// Forgets the statement of that name, if there is one.
    pub fn forget_prepared(&mut self, name: &str) {
        self.inner.forget_prepared(name);
    }

    /// Runs one statement with the values of its parameters, `$1` first.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run_values_async(&mut self, sql: &str, values: &[Value]) -> Result<Outcome> {
        Ok(Outcome::new(self.inner.execute_async(sql, values).await?))
    }

    /// Runs a statement at once where it waits for nothing but reads of the disk (BEGIN, what reads and whose plan is kept, and writes of rows
    /// by key within a block that meet no lock); `None` where [`Session::run_values_async`] is to run it. Nothing has happened then.
    pub fn run_now(&mut self, sql: &str, values: &[Value]) -> Option<Result<Outcome>> {
        self.inner.execute_now(sql, values).map(|result| Ok(Outcome::new(result?)))
    }

    /// Runs a COPY between a table and these streams.
    ///
    /// # Errors
    /// As [`Session::copy_in`].
    pub async fn copy_async(&mut self, sql: &str, streams: Streams) -> Result<Outcome> {
        self.inner.set_copy_streams(streams);
        let result = self.inner.execute_async(sql, &[]).await;
        // A statement that was no COPY has not taken them.
        self.inner.set_copy_streams(Streams::default());
        Ok(Outcome::new(result?))
    }

    /// What ends its newest statement, from any thread.
    pub fn cancel_handle(&self) -> StatementCancel {
        self.inner.cancel_handle()
    }

    /// What the statements since the last call had to say that is no error.
    pub fn notices(&mut self) -> Vec<Notice> {
        let notices = self.inner.take_notices().into_iter();
        notices.map(|notice| Notice { sqlstate: notice.sqlstate, message: notice.message }).collect()
    }

    /// The number that `pg_backend_pid()` gives in this session.
    pub fn process_id(&self) -> i32 {
        self.inner.process_id()
    }

    /// Says where the client is that the session is for; `pg_stat_activity` shows it.
    pub fn set_client(&mut self, client: ClientAddress) {
        self.inner.set_client(client);
    }

    /// Whether `pg_terminate_backend` has ended the session. All its statements fail with SQLSTATE `57P01` then; the
    /// first of them, or dropping the session, rolls its open transaction back.
    ///
    /// ```
    /// use cairndb::Database;
    /// let db = Database::in_memory()?;
    /// let (mut session, mut other) = (db.session(), db.session());
    /// other.run(&format!("SELECT pg_terminate_backend({})", session.process_id()))?;
    /// assert!(session.is_terminated());
    /// assert_eq!(session.run("SELECT 1").unwrap_err().sqlstate(), "57P01");
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    pub fn is_terminated(&self) -> bool {
        self.inner.is_terminated()
    }

    /// Waits until [`Session::is_terminated`].
    pub async fn terminated(&self) {
        self.inner.terminated().await;
    }

    /// Has the session begin with this value of a parameter (`SHOW ALL` lists them), to which RESET comes back.
    ///
    /// # Errors
    /// SQLSTATE `42704` for a name that there is not, and what is wrong with the value.
    pub fn begin_with(&mut self, name: &str, value: &str) -> Result<()> {
        Ok(self.inner.begin_with(name, value)?)
    }

    /// Name and value of the parameters that clients of PostgreSQL are told of and that have changed since the last call; all
    /// of them the first time. `None` where none can have.
    pub fn changed_parameters(&mut self) -> Option<Vec<(&'static str, String)>> {
        self.inner.changed_parameters()
    }

    /// The columns of a cursor that DECLARE made.
    pub fn cursor_columns(&self, name: &str) -> Option<Vec<Column>> {
        Some(Columns::new(&self.inner.cursor_columns(name)?).all().to_vec())
    }

    /// The type that `pg_type` has under that number.
    pub fn data_type(&self, oid: u32) -> Option<DataType> {
        self.inner.data_type(oid)
    }
}
