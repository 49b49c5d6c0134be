//! What the parser does not know of PostgreSQL's syntax and can be said otherwise, changed in the text.

use std::borrow::Cow;

use super::lexer::{Kind, Lexer};

/// `TABLE name …` is `SELECT * FROM name …`.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    let mut tokens = Lexer::new(text);
    match tokens.next() {
        Some(token)
            if token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case("TABLE") =>
        {
            Cow::Owned(format!("SELECT * FROM{}", &text[token.end..]))
        }
        _ => Cow::Borrowed(text),
    }
}

/// Writes an AST identifier for a name as it is, never folded.
pub(crate) fn exact(name: &str) -> sqlparser::ast::Ident {
    sqlparser::ast::Ident::with_quote('"', name)
}
