//! SELECT … FOR UPDATE and its like: the rows of the tables named are locked as they are read.
//!
//! The query runs with the row keys of those tables beside its columns, without its LIMIT and OFFSET. Its rows are locked in
//! their order, so many as the LIMIT asks for, and no more; those skipped (SKIP LOCKED) or gone do not count. A row that has
//! changed since the statement began (READ COMMITTED only) is looked at again: the query runs over its newest version in place
//! of the table, and gives the row as it is now or none.
//!
//! I1: when the statement returns, all its locks are taken: nothing is locked while results stream.
//! I2: a query whose locking clauses were not acted on is never planned ([`refuse_unread`]).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::interleave;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use cairn_engine::catalog::{PUBLIC, Relation, STORE};
use cairn_engine::table::{self, ROW_KEY, RowLock};
use cairn_engine::{KeyLock, ReadView, Table, Wait};
use cairn_types::Value;
use datafusion::logical_expr::LogicalPlan;
use sqlparser::ast::{
    Expr, Ident, JoinOperator, LimitClause, NonBlock, ObjectName, Query, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableFactor, TableWithJoins,
};

use super::plan::Planner;
use crate::context::Context;
use crate::dml::changed::newest;
use crate::dml::relations::{arrow_error, column, empty_query, item, quoted, select_of};
use crate::parse::locking::{Locking, Strength};
use crate::results::Results;
use crate::session::variables::fold;
use crate::{Error, Result, catalog};

/// What the row keys are called in the plan.
const KEY: &str = "__cairn_lock_";
/// What a table's changed rows are called in place of the table.
const CHANGED: &str = "__cairn_newest_";

/// A table whose rows are locked.
struct Locked {
    table: Arc<Table>,
    alias: String,
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
    let locked = prepare(context, &mut keyed, &clauses)?;
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
    let words = clauses.first().map_or("UPDATE", |clause| clause.strength.words());
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
    Ok(clauses)
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

/// Finds the tables to lock, has their row keys read under [`KEY`], and writes `*` out, which would show them.
fn prepare(context: &Context, query: &mut Query, clauses: &[Locking]) -> Result<Vec<Locked>> {
    let ctes: Vec<String> =
        query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| fold(&cte.alias.name)).collect();
    let mut search = Search {
        context,
        ctes,
        clauses,
        found: vec![false; clauses.len()],
        locked: Vec::new(),
        names: Vec::new(),
    };
    let select = select_of(query)?;
    for from in &mut select.from {
        search.joined(from, false)?;
    }
    let Search { found, locked, names, .. } = search;
    if let Some(at) = found.iter().position(|found| !found) {
        let clause = &clauses[at];
        if let Some(missing) = clause.of.iter().find(|name| !names.contains(name)) {
            let words = clause.strength.words();
            return Err(Error::new(
                "42P01",
                format!("relation \"{missing}\" in FOR {words} clause not found in FROM clause"),
            ));
        }
    }
    let merged = select.from.iter().flat_map(|from| &from.joins).any(|join| {
        use sqlparser::ast::JoinConstraint::{Natural, Using};
        constraint(&join.join_operator).is_some_and(|c| matches!(c, Natural | Using(_)))
    });
    let columns = |alias: &str| -> Vec<SelectItem> {
        match locked.iter().find(|locked| locked.alias == alias) {
            Some(locked) => {
                let live = locked.table.live_columns();
                live.map(|c| SelectItem::UnnamedExpr(column(alias, &c.name))).collect()
            }
            None => vec![crate::dml::relations::wildcard_of(alias)],
        }
    };
    let mut projection = Vec::new();
    for shown in std::mem::take(&mut select.projection) {
        match &shown {
            SelectItem::Wildcard(_) if merged => {
                return Err(Error::unsupported(
                    "* over JOIN ... USING or NATURAL JOIN with a locking clause",
                )
                .with_hint("Write the columns out."));
            }
            SelectItem::Wildcard(_) => names.iter().for_each(|alias| projection.extend(columns(alias))),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                match name.0.last().and_then(|part| part.as_ident()).map(fold) {
                    Some(alias) if locked.iter().any(|locked| locked.alias == alias) => {
                        projection.extend(columns(&alias));
                    }
                    _ => projection.push(shown),
                }
            }
            _ => projection.push(shown),
        }
    }
    for (n, locked) in locked.iter().enumerate() {
        projection.push(item(column(&locked.alias, ROW_KEY), &format!("{KEY}{n}")));
    }
    select.projection = projection;
    Ok(locked)
}

fn constraint(operator: &JoinOperator) -> Option<&sqlparser::ast::JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(c)
        | J::Inner(c)
        | J::Left(c)
        | J::LeftOuter(c)
        | J::Right(c)
        | J::RightOuter(c)
        | J::FullOuter(c)
        | J::CrossJoin(c) => Some(c),
        _ => None,
    }
}

/// A walk through FROM.
struct Search<'s> {
    context: &'s Context,
    ctes: Vec<String>,
    clauses: &'s [Locking],
    /// Which clauses concern anything.
    found: Vec<bool>,
    locked: Vec<Locked>,
    /// What the items of FROM go by, in order.
    names: Vec<String>,
}

impl Search<'_> {
    fn joined(&mut self, from: &mut TableWithJoins, nullable: bool) -> Result<()> {
        use JoinOperator as J;
        let right = |join: &JoinOperator| matches!(join, J::Right(_) | J::RightOuter(_) | J::FullOuter(_));
        let left = |join: &JoinOperator| matches!(join, J::Left(_) | J::LeftOuter(_) | J::FullOuter(_));
        let mut operators: Vec<JoinOperator> =
            from.joins.iter().map(|join| join.join_operator.clone()).collect();
        self.factor(&mut from.relation, nullable || operators.iter().any(right))?;
        operators.reverse();
        for join in &mut from.joins {
            let own = operators.pop();
            let nulls = own.as_ref().is_some_and(left) || operators.iter().any(right);
            self.factor(&mut join.relation, nullable || nulls)?;
        }
        Ok(())
    }

    /// The strength and patience that clauses ask for a name; `None` where none concerns it.
    fn asked(&mut self, name: &str) -> Option<(Strength, Wait, bool)> {
        let mut asked: Option<(Strength, Wait, bool)> = None;
        for (clause, found) in self.clauses.iter().zip(&mut self.found) {
            let named = clause.of.iter().any(|of| of == name);
            if !named && !clause.of.is_empty() {
                continue;
            }
            *found = true;
            let wait = match &clause.nonblock {
                None => Wait::Block,
                Some(NonBlock::SkipLocked) => Wait::SkipLocked,
                Some(NonBlock::Nowait) => Wait::NoWait,
            };
            asked = Some(match asked {
                None => (clause.strength, wait, named),
                // PostgreSQL: NOWAIT goes before SKIP LOCKED, and that before waiting.
                Some((strength, before, was)) => {
                    let wait = match (before, wait) {
                        (Wait::NoWait, _) | (_, Wait::NoWait) => Wait::NoWait,
                        (Wait::SkipLocked, _) | (_, Wait::SkipLocked) => Wait::SkipLocked,
                        _ => Wait::Block,
                    };
                    (strength.max(clause.strength), wait, was || named)
                }
            });
        }
        asked
    }

    fn factor(&mut self, factor: &mut TableFactor, nullable: bool) -> Result<()> {
        let words = self.clauses.first().map_or("UPDATE", |clause| clause.strength.words());
        let refuse =
            |what: &str| Err(Error::new("0A000", format!("FOR {words} cannot be applied to {what}")));
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let own = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
                let known_as = alias.as_ref().map_or_else(|| own.clone(), |alias| fold(&alias.name));
                self.names.push(known_as.clone());
                let Some((strength, wait, named)) = self.asked(&known_as) else { return Ok(()) };
                if name.0.len() == 1 && self.ctes.contains(&own) {
                    return if named { refuse("a WITH query") } else { Ok(()) };
                }
                let all = self.context.catalog()?;
                let (schema, table) = catalog::resolve_name(self.context, &all, name)?;
                let table = match all.relation(&schema, &table) {
                    Some(Relation::Table(table)) => table,
                    Some(Relation::View(_)) => {
                        return Err(Error::unsupported(format!("FOR {words} on a view")));
                    }
                    None if schema == PUBLIC && table == STORE
                        || catalog::is_computed(&schema, &own)
                        || name
                            .0
                            .last()
                            .and_then(|p| p.as_ident())
                            .is_some_and(|i| i.quote_style == Some('\'')) =>
                    {
                        return Err(Error::unsupported(format!("FOR {words} on what is no table"))
                            .with_hint("Name the tables with OF."));
                    }
                    Some(Relation::Sequence(_)) => return refuse("a sequence"),
                    // Planning says what is missing.
                    _ => return Ok(()),
                };
                if nullable {
                    return refuse("the nullable side of an outer join");
                }
                if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
                    return Err(Error::unsupported("a column list in the alias of a locked table"));
                }
                let read = catalog::with_row_key(&table.schema, &table.name);
                *factor = crate::dml::relations::table_factor(read, &known_as)?;
                self.locked.push(Locked { table, alias: known_as, strength, wait });
                Ok(())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.joined(table_with_joins, nullable)
            }
            other => {
                let alias = match other {
                    TableFactor::Derived { alias, .. }
                    | TableFactor::Table { alias, .. }
                    | TableFactor::Function { alias, .. }
                    | TableFactor::UNNEST { alias, .. }
                    | TableFactor::NestedJoin { alias, .. } => alias.as_ref().map(|alias| fold(&alias.name)),
                    _ => None,
                };
                let known_as = alias.unwrap_or_default();
                self.names.push(known_as.clone());
                let asked = self.asked(&known_as);
                match (asked, other) {
                    (Some(_), TableFactor::Derived { .. }) => {
                        Err(Error::unsupported(format!("FOR {words} on a subquery in FROM"))
                            .with_hint("Name the tables with OF, or lock within the subquery."))
                    }
                    (Some((_, _, true)), TableFactor::NestedJoin { .. }) => refuse("a join"),
                    (Some((_, _, true)), _) => refuse("a function"),
                    _ => Ok(()),
                }
            }
        }
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
        replace(from, &mut next);
    }
    for (n, locked) in locked.iter().enumerate() {
        planner.add_source(&format!("{CHANGED}{n}"), newest(view, &locked.table, &keys[n])?);
    }
    planner.query(query)
}

fn plan_plain(context: &Context, query: &Query) -> Result<LogicalPlan> {
    let state = super::state::of(context);
    Planner::new(context, &state)?.query(query.clone())
}

/// Puts the changed rows in the place of each locked table, in the order of [`Search`].
fn replace(from: &mut TableWithJoins, next: &mut usize) {
    let relations = std::iter::once(&mut from.relation).chain(from.joins.iter_mut().map(|j| &mut j.relation));
    for relation in relations {
        match relation {
            TableFactor::Table { name, .. } if catalog::is_with_row_key(name) => {
                *name = ObjectName::from(vec![Ident::with_quote('"', format!("{CHANGED}{next}"))]);
                *next += 1;
            }
            TableFactor::NestedJoin { table_with_joins, .. } => replace(table_with_joins, next),
            _ => {}
        }
    }
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
        let alone = matches!(select.from.as_slice(), [from] if from.joins.is_empty());
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

/// LIMIT and OFFSET.
struct Limit {
    offset: usize,
    count: Option<usize>,
}

impl Limit {
    /// Takes them out of the query.
    fn take(context: &Context, query: &mut Query) -> Result<Limit> {
        let (mut limit, mut offset) = (None, None);
        match query.limit_clause.take() {
            None => {}
            Some(LimitClause::LimitOffset { limit: count, offset: skipped, .. }) => {
                (limit, offset) = (count, skipped.map(|skipped| skipped.value));
            }
            Some(LimitClause::OffsetCommaLimit { offset: skipped, limit: count }) => {
                (limit, offset) = (Some(count), Some(skipped));
            }
        }
        if let Some(fetch) = query.fetch.take() {
            let one = || Expr::Value(sqlparser::ast::Value::Number("1".to_owned(), false).into());
            limit = Some(fetch.quantity.unwrap_or_else(one));
        }
        let count = match limit {
            Some(limit) => number(context, limit, "LIMIT", "2201W")?,
            None => None,
        };
        let offset = match offset {
            Some(offset) => number(context, offset, "OFFSET", "2201X")?.unwrap_or(0),
            None => 0,
        };
        Ok(Limit { offset, count })
    }

    /// Rows to lock: as in PostgreSQL, those that OFFSET passes over too.
    fn all(&self) -> usize {
        self.count.map_or(usize::MAX, |count| count.saturating_add(if count == 0 { 0 } else { self.offset }))
    }

    /// The rows without those that OFFSET passes over.
    fn cut(&self, batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
        let mut skip = self.offset;
        let mut out = Vec::with_capacity(batches.len());
        for batch in batches {
            let here = skip.min(batch.num_rows());
            skip -= here;
            if here < batch.num_rows() {
                out.push(batch.slice(here, batch.num_rows() - here));
            }
        }
        out
    }
}

/// The value of a LIMIT or OFFSET; NULL is none.
fn number(context: &Context, expr: Expr, what: &str, state: &'static str) -> Result<Option<usize>> {
    let mut query = empty_query()?;
    select_of(&mut query)?.projection.push(item(expr, "n"));
    let (schema, batches) = context.collect(context.plan_query(&query)?)?;
    let ty = cairn_types::DataType::from_field(schema.field(0));
    let value = batches.first().map_or(Value::Null, |batch| Value::from_array(batch.column(0), 0, &ty));
    if value.is_null() {
        return Ok(None);
    }
    let number = value
        .as_i64()
        .ok_or_else(|| Error::new("42804", format!("argument of {what} must be type bigint")))?;
    let negative = |_| Error::new(state, format!("{what} must not be negative"));
    usize::try_from(number).map(Some).map_err(negative)
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
