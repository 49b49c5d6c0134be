//! Ends joins that compare without end and give nothing: their condition looks, each time it is computed, whether anybody
//! still waits for its outcome. (Other operators pause, and are dropped then.)
//!
//! A rule puts the look into the conditions of a plan; an execution collects them ([`begin`]) and ends them when its time is
//! over or its reader is gone.
//!
//! What computes long texts looks between its pieces ([`super::slices`]). Planning looks at every step, on the statement's own
//! thread, whether its transaction's handle was tripped ([`Looking`]).
//!
//! I1: a plan serves one execution at a time, and what belongs to an earlier one does nothing: a look counts executions.

use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use cairn_engine::CancelHandle;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{ColumnarValue, LogicalPlan};
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};

use super::slices::SlicesExec;
use crate::Error;

/// Twice the number of the execution, and 1 more when it is over.
#[derive(Debug, Default)]
pub(super) struct Look(AtomicU64);

impl Look {
    /// A new execution; its number.
    fn begin(&self) -> u64 {
        let number = (self.0.load(Ordering::Relaxed) | 1) + 1;
        self.0.store(number, Ordering::Relaxed);
        number
    }

    fn end(&self, number: u64) {
        // Another execution has begun where that fails (I1).
        let _ = self.0.compare_exchange(number, number + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) & 1 == 1
    }
}

/// What a statement ends with that nobody waits for any more.
pub(super) fn cancelled() -> DataFusionError {
    Error::new("57014", "canceling statement due to user request").into()
}

thread_local! {
    /// What ends the statement that runs on this thread.
    static ENDS: RefCell<Ends> = RefCell::default();
}

/// What may end a statement while it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    handles: Vec<CancelHandle>,
    /// False when the statement is over: its rows may still be read then, and its handles be those of the next.
    running: Arc<AtomicBool>,
    /// Of this statement alone, its rows included; none for what cannot be cancelled.
    token: Option<Token>,
}

/// Set where a statement was cancelled.
pub(crate) type Token = Arc<AtomicBool>;

impl Ends {
    /// Whether it can be cancelled.
    pub(super) fn can_come(&self) -> bool {
        self.token.is_some()
    }

    /// Whether it was cancelled.
    pub(super) fn has_come(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.load(Ordering::Relaxed))
            || self.running.load(Ordering::Relaxed) && self.handles.iter().any(CancelHandle::is_cancelled)
    }
}

/// While it lives, [`look`] fails on this thread once one of the handles is tripped.
#[derive(Debug)]
pub(crate) struct Looking(Ends);

impl Looking {
    /// Until it is dropped; then those before it count again.
    pub(crate) fn at(handles: Vec<CancelHandle>, token: Token) -> Looking {
        Looking(ENDS.replace(Ends { handles, running: Arc::new(AtomicBool::new(true)), token: Some(token) }))
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        ENDS.replace(std::mem::take(&mut self.0)).running.store(false, Ordering::Relaxed);
    }
}

/// What ends the statement that runs on this thread.
pub(super) fn ends() -> Ends {
    ENDS.with_borrow(Clone::clone)
}

/// For long work on a statement's own thread.
///
/// # Errors
/// `57014` where the statement is to end.
pub(crate) fn look() -> DataFusionResult<()> {
    match ENDS.with_borrow(Ends::has_come) {
        true => Err(cancelled()),
        false => Ok(()),
    }
}

/// A rule of the optimizer that looks at each node.
#[derive(Debug)]
pub(super) struct LookingRule(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for LookingRule {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> DataFusionResult<Transformed<LogicalPlan>> {
        look()?;
        self.0.rewrite(plan, config)
    }
}

/// A rule of the analyzer that looks before it begins.
#[derive(Debug)]
pub(super) struct LookingAnalyzer(pub(super) Arc<dyn AnalyzerRule + Send + Sync>);

impl AnalyzerRule for LookingAnalyzer {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        look()?;
        self.0.analyze(plan, config)
    }
}

/// A condition with a look.
#[derive(Debug)]
struct Watched {
    condition: Arc<dyn PhysicalExpr>,
    look: Arc<Look>,
}

/// A condition without the look.
pub(crate) fn condition_of(expr: &Arc<dyn PhysicalExpr>) -> &Arc<dyn PhysicalExpr> {
    expr.downcast_ref::<Watched>().map_or(expr, |watched| &watched.condition)
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}
impl Eq for Watched {}
impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}
impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for Watched {
    fn return_field(&self, schema: &Schema) -> DataFusionResult<FieldRef> {
        self.condition.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DataFusionResult<ColumnarValue> {
        if self.look.is_over() {
            return Err(cancelled());
        }
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let condition = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.condition));
        Ok(Arc::new(Watched { condition, look: Arc::clone(&self.look) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

fn watched(filter: &JoinFilter) -> JoinFilter {
    let condition = Arc::clone(filter.expression());
    let watched = Watched { condition, look: Arc::default() };
    JoinFilter::new(Arc::new(watched), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
}

/// A join's condition without a look: for whoever computes it without [`begin`].
pub(super) fn unwatched(filter: &JoinFilter) -> JoinFilter {
    match filter.expression().downcast_ref::<Watched>() {
        Some(watched) => JoinFilter::new(
            Arc::clone(&watched.condition),
            filter.column_indices().to_vec(),
            Arc::clone(filter.schema()),
        ),
        None => filter.clone(),
    }
}

fn condition(node: &dyn ExecutionPlan) -> Option<&JoinFilter> {
    match node.downcast_ref::<NestedLoopJoinExec>() {
        Some(join) => join.filter(),
        None => node.downcast_ref::<HashJoinExec>()?.filter(),
    }
}

/// A join with a look in its condition.
///
/// # Errors
/// None that a join that stands has.
pub(super) fn watch(node: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let Some(filter) = condition(&*node).map(watched) else { return Ok(node) };
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        return Ok(Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build()?));
    }
    match node.downcast_ref::<HashJoinExec>() {
        Some(join) => join.builder().with_filter(Some(filter)).build_exec(),
        None => Ok(node),
    }
}

/// The looks of an execution.
#[derive(Debug, Clone, Default)]
pub(crate) struct Looks(Vec<(Arc<Look>, u64)>);

impl Looks {
    /// Ends what looks.
    pub(crate) fn end(&self) {
        self.0.iter().for_each(|(look, number)| look.end(*number));
    }

    /// Ends it with the value.
    pub(crate) fn on_drop(&self) -> OnDrop {
        OnDrop(self.clone())
    }
}

/// Ends an execution when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct OnDrop(Looks);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The looks of a plan whose execution begins.
pub(super) fn begin(plan: &Arc<dyn ExecutionPlan>) -> Looks {
    let mut all = Vec::new();
    // Never fails.
    let _ = plan.apply(|node| {
        if let Some(slices) = node.downcast_ref::<SlicesExec>() {
            all.push((Arc::clone(&slices.look), slices.look.begin()));
        }
        let filter = condition(&**node).map(JoinFilter::expression);
        if let Some(watched) = filter.and_then(|filter| filter.downcast_ref::<Watched>()) {
            all.push((Arc::clone(&watched.look), watched.look.begin()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    Looks(all)
}
