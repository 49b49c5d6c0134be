//! Aggregates without groups over the batches of a compiled plan.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use datafusion::logical_expr::Accumulator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;

use super::{filtered, shaped};
use crate::Result;

/// The aggregates of one node.
pub(super) struct Aggregates {
    calls: Vec<Call>,
    schema: SchemaRef,
}

struct Call {
    function: Arc<AggregateFunctionExpr>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// Whether it counts rows, whatever is in them.
    counts_rows: bool,
}

/// What a call has gathered.
pub(super) enum Gathered {
    Rows(i64),
    Values(Box<dyn Accumulator>),
}

impl Aggregates {
    /// `None` where the order of rows matters.
    pub(super) fn of(
        functions: &[Arc<AggregateFunctionExpr>],
        filters: &[Option<Arc<dyn PhysicalExpr>>],
        schema: SchemaRef,
    ) -> Option<Aggregates> {
        let call = |(function, filter): (&Arc<AggregateFunctionExpr>, &Option<Arc<dyn PhysicalExpr>>)| {
            let arguments = function.expressions();
            let is_constant = |expr: &Arc<dyn PhysicalExpr>| {
                expr.downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null())
            };
            let counts_rows = function.fun().name() == "count"
                && !function.is_distinct()
                && filter.is_none()
                && *function.field().data_type() == ArrowType::Int64
                && arguments.iter().all(is_constant);
            function.order_bys().is_empty().then(|| Call {
                function: Arc::clone(function),
                arguments,
                filter: filter.clone(),
                counts_rows,
            })
        };
        let calls = functions.iter().zip(filters).map(call).collect::<Option<Vec<_>>>()?;
        Some(Aggregates { calls, schema })
    }

    /// Whether no column of the input matters.
    pub(super) fn count_rows_only(&self) -> bool {
        self.calls.iter().all(|call| call.counts_rows)
    }

    pub(super) fn begin(&self) -> Result<Vec<Gathered>> {
        let begin = |call: &Call| {
            Ok(match call.counts_rows {
                true => Gathered::Rows(0),
                false => Gathered::Values(call.function.create_accumulator()?),
            })
        };
        self.calls.iter().map(begin).collect()
    }

    pub(super) fn update(&self, gathered: &mut [Gathered], batch: &RecordBatch) -> Result<()> {
        for (call, gathered) in self.calls.iter().zip(gathered) {
            match gathered {
                Gathered::Rows(rows) => *rows += batch.num_rows() as i64,
                Gathered::Values(values) => {
                    let kept = match &call.filter {
                        Some(filter) => &filtered(filter, batch.clone())?,
                        None => batch,
                    };
                    let argument = |expr: &Arc<dyn PhysicalExpr>| {
                        expr.evaluate(kept).and_then(|value| value.into_array(kept.num_rows()))
                    };
                    let arguments = call.arguments.iter().map(argument);
                    let arguments = arguments.collect::<datafusion::error::Result<Vec<ArrayRef>>>()?;
                    values.update_batch(&arguments)?;
                }
            }
        }
        Ok(())
    }

    /// The one row of results.
    pub(super) fn finish(&self, gathered: Vec<Gathered>) -> Result<RecordBatch> {
        let column = |gathered: Gathered| -> Result<ArrayRef> {
            Ok(match gathered {
                Gathered::Rows(rows) => Arc::new(Int64Array::from(vec![rows])),
                Gathered::Values(mut values) => values.evaluate()?.to_array()?,
            })
        };
        let columns = gathered.into_iter().map(column).collect::<Result<Vec<_>>>()?;
        shaped(&self.schema, columns, 1)
    }
}
