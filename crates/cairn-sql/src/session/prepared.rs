//! PREPARE, EXECUTE, DEALLOCATE, and the statements prepared through the API.
//!
//! A prepared statement keeps its text and its syntax tree; plans are kept by `query::cache`, by text, so
//! that sessions share them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cairn_types::{DataType, Value};
use parking_lot::Mutex;
use sqlparser::ast::{self, Expr, Ident, ObjectName};

use super::State;
use super::settings::Settings;
use super::transaction::{Modes, begin_engine};
use super::variables::fold;
use crate::context::{Context, Scope};
use crate::engine::Shared;
use crate::error::locate;
use crate::parse::lexer::{Kind, Lexer, Token};
use crate::results::{Column, StatementResult};
use crate::{Error, Result, parse, query};

/// A prepared statement.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) statement: ast::Statement,
    pub(crate) parameters: Vec<DataType>,
    /// What clients are told of them, where it is another type than their own.
    pub(crate) told: Vec<Option<u32>>,
    pub(crate) columns: Vec<Column>,
}

/// The statements of a session, by name.
#[derive(Debug, Default)]
pub(crate) struct PreparedStatements {
    by_name: HashMap<String, Arc<Statement>>,
}

impl PreparedStatements {
    pub(crate) fn clear(&mut self) {
        self.by_name.clear();
    }

    /// Gives a statement a name, unless another one has it.
    ///
    /// # Errors
    /// `42P05`.
    pub(super) fn put(&mut self, name: &str, statement: &Arc<Statement>) -> Result<()> {
        if self.by_name.contains_key(name) {
            return Err(exists(name));
        }
        self.by_name.insert(name.to_owned(), Arc::clone(statement));
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Statement>> {
        self.by_name.get(name).cloned()
    }

    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.by_name.remove(name).is_some()
    }
}

/// Prepares a statement of the API; `declared` are the types that its caller gives to parameters.
pub(super) fn prepare(
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    sql: &str,
    declared: &[Option<DataType>],
) -> Result<Arc<Statement>> {
    let parsed = parse::statement(sql).map_err(|error| locate(error, sql))?;
    let Some(statement) = parsed else {
        return Err(Error::new("42601", "an empty statement cannot be prepared"));
    };
    let mut state = state.lock();
    let found = describe(shared, &mut state, sql, statement, declared).map_err(|error| locate(error, sql))?;
    if of_session(&state, &found.statement)?.is_none() && !super::temporary::is_used(&state) {
        let settings = Arc::clone(&state.settings);
        shared.described.put(declared, version(shared, &state), settings, Arc::clone(&found));
    }
    Ok(found)
}

/// The same for a text that was described before, and means the same still.
pub(super) fn prepare_now(
    shared: &Shared,
    state: &Mutex<State>,
    sql: &str,
    declared: &[Option<DataType>],
) -> Option<Arc<Statement>> {
    let state = state.lock();
    if super::temporary::is_used(&state) || state.block.as_ref().is_some_and(|block| block.failed) {
        return None;
    }
    let version = version(shared, &state);
    let found = shared.described.get(sql, declared, version, &state.settings)?;
    shared.reuse.is_seen(sql);
    Some(found)
}

/// The version of the catalog that the session sees.
fn version(shared: &Shared, state: &State) -> u64 {
    match &state.block {
        Some(block) => block.txn.catalog().version(),
        None => shared.database.catalog().version(),
    }
}

/// Statements that were described, by text: drivers that keep none prepare the same ones again and again.
#[derive(Default)]
pub(crate) struct Described(Mutex<HashMap<String, Vec<Description>>>);

struct Description {
    declared: Vec<Option<DataType>>,
    version: u64,
    settings: Arc<Settings>,
    statement: Arc<Statement>,
}

/// Texts kept at most; beyond, the memory starts anew.
const DESCRIBED_MAX: usize = 1024;
/// Descriptions of one text: types and settings may differ.
const VARIANTS_MAX: usize = 4;
/// A text beyond this is not kept.
const DESCRIBED_BYTES_MAX: usize = 16 << 10;

impl Described {
    fn get(
        &self,
        sql: &str,
        declared: &[Option<DataType>],
        version: u64,
        settings: &Arc<Settings>,
    ) -> Option<Arc<Statement>> {
        let all = self.0.lock();
        let found = all.get(sql)?.iter().find(|known| {
            known.version == version && known.declared == declared && known.settings.plans_like(settings)
        })?;
        Some(Arc::clone(&found.statement))
    }

    fn put(
        &self,
        declared: &[Option<DataType>],
        version: u64,
        settings: Arc<Settings>,
        statement: Arc<Statement>,
    ) {
        if statement.sql.len() > DESCRIBED_BYTES_MAX {
            return;
        }
        let mut all = self.0.lock();
        if all.len() >= DESCRIBED_MAX {
            all.clear();
        }
        let known = all.entry(statement.sql.clone()).or_default();
        if known.len() >= VARIANTS_MAX {
            known.clear();
        }
        known.push(Description { declared: declared.to_vec(), version, settings, statement });
    }
}

fn context(shared: &Arc<Shared>, state: &mut State, params: Vec<Value>) -> Result<Context> {
    let now = shared.now_us();
    let txn = match &mut state.block {
        Some(block) if !block.failed => {
            block.begin_statement()?;
            Arc::clone(&block.txn)
        }
        // What ends a failed block reads nothing, and its transaction has ended already.
        _ => begin_engine(shared, &state.locks, &state.settings, &Modes::default())?,
    };
    let settings = super::temporary::settings(state, Arc::clone(&state.settings));
    let settings = crate::privileges::with_path(&txn, settings);
    txn.set_role(settings.identity.current);
    Ok(Context {
        scope: Arc::new(Scope {
            shared: Arc::clone(shared),
            txn,
            settings,
            params,
            transaction_start_us: now,
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
        }),
    })
}

/// Finds out a statement's parameters and columns.
fn describe(
    shared: &Arc<Shared>,
    state: &mut State,
    sql: &str,
    statement: ast::Statement,
    declared: &[Option<DataType>],
) -> Result<Arc<Statement>> {
    let query::describe::Described { parameters, told, columns } = match of_session(state, &statement)? {
        Some(columns) => query::describe::Described { columns, ..Default::default() },
        None => {
            let context = context(shared, state, Vec::new())?;
            let described = query::describe::statement(&context, &statement, declared)?;
            // Its plan is worth keeping from the first execution on.
            shared.reuse.is_seen(sql);
            described
        }
    };
    Ok(Arc::new(Statement { sql: sql.to_owned(), statement, parameters, told, columns }))
}

/// The columns of a statement that asks the session: SHOW, EXECUTE, FETCH.
fn of_session(state: &State, statement: &ast::Statement) -> Result<Option<Vec<Column>>> {
    let columns = match statement {
        ast::Statement::ShowVariable { variable } => super::variables::shown_columns(variable),
        ast::Statement::Execute { name, .. } => {
            let name = name.as_ref().and_then(|n| n.0.last()).and_then(|part| part.as_ident()).map(fold);
            let name = name.unwrap_or_default();
            state.prepared.by_name.get(&name).ok_or_else(|| missing(&name))?.columns.clone()
        }
        ast::Statement::Fetch { name, .. } => state.cursors.columns(&fold(name))?,
        _ => return Ok(None),
    };
    Ok(Some(columns))
}

/// PREPARE name [(types)] AS statement.
pub(super) fn sql_prepare(
    shared: &Arc<Shared>,
    state: &mut State,
    name: &str,
    types: &[ast::DataType],
    statement: &ast::Statement,
) -> Result<StatementResult> {
    if state.prepared.get(name).is_some() {
        return Err(exists(name));
    }
    let context = context(shared, state, Vec::new())?;
    let named =
        |ty| crate::parse::named_types::named(&context, ty).map(|named| Some(named.ty.without_limit()));
    let declared = types.iter().map(named).collect::<Result<Vec<_>>>()?;
    let sql = statement.to_string();
    let prepared = describe(shared, state, &sql, statement.clone(), &declared)?;
    state.prepared.put(name, &prepared)?;
    Ok(StatementResult::command("PREPARE"))
}

/// DEALLOCATE name | ALL.
pub(super) fn deallocate(state: &mut State, name: &Ident) -> Result<StatementResult> {
    if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all") {
        state.prepared.clear();
        return Ok(StatementResult::command("DEALLOCATE ALL"));
    }
    let name = fold(name);
    match state.prepared.remove(&name) {
        true => Ok(StatementResult::command("DEALLOCATE")),
        false => Err(missing(&name)),
    }
}

fn exists(name: &str) -> Error {
    Error::new("42P05", format!("prepared statement \"{name}\" already exists"))
}

fn missing(name: &str) -> Error {
    Error::new("26000", format!("prepared statement \"{name}\" does not exist"))
}

/// The statement of an EXECUTE whose arguments are whole numbers and strings, and their values, without parsing; `None` where
/// the general way has to see to it.
pub(super) fn plain_execute(state: &Mutex<State>, sql: &str) -> Option<(Arc<Statement>, Vec<Value>)> {
    let word = sql.trim_ascii_start().get(..7)?;
    if !word.eq_ignore_ascii_case("execute") {
        return None;
    }
    let mut tokens = Lexer::new(sql).filter(|token| token.kind != Kind::Punctuation(b';')).skip(1);
    let name = tokens.next().filter(|token| token.kind == Kind::Word)?;
    let name = sql[name.start..name.end].to_lowercase();
    let statement = state.lock().prepared.get(&name)?;
    let mut values = Vec::with_capacity(statement.parameters.len());
    let mut expected = b'(';
    for ty in &statement.parameters {
        tokens.next().filter(|token| token.kind == Kind::Punctuation(expected))?;
        expected = b',';
        values.push(plain_value(sql, tokens.next()?, ty)?);
    }
    if !values.is_empty() {
        tokens.next().filter(|token| token.kind == Kind::Punctuation(b')'))?;
    }
    tokens.next().is_none().then_some((statement, values))
}

/// A whole number or a string as a value of a parameter's type.
fn plain_value(sql: &str, token: Token, ty: &DataType) -> Option<Value> {
    let text = &sql[token.start..token.end];
    let is_integer = matches!(ty, DataType::SmallInt | DataType::Integer | DataType::BigInt);
    match token.kind {
        Kind::Number if is_integer => Value::BigInt(text.parse().ok()?).fit(ty).ok(),
        Kind::Quoted => {
            let text = text.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'");
            match ty {
                DataType::Text => Some(Value::Text(text)),
                DataType::Date | DataType::Timestamp(None) | DataType::Uuid => {
                    Value::parse_text(&text, ty).ok()
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The statement of EXECUTE and the values of its arguments.
pub(super) fn sql_execute(
    shared: &Arc<Shared>,
    state: &mut State,
    name: Option<&ObjectName>,
    arguments: &[Expr],
) -> Result<(Arc<Statement>, Vec<Value>)> {
    let name = name.and_then(|n| n.0.last()).and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    let statement = state.prepared.get(&name).ok_or_else(|| missing(&name))?;
    if arguments.len() != statement.parameters.len() {
        return Err(Error::new(
            "42601",
            format!("wrong number of parameters for prepared statement \"{name}\""),
        )
        .with_detail(format!(
            "Expected {} parameters but got {}.",
            statement.parameters.len(),
            arguments.len()
        )));
    }
    let context = context(shared, state, Vec::new())?;
    let values = query::describe::constants(&context, arguments, &statement.parameters)?;
    Ok((statement, values))
}
