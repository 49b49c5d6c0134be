//! GRANT, REVOKE and ALTER DEFAULT PRIVILEGES.

use cairn_engine::catalog::RoutineKind;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::owners::routine;
use super::words::{Parsed, both, cascade, expect, grantee, ident, list, name, refused, role, word};
use crate::privileges::statement::{AlterDefaults, Grant, GrantRole, Kinds, Listed, Objects, Own, RoleName};

fn listed(parser: &mut Parser<'_>) -> Parsed<Listed> {
    list(parser, |parser| {
        let token = parser.next_token();
        let Token::Word(found) = &token.token else { return parser.expected("a privilege", token) };
        let name = match found.quote_style {
            None => found.value.to_ascii_uppercase(),
            Some(_) => found.value.clone(),
        };
        let quoted = found.quote_style.is_some();
        let name = if quoted { format!("\"{name}") } else { name };
        if name == "ALL" {
            let _ = word(parser, "PRIVILEGES");
        }
        if name == "ALTER" && word(parser, "SYSTEM") {
            return refused("a privilege on parameters");
        }
        let columns = match parser.consume_token(&Token::LParen) {
            true => {
                let columns = list(parser, ident)?;
                parser.expect_token(&Token::RParen)?;
                columns
            }
            false => Vec::new(),
        };
        Ok((name, columns))
    })
}

pub(super) fn grant(parser: &mut Parser<'_>, revokes: bool) -> Parsed<Own> {
    let mut option = false;
    let mut only = None;
    if revokes {
        for wanted in ["GRANT", "ADMIN", "INHERIT", "SET"] {
            let is = matches!(&parser.peek_token().token, Token::Word(w) if w.value.eq_ignore_ascii_case(wanted))
                && matches!(&parser.peek_nth_token(1).token, Token::Word(w) if w.value.eq_ignore_ascii_case("OPTION"));
            if is {
                parser.next_token();
                parser.next_token();
                expect(parser, "FOR")?;
                option = wanted == "GRANT";
                only = (!option).then_some(wanted);
            }
        }
    }
    // Privileges stand before ON, roles before TO or FROM.
    let privileges = parser.maybe_parse(|parser| {
        let privileges = listed(parser)?;
        expect(parser, "ON")?;
        Ok(privileges)
    })?;
    let Some(privileges) = privileges else {
        let groups = list(parser, role)?;
        return grant_role(parser, revokes, only, groups);
    };
    if only.is_some() {
        return parser.expected("roles", parser.peek_token());
    }
    let on = objects_of(parser)?;
    expect(parser, if revokes { "FROM" } else { "TO" })?;
    let roles = list(parser, grantee)?;
    if !revokes && word(parser, "WITH") {
        expect(parser, "GRANT")?;
        expect(parser, "OPTION")?;
        option = true;
    }
    let by = both(parser, "GRANTED", "BY").then(|| role(parser)).transpose()?;
    let cascade = revokes && cascade(parser);
    Ok(Own::Grant(Grant { revokes, option, privileges, on, roles, by, cascade }))
}

fn grant_role(
    parser: &mut Parser<'_>,
    revokes: bool,
    only: Option<&str>,
    groups: Vec<RoleName>,
) -> Parsed<Own> {
    expect(parser, if revokes { "FROM" } else { "TO" })?;
    let members = list(parser, grantee)?;
    let of = |wanted: &str| (only == Some(wanted)).then_some(false);
    let (mut admin, mut inherit, mut set) = (of("ADMIN"), of("INHERIT"), of("SET"));
    if !revokes && word(parser, "WITH") {
        loop {
            let option = parser.next_token().token.to_string().to_ascii_uppercase();
            let on = match () {
                () if word(parser, "OPTION") || word(parser, "TRUE") => true,
                () if word(parser, "FALSE") => false,
                () => return parser.expected("OPTION, TRUE or FALSE", parser.peek_token()),
            };
            match option.as_str() {
                "ADMIN" => admin = Some(on),
                "INHERIT" => inherit = Some(on),
                "SET" => set = Some(on),
                other => {
                    let message = format!("unrecognized role option \"{}\"", other.to_ascii_lowercase());
                    return Err(ParserError::ParserError(message));
                }
            }
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    let by = both(parser, "GRANTED", "BY").then(|| role(parser)).transpose()?;
    let cascade = revokes && cascade(parser);
    Ok(Own::GrantRole(GrantRole { revokes, groups, members, admin, inherit, set, by, cascade }))
}

fn objects_of(parser: &mut Parser<'_>) -> Parsed<Objects> {
    if word(parser, "ALL") {
        let kinds = kinds(parser)?;
        expect(parser, "IN")?;
        expect(parser, "SCHEMA")?;
        return Ok(Objects::AllIn(kinds, list(parser, ident)?));
    }
    let begins = |parser: &mut Parser<'_>, wanted: &str| {
        // A table may be called so.
        let named = matches!(parser.peek_nth_token(1).token, Token::Word(_) | Token::SingleQuotedString(_));
        named && word(parser, wanted)
    };
    if begins(parser, "SEQUENCE") {
        return Ok(Objects::Sequences(list(parser, name)?));
    }
    if begins(parser, "SCHEMA") {
        return Ok(Objects::Schemas(list(parser, ident)?));
    }
    if begins(parser, "DATABASE") {
        return Ok(Objects::Databases(list(parser, ident)?));
    }
    if begins(parser, "TYPE") {
        return Ok(Objects::Types { domains: false, names: list(parser, name)? });
    }
    if begins(parser, "DOMAIN") {
        return Ok(Objects::Types { domains: true, names: list(parser, name)? });
    }
    for (wanted, kind) in [
        ("FUNCTION", Some(RoutineKind::Function)),
        ("PROCEDURE", Some(RoutineKind::Procedure)),
        ("ROUTINE", None),
    ] {
        if begins(parser, wanted) {
            return Ok(Objects::Routines(kind, list(parser, routine)?));
        }
    }
    for other in ["LANGUAGE", "TABLESPACE", "FOREIGN", "LARGE", "PARAMETER"] {
        if begins(parser, other) {
            return refused(&format!("GRANT ON {other}"));
        }
    }
    let _ = begins(parser, "TABLE");
    Ok(Objects::Tables(list(parser, name)?))
}

fn kinds(parser: &mut Parser<'_>) -> Parsed<Kinds> {
    let token = parser.next_token();
    Ok(match token.token.to_string().to_ascii_uppercase().as_str() {
        "TABLES" => Kinds::Tables,
        "SEQUENCES" => Kinds::Sequences,
        "FUNCTIONS" => Kinds::Routines(Some(RoutineKind::Function)),
        "PROCEDURES" => Kinds::Routines(Some(RoutineKind::Procedure)),
        "ROUTINES" => Kinds::Routines(None),
        "TYPES" => Kinds::Types,
        "SCHEMAS" => Kinds::Schemas,
        _ => return parser.expected("TABLES, SEQUENCES, FUNCTIONS, TYPES or SCHEMAS", token),
    })
}

pub(super) fn alter_defaults(parser: &mut Parser<'_>) -> Parsed<AlterDefaults> {
    let (mut of, mut schemas) = (Vec::new(), Vec::new());
    loop {
        if word(parser, "FOR") {
            if !word(parser, "ROLE") {
                expect(parser, "USER")?;
            }
            of = list(parser, role)?;
        } else if both(parser, "IN", "SCHEMA") {
            schemas = list(parser, ident)?;
        } else {
            break;
        }
    }
    let revokes = word(parser, "REVOKE");
    if !revokes {
        expect(parser, "GRANT")?;
    }
    let mut option = revokes && both(parser, "GRANT", "OPTION");
    if option {
        expect(parser, "FOR")?;
    }
    let privileges = listed(parser)?;
    expect(parser, "ON")?;
    let on = kinds(parser)?;
    expect(parser, if revokes { "FROM" } else { "TO" })?;
    let roles = list(parser, grantee)?;
    if !revokes && word(parser, "WITH") {
        expect(parser, "GRANT")?;
        expect(parser, "OPTION")?;
        option = true;
    }
    let cascade = revokes && cascade(parser);
    Ok(AlterDefaults { of, schemas, revokes, option, privileges, on, roles, cascade })
}
