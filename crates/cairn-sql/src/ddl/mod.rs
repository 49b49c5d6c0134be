//! Data definition: CREATE, ALTER, DROP, TRUNCATE, COMMENT. Each statement runs in the session's transaction.
//!
//! A statement is read into the engine's specifications (`cairn_engine::ddl`), which check and do the work; expressions
//! (DEFAULT, CHECK, views) are planned once here, so that what cannot be evaluated is never stored.
//!
//! I1. A clause that is not supported is refused with `0A000`, never dropped.

mod alter;
mod alter_more;
mod column;
mod composite;
mod create;
mod drop;
mod expression;
mod extra;
mod functions;
mod index;
mod like;
mod materialized;
pub(crate) mod names;
mod partition;
mod retype;
mod sequence;
mod storage;
mod type_statement;
mod types;
mod view;

pub(crate) use create::schema as create_schema;
pub(crate) use extra::{ends, integer, parse};
pub(crate) use view::relations_of;

use sqlparser::ast::Statement;

use crate::context::Context;
use crate::results::StatementResult;
use crate::{Error, Result};

/// Whether a statement changes definitions: it waits for other such statements, and [`execute`] runs it.
pub(crate) fn is_definition(statement: &Statement) -> bool {
    match statement {
        Statement::CreateTable(_)
        | Statement::CreateView(_)
        | Statement::CreateIndex(_)
        | Statement::CreateSchema { .. }
        | Statement::CreateSequence { .. }
        | Statement::AlterTable(_)
        | Statement::AlterIndex { .. }
        | Statement::AlterView { .. }
        | Statement::AlterSchema(_)
        | Statement::Drop { .. }
        | Statement::Comment { .. } => true,
        Statement::Call(call) => extra::is_own(call),
        _ => false,
    }
}

/// Runs a DDL statement, or TRUNCATE.
///
/// # Errors
/// `0A000` for statements that are not supported; the engine's for the rest.
pub(crate) fn execute(context: &Context, statement: &Statement) -> Result<StatementResult> {
    match statement {
        Statement::CreateTable(create) => create::table(context, create),
        Statement::CreateView(create) => view::create(context, create),
        Statement::CreateIndex(create) => index::create(context, create),
        Statement::CreateSchema {
            schema_name, if_not_exists, with, options, default_collate_spec, ..
        } => {
            if with.is_some() || options.is_some() || default_collate_spec.is_some() {
                return Err(Error::unsupported("CREATE SCHEMA with options"));
            }
            create::schema(context, schema_name, *if_not_exists)
        }
        // Other forms are read by `extra`.
        Statement::CreateSequence { temporary: true, .. } => Err(Error::unsupported("a temporary sequence")),
        Statement::AlterTable(alter) => alter::table(context, alter),
        Statement::AlterIndex { name, operation } => index::alter(context, name, operation),
        Statement::Drop { .. } => drop::run(context, statement),
        Statement::Truncate(truncate) => drop::truncate(context, truncate),
        Statement::Comment { object_type, object_name, comment, if_exists } => {
            drop::comment(context, object_type, object_name, comment.as_deref(), *if_exists)
        }
        Statement::Call(call) => extra::run(context, call),
        other => {
            let text = other.to_string();
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            Err(Error::unsupported(words.join(" ")))
        }
    }
}

/// Functions over sequences (`nextval`, `currval`, `setval`, `lastval`), registered with the others.
pub(crate) fn functions() -> Vec<datafusion::logical_expr::ScalarUDF> {
    functions::all()
}

/// Tells the session's user what a statement passed over, such as a table that was there already.
pub(crate) fn notice(context: &Context, sqlstate: &'static str, message: String) {
    context.notice(sqlstate, message);
}
