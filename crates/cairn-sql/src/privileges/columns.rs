//! Which columns of its relations a query names: whoever may not read a whole relation may read a query that names the
//! columns only that are granted. As in PostgreSQL a name counts wherever it stands, and `*` names all.

use std::any::Any;
use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result as DataFusionResult};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, Subquery};

use super::relations::{Secured, any_secured, secured};
use crate::{Error, Result};

/// Looks at a plan that is not optimised yet.
///
/// # Errors
/// `42501`.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    if any_secured(plan)? {
        visit(plan, all(plan)).map_err(Error::from)?;
    }
    Ok(())
}

fn all(plan: &LogicalPlan) -> BTreeSet<usize> {
    (0..plan.schema().fields().len()).collect()
}

/// `named`: the columns that what stands above names.
fn visit(plan: &LogicalPlan, named: BTreeSet<usize>) -> DataFusionResult<()> {
    let inputs = plan.inputs();
    let mut below: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); inputs.len()];
    match plan {
        LogicalPlan::TableScan(scan) => {
            let place = |at: &usize| scan.projection.as_ref().map_or(*at, |places| places[*at]);
            let Some(provider) = secured(&scan.source) else { return Ok(()) };
            let own = (provider.as_ref() as &dyn Any).downcast_ref::<Secured>();
            if let Some((allowed, refusal)) = own.and_then(|own| own.allowed.as_ref())
                && named.iter().map(place).any(|place| !allowed.contains(&place))
            {
                return Err(refusal.clone().into());
            }
            return Ok(());
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            // A semi join gives the columns of one side.
            let only_right = plan.schema().fields().len() == join.right.schema().fields().len()
                && plan.schema().fields().len() != left;
            for at in named {
                match at < left && !only_right {
                    true => below[0].insert(at),
                    false => below[1].insert(if only_right { at } else { at - left }),
                };
            }
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::RecursiveQuery(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => below.iter_mut().for_each(|own| own.clone_from(&named)),
        LogicalPlan::Window(_) => {
            let width = inputs.first().map_or(0, |input| input.schema().fields().len());
            below[0].extend(named.into_iter().filter(|at| *at < width));
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Distinct(Distinct::On(_)) => {}
        _ => {
            for at in named {
                let (qualifier, field) = plan.schema().qualified_field(at);
                note(&inputs, &mut below, &Column::new(qualifier.cloned(), field.name()));
            }
        }
    }
    plan.apply_expressions(|expr| {
        expressions(expr, &inputs, &mut below)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    inputs.into_iter().zip(below).try_for_each(|(input, named)| visit(input, named))
}

fn note(inputs: &[&LogicalPlan], below: &mut [BTreeSet<usize>], column: &Column) {
    for (input, named) in inputs.iter().zip(below) {
        if let Some(at) = input.schema().maybe_index_of_column(column) {
            named.insert(at);
            return;
        }
    }
}

fn expressions(expr: &Expr, inputs: &[&LogicalPlan], below: &mut [BTreeSet<usize>]) -> DataFusionResult<()> {
    let mut subquery = |own: &Subquery, exists: bool| -> DataFusionResult<()> {
        for outer in &own.outer_ref_columns {
            if let Expr::OuterReferenceColumn(_, column) = outer {
                note(inputs, below, column);
            }
        }
        let named = if exists { BTreeSet::new() } else { all(&own.subquery) };
        visit(&own.subquery, named)
    };
    let mut subqueries: Vec<(Subquery, bool)> = Vec::new();
    let mut columns: Vec<Column> = Vec::new();
    expr.apply(|part| {
        match part {
            Expr::Column(column) => columns.push(column.clone()),
            Expr::ScalarSubquery(own) => subqueries.push((own.clone(), false)),
            Expr::InSubquery(own) => subqueries.push((own.subquery.clone(), false)),
            Expr::Exists(own) => subqueries.push((own.subquery.clone(), true)),
            Expr::SetComparison(own) => subqueries.push((own.subquery.clone(), false)),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    for (own, exists) in &subqueries {
        subquery(own, *exists)?;
    }
    for column in &columns {
        note(inputs, below, column);
    }
    Ok(())
}
