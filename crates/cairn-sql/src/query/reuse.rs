//! Physical plans kept for the next execution of the same text, so that a repeated SELECT is neither parsed nor
//! planned again.
//!
//! A text is remembered when it runs for the second time, or for the first time after it was prepared. Its plan is lent to one execution at a time ([`Lease`]) and comes
//! back, made new, when that has ended; an execution that finds none plans for itself. While a plan rests here it
//! holds no transaction: its scans and functions find theirs in the scope that each execution puts in.
//!
//! Kept are plans that the same text must give again: no function that is stable or volatile, only tables of this
//! database as sources, and no recursion. Plans with parameters have slots for them ([`super::slots`]).
//!
//! I1: a plan is used only at the schema version and under the settings that it was made for, and while every
//! table has about the number of rows, and the statistics, that it was made for.

use std::any::Any;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use cairn_engine::ReadView;
use cairn_engine::catalog::ObjectId;
use cairn_engine::table::Access;
use cairn_types::Value;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use parking_lot::Mutex;
use sqlparser::ast::{SetExpr, Statement};

use super::inline::InlinePlan;
use super::output::Output;
use super::plan::Planner;
use super::run;
use super::slots::{self, Shape};
use crate::Result;
use crate::context::{Context, ScopeExtension};
use crate::engine::Shared;
use crate::results::{Column, Results, columns_of};
use crate::runtime::panicked;
use crate::scan::exec::TableScanExec;
use crate::scan::provider::TableScanProvider;
use crate::scan::template::Template;
use crate::session::settings::Settings;

/// Texts with plans at most; beyond, the cache starts anew.
const TEXTS_MAX: usize = 256;
/// Plans of one text at most: executions side by side.
const PLANS_MAX: usize = 4;
/// Runs of a text without its literals that are worth the attempt to plan it; the first is not.
const PLANNED_RUNS: std::ops::RangeInclusive<u8> = 2..=6;
/// Texts known to have run once.
const SEEN_MAX: usize = 4096;
/// Longest text that is remembered, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Plans of one text for parameters that are put in as literals, at most.
const VARIANTS_MAX: usize = 8;
/// Attempts to plan a text for all values of its parameters: the values at hand may not be what it expects.
const FAILURES_MAX: u32 = 4;
/// Nodes of a plan that is kept, at most: starting it recurses on the caller's stack.
const NODES_MAX: usize = 200;
/// Executions after which a plan is made anew, whatever it may have gathered.
const USES_MAX: u32 = 10_000;
/// A plan that keeps nothing but figures is made new after so many executions.
const RENEWED_AFTER: u32 = 64;
/// Nodes that keep nothing but figures, besides scans and filters. (What an aggregate tells scans is in their filters.)
const STATELESS: &[&str] =
    &["ProjectionExec", "GlobalLimitExec", "LocalLimitExec", "AggregateExec", "UnionExec"];
/// Rows below which a table counts as small, whatever the factor by which it grew.
const ROWS_SMALL: u64 = 256;

/// The plans of a database's sessions, by text.
#[derive(Default)]
pub(crate) struct Plans {
    resting: Mutex<HashMap<Arc<str>, Vec<Plan>>>,
    /// What parameters are in texts that have some.
    shapes: Mutex<HashMap<Arc<str>, Known>>,
    hits: AtomicU64,
    inline_hits: AtomicU64,
    seen: Mutex<HashSet<u64>>,
    /// How often texts without their literals went the general way.
    lifted: Mutex<HashMap<u64, u8>>,
    hasher: RandomState,
}

/// What is known of a text with parameters.
#[derive(Clone, Default)]
struct Known {
    shape: Option<Arc<Shape>>,
    /// How often it could not be planned for all values.
    failures: u32,
}

/// A plan at rest.
struct Plan {
    physical: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    /// The same without streams, where it is of that kind.
    inline: Option<InlinePlan>,
    output: Output,
    columns: Arc<[Column]>,
    scope: ScopeExtension,
    /// Of the scans that parameters tell what to read.
    templates: Vec<Arc<Template>>,
    /// Whether an execution leaves nothing in it but figures.
    is_stateless: bool,
    schema_version: u64,
    settings: Arc<Settings>,
    /// Rows of each table when the plan was made, and the number of its statistics.
    rows: Vec<(ObjectId, u64, u64)>,
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
        if !plan.is_stateless || plan.uses.is_multiple_of(RENEWED_AFTER) {
            // Lets go of what the execution has gathered: hash tables, sorted rows, figures.
            let Ok(physical) = renewed(Arc::clone(&plan.physical), &plan.task) else { return };
            plan.physical = physical;
        }
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

    /// Texts with plans, and how often one served.
    pub(crate) fn usage(&self) -> (usize, u64) {
        (self.resting.lock().len(), self.hits.load(Ordering::Relaxed))
    }

    /// Texts with plans that run without streams, and how often one did.
    pub(crate) fn inline_usage(&self) -> (usize, u64) {
        let is_inline = |plan: &Plan| plan.inline.as_ref().is_some_and(InlinePlan::is_worth_it);
        let texts = self.resting.lock().values().filter(|plans| plans.iter().any(is_inline)).count();
        (texts, self.inline_hits.load(Ordering::Relaxed))
    }

    fn shape(&self, sql: &str) -> Option<Arc<Shape>> {
        self.shapes.lock().get(sql).and_then(|known| known.shape.clone())
    }

    /// Remembers what the parameters of a text are, or that this could not be found out.
    fn put_shape(&self, sql: &str, shape: Option<Shape>) {
        let mut shapes = self.shapes.lock();
        if shapes.len() >= TEXTS_MAX {
            shapes.clear();
        }
        let known = shapes.entry(Arc::from(sql)).or_default();
        match shape {
            Some(shape) => known.shape = Some(Arc::new(shape)),
            None => known.failures += 1,
        }
    }

    /// Whether a plan is at rest that could be taken.
    fn has_fitting(&self, context: &Context, key: &str) -> bool {
        self.resting.lock().get(key).is_some_and(|plans| plans.iter().any(|plan| plan.fits(context)))
    }

    fn take(&self, context: &Context, sql: &str) -> Option<(Arc<str>, Plan)> {
        let mut resting = self.resting.lock();
        let (text, _) = resting.get_key_value(sql)?;
        let text = Arc::clone(text);
        let plans = resting.get_mut(sql)?;
        let at = plans.iter().position(|plan| plan.fits(context))?;
        Some((text, plans.swap_remove(at)))
    }

    /// Plans for parameters of that text.
    fn variants(&self, sql: &str) -> usize {
        let prefix = Shape::prefix(sql);
        self.resting.lock().keys().filter(|text| text.starts_with(&prefix)).count()
    }

    /// Whether a text without its literals, which has run, is worth planning; notes that it has run.
    pub(crate) fn is_worth_planning(&self, key: &str, schema_version: u64) -> bool {
        let mut lifted = self.lifted.lock();
        if lifted.len() >= SEEN_MAX {
            lifted.clear();
        }
        let runs = lifted.entry(self.hasher.hash_one((key, schema_version))).or_default();
        *runs = runs.saturating_add(1);
        PLANNED_RUNS.contains(runs)
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
            && self.rows.iter().all(|(table, rows, statistics)| {
                alike(*rows, database.approximate_rows(*table))
                    && *statistics == database.statistics_version(*table)
            })
    }
}

impl Plan {
    /// The rows, where the plan runs without streams and they are few; its scope is in place.
    fn run_inline(&self, view: &ReadView, accesses: &[Access]) -> Option<Result<Results>> {
        let inline = self.inline.as_ref().filter(|inline| inline.is_worth_it())?;
        let run = || -> Result<Option<Vec<RecordBatch>>> {
            let Some(batches) = inline.run(view, accesses)? else { return Ok(None) };
            batches.iter().map(|batch| self.output.convert(batch)).collect::<Result<_>>().map(Some)
        };
        let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(panicked(&panic)));
        let results = |batches| Results::from_parts(self.output.schema(), Arc::clone(&self.columns), batches);
        outcome.map(|batches| batches.map(results)).transpose()
    }
}

/// Rows of tables, and the numbers of their statistics.
fn sizes(shared: &Shared, tables: Vec<ObjectId>) -> Vec<(ObjectId, u64, u64)> {
    let database = &shared.database;
    let size = |id| (id, database.approximate_rows(id), database.statistics_version(id));
    tables.into_iter().map(size).collect()
}

/// Whether executions leave nothing in the nodes of a plan but figures.
fn is_stateless(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let stateful = plan.exists(|node| {
        if let Some(scan) = node.downcast_ref::<TableScanExec>() {
            return Ok(scan.is_narrowed());
        }
        if let Some(filter) = node.downcast_ref::<FilterExec>() {
            return Ok(split_conjunction(filter.predicate()).iter().any(is_dynamic));
        }
        Ok(!STATELESS.contains(&node.name()))
    });
    matches!(stateful, Ok(false))
}

/// Whether a condition is what a join or sort tells while it runs.
pub(super) fn is_dynamic(condition: &&Arc<dyn PhysicalExpr>) -> bool {
    let found = condition.exists(|expr| Ok((expr.as_ref() as &dyn Any).is::<DynamicFilterPhysicalExpr>()));
    found.unwrap_or(false)
}

/// The plan as it was before its execution.
fn renewed(
    plan: Arc<dyn ExecutionPlan>,
    task: &TaskContext,
) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let plan = reset_plan_states(plan)?;
    let plan = plan.transform_up(without_dynamic_filter)?.data;
    // Joins and scans are connected anew.
    FilterPushdown::new_post_optimization().optimize(plan, task.session_config().options())
}

/// A filter without what a join or sort of the execution before has told it, which says nothing of the next one.
fn without_dynamic_filter(
    node: Arc<dyn ExecutionPlan>,
) -> datafusion::error::Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(node)) };
    let (told, own): (Vec<_>, Vec<_>) =
        split_conjunction(filter.predicate()).into_iter().partition(is_dynamic);
    if told.is_empty() {
        return Ok(Transformed::no(node));
    }
    if own.is_empty() && filter.projection().is_none() && filter.fetch().is_none() {
        return Ok(Transformed::yes(Arc::clone(filter.input())));
    }
    let predicate = conjunction(own.into_iter().cloned());
    let filter = FilterExecBuilder::from(filter).with_predicate(predicate).build()?;
    Ok(Transformed::yes(Arc::new(filter)))
}

/// Starts a text from a kept plan, on the caller's thread; `None` where there is none that fits.
pub(crate) fn run(context: &Context, sql: &str, parameters: &[Value]) -> Option<Result<Results>> {
    if context.txn().has_ddl() {
        return None;
    }
    let shared = &context.scope.shared;
    let (key, slots) = match parameters {
        [] => (Cow::Borrowed(sql), None),
        _ => {
            let (key, slots) = shared.reuse.shape(sql)?.bind(sql, parameters)?;
            (Cow::Owned(key), Some(slots))
        }
    };
    let (text, plan) = shared.reuse.take(context, &key)?;
    let view = match context.txn().view() {
        Ok(view) => view,
        Err(error) => return Some(Err(error.into())),
    };
    let accesses = match &slots {
        Some(slots) => plan.templates.iter().map(|template| template.access(slots)).collect(),
        None => Ok(Some(Vec::new())),
    };
    let accesses: Vec<Access> = match accesses {
        Ok(Some(accesses)) => accesses,
        Ok(None) => {
            shared.reuse.put(&text, plan);
            return None;
        }
        Err(error) => return Some(Err(error)),
    };
    shared.reuse.hits.fetch_add(1, Ordering::Relaxed);
    if let Some(slots) = slots {
        _ = context.scope.slots.set(slots);
    }
    plan.scope.set(Some(Arc::clone(&context.scope)));
    if let Some(done) = plan.run_inline(&view, &accesses) {
        plan.scope.set(None);
        shared.reuse.put(&text, plan);
        shared.reuse.inline_hits.fetch_add(1, Ordering::Relaxed);
        return Some(done);
    }
    if let Some(slots) = context.scope.slots.get() {
        let parts = plan.templates.iter().zip(&accesses);
        slots.set_accesses(parts.map(|(template, access)| template.split(&view, access)).collect());
    }
    // Scans may open when the next statement has begun.
    _ = context.scope.view.set(view);
    let (physical, task, output) = (Arc::clone(&plan.physical), Arc::clone(&plan.task), plan.output.clone());
    // Where the statement came here at once, nobody has said that it has begun.
    let begun = (!super::interrupt::ends().can_come()).then(|| {
        let running = context.scope.exchange.lock().running.clone();
        running.begin(&[])
    });
    let lease = Lease { shared: Arc::clone(shared), text, plan: Some(plan) };
    let rows = run::start(context, physical, task, output, Some(lease));
    drop(begun);
    Some(rows)
}

/// Whether a text has a plan: asked before a transaction is begun for it.
pub(crate) fn knows(shared: &Shared, sql: &str, parameters: &[Value]) -> bool {
    if parameters.is_empty() { shared.reuse.knows(sql) } else { shared.reuse.shape(sql).is_some() }
}

/// Plans a query with parameters for its next execution, when it has run a second time. `columns` are those that it
/// gave: the plan has to give the same.
pub(crate) fn keep_with_slots(
    context: &Context,
    sql: &str,
    statement: &Statement,
    columns: &[Column],
) -> Result<()> {
    let shared = &context.scope.shared;
    if context.scope.params.is_empty()
        || !context.scope.settings.methods.plan_cache
        || sql.len() > TEXT_BYTES_MAX
        || context.txn().has_ddl()
        || shared.plans.knows(sql)
        || !is_plain(statement)
        || !shared.reuse.is_seen(sql)
    {
        return Ok(());
    }
    let known = shared.reuse.shapes.lock().get(sql).cloned().unwrap_or_default();
    let is_full = |shape: &Arc<Shape>| !shape.is_all_slots() && shared.reuse.variants(sql) >= VARIANTS_MAX;
    if known.failures >= FAILURES_MAX || known.shape.as_ref().is_some_and(is_full) {
        return Ok(());
    }
    let key = known.shape.as_ref().and_then(|shape| shape.bind(sql, &context.scope.params));
    if key.is_some_and(|(key, _)| shared.reuse.has_fitting(context, &key)) {
        // Its path is another one for these values.
        return Ok(());
    }
    // It has run: what cannot be planned for all values is planned for each.
    let plan = plan_with_slots(context, sql, statement, columns).unwrap_or_default();
    let Some((shape, plan)) = plan else {
        shared.reuse.put_shape(sql, None);
        return Ok(());
    };
    let Some((key, _)) = shape.bind(sql, &context.scope.params) else { return Ok(()) };
    shared.reuse.put_shape(sql, Some(shape));
    shared.reuse.put(&Arc::from(key), plan);
    Ok(())
}

/// Whether a statement is a query that only reads, now, and locks nothing.
fn is_plain(statement: &Statement) -> bool {
    matches!(statement, Statement::Query(query) if !matches!(
        *query.body,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
    )) && super::nested::without(statement).is_none()
        && crate::dml::with::statements(statement).next().is_none()
}

fn plan_with_slots(
    context: &Context,
    sql: &str,
    statement: &Statement,
    columns: &[Column],
) -> Result<Option<(Shape, Plan)>> {
    let params = &context.scope.params;
    let Some(Statement::Query(query)) = slots::with_slots(statement, params) else { return Ok(None) };
    // A scope of its own: the statement's may be without slots.
    let mut scope = context.scope.in_past(context.view()?);
    scope.past = context.scope.past.clone();
    let context = &Context { scope: Arc::new(scope) };
    let state = super::state::of(context);
    let logical = Planner::new(context, &state)?.query(*query)?;
    let Some(shape) = slots::shape(&logical, params.len())? else { return Ok(None) };
    let Some((_, values)) = shape.bind(sql, params) else { return Ok(None) };
    if super::describe::output_columns(&logical) != columns
        || !is_immutable(&logical)
        || !reads_tables(&logical)
    {
        return Ok(None);
    }
    _ = context.scope.slots.set(values);
    let output = Output::of(logical.schema().as_arrow());
    let optimized = slots::with_functions(state.optimize(&logical)?)?;
    let shared = &context.scope.shared;
    let made = shared.runtime.wait(state.query_planner().create_physical_plan(&optimized, &state))??;
    let task = run::task_context(context, &state);
    let Some((physical, tables, templates)) = detached(&made) else { return Ok(None) };
    if templates.iter().any(|template| !template.serves_others()) {
        return Ok(None);
    }
    let scope = state.config().options().extensions.get::<ScopeExtension>().cloned();
    let Some(scope) = scope else { return Ok(None) };
    scope.set(None);
    let plan = Plan {
        is_stateless: is_stateless(&physical),
        inline: InlinePlan::of(&physical),
        columns: columns_of(&output.schema()),
        physical,
        task,
        output,
        scope,
        templates,
        schema_version: context.catalog_version(),
        settings: Arc::clone(&context.scope.settings),
        rows: sizes(shared, tables),
        uses: 0,
    };
    Ok(Some((shape, plan)))
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
        || sql.is_empty()
        || !scope.settings.methods.plan_cache
        || sql.len() > TEXT_BYTES_MAX
        || context.txn().has_ddl()
        || !shared.reuse.is_seen(sql)
        || !is_immutable(logical)
        || !reads_tables(logical)
    {
        return None;
    }
    let (physical, tables, templates) = detached(physical)?;
    let plan = Plan {
        templates,
        is_stateless: is_stateless(&physical),
        inline: InlinePlan::of(&physical),
        columns: columns_of(&output.schema()),
        physical,
        task: Arc::clone(task),
        output: output.clone(),
        scope: state.config().options().extensions.get::<ScopeExtension>()?.clone(),
        schema_version: context.catalog_version(),
        settings: Arc::clone(&scope.settings),
        rows: sizes(shared, tables),
        uses: 0,
    };
    Some(Lease { shared: Arc::clone(shared), text: Arc::from(sql), plan: Some(plan) })
}

/// Whether all that a plan reads are tables of this database. (What is read from others may be a constant by the time that the
/// plan is a physical one, as a count of their rows.)
fn reads_tables(plan: &LogicalPlan) -> bool {
    let mut tables = true;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let own =
                |provider: Arc<dyn TableProvider>| (provider.as_ref() as &dyn Any).is::<TableScanProvider>();
            tables &= source_as_provider(&scan.source).is_ok_and(own);
        }
        Ok(if tables { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    tables && walked.is_ok()
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
                    | Expr::Placeholder(_)
                    | Expr::OuterReferenceColumn(..)
                    | Expr::GroupingSet(_) => Volatility::Immutable,
                    // Variables, and what a later version brings.
                    _ => Volatility::Volatile,
                };
                immutable &= volatility == Volatility::Immutable;
                Ok(if immutable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
            })
        })
    });
    immutable && walked.is_ok()
}

/// A plan that is bound to no execution, the tables that it reads, and the templates of its scans, by their numbers.
type Detached = (Arc<dyn ExecutionPlan>, Vec<ObjectId>, Vec<Arc<Template>>);

/// The plan with scans that read from whatever transaction runs it; `None` where a node is bound to one execution.
fn detached(plan: &Arc<dyn ExecutionPlan>) -> Option<Detached> {
    let (mut tables, mut templates, mut bound, mut nodes) = (Vec::new(), Vec::new(), false, 0);
    let detached = Arc::clone(plan).transform_up(|node| {
        nodes += 1;
        if let Some(scan) = node.downcast_ref::<TableScanExec>() {
            tables.push(scan.table().id);
            let slot = scan.template().map(|template| {
                templates.push(Arc::clone(template));
                templates.len() - 1
            });
            return Ok(Transformed::yes(Arc::new(scan.detached(slot)) as Arc<dyn ExecutionPlan>));
        }
        if node.children().is_empty() {
            bound |= !matches!(node.name(), "EmptyExec" | "PlaceholderRowExec");
        }
        bound |= node.name() == "RecursiveQueryExec";
        Ok(Transformed::no(node))
    });
    let detached = detached.ok()?.data;
    (!bound && nodes <= NODES_MAX).then_some((detached, tables, templates))
}
