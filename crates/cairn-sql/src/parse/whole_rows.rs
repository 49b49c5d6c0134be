//! Rows of a table as values: where an expression names a table of FROM and no column, it means the row (`row_to_json(t)`,
//! `SELECT t FROM t`, `(t).a`); and `json_populate_record(NULL::t, …)` in FROM, which is `json_to_record` with the columns of
//! `t`.
//!
//! I1. Nothing is rewritten where a name may be a column's: the columns of every part of FROM must be known.

use std::collections::HashSet;
use std::ops::ControlFlow;

use cairn_engine::Catalog;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, OrderBy, OrderByKind,
    Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableAliasColumnDef,
    TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use super::names::exact;
use super::presence;
use super::scopes::{self, Item, Scopes};
use super::types;
use crate::query::output::UNIQUE_MARK;
use crate::session::variables::fold;
use crate::{Error, Result};

/// LATERAL subqueries that take `t.*` of each other.
const LATERAL_DEPTH_MAX: usize = 16;

/// Rewrites a query.
///
/// # Errors
/// What parsing says, which it never does.
pub(super) fn resolve(scopes: Scopes<'_>, catalog: &Catalog, query: &mut Query) -> Result<()> {
    let mut names = Names::default();
    let _ = Visit::visit(query, &mut names);
    if !names.records && Visit::visit(query, &mut Meant(&names.tables)).is_continue() {
        return Ok(());
    }
    // What `t.*` gives of a subquery beside is known once that is rewritten.
    for _ in 0..LATERAL_DEPTH_MAX {
        let mut rows =
            Rows { scopes: scopes.clone(), catalog, open: Vec::new(), levels: Vec::new(), expanded: false };
        if let ControlFlow::Break(error) = VisitMut::visit(query, &mut rows) {
            return Err(error);
        }
        if !rows.expanded {
            break;
        }
    }
    Ok(())
}

/// What the parts of FROM are called, and whether one is a function of a row type.
#[derive(Default)]
struct Names {
    tables: Vec<String>,
    records: bool,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (name, alias) = match factor {
            TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => {
                (name.0.last().and_then(|part| part.as_ident()), alias)
            }
            TableFactor::Derived { alias, .. } => (None, alias),
            _ => return ControlFlow::Continue(()),
        };
        self.records |= name.is_some_and(|name| name.value.to_ascii_lowercase().contains("_populate_record"));
        self.tables.extend(alias.as_ref().map(|alias| &alias.name).or(name).map(|name| name.value.clone()));
        ControlFlow::Continue(())
    }
}

/// Looks for an expression that may mean one of these rows.
struct Meant<'n>(&'n [String]);

impl Visitor for Meant<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        match select.projection.iter().filter_map(qualifier).any(|name| is_outer(select, &name)) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) if self.0.iter().any(|name| name.eq_ignore_ascii_case(&ident.value)) => {
                ControlFlow::Break(())
            }
            Expr::QualifiedWildcard(..) => ControlFlow::Break(()),
            Expr::Function(call) => match &call.args {
                FunctionArguments::List(list) if list.args.iter().any(is_wildcard) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The name in `name.*`.
fn qualifier(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            name.0.last()?.as_ident().map(fold)
        }
        _ => None,
    }
}

fn is_outer(select: &Select, name: &str) -> bool {
    !scopes::names(&select.from).iter().any(|own| own == name)
}

fn is_wildcard(arg: &FunctionArg) -> bool {
    matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)))
}

struct Rows<'a> {
    scopes: Scopes<'a>,
    catalog: &'a Catalog,
    /// FROM of the SELECTs that are open.
    open: Vec<Vec<Item>>,
    /// The queries that are open.
    levels: Vec<Level>,
    /// A `t.*` of a query around was written out.
    expanded: bool,
}

/// A query that is open.
#[derive(Default)]
struct Level {
    /// Its ORDER BY, kept away until its SELECT has ended.
    order: Option<OrderBy>,
    /// Its SELECT has ended, of which FROM is open still.
    is_ended: bool,
    /// The names of its result.
    output: Vec<String>,
}

/// Tells columns of one name apart, by which the row could not be put together.
fn tell_apart(factor: &mut TableFactor, item: &mut Item) {
    let Some(columns) = &mut item.columns else { return };
    let mut seen = HashSet::new();
    if columns.iter().all(|name| seen.insert(name.clone())) {
        return;
    }
    let TableFactor::Derived { alias: Some(alias), .. } = factor else { return };
    for (at, name) in columns.iter_mut().enumerate() {
        *name = format!("{name}{UNIQUE_MARK}{at}");
    }
    let named = |name: &String| TableAliasColumnDef { name: Ident::with_quote('"', name), data_type: None };
    alias.columns = columns.iter().map(named).collect();
}

impl Rows<'_> {
    /// The part of FROM whose row a name means.
    fn row_of(&self, ident: &Ident) -> Option<&Item> {
        let name = fold(ident);
        for scope in self.open.iter().rev() {
            let known = |item: &Item| item.columns.as_ref().is_some_and(|columns| !columns.contains(&name));
            if !scope.iter().all(known) {
                return None;
            }
            if let Some(item) = scope.iter().find(|item| item.name == name) {
                return Some(item);
            }
        }
        None
    }

    /// The part of FROM that `name.*` means.
    fn all_of(&self, name: &ObjectName) -> Option<&Item> {
        let name = fold(name.0.last()?.as_ident()?);
        let item = self.open.iter().rev().flatten().find(|item| item.name == name)?;
        item.columns.is_some().then_some(item)
    }

    /// The row as an expression; NULL where there is none.
    fn row(&self, item: &Item) -> Result<Expr> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let columns = item.columns.as_deref().unwrap_or_default();
        if let (true, [only]) = (item.scalar, columns) {
            return Ok(Expr::CompoundIdentifier(vec![exact(&item.name), exact(only)]));
        }
        let table = quoted(&item.name);
        let part = |name: &String| match item.rows {
            Some(_) => format!("{table}.{}", quoted(name)),
            None => format!("'{}', {table}.{}", name.replace('\'', "''"), quoted(name)),
        };
        let parts: Vec<String> = columns.iter().map(part).collect();
        let mut text = match &item.rows {
            Some(ty) => {
                let row = crate::functions::composite::ROW_OF;
                format!("{row}('{}', {})", ty.signature(), parts.join(", "))
            }
            None => format!("named_struct({})", parts.join(", ")),
        };
        if item.optional {
            // Without another sign a row of NULLs counts for none.
            let signs = item.present.as_ref().map_or(columns, std::slice::from_ref);
            let nulls: Vec<String> =
                signs.iter().map(|name| format!("{table}.{} IS NULL", quoted(name))).collect();
            text = format!("CASE WHEN {} THEN NULL ELSE {text} END", nulls.join(" AND "));
        }
        crate::dml::default::parse_expr(&text)
    }

    /// `t.*` as an argument of a function that does not take rows apart is the row.
    fn in_arguments(&self, call: &mut Function) -> Result<()> {
        let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
        if !list.args.iter().any(is_wildcard) {
            return Ok(());
        }
        // ROW(t.*) is the row of its columns.
        let apart =
            call.name.0.last().and_then(|part| part.as_ident()).is_some_and(|name| fold(name) == "row");
        for arg in std::mem::take(&mut list.args) {
            let item = match &arg {
                FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => self.all_of(name),
                _ => None,
            };
            let argument = |expr: Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
            match item {
                Some(item) if apart => list.args.extend(item.columns.iter().flatten().map(|column| {
                    argument(Expr::CompoundIdentifier([&item.name, column].map(|part| exact(part)).to_vec()))
                })),
                Some(item) => list.args.push(argument(self.row(item)?)),
                None => list.args.push(arg),
            }
        }
        Ok(())
    }
}

impl VisitorMut for Rows<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.scopes.open(query.with.as_ref());
        let is_select = matches!(&*query.body, SetExpr::Select(_));
        let order = if is_select { query.order_by.take() } else { None };
        self.levels.push(Level { order, ..Level::default() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let level = self.levels.pop().unwrap_or_default();
        let mut flow = ControlFlow::Continue(());
        if let Some(mut order) = level.order {
            if let OrderByKind::Expressions(all) = &mut order.kind {
                let is_output = |expr: &Expr| matches!(expr, Expr::Identifier(name) if level.output.contains(&fold(name)));
                for by in all.iter_mut().filter(|by| !is_output(&by.expr)) {
                    if flow.is_continue() {
                        flow = VisitMut::visit(&mut by.expr, self);
                    }
                }
            }
            query.order_by = Some(order);
        }
        if level.is_ended {
            self.open.pop();
        }
        self.scopes.close();
        flow
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let mut items = self.scopes.items(&select.from);
        let tables: Vec<String> = items
            .iter()
            .filter(|item| item.optional && item.present.is_none())
            .map(|item| item.name.clone())
            .collect();
        if !tables.is_empty() && Visit::visit(select, &mut Meant(&tables)).is_break() {
            let is_wanted = |at: &usize| items[*at].optional && items[*at].present.is_none();
            let wanted: Vec<usize> = (0..items.len()).filter(is_wanted).collect();
            let place = |id: u32| {
                let table = self.catalog.table_by_id(id)?;
                Some((table.schema.clone(), table.name.clone()))
            };
            presence::add(select, &mut items, &wanted, &place);
        }
        // Joins have their parts in the order of the items, but for what is in parentheses.
        let factors = select.from.iter_mut().flat_map(|table| {
            std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|join| &mut join.relation))
        });
        for factor in factors {
            if let TableFactor::Derived { alias: Some(alias), .. } = factor
                && let Some(item) = items.iter_mut().find(|item| item.name == fold(&alias.name))
            {
                tell_apart(factor, item);
            }
        }
        // `t.*` of a query around.
        for item in std::mem::take(&mut select.projection) {
            let outer = qualifier(&item).filter(|name| is_outer(select, name));
            let found =
                outer.and_then(|name| self.open.iter().rev().flatten().find(|item| item.name == name));
            match found.and_then(|found| Some((found, found.columns.as_ref()?))) {
                Some((found, columns)) => {
                    let written = columns.iter().map(|column| {
                        let parts = [&found.name, column].map(|part| exact(part)).to_vec();
                        let expr = Expr::CompoundIdentifier(parts);
                        SelectItem::ExprWithAlias { expr, alias: exact(column) }
                    });
                    select.projection.extend(written);
                    self.expanded = true;
                }
                None => select.projection.push(item),
            }
        }
        self.open.push(items);
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = item
                && self.row_of(ident).is_some()
            {
                let alias = Ident::with_quote('"', fold(ident));
                *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(ident.clone()), alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        match self.levels.last_mut() {
            Some(level) if level.order.is_some() => {
                level.is_ended = true;
                level.output = select.projection.iter().filter_map(super::list_names::name_of).collect();
            }
            _ => _ = self.open.pop(),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        // (t).a is t.a.
        if let Some((Expr::Nested(inner), column)) = super::composites::field(expr)
            && let Expr::Identifier(table) = &**inner
            && self.row_of(table).is_some()
        {
            *expr = Expr::CompoundIdentifier(vec![table.clone(), Ident::with_quote('"', column)]);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let row = match expr {
            Expr::Function(call) => {
                return match self.in_arguments(call) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => ControlFlow::Break(error),
                };
            }
            Expr::Identifier(ident) => self.row_of(ident),
            Expr::QualifiedWildcard(name, _) => self.all_of(name),
            _ => None,
        };
        match row.map(|item| self.row(item)) {
            Some(Ok(row)) => {
                *expr = row;
                ControlFlow::Continue(())
            }
            Some(Err(error)) => ControlFlow::Break(error),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let (name, args, alias) = match factor {
            TableFactor::Table { name, args: Some(args), alias, .. } => (name, &mut args.args, alias),
            TableFactor::Function { name, args, alias, .. } => (name, args, alias),
            _ => return ControlFlow::Continue(()),
        };
        let called = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
        let plain = match called.as_str() {
            "json_populate_record" => "json_to_record",
            "jsonb_populate_record" => "jsonb_to_record",
            "json_populate_recordset" => "json_to_recordset",
            "jsonb_populate_recordset" => "jsonb_to_recordset",
            _ => return ControlFlow::Continue(()),
        };
        // Only a row without values of its own is known by its type alone.
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Cast { expr: value, data_type, .. })), _] =
            args.as_slice()
        else {
            return ControlFlow::Continue(());
        };
        let null = matches!(&**value, Expr::Value(value) if value.value == sqlparser::ast::Value::Null);
        let sqlparser::ast::DataType::Custom(table, _) = data_type else { return ControlFlow::Continue(()) };
        let Some(columns) = self.scopes.relation(table).filter(|_| null) else {
            return ControlFlow::Continue(());
        };
        let defined = columns.iter().map(|(name, ty)| TableAliasColumnDef {
            name: Ident::with_quote('"', name),
            data_type: Some(types::written(ty)),
        });
        let columns: Vec<TableAliasColumnDef> = defined.collect();
        args.remove(0);
        *name = ObjectName::from(Ident::new(plain));
        match alias {
            Some(alias) => alias.columns = columns,
            None => {
                let name = Ident::with_quote('"', called);
                *alias = Some(TableAlias { explicit: true, name, columns, at: None });
            }
        }
        ControlFlow::Continue(())
    }
}
