//! `tableoid`: the table that a row lies in, of a partitioned table the partition. Of a table by itself that is a constant;
//! elsewhere the row key tells it.

use std::ops::ControlFlow;

use cairn_engine::Catalog;
use cairn_engine::table::ROW_KEY;
use sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, SetExpr, Visit, VisitMut, Visitor, VisitorMut};

use super::names::exact;
use super::presence;
use super::rewrite::column_name;
use super::scopes::{Item, Scopes};
use crate::session::variables::fold;
use crate::{Error, Result};

/// The column.
const TABLEOID: &str = "tableoid";
/// The function that reads a table's id from a row key.
pub(crate) const OF_ROW_KEY: &str = "cairn_table_of";

/// Rewrites a query.
///
/// # Errors
/// `42702` where several tables have the column.
pub(super) fn resolve(scopes: Scopes<'_>, catalog: &Catalog, query: &mut Query) -> Result<()> {
    if Visit::visit(query, &mut Named).is_continue() {
        return Ok(());
    }
    let mut ids = Ids { scopes, catalog, open: Vec::new(), direct: Vec::new() };
    match VisitMut::visit(query, &mut ids) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn is_named(ident: &Ident) -> bool {
    fold(ident) == TABLEOID
}

/// The column's name, and the table's where it is given.
fn named(expr: &Expr) -> Option<Option<&Ident>> {
    match expr {
        Expr::Identifier(ident) if is_named(ident) => Some(None),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [table, column] if is_named(column) => Some(Some(table)),
            _ => None,
        },
        _ => None,
    }
}

/// Looks for the column.
struct Named;

impl Visitor for Named {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if named(expr).is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

struct Ids<'a> {
    scopes: Scopes<'a>,
    catalog: &'a Catalog,
    /// FROM of what is open.
    open: Vec<Vec<Item>>,
    /// Of each open query, whether its FROM is open already.
    direct: Vec<bool>,
}

impl Ids<'_> {
    /// Opens the FROM of a SELECT, whose rows get their keys where these are asked for.
    fn open(&mut self, select: &mut Select) {
        let mut items = self.scopes.items(&select.from);
        // UPDATE and DELETE have them already.
        let without = |item: &Item| {
            item.table.is_some_and(|(_, parts)| parts || item.optional)
                && item.present.as_deref() != Some(ROW_KEY)
        };
        let wanted: Vec<usize> = (0..items.len()).filter(|at| without(&items[*at])).collect();
        if Visit::visit(select, &mut Named).is_break() && items.iter().all(|item| !has_column(item)) {
            let place = |id: u32| {
                let table = self.catalog.table_by_id(id)?;
                Some((table.schema.clone(), table.name.clone()))
            };
            wanted.iter().for_each(|at| items[*at].present = None);
            presence::add(select, &mut items, &wanted, &place);
        }
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && column_name(expr) == TABLEOID
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: exact(TABLEOID) };
            }
        }
        self.open.push(items);
    }

    /// The table whose column is meant; `None` where it is another column.
    fn meant(&self, table: Option<&Ident>) -> Result<Option<&Item>> {
        let name = table.map(fold);
        for items in self.open.iter().rev() {
            if let Some(name) = &name {
                match items.iter().find(|item| item.name == *name) {
                    Some(item) if has_column(item) => return Ok(None),
                    Some(item) => return Ok(item.table.is_some().then_some(item)),
                    None => continue,
                }
            }
            if items.iter().any(has_column) {
                return Ok(None);
            }
            let mut tables = items.iter().filter(|item| item.table.is_some());
            match (tables.next(), tables.next()) {
                (Some(item), None) => return Ok(Some(item)),
                (Some(_), Some(_)) => {
                    let message = format!("column reference \"{TABLEOID}\" is ambiguous");
                    return Err(Error::new("42702", message));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn replaced(&self, expr: &Expr) -> Result<Option<Expr>> {
        let Some(table) = named(expr) else { return Ok(None) };
        let Some(item) = self.meant(table)? else { return Ok(None) };
        let Some((id, in_parts)) = item.table else { return Ok(None) };
        let key = || format!("\"{}\".\"{ROW_KEY}\"", item.name.replace('"', "\"\""));
        let is_keyed = item.present.as_deref() == Some(ROW_KEY);
        let text = match (in_parts, item.optional) {
            (true, _) if is_keyed => format!("{OF_ROW_KEY}({})", key()),
            (false, true) if is_keyed => {
                format!("CASE WHEN {} IS NULL THEN NULL ELSE CAST({id} AS BIGINT) END", key())
            }
            (false, false) => format!("CAST({id} AS BIGINT)"),
            _ => return Err(Error::unsupported("tableoid in this place")),
        };
        crate::dml::default::parse_expr(&text).map(Some)
    }
}

fn has_column(item: &Item) -> bool {
    item.columns.as_ref().is_some_and(|columns| columns.iter().any(|column| column == TABLEOID))
}

impl VisitorMut for Ids<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.scopes.open(query.with.as_ref());
        let is_select = match &mut *query.body {
            SetExpr::Select(select) => {
                self.open(select);
                true
            }
            _ => false,
        };
        self.direct.push(is_select);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        if self.direct.pop() == Some(true) {
            self.open.pop();
        }
        self.scopes.close();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        if self.direct.last() == Some(&false) {
            self.open(select);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<Error> {
        if self.direct.last() == Some(&false) {
            self.open.pop();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match self.replaced(expr) {
            Ok(Some(new)) => *expr = new,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}
