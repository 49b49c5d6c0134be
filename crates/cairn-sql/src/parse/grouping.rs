//! Grouping sets within each other, and ROLLUP and CUBE of several columns at a time, are written out as the sets that they
//! mean: `GROUPING SETS (ROLLUP (a, b), c)` is `GROUPING SETS ((a, b), (a), (), (c))`. Places of the list within them are the
//! expressions that stand there. GROUP BY DISTINCT leaves out sets that are there twice.

use std::collections::HashSet;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Select,
    SelectItem, Value,
};

use crate::session::variables::fold;
use crate::{Error, Result};

/// Stands around the first item of `GROUP BY DISTINCT …`.
pub(super) const DISTINCT: &str = "cairn_distinct_sets";

/// Columns of one CUBE.
const CUBE_MAX: usize = 12;
/// Sets of one GROUP BY item.
const SETS_MAX: usize = 4096;

type Sets = Vec<Vec<Expr>>;

/// Writes out the grouping sets of a SELECT that the planner does not take.
///
/// # Errors
/// `54011` for more than 12 columns of a CUBE, `54000` for more than 4096 sets, `42P10` for a place that is not in the list.
pub(super) fn rewrite(select: &mut Select) -> Result<()> {
    let list = &select.projection;
    let GroupByExpr::Expressions(items, _) = &mut select.group_by else { return Ok(()) };
    let distinct = items.first_mut().is_some_and(without_distinct);
    // Places and names are meant in brackets, too.
    items.iter_mut().for_each(super::list_names::unwrap);
    if !items.is_empty() && items.iter().all(is_empty) {
        // One group of all rows, whether there are any.
        items.clear();
        let all = counted();
        select.having = Some(match select.having.take() {
            None => all,
            Some(own) => {
                let (left, right) = (Box::new(Expr::Nested(Box::new(own))), Box::new(all));
                Expr::BinaryOp { left, op: BinaryOperator::And, right }
            }
        });
        return Ok(());
    }
    items.retain(|item| !is_empty(item));
    let mut seen = HashSet::new();
    items.retain(|item| is_sets(item) || seen.insert(item.to_string()));
    if distinct && items.iter().any(is_sets) {
        let all = items.iter().try_fold(vec![Vec::new()], |all, item| each_with(all, item, list))?;
        let mut kept: Sets = Vec::new();
        for set in all {
            let is_same =
                |own: &Vec<Expr>| own.len() == set.len() && set.iter().all(|expr| own.contains(expr));
            if !kept.iter().any(is_same) {
                kept.push(set);
            }
        }
        *items = vec![Expr::GroupingSets(kept)];
        return Ok(());
    }
    for item in items {
        if is_sets(item) {
            of_places(item, list)?;
        }
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

/// Takes what stands for DISTINCT from the first item; whether it was there.
fn without_distinct(item: &mut Expr) -> bool {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = item else {
        return false;
    };
    if name.to_string() != DISTINCT {
        return false;
    }
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.pop() else { return false };
    *item = first;
    true
}

/// Each set with each of an item's.
fn each_with(all: Sets, item: &Expr, list: &[SelectItem]) -> Result<Sets> {
    let mut item = item.clone();
    of_places(&mut item, list)?;
    let own = if is_sets(&item) { sets(&item)? } else { vec![columns([&vec![item]])] };
    if all.len().saturating_mul(own.len()) > SETS_MAX {
        return Err(too_many());
    }
    Ok(all.iter().flat_map(|set| own.iter().map(move |more| columns([set, more]))).collect())
}

fn too_many() -> Error {
    Error::new("54000", format!("too many grouping sets present (maximum {SETS_MAX})"))
}

/// Puts in the place of a number what stands there in the list.
fn of_places(item: &mut Expr, list: &[SelectItem]) -> Result<()> {
    match item {
        Expr::GroupingSets(sets) | Expr::Rollup(sets) | Expr::Cube(sets) => {
            sets.iter_mut().flatten().try_for_each(|part| of_places(part, list))
        }
        Expr::Tuple(parts) => parts.iter_mut().try_for_each(|part| of_places(part, list)),
        Expr::Nested(part) => of_places(part, list),
        Expr::Function(_) if named(item).is_some() => {
            let Expr::Function(Function { args: FunctionArguments::List(args), .. }) = item else {
                return Ok(());
            };
            args.args.iter_mut().try_for_each(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(part)) => of_places(part, list),
                _ => Ok(()),
            })
        }
        Expr::Value(value) => {
            let Value::Number(digits, _) = &value.value else { return Ok(()) };
            let Ok(place) = digits.parse::<usize>() else { return Ok(()) };
            // How many columns a star has is not known here.
            if list.iter().take(place).any(is_star) {
                return Ok(());
            }
            match place.checked_sub(1).and_then(|at| list.get(at)) {
                Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
                    *item = expr.clone();
                    Ok(())
                }
                _ => Err(Error::new("42P10", format!("GROUP BY position {place} is not in select list"))),
            }
        }
        _ => Ok(()),
    }
}

fn is_star(item: &SelectItem) -> bool {
    !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
}

/// Whether an item is `()`.
fn is_empty(item: &Expr) -> bool {
    matches!(item, Expr::Tuple(parts) if parts.is_empty())
}

/// `count(*) >= 0`, by which the query engine knows that there are groups.
fn counted() -> Expr {
    let star = FunctionArg::Unnamed(FunctionArgExpr::Wildcard);
    let mut count = super::rewrite::call("count", Vec::new());
    if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut count {
        list.args.push(star);
    }
    let zero = Expr::Value(Value::Number("0".to_owned(), false).into());
    Expr::BinaryOp { left: Box::new(count), op: BinaryOperator::GtEq, right: Box::new(zero) }
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
                    return Err(too_many());
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
