//! What the planner must know of indexes on expressions and of partial indexes: their expressions in the form that
//! conditions of queries have when they reach a scan.
//!
//! I1. A partial index is used only where the conditions of the query imply its own: each term of it is among them, or
//!     is a comparison or `IS NOT NULL` of a column that they restrict as much.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use cairn_engine::Table;
use cairn_engine::catalog::{IndexDescriptor, IndexId};
use cairn_types::Value;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use parking_lot::Mutex;

use super::bounds::{Columns, Restriction};
use crate::Result;
use crate::context::Context;
use crate::dml::default::parse_expr;
use crate::dml::relations::{self, Relation};
use crate::dml::target::relaxed;

/// Names the column that stands for an expression of an index.
const NAME: &str = "__cairn_index_";
/// Tables that are remembered.
const REMEMBERED_MAX: usize = 1024;

/// See the module: of one table.
#[derive(Debug)]
pub(crate) struct Derived {
    /// What it was made from.
    signature: Vec<String>,
    /// The live columns, then one for each expression.
    schema: SchemaRef,
    /// The expressions, and their text.
    expressions: Vec<(Expr, String)>,
    indexes: HashMap<IndexId, Own>,
}

#[derive(Debug)]
struct Own {
    /// The key's columns in the schema.
    places: Vec<usize>,
    /// The terms of the condition.
    predicate: Vec<Expr>,
}

/// Those of a database's tables.
#[derive(Debug, Default)]
pub(crate) struct DerivedIndexes(Mutex<HashMap<u32, Arc<Derived>>>);

impl Derived {
    /// Of a table; `None` where all its indexes are plain.
    pub(crate) fn of(context: &Context, table: &Table) -> Result<Option<Arc<Derived>>> {
        if table.indexes.iter().all(IndexDescriptor::is_plain) {
            return Ok(None);
        }
        let columns = table.live_columns().map(|c| format!("{} {}", c.name, c.ty.sql_name()));
        let indexes = table.indexes.iter().filter(|i| !i.is_plain()).map(|i| format!("{i:?}"));
        let signature: Vec<String> = columns.chain(indexes).collect();
        let known = &context.scope.shared.derived.0;
        if let Some(found) = known.lock().get(&table.id).filter(|found| found.signature == signature) {
            return Ok(Some(Arc::clone(found)));
        }
        let made = Arc::new(Self::make(context, table, signature)?);
        let mut known = known.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(table.id, Arc::clone(&made));
        Ok(Some(made))
    }

    fn make(context: &Context, table: &Table, signature: Vec<String>) -> Result<Derived> {
        let mut fields: Vec<_> = table.arrow_schema().fields().iter().cloned().collect();
        let (mut expressions, mut indexes) = (Vec::new(), HashMap::new());
        for index in table.indexes.iter().filter(|index| !index.is_plain()) {
            let mut places = Vec::new();
            for (column, expression) in index.key_parts() {
                places.push(match expression {
                    Some(own) => {
                        let name = format!("{NAME}{}", expressions.len());
                        fields.push(Arc::new(own.ty.to_field(&name, true)));
                        expressions.push((value(context, table, &own.sql)?, own.sql.clone()));
                        fields.len() - 1
                    }
                    None => table.place_of(column.column).unwrap_or(usize::MAX),
                });
            }
            let predicate = match &index.predicate {
                Some(predicate) => condition(context, table, &predicate.sql)?,
                None => Vec::new(),
            };
            indexes.insert(index.id, Own { places, predicate });
        }
        Ok(Derived { signature, schema: Arc::new(Schema::new(fields)), expressions, indexes })
    }

    /// The live columns, then those that stand for expressions.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The places of an index's key in [`Derived::schema`], where the conditions imply its own.
    pub(crate) fn places(&self, index: IndexId, conditions: &[Expr]) -> Option<&[usize]> {
        let own = self.indexes.get(&index)?;
        let implied = own.predicate.iter().all(|term| self.implies(conditions, term));
        (implied && !own.places.contains(&usize::MAX)).then_some(own.places.as_slice())
    }

    /// Whether an index could serve conditions on these columns, if not with the values at hand.
    pub(crate) fn may_serve(&self, index: IndexId, is_restricted: impl Fn(usize) -> bool) -> bool {
        let Some(own) = self.indexes.get(&index) else { return false };
        let names = |term: &Expr| {
            term.column_refs().into_iter().any(|c| self.schema.index_of(c.name()).is_ok_and(&is_restricted))
        };
        own.places.first().is_some_and(|place| is_restricted(*place)) || own.predicate.iter().any(names)
    }

    /// Whether an index has a condition.
    pub(crate) fn is_partial(&self, index: IndexId) -> bool {
        self.indexes.get(&index).is_some_and(|own| !own.predicate.is_empty())
    }

    /// A condition with columns in place of the expressions of indexes.
    pub(crate) fn rewrite(&self, condition: &Expr) -> Expr {
        if self.expressions.is_empty() {
            return condition.clone();
        }
        let replaced = condition.clone().transform_down(|part| {
            let bare = unqualified(&part);
            match self.expressions.iter().position(|(own, _)| *own == bare) {
                Some(n) => {
                    let column = Expr::Column(Column::new_unqualified(format!("{NAME}{n}")));
                    Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
                }
                None => Ok(Transformed::no(part)),
            }
        });
        replaced.map_or_else(|_| condition.clone(), |replaced| replaced.data)
    }

    /// A described condition with the expressions in the place of their columns.
    pub(crate) fn describe(&self, condition: &str) -> String {
        let mut text = condition.to_owned();
        for (n, (_, sql)) in self.expressions.iter().enumerate().rev() {
            text = text.replace(&format!("{NAME}{n}"), sql);
        }
        text
    }

    /// Whether a condition is a term of a partial index's own.
    pub(crate) fn is_term(&self, condition: &Expr) -> bool {
        let bare = unqualified(condition);
        let mut terms = self.indexes.values().flat_map(|own| &own.predicate);
        split_conjunction(&bare).into_iter().any(|part| terms.any(|term| term == part))
    }

    fn implies(&self, conditions: &[Expr], term: &Expr) -> bool {
        let bare: Vec<Expr> = conditions.iter().map(unqualified).collect();
        if bare.iter().flat_map(split_conjunction).any(|condition| condition == term) {
            return true;
        }
        let mut given = Columns::new(&self.schema);
        bare.iter().for_each(|condition| given.add(condition));
        if let Expr::IsNotNull(inner) = term
            && let Expr::Column(column) = &**inner
            && let Ok(place) = self.schema.index_of(column.name())
        {
            let on_it = |(at, restriction, _): &(usize, Restriction, String)| {
                *at == place && !matches!(restriction, Restriction::Null)
            };
            return given.restrictions.iter().any(on_it);
        }
        if !is_exact(term) {
            return false;
        }
        let mut wanted = Columns::new(&self.schema);
        wanted.add(term);
        let [(place, wanted, _)] = wanted.restrictions.as_slice() else { return false };
        given.restrictions.iter().any(|(at, given, _)| at == place && within(given, wanted))
    }
}

/// Whether [`Columns`] says all of a term, not only something that follows from it.
fn is_exact(term: &Expr) -> bool {
    match term {
        Expr::BinaryExpr(binary) => {
            matches!(binary.op, Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
        }
        Expr::InList(_) | Expr::IsNull(_) | Expr::Column(_) | Expr::Not(_) => true,
        _ => false,
    }
}

fn within(given: &Restriction, wanted: &Restriction) -> bool {
    match (given, wanted) {
        (Restriction::Null, Restriction::Null) => true,
        (Restriction::OneOf(given), Restriction::OneOf(wanted)) => {
            given.iter().all(|value| wanted.contains(value))
        }
        (Restriction::OneOf(given), Restriction::Range(low, high)) => {
            given.iter().all(|value| above(value, low) && below(value, high))
        }
        (Restriction::Range(low, high), Restriction::Range(least, most)) => {
            let low_in = match (low, least) {
                (_, Bound::Unbounded) => true,
                (Bound::Excluded(value), Bound::Excluded(least)) => value >= least,
                (Bound::Included(value) | Bound::Excluded(value), least) => above(value, least),
                (Bound::Unbounded, _) => false,
            };
            let high_in = match (high, most) {
                (_, Bound::Unbounded) => true,
                (Bound::Excluded(value), Bound::Excluded(most)) => value <= most,
                (Bound::Included(value) | Bound::Excluded(value), most) => below(value, most),
                (Bound::Unbounded, _) => false,
            };
            low_in && high_in
        }
        _ => false,
    }
}

fn above(value: &Value, low: &Bound<Value>) -> bool {
    match low {
        Bound::Unbounded => true,
        Bound::Included(low) => value >= low,
        Bound::Excluded(low) => value > low,
    }
}

fn below(value: &Value, high: &Bound<Value>) -> bool {
    match high {
        Bound::Unbounded => true,
        Bound::Included(high) => value <= high,
        Bound::Excluded(high) => value < high,
    }
}

/// An expression whose columns have no table.
fn unqualified(expr: &Expr) -> Expr {
    let bare = expr.clone().transform_up(|part| match part {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
        Expr::Alias(alias) => Ok(Transformed::yes(*alias.expr)),
        other => Ok(Transformed::no(other)),
    });
    bare.map_or_else(|_| expr.clone(), |bare| bare.data)
}

fn optimized(context: &Context, table: &Table, sql: &str, filter: bool) -> Result<LogicalPlan> {
    let state = crate::query::state::of(context);
    let rows = RecordBatch::new_empty(relaxed(table));
    let side = Relation { alias: table.name.clone(), rows, in_wildcard: false };
    let items = [relations::item(parse_expr(sql)?, "value")];
    let mut plan = relations::plan(context, &[side], &items, None)?;
    if filter {
        let LogicalPlan::Projection(projection) = plan else {
            return Err(crate::Error::internal("a condition did not plan as a projection"));
        };
        let condition = projection.expr.into_iter().next().map(Expr::unalias);
        let condition = condition.ok_or_else(|| crate::Error::internal("a condition is gone"))?;
        let input = Arc::unwrap_or_clone(projection.input);
        plan = datafusion::logical_expr::LogicalPlanBuilder::from(input).filter(condition)?.build()?;
    }
    Ok(state.optimize(&plan)?)
}

/// An expression as it comes out of the optimizer.
fn value(context: &Context, table: &Table, sql: &str) -> Result<Expr> {
    match optimized(context, table, sql, false)? {
        LogicalPlan::Projection(projection) if projection.expr.len() == 1 => {
            Ok(unqualified(&projection.expr[0]))
        }
        other => Err(crate::Error::internal(format!("an index expression became {}", other.display()))),
    }
}

/// The terms of a condition as they come out of the optimizer.
fn condition(context: &Context, table: &Table, sql: &str) -> Result<Vec<Expr>> {
    let mut terms = Vec::new();
    optimized(context, table, sql, true)?.apply(|node| {
        match node {
            LogicalPlan::Filter(filter) => {
                terms.extend(split_conjunction(&filter.predicate).into_iter().map(unqualified));
            }
            LogicalPlan::TableScan(scan) => {
                terms.extend(scan.filters.iter().flat_map(split_conjunction).map(unqualified));
            }
            // A condition that is always false or NULL: nothing implies it.
            LogicalPlan::EmptyRelation(_) => {
                terms.push(Expr::Literal(datafusion::common::ScalarValue::Boolean(Some(false)), None));
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(terms)
}
