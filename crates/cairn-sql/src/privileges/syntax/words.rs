//! Words, names and roles, as all of these statements have them.

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use crate::privileges::statement::RoleName;

pub(super) type Parsed<T> = std::result::Result<T, ParserError>;

pub(super) fn word(parser: &mut Parser<'_>, wanted: &str) -> bool {
    match &parser.peek_token().token {
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted) => {
            parser.next_token();
            true
        }
        _ => false,
    }
}

pub(super) fn both(parser: &mut Parser<'_>, first: &str, second: &str) -> bool {
    let is = |at: usize, wanted: &str| match &parser.peek_nth_token(at).token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted),
        _ => false,
    };
    let found = is(0, first) && is(1, second);
    if found {
        parser.next_token();
        parser.next_token();
    }
    found
}

pub(super) fn expect(parser: &mut Parser<'_>, wanted: &str) -> Parsed<()> {
    match word(parser, wanted) {
        true => Ok(()),
        false => parser.expected(wanted, parser.peek_token()),
    }
}

pub(super) fn refused<T>(what: &str) -> Parsed<T> {
    Err(ParserError::ParserError(format!("{what} is not supported")))
}

pub(super) fn list<T>(parser: &mut Parser<'_>, one: impl Fn(&mut Parser<'_>) -> Parsed<T>) -> Parsed<Vec<T>> {
    let mut all = vec![one(parser)?];
    while parser.consume_token(&Token::Comma) {
        all.push(one(parser)?);
    }
    Ok(all)
}

pub(super) fn ident(parser: &mut Parser<'_>) -> Parsed<Ident> {
    parser.parse_identifier()
}

pub(super) fn name(parser: &mut Parser<'_>) -> Parsed<ObjectName> {
    parser.parse_object_name(false)
}

pub(super) fn role(parser: &mut Parser<'_>) -> Parsed<RoleName> {
    let ident = parser.parse_identifier()?;
    if ident.quote_style.is_none() {
        match ident.value.to_ascii_uppercase().as_str() {
            "CURRENT_USER" | "CURRENT_ROLE" => return Ok(RoleName::Current),
            "SESSION_USER" => return Ok(RoleName::Session),
            "PUBLIC" => return Ok(RoleName::Public),
            _ => {}
        }
    }
    Ok(RoleName::Named(crate::ddl::names::stored(&ident)))
}

/// A role to which something is granted.
pub(super) fn grantee(parser: &mut Parser<'_>) -> Parsed<RoleName> {
    let _ = matches!(parser.peek_nth_token(1).token, Token::Word(_)) && word(parser, "GROUP");
    role(parser)
}

pub(super) fn cascade(parser: &mut Parser<'_>) -> bool {
    let cascade = word(parser, "CASCADE");
    let _ = !cascade && word(parser, "RESTRICT");
    cascade
}
