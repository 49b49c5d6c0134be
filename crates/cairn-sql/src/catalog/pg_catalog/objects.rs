//! Objects by name and by id, for functions: `regclass` and its kin.

use cairn_engine::catalog::{STORE, TypeKind};
use cairn_types::{DataType, Value};

use super::access;
use super::indexes::all_indexes;
use super::traits::{function_id, function_name};
use super::{STORE_ID, derived, derived_parts, schema_ids, system_tables};
use crate::catalog::DATABASE;
use crate::context::Scope;
use crate::functions::text::quote_ident;
use crate::{Error, Result};

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A table, view, index or sequence.
    Relation,
    Type,
    Schema,
    /// A function or procedure in SQL.
    Routine,
    Role,
    Collation,
    /// Operators are built in and not listed.
    Operator,
}

impl Kind {
    /// The error for a name that no object of the kind has.
    pub(crate) fn missing(self, name: &str) -> Error {
        match self {
            Self::Relation => Error::new("42P01", format!("relation \"{name}\" does not exist")),
            Self::Type => Error::new("42704", format!("type \"{name}\" does not exist")),
            Self::Schema => Error::new("3F000", format!("schema \"{name}\" does not exist")),
            Self::Routine => Error::new("42883", format!("function \"{name}\" does not exist")),
            Self::Role => Error::new("42704", format!("role \"{name}\" does not exist")),
            Self::Collation => {
                Error::new("42704", format!("collation \"{name}\" for encoding \"UTF8\" does not exist"))
            }
            Self::Operator => Error::new("42883", format!("operator does not exist: {name}")),
        }
    }
}

/// The parts of a name, folded.
fn parts(name: &str) -> Result<Vec<String>> {
    let invalid = || Error::new("42602", "invalid name syntax");
    let mut parts = Vec::new();
    let mut rest = name.trim();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut part = String::new();
            let mut at = 0;
            loop {
                let end = quoted[at..].find('"').ok_or_else(invalid)? + at;
                part.push_str(&quoted[at..end]);
                at = end + 1;
                if !quoted[at..].starts_with('"') {
                    break;
                }
                part.push('"');
                at += 1;
            }
            parts.push(part);
            rest = quoted[at..].trim_start();
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let part = rest[..end].trim();
            if part.is_empty() {
                return Err(invalid());
            }
            parts.push(part.to_lowercase());
            rest = &rest[end..];
        }
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => return Ok(parts),
            None => return Err(invalid()),
        }
    }
}

/// The id of an object by its name, as SQL writes it.
///
/// # Errors
/// `42602` for what is no name.
pub(crate) fn find(scope: &Scope, kind: Kind, name: &str) -> Result<Option<i64>> {
    let catalog = scope.txn.catalog();
    if kind == Kind::Type {
        return Ok(type_id(scope, name));
    }
    let bare = if kind == Kind::Routine { name.split('(').next().unwrap_or(name) } else { name };
    let parts = parts(bare)?;
    let (schema, object) = match parts.as_slice() {
        [object] => (None, object.as_str()),
        [schema, object] => (Some(schema.as_str()), object.as_str()),
        [database, schema, object] if database == DATABASE => (Some(schema.as_str()), object.as_str()),
        [_, _, _] => {
            let message = format!("cross-database references are not implemented: {bare}");
            return Err(Error::new("0A000", message));
        }
        _ => return Ok(None),
    };
    Ok(match kind {
        Kind::Schema if schema.is_none() => schema_ids(&catalog).get(object).copied(),
        Kind::Role if schema.is_none() => catalog.role_named(object).map(|role| i64::from(role.id)),
        Kind::Relation => {
            let known = |schema: &str| relation_id(scope, schema, object);
            match schema {
                Some(schema) => known(schema),
                None => scope
                    .settings
                    .search_path
                    .iter()
                    .find_map(|schema| known(schema))
                    .or_else(|| known("pg_catalog")),
            }
        }
        Kind::Routine => {
            let path = &scope.settings.search_path;
            let fits = |own: &str| schema.map_or_else(|| path.iter().any(|s| s == own), |s| s == own);
            let made = catalog.routines().find(|r| r.name == object && fits(&r.schema));
            let built_in = || match schema {
                None | Some("pg_catalog") => Some(function_id(object)).filter(|id| *id != 0),
                Some(_) => None,
            };
            made.map(|r| i64::from(r.id)).or_else(built_in)
        }
        Kind::Collation if schema.is_none_or(|schema| schema == "pg_catalog") => access::collation_id(object),
        _ => None,
    })
}

fn relation_id(scope: &Scope, schema: &str, name: &str) -> Option<i64> {
    let catalog = scope.txn.catalog();
    if let Some(table) = catalog.tables().find(|t| t.schema == schema && t.name == name) {
        return Some(i64::from(table.id));
    }
    if let Some(view) = catalog.views().find(|v| v.schema == schema && v.name == name) {
        return Some(i64::from(view.id));
    }
    if let Some(sequence) = catalog.sequences().find(|s| s.schema == schema && s.name == name) {
        return Some(i64::from(sequence.id));
    }
    if let Some(ty) = catalog.type_named(schema, name).filter(|ty| matches!(ty.kind, TypeKind::Composite(_)))
    {
        return Some(i64::from(ty.id));
    }
    if crate::catalog::is_store(&catalog, schema, name) {
        return Some(STORE_ID);
    }
    let of_tables = catalog.tables().filter(|table| table.schema == schema).find_map(|table| {
        let index = all_indexes(table).into_iter().find(|index| index.name == name)?;
        Some(derived(table.id, i64::from(index.id)))
    });
    of_tables.or_else(|| {
        system_tables().find(|(_, own, table)| *own == schema && table.name == name).map(|(id, ..)| id)
    })
}

fn type_id(scope: &Scope, name: &str) -> Option<i64> {
    let catalog = scope.txn.catalog();
    let own = parts(name).ok().and_then(|parts| match parts.as_slice() {
        [ty] => scope.settings.search_path.iter().find_map(|s| catalog.type_or_rows(s, ty)),
        [schema, ty] => catalog.type_or_rows(schema, ty),
        _ => None,
    });
    if let Some(own) = own {
        return Some(super::types::type_oid(own.id));
    }
    let name = name.trim();
    let bare = match parts(name).ok().as_deref() {
        // A quoted name stands for itself.
        Some([schema, ty]) if schema == "pg_catalog" => ty.clone(),
        Some([ty]) if name.starts_with('"') => ty.clone(),
        _ => name.strip_prefix("pg_catalog.").unwrap_or(name).to_lowercase(),
    };
    let element = bare.strip_prefix('_').and_then(DataType::parse);
    let list = || element.map(|element| DataType::Array(Box::new(element)));
    let parsed = DataType::parse(&bare).or_else(list).map(|ty| i64::from(ty.pg_oid()));
    parsed.or_else(|| super::types::special_id(&bare))
}

/// The schema and the name of a relation or type.
fn qualified(scope: &Scope, kind: Kind, id: i64) -> Option<(String, String)> {
    let catalog = scope.txn.catalog();
    let own = u32::try_from(id).ok();
    match kind {
        Kind::Relation => {
            if id == STORE_ID {
                return Some(("pg_catalog".to_owned(), STORE.to_owned()));
            }
            if let Some((table, offset)) = derived_parts(&catalog, id) {
                let index = all_indexes(&table).into_iter().find(|index| i64::from(index.id) == offset)?;
                return Some((table.schema.clone(), index.name));
            }
            let table = || catalog.table_by_id(own?).map(|t| (t.schema.clone(), t.name.clone()));
            let view = || catalog.view_by_id(own?).map(|v| (v.schema.clone(), v.name.clone()));
            let sequence = || catalog.sequence_by_id(own?).map(|s| (s.schema.clone(), s.name.clone()));
            let system = || {
                system_tables()
                    .find(|(own, ..)| *own == id)
                    .map(|(_, schema, table)| (schema.to_owned(), table.name.to_owned()))
            };
            let composite = || {
                let ty = catalog.type_by_id(own?).filter(|ty| matches!(ty.kind, TypeKind::Composite(_)));
                ty.map(|ty| (ty.schema.clone(), ty.name.clone()))
            };
            table().or_else(view).or_else(sequence).or_else(composite).or_else(system)
        }
        Kind::Routine => match catalog.routine_by_id(own?) {
            Some(made) => Some((made.schema.clone(), made.name.clone())),
            None => function_name(id).map(|name| ("pg_catalog".to_owned(), name.to_owned())),
        },
        Kind::Type => super::types::made_type(&catalog, id).map(|t| (t.schema.clone(), t.name.clone())),
        Kind::Schema | Kind::Role | Kind::Collation | Kind::Operator => None,
    }
}

/// Whether an object is found by its bare name; `None` where there is no such object.
///
/// # Errors
/// None so far.
pub(crate) fn visible(scope: &Scope, kind: Kind, id: i64) -> Result<Option<bool>> {
    let Some((schema, name)) = qualified(scope, kind, id) else {
        let known = kind == Kind::Type && self::name(scope, kind, id)?.is_some();
        return Ok(known.then_some(true));
    };
    let found = find(scope, kind, &quote_ident(&name))?;
    Ok(Some(found == Some(id) || schema == "pg_catalog"))
}

/// The name of an object, with its schema where the bare name means another one.
///
/// # Errors
/// None so far.
pub(crate) fn name(scope: &Scope, kind: Kind, id: i64) -> Result<Option<String>> {
    let catalog = scope.txn.catalog();
    match kind {
        Kind::Schema => {
            let found = schema_ids(&catalog).into_iter().find(|(_, own)| *own == id);
            return Ok(found.map(|(name, _)| quote_ident(name)));
        }
        Kind::Role => {
            let role = u32::try_from(id).ok().and_then(|id| catalog.role(id));
            return Ok(role.map(|role| quote_ident(&role.name)));
        }
        Kind::Type => {
            let name = super::format_type(&catalog, &scope.settings.search_path, id, -1);
            return Ok((name != "???").then_some(name));
        }
        Kind::Collation => return Ok(access::collation_name(id).map(quote_ident)),
        Kind::Operator => return Ok(None),
        Kind::Relation | Kind::Routine => {}
    }
    let Some((schema, own)) = qualified(scope, kind, id) else { return Ok(None) };
    let bare = quote_ident(&own);
    Ok(Some(match find(scope, kind, &bare)? == Some(id) {
        true => bare,
        false => format!("{}.{bare}", quote_ident(&schema)),
    }))
}

/// Checks that a relation has a column.
///
/// # Errors
/// `42703`.
pub(crate) fn column(scope: &Scope, id: i64, column: &str) -> Result<()> {
    let catalog = scope.txn.catalog();
    let own = u32::try_from(id).ok();
    let table = own.and_then(|id| catalog.table_by_id(id));
    let view = own.and_then(|id| catalog.view_by_id(id));
    let there = match (table, view) {
        (Some(table), _) => table.live_columns().any(|own| own.name == column),
        (_, Some(view)) => view.columns.iter().any(|own| own.name == column),
        _ => true,
    };
    if there {
        return Ok(());
    }
    let relation = qualified(scope, Kind::Relation, id).map(|(_, name)| name).unwrap_or_default();
    Err(Error::new("42703", format!("column \"{column}\" of relation \"{relation}\" does not exist")))
}

/// About how many bytes the rows and the indexes of a relation take.
pub(crate) fn bytes(scope: &Scope, id: i64, rows: bool, indexes: bool) -> Option<u64> {
    let catalog = scope.txn.catalog();
    let database = &scope.shared.database;
    if let Some((table, offset)) = derived_parts(&catalog, id) {
        // The primary key's index is the table.
        let index = u16::try_from(offset).ok()?;
        return Some(if rows { database.approximate_bytes(table.id, index) } else { 0 });
    }
    let Some(table) = u32::try_from(id).ok().and_then(|id| catalog.table_by_id(id)) else {
        return qualified(scope, Kind::Relation, id).map(|_| 0);
    };
    let own = if rows { database.approximate_bytes(table.id, 0) } else { 0 };
    let of_indexes = table.indexes.iter().map(|index| database.approximate_bytes(table.id, index.id));
    Some(own + if indexes { of_indexes.sum() } else { 0 })
}

/// The comment on a constraint.
pub(crate) fn constraint_comment(scope: &Scope, id: i64) -> Option<String> {
    let catalog = scope.txn.catalog();
    let (table, _) = derived_parts(&catalog, id)?;
    let found = super::constraints::constraints(&catalog, &table).into_iter().find(|own| own.id == id)?;
    table.constraint_comments.get(&found.name).cloned()
}

/// The comment on a relation (0) or on one of its columns.
pub(crate) fn comment(scope: &Scope, id: i64, part: i64) -> Option<String> {
    let catalog = scope.txn.catalog();
    if let Some((table, index)) = super::derived_parts(&catalog, id) {
        let index = table.indexes.iter().find(|own| i64::from(own.id) == index)?;
        return index.comment.clone().filter(|_| part == 0);
    }
    if let Some(ty) = super::types::made_type(&catalog, id) {
        return ty.comment.clone().filter(|_| part == 0);
    }
    let id = u32::try_from(id).ok()?;
    if let Some(sequence) = catalog.sequence_by_id(id) {
        return sequence.comment.clone().filter(|_| part == 0);
    }
    if let Some(schema) = catalog.schemas().find(|schema| schema.id == id) {
        return schema.comment.clone().filter(|_| part == 0);
    }
    if let Some(table) = catalog.table_by_id(id) {
        return match usize::try_from(part).ok()?.checked_sub(1) {
            None => table.comment.clone(),
            Some(at) => table.live_columns().nth(at)?.comment.clone(),
        };
    }
    catalog.view_by_id(id).filter(|_| part == 0).and_then(|view| view.comment.clone())
}

/// The bytes that a value takes in a row of PostgreSQL's form: fixed types their width, others their length and a header
/// of one byte, or of four from 127 bytes on.
pub(crate) fn value_bytes(value: &Value, ty: &DataType) -> i32 {
    let fixed = super::traits::stored_as(ty).length;
    if fixed > 0 {
        return i32::from(fixed);
    }
    let length = match value {
        Value::Text(text) | Value::Json(text) | Value::Jsonb(text) => text.len(),
        Value::Bytea(bytes) => bytes.len(),
        Value::Coded { code, .. } => code.len(),
        other => other.to_text(ty).len(),
    };
    let header = if length < 127 { 1 } else { 4 };
    i32::try_from(length + header).unwrap_or(i32::MAX)
}
