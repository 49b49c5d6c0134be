//! Types that users have made, where a query names them: an enum is written as its signature, from which all else is
//! read; a cast to a domain becomes a cast to the type below within a call that checks the value.
//!
//! I1. A call of [`DOMAIN_FUNCTION`] and an id is made here alone; `query::plan` makes the function.

use std::ops::ControlFlow;

use cairn_engine::Catalog;
use cairn_engine::catalog::{ObjectId, TypeDescriptor};
use cairn_types::DataType;
use sqlparser::ast::{
    ArrayElemTypeDef, DataType as SqlType, Expr, Ident, ObjectName, Query, TableFactor, VisitMut, VisitorMut,
};

use super::rewrite::{call, take};
use super::types;
use crate::context::Context;
use crate::session::variables::fold;
use crate::{Error, Result};

/// Begins the name of the function that checks a value of a domain; its id follows.
pub(crate) const DOMAIN_FUNCTION: &str = "cairn_domain_";

/// A type as SQL names it.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// The type of the values.
    pub(crate) ty: DataType,
    /// Its domain.
    pub(crate) domain: Option<ObjectId>,
}

/// Our type of a type's SQL text, those that users have made included.
///
/// # Errors
/// `42704` for a type that does not exist.
pub(crate) fn named(context: &Context, sql: &SqlType) -> Result<Named> {
    let catalog = context.catalog()?;
    match found(context, &catalog, sql) {
        Some(ty) => {
            if let SqlType::Custom(name, _) = sql {
                crate::privileges::schemas::require_of(context, name)?;
            }
            crate::privileges::require_type(context, &ty)?;
            let domain = ty.is_domain().then_some(ty.id);
            Ok(Named { ty: ty.data_type(), domain })
        }
        None => match sql {
            SqlType::Array(
                ArrayElemTypeDef::AngleBracket(inner)
                | ArrayElemTypeDef::SquareBracket(inner, _)
                | ArrayElemTypeDef::Parenthesis(inner),
            ) => {
                let element = named(context, inner)?;
                if element.domain.is_some() {
                    return Err(Error::unsupported("an array of a domain"));
                }
                Ok(Named { ty: DataType::Array(Box::new(element.ty)), domain: None })
            }
            other => Ok(Named { ty: types::data_type(other)?, domain: None }),
        },
    }
}

/// The type of a name that may be no type's.
pub(crate) fn find(
    context: &Context,
    catalog: &Catalog,
    name: &ObjectName,
) -> Option<std::sync::Arc<TypeDescriptor>> {
    let parts: Vec<String> = name.0.iter().map(|part| part.as_ident().map(fold)).collect::<Option<_>>()?;
    match parts.as_slice() {
        [ty] => {
            let path = &context.scope.settings.search_path;
            path.iter().find_map(|schema| catalog.type_or_rows(schema, ty))
        }
        [schema, ty] => catalog.type_or_rows(schema, ty),
        _ => None,
    }
}

fn found(context: &Context, catalog: &Catalog, sql: &SqlType) -> Option<std::sync::Arc<TypeDescriptor>> {
    match sql {
        SqlType::Custom(name, modifiers) if modifiers.is_empty() => {
            // The system's own types come first.
            let own = name.0.len() == 1 && DataType::parse(&name.to_string()).is_some();
            if own { None } else { find(context, catalog, name) }
        }
        _ => None,
    }
}

/// Writes the types that a query names as [`types::data_type`] reads them.
///
/// # Errors
/// `0A000` for arrays of domains.
pub(crate) fn resolve(context: &Context, catalog: &Catalog, query: &mut Query) -> Result<()> {
    match query.visit(&mut Names { context, catalog }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Names<'a> {
    context: &'a Context,
    catalog: &'a Catalog,
}

impl Names<'_> {
    /// Writes a type anew; the domain that it is.
    fn written(&self, ty: &mut SqlType) -> Result<Option<ObjectId>> {
        if let SqlType::Array(
            ArrayElemTypeDef::AngleBracket(inner)
            | ArrayElemTypeDef::SquareBracket(inner, _)
            | ArrayElemTypeDef::Parenthesis(inner),
        ) = ty
        {
            return match self.written(inner)? {
                None => Ok(None),
                Some(_) => Err(Error::unsupported("an array of a domain")),
            };
        }
        let Some(found) = found(self.context, self.catalog, ty) else { return Ok(None) };
        *ty = types::written(&found.data_type());
        Ok(found.is_domain().then_some(found.id))
    }
}

impl VisitorMut for Names<'_> {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let written = match expr {
            Expr::Cast { data_type, .. } => self.written(data_type),
            Expr::TypedString(typed) => self.written(&mut typed.data_type),
            _ => return ControlFlow::Continue(()),
        };
        match written {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(domain)) => {
                let value = take(expr);
                *expr = call(&format!("{DOMAIN_FUNCTION}{domain}"), vec![value]);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let alias = match factor {
            TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::TableFunction { alias, .. } => alias,
            _ => return ControlFlow::Continue(()),
        };
        for column in alias.iter_mut().flat_map(|alias| &mut alias.columns) {
            if let Some(ty) = &mut column.data_type
                && let Err(error) = self.written(ty)
            {
                return ControlFlow::Break(error);
            }
        }
        ControlFlow::Continue(())
    }
}

/// A name in double quotes.
pub(crate) fn quoted_name(name: &str) -> ObjectName {
    ObjectName::from(vec![Ident::with_quote('"', name)])
}
