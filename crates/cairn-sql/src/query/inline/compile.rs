//! From a kept physical plan to a tree of [`Node`]s.
//!
//! I1: a condition is left out where the access of the scan below gives exactly the rows for which it is true: equalities
//! with the leading columns of the key that the scan goes by, and ranges of the next one, of types that compare as their
//! keys do.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use cairn_engine::table::Access;
use cairn_types::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, conjunction_opt, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;

use super::aggregate::Aggregates;
use super::join::JoinNode;
use super::scan::ScanNode;
use super::{InlinePlan, Node, compares_as_key};
use crate::query::reuse::is_dynamic;
use crate::query::slices::SlicesExec;
use crate::query::slots::Parameter;
use crate::scan::exec::TableScanExec;

impl InlinePlan {
    /// Compiles a plan that is kept; `None` where it has a node that is not compiled.
    pub(crate) fn of(plan: &Arc<dyn ExecutionPlan>) -> Option<InlinePlan> {
        Some(InlinePlan { root: node(plan)?, abandoned: AtomicU32::new(0) })
    }
}

fn node(plan: &Arc<dyn ExecutionPlan>) -> Option<Node> {
    if let Some(scan) = plan.downcast_ref::<TableScanExec>() {
        return ScanNode::of(scan).map(Node::Scan);
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return aggregated(aggregate);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        return filtered(filter);
    }
    if let Some(project) = plan.downcast_ref::<ProjectionExec>() {
        return projected(project);
    }
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        let (by, fetch) = (sort.expr().clone(), sort.fetch());
        return Some(Node::Sort { input: input(sort.input())?, by, fetch, schema: sort.input().schema() });
    }
    if let Some(limit) = plan.downcast_ref::<GlobalLimitExec>() {
        return Some(Node::Limit { input: input(limit.input())?, skip: limit.skip(), fetch: limit.fetch() });
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let joined = Node::Join(JoinNode::of(join, node(join.left())?, node(join.right())?)?);
        return Some(match join.fetch() {
            Some(fetch) => Node::Limit { input: Box::new(joined), skip: 0, fetch: Some(fetch) },
            None => joined,
        });
    }
    if moves_batches(plan) {
        let [below] = plan.children()[..] else { return None };
        return Some(match plan.fetch() {
            Some(fetch) => Node::Limit { input: input(below)?, skip: 0, fetch: Some(fetch) },
            None => node(below)?,
        });
    }
    None
}

/// Whether a node does nothing but move batches between threads, or pause.
fn moves_batches(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<CoalescePartitionsExec>().is_some()
        || plan.downcast_ref::<SortPreservingMergeExec>().is_some()
        || plan.downcast_ref::<RepartitionExec>().is_some()
        || plan.downcast_ref::<CooperativeExec>().is_some()
        // What makes long texts is left to streams, which can be ended.
        || plan.downcast_ref::<SlicesExec>().is_some_and(|slices| !slices.grows)
}

/// The first node below that does more than move batches.
fn passed(plan: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    match plan.children()[..] {
        [below] if moves_batches(plan) && plan.fetch().is_none() => passed(below),
        _ => plan,
    }
}

fn input(plan: &Arc<dyn ExecutionPlan>) -> Option<Box<Node>> {
    node(plan).map(Box::new)
}

fn filtered(filter: &FilterExec) -> Option<Node> {
    let scan = passed(filter.input()).downcast_ref::<TableScanExec>();
    let own = split_conjunction(filter.predicate()).into_iter().filter(|part| !is_dynamic(part));
    let kept: Vec<_> = match scan {
        Some(scan) => {
            let own: Vec<_> = own.collect();
            let told = Told::new(scan, &own);
            own.into_iter().filter(|part| !told.gives(part)).cloned().collect()
        }
        None => own.cloned().collect(),
    };
    let projection = filter.projection().as_ref();
    let below = match (conjunction_opt(kept), node(filter.input())?) {
        (Some(predicate), input) => {
            let projection = projection.map(|columns| columns.iter().copied().collect());
            Node::Filter { input: Box::new(input), predicate, projection }
        }
        (None, input) => match projection {
            Some(columns) => of_columns(input, columns, filter.schema())?,
            None => input,
        },
    };
    Some(match filter.fetch() {
        Some(fetch) => Node::Limit { input: Box::new(below), skip: 0, fetch: Some(fetch) },
        None => below,
    })
}

fn projected(project: &ProjectionExec) -> Option<Node> {
    let exprs: Vec<_> = project.expr().iter().map(|projected| Arc::clone(&projected.expr)).collect();
    let column = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Column>().map(Column::index);
    let below = node(project.input())?;
    match exprs.iter().map(column).collect::<Option<Vec<_>>>() {
        Some(columns) => of_columns(below, &columns, project.schema()),
        None => Some(Node::Project { input: Box::new(below), exprs, schema: project.schema() }),
    }
}

/// Columns of a node's rows; a scan reads no others.
fn of_columns(below: Node, columns: &[usize], schema: arrow::datatypes::SchemaRef) -> Option<Node> {
    let below = match below {
        Node::Scan(scan) => return Some(Node::Scan(scan.of_columns(columns, schema))),
        Node::Limit { input, skip, fetch } => {
            let input = Box::new(of_columns(*input, columns, schema)?);
            return Some(Node::Limit { input, skip, fetch });
        }
        other => other,
    };
    Some(Node::Columns { input: Box::new(below), columns: columns.to_vec(), schema })
}

/// Aggregates without groups: of a first and a last phase those of the first, over its input.
fn aggregated(aggregate: &AggregateExec) -> Option<Node> {
    if !aggregate.group_expr().is_true_no_grouping() || aggregate.limit_options().is_some() {
        return None;
    }
    let first = match aggregate.mode() {
        AggregateMode::Single | AggregateMode::SinglePartitioned => aggregate,
        AggregateMode::Final | AggregateMode::FinalPartitioned => first_phase(aggregate.input())?,
        _ => return None,
    };
    let aggregates = Aggregates::of(first.aggr_expr(), first.filter_expr(), aggregate.schema())?;
    let below = node(first.input())?;
    let below = match aggregates.count_rows_only() {
        true => of_columns(below, &[], Arc::new(arrow::datatypes::Schema::empty()))?,
        false => below,
    };
    Some(Node::Aggregate { input: Box::new(below), aggregates })
}

fn first_phase(plan: &Arc<dyn ExecutionPlan>) -> Option<&AggregateExec> {
    let aggregate = passed(plan).downcast_ref::<AggregateExec>()?;
    (*aggregate.mode() == AggregateMode::Partial).then_some(aggregate)
}

/// The key that a scan goes by, and how far conditions fix it.
struct Told<'s> {
    scan: &'s TableScanExec,
    /// Places among the scan's columns of the key's columns that are fixed to a value, by a single condition each.
    fixed: Vec<usize>,
    /// That of the column whose range is read.
    ranged: Option<usize>,
}

impl<'s> Told<'s> {
    fn new(scan: &'s TableScanExec, conditions: &[&Arc<dyn PhysicalExpr>]) -> Told<'s> {
        let mut told = Told { scan, fixed: Vec::new(), ranged: None };
        let (spec, choice) = (scan.spec(), scan.choice());
        let is_plain =
            choice.index == 0 || spec.table.index_by_id(choice.index).is_some_and(|index| index.is_plain());
        let goes_by_key = is_plain && choice.ordered && !matches!(choice.access, Access::Full);
        let Some(key) = spec.table.index_key(choice.index).filter(|_| goes_by_key) else { return told };
        let schema = scan.schema();
        let place = |at: usize| key.get(at).and_then(|(column, _)| schema.index_of(&column.name).ok());
        // The operators that compare a column; none where another condition says something of it too.
        let compared = |at: usize| -> Vec<Operator> {
            let names = |part: &&&Arc<dyn PhysicalExpr>| {
                collect_columns(part).iter().any(|column| column.index() == at)
            };
            let operators = conditions.iter().filter(names).map(|part| comparison(part).map(|(_, op)| op));
            operators.collect::<Option<_>>().unwrap_or_default()
        };
        told.fixed =
            (0..choice.fixed).filter_map(place).filter(|at| compared(*at) == [Operator::Eq]).collect();
        told.ranged = place(choice.fixed).filter(|at| !compared(*at).contains(&Operator::Eq));
        told
    }

    /// I1.
    fn gives(&self, condition: &Arc<dyn PhysicalExpr>) -> bool {
        let Some((at, op)) = comparison(condition) else { return false };
        let ty = DataType::from_field(self.scan.schema().field(at));
        compares_as_key(&ty)
            && match op {
                Operator::Eq => self.fixed.contains(&at),
                _ => self.ranged == Some(at),
            }
    }
}

/// `column op value`, with a value that is not NULL and of the column's type: the column's place and the operator.
fn comparison(condition: &Arc<dyn PhysicalExpr>) -> Option<(usize, Operator)> {
    let binary = condition.downcast_ref::<BinaryExpr>()?;
    let (column, value, op) = match binary.left().downcast_ref::<Column>() {
        Some(column) => (column, binary.right(), *binary.op()),
        None => (binary.right().downcast_ref::<Column>()?, binary.left(), binary.op().swap()?),
    };
    let is_value = match value.downcast_ref::<Literal>().map(Literal::value) {
        Some(ScalarValue::Null) => false,
        Some(value) => !value.is_null(),
        None => value
            .downcast_ref::<ScalarFunctionExpr>()
            .is_some_and(|call| call.fun().inner().downcast_ref::<Parameter>().is_some()),
    };
    let compares = matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
    (is_value && compares).then_some((column.index(), op))
}
