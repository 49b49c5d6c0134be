//! What a running statement can reach: its transaction, settings, parameters and the means to plan and run
//! queries. Every statement kind (query/, ddl/, dml/, copy/) gets one [`Context`]; it lives on a thread
//! with a big stack and is synchronous.
//!
//! [`Scope`] is the part that functions and scans need; it travels inside DataFusion's configuration.

use std::any::Any;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use cairn_engine::catalog::ObjectId;
use cairn_engine::{Catalog, LockSession, ReadView, Transaction};
use cairn_types::Value;
use cairn_types::datetime::Zone;
use datafusion::catalog::TableProvider;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::logical_expr::LogicalPlan;
use parking_lot::{Mutex, RwLock};

use crate::engine::Shared;
use crate::query::slots::Slots;
use crate::results::Results;
use crate::session::settings::Settings;
use crate::{Error, Result};

/// What functions and scans of one statement need.
pub(crate) struct Scope {
    pub(crate) shared: Arc<Shared>,
    pub(crate) txn: Arc<Transaction>,
    pub(crate) settings: Arc<Settings>,
    /// Values of `$1`, `$2` …
    pub(crate) params: Vec<Value>,
    /// Start of the transaction, microseconds since 1970 UTC: `now()`.
    pub(crate) transaction_start_us: i64,
    /// Start of the statement, microseconds since 1970 UTC.
    pub(crate) statement_start_us: i64,
    /// What `currval` and `lastval` know.
    pub(crate) sequences: Arc<Mutex<SequenceMemory>>,
    /// Notices and the streams of COPY.
    pub(crate) exchange: Arc<Mutex<Exchange>>,
    /// The session's locks.
    pub(crate) locks: Arc<LockSession>,
    /// Rows that subqueries with locking clauses gave ([`crate::query::nested`]), by the names they go by.
    pub(crate) sources: Mutex<Vec<Arc<dyn TableProvider>>>,
    /// The moment that a query with AS OF SYSTEM TIME reads.
    pub(crate) past: Option<ReadView>,
    /// What the scans of a kept plan read from: the state in which its execution began.
    pub(crate) view: OnceLock<ReadView>,
    /// What a kept plan reads in the place of its parameters.
    pub(crate) slots: OnceLock<Slots>,
    /// The rows that parts of one statement have changed ([`crate::dml::with`]), by table.
    pub(crate) modified: Option<Arc<Modified>>,
    /// What a body of a routine runs in; none for a statement of the session.
    pub(crate) body: Option<Body>,
    /// Whose privileges count where it is not the current role's.
    pub(crate) checks_as: Option<ObjectId>,
}

/// What is known of the body of a routine that is running.
#[derive(Clone, Default)]
pub(crate) struct Body {
    /// Bodies around this one, it included.
    pub(crate) depth: u32,
    /// Those of them that are triggers'.
    pub(crate) triggers: u32,
    /// Whether it was called by a statement that goes on afterwards: its snapshot stays.
    pub(crate) nested: bool,
    /// Transition tables of a trigger, by name.
    pub(crate) transitions: Vec<(String, Arc<dyn TableProvider>)>,
    /// The rows that it changes are noted here.
    pub(crate) written: Option<Arc<Modified>>,
}

/// Rows, by table.
pub(crate) type Modified = Mutex<HashSet<(ObjectId, Bytes)>>;

/// Notices that wait, at most.
const NOTICES_MAX: usize = 1000;

/// A message that is no error, such as "relation … already exists, skipping".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// PostgreSQL's code.
    pub sqlstate: &'static str,
    /// The message.
    pub message: String,
}

/// What passes between a session's user and its statements besides results.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) notices: Vec<Notice>,
    pub(crate) streams: crate::copy::Streams,
    pub(crate) temporary: crate::session::temporary::Temporary,
    /// What ends the session's newest statement.
    pub(crate) running: crate::session::timeouts::Running,
    /// The text of the statement, where it asks for it.
    pub(crate) query: String,
    /// What calls of `set_config` have set, for the statements that follow.
    pub(crate) settings: Vec<crate::session::set_config::SetConfig>,
    /// What the session listens with, once it has.
    pub(crate) listener: Option<Arc<cairn_engine::Listener>>,
    /// Told when messages have arrived there.
    pub(crate) arrivals: Arc<tokio::sync::Notify>,
}

/// Sequence values that this session has drawn.
#[derive(Debug, Default)]
pub(crate) struct SequenceMemory {
    /// Value last drawn, by sequence id.
    pub(crate) current: std::collections::HashMap<u32, i64>,
    /// Sequence drawn from last.
    pub(crate) last: Option<u32>,
}

/// Begins the names of [`Scope::sources`].
const SOURCE: &str = "__cairn_locked_";

impl Scope {
    /// The same statement's, before it has begun.
    fn anew(&self) -> Scope {
        Scope {
            shared: Arc::clone(&self.shared),
            txn: Arc::clone(&self.txn),
            settings: Arc::clone(&self.settings),
            params: Vec::new(),
            transaction_start_us: self.transaction_start_us,
            statement_start_us: self.statement_start_us,
            sequences: Arc::clone(&self.sequences),
            exchange: Arc::clone(&self.exchange),
            locks: Arc::clone(&self.locks),
            sources: Mutex::default(),
            past: None,
            view: OnceLock::new(),
            slots: OnceLock::new(),
            modified: None,
            body: None,
            checks_as: None,
        }
    }

    /// The same statement, as far as it has come.
    fn again(&self) -> Scope {
        Scope {
            params: self.params.clone(),
            sources: Mutex::new(self.sources.lock().clone()),
            past: self.past.clone(),
            modified: self.modified.clone(),
            body: self.body.clone(),
            ..self.anew()
        }
    }

    /// The same statement at a moment of the past.
    pub(crate) fn in_past(&self, view: ReadView) -> Scope {
        Scope { past: Some(view), checks_as: self.checks_as, ..self.again() }
    }

    /// A statement of a body that this statement calls.
    pub(crate) fn in_body(&self, body: Body) -> Scope {
        Scope { body: Some(body), ..self.anew() }
    }

    /// Bodies that run, one within the other.
    pub(crate) fn depth(&self) -> u32 {
        self.body.as_ref().map_or(0, |body| body.depth)
    }

    /// Triggers that run, one within the other.
    pub(crate) fn trigger_depth(&self) -> u32 {
        self.body.as_ref().map_or(0, |body| body.triggers)
    }

    /// The transition table of that name.
    pub(crate) fn transition(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        let tables = &self.body.as_ref()?.transitions;
        tables.iter().find(|(own, _)| own == name).map(|(_, rows)| Arc::clone(rows))
    }

    /// The rows that a name stands for, if it is one of [`Scope::sources`].
    pub(crate) fn source(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        let number: usize = name.strip_prefix(SOURCE)?.parse().ok()?;
        self.sources.lock().get(number).cloned()
    }

    /// The session's time zone.
    pub(crate) fn zone(&self) -> Zone {
        match self.settings.time_zone.as_str() {
            "UTC" => Zone::UTC,
            // Only names that can be read become the setting.
            name => Zone::parse(name).unwrap_or(Zone::UTC),
        }
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// One statement at work.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) scope: Arc<Scope>,
}

impl Context {
    /// The catalog as the statement sees it, the transaction's own DDL included.
    pub(crate) fn catalog(&self) -> Result<Arc<Catalog>> {
        Ok(match &self.scope.past {
            Some(view) => Arc::clone(view.catalog()),
            None => self.scope.txn.catalog(),
        })
    }

    /// The same statement with other settings.
    pub(crate) fn with_settings(&self, settings: Arc<Settings>) -> Context {
        Context { scope: Arc::new(Scope { settings, ..self.scope.again() }) }
    }

    /// The same statement, whose names are looked at as those of another role.
    pub(crate) fn checking_as(&self, role: ObjectId) -> Context {
        Context { scope: Arc::new(Scope { checks_as: Some(role), ..self.scope.again() }) }
    }

    /// What the statement reads: what the transaction sees now, or the past.
    pub(crate) fn view(&self) -> Result<ReadView> {
        Ok(match &self.scope.past {
            Some(view) => view.clone(),
            None => self.scope.txn.view()?,
        })
    }

    /// The version of that catalog.
    pub(crate) fn catalog_version(&self) -> u64 {
        self.scope.txn.catalog().version()
    }

    /// The session's time zone.
    pub(crate) fn zone(&self) -> Zone {
        self.scope.zone()
    }

    /// The transaction.
    pub(crate) fn txn(&self) -> &Arc<Transaction> {
        &self.scope.txn
    }

    /// Keeps rows for the statement; the name under which queries find them.
    pub(crate) fn add_source(&self, rows: Arc<dyn TableProvider>) -> String {
        let mut sources = self.scope.sources.lock();
        sources.push(rows);
        format!("{SOURCE}{}", sources.len() - 1)
    }

    /// The same statement with these values of its parameters.
    pub(crate) fn with_parameters(&self, params: Vec<Value>) -> Context {
        let checks_as = self.scope.checks_as;
        Context { scope: Arc::new(Scope { params, checks_as, ..self.scope.anew() }) }
    }

    /// The same statement, all of whose parts read what the transaction sees now, whatever they write.
    pub(crate) fn on_one_snapshot(&self) -> Result<Context> {
        let mut scope = self.scope.in_past(self.view()?);
        scope.modified = Some(Arc::default());
        Ok(Context { scope: Arc::new(scope) })
    }

    /// Whether another part of the statement has changed that row.
    pub(crate) fn is_modified(&self, table: ObjectId, key: &Bytes) -> bool {
        self.scope.modified.as_ref().is_some_and(|rows| rows.lock().contains(&(table, key.clone())))
    }

    /// Notes for the other parts of the statement that these rows have been changed.
    pub(crate) fn note_modified(&self, table: ObjectId, keys: &[Bytes]) {
        if let Some(rows) = &self.scope.modified {
            rows.lock().extend(keys.iter().map(|key| (table, key.clone())));
        }
        if let Some(rows) = self.scope.body.as_ref().and_then(|body| body.written.as_ref()) {
            rows.lock().extend(keys.iter().map(|key| (table, key.clone())));
        }
    }

    /// Plans a query; parameters are replaced by their values. The plan is not optimised yet.
    pub(crate) fn plan_query(&self, query: &sqlparser::ast::Query) -> Result<LogicalPlan> {
        crate::query::plan::query(self, query)
    }

    /// Runs a logical plan, streaming; the batches have the plan's schema.
    pub(crate) fn run(&self, plan: LogicalPlan) -> Result<Results> {
        crate::query::run::stream(self, plan)
    }

    /// Runs a logical plan to its end.
    pub(crate) fn collect(&self, plan: LogicalPlan) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let results = self.run(plan)?;
        let schema = Arc::clone(results.schema());
        Ok((schema, results.collect()?))
    }

    /// Tells the session's user something that is no error.
    pub(crate) fn notice(&self, sqlstate: &'static str, message: String) {
        let mut exchange = self.scope.exchange.lock();
        if exchange.notices.len() < NOTICES_MAX {
            exchange.notices.push(Notice { sqlstate, message });
        }
    }

    /// Standard input and output for COPY, if the session was given any; they serve one statement.
    pub(crate) fn take_streams(&self) -> crate::copy::Streams {
        std::mem::take(&mut self.scope.exchange.lock().streams)
    }

    /// Refuses writes in a read-only transaction (`25006`).
    pub(crate) fn require_writable(&self, command: &str) -> Result<()> {
        if self.scope.settings.transaction_read_only {
            return Err(Error::new("25006", format!("cannot execute {command} in a read-only transaction")));
        }
        Ok(())
    }
}

/// The [`Scope`] as an extension of DataFusion's configuration: functions read it from
/// `ScalarFunctionArgs::config_options`, scans from the task context.
///
/// Plans keep the configuration that they were made with. So it holds a cell: a plan that is kept for its next
/// execution (`query::reuse`) lets go of the scope, and with it of the transaction, and is given the next one.
#[derive(Debug, Clone)]
pub(crate) struct ScopeExtension(Arc<RwLock<Option<Arc<Scope>>>>);

impl ScopeExtension {
    pub(crate) fn new(scope: Arc<Scope>) -> Self {
        Self(Arc::new(RwLock::new(Some(scope))))
    }

    /// Puts the scope of the next execution, or none, in the cell.
    pub(crate) fn set(&self, scope: Option<Arc<Scope>>) {
        *self.0.write() = scope;
    }

    /// The scope of the statement a function or scan runs in.
    pub(crate) fn of(options: &datafusion::common::config::ConfigOptions) -> Result<Arc<Scope>> {
        options
            .extensions
            .get::<ScopeExtension>()
            .and_then(|extension| extension.0.read().clone())
            .ok_or_else(|| Error::internal("a plan ran outside a statement"))
    }
}

impl ConfigExtension for ScopeExtension {
    const PREFIX: &'static str = "cairn_scope";
}

impl ExtensionOptions for ScopeExtension {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }
    fn set(&mut self, key: &str, _value: &str) -> datafusion::error::Result<()> {
        Err(Error::new("42704", format!("unrecognized configuration parameter \"{key}\"")).into())
    }
    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
