//! VACUUM and ANALYZE in all their forms: options in words or in parentheses, several tables with columns.
//!
//! What VACUUM does in PostgreSQL, compaction does here by itself; asked for, it merges the files of the tables, or all of them.

use std::sync::Arc;

use sqlparser::ast::{Ident, ObjectName, Statement, VacuumStatement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use cairn_engine::catalog::Relation;

use super::analyze_table;
use crate::catalog::resolve_name;
use crate::context::Context;
use crate::results::StatementResult;
use crate::{Error, Result, privileges};

type Parsed<T> = std::result::Result<T, ParserError>;

/// Options of VACUUM, and whether they matter here. The others say how much is told, and what of pages and freezing, which are
/// not here, is left out.
const VACUUM_OPTIONS: &[&str] = &[
    "analyze",
    "buffer_usage_limit",
    "disable_page_skipping",
    "freeze",
    "full",
    "index_cleanup",
    "only_database_stats",
    "parallel",
    "process_main",
    "process_toast",
    "skip_database_stats",
    "skip_locked",
    "truncate",
    "verbose",
];
const ANALYZE_OPTIONS: &[&str] = &["buffer_usage_limit", "skip_locked", "verbose"];

/// What a text asks for.
struct Work {
    vacuum: bool,
    analyze: bool,
    targets: Vec<(ObjectName, Vec<Ident>)>,
}

/// Parses `sql` if it is one of these statements.
pub(crate) fn parse(sql: &str) -> Option<Parsed<Statement>> {
    let first = sql.split(|c: char| !c.is_ascii_alphabetic()).find(|word| !word.is_empty())?;
    let own = ["VACUUM", "ANALYZE", "ANALYSE"].iter().any(|word| first.eq_ignore_ascii_case(word));
    own.then(|| read(sql).map(|_| carried(sql)))
}

/// The statement with its text for a name.
fn carried(sql: &str) -> Statement {
    Statement::Vacuum(VacuumStatement {
        full: false,
        sort_only: false,
        delete_only: false,
        reindex: false,
        recluster: false,
        table_name: Some(ObjectName::from(Ident::with_quote('"', sql))),
        threshold: None,
        boost: false,
    })
}

fn read(sql: &str) -> Parsed<Work> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(sql)?;
    let vacuum = word(&parser.next_token().token).is_some_and(|word| word == "vacuum");
    let mut analyze = !vacuum;
    let known = if vacuum { VACUUM_OPTIONS } else { ANALYZE_OPTIONS };
    if parser.consume_token(&Token::LParen) {
        let options = parser.parse_comma_separated(|parser| option(parser, known, vacuum))?;
        parser.expect_token(&Token::RParen)?;
        analyze |= options.iter().any(|(name, on)| name == "analyze" && *on);
    } else {
        let words: &[&str] =
            if vacuum { &["full", "freeze", "verbose", "analyze", "analyse"] } else { &["verbose"] };
        while let Some(next) = word(&parser.peek_token().token).filter(|next| words.contains(&next.as_str()))
        {
            parser.next_token();
            analyze |= next.starts_with("analy");
        }
    }
    let mut targets = Vec::new();
    if !matches!(parser.peek_token().token, Token::EOF | Token::SemiColon) {
        targets = parser.parse_comma_separated(|parser| {
            let name = parser.parse_object_name(false)?;
            let columns = match parser.consume_token(&Token::LParen) {
                true => {
                    let columns = parser.parse_comma_separated(Parser::parse_identifier)?;
                    parser.expect_token(&Token::RParen)?;
                    columns
                }
                false => Vec::new(),
            };
            Ok((name, columns))
        })?;
    }
    match parser.next_token() {
        token if matches!(token.token, Token::EOF | Token::SemiColon) => {
            Ok(Work { vacuum, analyze, targets })
        }
        token => parser.expected("end of statement", token),
    }
}

fn word(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_lowercase()),
        _ => None,
    }
}

/// An option and whether it is on.
fn option(parser: &mut Parser<'_>, known: &[&str], vacuum: bool) -> Parsed<(String, bool)> {
    let name = parser.parse_identifier()?.value.to_ascii_lowercase();
    if !known.contains(&name.as_str()) {
        let command = if vacuum { "VACUUM" } else { "ANALYZE" };
        return Err(ParserError::ParserError(format!("unrecognized {command} option \"{name}\"")));
    }
    let mut on = true;
    if !matches!(parser.peek_token().token, Token::Comma | Token::RParen) {
        let value = parser.next_token().token.to_string().trim_matches('\'').to_ascii_lowercase();
        on = !matches!(value.as_str(), "off" | "false" | "0" | "no");
    }
    Ok((name, on))
}

/// Runs one of these statements.
///
/// # Errors
/// `42P01` and `42703` for what is not there, `0A000` for columns without ANALYZE, the engine's.
pub(crate) fn run(context: &Context, statement: &VacuumStatement) -> Result<StatementResult> {
    let text = statement.table_name.as_ref().and_then(|name| name.0.first()).and_then(|part| part.as_ident());
    let work = text.and_then(|text| read(&text.value).ok());
    let work = work.ok_or_else(|| Error::internal("a statement of maintenance has no text"))?;
    let catalog = context.catalog()?;
    let mut tables = Vec::new();
    for (name, columns) in &work.targets {
        if !columns.is_empty() && !work.analyze {
            return Err(Error::unsupported("a list of columns without ANALYZE")
                .with_hint("ANALYZE option must be specified when a column list is provided"));
        }
        let (schema, relation) = resolve_name(context, &catalog, name)?;
        match catalog.relation(&schema, &relation) {
            Some(Relation::Table(table)) => {
                let own = Relation::Table(Arc::clone(&table));
                match privileges::may_maintain(context, &own) {
                    true => tables.push((table, columns.as_slice())),
                    false => {
                        let what = if work.vacuum { "vacuum" } else { "analyze" };
                        let message = format!("permission denied to {what} \"{relation}\", skipping it");
                        context.notice("01000", message);
                    }
                }
            }
            None => catalog.table(&schema, &relation).map(drop)?,
            Some(_) => context.notice(
                "01000",
                format!(
                    "skipping \"{relation}\" --- cannot {} non-tables or special system tables",
                    if work.vacuum { "vacuum" } else { "analyze" }
                ),
            ),
        }
    }
    if work.vacuum {
        let database = &context.scope.shared.database;
        // The tables of others are not a role's to rewrite.
        if work.targets.is_empty() && context.is_superuser() {
            database.compact()?;
        }
        for (table, _) in &tables {
            let below = catalog.descendants(table.id);
            for own in std::iter::once(table).chain(&below) {
                database.compact_table(own.id)?;
            }
        }
    }
    if work.analyze {
        if work.targets.is_empty() {
            super::analyze_all(context, &catalog)?;
        }
        for (table, columns) in &tables {
            analyze_table(context, &catalog, table, columns)?;
        }
    }
    Ok(StatementResult::command(if work.vacuum { "VACUUM" } else { "ANALYZE" }))
}
