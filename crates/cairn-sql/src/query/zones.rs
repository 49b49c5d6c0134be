//! The session's time zone within queries. The query engine computes with instants in UTC; where PostgreSQL looks at the
//! local clock (`date_trunc`, `extract`, a TIMESTAMPTZ plus days, a TIMESTAMPTZ beside a local time) an analyzer rule
//! goes through local time. In UTC there is nothing to do, and plans stay as they were.

use cairn_types::DataType;
use cairn_types::datetime::Zone;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::{Between, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use crate::context::ScopeExtension;
use crate::functions::date_field::{EXTRACT, PART};
use crate::functions::{cast, shift, sql_type};

/// The rule.
#[derive(Debug)]
pub(crate) struct SessionZone;

impl AnalyzerRule for SessionZone {
    fn name(&self) -> &str {
        "session_zone"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        if ScopeExtension::of(config).map_or(Zone::UTC, |scope| scope.zone()) == Zone::UTC {
            return Ok(plan);
        }
        Ok(plan.transform_up_with_subqueries(analyze)?.data)
    }
}

fn analyze(plan: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    let schema = match plan.inputs().as_slice() {
        [] => return Ok(Transformed::no(plan)),
        inputs => merge_schema(inputs),
    };
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| Ok(rewrite(expr, &schema)))?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    expr.to_field(schema).ok().map(|(_, field)| sql_type(&field))
}

fn is_local(ty: Option<&DataType>) -> bool {
    matches!(ty, Some(DataType::Timestamp(_) | DataType::Date))
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let instant = |expr: &Expr| type_of(expr, schema) == Some(DataType::TimestampTz(None));
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if args.len() == 2 && instant(&args[1]) => {
            let part = match &args[0] {
                Expr::Literal(ScalarValue::Utf8(Some(part)), _) => part.to_ascii_lowercase(),
                _ => String::new(),
            };
            let local = |expr: Expr| cast::call(expr, &DataType::Timestamp(None));
            match func.name() {
                "date_trunc" => {
                    let moment = local(args.swap_remove(1));
                    args.push(moment);
                    let whole = Expr::ScalarFunction(ScalarFunction { func, args });
                    Transformed::yes(cast::call(whole, &DataType::TimestampTz(None)))
                }
                "date_part" | EXTRACT | PART if part != "epoch" => {
                    let moment = local(args.swap_remove(1));
                    args.push(moment);
                    Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
                }
                _ => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => binary(*left, op, *right, schema),
        Expr::Between(between) => {
            let Between { expr, negated, low, high } = between;
            let types = [&expr, &low, &high].map(|side| type_of(side, schema));
            let any = types.contains(&Some(DataType::TimestampTz(None)));
            let mut changed = false;
            let [expr, low, high] =
                [(expr, &types[0]), (low, &types[1]), (high, &types[2])].map(|(side, ty)| {
                    if any && is_local(ty.as_ref()) {
                        changed = true;
                        return Box::new(cast::call(*side, &DataType::TimestampTz(None)));
                    }
                    side
                });
            Transformed::new_transformed(Expr::Between(Between { expr, negated, low, high }), changed)
        }
        other => Transformed::no(other),
    }
}

fn binary(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let (ours, theirs) = (type_of(&left, schema), type_of(&right, schema));
    let instant = |ty: &Option<DataType>| *ty == Some(DataType::TimestampTz(None));
    let interval = |ty: &Option<DataType>| *ty == Some(DataType::Interval(None));
    use Operator as O;
    let distinct = matches!(op, O::IsDistinctFrom | O::IsNotDistinctFrom);
    if distinct || matches!(op, O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq) {
        let pair = if instant(&ours) && is_local(theirs.as_ref()) {
            (left, cast::call(right, &DataType::TimestampTz(None)))
        } else if is_local(ours.as_ref()) && instant(&theirs) {
            (cast::call(left, &DataType::TimestampTz(None)), right)
        } else {
            return Transformed::no(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))));
        };
        return Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(pair.0), op, Box::new(pair.1))));
    }
    match op {
        Operator::Plus if instant(&ours) && interval(&theirs) => {
            Transformed::yes(shift::call(left, right, true, false))
        }
        Operator::Plus if interval(&ours) && instant(&theirs) => {
            Transformed::yes(shift::call(right, left, true, false))
        }
        Operator::Minus if instant(&ours) && interval(&theirs) => {
            Transformed::yes(shift::call(left, right, true, true))
        }
        _ => Transformed::no(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))),
    }
}
