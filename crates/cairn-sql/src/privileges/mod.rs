//! Who may do what ([decision 0023](../../../docs/decisions/0023-roles-and-privileges.md)).
//!
//! ```text
//!   statement ─ CREATE ROLE, GRANT, OWNER TO … (`statement`) ─→ roles, grants, policies ─→ engine
//!   a name in FROM ─ query::plan ─→ relations: SELECT, columns, policies
//!   INSERT, UPDATE, DELETE, MERGE, COPY ─→ changes: privileges, WITH CHECK
//!   other DDL ─→ owner, CREATE on the schema: here
//! ```
//! I1. What is checked is what the transaction sees of the catalog now, also where a query reads the past.
//! I2. Plans are kept with the role that they were made for, and are of one version of the catalog, which GRANT and REVOKE
//!     change: a kept plan needs no check.
//! I3. Rows that a policy keeps back never reach an expression of the query (`relations::Secured`).

pub(crate) mod changes;
mod columns;
mod defaults;
pub(crate) mod errors;
mod grants;
pub(crate) mod login;
mod objects;
pub(crate) mod policies;
pub(crate) mod relations;
mod roles;
pub(crate) mod schemas;
pub(crate) mod scram;
pub(crate) mod shown;
pub(crate) mod statement;
mod syntax;

use std::sync::Arc;

use cairn_engine::catalog::{
    BOOTSTRAP, Class, DATABASE_ID, ObjectId, PUBLIC_ROLE, Privileges, Relation, RoutineDescriptor, Target,
    TypeDescriptor,
};
use cairn_engine::{Catalog, Transaction};

use crate::context::Context;
use crate::session::settings::Settings;
use crate::session::temporary;
use crate::{Error, Result};

pub(crate) use columns::check as check_columns;

impl Context {
    /// Whose privileges count.
    pub(crate) fn role(&self) -> ObjectId {
        self.scope.settings.identity.current
    }

    /// Whether nothing is to be checked.
    pub(crate) fn is_superuser(&self) -> bool {
        let role = self.role();
        role == BOOTSTRAP || self.txn().catalog().is_superuser(role)
    }
}

/// `42501`.
pub(crate) fn denied(kind: &str, name: &str) -> Error {
    Error::new("42501", format!("permission denied for {kind} {name}"))
}

fn not_owner(kind: &str, name: &str) -> Error {
    Error::new("42501", format!("must be owner of {kind} {name}"))
}

/// The word for a relation.
pub(crate) fn word(relation: &Relation) -> &'static str {
    match relation {
        Relation::Table(table) if table.materialized.is_some() => "materialized view",
        Relation::Table(_) => "table",
        Relation::View(_) => "view",
        Relation::Sequence(_) => "sequence",
        Relation::Index(..) => "index",
    }
}

/// A relation's name, what is granted on it, and the number that it goes by.
pub(crate) fn target_of(relation: &Relation) -> (&str, Target) {
    match relation {
        Relation::Table(table) | Relation::Index(table, _) => (&table.name, (Class::Table, table.id)),
        Relation::View(view) => (&view.name, (Class::Table, view.id)),
        Relation::Sequence(sequence) => (&sequence.name, (Class::Sequence, sequence.id)),
    }
}

/// Refuses what only the owner of a relation may do.
///
/// # Errors
/// `42501`.
pub(crate) fn require_owner(context: &Context, relation: &Relation) -> Result<()> {
    if context.is_superuser() {
        return Ok(());
    }
    let (name, (_, id)) = target_of(relation);
    let name = match relation {
        Relation::Index(table, 0) => table.primary_key_name.clone(),
        Relation::Index(table, index) => {
            let found = table.indexes.iter().find(|own| own.id == *index);
            found.map(|own| own.name.clone()).unwrap_or_default()
        }
        _ => name.to_owned(),
    };
    own(context, id, word(relation), &name)
}

/// Refuses what only the owner of a relation, or of its schema, may do.
///
/// # Errors
/// `42501`.
pub(crate) fn require_owner_to_drop(context: &Context, schema: &str, relation: &Relation) -> Result<()> {
    match owns_schema(context, schema) {
        true => Ok(()),
        false => require_owner(context, relation),
    }
}

fn own(context: &Context, id: ObjectId, kind: &str, name: &str) -> Result<()> {
    let catalog = context.txn().catalog();
    match catalog.has_privileges_of(context.role(), catalog.owner(id)) {
        true => Ok(()),
        false => Err(not_owner(kind, name)),
    }
}

fn owns_schema(context: &Context, schema: &str) -> bool {
    let catalog = context.txn().catalog();
    let owner = catalog.schema(schema).map(|schema| catalog.owner(schema.id));
    owner.is_some_and(|owner| catalog.has_privileges_of(context.role(), owner))
}

/// The same of a schema.
///
/// # Errors
/// `42501`.
pub(crate) fn require_schema_owner(context: &Context, schema: &str) -> Result<()> {
    match context.txn().catalog().schema(schema) {
        Some(_) if !owns_schema(context, schema) => Err(not_owner("schema", schema)),
        _ => Ok(()),
    }
}

/// The same of the database.
///
/// # Errors
/// `42501`.
pub(crate) fn require_database_owner(context: &Context) -> Result<()> {
    own(context, DATABASE_ID, "database", crate::catalog::DATABASE)
}

/// The same of a function or procedure; `drops`: the owner of its schema may, too.
///
/// # Errors
/// `42501`.
pub(crate) fn require_routine_owner(context: &Context, own: &RoutineDescriptor, drops: bool) -> Result<()> {
    if context.is_superuser() || drops && owns_schema(context, &own.schema) {
        return Ok(());
    }
    self::own(context, own.id, own.word(), &own.name)
}

/// The same of a type.
///
/// # Errors
/// `42501`.
pub(crate) fn require_type_owner(context: &Context, ty: &TypeDescriptor, drops: bool) -> Result<()> {
    if context.is_superuser() || drops && owns_schema(context, &ty.schema) {
        return Ok(());
    }
    own(context, ty.id, if ty.is_domain() { "domain" } else { "type" }, &ty.name)
}

/// Refuses to make things in a schema without CREATE on it.
///
/// # Errors
/// `42501`.
pub(crate) fn require_create(context: &Context, schema: &str) -> Result<()> {
    if context.is_superuser() {
        return Ok(());
    }
    let catalog = context.txn().catalog();
    if temporary::is_temporary(schema) {
        return require_database(context, Privileges::TEMPORARY, || {
            let message = format!(
                "permission denied to create temporary tables in database \"{}\"",
                crate::catalog::DATABASE
            );
            Error::new("42501", message)
        });
    }
    match catalog.schema(schema) {
        Some(found) if !holds(&catalog, context.role(), (Class::Schema, found.id), Privileges::CREATE) => {
            Err(denied("schema", schema))
        }
        _ => Ok(()),
    }
}

/// Refuses what needs a privilege on the database.
///
/// # Errors
/// `42501`, in the words given.
pub(crate) fn require_database(
    context: &Context,
    wanted: Privileges,
    refusal: impl FnOnce() -> Error,
) -> Result<()> {
    let catalog = context.txn().catalog();
    match holds(&catalog, context.role(), (Class::Database, DATABASE_ID), wanted) {
        true => Ok(()),
        false => Err(refusal()),
    }
}

/// Refuses to look into a schema without USAGE on it.
///
/// # Errors
/// `42501`.
pub(crate) fn require_usage(catalog: &Catalog, role: ObjectId, schema: &str) -> Result<()> {
    match can_use(catalog, role, schema) {
        true => Ok(()),
        false => Err(denied("schema", schema)),
    }
}

fn can_use(catalog: &Catalog, role: ObjectId, schema: &str) -> bool {
    // A session's own is its own.
    if role == BOOTSTRAP || temporary::is_temporary(schema) {
        return true;
    }
    let found = catalog.schema(schema);
    found.is_none_or(|found| holds(catalog, role, (Class::Schema, found.id), Privileges::USAGE))
}

fn holds(catalog: &Catalog, role: ObjectId, target: Target, wanted: Privileges) -> bool {
    catalog.privileges(role, target, wanted) == wanted
}

/// Refuses to use a sequence without one of the privileges.
///
/// # Errors
/// `42501`.
pub(crate) fn require_sequence(
    context: &Context,
    id: ObjectId,
    name: &str,
    any_of: Privileges,
) -> Result<()> {
    let role = context.role();
    if role == BOOTSTRAP {
        return Ok(());
    }
    match context.txn().catalog().privileges(role, (Class::Sequence, id), any_of).is_empty() {
        true => Err(denied("sequence", name)),
        false => Ok(()),
    }
}

/// Refuses to run a function or procedure without EXECUTE.
///
/// # Errors
/// `42501`.
pub(crate) fn require_execute(context: &Context, routine: &RoutineDescriptor) -> Result<()> {
    let role = context.role();
    if role == BOOTSTRAP {
        return Ok(());
    }
    let catalog = context.txn().catalog();
    match holds(&catalog, role, (Class::Routine, routine.id), Privileges::EXECUTE) {
        true => Ok(()),
        false => Err(denied(routine.word(), &routine.name)),
    }
}

/// Refuses a type without USAGE on it.
///
/// # Errors
/// `42501`.
pub(crate) fn require_type(context: &Context, ty: &TypeDescriptor) -> Result<()> {
    let catalog = context.txn().catalog();
    let known = catalog.type_by_id(ty.id).is_some();
    match known && !holds(&catalog, context.role(), (Class::Type, ty.id), Privileges::USAGE) {
        true => Err(denied("type", &ty.name)),
        false => Ok(()),
    }
}

/// Refuses what needs a privilege on a relation as a whole.
///
/// # Errors
/// `42501`.
pub(crate) fn require_relation(context: &Context, relation: &Relation, wanted: Privileges) -> Result<()> {
    if context.is_superuser() {
        return Ok(());
    }
    let (name, target) = target_of(relation);
    match holds(&context.txn().catalog(), context.role(), target, wanted) {
        true => Ok(()),
        false => Err(denied(word(relation), name)),
    }
}

/// Refuses what needs one of some privileges on a relation.
///
/// # Errors
/// `42501`.
pub(crate) fn require_any(context: &Context, relation: &Relation, any_of: Privileges) -> Result<()> {
    let (name, target) = target_of(relation);
    match context.txn().catalog().privileges(context.role(), target, any_of).is_empty() {
        true => Err(denied(word(relation), name)),
        false => Ok(()),
    }
}

/// The same statement as the owner of an object.
pub(crate) fn as_owner(context: &Context, id: ObjectId) -> Context {
    let owner = context.txn().catalog().owner(id);
    if owner == context.role() {
        return context.clone();
    }
    let settings = &context.scope.settings;
    let mut settings = Settings::clone(settings);
    settings.identity = Arc::new(settings.identity.definer(owner));
    context.with_settings(Arc::new(settings))
}

/// Whether a role may have a relation put in order: MAINTAIN, or as its owner.
pub(crate) fn may_maintain(context: &Context, relation: &Relation) -> bool {
    require_relation(context, relation, Privileges::MAINTAIN).is_ok()
        || require_owner(context, relation).is_ok()
}

/// Whether a role may know what is in a column of a table.
pub(crate) fn may_see(context: &Context, table: ObjectId, column: u32) -> bool {
    let (role, wanted) = (context.role(), Privileges::SELECT);
    let catalog = context.txn().catalog();
    let granted = !catalog.privileges(role, (Class::Table, table), wanted).is_empty()
        || !catalog.column_privileges(role, table, column, wanted).is_empty();
    granted && catalog.row_security(role, table).is_none()
}

/// Whether `information_schema` shows a relation to a role: as its owner, or where it may do anything with it.
pub(crate) fn may_know(context: &Context, id: ObjectId) -> bool {
    let role = context.role();
    let catalog = context.txn().catalog();
    let of_columns = || {
        let columns = catalog.access(id).map(|access| &access.columns[..]).unwrap_or_default();
        columns.iter().any(|own| !catalog.column_privileges(role, id, own.0, Class::Column.all()).is_empty())
    };
    catalog.has_privileges_of(role, catalog.owner(id))
        || !catalog.privileges(role, (Class::Table, id), Class::Table.all()).is_empty()
        || of_columns()
}

/// What members of `pg_read_server_files` may do, and who they are.
pub(crate) const FILE_READERS: (&str, &str) = ("COPY from a file", "pg_read_server_files");
/// What members of `pg_write_server_files` may do.
pub(crate) const FILE_WRITERS: (&str, &str) = ("COPY to a file", "pg_write_server_files");

/// Refuses files to all but superusers and the members of a role.
///
/// # Errors
/// `42501`.
pub(crate) fn require_files(context: &Context, who: ObjectId, (what, role): (&str, &str)) -> Result<()> {
    let catalog = context.txn().catalog();
    let readers = catalog.role_named(role).map(|role| role.id);
    if readers.is_some_and(|readers| catalog.has_privileges_of(who, readers)) {
        return Ok(());
    }
    let detail = format!("Only roles with privileges of the \"{role}\" role may {what}.");
    Err(Error::new("42501", format!("permission denied to {what}"))
        .with_detail(detail)
        .with_hint("Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone."))
}

/// The settings with the schemas of the search path that a role may look into, its own for `$user`.
pub(crate) fn with_path(txn: &Transaction, settings: Arc<Settings>) -> Arc<Settings> {
    let role = settings.identity.current;
    if role == BOOTSTRAP {
        return settings;
    }
    let catalog = txn.catalog();
    let mut path = settings.search_path.clone();
    if let Some(at) = settings.user_schema_at()
        && let Some(role) = catalog.role(role)
        && catalog.schema(&role.name).is_some()
    {
        path.insert(at.min(path.len()), role.name.clone());
    }
    path.retain(|schema| can_use(&catalog, role, schema));
    if path == settings.search_path {
        return settings;
    }
    let mut own = Settings::clone(&settings);
    own.search_path = path;
    Arc::new(own)
}

/// The name of a role, as it is shown.
pub(crate) fn role_name(catalog: &Catalog, id: ObjectId) -> String {
    match catalog.role(id) {
        _ if id == PUBLIC_ROLE => "public".to_owned(),
        Some(role) => role.name.clone(),
        None => id.to_string(),
    }
}
