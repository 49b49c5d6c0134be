//! NUMERIC without parameters where the query engine would take its values as they stand in Arrow
//! (`cairn_types::decimal::wide`): an analyzer rule that runs when all values have their types. Comparisons and joins go by
//! the keys, in which the digits shown do not count; what the engine would cast or compute by itself is left to our
//! functions.

use arrow::datatypes::DataType as ArrowType;
use cairn_types::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::{BinaryExpr, Case, InSubquery, SetComparison};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery};
use datafusion::optimizer::AnalyzerRule;

use super::typed_operators::call;
use crate::functions::keys::ARRAY;
use crate::functions::operators::{Arithmetic, function};
use crate::functions::wide::{KEY, NEGATE, WIDEN, is_wide};

/// The rule.
#[derive(Debug)]
pub(crate) struct NumericKeys;

impl AnalyzerRule for NumericKeys {
    fn name(&self) -> &str {
        "numeric_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(analyze)?.data)
    }
}

fn analyze(node: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    let node = match node {
        LogicalPlan::Join(mut join) => {
            for (left, right) in &mut join.on {
                let (a, b) = (is_numeric(left, join.left.schema()), is_numeric(right, join.right.schema()));
                if a || b {
                    *left = key(std::mem::take(left))?;
                    *right = key(std::mem::take(right))?;
                }
            }
            LogicalPlan::Join(join)
        }
        other => other,
    };
    let schema = match node.inputs().as_slice() {
        [] => match &node {
            LogicalPlan::TableScan(scan) => scan.projected_schema.as_ref().clone(),
            LogicalPlan::Values(_) => DFSchema::empty(),
            _ => return Ok(Transformed::no(node)),
        },
        inputs => merge_schema(inputs),
    };
    let names = NamePreserver::new(&node);
    let rewritten = node.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| in_expr(expr, &schema))?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })?;
    Ok(match rewritten.transformed {
        true => Transformed::yes(rewritten.data.recompute_schema()?),
        false => rewritten,
    })
}

fn arrow_type(expr: &Expr, schema: &DFSchema) -> Option<ArrowType> {
    match expr {
        Expr::Literal(value, _) => Some(value.data_type()),
        other => other.get_type(schema).ok(),
    }
}

fn is_numeric(expr: &Expr, schema: &DFSchema) -> bool {
    arrow_type(expr, schema).is_some_and(|ty| is_wide(&ty))
}

/// Whether it is an array of numbers.
fn lists(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(arrow_type(expr, schema), Some(ArrowType::List(item)) if is_wide(item.data_type()))
}

/// The key of a number; of what has no type it is that.
fn key(expr: Expr) -> DataFusionResult<Expr> {
    match &expr {
        Expr::Literal(ScalarValue::Null, _) => Ok(expr),
        Expr::ScalarFunction(call) if call.func.name() == KEY => Ok(expr),
        _ => Ok(call(KEY, vec![expr])?),
    }
}

fn in_place(expr: &mut Expr) -> DataFusionResult<()> {
    *expr = key(std::mem::take(expr))?;
    Ok(())
}

fn in_expr(expr: Expr, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    let numeric = |expr: &Expr| is_numeric(expr, schema);
    Ok(match expr {
        Expr::BinaryExpr(mut binary)
            if is_comparison(binary.op) && lists(&binary.left, schema) && lists(&binary.right, schema) =>
        {
            // Columns of arrays have their keys already: these are lists whose elements have just become NUMERICs.
            for side in [&mut binary.left, &mut binary.right] {
                **side = call(ARRAY, vec![std::mem::take(&mut **side)])?;
            }
            Transformed::yes(Expr::BinaryExpr(binary))
        }
        Expr::BinaryExpr(mut binary) => {
            if !numeric(&binary.left) && !numeric(&binary.right) {
                return Ok(Transformed::no(Expr::BinaryExpr(binary)));
            }
            if let Some(operator) = arithmetic(binary.op) {
                return Ok(Transformed::yes(function(operator).call(vec![*binary.left, *binary.right])));
            }
            if !is_comparison(binary.op) {
                return Ok(Transformed::no(Expr::BinaryExpr(binary)));
            }
            in_place(&mut binary.left)?;
            in_place(&mut binary.right)?;
            Transformed::yes(Expr::BinaryExpr(binary))
        }
        Expr::Negative(inner) if numeric(&inner) => Transformed::yes(call(NEGATE, vec![*inner])?),
        Expr::Cast(cast) => {
            let target = cast.field.data_type().clone();
            match (numeric(&cast.expr), is_wide(&target)) {
                (true, false) => Transformed::yes(from_numeric(*cast.expr, &target)?),
                (false, true) => Transformed::yes(call(WIDEN, vec![*cast.expr])?),
                _ => Transformed::no(Expr::Cast(cast)),
            }
        }
        Expr::InList(mut list) if numeric(&list.expr) || list.list.iter().any(numeric) => {
            in_place(&mut list.expr)?;
            for item in &mut list.list {
                in_place(item)?;
            }
            Transformed::yes(Expr::InList(list))
        }
        Expr::Between(mut between) if numeric(&between.expr) || numeric(&between.low) => {
            in_place(&mut between.expr)?;
            in_place(&mut between.low)?;
            in_place(&mut between.high)?;
            Transformed::yes(Expr::Between(between))
        }
        Expr::Case(mut case) => {
            let Some(operand) = case.expr.as_mut().filter(|operand| numeric(operand)) else {
                return Ok(Transformed::no(Expr::Case(case)));
            };
            in_place(operand)?;
            for (when, _) in &mut case.when_then_expr {
                in_place(when)?;
            }
            Transformed::yes(Expr::Case(case))
        }
        Expr::ScalarFunction(own) if own.func.name() == "nullif" && own.args.first().is_some_and(numeric) => {
            nullif(own.args)?
        }
        Expr::InSubquery(own) if numeric(&own.expr) => {
            let subquery = keyed(own.subquery)?;
            let expr = Box::new(key(*own.expr)?);
            Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated: own.negated }))
        }
        Expr::SetComparison(own) if numeric(&own.expr) => {
            let subquery = keyed(own.subquery)?;
            let expr = Box::new(key(*own.expr)?);
            Transformed::yes(Expr::SetComparison(SetComparison { expr, subquery, ..own }))
        }
        other => Transformed::no(other),
    })
}

/// A subquery that gives the keys of its one column.
fn keyed(subquery: Subquery) -> DataFusionResult<Subquery> {
    let plan = subquery.subquery.as_ref().clone();
    let columns = plan.schema().columns();
    let [column] = columns.as_slice() else { return Ok(subquery) };
    let value = key(Expr::Column(column.clone()))?.alias("cairn_key");
    let plan = LogicalPlanBuilder::from(plan).project(vec![value])?.build()?;
    Ok(Subquery { subquery: std::sync::Arc::new(plan), ..subquery })
}

/// NULL where both are equal, else the first one.
fn nullif(args: Vec<Expr>) -> DataFusionResult<Transformed<Expr>> {
    let mut args = args.into_iter();
    let (Some(first), Some(second)) = (args.next(), args.next()) else {
        return Err(crate::Error::internal("nullif of less than two").into());
    };
    let equal = BinaryExpr::new(Box::new(key(first.clone())?), Operator::Eq, Box::new(key(second)?));
    let nothing = Expr::Literal(ScalarValue::Decimal256(None, 76, 38), None);
    let case =
        Case::new(None, vec![(Box::new(Expr::BinaryExpr(equal)), Box::new(nothing))], Some(Box::new(first)));
    Ok(Transformed::yes(Expr::Case(case)))
}

/// A NUMERIC as what the query engine asks for.
fn from_numeric(expr: Expr, target: &ArrowType) -> DataFusionResult<Expr> {
    let ty = DataType::from_arrow(target);
    if ty.to_arrow() == *target {
        return Ok(crate::functions::cast::call(expr, &ty));
    }
    // As a number, without the digits shown.
    Ok(datafusion::logical_expr::cast(key(expr)?, target.clone()))
}

fn is_comparison(op: Operator) -> bool {
    use Operator as O;
    matches!(
        op,
        O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq | O::IsDistinctFrom | O::IsNotDistinctFrom
    )
}

/// The operation of ours.
pub(super) fn arithmetic(op: Operator) -> Option<Arithmetic> {
    Some(match op {
        Operator::Plus => Arithmetic::Add,
        Operator::Minus => Arithmetic::Subtract,
        Operator::Multiply => Arithmetic::Multiply,
        Operator::Divide => Arithmetic::Divide,
        Operator::Modulo => Arithmetic::Remainder,
        _ => return None,
    })
}
