//! What a name in ORDER BY means: alone a column of the result where there is one, in an expression or qualified a column of FROM, as in
//! `SELECT -n AS n FROM t ORDER BY t.n` and `… ORDER BY n + 0`. The query engine looks in the result first and calls the rest
//! ambiguous: so the columns of the result that are in the way get names of their own.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, OrderByKind, Query, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Visit,
    Visitor,
};

use super::names::exact;
use super::rewrite::unique;
use crate::Result;
use crate::session::variables::fold;

/// The names in an expression, without what qualifies them.
struct Names(HashSet<String>);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => _ = self.0.insert(fold(name)),
            Expr::CompoundIdentifier(parts) => self.0.extend(parts.last().map(fold)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Names the columns of a query that are in the way; those of a query within another one get their names back above it.
///
/// # Errors
/// None that a query of a user can cause.
pub(super) fn resolve(query: &mut Query, nested: bool) -> Result<()> {
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(()) };
    let Some(order) = &mut query.order_by else { return Ok(()) };
    let OrderByKind::Expressions(orders) = &mut order.kind else { return Ok(()) };
    let meant: Vec<(String, HashSet<String>)> = orders
        .iter()
        .filter(|order| !matches!(order.expr, Expr::Identifier(_) | Expr::Value(_)))
        .map(|order| {
            let mut names = Names(HashSet::new());
            let _ = order.expr.visit(&mut names);
            (order.expr.to_string(), names.0)
        })
        .collect();
    let is_in_the_way = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { expr, alias } => {
            let name = fold(alias);
            meant.iter().any(|(text, names)| names.contains(&name) && *text != expr.to_string())
        }
        _ => false,
    };
    if !select.projection.iter().any(is_in_the_way) {
        return Ok(());
    }
    let is_listed = |item: &SelectItem| name(item).is_some();
    if nested && !(query.locks.is_empty() && select.projection.iter().all(is_listed)) {
        return Ok(());
    }
    let mut taken: HashSet<String> = select.projection.iter().filter_map(name).collect();
    let mut columns = Vec::new();
    for item in &mut select.projection {
        let own = name(item).unwrap_or_default();
        let in_the_way = is_in_the_way(item);
        let SelectItem::ExprWithAlias { alias, .. } = item else {
            columns.push((exact(&own), own));
            continue;
        };
        if in_the_way {
            *alias = exact(&unique(&own, &mut taken));
            for order in orders.iter_mut() {
                if matches!(&order.expr, Expr::Identifier(name) if fold(name) == own) {
                    order.expr = Expr::Identifier(alias.clone());
                }
            }
        }
        columns.push((alias.clone(), own));
    }
    if nested { within(query, columns) } else { Ok(()) }
}

/// Puts a query into FROM of one that calls its columns as they were called.
fn within(query: &mut Query, columns: Vec<(Ident, String)>) -> Result<()> {
    let mut outer = crate::dml::relations::empty_query()?;
    let inner = std::mem::replace(query, outer.clone());
    let select = crate::dml::relations::select_of(&mut outer)?;
    select.projection = columns
        .into_iter()
        .map(|(own, name)| SelectItem::ExprWithAlias { expr: Expr::Identifier(own), alias: exact(&name) })
        .collect();
    let alias = TableAlias { explicit: true, name: exact("cairn_ordered"), columns: Vec::new(), at: None };
    select.from = vec![TableWithJoins {
        relation: TableFactor::Derived {
            lateral: false,
            subquery: Box::new(inner),
            alias: Some(alias),
            sample: None,
        },
        joins: Vec::new(),
    }];
    *query = outer;
    Ok(())
}

fn name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(fold(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(fold),
        _ => None,
    }
}
