//! `SELECT unnest(a), CASE WHEN c THEN … END AS c FROM t`: the query engine computes what stands beside a set below it, next to the
//! columns that it reads, and cannot tell the two `c` apart. Such a SELECT becomes a subquery whose columns have names of their own.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Visit, VisitMut, Visitor,
    VisitorMut,
};

use super::names::exact;
use super::rewrite::{column_name, take};
use super::sets;
use crate::query::output::UNIQUE_MARK;
use crate::session::variables::fold;

/// Rewrites a query.
pub(super) fn wrap(query: &mut Query) {
    let _ = VisitMut::visit(query, &mut Wrap);
}

struct Wrap;

impl VisitorMut for Wrap {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if query.order_by.is_none()
            && let SetExpr::Select(select) = &mut *query.body
            && is_unclear(select)
            && let Some(outer) = outer(select)
        {
            *query.body = outer;
        }
        ControlFlow::Continue(())
    }
}

/// Whether a set stands beside an expression that is called as a column which the list reads.
fn is_unclear(select: &Select) -> bool {
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return false;
    }
    let mut called = Vec::new();
    let mut has_set = false;
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => has_set |= sets::within(expr),
            SelectItem::ExprWithAlias { expr, alias } => {
                let set = sets::within(expr);
                has_set |= set;
                if !set && !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                    called.push(fold(alias));
                }
            }
            _ => return false,
        }
    }
    if !has_set || called.is_empty() {
        return false;
    }
    let mut read = Columns(HashSet::new());
    let _ = select.projection.iter().try_for_each(|item| Visit::visit(item, &mut read));
    called.iter().any(|name| read.0.contains(name))
}

/// The names of columns.
struct Columns(HashSet<String>);

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.0.extend([fold(ident)]),
            Expr::CompoundIdentifier(parts) => self.0.extend(parts.last().map(fold)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The SELECT around one whose columns are given names of their own.
fn outer(select: &mut Select) -> Option<SetExpr> {
    let Ok(Statement::Query(mut query)) = super::parse_text("SELECT 1 FROM (SELECT 1) AS cairn_sets") else {
        return None;
    };
    let SetExpr::Select(around) = &mut *query.body else { return None };
    around.projection.clear();
    for (at, item) in select.projection.iter_mut().enumerate() {
        let (expr, name) = match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = column_name(expr);
                (take(expr), name)
            }
            SelectItem::ExprWithAlias { expr, alias } => (take(expr), fold(alias)),
            _ => return None,
        };
        let own = exact(&format!("{name}{UNIQUE_MARK}{at}"));
        *item = SelectItem::ExprWithAlias { expr, alias: own.clone() };
        around
            .projection
            .push(SelectItem::ExprWithAlias { expr: Expr::Identifier(own), alias: exact(&name) });
    }
    let part = around.from.first_mut()?;
    let TableFactor::Derived { subquery, .. } = &mut part.relation else { return None };
    let inner = SetExpr::Select(Box::new(select.clone()));
    *subquery.body = inner;
    Some(*query.body)
}
