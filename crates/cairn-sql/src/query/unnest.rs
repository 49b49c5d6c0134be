//! Keys end at an unnesting: the rows of a table with a primary key come several times each after it, but the query
//! engine goes on taking the key for unique and drops sort keys, groups and DISTINCT on its word. An analyzer rule hides
//! the key columns of what is unnested behind a function that does nothing.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

/// The rule.
#[derive(Debug)]
pub(crate) struct UnnestedKeys;

impl AnalyzerRule for UnnestedKeys {
    fn name(&self) -> &str {
        "unnested_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        let keyed = |node: &LogicalPlan| matches!(node, LogicalPlan::Unnest(unnest) if !unnest.input.schema().functional_dependencies().is_empty());
        if !plan.exists(|node| Ok(keyed(node)))? {
            return Ok(plan);
        }
        let hidden = plan.transform_up(|node| match node {
            LogicalPlan::Unnest(mut unnest) => {
                unnest.input = Arc::new(without_keys(&unnest.input)?);
                Ok(Transformed::yes(LogicalPlan::Unnest(unnest).recompute_schema()?))
            }
            // What stands above remembers the keys too.
            other => Ok(Transformed::yes(other.recompute_schema()?)),
        })?;
        Ok(hidden.data)
    }
}

/// The same rows and columns; those of keys are said to be computed.
fn without_keys(plan: &Arc<LogicalPlan>) -> DataFusionResult<LogicalPlan> {
    let schema = plan.schema();
    let keys: Vec<usize> =
        schema.functional_dependencies().iter().flat_map(|key| key.source_indices.iter().copied()).collect();
    let columns = schema.columns().into_iter().enumerate().map(|(at, column)| {
        let (relation, name) = (column.relation.clone(), column.name.clone());
        match keys.contains(&at) {
            true => same(Expr::Column(column)).alias_qualified(relation, name),
            false => Expr::Column(column),
        }
    });
    LogicalPlanBuilder::new_from_arc(Arc::clone(plan)).project(columns.collect::<Vec<_>>())?.build()
}

fn same(expr: Expr) -> Expr {
    static SAME: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::from(Same { signature }))
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&SAME), vec![expr]))
}

/// Its argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Same {
    signature: Signature,
}

impl ScalarUDFImpl for Same {
    fn name(&self) -> &str {
        "cairn_same"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(types.first().cloned().unwrap_or(ArrowType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(Arc::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}
