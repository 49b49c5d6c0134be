//! What clients are told of a query's columns, where it is another of PostgreSQL's types than their own (`oid`, `name`, `"char"`): the
//! tag of the catalog's columns is followed through CASE, COALESCE, array_agg, subqueries, UNION and WITH RECURSIVE, none of which
//! hand it on by themselves.

use arrow::datatypes::DataType as ArrowType;
use datafusion::common::metadata::FieldMetadata;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, Alias};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, LogicalPlanBuilder};

use crate::catalog::column_type::{OID_ID, OID_LIST_ID, TOLD_KEY, told};

/// Functions of which the result is one of the arguments.
const ALIKE: [&str; 4] = ["coalesce", "nullif", "greatest", "least"];
/// Aggregates and window functions that give one of the values of their first argument.
const PICKED: [&str; 7] = ["min", "max", "first_value", "last_value", "nth_value", "lag", "lead"];

/// A plan whose columns bear the tags that can be told.
pub(super) fn marked(plan: LogicalPlan) -> Result<LogicalPlan> {
    let fields = plan.schema().fields();
    let open = |at: usize| {
        let field = &fields[at];
        (told(field).is_none() && may_be_told(field.data_type())).then(|| of(&plan, at)).flatten()
    };
    let found: Vec<Option<u32>> = (0..fields.len()).map(open).collect();
    if found.iter().all(Option::is_none) {
        return Ok(plan);
    }
    let columns = plan.schema().columns();
    let exprs: Vec<Expr> = columns
        .into_iter()
        .zip(found)
        .enumerate()
        .map(|(at, (column, found))| {
            let relation = column.relation.clone();
            let Some(number) = found else { return Expr::Column(column) };
            let mut metadata = fields[at].metadata().clone();
            metadata.insert(TOLD_KEY.to_owned(), number.to_string());
            let name = column.name.clone();
            let alias = Alias::new(Expr::Column(column), relation, name);
            Expr::Alias(alias.with_metadata(Some(FieldMetadata::from(metadata))))
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

fn may_be_told(ty: &ArrowType) -> bool {
    match ty {
        ArrowType::Int64 | ArrowType::Utf8 | ArrowType::Utf8View | ArrowType::LargeUtf8 => true,
        ArrowType::List(item) => *item.data_type() == ArrowType::Int64,
        _ => false,
    }
}

/// What is told of a plan's column.
fn of(plan: &LogicalPlan, at: usize) -> Option<u32> {
    let field = plan.schema().fields().get(at)?;
    if let Some(number) = told(field) {
        return Some(number);
    }
    match plan {
        LogicalPlan::Projection(own) => of_expr(own.expr.get(at)?, &own.input),
        LogicalPlan::Aggregate(own)
            if own.schema.fields().len() == own.group_expr.len() + own.aggr_expr.len() =>
        {
            of_expr(own.group_expr.iter().chain(&own.aggr_expr).nth(at)?, &own.input)
        }
        LogicalPlan::Window(own) => match at.checked_sub(own.input.schema().fields().len()) {
            Some(at) => of_expr(own.window_expr.get(at)?, &own.input),
            None => of(&own.input, at),
        },
        LogicalPlan::Union(own) => agreed(own.inputs.iter().map(|input| Some(of(input, at)))),
        LogicalPlan::RecursiveQuery(own) => of(&own.static_term, at),
        LogicalPlan::Distinct(Distinct::On(own)) => of_expr(own.select_expr.get(at)?, &own.input),
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => of(plan.inputs().first()?, at),
        // The column of an input: of a join's, or of a node of our own.
        _ => {
            let (relation, field) = plan.schema().qualified_field(at);
            plan.inputs().into_iter().find_map(|input| {
                let place = input.schema().index_of_column_by_name(relation, field.name())?;
                of(input, place)
            })
        }
    }
}

/// What all say, those that say nothing because they are NULL aside.
fn agreed(all: impl Iterator<Item = Option<Option<u32>>>) -> Option<u32> {
    let mut found = None;
    for number in all.flatten() {
        let number = number?;
        if *found.get_or_insert(number) != number {
            return None;
        }
    }
    found
}

fn of_expr(expr: &Expr, input: &LogicalPlan) -> Option<u32> {
    let branch = |expr: &Expr| match expr {
        Expr::Literal(value, _) if value.is_null() => None,
        other => Some(of_expr(other, input)),
    };
    match expr {
        Expr::Column(column) => of(input, input.schema().maybe_index_of_column(column)?),
        Expr::Alias(alias) => of_expr(&alias.expr, input),
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            agreed(results.chain(case.else_expr.as_deref()).map(branch))
        }
        Expr::ScalarSubquery(query) => of(&query.subquery, 0),
        Expr::ScalarFunction(call) if ALIKE.contains(&call.name()) => agreed(call.args.iter().map(branch)),
        Expr::ScalarFunction(call) => crate::functions::objects::told(call.name()),
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            picked(func.name(), of_expr(params.args.first()?, input)?)
        }
        Expr::WindowFunction(call) => picked(call.fun.name(), of_expr(call.params.args.first()?, input)?),
        _ => None,
    }
}

/// What is told of a function over values of which `number` is.
fn picked(function: &str, number: u32) -> Option<u32> {
    match function {
        "array_agg" if number == OID_ID => Some(OID_LIST_ID),
        name => PICKED.contains(&name).then_some(number),
    }
}
