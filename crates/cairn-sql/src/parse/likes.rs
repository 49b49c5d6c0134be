//! `CREATE TABLE t (LIKE s INCLUDING ALL, a int, …)`: the parser knows LIKE only alone, so it becomes a column whose name holds
//! its text, at its place among the others.

use std::borrow::Cow;

use sqlparser::ast::{ColumnDef, ObjectName};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token as SqlToken;

use super::lexer::{Kind, Lexer, Token};
use crate::Result;

/// Marks such a column.
const MARK: &str = "\u{1}like ";

/// What is taken over besides columns and NOT NULL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Including {
    pub(crate) comments: bool,
    pub(crate) constraints: bool,
    pub(crate) defaults: bool,
    pub(crate) generated: bool,
    pub(crate) identity: bool,
    pub(crate) indexes: bool,
}

/// Puts columns in the place of LIKE.
pub(super) fn before_parsing(text: &str) -> Cow<'_, str> {
    let is = |token: &Token, word: &str| {
        token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
    };
    let head: Vec<Token> = Lexer::new(text).take(12).collect();
    let is_table = head.first().is_some_and(|token| is(token, "CREATE"))
        && head.iter().take(5).any(|token| is(token, "TABLE"));
    if !is_table || !text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"LIKE")) {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let (mut out, mut copied, mut depth, mut begins) = (String::new(), 0, 0usize, false);
    let mut at = 0;
    while at < tokens.len() {
        if begins && depth == 1 && is(&tokens[at], "LIKE") {
            let ends = |token: &Token| matches!(token.kind, Kind::Punctuation(b',' | b')'));
            let end = tokens[at..].iter().position(ends).map_or(tokens.len(), |n| at + n);
            if let Some(last) = end.checked_sub(1).filter(|last| *last > at) {
                let element = &text[tokens[at].end..tokens[last].end];
                out.push_str(&text[copied..tokens[at].start]);
                out.push_str(&format!("\"{MARK}{}\" int", element.trim().replace('"', "\"\"")));
                copied = tokens[last].end;
                at = end;
                begins = false;
                continue;
            }
        }
        begins = false;
        match tokens[at].kind {
            Kind::Punctuation(b'(') => {
                depth += 1;
                begins = depth == 1;
            }
            Kind::Punctuation(b')') => {
                depth = depth.saturating_sub(1);
                // Nothing is defined behind the first parentheses.
                if depth == 0 {
                    break;
                }
            }
            Kind::Punctuation(b',') => begins = depth == 1,
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The relation and the options of a column that stands for LIKE.
///
/// # Errors
/// `42601`.
pub(crate) fn read(column: &ColumnDef) -> Result<Option<(ObjectName, Including)>> {
    let Some(text) = column.name.value.strip_prefix(MARK) else { return Ok(None) };
    read_text(text).map(Some).map_err(|error| crate::error::syntax_error(error, text))
}

fn read_text(text: &str) -> std::result::Result<(ObjectName, Including), ParserError> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(text)?;
    let name = parser.parse_object_name(false)?;
    let mut including = Including::default();
    while let Some(keyword) = parser.parse_one_of_keywords(&[Keyword::INCLUDING, Keyword::EXCLUDING]) {
        let on = keyword == Keyword::INCLUDING;
        let token = parser.next_token();
        let SqlToken::Word(word) = &token.token else {
            return parser.expected("an option of LIKE", token);
        };
        let i = &mut including;
        match word.value.to_ascii_uppercase().as_str() {
            "COMMENTS" => i.comments = on,
            "CONSTRAINTS" => i.constraints = on,
            "DEFAULTS" => i.defaults = on,
            "GENERATED" => i.generated = on,
            "IDENTITY" => i.identity = on,
            "INDEXES" => i.indexes = on,
            // Of these there is nothing to take over.
            "STATISTICS" | "STORAGE" | "COMPRESSION" => {}
            "ALL" => {
                *i = Including {
                    comments: on,
                    constraints: on,
                    defaults: on,
                    generated: on,
                    identity: on,
                    indexes: on,
                }
            }
            _ => return parser.expected("an option of LIKE", token),
        }
    }
    match parser.peek_token().token {
        SqlToken::EOF => Ok((name, including)),
        _ => parser.expected("INCLUDING or EXCLUDING", parser.peek_token()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_becomes_a_column() {
        let text = "CREATE TABLE t (LIKE \"S\".u INCLUDING ALL, a int CHECK (a LIKE 'x'), LIKE v)";
        let said = "CREATE TABLE t (\"\u{1}like \"\"S\"\".u INCLUDING ALL\" int, a int CHECK (a LIKE 'x'), \"\u{1}like v\" int)";
        assert_eq!(before_parsing(text), said);
        let (name, including) = read_text("\"S\".u INCLUDING ALL EXCLUDING INDEXES").expect("options");
        assert_eq!(name.to_string(), "\"S\".u");
        assert!(including.defaults && !including.indexes);
        for same in ["CREATE TABLE t (a int CHECK (a LIKE b))", "CREATE TABLE t AS SELECT (a LIKE b) FROM s"]
        {
            assert_eq!(before_parsing(same), same);
        }
    }
}
