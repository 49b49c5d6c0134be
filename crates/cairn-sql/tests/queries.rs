//! The generated queries, and how long statements take to end when they are cancelled, in a binary of their own, which is
//! built fast enough with optimisation: `cargo xtask queries`, `cargo xtask cancel`.
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

#[path = "it/cancel.rs"]
mod cancel;
#[path = "it/generated.rs"]
mod generated;
#[path = "it/slt.rs"]
mod slt;
#[path = "it/support.rs"]
mod support;
