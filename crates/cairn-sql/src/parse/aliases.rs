//! Aliases that name fewer columns than there are: the others keep their names, and the query engine is told all of them.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, TableAliasColumnDef, TableFactor, Visit, VisitMut, Visitor, VisitorMut};

use super::names::exact;
use super::scopes::Scopes;

/// Completes the aliases of a query.
pub(super) fn complete(scopes: Scopes<'_>, query: &mut Query) {
    if Visit::visit(query, &mut Named).is_break() {
        let _ = VisitMut::visit(query, &mut Complete { scopes });
    }
}

/// Looks for an alias with columns.
struct Named;

impl Visitor for Named {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { alias: Some(alias), args: None, .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. }
                if !alias.columns.is_empty() =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

struct Complete<'a> {
    scopes: Scopes<'a>,
}

impl VisitorMut for Complete<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.scopes.open(query.with.as_ref());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.scopes.close();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let wanted = match factor {
            TableFactor::Table { alias: Some(alias), args: None, .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => alias.columns.len(),
            _ => 0,
        };
        if wanted == 0 {
            return ControlFlow::Continue(());
        }
        let columns = self.scopes.item(factor).columns.unwrap_or_default();
        if let TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. } = factor
        {
            let more = columns.iter().skip(wanted);
            alias.columns.extend(more.map(|name| TableAliasColumnDef { name: exact(name), data_type: None }));
        }
        ControlFlow::Continue(())
    }
}
