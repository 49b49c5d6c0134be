//! EXCEPT ALL and INTERSECT ALL. The query engine takes away, or keeps, every row that is on the other side, however often it is
//! there. So equal rows are numbered on both sides, rows with their numbers are a set, and the numbers are left out
//! of the result. In a query the number comes as a call of [`NAME`].

use std::hash::Hash;
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, Projection, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, WindowFunctionDefinition, cast, col,
};
use sqlparser::ast::{
    ExcludeSelectItem, Ident, ObjectName, Query, SelectItem, SetExpr, SetOperator, SetQuantifier, Statement,
    TableFactor,
};

use crate::{Error, Result, parse};

/// The function that stands for the number of a row among its equals, from 1.
const NAME: &str = "cairn_copy_number";

/// The function.
pub(crate) fn function() -> ScalarUDF {
    ScalarUDF::from(CopyNumber { signature: Signature::nullary(Volatility::Volatile) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CopyNumber {
    signature: Signature,
}

impl ScalarUDFImpl for CopyNumber {
    fn name(&self) -> &str {
        NAME
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(ArrowType::UInt64)
    }
    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Err(DataFusionError::Internal("the number of a row among its equals was not planned".to_owned()))
    }
}

/// Says EXCEPT ALL and INTERSECT ALL in a query's body with numbered rows.
pub(crate) fn number(query: &mut Query) -> Result<()> {
    number_in(&mut query.body)
}

fn number_in(body: &mut SetExpr) -> Result<()> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return Ok(()) };
    number_in(left)?;
    number_in(right)?;
    if *op == SetOperator::Union || *set_quantifier != SetQuantifier::All {
        return Ok(());
    }
    let numbered = |side: SetExpr| -> Result<SetExpr> {
        let text = format!("SELECT *, {NAME}() AS {NAME} FROM (SELECT 1) AS side");
        over(&text, *query_of(side)?)
    };
    let both = SetExpr::SetOperation {
        op: *op,
        set_quantifier: SetQuantifier::None,
        left: Box::new(numbered(std::mem::replace(left, nothing()))?),
        right: Box::new(numbered(std::mem::replace(right, nothing()))?),
    };
    let mut rest = over("SELECT * FROM (SELECT 1) AS both_sides", *query_of(both)?)?;
    if let SetExpr::Select(select) = &mut rest
        && let Some(SelectItem::Wildcard(options)) = select.projection.first_mut()
    {
        options.opt_exclude = Some(ExcludeSelectItem::Single(ObjectName::from(Ident::new(NAME))));
    }
    *body = rest;
    Ok(())
}

fn nothing() -> SetExpr {
    SetExpr::Values(sqlparser::ast::Values { explicit_row: false, rows: Vec::new(), value_keyword: false })
}

fn query_of(body: SetExpr) -> Result<Box<Query>> {
    let Statement::Query(mut query) = parse::parse_text("SELECT 1")? else {
        return Err(Error::internal("a query is parsed as something else"));
    };
    *query.body = body;
    Ok(query)
}

/// That SELECT, from another query.
fn over(text: &str, from: Query) -> Result<SetExpr> {
    let Statement::Query(mut query) = parse::parse_text(text)? else {
        return Err(Error::internal("a query is parsed as something else"));
    };
    if let SetExpr::Select(select) = &mut *query.body
        && let Some(table) = select.from.first_mut()
        && let TableFactor::Derived { subquery, .. } = &mut table.relation
    {
        **subquery = from;
    }
    Ok(*query.body)
}

/// The plan with rows numbered where it asks for their numbers.
pub(super) fn numbered(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    let asks =
        |plan: &LogicalPlan| matches!(plan, LogicalPlan::Projection(p) if p.expr.iter().any(is_number));
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= asks(node);
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !found {
        return Ok(plan);
    }
    let rewritten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Projection(projection) if projection.expr.iter().any(is_number) => {
            Ok(Transformed::yes(with_numbers(&projection)?))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => call.func.name() == NAME,
        Expr::Alias(alias) => is_number(&alias.expr),
        _ => false,
    }
}

fn with_numbers(projection: &Projection) -> DataFusionResult<LogicalPlan> {
    let window = "__cairn_copy";
    let own: Vec<Expr> = projection.expr.iter().filter(|expr| !is_number(expr)).cloned().collect();
    let row_number = WindowFunctionDefinition::WindowUDF(row_number_udwf());
    let number = Expr::from(WindowFunction::new(row_number, Vec::new())).partition_by(own).build()?;
    let exprs = projection.expr.iter().map(|expr| match is_number(expr) {
        true => cast(col(window), ArrowType::Int64).alias(NAME),
        false => expr.clone(),
    });
    let exprs: Vec<Expr> = exprs.collect();
    LogicalPlanBuilder::from(Arc::unwrap_or_clone(Arc::clone(&projection.input)))
        .window(vec![number.alias(window)])?
        .project(exprs)?
        .build()
}
