//! Parameters: `?`, `?1` and `:name` become `$n` before parsing; values take the place of `$n` after it.

use std::borrow::Cow;
use std::ops::ControlFlow;

use cairn_types::{DataType, Value};
use sqlparser::ast::{self, CastKind, Expr, Statement, Value as Literal, VisitMut, VisitorMut};

use super::lexer::{Kind, Lexer};
use crate::{Error, Result};

/// The text with all parameters written `$n`, and the names of `:name` parameters in their order.
///
/// # Errors
/// `42601` where `$n` and other forms are mixed.
pub(crate) fn number(text: &str) -> Result<(Cow<'_, str>, Vec<String>)> {
    if !text.contains(['?', ':']) {
        return Ok((Cow::Borrowed(text), Vec::new()));
    }
    let mut out = String::new();
    let mut copied = 0;
    let mut names: Vec<String> = Vec::new();
    let mut next = 1usize;
    let (mut dollars, mut others) = (false, false);
    for token in Lexer::new(text).filter(|token| token.kind == Kind::Parameter) {
        let parameter = &text[token.start..token.end];
        let number = match parameter.as_bytes()[0] {
            b'$' => {
                dollars = true;
                continue;
            }
            b'?' if parameter.len() > 1 => parameter[1..]
                .parse::<usize>()
                .ok()
                .filter(|n| (1..=65535).contains(n))
                .ok_or_else(|| Error::new("42P02", format!("there is no parameter {parameter}")))?,
            b'?' => {
                next += 1;
                next - 1
            }
            _ => {
                let name = &parameter[1..];
                match names.iter().position(|known| known == name) {
                    Some(at) => at + 1,
                    None => {
                        names.push(name.to_owned());
                        names.len()
                    }
                }
            }
        };
        others = true;
        out.push_str(&text[copied..token.start]);
        out.push_str(&format!("${number}"));
        copied = token.end;
    }
    if dollars && others {
        return Err(Error::new("42601", "parameters $1 and other forms cannot be mixed"));
    }
    if !others {
        return Ok((Cow::Borrowed(text), names));
    }
    out.push_str(&text[copied..]);
    Ok((Cow::Owned(out), names))
}

/// Puts values in the place of `$n`.
///
/// # Errors
/// `08P01` where a parameter has no value.
pub(crate) fn bind(statement: &mut Statement, values: &[Value]) -> Result<()> {
    let mut binder = Binder { values };
    match statement.visit(&mut binder) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Binder<'v> {
    values: &'v [Value],
}

impl VisitorMut for Binder<'_> {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
        let Literal::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        match name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).filter(|n| *n > 0) {
            Some(number) => match self.values.get(number - 1) {
                Some(value) => {
                    *expr = literal(value);
                    ControlFlow::Continue(())
                }
                None => ControlFlow::Break(
                    Error::new("08P01", format!("no value for parameter ${number}"))
                        .with_detail(format!("The statement was given {} values.", self.values.len())),
                ),
            },
            None => ControlFlow::Break(Error::new("42P02", format!("there is no parameter {name}"))),
        }
    }
}

/// Whether an expression has parameters.
pub(crate) fn has(expr: &Expr) -> bool {
    greatest(expr) > 0
}

/// The greatest `$n` of a statement.
pub(crate) fn count(statement: &Statement) -> usize {
    greatest(statement)
}

fn greatest<N: ast::Visit>(node: &N) -> usize {
    struct Counter(usize);
    impl ast::Visitor for Counter {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Value(value) = expr
                && let Literal::Placeholder(name) = &value.value
                && let Some(number) = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok())
            {
                self.0 = self.0.max(number);
            }
            ControlFlow::Continue(())
        }
    }
    let mut counter = Counter(0);
    // Never breaks.
    let _ = node.visit(&mut counter);
    counter.0
}

/// A value as an expression of exactly its type. Text stays an untyped literal, which takes the type that its
/// place asks for.
pub(crate) fn literal(value: &Value) -> Expr {
    match value {
        Value::Null => Expr::Value(Literal::Null.into()),
        Value::Boolean(b) => Expr::Value(Literal::Boolean(*b).into()),
        Value::Text(text) => Expr::Value(Literal::SingleQuotedString(text.clone()).into()),
        // The zero in front keeps it BIGINT however small it is (`parse::integers`).
        Value::BigInt(n) if *n >= 0 => Expr::Value(Literal::Number(format!("0{n}"), false).into()),
        other => {
            let ty = other.data_type().unwrap_or(DataType::Text);
            let text = Expr::Value(Literal::SingleQuotedString(other.to_text(&ty)).into());
            Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(text),
                data_type: super::types::written(&ty),
                array: false,
                format: None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn forms() {
        let (text, names) = number("SELECT :a, x::int, :b, :a, ':c', arr[1:2]").unwrap();
        assert_eq!(text, "SELECT $1, x::int, $2, $1, ':c', arr[1:2]");
        assert_eq!(names, ["a", "b"]);
        assert_eq!(number("SELECT ?, ?").unwrap().0, "SELECT $1, $2");
        assert_eq!(number("SELECT ?2, ?1").unwrap().0, "SELECT $2, $1");
        assert!(number("SELECT $1, ?").is_err());
    }
}
