//! `cargo xtask queries`: generated queries whose answers are held against each other, or against PostgreSQL's.
//!
//! ```text
//! cargo xtask queries [--queries N] [--seed S] [--minutes M] [--threads T] [--findings F] [--postgres CONNINFO]
//! ```
//! A finding prints the seed of its database: `--seed` with it and `--queries 100` shows it again.

use std::path::Path;

use anyhow::{Context, bail};

use crate::cargo::cargo_with;

const TEST: &str = "generated::generated_queries_agree_with_themselves";

/// Runs what the arguments ask for.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let mut asked = vec![
        ("CAIRN_QUERIES", "100000".to_owned()),
        ("CAIRN_THREADS", "2".to_owned()),
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
    cargo_with(root, &["test", "--workspace", "--test", "it", "--", "--exact", "--nocapture", TEST], &asked)?;
    Ok(())
}
