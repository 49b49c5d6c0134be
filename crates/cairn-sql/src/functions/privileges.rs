//! What functions tell of privileges: `has_table_privilege` and its kin, `pg_has_role`, `aclexplode`, `acldefault`.

use cairn_engine::Catalog;
use cairn_engine::catalog::{
    self as engine, Class, DATABASE_ID, ObjectId, PUBLIC_ROLE, Privileges, default_acl,
};
use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::{Call, Simple, Takes};
use crate::catalog::DATABASE;
use crate::catalog::pg_catalog::objects::{self, Kind};
use crate::context::ScopeExtension;
use crate::privileges::shown;
use crate::{Error, Result};

const STABLE: Volatility = Volatility::Stable;

/// What a function asks about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Table,
    AnyColumn,
    Column,
    Sequence,
    Schema,
    Routine,
    Type,
    Database,
}

impl Asks {
    fn kind(self) -> Option<Kind> {
        match self {
            Asks::Table | Asks::AnyColumn | Asks::Column | Asks::Sequence => Some(Kind::Relation),
            Asks::Schema => Some(Kind::Schema),
            Asks::Routine => Some(Kind::Routine),
            Asks::Type => Some(Kind::Type),
            Asks::Database => None,
        }
    }

    fn class(self) -> Class {
        match self {
            Asks::Table => Class::Table,
            Asks::AnyColumn | Asks::Column => Class::Column,
            Asks::Sequence => Class::Sequence,
            Asks::Schema => Class::Schema,
            Asks::Routine => Class::Routine,
            Asks::Type => Class::Type,
            Asks::Database => Class::Database,
        }
    }
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    macro_rules! has {
        ($name:literal, $asks:expr, $count:literal) => {
            Simple::new($name, Takes::Variadic, T::Boolean, STABLE, |call| has(call, $asks, $count))
        };
    }
    let texts = || T::Array(Box::new(T::Text));
    let all = vec![
        has!("has_table_privilege", Asks::Table, 2),
        has!("has_any_column_privilege", Asks::AnyColumn, 2),
        has!("has_column_privilege", Asks::Column, 3),
        has!("has_sequence_privilege", Asks::Sequence, 2),
        has!("has_schema_privilege", Asks::Schema, 2),
        has!("has_function_privilege", Asks::Routine, 2),
        has!("has_type_privilege", Asks::Type, 2),
        has!("has_database_privilege", Asks::Database, 2),
        Simple::new("pg_has_role", Takes::Variadic, T::Boolean, STABLE, has_role),
        Simple::new("row_security_active", Takes::Any(1), T::Boolean, STABLE, |call| {
            let scope = ScopeExtension::of(&call.args.config_options)?;
            let id = super::objects::id(call, 0, Kind::Relation)?;
            let role = scope.settings.identity.current;
            let found = u32::try_from(id).ok();
            let catalog = scope.txn.catalog();
            Ok(Value::Boolean(found.is_some_and(|id| catalog.row_security(role, id).is_some())))
        }),
        Simple::new("acldefault", Takes::Any(2), texts(), STABLE, |call| {
            let catalog = ScopeExtension::of(&call.args.config_options)?.txn.catalog();
            let owner = u32::try_from(call.integer(1)?).unwrap_or_default();
            defaults(&catalog, call.text(0)?, owner)
        }),
        Simple::new("cairn_set_aclexplode", Takes::Any(1), texts(), STABLE, |call| {
            let catalog = ScopeExtension::of(&call.args.config_options)?.txn.catalog();
            let Value::Array(items) = &call.values[0] else { return Ok(Value::Null) };
            let mut rows = Vec::new();
            for item in items.iter().filter_map(Value::as_str) {
                let read = shown::read(&catalog, item).ok_or_else(|| {
                    Error::new("22P02", format!("invalid input syntax for type aclitem: \"{item}\""))
                })?;
                for (grantor, grantee, privilege, option) in read {
                    rows.push(Value::Text(format!("[{grantor},{grantee},\"{privilege}\",{option}]")));
                }
            }
            Ok(Value::Array(rows))
        }),
    ];
    all.into_iter().map(ScalarUDF::from).collect()
}

/// PostgreSQL's default privileges on an object of a kind.
fn defaults(catalog: &Catalog, kind: &str, owner: ObjectId) -> Result<Value> {
    let class = match kind {
        "r" => Class::Table,
        "c" => Class::Column,
        "s" => Class::Sequence,
        "f" => Class::Routine,
        "T" => Class::Type,
        "n" => Class::Schema,
        "d" => Class::Database,
        other => {
            let name = crate::privileges::role_name(catalog, owner);
            let own = |letters: &str| Value::Text(format!("{name}={letters}/{name}"));
            return Ok(Value::Array(match other {
                "l" => vec![Value::Text(format!("=U/{name}")), own("U")],
                "L" => vec![own("rw")],
                "p" => vec![own("sA")],
                "t" => vec![own("C")],
                "F" | "S" => vec![own("U")],
                _ => {
                    let message = format!("unrecognized object type abbreviation: {other}");
                    return Err(Error::new("22023", message));
                }
            }));
        }
    };
    Ok(match class {
        Class::Column => Value::Array(Vec::new()),
        class => shown::acl(catalog, Some(&default_acl(class, owner))),
    })
}

/// The role that an argument names; PUBLIC is none.
fn role(call: &Call<'_>, at: usize) -> Result<ObjectId> {
    let scope = ScopeExtension::of(&call.args.config_options)?;
    match &call.values[at] {
        Value::Text(name) if name == "public" => Ok(PUBLIC_ROLE),
        Value::Text(name) => {
            let catalog = scope.txn.catalog();
            catalog.role_named(name).map(|role| role.id).ok_or_else(|| Kind::Role.missing(name))
        }
        other => {
            let id = other.as_i64().and_then(|id| u32::try_from(id).ok());
            id.ok_or_else(|| Error::new("42804", "a role is named by text or by an oid"))
        }
    }
}

/// The privileges of a list, of which one is enough, and whether it is to be WITH GRANT OPTION.
fn wanted(text: &str, class: Class) -> Result<Vec<(Privileges, bool)>> {
    let one = |one: &str| {
        let upper = one.trim().to_ascii_uppercase();
        let (bare, option) = match upper.strip_suffix(" WITH GRANT OPTION") {
            Some(bare) => (bare.trim_end(), true),
            None => (upper.as_str(), false),
        };
        let found = Privileges::named(bare).filter(|own| class.all().contains(*own));
        found
            .map(|own| (own, option))
            .ok_or_else(|| Error::new("22023", format!("unrecognized privilege type: \"{}\"", one.trim())))
    };
    text.split(',').map(one).collect()
}

/// Whether a role has a privilege; the arguments are `[role,] object, … privilege`.
fn has(call: &Call<'_>, asks: Asks, count: usize) -> Result<Value> {
    let first = call.values.len().saturating_sub(count);
    if first > 1 || call.values.len() < count {
        return Err(Error::new("42883", "no function matches the given number of arguments"));
    }
    let scope = ScopeExtension::of(&call.args.config_options)?;
    let role = if first == 1 { role(call, 0)? } else { scope.settings.identity.current };
    let wanted = wanted(call.text(call.values.len() - 1)?, asks.class())?;
    let catalog = scope.txn.catalog();
    let Some(kind) = asks.kind() else {
        return match &call.values[first] {
            Value::Text(name) if name != DATABASE => {
                Err(Error::new("3D000", format!("database \"{name}\" does not exist")))
            }
            _ => Ok(Value::Boolean(any(&catalog, role, (Class::Database, DATABASE_ID), &wanted))),
        };
    };
    let id = super::objects::id(call, first, kind)?;
    let Some(name) = objects::name(&scope, kind, id)? else { return Ok(Value::Null) };
    if asks == Asks::Column
        && let Value::Text(column) = &call.values[first + 1]
    {
        objects::column(&scope, id, column)?;
    }
    let Some((own, class)) = object(&catalog, asks, id) else {
        // What is built in: everybody may read it, and use it.
        let hidden = name.ends_with("pg_authid") || name.ends_with("pg_shadow");
        let open = Privileges::SELECT | Privileges::EXECUTE | Privileges::USAGE;
        let may = wanted.iter().any(|(own, option)| open.contains(*own) && !option) && !hidden;
        return Ok(Value::Boolean(catalog.is_superuser(role) || may));
    };
    Ok(Value::Boolean(match asks {
        Asks::Column | Asks::AnyColumn => {
            let column = match (asks, &call.values[first + 1]) {
                (Asks::Column, Value::Text(name)) => column_id(&catalog, own, |(_, own)| own == name),
                (Asks::Column, other) => {
                    let number = other.as_i64().unwrap_or_default() as usize;
                    column_id(&catalog, own, |(place, _)| place + 1 == number)
                }
                _ => None,
            };
            let of = |id: u32, privilege: Privileges| {
                !catalog.column_privileges(role, own, id, privilege).is_empty()
            };
            let ids = || columns(&catalog, own).into_iter().map(|own| own.0);
            any(&catalog, role, (class, own), &wanted)
                || wanted.iter().any(|(privilege, option)| match column {
                    Some(id) => !option && of(id, *privilege),
                    None => asks == Asks::AnyColumn && !option && ids().any(|id| of(id, *privilege)),
                })
        }
        _ => any(&catalog, role, (class, own), &wanted),
    }))
}

/// An object that has privileges of its own.
fn object(catalog: &Catalog, asks: Asks, id: i64) -> Option<(ObjectId, Class)> {
    let id = u32::try_from(id).ok()?;
    match asks {
        Asks::Table | Asks::AnyColumn | Asks::Column | Asks::Sequence => {
            if catalog.sequence_by_id(id).is_some() {
                return Some((id, Class::Sequence));
            }
            let known = catalog.table_by_id(id).is_some() || catalog.view_by_id(id).is_some();
            (known || id == crate::catalog::store_id()).then_some((id, Class::Table))
        }
        Asks::Schema => catalog.schemas().any(|schema| schema.id == id).then_some((id, Class::Schema)),
        Asks::Routine => catalog.routine_by_id(id).map(|_| (id, Class::Routine)),
        Asks::Type => catalog.type_by_id(id).map(|_| (id, Class::Type)),
        Asks::Database => None,
    }
}

/// Numbers and names of the columns of a table or view.
fn columns(catalog: &Catalog, id: ObjectId) -> Vec<(u32, String)> {
    if let Some(table) = catalog.table_by_id(id) {
        return table.live_columns().map(|own| (own.id, own.name.clone())).collect();
    }
    let view = catalog.view_by_id(id);
    let columns = view.iter().flat_map(|view| &view.columns).zip(1..);
    columns.map(|(own, id)| (id, own.name.clone())).collect()
}

fn column_id(catalog: &Catalog, id: ObjectId, is: impl Fn((usize, &str)) -> bool) -> Option<u32> {
    let all = columns(catalog, id);
    all.iter().enumerate().find(|(place, own)| is((*place, own.1.as_str()))).map(|(_, own)| own.0)
}

fn any(catalog: &Catalog, role: ObjectId, target: engine::Target, wanted: &[(Privileges, bool)]) -> bool {
    wanted.iter().any(|(privilege, option)| match option {
        true => catalog.grantable(role, target, *privilege) == *privilege,
        false => catalog.privileges(role, target, *privilege) == *privilege,
    })
}

/// `pg_has_role([user,] role, privilege)`.
fn has_role(call: &Call<'_>) -> Result<Value> {
    let first = call.values.len().saturating_sub(2);
    if first > 1 || call.values.len() < 2 {
        return Err(Error::new("42883", "no function matches the given number of arguments"));
    }
    let scope = ScopeExtension::of(&call.args.config_options)?;
    let user = if first == 1 { role(call, 0)? } else { scope.settings.identity.current };
    let of = role(call, first)?;
    let catalog = scope.txn.catalog();
    let mut has = false;
    for one in call.text(first + 1)?.split(',') {
        let upper = one.trim().to_ascii_uppercase();
        let option =
            [" WITH GRANT OPTION", " WITH ADMIN OPTION"].iter().find_map(|own| upper.strip_suffix(own));
        let admin = || catalog.is_admin_of(user, of);
        has |= match option.unwrap_or(&upper) {
            "MEMBER" | "USAGE" | "SET" if option.is_some() => admin(),
            "MEMBER" => catalog.is_superuser(user) || catalog.member_of(user).contains(&of),
            "USAGE" => catalog.has_privileges_of(user, of),
            "SET" => catalog.may_become(user, of),
            _ => {
                return Err(Error::new("22023", format!("unrecognized privilege type: \"{}\"", one.trim())));
            }
        };
    }
    Ok(Value::Boolean(has))
}
