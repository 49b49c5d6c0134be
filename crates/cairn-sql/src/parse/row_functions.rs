//! `(f(x)).a` in a select list, where `f` gives rows: the call moves to FROM, LATERAL, once for all that is taken of it.
//!
//! ```text
//!   SELECT id, (jsonb_each(j)).key FROM t   ─▶   SELECT id, cairn_call_0.key FROM t, LATERAL jsonb_each(j) AS cairn_call_0
//! ```
//! A row without rows of the function shows no row in either form. Groups are made before functions of a select list run,
//! so a SELECT that groups stays as it is.

use std::mem;
use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, Expr, Function, GroupByExpr, Ident, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, TableWithJoins, VisitMut, VisitorMut,
    WildcardAdditionalOptions,
};

use crate::{Error, Result};

/// Rewrites a statement of that text.
///
/// # Errors
/// What parsing the moved calls says.
pub(crate) fn rewrite(text: &str, statement: &mut Statement) -> Result<()> {
    if !text.contains(").") {
        return Ok(());
    }
    match VisitMut::visit(statement, &mut Selects) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Selects;

impl VisitorMut for Selects {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        match moved(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn moved(select: &mut Select) -> Result<()> {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if grouped || select.having.is_some() {
        return Ok(());
    }
    let mut calls = Calls { texts: Vec::new(), queries: 0 };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::CompoundFieldAccess { root, access_chain }) = item
            && let (Some(call), [AccessExpr::Dot(Expr::Identifier(column))]) =
                (call_of(root), access_chain.as_slice())
            && column.value == "*"
        {
            let all = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(calls.name(call)));
            *item = SelectItem::QualifiedWildcard(all, WildcardAdditionalOptions::default());
            continue;
        }
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            // Never breaks.
            let _ = VisitMut::visit(expr, &mut calls);
        }
    }
    for (at, call) in calls.texts.iter().enumerate() {
        let lateral = if select.from.is_empty() { "" } else { "LATERAL " };
        let text = format!("SELECT 1 FROM {lateral}{call} AS {}", name(at));
        let Statement::Query(query) = super::parse_text(&text)? else {
            return Err(Error::internal("a query was expected"));
        };
        let SetExpr::Select(mut made) = *query.body else {
            return Err(Error::internal("a SELECT was expected"));
        };
        select.from.extend(mem::take::<Vec<TableWithJoins>>(&mut made.from));
    }
    Ok(())
}

/// A call in brackets.
fn call_of(expr: &Expr) -> Option<&Function> {
    match expr {
        Expr::Nested(inner) => match &**inner {
            Expr::Function(function) if function.over.is_none() && function.filter.is_none() => {
                Some(function)
            }
            _ => None,
        },
        _ => None,
    }
}

fn name(at: usize) -> Ident {
    Ident::new(format!("cairn_call_{at}"))
}

/// The calls found, each once.
struct Calls {
    texts: Vec<String>,
    /// Subqueries that are open, whose calls are their own.
    queries: usize,
}

impl Calls {
    fn name(&mut self, call: &Function) -> Ident {
        let text = call.to_string();
        let at = self.texts.iter().position(|known| *known == text).unwrap_or_else(|| {
            self.texts.push(text);
            self.texts.len() - 1
        });
        name(at)
    }
}

impl VisitorMut for Calls {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.queries > 0 {
            return ControlFlow::Continue(());
        }
        let Expr::CompoundFieldAccess { root, access_chain } = expr else { return ControlFlow::Continue(()) };
        let (Some(call), Some(AccessExpr::Dot(Expr::Identifier(column)))) =
            (call_of(root), access_chain.first())
        else {
            return ControlFlow::Continue(());
        };
        let part = Expr::CompoundIdentifier(vec![self.name(call), column.clone()]);
        access_chain.remove(0);
        if access_chain.is_empty() {
            *expr = part;
        } else {
            **root = part;
        }
        ControlFlow::Continue(())
    }
}
