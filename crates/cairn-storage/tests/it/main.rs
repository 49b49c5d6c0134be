//! Integration tests of the store, one binary. Random tests print their seed and take it from `CAIRN_SEED`.
#![allow(clippy::unwrap_used)]

mod awaitable;
mod blobs;
mod crash;
mod damage;
mod damage_image;
mod damage_kinds;
mod damage_repair;
mod faults;
mod filters;
mod handles;
mod ingest;
mod isolation;
mod kill;
mod log;
mod memory;
mod model;
mod places;
mod retention;
mod rig;
mod sim;
mod strategies;
mod stress;
mod sweep;
mod threads;
mod transactions;
mod versions;
mod warm;
