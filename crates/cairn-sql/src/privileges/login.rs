//! What a server asks before it lets somebody in.

use cairn_engine::Catalog;
use cairn_engine::catalog::{Class, DATABASE_ID, Privileges};

/// What is known of a role that wants to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whether it has LOGIN.
    pub may_log_in: bool,
    /// Whether it has CONNECT on the database.
    pub may_connect: bool,
    /// Its verifier, where it has a password that is still valid.
    pub verifier: Option<String>,
    /// The roles that it is a member of, directly or not, and its own name.
    pub member_of: Vec<String>,
    /// CONNECTION LIMIT; `None`: as many as come. Superusers have none.
    pub connections_max: Option<usize>,
}

impl Login {
    /// That of the role of a name, at a moment in microseconds since 1970 UTC.
    pub(crate) fn of(catalog: &Catalog, name: &str, now_us: i64) -> Option<Login> {
        let role = catalog.role_named(name)?;
        let connect = catalog.privileges(role.id, (Class::Database, DATABASE_ID), Privileges::CONNECT);
        let valid = role.valid_until.is_none_or(|until| until == i64::MAX || until > now_us);
        let limit = usize::try_from(role.connection_limit).ok();
        Some(Login {
            may_log_in: role.login,
            may_connect: !connect.is_empty(),
            verifier: role.password.clone().filter(|_| valid),
            member_of: {
                let all = catalog.member_of(role.id).into_iter();
                all.filter_map(|id| catalog.role(id).map(|role| role.name.clone())).collect()
            },
            connections_max: limit.filter(|_| !role.superuser),
        })
    }
}
