//! Statements that read one row by its key, prepared once: see [`PointPlan`].

use std::sync::Arc;

use cairn_types::Value;
use parking_lot::Mutex;

use crate::Result;
use crate::engine::Shared;
use crate::results::StatementResult;
use crate::session::State;

/// A cached plan.
pub(crate) struct PointPlan {}

/// Runs a statement from its cached plan, on the caller's thread; `None` where it has none.
pub(crate) fn run(
    _shared: &Arc<Shared>,
    _state: &Arc<Mutex<State>>,
    _sql: &str,
    _parameters: &[Value],
) -> Option<Result<StatementResult>> {
    None
}
