//! DROP, TRUNCATE, COMMENT.

use std::sync::Arc;

use cairn_engine::Table;
use cairn_engine::catalog::{Privileges, Relation};
use cairn_engine::ddl::CommentTarget;
use cairn_engine::table;
use sqlparser::ast::{
    CascadeOption, CommentObject, Ident, ObjectName, ObjectType, Statement, Truncate, TruncateIdentityOption,
};

use super::names::{self, Kind};
use super::notice;
use crate::context::Context;
use crate::parse::spelling::CONSTRAINT_MARK;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::trigger::{Event, Firing};
use crate::{Error, Result, privileges};

/// DROP of tables, views, indexes, sequences and schemas.
pub(super) fn run(context: &Context, statement: &Statement) -> Result<StatementResult> {
    let Statement::Drop { object_type, if_exists, names, cascade, purge, temporary, table, .. } = statement
    else {
        return Err(Error::internal("not DROP"));
    };
    if *purge || *temporary || table.is_some() {
        return Err(Error::unsupported("this clause of DROP"));
    }
    let kind = match object_type {
        ObjectType::Table => Kind::Table,
        ObjectType::View => Kind::View,
        ObjectType::MaterializedView => Kind::Materialized,
        ObjectType::Index => Kind::Index,
        ObjectType::Sequence => Kind::Sequence,
        ObjectType::Schema => return schemas(context, names, *if_exists, *cascade),
        other => return Err(Error::unsupported(format!("DROP {other}"))),
    };
    let catalog = context.catalog()?;
    let mut found: Vec<(String, String)> = Vec::new();
    for name in names {
        match names::find_any(context, &catalog, name, kind)? {
            Some((schema, relation, own)) => {
                privileges::require_owner_to_drop(context, &schema, &own)?;
                if !found.contains(&(schema.clone(), relation.clone())) {
                    found.push((schema, relation));
                }
            }
            None if *if_exists => {
                let shown = names::missing(name, kind, false);
                notice(context, "00000", format!("{shown}, skipping"));
            }
            None => return Err(names::missing(name, kind, false)),
        }
    }
    let pairs: Vec<(&str, &str)> = found.iter().map(|(s, n)| (s.as_str(), n.as_str())).collect();
    let txn = context.txn();
    if !pairs.is_empty() {
        match kind {
            Kind::Table | Kind::Materialized => txn.drop_tables(&pairs, *cascade)?,
            Kind::View => txn.drop_views(&pairs, *cascade)?,
            Kind::Sequence => txn.drop_sequences(&pairs, *cascade)?,
            Kind::Index => {
                for (schema, index) in pairs {
                    txn.drop_index(schema, index, *cascade)?;
                }
            }
        }
    }
    Ok(StatementResult::command(format!("DROP {}", kind.word().to_uppercase())))
}

fn schemas(
    context: &Context,
    names: &[ObjectName],
    if_exists: bool,
    cascade: bool,
) -> Result<StatementResult> {
    for name in names {
        let [part] = name.0.as_slice() else {
            return Err(Error::new("42601", format!("invalid schema name {name}")));
        };
        let name = part.as_ident().map(fold).unwrap_or_default();
        names::writable_schema(&name)?;
        if context.catalog()?.schema(&name).is_none() {
            if if_exists {
                notice(context, "00000", format!("schema \"{name}\" does not exist, skipping"));
                continue;
            }
            return Err(Error::new("3F000", format!("schema \"{name}\" does not exist")));
        }
        privileges::require_schema_owner(context, &name)?;
        context.txn().drop_schema(&name, cascade)?;
    }
    Ok(StatementResult::command("DROP SCHEMA"))
}

/// TRUNCATE.
pub(super) fn truncate(context: &Context, truncate: &Truncate) -> Result<StatementResult> {
    if truncate.partitions.is_some() || truncate.on_cluster.is_some() {
        return Err(Error::unsupported("this clause of TRUNCATE"));
    }
    let catalog = context.catalog()?;
    let mut tables: Vec<Arc<Table>> = Vec::new();
    for target in &truncate.table_names {
        match names::find_any(context, &catalog, &target.name, Kind::Table)? {
            Some((.., Relation::Table(table))) if target.only && table.is_partitioned() => {
                return Err(Error::new("42809", "cannot truncate only a partitioned table").with_hint(
                    "Do not specify the ONLY keyword, or use TRUNCATE ONLY on the partitions directly.",
                ));
            }
            Some((.., Relation::Table(table))) => tables.push(table),
            Some(_) => return Err(Error::internal("a table is no table")),
            None if truncate.if_exists => {}
            None => return Err(names::missing(&target.name, Kind::Table, true)),
        }
    }
    let cascade = matches!(truncate.cascade, Some(CascadeOption::Cascade));
    let mut all = tables;
    let mut at = 0;
    while cascade && at < all.len() {
        let more: Vec<_> = catalog.children(all[at].id).map(|(child, _)| Arc::clone(child)).collect();
        all.extend(
            more.into_iter()
                .filter(|child| !all.iter().any(|known| known.id == child.id))
                .collect::<Vec<_>>(),
        );
        at += 1;
    }
    for table in &all {
        let relation = Relation::Table(Arc::clone(table));
        privileges::require_relation(context, &relation, Privileges::TRUNCATE)?;
    }
    let mut firings = Vec::new();
    for table in &all {
        firings.extend(Firing::of(context, table, Event::Truncate, &[])?);
    }
    firings.iter_mut().try_for_each(Firing::begin)?;
    let tables: Vec<&Table> = all.iter().map(Arc::as_ref).collect();
    let restart = matches!(truncate.identity, Some(TruncateIdentityOption::Restart));
    for own in all.iter().filter(|_| restart).flat_map(|table| catalog.owned_sequences(table.id)) {
        privileges::require_owner(context, &Relation::Sequence(Arc::clone(own)))?;
    }
    table::truncate(context.txn(), &tables, restart, cascade)?;
    firings.iter_mut().try_for_each(Firing::finish)?;
    Ok(StatementResult::command("TRUNCATE TABLE"))
}

/// COMMENT ON.
pub(super) fn comment(
    context: &Context,
    kind: &CommentObject,
    name: &ObjectName,
    text: Option<&str>,
    if_exists: bool,
) -> Result<StatementResult> {
    if if_exists {
        return Err(Error::new("42601", "syntax error at or near \"IF\""));
    }
    let catalog = context.catalog()?;
    let pair = |kind: Kind, name: &ObjectName| -> Result<(String, String)> {
        let (schema, relation, _) = names::require(context, &catalog, name, kind)?;
        Ok((schema, relation))
    };
    let target = match kind {
        CommentObject::Table => {
            let (schema, table) = pair(Kind::Table, name)?;
            CommentTarget::Table(schema, table)
        }
        CommentObject::MaterializedView => {
            let (schema, view) = pair(Kind::Materialized, name)?;
            CommentTarget::Table(schema, view)
        }
        CommentObject::Type | CommentObject::Domain => {
            let found = crate::parse::named_types::find(context, &catalog, name);
            let found = found.filter(|ty| catalog.type_by_id(ty.id).is_some());
            let ty = found.ok_or_else(|| {
                let parts: Vec<String> = name.0.iter().filter_map(|p| p.as_ident()).map(fold).collect();
                Error::new("42704", format!("type \"{}\" does not exist", parts.join(".")))
            })?;
            if matches!(kind, CommentObject::Domain) && !ty.is_domain() {
                return Err(Error::new("42809", format!("\"{}\" is not a domain", ty.name)));
            }
            privileges::require_type_owner(context, &ty, false)?;
            CommentTarget::Type(ty.schema.clone(), ty.name.clone())
        }
        CommentObject::View => {
            let (schema, view) = pair(Kind::View, name)?;
            CommentTarget::View(schema, view)
        }
        CommentObject::Index => {
            let (schema, index) = pair(Kind::Index, name)?;
            CommentTarget::Index(schema, index)
        }
        CommentObject::Sequence => {
            let (schema, sequence) = pair(Kind::Sequence, name)?;
            CommentTarget::Sequence(schema, sequence)
        }
        CommentObject::Schema => {
            let name = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
            privileges::require_schema_owner(context, &name)?;
            CommentTarget::Schema(name)
        }
        CommentObject::Column => {
            let parts: Vec<Ident> = name.0.iter().filter_map(|p| p.as_ident()).cloned().collect();
            let [table @ .., column] = parts.as_slice() else {
                return Err(Error::new("42601", "column name must be qualified"));
            };
            if table.is_empty() {
                return Err(Error::new("42601", "column name must be qualified"));
            }
            let (schema, table) = pair(Kind::Table, &ObjectName::from(table.to_vec()))?;
            match fold(column).strip_prefix(CONSTRAINT_MARK) {
                Some(name) => CommentTarget::Constraint(schema, table, name.to_owned()),
                None => CommentTarget::Column(schema, table, fold(column)),
            }
        }
        other => return Err(Error::unsupported(format!("COMMENT ON {other}"))),
    };
    context.txn().comment(&target, text.filter(|t| !t.is_empty()).map(str::to_owned))?;
    Ok(StatementResult::command("COMMENT"))
}
