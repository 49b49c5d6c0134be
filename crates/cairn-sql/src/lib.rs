//! SQL on CairnDB: PostgreSQL's dialect, error codes and catalog, planned and run by DataFusion.
//!
//! ```text
//! text → parse (guard, split, parser, rewrite) → session::route ─┬─ transaction, settings, prepared
//!                                                                ├─ ddl/, dml/, copy/ → engine
//!                                                                └─ query/ → DataFusion → scan/ → engine
//! ```
//! This is the only crate that names DataFusion. A clause that is accepted is honoured; what is not
//! supported is refused with an error (`0A000`), never dropped.
//!
//! I1: no statement text ends the process: depth and size are counted before parsing (`parse::guard`),
//! and everything recursive runs on threads with a big stack (`runtime`).
//! I2: a statement that fails leaves its transaction as it was before the statement.
#![forbid(unsafe_code)]

mod catalog;
mod context;
pub mod copy;
mod ddl;
mod dml;
mod engine;
pub mod error;
mod functions;
pub mod parse;
mod privileges;
mod query;
pub mod results;
mod routine;
mod runtime;
mod scan;
mod session;
mod statistics;
mod trigger;

pub use context::Notice;
pub use engine::{Engine, SqlOptions};
pub use error::{Class, Error, Result};
pub use functions::closure::{Code, ScalarFunction, Volatility};
pub use parse::split::{Split, split_statements};
pub use privileges::login::Login;
pub use results::{Column, Results, StatementResult};
pub use session::{ClientAddress, Notification, Parameters, Prepared, Script, Session, StatementCancel};

/// The names of the `:name` parameters of a statement, without their colon, in the order in which they get `$1`,
/// `$2` …; empty where parameters are numbered.
pub fn parameter_names(sql: &str) -> Vec<String> {
    parse::parameters::number(sql).map(|(_, names)| names).unwrap_or_default()
}
