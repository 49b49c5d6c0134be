//! The write-ahead log: one ordered log of commits with resolved effects, in numbered segments.
//!
//! Guarantees: a commit whose append was synced is read back after any crash, whole; one that was not is
//! read back whole or not at all, and never behind a gap. Every record is checked against database,
//! segment and offset.
//!
//! ```text
//! 000004.wal  header | commit 1 | commit 2 | … | seal      synced before 000005.wal is created
//! 000005.wal  header | commit 9 | …                        the last may end without a seal
//! ```

pub(crate) mod format;
mod reader;
pub(crate) mod upkeep;
mod writer;

pub(crate) use format::{Effect, Identity, RecordBuffer, RecordHeader, RecordKind};
pub(crate) use reader::{Log, list_segments, read_log};
pub(crate) use writer::LogWriter;

#[cfg(test)]
mod tests;
