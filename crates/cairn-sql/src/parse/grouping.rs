//! Grouping sets within each other, and ROLLUP and CUBE of several columns at a time, are written out as the sets that they
//! mean: `GROUPING SETS (ROLLUP (a, b), c)` is `GROUPING SETS ((a, b), (a), (), (c))`.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Select};

use crate::session::variables::fold;
use crate::{Error, Result};

/// Columns of one CUBE.
const CUBE_MAX: usize = 12;
/// Sets of one GROUP BY item.
const SETS_MAX: usize = 4096;

type Sets = Vec<Vec<Expr>>;

/// Writes out the grouping sets of a SELECT that the planner does not take.
///
/// # Errors
/// `54011` for more than 12 columns of a CUBE, `54000` for more than 4096 sets.
pub(super) fn rewrite(select: &mut Select) -> Result<()> {
    let GroupByExpr::Expressions(items, _) = &mut select.group_by else { return Ok(()) };
    for item in items {
        let plain = match item {
            Expr::GroupingSets(sets) => sets.iter().all(|set| match set.as_slice() {
                [one] => !is_sets(one) && !matches!(one, Expr::Tuple(_)),
                _ => true,
            }),
            Expr::Rollup(parts) | Expr::Cube(parts) => {
                parts.iter().all(|part| matches!(part.as_slice(), [one] if !matches!(one, Expr::Tuple(_))))
                    && (1..parts.len()).all(|at| !parts[..at].contains(&parts[at]))
            }
            _ => true,
        };
        if !plain {
            *item = Expr::GroupingSets(sets(item)?);
        }
    }
    Ok(())
}

fn is_sets(expr: &Expr) -> bool {
    matches!(expr, Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_)) || named(expr).is_some()
}

/// `rollup(…)` or `cube(…)` within a set, where the parser takes it for a function.
fn named(expr: &Expr) -> Option<(bool, Sets)> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else {
        return None;
    };
    let [part] = name.0.as_slice() else { return None };
    let rollup = match fold(part.as_ident()?).as_str() {
        "rollup" => true,
        "cube" => false,
        _ => return None,
    };
    let part = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(vec![expr.clone()]),
        _ => None,
    };
    Some((rollup, list.args.iter().map(part).collect::<Option<_>>()?))
}

/// The sets that an item means, each column once.
fn sets(item: &Expr) -> Result<Sets> {
    if let Some((rollup, parts)) = named(item) {
        return if rollup { Ok(prefixes(&parts)) } else { subsets(&parts) };
    }
    let all = match item {
        Expr::Rollup(parts) => prefixes(parts),
        Expr::Cube(parts) => subsets(parts)?,
        Expr::GroupingSets(items) => {
            let mut all = Vec::new();
            for set in items {
                match set.as_slice() {
                    [one] if is_sets(one) => all.extend(sets(one)?),
                    parts => all.push(columns([&parts.to_vec()])),
                }
                if all.len() > SETS_MAX {
                    return Err(Error::new(
                        "54000",
                        format!("too many grouping sets present (maximum {SETS_MAX})"),
                    ));
                }
            }
            all
        }
        other => vec![vec![other.clone()]],
    };
    Ok(all)
}

/// The columns of some parts.
fn columns<'p>(parts: impl IntoIterator<Item = &'p Vec<Expr>>) -> Vec<Expr> {
    let mut all: Vec<Expr> = Vec::new();
    for expr in parts.into_iter().flatten() {
        let own = match expr {
            Expr::Tuple(own) => own.as_slice(),
            one => std::slice::from_ref(one),
        };
        for column in own {
            if !all.contains(column) {
                all.push(column.clone());
            }
        }
    }
    all
}

fn prefixes(parts: &[Vec<Expr>]) -> Sets {
    (0..=parts.len()).rev().map(|count| columns(&parts[..count])).collect()
}

fn subsets(parts: &[Vec<Expr>]) -> Result<Sets> {
    if parts.len() > CUBE_MAX {
        return Err(Error::new("54011", format!("CUBE is limited to {CUBE_MAX} elements")));
    }
    let chosen =
        |set: usize| parts.iter().enumerate().filter(move |(at, _)| set & (1 << (parts.len() - 1 - at)) != 0);
    Ok((0..1usize << parts.len()).rev().map(|set| columns(chosen(set).map(|(_, part)| part))).collect())
}
