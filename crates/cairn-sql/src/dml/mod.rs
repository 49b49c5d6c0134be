//! INSERT, UPDATE, DELETE, MERGE with ON CONFLICT and RETURNING, and the evaluation of DEFAULT and CHECK expressions for the
//! engine.
//!
//! ```text
//!   INSERT ─ VALUES (literal) ─ assign ─┐
//!          └ query → DataFusion ─ assign ┴─ defaults → engine::insert ─ conflicts → engine::update ─┐
//!   UPDATE ─ SELECT row key, old row, new values → assign ────────────────────────→ engine::update ─┼─ RETURNING
//!   DELETE ─ SELECT row key [, old row] ──────────────────────────────────────────→ engine::delete ─┤
//!   MERGE ─ SELECT target ⟕ source ─ WHEN clauses ────────────────────────────────→ all three ──────┘
//! ```
//! DataFusion's own DML is never used: it plans queries, and what is written is decided here.
//!
//! I1. The rows that a statement changes are known before the first of them is changed (no Halloween problem).
//! I2. Constraints, index entries and foreign keys are the engine's; nothing here writes a key.

pub(crate) mod assign;
pub(crate) mod changed;
mod check_option;
mod composite;
mod conflict;
pub(crate) mod default;
mod delete;
mod expressions;
mod insert;
pub(crate) mod inserter;
pub(crate) mod layers;
pub(crate) mod literal;
mod merge;
pub(crate) mod merge_returning;
pub(crate) mod point;
mod point_change;
pub(crate) mod relations;
mod replace;
mod returning;
pub(crate) mod target;
pub(crate) mod updatable;
mod update;
pub(crate) mod with;

use std::sync::Arc;

use sqlparser::ast::{Delete, Insert, Merge, Statement, Update, With};

use crate::context::Context;
use crate::engine::Shared;
use crate::results::StatementResult;
use crate::{Error, Result};

/// Runs an INSERT.
pub(crate) fn insert(context: &Context, statement: &Insert) -> Result<StatementResult> {
    insert::run(context, statement, None)
}

/// Runs an UPDATE.
pub(crate) fn update(context: &Context, statement: &Update) -> Result<StatementResult> {
    update::run(context, statement, None)
}

/// Runs a DELETE.
pub(crate) fn delete(context: &Context, statement: &Delete) -> Result<StatementResult> {
    delete::run(context, statement, None)
}

/// Runs a MERGE.
pub(crate) fn merge(context: &Context, statement: &Merge) -> Result<StatementResult> {
    merge::run(context, statement, None)
}

/// Runs a statement of DML with a WITH clause in front of it, none of whose queries changes data.
///
/// # Errors
/// `0A000` for other statements.
pub(crate) fn with_prefix(
    context: &Context,
    with: Option<&With>,
    statement: &Statement,
) -> Result<StatementResult> {
    match statement {
        Statement::Insert(statement) => {
            context.require_writable("INSERT")?;
            insert::run(context, statement, with)
        }
        Statement::Update(statement) => {
            context.require_writable("UPDATE")?;
            update::run(context, statement, with)
        }
        Statement::Delete(statement) => {
            context.require_writable("DELETE")?;
            delete::run(context, statement, with)
        }
        Statement::Merge(statement) => {
            context.require_writable("MERGE")?;
            merge::run(context, statement, with)
        }
        _ => Err(Error::unsupported("WITH in front of this statement")),
    }
}

/// Gives the database the evaluation of its CHECK and DEFAULT expressions.
/// Whether it had none before.
pub(crate) fn install_expressions(shared: &Arc<Shared>) -> bool {
    expressions::install(shared)
}
