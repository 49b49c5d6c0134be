//! Data definition: CREATE, ALTER, DROP, TRUNCATE, COMMENT. Each statement runs in the session's
//! transaction.

use sqlparser::ast::Statement;

use crate::context::Context;
use crate::results::StatementResult;
use crate::{Error, Result};

/// Runs a DDL statement.
///
/// # Errors
/// `0A000` for statements that are not supported; the engine's for the rest.
pub(crate) fn execute(_context: &Context, statement: &Statement) -> Result<StatementResult> {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    Err(Error::unsupported(words.join(" ")))
}

/// Functions over sequences (`nextval`, `currval`, `setval`, `lastval`), registered with the others.
pub(crate) fn functions() -> Vec<datafusion::logical_expr::ScalarUDF> {
    Vec::new()
}
