//! The type of a CASE is the common one of all its results, and the planner takes that of the first: the first result becomes a
//! call of [`crate::functions::case_type`], which has the type of all that it is given and the value of the first. The planner also
//! forgets of a CASE what Arrow has no type for (JSONB, for one), by which functions are chosen: among their arguments a CASE is one of
//! [`crate::functions::alike::TYPED_LIKE`], with a result beside it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value, Visit, Visitor,
};

use super::rewrite::{call, take};
use crate::functions::alike::TYPED_LIKE;
use crate::functions::case_type::NAME;

/// Different results that are looked at.
const RESULTS_MAX: usize = 64;

/// Gives a CASE whose parts are rewritten its type.
pub(super) fn rewrite(expr: &mut Expr) {
    let Some(others) = others(expr) else { return };
    let Expr::Case { conditions, .. } = expr else { return };
    if let Some(first) = conditions.iter_mut().map(|when| &mut when.result).find(|result| !is_null(result)) {
        let mut args = vec![take(first)];
        args.extend(others);
        *first = call(NAME, args);
    }
}

/// Gives the CASEs among the arguments of a function their types.
pub(super) fn in_arguments(expr: &mut Expr) {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else { return };
    if [NAME, TYPED_LIKE].iter().any(|own| name.to_string() == *own) {
        return;
    }
    for arg in &mut list.args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg else { continue };
        let mut inner = &*arg;
        while let Expr::Nested(nested) = inner {
            inner = nested;
        }
        let Some(result) = a_result(inner).cloned() else { continue };
        *arg = call(TYPED_LIKE, vec![take(arg), result]);
    }
}

/// A result of a CASE that has a type of its own and may be written twice.
fn a_result(case: &Expr) -> Option<&Expr> {
    let Expr::Case { conditions, else_result, .. } = case else { return None };
    let mut results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
    results.find_map(|result| match result {
        Expr::Case { .. } => a_result(result),
        result if is_null(result) || is_string(result) || holds_more(result) => None,
        result => Some(result),
    })
}

/// The results beside the first, if types may differ.
fn others(expr: &Expr) -> Option<Vec<Expr>> {
    let Expr::Case { conditions, else_result, .. } = expr else { return None };
    let results = || conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
    let mut rest = results().filter(|result| !is_null(result));
    let first = rest.next()?;
    // A literal takes the type of others (`query::literals`).
    if is_string(first) || conditions.iter().all(|when| is_null(&when.result)) {
        return None;
    }
    let mut others: Vec<Expr> = Vec::new();
    for result in rest {
        let leaves: Vec<&Expr> = match result {
            Expr::Case { .. } => leaves(result)?,
            other if holds_more(other) => return None,
            other => vec![other],
        };
        for leaf in leaves {
            if others.len() < RESULTS_MAX
                && !is_string(leaf)
                && !is_null(leaf)
                && leaf != first
                && !others.contains(leaf)
            {
                others.push(leaf.clone());
            }
        }
    }
    let same = is_integer(first) && others.iter().all(is_integer);
    (!same && !others.is_empty()).then_some(others)
}

/// What a CASE within stands for: the results that its own first one was given.
fn leaves(case: &Expr) -> Option<Vec<&Expr>> {
    let Expr::Case { conditions, else_result, .. } = case else { return None };
    let results = || conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
    for result in results() {
        if let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = result
            && name.to_string() == NAME
        {
            let plain = |arg| match arg {
                &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Some(expr),
                _ => None,
            };
            return list
                .args
                .iter()
                .map(plain)
                .collect::<Option<Vec<_>>>()
                .filter(|all| !all.iter().any(|e| holds_more(e)));
        }
    }
    let all: Vec<&Expr> = results().collect();
    (!all.iter().any(|result| holds_more(result))).then_some(all)
}

/// Whether an expression holds what is not to be written twice.
fn holds_more(expr: &Expr) -> bool {
    struct Search;
    impl Visitor for Search {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Case { .. } | Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Search).is_break()
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Null))
}

fn is_string(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

fn is_integer(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(&value.value, Value::Number(digits, _) if digits.bytes().all(|b| b.is_ascii_digit())))
}
