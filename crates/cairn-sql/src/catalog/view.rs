//! Views: the plan of their text, with the names that CREATE VIEW gave the columns.

use cairn_engine::catalog::ViewDescriptor;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use crate::{Error, Result};

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
