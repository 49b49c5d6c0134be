//! Materialized views: a table that keeps the rows of a query until REFRESH. Indexes, scans and statistics are those of
//! tables; nothing but REFRESH writes to it.
//!
//! REFRESH replaces all rows in its transaction, so that others read the old ones until it commits: CONCURRENTLY, which is
//! about that in PostgreSQL, means nothing more here, but asks for the unique index all the same.

use cairn_engine::catalog::{Materialized, Relation};
use cairn_engine::ddl::{ColumnSpec, TableSpec};
use cairn_engine::{Table, table};
use cairn_types::DataType;
use sqlparser::ast::{Ident, ObjectName, Query, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::names::{self, Kind};
use super::{ends, notice};
use crate::context::Context;
use crate::dml::assign::assign_array;
use crate::dml::inserter::Inserter;
use crate::parse;
use crate::parse::lexer::{Kind as Lexeme, Lexer};
use crate::privileges;
use crate::results::StatementResult;
use crate::{Error, Result};

type Parsed<T> = std::result::Result<T, ParserError>;

/// CREATE or REFRESH MATERIALIZED VIEW.
pub(super) enum Own {
    Create { name: ObjectName, columns: Vec<Ident>, if_not_exists: bool, query: String, with_data: bool },
    Refresh { name: ObjectName, concurrently: bool, with_data: bool },
}

fn words(sql: &str) -> Vec<(String, usize, usize)> {
    let words = Lexer::new(sql).map(|token| match token.kind {
        Lexeme::Word => (sql[token.start..token.end].to_ascii_uppercase(), token.start, token.end),
        _ => (String::new(), token.start, token.end),
    });
    words.collect()
}

/// Whether a text is one of these statements.
pub(super) fn is_own(sql: &str) -> bool {
    let mut words = Lexer::new(sql).take(2).map(|token| sql[token.start..token.end].to_ascii_uppercase());
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    second == "MATERIALIZED" && (first == "CREATE" || first == "REFRESH")
}

/// Reads one of these statements.
pub(super) fn read(sql: &str) -> Parsed<Own> {
    let mut all = words(sql);
    while all.last().is_some_and(|(_, start, end)| &sql[*start..*end] == ";") {
        all.pop();
    }
    let tail: Vec<&str> = all.iter().rev().take(3).map(|(word, ..)| word.as_str()).collect();
    let (with_data, cut) = match tail.as_slice() {
        ["DATA", "NO", "WITH"] => (false, 3),
        ["DATA", "WITH", ..] => (true, 2),
        _ => (true, 0),
    };
    let end = all.len().checked_sub(cut + 1).map_or(sql.len(), |last| all[last].2);
    let create = all.first().is_some_and(|(word, ..)| word == "CREATE");
    let split = all.iter().find(|(word, ..)| create && word == "AS");
    let head = &sql[..split.map_or(end, |(_, start, _)| *start)];
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(head)?;
    parser.next_token();
    parser.expect_keywords(&[Keyword::MATERIALIZED, Keyword::VIEW])?;
    if !create {
        let concurrently = parser.parse_keyword(Keyword::CONCURRENTLY);
        let name = parser.parse_object_name(false)?;
        ends(&mut parser)?;
        return Ok(Own::Refresh { name, concurrently, with_data });
    }
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    let mut columns = Vec::new();
    if parser.consume_token(&Token::LParen) {
        columns = parser.parse_comma_separated(Parser::parse_identifier)?;
        parser.expect_token(&Token::RParen)?;
    }
    ends(&mut parser)?;
    let Some((_, _, after)) = split else { return parser.expected("AS", parser.peek_token()) };
    Ok(Own::Create { name, columns, if_not_exists, query: sql[*after..end].trim().to_owned(), with_data })
}

/// Runs one.
pub(super) fn run(context: &Context, own: &Own) -> Result<StatementResult> {
    match own {
        Own::Create { name, columns, if_not_exists, query, with_data } => {
            create(context, name, columns, *if_not_exists, query, *with_data)
        }
        Own::Refresh { name, concurrently, with_data } => refresh(context, name, *concurrently, *with_data),
    }
}

fn query_of(text: &str) -> Result<Query> {
    parse::guard::check(text)?;
    match parse::parse_text(text)? {
        Statement::Query(query) => Ok(*query),
        _ => Err(Error::new("42601", "a materialized view is made of a query")),
    }
}

fn create(
    context: &Context,
    name: &ObjectName,
    columns: &[Ident],
    if_not_exists: bool,
    text: &str,
    with_data: bool,
) -> Result<StatementResult> {
    let catalog = context.catalog()?;
    let (schema, name) = names::for_creation(context, &catalog, name)?;
    if if_not_exists && catalog.relation(&schema, &name).is_some() {
        notice(context, "42P07", format!("relation \"{name}\" already exists, skipping"));
        return Ok(StatementResult::command("CREATE MATERIALIZED VIEW"));
    }
    let query = query_of(text)?;
    let plan = context.plan_query(&query)?;
    let found = crate::query::describe::output_columns(&plan);
    if columns.len() > found.len() {
        return Err(Error::new("42601", "too many column names were specified"));
    }
    let mut spec = TableSpec { schema, name, ..TableSpec::default() };
    for (at, column) in found.iter().enumerate() {
        let name = columns.get(at).map_or_else(|| column.name.clone(), names::stored);
        let ty = crate::query::declared::column_type(&plan, at, &column.ty);
        spec.columns.push(ColumnSpec::new(name, ty));
    }
    let depends_on = super::view::dependencies(context, &query)?;
    let sql = crate::catalog::view::bound(context, &catalog, &query).to_string();
    spec.materialized = Some(Materialized { sql, depends_on, populated: with_data });
    let table = context.txn().create_table(spec)?;
    let rows = if with_data { fill(context, &table, &query)? } else { 0 };
    Ok(match with_data {
        true => StatementResult::Command { tag: format!("SELECT {rows}"), rows },
        false => StatementResult::command("CREATE MATERIALIZED VIEW"),
    })
}

/// Inserts the rows of the query.
fn fill(context: &Context, table: &std::sync::Arc<Table>, query: &Query) -> Result<u64> {
    let mut results = context.run(context.plan_query(query)?)?;
    let types: Vec<DataType> = results.columns().iter().map(|column| column.ty.clone()).collect();
    if types.len() != table.live_columns().len() {
        return Err(Error::new("42P16", "the query of a materialized view has other columns than it"));
    }
    // The query may read what this transaction has written: it is read to its end first.
    let mut batches = Vec::new();
    while let Some(batch) = results.next_batch()? {
        batches.push(batch);
    }
    let mut inserter = Inserter::new(context, std::sync::Arc::clone(table), (0..types.len()).collect())?;
    for batch in batches {
        let mut columns = Vec::with_capacity(types.len());
        for (at, ty) in types.iter().enumerate() {
            let column = table.live_column(at);
            columns.push(assign_array(
                batch.column(at),
                ty,
                &column.ty,
                &column.name,
                false,
                context.zone(),
            )?);
        }
        inserter.push(columns, batch.num_rows())?;
    }
    Ok(inserter.count)
}

fn refresh(
    context: &Context,
    name: &ObjectName,
    concurrently: bool,
    with_data: bool,
) -> Result<StatementResult> {
    let catalog = context.catalog()?;
    let found = names::require_any(context, &catalog, name, Kind::Materialized);
    let (schema, shown, relation) = found.map_err(|error| match error.sqlstate() {
        "42809" => Error::new("0A000", error.message()),
        _ => error,
    })?;
    let Relation::Table(view) = relation else { return Err(Error::internal("a table is no table")) };
    let Some(own) = &view.materialized else { return Err(Error::internal("a table without a query")) };
    if concurrently && !with_data {
        return Err(Error::new(
            "42601",
            "REFRESH options CONCURRENTLY and WITH NO DATA cannot be used together",
        ));
    }
    if concurrently && !own.populated {
        return Err(Error::new(
            "0A000",
            "CONCURRENTLY cannot be used when the materialized view is not populated",
        ));
    }
    let unique = view.indexes.iter().any(|index| index.unique && index.is_plain());
    if concurrently && !unique {
        return Err(Error::new(
            "55000",
            format!("cannot refresh materialized view \"{schema}.{shown}\" concurrently"),
        )
        .with_hint(
            "Create a unique index with no WHERE clause on one or more columns of the materialized view.",
        ));
    }
    let relation = Relation::Table(view.clone());
    if !privileges::may_maintain(context, &relation) {
        privileges::require_owner(context, &relation)?;
    }
    let query = query_of(&own.sql)?;
    // It is filled as its owner, and so are the functions of its query.
    let context = &privileges::as_owner(context, view.id);
    table::truncate(context.txn(), &[&view], false, false)?;
    context.txn().set_populated(view.id, with_data)?;
    if with_data {
        let view = context.catalog()?.table_by_id(view.id).cloned();
        let view = view.ok_or_else(|| Error::internal("a materialized view is gone"))?;
        fill(context, &view, &query)?;
    }
    Ok(StatementResult::command("REFRESH MATERIALIZED VIEW"))
}
