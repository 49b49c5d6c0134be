//! Who may do what, as the catalog says: memberships followed, privileges added up, what GRANT and REVOKE make of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::access::{
    AccessDescriptor, Acl, AclItem, BOOTSTRAP, BOOTSTRAP_NAME, Class, DATABASE_ID, MAINTAIN_ALL, Membership,
    PREDEFINED, PUBLIC_ROLE, Privileges, READ_ALL, RoleDescriptor, WRITE_ALL,
};
use super::descriptor::{ColumnId, ObjectId};
use super::{Catalog, PUBLIC};
use crate::key_space::{PUBLIC_ID, STORE_TABLE};

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
