//! EXPLAIN and EXPLAIN ANALYZE in PostgreSQL's forms: text in a column `QUERY PLAN`, or JSON. `FORMAT tree` shows the plan
//! as the query engine sees it.
//!
//! Times are of processors, summed over parts that run side by side; each node's contain those of the nodes below. Options
//! that say nothing here are refused, never passed over.

mod expressions;
mod json;
mod node;
mod text;
mod tree;

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::Schema;
use cairn_types::DataType;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use sqlparser::ast::{
    AnalyzeFormat, AnalyzeFormatKind, MergeAction, Query, SetExpr, Statement, TableWithJoins,
    UpdateTableFromKind, UtilityOption,
};

use self::node::{Actual, Node, Property, Shown};
use self::text::Detail;
use super::plan::Planner;
use crate::context::Context;
use crate::results::{Column, Results, StatementResult};
use crate::scan::exec::TableScanExec;
use crate::statistics::estimate::Estimates;
use crate::{Error, Result};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Tree,
}

/// What the one column is called.
const COLUMN: &str = "QUERY PLAN";

impl Format {
    fn column_type(self) -> DataType {
        if self == Format::Json { DataType::Json } else { DataType::Text }
    }
}

/// The column of an EXPLAIN.
///
/// # Errors
/// Those of its options.
pub(crate) fn column(explain: &Statement) -> Result<Column> {
    let Statement::Explain { analyze, verbose, format, options, .. } = explain else {
        return Err(Error::internal("not an EXPLAIN"));
    };
    let options = read(*analyze, *verbose, format.as_ref(), options.as_deref().unwrap_or_default())?;
    Ok(Column::new(COLUMN, options.format.column_type()))
}

/// What an EXPLAIN asks for.
#[derive(Clone, Copy)]
struct Options {
    analyze: bool,
    verbose: bool,
    costs: bool,
    timing: Option<bool>,
    summary: Option<bool>,
    buffers: bool,
    format: Format,
}

/// EXPLAIN [ANALYZE] statement.
pub(crate) fn execute(context: &Context, explain: &Statement) -> Result<StatementResult> {
    let Statement::Explain { analyze, verbose, statement, format, options, .. } = explain else {
        return Err(Error::internal("not an EXPLAIN"));
    };
    let options = read(*analyze, *verbose, format.as_ref(), options.as_deref().unwrap_or_default())?;
    // What is not run locks nothing, and is shown without; what is run with locks is refused when it is planned.
    let unlocked = if options.analyze { None } else { super::nested::without(statement) };
    let lines = match unlocked.as_ref().unwrap_or(statement) {
        Statement::Query(query) if !changes(query) => of_query(context, query, options)?.lines(options),
        Statement::CreateTable(create) if create.query.is_some() => {
            of_creation(context, statement, create.query.as_deref(), options)?.lines(options)
        }
        other => of_change(context, other, options)?.lines(options),
    };
    let schema = Arc::new(Schema::new(vec![options.format.column_type().to_field(COLUMN, false)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(StringArray::from(lines))])
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(StatementResult::Rows(Results::from_batches(schema, vec![batch]).with_tag("EXPLAIN", 0)))
}

fn read(
    analyze: bool,
    verbose: bool,
    format: Option<&AnalyzeFormatKind>,
    list: &[UtilityOption],
) -> Result<Options> {
    let mut options = Options {
        analyze,
        verbose,
        costs: true,
        timing: None,
        summary: None,
        buffers: false,
        format: Format::Text,
    };
    if let Some(AnalyzeFormatKind::Keyword(format) | AnalyzeFormatKind::Assignment(format)) = format {
        options.format = match format {
            AnalyzeFormat::TEXT => Format::Text,
            AnalyzeFormat::JSON => Format::Json,
            AnalyzeFormat::TREE => Format::Tree,
            other => return Err(Error::unsupported(format!("EXPLAIN with FORMAT {other}"))),
        };
    }
    for option in list {
        match option.name.value.to_ascii_lowercase().as_str() {
            "analyze" => options.analyze = is_on(option)?,
            "verbose" => options.verbose = is_on(option)?,
            "costs" => options.costs = is_on(option)?,
            "timing" => options.timing = Some(is_on(option)?),
            "summary" => options.summary = Some(is_on(option)?),
            "buffers" => options.buffers = is_on(option)?,
            "format" => options.format = format_of(option)?,
            "settings" | "wal" | "generic_plan" | "memory" | "serialize"
                if is_on(option).is_ok_and(|on| !on) => {}
            known @ ("settings" | "wal" | "generic_plan" | "memory" | "serialize") => {
                return Err(Error::unsupported(format!("EXPLAIN option {}", known.to_uppercase())));
            }
            other => return Err(Error::new("42601", format!("unrecognized EXPLAIN option \"{other}\""))),
        }
    }
    if !options.analyze && options.timing == Some(true) {
        return Err(Error::new("22023", "EXPLAIN option TIMING requires ANALYZE"));
    }
    Ok(options)
}

fn format_of(option: &UtilityOption) -> Result<Format> {
    let name = option.arg.as_ref().map(|arg| arg.to_string().trim_matches('\'').to_ascii_lowercase());
    match name.as_deref() {
        Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some("tree") => Ok(Format::Tree),
        Some(name @ ("yaml" | "xml")) => Err(Error::unsupported(format!("EXPLAIN with FORMAT {name}"))),
        Some(other) => {
            let message = format!("unrecognized value for EXPLAIN option \"format\": \"{other}\"");
            Err(Error::new("22023", message))
        }
        None => Err(Error::new("42601", "format requires a parameter")),
    }
}

fn is_on(option: &UtilityOption) -> Result<bool> {
    match option.arg.as_ref().map(|a| a.to_string().to_ascii_lowercase()).as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(_) => Err(Error::new("42601", format!("{} requires a Boolean value", option.name))),
    }
}

/// What is shown of a statement.
struct Explained {
    node: Node,
    /// For `FORMAT tree`.
    tree: Vec<String>,
    planning_ms: f64,
    execution_ms: Option<f64>,
}

impl Explained {
    fn lines(mut self, options: Options) -> Vec<String> {
        let detail = Detail { costs: options.costs, timing: options.timing.unwrap_or(true) };
        let summary = options.summary.unwrap_or(options.analyze);
        let mut figures: Vec<(&str, f64)> = Vec::new();
        if summary {
            figures.push(("Planning Time", self.planning_ms));
            figures.extend(self.execution_ms.map(|ms| ("Execution Time", ms)));
        }
        let shown = |(label, ms): &(&str, f64)| format!("{label}: {ms:.3} ms");
        match options.format {
            Format::Json => vec![json::document(&self.node, detail, &figures)],
            Format::Text => {
                let mut lines = text::lines(&self.node, detail);
                lines.extend(figures.iter().map(shown));
                lines
            }
            Format::Tree => {
                self.tree.extend(figures.iter().map(shown));
                self.tree
            }
        }
    }
}

/// An INSERT, UPDATE or DELETE: the search for its rows, below a node of its own. With ANALYZE it runs; what the search did is
/// not told apart.
fn of_change(context: &Context, statement: &Statement, options: Options) -> Result<Explained> {
    let planned = Options { analyze: false, ..options };
    let (with, change) = match statement {
        Statement::Query(query) => match &*query.body {
            SetExpr::Insert(change)
            | SetExpr::Update(change)
            | SetExpr::Delete(change)
            | SetExpr::Merge(change) => (query.with.as_ref(), change),
            _ => return Err(Error::unsupported("EXPLAIN of data-modifying statements in WITH")),
        },
        other => (None, other),
    };
    let list =
        |tables: &[TableWithJoins]| -> String { tables.iter().map(|table| format!(", {table}")).collect() };
    let (name, relation, query) = match change {
        Statement::Insert(insert) => {
            let query = insert.source.as_deref().cloned();
            ("Insert", insert.table.to_string(), query)
        }
        Statement::Update(update) => {
            let table = update.table.to_string();
            let others = match &update.from {
                Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) => {
                    list(from)
                }
                None => String::new(),
            };
            let query = search(&format!("{table}{others}"), update.selection.as_ref())?;
            ("Update", table, Some(query))
        }
        Statement::Delete(delete) => {
            let tables = match &delete.from {
                sqlparser::ast::FromTable::WithFromKeyword(tables)
                | sqlparser::ast::FromTable::WithoutKeyword(tables) => tables,
            };
            let table = tables.first().map(ToString::to_string).unwrap_or_default();
            let others = delete.using.as_deref().map(list).unwrap_or_default();
            let query = search(&format!("{table}{others}"), delete.selection.as_ref())?;
            ("Delete", table, Some(query))
        }
        Statement::Merge(merge) => {
            let inserts = merge.clauses.iter().any(|c| matches!(c.action, MergeAction::Insert(_)));
            let join = if inserts { "LEFT JOIN" } else { "JOIN" };
            let rows = format!("{} {join} {} ON {}", merge.source, merge.table, merge.on);
            ("Merge", merge.table.to_string(), Some(search(&rows, None)?))
        }
        other => {
            let words = crate::session::first_words(&other.to_string(), 2);
            return Err(Error::unsupported(format!("EXPLAIN of {words}")));
        }
    };
    let below = query
        .map(|mut query| {
            if query.with.is_none() {
                query.with = with.cloned();
            }
            of_query(context, &query, planned)
        })
        .transpose()?;
    let (mut tree, mut node) = (vec![format!("{name} on {relation}")], Node::default());
    node.kind = name.to_owned();
    node.relation = Some(relation).filter(|relation| !relation.is_empty());
    let mut planning_ms = 0.0;
    if let Some(below) = below {
        tree.extend(below.tree.iter().map(|line| format!("  {line}")));
        node.estimate.startup = below.node.estimate.cost;
        node.estimate.cost = below.node.estimate.cost;
        node.children.push(below.node);
        planning_ms = below.planning_ms;
    }
    let mut execution_ms = None;
    if options.analyze {
        let clock = context.scope.shared.database.env().clock();
        let started = clock.monotonic_nanos();
        let rows = match crate::session::run(context, statement, "EXPLAIN")? {
            StatementResult::Command { .. } => 0,
            StatementResult::Rows(rows) => rows.collect()?.iter().map(RecordBatch::num_rows).sum::<usize>(),
        };
        let ms = (clock.monotonic_nanos() - started) as f64 / 1e6;
        node.actual = Some(Actual { rows: rows as u64, ms, startup_ms: 0.0 });
        execution_ms = Some(ms);
    }
    Ok(Explained { node, tree, planning_ms, execution_ms })
}

/// Whether a query is a change with WITH in front of it.
fn changes(query: &Query) -> bool {
    matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_))
        || query.with.iter().flat_map(|with| &with.cte_tables).any(crate::dml::with::modifies)
}

/// CREATE TABLE AS: the plan of its query. With ANALYZE the table is made.
fn of_creation(
    context: &Context,
    statement: &Statement,
    query: Option<&Query>,
    options: Options,
) -> Result<Explained> {
    let Some(query) = query else { return Err(Error::internal("no query")) };
    let explained = of_query(context, query, options)?;
    if options.analyze {
        crate::session::run(context, statement, "EXPLAIN")?;
    }
    Ok(explained)
}

/// The search that an UPDATE or DELETE makes for its rows.
fn search(table: &str, selection: Option<&sqlparser::ast::Expr>) -> Result<Query> {
    let condition = selection.map(|s| format!(" WHERE {s}")).unwrap_or_default();
    match crate::parse::parse_text(&format!("SELECT * FROM {table}{condition}"))? {
        Statement::Query(query) => Ok(*query),
        _ => Err(Error::internal("a query was expected")),
    }
}

fn of_query(context: &Context, query: &Query, options: Options) -> Result<Explained> {
    let database = &context.scope.shared.database;
    let clock = database.env().clock();
    let started = clock.monotonic_nanos();
    let state = super::state::of(context);
    let plan = Planner::new(context, &state)?.explaining().query(query.clone())?;
    let physical = super::run::physical(context, &state, &plan)?;
    let planned = clock.monotonic_nanos();
    let before = database.stats();
    if options.analyze {
        let runtime = &context.scope.shared.runtime;
        let task = super::run::task_context(context, &state);
        let _entered = runtime.handle()?.enter();
        let mut stream = datafusion::physical_plan::execute_stream(Arc::clone(&physical), task)?;
        while let Some(batch) = runtime.wait(stream.next())? {
            batch?;
        }
    }
    let finished = clock.monotonic_nanos();
    let mut lines = Vec::new();
    if options.verbose && options.format == Format::Tree {
        lines.push("Logical plan:".to_owned());
        let optimized = state.optimize(&plan)?;
        let logical = optimized.display_indent().to_string();
        lines.extend(logical.lines().map(|line| format!("  {}", expressions::clean(line))));
        lines.push("Physical plan:".to_owned());
    }
    tree::node(&*physical, 0, options.analyze, &mut lines);
    let mut shown = Shown {
        estimates: Estimates::default(),
        analyze: options.analyze,
        verbose: options.verbose,
        qualified: options.verbose || scans(&physical) > 1,
        called: Vec::new(),
    };
    let (mut node, _) = shown.node(&physical);
    if options.buffers && options.analyze {
        let after = database.stats();
        let hit = after.tree.cache.hits.saturating_sub(before.tree.cache.hits);
        let read = after.tree.cache.misses.saturating_sub(before.tree.cache.misses);
        node.properties.push(("Buffers", Property::Text(format!("shared hit={hit} read={read}"))));
    }
    let ms = |from: u64, to: u64| (to - from) as f64 / 1e6;
    Ok(Explained {
        node,
        tree: lines,
        planning_ms: ms(started, planned),
        execution_ms: options.analyze.then(|| ms(planned, finished)),
    })
}

/// Scans of tables in a plan.
fn scans(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let own = usize::from(plan.downcast_ref::<TableScanExec>().is_some());
    own + plan.children().into_iter().map(scans).sum::<usize>()
}
