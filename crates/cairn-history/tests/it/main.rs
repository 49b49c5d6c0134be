//! The checker judged: histories with each anomaly, by hand and by mutation; histories of reference models.
#![allow(clippy::unwrap_used, clippy::disallowed_types)]

mod golden;
mod models;
mod mutated;
mod reference;
