//! Integration tests of the engine, over its public API.

#![allow(clippy::unwrap_used)]

mod concurrency;
mod crash;
mod isolation;
mod kv;
mod model;
mod notifications;
mod script;
mod statistics;
mod support;
