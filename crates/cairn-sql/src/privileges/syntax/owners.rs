//! ALTER … OWNER TO.

use cairn_engine::catalog::RoutineKind;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;

use super::words::{Parsed, expect, name, refused, role};
use crate::privileges::statement::{Own, Owned, RoleName, RoutineName};

pub(super) fn new_owner(parser: &mut Parser<'_>) -> Parsed<RoleName> {
    expect(parser, "OWNER")?;
    expect(parser, "TO")?;
    role(parser)
}

pub(super) fn alter_owner(parser: &mut Parser<'_>) -> Parsed<Own> {
    let kind = parser.next_token().token.to_string().to_ascii_uppercase();
    if kind == "MATERIALIZED" {
        expect(parser, "VIEW")?;
    }
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let owned = match kind.as_str() {
        "VIEW" => Owned::View(name(parser)?),
        "MATERIALIZED" => Owned::Materialized(name(parser)?),
        "SEQUENCE" => Owned::Sequence(name(parser)?),
        "INDEX" => Owned::Index(name(parser)?),
        "FUNCTION" => Owned::Routine(Some(RoutineKind::Function), routine(parser)?),
        "PROCEDURE" => Owned::Routine(Some(RoutineKind::Procedure), routine(parser)?),
        "ROUTINE" => Owned::Routine(None, routine(parser)?),
        "TYPE" => Owned::Type(name(parser)?),
        "DOMAIN" => Owned::Domain(name(parser)?),
        "SCHEMA" => Owned::Schema(parser.parse_identifier()?),
        "DATABASE" => Owned::Database(parser.parse_identifier()?),
        other => return refused(&format!("ALTER {other} ... OWNER TO")),
    };
    Ok(Own::Owner { owned, if_exists, to: new_owner(parser)? })
}

pub(super) fn routine(parser: &mut Parser<'_>) -> Parsed<RoutineName> {
    crate::routine::syntax::target(parser)
}
