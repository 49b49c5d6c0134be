//! The server: one process that owns a database and speaks PostgreSQL's protocol and HTTP to whoever connects.
//!
//! ```text
//!   listener (TCP, Unix socket) ─ opening (TLS, authentication) ─ session
//!                                                                   │ messages, in order
//!            cairndb::Session ◀── statements, portals, COPY ────────┘
//! ```
//! A session is a task; statements that wait run on the database's own threads. The server uses only what [`cairndb`] gives to
//! an embedded user.
//!
//! I1. What a client sends ends at most its own session.
//! I2. Memory of a session is bounded by [`Options::message_bytes_max`] and a few buffers, whatever the size of a result.
#![forbid(unsafe_code)]
// Sockets are files that only the server names.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod access;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod hba;
mod http;
mod options;
mod pg;
mod registry;
mod server;
mod tls;

pub use hba::{Method, RuleError, Rules};
pub use options::Options;
pub use pg::Verifier;
pub use server::{Error, Server, serve};
pub use tls::{Tls, TlsError};

/// The name of the role that a database begins with; it may do everything.
pub const SUPERUSER: &str = "cairn";
