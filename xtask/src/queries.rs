//! `cargo xtask queries`: generated queries whose answers are held against each other, or against PostgreSQL's.
//!
//! ```text
//! cargo xtask queries [--queries N] [--seed S] [--minutes M] [--threads T] [--findings F] [--postgres CONNINFO]
//!                     [--known TEXT|TEXT]
//! ```
//! A finding prints the seed of its database: `--seed` with it and `--queries 100` shows it again.
//!
//! The rig is built with optimisation, in a target directory of its own (`queries` in the common one): planning, which
//! is most of the time of a short query, takes a tenth of what it takes in a debug build. Assertions and checks for
//! overflow stay on.

use std::path::Path;

use anyhow::{Context, bail};

use crate::cargo::cargo_with;

/// What changes most is built as in tests: the time is that of the query engine below.
const QUICK: &str = "profile.release.package.cairn-sql.opt-level=0";

/// The rig's profile.
const PROFILE: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
];

const TEST: &str = "generated::generated_queries_agree_with_themselves";

/// Runs what the arguments ask for.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let mut asked = vec![
        ("CAIRN_QUERIES", "100000".to_owned()),
        ("CAIRN_THREADS", "1".to_owned()),
        ("CAIRN_REASONS", "1".to_owned()),
    ];
    asked.extend(PROFILE.map(|(name, value)| (name, value.to_owned())));
    let mut words = std::env::args().skip(2);
    while let Some(word) = words.next() {
        let name = match word.as_str() {
            "--queries" => "CAIRN_QUERIES",
            "--seed" => "CAIRN_SEED",
            "--minutes" => "CAIRN_MINUTES",
            "--threads" => "CAIRN_THREADS",
            "--findings" => "CAIRN_FINDINGS",
            "--postgres" => "CAIRN_POSTGRES",
            "--known" => "CAIRN_KNOWN",
            _ => bail!(
                "usage: cargo xtask queries [--queries N] [--seed S] [--minutes M] [--threads T] [--findings F] [--postgres CONNINFO] [--known TEXT|TEXT]"
            ),
        };
        asked.push((name, words.next().with_context(|| format!("{word} needs a value"))?));
    }
    rig(root, &["--exact", "--nocapture", TEST], &asked)
}

/// `cargo xtask cancel [--rows N]`: how long statements of every kind take to end when they are cancelled.
pub fn cancel(root: &Path) -> anyhow::Result<()> {
    let mut words = std::env::args().skip(2);
    let rows = match (words.next().as_deref(), words.next()) {
        (None, _) => "300000".to_owned(),
        (Some("--rows"), Some(rows)) => rows,
        _ => bail!("usage: cargo xtask cancel [--rows N]"),
    };
    let mut asked = vec![("CAIRN_ROWS", rows)];
    asked.extend(PROFILE.map(|(name, value)| (name, value.to_owned())));
    rig(root, &["--exact", "--ignored", "--nocapture", "cancel::how_long_it_takes_to_end"], &asked)
}

/// Builds the rig, and runs a test of it.
fn rig(root: &Path, arguments: &[&str], environment: &[(&str, String)]) -> anyhow::Result<()> {
    // With the whole workspace: a package alone would have other features, and build all that it stands on again.
    let target = crate::cargo::target(root).join("queries").display().to_string();
    let build = ["test", "--release", "--workspace", "--config", QUICK, "--target-dir", &target];
    cargo_with(root, &[&build[..], &["--test", "queries", "--"], arguments].concat(), environment)
}
