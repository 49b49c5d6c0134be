//! `x = ANY (VALUES …)` and `x <> ALL (VALUES …)`, which the parser takes for a list: VALUES becomes a SELECT.

use std::borrow::Cow;

use super::lexer::{Kind, Lexer, Token};

/// Rewrites a text.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let begins = |at: usize, word: &[u8]| {
        bytes[at..].get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word))
    };
    let opens = (1..bytes.len()).any(|at| {
        let word = (bytes[at] | 32) == b'v' && begins(at, b"VALUES");
        word && text[..at].trim_ascii_end().strip_suffix('(').is_some_and(|head| {
            let head = head.trim_ascii_end().as_bytes();
            [&b"ANY"[..], b"ALL", b"SOME"].iter().any(|word| {
                head.len() >= word.len() && head[head.len() - word.len()..].eq_ignore_ascii_case(word)
            })
        })
    });
    if !opens {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let is = |at: usize, word: &str| {
        tokens[at].kind == Kind::Word && text[tokens[at].start..tokens[at].end].eq_ignore_ascii_case(word)
    };
    let punctuation = |at: usize, byte: u8| tokens[at].kind == Kind::Punctuation(byte);
    let mut changes: Vec<(usize, &str)> = Vec::new();
    for at in 2..tokens.len() {
        let quantified = ["ANY", "ALL", "SOME"].iter().any(|word| is(at - 2, word));
        if !quantified || !punctuation(at - 1, b'(') || !is(at, "VALUES") {
            continue;
        }
        let mut depth = 1usize;
        let close = (at..tokens.len()).find(|at| {
            depth += usize::from(punctuation(*at, b'('));
            depth -= usize::from(punctuation(*at, b')'));
            depth == 0
        });
        if let Some(close) = close {
            changes.push((tokens[at].start, "SELECT * FROM ("));
            changes.push((tokens[close].start, ") AS cairn_values"));
        }
    }
    changes.sort_by_key(|(at, _)| *at);
    let (mut out, mut done) = (String::with_capacity(text.len() + 64), 0);
    for (at, with) in changes {
        out.push_str(&text[done..at]);
        out.push_str(with);
        done = at;
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}
