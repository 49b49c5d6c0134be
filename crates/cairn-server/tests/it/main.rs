//! The server byte by byte. Drivers that know PostgreSQL only are in `clients/`; `cargo xtask clients` runs them.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]

mod activity;
mod bytes;
mod end;
mod http;
mod load;
mod matrix;
mod notifications;
mod opening;
mod roles;
mod series;
mod support;
mod tls;
