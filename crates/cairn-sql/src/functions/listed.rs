//! `x IN (…)` of a long list of literals ([`crate::parse::lists`]): the list is a set that is made once, when the statement is
//! planned, and no part of the plan that the optimizer walks over. Integers among integers and strings among texts are
//! looked up in it; in a list for any other type the literals take that type as in a short one.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use cairn_types::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::sql_type;
use crate::parse::lists::{Entries, entries};
use crate::{Error, Result};

/// The function: a value, and the text of the list until the list is made.
pub(crate) const NAME: &str = "cairn_in_list";

/// The function as the planner finds it.
pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![ScalarUDF::from(Listed::new(None))]
}

/// A set of literals.
#[derive(Debug)]
enum Set {
    Integers(HashSet<i64>),
    Strings(HashSet<String>),
}

#[derive(Debug)]
struct Listed {
    signature: Signature,
    set: Option<Arc<Set>>,
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        match (&self.set, &other.set) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (own, other) => own.is_none() && other.is_none(),
        }
    }
}
impl Eq for Listed {}
impl Hash for Listed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.set.as_ref().map(Arc::as_ptr).hash(state);
    }
}

impl Listed {
    fn new(set: Option<Arc<Set>>) -> Self {
        let count = if set.is_some() { 1 } else { 2 };
        Self { signature: Signature::any(count, Volatility::Immutable), set }
    }
}

impl ScalarUDFImpl for Listed {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(ArrowType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let Some(set) = &self.set else {
            return Err(Error::unsupported("a long IN list in this place").into());
        };
        let values = args.args[0].to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(found(set, &values)?))
    }
}

/// Whether each value is in the set; NULL for NULL.
fn found(set: &Set, values: &ArrayRef) -> DataFusionResult<ArrayRef> {
    let found: BooleanArray = match set {
        Set::Integers(all) => {
            let values = cast(values, &ArrowType::Int64)?;
            values.as_primitive::<Int64Type>().iter().map(|v| v.map(|v| all.contains(&v))).collect()
        }
        Set::Strings(all) => {
            let values = cast(values, &ArrowType::Utf8)?;
            values.as_string::<i32>().iter().map(|v| v.map(|v| all.contains(v))).collect()
        }
    };
    Ok(Arc::new(found))
}

/// The rule that makes the sets; it comes before those that look at literals.
#[derive(Debug)]
pub(crate) struct LongLists;

impl AnalyzerRule for LongLists {
    fn name(&self) -> &str {
        "long_lists"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(analyze)?.data)
    }
}

fn analyze(plan: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    let mut any = false;
    plan.apply_expressions(|expr| {
        any |= expr.exists(|expr| Ok(text_of(expr).is_some()))?;
        Ok(if any { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if !any {
        return Ok(Transformed::no(plan));
    }
    let schema = match plan.inputs().as_slice() {
        [] => DFSchema::empty(),
        inputs => merge_schema(inputs),
    };
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| match text_of(&expr) {
            Some(_) => Ok(Transformed::yes(with_set(expr, &schema)?)),
            None => Ok(Transformed::no(expr)),
        })?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })
}

/// The text of a list that is not made yet.
fn text_of(expr: &Expr) -> Option<&String> {
    let Expr::ScalarFunction(call) = expr else { return None };
    match call.args.as_slice() {
        [_, Expr::Literal(ScalarValue::Utf8(Some(text)), _)] if call.func.name() == NAME => Some(text),
        _ => None,
    }
}

fn with_set(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let Some(entries) = text_of(&expr).and_then(|text| entries(text)) else {
        return Err(Error::internal("a list that is none"));
    };
    let Expr::ScalarFunction(call) = &expr else { return Ok(expr) };
    let value = call.args[0].clone();
    let (_, field) = value.to_field(schema)?;
    let set = match (sql_type(&field), entries) {
        (DataType::SmallInt | DataType::Integer | DataType::BigInt, Entries::Integers(all)) => {
            Set::Integers(all.into_iter().collect())
        }
        (DataType::Text | DataType::Varchar(_), Entries::Strings(all)) => {
            Set::Strings(all.into_iter().map(|text| text.into_owned()).collect())
        }
        (_, Entries::Integers(all)) => {
            let literal = |n| Expr::Literal(ScalarValue::Int64(Some(n)), None);
            return Ok(listed(value, all.into_iter().map(literal)));
        }
        (_, Entries::Strings(all)) => {
            let literal = |text: std::borrow::Cow<'_, str>| {
                Expr::Literal(ScalarValue::Utf8(Some(text.into_owned())), None)
            };
            return Ok(listed(value, all.into_iter().map(literal)));
        }
    };
    let function = Arc::new(ScalarUDF::from(Listed::new(Some(Arc::new(set)))));
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![value])))
}

fn listed(value: Expr, literals: impl Iterator<Item = Expr>) -> Expr {
    Expr::InList(InList { expr: Box::new(value), list: literals.collect(), negated: false })
}
