//! IS NULL of rows: a value of a composite type is NULL where all of its fields are, and not NULL where none of them is, as the
//! standard has it. Everything else (COALESCE, `count`, NOT NULL of columns) goes by whether there is a value.

use arrow::datatypes::{DataType as ArrowType, Fields};
use cairn_types::DataType;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, lit};
use datafusion::optimizer::AnalyzerRule;

use super::typed_operators::call;
use super::value_order::type_of;
use crate::functions::composite::{IS_NOT_NULL, IS_NULL, composite};

/// The rule.
#[derive(Debug)]
pub(crate) struct RowNulls;

impl AnalyzerRule for RowNulls {
    fn name(&self) -> &str {
        "row_nulls"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(analyze)?.data)
    }
}

/// The test of each field of a row that has no type of its own: one of a subquery.
fn each(row: &Expr, fields: &Fields, is_null: bool) -> Expr {
    let tests = fields.iter().map(|field| {
        let part = get_field(row.clone(), field.name().as_str());
        if is_null { part.is_null() } else { part.is_not_null() }
    });
    tests.reduce(Expr::and).unwrap_or_else(|| lit(true))
}

fn is_test(expr: &Expr) -> bool {
    matches!(expr, Expr::IsNull(_) | Expr::IsNotNull(_))
}

fn analyze(plan: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    let mut any = false;
    plan.apply_expressions(|expr| {
        any |= expr.exists(|expr| Ok(is_test(expr)))?;
        Ok(if any { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if !any {
        return Ok(Transformed::no(plan));
    }
    let schema = match plan.inputs().as_slice() {
        [] => DFSchema::empty(),
        inputs => merge_schema(inputs),
    };
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| {
            let (name, value) = match &expr {
                Expr::IsNull(value) => (IS_NULL, value),
                Expr::IsNotNull(value) => (IS_NOT_NULL, value),
                _ => return Ok(Transformed::no(expr)),
            };
            if let Ok(ArrowType::Struct(fields)) = value.get_type(&schema)
                && type_of(value, &schema) == Some(DataType::Text)
            {
                return Ok(Transformed::yes(each(value, &fields, name == IS_NULL)));
            }
            match type_of(value, &schema) {
                Some(ty) if composite(&ty).is_some() => {
                    Ok(Transformed::yes(call(name, vec![(**value).clone()])?))
                }
                _ => Ok(Transformed::no(expr)),
            }
        })?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })
}
