//! `tableoid` and `xmin` of the tables that are computed, which their rows do not hold: the number of the table in `pg_class`, and the
//! number of the transaction that PostgreSQL makes a database by, 1.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, JoinOperator, Query, Select, SelectItem, TableFactor, TableWithJoins, Visit, VisitMut,
    Visitor, VisitorMut,
};

use super::names::exact;
use crate::catalog;
use crate::session::variables::fold;
use crate::{Error, Result};

const TABLEOID: &str = "tableoid";
const XMIN: &str = "xmin";
const BOOTSTRAP_TRANSACTION: i64 = 1;

/// Rewrites a query.
///
/// # Errors
/// What parsing says, which it never does.
pub(super) fn resolve(query: &mut Query) -> Result<()> {
    let mut seen = Seen { named: false, ctes: Vec::new() };
    let _ = Visit::visit(query, &mut seen);
    if !seen.named {
        return Ok(());
    }
    let mut ids = Ids { ctes: seen.ctes, open: Vec::new() };
    match VisitMut::visit(query, &mut ids) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The column, where an expression is one of them, and the qualifier that it has.
fn named(expr: &Expr) -> Option<(&'static str, Option<&Ident>)> {
    let column = |name: &Ident| [TABLEOID, XMIN].into_iter().find(|column| *column == fold(name));
    match expr {
        Expr::Identifier(name) => Some((column(name)?, None)),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [table, name] => Some((column(name)?, Some(table))),
            _ => None,
        },
        _ => None,
    }
}

/// Looks for the column, and gathers the names of WITH.
struct Seen {
    named: bool,
    ctes: Vec<String>,
}

impl Visitor for Seen {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes.extend(ctes.map(|cte| fold(&cte.alias.name)));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.named |= named(expr).is_some();
        ControlFlow::Continue(())
    }
}

/// A part of FROM.
struct Part {
    name: String,
    /// Number and first column of a computed table.
    table: Option<(i64, &'static str)>,
    /// Whether an outer join may leave it without a row.
    optional: bool,
}

struct Ids {
    ctes: Vec<String>,
    /// FROM of what is open.
    open: Vec<Vec<Part>>,
}

impl Ids {
    fn part(&self, factor: &TableFactor) -> Vec<Part> {
        let plain = |name: String, table| vec![Part { name, table, optional: false }];
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
                let table = match parts.as_slice() {
                    [table] if !self.ctes.contains(table) => catalog::computed_id(table),
                    [schema, table] if schema == "pg_catalog" => catalog::computed_id(table),
                    _ => None,
                };
                let own = parts.last().cloned().unwrap_or_default();
                plain(alias.as_ref().map_or(own, |alias| fold(&alias.name)), table)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.parts(table_with_joins),
            TableFactor::Derived { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. }
            | TableFactor::Table { alias, .. } => {
                plain(alias.as_ref().map(|alias| fold(&alias.name)).unwrap_or_default(), None)
            }
            _ => plain(String::new(), None),
        }
    }

    fn parts(&self, table: &TableWithJoins) -> Vec<Part> {
        let mut all = self.part(&table.relation);
        for join in &table.joins {
            let (left, right) = match join.join_operator {
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (false, true),
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
                JoinOperator::FullOuter(_) => (true, true),
                _ => (false, false),
            };
            all.iter_mut().for_each(|part| part.optional |= left);
            let more = self.part(&join.relation).into_iter();
            all.extend(more.map(|part| Part { optional: part.optional || right, ..part }));
        }
        all
    }

    /// What stands for the column.
    fn replaced(&self, expr: &Expr) -> Result<Option<Expr>> {
        let Some((own, qualifier)) = named(expr) else { return Ok(None) };
        let qualifier = qualifier.map(fold);
        let found = match &qualifier {
            Some(name) => self.open.iter().rev().find_map(|parts| parts.iter().find(|own| own.name == *name)),
            None => match self.open.last().map(Vec::as_slice) {
                Some([only]) => Some(only),
                _ => None,
            },
        };
        let Some(Part { name, table: Some((id, column)), optional }) = found else { return Ok(None) };
        let id = if own == XMIN { &BOOTSTRAP_TRANSACTION } else { id };
        let text = match optional {
            false => format!("CAST({id} AS BIGINT)"),
            true => {
                let name = name.replace('"', "\"\"");
                format!("CASE WHEN \"{name}\".\"{column}\" IS NULL THEN NULL ELSE CAST({id} AS BIGINT) END")
            }
        };
        crate::dml::default::parse_expr(&text).map(Some)
    }
}

impl VisitorMut for Ids {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let parts = select.from.iter().flat_map(|table| self.parts(table)).collect();
        self.open.push(parts);
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && let Some((column, _)) = named(expr)
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: exact(column) };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<Error> {
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match self.replaced(expr) {
            Ok(Some(other)) => *expr = other,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}
