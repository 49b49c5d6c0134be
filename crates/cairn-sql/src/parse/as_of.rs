//! `SELECT … FROM t AS OF SYSTEM TIME expression`, CockroachDB's way to read the past, which the parser does not know.
//!
//! The clause is taken out of the text, leaving blanks, and noted in the statement: as a common table expression of a name
//! that nobody can write, whose query gives the expression. What results is printed and read again without loss.

use std::borrow::Cow;

use sqlparser::ast::{Query, Statement};

use super::lexer::{Kind, Lexer, Token};
use crate::{Error, Result};

/// The name of the common table expression.
const NAME: &str = "\u{1}as of system time";

/// What may follow the expression.
const FOLLOWING: [&str; 12] = [
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "FOR",
    "UNION",
    "INTERSECT",
    "EXCEPT",
];

/// Takes the clause out; the text of its expression, where there is one.
pub(crate) fn take(text: &str) -> (Cow<'_, str>, Option<String>) {
    let is = |token: &Token, word: &str| {
        token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
    };
    // Nearly all texts end here.
    if !Lexer::new(text).any(|token| is(&token, "SYSTEM")) {
        return (Cow::Borrowed(text), None);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let words = ["AS", "OF", "SYSTEM", "TIME"];
    let begins = |window: &[Token]| window.iter().zip(words).all(|(token, word)| is(token, word));
    let Some(at) = tokens.windows(words.len()).position(begins) else { return (Cow::Borrowed(text), None) };
    let depth = |token: &Token| match token.kind {
        Kind::Punctuation(b'(') => 1,
        Kind::Punctuation(b')') => -1,
        _ => 0,
    };
    if tokens[..at].iter().map(depth).sum::<i32>() != 0 {
        return (Cow::Borrowed(text), None);
    }
    let (first, mut end, mut open) = (at + words.len(), at + words.len(), 0);
    while let Some(token) = tokens.get(end) {
        let ends = token.kind == Kind::Punctuation(b';') || FOLLOWING.iter().any(|word| is(token, word));
        if open == 0 && ends {
            break;
        }
        open += depth(token);
        end += 1;
    }
    if end == first {
        return (Cow::Borrowed(text), None);
    }
    let (from, to) = (tokens[at].start, tokens[end - 1].end);
    let expression = text[tokens[first].start..to].to_owned();
    (Cow::Owned(format!("{}{}{}", &text[..from], " ".repeat(to - from), &text[to..])), Some(expression))
}

/// Notes the clause in a statement.
///
/// # Errors
/// `0A000` where the statement is no query, `42601` for an expression that is none.
pub(crate) fn note(statement: &mut Statement, expression: &str) -> Result<()> {
    let query = match statement {
        Statement::Prepare { statement, .. } | Statement::Explain { statement, .. } => {
            return note(statement, expression);
        }
        Statement::Query(query) => query,
        _ => return Err(Error::unsupported("AS OF SYSTEM TIME outside of SELECT")),
    };
    let marked = super::parse_text(&format!("WITH \"{NAME}\" AS (SELECT {expression}) SELECT 1"))?;
    let Statement::Query(marked) = marked else {
        return Err(Error::internal("a query did not parse as one"));
    };
    match (&mut query.with, marked.with) {
        (Some(with), Some(own)) => with.cte_tables.splice(0..0, own.cte_tables).for_each(drop),
        (with, own) => *with = own,
    }
    Ok(())
}

/// Whether a query reads the past.
pub(crate) fn is_noted(query: &Query) -> bool {
    query.with.iter().flat_map(|with| &with.cte_tables).any(|cte| cte.alias.name.value == NAME)
}

/// Takes the note out of a query: the query of the expression.
pub(crate) fn take_note(query: &mut Query) -> Option<Query> {
    let with = query.with.as_mut()?;
    let at = with.cte_tables.iter().position(|cte| cte.alias.name.value == NAME)?;
    let cte = with.cte_tables.remove(at);
    if with.cte_tables.is_empty() {
        query.with = None;
    }
    Some(*cte.query)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_clause_is_taken_out_and_read_back() {
        for (text, expression) in [
            ("select * from t as of system time '-10s' where a = 1", "'-10s'"),
            ("select * from t AS OF SYSTEM TIME now() - interval '1 s'", "now() - interval '1 s'"),
            ("with a as (select 1) select * from a, t as of system time 17 limit 1;", "17"),
        ] {
            let (rest, found) = take(text);
            assert_eq!(found.as_deref(), Some(expression), "{text}");
            assert_eq!(rest.len(), text.len());
            let Statement::Query(query) = crate::parse::parse_text(text).unwrap() else { panic!("{text}") };
            let Statement::Query(mut query) = crate::parse::parse_text(&query.to_string()).unwrap() else {
                panic!("{text}")
            };
            assert!(is_noted(&query));
            assert!(take_note(&mut query).unwrap().to_string().starts_with("SELECT "));
            assert!(!is_noted(&query));
        }
        for plain in ["select system from t", "select 1 as of", "select 'as of system time 1'"] {
            assert!(take(plain).1.is_none());
        }
    }
}
