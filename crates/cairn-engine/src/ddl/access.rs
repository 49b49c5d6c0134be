//! Roles, and what objects have besides their definitions. Who may do what is the caller's to say; here the catalog is
//! kept whole: no role goes that anything names.

use super::name::rename_in_sql;
use crate::catalog::{
    AccessDescriptor, Acl, BOOTSTRAP, Catalog, Class, ColumnId, ObjectId, PREDEFINED, RoleDescriptor,
};
use crate::error::{Error, Result};
use crate::transaction::{Transaction, Writer};

impl Transaction {
    /// CREATE ROLE. The number of `role` is not looked at.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`]: 42710 where there is one of that name.
    pub fn create_role(&self, role: RoleDescriptor) -> Result<ObjectId> {
        self.write("CREATE ROLE", |writer| {
            name_is_free(&writer.catalog, &role.name)?;
            let id = writer.new_id()?;
            writer.put_role(RoleDescriptor { id, ..role })?;
            Ok(id)
        })
    }

    /// The role of that number becomes what is given.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`]: 42704 where there is none, 42710 where another one has the name, 0A000 where the
    /// role that databases begin with would not be a superuser any more.
    pub fn alter_role(&self, role: RoleDescriptor) -> Result<()> {
        self.write("ALTER ROLE", |writer| {
            let old = writer.catalog.role(role.id).cloned();
            let old = old.ok_or_else(|| missing(&role.name))?;
            if old.name != role.name {
                name_is_free(&writer.catalog, &role.name)?;
            }
            if role.id == BOOTSTRAP && !role.superuser {
                return Err(Error::InvalidDefinition {
                    sqlstate: "0A000",
                    message: "permission denied to alter role".to_owned(),
                    detail: Some("The bootstrap user must have the SUPERUSER attribute.".to_owned()),
                    hint: None,
                });
            }
            writer.put_role(role)
        })
    }

    /// DROP ROLE. Memberships of it and in it go with it.
    ///
    /// # Errors
    /// [`Error::InvalidDefinition`]: 42704 where there is none; [`Error::InvalidDefinition`] (2BP01) where anything
    /// belongs to it or names it.
    pub fn drop_role(&self, id: ObjectId) -> Result<()> {
        self.write("DROP ROLE", |writer| {
            let role = writer.catalog.role(id).cloned().ok_or_else(|| missing(&id.to_string()))?;
            let depending = writer.catalog.depending_on_role(id);
            let fixed = is_fixed(id);
            if fixed || !depending.is_empty() {
                let (message, detail) = match fixed {
                    true => {
                        let why = "because it is required by the database system";
                        (format!("cannot drop role {} {why}", role.name), None)
                    }
                    false => {
                        let why = "cannot be dropped because some objects depend on it";
                        (format!("role \"{}\" {why}", role.name), Some(depending.join("\n")))
                    }
                };
                return Err(Error::InvalidDefinition { sqlstate: "2BP01", message, detail, hint: None });
            }
            for other in writer.catalog.roles().cloned().collect::<Vec<_>>() {
                if other.id != id && other.member_of.iter().any(|own| own.role == id) {
                    let mut other = (*other).clone();
                    other.member_of.retain(|own| own.role != id);
                    writer.put_role(other)?;
                }
            }
            writer.remove_role(id)
        })
    }

    /// Sets what an object has besides its definition; `command` is what it is done for.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], those of the store.
    pub fn set_access(&self, command: &str, access: AccessDescriptor) -> Result<()> {
        self.write(command, |writer| writer.put_access(access))
    }

    /// OWNER TO: privileges of the old owner are the new one's; the sequences of a table's columns go with it.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], those of the store.
    pub fn set_owner(&self, id: ObjectId, owner: ObjectId) -> Result<()> {
        self.write("ALTER", |writer| {
            let sequences: Vec<ObjectId> = writer.catalog.owned_sequences(id).map(|own| own.id).collect();
            for id in sequences.into_iter().chain([id]) {
                let mut access = access_of(&writer.catalog, id);
                let old = access.owner;
                access.owner = owner;
                let acls = access.acl.iter_mut().chain(access.columns.iter_mut().map(|(_, acl)| acl));
                acls.for_each(|acl| hand_over(acl, old, owner));
                writer.put_access(access)?;
            }
            Ok(())
        })
    }
}

/// What an object has besides its definition.
fn access_of(catalog: &Catalog, id: ObjectId) -> AccessDescriptor {
    catalog.access(id).map_or_else(|| AccessDescriptor::new(id), |own| (**own).clone())
}

fn hand_over(acl: &mut Acl, old: ObjectId, new: ObjectId) {
    let renamed = |role: ObjectId| if role == old { new } else { role };
    for mut item in std::mem::take(acl) {
        (item.grantee, item.grantor) = (renamed(item.grantee), renamed(item.grantor));
        crate::catalog::grant(acl, item);
    }
}

/// Whether a role is always there.
fn is_fixed(id: ObjectId) -> bool {
    id == BOOTSTRAP || PREDEFINED.iter().any(|own| own.0 == id)
}

fn missing(name: &str) -> Error {
    Error::definition("42704", format!("role \"{name}\" does not exist"))
}

fn name_is_free(catalog: &Catalog, name: &str) -> Result<()> {
    match catalog.role_named(name) {
        Some(_) => Err(Error::definition("42710", format!("role \"{name}\" already exists"))),
        None => Ok(()),
    }
}

impl Catalog {
    /// What belongs to a role or names it, in PostgreSQL's words; memberships are not among it, unless it granted them.
    pub fn depending_on_role(&self, role: ObjectId) -> Vec<String> {
        let mut lines = Vec::new();
        for access in self.all_access().filter(|access| access.names(role)) {
            let what = self.describe(access.id).map_or_else(|| format!("object {}", access.id), |own| own.1);
            if access.owner == role {
                lines.push(format!("owner of {what}"));
            }
            let in_acl = |acl: &Acl| acl.iter().any(|own| own.grantee == role || own.grantor == role);
            let given = access.acl.as_ref().is_some_and(in_acl);
            if access.owner != role && given {
                lines.push(format!("privileges for {what}"));
            }
            for (column, acl) in access.columns.iter().filter(|own| in_acl(&own.1)) {
                let table = self.table_by_id(access.id);
                let name = table.and_then(|table| table.columns.iter().find(|own| own.id == *column));
                let name = name.map_or_else(|| column.to_string(), |own| own.name.clone());
                if access.owner != role || acl.iter().any(|own| own.grantee == role) {
                    lines.push(format!("privileges for column {name} of {what}"));
                }
            }
            for policy in access.policies.iter().filter(|own| own.roles.contains(&role)) {
                lines.push(format!("target of policy {} on {what}", policy.name));
            }
        }
        for other in self.roles() {
            for own in &other.defaults {
                let named = own.acl.iter().any(|item| item.grantee == role || item.grantor == role);
                let what = match own.class {
                    Class::Table | Class::Column => "relations",
                    Class::Sequence => "sequences",
                    Class::Routine => "functions",
                    Class::Type => "types",
                    Class::Schema | Class::Database => "schemas",
                };
                let within = own.schema.and_then(|id| self.schemas().find(|schema| schema.id == id));
                let within = within.map(|own| format!(" in schema {}", own.name)).unwrap_or_default();
                let of = format!("default privileges on new {what} belonging to role {}{within}", other.name);
                if other.id == role {
                    lines.push(format!("owner of {of}"));
                } else if named {
                    lines.push(format!("privileges for {of}"));
                }
            }
            for own in other.member_of.iter().filter(|own| own.grantor == role && own.role != role) {
                let group = self.role(own.role).map_or_else(String::new, |group| group.name.clone());
                if other.id != role {
                    lines.push(format!("privileges for membership of role {} in role {group}", other.name));
                }
            }
        }
        lines
    }
}

/// Policies and privileges of a column that has another name now; privileges go by its number.
pub(super) fn rename_column(
    writer: &mut Writer<'_>,
    table: ObjectId,
    id: ColumnId,
    old: &str,
    new: &str,
) -> Result<()> {
    let Some(access) = writer.catalog.access(table) else { return Ok(()) };
    if !access.policies.iter().any(|policy| policy.columns.contains(&id)) {
        return Ok(());
    }
    let mut access = (**access).clone();
    for policy in access.policies.iter_mut().filter(|policy| policy.columns.contains(&id)) {
        for text in [&mut policy.using, &mut policy.check].into_iter().flatten() {
            *text = rename_in_sql(text, old, new);
        }
    }
    writer.put_access(access)
}

/// The policies that a column cannot go without.
pub(super) fn policies_on(catalog: &Catalog, table: ObjectId, id: ColumnId) -> Vec<String> {
    let policies = catalog.access(table).map(|access| &access.policies[..]).unwrap_or_default();
    policies.iter().filter(|own| own.columns.contains(&id)).map(|own| own.name.clone()).collect()
}

/// Takes away what a column had that is gone.
pub(super) fn drop_column(writer: &mut Writer<'_>, table: ObjectId, id: ColumnId) -> Result<()> {
    let Some(access) = writer.catalog.access(table) else { return Ok(()) };
    let mut access = (**access).clone();
    access.policies.retain(|policy| !policy.columns.contains(&id));
    access.columns.retain(|own| own.0 != id);
    writer.put_access(access)
}

/// Takes default privileges within a schema away that is gone.
pub(super) fn drop_schema(writer: &mut Writer<'_>, schema: ObjectId) -> Result<()> {
    for role in writer.catalog.roles().cloned().collect::<Vec<_>>() {
        if role.defaults.iter().any(|own| own.schema == Some(schema)) {
            let mut role = (*role).clone();
            role.defaults.retain(|own| own.schema != Some(schema));
            writer.put_role(role)?;
        }
    }
    Ok(())
}
