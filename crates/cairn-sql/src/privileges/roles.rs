//! CREATE, ALTER and DROP ROLE, and membership. The rules of who may what are PostgreSQL 16's.

use cairn_engine::Catalog;
use cairn_engine::catalog::{BOOTSTRAP, Membership, ObjectId, PREDEFINED, PUBLIC_ROLE, RoleDescriptor};
use cairn_types::{DataType, Value};
use sqlparser::ast::Ident;

use super::scram;
use super::statement::{GrantRole, RoleName, RoleOption, Setting};
use crate::context::Context;
use crate::ddl::{names, notice};
use crate::functions::cast;
use crate::results::StatementResult;
use crate::session::settings::Settings;
use crate::{Error, Result};

fn done(tag: &str) -> Result<StatementResult> {
    Ok(StatementResult::command(tag))
}

fn refused(what: &str, detail: String) -> Error {
    Error::new("42501", format!("permission denied to {what}")).with_detail(detail)
}

fn missing(name: &str) -> Error {
    Error::new("42704", format!("role \"{name}\" does not exist"))
}

/// The role that a name means.
///
/// # Errors
/// `42704`.
pub(super) fn find(context: &Context, name: &RoleName) -> Result<RoleDescriptor> {
    let catalog = context.txn().catalog();
    let found = match name {
        RoleName::Named(name) => catalog.role_named(name).ok_or_else(|| missing(name)),
        RoleName::Current => catalog.role(context.role()).ok_or_else(|| missing("current_user")),
        RoleName::Session => {
            catalog.role(context.scope.settings.identity.session).ok_or_else(|| missing("session_user"))
        }
        RoleName::Public => Err(missing("public")),
    };
    found.map(|role| RoleDescriptor::clone(role))
}

/// The numbers of roles, one of which may be PUBLIC.
///
/// # Errors
/// `42704`.
pub(super) fn numbers(context: &Context, names: &[RoleName]) -> Result<Vec<ObjectId>> {
    let one = |name: &RoleName| match name {
        RoleName::Public => Ok(PUBLIC_ROLE),
        name => find(context, name).map(|role| role.id),
    };
    names.iter().map(one).collect()
}

/// A name that a role may have.
fn new_name(ident: &Ident) -> Result<String> {
    let name = names::stored(ident);
    let reserved = || Error::new("42939", format!("role name \"{name}\" is reserved"));
    if name.is_empty() {
        return Err(Error::new("42601", "zero-length delimited identifier"));
    }
    if matches!(name.as_str(), "public" | "none") {
        return Err(reserved());
    }
    match name.starts_with("pg_") {
        true => Err(reserved().with_detail("Role names starting with \"pg_\" are reserved.")),
        false => Ok(name),
    }
}

/// What options make of a role, and who it is a member of and who of it.
struct Options {
    in_roles: Vec<ObjectId>,
    members: Vec<ObjectId>,
    admins: Vec<ObjectId>,
}

fn apply(context: &Context, role: &mut RoleDescriptor, options: &[RoleOption]) -> Result<Options> {
    let mut made = Options { in_roles: Vec::new(), members: Vec::new(), admins: Vec::new() };
    let kind = std::mem::discriminant::<RoleOption>;
    for (at, option) in options.iter().enumerate() {
        // LOGIN is implied by CREATE USER.
        let again = options[..at].iter().any(|own| kind(own) == kind(option));
        if again && !matches!(option, RoleOption::Login(_)) {
            return Err(Error::new("42601", "conflicting or redundant options"));
        }
        match option {
            RoleOption::Superuser(on) => role.superuser = *on,
            RoleOption::CreateDb(on) => role.create_db = *on,
            RoleOption::CreateRole(on) => role.create_role = *on,
            RoleOption::Inherit(on) => role.inherit = *on,
            RoleOption::Login(on) => role.login = *on,
            RoleOption::Replication(on) => role.replication = *on,
            RoleOption::BypassRls(on) => role.bypass_rls = *on,
            RoleOption::ConnectionLimit(limit) => {
                let valid = i32::try_from(*limit).ok().filter(|limit| *limit >= -1);
                role.connection_limit =
                    valid.ok_or_else(|| Error::new("22023", format!("invalid connection limit: {limit}")))?;
            }
            RoleOption::Password(password) => role.password = kept(context, password.as_deref())?,
            RoleOption::ValidUntil(text) => role.valid_until = Some(moment(context, text)?),
            RoleOption::InRole(roles) => made.in_roles = numbers(context, roles)?,
            RoleOption::Members(roles) => made.members = numbers(context, roles)?,
            RoleOption::Admins(roles) => made.admins = numbers(context, roles)?,
            RoleOption::SysId => notice(context, "00000", "SYSID can no longer be specified".to_owned()),
        }
    }
    Ok(made)
}

/// A password as it is kept.
fn kept(context: &Context, password: Option<&str>) -> Result<Option<String>> {
    match password {
        None => Ok(None),
        Some("") => {
            let message = "empty string is not a valid password, clearing password";
            notice(context, "00000", message.to_owned());
            Ok(None)
        }
        Some(text) if scram::is_verifier(text) => Ok(Some(text.to_owned())),
        Some(text) if is_md5(text) => Err(Error::unsupported("a password kept as MD5")),
        Some(text) => {
            let mut salt = [0; scram::SALT_BYTES];
            context.scope.shared.database.env().random().fill(&mut salt);
            Ok(Some(scram::verifier(text, &salt)))
        }
    }
}

fn is_md5(text: &str) -> bool {
    let digits = text.strip_prefix("md5");
    digits.is_some_and(|own| own.len() == 32 && own.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn moment(context: &Context, text: &str) -> Result<i64> {
    if text.trim().eq_ignore_ascii_case("infinity") {
        return Ok(i64::MAX);
    }
    let ty = DataType::TimestampTz(None);
    match cast::convert(Value::Text(text.to_owned()), &DataType::Text, &ty, context.zone())? {
        Value::TimestampTz(us) => Ok(us),
        _ => Err(Error::new("22007", format!("invalid input syntax for type timestamp: \"{text}\""))),
    }
}

/// CREATE ROLE, USER, GROUP.
pub(super) fn create(context: &Context, name: &Ident, options: &[RoleOption]) -> Result<StatementResult> {
    let mut role = RoleDescriptor::new(0, "");
    let made = apply(context, &mut role, options)?;
    let catalog = context.txn().catalog();
    let free = context.is_superuser();
    let own = catalog.role(context.role()).cloned();
    let has = |of: fn(&RoleDescriptor) -> bool| free || own.as_ref().is_some_and(|own| of(own));
    let attribute = |attribute: &str| {
        let only = format!("Only roles with the {attribute} attribute may create roles");
        let with = if attribute == "CREATEROLE" {
            String::new()
        } else {
            format!(" with the {attribute} attribute")
        };
        Err(refused("create role", format!("{only}{with}.")))
    };
    match () {
        () if !has(|own| own.create_role) => return attribute("CREATEROLE"),
        () if role.superuser && !free => return attribute("SUPERUSER"),
        () if role.create_db && !has(|own| own.create_db) => return attribute("CREATEDB"),
        () if role.replication && !has(|own| own.replication) => return attribute("REPLICATION"),
        () if role.bypass_rls && !has(|own| own.bypass_rls) => return attribute("BYPASSRLS"),
        () => {}
    }
    role.name = new_name(name)?;
    let id = context.txn().create_role(role)?;
    // Who makes a role and is no superuser may grant it.
    if !free {
        let admin = Membership { role: id, grantor: BOOTSTRAP, admin: true, inherit: false, set: false };
        add(context, context.role(), admin)?;
    }
    let members = made.members.iter().map(|member| (id, *member, None));
    let admins = made.admins.iter().map(|member| (id, *member, Some(true)));
    let groups = made.in_roles.iter().map(|group| (*group, id, None));
    for (group, member, admin) in groups.chain(members).chain(admins) {
        join(context, group, member, (admin, None, None), None)?;
    }
    done("CREATE ROLE")
}

/// Whether the role may change another one.
fn may_change(context: &Context, catalog: &Catalog, role: &RoleDescriptor) -> bool {
    let own = catalog.role(context.role());
    let creates = own.is_some_and(|own| own.create_role) && catalog.is_admin_of(context.role(), role.id);
    context.is_superuser() || (creates && !role.superuser)
}

fn refuse_predefined(role: &RoleDescriptor) -> Result<()> {
    match PREDEFINED.iter().any(|own| own.0 == role.id) {
        true => Err(Error::new("42939", format!("role name \"{}\" is reserved", role.name))
            .with_detail("Cannot alter reserved roles.")),
        false => Ok(()),
    }
}

/// ALTER ROLE with options.
pub(super) fn alter(context: &Context, name: &RoleName, options: &[RoleOption]) -> Result<StatementResult> {
    let old = find(context, name)?;
    refuse_predefined(&old)?;
    let mut role = old.clone();
    let made = apply(context, &mut role, options)?;
    let catalog = context.txn().catalog();
    let free = context.is_superuser();
    let own = catalog.role(context.role()).cloned();
    let has = |of: fn(&RoleDescriptor) -> bool| free || own.as_ref().is_some_and(|own| of(own));
    let attribute = |attribute: &str| {
        let detail =
            format!("Only roles with the {attribute} attribute may change the {attribute} attribute.");
        Err(refused("alter role", detail))
    };
    match () {
        () if old.superuser && !free => {
            let detail =
                "Only roles with the SUPERUSER attribute may alter roles with the SUPERUSER attribute.";
            return Err(refused("alter role", detail.to_owned()));
        }
        () if role.superuser != old.superuser && !free => return attribute("SUPERUSER"),
        () => {}
    }
    if !may_change(context, &catalog, &old) {
        // Everybody may change the own password.
        let only_password = options.iter().all(|option| matches!(option, RoleOption::Password(_)));
        if old.id != context.role() || !only_password {
            let detail = format!(
                "Only roles with the CREATEROLE attribute and the ADMIN option on role \"{}\" may alter this role.",
                old.name
            );
            return Err(refused("alter role", detail));
        }
    }
    match () {
        () if role.create_db != old.create_db && !has(|own| own.create_db) => return attribute("CREATEDB"),
        () if role.replication != old.replication && !has(|own| own.replication) => {
            return attribute("REPLICATION");
        }
        () if role.bypass_rls != old.bypass_rls && !has(|own| own.bypass_rls) => {
            return attribute("BYPASSRLS");
        }
        () => {}
    }
    context.txn().alter_role(role)?;
    for member in made.members {
        join(context, old.id, member, (None, None, None), None)?;
    }
    done("ALTER ROLE")
}

/// ALTER ROLE … RENAME TO.
pub(super) fn rename(context: &Context, name: &RoleName, to: &Ident) -> Result<StatementResult> {
    let role = find(context, name)?;
    refuse_predefined(&role)?;
    let identity = &context.scope.settings.identity;
    if role.id == identity.session {
        return Err(Error::new("0A000", "session user cannot be renamed"));
    }
    if role.id == identity.current {
        return Err(Error::new("0A000", "current user cannot be renamed"));
    }
    if role.id == BOOTSTRAP {
        return Err(Error::unsupported("another name for the role that the database began with"));
    }
    if !may_change(context, &context.txn().catalog(), &role) {
        let detail = format!(
            "Only roles with the CREATEROLE attribute and the ADMIN option on role \"{}\" may rename this role.",
            role.name
        );
        return Err(refused("rename role", detail));
    }
    let name = new_name(to)?;
    context.txn().alter_role(RoleDescriptor { name, ..role })?;
    done("ALTER ROLE")
}

/// ALTER ROLE … SET and RESET.
pub(super) fn set(context: &Context, name: &RoleName, setting: &Setting) -> Result<StatementResult> {
    let mut role = find(context, name)?;
    refuse_predefined(&role)?;
    if role.id != context.role() && !may_change(context, &context.txn().catalog(), &role) {
        let detail = format!(
            "Only roles with the CREATEROLE attribute and the ADMIN option on role \"{}\" may alter this role.",
            role.name
        );
        return Err(refused("alter role", detail));
    }
    let put = |role: &mut RoleDescriptor, name: &str, value: String| {
        role.settings.retain(|own| own.0 != name);
        role.settings.push((name.to_owned(), value));
        role.settings.sort();
    };
    match setting {
        Setting::ResetAll => role.settings.clear(),
        Setting::Reset(name) => role.settings.retain(|own| own.0 != *name),
        Setting::FromCurrent(name) => put(&mut role, name, context.scope.settings.show(name)?),
        Setting::Set(name, values) if values.iter().any(|value| value.eq_ignore_ascii_case("default")) => {
            role.settings.retain(|own| own.0 != *name);
        }
        Setting::Set(name, values) => {
            // What is wrong with it shows now.
            let mut probe = Settings::clone(&context.scope.settings);
            probe.set(name, values)?;
            put(&mut role, name, values.join(", "));
        }
    }
    context.txn().alter_role(role)?;
    done("ALTER ROLE")
}

/// DROP ROLE, USER, GROUP.
pub(super) fn drop_roles(context: &Context, names: &[RoleName], if_exists: bool) -> Result<StatementResult> {
    for name in names {
        let role = match find(context, name) {
            Err(error) if if_exists && error.sqlstate() == "42704" => {
                notice(context, "00000", format!("{}, skipping", error.message()));
                continue;
            }
            role => role?,
        };
        let identity = &context.scope.settings.identity;
        if role.id == identity.current {
            return Err(Error::new("55006", "current user cannot be dropped"));
        }
        if role.id == identity.session || role.id == identity.authenticated {
            return Err(Error::new("55006", "session user cannot be dropped"));
        }
        if role.superuser && !context.is_superuser() {
            let detail =
                "Only roles with the SUPERUSER attribute may drop roles with the SUPERUSER attribute.";
            return Err(refused("drop role", detail.to_owned()));
        }
        if !may_change(context, &context.txn().catalog(), &role) {
            let detail = format!(
                "Only roles with the CREATEROLE attribute and the ADMIN option on role \"{}\" may drop this role.",
                role.name
            );
            return Err(refused("drop role", detail));
        }
        context.txn().drop_role(role.id)?;
    }
    done("DROP ROLE")
}

/// COMMENT ON ROLE.
pub(super) fn comment(context: &Context, name: &RoleName, text: Option<String>) -> Result<StatementResult> {
    let role = find(context, name)?;
    if !may_change(context, &context.txn().catalog(), &role) {
        return Err(Error::new("42501", "permission denied to alter role"));
    }
    let comment = text.filter(|text| !text.is_empty());
    context.txn().alter_role(RoleDescriptor { comment, ..role })?;
    done("COMMENT")
}

/// GRANT and REVOKE of membership.
pub(super) fn grant(context: &Context, grant: &GrantRole) -> Result<StatementResult> {
    let by = grant.by.as_ref().map(|name| find(context, name)).transpose()?.map(|role| role.id);
    for group in &grant.groups {
        let group = find(context, group)?;
        let catalog = context.txn().catalog();
        let what = if grant.revokes { "revoke" } else { "grant" };
        if group.superuser && !context.is_superuser() {
            let detail = format!(
                "Only roles with the SUPERUSER attribute may {what} roles with the SUPERUSER attribute."
            );
            return Err(refused(&format!("{what} role \"{}\"", group.name), detail));
        }
        let grantor = by.unwrap_or_else(|| context.role());
        if let Some(by) = by
            && !catalog.has_privileges_of(context.role(), by)
        {
            let name = super::role_name(&catalog, by);
            let detail =
                format!("Only roles with privileges of role \"{name}\" may grant privileges as this role.");
            let named = format!("grant privileges as role \"{name}\"");
            return Err(refused(&named, detail));
        }
        if !catalog.is_admin_of(grantor, group.id) {
            let name = &group.name;
            let detail = format!("Only roles with the ADMIN option on role \"{name}\" may {what} this role.");
            return Err(refused(&format!("{what} role \"{name}\""), detail));
        }
        for member in &grant.members {
            let member = find(context, member)?;
            match grant.revokes {
                true => leave(context, &group, &member, grant, by)?,
                false => join(context, group.id, member.id, (grant.admin, grant.inherit, grant.set), by)?,
            }
        }
    }
    done(if grant.revokes { "REVOKE ROLE" } else { "GRANT ROLE" })
}

/// Who is noted as having granted a membership: the superuser that the database began with stands for all of them.
fn grantor(context: &Context, by: Option<ObjectId>) -> ObjectId {
    match by {
        Some(by) => by,
        None if context.is_superuser() => BOOTSTRAP,
        None => context.role(),
    }
}

fn join(
    context: &Context,
    group: ObjectId,
    member: ObjectId,
    (admin, inherit, set): (Option<bool>, Option<bool>, Option<bool>),
    by: Option<ObjectId>,
) -> Result<()> {
    let catalog = context.txn().catalog();
    let name = |id: ObjectId| super::role_name(&catalog, id);
    if group == member || catalog.member_of(group).contains(&member) {
        let message = format!("role \"{}\" is a member of role \"{}\"", name(group), name(member));
        return Err(Error::new("0LP01", message));
    }
    let grantor = grantor(context, by);
    let known = catalog.role(member).and_then(|role| {
        role.member_of.iter().find(|own| own.role == group && own.grantor == grantor).copied()
    });
    let inherits = catalog.role(member).is_none_or(|role| role.inherit);
    let old =
        known.unwrap_or(Membership { role: group, grantor, admin: false, inherit: inherits, set: true });
    let new = Membership {
        admin: admin.unwrap_or(old.admin),
        inherit: inherit.unwrap_or(old.inherit),
        set: set.unwrap_or(old.set),
        ..old
    };
    if known == Some(new) {
        let (member, group, grantor) = (name(member), name(group), name(grantor));
        let message = format!(
            "role \"{member}\" has already been granted membership in role \"{group}\" by role \"{grantor}\""
        );
        notice(context, "00000", message);
        return Ok(());
    }
    add(context, member, new)
}

fn add(context: &Context, member: ObjectId, new: Membership) -> Result<()> {
    let catalog = context.txn().catalog();
    let Some(role) = catalog.role(member) else { return Err(missing(&member.to_string())) };
    let mut role = RoleDescriptor::clone(role);
    role.member_of.retain(|own| (own.role, own.grantor) != (new.role, new.grantor));
    role.member_of.push(new);
    role.member_of.sort_by_key(|own| (own.role, own.grantor));
    Ok(context.txn().alter_role(role)?)
}

fn leave(
    context: &Context,
    group: &RoleDescriptor,
    member: &RoleDescriptor,
    grant: &GrantRole,
    by: Option<ObjectId>,
) -> Result<()> {
    let grantor = grantor(context, by);
    let found = member.member_of.iter().find(|own| own.role == group.id && own.grantor == grantor).copied();
    let Some(found) = found else {
        let by = super::role_name(&context.txn().catalog(), grantor);
        let (member, group) = (&member.name, &group.name);
        let message =
            format!("role \"{member}\" has not been granted membership in role \"{group}\" by role \"{by}\"");
        notice(context, "01000", message);
        return Ok(());
    };
    let whole = grant.admin.is_none() && grant.inherit.is_none() && grant.set.is_none();
    let mut role = member.clone();
    role.member_of.retain(|own| *own != found);
    let mut kept = found;
    if !whole {
        kept.admin &= grant.admin.unwrap_or(true);
        kept.inherit &= grant.inherit.unwrap_or(true);
        kept.set &= grant.set.unwrap_or(true);
        role.member_of.push(kept);
    }
    context.txn().alter_role(role)?;
    if !found.admin || (!whole && kept.admin) || context.txn().catalog().is_admin_of(member.id, group.id) {
        return Ok(());
    }
    // What was granted by the option that is gone.
    let catalog = context.txn().catalog();
    let of_it = |own: &Membership| own.role == group.id && own.grantor == member.id;
    for other in catalog.roles().filter(|role| role.member_of.iter().any(of_it)) {
        if !grant.cascade {
            return Err(Error::new("2BP01", "dependent privileges exist")
                .with_hint("Use CASCADE to revoke them too."));
        }
        let one = GrantRole {
            revokes: true,
            groups: Vec::new(),
            members: Vec::new(),
            admin: None,
            inherit: None,
            set: None,
            by: None,
            cascade: true,
        };
        leave(context, group, other, &one, Some(member.id))?;
    }
    Ok(())
}
