//! ALTER DEFAULT PRIVILEGES.

use cairn_engine::catalog::{Class, DefaultPrivileges, RoleDescriptor, default_acl};

use super::grants::{grantees, put, whole};
use super::roles;
use super::statement::{AlterDefaults, Kinds, RoleName};
use crate::context::Context;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result};

/// Runs one.
pub(super) fn run(context: &Context, alter: &AlterDefaults) -> Result<StatementResult> {
    let class = match alter.on {
        Kinds::Tables => Class::Table,
        Kinds::Sequences => Class::Sequence,
        Kinds::Routines(_) => Class::Routine,
        Kinds::Types => Class::Type,
        Kinds::Schemas if !alter.schemas.is_empty() => {
            return Err(Error::new(
                "0LP01",
                "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS",
            ));
        }
        Kinds::Schemas => Class::Schema,
    };
    let what = match class {
        Class::Table => "table",
        Class::Sequence => "sequence",
        Class::Routine => "function",
        Class::Type => "type",
        _ => "schema",
    };
    if alter.privileges.iter().any(|own| !own.1.is_empty()) {
        return Err(Error::new("0LP01", "default privileges cannot be set for columns"));
    }
    let privileges = whole(&alter.privileges, class, what)?;
    let grantees = grantees(context, &alter.roles, alter.option && !alter.revokes)?;
    let of = if alter.of.is_empty() { vec![RoleName::Current] } else { alter.of.clone() };
    let catalog = context.txn().catalog();
    let mut schemas = Vec::new();
    for schema in &alter.schemas {
        let name = fold(schema);
        let found = catalog.schema(&name);
        schemas.push(Some(
            found.ok_or_else(|| Error::new("3F000", format!("schema \"{name}\" does not exist")))?.id,
        ));
    }
    if schemas.is_empty() {
        schemas.push(None);
    }
    for name in of {
        let role = roles::find(context, &name)?;
        if !catalog.has_privileges_of(context.role(), role.id) {
            return Err(Error::new("42501", "permission denied to change default privileges"));
        }
        let mut role = context.txn().catalog().role(role.id).map_or(role, |own| RoleDescriptor::clone(own));
        for schema in &schemas {
            let at = role.defaults.iter().position(|own| own.class == class && own.schema == *schema);
            let mut own = match at {
                Some(at) => role.defaults.remove(at),
                None => {
                    let acl = if schema.is_none() { default_acl(class, role.id) } else { Vec::new() };
                    DefaultPrivileges { schema: *schema, class, acl }
                }
            };
            for grantee in &grantees {
                let how = (alter.revokes, alter.option, alter.cascade);
                put(&mut own.acl, (*grantee, role.id), privileges, how)?;
            }
            let nothing = match own.schema {
                None => same(&own.acl, &default_acl(class, role.id)),
                Some(_) => own.acl.is_empty(),
            };
            if !nothing {
                role.defaults.push(own);
            }
        }
        role.defaults.sort_by_key(|own| (own.class, own.schema));
        context.txn().alter_role(role)?;
    }
    Ok(StatementResult::command("ALTER DEFAULT PRIVILEGES"))
}

fn same(a: &[cairn_engine::catalog::AclItem], b: &[cairn_engine::catalog::AclItem]) -> bool {
    a.len() == b.len() && a.iter().all(|item| b.contains(item))
}
