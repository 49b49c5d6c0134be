//! CHECK and DEFAULT for the engine: `cairn_engine::Expressions` over DataFusion.
//!
//! The conditions of a table are compiled once per schema version to physical expressions and then cost no planning.
//! They are kept with the transaction in which they were compiled ended, so that they hold no snapshot.
//!
//! I1. A CHECK refuses a row whose condition is false; NULL lets it pass.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use cairn_engine::catalog::{Column, IndexDescriptor, IndexId, ObjectId};
use cairn_engine::{CheckFailure, Error as EngineError, Expressions, Isolation, Table, TxnOptions};
use cairn_types::DataType;
use cairn_types::datetime::Zone;
use datafusion::physical_expr::PhysicalExpr;
use parking_lot::Mutex;

use super::assign::assign_array;
use super::default::{Default, parse_expr};
use super::relations;
use super::target::relaxed;
use crate::context::{Context, Scope, SequenceMemory};
use crate::engine::Shared;
use crate::session::settings::Settings;
use crate::{Error, Result};

/// Tables whose conditions are kept compiled.
const COMPILED_MAX: usize = 1024;

/// Gives the database the evaluation of its expressions.
pub(super) fn install(shared: &Arc<Shared>) -> bool {
    let evaluator =
        Evaluator { shared: Arc::downgrade(shared), compiled: Mutex::default(), indexes: Mutex::default() };
    // A database that had an SQL engine before keeps that one's, which is the same.
    shared.database.set_expressions(Arc::new(evaluator))
}

type Conditions = Arc<Vec<Arc<dyn PhysicalExpr>>>;
/// What is compiled, with the text that it was compiled from.
type Kept<K> = Mutex<HashMap<K, (Vec<String>, Conditions)>>;

struct Evaluator {
    shared: Weak<Shared>,
    /// By table id, with the checks' text that was compiled.
    compiled: Kept<u32>,
    /// The same of indexes, by table and index id: expressions, and the condition last.
    indexes: Kept<(u32, IndexId)>,
}

/// A context outside any session, as the owner of a table: what its expressions call may do no more.
fn context(shared: &Arc<Shared>, table: ObjectId) -> Result<Context> {
    let options = TxnOptions { isolation: Isolation::Snapshot, read_only: true, ..TxnOptions::default() };
    let txn = Arc::new(shared.database.begin(options)?);
    let now = shared.now_us();
    let mut settings = Settings::default();
    settings.identity = Arc::new(settings.identity.definer(txn.catalog().owner(table)));
    Ok(Context {
        scope: Arc::new(Scope {
            shared: Arc::clone(shared),
            txn,
            settings: Arc::new(settings),
            params: Vec::new(),
            transaction_start_us: now,
            statement_start_us: now,
            sequences: Arc::new(Mutex::new(SequenceMemory::default())),
            exchange: Arc::default(),
            locks: Arc::new(shared.database.session()),
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

fn engine_error(error: Error) -> EngineError {
    EngineError::Data { sqlstate: error.sqlstate(), message: error.message().to_owned() }
}

impl Evaluator {
    fn shared(&self) -> Result<Arc<Shared>> {
        self.shared.upgrade().ok_or_else(|| Error::internal("the SQL engine is closed"))
    }

    fn conditions(&self, table: &Table) -> Result<Conditions> {
        let signature = self.signature(table);
        if let Some((known, conditions)) = self.compiled.lock().get(&table.id)
            && *known == signature
        {
            return Ok(Arc::clone(conditions));
        }
        let checks: Vec<String> = table.all_checks().iter().map(|c| c.sql.clone()).collect();
        let conditions = self.compiled(table, checks)?;
        let mut all = self.compiled.lock();
        if all.len() >= COMPILED_MAX {
            all.clear();
        }
        all.insert(table.id, (signature, Arc::clone(&conditions)));
        Ok(conditions)
    }
}

impl Evaluator {
    /// What compiled conditions depend on: the checks, the columns, and functions in SQL, where there are any.
    fn signature(&self, table: &Table) -> Vec<String> {
        let mut all = signature(table);
        if let Some(shared) = self.shared.upgrade() {
            let catalog = shared.database.catalog();
            if catalog.routines().next().is_some() {
                all.push(catalog.version().to_string());
            }
        }
        all
    }

    fn compiled(&self, table: &Table, texts: Vec<String>) -> Result<Conditions> {
        let shared = self.shared()?;
        let (id, name, schema) = (table.id, table.name.clone(), relaxed(table));
        let compiled = shared.clone().runtime.run(move || {
            let context = context(&shared, id)?;
            let conditions: Result<Vec<_>> =
                texts.iter().map(|sql| compile(&context, &name, &schema, sql)).collect();
            context.txn().rollback();
            conditions
        })?;
        Ok(Arc::new(compiled))
    }

    fn generated_values(&self, table: &Table, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let columns: Vec<&Column> = table.live_columns().filter(|c| c.generated.is_some()).collect();
        let texts: Vec<String> =
            columns.iter().filter_map(|c| Some(c.generated.as_ref()?.sql.clone())).collect();
        let signature: Vec<String> = texts.iter().cloned().chain(self.signature(table)).collect();
        // No index has this id.
        let key = (table.id, IndexId::MAX);
        let known =
            self.indexes.lock().get(&key).filter(|(own, _)| *own == signature).map(|(_, c)| Arc::clone(c));
        let compiled = match known {
            Some(compiled) => compiled,
            None => {
                let compiled = self.compiled(table, texts)?;
                self.indexes.lock().insert(key, (signature, Arc::clone(&compiled)));
                compiled
            }
        };
        let mut values = Vec::with_capacity(columns.len());
        for (column, expr) in columns.into_iter().zip(compiled.iter()) {
            let value = expr.evaluate(rows)?.into_array(rows.num_rows())?;
            let from = match expr.return_field(&rows.schema()) {
                Ok(field) => DataType::from_field(&field),
                Err(_) => column.ty.clone(),
            };
            values.push(assign_array(&value, &from, &column.ty, &column.name, true, Zone::UTC)?);
        }
        Ok(values)
    }

    /// What an index holds that is no column.
    fn index(&self, table: &Table, index: &IndexDescriptor) -> Result<Conditions> {
        let texts: Vec<String> = index
            .expressions
            .iter()
            .map(|e| e.sql.clone())
            .chain(index.predicate.iter().map(|p| p.sql.clone()))
            .collect();
        let signature: Vec<String> = texts.iter().cloned().chain(self.signature(table)).collect();
        let key = (table.id, index.id);
        if let Some((known, compiled)) = self.indexes.lock().get(&key)
            && *known == signature
        {
            return Ok(Arc::clone(compiled));
        }
        let compiled = self.compiled(table, texts)?;
        let mut all = self.indexes.lock();
        if all.len() >= COMPILED_MAX {
            all.clear();
        }
        all.insert(key, (signature, Arc::clone(&compiled)));
        Ok(compiled)
    }
}

/// The checks and the columns.
fn signature(table: &Table) -> Vec<String> {
    let checks = table.all_checks().iter().map(|c| format!("{}\u{1}{}", c.name, c.sql));
    let columns = table.live_columns().map(|c| format!("{}\u{1}{}", c.name, c.ty.signature()));
    checks.chain(columns).collect()
}

/// A condition over those columns.
fn compile(context: &Context, table: &str, columns: &SchemaRef, sql: &str) -> Result<Arc<dyn PhysicalExpr>> {
    match relations::compile(context, table, columns, parse_expr(sql)?)? {
        Some(compiled) => Ok(compiled.expr),
        None => Err(Error::internal("a condition is not one expression")),
    }
}

impl Expressions for Evaluator {
    fn check(
        &self,
        table: &Table,
        checks: &[usize],
        rows: &RecordBatch,
    ) -> cairn_engine::Result<Option<CheckFailure>> {
        let conditions = self.conditions(table).map_err(engine_error)?;
        let mut first: Option<CheckFailure> = None;
        for &check in checks {
            let Some(condition) = conditions.get(check) else {
                return Err(EngineError::InvalidArgument(format!("check {check} is not there")));
            };
            let failed = first_false(condition, rows).map_err(engine_error)?;
            if let Some(row) = failed
                && first.as_ref().is_none_or(|f| row < f.row)
            {
                first = Some(CheckFailure { row, check });
            }
        }
        Ok(first)
    }

    fn generated(&self, table: &Table, rows: &RecordBatch) -> cairn_engine::Result<Vec<ArrayRef>> {
        self.generated_values(table, rows).map_err(engine_error)
    }

    fn index_cells(
        &self,
        table: &Table,
        index: IndexId,
        rows: &RecordBatch,
    ) -> cairn_engine::Result<Vec<ArrayRef>> {
        let Some(descriptor) = table.index_by_id(index) else {
            return Err(EngineError::InvalidArgument(format!("index {index} is not there")));
        };
        let compiled = self.index(table, descriptor).map_err(engine_error)?;
        let types = descriptor.expressions.iter().map(|e| e.ty.to_arrow());
        let types: Vec<_> = types.chain(descriptor.predicate.iter().map(|_| ArrowType::Boolean)).collect();
        let cell = |(expr, ty): (&Arc<dyn PhysicalExpr>, &ArrowType)| -> Result<ArrayRef> {
            let cell = expr.evaluate(rows)?.into_array(rows.num_rows())?;
            match cell.data_type() == ty {
                true => Ok(cell),
                false => arrow::compute::cast(&cell, ty).map_err(relations::arrow_error),
            }
        };
        compiled.iter().zip(&types).map(cell).collect::<Result<_>>().map_err(engine_error)
    }

    fn default(&self, table: &Table, place: usize, rows: usize) -> cairn_engine::Result<ArrayRef> {
        let run = || -> Result<ArrayRef> {
            let shared = self.shared()?;
            let (id, column) = (table.id, table.live_column(place).clone());
            shared.clone().runtime.run(move || {
                let context = context(&shared, id)?;
                let array = Default::of(&context, &column)?.array(&context, &column, rows)?;
                context.txn().rollback();
                Ok(array)
            })
        };
        run().map_err(engine_error)
    }
}

fn first_false(condition: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<Option<usize>> {
    let value = condition.evaluate(rows)?.into_array(rows.num_rows())?;
    if value.data_type().is_null() {
        return Ok(None);
    }
    let Some(value) = value.as_boolean_opt() else {
        return Err(Error::new("42804", "argument of CHECK must be type boolean"));
    };
    if value.true_count() + value.null_count() == value.len() {
        return Ok(None);
    }
    Ok((0..value.len()).find(|n| value.is_valid(*n) && !value.value(*n)))
}
