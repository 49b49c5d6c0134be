//! One order of values everywhere: where the query engine orders or tells apart values otherwise than SQL does, an
//! analyzer rule puts a key in their place. ORDER BY of JSONB, floats, arrays and of intervals goes by it (`1 mon` is
//! `30 days`, -0 is 0, NULL comes last in an array), DISTINCT in aggregates takes -0 for 0, `min` and `max` of intervals compare spans. Comparisons are seen to by
//! `query::typed_operators`.

use cairn_types::{Coded, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use super::typed_operators::call;
use crate::functions::overload::type_name;
use crate::functions::{keys, missing, sql_type, wide};

/// The rule.
#[derive(Debug)]
pub(crate) struct ValueOrder;

impl AnalyzerRule for ValueOrder {
    fn name(&self) -> &str {
        "value_order"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(analyze)?.data)
    }
}

fn analyze(node: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    match node {
        LogicalPlan::Sort(mut sort) => {
            let mut changed = false;
            for key in &mut sort.expr {
                if let Some(name) = type_of(&key.expr, sort.input.schema()).as_ref().and_then(sort_key_of) {
                    key.expr = call(name, vec![key.expr.clone()])?;
                    changed = true;
                }
            }
            Ok(Transformed::new_transformed(LogicalPlan::Sort(sort), changed))
        }
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            let schema = on.input.schema().clone();
            let mut changed = false;
            let sorted = on.sort_expr.iter_mut().flatten().map(|key| &mut key.expr);
            for key in on.on_expr.iter_mut().chain(sorted) {
                if let Some(name) = type_of(key, &schema).as_ref().and_then(sort_key_of) {
                    *key = call(name, vec![std::mem::take(key)])?;
                    changed = true;
                }
            }
            Ok(Transformed::new_transformed(LogicalPlan::Distinct(Distinct::On(on)), changed))
        }
        LogicalPlan::Window(_) => {
            let schema = node.inputs()[0].schema().as_ref().clone();
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = expr.transform_up(|expr| window(expr, &schema))?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })
        }
        LogicalPlan::Aggregate(_) => {
            let schema = node.inputs()[0].schema().as_ref().clone();
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = expr.transform_up(|expr| aggregate(expr, &schema))?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })
        }
        other => Ok(Transformed::no(other)),
    }
}

pub(super) fn type_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    expr.to_field(schema).ok().map(|(_, field)| sql_type(&field))
}

/// The function that gives a type's sort key.
pub(super) fn key_of(ty: &DataType) -> Option<&'static str> {
    match ty {
        DataType::Jsonb => Some("cairn_jsonb_key"),
        DataType::Interval(_) => Some("cairn_interval_key"),
        DataType::Numeric(None) => Some(wide::KEY),
        DataType::Array(_) if !ty.is_key_exact() && is_sorted(ty) => Some(keys::ARRAY),
        _ => None,
    }
}

/// The function that gives what values are ordered by.
pub(super) fn sort_key_of(ty: &DataType) -> Option<&'static str> {
    match ty {
        DataType::Coded(_) => Some(crate::functions::coded::NAME),
        DataType::Real | DataType::Double => Some(keys::FLOAT),
        DataType::Array(_) if is_sorted(ty) => Some(keys::ARRAY),
        other => key_of(other),
    }
}

/// Whether values of the type have an order.
fn is_sorted(ty: &DataType) -> bool {
    match ty {
        DataType::Array(element) => is_sorted(element),
        DataType::Json => false,
        _ => true,
    }
}

/// The function that gives what windows are made of and ordered by: a type that frames know.
fn window_key_of(ty: &DataType) -> Option<&'static str> {
    match ty {
        DataType::Coded(_) => Some(crate::functions::coded::TEXT_NAME),
        DataType::Jsonb => Some("cairn_jsonb_key_text"),
        DataType::Array(_) if is_sorted(ty) => Some(keys::ARRAY_TEXT),
        DataType::Real | DataType::Double => Some(keys::FLOAT),
        DataType::Numeric(None) => Some(wide::KEY),
        _ => None,
    }
}

/// What windows are made of and ordered by.
fn window(expr: Expr, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    let Expr::WindowFunction(mut function) = expr else { return Ok(Transformed::no(expr)) };
    let mut changed = false;
    let params = &mut function.params;
    let ordered = params.order_by.iter_mut().map(|order| &mut order.expr);
    for key in params.partition_by.iter_mut().chain(ordered) {
        if let Some(name) = type_of(key, schema).as_ref().and_then(window_key_of) {
            *key = call(name, vec![std::mem::take(key)])?;
            changed = true;
        }
    }
    Ok(Transformed::new_transformed(Expr::WindowFunction(function), changed))
}

fn aggregate(expr: Expr, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    let Expr::AggregateFunction(mut function) = expr else { return Ok(Transformed::no(expr)) };
    let name = function.func.name().to_owned();
    let mut changed = false;
    if !function.params.distinct {
        for order in &mut function.params.order_by {
            if let Some(name) = type_of(&order.expr, schema).as_ref().and_then(sort_key_of) {
                order.expr = call(name, vec![std::mem::take(&mut order.expr)])?;
                changed = true;
            }
        }
    }
    // PostgreSQL sorts to tell values apart.
    if function.params.distinct
        && function.params.order_by.is_empty()
        && matches!(name.as_str(), "string_agg" | "json_agg" | "jsonb_agg")
        && let Some(first) = function.params.args.first()
        && type_of(first, schema).as_ref().is_some_and(|ty| sort_key_of(ty).is_none())
    {
        function.params.order_by.push(first.clone().sort(true, false));
        changed = true;
    }
    if let [arg] = function.params.args.as_mut_slice() {
        match (type_of(arg, schema), name.as_str()) {
            (
                Some(
                    ty @ DataType::Coded(
                        Coded::Range(_)
                        | Coded::Bit(_)
                        | Coded::VarBit(_)
                        | Coded::MacAddr
                        | Coded::Composite(_),
                    ),
                ),
                "min" | "max",
            ) => {
                return Err(missing::error(&name, &[type_name(&ty)]).into());
            }
            (Some(DataType::Interval(_) | DataType::Coded(_) | DataType::Array(_)), "min" | "max") => {
                function.func = crate::functions::extreme(&name);
                changed = true;
            }
            (
                Some(
                    ty @ (DataType::Interval(_)
                    | DataType::Jsonb
                    | DataType::Array(_)
                    | DataType::Numeric(None)),
                ),
                "count",
            ) if function.params.distinct && key_of(&ty).is_some() => {
                *arg = call(key_of(&ty).unwrap_or_default(), vec![std::mem::take(arg)])?;
                changed = true;
            }
            (Some(DataType::Double | DataType::Real), _) if function.params.distinct => {
                // -0 + 0 = 0.
                let zero = match type_of(arg, schema) {
                    Some(DataType::Real) => ScalarValue::Float32(Some(0.0)),
                    _ => ScalarValue::Float64(Some(0.0)),
                };
                let zero = Expr::Literal(zero, None);
                let plain = std::mem::take(arg);
                let whole = BinaryExpr::new(Box::new(plain.clone()), Operator::Plus, Box::new(zero));
                *arg = Expr::BinaryExpr(whole);
                // ORDER BY names the argument.
                for order in function.params.order_by.iter_mut().filter(|order| order.expr == plain) {
                    order.expr = arg.clone();
                }
                changed = true;
            }
            _ => {}
        }
    }
    Ok(Transformed::new_transformed(Expr::AggregateFunction(function), changed))
}
