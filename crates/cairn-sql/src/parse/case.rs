//! A CASE is the call of a function until its query is planned ([`crate::functions::case`]).

use sqlparser::ast::Expr;

use super::rewrite::{call, take};
use crate::functions::case::{NAME, OF_VALUE};

/// Writes a CASE whose parts are rewritten as a call.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::Case { operand, conditions, else_result, .. } = expr else { return };
    let name = if operand.is_some() { OF_VALUE } else { NAME };
    let mut args: Vec<Expr> = operand.iter_mut().map(|operand| take(operand)).collect();
    for when in conditions {
        args.push(take(&mut when.condition));
        args.push(take(&mut when.result));
    }
    args.extend(else_result.iter_mut().map(|other| take(other)));
    *expr = call(name, args);
}
