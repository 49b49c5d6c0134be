//! Triggers ([decision 0016](../../../docs/decisions/0016-programs.md)): functions in SQL that run when rows of a table
//! change.
//!
//! ```text
//!   BEFORE STATEMENT ─ rows found ─ BEFORE ROW (may change or leave out rows) ─ rows written ─ foreign keys' actions
//!     ─ AFTER ROW, row by row ─ AFTER STATEMENT
//! ```
//! I1. All of it happens within the statement: one transaction, one snapshot, undone together.
//! I2. A row that a BEFORE ROW trigger changed behind its statement's back is an error (27000), never overwritten.

pub(crate) mod define;
mod fire;
mod follow;
mod row;
pub(crate) mod syntax;
pub(crate) mod view;

pub(crate) use fire::{Event, Firing, differing, regenerated};
pub(crate) use follow::follow;
