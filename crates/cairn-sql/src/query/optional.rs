//! A scalar subquery without a row is NULL, whatever its column: the query engine takes it for as nullable as the column
//! and fails, or drops IS NULL, where `(SELECT 9 WHERE false)` is met. So those that may have no row are hidden, as soon
//! as a query is planned, behind a function that gives its argument and may be NULL. It also forgets, once it plans how to run it, the
//! types of subqueries that Arrow has no word for: `(SELECT j FROM t) -> 'a'` of JSONB.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use cairn_types::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use crate::functions::alike::typed_as;
use crate::functions::sql_type;

/// The plan with subqueries that may have no row hidden.
pub(super) fn rewrite(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    if !concerns(&plan)? {
        return Ok(plan);
    }
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let hidden = expr.transform_up(|expr| {
                Ok(if is_concerned(&expr) { Transformed::yes(hidden(expr)) } else { Transformed::no(expr) })
            })?;
            Ok(if hidden.transformed { hidden.update_data(|expr| name.restore(expr)) } else { hidden })
        })?;
        // What stands above has the nullability of before.
        Ok(Transformed::yes(node.data.recompute_schema()?))
    })?;
    Ok(rewritten.data)
}

fn concerns(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(is_concerned(expr)))?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// The type of a subquery that Arrow's type does not say.
fn own_type(expr: &Expr) -> Option<DataType> {
    let Expr::ScalarSubquery(subquery) = expr else { return None };
    let field = subquery.subquery.schema().fields().first()?;
    let ty = sql_type(field);
    (DataType::from_arrow(field.data_type()) != ty && ty.to_arrow() == *field.data_type()).then_some(ty)
}

fn is_concerned(expr: &Expr) -> bool {
    is_optional(expr) || own_type(expr).is_some()
}

fn hidden(expr: Expr) -> Expr {
    let ty = own_type(&expr);
    let expr = if is_optional(&expr) { nullable(expr) } else { expr };
    match ty {
        Some(ty) => typed_as(expr, &ty),
        None => expr,
    }
}

fn is_optional(expr: &Expr) -> bool {
    let Expr::ScalarSubquery(subquery) = expr else { return false };
    let plan = &subquery.subquery;
    plan.schema().fields().first().is_some_and(|field| !field.is_nullable()) && !has_a_row(plan)
}

/// Whether a plan gives a row whatever the data.
fn has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_a_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_a_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        _ => false,
    }
}

fn nullable(expr: Expr) -> Expr {
    static NULLABLE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::from(Nullable { signature }))
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&NULLABLE), vec![expr]))
}

/// Its argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Nullable {
    signature: Signature,
}

impl ScalarUDFImpl for Nullable {
    fn name(&self) -> &str {
        "cairn_nullable"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(types.first().cloned().unwrap_or(ArrowType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(Arc::new(args.arg_fields[0].as_ref().clone().with_nullable(true)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}
