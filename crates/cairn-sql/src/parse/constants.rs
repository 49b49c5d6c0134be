//! Constants of types that the parser does not know, `inet '10.0.0.1'` and `int4range '[1,5)'`, written as casts; and
//! `BETWEEN SYMMETRIC`, whose lower bound is marked by a call of [`SYMMETRIC`].

use std::borrow::Cow;

use cairn_types::Coded;

use super::lexer::{Kind, Lexer, Token};

/// The function that marks a bound.
pub(crate) const SYMMETRIC: &str = "cairn_symmetric";

/// Rewrites a text.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    let names = ["inet", "cidr", "macaddr", "range", "bit", "symmetric"];
    if !names.iter().any(|name| lower.contains(name)) {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let word = |at: usize| match tokens.get(at) {
        Some(token) if token.kind == Kind::Word => &lower[token.start..token.end],
        _ => "",
    };
    let mut out = String::new();
    let mut done = 0;
    for at in 0..tokens.len() {
        // What lies within a part that is written already is left as it is.
        if tokens[at].start < done {
            continue;
        }
        let (first, second) = (word(at), tokens.get(at + 1));
        if let Some(constant) =
            second.filter(|token| token.kind == Kind::Quoted && text[token.start..].starts_with('\''))
            && is_type(first)
        {
            out.push_str(&text[done..tokens[at].start]);
            out.push_str(&format!("CAST({} AS {first})", &text[constant.start..constant.end]));
            done = constant.end;
        } else if first == "between"
            && word(at + 1) == "symmetric"
            && let Some(and) = bound_end(&tokens, at + 2, &word)
        {
            let (from, to) = (tokens[at + 1].start, tokens[and].start);
            out.push_str(&text[done..from]);
            out.push_str(&format!("{SYMMETRIC}({}) ", &text[tokens[at + 1].end..to]));
            done = to;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Whether a word is a type that stands before its constants; `bit` comes in words of its own.
fn is_type(word: &str) -> bool {
    !word.is_empty() && Coded::parse_signature(word).is_some()
}

/// The AND that ends a lower bound.
fn bound_end<'t>(tokens: &[Token], from: usize, word: &impl Fn(usize) -> &'t str) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.kind {
            Kind::Punctuation(b'(') => depth += 1,
            Kind::Punctuation(b')') if depth == 0 => return None,
            Kind::Punctuation(b')') => depth -= 1,
            _ if depth == 0 && word(at) == "and" => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_casts() {
        assert_eq!(before_parsing("SELECT inet '1.2.3.4' x"), "SELECT CAST('1.2.3.4' AS inet) x");
        assert_eq!(before_parsing("SELECT 'inet ''a'''"), "SELECT 'inet ''a'''");
        assert_eq!(before_parsing("SELECT inet FROM t"), "SELECT inet FROM t");
    }

    #[test]
    fn symmetric_bounds_are_marked() {
        let patched = before_parsing("SELECT 2 BETWEEN SYMMETRIC (1 + 2) AND 1");
        assert_eq!(patched, "SELECT 2 BETWEEN cairn_symmetric( (1 + 2) ) AND 1");
    }
}
