//! SQL tests in the form of sqllogictest: statements with the outcome that PostgreSQL gives.
//!
//! ```text
//! # a comment
//! statement ok                      the statement succeeds
//! statement count 3                 … and changes three rows
//! statement error 23505 duplicate   fails with that SQLSTATE and a message or detail holding the text
//! query IT [rowsort]                rows, as text: columns apart by one space, NULL as NULL, '' as (empty)
//! SELECT a, b FROM t
//! ----
//! 1 x
//! connection two                    the following records run on another session (one name, one session)
//! ```
//! A record ends with an empty line. A letter of `query` stands for a column; which one does not matter.

use std::fmt::Write as _;
use std::path::Path;

/// What a statement gave.
#[derive(Debug)]
pub enum Outcome {
    /// Rows of cells as text; `None` is NULL.
    Rows(Vec<Vec<Option<String>>>),
    /// A command and the rows it changed.
    Command(u64),
    /// SQLSTATE and message with detail.
    Error(String, String),
}

/// Runs a statement on the session of that name.
pub type Run<'r> = dyn FnMut(&str, &str) -> Outcome + 'r;

#[derive(Debug)]
enum Expect {
    Ok,
    Count(u64),
    Error { state: String, text: String },
    Rows { columns: usize, sorted: bool, rows: Vec<String> },
}

#[derive(Debug)]
struct Record {
    line: usize,
    connection: String,
    sql: String,
    expect: Expect,
}

fn parse(text: &str) -> Result<Vec<Record>, String> {
    let mut records = Vec::new();
    let mut connection = "default".to_owned();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((n, line)) = lines.next() {
        let line_number = n + 1;
        let mut words = line.split_whitespace();
        let expect = match words.next() {
            None => continue,
            Some(word) if word.starts_with('#') => continue,
            Some("connection") => {
                connection = words.next().unwrap_or("default").to_owned();
                continue;
            }
            Some("statement") => match words.next() {
                Some("ok") => Expect::Ok,
                Some("count") => {
                    let count = words.next().and_then(|n| n.parse().ok());
                    Expect::Count(count.ok_or(format!("line {line_number}: statement count needs a number"))?)
                }
                Some("error") => {
                    let state = words.next().unwrap_or_default().to_owned();
                    Expect::Error { state, text: words.collect::<Vec<_>>().join(" ") }
                }
                other => return Err(format!("line {line_number}: unknown statement {other:?}")),
            },
            Some("query") => {
                let columns = words.next().map_or(0, str::len);
                Expect::Rows { columns, sorted: words.next() == Some("rowsort"), rows: Vec::new() }
            }
            Some(other) => return Err(format!("line {line_number}: unknown record {other}")),
        };
        let mut sql = String::new();
        let mut rows = Vec::new();
        let mut answers = false;
        for (_, line) in lines.by_ref() {
            match line {
                "" => break,
                "----" if !answers => answers = true,
                line if answers => rows.push(line.to_owned()),
                line => {
                    sql.push_str(line);
                    sql.push('\n');
                }
            }
        }
        let expect = match expect {
            Expect::Rows { columns, sorted, .. } => Expect::Rows { columns, sorted, rows },
            other => other,
        };
        records.push(Record { line: line_number, connection: connection.clone(), sql, expect });
    }
    Ok(records)
}

fn shown(rows: &[Vec<Option<String>>]) -> Vec<String> {
    let cell = |cell: &Option<String>| match cell.as_deref() {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.replace('\n', "\\n"),
    };
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect()
}

fn judge(record: &Record, outcome: &Outcome) -> Result<(), String> {
    match (&record.expect, outcome) {
        (Expect::Error { state, text }, Outcome::Error(found, message)) => {
            if state != found {
                return Err(format!("expected error {state}, got {found}: {message}"));
            }
            match message.contains(text.as_str()) {
                true => Ok(()),
                false => Err(format!("expected a message with \"{text}\", got: {message}")),
            }
        }
        (Expect::Error { state, .. }, other) => Err(format!("expected error {state}, got {other:?}")),
        (_, Outcome::Error(state, message)) => Err(format!("failed with {state}: {message}")),
        (Expect::Ok, _) => Ok(()),
        (Expect::Count(count), Outcome::Command(found)) if count == found => Ok(()),
        (Expect::Count(count), Outcome::Rows(rows)) if *count == rows.len() as u64 => Ok(()),
        (Expect::Count(count), other) => Err(format!("expected {count} rows changed, got {other:?}")),
        (Expect::Rows { columns, sorted, rows }, Outcome::Rows(found)) => {
            if let Some(row) = found.iter().find(|row| row.len() != *columns) {
                return Err(format!("expected {columns} columns, got {}", row.len()));
            }
            let (mut want, mut got) = (rows.clone(), shown(found));
            if *sorted {
                want.sort();
                got.sort();
            }
            match want == got {
                true => Ok(()),
                false => Err(format!("expected\n  {}\ngot\n  {}", want.join("\n  "), got.join("\n  "))),
            }
        }
        (Expect::Rows { .. }, Outcome::Command(_)) => Err("expected rows, got none".to_owned()),
    }
}

/// Runs the records of one file; returns how many there were.
///
/// # Errors
/// A report of every record that went otherwise, or of the file's form.
pub fn run_text(name: &str, text: &str, run: &mut Run<'_>) -> Result<usize, String> {
    let records = parse(text).map_err(|e| format!("{name}: {e}"))?;
    let mut report = String::new();
    for record in &records {
        let outcome = run(&record.connection, record.sql.trim_end());
        if let Err(why) = judge(record, &outcome) {
            // Writing to a string cannot fail.
            let _ = writeln!(report, "{name}:{}: {}\n{why}\n", record.line, record.sql.trim_end());
        }
    }
    if report.is_empty() { Ok(records.len()) } else { Err(report) }
}

/// The `.slt` files of a directory and of the folders in it, by name (`folder/file.slt`).
///
/// # Errors
/// The directory cannot be read.
pub fn files(dir: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            files.extend(
                self::files(&path)?.into_iter().map(|(inner, text)| (format!("{name}/{inner}"), text)),
            );
        } else if path.extension().is_some_and(|e| e == "slt") {
            files.push((name, std::fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records_are_judged() {
        let text = "# c\nstatement ok\nA\n\nquery IT rowsort\nB\n----\n2 NULL\n1 (empty)\n\nstatement error 23505 dup\nC\n\nstatement count 2\nD\n";
        let mut run = |_: &str, sql: &str| match sql {
            "B" => {
                Outcome::Rows(vec![vec![Some("1".into()), Some(String::new())], vec![Some("2".into()), None]])
            }
            "C" => Outcome::Error("23505".into(), "a dup".into()),
            "D" => Outcome::Command(2),
            _ => Outcome::Command(0),
        };
        assert_eq!(run_text("t", text, &mut run), Ok(4));
        let mut wrong = |_: &str, _: &str| Outcome::Command(1);
        assert!(run_text("t", text, &mut wrong).unwrap_err().contains("t:5"));
    }
}
