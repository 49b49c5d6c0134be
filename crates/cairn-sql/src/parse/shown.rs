//! Stored text as it was written: the marks and calls that stand for what the parser does not know (`EXCLUDE` of window
//! frames, `IS JSON`) become those words again.
//!
//! I1. What is shown parses to what is stored.

use std::borrow::Cow;

use sqlparser::ast::Expr;

use super::exclude::MARK;
use super::lexer::{Kind, Lexer, Token};

/// The call of `IS JSON`.
pub(super) const IS_JSON: &str = "cairn_is_json";

/// A stored text for who reads it.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(MARK) && !text.contains(IS_JSON) {
        return Cow::Borrowed(text);
    }
    // From within: an argument may hold another call.
    let mut shown = text.to_owned();
    while let Some((from, to, with)) = last(&shown) {
        shown.replace_range(from..to, &with);
    }
    Cow::Owned(shown)
}

/// The condition of a CHECK as PostgreSQL shows it: operators within brackets, however many it was written in. `pretty` leaves them out.
pub(crate) fn condition(text: &str, pretty: bool) -> String {
    let Ok(mut expr) = crate::dml::default::parse_expr(text) else { return shown(text).into_owned() };
    while let Expr::Nested(inner) = expr {
        expr = *inner;
    }
    let whole = matches!(
        expr,
        Expr::Function(_)
            | Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::Value(_)
            | Expr::Case { .. }
    );
    let text = expr.to_string();
    let text = shown(&text);
    if whole || pretty { text.into_owned() } else { format!("({text})") }
}

/// The last place to be changed: from, to, and what stands there then.
fn last(text: &str) -> Option<(usize, usize, String)> {
    let tokens: Vec<Token> = Lexer::new(text).collect();
    (0..tokens.len()).rev().find_map(|at| {
        let own = &text[tokens[at].start..tokens[at].end];
        match tokens[at].kind {
            Kind::Quoted => window(text, &tokens, at, own.trim_matches('\'').strip_prefix(MARK)?),
            Kind::Word if own == IS_JSON => json_test(text, &tokens, at),
            _ => None,
        }
    })
}

/// The window around a mark, without it and with EXCLUDE at its end.
fn window(text: &str, tokens: &[Token], at: usize, kind: &str) -> Option<(usize, usize, String)> {
    let words = match kind {
        "row" => "CURRENT ROW",
        "group" => "GROUP",
        "ties" => "TIES",
        _ => "NO OTHERS",
    };
    let close = closing(tokens, at)?;
    let listed = tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Punctuation(b','));
    // PARTITION BY goes with its only key.
    let (from, rest) = match listed {
        true => (tokens[at].start, tokens[at + 1].end),
        false => (tokens[at.checked_sub(2)?].start, tokens[at].end),
    };
    let end = tokens[close].start;
    let kept = text[rest..end].trim();
    Some((from, end, format!("{kept} EXCLUDE {words}")))
}

/// The bracket that closes what a token stands in.
fn closing(tokens: &[Token], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    (at + 1..tokens.len()).find(|at| match tokens[*at].kind {
        Kind::Punctuation(b'(') => {
            depth += 1;
            false
        }
        Kind::Punctuation(b')') if depth == 0 => true,
        Kind::Punctuation(b')') => {
            depth -= 1;
            false
        }
        _ => false,
    })
}

/// `cairn_is_json(x, 'object', 'unique')` as a test.
fn json_test(text: &str, tokens: &[Token], at: usize) -> Option<(usize, usize, String)> {
    let close = closing(tokens, at + 1)?;
    let quoted = |at: usize| text[tokens[at].start..tokens[at].end].trim_matches('\'');
    // … , 'kind' , 'unique' )
    let (kind, unique) = (quoted(close.checked_sub(3)?), quoted(close - 1));
    let (first, last) = (at + 2, close.checked_sub(5)?);
    let operand = text[tokens[at + 1].end..tokens[last + 1].start].trim();
    let call = tokens[first].kind == Kind::Word && closing(tokens, first + 1) == Some(last);
    let mut test = if first == last || call { operand.to_owned() } else { format!("({operand})") };
    test.push_str(" IS JSON");
    if kind != "value" {
        test.push(' ');
        test.push_str(&kind.to_ascii_uppercase());
    }
    if !unique.is_empty() {
        test.push_str(" WITH UNIQUE KEYS");
    }
    let word = |at: usize| text[tokens[at].start..tokens[at].end].to_ascii_uppercase();
    let opened = at == 0 || ["(", ",", "SELECT", "WHERE"].contains(&word(at - 1).as_str());
    let ended = close + 1 == tokens.len() || [")", ",", "AS", "FROM"].contains(&word(close + 1).as_str());
    Some((tokens[at].start, tokens[close].end, if opened && ended { test } else { format!("({test})") }))
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn marks_and_calls_become_words() {
        let cases = [
            ("SELECT a FROM t", "SELECT a FROM t"),
            (
                "SELECT sum(n) OVER (PARTITION BY '\u{1}exclude ties', b ORDER BY id ROWS UNBOUNDED PRECEDING) FROM t",
                "SELECT sum(n) OVER (PARTITION BY b ORDER BY id ROWS UNBOUNDED PRECEDING EXCLUDE TIES) FROM t",
            ),
            (
                "SELECT sum(n) OVER (PARTITION BY '\u{1}exclude row' ORDER BY (id) ROWS UNBOUNDED PRECEDING) FROM t",
                "SELECT sum(n) OVER (ORDER BY (id) ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW) FROM t",
            ),
            ("SELECT cairn_is_json(a, 'value', '')", "SELECT a IS JSON"),
            (
                "SELECT NOT (cairn_is_json(a || cairn_is_json(b, 'array', ''), 'object', 'unique'))",
                "SELECT NOT ((a || (b IS JSON ARRAY)) IS JSON OBJECT WITH UNIQUE KEYS)",
            ),
        ];
        for (stored, wanted) in cases {
            assert_eq!(shown(stored), wanted);
        }
    }
}
