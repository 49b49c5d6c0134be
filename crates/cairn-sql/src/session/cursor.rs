//! Cursors: DECLARE, FETCH, MOVE, CLOSE.
//!
//! A cursor is a query that has begun: its rows are read as they are fetched, from the state in which DECLARE found the
//! database, and what was read is kept, so that FETCH may go back (not for NO SCROLL).
//!
//! I1. A cursor goes with its transaction; one WITH HOLD stays when that commits.
//! I2. The position is 0 before the first row, the number of rows and one behind the last.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use arrow::array::{RecordBatch, UInt64Array};
use cairn_engine::Transaction;
use sqlparser::ast::{
    CloseCursor, Declare, DeclareType, FetchDirection, Ident, Statement, Value, ValueWithSpan,
};

use super::State;
use super::current_of::{self, Key};
use super::variables::fold;
use crate::context::Context;
use crate::results::{Column, Results, StatementResult};
use crate::{Error, Result};

/// The cursors of a session, by name.
#[derive(Default)]
pub(crate) struct Cursors(HashMap<String, Cursor>);

struct Cursor {
    source: Results,
    /// The key of the one table that it reads, whose columns stand behind its own.
    key: Option<Key>,
    /// What has been read and is kept, from row `dropped` + 1 on.
    batches: Vec<RecordBatch>,
    /// Rows read.
    read: usize,
    /// Rows that are not kept any more.
    dropped: usize,
    ended: bool,
    position: usize,
    /// NO SCROLL.
    forward_only: bool,
    hold: bool,
    /// The transaction that it goes with.
    owner: Option<Weak<Transaction>>,
    /// Savepoints that were set when it was declared.
    depth: usize,
}

/// What DECLARE says.
pub(super) fn read(declare: &Declare) -> Result<(String, bool)> {
    if declare.declare_type != Some(DeclareType::Cursor)
        || declare.data_type.is_some()
        || declare.assignment.is_some()
    {
        return Err(Error::unsupported("this form of DECLARE"));
    }
    if declare.binary == Some(true) {
        return Err(Error::unsupported("a binary cursor"));
    }
    let [name] = declare.names.as_slice() else { return Err(Error::unsupported("this form of DECLARE")) };
    let query = declare.for_query.as_ref().ok_or_else(|| Error::unsupported("this form of DECLARE"))?;
    if query.with.iter().flat_map(|with| &with.cte_tables).any(crate::dml::with::modifies) {
        return Err(Error::new("0A000", "DECLARE CURSOR must not contain data-modifying statements in WITH"));
    }
    if declare.hold == Some(true) && !query.locks.is_empty() {
        return Err(Error::new("0A000", "DECLARE CURSOR WITH HOLD ... FOR UPDATE is not supported")
            .with_detail("Holdable cursors must be READ ONLY."));
    }
    Ok((fold(name), declare.hold == Some(true)))
}

/// Opens a cursor over rows.
pub(super) fn open(
    state: &mut State,
    name: String,
    declare: &Declare,
    source: Results,
    key: Option<Key>,
) -> Result<StatementResult> {
    forget_dead(state);
    if state.cursors.0.contains_key(&name) {
        return Err(Error::new("42P03", format!("cursor \"{name}\" already exists")));
    }
    let block = state.block.as_ref();
    let cursor = Cursor {
        // Who fetches holds the session's state, and a failed FETCH fails the block anyway.
        source: source.without_hook(),
        key,
        batches: Vec::new(),
        read: 0,
        dropped: 0,
        ended: false,
        position: 0,
        forward_only: declare.scroll == Some(false),
        hold: declare.hold == Some(true),
        owner: block.map(|block| Arc::downgrade(&block.txn)),
        depth: block.map_or(0, |block| block.savepoint_count()),
    };
    state.cursors.0.insert(name, cursor);
    Ok(StatementResult::command("DECLARE CURSOR"))
}

/// CLOSE.
pub(super) fn close(state: &mut State, which: &CloseCursor) -> Result<StatementResult> {
    match which {
        CloseCursor::All => state.cursors.0.clear(),
        CloseCursor::Specific { name } => {
            forget_dead(state);
            let name = fold(name);
            if state.cursors.0.remove(&name).is_none() {
                return Err(missing(&name));
            }
        }
    }
    Ok(StatementResult::command("CLOSE CURSOR"))
}

fn missing(name: &str) -> Error {
    Error::new("34000", format!("cursor \"{name}\" does not exist"))
}

/// A block has committed: what is held stays.
pub(super) fn committed(state: &mut State, txn: &Arc<Transaction>) {
    for cursor in state.cursors.0.values_mut() {
        let own = cursor.owner.as_ref().is_some_and(|owner| std::ptr::eq(owner.as_ptr(), Arc::as_ptr(txn)));
        if own && cursor.hold {
            cursor.owner = None;
        }
    }
    forget_dead(state);
}

/// A block has gone back to a savepoint: what was declared since is gone.
pub(super) fn rolled_back_to_savepoint(state: &mut State) {
    let depth = state.block.as_ref().map_or(0, |block| block.savepoint_count());
    state.cursors.0.retain(|_, cursor| cursor.owner.is_none() || cursor.depth < depth);
}

/// DISCARD ALL.
pub(super) fn discard(state: &mut State) {
    state.cursors.0.clear();
}

/// Removes the cursors of transactions that have ended.
fn forget_dead(state: &mut State) {
    let open = state.block.as_ref().map(|block| Arc::as_ptr(&block.txn));
    let alive = |cursor: &Cursor| match &cursor.owner {
        None => true,
        Some(owner) => open.is_some_and(|open| std::ptr::eq(open, owner.as_ptr())),
    };
    state.cursors.0.retain(|_, cursor| alive(cursor));
}

/// Where a FETCH goes.
enum Step {
    /// So many rows on (back where negative); 0 = the row that it stands on.
    By(i64),
    /// All rows to the end.
    ToEnd,
    /// All rows back to the beginning.
    ToStart,
    /// To the row of that number, from the end where negative.
    To(i64),
    /// To the row so far from here.
    From(i64),
}

fn step(direction: &FetchDirection) -> Result<Step> {
    use FetchDirection as D;
    Ok(match direction {
        D::Next => Step::By(1),
        D::Prior => Step::By(-1),
        D::First => Step::To(1),
        D::Last => Step::To(-1),
        D::Count { limit } => Step::By(number(limit)?),
        D::Absolute { limit } => Step::To(number(limit)?),
        D::Relative { limit } => Step::From(number(limit)?),
        D::All | D::ForwardAll => Step::ToEnd,
        D::BackwardAll => Step::ToStart,
        D::Forward { limit } => Step::By(limit.as_ref().map_or(Ok(1), number)?),
        D::Backward { limit } => Step::By(-limit.as_ref().map_or(Ok(1), number)?),
    })
}

fn number(value: &ValueWithSpan) -> Result<i64> {
    match &value.value {
        Value::Number(digits, _) => digits
            .parse::<i32>()
            .map(i64::from)
            .map_err(|_| Error::new("22003", format!("value \"{digits}\" is out of range for type integer"))),
        other => Err(Error::new("42601", format!("syntax error at or near \"{other}\""))),
    }
}

/// FETCH, and MOVE, which gives no rows.
pub(super) fn fetch(
    state: &mut State,
    name: &Ident,
    direction: &FetchDirection,
    moves: bool,
) -> Result<StatementResult> {
    forget_dead(state);
    let name = fold(name);
    let step = step(direction)?;
    let cursor = state.cursors.0.get_mut(&name).ok_or_else(|| missing(&name))?;
    let rows = cursor.go(step)?;
    if moves {
        return Ok(StatementResult::Command { tag: format!("MOVE {}", rows.len()), rows: rows.len() as u64 });
    }
    let mut batches = cursor.pick(&rows)?;
    cursor.forget();
    let mut schema = Arc::clone(cursor.source.schema());
    if let Some(key) = &cursor.key {
        batches = batches.iter().map(|batch| key.without(batch)).collect::<Result<_>>()?;
        schema = key.shown(&schema)?;
    }
    let count = rows.len() as u64;
    Ok(StatementResult::Rows(
        Results::from_batches(schema, batches).with_tag(format!("FETCH {count}"), count),
    ))
}

impl Cursors {
    /// The columns that FETCH gives.
    pub(super) fn columns(&self, name: &str) -> Result<Vec<Column>> {
        let cursor = self.0.get(name).ok_or_else(|| missing(name))?;
        let mut columns = cursor.source.columns().to_vec();
        if let Some(key) = &cursor.key {
            columns.truncate(key.shown(cursor.source.schema())?.fields().len());
        }
        Ok(columns)
    }
}

/// The statement with a condition on the row that a cursor stands on in the place of CURRENT OF.
pub(super) fn located(
    context: &Context,
    state: &mut State,
    statement: &Statement,
    name: &str,
) -> Result<Statement> {
    forget_dead(state);
    let cursor = state.cursors.0.get(name).ok_or_else(|| missing(name))?;
    let stands = (1..=cursor.read).contains(&cursor.position);
    let row = if stands { cursor.pick(&[cursor.position])?.into_iter().next() } else { None };
    current_of::located(context, statement, name, cursor.key.as_ref(), row.as_ref())
}

impl Cursor {
    /// Reads until `row` is there; whether it is.
    fn reach(&mut self, row: usize) -> Result<bool> {
        while self.read < row && !self.ended {
            match self.source.next_batch()? {
                Some(batch) => {
                    self.read += batch.num_rows();
                    self.batches.push(batch);
                }
                None => self.ended = true,
            }
        }
        Ok(row <= self.read)
    }

    /// Moves; the numbers of the rows passed, in the order in which they were.
    fn go(&mut self, step: Step) -> Result<Vec<usize>> {
        let at = self.position;
        match step {
            Step::By(0) | Step::From(0) => Ok(if at > 0 && self.reach(at)? { vec![at] } else { Vec::new() }),
            Step::By(n) if n > 0 => self.forward(at.saturating_add(n as usize)),
            Step::By(n) => self.backward(i64::try_from(at).unwrap_or(i64::MAX).saturating_add(n)),
            Step::ToEnd => self.forward(usize::MAX - 1),
            Step::ToStart => self.backward(0),
            Step::From(n) => {
                let target = i64::try_from(at).unwrap_or(i64::MAX).saturating_add(n);
                self.stand_at(usize::try_from(target).unwrap_or(0))
            }
            Step::To(n) if n >= 0 => self.stand_at(n as usize),
            Step::To(n) => {
                self.reach(usize::MAX)?;
                let target = i64::try_from(self.read).unwrap_or(i64::MAX) + 1 + n;
                self.stand_at(usize::try_from(target).unwrap_or(0))
            }
        }
    }

    /// All rows behind this one up to `last`.
    fn forward(&mut self, last: usize) -> Result<Vec<usize>> {
        let first = self.position + 1;
        let reached = self.reach(last)?;
        let end = if reached { last } else { self.read };
        self.position = if reached { last } else { self.read + 1 };
        Ok((first..=end).collect())
    }

    /// All rows before this one down to `first`, which may lie before the beginning.
    fn backward(&mut self, first: i64) -> Result<Vec<usize>> {
        self.check_scroll()?;
        let at = self.position;
        let lowest = usize::try_from(first).unwrap_or(0);
        self.position = lowest;
        Ok((lowest.max(1)..at).rev().collect())
    }

    fn stand_at(&mut self, target: usize) -> Result<Vec<usize>> {
        if target < self.position {
            self.check_scroll()?;
        }
        let there = self.reach(target)?;
        self.position = if there { target } else { self.read + 1 };
        Ok(if there && target > 0 { vec![target] } else { Vec::new() })
    }

    fn check_scroll(&self) -> Result<()> {
        match self.forward_only {
            true => Err(Error::new("55000", "cursor can only scan forward")
                .with_hint("Declare it with SCROLL option to enable backward scan.")),
            false => Ok(()),
        }
    }

    /// Those rows, which have been read.
    fn pick(&self, rows: &[usize]) -> Result<Vec<RecordBatch>> {
        let arrow_error = |error: arrow::error::ArrowError| Error::internal(error.to_string());
        let mut picked = Vec::new();
        let (Some(first), Some(last)) = (rows.iter().min(), rows.iter().max()) else { return Ok(picked) };
        let mut start = self.dropped;
        for batch in &self.batches {
            let end = start + batch.num_rows();
            let (low, high) = ((*first).max(start + 1), (*last).min(end));
            if low <= high {
                picked.push(batch.slice(low - start - 1, high - low + 1));
            }
            start = end;
        }
        if rows.len() > 1 && rows[0] > rows[1] {
            picked.reverse();
            for batch in &mut picked {
                let order = UInt64Array::from_iter_values((0..batch.num_rows() as u64).rev());
                *batch = arrow::compute::take_record_batch(batch, &order).map_err(arrow_error)?;
            }
        }
        Ok(picked)
    }

    /// Lets go of batches that NO SCROLL never comes back to.
    fn forget(&mut self) {
        while self.forward_only
            && let Some(first) = self.batches.first()
            && self.dropped + first.num_rows() < self.position
        {
            self.dropped += first.num_rows();
            self.batches.remove(0);
        }
    }
}
