//! SQL in a [`Transaction`], beside its keys.
//!
//! I1: a statement that fails is undone as a whole, and the transaction goes on (a `Transaction` has no
//! failed state: the caller has the error in hand and decides).

use std::sync::{Arc, PoisonError};

use cairn_engine::Catalog;
use cairn_sql::{Session, StatementResult};
use cairn_types::Value;

use super::database::values;
use super::session::Outcome;
use crate::{Error, ErrorClass, Params, Result, Rows, Statement, ToSql, Transaction};

/// SQL within the transaction. A statement that fails has no effect, and the transaction goes on.
impl Transaction {
    /// Runs one statement and gives its rows, own writes included. The rows may be read while the transaction
    /// goes on, and after its end.
    ///
    /// ```
    /// use cairndb::{Database, IsolationLevel};
    /// let db = Database::in_memory()?;
    /// db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)", &[])?;
    /// let tx = db.begin_transaction(IsolationLevel::Snapshot)?;
    /// tx.execute("INSERT INTO t VALUES ($1)", &[&1])?;
    /// tx.put("t:last", "1")?;
    /// assert_eq!(tx.query("SELECT count(*) FROM t", &[])?.one()?.get::<i64>(0)?, 1);
    /// tx.rollback()?;
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// Whatever the statement meets, and SQLSTATE `2D000` for BEGIN, COMMIT and ROLLBACK.
    pub fn query(&self, sql: &str, params: &[&dyn ToSql]) -> Result<Rows> {
        self.query_with(sql, params)
    }

    /// [`Transaction::query`] with parameters of any kind.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub fn query_with(&self, sql: &str, params: impl Params) -> Result<Rows> {
        Ok(Outcome::rows(self.run(sql, &values(sql, &params)?)?))
    }

    /// Runs one statement; gives the number of rows affected.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub fn execute(&self, sql: &str, params: &[&dyn ToSql]) -> Result<u64> {
        self.execute_with(sql, params)
    }

    /// [`Transaction::execute`] with parameters of any kind.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub fn execute_with(&self, sql: &str, params: impl Params) -> Result<u64> {
        Outcome::affected(self.run(sql, &values(sql, &params)?)?)
    }

    /// Runs a prepared statement and gives its rows.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub fn query_prepared(&self, statement: &Statement, params: impl Params) -> Result<Rows> {
        Ok(Outcome::rows(self.run_prepared(statement, &statement.values(&params)?)?))
    }

    /// Runs a prepared statement; gives the number of rows affected.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub fn execute_prepared(&self, statement: &Statement, params: impl Params) -> Result<u64> {
        Outcome::affected(self.run_prepared(statement, &statement.values(&params)?)?)
    }

    /// All definitions as this transaction sees them, its own included.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.kernel.0.catalog()
    }

    fn run(&self, sql: &str, values: &[Value]) -> Result<StatementResult> {
        refuse_control(sql)?;
        let mut session = self.take_session()?;
        let result = session.execute(sql, values);
        self.put_session(session);
        Ok(result?)
    }

    fn run_prepared(&self, statement: &Statement, values: &[Value]) -> Result<StatementResult> {
        refuse_control(statement.sql())?;
        let mut session = self.take_session()?;
        let result = session.execute_prepared(&statement.prepared, values);
        self.put_session(session);
        Ok(result?)
    }

    /// The session over this transaction; a new one when none is there or another thread has it.
    pub(crate) fn take_session(&self) -> Result<Session> {
        if let Some(session) = self.session.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok(session);
        }
        let mut session = self.db.session_once();
        session.adopt_transaction(Arc::clone(&self.kernel.0))?;
        Ok(session)
    }

    /// Gives the session back, its block no longer failed (I1).
    pub(crate) fn put_session(&self, mut session: Session) {
        if session.transaction_status() == 'E' {
            session.release_transaction();
            if session.adopt_transaction(Arc::clone(&self.kernel.0)).is_err() {
                return;
            }
        }
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }
}

/// A `Transaction` is begun and ended by its methods only.
pub(crate) fn refuse_control(sql: &str) -> Result<()> {
    let split = cairn_sql::split_statements(sql);
    let statement = split.statements.first().copied().unwrap_or(split.rest);
    let mut words = statement.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let first = words.next().unwrap_or("").to_ascii_uppercase();
    let second = words.next().unwrap_or("").to_ascii_uppercase();
    let third = words.next().unwrap_or("").to_ascii_uppercase();
    let back_to_savepoint = second == "TO" || (matches!(&*second, "WORK" | "TRANSACTION") && third == "TO");
    let control = match &*first {
        "BEGIN" | "START" | "COMMIT" | "END" | "ABORT" => true,
        "ROLLBACK" => !back_to_savepoint,
        _ => false,
    };
    if !control {
        return Ok(());
    }
    let error =
        Error::new(ErrorClass::User, "2D000", format!("{first} cannot be run in a Transaction as SQL"));
    Err(error.with_hint("Use the methods commit, rollback, savepoint and rollback_to, or a session."))
}
