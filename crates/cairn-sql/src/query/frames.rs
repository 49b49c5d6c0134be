//! Windows over values that the query engine orders or frames otherwise than SQL does. An analyzer rule orders JSONB and
//! intervals by their keys (`query::value_order`), and says RANGE without an offset as GROUPS, which is the same rows,
//! where the engine knows no ranges of a type (BYTEA, UUID, TIME and those keys).

use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;

use super::typed_operators::call;
use super::value_order::{key_of, type_of};

/// The rule.
#[derive(Debug)]
pub(crate) struct Frames;

impl AnalyzerRule for Frames {
    fn name(&self) -> &str {
        "frames"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::Window(window) = &node else { return Ok(Transformed::no(node)) };
            let schema = window.input.schema().as_ref().clone();
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = expr.transform_up(|expr| framed(expr, &schema))?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(rewritten.data)
    }
}

fn framed(expr: Expr, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    let Expr::WindowFunction(mut function) = expr else { return Ok(Transformed::no(expr)) };
    let anew = sums_floats_anew(&mut function, schema);
    let params = &mut function.params;
    let frame = &params.window_frame;
    if frame.units == WindowFrameUnits::Range
        && (is_offset(&frame.start_bound) || is_offset(&frame.end_bound))
    {
        return Ok(Transformed::new_transformed(Expr::WindowFunction(function), anew));
    }
    let mut changed = anew;
    for key in &mut params.order_by {
        if let Some(name) = type_of(&key.expr, schema).as_ref().and_then(key_of) {
            key.expr = call(name, vec![key.expr.clone()])?;
            changed = true;
        }
    }
    let has_ranges = |expr: &Expr| match expr.get_type(schema) {
        Ok(ty) => !matches!(
            ty,
            ArrowType::Binary
                | ArrowType::LargeBinary
                | ArrowType::BinaryView
                | ArrowType::FixedSizeBinary(_)
                | ArrowType::Interval(_)
                | ArrowType::Time64(_)
                | ArrowType::Struct(_)
        ),
        Err(_) => true,
    };
    if frame.units == WindowFrameUnits::Range && !params.order_by.iter().all(|key| has_ranges(&key.expr)) {
        let (start, end) = (frame.start_bound.clone(), frame.end_bound.clone());
        params.window_frame = WindowFrame::new_bounds(WindowFrameUnits::Groups, start, end);
        changed = true;
    }
    Ok(Transformed::new_transformed(Expr::WindowFunction(function), changed))
}

/// A sum or mean of floats over a frame that leaves rows behind is computed anew for each row: what is taken off a sum
/// again leaves errors, and all is lost after an infinity.
fn sums_floats_anew(function: &mut WindowFunction, schema: &DFSchema) -> bool {
    let WindowFunctionDefinition::AggregateUDF(aggregate) = &function.fun else { return false };
    let params = &function.params;
    let floats = params.args.first().and_then(|arg| arg.get_type(schema).ok());
    let slides = !matches!(&params.window_frame.start_bound, WindowFrameBound::Preceding(v) if v.is_null());
    if !slides
        || params.filter.is_some()
        || params.distinct
        || !matches!(aggregate.name(), "sum" | "avg")
        || !matches!(floats, Some(ArrowType::Float32 | ArrowType::Float64))
    {
        return false;
    }
    let name = format!("{}nothing_0_{}", super::exclude::PREFIX, aggregate.name());
    match super::exclude::function(&name, |_| Some(Arc::clone(aggregate))) {
        Some(own) => {
            function.fun = WindowFunctionDefinition::WindowUDF(own);
            true
        }
        None => false,
    }
}

fn is_offset(bound: &WindowFrameBound) -> bool {
    match bound {
        WindowFrameBound::CurrentRow => false,
        WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => !value.is_null(),
    }
}
