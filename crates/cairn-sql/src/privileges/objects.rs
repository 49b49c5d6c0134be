//! OWNER TO, REASSIGN OWNED, DROP OWNED, CREATE SCHEMA … AUTHORIZATION and its elements.

use std::sync::Arc;

use cairn_engine::catalog::{
    AccessDescriptor, Class, DATABASE_ID, ObjectId, Privileges, Relation, RoleDescriptor,
};
use sqlparser::ast::{Ident, ObjectName, Statement};

use super::statement::{Owned, RoleName, shown};
use super::{denied, roles};
use crate::context::Context;
use crate::ddl::names::{self, Kind};
use crate::ddl::notice;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result, catalog};

/// Whether nothing has the name.
pub(super) fn is_missing(context: &Context, name: &ObjectName) -> Result<bool> {
    let all = context.catalog()?;
    let (schema, relation) = catalog::resolve_name(context, &all, name)?;
    Ok(all.relation(&schema, &relation).is_none())
}

/// ALTER … OWNER TO.
pub(super) fn owner(
    context: &Context,
    owned: &Owned,
    if_exists: bool,
    to: &RoleName,
) -> Result<StatementResult> {
    let tag = match owned {
        Owned::Table(_) => "ALTER TABLE",
        Owned::View(_) => "ALTER VIEW",
        Owned::Materialized(_) => "ALTER MATERIALIZED VIEW",
        Owned::Sequence(_) => "ALTER SEQUENCE",
        Owned::Index(_) => "ALTER INDEX",
        Owned::Routine(Some(cairn_engine::catalog::RoutineKind::Function), _) => "ALTER FUNCTION",
        Owned::Routine(Some(_), _) => "ALTER PROCEDURE",
        Owned::Routine(None, _) => "ALTER ROUTINE",
        Owned::Type(_) => "ALTER TYPE",
        Owned::Domain(_) => "ALTER DOMAIN",
        Owned::Schema(_) => "ALTER SCHEMA",
        Owned::Database(_) => "ALTER DATABASE",
    };
    if if_exists
        && let Owned::Table(name) | Owned::View(name) | Owned::Materialized(name) | Owned::Sequence(name) =
            owned
        && is_missing(context, name)?
    {
        notice(context, "00000", format!("relation \"{}\" does not exist, skipping", shown(name)));
        return Ok(StatementResult::command(tag));
    }
    let Some((id, schema)) = owned_by(context, owned)? else { return Ok(StatementResult::command(tag)) };
    give(context, id, to, schema.as_deref())?;
    Ok(StatementResult::command(tag))
}

/// An object whose owner is to change, which is the role's, and its schema; `None` where it has no owner of its own.
fn owned_by(context: &Context, owned: &Owned) -> Result<Option<(ObjectId, Option<String>)>> {
    let all = context.catalog()?;
    let relation = |name: &ObjectName, kind: Kind| -> Result<(ObjectId, Option<String>)> {
        let (schema, _, found) = names::require(context, &all, name, kind)?;
        Ok((super::target_of(&found).1.1, Some(schema)))
    };
    Ok(Some(match owned {
        Owned::Table(name) => match any_relation(context, name)? {
            Relation::View(view) => {
                super::require_owner(context, &Relation::View(Arc::clone(&view)))?;
                (view.id, Some(view.schema.clone()))
            }
            Relation::Sequence(own) => (own.id, Some(free_sequence(context, &Relation::Sequence(own))?)),
            Relation::Table(table) if table.materialized.is_some() => relation(name, Kind::Materialized)?,
            Relation::Index(..) => {
                notice(context, "01000", format!("cannot change owner of index \"{}\"", shown(name)));
                return Ok(None);
            }
            Relation::Table(_) => relation(name, Kind::Table)?,
        },
        Owned::View(name) => relation(name, Kind::View)?,
        Owned::Materialized(name) => relation(name, Kind::Materialized)?,
        Owned::Sequence(name) => {
            let (_, _, found) = names::require(context, &all, name, Kind::Sequence)?;
            let id = super::target_of(&found).1.1;
            (id, Some(free_sequence(context, &found)?))
        }
        Owned::Index(name) => {
            notice(context, "01000", format!("cannot change owner of index \"{}\"", shown(name)));
            return Ok(None);
        }
        Owned::Routine(kind, (name, types)) => {
            let routine = crate::routine::drop::required(context, *kind, name, types.as_deref())?;
            super::require_routine_owner(context, &routine, false)?;
            (routine.id, Some(routine.schema.clone()))
        }
        Owned::Type(name) | Owned::Domain(name) => {
            let found = crate::parse::named_types::find(context, &all, name);
            let found = found
                .filter(|ty| all.type_by_id(ty.id).is_some())
                .ok_or_else(|| Error::new("42704", format!("type \"{}\" does not exist", shown(name))))?;
            if matches!(owned, Owned::Domain(_)) && !found.is_domain() {
                return Err(Error::new("42809", format!("\"{}\" is not a domain", found.name)));
            }
            super::require_type_owner(context, &found, false)?;
            (found.id, Some(found.schema.clone()))
        }
        Owned::Schema(name) => {
            let name = fold(name);
            names::writable_schema(&name)?;
            let found = all.schema(&name);
            let found =
                found.ok_or_else(|| Error::new("3F000", format!("schema \"{name}\" does not exist")))?;
            super::require_schema_owner(context, &name)?;
            (found.id, None)
        }
        Owned::Database(name) => {
            let name = fold(name);
            if name != catalog::DATABASE {
                return Err(Error::new("3D000", format!("database \"{name}\" does not exist")));
            }
            super::own(context, DATABASE_ID, "database", &name)?;
            (DATABASE_ID, None)
        }
    }))
}

/// Gives an object of a schema to a role.
///
/// # Errors
/// `42501`.
pub(super) fn give(context: &Context, id: ObjectId, to: &RoleName, schema: Option<&str>) -> Result<()> {
    let to = roles::find(context, to)?;
    may_give(context, &to, schema)?;
    Ok(context.txn().set_owner(id, to.id)?)
}

fn any_relation(context: &Context, name: &ObjectName) -> Result<Relation> {
    let all = context.catalog()?;
    let (schema, relation) = catalog::resolve_name(context, &all, name)?;
    let missing = || Error::new("42P01", format!("relation \"{}\" does not exist", shown(name)));
    all.relation(&schema, &relation).ok_or_else(missing)
}

/// The schema of a sequence that goes with no table.
fn free_sequence(context: &Context, relation: &Relation) -> Result<String> {
    let Relation::Sequence(own) = relation else { return Err(Error::internal("no sequence")) };
    super::require_owner(context, relation)?;
    let all = context.catalog()?;
    if let Some(table) = own.owned_by.and_then(|(table, _)| all.table_by_id(table)) {
        let (name, table) = (&own.name, &table.name);
        return Err(Error::new("0A000", "cannot change owner of sequence that is linked to a table")
            .with_detail(format!("Sequence \"{name}\" is linked to table \"{table}\".")));
    }
    Ok(own.schema.clone())
}

/// Whether things may be given to a role: one that SET ROLE may take, and which may make things in the schema.
fn may_give(context: &Context, to: &RoleDescriptor, schema: Option<&str>) -> Result<()> {
    if context.is_superuser() {
        return Ok(());
    }
    let catalog = context.txn().catalog();
    if !catalog.may_become(context.role(), to.id) {
        return Err(Error::new("42501", format!("must be able to SET ROLE \"{}\"", to.name)));
    }
    let Some(schema) = schema.and_then(|schema| catalog.schema(schema)) else { return Ok(()) };
    let wanted = Privileges::CREATE;
    match catalog.privileges(to.id, (Class::Schema, schema.id), wanted) == wanted {
        true => Ok(()),
        false => Err(denied("schema", &schema.name)),
    }
}

/// REASSIGN OWNED BY … TO.
pub(super) fn reassign(context: &Context, from: &[RoleName], to: &RoleName) -> Result<StatementResult> {
    let to = roles::find(context, to)?;
    let catalog = context.txn().catalog();
    let may = |role: &RoleDescriptor| match catalog.has_privileges_of(context.role(), role.id) {
        true => Ok(()),
        false => Err(Error::new("42501", "permission denied to reassign objects").with_detail(format!(
            "Only roles with privileges of role \"{}\" may reassign objects {} it.",
            role.name,
            if role.id == to.id { "to" } else { "owned by" }
        ))),
    };
    for name in from {
        let role = roles::find(context, name)?;
        if role.id == cairn_engine::catalog::BOOTSTRAP {
            let message = format!(
                "cannot reassign ownership of objects owned by role {} because they are required by the database system",
                role.name
            );
            return Err(Error::new("2BP01", message));
        }
        may(&role)?;
        may(&to)?;
        let owned: Vec<ObjectId> =
            catalog.all_access().filter(|access| access.owner == role.id).map(|access| access.id).collect();
        for id in owned {
            context.txn().set_owner(id, to.id)?;
        }
    }
    Ok(StatementResult::command("REASSIGN OWNED"))
}

/// DROP OWNED BY.
pub(super) fn drop_owned(context: &Context, of: &[RoleName], cascade: bool) -> Result<StatementResult> {
    for name in of {
        let role = roles::find(context, name)?;
        if role.id == cairn_engine::catalog::BOOTSTRAP {
            let message = format!(
                "cannot drop objects owned by role {} because they are required by the database system",
                role.name
            );
            return Err(Error::new("2BP01", message));
        }
        let catalog = context.txn().catalog();
        if !catalog.has_privileges_of(context.role(), role.id) {
            return Err(Error::new("42501", "permission denied to drop objects").with_detail(format!(
                "Only roles with privileges of role \"{}\" may drop objects owned by it.",
                role.name
            )));
        }
        take_privileges(context, role.id)?;
        drop_objects(context, role.id, cascade)?;
        let mut own = context.txn().catalog().role(role.id).map_or(role, |own| RoleDescriptor::clone(own));
        own.defaults.clear();
        context.txn().alter_role(own)?;
    }
    Ok(StatementResult::command("DROP OWNED"))
}

/// Takes a role out of all privileges and policies.
fn take_privileges(context: &Context, role: ObjectId) -> Result<()> {
    let catalog = context.txn().catalog();
    for access in catalog.all_access().filter(|access| access.names(role)) {
        let mut access = AccessDescriptor::clone(access);
        let keeps = |item: &cairn_engine::catalog::AclItem| item.grantee != role && item.grantor != role;
        if access.owner != role
            && let Some(acl) = &mut access.acl
        {
            acl.retain(keeps);
        }
        access.columns.iter_mut().for_each(|(_, acl)| acl.retain(keeps));
        access.columns.retain(|own| !own.1.is_empty());
        access.policies.retain_mut(|policy| {
            let named = policy.roles.contains(&role);
            policy.roles.retain(|own| *own != role);
            !named || !policy.roles.is_empty()
        });
        context.txn().set_access("DROP OWNED", access)?;
    }
    for other in catalog.roles() {
        let item = |item: &cairn_engine::catalog::AclItem| item.grantee == role || item.grantor == role;
        if other.id != role && other.defaults.iter().any(|own| own.acl.iter().any(item)) {
            let mut other = RoleDescriptor::clone(other);
            other.defaults.iter_mut().for_each(|own| own.acl.retain(|own| !item(own)));
            context.txn().alter_role(other)?;
        }
    }
    Ok(())
}

/// What drops relations, of whom it has schemas and names.
type Drops<'d> = &'d dyn Fn(&[(&str, &str)]) -> Result<()>;

/// Drops what a role owns.
fn drop_objects(context: &Context, role: ObjectId, cascade: bool) -> Result<()> {
    let txn = context.txn();
    let owned: Vec<ObjectId> =
        txn.catalog().all_access().filter(|access| access.owner == role).map(|access| access.id).collect();
    let mut routines = Vec::new();
    let (mut tables, mut views, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
    for id in &owned {
        let all = txn.catalog();
        if let Some(view) = all.view_by_id(*id) {
            views.push((view.schema.clone(), view.name.clone()));
        } else if let Some(table) = all.table_by_id(*id) {
            tables.push((table.schema.clone(), table.name.clone()));
        } else if let Some(own) = all.sequence_by_id(*id).filter(|own| own.owned_by.is_none()) {
            sequences.push((own.schema.clone(), own.name.clone()));
        } else if all.routine_by_id(*id).is_some() {
            routines.push(*id);
        }
    }
    let pairs = |all: &[(String, String)]| -> Vec<(String, String)> { all.to_vec() };
    let named = |all: &[(String, String)], txn_drop: Drops<'_>| {
        let all = pairs(all);
        let all: Vec<(&str, &str)> = all.iter().map(|(s, n)| (s.as_str(), n.as_str())).collect();
        if all.is_empty() { Ok(()) } else { txn_drop(&all) }
    };
    named(&views, &|all| Ok(txn.drop_views(all, cascade)?))?;
    named(&tables, &|all| Ok(txn.drop_tables(all, cascade)?))?;
    named(&sequences, &|all| Ok(txn.drop_sequences(all, cascade)?))?;
    if !routines.is_empty() {
        txn.drop_routines(&routines, cascade)?;
    }
    for id in &owned {
        let all = txn.catalog();
        if let Some(ty) = all.type_by_id(*id).cloned() {
            txn.drop_types(&[(ty.schema.as_str(), ty.name.as_str())], cascade)?;
        }
    }
    for id in owned {
        let all = txn.catalog();
        let found = all.schemas().find(|schema| schema.id == id).map(|schema| schema.name.clone());
        if let Some(name) = found {
            txn.drop_schema(&name, cascade)?;
        }
    }
    Ok(())
}

/// CREATE SCHEMA … AUTHORIZATION, and with elements.
pub(super) fn create_schema(
    context: &Context,
    (name, role): (Option<&Ident>, Option<&RoleName>),
    if_not_exists: bool,
    elements: &[String],
) -> Result<StatementResult> {
    if if_not_exists && !elements.is_empty() {
        return Err(Error::new("0A000", "CREATE SCHEMA IF NOT EXISTS cannot include schema elements"));
    }
    let role = role.map(|role| roles::find(context, role)).transpose()?;
    if let Some(role) = &role
        && !context.txn().catalog().may_become(context.role(), role.id)
    {
        return Err(Error::new("42501", format!("must be able to SET ROLE \"{}\"", role.name)));
    }
    let of_role = || role.as_ref().map(|role| Ident::with_quote('"', &role.name));
    let missing = || Error::internal("a schema without a name");
    let name = name.cloned().or_else(of_role).ok_or_else(missing)?;
    let named = ObjectName::from(name.clone());
    let stored = names::stored(&name);
    let is_new = context.catalog()?.schema(&stored).is_none();
    let done = crate::ddl::create_schema(context, &sqlparser::ast::SchemaName::Simple(named), if_not_exists)?;
    if is_new
        && let Some(role) = &role
        && let Some(made) = context.catalog()?.schema(&stored)
    {
        context.txn().set_owner(made.id, role.id)?;
    }
    run_elements(context, &stored, role.as_ref().map(|role| role.id), elements)?;
    Ok(done)
}

/// Makes what is in a new schema, as its owner: names without a schema are there.
fn run_elements(context: &Context, schema: &str, owner: Option<ObjectId>, elements: &[String]) -> Result<()> {
    if elements.is_empty() {
        return Ok(());
    }
    let mut settings = crate::session::settings::Settings::clone(&context.scope.settings);
    settings.search_path.insert(0, schema.to_owned());
    if let Some(owner) = owner {
        settings.identity = Arc::new(settings.identity.definer(owner));
    }
    let inner = context.with_settings(Arc::new(settings));
    // What it makes is the role's that it runs as.
    let role = context.txn().role();
    context.txn().set_role(inner.role());
    let made = elements.iter().try_for_each(|element| {
        let statement = crate::parse::parse_text(element)?;
        require_schema(&statement, schema)?;
        crate::session::run(&inner, &statement, element).map(drop)
    });
    context.txn().set_role(role);
    made
}

/// Refuses an element that would be made elsewhere.
fn require_schema(statement: &Statement, schema: &str) -> Result<()> {
    let name = match statement {
        Statement::CreateTable(create) => &create.name,
        Statement::CreateView(create) => &create.name,
        _ => return Ok(()),
    };
    let [other, _] = name.0.as_slice() else { return Ok(()) };
    match other.as_ident().map(names::stored) {
        Some(other) if other != schema => Err(Error::new(
            "42P15",
            format!("CREATE specifies a schema ({other}) different from the one being created ({schema})"),
        )),
        _ => Ok(()),
    }
}
