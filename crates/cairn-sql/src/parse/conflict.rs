//! ON CONFLICT targets that the parser does not know: expressions, and a WHERE. The whole target is carried as the name of
//! one column that begins with a mark; `dml::conflict` reads it.

use std::borrow::Cow;

use super::lexer::{Kind, Lexer, Token};

/// Begins the carried text.
pub(crate) const MARK: &str = "\u{1}target ";

/// Rewrites the targets of ON CONFLICT that are more than a list of columns.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    if !text.to_ascii_uppercase().contains("CONFLICT") {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let is = |at: usize, word: &str| {
        tokens.get(at).is_some_and(|token| {
            token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
        })
    };
    let punctuation =
        |at: usize, byte: u8| tokens.get(at).is_some_and(|token| token.kind == Kind::Punctuation(byte));
    let mut out = String::new();
    let mut done = 0;
    for at in 0..tokens.len() {
        if !(is(at, "ON") && is(at + 1, "CONFLICT") && punctuation(at + 2, b'(')) {
            continue;
        }
        let Some(end) = (at + 2..tokens.len()).find(|k| is(*k, "DO")) else { continue };
        let name = |k: usize| matches!(tokens[k].kind, Kind::Word | Kind::Quoted) || punctuation(k, b',');
        if punctuation(end - 1, b')') && (at + 3..end - 1).all(name) {
            continue;
        }
        let target = &text[tokens[at + 2].start..tokens[end - 1].end];
        out.push_str(&text[done..tokens[at + 2].start]);
        out.push_str(&format!("(\"{MARK}{}\")", target.replace('"', "\"\"")));
        done = tokens[end - 1].end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}
