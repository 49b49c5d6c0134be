//! Conditions of thousands of terms. The optimizer walks over a condition some hundred times, and its names and hashes
//! cost more the longer it is; so what is longer than [`LEAVES_MAX`] terms of OR is put away in a function of the
//! columns that it mentions, which is planned once and evaluated batch by batch. (Equalities of one column are a list
//! by then, `parse::balance`.) What is put away chooses no index.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Filter, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};

/// Terms of one OR that the optimizer sees.
const LEAVES_MAX: usize = 256;

/// The rule.
#[derive(Debug)]
pub(crate) struct LongPredicates;

impl AnalyzerRule for LongPredicates {
    fn name(&self) -> &str {
        "long_predicates"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Filter(filter) if has_long(&filter.predicate)? => {
                let schema = Arc::clone(filter.input.schema());
                let predicate = filter.predicate.transform_down(|expr| put_away(expr, &schema, config))?;
                Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate.data, filter.input)?)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(rewritten.data)
    }
}

fn has_long(predicate: &Expr) -> DataFusionResult<bool> {
    // AND and NOT stand above it at most.
    match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Ok(has_long(left)? || has_long(right)?)
        }
        Expr::Not(inner) => has_long(inner),
        other => is_long(other),
    }
}

/// Whether an expression is an OR of many terms that can be put away.
fn is_long(expr: &Expr) -> DataFusionResult<bool> {
    if !matches!(expr, Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. })) {
        return Ok(false);
    }
    let (mut leaves, mut fit) = (0, true);
    let mut open = vec![expr];
    while let Some(term) = open.pop() {
        match term {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                open.extend([&**left, &**right])
            }
            _ => leaves += 1,
        }
    }
    if leaves <= LEAVES_MAX {
        return Ok(false);
    }
    expr.apply(|part| {
        fit &= !matches!(
            part,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Placeholder(_)
        );
        Ok(if fit { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(fit && !expr.is_volatile())
}

fn put_away(expr: Expr, schema: &DFSchema, config: &ConfigOptions) -> DataFusionResult<Transformed<Expr>> {
    if !is_long(&expr)? {
        let below = matches!(&expr, Expr::BinaryExpr(BinaryExpr { op: Operator::And, .. }) | Expr::Not(_));
        let next = if below { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Jump };
        return Ok(Transformed::new(expr, false, next));
    }
    let mut columns: Vec<Column> = expr.column_refs().into_iter().cloned().collect();
    columns.sort();
    let mut fields = Vec::with_capacity(columns.len());
    for (at, column) in columns.iter().enumerate() {
        let (_, field) = schema.qualified_field_from_column(column)?;
        fields.push(Field::clone(field).with_name(member(at)));
    }
    let own = Arc::new(DFSchema::try_from(Schema::new(fields))?);
    let inner = expr.transform_up(|part| match part {
        Expr::Column(column) => {
            let at = columns.iter().position(|known| *known == column);
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(member(at.unwrap_or_default())))))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let config = Arc::new(config.clone());
    let context = SimplifyContext::builder()
        .with_config_options(Arc::clone(&config))
        .with_schema(Arc::clone(&own))
        .build();
    let coerced = ExprSimplifier::new(context).coerce(inner.data, &own)?;
    let mut properties = ExecutionProps::new();
    properties.mark_start_execution(config);
    let physical = create_physical_expr(&coerced, &own, &properties, &PhysicalPlanningContext::default())?;
    let function = Predicate::new(physical, Arc::new(own.as_arrow().clone()));
    let args = columns.into_iter().map(Expr::Column).collect();
    let call = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), args);
    Ok(Transformed::new(Expr::ScalarFunction(call), true, TreeNodeRecursion::Jump))
}

fn member(at: usize) -> String {
    format!("c{at}")
}

/// A condition over its arguments.
#[derive(Debug)]
struct Predicate {
    /// Unlike that of any other.
    id: u64,
    signature: Signature,
    physical: Arc<dyn PhysicalExpr>,
    schema: Arc<Schema>,
}

impl PartialEq for Predicate {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl Eq for Predicate {}
impl Hash for Predicate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl Predicate {
    fn new(physical: Arc<dyn PhysicalExpr>, schema: Arc<Schema>) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let signature = Signature::one_of(
            vec![
                datafusion::logical_expr::TypeSignature::Nullary,
                datafusion::logical_expr::TypeSignature::VariadicAny,
            ],
            Volatility::Stable,
        );
        Self { id: IDS.fetch_add(1, Ordering::Relaxed), signature, physical, schema }
    }
}

impl ScalarUDFImpl for Predicate {
    fn name(&self) -> &str {
        "long_condition"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(ArrowType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let rows = args.number_rows;
        let columns =
            args.args.iter().map(|arg| arg.to_array(rows)).collect::<DataFusionResult<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        // Nullability in plans is an estimate.
        let fields = self.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        self.physical.evaluate(&batch)
    }
}
