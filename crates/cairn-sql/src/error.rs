//! The one error of the SQL layer: PostgreSQL's fields (SQLSTATE, message, detail, hint, position, the
//! named object), so that drivers and people can treat it as they treat PostgreSQL's.
//!
//! Errors of the engine keep their fields; errors of DataFusion are walked down to their cause and worded
//! as PostgreSQL words them (`error/datafusion.rs`).

mod datafusion;
mod syntax;

pub(crate) use syntax::{locate, syntax_error};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// The statement or its data is wrong; running it again will not help.
    User,
    /// Another transaction was in the way; run the transaction again.
    Conflict,
    /// Something outside is missing: disk full, memory limit, cancelled.
    Unavailable,
    /// Stored data is damaged.
    Corrupt,
    /// A defect of CairnDB.
    Bug,
}

/// An error of a statement, with PostgreSQL's fields.
#[derive(Debug, Clone)]
pub struct Error(Box<Fields>);

#[derive(Debug, Clone, Default)]
struct Fields {
    sqlstate: &'static str,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<usize>,
    schema: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
    class: Option<Class>,
}

impl Error {
    /// An error with a five-character SQLSTATE and a lower-case message without a final stop.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Error(Box::new(Fields { sqlstate, message: message.into(), ..Fields::default() }))
    }

    /// `0A000`: `what` is understood but not supported.
    pub fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::new("0A000", format!("{what} is not supported"))
    }

    /// `XX000`: a defect of CairnDB.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("XX000", message)
    }

    /// Adds the detail line.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same with another detail line, or none.
    #[must_use]
    pub(crate) fn replacing_detail(mut self, detail: Option<String>) -> Self {
        self.0.detail = detail;
        self
    }

    /// Adds the hint line.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Sets the position in the statement text, counted in characters from 1.
    #[must_use]
    pub fn with_position(mut self, position: usize) -> Self {
        self.0.position = Some(position);
        self
    }

    /// Names the table the error is about.
    #[must_use]
    pub fn with_table(mut self, schema: impl Into<String>, table: impl Into<String>) -> Self {
        self.0.schema = Some(schema.into());
        self.0.table = Some(table.into());
        self
    }

    /// Names the column the error is about.
    #[must_use]
    pub fn with_column(mut self, column: impl Into<String>) -> Self {
        self.0.column = Some(column.into());
        self
    }

    /// Names the constraint the error is about.
    #[must_use]
    pub fn with_constraint(mut self, constraint: impl Into<String>) -> Self {
        self.0.constraint = Some(constraint.into());
        self
    }

    /// Overrides the class that follows from the SQLSTATE.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.0.class = Some(class);
        self
    }

    /// The five-character SQLSTATE.
    pub fn sqlstate(&self) -> &'static str {
        self.0.sqlstate
    }

    /// The primary message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// More about this very case, such as the key that collides.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where in the statement text, in characters from 1.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// Schema of the table concerned.
    pub fn schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }

    /// Table concerned.
    pub fn table(&self) -> Option<&str> {
        self.0.table.as_deref()
    }

    /// Column concerned.
    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    /// Constraint concerned.
    pub fn constraint(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }

    /// What the caller can do; follows from the SQLSTATE unless the engine said more.
    pub fn class(&self) -> Class {
        if let Some(class) = self.0.class {
            return class;
        }
        match self.0.sqlstate {
            "40001" | "40P01" => Class::Conflict,
            "55P03" => Class::Unavailable,
            "XX001" | "XX002" => Class::Corrupt,
            s if s.starts_with("XX") => Class::Bug,
            s if s.starts_with("53") || s.starts_with("57") || s.starts_with("58") => Class::Unavailable,
            _ => Class::User,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl From<cairn_engine::Error> for Error {
    fn from(error: cairn_engine::Error) -> Self {
        let object = error.object().cloned().unwrap_or_default();
        let text = error.to_string();
        // What is locked is the row code's; people know their statement.
        let timeout = "canceling statement due to lock timeout";
        let message = if text.starts_with(timeout) { timeout.to_owned() } else { text };
        Error(Box::new(Fields {
            sqlstate: error.sqlstate(),
            message,
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            schema: object.schema,
            table: object.table,
            column: object.column,
            constraint: object.constraint,
            ..Fields::default()
        }))
    }
}

impl From<cairn_types::TypeError> for Error {
    fn from(error: cairn_types::TypeError) -> Self {
        let mapped = Error::new(error.sqlstate(), error.to_string());
        match error.detail() {
            Some(detail) => mapped.with_detail(detail),
            None => mapped,
        }
    }
}

/// Carries an [`Error`] through DataFusion's error type, so that it comes out whole at the other end.
impl From<Error> for ::datafusion::error::DataFusionError {
    fn from(error: Error) -> Self {
        ::datafusion::error::DataFusionError::External(Box::new(error))
    }
}
