//! WITH queries that hide others of the same name in the queries around: the query engine knows one of each name, so the inner
//! ones get names of their own, and what reads them keeps the old name as its alias.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Ident, ObjectName, Query, TableAlias, TableFactor, Visit, VisitMut, Visitor, VisitorMut, With,
};

use super::names::exact;
use crate::session::variables::fold;

/// Renames them in a query.
pub(super) fn rename(query: &mut Query) {
    let mut count = Count(0);
    let _ = Visit::visit(query, &mut count);
    if count.0 > 1 {
        let _ = VisitMut::visit(query, &mut Renaming::default());
    }
}

/// Counts the queries with WITH.
struct Count(usize);

impl Visitor for Count {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0 += usize::from(query.with.is_some());
        ControlFlow::Continue(())
    }
}

#[derive(Default)]
struct Renaming {
    /// The names of each WITH that is open, with what they are called now.
    open: Vec<Vec<(String, Option<String>)>>,
    /// The WITHs, kept away while their queries are visited.
    withs: Vec<Option<With>>,
    renamed: usize,
}

impl Renaming {
    fn is_taken(&self, name: &str) -> bool {
        let outer = self.open.len().saturating_sub(1);
        self.open[..outer].iter().flatten().any(|(other, _)| other == name)
    }

    fn declare(&mut self, alias: &mut Ident) {
        let name = fold(alias);
        let now = self.is_taken(&name).then(|| {
            self.renamed += 1;
            format!("{name} {}", self.renamed)
        });
        if let Some(now) = &now {
            *alias = exact(now);
        }
        if let Some(open) = self.open.last_mut() {
            open.push((name, now));
        }
    }
}

impl VisitorMut for Renaming {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.open.push(Vec::new());
        let mut with = query.with.take();
        if let Some(with) = &mut with {
            if with.recursive {
                with.cte_tables.iter_mut().for_each(|cte| self.declare(&mut cte.alias.name));
            }
            for cte in &mut with.cte_tables {
                // A query that is not recursive sees those before it.
                let _ = VisitMut::visit(&mut *cte.query, self);
                if !with.recursive {
                    self.declare(&mut cte.alias.name);
                }
            }
        }
        self.withs.push(with);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        query.with = self.withs.pop().flatten();
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let [part] = name.0.as_slice() else { return ControlFlow::Continue(()) };
        let Some(old) = part.as_ident().map(fold) else { return ControlFlow::Continue(()) };
        let found = self.open.iter().rev().flat_map(|open| open.iter().rev()).find(|(name, _)| *name == old);
        if let Some((_, Some(now))) = found {
            if alias.is_none() {
                *alias =
                    Some(TableAlias { explicit: true, name: exact(&old), columns: Vec::new(), at: None });
            }
            *name = ObjectName::from(exact(now));
        }
        ControlFlow::Continue(())
    }
}
