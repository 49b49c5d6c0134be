//! Reading CREATE and DROP TRIGGER and ALTER TABLE … ENABLE and DISABLE TRIGGER.

use cairn_engine::catalog::{TriggerEvents, TriggerTiming};
use sqlparser::ast::{Expr, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use crate::ddl::ends;
use crate::routine::syntax::{Parsed, cascade};

/// CREATE TRIGGER.
pub(crate) struct CreateTrigger {
    pub(crate) replace: bool,
    pub(crate) name: Ident,
    pub(crate) timing: TriggerTiming,
    pub(crate) events: TriggerEvents,
    /// UPDATE OF.
    pub(crate) columns: Vec<Ident>,
    pub(crate) table: ObjectName,
    pub(crate) old_table: Option<Ident>,
    pub(crate) new_table: Option<Ident>,
    pub(crate) per_row: bool,
    pub(crate) when: Option<Expr>,
    pub(crate) function: ObjectName,
    pub(crate) arguments: Vec<String>,
}

/// DROP TRIGGER.
pub(crate) struct DropTrigger {
    pub(crate) if_exists: bool,
    pub(crate) name: Ident,
    pub(crate) table: ObjectName,
}

/// ALTER TABLE … ENABLE or DISABLE TRIGGER.
pub(crate) struct EnableTrigger {
    pub(crate) if_exists: bool,
    pub(crate) table: ObjectName,
    /// All where there is none.
    pub(crate) name: Option<Ident>,
    pub(crate) enabled: bool,
}

/// Takes that word, if it is next.
pub(crate) fn is_word(parser: &mut Parser<'_>, word: &str) -> bool {
    let found = matches!(parser.peek_token().token, Token::Word(own) if own.value.eq_ignore_ascii_case(word));
    if found {
        parser.next_token();
    }
    found
}

fn expect(parser: &mut Parser<'_>, word: &str) -> Parsed<()> {
    match is_word(parser, word) {
        true => Ok(()),
        false => parser.expected(word, parser.peek_token()),
    }
}

/// Behind CREATE [OR REPLACE] TRIGGER.
pub(crate) fn create(parser: &mut Parser<'_>, replace: bool) -> Parsed<CreateTrigger> {
    let name = parser.parse_identifier()?;
    let timing = match () {
        () if is_word(parser, "BEFORE") => TriggerTiming::Before,
        () if is_word(parser, "AFTER") => TriggerTiming::After,
        () if is_word(parser, "INSTEAD") => {
            expect(parser, "OF")?;
            TriggerTiming::InsteadOf
        }
        () => return parser.expected("BEFORE, AFTER or INSTEAD OF", parser.peek_token()),
    };
    let (mut events, mut columns) = (TriggerEvents::default(), Vec::new());
    loop {
        let event = match () {
            () if is_word(parser, "INSERT") => &mut events.insert,
            () if is_word(parser, "DELETE") => &mut events.delete,
            () if is_word(parser, "TRUNCATE") => &mut events.truncate,
            () if is_word(parser, "UPDATE") => {
                if is_word(parser, "OF") {
                    columns = parser.parse_comma_separated(Parser::parse_identifier)?;
                }
                &mut events.update
            }
            () => return parser.expected("INSERT, UPDATE, DELETE or TRUNCATE", parser.peek_token()),
        };
        if std::mem::replace(event, true) {
            return Err(ParserError::ParserError("duplicate trigger events specified".to_owned()));
        }
        if !is_word(parser, "OR") {
            break;
        }
    }
    expect(parser, "ON")?;
    let table = parser.parse_object_name(false)?;
    let (mut old_table, mut new_table) = (None, None);
    if is_word(parser, "REFERENCING") {
        loop {
            let side = match () {
                () if is_word(parser, "OLD") => &mut old_table,
                () if is_word(parser, "NEW") => &mut new_table,
                () => break,
            };
            if !is_word(parser, "TABLE") {
                return Err(ParserError::ParserError(
                    "ROW variable naming in the REFERENCING clause is not supported".to_owned(),
                ));
            }
            let _ = is_word(parser, "AS");
            *side = Some(parser.parse_identifier()?);
        }
    }
    let mut per_row = false;
    if is_word(parser, "FOR") {
        let _ = is_word(parser, "EACH");
        per_row = is_word(parser, "ROW");
        if !per_row {
            expect(parser, "STATEMENT")?;
        }
    }
    let mut when = None;
    if parser.parse_keyword(Keyword::WHEN) {
        parser.expect_token(&Token::LParen)?;
        when = Some(parser.parse_expr()?);
        parser.expect_token(&Token::RParen)?;
    }
    expect(parser, "EXECUTE")?;
    if !is_word(parser, "FUNCTION") {
        expect(parser, "PROCEDURE")?;
    }
    let function = parser.parse_object_name(false)?;
    parser.expect_token(&Token::LParen)?;
    let mut arguments = Vec::new();
    if !parser.consume_token(&Token::RParen) {
        arguments = parser.parse_comma_separated(|parser| match parser.next_token().token {
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => Ok(text),
            Token::DollarQuotedString(quoted) => Ok(quoted.value),
            Token::Number(text, _) => Ok(text),
            Token::Word(word) => Ok(word.value),
            _ => parser.expected("a literal", parser.peek_token()),
        })?;
        parser.expect_token(&Token::RParen)?;
    }
    ends(parser)?;
    Ok(CreateTrigger {
        replace,
        name,
        timing,
        events,
        columns,
        table,
        old_table,
        new_table,
        per_row,
        when,
        function,
        arguments,
    })
}

/// Behind DROP TRIGGER.
pub(crate) fn drop(parser: &mut Parser<'_>) -> Parsed<DropTrigger> {
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let name = parser.parse_identifier()?;
    expect(parser, "ON")?;
    let table = parser.parse_object_name(false)?;
    // Nothing depends on a trigger.
    let _ = cascade(parser);
    ends(parser)?;
    Ok(DropTrigger { if_exists, name, table })
}

/// ALTER TRIGGER … RENAME TO.
pub(crate) struct RenameTrigger {
    pub(crate) name: Ident,
    pub(crate) table: ObjectName,
    pub(crate) new: Ident,
}

/// Behind ALTER TRIGGER.
pub(crate) fn rename(parser: &mut Parser<'_>) -> Parsed<RenameTrigger> {
    let name = parser.parse_identifier()?;
    expect(parser, "ON")?;
    let table = parser.parse_object_name(false)?;
    expect(parser, "RENAME")?;
    expect(parser, "TO")?;
    let new = parser.parse_identifier()?;
    ends(parser)?;
    Ok(RenameTrigger { name, table, new })
}

/// Behind ALTER.
pub(crate) fn enable(parser: &mut Parser<'_>) -> Parsed<EnableTrigger> {
    expect(parser, "TABLE")?;
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let _ = is_word(parser, "ONLY");
    let table = parser.parse_object_name(false)?;
    let enabled = match () {
        () if is_word(parser, "ENABLE") => true,
        () if is_word(parser, "DISABLE") => false,
        () => return parser.expected("ENABLE or DISABLE", parser.peek_token()),
    };
    if is_word(parser, "REPLICA") || is_word(parser, "ALWAYS") {
        return Err(ParserError::ParserError(
            "ENABLE REPLICA and ALWAYS TRIGGER are not supported".to_owned(),
        ));
    }
    expect(parser, "TRIGGER")?;
    let name = match is_word(parser, "ALL") || is_word(parser, "USER") {
        true => None,
        false => Some(parser.parse_identifier()?),
    };
    ends(parser)?;
    Ok(EnableTrigger { if_exists, table, name, enabled })
}
