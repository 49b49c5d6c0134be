//! Privileges as the catalogs show them: PostgreSQL's `aclitem`, `grantee=letters/grantor`.

use cairn_engine::Catalog;
use cairn_engine::catalog::{Acl, AclItem, ObjectId, PUBLIC_ROLE};
use cairn_types::Value;

use super::role_name;

/// A role's name within an item.
fn quoted(catalog: &Catalog, id: ObjectId) -> String {
    let name = role_name(catalog, id);
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// An item as text; `*` behind what may be granted on.
pub(crate) fn item(catalog: &Catalog, item: &AclItem) -> String {
    let mut out = match item.grantee {
        PUBLIC_ROLE => String::new(),
        grantee => quoted(catalog, grantee),
    };
    out.push('=');
    for (privilege, letter, _) in item.privileges.each() {
        out.push(letter);
        if item.grantable.contains(privilege) {
            out.push('*');
        }
    }
    out.push('/');
    out.push_str(&quoted(catalog, item.grantor));
    out
}

/// What is granted, as a list of items; NULL where it is what every new object has.
pub(crate) fn acl(catalog: &Catalog, acl: Option<&Acl>) -> Value {
    match acl {
        None => Value::Null,
        Some(acl) => Value::Array(acl.iter().map(|own| Value::Text(item(catalog, own))).collect()),
    }
}

/// What is granted on an object.
pub(crate) fn acl_of(catalog: &Catalog, id: ObjectId) -> Value {
    acl(catalog, catalog.access(id).and_then(|access| access.acl.as_ref()))
}

/// The number of an object's owner.
pub(crate) fn owner(catalog: &Catalog, id: ObjectId) -> Value {
    Value::BigInt(i64::from(catalog.owner(id)))
}

/// The name of an object's owner.
pub(crate) fn owner_name(catalog: &Catalog, id: ObjectId) -> Value {
    Value::Text(role_name(catalog, catalog.owner(id)))
}

/// The items of a text of them: grantor, grantee, name of the privilege, whether it may be granted on.
pub(crate) fn read(catalog: &Catalog, text: &str) -> Option<Vec<(ObjectId, ObjectId, &'static str, bool)>> {
    let (grantee, rest) = split(text)?;
    let rest = rest.strip_prefix('=')?;
    let (letters, by) = rest.split_once('/')?;
    let number = |name: &str| match name {
        "" => Some(PUBLIC_ROLE),
        name => catalog.role_named(name).map(|role| role.id).or_else(|| name.parse().ok()),
    };
    let (by, _) = split(by)?;
    let (grantee, by) = (number(&grantee)?, number(&by)?);
    let mut out = Vec::new();
    let mut letters = letters.chars().peekable();
    while let Some(letter) = letters.next() {
        let own = cairn_engine::catalog::Privileges::ALL.iter().find(|own| own.1 == letter)?;
        let option = letters.next_if_eq(&'*').is_some();
        out.push((by, grantee, own.2, option));
    }
    Some(out)
}

/// A name at the beginning of a text, perhaps in quotes, and what follows.
fn split(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['=', '/']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}
