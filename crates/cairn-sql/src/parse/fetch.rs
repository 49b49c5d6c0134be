//! `FETCH FIRST (expression) ROWS …`: the parser knows constants there. The expression is carried in a string behind a mark, which is read
//! into the syntax tree.

use std::borrow::Cow;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Statement, Value, VisitMut, VisitorMut};

use super::lexer::{Kind, Lexer, Token};
use super::spelling;
use crate::{Error, Result};

const MARK: &str = "\u{1}fetch ";

/// Puts the expressions into strings.
pub(super) fn before_parsing(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().windows(5).any(|word| word.eq_ignore_ascii_case(b"FETCH")) {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let is = |at: usize, word: &str| {
        tokens.get(at).is_some_and(|token| {
            token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
        })
    };
    let mut changes: Vec<(usize, usize, String)> = Vec::new();
    for at in 0..tokens.len() {
        let opens = tokens.get(at + 2).is_some_and(|token| token.kind == Kind::Punctuation(b'('));
        if !is(at, "FETCH") || !(is(at + 1, "FIRST") || is(at + 1, "NEXT")) || !opens {
            continue;
        }
        let mut depth = 0usize;
        let close = (at + 2..tokens.len()).find(|at| match tokens[*at].kind {
            Kind::Punctuation(b'(') => {
                depth += 1;
                false
            }
            Kind::Punctuation(b')') => {
                depth -= 1;
                depth == 0
            }
            _ => false,
        });
        let Some(close) = close.filter(|close| is(close + 1, "ROW") || is(close + 1, "ROWS")) else {
            continue;
        };
        let (start, end) = (tokens[at + 2].start, tokens[close].end);
        changes.push((start, end, format!("'{MARK}{}'", text[start..end].replace('\'', "''"))));
    }
    spelling::spliced(text, changes)
}

/// Reads them.
///
/// # Errors
/// Those of the expressions' syntax.
pub(super) fn read(text: &str, statement: &mut Statement) -> Result<()> {
    if !text.contains(MARK) {
        return Ok(());
    }
    match statement.visit(&mut Read) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Read;

impl VisitorMut for Read {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let Some(Expr::Value(quantity)) = query.fetch.as_mut().and_then(|fetch| fetch.quantity.as_mut())
        else {
            return ControlFlow::Continue(());
        };
        let Value::SingleQuotedString(carried) = &quantity.value else { return ControlFlow::Continue(()) };
        let Some(written) = carried.strip_prefix(MARK) else { return ControlFlow::Continue(()) };
        let read = expression(written);
        match (read, &mut query.fetch) {
            (Ok(expr), Some(fetch)) => {
                fetch.quantity = Some(expr);
                ControlFlow::Continue(())
            }
            (Err(error), _) => ControlFlow::Break(error),
            (Ok(_), None) => ControlFlow::Continue(()),
        }
    }
}

fn expression(text: &str) -> Result<Expr> {
    let Statement::Query(query) = super::parse_text(&format!("SELECT {text}"))? else {
        return Err(Error::internal("a query was expected"));
    };
    let SetExpr::Select(select) = *query.body else { return Err(Error::internal("a query was expected")) };
    match select.projection.into_iter().next() {
        Some(SelectItem::UnnamedExpr(expr)) => Ok(expr),
        _ => Err(Error::internal("an expression was expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_carried() {
        assert_eq!(
            before_parsing("SELECT 1 FETCH FIRST (1 + '2'::int) ROWS ONLY"),
            format!("SELECT 1 FETCH FIRST '{MARK}(1 + ''2''::int)' ROWS ONLY")
        );
        for same in ["SELECT 1 FETCH NEXT 2 ROWS ONLY", "FETCH NEXT FROM c", "SELECT fetch, first (1) FROM t"]
        {
            assert_eq!(before_parsing(same), same);
        }
    }
}
