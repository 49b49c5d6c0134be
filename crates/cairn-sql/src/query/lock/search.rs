//! Which rows a locking clause concerns: a walk through FROM that has the row keys of the tables to lock read beside the
//! query's columns.
//!
//! Views and subqueries in FROM are gone into, as in PostgreSQL: the tables in them are locked, and their row keys handed
//! up, so that only rows that the whole query gives are locked. A subquery with LIMIT, OFFSET or FETCH is run and locked
//! first, whatever the query around it takes of its rows; PostgreSQL does the same.

use cairn_engine::Wait;
use cairn_engine::catalog::{Relation, STORE, ViewDescriptor};
use cairn_engine::table::ROW_KEY;
use datafusion::logical_expr::LogicalPlan;
use sqlparser::ast::{
    Ident, JoinOperator, NonBlock, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, With,
};

use super::{Locked, check_form, check_plan, plan_plain};
use crate::context::Context;
use crate::dml::relations::{column, item, quoted, select_of, table_factor, wildcard_of};
use crate::parse;
use crate::parse::locking::{Locking, Strength};
use crate::parse::only;
use crate::privileges::relations::Reads;
use crate::query::nested;
use crate::session::variables::fold;
use crate::{Error, Result, catalog};

/// What the row keys are called in the plan.
const KEY: &str = "__cairn_lock_";
/// What a table's changed rows are called in place of the table.
const CHANGED: &str = "__cairn_newest_";
/// What a subquery without an alias goes by.
const UNNAMED: &str = "__cairn_sub_";

/// The name of the changed rows of the locked table of that number.
pub(super) fn changed(n: usize) -> String {
    format!("{CHANGED}{n}")
}

/// Finds the tables to lock, has their row keys read behind the query's columns, and writes `*` out, which would show
/// them.
pub(super) fn prepare(context: &Context, query: &mut Query, clauses: &[Locking]) -> Result<Vec<Locked>> {
    let mut search = Search::new(context, query.with.clone(), clauses, Vec::new());
    let select = select_of(query)?;
    search.select(select)?;
    let Search { found, locked, names, .. } = search;
    if let Some(at) = found.iter().position(|found| !found) {
        let clause = &clauses[at];
        if let Some(missing) = clause.of.iter().find(|name| !names.iter().any(|named| named.alias == **name))
        {
            let words = clause.strength.words();
            return Err(Error::new(
                "42P01",
                format!("relation \"{missing}\" in FOR {words} clause not found in FROM clause"),
            ));
        }
    }
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

/// An item of FROM.
struct Named {
    alias: String,
    /// What `*` shows of it, where it has row keys beside that.
    columns: Option<Vec<String>>,
}

/// A walk through the FROM of one SELECT.
struct Search<'s> {
    context: &'s Context,
    /// The WITH of this query and those around it.
    with: Option<With>,
    clauses: &'s [Locking],
    /// Which clauses concern anything.
    found: Vec<bool>,
    /// With what the queries around it lock.
    locked: Vec<Locked>,
    /// What the items of FROM go by, in order.
    names: Vec<Named>,
}

impl<'s> Search<'s> {
    fn new(
        context: &'s Context,
        with: Option<With>,
        clauses: &'s [Locking],
        locked: Vec<Locked>,
    ) -> Search<'s> {
        Search { context, with, clauses, found: vec![false; clauses.len()], locked, names: Vec::new() }
    }

    /// Goes through FROM, and puts the row keys of the tables found behind the columns.
    fn select(&mut self, select: &mut Select) -> Result<()> {
        let first = self.locked.len();
        for from in &mut select.from {
            self.joined(from, false)?;
        }
        let merged = select.from.iter().flat_map(|from| &from.joins).any(|join| {
            use sqlparser::ast::JoinConstraint::{Natural, Using};
            constraint(&join.join_operator).is_some_and(|c| matches!(c, Natural | Using(_)))
        });
        let mut projection = Vec::new();
        for shown in std::mem::take(&mut select.projection) {
            match &shown {
                SelectItem::Wildcard(_) if merged => {
                    return Err(Error::unsupported(
                        "* over JOIN ... USING or NATURAL JOIN with a locking clause",
                    )
                    .with_hint("Write the columns out."));
                }
                SelectItem::Wildcard(_) => {
                    self.names.iter().for_each(|named| projection.extend(named.shown()));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let alias = name.0.last().and_then(|part| part.as_ident()).map(fold);
                    match self.names.iter().find(|named| Some(&named.alias) == alias.as_ref()) {
                        Some(named) => projection.extend(named.shown()),
                        None => projection.push(shown),
                    }
                }
                _ => projection.push(shown),
            }
        }
        for (n, locked) in self.locked.iter().enumerate().skip(first) {
            projection.push(item(column(&locked.alias, &locked.key), &format!("{KEY}{n}")));
        }
        select.projection = projection;
        Ok(())
    }

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
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
            return self.joined(table_with_joins, nullable);
        }
        let alias = match factor {
            TableFactor::Derived { alias, .. }
            | TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => alias.as_ref().map(|alias| fold(&alias.name)),
            _ => None,
        };
        let own = match factor {
            TableFactor::Table { name, args: None, .. } => {
                name.0.last().and_then(|part| part.as_ident()).map(fold)
            }
            _ => None,
        };
        let known_as = alias.or(own).unwrap_or_else(|| format!("{UNNAMED}{}", self.names.len()));
        self.names.push(Named { alias: known_as.clone(), columns: None });
        let Some(asked) = self.asked(&known_as) else { return Ok(()) };
        let named = asked.2;
        match factor {
            TableFactor::Table { args: None, .. } => self.table(factor, known_as, asked, nullable),
            TableFactor::Derived { lateral: true, .. } => {
                Err(Error::unsupported(format!("FOR {} on a LATERAL subquery", self.words()))
                    .with_hint("Name the tables with OF."))
            }
            TableFactor::Derived { .. } if nullable => self.refuse("the nullable side of an outer join"),
            TableFactor::Derived { .. } => self.subquery(factor, known_as, asked),
            TableFactor::NestedJoin { .. } if named => self.refuse("a join"),
            _ if named => self.refuse("a function"),
            _ => Ok(()),
        }
    }

    fn words(&self) -> &'static str {
        self.clauses.first().map_or("UPDATE", |clause| clause.strength.words())
    }

    fn refuse<T>(&self, what: &str) -> Result<T> {
        Err(Error::new("0A000", format!("FOR {} cannot be applied to {what}", self.words())))
    }

    fn table(
        &mut self,
        factor: &mut TableFactor,
        known_as: String,
        asked: (Strength, Wait, bool),
        nullable: bool,
    ) -> Result<()> {
        let TableFactor::Table { name, alias, .. } = factor else { return Ok(()) };
        let (strength, wait, named) = asked;
        let last = name.0.last().and_then(|part| part.as_ident());
        let own = last.map(fold).unwrap_or_default();
        let ctes = self.with.iter().flat_map(|with| &with.cte_tables);
        if name.0.len() == 1 && ctes.map(|cte| fold(&cte.alias.name)).any(|cte| cte == own) {
            return if named { self.refuse("a WITH query") } else { Ok(()) };
        }
        let all = self.context.catalog()?;
        let (schema, table) = catalog::resolve_name(self.context, &all, name)?;
        let table = match all.relation(&schema, &table) {
            Some(Relation::Table(table)) if table.is_partitioned() && only::is_only(name) => {
                return Err(Error::unsupported(format!("FOR {} of ONLY a partitioned table", self.words())));
            }
            Some(Relation::Table(table)) => table,
            Some(Relation::View(_)) if nullable => {
                return self.refuse("the nullable side of an outer join");
            }
            Some(Relation::View(view)) => {
                *factor = definition(&view, alias.take(), &known_as)?;
                return self.subquery(factor, known_as, asked);
            }
            None if table == STORE
                || catalog::is_computed(&schema, &own)
                || last.is_some_and(|ident| ident.quote_style == Some('\'')) =>
            {
                return Err(Error::unsupported(format!("FOR {} on what is no table", self.words()))
                    .with_hint("Name the tables with OF."));
            }
            Some(Relation::Sequence(_)) => return self.refuse("a sequence"),
            // Planning says what is missing.
            _ => return Ok(()),
        };
        if nullable {
            return self.refuse("the nullable side of an outer join");
        }
        if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
            return Err(Error::unsupported("a column list in the alias of a locked table"));
        }
        let mark = Reads::Lock.mark(None);
        *factor = table_factor(catalog::with_row_key_for(&table.schema, &table.name, &mark), &known_as)?;
        if let Some(named) = self.names.last_mut() {
            named.columns = Some(table.live_columns().map(|column| column.name.clone()).collect());
        }
        self.locked.push(Locked { table, alias: known_as, key: ROW_KEY.to_owned(), strength, wait });
        Ok(())
    }

    /// Locks the tables of a subquery in FROM.
    fn subquery(
        &mut self,
        factor: &mut TableFactor,
        known_as: String,
        asked: (Strength, Wait, bool),
    ) -> Result<()> {
        let TableFactor::Derived { subquery, alias, .. } = factor else { return Ok(()) };
        // It locks rows of its own accord, or has none.
        if !matches!(*subquery.body, SetExpr::Select(_) | SetExpr::SetOperation { .. }) {
            return Ok(());
        }
        let (strength, wait, _) = asked;
        let clause = Locking { strength, of: Vec::new(), nonblock: nonblock(wait) };
        check_form(subquery, strength.words())?;
        let mut whole = (**subquery).clone();
        whole.with = self.with_around(&whole);
        whole.locks.clear();
        let plan = plan_plain(self.context, &whole)?;
        check_plan(without_limit(&plan), strength)?;
        if subquery.limit_clause.is_some() || subquery.fetch.is_some() {
            whole.locks.push(clause.written());
            **subquery = nested::locked(self.context, &whole)?;
            return Ok(());
        }
        let first = self.locked.len();
        let clauses = [clause];
        let mut inner =
            Search::new(self.context, whole.with.take(), &clauses, std::mem::take(&mut self.locked));
        inner.select(select_of(subquery)?)?;
        self.locked = inner.locked;
        if self.locked.len() == first {
            return Ok(());
        }
        for (n, locked) in self.locked.iter_mut().enumerate().skip(first) {
            (locked.alias, locked.key) = (known_as.clone(), format!("{KEY}{n}"));
        }
        let given = alias.as_ref().map(|alias| alias.columns.len()).unwrap_or_default();
        let mut columns: Vec<String> =
            plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        if given > columns.len() {
            return Err(Error::new(
                "42P10",
                format!(
                    "table \"{known_as}\" has {} columns available but {given} columns specified",
                    columns.len()
                ),
            ));
        }
        let alias = alias.get_or_insert_with(|| plain_alias(&known_as));
        if given > 0 {
            for (column, given) in columns.iter_mut().zip(&alias.columns) {
                *column = fold(&given.name);
            }
            let keys = (first..self.locked.len()).map(|n| format!("{KEY}{n}"));
            alias.columns = columns
                .iter()
                .cloned()
                .chain(keys)
                .map(|name| TableAliasColumnDef { name: quoted(&name), data_type: None })
                .collect();
        }
        if let Some(named) = self.names.last_mut() {
            named.columns = Some(columns);
        }
        Ok(())
    }

    /// The WITH of a query in this one's FROM, with those that it sees.
    fn with_around(&self, query: &Query) -> Option<With> {
        match (&self.with, &query.with) {
            (Some(outer), Some(own)) => {
                let shadowed = |cte: &&sqlparser::ast::Cte| {
                    !own.cte_tables.iter().any(|other| fold(&other.alias.name) == fold(&cte.alias.name))
                };
                let mut with = own.clone();
                with.recursive |= outer.recursive;
                with.cte_tables =
                    outer.cte_tables.iter().filter(shadowed).chain(&own.cte_tables).cloned().collect();
                Some(with)
            }
            (outer, own) => own.as_ref().or(outer.as_ref()).cloned(),
        }
    }
}

impl Named {
    /// What `*` means of it.
    fn shown(&self) -> Vec<SelectItem> {
        match &self.columns {
            Some(columns) => {
                columns.iter().map(|name| SelectItem::UnnamedExpr(column(&self.alias, name))).collect()
            }
            None => vec![wildcard_of(&self.alias)],
        }
    }
}

/// The plan below LIMIT and OFFSET.
fn without_limit(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Limit(limit) => &limit.input,
        other => other,
    }
}

fn nonblock(wait: Wait) -> Option<NonBlock> {
    match wait {
        Wait::Block => None,
        Wait::SkipLocked => Some(NonBlock::SkipLocked),
        Wait::NoWait => Some(NonBlock::Nowait),
    }
}

fn plain_alias(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: quoted(name), columns: Vec::new(), at: None }
}

/// The query of a view, as a subquery in FROM.
fn definition(view: &ViewDescriptor, alias: Option<TableAlias>, known_as: &str) -> Result<TableFactor> {
    let Statement::Query(query) = parse::parse_text(&view.sql)? else {
        return Err(Error::new("XX001", format!("the definition of view \"{}\" is not a query", view.name)));
    };
    let mut alias = alias.unwrap_or_else(|| plain_alias(known_as));
    let given = alias.columns.len();
    let own = view
        .columns
        .iter()
        .skip(given)
        .map(|column| TableAliasColumnDef { name: quoted(&column.name), data_type: None });
    alias.columns.extend(own);
    Ok(TableFactor::Derived { lateral: false, subquery: query, alias: Some(alias), sample: None })
}

/// Puts the changed rows in the place of each locked table, in the order of [`Search`].
pub(super) fn replace(from: &mut TableWithJoins, next: &mut usize) {
    let relations = std::iter::once(&mut from.relation).chain(from.joins.iter_mut().map(|j| &mut j.relation));
    for relation in relations {
        match relation {
            TableFactor::Table { name, .. } if catalog::is_with_row_key(name) => {
                *name = ObjectName::from(vec![Ident::with_quote('"', changed(*next))]);
                *next += 1;
            }
            TableFactor::NestedJoin { table_with_joins, .. } => replace(table_with_joins, next),
            TableFactor::Derived { subquery, .. } => {
                if let SetExpr::Select(select) = &mut *subquery.body {
                    select.from.iter_mut().for_each(|from| replace(from, next));
                }
            }
            _ => {}
        }
    }
}
