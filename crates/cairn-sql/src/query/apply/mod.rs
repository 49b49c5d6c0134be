//! Correlated subqueries that the query engine cannot turn into joins: each becomes a function of the outer columns it
//! mentions, which runs the subquery for every combination of their values that it meets ([`evaluate::Apply`]).
//!
//! ```text
//!   SELECT a, (SELECT max(b) FROM u WHERE u.x < t.a) FROM t   ─▶   SELECT a, apply(t.a) FROM t
//!   FROM t, LATERAL (SELECT … LIMIT 1) s                      ─▶   unnest(apply(t.a)) AS s over t
//! ```
//! This is the second choice: plans go to the query engine as they are first, then with the subqueries replaced that
//! are more than equalities with outer columns, then with all of them replaced.
//!
//! I1: an outer column belongs to the innermost query around the subquery that has a column of that name, as the
//! planner resolved it; what no query up to the node has is handed on to the apply around it.

mod evaluate;
mod members;
mod unknown;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue, UnnestOptions};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::{Exists, InSubquery, Placeholder, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{merge_schema, split_conjunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator,
    SubqueryAlias, lit,
};

use self::evaluate::{Apply, Kind};
pub(crate) use self::unknown::is_told as tells_unknown;
use crate::context::Context;
use crate::query::total_rows::gives_total;

/// Whether a plan has subqueries in expressions or LATERAL items at all.
pub(crate) fn has_subqueries(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply(|node| {
        found |= matches!(node, LogicalPlan::Subquery(_));
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(is_subquery(expr)))?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_))
}

/// How deep subqueries in expressions nest within each other, [`DEPTH_MAX`] at most.
pub(crate) fn depth(plan: &LogicalPlan) -> DataFusionResult<usize> {
    fn below(plan: &LogicalPlan, left: usize) -> DataFusionResult<usize> {
        let mut deepest = 0;
        plan.apply(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let (Some(subquery), true) = (subquery_of(expr), left > 0) {
                        deepest = deepest.max(1 + below(subquery, left - 1)?);
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(deepest)
    }
    below(plan, DEPTH_MAX)
}

/// Whether a subquery that gives values names outer columns in its list: the query engine takes what is unknown there for false, or loses
/// the condition.
pub(crate) fn gives_outer(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| match expr {
                Expr::Exists(_) => Ok(false),
                other => Ok(subquery_of(other).is_some_and(lists_outer)),
            })?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// Whether a correlated subquery has groups that are there for no rows: a join with its groups would have no row where PostgreSQL has
/// the one for all.
pub(crate) fn has_totals(plan: &LogicalPlan) -> DataFusionResult<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| match subquery_of(expr) {
                Some(inner) => Ok(totals(inner)? && !free(inner)?.is_empty()),
                None => Ok(false),
            })?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// Whether a plan has grouping sets with one of no keys.
fn totals(plan: &LogicalPlan) -> DataFusionResult<bool> {
    plan.exists(|node| {
        Ok(matches!(node, LogicalPlan::Aggregate(aggregate)
            if !aggregate.group_expr.is_empty() && gives_total(aggregate)))
    })
}

/// The plan with the rows of those subqueries renamed that have a column which the value compared with them names too, as in
/// `x > ALL (SELECT x FROM t)` over the same table: the query engine makes the comparison a condition within the subquery, where
/// the name would be the subquery's.
pub(crate) fn without_captures(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    let rewritten = plan.transform_down_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let replaced = expr.transform_down(|expr| match expr {
                Expr::SetComparison(comparison) if captures(&comparison)? => {
                    let inner = renamed(comparison.subquery.subquery.as_ref().clone())?;
                    Ok(Transformed::yes(with_plan(Expr::SetComparison(comparison), inner)))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(replaced.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(rewritten.data)
}

fn captures(comparison: &SetComparison) -> DataFusionResult<bool> {
    let outer = comparison.expr.column_refs();
    let inner = &comparison.subquery.subquery;
    if inner.schema().field(0).name() == RENAMED {
        return Ok(false);
    }
    inner.exists(|node| Ok(outer.iter().any(|column| node.schema().has_column(column))))
}

/// What such a column is called.
const RENAMED: &str = "__cairn_value";

fn renamed(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    let value = Expr::Column(Column::from(plan.schema().qualified_field(0))).alias(RENAMED);
    LogicalPlanBuilder::from(plan).project([value])?.alias("__cairn_set")?.build()
}

/// Whether the output of a plan is made of outer columns.
fn lists_outer(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().any(Expr::contains_outer) || lists_outer(&projection.input)
        }
        LogicalPlan::Aggregate(_) | LogicalPlan::Union(_) => plan.contains_outer_reference(),
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Filter(_) => plan.inputs().into_iter().any(lists_outer),
        _ => false,
    }
}

/// Subqueries within each other that the query engine is given: the time in which it checks them doubles with each.
pub(crate) const DEPTH_MAX: usize = 6;

/// Which subqueries are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those that are not simple.
    NotSimple,
    /// All that are correlated.
    Correlated,
    All,
}

/// A plan with subqueries replaced.
pub(crate) fn rewrite(
    context: &Context,
    state: &SessionState,
    plan: LogicalPlan,
    which: Which,
) -> DataFusionResult<LogicalPlan> {
    Rewrite { context, state, which }.plan(plan)
}

/// Where an expression with subqueries stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A list of SELECT.
    List,
    /// A condition, within which what is unknown of an IN may be taken for false.
    Condition,
    /// A condition within which it may not.
    Exact,
    Join,
    Other,
}

struct Rewrite<'s> {
    context: &'s Context,
    state: &'s SessionState,
    which: Which,
}

impl Rewrite<'_> {
    fn plan(&self, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
        Ok(plan.transform_up(|node| self.node(node))?.data)
    }

    fn node(&self, node: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
        let node = match node {
            LogicalPlan::Join(join) if lateral(&join.right).is_some() => {
                return self.lateral(join).map(Transformed::yes);
            }
            LogicalPlan::Sort(sort) => match self.sort(sort)? {
                (plan, true) => return Ok(Transformed::yes(plan)),
                (plan, false) => plan,
            },
            other => other,
        };
        let schema = match node.inputs().as_slice() {
            [] => DFSchema::empty(),
            inputs => merge_schema(inputs),
        };
        let place = match node {
            LogicalPlan::Projection(_) => Place::List,
            LogicalPlan::Filter(_) => Place::Condition,
            LogicalPlan::Join(_) => Place::Join,
            _ => Place::Other,
        };
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            if !expr.exists(|expr| Ok(is_subquery(expr)))? {
                return Ok(Transformed::no(expr));
            }
            let name = names.save(&expr);
            let place = match place {
                Place::Condition | Place::Join if unknown::matters(&expr, &schema)? => Place::Exact,
                place => place,
            };
            let replaced = expr.transform_up(|expr| self.subquery(expr, &schema, place))?;
            Ok(replaced.update_data(|expr| name.restore(expr)))
        })
    }

    /// ORDER BY a subquery over columns that the result does not have: they are there below the projection.
    fn sort(&self, mut sort: datafusion::logical_expr::Sort) -> DataFusionResult<(LogicalPlan, bool)> {
        let missing = |schema: &DFSchema, expr: &Expr| -> DataFusionResult<bool> {
            let mut missing = false;
            expr.apply(|expr| {
                if let Some(subquery) = subquery_of(expr) {
                    missing |= free(subquery)?.iter().any(|(_, column)| !schema.has_column(column));
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(missing)
        };
        let LogicalPlan::Projection(projection) = sort.input.as_ref() else {
            return Ok((LogicalPlan::Sort(sort), false));
        };
        let mut added = Vec::new();
        for (at, order) in sort.expr.iter_mut().enumerate() {
            if missing(&projection.schema, &order.expr)? {
                let name = format!("__cairn_order_{at}");
                let key = std::mem::replace(&mut order.expr, Expr::Column(Column::new_unqualified(&name)));
                added.push(key.alias(name));
            }
        }
        if added.is_empty() {
            return Ok((LogicalPlan::Sort(sort), false));
        }
        let shown: Vec<Expr> = projection.schema.columns().into_iter().map(Expr::Column).collect();
        let below = LogicalPlanBuilder::new_from_arc(projection.input.clone())
            .project(projection.expr.iter().cloned().chain(added))?
            .build()?;
        let below = self.node(below)?.data;
        let plan = LogicalPlanBuilder::from(below).sort_with_limit(sort.expr, sort.fetch)?.project(shown)?;
        Ok((plan.build()?, true))
    }

    fn subquery(&self, expr: Expr, schema: &DFSchema, place: Place) -> DataFusionResult<Transformed<Expr>> {
        let Some(plan) = subquery_of(&expr) else { return Ok(Transformed::no(expr)) };
        let exact = !matches!(place, Place::Condition | Place::Join)
            && matches!(expr, Expr::InSubquery(_) | Expr::SetComparison(_));
        let joinable = matches!(place, Place::List | Place::Condition) && !exact;
        let inner = self.plan(plan.clone())?;
        let outer = free(&inner)?;
        let bound = outer.iter().all(|(_, column)| schema.has_column(column));
        let leave = match self.which {
            Which::All => false,
            Which::Correlated => outer.is_empty() && joinable,
            Which::NotSimple => outer.is_empty() && !exact || joinable && bound && is_simple(&expr, &inner)?,
        };
        if leave {
            return Ok(Transformed::yes(with_plan(expr, inner)));
        }
        // Values of some types are equal where their keys are.
        let expr = crate::query::group_keys::by_keys(as_in(with_plan(expr, inner)), schema)?.data;
        let Some(inner) = subquery_of(&expr).cloned() else { return Ok(Transformed::no(expr)) };
        let (inner, mut args, mut fields) = parameterise(inner, outer, schema)?;
        Ok(Transformed::yes(match expr {
            Expr::ScalarSubquery(_) => self.apply(Kind::Scalar, inner, fields, args)?,
            Expr::Exists(Exists { negated, .. }) => {
                negated_if(negated, self.apply(Kind::Exists, inner, fields, args)?)
            }
            Expr::InSubquery(InSubquery { expr, negated, .. })
                if let Some(common) = members::common_type(&expr, schema, &inner)? =>
            {
                let inner = members::of_type(inner, &common)?;
                args.push(members::as_type(*expr, schema, &common)?);
                negated_if(negated, self.apply(Kind::Member, inner, fields, args)?)
            }
            Expr::InSubquery(InSubquery { expr, negated, .. }) => {
                let inner = any(self.state, &expr, Operator::Eq, schema, inner, &mut fields)?;
                args.push(*expr);
                negated_if(negated, self.apply(Kind::Scalar, inner, fields, args)?)
            }
            Expr::SetComparison(SetComparison { expr, op, quantifier, .. }) => {
                // What holds for all is not wrong for any.
                let all = quantifier == SetQuantifier::All;
                let op = if all { op.negate().unwrap_or(op) } else { op };
                let inner = any(self.state, &expr, op, schema, inner, &mut fields)?;
                args.push(*expr);
                negated_if(all, self.apply(Kind::Scalar, inner, fields, args)?)
            }
            other => other,
        }))
    }

    fn apply(
        &self,
        kind: Kind,
        plan: LogicalPlan,
        fields: Vec<arrow::datatypes::FieldRef>,
        args: Vec<Expr>,
    ) -> DataFusionResult<Expr> {
        Ok(Apply::new(self.context, self.state, kind, plan, fields)?.call(args))
    }

    /// `left, LATERAL right`: the rows of the right side as a list for each row of the left one, unnested.
    fn lateral(&self, join: Join) -> DataFusionResult<LogicalPlan> {
        let Some(right) = lateral(&join.right) else { return Ok(LogicalPlan::Join(join)) };
        let (left_schema, right_schema) = (join.left.schema(), join.right.schema());
        let outer_join = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            _ => return Ok(LogicalPlan::Join(join)),
        };
        let mut inner = right;
        let equal = |(l, r): &(Expr, Expr)| {
            Expr::BinaryExpr(BinaryExpr::new(Box::new(l.clone()), Operator::Eq, Box::new(r.clone())))
        };
        for condition in join.on.iter().map(equal).chain(join.filter.clone()) {
            let condition = condition.transform_up(|expr| match expr {
                Expr::Column(column) if !right_schema.has_column(&column) => {
                    let field = left_schema.qualified_field_from_column(&column)?.1.clone();
                    Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
                }
                other => Ok(Transformed::no(other)),
            })?;
            inner = LogicalPlan::Filter(Filter::try_new(condition.data, std::sync::Arc::new(inner))?);
        }
        let outer = free(&inner)?;
        if outer.is_empty() && !outer_join {
            return LogicalPlanBuilder::new_from_arc(join.left).cross_join(inner)?.build();
        }
        let (inner, args, fields) = parameterise(inner, outer, left_schema)?;
        let apply = Apply::new(self.context, self.state, Kind::Rows, inner, fields)?;
        let list = Column::new_unqualified(apply.column_name());
        let left_columns: Vec<Expr> = left_schema.columns().into_iter().map(Expr::Column).collect();
        let rows = apply.call(args).alias(list.name());
        let right_columns = right_schema.iter().enumerate().map(|(at, (qualifier, field))| {
            let member = datafusion::functions::core::expr_fn::get_field(
                Expr::Column(list.clone()),
                evaluate::member_name(at),
            );
            member.alias_qualified(qualifier.cloned(), field.name())
        });
        let options = UnnestOptions::new().with_preserve_nulls(outer_join);
        LogicalPlanBuilder::new_from_arc(join.left.clone())
            .project(left_columns.iter().cloned().chain([rows]))?
            .unnest_column_with_options(list.clone(), options)?
            .project(left_columns.iter().cloned().chain(right_columns).collect::<Vec<_>>())?
            .build()
    }
}

/// The plan on the right side of a LATERAL join, under its alias.
fn lateral(right: &LogicalPlan) -> Option<LogicalPlan> {
    match right {
        LogicalPlan::Subquery(subquery) => Some(subquery.subquery.as_ref().clone()),
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(subquery) => {
                let alias = SubqueryAlias::try_new(subquery.subquery.clone(), alias.alias.clone());
                alias.ok().map(LogicalPlan::SubqueryAlias)
            }
            _ => None,
        },
        _ => None,
    }
}

fn subquery_of(expr: &Expr) -> Option<&LogicalPlan> {
    Some(match expr {
        Expr::ScalarSubquery(subquery) => &subquery.subquery,
        Expr::Exists(exists) => &exists.subquery.subquery,
        Expr::InSubquery(list) => &list.subquery.subquery,
        Expr::SetComparison(comparison) => &comparison.subquery.subquery,
        _ => return None,
    })
}

/// `= ANY` and `<> ALL` are IN and NOT IN.
fn as_in(expr: Expr) -> Expr {
    match expr {
        Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })
            if matches!(
                (op, &quantifier),
                (Operator::Eq, SetQuantifier::Any) | (Operator::NotEq, SetQuantifier::All)
            ) =>
        {
            Expr::InSubquery(InSubquery { expr, subquery, negated: op == Operator::NotEq })
        }
        other => other,
    }
}

fn with_plan(mut expr: Expr, plan: LogicalPlan) -> Expr {
    let subquery = match &mut expr {
        Expr::ScalarSubquery(subquery) => subquery,
        Expr::Exists(exists) => &mut exists.subquery,
        Expr::InSubquery(list) => &mut list.subquery,
        Expr::SetComparison(comparison) => &mut comparison.subquery,
        _ => return expr,
    };
    *subquery = subquery.with_plan(std::sync::Arc::new(plan));
    expr
}

fn negated_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}

type OuterColumns = Vec<(arrow::datatypes::FieldRef, Column)>;

/// The columns that a plan takes from outside of it, each once (I1).
fn free(plan: &LogicalPlan) -> DataFusionResult<OuterColumns> {
    let mut found = OuterColumns::new();
    let mut add = |field: &arrow::datatypes::FieldRef, column: &Column| {
        if !found.iter().any(|(_, known)| known == column) {
            found.push((field.clone(), column.clone()));
        }
    };
    plan.apply(|node| {
        let schema = match node.inputs().as_slice() {
            [] => DFSchema::empty(),
            inputs => merge_schema(inputs),
        };
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::OuterReferenceColumn(field, column) = expr {
                    add(field, column);
                }
                if let Some(subquery) = subquery_of(expr) {
                    for (field, column) in free(subquery)? {
                        if !schema.has_column(&column) {
                            add(&field, &column);
                        }
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// Puts `$1`, `$2` … in the place of outer columns; gives what is to be handed over at the outer node, and its fields.
fn parameterise(
    plan: LogicalPlan,
    outer: OuterColumns,
    schema: &DFSchema,
) -> DataFusionResult<(LogicalPlan, Vec<Expr>, Vec<arrow::datatypes::FieldRef>)> {
    let substituted = plan.transform_up(|node| {
        // A LATERAL item that is not joined with anything: what it depends on stands in it now.
        if let LogicalPlan::Subquery(item) = node {
            return Ok(Transformed::yes(std::sync::Arc::unwrap_or_clone(item.subquery)));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let replaced = expr.transform_up(|expr| match &expr {
                Expr::OuterReferenceColumn(_, column) => {
                    match outer.iter().position(|(_, known)| known == column) {
                        Some(at) => Ok(Transformed::yes(parameter(at, &outer[at].0))),
                        None => Ok(Transformed::no(expr)),
                    }
                }
                _ => Ok(Transformed::no(expr)),
            })?;
            Ok(if replaced.transformed { replaced.update_data(|expr| name.restore(expr)) } else { replaced })
        })
    })?;
    let mut args = Vec::with_capacity(outer.len());
    let mut fields = Vec::with_capacity(outer.len());
    for (field, column) in outer {
        args.push(match schema.has_column(&column) {
            true => Expr::Column(column),
            false => Expr::OuterReferenceColumn(field.clone(), column),
        });
        fields.push(field);
    }
    Ok((substituted.data, args, fields))
}

fn parameter(at: usize, field: &arrow::datatypes::FieldRef) -> Expr {
    let field = std::sync::Arc::new(field.as_ref().clone().with_nullable(true));
    Expr::Placeholder(Placeholder { id: format!("${}", at + 1), field: Some(field) })
}

/// One row that tells whether `expr op value` holds for any value of a plan's only column: NULL where it holds for none
/// and is unknown for one. The expression is handed over as a further parameter.
fn any(
    state: &SessionState,
    expr: &Expr,
    op: Operator,
    schema: &DFSchema,
    plan: LogicalPlan,
    fields: &mut Vec<arrow::datatypes::FieldRef>,
) -> DataFusionResult<LogicalPlan> {
    let (_, field) = expr.to_field(schema)?;
    let given = parameter(fields.len(), &field);
    fields.push(field);
    let value = Expr::Column(Column::from(plan.schema().qualified_field(0)));
    let holds = Expr::BinaryExpr(BinaryExpr::new(Box::new(given), op, Box::new(value)));
    let Some(bool_or) = state.aggregate_functions().get("bool_or") else {
        return datafusion::common::internal_err!("no function bool_or");
    };
    let aggregate = |argument: Expr, name: &str| bool_or.call(vec![argument]).alias(name);
    let column = |name: &str| Expr::Column(Column::new_unqualified(name));
    let answer = datafusion::logical_expr::when(column("__cairn_holds"), lit(true))
        .when(column("__cairn_unknown"), lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))?;
    let unknown = Expr::IsNull(Box::new(holds.clone()));
    LogicalPlanBuilder::from(plan)
        .aggregate(
            Vec::<Expr>::new(),
            vec![aggregate(holds, "__cairn_holds"), aggregate(unknown, "__cairn_unknown")],
        )?
        .project(vec![answer.alias("any")])?
        .build()
}

/// Whether the query engine is known to join this subquery: outer columns stand in equalities of WHERE only, over
/// scans, joins and one aggregate.
fn is_simple(expr: &Expr, plan: &LogicalPlan) -> DataFusionResult<bool> {
    if totals(plan)? {
        return Ok(false);
    }
    if matches!(expr, Expr::ScalarSubquery(_)) && !is_one_row(plan) {
        return Ok(false);
    }
    let mut simple = true;
    plan.apply(|node| {
        simple &= match node {
            LogicalPlan::Filter(filter) => split_conjunction(&filter.predicate).into_iter().all(is_equality),
            LogicalPlan::Projection(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::TableScan(_) => !node.contains_outer_reference(),
            LogicalPlan::Join(join) => join.join_type == JoinType::Inner && !node.contains_outer_reference(),
            _ => false,
        };
        Ok(if simple { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(simple)
}

/// An aggregate without groups.
fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

fn is_equality(condition: &Expr) -> bool {
    let outer = |expr: &Expr| matches!(expr, Expr::OuterReferenceColumn(..));
    match condition {
        condition if !condition.contains_outer() => true,
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            outer(left) && !right.contains_outer() || outer(right) && !left.contains_outer()
        }
        _ => false,
    }
}
