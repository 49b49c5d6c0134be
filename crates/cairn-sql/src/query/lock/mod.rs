//! SELECT … FOR UPDATE and its like: the rows of the tables named are locked as they are read.
//!
//! The query runs with the row keys of those tables beside its columns, without its LIMIT and OFFSET. Its rows are locked in
//! their order, so many as the LIMIT asks for, and no more; those skipped (SKIP LOCKED) or gone do not count. A row that has
//! changed since the statement began (READ COMMITTED only) is looked at again: the query runs over its newest version in place
//! of the table, and gives the row as it is now or none.
//!
//! I1: when the statement returns, all its locks are taken: nothing is locked while results stream.
//! I2: a query whose locking clauses were not acted on is never planned ([`refuse_unread`]).

mod limit;
mod search;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::interleave;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use cairn_engine::table::{self, RowLock};
use cairn_engine::{KeyLock, ReadView, Table, Wait};
use datafusion::logical_expr::LogicalPlan;
use sqlparser::ast::{ObjectName, Query, SelectItem, SetExpr, TableFactor, TableWithJoins};

use self::limit::Limit;
use super::plan::Planner;
use crate::context::Context;
use crate::dml::changed::newest;
use crate::dml::relations::{arrow_error, empty_query, quoted, select_of};
use crate::parse::locking::{Locking, Strength};
use crate::privileges::changes;
use crate::results::Results;
use crate::{Error, Result};

/// A table whose rows are locked.
struct Locked {
    table: Arc<Table>,
    /// Where the query finds the row keys: an item of FROM, and a column of it.
    alias: String,
    key: String,
    strength: Strength,
    wait: Wait,
}

impl Strength {
    fn mode(self) -> KeyLock {
        match self {
            Strength::KeyShare => KeyLock::KeyShare,
            Strength::Share => KeyLock::Share,
            Strength::NoKeyUpdate => KeyLock::NoKeyUpdate,
            Strength::Update => KeyLock::Update,
        }
    }
}

/// Runs a query with locking clauses to its end; its rows are locked (I1).
///
/// # Errors
/// `0A000` and `42P01` as PostgreSQL, `25006`, `40001`, `40P01`, `55P03`, `57014`, and those of the query.
pub(crate) fn select(context: &Context, query: &Query) -> Result<Results> {
    let clauses = clauses(query)?;
    context.require_writable(&format!("SELECT FOR {}", strongest(&clauses).words()))?;
    let mut keyed = query.clone();
    keyed.locks.clear();
    let limit = Limit::take(context, &mut keyed)?;
    let locked = search::prepare(context, &mut keyed, &clauses)?;
    for own in &locked {
        changes::require_lock(context, &own.table)?;
    }
    let plan = plan(context, &keyed, &locked, None).or_else(|error| {
        // The row keys do not go with aggregates: what is wrong shows without them.
        let mut plain = query.clone();
        plain.locks.clear();
        check_plan(&plan_plain(context, &plain)?, strongest(&clauses))?;
        Err(error)
    })?;
    check_plan(&plan, strongest(&clauses))?;
    let mut rows = context.run(plan)?;
    let schema = rows.schema().clone();
    let first_key = schema.fields().len() - locked.len();
    let shown = Arc::new(Schema::new(schema.fields()[..first_key].to_vec()));
    let mut work =
        Work { context, query: &keyed, locked: &locked, first_key, shown: &shown, out: Vec::new() };
    let mut wanted = limit.all();
    while wanted > 0 {
        let Some(batch) = rows.next_batch()? else { break };
        wanted -= work.lock(&batch, wanted)?;
    }
    let batches = limit.cut(work.out);
    Ok(Results::from_batches(shown, batches))
}

/// Refuses a query that is about to be planned although rows are to be locked in it: one in a place where locking is not
/// supported.
///
/// # Errors
/// `0A000`.
pub(crate) fn refuse_unread(query: &Query) -> Result<()> {
    match query.locks.first().and_then(Locking::of) {
        None if query.locks.is_empty() => Ok(()),
        found => {
            let words = found.map_or("UPDATE", |locking| locking.strength.words());
            Err(Error::unsupported(format!("FOR {words} in this place")))
        }
    }
}

fn strongest(clauses: &[Locking]) -> Strength {
    clauses.iter().map(|clause| clause.strength).max().unwrap_or(Strength::Update)
}

/// The locking clauses, and what PostgreSQL refuses with them.
fn clauses(query: &Query) -> Result<Vec<Locking>> {
    let unqualified =
        |words: &str| Error::new("42601", format!("{words} must specify unqualified relation names"));
    let clauses = query
        .locks
        .iter()
        .map(|clause| Locking::of(clause).ok_or_else(|| unqualified(&format!("FOR {}", clause.lock_type))))
        .collect::<Result<Vec<_>>>()?;
    check_form(query, clauses.first().map_or("UPDATE", |clause| clause.strength.words()))?;
    Ok(clauses)
}

/// What PostgreSQL refuses with locking clauses, as far as the text tells.
fn check_form(query: &Query, words: &str) -> Result<()> {
    let refuse = |what: &str| Err(Error::new("0A000", format!("FOR {words} {what}")));
    let select = match &*query.body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { .. } => return refuse("is not allowed with UNION/INTERSECT/EXCEPT"),
        SetExpr::Values(_) => return refuse("cannot be applied to VALUES"),
        _ => return refuse("is not supported here"),
    };
    if select.distinct.is_some() {
        return refuse("is not allowed with DISTINCT clause");
    }
    let grouped = match &select.group_by {
        sqlparser::ast::GroupByExpr::All(_) => true,
        sqlparser::ast::GroupByExpr::Expressions(exprs, _) => !exprs.is_empty(),
    };
    if grouped {
        return refuse("is not allowed with GROUP BY clause");
    }
    if select.having.is_some() {
        return refuse("is not allowed with HAVING clause");
    }
    Ok(())
}

/// What only the plan tells: aggregates, windows and functions that give several rows.
fn check_plan(plan: &LogicalPlan, strength: Strength) -> Result<()> {
    let mut node = plan;
    loop {
        let what = match node {
            LogicalPlan::Aggregate(_) => "aggregate functions",
            LogicalPlan::Window(_) => "window functions",
            LogicalPlan::Unnest(_) => "set-returning functions in the target list",
            LogicalPlan::Distinct(_) => "DISTINCT clause",
            LogicalPlan::Projection(_) | LogicalPlan::Sort(_) | LogicalPlan::Filter(_) => {
                match node.inputs().first() {
                    Some(input) => node = input,
                    None => return Ok(()),
                }
                continue;
            }
            _ => return Ok(()),
        };
        return Err(Error::new("0A000", format!("FOR {} is not allowed with {what}", strength.words())));
    }
}

/// Plans the query; with `newest` over these rows in place of the locked tables.
fn plan(
    context: &Context,
    query: &Query,
    locked: &[Locked],
    newest_of: Option<(&ReadView, &[Vec<Bytes>])>,
) -> Result<LogicalPlan> {
    let Some((view, keys)) = newest_of else { return plan_plain(context, query) };
    let state = super::state::of(context);
    let planner = Planner::new(context, &state)?;
    let mut query = query.clone();
    query.order_by = None;
    let mut next = 0;
    for from in &mut select_of(&mut query)?.from {
        search::replace(from, &mut next);
    }
    for (n, locked) in locked.iter().enumerate() {
        planner.add_source(&search::changed(n), newest(view, &locked.table, &keys[n])?);
    }
    planner.query(query)
}

fn plan_plain(context: &Context, query: &Query) -> Result<LogicalPlan> {
    let state = super::state::of(context);
    Planner::new(context, &state)?.query(query.clone())
}

/// Rows on their way: locked, looked at again, put out.
struct Work<'w> {
    context: &'w Context,
    query: &'w Query,
    locked: &'w [Locked],
    /// Where the row keys begin among the columns.
    first_key: usize,
    shown: &'w SchemaRef,
    out: Vec<RecordBatch>,
}

/// What becomes of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Changed,
    Left,
}

impl Work<'_> {
    /// Locks rows of a batch until `wanted` are put out; how many were.
    fn lock(&mut self, batch: &RecordBatch, wanted: usize) -> Result<usize> {
        let keys: Vec<Vec<Bytes>> = (self.first_key..batch.num_columns())
            .map(|at| match batch.column(at).as_binary_opt::<i32>() {
                Some(keys) => Ok(table::row_keys(keys)),
                None => Err(Error::internal("row keys are not binary")),
            })
            .collect::<Result<_>>()?;
        let (mut done, mut put) = (0, 0);
        while done < batch.num_rows() && put < wanted {
            let end = batch.num_rows().min(done + (wanted - put));
            put += self.lock_rows(batch, &keys, done..end)?;
            done = end;
        }
        Ok(put)
    }

    fn lock_rows(
        &mut self,
        batch: &RecordBatch,
        keys: &[Vec<Bytes>],
        rows: std::ops::Range<usize>,
    ) -> Result<usize> {
        let mut fates = vec![Fate::Kept; rows.len()];
        let mut view = None;
        for (locked, keys) in self.locked.iter().zip(keys) {
            let still: Vec<usize> = (0..fates.len()).filter(|at| fates[*at] != Fate::Left).collect();
            let asked: Vec<Bytes> = still.iter().map(|at| keys[rows.start + at].clone()).collect();
            let txn = self.context.txn();
            let found = table::lock_rows(txn, &locked.table, &asked, locked.strength.mode(), locked.wait)?;
            for (at, row) in still.into_iter().zip(&found.rows) {
                match row {
                    RowLock::Unchanged => {}
                    RowLock::Changed => fates[at] = Fate::Changed,
                    RowLock::Gone | RowLock::Skipped => fates[at] = Fate::Left,
                }
            }
            view = Some(found.view);
        }
        let mut again = Again::default();
        if let (Some(view), true) = (&view, fates.contains(&Fate::Changed)) {
            let changed: Vec<usize> = (0..fates.len()).filter(|at| fates[*at] == Fate::Changed).collect();
            let rows: Vec<usize> = changed.iter().map(|at| rows.start + at).collect();
            again = self.look_again(view, keys, &rows)?;
        }
        let picked: Vec<(usize, usize)> = rows
            .clone()
            .zip(&fates)
            .filter_map(|(row, fate)| match fate {
                Fate::Kept => Some((0, row)),
                Fate::Changed => {
                    again.places.iter().find(|(of, ..)| *of == row).map(|(_, b, at)| (b + 1, *at))
                }
                Fate::Left => None,
            })
            .collect();
        let put = picked.len();
        if put > 0 {
            let sources: Vec<&RecordBatch> = std::iter::once(batch).chain(&again.batches).collect();
            self.out.push(pick(self.shown, &sources, &picked)?);
        }
        Ok(put)
    }

    /// Runs the query over the newest versions of changed rows.
    fn look_again(&self, view: &ReadView, keys: &[Vec<Bytes>], rows: &[usize]) -> Result<Again> {
        let mut again = Again::default();
        let select = match &*self.query.body {
            SetExpr::Select(select) => select,
            _ => return Err(Error::internal("a query is no SELECT")),
        };
        let alone = matches!(select.from.as_slice(), [from] if from.joins.is_empty()
            && matches!(from.relation, TableFactor::Table { .. }));
        // Rows of one table are told apart by their keys; those of a join go one by one.
        let groups: Vec<&[usize]> = if alone { vec![rows] } else { rows.chunks(1).collect() };
        for group in groups {
            let asked: Vec<Vec<Bytes>> =
                keys.iter().map(|keys| group.iter().map(|row| keys[*row].clone()).collect()).collect();
            let plan = plan(self.context, self.query, self.locked, Some((view, &asked)))?;
            for batch in self.context.run(plan)?.collect()? {
                let Some(found) = batch.column(self.first_key).as_binary_opt::<i32>() else {
                    return Err(Error::internal("row keys are not binary"));
                };
                for at in 0..batch.num_rows() {
                    let row = group.iter().find(|row| keys[0][**row] == found.value(at));
                    let Some(row) = row.filter(|row| !again.places.iter().any(|(of, ..)| of == *row)) else {
                        continue;
                    };
                    again.places.push((*row, again.batches.len(), at));
                }
                again.batches.push(batch);
            }
        }
        Ok(again)
    }
}

/// Rows as they are now: the row that it was, the batch, the place.
#[derive(Default)]
struct Again {
    batches: Vec<RecordBatch>,
    places: Vec<(usize, usize, usize)>,
}

/// Those rows of several batches, their first columns.
fn pick(schema: &SchemaRef, batches: &[&RecordBatch], rows: &[(usize, usize)]) -> Result<RecordBatch> {
    let columns = (0..schema.fields().len())
        .map(|at| {
            let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(at).as_ref()).collect();
            interleave(&arrays, rows).map_err(arrow_error)
        })
        .collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(arrow_error)
}

/// The name under which rows that were locked in a subquery are found ([`crate::session`] puts them there).
pub(crate) fn source_query(name: &str) -> Result<Query> {
    let mut query = empty_query()?;
    let select = select_of(&mut query)?;
    select.projection.push(SelectItem::Wildcard(Default::default()));
    let relation = crate::dml::relations::table_factor(ObjectName::from(vec![quoted(name)]), name)?;
    select.from.push(TableWithJoins { relation, joins: Vec::new() });
    Ok(query)
}
