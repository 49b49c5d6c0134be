//! The generated queries in a binary of their own, which is built fast enough with optimisation: `cargo xtask queries`.
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

#[path = "it/generated.rs"]
mod generated;
#[path = "it/slt.rs"]
mod slt;
