//! What an access method can fail with.

use cairn_types::TypeError;

/// The result of an access method.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an access method can fail with.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value that cannot be a key.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// An entry that cannot be what was written.
    #[error("index entry: {0}")]
    Corrupt(&'static str),
    /// More bounds than the key has columns.
    #[error("{bounds} bounds for a key of {columns} columns")]
    TooManyBounds {
        /// Columns bounded.
        bounds: usize,
        /// Columns of the key.
        columns: usize,
    },
}
