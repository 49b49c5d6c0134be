//! What a concurrent history of transactions says about isolation: a history in, a verdict out, in the manner of
//! Elle (Kingsbury and Alvaro, VLDB 2020). Development only: nothing that ships depends on it, and it knows no
//! database.
//!
//! ```
//! use cairn_history::{AnomalyKind, Level, check, parse};
//! // Each reads what the other writes, and neither sees the other: write skew.
//! let history = parse("T1 p0 0..3 ok r(1)=[] a(2,1)\nT2 p1 1..4 ok r(2)=[] a(1,1)\nT3 p0 5..6 ok r(1)=[1] r(2)=[1]")?;
//! let verdict = check(&history)?;
//! assert!(verdict.has(AnomalyKind::G2Item));
//! assert!(verdict.violates(Level::Serializable) && !verdict.violates(Level::Snapshot));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! How: each appended or written value is unique, so a read names the transaction that it read from, and the
//! longest list read of a key names the order of its writers. From these follow the edges of Adya's serialization
//! graph, and every class of anomaly is a class of cycles in it ([decision 0012] has the table).
//!
//! [decision 0012]: https://github.com/cairndb/cairndb/blob/main/docs/decisions/0012-history-checker.md
//!
//! Modules, bottom-up: `hash`, `history`, `text`, `anomaly`, `versions`, `graph`, `components`, `local` (anomalies of
//! single reads), `cycles`, `explain`, `verdict`; and for those who record histories: `workload`, `record`.

#![forbid(unsafe_code)]

mod hash;
mod history;
mod text;

mod anomaly;
mod versions;

mod components;
mod graph;

mod cycles;
mod explain;
mod local;

mod verdict;

mod record;
mod workload;

pub use anomaly::{Anomaly, AnomalyKind, Level};
pub use history::{Found, History, Key, Operation, Outcome, Transaction, Value};
pub use record::{Client, Failure, Ticks, run, run_announced};
pub use text::{ParseError, parse};
pub use verdict::{MalformedHistory, Verdict, check};
pub use workload::{Plan, Planned, Shape, Workload};
