//! Integration tests of the store, one binary. Random tests print their seed and take it from `CAIRN_SEED`.
#![allow(clippy::unwrap_used)]

mod blobs;
mod crash;
mod faults;
mod filters;
mod ingest;
mod kill;
mod memory;
mod model;
mod strategies;
mod threads;
mod transactions;
