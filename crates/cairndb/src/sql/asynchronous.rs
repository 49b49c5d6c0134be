//! The async face: the same calls for tasks that must not block. It needs no particular runtime; statements
//! run on the database's own threads.

use super::database::{left_idle, values};
use super::session::Outcome;
use super::transaction::refuse_control;
use crate::{Database, Error, ErrorClass, Params, Result, Rows, Statement, ToSql, Transaction};

/// SQL for async callers. [`Rows::stream`] is a `futures::Stream`. A call that is dropped before it is ready
/// cancels its statement, unless that has begun to commit.
impl Database {
    /// [`Database::query`] for async callers.
    ///
    /// ```
    /// # use futures::executor::block_on;
    /// use cairndb::Database;
    /// # block_on(async {
    /// let db = Database::in_memory()?;
    /// let mut rows = db.query_async("SELECT 1 AS one", &[]).await?;
    /// while let Some(row) = rows.next_async().await? {
    ///     assert_eq!(row.get::<i64>("one")?, 1);
    /// }
    /// # Ok::<(), cairndb::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`Database::query`].
    pub async fn query_async(&self, sql: &str, params: &[&dyn ToSql]) -> Result<Rows> {
        self.query_with_async(sql, params).await
    }

    /// [`Database::query_with`] for async callers.
    ///
    /// # Errors
    /// As [`Database::query`].
    pub async fn query_with_async(&self, sql: &str, params: impl Params) -> Result<Rows> {
        let values = values(sql, &params)?;
        drop(params);
        let mut session = self.session_once();
        let result = session.execute_async(sql, &values).await?;
        left_idle(&session)?;
        Ok(Outcome::rows(result))
    }

    /// [`Database::execute`] for async callers.
    ///
    /// # Errors
    /// As [`Database::query`].
    pub async fn execute_async(&self, sql: &str, params: &[&dyn ToSql]) -> Result<u64> {
        self.execute_with_async(sql, params).await
    }

    /// [`Database::execute_with`] for async callers.
    ///
    /// # Errors
    /// As [`Database::query`].
    pub async fn execute_with_async(&self, sql: &str, params: impl Params) -> Result<u64> {
        let values = values(sql, &params)?;
        drop(params);
        let mut session = self.session_once();
        let result = session.execute_async(sql, &values).await?;
        left_idle(&session)?;
        Outcome::affected_async(result).await
    }
}

impl Statement {
    /// [`Statement::query_with`] for async callers.
    ///
    /// # Errors
    /// Whatever the statement meets.
    pub async fn query_with_async(&self, params: impl Params) -> Result<Rows> {
        let values = self.values(&params)?;
        drop(params);
        let mut session = self.db.session_once();
        Ok(Outcome::rows(session.execute_async(self.sql(), &values).await?))
    }

    /// [`Statement::execute_with`] for async callers.
    ///
    /// # Errors
    /// Whatever the statement meets.
    pub async fn execute_with_async(&self, params: impl Params) -> Result<u64> {
        let values = self.values(&params)?;
        drop(params);
        let mut session = self.db.session_once();
        Outcome::affected_async(session.execute_async(self.sql(), &values).await?).await
    }
}

impl Transaction {
    /// [`Transaction::query_with`] for async callers.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub async fn query_with_async(&self, sql: &str, params: impl Params) -> Result<Rows> {
        refuse_control(sql)?;
        let values = values(sql, &params)?;
        drop(params);
        let mut session = self.take_session()?;
        let result = session.execute_async(sql, &values).await;
        self.put_session(session);
        Ok(Outcome::rows(result?))
    }

    /// [`Transaction::execute_with`] for async callers.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub async fn execute_with_async(&self, sql: &str, params: impl Params) -> Result<u64> {
        refuse_control(sql)?;
        let values = values(sql, &params)?;
        drop(params);
        let mut session = self.take_session()?;
        let result = session.execute_async(sql, &values).await;
        self.put_session(session);
        Outcome::affected_async(result?).await
    }

    /// [`Transaction::commit`] for async callers: the task sleeps while the disk works.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub async fn commit_async(self) -> Result<()> {
        let mut session = self.take_session()?;
        match session.execute_async("COMMIT", &[]).await? {
            cairn_sql::StatementResult::Command { tag, .. } if tag == "COMMIT" => Ok(()),
            _ => Err(Error::new(ErrorClass::User, "25P01", "the transaction has ended")),
        }
    }
}
