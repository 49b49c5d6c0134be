//! What the names of a SELECT list's columns mean to the rest of the query, where the query engine would not know:
//!
//! - `SELECT t.*, t.a` and `SELECT t.*, t.*` have columns of one name: such stars are written out, so that each column gets a name of its
//!   own later (`parse::rewrite`).
//! - Names and places in DISTINCT ON are the expressions of the list that they mean, there and in ORDER BY.
//! - A name or a place in brackets, `ORDER BY (a)`, is one without.
//! - A name in GROUP BY that means a constant of the list is its place: the query engine takes a number for one.
//! - A name in ORDER BY that several different columns of the list have is ambiguous.
//!
//! I1. A star is written out where the columns of all that it stands for are known, else it is left to the query engine.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableFactor, TableWithJoins, Value, Visit, VisitMut, Visitor,
    VisitorMut,
};

use super::names::exact;
use super::rewrite::{column_name, unique};
use super::scopes::{Item, Scopes};
use crate::session::variables::fold;
use crate::{Error, Result};

/// Says what stands in ORDER BY and DISTINCT ON; before merged columns are written out ([`super::using`]), which only names of FROM are.
pub(super) fn keys(scopes: Scopes<'_>, query: &mut Query) {
    if Visit::visit(query, &mut Found).is_break() {
        let _ = VisitMut::visit(query, &mut Naming::new(scopes, Step::Keys));
    }
}

/// Writes stars out; afterwards.
///
/// # Errors
/// `42702` for an ambiguous name in ORDER BY.
pub(super) fn resolve(scopes: Scopes<'_>, query: &mut Query) -> Result<()> {
    if Visit::visit(query, &mut Found).is_continue() {
        return Ok(());
    }
    match VisitMut::visit(query, &mut Naming::new(scopes, Step::List)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Keys,
    List,
}

/// Looks for a query that may be concerned.
struct Found;

impl Visitor for Found {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = &*query.body else { return ControlFlow::Continue(()) };
        let list = &select.projection;
        let found = (list.len() > 1 && list.iter().any(is_star))
            || matches!(select.distinct, Some(Distinct::On(_)))
            || matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.iter().any(|key| constant(key, list).is_some()))
            || orders(query).iter().any(|order| {
                matches!(order.expr, Expr::Nested(_))
                    || matches!(&order.expr, Expr::Identifier(ident) if called(list, &fold(ident)).count() > 1)
            });
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn orders(query: &Query) -> &[OrderByExpr] {
    match query.order_by.as_ref().map(|order| &order.kind) {
        Some(OrderByKind::Expressions(orders)) => orders,
        _ => &[],
    }
}

fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// What a column of a list is called; `None` of a star.
pub(super) fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(column_name(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        _ => None,
    }
}

fn called<'i>(list: &'i [SelectItem], name: &'i str) -> impl Iterator<Item = &'i SelectItem> {
    list.iter().filter(move |item| name_of(item).is_some_and(|own| own == name))
}

/// A column that a list has.
struct Column {
    name: String,
    /// What it is, with the name of its relation.
    said: String,
    /// The star that it is of, by its place in the list.
    star: Option<usize>,
    item: SelectItem,
}

struct Naming<'a> {
    scopes: Scopes<'a>,
    step: Step,
    /// The subquery that comes next has names for its columns: `(SELECT …) AS q(a, b)`.
    renames: bool,
    /// Of the queries that are open, whether they have.
    renamed: Vec<bool>,
}

impl<'a> Naming<'a> {
    fn new(scopes: Scopes<'a>, step: Step) -> Self {
        Self { scopes, step, renames: false, renamed: Vec::new() }
    }
}

impl Naming<'_> {
    /// The columns of a list; `None` where they are not known (I1).
    fn columns(&self, select: &Select) -> Option<Vec<Column>> {
        let has_star = select.projection.iter().any(is_star);
        let items = if has_star { self.items(&select.from)? } else { Vec::new() };
        let mut columns = Vec::new();
        for (at, item) in select.projection.iter().enumerate() {
            let wanted = match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    let (name, said) = (name_of(item)?, said(expr, &items));
                    columns.push(Column { name, said, star: None, item: item.clone() });
                    continue;
                }
                SelectItem::Wildcard(options) if options.to_string().is_empty() => None,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
                    if options.to_string().is_empty() && name.0.len() == 1 =>
                {
                    Some(fold(name.0.last()?.as_ident()?))
                }
                _ => return None,
            };
            let before = columns.len();
            for item in items.iter().filter(|item| wanted.as_ref().is_none_or(|name| item.name == *name)) {
                for column in item.columns.as_ref()? {
                    let expr = Expr::CompoundIdentifier(vec![exact(&item.name), exact(column)]);
                    let said = said(&expr, &items);
                    let item = SelectItem::UnnamedExpr(expr);
                    columns.push(Column { name: column.clone(), said, star: Some(at), item });
                }
            }
            if columns.len() == before {
                return None;
            }
        }
        Some(columns)
    }

    /// The parts of FROM, if a star gives what they are known to have.
    fn items(&self, from: &[TableWithJoins]) -> Option<Vec<Item>> {
        if !from.iter().all(is_plain) {
            return None;
        }
        let items = self.scopes.items(from);
        items.iter().all(|item| !item.name.is_empty() && item.columns.is_some()).then_some(items)
    }

    fn keys(&self, query: &mut Query) {
        let SetExpr::Select(select) = query.body.as_mut() else { return };
        let mut none = Vec::new();
        let orders = match query.order_by.as_mut().map(|order| &mut order.kind) {
            Some(OrderByKind::Expressions(orders)) => orders,
            _ => &mut none,
        };
        for order in orders.iter_mut() {
            unwrap(&mut order.expr);
        }
        if !matches!(select.distinct, Some(Distinct::On(_))) {
            return;
        }
        let columns = self.columns(select).unwrap_or_else(|| listed(select));
        let Some(Distinct::On(keys)) = &mut select.distinct else { return };
        for key in keys.iter_mut() {
            unwrap(key);
            let Some(expr) = meant(key, &columns) else { continue };
            for order in orders.iter_mut() {
                if order.expr == *key || meant(&order.expr, &columns).is_some_and(|own| own == expr) {
                    order.expr = expr.clone();
                }
            }
            *key = expr;
        }
        let mut seen = HashSet::new();
        keys.retain(|key| seen.insert(key.to_string()));
    }

    /// Names in GROUP BY that mean constants of the list, as places.
    fn constants(&self, select: &mut Select) {
        let list = &select.projection;
        let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return };
        let mut items = None;
        for key in keys.iter_mut() {
            unwrap(key);
            let Some((name, place)) = constant(key, list) else { continue };
            let Some(items) = items.get_or_insert_with(|| self.items(&select.from)) else { return };
            if !items.iter().flat_map(|item| item.columns.iter().flatten()).any(|column| *column == name) {
                *key = Expr::Value(Value::Number(place.to_string(), false).into());
            }
        }
    }

    fn list(&self, query: &mut Query) -> Result<()> {
        let orders = orders(query).to_vec();
        let SetExpr::Select(select) = query.body.as_mut() else { return Ok(()) };
        self.constants(select);
        let list = &select.projection;
        let beside = list.len() > 1 && list.iter().any(is_star);
        let named = |order: &OrderByExpr| matches!(order.expr, Expr::Identifier(_));
        if !beside && !orders.iter().any(named) {
            return Ok(());
        }
        let Some(columns) = self.columns(select) else { return Ok(()) };
        for order in &orders {
            let Expr::Identifier(ident) = &order.expr else { continue };
            let name = fold(ident);
            let mut meant = columns.iter().filter(|column| column.name == name);
            if let Some(first) = meant.next()
                && meant.any(|other| other.said != first.said)
            {
                return Err(Error::new("42702", format!("ORDER BY \"{name}\" is ambiguous")));
            }
        }
        let renamed = self.renamed.last().is_some_and(|renamed| *renamed);
        if beside && collide(&columns, renamed) {
            select.projection = told_apart(columns);
        }
        Ok(())
    }
}

/// The columns of a list before its first star.
fn listed(select: &Select) -> Vec<Column> {
    let items = select.projection.iter().map_while(|item| {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            return None;
        };
        Some(Column { name: name_of(item)?, said: said(expr, &[]), star: None, item: item.clone() })
    });
    items.collect()
}

/// The columns as a list, in which what is there twice has two names.
fn told_apart(columns: Vec<Column>) -> Vec<SelectItem> {
    let mut taken: HashSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    let mut seen = HashSet::new();
    let items = columns.into_iter().map(|Column { name, said, item, .. }| match item {
        SelectItem::UnnamedExpr(expr) if !seen.insert(said) => {
            SelectItem::ExprWithAlias { expr, alias: exact(&unique(&name, &mut taken)) }
        }
        item => item,
    });
    items.collect()
}

/// The name that an expression is, if a list calls a constant so, and its place there.
fn constant(key: &Expr, list: &[SelectItem]) -> Option<(String, usize)> {
    struct Columns;
    impl Visitor for Columns {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let Expr::Identifier(ident) = key else { return None };
    let name = fold(ident);
    let at = list.iter().position(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => {
            fold(alias) == name && Visit::visit(expr, &mut Columns).is_continue()
        }
        _ => false,
    })?;
    (!list[..at].iter().any(is_star)).then_some((name, at + 1))
}

/// Whether two columns have one name that are not of two relations' stars, unless names are given to all.
fn collide(columns: &[Column], renamed: bool) -> bool {
    columns.iter().enumerate().any(|(at, one)| {
        columns[..at].iter().any(|other| {
            one.name == other.name
                && (renamed || one.star.is_none() || other.star.is_none() || one.said == other.said)
                && (one.star.is_some() || other.star.is_some())
        })
    })
}

/// The expression that a name or a place in DISTINCT ON means.
fn meant(key: &Expr, columns: &[Column]) -> Option<Expr> {
    let column = match key {
        Expr::Identifier(ident) => {
            let name = fold(ident);
            let mut named = columns.iter().filter(|column| column.name == name);
            let first = named.next()?;
            // What is ambiguous is told of ORDER BY.
            if named.any(|other| other.said != first.said) {
                return None;
            }
            first
        }
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => columns.get(digits.parse::<usize>().ok()?.checked_sub(1)?)?,
            _ => return None,
        },
        _ => return None,
    };
    match &column.item {
        // A number alone would be a place.
        SelectItem::UnnamedExpr(expr @ Expr::Value(_))
        | SelectItem::ExprWithAlias { expr: expr @ Expr::Value(_), .. } => {
            Some(Expr::Nested(Box::new(expr.clone())))
        }
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
        _ => None,
    }
}

/// An expression by the names of its relations, as far as it is a column.
fn said(expr: &Expr, items: &[Item]) -> String {
    match expr {
        Expr::Nested(inner) => said(inner, items),
        Expr::Identifier(ident) => {
            let name = fold(ident);
            let has = |item: &&Item| item.columns.iter().flatten().any(|column| *column == name);
            match items.iter().find(has) {
                Some(item) => format!("{}.{name}", item.name),
                None => name,
            }
        }
        Expr::CompoundIdentifier(parts) => parts.iter().map(fold).collect::<Vec<_>>().join("."),
        other => other.to_string(),
    }
}

/// A name or a place without the brackets around it.
pub(super) fn unwrap(expr: &mut Expr) {
    let mut inner = &*expr;
    while let Expr::Nested(nested) = inner {
        inner = nested;
    }
    let is_place = matches!(inner, Expr::Value(value) if matches!(value.value, Value::Number(..)));
    if is_place || matches!(inner, Expr::Identifier(_)) {
        *expr = inner.clone();
    }
}

/// Whether a part of FROM is of tables and subqueries alone.
fn is_plain(table: &TableWithJoins) -> bool {
    let plain = |factor: &TableFactor| match factor {
        TableFactor::Table { args, .. } => args.is_none(),
        TableFactor::Derived { .. } => true,
        TableFactor::NestedJoin { table_with_joins, .. } => is_plain(table_with_joins),
        _ => false,
    };
    plain(&table.relation)
        && table.joins.iter().all(|join| plain(&join.relation) && !super::using::is_merging(join))
}

impl VisitorMut for Naming<'_> {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        self.renames = matches!(
            factor,
            TableFactor::Derived { alias: Some(alias), .. } if !alias.columns.is_empty()
        );
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.scopes.open(query.with.as_ref());
        self.renamed.push(std::mem::take(&mut self.renames));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let named = match self.step {
            Step::Keys => {
                self.keys(query);
                Ok(())
            }
            Step::List => self.list(query),
        };
        self.scopes.close();
        self.renamed.pop();
        match named {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}
