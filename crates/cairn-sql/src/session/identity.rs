//! As whom a session acts: who logged in, SET SESSION AUTHORIZATION, SET ROLE.
//!
//! ```text
//!   authenticated ── SET SESSION AUTHORIZATION (superusers) ──▶ session ── SET ROLE (members) ──▶ current
//! ```
//! It is part of the settings, so that a transaction takes it back as it takes back SET.

use std::sync::Arc;

use cairn_engine::Catalog;
use cairn_engine::catalog::{BOOTSTRAP, BOOTSTRAP_NAME, ObjectId};
use sqlparser::ast::{Reset, ResetStatement, Set, SetSessionAuthorizationParamKind, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};

use super::State;
use super::settings::Settings;
use super::variables::{change, fold, value_text};
use crate::engine::Shared;
use crate::results::StatementResult;
use crate::{Error, Result};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Who logged in.
    pub(crate) authenticated: ObjectId,
    /// The session's user.
    pub(crate) session: ObjectId,
    /// Whose privileges count.
    pub(crate) current: ObjectId,
    /// What SHOW role gives.
    role: String,
    /// What SHOW session_authorization gives.
    name: String,
    /// What SHOW is_superuser gives.
    superuser: bool,
    /// As it was when the session began; `None`: as in a session that nobody logged in to.
    login: Option<Arc<Identity>>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            authenticated: BOOTSTRAP,
            session: BOOTSTRAP,
            current: BOOTSTRAP,
            role: NONE.to_owned(),
            name: BOOTSTRAP_NAME.to_owned(),
            superuser: true,
            login: None,
        }
    }
}

/// What the parameter `role` is where SET ROLE was not said.
const NONE: &str = "none";

impl Identity {
    /// The value of one of the parameters that tell of it.
    pub(super) fn show(&self, name: &str) -> Option<String> {
        match name {
            "role" => Some(self.role.clone()),
            "session_authorization" => Some(self.name.clone()),
            "is_superuser" => Some(if self.superuser { "on" } else { "off" }.to_owned()),
            _ => None,
        }
    }

    /// That of a function that runs as its owner.
    pub(crate) fn definer(&self, owner: ObjectId) -> Self {
        Self { current: owner, ..self.clone() }
    }

    fn with_role(&self, catalog: &Catalog, name: &str) -> Result<Self> {
        if name.eq_ignore_ascii_case(NONE) {
            let superuser = catalog.is_superuser(self.session);
            return Ok(Self { current: self.session, role: NONE.to_owned(), superuser, ..self.clone() });
        }
        let role = catalog.role_named(name).ok_or_else(|| missing(name))?;
        if !catalog.may_become(self.session, role.id) {
            return Err(Error::new("42501", format!("permission denied to set role \"{name}\"")));
        }
        let superuser = catalog.is_superuser(role.id);
        Ok(Self { current: role.id, role: name.to_owned(), superuser, ..self.clone() })
    }

    /// The session of another user, or, without a name, of who logged in.
    fn with_session(&self, catalog: &Catalog, name: Option<&str>) -> Result<Self> {
        let role = match name {
            None => catalog.role(self.authenticated),
            Some(name) => catalog.role_named(name),
        };
        let role = role.ok_or_else(|| missing(name.unwrap_or_default()))?;
        if role.id != self.authenticated && !catalog.is_superuser(self.authenticated) {
            let name = &role.name;
            return Err(Error::new(
                "42501",
                format!("permission denied to set session authorization \"{name}\""),
            ));
        }
        Ok(Self {
            session: role.id,
            current: role.id,
            role: NONE.to_owned(),
            name: role.name.clone(),
            superuser: catalog.is_superuser(role.id),
            ..self.clone()
        })
    }

    /// As it was when the session began.
    pub(super) fn at_login(&self) -> Self {
        let login = self.login.clone();
        Self { login: login.clone(), ..login.as_deref().cloned().unwrap_or_default() }
    }

    /// A session of that role.
    pub(super) fn of(catalog: &Catalog, name: &str) -> Result<Self> {
        let role = catalog.role_named(name).ok_or_else(|| missing(name))?;
        let own = Self { authenticated: role.id, ..Self::default() }.with_session(catalog, None)?;
        Ok(Self { login: Some(Arc::new(own.clone())), ..own })
    }
}

fn missing(name: &str) -> Error {
    Error::new("22023", format!("role \"{name}\" does not exist"))
}

/// Reads RESET SESSION AUTHORIZATION, which the parser does not know.
pub(crate) fn parse(sql: &str) -> Option<std::result::Result<Statement, ParserError>> {
    let words: Vec<String> =
        sql.trim_end_matches(';').split_whitespace().take(4).map(str::to_ascii_uppercase).collect();
    (words == ["RESET", "SESSION", "AUTHORIZATION"]).then(|| {
        let dialect = PostgreSqlDialect {};
        Parser::new(&dialect).try_with_sql("SET SESSION AUTHORIZATION DEFAULT")?.parse_statement()
    })
}

/// What a statement asks for.
enum Asked {
    Role(String),
    Session(Option<String>),
}

/// Runs a statement that changes as whom the session acts; `None` for any other.
pub(super) fn run(
    shared: &Shared,
    state: &mut State,
    statement: &Statement,
) -> Option<Result<StatementResult>> {
    let (asked, local, tag) = match statement {
        Statement::Set(set) => {
            let (asked, local) = asked_by(set)?;
            (asked, local, "SET")
        }
        Statement::Reset(ResetStatement { reset: Reset::ConfigurationParameter(name) }) => {
            let asked = parameter(&name.to_string().to_ascii_lowercase(), None)?;
            (Ok(asked), false, "RESET")
        }
        _ => return None,
    };
    let done = asked.and_then(|asked| become_other(shared, state, local, &asked));
    Some(done.map(|()| StatementResult::command(tag)))
}

/// The same for SET of a parameter by its name; whether it is one of these.
pub(super) fn assign(
    shared: &Shared,
    state: &mut State,
    (local, name, value): (bool, &str, &str),
) -> Option<Result<()>> {
    let asked = parameter(name, Some(value))?;
    Some(become_other(shared, state, local, &asked))
}

fn parameter(name: &str, value: Option<&str>) -> Option<Asked> {
    match name {
        "role" => Some(Asked::Role(value.unwrap_or(NONE).to_owned())),
        "session_authorization" => Some(Asked::Session(value.map(str::to_owned))),
        _ => None,
    }
}

fn asked_by(set: &Set) -> Option<(Result<Asked>, bool)> {
    let is_local = |scope: Option<&sqlparser::ast::ContextModifier>| {
        matches!(scope, Some(sqlparser::ast::ContextModifier::Local))
    };
    match set {
        Set::SetRole { context_modifier, role_name } => {
            let name = role_name.as_ref().map_or_else(|| NONE.to_owned(), fold);
            Some((Ok(Asked::Role(name)), is_local(context_modifier.as_ref())))
        }
        Set::SetSessionAuthorization(param) => {
            let name = match &param.kind {
                SetSessionAuthorizationParamKind::Default => None,
                SetSessionAuthorizationParamKind::User(name) => Some(fold(name)),
            };
            Some((Ok(Asked::Session(name)), is_local(Some(&param.scope))))
        }
        Set::SingleAssignment { scope, variable, values, .. } => {
            let name = variable.to_string().to_ascii_lowercase();
            parameter(&name, None)?;
            let [value] = values.as_slice() else {
                let message = format!("SET {name} takes only one argument");
                return Some((Err(Error::new("22023", message)), false));
            };
            let asked = value_text(value).map(|value| {
                let default = value.eq_ignore_ascii_case("default");
                parameter(&name, (!default).then_some(value.as_str())).unwrap_or(Asked::Session(None))
            });
            Some((asked, is_local(scope.as_ref())))
        }
        _ => None,
    }
}

fn become_other(shared: &Shared, state: &mut State, local: bool, asked: &Asked) -> Result<()> {
    let catalog = match &state.block {
        Some(block) if block.failed => {
            return Err(Error::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Some(block) => block.txn.catalog(),
        None => shared.database.catalog(),
    };
    change(state, local, |settings: &mut Settings| {
        let old = &settings.identity;
        settings.identity = Arc::new(match asked {
            Asked::Role(name) => old.with_role(&catalog, name)?,
            Asked::Session(name) => old.with_session(&catalog, name.as_deref())?,
        });
        Ok(())
    })
    .map(drop)
}
