//! The `cairn` binary as its users run it: standard output, standard error and exit status.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]

mod crash;
mod damage;
mod disk;
mod docs;
mod exchange;
mod flights;
mod keys;
mod places;
mod run;
mod shell;
mod sqlite;
mod statements;
mod tpch;
