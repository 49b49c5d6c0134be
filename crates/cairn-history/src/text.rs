//! Histories as text, for tests by hand, for messages and for other checkers:
//!
//! ```text
//! # a comment
//! T1 p0 0..5 ok a(1,10) r(1)=[10] w(2,5) r(2)=5 r(3)=nil s(1..9)={1:[10] 2:5}
//! T2 p1 2..9 fail a(1,11)          aborted
//! T3 p1 info a(1,12)               nobody knows; no times
//! ```
//! A line is a transaction: its name (T1, T2 … from the first on), process, times, outcome, operations.

use crate::history::{Found, History, Key, Operation, Outcome, Transaction};

/// What cannot be read, with its line.
#[derive(Debug, PartialEq, Eq)]
pub struct ParseError {
    /// From 1 on.
    pub line: usize,
    /// The words that mean nothing.
    pub what: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: cannot read {}", self.line, self.what)
    }
}

impl std::error::Error for ParseError {}

/// Reads a history.
///
/// # Errors
/// The first line that is none.
pub fn parse(text: &str) -> Result<History, ParseError> {
    let mut history = History::default();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let error = |what: &str| ParseError { line: at + 1, what: what.to_string() };
        let name = format!("T{} ", history.transactions.len() + 1);
        let rest =
            line.strip_prefix(&name).ok_or_else(|| error(&format!("a line that begins with {name}")))?;
        history.transactions.push(transaction(rest).map_err(|what| error(&what))?);
    }
    Ok(history)
}

fn transaction(text: &str) -> Result<Transaction, String> {
    let (process, rest) = word(text);
    let process = process.strip_prefix('p').and_then(|n| n.parse().ok()).ok_or(process.to_string())?;
    let (next, after) = word(rest);
    let (times, rest) = match next.split_once("..") {
        None => (None, rest),
        Some((begin, end)) => {
            let number = |text: &str| text.parse::<u64>().map_err(|_| next.to_string());
            (Some((number(begin)?, number(end)?)), after)
        }
    };
    let (outcome, mut rest) = word(rest);
    let outcome = match outcome {
        "ok" => Outcome::Committed,
        "fail" => Outcome::Aborted,
        "info" => Outcome::Unknown,
        other => return Err(other.to_string()),
    };
    let mut operations = Vec::new();
    while !rest.is_empty() {
        // Blanks stand within brackets too: an operation ends at the first blank outside of them.
        let mut depth = 0;
        let end = rest.find(|c| {
            depth += i32::from("[{(".contains(c)) - i32::from("]})".contains(c));
            c == ' ' && depth == 0
        });
        let (one, more) = rest.split_at(end.unwrap_or(rest.len()));
        operations.push(operation(one).ok_or_else(|| one.to_string())?);
        rest = more.trim_start();
    }
    Ok(Transaction { process, times, outcome, operations })
}

fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
    (word, rest.trim_start())
}

fn operation(text: &str) -> Option<Operation> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.split_once(')')?;
    let found_text = result.strip_prefix('=').unwrap_or_default();
    match name {
        "a" | "w" => {
            let (key, value) = arguments.split_once(',')?;
            let (key, value) = (key.parse().ok()?, value.parse().ok()?);
            Some(if name == "a" { Operation::Append { key, value } } else { Operation::Write { key, value } })
        }
        "r" => Some(Operation::Read { key: arguments.parse().ok()?, found: found(found_text)? }),
        "s" => {
            let (first, end) = arguments.split_once("..")?;
            let mut rest = found_text.strip_prefix('{')?.strip_suffix('}')?.trim();
            let mut entries: Vec<(Key, Found)> = Vec::new();
            while !rest.is_empty() {
                let (key, after) = rest.split_once(':')?;
                let end = if after.starts_with('[') { after.find(']')? + 1 } else { word(after).0.len() };
                entries.push((key.parse().ok()?, found(&after[..end])?));
                rest = after[end..].trim_start();
            }
            Some(Operation::Scan { first: first.parse().ok()?, end: end.parse().ok()?, found: entries })
        }
        _ => None,
    }
}

fn found(text: &str) -> Option<Found> {
    if text == "nil" {
        return Some(Found::Register(None));
    }
    match text.strip_prefix('[') {
        None => Some(Found::Register(Some(text.parse().ok()?))),
        Some(list) => {
            let values = list.strip_suffix(']')?.split_whitespace().map(|value| value.parse().ok());
            Some(Found::List(values.collect::<Option<_>>()?))
        }
    }
}
