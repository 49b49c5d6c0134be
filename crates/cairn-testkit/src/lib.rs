//! What tests of several crates share. Development only: nothing that ships depends on it.

#![forbid(unsafe_code)]
// Tests read files where they stand.
#![allow(clippy::disallowed_methods)]

pub mod answers;
pub mod conformance;
pub mod histories;
pub mod interleave;
pub mod markdown;
pub mod mutate;
pub mod psql;
pub mod queries;
pub mod slt;
pub mod soak;
pub mod tpch;
