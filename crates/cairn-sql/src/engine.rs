//! The SQL engine of one database: what all its sessions share.

use std::sync::Arc;

use cairn_engine::Database;
use cairn_env::Env;
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;

use crate::dml::point::PointWrites;
use crate::functions::closure::{Closures, ScalarFunction};
use crate::query::cache::PlanCache;
use crate::query::reuse::Plans;
use crate::runtime::Runtime;
use crate::scan::derived::DerivedIndexes;
use crate::session::activity::Activities;
use crate::session::prepared::Described;
use crate::{Error, Result, Session};

/// Bounds and places for queries.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SqlOptions {
    /// Memory that all queries of this database may use together; sorts, joins and aggregates spill to
    /// files before they reach it. Default 1 GiB.
    pub memory_bytes_max: usize,
    /// Directory for spilled data; created when first needed, emptied at the end. Default: the system's.
    pub temporary_directory: Option<std::path::PathBuf>,
    /// Partitions of a parallel query. Default: the processors.
    pub parallelism: usize,
    /// Where COPY and queries over files find them. Default: the system's files, also for a database in memory.
    pub files: Env,
    /// Times a single statement outside a transaction block is run again after a conflict. Default 10.
    pub conflict_retries_max: u32,
}

impl Default for SqlOptions {
    fn default() -> Self {
        Self {
            memory_bytes_max: 1 << 30,
            temporary_directory: None,
            parallelism: std::thread::available_parallelism().map_or(2, usize::from),
            conflict_retries_max: 10,
            files: Env::os(),
        }
    }
}

/// SQL on one database. Cheap to clone; sessions are made from it.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

/// What the sessions of a database share.
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) options: SqlOptions,
    pub(crate) runtime: Runtime,
    /// Functions, planners and rules; the configuration of each statement replaces this one's.
    pub(crate) template: SessionState,
    pub(crate) plans: PlanCache,
    pub(crate) reuse: Plans,
    pub(crate) point_writes: PointWrites,
    pub(crate) derived: DerivedIndexes,
    pub(crate) closures: Closures,
    /// Statements that were prepared.
    pub(crate) described: Described,
    /// Its sessions.
    pub(crate) activities: Activities,
    /// When the database was opened, microseconds since 1970 UTC.
    pub(crate) opened_us: i64,
}

impl Shared {
    /// Microseconds since 1970 UTC.
    pub(crate) fn now_us(&self) -> i64 {
        self.database.env().clock().wall_micros()
    }

    /// Memory pool, spill files and object stores of all queries.
    pub(crate) fn runtime_env(&self) -> &Arc<RuntimeEnv> {
        self.template.runtime_env()
    }
}

impl Engine {
    /// SQL over an open database. Installs the evaluation of its CHECK and DEFAULT expressions.
    ///
    /// # Errors
    /// When the memory pool or the directory for temporary files cannot be set up.
    pub fn new(database: Database, options: SqlOptions) -> Result<Self> {
        let runtime = Runtime::new(options.parallelism);
        let template = crate::query::state::template(&options)?;
        let opened_us = database.env().clock().wall_micros();
        let shared = Arc::new(Shared {
            database,
            opened_us,
            options,
            runtime,
            template,
            plans: PlanCache::default(),
            reuse: Plans::default(),
            point_writes: PointWrites::default(),
            derived: DerivedIndexes::default(),
            closures: Closures::default(),
            described: Described::default(),
            activities: Activities::default(),
        });
        if crate::dml::install_expressions(&shared) {
            crate::session::temporary::clear(&shared.database);
        }
        Ok(Self { shared })
    }

    /// A new session with default settings, outside any transaction.
    pub fn session(&self) -> Session {
        Session::new(Arc::clone(&self.shared))
    }

    /// Lets SQL call a Rust closure, in all sessions, until the engine is closed.
    ///
    /// # Errors
    /// `42723` where there is a function of that name, built in or given before; `42602` for an empty name.
    pub fn create_function(&self, function: ScalarFunction) -> Result<()> {
        let template = &self.shared.template;
        let name = &function.name;
        if name.is_empty() {
            return Err(Error::new("42602", "zero-length delimited identifier"));
        }
        let taken = template.scalar_functions().contains_key(name)
            || template.aggregate_functions().contains_key(name)
            || template.window_functions().contains_key(name);
        if taken {
            return Err(Error::new("42723", format!("function \"{name}\" already exists")));
        }
        self.shared.closures.add(function)
    }

    /// Where files that SQL names are found.
    pub fn files(&self) -> &Env {
        &self.shared.options.files
    }

    /// The database underneath.
    pub fn database(&self) -> &Database {
        &self.shared.database
    }
}
