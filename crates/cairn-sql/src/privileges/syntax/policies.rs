//! CREATE and ALTER POLICY.

use sqlparser::ast::Expr;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::words::{Parsed, both, expect, list, name, role, word};
use crate::privileges::statement::{AlterPolicy, CreatePolicy, RoleName};

fn in_parentheses(parser: &mut Parser<'_>) -> Parsed<Expr> {
    parser.expect_token(&Token::LParen)?;
    let expr = parser.parse_expr()?;
    parser.expect_token(&Token::RParen)?;
    Ok(expr)
}

fn conditions(parser: &mut Parser<'_>) -> Parsed<(Option<Expr>, Option<Expr>)> {
    let using = word(parser, "USING").then(|| in_parentheses(parser)).transpose()?;
    let check = both(parser, "WITH", "CHECK").then(|| in_parentheses(parser)).transpose()?;
    Ok((using, check))
}

pub(super) fn create_policy(parser: &mut Parser<'_>) -> Parsed<CreatePolicy> {
    let policy = parser.parse_identifier()?;
    expect(parser, "ON")?;
    let table = name(parser)?;
    let mut permissive = true;
    if word(parser, "AS") {
        let token = parser.next_token();
        permissive = match token.token.to_string().to_ascii_uppercase().as_str() {
            "PERMISSIVE" => true,
            "RESTRICTIVE" => false,
            other => {
                let message = format!("unrecognized row security option \"{}\"", other.to_ascii_lowercase());
                return Err(ParserError::ParserError(message));
            }
        };
    }
    let mut command = '*';
    if word(parser, "FOR") {
        let token = parser.next_token();
        command = match token.token.to_string().to_ascii_uppercase().as_str() {
            "ALL" => '*',
            "SELECT" => 'r',
            "INSERT" => 'a',
            "UPDATE" => 'w',
            "DELETE" => 'd',
            _ => return parser.expected("a command", token),
        };
    }
    let roles = match word(parser, "TO") {
        true => list(parser, role)?,
        false => vec![RoleName::Public],
    };
    let (using, check) = conditions(parser)?;
    Ok(CreatePolicy { name: policy, table, permissive, command, roles, using, check })
}

pub(super) fn alter_policy(parser: &mut Parser<'_>) -> Parsed<AlterPolicy> {
    let policy = parser.parse_identifier()?;
    expect(parser, "ON")?;
    let table = name(parser)?;
    let mut made = AlterPolicy { name: policy, table, rename: None, roles: None, using: None, check: None };
    if both(parser, "RENAME", "TO") {
        made.rename = Some(parser.parse_identifier()?);
        return Ok(made);
    }
    made.roles = word(parser, "TO").then(|| list(parser, role)).transpose()?;
    (made.using, made.check) = conditions(parser)?;
    Ok(made)
}
