//! `date(x)`, `text(x)`, `int4(x)`: a type called as a function is a cast. The column is called as the type, where the cast would have it
//! called as what is cast.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Select, SelectItem, SetExpr, Statement,
    VisitMut, VisitorMut,
};

use super::dialect::CairnDialect;
use super::names::exact;
use super::sets::bare_name;

/// The types, by the names that PostgreSQL's catalog has for them.
const TYPES: [&str; 29] = [
    "bit",
    "bool",
    "bpchar",
    "bytea",
    "cidr",
    "date",
    "float4",
    "float8",
    "inet",
    "int2",
    "int4",
    "int8",
    "json",
    "jsonb",
    "macaddr",
    "name",
    "numeric",
    "oid",
    "regclass",
    "regproc",
    "regtype",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "uuid",
    "varbit",
    "varchar",
];

/// Writes the casts of a statement.
pub(super) fn rewrite(text: &str, statement: &mut Statement) {
    // Most texts have no type before a bracket.
    let called = |at: usize| TYPES.iter().any(|ty| ends_with(text[..at].trim_end(), ty));
    if text.match_indices('(').any(|(at, _)| called(at)) {
        let _ = statement.visit(&mut Casts);
    }
}

fn ends_with(text: &str, ty: &str) -> bool {
    let text = text.strip_suffix('"').unwrap_or(text);
    text.len()
        .checked_sub(ty.len())
        .and_then(|at| text.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(ty))
}

/// The type that a call is of, and what it casts.
fn cast(function: &Function) -> Option<(String, &Expr)> {
    let name = bare_name(&function.name).filter(|name| TYPES.contains(&name.as_str()))?;
    let FunctionArguments::List(list) = &function.args else { return None };
    let plain = function.over.is_none()
        && function.filter.is_none()
        && function.within_group.is_empty()
        && list.clauses.is_empty()
        && list.duplicate_treatment.is_none();
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] if plain => Some((name, value)),
        _ => None,
    }
}

struct Casts;

impl VisitorMut for Casts {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Function(function)) = item
                && let Some((name, _)) = cast(function)
            {
                let expr = Expr::Function(function.clone());
                *item = SelectItem::ExprWithAlias { expr, alias: exact(&name) };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some((name, value)) = cast(function)
            && let Some(made) = made(&name, value)
        {
            *expr = made;
        }
        ControlFlow::Continue(())
    }
}

/// The cast of a value to the type of that name.
fn made(name: &str, value: &Expr) -> Option<Expr> {
    let parsed = super::parse_as(&format!("SELECT CAST(NULL AS {name})"), &CairnDialect::default()).ok()?;
    let Some(Statement::Query(query)) = parsed.into_iter().next() else { return None };
    let SetExpr::Select(select) = *query.body else { return None };
    let Some(SelectItem::UnnamedExpr(mut cast)) = select.projection.into_iter().next() else { return None };
    if let Expr::Cast { expr, .. } = &mut cast {
        **expr = value.clone();
    }
    Some(cast)
}
