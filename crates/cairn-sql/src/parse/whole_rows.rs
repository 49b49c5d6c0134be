//! Rows of a table as values: where an expression names a table of FROM and no column, it means the row (`row_to_json(t)`,
//! `SELECT t FROM t`, `(t).a`); and `json_populate_record(NULL::t, …)` in FROM, which is `json_to_record` with the columns of
//! `t`.
//!
//! I1. Nothing is rewritten where a name may be a column's: the columns of every part of FROM must be known.

use std::ops::ControlFlow;

use cairn_engine::Catalog;
use cairn_engine::catalog::Relation;
use cairn_types::DataType;
use sqlparser::ast::{
    AccessExpr, Expr, FunctionArg, FunctionArgExpr, Ident, JoinOperator, ObjectName, Query, Select,
    SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use super::rewrite::column_name;
use super::types;
use crate::catalog::{self, resolve_name};
use crate::context::Context;
use crate::session::variables::fold;
use crate::{Error, Result};

/// Rewrites a query.
///
/// # Errors
/// What parsing says, which it never does.
pub(crate) fn resolve(context: &Context, catalog: &Catalog, query: &mut Query) -> Result<()> {
    let mut names = Names::default();
    let _ = Visit::visit(query, &mut names);
    if !names.records && Visit::visit(query, &mut Meant(&names.tables)).is_continue() {
        return Ok(());
    }
    match VisitMut::visit(query, &mut Rows { context, catalog, ctes: Vec::new(), scopes: Vec::new() }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
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

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) if self.0.iter().any(|name| name.eq_ignore_ascii_case(&ident.value)) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// A part of FROM.
struct Item {
    name: String,
    /// Its columns; `None` where they are not known.
    columns: Option<Vec<String>>,
    /// Whether an outer join may leave it without a row.
    optional: bool,
}

struct Rows<'a> {
    context: &'a Context,
    catalog: &'a Catalog,
    /// WITH of the queries that are open.
    ctes: Vec<Vec<(String, Option<Vec<String>>)>>,
    /// FROM of the SELECTs that are open.
    scopes: Vec<Vec<Item>>,
}

/// The columns that an alias renames.
fn renamed(columns: Option<Vec<String>>, alias: Option<&TableAlias>) -> Option<Vec<String>> {
    let mut columns = columns?;
    for (at, new) in alias.iter().flat_map(|alias| &alias.columns).enumerate() {
        *columns.get_mut(at)? = fold(&new.name);
    }
    Some(columns)
}

/// A function in FROM: its columns are those that its alias says, or one of its name, or a key and a value.
fn function(name: &ObjectName, alias: Option<&TableAlias>, optional: bool) -> Item {
    let own = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    let name = alias.map_or(own, |alias| fold(&alias.name));
    let columns: Vec<String> =
        alias.iter().flat_map(|alias| &alias.columns).map(|column| fold(&column.name)).collect();
    let columns = match columns.is_empty() {
        true => vec![name.clone(), "key".to_owned(), "value".to_owned()],
        false => columns,
    };
    Item { name, columns: Some(columns), optional }
}

/// The columns of a query, where its SELECT list says them.
fn columns_of(query: &Query) -> Option<Vec<String>> {
    let mut body = &*query.body;
    while let SetExpr::SetOperation { left, .. } = body {
        body = left;
    }
    match body {
        SetExpr::Query(inner) => columns_of(inner),
        SetExpr::Select(select) => select
            .projection
            .iter()
            .map(|item| match item {
                SelectItem::UnnamedExpr(expr) => Some(column_name(expr)),
                SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
                _ => None,
            })
            .collect(),
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.len());
            Some((1..=width).map(|at| format!("column{at}")).collect())
        }
        _ => None,
    }
}

impl Rows<'_> {
    /// The columns of a table or view, with their types.
    fn relation(&self, name: &ObjectName) -> Option<Vec<(String, DataType)>> {
        if let [part] = name.0.as_slice() {
            let bare = fold(part.as_ident()?);
            if catalog::is_system_table(&bare) {
                return None;
            }
        }
        let (schema, relation) = resolve_name(self.context, self.catalog, name).ok()?;
        match self.catalog.relation(&schema, &relation)? {
            Relation::Table(table) => {
                Some(table.live_columns().map(|c| (c.name.clone(), c.ty.clone())).collect())
            }
            Relation::View(view) => {
                Some(view.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect())
            }
            _ => None,
        }
    }

    fn item(&self, factor: &TableFactor, optional: bool) -> Item {
        let unknown = |name: String| Item { name, columns: None, optional };
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let own = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
                let cte = || self.ctes.iter().rev().flatten().find(|(cte, _)| *cte == own);
                let columns = match name.0.as_slice() {
                    [_] if cte().is_some() => cte().and_then(|(_, columns)| columns.clone()),
                    _ => self.relation(name).map(|all| all.into_iter().map(|(name, _)| name).collect()),
                };
                let name = alias.as_ref().map_or(own, |alias| fold(&alias.name));
                Item { name, columns: renamed(columns, alias.as_ref()), optional }
            }
            TableFactor::Derived { subquery, alias: Some(alias), .. } => Item {
                name: fold(&alias.name),
                columns: renamed(columns_of(subquery), Some(alias)),
                optional,
            },
            TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => {
                function(name, alias.as_ref(), optional)
            }
            _ => unknown(String::new()),
        }
    }

    fn scope(&self, select: &Select) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for table in &select.from {
            let first = items.len();
            items.push(self.item(&table.relation, false));
            for join in &table.joins {
                let (left, right) = match join.join_operator {
                    JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (false, true),
                    JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
                    JoinOperator::FullOuter(_) => (true, true),
                    _ => (false, false),
                };
                items[first..].iter_mut().for_each(|item| item.optional |= left);
                items.push(self.item(&join.relation, right));
            }
        }
        items
    }

    /// The part of FROM whose row a name means.
    fn row_of(&self, ident: &Ident) -> Option<&Item> {
        let name = fold(ident);
        for scope in self.scopes.iter().rev() {
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

    /// The row as an expression; NULL where there is none.
    fn row(&self, item: &Item) -> Result<Expr> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let columns = item.columns.as_deref().unwrap_or_default();
        let table = quoted(&item.name);
        let parts: Vec<String> = columns
            .iter()
            .map(|name| format!("'{}', {table}.{}", name.replace('\'', "''"), quoted(name)))
            .collect();
        let mut text = format!("named_struct({})", parts.join(", "));
        if item.optional {
            let nulls: Vec<String> =
                columns.iter().map(|name| format!("{table}.{} IS NULL", quoted(name))).collect();
            text = format!("CASE WHEN {} THEN NULL ELSE {text} END", nulls.join(" AND "));
        }
        crate::dml::default::parse_expr(&text)
    }
}

impl VisitorMut for Rows<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let ctes = query
            .with
            .iter()
            .flat_map(|with| &with.cte_tables)
            .map(|cte| (fold(&cte.alias.name), renamed(columns_of(&cte.query), Some(&cte.alias))));
        self.ctes.push(ctes.collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        self.ctes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        self.scopes.push(self.scope(select));
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

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<Error> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        // (t).a is t.a.
        if let Expr::CompoundFieldAccess { root, access_chain } = expr
            && let Expr::Nested(inner) = &**root
            && let Expr::Identifier(table) = &**inner
            && self.row_of(table).is_some()
            && let Some(AccessExpr::Dot(Expr::Identifier(column))) = access_chain.first()
        {
            let part = Expr::CompoundIdentifier(vec![table.clone(), column.clone()]);
            access_chain.remove(0);
            if access_chain.is_empty() {
                *expr = part;
            } else {
                **root = part;
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Identifier(ident) = expr else { return ControlFlow::Continue(()) };
        let Some(item) = self.row_of(ident) else { return ControlFlow::Continue(()) };
        match self.row(item) {
            Ok(row) => {
                *expr = row;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
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
        let Some(columns) = self.relation(table).filter(|_| null) else { return ControlFlow::Continue(()) };
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
