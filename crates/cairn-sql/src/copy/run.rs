//! COPY as a statement: between a table or query and a file, standard input or standard output.

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use cairn_engine::Table;
use cairn_types::DataType;
use sqlparser::ast::{CopySource, CopyTarget, Expr, Ident, ObjectName, Query, Statement, Visit, Visitor};

use super::error::CopyError;
use super::options::{Columns, CopyOptions, Format};
use super::reader::{Reader, Target, TargetColumn, open_reader_into, stream_reader_into};
use super::statement;
use super::writer::Writer;
use crate::context::Context;
use crate::dml::inserter::Inserter;
use crate::dml::relations::{self, Relation, empty_query, quoted, select_of, table_factor};
use crate::dml::target;
use crate::privileges::{self, changes};
use crate::results::{Results, StatementResult};
use crate::session::variables::fold;
use crate::{Error, Result};

impl From<CopyError> for Error {
    fn from(error: CopyError) -> Self {
        let mut told = Error::new(error.sqlstate, error.message);
        // PostgreSQL has a CONTEXT line for the place; it is shown as part of the detail here.
        let detail = match (error.detail, error.context) {
            (Some(detail), Some(context)) => Some(format!("{detail}\n{context}")),
            (detail, context) => detail.or(context),
        };
        if let Some(detail) = detail {
            told = told.with_detail(detail);
        }
        if let Some(hint) = error.hint {
            told = told.with_hint(hint);
        }
        told
    }
}

/// Standard input and output of COPY, given by whoever runs the statement.
#[derive(Default)]
pub struct Streams {
    /// What COPY … FROM STDIN reads.
    pub input: Option<Box<dyn Read + Send>>,
    /// What COPY … TO STDOUT writes.
    pub output: Option<Box<dyn Write + Send>>,
    /// Told when the statement is about to read or write them: it is right as far as that can be known.
    pub begun: Option<Box<dyn FnOnce(Begun) + Send>>,
}

/// What passes through the streams of COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Whether rows are read from the input, not written to the output.
    pub input: bool,
    /// How rows are written.
    pub format: Format,
    /// Columns of a row.
    pub columns: usize,
    /// QUOTE and ESCAPE of CSV.
    pub quote: (u8, u8),
}

impl Streams {
    fn begin(&mut self, input: bool, options: &CopyOptions, columns: usize) {
        if let Some(begun) = self.begun.take() {
            let format = options.format.unwrap_or(Format::Text);
            let quote = options.quote.unwrap_or(b'"');
            begun(Begun { input, format, columns, quote: (quote, options.escape.unwrap_or(quote)) });
        }
    }
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

/// Runs a COPY statement.
///
/// # Errors
/// Those of the file, of its data and of the table; nothing of the COPY is kept then.
pub(crate) fn execute(context: &Context, copy: &Statement, streams: Streams) -> Result<StatementResult> {
    let Statement::Copy { source, to, target, options, legacy_options, .. } = copy else {
        return Err(Error::internal("not COPY"));
    };
    if !options.is_empty() {
        return Err(Error::internal("COPY was not parsed by copy::parse"));
    }
    let (mut options, condition) = statement::options(legacy_options, !to)?;
    options.time_zone = context.zone();
    if matches!(target, CopyTarget::Program { .. }) {
        return Err(Error::unsupported("COPY PROGRAM"));
    }
    let rows = match (to, source) {
        (false, CopySource::Table { table_name, columns }) => {
            from(context, table_name, columns, target, (&options, condition), streams)?
        }
        (false, CopySource::Query(_)) => return Err(Error::new("42601", "COPY FROM needs a table")),
        (true, source) => write(context, source, target, &options, streams)?,
    };
    Ok(StatementResult::Command { tag: format!("COPY {rows}"), rows })
}

fn places(table: &Table, columns: &[Ident]) -> Result<Vec<usize>> {
    if columns.is_empty() {
        let columns = table.live_columns().enumerate();
        return Ok(columns.filter(|(_, c)| c.generated.is_none()).map(|(place, _)| place).collect());
    }
    let mut places = Vec::with_capacity(columns.len());
    for ident in columns {
        let place = target::column_place(table, ident)?;
        if places.contains(&place) {
            return Err(Error::new("42701", format!("column \"{}\" specified more than once", fold(ident))));
        }
        if table.live_column(place).generated.is_some() {
            return Err(Error::new("42P10", format!("column \"{}\" is a generated column", fold(ident)))
                .with_detail("Generated columns cannot be used in COPY."));
        }
        places.push(place);
    }
    Ok(places)
}

fn from(
    context: &Context,
    name: &ObjectName,
    columns: &[Ident],
    place: &CopyTarget,
    (options, condition): (&CopyOptions, Option<Expr>),
    mut streams: Streams,
) -> Result<u64> {
    let table = target::find(context, name, "COPY")?;
    if let Some(condition) = &condition {
        check_condition(context, &table, condition)?;
    }
    let places = places(&table, columns)?;
    privileges::schemas::require_of(context, name)?;
    changes::copy_from(context, &table, &places)?;
    let column = |place: &usize| {
        let column = table.live_column(*place);
        TargetColumn { name: column.name.clone(), ty: column.ty.clone() }
    };
    let into = Target { name: table.name.clone(), columns: places.iter().map(column).collect() };
    for forced in [&options.force_null, &options.force_not_null] {
        if let Columns::Named(names) = forced
            && let Some(unknown) = names.iter().find(|n| !into.columns.iter().any(|c| c.name == **n))
        {
            return Err(Error::new("42703", format!("column \"{unknown}\" does not exist")));
        }
    }
    let env = &context.scope.shared.options.files;
    if let CopyTarget::File { .. } = place {
        privileges::require_files(context, context.role(), privileges::FILE_READERS)?;
    }
    let reader = match place {
        CopyTarget::File { filename } => open_reader_into(env, filename, options, &into)?.prefetch(env),
        _ => match streams.input.take() {
            Some(input) => {
                streams.begin(true, options, into.columns.len());
                stream_reader_into(input, options, &into)?
            }
            None => return Err(Error::unsupported("COPY FROM STDIN outside the shell")),
        },
    };
    insert_all(context, table, places, reader, condition)
}

/// What PostgreSQL refuses in the WHERE of COPY FROM.
fn check_condition(context: &Context, table: &Table, condition: &Expr) -> Result<()> {
    struct Subqueries;
    impl Visitor for Subqueries {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    if condition.visit(&mut Subqueries).is_break() {
        return Err(Error::new("0A000", "cannot use subquery in COPY FROM WHERE condition"));
    }
    let side = Relation {
        alias: table.name.clone(),
        rows: RecordBatch::new_empty(target::relaxed(table)),
        in_wildcard: false,
    };
    let plan = relations::plan(context, &[side], &[relations::item(condition.clone(), "value")], None)?;
    match DataType::from_field(plan.schema().field(0)) {
        DataType::Boolean => Ok(()),
        _ if plan.schema().field(0).data_type().is_null() => Ok(()),
        other => {
            let ty = other.sql_name();
            Err(Error::new("42804", format!("argument of WHERE must be type boolean, not type {ty}")))
        }
    }
}

/// Inserts what a reader of exactly the table's types gives into the columns at `places`.
pub(crate) fn insert_all(
    context: &Context,
    table: Arc<Table>,
    places: Vec<usize>,
    reader: Reader,
    condition: Option<Expr>,
) -> Result<u64> {
    let mut inserter = Inserter::new(context, table, places)?.only_where(condition);
    for batch in reader {
        let batch = batch?;
        inserter.push(batch.columns().to_vec(), batch.num_rows())?;
    }
    inserter.finish()?;
    Ok(inserter.count)
}

fn write(
    context: &Context,
    source: &CopySource,
    place: &CopyTarget,
    options: &CopyOptions,
    mut streams: Streams,
) -> Result<u64> {
    if let CopyTarget::File { .. } = place {
        privileges::require_files(context, context.role(), privileges::FILE_WRITERS)?;
    }
    let plan = match source {
        CopySource::Query(query) => context.plan_query(query)?,
        CopySource::Table { table_name, columns } => {
            let table =
                target::find(context, table_name, "COPY").map_err(|error| match error.sqlstate() {
                    "55000" => Error::new("42809", format!("cannot copy from view \"{table_name}\""))
                        .with_hint("Try the COPY (SELECT ...) TO variant."),
                    _ => error,
                })?;
            let mut query = empty_query()?;
            let select = select_of(&mut query)?;
            for place in places(&table, columns)? {
                let column = Expr::Identifier(quoted(&table.live_column(place).name));
                select.projection.push(sqlparser::ast::SelectItem::UnnamedExpr(column));
            }
            let name = ObjectName::from(vec![quoted(&table.schema), quoted(&table.name)]);
            let relation = table_factor(name, &table.name)?;
            select.from.push(sqlparser::ast::TableWithJoins { relation, joins: Vec::new() });
            context.plan_query(&query)?
        }
    };
    let mut results = context.run(plan)?;
    let path = match place {
        CopyTarget::File { filename } => filename.as_str(),
        _ => "",
    };
    // Parquet and Arrow keep instants, the others their text.
    if !matches!(options.format_of(path), Format::Parquet | Format::Arrow) {
        results = results.in_zone(&context.scope.settings.time_zone);
    }
    let env = &context.scope.shared.options.files;
    let writer = match place {
        CopyTarget::File { filename } => Writer::create(env, filename, options, results.schema())?,
        _ => match streams.output.take() {
            Some(output) => {
                streams.begin(false, options, results.columns().len());
                Writer::stream(output, options, results.schema())?
            }
            None => return Err(Error::unsupported("COPY TO STDOUT outside the shell")),
        },
    };
    write_all(results, writer)
}

/// Writes a result to its end; returns its rows.
///
/// # Errors
/// Those of the query and of the file, which does not appear then.
pub fn write_all(mut results: Results, mut writer: Writer) -> Result<u64> {
    while let Some(batch) = results.next_batch()? {
        writer.write(&batch)?;
    }
    Ok(writer.finish()?)
}

/// The SQL that makes a table for a file: `CREATE TABLE name (columns)`.
pub fn create_table_sql(schema: Option<&str>, name: &str, columns: &[TargetColumn]) -> String {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let table = match schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(name)),
        None => quote(name),
    };
    let column = |c: &TargetColumn| format!("{} {}", quote(&c.name), DataType::sql_name(&c.ty));
    let columns: Vec<String> = columns.iter().map(column).collect();
    format!("CREATE TABLE {table} ({})", columns.join(", "))
}
