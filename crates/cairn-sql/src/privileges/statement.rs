//! The statements on roles, privileges, owners and policies: which texts are some, what they say, and who runs them.
//!
//! They are carried through parsing as other DDL of our own is (`ddl::extra`).

use cairn_engine::catalog::{ObjectId, RoutineKind};
use sqlparser::ast::{AlterTableOperation, DataType as SqlType, Expr, Ident, ObjectName, Owner};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::context::Context;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result};

use super::{defaults, grants, objects, policies, roles};

pub(crate) use super::syntax::read;

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
        role: Option<RoleName>,
        if_not_exists: bool,
        /// Statements that make what is in it.
        elements: Vec<String>,
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
        ("CREATE", "SCHEMA") => {
            let elements = super::syntax::elements::of_schema(sql);
            elements.is_some_and(|(head, all)| !all.is_empty() || ends_with(head, &["AUTHORIZATION", ""]))
        }
        ("ALTER", "TABLE") if ends_with(sql, &["ROW", "LEVEL", "SECURITY"]) => {
            // One of several actions is the parser's.
            !sql.contains(',')
        }
        ("ALTER", "TABLE") if sql.contains(',') => false,
        ("ALTER", _) => {
            // A column may be called so.
            let renames = |first: &str| ends_with(sql, &[first, "OWNER", "TO", ""]);
            ends_with(sql, &["OWNER", "TO", ""]) && !renames("COLUMN") && !renames("RENAME")
        }
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
        Own::CreateSchema { name, role, if_not_exists, elements } => {
            objects::create_schema(context, (name.as_ref(), role.as_ref()), *if_not_exists, elements)
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
