//! GRANT and REVOKE of privileges on objects.

use cairn_engine::Catalog;
use cairn_engine::catalog::{
    self as engine, AccessDescriptor, Acl, AclItem, Class, DATABASE_ID, ObjectId, PUBLIC_ROLE, Privileges,
    Relation, RoutineKind, Target,
};
use sqlparser::ast::{Ident, ObjectName};

use super::relations::columns_of;
use super::statement::{Grant, Kinds, Listed, Objects, RoleName};
use super::{denied, roles, target_of, word};
use crate::context::Context;
use crate::ddl::notice;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result, catalog};

/// One object of a GRANT.
struct Object {
    target: Target,
    kind: &'static str,
    name: String,
    /// Columns of a relation, by name.
    columns: Vec<(String, u32)>,
}

/// Runs one.
pub(super) fn run(context: &Context, grant: &Grant) -> Result<StatementResult> {
    if let Some(by) = &grant.by
        && roles::find(context, by)?.id != context.role()
    {
        return Err(Error::new("0A000", "grantor must be current user"));
    }
    let grantees = grantees(context, &grant.roles, grant.option && !grant.revokes)?;
    for object in objects(context, &grant.on)? {
        on_object(context, grant, &object, &grantees)?;
    }
    Ok(StatementResult::command(if grant.revokes { "REVOKE" } else { "GRANT" }))
}

/// The numbers of grantees.
pub(super) fn grantees(context: &Context, roles: &[RoleName], with_option: bool) -> Result<Vec<ObjectId>> {
    if with_option && roles.contains(&RoleName::Public) {
        return Err(Error::new("0LP01", "grant options can only be granted to roles"));
    }
    roles::numbers(context, roles)
}

/// The privileges of a list that are of the whole object.
///
/// # Errors
/// `0LP01` for what the kind does not have, `42601` for no privilege.
pub(super) fn whole(listed: &Listed, class: Class, what: &str) -> Result<Privileges> {
    let mut all = Privileges::NONE;
    for (name, columns) in listed {
        if !columns.is_empty() {
            if class != Class::Table {
                return Err(Error::new("0LP01", "column privileges are only valid for relations"));
            }
            continue;
        }
        all |= one(name, class, what)?;
    }
    Ok(all)
}

fn one(name: &str, class: Class, what: &str) -> Result<Privileges> {
    if name == "ALL" {
        return Ok(class.all());
    }
    let found = Privileges::named(name).ok_or_else(|| {
        Error::new("42601", format!("unrecognized privilege type \"{}\"", name.to_ascii_lowercase()))
    })?;
    match class.all().contains(found) {
        true => Ok(found),
        false => Err(Error::new("0LP01", format!("invalid privilege type {name} for {what}"))),
    }
}

fn objects(context: &Context, on: &Objects) -> Result<Vec<Object>> {
    let all = context.catalog()?;
    Ok(match on {
        Objects::Tables(names) => {
            names.iter().map(|name| relation(context, name, None)).collect::<Result<_>>()?
        }
        Objects::Sequences(names) => {
            names.iter().map(|name| relation(context, name, Some("sequence"))).collect::<Result<_>>()?
        }
        Objects::Routines(kind, names) => {
            let one = |(name, types): &super::statement::RoutineName| {
                let routine = crate::routine::drop::required(context, *kind, name, types.as_deref())?;
                Ok(Object {
                    target: (Class::Routine, routine.id),
                    kind: routine.word(),
                    name: routine.name.clone(),
                    columns: Vec::new(),
                })
            };
            names.iter().map(one).collect::<Result<_>>()?
        }
        Objects::Schemas(names) => {
            names.iter().map(|name| schema(&all, name).map(|own| own.0)).collect::<Result<_>>()?
        }
        Objects::Databases(names) => names.iter().map(database).collect::<Result<_>>()?,
        Objects::Types { domains, names } => {
            names.iter().map(|name| ty(context, name, *domains)).collect::<Result<_>>()?
        }
        Objects::AllIn(kinds, schemas) => {
            let mut found = Vec::new();
            for name in schemas {
                let (_, schema) = self::schema(&all, name)?;
                within(&all, *kinds, &schema, &mut found);
            }
            found
        }
    })
}

fn of_relation(relation: &Relation) -> Object {
    let (name, target) = target_of(relation);
    let columns = match relation {
        Relation::Table(table) => table.live_columns().map(|own| own.name.clone()).collect(),
        Relation::View(view) => view.columns.iter().map(|own| own.name.clone()).collect(),
        Relation::Sequence(_) | Relation::Index(..) => Vec::new(),
    };
    let columns = columns.into_iter().zip(columns_of(relation)).collect();
    Object { target, kind: word(relation), name: name.to_owned(), columns }
}

fn relation(context: &Context, name: &ObjectName, only: Option<&str>) -> Result<Object> {
    let all = context.catalog()?;
    let (schema, table) = catalog::resolve_name(context, &all, name)?;
    match all.relation(&schema, &table) {
        Some(Relation::Index(..)) => Err(Error::new("42809", format!("\"{table}\" is an index"))),
        Some(found) if only.is_some_and(|only| only != word(&found)) => {
            Err(Error::new("42809", format!("\"{table}\" is not a sequence")))
        }
        Some(found) => Ok(of_relation(&found)),
        None if catalog::is_computed_in(&schema, &table) || catalog::is_system_table(&table) => {
            Err(Error::unsupported("GRANT on the tables of the system"))
        }
        None => {
            let name = super::statement::shown(name);
            Err(Error::new("42P01", format!("relation \"{name}\" does not exist")))
        }
    }
}

fn schema(all: &Catalog, name: &Ident) -> Result<(Object, String)> {
    let name = fold(name);
    let found = all.schema(&name);
    let found = found.ok_or_else(|| match catalog::is_system_schema(&name) {
        true => Error::unsupported("GRANT on the schemas of the system"),
        false => Error::new("3F000", format!("schema \"{name}\" does not exist")),
    })?;
    let object =
        Object { target: (Class::Schema, found.id), kind: "schema", name: name.clone(), columns: Vec::new() };
    Ok((object, name))
}

fn database(name: &Ident) -> Result<Object> {
    let name = fold(name);
    match name == catalog::DATABASE {
        true => {
            Ok(Object { target: (Class::Database, DATABASE_ID), kind: "database", name, columns: Vec::new() })
        }
        false => Err(Error::new("3D000", format!("database \"{name}\" does not exist"))),
    }
}

fn ty(context: &Context, name: &ObjectName, domains: bool) -> Result<Object> {
    let all = context.catalog()?;
    let found = crate::parse::named_types::find(context, &all, name);
    let found = found.filter(|ty| all.type_by_id(ty.id).is_some()).ok_or_else(|| {
        Error::new("42704", format!("type \"{}\" does not exist", super::statement::shown(name)))
    })?;
    if domains && !found.is_domain() {
        return Err(Error::new("42809", format!("\"{}\" is not a domain", found.name)));
    }
    let name = found.name.clone();
    Ok(Object { target: (Class::Type, found.id), kind: "type", name, columns: Vec::new() })
}

/// All objects of a kind in a schema.
fn within(all: &Catalog, kinds: Kinds, schema: &str, found: &mut Vec<Object>) {
    match kinds {
        Kinds::Tables => {
            let tables = all.tables().filter(|own| own.schema == schema).cloned().map(Relation::Table);
            let views = all.views().filter(|own| own.schema == schema).cloned().map(Relation::View);
            found.extend(tables.chain(views).map(|relation| of_relation(&relation)));
        }
        Kinds::Sequences => {
            let own = all.sequences().filter(|own| own.schema == schema).cloned().map(Relation::Sequence);
            found.extend(own.map(|relation| of_relation(&relation)));
        }
        Kinds::Routines(kind) => {
            // FUNCTIONS are functions, PROCEDURES are procedures, ROUTINES both.
            let is = |own: RoutineKind| kind.is_none_or(|kind| kind == own);
            let own = all.routines().filter(|own| own.schema == schema && is(own.kind));
            found.extend(own.map(|own| Object {
                target: (Class::Routine, own.id),
                kind: own.word(),
                name: own.name.clone(),
                columns: Vec::new(),
            }));
        }
        Kinds::Types | Kinds::Schemas => {}
    }
}

/// As whom a role grants: as the owner, if it has the owner's privileges; else as the role that may grant most of it.
fn grantor(all: &Catalog, role: ObjectId, target: Target, wanted: Privileges) -> (ObjectId, Privileges) {
    let owner = all.owner(target.1);
    if all.has_privileges_of(role, owner) {
        return (owner, wanted);
    }
    let acl = all.acl(target);
    let may = |id: ObjectId| {
        let own = acl.iter().filter(|item| item.grantee == id);
        own.fold(Privileges::NONE, |all, item| all | item.grantable).and(wanted)
    };
    let mut best = (role, may(role));
    for id in all.inherited(role) {
        if may(id).each().count() > best.1.each().count() {
            best = (id, may(id));
        }
    }
    best
}

fn on_object(context: &Context, grant: &Grant, object: &Object, grantees: &[ObjectId]) -> Result<()> {
    let all = context.txn().catalog();
    let role = context.role();
    let class = object.target.0;
    let what = if class == Class::Table { "table" } else { object.kind };
    let wanted = whole(&grant.privileges, class, what)?;
    let mut access = all
        .access(object.target.1)
        .map_or_else(|| AccessDescriptor::new(object.target.1), |own| (**own).clone());
    if !wanted.is_empty() {
        let (grantor, may) = grantor(&all, role, object.target, wanted);
        told(context, &all, grant, object, (wanted, may), None)?;
        let mut acl = all.acl(object.target);
        change(&mut acl, grant, grantees, grantor, may)?;
        access.acl = Some(acl);
        if grant.revokes && class == Class::Table {
            // Of the columns, too.
            for (_, acl) in &mut access.columns {
                change(acl, grant, grantees, grantor, may.and(Class::Column.all()))?;
            }
        }
    }
    for (name, columns) in grant.privileges.iter().filter(|own| !own.1.is_empty()) {
        let wanted = one(name, Class::Column, "column")?;
        for column in columns {
            let column = fold(column);
            let id = object.columns.iter().find(|own| own.0 == column).map(|own| own.1);
            let id = id.ok_or_else(|| {
                let table = &object.name;
                Error::new("42703", format!("column \"{column}\" of relation \"{table}\" does not exist"))
            })?;
            let (mut grantor, mut may) = grantor(&all, role, object.target, wanted);
            if may != wanted {
                let acl = access.columns.iter().find(|own| own.0 == id).map(|own| own.1.clone());
                let own = acl.unwrap_or_default();
                let own = own.iter().filter(|item| all.inherited(role).contains(&item.grantee));
                let own = own.fold(Privileges::NONE, |all, item| all | item.grantable).and(wanted);
                if own.each().count() > may.each().count() {
                    (grantor, may) = (role, own);
                }
            }
            told(context, &all, grant, object, (wanted, may), Some(&column))?;
            let mut acl: Acl =
                access.columns.iter().find(|own| own.0 == id).map(|own| own.1.clone()).unwrap_or_default();
            change(&mut acl, grant, grantees, grantor, may)?;
            access.columns.retain(|own| own.0 != id);
            access.columns.push((id, acl));
            access.columns.sort_by_key(|own| own.0);
        }
    }
    access.columns.retain(|own| !own.1.is_empty());
    context.txn().set_access(if grant.revokes { "REVOKE" } else { "GRANT" }, access)?;
    Ok(())
}

/// Says so where a role may not grant all, and refuses where it has nothing to do with the object.
fn told(
    context: &Context,
    all: &Catalog,
    grant: &Grant,
    object: &Object,
    (wanted, may): (Privileges, Privileges),
    column: Option<&str>,
) -> Result<()> {
    if may == wanted {
        return Ok(());
    }
    let role = context.role();
    let any = all.privileges(role, object.target, object.target.0.all());
    let of_columns = object.columns.iter();
    let mut of_columns = of_columns
        .map(|own| all.column_privileges(role, object.target.1, own.1, Class::Column.all()))
        .filter(|own| !own.is_empty());
    if may.is_empty() && any.is_empty() && of_columns.next().is_none() {
        return Err(denied(object.kind, &object.name));
    }
    let of = match column {
        Some(column) => format!("column \"{column}\" of relation \"{}\"", object.name),
        None => format!("\"{}\"", object.name),
    };
    let (state, message) = match (grant.revokes, may.is_empty()) {
        (false, true) => ("01007", format!("no privileges were granted for {of}")),
        (false, false) => ("01007", format!("not all privileges were granted for {of}")),
        (true, true) => ("01006", format!("no privileges could be revoked for {of}")),
        (true, false) => ("01006", format!("not all privileges could be revoked for {of}")),
    };
    notice(context, state, message);
    Ok(())
}

/// What GRANT or REVOKE makes of what is granted.
fn change(
    acl: &mut Acl,
    grant: &Grant,
    grantees: &[ObjectId],
    grantor: ObjectId,
    privileges: Privileges,
) -> Result<()> {
    for grantee in grantees {
        put(acl, (*grantee, grantor), privileges, (grant.revokes, grant.option, grant.cascade))?;
    }
    Ok(())
}

/// Adds to what is granted, or takes from it: `(revokes, option, cascade)`.
///
/// # Errors
/// `2BP01` where others have it from who loses it.
pub(super) fn put(
    acl: &mut Acl,
    (grantee, grantor): (ObjectId, ObjectId),
    privileges: Privileges,
    (revokes, option, cascade): (bool, bool, bool),
) -> Result<()> {
    if privileges.is_empty() {
        return Ok(());
    }
    let grantable = if option && grantee != PUBLIC_ROLE { privileges } else { Privileges::NONE };
    let item = AclItem { grantee, grantor, privileges, grantable };
    if !revokes {
        engine::grant(acl, item);
        return Ok(());
    }
    engine::revoke(acl, item, option, cascade).map_err(|_| {
        Error::new("2BP01", "dependent privileges exist").with_hint("Use CASCADE to revoke them too.")
    })
}
