//! The tables of `information_schema` on roles and privileges. Each shows what concerns the roles that the current one
//! may act as.

use cairn_engine::Catalog;
use cairn_engine::catalog::{Acl, BOOTSTRAP, Class, ObjectId, PUBLIC_ROLE, Privileges, TypeKind};
use cairn_types::Value;

use super::absent::COLLATIONS;
use super::{DATABASE, T};
use crate::Result;
use crate::catalog::system::{Rows, SystemTable, text, yes_no};
use crate::context::Context;
use crate::privileges::role_name;

/// The tables of this part.
pub(super) const TABLES: &[SystemTable] = &[
    TABLE_PRIVILEGES,
    ROLE_TABLE_GRANTS,
    COLUMN_PRIVILEGES,
    ROLE_COLUMN_GRANTS,
    USAGE_PRIVILEGES,
    ROLE_USAGE_GRANTS,
    ROUTINE_PRIVILEGES,
    ROLE_ROUTINE_GRANTS,
    UDT_PRIVILEGES,
    ROLE_UDT_GRANTS,
    ENABLED_ROLES,
    APPLICABLE_ROLES,
    ADMINISTRABLE_ROLES,
];

/// `table_privileges`.
const TABLE_PRIVILEGES: SystemTable = SystemTable {
    name: "table_privileges",
    columns: TABLE_COLUMNS,
    rows: |context, catalog| tables(context, catalog, true),
};
/// `role_table_grants`.
const ROLE_TABLE_GRANTS: SystemTable = SystemTable {
    name: "role_table_grants",
    columns: TABLE_COLUMNS,
    rows: |context, catalog| tables(context, catalog, false),
};
/// `column_privileges`.
const COLUMN_PRIVILEGES: SystemTable = SystemTable {
    name: "column_privileges",
    columns: COLUMNS,
    rows: |context, catalog| columns(context, catalog, true),
};
/// `usage_privileges`.
const USAGE_PRIVILEGES: SystemTable = SystemTable {
    name: "usage_privileges",
    columns: USAGE,
    rows: |context, catalog| usage(context, catalog, true),
};
/// `routine_privileges`.
const ROUTINE_PRIVILEGES: SystemTable = SystemTable {
    name: "routine_privileges",
    columns: ROUTINES,
    rows: |context, catalog| routines(context, catalog, true),
};
/// `role_column_grants`.
const ROLE_COLUMN_GRANTS: SystemTable = SystemTable {
    name: "role_column_grants",
    columns: COLUMNS,
    rows: |context, catalog| columns(context, catalog, false),
};
/// `role_usage_grants`.
const ROLE_USAGE_GRANTS: SystemTable = SystemTable {
    name: "role_usage_grants",
    columns: USAGE,
    rows: |context, catalog| usage(context, catalog, false),
};
/// `role_routine_grants`.
const ROLE_ROUTINE_GRANTS: SystemTable = SystemTable {
    name: "role_routine_grants",
    columns: ROUTINES,
    rows: |context, catalog| routines(context, catalog, false),
};
/// `udt_privileges`.
const UDT_PRIVILEGES: SystemTable = SystemTable {
    name: "udt_privileges",
    columns: UDTS,
    rows: |context, catalog| udts(context, catalog, true),
};
/// `role_udt_grants`.
const ROLE_UDT_GRANTS: SystemTable = SystemTable {
    name: "role_udt_grants",
    columns: UDTS,
    rows: |context, catalog| udts(context, catalog, false),
};
/// `administrable_role_authorizations`.
const ADMINISTRABLE_ROLES: SystemTable = SystemTable {
    name: "administrable_role_authorizations",
    columns: &[("grantee", T), ("role_name", T), ("is_grantable", T)],
    rows: |context, catalog| {
        let all = (APPLICABLE_ROLES.rows)(context, catalog)?;
        Ok(all.into_iter().filter(|row| row.last() == Some(&yes_no(true))).collect())
    },
};
/// `enabled_roles`.
const ENABLED_ROLES: SystemTable = SystemTable {
    name: "enabled_roles",
    columns: &[("role_name", T)],
    rows: |context, catalog| {
        let enabled = catalog.roles().filter(|role| catalog.has_privileges_of(context.role(), role.id));
        Ok(enabled.map(|role| vec![text(&role.name)]).collect())
    },
};
/// `applicable_roles`.
const APPLICABLE_ROLES: SystemTable = SystemTable {
    name: "applicable_roles",
    columns: &[("grantee", T), ("role_name", T), ("is_grantable", T)],
    rows: |context, catalog| {
        let mut rows = Rows::new();
        for member in catalog.roles().filter(|role| catalog.has_privileges_of(context.role(), role.id)) {
            for own in &member.member_of {
                rows.push(vec![text(&member.name), text(role_name(catalog, own.role)), yes_no(own.admin)]);
            }
        }
        Ok(rows)
    },
};

const TABLE_COLUMNS: crate::catalog::system::Columns = &[
    ("grantor", T),
    ("grantee", T),
    ("table_catalog", T),
    ("table_schema", T),
    ("table_name", T),
    ("privilege_type", T),
    ("is_grantable", T),
    ("with_hierarchy", T),
];
const COLUMNS: crate::catalog::system::Columns = &[
    ("grantor", T),
    ("grantee", T),
    ("table_catalog", T),
    ("table_schema", T),
    ("table_name", T),
    ("column_name", T),
    ("privilege_type", T),
    ("is_grantable", T),
];
const USAGE: crate::catalog::system::Columns = &[
    ("grantor", T),
    ("grantee", T),
    ("object_catalog", T),
    ("object_schema", T),
    ("object_name", T),
    ("object_type", T),
    ("privilege_type", T),
    ("is_grantable", T),
];
const ROUTINES: crate::catalog::system::Columns = &[
    ("grantor", T),
    ("grantee", T),
    ("specific_catalog", T),
    ("specific_schema", T),
    ("specific_name", T),
    ("routine_catalog", T),
    ("routine_schema", T),
    ("routine_name", T),
    ("privilege_type", T),
    ("is_grantable", T),
];

const UDTS: crate::catalog::system::Columns = &[
    ("grantor", T),
    ("grantee", T),
    ("udt_catalog", T),
    ("udt_schema", T),
    ("udt_name", T),
    ("privilege_type", T),
    ("is_grantable", T),
];
/// A privilege that somebody has: grantor, grantee, what, and whether it may be granted on.
struct Held {
    grantor: ObjectId,
    grantee: ObjectId,
    privilege: Privileges,
    name: &'static str,
    grantable: bool,
}

impl Held {
    fn who(&self, catalog: &Catalog) -> [Value; 2] {
        let grantee = match self.grantee {
            PUBLIC_ROLE => "PUBLIC".to_owned(),
            grantee => role_name(catalog, grantee),
        };
        [text(role_name(catalog, self.grantor)), text(grantee)]
    }
}

/// What is granted, as far as it concerns a role; an owner may always grant.
fn held(catalog: &Catalog, role: ObjectId, owner: ObjectId, acl: &Acl, public: bool) -> Vec<Held> {
    let concerns = |id: ObjectId| id != PUBLIC_ROLE && catalog.has_privileges_of(role, id);
    let shown = acl.iter().filter(|item| {
        concerns(item.grantor) || concerns(item.grantee) || public && item.grantee == PUBLIC_ROLE
    });
    shown
        .flat_map(|item| {
            item.privileges.each().map(|(privilege, _, name)| Held {
                grantor: item.grantor,
                grantee: item.grantee,
                privilege,
                name,
                grantable: item.grantee == owner || item.grantable.contains(privilege),
            })
        })
        .collect()
}

/// Schema, name and number of tables and views.
fn relations(catalog: &Catalog) -> Vec<(String, String, ObjectId)> {
    let tables = catalog.tables().filter(|own| own.materialized.is_none());
    let tables = tables.map(|own| (own.schema.clone(), own.name.clone(), own.id));
    tables.chain(catalog.views().map(|own| (own.schema.clone(), own.name.clone(), own.id))).collect()
}

fn tables(context: &Context, catalog: &Catalog, public: bool) -> Result<Rows> {
    let mut rows = Rows::new();
    for (schema, name, id) in relations(catalog) {
        let acl = catalog.acl((Class::Table, id));
        for own in held(catalog, context.role(), catalog.owner(id), &acl, public) {
            // The standard knows no MAINTAIN.
            if own.privilege == Privileges::MAINTAIN {
                continue;
            }
            let mut row = own.who(catalog).to_vec();
            row.extend([text(DATABASE), text(&schema), text(&name), text(own.name), yes_no(own.grantable)]);
            row.push(yes_no(own.privilege == Privileges::SELECT));
            rows.push(row);
        }
    }
    Ok(rows)
}

fn columns(context: &Context, catalog: &Catalog, public: bool) -> Result<Rows> {
    let mut rows = Rows::new();
    for (schema, name, id) in relations(catalog) {
        let owner = catalog.owner(id);
        let whole = catalog.acl((Class::Table, id));
        let of_table = catalog
            .table_by_id(id)
            .map(|own| own.live_columns().map(|column| (column.id, column.name.clone())).collect::<Vec<_>>());
        let of_view = || {
            let view = catalog.view_by_id(id);
            let columns = view.iter().flat_map(|view| &view.columns).zip(1..);
            columns.map(|(column, number)| (number, column.name.clone())).collect()
        };
        for (number, column) in of_table.unwrap_or_else(of_view) {
            let access = catalog.access(id);
            let own = access.and_then(|access| access.columns.iter().find(|own| own.0 == number));
            let all = whole.iter().chain(own.iter().flat_map(|own| &own.1)).copied().collect();
            for own in held(catalog, context.role(), owner, &all, public) {
                if !Class::Column.all().contains(own.privilege) {
                    continue;
                }
                let mut row = own.who(catalog).to_vec();
                row.extend([text(DATABASE), text(&schema), text(&name), text(&column), text(own.name)]);
                row.push(yes_no(own.grantable));
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
    }
    Ok(rows)
}

fn usage(context: &Context, catalog: &Catalog, public: bool) -> Result<Rows> {
    let sequences =
        catalog.sequences().map(|own| (&own.schema, &own.name, own.id, "SEQUENCE", Class::Sequence));
    let domains = catalog.types().filter(|own| own.is_domain());
    let domains = domains.map(|own| (&own.schema, &own.name, own.id, "DOMAIN", Class::Type));
    let mut rows = Rows::new();
    for (schema, name, id, kind, class) in sequences.chain(domains) {
        let acl = catalog.acl((class, id));
        for own in held(catalog, context.role(), catalog.owner(id), &acl, public) {
            if own.privilege != Privileges::USAGE {
                continue;
            }
            let mut row = own.who(catalog).to_vec();
            row.extend([text(DATABASE), text(schema), text(name), text(kind), text(own.name)]);
            row.push(yes_no(own.grantable));
            rows.push(row);
        }
    }
    // The collations are everybody's.
    for name in if public { &COLLATIONS[..] } else { &[] } {
        let who = [text(role_name(catalog, BOOTSTRAP)), text("PUBLIC")];
        let what = [
            text(DATABASE),
            text("pg_catalog"),
            text(*name),
            text("COLLATION"),
            text("USAGE"),
            yes_no(false),
        ];
        rows.push(who.into_iter().chain(what).collect());
    }
    Ok(rows)
}

fn udts(context: &Context, catalog: &Catalog, public: bool) -> Result<Rows> {
    let mut rows = Rows::new();
    for ty in catalog.types().filter(|own| matches!(own.kind, TypeKind::Composite(_))) {
        let acl = catalog.acl((Class::Type, ty.id));
        for own in held(catalog, context.role(), catalog.owner(ty.id), &acl, public) {
            let mut row = own.who(catalog).to_vec();
            row.extend([text(DATABASE), text(&ty.schema), text(&ty.name)]);
            row.extend([text("TYPE USAGE"), yes_no(own.grantable)]);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn routines(context: &Context, catalog: &Catalog, public: bool) -> Result<Rows> {
    let mut rows = Rows::new();
    for routine in catalog.routines() {
        let acl = catalog.acl((Class::Routine, routine.id));
        for own in held(catalog, context.role(), catalog.owner(routine.id), &acl, public) {
            let specific = format!("{}_{}", routine.name, routine.id);
            let mut row = own.who(catalog).to_vec();
            row.extend([text(DATABASE), text(&routine.schema), text(specific)]);
            row.extend([text(DATABASE), text(&routine.schema), text(&routine.name)]);
            row.extend([text(own.name), yes_no(own.grantable)]);
            rows.push(row);
        }
    }
    Ok(rows)
}
