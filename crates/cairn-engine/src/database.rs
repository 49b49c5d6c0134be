//! One open database directory.
use std::path::Path;
use std::sync::Arc;
use arrow_array::{ArrayRef, RecordBatch};
use cairn_env::Env;
use cairn_storage::{CommitSeq, Options, Stats, VerifyReport};
use crate::catalog::{Catalog, ObjectId, Table};
use crate::error::Result;
use crate::transaction::{Transaction, TxnOptions};
use crate::view::ReadView;
/// `Clone + Send + Sync`.
#[derive(Clone)]
pub struct Database { }
/// A row that a CHECK refused.
pub struct CheckFailure { pub row: usize, pub constraint: String }
/// How `cairn-sql` evaluates expressions for the engine: set once by `Database::set_expressions`.
pub trait Expressions: Send + Sync {
    /// The first row (of the live columns) that a CHECK (given by places in `table.checks`) refuses: false, not NULL.
    fn check(&self, table: &Table, checks: &[usize], rows: &RecordBatch) -> Result<Option<CheckFailure>>;
    /// The default of a column for `rows` rows (ON DELETE SET DEFAULT).
    fn default(&self, table: &Table, place: usize, rows: usize) -> Result<ArrayRef>;
}
#[allow(missing_docs)]
impl Database {
    pub fn open(env: &Env, dir: &Path, options: Options) -> Result<Database> { todo!() }
    pub fn in_memory() -> Result<Database> { todo!() }
    pub fn begin(&self, options: TxnOptions) -> Result<Transaction> { todo!() }
    /// The latest commit, to read from (no transaction).
    pub fn view(&self) -> Result<ReadView> { todo!() }
    pub fn catalog(&self) -> Result<Arc<Catalog>> { todo!() }
    /// False when they were set already.
    pub fn set_expressions(&self, expressions: Arc<dyn Expressions>) -> bool { todo!() }
    pub fn env(&self) -> &Env { todo!() }
    /// An estimate, for the planner.
    pub fn approximate_rows(&self, table: &Table) -> u64 { todo!() }
    pub fn flush(&self) -> Result<()> { todo!() }
    pub fn sync(&self) -> Result<()> { todo!() }
    pub fn compact(&self) -> Result<()> { todo!() }
    pub fn checkpoint(&self, dir: &Path) -> Result<CommitSeq> { todo!() }
    /// Checks all files, then that indexes and rows agree.
    pub fn verify(&self) -> Result<VerifyReport> { todo!() }
    pub fn verify_dir(env: &Env, dir: &Path) -> Result<VerifyReport> { todo!() }
    pub fn stats(&self) -> Stats { todo!() }
    pub fn last_committed(&self) -> CommitSeq { todo!() }
    pub fn close(&self) -> Result<()> { todo!() }
}
