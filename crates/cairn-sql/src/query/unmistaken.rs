//! Filters that are pushed down at run time mean the columns that they were made for. The query engine hands a filter from an operator to
//! its input by the names of columns, of which it takes the first: where a join gives two columns of one name, the filter would
//! be that of another column, and rows would be missing. So, while filters are pushed down, a check stands above each
//! operator with two columns of one name, which lets those filters pass that can only mean one column.
//!
//! I1. A column that is not the first of its name was not looked up by its name.
//! I2. Of the filters that a hash join hands down, its own comes first.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::internal_err;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase,
    FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// The name that the query engine's rules begin with.
pub(crate) const REPLACED: &str = "FilterPushdown";

/// A rule that pushes filters down, among checks.
#[derive(Debug)]
pub(crate) struct Unmistaken(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for Unmistaken {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let checked = plan.transform_up(|node| {
            let children: Vec<_> = node.children().into_iter().cloned().collect();
            if !children.iter().any(|child| has_namesakes(&child.schema())) {
                return Ok(Transformed::no(node));
            }
            let checked =
                children.into_iter().enumerate().map(|(at, child)| check(&node, at, child)).collect();
            replace_children_if_necessary(node, checked).map(Transformed::yes)
        })?;
        if !checked.transformed {
            return self.0.optimize(checked.data, config);
        }
        let pushed = self.0.optimize(checked.data, config)?;
        let plain = pushed.transform_down(|node| match node.downcast_ref::<Check>() {
            Some(check) => Ok(Transformed::yes(Arc::clone(&check.input))),
            None => Ok(Transformed::no(node)),
        })?;
        Ok(plain.data)
    }
}

fn has_namesakes(schema: &Schema) -> bool {
    let mut names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

fn check(
    parent: &Arc<dyn ExecutionPlan>,
    at: usize,
    child: Arc<dyn ExecutionPlan>,
) -> Arc<dyn ExecutionPlan> {
    if !has_namesakes(&child.schema()) {
        return child;
    }
    let asks = |join: &&HashJoinExec| at == 1 && !join.null_aware && join.join_type().on_lr_is_preserved().1;
    let join = parent.downcast_ref::<HashJoinExec>().filter(asks);
    let own =
        join.map_or_else(Vec::new, |join| join.on().iter().map(|(_, right)| Arc::clone(right)).collect());
    Arc::new(Check { input: child, own })
}

/// See the module.
#[derive(Debug)]
struct Check {
    input: Arc<dyn ExecutionPlan>,
    /// What the join above asks for by a filter of its own.
    own: Vec<Arc<dyn PhysicalExpr>>,
}

impl Check {
    /// Whether it is the filter that the join above has made.
    fn is_own(&self, filter: &Arc<dyn PhysicalExpr>) -> bool {
        let children = filter.children();
        !self.own.is_empty()
            && children.len() == self.own.len()
            && children.into_iter().zip(&self.own).all(|(child, own)| child == own)
    }

    /// The places of columns that filters mean, by their names.
    fn meant(&self, filters: &[Arc<dyn PhysicalExpr>]) -> HashMap<String, usize> {
        let schema = self.input.schema();
        let mut meant: HashMap<String, usize> = HashMap::new();
        for (at, filter) in filters.iter().enumerate() {
            let own = at == 0 && self.is_own(filter);
            for column in collect_columns(filter) {
                let mut named =
                    (0..schema.fields().len()).filter(|at| schema.field(*at).name() == column.name());
                let (first, more) = (named.next(), named.next().is_some());
                if own || !more || first != Some(column.index()) {
                    meant.entry(column.name().to_owned()).or_insert(column.index());
                }
            }
        }
        meant
    }
}

impl DisplayAs for Check {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check")
    }
}

impl ExecutionPlan for Check {
    fn name(&self) -> &str {
        "Check"
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[_; 1]>::try_from(children) else {
            return internal_err!("a check has one input");
        };
        Ok(Arc::new(Check { input, own: self.own.clone() }))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, task)
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let meant = self.meant(&filters);
        let schema = self.input.schema();
        // Filters are matched with names that only the columns have which are meant.
        let named = |(at, field): (usize, &Arc<Field>)| match meant.get(field.name()) {
            Some(place) if *place == at => Arc::clone(field),
            _ => Arc::new(field.as_ref().clone().with_name(format!("\u{0}{at}"))),
        };
        let fields: Vec<_> = schema.fields().iter().enumerate().map(named).collect();
        let names = Arc::new(EmptyExec::new(Arc::new(Schema::new(fields)))) as Arc<dyn ExecutionPlan>;
        let allowed = meant.values().copied().collect();
        let child = ChildFilterDescription::from_child_with_allowed_indices(&filters, allowed, &names)?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}
