//! The one error type of the engine, worded as PostgreSQL words it.
//!
//! A variant says what the caller can do differently; [`Error::sqlstate`] gives PostgreSQL's code,
//! [`Error::detail`] and [`Error::hint`] the second and third line of its report, [`Error::object`] the names
//! that its protocol sends apart. [`Error::is_retryable`] is true only for conflicts and deadlocks: run the transaction again.

use cairn_storage::Error as StorageError;
use cairn_types::TypeError;

/// The result of an engine call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The names that PostgreSQL sends beside an error (fields `s`, `t`, `c`, `n` of its protocol).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorObject {
    /// The schema of the table concerned.
    pub schema: Option<String>,
    /// The table concerned.
    pub table: Option<String>,
    /// The column concerned.
    pub column: Option<String>,
    /// The constraint concerned.
    pub constraint: Option<String>,
}

/// What kind of constraint a row or a statement broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// PRIMARY KEY, UNIQUE or a unique index: 23505.
    Unique,
    /// NOT NULL: 23502.
    NotNull,
    /// FOREIGN KEY: 23503.
    ForeignKey,
    /// CHECK: 23514.
    Check,
}

/// What kind of thing a name stands for, in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A schema.
    Schema,
    /// A relation of any kind (PostgreSQL says so where it does not know which).
    Relation,
    /// A table.
    Table,
    /// A view.
    View,
    /// An index.
    Index,
    /// A sequence.
    Sequence,
    /// A column.
    Column,
    /// A constraint.
    Constraint,
    /// A type.
    Type,
}

impl ObjectKind {
    /// The word for it in a message.
    pub fn word(self) -> &'static str {
        match self {
            ObjectKind::Schema => "schema",
            ObjectKind::Relation => "relation",
            ObjectKind::Table => "table",
            ObjectKind::View => "view",
            ObjectKind::Index => "index",
            ObjectKind::Sequence => "sequence",
            ObjectKind::Column => "column",
            ObjectKind::Constraint => "constraint",
            ObjectKind::Type => "type",
        }
    }
}

/// Everything that an engine call can fail with.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another transaction changed what this one read or wrote: 40001; run the transaction again.
    #[error("could not serialize access due to concurrent update")]
    Conflict {
        /// What collided, for the detail line.
        reason: String,
    },
    /// Under Read Committed: rows that a statement is to write have changed since its snapshot, and were not locked and
    /// looked at again ([`crate::table::lock_rows`]): 40001. Take the statement back, begin it anew
    /// ([`crate::Transaction::begin_statement`]) and run it again; the transaction goes on.
    #[error("could not serialize access due to concurrent update")]
    RowsChanged,
    /// Transactions wait for each other in a circle, and this one gives way: 40P01; run it again.
    #[error("deadlock detected")]
    Deadlock {
        /// Who waits for whom, a line each.
        detail: String,
    },
    /// A row is locked, and the statement is not to wait (NOWAIT): 55P03.
    #[error("could not obtain lock on row in relation \"{relation}\"")]
    LockNotAvailable {
        /// The table.
        relation: String,
    },
    /// A constraint refused a row: 23xxx.
    #[error("{message}")]
    Constraint {
        /// Which kind of constraint.
        violation: Violation,
        /// PostgreSQL's message.
        message: String,
        /// PostgreSQL's detail line.
        detail: Option<String>,
        /// The names concerned.
        object: Box<ErrorObject>,
    },
    /// There is no room for the messages that a transaction sends, since listeners do not take theirs: 54000.
    #[error("too many notifications in the NOTIFY queue")]
    TooManyNotifications,
    /// A name that is not there: 3F000, 42P01, 42703, 42704.
    #[error("{message}")]
    Undefined {
        /// What was looked for.
        kind: ObjectKind,
        /// The message, with the name.
        message: String,
    },
    /// A name that is taken: 42P06, 42P07, 42701, 42710.
    #[error("{message}")]
    Duplicate {
        /// What was to be made.
        kind: ObjectKind,
        /// The message, with the name.
        message: String,
    },
    /// A name that stands for another kind of thing (`"v" is not a table`): 42809.
    #[error("\"{name}\" is not a {expected}")]
    WrongObjectType {
        /// The name.
        name: String,
        /// What was wanted.
        expected: &'static str,
    },
    /// Something still depends on what was to be dropped: 2BP01.
    #[error("{message}")]
    DependentObjects {
        /// The message.
        message: String,
        /// One line for each dependent object.
        detail: String,
    },
    /// A definition that makes no sense: 42P16, 42830, 42611 … as `sqlstate` says.
    #[error("{message}")]
    InvalidDefinition {
        /// PostgreSQL's code.
        sqlstate: &'static str,
        /// The message.
        message: String,
        /// The detail line.
        detail: Option<String>,
        /// The hint line.
        hint: Option<String>,
    },
    /// A value that its type or sequence cannot hold: 22xxx, as `sqlstate` says.
    #[error("{message}")]
    Data {
        /// PostgreSQL's code.
        sqlstate: &'static str,
        /// The message.
        message: String,
    },
    /// The transaction has ended already: 25P01.
    #[error("the transaction has ended")]
    TransactionEnded,
    /// A write in a read-only transaction: 25006.
    #[error("cannot execute {what} in a read-only transaction")]
    ReadOnly {
        /// What was tried.
        what: String,
    },
    /// A savepoint of another transaction, or one that was rolled back: 3B001.
    #[error("savepoint does not exist")]
    NoSuchSavepoint,
    /// Something that PostgreSQL has and CairnDB does not: 0A000.
    #[error("{message}")]
    Unsupported {
        /// The message.
        message: String,
    },
    /// A call that breaks the API's rules (a batch of the wrong columns, say): XX000.
    #[error("{0}")]
    InvalidArgument(String),
    /// A row, descriptor or index entry that cannot be what was written: XX001.
    #[error("corrupt {what}: {found}")]
    Corrupt {
        /// What was read, with its place.
        what: String,
        /// What is wrong with it.
        found: String,
    },
    /// From the storage engine: 53100, 58030, 54000, XX001, 55006 … by kind.
    #[error(transparent)]
    Storage(StorageError),
    /// From Arrow, on building a batch: XX000.
    #[error("batch: {0}")]
    Arrow(String),
}

impl Error {
    /// PostgreSQL's five-character code.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Error::Conflict { .. } => "40001",
            Error::Constraint { violation, .. } => match violation {
                Violation::Unique => "23505",
                Violation::NotNull => "23502",
                Violation::ForeignKey => "23503",
                Violation::Check => "23514",
            },
            Error::Undefined { kind, .. } => match kind {
                ObjectKind::Schema => "3F000",
                ObjectKind::Column => "42703",
                ObjectKind::Constraint | ObjectKind::Index | ObjectKind::Type => "42704",
                _ => "42P01",
            },
            Error::Duplicate { kind, .. } => match kind {
                ObjectKind::Schema => "42P06",
                ObjectKind::Column => "42701",
                ObjectKind::Constraint | ObjectKind::Type => "42710",
                _ => "42P07",
            },
            Error::WrongObjectType { .. } => "42809",
            Error::DependentObjects { .. } => "2BP01",
            Error::InvalidDefinition { sqlstate, .. } | Error::Data { sqlstate, .. } => sqlstate,
            Error::RowsChanged => "40001",
            Error::LockNotAvailable { .. } => "55P03",
            Error::TooManyNotifications => "54000",
            Error::Deadlock { .. } => "40P01",
            Error::TransactionEnded => "25P01",
            Error::ReadOnly { .. } => "25006",
            Error::NoSuchSavepoint => "3B001",
            Error::Unsupported { .. } => "0A000",
            Error::InvalidArgument(_) | Error::Arrow(_) => "XX000",
            Error::Corrupt { .. } => "XX001",
            Error::Storage(e) => storage_sqlstate(e),
        }
    }

    /// The detail line, where there is one.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Error::Conflict { reason } | Error::Deadlock { detail: reason } => Some(reason),
            Error::Constraint { detail, .. } | Error::InvalidDefinition { detail, .. } => detail.as_deref(),
            Error::DependentObjects { detail, .. } => Some(detail),
            _ => None,
        }
    }

    /// The hint line, where there is one.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::Conflict { .. } => Some("The transaction might succeed if retried."),
            Error::Storage(StorageError::LocksFull { .. }) => {
                Some("You might need to increase lock_bytes_max.")
            }
            Error::DependentObjects { .. } => Some("Use DROP ... CASCADE to drop the dependent objects too."),
            Error::InvalidDefinition { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }

    /// The schema, table, column and constraint concerned, where known.
    pub fn object(&self) -> Option<&ErrorObject> {
        match self {
            Error::Constraint { object, .. } => Some(object),
            _ => None,
        }
    }

    /// Whether the same transaction may succeed when run again from its beginning.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Conflict { .. } | Error::RowsChanged | Error::Deadlock { .. })
    }

    pub(crate) fn undefined(kind: ObjectKind, name: &str) -> Error {
        Error::Undefined { kind, message: format!("{} \"{name}\" does not exist", kind.word()) }
    }

    pub(crate) fn undefined_column(table: &str, column: &str) -> Error {
        let message = format!("column \"{column}\" of relation \"{table}\" does not exist");
        Error::Undefined { kind: ObjectKind::Column, message }
    }

    pub(crate) fn undefined_constraint(table: &str, constraint: &str) -> Error {
        let message = format!("constraint \"{constraint}\" of relation \"{table}\" does not exist");
        Error::Undefined { kind: ObjectKind::Constraint, message }
    }

    pub(crate) fn duplicate(kind: ObjectKind, name: &str) -> Error {
        Error::Duplicate { kind, message: format!("{} \"{name}\" already exists", kind.word()) }
    }

    pub(crate) fn duplicate_in(kind: ObjectKind, name: &str, table: &str) -> Error {
        let kind_word = kind.word();
        let message = match kind {
            ObjectKind::Constraint => {
                format!("{kind_word} \"{name}\" for relation \"{table}\" already exists")
            }
            _ => format!("{kind_word} \"{name}\" of relation \"{table}\" already exists"),
        };
        Error::Duplicate { kind, message }
    }

    pub(crate) fn definition(sqlstate: &'static str, message: impl Into<String>) -> Error {
        Error::InvalidDefinition { sqlstate, message: message.into(), detail: None, hint: None }
    }

    pub(crate) fn corrupt(what: impl Into<String>, found: impl ToString) -> Error {
        Error::Corrupt { what: what.into(), found: found.to_string() }
    }
}

fn storage_sqlstate(e: &StorageError) -> &'static str {
    match e {
        StorageError::Conflict { .. } => "40001",
        StorageError::DiskFull { .. } => "53100",
        StorageError::Corrupt { .. } => "XX001",
        StorageError::Locked { .. } => "55006",
        StorageError::KeyTooLarge { .. }
        | StorageError::ValueTooLarge { .. }
        | StorageError::TransactionTooLarge { .. } => "54000",
        StorageError::LockNotAvailable { .. } | StorageError::LockTimeout { .. } => "55P03",
        StorageError::Cancelled => "57014",
        StorageError::SnapshotTooOld => "72000",
        StorageError::LocksFull { .. } => "53200",
        StorageError::CommitsFull { .. } => "53400",
        StorageError::Closed => "57P01",
        StorageError::InvalidArgument(_) => "XX000",
        _ => "58030",
    }
}

impl From<StorageError> for Error {
    fn from(e: StorageError) -> Error {
        match e {
            StorageError::Conflict { reason } => Error::Conflict { reason: reason.to_string() },
            StorageError::Deadlock { waits } => {
                let lines: Vec<String> = waits.iter().map(crate::lock::describe).collect();
                Error::Deadlock { detail: lines.join("\n") }
            }
            other => Error::Storage(other),
        }
    }
}

impl From<TypeError> for Error {
    fn from(e: TypeError) -> Error {
        Error::Data { sqlstate: e.sqlstate(), message: e.to_string() }
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(e: arrow_schema::ArrowError) -> Error {
        Error::Arrow(e.to_string())
    }
}
