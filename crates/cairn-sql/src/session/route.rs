//! Which part of the crate runs a statement, inside which transaction.

use std::sync::{Arc, OnceLock};

use cairn_engine::catalog::{BOOTSTRAP, ObjectId};
use cairn_engine::{ObjectLock, Transaction, Wait};
use parking_lot::Mutex;
use sqlparser::ast::{Query, SetExpr, Statement};

use super::settings::Settings;
use super::temporary;
use super::timeouts::{self, StatementTimer};
use super::transaction::{self, Modes};
use super::waits::wait_for_tables;
use super::{Parameters, State, current_of, cursor, identity, prepared, variables};
use crate::context::{Context, Scope};
use crate::dml::point::PointWrite;
use crate::engine::Shared;
use crate::error::{Class, locate};
use crate::query::unprepared::Lifted;
use crate::results::StatementResult;
use crate::{Error, Result, copy, ddl, dml, parse, privileges, query, routine};

use cairn_types::Value;

/// A longer text may write many rows, which takes its time.
const NOW_BYTES_MAX: usize = 1024;

/// The statement's work, to be run on a big stack; the short way where `try_fast`.
pub(super) fn job(
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    sql: &str,
    parameters: Parameters<'_>,
    try_fast: bool,
) -> impl FnOnce() -> Result<StatementResult> + Send + 'static {
    let (shared, state) = (Arc::clone(shared), Arc::clone(state));
    let (sql, parameters) = (sql.to_owned(), parameters.to_vec());
    move || {
        let done = if try_fast { fast(&shared, &state, &sql, &parameters) } else { None };
        let result = done.unwrap_or_else(|| run_text(&shared, &state, &sql, parameters));
        result.map_err(|error| locate(error, &sql))
    }
}

/// Runs a statement without a change of thread where its plan is cached and simple enough.
pub(super) fn fast(
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    sql: &str,
    parameters: Parameters<'_>,
) -> Option<Result<StatementResult>> {
    fast_with(shared, state, sql, parameters, point_write)
}

/// The same for statements that wait for nothing but the disk: those that read only, and writes of single rows within a block that meet
/// no lock of others.
pub(super) fn fast_now(
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    sql: &str,
    parameters: Parameters<'_>,
) -> Option<Result<StatementResult>> {
    if is_plain_begin(sql) {
        let idle = {
            let state = state.lock();
            state.block.is_none() && state.settings.statement_timeout_ms == 0 && !state.idle.is_set()
        };
        return idle.then(|| run_text(shared, state, sql, Vec::new()));
    }
    fast_with(shared, state, sql, parameters, point_write_now)
}

/// Whether a text is BEGIN without modes.
fn is_plain_begin(sql: &str) -> bool {
    let text = sql.trim().trim_end_matches(';').trim_end();
    ["BEGIN", "START TRANSACTION", "BEGIN TRANSACTION"].iter().any(|begin| text.eq_ignore_ascii_case(begin))
}

type Writing = fn(&Arc<Shared>, &Arc<Mutex<State>>, &str, Parameters<'_>) -> Option<Result<StatementResult>>;

fn fast_with(
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    sql: &str,
    parameters: Parameters<'_>,
    point_write: Writing,
) -> Option<Result<StatementResult>> {
    let (by_key, kept) = {
        let state = state.lock();
        // A temporary table may hide the one of a kept plan.
        let hides = temporary::is_used(&state);
        if hides || state.settings.statement_timeout_ms > 0 || state.idle.is_set() {
            return None;
        }
        (state.settings.methods.point_path, state.settings.methods.plan_cache)
    };
    let run = |sql: &str, parameters: Parameters<'_>| {
        let by_key = by_key.then(|| {
            point_write(shared, state, sql, parameters)
                .or_else(|| query::point::run(shared, state, sql, parameters))
        });
        by_key.flatten().or_else(|| if kept { kept_plan(shared, state, sql, parameters) } else { None })
    };
    if parameters.is_empty()
        && let Some((statement, values)) = prepared::plain_execute(state, sql)
    {
        return run(&statement.sql, &values);
    }
    run(sql, parameters).or_else(|| {
        let lifted = if kept && parameters.is_empty() { Lifted::of(sql) } else { None };
        lifted.and_then(|lifted| run(&lifted.key, &lifted.values))
    })
}

/// Runs a SELECT from a plan that is kept ([`query::reuse`]).
fn kept_plan(
    shared: &Arc<Shared>,
    shared_state: &Arc<Mutex<State>>,
    sql: &str,
    parameters: Parameters<'_>,
) -> Option<Result<StatementResult>> {
    if !query::reuse::knows(shared, sql, parameters) {
        return None;
    }
    let mut state = shared_state.lock();
    if state.block.as_ref().is_some_and(|block| block.failed) {
        return None;
    }
    let context = match context(shared, &mut state, Vec::new()) {
        Ok(context) => context,
        Err(error) => return Some(Err(error)),
    };
    let in_block = state.block.is_some();
    let result = query::reuse::run(&context, sql, parameters)?;
    if result.is_err() {
        fail_block(&mut state);
    }
    Some(result.map(|rows| match in_block {
        true => StatementResult::Rows(rows.on_error(failing(shared_state, context.txn()))),
        false => StatementResult::Rows(rows),
    }))
}

/// The context of one statement: in the open block, or in a transaction of its own.
fn context(shared: &Arc<Shared>, state: &mut State, params: Vec<Value>) -> Result<Context> {
    let now = shared.now_us();
    let (txn, settings, start) = match &mut state.block {
        Some(block) => {
            block.set_lock_timeout(&state.settings)?;
            state.locks.set_lock_timeout(state.settings.lock_timeout());
            block.begin_statement()?;
            (Arc::clone(&block.txn), Arc::clone(&state.settings), block.start_us)
        }
        None => {
            let txn = transaction::begin_engine(shared, &state.locks, &state.settings, &Modes::default())?;
            (txn, autocommit_settings(&state.settings), now)
        }
    };
    Ok(context_of(shared, state, params, txn, settings, start, now))
}

fn context_of(
    shared: &Arc<Shared>,
    state: &State,
    params: Vec<Value>,
    txn: Arc<Transaction>,
    settings: Arc<Settings>,
    start: i64,
    now: i64,
) -> Context {
    let settings = privileges::with_path(&txn, temporary::settings(state, settings));
    txn.set_role(settings.identity.current);
    let scope = Scope {
        shared: Arc::clone(shared),
        txn,
        settings,
        params,
        transaction_start_us: start,
        statement_start_us: now,
        sequences: Arc::clone(&state.sequences),
        exchange: Arc::clone(&state.exchange),
        locks: Arc::clone(&state.locks),
        sources: Mutex::default(),
        past: None,
        view: OnceLock::new(),
        slots: OnceLock::new(),
        modified: None,
        body: None,
        checks_as: None,
    };
    Context { scope: Arc::new(scope) }
}

/// Runs a write of rows that it names, which has run before ([`dml::point`]).
fn point_write(
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    sql: &str,
    parameters: Parameters<'_>,
) -> Option<Result<StatementResult>> {
    if !shared.point_writes.knows(sql) {
        return None;
    }
    let mut state = state.lock();
    if state.block.as_ref().is_some_and(|block| block.failed) || state.settings.transaction_read_only {
        return None;
    }
    let handles = match timeouts::handles(&state) {
        Ok(handles) => handles,
        Err(error) => return Some(Err(error)),
    };
    // It may wait for a row's lock.
    let running = state.exchange.lock().running.clone();
    let _looking = running.begin(&handles);
    let result = point_write_again(shared, &mut state, sql, parameters);
    running.end();
    told(shared, &mut state, result)
}

/// The same within a block, where it waits for no lock; `None` too where it would.
fn point_write_now(
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    sql: &str,
    parameters: Parameters<'_>,
) -> Option<Result<StatementResult>> {
    if sql.len() > NOW_BYTES_MAX || !shared.point_writes.knows(sql) {
        return None;
    }
    let mut state = state.lock();
    let txn = match &state.block {
        Some(block) if !block.failed && !state.settings.transaction_read_only => Arc::clone(&block.txn),
        _ => return None,
    };
    txn.set_impatient(true).ok()?;
    let result = try_point_write(shared, &mut state, sql, parameters, PointWrite::is_one_call);
    // It fails only where the transaction has ended, which then says so itself.
    let _ = txn.set_impatient(false);
    match result {
        Err(error) if error.sqlstate() == "55P03" => None,
        result => told(shared, &mut state, result),
    }
}

/// What a session is told of a point write; one that failed fails the block.
fn told(
    shared: &Shared,
    state: &mut State,
    result: Result<Option<StatementResult>>,
) -> Option<Result<StatementResult>> {
    let result = result.map_err(|error| {
        let error = as_told(shared, state, state.settings.identity.current, error);
        fail_block(state);
        error
    });
    result.transpose()
}

/// Runs it until it meets no conflict.
fn point_write_again(
    shared: &Arc<Shared>,
    state: &mut State,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Option<StatementResult>> {
    let mut attempts = 0;
    loop {
        match try_point_write(shared, state, sql, parameters, |_| true) {
            Err(error)
                if state.block.is_none()
                    && error.class() == Class::Conflict
                    && attempts < shared.options.conflict_retries_max =>
            {
                attempts += 1;
            }
            done => return done,
        }
    }
}

/// What the write gave; `None` where the statement must go the long way, as those that do not suit.
fn try_point_write(
    shared: &Arc<Shared>,
    state: &mut State,
    sql: &str,
    parameters: Parameters<'_>,
    suits: fn(&PointWrite) -> bool,
) -> Result<Option<StatementResult>> {
    let context = context(shared, state, parameters.to_vec())?;
    let found = || shared.point_writes.get(&context, sql).filter(|plan| suits(plan));
    let Some(mut plan) = found() else { return Ok(None) };
    if state.block.is_some() && context.txn().options().isolation.is_locking() {
        // As `waits::wait_for_tables`; outside of a block the statement is simply run again.
        context.txn().lock_table(plan.table_id(), ObjectLock::RowExclusive, Wait::Block)?;
        context.txn().begin_statement()?;
        let Some(still) = found() else { return Ok(None) };
        plan = still;
    }
    // The engine undoes a call that fails, so no savepoint is needed.
    let done = plan.run(&context)?;
    if done.is_some() && state.block.is_none() {
        temporary::before_commit(state, context.txn())?;
        context.txn().commit()?;
    }
    Ok(done)
}

fn run_text(
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<StatementResult> {
    let parsed = parse::statement(sql);
    let mut guard = state.lock();
    guard.idle.stop()?;
    let result = run_parsed(shared, state, &mut guard, parsed, sql, parameters);
    timeouts::start_idle(shared, state, &mut guard);
    result
}

fn run_parsed(
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    guard: &mut State,
    parsed: Result<Option<Statement>>,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<StatementResult> {
    let statement = match parsed {
        Ok(Some(statement)) => statement,
        Ok(None) => return Ok(StatementResult::command("")),
        Err(error) => {
            fail_block(guard);
            return Err(error);
        }
    };
    if sql.contains("current_query") || sql.contains("CURRENT_QUERY") {
        sql.clone_into(&mut guard.exchange.lock().query);
    }
    let handles = timeouts::handles(guard)?;
    let running = guard.exchange.lock().running.clone();
    let _looking = running.begin(&handles);
    let timer = StatementTimer::start(shared, guard, handles)?;
    let role = guard.settings.identity.current;
    let mut result = dispatch(shared, state, guard, &statement, sql, parameters)
        .map_err(|error| as_told(shared, guard, role, error));
    running.end();
    if let Some(timer) = timer {
        result = timer.end(result);
    }
    if result.is_err() {
        guard.exchange.lock().settings.clear();
        fail_block(guard);
    }
    result
}

/// An error without what the role may not know of the rows that it met.
fn as_told(shared: &Shared, state: &State, role: ObjectId, error: Error) -> Error {
    if role == BOOTSTRAP || error.detail().is_none() {
        return error;
    }
    match &state.block {
        Some(block) => privileges::errors::told(&block.txn.catalog(), role, error),
        None => privileges::errors::told(&shared.database.catalog(), role, error),
    }
}

fn fail_block(state: &mut State) {
    if let Some(block) = &mut state.block {
        block.fail();
    }
}

/// Fails the block of a transaction, if it is still open, when rows that one of its statements gave cannot be read.
fn failing(state: &Arc<Mutex<State>>, txn: &Arc<Transaction>) -> impl FnOnce() + Send + Sync + 'static {
    let (state, txn) = (Arc::clone(state), Arc::downgrade(txn));
    move || {
        let mut state = state.lock();
        if state.block.as_ref().is_some_and(|block| std::ptr::eq(Arc::as_ptr(&block.txn), txn.as_ptr())) {
            fail_block(&mut state);
        }
    }
}

/// The context of the open block.
fn in_block(shared: &Arc<Shared>, state: &State) -> Option<Context> {
    let block = state.block.as_ref()?;
    let (txn, start) = (Arc::clone(&block.txn), block.start_us);
    Some(context_of(shared, state, Vec::new(), txn, Arc::clone(&state.settings), start, start))
}

fn dispatch(
    shared: &Arc<Shared>,
    shared_state: &Arc<Mutex<State>>,
    state: &mut State,
    statement: &Statement,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<StatementResult> {
    super::set_config::apply(state)?;
    if let Some(asked) = super::set_config::of(statement) {
        match identity::assign(shared, state, (asked.local, &asked.name, &asked.value)) {
            Some(done) => done?,
            None => {
                let values = super::settings::Settings::values_of(&asked.name, &asked.value)?;
                variables::assign(state, asked.local, &asked.name, &values)?;
            }
        }
        let text = format!("SELECT current_setting('{}') AS set_config", asked.name.replace('\'', "''"));
        let shown = parse::parse_text(&text)?;
        return dispatch(shared, shared_state, state, &shown, &text, Vec::new());
    }
    match statement {
        Statement::Commit { chain, .. } => {
            let ending =
                state.block.as_ref().filter(|block| !block.failed).map(|block| Arc::clone(&block.txn));
            let result = transaction::commit(shared, state, *chain)?;
            if let Some(txn) = ending {
                cursor::committed(state, &txn);
            }
            return Ok(result);
        }
        Statement::Rollback { chain, savepoint: None } => {
            return transaction::rollback(shared, state, *chain);
        }
        Statement::Rollback { savepoint: Some(name), .. } => {
            let result = transaction::rollback_to(state, &variables::fold(name))?;
            cursor::rolled_back_to_savepoint(state);
            return Ok(result);
        }
        _ => {}
    }
    if state.block.as_ref().is_some_and(|block| block.failed) {
        return Err(Error::new(
            "25P02",
            "current transaction is aborted, commands ignored until end of transaction block",
        ));
    }
    if let Some(name) = current_of::cursor_of(statement) {
        // Outside of a block only a cursor WITH HOLD is there, which knows no key.
        let Some(context) = in_block(shared, state) else {
            return Err(Error::new("34000", format!("cursor \"{name}\" does not exist")));
        };
        let located = cursor::located(&context, state, statement, &name)?;
        let text = located.to_string();
        return dispatch(shared, shared_state, state, &located, &text, parameters);
    }
    if let Some(done) = identity::run(shared, state, statement) {
        return done;
    }
    match statement {
        Statement::StartTransaction { modes, statements, .. } => {
            if !statements.is_empty() {
                return Err(Error::unsupported("BEGIN … END block"));
            }
            transaction::begin(shared, state, modes)
        }
        Statement::Savepoint { name } => transaction::savepoint(state, &variables::fold(name)),
        Statement::ReleaseSavepoint { name } => transaction::release(state, &variables::fold(name)),
        Statement::Lock(lock) => {
            let Some(block) = &mut state.block else {
                return Err(Error::new("25P01", "LOCK TABLE can only be used in transaction blocks"));
            };
            block.set_lock_timeout(&state.settings)?;
            let (txn, start) = (Arc::clone(&block.txn), block.start_us);
            let settings = Arc::clone(&state.settings);
            let context = context_of(shared, state, Vec::new(), txn, settings, start, start);
            transaction::lock_tables(&context, state, lock)
        }
        Statement::Set(set) => variables::set(shared, state, set),
        Statement::ShowVariable { variable } => variables::show(state, variable),
        Statement::Reset(reset) => variables::reset(state, reset),
        Statement::Discard { .. } => {
            cursor::discard(state);
            super::notify::discard(state);
            let done = variables::discard(state)?;
            temporary::discard(&shared.database, state);
            Ok(done)
        }
        Statement::Declare { stmts } => {
            let [declare] = stmts.as_slice() else { return Err(Error::unsupported("this form of DECLARE")) };
            let (name, hold) = cursor::read(declare)?;
            if state.block.is_none() && !hold {
                return Err(Error::new("25P01", "DECLARE CURSOR can only be used in transaction blocks"));
            }
            let Some(query) = &declare.for_query else {
                return Err(Error::unsupported("this form of DECLARE"));
            };
            let keyed = match in_block(shared, state) {
                Some(context) if !hold => current_of::with_key(&context, query)?,
                _ => None,
            };
            let plain = Statement::Query(query.clone());
            let mut run = |query: &Statement, key| {
                let text = query.to_string();
                match in_transaction(shared, shared_state, state, query, &text, parameters.clone())? {
                    StatementResult::Rows(rows) => cursor::open(state, name.clone(), declare, rows, key),
                    StatementResult::Command { .. } => Err(Error::internal("a query without rows")),
                }
            };
            match keyed {
                Some((query, key)) => match run(&Statement::Query(Box::new(query)), Some(key)) {
                    // It groups, after all.
                    Err(error) if error.sqlstate() == "42803" => run(&plain, None),
                    other => other,
                },
                None => run(&plain, None),
            }
        }
        Statement::Fetch { name, direction, into, .. } => {
            cursor::fetch(state, name, direction, parse::cursor::is_move(into.as_ref()))
        }
        Statement::Close { cursor } => cursor::close(state, cursor),
        Statement::Prepare { name, data_types, statement } => {
            prepared::sql_prepare(shared, state, &variables::fold(name), data_types, statement)
        }
        Statement::Deallocate { name, .. } => prepared::deallocate(state, name),
        Statement::Execute { name, parameters: arguments, using, into, immediate, .. } => {
            if !using.is_empty() || !into.is_empty() || *immediate {
                return Err(Error::unsupported("this form of EXECUTE"));
            }
            let (inner, values) = prepared::sql_execute(shared, state, name.as_ref(), arguments)?;
            in_transaction(shared, shared_state, state, &inner.statement, &inner.sql, values)
        }
        Statement::Explain { statement: inner, .. } if matches!(**inner, Statement::Execute { .. }) => {
            let Statement::Execute { name, parameters: arguments, .. } = &**inner else {
                return Err(Error::internal("no EXECUTE"));
            };
            let (inner, values) = prepared::sql_execute(shared, state, name.as_ref(), arguments)?;
            let mut explain = statement.clone();
            if let Statement::Explain { statement, .. } = &mut explain {
                **statement = inner.statement.clone();
            }
            in_transaction(shared, shared_state, state, &explain, sql, values)
        }
        Statement::CreateTable(create) if let Some((name, arguments)) = parse::executed::read(create) => {
            let (inner, values) = prepared::sql_execute(shared, state, Some(&name), &arguments)?;
            let Statement::Query(query) = &inner.statement else {
                return Err(Error::new("42809", "prepared statement is not a SELECT"));
            };
            let mut create = create.clone();
            parse::executed::replace(&mut create, query);
            in_transaction(shared, shared_state, state, &Statement::CreateTable(create), sql, values)
        }
        other => in_transaction(shared, shared_state, state, other, sql, parameters),
    }
}

/// Runs a statement in the open block, or in a transaction of its own.
fn in_transaction(
    shared: &Arc<Shared>,
    shared_state: &Arc<Mutex<State>>,
    state: &mut State,
    statement: &Statement,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<StatementResult> {
    let unbound = statement;
    let bound;
    let statement = if parse::parameters::count(statement) > 0 {
        let mut own = statement.clone();
        parse::parameters::bind(&mut own, &parameters)?;
        bound = own;
        &bound
    } else {
        statement
    };
    let writes = writes(statement);
    let mut lifted = if parameters.is_empty() { Lifted::of(sql) } else { None };
    let mut remember = |context: &Context, result: &StatementResult| -> Result<()> {
        query::unprepared::remember_as(context, sql, unbound, result)?;
        match lifted.take() {
            Some(lifted) => query::unprepared::remember(context, lifted, result),
            None => Ok(()),
        }
    };
    if state.block.is_some() {
        let context = context(shared, state, parameters)?;
        let txn = context.txn();
        // A function that a query calls may write.
        let writes = writes || context.catalog()?.routines().next().is_some();
        let savepoint = if writes { Some(txn.savepoint()?) } else { None };
        let result = wait_for_tables(&context, statement).and_then(|()| run(&context, statement, sql));
        return match (result, savepoint) {
            (Ok(StatementResult::Rows(rows)), savepoint) => {
                if let Some(savepoint) = savepoint {
                    txn.release(savepoint);
                }
                let rows = StatementResult::Rows(rows);
                remember(&context, &rows)?;
                Ok(match rows {
                    StatementResult::Rows(rows) => {
                        StatementResult::Rows(rows.on_error(failing(shared_state, txn)))
                    }
                    done => done,
                })
            }
            (Ok(done), savepoint) => {
                remember(&context, &done)?;
                if let Some(savepoint) = savepoint {
                    txn.release(savepoint);
                }
                Ok(done)
            }
            (Err(error), Some(savepoint)) => {
                txn.rollback_to(savepoint)?;
                Err(error)
            }
            (Err(error), None) => Err(error),
        };
    }
    let mut attempts = 0;
    loop {
        let context = context(shared, state, parameters.clone())?;
        let txn = context.txn();
        let ready = wait_for_tables(&context, statement);
        let result = ready.and_then(|()| run(&context, statement, sql)).and_then(|result| {
            remember(&context, &result)?;
            if txn.has_writes() || txn.has_ddl() {
                temporary::before_commit(state, txn)?;
                txn.commit()?;
            }
            Ok(result)
        });
        match result {
            Err(error)
                if error.class() == Class::Conflict && attempts < shared.options.conflict_retries_max =>
            {
                attempts += 1;
            }
            other => return other,
        }
    }
}

fn autocommit_settings(settings: &Arc<Settings>) -> Arc<Settings> {
    if settings.transaction_isolation == settings.default_isolation
        && settings.transaction_read_only == settings.default_read_only
    {
        return Arc::clone(settings);
    }
    let mut own = Settings::clone(settings);
    own.transaction_isolation = own.default_isolation;
    own.transaction_read_only = own.default_read_only;
    Arc::new(own)
}

/// Whether a statement may write, and so wants a savepoint.
fn writes(statement: &Statement) -> bool {
    let only_reads = |query: &Query| {
        !matches!(
            *query.body,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        )
    };
    !matches!(
        statement,
        Statement::Query(query) if only_reads(query) && dml::with::statements(statement).next().is_none()
    ) && !matches!(statement, Statement::Explain { analyze: false, .. })
}

/// Runs a statement that needs a transaction.
pub(crate) fn run(context: &Context, statement: &Statement, sql: &str) -> Result<StatementResult> {
    privileges::schemas::require_named(context, statement)?;
    let unnested = query::nested::run(context, statement)?;
    let statement = unnested.as_ref().unwrap_or(statement);
    if let Some(result) = dml::with::run(context, statement)? {
        return Ok(result);
    }
    match statement {
        Statement::Query(body) => query::run::select(context, body, sql),
        Statement::Insert(insert) => {
            context.require_writable("INSERT")?;
            dml::insert(context, insert)
        }
        Statement::Update(update) => {
            context.require_writable("UPDATE")?;
            dml::update(context, update)
        }
        Statement::Delete(delete) => {
            context.require_writable("DELETE")?;
            dml::delete(context, delete)
        }
        Statement::Copy { to, .. } => {
            if !to {
                context.require_writable("COPY FROM")?;
            }
            copy::execute(context, statement)
        }
        Statement::Explain { .. } => query::explain::execute(context, statement),
        Statement::Vacuum(statement) => {
            context.require_writable(&first_words(sql, 1))?;
            crate::statistics::maintenance::run(context, statement)
        }
        statement if ddl::is_definition(statement) || matches!(statement, Statement::Truncate(_)) => {
            context.require_writable(&first_words(sql, 2))?;
            ddl::execute(context, statement)
        }
        Statement::Merge(merge) => {
            context.require_writable("MERGE")?;
            dml::merge(context, merge)
        }
        Statement::Call(call) => routine::procedure::call(context, call),
        other => match super::notify::run(context, other)? {
            Some(done) => Ok(done),
            None => Err(Error::unsupported(format!("statement {}", first_words(sql, 2)))),
        },
    }
}

/// The first words of a statement, in capitals, to name it.
pub(crate) fn first_words(sql: &str, count: usize) -> String {
    parse::lexer::Lexer::new(sql)
        .take(count)
        .map(|token| sql[token.start..token.end].to_ascii_uppercase())
        .collect::<Vec<_>>()
        .join(" ")
}
