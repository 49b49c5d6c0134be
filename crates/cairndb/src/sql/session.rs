//! A connection: what the shell, and anything that runs other people's SQL, uses.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use cairn_engine::Catalog;
use cairn_sql::copy::Streams;
use cairn_sql::{Notification, StatementResult};

use crate::{Database, Params, Result, Rows};

/// What a statement gave.
///
/// ```
/// use cairndb::{Database, Outcome};
/// let mut session = Database::in_memory()?.session();
/// match session.run("CREATE TABLE t (a INTEGER)")? {
///     Outcome::Command { tag, .. } => assert_eq!(tag, "CREATE TABLE"),
///     Outcome::Rows(_) => unreachable!(),
/// }
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Debug)]
pub enum Outcome {
    /// Rows to read.
    Rows(Rows),
    /// A statement without rows.
    Command {
        /// PostgreSQL's command tag, such as `INSERT 0 3`.
        tag: String,
        /// Rows inserted, updated, deleted or copied; 0 for other statements.
        rows: u64,
    },
}

impl Outcome {
    pub(crate) fn new(result: StatementResult) -> Outcome {
        match result {
            StatementResult::Rows(results) => Outcome::Rows(Rows::new(results)),
            StatementResult::Command { tag, rows } => Outcome::Command { tag, rows },
        }
    }

    /// Rows affected; a result is read to its end for that.
    pub(crate) fn affected(result: StatementResult) -> Result<u64> {
        match result {
            StatementResult::Command { rows, .. } => Ok(rows),
            StatementResult::Rows(mut results) => {
                while results.next_batch()?.is_some() {}
                Ok(results.rows_affected())
            }
        }
    }

    /// [`Outcome::affected`] for async callers.
    pub(crate) async fn affected_async(result: StatementResult) -> Result<u64> {
        match result {
            StatementResult::Command { rows, .. } => Ok(rows),
            StatementResult::Rows(mut results) => {
                while results.next_batch_async().await?.is_some() {}
                Ok(results.rows_affected())
            }
        }
    }

    /// The rows; none, and no columns, for a statement without.
    pub(crate) fn rows(result: StatementResult) -> Rows {
        match result {
            StatementResult::Rows(results) => Rows::new(results),
            StatementResult::Command { tag, rows } => Rows::none(tag, rows),
        }
    }
}

/// Whether a session is in a transaction block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// Outside: each statement is a transaction of its own.
    Idle,
    /// Between BEGIN and COMMIT or ROLLBACK.
    InTransaction,
    /// As before, after an error: only ROLLBACK, ROLLBACK TO and COMMIT (which rolls back) are accepted.
    Failed,
}

/// A connection with its settings, prepared statements and transaction block: `BEGIN`, `SET`, `PREPARE` and
/// `currval` work here as in PostgreSQL. Dropping it rolls an open block back.
///
/// ```
/// use cairndb::{Database, SessionStatus};
/// let mut session = Database::in_memory()?.session();
/// session.run("BEGIN")?;
/// session.run("CREATE TABLE t (a INTEGER)")?;
/// assert_eq!(session.status(), SessionStatus::InTransaction);
/// session.run("ROLLBACK")?;
/// assert!(session.run("SELECT * FROM t").is_err());
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Debug)]
pub struct Session {
    db: Database,
    pub(super) inner: cairn_sql::Session,
}

impl Database {
    /// A new session.
    pub fn session(&self) -> Session {
        Session { db: self.clone(), inner: self.shared.engine.session() }
    }
}

impl Session {
    /// Has the session act as a role from now on, with its privileges, its policies and its settings, as if it had
    /// logged in. Without it a session is that of `cairn`, which may do everything.
    ///
    /// ```
    /// use cairndb::Database;
    /// let db = Database::in_memory()?;
    /// db.execute("CREATE TABLE t (a INTEGER)", &[])?;
    /// db.execute("CREATE ROLE reader", &[])?;
    /// let mut session = db.session();
    /// session.begin_as("reader")?;
    /// assert_eq!(session.run("SELECT a FROM t").unwrap_err().sqlstate(), "42501");
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// SQLSTATE `22023` where there is no such role, `25001` within a transaction block.
    pub fn begin_as(&mut self, role: &str) -> Result<()> {
        Ok(self.inner.begin_as(role)?)
    }

    /// What a server has to know before it lets a role log in; `None` where there is no such role.
    pub fn login(&self, role: &str) -> Option<cairn_sql::Login> {
        self.inner.login(role)
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// Whatever the statement meets; a block that is open is failed then.
    pub fn run(&mut self, sql: &str) -> Result<Outcome> {
        Ok(Outcome::new(self.inner.execute(sql, &[])?))
    }

    /// Runs one statement with parameters.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_with(&mut self, sql: &str, params: impl Params) -> Result<Outcome> {
        let values = super::database::values(sql, &params)?;
        Ok(Outcome::new(self.inner.execute(sql, &values)?))
    }

    /// [`Session::run`] for async callers.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run_async(&mut self, sql: &str) -> Result<Outcome> {
        Ok(Outcome::new(self.inner.execute_async(sql, &[]).await?))
    }

    /// Runs `COPY … FROM STDIN` on what `reader` yields; gives the number of rows. All of it is loaded or
    /// nothing.
    ///
    /// ```
    /// use cairndb::Database;
    /// let mut session = Database::in_memory()?.session();
    /// session.run("CREATE TABLE t (a INTEGER, b TEXT)")?;
    /// let data = std::io::Cursor::new("1,one\n2,two\n");
    /// assert_eq!(session.copy_in("COPY t FROM STDIN WITH (FORMAT csv)", data)?, 2);
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// Whatever the statement meets, with the number of a line that cannot be read.
    pub fn copy_in(&mut self, sql: &str, reader: impl Read + Send + 'static) -> Result<u64> {
        self.copy(sql, Streams { input: Some(Box::new(reader)), ..Streams::default() })
    }

    /// Runs `COPY … TO STDOUT` and writes the data to `writer`; gives the number of rows.
    ///
    /// # Errors
    /// Whatever the statement and the writer meet.
    pub fn copy_out(&mut self, sql: &str, writer: impl Write + Send + 'static) -> Result<u64> {
        self.copy(sql, Streams { output: Some(Box::new(writer)), ..Streams::default() })
    }

    fn copy(&mut self, sql: &str, streams: Streams) -> Result<u64> {
        self.inner.set_copy_streams(streams);
        let result = self.inner.execute(sql, &[]);
        // A statement that was no COPY has not taken them.
        self.inner.set_copy_streams(Streams::default());
        Outcome::affected(result?)
    }

    /// What the statements since the last call had to say that is no error, such as `relation "t" already
    /// exists, skipping`.
    pub fn take_notices(&mut self) -> Vec<String> {
        self.inner.take_notices().into_iter().map(|notice| notice.message).collect()
    }

    /// The messages that have arrived on channels that this session listens on, in the order in which their transactions
    /// committed. None arrive within a transaction block: they wait for its end.
    ///
    /// ```
    /// use cairndb::Database;
    /// let db = Database::in_memory()?;
    /// let mut session = db.session();
    /// session.run("LISTEN orders")?;
    /// db.execute("NOTIFY orders, 'number 7'", &[])?;
    /// let messages = session.take_notifications();
    /// assert_eq!((&*messages[0].channel, &*messages[0].payload), ("orders", "number 7"));
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        self.inner.take_notifications()
    }

    /// Waits until a message has arrived, but not longer than `timeout`; whether one has. Without LISTEN it does not wait.
    pub fn wait_for_notification(&mut self, timeout: Duration) -> bool {
        self.inner.wait_for_notification(timeout)
    }

    /// Ends when a message has arrived; never where the session listens on no channel. Dropping it loses nothing.
    pub fn notified(&self) -> impl Future<Output = ()> + Send + 'static {
        self.inner.notified()
    }

    /// Whether a transaction block is open.
    pub fn status(&self) -> SessionStatus {
        match self.inner.transaction_status() {
            'I' => SessionStatus::Idle,
            'E' => SessionStatus::Failed,
            _ => SessionStatus::InTransaction,
        }
    }

    /// All definitions as this session sees them, those of its open block included.
    pub fn catalog(&self) -> Arc<Catalog> {
        match self.inner.transaction() {
            Some(transaction) => transaction.catalog(),
            None => self.db.catalog(),
        }
    }
}
