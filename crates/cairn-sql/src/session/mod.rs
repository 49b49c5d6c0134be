//! A connection's state and the way of a statement: settings, the open transaction, prepared statements.
//!
//! ```text
//!            BEGIN                    error
//!   idle ───────────▶ in block ───────────────▶ failed (25P02 to all but ROLLBACK [TO], COMMIT)
//!     ▲    COMMIT/ROLLBACK │   ◀── ROLLBACK TO ──┘  │
//!     └────────────────────┴────────────────────────┘
//! ```
//! Outside a block each statement is a transaction of its own, run again when it meets a conflict.
//!
//! A statement that waits for a lock blocks its thread: the caller's, or one of `runtime`'s blocking pool, never one of
//! those that run queries.
//!
//! I1: a statement that fails in a block is undone to its savepoint, and the block is failed.
//! I2: the state is locked only while one statement starts; rows stream without the lock.

mod accepted;
pub(crate) mod activity;
pub(crate) mod constraints;
mod current_of;
mod cursor;
mod custom;
pub(crate) mod identity;
pub(crate) mod methods;
pub(crate) mod notify;
pub(crate) mod prepared;
mod route;
pub(crate) mod set_config;
pub(crate) mod settings;
pub(crate) mod temporary;
pub(crate) mod timeouts;
mod transaction;
pub(crate) mod variables;
pub(crate) mod waits;

use std::sync::Arc;

use cairn_engine::{LockSession, Transaction};
use cairn_types::{DataType, Value};
use parking_lot::Mutex;

use crate::context::{Exchange, Notice, SequenceMemory};
use crate::engine::Shared;
use crate::results::{Column, Results, StatementResult};
use crate::{Error, Result};

pub use activity::ClientAddress;
pub use notify::Notification;
pub(crate) use route::{first_words, run};
pub use timeouts::StatementCancel;
pub(crate) use transaction::Block;

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.activities.remove(&self.activity);
        let mut state = self.state.lock();
        if temporary::is_used(&state) {
            if let Some(block) = state.block.take().filter(|block| !block.is_adopted()) {
                block.end();
            }
            temporary::end(&self.shared.database, &state);
        }
    }
}

/// Parameter values of one execution, `$1` first.
pub type Parameters<'a> = &'a [Value];

/// One connection. Statements run one after the other; results already returned go on streaming.
pub struct Session {
    shared: Arc<Shared>,
    state: Arc<Mutex<State>>,
    running: timeouts::Running,
    /// The settings that the client was told last.
    told: Option<Arc<settings::Settings>>,
    /// What other sessions see of this one.
    activity: Arc<activity::Activity>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// What a session remembers between statements.
pub(crate) struct State {
    pub(crate) settings: Arc<settings::Settings>,
    pub(crate) block: Option<Block>,
    /// The owner of the locks of its transactions.
    pub(crate) locks: Arc<LockSession>,
    /// The time between the statements of a block.
    pub(crate) idle: timeouts::IdleTimer,
    pub(crate) prepared: prepared::PreparedStatements,
    pub(crate) sequences: Arc<Mutex<SequenceMemory>>,
    pub(crate) exchange: Arc<Mutex<Exchange>>,
    pub(crate) cursors: cursor::Cursors,
}

/// What PREPARE found out about a statement.
#[derive(Debug, Clone)]
pub struct Prepared {
    statement: Arc<prepared::Statement>,
}

impl Prepared {
    /// Types of the parameters, `$1` first.
    pub fn parameter_types(&self) -> &[DataType] {
        &self.statement.parameters
    }

    /// What clients are told of each parameter, where it is another of PostgreSQL's types than its own.
    pub fn parameters_told(&self) -> &[Option<u32>] {
        &self.statement.told
    }

    /// Columns of the result; empty for a statement without rows.
    pub fn columns(&self) -> &[Column] {
        &self.statement.columns
    }

    /// The statement's text.
    pub fn sql(&self) -> &str {
        &self.statement.sql
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let running = timeouts::Running::default();
        let exchange = Exchange { running: running.clone(), ..Exchange::default() };
        let locks = Arc::new(shared.database.session());
        let process_id = crate::functions::lock::pid(locks.id());
        let activity = shared.activities.add(process_id, shared.now_us(), running.clone());
        let state = State {
            settings: Arc::new(settings::Settings::default()),
            block: None,
            locks,
            idle: timeouts::IdleTimer::default(),
            prepared: prepared::PreparedStatements::default(),
            sequences: Arc::new(Mutex::new(SequenceMemory::default())),
            exchange: Arc::new(Mutex::new(exchange)),
            cursors: cursor::Cursors::default(),
        };
        activity.note(&state.settings);
        Self { shared, state: Arc::new(Mutex::new(state)), running, told: None, activity }
    }

    /// What ends the newest statement of this session, from another thread.
    pub fn cancel_handle(&self) -> StatementCancel {
        StatementCancel::new(&self.running)
    }

    /// Runs exactly one statement with parameters (`$1`, `?1`, `?` or `:name` in order of appearance).
    ///
    /// # Errors
    /// Any error of the statement; the transaction is then as before it, and an open block is failed.
    pub fn execute(&mut self, sql: &str, parameters: Parameters<'_>) -> Result<StatementResult> {
        let active = self.activity.begin(&self.shared, &self.state, sql)?;
        let result = match route::fast(&self.shared, &self.state, sql, parameters) {
            Some(result) => result,
            None => self.shared.runtime.run(route::job(&self.shared, &self.state, sql, parameters, false)),
        };
        self.shown(result, active)
    }

    /// Rows as this session's time zone shows them; the session is at work until they have been read.
    fn shown(&self, result: Result<StatementResult>, active: activity::Active) -> Result<StatementResult> {
        match result {
            Ok(StatementResult::Rows(rows)) => {
                let settings = Arc::clone(&self.state.lock().settings);
                Ok(StatementResult::Rows(rows.in_zone(&settings.time_zone).keeping(active)))
            }
            other => self.activity.told(other),
        }
    }

    /// [`Session::execute`] for an async caller.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub async fn execute_async(&mut self, sql: &str, parameters: Parameters<'_>) -> Result<StatementResult> {
        let active = self.activity.begin(&self.shared, &self.state, sql)?;
        let awaited = timeouts::Awaited::new(self.cancel_handle());
        let job = awaited.job(route::job(&self.shared, &self.state, sql, parameters, true));
        let result = self.shared.runtime.run_async(job).await;
        awaited.done();
        self.shown(result, active)
    }

    /// Runs one statement and gives its rows; a statement without rows gives no columns and no rows.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub fn query(&mut self, sql: &str, parameters: Parameters<'_>) -> Result<Results> {
        Ok(into_rows(self.execute(sql, parameters)?))
    }

    /// [`Session::query`] for an async caller.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub async fn query_async(&mut self, sql: &str, parameters: Parameters<'_>) -> Result<Results> {
        Ok(into_rows(self.execute_async(sql, parameters).await?))
    }

    /// Runs the statements of a text one by one, lazily: each when the iterator is advanced. It ends after
    /// the first error; statements before it have had their effect.
    pub fn execute_script<'s>(&'s mut self, sql: &'s str) -> Script<'s> {
        Script { session: self, rest: sql, offset: 0, done: false }
    }

    /// Plans a statement for repeated execution.
    ///
    /// # Errors
    /// What planning it finds wrong, and `42P18` where a parameter's type cannot be told.
    pub fn prepare(&mut self, sql: &str) -> Result<Prepared> {
        let statement = self.shared.runtime.run(self.preparation(sql, &[]))?;
        Ok(Prepared { statement })
    }

    /// The same for an async caller, who may say what types parameters have.
    ///
    /// # Errors
    /// As [`Session::prepare`].
    pub async fn prepare_async(&mut self, sql: &str, types: &[Option<DataType>]) -> Result<Prepared> {
        if let Some(statement) = prepared::prepare_now(&self.shared, &self.state, sql, types) {
            return Ok(Prepared { statement });
        }
        let statement = self.shared.runtime.run_async(self.preparation(sql, types)).await?;
        Ok(Prepared { statement })
    }

    /// Gives a prepared statement a name among those of PREPARE: EXECUTE, EXPLAIN EXECUTE and DEALLOCATE find it.
    ///
    /// # Errors
    /// `42P05` where another one has the name.
    pub fn name_prepared(&mut self, name: &str, prepared: &Prepared) -> Result<()> {
        self.state.lock().prepared.put(name, &prepared.statement)
    }

    /// The statement of that name.
    pub fn named_prepared(&self, name: &str) -> Option<Prepared> {
        self.state.lock().prepared.get(name).map(|statement| Prepared { statement })
    }

    /// Forgets the statement of that name, if there is one.
    pub fn forget_prepared(&mut self, name: &str) {
        self.state.lock().prepared.remove(name);
    }

    fn preparation(
        &self,
        sql: &str,
        types: &[Option<DataType>],
    ) -> impl FnOnce() -> Result<Arc<prepared::Statement>> + Send + 'static {
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        let (sql, types) = (sql.to_owned(), types.to_vec());
        move || prepared::prepare(&shared, &state, &sql, &types)
    }

    /// Runs a statement here and now where it waits for nothing but the disk: BEGIN, what reads only and whose plan is kept, and writes of
    /// single rows within a block that meet no lock. `None` where [`Session::execute_async`] is to run it.
    pub fn execute_now(&self, sql: &str, parameters: Parameters<'_>) -> Option<Result<StatementResult>> {
        if self.activity.is_terminated() {
            return None;
        }
        let result = route::fast_now(&self.shared, &self.state, sql, parameters)?;
        Some(
            self.activity.begin(&self.shared, &self.state, sql).and_then(|active| self.shown(result, active)),
        )
    }

    /// The number that `pg_backend_pid()` gives in this session.
    pub fn process_id(&self) -> i32 {
        crate::functions::lock::pid(self.state.lock().locks.id())
    }

    /// The value of a parameter, as SHOW gives it.
    ///
    /// # Errors
    /// `42704` for a name that there is not.
    pub fn parameter(&self, name: &str) -> Result<String> {
        self.state.lock().settings.show(name)
    }

    /// Has the session begin with this value of a parameter, to which RESET comes back.
    ///
    /// # Errors
    /// `42704` for a name that there is not, and what is wrong with the value.
    pub fn begin_with(&mut self, name: &str, value: &str) -> Result<()> {
        let mut state = self.state.lock();
        let settings = Arc::make_mut(&mut state.settings);
        settings.begin_with(name, value)?;
        self.activity.note(settings);
        Ok(())
    }

    /// Has the session be that of a role from now on, as if it had logged in, with the settings that are its own.
    ///
    /// # Errors
    /// `22023` where there is none of that name, `25001` within a transaction block.
    pub fn begin_as(&mut self, role: &str) -> Result<()> {
        let mut state = self.state.lock();
        if state.block.is_some() {
            return Err(Error::new("25001", "a session cannot change its user within a transaction block"));
        }
        let catalog = self.shared.database.catalog();
        let identity = identity::Identity::of(&catalog, role)?;
        let own = catalog.role(identity.session).map(|role| role.settings.clone()).unwrap_or_default();
        let settings = Arc::make_mut(&mut state.settings);
        settings.identity = Arc::new(identity);
        for (name, value) in own {
            // Whoever set it saw to it that it can be.
            let _ = settings.begin_with(&name, &value);
        }
        self.activity.note(settings);
        Ok(())
    }

    /// What is known of a role that wants to log in; `None` where there is none.
    pub fn login(&self, role: &str) -> Option<crate::Login> {
        let now = self.shared.now_us();
        crate::Login::of(&self.shared.database.catalog(), role, now)
    }

    /// The parameters that clients of PostgreSQL are told of and that have changed since the last call; all of them the first
    /// time. `None` where none can have.
    pub fn changed_parameters(&mut self) -> Option<Vec<(&'static str, String)>> {
        let state = self.state.lock();
        if self.told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &state.settings)) {
            return None;
        }
        let told = self.told.replace(Arc::clone(&state.settings));
        let now = state.settings.reported();
        Some(match told {
            None => now.collect(),
            Some(told) => {
                let pairs = told.reported().zip(now);
                pairs.filter(|(before, now)| before != now).map(|(_, now)| now).collect()
            }
        })
    }

    /// The columns of a cursor that DECLARE made.
    pub fn cursor_columns(&self, name: &str) -> Option<Vec<Column>> {
        self.state.lock().cursors.columns(name).ok()
    }

    /// The type that `pg_type` has under that number.
    pub fn data_type(&self, oid: u32) -> Option<DataType> {
        let block = self.state.lock().block.as_ref().map(|block| block.txn.catalog());
        let catalog = block.unwrap_or_else(|| self.shared.database.catalog());
        crate::catalog::pg_catalog::type_of(&catalog, oid)
    }

    /// Runs a prepared statement.
    ///
    /// # Errors
    /// As [`Session::execute`], and `08P01` when the number of values is wrong.
    pub fn execute_prepared(
        &mut self,
        prepared: &Prepared,
        parameters: Parameters<'_>,
    ) -> Result<StatementResult> {
        self.execute(&prepared.statement.sql, parameters)
    }

    /// Runs `work` on the transaction of the open block, or reports that there is none.
    pub fn transaction(&self) -> Option<Arc<Transaction>> {
        self.state.lock().block.as_ref().map(|block| Arc::clone(&block.txn))
    }

    /// Opens a block over a transaction begun elsewhere, so that key-value and SQL work share it. COMMIT and
    /// ROLLBACK in SQL end it for both.
    ///
    /// # Errors
    /// `25001` when a block is open.
    pub fn adopt_transaction(&mut self, txn: Arc<Transaction>) -> Result<()> {
        transaction::adopt(&self.shared, &self.state, txn)
    }

    /// Leaves the open block without ending its transaction; the counterpart of
    /// [`Session::adopt_transaction`].
    pub fn release_transaction(&mut self) -> Option<Arc<Transaction>> {
        self.state.lock().block.take().map(|block| block.txn)
    }

    /// The notices of the statements since the last call, such as "relation … already exists, skipping".
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.state.lock().exchange.lock().notices)
    }

    /// Gives the next COPY its standard input and output: `COPY … FROM STDIN` reads the one, `TO STDOUT` writes the
    /// other.
    pub fn set_copy_streams(&mut self, streams: crate::copy::Streams) {
        self.state.lock().exchange.lock().streams = streams;
    }

    /// The state a driver shows: `I` idle, `T` in a block, `E` in a failed block.
    pub fn transaction_status(&self) -> char {
        match &self.state.lock().block {
            None => 'I',
            Some(block) if block.failed => 'E',
            Some(_) => 'T',
        }
    }
}

fn into_rows(result: StatementResult) -> Results {
    match result {
        StatementResult::Rows(rows) => rows,
        StatementResult::Command { tag, rows } => {
            Results::from_batches(Arc::new(arrow::datatypes::Schema::empty()), Vec::new()).with_tag(tag, rows)
        }
    }
}

/// The statements of a text, run as the iterator advances.
#[derive(Debug)]
pub struct Script<'s> {
    session: &'s mut Session,
    rest: &'s str,
    offset: usize,
    done: bool,
}

impl Iterator for Script<'_> {
    type Item = Result<StatementResult>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let (statement, rest) = match crate::parse::split::first(self.rest) {
            Some(parts) => parts,
            None => {
                self.done = true;
                return None;
            }
        };
        let before = statement.as_ptr() as usize - self.rest.as_ptr() as usize;
        let start = self.offset + self.rest[..before].chars().count();
        self.offset = start + rest_offset(statement, rest);
        self.rest = rest;
        let result = self.session.execute(statement, &[]).map_err(|error| shift(error, start));
        self.done = result.is_err();
        Some(result)
    }
}

/// Characters between the start of a statement and the text after it.
fn rest_offset(statement: &str, rest: &str) -> usize {
    let bytes = rest.as_ptr() as usize - statement.as_ptr() as usize;
    // The one byte beyond the statement, if any, is its semicolon.
    statement.chars().count() + (bytes - statement.len())
}

/// Moves an error's position from the statement to the whole text.
fn shift(error: Error, characters: usize) -> Error {
    match error.position() {
        Some(position) => error.with_position(position + characters),
        None => error,
    }
}
