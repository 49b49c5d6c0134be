//! Integration tests of the SQL layer, one binary.
#![allow(clippy::unwrap_used, missing_docs)]

mod cancel;
mod clauses;
mod forced_plans;
mod generated;
mod hostile;
mod join_order;
mod limits;
mod lookups;
mod notifications;
mod on_the_spot;
mod parameters;
mod partitions;
mod plans;
mod point_changes;
mod privileges;
mod queries;
mod repeated;
mod slots;
mod slt;
mod statistics;
mod subqueries;
mod support;
mod tables;
mod temporary;
mod unprepared;
