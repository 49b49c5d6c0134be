//! Where one statement ends and the next begins: the shell asks whether a statement is complete, a script
//! runs them one by one. Knows quotes, dollar quotes and comments.

use super::lexer::{Kind, Lexer, Token};

/// The statements of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<'t> {
    /// Complete statements, without their semicolons.
    pub statements: Vec<&'t str>,
    /// What follows the last semicolon; empty when that is nothing but white space and comments.
    pub rest: &'t str,
}

/// Splits a text at the semicolons that end statements. Empty statements are left out.
///
/// ```
/// let split = cairn_sql::split_statements("SELECT ';'; SELECT 2; SEL");
/// assert_eq!(split.statements, ["SELECT ';'", "SELECT 2"]);
/// assert_eq!(split.rest, "SEL");
/// ```
pub fn split_statements(text: &str) -> Split<'_> {
    let mut statements = Vec::new();
    let mut begun: Option<usize> = None;
    let mut ended = 0;
    let mut atomic = Atomic::default();
    for token in Lexer::new(text) {
        atomic.see(text, &token);
        match token.kind {
            Kind::Punctuation(b';') if !atomic.is_open() => {
                if let Some(start) = begun.take() {
                    statements.push(&text[start..ended]);
                }
            }
            _ => {
                begun.get_or_insert(token.start.min(text.len()));
                ended = token.end;
            }
        }
    }
    // An unterminated comment or string belongs to the rest.
    let rest = begun.map_or("", |start| text[start..].trim_end());
    Split { statements, rest }
}

/// The first statement of a text, without its semicolon, and what follows; `None` where there is none.
pub(crate) fn first(text: &str) -> Option<(&str, &str)> {
    let mut begun: Option<usize> = None;
    let mut ended = 0;
    let mut atomic = Atomic::default();
    for token in Lexer::new(text) {
        atomic.see(text, &token);
        match (token.kind, begun) {
            (Kind::Punctuation(b';'), Some(_)) if atomic.is_open() => ended = token.end,
            (Kind::Punctuation(b';'), Some(start)) => return Some((&text[start..ended], &text[token.end..])),
            (Kind::Punctuation(b';'), None) => {}
            (_, None) => {
                begun = Some(token.start.min(text.len()));
                ended = token.end;
            }
            (_, Some(_)) => ended = token.end,
        }
    }
    let start = begun?;
    // An unterminated comment begins at the end: give the parser the whole rest to complain about.
    Some((&text[start..ended.max(start)], &text[text.len()..]))
}

/// Whether the text is within BEGIN ATOMIC … END, where semicolons part the statements of a body.
#[derive(Default)]
struct Atomic {
    depth: usize,
    begins: bool,
}

impl Atomic {
    fn see(&mut self, text: &str, token: &Token) {
        let is =
            |word: &str| token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word);
        if self.depth > 0 {
            self.depth += usize::from(is("CASE"));
            self.depth -= usize::from(is("END"));
        } else if self.begins && is("ATOMIC") {
            self.depth = 1;
        }
        self.begins = is("BEGIN");
    }

    fn is_open(&self) -> bool {
        self.depth > 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quotes_comments_and_dollars() {
        let text =
            "-- a;\nSELECT 'it''s;', \"a;b\", $x$ ; $x$, E'\\';' /* ; /* ; */ ; */ ;; SELECT 2 ;\n -- end";
        let split = split_statements(text);
        assert_eq!(split.statements.len(), 2, "{split:?}");
        assert_eq!(split.statements[1], "SELECT 2");
        assert_eq!(split.rest, "");
        assert_eq!(split_statements("SELECT 'abc").rest, "SELECT 'abc");
        assert_eq!(split_statements("SELECT 1; /* abc").rest, "");
        assert_eq!(split_statements("SELECT 1").rest, "SELECT 1");
    }

    #[test]
    fn first_walks_through() {
        let (statement, rest) = first(" ;; SELECT 1 ; SELECT 2").unwrap();
        assert_eq!(statement, "SELECT 1");
        assert_eq!(first(rest).unwrap().0, "SELECT 2");
        assert!(first(" -- nothing\n ; ").is_none());
    }
}
