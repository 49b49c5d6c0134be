//! Tables of queries around that columns hide: `a.id` in a subquery is column `id` of the table `a` around it also where a
//! table of the subquery has a column `a`, whose field the query engine would take it for. Such a table gets another name.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut,
};

use super::names::exact;
use super::scopes::{self, Item, Scopes};
use crate::session::variables::fold;

/// Gives those tables of a query other names.
pub(super) fn rename(scopes: Scopes<'_>, query: &mut Query) {
    if Visit::visit(query, &mut Outer::default()).is_continue() {
        return;
    }
    let mut search = Search { scopes, places: Places::default(), found: HashMap::new() };
    let _ = Visit::visit(query, &mut search);
    if !search.found.is_empty() {
        let _ = VisitMut::visit(query, &mut Rename { found: search.found, places: Places::default() });
    }
}

/// Looks for a column of a table that the innermost FROM does not have.
#[derive(Default)]
struct Outer {
    open: Vec<Vec<String>>,
}

impl Visitor for Outer {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.open.push(scopes::names(&select.from));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<()> {
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::CompoundIdentifier(parts) = expr else { return ControlFlow::Continue(()) };
        let ([table, _], [around @ .., own]) = (parts.as_slice(), self.open.as_slice()) else {
            return ControlFlow::Continue(());
        };
        let table = fold(table);
        match !own.contains(&table) && around.iter().any(|names| names.contains(&table)) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// What stands open where a visitor is: each FROM with a number of its own. A query's own FROM is open for its ORDER BY too.
struct Places<T> {
    open: Vec<(usize, T)>,
    next: usize,
    /// Of each open query, whether its body is a SELECT that is open already.
    queries: Vec<bool>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self { open: Vec::new(), next: 0, queries: Vec::new() }
    }
}

impl<T> Places<T> {
    fn push(&mut self, names: T) {
        self.open.push((self.next, names));
        self.next += 1;
    }

    fn open_query(&mut self, query: &Query, of: impl FnOnce(&Select) -> T) {
        match &*query.body {
            SetExpr::Select(select) => {
                self.push(of(select));
                self.queries.push(true);
            }
            _ => self.queries.push(false),
        }
    }

    fn close_query(&mut self, query: &Query) {
        self.queries.pop();
        if matches!(&*query.body, SetExpr::Select(_)) {
            self.open.pop();
        }
    }

    /// Opens a SELECT that is a part of a set operation.
    fn open_select(&mut self, select: &Select, of: impl FnOnce(&Select) -> T) {
        if self.queries.last() == Some(&false) {
            self.push(of(select));
        }
    }

    fn close_select(&mut self) {
        if self.queries.last() == Some(&false) {
            self.open.pop();
        }
    }
}

struct Search<'a> {
    scopes: Scopes<'a>,
    places: Places<Vec<Item>>,
    /// The tables to be renamed: by FROM and name.
    found: HashMap<(usize, String), String>,
}

impl Visitor for Search<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.open(query.with.as_ref());
        let scopes = &self.scopes;
        self.places.open_query(query, |select| scopes.items(&select.from));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.places.close_query(query);
        self.scopes.close();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let scopes = &self.scopes;
        self.places.open_select(select, |select| scopes.items(&select.from));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<()> {
        self.places.close_select();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::CompoundIdentifier(parts) = expr else { return ControlFlow::Continue(()) };
        let [table, _] = parts.as_slice() else { return ControlFlow::Continue(()) };
        let table = fold(table);
        let mut hidden = false;
        for (number, items) in self.places.open.iter().rev() {
            if items.iter().any(|item| item.name == table) {
                if hidden {
                    let name = format!("cairn_outer_{number}_{table}");
                    self.found.insert((*number, table), name);
                }
                break;
            }
            let has = |item: &Item| item.columns.as_ref().is_some_and(|columns| columns.contains(&table));
            hidden |= items.iter().any(has);
        }
        ControlFlow::Continue(())
    }
}

struct Rename {
    found: HashMap<(usize, String), String>,
    /// Names as they were.
    places: Places<Vec<String>>,
}

impl Rename {
    fn new_name(&self, table: &str) -> Option<&String> {
        let own = |(_, names): &&(usize, Vec<String>)| names.iter().any(|name| name == table);
        let (number, _) = self.places.open.iter().rev().find(own)?;
        self.found.get(&(*number, table.to_owned()))
    }

    /// Renames the tables of a FROM that has just been opened.
    fn from(&self, select: &mut Select) {
        let Some((number, _)) = self.places.open.last() else { return };
        select.from.iter_mut().for_each(|table| self.table(*number, table));
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                && let [part] = name.0.as_slice()
                && let Some(own) = part.as_ident().map(fold)
                && let Some(new) = self.found.get(&(*number, own))
            {
                *name = ObjectName::from(exact(new));
            }
        }
    }

    fn table(&self, number: usize, table: &mut TableWithJoins) {
        let joined = table.joins.iter_mut().map(|join| &mut join.relation);
        for factor in std::iter::once(&mut table.relation).chain(joined) {
            let (own, alias) = match factor {
                TableFactor::NestedJoin { table_with_joins, alias: None } => {
                    self.table(number, table_with_joins);
                    continue;
                }
                TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => {
                    (name.0.last().and_then(|part| part.as_ident()).map(fold), alias)
                }
                TableFactor::Derived { alias, .. }
                | TableFactor::UNNEST { alias, .. }
                | TableFactor::NestedJoin { alias, .. } => (None, alias),
                _ => continue,
            };
            let Some(own) = alias.as_ref().map(|alias| fold(&alias.name)).or(own) else { continue };
            let Some(new) = self.found.get(&(number, own)) else { continue };
            match alias {
                Some(alias) => alias.name = exact(new),
                None => {
                    *alias =
                        Some(TableAlias { explicit: true, name: exact(new), columns: Vec::new(), at: None });
                }
            }
        }
    }
}

impl VisitorMut for Rename {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.places.open_query(query, |select| scopes::names(&select.from));
        if let SetExpr::Select(select) = &mut *query.body {
            self.from(select);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.places.close_query(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.places.open_select(select, |select| scopes::names(&select.from));
        if self.places.queries.last() == Some(&false) {
            self.from(select);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<()> {
        self.places.close_select();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [table, _] = parts.as_mut_slice()
            && let Some(new) = self.new_name(&fold(table))
        {
            *table = exact(new);
        }
        ControlFlow::Continue(())
    }
}
