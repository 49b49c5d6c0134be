//! The one error of the public API: what the layers below say, with what a caller can do about it.

use std::fmt;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The call, the statement or the data is wrong; the same again gives the same error.
    User,
    /// Another transaction came first, or too many are being committed: run the transaction again.
    /// [`Database::transact`] does so by itself.
    ///
    /// [`Database::transact`]: crate::Database::transact
    Conflict,
    /// Something outside is missing: disk space, memory, permission, the lock of the directory.
    Unavailable,
    /// Stored data is damaged; the message names the file and the offset.
    Corrupt,
    /// A defect of CairnDB; please report it.
    Bug,
}

/// What went wrong, with the fields of a PostgreSQL error.
///
/// ```
/// use cairndb::{Database, ErrorClass};
/// let db = Database::in_memory()?;
/// let error = db.put(&vec![0; 1 << 20], b"the key is too long").unwrap_err();
/// assert_eq!((error.class(), error.sqlstate()), (ErrorClass::User, "54000"));
/// assert!(error.message().contains("65536"), "{error}");
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone)]
pub struct Error(Box<Fields>);

#[derive(Clone, Debug)]
struct Fields {
    class: ErrorClass,
    sqlstate: &'static str,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<usize>,
    schema: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
}

impl Error {
    pub(crate) fn new(class: ErrorClass, sqlstate: &'static str, message: impl Into<String>) -> Error {
        Error(Box::new(Fields {
            class,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            schema: None,
            table: None,
            column: None,
            constraint: None,
        }))
    }

    /// An error of the caller's, for the closure of [`Database::transact`] and for own `FromSql` types:
    /// `message` in lower case, class [`ErrorClass::User`], SQLSTATE `P0001` (raise_exception).
    ///
    /// [`Database::transact`]: crate::Database::transact
    pub fn user(message: impl Into<String>) -> Error {
        Error::new(ErrorClass::User, "P0001", message)
    }

    #[cfg_attr(not(feature = "sql"), allow(dead_code))]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// What can be done about it.
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// Whether the transaction may succeed when it is run again from its beginning.
    pub fn is_retryable(&self) -> bool {
        self.0.class == ErrorClass::Conflict
    }

    /// PostgreSQL's five-character code, such as `23505` for a duplicate key.
    pub fn sqlstate(&self) -> &'static str {
        self.0.sqlstate
    }

    /// The message, one line, without detail and hint.
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

    /// Where in the statement, counted in characters from 1.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// The schema of the table concerned.
    pub fn schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }

    /// The table concerned.
    pub fn table(&self) -> Option<&str> {
        self.0.table.as_deref()
    }

    /// The column concerned.
    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    /// The constraint that refused a row.
    pub fn constraint(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(detail) = &self.0.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("class", &self.0.class).field("sqlstate", &self.0.sqlstate);
        out.field("message", &self.0.message);
        let optional = [
            ("detail", &self.0.detail),
            ("hint", &self.0.hint),
            ("schema", &self.0.schema),
            ("table", &self.0.table),
            ("column", &self.0.column),
            ("constraint", &self.0.constraint),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                out.field(name, value);
            }
        }
        if let Some(position) = self.0.position {
            out.field("position", &position);
        }
        out.finish()
    }
}

impl std::error::Error for Error {}

impl From<cairn_storage::Error> for Error {
    fn from(error: cairn_storage::Error) -> Error {
        use cairn_storage::Error as E;
        let (class, sqlstate) = match &error {
            E::Conflict { .. } => (ErrorClass::Conflict, "40001"),
            E::Deadlock { .. } => (ErrorClass::Conflict, "40P01"),
            E::LockNotAvailable { .. } | E::LockTimeout { .. } => (ErrorClass::Unavailable, "55P03"),
            E::SnapshotTooOld => (ErrorClass::User, "72000"),
            E::Cancelled => (ErrorClass::Unavailable, "57014"),
            E::LocksFull { .. } => (ErrorClass::Unavailable, "53200"),
            // Nothing was done: run again it succeeds once others are through.
            E::CommitsFull { .. } => (ErrorClass::Conflict, "53400"),
            E::Corrupt { .. } => (ErrorClass::Corrupt, "XX001"),
            E::DiskFull { .. } => (ErrorClass::Unavailable, "53100"),
            E::Locked { .. } => (ErrorClass::Unavailable, "55006"),
            E::NotFound { .. } => (ErrorClass::User, "58P01"),
            E::NotADatabase { .. } => (ErrorClass::User, "58030"),
            E::NewerFormat { .. } => (ErrorClass::User, "0A000"),
            E::KeyTooLarge { .. } | E::ValueTooLarge { .. } | E::TransactionTooLarge { .. } => {
                (ErrorClass::User, "54000")
            }
            E::Closed => (ErrorClass::User, "57P01"),
            E::InvalidArgument(_) => (ErrorClass::User, "22023"),
            _ => (ErrorClass::Unavailable, "58030"),
        };
        let hint = match &error {
            E::Locked { .. } => Some("A database is open in one process at a time; close the other one."),
            E::Conflict { .. } => Some("The transaction might succeed if retried."),
            E::SnapshotTooOld => {
                Some("Read from a new snapshot; OpenOptions::retention keeps versions for longer.")
            }
            E::CommitsFull { .. } => Some("Await commits begun before, then run the transaction again."),
            E::LocksFull { .. } => Some("You might need to increase OpenOptions::lock_bytes_max."),
            E::NewerFormat { .. } => Some("Open it with a newer release of CairnDB."),
            E::Poisoned { .. } => Some("Close the database and open it again."),
            _ => None,
        };
        let mut converted = Error::new(class, sqlstate, error.to_string());
        converted.0.hint = hint.map(str::to_owned);
        if let E::Deadlock { waits } = &error {
            let lines: Vec<String> = waits.iter().map(ToString::to_string).collect();
            converted.0.detail = Some(lines.join("\n"));
        }
        converted
    }
}

#[cfg(feature = "sql")]
impl From<cairn_engine::Error> for Error {
    fn from(error: cairn_engine::Error) -> Error {
        if let cairn_engine::Error::Storage(storage) = error {
            return storage.into();
        }
        cairn_sql::Error::from(error).into()
    }
}

#[cfg(feature = "sql")]
impl From<cairn_sql::Error> for Error {
    fn from(error: cairn_sql::Error) -> Error {
        let class = match error.class() {
            cairn_sql::Class::User => ErrorClass::User,
            cairn_sql::Class::Conflict => ErrorClass::Conflict,
            cairn_sql::Class::Unavailable => ErrorClass::Unavailable,
            cairn_sql::Class::Corrupt => ErrorClass::Corrupt,
            _ => ErrorClass::Bug,
        };
        Error(Box::new(Fields {
            class,
            sqlstate: error.sqlstate(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            position: error.position(),
            schema: error.schema().map(str::to_owned),
            table: error.table().map(str::to_owned),
            column: error.column().map(str::to_owned),
            constraint: error.constraint().map(str::to_owned),
        }))
    }
}

#[cfg(feature = "sql")]
impl From<cairn_types::TypeError> for Error {
    fn from(error: cairn_types::TypeError) -> Error {
        Error::new(ErrorClass::User, error.sqlstate(), error.to_string())
    }
}
