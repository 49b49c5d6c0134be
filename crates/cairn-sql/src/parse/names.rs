//! What the parser does not know of PostgreSQL's syntax and can be said otherwise, changed in the text.

use std::borrow::Cow;

use sqlparser::ast::{Insert, OptimizerHint, OptimizerHintStyle, SetExpr, Statement};

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

/// Takes `OVERRIDING SYSTEM VALUE` or `OVERRIDING USER VALUE` out of an INSERT, leaving blanks, and says which it was.
pub(crate) fn take_overriding(text: &str) -> (Cow<'_, str>, Option<Overriding>) {
    let mut words: [(&str, usize); 2] = [("", 0); 2];
    for (at, token) in Lexer::new(text).enumerate() {
        let word = if token.kind == Kind::Word { &text[token.start..token.end] } else { "" };
        if at == 0 && !["INSERT", "WITH"].iter().any(|first| word.eq_ignore_ascii_case(first)) {
            break;
        }
        let [(first, start), (second, _)] = words;
        if first.eq_ignore_ascii_case("OVERRIDING") && word.eq_ignore_ascii_case("VALUE") {
            let which = match second.to_ascii_uppercase().as_str() {
                "SYSTEM" => Overriding::System,
                "USER" => Overriding::User,
                _ => break,
            };
            let blank = " ".repeat(token.end - start);
            return (Cow::Owned(format!("{}{blank}{}", &text[..start], &text[token.end..])), Some(which));
        }
        words = [words[1], (word, token.start)];
    }
    (Cow::Borrowed(text), None)
}

/// Notes in the statement what [`take_overriding`] took out of its text: as a hint, which is printed and read again.
pub(crate) fn note_overriding(statement: &mut Statement, overriding: Overriding) {
    match statement {
        Statement::Insert(insert) => insert.optimizer_hints.push(OptimizerHint {
            prefix: String::new(),
            text: format!(" {} ", overriding.text()),
            style: OptimizerHintStyle::MultiLine,
        }),
        Statement::Query(query) => {
            if let SetExpr::Insert(inner) = query.body.as_mut() {
                note_overriding(inner, overriding);
            }
        }
        _ => {}
    }
}

/// Whose values go into identity columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overriding {
    /// Those of the statement.
    System,
    /// Those of the sequence.
    User,
}

impl Overriding {
    fn text(self) -> &'static str {
        match self {
            Self::System => "OVERRIDING SYSTEM VALUE",
            Self::User => "OVERRIDING USER VALUE",
        }
    }

    /// What an INSERT says.
    pub(crate) fn of(insert: &Insert) -> Option<Self> {
        let said = |own: &Self| insert.optimizer_hints.iter().any(|hint| hint.text.trim() == own.text());
        [Self::System, Self::User].into_iter().find(said)
    }
}

/// Writes an AST identifier for a name as it is, never folded.
pub(crate) fn exact(name: &str) -> sqlparser::ast::Ident {
    sqlparser::ast::Ident::with_quote('"', name)
}
