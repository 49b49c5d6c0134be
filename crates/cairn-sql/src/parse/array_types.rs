//! `integer ARRAY` and `text ARRAY[4]`, the standard's way to write the types `integer[]` and `text[4]`.

use std::borrow::Cow;

use cairn_types::DataType;

use super::lexer::{Kind, Lexer, Token};

/// Words that end the name of a type which does not begin with them.
const LAST_WORDS: [&str; 3] = ["precision", "varying", "zone"];

/// Rewrites a text.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    if !lower.contains("array") {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let word = |at: usize| match tokens.get(at) {
        Some(token) if token.kind == Kind::Word => &lower[token.start..token.end],
        _ => "",
    };
    let is_mark =
        |at: usize, mark: u8| tokens.get(at).is_some_and(|token| token.kind == Kind::Punctuation(mark));
    let mut out = String::new();
    let mut done = 0;
    for at in 1..tokens.len() {
        if word(at) != "array" {
            continue;
        }
        // `numeric(10, 2) ARRAY`
        let mut last = at - 1;
        if is_mark(last, b')') {
            while last > 0 && !is_mark(last, b'(') {
                last -= 1;
            }
            last = last.saturating_sub(1);
        }
        // `x IS JSON ARRAY`
        if word(last) == "json" && matches!(word(last.wrapping_sub(1)), "is" | "not") {
            continue;
        }
        if !LAST_WORDS.contains(&word(last)) && DataType::parse(word(last)).is_none() {
            continue;
        }
        out.push_str(&text[done..tokens[at].start]);
        if !is_mark(at + 1, b'[') {
            out.push_str("[]");
        }
        done = tokens[at].end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::before_parsing;

    #[test]
    fn types_are_written_with_brackets() {
        for (text, written) in [
            ("CREATE TABLE t (a text ARRAY, b int)", "CREATE TABLE t (a text [], b int)"),
            ("CREATE TABLE t (a INTEGER array[4])", "CREATE TABLE t (a INTEGER [4])"),
            ("SELECT x::numeric(10, 2) ARRAY", "SELECT x::numeric(10, 2) []"),
            ("SELECT x::double precision array", "SELECT x::double precision []"),
        ] {
            assert_eq!(before_parsing(text), written);
        }
    }

    #[test]
    fn constructors_are_left() {
        for text in [
            "SELECT ARRAY[1, 2], array(SELECT 1), f(a) = ANY (ARRAY[1])",
            "INSERT INTO t VALUES (ARRAY['a'], 'text array')",
            "SELECT a IS JSON ARRAY, b IS NOT JSON ARRAY",
            "SELECT 1 WHERE (a) IN (ARRAY[1]) AND ARRAY[1] = b",
        ] {
            assert_eq!(before_parsing(text), text);
        }
    }
}
