//! Columns of one relation of a statement, written as what they stand for: those of a view as expressions over the table beneath.
//!
//! I1. In a subquery a name is replaced only where no part of its FROM has a column of the name, as far as the columns are known.

use std::collections::HashMap;
use std::ops::ControlFlow;

use cairn_engine::Catalog;
use sqlparser::ast::{Expr, Query, Select, VisitMut, VisitorMut};

use super::scopes::{Item, Scopes};
use crate::context::Context;
use crate::session::variables::fold;

/// What the columns of a relation stand for.
#[derive(Debug, Clone)]
pub(crate) struct Meaning {
    /// What qualifies the columns.
    pub(crate) alias: String,
    pub(crate) columns: HashMap<String, Expr>,
}

/// Replaces the columns in anything that holds expressions.
pub(crate) fn columns<T: VisitMut>(context: &Context, catalog: &Catalog, meaning: &Meaning, node: &mut T) {
    let unknown = |_: Query| None;
    let scopes = Scopes::new(context, catalog, &unknown);
    let _ = node.visit(&mut Substitute { scopes, meaning, open: Vec::new() });
}

/// Replaces columns that are qualified.
pub(crate) fn qualified(meaning: &Meaning, expr: &mut Expr) {
    struct Qualified<'m>(&'m Meaning);
    impl VisitorMut for Qualified<'_> {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::CompoundIdentifier(parts) = expr
                && let [table, column] = parts.as_slice()
                && fold(table) == self.0.alias
                && let Some(replacement) = self.0.columns.get(&fold(column))
            {
                *expr = replacement.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let _ = expr.visit(&mut Qualified(meaning));
}

struct Substitute<'a> {
    scopes: Scopes<'a>,
    meaning: &'a Meaning,
    /// FROM of the subqueries that are open.
    open: Vec<Vec<Item>>,
}

impl Substitute<'_> {
    /// Whether a subquery has a column of the name, or may have one.
    fn is_hidden(&self, name: &str) -> bool {
        let has = |item: &Item| {
            item.columns.as_ref().is_none_or(|columns| columns.iter().any(|column| column == name))
        };
        self.open.iter().flatten().any(has)
    }

    fn is_alias_hidden(&self) -> bool {
        self.open.iter().flatten().any(|item| item.name == self.meaning.alias)
    }

    fn replacement(&self, expr: &Expr) -> Option<&Expr> {
        match expr {
            Expr::Identifier(ident) => {
                let name = fold(ident);
                self.meaning.columns.get(&name).filter(|_| !self.is_hidden(&name))
            }
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] if fold(table) == self.meaning.alias && !self.is_alias_hidden() => {
                    self.meaning.columns.get(&fold(column))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl VisitorMut for Substitute<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.scopes.open(query.with.as_ref());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.scopes.close();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.open.push(self.scopes.items(&select.from));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<()> {
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(replacement) = self.replacement(expr) {
            let new = replacement.clone();
            // Columns stay columns; what is computed is one operand.
            *expr = match new {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => new,
                other => Expr::Nested(Box::new(other)),
            };
        }
        ControlFlow::Continue(())
    }
}
