//! EXPLAIN and EXPLAIN ANALYZE: the physical plan as lines of text in a column `QUERY PLAN`, with the access path
//! of each scan and the conditions it uses.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::Schema;
use cairn_types::DataType;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use futures::StreamExt;
use sqlparser::ast::{Query, Statement, UtilityOption};

use super::plan::Planner;
use crate::context::Context;
use crate::results::{Results, StatementResult};
use crate::scan::exec::TableScanExec;
use crate::{Error, Result};

/// EXPLAIN [ANALYZE] statement.
pub(crate) fn execute(context: &Context, explain: &Statement) -> Result<StatementResult> {
    let Statement::Explain { analyze, verbose, statement, format, options, .. } = explain else {
        return Err(Error::internal("not an EXPLAIN"));
    };
    if format.is_some() {
        return Err(Error::unsupported("EXPLAIN with a FORMAT"));
    }
    let (mut analyze, mut verbose) = (*analyze, *verbose);
    for option in options.iter().flatten() {
        match option.name.value.to_ascii_lowercase().as_str() {
            "analyze" => analyze = is_on(option)?,
            "verbose" => verbose = is_on(option)?,
            "costs" | "timing" | "summary" | "buffers" | "settings" | "wal" => {}
            "format" if option.arg.as_ref().is_some_and(|a| a.to_string().eq_ignore_ascii_case("text")) => {}
            other => return Err(Error::unsupported(format!("EXPLAIN option {}", other.to_uppercase()))),
        }
    }
    // What is not run locks nothing, and is shown without; what is run with locks is refused when it is planned.
    let unlocked = if analyze { None } else { super::nested::without(statement) };
    let lines = match unlocked.as_ref().unwrap_or(statement) {
        Statement::Query(query) => of_query(context, query, analyze, verbose)?,
        other if analyze => {
            let started = context.scope.shared.database.env().clock().monotonic_nanos();
            let result = crate::session::run(context, other, "EXPLAIN")?;
            let tag = match result {
                StatementResult::Command { tag, .. } => tag,
                StatementResult::Rows(rows) => {
                    let tag = rows.tag();
                    rows.collect()?;
                    tag
                }
            };
            let elapsed = context.scope.shared.database.env().clock().monotonic_nanos() - started;
            vec![tag, format!("Execution Time: {:.3} ms", elapsed as f64 / 1e6)]
        }
        Statement::Insert(insert) => {
            let mut lines = vec![format!("Insert on {}", insert.table)];
            if let Some(source) = &insert.source {
                lines.extend(indent(of_query(context, source, false, verbose)?));
            }
            lines
        }
        Statement::Update(update) => {
            modify(context, "Update", &update.table.to_string(), update.selection.as_ref())?
        }
        Statement::Delete(delete) => {
            let tables = match &delete.from {
                sqlparser::ast::FromTable::WithFromKeyword(tables)
                | sqlparser::ast::FromTable::WithoutKeyword(tables) => tables,
            };
            let name = tables.first().map(ToString::to_string).unwrap_or_default();
            modify(context, "Delete", &name, delete.selection.as_ref())?
        }
        other => {
            return Err(Error::unsupported(format!(
                "EXPLAIN of {}",
                crate::session::first_words(&other.to_string(), 2)
            )));
        }
    };
    let schema = Arc::new(Schema::new(vec![DataType::Text.to_field("QUERY PLAN", false)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(StringArray::from(lines))])
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(StatementResult::Rows(Results::from_batches(schema, vec![batch]).with_tag("EXPLAIN", 0)))
}

fn is_on(option: &UtilityOption) -> Result<bool> {
    match option.arg.as_ref().map(|a| a.to_string().to_ascii_lowercase()).as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(other) => {
            Err(Error::new("22023", format!("{} requires a Boolean value, not {other}", option.name)))
        }
    }
}

fn indent(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| format!("  {line}")).collect()
}

/// The search that an UPDATE or DELETE makes for its rows.
fn modify(
    context: &Context,
    verb: &str,
    table: &str,
    selection: Option<&sqlparser::ast::Expr>,
) -> Result<Vec<String>> {
    let condition = selection.map(|s| format!(" WHERE {s}")).unwrap_or_default();
    let sql = format!("SELECT * FROM {table}{condition}");
    let Statement::Query(query) = crate::parse::parse_text(&sql)? else {
        return Err(Error::internal("a query was expected"));
    };
    let mut lines = vec![format!("{verb} on {table}")];
    lines.extend(indent(of_query(context, &query, false, false)?));
    Ok(lines)
}

fn of_query(context: &Context, query: &Query, analyze: bool, verbose: bool) -> Result<Vec<String>> {
    let clock = context.scope.shared.database.env().clock();
    let started = clock.monotonic_nanos();
    let state = super::state::of(context);
    let plan = Planner::new(context, &state)?.query(query.clone())?;
    let physical = super::run::physical(context, &state, &plan)?;
    let planned = clock.monotonic_nanos();
    let mut rows = 0;
    if analyze {
        let runtime = &context.scope.shared.runtime;
        let task = super::run::task_context(context, &state);
        let _entered = runtime.handle()?.enter();
        let mut stream = datafusion::physical_plan::execute_stream(Arc::clone(&physical), task)?;
        while let Some(batch) = runtime.wait(stream.next())? {
            rows += batch?.num_rows();
        }
    }
    let finished = clock.monotonic_nanos();
    let mut lines = Vec::new();
    if verbose {
        lines.push("Logical plan:".to_owned());
        let optimized = state.optimize(&plan)?;
        lines.extend(optimized.display_indent().to_string().lines().map(|line| format!("  {}", clean(line))));
        lines.push("Physical plan:".to_owned());
    }
    node(&*physical, 0, analyze, &mut lines);
    if analyze {
        lines.push(format!("Planning Time: {:.3} ms", (planned - started) as f64 / 1e6));
        lines.push(format!("Execution Time: {:.3} ms, {rows} rows", (finished - planned) as f64 / 1e6));
    }
    Ok(lines)
}

fn clean(line: &str) -> String {
    line.replace(super::output::UNIQUE_MARK, "#")
}

fn node(plan: &dyn ExecutionPlan, depth: usize, analyze: bool, lines: &mut Vec<String>) {
    struct Line<'p>(&'p dyn ExecutionPlan);
    impl std::fmt::Display for Line<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt_as(DisplayFormatType::Default, f)
        }
    }
    // A wrapper that only yields to other tasks says nothing of the plan.
    if plan.name() == "CooperativeExec" {
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
