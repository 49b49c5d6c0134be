//! `cargo xtask queries`: generated queries whose answers are held against each other, or against PostgreSQL's.
//!
//! ```text
//! cargo xtask queries [--queries N] [--seed S] [--minutes M] [--threads T] [--findings F] [--postgres CONNINFO]
//! ```
//! A finding prints the seed of its database: `--seed` with it and `--queries 100` shows it again.
//!
//! The rig is built with optimisation, in a target directory of its own (`queries` in the common one): planning, which
//! is most of the time of a short query, takes a tenth of what it takes in a debug build.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cargo::cargo_with;

const TEST: &str = "generated::generated_queries_agree_with_themselves";

/// Runs what the arguments ask for.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let mut asked = vec![
        ("CAIRN_QUERIES", "100000".to_owned()),
        ("CAIRN_THREADS", "1".to_owned()),
        ("CAIRN_REASONS", "1".to_owned()),
    ];
    let mut words = std::env::args().skip(2);
    while let Some(word) = words.next() {
        let name = match word.as_str() {
            "--queries" => "CAIRN_QUERIES",
            "--seed" => "CAIRN_SEED",
            "--minutes" => "CAIRN_MINUTES",
            "--threads" => "CAIRN_THREADS",
            "--findings" => "CAIRN_FINDINGS",
            "--postgres" => "CAIRN_POSTGRES",
            _ => bail!(
                "usage: cargo xtask queries [--queries N] [--seed S] [--minutes M] [--threads T] [--findings F] [--postgres CONNINFO]"
            ),
        };
        asked.push((name, words.next().with_context(|| format!("{word} needs a value"))?));
    }
    // With the whole workspace: a package alone would have other features, and build all that it stands on again.
    let common = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = common.join("queries").display().to_string();
    let build = ["test", "--release", "--workspace", "--target-dir", &target, "--test", "queries"];
    let run = ["--", "--exact", "--nocapture", TEST];
    cargo_with(root, &[&build[..], &run[..]].concat(), &asked)?;
    Ok(())
}
