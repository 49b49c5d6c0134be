//! Views: the plan of their text, with the names that CREATE VIEW gave the columns.

use cairn_engine::catalog::ViewDescriptor;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use sqlparser::ast::{Query, SelectItem, SetExpr, Statement};

use cairn_engine::Catalog;

use crate::context::Context;
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

/// A query to be stored, with the schemas of the relations that it reads now.
pub(crate) fn bound(context: &Context, catalog: &Catalog, query: &Query) -> Query {
    let mut bound = query.clone();
    parse::bound::bind(&mut bound, &|name| {
        if super::is_system_table(name) {
            return None;
        }
        let mut path = context.scope.settings.search_path.iter();
        path.find(|schema| catalog.relation(schema, name).is_some()).cloned()
    });
    bound
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
