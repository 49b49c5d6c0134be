//! Errors of the parser in PostgreSQL's words, and positions.

use sqlparser::parser::ParserError;

use super::Error;

/// Turns a parser's error into `42601` with position.
pub(crate) fn syntax_error(error: ParserError, sql: &str) -> Error {
    match error {
        ParserError::RecursionLimitExceeded => {
            Error::new("54001", "stack depth limit exceeded").with_hint("Simplify the statement or split it.")
        }
        ParserError::TokenizerError(text) => {
            let (message, position) = split_position(&text, sql);
            let worded = if message.starts_with("Unterminated") {
                let start = position.map_or("", |p| from_character(sql, p));
                format!("unterminated quoted string at or near \"{}\"", first_line(start))
            } else {
                lower(message)
            };
            at(Error::new("42601", worded), position)
        }
        ParserError::ParserError(text) => {
            let (message, position) = split_position(&text, sql);
            let found = message.rsplit_once("found: ").map(|(_, found)| found.trim());
            let worded = match (found, position) {
                (Some("EOF"), _) => "syntax error at end of input".to_owned(),
                (Some(found), None) => format!("syntax error at or near \"{found}\""),
                (_, Some(position)) => match word_at(sql, position) {
                    "" => "syntax error at end of input".to_owned(),
                    word => format!("syntax error at or near \"{word}\""),
                },
                (None, None) => format!("syntax error: {}", lower(message)),
            };
            let position = match found {
                Some("EOF") => Some(sql.trim_end().chars().count() + 1),
                _ => position,
            };
            let error = at(Error::new("42601", worded), position);
            match message.strip_prefix("Expected: ") {
                Some(expected) => {
                    let expected = expected.split(", found:").next().unwrap_or(expected);
                    error.with_detail(format!("Expected {expected}."))
                }
                None => error,
            }
        }
    }
}

fn at(error: Error, position: Option<usize>) -> Error {
    match position {
        Some(position) => error.with_position(position),
        None => error,
    }
}

fn lower(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// Takes `at Line: 1, Column: 2` off a message and turns it into a character position from 1.
fn split_position<'m>(message: &'m str, sql: &str) -> (&'m str, Option<usize>) {
    let Some((head, tail)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    let mut numbers = tail.split(", Column: ");
    let line: Option<usize> = numbers.next().and_then(|n| n.trim().parse().ok());
    let column: Option<usize> = numbers.next().and_then(|n| n.trim().parse().ok());
    let (Some(line), Some(column)) = (line, column) else { return (head, None) };
    let before: usize = sql.split('\n').take(line.saturating_sub(1)).map(|l| l.chars().count() + 1).sum();
    (head, Some(before + column))
}

fn from_character(sql: &str, position: usize) -> &str {
    sql.char_indices().nth(position.saturating_sub(1)).map_or("", |(start, _)| &sql[start..])
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

/// The word or sign at a position.
fn word_at(sql: &str, position: usize) -> &str {
    let rest = from_character(sql, position);
    crate::parse::lexer::Lexer::new(rest)
        .next()
        .map_or("", |token| first_line(&rest[token.start.min(rest.len())..token.end.min(rest.len())]))
}

/// Whether a name stands anywhere but before a dot, as that of a table or an alias does.
fn is_named(sql: &str, name: &str) -> bool {
    use crate::parse::lexer::{Kind, Lexer};
    let mut tokens = Lexer::new(sql).peekable();
    while let Some(token) = tokens.next() {
        let dot = matches!(tokens.peek().map(|next| next.kind), Some(Kind::Punctuation(b'.')));
        if !dot && sql[token.start..token.end].trim_matches('"').eq_ignore_ascii_case(name) {
            return true;
        }
    }
    false
}

/// Finds the place of the name that an error is about, where the error has no position.
pub(crate) fn locate(error: Error, sql: &str) -> Error {
    if error.position().is_some()
        || !matches!(error.sqlstate(), "42703" | "42P01" | "42883" | "42704" | "42702")
    {
        return error;
    }
    let message = error.message();
    let name = match message.split('"').nth(1) {
        Some(quoted) => quoted,
        None => match message.split_whitespace().nth(1) {
            Some(word) => word.split('(').next().unwrap_or(word),
            None => return error,
        },
    };
    let missing = name
        .split_once('.')
        .filter(|(table, _)| error.sqlstate() == "42703" && !message.contains('"') && !is_named(sql, table));
    let last = name.rsplit('.').next().unwrap_or(name).to_lowercase();
    let place = crate::parse::lexer::Lexer::new(sql)
        .find(|token| sql[token.start..token.end].trim_matches('"').to_lowercase() == last)
        .map(|token| {
            // A qualified name begins at its first part.
            let mut start = token.start;
            if let Some(qualifier) = name.strip_suffix(&last)
                && sql[..start].to_lowercase().ends_with(&qualifier.to_lowercase())
            {
                start -= qualifier.len();
            }
            sql[..start].chars().count() + 1
        });
    match missing {
        Some((table, _)) => {
            at(Error::new("42P01", format!("missing FROM-clause entry for table \"{table}\"")), place)
        }
        None => at(error, place),
    }
}
