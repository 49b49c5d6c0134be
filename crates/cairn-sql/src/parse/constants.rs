//! Constants of types that the parser does not know, `inet '10.0.0.1'` and `int4range '[1,5)'`, written as casts.

use std::borrow::Cow;

use cairn_types::Coded;

use super::lexer::{Kind, Lexer, Token};

/// Rewrites a text.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    let names = ["inet", "cidr", "macaddr", "range", "bit", "interval", "name", "oid"];
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
        // `interval(3) '…'`
        if first == "interval"
            && let [open, digits, close, constant, ..] = &tokens[at + 1..]
            && (open.kind, digits.kind, close.kind)
                == (Kind::Punctuation(b'('), Kind::Number, Kind::Punctuation(b')'))
            && constant.kind == Kind::Quoted
            && text[constant.start..].starts_with('\'')
        {
            out.push_str(&text[done..tokens[at].start]);
            let (constant, ty) = (&text[constant.start..constant.end], &text[tokens[at].start..close.end]);
            out.push_str(&format!("CAST({constant} AS {ty})"));
            done = tokens[at + 4].end;
            continue;
        }
        if let Some(constant) =
            second.filter(|token| token.kind == Kind::Quoted && text[token.start..].starts_with('\''))
            && is_type(first)
        {
            out.push_str(&text[done..tokens[at].start]);
            out.push_str(&format!("CAST({} AS {first})", &text[constant.start..constant.end]));
            done = constant.end;
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
    matches!(word, "name" | "oid") || !word.is_empty() && Coded::parse_signature(word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_casts() {
        assert_eq!(before_parsing("SELECT inet '1.2.3.4' x"), "SELECT CAST('1.2.3.4' AS inet) x");
        assert_eq!(
            before_parsing("SELECT interval(3) '1 s', interval '1' day"),
            "SELECT CAST('1 s' AS interval(3)), interval '1' day"
        );
        assert_eq!(before_parsing("SELECT 'inet ''a'''"), "SELECT 'inet ''a'''");
        assert_eq!(before_parsing("SELECT inet FROM t"), "SELECT inet FROM t");
    }
}
