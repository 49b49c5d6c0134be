//! Who may do what: roles, their memberships, and what objects have besides their definitions, an owner, privileges and
//! policies ([decision 0023](../../../../docs/decisions/0023-roles-and-privileges.md)).
//!
//! I1: the role [`BOOTSTRAP`] is always there and a superuser. An object without an [`AccessDescriptor`] is its, and has
//!     the privileges that PostgreSQL gives a new object.
//! I2: whoever has privileges or memberships is in the catalog: a role that anything names cannot be dropped.

use super::descriptor::{ColumnId, ObjectId};

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
pub(super) const READ_ALL: ObjectId = 21;
pub(super) const WRITE_ALL: ObjectId = 22;
pub(super) const MAINTAIN_ALL: ObjectId = 25;

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
    pub(super) fn of_public(self) -> Privileges {
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
