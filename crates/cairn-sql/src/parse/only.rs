//! `ONLY` in front of a table: the parser does not know it, so the table's name carries it.
//!
//! Only partitioned tables are more than they are alone; `ONLY` of another table says nothing.

use std::borrow::Cow;

use sqlparser::ast::ObjectName;

use super::lexer::{Kind, Lexer, Token};

/// Marks a name of which ONLY the table itself is meant.
pub(crate) const ONLY: &str = "\u{1}only";

/// `FROM ONLY name` becomes a name with a mark in front.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut before: [Option<Token>; 2] = [None, None];
    for token in Lexer::new(text) {
        let word = |token: &Option<Token>, word: &str| {
            token.as_ref().is_some_and(|token| {
                token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
            })
        };
        let [first, second] = &before;
        let leads = ["FROM", "JOIN", "UPDATE", "USING", "ON"].iter().any(|lead| word(first, lead))
            || first.as_ref().is_some_and(|token| token.kind == Kind::Punctuation(b','));
        let is_name = text[token.start..].starts_with(|c: char| c == '"' || c == '_' || c.is_alphabetic());
        if leads && word(second, "ONLY") && is_name {
            let only = second.as_ref().map_or(token.start, |only| only.start);
            out.push_str(&text[copied..only]);
            out.push_str(&format!("\"{ONLY}\"."));
            copied = token.start;
        }
        let [_, last] = before;
        before = [last, Some(token)];
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Whether a name is marked.
pub(crate) fn is_only(name: &ObjectName) -> bool {
    name.0.first().and_then(|part| part.as_ident()).is_some_and(|ident| ident.value == ONLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_goes_with_the_name() {
        let marked = "SELECT * FROM \"\u{1}only\".t, \"\u{1}only\".\"T\" JOIN \"\u{1}only\".s.u ON true";
        assert_eq!(before_parsing("SELECT * FROM ONLY t, only \"T\" JOIN ONLY s.u ON true"), marked);
        assert_eq!(before_parsing("CREATE INDEX ON ONLY t (a)"), "CREATE INDEX ON \"\u{1}only\".t (a)");
        for same in ["SELECT 1 FETCH FIRST 1 ROWS ONLY", "SET TRANSACTION READ ONLY", "SELECT 'FROM ONLY t'"]
        {
            assert_eq!(before_parsing(same), same);
        }
    }
}
