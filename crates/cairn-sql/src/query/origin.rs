//! Which column of which table a column of a query is: what drivers are told, who learn from it what may be NULL.

use std::any::Any;

use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use crate::scan::provider::TableScanProvider;

/// The table and the number of its column, from 1, that a plan's column is as it stands there.
pub(super) fn of(plan: &LogicalPlan, at: usize) -> Option<(u32, i16)> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).ok()?;
            let table = (provider.as_ref() as &dyn Any).downcast_ref::<TableScanProvider>()?;
            let number = table.column_number(scan.projected_schema.field(at).name())?;
            Some((table.table_id(), number))
        }
        LogicalPlan::Projection(own) => of_expr(own.expr.get(at)?, &own.input),
        LogicalPlan::Aggregate(own) => of_expr(own.group_expr.get(at)?, &own.input),
        LogicalPlan::Distinct(Distinct::On(own)) => of_expr(own.select_expr.get(at)?, &own.input),
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => of(plan.inputs().first()?, at),
        LogicalPlan::Join(_) | LogicalPlan::Window(_) | LogicalPlan::Extension(_) => {
            let (relation, field) = plan.schema().qualified_field(at);
            plan.inputs().into_iter().find_map(|input| {
                let place = input.schema().index_of_column_by_name(relation, field.name())?;
                of(input, place)
            })
        }
        _ => None,
    }
}

fn of_expr(expr: &Expr, input: &LogicalPlan) -> Option<(u32, i16)> {
    match expr {
        Expr::Column(column) => of(input, input.schema().maybe_index_of_column(column)?),
        Expr::Alias(alias) => of_expr(&alias.expr, input),
        _ => None,
    }
}
