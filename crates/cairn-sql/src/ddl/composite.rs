//! CREATE TYPE … AS (…) and ALTER TYPE of composite types.

use std::collections::HashSet;

use cairn_engine::catalog::{TypeDescriptor, TypeKind};
use cairn_engine::ddl::AttributeChange;
use cairn_types::composite::FIELDS_MAX;
use cairn_types::{CompositeField, DataType};
use sqlparser::ast::{DataType as SqlType, Ident};

use super::names::stored;
use super::notice;
use super::type_statement::AttributeAction;
use crate::context::Context;
use crate::parse::named_types;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result};

/// The type of a field.
fn type_of(context: &Context, sql: &SqlType) -> Result<DataType> {
    let named = named_types::named(context, sql)?;
    match named.domain {
        Some(_) => Err(Error::unsupported("an attribute of a domain")),
        None => Ok(named.ty),
    }
}

pub(super) fn create(
    context: &Context,
    schema: &str,
    name: &str,
    attributes: &[(Ident, SqlType)],
) -> Result<StatementResult> {
    let mut names = HashSet::new();
    let mut fields = Vec::with_capacity(attributes.len());
    for (own, ty) in attributes {
        let own = stored(own);
        if !names.insert(own.clone()) {
            return Err(Error::new("42701", format!("column \"{own}\" specified more than once")));
        }
        fields.push(CompositeField { name: own, ty: type_of(context, ty)?, dropped: false });
    }
    if fields.len() > FIELDS_MAX {
        return Err(Error::new("54011", format!("tables can have at most {FIELDS_MAX} columns")));
    }
    context.txn().create_type(schema, name, TypeKind::Composite(fields))?;
    Ok(StatementResult::command("CREATE TYPE"))
}

pub(super) fn alter(context: &Context, ty: &TypeDescriptor, actions: &[AttributeAction]) -> Result<()> {
    let TypeKind::Composite(fields) = &ty.kind else {
        return Err(Error::new("42809", format!("\"{}\" is not a composite type", ty.name)));
    };
    let mut changes = Vec::with_capacity(actions.len());
    for action in actions {
        changes.push(match action {
            AttributeAction::Add(name, ty) => AttributeChange::Add(stored(name), type_of(context, ty)?),
            AttributeAction::Drop { name, if_exists } => {
                let name = fold(name);
                if *if_exists && !fields.iter().any(|field| !field.dropped && field.name == name) {
                    let message =
                        format!("column \"{name}\" of relation \"{}\" does not exist, skipping", ty.name);
                    notice(context, "00000", message);
                    continue;
                }
                AttributeChange::Drop(name)
            }
            AttributeAction::Retype(name, ty) => AttributeChange::Retype(fold(name), type_of(context, ty)?),
            AttributeAction::Rename(from, to) => AttributeChange::Rename(fold(from), stored(to)),
        });
    }
    context.txn().alter_composite(&ty.schema, &ty.name, &changes)?;
    Ok(())
}
