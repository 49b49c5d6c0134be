//! Names that a statement says with a schema: functions and types of a schema are for those with USAGE on it. (Tables are looked at
//! where they are planned.) Texts that were stored, of views and policies, are whose they are: there it is not asked.

use std::ops::ControlFlow;

use cairn_engine::Catalog;
use sqlparser::ast::{DataType as SqlType, Expr, ObjectName, TableFactor, Visit, Visitor};

use crate::context::Context;
use crate::session::variables::fold;
use crate::{Error, Result};

/// Looks at the functions and types that a statement names.
///
/// # Errors
/// `42501`.
pub(crate) fn require_named(context: &Context, statement: &impl Visit) -> Result<()> {
    if context.is_superuser() {
        return Ok(());
    }
    match statement.visit(&mut Names { context, catalog: &context.txn().catalog() }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The same of one name, of whatever it is.
///
/// # Errors
/// `42501`.
pub(crate) fn require_of(context: &Context, name: &ObjectName) -> Result<()> {
    match parts(name) {
        Some((schema, _)) => super::require_usage(&context.txn().catalog(), context.role(), &schema),
        None => Ok(()),
    }
}

fn parts(name: &ObjectName) -> Option<(String, String)> {
    let [schema, own] = name.0.as_slice() else { return None };
    Some((fold(schema.as_ident()?), fold(own.as_ident()?)))
}

struct Names<'a> {
    context: &'a Context,
    catalog: &'a Catalog,
}

impl Names<'_> {
    fn routine(&self, name: &ObjectName) -> Result<()> {
        match parts(name) {
            Some((schema, own)) if self.catalog.routines_named(&schema, &own).next().is_some() => {
                require_of(self.context, name)
            }
            _ => Ok(()),
        }
    }

    fn ty(&self, ty: &SqlType) -> Result<()> {
        match ty {
            SqlType::Custom(name, _) => match parts(name) {
                Some((schema, own)) if self.catalog.type_or_rows(&schema, &own).is_some() => {
                    require_of(self.context, name)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn go_on(looked: Result<()>) -> ControlFlow<Error> {
    match looked {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl Visitor for Names<'_> {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        go_on(match expr {
            Expr::Function(call) => self.routine(&call.name),
            Expr::Cast { data_type, .. } => self.ty(data_type),
            Expr::TypedString(typed) => self.ty(&typed.data_type),
            _ => Ok(()),
        })
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        go_on(match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.routine(name)
            }
            _ => Ok(()),
        })
    }
}
