//! Statements that the SQL parser does not know: CREATE and ALTER SEQUENCE with options in any order, and REINDEX.
//!
//! [`parse`] recognises them and hands them on as a `CALL` of a function that no user can name, whose argument is the
//! statement's text; [`run`] reads the text when the statement runs. The options of IDENTITY columns, which the parser
//! knows in one order only, are put into that order.

use cairn_engine::ddl::SequenceOptions;
use sqlparser::ast::{Expr, Function, Ident, ObjectName, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use super::alter_more::{self, AlterMore};
use super::names::{self, Kind};
use super::type_statement::{self, TypeStatement};
use super::{index, materialized, notice, sequence, types};
use crate::context::Context;
use crate::privileges::statement as privileges;
use crate::results::StatementResult;
use crate::routine::syntax::Program;
use crate::session::variables::fold;
use crate::{Error, Result, routine};

/// The name of the function called.
const CALLED: &str = "\u{1}statement";

type Parsed<T> = std::result::Result<T, ParserError>;

/// Parses `sql` if it is one of these statements.
pub(crate) fn parse(sql: &str) -> Option<Parsed<Statement>> {
    let mut words = sql.split_whitespace().take(3).map(str::to_ascii_uppercase);
    let (first, second) = (words.next()?, words.next().unwrap_or_default());
    let temporary = matches!(second.as_str(), "TEMP" | "TEMPORARY")
        && words.next().is_some_and(|third| third == "SEQUENCE");
    let own = first == "REINDEX"
        || type_statement::is_begun(&first, &second)
        || second == "SEQUENCE" && (first == "ALTER" || first == "CREATE")
        || temporary && first == "CREATE";
    if own || privileges::is_own(sql) || routine::syntax::is_own(sql) || materialized::is_own(sql) {
        return Some(carried(sql));
    }
    if first == "ALTER" {
        let dialect = PostgreSqlDialect {};
        let mut parser = Parser::new(&dialect).try_with_sql(sql).ok()?;
        parser.next_token();
        match alter_more::read(&mut parser) {
            Ok(Some(_)) => return Some(carried(sql)),
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
    }
    let table = second == "TABLE" && (first == "CREATE" || first == "ALTER");
    match table && sql.to_ascii_uppercase().contains("IDENTITY") {
        true => with_ordered_options(sql),
        false => None,
    }
}

/// The places of the options in the order in which the parser takes them.
const OPTION_ORDER: [&str; 6] = ["INCREMENT", "MINVALUE", "MAXVALUE", "START", "CACHE", "CYCLE"];

/// Parses DDL with the options of each `IDENTITY (…)` in the parser's order; `None` where there are none.
fn with_ordered_options(sql: &str) -> Option<Parsed<Statement>> {
    let dialect = PostgreSqlDialect {};
    let mut tokens: Vec<Token> = Tokenizer::new(&dialect, sql)
        .tokenize()
        .ok()?
        .into_iter()
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .collect();
    let is_word =
        |token: &Token, word: &str| matches!(token, Token::Word(w) if w.value.eq_ignore_ascii_case(word));
    let mut changed = false;
    for start in 2..tokens.len() {
        if !is_word(&tokens[start - 2], "IDENTITY") && !is_word(&tokens[start - 1], "IDENTITY") {
            continue;
        }
        let open = if tokens[start - 1] == Token::LParen { start } else { continue };
        let Some(len) = tokens[open..].iter().position(|t| *t == Token::RParen) else { continue };
        let place = |token: &Token| OPTION_ORDER.iter().position(|option| is_word(token, option));
        let mut options: Vec<(usize, Vec<Token>)> = Vec::new();
        let mut negated = None;
        for token in tokens[open..open + len].iter().cloned() {
            if is_word(&token, "NO") {
                negated = Some(token);
            } else if let Some(at) = place(&token) {
                let mut option: Vec<Token> = negated.take().into_iter().collect();
                option.push(token);
                options.push((at, option));
            } else {
                options.last_mut()?.1.push(token);
            }
        }
        options.sort_by_key(|(at, _)| *at);
        let ordered: Vec<Token> = options.into_iter().flat_map(|(_, option)| option).collect();
        if ordered.len() == len {
            tokens.splice(open..open + len, ordered);
            changed = true;
        }
    }
    changed.then(|| Parser::new(&dialect).with_tokens(tokens).parse_statement())
}

/// The statement's text in a `CALL`.
fn carried(sql: &str) -> Parsed<Statement> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql("CALL f('')")?;
    let Statement::Call(mut call) = parser.parse_statement()? else {
        return Err(ParserError::ParserError("CALL".to_owned()));
    };
    call.name = ObjectName::from(vec![Ident::with_quote('"', CALLED), Ident::with_quote('"', sql)]);
    // The text must be a whole statement now: a syntax error belongs to parsing.
    read(sql)?;
    Ok(Statement::Call(call))
}

/// Whether a `CALL` carries one of these statements.
pub(crate) fn is_own(call: &Function) -> bool {
    text_of(call).is_some()
}

fn text_of(call: &Function) -> Option<&str> {
    match call.name.0.as_slice() {
        [name, text] if name.as_ident().is_some_and(|n| n.value == CALLED) => {
            text.as_ident().map(|ident| ident.value.as_str())
        }
        _ => None,
    }
}

enum Own {
    Privileges(Box<privileges::Own>),
    Program(Box<Program>),
    Materialized(Box<materialized::Own>),
    Alter(Box<AlterMore>),
    Type(Box<TypeStatement>),
    Reindex {
        kind: String,
        name: Option<ObjectName>,
    },
    AlterSequence {
        name: ObjectName,
        if_exists: bool,
        change: Change,
    },
    CreateSequence {
        name: ObjectName,
        is_temporary: bool,
        if_not_exists: bool,
        options: Box<SequenceOptions>,
        owner: Option<ObjectName>,
    },
}

enum Change {
    Options { options: Box<SequenceOptions>, owner: Option<ObjectName> },
    Rename(Ident),
    SetSchema(Ident),
}

fn read(sql: &str) -> Parsed<Own> {
    if privileges::is_own(sql) {
        return Ok(Own::Privileges(Box::new(privileges::read(sql)?)));
    }
    if routine::syntax::is_own(sql) {
        return Ok(Own::Program(Box::new(routine::syntax::read(sql)?)));
    }
    if materialized::is_own(sql) {
        return Ok(Own::Materialized(Box::new(materialized::read(sql)?)));
    }
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(sql)?;
    let mut words = sql.split_whitespace().map(str::to_ascii_uppercase);
    if let (Some(first), Some(second)) = (words.next(), words.next())
        && type_statement::is_begun(&first, &second)
    {
        let own = Own::Type(Box::new(type_statement::read(&mut parser)?));
        ends(&mut parser)?;
        return Ok(own);
    }
    let own = match parser.next_token().token {
        Token::Word(word) if word.value.eq_ignore_ascii_case("reindex") => reindex(&mut parser)?,
        Token::Word(word) if word.value.eq_ignore_ascii_case("create") => {
            let is_temporary = parser.parse_one_of_keywords(&[Keyword::TEMP, Keyword::TEMPORARY]).is_some();
            parser.expect_keyword(Keyword::SEQUENCE)?;
            let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
            let name = parser.parse_object_name(false)?;
            let (options, owner) = options(&mut parser, false)?;
            Own::CreateSequence { name, is_temporary, if_not_exists, options, owner }
        }
        _ if parser.parse_keyword(Keyword::SEQUENCE) => alter_sequence(&mut parser)?,
        _ => match alter_more::read(&mut parser)? {
            Some(alter) => Own::Alter(Box::new(alter)),
            None => return parser.expected("another form of ALTER", parser.peek_token()),
        },
    };
    ends(&mut parser)?;
    Ok(own)
}

/// Nothing may follow.
pub(crate) fn ends(parser: &mut Parser<'_>) -> Parsed<()> {
    match parser.next_token() {
        token if matches!(token.token, Token::EOF | Token::SemiColon) => Ok(()),
        token => parser.expected("end of statement", token),
    }
}

fn reindex(parser: &mut Parser<'_>) -> Parsed<Own> {
    if parser.consume_token(&Token::LParen) {
        // They say how much is told and how long others wait: nothing here.
        for option in parser.parse_comma_separated(|parser| {
            let option = parser.parse_identifier()?;
            if !matches!(parser.peek_token().token, Token::Comma | Token::RParen) {
                parser.next_token();
            }
            Ok(option)
        })? {
            let known =
                ["verbose", "concurrently"].iter().any(|word| option.value.eq_ignore_ascii_case(word));
            if !known {
                let message = format!("unrecognized REINDEX option \"{}\"", option.value);
                return Err(ParserError::ParserError(message));
            }
        }
        parser.expect_token(&Token::RParen)?;
    }
    let kind = match parser.next_token().token {
        Token::Word(word) => word.value.to_ascii_uppercase(),
        _ => return parser.expected("INDEX or TABLE", parser.peek_token()),
    };
    let _ = parser.parse_keyword(Keyword::CONCURRENTLY);
    let name = match parser.peek_token().token {
        Token::EOF | Token::SemiColon => None,
        _ => Some(parser.parse_object_name(false)?),
    };
    Ok(Own::Reindex { kind, name })
}

fn alter_sequence(parser: &mut Parser<'_>) -> Parsed<Own> {
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    if parser.parse_keywords(&[Keyword::RENAME, Keyword::TO]) {
        let change = Change::Rename(parser.parse_identifier()?);
        return Ok(Own::AlterSequence { name, if_exists, change });
    }
    if parser.parse_keywords(&[Keyword::SET, Keyword::SCHEMA]) {
        let change = Change::SetSchema(parser.parse_identifier()?);
        return Ok(Own::AlterSequence { name, if_exists, change });
    }
    let (options, owner) = options(parser, true)?;
    Ok(Own::AlterSequence { name, if_exists, change: Change::Options { options, owner } })
}

/// The options of a sequence, in any order, each at most once.
fn options(parser: &mut Parser<'_>, altering: bool) -> Parsed<(Box<SequenceOptions>, Option<ObjectName>)> {
    let mut options = SequenceOptions::default();
    let mut owner = None;
    let mut seen: Vec<String> = Vec::new();
    let failed = |e: Error| ParserError::ParserError(e.to_string());
    while let Token::Word(word) = parser.peek_token().token {
        let word = word.value.to_ascii_uppercase();
        parser.next_token();
        let kind = match word.as_str() {
            "NO" => parser.peek_token().token.to_string().to_ascii_uppercase(),
            word => word.to_owned(),
        };
        if seen.contains(&kind) {
            return Err(ParserError::ParserError("conflicting or redundant options".to_owned()));
        }
        seen.push(kind);
        match word.as_str() {
            "AS" => {
                let ty = parser.parse_data_type()?;
                options.ty = Some(sequence::sequence_type(&ty).map_err(failed)?);
            }
            "RESTART" if altering => {
                let with = parser.parse_keyword(Keyword::WITH);
                let value = match with || starts_number(parser) {
                    true => Some(integer(parser)?),
                    false => None,
                };
                options.restart = Some(value);
            }
            "START" => {
                let _ = parser.parse_keyword(Keyword::WITH);
                options.start = Some(integer(parser)?);
            }
            "INCREMENT" => {
                let _ = parser.parse_keyword(Keyword::BY);
                options.increment = Some(integer(parser)?);
            }
            "MINVALUE" => options.min = Some(Some(integer(parser)?)),
            "MAXVALUE" => options.max = Some(Some(integer(parser)?)),
            "CACHE" => options.cache = Some(integer(parser)?),
            "CYCLE" => options.cycle = Some(true),
            "NO" => match parser.next_token().token {
                Token::Word(word) if word.value.eq_ignore_ascii_case("minvalue") => options.min = Some(None),
                Token::Word(word) if word.value.eq_ignore_ascii_case("maxvalue") => options.max = Some(None),
                Token::Word(word) if word.value.eq_ignore_ascii_case("cycle") => options.cycle = Some(false),
                _ => return parser.expected("MINVALUE, MAXVALUE or CYCLE", parser.peek_token()),
            },
            "OWNED" => {
                parser.expect_keyword(Keyword::BY)?;
                owner = Some(parser.parse_object_name(false)?);
            }
            _ => return parser.expected("an option of a sequence", parser.peek_token()),
        }
    }
    Ok((Box::new(options), owner))
}

fn starts_number(parser: &Parser<'_>) -> bool {
    matches!(parser.peek_token().token, Token::Number(..) | Token::Minus | Token::Plus)
}

pub(crate) fn integer(parser: &mut Parser<'_>) -> Parsed<i64> {
    let expr: Expr = parser.parse_expr()?;
    sequence::number(&expr).map_err(|e| ParserError::ParserError(e.to_string()))
}

/// Runs one of these statements.
pub(super) fn run(context: &Context, call: &Function) -> Result<StatementResult> {
    let Some(text) = text_of(call) else { return Err(Error::unsupported("CALL")) };
    match read(text).map_err(|e| Error::new("42601", e.to_string()))? {
        Own::Privileges(own) => privileges::run(context, &own),
        Own::Program(program) => routine::define::run(context, &program),
        Own::Materialized(own) => materialized::run(context, &own),
        Own::Type(statement) => types::run(context, &statement),
        Own::Alter(alter) => alter_more::run(context, &alter),
        Own::Reindex { kind, name } => index::rebuild(context, &kind, name.as_ref()),
        Own::AlterSequence { name, if_exists, change } => alter(context, &name, if_exists, change),
        Own::CreateSequence { name, is_temporary, if_not_exists, options, owner } => {
            sequence::create(context, &name, is_temporary, if_not_exists, &options, owner.as_ref())
        }
    }
}

fn alter(context: &Context, name: &ObjectName, if_exists: bool, change: Change) -> Result<StatementResult> {
    let catalog = context.catalog()?;
    let done = || Ok(StatementResult::command("ALTER SEQUENCE"));
    let Some((schema, sequence, _)) = names::find(context, &catalog, name, Kind::Sequence)? else {
        if if_exists {
            notice(context, "00000", format!("relation \"{name}\" does not exist, skipping"));
            return done();
        }
        return Err(names::missing(name, Kind::Sequence, true));
    };
    match change {
        Change::Rename(new) => context.txn().rename_sequence(&schema, &sequence, &names::stored(&new))?,
        Change::SetSchema(new) => {
            crate::privileges::require_create(context, &fold(&new))?;
            context.txn().set_sequence_schema(&schema, &sequence, &fold(&new))?;
        }
        Change::Options { options, owner } => {
            if *options != SequenceOptions::default() {
                context.txn().alter_sequence(&schema, &sequence, &options)?;
            }
            if let Some(owner) = owner {
                sequence::set_owner(context, &schema, &sequence, &owner)?;
            }
        }
    }
    done()
}
