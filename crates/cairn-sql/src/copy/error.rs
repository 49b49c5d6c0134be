//! What can go wrong while a file is read or written: one error with PostgreSQL's SQLSTATE and wording, and the
//! place (`COPY flights, line 17, column dep_time: "abc"`) kept apart as its context.

use std::fmt::Write as _;

/// The result of reading or writing a file.
pub(super) type Result<T, E = CopyError> = std::result::Result<T, E>;

/// An error of COPY or of a file queried in place.
///
/// `sqlstate` says what the caller can do differently: `22…` the data, `42601`/`22023` the options, `58P01` the
/// path, `0A000` a feature that is not there, `58030` the device.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct CopyError {
    /// Five characters.
    pub sqlstate: &'static str,
    /// In PostgreSQL's words.
    pub message: String,
    /// More about the cause.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where: `COPY t, line 3, column b: "x"`.
    pub context: Option<String>,
}

/// Longest piece of data shown in a context, in characters; PostgreSQL's `MAX_COPY_DATA_DISPLAY`.
const SHOWN_CHARS_MAX: usize = 100;

impl CopyError {
    /// An error without a place.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        CopyError { sqlstate, message: message.into(), detail: None, hint: None, context: None }
    }

    /// A feature that is refused.
    pub fn unsupported(message: impl Into<String>) -> Self {
        CopyError::new("0A000", message)
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// An operation on a file that failed: `doing` is "open", "read" or "write".
    pub fn io(doing: &str, path: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let (sqlstate, why) = match error.kind() {
            ErrorKind::NotFound => ("58P01", "No such file or directory".to_owned()),
            ErrorKind::PermissionDenied => ("42501", "Permission denied".to_owned()),
            ErrorKind::IsADirectory => ("42809", "Is a directory".to_owned()),
            ErrorKind::StorageFull => ("53100", "No space left on device".to_owned()),
            _ => ("58030", error.to_string()),
        };
        let purpose = match doing {
            "open" => format!("could not open file \"{path}\" for reading"),
            "create" => format!("could not open file \"{path}\" for writing"),
            _ => format!("could not {doing} file \"{path}\""),
        };
        CopyError::new(sqlstate, format!("{purpose}: {why}"))
    }

    /// The same at a place in the data.
    #[must_use]
    pub(super) fn at(mut self, place: &Place<'_>) -> Self {
        if self.context.is_none() {
            self.context = Some(place.to_string());
        }
        self
    }
}

/// A place in a file that is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The table, or the file where there is none.
    pub(super) name: &'a str,
    /// 1-based line.
    pub(super) line: u64,
    /// The column, if the error is of one.
    pub(super) column: Option<&'a str>,
    /// The cell or the line, in bytes.
    pub(super) data: Option<&'a [u8]>,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "COPY {}, line {}", self.name, self.line)?;
        if let Some(column) = self.column {
            write!(f, ", column {column}")?;
        }
        if let Some(data) = self.data {
            f.write_str(": \"")?;
            let text = String::from_utf8_lossy(&data[..data.len().min(4 * SHOWN_CHARS_MAX)]);
            let mut chars = text.chars();
            for c in chars.by_ref().take(SHOWN_CHARS_MAX) {
                f.write_char(c)?;
            }
            f.write_str(if chars.next().is_some() { "...\"" } else { "\"" })?;
        }
        Ok(())
    }
}
