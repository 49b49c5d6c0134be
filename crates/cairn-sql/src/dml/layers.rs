//! Conditions of changes through `security_barrier` views, one within the other: what stands outside of a barrier is computed on
//! rows only that have met what is within.
//!
//! I1. The call of [`OUTSIDE`] is made here alone; it stands in conditions that are joined by AND.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName};
use sqlparser::ast::{TableWithJoins, WildcardAdditionalOptions};

use super::relations::{empty_query, quoted, select_of, table_factor};
use crate::Result;
use crate::parse::rewrite::call;
use crate::privileges::relations::{Admission, Secured};
use crate::query::plan::Planner;

/// Stands around what is outside.
const OUTSIDE: &str = "\u{1}outside";
/// What the rows within are called.
const WITHIN: &str = "__cairn_within";

/// A condition of who uses a barrier view.
pub(super) fn outside(condition: Expr) -> Expr {
    call(OUTSIDE, vec![condition])
}

/// The conditions, that of the table's own rows first.
pub(super) fn split(selection: Option<&Expr>) -> Vec<Option<Expr>> {
    let mut layers = Vec::new();
    let mut next = selection.cloned();
    loop {
        let (mut own, mut rest) = (Vec::new(), Vec::new());
        if let Some(expr) = next.take() {
            sort(expr, &mut own, &mut rest);
        }
        layers.push(all(own));
        match all(rest) {
            Some(more) => next = Some(more),
            None => return layers,
        }
    }
}

/// The condition without barriers.
pub(crate) fn flat(selection: Option<&Expr>) -> Option<Expr> {
    all(split(selection).into_iter().flatten().collect())
}

fn all(conditions: Vec<Expr>) -> Option<Expr> {
    let nested = |expr: Expr| match expr {
        nested @ Expr::Nested(_) => Box::new(nested),
        other => Box::new(Expr::Nested(Box::new(other))),
    };
    conditions.into_iter().reduce(|left, right| Expr::BinaryOp {
        left: nested(left),
        op: BinaryOperator::And,
        right: nested(right),
    })
}

fn sort(expr: Expr, own: &mut Vec<Expr>, rest: &mut Vec<Expr>) {
    match expr {
        Expr::Nested(inner) => sort(*inner, own, rest),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            sort(*left, own, rest);
            sort(*right, own, rest);
        }
        other => match argument(&other) {
            Some(inner) => rest.push(inner.clone()),
            None => own.push(other),
        },
    }
}

/// What a call of [`OUTSIDE`] is around.
fn argument(expr: &Expr) -> Option<&Expr> {
    let Expr::Function(call) = expr else { return None };
    let FunctionArguments::List(list) = &call.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))] => {
            let name = call.name.0.last()?.as_ident()?;
            (name.value == OUTSIDE).then_some(inner)
        }
        _ => None,
    }
}

/// The rows of a relation that meet the conditions of all layers but the last, behind a barrier each; its name.
///
/// # Errors
/// What is wrong with a condition.
pub(super) fn within(
    planner: &Planner<'_>,
    (mut name, alias): (ObjectName, &str),
    layers: &[Option<Expr>],
) -> Result<ObjectName> {
    for (at, condition) in layers.iter().take(layers.len().saturating_sub(1)).enumerate() {
        let mut query = empty_query()?;
        let select = select_of(&mut query)?;
        select.from.push(TableWithJoins { relation: table_factor(name, alias)?, joins: Vec::new() });
        select.selection = condition.clone();
        let every = sqlparser::ast::SelectItem::Wildcard(WildcardAdditionalOptions::default());
        select.projection.push(every);
        let plan = planner.query(query)?;
        let admission = Admission { barrier: true, ..Admission::default() };
        let refusal = crate::privileges::denied("table", alias);
        let rows: Arc<dyn TableProvider> = Arc::new(Secured::new(plan, admission, refusal)?);
        let called = format!("{WITHIN}_{at}");
        planner.add_source(&called, rows);
        name = ObjectName::from(vec![quoted(&called)]);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dml::default::parse_expr;

    #[test]
    fn what_is_outside_comes_later() {
        let expr = |text: &str| parse_expr(text).unwrap();
        let inner = Expr::BinaryOp {
            left: Box::new(expr("b")),
            op: BinaryOperator::And,
            right: Box::new(Expr::Nested(Box::new(outside(expr("c OR d"))))),
        };
        let layers = split(Some(&outside(inner)));
        let shown: Vec<_> = layers.iter().map(|own| own.as_ref().map(ToString::to_string)).collect();
        assert_eq!(shown, [None, Some("b".to_owned()), Some("c OR d".to_owned())]);
        assert_eq!(split(None), [None]);
        assert_eq!(flat(Some(&outside(expr("a = 1")))).unwrap().to_string(), "a = 1");
    }
}
