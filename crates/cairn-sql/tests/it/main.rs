//! Integration tests of the SQL layer, one binary.
#![allow(clippy::unwrap_used, missing_docs)]

mod clauses;
mod generated;
mod hostile;
mod limits;
mod partitions;
mod point_changes;
mod queries;
mod repeated;
mod slots;
mod slt;
mod subqueries;
mod support;
mod tables;
mod temporary;
mod unprepared;
