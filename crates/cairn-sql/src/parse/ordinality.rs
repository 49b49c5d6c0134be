//! `f(…) WITH ORDINALITY AS t(a, n)`: a subquery that numbers the rows of the function.

use sqlparser::ast::{SetExpr, Statement, TableFactor};

use crate::session::variables::fold;
use crate::{Error, Result};

/// Rewrites a function in FROM whose rows are numbered.
///
/// # Errors
/// `0A000` for a function with more than one column.
pub(crate) fn rewrite(factor: &mut TableFactor) -> Result<()> {
    let mut bare = factor.clone();
    let (alias, name, columns) = match &mut bare {
        TableFactor::UNNEST { with_ordinality, alias, array_exprs, .. } if *with_ordinality => {
            *with_ordinality = false;
            (alias.take(), "unnest".to_owned(), array_exprs.len())
        }
        TableFactor::Table { with_ordinality, alias, name, args: Some(_), .. }
        | TableFactor::Function { with_ordinality, alias, name, .. }
            if *with_ordinality =>
        {
            *with_ordinality = false;
            let called = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
            (alias.take(), called, 1)
        }
        _ => return Ok(()),
    };
    let lateral = match &mut bare {
        TableFactor::Function { lateral, .. } => std::mem::replace(lateral, false),
        _ => false,
    };
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let table = alias.as_ref().map_or_else(|| name.clone(), |alias| fold(&alias.name));
    let given = alias.iter().flat_map(|alias| &alias.columns).map(|column| fold(&column.name));
    let mut names: Vec<String> = given.collect();
    if names.len() > columns + 1 {
        return Err(Error::new(
            "42P10",
            format!(
                "table \"{table}\" has {} columns available but {} columns specified",
                columns + 1,
                names.len()
            ),
        ));
    }
    while names.len() < columns {
        names.push(if columns == 1 { table.clone() } else { name.clone() });
    }
    if names.len() == columns {
        names.push("ordinality".to_owned());
    }
    let inner: Vec<String> = (0..columns).map(|n| format!("__v{n}")).collect();
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    if name == "unnest"
        && names_columns(&bare)
        && let TableFactor::UNNEST { array_exprs, .. } = &bare
        && let [array] = array_exprs.as_slice()
    {
        // Two lists that are unnested side by side, which becomes a join.
        let text = format!(
            "SELECT 1 FROM LATERAL (SELECT unnest({array}), \
             generate_series(1, coalesce(array_length({array}, 1), 0))::bigint) AS {}({})",
            quoted(&table),
            names.join(", ")
        );
        return replace(factor, &text);
    }
    // A function may name columns of what stands before it in FROM.
    let lateral = if lateral || names_columns(&bare) { "LATERAL " } else { "" };
    let text = format!(
        "SELECT 1 FROM {lateral}(SELECT {}, CAST(row_number() OVER () AS bigint) FROM {bare} AS __s({})) AS {}({})",
        inner.join(", "),
        inner.join(", "),
        quoted(&table),
        names.join(", ")
    );
    replace(factor, &text)
}

/// Takes the first of FROM in a query.
fn replace(factor: &mut TableFactor, text: &str) -> Result<()> {
    let Statement::Query(query) = super::parse_text(text)? else {
        return Err(Error::internal("a query was expected"));
    };
    if let SetExpr::Select(select) = *query.body
        && let Some(from) = select.from.into_iter().next()
    {
        *factor = from.relation;
    }
    Ok(())
}

fn names_columns(factor: &TableFactor) -> bool {
    use sqlparser::ast::{Expr, Visit, Visitor};
    use std::ops::ControlFlow;
    struct Search;
    impl Visitor for Search {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    factor.visit(&mut Search).is_break()
}
