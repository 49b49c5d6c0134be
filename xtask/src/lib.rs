//! The developer commands behind `cargo xtask`. They run `cargo`, `git` and the built `cairn`, and read the tree;
//! they link nothing of the database, so that they build in seconds.

#![forbid(unsafe_code)]
// Developer commands live outside the database: files, processes and clocks are theirs to use.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod arguments;
mod cargo;
pub mod clients;
pub mod compare;
pub mod conformance;
pub mod damage;
pub mod demo;
pub mod fuzz;
pub mod hermitage;
pub mod isolation;
pub mod kill;
pub mod memory;
pub mod models;
pub mod planted;
pub mod power_cut;
pub mod queries;
mod rig;
pub mod sim;
pub mod soak;
pub mod test;
pub mod tidy;
pub mod tpch;

use std::path::{Path, PathBuf};

/// One developer command.
pub struct Command {
    /// What is typed after `cargo xtask`.
    pub name: &'static str,
    /// One line for the usage text.
    pub help: &'static str,
    /// Runs it on the repository at the given root.
    pub run: fn(&Path) -> anyhow::Result<()>,
}

/// Every developer command.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "cancel",
        help: "measure how long statements of every kind take to end when they are cancelled: --rows",
        run: queries::cancel,
    },
    Command {
        name: "clients",
        help: "run the programs of clients/, drivers of PostgreSQL, against a server: clients [NAME ...]",
        run: clients::run,
    },
    Command {
        name: "compare",
        help: "run scripts of SQL through cairn and PostgreSQL: --postgres, --setup, --set, files",
        run: compare::run,
    },
    Command {
        name: "conformance",
        help: "write docs/sql/conformance.md from the SQL tests",
        run: conformance::run,
    },
    Command {
        name: "damage",
        help: "damage small databases in 200,000 ways: found or harmless, never a wrong answer",
        run: damage::run,
    },
    Command {
        name: "demo",
        help: "load the flights data, ask the questions, check the answers",
        run: demo::run,
    },
    Command { name: "fuzz", help: "run every decoder under libFuzzer, a minute each", run: fuzz::run },
    Command {
        name: "hermitage",
        help: "run the isolation scripts against PostgreSQL (psql's variables say which)",
        run: hermitage::run,
    },
    Command {
        name: "isolation",
        help: "judge histories: 1,000,000 transactions at each level on threads, or --seeds simulated",
        run: isolation::run,
    },
    Command {
        name: "kill",
        help: "kill -9 a writer 2,000 times: nothing acknowledged is lost",
        run: kill::run,
    },
    Command { name: "memory", help: "64 MiB of memory over a 2 GiB database: --data-mib", run: memory::run },
    Command {
        name: "models",
        help: "model-check skiplist, commit queue and snapshots: --preemptions",
        run: models::run,
    },
    Command {
        name: "power-cut",
        help: "cut the power of a loop-mounted disk 200 times (root): nothing acknowledged is lost",
        run: power_cut::run,
    },
    Command {
        name: "queries",
        help: "generate 100,000 queries and judge their answers: --queries, --seed, --minutes, --threads, --postgres",
        run: queries::run,
    },
    Command { name: "soak", help: "churn for minutes: memory, handles and disk stay flat", run: soak::run },
    Command {
        name: "planted",
        help: "plant bugs in the store, one at a time: the simulation finds each",
        run: planted::run,
    },
    Command {
        name: "sim",
        help: "run the storage simulation's seeds: --seeds, --seed, --minutes",
        run: sim::run,
    },
    Command { name: "test", help: "run every test of the workspace", run: test::run },
    Command { name: "tidy", help: "check the invariants that the compiler cannot", run: tidy::run },
    Command { name: "tpch", help: "write the tables of TPC-H into target/tpch: --scale", run: tpch::run },
];

/// The repository's root directory.
pub fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}
