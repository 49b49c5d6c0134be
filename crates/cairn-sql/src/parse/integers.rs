//! Integer literals that fit INTEGER are of that type, as in PostgreSQL; the planner would make all of them BIGINT. They
//! are written as `CAST(n AS INTEGER)`, once everything else of the query has been rewritten, but where the planner
//! reads a plain number: LIMIT and OFFSET, positions in GROUP BY and ORDER BY, bounds of frames, subscripts, arguments
//! of functions in FROM and those that decide on the type of a result.
//!
//! `ARRAY[a, b]` becomes the call of a function here, once all that knows its form has seen it.
//!
//! A number with a zero in front is BIGINT whatever its size: so are bound values of that type
//! ([`super::parameters::literal`]).

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, CastKind, DataType, Distinct, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, GroupByExpr, LimitClause, NamedWindowExpr, OrderByKind, Query, Select, Subscript,
    TableFactor, TableFunctionArgs, UnaryOperator, Value, VisitMut, VisitorMut, WindowFrame,
    WindowFrameBound, WindowType,
};

use crate::session::variables::fold;

/// Functions whose arguments stay plain.
const PLAIN_ARGUMENTS: &[&str] =
    &["count", "round", "trunc", "cairn_cast", "nth_value", "ntile", "lag", "lead", "date_bin"];

/// Types the literals of a query.
pub(crate) fn query(query: &mut Query) {
    // Never breaks.
    let _ = query.visit(&mut Integers);
}

struct Integers;

impl VisitorMut for Integers {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Value(value) => {
                if let Value::Number(digits, _) = &value.value
                    && is_integer(digits)
                {
                    *expr = typed(digits.clone());
                }
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
                // The least INTEGER is one only with its sign.
                if let Some(digits) = digits_of(inner).or_else(|| number(inner))
                    && !digits.starts_with('-')
                    && is_integer(&format!("-{digits}"))
                {
                    *expr = typed(format!("-{digits}"));
                }
            }
            Expr::Function(function) => plain_in_function(function),
            Expr::CompoundFieldAccess { access_chain, .. } => {
                access_chain.iter_mut().for_each(plain_in_access)
            }
            Expr::Interval(interval) => plain(&mut interval.value),
            // In the list of ARRAY the planner knows no columns of outer queries.
            Expr::Array(array) if !array.elem.is_empty() => {
                *expr = super::rewrite::call("make_array", std::mem::take(&mut array.elem));
            }
            // The planner takes names and plain literals in rows.
            Expr::Tuple(items) => items.iter_mut().for_each(plain),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(exprs, _) = &mut select.group_by {
            exprs.iter_mut().for_each(plain);
        }
        if let Some(Distinct::On(exprs)) = &mut select.distinct {
            exprs.iter_mut().for_each(plain);
        }
        for window in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &mut window.1 {
                plain_in_frame(spec.window_frame.as_mut());
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(exprs) = &mut order.kind
        {
            exprs.iter_mut().for_each(|order| plain(&mut order.expr));
        }
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                limit.iter_mut().for_each(plain);
                offset.iter_mut().for_each(|offset| plain(&mut offset.value));
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                plain(offset);
                plain(limit);
            }
            None => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { args: Some(TableFunctionArgs { args, .. }), .. }
            | TableFactor::Function { args, .. } => args.iter_mut().for_each(plain_in_argument),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn is_integer(digits: &str) -> bool {
    let zero_in_front = digits.len() > 1 && digits.trim_start_matches('-').starts_with('0');
    !zero_in_front && digits.parse::<i32>().is_ok()
}

fn number(expr: &Expr) -> Option<&str> {
    let Expr::Value(value) = expr else { return None };
    match &value.value {
        Value::Number(digits, _) => Some(digits),
        _ => None,
    }
}

fn typed(digits: String) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(Value::Number(digits, false).into())),
        data_type: DataType::Integer(None),
        array: false,
        format: None,
    }
}

/// The digits of a literal that was typed. No other cast is left in a query that has been rewritten.
fn digits_of(expr: &Expr) -> Option<&str> {
    let Expr::Cast { expr, data_type: DataType::Integer(None), .. } = expr else { return None };
    number(expr)
}

/// The plain number again.
fn plain(expr: &mut Expr) {
    if let Some(digits) = digits_of(expr) {
        let digits = digits.to_owned();
        *expr = match digits.strip_prefix('-') {
            Some(digits) => Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr: Box::new(Expr::Value(Value::Number(digits.to_owned(), false).into())),
            },
            None => Expr::Value(Value::Number(digits, false).into()),
        };
    }
}

fn plain_in_argument(argument: &mut FunctionArg) {
    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument {
        plain(expr);
    }
}

fn plain_in_function(function: &mut Function) {
    if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
        plain_in_frame(spec.window_frame.as_mut());
    }
    let name = function.name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    if let FunctionArguments::List(list) = &mut function.args
        && PLAIN_ARGUMENTS.contains(&name.as_str())
    {
        // The first argument of those that round is a number like any other.
        let kept = usize::from(matches!(
            name.as_str(),
            "round" | "trunc" | "cairn_cast" | "lag" | "lead" | "nth_value"
        ));
        list.args.iter_mut().skip(kept).for_each(plain_in_argument);
    }
}

fn plain_in_frame(frame: Option<&mut WindowFrame>) {
    let Some(frame) = frame else { return };
    for bound in [Some(&mut frame.start_bound), frame.end_bound.as_mut()].into_iter().flatten() {
        if let WindowFrameBound::Preceding(Some(expr)) | WindowFrameBound::Following(Some(expr)) = bound {
            plain(expr);
        }
    }
}

fn plain_in_access(access: &mut AccessExpr) {
    match access {
        AccessExpr::Subscript(Subscript::Index { index }) => plain(index),
        AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
            [lower_bound, upper_bound, stride].into_iter().flatten().for_each(plain);
        }
        AccessExpr::Dot(expr) => plain(expr),
    }
}
