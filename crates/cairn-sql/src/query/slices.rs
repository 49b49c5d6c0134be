//! Batches in pieces, below what computes long texts: one batch of 8,192 rows may make gigabytes of text, or keep a regular
//! expression busy for minutes, and between two batches nobody looks whether the result is still wanted.
//!
//! Guarantees: the same rows in the same order.
//! I1: what stands above is given at most [`PIECE_BYTES`] of input at once (or one row), and at most [`PIECE_ROWS`] rows
//! where it makes long texts of short ones.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::execution_plan::{CardinalityEffect, replace_children_if_necessary};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use super::interrupt::{Look, cancelled};

/// Bytes of a piece.
const PIECE_BYTES: usize = 256 << 10;
/// Rows of a piece whose texts are made longer.
const PIECE_ROWS: usize = 256;

/// Functions whose result may be much longer than what they are given.
const GROWING: [&str; 3] = ["repeat", "lpad", "rpad"];
/// Functions that take long for long texts.
const READING: [&str; 10] = [
    "replace",
    "translate",
    "cairn_regex",
    "cairn_regex_any_case",
    "string_to_array",
    "md5",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
];

/// What the expressions of an operator do to texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Short,
    Reads,
    Grows,
}

fn work(expr: &Arc<dyn PhysicalExpr>) -> Work {
    let mut most = Work::Short;
    // Never fails.
    let _ = expr.apply(|part| {
        if let Some(function) = part.downcast_ref::<ScalarFunctionExpr>() {
            let name = function.name();
            if GROWING.contains(&name) {
                most = Work::Grows;
                return Ok(TreeNodeRecursion::Stop);
            }
            if name.starts_with("regexp_") || READING.contains(&name) {
                most = most.max(Work::Reads);
            }
        }
        let binary = part.downcast_ref::<BinaryExpr>().map(BinaryExpr::op);
        if matches!(binary, Some(Operator::RegexMatch | Operator::RegexIMatch)) {
            most = most.max(Work::Reads);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    most
}

/// An operator whose input comes in pieces where its expressions ask for it.
///
/// # Errors
/// None that an operator that stands has.
pub(super) fn sliced(node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if node.children().is_empty() {
        return Ok(node);
    }
    let mut most = Work::Short;
    node.apply_expressions(&mut |expr| {
        most = most.max(work(expr));
        Ok(TreeNodeRecursion::Continue)
    })?;
    if most == Work::Short {
        return Ok(node);
    }
    let slice = |input: &Arc<dyn ExecutionPlan>| {
        let input = Arc::clone(input);
        let grows = most == Work::Grows;
        Arc::new(SlicesExec { input, grows, look: Arc::default() }) as Arc<dyn ExecutionPlan>
    };
    let children = node.children().into_iter().map(slice).collect();
    replace_children_if_necessary(node, children)
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct SlicesExec {
    input: Arc<dyn ExecutionPlan>,
    /// Whether what stands above makes long texts of short ones.
    pub(super) grows: bool,
    pub(super) look: Arc<Look>,
}

impl DisplayAs for SlicesExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slices")
    }
}

impl ExecutionPlan for SlicesExec {
    fn name(&self) -> &str {
        "SlicesExec"
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

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
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
            return internal_err!("slices are of one input");
        };
        Ok(Arc::new(SlicesExec { input, grows: self.grows, look: Arc::clone(&self.look) }))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, task)?;
        let (schema, grows, look) = (input.schema(), self.grows, Arc::clone(&self.look));
        let batches = input.flat_map(move |batch| {
            let pieces: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match batch {
                Ok(batch) => Box::new(pieces(batch, grows).map(Ok)),
                Err(error) => Box::new(std::iter::once(Err(error))),
            };
            let look = Arc::clone(&look);
            let looked = pieces.map(move |piece| if look.is_over() { Err(cancelled()) } else { piece });
            futures::stream::iter(looked)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}

/// A batch in pieces (I1).
fn pieces(batch: RecordBatch, grows: bool) -> impl Iterator<Item = RecordBatch> + Send {
    let rows = batch.num_rows();
    // A slice of a larger batch counts as all of it: then pieces are smaller than they need be.
    let each = batch.get_array_memory_size() / rows.max(1);
    let fitting = (PIECE_BYTES / each.max(1)).max(1);
    let piece = if grows { fitting.min(PIECE_ROWS) } else { fitting };
    (0..rows).step_by(piece).map(move |start| batch.slice(start, piece.min(rows - start)))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    #[test]
    fn pieces_are_bounded_and_complete() {
        for (length, rows, grows) in
            [(10, 5_000, false), (10, 5_000, true), (10_000, 500, false), (0, 1, true)]
        {
            let texts = (0..rows).map(|row| format!("{row:0>length$}"));
            let array: ArrayRef = Arc::new(texts.map(Some).collect::<StringArray>());
            let batch = RecordBatch::try_from_iter([("a", array)]).expect("one column");
            let all: Vec<RecordBatch> = pieces(batch.clone(), grows).collect();
            assert!(all.iter().all(|piece| piece.num_rows() * length <= PIECE_BYTES), "{length}");
            assert!(!grows || all.iter().all(|piece| piece.num_rows() <= PIECE_ROWS));
            let joined = arrow::compute::concat_batches(&batch.schema(), &all).expect("one schema");
            assert_eq!(joined, batch);
        }
    }
}
