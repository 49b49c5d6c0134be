//! JOIN … USING and NATURAL JOIN, said with ON. The columns that they merge are written out where they are named: the left
//! one's, of a right join the right one's, of a full join whichever is not NULL; and `*` lists them first.
//!
//! I1. A SELECT is rewritten where the columns of all that it joins are known, else it is left to the query engine, which
//! knows no merged columns of full joins.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, OrderBy, OrderByKind, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins, Visit,
    VisitMut, Visitor, VisitorMut,
};

use super::names::exact;
use super::rewrite::{call, column_name};
use super::rows_from::JOIN_ALIAS;
use super::scopes::Scopes;
use crate::session::variables::fold;
use crate::{Error, Result};

/// A column that `*` lists.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) name: String,
    /// How it is said.
    expr: Expr,
    /// It is several columns.
    merged: bool,
    /// What USING calls the merged columns.
    alias: Option<String>,
}

/// The alias of merged columns.
fn alias_of(operator: &JoinOperator) -> Option<String> {
    let Some(JoinConstraint::Using(names)) = constraint(operator) else { return None };
    let last = names.last()?.0.last()?.as_ident()?;
    last.value.strip_prefix(JOIN_ALIAS).map(str::to_owned)
}

/// Rewrites a query.
///
/// # Errors
/// `42703` and `42702` for columns of USING that are not there, or more than once.
pub(super) fn resolve(scopes: Scopes<'_>, query: &mut Query) -> Result<()> {
    if Visit::visit(query, &mut Found).is_continue() {
        return Ok(());
    }
    let mut merging = Merging { scopes, open: Vec::new(), ended: None, orders: Vec::new() };
    match VisitMut::visit(query, &mut merging) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Looks for a join that merges columns.
struct Found;

impl Visitor for Found {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.from.iter().any(merges) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn merges(table: &TableWithJoins) -> bool {
    let nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => merges(table_with_joins),
        _ => false,
    };
    nested(&table.relation) || table.joins.iter().any(|join| is_merging(join) || nested(&join.relation))
}

/// Whether a join merges columns.
pub(super) fn is_merging(join: &Join) -> bool {
    matches!(constraint(&join.join_operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::Right(c)
        | JoinOperator::RightOuter(c)
        | JoinOperator::FullOuter(c) => Some(c),
        _ => None,
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::Right(c)
        | JoinOperator::RightOuter(c)
        | JoinOperator::FullOuter(c) => Some(c),
        _ => None,
    }
}

/// Says the joins of a part of FROM with ON; what `*` gives of it, or `None` where that is not known, and perhaps some
/// joins were said and some not.
pub(super) fn said(scopes: &Scopes<'_>, table: &mut TableWithJoins) -> Result<Option<Vec<Shown>>> {
    let Some(mut left) = part(scopes, &mut table.relation)? else { return Ok(None) };
    for join in &mut table.joins {
        let Some(right) = part(scopes, &mut join.relation)? else { return Ok(None) };
        left = joined(&mut join.join_operator, left, right)?;
    }
    Ok(Some(left))
}

fn part(scopes: &Scopes<'_>, factor: &mut TableFactor) -> Result<Option<Vec<Shown>>> {
    if let TableFactor::NestedJoin { table_with_joins, alias } = factor {
        let merging = merges(table_with_joins);
        let inner = said(scopes, table_with_joins)?;
        let Some(alias) = alias.take() else { return Ok(inner) };
        let Some(inner) = inner else {
            *factor =
                TableFactor::NestedJoin { table_with_joins: table_with_joins.clone(), alias: Some(alias) };
            return Ok(None);
        };
        let name = exact(&fold(&alias.name));
        let mut names: Vec<String> = inner.iter().map(|column| column.name.clone()).collect();
        for (column, new) in names.iter_mut().zip(&alias.columns) {
            *column = fold(&new.name);
        }
        // What the alias hides are the merged columns' own.
        *factor = match merging {
            true => listed(factor.clone(), &inner, alias)?,
            false => {
                TableFactor::NestedJoin { table_with_joins: table_with_joins.clone(), alias: Some(alias) }
            }
        };
        return Ok(Some(names.into_iter().map(|column| plain(&name, column)).collect()));
    }
    let item = scopes.item(factor);
    if item.name.is_empty() {
        // Nothing to say its columns by, unless it gets a name.
        let TableFactor::Derived { alias: alias @ None, .. } = factor else { return Ok(None) };
        let Some(columns) = item.columns else { return Ok(None) };
        let name = exact(&scopes.new_name());
        *alias = Some(TableAlias { explicit: true, name: name.clone(), columns: Vec::new(), at: None });
        return Ok(Some(columns.into_iter().map(|column| plain(&name, column)).collect()));
    }
    let name = exact(&item.name);
    Ok(item.columns.map(|columns| columns.into_iter().map(|column| plain(&name, column)).collect()))
}

/// A join as a subquery that gives what it shows.
fn listed(factor: TableFactor, shown: &[Shown], alias: TableAlias) -> Result<TableFactor> {
    let Some(mut query) = super::scopes::all_of(&factor) else {
        return Err(Error::internal("a query is parsed as something else"));
    };
    if let SetExpr::Select(select) = &mut *query.body {
        list(select, shown);
    }
    Ok(TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None })
}

fn plain(table: &Ident, name: String) -> Shown {
    let expr = Expr::CompoundIdentifier(vec![table.clone(), exact(&name)]);
    Shown { name, expr, merged: false, alias: None }
}

/// What a join shows; its constraint becomes ON.
fn joined(operator: &mut JoinOperator, left: Vec<Shown>, right: Vec<Shown>) -> Result<Vec<Shown>> {
    let names: Vec<String> = match constraint(operator) {
        Some(JoinConstraint::Using(names)) => {
            let names = names.iter().filter_map(|name| name.0.last()?.as_ident()).map(fold);
            names.filter(|name| !name.starts_with(JOIN_ALIAS)).collect()
        }
        Some(JoinConstraint::Natural) => {
            let common = |column: &&Shown| right.iter().any(|other| other.name == column.name);
            left.iter().filter(common).map(|column| column.name.clone()).collect()
        }
        _ => return Ok([left, right].concat()),
    };
    let alias = alias_of(operator);
    let (mut condition, mut merged) = (None, Vec::new());
    for name in &names {
        let (one, other) = (only(&left, name, "left")?, only(&right, name, "right")?);
        let equal = Expr::BinaryOp {
            left: Box::new(one.expr.clone()),
            op: BinaryOperator::Eq,
            right: Box::new(other.expr.clone()),
        };
        condition = Some(match condition {
            None => equal,
            Some(all) => {
                Expr::BinaryOp { left: Box::new(all), op: BinaryOperator::And, right: Box::new(equal) }
            }
        });
        let expr = match operator {
            JoinOperator::FullOuter(_) => call("coalesce", vec![one.expr.clone(), other.expr.clone()]),
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => other.expr.clone(),
            _ => one.expr.clone(),
        };
        merged.push(Shown { name: name.clone(), expr, merged: true, alias: alias.clone() });
    }
    let always = || Expr::Value(sqlparser::ast::Value::Boolean(true).into());
    if let Some(constraint) = constraint_mut(operator) {
        *constraint = JoinConstraint::On(condition.unwrap_or_else(always));
    }
    merged.extend(left.into_iter().chain(right).filter(|column| !names.contains(&column.name)));
    Ok(merged)
}

fn only<'c>(columns: &'c [Shown], name: &str, side: &str) -> Result<&'c Shown> {
    let mut found = columns.iter().filter(|column| column.name == name);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column),
        (Some(_), Some(_)) => Err(Error::new(
            "42702",
            format!("common column name \"{name}\" appears more than once in {side} table"),
        )),
        _ => Err(Error::new(
            "42703",
            format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        )),
    }
}

/// What names mean in a SELECT that is open.
struct Open {
    /// All that `*` lists; `None` where it is not known.
    shown: Option<Vec<Shown>>,
    /// The merged columns that have a name of their own for them.
    aliased: Vec<Shown>,
    /// The names of its result.
    output: Vec<String>,
}

struct Merging<'a> {
    scopes: Scopes<'a>,
    open: Vec<Open>,
    /// The SELECT that ended last.
    ended: Option<Open>,
    /// ORDER BY of the queries that are open, kept away until their SELECT has ended.
    orders: Vec<Option<OrderBy>>,
}

impl Merging<'_> {
    /// The merged columns that a name means.
    fn merged(&self, ident: &Ident) -> Option<&Shown> {
        let name = fold(ident);
        for open in self.open.iter().rev() {
            if let Some(column) = open.shown.as_ref()?.iter().find(|column| column.name == name) {
                return column.merged.then_some(column);
            }
        }
        None
    }

    /// The merged column that `alias.name` means.
    fn of_alias(&self, alias: &Ident, ident: &Ident) -> Option<&Shown> {
        let (alias, name) = (fold(alias), fold(ident));
        self.open
            .iter()
            .rev()
            .flat_map(|open| open.aliased.iter())
            .find(|column| column.name == name && column.alias.as_deref() == Some(alias.as_str()))
    }

    fn open(&mut self, select: &mut Select) -> Result<()> {
        let rewrites = select.from.iter().any(merges);
        let mut shown = Some(Vec::new());
        for table in &mut select.from {
            // All or nothing of a part (I1).
            let mut rewritten = table.clone();
            match said(&self.scopes, &mut rewritten)? {
                Some(columns) => {
                    *table = rewritten;
                    if let Some(shown) = &mut shown {
                        shown.extend(columns);
                    }
                }
                None => shown = None,
            }
        }
        if let Some(shown) = shown.as_ref().filter(|_| rewrites) {
            list(select, shown);
        }
        let output = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) => Some(column_name(expr)),
            SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
            _ => None,
        });
        let output = output.collect();
        let aliased: Vec<Shown> =
            shown.iter().flatten().filter(|column| column.alias.is_some()).cloned().collect();
        if !aliased.is_empty() {
            list_of_alias(select, &aliased);
        }
        self.open.push(Open { shown, aliased, output });
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = item
                && self.merged(ident).is_some()
            {
                let alias = exact(&fold(ident));
                *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(ident.clone()), alias };
            } else if let SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) = item
                && let [alias, ident] = parts.as_slice()
                && self.of_alias(alias, ident).is_some()
            {
                let (expr, alias) = (Expr::CompoundIdentifier(parts.clone()), exact(&fold(ident)));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        Ok(())
    }

    /// Orders by merged columns, but where the result has a column of the name.
    fn order(&mut self, order: &mut OrderBy) -> ControlFlow<Error> {
        let Some(open) = self.ended.take() else { return ControlFlow::Continue(()) };
        let output = open.output.clone();
        self.open.push(open);
        let mut flow = ControlFlow::Continue(());
        if let OrderByKind::Expressions(all) = &mut order.kind {
            for by in all {
                let names_output =
                    matches!(&by.expr, Expr::Identifier(ident) if output.contains(&fold(ident)));
                if !names_output && flow.is_continue() {
                    flow = VisitMut::visit(&mut by.expr, self);
                }
            }
        }
        self.open.pop();
        flow
    }
}

/// Writes `*` out.
fn list(select: &mut Select, shown: &[Shown]) {
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(_) => items.extend(shown.iter().map(|column| {
                let expr = column.expr.clone();
                match column.merged {
                    true => SelectItem::ExprWithAlias { expr, alias: exact(&column.name) },
                    false => SelectItem::UnnamedExpr(expr),
                }
            })),
            other => items.push(other),
        }
    }
    select.projection = items;
}

/// Writes `alias.*` out, and the row of an alias as a value.
fn list_of_alias(select: &mut Select, aliased: &[Shown]) {
    let of = |alias: &str| -> Vec<&Shown> {
        aliased.iter().filter(|column| column.alias.as_deref() == Some(alias)).collect()
    };
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        let columns = match &item {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => name
                .0
                .last()
                .and_then(|part| part.as_ident())
                .map(|ident| of(&fold(ident)))
                .unwrap_or_default(),
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) if !of(&fold(ident)).is_empty() => {
                let row = of(&fold(ident)).iter().map(|column| column.expr.clone()).collect();
                let alias = exact(&fold(ident));
                items.push(SelectItem::ExprWithAlias { expr: call("row", row), alias });
                continue;
            }
            _ => Vec::new(),
        };
        if columns.is_empty() {
            items.push(item);
        }
        items.extend(columns.into_iter().map(|column| SelectItem::ExprWithAlias {
            expr: column.expr.clone(),
            alias: exact(&column.name),
        }));
    }
    select.projection = items;
}

impl VisitorMut for Merging<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.scopes.open(query.with.as_ref());
        let order = query.order_by.take();
        self.orders.push(order);
        self.ended = None;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.scopes.close();
        query.order_by = self.orders.pop().flatten();
        let mut flow = ControlFlow::Continue(());
        if matches!(&*query.body, SetExpr::Select(_))
            && let Some(order) = &mut query.order_by
        {
            flow = self.order(order);
        }
        self.ended = None;
        flow
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        match self.open(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<Error> {
        self.ended = self.open.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Identifier(ident) = expr
            && let Some(column) = self.merged(ident)
        {
            *expr = column.expr.clone();
        } else if let Expr::CompoundIdentifier(parts) = expr
            && let [alias, ident] = parts.as_slice()
            && let Some(column) = self.of_alias(alias, ident)
        {
            *expr = column.expr.clone();
        }
        ControlFlow::Continue(())
    }
}
