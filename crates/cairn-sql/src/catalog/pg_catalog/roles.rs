//! Roles, memberships, default privileges, settings of roles, policies.

use cairn_engine::Catalog;
use cairn_engine::catalog::{Membership, Policy, RoleDescriptor, Table};
use cairn_types::Value;

use super::derived;
use crate::catalog::column_type::ColumnType::{
    Bool, Char, Int4, Name, Oid, OidList, Text, TextList, Timestamptz,
};
use crate::catalog::system::{Columns, Rows, SystemTable, named, oid, optional, text, texts};
use crate::context::Context;
use crate::parse::bound::unbound;
use crate::privileges::{role_name, shown};

/// `pg_roles`.
pub(super) const PG_ROLES: SystemTable = SystemTable {
    name: "pg_roles",
    columns: ROLES,
    rows: |_, catalog| Ok(catalog.roles().map(|own| role(ROLES, own, Some("********"))).collect()),
};
/// `pg_authid`.
pub(super) const PG_AUTHID: SystemTable = SystemTable {
    name: "pg_authid",
    columns: AUTHID,
    rows: |_, catalog| Ok(catalog.roles().map(|own| role(AUTHID, own, own.password.as_deref())).collect()),
};
/// `pg_user`.
pub(super) const PG_USER: SystemTable = SystemTable {
    name: "pg_user",
    columns: USERS,
    rows: |_, catalog| Ok(users(catalog).map(|own| user(own, Some("********"))).collect()),
};
/// `pg_shadow`.
pub(super) const PG_SHADOW: SystemTable = SystemTable {
    name: "pg_shadow",
    columns: USERS,
    rows: |_, catalog| Ok(users(catalog).map(|own| user(own, own.password.as_deref())).collect()),
};
/// `pg_group`.
pub(super) const PG_GROUP: SystemTable = SystemTable {
    name: "pg_group",
    columns: &[("groname", Name), ("grosysid", Oid), ("grolist", OidList)],
    rows: |_, catalog| {
        let group = |own: &RoleDescriptor| {
            let members = members(catalog).filter(|(_, of)| of.role == own.id);
            let list = members.map(|(member, _)| oid(member.id)).collect();
            vec![text(&own.name), oid(own.id), Value::Array(list)]
        };
        Ok(catalog.roles().filter(|own| !own.login).map(|own| group(own)).collect())
    },
};
/// `pg_auth_members`.
pub(super) const PG_AUTH_MEMBERS: SystemTable = SystemTable {
    name: "pg_auth_members",
    columns: &[
        ("oid", Oid),
        ("roleid", Oid),
        ("member", Oid),
        ("grantor", Oid),
        ("admin_option", Bool),
        ("inherit_option", Bool),
        ("set_option", Bool),
    ],
    rows: |_, catalog| {
        let row = |(at, (member, own)): (usize, (&RoleDescriptor, &Membership))| {
            vec![
                oid(derived(member.id, at as i64)),
                oid(own.role),
                oid(member.id),
                oid(own.grantor),
                Value::Boolean(own.admin),
                Value::Boolean(own.inherit),
                Value::Boolean(own.set),
            ]
        };
        Ok(members(catalog).enumerate().map(row).collect())
    },
};
/// `pg_db_role_setting`.
pub(super) const PG_DB_ROLE_SETTING: SystemTable = SystemTable {
    name: "pg_db_role_setting",
    columns: &[("setdatabase", Oid), ("setrole", Oid), ("setconfig", TextList)],
    rows: |_, catalog| {
        let own = catalog.roles().filter(|own| !own.settings.is_empty());
        Ok(own.map(|own| vec![oid(0), oid(own.id), settings(own)]).collect())
    },
};
/// `pg_default_acl`.
pub(super) const PG_DEFAULT_ACL: SystemTable = SystemTable {
    name: "pg_default_acl",
    columns: &[
        ("oid", Oid),
        ("defaclrole", Oid),
        ("defaclnamespace", Oid),
        ("defaclobjtype", Char),
        ("defaclacl", TextList),
    ],
    rows: |_, catalog| {
        let mut rows = Rows::new();
        for role in catalog.roles() {
            for (at, own) in role.defaults.iter().enumerate() {
                let letter = match own.class.letter() {
                    's' => 'S',
                    letter => letter,
                };
                rows.push(vec![
                    oid(derived(role.id, at as i64)),
                    oid(role.id),
                    oid(own.schema.unwrap_or(0)),
                    text(letter.to_string()),
                    shown::acl(catalog, Some(&own.acl)),
                ]);
            }
        }
        Ok(rows)
    },
};
/// `pg_policy`.
pub(super) const PG_POLICY: SystemTable = SystemTable {
    name: "pg_policy",
    columns: &[
        ("oid", Oid),
        ("polname", Name),
        ("polrelid", Oid),
        ("polcmd", Char),
        ("polpermissive", Bool),
        ("polroles", OidList),
        ("polqual", Text),
        ("polwithcheck", Text),
    ],
    rows: |context, catalog| {
        let shown = |own: &Option<String>| condition(context, own.as_deref());
        let row = |(table, at, own): (&Table, usize, &Policy)| {
            vec![
                oid(derived(table.id, at as i64)),
                text(&own.name),
                oid(table.id),
                text(own.command.to_string()),
                Value::Boolean(own.permissive),
                Value::Array(own.roles.iter().map(|role| oid(*role)).collect()),
                shown(&own.using),
                shown(&own.check),
            ]
        };
        Ok(policies(catalog).map(row).collect())
    },
};
/// `pg_policies`.
pub(super) const PG_POLICIES: SystemTable = SystemTable {
    name: "pg_policies",
    columns: &[
        ("schemaname", Name),
        ("tablename", Name),
        ("policyname", Name),
        ("permissive", Text),
        ("roles", TextList),
        ("cmd", Text),
        ("qual", Text),
        ("with_check", Text),
    ],
    rows: |context, catalog| {
        let shown = |own: &Option<String>| condition(context, own.as_deref());
        let row = |(table, _, own): (&Table, usize, &Policy)| {
            vec![
                text(&table.schema),
                text(&table.name),
                text(&own.name),
                text(if own.permissive { "PERMISSIVE" } else { "RESTRICTIVE" }),
                Value::Array(own.roles.iter().map(|role| text(role_name(catalog, *role))).collect()),
                text(match own.command {
                    'r' => "SELECT",
                    'a' => "INSERT",
                    'w' => "UPDATE",
                    'd' => "DELETE",
                    _ => "ALL",
                }),
                shown(&own.using),
                shown(&own.check),
            ]
        };
        Ok(policies(catalog).map(row).collect())
    },
};

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

/// Roles with what they are members of.
pub(crate) fn members(catalog: &Catalog) -> impl Iterator<Item = (&RoleDescriptor, &Membership)> {
    catalog.roles().flat_map(|role| role.member_of.iter().map(move |own| (&**role, own)))
}

/// Policies with their tables and their places.
fn policies(catalog: &Catalog) -> impl Iterator<Item = (&Table, usize, &Policy)> {
    catalog.all_access().flat_map(move |access| {
        let table = catalog.table_by_id(access.id);
        let all = access.policies.iter().enumerate();
        all.filter_map(move |(at, policy)| Some((&**table?, at, policy)))
    })
}

/// A condition of a policy for who reads it.
fn condition(context: &Context, sql: Option<&str>) -> Value {
    sql.map_or(Value::Null, |sql| text(unbound(sql, &context.scope.settings.search_path)))
}

fn users(catalog: &Catalog) -> impl Iterator<Item = &RoleDescriptor> {
    catalog.roles().map(|own| &**own).filter(|own| own.login)
}

fn settings(role: &RoleDescriptor) -> Value {
    texts(role.settings.iter().map(|(name, value)| format!("{name}={value}")))
}

fn until(role: &RoleDescriptor) -> Value {
    role.valid_until.map_or(Value::Null, Value::TimestampTz)
}

fn role(columns: Columns, own: &RoleDescriptor, password: Option<&str>) -> Vec<Value> {
    let flag = Value::Boolean;
    let row = columns.iter().map(|(name, _)| {
        let value = match *name {
            "oid" => oid(own.id),
            "rolname" => text(&own.name),
            "rolsuper" => flag(own.superuser),
            "rolinherit" => flag(own.inherit),
            "rolcreaterole" => flag(own.create_role),
            "rolcreatedb" => flag(own.create_db),
            "rolcanlogin" => flag(own.login),
            "rolreplication" => flag(own.replication),
            "rolbypassrls" => flag(own.bypass_rls),
            "rolconnlimit" => Value::Integer(own.connection_limit),
            "rolpassword" => optional(password),
            "rolvaliduntil" => until(own),
            "rolconfig" => settings(own),
            _ => Value::Null,
        };
        (*name, value)
    });
    named(columns, row)
}

fn user(own: &RoleDescriptor, password: Option<&str>) -> Vec<Value> {
    let flag = Value::Boolean;
    named(
        USERS,
        [
            ("usename", text(&own.name)),
            ("usesysid", oid(own.id)),
            ("usecreatedb", flag(own.create_db)),
            ("usesuper", flag(own.superuser)),
            ("userepl", flag(own.replication)),
            ("usebypassrls", flag(own.bypass_rls)),
            ("passwd", optional(password)),
            ("valuntil", until(own)),
            ("useconfig", settings(own)),
        ],
    )
}
