//! Reading the statements on roles, privileges, owners and policies, of which the parser knows a part only.

pub(crate) mod elements;
mod grants;
mod owners;
mod policies;
mod roles;
mod words;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;

use self::grants::{alter_defaults, grant};
use self::owners::{alter_owner, new_owner};
use self::policies::{alter_policy, create_policy};
use self::roles::{alter_group, alter_role, create_role};
use self::words::{Parsed, both, cascade, expect, list, name, role, word};
use super::statement::{Own, Owned, RowSecurity};

/// Reads one, as a whole.
pub(crate) fn read(sql: &str) -> Parsed<Own> {
    let dialect = PostgreSqlDialect {};
    let (sql, elements) = elements::of_schema(sql).unwrap_or((sql, Vec::new()));
    let mut parser = Parser::new(&dialect).try_with_sql(sql)?;
    let parser = &mut parser;
    let first = parser.next_token().token.to_string().to_ascii_uppercase();
    let own = match first.as_str() {
        "GRANT" => grant(parser, false)?,
        "REVOKE" => grant(parser, true)?,
        "REASSIGN" => {
            expect(parser, "OWNED")?;
            expect(parser, "BY")?;
            let from = list(parser, role)?;
            expect(parser, "TO")?;
            Own::Reassign { from, to: role(parser)? }
        }
        "COMMENT" => {
            expect(parser, "ON")?;
            expect(parser, "ROLE")?;
            let role = role(parser)?;
            expect(parser, "IS")?;
            let text = if word(parser, "NULL") { None } else { Some(parser.parse_literal_string()?) };
            Own::Comment { role, text }
        }
        "CREATE" => create(parser, &elements)?,
        "DROP" => drop_one(parser)?,
        _ => alter(parser)?,
    };
    crate::ddl::ends(parser)?;
    Ok(own)
}

fn create(parser: &mut Parser<'_>, elements: &[&str]) -> Parsed<Own> {
    if word(parser, "POLICY") {
        return create_policy(parser).map(Own::CreatePolicy);
    }
    if word(parser, "SCHEMA") {
        let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let named = |parser: &mut Parser<'_>| word(parser, "AUTHORIZATION");
        let (name, of_role) = match named(parser) {
            true => (None, true),
            false => (Some(parser.parse_identifier()?), named(parser)),
        };
        let role = if of_role { Some(role(parser)?) } else { None };
        let elements = elements.iter().map(|own| (*own).to_owned()).collect();
        return Ok(Own::CreateSchema { name, role, if_not_exists, elements });
    }
    create_role(parser)
}

fn drop_one(parser: &mut Parser<'_>) -> Parsed<Own> {
    if word(parser, "OWNED") {
        expect(parser, "BY")?;
        let of = list(parser, role)?;
        return Ok(Own::DropOwned { of, cascade: cascade(parser) });
    }
    if word(parser, "POLICY") {
        let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        let policy = parser.parse_identifier()?;
        expect(parser, "ON")?;
        let table = name(parser)?;
        cascade(parser);
        return Ok(Own::DropPolicy { name: policy, table, if_exists });
    }
    if !word(parser, "USER") && !word(parser, "GROUP") {
        expect(parser, "ROLE")?;
    }
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    Ok(Own::DropRoles { names: list(parser, role)?, if_exists })
}

fn alter(parser: &mut Parser<'_>) -> Parsed<Own> {
    if both(parser, "DEFAULT", "PRIVILEGES") {
        return alter_defaults(parser).map(Own::Defaults);
    }
    if word(parser, "POLICY") {
        return alter_policy(parser).map(Own::AlterPolicy);
    }
    if word(parser, "ROLE") || word(parser, "USER") {
        return alter_role(parser);
    }
    if word(parser, "GROUP") {
        return alter_group(parser);
    }
    if word(parser, "TABLE") {
        let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        let _ = word(parser, "ONLY");
        let table = name(parser)?;
        let to = if word(parser, "ENABLE") {
            RowSecurity::Enable
        } else if word(parser, "DISABLE") {
            RowSecurity::Disable
        } else if word(parser, "FORCE") {
            RowSecurity::Force
        } else if both(parser, "NO", "FORCE") {
            RowSecurity::NoForce
        } else {
            return Ok(Own::Owner { owned: Owned::Table(table), if_exists, to: new_owner(parser)? });
        };
        for wanted in ["ROW", "LEVEL", "SECURITY"] {
            expect(parser, wanted)?;
        }
        return Ok(Own::RowSecurity { table, if_exists, to });
    }
    alter_owner(parser)
}
