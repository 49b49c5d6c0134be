//! Who may do what: roles, their memberships, and what objects have besides their definitions, an owner, privileges and
//! policies ([decision 0023](../../../../docs/decisions/0023-roles-and-privileges.md)).
//!
//! I1: the role [`BOOTSTRAP`] is always there and a superuser. An object without an [`AccessDescriptor`] is its, and has
//!     the privileges that PostgreSQL gives a new object.
//! I2: whoever has privileges or memberships is in the catalog: a role that anything names cannot be dropped.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::descriptor::{ColumnId, ObjectId};
use super::{Catalog, PUBLIC};
use crate::key_space::{PUBLIC_ID, STORE_TABLE};

/// The number of the role that a database begins with.
pub const BOOTSTRAP: ObjectId = 10;
/// Its name.
pub const BOOTSTRAP_NAME: &str = "cairn";
/// What stands for all roles where a privilege is granted to PUBLIC.
pub const PUBLIC_ROLE: ObjectId = 0;
/// The number under which the access to the database itself is kept: no object has it.
pub const DATABASE_ID: ObjectId = 3;

/// Roles that are always there, with what their members may: their numbers and names.
pub const PREDEFINED: [(ObjectId, &str); 5] = [
    (READ_ALL, "pg_read_all_data"),
    (WRITE_ALL, "pg_write_all_data"),
    (23, "pg_read_server_files"),
    (24, "pg_write_server_files"),
    (MAINTAIN_ALL, "pg_maintain"),
];
const READ_ALL: ObjectId = 21;
const WRITE_ALL: ObjectId = 22;
const MAINTAIN_ALL: ObjectId = 25;

/// Kinds of objects, as far as privileges differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Tables, views, materialized views.
    Table,
    /// Columns of them.
    Column,
    /// Sequences.
    Sequence,
    /// Functions and procedures.
    Routine,
    /// Types and domains.
    Type,
    /// Schemas.
    Schema,
    /// The database.
    Database,
}

impl Class {
    /// The letter that `pg_default_acl` and `acldefault` have for it.
    pub fn letter(self) -> char {
        match self {
            Class::Table => 'r',
            Class::Column => 'c',
            Class::Sequence => 's',
            Class::Routine => 'f',
            Class::Type => 'T',
            Class::Schema => 'n',
            Class::Database => 'd',
        }
    }

    /// All privileges that an object of the kind can have.
    pub fn all(self) -> Privileges {
        use Privileges as P;
        match self {
            Class::Table => {
                P::INSERT
                    | P::SELECT
                    | P::UPDATE
                    | P::DELETE
                    | P::TRUNCATE
                    | P::REFERENCES
                    | P::TRIGGER
                    | P::MAINTAIN
            }
            Class::Column => P::INSERT | P::SELECT | P::UPDATE | P::REFERENCES,
            Class::Sequence => P::SELECT | P::UPDATE | P::USAGE,
            Class::Routine => P::EXECUTE,
            Class::Type => P::USAGE,
            Class::Schema => P::USAGE | P::CREATE,
            Class::Database => P::CREATE | P::TEMPORARY | P::CONNECT,
        }
    }

    /// What PUBLIC has of a new object of the kind.
    fn of_public(self) -> Privileges {
        match self {
            Class::Routine => Privileges::EXECUTE,
            Class::Type => Privileges::USAGE,
            Class::Database => Privileges::TEMPORARY | Privileges::CONNECT,
            Class::Table | Class::Column | Class::Sequence | Class::Schema => Privileges::NONE,
        }
    }
}

/// A set of privileges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Privileges(u16);

impl Privileges {
    /// None.
    pub const NONE: Privileges = Privileges(0);
    /// INSERT.
    pub const INSERT: Privileges = Privileges(1);
    /// SELECT.
    pub const SELECT: Privileges = Privileges(1 << 1);
    /// UPDATE.
    pub const UPDATE: Privileges = Privileges(1 << 2);
    /// DELETE.
    pub const DELETE: Privileges = Privileges(1 << 3);
    /// TRUNCATE.
    pub const TRUNCATE: Privileges = Privileges(1 << 4);
    /// REFERENCES.
    pub const REFERENCES: Privileges = Privileges(1 << 5);
    /// TRIGGER.
    pub const TRIGGER: Privileges = Privileges(1 << 6);
    /// EXECUTE.
    pub const EXECUTE: Privileges = Privileges(1 << 7);
    /// USAGE.
    pub const USAGE: Privileges = Privileges(1 << 8);
    /// CREATE.
    pub const CREATE: Privileges = Privileges(1 << 9);
    /// TEMPORARY.
    pub const TEMPORARY: Privileges = Privileges(1 << 10);
    /// CONNECT.
    pub const CONNECT: Privileges = Privileges(1 << 11);
    /// MAINTAIN.
    pub const MAINTAIN: Privileges = Privileges(1 << 12);

    /// Those of which one lets draw the next value of a sequence.
    pub const DRAW: Privileges = Privileges(Self::USAGE.0 | Self::UPDATE.0);

    /// Each with its letter and its name, in the order of PostgreSQL's lists.
    pub const ALL: [(Privileges, char, &'static str); 13] = [
        (Privileges::INSERT, 'a', "INSERT"),
        (Privileges::SELECT, 'r', "SELECT"),
        (Privileges::UPDATE, 'w', "UPDATE"),
        (Privileges::DELETE, 'd', "DELETE"),
        (Privileges::TRUNCATE, 'D', "TRUNCATE"),
        (Privileges::REFERENCES, 'x', "REFERENCES"),
        (Privileges::TRIGGER, 't', "TRIGGER"),
        (Privileges::EXECUTE, 'X', "EXECUTE"),
        (Privileges::USAGE, 'U', "USAGE"),
        (Privileges::CREATE, 'C', "CREATE"),
        (Privileges::TEMPORARY, 'T', "TEMPORARY"),
        (Privileges::CONNECT, 'c', "CONNECT"),
        (Privileges::MAINTAIN, 'm', "MAINTAIN"),
    ];

    /// As stored.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// From what is stored; `None` where a bit has no meaning.
    pub fn from_bits(bits: u16) -> Option<Privileges> {
        (bits < 1 << Self::ALL.len()).then_some(Privileges(bits))
    }

    /// The privilege of that name, in capitals.
    pub fn named(name: &str) -> Option<Privileges> {
        match name {
            "TEMP" => Some(Self::TEMPORARY),
            name => Self::ALL.iter().find(|own| own.2 == name).map(|own| own.0),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of these are among them.
    pub fn contains(self, other: Privileges) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those that are in both.
    pub fn and(self, other: Privileges) -> Privileges {
        Privileges(self.0 & other.0)
    }

    /// Those that are not in the other.
    pub fn without(self, other: Privileges) -> Privileges {
        Privileges(self.0 & !other.0)
    }

    /// One by one.
    pub fn each(self) -> impl Iterator<Item = (Privileges, char, &'static str)> {
        Self::ALL.into_iter().filter(move |own| self.contains(own.0))
    }
}

impl std::ops::BitOr for Privileges {
    type Output = Privileges;
    fn bitor(self, other: Privileges) -> Privileges {
        Privileges(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Privileges {
    fn bitor_assign(&mut self, other: Privileges) {
        self.0 |= other.0;
    }
}

/// What one role has granted to another, or to [`PUBLIC_ROLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclItem {
    /// Who has them.
    pub grantee: ObjectId,
    /// Who gave them.
    pub grantor: ObjectId,
    /// What.
    pub privileges: Privileges,
    /// Those of them that the grantee may grant (WITH GRANT OPTION).
    pub grantable: Privileges,
}

/// Privileges of an object.
pub type Acl = Vec<AclItem>;

/// A policy of row-level security.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Name, unique within the table.
    pub name: String,
    /// PERMISSIVE, or else RESTRICTIVE.
    pub permissive: bool,
    /// `r` SELECT, `a` INSERT, `w` UPDATE, `d` DELETE, `*` ALL.
    pub command: char,
    /// Whom it concerns; [`PUBLIC_ROLE`] is everybody.
    pub roles: Vec<ObjectId>,
    /// USING, as SQL text.
    pub using: Option<String>,
    /// WITH CHECK, as SQL text.
    pub check: Option<String>,
    /// The table's columns in these texts.
    pub columns: Vec<ColumnId>,
}

/// What an object has besides its definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessDescriptor {
    /// The object.
    pub id: ObjectId,
    /// Its owner.
    pub owner: ObjectId,
    /// Privileges; `None` are those of a new object.
    pub acl: Option<Acl>,
    /// Privileges of columns.
    pub columns: Vec<(ColumnId, Acl)>,
    /// ENABLE ROW LEVEL SECURITY.
    pub row_security: bool,
    /// FORCE ROW LEVEL SECURITY.
    pub force_row_security: bool,
    /// Policies, by name.
    pub policies: Vec<Policy>,
}

impl AccessDescriptor {
    /// That of an object which has none of its own (I1).
    pub fn new(id: ObjectId) -> Self {
        Self {
            id,
            owner: BOOTSTRAP,
            acl: None,
            columns: Vec::new(),
            row_security: false,
            force_row_security: false,
            policies: Vec::new(),
        }
    }

    /// Whether it says nothing that would not be so without it.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::new(self.id)
    }

    /// Whether it names a role.
    pub fn names(&self, role: ObjectId) -> bool {
        let in_acl = |acl: &Acl| acl.iter().any(|item| item.grantee == role || item.grantor == role);
        self.owner == role
            || self.acl.as_ref().is_some_and(in_acl)
            || self.columns.iter().any(|(_, acl)| in_acl(acl))
            || self.policies.iter().any(|policy| policy.roles.contains(&role))
    }
}

/// That a role is a member of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The other.
    pub role: ObjectId,
    /// Who granted it.
    pub grantor: ObjectId,
    /// WITH ADMIN.
    pub admin: bool,
    /// WITH INHERIT.
    pub inherit: bool,
    /// WITH SET.
    pub set: bool,
}

/// What objects of a kind that a role makes have from the beginning (ALTER DEFAULT PRIVILEGES).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultPrivileges {
    /// In this schema only.
    pub schema: Option<ObjectId>,
    /// Of this kind.
    pub class: Class,
    /// All that they have; with a schema, what they have besides.
    pub acl: Acl,
}

/// A role: a user, a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDescriptor {
    /// Number.
    pub id: ObjectId,
    /// Name, unique among roles.
    pub name: String,
    /// SUPERUSER.
    pub superuser: bool,
    /// INHERIT.
    pub inherit: bool,
    /// CREATEROLE.
    pub create_role: bool,
    /// CREATEDB.
    pub create_db: bool,
    /// LOGIN.
    pub login: bool,
    /// REPLICATION.
    pub replication: bool,
    /// BYPASSRLS.
    pub bypass_rls: bool,
    /// CONNECTION LIMIT; -1 is none.
    pub connection_limit: i32,
    /// PASSWORD: a SCRAM-SHA-256 verifier.
    pub password: Option<String>,
    /// VALID UNTIL, microseconds since 1970 UTC; `i64::MAX` is infinity.
    pub valid_until: Option<i64>,
    /// What its sessions begin with (ALTER ROLE … SET), by name.
    pub settings: Vec<(String, String)>,
    /// The roles that it is a member of.
    pub member_of: Vec<Membership>,
    /// What objects that it makes have.
    pub defaults: Vec<DefaultPrivileges>,
    /// COMMENT ON ROLE.
    pub comment: Option<String>,
}

impl RoleDescriptor {
    /// A role as CREATE ROLE without options makes it.
    pub fn new(id: ObjectId, name: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            superuser: false,
            inherit: true,
            create_role: false,
            create_db: false,
            login: false,
            replication: false,
            bypass_rls: false,
            connection_limit: -1,
            password: None,
            valid_until: None,
            settings: Vec::new(),
            member_of: Vec::new(),
            defaults: Vec::new(),
            comment: None,
        }
    }

    /// The role that a database begins with.
    pub(crate) fn bootstrap() -> Self {
        Self {
            superuser: true,
            create_role: true,
            create_db: true,
            login: true,
            bypass_rls: true,
            ..Self::new(BOOTSTRAP, BOOTSTRAP_NAME)
        }
    }
}

/// An object with the kind that it is.
pub type Target = (Class, ObjectId);

impl Catalog {
    /// The role of that name.
    pub fn role_named(&self, name: &str) -> Option<&Arc<RoleDescriptor>> {
        self.roles.values().find(|role| role.name == name)
    }

    /// The role of that number.
    pub fn role(&self, id: ObjectId) -> Option<&Arc<RoleDescriptor>> {
        self.roles.get(&id)
    }

    /// All roles, by number.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<RoleDescriptor>> {
        self.roles.values()
    }

    /// What an object has besides its definition, where that is anything.
    pub fn access(&self, id: ObjectId) -> Option<&Arc<AccessDescriptor>> {
        self.access.get(&id)
    }

    /// All of these, by object.
    pub fn all_access(&self) -> impl Iterator<Item = &Arc<AccessDescriptor>> {
        self.access.values()
    }

    /// The owner of an object.
    pub fn owner(&self, id: ObjectId) -> ObjectId {
        self.access.get(&id).map_or(BOOTSTRAP, |access| access.owner)
    }

    /// The privileges of an object, as granted or as a new one has them.
    pub fn acl(&self, (class, id): Target) -> Acl {
        let granted = self.access.get(&id).and_then(|access| access.acl.clone());
        granted.unwrap_or_else(|| match (class, id) {
            // As PostgreSQL's initdb leaves it: all may use it, its owner may make things in it.
            (Class::Schema, PUBLIC_ID) => {
                let owner = self.owner(id);
                let item = |grantee, privileges| AclItem {
                    grantee,
                    grantor: owner,
                    privileges,
                    grantable: Privileges::NONE,
                };
                vec![item(owner, Class::Schema.all()), item(PUBLIC_ROLE, Privileges::USAGE)]
            }
            _ => default_acl(class, self.owner(id)),
        })
    }

    /// Whether a role is a superuser. One look for the role that databases begin with.
    pub fn is_superuser(&self, role: ObjectId) -> bool {
        role == BOOTSTRAP || self.roles.get(&role).is_some_and(|role| role.superuser)
    }

    /// Whether row-level security does not concern a role.
    pub fn bypasses_rls(&self, role: ObjectId) -> bool {
        role == BOOTSTRAP || self.roles.get(&role).is_some_and(|role| role.superuser || role.bypass_rls)
    }

    /// The role and those whose privileges it has without SET ROLE.
    pub fn inherited(&self, role: ObjectId) -> BTreeSet<ObjectId> {
        self.closure(role, |own| own.inherit)
    }

    /// The role and all that it is a member of, directly or not.
    pub fn member_of(&self, role: ObjectId) -> BTreeSet<ObjectId> {
        self.closure(role, |_| true)
    }

    /// The role and those that SET ROLE may take.
    pub fn settable(&self, role: ObjectId) -> BTreeSet<ObjectId> {
        self.closure(role, |own| own.set)
    }

    fn closure(&self, role: ObjectId, follows: impl Fn(&Membership) -> bool) -> BTreeSet<ObjectId> {
        let mut found = BTreeSet::from([role]);
        let mut open = vec![role];
        while let Some(next) = open.pop() {
            let memberships = self.roles.get(&next).map(|role| &role.member_of[..]).unwrap_or_default();
            for own in memberships.iter().filter(|own| follows(own)) {
                if found.insert(own.role) {
                    open.push(own.role);
                }
            }
        }
        found
    }

    /// Whether `role` has the privileges of `other`: a superuser has all.
    pub fn has_privileges_of(&self, role: ObjectId, other: ObjectId) -> bool {
        role == other || self.is_superuser(role) || self.inherited(role).contains(&other)
    }

    /// Whether `role` may SET ROLE to `other`.
    pub fn may_become(&self, role: ObjectId, other: ObjectId) -> bool {
        role == other || self.is_superuser(role) || self.settable(role).contains(&other)
    }

    /// Whether `role` may grant membership of `other`.
    pub fn is_admin_of(&self, role: ObjectId, other: ObjectId) -> bool {
        let of = |id: &ObjectId| {
            let all = self.roles.get(id).map(|role| &role.member_of[..]).unwrap_or_default();
            all.iter().any(|own| own.role == other && own.admin)
        };
        self.is_superuser(role) || self.inherited(role).iter().any(of)
    }

    /// Which of the privileges a role has on an object; a superuser has all.
    pub fn privileges(&self, role: ObjectId, target: Target, wanted: Privileges) -> Privileges {
        if self.is_superuser(role) {
            return wanted;
        }
        let roles = self.inherited(role);
        let mut all = held(&self.acl(target), &roles).0;
        for (id, _) in PREDEFINED.iter().filter(|own| roles.contains(&own.0)) {
            all |= predefined(*id, target.0);
        }
        all.and(wanted)
    }

    /// Which of the privileges a role may grant: as owner all, else those that it has WITH GRANT OPTION.
    pub fn grantable(&self, role: ObjectId, target: Target, wanted: Privileges) -> Privileges {
        if self.has_privileges_of(role, self.owner(target.1)) {
            return wanted;
        }
        held(&self.acl(target), &self.inherited(role)).1.and(wanted)
    }

    /// Which of the privileges a role has on a column itself.
    pub fn column_privileges(
        &self,
        role: ObjectId,
        table: ObjectId,
        column: ColumnId,
        wanted: Privileges,
    ) -> Privileges {
        if self.is_superuser(role) {
            return wanted;
        }
        let access = self.access.get(&table);
        let acl = access.and_then(|access| access.columns.iter().find(|own| own.0 == column));
        acl.map_or(Privileges::NONE, |(_, acl)| held(acl, &self.inherited(role)).0.and(wanted))
    }

    /// What a new object that a role makes in a schema has; `None` is what every new object has.
    pub fn default_privileges(&self, role: ObjectId, schema: Option<ObjectId>, class: Class) -> Option<Acl> {
        let role_of = self.roles.get(&role)?;
        if role_of.defaults.is_empty() {
            return None;
        }
        let of = |schema| role_of.defaults.iter().find(|own| own.class == class && own.schema == schema);
        let (all, within) = (of(None), schema.and_then(|schema| of(Some(schema))));
        if all.is_none() && within.is_none() {
            return None;
        }
        let mut acl = all.map_or_else(|| default_acl(class, role), |own| own.acl.clone());
        for item in within.into_iter().flat_map(|own| &own.acl) {
            grant(&mut acl, *item);
        }
        Some(acl)
    }

    /// The policies of a table that concern what a role does to it; `None` where none keep any rows from it.
    pub fn row_security(&self, role: ObjectId, table: ObjectId) -> Option<&Arc<AccessDescriptor>> {
        let access = self.access.get(&table).filter(|access| access.row_security)?;
        let exempt = self.bypasses_rls(role)
            || (!access.force_row_security && self.has_privileges_of(role, access.owner));
        (!exempt).then_some(access)
    }

    pub(crate) fn put_role(&mut self, role: RoleDescriptor) {
        self.roles.insert(role.id, Arc::new(role));
    }

    pub(crate) fn remove_role(&mut self, id: ObjectId) {
        self.roles.remove(&id);
    }

    pub(crate) fn put_access(&mut self, access: AccessDescriptor) {
        self.access.insert(access.id, Arc::new(access));
    }

    pub(crate) fn remove_access(&mut self, id: ObjectId) {
        self.access.remove(&id);
    }

    /// The kind and the name, in words, of the object of that number.
    pub fn describe(&self, id: ObjectId) -> Option<(Class, String)> {
        let shown = |schema: &str, name: &str| match schema {
            PUBLIC => name.to_owned(),
            schema => format!("{schema}.{name}"),
        };
        if id == DATABASE_ID {
            return Some((Class::Database, format!("database {BOOTSTRAP_NAME}")));
        }
        if id == STORE_TABLE {
            return Some((Class::Table, "table store".to_owned()));
        }
        if let Some(table) = self.table_by_id(id) {
            let word = if table.materialized.is_some() { "materialized view" } else { "table" };
            return Some((Class::Table, format!("{word} {}", shown(&table.schema, &table.name))));
        }
        if let Some(view) = self.view_by_id(id) {
            return Some((Class::Table, format!("view {}", shown(&view.schema, &view.name))));
        }
        if let Some(own) = self.sequence_by_id(id) {
            return Some((Class::Sequence, format!("sequence {}", shown(&own.schema, &own.name))));
        }
        if let Some(own) = self.routine_by_id(id) {
            let signature = shown(&own.schema, &own.signature());
            return Some((Class::Routine, format!("{} {signature}", own.word())));
        }
        if let Some(own) = self.type_by_id(id) {
            return Some((Class::Type, format!("type {}", shown(&own.schema, &own.name))));
        }
        let schema = self.schemas().find(|schema| schema.id == id)?;
        Some((Class::Schema, format!("schema {}", schema.name)))
    }
}

/// What members of a role that is always there may do with every object of a kind.
fn predefined(role: ObjectId, class: Class) -> Privileges {
    use Privileges as P;
    match (role, class) {
        (READ_ALL, Class::Table | Class::Sequence) => P::SELECT,
        (WRITE_ALL, Class::Table) => P::INSERT | P::UPDATE | P::DELETE,
        (WRITE_ALL, Class::Sequence) => P::UPDATE,
        (READ_ALL | WRITE_ALL, Class::Schema) => P::USAGE,
        (MAINTAIN_ALL, Class::Table) => P::MAINTAIN,
        _ => P::NONE,
    }
}

/// The privileges of a new object of a kind.
pub fn default_acl(class: Class, owner: ObjectId) -> Acl {
    let item =
        |grantee, privileges| AclItem { grantee, grantor: owner, privileges, grantable: Privileges::NONE };
    let mut acl = Vec::new();
    if class == Class::Column {
        return acl;
    }
    if !class.of_public().is_empty() {
        acl.push(item(PUBLIC_ROLE, class.of_public()));
    }
    acl.push(item(owner, class.all()));
    acl
}

/// What some roles have together, and what of it they may grant.
fn held(acl: &Acl, roles: &BTreeSet<ObjectId>) -> (Privileges, Privileges) {
    let (mut all, mut grantable) = (Privileges::NONE, Privileges::NONE);
    for item in acl {
        if item.grantee == PUBLIC_ROLE || roles.contains(&item.grantee) {
            all |= item.privileges;
            grantable |= item.grantable;
        }
    }
    (all, grantable)
}

/// Adds to what is granted.
pub fn grant(acl: &mut Acl, item: AclItem) {
    let same = |own: &&mut AclItem| own.grantee == item.grantee && own.grantor == item.grantor;
    match acl.iter_mut().find(same) {
        Some(own) => {
            own.privileges |= item.privileges;
            own.grantable |= item.grantable;
        }
        None => acl.push(item),
    }
}

/// Takes from a grantee what a grantor gave, or only the option to grant it; with what was granted by it to others.
///
/// # Errors
/// The privileges that others have by it, where `cascade` is false.
pub fn revoke(acl: &mut Acl, item: AclItem, option_only: bool, cascade: bool) -> Result<(), Privileges> {
    let AclItem { grantee, grantor, privileges, .. } = item;
    let Some(own) = acl.iter_mut().find(|own| own.grantee == grantee && own.grantor == grantor) else {
        return Ok(());
    };
    let lost = own.grantable.and(privileges);
    own.grantable = own.grantable.without(privileges);
    if !option_only {
        own.privileges = own.privileges.without(privileges);
    }
    acl.retain(|own| !own.privileges.is_empty());
    // What it may still grant, as another has given it that, too.
    let still = acl.iter().filter(|own| own.grantee == grantee);
    let still = still.fold(Privileges::NONE, |all, own| all | own.grantable);
    let lost = lost.without(still);
    if lost.is_empty() || grantee == PUBLIC_ROLE {
        return Ok(());
    }
    let depending: Vec<AclItem> = acl
        .iter()
        .filter(|own| own.grantor == grantee && !own.privileges.and(lost).is_empty())
        .copied()
        .collect();
    if depending.is_empty() {
        return Ok(());
    }
    if !cascade {
        return Err(lost);
    }
    for own in depending {
        revoke(acl, AclItem { privileges: own.privileges.and(lost), ..own }, false, true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn item(grantee: ObjectId, grantor: ObjectId, privileges: Privileges, option: bool) -> AclItem {
        let grantable = if option { privileges } else { Privileges::NONE };
        AclItem { grantee, grantor, privileges, grantable }
    }

    #[test]
    fn what_was_granted_on_goes_with_cascade_only() {
        let mut acl = default_acl(Class::Table, 10);
        grant(&mut acl, item(11, 10, Privileges::SELECT, true));
        grant(&mut acl, item(12, 11, Privileges::SELECT, false));
        let taken = item(11, 10, Privileges::SELECT, false);
        assert_eq!(revoke(&mut acl.clone(), taken, false, false), Err(Privileges::SELECT));
        revoke(&mut acl, taken, false, true).unwrap();
        assert_eq!(acl, default_acl(Class::Table, 10));
    }

    #[test]
    fn memberships_are_followed_as_their_options_say() {
        let mut catalog = Catalog::default();
        let member = |role, inherit, set| Membership { role, grantor: BOOTSTRAP, admin: false, inherit, set };
        catalog.put_role(RoleDescriptor::new(1000, "a"));
        catalog.put_role(RoleDescriptor {
            member_of: vec![member(1000, false, true)],
            ..RoleDescriptor::new(1001, "b")
        });
        catalog.put_role(RoleDescriptor {
            member_of: vec![member(1001, true, false)],
            ..RoleDescriptor::new(1002, "c")
        });
        assert_eq!(catalog.inherited(1002), BTreeSet::from([1001, 1002]));
        assert_eq!(catalog.settable(1001), BTreeSet::from([1000, 1001]));
        assert!(!catalog.may_become(1002, 1001) && catalog.member_of(1002).contains(&1000));
    }
}
