//! What is asked of a table, and what it answers: plain data.

use bytes::Bytes;
use cairn_storage::{Direction, KeyRange};

use crate::catalog::IndexId;

/// Which unique key an ON CONFLICT clause means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictTarget {
    /// Any unique key of the table.
    #[default]
    Any,
    /// The primary key.
    PrimaryKey,
    /// That unique index.
    Index(IndexId),
}

/// What to do with a row whose unique key is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Fail with 23505 (the default).
    #[default]
    Error,
    /// Leave the row out and list it in [`Inserted::conflicts`].
    DoNothing {
        /// The key meant; a conflict on any other fails.
        target: ConflictTarget,
    },
    /// The same, and the inserted rows' keys are listed too: the caller updates the existing rows
    /// (DO UPDATE), and can see whether a row conflicts with one of its own statement.
    Report {
        /// The key meant; a conflict on any other fails.
        target: ConflictTarget,
    },
}

/// A row that was not inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowConflict {
    /// Its place in the batch.
    pub row: usize,
    /// The row key of the row that has the key already; it may be one that the same batch inserted.
    pub existing: Bytes,
}

/// The answer of [`super::insert`].
#[derive(Clone, Debug, Default)]
pub struct Inserted {
    /// How many rows were inserted.
    pub rows: usize,
    /// With [`OnConflict::Report`] the row keys of the inserted rows, in order; else empty.
    pub keys: Vec<Bytes>,
    /// The rows that were not inserted, in order.
    pub conflicts: Vec<RowConflict>,
}

/// How the rows of a table are reached. Ranges are in key order, without overlap, and relative to the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// All rows, in primary key order (or in the order of insertion, by the hidden row id).
    Full,
    /// Rows by ranges of the primary key.
    Primary(Vec<KeyRange>),
    /// Rows by ranges of a secondary index, in its order.
    Index {
        /// The index.
        index: IndexId,
        /// Ranges of entry keys.
        ranges: Vec<KeyRange>,
    },
    /// Rows by their row keys, which ascend; those that are not there are passed over.
    Rows(Vec<Bytes>),
}

/// Rows that the first batch holds at most, so that a reader that wants few gets them soon.
const FIRST_BATCH_ROWS: usize = 1024;

/// A scan of a table.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// How the rows are reached.
    pub access: Access,
    /// The places (among the live columns) of the columns wanted, in output order.
    pub projection: Vec<usize>,
    /// Whether a last column `__row_key` (Binary) with the row keys is wanted.
    pub with_row_key: bool,
    /// In key order or against it.
    pub direction: Direction,
    /// Rows in a batch, at most; default 8192.
    pub batch_rows: usize,
    /// Rows in the first batch, at most; later ones grow by eight times up to `batch_rows`. Default 1024.
    pub first_batch_rows: usize,
    /// Rows in all, at most.
    pub limit: Option<usize>,
}

impl ScanRequest {
    /// Those columns of all rows, forward.
    pub fn full(projection: impl Into<Vec<usize>>) -> ScanRequest {
        ScanRequest::new(Access::Full, projection)
    }

    /// Those columns of the rows that `access` reaches, forward.
    pub fn new(access: Access, projection: impl Into<Vec<usize>>) -> ScanRequest {
        ScanRequest {
            access,
            projection: projection.into(),
            with_row_key: false,
            direction: Direction::Forward,
            batch_rows: 8192,
            first_batch_rows: FIRST_BATCH_ROWS,
            limit: None,
        }
    }
}

/// The name of the extra column of row keys that [`ScanRequest::with_row_key`] asks for.
pub const ROW_KEY: &str = "__row_key";
