//! Physical plans kept for the next execution of the same text, so that a repeated SELECT is neither parsed nor
//! planned again.
//!
//! A text is remembered when it runs for the second time, or for the first time after it was prepared. Its plan is lent to one execution at a time ([`Lease`]) and comes
//! back, made new, when that has ended; an execution that finds none plans for itself. While a plan rests here it
//! holds no transaction: its scans and functions find theirs in the scope that each execution puts in.
//!
//! Kept are plans that the same text must give again: no parameters, no function that is stable or volatile, only
//! tables of this database as sources, and no recursion.
//!
//! I1: a plan is used only at the schema version and under the settings that it was made for, and while every
//! table has about the number of rows that it was made for.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use cairn_engine::catalog::ObjectId;
use cairn_types::Value;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use parking_lot::Mutex;

use super::output::Output;
use super::run;
use crate::Result;
use crate::context::{Context, ScopeExtension};
use crate::engine::Shared;
use crate::results::Results;
use crate::scan::exec::TableScanExec;
use crate::session::settings::Settings;

/// Texts with plans at most; beyond, the cache starts anew.
const TEXTS_MAX: usize = 256;
/// Plans of one text at most: executions side by side.
const PLANS_MAX: usize = 4;
/// Texts known to have run once.
const SEEN_MAX: usize = 4096;
/// Longest text that is remembered, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Nodes of a plan that is kept, at most: starting it recurses on the caller's stack.
const NODES_MAX: usize = 200;
/// Executions after which a plan is made anew, whatever it may have gathered.
const USES_MAX: u32 = 10_000;
/// Rows below which a table counts as small, whatever the factor by which it grew.
const ROWS_SMALL: u64 = 256;

/// The plans of a database's sessions, by text.
#[derive(Default)]
pub(crate) struct Plans {
    resting: Mutex<HashMap<Arc<str>, Vec<Plan>>>,
    seen: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

/// A plan at rest.
struct Plan {
    physical: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    output: Output,
    scope: ScopeExtension,
    schema_version: u64,
    settings: Arc<Settings>,
    /// Rows of each table when the plan was made.
    rows: Vec<(ObjectId, u64)>,
    uses: u32,
}

/// A plan at work; it goes back when this is dropped.
pub(crate) struct Lease {
    shared: Arc<Shared>,
    text: Arc<str>,
    plan: Option<Plan>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut plan) = self.plan.take() else { return };
        plan.scope.set(None);
        plan.uses += 1;
        // Lets go of what the execution has gathered: hash tables, sorted rows, figures.
        let Ok(physical) = renewed(Arc::clone(&plan.physical), &plan.task) else { return };
        plan.physical = physical;
        if plan.uses < USES_MAX {
            self.shared.reuse.put(&self.text, plan);
        }
    }
}

impl Plans {
    fn put(&self, text: &Arc<str>, plan: Plan) {
        let mut resting = self.resting.lock();
        if resting.len() >= TEXTS_MAX && !resting.contains_key(text) {
            resting.clear();
        }
        let plans = resting.entry(Arc::clone(text)).or_default();
        plans.retain(|other| other.schema_version >= plan.schema_version);
        if plans.len() < PLANS_MAX {
            plans.push(plan);
        }
    }

    /// Whether the text has a plan, perhaps one that does not fit.
    fn knows(&self, sql: &str) -> bool {
        self.resting.lock().get(sql).is_some_and(|plans| !plans.is_empty())
    }

    fn take(&self, context: &Context, sql: &str) -> Option<(Arc<str>, Plan)> {
        let mut resting = self.resting.lock();
        let (text, _) = resting.get_key_value(sql)?;
        let text = Arc::clone(text);
        let plans = resting.get_mut(sql)?;
        let at = plans.iter().position(|plan| plan.fits(context))?;
        Some((text, plans.swap_remove(at)))
    }

    /// Whether the text has run before or was prepared; notes that it has.
    pub(crate) fn is_seen(&self, sql: &str) -> bool {
        let mut seen = self.seen.lock();
        if seen.len() >= SEEN_MAX {
            seen.clear();
        }
        !seen.insert(self.hasher.hash_one(sql))
    }
}

impl Plan {
    /// I1.
    fn fits(&self, context: &Context) -> bool {
        let alike = |then: u64, now: u64| {
            let (less, more) = (then.min(now), then.max(now));
            more <= ROWS_SMALL || more <= 2 * less
        };
        let database = &context.scope.shared.database;
        self.schema_version == context.catalog_version()
            && self.settings.plans_like(&context.scope.settings)
            && self.rows.iter().all(|(table, rows)| alike(*rows, database.approximate_rows(*table)))
    }
}

/// The plan as it was before its execution.
fn renewed(
    plan: Arc<dyn ExecutionPlan>,
    task: &TaskContext,
) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let plan = reset_plan_states(plan)?;
    // Joins and scans are connected anew.
    FilterPushdown::new_post_optimization().optimize(plan, task.session_config().options())
}

/// Starts a text from a kept plan, on the caller's thread; `None` where there is none that fits.
pub(crate) fn run(context: &Context, sql: &str) -> Option<Result<Results>> {
    if context.txn().has_ddl() {
        return None;
    }
    let shared = &context.scope.shared;
    let (text, plan) = shared.reuse.take(context, sql)?;
    match context.txn().view() {
        // Scans may open when the next statement has begun.
        Ok(view) => _ = context.scope.view.set(view),
        Err(error) => return Some(Err(error.into())),
    }
    plan.scope.set(Some(Arc::clone(&context.scope)));
    let (physical, task, output) = (Arc::clone(&plan.physical), Arc::clone(&plan.task), plan.output.clone());
    let lease = Lease { shared: Arc::clone(shared), text, plan: Some(plan) };
    Some(run::start(context, physical, task, output, Some(lease)))
}

/// Whether a text has a plan: asked before a transaction is begun for it.
pub(crate) fn knows(shared: &Shared, sql: &str, parameters: &[Value]) -> bool {
    parameters.is_empty() && shared.reuse.knows(sql)
}

/// The lease of a plan that is about to run for the first time and may be kept; `None` where it may not.
pub(crate) fn keep(
    context: &Context,
    sql: &str,
    logical: &LogicalPlan,
    physical: &Arc<dyn ExecutionPlan>,
    task: &Arc<TaskContext>,
    output: &Output,
    state: &SessionState,
) -> Option<Lease> {
    let scope = &context.scope;
    let shared = &scope.shared;
    if !scope.params.is_empty()
        || sql.len() > TEXT_BYTES_MAX
        || context.txn().has_ddl()
        || !shared.reuse.is_seen(sql)
        || !is_immutable(logical)
    {
        return None;
    }
    let (physical, tables) = detached(physical)?;
    let plan = Plan {
        physical,
        task: Arc::clone(task),
        output: output.clone(),
        scope: state.config().options().extensions.get::<ScopeExtension>()?.clone(),
        schema_version: context.catalog_version(),
        settings: Arc::clone(&scope.settings),
        rows: tables.into_iter().map(|id| (id, shared.database.approximate_rows(id))).collect(),
        uses: 0,
    };
    Some(Lease { shared: Arc::clone(shared), text: Arc::from(sql), plan: Some(plan) })
}

/// Whether every function of a plan gives the same for the same arguments, today and tomorrow.
pub(crate) fn is_immutable(plan: &LogicalPlan) -> bool {
    let mut immutable = true;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let volatility = match expr {
                    Expr::ScalarFunction(call) => call.func.signature().volatility,
                    Expr::AggregateFunction(call) => call.func.signature().volatility,
                    Expr::WindowFunction(call) => call.fun.signature().volatility,
                    Expr::Column(_)
                    | Expr::Literal(..)
                    | Expr::Alias(_)
                    | Expr::BinaryExpr(_)
                    | Expr::Like(_)
                    | Expr::SimilarTo(_)
                    | Expr::Not(_)
                    | Expr::IsNotNull(_)
                    | Expr::IsNull(_)
                    | Expr::IsTrue(_)
                    | Expr::IsFalse(_)
                    | Expr::IsUnknown(_)
                    | Expr::IsNotTrue(_)
                    | Expr::IsNotFalse(_)
                    | Expr::IsNotUnknown(_)
                    | Expr::Negative(_)
                    | Expr::Between(_)
                    | Expr::Case(_)
                    | Expr::Cast(_)
                    | Expr::TryCast(_)
                    | Expr::InList(_)
                    | Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::OuterReferenceColumn(..)
                    | Expr::GroupingSet(_) => Volatility::Immutable,
                    // Parameters, variables, and what a later version brings.
                    _ => Volatility::Volatile,
                };
                immutable &= volatility == Volatility::Immutable;
                Ok(if immutable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
            })
        })
    });
    immutable && walked.is_ok()
}

/// The plan with scans that read from whatever transaction runs it, and the tables read; `None` where a node is bound
/// to one execution.
fn detached(plan: &Arc<dyn ExecutionPlan>) -> Option<(Arc<dyn ExecutionPlan>, Vec<ObjectId>)> {
    let (mut tables, mut bound, mut nodes) = (Vec::new(), false, 0);
    let detached = Arc::clone(plan).transform_up(|node| {
        nodes += 1;
        if let Some(scan) = node.downcast_ref::<TableScanExec>() {
            tables.push(scan.table().id);
            return Ok(Transformed::yes(Arc::new(scan.detached()) as Arc<dyn ExecutionPlan>));
        }
        if node.children().is_empty() {
            bound |= !matches!(node.name(), "EmptyExec" | "PlaceholderRowExec");
        }
        bound |= node.name() == "RecursiveQueryExec";
        Ok(Transformed::no(node))
    });
    let detached = detached.ok()?.data;
    (!bound && nodes <= NODES_MAX).then_some((detached, tables))
}
