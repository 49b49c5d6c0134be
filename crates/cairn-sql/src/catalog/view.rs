//! Views: the plan of their text, with the names that CREATE VIEW gave the columns.

use cairn_engine::catalog::ViewDescriptor;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use sqlparser::ast::{Query, SelectItem, SetExpr, Statement, Visit, VisitMut};

use cairn_engine::Catalog;
use cairn_types::DataType;

use crate::context::Context;
use crate::parse::bound::Named;
use crate::parse::names::exact;
use crate::parse::rewrite::column_name;
use crate::session::variables::fold;
use crate::{Error, Result, parse};

/// A view's query for who reads it, its columns called as the view calls them, as far as the select list names them one by
/// one. Relations that the search path finds stand without their schemas.
pub(crate) fn definition(view: &ViewDescriptor, path: &[String]) -> String {
    let called = match parse::parse_text(&view.sql) {
        Ok(Statement::Query(mut query)) => {
            parse::bound::unbind(&mut query, path);
            with_names(&mut query, view);
            Some(query.to_string())
        }
        _ => None,
    };
    parse::shown::shown(called.as_deref().unwrap_or(&view.sql)).into_owned()
}

/// A query to be stored, with the schemas of what it means now.
pub(crate) fn bound(context: &Context, catalog: &Catalog, query: &Query) -> Query {
    let mut bound = query.clone();
    bind(context, catalog, &mut bound);
    bound
}

/// Gives the names of a text to be stored the schemas in which the search path finds them now.
pub(crate) fn bind(context: &Context, catalog: &Catalog, text: &mut (impl Visit + VisitMut)) {
    let path = &context.scope.settings.search_path;
    let find = |has: &dyn Fn(&str) -> bool| path.iter().find(|schema| has(schema)).cloned();
    parse::bound::bind(text, &|named, name| match named {
        Named::Relation if super::is_system_table(name) => None,
        Named::Relation => find(&|schema| catalog.relation(schema, name).is_some()),
        Named::Routine => find(&|schema| catalog.routines_named(schema, name).next().is_some()),
        // The system's own types come first.
        Named::Type if DataType::parse(name).is_some() => None,
        Named::Type => find(&|schema| catalog.type_or_rows(schema, name).is_some()),
    });
}

/// An expression to be stored, with the schemas of what it means now.
pub(crate) fn bound_expr(context: &Context, expr: &sqlparser::ast::Expr) -> Result<String> {
    let mut bound = expr.clone();
    bind(context, &*context.catalog()?, &mut bound);
    Ok(bound.to_string())
}

/// A stored query for who reads it.
pub(crate) fn shown(sql: &str, path: &[String]) -> String {
    let unbound = match parse::parse_text(sql) {
        Ok(Statement::Query(query)) => {
            let mut short = query.clone();
            parse::bound::unbind(&mut short, path);
            (short != query).then(|| short.to_string())
        }
        _ => None,
    };
    parse::shown::shown(unbound.as_deref().unwrap_or(sql)).into_owned()
}

/// Names the columns of a query; whether that changed it.
fn with_names(query: &mut Query, view: &ViewDescriptor) -> bool {
    let mut first = &mut *query.body;
    while let SetExpr::SetOperation { left, .. } = first {
        first = left;
    }
    let SetExpr::Select(select) = first else { return false };
    let mut changed = false;
    for (item, column) in select.projection.iter_mut().zip(&view.columns) {
        let (expr, called) = match item {
            SelectItem::UnnamedExpr(expr) => (expr, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(fold(alias))),
            _ => break,
        };
        if called.unwrap_or_else(|| column_name(expr)) != column.name {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: exact(&column.name) };
            changed = true;
        }
    }
    changed
}

/// Gives a view's plan the view's column names.
pub(crate) fn with_columns(plan: LogicalPlan, view: &ViewDescriptor) -> Result<LogicalPlan> {
    if plan.schema().fields().len() < view.columns.len() {
        return Err(Error::new("XX001", format!("view \"{}\" has lost columns", view.name)));
    }
    let exprs: Vec<Expr> = plan
        .schema()
        .iter()
        .zip(&view.columns)
        .map(|((qualifier, field), column)| {
            Expr::Column(datafusion::common::Column::new(qualifier.cloned(), field.name()))
                .alias(&column.name)
        })
        .collect();
    Ok(LogicalPlanBuilder::from(plan).project(exprs)?.build()?)
}
