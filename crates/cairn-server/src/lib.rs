//! The server: one process that owns a database and speaks PostgreSQL's protocol.
#![forbid(unsafe_code)]
