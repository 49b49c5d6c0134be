//! GROUP BY and DISTINCT of values that are equal in more than one form (`1 mon` and `30 days`, JSONB's `1.0` and `1.00`):
//! an analyzer rule groups by their keys (`query::value_order`), and shows the first form of each group, as PostgreSQL
//! does. IN and BETWEEN compare the keys.

use std::collections::HashSet;
use std::sync::Arc;

use cairn_types::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::{AggregateFunction, InSubquery, SetComparison};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, LogicalPlan, LogicalPlanBuilder, Projection, Subquery,
};
use datafusion::optimizer::AnalyzerRule;

use super::typed_operators::call;
use super::value_order::{key_of, sort_key_of, type_of};
use crate::functions::sql_type;

/// The rule.
#[derive(Debug)]
pub(crate) struct GroupKeys;

impl AnalyzerRule for GroupKeys {
    fn name(&self) -> &str {
        "group_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(analyze)?.data)
    }
}

fn analyze(node: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    compared(node)?.transform_data(|node| match node {
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let keyed = input
                .schema()
                .columns()
                .into_iter()
                .map(Expr::Column)
                .any(|column| type_of(&column, input.schema()).as_ref().and_then(key_of).is_some());
            if !keyed {
                return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input))));
            }
            let groups = input.schema().columns().into_iter().map(Expr::Column).collect();
            let aggregate = Aggregate::try_new(input, groups, Vec::new())?;
            Ok(Transformed::yes(grouped(aggregate)?.data))
        }
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate),
        other => Ok(Transformed::no(other)),
    })
}

fn grouped(mut aggregate: Aggregate) -> DataFusionResult<Transformed<LogicalPlan>> {
    // What is there twice is one column of the result.
    let mut seen = HashSet::new();
    aggregate.group_expr.retain(|group| seen.insert(group.clone()));
    let schema = aggregate.input.schema();
    let keys: Vec<Option<&'static str>> = aggregate
        .group_expr
        .iter()
        .map(|group| match group {
            Expr::GroupingSet(_) => None,
            group => type_of(group, schema).as_ref().and_then(key_of),
        })
        .collect();
    if keys.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let mut groups = Vec::with_capacity(keys.len());
    let mut shown = aggregate.aggr_expr.clone();
    let mut outputs: Vec<Option<String>> = Vec::new();
    for (at, (group, key)) in aggregate.group_expr.iter().zip(&keys).enumerate() {
        let Some(key) = key else {
            groups.push(group.clone());
            outputs.push(None);
            continue;
        };
        let plain = group.clone().unalias();
        let by = call(key, vec![plain.clone()])?.alias(format!("cairn_group_{at}"));
        for expr in &mut shown {
            in_grouping(expr, &plain, &by);
        }
        groups.push(by);
        let some = AggregateFunction::new_udf(
            crate::functions::some_value(),
            vec![plain],
            false,
            None,
            Vec::new(),
            None,
        );
        let name = format!("cairn_some_{at}");
        shown.push(Expr::AggregateFunction(some).alias(name.clone()));
        outputs.push(Some(name));
    }
    let fields: Vec<Column> = aggregate.schema.columns();
    let made = Aggregate::try_new(Arc::clone(&aggregate.input), groups, shown)?;
    let own = made.schema.columns();
    let exprs = fields
        .into_iter()
        .enumerate()
        .map(|(at, column)| {
            let value = match outputs.get(at) {
                Some(Some(name)) => Expr::Column(Column::new_unqualified(name.clone())),
                _ => Expr::Column(own[at].clone()),
            };
            value.alias_qualified(column.relation, column.name)
        })
        .collect();
    let projection = Projection::try_new(exprs, Arc::new(LogicalPlan::Aggregate(made)))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// `grouping(key)` names what groups are made by.
fn in_grouping(expr: &mut Expr, key: &Expr, by: &Expr) {
    let mut call = expr;
    while let Expr::Alias(alias) = call {
        call = &mut alias.expr;
    }
    if let Expr::AggregateFunction(function) = call
        && function.func.name() == "grouping"
    {
        for arg in function.params.args.iter_mut().filter(|arg| *arg == key) {
            *arg = by.clone();
        }
    }
}

/// IN and BETWEEN.
fn compared(plan: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    let schema = match plan.inputs().as_slice() {
        [] => return Ok(Transformed::no(plan)),
        inputs => merge_schema(inputs),
    };
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| by_keys(expr, &schema))?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })
}

/// The key by which values of a type are ordered otherwise than by Arrow: NULL comes last in an array.
fn sorted(ty: &DataType) -> Option<&'static str> {
    match ty {
        DataType::Array(_) => sort_key_of(ty),
        other => key_of(other),
    }
}

/// A subquery of one column that gives the keys of its values.
fn of_keys(own: Subquery, name: &str) -> DataFusionResult<Subquery> {
    let plan = own.subquery.as_ref().clone();
    let keys: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .map(|column| Ok(call(name, vec![Expr::Column(column)])?.alias("cairn_key")))
        .collect::<DataFusionResult<_>>()?;
    let plan = LogicalPlanBuilder::from(plan).project(keys)?.build()?;
    Ok(Subquery { subquery: Arc::new(plan), ..own })
}

/// IN and BETWEEN of values that are equal where their keys are, as that of their keys.
pub(super) fn by_keys(expr: Expr, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    let key = |expr: &Expr| type_of(expr, schema).as_ref().and_then(key_of);
    let same = |expr: &Expr, other: &DataType| type_of(expr, schema).as_ref() == Some(other);
    match expr {
        Expr::InList(mut list) => {
            let (Some(name), Some(ty)) = (key(&list.expr), type_of(&list.expr, schema)) else {
                return Ok(Transformed::no(Expr::InList(list)));
            };
            if !list.list.iter().all(|item| same(item, &ty)) {
                return Ok(Transformed::no(Expr::InList(list)));
            }
            for side in std::iter::once(&mut *list.expr).chain(&mut list.list) {
                *side = call(name, vec![std::mem::take(side)])?;
            }
            Ok(Transformed::yes(Expr::InList(list)))
        }
        Expr::Between(mut between) => {
            let ty = type_of(&between.expr, schema);
            let (Some(name), Some(ty)) = (ty.as_ref().and_then(sorted), ty) else {
                return Ok(Transformed::no(Expr::Between(between)));
            };
            if !same(&between.low, &ty) || !same(&between.high, &ty) {
                return Ok(Transformed::no(Expr::Between(between)));
            }
            for side in [&mut between.expr, &mut between.low, &mut between.high] {
                **side = call(name, vec![std::mem::take(&mut **side)])?;
            }
            Ok(Transformed::yes(Expr::Between(between)))
        }
        Expr::InSubquery(own) => {
            let Some(name) = key(&own.expr) else { return Ok(Transformed::no(Expr::InSubquery(own))) };
            if own.subquery.subquery.schema().fields().len() != 1 {
                return Ok(Transformed::no(Expr::InSubquery(own)));
            }
            let subquery = of_keys(own.subquery, name)?;
            let expr = Box::new(call(name, vec![*own.expr])?);
            Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated: own.negated })))
        }
        Expr::SetComparison(own) => {
            let inner = own.subquery.subquery.schema();
            let member = inner.fields().first().map(|field| sql_type(field));
            let ty = type_of(&own.expr, schema).filter(|ty| member.as_ref() == Some(ty));
            let Some(name) = ty.as_ref().and_then(sorted) else {
                return Ok(Transformed::no(Expr::SetComparison(own)));
            };
            let SetComparison { expr, subquery, op, quantifier } = own;
            let expr = Box::new(call(name, vec![*expr])?);
            let subquery = of_keys(subquery, name)?;
            Ok(Transformed::yes(Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })))
        }
        other => Ok(Transformed::no(other)),
    }
}
