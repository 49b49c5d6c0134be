//! Parameters in bodies: `x`, `f.x`, `NEW.x` become `$n`, unless a column has that name there.
//!
//! PostgreSQL takes a name for a parameter where it is not a column. So does this pass, which knows the columns of all
//! relations in FROM of the queries around a name; those of an INSERT's table show in ON CONFLICT and RETURNING only.

use std::collections::HashMap;
use std::ops::ControlFlow;

use cairn_engine::Catalog;
use cairn_engine::catalog::Relation;
use sqlparser::ast::{
    AccessExpr, Delete, Expr, FromTable, Ident, Insert, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableFactor, TableObject,
    TableWithJoins, UpdateTableFromKind, Value as Literal, VisitMut, VisitorMut,
};

use crate::catalog;
use crate::context::Context;
use crate::parse::rewrite::column_name;
use crate::session::variables::fold;
use crate::{Error, Result};

/// What a body calls its parameters. Numbers begin at 1.
#[derive(Debug, Default, Clone)]
pub(crate) struct Parameters {
    /// By name alone.
    plain: HashMap<String, usize>,
    /// Rows (`new`, `old`, the function's name), with their columns in order.
    rows: HashMap<String, Vec<(String, usize)>>,
    /// Those that are rows as values, of which `name.field` is a field.
    composites: HashMap<String, usize>,
}

impl Parameters {
    pub(crate) fn add(&mut self, name: &str, number: usize) {
        if !name.is_empty() {
            self.plain.insert(name.to_owned(), number);
        }
    }

    pub(crate) fn add_composite(&mut self, name: &str, number: usize) {
        if !name.is_empty() {
            self.composites.insert(name.to_owned(), number);
        }
    }

    pub(crate) fn add_row(&mut self, name: &str, columns: Vec<(String, usize)>) {
        self.rows.insert(name.to_owned(), columns);
    }

    fn member(&self, row: &str, column: &str) -> Option<Option<usize>> {
        let columns = self.rows.get(row)?;
        Some(columns.iter().find(|(name, _)| name == column).map(|(_, number)| *number))
    }
}

/// `$n`.
pub(crate) fn placeholder(number: usize) -> Expr {
    Expr::Value(Literal::Placeholder(format!("${number}")).into())
}

/// Puts `$n` in the place of names of parameters.
///
/// # Errors
/// `42703` for a column that a row does not have.
pub(crate) fn resolve(context: &Context, statement: &mut Statement, parameters: &Parameters) -> Result<()> {
    let catalog = context.catalog()?;
    let mut work = Resolve::new(context, &catalog, parameters);
    match work.statement(statement) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The relations of one FROM: their names, and all their columns.
#[derive(Default)]
struct Visible {
    relations: Vec<String>,
    columns: Vec<String>,
}

struct Resolve<'r> {
    context: &'r Context,
    catalog: &'r Catalog,
    parameters: &'r Parameters,
    scopes: Vec<Visible>,
    /// The columns of common table expressions met so far.
    ctes: HashMap<String, Vec<String>>,
    /// The ORDER BY of the queries around.
    orders: Vec<Option<sqlparser::ast::OrderBy>>,
}

impl<'r> Resolve<'r> {
    fn new(context: &'r Context, catalog: &'r Catalog, parameters: &'r Parameters) -> Self {
        let (scopes, ctes, orders) = (Vec::new(), HashMap::new(), Vec::new());
        Resolve { context, catalog, parameters, scopes, ctes, orders }
    }

    fn statement(&mut self, statement: &mut Statement) -> ControlFlow<Error> {
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => {
                let mut visible = Visible::default();
                self.table(&update.table, &mut visible);
                if let Some(UpdateTableFromKind::AfterSet(from)) = &update.from {
                    from.iter().for_each(|table| self.table(table, &mut visible));
                }
                self.within(visible, |work| VisitMut::visit(update, work))
            }
            Statement::Delete(delete) => {
                let visible = self.deleted(delete);
                self.within(visible, |work| VisitMut::visit(delete, work))
            }
            Statement::Merge(merge) => {
                let mut visible = Visible::default();
                self.factor(&merge.table, &mut visible);
                self.factor(&merge.source, &mut visible);
                self.within(visible, |work| VisitMut::visit(merge, work))
            }
            other => VisitMut::visit(other, self),
        }
    }

    fn within(
        &mut self,
        visible: Visible,
        visit: impl FnOnce(&mut Self) -> ControlFlow<Error>,
    ) -> ControlFlow<Error> {
        self.scopes.push(visible);
        let flow = visit(self);
        self.scopes.pop();
        flow
    }

    fn deleted(&self, delete: &Delete) -> Visible {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let mut visible = Visible::default();
        from.iter().chain(delete.using.iter().flatten()).for_each(|table| self.table(table, &mut visible));
        visible
    }

    fn insert(&mut self, insert: &mut Insert) -> ControlFlow<Error> {
        let mut visible = Visible::default();
        if let TableObject::TableName(name) = &insert.table {
            visible.relations.push(last(name));
            visible.columns = self.columns_of(name);
        }
        if let Some(alias) = &insert.table_alias {
            visible.relations.push(fold(&alias.alias));
        }
        if let Some(source) = &mut insert.source {
            source.visit(self)?;
        }
        self.within(visible, |work| {
            insert.on.visit(work)?;
            insert.returning.visit(work)
        })
    }

    fn table(&self, table: &TableWithJoins, visible: &mut Visible) {
        self.factor(&table.relation, visible);
        table.joins.iter().for_each(|join| self.factor(&join.relation, visible));
    }

    fn factor(&self, factor: &TableFactor, visible: &mut Visible) {
        let mut add = |alias: &Option<TableAlias>, name: Option<String>, columns: Vec<String>| {
            let Some(alias) = alias else {
                visible.relations.extend(name);
                visible.columns.extend(columns);
                return;
            };
            visible.relations.push(fold(&alias.name));
            let renamed: Vec<String> = alias.columns.iter().map(|column| fold(&column.name)).collect();
            visible.columns.extend(columns.into_iter().skip(renamed.len()));
            visible.columns.extend(renamed);
        };
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                add(alias, Some(last(name)), self.columns_of(name));
            }
            TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => {
                let mut columns = self.columns_of_call(name);
                columns.extend(alias.iter().map(|alias| fold(&alias.name)));
                add(alias, Some(last(name)), columns);
            }
            TableFactor::Derived { subquery, alias, .. } => {
                add(alias, None, self.output_of(subquery));
            }
            TableFactor::UNNEST { alias, .. } => {
                let columns = alias.iter().map(|alias| fold(&alias.name)).collect();
                add(alias, Some("unnest".to_owned()), columns);
            }
            TableFactor::NestedJoin { table_with_joins, .. } => self.table(table_with_joins, visible),
            _ => {}
        }
    }

    fn columns_of(&self, name: &ObjectName) -> Vec<String> {
        if let [part] = name.0.as_slice()
            && let Some(columns) = part.as_ident().and_then(|ident| self.ctes.get(&fold(ident)))
        {
            return columns.clone();
        }
        if let [part] = name.0.as_slice()
            && let Some(rows) = part.as_ident().and_then(|ident| self.context.scope.transition(&fold(ident)))
        {
            return rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        }
        let Ok((schema, relation)) = catalog::resolve_name(self.context, self.catalog, name) else {
            return Vec::new();
        };
        match self.catalog.relation(&schema, &relation) {
            Some(Relation::Table(table)) => table.live_columns().map(|c| c.name.clone()).collect(),
            Some(Relation::View(view)) => view.columns.iter().map(|c| c.name.clone()).collect(),
            _ => catalog::computed_columns(&schema, &relation),
        }
    }

    fn columns_of_call(&self, name: &ObjectName) -> Vec<String> {
        let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
        let found = super::functions_named(self.context, self.catalog, &parts.join("."));
        let own = found.first().and_then(|routine| super::columns(self.catalog, routine).ok());
        let own = own.into_iter().flatten().map(|(name, _)| name);
        own.chain(["key".to_owned(), "value".to_owned(), last(name)]).collect()
    }

    /// The names of the columns that a query gives.
    fn output_of(&self, query: &Query) -> Vec<String> {
        let mut body = &*query.body;
        loop {
            match body {
                SetExpr::SetOperation { left, .. } => body = left,
                SetExpr::Query(inner) => return self.output_of(inner),
                SetExpr::Select(select) => return self.output_of_select(select),
                SetExpr::Values(values) => {
                    let width = values.rows.first().map_or(0, |row| row.content.len());
                    return (1..=width).map(|n| format!("column{n}")).collect();
                }
                _ => return Vec::new(),
            }
        }
    }

    fn output_of_select(&self, select: &Select) -> Vec<String> {
        let mut names = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => names.push(column_name(expr)),
                SelectItem::ExprWithAlias { alias, .. } => names.push(fold(alias)),
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                    names.extend(self.of_from(select).columns);
                }
                SelectItem::ExprWithAliases { .. } => {}
            }
        }
        names
    }

    fn of_from(&self, select: &Select) -> Visible {
        let mut visible = Visible::default();
        select.from.iter().for_each(|table| self.table(table, &mut visible));
        visible
    }

    fn is_column(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.columns.iter().any(|column| column == name))
    }

    fn is_relation(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.relations.iter().any(|relation| relation == name))
    }

    /// The parameter that `row.column` means, where it means one.
    fn member(&self, row: &str, column: &str) -> Result<Option<usize>> {
        if self.is_relation(row) {
            return Ok(None);
        }
        match self.parameters.member(row, column) {
            None => Ok(None),
            Some(Some(number)) => Ok(Some(number)),
            Some(None) => Err(Error::new("42703", format!("record \"{row}\" has no field \"{column}\""))),
        }
    }

    /// `new.*` written out.
    fn expand(&self, select: &mut Select) {
        let mut items = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            let row = match &item {
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    Some(last(name)).filter(|row| !self.is_relation(row))
                }
                _ => None,
            };
            match row.and_then(|row| self.parameters.rows.get(&row)) {
                Some(columns) => {
                    items.extend(columns.iter().map(|(name, number)| SelectItem::ExprWithAlias {
                        expr: placeholder(*number),
                        alias: Ident::with_quote('"', name),
                    }))
                }
                None => items.push(item),
            }
        }
        select.projection = items;
    }
}

fn last(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default()
}

impl VisitorMut for Resolve<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let mut columns: Vec<String> =
                cte.alias.columns.iter().map(|column| fold(&column.name)).collect();
            let own = self.output_of(&cte.query);
            columns.extend(own.into_iter().skip(columns.len()));
            self.ctes.insert(fold(&cte.alias.name), columns);
        }
        // ORDER BY sees what the query gives: it is looked at last.
        self.orders.push(query.order_by.take());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        query.order_by = self.orders.pop().flatten();
        if query.order_by.is_none() {
            return ControlFlow::Continue(());
        }
        let mut visible = Visible::default();
        if let SetExpr::Select(select) = &*query.body {
            visible = self.of_from(select);
            let aliases = select.projection.iter().filter_map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
                _ => None,
            });
            visible.columns.extend(aliases);
        }
        self.within(visible, |work| query.order_by.visit(work))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let visible = self.of_from(select);
        self.scopes.push(visible);
        self.expand(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<Error> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<Error> {
        // A statement of DML inside WITH or as the body of a query: its names are looked up with its table's columns.
        match statement {
            Statement::Update(update) => {
                let mut visible = Visible::default();
                self.table(&update.table, &mut visible);
                self.scopes.push(visible);
            }
            Statement::Delete(delete) => {
                let visible = self.deleted(delete);
                self.scopes.push(visible);
            }
            _ => self.scopes.push(Visible::default()),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_statement(&mut self, _: &mut Statement) -> ControlFlow<Error> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [row, field] = parts.as_slice()
            && let Some(number) = self.parameters.composites.get(&fold(row))
            && !self.is_relation(&fold(row))
        {
            let access_chain = vec![AccessExpr::Dot(Expr::Identifier(field.clone()))];
            let root = Box::new(Expr::Nested(Box::new(placeholder(*number))));
            *expr = Expr::CompoundFieldAccess { root, access_chain };
            return ControlFlow::Continue(());
        }
        let number = match &*expr {
            Expr::Identifier(ident) => {
                let name = fold(ident);
                self.parameters.plain.get(&name).copied().filter(|_| !self.is_column(&name))
            }
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [row, column] => match self.member(&fold(row), &fold(column)) {
                    Ok(number) => number,
                    Err(error) => return ControlFlow::Break(error),
                },
                _ => None,
            },
            _ => None,
        };
        if let Some(number) = number {
            *expr = placeholder(number);
        }
        ControlFlow::Continue(())
    }
}
