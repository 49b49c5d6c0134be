//! `SELECT a.*, b.y` in a subquery: columns beside a star get their names as aliases where no column of the star is called so. Others
//! are made unique later, because the query engine refuses two columns of one name: who asks for that name gets the star's column, where
//! PostgreSQL says that it is ambiguous.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Visit, VisitMut, Visitor, VisitorMut,
};

use super::names::exact;
use super::rewrite::{column_name, take};
use super::scopes::Scopes;
use crate::session::variables::fold;

/// Rewrites a query.
pub(super) fn name(scopes: Scopes<'_>, query: &mut Query) {
    if Visit::visit(query, &mut Beside { depth: 0 }).is_break() {
        let _ = VisitMut::visit(query, &mut Naming { scopes, depth: 0 });
    }
}

fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

fn is_column(item: &SelectItem) -> bool {
    matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
}

/// Looks for a subquery with a star and a column beside it.
struct Beside {
    depth: usize,
}

impl Visitor for Beside {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        match self.depth > 1
            && select.projection.iter().any(is_star)
            && select.projection.iter().any(is_column)
        {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

struct Naming<'a> {
    scopes: Scopes<'a>,
    depth: usize,
}

impl Naming<'_> {
    /// The names of what the stars of a SELECT give; `None` where they are not known.
    fn starred(&self, select: &Select) -> Option<HashSet<String>> {
        let items = self.scopes.items(&select.from);
        let mut names = HashSet::new();
        for star in select.projection.iter().filter(|item| is_star(item)) {
            let wanted = match star {
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    Some(fold(name.0.last()?.as_ident()?))
                }
                SelectItem::Wildcard(_) => None,
                _ => return None,
            };
            let mut some = false;
            for item in items.iter().filter(|item| wanted.as_ref().is_none_or(|name| item.name == *name)) {
                names.extend(item.columns.clone()?);
                some = true;
            }
            if !some {
                return None;
            }
        }
        Some(names)
    }
}

impl VisitorMut for Naming<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        self.scopes.open(query.with.as_ref());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        self.scopes.close();
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let beside = select.projection.iter().any(is_star) && select.projection.iter().any(is_column);
        if self.depth < 2 || !beside {
            return ControlFlow::Continue(());
        }
        let Some(mut taken) = self.starred(select) else { return ControlFlow::Continue(()) };
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                taken.insert(fold(alias));
            }
        }
        for item in select.projection.iter_mut().filter(|item| is_column(item)) {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let name = column_name(expr);
            if taken.insert(name.clone()) {
                *item = SelectItem::ExprWithAlias { expr: take(expr), alias: exact(&name) };
            }
        }
        ControlFlow::Continue(())
    }
}
