//! Roles: there is one user.

use cairn_types::Value;

use super::USER_ID;
use crate::catalog::column_type::ColumnType::{Bool, Int4, Name, Oid, OidList, Text, TextList, Timestamptz};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, text};
use crate::functions::system::USER;

/// `pg_roles`.
pub(super) const PG_ROLES: SystemTable =
    SystemTable { name: "pg_roles", columns: ROLES, rows: |_, _| Ok(role(ROLES)) };
/// `pg_authid`.
pub(super) const PG_AUTHID: SystemTable =
    SystemTable { name: "pg_authid", columns: AUTHID, rows: |_, _| Ok(role(AUTHID)) };
/// `pg_user`.
pub(super) const PG_USER: SystemTable =
    SystemTable { name: "pg_user", columns: USERS, rows: |_, _| Ok(user()) };
/// `pg_shadow`.
pub(super) const PG_SHADOW: SystemTable =
    SystemTable { name: "pg_shadow", columns: USERS, rows: |_, _| Ok(user()) };
/// `pg_group`.
pub(super) const PG_GROUP: SystemTable =
    SystemTable::empty("pg_group", &[("groname", Name), ("grosysid", Oid), ("grolist", OidList)]);

const ROLES: Columns = &[
    ("rolname", Name),
    ("rolsuper", Bool),
    ("rolinherit", Bool),
    ("rolcreaterole", Bool),
    ("rolcreatedb", Bool),
    ("rolcanlogin", Bool),
    ("rolreplication", Bool),
    ("rolconnlimit", Int4),
    ("rolpassword", Text),
    ("rolvaliduntil", Timestamptz),
    ("rolbypassrls", Bool),
    ("rolconfig", TextList),
    ("oid", Oid),
];
const AUTHID: Columns = &[
    ("oid", Oid),
    ("rolname", Name),
    ("rolsuper", Bool),
    ("rolinherit", Bool),
    ("rolcreaterole", Bool),
    ("rolcreatedb", Bool),
    ("rolcanlogin", Bool),
    ("rolreplication", Bool),
    ("rolbypassrls", Bool),
    ("rolconnlimit", Int4),
    ("rolpassword", Text),
    ("rolvaliduntil", Timestamptz),
];
const USERS: Columns = &[
    ("usename", Name),
    ("usesysid", Oid),
    ("usecreatedb", Bool),
    ("usesuper", Bool),
    ("userepl", Bool),
    ("usebypassrls", Bool),
    ("passwd", Text),
    ("valuntil", Timestamptz),
    ("useconfig", TextList),
];

fn role(columns: Columns) -> Rows {
    let row = columns.iter().map(|(name, ty)| {
        let value = match *name {
            "oid" => oid(USER_ID),
            "rolname" => text(USER),
            "rolconnlimit" => Value::Integer(-1),
            // That of streams of changes, which there are none of.
            "rolreplication" => Value::Boolean(false),
            _ if *ty == Bool => Value::Boolean(true),
            _ => Value::Null,
        };
        (*name, value)
    });
    vec![named(columns, row)]
}

fn user() -> Rows {
    let flag = Value::Boolean;
    vec![named(
        USERS,
        [
            ("usename", text(USER)),
            ("usesysid", oid(USER_ID)),
            ("usecreatedb", flag(true)),
            ("usesuper", flag(true)),
            ("userepl", flag(false)),
            ("usebypassrls", flag(true)),
        ],
    )]
}
