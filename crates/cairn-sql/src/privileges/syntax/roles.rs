//! CREATE and ALTER ROLE, USER and GROUP.

use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::words::{Parsed, both, expect, list, name, role, word};
use crate::privileges::statement::{GrantRole, Own, RoleOption, Setting};

/// CREATE ROLE, USER and GROUP.
pub(super) fn create_role(parser: &mut Parser<'_>) -> Parsed<Own> {
    let is_user = word(parser, "USER");
    if !is_user && !word(parser, "GROUP") {
        expect(parser, "ROLE")?;
    }
    let name = parser.parse_identifier()?;
    let _ = word(parser, "WITH");
    // Users may log in.
    let mut options: Vec<RoleOption> = is_user.then_some(RoleOption::Login(true)).into_iter().collect();
    while let Some(option) = option(parser, true)? {
        options.push(option);
    }
    Ok(Own::CreateRole { name, options })
}

/// An option of a role; `None` at the end of the statement.
fn option(parser: &mut Parser<'_>, creates: bool) -> Parsed<Option<RoleOption>> {
    use RoleOption as O;
    let token = parser.next_token();
    let Token::Word(found) = &token.token else {
        parser.prev_token();
        return Ok(None);
    };
    let upper = found.value.to_ascii_uppercase();
    let (bare, on) = match upper.strip_prefix("NO") {
        Some(bare) => (bare, false),
        None => (upper.as_str(), true),
    };
    Ok(Some(match (bare, on) {
        ("SUPERUSER", on) => O::Superuser(on),
        ("CREATEDB", on) => O::CreateDb(on),
        ("CREATEROLE" | "CREATEUSER", on) => O::CreateRole(on),
        ("INHERIT", on) => O::Inherit(on),
        ("LOGIN", on) => O::Login(on),
        ("REPLICATION", on) => O::Replication(on),
        ("BYPASSRLS", on) => O::BypassRls(on),
        ("CONNECTION", true) => {
            expect(parser, "LIMIT")?;
            O::ConnectionLimit(crate::ddl::integer(parser)?)
        }
        ("ENCRYPTED", true) => {
            expect(parser, "PASSWORD")?;
            O::Password(Some(parser.parse_literal_string()?))
        }
        ("UNENCRYPTED", true) => {
            return Err(ParserError::ParserError("UNENCRYPTED PASSWORD is no longer supported".to_owned()));
        }
        ("PASSWORD", true) => match word(parser, "NULL") {
            true => O::Password(None),
            false => O::Password(Some(parser.parse_literal_string()?)),
        },
        ("VALID", true) => {
            expect(parser, "UNTIL")?;
            O::ValidUntil(parser.parse_literal_string()?)
        }
        ("IN", true) if creates => {
            if !word(parser, "ROLE") {
                expect(parser, "GROUP")?;
            }
            O::InRole(list(parser, role)?)
        }
        ("ROLE" | "USER", true) if creates => O::Members(list(parser, role)?),
        ("USER", true) => O::Members(list(parser, role)?),
        ("ADMIN", true) if creates => O::Admins(list(parser, role)?),
        ("SYSID", true) if creates => {
            crate::ddl::integer(parser)?;
            O::SysId
        }
        _ => {
            let message = format!("unrecognized role option \"{}\"", found.value.to_ascii_lowercase());
            return Err(ParserError::ParserError(message));
        }
    }))
}

pub(super) fn alter_role(parser: &mut Parser<'_>) -> Parsed<Own> {
    let all = word(parser, "ALL");
    let of = if all { None } else { Some(role(parser)?) };
    if let Some(of) = &of
        && both(parser, "RENAME", "TO")
    {
        return Ok(Own::RenameRole { role: of.clone(), to: parser.parse_identifier()? });
    }
    let in_database = both(parser, "IN", "DATABASE");
    if in_database {
        parser.parse_identifier()?;
    }
    if word(parser, "SET") {
        let variable = name(parser)?.to_string().to_ascii_lowercase();
        if both(parser, "FROM", "CURRENT") {
            return Ok(Own::SetOfRole { role: of, in_database, setting: Setting::FromCurrent(variable) });
        }
        if !parser.consume_token(&Token::Eq) {
            expect(parser, "TO")?;
        }
        let values = list(parser, value)?;
        return Ok(Own::SetOfRole { role: of, in_database, setting: Setting::Set(variable, values) });
    }
    if word(parser, "RESET") {
        let setting = match word(parser, "ALL") {
            true => Setting::ResetAll,
            false => Setting::Reset(name(parser)?.to_string().to_ascii_lowercase()),
        };
        return Ok(Own::SetOfRole { role: of, in_database, setting });
    }
    let Some(of) = of.filter(|_| !in_database) else {
        return parser.expected("SET or RESET", parser.peek_token());
    };
    let _ = word(parser, "WITH");
    let mut options = Vec::new();
    while let Some(option) = option(parser, false)? {
        options.push(option);
    }
    Ok(Own::AlterRole { role: of, options })
}

/// A value of SET.
fn value(parser: &mut Parser<'_>) -> Parsed<String> {
    let expr = parser.parse_expr()?;
    crate::session::variables::value_text(&expr).map_err(|error| ParserError::ParserError(error.to_string()))
}

pub(super) fn alter_group(parser: &mut Parser<'_>) -> Parsed<Own> {
    let group = role(parser)?;
    if both(parser, "RENAME", "TO") {
        return Ok(Own::RenameRole { role: group, to: parser.parse_identifier()? });
    }
    let revokes = word(parser, "DROP");
    if !revokes {
        expect(parser, "ADD")?;
    }
    expect(parser, "USER")?;
    let members = list(parser, role)?;
    let groups = vec![group];
    let (admin, inherit, set) = (None, None, None);
    Ok(Own::GrantRole(GrantRole { revokes, groups, members, admin, inherit, set, by: None, cascade: false }))
}
