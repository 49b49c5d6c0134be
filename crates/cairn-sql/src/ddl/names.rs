//! Names of relations in DDL and in the arguments of functions.

use cairn_engine::Catalog;
use cairn_engine::catalog::Relation;
use sqlparser::ast::{Ident, ObjectName};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::context::Context;
use crate::session::temporary;
use crate::session::variables::fold;
use crate::{Error, Result, catalog, privileges};

/// Longest name, in bytes, as in PostgreSQL.
pub(crate) const NAME_BYTES_MAX: usize = 63;

/// A name as it is stored: folded, cut to 63 bytes as PostgreSQL cuts it.
pub(crate) fn stored(ident: &Ident) -> String {
    let mut name = fold(ident);
    if name.len() > NAME_BYTES_MAX {
        let mut end = NAME_BYTES_MAX;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    name
}

/// Parses a name given as text, such as the argument of `nextval`.
///
/// # Errors
/// `42602`.
pub(crate) fn parse(text: &str) -> Result<ObjectName> {
    let invalid = |_| Error::new("42602", format!("invalid name syntax: \"{text}\""));
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(text).map_err(invalid)?;
    parser.parse_object_name(false).map_err(invalid)
}

/// The schema and name of a relation to be made: as written, else in the first schema of the search path that is there.
///
/// # Errors
/// `3F000`, `0A000`, `42501` for the schemas of the system.
pub(crate) fn for_creation(
    context: &Context,
    catalog: &Catalog,
    name: &ObjectName,
) -> Result<(String, String)> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(stored).collect();
    let (schema, relation) = match parts.as_slice() {
        [relation] => {
            let path = &context.scope.settings.search_path;
            let lasting = |schema: &&String| !temporary::is_temporary(schema);
            let schema = path.iter().filter(lasting).find(|schema| catalog.schema(schema).is_some());
            let missing = || Error::new("3F000", "no schema has been selected to create in");
            (schema.cloned().ok_or_else(missing)?, relation.clone())
        }
        [schema, relation] if schema == temporary::OWN => (temporary::schema(context)?, relation.clone()),
        [schema, relation] => (schema.clone(), relation.clone()),
        [database, schema, relation] if database == catalog::DATABASE => (schema.clone(), relation.clone()),
        _ => {
            return Err(Error::new(
                "0A000",
                format!("cross-database references are not implemented: {name}"),
            ));
        }
    };
    writable_schema(&schema)?;
    if catalog.schema(&schema).is_none() && !temporary::is_temporary(&schema) {
        return Err(Error::new("3F000", format!("schema \"{schema}\" does not exist")));
    }
    privileges::require_create(context, &schema)?;
    Ok((schema, relation))
}

/// The same of a table, view or sequence that may be temporary.
///
/// # Errors
/// As [`for_creation`]; `42P16` for a temporary one in another schema.
pub(crate) fn for_creation_of(
    context: &Context,
    catalog: &Catalog,
    name: &ObjectName,
    is_temporary: bool,
) -> Result<(String, String)> {
    if !is_temporary {
        return for_creation(context, catalog, name);
    }
    privileges::require_create(context, temporary::PREFIX)?;
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(stored).collect();
    match parts.as_slice() {
        [relation] => Ok((temporary::schema(context)?, relation.clone())),
        [schema, relation] if schema == temporary::OWN => Ok((temporary::schema(context)?, relation.clone())),
        _ => Err(Error::new("42P16", "cannot create temporary relation in non-temporary schema")),
    }
}

/// The same of a function or procedure, whose names are apart from those of relations.
///
/// # Errors
/// As [`for_creation`].
pub(crate) fn for_creation_of_routine(
    context: &Context,
    catalog: &Catalog,
    name: &ObjectName,
) -> Result<(String, String)> {
    let path = &context.scope.settings.search_path;
    let (schema, routine) = crate::routine::define::name_of(name)?;
    let missing = || Error::new("3F000", "no schema has been selected to create in");
    let schema = match schema {
        Some(schema) => schema,
        None => {
            let lasting = path.iter().filter(|own| !temporary::is_temporary(own));
            let mut there = lasting.filter(|own| catalog.schema(own).is_some());
            there.next().cloned().ok_or_else(missing)?
        }
    };
    writable_schema(&schema)?;
    match catalog.schema(&schema) {
        Some(_) => {
            privileges::require_create(context, &schema)?;
            Ok((schema, routine))
        }
        None => Err(Error::new("3F000", format!("schema \"{schema}\" does not exist"))),
    }
}

/// Refuses the schemas that the system makes up.
pub(crate) fn writable_schema(schema: &str) -> Result<()> {
    match schema {
        "pg_catalog" | "information_schema" | "cairn_catalog" => {
            Err(Error::new("42501", format!("permission denied for schema {schema}")))
        }
        _ => Ok(()),
    }
}

/// The kinds of relation that a statement can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Table,
    Materialized,
    View,
    Index,
    Sequence,
}

impl Kind {
    fn of(relation: &Relation) -> Kind {
        match relation {
            Relation::Table(table) if table.materialized.is_some() => Kind::Materialized,
            Relation::Table(_) => Kind::Table,
            Relation::View(_) => Kind::View,
            Relation::Sequence(_) => Kind::Sequence,
            Relation::Index(..) => Kind::Index,
        }
    }

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Table => "table",
            Kind::Materialized => "materialized view",
            Kind::View => "view",
            Kind::Index => "index",
            Kind::Sequence => "sequence",
        }
    }

    fn article(self) -> &'static str {
        if self == Kind::Index { "an" } else { "a" }
    }
}

/// Finds a relation of one kind which the role owns; `None` where nothing has the name.
///
/// # Errors
/// `42809` where it is of another kind, `42501` where it is another's.
pub(crate) fn find(
    context: &Context,
    catalog: &Catalog,
    name: &ObjectName,
    kind: Kind,
) -> Result<Option<(String, String, Relation)>> {
    let found = find_any(context, catalog, name, kind)?;
    if let Some((_, _, relation)) = &found {
        privileges::require_owner(context, relation)?;
    }
    Ok(found)
}

/// The same, whoever owns it.
///
/// # Errors
/// `42809` where it is of another kind.
pub(crate) fn find_any(
    context: &Context,
    catalog: &Catalog,
    name: &ObjectName,
    kind: Kind,
) -> Result<Option<(String, String, Relation)>> {
    let (schema, relation) = catalog::resolve_name(context, catalog, name)?;
    writable_schema(&schema)?;
    if catalog::is_store(catalog, &schema, &relation) {
        return Err(Error::new("42501", "permission denied for table store"));
    }
    match catalog.relation(&schema, &relation) {
        None => Ok(None),
        Some(found) if Kind::of(&found) == kind => Ok(Some((schema, relation, found))),
        Some(found) => {
            let is = Kind::of(&found);
            let word = kind.word();
            Err(Error::new("42809", format!("\"{relation}\" is not {} {word}", kind.article())).with_hint(
                format!("Use DROP {} to remove {} {}.", is.word().to_uppercase(), is.article(), is.word()),
            ))
        }
    }
}

/// The same where it must be there.
///
/// # Errors
/// `42P01` (`42704` for an index), `42809`.
pub(crate) fn require(
    context: &Context,
    catalog: &Catalog,
    name: &ObjectName,
    kind: Kind,
) -> Result<(String, String, Relation)> {
    find(context, catalog, name, kind)?.ok_or_else(|| missing(name, kind, true))
}

/// The same, whoever owns it.
///
/// # Errors
/// `42P01` (`42704` for an index), `42809`.
pub(crate) fn require_any(
    context: &Context,
    catalog: &Catalog,
    name: &ObjectName,
    kind: Kind,
) -> Result<(String, String, Relation)> {
    find_any(context, catalog, name, kind)?.ok_or_else(|| missing(name, kind, true))
}

/// The error for a name that is not there; `relation` says so instead of the kind's word.
pub(crate) fn missing(name: &ObjectName, kind: Kind, relation: bool) -> Error {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
    let shown = parts.join(".");
    let state = if kind == Kind::Index && !relation { "42704" } else { "42P01" };
    let word = if relation { "relation" } else { kind.word() };
    Error::new(state, format!("{word} \"{shown}\" does not exist"))
}
