//! The public API from outside, as an application uses it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]

mod care;
mod isolation;
mod keys;
mod locks;
mod transactions;

#[cfg(feature = "sql")]
mod copy_binary;
#[cfg(feature = "sql")]
mod functions;
#[cfg(feature = "sql")]
mod indexes;
#[cfg(feature = "sql")]
mod named_types;
#[cfg(feature = "sql")]
mod numerics;
#[cfg(feature = "sql")]
mod programs;
#[cfg(feature = "sql")]
mod sql;
