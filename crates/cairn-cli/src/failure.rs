//! How work ends badly: the exit status, and what is said on standard error.
//!
//! Errors of the database are printed as psql prints them: `ERROR:  message`, the line of the statement
//! with a caret under the place, `DETAIL:`, `HINT:`. A broken pipe is no error: the reader has seen
//! enough.

use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use unicode_width::UnicodeWidthChar;

/// Columns of a statement's line that an error shows.
const LINE_WIDTH: usize = 76;

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the database, with the statement it is about.
    Database {
        /// What the database said.
        error: Box<cairndb::Error>,
        /// The statement's text, where the error's position counts in it.
        statement: Option<String>,
    },
    /// The work failed for a reason outside the database.
    Work(anyhow::Error),
    /// The command line makes no sense.
    Usage(String),
    /// Damage was found and has been told already.
    Damage,
    /// The work failed and has been told already.
    Told,
    /// The reader of standard output went away.
    BrokenPipe,
}

/// The result of a command.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// The exit status.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::BrokenPipe => ExitCode::SUCCESS,
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Damage => ExitCode::from(3),
            Failure::Database { error, .. } if error.class() == cairndb::ErrorClass::Corrupt => {
                ExitCode::from(3)
            }
            Failure::Database { .. } | Failure::Work(_) | Failure::Told => ExitCode::from(1),
        }
    }

    /// Says on standard error what happened, unless that has been done.
    pub(crate) fn tell(&self) {
        match self {
            Failure::Database { error, statement } => {
                eprint!("{}", describe(error, statement.as_deref()));
            }
            Failure::Work(error) => eprintln!("cairn: {error:#}"),
            Failure::Usage(message) => {
                eprintln!("cairn: {message}\n\nFor more information, try 'cairn --help'.");
            }
            Failure::Damage | Failure::Told | Failure::BrokenPipe => {}
        }
    }

    /// An error of a statement.
    pub(crate) fn statement(error: cairndb::Error, statement: &str) -> Failure {
        Failure::Database { error: Box::new(error), statement: Some(statement.to_owned()) }
    }
}

impl From<cairndb::Error> for Failure {
    fn from(error: cairndb::Error) -> Failure {
        Failure::Database { error: Box::new(error), statement: None }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Work(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::Work(error.into()),
        }
    }
}

/// psql's report of an error.
pub(crate) fn describe(error: &cairndb::Error, statement: Option<&str>) -> String {
    let mut out = format!("ERROR:  {}\n", error.message());
    if let (Some(position), Some(statement)) = (error.position(), statement) {
        place(statement, position, &mut out);
    }
    for (label, line) in [("DETAIL", error.detail()), ("HINT", error.hint())] {
        if let Some(line) = line {
            let _ = writeln!(out, "{label}:  {line}");
        }
    }
    out
}

/// `LINE n: …` and a caret under the character at `position` (from 1).
fn place(statement: &str, position: usize, out: &mut String) {
    let at = position.saturating_sub(1);
    let before: String = statement.chars().take(at).collect();
    let number = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line: Vec<char> = statement[start..]
        .lines()
        .next()
        .unwrap_or("")
        .chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .collect();
    let column = before[start..].chars().count().min(line.len());
    // A long line is shown around the place.
    let first = (column + 16).saturating_sub(LINE_WIDTH);
    let last = line.len().min(first + LINE_WIDTH);
    let mut head = format!("LINE {number}: ");
    if first > 0 {
        head.push_str("...");
    }
    let shown: String = line[first..last].iter().collect();
    let tail = if last < line.len() { "..." } else { "" };
    let pad: usize = head.len() + line[first..column].iter().map(|c| c.width().unwrap_or(0)).sum::<usize>();
    let _ = writeln!(out, "{head}{shown}{tail}\n{:pad$}^", "");
}

#[cfg(test)]
mod tests {
    //! The caret stands where psql puts it.

    use super::place;

    fn shown(statement: &str, position: usize) -> String {
        let mut out = String::new();
        place(statement, position, &mut out);
        out
    }

    #[test]
    fn caret_is_under_the_character() {
        assert_eq!(shown("SELECT nope", 8), "LINE 1: SELECT nope\n               ^\n");
        assert_eq!(shown("SELECT 1,\n  nope\nFROM t", 13), "LINE 2:   nope\n          ^\n");
    }

    #[test]
    fn end_of_input_and_wide_characters() {
        assert_eq!(shown("SELECT", 7), "LINE 1: SELECT\n              ^\n");
        assert_eq!(shown("SELECT '漢' x", 12), "LINE 1: SELECT '漢' x\n                    ^\n");
        assert_eq!(shown("", 9), "LINE 1: \n        ^\n");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let statement = format!("SELECT {} nope", "x + ".repeat(100));
        let text = shown(&statement, statement.len() - 3);
        let mut lines = text.lines();
        let line = lines.next().unwrap_or_default();
        let caret = lines.next().unwrap_or_default().len() - 1;
        assert!(line.starts_with("LINE 1: ...") && line[caret..].starts_with("nope"), "{text}");
    }
}
