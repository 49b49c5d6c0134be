//! Running a query: optimise, make the physical plan, stream its batches to the reader.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use futures::future::{Either, select as select_first};
use sqlparser::ast::{Query, SetExpr};

use super::apply::{self, Which};
use super::output::Output;
use super::plan::Planner;
use super::reuse::Lease;
use crate::context::Context;
use crate::results::{Results, StatementResult};
use crate::runtime::panicked;
use crate::{Error, Result, routine};

/// A SELECT, VALUES or set operation.
pub(crate) fn select(context: &Context, query: &Query, sql: &str) -> Result<StatementResult> {
    match &*query.body {
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => {
            return crate::dml::with_prefix(context, query.with.as_ref(), statement);
        }
        _ => {}
    }
    if let Some((past, query)) = super::past::of(context, query)? {
        let plan = past.plan_query(&query)?;
        return Ok(StatementResult::Rows(past.run(plan)?));
    }
    if !query.locks.is_empty() {
        return Ok(StatementResult::Rows(super::lock::select(context, query)?));
    }
    let state = super::state::of(context);
    let plan = Planner::new(context, &state)?.query(query.clone())?;
    if routine::function::has_effects(&plan)? {
        // Locks are taken, messages sent, and effects are there, when the statement returns, whether its rows are read or not.
        let rows = stream_in(context, &state, &plan)?;
        let schema = rows.schema().clone();
        return Ok(StatementResult::Rows(Results::from_batches(schema, rows.collect()?)));
    }
    let output = Output::of(plan.schema().as_arrow());
    let Planned { physical, applies } = planned(context, &state, &plan)?;
    let task = task_context(context, &state);
    // What an apply remembers, and the snapshot that it reads, are of this execution.
    let lease = match applies {
        true => None,
        false => super::reuse::keep(context, sql, &plan, &physical, &task, &output, &state),
    };
    Ok(StatementResult::Rows(start(context, physical, task, output, lease)?))
}

/// Runs a plan of [`super::plan::query`], or one built on it.
pub(crate) fn stream(context: &Context, plan: LogicalPlan) -> Result<Results> {
    let state = super::state::of(context);
    stream_in(context, &state, &plan)
}

fn stream_in(context: &Context, state: &SessionState, plan: &LogicalPlan) -> Result<Results> {
    let output = Output::of(plan.schema().as_arrow());
    let physical = physical(context, state, plan)?;
    start(context, physical, task_context(context, state), output, None)
}

/// Optimises a plan and makes it physical; where that fails over a subquery, with [`super::apply`] in its place.
pub(crate) fn physical(
    context: &Context,
    state: &SessionState,
    plan: &LogicalPlan,
) -> Result<Arc<dyn ExecutionPlan>> {
    planned(context, state, plan).map(|planned| planned.physical)
}

/// A physical plan.
struct Planned {
    physical: Arc<dyn ExecutionPlan>,
    /// Whether subqueries within are applied row by row: such a plan serves one execution.
    applies: bool,
}

fn planned(context: &Context, state: &SessionState, plan: &LogicalPlan) -> Result<Planned> {
    let subqueries = apply::has_subqueries(plan)?;
    let deep = subqueries && apply::depth(plan)? == apply::DEPTH_MAX;
    let decorrelate = context.scope.settings.methods.decorrelate && !deep;
    let as_it_is = !subqueries
        || decorrelate
            && !apply::gives_outer(plan)?
            && !apply::has_totals(plan)?
            && !apply::tells_unknown(plan)?;
    let mut last = Error::internal("no plan was tried").into();
    let renamed;
    let plan = if subqueries {
        renamed = apply::without_captures(plan.clone())?;
        &renamed
    } else {
        plan
    };
    if as_it_is {
        match attempt(context, state, plan)? {
            Ok(physical) => return Ok(Planned { physical, applies: false }),
            Err(error) if !subqueries => return Err(error.into()),
            Err(error) => last = error,
        }
    }
    let ways: &[Which] = match (deep, decorrelate) {
        (true, _) => &[Which::All],
        (_, true) => &[Which::NotSimple, Which::Correlated],
        _ => &[Which::Correlated],
    };
    for which in ways {
        let outcome = apply::rewrite(context, state, plan.clone(), *which)
            .map_or_else(|error| Ok(Err(error)), |plan| attempt(context, state, &plan))?;
        match outcome {
            Ok(physical) => return Ok(Planned { physical, applies: true }),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

fn attempt(
    context: &Context,
    state: &SessionState,
    plan: &LogicalPlan,
) -> Result<datafusion::error::Result<Arc<dyn ExecutionPlan>>> {
    let optimized = match state.optimize(plan) {
        Ok(optimized) => optimized,
        Err(error) => return Ok(Err(error)),
    };
    context.scope.shared.runtime.wait(state.query_planner().create_physical_plan(&optimized, state))
}

/// A task context with the statement's scope and without function tables, which only decoding plans needs.
pub(crate) fn task_context(context: &Context, state: &SessionState) -> Arc<TaskContext> {
    Arc::new(TaskContext::new(
        None,
        String::new(),
        state.config().clone(),
        Default::default(),
        Default::default(),
        Default::default(),
        Default::default(),
        Arc::clone(context.scope.shared.runtime_env()),
    ))
}

/// Starts a physical plan; its batches come through a bounded queue, and it is cancelled with its reader. The lease is
/// given back at the end.
pub(crate) fn start(
    context: &Context,
    physical: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    output: Output,
    lease: Option<Lease>,
) -> Result<Results> {
    let shared = &context.scope.shared;
    let handle = shared.runtime.handle()?;
    let entered = handle.enter();
    let looks = super::interrupt::begin(&physical);
    let batches = execute_stream(physical, task)?;
    drop(entered);
    let mut batches = batches;
    let begun = match &lease {
        // Nothing on this thread ends with the statement's time.
        Some(_) if deadline_ns(context).is_none() => begin(&mut batches, &output, handle)?,
        _ => Begun::default(),
    };
    if begun.is_over {
        return Ok(Results::from_batches(output.schema(), begun.batches));
    }
    let (results, sender) = Results::channel(output.schema());
    let results = results.interrupting(looks.on_drop());
    for batch in begun.batches {
        // The queue holds more than these.
        let _ = sender.try_send(Ok(batch));
    }
    let deadline = deadline_ns(context);
    let (scope, late) = (Arc::clone(&context.scope), sender.clone());
    let (running, ended) = tokio::sync::oneshot::channel::<()>();
    let rows = handle.spawn(async move {
        let _running = running;
        let task = async {
            loop {
                let gone = std::pin::pin!(sender.closed());
                let Either::Left((Some(batch), _)) = select_first(batches.next(), gone).await else {
                    return;
                };
                let batch = batch.map_err(Error::from).and_then(|batch| output.convert(&batch));
                let failed = batch.is_err();
                if sender.send(batch).await.is_err() || failed {
                    return;
                }
                if let Some(error) = expired(&scope.shared, deadline) {
                    // The reader may be gone: then nobody is told.
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            }
        };
        if let Err(panic) = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(task)).await {
            let _ = sender.send(Err(panicked(&panic))).await;
        }
        // The reader sees the end when nothing of the query is left: the database may be closed then. The plan goes back when its
        // streams are gone.
        drop(batches);
        drop(lease);
        drop(scope);
        drop(sender);
    });
    look_after(context, ended, rows, looks, late.downgrade())?;
    Ok(results)
}

/// Ends a query when its time is over or its statement is cancelled, unless it has `ended` before.
fn look_after(
    context: &Context,
    ended: tokio::sync::oneshot::Receiver<()>,
    rows: tokio::task::JoinHandle<()>,
    looks: super::interrupt::Looks,
    late: tokio::sync::mpsc::WeakSender<Result<RecordBatch>>,
) -> Result<()> {
    let time = match context.scope.settings.statement_timeout_ms {
        0 => None,
        ms => Some(Duration::from_millis(ms)),
    };
    let ends = super::interrupt::ends();
    if time.is_none() && !ends.can_come() {
        return Ok(());
    }
    let end = async move {
        // An operator that gives no batch for long is left where it next pauses; its reader need not wait for that.
        if let Some(error) = watch(ended, time, ends).await {
            // Before the rows' own sender goes: their reader must not take that for their end.
            let late = late.upgrade();
            rows.abort();
            looks.end();
            if let Some(late) = late {
                let _ = late.send(Err(error)).await;
            }
        }
    };
    context.scope.shared.runtime.timers()?.spawn(end);
    Ok(())
}

/// Why a query is to end before it has `ended` on its own: its time is over, or its statement was cancelled.
async fn watch(
    ended: tokio::sync::oneshot::Receiver<()>,
    time: Option<Duration>,
    ends: super::interrupt::Ends,
) -> Option<Error> {
    let over = std::pin::pin!(async {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    });
    let cancelled = std::pin::pin!(async {
        while !ends.has_come() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    match select_first(ended, select_first(over, cancelled)).await {
        Either::Left(_) => None,
        Either::Right((Either::Left(_), _)) => Some(timed_out()),
        Either::Right((Either::Right(_), _)) => Some(super::interrupt::cancelled().into()),
    }
}

/// How often a running query is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Batches that are asked for on the caller's thread, at most.
const FIRST_BATCHES: usize = 2;

/// What an execution gave at once.
#[derive(Default)]
struct Begun {
    batches: Vec<RecordBatch>,
    is_over: bool,
}

/// Runs the beginning of a kept plan on the caller's thread, as far as it does not wait: most are over then.
fn begin(
    stream: &mut SendableRecordBatchStream,
    output: &Output,
    handle: &tokio::runtime::Handle,
) -> Result<Begun> {
    let _entered = handle.enter();
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    let mut begun = Begun::default();
    while begun.batches.len() < FIRST_BATCHES {
        let poll = || stream.poll_next_unpin(&mut task);
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll)) {
            Ok(Poll::Ready(Some(batch))) => begun.batches.push(output.convert(&batch?)?),
            Ok(Poll::Ready(None)) => {
                begun.is_over = true;
                break;
            }
            // Whoever goes on is woken: it asks again first.
            Ok(Poll::Pending) => break,
            Err(panic) => return Err(panicked(&panic)),
        }
    }
    Ok(begun)
}

/// `57014` of a statement whose time is over.
pub(crate) fn timed_out() -> Error {
    Error::new("57014", "canceling statement due to statement timeout")
}

/// When the statement's time is over, in nanoseconds of the monotonic clock.
pub(crate) fn deadline_ns(context: &Context) -> Option<u64> {
    let scope = &context.scope;
    match scope.settings.statement_timeout_ms {
        0 => None,
        ms => Some(scope.shared.database.env().clock().monotonic_nanos() + ms * 1_000_000),
    }
}

/// `57014` where the time is over.
pub(crate) fn expired(shared: &crate::engine::Shared, deadline_ns: Option<u64>) -> Option<Error> {
    let deadline = deadline_ns?;
    (shared.database.env().clock().monotonic_nanos() >= deadline).then(timed_out)
}
