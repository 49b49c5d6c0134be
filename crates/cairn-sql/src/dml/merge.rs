//! MERGE INTO … USING … ON … WHEN [NOT] MATCHED [AND …] THEN ….
//!
//! ```text
//!   source ⟕ target ─→ rows ─→ for each row its first WHEN clause ─→ rows locked ─→ deletes, updates, inserts
//! ```
//! I1. Which clause a row takes, and the new values, are evaluated on rows that take it only.
//! I2. Under Read Committed, where a row that is to be changed has changed since the statement began, it is locked and
//!     the whole is done again on a new snapshot: nothing has been written until then.
//! I3. A row is changed at most once (`21000`).

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use bytes::Bytes;
use cairn_engine::table::{self, ROW_KEY, RowLock};
use cairn_engine::{KeyLock, Table, Wait};
use cairn_types::DataType;
use datafusion::common::DFSchemaRef;
use sqlparser::ast::{
    Expr, Join, JoinConstraint, JoinOperator, Merge, MergeAction, MergeClause, MergeClauseKind,
    MergeInsertExpr, MergeInsertKind, ObjectName, OutputClause, SelectItem, TableFactor, TableWithJoins,
    WildcardAdditionalOptions, With,
};

use super::assign::assign_array;
use super::insert::refuse_generated;
use super::inserter::Inserter;
use super::merge_returning::Done;
use super::relations::{self, Relation, arrow_error, concat, select_of};
use super::target::{batch_of, column_ident, column_place};
use super::update::{Assigned, Changes, assignments, changed_table, sides};
use super::{literal, replace, returning, target};
use crate::context::Context;
use crate::parse::merge as marks;
use crate::parse::names::Overriding;
use crate::privileges::changes;
use crate::privileges::policies::{self, Written};
use crate::privileges::relations::Reads;
use crate::query::plan::Planner;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::trigger::{Event, Firing, differing, follow, regenerated};
use crate::{Error, Result, catalog};

/// How often the rows are looked for anew because others change them.
const ATTEMPTS_MAX: usize = 100;

/// Runs a MERGE.
pub(super) fn run(context: &Context, merge: &Merge, with: Option<&With>) -> Result<StatementResult> {
    let returning = match &merge.output {
        None => None,
        Some(OutputClause::Returning { select_items, .. }) => Some(select_items.as_slice()),
        Some(OutputClause::Output { .. }) => {
            return Err(Error::new("42601", "syntax error at or near \"OUTPUT\""));
        }
    };
    let changed = TableWithJoins { relation: merge.table.clone(), joins: Vec::new() };
    let (name, alias) = changed_table(&changed)?;
    changes::merge(context, merge, with)?;
    let table = target::find(context, name, "MERGE")?;
    let alias = alias.unwrap_or_else(|| table.name.clone());
    if source_name(&merge.source).is_some_and(|source| source == alias) {
        return Err(Error::new("42712", format!("name \"{alias}\" specified more than once"))
            .with_detail("The name is used both as MERGE target table and data source."));
    }
    let clauses = merge.clauses.iter().map(|clause| Clause::read(context, &table, clause));
    let clauses = clauses.collect::<Result<Vec<_>>>()?;
    for when in [When::Matched, When::NotMatched, When::NotMatchedBySource] {
        let mut same = clauses.iter().filter(|clause| clause.when == when);
        let last = same.next_back();
        if last.is_some() && same.any(|clause| clause.condition.is_none()) {
            return Err(Error::new(
                "42601",
                "unreachable WHEN clause specified after unconditional WHEN clause",
            ));
        }
    }
    let mut firings = Firings::of(context, &table, &clauses)?;
    let work = Work { context, table: &table, alias: &alias, merge, with, clauses };
    let mut done = Done::new(returning.is_some());
    firings.begin()?;
    for _ in 0..ATTEMPTS_MAX {
        let joined = work.join()?;
        let taken = work.decide(&joined, false)?;
        let others = work.unmatched()?;
        let left = others.as_ref().map(|others| work.decide(others, true)).transpose()?;
        let rest = others.as_ref().zip(left.as_ref());
        let locked = match rest {
            Some((others, left)) => work.lock(others, left)?,
            None => true,
        };
        if locked && work.lock(&joined, &taken)? {
            let mut rows = work.apply(&joined, &taken, false, &mut firings, &mut done)?;
            if let Some((others, left)) = rest {
                rows += work.apply(others, left, true, &mut firings, &mut done)?;
            }
            firings.finish()?;
            let answer = returning.map(|items| done.returning(&table, &alias, items, &joined)).transpose()?;
            let answer = answer.as_ref().map(|(items, sides)| (items.as_slice(), sides.clone()));
            return returning::finish(context, "MERGE", rows, answer);
        }
        if context.scope.past.is_some() {
            break;
        }
        context.txn().begin_statement()?;
    }
    Err(Error::new("40001", "could not serialize access due to concurrent update")
        .with_hint("The transaction might succeed if retried."))
}

/// What the source is called, where it is one relation.
fn source_name(source: &TableFactor) -> Option<String> {
    match source {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(fold(&alias.name))
        }
        TableFactor::Table { name, alias: None, .. } => name.0.last()?.as_ident().map(fold),
        _ => None,
    }
}

/// Which rows a WHEN clause is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Matched,
    /// Rows of the source that nothing matches.
    NotMatched,
    /// Rows of the target that nothing matches.
    NotMatchedBySource,
}

/// A WHEN clause.
struct Clause {
    when: When,
    condition: Option<Expr>,
    action: Action,
}

enum Action {
    Nothing,
    Delete,
    Update(Vec<Assigned>),
    /// The places given, with what goes there; the others get their defaults.
    Insert(Vec<(usize, Expr)>),
}

impl Clause {
    fn read(context: &Context, table: &Table, clause: &MergeClause) -> Result<Clause> {
        let when = match clause.clause_kind {
            MergeClauseKind::Matched => When::Matched,
            MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => When::NotMatched,
            MergeClauseKind::NotMatchedBySource => When::NotMatchedBySource,
        };
        let action = match &clause.action {
            MergeAction::Delete { .. } => Action::Delete,
            MergeAction::Update(update) => {
                if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                    return Err(Error::new("42601", "syntax error at or near \"WHERE\""));
                }
                let first = update.assignments.first().map(|a| a.target.to_string());
                match first.is_some_and(|target| target.trim_matches('"') == marks::NOTHING) {
                    true => Action::Nothing,
                    false => Action::Update(assignments(context, table, &update.assignments)?),
                }
            }
            MergeAction::Insert(insert) => read_insert(table, insert)?,
        };
        Ok(Clause { when, condition: clause.predicate.clone(), action })
    }
}

fn read_insert(table: &Table, insert: &MergeInsertExpr) -> Result<Action> {
    if insert.insert_predicate.is_some() {
        return Err(Error::new("42601", "syntax error at or near \"WHERE\""));
    }
    let MergeInsertKind::Values(values) = &insert.kind else {
        return Err(Error::new("42601", "syntax error at or near \"ROW\""));
    };
    let [row] = values.rows.as_slice() else {
        return Err(Error::new("42601", "syntax error at or near \",\""));
    };
    let mut columns = insert.columns.as_slice();
    let mark = columns.first().and_then(|name| name.0.first()?.as_ident()).map(|i| i.value.as_str());
    let overriding = match mark {
        Some(marks::NOTHING) => return Ok(Action::Nothing),
        Some(marks::DEFAULTS) => return Ok(Action::Insert(Vec::new())),
        Some(marks::SYSTEM) => Some(Overriding::System),
        Some(marks::USER) => Some(Overriding::User),
        _ => None,
    };
    if overriding.is_some() {
        columns = &columns[1..];
    }
    columns.iter().try_for_each(|name| super::composite::refuse_field(table, name))?;
    let places = places(table, columns)?;
    let exprs = &row.content;
    if exprs.len() > places.len() {
        return Err(Error::new("42601", "INSERT has more expressions than target columns"));
    }
    if exprs.len() < places.len() && !columns.is_empty() {
        return Err(Error::new("42601", "INSERT has more target columns than expressions"));
    }
    let mut given = Vec::new();
    for (place, expr) in places.into_iter().zip(exprs) {
        let draws = overriding == Some(Overriding::User) && table.live_column(place).identity.is_some();
        if draws || literal::is_default(expr) {
            continue;
        }
        if overriding.is_none() || table.live_column(place).generated.is_some() {
            refuse_generated(table, place)?;
        }
        given.push((place, expr.clone()));
    }
    Ok(Action::Insert(given))
}

/// The places that a column list names, or all.
fn places(table: &Table, columns: &[ObjectName]) -> Result<Vec<usize>> {
    if columns.is_empty() {
        return Ok((0..table.live_columns().len()).collect());
    }
    let mut places = Vec::with_capacity(columns.len());
    for name in columns {
        let ident = column_ident(name)?;
        let place = column_place(table, ident)?;
        if places.contains(&place) {
            return Err(Error::new("42701", format!("column \"{}\" specified more than once", fold(ident))));
        }
        places.push(place);
    }
    Ok(places)
}

struct Work<'w> {
    context: &'w Context,
    table: &'w Arc<Table>,
    alias: &'w str,
    merge: &'w Merge,
    with: Option<&'w With>,
    clauses: Vec<Clause>,
}

/// The triggers of what the clauses do.
struct Firings<'c> {
    insert: Option<Firing<'c>>,
    update: Option<Firing<'c>>,
    delete: Option<Firing<'c>>,
}

impl<'c> Firings<'c> {
    fn of(context: &'c Context, table: &Arc<Table>, clauses: &[Clause]) -> Result<Firings<'c>> {
        let has = |wanted: fn(&Action) -> bool| clauses.iter().any(|clause| wanted(&clause.action));
        let one = |wanted: bool, event: Event, changed: &[usize]| match wanted {
            true => Firing::of(context, table, event, changed),
            false => Ok(None),
        };
        let mut changed = Vec::new();
        for clause in clauses {
            if let Action::Update(assigned) = &clause.action {
                changed.extend(replace::changed(table, assigned));
            }
        }
        Ok(Firings {
            insert: one(has(|action| matches!(action, Action::Insert(_))), Event::Insert, &[])?,
            update: one(has(|action| matches!(action, Action::Update(_))), Event::Update, &changed)?,
            delete: one(has(|action| matches!(action, Action::Delete)), Event::Delete, &[])?,
        })
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Firing<'c>> {
        [&mut self.insert, &mut self.update, &mut self.delete].into_iter().flatten()
    }

    fn begin(&mut self) -> Result<()> {
        self.all().try_for_each(Firing::begin)
    }

    fn finish(&mut self) -> Result<()> {
        let mut all: Vec<&mut Firing<'c>> = self.all().collect();
        all.reverse();
        all.iter_mut().try_for_each(|firing| firing.finish_rows())?;
        all.iter_mut().try_for_each(|firing| firing.finish_statement())
    }
}

/// The keys of rows that are kept.
fn keep(keys: &mut Vec<Bytes>, kept: &arrow::array::BooleanArray) {
    let mut at = 0..kept.len();
    keys.retain(|_| at.next().is_some_and(|at| kept.value(at)));
}

/// The rows of source and target: the target's columns, its row key (NULL where nothing matched), the source's.
pub(super) struct Joined {
    pub(super) rows: RecordBatch,
    pub(super) schema: DFSchemaRef,
    /// Columns of the target.
    pub(super) width: usize,
}

impl Joined {
    fn key(&self, row: usize) -> Option<Bytes> {
        let keys = self.rows.column(self.width).as_binary_opt::<i32>()?;
        keys.is_valid(row).then(|| Bytes::copy_from_slice(keys.value(row)))
    }

    fn pick(&self, rows: &[u32]) -> Result<RecordBatch> {
        let rows = UInt32Array::from(rows.to_vec());
        arrow::compute::take_record_batch(&self.rows, &rows).map_err(arrow_error)
    }
}

impl<'w> Work<'w> {
    fn join(&self) -> Result<Joined> {
        let context = self.context;
        let mut query = relations::empty_query()?;
        query.with = self.with.cloned();
        let on = JoinConstraint::On(Expr::clone(&self.merge.on));
        let inserts = self.clauses.iter().any(|clause| clause.when == When::NotMatched);
        let join = Join {
            relation: self.merge.source.clone(),
            global: false,
            join_operator: if inserts { JoinOperator::RightOuter(on) } else { JoinOperator::Inner(on) },
        };
        let mark = Reads::Merge.mark(Some(context.role()));
        let name = catalog::with_row_key_for(&self.table.schema, &self.table.name, &mark);
        let relation = relations::table_factor(name, self.alias)?;
        let select = select_of(&mut query)?;
        select.from.push(TableWithJoins { relation, joins: vec![join] });
        select.projection.push(SelectItem::Wildcard(WildcardAdditionalOptions::default()));
        let state = crate::query::state::of(context);
        let plan = Planner::new(context, &state)?.query(query)?;
        let schema = plan.schema().clone();
        let (output, batches) = context.collect(plan)?;
        let width = self.table.live_columns().len();
        if schema.field(width).name() != ROW_KEY {
            return Err(Error::internal("a row key is not in its place"));
        }
        Ok(Joined { rows: concat(&output, &batches)?, schema, width })
    }

    /// The rows of the target that nothing of the source matches, where a clause is for them.
    fn unmatched(&self) -> Result<Option<Joined>> {
        if !self.clauses.iter().any(|clause| clause.when == When::NotMatchedBySource) {
            return Ok(None);
        }
        let mut query = relations::empty_query()?;
        let select = select_of(&mut query)?;
        select.from.push(TableWithJoins { relation: self.merge.source.clone(), joins: Vec::new() });
        select.selection = Some(Expr::clone(&self.merge.on));
        let one =
            relations::item(Expr::Value(sqlparser::ast::Value::Number("1".to_owned(), false).into()), "one");
        select.projection.push(one);
        let nothing = Expr::Exists { subquery: Box::new(query), negated: true };
        let changes = Changes {
            table: self.table,
            alias: self.alias,
            from: &[],
            selection: Some(&nothing),
            with: self.with,
            columns: true,
            all: false,
            extra: &[],
            reads: Reads::Merge,
            role: self.context.role(),
        };
        let found = changes.find(self.context)?;
        let (rows, schema) = found.into_parts();
        Ok(Some(Joined { rows, schema, width: self.table.live_columns().len() }))
    }

    /// What expressions of a clause may name, for those rows.
    fn sides(&self, joined: &Joined, rows: &RecordBatch, matched: bool) -> Result<Vec<Relation>> {
        let source = sides(rows, &joined.schema, joined.width + 1, rows.num_columns())?;
        if !matched {
            return Ok(source);
        }
        let columns = rows.columns()[..joined.width].to_vec();
        let target = batch_of(self.table, columns, rows.num_rows())?;
        let target = Relation { alias: self.alias.to_owned(), rows: target, in_wildcard: true };
        Ok(std::iter::once(target).chain(source).collect())
    }

    /// Values over those sides; of WHEN NOT MATCHED, which does not see the target, with PostgreSQL's words for that.
    fn evaluate(&self, sides: &[Relation], items: &[SelectItem], matched: bool) -> Result<RecordBatch> {
        let target = format!("column {}.", self.alias);
        relations::evaluate(self.context, sides, items).map_err(|error| {
            match !matched && error.sqlstate() == "42703" && error.message().starts_with(&target) {
                true => Error::new(
                    "42P01",
                    format!("invalid reference to FROM-clause entry for table \"{}\"", self.alias),
                )
                .with_hint(format!(
                    "There is an entry for table \"{}\", but it cannot be referenced from this part of the query.",
                    self.alias
                )),
                false => error,
            }
        })
    }

    /// For each row the clause that it takes; `by_source` where the rows are those that nothing of the source matches.
    fn decide(&self, joined: &Joined, by_source: bool) -> Result<Vec<Option<usize>>> {
        let total = joined.rows.num_rows();
        let keys = joined.rows.column(joined.width);
        let mut taken: Vec<Option<usize>> = vec![None; total];
        for (n, clause) in self.clauses.iter().enumerate() {
            let open = |row: &u32| {
                let row = *row as usize;
                let when = match keys.is_valid(row) {
                    true if by_source => When::NotMatchedBySource,
                    true => When::Matched,
                    false => When::NotMatched,
                };
                taken[row].is_none() && when == clause.when
            };
            let rows: Vec<u32> = (0..total as u32).filter(open).collect();
            let Some(condition) = &clause.condition else {
                rows.iter().for_each(|row| taken[*row as usize] = Some(n));
                continue;
            };
            let picked = joined.pick(&rows)?;
            let matched = clause.when != When::NotMatched;
            let sides = self.sides(joined, &picked, matched)?;
            let items = [relations::item(condition.clone(), "__cairn_when")];
            let values = self.evaluate(&sides, &items, matched)?;
            let ty = DataType::from_field(values.schema().field(0));
            let value = values.column(0);
            if value.data_type().is_null() {
                continue;
            }
            let Some(holds) = value.as_boolean_opt() else {
                let ty = ty.sql_name();
                return Err(Error::new(
                    "42804",
                    format!("argument of WHEN must be type boolean, not type {ty}"),
                ));
            };
            for (at, row) in rows.iter().enumerate() {
                if holds.is_valid(at) && holds.value(at) {
                    taken[*row as usize] = Some(n);
                }
            }
        }
        Ok(taken)
    }

    fn action(&self, taken: Option<usize>) -> &Action {
        taken.map_or(&Action::Nothing, |n| &self.clauses[n].action)
    }

    /// Locks the rows to be changed; whether they are as they were seen.
    fn lock(&self, joined: &Joined, taken: &[Option<usize>]) -> Result<bool> {
        let mut seen = HashSet::new();
        let mut updated: (Vec<Bytes>, KeyLock) = (Vec::new(), KeyLock::NoKeyUpdate);
        let mut deleted: Vec<Bytes> = Vec::new();
        for (row, clause) in taken.iter().enumerate() {
            let keys = match self.action(*clause) {
                Action::Delete => &mut deleted,
                Action::Update(assigned) => {
                    let changed = replace::changed(self.table, assigned);
                    if table::update_lock(self.table, &changed)? == KeyLock::Update {
                        updated.1 = KeyLock::Update;
                    }
                    &mut updated.0
                }
                Action::Insert(_) | Action::Nothing => continue,
            };
            let Some(key) = joined.key(row) else {
                return Err(Error::internal("a matched row has no key"));
            };
            if !seen.insert(key.clone()) || self.context.is_modified(self.table.id, &key) {
                return Err(Error::new("21000", "MERGE command cannot affect row a second time")
                    .with_hint("Ensure that not more than one source row matches any one target row."));
            }
            keys.push(key);
        }
        let txn = self.context.txn();
        if !txn.options().isolation.is_locking() {
            return Ok(true);
        }
        for (keys, mode) in [(deleted, KeyLock::Update), updated] {
            if keys.is_empty() {
                continue;
            }
            let locked = table::lock_rows(txn, self.table, &keys, mode, Wait::Block)?;
            if locked.rows.iter().any(|row| *row != RowLock::Unchanged) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Changes the rows; how many.
    fn apply(
        &self,
        joined: &Joined,
        taken: &[Option<usize>],
        by_source: bool,
        firings: &mut Firings<'w>,
        done: &mut Done,
    ) -> Result<u64> {
        let mut count = 0;
        let order = |action: &Action| match action {
            Action::Delete => 0,
            Action::Update(_) => 1,
            Action::Insert(_) => 2,
            Action::Nothing => 3,
        };
        let of_these = |n: &usize| (self.clauses[*n].when == When::NotMatchedBySource) == by_source;
        let mut clauses: Vec<usize> = (0..self.clauses.len()).filter(of_these).collect();
        clauses.sort_by_key(|n| order(&self.clauses[*n].action));
        for n in clauses {
            let rows: Vec<u32> =
                (0..taken.len() as u32).filter(|row| taken[*row as usize] == Some(n)).collect();
            count += self.run(joined, &self.clauses[n], &rows, firings, done)?;
        }
        Ok(count)
    }

    /// One clause on its rows. Its expressions are planned even where no row takes it, so that what is wrong with
    /// them shows.
    fn run(
        &self,
        joined: &Joined,
        clause: &Clause,
        rows: &[u32],
        firings: &mut Firings<'w>,
        done: &mut Done,
    ) -> Result<u64> {
        let keys: Vec<Bytes> = rows.iter().filter_map(|row| joined.key(*row as usize)).collect();
        match &clause.action {
            Action::Nothing => Ok(0),
            Action::Delete if keys.is_empty() => Ok(0),
            Action::Delete => self.delete(joined, rows, keys, firings.delete.as_mut(), done),
            Action::Update(assigned) => {
                self.update(joined, assigned, rows, keys, firings.update.as_mut(), done)
            }
            Action::Insert(given) => self.insert(joined, given, rows, &mut firings.insert, done),
        }
    }

    fn delete(
        &self,
        joined: &Joined,
        rows: &[u32],
        mut keys: Vec<Bytes>,
        firing: Option<&mut Firing<'_>>,
        done: &mut Done,
    ) -> Result<u64> {
        let context = self.context;
        let mut old = None;
        let mut rows = joined.pick(rows)?;
        if let Some(firing) = &firing {
            let picked = self.target_rows(joined, &rows)?;
            let (_, kept) = firing.before_rows(Some(&picked), None)?;
            keep(&mut keys, &kept);
            firing.check_untouched(&keys)?;
            old = Some(arrow::compute::filter_record_batch(&picked, &kept).map_err(arrow_error)?);
            rows = arrow::compute::filter_record_batch(&rows, &kept).map_err(arrow_error)?;
        }
        let target = self.target_rows(joined, &rows)?;
        policies::verify(context, context.role(), self.table, (Written::MergeDeleted, true), &target)?;
        if done.wanted {
            done.add(joined, &rows, &target, "DELETE");
        }
        let (done, left) = table::delete_with(context.txn(), self.table, &keys, true)?;
        context.note_modified(self.table.id, &keys);
        follow(context, left)?;
        if let Some(firing) = firing {
            firing.changed(old, None);
        }
        Ok(done as u64)
    }

    fn update(
        &self,
        joined: &Joined,
        assigned: &[Assigned],
        rows: &[u32],
        mut keys: Vec<Bytes>,
        firing: Option<&mut Firing<'_>>,
        done: &mut Done,
    ) -> Result<u64> {
        let context = self.context;
        let mut picked = joined.pick(rows)?;
        let sides = self.sides(joined, &picked, true)?;
        let mut new = replace::rows(context, self.table, assigned, &sides[0].rows, &sides)?;
        if keys.is_empty() {
            return Ok(0);
        }
        let mut changed = replace::changed(self.table, assigned);
        let mut old = None;
        if let Some(firing) = &firing {
            let before = self.target_rows(joined, &picked)?;
            let (given, kept) = firing.before_rows(Some(&before), Some(&new))?;
            new = regenerated(context, self.table, given.unwrap_or(new))?;
            keep(&mut keys, &kept);
            firing.check_untouched(&keys)?;
            let before = arrow::compute::filter_record_batch(&before, &kept).map_err(arrow_error)?;
            changed.extend(differing(&before, &new));
            old = Some(before);
            picked = arrow::compute::filter_record_batch(&picked, &kept).map_err(arrow_error)?;
        }
        if done.wanted {
            done.add(joined, &picked, &new, "UPDATE");
        }
        let target = self.target_rows(joined, &picked)?;
        policies::verify(context, context.role(), self.table, (Written::Merged, true), &target)?;
        policies::verify(context, context.role(), self.table, (Written::Updated, true), &new)?;
        let (done, left) = table::update_with(context.txn(), self.table, &keys, &new, &changed, true)?;
        context.note_modified(self.table.id, &keys);
        follow(context, left)?;
        if let Some(firing) = firing {
            firing.changed(old, Some(new));
        }
        Ok(done as u64)
    }

    /// The target's columns of joined rows.
    fn target_rows(&self, joined: &Joined, rows: &RecordBatch) -> Result<RecordBatch> {
        batch_of(self.table, rows.columns()[..joined.width].to_vec(), rows.num_rows())
    }

    fn insert(
        &self,
        joined: &Joined,
        given: &[(usize, Expr)],
        rows: &[u32],
        firing: &mut Option<Firing<'w>>,
        done: &mut Done,
    ) -> Result<u64> {
        let context = self.context;
        let picked = joined.pick(rows)?;
        let mut columns = Vec::with_capacity(given.len());
        if !given.is_empty() {
            let sides = self.sides(joined, &picked, false)?;
            let items: Vec<SelectItem> = given
                .iter()
                .enumerate()
                .map(|(n, (_, expr))| relations::item(expr.clone(), &format!("__cairn_new_{n}")))
                .collect();
            let values = self.evaluate(&sides, &items, false)?;
            for (n, (place, expr)) in given.iter().enumerate() {
                let column = self.table.live_column(*place);
                let from = DataType::from_field(values.schema().field(n));
                let unknown = literal::is_unknown(expr);
                let zone = context.zone();
                columns.push(assign_array(values.column(n), &from, &column.ty, &column.name, unknown, zone)?);
            }
        }
        if rows.is_empty() {
            return Ok(0);
        }
        let places = given.iter().map(|(place, _)| *place).collect();
        let inserter = Inserter::with_firing(context, Arc::clone(self.table), places, firing.take())?;
        let mut inserter = inserter.keeping_rows(done.wanted);
        inserter.push(columns, rows.len())?;
        let count = inserter.count;
        if done.wanted && count > 0 {
            let source = match inserter.kept.first() {
                Some(kept) => arrow::compute::filter_record_batch(&picked, kept).map_err(arrow_error)?,
                None => picked,
            };
            for new in &inserter.rows {
                done.add(joined, &source, new, "INSERT");
            }
        }
        *firing = inserter.into_firing();
        Ok(count)
    }
}
