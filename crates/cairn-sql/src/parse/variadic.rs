//! `f(a, VARIADIC array)`: the parser does not know the word. A function in SQL that takes VARIADIC finds out from the type of
//! the argument that it is given the array, so the word goes; the built-in ones that do so have another name.

use std::borrow::Cow;

use super::lexer::{Kind, Lexer, Token};
use crate::functions::variadic::FUNCTIONS;

/// Rewrites a text.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    if !text.to_ascii_lowercase().contains("variadic") {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let word = |at: usize| match tokens.get(at) {
        Some(token) if token.kind == Kind::Word => text[token.start..token.end].to_ascii_lowercase(),
        _ => String::new(),
    };
    // Where the text is cut, up to where, and what stands there instead.
    let mut changes: Vec<(usize, usize, &str)> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Punctuation(b'(' | b'[' | b'{') => open.push(at),
            Kind::Punctuation(b')' | b']' | b'}') => drop(open.pop()),
            Kind::Word if at > 0 && word(at) == "variadic" => {
                let argument = matches!(tokens[at - 1].kind, Kind::Punctuation(b'(' | b','));
                let Some(call) = open.last().filter(|_| argument) else { continue };
                if let Some(name) = call.checked_sub(1)
                    && let Some((_, other)) = FUNCTIONS.iter().find(|(own, _)| *own == word(name))
                {
                    changes.push((tokens[name].start, tokens[name].end, other));
                }
                changes.push((token.start, token.end, ""));
            }
            _ => {}
        }
    }
    if changes.is_empty() {
        return Cow::Borrowed(text);
    }
    changes.sort_unstable();
    let (mut out, mut done) = (String::new(), 0);
    for (start, end, instead) in changes {
        out.push_str(&text[done..start]);
        out.push_str(instead);
        done = end;
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_goes() {
        assert_eq!(
            before_parsing("SELECT concat(VARIADIC a), f(1, variadic ARRAY[2])"),
            "SELECT cairn_variadic_concat( a), f(1,  ARRAY[2])"
        );
        assert_eq!(before_parsing("SELECT 'VARIADIC'"), "SELECT 'VARIADIC'");
    }
}
