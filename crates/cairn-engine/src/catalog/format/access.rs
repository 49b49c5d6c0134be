//! The bytes of roles and of access; specified in `docs/format/catalog.md`.

use super::{Decoder, Descriptor, Encoder};
use crate::catalog::access::{
    AccessDescriptor, Acl, AclItem, Class, DefaultPrivileges, Membership, Policy, Privileges, RoleDescriptor,
};
use crate::error::Result;

const CLASSES: [Class; 7] = [
    Class::Table,
    Class::Column,
    Class::Sequence,
    Class::Routine,
    Class::Type,
    Class::Schema,
    Class::Database,
];
const COMMANDS: [char; 5] = ['*', 'r', 'a', 'w', 'd'];

fn write_acl(out: &mut Encoder, acl: &Acl) {
    out.list(acl, |out, item| {
        out.u32(item.grantee);
        out.u32(item.grantor);
        out.u16(item.privileges.bits());
        out.u16(item.grantable.bits());
    });
}

fn read_privileges(from: &mut Decoder<'_>) -> Result<Privileges> {
    let bits = from.u16()?;
    Privileges::from_bits(bits).ok_or_else(|| from.damage(&format!("privileges {bits:#x}")))
}

fn read_acl(from: &mut Decoder<'_>) -> Result<Acl> {
    from.list(|from| {
        Ok(AclItem {
            grantee: from.u32()?,
            grantor: from.u32()?,
            privileges: read_privileges(from)?,
            grantable: read_privileges(from)?,
        })
    })
}

impl Descriptor for AccessDescriptor {
    const WHAT: &'static str = "access";

    fn write(&self, out: &mut Encoder) -> Result<()> {
        out.u32(self.id);
        out.u32(self.owner);
        out.option(&self.acl, write_acl);
        out.list(&self.columns, |out, (column, acl)| {
            out.u32(*column);
            write_acl(out, acl);
        });
        out.bool(self.row_security);
        out.bool(self.force_row_security);
        out.list(&self.policies, |out, policy| {
            out.text(&policy.name);
            out.bool(policy.permissive);
            out.u8(COMMANDS.iter().position(|own| *own == policy.command).unwrap_or_default() as u8);
            out.list(&policy.roles, |out, role| out.u32(*role));
            out.text_option(&policy.using);
            out.text_option(&policy.check);
            out.list(&policy.columns, |out, column| out.u32(*column));
        });
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self> {
        Ok(AccessDescriptor {
            id: from.u32()?,
            owner: from.u32()?,
            acl: from.option(read_acl)?,
            columns: from.list(|from| Ok((from.u32()?, read_acl(from)?)))?,
            row_security: from.bool()?,
            force_row_security: from.bool()?,
            policies: from.list(|from| {
                Ok(Policy {
                    name: from.text()?,
                    permissive: from.bool()?,
                    command: {
                        let code = from.u8()?;
                        let command = COMMANDS.get(usize::from(code)).copied();
                        command.ok_or_else(|| from.damage(&format!("{code} for a command")))?
                    },
                    roles: from.list(Decoder::u32)?,
                    using: from.option(Decoder::text)?,
                    check: from.option(Decoder::text)?,
                    columns: from.list(Decoder::u32)?,
                })
            })?,
        })
    }
}

impl Descriptor for RoleDescriptor {
    const WHAT: &'static str = "role";

    fn write(&self, out: &mut Encoder) -> Result<()> {
        out.u32(self.id);
        out.text(&self.name);
        let flags = [
            self.superuser,
            self.inherit,
            self.create_role,
            self.create_db,
            self.login,
            self.replication,
            self.bypass_rls,
        ];
        flags.into_iter().for_each(|flag| out.bool(flag));
        out.u32(self.connection_limit as u32);
        out.text_option(&self.password);
        out.option(&self.valid_until, |out, until| out.i64(*until));
        out.list(&self.settings, |out, (name, value)| {
            out.text(name);
            out.text(value);
        });
        out.list(&self.member_of, |out, own| {
            out.u32(own.role);
            out.u32(own.grantor);
            [own.admin, own.inherit, own.set].into_iter().for_each(|flag| out.bool(flag));
        });
        out.list(&self.defaults, |out, own| {
            out.option(&own.schema, |out, schema| out.u32(*schema));
            out.u8(CLASSES.iter().position(|class| *class == own.class).unwrap_or_default() as u8);
            write_acl(out, &own.acl);
        });
        out.text_option(&self.comment);
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self> {
        Ok(RoleDescriptor {
            id: from.u32()?,
            name: from.text()?,
            superuser: from.bool()?,
            inherit: from.bool()?,
            create_role: from.bool()?,
            create_db: from.bool()?,
            login: from.bool()?,
            replication: from.bool()?,
            bypass_rls: from.bool()?,
            connection_limit: from.u32()? as i32,
            password: from.option(Decoder::text)?,
            valid_until: from.option(Decoder::i64)?,
            settings: from.list(|from| Ok((from.text()?, from.text()?)))?,
            member_of: from.list(|from| {
                Ok(Membership {
                    role: from.u32()?,
                    grantor: from.u32()?,
                    admin: from.bool()?,
                    inherit: from.bool()?,
                    set: from.bool()?,
                })
            })?,
            defaults: from.list(|from| {
                Ok(DefaultPrivileges {
                    schema: from.option(Decoder::u32)?,
                    class: {
                        let code = from.u8()?;
                        let class = CLASSES.get(usize::from(code)).copied();
                        class.ok_or_else(|| from.damage(&format!("{code} for a kind of object")))?
                    },
                    acl: read_acl(from)?,
                })
            })?,
            comment: from.option(Decoder::text)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn golden_bytes_of_access() {
        let item =
            AclItem { grantee: 0, grantor: 10, privileges: Privileges::SELECT, grantable: Privileges::NONE };
        let policy = Policy {
            name: "p".to_owned(),
            permissive: true,
            command: 'w',
            roles: vec![0],
            using: Some("a".to_owned()),
            check: None,
            columns: vec![1],
        };
        let access = AccessDescriptor {
            owner: 1001,
            acl: Some(vec![item]),
            columns: vec![(1, vec![item])],
            row_security: true,
            policies: vec![policy],
            ..AccessDescriptor::new(1000)
        };
        let acl = [1, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0];
        let head = [1, 0xE8, 3, 0, 0, 0xE9, 3, 0, 0, 1];
        let columns = [1, 0, 0, 0, 1, 0, 0, 0];
        let policies = [
            1, 0, 1, 0, 0, 0, 1, 0, 0, 0, b'p', 1, 3, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, b'a', 0, 1, 0,
            0, 0, 1, 0, 0, 0,
        ];
        let bytes = [&head[..], &acl, &columns, &acl, &policies].concat();
        assert_eq!(access.encode().unwrap(), bytes);
        assert_eq!(AccessDescriptor::decode(&bytes).unwrap(), access);
        for length in 0..bytes.len() {
            assert!(AccessDescriptor::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn roles_come_back_and_damage_is_told() {
        let role = RoleDescriptor {
            password: Some("SCRAM-SHA-256$1:a$b:c".to_owned()),
            valid_until: Some(7),
            connection_limit: -1,
            settings: vec![("search_path".to_owned(), "a".to_owned())],
            member_of: vec![Membership { role: 10, grantor: 10, admin: true, inherit: false, set: true }],
            defaults: vec![DefaultPrivileges { schema: Some(2), class: Class::Type, acl: Vec::new() }],
            comment: Some("c".to_owned()),
            ..RoleDescriptor::new(1000, "r")
        };
        let bytes = role.encode().unwrap();
        assert_eq!(RoleDescriptor::decode(&bytes).unwrap(), role);
        for length in 0..bytes.len() {
            assert!(RoleDescriptor::decode(&bytes[..length]).is_err());
        }
    }
}
