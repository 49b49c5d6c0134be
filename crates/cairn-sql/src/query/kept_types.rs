//! The last rule of the analyzer: calls are given the types of their arguments to keep ([`crate::functions::kept`]).

use arrow::datatypes::FieldRef;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::slots::Parameter;
use crate::functions::kept::keeping;
use crate::routine::function::is_own;

/// The rule.
#[derive(Debug)]
pub(crate) struct KeptTypes;

impl AnalyzerRule for KeptTypes {
    fn name(&self) -> &str {
        "kept_types"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(analyze)?.data)
    }
}

fn analyze(node: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    let schema = match node.inputs().as_slice() {
        [] => match &node {
            LogicalPlan::TableScan(scan) => scan.projected_schema.as_ref().clone(),
            _ => DFSchema::empty(),
        },
        inputs => merge_schema(inputs),
    };
    let names = NamePreserver::new(&node);
    node.map_expressions(|expr| {
        let name = names.save(&expr);
        let kept = expr.transform_up(|expr| Ok(of_expr(expr, &schema)))?;
        Ok(if kept.transformed { kept.update_data(|expr| name.restore(expr)) } else { kept })
    })
}

fn of_expr(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::ScalarFunction(call) = expr else { return Transformed::no(expr) };
    match kept(&call, schema) {
        Some(func) => Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, ..call })),
        None => Transformed::no(Expr::ScalarFunction(call)),
    }
}

fn kept(
    call: &ScalarFunction,
    schema: &DFSchema,
) -> Option<std::sync::Arc<datafusion::logical_expr::ScalarUDF>> {
    // Others ask what these are.
    if is_own(&call.func) || call.func.inner().is::<Parameter>() {
        return None;
    }
    let fields: Option<Vec<FieldRef>> =
        call.args.iter().map(|arg| arg.to_field(schema).ok().map(|(_, field)| field)).collect();
    keeping(&call.func, &fields?)
}
