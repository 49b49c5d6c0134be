//! Reading the statements on roles, privileges, owners and policies, of which the parser knows a part only.
//!
//! They are carried through parsing as other DDL of our own is (`ddl::extra`).

use cairn_engine::catalog::{ObjectId, RoutineKind};
use sqlparser::ast::{AlterTableOperation, DataType as SqlType, Expr, Ident, ObjectName, Owner};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::context::Context;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result};

use super::{defaults, grants, objects, policies, roles};

type Parsed<T> = std::result::Result<T, ParserError>;

/// A role as a statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RoleName {
    Named(String),
    Current,
    Session,
    Public,
}

/// An option of CREATE and ALTER ROLE.
#[derive(Debug, Clone)]
pub(crate) enum RoleOption {
    Superuser(bool),
    CreateDb(bool),
    CreateRole(bool),
    Inherit(bool),
    Login(bool),
    Replication(bool),
    BypassRls(bool),
    ConnectionLimit(i64),
    Password(Option<String>),
    ValidUntil(String),
    InRole(Vec<RoleName>),
    Members(Vec<RoleName>),
    Admins(Vec<RoleName>),
    /// Says nothing.
    SysId,
}

/// ALTER ROLE … SET and RESET.
#[derive(Debug)]
pub(crate) enum Setting {
    Set(String, Vec<String>),
    FromCurrent(String),
    Reset(String),
    ResetAll,
}

/// Privileges as GRANT lists them, each with its columns; `ALL` is one of them.
pub(crate) type Listed = Vec<(String, Vec<Ident>)>;
/// A function's name and the types of its inputs, if they are given.
pub(crate) type RoutineName = (ObjectName, Option<Vec<SqlType>>);

/// What privileges are of.
#[derive(Debug)]
pub(crate) enum Objects {
    Tables(Vec<ObjectName>),
    Sequences(Vec<ObjectName>),
    Routines(Option<RoutineKind>, Vec<RoutineName>),
    Schemas(Vec<Ident>),
    Databases(Vec<Ident>),
    Types { domains: bool, names: Vec<ObjectName> },
    AllIn(Kinds, Vec<Ident>),
}

/// The kinds of ALL … IN SCHEMA and of default privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kinds {
    Tables,
    Sequences,
    Routines(Option<RoutineKind>),
    Types,
    Schemas,
}

/// GRANT and REVOKE of privileges.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) revokes: bool,
    /// GRANT OPTION FOR, or WITH GRANT OPTION.
    pub(crate) option: bool,
    pub(crate) privileges: Listed,
    pub(crate) on: Objects,
    pub(crate) roles: Vec<RoleName>,
    pub(crate) by: Option<RoleName>,
    pub(crate) cascade: bool,
}

/// GRANT and REVOKE of membership.
#[derive(Debug)]
pub(crate) struct GrantRole {
    pub(crate) revokes: bool,
    pub(crate) groups: Vec<RoleName>,
    pub(crate) members: Vec<RoleName>,
    /// ADMIN, INHERIT and SET: what they become; of REVOKE, which of them alone goes.
    pub(crate) admin: Option<bool>,
    pub(crate) inherit: Option<bool>,
    pub(crate) set: Option<bool>,
    pub(crate) by: Option<RoleName>,
    pub(crate) cascade: bool,
}

/// ALTER DEFAULT PRIVILEGES.
#[derive(Debug)]
pub(crate) struct AlterDefaults {
    pub(crate) of: Vec<RoleName>,
    pub(crate) schemas: Vec<Ident>,
    pub(crate) revokes: bool,
    pub(crate) option: bool,
    pub(crate) privileges: Listed,
    pub(crate) on: Kinds,
    pub(crate) roles: Vec<RoleName>,
    pub(crate) cascade: bool,
}

/// What is given another owner.
#[derive(Debug)]
pub(crate) enum Owned {
    Table(ObjectName),
    View(ObjectName),
    Materialized(ObjectName),
    Sequence(ObjectName),
    Index(ObjectName),
    Routine(Option<RoutineKind>, RoutineName),
    Type(ObjectName),
    Domain(ObjectName),
    Schema(Ident),
    Database(Ident),
}

/// CREATE POLICY.
#[derive(Debug)]
pub(crate) struct CreatePolicy {
    pub(crate) name: Ident,
    pub(crate) table: ObjectName,
    pub(crate) permissive: bool,
    pub(crate) command: char,
    pub(crate) roles: Vec<RoleName>,
    pub(crate) using: Option<Expr>,
    pub(crate) check: Option<Expr>,
}

/// ALTER POLICY.
#[derive(Debug)]
pub(crate) struct AlterPolicy {
    pub(crate) name: Ident,
    pub(crate) table: ObjectName,
    pub(crate) rename: Option<Ident>,
    pub(crate) roles: Option<Vec<RoleName>>,
    pub(crate) using: Option<Expr>,
    pub(crate) check: Option<Expr>,
}

/// What ALTER TABLE does to row-level security.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowSecurity {
    Enable,
    Disable,
    Force,
    NoForce,
}

/// One of these statements.
#[derive(Debug)]
pub(crate) enum Own {
    CreateRole {
        name: Ident,
        options: Vec<RoleOption>,
    },
    AlterRole {
        role: RoleName,
        options: Vec<RoleOption>,
    },
    RenameRole {
        role: RoleName,
        to: Ident,
    },
    /// Of all roles, where none is named.
    SetOfRole {
        role: Option<RoleName>,
        in_database: bool,
        setting: Setting,
    },
    DropRoles {
        names: Vec<RoleName>,
        if_exists: bool,
    },
    Comment {
        role: RoleName,
        text: Option<String>,
    },
    Grant(Grant),
    GrantRole(GrantRole),
    Defaults(AlterDefaults),
    Owner {
        owned: Owned,
        if_exists: bool,
        to: RoleName,
    },
    Reassign {
        from: Vec<RoleName>,
        to: RoleName,
    },
    DropOwned {
        of: Vec<RoleName>,
        cascade: bool,
    },
    CreateSchema {
        name: Option<Ident>,
        role: RoleName,
        if_not_exists: bool,
    },
    CreatePolicy(CreatePolicy),
    AlterPolicy(AlterPolicy),
    DropPolicy {
        name: Ident,
        table: ObjectName,
        if_exists: bool,
    },
    RowSecurity {
        table: ObjectName,
        if_exists: bool,
        to: RowSecurity,
    },
}

fn words(sql: &str) -> Vec<String> {
    sql.split_whitespace()
        .take(4)
        .map(|word| word.trim_end_matches([';', '(']).to_ascii_uppercase())
        .collect()
}

/// Whether a text is one of these statements.
pub(crate) fn is_own(sql: &str) -> bool {
    let words = words(sql);
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    match (word(0), word(1)) {
        ("GRANT" | "REVOKE" | "REASSIGN", _) | ("DROP", "OWNED") => true,
        ("CREATE" | "ALTER" | "DROP", "ROLE" | "USER" | "GROUP" | "POLICY") => true,
        ("COMMENT", "ON") => word(2) == "ROLE",
        ("ALTER", "DEFAULT") => word(2) == "PRIVILEGES",
        ("CREATE", "SCHEMA") => ends_with(sql, &["AUTHORIZATION", ""]),
        ("ALTER", "TABLE") if ends_with(sql, &["ROW", "LEVEL", "SECURITY"]) => {
            // One of several actions is the parser's.
            !sql.contains(',')
        }
        ("ALTER", "TABLE") if sql.contains(',') => false,
        ("ALTER", _) => ends_with(sql, &["OWNER", "TO", ""]),
        _ => false,
    }
}

/// Whether these are the last words; an empty one is any.
fn ends_with(sql: &str, wanted: &[&str]) -> bool {
    let upper = sql.to_ascii_uppercase();
    if !wanted.iter().all(|word| upper.contains(word)) {
        return false;
    }
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else { return false };
    let mut tokens: Vec<Token> =
        tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_) | Token::EOF)).collect();
    while tokens.last() == Some(&Token::SemiColon) {
        tokens.pop();
    }
    let Some(start) = tokens.len().checked_sub(wanted.len()) else { return false };
    tokens[start..].iter().zip(wanted).all(|(token, wanted)| match token {
        Token::Word(word) => {
            wanted.is_empty() || (word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
        }
        _ => false,
    })
}

fn word(parser: &mut Parser<'_>, wanted: &str) -> bool {
    match &parser.peek_token().token {
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted) => {
            parser.next_token();
            true
        }
        _ => false,
    }
}

fn both(parser: &mut Parser<'_>, first: &str, second: &str) -> bool {
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

fn expect(parser: &mut Parser<'_>, wanted: &str) -> Parsed<()> {
    match word(parser, wanted) {
        true => Ok(()),
        false => parser.expected(wanted, parser.peek_token()),
    }
}

fn refused<T>(what: &str) -> Parsed<T> {
    Err(ParserError::ParserError(format!("{what} is not supported")))
}

fn list<T>(parser: &mut Parser<'_>, one: impl Fn(&mut Parser<'_>) -> Parsed<T>) -> Parsed<Vec<T>> {
    let mut all = vec![one(parser)?];
    while parser.consume_token(&Token::Comma) {
        all.push(one(parser)?);
    }
    Ok(all)
}

fn ident(parser: &mut Parser<'_>) -> Parsed<Ident> {
    parser.parse_identifier()
}

fn name(parser: &mut Parser<'_>) -> Parsed<ObjectName> {
    parser.parse_object_name(false)
}

fn role(parser: &mut Parser<'_>) -> Parsed<RoleName> {
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
fn grantee(parser: &mut Parser<'_>) -> Parsed<RoleName> {
    let _ = matches!(parser.peek_nth_token(1).token, Token::Word(_)) && word(parser, "GROUP");
    role(parser)
}

fn cascade(parser: &mut Parser<'_>) -> bool {
    let cascade = word(parser, "CASCADE");
    let _ = !cascade && word(parser, "RESTRICT");
    cascade
}

/// Reads one, as a whole.
pub(crate) fn read(sql: &str) -> Parsed<Own> {
    let dialect = PostgreSqlDialect {};
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
        "CREATE" => create(parser)?,
        "DROP" => drop_one(parser)?,
        _ => alter(parser)?,
    };
    crate::ddl::ends(parser)?;
    Ok(own)
}

fn create(parser: &mut Parser<'_>) -> Parsed<Own> {
    if word(parser, "POLICY") {
        return create_policy(parser).map(Own::CreatePolicy);
    }
    if word(parser, "SCHEMA") {
        let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let name = match word(parser, "AUTHORIZATION") {
            true => None,
            false => {
                let name = parser.parse_identifier()?;
                expect(parser, "AUTHORIZATION")?;
                Some(name)
            }
        };
        return Ok(Own::CreateSchema { name, role: role(parser)?, if_not_exists });
    }
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

fn new_owner(parser: &mut Parser<'_>) -> Parsed<RoleName> {
    expect(parser, "OWNER")?;
    expect(parser, "TO")?;
    role(parser)
}

fn alter_owner(parser: &mut Parser<'_>) -> Parsed<Own> {
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

fn routine(parser: &mut Parser<'_>) -> Parsed<RoutineName> {
    crate::routine::syntax::target(parser)
}

fn alter_role(parser: &mut Parser<'_>) -> Parsed<Own> {
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

fn alter_group(parser: &mut Parser<'_>) -> Parsed<Own> {
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

fn grant(parser: &mut Parser<'_>, revokes: bool) -> Parsed<Own> {
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
    let (privileges, names) = {
        let start = parser.index();
        let privileges = listed(parser);
        match privileges {
            Ok(privileges) if word(parser, "ON") => (Some(privileges), Vec::new()),
            _ => {
                while parser.index() > start {
                    parser.prev_token();
                }
                (None, list(parser, role)?)
            }
        }
    };
    let Some(privileges) = privileges else { return grant_role(parser, revokes, only, names) };
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

fn alter_defaults(parser: &mut Parser<'_>) -> Parsed<AlterDefaults> {
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

fn create_policy(parser: &mut Parser<'_>) -> Parsed<CreatePolicy> {
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

fn alter_policy(parser: &mut Parser<'_>) -> Parsed<AlterPolicy> {
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

/// Runs one.
pub(crate) fn run(context: &Context, own: &Own) -> Result<StatementResult> {
    match own {
        Own::CreateRole { name, options } => roles::create(context, name, options),
        Own::AlterRole { role, options } => roles::alter(context, role, options),
        Own::RenameRole { role, to } => roles::rename(context, role, to),
        Own::SetOfRole { in_database: true, .. } => Err(Error::unsupported("ALTER ROLE ... IN DATABASE")
            .with_hint("There is one database: leave IN DATABASE out.")),
        Own::SetOfRole { role: None, .. } => Err(Error::unsupported("ALTER ROLE ALL")),
        Own::SetOfRole { role: Some(role), setting, .. } => roles::set(context, role, setting),
        Own::DropRoles { names, if_exists } => roles::drop_roles(context, names, *if_exists),
        Own::Comment { role, text } => roles::comment(context, role, text.clone()),
        Own::Grant(grant) => grants::run(context, grant),
        Own::GrantRole(grant) => roles::grant(context, grant),
        Own::Defaults(alter) => defaults::run(context, alter),
        Own::Owner { owned, if_exists, to } => objects::owner(context, owned, *if_exists, to),
        Own::Reassign { from, to } => objects::reassign(context, from, to),
        Own::DropOwned { of, cascade } => objects::drop_owned(context, of, *cascade),
        Own::CreateSchema { name, role, if_not_exists } => {
            objects::create_schema(context, name.as_ref(), role, *if_not_exists)
        }
        Own::CreatePolicy(create) => policies::create(context, create),
        Own::AlterPolicy(alter) => policies::alter(context, alter),
        Own::DropPolicy { name, table, if_exists } => policies::drop_policy(context, name, table, *if_exists),
        Own::RowSecurity { table, if_exists, to } => {
            if *if_exists && objects::is_missing(context, table)? {
                let message = format!("relation \"{}\" does not exist, skipping", shown(table));
                crate::ddl::notice(context, "00000", message);
                return Ok(StatementResult::command("ALTER TABLE"));
            }
            policies::switch(context, table, *to)
        }
    }
}

/// OWNER TO as one of several actions of ALTER TABLE.
pub(crate) fn give(context: &Context, id: ObjectId, schema: &str, owner: &Owner) -> Result<()> {
    let name = match owner {
        Owner::Ident(ident) => RoleName::Named(fold(ident)),
        Owner::CurrentRole | Owner::CurrentUser => RoleName::Current,
        Owner::SessionUser => RoleName::Session,
    };
    objects::give(context, id, &name, Some(schema))
}

/// What ALTER TABLE does to row-level security, as one of several actions.
pub(crate) fn secure(context: &Context, id: ObjectId, operation: &AlterTableOperation) -> Result<()> {
    let to = match operation {
        AlterTableOperation::EnableRowLevelSecurity => RowSecurity::Enable,
        AlterTableOperation::DisableRowLevelSecurity => RowSecurity::Disable,
        AlterTableOperation::ForceRowLevelSecurity => RowSecurity::Force,
        _ => RowSecurity::NoForce,
    };
    policies::secure(context, id, to)
}

/// A name without its quotes.
pub(super) fn shown(name: &ObjectName) -> String {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
    parts.join(".")
}
