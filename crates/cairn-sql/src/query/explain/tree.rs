//! The plan as the query engine sees it, a line a node: `EXPLAIN (FORMAT tree)`.

use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};

use super::expressions::clean;
use crate::scan::exec::TableScanExec;

struct Line<'p>(&'p dyn ExecutionPlan);

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt_as(DisplayFormatType::Default, f)
    }
}

/// Adds the lines of a node and of those below it.
pub(super) fn node(plan: &dyn ExecutionPlan, depth: usize, analyze: bool, lines: &mut Vec<String>) {
    // A wrapper that only yields to other tasks says nothing of the plan.
    if matches!(plan.name(), "CooperativeExec" | "SlicesExec" | "UnknownRows") {
        for child in plan.children() {
            node(&**child, depth, analyze, lines);
        }
        return;
    }
    let mut line = clean(&Line(plan).to_string());
    if let Some(scan) = plan.downcast_ref::<TableScanExec>() {
        line.push_str(&format!("  (rows={})", scan.estimated_rows()));
    }
    if analyze && let Some(metrics) = plan.metrics() {
        let metrics = metrics.aggregate_by_name();
        let rows = metrics.output_rows().unwrap_or(0);
        let nanos: usize = metrics
            .iter()
            .filter_map(|metric| match metric.value() {
                MetricValue::ElapsedCompute(time) => Some(time.value()),
                _ => None,
            })
            .sum();
        line.push_str(&format!("  (actual rows={rows} time={:.3} ms)", nanos as f64 / 1e6));
    }
    lines.push(format!("{}{line}", "  ".repeat(depth)));
    for child in plan.children() {
        node(&**child, depth + 1, analyze, lines);
    }
}
