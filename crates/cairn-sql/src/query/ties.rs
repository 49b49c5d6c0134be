//! FETCH FIRST n ROWS WITH TIES. The limit comes as a call of [`NAME`] on n; the rule turns it into a condition on the
//! rank of each row in the order of the query: a row whose rank is at most n (and OFFSET) is before the n-th or ties
//! with it.

use std::hash::Hash;
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DataFusionError, Result};
use datafusion::functions_window::rank::rank_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, Limit, LogicalPlan, LogicalPlanBuilder, Projection,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Sort, Volatility, WindowFunctionDefinition,
    cast, col,
};
use datafusion::optimizer::AnalyzerRule;

/// The function that marks a limit.
pub(crate) const NAME: &str = "cairn_with_ties";
const RANK: &str = "__cairn_rank";

/// The function.
pub(crate) fn function() -> ScalarUDF {
    ScalarUDF::from(WithTies { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WithTies {
    signature: Signature,
}

impl ScalarUDFImpl for WithTies {
    fn name(&self) -> &str {
        NAME
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[ArrowType]) -> Result<ArrowType> {
        Ok(ArrowType::Int64)
    }
    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal("WITH TIES was not planned".to_owned()))
    }
}

/// The rule.
#[derive(Debug)]
pub(crate) struct Ties;

impl AnalyzerRule for Ties {
    fn name(&self) -> &str {
        "with_ties"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Limit(limit) => match marked(&limit) {
                Some(count) => Ok(Transformed::yes(ranked(&limit, count)?)),
                None => Ok(Transformed::no(LogicalPlan::Limit(limit))),
            },
            other => Ok(Transformed::no(other)),
        })?;
        Ok(rewritten.data)
    }
}

/// The n of a marked limit.
fn marked(limit: &Limit) -> Option<Expr> {
    fn inner(expr: &Expr) -> Option<Expr> {
        match expr {
            Expr::ScalarFunction(call) if call.func.name() == NAME => call.args.first().cloned(),
            Expr::Cast(cast) => inner(&cast.expr),
            Expr::Alias(alias) => inner(&alias.expr),
            _ => None,
        }
    }
    limit.fetch.as_deref().and_then(inner)
}

fn ranked(limit: &Limit, count: Expr) -> Result<LogicalPlan> {
    let without = || DataFusionError::Internal("WITH TIES without an order".to_owned());
    let (sort, above): (&Sort, Option<&Projection>) = match limit.input.as_ref() {
        LogicalPlan::Sort(sort) => (sort, None),
        LogicalPlan::Projection(projection) => match projection.input.as_ref() {
            LogicalPlan::Sort(sort) => (sort, Some(projection)),
            _ => return Err(without()),
        },
        _ => return Err(without()),
    };
    let skip = limit.skip.as_deref().cloned();
    let columns: Vec<Expr> = sort.input.schema().columns().into_iter().map(Expr::Column).collect();
    let function = WindowFunctionDefinition::WindowUDF(rank_udwf());
    let rank = Expr::from(WindowFunction::new(function, Vec::new())).order_by(sort.expr.clone()).build()?;
    let mut plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(Arc::clone(&sort.input)))
        .window(vec![rank.alias(RANK)])?;
    let null = matches!(&count, Expr::Literal(value, _) if value.is_null());
    if !null {
        let mut most = cast(count, ArrowType::Int64);
        if let Some(skip) = &skip {
            most = most + cast(skip.clone(), ArrowType::Int64);
        }
        plan = plan.filter(cast(col(RANK), ArrowType::Int64).lt_eq(most))?;
    }
    plan = plan.sort(sort.expr.clone())?;
    if skip.is_some() {
        plan = plan.limit_by_expr(skip, None)?;
    }
    plan = match above {
        Some(projection) => plan.project(projection.expr.clone())?,
        None => plan.project(columns)?,
    };
    plan.build()
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;
    use datafusion::logical_expr::lit;

    use super::*;

    #[test]
    fn only_marked_limits_are_taken() {
        let limit = |fetch: Expr| Limit {
            skip: None,
            fetch: Some(Box::new(fetch)),
            input: Arc::new(LogicalPlan::default()),
        };
        assert_eq!(marked(&limit(lit(3_i64))), None);
        let call = function().call(vec![lit(3_i64)]);
        assert_eq!(marked(&limit(call)), Some(Expr::Literal(ScalarValue::Int64(Some(3)), None)));
    }
}
