//! The plan of a way to join.
//!
//! Of each class of equal columns one pair is compared at each join that has columns of it on both sides; conditions are
//! evaluated where their relations first come together; columns that nobody above needs go.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use cairn_engine::catalog::IndexId;
use datafusion::common::{JoinSide, JoinType, NullEquality, Result, internal_err};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use super::Planner;
use super::flatten::{Condition, Group, Leaf, moved};
use super::order::{Graph, Tree};
use crate::query::index_join::{IndexJoinExec, Inner};

/// A plan, and the global numbers of its columns.
struct Built {
    plan: Arc<dyn ExecutionPlan>,
    columns: Vec<usize>,
}

impl Built {
    /// The place of a column, by its global number.
    fn place(&self, global: usize) -> Result<usize> {
        match self.columns.iter().position(|column| *column == global) {
            Some(place) => Ok(place),
            None => internal_err!("a join lost column {global}"),
        }
    }

    fn column(&self, global: usize) -> Result<Arc<dyn PhysicalExpr>> {
        let place = self.place(global)?;
        Ok(Arc::new(Column::new(self.plan.schema().field(place).name(), place)))
    }
}

/// The plan of a way to join, in the place of `node`: with its columns.
pub(super) fn build(
    planner: &Planner<'_>,
    node: &Arc<dyn ExecutionPlan>,
    group: &Group,
    graph: &Graph,
    tree: &Tree,
    output: &[usize],
) -> Result<Arc<dyn ExecutionPlan>> {
    let builder = Builder { planner, group, graph };
    let mut built = builder.tree(tree, &output.iter().copied().collect())?;
    // What needs no relation.
    built = builder.filtered(built, |condition| condition.relations == 0)?;
    let schema = node.schema();
    let same = built.columns == output
        && built.plan.schema().fields().iter().zip(schema.fields()).all(|(a, b)| a.name() == b.name());
    if same {
        return Ok(built.plan);
    }
    let items = output.iter().zip(schema.fields()).map(|(global, field)| {
        Ok(ProjectionExpr { expr: built.column(*global)?, alias: field.name().clone() })
    });
    let items = items.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(ProjectionExec::try_new(items, built.plan)?))
}

struct Builder<'b, 'c> {
    planner: &'b Planner<'c>,
    group: &'b Group,
    graph: &'b Graph,
}

impl Builder<'_, '_> {
    fn tree(&self, tree: &Tree, needed: &BTreeSet<usize>) -> Result<Built> {
        match tree {
            Tree::Relation(at) => self.relation(*at),
            Tree::Join(left, right) => self.join(left, right, needed),
        }
    }

    fn relation(&self, at: usize) -> Result<Built> {
        let relation = &self.group.relations[at];
        let (first, width) = (relation.first, relation.plan.schema().fields().len());
        let plan = Arc::clone(&relation.plan);
        let mut built = Built { plan, columns: (first..first + width).collect() };
        // Columns of one relation that are equal because others are.
        for class in &self.graph.classes {
            if let Some([one, others @ ..]) = class.members.get(&at).map(Vec::as_slice) {
                for other in others {
                    let (left, right) = (built.column(*one)?, built.column(*other)?);
                    let equal = Arc::new(BinaryExpr::new(left, Operator::Eq, right));
                    built.plan = Arc::new(FilterExec::try_new(equal, built.plan)?);
                }
            }
        }
        self.filtered(built, |condition| condition.relations == 1 << at)
    }

    /// With the conditions that are meant.
    fn filtered(&self, mut built: Built, meant: impl Fn(&Condition) -> bool) -> Result<Built> {
        let mut terms = Vec::new();
        for condition in self.group.conditions.iter().filter(|condition| meant(condition)) {
            let places = self.places(condition, &built)?;
            terms.push(moved(&condition.expr, places)?);
        }
        if !terms.is_empty() {
            built.plan = Arc::new(FilterExec::try_new(conjunction(terms), built.plan)?);
        }
        Ok(built)
    }

    fn places<'p>(&self, condition: &Condition, built: &'p Built) -> Result<impl Fn(usize) -> usize + 'p> {
        for global in &condition.columns {
            built.place(*global)?;
        }
        Ok(|global| built.columns.iter().position(|column| *column == global).unwrap_or_default())
    }

    /// The column of a class that stands for it in a set of relations: one that is needed anyway, if there is one.
    fn standing(&self, class: usize, relations: u64, needed: &BTreeSet<usize>) -> Option<usize> {
        let members = &self.graph.classes[class].members;
        let mut own = members.iter().filter(|(at, _)| relations >> **at & 1 == 1).flat_map(|(_, all)| all);
        own.clone().find(|column| needed.contains(column)).or_else(|| own.next()).copied()
    }

    fn join(&self, left: &Tree, right: &Tree, needed: &BTreeSet<usize>) -> Result<Built> {
        let (of_left, of_right) = (relations(left), relations(right));
        let both = of_left | of_right;
        let mut below = needed.clone();
        let here: Vec<&Condition> = self
            .group
            .conditions
            .iter()
            .filter(|c| {
                c.relations & !both == 0 && c.relations & !of_left != 0 && c.relations & !of_right != 0
            })
            .collect();
        here.iter().for_each(|condition| below.extend(&condition.columns));
        let mut pairs = Vec::new();
        for class in 0..self.graph.classes.len() {
            let side = |relations| self.standing(class, relations, &below);
            if let (Some(l), Some(r)) = (side(of_left), side(of_right)) {
                pairs.push((l, r));
            }
        }
        below.extend(pairs.iter().flat_map(|(l, r)| [*l, *r]));
        if let Some(by) = self.graph.looked_up(left, right)
            && let Tree::Relation(at) = right
            && let Some(built) = self.index_join(left, *at, by, &pairs, &here, &below)?
        {
            return Ok(built);
        }
        let left_rows = self.graph.rows(left);
        let (left, right) = (self.tree(left, &below)?, self.tree(right, &below)?);
        let filter = filter(&here, &left, &right)?;
        let columns: Vec<usize> = left.columns.iter().chain(&right.columns).copied().collect();
        let mut kept: Vec<usize> = (0..columns.len()).filter(|at| needed.contains(&columns[*at])).collect();
        if kept.is_empty() && !columns.is_empty() {
            kept.push(0);
        }
        let projection = (kept.len() < columns.len()).then(|| kept.clone());
        let on = pairs.iter().map(|(l, r)| Ok((left.column(*l)?, right.column(*r)?)));
        let on = on.collect::<Result<Vec<_>>>()?;
        let columns = kept.iter().map(|at| columns[*at]).collect();
        let plan = self.join_plan(left.plan, right.plan, on, filter, projection, left_rows)?;
        Ok(Built { plan, columns })
    }

    /// A join that looks up the rows of a relation by the column of a class; `None` where the relation is more than a scan.
    fn index_join(
        &self,
        left: &Tree,
        at: usize,
        (class, index): (usize, IndexId),
        pairs: &[(usize, usize)],
        here: &[&Condition],
        below: &BTreeSet<usize>,
    ) -> Result<Option<Built>> {
        let relation = self.relation(at)?;
        let Some(leaf) = Leaf::of(&relation.plan) else { return Ok(None) };
        let left = self.tree(left, below)?;
        let mut keys = Vec::new();
        for (l, r) in pairs {
            keys.push((left.place(*l)?, relation.place(*r)?));
        }
        let leading = self.graph.classes[class].members.get(&at).and_then(|members| members.first());
        let Some(first) = pairs.iter().position(|(_, r)| Some(r) == leading) else { return Ok(None) };
        keys.swap(0, first);
        let columns: Vec<usize> = left.columns.iter().chain(&relation.columns).copied().collect();
        let place = |global: usize| columns.iter().position(|column| *column == global).unwrap_or_default();
        let terms = here.iter().map(|condition| moved(&condition.expr, place)).collect::<Result<Vec<_>>>()?;
        let filter = (!terms.is_empty()).then(|| conjunction(terms));
        let condition = (!leaf.terms.is_empty()).then(|| conjunction(leaf.terms));
        let fields = relation.plan.schema().fields().clone();
        let inner = Inner { index, condition, columns: leaf.columns, fields };
        let plan = IndexJoinExec::new(left.plan, leaf.scan, inner, keys, filter, JoinType::Inner);
        Ok(Some(Built { plan: Arc::new(plan), columns }))
    }

    fn join_plan(
        &self,
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
        on: Vec<(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)>,
        filter: Option<JoinFilter>,
        projection: Option<Vec<usize>>,
        left_rows: f64,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = JoinType::Inner;
        if on.is_empty() {
            return match filter {
                Some(filter) => {
                    let join = NestedLoopJoinExecBuilder::new(left, right, inner).with_filter(Some(filter));
                    Ok(Arc::new(join.with_projection(projection).build()?))
                }
                None => picked(Arc::new(CrossJoinExec::new(left, right)), projection),
            };
        }
        if self.planner.config.optimizer.prefer_hash_join {
            let join = HashJoinExecBuilder::new(left, right, on, inner).with_filter(filter);
            let join = join.with_projection(projection).with_partition_mode(self.planner.mode(left_rows));
            return Ok(Arc::new(join.build()?));
        }
        let (options, plain) = (vec![SortOptions::default(); on.len()], NullEquality::NullEqualsNothing);
        picked(
            Arc::new(SortMergeJoinExec::try_new(left, right, on, filter, inner, options, plain)?),
            projection,
        )
    }
}

/// A hash join as one of sorted inputs, where there is one.
pub(super) fn merged(join: &HashJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let kind = *join.join_type();
    if join.null_aware || matches!(kind, JoinType::LeftMark | JoinType::RightMark) || join.fetch().is_some() {
        return Ok(None);
    }
    let (left, right, on) = (Arc::clone(join.left()), Arc::clone(join.right()), join.on().to_vec());
    let options = vec![SortOptions::default(); on.len()];
    let filter = join.filter().cloned();
    let plan = SortMergeJoinExec::try_new(left, right, on, filter, kind, options, join.null_equality())?;
    let places = join.projection.as_ref().map(|places| places.to_vec());
    picked(Arc::new(plan), places).map(Some)
}

fn relations(tree: &Tree) -> u64 {
    match tree {
        Tree::Relation(at) => 1 << at,
        Tree::Join(left, right) => relations(left) | relations(right),
    }
}

/// The columns at these places.
pub(super) fn picked(
    plan: Arc<dyn ExecutionPlan>,
    places: Option<Vec<usize>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(places) = places else { return Ok(plan) };
    let schema = plan.schema();
    let items = places.into_iter().map(|place| {
        let name = schema.field(place).name();
        ProjectionExpr { expr: Arc::new(Column::new(name, place)), alias: name.clone() }
    });
    let items: Vec<_> = items.collect();
    Ok(Arc::new(ProjectionExec::try_new(items, plan)?))
}

/// The conditions of a join.
fn filter(conditions: &[&Condition], left: &Built, right: &Built) -> Result<Option<JoinFilter>> {
    if conditions.is_empty() {
        return Ok(None);
    }
    let columns: BTreeSet<usize> = conditions.iter().flat_map(|c| c.columns.iter().copied()).collect();
    let columns: Vec<usize> = columns.into_iter().collect();
    let (mut places, mut fields) = (Vec::new(), Vec::new());
    for global in &columns {
        let (side, built) = match left.columns.contains(global) {
            true => (JoinSide::Left, left),
            false => (JoinSide::Right, right),
        };
        let index = built.place(*global)?;
        fields.push(built.plan.schema().field(index).clone());
        places.push(ColumnIndex { index, side });
    }
    let place = |global: usize| columns.binary_search(&global).unwrap_or_default();
    let terms =
        conditions.iter().map(|condition| moved(&condition.expr, place)).collect::<Result<Vec<_>>>()?;
    Ok(Some(JoinFilter::new(conjunction(terms), places, Arc::new(Schema::new(fields)))))
}
