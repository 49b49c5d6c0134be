//! Bounds of window frames that are computed (`$1 PRECEDING`, `1 + 1 FOLLOWING`, `CAST('1' AS int) FOLLOWING`): their values, which the
//! query engine wants written out.

use std::ops::ControlFlow;

use cairn_types::{DataType, Value};
use sqlparser::ast::{
    Expr, Function, Interval, Query, Statement, UnaryOperator, Value as Literal, Visit, VisitMut, Visitor,
    VisitorMut, WindowFrameBound, WindowFrameUnits, WindowType,
};

use super::rewrite::string;
use crate::{Error, Result};

/// The value of a bound; `None` where parameters have none yet.
pub(crate) type Evaluate<'e> = dyn Fn(&Expr) -> Result<Option<Value>> + 'e;

/// Writes out the bounds of a query. What has no value yet becomes CURRENT ROW, for a query that is only described.
///
/// # Errors
/// `22004` and `22013` for NULL and what is negative, `0A000` for what is no constant.
pub(crate) fn write_out(query: &mut Query, evaluate: &Evaluate<'_>) -> Result<()> {
    if Visit::visit(query, &mut Computed).is_continue() {
        return Ok(());
    }
    match VisitMut::visit(query, &mut Bounds { evaluate }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The numbers of parameters that are the bounds of ROWS and GROUPS as they are: BIGINT.
pub(crate) fn counts(query: &Query) -> Vec<usize> {
    struct Counts(Vec<usize>);
    impl Visitor for Counts {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(Function { over: Some(WindowType::WindowSpec(spec)), .. }) = expr
                && let Some(frame) = &spec.window_frame
                && frame.units != WindowFrameUnits::Range
            {
                let bounds = std::iter::once(&frame.start_bound).chain(&frame.end_bound);
                self.0.extend(bounds.filter_map(offset).filter_map(|offset| match offset {
                    Expr::Value(value) => match &value.value {
                        Literal::Placeholder(name) => name.strip_prefix('$')?.parse::<usize>().ok(),
                        _ => None,
                    },
                    _ => None,
                }));
            }
            ControlFlow::Continue(())
        }
    }
    let mut counts = Counts(Vec::new());
    let _ = query.visit(&mut counts);
    counts.0
}

/// The query that gives a bound's value.
pub(crate) fn query_of(offset: &Expr) -> Result<Query> {
    match super::parse_text(&format!("SELECT {offset}"))? {
        Statement::Query(query) => Ok(*query),
        _ => Err(Error::internal("a query was expected")),
    }
}

fn offset(bound: &WindowFrameBound) -> Option<&Expr> {
    match bound {
        WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset) => offset.as_deref(),
        WindowFrameBound::CurrentRow => None,
    }
}

/// Whether the query engine reads it as it is.
fn is_plain(offset: &Expr) -> bool {
    match offset {
        Expr::Value(value) => matches!(value.value, Literal::Number(..)),
        Expr::Interval(_) => true,
        _ => false,
    }
}

/// Whether it has a value of its own, always the same.
fn is_constant(offset: &Expr) -> bool {
    match offset {
        Expr::Value(_) | Expr::Interval(_) | Expr::TypedString(_) => true,
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_constant(expr),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_constant(expr),
        Expr::BinaryOp { left, right, .. } => is_constant(left) && is_constant(right),
        _ => false,
    }
}

/// Looks for a bound that is computed.
struct Computed;

impl Visitor for Computed {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::Function(Function { over: Some(WindowType::WindowSpec(spec)), .. }) = expr else {
            return ControlFlow::Continue(());
        };
        let Some(frame) = &spec.window_frame else { return ControlFlow::Continue(()) };
        let mut bounds = std::iter::once(&frame.start_bound).chain(&frame.end_bound);
        match bounds.any(|bound| offset(bound).is_some_and(|offset| !is_plain(offset))) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

struct Bounds<'e> {
    evaluate: &'e Evaluate<'e>,
}

impl VisitorMut for Bounds<'_> {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Function(Function { over: Some(WindowType::WindowSpec(spec)), .. }) = expr else {
            return ControlFlow::Continue(());
        };
        let Some(frame) = &mut spec.window_frame else { return ControlFlow::Continue(()) };
        let units = frame.units;
        let start = self.written(&mut frame.start_bound, units, "starting");
        let end = frame.end_bound.as_mut().map_or(Ok(()), |bound| self.written(bound, units, "ending"));
        match start.and(end) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Bounds<'_> {
    fn written(&self, bound: &mut WindowFrameBound, units: WindowFrameUnits, which: &str) -> Result<()> {
        let Some(own) = offset(bound).filter(|own| !is_plain(own)) else { return Ok(()) };
        if !is_constant(own) {
            return Err(Error::unsupported("a frame offset that is computed by functions or subqueries"));
        }
        let Some(value) = (self.evaluate)(own)? else {
            *bound = WindowFrameBound::CurrentRow;
            return Ok(());
        };
        let literal = literal(&value, units, which)?;
        if let WindowFrameBound::Preceding(Some(offset)) | WindowFrameBound::Following(Some(offset)) = bound {
            **offset = literal;
        }
        Ok(())
    }
}

fn literal(value: &Value, units: WindowFrameUnits, which: &str) -> Result<Expr> {
    let negative = |is: bool| match is {
        true if units == WindowFrameUnits::Range => {
            Err(Error::new("22013", "invalid preceding or following size in window function"))
        }
        true => Err(Error::new("22013", format!("frame {which} offset must not be negative"))),
        false => Ok(()),
    };
    let ty = value.data_type().unwrap_or(DataType::Text);
    let text = value.to_text(&ty);
    match value {
        Value::Null => Err(Error::new("22004", format!("frame {which} offset must not be null"))),
        Value::SmallInt(_) | Value::Integer(_) | Value::BigInt(_) => {
            negative(text.starts_with('-'))?;
            Ok(Expr::Value(Literal::Number(text, false).into()))
        }
        Value::Text(_) => Ok(interval(&text)),
        other if units != WindowFrameUnits::Range => {
            let ty = other.data_type().map_or_else(String::new, |ty| ty.pg_name());
            let words = if units == WindowFrameUnits::Rows { "ROWS" } else { "GROUPS" };
            let message = format!("argument of {words} must be type bigint, not type {ty}");
            Err(Error::new("42804", message))
        }
        Value::Numeric(_) | Value::Real(_) | Value::Double(_) => {
            negative(text.starts_with('-'))?;
            Ok(Expr::Value(Literal::Number(text, false).into()))
        }
        _ => Ok(interval(&text)),
    }
}

/// A text as the parser has the bounds that are written in quotes.
fn interval(text: &str) -> Expr {
    Expr::Interval(Interval {
        value: Box::new(string(text)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}
